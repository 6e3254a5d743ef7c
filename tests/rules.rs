//! `docs/fills.md`, §3, rule by rule: every worked example of the page, and the corners that its words decide.
//!
//! Each scene is played on the engine and on the naive one (`tests/oracle`); the rules that the naive engine leaves out
//! on the engine alone.
#![allow(unreachable_pub, dead_code, clippy::unwrap_used, clippy::expect_used)]

mod common;
#[path = "oracle/naive.rs"]
mod naive;

use std::time::Duration;

use papertape::market::{FeedDepth, Group, GroupKind, InstrumentId, Level, Price, Qty, Side, Timestamp};
use papertape::order::{AccountId, Evidence, FillRule, NewOrder, RejectReason, SelfTrade, SessionId};
use papertape::sim::{
    Admin, Balance, CrossedBook, FeeSchedule, Fill, Input, LatencyModel, Law, LedgerEntry, OrderEvent,
    OrderState, Owner, PostOnlyAnswer, QueueModel, Rate, Refill, Request, RequestBody, SimConfig,
    SimulatedExchange, Update, UpdateBody, View,
};

use common::Exchange;
use common::scene::{Scene, play};
use naive::NaiveExchange;

impl Exchange for NaiveExchange {
    const NAME: &'static str = "naive";
    fn start(config: SimConfig) -> Self {
        Self::new(config)
    }
    fn apply(&mut self, now: Timestamp, input: Input<'_>, updates: &mut Vec<Update>) {
        Self::apply(self, now, input, updates);
    }
    fn state_hash(&self) -> u64 {
        Self::state_hash(self)
    }
    fn balance(&self, account: AccountId, asset: u16) -> Balance {
        Self::balance(self, account, asset)
    }
    fn open_orders(&self, account: AccountId) -> Vec<OrderState> {
        Self::open_orders(self, account)
    }
}

/// `BTC-USDT`, prices to 0.1, quantities to 0.01, no fees, no latency, the power-2 queue.
fn plain() -> SimConfig {
    common::config(common::market(common::instrument("BTC-USDT", 2, 1, 1)))
}

fn with(change: impl FnOnce(&mut SimConfig)) -> SimConfig {
    let mut config = plain();
    change(&mut config);
    config
}

fn queue(model: QueueModel) -> SimConfig {
    with(|config| config.queue = model)
}

fn depth(depth: FeedDepth) -> SimConfig {
    with(|config| config.markets[0].depth = depth)
}

fn fees(maker: i64, taker: i64) -> SimConfig {
    with(|config| config.markets[0].fees = FeeSchedule::flat_rates(Rate(maker), Rate(taker), "test"))
}

/// Both engines, the same scene.
fn both(config: &SimConfig, drawn: &str) -> Scene<SimulatedExchange> {
    let slow = play::<NaiveExchange>(config.clone(), drawn);
    let fast = play::<SimulatedExchange>(config.clone(), drawn);
    assert_eq!(fast.updates, slow.updates);
    assert_eq!(fast.exchange.state_hash(), slow.exchange.state_hash());
    fast
}

fn fills<E: Exchange>(scene: &Scene<E>) -> Vec<Fill> {
    let fill = |update: &Update| match &update.body {
        UpdateBody::Fill(fill) => Some(fill.clone()),
        _ => None,
    };
    scene.updates.iter().filter_map(fill).collect()
}

fn rows<E: Exchange>(scene: &Scene<E>) -> Vec<LedgerEntry> {
    let row = |update: &Update| match &update.body {
        UpdateBody::Ledger(row) => Some(*row),
        _ => None,
    };
    scene.updates.iter().filter_map(row).collect()
}

#[test]
fn rule_01_order_of_things() {
    // An order's time is up before the market of the same time.
    both(
        &plain(),
        "
        0s  book  bid 8 @ 100.0 | ask 5 @ 101.0
        1s  a1    buy 3 @ 100.5 gtd 2s              -> a1 open ahead 0
        2s  trade sell 9 @ 100.0                    -> a1 cancelled: expired
        ",
    );
    // A request at t sees every group up to t; nothing at or before its arrival fills it.
    let latency = LatencyModel::Constant { entry: Duration::from_secs(1), response: Duration::ZERO };
    both(
        &with(|config| config.latency = latency),
        "
        0s  book  bid 8 @ 100.0 | ask 5 @ 101.0
        1s  a1    buy 3 @ 100.0                     -> nothing
        2s  trade sell 9 @ 100.0                    -> nothing
        2s  frame bid 2 @ 100.0                     -> nothing
        2s  wait                                    -> a1 open ahead 2
        2s  trade sell 2 @ 100.0                    -> nothing
        3s  trade sell 1 @ 100.0                    -> a1 fills 1 @ 100 maker leaves 2
        ",
    );
    // Requests come in the order of their arrival.
    both(
        &plain(),
        "
        0s  book  bid 8 @ 100.0 | ask 1 @ 101.0
        1s  a1    buy 1 @ 101.0                     -> a1 open; a1 fills 1 @ 101 taker leaves 0
        1s  b1    buy 1 @ 101.0                     -> b1 open ahead 0
        ",
    );
}

