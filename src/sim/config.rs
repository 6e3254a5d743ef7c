//! How a simulated exchange is set up: instruments, assets, fees, queue model, latency. All of it is plain data.

use std::time::Duration;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::market::{Asset, FeedDepth, Instrument, Timestamp};
use crate::order::{Leverage, MarginMode, PositionMode, SelfTrade};

/// Everything a simulated exchange is made from. The same configuration, seed and inputs give the same updates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SimConfig {
    /// What is traded; an [`InstrumentId`](crate::market::InstrumentId) is an index into it.
    pub markets: Vec<MarketConfig>,
    /// Seed of everything random.
    pub seed: u64,
    /// How a place in the queue moves when a level shrinks without a print.
    pub queue: QueueModel,
    /// When what paper orders took of a level comes back.
    pub refill: Refill,
    /// How long requests and answers travel.
    pub latency: LatencyModel,
    /// What bots see.
    pub public_market: PublicMarket,
    /// What becomes of a book that is crossed after a message.
    pub crossed: CrossedBook,
    /// For how long a print waits for the shrink of its level (rule 5).
    pub pairing: Duration,
    /// For how long a cancellation is remembered for a print that comes after it (rule 6).
    pub late_prints: Duration,
    /// The spread to assume where candles show none, as a fraction of the price: a taker pays half of it.
    #[serde(default = "ten_basis_points")]
    pub assume_spread: Rate,
    /// What the venue does where venues differ.
    pub venue: VenueRules,
}

impl SimConfig {
    /// The `realistic` profile over these markets: queue `probabilistic` with n = 2, 10 ms each way, refill `new`.
    pub fn realistic(markets: Vec<MarketConfig>, seed: u64) -> Self {
        Self {
            markets,
            seed,
            queue: QueueModel::Probabilistic(Law::Power(2)),
            refill: Refill::New,
            latency: LatencyModel::Constant {
                entry: Duration::from_millis(10),
                response: Duration::from_millis(10),
            },
            public_market: PublicMarket::Simulated,
            crossed: CrossedBook::Repair,
            pairing: Duration::from_secs(1),
            late_prints: Duration::from_secs(1),
            assume_spread: ten_basis_points(),
            venue: VenueRules::default(),
        }
    }
}

/// The spread of candles where nobody says otherwise: 10 bp.
fn ten_basis_points() -> Rate {
    Rate(1_000_000)
}

/// One instrument with its fees and its feed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MarketConfig {
    /// What is traded.
    pub instrument: Instrument,
    /// What trading it costs.
    pub fees: FeeSchedule,
    /// How much of its book the feed shows.
    pub depth: FeedDepth,
    /// Whether it takes orders; dated futures are only looked at.
    pub tradable: bool,
    /// What a contract is settled in and what it asks of who holds it; `None` for spot.
    #[serde(default)]
    pub contract: Option<ContractTerms>,
}

impl MarketConfig {
    /// A spot market.
    pub fn spot(instrument: Instrument, fees: FeeSchedule) -> Self {
        Self { instrument, fees, depth: FeedDepth::Full, tradable: true, contract: None }
    }
}

/// What a contract is settled in and what it asks of who holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContractTerms {
    /// What margin, fees and gains are counted in.
    pub settle: Asset,
    /// Decimals of the settlement currency's smallest unit at the venue.
    pub settle_decimals: u8,
    /// How a value is rounded to that unit.
    pub rounding: ValueRounding,
    /// Whether it is worth so much quote and settles in a coin: every amount goes through the coin's index price when it
    /// is settled. Values, costs and tiers are then in quote.
    #[serde(default)]
    pub through_index: bool,
    /// What positions need, by their value; ascending, the first from zero.
    pub tiers: Vec<RiskTier>,
    /// Whether each tier's maintenance rate holds for the part of the value inside it only; else for all of it.
    pub cumulative: bool,
    /// The leverage of who never chose one.
    pub leverage: Leverage,
    /// The margin mode of who never chose one.
    pub margin: MarginMode,
    /// When funding is due where the tape does not say.
    pub funding: FundingTimes,
    /// The rate where the tape has none.
    #[serde(default)]
    pub funding_rate: crate::market::FundingRate,
}

impl ContractTerms {
    /// The largest leverage: what the lowest tier's initial margin allows.
    pub fn max_leverage(&self) -> Leverage {
        let least = self.tiers.first().map_or(0, |tier| tier.initial.0).max(1);
        Leverage(u32::try_from(100 * 10_i64.pow(u32::from(Rate::SCALE)) / least).unwrap_or(u32::MAX))
    }
}

