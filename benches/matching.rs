//! Order-by-order matching between 64 paper accounts: holds, fees and a streamed double-entry ledger on, beside
//! lobster (a bare book with no accounts) on the same flow, in the same run.
//!
//! The flow: so many orders rest at the start, then 50 % limit adds, 40 % cancels, 10 % markets. The fills must agree.

#![allow(missing_docs, clippy::disallowed_methods, clippy::cast_precision_loss, clippy::unwrap_used)]

use std::collections::VecDeque;
use std::time::Instant;

use papertape::market::{Group, GroupKind, Instrument, InstrumentId, Pair, Price, Qty, Side, Timestamp};
use papertape::order::{AccountId, Money, NewOrder, OrderId, OrderRef, SessionId};
use papertape::sim::{
    Admin, FeeSchedule, Input, LatencyModel, MarketConfig, Rate, Request, RequestBody, SimConfig,
    SimulatedExchange, Update, UpdateBody,
};

const ACCOUNTS: u64 = 64;

struct Xorshift(u64);

impl Xorshift {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }
}

enum Op {
    Limit {
        id: u64,
        bid: bool,
        price: u64,
        qty: u64,
    },
    /// `order` is the exchange's number of the order: they are numbered as they are sent.
    Cancel {
        id: u64,
        order: u64,
    },
    Market {
        id: u64,
        bid: bool,
        qty: u64,
    },
}

fn limit(random: &mut Xorshift, id: u64) -> Op {
    let bid = random.below(2) == 0;
    let away = (random.below(100) * random.below(100)) / 100;
    let price = if bid { 100_000 - 1 - away } else { 100_000 + 1 + away };
    Op::Limit { id, bid, price, qty: 1 + random.below(100) }
}

fn flow(operations: u64, open: u64) -> (Vec<Op>, Vec<Op>) {
    let mut random = Xorshift(88_172_645_463_325_252);
    let (mut id, mut sent, mut live) = (0, 0, Vec::new());
    let mut add = |random: &mut Xorshift, live: &mut Vec<(u64, u64)>, sent: &mut u64| {
        (id, *sent) = (id + 1, *sent + 1);
        live.push((id, *sent));
        limit(random, id)
    };
    let before = (0..open).map(|_| add(&mut random, &mut live, &mut sent)).collect();
    let mut market = 1 << 60;
    let ops = (0..operations).map(|_| {
        let kind = random.below(100);
        if kind < 50 || live.len() < 400 {
            add(&mut random, &mut live, &mut sent)
        } else if kind < 90 {
            let at = random.below(live.len() as u64) as usize;
            let (id, order) = live.swap_remove(at);
            Op::Cancel { id, order }
        } else {
            market += 1;
            sent += 1;
            Op::Market { id: market, bid: random.below(2) == 0, qty: 1 + random.below(120) }
        }
    });
    let ops = ops.collect();
    (before, ops)
}

/// Seconds and fills of lobster.
fn lobster(before: &[Op], ops: &[Op]) -> (f64, u64) {
    use lobster::{OrderBook, OrderEvent, OrderType, Side};
    let mut book = OrderBook::new(10_000, 10, false);
    let side = |bid: bool| if bid { Side::Bid } else { Side::Ask };
    let mut run = |op: &Op| {
        let event = book.execute(match *op {
            Op::Limit { id, bid, price, qty } => {
                OrderType::Limit { id: id.into(), price, qty, side: side(bid) }
            }
            Op::Cancel { id, .. } => OrderType::Cancel { id: id.into() },
            Op::Market { id, bid, qty } => OrderType::Market { id: id.into(), qty, side: side(bid) },
        });
        match event {
            OrderEvent::Filled { fills, .. } | OrderEvent::PartiallyFilled { fills, .. } => {
                fills.len() as u64
            }
            _ => 0,
        }
    };
    for op in before {
        run(op);
    }
    let start = Instant::now();
    let fills = ops.iter().map(&mut run).sum();
    (start.elapsed().as_secs_f64(), fills)
}

