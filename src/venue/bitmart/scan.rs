//! The two hot frames read in place, in the exchange's own spelling: incremental books and trades.
//!
//! Whatever does not fit to the last byte is left to the general reader in `decode`, which is also the only one that
//! words faults. So everything here answers `None` freely; events pushed before that are discarded by the caller.

use super::wire::{depth, trade};
use crate::market::{EventLog, MarketEvent, Price, Qty, Side};
use crate::venue::scan::{digits, number};

/// Decimals of an instrument's prices and quantities.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scales {
    pub(super) price: u8,
    pub(super) qty: u8,
}

/// An incremental frame, its end read: whose it is comes after the levels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Increase<'a> {
    pub(super) symbol: &'a [u8],
    pub(super) millis: i64,
    pub(super) snapshot: bool,
    pub(super) version: i64,
    /// The frame up to and with the bracket that ends the bids.
    levels: &'a [u8],
}

/// Reads an incremental frame from behind, up to its levels.
pub(super) fn increase(frame: &[u8]) -> Option<Increase<'_>> {
    let rest = frame.strip_suffix(depth::CLOSE.as_bytes())?;
    let (rest, version) = integer_behind(rest)?;
    let (rest, snapshot) = match rest.strip_suffix(depth::UPDATE.as_bytes()) {
        Some(rest) => (rest, false),
        None => (rest.strip_suffix(depth::SNAPSHOT.as_bytes())?, true),
    };
    let quote = memchr::memrchr(b'"', rest)?;
    let symbol = &rest[quote + 1..];
    let rest = rest[..=quote].strip_suffix(depth::SYMBOL.as_bytes())?;
    let (rest, millis) = integer_behind(rest)?;
    // One byte of the piece stays: the bracket that ends the bids.
    let levels = rest.strip_suffix(&depth::TIME.as_bytes()[1..])?;
    Some(Increase { symbol, millis, snapshot, version, levels })
}

impl Increase<'_> {
    /// Pushes the levels, asks first as they stand.
    pub(super) fn push_levels(&self, scales: Scales, out: &mut EventLog) -> Option<()> {
        let frame = self.levels;
        let at = expect(frame, 0, depth::OPEN)?;
        let at = rows(frame, at, Side::Sell, scales, self.snapshot, out)?;
        // The bracket that ends the asks is read; the piece begins with it.
        let at = expect(frame, at - 1, depth::BIDS)?;
        let at = rows(frame, at, Side::Buy, scales, self.snapshot, out)?;
        (at == frame.len()).then_some(())
    }
}

/// Levels up to and with the bracket that ends them. In a snapshot a size of zero is no level.
fn rows(
    frame: &[u8],
    mut at: usize,
    side: Side,
    scales: Scales,
    snapshot: bool,
    out: &mut EventLog,
) -> Option<usize> {
    if *frame.get(at)? == b']' {
        return Some(at + 1);
    }
    loop {
        at = expect(frame, at, "[\"")?;
        let (price, next) = number(frame, at, scales.price)?;
        at = expect(frame, next, "\",\"")?;
        let (qty, next) = number(frame, at, scales.qty)?;
        at = expect(frame, next, "\"]")?;
        if price <= 0 || qty < 0 {
            return None;
        }
        if !(snapshot && qty == 0) {
            out.push(MarketEvent::Level { side, price: Price::from_units(price), qty: Qty::from_units(qty) });
        }
        match *frame.get(at)? {
            b',' => at += 1,
            b']' => return Some(at + 1),
            _ => return None,
        }
    }
}

/// The symbol of a trade frame's first element.
pub(super) fn trade_symbol(frame: &[u8]) -> Option<&[u8]> {
    let at = expect(frame, 0, trade::OPEN)?;
    let from = expect(frame, at, trade::SYMBOL)?;
    let len = memchr::memchr(b'"', frame.get(from..)?)?;
    Some(&frame[from..from + len])
}

/// Pushes the prints of a trade frame whose elements all have `symbol` and one time, which is returned.
pub(super) fn push_trades(frame: &[u8], symbol: &[u8], scales: Scales, out: &mut EventLog) -> Option<i64> {
    let mut at = expect(frame, 0, trade::OPEN)?;
    let mut time = None;
    loop {
        at = expect(frame, at, trade::SYMBOL)?;
        at = expect_bytes(frame, at, symbol)?;
        at = expect(frame, at, trade::PRICE)?;
        let (price, next) = number(frame, at, scales.price)?;
        let (aggressor, next) = match expect(frame, next, trade::BUY) {
            Some(next) => (Side::Buy, next),
            None => (Side::Sell, expect(frame, next, trade::SELL)?),
        };
        let (qty, next) = number(frame, next, scales.qty)?;
        at = expect(frame, next, trade::SECONDS)?;
        let (_, next) = integer(frame, at)?;
        at = expect(frame, next, trade::TIME)?;
        let (millis, next) = integer(frame, at)?;
        at = expect(frame, next, "}")?;
        if price <= 0 || qty <= 0 || *time.get_or_insert(millis) != millis {
            return None;
        }
        out.push_trade(Some(aggressor), Price::from_units(price), Qty::from_units(qty), &[]);
        match *frame.get(at)? {
            b',' => at += 1,
            _ => break,
        }
    }
    let end = expect(frame, at, trade::CLOSE)?;
    if end == frame.len() { time } else { None }
}

#[inline]
fn expect(frame: &[u8], at: usize, piece: &str) -> Option<usize> {
    expect_bytes(frame, at, piece.as_bytes())
}

#[inline]
fn expect_bytes(frame: &[u8], at: usize, piece: &[u8]) -> Option<usize> {
    let end = at + piece.len();
    (frame.get(at..end)? == piece).then_some(end)
}

/// A JSON integer of at most 13 digits, zero or more, and where it ends.
#[inline]
fn integer(frame: &[u8], from: usize) -> Option<(i64, usize)> {
    let (value, at) = digits(frame, from, 0)?;
    let len = at - from;
    let leading_zero = len > 1 && frame[from] == b'0';
    if len == 0 || len > 13 || leading_zero { None } else { Some((value as i64, at)) }
}

/// A JSON integer at the end, and what is before it.
#[inline]
fn integer_behind(bytes: &[u8]) -> Option<(&[u8], i64)> {
    let len = bytes.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let from = bytes.len() - len;
    let leading_zero = len > 1 && bytes[from] == b'0';
    if len == 0 || len > 13 || leading_zero {
        return None;
    }
    let value = bytes[from..].iter().fold(0, |value, byte| value * 10 + i64::from(byte - b'0'));
    Some((&bytes[..from], value))
}
