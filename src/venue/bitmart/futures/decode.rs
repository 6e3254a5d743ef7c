//! From BitMart's public futures frames to groups.
//!
//! Incremental books are numbered: each push adds one, empty ones too. `depth` sends each side on its own, the two of
//! one time together: they are a book when both are there.

use serde_json::value::RawValue;

use super::rule;
use super::wire::{self, Book, BookTicker, Envelope, Level, Status, Trade};
use crate::market::{
    EventLog, FeedDepth, FinePrice, FundingRate, GroupKind, MarketEvent, News, Price, Qty, Side, Timestamp,
};
use crate::venue::DecodeError;
use crate::venue::reading::{Chain, Element, Protocol, Sheet, Slot, Verdict, What, unknown};
use crate::venue::scan::{Cursor, Days, Form};
use crate::venue::text::{json_error, part, time_of};

/// BitMart's public futures interface.
#[derive(Default)]
pub(in crate::venue::bitmart) struct FuturesProtocol {
    /// The side that waits for its other one: time, symbol, side, levels as they were sent.
    half: Option<Half>,
    days: Days,
}

struct Half {
    millis: i64,
    symbol: String,
    way: u8,
    levels: Vec<(String, String)>,
}

/// A message of an incremental book.
#[derive(Clone, Copy, Debug)]
pub(in crate::venue::bitmart) struct Numbered {
    snapshot: bool,
    version: i64,
    levels: u32,
}

type FuturesSheet = Sheet<Chain, Numbered>;

impl Protocol for FuturesProtocol {
    type Channel = Chain;
    type Book = Numbered;
    const DEPTH: FeedDepth = FeedDepth::Levels(wire::LEVELS);

    fn read(&mut self, sheet: &mut FuturesSheet, text: &str) -> Result<(), DecodeError> {
        let frame: Envelope<'_> =
            serde_json::from_str(text).map_err(|error| json_error(text, &error, "not a frame"))?;
        if frame.group == "System" || frame.action.is_some() || frame.success.is_some() {
            return Ok(());
        }
        let Some(channel) = wire::channel(&frame.group) else {
            return Err(unknown(text, "neither a push (group, data) nor an answer (action, success)"));
        };
        let data = frame.data.ok_or_else(|| unknown(text, format!("{channel}: data is missing")))?;
        let fail = |fault: String| unknown(data.get(), format!("{channel}: {fault}"));
        if let Some(levels) = wire::levels(channel, "depthIncrease") {
            return read_increase(sheet, &part(data, "data")?, levels).map_err(fail);
        }
        if let Some(levels) = wire::levels(channel, "depthAll") {
            return read_all(sheet, &part(data, "data")?, levels).map_err(fail);
        }
        if let Some(levels) = wire::levels(channel, "depth") {
            return self.read_side(sheet, &part(data, "data")?, levels).map_err(fail);
        }
        match channel {
            "bookticker" => read_best(sheet, &part(data, "data")?).map_err(fail),
            "trade" => read_trades(sheet, data),
            "ticker" | "fundingRate" => read_status(sheet, &part(data, "data")?).map_err(fail),
            known if ["klineBin", "markPriceKlineBin"].iter().any(|name| known.starts_with(name)) => Ok(()),
            "asset" | "order" | "position" => Ok(()),
            other => Err(unknown(text, format!("unknown channel {other:?}"))),
        }
    }

    fn scan(
        &mut self,
        sheet: &mut FuturesSheet,
        frame: &[u8],
        out: &mut EventLog,
    ) -> Option<Element<Numbered>> {
        match frame.get(2)? {
            b'd' => scan_increase(sheet, frame, out),
            b'g' => scan_trade(sheet, &mut self.days, frame, out),
            _ => None,
        }
    }

    fn judge(&mut self, slot: &mut Slot<Chain>, book: Numbered) -> Verdict {
        if !slot.is_book(book.levels) {
            return Verdict::Ignore;
        }
        if book.snapshot {
            slot.own = Chain::At(book.version);
            return Verdict::Apply(GroupKind::Snapshot);
        }
        slot.own.follow(book.version - 1, book.version)
    }
}

/// `{"price":"0.1","vol":"2"}`.
struct Named;

