//! Decimals as text to scaled integers and back, exactly.
//!
//! Exchanges write `0.30000000`, `3e-8` and `1.58e-05`; all of them are exact here or refused, never rounded.
//!
//! ```
//! use papertape::market::decimal::{Plain, parse_units};
//! assert_eq!(parse_units(b"65000.50", 1), Ok(650_005));
//! assert_eq!(parse_units(b"1.58e-05", 8), Ok(1_580));
//! assert_eq!(Plain::new(650_005, 1).to_string(), "65000.5");
//! ```

use std::fmt;

use rust_decimal::Decimal;

/// Why a text is no decimal of the wanted scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecimalFault {
    /// The field is empty.
    #[error("is empty")]
    Empty,
    /// Something other than digits, a point, a sign or an exponent.
    #[error("is not a decimal")]
    NotDecimal,
    /// More decimals than the instrument's scale holds.
    #[error("has {decimals} decimals, {scale} fit")]
    TooPrecise {
        /// Decimals of the text, trailing zeros left out.
        decimals: u32,
        /// Decimals that fit.
        scale: u8,
    },
    /// It does not fit 63 bits at that scale.
    #[error("is too large")]
    TooLarge,
}

/// The text as an integer of `scale` decimals. Signs, exponents and trailing zeros are fine.
pub fn parse_units(text: &[u8], scale: u8) -> Result<i64, DecimalFault> {
    let parts = Parts::read(text)?;
    let shift = i64::from(scale) - parts.decimals;
    if parts.digits == 0 {
        return Ok(0);
    }
    if shift < 0 {
        let decimals = u32::try_from(parts.decimals).unwrap_or(u32::MAX);
        return Err(DecimalFault::TooPrecise { decimals, scale });
    }
    let factor =
        u32::try_from(shift).ok().and_then(|n| 10_u64.checked_pow(n)).ok_or(DecimalFault::TooLarge)?;
    let units = parts.digits.checked_mul(factor).and_then(|v| i64::try_from(v).ok());
    units.map(|v| if parts.negative { -v } else { v }).ok_or(DecimalFault::TooLarge)
}

/// The same, with the digits beyond the scale cut off; a text with an exponent must fit as it is.
///
/// ```
/// # use papertape::market::decimal::parse_units_cut;
/// assert_eq!(parse_units_cut(b"76671.4381686055379793", 10), Ok(766_714_381_686_055));
/// assert_eq!(parse_units_cut(b"-0.00003", 3), Ok(0));
/// ```
pub fn parse_units_cut(text: &[u8], scale: u8) -> Result<i64, DecimalFault> {
    let whole = text.iter().position(|byte| *byte == b'.').unwrap_or(text.len());
    let end = whole + 1 + usize::from(scale);
    match text.get(end..) {
        // What is cut off must be digits, too.
        Some(rest) if !rest.is_empty() && rest.iter().all(u8::is_ascii_digit) => {
            parse_units(&text[..end], scale)
        }
        _ => parse_units(text, scale),
    }
}

/// How many decimals a text needs, trailing zeros left out: `1.50` needs 1, `3e-8` needs 8, `100` needs 0.
pub fn decimals_of(text: &[u8]) -> Result<u32, DecimalFault> {
    let parts = Parts::read(text)?;
    Ok(if parts.digits == 0 { 0 } else { u32::try_from(parts.decimals.max(0)).unwrap_or(u32::MAX) })
}

/// A decimal taken apart: `digits` × 10^-`decimals`, no trailing zero in `digits`.
struct Parts {
    negative: bool,
    digits: u64,
    decimals: i64,
}

