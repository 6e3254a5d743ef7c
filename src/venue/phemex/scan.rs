//! Books and trades read in place, hedged and scaled, in the exchange's own order of keys.

use super::decode::{Numbered, PhemexSheet};
use crate::market::{EventLog, Side, Timestamp};
use crate::venue::reading::{Element, FULL, What};
use crate::venue::scan::{Behind, Cursor, Form, PAIR, ScannedPrint, push_reversed};

/// A book: `{"book":{"asks":[…],"bids":[…]},"depth":30,"sequence":…,"symbol":"…","timestamp":…,"type":"…"}`, or
/// `{"depth":30,["dts":…,"mts":…,]"orderbook_p":{"asks":[…],"bids":[…]},"sequence":…,"symbol":"…","timestamp":…,"type":"…"}`.
pub(super) fn book(sheet: &mut PhemexSheet, frame: &[u8], out: &mut EventLog) -> Option<Element<Numbered>> {
    let mut behind = Behind(frame);
    let snapshot = behind.expect(",\"type\":\"incremental\"}").is_none();
    if snapshot {
        behind.expect(",\"type\":\"snapshot\"}")?;
    }
    let time = Timestamp::from_nanos(behind.integer()?);
    behind.expect("\",\"timestamp\":")?;
    let symbol = behind.text()?;
    behind.expect(",\"symbol\":")?;
    let sequence = behind.integer()?;
    behind.expect(",\"sequence\":")?;
    let channel = sheet.find(symbol)?;
    let scales = sheet.slot(channel).scales;
    let scales = (scales.price, scales.qty);
    let mut cursor = Cursor::new(frame);
    let mut depth = 0;
    let scaled = cursor.take("{\"book\":{\"asks\":[");
    if !scaled {
        cursor.expect("{\"depth\":")?;
        depth = cursor.integer()?;
        if cursor.take(",\"dts\":") {
            cursor.integer()?;
            cursor.expect(",\"mts\":")?;
            cursor.integer()?;
        }
        cursor.expect(",\"orderbook_p\":{\"asks\":[")?;
    }
    let form = if scaled { Form::Scaled } else { PAIR };
    cursor.levels((Side::Sell, snapshot), form, scales, out)?;
    cursor.expect(",\"bids\":[")?;
    cursor.levels((Side::Buy, snapshot), form, scales, out)?;
    cursor.expect("}")?;
    if scaled {
        cursor.expect(",\"depth\":")?;
        depth = cursor.integer()?;
    }
    let levels = if depth == 0 { FULL } else { u32::try_from(depth).ok()? };
    let what = What::Book(Numbered { snapshot, sequence, levels });
    // From here to the end was read from behind.
    (cursor.at == behind.0.len()).then_some(Element { channel, time, what })
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
    cursor.expect("{\"sequence\":")?;
    cursor.integer()?;
    cursor.expect(",\"symbol\":\"")?;
    let channel = sheet.find(cursor.text()?)?;
    let scales = sheet.slot(channel).scales;
    let scaled = cursor.take(",\"trades\":[");
    if !scaled {
        cursor.expect(",\"trades_p\":[")?;
    }
    let mut time = None;
    loop {
        cursor.expect("[")?;
        let nanos = cursor.long_integer()?;
        if *time.get_or_insert(nanos) != nanos {
            return None;
        }
        let side = if cursor.take(",\"Buy\",") {
            Side::Buy
        } else {
            cursor.expect(",\"Sell\",")?;
            Side::Sell
        };
        let (price, qty) = if scaled {
            let price = cursor.integer()?;
            cursor.expect(",")?;
            (price, cursor.integer()?)
        } else {
            cursor.expect("\"")?;
            let price = cursor.quoted(scales.price)?;
            cursor.expect(",\"")?;
            (price, cursor.quoted(scales.qty)?)
        };
        cursor.expect("]")?;
        prints.push(ScannedPrint { aggressor: Some(side), price, qty, id: (0, 0) });
        match cursor.byte()? {
            b',' => {}
            b']' => break,
            _ => return None,
        }
    }
    cursor.expect(",\"type\":\"incremental\"}")?;
    push_reversed(prints, frame, out)?;
    let time = Timestamp::from_nanos(time?);
    cursor.at_end().then_some(Element { channel, time, what: What::Trades })
}
