//! The fuzz targets on the stable toolchain: made frames, tables and tapes, damaged by a seeded mutator.
//!
//! As a test it is a quick pass. `PAPERTAPE_FUZZ_SECONDS=600 PAPERTAPE_FUZZ=decode_bitmex cargo test --test fuzz` runs one
//! target for so long, with `PAPERTAPE_FUZZ_SEED` from another place.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails says where")]

#[path = "../fuzz/targets.rs"]
mod targets;

use std::time::{Duration, Instant};

use papertape::feed::csv::TardisWriter;
use papertape::feed::synth::SynthConfig;
use papertape::market::Source;
use papertape::venue::connectors::{CONNECTORS, Connector, Status};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Inputs a target in a quick pass.
const QUICK: u64 = 200;
/// Words that are put into inputs.
const WORDS: [&str; 24] = [
    "0",
    "-1",
    "1e308",
    "3e-8",
    "9223372036854775807",
    "18446744073709551616",
    "0.00000000000000000001",
    "null",
    "true",
    "\"",
    "\\",
    "\\u0000",
    "[",
    "]",
    "{",
    "}",
    ",",
    "\n",
    "\r\n",
    "\u{feff}",
    "NaN",
    "\"action\":\"partial\"",
    "\"type\":\"snapshot\"",
    "1700000000000000",
];

fn markets() -> Vec<(&'static Connector, SynthConfig)> {
    let ready = CONNECTORS.iter().filter(|connector| connector.status == Status::Ready);
    let config = |connector| SynthConfig { events: Some(60), ..SynthConfig::demo(connector).unwrap() };
    ready.map(|connector| (connector, config(connector))).collect()
}

/// What a target begins with, made here.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for (connector, config) in markets() {
        let (mut frames, mut lines) = (config.frames(), Vec::new());
        while let Some((time, frame)) = frames.next_frame() {
            lines.push((time, frame.to_owned()));
        }
        let text = |line: &dyn Fn(&(papertape::market::Timestamp, String)) -> String| {
            lines.iter().map(line).collect::<Vec<_>>().join("\n").into_bytes()
        };
        match target.strip_prefix("decode_") {
            Some(venue) if venue == connector.exchange => all.push(text(&|line| line.1.clone())),
            Some(_) => {}
            None if target == "tape" => all.push(text(&|(time, frame)| {
                serde_json::json!({"ts": time.nanos(), "conn": 1, "dir": "in", "text": frame}).to_string()
            })),
            None => all.extend(tables(connector, &config)),
        }
    }
    all
}

/// The tables of a market.
fn tables(connector: &Connector, config: &SynthConfig) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = TardisWriter::create(&folder.path().join("csv"), connector.exchange).unwrap();
    let mut market = config.market();
    while market.advance().unwrap().is_some() {
        let group = market.group();
        writer.write(&market.instruments()[group.instrument.index()], &group).unwrap();
    }
    writer.finish().unwrap().iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// A number below `most`, which is more than zero.
fn below(dice: &mut ChaCha8Rng, most: usize) -> usize {
    (dice.next_u64() % most.max(1) as u64) as usize
}

/// An input made of those of the corpus.
fn input(corpus: &[Vec<u8>], dice: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = corpus[below(dice, corpus.len())].clone();
    // Most of a long input is passed over: what is damaged shall be near the front as often as at the end.
    let keep = below(dice, bytes.len()) + 1;
    bytes.truncate(keep);
    for _ in 0..=below(dice, 6) {
        let at = below(dice, bytes.len() + 1);
        let end = (at + below(dice, 40)).min(bytes.len());
        match below(dice, 6) {
            0 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << below(dice, 8);
                }
            }
            1 => drop(bytes.drain(at..end)),
            2 => drop(bytes.splice(at..at, WORDS[below(dice, WORDS.len())].bytes())),
            3 => drop(bytes.splice(at..end, WORDS[below(dice, WORDS.len())].bytes())),
            4 => {
                let piece = bytes[at..end].to_vec();
                let to = below(dice, bytes.len() + 1);
                drop(bytes.splice(to..to, piece));
            }
            _ => {
                let other = &corpus[below(dice, corpus.len())];
                let from = below(dice, other.len());
                let piece = other[from..(from + below(dice, 400)).min(other.len())].to_vec();
                drop(bytes.splice(at..end, piece));
            }
        }
    }
    bytes
}

#[allow(clippy::disallowed_methods)] // how long it runs is asked of the clock
fn fuzz(target: &str, seed: u64, seconds: Option<u64>) -> u64 {
    let corpus = corpus(target);
    let begun = Instant::now();
    let mut done = 0;
    loop {
        let over = seconds.map_or(done >= QUICK, |seconds| begun.elapsed() >= Duration::from_secs(seconds));
        if over {
            return done;
        }
        let own = seed.wrapping_add(done);
        let bytes = input(&corpus, &mut ChaCha8Rng::seed_from_u64(own));
        let ran = std::panic::catch_unwind(|| targets::run(target, &bytes));
        assert!(
            ran.is_ok(),
            "replay: PAPERTAPE_FUZZ={target} PAPERTAPE_FUZZ_SEED={own} cargo test --test fuzz\n{}",
            String::from_utf8_lossy(&bytes)
        );
        done += 1;
    }
}

#[test]
fn any_input_is_answered() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let only = std::env::var("PAPERTAPE_FUZZ").ok();
    for target in
        targets::TARGETS.into_iter().filter(|target| only.as_deref().is_none_or(|only| only == *target))
    {
        assert!(!corpus(target).is_empty(), "{target} has nothing to begin with");
        let (seed, seconds) = (number("PAPERTAPE_FUZZ_SEED").unwrap_or(1), number("PAPERTAPE_FUZZ_SECONDS"));
        let done = fuzz(target, seed, seconds);
        println!("{target}: {done} inputs");
    }
}
