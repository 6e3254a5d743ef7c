//! What positions cost.
//!
//! * The replay of a synthetic market with an account that quotes both sides and trades, once as spot and once as a
//!   contract of the same tape: the contract takes at most 1.25 times as long.
//! * A stream of mark prices over 1,000 accounts with positions: nothing for those far from liquidation; at most 1 µs
//!   an account and mark for those that must be looked at each time.
//!
//! With `--test` sizes are small.

#![allow(missing_docs, clippy::disallowed_methods, clippy::cast_precision_loss, clippy::unwrap_used)]

use std::time::{Duration, Instant};

use papertape::feed::synth::SynthConfig;
use papertape::market::{
    Asset, EventLog, FinePrice, Group, GroupKind, Instrument, InstrumentId, MarketEvent, News, Pair, Price,
    Product, Qty, Side, Source, Timestamp,
};
use papertape::order::{AccountId, Leverage, MarginMode, Money, NewOrder, OrderKind, SessionId};
use papertape::sim::{
    Admin, FeeSchedule, Input, LatencyModel, MarketConfig, Owner, Rate, Request, RequestBody, Setting,
    SimConfig, SimulatedExchange, Update, UpdateBody, View,
};
use papertape::venue::connectors::usable_connector;
use papertape::venue::venue;
use rust_decimal::Decimal;

const ONE: InstrumentId = InstrumentId(0);
const TRADER: AccountId = AccountId(1);

/// The exchange of one market; a contract where it has terms.
fn exchange(market: MarketConfig) -> SimulatedExchange {
    let rules = venue("bitmart").unwrap().rules();
    let config =
        SimConfig { latency: LatencyModel::None, venue: rules, ..SimConfig::realistic(vec![market], 7) };
    SimulatedExchange::new(config).unwrap()
}

fn spot(instrument: &Instrument) -> MarketConfig {
    MarketConfig::spot(instrument.clone(), FeeSchedule::flat_rates(Rate(200_000), Rate(600_000), "bench"))
}

/// The same market as a contract: its amounts are base, one each.
fn contract(instrument: &Instrument) -> MarketConfig {
    let product = Product::Linear { multiplier: Decimal::ONE };
    let instrument = Instrument { product, ..instrument.clone() };
    let contract = venue("bitmart").unwrap().contract(&instrument);
    assert!(contract.is_some(), "no terms: the run is void");
    MarketConfig { contract, ..spot(&instrument) }
}

fn deposit(exchange: &mut SimulatedExchange, now: Timestamp, account: AccountId, asset: &str, whole: i128) {
    let mut updates = Vec::new();
    exchange.apply(now, Input::Admin(Admin::OpenAccount(account)), &mut updates);
    let asset = exchange.asset_index(&Asset::new(asset)).unwrap();
    let amount = Money(whole * 10_i128.pow(u32::from(exchange.asset_scale(asset))));
    exchange.apply(now, Input::Admin(Admin::Deposit { account, asset, amount }), &mut updates);
}

fn send(
    exchange: &mut SimulatedExchange,
    now: Timestamp,
    account: AccountId,
    body: RequestBody,
    updates: &mut Vec<Update>,
) {
    let request = Request { session: SessionId(account.0), account, tag: 1, body };
    exchange.apply(now, Input::Request(request), updates);
    exchange.apply(now, Input::Advance, updates);
}

/// What a run did, for its answer to be checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    fills: u64,
    sum: i128,
}

impl Seen {
    fn take(&mut self, updates: &mut Vec<Update>) {
        for update in updates.drain(..) {
            match update.body {
                UpdateBody::Fill(_) => self.fills += 1,
                UpdateBody::Ledger(row) => self.sum += row.amount.0,
                _ => {}
            }
        }
    }
}

/// Replays a market while an account quotes a bid and an ask near the touch, anew each 64 messages.
fn replay(log: &EventLog, market: MarketConfig) -> (f64, Seen) {
    let mut exchange = exchange(market);
    let (start, rule) =
        (log.iter().next().unwrap().receive_time, exchange.config().markets[0].instrument.rule.clone());
    for asset in ["BTC", "USDT"] {
        deposit(&mut exchange, start, TRADER, asset, 1_000_000);
    }
    let (mut updates, mut seen) = (Vec::new(), Seen::default());
    let qty = Qty::from_units(rule.lot.units() * 100).max(rule.min_qty);
    let clock = Instant::now();
    for (at, group) in log.iter().enumerate() {
        let now = group.receive_time;
        exchange.apply(now, Input::Market(group), &mut updates);
        if at % 64 == 0 && exchange.is_trusted(ONE) {
            send(&mut exchange, now, TRADER, RequestBody::CancelAll { instrument: None }, &mut updates);
            for side in Side::BOTH {
                let Some(best) = exchange.best_price(ONE, side, View::Without(TRADER)) else { continue };
                let order = NewOrder { kind: OrderKind::LimitMaker, ..NewOrder::limit(ONE, side, qty, best) };
                send(&mut exchange, now, TRADER, RequestBody::Place(order), &mut updates);
            }
        }
        seen.take(&mut updates);
    }
    (clock.elapsed().as_secs_f64(), seen)
}

