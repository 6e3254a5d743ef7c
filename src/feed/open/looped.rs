//! `--loop`: sources that begin again when they end.

use super::{Built, Plan};
use crate::feed::merge::AnySource;
use crate::market::{
    EMPTY, FeedDepth, FeedStats, Group, Instrument, InstrumentId, Source, SourceError, Timestamp,
};

/// The time between the end of one round and the start of the next.
const PAUSE: i64 = 1_000_000;

/// Plays the sources of a plan over and over; each round is later by the length of those before it.
pub(super) struct Looped {
    plan: Plan,
    source: AnySource,
    /// Of all rounds: what was spoken of once stays.
    instruments: Vec<Instrument>,
    first: Option<Timestamp>,
    last: Timestamp,
    shift: i64,
    /// What earlier rounds counted.
    counted: FeedStats,
}

impl Looped {
    pub(super) fn new(plan: Plan, source: AnySource) -> Self {
        let instruments = source.instruments().to_vec();
        let (first, last, shift, counted) = (None, Timestamp::MIN, 0, FeedStats::default());
        Self { plan, source, instruments, first, last, shift, counted }
    }

    fn later(&self, time: Timestamp) -> Timestamp {
        Timestamp::from_nanos(time.nanos().saturating_add(self.shift))
    }

    /// Opens the sources again; false where there is nothing to play.
    fn again(&mut self) -> Result<bool, SourceError> {
        let Some(first) = self.first.take() else { return Ok(false) };
        let failed = |error: super::OpenError| match error {
            super::OpenError::Source(error) => error,
            other => SourceError::File { file: "--loop".into(), fault: other.to_string() },
        };
        let Built { source, .. } = self.plan.build().map_err(failed)?;
        self.counted += self.source.stats();
        self.source = source;
        // `last` is a time of this round, `first` a time of the files.
        self.shift = self.last.nanos_since(first).saturating_add(PAUSE);
        Ok(true)
    }
}

impl Source for Looped {
    fn instruments(&self) -> &[Instrument] {
        &self.instruments
    }

    fn depth(&self, instrument: InstrumentId) -> FeedDepth {
        self.source.depth(instrument)
    }

    fn advance(&mut self) -> Result<Option<Timestamp>, SourceError> {
        let mut next = self.source.advance()?;
        if next.is_none() && self.again()? {
            next = self.source.advance()?;
        }
        let more = self.source.instruments().get(self.instruments.len()..).unwrap_or_default();
        self.instruments.extend_from_slice(more);
        let Some(time) = next else { return Ok(None) };
        self.first.get_or_insert(time);
        self.last = self.later(time);
        Ok(Some(self.last))
    }

    fn group(&self) -> Group<'_> {
        let group = self.source.group();
        if group == EMPTY {
            return group;
        }
        let (exchange_time, receive_time) = (self.later(group.exchange_time), self.later(group.receive_time));
        Group { exchange_time, receive_time, ..group }
    }

    fn stats(&self) -> FeedStats {
        let mut all = self.counted;
        all += self.source.stats();
        all
    }
}
