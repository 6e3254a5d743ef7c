//! What other simulators got wrong, as tests: the pitfalls of the field guide, each by its name.
#![allow(unreachable_pub, dead_code, clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::time::Duration;

use papertape::market::{
    EventLog, Group, GroupKind, InstrumentId, MarketEvent, MemorySource, Price, Qty, Side, Source, Timestamp,
};
use papertape::order::{AccountId, Liquidity, Money, NewOrder, OrderId, OrderRef, SessionId};
use papertape::sim::{
    Admin, FeeSchedule, Fill, Input, LatencyModel, QueueModel, Rate, Request, RequestBody, SimConfig,
    SimulatedExchange, Update, UpdateBody, View,
};

use common::scene::{Scene, play};

fn plain() -> SimConfig {
    common::config(common::market(common::instrument("BTC-USDT", 2, 1, 1)))
}

fn scene(config: SimConfig, drawn: &str) -> Scene<SimulatedExchange> {
    play(config, drawn)
}

fn fills(updates: &[Update]) -> Vec<Fill> {
    let fill = |update: &Update| match &update.body {
        UpdateBody::Fill(fill) => Some(fill.clone()),
        _ => None,
    };
    updates.iter().filter_map(fill).collect()
}

/// hftbacktest#312: `filled > remaining` instead of `>=` left a dead order in the book.
#[test]
fn an_order_filled_to_the_last_lot_is_gone() {
    scene(
        plain(),
        "
        0s  book  bid 2 @ 100.0 | ask 5 @ 101.0
        1s  a1    buy 3 @ 100.0                     -> a1 open ahead 2
        2s  trade sell 4 @ 100.0                    -> a1 fills 2 @ 100 maker leaves 1
        3s  trade sell 1 @ 100.0                    -> a1 fills 1 @ 100 maker leaves 0
        3s  ?     a1 gone, a holds 0 USDT
        4s  trade sell 9 @ 99.0                     -> nothing
        4s  a1    cancel                            -> ? rejected: the order has already filled
        ",
    );
}

/// hftbacktest#316: local state changed only with the last fill.
#[test]
fn money_moves_with_every_partial_fill() {
    scene(
        plain(),
        "
        0s  book  bid 0.5 @ 100.0 | ask 5 @ 101.0
        0s  fund  a 300 USDT
        1s  a1    buy 3 @ 100.0
        1s  ?     a has 300 USDT, a holds 300 USDT, a has 0 BTC
        2s  trade sell 1 @ 100.0
        2s  ?     a has 250 USDT, a holds 250 USDT, a has 0.5 BTC, a1 leaves 2.5
        3s  trade sell 1 @ 100.0
        3s  ?     a has 150 USDT, a holds 150 USDT, a has 1.5 BTC, a1 leaves 1.5
        4s  a1    cancel
        4s  ?     a has 150 USDT, a holds 0 USDT
        ",
    );
}

/// hftbacktest's tardis.py: trade and depth rows of one execution must not move the queue twice, in either order.
#[test]
fn one_execution_moves_the_queue_once() {
    for frames in [
        "2s trade sell 6 @ 100.0\n 2s frame bid 4 @ 100.0",
        "2s frame bid 4 @ 100.0\n 2s trade sell 6 @ 100.0",
        "2s frame trade sell 6 @ 100.0 | bid 4 @ 100.0",
    ] {
        scene(
            plain(),
            &format!(
                "
                0s  book  bid 9 @ 100.0 | ask 5 @ 101.0
                1s  a1    buy 1 @ 100.0             -> a1 open ahead 9
                1s  frame bid 10 @ 100.0
                {frames}
                2s  ?     a1 ahead 3
                "
            ),
        );
    }
}

/// hummingbot's c_buy: a LIMIT_MAKER order was acknowledged and never stored.
#[test]
fn a_post_only_order_rests_and_fills() {
    scene(
        plain(),
        "
        0s  book  bid 2 @ 100.0 | ask 5 @ 101.0
        1s  a1    buy 1 @ 100.5 post                -> a1 open ahead 0
        1s  ?     a1 leaves 1, a holds 100.5 USDT
        2s  trade sell 1 @ 100.5                    -> a1 fills 1 @ 100.5 maker leaves 0
        ",
    );
}

/// hummingbot's c_tick: crossing was looked at once a second.
#[test]
fn a_crossing_between_two_seconds_is_seen() {
    scene(
        plain(),
        "
        0s     book  bid 2 @ 100.0 | ask 5 @ 101.0
        1s     a1    buy 1 @ 100.5
        1.001s frame ask 1 @ 100.4                  -> a1 fills 1 @ 100.5 maker leaves 0
        1.002s frame ask 0 @ 100.4
        ",
    );
}

/// hummingbot: a trade at exactly the limit price never filled.
#[test]
fn a_trade_at_the_limit_price_fills_once_the_queue_is_done() {
    scene(
        plain(),
        "
        0s  book  bid 2 @ 100.0 | ask 5 @ 101.0
        1s  a1    buy 1 @ 100.0                     -> a1 open ahead 2
        2s  trade sell 3 @ 100.0                    -> a1 fills 1 @ 100 maker leaves 0
        ",
    );
}