/// How the value of contracts is rounded to the settlement currency's smallest unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueRounding {
    /// To the nearest.
    Nearest,
    /// Towards zero.
    Down,
    /// An inverse contract's value is rounded to a hundredth of the unit, then times the contracts.
    UnitHundredths,
}

/// What positions need from a value on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RiskTier {
    /// The value at which the tier begins, in the settlement currency; in quote where it settles through an index price.
    pub above: Decimal,
    /// The least initial margin, as a share of the value: one divided by the largest leverage.
    pub initial: Rate,
    /// The maintenance margin, as a share of the value.
    pub maintenance: Rate,
}

/// The instants of funding, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FundingTimes {
    /// The first of a day, after midnight.
    pub first: Duration,
    /// From one to the next.
    pub every: Duration,
}

impl FundingTimes {
    /// 00:00, 08:00 and 16:00.
    pub const EVERY_EIGHT_HOURS: Self = Self { first: Duration::ZERO, every: Duration::from_secs(8 * 3_600) };

    /// The first one after `time`.
    pub fn next(self, time: Timestamp) -> Timestamp {
        let nanos = |length: Duration| i64::try_from(length.as_nanos()).unwrap_or(i64::MAX);
        let (every, first) = (nanos(self.every).max(1), nanos(self.first));
        let since = time.nanos().saturating_sub(first).rem_euclid(every);
        Timestamp::from_nanos(time.nanos().saturating_add(every - since))
    }
}

/// How a venue reckons margin, where venues differ. `docs/perpetuals.md` has the formulas with their sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PositionRules {
    /// The mode of an account that never chose one.
    pub mode: PositionMode,
    /// Whether there is a hedge mode.
    pub hedge: bool,
    /// Whether the mode is one for the account; else one for each instrument.
    pub mode_of_account: bool,
    /// What an open order needs.
    pub order_margin: OrderMargin,
    /// What a cross position takes from what is available.
    pub cross_margin: CrossMargin,
    /// On which value maintenance margin is reckoned.
    pub maintenance: MaintenanceOn,
    /// Whether a liquidation must leave the taker fee of closing at the mark price.
    pub closing_fee: bool,
    /// Whether an isolated position puts aside the taker fee of closing at its bankruptcy price.
    pub reserve: bool,
    /// Whether unrealised gains of cross positions are available.
    pub gains_available: bool,
    /// Whether a reduce-only order with nothing to reduce is accepted and cancelled; else refused.
    pub reduce_only_cancels: bool,
    /// Which reduce-only orders are cut first.
    pub trim: TrimFirst,
    /// Whether a liquidation first steps down a tier.
    pub steps_down: bool,
    /// Whether the cross long and short of a contract are added to pick the tier of their maintenance margin.
    #[serde(default)]
    pub sides_share_tier: bool,
    /// Whether leverage and margin mode can change only while there are neither positions nor orders.
    pub set_when_flat: bool,
}

impl Default for PositionRules {
    fn default() -> Self {
        Self {
            mode: PositionMode::OneWay,
            hedge: true,
            mode_of_account: true,
            order_margin: OrderMargin::InitialAndFee,
            cross_margin: CrossMargin::InitialAtEntry,
            maintenance: MaintenanceOn::Mark,
            closing_fee: false,
            reserve: false,
            gains_available: false,
            reduce_only_cancels: false,
            trim: TrimFirst::Oldest,
            steps_down: false,
            sides_share_tier: false,
            set_when_flat: false,
        }
    }
}

/// What an open order needs of its value v: i is the initial margin rate, t the taker's fee rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderMargin {
    /// v·(i + t).
    InitialAndFee,
    /// v·(i + t)·1.1.
    InitialAndFeeTenthMore,
    /// v·(i + 2·t + t·i): the fees of opening, and of closing at the bankruptcy price of a short.
    BothFees,
    /// As before for sells; v·(i + 2·t − t·i) for buys, whose bankruptcy price is lower.
    BothFeesBySide,
}

/// What a cross position takes from what is available.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CrossMargin {
    /// Its maintenance margin on the entry value, and the next funding if it pays.
    Maintenance,
    /// Its initial margin on the entry value.
    InitialAtEntry,
    /// Its initial margin on the value at the mark.
    InitialAtMark,
    /// Its initial margin on the entry value, and the fee of closing at its bankruptcy price.
    InitialAndReserve,
}

