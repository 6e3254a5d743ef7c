//! Where live orders are kept: an arena of orders, an index by number, and the queue of each price.

use std::collections::VecDeque;

use prefetch_index::prefetch_index;
use serde::{Deserialize, Serialize};

use super::memory::CancellationId;
use super::queue::{Place, Shrink};
use crate::market::{InstrumentId, Ladder, Price, Qty, Side, Timestamp};
use crate::order::{
    AccountId, ClientOrderId, Money, NewOrder, OrderId, OrderKind, OrderSize, OrderStatus, SelfTrade,
    SessionId, TimeInForce, Trigger,
};
use crate::sim::{Extra, OrderState};

/// The place of an order in the arena.
pub(crate) type Slot = u32;
/// No order.
pub(crate) const NONE: Slot = u32::MAX;

/// What matching reads of a live order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Live {
    pub(crate) id: OrderId,
    pub(crate) price: Price,
    pub(crate) qty: Qty,
    pub(crate) filled: Qty,
    pub(crate) ahead: Place,
    /// Grows with each joining of a queue: an order that left and came back is another one to its level's queue and
    /// log. Zero while it rests nowhere.
    pub(crate) joined: u64,
    pub(crate) account: AccountId,
    pub(crate) session: SessionId,
    pub(crate) instrument: u16,
    pub(crate) side: Side,
    /// Whether funds are held for what is left of it, at its limit.
    pub(crate) held: bool,
    pub(crate) waiting: bool,
    pub(crate) kind: OrderKind,
    pub(crate) self_trade: SelfTrade,
    lives: Lives,
}

/// How long an order lives, a good-till-date order's time kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Lives {
    Gtc,
    Ioc,
    Fok,
    Gtd,
}

impl Live {
    #[inline]
    pub(crate) fn leaves(&self) -> Qty {
        // No more fills than there is: nothing to saturate.
        Qty::from_units(self.qty.units() - self.filled.units())
    }

    pub(crate) fn is_resting(&self) -> bool {
        self.joined != 0
    }

    /// How long it lives.
    fn tif(&self, details: &Details) -> TimeInForce {
        match self.lives {
            Lives::Gtc => TimeInForce::Gtc,
            Lives::Ioc => TimeInForce::Ioc,
            Lives::Fok => TimeInForce::Fok,
            Lives::Gtd => {
                let expires = details.extra.as_ref().and_then(|extra| extra.expires);
                TimeInForce::Gtd(expires.unwrap_or(Timestamp::MAX))
            }
        }
    }
}

/// What only its owner asks about.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Details {
    pub(crate) client_id: Option<ClientOrderId>,
    pub(crate) filled_quote: Money,
    pub(crate) created: Timestamp,
    pub(crate) arrived: Timestamp,
    /// What few orders have.
    pub(crate) extra: Option<Box<Extra>>,
}

impl Details {
    pub(crate) fn trigger(&self) -> Option<Trigger> {
        self.extra.as_ref().and_then(|extra| extra.trigger)
    }

    pub(crate) fn quote_qty(&self) -> Option<Money> {
        self.extra.as_ref().and_then(|extra| extra.quote_qty)
    }

    /// What is hidden behind what an iceberg order shows.
    #[inline]
    pub(crate) fn hidden(&self) -> Qty {
        self.extra.as_ref().map_or(Qty::ZERO, |extra| extra.hidden)
    }
}

/// What there is to say of a new order.
pub(crate) struct Birth<'a> {
    pub(crate) id: OrderId,
    pub(crate) order: &'a NewOrder,
    pub(crate) account: AccountId,
    pub(crate) session: SessionId,
    pub(crate) self_trade: SelfTrade,
    pub(crate) held: bool,
    pub(crate) created: Timestamp,
    pub(crate) arrived: Timestamp,
}

/// An order: two cache lines side by side. At a million live orders an operation is a few misses and little else.
#[derive(Clone, Debug)]
#[repr(align(128))]
struct Entry {
    live: Live,
    details: Details,
}

const _: () = assert!(size_of::<Entry>() == 128);

