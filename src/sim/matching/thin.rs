//! Rule 14: markets without a book. Takers wait for what the tape shows next: prints, or the open of a candle.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Slot;
use super::floor::Floor;
use super::taking::{Stopped, Taker};
use crate::market::{FeedDepth, Price, Print, Qty, Side, Timestamp};
use crate::order::{CancelReason, Evidence, OrderId, OrderKind, OrderStatus, TimeInForce};

/// For how long a taker waits for prints.
const PATIENCE: Duration = Duration::from_secs(60);
/// Orders may fill this part of a candle's volume.
const SHARE: i64 = 10;

/// What a market without a book remembers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Thin {
    /// Takers that wait, oldest first, and until when (candles: for the next open, whenever that is).
    takers: VecDeque<(OrderId, Timestamp)>,
    /// What orders may still fill of the candle.
    left: Qty,
    /// Whether the next point of the path is a candle's open.
    opens: bool,
}

impl Thin {
    /// Whether an order waits here.
    pub(crate) fn holds(&self, id: OrderId) -> bool {
        self.takers.iter().any(|(waiting, _)| *waiting == id)
    }

    /// The takers that wait, oldest first.
    pub(super) fn takers(&self) -> impl Iterator<Item = OrderId> {
        self.takers.iter().map(|(id, _)| *id)
    }

    /// Forgets an order; until when it would have waited, if it did.
    pub(super) fn forget(&mut self, id: OrderId) -> Option<Timestamp> {
        let at = self.takers.iter().position(|(waiting, _)| *waiting == id)?;
        self.takers.remove(at).map(|(_, until)| until)
    }

    /// A candle begins. One in which nothing traded opens nothing.
    pub(super) fn begin(&mut self, volume: Qty, lot: Qty) {
        self.left = Qty::from_units(volume.units() / SHARE).floor_to(lot);
        self.opens = !volume.is_zero();
    }
}

impl Floor<'_> {
    /// Whether what is left of a taker waits: there is no book that could have been exhausted.
    pub(super) fn waits(&self, kind: OrderKind, tif: TimeInForce) -> bool {
        let takes = kind == OrderKind::Market || tif == TimeInForce::Ioc;
        self.market.depth.is_thin() && takes && tif != TimeInForce::Fok
    }

    /// A taker waits for what the tape shows next.
    pub(super) fn wait(&mut self, slot: Slot) {
        let id = self.orders.live(slot).id;
        let until = match self.market.depth {
            FeedDepth::Candles => Timestamp::MAX,
            _ => self.now.plus(PATIENCE),
        };
        self.market.thin.takers.push_back((id, until));
        if until < Timestamp::MAX {
            self.schedule.expire_at(until, id);
        }
    }

    /// A print fills takers of its own direction at its price, up to its size. Where nobody says who took, nobody
    /// knows its direction.
    pub(super) fn print_to_takers(&mut self, print: &Print) {
        if let Some(side) = print.aggressor {
            self.serve_takers(print.qty, |taker| (taker == side).then_some(print.price));
        }
    }

    /// A point of a candle's path: it fills resting orders that it goes through; at the open takers fill too, at a
    /// price moved against them. All of it together is a part of the candle's volume.
    pub(super) fn path(&mut self, price: Price, event_time: Timestamp) {
        for side in Side::BOTH {
            let left = self.market.thin.left;
            self.market.thin.left = self.print_through(side, price, left, event_time);
        }
        if std::mem::take(&mut self.market.thin.opens) {
            let left = self.market.thin.left;
            let [bought, sold] = Side::BOTH.map(|side| self.moved(side, price));
            let at = move |side| Some(if side == Side::Buy { bought } else { sold });
            self.market.thin.left = self.serve_takers(left, at);
            let rest: Vec<OrderId> = self.market.thin.takers().collect();
            for slot in rest.into_iter().filter_map(|id| self.orders.find(id)).collect::<Vec<_>>() {
                self.cancel(slot, CancelReason::BookExhausted);
            }
        }
    }

    /// A price moved against a taker by half of the assumed spread, on to the tick.
    fn moved(&self, side: Side, price: Price) -> Price {
        const TWO: i128 = 2_000_000_000;
        let (rate, tick) =
            (i128::from(self.config.assume_spread.0), i128::from(self.market.instrument.rule.tick.units()));
        let units = i128::from(price.units());
        let ticks = match side {
            Side::Buy => {
                let (up, down) = (units * (TWO + rate), TWO * tick);
                up.div_euclid(down) + i128::from(up.rem_euclid(down) != 0)
            }
            Side::Sell => (units * (TWO - rate)).div_euclid(TWO * tick),
        };
        Price::from_units(i64::try_from(ticks.max(1) * tick).unwrap_or(i64::MAX))
    }

    /// Fills takers, oldest first, at the price that `at` gives their side, up to `there` together. Returns what is
    /// left.
    fn serve_takers(&mut self, there: Qty, at: impl Fn(Side) -> Option<Price>) -> Qty {
        let mut left = there;
        if self.market.thin.takers.is_empty() {
            return left;
        }
        let takers: Vec<OrderId> = self.market.thin.takers().collect();
        for slot in takers.into_iter().filter_map(|id| self.orders.find(id)).collect::<Vec<_>>() {
            let there = left.floor_to(self.market.lot());
            let side = self.orders.live(slot).side;
            if let Some(price) = at(side)
                && !there.is_zero()
            {
                left -= self.serve_taker(slot, side, price, there);
            }
        }
        left
    }

    /// Fills one taker with what it wants of `there`, and ends it where it is whole or can pay no more.
    fn serve_taker(&mut self, slot: Slot, side: Side, price: Price, there: Qty) -> Qty {
        let live = self.orders.live(slot);
        let limit = (live.kind != OrderKind::Market).then_some(live.price);
        if !self.takes_at(side, limit, price) {
            return Qty::ZERO;
        }
        let details = self.orders.details(slot);
        let budget = details.quote_qty().map(|quote| quote - details.filled_quote);
        let mut taker = Taker { slot, limit, budget, unheld: limit.is_none() };
        let wanted = self.wants(&taker, side, price, there).and_then(|qty| {
            let base = self.accounts.balance(live.account, self.market.units.base).available();
            let short = taker.unheld
                && side == Side::Sell
                && !self.is_contract()
                && self.market.units.base(qty) > base;
            if short { Err(Stopped::Spent) } else { Ok(qty) }
        });
        let (filled, stopped) = match wanted {
            Ok(qty) => (qty, self.took(&mut taker, side, price, qty, there, Evidence::Thin)),
            Err(stopped) => (Qty::ZERO, Some(stopped)),
        };
        match stopped {
            Some(Stopped::Whole) if budget.is_some() => self.forget(slot, OrderStatus::Filled),
            Some(Stopped::Spent) => self.cancel(slot, CancelReason::FundsSpent),
            _ => {}
        }
        filled
    }
}
