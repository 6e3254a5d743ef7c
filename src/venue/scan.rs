//! Frames read in place, in an exchange's own spelling: what the scanners of venues share.
//!
//! A scanner knows one spelling of one frame, to the last byte. Whatever does not fit is left to the general reader,
//! which is also the only one that words faults; so everything here answers `None` freely. It never reads what the
//! general reader would refuse, and where both read, they read the same: a property test holds them to that.

use super::quoted;
use crate::market::decimal::parse_units;
use crate::market::swar::{self, Number, POWERS, ZEROS, eight, first_odd};
use crate::market::{EventLog, MarketEvent, Price, Qty, Side, Timestamp};

/// A place in a frame, moving to its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'f> {
    pub(crate) frame: &'f [u8],
    pub(crate) at: usize,
}

impl<'f> Cursor<'f> {
    pub(crate) fn new(frame: &'f [u8]) -> Self {
        Self { frame, at: 0 }
    }

    /// Passes `piece`.
    #[inline(always)]
    pub(crate) fn literal(&mut self, piece: &str) -> Option<()> {
        let end = self.at + piece.len();
        (self.frame.get(self.at..end)? == piece.as_bytes()).then(|| self.at = end)
    }

    /// Passes `piece` if it is there.
    #[inline(always)]
    pub(crate) fn take(&mut self, piece: &str) -> bool {
        self.literal(piece).is_some()
    }

    /// The same with bytes.
    #[inline(always)]
    pub(crate) fn take_bytes(&mut self, piece: &[u8]) -> bool {
        let there = self.frame.get(self.at..self.at + piece.len()) == Some(piece);
        self.at += if there { piece.len() } else { 0 };
        there
    }

    /// The next byte, passed.
    #[inline(always)]
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let byte = *self.frame.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    /// Letters up to and without a quote, which is passed. Text with escapes is none of ours.
    #[inline]
    pub(crate) fn text(&mut self) -> Option<&'f str> {
        let rest = self.frame.get(self.at..)?;
        let len = memchr::memchr2(b'"', b'\\', rest)?;
        if rest[len] != b'"' || rest[..len].iter().any(|byte| *byte < b' ') {
            return None;
        }
        let text = std::str::from_utf8(&rest[..len]).ok()?;
        self.at += len + 1;
        Some(text)
    }

    /// A JSON integer of zero or more with at most 18 digits.
    #[inline]
    pub(crate) fn integer(&mut self) -> Option<i64> {
        let (value, end) = digits(self.frame, self.at, 0)?;
        let len = end - self.at;
        if len == 0 || len > 18 || (len > 1 && self.frame[self.at] == b'0') {
            return None;
        }
        self.at = end;
        i64::try_from(value).ok()
    }

    /// A JSON integer of zero or more with at most 19 digits: nanoseconds have as many.
    #[inline]
    pub(crate) fn long_integer(&mut self) -> Option<i64> {
        let (value, end) = digits(self.frame, self.at, 0)?;
        let len = end - self.at;
        if len == 0 || len > 19 || (len > 1 && self.frame[self.at] == b'0') {
            return None;
        }
        self.at = end;
        i64::try_from(value).ok()
    }

    /// A decimal inside quotes, at its first digit, up to the closing quote.
    #[inline(always)]
    pub(crate) fn decimal(&mut self, scale: u8) -> Option<i64> {
        let (units, end) = number(self.frame, self.at, scale)?;
        self.at = end;
        Some(units)
    }

    /// The same of one that is likely as long as `guess`, which is mended where it was wrong.
    #[inline(always)]
    pub(crate) fn decimal_like(&mut self, scale: u8, guess: &mut usize) -> Option<i64> {
        let (units, end) = number_like(self.frame, self.at, scale, guess)?;
        self.at = end;
        Some(units)
    }

    /// The same; the closing quote is passed.
    #[inline(always)]
    pub(crate) fn quoted(&mut self, scale: u8) -> Option<i64> {
        let units = self.decimal(scale)?;
        self.at += 1;
        Some(units)
    }

    /// A JSON number, up to what follows it.
    #[inline(always)]
    pub(crate) fn bare(&mut self, scale: u8) -> Option<i64> {
        let (units, end) = bare_number(self.frame, self.at, scale)?;
        self.at = end;
        Some(units)
    }

    /// Passes a plain JSON number, whatever its size.
    #[inline]
    pub(crate) fn skip_number(&mut self) -> Option<()> {
        let rest = self.frame.get(self.at..)?;
        let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let whole = digits(rest);
        if whole == 0 || (whole > 1 && rest[0] == b'0') {
            return None;
        }
        let mut end = whole;
        if rest.get(end) == Some(&b'.') {
            let decimals = digits(&rest[end + 1..]);
            if decimals == 0 {
                return None;
            }
            end += 1 + decimals;
        }
        self.at += end;
        Some(())
    }

    /// Whether all of the frame is passed.
    pub(crate) fn at_end(&self) -> bool {
        self.at == self.frame.len()
    }

    /// Pushes the levels of one side, at the byte behind the bracket that begins them; the one that ends them is passed.
    #[inline]
    pub(crate) fn levels<F: Form>(
        &mut self,
        (side, snapshot): (Side, bool),
        scales: (u8, u8),
        out: &mut EventLog,
    ) -> Option<()> {
        if self.take("]") {
            return Some(());
        }
        // Prices of one side are mostly of one length.
        let mut guess = 0;
        loop {
            self.literal(F::PIECES[0])?;
            let price = if F::QUOTED { self.decimal_like(scales.0, &mut guess) } else { self.integer() }?;
            self.literal(F::PIECES[1])?;
            let qty = if F::QUOTED { self.decimal(scales.1) } else { self.integer() }?;
            self.literal(F::PIECES[2])?;
            push_level(side, price, qty, snapshot, out)?;
            match self.byte()? {
                b',' => {}
                b']' => return Some(()),
                _ => return None,
            }
        }
    }
}

