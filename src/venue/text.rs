//! The text of frames, both ways: numbers and times with faults that point, numbers padded as exchanges print them.
//!
//! Never here: what a frame means. Used by every venue's folder.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::DecodeError;
use crate::market::decimal::parse_units;
use crate::market::{Instrument, Level, Price, Qty, Timestamp};

/// The time of whole milliseconds, where nanoseconds can hold it.
pub(crate) fn time_of(millis: i64) -> Option<Timestamp> {
    (0..=i64::MAX / 1_000_000).contains(&millis).then(|| Timestamp::from_millis(millis))
}

/// Units of a decimal that may be zero.
pub(crate) fn not_negative(field: &str, text: &str, scale: u8) -> Result<i64, String> {
    let units = parse_units(text.as_bytes(), scale).map_err(|fault| format!("{field} {text:?} {fault}"))?;
    if units < 0 { Err(format!("{field} {text:?} is negative")) } else { Ok(units) }
}

/// Units of a decimal that may not be zero.
pub(crate) fn positive(field: &str, text: &str, scale: u8) -> Result<i64, String> {
    match not_negative(field, text, scale)? {
        0 => Err(format!("{field} {text:?} must be more than zero")),
        units => Ok(units),
    }
}

/// A frame or a part of it that is no JSON of the wanted shape.
pub(crate) fn json_error(text: &str, error: &serde_json::Error, what: &str) -> DecodeError {
    // Frames are one line: the column is a place in it.
    let fault = error.to_string();
    let fault = fault.split(" at line ").next().unwrap_or_default();
    DecodeError { fault: format!("{what}: {fault}"), near: near(text, error.column().saturating_sub(20)) }
}

/// A fault of one element of a frame's data.
pub(crate) fn element_error(data: &RawValue, index: usize, fault: &str) -> DecodeError {
    DecodeError { fault: format!("data[{index}] {fault}"), near: near(data.get(), 0) }
}

/// Up to 60 characters of `text` from about byte `from`.
pub(crate) fn near(text: &str, from: usize) -> String {
    let from = (0..=from.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text[from..].chars().take(60).collect()
}

/// A part of a frame as `T`; a fault names the part.
pub(crate) fn part<'a, T: Deserialize<'a>>(raw: &'a RawValue, what: &str) -> Result<T, DecodeError> {
    serde_json::from_str(raw.get()).map_err(|error| json_error(raw.get(), &error, what))
}

/// A number as it was written, inside quotes or without: `"0.10"`, `3e-8`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Number<'a>(pub(crate) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Number<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(from)?.get();
        match raw.as_bytes().first() {
            Some(b'"') if !raw.contains('\\') => Ok(Self(Cow::Borrowed(raw.trim_matches('"')))),
            Some(b'0'..=b'9' | b'-') => Ok(Self(Cow::Borrowed(raw))),
            _ => Err(serde::de::Error::custom(format!("{raw:.40} is no number"))),
        }
    }
}

/// A level as an array: price, size, and whatever some interfaces put behind.
#[derive(Debug)]
pub(crate) struct Row<'a>(pub(crate) Number<'a>, pub(crate) Number<'a>);

impl Row<'_> {
    /// Price and size.
    pub(crate) fn texts(&self) -> (&str, &str) {
        (&self.0.0, &self.1.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Row<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Level;
        impl<'de> Visitor<'de> for Level {
            type Value = Row<'de>;
            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("a price and a size")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Row<'de>, A::Error> {
                let missing = |len| serde::de::Error::invalid_length(len, &"a price and a size");
                let price = seq.next_element()?.ok_or_else(|| missing(0))?;
                let size = seq.next_element()?.ok_or_else(|| missing(1))?;
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Row(price, size))
            }
        }
        from.deserialize_seq(Level)
    }
}

/// A JSON object whose names are symbols, in its own order.
#[derive(Debug)]
pub(crate) struct BySymbol<'a, T>(pub(crate) Vec<(Cow<'a, str>, T)>);

impl<'de: 'a, 'a, T: Deserialize<'de>> Deserialize<'de> for BySymbol<'a, T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Pairs<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Pairs<T> {
            type Value = Vec<(Cow<'de, str>, T)>;
            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("an object by symbol")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(Name(name)) = map.next_key()? {
                    pairs.push((name, map.next_value()?));
                }
                Ok(pairs)
            }
        }
        from.deserialize_map(Pairs(std::marker::PhantomData)).map(BySymbol)
    }
}

/// A name that is borrowed where it has no escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// A price with as many decimals as the tick has, more where it needs them.
pub(crate) fn write_price(out: &mut String, instrument: &Instrument, price: Price) {
    write_padded(out, price.units(), instrument.price_scale, instrument.rule.tick.units());
}

/// A quantity with as many decimals as the lot has, more where it needs them.
pub(crate) fn write_qty(out: &mut String, instrument: &Instrument, qty: Qty) {
    write_padded(out, qty.units(), instrument.qty_scale, instrument.rule.lot.units());
}

