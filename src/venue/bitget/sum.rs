//! The book as its texts, and its checksum.
//!
//! The exchange sums the best 25 levels a side as it wrote them, trailing zeros included, so numbers do not do.

use rustc_hash::FxHashMap;

use crate::market::{Price, Side};

/// Levels a side that are summed.
const SUMMED: usize = 25;
/// Letters of a level that are held in place.
const INLINE: usize = 31;

/// A level as the exchange wrote it: `price:size`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LevelText {
    bytes: [u8; INLINE],
    /// More than [`INLINE`]: the text is too long to be held here.
    len: u8,
}

impl LevelText {
    pub(super) fn new(price: &[u8], size: &[u8]) -> Self {
        let len = price.len() + 1 + size.len();
        let mut bytes = [0; INLINE];
        if len <= INLINE {
            bytes[..price.len()].copy_from_slice(price);
            bytes[price.len()] = b':';
            bytes[price.len() + 1..len].copy_from_slice(size);
        }
        Self { bytes, len: u8::try_from(len).unwrap_or(u8::MAX) }
    }

    /// Whether the text is too long to be held here.
    pub(super) fn is_long(&self) -> bool {
        usize::from(self.len) > INLINE
    }

    /// The text, if it is held here.
    fn get(&self) -> Option<&[u8]> {
        self.bytes.get(..usize::from(self.len))
    }
}

/// A book of texts. Sides are sorted, their best level last: there most changes are.
#[derive(Clone, Debug, Default)]
pub(super) struct TextBook {
    sides: [Vec<(Price, LevelText)>; 2],
    /// The texts that are too long to be held in their places.
    long: FxHashMap<(usize, Price), Vec<u8>>,
}

impl TextBook {
    pub(super) fn clear(&mut self) {
        self.sides.iter_mut().for_each(Vec::clear);
        self.long.clear();
    }

    /// Sets a level; no text takes it away. [`TextBook::set_long`] says the text where it is too long for its place.
    pub(super) fn set(&mut self, side: Side, price: Price, text: Option<LevelText>) {
        let levels = &mut self.sides[side.index()];
        let place = levels.partition_point(|level| side.better(price, level.0));
        let there = levels.get(place).is_some_and(|level| level.0 == price);
        match (text, there) {
            (Some(text), true) => levels[place].1 = text,
            (Some(text), false) => levels.insert(place, (price, text)),
            (None, true) => drop(levels.remove(place)),
            (None, false) => {}
        }
        if !self.long.is_empty() {
            self.long.remove(&(side.index(), price));
        }
    }

    /// The text of a level that was just set, where it is too long for its place.
    pub(super) fn set_long(&mut self, side: Side, price: Price, text: Vec<u8>) {
        self.long.insert((side.index(), price), text);
    }

    /// CRC-32 (IEEE 802.3) over `bid:size:ask:size:…` of the best 25 levels, as a signed number. Where a side has
    /// fewer, the other goes on alone.
    pub(super) fn checksum(&self) -> i32 {
        let mut text = [0; 2 * SUMMED * (INLINE + 1)];
        let mut end = 0;
        for (_, level) in self.summed() {
            let Some(room) = text.get_mut(end..end + INLINE).filter(|_| !level.1.is_long()) else {
                return self.long_checksum();
            };
            // All of its room at once: what is behind the text is written over by what follows.
            room.copy_from_slice(&level.1.bytes);
            end += usize::from(level.1.len);
            text[end] = b':';
            end += 1;
        }
        crc32fast::hash(&text[..end.saturating_sub(1)]).cast_signed()
    }

    /// The levels that are summed, in their order, with the index of their side.
    #[inline]
    fn summed(&self) -> impl Iterator<Item = (usize, &(Price, LevelText))> {
        (0..2 * SUMMED).filter_map(|at| {
            let (side, rank) = (at % 2, at / 2);
            let levels = &self.sides[side];
            levels.len().checked_sub(rank + 1).map(|place| (side, &levels[place]))
        })
    }

    /// The same where some of the texts are long.
    #[cold]
    fn long_checksum(&self) -> i32 {
        let mut text = Vec::new();
        for (side, (price, level)) in self.summed() {
            let long = || self.long.get(&(side, *price)).map(Vec::as_slice);
            text.extend_from_slice(level.get().or_else(long).unwrap_or_default());
            text.push(b':');
        }
        text.pop();
        crc32fast::hash(&text).cast_signed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A book from the text that is summed, bids and asks by turns; prices of one decimal.
    fn book(levels: &[(Side, &str, &str)]) -> TextBook {
        let mut book = TextBook::default();
        for (side, price, size) in levels {
            let units = crate::market::decimal::parse_units(price.as_bytes(), 1).unwrap();
            let price_units = Price::from_units(units);
            book.set(*side, price_units, Some(LevelText::new(price.as_bytes(), size.as_bytes())));
            if price.len() + size.len() + 1 > INLINE {
                book.set_long(*side, price_units, format!("{price}:{size}").into_bytes());
            }
        }
        book
    }

    #[test]
    fn long_texts_are_summed_as_short_ones_are() {
        let size = "123456789012345678901234567890.5";
        let levels = [(Side::Buy, "37000.0", size), (Side::Sell, "37000.1", "1")];
        let mut book = book(&levels);
        let want = crc32fast::hash(format!("37000.0:{size}:37000.1:1").as_bytes()).cast_signed();
        assert_eq!(book.checksum(), want);
        book.set(Side::Buy, Price::from_units(370_000), Some(LevelText::new(b"37000.0", b"2")));
        assert_eq!(book.checksum(), crc32fast::hash(b"37000.0:2:37000.1:1").cast_signed());
    }

    #[test]
    fn the_sums_of_the_page() {
        let first = [
            (Side::Sell, "37000.1", "1.250"),
            (Side::Sell, "37000.2", "0.010"),
            (Side::Buy, "37000.0", "0.500"),
            (Side::Buy, "36999.9", "2.000"),
            (Side::Buy, "36999.8", "0.040"),
        ];
        let mut changed = book(&first);
        assert_eq!(changed.checksum(), -781_206_165);
        changed.set(Side::Sell, Price::from_units(370_001), None);
        changed.set(Side::Sell, Price::from_units(370_003), Some(LevelText::new(b"37000.3", b"0.700")));
        assert_eq!(changed.checksum(), -682_485_649);
        let uneven = [
            (Side::Buy, "3366.1", "7"),
            (Side::Sell, "3366.8", "9"),
            (Side::Sell, "3368", "8"),
            (Side::Sell, "3372", "8"),
        ];
        assert_eq!(book(&uneven).checksum(), 831_078_360);
        let two = [
            (Side::Buy, "43231.1", "4"),
            (Side::Sell, "43232.8", "9"),
            (Side::Buy, "43231", "6"),
            (Side::Sell, "43232.9", "8"),
        ];
        assert_eq!(book(&two).checksum(), -1_504_501_796);
    }
}
