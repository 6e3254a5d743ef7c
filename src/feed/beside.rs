//! Markets of different connectors beside each other, as one source: what is traded in the one is not in the other.
//!
//! Unlike a merge, the same pair may be in both: spot and its contract.

use crate::feed::merge::AnySource;
use crate::market::{
    EMPTY, FeedDepth, FeedStats, Group, Instrument, InstrumentId, Source, SourceError, Timestamp,
};

struct Lane {
    source: AnySource,
    /// The number of its first instrument.
    from: u32,
    next: Option<Timestamp>,
}

/// Several sources as one. Instruments that turn up after the start are left out: their numbers are taken.
pub struct Beside {
    lanes: Vec<Lane>,
    instruments: Vec<Instrument>,
    /// The lane of the group that was moved to.
    current: Option<usize>,
}

impl Beside {
    /// Plays all of them by time; at the same time the earlier source goes first.
    pub fn new(sources: Vec<AnySource>) -> Result<Self, SourceError> {
        let (mut lanes, mut instruments) = (Vec::new(), Vec::new());
        for mut source in sources {
            let from = u32::try_from(instruments.len()).unwrap_or(u32::MAX);
            instruments.extend_from_slice(source.instruments());
            let next = source.advance()?;
            lanes.push(Lane { source, from, next });
        }
        Ok(Self { lanes, instruments, current: None })
    }

    fn lane_of(&self, instrument: InstrumentId) -> Option<&Lane> {
        self.lanes.iter().rev().find(|lane| lane.from <= instrument.0)
    }

    /// How many instruments a lane has.
    fn room(&self, lane: usize) -> u32 {
        let end = self.lanes.get(lane + 1).map_or(self.instruments.len(), |next| next.from as usize);
        u32::try_from(end).unwrap_or(u32::MAX) - self.lanes[lane].from
    }
}

impl Source for Beside {
    fn instruments(&self) -> &[Instrument] {
        &self.instruments
    }

    fn depth(&self, instrument: InstrumentId) -> FeedDepth {
        let lane = self.lane_of(instrument);
        lane.map_or(FeedDepth::Full, |lane| lane.source.depth(InstrumentId(instrument.0 - lane.from)))
    }

    fn advance(&mut self) -> Result<Option<Timestamp>, SourceError> {
        loop {
            if let Some(lane) = self.current.take().and_then(|at| self.lanes.get_mut(at)) {
                lane.next = lane.source.advance()?;
            }
            // A live market that had nothing to say may have by now.
            for lane in self.lanes.iter_mut().filter(|lane| lane.next.is_none() && lane.source.may_go_on()) {
                lane.next = lane.source.advance()?;
            }
            let times = self.lanes.iter().enumerate().filter_map(|(at, lane)| Some((lane.next?, at)));
            let Some((time, at)) = times.min() else { return Ok(None) };
            self.current = Some(at);
            if self.lanes[at].source.group().instrument.0 < self.room(at) {
                return Ok(Some(time));
            }
        }
    }

    fn group(&self) -> Group<'_> {
        let Some(lane) = self.current.and_then(|at| self.lanes.get(at)) else { return EMPTY };
        let group = lane.source.group();
        Group { instrument: InstrumentId(group.instrument.0 + lane.from), ..group }
    }

    fn may_go_on(&self) -> bool {
        self.lanes.iter().any(|lane| lane.source.may_go_on())
    }

    fn stats(&self) -> FeedStats {
        let mut all = FeedStats::default();
        self.lanes.iter().for_each(|lane| all += lane.source.stats());
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{EventLog, GroupKind, MarketEvent, MemorySource};

    fn source(symbol: &str, times: &[i64]) -> AnySource {
        let mut log = EventLog::default();
        for time in times {
            log.push(MarketEvent::Trading(true));
            let at = Timestamp::from_millis(*time);
            log.close(InstrumentId(0), GroupKind::Update, at, at);
        }
        let one = Instrument::spot(symbol, "BTC-USDT".parse().unwrap(), 2, 5).unwrap();
        Box::new(MemorySource::new(vec![one], log))
    }

    #[test]
    fn groups_come_by_time_under_the_numbers_of_all() {
        let mut beside =
            Beside::new(vec![source("BTC_USDT", &[1, 3, 5]), source("BTCUSDT", &[2, 3])]).unwrap();
        let symbols: Vec<_> = beside.instruments().iter().map(|one| one.symbol.to_string()).collect();
        assert_eq!(symbols, ["BTC_USDT", "BTCUSDT"]);
        let mut seen = Vec::new();
        while let Some(time) = beside.advance().unwrap() {
            seen.push((time.millis(), beside.group().instrument.0));
        }
        assert_eq!(seen, [(1, 0), (2, 1), (3, 0), (3, 1), (5, 0)]);
        assert_eq!(beside.stats().messages, 5);
    }
}