/// The size of a level in a change of a book: nothing but `0` where the level is gone.
pub(crate) fn write_size(out: &mut String, instrument: &Instrument, qty: Qty) {
    match qty.is_zero() {
        true => out.push('0'),
        false => write_qty(out, instrument, qty),
    }
}

/// Levels as pairs of texts: `["65000.01","0.09458"],["65000.02","0"]`.
pub(crate) fn write_levels(out: &mut String, instrument: &Instrument, levels: impl Iterator<Item = Level>) {
    let mut first = true;
    for Level { price, qty } in levels {
        out.push_str(if std::mem::take(&mut first) { "[\"" } else { ",[\"" });
        write_price(out, instrument, price);
        out.push_str("\",\"");
        write_size(out, instrument, qty);
        out.push_str("\"]");
    }
}

/// As many decimals as the step has, more where the value needs them: `0.30000` at a step of 0.00001.
pub(crate) fn write_padded(out: &mut String, units: i64, scale: u8, step: i64) {
    let (mut units, mut step, mut scale) = (units, step, scale);
    while scale > 0 && step % 10 == 0 && units % 10 == 0 {
        (units, step, scale) = (units / 10, step / 10, scale - 1);
    }
    let mut text = [0_u8; 40];
    let (mut left, mut at) = (units.unsigned_abs(), text.len());
    if scale > 0 {
        for _ in 0..scale / 2 {
            (left, at) = (left / 100, put_pair(&mut text, at, left));
        }
        if scale % 2 == 1 {
            at -= 1;
            text[at] = b'0' + (left % 10) as u8;
            left /= 10;
        }
        at -= 1;
        text[at] = b'.';
    }
    while left >= 10 {
        (left, at) = (left / 100, put_pair(&mut text, at, left));
    }
    // At least one digit stands before the point.
    if left > 0 || matches!(text.get(at), None | Some(b'.')) {
        at -= 1;
        text[at] = b'0' + left as u8;
    }
    if units < 0 {
        out.push('-');
    }
    out.push_str(std::str::from_utf8(&text[at..]).unwrap_or_default());
}

/// All numbers of two digits.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut at = 0;
    while at < 100 {
        pairs[at] = [b'0' + (at / 10) as u8, b'0' + (at % 10) as u8];
        at += 1;
    }
    pairs
};

/// Writes the last two digits of a number before `at`; returns where they begin.
fn put_pair(text: &mut [u8; 40], at: usize, number: u64) -> usize {
    [text[at - 2], text[at - 1]] = PAIRS[(number % 100) as usize];
    at - 2
}

/// A whole number.
pub(crate) fn write_integer(out: &mut String, value: i64) {
    write_padded(out, value, 0, 1);
}

/// The inside of a JSON string.
pub(crate) fn write_text(out: &mut String, text: &str) {
    let plain = |byte: u8| matches!(byte, b' '..=b'~') & (byte != b'"') & (byte != b'\\');
    // All are looked at: the machine looks at many at once then.
    if text.bytes().fold(true, |all, byte| all & plain(byte)) {
        out.push_str(text);
    } else if let Ok(quoted) = serde_json::to_string(text) {
        out.push_str(&quoted[1..quoted.len() - 1]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_padded_to_their_step() {
        for (units, scale, step, want) in [
            (6_000_001, 2, 1, "60000.01"),
            (6_000_000, 2, 1, "60000.00"),
            (30_000, 5, 1, "0.30000"),
            (7, 0, 1, "7"),
            (0, 3, 1, "0.000"),
            (1_230_000, 6, 10_000, "1.23"),
            (1_230_500, 6, 10_000, "1.2305"),
            (-5, 1, 1, "-0.5"),
            (500, 2, 100, "5"),
            (i64::MAX, 18, 1, "9.223372036854775807"),
            (i64::MIN, 0, 1, "-9223372036854775808"),
            (i64::MAX, 20, 1, "0.09223372036854775807"),
            (105, 0, 1, "105"),
            (100, 1, 1, "10.0"),
            (1_001, 3, 1, "1.001"),
        ] {
            let mut out = String::new();
            write_padded(&mut out, units, scale, step);
            assert_eq!(out, want);
        }
    }

    #[test]
    fn numbers_keep_the_text_they_came_as() {
        let read = |text| serde_json::from_str::<Number<'_>>(text).map(|number| number.0.into_owned());
        for (text, want) in [("\"0.50\"", "0.50"), ("3e-8", "3e-8"), ("-7", "-7"), ("\"\"", "")] {
            assert_eq!(read(text).unwrap(), want);
        }
        for bad in ["null", "true", "[1]", "{}", "\"\\u0031\""] {
            assert!(read(bad).unwrap_err().to_string().contains("is no number"), "{bad}");
        }
    }

    #[test]
    fn symbols_keep_the_order_of_the_frame() {
        let read: BySymbol<'_, u8> = serde_json::from_str(r#"{"B":1,"A":2}"#).unwrap();
        assert_eq!(read.0, [("B".into(), 1), ("A".into(), 2)]);
    }
}
