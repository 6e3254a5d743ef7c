//! What is fuzzed: the decoders of all exchanges, the reader of tapes, the reader of tables.
//!
//! A target takes any bytes and must end without a panic; a decoder must also say what the one without scanners says.
//! `tests/fuzz.rs` runs them on the stable toolchain, `fuzz_targets/` under cargo-fuzz.

use std::io::Cursor;
use std::path::Path;

use papertape::feed::csv::{CsvFile, CsvOptions, Symbols};
use papertape::feed::tape::{TapeOptions, TapeReader};
use papertape::market::{EventLog, GroupKind, MarketEvent, OrderBook, Source, Timestamp};
use papertape::venue::{Decoder, Frame, Known, VENUES};

/// The names of all targets.
#[allow(dead_code)] // each cargo-fuzz target uses one
pub(crate) const TARGETS: [&str; 7] =
    ["decode_bitmart", "decode_bitmex", "decode_bitget", "decode_phemex", "decode_hitbtc", "tape", "csv"];

/// Runs a target.
pub(crate) fn run(target: &str, data: &[u8]) {
    match target.strip_prefix("decode_") {
        Some(venue) => decode(venue, data),
        None if target == "tape" => tape(data),
        None => csv(data),
    }
}

/// Each line is a frame; one that is no text is a binary frame.
fn decode(venue: &str, data: &[u8]) {
    let Some(venue) = VENUES.iter().find(|known| known.name() == venue) else { return };
    let entries = venue.catalogue().map(|catalogue| catalogue.entries).unwrap_or_default();
    let known =
        Known { declared: Vec::new(), others: entries.into_iter().map(|entry| entry.instrument).collect() };
    let mut decoders = [venue.decoder(known.clone()), venue.plain_decoder(known)];
    let mut logs = [EventLog::default(), EventLog::default()];
    let mut books: Vec<OrderBook> = Vec::new();
    for line in data.split(|byte| *byte == b'\n') {
        let frame = std::str::from_utf8(line).map_or(Frame::Binary(line), Frame::Text);
        let received = Timestamp::from_nanos(1_700_000_000_000_000_000);
        let mut read = |which: usize| {
            logs[which].clear();
            decoders[which].decode(received, frame, &mut logs[which])
        };
        let (quick, plain) = (read(0), read(1));
        assert_eq!(quick, plain, "the two ways of reading differ");
        assert!(logs[0].iter().eq(logs[1].iter()), "the two ways of reading differ");
        apply(&logs[0], decoders[0].as_ref(), &mut books);
    }
    assert_eq!(decoders[0].stats(), decoders[1].stats(), "the two ways of reading differ");
}

fn apply(log: &EventLog, decoder: &dyn Decoder, books: &mut Vec<OrderBook>) {
    for group in log.iter() {
        let at = group.instrument.index();
        while let Some(instrument) = decoder.instruments().get(books.len()).filter(|_| books.len() <= at) {
            books.push(OrderBook::new(instrument.rule.tick));
        }
        let Some(book) = books.get_mut(at) else { continue };
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

fn tape(data: &[u8]) {
    let input = Box::new(Cursor::new(data.to_vec()));
    if let Ok(mut tape) = TapeReader::new(input, Path::new("bitmart.jsonl"), TapeOptions::default()) {
        play(&mut tape);
    }
}

fn csv(data: &[u8]) {
    for name in ["x.csv", "x_liquidations_y.csv"] {
        let file =
            CsvFile::read(Path::new(name), Box::new(Cursor::new(data.to_vec())), &Symbols::of_catalogues());
        if let Ok(mut source) = file.and_then(|file| file.source(CsvOptions::default())) {
            play(&mut source);
        }
    }
}

/// Plays to the end or the first error.
fn play(source: &mut dyn Source) {
    while let Ok(Some(_)) = source.advance() {
        assert!(source.group().instrument.index() < source.instruments().len(), "a group of nobody's");
    }
}
