//! The whole way from CSV files to results: the grid quoter over a Tardis pair, with queue, accounts and two clocks.
//!
//! `PAPERTAPE_BENCH_DATA` names a folder with a Tardis `*_incremental_book_L2_*.csv` and its `*_trades_*.csv` of XBTUSD;
//! without it there is nothing to measure. Two jobs: the summary alone, and all tables written to a folder. Each runs the
//! built program in a process of its own (what a user waits for, start included), five times in turn; the best counts.
//! A third one runs decoded events from memory. A run whose check values differ is void.

#![allow(missing_docs, clippy::disallowed_methods, clippy::cast_precision_loss, clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use papertape::backtest::{Described, Go, Plan, VenuePlan, run};
use papertape::feed::clock::ExchangeClock;
use papertape::feed::csv::{CsvFile, CsvOptions, Symbols};
use papertape::feed::merge::{AnySource, Merge};
use papertape::market::{Asset, EventLog, Instrument, MemorySource, Pair, Price, Qty, Source};
use papertape::sim::{
    FeeSchedule, LatencyModel, Law, MarketConfig, PublicMarket, QueueModel, Rate, SimConfig,
};
use papertape::strategy::{Parameters, find};
use rust_decimal::Decimal;
use serde_json::Value;

const INSTRUMENTS: &str = r#"{"exchange": "bitmex", "source": "the bench", "instruments": [{"symbol": "XBTUSD",
    "pair": "XBT-USD", "product": {"kind": "spot"}, "tick": "0.5", "lot": "100", "min_qty": "100",
    "max_qty": "100000000", "min_notional": "0", "price_scale": 1, "qty_scale": 0,
    "maker_fee": "-0.0001", "taker_fee": "0.0005"}]}"#;

/// Of the whole file: events, and the best prices at its end.
const WHOLE: (u64, &str, &str) = (2_207_757, "84543", "84543.5");

/// Prints before the book.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "csv"));
    files.sort_by_key(|path| !path.to_string_lossy().contains("_trades_"));
    files
}

fn check(summary: &Value) {
    if summary["events"].as_u64() == Some(WHOLE.0) {
        let ends = (summary["best_bid"].as_str(), summary["best_ask"].as_str());
        assert_eq!(ends, (Some(WHOLE.1), Some(WHOLE.2)), "wrong end: the run is void");
    }
    assert!(summary["fills"].as_u64() > Some(0), "no fill: the run is void");
}

/// One run of the program: seconds, and its summary.
fn program(files: &[PathBuf], home: &Path, out: bool) -> (f64, Value) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_papertape"));
    command.current_dir(home).args(["--data-dir", "data", "--json", "--quiet", "backtest"]);
    command.args(["--connector", "bitmart_paper_trade", "--pair", "XBT-USD", "--strategy", "grid_quoter"]);
    command.args(["--queue", "probabilistic:power=2", "--clock", "exchange", "--latency", "none"]);
    command.args(["--public-market", "tape", "--instruments", "instruments.json"]);
    command.args(["--balance", "XBT=1000000", "--balance", "USD=1000000000000"]);
    files.iter().for_each(|file| _ = command.arg("--csv").arg(file));
    if out {
        command.args(["--out", "out"]);
    }
    let start = Instant::now();
    let output = command.output().unwrap();
    let seconds = start.elapsed().as_secs_f64();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary = serde_json::from_slice(&output.stdout).unwrap();
    check(&summary);
    (seconds, summary)
}

/// The decoded events, each file by the exchange's time, and how many.
fn decoded(files: &[PathBuf], instrument: &Instrument) -> (EventLog, u64) {
    let open = |file: &PathBuf| -> AnySource {
        let symbols = Symbols::default();
        symbols.know(instrument.clone());
        let file = CsvFile::open(file, &symbols).unwrap();
        Box::new(ExchangeClock::new(Box::new(file.source(CsvOptions::default()).unwrap())))
    };
    let mut merge = Merge::new(files.iter().map(open).collect()).unwrap();
    let (mut log, mut events) = (EventLog::default(), 0);
    while merge.advance().unwrap().is_some() {
        let group = merge.group();
        events += group.events.len() as u64;
        // A source in memory is played by receive time: here that is the exchange's, so that nothing is decoded twice.
        log.push_group(&papertape::market::Group { receive_time: group.exchange_time, ..group });
    }
    (log, events)
}

