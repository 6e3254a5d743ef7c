//! `--clock exchange`: a source played at the exchange's times instead of the recorder's.
//!
//! The trader still sees a group at its receive time. Where the recorder's clock was behind the exchange's, all receive
//! times move later by the worst of the first rows; see [`ExchangeClock`].

use crate::feed::merge::AnySource;
use crate::market::{
    Batch, EMPTY, EventLog, FeedDepth, FeedStats, Group, Instrument, InstrumentId, Reach, Source,
    SourceError, Timestamp,
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
    #[inline]
    fn seen(&self, received: Timestamp) -> Timestamp {
        Timestamp::from_nanos(received.nanos().saturating_add(self.shift))
    }

    /// Moves the clock over a group of so many events: its play time.
    #[inline]
    fn pass(&mut self, happened: Timestamp, received: Timestamp, events: usize) -> Timestamp {
        let rows = events.max(1) as u64;
        let clock = self.clock.map_or(happened, |clock| clock.max(happened));
        self.time_went_back += if happened < clock { rows } else { 0 };
        self.latency_negative += if self.seen(received) < happened { rows } else { 0 };
        self.clock = Some(clock);
        clock
    }

    /// Whether all that was read ahead was played, and what ended the reading was told.
    fn is_live(&self) -> bool {
        self.played == self.ahead.len() && self.failure.is_none()
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
        let (happened, received, events) = (group.exchange_time, group.receive_time, group.events.len());
        Ok(Some(self.pass(happened, received, events)))
    }

    fn group(&self) -> Group<'_> {
        let group = self.inner();
        Group { receive_time: self.seen(group.receive_time).max(group.exchange_time), ..group }
    }

    fn read(&mut self, batch: &mut Batch, reach: &Reach) {
        if !self.is_live() {
            batch.read_each(self, reach);
            return;
        }
        self.live = true;
        // The clock is the latest exchange time: the first group that is played later is the first that happened later,
        // and all behind it are played later too.
        let happened = reach.happened.min(reach.played);
        let behind = self.clock.is_some_and(|clock| clock > reach.played);
        let events = if behind { 1 } else { reach.events };
        self.source.read(batch, &Reach { events, played: Timestamp::MAX, happened });
        batch.retell(|head, events, time| {
            *time = self.pass(head.exchange_time, head.receive_time, events);
            head.receive_time = self.seen(head.receive_time).max(head.exchange_time);
        });
    }

    fn stats(&self) -> FeedStats {
        let (time_went_back, latency_negative) = (self.time_went_back, self.latency_negative);
        FeedStats { time_went_back, latency_negative, ..self.source.stats() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::batched::tests::check_batches;
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
    fn batches_say_what_single_steps_say() {
        let mut rows: Vec<(i64, i64)> = vec![(1, 1); ROWS];
        rows.extend([(100, 90), (110, 105), (105, 120), (105, 120), (130, 128), (120, 121), (140, 141)]);
        let few: Vec<(i64, i64)> = (0..9).map(|time| (time * 7 % 5, time)).collect();
        for rows in [&few, &rows[ROWS - 3..].to_vec()] {
            check_batches(&|| Box::new(ExchangeClock::new(source(rows))));
        }
        // Behind those read ahead, rows come in batches.
        let (mut plain, mut read) = (ExchangeClock::new(source(&rows)), ExchangeClock::new(source(&rows)));
        let (mut batch, mut last) = (crate::market::Batch::default(), 0);
        while let Some(time) = plain.advance().unwrap() {
            if last == batch.len() {
                let reach = Reach { events: 4, ..Reach::until(Timestamp::from_nanos(125)) };
                read.read(&mut batch, &reach);
                last = 0;
            }
            assert_eq!((Some(time), plain.group()), (batch.time(last), batch.get(last).unwrap()));
            last += 1;
            let done = if time.nanos() > 125 { plain.stats() == read.stats() } else { true };
            assert!(done, "at {time}");
        }
        assert_eq!(plain.stats(), read.stats());
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
