//! Decimals inside quotes, read from their closing quote backwards, eight letters at a time.
//!
//! Where a number ends says where the next begins, and that is what a long row of numbers waits for: so the end is
//! looked for alone, or guessed where neighbours are as long, and the digits are looked at while the next is read.
//! Never here: numbers with signs or exponents, or of many digits. `None` means: let the general parser look.

use crate::market::swar::{POWERS, ZEROS, eight, equal, odd_bytes};

/// The letters of a word.
const WORD: usize = 8;

/// Eight letters, the first in the lowest byte.
#[inline(always)]
fn word(frame: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*frame.get(at..)?.first_chunk()?))
}

/// How many letters stand before the next quote; up to fifteen.
#[inline(always)]
pub(super) fn length(frame: &[u8], at: usize) -> Option<usize> {
    let letters: &[u8; 2 * WORD] = frame.get(at..)?.first_chunk()?;
    let both = u128::from_le_bytes(*letters);
    let (first, second) = (equal(both as u64, b'"'), equal((both >> 64) as u64, b'"'));
    let len = match first {
        0 => WORD + second.trailing_zeros() as usize / 8,
        first => first.trailing_zeros() as usize / 8,
    };
    (len < 2 * WORD).then_some(len)
}

/// The decimal of so many letters that ends before `end`, in units of `scale`.
#[inline(always)]
pub(super) fn units(frame: &[u8], end: usize, len: usize, scale: u8) -> Option<i64> {
    let (value, decimals, letters) = if len <= WORD {
        let last = Part::read(word(frame, end.checked_sub(WORD)?)?, len)?;
        (last.value, last.decimals, len - last.points)
    } else {
        long(frame, end, len)?
    };
    let factor = *POWERS.get(usize::from(scale).checked_sub(decimals)?)?;
    // A point alone is no number.
    if letters == 0 { None } else { (value as i64).checked_mul(factor) }
}

/// The same of more than eight letters: the value, its decimals, and how many digits there are.
#[inline]
fn long(frame: &[u8], end: usize, len: usize) -> Option<(u64, usize, usize)> {
    let first = Part::read(word(frame, end.checked_sub(2 * WORD)?)?, len - WORD)?;
    let last = Part::read(word(frame, end - WORD)?, WORD)?;
    let points = first.points + last.points;
    let value = first.value * POWERS[WORD - last.points] as u64 + last.value;
    let decimals = if first.points == 1 { first.decimals + WORD } else { last.decimals };
    (points <= 1).then_some((value, decimals, len - points))
}

/// Up to eight letters of a number, the last in the highest byte.
struct Part {
    value: u64,
    /// Digits behind the point, if it is here.
    decimals: usize,
    /// Points: one or none.
    points: usize,
}

impl Part {
    /// The last `len` letters of a word, 1 to 8. No branch but on what is no number: whether there is a point, and
    /// where, cannot be predicted.
    #[inline(always)]
    fn read(word: u64, len: usize) -> Option<Self> {
        let before = WORD.checked_sub(len).filter(|before| *before < WORD)?;
        let digits = (word ^ ZEROS) & (!0 << (8 * before));
        // A one in the lowest bit of the byte that is no digit.
        let point = odd_bytes(digits) >> 7;
        let places = point.wrapping_mul(0xff);
        // It is a point, and the only one.
        if point & point.wrapping_sub(1) != 0 || digits & places != point.wrapping_mul(u64::from(b'.' ^ b'0'))
        {
            return None;
        }
        let lower = point.wrapping_sub(u64::from(point != 0));
        let squeezed = (digits & lower) << 8 | digits & !(lower | places);
        Some(Self {
            value: eight(squeezed),
            // The highest bit stands for the place behind the last digit: a number without a point ends there.
            decimals: WORD - 1 - (point | 1 << 63).trailing_zeros() as usize / 8,
            points: usize::from(point != 0),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::market::decimal::parse_units;

    /// Reads a number out of a frame.
    fn read(text: &str, scale: u8) -> Option<(i64, usize)> {
        let frame = format!("{{\"price\":[\"{text}\",\"0.5\"]}}      ");
        let at = frame.find('[').map_or(0, |at| at + 2);
        let len = length(frame.as_bytes(), at)?;
        Some((units(frame.as_bytes(), at + len, len, scale)?, len))
    }

    #[test]
    fn decimals_of_real_rows() {
        for (text, scale, units) in [
            ("0", 5, 0),
            ("9.977", 3, 9_977),
            ("37000.10", 2, 3_700_010),
            ("0.01507", 8, 1_507_000),
            ("12345678", 0, 12_345_678),
            ("0.0008790", 7, 8_790),
            ("1234567.12345", 5, 123_456_712_345),
            ("12345.6789012", 7, 123_456_789_012),
            ("123456789012345", 0, 123_456_789_012_345),
            ("123456789.", 1, 1_234_567_890),
            (".123456789", 9, 123_456_789),
            ("5.", 1, 50),
            (".5", 1, 5),
        ] {
            assert_eq!(read(text, scale), Some((units, text.len())), "{text}");
        }
        for text in
            ["", ".", "1.25", "-1", "1e3", "1.2.3", "123456789.1.5", "1.345678901.5", "1234567890123456"]
        {
            assert_eq!(read(text, 1), None, "{text}");
        }
        assert_eq!(read("99999999999999", 18), None);
        assert_eq!((length(b"12", 0), length(b"", 7), units(b"1\"", 1, 1, 0)), (None, None, None));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]
        #[test]
        fn decimals_as_the_general_parser_reads_them(
            text in "[0-9]{0,9}\\.?[0-9]{0,9}|[0-9.eE+\u{e9} -]{0,16}", scale in 0_u8..=18,
        ) {
            if let Some((units, len)) = read(&text, scale) {
                prop_assert_eq!(len, text.len());
                prop_assert_eq!(parse_units(text.as_bytes(), scale), Ok(units));
            } else if parse_units(text.as_bytes(), scale).is_ok() {
                // What is left to the general parser: surplus decimals, signs, exponents, sixteen letters.
                let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
                let decimals = text.find('.').map_or(0, |point| text.len() - point - 1);
                prop_assert!(!plain || text.len() > 15 || decimals > usize::from(scale), "{}", text);
            }
        }

        #[test]
        fn any_bytes_are_read_right_or_not_at_all(
            bytes in prop::collection::vec(any::<u8>(), 0..40), at in 0_usize..30, scale in 0_u8..=18,
        ) {
            if let Some(units) = length(&bytes, at).and_then(|len| units(&bytes, at + len, len, scale)) {
                let len = length(&bytes, at).unwrap_or_default();
                prop_assert_eq!(parse_units(&bytes[at..at + len], scale), Ok(units));
            }
        }
    }
}
