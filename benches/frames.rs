//! From a BitMart frame's text to an applied book, against the bare JSON parse of the same frames.
//!
//! `cargo bench --bench frames` makes a million messages with seed 7 in memory and runs the floor (serde_json into
//! borrowed structs, nothing else) and ours (decode and apply to an `OrderBook`) by turns, best of five. Both must end
//! with the same book, or the run is void. `cargo test --benches` runs it small.

#![allow(clippy::expect_used)] // what fails here is a broken bench, and says so

use std::collections::BTreeMap;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use papertape::feed::synth::{DEMO_SEED, SynthConfig};
use papertape::market::decimal::parse_units;
use papertape::market::{EventLog, GroupKind, Instrument, MarketEvent, OrderBook, Side, Timestamp};
use papertape::venue::connectors::usable_connector;
use papertape::venue::{Decoder, Frame, Known};
use serde::Deserialize;

const EVENTS: u64 = 1_000_000;
const SMALL: u64 = 2_000;
const ROUNDS: usize = 5;

/// All frames in one text, so that neither side pays for where they lie.
struct Frames {
    text: String,
    ends: Vec<usize>,
}

impl Frames {
    fn make(config: &SynthConfig) -> Self {
        let mut all = Self { text: String::new(), ends: Vec::new() };
        let mut frames = config.frames();
        while let Some((_, frame)) = frames.next_frame() {
            all.text.push_str(frame);
            all.ends.push(all.text.len());
        }
        all
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(from, to)| &self.text[from..*to])
    }
}