impl Entry {
    /// No order.
    const FREE: Self = Self {
        live: Live {
            id: OrderId(0),
            price: Price::from_units(0),
            qty: Qty::ZERO,
            filled: Qty::ZERO,
            ahead: Place::FRONT,
            joined: 0,
            account: AccountId(0),
            session: SessionId(0),
            instrument: 0,
            side: Side::Buy,
            held: false,
            waiting: false,
            kind: OrderKind::Limit,
            self_trade: SelfTrade::None,
            lives: Lives::Gtc,
        },
        details: Details {
            client_id: None,
            filled_quote: Money::ZERO,
            created: Timestamp::MIN,
            arrived: Timestamp::MIN,
            extra: None,
        },
    };
}

/// All live and waiting orders. Slots are used again; numbers never are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Orders {
    entries: Vec<Entry>,
    /// `joined` of each slot once more, close together: whether a place is still an order's is asked far more often
    /// than anything else of it, and mostly of orders that are gone.
    joined: Vec<u64>,
    free: Vec<Slot>,
    index: Index,
}

impl Orders {
    pub(crate) fn insert(&mut self, live: Live, details: Details) -> Slot {
        let slot = self.room(live.id);
        self.joined[slot as usize] = live.joined;
        self.entries[slot as usize] = Entry { live, details };
        slot
    }

