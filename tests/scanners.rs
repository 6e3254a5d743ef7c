//! Frames read in place are what the general reader makes of them: on made frames, on recorded ones, on damaged ones.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails says where")]

use std::path::{Path, PathBuf};

use papertape::feed::synth::SynthConfig;
use papertape::market::{EventLog, Instrument, InstrumentId, Timestamp};
use papertape::venue::connectors::{CONNECTORS, Status};
use papertape::venue::{Decoder, Frame, Known, VENUES, Venue};
use proptest::prelude::*;

/// The two decoders of one venue, fed alike.
struct Both {
    quick: Box<dyn Decoder + Send>,
    plain: Box<dyn Decoder + Send>,
    logs: [EventLog; 2],
}

impl Both {
    fn new(venue: &dyn Venue, known: &Known) -> Self {
        let logs = [EventLog::default(), EventLog::default()];
        Self { quick: venue.decoder(known.clone()), plain: venue.plain_decoder(known.clone()), logs }
    }

    /// Feeds a frame to both; whether they agree in everything that can be seen.
    fn feed(&mut self, frame: &str) -> Result<(), String> {
        let received = Timestamp::from_nanos(1_700_000_000_123_456_789);
        let [quick, plain] = &mut self.logs;
        quick.clear();
        plain.clear();
        let one = self.quick.decode(received, Frame::Text(frame), quick);
        let other = self.plain.decode(received, Frame::Text(frame), plain);
        if one != other {
            return Err(format!("{one:?} is not {other:?} for {frame}"));
        }
        if quick.pending() != 0 || plain.pending() != 0 {
            return Err(format!("events without a group after {frame}"));
        }
        if quick.len() != plain.len() || !quick.iter().zip(plain.iter()).all(|(one, other)| one == other) {
            return Err(format!("groups differ for {frame}"));
        }
        if self.quick.stats() != self.plain.stats() || self.quick.instruments() != self.plain.instruments() {
            return Err(format!("counts or instruments differ after {frame}"));
        }
        let count = u32::try_from(self.plain.instruments().len()).unwrap();
        match (0..count).map(InstrumentId).find(|id| self.quick.depth(*id) != self.plain.depth(*id)) {
            Some(id) => Err(format!("depths of {id:?} differ after {frame}")),
            None => Ok(()),
        }
    }
}

fn catalogue(venue: &dyn Venue) -> Known {
    let entries = venue.catalogue().unwrap().entries;
    Known { declared: Vec::new(), others: entries.into_iter().map(|entry| entry.instrument).collect() }
}

/// The frames of the first so many messages of each ready connector's demo market.
fn made(messages: u64) -> Vec<(&'static dyn Venue, Vec<String>)> {
    let ready = CONNECTORS.iter().filter(|connector| connector.status == Status::Ready);
    ready
        .map(|connector| {
            let config = SynthConfig { events: Some(messages), ..SynthConfig::demo(connector).unwrap() };
            let (mut frames, mut all) = (config.frames(), Vec::new());
            while let Some((_, frame)) = frames.next_frame() {
                all.push(frame.to_owned());
            }
            (config.venue, all)
        })
        .collect()
}

#[test]
fn made_frames_are_read_alike() {
    for (venue, frames) in made(5_000) {
        let mut both = Both::new(venue, &catalogue(venue));
        for frame in &frames {
            both.feed(frame).unwrap();
        }
        assert!(both.plain.stats().messages >= 4_000, "{}", venue.name());
        assert_eq!(both.plain.read_in_place(), 0, "{}", venue.name());
        // News, and what a market begins with, is read the other way.
        let hot = frames.iter().filter(|frame| is_hot(frame)).count();
        assert!(
            both.quick.read_in_place() as usize > hot * 99 / 100,
            "{}: of {hot} {}",
            venue.name(),
            both.quick.read_in_place()
        );
    }
}

/// Books and trades, which there are many of.
fn is_hot(frame: &str) -> bool {
    ["orderBookL2\"", "\"trade", "depth", "\"books\"", "book", "trades", "Orderbook", "Trades"]
        .iter()
        .any(|mark| frame.contains(mark))
}

