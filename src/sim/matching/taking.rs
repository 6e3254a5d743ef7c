//! Taking: rule 8 (best price first, in queue order at each price), rule 9 (post-only) and rule 12 (self-trade).

use super::Slot;
use super::floor::{Floor, How};
use super::resting::Moved;
use crate::market::{Price, Qty, Side};
use crate::order::{CancelReason, Evidence, FillRule, Liquidity, Money, SelfTrade};

/// Why a taker stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    /// It has all it wanted, and has left the arena unless it is quote-sized.
    Whole,
    /// Nothing more is there at its price.
    Exhausted,
    /// It met its own account.
    SelfTrade,
    /// Its money is spent.
    Spent,
}

/// A taker while it takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taker {
    pub(super) slot: Slot,
    pub(super) limit: Option<Price>,
    /// What is left to spend of a quote-sized order.
    pub(super) budget: Option<Money>,
    /// Whether money is checked at each fill: nothing is held for it.
    pub(super) unheld: bool,
}

impl Floor<'_> {
    /// Takes what is there, best price first.
    pub(super) fn take(&mut self, taker: &mut Taker) -> Stopped {
        let side = self.orders.live(taker.slot).side;
        let mut after = None;
        while let Some(price) = self.market.next_price(side.opposite(), after, self.now) {
            if !self.takes_at(side, taker.limit, price) {
                break;
            }
            if let Some(stopped) = self.take_level(taker, side, price) {
                return stopped;
            }
            after = Some(price);
        }
        Stopped::Exhausted
    }

    /// Whether a taker may trade at a price. Prices beyond the instrument's largest are no prices.
    pub(super) fn takes_at(&self, side: Side, limit: Option<Price>, price: Price) -> bool {
        price <= self.market.instrument.rule.max_price && limit.is_none_or(|limit| side.crosses(limit, price))
    }

    /// Works through one price: market, order 1, market, order 2 …
    fn take_level(&mut self, taker: &mut Taker, side: Side, price: Price) -> Option<Stopped> {
        let (opposite, lot) = (side.opposite(), self.market.lot());
        while let Some(queue) = self.market.resting[opposite.index()].queue_at(price) {
            let Some(maker) = self.market.resting[opposite.index()].first(self.orders, queue) else { break };
            let free = self.market.free(opposite, price, self.now).floor_to(lot);
            let part = self.orders.live(maker).ahead.lots_before(free, lot);
            if !part.is_zero()
                && let Some(stopped) = self.take_market(taker, side, price, part)
            {
                return Some(stopped);
            }
            if let Some(stopped) = self.take_paper(taker, side, price, queue, maker) {
                return Some(stopped);
            }
        }
        let free = self.market.free(opposite, price, self.now).floor_to(lot);
        if free.is_zero() { None } else { self.take_market(taker, side, price, free) }
    }

    /// How much a taker wants of `there` at `price`; `Err`: it stops.
    pub(super) fn wants(&self, taker: &Taker, side: Side, price: Price, there: Qty) -> Result<Qty, Stopped> {
        let (units, lot, live) = (&self.market.units, self.market.lot(), self.orders.live(taker.slot));
        let mut qty = there;
        match taker.budget {
            Some(budget) => {
                let affordable = budget.0 / units.cost(price, Qty::from_units(1)).0.max(1);
                qty = qty.min(Qty::from_units(i64::try_from(affordable).unwrap_or(i64::MAX)).floor_to(lot));
            }
            None => qty = qty.min(self.fillable(taker.slot)),
        }
        if qty.is_zero() {
            return Err(Stopped::Spent);
        }
        if taker.unheld && side == Side::Buy && !self.is_contract() {
            let available = self.accounts.balance(live.account, units.quote).available();
            if self.market.hold(side, price, qty) > available {
                return Err(Stopped::Spent);
            }
        }
        Ok(qty)
    }

    /// It took `qty` of `there`.
    pub(super) fn took(
        &mut self,
        taker: &mut Taker,
        side: Side,
        price: Price,
        qty: Qty,
        there: Qty,
        evidence: Evidence,
    ) -> Option<Stopped> {
        if let Some(budget) = &mut taker.budget {
            *budget -= self.market.units.cost(price, qty);
            self.orders.live_mut(taker.slot).qty += qty;
        }
        let whole = taker.budget.is_none() && self.orders.live(taker.slot).leaves() == qty;
        let how = How {
            liquidity: Liquidity::Taker,
            rule: FillRule::Taking,
            evidence,
            event_time: self.now,
            ahead_before: None,
        };
        self.fill(taker.slot, price, qty, how);
        self.public_trade(side, price, qty);
        match taker.budget {
            Some(left) if left.is_zero() => Some(Stopped::Whole),
            // More is there than its money buys.
            Some(_) => (qty < there).then_some(Stopped::Spent),
            None => whole.then_some(Stopped::Whole),
        }
    }

    fn take_market(&mut self, taker: &mut Taker, side: Side, price: Price, there: Qty) -> Option<Stopped> {
        let qty = match self.wants(taker, side, price, there) {
            Ok(qty) => qty,
            Err(stopped) => return Some(stopped),
        };
        let opposite = side.opposite();
        self.market.taken[opposite.index()].add(price, qty, self.now);
        if let Some(queue) = self.market.resting[opposite.index()].queue_at(price) {
            self.note(opposite, queue, Moved::Taken(qty));
            let lot = self.market.lot();
            self.each(opposite, queue, |live| live.ahead = live.ahead.pay(qty, lot).0);
        }
        self.took(taker, side, price, qty, there, Evidence::Book)
    }

    fn take_paper(
        &mut self,
        taker: &mut Taker,
        side: Side,
        price: Price,
        _: u32,
        maker: Slot,
    ) -> Option<Stopped> {
        if self.orders.live(maker).account == self.orders.live(taker.slot).account {
            let mode = self.orders.live(taker.slot).self_trade;
            match mode {
                SelfTrade::None => {}
                SelfTrade::CancelTaker => return Some(Stopped::SelfTrade),
                SelfTrade::CancelMaker => {
                    self.cancel(maker, CancelReason::SelfTrade);
                    return None;
                }
                SelfTrade::CancelBoth => {
                    self.cancel(maker, CancelReason::SelfTrade);
                    return Some(Stopped::SelfTrade);
                }
            }
        }
        let live = self.orders.live(maker);
        let (there, ahead_before) = (self.fillable(maker), live.ahead.shown(self.market.lot()));
        if there.is_zero() {
            self.cancel(maker, CancelReason::NothingToReduce);
            return None;
        }
        let qty = match self.wants(taker, side, price, there) {
            Ok(qty) => qty,
            Err(stopped) => return Some(stopped),
        };
        let how = How {
            liquidity: Liquidity::Maker,
            rule: FillRule::PaperTaker,
            evidence: Evidence::Paper,
            event_time: self.now,
            ahead_before,
        };
        let live = self.orders.live(taker.slot);
        if self.orders.live(maker).account == live.account && !live.held && !self.market.contract {
            let units = &self.market.units;
            self.promised = Some(match side {
                Side::Buy => (units.quote, units.cost(price, qty)),
                Side::Sell => (units.base, units.base(live.leaves())),
            });
        }
        self.fill(maker, price, qty, how);
        self.promised = None;
        self.took(taker, side, price, qty, there, Evidence::Paper)
    }

    /// Looks without touching: how much a taker of this account would find, and what it would cost; it stops looking
    /// at `qty` (or at `budget` of quote).
    pub(super) fn look(
        &self,
        account: crate::order::AccountId,
        side: Side,
        limit: Option<Price>,
        qty: Qty,
        self_trade: SelfTrade,
    ) -> (Qty, Money) {
        let (opposite, lot) = (side.opposite(), self.market.lot());
        let (mut found, mut cost) = (Qty::ZERO, Money::ZERO);
        let mut after = None;
        while let Some(price) = self.market.next_price(opposite, after, self.now)
            && found < qty
            && self.takes_at(side, limit, price)
        {
            let free = self.market.free(opposite, price, self.now).floor_to(lot);
            let (there, stop) = self.look_level(account, opposite, price, free, self_trade);
            let part = there.min(qty - found);
            found += part;
            cost += self.worth(price, part);
            if stop {
                break;
            }
            after = Some(price);
        }
        (found, cost)
    }

    /// What a taker would find at one price, and whether its own account stops it there.
    fn look_level(
        &self,
        account: crate::order::AccountId,
        opposite: Side,
        price: Price,
        free: Qty,
        self_trade: SelfTrade,
    ) -> (Qty, bool) {
        let resting = &self.market.resting[opposite.index()];
        let Some(queue) = resting.queue_at(price) else { return (free, false) };
        let queue = resting.queue(queue);
        if self_trade == SelfTrade::None {
            return (free + queue.qty, false);
        }
        let mut paper = Qty::ZERO;
        for slot in queue.slots(self.orders) {
            let live = self.orders.live(slot);
            if live.account != account {
                paper += live.leaves();
            } else if self_trade != SelfTrade::CancelMaker {
                return (paper + live.ahead.lots_before(free, self.market.lot()), true);
            }
        }
        (free + paper, false)
    }

    /// Rule 9: whether an order at `limit` would match something.
    pub(super) fn would_match(&self, side: Side, limit: Price) -> bool {
        let best = self.market.next_price(side.opposite(), None, self.now);
        best.is_some_and(|best| side.crosses(limit, best))
    }
}