    /// A free slot for an order of this number.
    #[inline]
    fn room(&mut self, id: OrderId) -> Slot {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.joined.push(0);
            self.entries.push(Entry::FREE);
            (self.entries.len() - 1) as Slot
        });
        self.index.set(id, slot);
        slot
    }

    /// Inserts a new order; it rests nowhere yet.
    #[inline]
    pub(crate) fn create(&mut self, birth: &Birth<'_>) -> Slot {
        let order = birth.order;
        let qty = match order.size {
            OrderSize::Qty(qty) => qty,
            OrderSize::Quote(_) => Qty::ZERO,
        };
        let lives = match order.tif {
            TimeInForce::Gtc => Lives::Gtc,
            TimeInForce::Ioc => Lives::Ioc,
            TimeInForce::Fok => Lives::Fok,
            TimeInForce::Gtd(_) => Lives::Gtd,
        };
        let slot = self.room(birth.id);
        // Written where it stays; whoever had the place left no client id and nothing special.
        let Entry { live, details } = &mut self.entries[slot as usize];
        *live = Live {
            id: birth.id,
            price: order.price.unwrap_or_default(),
            qty,
            filled: Qty::ZERO,
            ahead: Place::FRONT,
            joined: 0,
            account: birth.account,
            session: birth.session,
            instrument: order.instrument.0 as u16,
            side: order.side,
            held: birth.held,
            waiting: order.trigger.is_some(),
            kind: order.kind,
            self_trade: birth.self_trade,
            lives,
        };
        (details.created, details.arrived) = (birth.created, birth.arrived);
        details.filled_quote = Money::ZERO;
        if order.client_id.is_some() {
            details.client_id.clone_from(&order.client_id);
        }
        if let Some(extra) = Extra::of(order) {
            details.extra = Some(extra);
        }
        slot
    }

    /// How long an order lives.
    pub(crate) fn tif(&self, slot: Slot) -> TimeInForce {
        self.live(slot).tif(self.details(slot))
    }

    /// Forgets an order that stands in no queue any more.
    pub(crate) fn remove(&mut self, slot: Slot) {
        self.set_joined(slot, 0);
        let entry = &mut self.entries[slot as usize];
        (entry.details.client_id, entry.details.extra) = (None, None);
        self.index.take(entry.live.id);
        self.free.push(slot);
    }

    /// Gives an order another number.
    pub(crate) fn renumber(&mut self, slot: Slot, id: OrderId) {
        self.index.take(self.entries[slot as usize].live.id);
        self.entries[slot as usize].live.id = id;
        self.index.set(id, slot);
    }

    pub(crate) fn find(&self, id: OrderId) -> Option<Slot> {
        self.index.get(id)
    }

    #[inline]
    pub(crate) fn live(&self, slot: Slot) -> &Live {
        &self.entries[slot as usize].live
    }

    #[inline]
    pub(crate) fn live_mut(&mut self, slot: Slot) -> &mut Live {
        &mut self.entries[slot as usize].live
    }

    /// When it joined its queue; zero while it rests nowhere.
    #[inline]
    pub(crate) fn joined(&self, slot: Slot) -> u64 {
        self.joined[slot as usize]
    }

    /// It joins a queue, or leaves (zero).
    #[inline]
    pub(crate) fn set_joined(&mut self, slot: Slot, joined: u64) {
        self.joined[slot as usize] = joined;
        self.entries[slot as usize].live.joined = joined;
    }

    pub(crate) fn details(&self, slot: Slot) -> &Details {
        &self.entries[slot as usize].details
    }

    pub(crate) fn details_mut(&mut self, slot: Slot) -> &mut Details {
        &mut self.entries[slot as usize].details
    }

    /// All orders, oldest first.
    pub(crate) fn by_id(&self) -> impl Iterator<Item = Slot> + '_ {
        self.index.slots()
    }

    /// An order as the exchange shows it. `lot` is its instrument's; `ended`: it has just been cancelled.
    pub(crate) fn state(&self, slot: Slot, lot: Qty, ended: bool) -> OrderState {
        let mut state = self.plain_state(slot, lot, ended);
        self.add_rest(slot, &mut state);
        state
    }

    /// Whether an order has nothing but what all orders have.
    #[inline]
    pub(crate) fn is_plain(&self, slot: Slot) -> bool {
        let details = self.details(slot);
        details.client_id.is_none() && details.extra.is_none()
    }

    /// [`state`](Self::state) without what [`add_rest`](Self::add_rest) adds.
    #[inline(always)] // Built in place in the update that carries it.
    pub(crate) fn plain_state(&self, slot: Slot, lot: Qty, ended: bool) -> OrderState {
        let Entry { live, details } = &self.entries[slot as usize];
        let (qty, whole) = match &details.extra {
            None => (live.qty, live.qty == live.filled),
            // The amount of a quote-sized order grows with its fills: its money says when it is whole.
            Some(extra) => {
                let qty = live.qty + extra.hidden;
                (qty, extra.quote_qty.map_or(qty == live.filled, |quote| details.filled_quote >= quote))
            }
        };
        let status = match (live.waiting, live.filled.is_zero()) {
            _ if ended => OrderStatus::Cancelled,
            (true, _) => OrderStatus::Waiting,
            (false, true) => OrderStatus::Open,
            (false, false) if whole => OrderStatus::Filled,
            (false, false) => OrderStatus::PartiallyFilled,
        };
        OrderState {
            id: live.id,
            client_id: None,
            instrument: InstrumentId(u32::from(live.instrument)),
            side: live.side,
            kind: live.kind,
            tif: live.tif(details),
            price: (live.kind != OrderKind::Market).then_some(live.price),
            qty,
            filled: live.filled,
            filled_quote: details.filled_quote,
            status,
            ahead: if live.is_resting() && !whole { live.ahead.shown(lot) } else { None },
            created: details.created,
            arrived: details.arrived,
            extra: None,
        }
    }

    /// Adds what few orders have.
    pub(crate) fn add_rest(&self, slot: Slot, state: &mut OrderState) {
        let details = self.details(slot);
        state.client_id.clone_from(&details.client_id);
        state.extra.clone_from(&details.extra);
    }

    /// Tells the processor that an order is going to be asked for: among many live orders that is a cache miss, and there
    /// is other work until then. Changes nothing.
    #[inline]
    pub(crate) fn expect(&self, slot: Slot) {
        if let Some(entry) = self.entries.get(slot as usize) {
            prefetch_index(std::slice::from_ref(&entry.live), 0);
            prefetch_index(std::slice::from_ref(&entry.details), 0);
        }
    }
}

/// Order numbers to slots. Numbers are dense and grow, so a page of slots beats a hash map; a page goes when its last
/// order does and newer pages are there.
#[derive(Clone, Debug, Default)]
struct Index {
    pages: Vec<Option<Box<Page>>>,
}