#[derive(Deserialize)]
struct Push<'a> {
    table: &'a str,
    #[serde(borrow)]
    data: Vec<Data<'a>>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow, default)]
    asks: Vec<[&'a str; 2]>,
    #[serde(borrow, default)]
    bids: Vec<[&'a str; 2]>,
    symbol: &'a str,
    ms_t: i64,
    #[serde(default, rename = "type")]
    kind: &'a str,
    #[serde(default)]
    version: i64,
    #[serde(default)]
    price: &'a str,
    #[serde(default)]
    side: &'a str,
    #[serde(default)]
    size: &'a str,
    #[serde(default)]
    s_t: i64,
}

/// The floor: every frame parsed and dropped.
fn floor(frames: &Frames) -> u64 {
    let mut sum = 0;
    for frame in frames.iter() {
        let push: Push<'_> = serde_json::from_str(frame).expect("our own frame");
        for data in &push.data {
            sum += (data.asks.len() + data.bids.len() + data.price.len() + data.size.len()) as u64;
            sum = sum.wrapping_add((data.ms_t + data.s_t + data.version) as u64);
            sum += (push.table.len() + data.symbol.len() + data.side.len() + data.kind.len()) as u64;
        }
    }
    sum
}

/// Ours: every frame decoded and applied, the best prices read after it.
fn ours(frames: &Frames, config: &SynthConfig) -> OrderBook {
    let known = Known { declared: config.instruments.clone(), others: Vec::new() };
    let mut decoder = config.venue.decoder(known);
    let mut book = OrderBook::new(config.instruments[0].rule.tick);
    let mut log = EventLog::default();
    for frame in frames.iter() {
        log.clear();
        decoder.decode(Timestamp::MIN, Frame::Text(frame), &mut log).expect("our own frame");
        apply(&log, &mut book);
        black_box((book.best_price(Side::Buy), book.best_price(Side::Sell)));
    }
    book
}

/// Decoding alone.
fn decode(frames: &Frames, config: &SynthConfig) -> usize {
    let known = Known { declared: config.instruments.clone(), others: Vec::new() };
    let mut decoder: Box<dyn Decoder + Send> = config.venue.decoder(known);
    let mut log = EventLog::default();
    let mut groups = 0;
    for frame in frames.iter() {
        log.clear();
        decoder.decode(Timestamp::MIN, Frame::Text(frame), &mut log).expect("our own frame");
        groups += log.len();
    }
    groups
}

fn apply(log: &EventLog, book: &mut OrderBook) {
    for group in log.iter() {
        if group.kind == GroupKind::Snapshot {
            book.clear();
        }
        for event in group.events {
            if let MarketEvent::Level { side, price, qty } = *event {
                book.set(side, price, qty);
            }
        }
    }
}

/// The book that the floor's parse gives: price and size in units, bids from the highest, asks from the lowest.
fn floor_book(frames: &Frames, instrument: &Instrument) -> [Vec<(i64, i64)>; 2] {
    let mut sides: [BTreeMap<i64, i64>; 2] = [BTreeMap::new(), BTreeMap::new()];
    for frame in frames.iter() {
        let push: Push<'_> = serde_json::from_str(frame).expect("our own frame");
        for data in &push.data {
            if data.kind == "snapshot" {
                sides.iter_mut().for_each(BTreeMap::clear);
            }
            for (side, rows) in [(Side::Buy, &data.bids), (Side::Sell, &data.asks)] {
                for [price, qty] in rows {
                    let price = parse_units(price.as_bytes(), instrument.price_scale).expect("a price");
                    let qty = parse_units(qty.as_bytes(), instrument.qty_scale).expect("a size");
                    let side = &mut sides[side.index()];
                    if qty == 0 {
                        side.remove(&price)
                    } else {
                        side.insert(price, qty)
                    };
                }
            }
        }
    }
    let [bids, asks] = sides;
    [bids.into_iter().rev().collect(), asks.into_iter().collect()]
}

fn same_book(ours: &OrderBook, floor: &[Vec<(i64, i64)>; 2]) -> bool {
    Side::BOTH.into_iter().all(|side| {
        let levels = ours.levels(side).map(|level| (level.price.units(), level.qty.units()));
        levels.eq(floor[side.index()].iter().copied())
    })
}

#[allow(clippy::disallowed_methods)] // a bench may ask for the time
fn time<T>(run: impl FnOnce() -> T) -> (Duration, T) {
    let begun = Instant::now();
    let made = black_box(run());
    (begun.elapsed(), made)
}

fn main() -> ExitCode {
    let full = std::env::args().any(|arg| arg == "--bench") && std::env::args().all(|arg| arg != "--test");
    let events = if full { EVENTS } else { SMALL };
    let bitmart = usable_connector("bitmart_paper_trade").expect("it is ready");
    let config = SynthConfig::new(bitmart, &[], &[], DEMO_SEED).expect("the catalogue reads");
    let config = SynthConfig { events: Some(events), ..config };
    let frames = Frames::make(&config);
    let want = floor_book(&frames, &config.instruments[0]);
    let mut best = [Duration::MAX; 3];
    for _ in 0..if full { ROUNDS } else { 1 } {
        let (floor_time, _) = time(|| floor(&frames));
        let (ours_time, book) = time(|| ours(&frames, &config));
        let (decode_time, groups) = time(|| decode(&frames, &config));
        if !same_book(&book, &want) || groups as u64 != events {
            eprintln!("void: the books differ, or {groups} groups came from {events} frames");
            return ExitCode::FAILURE;
        }
        for (best, time) in best.iter_mut().zip([floor_time, ours_time, decode_time]) {
            *best = (*best).min(time);
        }
    }
    report(events, frames.text.len(), best);
    ExitCode::SUCCESS
}

fn report(events: u64, bytes: usize, [floor, ours, decode]: [Duration; 3]) {
    let each = |time: Duration| time.as_secs_f64() * 1e9 / events as f64;
    let ratio = |time: Duration| floor.as_secs_f64() / time.as_secs_f64();
    println!("{events} frames, {:.0} bytes each", bytes as f64 / events as f64);
    println!("floor: serde_json, parse only     {:8.1} ns/frame   1.00", each(floor));
    println!("ours: decode and apply            {:8.1} ns/frame {:6.2}   (bar 1.5)", each(ours), ratio(ours));
    println!("ours: decode alone                {:8.1} ns/frame {:6.2}", each(decode), ratio(decode));
}