#[test]
fn rule_02_joining() {
    // All that is free is ahead; nothing inside the spread; a later order never has less ahead.
    both(
        &plain(),
        "
        0s  book  bid 8 @ 100.0 | ask 5 @ 101.0
        1s  a1    buy 3 @ 100.0                     -> a1 open ahead 8
        1s  a2    buy 3 @ 100.5                     -> a2 open ahead 0
        1s  a3    buy 3 @ 99.0                      -> a3 open ahead 0
        2s  frame bid 20 @ 100.0
        2s  b1    buy 1 @ 100.0                     -> b1 open ahead 20
        2s  ?     a1 ahead 8
        3s  frame bid 9 @ 100.0
        3s  c1    buy 1 @ 100.0                     -> c1 open ahead 9
        3s  ?     b1 ahead 9
        ",
    );
    // What paper takers took is not ahead of anyone.
    both(
        &plain(),
        "
        0s  book  bid 8 @ 100.0 | ask 5 @ 101.0
        1s  b1    sell 6 market                     -> b1 open; b1 fills 6 @ 100 taker leaves 0
        1s  a1    buy 3 @ 100.0                     -> a1 open ahead 2
        ",
    );
    // Outside the window: the last size seen, else unknown, which no print at the price can use up.
    both(
        &depth(FeedDepth::Levels(2)),
        "
        0s  book  bid 8 @ 100.0, 6 @ 99.0 | ask 5 @ 101.0
        1s  a1    buy 1 @ 98.0                      -> a1 open
        1s  ?     a1 ahead unknown
        2s  trade sell 50 @ 98.0                    -> nothing
        3s  book  bid 2 @ 100.5, 8 @ 100.0 | ask 5 @ 101.0
        3s  b1    buy 1 @ 99.0                      -> b1 open ahead 6
        3s  b2    buy 1 @ 98.5                      -> b2 open
        4s  book  bid 3 @ 99.0, 4 @ 98.0 | ask 5 @ 101.0
        4s  ?     a1 ahead 4, b1 ahead 3, b2 ahead unknown
        5s  trade sell 5 @ 97.0                     -> b1 fills 1 @ 99 maker leaves 0; b2 fills 1 @ 98.5 maker leaves 0; a1 fills 1 @ 98 maker leaves 0
        ",
    );
    // Leaving the window is no shrink, whether the feed sends books or changes.
    for drawn in [
        "
        0s  book  bid 8 @ 100.0, 6 @ 99.0 | ask 5 @ 101.0
        1s  a1    buy 1 @ 99.0                      -> a1 open ahead 6
        2s  book  bid 2 @ 100.5, 8 @ 100.0 | ask 5 @ 101.0
        2s  ?     a1 ahead 6
        3s  trade sell 2 @ 99.0
        3s  ?     a1 ahead 4
        4s  book  bid 8 @ 100.0, 9 @ 99.0 | ask 5 @ 101.0
        4s  ?     a1 ahead 4
        ",
        "
        0s  book  bid 8 @ 100.0, 6 @ 99.0 | ask 5 @ 101.0
        1s  a1    buy 1 @ 99.0                      -> a1 open ahead 6
        2s  frame bid 2 @ 100.5, 0 @ 99.0
        2s  ?     a1 ahead 6
        3s  frame bid 0 @ 100.5, 3 @ 99.0
        3s  ?     a1 ahead 3
        4s  frame bid 0 @ 99.0
        4s  ?     a1 ahead 0
        ",
    ] {
        both(&depth(FeedDepth::Levels(2)), drawn);
    }
}

#[test]
fn rule_03_prints() {
    // One budget for all accounts: better prices first, each at its own; then the queue; worse prices not at all.
    both(
        &plain(),
        "
        0s  book  bid 8 @ 100.0, 2 @ 99.0 | ask 5 @ 101.0
        1s  a1    buy 3 @ 100.0                     -> a1 open ahead 8
        1s  b1    buy 1 @ 100.5                     -> b1 open ahead 0
        1s  c1    buy 2 @ 100.0                     -> c1 open ahead 8
        1s  a2    buy 1 @ 99.0                      -> a2 open ahead 2
        2s  trade sell 10 @ 100.0                   -> b1 fills 1 @ 100.5 maker leaves 0; a1 fills 1 @ 100 maker leaves 2
        3s  trade sell 3 @ 100.0                    -> a1 fills 2 @ 100 maker leaves 0; c1 fills 1 @ 100 maker leaves 1
        4s  trade sell 9 @ 99.5                     -> c1 fills 1 @ 100 maker leaves 0
        4s  ?     a2 ahead 2
        ",
    );
    // Market, order 1, market, order 2.
    both(
        &queue(QueueModel::Conservative),
        "
        0s  book  bid 2 @ 100.0 | ask 5 @ 101.0
        1s  a1    buy 1 @ 100.0                     -> a1 open ahead 2
        2s  frame bid 5 @ 100.0
        2s  b1    buy 1 @ 100.0                     -> b1 open ahead 5
        3s  trade sell 4 @ 100.0                    -> a1 fills 1 @ 100 maker leaves 0
        3s  ?     b1 ahead 2
        4s  trade sell 3 @ 100.0                    -> b1 fills 1 @ 100 maker leaves 0
        ",
    );
    // What reaches an order and does not fill it whole goes no further: lots of 0.05.
    let coarse = common::config(common::market(common::instrument("BTC-USDT", 2, 1, 5)));
    both(
        &coarse,
        "
        0s  book  bid 0.04 @ 100.0 | ask 5 @ 101.0
        1s  a1    buy 0.05 @ 100.0
        2s  frame bid 0.1 @ 100.0
        2s  b1    buy 0.05 @ 100.0                  -> b1 open ahead 0.1
        3s  trade sell 0.08 @ 100.0                 -> nothing
        3s  ?     a1 ahead 0, b1 ahead 0.1
        4s  trade sell 0.05 @ 100.0                 -> a1 fills 0.05 @ 100 maker leaves 0
        ",
    );
    // Unknown aggressor: at or above the best ask a buy, at or below the best bid a sell; between them one budget for
    // strictly better prices of either side.
    both(
        &plain(),
        "
        0s  book  bid 1 @ 100.0 | ask 1 @ 102.0
        1s  a1    buy 1 @ 100.0                     -> a1 open ahead 1
        1s  b1    sell 1 @ 102.0                    -> b1 open ahead 1
        1s  a2    buy 1 @ 101.2                     -> a2 open ahead 0
        1s  b2    sell 1 @ 101.5                    -> b2 open ahead 0
        2s  trade ? 1 @ 101.2                       -> nothing
        2s  trade ? 1 @ 101.3                       -> nothing
        3s  trade ? 9 @ 101.1                       -> a2 fills 1 @ 101.2 maker leaves 0
        3s  trade ? 9 @ 101.6                       -> b2 fills 1 @ 101.5 maker leaves 0
        4s  trade ? 2 @ 100.0                       -> a1 fills 1 @ 100 maker leaves 0
        4s  trade ? 2 @ 102.0                       -> b1 fills 1 @ 102 maker leaves 0
        ",
    );
    // A fill says what bears it out.
    let scene = both(
        &plain(),
        "
        0s  book  bid 8 @ 100.0 | ask 5 @ 101.0
        1s  a1    buy 1 @ 100.5
        1s  a2    buy 1 @ 100.0
        2s  trade sell 10 @ 100.0
        ",
    );
    let why: Vec<_> = fills(&scene)
        .iter()
        .map(|fill| (fill.rule, fill.evidence, fill.ahead_before.map(Qty::units)))
        .collect();
    assert_eq!(
        why,
        [
            (FillRule::PrintThrough, Evidence::Print, Some(0)),
            (FillRule::PrintAtPrice, Evidence::Print, Some(800)),
        ]
    );
}

