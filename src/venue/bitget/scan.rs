//! `books` and `trade` of v1 and v2 read in place, in the exchange's own order of keys.

use smol_str::SmolStr;

use super::decode::{BitgetSheet, Message, Texts};
use super::sum::{BETWEEN, Place};
use super::wire::{MIX, SPOT};
use crate::market::{EventLog, Price, Side, Timestamp};
use crate::venue::reading::{Element, What};
use crate::venue::scan::{Cursor, ScannedPrint, push_level, push_reversed};
use crate::venue::text::time_of;

/// The markets, each up to its quote, and what its symbols are marked with here.
const MARKETS: [(&str, &str); 6] = [
    ("USDT-FUTURES\"", ""),
    ("USDC-FUTURES\"", ""),
    ("COIN-FUTURES\"", ""),
    ("SPOT\"", SPOT),
    ("sp\"", SPOT),
    ("mc\"", MIX),
];

/// `{"action":"update","arg":{"instType":"…","channel":"…","instId":"…"},"data":[…`.
pub(super) fn push(
    sheet: &mut BitgetSheet,
    (levels, prints): (&mut Texts, &mut Vec<ScannedPrint>),
    frame: &[u8],
    out: &mut EventLog,
) -> Option<Element<Message>> {
    let mut cursor = Cursor::new(frame);
    let snapshot = !cursor.take("{\"action\":\"update\"");
    if snapshot {
        cursor.literal("{\"action\":\"snapshot\"")?;
    }
    cursor.literal(",\"arg\":{\"instType\":\"")?;
    let mark = MARKETS.iter().find_map(|(market, mark)| cursor.take(market).then_some(*mark))?;
    cursor.literal(",\"channel\":\"")?;
    let books = cursor.take("books\"");
    if !books {
        // The trades that a subscription begins with are history.
        cursor.literal("trade\"").filter(|()| !snapshot)?;
    }
    cursor.literal(",\"instId\":\"")?;
    let id = cursor.text()?;
    let channel = if mark.is_empty() { sheet.find(id) } else { sheet.find(&SmolStr::from_iter([mark, id])) }?;
    cursor.literal("},\"data\":[")?;
    if books {
        return book(&mut cursor, sheet, (channel, snapshot), levels, out);
    }
    let time = trades(&mut cursor, sheet, channel, prints)?;
    tail(&mut cursor)?;
    push_reversed(prints, frame, out)?;
    Some(Element { channel, time, what: What::Trades })
}

/// The end of a frame: v2 has a time of its own there.
fn tail(cursor: &mut Cursor<'_>) -> Option<()> {
    if cursor.take(",\"ts\":") {
        cursor.integer()?;
    }
    cursor.literal("}")?;
    cursor.at_end().then_some(())
}

/// `{"asks":[…],"bids":[…][,"checksum":…][,"seq":…][,"pseq":…],"ts":"…"}]`, and the end.
fn book(
    cursor: &mut Cursor<'_>,
    sheet: &mut BitgetSheet,
    (channel, snapshot): (usize, bool),
    levels: &mut Texts,
    out: &mut EventLog,
) -> Option<Element<Message>> {
    let scales = sheet.slot(channel).scales;
    let scales = (scales.price, scales.qty);
    cursor.literal("{\"asks\":[")?;
    rows(cursor, (Side::Sell, snapshot), scales, levels, out)?;
    cursor.literal(",\"bids\":[")?;
    rows(cursor, (Side::Buy, snapshot), scales, levels, out)?;
    let checksum = if cursor.take(",\"checksum\":") {
        let negative = cursor.take("-");
        // A negative zero is no integer.
        let value = cursor.integer().filter(|value| !(negative && *value == 0))?;
        Some(i32::try_from(if negative { -value } else { value }).ok()?)
    } else {
        None
    };
    let seq = if cursor.take(",\"seq\":") { Some(cursor.integer()?) } else { None };
    let pseq = if cursor.take(",\"pseq\":") { Some(cursor.integer()?) } else { None };
    cursor.literal(",\"ts\":\"")?;
    let time = time_of(cursor.integer()?)?;
    cursor.literal("\"}]")?;
    tail(cursor)?;
    levels.keep(cursor.frame);
    let checksum = checksum.filter(|sum| *sum != 0);
    let message = Message { snapshot, seq, pseq, checksum, from: 0, to: levels.len(), depth: None };
    Some(Element { channel, time, what: What::Book(message) })
}

/// The levels of one side, with their texts.
#[inline]
fn rows(
    cursor: &mut Cursor<'_>,
    (side, snapshot): (Side, bool),
    scales: (u8, u8),
    levels: &mut Texts,
    out: &mut EventLog,
) -> Option<()> {
    if cursor.take("]") {
        return Some(());
    }
    // Prices of one side are mostly of one length.
    let mut guess = 0;
    loop {
        cursor.literal("[\"")?;
        let at = cursor.at;
        let price = cursor.decimal_like(scales.0, &mut guess)?;
        let price_len = cursor.at - at;
        cursor.literal(BETWEEN)?;
        let from = cursor.at;
        let qty = cursor.decimal(scales.1)?;
        let place = Place::new(at, price_len, cursor.at - from);
        cursor.literal("\"]")?;
        push_level(side, price, qty, snapshot, out)?;
        levels.push((side, Price::from_units(price)), qty == 0, place);
        match cursor.byte()? {
            b',' => {}
            b']' => return Some(()),
            _ => return None,
        }
    }
}

/// `{"ts":"…","price":"…","size":"…","side":"buy","tradeId":"…"},…]`, or v1's `["…","…","…","buy"],…]`; of one time.
fn trades(
    cursor: &mut Cursor<'_>,
    sheet: &BitgetSheet,
    channel: usize,
    prints: &mut Vec<ScannedPrint>,
) -> Option<Timestamp> {
    prints.clear();
    let scales = sheet.slot(channel).scales;
    let mut time = None;
    loop {
        let old = cursor.take("[\"");
        if !old {
            cursor.literal("{\"ts\":\"")?;
        }
        let millis = cursor.integer()?;
        if *time.get_or_insert(millis) != millis {
            return None;
        }
        cursor.literal(if old { "\",\"" } else { "\",\"price\":\"" })?;
        let price = cursor.quoted(scales.price)?;
        cursor.literal(if old { ",\"" } else { ",\"size\":\"" })?;
        let qty = cursor.quoted(scales.qty)?;
        cursor.literal(if old { ",\"" } else { ",\"side\":\"" })?;
        let aggressor = if cursor.take("buy\"") {
            Side::Buy
        } else {
            cursor.literal("sell\"")?;
            Side::Sell
        };
        let mut id = (0, 0);
        if old {
            cursor.literal("]")?;
        } else {
            cursor.literal(",\"tradeId\":\"")?;
            id = (cursor.at, cursor.at + cursor.text()?.len());
            cursor.literal("}")?;
        }
        prints.push(ScannedPrint { aggressor: Some(aggressor), price, qty, id });
        match cursor.byte()? {
            b',' => {}
            b']' => break,
            _ => return None,
        }
    }
    time_of(time?)
}