const PAGE: usize = 1_024;

#[derive(Clone, Debug)]
struct Page {
    slots: [Slot; PAGE],
    used: u32,
}

impl Index {
    fn place(id: OrderId) -> (usize, usize) {
        ((id.0 / PAGE as u64) as usize, (id.0 % PAGE as u64) as usize)
    }

    fn set(&mut self, id: OrderId, slot: Slot) {
        let (page, at) = Self::place(id);
        if page >= self.pages.len() {
            // What was the newest page goes, if it is empty by now.
            if let Some(last) = self.pages.last_mut() {
                last.take_if(|page| page.used == 0);
            }
            self.pages.resize_with(page + 1, || None);
        }
        let page = self.pages[page].get_or_insert_with(|| Box::new(Page { slots: [NONE; PAGE], used: 0 }));
        page.used += u32::from(page.slots[at] == NONE);
        page.slots[at] = slot;
    }

    fn get(&self, id: OrderId) -> Option<Slot> {
        let (page, at) = Self::place(id);
        let slot = self.pages.get(page)?.as_ref()?.slots[at];
        (slot != NONE).then_some(slot)
    }

    fn take(&mut self, id: OrderId) {
        let (page, at) = Self::place(id);
        let is_newest = page + 1 == self.pages.len();
        let Some(entry) = self.pages.get_mut(page) else { return };
        if let Some(found) = entry
            && found.slots[at] != NONE
        {
            found.slots[at] = NONE;
            found.used -= 1;
            if found.used == 0 && !is_newest {
                *entry = None;
            }
        }
    }

    fn slots(&self) -> impl Iterator<Item = Slot> + '_ {
        self.pages.iter().flatten().flat_map(|page| page.slots.iter().copied()).filter(|slot| *slot != NONE)
    }
}

/// One thing that moved the places of a level in the last second, for the day a late print moves before it (rule 6).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LogEntry {
    pub(crate) time: Timestamp,
    pub(crate) what: Moved,
    /// The orders of the level before it, in queue order: when each joined, and where it stood.
    pub(crate) places: Vec<(u64, Place)>,
}

/// What moved the places of a level.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Moved {
    /// The level shrank; the number is of its cancellation.
    Shrink(Shrink, CancellationId),
    /// The level was restated, or went, without saying who left: no more than so much is ahead of anyone.
    Clamp(Qty),
    /// Paper takers took so much of the market volume.
    Taken(Qty),
}

/// The queue of paper orders at one price.
///
/// An order that leaves leaves its place behind: taking it out would touch its neighbours, and at a million live orders
/// those are misses. A place is the order's while the order's `joined` says so.
#[derive(Clone, Debug, Default)]
pub(crate) struct Queue {
    pub(crate) price: Price,
    places: VecDeque<(Slot, u64)>,
    /// Orders that stand here.
    len: usize,
    /// What is left of them, together.
    pub(crate) qty: Qty,
    pub(crate) log: VecDeque<LogEntry>,
}

impl Queue {
    /// The orders from the front.
    pub(crate) fn slots<'a>(&'a self, orders: &'a Orders) -> impl DoubleEndedIterator<Item = Slot> + 'a {
        let stands = |(slot, joined): &&(Slot, u64)| orders.joined(*slot) == *joined;
        self.places.iter().filter(stands).map(|(slot, _)| *slot)
    }

    /// The order at a place, if it still stands there; for walks during which orders leave.
    pub(crate) fn at(&self, orders: &Orders, place: usize) -> Option<Option<Slot>> {
        let (slot, joined) = *self.places.get(place)?;
        Some((orders.joined(slot) == joined).then_some(slot))
    }
}

/// The resting paper orders of one side of one instrument.
#[derive(Clone, Debug)]
pub(crate) struct Resting {
    side: Side,
    /// Price to the queue's slot plus one.
    prices: Ladder,
    queues: Vec<Queue>,
    free: Vec<u32>,
    /// Emptied log entries, kept for their room.
    spare: Vec<LogEntry>,
    best: Option<Price>,
    worst: Option<Price>,
    /// The lowest and the highest price of an order; a range that nothing is in where there is none.
    range: (Price, Price),
}

