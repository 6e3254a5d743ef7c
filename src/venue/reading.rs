//! What the decoders of venues share: a frame is read and checked whole before any of it counts, the deepest channel
//! is the book, a book that cannot be believed is told as [`MarketEvent::Distrust`] until its next snapshot.
//!
//! A venue writes a [`Protocol`]: how its frames read, and what becomes of an element of an incremental book.
//! Never here: a venue's spelling. Start at [`Reading`].

use rustc_hash::FxHashMap;
use smol_str::SmolStr;

use super::infer::Inference;
use super::text::{near, not_negative, positive};
use super::{DecodeError, Decoder, Frame, Known};
use crate::market::{
    EventLog, FeedDepth, FeedStats, GroupKind, Instrument, InstrumentId, MarketEvent, Pair, Price, Product,
    Qty, RuleOrigin, Side, Timestamp,
};

/// [`Slot::levels`] of a channel that shows every level.
pub(crate) const FULL: u32 = u32::MAX;

/// The rules of one venue's frames.
pub(crate) trait Protocol: Sized + Default {
    /// What is kept of a symbol.
    type Channel: Default;
    /// What an element of an incremental book says beside its levels.
    type Book: Copy;
    /// The channel that clients subscribe, until the first frame says otherwise.
    const DEPTH: FeedDepth;

    /// Reads a frame into the sheet. What fails leaves nothing behind.
    fn read(&mut self, sheet: &mut SheetOf<Self>, text: &str) -> Result<(), DecodeError>;

    /// Reads one of the hot frames in place and pushes its events, in the exchange's own spelling and of symbols that
    /// were met before; or answers `None`, and the frame is read as any other.
    fn scan(
        &mut self,
        _sheet: &mut SheetOf<Self>,
        _frame: &[u8],
        _out: &mut EventLog,
    ) -> Option<Element<Self::Book>> {
        None
    }

    /// What becomes of an element of an incremental book.
    fn judge(&mut self, slot: &mut Slot<Self::Channel>, book: Self::Book) -> Verdict;
}

/// The sheet of a protocol.
pub(crate) type SheetOf<P> = Sheet<<P as Protocol>::Channel, <P as Protocol>::Book>;

/// What becomes of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It counts.
    Apply(GroupKind),
    /// It is old news, or of a channel that is not the book.
    Ignore,
    /// Something is missing: the book is not to be believed until the next snapshot.
    Gap,
    /// The book is not the exchange's: the same.
    WrongChecksum,
}

/// What an element is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum What<B> {
    /// A part or the whole of an incremental book.
    Book(B),
    /// A whole book of so many levels a side.
    Window(u32),
    /// Prints.
    Trades,
    /// What is told beside the market.
    News,
}

/// Decimals of an instrument's prices and quantities.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scales {
    pub(crate) price: u8,
    pub(crate) qty: u8,
}

/// What is known of one symbol's streams.
#[derive(Debug)]
pub(crate) struct Slot<C> {
    pub(crate) scales: Scales,
    /// The instrument's.
    pub(crate) tick: Price,
    /// Levels a side of the deepest book channel that was seen; 0: none.
    pub(crate) levels: u32,
    trades: bool,
    /// The venue's own part.
    pub(crate) own: C,
}

/// One message about one instrument, whose events are a group of the sheet's log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element<B> {
    pub(crate) channel: usize,
    pub(crate) time: Timestamp,
    pub(crate) what: What<B>,
}

/// A decoder by a venue's protocol.
pub(crate) struct Reading<P: Protocol> {
    protocol: P,
    sheet: SheetOf<P>,
    stats: FeedStats,
    in_place: bool,
    read_in_place: u64,
}

/// What a frame is read into, and the symbols met so far.
pub(crate) struct Sheet<C, B> {
    instruments: Vec<Instrument>,
    slots: Vec<Slot<C>>,
    by_symbol: FxHashMap<SmolStr, u32>,
    others: Vec<Instrument>,
    /// The channel of the last symbol: the first guess for the next.
    last: usize,
    /// When the frame was received: the time of what names none.
    pub(crate) received: Timestamp,
    log: EventLog,
    elements: Vec<Element<B>>,
    /// Prints that are not closed yet.
    prints: Option<(usize, Timestamp)>,
}

