//! What takes a side of a book to the next one, as sockets tell it.
//!
//! Never here: which book is told to whom, how a level is written.

use crate::market::{Level, Qty, Side};

/// Levels that are new or have another size, then those that are gone, with a size of zero; both best first. What is
/// found anew takes the room of what was found before.
#[derive(Debug, Default)]
pub(super) struct Changes {
    new: Vec<Level>,
    gone: Vec<Level>,
}

impl Changes {
    /// Finds what takes `before` to `after`: levels of one side, best first.
    pub(super) fn find(&mut self, side: Side, before: &[Level], after: &[Level]) {
        self.new.clear();
        self.gone.clear();
        let is_gone = |old: &Level| Level { price: old.price, qty: Qty::ZERO };
        let (mut before, mut after) = (before, after);
        loop {
            // Most levels are as they were.
            let same = before.iter().zip(after).take_while(|(old, new)| old == new).count();
            (before, after) = (&before[same..], &after[same..]);
            let ([old, worse_old @ ..], [new, worse_new @ ..]) = (before, after) else { break };
            if side.better(old.price, new.price) {
                self.gone.push(is_gone(old));
                before = worse_old;
                continue;
            }
            self.new.push(*new);
            after = worse_new;
            if old.price == new.price {
                before = worse_old;
            }
        }
        self.new.extend_from_slice(after);
        self.gone.extend(before.iter().map(is_gone));
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.new.len() + self.gone.len()
    }

    /// All of them.
    pub(super) fn levels(&self) -> impl Iterator<Item = Level> {
        self.new.iter().chain(&self.gone).copied()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::market::Price;
    use proptest::prelude::*;

    fn side_of(side: Side, mut levels: Vec<(i64, i64)>) -> Vec<Level> {
        levels.sort_unstable();
        levels.dedup_by_key(|(price, _)| *price);
        let level = |(price, qty)| Level { price: Price::from_units(price), qty: Qty::from_units(qty) };
        let mut levels: Vec<Level> = levels.into_iter().map(level).collect();
        if side == Side::Buy {
            levels.reverse();
        }
        levels
    }

    #[test]
    fn what_is_new_comes_before_what_is_gone() {
        let mut changes = Changes::default();
        for (before, after, want) in [
            ([(1, 5), (2, 5), (3, 5)], [(2, 5), (3, 6), (4, 5)], vec![(3, 6), (4, 5), (1, 0)]),
            ([(1, 5), (2, 5), (3, 5)], [(1, 5), (2, 5), (3, 5)], vec![]),
            (
                [(4, 1), (5, 1), (6, 1)],
                [(1, 1), (2, 1), (5, 2)],
                vec![(1, 1), (2, 1), (5, 2), (4, 0), (6, 0)],
            ),
        ] {
            let [before, after] = [before, after].map(|levels| side_of(Side::Sell, levels.to_vec()));
            changes.find(Side::Sell, &before, &after);
            let found = changes.levels().map(|level| (level.price.units(), level.qty.units()));
            assert_eq!(found.collect::<Vec<_>>(), want);
            assert_eq!(changes.len(), want.len());
        }
    }

    proptest! {
        #[test]
        fn changes_take_the_one_book_to_the_other(
            buy: bool,
            before in prop::collection::vec((0_i64..40, 1_i64..4), 0..30),
            after in prop::collection::vec((0_i64..40, 1_i64..4), 0..30),
        ) {
            let side = if buy { Side::Buy } else { Side::Sell };
            let (before, after) = (side_of(side, before), side_of(side, after));
            let mut changes = Changes::default();
            // What was found before is forgotten.
            changes.find(side, &[], &before);
            changes.find(side, &before, &after);
            let mut book: BTreeMap<_, _> = before.iter().map(|level| (level.price, level.qty)).collect();
            for Level { price, qty } in changes.levels() {
                let was = book.insert(price, qty);
                prop_assert_ne!(was, Some(qty), "what did not change is not told");
                if qty.is_zero() {
                    prop_assert!(was.is_some(), "only what was there can go");
                    book.remove(&price);
                }
            }
            let same: BTreeMap<_, _> = after.iter().map(|level| (level.price, level.qty)).collect();
            prop_assert_eq!(book, same);
        }
    }
}