#[test]
fn rule_04_crossing_book() {
    both(
        &plain(),
        "
        0s  book  bid 8 @ 99.0 | ask 5 @ 102.0
        1s  a1    buy 3 @ 100.0
        1s  b1    buy 4 @ 100.5
        2s  frame ask 2 @ 99.5, 3 @ 100.0           -> b1 fills 2 @ 100.5 maker leaves 2; public sell 2 @ 100.5; b1 fills 2 @ 100.5 maker leaves 0; public sell 2 @ 100.5; a1 fills 1 @ 100 maker leaves 2; public sell 1 @ 100
        # A level that stays shown fills once; what it grows by is fresh.
        3s  frame ask 3 @ 100.0                     -> nothing
        4s  frame ask 4 @ 100.0                     -> a1 fills 1 @ 100 maker leaves 1
        5s  frame ask 1 @ 100.0                     -> nothing
        6s  frame ask 0 @ 100.0                     -> nothing
        7s  frame ask 3 @ 100.0                     -> a1 fills 1 @ 100 maker leaves 0
        ",
    );
    // Sells are mirrored.
    both(
        &plain(),
        "
        0s  book  bid 8 @ 99.0 | ask 5 @ 102.0
        1s  a1    sell 3 @ 100.0
        2s  frame bid 2 @ 100.5                     -> a1 fills 2 @ 100 maker leaves 1; public buy 2 @ 100
        ",
    );
}

#[test]
fn rule_05_shrinks() {
    // The page's example: shown 10 → 7 with no print, ahead 4, n = 2: 4 − 16/52 × 3 = 3.0769, shown as 3.08.
    let drawn = "
        0s  book  bid 4 @ 100.0 | ask 5 @ 101.0
        1s  a1    buy 1 @ 100.0                     -> a1 open ahead 4
        2s  frame bid 10 @ 100.0
        3s  frame bid 7 @ 100.0
    ";
    let scene = both(&plain(), &format!("{drawn}\n 3s ? a1 ahead 3.08"));
    assert_eq!(scene.exchange.open_orders(AccountId(1))[0].ahead, Some(Qty::from_units(308)));
    for (model, ahead) in [
        (QueueModel::Front, "0"),
        (QueueModel::Conservative, "4"),
        (QueueModel::Probabilistic(Law::Power(1)), "2.8"),
        // 4 − 64/280 × 3
        (QueueModel::Probabilistic(Law::Power(3)), "3.32"),
        // ln 7 / (ln 7 + ln 5) behind: 4 − 0.45267 × 3
        (QueueModel::Probabilistic(Law::Log), "2.65"),
    ] {
        both(
            &queue(model),
            &format!(
                "{}\n 3s ? a1 ahead {ahead}",
                drawn.replace("ahead 4", if model == QueueModel::Front { "ahead 0" } else { "ahead 4" })
            ),
        );
    }
    // What prints of the last second explain is no cancellation: the print has moved us already.
    both(
        &plain(),
        "
        0s  book  bid 10 @ 100.0 | ask 5 @ 101.0
        1s  a1    buy 1 @ 100.0                     -> a1 open ahead 10
        2s  trade sell 4 @ 100.0
        2s  ?     a1 ahead 6
        3s  frame bid 6 @ 100.0
        3s  ?     a1 ahead 6
        ",
    );
    // The clamp: ahead is never more than what is free. Growth always joins behind.
    both(
        &queue(QueueModel::Conservative),
        "
        0s  book  bid 10 @ 100.0 | ask 5 @ 101.0
        1s  a1    buy 1 @ 100.0
        2s  frame bid 3 @ 100.0
        2s  ?     a1 ahead 3
        3s  frame bid 30 @ 100.0
        3s  ?     a1 ahead 3
        4s  frame bid 0 @ 100.0
        4s  ?     a1 ahead 0
        ",
    );
    // Most of a queue is ahead: 8 − 64/68 × 5, then 3.294 − 0.789 × 4.
    both(
        &plain(),
        "
        0s  book  bid 8 @ 100.0 | ask 5 @ 101.0
        1s  a1    buy 1 @ 100.0
        2s  frame bid 10 @ 100.0
        3s  frame bid 5 @ 100.0
        3s  ?     a1 ahead 3.3
        4s  frame bid 1 @ 100.0
        4s  ?     a1 ahead 0.14
        ",
    );
}

