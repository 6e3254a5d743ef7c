//! From a frame's text to an applied book, against the bare JSON parse of the same frames, for every exchange.
//!
//! `cargo bench --bench frames` makes the frames with seed 7 in memory and runs the floor (serde_json into borrowed
//! structs, nothing else) and ours (decode and apply to an `OrderBook`) by turns, best of five. Ours must end with the
//! books that the decoder without scanners gives, or the run is void. Where the shared recordings are, their frames are
//! run too, over and over; they are what the bars are about. A word names the exchanges to run (`-- bitmex`).
//! `cargo test --benches` runs all of it small.

#![allow(clippy::expect_used)] // what fails here is a broken bench, and says so

#[path = "frames/floor.rs"]
mod floor;

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use papertape::feed::synth::{DEMO_SEED, SynthConfig};
use papertape::market::{EventLog, GroupKind, Instrument, MarketEvent, OrderBook, Side, Timestamp};
use papertape::venue::connectors::usable_connector;
use papertape::venue::{Decoder, Frame, Known, VENUES, Venue};

const EVENTS: u64 = 300_000;
const SMALL: u64 = 1_000;
const ROUNDS: usize = 5;
/// Bytes of recorded frames that a round plays, by repeating them.
const RECORDED: usize = 32 << 20;
/// Books of the run with many.
const BOOKS: usize = 100;

/// Frames of one run in one text, so that neither side pays for where they lie.
struct Run {
    name: String,
    venue: &'static dyn Venue,
    spot: bool,
    known: Known,
    text: String,
    ends: Vec<usize>,
    /// How often they are played in a round.
    times: usize,
    bar: f64,
}

impl Run {
    fn new(name: &str, venue: &'static dyn Venue, known: Known) -> Self {
        let bar = 1.5;
        let (text, ends) = (String::new(), Vec::new());
        Self { name: name.to_owned(), venue, spot: false, known, text, ends, times: 1, bar }
    }

    fn push(&mut self, frame: &str) {
        self.text.push_str(frame);
        self.ends.push(self.text.len());
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(from, to)| &self.text[from..*to])
    }

    /// The same frames, again and again.
    fn repeated(&self) -> impl Iterator<Item = &str> {
        (0..self.times).flat_map(|_| self.iter())
    }

    fn frames(&self) -> u64 {
        (self.ends.len() * self.times) as u64
    }

    /// The made market of a connector's first pair.
    fn made(connector: &str, events: u64) -> Self {
        let line = usable_connector(connector).expect("it is ready");
        let config = SynthConfig::new(line, &[], &[], DEMO_SEED).expect("the catalogue reads");
        let config = SynthConfig { events: Some(events), ..config };
        let known = Known { declared: config.instruments.clone(), others: Vec::new() };
        let mut run = Self::new(connector, config.venue, known);
        run.spot = line.family() == "spot";
        let mut frames = config.frames();
        while let Some((_, frame)) = frames.next_frame() {
            // News is no book; the floor has no struct for it.
            if !["\"ticker\"", "futures/ticker", "fundingRate", "24h", "liquidation", "\"instrument\""]
                .iter()
                .any(|news| frame.contains(news))
            {
                run.push(frame);
            }
        }
        run
    }

    /// BitMEX' changes of one level in the spelling of 2021, when rows had no more than they needed.
    fn one_level(events: u64, books: usize) -> Self {
        let made = Self::made("bitmex_perpetual_paper_trade", events);
        let instrument = made.known.declared[0].clone();
        let symbol = |book: usize| format!("X{book:03}USD");
        let declared =
            (0..books).map(|book| Instrument { symbol: symbol(book).into(), ..instrument.clone() });
        let known = Known { declared: declared.collect(), others: Vec::new() };
        let mut run = Self::new(&format!("bitmex one level, {books} books"), made.venue, known);
        run.bar = if books == 1 { 2.5 } else { 1.5 };
        let mut ids = Vec::new();
        let first =
            made.iter().find(|frame| frame.contains("\"partial\"")).expect("a market begins with its book");
        for book in 0..books {
            run.push(&first.replace("XBTUSD", &symbol(book)));
        }
        for part in first.split("\"id\":").skip(1).filter(|part| !part.starts_with('"')) {
            ids.push(part[..part.find("\"size\"").expect("a level has a size")].to_owned());
        }
        for at in 0..events as usize {
            let row = &ids[at.wrapping_mul(7) % ids.len()];
            let (symbol, size) = (symbol(at % books), 100 * (1 + at % 9_999));
            run.push(&format!("{{\"table\":\"orderBookL2\",\"action\":\"update\",\"data\":[{{\"symbol\":\"{symbol}\",\"id\":{row}\"size\":{size}}}]}}"));
        }
        run
    }

    /// The book frames of a recording, where it is.
    fn recorded(file: &str, venue: &'static dyn Venue, marks: &[&str], full: bool) -> Option<Self> {
        let root = std::env::var_os("PAPERTAPE_SHARED").map(PathBuf::from);
        let root = root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"));
        let path = root.join("data/captures").join(file);
        let Ok(text) = std::fs::read_to_string(&path) else {
            println!("skipped: {} is not there", path.display());
            return None;
        };
        let others = venue.catalogue().expect("it reads").entries.into_iter().map(|entry| entry.instrument);
        let mut known = Known { declared: Vec::new(), others: others.collect() };
        let replies = std::fs::read_to_string(path.with_extension("http.jsonl")).unwrap_or_default();
        for line in replies.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()) {
            let (url, body) = (line["url"].as_str(), line["body"].as_str());
            let entries = venue.reply_instruments(url.unwrap_or_default(), body.unwrap_or_default());
            known.others.splice(0..0, entries.into_iter().map(|entry| entry.instrument));
        }
        let mut run = Self::new(file, venue, known);
        for line in text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()) {
            if let Some(frame) =
                line["text"].as_str().filter(|frame| marks.iter().any(|mark| frame.starts_with(mark)))
            {
                run.push(frame);
            }
        }
        run.times = if full { (RECORDED / run.text.len().max(1)).max(1) } else { 1 };
        Some(run)
    }
}

