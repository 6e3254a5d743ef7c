//! What one side of a market remembers of the last second: prints that no shrink has matched yet, and cancellations
//! that a late print may still claim (rules 5 and 6).
//!
//! Every row of the tape passes here, so the cancellations stand in a ring that is written without a branch and read
//! only when a print comes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::market::{Price, Qty, Timestamp};

/// A print, as far as no shrink of its level has matched it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct OpenPrint {
    time: Timestamp,
    price: Price,
    left: Qty,
}

/// The number of a cancellation: its place in the order of all of one side.
pub(crate) type CancellationId = u64;

/// One side's last second.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// For how long a print waits for its shrink, ns.
    span: i64,
    /// For how long a cancellation waits for a print, ns.
    late: i64,
    prints: Vec<OpenPrint>,
    /// Cancellations, as far as no print has claimed them: a power of two of each, the one numbered `n` at `n % len`.
    /// By column, so that a print finds its price in a few wide compares.
    prices: Vec<Price>,
    /// How much, and when.
    left: Vec<(Qty, Timestamp)>,
    /// Number of the oldest that may still be young enough.
    head: CancellationId,
    /// Number of the next.
    tail: CancellationId,
}

/// Cancellations there is room for at the start.
const ROOM: usize = 128;

impl Memory {
    pub(crate) fn new(span: Duration, late: Duration) -> Self {
        let nanos = |span: Duration| i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
        Self {
            span: nanos(span),
            late: nanos(late),
            prints: Vec::new(),
            prices: vec![Price::default(); ROOM],
            left: vec![(Qty::ZERO, Timestamp::default()); ROOM],
            head: 0,
            tail: 0,
        }
    }

    /// Forgets everything: a new trusted span begins.
    pub(crate) fn clear(&mut self) {
        self.prints.clear();
        self.head = self.tail;
    }

    /// Makes room for so many cancellations at `now`; call it before as many [`shrank`](Self::shrank).
    #[inline]
    pub(crate) fn reserve(&mut self, now: Timestamp, rows: usize) {
        if self.tail - self.head + rows as u64 > self.prices.len() as u64 {
            self.make_room(now, rows);
        }
    }

    #[cold]
    fn make_room(&mut self, now: Timestamp, rows: usize) {
        self.forget_old(now);
        let young = self.tail - self.head;
        let wanted = usize::try_from(young).unwrap_or(usize::MAX).saturating_add(rows).saturating_mul(2);
        if wanted > self.prices.len() {
            let len = wanted.next_power_of_two();
            let (from, to) = (self.prices.len() as u64 - 1, len as u64 - 1);
            let mut other = Self {
                prices: vec![Price::default(); len],
                left: vec![(Qty::ZERO, Timestamp::default()); len],
                prints: std::mem::take(&mut self.prints),
                ..*self
            };
            for id in self.head..self.tail {
                let (old, new) = ((id & from) as usize, (id & to) as usize);
                (other.prices[new], other.left[new]) = (self.prices[old], self.left[old]);
            }
            *self = other;
        }
    }

    fn is_old(&self, time: Timestamp, now: Timestamp) -> bool {
        now.nanos_since(time) > self.late
    }

    fn forget_old(&mut self, now: Timestamp) {
        while self.head < self.tail && self.is_old(self.left[self.slot(self.head)].1, now) {
            self.head += 1;
        }
    }

    #[inline]
    fn slot(&self, id: CancellationId) -> usize {
        (id & (self.prices.len() as u64 - 1)) as usize
    }

    #[inline]
    fn write(&mut self, now: Timestamp, price: Price, left: Qty) {
        let slot = self.slot(self.tail);
        if let (Some(known), Some(rest)) = (self.prices.get_mut(slot), self.left.get_mut(slot)) {
            (*known, *rest) = (price, (left, now));
        }
    }

    /// A level went from `before` to `after` and nobody rests there. Growth is forgotten without a branch.
    #[inline]
    pub(crate) fn changed(&mut self, now: Timestamp, price: Price, before: Qty, after: Qty) {
        let shrank = after < before;
        if shrank && !self.prints.is_empty() {
            self.shrank(now, price, before - after);
            return;
        }
        self.write(now, price, before - after);
        self.tail += u64::from(shrank);
    }

    /// A level shrank by `by`: how much of it prints explain, and the number of the cancellation that is the rest
    /// (remembered even where it is nothing).
    pub(crate) fn shrank(&mut self, now: Timestamp, price: Price, by: Qty) -> (Qty, CancellationId) {
        let mut explained = Qty::ZERO;
        if !self.prints.is_empty() {
            let span = self.span;
            self.prints.retain_mut(|print| {
                if now.nanos_since(print.time) > span {
                    return false;
                }
                if print.price == price {
                    let matched = print.left.min(by - explained);
                    print.left -= matched;
                    explained += matched;
                }
                !print.left.is_zero()
            });
        }
        let id = self.tail;
        self.write(now, price, by - explained);
        self.tail += 1;
        (explained, id)
    }

