//! From HitBTC's public frames to groups.
//!
//! A book's messages are numbered by symbol: a snapshot starts the count, each update adds one, a snapshot may come
//! again at any time. A number left out is a gap: the book is not believed until the next snapshot, which a live
//! client asks for by subscribing again. The list of trades that a subscription begins with is history, no evidence.

use serde_json::value::RawValue;

use super::Hitbtc;
use super::scan;
use super::wire::{self, Book2, Book3, Envelope, Row, Top3, Trade3, Trades2};
use crate::market::{EventLog, FeedDepth, GroupKind, Pair, Product, Side, Timestamp};
use crate::venue::reading::{Chain, Element, FULL, Protocol, Sheet, Slot, Verdict, What, unknown};
use crate::venue::scan::Days;
use crate::venue::text::{BySymbol, json_error, near, part, time_of};
use crate::venue::{DecodeError, Venue};

/// HitBTC's two protocols; each frame says by its shape which it is of.
#[derive(Default)]
pub(super) struct HitbtcProtocol {
    days: Days,
}

/// A message of a full book.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbered {
    snapshot: bool,
    sequence: i64,
}

pub(super) type HitSheet = Sheet<Chain, Numbered>;

impl Protocol for HitbtcProtocol {
    type Channel = Chain;
    type Book = Numbered;
    const DEPTH: FeedDepth = FeedDepth::Full;

    fn read(&mut self, sheet: &mut HitSheet, text: &str) -> Result<(), DecodeError> {
        let envelope: Envelope<'_> =
            serde_json::from_str(text).map_err(|error| json_error(text, &error, "not a frame"))?;
        let params = || {
            envelope.params.ok_or_else(|| unknown(text, format!("{}: params is missing", envelope.method)))
        };
        match &*envelope.method {
            "" => {}
            "snapshotOrderbook" => return read_book2(sheet, params()?, true),
            "updateOrderbook" => return read_book2(sheet, params()?, false),
            "updateTrades" => return read_trades2(sheet, params()?),
            // Known and without a group that fits.
            "snapshotTrades" | "ticker" | "snapshotCandles" | "updateCandles" => return Ok(()),
            other => return Err(unknown(text, format!("unknown method {other:?}"))),
        }
        match &*envelope.ch {
            "" if envelope.result.is_some() || envelope.error.is_some() => Ok(()),
            "" => Err(unknown(text, "neither a push (method or ch) nor an answer (result, error)")),
            channel => read_channel(sheet, channel, &envelope, text),
        }
    }

    fn scan(&mut self, sheet: &mut HitSheet, frame: &[u8], out: &mut EventLog) -> Option<Element<Numbered>> {
        match frame.get(2)? {
            b'c' if frame.get(7) == Some(&b't') => return scan::trades3(sheet, frame, out),
            b'c' => scan::book3(sheet, frame, out),
            b'j' => scan::book2(sheet, &mut self.days, frame, out),
            _ => None,
        }
        .map(|(channel, time, snapshot, sequence)| Element {
            channel,
            time,
            what: What::Book(Numbered { snapshot, sequence }),
        })
    }

    fn judge(&mut self, slot: &mut Slot<Chain>, book: Numbered) -> Verdict {
        slot.levels = FULL;
        if book.snapshot {
            slot.own = Chain::At(book.sequence);
            return Verdict::Apply(GroupKind::Snapshot);
        }
        slot.own.follow(book.sequence - 1, book.sequence)
    }
}

fn rule(symbol: &str) -> Result<(Pair, Product), String> {
    let pair =
        Hitbtc.pair_of(symbol).ok_or_else(|| format!("symbol {symbol:?} ends in no known quote currency"))?;
    Ok((pair, Product::Spot))
}