/// On which value maintenance margin is reckoned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaintenanceOn {
    /// What the position was worth at its entry.
    Entry,
    /// What it is worth at the mark price.
    Mark,
}

/// Which reduce-only orders are cut first where they come to more than the position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrimFirst {
    /// The one furthest from filling.
    LeastAggressive,
    /// The first that came.
    Oldest,
}

/// What the venue does where venues differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VenueRules {
    /// What a post-only order that would match gets.
    pub post_only: PostOnlyAnswer,
    /// What an account meets where its orders would trade with each other.
    pub self_trade: SelfTrade,
    /// Among which orders a client id must be unique.
    pub client_ids: ClientIdScope,
    /// Whether an amend to no more than what has filled is refused; else it cancels the order.
    pub refuse_amend_below_filled: bool,
    /// Whether an amend gives the order a new number (cancel and replace).
    pub amend_gives_new_id: bool,
    /// The most live orders an account may have in one instrument.
    pub max_open_orders: Option<u32>,
    /// How it reckons margin.
    #[serde(default)]
    pub positions: PositionRules,
    /// What it allows of orders that few venues have, and how far prices may go.
    #[serde(default)]
    pub limits: OrderLimits,
}

/// What a venue allows of orders that few venues have, and how far prices of contracts may go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderLimits {
    /// The most orders that wait for their trigger that an account may have in one instrument.
    pub max_waiting: Option<u32>,
    /// A market order trades no further than this share beyond the best price or the mark price, whichever is further.
    pub market_band: Option<Rate>,
    /// A limit is refused where it is further than this share beyond the mark price.
    pub limit_band: Option<Rate>,
    /// How far from the mark price the last price may be to wake an order that looks at both
    /// ([`TriggerBy::LastNearMark`](crate::order::TriggerBy::LastNearMark)); `None`: there are no such orders.
    #[serde(default)]
    pub near_mark: Option<Rate>,
    /// How triggers follow the market; `None`: there are no such orders.
    pub trailing: Option<TrailRule>,
    /// The least and the most share of the price, in millionths, that may set a trigger once another price is reached;
    /// `None`: there are no such orders.
    #[serde(default)]
    pub callbacks: Option<(u32, u32)>,
    /// Whether an order may hide a part of itself.
    pub icebergs: bool,
    /// Whether a limit may be set from where the market is.
    #[serde(default)]
    pub pegs: bool,
}

/// When a trigger that follows the market is set anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrailRule {
    /// No sooner after the last time than this.
    pub every: Duration,
    /// Only where the price has moved by more than this share since then.
    pub least: Rate,
}

impl Default for VenueRules {
    fn default() -> Self {
        Self {
            post_only: PostOnlyAnswer::Cancel,
            self_trade: SelfTrade::None,
            client_ids: ClientIdScope::Open,
            refuse_amend_below_filled: false,
            amend_gives_new_id: false,
            max_open_orders: None,
            positions: PositionRules::default(),
            limits: OrderLimits::default(),
        }
    }
}

/// What a post-only order that would match gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PostOnlyAnswer {
    /// It is accepted, gets a number, and is cancelled at once.
    Cancel,
    /// It is refused.
    Reject,
}

/// Among which orders of an account a client id must be unique.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientIdScope {
    /// Among its live orders.
    Open,
    /// Among the orders of the UTC day.
    Day,
}

/// How a place in the queue moves when its level shrinks without a print. Rule 5 has the formulas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueueModel {
    /// Nobody is ever ahead.
    Front,
    /// Cancellations are behind us, as far as the level leaves room.
    Conservative,
    /// Cancellations fall ahead or behind by the law (Rigtorp 2013; hftbacktest's order-fill notes).
    Probabilistic(Law),
    /// The true place, from an order-by-order source.
    Exact,
}

/// f of the probabilistic model: P(behind) = f(back) / (f(back) + f(front)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Law {
    /// f(x) = xⁿ, n from 1 to 8.
    Power(u8),
    /// f(x) = ln(1 + x), x in the instrument's quantity unit.
    Log,
}

/// When what paper orders took of a level comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refill {
    /// Only what the level grows by is fresh.
    New,
    /// Each restatement of the level refills it.
    Any,
    /// So long after the taking.
    After(Duration),
}

