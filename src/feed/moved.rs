//! A market moved in time: everything it says is later by the same span, so that its first message is at a given instant.

use std::time::Duration;

use crate::feed::merge::AnySource;
use crate::market::{
    FeedDepth, FeedStats, Group, Instrument, InstrumentId, MarketEvent, News, Source, SourceError, Timestamp,
};

/// A source whose times are moved.
pub struct Moved {
    source: AnySource,
    /// The first message, read to know when it is.
    first: Option<Timestamp>,
    shift: i64,
    /// The events of the group where they speak of times themselves.
    events: Vec<MarketEvent>,
}

impl Moved {
    /// Moves `source` so that its first message is `ahead` before `start`. A source that holds nothing stays as it is.
    pub fn to(mut source: AnySource, start: Timestamp, ahead: Duration) -> Result<Self, SourceError> {
        let first = source.advance()?;
        let shift = first.map_or(0, |first| start.minus(ahead).nanos_since(first));
        let mut moved = Self { source, first, shift, events: Vec::new() };
        moved.see_times();
        Ok(moved)
    }

    fn later(&self, time: Timestamp) -> Timestamp {
        Timestamp::from_nanos(time.nanos().saturating_add(self.shift))
    }

    fn see_times(&mut self) {
        self.events.clear();
        let group = self.source.group();
        let speaks = |event: &MarketEvent| matches!(event, MarketEvent::News(News::Funding { .. }));
        if group.events.iter().any(speaks) {
            let shift = self.shift;
            let moved = |event: &MarketEvent| match *event {
                MarketEvent::News(News::Funding { rate, due }) if due != Timestamp::MAX => {
                    let due = Timestamp::from_nanos(due.nanos().saturating_add(shift));
                    MarketEvent::News(News::Funding { rate, due })
                }
                event => event,
            };
            self.events.extend(group.events.iter().map(moved));
        }
    }
}

impl Source for Moved {
    fn instruments(&self) -> &[Instrument] {
        self.source.instruments()
    }

    fn depth(&self, instrument: InstrumentId) -> FeedDepth {
        self.source.depth(instrument)
    }

    fn advance(&mut self) -> Result<Option<Timestamp>, SourceError> {
        let time = match self.first.take() {
            Some(first) => Some(first),
            None => {
                let time = self.source.advance()?;
                self.see_times();
                time
            }
        };
        Ok(time.map(|time| self.later(time)))
    }

    fn group(&self) -> Group<'_> {
        let group = self.source.group();
        if group == crate::market::EMPTY {
            return group;
        }
        let (exchange_time, receive_time) = (self.later(group.exchange_time), self.later(group.receive_time));
        let events = if self.events.is_empty() { group.events } else { &self.events };
        Group { exchange_time, receive_time, events, ..group }
    }

    fn stats(&self) -> FeedStats {
        self.source.stats()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{EventLog, FundingRate, GroupKind, MemorySource};

    #[test]
    fn everything_moves_by_the_same_span() {
        let at = Timestamp::from_millis;
        let mut log = EventLog::default();
        for (time, due) in [(1_000, at(5_000)), (1_500, Timestamp::MAX)] {
            log.push(MarketEvent::News(News::Funding { rate: FundingRate::from_units(1), due }));
            log.close(InstrumentId(0), GroupKind::Update, at(time - 10), at(time));
        }
        let btc = Instrument::spot("BTC_USDT", "BTC-USDT".parse().unwrap(), 2, 5).unwrap();
        let source = Box::new(MemorySource::new(vec![btc], log));
        let mut moved = Moved::to(source, at(101_000), Duration::from_secs(10)).unwrap();
        let mut seen = Vec::new();
        while let Some(time) = moved.advance().unwrap() {
            let group = moved.group();
            let MarketEvent::News(News::Funding { due, .. }) = group.events[0] else { panic!() };
            seen.push((time, group.exchange_time, due));
        }
        assert_eq!(seen, [(at(91_000), at(90_990), at(95_000)), (at(91_500), at(91_490), Timestamp::MAX)]);
        let empty = Moved::to(Box::new(MemorySource::default()), at(5), Duration::ZERO);
        assert_eq!(empty.unwrap().advance().unwrap(), None);
    }
}