#[test]
fn rule_06_book_before_trade() {
    let start = "
        0s  book  bid 8 @ 100.0 | ask 5 @ 101.0
        0s  a1    buy 1 @ 100.0                     -> a1 open ahead 8
        0s  frame bid 10 @ 100.0
    ";
    // The page's example: shown 10, ahead 8, print 6 and cancel 2 in one frame: ahead 1 whichever comes first.
    for frames in [
        "2s frame trade sell 6 @ 100.0 | bid 2 @ 100.0",
        "2s frame bid 2 @ 100.0 | trade sell 6 @ 100.0",
        "2s frame bid 2 @ 100.0\n 3s trade sell 6 @ 100.0",
        "2s trade sell 6 @ 100.0\n 3s frame bid 2 @ 100.0",
    ] {
        both(&plain(), &format!("{start}\n{frames}\n 3s ? a1 ahead 1"));
    }
    // A second is a second, to the nanosecond: 7 − 49/53 × 7 within it, 8 − 64/68 × 8 less the print after it.
    both(
        &plain(),
        &format!(
            "{start}\n 2s frame bid 2 @ 100.0\n 3s trade sell 1 @ 100.0 -> nothing\n 3s ? a1 ahead 0.53"
        ),
    );
    both(
        &plain(),
        &format!(
            "{start}\n 2s frame bid 2 @ 100.0
            3.000000001s trade sell 1 @ 100.0 -> a1 fills 0.52 @ 100 maker leaves 0.48"
        ),
    );
    // Two prints of one shrink, and the fill that trade-first gives.
    for frames in [
        "2s trade sell 5 @ 100.0\n 2s trade sell 4 @ 100.0 -> a1 fills 1 @ 100 maker leaves 0\n 2s frame bid 1 @ 100.0",
        "2s frame bid 1 @ 100.0\n 2s trade sell 5 @ 100.0\n 2s trade sell 4 @ 100.0 -> a1 fills 1 @ 100 maker leaves 0",
    ] {
        both(&plain(), &format!("{start}\n{frames}"));
    }
    // An order that joined after the shrink is not moved by what the shrink accounts for, only by the rest.
    both(
        &plain(),
        "
        0s  book  bid 10 @ 100.0 | ask 5 @ 101.0
        1s  frame bid 4 @ 100.0
        1s  a1    buy 1 @ 100.0                     -> a1 open ahead 4
        2s  trade sell 6 @ 100.0                    -> nothing
        2s  ?     a1 ahead 4
        3s  trade sell 2 @ 100.0                    -> nothing
        3s  ?     a1 ahead 2
        ",
    );
    both(
        &plain(),
        "
        0s  book  bid 10 @ 100.0 | ask 5 @ 101.0
        1s  frame bid 4 @ 100.0
        1s  a1    buy 1 @ 100.0                     -> a1 open ahead 4
        2s  trade sell 9 @ 100.0                    -> nothing
        2s  ?     a1 ahead 1
        ",
    );
    // The level's later changes count, too: a crossed book that was repaired has nothing left ahead of us.
    both(
        &queue(QueueModel::Conservative),
        "
        0s  book  bid 10 @ 99.0 | ask 15 @ 100.0, 1 @ 101.0
        1s  a1    sell 12 @ 100.0                   -> a1 open ahead 15
        2s  frame ask 5 @ 100.0
        2s  frame bid 2 @ 100.0                     -> a1 fills 2 @ 100 maker leaves 10
        2s  ?     a1 ahead 0
        2s  trade buy 5 @ 100.0                     -> nothing
        2s  ?     a1 ahead 0
        ",
    );
    // A level that vanishes without a print fills nobody.
    both(&plain(), &format!("{start}\n 2s frame bid 0 @ 100.0 -> nothing\n 2s ? a1 ahead 0, a1 leaves 1"));
}

#[test]
fn rule_07_our_footprint() {
    let start = "
        0s  book  bid 8 @ 100.0 | ask 5 @ 101.0
        1s  a1    buy 5 market                      -> a1 open; a1 fills 5 @ 101 taker leaves 0
        1s  a2    buy 1 @ 101.0 ioc                 -> a2 open; a2 cancelled: book_exhausted
    ";
    let took = |n: &str| format!("-> b1 open; b1 fills {n} @ 101 taker leaves 0");
    let none = "-> b1 open; b1 cancelled: book_exhausted".to_owned();
    for (refill, change, what) in [
        // The default: growth is fresh, a restatement is not, a shrink takes what is taken along.
        (Refill::New, "frame ask 5 @ 101.0", none.clone()),
        (Refill::New, "book bid 8 @ 100.0 | ask 5 @ 101.0", none.clone()),
        (Refill::New, "frame ask 7 @ 101.0", took("2")),
        (Refill::New, "frame ask 3 @ 101.0 | ask 5 @ 101.0", took("2")),
        (Refill::New, "frame ask 0 @ 101.0 | ask 5 @ 101.0", took("5")),
        // Any: each restatement refills.
        (Refill::Any, "frame ask 5 @ 101.0", took("5")),
        (Refill::Any, "book bid 8 @ 100.0 | ask 4 @ 101.0", took("4")),
        (Refill::Any, "frame bid 9 @ 100.0", none.clone()),
        // So long after the taking.
        (Refill::After(Duration::from_millis(1_001)), "wait", none),
        (Refill::After(Duration::from_secs(1)), "wait", took("5")),
    ] {
        let qty = what.split_whitespace().nth(5).filter(|_| what.contains("fills")).unwrap_or("1");
        both(
            &with(|config| config.refill = refill),
            &format!("{start}\n 2s {change}\n 2s b1 buy {qty} @ 101.0 ioc {what}"),
        );
    }
    // A shrink to less than was taken leaves nothing free; the public sees what is free.
    let scene = both(&plain(), &format!("{start}\n 2s frame ask 4 @ 101.0\n 3s frame ask 6 @ 101.0"));
    let asks: Vec<Level> = scene.exchange.levels(InstrumentId(0), Side::Sell, View::Public).collect();
    assert_eq!(asks, [Level { price: Price::from_units(1_010), qty: Qty::from_units(200) }]);
}