/// What bots see as the public market.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PublicMarket {
    /// The tape less what paper orders took, plus resting paper orders and their prints.
    Simulated,
    /// The raw tape.
    Tape,
}

/// What becomes of a book that is crossed after a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CrossedBook {
    /// A file cannot be asked again: the side that the message did not touch loses its crossing levels.
    Repair,
    /// A live feed can: the book is not believed until the next snapshot.
    Distrust,
}

/// How long requests and answers travel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LatencyModel {
    /// Not at all.
    None,
    /// Always as long.
    Constant {
        /// From the client to the exchange.
        entry: Duration,
        /// And back.
        response: Duration,
    },
    /// Log-normal, each way: exp(ln(median) + sigma × normal).
    LogNormal {
        /// The median, each way.
        median: Duration,
        /// Sigma of the logarithm.
        sigma: ordered_float::OrderedFloat<f64>,
    },
    /// As once observed: interpolated between observations by the time of sending.
    Measured(Vec<LatencySample>),
}

/// One observation of a request's journey.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatencySample {
    /// When it was sent.
    pub sent: crate::market::Timestamp,
    /// How long to the exchange.
    pub entry: Duration,
    /// How long back.
    pub response: Duration,
}

/// A fraction in units of 10^-9: 0.0025 is `Rate(2_500_000)`. Negative: a rebate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rate(pub i64);

impl Rate {
    /// Decimals of a rate.
    pub const SCALE: u8 = 9;

    /// The rate of a decimal fraction; `None` where it has more than nine decimals.
    pub fn from_decimal(fraction: Decimal) -> Option<Self> {
        crate::market::decimal::units_of(fraction, Self::SCALE).and_then(|v| i64::try_from(v).ok()).map(Self)
    }

    /// The rate as a decimal fraction.
    pub fn to_decimal(self) -> Decimal {
        Decimal::new(self.0, u32::from(Self::SCALE)).normalize()
    }
}

/// Which side of the trade a buyer's fee comes from. Sellers always pay from what they get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuyFee {
    /// On top, in quote.
    #[default]
    AddedToCost,
    /// Out of the base that is bought.
    DeductedFromReturns,
}

/// What trading one instrument costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeeSchedule {
    /// The maker's rate.
    pub maker: Rate,
    /// The taker's rate.
    pub taker: Rate,
    /// Where a buyer's fee comes from.
    pub buy_fee: BuyFee,
    /// Rates by 30-day quote volume, ascending; the last one reached holds. Empty: always `maker` and `taker`.
    pub tiers: Vec<FeeTier>,
    /// An asset that fees may be paid in, with a discount.
    pub token: Option<FeeToken>,
    /// Fixed amounts for each fill.
    pub flat: Vec<FlatFee>,
    /// Decimals a fee is rounded to (at most the asset's own).
    pub decimals: u8,
    /// How it is rounded.
    pub rounding: FeeRounding,
    /// Where the rates come from, for `fees` and reports.
    pub source: smol_str::SmolStr,
}

impl FeeSchedule {
    /// Plain maker and taker rates, added to cost, rounded half to even at eight decimals.
    pub fn flat_rates(maker: Rate, taker: Rate, source: &str) -> Self {
        Self {
            maker,
            taker,
            buy_fee: BuyFee::AddedToCost,
            tiers: Vec::new(),
            token: None,
            flat: Vec::new(),
            decimals: 8,
            rounding: FeeRounding::HalfEven,
            source: source.into(),
        }
    }
}

/// How a fee is rounded to its decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeeRounding {
    /// To the nearest, ties to even.
    HalfEven,
    /// Towards zero.
    Down,
    /// Away from zero.
    Up,
}

/// Rates from a 30-day volume on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeeTier {
    /// Quote volume of the last 30 days that is needed.
    pub volume: Decimal,
    /// The maker's rate.
    pub maker: Rate,
    /// The taker's rate.
    pub taker: Rate,
}

/// An asset that fees may be paid in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeeToken {
    /// The asset.
    pub asset: Asset,
    /// The share of the fee that is waived.
    pub discount: Rate,
    /// Quote of one token.
    pub price: Decimal,
}

/// A fixed amount for each fill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlatFee {
    /// In which asset.
    pub asset: Asset,
    /// How much.
    pub amount: Decimal,
    /// Charged to makers.
    pub maker: bool,
    /// Charged to takers.
    pub taker: bool,
}
