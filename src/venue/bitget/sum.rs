//! The book as its texts, and its checksum.
//!
//! The exchange sums the best 25 levels a side as it wrote them, trailing zeros included, so numbers do not do.

use rustc_hash::FxHashMap;

use crate::market::{Ladder, Price, Side};

/// Levels a side that are summed.
const SUMMED: usize = 25;
/// Letters of a level that are held in place.
const INLINE: usize = 31;

/// A level as the exchange wrote it, `price:size:`; nothing of one that is too long to be held here.
#[derive(Clone, Copy, Debug)]
struct LevelText {
    /// What stands behind the text is of no meaning.
    bytes: [u8; INLINE],
    len: u8,
}

/// Letters that are copied at once.
const PIECE: usize = 16;
/// What stands between the price and the size of a level in a frame.
pub(super) const BETWEEN: &str = "\",\"";

/// Where in a text a level is written, `37000.1","1.250`, and how long its numbers are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    at: u32,
    price: u32,
    size: u32,
}

impl Place {
    /// Where the price begins, and the lengths of both. In a text of more than 4 GiB it is another place of the text.
    #[inline(always)]
    pub(super) fn new(at: usize, price: usize, size: usize) -> Self {
        Self { at: at as u32, price: price as u32, size: size as u32 }
    }

    /// Writes a level to the end of a text.
    pub(super) fn write(text: &mut Vec<u8>, price: &str, size: &str) -> Self {
        let place = Self::new(text.len(), price.len(), size.len());
        [price, BETWEEN, size].iter().for_each(|piece| text.extend_from_slice(piece.as_bytes()));
        place
    }

    /// Where the price begins, how long it is, where the size begins, how long it is.
    #[inline(always)]
    fn parts(self) -> [usize; 4] {
        let (at, price) = (self.at as usize, self.price as usize);
        [at, price, at + price + BETWEEN.len(), self.size as usize]
    }

    /// The texts of the price and of the size.
    fn texts(self, text: &[u8]) -> [&[u8]; 2] {
        let [at, price, size_at, size] = self.parts();
        [&text[at..at + price], &text[size_at..size_at + size]]
    }

    /// Whether the text is too long to be held beside others.
    fn is_long(self) -> bool {
        let [_, price, _, size] = self.parts();
        price + size + 2 > INLINE
    }
}

impl LevelText {
    const EMPTY: Self = Self { bytes: [0; INLINE], len: 0 };

    /// Takes over a text. It is written where it stays: to write it elsewhere and to copy it then costs twice.
    #[inline(always)]
    fn write(&mut self, text: &[u8], place: Place) {
        let piece = |from: usize| text.get(from..from + PIECE).and_then(<[u8]>::first_chunk::<PIECE>);
        let [at, price, size_at, size] = place.parts();
        let (true, Some(first), Some(second)) =
            (price < PIECE - 1 && size < PIECE, piece(at), piece(size_at))
        else {
            return self.write_odd(text, place);
        };
        self.bytes[..PIECE].copy_from_slice(first);
        self.bytes[price] = b':';
        self.bytes[price + 1..price + 1 + PIECE].copy_from_slice(second);
        self.bytes[price + 1 + size] = b':';
        self.len = (price + size + 2) as u8;
    }

    /// The same of a long text, and of one at the end of all.
    #[cold]
    fn write_odd(&mut self, text: &[u8], place: Place) {
        *self = Self::EMPTY;
        for piece in place.texts(text).into_iter().filter(|_| !place.is_long()) {
            let (from, end) = (usize::from(self.len), usize::from(self.len) + piece.len());
            self.bytes[from..end].copy_from_slice(piece);
            self.bytes[end] = b':';
            self.len = (end + 1) as u8;
        }
    }
}

/// A book of texts.
#[derive(Clone, Debug)]
pub(super) struct TextBook {
    sides: [TextSide; 2],
    /// The texts that are too long to be held in their places.
    long: FxHashMap<(usize, Price), Vec<u8>>,
}

