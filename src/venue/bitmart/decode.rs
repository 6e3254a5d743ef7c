//! From BitMart's public frames to groups: which channel is a symbol's book, and the rules of its versions.
//!
//! Incremental books are numbered: a snapshot starts the count, each update adds one, an empty update may repeat the
//! last number in quiet times. A number that leaves one out is a gap: the book is not believed until the next
//! snapshot, which a live client asks for with `{"op":"request","args":["spot/depth/increase100:BTC_USDT"]}`.

use rustc_hash::FxHashMap;
use serde_json::value::RawValue;
use smol_str::SmolStr;

use super::Bitmart;
use super::scan::{self, Scales};
use super::wire::{self, BookTicker, Depth, Envelope, Row, Trade};
use crate::market::{
    EventLog, FeedDepth, FeedStats, GroupKind, Instrument, InstrumentId, MarketEvent, Price, Product, Qty,
    Side, Timestamp,
};
use crate::venue::infer::Inference;
use crate::venue::text::{element_error, json_error, near, not_negative, positive, time_of};
use crate::venue::{DecodeError, Decoder, Frame, Known, Venue};

/// A binary frame that inflates to more is refused.
const LARGEST_FRAME: usize = 64 << 20;

/// Decodes BitMart's public spot frames.
pub struct BitmartDecoder {
    instruments: Vec<Instrument>,
    channels: Vec<Channel>,
    by_symbol: FxHashMap<SmolStr, u32>,
    others: Vec<Instrument>,
    /// The channel of the last frame: the first guess for the next.
    last: usize,
    stats: FeedStats,
    staged: Staged,
    inflate: flate2::Decompress,
    inflated: Vec<u8>,
    in_place: bool,
    read_in_place: u64,
}

/// What is known of one symbol's streams.
#[derive(Clone, Copy, Debug)]
struct Channel {
    scales: Scales,
    /// The symbol may be compared byte by byte inside a frame: it needs no escape in JSON.
    plain: bool,
    /// Levels a side of the deepest book channel that was seen; 0: none.
    levels: u32,
    /// The number of the last incremental message; `None` until the first snapshot and after a gap.
    version: Option<i64>,
    trades: bool,
}

/// The elements of one frame, all read and checked before the first is applied.
#[derive(Default)]
struct Staged {
    log: EventLog,
    elements: Vec<Element>,
}

#[derive(Clone, Copy, Debug)]
struct Element {
    channel: usize,
    time: Timestamp,
    what: What,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Increase { snapshot: bool, version: i64 },
    Window(u32),
    Trades,
}

/// What becomes of an element.
enum Verdict {
    Apply(GroupKind),
    Ignore,
    Gap,
}

impl BitmartDecoder {
    /// A decoder of one connection.
    pub fn new(known: Known) -> Self {
        let mut decoder = Self {
            instruments: Vec::new(),
            channels: Vec::new(),
            by_symbol: FxHashMap::default(),
            others: known.others,
            last: 0,
            stats: FeedStats::default(),
            staged: Staged::default(),
            inflate: flate2::Decompress::new(false),
            inflated: Vec::new(),
            in_place: true,
            read_in_place: 0,
        };
        known.declared.into_iter().for_each(|instrument| decoder.add(instrument));
        decoder
    }

    /// The same without reading frames in place: for comparing the two ways.
    #[must_use]
    pub fn without_scanner(self) -> Self {
        Self { in_place: false, ..self }
    }

    fn add(&mut self, instrument: Instrument) {
        let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
        let id = u32::try_from(self.instruments.len()).unwrap_or(u32::MAX);
        if self.by_symbol.contains_key(&instrument.symbol) {
            return;
        }
        self.by_symbol.insert(instrument.symbol.clone(), id);
        self.channels.push(Channel {
            scales: Scales { price: instrument.price_scale, qty: instrument.qty_scale },
            plain: instrument.symbol.bytes().all(plain),
            levels: 0,
            version: None,
            trades: false,
        });
        self.instruments.push(instrument);
    }

