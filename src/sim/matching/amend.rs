//! Rule 10: amending a resting order.

use super::Slot;
use super::floor::Floor;
use super::queue::Place;
use super::tell::Told;
use crate::market::{Price, Qty};
use crate::order::{CancelReason, OrderKind, OrderRef, RejectReason};
use crate::sim::OrderEvent;
use crate::sim::schedule::Pending;

impl Floor<'_> {
    /// Same price and a smaller amount keep the place; anything else leaves and joins anew. Amounts of an iceberg order
    /// are with what it hides: that goes first where the amount falls, and where it joins anew it shows a new slice.
    pub(super) fn amend(
        &mut self,
        order: &OrderRef,
        price: Option<Price>,
        qty: Option<Qty>,
        pending: &Pending,
    ) -> Result<(), RejectReason> {
        let account = pending.request.account;
        let slot = self.find(account, order).ok_or_else(|| self.counters.clients.missing(account, order))?;
        if !self.market.trading {
            return Err(RejectReason::Halted);
        }
        let live = self.orders.live(slot);
        let (old_price, filled, side) = (live.price, live.filled, live.side);
        let old_qty = live.qty + self.orders.details(slot).hidden();
        let (price, qty) = (price.unwrap_or(old_price), qty.unwrap_or(old_qty));
        if (price, qty) == (old_price, old_qty) {
            return Err(RejectReason::NothingToAmend);
        }
        let live = self.orders.live(slot);
        // What waits for the tape is on its way to fill, or is none that rests.
        if live.kind == OrderKind::Market || self.market.thin.holds(live.id) {
            return Err(RejectReason::Unsupported);
        }
        let asks = self.orders.details(slot).extra.as_ref();
        if asks.is_some_and(|extra| extra.whole) {
            return Err(RejectReason::Unsupported);
        }
        let live = self.orders.live(slot);
        let (post_only, waiting) = (live.kind == OrderKind::LimitMaker, live.waiting);
        if qty <= filled && qty.units() > 0 {
            if self.config.venue.refuse_amend_below_filled {
                return Err(RejectReason::AmendBelowFilled);
            }
            self.cancel(slot, CancelReason::AmendedAway);
            self.answer(&pending.request, OrderEvent::Done, None);
            return Ok(());
        }
        self.check_price(price)?;
        self.check_qty(qty)?;
        self.check_product(price, qty)?;
        self.check_notional(self.market.units.cost(price, qty))?;
        if post_only && !waiting && price != old_price && self.would_match(side, price) {
            return Err(RejectReason::WouldMatch);
        }
        if self.is_contract() {
            self.check_amended_margin(slot, price, qty - filled)?;
        } else {
            let (asset, needed) = (self.market.held_asset(side), self.market.hold(side, price, qty - filled));
            let available = self.accounts.balance(account, asset).available();
            let more = needed - self.held(slot);
            if more > available {
                return Err(RejectReason::InsufficientBalance { asset, needed: more, available });
            }
        }
        let kept_place = price == old_price && qty < old_qty;
        self.change(slot, price, qty, kept_place, pending);
        Ok(())
    }

    /// The margin of the difference, with what the order needs now given back.
    fn check_amended_margin(&mut self, slot: Slot, price: Price, leaves: Qty) -> Result<(), RejectReason> {
        let (old, live) = (self.open(slot), self.orders.live(slot));
        let (account, side, waits) = (live.account, live.side, live.waiting);
        if waits || self.effect(slot) == crate::order::PositionEffect::Close {
            return Ok(());
        }
        self.work(slot, old, Qty::ZERO);
        let value = self.worth(price, leaves);
        let answer = self.check_more(account, side, leaves, value);
        self.work(slot, Qty::ZERO, old);
        answer
    }

    fn change(&mut self, slot: Slot, price: Price, qty: Qty, kept_place: bool, pending: &Pending) {
        let side = self.orders.live(slot).side;
        let resting = self.orders.live(slot).is_resting();
        let (filled, shown) = (self.orders.live(slot).filled, self.orders.live(slot).qty);
        let (held, open) = (self.held(slot), self.open(slot));
        self.work(slot, open, Qty::ZERO);
        // What keeps its place gives up what it hides first; what joins anew is divided when it joins.
        let hidden = if resting && kept_place { (qty - shown).max(Qty::ZERO) } else { Qty::ZERO };
        if resting && kept_place {
            if let Some(queue) = self.market.resting[side.index()].queue_at(price) {
                self.market.resting[side.index()].filled(queue, shown - (qty - hidden));
            }
        } else if resting {
            self.market.resting[side.index()].leave(self.orders, slot);
        }
        if let Some(extra) = self.orders.details_mut(slot).extra.as_mut() {
            extra.hidden = hidden;
        }
        let live = self.orders.live_mut(slot);
        (live.price, live.qty) = (price, qty - hidden);
        if resting && !kept_place {
            live.ahead = Place::FRONT;
        }
        if self.is_contract() {
            self.work(slot, Qty::ZERO, qty - filled);
        } else {
            let hold = self.market.hold(side, price, qty - filled);
            self.hold_more(slot, hold - held);
        }
        if self.config.venue.amend_gives_new_id {
            self.renumber(slot);
        }
        self.answer_with(&pending.request, slot, Told::Amended { kept_place });
        if resting && !kept_place {
            self.go_live(slot);
        }
    }

    fn renumber(&mut self, slot: Slot) {
        let old = self.orders.live(slot).id;
        let id = self.next_id();
        self.forget_closing(slot);
        self.orders.renumber(slot, id);
        if self.orders.live(slot).is_resting() {
            self.note_closing(slot);
        }
        let (account, details) = (self.orders.live(slot).account, self.orders.details(slot));
        if let crate::order::TimeInForce::Gtd(time) = self.orders.tif(slot) {
            self.schedule.forget_expiry(time, old);
            self.schedule.expire_at(time, id);
        }
        if self.orders.live(slot).waiting {
            self.market.waiting.remove(&old);
            self.market.waiting.insert(id);
        }
        if let Some(client_id) = &details.client_id {
            self.counters.clients.renumbered(account, client_id, id);
        }
    }
}
