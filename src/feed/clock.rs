//! `--clock exchange`: a source played at the exchange's times instead of the recorder's.
//!
//! The trader still sees a group at its receive time. Where the recorder's clock was behind the exchange's, all receive
//! times move later by the worst of the first rows; see [`ExchangeClock`].

use crate::feed::merge::AnySource;
use crate::market::{
    EMPTY, EventLog, FeedDepth, FeedStats, Group, Instrument, InstrumentId, Source, SourceError, Timestamp,
};

/// Rows that say how far the two clocks are apart.
const ROWS: usize = 10_000;

/// A source played at exchange time, never earlier than the group before.
///
/// If the smallest receive − exchange time of the first 10,000 rows is negative, receive times are later by so much. A
/// row further down that would need more is seen at its exchange time and counted.
pub struct ExchangeClock {
    source: AnySource,
    /// What was read ahead, and how much of it was played.
    ahead: EventLog,
    played: usize,
    /// What ended the reading ahead.
    failure: Option<SourceError>,
    /// Whether the group played now is the source's own, behind those read ahead.
    live: bool,
    shift: i64,
    clock: Option<Timestamp>,
    time_went_back: u64,
    latency_negative: u64,
}

impl ExchangeClock {
    /// Reads the first rows of `source` to compare the clocks.
    pub fn new(mut source: AnySource) -> Self {
        let (mut ahead, mut rows, mut least, mut failure) = (EventLog::default(), 0, 0, None);
        while rows < ROWS {
            match source.advance() {
                Ok(Some(_)) => {
                    let group = source.group();
                    rows += group.events.len().max(1);
                    least = least.min(group.receive_time.nanos_since(group.exchange_time));
                    ahead.push_group(&group);
                }
                Ok(None) => break,
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        let shift = least.saturating_neg();
        let (played, live, clock, time_went_back, latency_negative) = (0, false, None, 0, 0);
        Self { source, ahead, played, failure, live, shift, clock, time_went_back, latency_negative }
    }

    /// By how many nanoseconds receive times were moved.
    pub fn shift(&self) -> i64 {
        self.shift
    }

    #[inline]
    fn inner(&self) -> Group<'_> {
        match self.played.checked_sub(1) {
            _ if self.live => self.source.group(),
            Some(at) => self.ahead.get(at).unwrap_or(EMPTY),
            None => EMPTY,
        }
    }

    /// The receive time that the trader sees a group at.
    fn seen(&self, group: &Group<'_>) -> Timestamp {
        Timestamp::from_nanos(group.receive_time.nanos().saturating_add(self.shift))
    }
}

impl Source for ExchangeClock {
    fn instruments(&self) -> &[Instrument] {
        self.source.instruments()
    }

    fn depth(&self, instrument: InstrumentId) -> FeedDepth {
        self.source.depth(instrument)
    }

    fn advance(&mut self) -> Result<Option<Timestamp>, SourceError> {
        if self.played < self.ahead.len() {
            self.played += 1;
        } else {
            self.live = true;
            if let Some(error) = self.failure.take() {
                return Err(error);
            }
            if self.source.advance()?.is_none() {
                return Ok(None);
            }
        }
        let group = self.inner();
        let rows = group.events.len().max(1) as u64;
        let (time, early) = (group.exchange_time, self.seen(&group) < group.exchange_time);
        let clock = self.clock.map_or(time, |clock| clock.max(time));
        self.time_went_back += if time < clock { rows } else { 0 };
        self.latency_negative += if early { rows } else { 0 };
        self.clock = Some(clock);
        Ok(Some(clock))
    }

    fn group(&self) -> Group<'_> {
        let group = self.inner();
        Group { receive_time: self.seen(&group).max(group.exchange_time), ..group }
    }

    fn stats(&self) -> FeedStats {
        let (time_went_back, latency_negative) = (self.time_went_back, self.latency_negative);
        FeedStats { time_went_back, latency_negative, ..self.source.stats() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{GroupKind, MarketEvent, MemorySource};

    fn source(times: &[(i64, i64)]) -> AnySource {
        let mut log = EventLog::default();
        for (exchange, receive) in times {
            log.push(MarketEvent::Trading(true));
            let (exchange, receive) = (Timestamp::from_nanos(*exchange), Timestamp::from_nanos(*receive));
            log.close(InstrumentId(0), GroupKind::Update, exchange, receive);
        }
        Box::new(MemorySource::new(Vec::new(), log))
    }

    fn play(clock: &mut ExchangeClock) -> Vec<(i64, i64)> {
        let mut all = Vec::new();
        while let Some(time) = clock.advance().unwrap() {
            all.push((time.nanos(), clock.group().receive_time.nanos()));
        }
        all
    }

    #[test]
    fn a_recorder_that_was_behind_is_moved() {
        let mut clock = ExchangeClock::new(source(&[(100, 90), (110, 105), (105, 120)]));
        assert_eq!(clock.shift(), 10);
        assert_eq!(play(&mut clock), [(100, 100), (110, 115), (110, 130)]);
        assert_eq!((clock.stats().time_went_back, clock.stats().latency_negative), (1, 0));
        let mut right = ExchangeClock::new(source(&[(100, 101)]));
        assert_eq!((right.shift(), play(&mut right)), (0, vec![(100, 101)]));
    }

    #[test]
    fn a_later_row_that_needs_more_is_counted() {
        let mut rows: Vec<(i64, i64)> = (0..ROWS as i64).map(|time| (time, time - 5)).collect();
        rows.push((20_000, 19_990));
        let mut clock = ExchangeClock::new(source(&rows));
        let played = play(&mut clock);
        assert_eq!((clock.shift(), played.len()), (5, ROWS + 1));
        assert_eq!(played.last(), Some(&(20_000, 20_000)));
        assert_eq!(clock.stats().latency_negative, 1);
    }
}
