//! Text looked at eight bytes at a time, and the numbers read from it so, with every byte checked. `None` means: let
//! the general parser look.
//!
//! What is found of a word is told as a flag: the high bit of each byte it is true of, the first byte lowest.

/// `0` in every byte.
pub(crate) const ZEROS: u64 = every(b'0');
const HIGH: u64 = every(0x80);

/// A byte in all eight places.
#[inline(always)]
pub(crate) const fn every(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// The powers of ten that fit.
pub(crate) const POWERS: [i64; 19] = {
    let mut powers = [1; 19];
    let mut index = 1;
    while index < 19 {
        powers[index] = powers[index - 1] * 10;
        index += 1;
    }
    powers
};

/// Flags the bytes of `digits` (text less [`ZEROS`]) that are no digit.
#[inline(always)]
pub(crate) const fn odd_bytes(digits: u64) -> u64 {
    // Added to a byte of up to 127, 118 sets the high bit of all but 0 to 9.
    (((digits & !HIGH) + every(128 - 10)) | digits) & HIGH
}

/// Flags the first byte that is no digit rightly; those behind it may be flagged too, by a carry.
#[inline(always)]
pub(crate) const fn first_odd(digits: u64) -> u64 {
    (digits.wrapping_add(every(128 - 10)) | digits) & HIGH
}

/// Flags the first byte below `limit` (at most 128) rightly; those behind it may be flagged too, by a borrow.
#[inline(always)]
pub(crate) const fn below(word: u64, limit: u8) -> u64 {
    word.wrapping_sub(every(limit)) & !word & HIGH
}

/// Flags the first byte that is `byte`, as [`below`] does.
#[inline(always)]
pub(crate) const fn equal(word: u64, byte: u8) -> u64 {
    below(word ^ every(byte), 1)
}

/// Eight digits, the first in the lowest byte, each less `0` (Lemire, "Quickly parsing eight digits", 2022).
#[inline(always)]
pub(crate) const fn eight(digits: u64) -> u64 {
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let low = (pairs & 0x0000_00ff_0000_00ff).wrapping_mul(0x000f_4240_0000_0064);
    let high = ((pairs >> 16) & 0x0000_00ff_0000_00ff).wrapping_mul(0x0000_2710_0000_0001);
    low.wrapping_add(high) >> 32
}

/// The high digits of a time stamp change once in 100 s: they are parsed once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StampCache {
    text: u64,
    value: u64,
}

impl Default for StampCache {
    fn default() -> Self {
        Self { text: ZEROS, value: 0 }
    }
}

impl StampCache {
    /// The number of sixteen digits.
    #[inline(always)]
    pub(crate) fn sixteen(&mut self, text: &[u8; 16]) -> Option<u64> {
        let (high, low) = words(text);
        let low = low ^ ZEROS;
        if high != self.text {
            if odd_bytes(high ^ ZEROS) != 0 {
                return None;
            }
            (self.text, self.value) = (high, eight(high ^ ZEROS) * 100_000_000);
        }
        if odd_bytes(low) != 0 { None } else { Some(self.value + eight(low)) }
    }
}

#[inline(always)]
fn words(text: &[u8; 16]) -> (u64, u64) {
    let word = u128::from_le_bytes(*text);
    (word as u64, (word >> 64) as u64)
}

/// A decimal without sign or exponent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Number {
    /// In units of the wanted scale.
    pub(crate) units: i64,
    /// How long its text is.
    pub(crate) len: usize,
    /// The byte behind it.
    pub(crate) end: u8,
}

/// The decimal that begins `text`, in units of `scale`; at most fifteen bytes, so that the byte behind it is seen.
#[inline(always)]
pub(crate) fn decimal(text: &[u8; 16], scale: u8) -> Option<Number> {
    let (word, _) = words(text);
    let odd = odd_bytes(word ^ ZEROS);
    let first = odd.trailing_zeros() / 8;
    // A shift by 64 cannot happen where it counts: then `ends` is zero too.
    let point = (word >> ((first * 8) & 63)) as u8 == b'.';
    let ends = if point { odd & odd.wrapping_sub(1) } else { odd };
    if ends == 0 {
        return long_decimal(text, scale);
    }
    let len = ends.trailing_zeros() / 8;
    let count = len - u32::from(point);
    let before = (1_u64 << ((first * 8) & 63)).wrapping_sub(1);
    let squeezed = if point { (word & before) | ((word >> 8) & !before) } else { word };
    if count == 0 {
        return None;
    }
    let digits = eight((squeezed ^ ZEROS) << (64 - 8 * count));
    let decimals = if point { len - first - 1 } else { 0 };
    finish(digits, decimals, scale, len as usize, (word >> ((len * 8) & 63)) as u8)
}

