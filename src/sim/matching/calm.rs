//! Groups that concern no paper order: they change the book and what is remembered of it, and nothing else.
//!
//! Nearly every group of a tape is one, so nothing here looks further than it must. What may concern an order is left to
//! the [`Floor`](super::Floor), from the first such event on.
//! Never here: orders that fill or move in their queues, money.

use super::{Applied, Market, Touched};
use crate::market::{FeedDepth, Group, GroupKind, MarketEvent, Price, Side, Timestamp};
use crate::sim::CrossedBook;

/// How far a group came without the floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Calm {
    /// Nothing of it was applied.
    No,
    /// All of it, and that is all.
    Whole,
    /// All of it, and something may cross now: the floor [settles](super::Floor::settle_group) that.
    Crosses,
    /// All before this event; the floor applies [the rest](super::Floor::apply_rest).
    Until(usize),
}

impl Market {
    /// Applies a group that can concern no order: true, or false where it must go through the floor.
    #[inline]
    pub(crate) fn apply_idle(
        &mut self,
        now: Timestamp,
        group: &Group<'_>,
        crossed: CrossedBook,
    ) -> Option<Applied> {
        if !self.idle || !self.begin(now, group) {
            return None;
        }
        if self.depth != FeedDepth::Full {
            return self.apply_windowed(now, group, crossed);
        }
        let mut touched = Touched::default();
        for (at, event) in group.events.iter().enumerate() {
            match event {
                MarketEvent::Level { side, price, qty } => {
                    let before = self.book.set(*side, *price, *qty);
                    self.memory[side.index()].changed(now, *price, before, *qty);
                    touched.note(*side);
                }
                MarketEvent::Trade(print) => {
                    if let Some(side) = self.note_print(now, print) {
                        self.memory[side.index()].printed(now, print.price, print.qty, |_, _| ());
                    }
                }
                MarketEvent::News(_) => {}
                MarketEvent::Distrust | MarketEvent::Trading(_) | MarketEvent::Candle(_) => {
                    self.touched = touched;
                    return Some(self.rest_of_group(now, &group.events[at..], crossed));
                }
            }
        }
        let looks = touched.any() && self.book.is_crossed();
        self.touched = touched;
        Some(if looks { self.uncross(crossed) } else { Applied::default() })
    }

    /// Applies a group as far as it concerns no resting paper order: levels where none stands and none took anything, and
    /// prints that reach none, change the book, the memory and the last trade and nothing else, as on the floor.
    #[inline]
    pub(crate) fn apply_calm(&mut self, now: Timestamp, group: &Group<'_>) -> Calm {
        if !self.calm || !self.begin(now, group) {
            return Calm::No;
        }
        let mut touched = Touched::default();
        // Sides that do not meet come to meet only by a level that reaches the other one; but what was taken may be back by
        // now, whatever the group is.
        let mut looks = self.taken.iter().any(|taken| !taken.is_empty());
        for (at, event) in group.events.iter().enumerate() {
            match event {
                MarketEvent::Level { side, price, qty } => {
                    let at_side = side.index();
                    if self.taken[at_side].has(*price) || self.resting[at_side].queue_at(*price).is_some() {
                        self.touched = touched;
                        return Calm::Until(at);
                    }
                    let before = self.book.set(*side, *price, *qty);
                    self.memory[at_side].changed(now, *price, before, *qty);
                    touched.note(*side);
                    looks |= !qty.is_zero() && self.is_met(*side, *price);
                }
                MarketEvent::Trade(print) => match self.note_print(now, print) {
                    Some(side) if !self.resting[side.index()].is_reached(print.price) => {
                        self.memory[side.index()].printed(now, print.price, print.qty, |_, _| ());
                    }
                    _ => {
                        self.touched = touched;
                        return Calm::Until(at);
                    }
                },
                MarketEvent::News(_) => {}
                MarketEvent::Distrust | MarketEvent::Trading(_) | MarketEvent::Candle(_) => {
                    self.touched = touched;
                    return Calm::Until(at);
                }
            }
        }
        self.touched = touched;
        if looks && self.meets() { Calm::Crosses } else { Calm::Whole }
    }

    /// Whether a group can be applied here at all; room is made to remember it.
    #[inline(always)]
    fn begin(&mut self, now: Timestamp, group: &Group<'_>) -> bool {
        let can = self.trusted && self.trading && group.kind == GroupKind::Update;
        if can {
            self.memory.iter_mut().for_each(|memory| memory.reserve(now, group.events.len()));
        }
        can
    }

    /// Whether a level of `side` at `price` reaches the book's other side or the paper orders there.
    #[inline]
    fn is_met(&self, side: Side, price: Price) -> bool {
        let other = side.opposite();
        let reaches = |best: Option<Price>| best.is_some_and(|best| side.crosses(price, best));
        reaches(self.book.best_price(other)) || reaches(self.resting[other.index()].best())
    }

    /// Whether the sides of the book meet each other, or paper orders what stands opposite.
    #[inline]
    fn meets(&self) -> bool {
        let best = |side: Side| {
            let (book, own) = (self.book.best_price(side), self.resting[side.index()].best());
            match (book, own) {
                (Some(book), Some(own)) => Some(if side.better(own, book) { own } else { book }),
                (book, own) => book.or(own),
            }
        };
        best(Side::Buy).zip(best(Side::Sell)).is_some_and(|(bid, ask)| bid >= ask)
    }

    /// The rest of a group that was begun as idle, from a halt or a break in it: what follows is applied as ever, as
    /// far as it may count.
    #[cold]
    fn rest_of_group(&mut self, now: Timestamp, events: &[MarketEvent], crossed: CrossedBook) -> Applied {
        let mut applied = Applied::default();
        for event in events {
            match event {
                MarketEvent::Level { side, price, qty } => {
                    let before = self.book.set(*side, *price, *qty);
                    self.touched.note(*side);
                    if self.trusted {
                        self.memory[side.index()].changed(now, *price, before, *qty);
                    }
                }
                MarketEvent::Trade(print) => {
                    let hit = self.note_print(now, print);
                    if let Some(side) = hit.filter(|_| self.trusted && self.trading) {
                        self.memory[side.index()].printed(now, print.price, print.qty, |_, _| ());
                    }
                }
                MarketEvent::Distrust => applied = self.distrust(),
                MarketEvent::Trading(trading) => self.trading = *trading,
                MarketEvent::Candle(_) | MarketEvent::News(_) => {}
            }
        }
        if self.trusted && self.book.is_crossed() { self.uncross(crossed) } else { applied }
    }
}
