//! What is remembered of clients' ids and of orders that ended; and a market as it is saved and restored.

use std::collections::VecDeque;

use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};

use super::memory::Memory;
use super::resting::{Details, Live, LogEntry};
use super::taken::Taken;
use super::thin::Thin;
use super::{Market, Orders, Slot};
use crate::market::{InstrumentId, Price, Qty, Side, Timestamp};
use crate::order::{AccountId, ClientOrderId, OrderId, OrderRef, OrderStatus, RejectReason};
use crate::sim::schedule::Pending;
use crate::sim::{Digest, OrderFact, PublicTrade};

/// So many orders that ended are remembered, to tell "already filled" from "no such order": the last of each number
/// modulo this.
const ENDED: u64 = 1_024;
const DAY: i64 = 86_400_000_000_000;

/// One account's ids.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Ids {
    live: FxHashMap<ClientOrderId, OrderId>,
    /// Ids used on the day `day`, where they must be unique by day.
    used: FxHashSet<ClientOrderId>,
    day: i64,
    /// Live orders by market.
    open: Vec<u32>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Ended {
    account: AccountId,
    id: OrderId,
    client_id: Option<ClientOrderId>,
    filled: bool,
}

/// Clients' order ids, by account. Looked up only; no order of a map ever shows.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Clients {
    accounts: Vec<Ids>,
    ended: Vec<Option<Ended>>,
}

impl Clients {
    fn ids(&mut self, account: AccountId) -> &mut Ids {
        let at = account.0 as usize;
        if at >= self.accounts.len() {
            self.accounts.resize_with(at + 1, Ids::default);
        }
        &mut self.accounts[at]
    }

    /// Whether an account may use an id now; with a time, ids are unique by UTC day.
    pub(crate) fn is_free(&self, account: AccountId, id: &ClientOrderId, by_day: Option<Timestamp>) -> bool {
        let Some(ids) = self.accounts.get(account.0 as usize) else { return true };
        let today = by_day.is_some_and(|now| now.nanos().div_euclid(DAY) == ids.day);
        !(ids.live.contains_key(id) || today && ids.used.contains(id))
    }

    pub(crate) fn opened(
        &mut self,
        account: AccountId,
        market: InstrumentId,
        id: OrderId,
        client_id: Option<&ClientOrderId>,
        by_day: Option<Timestamp>,
    ) {
        let ids = self.ids(account);
        if market.index() >= ids.open.len() {
            ids.open.resize(market.index() + 1, 0);
        }
        ids.open[market.index()] += 1;
        let Some(client_id) = client_id else { return };
        ids.live.insert(client_id.clone(), id);
        if let Some(now) = by_day {
            let day = now.nanos().div_euclid(DAY);
            if std::mem::replace(&mut ids.day, day) != day {
                ids.used.clear();
            }
            ids.used.insert(client_id.clone());
        }
    }

    pub(crate) fn ended(
        &mut self,
        account: AccountId,
        market: InstrumentId,
        id: OrderId,
        client_id: Option<&ClientOrderId>,
        status: OrderStatus,
    ) {
        let ids = self.ids(account);
        if let Some(open) = ids.open.get_mut(market.index()) {
            *open = open.saturating_sub(1);
        }
        if let Some(client_id) = client_id {
            ids.live.remove(client_id);
        }
        if self.ended.is_empty() {
            self.ended.resize(ENDED as usize, None);
        }
        let filled = status == OrderStatus::Filled;
        let place = &mut self.ended[(id.0 % ENDED) as usize];
        // Most have no id of their own: nothing is copied then.
        *place = match client_id {
            None => Some(Ended { account, id, client_id: None, filled }),
            Some(client_id) => Some(Ended { account, id, client_id: Some(client_id.clone()), filled }),
        };
    }

    pub(crate) fn renumbered(&mut self, account: AccountId, client_id: &ClientOrderId, id: OrderId) {
        self.ids(account).live.insert(client_id.clone(), id);
    }

    pub(crate) fn find(&self, account: AccountId, client_id: &ClientOrderId) -> Option<OrderId> {
        self.accounts.get(account.0 as usize)?.live.get(client_id).copied()
    }

    /// How many live orders an account has in a market.
    pub(crate) fn open(&self, account: AccountId, market: InstrumentId) -> u32 {
        let ids = self.accounts.get(account.0 as usize);
        ids.and_then(|ids| ids.open.get(market.index())).copied().unwrap_or(0)
    }

    /// Why a reference names no live order.
    pub(crate) fn missing(&self, account: AccountId, order: &OrderRef) -> RejectReason {
        let found = match order {
            OrderRef::Id(id) => {
                let last = self.ended.get((id.0 % ENDED) as usize).and_then(Option::as_ref);
                last.filter(|ended| ended.id == *id && ended.account == account)
            }
            OrderRef::Client(client_id) => {
                let own = self.ended.iter().flatten().filter(|ended| ended.account == account);
                own.filter(|ended| ended.client_id.as_ref() == Some(client_id)).max_by_key(|ended| ended.id)
            }
        };
        match found {
            Some(ended) if ended.filled => RejectReason::AlreadyFilled,
            Some(_) => RejectReason::AlreadyCancelled,
            None => RejectReason::UnknownOrder,
        }
    }
}

