//! Live feeds against exchanges that are played here: over memory with time that is held, and over real sockets.
//!
//! `PAPERTAPE_CASES` sets how many seeded runs with faults each venue gets; a failure names its seed.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // helpers of tests panic as tests do, and tests may wait
#![allow(unreachable_pub)]

mod captures;
mod command;
mod exchange;
mod faults;
mod watcher;

use papertape::feed::live::{LiveOptions, MOST_WAITING};
use papertape::feed::tape::{TapeHeader, VERSION};
use papertape::feed::warnings::Warnings;
use papertape::market::Instrument;
use papertape::venue::Venue;
use papertape::venue::live::Hosts;

/// A live feed of these instruments.
pub fn options(venue: &'static dyn Venue, instruments: &[Instrument], url: &str) -> LiveOptions {
    LiveOptions {
        venue,
        subscribed: instruments.to_vec(),
        declared: instruments.to_vec(),
        others: Vec::new(),
        hosts: Hosts { ws: Some(url.to_owned()), rest: None },
        seed: 1,
        most_waiting: MOST_WAITING,
        warnings: Warnings::default(),
        header: TapeHeader {
            venue: venue.name().to_owned(),
            connector: format!("{}_paper_trade", venue.name()),
            pairs: instruments.iter().map(|own| own.pair.clone()).collect(),
            start: None,
            version: VERSION,
            instruments: instruments.to_vec(),
        },
    }
}

/// The first two instruments of a venue's catalogue that are of this family.
pub fn instruments(venue: &dyn Venue, family: &str) -> Vec<Instrument> {
    let all = venue.catalogue().unwrap().entries.into_iter().map(|entry| entry.instrument);
    all.filter(|own| own.product.family() == family).take(2).collect()
}

/// How many seeded runs; few unless more are asked for.
pub fn cases(few: u64) -> u64 {
    std::env::var("PAPERTAPE_CASES")
        .ok()
        .and_then(|text| text.parse().ok())
        .map_or(few, |cases: u64| cases.min(1_000))
}
