//! The trader's own view of the market, where the exchange acts before the trader sees it (`--clock exchange`).
//!
//! Groups wait until their receive time and are then applied to a second book. The trader sees them in the exchange's
//! order: one that was received earlier than the one before it is seen with that one. What the trader's own orders took
//! is left out of it from the fill on until the level shrinks to it (rule 7 of `docs/fills.md`).

use crate::market::{
    Group, GroupKind, Instrument, Level, MarketEvent, OrderBook, Price, Qty, Side, Timestamp,
};
use crate::order::Evidence;
use crate::sim::Fill;

/// Groups that may wait before the view is brought up to date although nobody looks.
const PATIENCE: usize = 1 << 16;
/// Groups seen before the room that they took is used again.
const KEPT: usize = 1_024;

/// One instrument as the trader sees it.
#[derive(Clone, Debug)]
struct Seen {
    book: OrderBook,
    trusted: bool,
    last_trade: Option<Price>,
    /// What own orders took and the tape still shows.
    taken: Vec<(Side, Price, Qty)>,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    instrument: usize,
    kind: GroupKind,
    seen_at: Timestamp,
    /// Where its events end.
    end: usize,
}

/// The books of one connector as the trader sees them.
#[derive(Clone, Debug)]
pub(super) struct View {
    markets: Vec<Seen>,
    /// Groups in the exchange's order, and how many of them were seen.
    waiting: Vec<Waiting>,
    seen: usize,
    /// The events of all of them.
    events: Vec<MarketEvent>,
    last: Timestamp,
}

impl View {
    pub(super) fn new<'a>(instruments: impl Iterator<Item = &'a Instrument>) -> Self {
        let seen = |instrument: &Instrument| Seen {
            book: OrderBook::new(instrument.rule.tick),
            trusted: false,
            last_trade: None,
            taken: Vec::new(),
        };
        let (waiting, events) = (Vec::new(), Vec::new());
        Self { markets: instruments.map(seen).collect(), waiting, seen: 0, events, last: Timestamp::MIN }
    }

    /// The exchange has sent a group at `now`; the trader will see it.
    #[inline]
    pub(super) fn send(&mut self, now: Timestamp, group: &Group<'_>) {
        self.last = self.last.max(group.receive_time);
        self.events.extend_from_slice(group.events);
        let (instrument, kind, end) = (group.instrument.index(), group.kind, self.events.len());
        self.waiting.push(Waiting { instrument, kind, seen_at: self.last, end });
        if self.waiting.len() - self.seen > PATIENCE {
            self.catch_up(now);
        }
    }

    /// Applies all that has been received by `now`.
    pub(super) fn catch_up(&mut self, now: Timestamp) {
        let mut start = self.seen.checked_sub(1).map_or(0, |last| self.waiting[last].end);
        while let Some(next) = self.waiting.get(self.seen).filter(|next| next.seen_at <= now) {
            if let Some(market) = self.markets.get_mut(next.instrument) {
                market.apply(next.kind, &self.events[start..next.end]);
            }
            start = next.end;
            self.seen += 1;
        }
        if self.seen == self.waiting.len() || self.seen > KEPT {
            self.waiting.drain(..self.seen);
            self.waiting.iter_mut().for_each(|waiting| waiting.end -= start);
            self.events.drain(..start);
            self.seen = 0;
        }
    }

    /// An own fill that the trader has been told of.
    pub(super) fn filled(&mut self, fill: &Fill) {
        if let Some(market) = self.markets.get_mut(fill.instrument.index()) {
            market.took(fill);
        }
    }

    pub(super) fn is_trusted(&self, instrument: usize) -> bool {
        self.markets.get(instrument).is_some_and(|market| market.trusted)
    }

    pub(super) fn last_trade(&self, instrument: usize) -> Option<Price> {
        self.markets.get(instrument)?.last_trade
    }

    /// The levels of a side, best first; with `taken` what own orders took is left out.
    pub(super) fn levels(
        &self,
        instrument: usize,
        side: Side,
        taken: bool,
    ) -> impl Iterator<Item = Level> + '_ {
        let market = self.markets.get(instrument);
        market.into_iter().flat_map(move |market| market.free(side, taken))
    }

    pub(super) fn best_price(&self, instrument: usize, side: Side, taken: bool) -> Option<Price> {
        let market = self.markets.get(instrument)?;
        if !taken || market.taken.is_empty() {
            return market.book.best_price(side);
        }
        self.levels(instrument, side, true).next().map(|level| level.price)
    }
}