/// Every frame decoded and applied, the best prices of its book read after it.
fn play(run: &Run, mut decoder: Box<dyn Decoder + Send>) -> Vec<OrderBook> {
    let mut books: Vec<OrderBook> = Vec::new();
    let mut log = EventLog::default();
    for frame in run.repeated() {
        log.clear();
        decoder.decode(Timestamp::MIN, Frame::Text(frame), &mut log).expect("a frame of this exchange");
        for group in log.iter() {
            let at = group.instrument.index();
            while books.len() <= at {
                books.push(OrderBook::new(decoder.instruments()[books.len()].rule.tick));
            }
            let book = &mut books[at];
            if group.kind == GroupKind::Snapshot {
                book.clear();
            }
            for event in group.events {
                if let MarketEvent::Level { side, price, qty } = *event {
                    book.set(side, price, qty);
                }
            }
            black_box((book.best_price(Side::Buy), book.best_price(Side::Sell)));
        }
    }
    books
}

/// Decoding alone.
fn decode(run: &Run) -> usize {
    let mut decoder = run.venue.decoder(run.known.clone());
    let mut log = EventLog::default();
    let mut groups = 0;
    for frame in run.repeated() {
        log.clear();
        decoder.decode(Timestamp::MIN, Frame::Text(frame), &mut log).expect("a frame of this exchange");
        groups += log.len();
    }
    groups
}

fn same(one: &[OrderBook], other: &[OrderBook]) -> bool {
    let levels =
        |book: &OrderBook, side| book.levels(side).map(|level| (level.price, level.qty)).collect::<Vec<_>>();
    one.len() == other.len()
        && one
            .iter()
            .zip(other)
            .all(|(one, other)| Side::BOTH.into_iter().all(|side| levels(one, side) == levels(other, side)))
}

#[allow(clippy::disallowed_methods)] // a bench may ask for the time
fn time<T>(run: impl FnOnce() -> T) -> (Duration, T) {
    let begun = Instant::now();
    let made = black_box(run());
    (begun.elapsed(), made)
}