/// A print of a frame that is not read to its end yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScannedPrint {
    pub(crate) aggressor: Option<Side>,
    pub(crate) price: i64,
    pub(crate) qty: i64,
    /// Where its id is in the frame.
    pub(crate) id: (usize, usize),
}

/// Pushes the prints of a frame, whose exchange sends the newest first.
pub(crate) fn push_reversed(prints: &[ScannedPrint], frame: &[u8], out: &mut EventLog) -> Option<()> {
    prints.iter().rev().try_for_each(|print| {
        let id = frame.get(print.id.0..print.id.1)?;
        push_print(print.aggressor, print.price, print.qty, id, out)
    })
}

/// A print, where it is one.
#[inline]
pub(crate) fn push_print(
    aggressor: Option<Side>,
    price: i64,
    qty: i64,
    id: &[u8],
    out: &mut EventLog,
) -> Option<()> {
    if price <= 0 || qty <= 0 {
        return None;
    }
    out.push_trade(aggressor, Price::from_units(price), Qty::from_units(qty), id);
    Some(())
}

/// How a level is written. A type for each, so that what is read is known where the loop is made.
pub(crate) trait Form {
    /// What stands before, between and behind price and size.
    const PIECES: [&'static str; 3];
    /// Decimals in quotes; else integers, scaled.
    const QUOTED: bool = true;
}

/// `["60000.1","0.5"]`.
pub(crate) struct Pair;

impl Form for Pair {
    const PIECES: [&'static str; 3] = ["[\"", "\",\"", "\"]"];
}

/// `[600001,5]`.
pub(crate) struct Scaled;

impl Form for Scaled {
    const PIECES: [&'static str; 3] = ["[", ",", "]"];
    const QUOTED: bool = false;
}

/// A level, where it is one. In a snapshot a size of zero is no level.
#[inline(always)]
pub(crate) fn push_level(side: Side, price: i64, qty: i64, snapshot: bool, out: &mut EventLog) -> Option<()> {
    if price <= 0 || qty < 0 {
        return None;
    }
    if !(snapshot && qty == 0) {
        out.push(MarketEvent::Level { side, price: Price::from_units(price), qty: Qty::from_units(qty) });
    }
    Some(())
}

/// The end of a frame, read from behind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Behind<'f>(pub(crate) &'f [u8]);

impl<'f> Behind<'f> {
    /// Passes `piece`.
    #[inline]
    pub(crate) fn literal(&mut self, piece: &str) -> Option<()> {
        self.0 = self.0.strip_suffix(piece.as_bytes())?;
        Some(())
    }

