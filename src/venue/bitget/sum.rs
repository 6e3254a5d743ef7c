//! The book as its texts, and its checksum.
//!
//! The exchange sums the best 25 levels a side as it wrote them, trailing zeros included, so numbers do not do.
//! The frames themselves are kept, one after the other, and each level knows where in them its text stands: so a level
//! costs one look-up. What is not spoken of any more is left out now and then.

use std::num::NonZeroI64;

use crate::market::{Ladder, Price, Side};

/// Levels a side that are summed.
const SUMMED: usize = 25;
/// Letters that are copied at once.
const PIECE: usize = 16;
/// What stands between the price and the size of a level in a frame.
pub(super) const BETWEEN: &str = "\",\"";
/// Bytes of texts that are kept before they are looked through for the first time.
const ROOM: usize = 64 << 10;

/// Where in a text a level is written, `37000.1","1.250`, and how long its numbers are: one word, to be a ladder's value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place(NonZeroI64);

/// A level of a message: its price and where it is written, if it does not go.
pub(super) type Written = (Price, Option<Place>);

impl Place {
    /// Where the price begins, and the lengths of both; nothing of numbers of 64 KiB or behind 1 GiB.
    #[inline(always)]
    pub(super) fn new(at: usize, price: usize, size: usize) -> Option<Self> {
        let fits = price | size <= 0xffff && at < 1 << 30;
        NonZeroI64::new((at << 32 | price << 16 | size) as i64).filter(|_| fits).map(Self)
    }

    /// Writes a level to the end of a text.
    pub(super) fn write(text: &mut Vec<u8>, price: &[u8], size: &[u8]) -> Option<Self> {
        let at = text.len();
        [price, BETWEEN.as_bytes(), size].iter().for_each(|piece| text.extend_from_slice(piece));
        Self::new(at, price.len(), size.len())
    }

    /// The same place where so much stands before the text.
    #[inline(always)]
    fn behind(self, before: usize) -> i64 {
        self.0.get().wrapping_add((before << 32) as i64)
    }
}

/// Where the price begins, how long it is, where the size begins, how long it is; of a ladder's value.
#[inline(always)]
fn parts(place: i64) -> [usize; 4] {
    let (at, price, size) = ((place >> 32) as usize, place as usize >> 16 & 0xffff, place as usize & 0xffff);
    [at, price, at + price + BETWEEN.len(), size]
}

/// The texts of the price and of the size.
fn texts(text: &[u8], place: i64) -> [&[u8]; 2] {
    let [at, price, size_at, size] = parts(place);
    [(at, price), (size_at, size)].map(|(at, len)| text.get(at..at + len).unwrap_or_default())
}

/// A book of texts.
#[derive(Clone, Debug)]
pub(super) struct TextBook {
    /// Where each level is written.
    sides: [Ladder; 2],
    /// What was said, and more: frames.
    text: Vec<u8>,
    /// Its room when it is written anew.
    spare: Vec<u8>,
    /// From so many bytes on the texts are looked through.
    limit: usize,
}

impl TextBook {
    /// An empty book of an instrument with this tick.
    pub(super) fn new(tick: Price) -> Self {
        let room = || Vec::with_capacity(2 * ROOM);
        let sides = Side::BOTH.map(|side| Ladder::new(side, tick));
        Self { sides, text: room(), spare: room(), limit: ROOM }
    }

    pub(super) fn clear(&mut self) {
        self.sides.iter_mut().for_each(Ladder::clear);
        self.text.clear();
    }

    /// Sets levels, by side, to what is written of them at places of a text.
    pub(super) fn apply(&mut self, text: &[u8], sides: [&[Written]; 2]) {
        if self.text.len() > self.limit {
            self.tidy();
        }
        let before = self.text.len();
        self.text.extend_from_slice(text);
        for (side, levels) in self.sides.iter_mut().zip(sides) {
            for (price, place) in levels {
                side.set(*price, place.map_or(0, |place| place.behind(before)));
            }
        }
    }

    /// Leaves out all texts that are no level's any more.
    #[cold]
    fn tidy(&mut self) {
        self.spare.clear();
        for side in &mut self.sides {
            let mut next = side.best();
            while let Some((price, place)) = next {
                let [price_text, size] = texts(&self.text, place);
                let place = Place::write(&mut self.spare, price_text, size);
                side.set(price, place.map_or(0, |place| place.behind(0)));
                next = side.after(price);
            }
        }
        std::mem::swap(&mut self.text, &mut self.spare);
        self.limit = ROOM.max(2 * self.text.len());
    }

