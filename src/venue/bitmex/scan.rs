//! Changes of `orderBookL2` read in place: rows of one symbol, in the exchange's own order of columns.
//!
//! `{"table":"orderBookL2","action":"update","data":[{"symbol":"XBTUSD","id":8799,"side":"Buy","size":100}]}`; later years add
//! the price, `timestamp` and `transactTime` to every row. A partial says more before its rows; that much of it is read as
//! any other frame. Regular trades are read in place, too.

use super::decode::{BitmexSheet, Message, Row, spot_decimals};
use super::rule;
use super::wire::{Action, Envelope};
use crate::market::{EventLog, MarketEvent, Price, Qty, Side, Timestamp};
use crate::venue::reading::{Element, FULL, What};
use crate::venue::scan::{Cursor, Days, push_print};

/// What is the same for all rows of a frame.
#[derive(Clone, Copy)]
struct Place {
    channel: usize,
    action: Action,
    price_scale: u8,
    sizes: Sizes,
}

/// How sizes are sent.
#[derive(Clone, Copy)]
enum Sizes {
    /// As contracts, at the instrument's scale.
    Contracts(u8),
    /// As whole minor units, so many of the instrument's units each.
    Minor(i64),
}

impl Sizes {
    fn of(symbol: &str, scale: u8) -> Option<Self> {
        match spot_decimals(symbol).ok()? {
            0 => Some(Self::Contracts(scale)),
            minor => 10_i64.checked_pow(u32::from(scale.checked_sub(minor)?)).map(Self::Minor),
        }
    }

    #[inline(always)]
    fn read(self, cursor: &mut Cursor<'_>) -> Option<i64> {
        match self {
            Self::Contracts(scale) => cursor.bare(scale),
            Self::Minor(factor) => cursor.integer()?.checked_mul(factor),
        }
    }
}

pub(super) fn book(
    sheet: &mut BitmexSheet,
    (rows, days): (&mut Vec<Row>, &mut Days),
    frame: &[u8],
    out: &mut EventLog,
) -> Option<Element<Message>> {
    let mut cursor = Cursor::new(frame);
    cursor.literal("{\"table\":\"orderBookL2\",\"action\":\"")?;
    let action = match cursor.byte()? {
        b'u' => cursor.literal("pdate\"").map(|()| Action::Update),
        b'i' => cursor.literal("nsert\"").map(|()| Action::Insert),
        b'd' => cursor.literal("elete\"").map(|()| Action::Delete),
        b'p' => partial(&mut cursor).map(|()| Action::Partial),
        _ => None,
    }?;
    cursor.literal(",\"data\":[{\"symbol\":\"")?;
    let symbol = cursor.text()?;
    let channel = match action {
        // A book begins with its partial.
        Action::Partial => sheet.meet_known(symbol, rule(symbol).ok().as_ref()),
        _ => sheet.find(symbol),
    }?;
    let slot = sheet.slot(channel);
    let sizes = Sizes::of(symbol, slot.scales.qty)?;
    let place = Place { channel, action, price_scale: slot.scales.price, sizes };
    let mut unknown = false;
    let time = loop {
        let (known, time) = row(&mut cursor, sheet, place, (rows, days), out)?;
        unknown |= !known;
        match cursor.byte()? {
            b',' => {
                cursor.literal("{\"symbol\":\"")?;
                cursor.literal(symbol)?;
                cursor.literal("\"")?;
            }
            b']' => break time,
            _ => return None,
        }
    };
    cursor.literal("}")?;
    let partial = action == Action::Partial;
    let message = Message { partial, unknown, levels: FULL, from: 0, to: rows.len() };
    let (time, what) = (time.unwrap_or(sheet.received), What::Book(message));
    cursor.at_end().then_some(Element { channel, time, what })
}

/// What a partial says before its rows, from the second letter of its action.
fn partial(cursor: &mut Cursor<'_>) -> Option<()> {
    cursor.literal("artial\"")?;
    let data = memchr::memmem::find(cursor.frame.get(cursor.at..)?, b",\"data\":[{\"symbol\":\"")?;
    let head = cursor.frame.get(..cursor.at + data)?;
    // Closed here it must be a frame of its own.
    let closed = [head, b"}"].concat();
    serde_json::from_slice::<Envelope<'_>>(&closed).ok()?;
    cursor.at += data;
    memchr::memmem::find(head, b"\"data\"").is_none().then_some(())
}