    /// A JSON integer of zero or more with at most 19 digits.
    #[inline]
    pub(crate) fn integer(&mut self) -> Option<i64> {
        let len = self.0.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        let from = self.0.len() - len;
        if len == 0 || len > 19 || (len > 1 && self.0[from] == b'0') {
            return None;
        }
        let value = self.0[from..].iter().fold(0_u64, |value, byte| value * 10 + u64::from(byte - b'0'));
        self.0 = &self.0[..from];
        i64::try_from(value).ok()
    }

    /// Letters back to a quote, which is passed too.
    #[inline]
    pub(crate) fn text(&mut self) -> Option<&'f str> {
        let len = self.0.iter().rev().position(|byte| matches!(byte, b'"' | b'\\' | 0..=31))?;
        let (rest, text) = self.0.split_at(self.0.len() - len);
        self.0 = rest.strip_suffix(b"\"")?;
        // A quote may be escaped itself.
        if self.0.last() == Some(&b'\\') {
            return None;
        }
        std::str::from_utf8(text).ok()
    }
}

/// A decimal as an integer of `scale` decimals, and where it ends (at its closing quote).
#[inline(always)]
fn number(frame: &[u8], from: usize, scale: u8) -> Option<(i64, usize)> {
    let len = quoted::length(frame, from);
    match len.and_then(|len| Some((quoted::units(frame, from + len, len, scale)?, from + len))) {
        None => any_number(frame, from, scale),
        read => read,
    }
}

/// The same of one that is likely as long as `guess`, which is mended where it was wrong.
#[inline(always)]
fn number_like(frame: &[u8], from: usize, scale: u8, guess: &mut usize) -> Option<(i64, usize)> {
    // A quote before it is no digit. A guess that is right costs no waiting for what is read.
    if frame.get(from + *guess) != Some(&b'"') {
        *guess = length_of(frame, from);
    }
    match quoted::units(frame, from + *guess, *guess, scale) {
        Some(units) => Some((units, from + *guess)),
        None => any_number(frame, from, scale),
    }
}

/// How long a number is; 0 where it is too long to be read at once.
#[cold]
fn length_of(frame: &[u8], from: usize) -> usize {
    quoted::length(frame, from).unwrap_or(0)
}

/// A decimal of at most fifteen letters, where the frame goes on behind it.
#[inline(always)]
fn short(frame: &[u8], from: usize, scale: u8) -> Option<Number> {
    swar::decimal(frame.get(from..)?.first_chunk()?, scale)
}

/// The same of any length.
fn any_number(frame: &[u8], from: usize, scale: u8) -> Option<(i64, usize)> {
    let (whole, mut at) = digits(frame, from, 0)?;
    let mut value = whole;
    let (mut decimals, mut points) = (0, 0);
    if *frame.get(at)? == b'.' {
        let point = at;
        (value, at) = digits(frame, point + 1, whole)?;
        (decimals, points) = (at - point - 1, 1);
    }
    let len = at - from;
    let plain = *frame.get(at)? == b'"' && len > points && len <= 18;
    match usize::from(scale).checked_sub(decimals) {
        Some(more) if plain => {
            let units = i64::try_from(value).ok()?.checked_mul(POWERS[more.min(18)])?;
            Some((units, at))
        }
        _ => odd_number(frame, from, scale),
    }
}

/// A JSON number (`3e-8` too) as an integer of `scale` decimals, and where it ends.
#[inline(always)]
fn bare_number(frame: &[u8], from: usize, scale: u8) -> Option<(i64, usize)> {
    // As JSON has it: no leading zero, digits on both sides of a point.
    let formed = |text: &[u8], len: usize| match *text {
        [b'0', b'.' | b',' | b'}' | b']', ..] | [b'1'..=b'9', ..] => text[len - 1] != b'.',
        _ => false,
    };
    match short(frame, from, scale) {
        Some(number) if matches!(number.end, b',' | b'}' | b']') && formed(&frame[from..], number.len) => {
            Some((number.units, from + number.len))
        }
        _ => any_bare_number(frame, from, scale),
    }
}

/// The same of any length, with an exponent too.
fn any_bare_number(frame: &[u8], from: usize, scale: u8) -> Option<(i64, usize)> {
    let (whole, mut at) = digits(frame, from, 0)?;
    let whole_len = at - from;
    // As JSON has it: no leading zero, digits on both sides of a point.
    if whole_len == 0 || (whole_len > 1 && frame[from] == b'0') {
        return None;
    }
    let (mut value, mut decimals) = (whole, 0);
    if *frame.get(at)? == b'.' {
        let point = at;
        (value, at) = digits(frame, point + 1, whole)?;
        decimals = at - point - 1;
        if decimals == 0 {
            return None;
        }
    }
    let exponent = matches!(*frame.get(at)?, b'e' | b'E');
    match usize::from(scale).checked_sub(decimals) {
        Some(more) if !exponent && at - from <= 18 => {
            let units = i64::try_from(value).ok()?.checked_mul(POWERS[more.min(18)])?;
            Some((units, at))
        }
        _ => odd_bare_number(frame, from, at, scale),
    }
}

/// The same with an exponent, or with surplus decimals: its mantissa, which ends at `at`, is well formed.
#[cold]
fn odd_bare_number(frame: &[u8], from: usize, mut at: usize, scale: u8) -> Option<(i64, usize)> {
    if matches!(*frame.get(at)?, b'e' | b'E') {
        at += 1;
        at += usize::from(matches!(*frame.get(at)?, b'+' | b'-'));
        let len = frame.get(at..)?.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if len == 0 {
            return None;
        }
        at += len;
    }
    Some((parse_units(&frame[from..at], scale).ok()?, at))
}

/// Digits in a row after `value`, and where they end. Too many wrap around; the caller counts them.
///
/// Eight bytes at once, because the length of numbers is what a branch predictor cannot know.
#[inline]
fn digits(frame: &[u8], from: usize, value: u64) -> Option<(u64, usize)> {
    let (mut value, mut at) = (value, from);
    while let Some(word) = frame.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()) {
        let digits = u64::from_le_bytes(word) ^ ZEROS;
        let len = first_odd(digits).trailing_zeros() / 8;
        if len == 0 {
            return Some((value, at));
        }
        let aligned = digits << (64 - 8 * len);
        value = value.wrapping_mul(POWERS[len as usize] as u64).wrapping_add(eight(aligned));
        at += len as usize;
        if len < 8 {
            return Some((value, at));
        }
    }
    digits_one_by_one(frame, at, value)
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

/// Reads times of the form `2026-01-01T00:00:00.000Z`, with up to nine decimals; the day that was read last is
/// remembered.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Days {
    day: [u8; 10],
    start: i64,
}

impl Days {
    /// The time of such a text, at its first digit; the closing quote is passed. Any other form is `None`.
    #[inline]
    pub(crate) fn time(&mut self, cursor: &mut Cursor<'_>) -> Option<Timestamp> {
        let text: &[u8; 20] = cursor.frame.get(cursor.at..)?.first_chunk()?;
        let two = |at: usize| {
            let (tens, ones) = (text[at].wrapping_sub(b'0'), text[at + 1].wrapping_sub(b'0'));
            (tens < 10 && ones < 10).then_some(i64::from(tens) * 10 + i64::from(ones))
        };
        let (hours, minutes, seconds) = (two(11)?, two(14)?, two(17)?);
        let formed = text[10] == b'T' && text[13] == b':' && text[16] == b':';
        if !formed || hours > 23 || minutes > 59 || seconds > 59 {
            return None;
        }
        if text[..10] != self.day {
            self.learn(text)?;
        }
        let mut nanos = ((hours * 60 + minutes) * 60 + seconds) * 1_000_000_000;
        let mut end = cursor.at + 19;
        if text[19] == b'.' {
            let (value, at) = digits(cursor.frame, end + 1, 0)?;
            let len = at - end - 1;
            if !(1..=9).contains(&len) {
                return None;
            }
            nanos += i64::try_from(value).ok()? * POWERS[9 - len];
            end = at;
        }
        cursor.at = end;
        cursor.literal("Z\"")?;
        Some(Timestamp::from_nanos(self.start.checked_add(nanos)?))
    }