impl Form for Named {
    const PIECES: [&'static str; 3] = ["{\"price\":\"", "\",\"vol\":\"", "\"}"];
}

/// Where in an incremental book its type is: among so many last bytes.
const TAIL: usize = 96;

/// An incremental book in place:
/// `{"data":{"symbol":"…","asks":[…],"bids":[…],"ms_t":…,"version":…,"type":"…"},"group":"futures/depthIncrease50:…@100ms"}`.
fn scan_increase(sheet: &mut FuturesSheet, frame: &[u8], out: &mut EventLog) -> Option<Element<Numbered>> {
    let mut cursor = Cursor::new(frame);
    cursor.literal("{\"data\":{\"symbol\":\"")?;
    let channel = sheet.find(cursor.text()?)?;
    let scales = sheet.slot(channel).scales;
    let scales = (scales.price, scales.qty);
    // Whether it is whole stands behind the levels, near the end.
    let tail = &frame[frame.len().saturating_sub(TAIL)..];
    let snapshot = memchr::memmem::find(tail, b",\"type\":\"snapshot\"}").is_some();
    cursor.literal(",\"asks\":[")?;
    cursor.levels::<Named>((Side::Sell, snapshot), scales, out)?;
    cursor.literal(",\"bids\":[")?;
    cursor.levels::<Named>((Side::Buy, snapshot), scales, out)?;
    cursor.literal(",\"ms_t\":")?;
    let time = time_of(cursor.integer()?)?;
    cursor.literal(",\"version\":")?;
    let version = cursor.integer()?;
    cursor.literal(if snapshot { ",\"type\":\"snapshot\"}" } else { ",\"type\":\"update\"}" })?;
    cursor.literal(",\"group\":\"")?;
    let group = cursor.text()?;
    let levels = wire::levels(wire::channel(group)?, "depthIncrease")?;
    cursor.literal("}")?;
    let what = What::Book(Numbered { snapshot, version, levels });
    cursor.at_end().then_some(Element { channel, time, what })
}

/// A print in place: `{"group":"futures/trade:…","data":[{"trade_id":…,"symbol":"…","deal_price":"…","deal_vol":"…","way":5,
/// "m":false,"created_at":"…"}]}`.
fn scan_trade(
    sheet: &mut FuturesSheet,
    days: &mut Days,
    frame: &[u8],
    out: &mut EventLog,
) -> Option<Element<Numbered>> {
    let mut cursor = Cursor::new(frame);
    cursor.literal("{\"group\":\"")?;
    if wire::channel(cursor.text()?)? != "trade" {
        return None;
    }
    cursor.literal(",\"data\":[{\"trade_id\":")?;
    let from = cursor.at;
    cursor.integer()?;
    let id = &frame[from..cursor.at];
    cursor.literal(",\"symbol\":\"")?;
    let channel = sheet.find(cursor.text()?)?;
    let scales = sheet.slot(channel).scales;
    cursor.literal(",\"deal_price\":\"")?;
    let price = cursor.quoted(scales.price)?;
    cursor.literal(",\"deal_vol\":\"")?;
    let qty = cursor.quoted(scales.qty)?;
    cursor.literal(",\"way\":")?;
    cursor.integer()?;
    cursor.literal(",\"m\":")?;
    let seller = cursor.take("true");
    if !seller {
        cursor.literal("false")?;
    }
    cursor.literal(",\"created_at\":\"")?;
    let time = days.time(&mut cursor)?;
    cursor.literal("}]}")?;
    if price <= 0 || qty <= 0 || !cursor.at_end() {
        return None;
    }
    let aggressor = if seller { Side::Sell } else { Side::Buy };
    out.push_trade(Some(aggressor), Price::from_units(price), Qty::from_units(qty), id);
    Some(Element { channel, time, what: What::Trades })
}

fn time(sheet: &FuturesSheet, millis: Option<i64>) -> Result<Timestamp, String> {
    match millis {
        None => Ok(sheet.received),
        Some(millis) => time_of(millis).ok_or_else(|| format!("ms_t {millis} is no time in milliseconds")),
    }
}

fn texts<'l>(levels: &'l [Level<'_>]) -> impl Iterator<Item = (&'l str, &'l str)> {
    levels.iter().map(|level| (&*level.price, &*level.vol))
}

/// Reads both sides of a book and gives its channel.
fn read_levels(sheet: &mut FuturesSheet, book: &Book<'_>, update: bool) -> Result<usize, String> {
    let channel = sheet.meet(&book.symbol, rule, texts(&book.asks).chain(texts(&book.bids)))?;
    for (side, name, levels) in [(Side::Sell, "asks", &book.asks), (Side::Buy, "bids", &book.bids)] {
        for (index, row) in texts(levels).enumerate() {
            sheet.level(channel, side, row, update, || format!("{name}[{index}]"))?;
        }
    }
    Ok(channel)
}

fn read_increase(sheet: &mut FuturesSheet, book: &Book<'_>, levels: u32) -> Result<(), String> {
    let snapshot = match &*book.kind {
        "snapshot" => true,
        "update" => false,
        other => return Err(format!("type {other:?} is neither snapshot nor update")),
    };
    let version = book.version.filter(|version| *version >= 0).ok_or("version is missing or negative")?;
    let channel = read_levels(sheet, book, !snapshot)?;
    let time = time(sheet, book.ms_t)?;
    sheet.close(channel, time, What::Book(Numbered { snapshot, version, levels }));
    Ok(())
}

fn read_all(sheet: &mut FuturesSheet, book: &Book<'_>, levels: u32) -> Result<(), String> {
    let channel = read_levels(sheet, book, false)?;
    let time = time(sheet, book.ms_t)?;
    sheet.close(channel, time, What::Window(levels));
    Ok(())
}

impl FuturesProtocol {
    fn read_side(&mut self, sheet: &mut FuturesSheet, book: &Book<'_>, levels: u32) -> Result<(), String> {
        let way =
            book.way.filter(|way| matches!(way, 1 | 2)).ok_or("way is neither 1 (bids) nor 2 (asks)")?;
        let millis = book.ms_t.ok_or("ms_t is missing")?;
        let other = |half: &Half| half.millis == millis && half.symbol == book.symbol && half.way != way;
        let channel = sheet.meet(&book.symbol, rule, texts(&book.depths))?;
        let side_of = |way: u8| if way == 1 { Side::Buy } else { Side::Sell };
        for (index, row) in texts(&book.depths).enumerate() {
            sheet.level(channel, side_of(way), row, false, || format!("depths[{index}]"))?;
        }
        let time = time(sheet, Some(millis))?;
        let Some(half) = self.half.take_if(|half| other(half)) else {
            sheet.discard();
            let levels = texts(&book.depths).map(|(price, vol)| (price.to_owned(), vol.to_owned())).collect();
            self.half = Some(Half { millis, symbol: book.symbol.clone().into_owned(), way, levels });
            return Ok(());
        };
        for (price, vol) in &half.levels {
            sheet.level(channel, side_of(half.way), (price, vol), false, || "depths".to_owned())?;
        }
        sheet.close(channel, time, What::Window(levels));
        Ok(())
    }
}

/// The best prices; an empty text stands for an empty side.
fn read_best(sheet: &mut FuturesSheet, best: &BookTicker<'_>) -> Result<(), String> {
    let sides = [
        (Side::Sell, "ask", (&*best.best_ask_price, &*best.best_ask_vol)),
        (Side::Buy, "bid", (&*best.best_bid_price, &*best.best_bid_vol)),
    ];
    let given = || sides.iter().filter(|(_, _, row)| !row.0.is_empty());
    let channel = sheet.meet(&best.symbol, rule, given().map(|(_, _, row)| *row))?;
    for (side, name, row) in given() {
        sheet.level(channel, *side, *row, false, || (*name).to_owned())?;
    }
    let time = time(sheet, best.ms_t)?;
    sheet.close(channel, time, What::Window(1));
    Ok(())
}

/// Prints, newest first on the wire.
fn read_trades(sheet: &mut FuturesSheet, data: &RawValue) -> Result<(), DecodeError> {
    let trades: Vec<Trade<'_>> = part(data, "data")?;
    for (index, trade) in trades.iter().enumerate().rev() {
        read_trade(sheet, trade).map_err(|fault| crate::venue::text::element_error(data, index, &fault))?;
    }
    sheet.end_prints();
    Ok(())
}

fn read_trade(sheet: &mut FuturesSheet, trade: &Trade<'_>) -> Result<(), String> {
    let row = (&*trade.deal_price, &*trade.deal_vol);
    let channel = sheet.meet(&trade.symbol, rule, std::iter::once(row))?;
    let time =
        trade.created_at.parse().map_err(|_| format!("created_at {:?} is no time", trade.created_at))?;
    let aggressor = trade.m.map(|buyer_is_maker| if buyer_is_maker { Side::Sell } else { Side::Buy });
    sheet.print((channel, time), aggressor, row, trade.trade_id.0.as_bytes())
}

/// Mark, index and funding of a contract whose market was seen.
fn read_status(sheet: &mut FuturesSheet, status: &Status<'_>) -> Result<(), String> {
    let Some(channel) = sheet.find(&status.symbol) else { return Ok(()) };
    let fine = |name: &str, text: &Option<std::borrow::Cow<'_, str>>| {
        let read = |text: &str| FinePrice::read(text).map_err(|fault| format!("{name} {text:?} {fault}"));
        text.as_deref().filter(|text| !text.is_empty()).map(read).transpose()
    };
    let mark = fine("mark_price", &status.mark_price)?.map(News::Mark);
    let index = fine("index_price", &status.index_price)?.map(News::Index);
    let funding = match &status.next_rate {
        Some(text) => {
            let rate =
                FundingRate::read(text).map_err(|fault| format!("nextFundingRate {text:?} {fault}"))?;
            let due = status.next_time.map_or(Ok(Timestamp::MAX), |millis| time(sheet, Some(millis)))?;
            Some(News::Funding { rate, due })
        }
        None => None,
    };
    let news = [mark, index, funding];
    if news.iter().any(Option::is_some) {
        let time = time(sheet, status.ts)?;
        news.into_iter().flatten().for_each(|news| sheet.push(MarketEvent::News(news)));
        sheet.close(channel, time, What::News);
    }
    Ok(())
}
