//! From Bitget's public frames to groups.
//!
//! `books` is incremental. Its messages are held together by what each interface has: v1 by a checksum, v2 and v3 by
//! `pseq`, the number of the message before (a plain `seq` may leave numbers out, so it shows no gap), and by a
//! checksum where it is sent and not 0. The other book channels send the whole of what they show.
//! The trades that a subscription begins with (`snapshot`) are history, no evidence. Trades come newest first.

use serde_json::value::RawValue;

use super::sum::{Place, TextBook};
use super::wire::{self, Arg, Book, Envelope, Liquidation, Ticker, Trade, Trade1};
use super::{rule, scan};
use crate::market::decimal::parse_units_cut;
use crate::market::{
    EventLog, FeedDepth, FinePrice, FundingRate, GroupKind, MarketEvent, News, Price, Qty, Side, Timestamp,
};
use crate::venue::DecodeError;
use crate::venue::reading::{Chain, Element, FULL, Protocol, Sheet, Slot, Verdict, What, unknown};
use crate::venue::scan::ScannedPrint;
use crate::venue::text::{Number, Row, element_error, json_error, part, time_of};

/// Bitget's public interfaces; each frame says by its shape which it is of.
#[derive(Default)]
pub(super) struct BitgetProtocol {
    /// The levels of the frame's books as texts, for their checksums.
    pub(super) levels: Texts,
    /// Of the frame that is being scanned.
    pub(super) prints: Vec<ScannedPrint>,
}

/// The levels of a frame, and where their texts are.
#[derive(Default)]
pub(super) struct Texts {
    levels: Vec<TextLevel>,
    /// What the places are places of: the frame; of one that is not read in place, its levels in the same spelling.
    text: Vec<u8>,
}

/// A level and where its text is.
#[derive(Clone, Copy, Debug)]
struct TextLevel {
    side: Side,
    price: Price,
    goes: bool,
    text: Place,
}

impl Texts {
    pub(super) fn len(&self) -> usize {
        self.levels.len()
    }

    pub(super) fn clear(&mut self) {
        self.levels.clear();
        self.text.clear();
    }

    /// Adds a level of a frame that is read in place.
    #[inline(always)]
    pub(super) fn push(&mut self, (side, price): (Side, Price), goes: bool, text: Place) {
        self.levels.push(TextLevel { side, price, goes, text });
    }

    /// Takes over the frame that was read in place.
    pub(super) fn keep(&mut self, frame: &[u8]) {
        self.text.extend_from_slice(frame);
    }

    /// Adds a level with its text.
    fn push_text(&mut self, level: (Side, Price), goes: bool, (price, size): (&str, &str)) {
        let place = Place::write(&mut self.text, price, size);
        self.push(level, goes, place);
    }
}

/// What is kept of a symbol's `books`.
#[derive(Default)]
pub(super) struct Books {
    chain: Chain,
    /// Levels a side, where messages said so.
    depth: Option<u32>,
    /// From the first snapshot on.
    texts: Option<TextBook>,
}

/// A message of `books`: how it is numbered and summed, and where its texts end among those of the frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message {
    pub(super) snapshot: bool,
    pub(super) seq: Option<i64>,
    pub(super) pseq: Option<i64>,
    pub(super) checksum: Option<i32>,
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) depth: Option<u32>,
}

pub(super) type BitgetSheet = Sheet<Books, Message>;

impl Protocol for BitgetProtocol {
    type Channel = Books;
    type Book = Message;
    const DEPTH: FeedDepth = FeedDepth::Full;

    fn read(&mut self, sheet: &mut BitgetSheet, text: &str) -> Result<(), DecodeError> {
        self.levels.clear();
        if matches!(text.trim(), "pong" | "ping") {
            return Ok(());
        }
        let envelope: Envelope<'_> =
            serde_json::from_str(text).map_err(|error| json_error(text, &error, "not a frame"))?;
        let push = match (&envelope.arg, envelope.data, envelope.action.is_empty()) {
            _ if envelope.event.is_some() => return Ok(()),
            (Some(arg), Some(data), false) => (arg, data),
            _ if envelope.table.is_some() => {
                return Err(unknown(text, "a frame of the interface before v1 (table), which is not read"));
            }
            _ if envelope.request_time.is_some() => {
                return Err(unknown(text, "a reply of the REST interface, no frame"));
            }
            _ => return Err(unknown(text, "neither a push (action, arg, data) nor an answer (event)")),
        };
        self.read_push(sheet, push.0, push.1, &envelope.action)
    }