#[test]
fn rule_08_taking() {
    // Best price first, each fill at the resting price; the rest of a limit joins and pays maker from there.
    let scene = both(
        &fees(1_000_000, 2_000_000),
        "
        0s  book  bid 8 @ 100.0 | ask 2 @ 101.0, 3 @ 102.0
        1s  a1    buy 4 @ 101.5                     -> a1 open; a1 fills 2 @ 101 taker leaves 2; public buy 2 @ 101
        1s  ?     a1 ahead 0
        2s  trade sell 1 @ 101.0                    -> a1 fills 1 @ 101.5 maker leaves 1
        ",
    );
    let paid: Vec<_> = fills(&scene).iter().map(|fill| (fill.quote.0, fill.fee.0)).collect();
    // 202 × 0.002 and 101.5 × 0.001, in units of 10⁻⁸.
    assert_eq!(paid, [(20_200_000_000, 40_400_000), (10_150_000_000, 10_150_000)]);
    // Market volume and paper orders in the order of the queue; part of a lot ahead goes first.
    both(
        &plain(),
        "
        0s  book  bid 8 @ 100.0 | ask 2 @ 101.0
        1s  b1    sell 1 @ 101.0                    -> b1 open ahead 2
        1s  frame ask 4 @ 101.0
        1s  c1    sell 1 @ 101.0                    -> c1 open ahead 4
        2s  a1    buy 5 market                      -> a1 open; a1 fills 2 @ 101 taker leaves 3; b1 fills 1 @ 101 maker leaves 0; a1 fills 1 @ 101 taker leaves 2; a1 fills 2 @ 101 taker leaves 0
        2s  ?     c1 ahead 0
        3s  a2    buy 2 market                      -> a2 open; c1 fills 1 @ 101 maker leaves 0; a2 fills 1 @ 101 taker leaves 1; a2 cancelled: book_exhausted
        ",
    );
    // IOC and market: the rest is cancelled. FOK looks first.
    both(
        &plain(),
        "
        0s  book  bid 8 @ 100.0 | ask 2 @ 101.0, 3 @ 102.0
        1s  a1    buy 3 @ 101.0 fok                 -> a1 open; a1 cancelled: cannot_fill_whole
        1s  a2    buy 3 @ 102.0 fok                 -> a2 open; a2 fills 2 @ 101 taker leaves 1; a2 fills 1 @ 102 taker leaves 0
        1s  a3    buy 9 @ 102.0 ioc                 -> a3 open; a3 fills 2 @ 102 taker leaves 7; a3 cancelled: book_exhausted
        1s  a4    buy 1 market                      -> a4 open; a4 cancelled: book_exhausted
        ",
    );
    // A quote-sized buy floors to the lot at each price.
    both(
        &plain(),
        "
        0s  book  bid 8 @ 100.0 | ask 2 @ 101.0, 3 @ 102.0
        0s  fund  a 500 USDT
        1s  a1    buy $303.02 market                -> a1 open; a1 fills 2 @ 101 taker leaves 0; a1 fills 0.99 @ 102 taker leaves 0; a1 cancelled: funds_spent
        1s  ?     a has 197.02 USDT, a holds 0 USDT
        2s  a2    buy $102 market                   -> a2 open; a2 fills 1 @ 102 taker leaves 0
        2s  ?     a has 95.02 USDT
        ",
    );
    // A market order may spend the last of the money.
    both(
        &plain(),
        "
        0s  book  bid 8 @ 100.0 | ask 2 @ 101.0, 3 @ 102.0
        0s  fund  a 303 USDT
        1s  a1    buy 3 market                      -> a1 rejected: insufficient balance
        2s  a2    buy 2 market                      -> a2 open; a2 fills 2 @ 101 taker leaves 0
        3s  frame ask 4 @ 101.0
        3s  a3    buy 1 market                      -> a3 open; a3 fills 1 @ 101 taker leaves 0
        3s  ?     a has 0 USDT, a holds 0 USDT
        ",
    );
}

#[test]
fn rule_09_post_only() {
    let drawn = |answer: &str| {
        format!(
            "
            0s  book  bid 8 @ 100.0 | ask 2 @ 101.0
            1s  a1    buy 1 @ 101.0 post                -> {answer}
            1s  a2    buy 1 @ 100.9 post                -> a2 open ahead 0
            # The own opposite order counts.
            1s  a3    sell 1 @ 100.9 post               -> {}
            # A level whose free is 0 by our own taking does not.
            2s  b1    buy 2 market                      -> b1 open; b1 fills 2 @ 101 taker leaves 0
            2s  a4    buy 1 @ 101.0 post                -> a4 open ahead 0
            3s  frame ask 3 @ 101.0                     -> a4 fills 1 @ 101 maker leaves 0
            ",
            answer.replace("a1", "a3")
        )
    };
    both(&plain(), &drawn("a1 open; a1 cancelled: would_match"));
    both(
        &with(|config| config.venue.post_only = PostOnlyAnswer::Reject),
        &drawn("a1 rejected: the post-only order would match"),
    );
}

