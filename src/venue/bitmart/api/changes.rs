//! What takes a side of a book to the next one, as sockets tell it.
//!
//! Never here: which book is told to whom, how a level is written.

use std::cmp::Ordering;

use crate::market::{Ladder, Level, Price, Qty, Side};

/// Levels that are new or have another size, then those that are gone, with a size of zero; both best first. What is
/// found anew takes the room of what was found before.
#[derive(Debug, Default)]
pub(super) struct Changes {
    new: Vec<Level>,
    gone: Vec<Level>,
    /// Prices at which something may differ, and those that nothing was told of: for [`follow`](Self::follow).
    prices: Vec<Price>,
    came: Vec<Price>,
}

/// Which of two prices of a side comes first: the better one.
fn first(side: Side, a: Price, b: Price) -> Ordering {
    match side {
        Side::Buy => b.cmp(&a),
        Side::Sell => a.cmp(&b),
    }
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

    /// Brings the best `most` levels of a side that were `told` to what they are now, and finds what takes the ones to the
    /// others, where only levels that were `set` may differ: what [`find`](Self::find) finds, without a look at the rest.
    pub(super) fn follow(
        &mut self,
        (side, ladder): (Side, &Ladder),
        set: impl Iterator<Item = Price>,
        (told, most): (&mut Vec<Level>, usize),
    ) {
        self.new.clear();
        self.gone.clear();
        // Of a side with more levels than are told, what is behind the last one is nobody's business.
        let edge = told.last().filter(|_| told.len() == most).map(|last| last.price);
        self.prices.clear();
        self.prices.extend(set.filter(|price| edge.is_none_or(|edge| side.at_or_better(*price, edge))));
        if self.prices.is_empty() {
            return;
        }
        self.prices.sort_unstable_by(|a, b| first(side, *a, *b));
        self.prices.dedup();
        self.came.clear();
        for price in self.prices.iter().copied() {
            let level = Level { price, qty: Qty::from_units(ladder.get(price)) };
            match told.binary_search_by(|level| first(side, level.price, price)) {
                Ok(at) if level.qty.is_zero() => {
                    told.remove(at);
                    self.gone.push(level);
                }
                Ok(at) if told[at] == level => {}
                Ok(at) => {
                    told[at] = level;
                    self.new.push(level);
                }
                Err(_) if level.qty.is_zero() => {}
                Err(at) => {
                    told.insert(at, level);
                    self.new.push(level);
                    self.came.push(price);
                }
            }
        }
        self.push_out(side, told, most);
        // What goes makes room for what stood behind the last one.
        let mut last = edge.filter(|_| told.len() < most);
        while let Some((price, qty)) = last.and_then(|last| ladder.after(last)) {
            let level = Level { price, qty: Qty::from_units(qty) };
            told.push(level);
            self.new.push(level);
            last = (told.len() < most).then_some(price);
        }
    }

    /// What came in at the top pushes out at the end.
    fn push_out(&mut self, side: Side, told: &mut Vec<Level>, most: usize) {
        while told.len() > most
            && let Some(Level { price, .. }) = told.pop()
        {
            // It is the last one of all: of those that changed, too.
            if self.new.last().is_some_and(|last| last.price == price) {
                self.new.pop();
            }
            if self.came.last() == Some(&price) {
                self.came.pop();
            } else {
                let at = self.gone.partition_point(|gone| side.better(gone.price, price));
                self.gone.insert(at, Level { price, qty: Qty::ZERO });
            }
        }
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

        #[test]
        fn what_was_set_says_the_same_as_a_look_at_everything(
            buy: bool,
            most in 1_usize..12,
            moves in prop::collection::vec(prop::collection::vec((0_i64..30, 0_i64..3), 0..8), 1..12),
        ) {
            let side = if buy { Side::Buy } else { Side::Sell };
            let mut ladder = Ladder::new(side, Price::from_units(1));
            let (mut looking, mut following) = (Changes::default(), Changes::default());
            let (mut told, mut followed) = (Vec::new(), Vec::new());
            for sets in moves {
                for (price, qty) in &sets {
                    ladder.set(Price::from_units(*price), *qty);
                }
                let mut now = Vec::new();
                ladder.visit(most, |price, qty| now.push(Level { price, qty: Qty::from_units(qty) }));
                looking.find(side, &told, &now);
                let set = sets.iter().map(|(price, _)| Price::from_units(*price));
                following.follow((side, &ladder), set, (&mut followed, most));
                prop_assert_eq!(&followed, &now);
                let all = |changes: &Changes| changes.levels().collect::<Vec<_>>();
                prop_assert_eq!(all(&following), all(&looking));
                told = now;
            }
        }
    }
}
