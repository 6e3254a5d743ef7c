//! The lives of orders: every event with its time, what was ahead, and why it filled.

use std::collections::BTreeMap;

use crate::market::{Group, InstrumentId, MarketEvent, Price, Qty, Side, Timestamp};
use crate::order::{CancelReason, OrderId, OrderKind, OrderStatus, RejectReason};
use crate::sim::{Fill, OrderEvent, OrderState, SimulatedExchange, Update, UpdateBody};

/// What happened to an order.
#[derive(Clone, Debug, PartialEq)]
pub enum LifeEvent {
    /// Its owner sent it.
    Sent,
    /// It arrived and is live: resting, or about to take.
    Accepted,
    /// It arrived and waits for its trigger.
    Waiting,
    /// It waits at the door until the book can be believed.
    AtTheDoor,
    /// Its trigger was met.
    Triggered,
    /// Its place in the queue moved without filling it.
    QueueMoved {
        /// Ahead of it before.
        before: Option<Qty>,
        /// Ahead of it after.
        after: Option<Qty>,
        /// What printed at its price meanwhile.
        printed: Qty,
        /// How many moves are told in this line.
        moves: u32,
    },
    /// It filled, in part or whole.
    Filled(Fill),
    /// Its owner sent a cancel.
    CancelSent,
    /// Its owner sent an amend.
    AmendSent,
    /// It was amended.
    Amended {
        /// Its price now.
        price: Option<Price>,
        /// Its whole amount now.
        qty: Qty,
        /// Whether it kept its place.
        kept_place: bool,
    },
    /// Its trigger is at another price: the market led it there, or its owner did.
    TriggerMoved {
        /// Where it is now.
        to: Price,
        /// How many moves are told in this line.
        moves: u32,
    },
    /// A cancel or amend was refused.
    RequestRefused(RejectReason),
    /// It was refused.
    Rejected(RejectReason),
    /// It ended before all of it filled.
    Cancelled(CancelReason),
}

/// One line of an order's life.
#[derive(Clone, Debug, PartialEq)]
pub struct LifeEntry {
    /// When it happened: at the exchange, or at its owner for what its owner sent.
    pub at: Timestamp,
    /// When its owner knew; `None` for what its owner is not told.
    pub known: Option<Timestamp>,
    /// What happened.
    pub event: LifeEvent,
    /// Market volume ahead of it after; `None` where it does not rest or that is unknown.
    pub ahead: Option<Qty>,
}

/// One order's life so far.
#[derive(Clone, Debug, PartialEq)]
pub struct Life {
    /// What is traded.
    pub instrument: InstrumentId,
    /// Buy or sell.
    pub side: Side,
    /// How it meets the book.
    pub kind: OrderKind,
    /// Its lines, oldest first.
    pub entries: Vec<LifeEntry>,
    /// How many lines were left out of the middle of a very long life.
    pub omitted: u64,
    /// The state of the order at the exchange after the last event.
    pub state: Option<OrderState>,
    /// What was ahead when it joined the queue the last time.
    pub ahead_at_join: Option<Qty>,
    /// What printed at its price since it joined.
    pub printed_at_price: Qty,
    /// What printed through its price since it joined.
    pub printed_through: Qty,
}

/// How many lines one order's life holds; the moves of its queue are told in fewer lines beyond half of it.
const MAX_ENTRIES: usize = 200;
/// How many lives are remembered; the oldest ended ones go first.
const MAX_LIVES: usize = 10_000;

impl Life {
    fn push(&mut self, entry: LifeEntry) {
        if let (LifeEvent::TriggerMoved { to, .. }, Some(last)) = (&entry.event, self.entries.last_mut())
            && let LifeEvent::TriggerMoved { to: t, moves } = &mut last.event
        {
            (*t, *moves) = (*to, *moves + 1);
            (last.at, last.known) = (entry.at, entry.known);
            return;
        }
        if let (LifeEvent::QueueMoved { after, printed, .. }, Some(last)) =
            (&entry.event, self.entries.last_mut())
            && let LifeEvent::QueueMoved { after: a, printed: p, moves: m, .. } = &mut last.event
        {
            // Moves between two other events are one line: from where to where, and by how much printing.
            *a = *after;
            *p += *printed;
            *m += 1;
            (last.at, last.ahead) = (entry.at, entry.ahead);
            return;
        }
        if self.entries.len() == MAX_ENTRIES {
            self.entries.remove(MAX_ENTRIES / 2);
            self.omitted += 1;
        }
        self.entries.push(entry);
    }