#[test]
fn rule_10_amend() {
    both(
        &plain(),
        "
        0s  book  bid 8 @ 100.0 | ask 5 @ 101.0
        0s  fund  a 1000 USDT
        1s  a1    buy 3 @ 100.0                     -> a1 open ahead 8
        1s  a1    amend 3 @ 100.0                   -> a1 rejected: the amend changes nothing
        2s  frame bid 20 @ 100.0
        2s  a1    amend 2                           -> a1 amended in place
        2s  ?     a1 ahead 8, a holds 200 USDT
        3s  a1    amend 3                           -> a1 amended
        3s  ?     a1 ahead 20, a holds 300 USDT
        4s  a1    amend @ 100.5                     -> a1 amended
        4s  ?     a1 ahead 0, a holds 301.5 USDT
        # Funds are checked first; a refused amend changes nothing.
        5s  a1    amend 30                          -> a1 rejected: insufficient balance
        5s  ?     a1 ahead 0, a1 leaves 3, a holds 301.5 USDT
        6s  a1    amend 9.5 @ 101.0                 -> a1 amended; a1 fills 5 @ 101 taker leaves 4.5
        6s  ?     a1 ahead 0, a holds 454.5 USDT
        7s  a1    amend 5                           -> a1 cancelled: amended_away
        7s  ?     a1 gone, a holds 0 USDT
        8s  a1    amend 4                           -> ? rejected: the order was already cancelled
        8s  a2    amend 4                           -> ? rejected: no such order
        ",
    );
    both(
        &with(|config| config.venue.refuse_amend_below_filled = true),
        "
        0s  book  bid 8 @ 100.0 | ask 5 @ 101.0
        1s  a1    buy 6 @ 101.0                     -> a1 open; a1 fills 5 @ 101 taker leaves 1
        2s  a1    amend 5                           -> a1 rejected: the new amount is not more than what has filled
        2s  ?     a1 leaves 1
        ",
    );
    let config = with(|config| config.venue.amend_gives_new_id = true);
    let scene = play::<SimulatedExchange>(
        config,
        "
        0s  book  bid 8 @ 100.0 | ask 5 @ 101.0
        1s  a1    buy 3 @ 100.0
        2s  a1    amend 2                           -> a1 amended in place
        3s  ?     a1 ahead 8
        4s  a1    cancel                            -> a1 cancelled: requested
        ",
    );
    let ids: Vec<u64> = scene
        .updates
        .iter()
        .filter_map(|update| match &update.body {
            UpdateBody::Order(order) => order.order.as_ref().map(|order| order.id.0),
            _ => None,
        })
        .collect();
    assert_eq!(ids, [1, 2, 2]);
}

#[test]
fn rule_11_latency_keeps_order() {
    let ms = Duration::from_millis;
    let config = with(|config| config.latency = LatencyModel::Constant { entry: ms(100), response: ms(50) });
    // A cancel in flight does not stop a fill before its arrival; it then gets the "already done" answer.
    let scene = both(
        &config,
        "
        0s    book  bid 8 @ 100.0 | ask 5 @ 101.0
        1s    a1    buy 1 @ 100.5                   -> nothing
        1s    ?     a holds 0 USDT
        1.1s  wait                                  -> a1 open ahead 0
        1.1s  ?     a holds 100.5 USDT
        2s    a1    cancel                          -> nothing
        2.05s trade sell 1 @ 100.5                  -> a1 fills 1 @ 100.5 maker leaves 0
        2.1s  wait                                  -> ? rejected: the order has already filled
        # A cancel never arrives before its own create.
        3s    a2    buy 1 @ 100.5                   -> nothing
        3s    a2    cancel                          -> nothing
        3.1s  wait                                  -> a2 open ahead 0; a2 cancelled: requested
        ",
    );
    for update in &scene.updates {
        let late = matches!(update.body, UpdateBody::Order(_) | UpdateBody::Fill(_));
        assert_eq!(update.deliver_at, if late { update.at.plus(ms(50)) } else { update.at });
    }
    // Random latencies never let one request or answer overtake another of its session.
    let random =
        with(|config| config.latency = LatencyModel::LogNormal { median: ms(10), sigma: ordered_float(1.5) });
    let mut drawn = "0s book bid 8 @ 100.0 | ask 5 @ 101.0\n".to_owned();
    for n in 1..200 {
        drawn += &format!("1.{n:03}s a{n} buy 0.01 @ 99.0\n");
    }
    let scene = play::<SimulatedExchange>(random, &format!("{drawn}\n 9s wait"));
    let orders: Vec<(Timestamp, OrderState)> = scene
        .updates
        .iter()
        .filter_map(|update| match &update.body {
            UpdateBody::Order(order) => Some((update.deliver_at, order.order.clone()?)),
            _ => None,
        })
        .collect();
    assert_eq!(orders.len(), 199);
    for pair in orders.windows(2) {
        assert!(pair[0].0 <= pair[1].0 && pair[0].1.created < pair[1].1.created);
        assert!(pair[0].1.arrived <= pair[1].1.arrived);
    }
}

fn ordered_float(value: f64) -> ordered_float::OrderedFloat<f64> {
    ordered_float::OrderedFloat(value)
}

