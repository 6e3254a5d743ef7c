//! `pure_market_making`: bids and asks around the mid, placed anew again and again, as Hummingbot's strategy does.
//!
//! Each second: orders older than the refresh time are cancelled (all of them, or none where no price would move by more
//! than the tolerance); where no order is left and the delay after a fill is over, new ones are placed. Prices are taken
//! without the own orders; bids go down to the tick, asks up. Orders that would take are left out, and amounts are cut to
//! what the account can pay, as Hummingbot does.
//!
//! Formulas: Hummingbot's `pure_market_making.pyx` and `inventory_skew_calculator.pyx`, restated.

use std::time::Duration;

use rust_decimal::Decimal;

use super::parameters::Values;
use super::{Ask, MarketId, News, OwnOrder, OwnState, Strategy, StrategyError, Trading, mid_price, touch};
use crate::connector::OwnOrders;
use crate::market::{Price, Product, Qty, Side, Timestamp};
use crate::order::OrderKind;

/// How often it looks.
const TICK: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PriceSource {
    Mid,
    BestBid,
    BestAsk,
    Last,
    LastOwn,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct PureMarketMaking {
    /// Bid and ask, as fractions.
    spreads: [Decimal; 2],
    amount: Option<Decimal>,
    refresh: Duration,
    /// As a fraction; negative: no tolerance.
    tolerance: Decimal,
    levels: i64,
    level_spread: Decimal,
    level_amount: Decimal,
    delay: Duration,
    minimum_spread: Decimal,
    source: PriceSource,
    skew: bool,
    target: Decimal,
    range: Decimal,
    market: MarketId,
    /// Not before this time are orders placed, and cancelled.
    place_at: Timestamp,
    cancel_at: Timestamp,
}

/// An order that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wanted {
    side: Side,
    price: Price,
    amount: Decimal,
}

