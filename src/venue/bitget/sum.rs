//! The book as its texts, and its checksum.
//!
//! The exchange sums the best 25 levels a side as it wrote them, trailing zeros included, so numbers do not do.

use std::collections::BTreeMap;

use smol_str::SmolStr;

use crate::market::{Price, Side};

/// Levels a side that are summed.
const SUMMED: usize = 25;

/// A book of texts.
#[derive(Clone, Debug, Default)]
pub(super) struct TextBook {
    bids: BTreeMap<Price, (SmolStr, SmolStr)>,
    asks: BTreeMap<Price, (SmolStr, SmolStr)>,
}

impl TextBook {
    pub(super) fn clear(&mut self) {
        self.bids.clear();
        self.asks.clear();
    }

    /// Sets a level; no text takes it away.
    pub(super) fn set(&mut self, side: Side, price: Price, texts: Option<(SmolStr, SmolStr)>) {
        let levels = match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        };
        match texts {
            Some(texts) => levels.insert(price, texts),
            None => levels.remove(&price),
        };
    }

    /// CRC-32 (IEEE 802.3) over `bid:size:ask:size:…` of the best 25 levels, as a signed number. Where a side has
    /// fewer, the other goes on alone.
    pub(super) fn checksum(&self) -> i32 {
        let (mut bids, mut asks) = (self.bids.values().rev(), self.asks.values());
        let mut sum = crc32fast::Hasher::new();
        let mut first = true;
        for _ in 0..SUMMED {
            for (price, size) in bids.next().into_iter().chain(asks.next()) {
                if !std::mem::take(&mut first) {
                    sum.update(b":");
                }
                sum.update(price.as_bytes());
                sum.update(b":");
                sum.update(size.as_bytes());
            }
        }
        sum.finalize().cast_signed()
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
            book.set(*side, Price::from_units(units), Some(((*price).into(), (*size).into())));
        }
        book
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
        changed.set(Side::Sell, Price::from_units(370_003), Some(("37000.3".into(), "0.700".into())));
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