#[test]
fn rule_12_self_trade() {
    let start = "
        0s  book  bid 8 @ 99.0 | ask 5 @ 103.0
        1s  b1    sell 1 @ 101.0
        1s  a1    sell 1 @ 101.0
        1s  c1    sell 1 @ 101.0
    ";
    for (mode, what) in [
        (
            "none",
            "a2 open; b1 fills 1 @ 101 maker leaves 0; a2 fills 1 @ 101 taker leaves 2; a1 fills 1 @ 101 maker leaves 0; a2 fills 1 @ 101 taker leaves 1; c1 fills 1 @ 101 maker leaves 0; a2 fills 1 @ 101 taker leaves 0",
        ),
        (
            "taker",
            "a2 open; b1 fills 1 @ 101 maker leaves 0; a2 fills 1 @ 101 taker leaves 2; a2 cancelled: self_trade",
        ),
        (
            "maker",
            "a2 open; b1 fills 1 @ 101 maker leaves 0; a2 fills 1 @ 101 taker leaves 2; a1 cancelled: self_trade; c1 fills 1 @ 101 maker leaves 0; a2 fills 1 @ 101 taker leaves 1",
        ),
        (
            "both",
            "a2 open; b1 fills 1 @ 101 maker leaves 0; a2 fills 1 @ 101 taker leaves 2; a1 cancelled: self_trade; a2 cancelled: self_trade",
        ),
    ] {
        // The order's own mode, and the venue's default where it names none.
        both(&plain(), &format!("{start}\n 2s a2 buy 3 @ 101.0 stp {mode} -> {what}"));
        let default = match mode {
            "taker" => SelfTrade::CancelTaker,
            "maker" => SelfTrade::CancelMaker,
            "both" => SelfTrade::CancelBoth,
            _ => SelfTrade::None,
        };
        let config = with(|config| config.venue.self_trade = default);
        both(&config, &format!("{start}\n 2s a2 buy 3 @ 101.0 -> {what}"));
    }
    // `none` pays both fees.
    let scene = both(
        &fees(1_000_000, 2_000_000),
        &format!(
            "{start}\n 1s b1 cancel\n 2s a2 buy 1 @ 101.0 -> a2 open; a1 fills 1 @ 101 maker leaves 0; a2 fills 1 @ 101 taker leaves 0"
        ),
    );
    let paid: i128 = rows(&scene).iter().filter(|row| row.owner == Owner::Fees).map(|row| row.amount.0).sum();
    assert_eq!(paid, 30_300_000);
}

#[test]
fn rule_13_untrusted_book() {
    both(
        &plain(),
        "
        0s  a0    buy 1 @ 101.0                     -> a0 at the door
        1s  book  bid 8 @ 100.0 | ask 5 @ 101.0     -> a0 open; a0 fills 1 @ 101 taker leaves 0
        1s  a1    buy 1 @ 100.0                     -> a1 open ahead 8
        1s  a2    buy 1 @ 99.5
        2s  gap
        # No fill of any kind; cancels work; others wait at the door.
        3s  trade sell 99 @ 99.0                    -> nothing
        3s  frame ask 5 @ 99.0                      -> nothing
        3s  frame ask 0 @ 99.0                      -> nothing
        3s  a2    cancel                            -> a2 cancelled: requested
        3s  b1    buy 1 @ 100.0                     -> b1 at the door
        3s  b2    buy 1 @ 100.0                     -> b2 at the door
        3s  b3    sell 1 market                     -> b3 at the door
        3s  b2    cancel                            -> b2 cancelled: requested
        3s  a1    amend 0.5                         -> a1 at the door
        # Resync: clamp only, and crossing against the new book, then the door.
        4s  book  bid 3 @ 100.0 | ask 5 @ 101.0     -> b1 open ahead 3; b3 open; b3 fills 1 @ 100 taker leaves 0; a1 amended in place
        4s  ?     a1 ahead 2, b1 ahead 2
        5s  gap
        6s  book  bid 3 @ 98.0 | ask 0.2 @ 99.5     -> a1 fills 0.2 @ 100 maker leaves 0.3
        ",
    );
    // Cancel-all and the end of the session reach the door, too.
    both(
        &plain(),
        "
        1s  a1    buy 1 @ 100.0                     -> a1 at the door
        1s  b1    buy 1 @ 100.0                     -> b1 at the door
        2s  a     cancel all                        -> a1 cancelled: requested
        2s  end   b                                 -> b1 cancelled: session_ended
        3s  book  bid 8 @ 100.0 | ask 5 @ 101.0     -> nothing
        ",
    );
    // A file's crossed book: the side that the group did not touch loses its crossing levels. Locked is crossed.
    let scene = both(
        &plain(),
        "
        0s  book  bid 8 @ 100.0, 1 @ 99.0 | ask 5 @ 101.0, 2 @ 102.0
        1s  frame ask 3 @ 100.0
        2s  frame bid 3 @ 101.0
        3s  frame bid 0 @ 101.0
        ",
    );
    assert_eq!(scene.exchange.stats().crossed, 2);
    assert_eq!(
        scene.exchange.best_price(InstrumentId(0), Side::Sell, View::Tape),
        Some(Price::from_units(1_020))
    );
    assert_eq!(
        scene.exchange.best_price(InstrumentId(0), Side::Buy, View::Tape),
        Some(Price::from_units(990))
    );
    // A live feed can be asked again.
    both(
        &with(|config| config.crossed = CrossedBook::Distrust),
        "
        0s  book  bid 8 @ 100.0 | ask 5 @ 101.0
        1s  frame ask 3 @ 100.0
        1s  a1    buy 1 @ 100.0                     -> a1 at the door
        2s  book  bid 8 @ 100.0 | ask 5 @ 101.0     -> a1 open ahead 8
        ",
    );
}

