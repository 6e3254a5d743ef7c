//! Quotes beside a deeper book of the same instrument: they are not played, but compared with it.

use crate::market::{
    FeedStats, Group, GroupKind, Instrument, MarketEvent, OrderBook, Price, Side, Timestamp,
};

/// The best price and size of both sides, as far as they are there.
type Top = [Option<(Price, i64)>; 2];

/// One instrument that has quotes beside its book.
pub(super) struct Check {
    book: OrderBook,
    /// Whether the book has had a snapshot.
    shown: bool,
    /// The last quotes of an instant, by source, to compare once all messages of it are there.
    pending: Vec<(usize, Top)>,
    pending_at: Timestamp,
    checked: u64,
    differ: u64,
}

impl Check {
    pub(super) fn new(instrument: &Instrument) -> Self {
        let book = OrderBook::new(instrument.rule.tick);
        Self { book, shown: false, pending: Vec::new(), pending_at: Timestamp::MIN, checked: 0, differ: 0 }
    }

    /// A message of the book itself, which is played.
    pub(super) fn book(&mut self, time: Timestamp, group: &Group<'_>) {
        self.settle(Some(time));
        if group.kind == GroupKind::Snapshot {
            self.book.clear();
            self.shown = true;
        }
        for event in group.events {
            if let MarketEvent::Level { side, price, qty } = *event {
                self.book.set(side, price, qty);
            }
        }
    }

    /// A message of a shallower feed, the source `from`, which is not.
    pub(super) fn quote(&mut self, from: usize, time: Timestamp, group: &Group<'_>) {
        self.settle(Some(time));
        let mut top: Top = [None; 2];
        for event in group.events {
            if let MarketEvent::Level { side, price, qty } = *event
                && !qty.is_zero()
                && top[side.index()].is_none_or(|(best, _)| side.better(price, best))
            {
                top[side.index()] = Some((price, qty.units()));
            }
        }
        self.pending_at = time;
        match self.pending.iter_mut().find(|(source, _)| *source == from) {
            Some((_, last)) => *last = top,
            None => self.pending.push((from, top)),
        }
    }

    /// Compares the quotes that wait, if they are of an earlier instant than `now` (`None`: whatever they are of).
    pub(super) fn settle(&mut self, now: Option<Timestamp>) {
        if now.is_some_and(|now| now <= self.pending_at) {
            return;
        }
        let best = Side::BOTH.map(|side| self.book.best(side).map(|level| (level.price, level.qty.units())));
        for (_, top) in self.pending.drain(..).filter(|_| self.shown) {
            self.checked += 1;
            self.differ += u64::from(best != top);
        }
    }

    pub(super) fn add_to(&self, stats: &mut FeedStats) {
        stats.quotes_checked += self.checked;
        stats.quotes_differ += self.differ;
    }
}
