//! The two hot frames read in place, in the exchange's own spelling: incremental books and trades.
//!
//! Whatever does not fit to the last byte is left to the general reader in `decode`, which is also the only one that
//! words faults. So everything here answers `None` freely; events pushed before that are discarded by the caller.

use super::wire::{depth, trade};
use crate::market::decimal::parse_units;
use crate::market::{EventLog, MarketEvent, Price, Qty, Side};

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

const POW10: [u64; 19] = {
    let mut table = [1; 19];
    let mut at = 1;
    while at < table.len() {
        table[at] = table[at - 1] * 10;
        at += 1;
    }
    table
};

/// A decimal as an integer of `scale` decimals, and where it ends (at its closing quote).
#[inline]
fn number(frame: &[u8], from: usize, scale: u8) -> Option<(i64, usize)> {
    let (whole, mut at) = digits(frame, from, 0)?;
    let mut value = whole;
    let (mut decimals, mut points) = (0, 0);
    if frame[at] == b'.' {
        let point = at;
        (value, at) = digits(frame, point + 1, whole)?;
        (decimals, points) = (at - point - 1, 1);
    }
    let len = at - from;
    let plain = frame[at] == b'"' && len > points && len <= 18;
    match usize::from(scale).checked_sub(decimals) {
        Some(more) if plain => {
            let units = value.checked_mul(POW10[more.min(18)])?;
            Some((i64::try_from(units).ok()?, at))
        }
        _ => odd_number(frame, from, scale),
    }
}

/// Digits in a row after `value`, and where they end. Too many wrap around; the caller counts them.
///
/// Eight bytes at once, because the length of numbers is what a branch predictor cannot know.
#[inline]
fn digits(frame: &[u8], from: usize, value: u64) -> Option<(u64, usize)> {
    let (mut value, mut at) = (value, from);
    while let Some(word) = frame.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()) {
        let digits = u64::from_le_bytes(word) ^ 0x3030_3030_3030_3030;
        // The lowest high bit is that of the first byte that is no digit; a carry only runs to bytes behind it.
        let others = (digits.wrapping_add(0x7676_7676_7676_7676) | digits) & 0x8080_8080_8080_8080;
        let len = others.trailing_zeros() / 8;
        if len == 0 {
            return Some((value, at));
        }
        let aligned = digits << (64 - 8 * len);
        value = value.wrapping_mul(POW10[len as usize]).wrapping_add(eight_digits(aligned));
        at += len as usize;
        if len < 8 {
            return Some((value, at));
        }
    }
    digits_one_by_one(frame, at, value)
}

/// The number of eight digits, the first one in the lowest byte (Lemire, "Quickly parsing eight digits", 2022).
#[inline]
fn eight_digits(digits: u64) -> u64 {
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let even = (pairs & 0x0000_00ff_0000_00ff).wrapping_mul(0x000f_4240_0000_0064);
    let odd = ((pairs >> 16) & 0x0000_00ff_0000_00ff).wrapping_mul(0x0000_2710_0000_0001);
    even.wrapping_add(odd) >> 32
}

/// The same near the end of a frame.
#[cold]
fn digits_one_by_one(frame: &[u8], from: usize, value: u64) -> Option<(u64, usize)> {
    let (mut value, mut at) = (value, from);
    loop {
        let digit = frame.get(at)?.wrapping_sub(b'0');
        if digit > 9 {
            return Some((value, at));
        }
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
}

/// Exponents, signs, many digits, surplus zeros: by the rules of [`parse_units`].
#[cold]
fn odd_number(frame: &[u8], from: usize, scale: u8) -> Option<(i64, usize)> {
    let rest = frame.get(from..)?;
    let len = memchr::memchr(b'"', rest)?;
    Some((parse_units(&rest[..len], scale).ok()?, from + len))
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