/// Nothing is in it.
const NOWHERE: (Price, Price) = (Price::from_units(i64::MAX), Price::from_units(i64::MIN));

impl Resting {
    pub(crate) fn new(side: Side, tick: Price) -> Self {
        Self {
            side,
            prices: Ladder::new(side, tick),
            queues: Vec::new(),
            free: Vec::new(),
            spare: Vec::new(),
            best: None,
            worst: None,
            range: NOWHERE,
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.best.is_none()
    }

    #[inline]
    pub(crate) fn best(&self) -> Option<Price> {
        self.best
    }

    /// The queue of the orders that rest at `price`; two compares for nearly every row of a tape.
    #[inline]
    pub(crate) fn queue_at(&self, price: Price) -> Option<u32> {
        let (low, high) = self.range;
        if price < low || price > high {
            return None;
        }
        match self.prices.get(price) {
            0 => None,
            slot => Some((slot - 1) as u32),
        }
    }

    /// Whether a print at `price` reaches an order: one there, or at a better price.
    #[inline]
    pub(crate) fn is_reached(&self, price: Price) -> bool {
        self.best.is_some_and(|best| self.side.at_or_better(best, price))
    }

    #[inline]
    pub(crate) fn queue(&self, queue: u32) -> &Queue {
        &self.queues[queue as usize]
    }

    pub(crate) fn queue_mut(&mut self, queue: u32) -> &mut Queue {
        &mut self.queues[queue as usize]
    }

    /// Best price first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Queue> + '_ {
        self.prices.iter().map(|(_, slot)| &self.queues[(slot - 1) as usize])
    }

    /// The next worse price where an order rests.
    pub(crate) fn after(&self, price: Price) -> Option<Price> {
        self.prices.after(price).map(|(price, _)| price)
    }

    /// Puts an order at the back of its price's queue.
    pub(crate) fn join(&mut self, orders: &mut Orders, slot: Slot) {
        let price = orders.live(slot).price;
        let queue = self.queue_at(price).unwrap_or_else(|| self.open(price));
        let found = &mut self.queues[queue as usize];
        if found.places.len() > 4 * found.len + 64 {
            found.places.retain(|(slot, joined)| orders.joined(*slot) == *joined);
        }
        found.qty += orders.live(slot).leaves();
        found.len += 1;
        found.places.push_back((slot, orders.joined(slot)));
    }

    /// Puts an order that stands in its queue at the back of it, with so much to show.
    pub(crate) fn requeue(&mut self, orders: &Orders, slot: Slot, shown: Qty) {
        if let Some(queue) = self.queue_at(orders.live(slot).price) {
            let found = &mut self.queues[queue as usize];
            found.qty += shown;
            found.places.push_back((slot, orders.joined(slot)));
        }
    }

    /// The order at the front of a queue.
    pub(crate) fn first(&mut self, orders: &Orders, queue: u32) -> Option<Slot> {
        let places = &mut self.queues[queue as usize].places;
        while let Some((slot, joined)) = places.front() {
            if orders.joined(*slot) == *joined {
                if let Some((next, _)) = places.get(1) {
                    orders.expect(*next);
                }
                return Some(*slot);
            }
            places.pop_front();
        }
        None
    }

    fn open(&mut self, price: Price) -> u32 {
        let queue = self.free.pop().unwrap_or_else(|| {
            self.queues.push(Queue::default());
            (self.queues.len() - 1) as u32
        });
        self.queues[queue as usize].price = price;
        self.prices.set(price, i64::from(queue) + 1);
        if self.best.is_none_or(|best| self.side.better(price, best)) {
            self.best = Some(price);
        }
        if self.worst.is_none_or(|worst| self.side.better(worst, price)) {
            self.worst = Some(price);
        }
        self.range = (self.range.0.min(price), self.range.1.max(price));
        queue
    }

