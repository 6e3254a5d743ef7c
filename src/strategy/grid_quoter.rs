//! `grid_quoter`: one post-only bid and one post-only ask a few ticks around the mid, looked at again and again.
//!
//! The quoting rule is that of the benchmark script that runs hftbacktest, to the letter: with best bid and ask in ticks,
//! the bid goes to ⌊(bid + ask) / 2⌋ − k and the ask to ⌈(bid + ask) / 2⌉ + k, never past the own side's best. An order
//! whose price moved is cancelled and its successor sent in the same look; an order that is still on its way, or whose
//! cancel is, is left alone until the next look.

use std::time::Duration;

use super::parameters::Values;
use super::{Ask, MarketId, OrderKey, OwnState, Strategy, StrategyError, Trading};
use crate::connector::OwnOrders;
use crate::market::{Price, Qty, Side, Timestamp};
use crate::order::{OrderKind, PositionEffect};

/// See the module.
#[derive(Clone, Debug)]
pub struct GridQuoter {
    ticks: i64,
    interval: Duration,
    amount: rust_decimal::Decimal,
    max: rust_decimal::Decimal,
    market: MarketId,
    tick: i64,
    qty: Qty,
    max_position: Qty,
    /// Bid and ask: the order that was sent last, and its price in ticks.
    quotes: [Option<(OrderKey, i64)>; 2],
    next: Timestamp,
}

impl GridQuoter {
    pub(super) fn new(values: &Values) -> Result<Self, StrategyError> {
        Ok(Self {
            ticks: values.whole("k", 0..=1_000_000)?,
            interval: values.millis("requote_ms")?,
            amount: values.positive("qty")?,
            max: values.positive("max_pos")?,
            market: MarketId::default(),
            tick: 1,
            qty: Qty::ZERO,
            max_position: Qty::ZERO,
            quotes: [None; 2],
            next: Timestamp::MIN,
        })
    }

    /// The prices to quote, in ticks: bid and ask.
    fn targets(&self, bid: i64, ask: i64) -> [i64; 2] {
        let twice_mid = bid + ask;
        let low = twice_mid.div_euclid(2) - self.ticks;
        let high = (twice_mid + 1).div_euclid(2) + self.ticks;
        [low.min(bid), high.max(ask)]
    }

    /// Cancels the quote of a side if it must go; whether an order of it stays.
    fn keep(&mut self, desk: &mut dyn Trading, side: Side, target: i64, wanted: bool) -> bool {
        let Some((key, price)) = self.quotes[side.index()] else { return false };
        let Some(order) = desk.orders().iter().find(|order| order.key == key) else { return false };
        if (price != target || !wanted) && order.state == OwnState::Open {
            desk.cancel(key);
            return false;
        }
        true
    }

    fn look(&mut self, desk: &mut dyn Trading) {
        let best = |side| desk.best_price(self.market, side, OwnOrders::Without).map(Price::units);
        let (Some(bid), Some(ask)) = (best(Side::Buy), best(Side::Sell)) else { return };
        let (bid, ask) = (bid.div_euclid(self.tick), ask.div_euclid(self.tick));
        if bid <= 0 || bid >= ask {
            return;
        }
        let targets = self.targets(bid, ask);
        let position = desk.position(self.market).units();
        let most = self.max_position.units();
        let wanted = [position < most, position > -most];
        let kept = Side::BOTH.map(|side| self.keep(desk, side, targets[side.index()], wanted[side.index()]));
        for side in Side::BOTH {
            let at = side.index();
            if wanted[at] && !kept[at] {
                let price = Some(Price::from_units(targets[at] * self.tick));
                let (market, kind, qty) = (self.market, OrderKind::LimitMaker, self.qty);
                let effect = PositionEffect::Net;
                let key = desk.place(Ask { market, side, kind, price, qty, effect });
                self.quotes[at] = Some((key, targets[at]));
            }
        }
    }
}

impl Strategy for GridQuoter {
    fn start(&mut self, desk: &mut dyn Trading) -> Result<Option<Timestamp>, StrategyError> {
        self.market = desk.first();
        let Some(market) = desk.markets().get(self.market.index()) else { return Ok(None) };
        self.tick = market.instrument.rule.tick.units();
        let amount = |key: &str, amount| {
            let qty = market.amount(amount).filter(|qty| !qty.is_zero());
            let pair = &market.instrument.pair;
            qty.ok_or_else(|| StrategyError::Market(format!("{key} = {amount}: no amount of {pair}")))
        };
        self.qty = amount("qty", self.amount)?;
        self.max_position = amount("max_pos", self.max)?;
        self.next = desk.now().plus(self.interval);
        Ok(Some(self.next))
    }

    fn tick(&mut self, desk: &mut dyn Trading) -> Option<Timestamp> {
        self.look(desk);
        self.next = self.next.plus(self.interval);
        Some(self.next)
    }

    fn status(&self, desk: &dyn Trading) -> Vec<String> {
        let Some(market) = desk.markets().get(self.market.index()) else { return Vec::new() };
        let instrument = &market.instrument;
        let (most, position) = (self.max_position, desk.position(self.market));
        vec![format!("position {} of at most {}", instrument.show_qty(position), instrument.show_qty(most))]
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Parameters, find};
    use super::*;

    #[test]
    fn half_ticks_go_down_for_bids_and_up_for_asks() {
        let kind = find("grid_quoter").unwrap();
        let grid = GridQuoter::new(&kind.values(&Parameters::default()).unwrap()).unwrap();
        for (bid, ask, want) in [
            (1000, 1001, [998, 1003]),
            (1000, 1002, [999, 1003]),
            (1000, 1010, [1000, 1010]),
            (1000, 1005, [1000, 1005]),
            (1000, 1003, [999, 1004]),
        ] {
            assert_eq!(grid.targets(bid, ask), want, "{bid} / {ask}");
        }
    }
}