    /// The channel of a symbol that was met before.
    fn find(&self, symbol: &str) -> Option<usize> {
        if self.instruments.get(self.last).is_some_and(|last| last.symbol == symbol) {
            return Some(self.last);
        }
        self.by_symbol.get(symbol).map(|id| *id as usize)
    }

    /// The channel of a symbol; one that was not met before becomes known, by its rows if nobody described it.
    fn channel<'r>(
        &mut self,
        symbol: &str,
        rows: impl Iterator<Item = (&'r str, &'r str)>,
    ) -> Result<usize, String> {
        if let Some(found) = self.find(symbol) {
            return Ok(found);
        }
        let instrument =
            match self.others.iter().find(|other| other.symbol == symbol && other.product == Product::Spot) {
                Some(known) => known.clone(),
                None => {
                    let pair = Bitmart.pair_of(symbol).filter(|_| symbol.contains('_'));
                    let pair =
                        pair.ok_or_else(|| format!("symbol {symbol:?} is not of the form BASE_QUOTE"))?;
                    let mut seen = Inference::default();
                    rows.for_each(|(price, qty)| seen.note(price.as_bytes(), qty.as_bytes()));
                    seen.finish(symbol, pair).map_err(|error| error.to_string())?
                }
            };
        self.add(instrument);
        Ok(self.channels.len() - 1)
    }

    fn forget_instruments_from(&mut self, len: usize) {
        for instrument in self.instruments.drain(len..) {
            self.by_symbol.remove(&instrument.symbol);
        }
        self.channels.truncate(len);
    }

    fn text(&mut self, received: Timestamp, text: &str, out: &mut EventLog) -> Result<(), DecodeError> {
        if self.in_place {
            let frame = text.as_bytes();
            let done = self
                .increase_in_place(received, frame, out)
                .or_else(|| self.trades_in_place(received, frame, out));
            if done.is_some() {
                self.read_in_place += 1;
                return Ok(());
            }
            out.discard();
        }
        let before = self.instruments.len();
        let read = self.read(received, text);
        if read.is_ok() {
            self.apply_staged(received, out);
        } else {
            self.forget_instruments_from(before);
        }
        self.staged.log.clear();
        self.staged.elements.clear();
        read
    }

    fn increase_in_place(&mut self, received: Timestamp, frame: &[u8], out: &mut EventLog) -> Option<()> {
        let increase = scan::increase(frame)?;
        let channel = self.find(increase.symbol)?;
        let Channel { scales, plain: true, .. } = self.channels[channel] else { return None };
        let time = time_of(increase.millis)?;
        increase.push_levels(scales, out)?;
        let what = What::Increase { snapshot: increase.snapshot, version: increase.version };
        self.settle(Element { channel, time, what }, received, out);
        Some(())
    }

    fn trades_in_place(&mut self, received: Timestamp, frame: &[u8], out: &mut EventLog) -> Option<()> {
        let symbol = scan::trade_symbol(frame)?;
        let channel = self.find(symbol)?;
        let Channel { scales, plain: true, .. } = self.channels[channel] else { return None };
        // A failed attempt before this one may have left levels behind.
        out.discard();
        let time = time_of(scan::push_trades(frame, symbol, scales, out)?)?;
        self.settle(Element { channel, time, what: What::Trades }, received, out);
        Some(())
    }

    fn apply_staged(&mut self, received: Timestamp, out: &mut EventLog) {
        let staged = std::mem::take(&mut self.staged);
        for (element, group) in staged.elements.iter().zip(staged.log.iter()) {
            for event in group.events {
                match *event {
                    MarketEvent::Trade(print) => {
                        out.push_trade(print.aggressor, print.price, print.qty, print.id.of(group.ids));
                    }
                    event => out.push(event),
                }
            }
            self.settle(*element, received, out);
        }
        self.staged = staged;
    }

    /// Decides over the element whose events are pending in `out`, and closes or forgets them.
    fn settle(&mut self, element: Element, received: Timestamp, out: &mut EventLog) {
        let id = InstrumentId(u32::try_from(element.channel).unwrap_or(u32::MAX));
        self.last = element.channel;
        self.stats.messages += 1;
        match self.verdict(element) {
            // A message that only counts on says nothing about the market.
            Verdict::Apply(GroupKind::Update) if out.pending() == 0 => {}
            Verdict::Apply(kind) => out.close(id, kind, element.time, received),
            Verdict::Ignore => out.discard(),
            Verdict::Gap => {
                out.discard();
                self.stats.gaps += 1;
                out.push(MarketEvent::Distrust);
                out.close(id, GroupKind::Update, element.time, received);
            }
        }
    }

    fn verdict(&mut self, element: Element) -> Verdict {
        let channel = &mut self.channels[element.channel];
        let verdict = match element.what {
            What::Trades => {
                channel.trades = true;
                return Verdict::Apply(GroupKind::Update);
            }
            // The deepest channel is the book.
            What::Window(levels) if levels < channel.levels => Verdict::Ignore,
            What::Window(levels) => {
                channel.levels = levels;
                Verdict::Apply(GroupKind::Snapshot)
            }
            What::Increase { snapshot: true, version } => {
                channel.levels = wire::INCREASE_LEVELS;
                channel.version = Some(version);
                Verdict::Apply(GroupKind::Snapshot)
            }
            What::Increase { snapshot: false, version } => match channel.version {
                Some(last) if version > last && version - last == 1 => {
                    channel.version = Some(version);
                    Verdict::Apply(GroupKind::Update)
                }
                Some(last) if version > last => {
                    channel.version = None;
                    Verdict::Gap
                }
                _ => Verdict::Ignore,
            },
        };
        self.stats.book_updates += u64::from(matches!(verdict, Verdict::Apply(_)));
        verdict
    }

    /// Reads any frame into `staged`.
    fn read(&mut self, received: Timestamp, text: &str) -> Result<(), DecodeError> {
        if matches!(text.trim(), "pong" | "ping") {
            return Ok(());
        }
        let envelope: Envelope<'_> =
            serde_json::from_str(text).map_err(|error| json_error(text, &error, "not a frame"))?;
        let fail = |fault: String| DecodeError { fault, near: near(text, 0) };
        if envelope.table.is_empty() {
            let answer = [envelope.event, envelope.topic, envelope.error_code, envelope.error_message];
            return match answer.iter().any(Option::is_some) {
                true => Ok(()),
                false => Err(fail("neither a push (table, data) nor an answer (event)".to_owned())),
            };
        }
        let table: &str = &envelope.table;
        let data = envelope.data.ok_or_else(|| fail(format!("{table}: data is missing")));
        let window = wire::WINDOWS.iter().find(|(name, _)| *name == table);
        match (table, window) {
            (wire::INCREASE, _) => self.read_each(received, data?, Self::read_increase),
            (wire::TRADE, _) => self.read_trades(received, data?),
            (wire::BOOK_TICKER, _) => self.read_each(received, data?, Self::read_ticker),
            (_, Some((_, levels))) => self.read_each(received, data?, |decoder, book: &Depth<'_>| {
                decoder.read_levels(book, false).map(|channel| (channel, book.ms_t, What::Window(*levels)))
            }),
            // Known and without a group that fits: tickers, candles, private channels.
            (other, _) if other.starts_with("spot/") => Ok(()),
            (other, _) => Err(fail(format!("unknown table {other:?}"))),
        }
    }

    /// Reads elements that are a group each.
    fn read_each<'a, T: serde::Deserialize<'a>>(
        &mut self,
        received: Timestamp,
        data: &'a RawValue,
        read: impl Fn(&mut Self, &T) -> Result<(usize, Option<i64>, What), String>,
    ) -> Result<(), DecodeError> {
        let elements: Vec<T> =
            serde_json::from_str(data.get()).map_err(|error| json_error(data.get(), &error, "data"))?;
        for (index, element) in elements.iter().enumerate() {
            let (channel, time, what) = read(self, element)
                .and_then(|(channel, millis, what)| Ok((channel, checked_time(millis, received)?, what)))
                .map_err(|fault| element_error(data, index, &fault))?;
            self.stage(Element { channel, time, what });
        }
        Ok(())
    }

    fn stage(&mut self, element: Element) {
        let id = InstrumentId(u32::try_from(element.channel).unwrap_or(u32::MAX));
        self.staged.log.close(id, GroupKind::Update, element.time, element.time);
        self.staged.elements.push(element);
    }

    fn read_increase(&mut self, book: &Depth<'_>) -> Result<(usize, Option<i64>, What), String> {
        let snapshot = match &*book.kind {
            "snapshot" => true,
            "update" => false,
            "" => return Err("type is missing".to_owned()),
            other => return Err(format!("type {other:?} is neither snapshot nor update")),
        };
        let version = book.version.ok_or("version is missing")?;
        if version < 0 {
            return Err(format!("version {version} is negative"));
        }
        let channel = self.read_levels(book, !snapshot)?;
        Ok((channel, book.ms_t, What::Increase { snapshot, version }))
    }

    /// Reads the levels of a book; in an update a size of zero takes its level away, elsewhere it is no level.
    fn read_levels(&mut self, book: &Depth<'_>, update: bool) -> Result<usize, String> {
        let rows = book.asks.iter().chain(&book.bids).map(|row| (&*row.0, &*row.1));
        let channel = self.channel(&book.symbol, rows)?;
        let scales = self.channels[channel].scales;
        for (side, name, rows) in [(Side::Sell, "asks", &book.asks), (Side::Buy, "bids", &book.bids)] {
            for (index, Row(price, qty)) in rows.iter().enumerate() {
                let field = |what: &str| format!("{name}[{index}] {what}");
                let price = Price::from_units(positive(&field("price"), price, scales.price)?);
                let qty = Qty::from_units(not_negative(&field("size"), qty, scales.qty)?);
                if update || !qty.is_zero() {
                    self.staged.log.push(MarketEvent::Level { side, price, qty });
                }
            }
        }
        Ok(channel)
    }

    fn read_ticker(&mut self, best: &BookTicker<'_>) -> Result<(usize, Option<i64>, What), String> {
        let sides = [
            (Side::Sell, ("ask_px", &best.ask_px), ("ask_sz", &best.ask_sz)),
            (Side::Buy, ("bid_px", &best.bid_px), ("bid_sz", &best.bid_sz)),
        ];
        let rows = sides.iter().map(|(_, price, qty)| (&**price.1, &**qty.1));
        let channel = self.channel(&best.symbol, rows)?;
        let scales = self.channels[channel].scales;
        for (side, price, qty) in sides.into_iter().filter(|(_, price, _)| !price.1.is_empty()) {
            let price = Price::from_units(positive(price.0, price.1, scales.price)?);
            let qty = Qty::from_units(not_negative(qty.0, qty.1, scales.qty)?);
            if !qty.is_zero() {
                self.staged.log.push(MarketEvent::Level { side, price, qty });
            }
        }
        Ok((channel, best.ms_t, What::Window(1)))
    }

    /// Reads trades; neighbours of one symbol and time are one group.
    fn read_trades(&mut self, received: Timestamp, data: &RawValue) -> Result<(), DecodeError> {
        let trades: Vec<Trade<'_>> =
            serde_json::from_str(data.get()).map_err(|error| json_error(data.get(), &error, "data"))?;
        let mut open: Option<Element> = None;
        for (index, trade) in trades.iter().enumerate() {
            let fail = |fault: String| element_error(data, index, &fault);
            let channel =
                self.channel(&trade.symbol, std::iter::once((&*trade.price, &*trade.size))).map_err(fail)?;
            let millis = trade.ms_t.or(trade.s_t.map(|seconds| seconds.saturating_mul(1_000)));
            let time = checked_time(millis, received).map_err(fail)?;
            if let Some(before) = open.filter(|open| (open.channel, open.time) != (channel, time)) {
                self.stage(before);
            }
            open = Some(Element { channel, time, what: What::Trades });
            self.read_trade(trade, channel).map_err(fail)?;
        }
        if let Some(last) = open {
            self.stage(last);
        }
        Ok(())
    }

    fn read_trade(&mut self, trade: &Trade<'_>, channel: usize) -> Result<(), String> {
        let scales = self.channels[channel].scales;
        let price = Price::from_units(positive("price", &trade.price, scales.price)?);
        let qty = Qty::from_units(positive("size", &trade.size, scales.qty)?);
        let aggressor = match &*trade.side {
            "buy" => Some(Side::Buy),
            "sell" => Some(Side::Sell),
            "" => None,
            other => return Err(format!("side {other:?} is neither buy nor sell")),
        };
        self.staged.log.push_trade(aggressor, price, qty, &[]);
        Ok(())
    }

    /// Inflates a binary frame (raw deflate, RFC 1951) into `inflated`.
    fn inflate(&mut self, mut bytes: &[u8]) -> Result<(), &'static str> {
        self.inflate.reset(false);
        self.inflated.clear();
        loop {
            if self.inflated.len() == self.inflated.capacity() {
                self.inflated.reserve(self.inflated.len().max(4_096));
            }
            if self.inflated.len() > LARGEST_FRAME {
                return Err("binary frame inflates to more than 64 MiB");
            }
            let (read, written) = (self.inflate.total_in(), self.inflated.len());
            let status = self
                .inflate
                .decompress_vec(bytes, &mut self.inflated, flate2::FlushDecompress::None)
                .map_err(|_| "binary frame is not raw deflate")?;
            let used = usize::try_from(self.inflate.total_in() - read).unwrap_or(usize::MAX);
            bytes = bytes.get(used..).unwrap_or_default();
            let full = self.inflated.len() == self.inflated.capacity();
            let stuck = used == 0 && self.inflated.len() == written;
            match status {
                flate2::Status::StreamEnd => return Ok(()),
                _ if full => {}
                // A sender may flush instead of ending the stream; text that was cut off fails as JSON.
                _ if bytes.is_empty() || stuck => return Ok(()),
                _ => {}
            }
        }
    }
}