impl Parts {
    fn read(text: &[u8]) -> Result<Self, DecimalFault> {
        let (negative, rest) = match text {
            [] => return Err(DecimalFault::Empty),
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        let mut digits = 0_u64;
        let mut decimals = 0_i64;
        let (mut seen_digit, mut seen_point) = (false, false);
        // Zeros are held back until a digit follows them, so "0.30000000000000000000000000" stays small.
        let mut zeros = 0_i64;
        let mut index = 0;
        while let Some(&byte) = rest.get(index) {
            match byte {
                b'0' => {
                    seen_digit = true;
                    zeros += 1;
                    decimals += i64::from(seen_point);
                }
                b'1'..=b'9' => {
                    seen_digit = true;
                    for _ in 0..=(if digits == 0 { 0 } else { zeros }) {
                        digits = digits.checked_mul(10).ok_or(DecimalFault::TooLarge)?;
                    }
                    digits = digits.checked_add(u64::from(byte - b'0')).ok_or(DecimalFault::TooLarge)?;
                    zeros = 0;
                    decimals += i64::from(seen_point);
                }
                b'.' if !seen_point => seen_point = true,
                b'e' | b'E' if seen_digit => {
                    decimals -= exponent(&rest[index + 1..])?;
                    break;
                }
                _ => return Err(DecimalFault::NotDecimal),
            }
            index += 1;
        }
        if !seen_digit {
            return Err(DecimalFault::NotDecimal);
        }
        Ok(Self { negative, digits, decimals: decimals - zeros })
    }
}

fn exponent(text: &[u8]) -> Result<i64, DecimalFault> {
    let (sign, digits) = match text {
        [b'-', rest @ ..] => (-1, rest),
        [b'+', rest @ ..] => (1, rest),
        rest => (1, rest),
    };
    if digits.is_empty() || digits.len() > 4 || !digits.iter().all(u8::is_ascii_digit) {
        return Err(DecimalFault::NotDecimal);
    }
    Ok(sign * digits.iter().fold(0, |value, byte| value * 10 + i64::from(byte - b'0')))
}

/// A scaled integer as people and files see it: plain, exact, no exponent, no trailing zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plain {
    units: i128,
    scale: u8,
}

impl Plain {
    /// `units` × 10^-`scale`.
    pub fn new(units: impl Into<i128>, scale: u8) -> Self {
        Self { units: units.into(), scale }
    }

    /// Appends its text.
    pub fn push_to(self, text: &mut String) {
        // It is a buffer: nothing there can fail.
        let _ = self.write(text);
    }

    #[inline]
    fn write(self, to: &mut impl fmt::Write) -> fmt::Result {
        let mut buffer = itoa::Buffer::new();
        let units = self.units.unsigned_abs();
        // Divisions of 128 bits are slow.
        let digits = match u64::try_from(units) {
            Ok(units) => buffer.format(units),
            Err(_) => buffer.format(units),
        };
        if self.units < 0 {
            to.write_char('-')?;
        }
        let (whole, decimals) = digits.split_at(digits.len().saturating_sub(usize::from(self.scale)));
        to.write_str(if whole.is_empty() { "0" } else { whole })?;
        let shown = decimals.trim_end_matches('0');
        if shown.is_empty() {
            return Ok(());
        }
        to.write_char('.')?;
        (decimals.len()..usize::from(self.scale)).try_for_each(|_| to.write_char('0'))?;
        to.write_str(shown)
    }
}

impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.width().is_none() && !f.sign_plus() {
            return self.write(f);
        }
        let mut text = String::new();
        let size = Self { units: self.units.abs(), ..*self };
        size.write(&mut text)?;
        f.pad_integral(self.units >= 0, "", &text)
    }
}

/// The decimal as an integer of `scale` decimals; `None` where that would round or overflow.
pub fn units_of(value: Decimal, scale: u8) -> Option<i128> {
    let value = value.normalize();
    let shift = u32::from(scale).checked_sub(value.scale())?;
    value.mantissa().checked_mul(10_i128.checked_pow(shift)?)
}

