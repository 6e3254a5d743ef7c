//! What the market makers share: a reference price, levels of bids and asks around it, and when they are placed anew.
//!
//! Formulas: Hummingbot's `pure_market_making.pyx`, restated; its `perpetual_market_making.py` has the same ones.
//! Never here: what an account can pay, what becomes of a position.

use std::time::Duration;

use rust_decimal::Decimal;

use super::parameters::Values;
use super::{MarketId, OwnOrder, OwnState, StrategyError, Trading, mid_price, touch};
use crate::connector::OwnOrders;
use crate::market::{Price, Qty, Side, Timestamp};

/// How often market makers look.
pub(super) const TICK: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PriceSource {
    Mid,
    BestBid,
    BestAsk,
    Last,
    LastOwn,
}

/// Where bids and asks are wanted, and when.
#[derive(Clone, Debug)]
pub(super) struct Quoter {
    /// Bid and ask, as fractions.
    spreads: [Decimal; 2],
    amount: Option<Decimal>,
    refresh: Duration,
    /// As a fraction; negative: no tolerance.
    tolerance: Decimal,
    levels: i64,
    level_spread: Decimal,
    level_amount: Decimal,
    pub(super) delay: Duration,
    minimum_spread: Decimal,
    source: PriceSource,
    pub(super) market: MarketId,
    /// Not before this time are orders placed, and cancelled.
    pub(super) place_at: Timestamp,
    cancel_at: Timestamp,
}

/// An order that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) side: Side,
    pub(super) price: Price,
    pub(super) amount: Decimal,
}

impl Quoter {
    pub(super) fn new(values: &Values) -> Result<Self, StrategyError> {
        let sources = [
            ("mid_price", PriceSource::Mid),
            ("best_bid", PriceSource::BestBid),
            ("best_ask", PriceSource::BestAsk),
            ("last_price", PriceSource::Last),
            ("last_own_trade_price", PriceSource::LastOwn),
        ];
        Ok(Self {
            spreads: [values.percent("bid_spread", 0..=100)?, values.percent("ask_spread", 0..=100)?],
            amount: values.amount("order_amount")?,
            refresh: values.seconds("order_refresh_time")?,
            tolerance: values.percent("order_refresh_tolerance_pct", -10..=10)?,
            levels: values.whole("order_levels", 1..=100)?,
            level_spread: values.percent("order_level_spread", 0..=100)?,
            level_amount: values.decimal("order_level_amount")?,
            delay: values.seconds("filled_order_delay")?,
            minimum_spread: values.percent("minimum_spread", -100..=100)?,
            source: values.one_of("price_type", &sources)?,
            market: MarketId::default(),
            place_at: Timestamp::MIN,
            cancel_at: Timestamp::MIN,
        })
    }

    /// The price that orders are placed around.
    pub(super) fn reference(&self, desk: &dyn Trading) -> Option<Decimal> {
        let instrument = &desk.markets().get(self.market.index())?.instrument;
        let price = match self.source {
            PriceSource::Mid => return mid_price(desk, self.market),
            PriceSource::BestBid => touch(desk, self.market, Side::Buy),
            PriceSource::BestAsk => touch(desk, self.market, Side::Sell),
            PriceSource::Last => desk.last_trade(self.market),
            // Before the first own fill there is none: the mid stands in.
            PriceSource::LastOwn => match desk.last_own_trade(self.market) {
                None => return mid_price(desk, self.market),
                own => own,
            },
        };
        price.map(|price| instrument.price_decimal(price))
    }

    /// Sets the amount that was left to the market's rules: ten times the smallest legal one. `None` where the market
    /// has no such price.
    pub(super) fn settle_amount(&mut self, desk: &dyn Trading, reference: Decimal) -> Option<Decimal> {
        if self.amount.is_none() {
            let market = desk.markets().get(self.market.index())?;
            let price = market.price(Side::Buy, reference)?;
            let smallest = market.instrument.qty_decimal(market.smallest_amount(price));
            self.amount = Some((smallest * Decimal::TEN).normalize());
        }
        self.amount
    }