/// A v3 push.
fn read_channel(
    sheet: &mut HitSheet,
    channel: &str,
    envelope: &Envelope<'_>,
    text: &str,
) -> Result<(), DecodeError> {
    let nothing = || Err(unknown(text, format!("{channel}: neither snapshot nor update nor data")));
    match (channel, wire::window(channel)) {
        (wire::FULL_BOOK, _) => match (envelope.snapshot, envelope.update) {
            (Some(books), _) => read_books3(sheet, books, true),
            (None, Some(books)) => read_books3(sheet, books, false),
            (None, None) => nothing(),
        },
        (wire::TRADES, _) => match (envelope.update, envelope.snapshot) {
            (Some(trades), _) => read_trades3(sheet, trades),
            (None, Some(_)) => Ok(()),
            (None, None) => nothing(),
        },
        (_, Some(1)) => envelope.data.map_or_else(nothing, |data| read_tops(sheet, data)),
        (_, Some(_)) => envelope.data.map_or_else(nothing, |data| read_windows(sheet, channel, data)),
        (other, None) if ["ticker/", "candles/", "price/"].iter().any(|known| other.starts_with(known)) => {
            Ok(())
        }
        (other, None) => Err(unknown(text, format!("unknown channel {other:?}"))),
    }
}

/// The time in an ISO text; an empty one: when it was received.
fn iso(sheet: &HitSheet, text: &str) -> Result<Timestamp, String> {
    match text {
        "" => Ok(sheet.received),
        text => text.parse().map_err(|_| format!("timestamp {text:?} is no time")),
    }
}

fn millis(sheet: &HitSheet, millis: Option<i64>) -> Result<Timestamp, String> {
    match millis {
        None => Ok(sheet.received),
        Some(millis) => time_of(millis).ok_or_else(|| format!("t {millis} is no time in milliseconds")),
    }
}

fn fail(raw: &RawValue, symbol: &str, fault: &str) -> DecodeError {
    DecodeError { fault: format!("{symbol}: {fault}"), near: near(raw.get(), 0) }
}

fn side_of(text: &str) -> Result<Option<Side>, String> {
    match text {
        "buy" => Ok(Some(Side::Buy)),
        "sell" => Ok(Some(Side::Sell)),
        "" => Ok(None),
        other => Err(format!("side {other:?} is neither buy nor sell")),
    }
}

fn read_book2(sheet: &mut HitSheet, raw: &RawValue, snapshot: bool) -> Result<(), DecodeError> {
    let book: Book2<'_> = part(raw, "params")?;
    let sides = [(Side::Sell, "ask", &book.ask), (Side::Buy, "bid", &book.bid)];
    let read = |sheet: &mut HitSheet| {
        let all =
            sides.iter().flat_map(|(_, _, levels)| levels.iter()).map(|level| (&*level.price, &*level.size));
        let channel = sheet.meet(&book.symbol, rule, all)?;
        for (side, name, levels) in sides {
            for (index, level) in levels.iter().enumerate() {
                sheet.level(channel, side, (&level.price, &level.size), !snapshot, || {
                    format!("{name}[{index}]")
                })?;
            }
        }
        let time = iso(sheet, &book.timestamp)?;
        sheet.close(channel, time, What::Book(Numbered { snapshot, sequence: book.sequence }));
        Ok(())
    };
    read(sheet).map_err(|fault: String| fail(raw, &book.symbol, &fault))
}

fn read_trades2(sheet: &mut HitSheet, raw: &RawValue) -> Result<(), DecodeError> {
    let trades: Trades2<'_> = part(raw, "params")?;
    for (index, trade) in trades.data.iter().enumerate() {
        let row = (&*trade.price, &*trade.quantity);
        let mut read = || {
            let channel = sheet.meet(&trades.symbol, rule, std::iter::once(row))?;
            let time = iso(sheet, &trade.timestamp)?;
            sheet.print((channel, time), side_of(&trade.side)?, row, trade.id.0.as_bytes())
        };
        read().map_err(|fault| fail(raw, &trades.symbol, &format!("data[{index}] {fault}")))?;
    }
    sheet.end_prints();
    Ok(())
}

