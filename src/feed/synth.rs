//! A seeded synthetic market: the same seed gives the same market, byte for byte, on every machine.
//!
//! It is made through the venue's own encoder and decoder: [`Frames`] yields the frames as the exchange would send
//! them, [`Market`] is the [`Source`] that decodes them. Receive times are whole microseconds, exchange times whole
//! milliseconds, and no two messages of a symbol share a receive time.
//!
//! Never here: a file being written. The parts: `model` is one instrument's market, `tide` what takes its
//! price away from where it opened, `teller` what is told of a contract beside it, `dice` the random draws.

mod dice;
mod model;
mod teller;
mod tide;

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use crate::market::{
    EMPTY, EventLog, FeedDepth, FeedStats, Group, Instrument, InstrumentId, Pair, Source, SourceError,
    Timestamp, parse_duration,
};
use crate::venue::catalogue::Entry;
use crate::venue::connectors::Connector;
use crate::venue::{Decoder, Encoder, Frame, Known, Venue};

use model::Model;

/// The seed of `--demo`.
pub const DEMO_SEED: u64 = 7;

/// The length of `--demo`.
pub const DEMO_LENGTH: Duration = Duration::from_secs(3_600);

/// How many of the catalogue's first pairs `--demo` has.
const DEMO_PAIRS: usize = 2;

/// When synthetic markets begin: 2026-01-05T00:00:00Z.
pub const START: Timestamp = Timestamp::from_millis(1_767_571_200_000);

/// How the fair price wanders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Walk {
    /// It is drawn back to where it began, with a time constant of 15 minutes.
    #[default]
    MeanReverting,
    /// It goes where it goes.
    Random,
}

/// A crash (or a leap) at a known time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Crash {
    /// When it begins, after the start.
    pub after: Duration,
    /// By how much prices change: -0.2 is a fall by 20 %.
    pub change: f64,
    /// How long it takes.
    pub takes: Duration,
}

impl Crash {
    /// What prices are multiplied with so many microseconds after the start.
    fn scale(self, micros: i64) -> f64 {
        let since = micros as f64 / 1e6 - self.after.as_secs_f64();
        let progress = (since / self.takes.as_secs_f64().max(1e-6)).clamp(0.0, 1.0);
        1.0 + self.change * progress
    }
}

/// A text is no crash.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a crash: {0:?} (AFTER,CHANGE%,DURATION, as in 10m,-20%,30s; the change from -90% to 900%)")]
pub struct CrashError(String);

impl FromStr for Crash {
    type Err = CrashError;

    fn from_str(text: &str) -> Result<Self, CrashError> {
        let parse = || {
            let mut parts = text.split(',');
            let after = parse_duration(parts.next()?)?;
            let change = parts.next()?.strip_suffix('%')?.parse::<f64>().ok()? / 100.0;
            let takes = parse_duration(parts.next()?)?;
            let sound = parts.next().is_none() && (-0.9..=9.0).contains(&change);
            sound.then_some(Self { after, change, takes })
        };
        parse().ok_or_else(|| CrashError(text.to_owned()))
    }
}

/// What market to make.
#[derive(Clone)]
pub struct SynthConfig {
    /// Whose frames.
    pub venue: &'static dyn Venue,
    /// What is traded.
    pub instruments: Vec<Instrument>,
    /// The seed of everything random.
    pub seed: u64,
    /// When it begins.
    pub start: Timestamp,
    /// How many messages at most.
    pub events: Option<u64>,
    /// How long at most.
    pub duration: Option<Duration>,
    /// How prices wander.
    pub walk: Walk,
    /// A crash, if there is one.
    pub crash: Option<Crash>,
}

/// A market that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SynthError {
    /// The connector's exchange has no folder yet.
    #[error(transparent)]
    Venue(#[from] crate::venue::VenueError),
    /// The built-in catalogue does not read.
    #[error(transparent)]
    Catalogue(#[from] crate::venue::catalogue::CatalogueError),
    /// Not a pair of the catalogue.
    #[error("{pair} is not in the catalogue of {venue} (there: {there}); --instruments FILE can describe it")]
    Pair {
        /// The pair.
        pair: Pair,
        /// The exchange.
        venue: &'static str,
        /// The pairs of the catalogue.
        there: String,
    },
}

impl SynthConfig {
    /// A market without an end of these pairs, by the rules of `described` (`--instruments`) and the catalogue. No
    /// pair: the first one of the catalogue.
    pub fn new(
        connector: &Connector,
        pairs: &[Pair],
        described: &[Instrument],
        seed: u64,
    ) -> Result<Self, SynthError> {
        let venue = connector.venue()?;
        let catalogue = venue.catalogue()?;
        let entries = || of_family(connector, &catalogue.entries);
        let find =
            |pair: &Pair| described.iter().chain(entries()).find(|instrument| instrument.pair == *pair);
        let missing = |pair: &Pair| SynthError::Pair {
            pair: pair.clone(),
            venue: venue.name(),
            there: entries().map(|instrument| instrument.pair.to_string()).collect::<Vec<_>>().join(", "),
        };
        let mut instruments = Vec::<Instrument>::new();
        for pair in pairs {
            let instrument = find(pair).ok_or_else(|| missing(pair))?;
            if instruments.iter().all(|other| other.pair != *pair) {
                instruments.push(instrument.clone());
            }
        }
        if instruments.is_empty() {
            instruments.extend(entries().next().cloned());
        }
        Ok(Self {
            venue,
            instruments,
            seed,
            start: START,
            events: None,
            duration: None,
            walk: Walk::default(),
            crash: None,
        })
    }

    /// The market of `--demo`: an hour of the catalogue's first two pairs, and of the first of each kind of contract that
    /// is not among them.
    pub fn demo(connector: &Connector) -> Result<Self, SynthError> {
        let catalogue = connector.venue()?.catalogue()?;
        let mut chosen: Vec<&Instrument> = Vec::new();
        for instrument in of_family(connector, &catalogue.entries) {
            let kind = |one: &Instrument| std::mem::discriminant(&one.product);
            if chosen.len() < DEMO_PAIRS || chosen.iter().all(|one| kind(one) != kind(instrument)) {
                chosen.push(instrument);
            }
        }
        let pairs: Vec<Pair> = chosen.into_iter().map(|instrument| instrument.pair.clone()).collect();
        let market = Self::new(connector, &pairs, &[], DEMO_SEED)?;
        Ok(Self { duration: Some(DEMO_LENGTH), ..market })
    }

    /// The frames of this market.
    pub fn frames(&self) -> Frames {
        Frames::new(self)
    }

    /// This market as a source.
    pub fn market(&self) -> Market {
        let known = Known { declared: self.instruments.clone(), others: Vec::new() };
        let decoder = self.venue.decoder(known);
        Market { frames: self.frames(), decoder, log: EventLog::default(), at: None }
    }
}

/// What a connector trades of a catalogue.
fn of_family<'c>(connector: &Connector, entries: &'c [Entry]) -> impl Iterator<Item = &'c Instrument> {
    let all = entries.iter().map(|entry| &entry.instrument);
    all.filter(|instrument| connector.products.contains(&instrument.product.family()))
}