    /// A print at `price` claims what is left of the cancellations there, oldest first; the rest of it waits for a
    /// shrink. `claimed` is told each cancellation and how much of it.
    pub(crate) fn printed(
        &mut self,
        now: Timestamp,
        price: Price,
        qty: Qty,
        mut claimed: impl FnMut(CancellationId, Qty),
    ) {
        self.forget_old(now);
        let mut left = qty;
        let mut from = self.head;
        while let Some(id) = self.find(price, from) {
            let slot = self.slot(id);
            let part = self.left[slot].0.min(left);
            if !part.is_zero() {
                self.left[slot].0 -= part;
                left -= part;
                claimed(id, part);
                if left.is_zero() {
                    return;
                }
            }
            from = id + 1;
        }
        let span = self.span;
        self.prints.retain(|print| now.nanos_since(print.time) <= span);
        self.prints.push(OpenPrint { time: now, price, left });
    }

    /// The first cancellation at `price`, numbered `from` or later.
    fn find(&self, price: Price, from: CancellationId) -> Option<CancellationId> {
        let mut id = from;
        while id < self.tail {
            let slot = self.slot(id);
            let run = usize::try_from(self.tail - id).unwrap_or(usize::MAX).min(self.prices.len() - slot);
            let row = &self.prices[slot..slot + run];
            // Eight at a time: a compare of the whole row part decides whether one is worth looking for.
            for (at, part) in row.chunks(8).enumerate() {
                if part.iter().fold(false, |found, known| found | (*known == price)) {
                    let within = part.iter().position(|known| *known == price)?;
                    return Some(id + (at * 8 + within) as u64);
                }
            }
            id += run as u64;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn q(units: i64) -> Qty {
        Qty::from_units(units)
    }

    fn claims(memory: &mut Memory, now: i64, price: i64, qty: i64) -> Vec<(u64, i64)> {
        let mut all = Vec::new();
        memory.printed(at(now), Price::from_units(price), q(qty), |id, part| all.push((id, part.units())));
        all
    }

    #[test]
    fn a_print_explains_the_shrinks_after_it_for_a_second() {
        let mut memory = Memory::new(SECOND, SECOND);
        assert_eq!(claims(&mut memory, 0, 100, 5), []);
        assert_eq!(memory.shrank(at(10), Price::from_units(101), q(3)).0, q(0));
        assert_eq!(memory.shrank(at(20), Price::from_units(100), q(3)).0, q(3));
        assert_eq!(memory.shrank(at(1_000), Price::from_units(100), q(9)).0, q(2));
        assert_eq!(claims(&mut memory, 1_000, 102, 5), []);
        assert_eq!(memory.shrank(at(2_001), Price::from_units(102), q(9)).0, q(0));
    }

    #[test]
    fn a_late_print_claims_cancellations_oldest_first() {
        let mut memory = Memory::new(SECOND, SECOND);
        memory.reserve(at(0), 4);
        memory.changed(at(0), Price::from_units(100), q(10), q(6));
        memory.changed(at(1), Price::from_units(100), q(6), q(9));
        memory.changed(at(2), Price::from_units(100), q(9), q(4));
        memory.changed(at(3), Price::from_units(99), q(9), q(4));
        assert_eq!(claims(&mut memory, 500, 100, 6), [(0, 4), (1, 2)]);
        assert_eq!(claims(&mut memory, 1_001, 100, 6), [(1, 3)]);
        // 3 of the print are left for the next shrink.
        assert_eq!(memory.shrank(at(1_002), Price::from_units(100), q(4)).0, q(3));
    }

    #[test]
    fn the_ring_grows_only_for_what_is_young() {
        let mut memory = Memory::new(SECOND, SECOND);
        for row in 0..10_000 {
            memory.reserve(at(row * 100), 1);
            memory.changed(at(row * 100), Price::from_units(row), q(2), q(1));
        }
        assert_eq!(memory.prices.len(), ROOM);
        for row in 0..1_000 {
            memory.reserve(at(1_000_000), 1);
            memory.changed(at(1_000_000), Price::from_units(row), q(2), q(1));
        }
        assert_eq!(claims(&mut memory, 1_000_000, 7, 1), [(10_007, 1)]);
        assert_eq!(claims(&mut memory, 1_000_000, 999, 1), [(10_999, 1)]);
    }
}