impl<C: Default, B: Copy> Sheet<C, B> {
    fn new(known: Known) -> Self {
        let mut sheet = Self {
            instruments: Vec::new(),
            slots: Vec::new(),
            by_symbol: FxHashMap::default(),
            others: known.others,
            last: 0,
            received: Timestamp::from_nanos(0),
            log: EventLog::default(),
            elements: Vec::new(),
            prints: None,
        };
        known.declared.into_iter().for_each(|instrument| sheet.add(instrument));
        sheet
    }

    fn add(&mut self, instrument: Instrument) {
        if self.by_symbol.contains_key(&instrument.symbol) {
            return;
        }
        let id = u32::try_from(self.instruments.len()).unwrap_or(u32::MAX);
        self.by_symbol.insert(instrument.symbol.clone(), id);
        let scales = Scales { price: instrument.price_scale, qty: instrument.qty_scale };
        let tick = instrument.rule.tick;
        self.slots.push(Slot { scales, tick, levels: 0, trades: false, own: C::default() });
        self.instruments.push(instrument);
    }

    fn forget_from(&mut self, len: usize) {
        for instrument in self.instruments.drain(len..) {
            self.by_symbol.remove(&instrument.symbol);
        }
        self.slots.truncate(len);
    }

    /// The channel of a symbol that was met before.
    pub(crate) fn find(&mut self, symbol: &str) -> Option<usize> {
        if self.instruments.get(self.last).is_none_or(|last| last.symbol != symbol) {
            self.last = *self.by_symbol.get(symbol)? as usize;
        }
        Some(self.last)
    }

    /// What is known of a symbol that was not met yet: its description, or that of the same pair under another of
    /// the exchange's spellings.
    fn described(&self, symbol: &str, rule: Option<&(Pair, Product)>) -> Option<Instrument> {
        if let Some(known) = self.others.iter().find(|other| other.symbol == symbol) {
            return Some(known.clone());
        }
        let (pair, product) = rule?;
        let kind = std::mem::discriminant(product);
        let same =
            |other: &&Instrument| other.pair == *pair && std::mem::discriminant(&other.product) == kind;
        let known = self.others.iter().find(same)?;
        Some(Instrument { symbol: symbol.into(), ..known.clone() })
    }

    /// The channel of a symbol whose description is known, or `None`. `rule` is what the spelling says.
    pub(crate) fn meet_known(&mut self, symbol: &str, rule: Option<&(Pair, Product)>) -> Option<usize> {
        if let Some(found) = self.find(symbol) {
            return Some(found);
        }
        let instrument = self.described(symbol, rule)?;
        self.add(instrument);
        self.last = self.slots.len() - 1;
        Some(self.last)
    }

