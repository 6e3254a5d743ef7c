//! Several sources as one: by play time; ties go to prints before books, then to the source named first.
//!
//! Inside one source its own order always holds. Instruments that several sources speak of are one; the deepest source
//! of an instrument is its book. Quotes and snapshots beside it are compared with it and counted, candles beside a book
//! or prints are left out.

mod check;

use std::path::PathBuf;

use check::Check;

use super::batched::Batched;
use crate::market::{
    Batch, EMPTY, FeedDepth, FeedStats, Group, GroupKind, Instrument, InstrumentId, MarketEvent, Pair, Reach,
    Source, SourceError, Then, Timestamp,
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
    /// Only these.
    wanted: Box<dyn Fn(&Instrument) -> bool + Send>,
    instruments: Vec<Instrument>,
    depths: Vec<FeedDepth>,
    /// By instrument; those that have quotes beside their book.
    checks: Vec<Option<Check>>,
    /// Whether some groups are compared or left out instead of played.
    choosy: bool,
    /// How far inputs are read at once: one group, unless somebody asks for a batch of ours.
    reach: Reach,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Fresh,
    At(usize),
    Ended,
}

struct Input {
    groups: Batched,
    /// The play time of the group it stands at; `None` at its end.
    head: Option<Timestamp>,
    /// Whether that group begins with a print.
    prints: bool,
    /// Our number of each of its instruments; `None` where nobody asked for it.
    ids: Vec<Option<InstrumentId>>,
    /// How deep it is, by its own numbers.
    depths: Vec<FeedDepth>,
}

impl Merge {
    /// Plays `sources`, in the order in which the user named them.
    pub fn new(sources: Vec<AnySource>) -> Result<Self, SourceError> {
        Self::of_pairs(sources, Vec::new())
    }

    /// The same, leaving out all instruments but those of `pairs` (none: all are played).
    pub fn of_pairs(sources: Vec<AnySource>, pairs: Vec<Pair>) -> Result<Self, SourceError> {
        Self::only(sources, pairs, Box::new(|_| true))
    }

    /// The same, leaving out what is not `wanted`, too.
    pub fn only(
        sources: Vec<AnySource>,
        pairs: Vec<Pair>,
        wanted: Box<dyn Fn(&Instrument) -> bool + Send>,
    ) -> Result<Self, SourceError> {
        let input = |source| Input {
            groups: Batched::new(source),
            head: None,
            prints: false,
            ids: Vec::new(),
            depths: Vec::new(),
        };
        let inputs: Vec<Input> = sources.into_iter().map(input).collect();
        let (instruments, depths, checks) = (Vec::new(), Vec::new(), Vec::new());
        let (choosy, reach, state) = (false, Reach::ONE, State::Fresh);
        let mut merge = Self { inputs, pairs, wanted, instruments, depths, checks, choosy, reach, state };
        for index in 0..merge.inputs.len() {
            merge.learn(index)?;
        }
        merge.compare();
        Ok(merge)
    }

