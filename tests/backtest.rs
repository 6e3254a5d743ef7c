//! Backtests through the front door: scenes with hand-computed orders, the tables' sums, the same bytes twice.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails says where")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use papertape::backtest::{Described, Go, Plan, VenuePlan, run};
use papertape::market::{
    Asset, EventLog, GroupKind, Instrument, InstrumentId, MarketEvent, MemorySource, Pair, Price, Qty, Side,
    Timestamp,
};
use papertape::sim::{FeeSchedule, MarketConfig, QueueModel, Rate, SimConfig};
use papertape::strategy::{Parameters, find};
use rust_decimal::Decimal;
use serde_json::Value;

const INSTRUMENTS: &str = r#"{"exchange": "bitmex", "source": "a scene", "instruments": [{"symbol": "XBTUSD",
    "pair": "XBT-USD", "product": {"kind": "spot"}, "tick": "0.5", "lot": "100", "min_qty": "100",
    "max_qty": "100000000", "min_notional": "0", "price_scale": 1, "qty_scale": 0,
    "maker_fee": "-0.0001", "taker_fee": "0.0005"}]}"#;

const BOOK: &str = "0 book bid 500 @ 100.0 500 @ 99.5 500 @ 99.0 ask 500 @ 100.5 500 @ 101.0 500 @ 101.5";

/// When scenes begin: 2023-11-14T22:13:20Z.
const START_MS: u64 = 1_700_000_000_000;

/// A folder with a market drawn by hand, as CSV files.
struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    /// Lines: `MS book SIDE QTY @ PRICE …` (the whole book), `MS SIDE QTY @ PRICE` (a level), `MS buy|sell QTY @ PRICE`
    /// (a print). Received so many milliseconds later.
    fn draw(lines: &[&str], later: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut book = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount\n".to_owned();
        let mut trades = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n".to_owned();
        for (number, line) in lines.iter().enumerate() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let at = (START_MS + words[0].parse::<u64>().unwrap()) * 1_000;
            let stamp = format!("bitmex,XBTUSD,{at},{}", at + later * 1_000);
            let is_book = words[1] == "book";
            let (mut side, mut at) = ("", if is_book { 2 } else { 1 });
            while at < words.len() {
                match words[at] {
                    word @ ("bid" | "ask" | "buy" | "sell") => {
                        side = word;
                        at += 1;
                    }
                    qty => {
                        let price = words[at + 2];
                        let row = match side {
                            "bid" | "ask" => format!("{stamp},{is_book},{side},{price},{qty}\n"),
                            _ => format!("{stamp},{number},{side},{price},{qty}\n"),
                        };
                        if matches!(side, "bid" | "ask") {
                            book += &row;
                        } else {
                            trades += &row;
                        }
                        at += 3;
                    }
                }
            }
        }
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("book.csv", &book);
        write("trades.csv", &trades);
        write("instruments.json", INSTRUMENTS);
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a strategy without latency; the results in `out`.
    fn run(&self, more: &[&str]) -> Value {
        let (code, out) = papertape(self.folder.path(), &self.line(more));
        assert_eq!(code, 0, "{out}");
        serde_json::from_str(&std::fs::read_to_string(self.path("out/summary.json")).unwrap()).unwrap()
    }

    fn line<'a>(&self, more: &[&'a str]) -> Vec<&'a str> {
        let usual = "backtest --connector bitmart_paper_trade --instruments instruments.json --pair XBT-USD \
                     --csv trades.csv --csv book.csv --queue conservative --balance XBT=1000 \
                     --balance USD=100000 --out out";
        let mut line: Vec<&str> = usual.split_whitespace().collect();
        line.extend_from_slice(more);
        line
    }

    /// The wanted columns of a table, a line a row; times in milliseconds since the scene began.
    fn table(&self, name: &str, columns: &[&str]) -> Vec<String> {
        let cell = |row: &BTreeMap<String, String>, key: &str| match row[key].parse::<u64>() {
            Ok(nanos) if key.ends_with("_ns") => format!("{}ms", nanos / 1_000_000 - START_MS),
            _ => row[key].clone(),
        };
        let rows = rows(&self.path("out").join(name));
        rows.iter()
            .map(|row| columns.iter().map(|key| cell(row, key)).collect::<Vec<_>>().join(" "))
            .collect()
    }

    fn orders(&self) -> Vec<String> {
        let columns = ["order", "side", "price", "amount", "state", "created_ns", "done_ns", "ahead_at_join"];
        self.table("orders.csv", &columns)
    }
}

