//! Which levels of the tape's books were set lately, for whoever tells a book by its changes and would not compare all of
//! it each time.
//!
//! Never here: sizes (the book has them), and what paper orders do to what is seen.

use crate::market::{Group, InstrumentId, MarketEvent, OrderBook, Price, Side};

/// How many levels of a book are remembered at most: who looks less often looks at the whole book.
const REMEMBERED: usize = 512;

/// The last edits of one book, in order.
#[derive(Debug, Default)]
struct Log {
    /// The number of the first one that is remembered, as [`OrderBook::edits`] counts.
    from: u64,
    levels: Vec<(Side, Price)>,
}

/// The last edits of all books.
#[derive(Debug, Default)]
pub(super) struct Edits {
    by_instrument: Vec<Log>,
}

impl Edits {
    /// A group has been applied, and this is its book now.
    pub(super) fn see(&mut self, group: &Group<'_>, book: &OrderBook) {
        let index = group.instrument.index();
        if self.by_instrument.len() <= index {
            self.by_instrument.resize_with(index + 1, Log::default);
        }
        let log = &mut self.by_instrument[index];
        let before = log.levels.len();
        if before > REMEMBERED {
            log.from += before as u64;
            log.levels.clear();
        }
        log.levels.extend(group.events.iter().filter_map(|event| match event {
            MarketEvent::Level { side, price, .. } => Some((*side, *price)),
            _ => None,
        }));
        // More happened to the book than its levels being set one by one: nothing is known of it.
        if log.from + log.levels.len() as u64 != book.edits() {
            log.from = book.edits();
            log.levels.clear();
        }
    }

    /// The levels that were set since the book had so many edits; `None` where that is not known.
    pub(super) fn since(&self, instrument: InstrumentId, edits: u64) -> Option<&[(Side, Price)]> {
        let log = self.by_instrument.get(instrument.index())?;
        let known = edits.checked_sub(log.from)?;
        log.levels.get(usize::try_from(known).ok()?..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{Qty, Timestamp};

    fn level(price: i64, qty: i64) -> MarketEvent {
        MarketEvent::Level { side: Side::Buy, price: Price::from_units(price), qty: Qty::from_units(qty) }
    }

    fn play(edits: &mut Edits, book: &mut OrderBook, events: &[MarketEvent]) {
        for event in events {
            if let MarketEvent::Level { side, price, qty } = event {
                book.set(*side, *price, *qty);
            }
        }
        let (at, instrument) = (Timestamp::MIN, InstrumentId(1));
        let group = Group { instrument, exchange_time: at, receive_time: at, events, ..crate::market::EMPTY };
        edits.see(&group, book);
    }

    #[test]
    fn what_was_set_is_known_until_something_else_happens_to_the_book() {
        let (mut edits, mut book) = (Edits::default(), OrderBook::new(Price::from_units(1)));
        let prices = |edits: &Edits, since| {
            let known = edits.since(InstrumentId(1), since)?;
            Some(known.iter().map(|(_, price)| price.units()).collect::<Vec<_>>())
        };
        assert_eq!(prices(&edits, 0), None, "a book that nobody has seen");
        play(&mut edits, &mut book, &[level(5, 1), MarketEvent::Trading(true), level(6, 1)]);
        play(&mut edits, &mut book, &[level(5, 0)]);
        assert_eq!(prices(&edits, 0), Some(vec![5, 6, 5]));
        assert_eq!(prices(&edits, 2), Some(vec![5]));
        assert_eq!(prices(&edits, 3), Some(vec![]));
        assert_eq!(prices(&edits, 4), None, "so far it has not come");
        // A crossed book is mended by taking levels away that no event names.
        book.set(Side::Buy, Price::from_units(6), Qty::ZERO);
        play(&mut edits, &mut book, &[level(4, 1)]);
        assert_eq!((prices(&edits, 3), prices(&edits, book.edits())), (None, Some(vec![])));
        book.clear();
        play(&mut edits, &mut book, &[level(7, 1)]);
        assert_eq!(prices(&edits, 5), None);
        for price in 0..3 * REMEMBERED as i64 {
            let before = book.edits();
            play(&mut edits, &mut book, &[level(price, 1)]);
            assert_eq!(prices(&edits, before), Some(vec![price]));
        }
        assert_eq!(prices(&edits, 7), None, "too long ago");
        assert!(edits.by_instrument[1].levels.capacity() < 4 * REMEMBERED);
    }
}