fn read_books3(sheet: &mut HitSheet, raw: &RawValue, snapshot: bool) -> Result<(), DecodeError> {
    let books: BySymbol<'_, Book3<'_>> = part(raw, "books")?;
    for (symbol, book) in &books.0 {
        let sequence = book.s.ok_or_else(|| fail(raw, symbol, "s is missing"))?;
        let what = What::Book(Numbered { snapshot, sequence });
        read_book3(sheet, symbol, book, what).map_err(|fault| fail(raw, symbol, &fault))?;
    }
    Ok(())
}

fn read_windows(sheet: &mut HitSheet, channel: &str, raw: &RawValue) -> Result<(), DecodeError> {
    let books: BySymbol<'_, Book3<'_>> = part(raw, "data")?;
    let what = What::Window(wire::window(channel).unwrap_or(1));
    for (symbol, book) in &books.0 {
        read_book3(sheet, symbol, book, what).map_err(|fault| fail(raw, symbol, &fault))?;
    }
    Ok(())
}

fn read_book3(
    sheet: &mut HitSheet,
    symbol: &str,
    book: &Book3<'_>,
    what: What<Numbered>,
) -> Result<(), String> {
    let update = matches!(what, What::Book(Numbered { snapshot: false, .. }));
    let rows = book.a.iter().chain(&book.b).map(|row| (&*row.0, &*row.1));
    let channel = sheet.meet(symbol, rule, rows)?;
    for (side, name, rows) in [(Side::Sell, "a", &book.a), (Side::Buy, "b", &book.b)] {
        for (index, Row(price, size)) in rows.iter().enumerate() {
            sheet.level(channel, side, (price, size), update, || format!("{name}[{index}]"))?;
        }
    }
    let time = millis(sheet, book.t)?;
    sheet.close(channel, time, what);
    Ok(())
}

fn read_tops(sheet: &mut HitSheet, raw: &RawValue) -> Result<(), DecodeError> {
    let tops: BySymbol<'_, Top3<'_>> = part(raw, "data")?;
    for (symbol, top) in &tops.0 {
        read_top(sheet, symbol, top).map_err(|fault| fail(raw, symbol, &fault))?;
    }
    Ok(())
}

/// The best prices; a side may be empty.
fn read_top(sheet: &mut HitSheet, symbol: &str, top: &Top3<'_>) -> Result<(), String> {
    let sides = [
        (Side::Sell, "a", top.ask.as_deref().zip(top.ask_size.as_deref())),
        (Side::Buy, "b", top.bid.as_deref().zip(top.bid_size.as_deref())),
    ];
    let channel = sheet.meet(symbol, rule, sides.iter().filter_map(|(_, _, row)| *row))?;
    for (side, name, row) in sides {
        if let Some(row) = row {
            sheet.level(channel, side, row, false, || name.to_owned())?;
        }
    }
    let time = millis(sheet, top.t)?;
    sheet.close(channel, time, What::Window(1));
    Ok(())
}

fn read_trades3(sheet: &mut HitSheet, raw: &RawValue) -> Result<(), DecodeError> {
    let all: BySymbol<'_, Vec<Trade3<'_>>> = part(raw, "trades")?;
    for (symbol, trades) in &all.0 {
        for (index, trade) in trades.iter().enumerate() {
            let row = (&*trade.p, &*trade.q);
            let mut read = || {
                let channel = sheet.meet(symbol, rule, std::iter::once(row))?;
                let time = millis(sheet, trade.t)?;
                sheet.print((channel, time), side_of(&trade.s)?, row, trade.i.0.as_bytes())
            };
            read().map_err(|fault| fail(raw, symbol, &format!("[{index}] {fault}")))?;
        }
    }
    sheet.end_prints();
    Ok(())
}