/// Exit code, and stdout and stderr in one text.
fn papertape(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_papertape"));
    command.arg("--data-dir").arg(folder.join("data")).args(arguments).current_dir(folder);
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

fn rows(file: &Path) -> Vec<BTreeMap<String, String>> {
    let mut csv = csv::Reader::from_path(file).unwrap();
    csv.deserialize().map(Result::unwrap).collect()
}

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

/// Bid 100.0 and ask 100.5 are ticks 200 and 201: quotes at 198 and 203. Without the ask at 100.5 they are 200 and 202:
/// the bid goes to 199. It fills behind 500, and at a position of 100 nothing more is bought.
const GRID: [&str; 5] =
    [BOOK, "150 ask 0 @ 100.5", "220 sell 600 @ 99.5", "350 bid 400 @ 99.0", "420 ask 400 @ 101.5"];

#[test]
fn grid_quoter_as_computed_by_hand() {
    let scene = Scene::draw(&GRID, 0);
    let summary = scene.run(&["--strategy", "grid_quoter", "--set", "max_pos=100", "--latency", "none"]);
    let want = [
        "1 buy 99 100 cancelled 100ms 200ms 500",
        "3 buy 99.5 100 filled 200ms 220ms 500",
        "2 sell 101.5 100 cancelled 100ms 420ms 500",
    ];
    assert_eq!(scene.orders(), want);
    let columns =
        ["fill", "order", "price", "amount", "liquidity", "fee", "fee_asset", "rule", "ahead_before"];
    assert_eq!(scene.table("fills.csv", &columns), ["1 3 99.5 100 maker -0.995 USD print_at_price 500"]);
    let columns = ["Exchange", "Market", "Order_type", "Side", "Price", "Amount", "Age"];
    let trades = scene.table("trades.csv", &columns);
    assert_eq!(trades, ["Bitmart_PaperTrade XBT-USD limit_maker buy 99.5 100 00:00:00"]);
    // 1000 × 100.25 + 100000 at the start; 1100 × 100.5 + 100000 − 9950 + 0.995 at the end.
    for (key, want) in [
        ("start_value", "200250"),
        ("end_value", "200600.995"),
        ("net_pnl", "350.995"),
        ("volume_base", "100"),
        ("volume_quote", "9950"),
        ("max_position", "100"),
        ("best_bid", "100"),
        ("best_ask", "101"),
    ] {
        assert_eq!(summary[key], want, "{key}");
    }
    assert_eq!(summary["fees"]["USD"], "-0.995");
    for (key, want) in [
        ("orders_created", 3),
        ("orders_filled", 1),
        ("orders_cancelled", 2),
        ("orders_rejected", 0),
        ("maker_fills", 1),
        ("taker_fills", 0),
        ("equity_samples", 2),
        ("events", 10),
    ] {
        assert_eq!(summary[key], want, "{key}");
    }
    assert_eq!((&summary["win_rate"], &summary["sharpe"]), (&Value::Null, &Value::Null));
}

#[test]
fn what_people_and_programs_read() {
    let scene = Scene::draw(&GRID, 0);
    let line = scene.line(&["--strategy", "grid_quoter", "--set", "max_pos=100", "--latency", "none"]);
    let (code, text) = papertape(scene.folder.path(), &line);
    assert_eq!(code, 0);
    let summary = std::fs::read_to_string(scene.path("out/summary.json")).unwrap();
    let is_wall = |line: &&str| line.contains("wall_seconds") || line.contains("events_per_second");
    let steady: Vec<&str> = summary.lines().filter(|line| !is_wall(line)).collect();
    insta::assert_snapshot!(format!("{text}\n{}", steady.join("\n")));
    let page = std::fs::read_to_string(scene.path("out/report.html")).unwrap();
    for part in ["<!doctype html>", "<svg", "<polyline", "350.995", "print_at_price", "max_pos", "</html>"] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("http"), "the page needs nothing else");
}