/// A live or waiting order as it is saved.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SavedOrder {
    live: Live,
    details: Details,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct SavedQueue {
    orders: Vec<SavedOrder>,
    log: VecDeque<LogEntry>,
}

/// A market as it is saved: everything but what the configuration says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SavedMarket {
    trusted: bool,
    trading: bool,
    book: [Vec<(Price, Qty)>; 2],
    queues: [Vec<SavedQueue>; 2],
    waiting: Vec<SavedOrder>,
    taken: [Taken; 2],
    memory: [Memory; 2],
    stale: [Vec<(Price, Qty)>; 2],
    door: VecDeque<Pending>,
    last_trade: Option<(Timestamp, PublicTrade)>,
    #[serde(default)]
    thin: Thin,
    /// The orders that wait there.
    #[serde(default)]
    takers: Vec<SavedOrder>,
}

impl Market {
    pub(crate) fn save(&self, orders: &Orders) -> SavedMarket {
        let order =
            |slot| SavedOrder { live: orders.live(slot).clone(), details: orders.details(slot).clone() };
        let queues = Side::BOTH.map(|side| {
            let queues = self.resting[side.index()].iter().map(|queue| SavedQueue {
                orders: queue.slots(orders).map(order).collect(),
                log: queue.log.clone(),
            });
            queues.collect()
        });
        SavedMarket {
            trusted: self.trusted,
            trading: self.trading,
            book: Side::BOTH
                .map(|side| self.book.levels(side).map(|level| (level.price, level.qty)).collect()),
            queues,
            waiting: self.waiting.iter().filter_map(|id| orders.find(*id)).map(order).collect(),
            taken: self.taken.clone(),
            memory: self.memory.clone(),
            stale: [0, 1].map(|at: usize| self.stale[at].levels()),
            door: self.door.clone(),
            last_trade: self.last_trade,
            thin: self.thin.clone(),
            takers: self.thin.takers().filter_map(|id| orders.find(id)).map(order).collect(),
        }
    }

    pub(crate) fn restore(&mut self, saved: SavedMarket, orders: &mut Orders) {
        (self.trusted, self.trading) = (saved.trusted, saved.trading);
        (self.taken, self.memory) = (saved.taken, saved.memory);
        for (stale, levels) in self.stale.iter_mut().zip(saved.stale) {
            stale.clear();
            levels.into_iter().for_each(|(price, qty)| stale.left(price, qty));
        }
        (self.door, self.last_trade) = (saved.door, saved.last_trade);
        for (side, levels) in Side::BOTH.into_iter().zip(saved.book) {
            for (price, qty) in levels {
                self.book.set(side, price, qty);
            }
        }
        for (side, queues) in Side::BOTH.into_iter().zip(saved.queues) {
            for queue in queues {
                self.restore_queue(side, queue, orders);
            }
        }
        self.thin = saved.thin;
        for order in saved.takers {
            orders.insert(order.live, order.details);
        }
        for order in saved.waiting {
            let extra = order.details.extra.as_ref();
            self.trails += u32::from(extra.is_some_and(|extra| extra.is_led()));
            self.waiting.insert(order.live.id);
            orders.insert(order.live, order.details);
        }
        self.refresh_idle();
    }

    fn restore_queue(&mut self, side: Side, saved: SavedQueue, orders: &mut Orders) {
        let resting = &mut self.resting[side.index()];
        let mut price = None;
        for order in saved.orders {
            price = Some(order.live.price);
            let slot = orders.insert(order.live, order.details);
            resting.join(orders, slot);
        }
        if let Some(queue) = price.and_then(|price| resting.queue_at(price)) {
            resting.queue_mut(queue).log = saved.log;
        }
    }

    /// Tells a digest what the hash covers of this market.
    pub(crate) fn digest(&self, orders: &Orders, now: Timestamp, digest: &mut Digest) {
        digest.market(self.trusted, self.trading);
        for side in Side::BOTH {
            self.book.levels(side).for_each(|level| digest.level(side, level.price, level.qty));
        }
        for side in Side::BOTH {
            self.taken[side.index()].iter(now).for_each(|(price, qty)| digest.taken(side, price, qty));
        }
        for side in Side::BOTH {
            for queue in self.resting[side.index()].iter() {
                for slot in queue.slots(orders) {
                    digest.order(side, &fact(orders, slot));
                }
            }
        }
    }
}

/// An order as the hash sees it.
pub(crate) fn fact(orders: &Orders, slot: Slot) -> OrderFact {
    let live = orders.live(slot);
    OrderFact {
        id: live.id,
        account: live.account,
        price: (live.kind != crate::order::OrderKind::Market).then_some(live.price),
        qty: live.qty,
        filled: live.filled,
        ahead: live.ahead.parts(),
    }
}