    fn is_done(&self) -> bool {
        self.state.as_ref().is_some_and(|state| state.status.is_done())
    }

    fn is_resting(&self) -> bool {
        self.kind != OrderKind::Market
            && self.state.as_ref().is_some_and(|state| {
                !state.status.is_done() && state.status != OrderStatus::Waiting && state.price.is_some()
            })
    }

    /// Counts the prints of a group at and through the order's price.
    fn count_prints(&mut self, price: Price, group: &Group<'_>) -> Qty {
        let mut at_price = Qty::ZERO;
        for event in group.events {
            let MarketEvent::Trade(print) = event else { continue };
            if print.aggressor == Some(self.side) {
                continue;
            }
            if print.price == price {
                at_price += print.qty;
            } else if self.side.better(price, print.price) {
                self.printed_through += print.qty;
            }
        }
        self.printed_at_price += at_price;
        at_price
    }
}

/// Where the trigger of an order that waits is, if that is all that changed.
fn trigger_moved(life: &Life, now: Option<&OrderState>) -> Option<Price> {
    let (before, now) = (life.state.as_ref()?, now.filter(|state| state.status == OrderStatus::Waiting)?);
    let to = now.trigger()?.price;
    let alike = (before.price, before.qty) == (now.price, now.qty);
    (alike && before.trigger()?.price != to).then_some(to)
}

/// The lives of all orders of a paper exchange, by the tag of the request that placed them.
#[derive(Debug, Default)]
pub(super) struct Lives {
    /// Boxed: they are large, and the nodes of the map are made and taken apart with each order.
    by_tag: BTreeMap<u64, Box<Life>>,
    by_order: BTreeMap<OrderId, u64>,
    /// Resting orders by instrument: whose queues are followed.
    live: BTreeMap<InstrumentId, Vec<OrderId>>,
}

impl Lives {
    /// A new order is sent.
    pub(super) fn sent(&mut self, tag: u64, at: Timestamp, order: &crate::order::NewOrder) {
        self.forget_some();
        let mut life = Life {
            instrument: order.instrument,
            side: order.side,
            kind: order.kind,
            entries: Vec::new(),
            omitted: 0,
            state: None,
            ahead_at_join: None,
            printed_at_price: Qty::ZERO,
            printed_through: Qty::ZERO,
        };
        life.push(LifeEntry { at, known: Some(at), event: LifeEvent::Sent, ahead: None });
        self.by_tag.insert(tag, Box::new(life));
    }

    /// The owner of an order asks something of it.
    pub(super) fn asked(&mut self, id: OrderId, at: Timestamp, event: LifeEvent) {
        if let Some(life) = self.by_order.get(&id).and_then(|tag| self.by_tag.get_mut(tag)) {
            let ahead = life.state.as_ref().and_then(|state| state.ahead);
            life.push(LifeEntry { at, known: Some(at), event, ahead });
        }
    }

    /// The life of the order that was placed with `tag`.
    pub(super) fn get(&self, tag: u64) -> Option<&Life> {
        self.by_tag.get(&tag).map(Box::as_ref)
    }

    /// The exchange said something.
    pub(super) fn see(&mut self, update: &Update) {
        let (at, known) = (update.at, Some(update.deliver_at));
        match &update.body {
            UpdateBody::Fill(fill) => {
                if let Some(life) = self.by_order.get(&fill.order).and_then(|tag| self.by_tag.get_mut(tag)) {
                    life.push(LifeEntry {
                        at,
                        known,
                        event: LifeEvent::Filled(fill.clone()),
                        ahead: fill.ahead_before,
                    });
                }
            }
            UpdateBody::Order(order) => {
                let named = order.order.as_ref();
                let tag = match self.by_tag.contains_key(&order.tag) {
                    true => Some(order.tag),
                    false => named.and_then(|state| self.by_order.get(&state.id)).copied(),
                };
                if let Some(tag) = tag {
                    self.see_order(tag, at, known, order.event, named);
                }
            }
            UpdateBody::Ledger(_)
            | UpdateBody::PublicTrade(_)
            | UpdateBody::Position(_)
            | UpdateBody::Funding(_)
            | UpdateBody::Liquidation(_) => {}
        }
    }