fn instrument() -> Instrument {
    let mut instrument = Instrument::spot("XBTUSD", Pair::new("XBT", "USD"), 1, 0).unwrap();
    let rule = &mut instrument.rule;
    (rule.tick, rule.lot, rule.min_qty) = (Price::from_units(5), Qty::from_units(100), Qty::from_units(100));
    instrument
}

/// Strategy and queue on decoded events: seconds, and fills.
fn from_memory(log: &EventLog, instrument: &Instrument) -> (f64, u64) {
    let fees = FeeSchedule::flat_rates(Rate(-100_000), Rate(500_000), "bench");
    let market = MarketConfig::spot(instrument.clone(), fees);
    let queue = QueueModel::Probabilistic(Law::Power(2));
    let config = SimConfig {
        latency: LatencyModel::None,
        public_market: PublicMarket::Tape,
        ..SimConfig::realistic(vec![market], 0)
    };
    let balances = [("XBT", 1_000_000_i64), ("USD", 1_000_000_000_000)];
    let venue = VenuePlan {
        connector: "bench".into(),
        config,
        source: Box::new(MemorySource::new(vec![instrument.clone()], log.clone())),
        market_delay: Duration::ZERO,
        chosen: vec![instrument.pair.clone()],
        balances: balances.map(|(asset, amount)| (Asset::new(asset), Decimal::from(amount))).to_vec(),
    };
    let plan = Plan {
        venues: vec![venue],
        strategy: find("grid_quoter").unwrap(),
        parameters: Parameters::default(),
        queues: vec![queue],
        two_clocks: false,
        from: None,
        to: None,
        warmup: Duration::ZERO,
        equity_interval: Duration::from_secs(60),
        account: "bench".to_owned(),
        out: None,
    };
    let start = Instant::now();
    let finished = run(plan, &mut |_| Go::On).unwrap();
    let seconds = start.elapsed().as_secs_f64();
    let summary = serde_json::to_value(finished.summary(Described::default(), seconds)).unwrap();
    check(&summary);
    (seconds, summary["fills"].as_u64().unwrap_or(0))
}

fn main() {
    let Some(folder) = std::env::var_os("PAPERTAPE_BENCH_DATA") else { return };
    let files = files(Path::new(&folder));
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("instruments.json"), INSTRUMENTS).unwrap();
    let rounds = if std::env::args().any(|argument| argument == "--test") { 1 } else { 5 };
    let instrument = instrument();
    let (log, events) = decoded(&files, &instrument);
    let mut best = [f64::MAX; 3];
    let (mut summary, mut memory_fills) = (Value::Null, 0);
    for _ in 0..rounds {
        let (plain, first) = program(&files, home.path(), false);
        let (tables, second) = program(&files, home.path(), true);
        assert_eq!(first["state_hash"], second["state_hash"], "two runs differ: void");
        let (memory, fills) = from_memory(&log, &instrument);
        for (best, seconds) in best.iter_mut().zip([plain, tables, memory]) {
            *best = best.min(seconds);
        }
        (summary, memory_fills) = (first, fills);
    }
    println!(
        "backtest {events} events  csv to summary {:.3} s  with tables {:.3} s ({:.2}x)  from memory {:.3} s ({:.1} M events/s)",
        best[0],
        best[1],
        best[1] / best[0],
        best[2],
        events as f64 / best[2] / 1e6,
    );
    println!(
        "orders {}  fills {} (one clock {memory_fills})  volume {}  position {}  ends {} / {}",
        summary["orders_created"],
        summary["fills"],
        summary["volume_base"],
        summary["position"],
        summary["best_bid"],
        summary["best_ask"],
    );
}