/// `units` × 10^-`scale` as a decimal; `None` where it does not fit 96 bits.
pub fn decimal_of(units: i128, scale: u8) -> Option<Decimal> {
    let (mut units, mut scale) = (units, scale);
    while scale > 0 && units % 10 == 0 {
        units /= 10;
        scale -= 1;
    }
    Decimal::try_from_i128_with_scale(units, u32::from(scale)).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_of_real_venues_parse_exactly() {
        for (text, scale, want) in [
            ("65000.5", 1, Ok(650_005)),
            ("65000.50000000000", 1, Ok(650_005)),
            ("0.3", 18, Ok(300_000_000_000_000_000)),
            ("3e-8", 8, Ok(3)),
            ("3.5e-7", 8, Ok(35)),
            ("1.58e-05", 8, Ok(1_580)),
            ("1E3", 0, Ok(1_000)),
            ("1.25e1", 1, Ok(125)),
            ("-0.5", 1, Ok(-5)),
            ("+7", 0, Ok(7)),
            ("0", 8, Ok(0)),
            ("0.000000000000000000000000000000", 2, Ok(0)),
            ("0.100000000000000000000000000000", 2, Ok(10)),
            (".5", 1, Ok(5)),
            ("5.", 1, Ok(50)),
            ("1.05", 1, Err(DecimalFault::TooPrecise { decimals: 2, scale: 1 })),
            ("", 1, Err(DecimalFault::Empty)),
            ("-", 1, Err(DecimalFault::NotDecimal)),
            (".", 1, Err(DecimalFault::NotDecimal)),
            ("6500O.5", 1, Err(DecimalFault::NotDecimal)),
            ("1e", 1, Err(DecimalFault::NotDecimal)),
            ("1.2.3", 1, Err(DecimalFault::NotDecimal)),
            ("NaN", 1, Err(DecimalFault::NotDecimal)),
            ("99999999999999999999", 0, Err(DecimalFault::TooLarge)),
            ("9223372036854775808", 0, Err(DecimalFault::TooLarge)),
            ("9223372036854775807", 0, Ok(i64::MAX)),
            ("1e30", 0, Err(DecimalFault::TooLarge)),
        ] {
            assert_eq!(parse_units(text.as_bytes(), scale), want, "{text} at {scale}");
        }
    }

    #[test]
    fn plain_prints_as_the_files_do() {
        for (units, scale, want) in [
            (650_005_i128, 1, "65000.5"),
            (650_000, 1, "65000"),
            (5, 3, "0.005"),
            (-5, 3, "-0.005"),
            (0, 4, "0"),
            (100, 0, "100"),
            (1, 0, "1"),
            (123_450, 2, "1234.5"),
            (10_i128.pow(19), 0, "10000000000000000000"),
            (10_i128.pow(38) + 70, 19, "10000000000000000000.000000000000000007"),
            (i128::MIN, 38, "-1.70141183460469231731687303715884105728"),
            (-1, 255, &format!("-0.{:0>255}", 1)),
        ] {
            assert_eq!(Plain::new(units, scale).to_string(), want);
        }
        assert_eq!(format!("{:>8}|", Plain::new(15, 1)), "     1.5|");
    }

    proptest! {
        #[test]
        fn print_and_parse_are_inverse(units in any::<i64>(), scale in 0_u8..=18) {
            prop_assume!(units != i64::MIN);
            let text = Plain::new(units, scale).to_string();
            prop_assert_eq!(parse_units(text.as_bytes(), scale), Ok(units));
            if let Some(decimal) = decimal_of(i128::from(units), scale) {
                prop_assert_eq!(decimal.to_string(), text);
                prop_assert_eq!(units_of(decimal, scale), Some(i128::from(units)));
            }
        }

        #[test]
        fn nothing_panics(text in proptest::collection::vec(any::<u8>(), 0..40), scale in 0_u8..=18) {
            let _ = parse_units(&text, scale);
            let _ = decimals_of(&text);
        }
    }
}