#[test]
fn requests_and_answers_travel() {
    let scene = Scene::draw(&GRID, 0);
    scene.run(&["--strategy", "grid_quoter", "--latency", "30"]);
    let arrivals = scene.table("orders.csv", &["order", "created_ns", "arrived_ns", "done_ns", "state"]);
    // Sent at 100 ms, there at 130, known at 160; the bid's successor is there at 230, after the print.
    assert_eq!(arrivals[0], "1 100ms 130ms 230ms cancelled");
    assert!(arrivals.iter().any(|row| row.starts_with("3 200ms 230ms")), "{arrivals:?}");
    assert!(scene.table("fills.csv", &["order"]).is_empty());
}

/// The exchange acts at its own time; the trader sees each message 70 ms later.
#[test]
fn two_clocks() {
    let scene = Scene::draw(&GRID, 70);
    let created = |more: &[&str]| {
        scene.run(&[&["--strategy", "grid_quoter", "--latency", "none"], more].concat());
        let mut rows = scene.table("orders.csv", &["order", "price", "created_ns"]);
        rows.sort();
        rows
    };
    // It begins at 0, with an empty view; at 200 it does not know of the change at 150.
    let exchange = created(&["--clock", "exchange"]);
    assert_eq!(exchange[..3], ["1 99 100ms", "2 101.5 100ms", "3 99.5 300ms"]);
    // It begins at 70, with the first message; the change is there at 220 and seen at 270.
    let receive = created(&["--clock", "receive"]);
    assert_eq!(receive[..3], ["1 99 170ms", "2 101.5 170ms", "3 99.5 270ms"]);
}

#[test]
fn pure_market_making_as_computed_by_hand() {
    let scene = Scene::draw(&[BOOK, "2000 sell 800 @ 99.0", "10500 bid 400 @ 99.0"], 0);
    let more = "--strategy pure_market_making --latency none --set bid_spread=1 --set ask_spread=1 \
                --set order_amount=200 --set filled_order_delay=5";
    scene.run(&more.split_whitespace().collect::<Vec<_>>());
    // Mid 100.25: bids at 99.2475 go down to 99, asks at 101.2525 up to 101.5. The bid fills at 2 s; at 7 s the ask goes
    // too, and a second later both are placed anew.
    let want = [
        "1 buy 99 200 filled 0ms 2000ms 500",
        "2 sell 101.5 200 cancelled 0ms 7000ms 500",
        "3 buy 99 200 cancelled 8000ms 10500ms 500",
        "4 sell 101.5 200 cancelled 8000ms 10500ms 500",
    ];
    assert_eq!(scene.orders(), want);
}

/// Where there is no book, the last trade stands for the mid: 10.00, quoted at 9.90 and 10.10; the second minute falls to
/// 9.80 and the third rises to 10.30.
#[test]
fn quotes_fill_on_candles_and_say_what_on() {
    let folder = tempfile::tempdir().unwrap();
    let candles = "timestamp,open,high,low,close,volume,quote_asset_volume
1700000040.0,10.00,10.05,9.95,10.00,100.0,0.0
1700000100.0,10.00,10.00,9.80,10.00,100.0,0.0
1700000160.0,10.00,10.30,10.00,10.20,100.0,0.0
";
    std::fs::write(folder.path().join("minutes.csv"), candles).unwrap();
    let said = papertape(
        folder.path(),
        &[
            "backtest",
            "--connector",
            "bitmart_paper_trade",
            "--pair",
            "XYZ-USDT",
            "--csv",
            "minutes.csv",
            "--strategy",
            "pure_market_making",
            "--set",
            "bid_spread=1",
            "--set",
            "ask_spread=1",
            "--set",
            "order_amount=1",
            "--set",
            "order_refresh_time=600",
            "--latency",
            "none",
            "--balance",
            "XYZ=10",
            "--balance",
            "USDT=1000",
            "--out",
            "out",
        ],
    );
    assert_eq!(said.0, 0, "{}", said.1);
    let fills = rows(&folder.path().join("out/fills.csv"));
    let told = |fill: &BTreeMap<String, String>| {
        ["side", "price", "evidence"].map(|column| fill[column].clone()).join(" ")
    };
    assert_eq!(fills.iter().map(told).collect::<Vec<_>>(), ["buy 9.9 thin", "sell 10.1 thin"]);
}