    fn scan(
        &mut self,
        sheet: &mut BitgetSheet,
        frame: &[u8],
        out: &mut EventLog,
    ) -> Option<Element<Message>> {
        self.levels.clear();
        scan::push(sheet, (&mut self.levels, &mut self.prints), frame, out)
    }

    fn judge(&mut self, slot: &mut Slot<Books>, book: Message) -> Verdict {
        // Not every message says how deep the channel is; it is the deepest of all.
        slot.own.depth = book.depth.or(slot.own.depth);
        slot.levels = slot.own.depth.unwrap_or(FULL);
        let verdict = slot.own.follow(&book);
        if !matches!(verdict, Verdict::Apply(_)) {
            return verdict;
        }
        let texts = slot.own.texts.get_or_insert_with(|| TextBook::new(slot.tick));
        if book.snapshot {
            texts.clear();
        }
        for TextLevel { side, price, goes, text } in &self.levels.levels[book.from..book.to] {
            match goes {
                true => texts.remove(*side, *price),
                false => texts.set(*side, *price, &self.levels.text, *text),
            }
        }
        match book.checksum {
            Some(sum) if sum != texts.checksum() => {
                slot.own.chain = Chain::Broken;
                Verdict::WrongChecksum
            }
            _ => verdict,
        }
    }
}

impl Books {
    /// Whether a message follows the last.
    fn follow(&mut self, book: &Message) -> Verdict {
        if book.snapshot {
            self.chain = Chain::At(book.seq.unwrap_or(0));
            return Verdict::Apply(GroupKind::Snapshot);
        }
        match (self.chain, book.pseq, book.seq) {
            (_, Some(before), Some(number)) => self.chain.follow(before, number),
            // Numbers that may be left out, or none: the checksum holds the messages together.
            (Chain::At(last), None, number) => {
                self.chain = Chain::At(number.unwrap_or(last));
                Verdict::Apply(GroupKind::Update)
            }
            (_, _, number) => self.chain.follow(i64::MIN, number.unwrap_or(i64::MAX)),
        }
    }
}

impl BitgetProtocol {
    fn read_push(
        &mut self,
        sheet: &mut BitgetSheet,
        arg: &Arg<'_>,
        data: &RawValue,
        action: &str,
    ) -> Result<(), DecodeError> {
        let fail = |fault: String| unknown(data.get(), fault);
        let snapshot = match action {
            "snapshot" => true,
            "update" => false,
            other => return Err(fail(format!("action {other:?} is neither snapshot nor update"))),
        };
        let symbol = arg.symbol(&arg.inst_id).map_err(fail)?;
        match &*arg.channel {
            "books" => self.read_books(sheet, &symbol, data, snapshot),
            "trade" | "publicTrade" if snapshot => Ok(()),
            "trade" | "publicTrade" => read_trades(sheet, &symbol, data),
            "ticker" => read_tickers(sheet, &symbol, data),
            "liquidation" => read_liquidations(sheet, arg, data),
            channel if wire::window(channel).is_some() => read_windows(sheet, &symbol, channel, data),
            channel if ["candle", "kline"].iter().any(|known| channel.starts_with(known)) => Ok(()),
            // Private channels and what we have no use for.
            "account" | "positions" | "orders" | "fill" | "index-price" => Ok(()),
            other => Err(fail(format!("unknown channel {other:?}"))),
        }
    }

    fn read_books(
        &mut self,
        sheet: &mut BitgetSheet,
        symbol: &str,
        data: &RawValue,
        snapshot: bool,
    ) -> Result<(), DecodeError> {
        let books: Vec<Book<'_>> = part(data, "data")?;
        for (index, book) in books.iter().enumerate() {
            self.read_book(sheet, symbol, book, snapshot)
                .map_err(|fault| element_error(data, index, &fault))?;
        }
        Ok(())
    }