fn quoting(small: bool) {
    let line = usable_connector("bitmart_paper_trade").unwrap();
    let market = SynthConfig::new(line, &[Pair::new("BTC", "USDT")], &[], 7).unwrap();
    let seconds = if small { 60 } else { 7_200 };
    let mut source = SynthConfig { duration: Some(Duration::from_secs(seconds)), ..market }.market();
    let mut log = EventLog::default();
    while source.advance().unwrap().is_some() {
        log.push_group(&source.group());
    }
    let instrument = source.instruments()[0].clone();
    let (mut best, mut fills) = ([f64::MAX; 2], [0; 2]);
    for _ in 0..if small { 1 } else { 5 } {
        for (at, market) in [spot(&instrument), contract(&instrument)].into_iter().enumerate() {
            let (took, seen) = replay(&log, market);
            assert!(seen.fills > 0 && seen.sum == 0, "{seen:?}: the run is void");
            (best[at], fills[at]) = (best[at].min(took), seen.fills);
        }
    }
    assert_eq!(fills[0], fills[1], "spot and contract fill differently: the run is void");
    println!(
        "quoting {} messages, {} fills  spot {:.0} ns a message  contract {:.0} ns  ratio {:.2} (bar 1.25)",
        log.len(),
        fills[0],
        best[0] * 1e9 / log.len() as f64,
        best[1] * 1e9 / log.len() as f64,
        best[1] / best[0],
    );
}

/// A thousand accounts with a long position each at 60,000, isolated, at so many times leverage; then marks around a
/// price. Returns nanoseconds a mark.
fn marks(accounts: u32, marks: u32, leverage: u32, around: i64, by: i64) -> f64 {
    let mut instrument = Instrument::spot("BTCUSDT", Pair::new("BTC", "USDT"), 1, 3).unwrap();
    instrument.rule.max_qty = Qty::from_units(1_000_000_000);
    let mut exchange = exchange(contract(&instrument));
    let start: Timestamp = "2026-01-05T00:00:01Z".parse().unwrap();
    let mut updates = Vec::new();
    let apply =
        |exchange: &mut SimulatedExchange, now, kind, events: &[MarketEvent], updates: &mut Vec<Update>| {
            let group =
                Group { instrument: ONE, kind, exchange_time: now, receive_time: now, events, ids: &[] };
            exchange.apply(now, Input::Market(group), updates);
        };
    let mark = |tenths: i64| {
        let units = tenths * 10_i64.pow(u32::from(FinePrice::SCALE) - 1);
        MarketEvent::News(News::Mark(FinePrice::from_units(units)))
    };
    let level = |side, price| {
        let (price, qty) = (Price::from_units(price), Qty::from_units(1_000_000_000));
        MarketEvent::Level { side, price, qty }
    };
    let book = [level(Side::Buy, 599_999), level(Side::Sell, 600_000), mark(600_000)];
    apply(&mut exchange, start, GroupKind::Snapshot, &book, &mut updates);
    for account in (1..=accounts).map(AccountId) {
        deposit(&mut exchange, start, account, "USDT", 100_000);
        for setting in [
            Setting::Margin(MarginMode::Isolated),
            Setting::Leverage { side: None, leverage: Leverage::times(leverage) },
        ] {
            let body = RequestBody::Set { instrument: ONE, setting };
            send(&mut exchange, start, account, body, &mut updates);
        }
        let order = NewOrder::market(ONE, Side::Buy, Qty::from_units(100));
        send(&mut exchange, start, account, RequestBody::Place(order), &mut updates);
    }
    let held = (1..=accounts).all(|account| !exchange.positions(AccountId(account), ONE)[0].qty.is_zero());
    assert!(held, "not all have a position: the run is void");
    updates.clear();
    // The first one finds everybody's bounds.
    apply(&mut exchange, start, GroupKind::Update, &[mark(around)], &mut updates);
    let clock = Instant::now();
    for at in 0..marks {
        let now = start.plus(Duration::from_millis(u64::from(at) + 1));
        let away = i64::from(at) * 7_919 % (2 * by + 1) - by;
        apply(&mut exchange, now, GroupKind::Update, &[mark(around + away)], &mut updates);
    }
    let took = clock.elapsed().as_secs_f64();
    let liquidated = updates.iter().any(|update| matches!(update.body, UpdateBody::Liquidation(_)));
    assert!(!liquidated, "somebody was liquidated: the run is void");
    let asset = exchange.asset_index(&Asset::new("USDT")).unwrap();
    assert_eq!(exchange.system_balance(Owner::Insurance, asset), Money::ZERO);
    took * 1e9 / f64::from(marks)
}

fn main() {
    let small = std::env::args().any(|arg| arg == "--test");
    quoting(small);
    let (accounts, many) = if small { (50, 200) } else { (1_000, 20_000) };
    let nobody = marks(1, many, 3, 600_000, 600);
    let far = marks(accounts, many, 3, 600_000, 600);
    println!(
        "marks   {accounts} accounts far from liquidation {far:.0} ns a mark, one account {nobody:.0} ns"
    );
    // 100x with maintenance of 0.5 % and the closing fee: lost near 59,735; each mark is within a few units of that.
    let near = marks(accounts, many / 10, 100, 597_400, 3);
    println!(
        "marks   {accounts} accounts at the brink {near:.0} ns a mark, {:.0} ns an account (bar 1,000)",
        near / f64::from(accounts)
    );
}