    /// Another day begins.
    #[cold]
    fn learn(&mut self, text: &[u8; 20]) -> Option<()> {
        let day: &[u8; 10] = text.first_chunk()?;
        let midnight = format!("{}T00:00:00Z", std::str::from_utf8(day).ok()?);
        self.start = midnight.parse::<Timestamp>().ok()?.nanos();
        self.day = *day;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bare_numbers_are_those_of_json() {
        for (text, want) in [
            ("3e-8,", Some(3)),
            ("3.5e-7}", Some(35)),
            ("0,", Some(0)),
            ("0.00000001]", Some(1)),
            ("60000.5,", Some(6_000_050_000_000)),
            ("1E+2,", Some(10_000_000_000)),
            ("01,", None),
            (".5,", None),
            ("5.,", None),
            ("+5,", None),
            ("-5,", None),
            ("5e,", None),
            ("0.000000001,", None),
            ("0.100000000000000000000000,", Some(10_000_000)),
            ("99999999999999999999,", None),
            ("5", None),
        ] {
            assert_eq!(Cursor::new(text.as_bytes()).bare(8), want, "{text}");
        }
    }

    #[test]
    fn times_of_the_one_form() {
        let mut days = Days::default();
        for text in [
            "2026-01-01T23:59:59.999Z",
            "2026-01-01T00:00:00.000Z",
            "1970-01-01T00:00:00.001Z",
            "2026-01-01T00:00:00Z",
            "2026-01-01T01:02:03.123456789Z",
            "2026-01-01T01:02:03.5Z",
        ] {
            let quoted = format!("{text}\"");
            let mut cursor = Cursor::new(quoted.as_bytes());
            assert_eq!(days.time(&mut cursor), text.parse().ok(), "{text}");
            assert!(cursor.at_end());
        }
        for bad in [
            "2026-02-30T00:00:00.000Z\"",
            "2026-01-01T24:00:00.000Z\"",
            "2026-01-01T00:00:60.000Z\"",
            "2026-01-01 00:00:00.000Z\"",
            "2026-01-01T00:00:00.Z\"",
            "2026-01-01T00:00:00.1234567890Z\"",
            "2026-01-01T00:00:00",
        ] {
            assert_eq!(days.time(&mut Cursor::new(bad.as_bytes())), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_what_the_general_parser_reads(text in "[0-9.eE+-]{0,24}", scale in 0_u8..12) {
            let bare = format!("{text},");
            let mut cursor = Cursor::new(bare.as_bytes());
            if let Some(units) = cursor.bare(scale).filter(|_| cursor.at == text.len()) {
                prop_assert_eq!(parse_units(text.as_bytes(), scale), Ok(units));
                prop_assert!(serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok());
            }
            let quoted = format!("{text}\"");
            if let Some((units, at)) = number(quoted.as_bytes(), 0, scale) {
                prop_assert_eq!(parse_units(text.as_bytes(), scale), Ok(units));
                prop_assert_eq!(at, text.len());
            }
        }
    }
}
