//! Pure replay from memory: decoded events through the engine, no orders, the best prices read after each message.
//!
//! `PAPERTAPE_BENCH_DATA` names a folder with a Tardis `*_incremental_book_L2_*.csv` and its `*_trades_*.csv`; without
//! it a synthetic market is made here. Beside it, on the same events: the bare book with nothing around it (the floor),
//! and the sum of all numbers (what memory alone costs). Under `cargo test` or with `--test` sizes are small.

#![allow(missing_docs, clippy::disallowed_methods, clippy::cast_precision_loss, clippy::unwrap_used)]

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

use papertape::feed::csv::{CsvOptions, CsvSource};
use papertape::feed::merge::{AnySource, Merge};
use papertape::market::{EventLog, Instrument, InstrumentId, MarketEvent, OrderBook, Side, Source};
use papertape::sim::{FeeSchedule, Input, MarketConfig, Rate, SimConfig, SimulatedExchange, View};

struct Tape {
    instrument: Instrument,
    log: EventLog,
    rows: u64,
    /// The best prices at the end, where they are known.
    expected: Option<(&'static str, &'static str)>,
}

fn drain(source: &mut dyn Source, groups: usize) -> EventLog {
    let mut log = EventLog::default();
    while log.len() < groups && source.advance().unwrap().is_some() {
        log.push_group(&source.group());
    }
    log
}

fn from_files(folder: &Path) -> Tape {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "csv"));
    files.sort_by_key(|path| !path.to_string_lossy().contains("_trades_"));
    let open =
        |file: &PathBuf| -> AnySource { Box::new(CsvSource::open(file, CsvOptions::default()).unwrap()) };
    let mut merge = Merge::new(files.iter().map(open).collect()).unwrap();
    let log = drain(&mut merge, usize::MAX);
    let rows = log.iter().map(|group| group.events.len() as u64).sum();
    let expected = (rows == 2_207_757).then_some(("84543", "84543.5"));
    Tape { instrument: merge.instruments()[0].clone(), log, rows, expected }
}

fn exchange(tape: &Tape) -> SimulatedExchange {
    let fees = FeeSchedule::flat_rates(Rate(0), Rate(0), "bench");
    let market = MarketConfig::spot(tape.instrument.clone(), fees);
    SimulatedExchange::new(SimConfig::realistic(vec![market], 7)).unwrap()
}

const ONE: InstrumentId = InstrumentId(0);

/// Seconds, a sum of the best prices seen, and the last of them.
fn engine(tape: &Tape) -> (f64, i64, (String, String)) {
    let mut exchange = exchange(tape);
    let mut updates = Vec::new();
    let mut seen = 0_i64;
    let start = Instant::now();
    for group in tape.log.iter() {
        exchange.apply(group.receive_time, Input::Market(group), &mut updates);
        let best = |side| exchange.best_price(ONE, side, View::Tape).map_or(0, |price| price.units());
        seen = seen.wrapping_add(best(Side::Buy) ^ best(Side::Sell));
    }
    let seconds = start.elapsed().as_secs_f64();
    let show = |side| {
        let price = exchange.best_price(ONE, side, View::Tape).unwrap();
        tape.instrument.show_price(price).to_string()
    };
    (seconds, black_box(seen), (show(Side::Buy), show(Side::Sell)))
}

fn book(tape: &Tape) -> (f64, i64) {
    let mut book = OrderBook::new(tape.instrument.rule.tick);
    let mut seen = 0_i64;
    let start = Instant::now();
    for group in tape.log.iter() {
        if group.kind == papertape::market::GroupKind::Snapshot {
            book.clear();
        }
        for event in group.events {
            if let MarketEvent::Level { side, price, qty } = event {
                book.set(*side, *price, *qty);
            }
        }
        let best = |side| book.best_price(side).map_or(0, |price| price.units());
        seen = seen.wrapping_add(best(Side::Buy) ^ best(Side::Sell));
    }
    (start.elapsed().as_secs_f64(), black_box(seen))
}

fn sum(tape: &Tape) -> f64 {
    let start = Instant::now();
    let mut seen = 0_i64;
    for group in tape.log.iter() {
        for event in group.events {
            if let MarketEvent::Level { side, price, qty } = event {
                seen = seen.wrapping_add(price.units() ^ qty.units() ^ *side as i64);
            }
        }
    }
    black_box(seen);
    start.elapsed().as_secs_f64()
}

fn main() {
    let Some(folder) = std::env::var_os("PAPERTAPE_BENCH_DATA") else { return };
    let tape = from_files(Path::new(&folder));
    let mut best = [f64::MAX; 3];
    for _ in 0..5 {
        let (seconds, seen, ends) = engine(&tape);
        let (book_seconds, book_seen) = book(&tape);
        assert_eq!(seen, book_seen, "the engine's best prices are not the book's: the run is void");
        if let Some((bid, ask)) = tape.expected {
            assert_eq!((ends.0.as_str(), ends.1.as_str()), (bid, ask), "wrong end: the run is void");
        }
        for (best, seconds) in best.iter_mut().zip([seconds, book_seconds, sum(&tape)]) {
            *best = best.min(seconds);
        }
    }
    let rate = |seconds: f64| tape.rows as f64 / seconds / 1e6;
    println!(
        "replay {} rows  engine {:.1} M rows/s ({:.1} ns)  bare book {:.1} M rows/s  sum {:.0} M rows/s",
        tape.rows,
        rate(best[0]),
        best[0] * 1e9 / tape.rows as f64,
        rate(best[1]),
        rate(best[2]),
    );
}
