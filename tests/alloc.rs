//! The hot path allocates nothing, and what is over leaves memory: counted by an allocator that counts.
#![allow(unreachable_pub, dead_code, clippy::unwrap_used, clippy::expect_used)]
// An allocator is a promise to the language that only unsafe code can make; it hands everything on to the system's.
#![allow(unsafe_code)]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use papertape::market::{
    Group, GroupKind, IdSpan, InstrumentId, MarketEvent, Price, Print, Qty, Side, Timestamp,
};
use papertape::order::{AccountId, Money, NewOrder, OrderId, OrderKind, OrderRef, SessionId};
use papertape::sim::{Admin, Input, Request, RequestBody, SimulatedExchange, Update};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static LIVE_BYTES: Cell<i64> = const { Cell::new(0) };
}

struct Counting;

fn count(allocations: u64, bytes: i64) {
    // A thread that is ending has no counters any more; nobody looks at it then.
    let _ = ALLOCATIONS.try_with(|all| all.set(all.get() + allocations));
    let _ = LIVE_BYTES.try_with(|all| all.set(all.get() + bytes));
}

// SAFETY: each call goes to the system's allocator as it came; the counters are cells of the own thread that need no
// allocation themselves.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as i64);
        // SAFETY: the caller's promise is handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(0, -(layout.size() as i64));
        // SAFETY: the caller's promise is handed on.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(1, size as i64 - layout.size() as i64);
        // SAFETY: the caller's promise is handed on.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn allocations() -> u64 {
    ALLOCATIONS.with(Cell::get)
}

fn live_bytes() -> i64 {
    LIVE_BYTES.with(Cell::get)
}

/// An exchange with a market around `MID` and one rich account.
struct Table {
    exchange: SimulatedExchange,
    updates: Vec<Update>,
    now: i64,
    random: u64,
}

const MID: i64 = 100_000;
const ACCOUNT: AccountId = AccountId(1);

impl Table {
    fn new() -> Self {
        let config = common::config(common::market(common::instrument("BTC-USDT", 2, 1, 1)));
        let exchange = SimulatedExchange::new(config).unwrap();
        let mut table = Self { exchange, updates: Vec::with_capacity(4_096), now: 0, random: 1 };
        table.apply(Input::Admin(Admin::OpenAccount(ACCOUNT)));
        for asset in 0..2 {
            let amount = Money(1_000_000_000_000_000_000);
            table.apply(Input::Admin(Admin::Deposit { account: ACCOUNT, asset, amount }));
        }
        let mut events = Vec::new();
        for away in 1..=50 {
            for side in Side::BOTH {
                events.push(level(side, away, 500));
            }
        }
        table.group(GroupKind::Snapshot, &events);
        table
    }

    fn apply(&mut self, input: Input<'_>) {
        self.updates.clear();
        self.exchange.apply(Timestamp::from_nanos(self.now), input, &mut self.updates);
    }

    fn group(&mut self, kind: GroupKind, events: &[MarketEvent]) {
        let now = Timestamp::from_nanos(self.now);
        let instrument = InstrumentId(0);
        self.apply(Input::Market(Group {
            instrument,
            kind,
            exchange_time: now,
            receive_time: now,
            events,
            ids: &[],
        }));
    }

    fn ask(&mut self, body: RequestBody) {
        self.apply(Input::Request(Request { session: SessionId(1), account: ACCOUNT, tag: 0, body }));
        self.apply(Input::Advance);
    }

    fn roll(&mut self, below: u64) -> i64 {
        // Marsaglia's xorshift: the test needs variety, not randomness.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random % below) as i64
    }

    /// A tape's usual day: levels change, prints come before and after their shrinks.
    fn market_event(&mut self) {
        self.now += 1_000_000;
        let side = if self.roll(2) == 0 { Side::Buy } else { Side::Sell };
        let away = 1 + self.roll(50) * self.roll(2);
        let change = level(side, away, 300 + self.roll(300));
        let print = MarketEvent::Trade(Print {
            aggressor: Some(side.opposite()),
            id: IdSpan::default(),
            price: price(side, 1),
            qty: Qty::from_units(1 + self.roll(3)),
        });
        match self.roll(4) {
            0 => self.group(GroupKind::Update, &[print, change]),
            1 => self.group(GroupKind::Update, &[change, print]),
            _ => self.group(GroupKind::Update, &[change]),
        }
    }

    /// So many events of the same day again, and the allocations that they made.
    fn play(&mut self, events: usize) -> u64 {
        (self.random, self.now) = (1, self.now + 5_000_000_000);
        let before = allocations();
        for _ in 0..events {
            self.market_event();
        }
        allocations() - before
    }
}

fn price(side: Side, away: i64) -> Price {
    Price::from_units(if side == Side::Buy { MID - away } else { MID + away })
}

fn level(side: Side, away: i64, qty: i64) -> MarketEvent {
    MarketEvent::Level { side, price: price(side, away), qty: Qty::from_units(qty) }
}

fn order(side: Side, away: i64, qty: i64) -> NewOrder {
    NewOrder::limit(InstrumentId(0), side, Qty::from_units(qty), price(side, away))
}

#[test]
fn the_counter_counts() {
    let (before, bytes) = (allocations(), live_bytes());
    let boxed = Box::new([0_u8; 100]);
    assert_eq!((allocations() - before, live_bytes() - bytes), (1, 100));
    drop(boxed);
    assert_eq!(live_bytes(), bytes);
}

#[test]
fn a_market_event_allocates_nothing_while_nobody_trades() {
    let mut table = Table::new();
    for _ in 0..3 {
        table.play(50_000);
    }
    assert_eq!(table.play(50_000), 0);
}

#[test]
fn a_market_event_allocates_nothing_while_orders_rest() {
    let mut table = Table::new();
    for away in 1..=20 {
        for side in Side::BOTH {
            table.ask(RequestBody::Place(order(side, away, 1_000_000)));
            table.ask(RequestBody::Place(order(side, away, 1_000_000)));
        }
    }
    for _ in 0..3 {
        table.play(50_000);
    }
    assert_eq!(table.play(50_000), 0);
    assert_eq!(table.exchange.open_orders(ACCOUNT).len(), 80);
}

#[test]
fn what_is_over_leaves_memory() {
    let mut table = Table::new();
    let mut id = 0;
    let mut round = |table: &mut Table| {
        id += 1;
        let side = if id % 2 == 0 { Side::Buy } else { Side::Sell };
        let mut new = order(side, 1 + (id as i64 % 7), 3);
        new.client_id = Some(format!("order-{id}").into());
        match id % 4 {
            0 => new.kind = OrderKind::Market,
            1 => new.price = Some(price(side.opposite(), 1)),
            _ => {}
        }
        if new.kind == OrderKind::Market {
            (new.price, new.tif) = (None, papertape::order::TimeInForce::Ioc);
        }
        table.ask(RequestBody::Place(new));
        table.market_event();
        table.ask(RequestBody::Cancel(OrderRef::Id(OrderId(id))));
    };
    for _ in 0..20_000 {
        round(&mut table);
    }
    let before = live_bytes();
    for _ in 0..100_000 {
        round(&mut table);
    }
    let grown = live_bytes() - before;
    assert!(table.exchange.open_orders(ACCOUNT).is_empty());
    // A page of order numbers leaves eight bytes behind: a byte for a hundred orders.
    assert!(grown < 4_096, "{grown} bytes more are alive after 100,000 orders");
}
