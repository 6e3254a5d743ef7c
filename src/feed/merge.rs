//! Several sources as one: by play time; ties go to prints before books, then to the source named first.
//!
//! Inside one source its own order always holds. Instruments that several sources speak of are one.

use std::path::PathBuf;

use crate::market::{
    EMPTY, FeedDepth, FeedStats, Group, Instrument, InstrumentId, MarketEvent, Pair, Source, SourceError,
    Timestamp,
};

/// Any source that may be handed to another thread.
pub type AnySource = Box<dyn Source + Send>;

/// Several sources played as one.
///
/// ```
/// use papertape::feed::merge::Merge;
/// use papertape::market::{MemorySource, Source};
/// let mut merged = Merge::new(vec![Box::new(MemorySource::default()), Box::new(MemorySource::default())])?;
/// assert_eq!(merged.advance()?, None);
/// # Ok::<(), papertape::market::SourceError>(())
/// ```
pub struct Merge {
    inputs: Vec<Input>,
    /// Only these pairs; all where it is empty.
    pairs: Vec<Pair>,
    instruments: Vec<Instrument>,
    depths: Vec<FeedDepth>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Fresh,
    At(usize),
    Ended,
}

struct Input {
    source: AnySource,
    /// The play time of the group it stands at; `None` at its end.
    head: Option<Timestamp>,
    /// Whether that group begins with a print.
    prints: bool,
    /// Our number of each of its instruments; `None` where nobody asked for it.
    ids: Vec<Option<InstrumentId>>,
}

impl Merge {
    /// Plays `sources`, in the order in which the user named them.
    pub fn new(sources: Vec<AnySource>) -> Result<Self, SourceError> {
        Self::of_pairs(sources, Vec::new())
    }

    /// The same, leaving out all instruments but those of `pairs` (none: all are played).
    pub fn of_pairs(sources: Vec<AnySource>, pairs: Vec<Pair>) -> Result<Self, SourceError> {
        let input = |source| Input { source, head: None, prints: false, ids: Vec::new() };
        let inputs: Vec<Input> = sources.into_iter().map(input).collect();
        let (instruments, depths) = (Vec::new(), Vec::new());
        let mut merge = Self { inputs, pairs, instruments, depths, state: State::Fresh };
        for index in 0..merge.inputs.len() {
            merge.learn(index)?;
        }
        Ok(merge)
    }

    /// Gives a number to the instruments that an input speaks of and that have none yet.
    fn learn(&mut self, index: usize) -> Result<(), SourceError> {
        let Some(input) = self.inputs.get_mut(index) else { return Ok(()) };
        while let Some(instrument) = input.source.instruments().get(input.ids.len()) {
            let depth = input.source.depth(InstrumentId(input.ids.len() as u32));
            if !self.pairs.is_empty() && !self.pairs.contains(&instrument.pair) {
                input.ids.push(None);
                continue;
            }
            let same =
                |other: &Instrument| other.symbol == instrument.symbol && other.pair == instrument.pair;
            let id = match self.instruments.iter().position(same) {
                Some(id) => {
                    check_scales(&self.instruments[id], instrument)?;
                    self.depths[id] = deeper(self.depths[id], depth);
                    id
                }
                None => {
                    self.instruments.push(instrument.clone());
                    self.depths.push(depth);
                    self.instruments.len() - 1
                }
            };
            input.ids.push(Some(InstrumentId(id as u32)));
        }
        Ok(())
    }

    /// Moves one input to its next group that somebody asked for.
    fn step(&mut self, index: usize) -> Result<(), SourceError> {
        loop {
            let Some(input) = self.inputs.get_mut(index) else { return Ok(()) };
            input.head = input.source.advance()?;
            if input.head.is_none() {
                return Ok(());
            }
            let group = input.source.group();
            input.prints = matches!(group.events.first(), Some(MarketEvent::Trade(_)));
            let id = group.instrument.index();
            if id >= input.ids.len() {
                self.learn(index)?;
            }
            if self.inputs.get(index).is_some_and(|input| matches!(input.ids.get(id), Some(Some(_)))) {
                return Ok(());
            }
        }
    }

    fn next(&mut self) -> Result<Option<Timestamp>, SourceError> {
        match self.state {
            State::Fresh => (0..self.inputs.len()).try_for_each(|index| self.step(index))?,
            State::At(index) => self.step(index)?,
            State::Ended => return Ok(None),
        }
        let heads = self.inputs.iter().enumerate();
        let first =
            heads.filter_map(|(index, input)| input.head.map(|head| (head, !input.prints, index))).min();
        self.state = first.map_or(State::Ended, |(_, _, index)| State::At(index));
        Ok(first.map(|(time, _, _)| time))
    }
}

impl Source for Merge {
    fn instruments(&self) -> &[Instrument] {
        &self.instruments
    }

    fn depth(&self, instrument: InstrumentId) -> FeedDepth {
        self.depths.get(instrument.index()).copied().unwrap_or_default()
    }

    fn advance(&mut self) -> Result<Option<Timestamp>, SourceError> {
        let next = self.next();
        if next.is_err() {
            self.state = State::Ended;
        }
        next
    }

