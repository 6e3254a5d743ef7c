//! Strategies: what decides which orders to send. The same strategy runs in a backtest and in a live paper session.
//!
//! A [`Strategy`] sees the world through [`Trading`]: the time, best prices, balances and its own orders, all as far as
//! they have come back to it. It asks to be woken at a time and is told of each of its orders. It does no work for
//! market events: it looks when it wakes.
//!
//! Never here: where it runs (a backtest, paper, a testnet), how an order fills, files, clocks.
//! Start at [`Strategy`] and [`Trading`]; [`STRATEGIES`] lists the built-in ones.

mod grid_quoter;
mod own;
mod parameters;
mod perpetual_market_making;
mod pure_market_making;
mod quoter;
mod twap;

pub use grid_quoter::GridQuoter;
pub use own::{Held, OwnBook, OwnOrder, OwnState};
pub use parameters::{Build, Parameter, Parameters, STRATEGIES, StrategyKind, Values, find};
pub use perpetual_market_making::PerpetualMarketMaking;
pub use pure_market_making::PureMarketMaking;
pub use twap::Twap;

use rust_decimal::Decimal;
use smol_str::SmolStr;

use crate::connector::OwnOrders;
use crate::market::{Instrument, Price, Qty, Side, Timestamp};
use crate::order::{CancelReason, Leverage, Liquidity, OrderKind, PositionEffect, RejectReason};
use crate::sim::{MarketConfig, Rate, Setting, VenueRules};

/// The number of a market in a run: its index in [`Trading::markets`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MarketId(pub u32);

impl MarketId {
    /// As an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// The number of an order in a run; it is known as soon as the order is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderKey(pub u64);

/// One instrument of one connector, with what trading it costs.
#[derive(Clone, Debug, PartialEq)]
pub struct TradedMarket {
    /// The connector's name.
    pub connector: SmolStr,
    /// What is traded; prices and amounts of orders are in its scales.
    pub instrument: Instrument,
    /// The maker's rate.
    pub maker: Rate,
    /// The taker's rate.
    pub taker: Rate,
    /// What may be set of positions; `None` for spot.
    pub positions: Option<PositionLimits>,
}

/// What a venue lets an account set of its positions in a contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PositionLimits {
    /// The largest leverage.
    pub max_leverage: Leverage,
    /// Whether a long and a short position can be held side by side.
    pub hedge: bool,
}

impl TradedMarket {
    /// A market of a connector as its exchange has it. `rates` are the account's maker and taker rate.
    pub fn new(connector: SmolStr, market: &MarketConfig, rules: &VenueRules, rates: (Rate, Rate)) -> Self {
        let limits = |terms: &crate::sim::ContractTerms| PositionLimits {
            max_leverage: terms.max_leverage(),
            hedge: rules.positions.hedge,
        };
        Self {
            connector,
            instrument: market.instrument.clone(),
            maker: rates.0,
            taker: rates.1,
            positions: market.contract.as_ref().map(limits),
        }
    }

    /// The smallest amount that an order at `price` may have: the minimum and the minimum notional, up to the lot.
    pub fn smallest_amount(&self, price: Price) -> Qty {
        let (instrument, rule) = (&self.instrument, &self.instrument.rule);
        let lot = instrument.qty_decimal(rule.lot);
        let price = instrument.price_decimal(price);
        let lots = rule.min_notional.checked_div(price).and_then(|amount| amount.checked_div(lot));
        let lots = lots.map(|lots| lots.ceil()).and_then(|lots| i64::try_from(lots).ok()).unwrap_or(0);
        let by_notional = Qty::from_units(lots.saturating_mul(rule.lot.units()));
        rule.min_qty.max(by_notional).max(rule.lot)
    }

    /// An amount in the instrument's units, down to the lot; `None` where it is negative or too large.
    pub fn amount(&self, amount: Decimal) -> Option<Qty> {
        let scale = u32::from(self.instrument.qty_scale);
        let units = amount.checked_mul(power_of_ten(scale)?)?.floor();
        let qty = Qty::from_units(i64::try_from(units).ok().filter(|units| *units >= 0)?);
        Some(qty.floor_to(self.instrument.rule.lot))
    }