    /// Gives a number to the instruments that an input speaks of and that have none yet.
    fn learn(&mut self, index: usize) -> Result<(), SourceError> {
        let Some(input) = self.inputs.get_mut(index) else { return Ok(()) };
        let source = input.groups.source();
        while let Some(instrument) = source.instruments().get(input.ids.len()) {
            let depth = source.depth(InstrumentId(input.ids.len() as u32));
            input.depths.push(depth);
            let of_pairs = self.pairs.is_empty() || self.pairs.contains(&instrument.pair);
            if !of_pairs || !(self.wanted)(instrument) {
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

    /// Finds the instruments that have quotes beside their book.
    fn compare(&mut self) {
        let mut checks = std::mem::take(&mut self.checks);
        checks.resize_with(self.instruments.len(), || None);
        for input in &self.inputs {
            for (id, depth) in input.ids.iter().zip(&input.depths) {
                let Some(at) = id.map(InstrumentId::index) else { continue };
                if let (Some(check), Some(instrument)) = (checks.get_mut(at), self.instruments.get(at))
                    && shallower(*depth, self.depths[at])
                {
                    check.get_or_insert_with(|| Check::new(instrument));
                }
            }
        }
        let candles = self.inputs.iter().any(|input| input.depths.contains(&FeedDepth::Candles));
        self.choosy = candles || checks.iter().any(Option::is_some);
        self.checks = checks;
    }

    /// Whether the group that an input stands at is played: what shows less than the book does is compared instead.
    fn plays(&mut self, index: usize, time: Timestamp) -> bool {
        if !self.choosy {
            return true;
        }
        let Some(input) = self.inputs.get(index) else { return false };
        let group = input.groups.group();
        let own = group.instrument.index();
        let Some(id) = input.ids.get(own).copied().flatten() else { return false };
        let (depth, deepest) = (input.depths[own], self.depths[id.index()]);
        if depth == FeedDepth::Candles && deepest != depth {
            return false;
        }
        let Some(Some(check)) = self.checks.get_mut(id.index()) else { return true };
        let is_level = |event: &MarketEvent| matches!(event, MarketEvent::Level { .. });
        let levels = group.kind != GroupKind::Update || group.events.iter().any(is_level);
        if levels && shallower(depth, deepest) && group.events.iter().all(is_level) {
            check.quote(index, time, &group);
            return false;
        }
        if levels {
            check.book(time, &group);
        }
        true
    }

    /// Moves one input to its next group that somebody asked for.
    #[inline]
    fn step(&mut self, index: usize) -> Result<(), SourceError> {
        loop {
            let Some(input) = self.inputs.get_mut(index) else { return Ok(()) };
            input.head = input.groups.step(&self.reach)?;
            if input.head.is_none() {
                return Ok(());
            }
            let group = input.groups.group();
            input.prints = matches!(group.events.first(), Some(MarketEvent::Trade(_)));
            let id = group.instrument.index();
            if id >= input.ids.len() {
                self.learn(index)?;
                self.compare();
            }
            if self.inputs.get(index).is_some_and(|input| matches!(input.ids.get(id), Some(Some(_)))) {
                return Ok(());
            }
        }
    }

    /// Fills `batch` from the only input, if all that comes from it is played; false where it is not that simple.
    fn hand_on(&mut self, batch: &mut Batch, reach: &Reach) -> bool {
        let [Input { groups, ids, .. }] = &mut self.inputs[..] else { return false };
        let Some(source) = groups.bare().filter(|source| source.instruments().len() == ids.len()) else {
            return false;
        };
        if self.choosy || self.state == State::Ended || ids.iter().any(Option::is_none) {
            return false;
        }
        source.read(batch, reach);
        batch.retell(|head, _, _| {
            head.instrument = ids.get(head.instrument.index()).copied().flatten().unwrap_or_default();
        });
        self.state = if matches!(batch.then, Then::More) { State::Fresh } else { State::Ended };
        true
    }

    /// Copies the group it stands at and those behind it of the same input, as long as no other input is due.
    fn copy_run(&mut self, batch: &mut Batch, reach: &Reach) {
        let State::At(index) = self.state else { return };
        let others = self.inputs.iter().enumerate().filter(|(other, _)| *other != index);
        let due = others.filter_map(|(_, input)| input.head).min().unwrap_or(Timestamp::MAX);
        // Where some are only compared, each is looked at; at one instant it is not only the time that counts.
        let before = if self.choosy { Timestamp::MIN } else { due };
        if let Some(Input { groups, ids, .. }) = self.inputs.get_mut(index) {
            groups.copy_run(batch, before, reach, |id| ids.get(id.index()).copied().flatten());
        }
    }

    fn next(&mut self) -> Result<Option<Timestamp>, SourceError> {
        loop {
            let next = self.next_of_all()?;
            match (next, self.state) {
                (Some(time), State::At(index)) if !self.plays(index, time) => {}
                (None, _) => {
                    self.checks.iter_mut().flatten().for_each(|check| check.settle(None));
                    return Ok(None);
                }
                (next, _) => return Ok(next),
            }
        }
    }

    fn next_of_all(&mut self) -> Result<Option<Timestamp>, SourceError> {
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
        let group = input.groups.group();
        let id = input.ids.get(group.instrument.index()).copied().flatten();
        Group { instrument: id.unwrap_or_default(), ..group }
    }

    fn read(&mut self, batch: &mut Batch, reach: &Reach) {
        if !self.hand_on(batch, reach) {
            // Each input is read as far as all of them together.
            self.reach = *reach;
            batch.fill(self, reach, |merge, batch| {
                let next = merge.advance()?;
                if next.is_some() {
                    merge.copy_run(batch, reach);
                }
                Ok(next.is_some())
            });
            self.reach = Reach::ONE;
        }
    }

    fn stats(&self) -> FeedStats {
        let mut sum = FeedStats::default();
        self.inputs.iter().for_each(|input| sum += input.groups.source().stats());
        self.checks.iter().flatten().for_each(|check| check.add_to(&mut sum));
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

/// Whether a feed shows a book that is not as deep as the deepest of its instrument.
fn shallower(depth: FeedDepth, deepest: FeedDepth) -> bool {
    !depth.is_thin() && deeper(depth, deepest) != depth
}

/// The deeper of two views of one book.
fn deeper(a: FeedDepth, b: FeedDepth) -> FeedDepth {
    match (a, b) {
        (FeedDepth::Full, _) | (_, FeedDepth::Full) => FeedDepth::Full,
        (FeedDepth::Levels(a), FeedDepth::Levels(b)) => FeedDepth::Levels(a.max(b)),
        (FeedDepth::News, other) | (other, FeedDepth::News) => other,
        (FeedDepth::Candles, other) | (other, FeedDepth::Candles) => other,
        (FeedDepth::Prints, other) | (other, FeedDepth::Prints) => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::batched::tests::check_batches;
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
    fn batches_say_what_single_steps_say() {
        let books = || source("ETH-USDT", &[('b', 1, 1), ('b', 5, 2), ('b', 5, 3), ('b', 3, 4), ('b', 9, 5)]);
        let prints = || source("ETH-USDT", &[('t', 5, 4), ('t', 6, 5), ('t', 6, 6)]);
        let other = || source("BTC-USDT", &[('b', 0, 6), ('b', 5, 7), ('b', 8, 8)]);
        let quotes = || bids(FeedDepth::Levels(1), &[(0, 99, 1), (5, 100, 1), (7, 100, 1)]);
        let alike: &[&dyn Fn() -> Vec<AnySource>] = &[
            &|| vec![books()],
            &|| vec![books(), prints(), other()],
            &|| vec![quotes(), books(), prints()],
            &|| vec![Box::new(Merge::new(vec![prints(), books()]).unwrap()), other()],
        ];
        for make in alike {
            check_batches(&|| Box::new(Merge::new(make()).unwrap()));
            check_batches(&|| Box::new(Merge::of_pairs(make(), vec!["ETH-USDT".parse().unwrap()]).unwrap()));
        }
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

    /// Snapshots of one bid each: time, price and size.
    fn bids(depth: FeedDepth, rows: &[(i64, i64, i64)]) -> AnySource {
        let eth = Instrument::spot("ETH-USDT", "ETH-USDT".parse().unwrap(), 2, 2).unwrap();
        let mut log = EventLog::default();
        for (time, price, qty) in rows {
            let (price, qty) = (Price::from_units(*price), Qty::from_units(*qty));
            log.push(MarketEvent::Level { side: Side::Buy, price, qty });
            let time = Timestamp::from_nanos(*time);
            log.close(InstrumentId(0), GroupKind::Snapshot, time, time);
        }
        Box::new(MemorySource::new(vec![eth], log).with_depth(depth))
    }

    #[test]
    fn quotes_beside_a_book_are_compared_and_not_played() {
        // Named first, and of the same instants as the book: they are compared with what it is after them.
        let quotes =
            bids(FeedDepth::Levels(1), &[(0, 99, 1), (1, 100, 1), (2, 100, 1), (3, 102, 3), (9, 1, 1)]);
        let fives = bids(FeedDepth::Levels(5), &[(1, 100, 1)]);
        let book = bids(FeedDepth::Full, &[(1, 100, 1), (2, 101, 1), (3, 102, 3)]);
        let prints = source("ETH-USDT", &[('t', 2, 7)]);
        let prints: AnySource = Box::new(Thin(prints));
        let mut merge = Merge::new(vec![quotes, fives, prints, book]).unwrap();
        assert_eq!(merge.depth(InstrumentId(0)), FeedDepth::Full);
        assert_eq!(played(&mut merge), [(1, 100), (2, 7), (2, 101), (3, 102)]);
        // Before the book there was nothing to compare with; at 2 and at 9 they differ.
        assert_eq!((merge.stats().quotes_checked, merge.stats().quotes_differ), (5, 2));
    }

    #[test]
    fn candles_beside_anything_else_are_left_out() {
        let candles = || -> AnySource { Box::new(Candles(source("ETH-USDT", &[('t', 1, 1)]))) };
        assert_eq!(played(&mut Merge::new(vec![candles(), candles()]).unwrap()).len(), 2);
        let prints: AnySource = Box::new(Thin(source("ETH-USDT", &[('t', 5, 2)])));
        assert_eq!(played(&mut Merge::new(vec![candles(), prints]).unwrap()), [(5, 2)]);
    }

    /// The same source with another depth.
    macro_rules! of_depth {
        ($name:ident, $depth:expr) => {
            struct $name(AnySource);
            impl Source for $name {
                fn instruments(&self) -> &[Instrument] {
                    self.0.instruments()
                }
                fn depth(&self, _: InstrumentId) -> FeedDepth {
                    $depth
                }
                fn advance(&mut self) -> Result<Option<Timestamp>, SourceError> {
                    self.0.advance()
                }
                fn group(&self) -> Group<'_> {
                    self.0.group()
                }
                fn stats(&self) -> FeedStats {
                    self.0.stats()
                }
            }
        };
    }
    of_depth!(Thin, FeedDepth::Prints);
    of_depth!(Candles, FeedDepth::Candles);

    #[test]
    fn one_symbol_in_two_scales_is_refused() {
        let other = Instrument::spot("ETH-USDT", "ETH-USDT".parse().unwrap(), 3, 2).unwrap();
        let other = Box::new(MemorySource::new(vec![other], EventLog::default()));
        let error = Merge::new(vec![source("ETH-USDT", &[]), other]).err().unwrap();
        assert!(error.to_string().contains("--instruments"), "{error}");
    }
}
