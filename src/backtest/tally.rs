//! What is counted of one run as it goes: orders, fills, volumes, fees, positions.

use std::collections::BTreeMap;

use super::hands::{ACCOUNT, Hands};
use super::lots::Lots;
use super::metrics::Closed;
use crate::market::{FinePrice, Product, Side};
use crate::order::{Liquidity, Money, PositionSide, RejectReason};
use crate::sim::{Fill, Liquidation, OrderEvent, Owner, SimulatedExchange, Update, UpdateBody};
use crate::strategy::MarketId;

/// One market's part.
#[derive(Clone, Debug)]
struct MarketTally {
    /// Of the net position (and of spot), of the long and of the short one.
    lots: [Lots; 3],
    closed: Closed,
    /// What a fill is worth in quote.
    worth: Worth,
    /// Bought less sold, in the instrument's units.
    position: i64,
    most: i64,
    base_volume: i128,
    quote_volume: i128,
    base: u16,
    quote: u16,
    /// A price unit × base's smallest unit is `base_fee.0 / base_fee.1` of quote's smallest.
    base_fee: (i128, i128),
    /// Units of a mark price in one of the instrument's.
    fine: i128,
}

/// What a fill of a market is worth in quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Worth {
    /// Price × quantity.
    Spot,
    /// Its value, in what it settles in (the quote).
    Settled,
    /// Price × quantity; it settles in base, through an index price. What closed earned is counted in quote too.
    Coin,
    /// Each contract is worth so much quote, in its smallest unit: `.0 / .1` for a quantity unit.
    Each(i128, i128),
    /// It settles in a third currency: nobody says.
    Unknown,
}

/// What is counted of one run.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) sent: u64,
    pub(super) filled: u64,
    pub(super) cancelled: u64,
    pub(super) rejected: u64,
    /// How many were refused for which reason.
    pub(super) reasons: BTreeMap<&'static str, u64>,
    pub(super) fills: u64,
    pub(super) makers: u64,
    /// How many fills rest on which evidence.
    pub(super) evidence: BTreeMap<&'static str, u64>,
    markets: Vec<MarketTally>,
    /// Paid by connector, then by asset.
    fees: Vec<Vec<Money>>,
    /// Received, in the same order.
    funding: Vec<Vec<Money>>,
    /// How many payments that were.
    pub(super) payments: u64,
    pub(super) liquidations: u64,
}

impl Tally {
    pub(super) fn new(hands: &Hands) -> Self {
        let mut markets = Vec::new();
        for venue in &hands.venues {
            for market in &venue.sim.config().markets {
                let instrument = &market.instrument;
                let asset = |asset| venue.sim.asset_index(asset).unwrap_or_default();
                let (base, quote) = (asset(&instrument.pair.base), asset(&instrument.pair.quote));
                let scale = |asset| u32::from(venue.sim.asset_scale(asset));
                let inverse = matches!(instrument.product, Product::Inverse { .. });
                markets.push(MarketTally {
                    lots: [(); 3].map(|()| Lots::new(inverse)),
                    closed: Closed::default(),
                    worth: match &market.contract {
                        Some(terms) if terms.through_index => Worth::Coin,
                        _ => Worth::of(instrument.product, u32::from(instrument.qty_scale), scale(quote)),
                    },
                    fine: 10_i128.pow(u32::from(FinePrice::SCALE.saturating_sub(instrument.price_scale))),
                    position: 0,
                    most: 0,
                    base_volume: 0,
                    quote_volume: 0,
                    base,
                    quote,
                    base_fee: {
                        let (have, want) = (scale(base) + u32::from(instrument.price_scale), scale(quote));
                        (10_i128.pow(want.saturating_sub(have)), 10_i128.pow(have.saturating_sub(want)))
                    },
                });
            }
        }
        let fees: Vec<Vec<Money>> =
            hands.venues.iter().map(|venue| vec![Money::ZERO; venue.sim.assets().len()]).collect();
        Self { markets, funding: fees.clone(), fees, ..Self::default() }
    }

    /// What a connector's exchange has said.
    pub(super) fn see(&mut self, venue: usize, first_market: u32, updates: &[Update]) {
        for update in updates {
            match &update.body {
                UpdateBody::Order(order) if order.account == ACCOUNT => match order.event {
                    OrderEvent::Rejected(reason) if order.order.is_some() => self.refused(reason),
                    OrderEvent::Cancelled(_) => self.cancelled += 1,
                    OrderEvent::Filled => {
                        let done = order.order.as_ref().is_some_and(|state| state.status.is_done());
                        self.filled += u64::from(done);
                    }
                    _ => {}
                },
                UpdateBody::Fill(fill) => self.fill(venue, first_market, fill),
                UpdateBody::Funding(payment) => {
                    self.payments += 1;
                    let sums = self.funding.get_mut(venue);
                    if let Some(sum) = sums.and_then(|sums| sums.get_mut(usize::from(payment.settle))) {
                        *sum += payment.amount;
                    }
                }
                UpdateBody::Liquidation(told) => {
                    self.liquidations += 1;
                    let market = (first_market + told.instrument.0) as usize;
                    if let Some(market) = self.markets.get_mut(market) {
                        market.liquidated(told);
                    }
                }
                _ => {}
            }
        }
    }

    #[cold]
    fn refused(&mut self, reason: RejectReason) {
        self.rejected += 1;
        *self.reasons.entry(reason.text()).or_default() += 1;
    }