    /// A price in the instrument's units, to the tick: bids down, asks up. `None` where no order may have it.
    pub fn price(&self, side: Side, price: Decimal) -> Option<Price> {
        let tick = self.instrument.rule.tick.units();
        let units = price.checked_mul(power_of_ten(u32::from(self.instrument.price_scale))?)?;
        let ticks = units.checked_div(Decimal::from(tick))?;
        let ticks = if side == Side::Buy { ticks.floor() } else { ticks.ceil() };
        let units = i64::try_from(ticks).ok()?.checked_mul(tick)?;
        Some(Price::from_units(units)).filter(|price| units > 0 && *price <= self.instrument.rule.max_price)
    }
}

fn power_of_ten(exponent: u32) -> Option<Decimal> {
    Some(Decimal::from_i128_with_scale(10_i128.checked_pow(exponent)?, 0))
}

/// What an account has of an asset, as far as it knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Funds {
    /// All of it.
    pub total: Decimal,
    /// What is not held for orders.
    pub available: Decimal,
}

/// The next funding of a contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextFunding {
    /// The share of a position's value that longs pay shorts; shorts pay longs where it is negative.
    pub rate: Decimal,
    /// When.
    pub due: Timestamp,
}

impl NextFunding {
    /// What an exchange says of a contract's next funding.
    pub fn of(exchange: &crate::sim::SimulatedExchange, market: crate::market::InstrumentId) -> Option<Self> {
        exchange.market(market)?.contract.as_ref()?;
        let (rate, _, due) = exchange.funding(market)?;
        let rate = Decimal::new(rate.units(), u32::from(crate::market::FundingRate::SCALE)).normalize();
        Some(Self { rate, due })
    }
}

/// An order as a strategy asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Where.
    pub market: MarketId,
    /// Buy or sell.
    pub side: Side,
    /// How it meets the book.
    pub kind: OrderKind,
    /// Its limit; `None` for market orders.
    pub price: Option<Price>,
    /// How much.
    pub qty: Qty,
    /// What it does to a position; spot has none and ignores it.
    pub effect: PositionEffect,
}

/// What became of an order, as far as its owner knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// It is live.
    Accepted,
    /// Part or all of it filled.
    Filled {
        /// At what price.
        price: Price,
        /// How much.
        qty: Qty,
        /// Maker or taker.
        liquidity: Liquidity,
    },
    /// All of it has filled. The fill came before.
    Completed,
    /// It ended before all of it filled.
    Cancelled(CancelReason),
    /// It never was.
    Rejected(RejectReason),
}

/// What a strategy can see and do. All that it sees is what has come back to it by [`now`](Self::now).
pub trait Trading {
    /// The time.
    fn now(&self) -> Timestamp;

    /// What can be traded, of all connectors.
    fn markets(&self) -> &[TradedMarket];

    /// The market that the run is about: its first pair.
    fn first(&self) -> MarketId;

    /// The best price of a side, with or without the own orders; `None` where the side is empty or the book cannot be
    /// believed.
    fn best_price(&self, market: MarketId, side: Side, own: OwnOrders) -> Option<Price>;

    /// The best `depth` levels of a side, best first, appended to `levels`.
    fn levels(
        &self,
        market: MarketId,
        side: Side,
        own: OwnOrders,
        depth: usize,
        levels: &mut Vec<crate::market::Level>,
    );

    /// Whether the market shows a book; prints and candles do not.
    fn has_book(&self, market: MarketId) -> bool;

    /// The price of the last public trade.
    fn last_trade(&self, market: MarketId) -> Option<Price>;

    /// The price of the last own fill in this run.
    fn last_own_trade(&self, market: MarketId) -> Option<Price>;

    /// What the account has of the market's base.
    fn base(&self, market: MarketId) -> Funds;

    /// What the account has of the market's quote.
    fn quote(&self, market: MarketId) -> Funds;

    /// The next funding of a contract; `None` for spot. The rate is the market's, or the one of the settings where the
    /// market has none.
    fn funding(&self, market: MarketId) -> Option<NextFunding>;

    /// What the own fills of this run sum to: bought less sold, in the instrument's quantity unit. What was liquidated
    /// is gone from it.
    fn position(&self, market: MarketId) -> Qty;

    /// What the account holds of a contract, the long position before the short one; nothing of spot.
    fn held(&self, market: MarketId) -> Vec<Held>;

    /// The own orders that are not known to be over, oldest first.
    fn orders(&self) -> &[OwnOrder];

    /// Sends an order. What becomes of it comes as [`News`].
    fn place(&mut self, ask: Ask) -> OrderKey;

    /// Asks for the end of an order; nothing happens where it is over or a cancel is on its way.
    fn cancel(&mut self, order: OrderKey);