impl PureMarketMaking {
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
            skew: values.flag("inventory_skew_enabled")?,
            target: values.percent("inventory_target_base_pct", 0..=100)?,
            range: values.positive("inventory_range_multiplier")?,
            market: MarketId::default(),
            place_at: Timestamp::MIN,
            cancel_at: Timestamp::MIN,
        })
    }

    /// The price that orders are placed around.
    fn reference(&self, desk: &dyn Trading) -> Option<Decimal> {
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

    /// The orders around a price, best first on each side, before the account is asked.
    fn wanted(&self, desk: &dyn Trading, reference: Decimal) -> Vec<Wanted> {
        let Some(market) = desk.markets().get(self.market.index()) else { return Vec::new() };
        let amount = self.amount.unwrap_or_default();
        let sizes = (0..self.levels)
            .map(|level| (amount + Decimal::from(level) * self.level_amount).max(Decimal::ZERO));
        let total: Decimal = sizes.clone().sum::<Decimal>() * Decimal::TWO;
        let ratios = if self.skew { self.ratios(desk, reference, total) } else { [Decimal::ONE; 2] };
        let mut all = Vec::new();
        for side in Side::BOTH {
            for (level, size) in (0..self.levels).zip(sizes.clone()) {
                let away = self.spreads[side.index()] + Decimal::from(level) * self.level_spread;
                let factor = if side == Side::Buy { Decimal::ONE - away } else { Decimal::ONE + away };
                let price = reference.checked_mul(factor).and_then(|price| market.price(side, price));
                let amount = size * ratios[side.index()];
                all.extend(price.map(|price| Wanted { side, price, amount }));
            }
        }
        all
    }

    /// By how much bids and asks are larger or smaller, from 0 to 2, so that base comes nearer to its target.
    fn ratios(&self, desk: &dyn Trading, price: Decimal, total_amount: Decimal) -> [Decimal; 2] {
        let (base, quote) = (desk.base(self.market).total, desk.quote(self.market).total);
        skew_ratios(base, quote, price, self.target, total_amount * self.range)
    }

    /// Cuts amounts to what the account can pay, best level first, and leaves out what would take. What contracts need is
    /// for the exchange to say.
    fn affordable(&self, desk: &dyn Trading, wanted: &[Wanted]) -> Vec<Ask> {
        let Some(market) = desk.markets().get(self.market.index()) else { return Vec::new() };
        let instrument = &market.instrument;
        let mut quote = desk.quote(self.market).available;
        let mut base = desk.base(self.market).available;
        let fee = market.maker.to_decimal().max(Decimal::ZERO);
        let best = |side: Side| desk.best_price(self.market, side, OwnOrders::Without);
        let mut asks = Vec::new();
        for want in wanted {
            if best(want.side.opposite()).is_some_and(|other| want.side.crosses(want.price, other)) {
                continue;
            }
            let price = instrument.price_decimal(want.price);
            let cost = price * (Decimal::ONE + fee);
            let most = match want.side {
                _ if instrument.product != Product::Spot => Some(want.amount),
                Side::Buy => quote.checked_div(cost),
                Side::Sell => Some(base),
            };
            let amount = want.amount.min(most.unwrap_or_default().max(Decimal::ZERO));
            let Some(qty) = market.amount(amount) else { continue };
            if qty < market.smallest_amount(want.price) {
                continue;
            }
            let amount = instrument.qty_decimal(qty);
            match want.side {
                _ if instrument.product != Product::Spot => {}
                Side::Buy => quote -= amount * cost,
                Side::Sell => base -= amount,
            }
            let (market, side, kind, price) =
                (self.market, want.side, OrderKind::LimitMaker, Some(want.price));
            asks.push(Ask { market, side, kind, price, qty });
        }
        asks
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

    fn cancel_old(&mut self, desk: &mut dyn Trading, wanted: &[Wanted]) {
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
    fn cancel_near(&self, desk: &mut dyn Trading, reference: Decimal) {
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

    /// The next cycle begins.
    fn set_times(&mut self, now: Timestamp) {
        let next = now.plus(self.refresh);
        if self.place_at <= now {
            self.place_at = next;
        }
        if self.cancel_at <= now {
            self.cancel_at = self.place_at.min(next);
        }
    }
}

/// The factors of bid and ask amounts: 1 each at the target, 2 and 0 at `range` of base below it, 0 and 2 above.
fn skew_ratios(
    base: Decimal,
    quote: Decimal,
    price: Decimal,
    target: Decimal,
    range: Decimal,
) -> [Decimal; 2] {
    let none = [Decimal::ZERO; 2];
    let Some(base_value) = base.checked_mul(price) else { return none };
    let total = base_value.saturating_add(quote);
    if total <= Decimal::ZERO || range <= Decimal::ZERO {
        return none;
    }
    let range_value = range.saturating_mul(price).min(total / Decimal::TWO);
    let target_value = total * target;
    let left = (target_value - range_value).max(Decimal::ZERO);
    let right = target_value + range_value;
    let share = |from: Decimal, to: Decimal| match (base_value - from).checked_div(to - from) {
        Some(share) => share.clamp(Decimal::ZERO, Decimal::ONE),
        None => Decimal::ONE,
    };
    let bid = if base_value < target_value {
        Decimal::TWO - share(left, target_value)
    } else {
        Decimal::ONE - share(target_value, right)
    };
    [bid, Decimal::TWO - bid]
}

impl Strategy for PureMarketMaking {
    fn start(&mut self, desk: &mut dyn Trading) -> Result<Option<Timestamp>, StrategyError> {
        self.market = desk.first();
        let next = self.tick(desk);
        Ok(next)
    }

    fn tick(&mut self, desk: &mut dyn Trading) -> Option<Timestamp> {
        let next = desk.now().plus(TICK);
        let Some(reference) = self.reference(desk) else { return Some(next) };
        if self.amount.is_none() {
            let market = desk.markets().get(self.market.index())?;
            let price = market.price(Side::Buy, reference)?;
            let smallest = market.instrument.qty_decimal(market.smallest_amount(price));
            self.amount = Some((smallest * Decimal::TEN).normalize());
        }
        let wanted = self.wanted(desk, reference);
        self.cancel_old(desk, &wanted);
        self.cancel_near(desk, reference);
        if self.place_at <= desk.now() && desk.orders().is_empty() {
            let asks = self.affordable(desk, &wanted);
            if !asks.is_empty() {
                self.set_times(desk.now());
            }
            asks.into_iter().for_each(|ask| _ = desk.place(ask));
        }
        Some(next)
    }

    fn on_order(&mut self, desk: &mut dyn Trading, _: &OwnOrder, news: News) {
        if news == News::Completed {
            self.place_at = desk.now().plus(self.delay);
            self.cancel_at = self.cancel_at.min(self.place_at);
        }
    }

    fn settled(&self) -> Vec<(&'static str, String)> {
        self.amount.iter().map(|amount| ("order_amount", amount.normalize().to_string())).collect()
    }

    fn status(&self, desk: &dyn Trading) -> Vec<String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_lean_towards_the_target() {
        // base, quote, price, target, range of base, then the factors of bids and asks.
        for (row, want) in [
            (["10", "1000", "100", "0.5", "2"], ["1", "1"]),
            (["8", "1200", "100", "0.5", "2"], ["2", "0"]),
            (["9", "1100", "100", "0.5", "2"], ["1.5", "0.5"]),
            (["11", "900", "100", "0.5", "2"], ["0.5", "1.5"]),
            (["20", "0", "100", "0.5", "2"], ["0", "2"]),
            (["0", "2000", "100", "0.5", "100"], ["2", "0"]),
            (["5", "1500", "100", "0.5", "100"], ["1.5", "0.5"]),
            (["0", "0", "100", "0.5", "2"], ["0", "0"]),
            (["1", "0", "100", "0", "1"], ["0", "2"]),
        ] {
            let [base, quote, price, target, range] = row.map(|text| text.parse().unwrap());
            let want = want.map(|text| text.parse::<Decimal>().unwrap());
            assert_eq!(skew_ratios(base, quote, price, target, range), want, "{row:?}");
        }
    }
}