impl Decoder for BitmartDecoder {
    fn instruments(&self) -> &[Instrument] {
        &self.instruments
    }

    fn depth(&self, instrument: InstrumentId) -> FeedDepth {
        match self.channels.get(instrument.index()) {
            Some(Channel { levels: 0, trades: true, .. }) => FeedDepth::Prints,
            Some(Channel { levels, .. }) if *levels > 0 => FeedDepth::Levels(*levels),
            // The channel that clients subscribe, until the first frame says otherwise.
            _ => FeedDepth::Levels(wire::INCREASE_LEVELS),
        }
    }

    fn decode(
        &mut self,
        received: Timestamp,
        frame: Frame<'_>,
        out: &mut EventLog,
    ) -> Result<(), DecodeError> {
        match frame {
            Frame::Text(text) => self.text(received, text, out),
            Frame::Binary(bytes) => {
                let fail = |fault: &str| DecodeError { fault: fault.to_owned(), near: String::new() };
                self.inflate(bytes).map_err(fail)?;
                let inflated = std::mem::take(&mut self.inflated);
                let done = match std::str::from_utf8(&inflated) {
                    Ok(text) => self.text(received, text, out),
                    Err(_) => Err(fail("binary frame does not inflate to text")),
                };
                self.inflated = inflated;
                done
            }
        }
    }

    fn stats(&self) -> FeedStats {
        self.stats
    }

    fn read_in_place(&self) -> u64 {
        self.read_in_place
    }
}

fn checked_time(millis: Option<i64>, received: Timestamp) -> Result<Timestamp, String> {
    match millis {
        Some(millis) => time_of(millis).ok_or_else(|| format!("ms_t {millis} is no time in milliseconds")),
        None => Ok(received),
    }
}
