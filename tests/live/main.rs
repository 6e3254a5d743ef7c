//! Live feeds against exchanges that are played here: over memory with time that is held, and over real sockets.
//!
//! `PAPERTAPE_CASES` sets how many seeded runs with faults each venue gets; a failure names its seed.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // helpers of tests panic as tests do, and tests may wait
#![allow(unreachable_pub)]

mod captures;
mod command;
mod exchange;
mod faults;
mod served;
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

#[test]
fn depths_are_those_of_the_channels() {
    use papertape::feed::live::{Clock, LiveFeed};
    use papertape::market::{FeedDepth, InstrumentId, Source};
    for (exchange, want) in [
        ("bitmart", [Some(FeedDepth::Levels(100)), Some(FeedDepth::Levels(50))]),
        ("hitbtc", [Some(FeedDepth::Full), None]),
        ("phemex", [None, Some(FeedDepth::Levels(30))]),
    ] {
        let venue = papertape::venue::venue(exchange).unwrap();
        // Both markets at once.
        let all: Vec<Instrument> =
            ["spot", "perpetual"].iter().flat_map(|family| instruments(venue, family)).collect();
        let (_, source, _) = LiveFeed::new(options(venue, &all, "ws://a"), Clock::system());
        for (id, own) in (0..).map(InstrumentId).zip(&all) {
            let want = want[usize::from(own.product.family() != "spot")];
            assert_eq!(want.unwrap_or(source.depth(id)), source.depth(id), "{exchange} {}", own.symbol);
        }
    }
}

/// How many seeded runs; few unless more are asked for.
pub fn cases(few: u64) -> u64 {
    std::env::var("PAPERTAPE_CASES")
        .ok()
        .and_then(|text| text.parse().ok())
        .map_or(few, |cases: u64| cases.min(1_000))
}