#[test]
fn rule_14_thin_sources() {
    // Top of book: the window is one level a side.
    both(
        &depth(FeedDepth::Levels(1)),
        "
        0s  book  bid 8 @ 100.0 | ask 5 @ 101.0
        1s  a1    buy 1 @ 99.0                      -> a1 open
        1s  a2    buy 1 @ 100.0                     -> a2 open ahead 8
        2s  book  bid 4 @ 99.5 | ask 5 @ 101.0
        # 100.0 is inside the window now, and nothing is there.
        2s  ?     a1 ahead unknown, a2 ahead 0
        3s  book  bid 7 @ 99.0 | ask 5 @ 101.0
        3s  ?     a1 ahead 7
        4s  book  bid 4 @ 99.5 | ask 5 @ 101.0
        4s  ?     a1 ahead 7
        ",
    );
    // Prints only: a resting order fills on prints strictly through its price.
    let scene = play::<SimulatedExchange>(
        depth(FeedDepth::Prints),
        "
        1s  a1    buy 2 @ 99.0
        2s  trade sell 50 @ 99.0                    -> nothing
        3s  trade sell 1 @ 98.9                     -> a1 fills 1 @ 99 maker leaves 1
        4s  trade sell 9 @ 98.0                     -> a1 fills 1 @ 99 maker leaves 0
        ",
    );
    assert!(fills(&scene).iter().all(|fill| fill.evidence == Evidence::Thin));
}

#[test]
fn rule_15_stops() {
    both(
        &plain(),
        "
        0s  book  bid 8 @ 100.0 | ask 5 @ 101.0, 5 @ 102.0
        1s  a1    buy 2 market stop 101.0           -> a1 waits
        1s  a2    sell 1 @ 101.5 take 101.0         -> a2 waits
        1s  a3    buy 1 @ 99.0 take 99.5            -> a3 waits
        1s  b1    sell 1 @ 100.5                    -> b1 open ahead 0
        2s  trade buy 1 @ 100.9                     -> b1 fills 1 @ 100.5 maker leaves 0
        # Triggered on the group, they join or take after it, oldest first.
        3s  frame trade buy 5 @ 101.0 | ask 0 @ 101.0 -> a1 triggered; a1 fills 2 @ 102 taker leaves 0; a2 triggered
        3s  ?     a2 ahead 0
        4s  frame trade buy 1 @ 101.5               -> a2 fills 1 @ 101.5 maker leaves 0
        # No order is filled by the group that triggered it.
        5s  frame trade sell 20 @ 98.0              -> a3 triggered
        5s  ?     a3 ahead 0, a3 leaves 1
        6s  trade sell 1 @ 98.9                     -> a3 fills 1 @ 99 maker leaves 0
        ",
    );
}

#[test]
fn rule_16_halts() {
    both(
        &plain(),
        "
        0s  book  bid 8 @ 100.0 | ask 5 @ 101.0
        1s  a1    buy 1 @ 100.5
        2s  halt
        3s  b1    buy 1 @ 100.0                     -> b1 rejected: the instrument is halted
        3s  a1    amend 2                           -> a1 rejected: the instrument is halted
        3s  trade sell 9 @ 99.0                     -> nothing
        3s  frame ask 1 @ 100.5                     -> nothing
        4s  resume                                  -> a1 fills 1 @ 100.5 maker leaves 0
        ",
    );
    // A halt inside a message does not swallow the rest of it.
    let scene = both(
        &plain(),
        "
        0s  book  bid 8 @ 100.0 | ask 5 @ 101.0
        1s  frame halt | bid 3 @ 100.5 | ask 0 @ 101.0
        2s  resume
        ",
    );
    assert_eq!(
        scene.exchange.best_price(InstrumentId(0), Side::Buy, View::Tape),
        Some(Price::from_units(1_005))
    );
    assert_eq!(scene.exchange.best_price(InstrumentId(0), Side::Sell, View::Tape), None);
}

#[test]
fn a_cost_beyond_the_ledger_is_refused_with_the_largest_that_fits() {
    // 2¹²⁵ ÷ (10⁵ units of quote a unit of price and quantity × 2·10⁶, the taker's rate) ÷ a price of 10¹⁵ units.
    let mut exchange = SimulatedExchange::start(fees(1_000_000, 2_000_000));
    let now = Timestamp::from_nanos(0);
    let mut updates = Vec::new();
    exchange.apply(now, Input::Admin(Admin::OpenAccount(AccountId(0))), &mut updates);
    let snapshot = Group {
        instrument: InstrumentId(0),
        kind: GroupKind::Snapshot,
        exchange_time: now,
        receive_time: now,
        events: &[],
        ids: &[],
    };
    exchange.apply(now, Input::Market(snapshot), &mut updates);
    let mut ask = |qty: i64| {
        let price = Price::from_units(1_000_000_000_000_000);
        let body =
            RequestBody::Place(NewOrder::limit(InstrumentId(0), Side::Buy, Qty::from_units(qty), price));
        let request = Request { session: SessionId(0), account: AccountId(0), tag: 1, body };
        updates.clear();
        exchange.apply(now, Input::Request(request), &mut updates);
        exchange.apply(now, Input::Advance, &mut updates);
        match &updates.last().unwrap().body {
            UpdateBody::Order(update) => update.event,
            other => panic!("{other:?}"),
        }
    };
    let max = Qty::from_units(212_676_479_325);
    assert_eq!(ask(max.units() + 1), OrderEvent::Rejected(RejectReason::QtyTooLarge { max }));
    assert!(matches!(ask(max.units()), OrderEvent::Rejected(RejectReason::InsufficientBalance { .. })));
}
