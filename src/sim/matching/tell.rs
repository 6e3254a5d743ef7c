//! What is told of orders: each thing that happens to one, with its state after.
//!
//! An update is two hundred bytes and there are several to an order, so one is built where it goes, from what all orders
//! have; what few have (a client's id, a trigger) is added behind. Never here: what happens, and when.

use super::Slot;
use super::floor::Floor;
use crate::market::Timestamp;
use crate::order::{CancelReason, SessionId};
use crate::sim::wire::hand_on;
use crate::sim::{OrderEvent, OrderState, OrderUpdate, Request, Update, UpdateBody};

/// What can happen to a live order: [`OrderEvent`] without refusals, which are large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Accepted,
    Triggered,
    Filled,
    Cancelled(CancelReason),
    Amended { kept_place: bool },
    AtTheDoor,
}

impl From<Told> for OrderEvent {
    #[inline]
    fn from(told: Told) -> Self {
        match told {
            Told::Accepted => Self::Accepted,
            Told::Triggered => Self::Triggered,
            Told::Filled => Self::Filled,
            Told::Cancelled(reason) => Self::Cancelled(reason),
            Told::Amended { kept_place } => Self::Amended { kept_place },
            Told::AtTheDoor => Self::AtTheDoor,
        }
    }
}

impl Floor<'_> {
    /// Hands on what happened to a live order; `tag` is of the request that this answers, 0 for none.
    #[inline(never)]
    pub(super) fn tell(
        &mut self,
        slot: Slot,
        session: SessionId,
        tag: u64,
        told: Told,
        deliver_at: Timestamp,
    ) {
        let (at, lot, orders) = (self.now, self.market.lot(), &*self.orders);
        hand_on(self.updates, || {
            let account = orders.live(slot).account;
            let order = Some(orders.plain_state(slot, lot, matches!(told, Told::Cancelled(_))));
            let update = OrderUpdate { session, account, tag, event: told.into(), order };
            Update { at, deliver_at, body: UpdateBody::Order(update) }
        });
        if !orders.is_plain(slot)
            && let Some(Update { body: UpdateBody::Order(update), .. }) = self.updates.last_mut()
            && let Some(state) = &mut update.order
        {
            orders.add_rest(slot, state);
        }
    }

    /// Answers a request with the state of a live order.
    pub(super) fn answer_with(&mut self, request: &Request, slot: Slot, told: Told) {
        let deliver_at = self.schedule.answer(self.now, request.session);
        self.tell(slot, request.session, request.tag, told, deliver_at);
    }

    /// Answers a request.
    pub(crate) fn answer(&mut self, request: &Request, event: OrderEvent, order: Option<OrderState>) {
        let deliver_at = self.schedule.answer(self.now, request.session);
        let (session, account, tag) = (request.session, request.account, request.tag);
        let at = self.now;
        let update = || OrderUpdate { session, account, tag, event, order };
        hand_on(self.updates, || Update { at, deliver_at, body: UpdateBody::Order(update()) });
    }
}
