//! Feeds that show some levels only: what is remembered of prices that left their window, and the groups of such a feed
//! that concern no paper order.
//!
//! A price that leaves the window has not lost its size (rule 2). Most groups of such a feed push a level out and let
//! another in, so what is remembered lies in a [`Ladder`] of its own, the price that is next to come back first.
//! Never here: orders, and what a level that changes does to them (`floor`).

use super::{Applied, Market, Touched};
use crate::market::{Group, Ladder, MarketEvent, Price, Qty, Side, Timestamp};
use crate::sim::CrossedBook;

/// Sizes last seen at prices of one side that left the window.
#[derive(Clone, Debug)]
pub(super) struct Unseen {
    side: Side,
    sizes: Ladder,
}

impl Unseen {
    pub(super) fn new(side: Side, tick: Price) -> Self {
        Self { side, sizes: Ladder::new(side, tick) }
    }

    /// A price left with a size that is not zero.
    #[inline]
    pub(super) fn left(&mut self, price: Price, qty: Qty) {
        self.sizes.set(price, qty.units());
    }

    /// A price is shown again.
    #[inline]
    pub(super) fn shown(&mut self, price: Price) {
        if self.sizes.best_price().is_some_and(|nearest| self.side.at_or_better(nearest, price)) {
            self.sizes.set(price, 0);
        }
    }

    /// Forgets what the window shows again, up to its worst price; all of it where it shows everything.
    #[inline]
    pub(super) fn forget(&mut self, worst: Option<Price>) {
        let Some(worst) = worst else { return self.clear() };
        while let Some(nearest) =
            self.sizes.best_price().filter(|nearest| self.side.at_or_better(*nearest, worst))
        {
            self.sizes.set(nearest, 0);
        }
    }

    pub(super) fn clear(&mut self) {
        if !self.sizes.is_empty() {
            self.sizes.clear();
        }
    }

    /// What was last seen at a price.
    pub(super) fn at(&self, price: Price) -> Option<Qty> {
        Some(Qty::from_units(self.sizes.get(price))).filter(|qty| !qty.is_zero())
    }

    /// All of it, by ascending price.
    pub(super) fn levels(&self) -> Vec<(Price, Qty)> {
        let level = |(price, units)| (price, Qty::from_units(units));
        match self.side {
            Side::Buy => self.sizes.iter_back().map(level).collect(),
            Side::Sell => self.sizes.iter().map(level).collect(),
        }
    }
}

impl Market {
    /// A group of a feed that shows some levels only, where it can concern no order; `None` where it must go through the
    /// floor, and nothing of it is applied then.
    pub(super) fn apply_windowed(
        &mut self,
        now: Timestamp,
        group: &Group<'_>,
        crossed: CrossedBook,
    ) -> Option<Applied> {
        let is_level =
            |event: &MarketEvent| matches!(event, MarketEvent::Level { .. } | MarketEvent::News(_));
        let is_print = |event: &MarketEvent| matches!(event, MarketEvent::Trade(_) | MarketEvent::News(_));
        if group.events.iter().all(is_level) {
            Some(self.levels_only(now, group.events, crossed))
        } else if group.events.iter().all(is_print) {
            self.touched = Touched::default();
            self.prints_only(now, group.events);
            Some(Applied::default())
        } else {
            None
        }
    }

    /// Which of the levels left the window is known once all are in the book.
    fn levels_only(&mut self, now: Timestamp, events: &[MarketEvent], crossed: CrossedBook) -> Applied {
        let mut touched = Touched::default();
        let mut befores = std::mem::take(&mut self.befores);
        befores.clear();
        for event in events {
            if let MarketEvent::Level { side, price, qty } = event {
                befores.push(self.book.set(*side, *price, *qty));
                touched.note(*side);
            }
        }
        let windows = Side::BOTH.map(|side| self.window(side));
        let levels = events.iter().filter_map(|event| match event {
            MarketEvent::Level { side, price, qty } => Some((*side, *price, *qty)),
            _ => None,
        });
        for ((side, price, qty), before) in levels.zip(befores.iter().copied()) {
            let at = side.index();
            if qty.is_zero() && windows[at].is_some_and(|worst| side.better(worst, price)) {
                if !before.is_zero() {
                    self.stale[at].left(price, before);
                }
            } else {
                if !qty.is_zero() {
                    self.stale[at].shown(price);
                }
                self.memory[at].changed(now, price, before, qty);
            }
        }
        (self.befores, self.touched) = (befores, touched);
        if touched.any() && self.book.is_crossed() {
            let applied = self.uncross(crossed);
            if self.trusted {
                self.forget_stale();
            }
            return applied;
        }
        for side in Side::BOTH {
            self.stale[side.index()].forget(windows[side.index()]);
        }
        Applied::default()
    }

    fn prints_only(&mut self, now: Timestamp, events: &[MarketEvent]) {
        for event in events {
            if let MarketEvent::Trade(print) = event
                && let Some(side) = self.note_print(now, print)
            {
                self.memory[side.index()].printed(now, print.price, print.qty, |_, _| ());
            }
        }
    }
}