fn exchange() -> SimulatedExchange {
    let instrument = Instrument::spot("X_USD", Pair::new("X", "USD"), 0, 0).unwrap();
    let fees = FeeSchedule::flat_rates(Rate(1_000_000), Rate(2_000_000), "bench");
    let market = MarketConfig::spot(instrument, fees);
    let config = SimConfig { latency: LatencyModel::None, ..SimConfig::realistic(vec![market], 7) };
    let mut exchange = SimulatedExchange::new(config).unwrap();
    let mut updates = Vec::new();
    let now = Timestamp::from_nanos(0);
    for account in 0..ACCOUNTS as u32 {
        let account = AccountId(account);
        exchange.apply(now, Input::Admin(Admin::OpenAccount(account)), &mut updates);
        for asset in [0, 1] {
            let amount = Money(10_i128.pow(26));
            exchange.apply(now, Input::Admin(Admin::Deposit { account, asset, amount }), &mut updates);
        }
    }
    let group = Group {
        instrument: InstrumentId(0),
        kind: GroupKind::Snapshot,
        exchange_time: now,
        receive_time: now,
        events: &[],
        ids: &[],
    };
    exchange.apply(now, Input::Market(group), &mut updates);
    exchange
}

/// What one run saw: every update is read, as a journal would.
#[derive(Default)]
struct Seen {
    maker_fills: u64,
    entries: u64,
    sum: i128,
}

impl Seen {
    fn read(&mut self, updates: &mut Vec<Update>) {
        for update in updates.iter() {
            match &update.body {
                UpdateBody::Fill(fill) => {
                    self.maker_fills += u64::from(fill.liquidity == papertape::order::Liquidity::Maker);
                }
                UpdateBody::Ledger(entry) => {
                    self.entries += 1;
                    self.sum += entry.amount.0;
                }
                _ => {}
            }
        }
        updates.clear();
    }
}

struct Ours {
    exchange: SimulatedExchange,
    updates: Vec<Update>,
    now: i64,
    seen: Seen,
    sent: u64,
}

impl Ours {
    fn new() -> Self {
        let (exchange, updates) = (exchange(), Vec::new());
        Self { exchange, updates, now: 0, seen: Seen::default(), sent: 0 }
    }

    fn advance(&mut self) {
        self.exchange.apply(Timestamp::from_nanos(self.now), Input::Advance, &mut self.updates);
        self.seen.read(&mut self.updates);
    }

    fn run(&mut self, op: &Op) {
        let side = |bid: bool| if bid { Side::Buy } else { Side::Sell };
        let qty = |qty: u64| Qty::from_units(qty.cast_signed());
        let instrument = InstrumentId(0);
        match *op {
            Op::Limit { id, bid, price, qty: amount } => {
                self.sent += 1;
                let price = Price::from_units(price.cast_signed());
                let order = NewOrder::limit(instrument, side(bid), qty(amount), price);
                self.ask(id, RequestBody::Place(order));
            }
            Op::Cancel { id, order } => self.ask(id, RequestBody::Cancel(OrderRef::Id(OrderId(order)))),
            Op::Market { id, bid, qty: amount } => {
                self.sent += 1;
                let order = NewOrder::market(instrument, side(bid), qty(amount));
                self.ask(id, RequestBody::Place(order));
            }
        }
        self.seen.read(&mut self.updates);
    }

    /// It arrives at once, and is carried out when the clock goes on: with the next request.
    #[inline(always)]
    fn ask(&mut self, of: u64, body: RequestBody) {
        let account = AccountId((of % ACCOUNTS) as u32);
        let request = Request { session: SessionId(account.0), account, tag: 0, body };
        self.now += 1;
        self.exchange.apply(Timestamp::from_nanos(self.now), Input::Request(request), &mut self.updates);
    }
}

fn ours(before: &[Op], ops: &[Op]) -> (f64, Seen) {
    let mut ours = Ours::new();
    before.iter().for_each(|op| ours.run(op));
    ours.advance();
    ours.seen = Seen::default();
    let start = Instant::now();
    ops.iter().for_each(|op| ours.run(op));
    ours.advance();
    (start.elapsed().as_secs_f64(), ours.seen)
}