/// The same for eight to fifteen bytes.
fn long_decimal(text: &[u8; 16], scale: u8) -> Option<Number> {
    let word = u128::from_le_bytes(*text);
    let (low, high) = words(text);
    let odd = u128::from(odd_bytes(low ^ ZEROS)) | (u128::from(odd_bytes(high ^ ZEROS)) << 64);
    let first = odd.trailing_zeros() / 8;
    let point = *text.get(first as usize)? == b'.';
    let ends = if point { odd & (odd - 1) } else { odd };
    if ends == 0 {
        return None;
    }
    let len = ends.trailing_zeros() / 8;
    let count = len - u32::from(point);
    if count == 0 {
        return None;
    }
    let before = (1_u128 << (first * 8)) - 1;
    let squeezed = if point { (word & before) | ((word >> 8) & !before) } else { word };
    let digits = (squeezed ^ (u128::from(ZEROS) << 64 | u128::from(ZEROS))) << (128 - 8 * count);
    let digits = eight(digits as u64) * 100_000_000 + eight((digits >> 64) as u64);
    let decimals = if point { len - first - 1 } else { 0 };
    finish(digits, decimals, scale, len as usize, *text.get(len as usize)?)
}

#[inline(always)]
fn finish(digits: u64, decimals: u32, scale: u8, len: usize, end: u8) -> Option<Number> {
    let factor = *POWERS.get(u32::from(scale).checked_sub(decimals)? as usize)?;
    let units = (digits as i64).checked_mul(factor)?;
    Some(Number { units, len, end })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::market::decimal::parse_units;

    fn chunk(text: &str) -> [u8; 16] {
        let mut bytes = [b'x'; 16];
        bytes[..text.len().min(16)].copy_from_slice(&text.as_bytes()[..text.len().min(16)]);
        bytes
    }

    #[test]
    fn decimals_of_real_rows() {
        for (text, scale, units, len) in [
            ("84543.5,", 1, 845_435, 7),
            ("84543,", 1, 845_430, 5),
            ("0.00000216,7", 8, 216, 10),
            ("100\n", 4, 1_000_000, 3),
            ("12345678,", 0, 12_345_678, 8),
            ("1234567.12345,", 5, 123_456_712_345, 13),
            ("123456789012345,", 0, 123_456_789_012_345, 15),
            ("5.,", 1, 50, 2),
            (".5,", 1, 5, 2),
        ] {
            let number = decimal(&chunk(text), scale).unwrap();
            assert_eq!((number.units, number.len, number.end), (units, len, text.as_bytes()[len]), "{text}");
        }
        for text in [",1", ".,", "1234567890123456", "1.25,"] {
            assert_eq!(decimal(&chunk(text), 1), None, "{text}");
        }
        assert_eq!(decimal(&chunk("99999999999999,"), 18), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]
        #[test]
        fn decimals_as_the_general_parser_reads_them(text in "[0-9]{0,9}(\\.[0-9]{0,8})?[,\\n;x\u{e9}]", scale in 0_u8..=18) {
            if let Some(number) = decimal(&chunk(&text), scale) {
                prop_assert_eq!(parse_units(&text.as_bytes()[..number.len], scale), Ok(number.units));
                prop_assert_eq!(number.end, text.as_bytes()[number.len]);
            }
        }

        #[test]
        fn any_bytes_are_read_right_or_not_at_all(bytes in any::<[u8; 16]>(), scale in 0_u8..=18) {
            if let Some(number) = decimal(&bytes, scale) {
                prop_assert_eq!(parse_units(&bytes[..number.len], scale), Ok(number.units));
            }
            if let Some(value) = StampCache::default().sixteen(&bytes) {
                prop_assert_eq!(std::str::from_utf8(&bytes).unwrap().parse(), Ok(value));
            }
        }

        #[test]
        fn stamps(value in 0_u64..10_000_000_000_000_000, next in 0_u64..10_000_000_000_000_000) {
            let mut cache = StampCache::default();
            for value in [value, value / 2 * 2, next] {
                let text: [u8; 16] = format!("{value:016}").into_bytes().try_into().unwrap();
                prop_assert_eq!(cache.sixteen(&text), Some(value));
            }
        }
    }
}