/// Found by damaging frames: what one way of reading took and the other did not.
#[test]
fn odd_numbers_are_read_alike() {
    let level = |size: &str| {
        format!(
            r#"{{"table":"orderBookL2","action":"insert","data":[{{"symbol":"XBT_USDT","id":9,"side":"Sell","size":{size},"price":65219}}]}}"#
        )
    };
    let bitmex = VENUES.iter().find(|venue| venue.name() == "bitmex").unwrap();
    let mut both = Both::new(*bitmex, &catalogue(*bitmex));
    let first = r#"{"table":"orderBookL2","action":"partial","data":[{"symbol":"XBT_USDT","id":8,"side":"Buy","size":1000,"price":65000}]}"#;
    both.feed(first).unwrap();
    for size in ["1000", "15642e3", "1.5", "-1", "0", "01", "99999999999999999999", "1000 "] {
        both.feed(&level(size)).unwrap();
    }
}

/// The recorded frames, where they are; says so where they are not.
fn recorded() -> Vec<(&'static dyn Venue, Known, Vec<String>)> {
    let root = std::env::var_os("PAPERTAPE_SHARED").map(PathBuf::from);
    let root = root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"));
    let mut found = Vec::new();
    for folder in ["data/captures", "data/frames"] {
        let Ok(entries) = std::fs::read_dir(root.join(folder)) else {
            println!("skipped: {} is not there", root.join(folder).display());
            continue;
        };
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for file in files {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            let name = name.replace("fmfw", "hitbtc");
            let venue = VENUES.iter().find(|venue| name.starts_with(venue.name()));
            if let Some(venue) = venue.filter(|_| name.ends_with(".jsonl") && !name.contains(".http.")) {
                let beside = file.to_string_lossy().replace(".jsonl", ".http.jsonl");
                let known = Known { declared: Vec::new(), others: replies(*venue, Path::new(&beside)) };
                found.push((*venue, known, lines(&file, "text")));
            }
        }
    }
    found
}

fn lines(file: &Path, field: &str) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    lines
        .filter(|line| line["dir"] != "out")
        .filter_map(|line| line[field].as_str().map(str::to_owned))
        .collect()
}

/// The instruments of the replies beside a capture.
fn replies(venue: &dyn Venue, file: &Path) -> Vec<Instrument> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let mut all = Vec::new();
    for line in text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()) {
        let url = line["url"].as_str().unwrap_or_default();
        let body = line["body"].as_str().or(line["text"].as_str()).unwrap_or_default();
        all.extend(venue.reply_instruments(url, body).into_iter().map(|entry| entry.instrument));
    }
    all.extend(catalogue(venue).others);
    all
}

#[test]
fn recorded_frames_are_read_alike() {
    for (venue, known, frames) in recorded() {
        let mut both = Both::new(venue, &known);
        for frame in &frames {
            both.feed(frame).unwrap();
        }
        // Other depths, and the forms of years without a scanner, are few.
        let (read, hot) = (both.quick.read_in_place(), frames.iter().filter(|frame| is_hot(frame)).count());
        println!("{}: {read} of {hot} in place", venue.name());
    }
}

/// What is done to one of the frames of a market.
#[derive(Clone, Debug)]
enum Damage {
    Replace(prop::sample::Index, u8),
    Remove(prop::sample::Index, usize),
    Insert(prop::sample::Index, String),
    Repeat,
    Drop,
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = || any::<prop::sample::Index>();
    let words = prop::sample::select(vec![
        " ",
        "0",
        "00",
        "-",
        "+",
        ".",
        "e-8",
        "1e3",
        "\"",
        "\\u0041",
        ",",
        "]",
        "}",
        "[]",
        "null",
        "99999999999999999999",
        "\"x\":1,",
        "{",
        "0.00000000000000000001",
        "\u{e9}",
    ]);
    prop_oneof![
        4 => (at(), b' '..=b'~').prop_map(|(at, byte)| Damage::Replace(at, byte)),
        2 => (at(), 1_usize..12).prop_map(|(at, len)| Damage::Remove(at, len)),
        4 => (at(), words).prop_map(|(at, word)| Damage::Insert(at, word.to_owned())),
        1 => Just(Damage::Repeat),
        1 => Just(Damage::Drop),
    ]
}