/// Cost of an operation after so many orders have come and gone, while no more than a thousand were open: for each new
/// one the oldest is cancelled, and every fifth time a market order takes some of them.
fn history(closed: u64, ops: u64) -> f64 {
    let mut ours = Ours::new();
    let mut random = Xorshift(88_172_645_463_325_252);
    let (mut id, mut open) = (0, VecDeque::new());
    while ours.sent < closed {
        id += 1;
        ours.run(&limit(&mut random, id));
        open.push_back((id, ours.sent));
        if open.len() > 1_000
            && let Some((id, order)) = open.pop_front()
        {
            ours.run(&Op::Cancel { id, order });
        }
        if id % 5 == 0 {
            let bid = random.below(2) == 0;
            ours.run(&Op::Market { id: (1 << 60) + id, bid, qty: 1 + random.below(120) });
        }
    }
    let left = (0..ACCOUNTS).map(|account| ours.exchange.open_orders(AccountId(account as u32)).len());
    assert!((500..=1_001).contains(&left.sum::<usize>()), "another number of orders is open than was meant");
    let mut best = f64::MAX;
    for _ in 0..5 {
        let start = Instant::now();
        let mut random = Xorshift(42);
        for _ in 0..ops {
            ours.run(&limit(&mut random, 1));
            ours.run(&Op::Cancel { id: 1, order: ours.sent });
        }
        best = best.min(start.elapsed().as_secs_f64());
    }
    best / (2 * ops) as f64
}

fn main() {
    if std::env::var_os("PAPERTAPE_SIZES").is_some() {
        println!(
            "update {} request {} order {} fill {} ledger {}",
            size_of::<Update>(),
            size_of::<Request>(),
            size_of::<papertape::sim::OrderState>(),
            size_of::<papertape::sim::Fill>(),
            size_of::<papertape::sim::LedgerEntry>()
        );
    }
    let small = std::env::args().any(|arg| arg == "--test");
    let cases: &[(u64, u64, u64)] = if small {
        &[(20_000, 1_000, 0)]
    } else {
        &[(1_000_000, 1_000, 217_649), (1_000_000, 1_000_000, 217_245)]
    };
    // A number picks one of the cases; 0 none of them.
    let only: Option<u64> = std::env::args().find_map(|arg| arg.parse().ok());
    let mut cost = Vec::new();
    for &(operations, open, want) in cases.iter().filter(|case| only.is_none_or(|open| open == case.1)) {
        let (before, ops) = flow(operations, open);
        let (mut theirs, mut mine) = (f64::MAX, f64::MAX);
        for _ in 0..if small { 1 } else { 5 } {
            let (seconds, seen) = ours(&before, &ops);
            mine = mine.min(seconds);
            let (seconds, fills) = lobster(&before, &ops);
            theirs = theirs.min(seconds);
            assert_eq!(seen.maker_fills, fills, "fills differ from lobster's: the run is void");
            assert!(want == 0 || fills == want, "{fills} fills, {want} wanted: the run is void");
            assert_eq!(seen.sum, 0, "the ledger does not sum to zero");
        }
        let rate = |seconds: f64| operations as f64 / seconds / 1e6;
        println!(
            "matching {open:>9} open  papertape {:6.2} M op/s  lobster {:6.2} M op/s  ratio {:.2}",
            rate(mine),
            rate(theirs),
            theirs / mine
        );
        cost.push(mine / operations as f64);
    }
    if let [few, many] = cost[..] {
        println!("matching cost at 1 M open orders / at 1,000: {:.2}", many / few);
    }
    if only.is_some_and(|open| open > 0) {
        return;
    }
    let (short, long, ops) = if small { (1_000, 10_000, 1_000) } else { (10_000, 10_000_000, 200_000) };
    let (short, long) = (history(short, ops), history(long, ops));
    println!(
        "matching after a long history / a short one: {:.3} ({:.1} ns, {:.1} ns)",
        long / short,
        long * 1e9,
        short * 1e9
    );
}