    fn read_book(
        &mut self,
        sheet: &mut BitgetSheet,
        symbol: &str,
        book: &Book<'_>,
        snapshot: bool,
    ) -> Result<(), String> {
        let channel = sheet.meet(symbol, rule, book.asks.iter().chain(&book.bids).map(Row::texts))?;
        let checksum = book.checksum.filter(|sum| *sum != 0);
        let from = self.levels.len();
        for (side, name, rows) in [(Side::Sell, "asks", &book.asks), (Side::Buy, "bids", &book.bids)] {
            for (index, row) in rows.iter().enumerate() {
                let (price, qty) =
                    sheet.level(channel, side, row.texts(), !snapshot, || format!("{name}[{index}]"))?;
                self.levels.push_text((side, price), qty.is_zero(), row.texts());
            }
        }
        let levels = |text: &str| {
            let levels = text.parse::<u32>().ok().filter(|levels| *levels > 0);
            levels.ok_or_else(|| format!("maxdepth {text:?} is no number of levels"))
        };
        let depth = book.maxdepth.as_ref().map(|text| levels(&text.0)).transpose()?;
        let (to, time) = (self.levels.len(), millis(sheet, book.ts.as_ref())?);
        let Book { seq, pseq, .. } = *book;
        sheet.close(channel, time, What::Book(Message { snapshot, seq, pseq, checksum, from, to, depth }));
        Ok(())
    }
}

fn millis(sheet: &BitgetSheet, text: Option<&Number<'_>>) -> Result<Timestamp, String> {
    let Some(Number(text)) = text else { return Ok(sheet.received) };
    let time = text.parse().ok().and_then(time_of);
    time.ok_or_else(|| format!("ts {text:?} is no time in milliseconds"))
}

fn side_of(text: &str) -> Result<Option<Side>, String> {
    // Some interfaces write `Buy`.
    match text {
        "" => Ok(None),
        side if side.eq_ignore_ascii_case("buy") => Ok(Some(Side::Buy)),
        side if side.eq_ignore_ascii_case("sell") => Ok(Some(Side::Sell)),
        other => Err(format!("side {other:?} is neither buy nor sell")),
    }
}

fn read_windows(
    sheet: &mut BitgetSheet,
    symbol: &str,
    channel: &str,
    data: &RawValue,
) -> Result<(), DecodeError> {
    let books: Vec<Book<'_>> = part(data, "data")?;
    let levels = wire::window(channel).unwrap_or(1);
    for (index, book) in books.iter().enumerate() {
        read_window(sheet, symbol, book, levels).map_err(|fault| element_error(data, index, &fault))?;
    }
    Ok(())
}

fn read_window(sheet: &mut BitgetSheet, symbol: &str, book: &Book<'_>, levels: u32) -> Result<(), String> {
    let channel = sheet.meet(symbol, rule, book.asks.iter().chain(&book.bids).map(Row::texts))?;
    for (side, name, rows) in [(Side::Sell, "asks", &book.asks), (Side::Buy, "bids", &book.bids)] {
        for (index, row) in rows.iter().enumerate() {
            sheet.level(channel, side, row.texts(), false, || format!("{name}[{index}]"))?;
        }
    }
    let time = millis(sheet, book.ts.as_ref())?;
    sheet.close(channel, time, What::Window(levels));
    Ok(())
}

fn read_trades(sheet: &mut BitgetSheet, symbol: &str, data: &RawValue) -> Result<(), DecodeError> {
    let rows: Vec<&RawValue> = part(data, "data")?;
    for (index, row) in rows.iter().enumerate().rev() {
        let read = match row.get().starts_with('[') {
            true => part::<Trade1<'_>>(row, "data").map(|trade| read_trade1(sheet, symbol, &trade)),
            false => part::<Trade<'_>>(row, "data").map(|trade| read_trade(sheet, symbol, &trade)),
        };
        read?.map_err(|fault| element_error(data, index, &fault))?;
    }
    sheet.end_prints();
    Ok(())
}

fn read_trade1(sheet: &mut BitgetSheet, symbol: &str, trade: &Trade1<'_>) -> Result<(), String> {
    let Trade1(time, Number(price), Number(size), side) = trade;
    let row = (&**price, &**size);
    let channel = sheet.meet(symbol, rule, std::iter::once(row))?;
    let time = millis(sheet, Some(time))?;
    sheet.print((channel, time), side_of(side)?, row, &[])
}