    /// The places of the best levels of a side, best first; 0 where there are fewer.
    #[inline]
    fn best(&self, side: Side) -> [i64; SUMMED] {
        let mut best = [0; SUMMED];
        let mut free = best.iter_mut();
        self.sides[side.index()].visit(SUMMED, |_, place| {
            if let Some(free) = free.next() {
                *free = place;
            }
        });
        best
    }

    /// CRC-32 (IEEE 802.3) over `bid:size:ask:size:…` of the best 25 levels, as a signed number. Where a side has
    /// fewer, the other goes on alone.
    pub(super) fn checksum(&self) -> i32 {
        let mut text = [0; 2 * SUMMED * 2 * PIECE];
        let mut end = 0;
        let best = self.best(Side::Buy).into_iter().zip(self.best(Side::Sell));
        for place in best.flat_map(|(bid, ask)| [bid, ask]).filter(|place| *place != 0) {
            let Some(next) = self.write(place, &mut text, end) else { return self.long_checksum() };
            end = next;
        }
        crc32fast::hash(&text[..end.saturating_sub(1)]).cast_signed()
    }

    /// Writes `price:size:` and says where it ends. Nothing of a long level, and of one at the end of all texts.
    #[inline(always)]
    fn write(&self, place: i64, out: &mut [u8], at: usize) -> Option<usize> {
        let piece = |from: usize| self.text.get(from..)?.first_chunk::<PIECE>();
        let [price_at, price, size_at, size] = parts(place);
        if price >= PIECE || size >= PIECE {
            return None;
        }
        // All of a piece at once: what is behind its number is written over by what follows.
        let out = out.get_mut(at..at + 2 * PIECE)?;
        out[..PIECE].copy_from_slice(piece(price_at)?);
        out[price] = b':';
        out[price + 1..][..PIECE].copy_from_slice(piece(size_at)?);
        out[price + 1 + size] = b':';
        Some(at + price + size + 2)
    }

    /// The same letter by letter, for whatever length.
    #[cold]
    fn long_checksum(&self) -> i32 {
        let mut text = Vec::new();
        let best = self.best(Side::Buy).into_iter().zip(self.best(Side::Sell));
        for place in best.flat_map(|(bid, ask)| [bid, ask]).filter(|place| *place != 0) {
            for piece in texts(&self.text, place) {
                text.extend_from_slice(piece);
                text.push(b':');
            }
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
        let place = Place::new(3, text.len(), size.len()).filter(|_| !size.is_empty());
        let (level, none) = ([(price, place)], []);
        let sides = Side::BOTH.map(|each| if each == side { &level[..] } else { &none[..] });
        book.apply(frame.as_bytes(), sides);
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
                (any::<bool>(), 0_i64..60, "[0-9]{1,5}(\\.[0-9]{1,18})?|[0-9]{1,20}|[0-9]{30}|", 0_usize..9, 0_u8..20), 1..300,
            ),
        ) {
            let mut book = book();
            let mut maps = [const { std::collections::BTreeMap::new() }; 2];
            for (buy, price, size, room, tidy) in &changes {
                let side = if *buy { Side::Buy } else { Side::Sell };
                put(&mut book, side, Price::from_units(*price), (&price.to_string(), size), *room);
                match size.as_str() {
                    "" => drop(maps[side.index()].remove(price)),
                    _ => drop(maps[side.index()].insert(*price, format!("{price}:{size}"))),
                }
                if *tidy == 0 {
                    book.tidy();
                }
                prop_assert_eq!(book.checksum(), crc32fast::hash(summed(&maps).as_bytes()).cast_signed());
            }
        }
    }

    #[test]
    fn what_is_spoken_of_no_more_is_left_out() {
        let mut book = book();
        let said = 20_000_i64;
        for number in 0..said {
            let (price, size) = (1 + number % 40, number.to_string());
            put(&mut book, Side::Buy, Price::from_units(price), (&price.to_string(), &size), 8);
        }
        assert!(book.text.len() < 2 * ROOM, "{}", book.text.len());
        let best: Vec<String> =
            (16..=40).rev().map(|price| format!("{price}:{}", said - 40 + price - 1)).collect();
        assert_eq!(book.checksum(), crc32fast::hash(best.join(":").as_bytes()).cast_signed());
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
