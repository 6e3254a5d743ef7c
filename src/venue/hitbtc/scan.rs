//! Books read in place, in the spelling of either protocol, and trades of v3.

use super::decode::{HitSheet, Numbered};
use crate::market::{EventLog, Side, Timestamp};
use crate::venue::reading::{Element, What};
use crate::venue::scan::{Behind, Cursor, Days, Form, Pair, push_print};
use crate::venue::text::time_of;

/// The channel, the time, whether it is whole, and its number.
type Read = (usize, Timestamp, bool, i64);

/// `{"price":"0.1","size":"2"}`.
struct Named;

impl Form for Named {
    const PIECES: [&'static str; 3] = ["{\"price\":\"", "\",\"size\":\"", "\"}"];
}

/// `{"ch":"orderbook/full","update":{"EOSUSDT":{"t":…,"s":…,"a":[…],"b":[…]}}}`: one symbol.
pub(super) fn book3(sheet: &mut HitSheet, frame: &[u8], out: &mut EventLog) -> Option<Read> {
    let mut cursor = Cursor::new(frame);
    cursor.literal("{\"ch\":\"orderbook/full\",\"")?;
    let snapshot = !cursor.take("update");
    if snapshot {
        cursor.literal("snapshot")?;
    }
    cursor.literal("\":{\"")?;
    let channel = sheet.find(cursor.text()?)?;
    let scales = sheet.slot(channel).scales;
    let scales = (scales.price, scales.qty);
    cursor.literal(":{\"t\":")?;
    let time = time_of(cursor.integer()?)?;
    cursor.literal(",\"s\":")?;
    let sequence = cursor.integer()?;
    cursor.literal(",\"a\":[")?;
    cursor.levels::<Pair>((Side::Sell, snapshot), scales, out)?;
    cursor.literal(",\"b\":[")?;
    cursor.levels::<Pair>((Side::Buy, snapshot), scales, out)?;
    cursor.literal("}}}")?;
    cursor.at_end().then_some((channel, time, snapshot, sequence))
}

/// `{"jsonrpc":"2.0","method":"updateOrderbook","params":{"ask":[…],"bid":[…],"sequence":…,"timestamp":"…","symbol":"…"}}`.
pub(super) fn book2(sheet: &mut HitSheet, days: &mut Days, frame: &[u8], out: &mut EventLog) -> Option<Read> {
    let mut behind = Behind(frame);
    behind.literal("\"}}")?;
    let symbol = behind.text()?;
    behind.literal(",\"symbol\":")?;
    let channel = sheet.find(symbol)?;
    let scales = sheet.slot(channel).scales;
    let scales = (scales.price, scales.qty);
    let mut cursor = Cursor::new(frame);
    cursor.literal("{\"jsonrpc\":\"2.0\",\"method\":\"")?;
    let snapshot = !cursor.take("updateOrderbook");
    if snapshot {
        cursor.literal("snapshotOrderbook")?;
    }
    cursor.literal("\",\"params\":{\"ask\":[")?;
    cursor.levels::<Named>((Side::Sell, snapshot), scales, out)?;
    cursor.literal(",\"bid\":[")?;
    cursor.levels::<Named>((Side::Buy, snapshot), scales, out)?;
    cursor.literal(",\"sequence\":")?;
    let sequence = cursor.integer()?;
    cursor.literal(",\"timestamp\":\"")?;
    let time = days.time(&mut cursor)?;
    // From here to the end was read from behind.
    (cursor.at == behind.0.len()).then_some((channel, time, snapshot, sequence))
}

/// `{"ch":"trades","update":{"EOSUSDT":[{"t":…,"i":…,"p":"…","q":"…","s":"buy"},…]}}`: one symbol and one time.
pub(super) fn trades3(sheet: &mut HitSheet, frame: &[u8], out: &mut EventLog) -> Option<Element<Numbered>> {
    let mut cursor = Cursor::new(frame);
    cursor.literal("{\"ch\":\"trades\",\"update\":{\"")?;
    let channel = sheet.find(cursor.text()?)?;
    let scales = sheet.slot(channel).scales;
    cursor.literal(":[")?;
    let mut time = None;
    loop {
        cursor.literal("{\"t\":")?;
        let millis = cursor.integer()?;
        if *time.get_or_insert(millis) != millis {
            return None;
        }
        cursor.literal(",\"i\":")?;
        let from = cursor.at;
        cursor.integer()?;
        let id = &frame[from..cursor.at];
        cursor.literal(",\"p\":\"")?;
        let price = cursor.quoted(scales.price)?;
        cursor.literal(",\"q\":\"")?;
        let qty = cursor.quoted(scales.qty)?;
        let side = if cursor.take(",\"s\":\"buy\"}") {
            Side::Buy
        } else {
            cursor.literal(",\"s\":\"sell\"}")?;
            Side::Sell
        };
        push_print(Some(side), price, qty, id, out)?;
        match cursor.byte()? {
            b',' => {}
            b']' => break,
            _ => return None,
        }
    }
    cursor.literal("}}")?;
    let time = time_of(time?)?;
    cursor.at_end().then_some(Element { channel, time, what: What::Trades })
}