    fn group(&self) -> Group<'_> {
        let State::At(index) = self.state else { return EMPTY };
        let Some(input) = self.inputs.get(index) else { return EMPTY };
        let group = input.source.group();
        let id = input.ids.get(group.instrument.index()).copied().flatten();
        Group { instrument: id.unwrap_or_default(), ..group }
    }

    fn stats(&self) -> FeedStats {
        let mut sum = FeedStats::default();
        self.inputs.iter().for_each(|input| sum += input.source.stats());
        sum
    }
}

fn check_scales(have: &Instrument, new: &Instrument) -> Result<(), SourceError> {
    if (have.price_scale, have.qty_scale) == (new.price_scale, new.qty_scale) {
        return Ok(());
    }
    let fault = format!(
        "the sources count {} in different units ({} and {} decimals of price, {} and {} of quantity); describe it with --instruments",
        have.symbol, have.price_scale, new.price_scale, have.qty_scale, new.qty_scale
    );
    Err(SourceError::File { file: PathBuf::from(have.symbol.as_str()), fault })
}

/// The deeper of two views of one book.
fn deeper(a: FeedDepth, b: FeedDepth) -> FeedDepth {
    match (a, b) {
        (FeedDepth::Full, _) | (_, FeedDepth::Full) => FeedDepth::Full,
        (FeedDepth::Levels(a), FeedDepth::Levels(b)) => FeedDepth::Levels(a.max(b)),
        (FeedDepth::Candles, other) | (other, FeedDepth::Candles) => other,
        (FeedDepth::Prints, other) | (other, FeedDepth::Prints) => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{EventLog, GroupKind, MemorySource, Price, Qty, Side};

    /// `b` a book row, `t` a print, with its time; the price says which row it is.
    fn source(pair: &str, rows: &[(char, i64, i64)]) -> AnySource {
        let eth = Instrument::spot(pair, pair.parse().unwrap(), 2, 2).unwrap();
        let mut log = EventLog::default();
        for (kind, time, price) in rows {
            let (price, qty) = (Price::from_units(*price), Qty::from_units(1));
            match kind {
                'b' => log.push(MarketEvent::Level { side: Side::Buy, price, qty }),
                _ => log.push_trade(None, price, qty, b"id"),
            }
            let time = Timestamp::from_nanos(*time);
            log.close(InstrumentId(0), GroupKind::Update, time, time);
        }
        Box::new(MemorySource::new(vec![eth], log))
    }

    fn played(merge: &mut Merge) -> Vec<(i64, i64)> {
        let mut all = Vec::new();
        while let Some(time) = merge.advance().unwrap() {
            for event in merge.group().events {
                match event {
                    MarketEvent::Level { price, .. } => all.push((time.nanos(), price.units())),
                    MarketEvent::Trade(print) => all.push((time.nanos(), print.price.units())),
                    _ => {}
                }
            }
        }
        all
    }

    #[test]
    fn ties_go_to_prints_then_to_the_file_named_first() {
        let mut merge = Merge::new(vec![
            source("ETH-USDT", &[('b', 1, 1), ('b', 5, 2), ('b', 5, 3)]),
            source("ETH-USDT", &[('t', 5, 4), ('t', 6, 5)]),
            source("ETH-USDT", &[('b', 0, 6), ('b', 5, 7)]),
        ])
        .unwrap();
        assert_eq!(merge.instruments().len(), 1);
        assert_eq!(played(&mut merge), [(0, 6), (1, 1), (5, 4), (5, 2), (5, 3), (5, 7), (6, 5)]);
        assert_eq!(
            (merge.advance().unwrap(), merge.group().events.len(), merge.stats().messages),
            (None, 0, 7)
        );
    }

    #[test]
    fn a_file_that_goes_back_keeps_its_own_order() {
        let mut merge = Merge::new(vec![
            source("ETH-USDT", &[('b', 5, 1), ('b', 3, 2)]),
            source("ETH-USDT", &[('b', 4, 3), ('b', 6, 4)]),
        ])
        .unwrap();
        assert_eq!(played(&mut merge), [(4, 3), (5, 1), (5, 2), (6, 4)]);
        assert_eq!(merge.stats().time_went_back, 1);
    }

    #[test]
    fn pairs_are_filtered_and_numbered_anew() {
        let sources = || vec![source("ETH-USDT", &[('b', 1, 1)]), source("BTC-USDT", &[('b', 2, 2)])];
        let mut merge = Merge::of_pairs(sources(), vec!["BTC-USDT".parse().unwrap()]).unwrap();
        assert_eq!(merge.instruments().len(), 1);
        assert_eq!(merge.advance().unwrap(), Some(Timestamp::from_nanos(2)));
        assert_eq!(merge.group().instrument, InstrumentId(0));
        assert_eq!(played(&mut merge), []);
        assert_eq!(Merge::new(sources()).unwrap().instruments().len(), 2);
    }

    #[test]
    fn one_symbol_in_two_scales_is_refused() {
        let other = Instrument::spot("ETH-USDT", "ETH-USDT".parse().unwrap(), 3, 2).unwrap();
        let other = Box::new(MemorySource::new(vec![other], EventLog::default()));
        let error = Merge::new(vec![source("ETH-USDT", &[]), other]).err().unwrap();
        assert!(error.to_string().contains("--instruments"), "{error}");
    }
}
