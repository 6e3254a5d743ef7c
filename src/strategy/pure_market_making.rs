//! `pure_market_making`: bids and asks around the mid, placed anew again and again, as Hummingbot's strategy does.
//!
//! Each second: orders older than the refresh time are cancelled (all of them, or none where no price would move by more
//! than the tolerance); where no order is left and the delay after a fill is over, new ones are placed. Prices are taken
//! without the own orders; bids go down to the tick, asks up. Orders that would take are left out, and amounts are cut to
//! what the account can pay, as Hummingbot does.
//!
//! Formulas: Hummingbot's `pure_market_making.pyx` and `inventory_skew_calculator.pyx`, restated; what its market makers
//! share is in `quoter`.

use rust_decimal::Decimal;

use super::parameters::Values;
use super::quoter::{Quoter, TICK, Wanted};
use super::{Ask, News, OwnOrder, Strategy, StrategyError, Trading};
use crate::market::{Product, Side, Timestamp};
use crate::order::{OrderKind, PositionEffect};

/// See the module.
#[derive(Clone, Debug)]
pub struct PureMarketMaking {
    quoter: Quoter,
    skew: bool,
    target: Decimal,
    range: Decimal,
}

impl PureMarketMaking {
    pub(super) fn new(values: &Values) -> Result<Self, StrategyError> {
        Ok(Self {
            quoter: Quoter::new(values)?,
            skew: values.flag("inventory_skew_enabled")?,
            target: values.percent("inventory_target_base_pct", 0..=100)?,
            range: values.positive("inventory_range_multiplier")?,
        })
    }

    /// By how much bids and asks are larger or smaller, from 0 to 2, so that base comes nearer to its target.
    fn ratios(&self, desk: &dyn Trading, price: Decimal) -> [Decimal; 2] {
        if !self.skew {
            return [Decimal::ONE; 2];
        }
        let market = self.quoter.market;
        let (base, quote) = (desk.base(market).total, desk.quote(market).total);
        skew_ratios(base, quote, price, self.target, self.quoter.total_amount() * self.range)
    }

    /// Cuts amounts to what the account can pay, best level first, and leaves out what would take. What contracts need is
    /// for the exchange to say.
    fn affordable(&self, desk: &dyn Trading, wanted: &[Wanted]) -> Vec<Ask> {
        let id = self.quoter.market;
        let Some(market) = desk.markets().get(id.index()) else { return Vec::new() };
        let instrument = &market.instrument;
        let mut quote = desk.quote(id).available;
        let mut base = desk.base(id).available;
        let fee = market.maker.to_decimal().max(Decimal::ZERO);
        let mut asks = Vec::new();
        for want in wanted.iter().filter(|want| !self.quoter.would_take(desk, want)) {
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
            let (side, kind, price) = (want.side, OrderKind::LimitMaker, Some(want.price));
            asks.push(Ask { market: id, side, kind, price, qty, effect: PositionEffect::Net });
        }
        asks
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
        self.quoter.market = desk.first();
        let market = desk.markets().get(self.quoter.market.index());
        if self.skew && market.is_some_and(|market| market.instrument.product != Product::Spot) {
            let what = "inventory_skew_enabled: a contract has no inventory of base and quote; leave it out, or use \
                        perpetual_market_making";
            return Err(StrategyError::Market(what.to_owned()));
        }
        let next = self.tick(desk);
        Ok(next)
    }

    fn tick(&mut self, desk: &mut dyn Trading) -> Option<Timestamp> {
        let next = desk.now().plus(TICK);
        let Some(reference) = self.quoter.reference(desk) else { return Some(next) };
        self.quoter.settle_amount(desk, reference)?;
        let ratios = self.ratios(desk, reference);
        let wanted = self.quoter.wanted(desk, reference, ratios);
        self.quoter.cancel_old(desk, &wanted);
        self.quoter.cancel_near(desk, reference);
        if self.quoter.may_place(desk) {
            let asks = self.affordable(desk, &wanted);
            if !asks.is_empty() {
                self.quoter.set_times(desk.now());
            }
            asks.into_iter().for_each(|ask| _ = desk.place(ask));
        }
        Some(next)
    }

    fn on_order(&mut self, desk: &mut dyn Trading, _: &OwnOrder, news: News) {
        if news == News::Completed {
            self.quoter.completed(desk.now());
        }
    }

    fn settled(&self) -> Vec<(&'static str, String)> {
        self.quoter.settled()
    }

    fn status(&self, desk: &dyn Trading) -> Vec<String> {
        self.quoter.status(desk)
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