#[test]
fn levels_and_what_the_account_can_pay() {
    let scene = Scene::draw(&[BOOK, "500 bid 400 @ 99.0"], 0);
    let more = "--strategy pure_market_making --latency none --set bid_spread=1 --set ask_spread=1 \
                --set order_amount=600 --set order_levels=2 --set order_level_spread=1 --set order_level_amount=100";
    scene.run(&more.split_whitespace().collect::<Vec<_>>());
    // 99 × 600 of 100000 leaves 40600 for the second bid at 98.245 → 98: 414 → 400. Of 1000 base 600 and 400.
    let want = ["1 buy 99 600", "2 buy 98 400", "3 sell 101.5 600", "4 sell 102.5 400"];
    assert_eq!(scene.table("orders.csv", &["order", "side", "price", "amount"]), want);
}

#[test]
fn twap_as_computed_by_hand() {
    let scene = Scene::draw(&[BOOK, "9000 bid 400 @ 99.0"], 0);
    let more = "--strategy twap --latency none --set side=sell --set total_amount=300 --set slices=2 \
                --set interval=3 --set order_type=market";
    let summary = scene.run(&more.split_whitespace().collect::<Vec<_>>());
    // Half of 300 is 150, down to the lot 100; the last slice has the rest.
    assert_eq!(
        scene.table("fills.csv", &["order", "ts_ns", "side", "price", "amount", "liquidity", "fee"]),
        ["1 0ms sell 100 100 taker 5", "2 3000ms sell 100 200 taker 10"]
    );
    assert_eq!((&summary["position"], &summary["taker_fills"]), (&Value::from("-300"), &Value::from(2)));
}

#[test]
fn the_window_of_time() {
    let scene = Scene::draw(&GRID, 0);
    let started = |more: &[&str]| {
        let summary = scene.run(&[&["--strategy", "grid_quoter", "--latency", "none"], more].concat());
        (summary["started"].as_str().unwrap().to_owned(), summary["ended"].as_str().unwrap().to_owned())
    };
    let epoch = |rest: &str| format!("2023-11-14T22:13:{rest}Z");
    assert_eq!(started(&[]), (epoch("20"), epoch("20.42")));
    assert_eq!(
        started(&["--from", "1700000000160000000", "--to", "2023-11-14T22:13:20.4Z"]),
        (epoch("20.16"), epoch("20.4"))
    );
    assert_eq!(started(&["--warmup", "250ms"]), (epoch("20.25"), epoch("20.42")));
    let (code, out) =
        papertape(scene.folder.path(), &scene.line(&["--strategy", "grid_quoter", "--warmup", "1h"]));
    assert!(code == 1 && out.contains("before the strategy begins"), "{out}");
}

