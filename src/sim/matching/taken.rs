//! What paper orders took of the tape's levels, and when it comes back (rule 7).

use serde::{Deserialize, Serialize};

use crate::market::{Price, Qty, Timestamp};
use crate::sim::Refill;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    price: Price,
    qty: Qty,
    time: Timestamp,
}

/// What was taken of one side's levels. Short: an entry goes with its level.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Taken {
    refill: Refill,
    /// By ascending price; under [`Refill::After`] one entry a taking, oldest first.
    entries: Vec<Entry>,
}

impl Taken {
    pub(crate) fn new(refill: Refill) -> Self {
        Self { refill, entries: Vec::new() }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether anything of the level at `price` was taken, even if it is back by now.
    #[inline]
    pub(crate) fn has(&self, price: Price) -> bool {
        self.entries.iter().any(|entry| entry.price == price)
    }

    fn range(&self, price: Price) -> std::ops::Range<usize> {
        let from = self.entries.partition_point(|entry| entry.price < price);
        let len = self.entries[from..].iter().take_while(|entry| entry.price == price).count();
        from..from + len
    }

    fn is_back(&self, entry: &Entry, now: Timestamp) -> bool {
        matches!(self.refill, Refill::After(span) if now >= entry.time.plus(span))
    }

    /// How much of the level at `price` is taken.
    pub(crate) fn at(&self, price: Price, now: Timestamp) -> Qty {
        let entries = &self.entries[self.range(price)];
        entries.iter().filter(|entry| !self.is_back(entry, now)).map(|entry| entry.qty).sum()
    }

    /// So much more is taken.
    pub(crate) fn add(&mut self, price: Price, qty: Qty, now: Timestamp) {
        let range = self.range(price);
        if !matches!(self.refill, Refill::After(_)) && !range.is_empty() {
            self.entries[range.start].qty += qty;
            return;
        }
        self.entries.insert(range.end, Entry { price, qty, time: now });
    }

    /// The level is restated at `shown`: growth is fresh, never more is taken than is shown.
    pub(crate) fn restated(&mut self, price: Price, shown: Qty, now: Timestamp) {
        let range = self.range(price);
        if range.is_empty() {
            return;
        }
        if shown.is_zero() || self.refill == Refill::Any {
            self.entries.drain(range);
            return;
        }
        let refill = self.refill;
        let is_back = |entry: &Entry| matches!(refill, Refill::After(span) if now >= entry.time.plus(span));
        let mut left = shown;
        for entry in self.entries[range].iter_mut().rev() {
            entry.qty = if is_back(entry) { Qty::ZERO } else { entry.qty.min(left) };
            left -= entry.qty;
        }
        self.entries.retain(|entry| !entry.qty.is_zero());
    }

    /// What is taken, by ascending price.
    pub(crate) fn iter(&self, now: Timestamp) -> impl Iterator<Item = (Price, Qty)> + '_ {
        let mut at = 0;
        std::iter::from_fn(move || {
            let price = self.entries.get(at)?.price;
            at = self.range(price).end;
            Some((price, self.at(price, now)))
        })
        .filter(|(_, qty)| !qty.is_zero())
    }

    /// The prices that have entries, ascending.
    pub(crate) fn prices(&self) -> impl Iterator<Item = Price> + '_ {
        let mut last = None;
        self.entries.iter().filter_map(move |entry| {
            let fresh = last.replace(entry.price) != Some(entry.price);
            fresh.then_some(entry.price)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn p(units: i64) -> Price {
        Price::from_units(units)
    }

    fn q(units: i64) -> Qty {
        Qty::from_units(units)
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    #[test]
    fn each_refill_gives_back_in_its_own_way() {
        // refill, shown after, taken 5 of 10 at second 0: what is taken at second 1 and at second 9.
        for (refill, shown, soon, late) in [
            (Refill::New, 12, 5, 5),
            (Refill::New, 4, 4, 4),
            (Refill::New, 0, 0, 0),
            (Refill::Any, 10, 0, 0),
            (Refill::Any, 12, 0, 0),
            (Refill::After(Duration::from_secs(5)), 12, 5, 0),
            (Refill::After(Duration::from_secs(5)), 3, 3, 0),
        ] {
            let mut taken = Taken::new(refill);
            taken.add(p(100), q(3), at(0));
            taken.add(p(101), q(1), at(0));
            taken.add(p(100), q(2), at(0));
            taken.restated(p(100), q(shown), at(1));
            assert_eq!(
                (taken.at(p(100), at(1)), taken.at(p(100), at(9))),
                (q(soon), q(late)),
                "{refill:?} {shown}"
            );
            taken.restated(p(100), q(shown), at(9));
            assert_eq!(taken.at(p(100), at(9)), q(late));
        }
    }

    #[test]
    fn levels_are_told_by_ascending_price() {
        let mut taken = Taken::new(Refill::After(Duration::from_secs(5)));
        for (price, qty, time) in [(102, 1, 0), (100, 2, 0), (102, 4, 3)] {
            taken.add(p(price), q(qty), at(time));
        }
        assert_eq!(taken.iter(at(4)).collect::<Vec<_>>(), [(p(100), q(2)), (p(102), q(5))]);
        assert_eq!(taken.iter(at(6)).collect::<Vec<_>>(), [(p(102), q(4))]);
        assert_eq!(taken.prices().collect::<Vec<_>>(), [p(100), p(102)]);
        assert!(!taken.is_empty());
    }
}