    fn see_order(
        &mut self,
        tag: u64,
        at: Timestamp,
        known: Option<Timestamp>,
        event: OrderEvent,
        state: Option<&OrderState>,
    ) {
        let Some(life) = self.by_tag.get_mut(&tag) else { return };
        let ahead = state.and_then(|state| state.ahead);
        let placed = life.state.is_some();
        let told = match event {
            OrderEvent::Accepted if state.is_some_and(|s| s.status == OrderStatus::Waiting) => {
                LifeEvent::Waiting
            }
            OrderEvent::Accepted => LifeEvent::Accepted,
            OrderEvent::Rejected(reason) if placed => LifeEvent::RequestRefused(reason),
            OrderEvent::Rejected(reason) => LifeEvent::Rejected(reason),
            OrderEvent::Triggered => LifeEvent::Triggered,
            OrderEvent::Cancelled(reason) => LifeEvent::Cancelled(reason),
            OrderEvent::Amended { kept_place: true } if let Some(to) = trigger_moved(life, state) => {
                LifeEvent::TriggerMoved { to, moves: 1 }
            }
            OrderEvent::Amended { kept_place } => LifeEvent::Amended {
                price: state.and_then(|s| s.price),
                qty: state.map_or(Qty::ZERO, |s| s.qty),
                kept_place,
            },
            OrderEvent::AtTheDoor => LifeEvent::AtTheDoor,
            // The fill before it says more; `Done` answers a request, not an order.
            OrderEvent::Filled | OrderEvent::Done => {
                if let Some(state) = state {
                    self.set_state(tag, state);
                }
                return;
            }
        };
        if matches!(
            told,
            LifeEvent::Accepted | LifeEvent::Triggered | LifeEvent::Amended { kept_place: false, .. }
        ) {
            life.ahead_at_join = ahead;
            (life.printed_at_price, life.printed_through) = (Qty::ZERO, Qty::ZERO);
        }
        life.push(LifeEntry { at, known, event: told, ahead });
        if let Some(state) = state {
            self.set_state(tag, state);
        }
    }

    fn set_state(&mut self, tag: u64, state: &OrderState) {
        let Some(life) = self.by_tag.get_mut(&tag) else { return };
        life.state = Some(state.clone());
        if state.id.0 != 0 {
            self.by_order.insert(state.id, tag);
        }
        let live = self.live.entry(life.instrument).or_default();
        live.retain(|id| *id != state.id);
        if life.is_resting() {
            live.push(state.id);
        }
    }

    /// After a group: tells how the queues of the orders of its instrument moved.
    pub(super) fn follow(&mut self, sim: &SimulatedExchange, now: Timestamp, group: &Group<'_>) {
        let Some(live) = self.live.get(&group.instrument) else { return };
        for id in live {
            let Some(life) = self.by_order.get(id).and_then(|tag| self.by_tag.get_mut(tag)) else { continue };
            let Some(price) = life.state.as_ref().and_then(|state| state.price) else { continue };
            let printed = life.count_prints(price, group);
            let (Some(state), Some(known)) = (sim.order(*id), life.state.as_mut()) else { continue };
            let before = std::mem::replace(&mut known.ahead, state.ahead);
            // A fill of this group has told its print already.
            let told = matches!(life.entries.last(), Some(LifeEntry { at, event: LifeEvent::Filled(_), .. }) if *at == now);
            if !told && (before != state.ahead || !printed.is_zero()) {
                let event = LifeEvent::QueueMoved { before, after: state.ahead, printed, moves: 1 };
                life.push(LifeEntry { at: now, known: None, event, ahead: state.ahead });
            }
        }
    }

    fn forget_some(&mut self) {
        if self.by_tag.len() < MAX_LIVES {
            return;
        }
        let oldest = self.by_tag.iter().find(|(_, life)| life.is_done()).map(|(tag, _)| *tag);
        if let Some(life) = oldest.and_then(|tag| self.by_tag.remove(&tag))
            && let Some(state) = life.state
        {
            self.by_order.remove(&state.id);
        }
    }
}