#[test]
fn what_cannot_be_run() {
    let scene = Scene::draw(&GRID, 0);
    let config = scene.path("conf.toml");
    std::fs::write(&config, "paper_trade_exchanges = [\"bitmart\"]\n[grid_quoter]\nk = 3\nquantity = 1\n")
        .unwrap();
    for (more, code, want) in [
        (
            "--strategy nothing",
            2,
            "unknown strategy \"nothing\" (there are: pure_market_making, perpetual_market_making, twap, grid_quoter)",
        ),
        (
            "--strategy grid_quoter --set kk=1",
            2,
            "has no parameter \"kk\" (it has: k, requote_ms, qty, max_pos)",
        ),
        ("--strategy grid_quoter --set k", 2, "not a parameter"),
        ("--strategy grid_quoter --set k=x", 2, "k = \"x\": must be a whole number"),
        ("--strategy grid_quoter --config conf.toml", 2, "has no parameter \"quantity\""),
        ("--strategy grid_quoter --set qty=1", 1, "qty = 1: no amount of XBT-USD"),
        ("--strategy grid_quoter --balance DOGE=1", 2, "DOGE is not traded here"),
        ("--strategy grid_quoter --from 5 --to 4", 2, "--from must be earlier"),
        ("--strategy grid_quoter --parquet", 1, "--parquet is not part of this build"),
        ("--strategy grid_quoter --leverage 0", 2, "a number such as 10"),
        ("--strategy grid_quoter --loop", 2, "--loop"),
    ] {
        let words: Vec<&str> = more.split_whitespace().collect();
        let (got, out) = papertape(scene.folder.path(), &scene.line(&words));
        assert!(got == code && out.contains(want), "{more}: exit {got}: {out}");
        assert!(!scene.path("out").exists(), "{more}");
    }
    let exact: Vec<&str> = scene.line(&["--strategy", "twap"]);
    let exact: Vec<&str> =
        exact.iter().map(|word| if *word == "conservative" { "exact" } else { word }).collect();
    let (code, out) = papertape(scene.folder.path(), &exact);
    assert!(code == 2 && out.contains("order-by-order"), "{out}");
}

#[test]
fn parameters_from_a_file() {
    let scene = Scene::draw(&GRID, 0);
    let run = |text: &str, more: &[&str]| {
        std::fs::write(scene.path("conf.toml"), text).unwrap();
        let usual = ["--strategy", "grid_quoter", "--latency", "none", "--config", "conf.toml"];
        let summary = scene.run(&[&usual[..], more].concat());
        summary["parameters"].clone()
    };
    let table = run("[grid_quoter]\nk = 3\nmax_pos = \"200\"\n", &[]);
    assert_eq!((&table["k"], &table["max_pos"], &table["qty"]), (&"3".into(), &"200".into(), &"100".into()));
    let top = run("bitmart_maker_percent_fee = 0.1\nk = 4\n", &["--set", "k=5"]);
    assert_eq!(top["k"], "5");
}

/// A market that goes up and down, with more messages than a run looks away for.
fn wave(groups: i64) -> (MarketConfig, MemorySource) {
    let mut instrument = Instrument::spot("XBTUSD", Pair::new("XBT", "USD"), 1, 0).unwrap();
    (instrument.rule.tick, instrument.rule.lot) = (Price::from_units(5), Qty::from_units(100));
    let mut log = EventLog::default();
    for step in 0..groups {
        let at = Timestamp::from_millis(step * 10);
        let mid = 1_000 + 5 * ((step / 10) % 20 - 10).abs();
        let kind = if step % 10 == 0 { GroupKind::Snapshot } else { GroupKind::Update };
        if step % 10 == 0 {
            for level in 0..5 {
                for (side, price) in [(Side::Buy, mid - 5 * level), (Side::Sell, mid + 5 + 5 * level)] {
                    let (price, qty) = (Price::from_units(price), Qty::from_units(300));
                    log.push(MarketEvent::Level { side, price, qty });
                }
            }
        } else {
            let aggressor = if step % 2 == 0 { Side::Buy } else { Side::Sell };
            let away = if aggressor == Side::Buy { 10 } else { -5 };
            log.push_trade(Some(aggressor), Price::from_units(mid + away), Qty::from_units(700), b"");
        }
        log.close(InstrumentId(0), kind, at, at);
    }
    let fees = FeeSchedule::flat_rates(Rate(-100_000), Rate(500_000), "test");
    let market = MarketConfig::spot(instrument.clone(), fees);
    (market, MemorySource::new(vec![instrument], log))
}