    /// Takes an order out of its queue.
    pub(crate) fn leave(&mut self, orders: &mut Orders, slot: Slot) {
        let live = orders.live(slot);
        let (price, leaves) = (live.price, live.leaves());
        orders.set_joined(slot, 0);
        let Some(queue) = self.queue_at(price) else { return };
        let found = &mut self.queues[queue as usize];
        found.qty -= leaves;
        found.len -= 1;
        if found.len == 0 {
            self.close(queue, price);
        }
    }

    fn close(&mut self, queue: u32, price: Price) {
        let found = &mut self.queues[queue as usize];
        found.qty = Qty::ZERO;
        found.places.clear();
        if !found.log.is_empty() {
            self.spare.extend(found.log.drain(..));
        }
        self.prices.set(price, 0);
        self.free.push(queue);
        if self.best == Some(price) {
            self.best = self.prices.best().map(|(price, _)| price);
        }
        if self.worst == Some(price) {
            self.worst = self.prices.worst().map(|(price, _)| price);
        }
        self.range = match (self.best, self.worst) {
            (Some(best), Some(worst)) => (best.min(worst), best.max(worst)),
            _ => NOWHERE,
        };
    }

    /// Says that `qty` of an order of the queue has filled.
    pub(crate) fn filled(&mut self, queue: u32, qty: Qty) {
        self.queues[queue as usize].qty -= qty;
    }

    /// An empty log entry, with the room of an old one.
    pub(crate) fn entry(&mut self, time: Timestamp, what: Moved) -> LogEntry {
        let mut entry = self.spare.pop().unwrap_or(LogEntry { time, what, places: Vec::new() });
        (entry.time, entry.what) = (time, what);
        entry.places.clear();
        entry
    }

    /// Writes to a queue's log what is about to move it, and forgets what is older than `span`.
    pub(crate) fn note(&mut self, orders: &Orders, queue: u32, time: Timestamp, span: i64, what: Moved) {
        while let Some(old) = self.queues[queue as usize].log.front()
            && time.nanos_since(old.time) > span
        {
            self.spare.extend(self.queues[queue as usize].log.pop_front());
        }
        let mut entry = self.entry(time, what);
        for slot in self.queues[queue as usize].slots(orders) {
            let live = orders.live(slot);
            entry.places.push((live.joined, live.ahead));
        }
        self.queues[queue as usize].log.push_back(entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest(orders: &mut Orders, resting: &mut Resting, id: u64, price: i64) -> Slot {
        let order = NewOrder::limit(InstrumentId(0), Side::Buy, Qty::from_units(5), Price::from_units(price));
        let slot = orders.create(&Birth {
            id: OrderId(id),
            order: &order,
            account: AccountId(1),
            session: SessionId(0),
            self_trade: SelfTrade::None,
            held: false,
            created: Timestamp::MIN,
            arrived: Timestamp::MIN,
        });
        orders.set_joined(slot, id);
        resting.join(orders, slot);
        slot
    }

    fn ids(orders: &Orders, resting: &Resting) -> Vec<u64> {
        resting.iter().flat_map(|queue| queue.slots(orders)).map(|slot| orders.live(slot).id.0).collect()
    }

    #[test]
    fn queues_keep_price_then_time_through_joining_and_leaving() {
        let (mut orders, mut resting) = (Orders::default(), Resting::new(Side::Buy, Price::from_units(1)));
        let slots: Vec<Slot> = [(1, 100), (2, 101), (3, 100), (4, 100), (5, 99)]
            .into_iter()
            .map(|(id, price)| rest(&mut orders, &mut resting, id, price))
            .collect();
        assert_eq!(ids(&orders, &resting), [2, 1, 3, 4, 5]);
        for (gone, left) in [(2, vec![2, 1, 4, 5]), (1, vec![1, 4, 5]), (4, vec![1, 4]), (0, vec![4])] {
            resting.leave(&mut orders, slots[gone]);
            orders.remove(slots[gone]);
            assert_eq!(ids(&orders, &resting), left);
        }
        assert_eq!((resting.best(), orders.find(OrderId(1))), (Some(Price::from_units(100)), None));
        resting.leave(&mut orders, slots[3]);
        orders.remove(slots[3]);
        assert!(resting.is_empty() && orders.by_id().next().is_none());
    }
}