/// hummingbot: prices were rounded to seven digits.
#[test]
fn prices_keep_all_their_digits() {
    scene(
        plain(),
        "
        0s  fund  a 2000000 USDT
        0s  book  bid 2 @ 123456789.1 | ask 5 @ 123456789.3
        1s  a1    buy 0.01 @ 123456789.2            -> a1 open ahead 0
        2s  trade sell 3 @ 123456789.1              -> a1 fills 0.01 @ 123456789.2 maker leaves 0
        2s  ?     a1 gone, a has 0.01 BTC, a has 765432.108 USDT
        ",
    );
}

/// hummingbot: every market order waited five seconds, whatever the venue.
#[test]
fn market_orders_wait_for_their_latency_only() {
    let config = SimConfig {
        latency: LatencyModel::Constant { entry: Duration::from_millis(3), response: Duration::ZERO },
        ..plain()
    };
    scene(
        config,
        "
        0s     book  bid 2 @ 100.0 | ask 5 @ 101.0
        1s     a1    buy 1 market                   -> nothing
        1.003s wait                                 -> a1 open; a1 fills 1 @ 101 taker leaves 0
        ",
    );
}

/// hummingbot: fees in fill events had the amount 0.
#[test]
fn a_fill_says_its_fee() {
    let mut config = plain();
    config.markets[0].fees = FeeSchedule::flat_rates(Rate(1_000_000), Rate(2_500_000), "test");
    let scene = scene(
        config,
        "
        0s  book  bid 2 @ 100.0 | ask 5 @ 101.0
        1s  a1    buy 1 market
        2s  b1    sell 1 @ 102.0
        3s  trade buy 9 @ 103.0
        ",
    );
    let fees: Vec<_> = fills(&scene.updates).iter().map(|fill| (fill.liquidity, fill.fee)).collect();
    assert_eq!(fees, [(Liquidity::Taker, Money(25_250_000)), (Liquidity::Maker, Money(10_200_000))]);
}

/// FLOX's strategy book of 512 levels went wrong on a drifting market.
#[test]
fn a_book_may_drift_any_distance() {
    let mut drawn = "0s book bid 1 @ 1000.0 | ask 1 @ 1000.1\n".to_owned();
    for step in 1..3_000 {
        let (old, new) = (1_000.0 + f64::from(step - 1) * 7.0, 1_000.0 + f64::from(step) * 7.0);
        drawn += &format!(
            "{step}s frame ask 0 @ {:.1}, 1 @ {:.1} | bid 0 @ {old:.1}, 1 @ {new:.1}\n",
            old + 0.1,
            new + 0.1
        );
    }
    drawn += "4000s a1 buy 1 market -> a1 open; a1 fills 1 @ 21993.1 taker leaves 0";
    let scene = scene(plain(), &drawn);
    for side in Side::BOTH {
        assert_eq!(scene.exchange.levels(InstrumentId(0), side, View::Tape).count(), 1);
    }
}

/// Nautilus's `sort_data()`: what comes in order is never sorted again, and what does not is counted, not moved.
#[test]
fn rows_stay_in_the_order_of_their_file() {
    let mut log = EventLog::default();
    for millis in [5, 3, 9] {
        log.push(MarketEvent::Trading(true));
        let at = Timestamp::from_millis(millis);
        log.close(InstrumentId(0), GroupKind::Update, at, at);
    }
    let mut source = MemorySource::new(vec![common::instrument("BTC-USDT", 2, 1, 1)], log);
    let mut seen = Vec::new();
    while let Some(clock) = source.advance().unwrap() {
        seen.push((clock.millis(), source.group().receive_time.millis()));
    }
    assert_eq!(seen, [(5, 5), (5, 3), (9, 9)]);
    assert_eq!(source.stats().time_went_back, 1);
}

/// orderbook-rs, Nautilus, bbgo: the order of a hash map showed. Client ids are hashed; no two runs may differ by them.
#[test]
fn client_ids_never_change_what_happens() {
    let run = |names: &dyn Fn(u32) -> String| {
        let mut drawn = "0s book bid 2 @ 100.0 | ask 50 @ 101.0\n".to_owned();
        for n in 0..40 {
            drawn += &format!("1s a{} buy 0.1 @ {}\n", names(n), 99 + n % 2);
        }
        drawn += "2s trade sell 3 @ 99.0\n 3s a cancel all\n";
        let scene = scene(plain(), &drawn);
        let ids: Vec<OrderId> = scene
            .updates
            .iter()
            .filter_map(|update| match &update.body {
                UpdateBody::Order(order) => order.order.as_ref().map(|order| order.id),
                _ => None,
            })
            .collect();
        (ids, fills(&scene.updates), scene.exchange.state_hash())
    };
    assert_eq!(run(&|n| n.to_string()), run(&|n| format!("-{}", (n * 7_919) % 1_009)));
}