fn plan(connectors: &[&str], groups: i64, out: Option<PathBuf>) -> Plan {
    let venue = |name: &&str| {
        let (market, source) = wave(groups);
        let balances = [("XBT", 100_000), ("USD", 10_000_000)];
        VenuePlan {
            connector: (*name).into(),
            config: SimConfig::realistic(vec![market], 7),
            source: Box::new(source),
            market_delay: Duration::ZERO,
            chosen: Vec::new(),
            balances: balances.map(|(asset, amount)| (Asset::new(asset), Decimal::from(amount))).to_vec(),
        }
    };
    Plan {
        venues: connectors.iter().map(venue).collect(),
        strategy: find("grid_quoter").unwrap(),
        parameters: Parameters::default(),
        queues: vec![QueueModel::Front],
        two_clocks: false,
        from: None,
        to: None,
        warmup: Duration::ZERO,
        equity_interval: Duration::from_secs(60),
        account: "default".to_owned(),
        out,
    }
}

#[test]
fn a_run_that_is_stopped_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("out");
    let finished =
        run(plan(&["bitmart_paper_trade"], 40_000, Some(place.clone())), &mut |_| Go::Stop).unwrap();
    assert!(finished.is_partial() && !place.exists());
    let summary = finished.summary(Described::default(), 1.0);
    finished.finish(&summary).unwrap();
    let text = std::fs::read_to_string(place.join("summary.json")).unwrap();
    let summary: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&summary["partial"], &summary["messages"]), (&true.into(), &16_384.into()));
    assert!(std::fs::read_to_string(place.join("report.html")).unwrap().contains("Stopped before"));
    // What is told is whole.
    check_ledger(&place, &summary);
    // Without its end a run leaves nothing.
    let place = folder.path().join("other");
    drop(run(plan(&["bitmart_paper_trade"], 100, Some(place)), &mut |_| Go::On).unwrap());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn several_connectors_on_one_clock() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("out");
    let finished = run(plan(&["one", "two"], 5_000, Some(place.clone())), &mut |_| Go::On).unwrap();
    let summary = finished.summary(Described::default(), 1.0);
    finished.finish(&summary).unwrap();
    let text = std::fs::read_to_string(place.join("summary.json")).unwrap();
    let summary: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(summary["connectors"], serde_json::json!(["one", "two"]));
    assert_eq!(summary["messages"], 10_000);
    assert!(summary["fills"].as_u64().unwrap() > 50, "{}", summary["fills"]);
    // Two accounts of 100,000 × 105.25 + 10,000,000 each.
    assert_eq!(summary["start_value"], "41050000");
    check_ledger(&place, &summary);
    let accounts: std::collections::BTreeSet<String> =
        rows(&place.join("ledger.csv")).iter().map(|row| row["account"].clone()).collect();
    let want = ["@deposits", "@fees", "@market", "one/default", "two/default"];
    assert_eq!(accounts.iter().map(String::as_str).collect::<Vec<_>>(), want);
}