/// Runs the three by turns; false where the books differ.
fn measure(run: &Run, rounds: usize) -> bool {
    let want = play(run, run.venue.plain_decoder(run.known.clone()));
    let mut best = [Duration::MAX; 3];
    for _ in 0..rounds {
        let (floor_time, _) = time(|| floor::parse(run.venue.name(), run.spot, run.repeated()));
        let (ours_time, books) = time(|| play(run, run.venue.decoder(run.known.clone())));
        let (decode_time, _) = time(|| decode(run));
        if books.is_empty() || !same(&books, &want) {
            eprintln!("void: {}: the books differ", run.name);
            return false;
        }
        for (best, time) in best.iter_mut().zip([floor_time, ours_time, decode_time]) {
            *best = (*best).min(time);
        }
    }
    report(run, best);
    true
}

fn report(run: &Run, [floor, ours, decode]: [Duration; 3]) {
    let each = |time: Duration| time.as_secs_f64() * 1e9 / run.frames() as f64;
    let ratio = |time: Duration| floor.as_secs_f64() / time.as_secs_f64();
    let bytes = run.text.len() as f64 / run.ends.len() as f64;
    println!(
        "{:34} {:>9} frames of {bytes:4.0} B  floor {:7.1} ns  ours {:7.1} ns {:5.2} (bar {:.1})  decode alone {:7.1} ns {:5.2}  {:5.2} M frames/s",
        run.name,
        run.frames(),
        each(floor),
        each(ours),
        ratio(ours),
        run.bar,
        each(decode),
        ratio(decode),
        1e3 / each(ours),
    );
}

fn main() -> ExitCode {
    let full = std::env::args().any(|arg| arg == "--bench") && std::env::args().all(|arg| arg != "--test");
    let (events, rounds) = if full { (EVENTS, ROUNDS) } else { (SMALL, 1) };
    let venue = |name: &str| *VENUES.iter().find(|venue| venue.name() == name).expect("it is one of ours");
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let chosen = |name: &str| wanted.is_empty() || wanted.iter().any(|word| name.contains(word.as_str()));
    let run = |name: &str, make: &dyn Fn() -> Option<Run>| {
        !chosen(name) || make().is_none_or(|run| measure(&run, rounds))
    };
    let made = |name: &'static str| run(name, &|| Some(Run::made(name, events)));
    let recorded = |file: &'static str, name, marks: &[&str]| {
        run(file, &|| Run::recorded(file, venue(name), marks, full))
    };
    let fine = [
        made("bitmart_paper_trade"),
        made("bitmart_perpetual_paper_trade"),
        made("bitmex_perpetual_paper_trade"),
        run("bitmex one level", &|| Some(Run::one_level(events, 1))),
        run("bitmex one level", &|| Some(Run::one_level(events, BOOKS))),
        made("bitget_perpetual_paper_trade"),
        made("phemex_perpetual_paper_trade"),
        made("hitbtc_paper_trade"),
        recorded("bitmex_ws_20210722.jsonl", "bitmex", &["{\"table\":\"orderBookL2\""]),
        recorded(
            "bitget_ws1_20220407_a.jsonl",
            "bitget",
            &[
                "{\"action\":\"snapshot\",\"arg\":{\"instType\":\"sp\",\"channel\":\"books\"",
                "{\"action\":\"update\",\"arg\":{\"instType\":\"sp\",\"channel\":\"books\"",
            ],
        ),
        recorded("phemex_ws_20210703_a.jsonl", "phemex", &["{\"book\""]),
        recorded(
            "hitbtc_ws2_20210405_a.jsonl",
            "hitbtc",
            &[
                "{\"jsonrpc\":\"2.0\",\"method\":\"snapshotOrderbook\"",
                "{\"jsonrpc\":\"2.0\",\"method\":\"updateOrderbook\"",
            ],
        ),
        recorded("fmfw_ws3_20211009_a.jsonl", "hitbtc", &["{\"ch\":\"orderbook/full\""]),
    ];
    if fine.iter().all(|fine| *fine) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