/// nautilus#4242: index sets that never shrank made a million orders take forever. This many would, too.
#[test]
fn closed_orders_cost_nothing() {
    let mut exchange = SimulatedExchange::new(plain()).unwrap();
    let (account, now) = (AccountId(1), Timestamp::from_nanos(0));
    let mut updates = Vec::new();
    exchange.apply(now, Input::Admin(Admin::OpenAccount(account)), &mut updates);
    let deposit = Admin::Deposit { account, asset: 1, amount: Money(1_000_000_000_000) };
    exchange.apply(now, Input::Admin(deposit), &mut updates);
    let events =
        [MarketEvent::Level { side: Side::Buy, price: Price::from_units(1_000), qty: Qty::from_units(500) }];
    let book = Group {
        instrument: InstrumentId(0),
        kind: GroupKind::Snapshot,
        exchange_time: now,
        receive_time: now,
        events: &events,
        ids: &[],
    };
    exchange.apply(now, Input::Market(book), &mut updates);
    for n in 1..=200_000_u64 {
        let order = NewOrder::limit(InstrumentId(0), Side::Buy, Qty::from_units(1), Price::from_units(1_000));
        for body in [RequestBody::Place(order), RequestBody::Cancel(OrderRef::Id(OrderId(n)))] {
            updates.clear();
            let request = Request { session: SessionId(1), account, tag: n, body };
            exchange.apply(now, Input::Request(request), &mut updates);
            exchange.apply(now, Input::Advance, &mut updates);
        }
    }
    assert!(exchange.open_orders(account).is_empty());
    assert_eq!(exchange.balance(account, 1).held, Money::ZERO);
}

/// nautilus#5054: an order that came out of its latency while the feed was silent filled at a stale price.
#[test]
fn an_order_that_arrives_during_a_gap_waits_for_the_new_book() {
    let config = SimConfig {
        latency: LatencyModel::Constant { entry: Duration::from_millis(100), response: Duration::ZERO },
        ..plain()
    };
    scene(
        config,
        "
        0s    book  bid 2 @ 100.0 | ask 5 @ 101.0
        1s    a1    buy 1 market
        1.05s gap
        2s    wait                                  -> a1 at the door
        3s    book  bid 2 @ 200.0 | ask 5 @ 201.0   -> a1 open; a1 fills 1 @ 201 taker leaves 0
        ",
    );
}

/// f64 quantities: 0.1 + 0.2 is 0.3 here, and a tenth of a lot is never left over.
#[test]
fn tenths_add_up() {
    scene(
        SimConfig { queue: QueueModel::Conservative, ..plain() },
        "
        0s  book  bid 2 @ 99.0 | ask 0.1 @ 101.0, 0.2 @ 101.1
        0s  fund  a 30.32 USDT
        1s  a1    buy 0.3 @ 101.1                   -> a1 rejected: insufficient balance
        1s  fund  a 0.01 USDT
        1s  a2    buy 0.3 @ 101.1 fok               -> a2 open; a2 fills 0.1 @ 101 taker leaves 0.2; a2 fills 0.2 @ 101.1 taker leaves 0
        1s  ?     a has 0.01 USDT, a holds 0 USDT, a has 0.3 BTC
        2s  b1    buy 0.3 @ 100.0
        3s  trade sell 0.1 @ 100.0                  -> b1 fills 0.1 @ 100 maker leaves 0.2
        4s  trade sell 0.2 @ 100.0                  -> b1 fills 0.2 @ 100 maker leaves 0
        ",
    );
}

/// More money than 128 bits of it times a fee hold is refused, not reckoned with.
#[test]
fn a_quote_amount_beyond_all_money_is_refused() {
    use papertape::order::{OrderSize, RejectReason};
    use papertape::sim::OrderEvent;
    let (one, account, session) = (InstrumentId(0), AccountId(1), SessionId(1));
    let mut exchange = SimulatedExchange::new(plain()).unwrap();
    let now = Timestamp::from_nanos(1);
    let mut updates = Vec::new();
    exchange.apply(now, Input::Admin(Admin::OpenAccount(account)), &mut updates);
    let level =
        |side, price| MarketEvent::Level { side, price: Price::from_units(price), qty: Qty::from_units(5) };
    let events = [level(Side::Buy, 10), level(Side::Sell, 11)];
    let (kind, ids) = (GroupKind::Snapshot, [].as_slice());
    let group = Group { instrument: one, kind, exchange_time: now, receive_time: now, events: &events, ids };
    exchange.apply(now, Input::Market(group), &mut updates);
    let order = NewOrder {
        size: OrderSize::Quote(Money(i128::MAX)),
        ..NewOrder::market(one, Side::Buy, Qty::from_units(1))
    };
    let request = Request { session, account, tag: 1, body: RequestBody::Place(order) };
    exchange.apply(now, Input::Request(request), &mut updates);
    exchange.apply(now, Input::Advance, &mut updates);
    let refused = updates.iter().any(|update| {
        let UpdateBody::Order(order) = &update.body else { return false };
        matches!(order.event, OrderEvent::Rejected(RejectReason::QtyTooLarge { .. }))
    });
    assert!(refused, "{updates:?}");
}