/// The frames that take a frame's place.
fn damaged(frame: &str, damage: &Damage) -> Vec<String> {
    let place = |at: &prop::sample::Index| at.index(frame.len().max(1)).min(frame.len());
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).map(|text| vec![text]).unwrap_or_default();
    let mut bytes = frame.as_bytes().to_vec();
    match damage {
        Damage::Replace(at, byte) => {
            if let Some(old) = bytes.get_mut(place(at)) {
                *old = *byte;
            }
            text(bytes)
        }
        Damage::Remove(at, len) => {
            let from = place(at);
            bytes.drain(from..(from + len).min(bytes.len()));
            text(bytes)
        }
        Damage::Insert(at, word) => {
            let at = place(at);
            bytes.splice(at..at, word.bytes());
            text(bytes)
        }
        Damage::Repeat => vec![frame.to_owned(), frame.to_owned()],
        Damage::Drop => Vec::new(),
    }
}

/// How a frame may be written otherwise.
#[derive(Clone, Copy, Debug)]
enum Spelling {
    /// As it is.
    Usual,
    /// Names in the order of the alphabet.
    Ordered,
    /// The same over many lines.
    Spread,
    /// With a name that nobody knows.
    Strange,
}

fn spelling() -> impl Strategy<Value = Spelling> {
    use Spelling::{Ordered, Spread, Strange, Usual};
    prop::sample::select(vec![Usual, Ordered, Spread, Strange])
}

impl Spelling {
    fn respell(self, frame: &str) -> String {
        let value: serde_json::Value = serde_json::from_str(frame).unwrap();
        match self {
            Self::Usual => frame.to_owned(),
            Self::Ordered => value.to_string(),
            Self::Spread => serde_json::to_string_pretty(&value).unwrap(),
            Self::Strange => frame.replacen('{', "{\"nobody\":[{\"knows\":null}],", 1),
        }
    }
}

fn cases(usual: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok());
    ProptestConfig::with_cases(asked.unwrap_or(usual))
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn damaged_frames_are_read_alike(
        damages in prop::collection::vec((any::<prop::sample::Index>(), damage()), 1..40),
    ) {
        thread_local! {
            static MADE: Vec<(&'static dyn Venue, Vec<String>)> = made(120);
        }
        MADE.with(|made| -> Result<(), TestCaseError> {
            for (venue, frames) in made {
                let mut both = Both::new(*venue, &catalogue(*venue));
                for (index, frame) in frames.iter().enumerate() {
                    let hit = damages.iter().find(|(at, _)| at.index(frames.len()) == index);
                    for frame in hit.map_or_else(|| vec![frame.clone()], |(_, damage)| damaged(frame, damage)) {
                        both.feed(&frame).map_err(|error| TestCaseError::fail(format!("{}: {error}", venue.name())))?;
                    }
                }
            }
            Ok(())
        })?;
    }
}

proptest! {
    #![proptest_config(cases(32))]

    /// Whatever the layout, a frame means the same, read in place or not.
    #[test]
    fn respelled_frames_are_read_alike(spellings in prop::collection::vec(spelling(), 120)) {
        thread_local! {
            static MADE: Vec<(&'static dyn Venue, Vec<String>)> = made(120);
        }
        MADE.with(|made| -> Result<(), TestCaseError> {
            for (venue, frames) in made {
                let [mut usual, mut respelled] = [(); 2].map(|()| Both::new(*venue, &catalogue(*venue)));
                for (at, (frame, spelling)) in frames.iter().zip(spellings.iter().cycle()).enumerate() {
                    // The first frame says which of an exchange's markets it is.
                    let other = if at == 0 { frame.clone() } else { spelling.respell(frame) };
                    let fail = |error| TestCaseError::fail(format!("{}: {error}", venue.name()));
                    usual.feed(frame).map_err(fail)?;
                    respelled.feed(&other).map_err(fail)?;
                    prop_assert!(usual.logs[0].iter().eq(respelled.logs[0].iter()), "{} is not {}", other, frame);
                }
                prop_assert_eq!(usual.quick.stats(), respelled.quick.stats());
            }
            Ok(())
        })?;
    }
}