    /// Asks for another setting of the positions in a contract. The answer comes as
    /// [`on_setting`](Strategy::on_setting).
    fn set(&mut self, market: MarketId, setting: Setting);

    /// Asks for the end of all own orders.
    fn cancel_all(&mut self) {
        let keys: Vec<OrderKey> = self.orders().iter().map(|order| order.key).collect();
        keys.into_iter().for_each(|key| self.cancel(key));
    }
}

/// The best price of a side without the own orders, and the last trade where the market shows no book; `None` where the
/// side is empty.
pub fn touch(desk: &dyn Trading, market: MarketId, side: Side) -> Option<Price> {
    if desk.has_book(market) {
        return desk.best_price(market, side, OwnOrders::Without);
    }
    desk.last_trade(market)
}

/// The mean of the best bid and the best ask without the own orders, and the last trade where the market shows no book;
/// `None` where a side is empty.
pub fn mid_price(desk: &dyn Trading, market: MarketId) -> Option<Decimal> {
    let instrument = &desk.markets().get(market.index())?.instrument;
    let (bid, ask) = (touch(desk, market, Side::Buy)?, touch(desk, market, Side::Sell)?);
    Some((instrument.price_decimal(bid) + instrument.price_decimal(ask)) / Decimal::TWO)
}

/// A strategy that cannot run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StrategyError {
    /// No such strategy.
    #[error("unknown strategy {name:?} (there are: {known})")]
    Unknown {
        /// As it was typed.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// It has no such parameter.
    #[error("{strategy} has no parameter {key:?} (it has: {known})")]
    UnknownKey {
        /// Whose.
        strategy: &'static str,
        /// As it was typed.
        key: String,
        /// Those that it has.
        known: String,
    },
    /// A parameter cannot have that value.
    #[error("{key} = {value:?}: {must}")]
    Value {
        /// Which parameter.
        key: &'static str,
        /// As it was typed.
        value: String,
        /// What it must be.
        must: String,
    },
    /// It is not KEY=VALUE.
    #[error("not a parameter: {0:?} (KEY=VALUE, as in bid_spread=0.2)")]
    NotAPair(String),
    /// The market is none that it can trade.
    #[error("{0}")]
    Market(String),
}

impl StrategyError {
    /// Whether the user typed something that makes no sense.
    pub fn is_usage(&self) -> bool {
        !matches!(self, Self::Market(_))
    }
}

/// Decides which orders to send. Where it runs is none of its business.
///
/// ```
/// use papertape::market::{Side, Timestamp};
/// use papertape::order::{OrderKind, PositionEffect};
/// use papertape::strategy::{Ask, Strategy, StrategyError, Trading};
/// /// Buys the smallest amount, once.
/// struct BuyOnce;
/// impl Strategy for BuyOnce {
///     fn start(&mut self, desk: &mut dyn Trading) -> Result<Option<Timestamp>, StrategyError> {
///         let market = desk.first();
///         let qty = desk.markets()[market.index()].instrument.rule.min_qty;
///         let effect = PositionEffect::Net;
///         desk.place(Ask { market, side: Side::Buy, kind: OrderKind::Market, price: None, qty, effect });
///         Ok(None)
///     }
///     fn tick(&mut self, _: &mut dyn Trading) -> Option<Timestamp> {
///         None
///     }
/// }
/// ```
pub trait Strategy: Send {
    /// It begins. Returns when it wants to be woken first; `None`: never.
    fn start(&mut self, desk: &mut dyn Trading) -> Result<Option<Timestamp>, StrategyError>;

    /// The time that it asked for has come; all messages of that time have been seen. Returns when it wants to be woken
    /// next; a time that is not later than now counts as never.
    fn tick(&mut self, desk: &mut dyn Trading) -> Option<Timestamp>;

    /// Something became of one of its orders.
    fn on_order(&mut self, _desk: &mut dyn Trading, _order: &OwnOrder, _news: News) {}

    /// One of its settings is made, or was refused: they are answered in the order in which they were asked for.
    fn on_setting(&mut self, _desk: &mut dyn Trading, _answer: Result<(), RejectReason>) {}

    /// It ends; by default all of its orders are cancelled.
    fn stop(&mut self, desk: &mut dyn Trading) {
        desk.cancel_all();
    }

    /// Parameters that were settled at the start (an amount that was left to the market's rules).
    fn settled(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// What it does at the moment, a line each.
    fn status(&self, _desk: &dyn Trading) -> Vec<String> {
        Vec::new()
    }
}