/// The rest of a row behind its symbol; whether its id is known where it must be, and its time where it has one.
#[inline(always)]
fn row(
    cursor: &mut Cursor<'_>,
    sheet: &BitmexSheet,
    place: Place,
    (rows, days): (&mut Vec<Row>, &mut Days),
    out: &mut EventLog,
) -> Option<(bool, Option<Timestamp>)> {
    cursor.literal(",\"id\":")?;
    let id = u64::try_from(cursor.integer()?).ok()?;
    let side = if cursor.take(",\"side\":\"Buy\"") {
        Side::Buy
    } else {
        cursor.literal(",\"side\":\"Sell\"")?;
        Side::Sell
    };
    let size = if cursor.take(",\"size\":") { Some(place.sizes.read(cursor)?) } else { None };
    let price = if cursor.take(",\"price\":") { Some(cursor.bare(place.price_scale)?) } else { None };
    let mut time = None;
    if cursor.take(",\"timestamp\":\"") {
        let from = cursor.at;
        time = Some(days.time(cursor)?);
        let text = &cursor.frame[from..cursor.at];
        // Mostly the same once more.
        if cursor.take(",\"transactTime\":\"") && !cursor.take_bytes(text) {
            cursor.text()?;
        }
    }
    cursor.literal("}")?;
    let (partial, delete) = (place.action == Action::Partial, place.action == Action::Delete);
    let fresh = partial || place.action == Action::Insert;
    let known = if fresh { None } else { sheet.slot(place.channel).own.levels.get(&id).copied() };
    let price = match (price, known) {
        (Some(units), _) if units > 0 => Price::from_units(units),
        (None, Some((_, price))) if !fresh => price,
        (None, None) if !fresh => return Some((false, time)),
        _ => return None,
    };
    let qty = match (size, delete) {
        (_, true) => Qty::ZERO,
        (Some(units), false) => Qty::from_units(units),
        (None, false) => return None,
    };
    if let Some((old_side, old_price)) = known.filter(|known| *known != (side, price)) {
        out.push(MarketEvent::Level { side: old_side, price: old_price, qty: Qty::ZERO });
    }
    if !(partial && qty.is_zero()) {
        out.push(MarketEvent::Level { side, price, qty });
    }
    let now = (!delete).then_some((side, price));
    // What stays as it is need not be remembered anew, unless a row before it may have changed it.
    if now != known || !rows.is_empty() {
        rows.push((id, now));
    }
    Some((fresh || known.is_some(), time))
}

/// `{"table":"trade","action":"insert","data":[{"timestamp":"…","symbol":"…","side":"Buy","size":1,"price":63739.5,
/// ["tickDirection":"…",]"trdMatchID":"…"[,"grossValue":…,"homeNotional":…,"foreignNotional":…][,"trdType":"Regular"]},…]}`: of one
/// symbol and one time.
pub(super) fn trades(
    sheet: &mut BitmexSheet,
    days: &mut Days,
    frame: &[u8],
    out: &mut EventLog,
) -> Option<Element<Message>> {
    let mut cursor = Cursor::new(frame);
    cursor.literal("{\"table\":\"trade\",\"action\":\"insert\",\"data\":[")?;
    let mut place = None;
    loop {
        cursor.literal("{\"timestamp\":\"")?;
        let time = days.time(&mut cursor)?;
        cursor.literal(",\"symbol\":\"")?;
        let symbol = cursor.text()?;
        let channel = sheet.find(symbol)?;
        if *place.get_or_insert((channel, time)) != (channel, time) {
            return None;
        }
        let scales = sheet.slot(channel).scales;
        let side = if cursor.take(",\"side\":\"Buy\"") {
            Side::Buy
        } else {
            cursor.literal(",\"side\":\"Sell\"")?;
            Side::Sell
        };
        cursor.literal(",\"size\":")?;
        let qty = Sizes::of(symbol, scales.qty)?.read(&mut cursor)?;
        cursor.literal(",\"price\":")?;
        let price = cursor.bare(scales.price)?;
        if cursor.take(",\"tickDirection\":\"") {
            cursor.text()?;
        }
        cursor.literal(",\"trdMatchID\":\"")?;
        let id = cursor.text()?;
        for name in [",\"grossValue\":", ",\"homeNotional\":", ",\"foreignNotional\":"] {
            if cursor.take(name) {
                // Only that it is a number counts.
                cursor.skip_number()?;
            }
        }
        cursor.take(",\"trdType\":\"Regular\"");
        cursor.literal("}")?;
        push_print(Some(side), price, qty, id.as_bytes(), out)?;
        match cursor.byte()? {
            b',' => {}
            b']' => break,
            _ => return None,
        }
    }
    cursor.literal("}")?;
    let (channel, time) = place?;
    cursor.at_end().then_some(Element { channel, time, what: What::Trades })
}