/// One side. Prices move when levels come and go; texts stay where they are.
#[derive(Clone, Debug)]
struct TextSide {
    /// The place of each level's text.
    levels: Ladder,
    /// The first is of no level, and empty: as no level has that place, it stands for those that are not there.
    texts: Vec<LevelText>,
    /// The places that are free.
    free: Vec<i64>,
}

impl TextSide {
    fn new(side: Side, tick: Price) -> Self {
        Self { levels: Ladder::new(side, tick), texts: vec![LevelText::EMPTY], free: Vec::new() }
    }

    fn clear(&mut self) {
        self.levels.clear();
        self.texts.truncate(1);
        self.free.clear();
    }

    #[inline]
    fn set(&mut self, price: Price, text: &[u8], place: Place) {
        if self.free.is_empty() {
            self.free.push(self.texts.len() as i64);
            self.texts.push(LevelText::EMPTY);
        }
        let Some(free) = self.free.last_mut() else { return };
        let before = self.levels.set(price, *free);
        self.texts[*free as usize].write(text, place);
        if before == 0 {
            self.free.pop();
        } else {
            *free = before;
        }
    }

    #[inline]
    fn remove(&mut self, price: Price) {
        let before = self.levels.set(price, 0);
        if before != 0 {
            self.free.push(before);
        }
    }

    /// The places of the best levels' texts, best first.
    #[inline]
    fn best(&self) -> [u32; SUMMED] {
        let mut best = [0; SUMMED];
        let mut free = best.iter_mut();
        self.levels.visit(SUMMED, |_, place| {
            if let Some(free) = free.next() {
                *free = place as u32;
            }
        });
        best
    }
}

impl TextBook {
    /// An empty book of an instrument with this tick.
    pub(super) fn new(tick: Price) -> Self {
        Self { sides: Side::BOTH.map(|side| TextSide::new(side, tick)), long: FxHashMap::default() }
    }

    pub(super) fn clear(&mut self) {
        self.sides.iter_mut().for_each(TextSide::clear);
        self.long.clear();
    }

    /// Sets a level to what is written at a place of a text.
    #[inline]
    pub(super) fn set(&mut self, side: Side, price: Price, text: &[u8], place: Place) {
        self.sides[side.index()].set(price, text, place);
        if !self.long.is_empty() {
            self.long.remove(&(side.index(), price));
        }
        if place.is_long() {
            let text = place.texts(text).into_iter().flat_map(|piece| [piece, b":"]).flatten();
            self.long.insert((side.index(), price), text.copied().collect());
        }
    }

    /// Takes a level away.
    #[inline]
    pub(super) fn remove(&mut self, side: Side, price: Price) {
        self.sides[side.index()].remove(price);
        if !self.long.is_empty() {
            self.long.remove(&(side.index(), price));
        }
    }

    /// CRC-32 (IEEE 802.3) over `bid:size:ask:size:…` of the best 25 levels, as a signed number. Where a side has
    /// fewer, the other goes on alone.
    pub(super) fn checksum(&self) -> i32 {
        if !self.long.is_empty() {
            return self.long_checksum();
        }
        let mut text = [0; 2 * SUMMED * INLINE];
        let mut end = 0;
        let [bids, asks] = &self.sides;
        for (bid, ask) in bids.best().into_iter().zip(asks.best()) {
            for level in [&bids.texts[bid as usize], &asks.texts[ask as usize]] {
                // All of its room at once: what is behind the text is written over by what follows.
                text[end..end + INLINE].copy_from_slice(&level.bytes);
                end += usize::from(level.len);
            }
        }
        crc32fast::hash(&text[..end.saturating_sub(1)]).cast_signed()
    }