    fn fill(&mut self, venue: usize, first_market: u32, fill: &Fill) {
        self.fills += 1;
        self.makers += u64::from(fill.liquidity == Liquidity::Maker);
        *self.evidence.entry(fill.evidence.name()).or_default() += 1;
        let paid = self.fees.get_mut(venue).and_then(|fees| fees.get_mut(usize::from(fill.fee_asset)));
        if let Some(paid) = paid {
            *paid += fill.fee;
        }
        let Some(market) = self.markets.get_mut((first_market + fill.instrument.0) as usize) else { return };
        let qty = fill.qty.units();
        market.position += if fill.side == Side::Buy { qty } else { -qty };
        market.most = market.most.max(market.position.abs());
        market.base_volume += i128::from(qty);
        market.quote_volume += market.in_quote(fill);
        let (value, fee, lots) = match &fill.position {
            Some(position) if market.worth == Worth::Coin => {
                (fill.quote.0, market.fee_in_quote(fill), lots_of(position.side))
            }
            Some(position) => (position.value.0, fill.fee.0, lots_of(position.side)),
            None => (fill.quote.0, market.fee_in_quote(fill), 0),
        };
        let closed = &mut market.closed;
        market.lots[lots].fill(fill.side, qty, value, fee, |gain| closed.add(gain));
    }

    /// Bought less sold, in the instrument's units.
    pub(super) fn position(&self, market: MarketId) -> i64 {
        self.markets.get(market.index()).map_or(0, |market| market.position)
    }

    /// The largest position, long or short, in the instrument's units.
    pub(super) fn max_position(&self, market: MarketId) -> i64 {
        self.markets.get(market.index()).map_or(0, |market| market.most)
    }

    /// Volume in base (the instrument's units) and in quote (its smallest unit).
    pub(super) fn volumes(&self, market: MarketId) -> (i128, i128) {
        self.markets.get(market.index()).map_or((0, 0), |market| (market.base_volume, market.quote_volume))
    }

    /// The closed quantities of a market.
    pub(super) fn closed(&self, market: MarketId) -> Closed {
        self.markets.get(market.index()).map(|market| market.closed).unwrap_or_default()
    }

    /// Funding received at a connector (negative where paid), by number of asset.
    pub(super) fn funding(&self, venue: usize) -> &[Money] {
        self.funding.get(venue).map_or(&[], Vec::as_slice)
    }

    /// Fees paid at a connector, by number of asset.
    pub(super) fn fees(&self, venue: usize) -> &[Money] {
        self.fees.get(venue).map_or(&[], Vec::as_slice)
    }
}

impl Worth {
    fn of(product: Product, qty_scale: u32, quote_scale: u32) -> Self {
        match product {
            Product::Spot => Self::Spot,
            Product::Linear { .. } => Self::Settled,
            Product::Quanto { .. } => Self::Unknown,
            Product::Inverse { multiplier } => {
                let (have, want) = (qty_scale + multiplier.scale(), quote_scale);
                let up = 10_i128.pow(want.saturating_sub(have)) * multiplier.mantissa();
                Self::Each(up, 10_i128.pow(have.saturating_sub(want)))
            }
        }
    }
}

/// Which lots a position's fills are counted in.
fn lots_of(side: PositionSide) -> usize {
    match side {
        PositionSide::Net => 0,
        PositionSide::Long => 1,
        PositionSide::Short => 2,
    }
}

impl MarketTally {
    /// What a fill was worth in quote.
    fn in_quote(&self, fill: &Fill) -> i128 {
        let value = fill.position.as_ref().map_or(0, |position| position.value.0);
        match self.worth {
            Worth::Spot | Worth::Coin => fill.quote.0,
            Worth::Settled => value,
            Worth::Each(up, down) => i128::from(fill.qty.units()) * up / down,
            Worth::Unknown => 0,
        }
    }

    /// A position is gone: it earned what its account got, less the fees of its fills.
    fn liquidated(&mut self, told: &Liquidation) {
        let qty = told.qty.units();
        self.position -= qty;
        let side = if qty < 0 { Side::Sell } else { Side::Buy };
        let amount = match self.worth {
            Worth::Coin => {
                let (up, down) = self.base_fee;
                told.amount.0 * i128::from(told.mark.units()) * up / (down * self.fine)
            }
            _ => told.amount.0,
        };
        let closed = &mut self.closed;
        self.lots[lots_of(told.side)].taken(side, qty.abs(), amount, |gain| closed.add(gain));
    }

    /// The fee in quote: as it is, or at the fill's price where it is paid in base. A third asset has no price here and
    /// counts as nothing.
    fn fee_in_quote(&self, fill: &Fill) -> i128 {
        match fill.fee_asset {
            asset if asset == self.quote => fill.fee.0,
            asset if asset == self.base => {
                fill.fee.0 * i128::from(fill.price.units()) * self.base_fee.0 / self.base_fee.1
            }
            _ => 0,
        }
    }
}

/// The names of those whose money the ledger counts.
pub(super) fn owner_name(owner: Owner, account: &str) -> &str {
    match owner {
        Owner::Account(_) => account,
        Owner::Market => "@market",
        Owner::Fees => "@fees",
        Owner::Funding => "@funding",
        Owner::Insurance => "@insurance",
        Owner::Deposits => "@deposits",
    }
}

/// What an exchange's assets are called.
pub(super) fn asset_name(sim: &SimulatedExchange, asset: u16) -> &str {
    sim.assets().get(usize::from(asset)).map_or("", |asset| asset.as_str())
}
