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
#[derive(Clone, Copy, Debug)]
pub(super) struct LevelText {
    /// What stands behind the text is of no meaning.
    bytes: [u8; INLINE],
    /// More than [`INLINE`]: the text is too long to be held here.
    len: u8,
}

/// Letters that are copied at once.
const PIECE: usize = 16;

impl LevelText {
    /// The text of a price and a size, which begin at these places of `frame` and are so long.
    #[inline(always)]
    pub(super) fn of(
        frame: &[u8],
        (price, price_len): (usize, usize),
        (size, size_len): (usize, usize),
    ) -> Self {
        let piece = |from: usize| frame.get(from..from + PIECE).and_then(<[u8]>::first_chunk::<PIECE>);
        let (true, Some(first), Some(second)) =
            (price_len < PIECE - 1 && size_len <= PIECE, piece(price), piece(size))
        else {
            return Self::new(&frame[price..price + price_len], &frame[size..size + size_len]);
        };
        let mut bytes = [0; INLINE];
        bytes[..PIECE].copy_from_slice(first);
        bytes[price_len] = b':';
        bytes[price_len + 1..price_len + 1 + PIECE].copy_from_slice(second);
        Self { bytes, len: (price_len + 1 + size_len) as u8 }
    }

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

/// A book of texts.
#[derive(Clone, Debug, Default)]
pub(super) struct TextBook {
    sides: [TextSide; 2],
    /// The texts that are too long to be held in their places.
    long: FxHashMap<(usize, Price), Vec<u8>>,
}

/// One side. Prices move when levels come and go; texts stay where they are.
#[derive(Clone, Debug, Default)]
struct TextSide {
    /// Sorted, the best one last: there most changes are. With the place of the text.
    levels: Vec<(Price, u32)>,
    texts: Vec<LevelText>,
    free: Vec<u32>,
    /// Where the last change was: messages are sorted, so the next is near.
    last: usize,
}

impl TextSide {
    fn clear(&mut self) {
        self.levels.clear();
        self.texts.clear();
        self.free.clear();
        self.last = 0;
    }

    /// The level of a rank, the best one is 0.
    fn ranked(&self, rank: usize) -> Option<(Price, &LevelText)> {
        let (price, text) = self.levels[self.levels.len().checked_sub(rank + 1)?];
        Some((price, &self.texts[text as usize]))
    }

    /// How many levels are worse than `price`.
    #[inline]
    fn place(&self, side: Side, price: Price) -> usize {
        let worse = |at: usize| side.better(price, self.levels[at].0);
        let (mut step, mut high) = (1, self.levels.len());
        let mut low;
        if self.last < high && worse(self.last) {
            low = self.last + 1;
            while low + step <= high && worse(low + step - 1) {
                low += step;
                step *= 2;
            }
            high = high.min(low + step - 1);
        } else {
            high = high.min(self.last);
            while step <= high && !worse(high - step) {
                high -= step;
                step *= 2;
            }
            low = (high + 1).saturating_sub(step);
        }
        low + self.levels[low..high].partition_point(|level| side.better(price, level.0))
    }

    fn set(&mut self, side: Side, price: Price, text: Option<LevelText>) {
        let place = self.place(side, price);
        self.last = place;
        let there = self.levels.get(place).filter(|level| level.0 == price).map(|level| level.1);
        match (text, there) {
            (Some(text), Some(at)) => self.texts[at as usize] = text,
            (Some(text), None) => {
                let at = self.free.pop().unwrap_or(self.texts.len() as u32);
                match self.texts.get_mut(at as usize) {
                    Some(free) => *free = text,
                    None => self.texts.push(text),
                }
                self.levels.insert(place, (price, at));
            }
            (None, Some(at)) => {
                self.levels.remove(place);
                self.free.push(at);
            }
            (None, None) => {}
        }
    }
}

impl TextBook {
    pub(super) fn clear(&mut self) {
        self.sides.iter_mut().for_each(TextSide::clear);
        self.long.clear();
    }

    /// Sets a level; no text takes it away. [`TextBook::set_long`] says the text where it is too long for its place.
    #[inline]
    pub(super) fn set(&mut self, side: Side, price: Price, text: Option<LevelText>) {
        self.sides[side.index()].set(side, price, text);
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
        for (_, _, level) in self.summed() {
            let Some(room) = text.get_mut(end..end + INLINE).filter(|_| !level.is_long()) else {
                return self.long_checksum();
            };
            // All of its room at once: what is behind the text is written over by what follows.
            room.copy_from_slice(&level.bytes);
            end += usize::from(level.len);
            text[end] = b':';
            end += 1;
        }
        crc32fast::hash(&text[..end.saturating_sub(1)]).cast_signed()
    }

    /// The levels that are summed, in their order, with the index of their side.
    #[inline]
    fn summed(&self) -> impl Iterator<Item = (usize, Price, &LevelText)> {
        (0..2 * SUMMED).filter_map(|at| {
            let (price, text) = self.sides[at % 2].ranked(at / 2)?;
            Some((at % 2, price, text))
        })
    }

    /// The same where some of the texts are long.
    #[cold]
    fn long_checksum(&self) -> i32 {
        let mut text = Vec::new();
        for (side, price, level) in self.summed() {
            let long = || self.long.get(&(side, price)).map(Vec::as_slice);
            text.extend_from_slice(level.get().or_else(long).unwrap_or_default());
            text.push(b':');
        }
        text.pop();
        crc32fast::hash(&text).cast_signed()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Places found from the last one are those of a sorted map; texts cut out of a frame are those of their parts.
        #[test]
        fn a_book_of_texts_is_a_sorted_map(
            changes in prop::collection::vec((any::<bool>(), 0_i64..40, "[0-9]{1,5}\\.[0-9]{1,18}", any::<bool>()), 1..200),
        ) {
            let mut book = TextBook::default();
            let mut maps = [const { std::collections::BTreeMap::new() }; 2];
            for (buy, price, size, goes) in &changes {
                let side = if *buy { Side::Buy } else { Side::Sell };
                let frame = format!("[\"{price}\",\"{size}\"]");
                let size_from = frame.len() - 2 - size.len();
                let price_len = price.to_string().len();
                let text = LevelText::of(frame.as_bytes(), (2, price_len), (size_from, size.len()));
                let want = format!("{price}:{size}");
                prop_assert_eq!(text.get(), Some(want.as_bytes()));
                book.set(side, Price::from_units(*price), (!goes).then_some(text));
                match goes {
                    true => drop(maps[side.index()].remove(price)),
                    false => drop(maps[side.index()].insert(*price, want)),
                }
                let best = |side: Side| -> Vec<Vec<u8>> {
                    let map = maps[side.index()].values();
                    let texts = map.map(|text: &String| text.clone().into_bytes());
                    if side == Side::Buy { texts.rev().collect() } else { texts.collect() }
                };
                for side in Side::BOTH {
                    let ranked = (0..).map_while(|rank| book.sides[side.index()].ranked(rank));
                    let texts: Vec<Vec<u8>> = ranked.filter_map(|(_, text)| Some(text.get()?.to_vec())).collect();
                    prop_assert_eq!(texts, best(side));
                }
            }
        }
    }

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