impl Seen {
    fn free(&self, side: Side, taken: bool) -> impl Iterator<Item = Level> + '_ {
        let left = move |level: Level| {
            let took = if taken { self.taken_at(side, level.price) } else { Qty::ZERO };
            Level { qty: level.qty - took, ..level }
        };
        self.book.levels(side).map(left).filter(|level| level.qty.units() > 0)
    }

    fn taken_at(&self, side: Side, price: Price) -> Qty {
        let found = self.taken.iter().find(|(s, p, _)| (*s, *p) == (side, price));
        found.map_or(Qty::ZERO, |(_, _, qty)| *qty)
    }

    fn apply(&mut self, kind: GroupKind, events: &[MarketEvent]) {
        if kind == GroupKind::Snapshot {
            self.book.clear();
            self.trusted = true;
        }
        let (mut touched, mut meets) = (Side::Buy, false);
        for event in events {
            match *event {
                MarketEvent::Level { side, price, qty } => {
                    self.book.set(side, price, qty);
                    touched = side;
                    // Sides that do not meet come to meet only by a level that reaches the other one.
                    let other = || self.book.best_price(side.opposite());
                    meets |= !qty.is_zero() && other().is_some_and(|other| side.crosses(price, other));
                    if !self.taken.is_empty() {
                        self.shrink(side, price, qty);
                    }
                }
                MarketEvent::Trade(print) => self.last_trade = Some(print.price),
                MarketEvent::Distrust => self.trusted = false,
                MarketEvent::Trading(_) | MarketEvent::Candle(_) | MarketEvent::News(_) => {}
            }
        }
        if kind == GroupKind::Snapshot {
            let book = &self.book;
            self.taken.retain_mut(|(side, price, qty)| {
                *qty = (*qty).min(book.qty(*side, *price));
                !qty.is_zero()
            });
        }
        // A file cannot be asked again: the side that the message did not touch loses its crossing levels.
        while let (true, Some(price)) =
            (meets && self.book.is_crossed(), self.book.best_price(touched.opposite()))
        {
            self.book.set(touched.opposite(), price, Qty::ZERO);
        }
    }

    fn shrink(&mut self, side: Side, price: Price, shown: Qty) {
        self.taken.retain_mut(|(s, p, qty)| {
            if (*s, *p) == (side, price) {
                *qty = (*qty).min(shown);
            }
            !qty.is_zero()
        });
    }

    fn took(&mut self, fill: &Fill) {
        let side = fill.side.opposite();
        match fill.evidence {
            Evidence::Book => self.add_taken(side, fill.price, fill.qty),
            Evidence::Cross => {
                let crossing: Vec<Level> = self
                    .free(side, true)
                    .take_while(|level| side.at_or_better(level.price, fill.price))
                    .collect();
                let mut left = fill.qty;
                for level in crossing {
                    let part = left.min(level.qty);
                    self.add_taken(side, level.price, part);
                    left -= part;
                }
            }
            _ => {}
        }
    }

    fn add_taken(&mut self, side: Side, price: Price, qty: Qty) {
        let shown = self.book.qty(side, price);
        let qty = (self.taken_at(side, price) + qty).min(shown);
        self.taken.retain(|(s, p, _)| (*s, *p) != (side, price));
        if !qty.is_zero() {
            self.taken.push((side, price, qty));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{EventLog, InstrumentId, Pair};

    fn group(log: &mut EventLog, kind: GroupKind, times: (i64, i64), levels: &[(Side, i64, i64)]) {
        for (side, price, qty) in levels {
            let (price, qty) = (Price::from_units(*price), Qty::from_units(*qty));
            log.push(MarketEvent::Level { side: *side, price, qty });
        }
        let [exchange, receive] = [times.0, times.1].map(Timestamp::from_nanos);
        log.close(InstrumentId(0), kind, exchange, receive);
    }

    #[test]
    fn a_group_is_seen_when_it_is_received_and_in_order() {
        let eth = Instrument::spot("ETH", Pair::new("ETH", "USDT"), 0, 0).unwrap();
        let mut view = View::new(std::iter::once(&eth));
        let mut log = EventLog::default();
        group(&mut log, GroupKind::Snapshot, (10, 15), &[(Side::Buy, 100, 5), (Side::Sell, 102, 5)]);
        group(&mut log, GroupKind::Update, (11, 20), &[(Side::Buy, 101, 1)]);
        group(&mut log, GroupKind::Update, (12, 18), &[(Side::Buy, 100, 9)]);
        for sent in log.iter() {
            view.send(sent.exchange_time, &sent);
        }
        let at = |view: &mut View, now| {
            view.catch_up(Timestamp::from_nanos(now));
            (view.best_price(0, Side::Buy, true).map(Price::units), view.is_trusted(0))
        };
        assert_eq!(at(&mut view, 14), (None, false));
        assert_eq!(at(&mut view, 15), (Some(100), true));
        // Received at 18, but behind one that is received at 20.
        assert_eq!(at(&mut view, 19), (Some(100), true));
        assert_eq!(view.levels(0, Side::Buy, true).next().unwrap().qty, Qty::from_units(5));
        assert_eq!(at(&mut view, 20), (Some(101), true));
        assert_eq!(view.levels(0, Side::Buy, true).nth(1).unwrap().qty, Qty::from_units(9));
    }
}