fn read_trade(sheet: &mut BitgetSheet, symbol: &str, trade: &Trade<'_>) -> Result<(), String> {
    let row = (&*trade.price.0, &*trade.size.0);
    let channel = sheet.meet(symbol, rule, std::iter::once(row))?;
    let time = millis(sheet, Some(&trade.ts))?;
    let id = trade.trade_id.as_ref().map_or(&b""[..], |id| id.0.as_bytes());
    sheet.print((channel, time), side_of(&trade.side)?, row, id)
}

/// Mark, index and funding of a contract, once its market is known.
fn read_tickers(sheet: &mut BitgetSheet, symbol: &str, data: &RawValue) -> Result<(), DecodeError> {
    let tickers: Vec<Ticker<'_>> = part(data, "data")?;
    let Some(channel) = sheet.meet_known(symbol, rule(symbol).as_ref().ok()) else { return Ok(()) };
    for (index, ticker) in tickers.iter().enumerate() {
        read_ticker(sheet, channel, ticker).map_err(|fault| element_error(data, index, &fault))?;
    }
    Ok(())
}

fn read_ticker(sheet: &mut BitgetSheet, channel: usize, ticker: &Ticker<'_>) -> Result<(), String> {
    let given = |text: &Option<std::borrow::Cow<'_, str>>| {
        text.as_deref().filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let bad = |name: &'static str| move |fault| format!("{name} {fault}");
    let mut news = Vec::new();
    if let Some(text) = given(&ticker.mark_price) {
        news.push(News::Mark(FinePrice::read(&text).map_err(bad("markPrice"))?));
    }
    if let Some(text) = given(&ticker.index_price) {
        news.push(News::Index(FinePrice::read(&text).map_err(bad("indexPrice"))?));
    }
    if let Some(text) = given(&ticker.funding_rate) {
        let due = ticker.next_funding_time.as_ref().filter(|time| !time.0.is_empty());
        let due = due.map_or(Ok(Timestamp::MAX), |time| millis(sheet, Some(time)))?;
        news.push(News::Funding { rate: FundingRate::read(&text).map_err(bad("fundingRate"))?, due });
    }
    if news.is_empty() {
        return Ok(());
    }
    news.into_iter().for_each(|news| sheet.push(MarketEvent::News(news)));
    let time = millis(sheet, ticker.ts.as_ref())?;
    sheet.close(channel, time, What::News);
    Ok(())
}

/// Liquidations of the contracts whose markets are known; neighbours of one contract and time are one group. Digits
/// beyond an instrument's scales are cut off: they are averages.
fn read_liquidations(sheet: &mut BitgetSheet, arg: &Arg<'_>, data: &RawValue) -> Result<(), DecodeError> {
    let rows: Vec<Liquidation<'_>> = part(data, "data")?;
    let mut open: Option<(usize, Timestamp)> = None;
    for (index, row) in rows.iter().enumerate() {
        let bad = |fault: String| element_error(data, index, &fault);
        let Some(place) = place_of(sheet, arg, row).map_err(bad)? else { continue };
        if let Some((channel, time)) = open.replace(place).filter(|other| *other != place) {
            sheet.close(channel, time, What::News);
        }
        read_liquidation(sheet, place.0, row).map_err(bad)?;
    }
    if let Some((channel, time)) = open {
        sheet.close(channel, time, What::News);
    }
    Ok(())
}

/// The channel and the time of a liquidation; `None` where its market is not known.
fn place_of(
    sheet: &mut BitgetSheet,
    arg: &Arg<'_>,
    row: &Liquidation<'_>,
) -> Result<Option<(usize, Timestamp)>, String> {
    let Some(channel) = sheet.find(&arg.symbol(&row.symbol)?) else { return Ok(None) };
    Ok(Some((channel, millis(sheet, Some(&row.ts))?)))
}

fn read_liquidation(sheet: &mut BitgetSheet, channel: usize, row: &Liquidation<'_>) -> Result<(), String> {
    let side = side_of(&row.side)?.ok_or("side is missing")?;
    let scales = sheet.slot(channel).scales;
    let cut = |name: &str, text: &str, scale: u8| {
        parse_units_cut(text.as_bytes(), scale).map_err(|fault| format!("{name} {text:?} {fault}"))
    };
    let price = Price::from_units(cut("price", &row.price, scales.price)?);
    let qty = Qty::from_units(cut("amount", &row.amount, scales.qty)?);
    sheet.push(MarketEvent::News(News::Liquidation { side, price, qty }));
    Ok(())
}