    /// The same where some of the texts are long.
    #[cold]
    fn long_checksum(&self) -> i32 {
        let mut text = Vec::new();
        let mut sides = [0, 1].map(|side| self.sides[side].levels.iter().take(SUMMED));
        for at in 0..2 * SUMMED {
            let Some((price, place)) = sides[at % 2].next() else { continue };
            let level = &self.sides[at % 2].texts[place as usize];
            let short = &level.bytes[..usize::from(level.len)];
            text.extend_from_slice(self.long.get(&(at % 2, price)).map_or(short, Vec::as_slice));
        }
        text.pop();
        crc32fast::hash(&text).cast_signed()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn book() -> TextBook {
        TextBook::new(Price::from_units(1))
    }

    /// Sets a level as a frame has it, at its end where `room` is 0; a size of nothing takes it away.
    fn put(book: &mut TextBook, side: Side, price: Price, (text, size): (&str, &str), room: usize) {
        let frame = format!("[[\"{text}{BETWEEN}{size}{}", "\"]],".repeat(room));
        match size {
            "" => book.remove(side, price),
            _ => book.set(side, price, frame.as_bytes(), Place::new(3, text.len(), size.len())),
        }
    }

    /// What is summed, from sorted maps.
    fn summed(maps: &[std::collections::BTreeMap<i64, String>; 2]) -> String {
        let bids = maps[Side::Buy.index()].values().rev().take(SUMMED);
        let asks = maps[Side::Sell.index()].values().take(SUMMED);
        let (bids, asks): (Vec<_>, Vec<_>) = (bids.collect(), asks.collect());
        let pieces = (0..SUMMED).flat_map(|rank| [bids.get(rank), asks.get(rank)]);
        pieces.flatten().map(|text| text.as_str()).collect::<Vec<_>>().join(":")
    }

    proptest! {
        /// A book of texts sums what a sorted map would.
        #[test]
        fn a_book_of_texts_is_a_sorted_map(
            changes in prop::collection::vec(
                (any::<bool>(), 0_i64..60, "[0-9]{1,5}(\\.[0-9]{1,18})?|[0-9]{1,20}|[0-9]{30}|", 0_usize..9), 1..300,
            ),
        ) {
            let mut book = book();
            let mut maps = [const { std::collections::BTreeMap::new() }; 2];
            for (buy, price, size, room) in &changes {
                let side = if *buy { Side::Buy } else { Side::Sell };
                put(&mut book, side, Price::from_units(*price), (&price.to_string(), size), *room);
                match size.as_str() {
                    "" => drop(maps[side.index()].remove(price)),
                    _ => drop(maps[side.index()].insert(*price, format!("{price}:{size}"))),
                }
                prop_assert_eq!(book.checksum(), crc32fast::hash(summed(&maps).as_bytes()).cast_signed());
            }
        }
    }

    /// A book of prices of one decimal.
    fn book_of(levels: &[(Side, &str, &str)]) -> TextBook {
        let mut book = book();
        levels.iter().for_each(|level| change(&mut book, *level));
        book
    }

    fn change(book: &mut TextBook, (side, price, size): (Side, &str, &str)) {
        let units = crate::market::decimal::parse_units(price.as_bytes(), 1).unwrap();
        put(book, side, Price::from_units(units), (price, size), 8);
    }

    #[test]
    fn long_texts_are_summed_as_short_ones_are() {
        let size = "123456789012345678901234567890.5";
        let mut book = book_of(&[(Side::Buy, "37000.0", size), (Side::Sell, "37000.1", "1")]);
        let want = crc32fast::hash(format!("37000.0:{size}:37000.1:1").as_bytes()).cast_signed();
        assert_eq!(book.checksum(), want);
        change(&mut book, (Side::Buy, "37000.0", "2"));
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
        let mut changed = book_of(&first);
        assert_eq!(changed.checksum(), -781_206_165);
        change(&mut changed, (Side::Sell, "37000.1", ""));
        change(&mut changed, (Side::Sell, "37000.3", "0.700"));
        assert_eq!(changed.checksum(), -682_485_649);
        let uneven = [
            (Side::Buy, "3366.1", "7"),
            (Side::Sell, "3366.8", "9"),
            (Side::Sell, "3368", "8"),
            (Side::Sell, "3372", "8"),
        ];
        assert_eq!(book_of(&uneven).checksum(), 831_078_360);
        let two = [
            (Side::Buy, "43231.1", "4"),
            (Side::Sell, "43232.8", "9"),
            (Side::Buy, "43231", "6"),
            (Side::Sell, "43232.9", "8"),
        ];
        assert_eq!(book_of(&two).checksum(), -1_504_501_796);
    }
}