/// What a unit of an asset costs about, in a dollar's worth of quote: where its synthetic market begins.
fn usual_price(base: &str) -> f64 {
    match base {
        "BTC" | "XBT" => 65_000.0,
        "ETH" => 3_500.0,
        "SOL" => 150.0,
        "LTC" => 80.0,
        "XRP" => 0.6,
        "DOGE" => 0.12,
        _ => 10.0,
    }
}

/// The frames of a synthetic market, in the order of their receive times.
pub struct Frames {
    instruments: Vec<Instrument>,
    markets: Vec<Pending>,
    encoder: Box<dyn Encoder + Send>,
    /// The frames of the last message, how many of them were given, and when it comes.
    encoded: Vec<String>,
    given: usize,
    time: Timestamp,
    left: u64,
    end: Timestamp,
}

/// A market with the messages that it has made and that are not handed on yet.
struct Pending {
    model: Model,
    log: EventLog,
    next: usize,
}

impl Pending {
    fn time(&self) -> Timestamp {
        self.log.get(self.next).map_or(Timestamp::MAX, |group| group.receive_time)
    }
}

impl Frames {
    fn new(config: &SynthConfig) -> Self {
        let markets = config.instruments.iter().zip(0..).map(|(instrument, id)| {
            let price = usual_price(instrument.pair.base.as_str());
            let seed = (config.seed, config.start);
            let ways = (config.walk, config.crash);
            let funding = (config.venue.funding(), config.venue.tells_settlements());
            let mut model = Model::new(InstrumentId(id), instrument, price, seed, ways, funding);
            let mut log = EventLog::default();
            model.open(&mut log);
            Pending { model, log, next: 0 }
        });
        Self {
            instruments: config.instruments.clone(),
            markets: markets.collect(),
            encoder: config.venue.encoder(),
            encoded: Vec::new(),
            given: 0,
            time: config.start,
            left: config.events.unwrap_or(u64::MAX),
            end: config.duration.map_or(Timestamp::MAX, |length| config.start.plus(length)),
        }
    }

    /// The next frame, and when it comes. `None` at the end.
    pub fn next_frame(&mut self) -> Option<(Timestamp, &str)> {
        while self.given >= self.encoded.len() {
            self.next_message()?;
        }
        self.left = self.left.checked_sub(1)?;
        self.given += 1;
        self.encoded.get(self.given - 1).map(|frame| (self.time, frame.as_str()))
    }

    /// Encodes the soonest message; a venue may need several frames for it, or none.
    fn next_message(&mut self) -> Option<()> {
        let soonest = self.markets.iter_mut().min_by_key(|market| market.time())?;
        let group = soonest.log.get(soonest.next)?;
        self.time = group.receive_time;
        if self.time >= self.end {
            return None;
        }
        self.encoded.clear();
        self.given = 0;
        self.encoder.encode(self.instruments.get(group.instrument.index())?, &group, &mut self.encoded);
        soonest.next += 1;
        while soonest.next >= soonest.log.len() {
            soonest.log.clear();
            soonest.next = 0;
            soonest.model.step(&mut soonest.log);
        }
        Some(())
    }
}

/// A synthetic market as a source: its frames, decoded.
pub struct Market {
    frames: Frames,
    decoder: Box<dyn Decoder + Send>,
    log: EventLog,
    at: Option<usize>,
}

impl Source for Market {
    fn instruments(&self) -> &[Instrument] {
        self.decoder.instruments()
    }

    fn depth(&self, instrument: InstrumentId) -> FeedDepth {
        self.decoder.depth(instrument)
    }

    fn advance(&mut self) -> Result<Option<Timestamp>, SourceError> {
        self.at = None;
        self.log.clear();
        let Some((time, frame)) = self.frames.next_frame() else { return Ok(None) };
        self.decoder.decode(time, Frame::Text(frame), &mut self.log).map_err(|error| SourceError::Frame {
            file: Path::new("synthetic market").to_owned(),
            line: 0,
            fault: error.fault,
            near: error.near,
        })?;
        self.at = Some(0);
        Ok(Some(time))
    }

    fn group(&self) -> Group<'_> {
        self.at.and_then(|at| self.log.get(at)).unwrap_or(EMPTY)
    }

    fn stats(&self) -> FeedStats {
        self.decoder.stats()
    }
}

#[cfg(test)]
mod tests;