    /// The amounts of a side's levels, best first.
    fn sizes(&self) -> impl Iterator<Item = Decimal> + Clone + '_ {
        let amount = self.amount.unwrap_or_default();
        (0..self.levels)
            .map(move |level| (amount + Decimal::from(level) * self.level_amount).max(Decimal::ZERO))
    }

    /// The amounts of all levels of both sides together.
    pub(super) fn total_amount(&self) -> Decimal {
        self.sizes().sum::<Decimal>() * Decimal::TWO
    }

    /// The orders around a price, best first on each side, before the account is asked; amounts of bids and asks times
    /// their ratio.
    pub(super) fn wanted(&self, desk: &dyn Trading, reference: Decimal, ratios: [Decimal; 2]) -> Vec<Wanted> {
        let Some(market) = desk.markets().get(self.market.index()) else { return Vec::new() };
        let mut all = Vec::new();
        for side in Side::BOTH {
            for (level, size) in (0..self.levels).zip(self.sizes()) {
                let away = self.spreads[side.index()] + Decimal::from(level) * self.level_spread;
                let factor = if side == Side::Buy { Decimal::ONE - away } else { Decimal::ONE + away };
                let price = reference.checked_mul(factor).and_then(|price| market.price(side, price));
                let amount = size * ratios[side.index()];
                all.extend(price.map(|price| Wanted { side, price, amount }));
            }
        }
        all
    }

    /// Whether an order would meet the market instead of joining it.
    pub(super) fn would_take(&self, desk: &dyn Trading, want: &Wanted) -> bool {
        let best = desk.best_price(self.market, want.side.opposite(), OwnOrders::Without);
        best.is_some_and(|best| want.side.crosses(want.price, best))
    }

    /// Whether all orders stand where they would be placed now, within the tolerance.
    fn still_good(&self, desk: &dyn Trading, wanted: &[Wanted]) -> bool {
        if self.tolerance.is_sign_negative() {
            return false;
        }
        Side::BOTH.into_iter().all(|side| {
            let mut now: Vec<Price> = desk
                .orders()
                .iter()
                .filter(|order| order.ask.side == side)
                .filter_map(|o| o.ask.price)
                .collect();
            let mut then: Vec<Price> =
                wanted.iter().filter(|want| want.side == side).map(|want| want.price).collect();
            now.sort_unstable();
            then.sort_unstable();
            let near = |(a, b): (&Price, &Price)| {
                let (a, b) = (Decimal::from(a.units()), Decimal::from(b.units()));
                (a - b).abs() <= self.tolerance * a
            };
            now.len() == then.len() && now.iter().zip(&then).all(near)
        })
    }

    /// Cancels orders that are older than the refresh time: all of them, or none where they still stand well.
    pub(super) fn cancel_old(&mut self, desk: &mut dyn Trading, wanted: &[Wanted]) {
        if desk.now() < self.cancel_at || desk.orders().is_empty() {
            return;
        }
        if self.still_good(desk, wanted) {
            self.set_times(desk.now());
        } else {
            desk.cancel_all();
        }
    }

    /// Orders that came too near to the price go.
    pub(super) fn cancel_near(&self, desk: &mut dyn Trading, reference: Decimal) {
        let Some(market) = desk.markets().get(self.market.index()) else { return };
        let instrument = &market.instrument;
        let is_near = |order: &&OwnOrder| {
            let Some(price) = order.ask.price.map(|price| instrument.price_decimal(price)) else {
                return false;
            };
            let away = if order.ask.side == Side::Buy { reference - price } else { price - reference };
            away < self.minimum_spread * reference
        };
        let near: Vec<_> = desk.orders().iter().filter(is_near).map(|order| order.key).collect();
        near.into_iter().for_each(|key| desk.cancel(key));
    }

    /// Whether new orders may be placed.
    pub(super) fn may_place(&self, desk: &dyn Trading) -> bool {
        self.place_at <= desk.now() && desk.orders().is_empty()
    }

    /// The next cycle begins.
    pub(super) fn set_times(&mut self, now: Timestamp) {
        let next = now.plus(self.refresh);
        if self.place_at <= now {
            self.place_at = next;
        }
        if self.cancel_at <= now {
            self.cancel_at = self.place_at.min(next);
        }
    }

    /// An order filled whole: the next ones wait.
    pub(super) fn completed(&mut self, now: Timestamp) {
        self.place_at = now.plus(self.delay);
        self.cancel_at = self.cancel_at.min(self.place_at);
    }

    /// Parameters that were settled at the start.
    pub(super) fn settled(&self) -> Vec<(&'static str, String)> {
        self.amount.iter().map(|amount| ("order_amount", amount.normalize().to_string())).collect()
    }

    /// What it does at the moment, a line each.
    pub(super) fn status(&self, desk: &dyn Trading) -> Vec<String> {
        let Some(market) = desk.markets().get(self.market.index()) else { return Vec::new() };
        let instrument = &market.instrument;
        let price = self.reference(desk).map_or_else(|| "none".to_owned(), |p| p.normalize().to_string());
        let open = desk.orders().iter().filter(|order| order.state != OwnState::Sent).count();
        let position: Qty = desk.position(self.market);
        vec![
            format!("price {price}, orders {open}, bought less sold {}", instrument.show_qty(position)),
            format!(
                "next orders not before {}, next refresh at {}",
                self.place_at.max(desk.now()),
                self.cancel_at.max(desk.now())
            ),
        ]
    }
}
