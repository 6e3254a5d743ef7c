//! Books and trades read in place, hedged and scaled, in the exchange's own order of keys.

use super::decode::{Numbered, PhemexSheet};
use crate::market::{EventLog, Side, Timestamp};
use crate::venue::reading::{Element, FULL, What};
use crate::venue::scan::{Behind, Cursor, Form, Pair, Scaled, ScannedPrint, push_reversed};

/// A book: `{"book":{"asks":[…],"bids":[…]},"depth":30,"sequence":…,"symbol":"…","timestamp":…,"type":"…"}`, or
/// `{"depth":30,["dts":…,"mts":…,]"orderbook_p":{"asks":[…],"bids":[…]},"sequence":…,"symbol":"…","timestamp":…,"type":"…"}`.
pub(super) fn book(sheet: &mut PhemexSheet, frame: &[u8], out: &mut EventLog) -> Option<Element<Numbered>> {
    let mut behind = Behind(frame);
    let snapshot = behind.literal(",\"type\":\"incremental\"}").is_none();
    if snapshot {
        behind.literal(",\"type\":\"snapshot\"}")?;
    }
    let time = Timestamp::from_nanos(behind.integer()?);
    behind.literal("\",\"timestamp\":")?;
    let symbol = behind.text()?;
    behind.literal(",\"symbol\":")?;
    let sequence = behind.integer()?;
    behind.literal(",\"sequence\":")?;
    let channel = sheet.find(symbol)?;
    let scales = sheet.slot(channel).scales;
    let scales = (scales.price, scales.qty);
    let mut cursor = Cursor::new(frame);
    let mut depth = 0;
    let scaled = cursor.take("{\"book\":{\"asks\":[");
    if !scaled {
        cursor.literal("{\"depth\":")?;
        depth = cursor.integer()?;
        if cursor.take(",\"dts\":") {
            cursor.integer()?;
            cursor.literal(",\"mts\":")?;
            cursor.integer()?;
        }
        cursor.literal(",\"orderbook_p\":{\"asks\":[")?;
    }
    match scaled {
        true => sides::<Scaled>(&mut cursor, snapshot, scales, out),
        false => sides::<Pair>(&mut cursor, snapshot, scales, out),
    }?;
    if scaled {
        cursor.literal(",\"depth\":")?;
        depth = cursor.integer()?;
    }
    let levels = if depth == 0 { FULL } else { u32::try_from(depth).ok()? };
    let what = What::Book(Numbered { snapshot, sequence, levels });
    // From here to the end was read from behind.
    (cursor.at == behind.0.len()).then_some(Element { channel, time, what })
}

/// `…],"bids":[…]}`: asks and bids from the first level on.
#[inline]
fn sides<F: Form>(
    cursor: &mut Cursor<'_>,
    snapshot: bool,
    scales: (u8, u8),
    out: &mut EventLog,
) -> Option<()> {
    cursor.levels::<F>((Side::Sell, snapshot), scales, out)?;
    cursor.literal(",\"bids\":[")?;
    cursor.levels::<F>((Side::Buy, snapshot), scales, out)?;
    cursor.literal("}")
}

/// Prints: `{"sequence":…,"symbol":"…","trades_p":[[…,"Sell","30000.3","0.649"],…],"type":"incremental"}`, or `trades` with
/// scaled integers; of one time.
pub(super) fn trades(
    sheet: &mut PhemexSheet,
    prints: &mut Vec<ScannedPrint>,
    frame: &[u8],
    out: &mut EventLog,
) -> Option<Element<Numbered>> {
    prints.clear();
    let mut cursor = Cursor::new(frame);
    cursor.literal("{\"sequence\":")?;
    cursor.integer()?;
    cursor.literal(",\"symbol\":\"")?;
    let channel = sheet.find(cursor.text()?)?;
    let scales = sheet.slot(channel).scales;
    let scaled = cursor.take(",\"trades\":[");
    if !scaled {
        cursor.literal(",\"trades_p\":[")?;
    }
    let mut time = None;
    loop {
        cursor.literal("[")?;
        let nanos = cursor.long_integer()?;
        if *time.get_or_insert(nanos) != nanos {
            return None;
        }
        let side = if cursor.take(",\"Buy\",") {
            Side::Buy
        } else {
            cursor.literal(",\"Sell\",")?;
            Side::Sell
        };
        let (price, qty) = if scaled {
            let price = cursor.integer()?;
            cursor.literal(",")?;
            (price, cursor.integer()?)
        } else {
            cursor.literal("\"")?;
            let price = cursor.quoted(scales.price)?;
            cursor.literal(",\"")?;
            (price, cursor.quoted(scales.qty)?)
        };
        cursor.literal("]")?;
        prints.push(ScannedPrint { aggressor: Some(side), price, qty, id: (0, 0) });
        match cursor.byte()? {
            b',' => {}
            b']' => break,
            _ => return None,
        }
    }
    cursor.literal(",\"type\":\"incremental\"}")?;
    push_reversed(prints, frame, out)?;
    let time = Timestamp::from_nanos(time?);
    cursor.at_end().then_some(Element { channel, time, what: What::Trades })
}