/// Every transaction sums to zero per asset, each account's rows to its last balance; the tables agree with the summary.
fn check_ledger(folder: &Path, summary: &Value) {
    let ledger = rows(&folder.join("ledger.csv"));
    assert!(!ledger.is_empty());
    let (mut transactions, mut sums, mut lasts) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for (at, row) in ledger.iter().enumerate() {
        assert_eq!(row["entry"], (at + 1).to_string());
        let amount = decimal(&row["amount"]);
        *transactions.entry((row["transaction"].clone(), row["asset"].clone())).or_insert(Decimal::ZERO) +=
            amount;
        let owner = (row["account"].clone(), row["asset"].clone());
        if !row["account"].starts_with('@') {
            *sums.entry(owner.clone()).or_insert(Decimal::ZERO) += amount;
            lasts.insert(owner, (decimal(&row["balance_after"]), decimal(&row["hold_after"])));
        }
    }
    assert!(transactions.values().all(Decimal::is_zero));
    for (owner, sum) in sums {
        let (balance, held) = lasts[&owner];
        assert_eq!((sum, held), (balance, Decimal::ZERO), "{owner:?}");
    }
    let fills = rows(&folder.join("fills.csv"));
    let orders = rows(&folder.join("orders.csv"));
    let count = |key: &str| summary[key].as_u64().unwrap() as usize;
    assert_eq!((fills.len(), orders.len()), (count("fills"), count("orders_created")));
    assert_eq!(rows(&folder.join("trades.csv")).len(), fills.len());
    assert_eq!(rows(&folder.join("equity.csv")).len(), count("equity_samples"));
    let known: std::collections::BTreeSet<&str> = orders.iter().map(|row| row["order"].as_str()).collect();
    assert!(fills.iter().all(|fill| known.contains(fill["order"].as_str())));
    let of_fills = |row: &&BTreeMap<String, String>| !row["fill"].is_empty() && row["cause"] == "trade";
    let named: std::collections::BTreeSet<&str> =
        ledger.iter().filter(of_fills).map(|row| row["fill"].as_str()).collect();
    assert_eq!(named.len(), fills.len());
}

/// The file beside the repository; says so where it is not there.
fn shared(path: &str) -> Option<PathBuf> {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|folder| folder.join("shared/data"));
    let file = above.map(|folder| folder.join(path)).find(|file| file.exists());
    if file.is_none() {
        println!("skipped: {path} is not beside the repository");
    }
    file
}