    /// The channel of a symbol; one that nobody described is inferred from these rows. `rule` says what its spelling
    /// says, or what is wrong with it.
    pub(crate) fn meet<'r>(
        &mut self,
        symbol: &str,
        rule: impl FnOnce(&str) -> Result<(Pair, Product), String>,
        rows: impl Iterator<Item = (&'r str, &'r str)>,
    ) -> Result<usize, String> {
        if let Some(found) = self.find(symbol) {
            return Ok(found);
        }
        let rule = rule(symbol);
        if let Some(known) = self.meet_known(symbol, rule.as_ref().ok()) {
            return Ok(known);
        }
        let (pair, product) = rule?;
        let mut seen = Inference::default();
        rows.for_each(|(price, qty)| seen.note(price.as_bytes(), qty.as_bytes()));
        let inferred = seen.finish(symbol, pair).map_err(|error| error.to_string())?;
        self.add(Instrument { product, ..inferred });
        self.last = self.slots.len() - 1;
        Ok(self.last)
    }

    /// Adds a level. In an update a size of zero takes the level away, elsewhere it is no level. `place` names the
    /// row in faults.
    pub(crate) fn level(
        &mut self,
        channel: usize,
        side: Side,
        (price, qty): (&str, &str),
        update: bool,
        place: impl Fn() -> String,
    ) -> Result<(Price, Qty), String> {
        let scales = self.slots[channel].scales;
        let at = |fault: String| format!("{} {fault}", place());
        let price = Price::from_units(positive("price", price, scales.price).map_err(at)?);
        let qty = Qty::from_units(not_negative("size", qty, scales.qty).map_err(at)?);
        if update || !qty.is_zero() {
            self.log.push(MarketEvent::Level { side, price, qty });
        }
        Ok((price, qty))
    }

    /// Takes over a description that a frame brought; what the user described stays, and so does what was met.
    pub(crate) fn know(&mut self, instrument: Instrument) {
        let place = self.others.iter().position(|other| other.origin != RuleOrigin::File);
        let place = place.unwrap_or(self.others.len());
        if self.others[..place].iter().all(|other| other.symbol != instrument.symbol) {
            self.others.insert(place, instrument);
        }
    }

    pub(crate) fn slot(&self, channel: usize) -> &Slot<C> {
        &self.slots[channel]
    }

    /// Adds any other event to the element that is being read.
    pub(crate) fn push(&mut self, event: MarketEvent) {
        self.log.push(event);
    }

    /// Forgets what was added to the element that is being read.
    pub(crate) fn discard(&mut self) {
        self.log.discard();
    }

    /// Ends the element that is being read.
    pub(crate) fn close(&mut self, channel: usize, time: Timestamp, what: What<B>) {
        let id = InstrumentId(u32::try_from(channel).unwrap_or(u32::MAX));
        self.log.close(id, GroupKind::Update, time, time);
        self.elements.push(Element { channel, time, what });
    }

    /// Adds a print; neighbours of one symbol and time are one element. [`Sheet::end_prints`] ends the last.
    pub(crate) fn print(
        &mut self,
        (channel, time): (usize, Timestamp),
        aggressor: Option<Side>,
        (price, qty): (&str, &str),
        id: &[u8],
    ) -> Result<(), String> {
        if self.prints.is_some_and(|open| open != (channel, time)) {
            self.end_prints();
        }
        let scales = self.slots[channel].scales;
        let price = Price::from_units(positive("price", price, scales.price)?);
        let qty = Qty::from_units(positive("size", qty, scales.qty)?);
        self.log.push_trade(aggressor, price, qty, id);
        self.prints = Some((channel, time));
        Ok(())
    }

    /// Ends the prints of a frame.
    pub(crate) fn end_prints(&mut self) {
        if let Some((channel, time)) = self.prints.take() {
            self.close(channel, time, What::Trades);
        }
    }

    fn clear(&mut self) {
        self.log.clear();
        self.elements.clear();
        self.prints = None;
    }
}

impl<C> Slot<C> {
    /// Whether a channel of so many levels is this symbol's book; from then on it is.
    pub(crate) fn is_book(&mut self, levels: u32) -> bool {
        if levels < self.levels {
            return false;
        }
        self.levels = levels;
        true
    }
}

impl<P: Protocol> Reading<P> {
    /// A decoder of one connection.
    pub(crate) fn new(known: Known) -> Self {
        let stats = FeedStats::default();
        Self { protocol: P::default(), sheet: Sheet::new(known), stats, in_place: true, read_in_place: 0 }
    }

    /// The same without reading frames in place: for comparing the two ways.
    #[must_use]
    pub(crate) fn without_scanner(self) -> Self {
        Self { in_place: false, ..self }
    }

    fn apply(&mut self, out: &mut EventLog) {
        let staged = (std::mem::take(&mut self.sheet.elements), std::mem::take(&mut self.sheet.log));
        for (element, group) in staged.0.iter().zip(staged.1.iter()) {
            for event in group.events {
                match *event {
                    MarketEvent::Trade(print) => {
                        out.push_trade(print.aggressor, print.price, print.qty, print.id.of(group.ids));
                    }
                    event => out.push(event),
                }
            }
            self.settle(element, out);
        }
        (self.sheet.elements, self.sheet.log) = staged;
    }