#[test]
fn a_real_market_gives_the_same_bytes_twice() {
    let names =
        ["incremental_book_L2", "trades"].map(|kind| format!("csv/binance_{kind}_2024-08-08_ETHUSDT.csv.gz"));
    let [Some(book), Some(trades)] = names.map(|name| shared(&name)) else { return };
    let home = tempfile::tempdir().unwrap();
    let run = |out: &str, more: &[&str]| {
        let usual = "backtest --connector bitmart_paper_trade --pair ETH-USDT --strategy pure_market_making \
                     --balance USDT=100000 --balance ETH=10 --seed 7 --set bid_spread=0.02 --set ask_spread=0.02 \
                     --set order_amount=0.5 --set order_refresh_time=5 --set filled_order_delay=1";
        let mut line: Vec<&str> = usual.split_whitespace().collect();
        line.extend(["--csv", book.to_str().unwrap(), "--csv", trades.to_str().unwrap(), "--out", out]);
        line.extend(more);
        let (code, text) = papertape(home.path(), &line);
        assert_eq!(code, 0, "{text}");
        let summary = std::fs::read_to_string(home.path().join(out).join("summary.json")).unwrap();
        (summary, text)
    };
    let ((first, _), (second, _)) = (run("a", &[]), run("b", &[]));
    let steady = |text: &str| {
        let lines =
            text.lines().filter(|line| !line.contains("wall_seconds") && !line.contains("events_per_second"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(steady(&first), steady(&second));
    for name in ["orders.csv", "fills.csv", "trades.csv", "ledger.csv", "equity.csv", "report.html"] {
        let [a, b] = ["a", "b"].map(|out| std::fs::read(home.path().join(out).join(name)).unwrap());
        assert!(a == b, "{name} differs");
    }
    let summary: Value = serde_json::from_str(&first).unwrap();
    assert!(summary["fills"].as_u64().unwrap() > 10, "{}", summary["fills"]);
    check_ledger(&home.path().join("a"), &summary);
    // Sums of the tables are the summary's numbers.
    let fills = rows(&home.path().join("a/fills.csv"));
    let volume: Decimal = fills.iter().map(|fill| decimal(&fill["amount"])).sum();
    let fees: Decimal = fills.iter().map(|fill| decimal(&fill["fee"])).sum();
    assert_eq!(decimal(summary["volume_base"].as_str().unwrap()), volume);
    assert_eq!(decimal(summary["fees"]["USDT"].as_str().unwrap()), fees);

    let (bands, text) = run("c", &["--queue", "bands"]);
    let bands: Value = serde_json::from_str(&bands).unwrap();
    let fills = |name: &str| bands["bands"][name]["fills"].as_u64().unwrap();
    assert!(fills("front") >= fills("conservative"), "{text}");
    assert_eq!(bands["bands"]["probabilistic"]["state_hash"], summary["state_hash"]);
    assert!(text.contains("a range, not a bound") && text.contains("conservative"), "{text}");
}

#[test]
fn two_runs_of_a_made_market_differ_by_their_seed_alone() {
    let home = tempfile::tempdir().unwrap();
    let run = |seed: &str| {
        let usual = "backtest --connector bitmart_paper_trade --synth 3 --pair BTC-USDT --to 1767571500000000000 \
                     --strategy pure_market_making --latency lognormal:20,0.5 --json --seed";
        let line: Vec<&str> = usual.split_whitespace().chain([seed]).collect();
        let (code, text) = papertape(home.path(), &line);
        assert_eq!(code, 0, "{text}");
        let summary: Value = serde_json::from_str(&text).unwrap();
        summary["state_hash"].as_str().unwrap().to_owned()
    };
    let one = run("1");
    assert_eq!(one, run("1"));
    assert_ne!(one, run("2"));
}

/// A market maker on a perpetual: it opens and closes, pays fees in what the contract settles in, and all money sums to
/// zero.
#[test]
fn a_perpetual_is_quoted_like_spot() {
    let folder = tempfile::tempdir().unwrap();
    let words = "backtest --connector bitmex_perpetual_paper_trade --synth 7 --pair XBT-USD --strategy pure_market_making \
                 --set bid_spread=0.001 --set ask_spread=0.001 --set order_refresh_time=5 --set order_amount=1000 \
                 --balance XBT=1 --leverage 50 --out run";
    let words: Vec<&str> = words.split_whitespace().collect();
    let (code, out) = papertape(folder.path(), &words);
    assert_eq!(code, 0, "{out}");
    let run = folder.path().join("run");
    let mut actions = std::collections::BTreeSet::new();
    let mut fills = csv::Reader::from_path(run.join("fills.csv")).unwrap();
    for row in fills.records() {
        let row = row.unwrap();
        assert_eq!(&row[11], "XBT");
        actions.insert(row[16].to_owned());
    }
    assert_eq!(actions.into_iter().collect::<Vec<_>>(), ["close", "open"]);
    let mut sums: std::collections::BTreeMap<String, rust_decimal::Decimal> =
        std::collections::BTreeMap::new();
    let mut ledger = csv::Reader::from_path(run.join("ledger.csv")).unwrap();
    for row in ledger.records() {
        let row = row.unwrap();
        let transaction = format!("{} {}", &row[1], &row[5]);
        *sums.entry(transaction).or_default() += row[6].parse::<rust_decimal::Decimal>().unwrap();
    }
    assert!(sums.len() > 10 && sums.values().all(rust_decimal::Decimal::is_zero), "{sums:?}");
}

/// A strategy that sets leverage and position mode itself takes those of the command line, unless it is told its own.
#[test]
fn a_strategy_takes_the_leverage_of_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let run = |more: &str| {
        let words = "backtest --connector phemex_perpetual_paper_trade --synth 7 --pair BTC-USDT --json --to 1767571260000000000 \
                     --strategy perpetual_market_making --leverage 25 --position-mode hedge";
        let words: Vec<&str> = words.split_whitespace().chain(more.split_whitespace()).collect();
        let (code, out) = papertape(folder.path(), &words);
        assert_eq!(code, 0, "{out}");
        let parameters = serde_json::from_str::<Value>(&out).unwrap()["parameters"].clone();
        ["leverage", "position_mode"].map(|key| parameters[key].as_str().unwrap().to_owned())
    };
    assert_eq!(run(""), ["25", "hedge"]);
    assert_eq!(run("--set leverage=3 --set position_mode=One-way"), ["3", "One-way"]);
}