    /// Decides over the element whose events are pending in `out`, and closes or forgets them.
    fn settle(&mut self, element: &Element<P::Book>, out: &mut EventLog) {
        let id = InstrumentId(u32::try_from(element.channel).unwrap_or(u32::MAX));
        let slot = &mut self.sheet.slots[element.channel];
        let received = self.sheet.received;
        self.stats.messages += 1;
        let verdict = match element.what {
            What::Trades => {
                slot.trades = true;
                Verdict::Apply(GroupKind::Update)
            }
            What::News => Verdict::Apply(GroupKind::Update),
            What::Window(levels) if slot.is_book(levels) => Verdict::Apply(GroupKind::Snapshot),
            What::Window(_) => Verdict::Ignore,
            What::Book(book) => self.protocol.judge(slot, book),
        };
        let of_book = matches!(element.what, What::Book(_) | What::Window(_));
        self.stats.book_updates += u64::from(of_book && matches!(verdict, Verdict::Apply(_)));
        match verdict {
            // A message that only counts on says nothing about the market.
            Verdict::Apply(GroupKind::Update) if out.pending() == 0 => {}
            Verdict::Apply(kind) => out.close(id, kind, element.time, received),
            Verdict::Ignore => out.discard(),
            Verdict::Gap | Verdict::WrongChecksum => {
                out.discard();
                self.stats.gaps += u64::from(verdict == Verdict::Gap);
                self.stats.checksum_failures += u64::from(verdict == Verdict::WrongChecksum);
                out.push(MarketEvent::Distrust);
                out.close(id, GroupKind::Update, element.time, received);
            }
        }
    }
}

impl<P: Protocol> Decoder for Reading<P> {
    fn instruments(&self) -> &[Instrument] {
        &self.sheet.instruments
    }

    fn depth(&self, instrument: InstrumentId) -> FeedDepth {
        match self.sheet.slots.get(instrument.index()) {
            Some(Slot { levels: 0, trades: true, .. }) => FeedDepth::Prints,
            Some(Slot { levels: 0, .. }) | None => P::DEPTH,
            Some(Slot { levels: FULL, .. }) => FeedDepth::Full,
            Some(Slot { levels, .. }) => FeedDepth::Levels(*levels),
        }
    }

    fn decode(
        &mut self,
        received: Timestamp,
        frame: Frame<'_>,
        out: &mut EventLog,
    ) -> Result<(), DecodeError> {
        let Frame::Text(text) = frame else {
            let fault = "a binary frame; this exchange sends text".to_owned();
            return Err(DecodeError { fault, near: String::new() });
        };
        let known = self.sheet.instruments.len();
        self.sheet.received = received;
        if self.in_place {
            match self.protocol.scan(&mut self.sheet, text.as_bytes(), out) {
                Some(element) => {
                    self.read_in_place += 1;
                    self.settle(&element, out);
                    return Ok(());
                }
                None => {
                    out.discard();
                    self.sheet.forget_from(known);
                }
            }
        }
        let read = self.protocol.read(&mut self.sheet, text);
        if read.is_ok() {
            self.apply(out);
        } else {
            self.sheet.forget_from(known);
        }
        self.sheet.clear();
        read
    }

    fn stats(&self) -> FeedStats {
        self.stats
    }

    fn read_in_place(&self) -> u64 {
        self.read_in_place
    }
}

/// The number of an incremental book's last message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Chain {
    /// There was no snapshot yet.
    #[default]
    Empty,
    /// The number of the last message.
    At(i64),
    /// Something is missing; told already.
    Broken,
}

impl Chain {
    /// The verdict over an update that follows the message numbered `before`, and is numbered `number` itself.
    pub(crate) fn follow(&mut self, before: i64, number: i64) -> Verdict {
        match *self {
            Self::At(last) if number <= last => Verdict::Ignore,
            Self::At(last) if before == last => {
                *self = Self::At(number);
                Verdict::Apply(GroupKind::Update)
            }
            Self::Broken => Verdict::Ignore,
            Self::Empty | Self::At(_) => {
                *self = Self::Broken;
                Verdict::Gap
            }
        }
    }
}

/// A frame that is none of what its exchange sends.
pub(crate) fn unknown(text: &str, fault: impl Into<String>) -> DecodeError {
    DecodeError { fault: fault.into(), near: near(text, 0) }
}
