//! The trader's own view of the market, where the exchange acts before the trader sees it (`--clock exchange`).
//!
//! The trader sees each market as the exchange's book stood after the last group that has been received. Groups are seen
//! in the exchange's order: one that was received earlier than the one before it is seen with that one. What the trader's
//! own orders took is left out from the fill on until the level shrinks to it (rule 7 of `docs/fills.md`).
//!
//! Nearly all that strategies ask for are the best prices. They are noted when the exchange has applied a group, and no
//! second book is kept. Whoever asks for more is given a book of his own: a copy of the exchange's of some time before,
//! with the groups since that have been seen. From then on it is kept up to date.

use std::borrow::Cow;
use std::cell::Cell;

use crate::market::{Group, GroupKind, Level, MarketEvent, OrderBook, Price, Qty, Side, Timestamp};
use crate::order::Evidence;
use crate::sim::{Fill, PublicMarket, SimulatedExchange};

/// Groups kept before the exchange's books are copied, so that they can be forgotten.
const ROOM: usize = 8_192;
/// Groups in the books before the room that they took is used again.
const KEPT: usize = 1_024;

/// One instrument as the trader sees it.
#[derive(Clone, Debug)]
struct Seen {
    /// The best prices after the last group that was seen.
    best: [Option<Price>; 2],
    /// Whether the exchange believed its book then.
    trusted: bool,
    /// The book after the groups that were applied, and the last print of these.
    book: OrderBook,
    last_trade: Option<Price>,
    /// What own orders took and the tape still shows.
    taken: Vec<(Side, Price, Qty)>,
}

/// A group that the exchange has sent, and how the exchange's book stood after it.
#[derive(Clone, Copy, Debug)]
struct Sent {
    instrument: usize,
    kind: GroupKind,
    seen_at: Timestamp,
    best: [Option<Price>; 2],
    trusted: bool,
    /// Where its events end.
    end: usize,
}

/// The markets of one connector as the trader sees them.
#[derive(Clone, Debug)]
pub(super) struct View {
    markets: Vec<Seen>,
    /// Groups in the exchange's order: applied to the books, then seen, then on their way.
    groups: Vec<Sent>,
    applied: usize,
    seen: usize,
    /// The events of all of them.
    events: Vec<MarketEvent>,
    /// The exchange's books after so many of them.
    copies: Option<(usize, Vec<OrderBook>)>,
    /// Whether somebody has asked for more than the best prices.
    deep: Cell<bool>,
    last: Timestamp,
    shows_taken: bool,
    room: usize,
}

impl View {
    /// Of all markets of an exchange that has had no group yet.
    pub(super) fn new(sim: &SimulatedExchange) -> Self {
        Self::with_room(sim, ROOM)
    }

    fn with_room(sim: &SimulatedExchange, room: usize) -> Self {
        let seen = |book: OrderBook| Seen {
            best: [None; 2],
            trusted: false,
            book,
            last_trade: None,
            taken: Vec::new(),
        };
        Self {
            markets: sim.books().cloned().map(seen).collect(),
            groups: Vec::new(),
            applied: 0,
            seen: 0,
            events: Vec::new(),
            copies: None,
            deep: Cell::new(false),
            last: Timestamp::MIN,
            shows_taken: sim.config().public_market == PublicMarket::Simulated,
            room,
        }
    }

    /// The exchange has applied a group at `now`; the trader will see it.
    #[inline]
    pub(super) fn send(&mut self, now: Timestamp, group: &Group<'_>, sim: &SimulatedExchange) {
        let Some(book) = sim.book(group.instrument) else { return };
        self.last = self.last.max(group.receive_time);
        self.events.extend_from_slice(group.events);
        self.groups.push(Sent {
            instrument: group.instrument.index(),
            kind: group.kind,
            seen_at: self.last,
            best: Side::BOTH.map(|side| book.best_price(side)),
            trusted: sim.is_trusted(group.instrument),
            end: self.events.len(),
        });
        if self.groups.len() - self.applied > self.room {
            self.make_room(now, sim);
        }
    }

    /// So many groups are kept that it is time to begin with books that stand behind them.
    #[cold]
    fn make_room(&mut self, now: Timestamp, sim: &SimulatedExchange) {
        self.catch_up(now);
        if !self.deep.get() && self.copies.is_none() {
            self.copies = Some((self.groups.len(), sim.books().cloned().collect()));
        }
    }

    /// Shows all that has been received by `now`.
    pub(super) fn catch_up(&mut self, now: Timestamp) {
        while let Some(next) = self.groups.get(self.seen).filter(|next| next.seen_at <= now) {
            if let Some(market) = self.markets.get_mut(next.instrument) {
                (market.best, market.trusted) = (next.best, next.trusted);
            }
            self.seen += 1;
        }
        if self.deep.get() {
            self.apply_seen();
        } else if self.copies.as_ref().is_some_and(|(after, _)| *after <= self.seen) {
            self.take_copies();
        }
    }

    /// Applies to the books what was seen.
    fn apply_seen(&mut self) {
        self.copies = None;
        for at in self.applied..self.seen {
            let (sent, events) = self.group(at);
            if let Some(market) = self.markets.get_mut(sent.instrument) {
                market.apply(sent, &self.events[events]);
            }
        }
        self.applied = self.seen;
        if self.applied == self.groups.len() || self.applied > KEPT {
            self.forget_applied();
        }
    }

    /// All groups before the copies were seen: these are the books now.
    fn take_copies(&mut self) {
        let Some((after, books)) = self.copies.take() else { return };
        for at in self.applied..after {
            let (sent, events) = self.group(at);
            if let Some(market) = self.markets.get_mut(sent.instrument) {
                market.last_trade = last_print(&self.events[events]).or(market.last_trade);
            }
        }
        self.markets.iter_mut().zip(books).for_each(|(market, book)| market.book = book);
        self.applied = after;
        self.forget_applied();
    }

    fn forget_applied(&mut self) {
        let end = self.applied.checked_sub(1).map_or(0, |last| self.groups[last].end);
        self.groups.drain(..self.applied);
        self.groups.iter_mut().for_each(|group| group.end -= end);
        self.events.drain(..end);
        self.seen -= self.applied;
        self.applied = 0;
    }

    /// A group, and where its events are.
    fn group(&self, at: usize) -> (Sent, std::ops::Range<usize>) {
        let start = at.checked_sub(1).map_or(0, |before| self.groups[before].end);
        (self.groups[at], start..self.groups[at].end)
    }

    /// A market with a book that has all that was seen. From the next [`catch_up`](Self::catch_up) on it is kept.
    fn whole(&self, instrument: usize) -> Option<Cow<'_, Seen>> {
        let market = self.markets.get(instrument)?;
        self.deep.set(true);
        if self.applied == self.seen {
            return Some(Cow::Borrowed(market));
        }
        let mut market = market.clone();
        for at in self.applied..self.seen {
            let (sent, events) = self.group(at);
            if sent.instrument == instrument {
                market.apply(sent, &self.events[events]);
            }
        }
        Some(Cow::Owned(market))
    }

    /// An own fill that the trader has been told of at `now`.
    pub(super) fn filled(&mut self, now: Timestamp, fill: &Fill) {
        // What nobody is shown need not be known.
        if self.shows_taken && matches!(fill.evidence, Evidence::Book | Evidence::Cross) {
            self.deep.set(true);
            self.catch_up(now);
            if let Some(market) = self.markets.get_mut(fill.instrument.index()) {
                market.took(fill);
            }
        }
    }

    /// The price of the last print.
    pub(super) fn last_trade(&self, instrument: usize) -> Option<Price> {
        self.whole(instrument)?.last_trade
    }

    /// Adds the best `most` levels of a side to a list, best first.
    pub(super) fn levels(&self, instrument: usize, side: Side, most: usize, into: &mut Vec<Level>) {
        if let Some(market) = self.whole(instrument) {
            into.extend(market.free(side).take(most));
        }
    }

    /// The best price of a side; `None` where the book cannot be believed.
    #[inline]
    pub(super) fn best_price(&self, instrument: usize, side: Side) -> Option<Price> {
        let market = self.markets.get(instrument).filter(|market| market.trusted)?;
        if market.taken.is_empty() {
            return market.best[side.index()];
        }
        self.whole(instrument)?.free(side).next().map(|level| level.price)
    }
}

/// The price of the last print among events.
fn last_print(events: &[MarketEvent]) -> Option<Price> {
    events.iter().rev().find_map(|event| match event {
        MarketEvent::Trade(print) => Some(print.price),
        _ => None,
    })
}

impl Seen {
    /// The levels of a side, best first, without what own orders took.
    fn free(&self, side: Side) -> impl Iterator<Item = Level> + '_ {
        let left = move |level: Level| Level { qty: level.qty - self.taken_at(side, level.price), ..level };
        self.book.levels(side).map(left).filter(|level| level.qty.units() > 0)
    }

    fn taken_at(&self, side: Side, price: Price) -> Qty {
        let found = self.taken.iter().find(|(s, p, _)| (*s, *p) == (side, price));
        found.map_or(Qty::ZERO, |(_, _, qty)| *qty)
    }

    fn apply(&mut self, sent: Sent, events: &[MarketEvent]) {
        let is_snapshot = sent.kind == GroupKind::Snapshot;
        if is_snapshot {
            self.book.clear();
        }
        let mut touched = Side::Buy;
        for event in events {
            if let MarketEvent::Level { side, price, qty } = *event {
                self.book.set(side, price, qty);
                touched = side;
                if !self.taken.is_empty() {
                    self.shrink(side, price, qty);
                }
            }
        }
        self.last_trade = last_print(events).or(self.last_trade);
        if is_snapshot {
            let book = &self.book;
            self.taken.retain_mut(|(side, price, qty)| {
                *qty = (*qty).min(book.qty(*side, *price));
                !qty.is_zero()
            });
        }
        // As at the exchange: the side that the message did not touch last loses its crossing levels.
        while let (true, Some(price)) =
            (sent.trusted && self.book.is_crossed(), self.book.best_price(touched.opposite()))
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
                let crossing: Vec<Level> =
                    self.free(side).take_while(|level| side.at_or_better(level.price, fill.price)).collect();
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
    use proptest::prelude::*;

    use super::*;
    use crate::market::{EventLog, Instrument, InstrumentId, Pair, Print};
    use crate::sim::{CrossedBook, FeeSchedule, Input, MarketConfig, Rate, SimConfig};

    /// An exchange with two markets.
    fn exchange(crossed: CrossedBook) -> SimulatedExchange {
        let markets = ["ETH", "SOL"].map(|base| {
            let instrument = Instrument::spot(base, Pair::new(base, "USDT"), 0, 0).unwrap();
            MarketConfig::spot(instrument, FeeSchedule::flat_rates(Rate(0), Rate(0), "test"))
        });
        SimulatedExchange::new(SimConfig { crossed, ..SimConfig::realistic(markets.to_vec(), 0) }).unwrap()
    }

    fn level(side: Side, price: i64, qty: i64) -> MarketEvent {
        MarketEvent::Level { side, price: Price::from_units(price), qty: Qty::from_units(qty) }
    }

    fn group(log: &mut EventLog, kind: GroupKind, times: (i64, i64), events: &[MarketEvent]) {
        events.iter().for_each(|event| log.push(*event));
        let [exchange, receive] = [times.0, times.1].map(Timestamp::from_nanos);
        log.close(InstrumentId(0), kind, exchange, receive);
    }

    fn play(sim: &mut SimulatedExchange, group: &Group<'_>) {
        sim.apply(group.exchange_time, Input::Market(*group), &mut Vec::new());
    }

    fn levels(view: &View, instrument: usize, side: Side) -> Vec<Level> {
        let mut levels = Vec::new();
        view.levels(instrument, side, usize::MAX, &mut levels);
        levels
    }

    #[test]
    fn a_group_is_seen_when_it_is_received_and_in_order() {
        let mut sim = exchange(CrossedBook::Repair);
        let mut view = View::new(&sim);
        let mut log = EventLog::default();
        let all = [level(Side::Buy, 100, 5), level(Side::Sell, 102, 5)];
        group(&mut log, GroupKind::Snapshot, (10, 15), &all);
        group(&mut log, GroupKind::Update, (11, 20), &[level(Side::Buy, 101, 1)]);
        group(&mut log, GroupKind::Update, (12, 18), &[level(Side::Buy, 100, 9)]);
        for sent in log.iter() {
            play(&mut sim, &sent);
            view.send(sent.exchange_time, &sent, &sim);
        }
        let at = |view: &mut View, now| {
            view.catch_up(Timestamp::from_nanos(now));
            view.best_price(0, Side::Buy).map(Price::units)
        };
        assert_eq!(at(&mut view, 14), None);
        assert_eq!(at(&mut view, 15), Some(100));
        // Received at 18, but behind one that is received at 20.
        assert_eq!(at(&mut view, 19), Some(100));
        assert_eq!(
            levels(&view, 0, Side::Buy),
            [Level { price: Price::from_units(100), qty: Qty::from_units(5) }]
        );
        assert_eq!(at(&mut view, 20), Some(101));
        assert_eq!(levels(&view, 0, Side::Buy)[1].qty, Qty::from_units(9));
    }

    fn event() -> impl Strategy<Value = MarketEvent> {
        let price = 95_i64..106;
        prop_oneof![
            12 => (any::<bool>(), price.clone(), 0_i64..4).prop_map(|(buys, price, qty)| {
                level(if buys { Side::Buy } else { Side::Sell }, price, qty)
            }),
            2 => (price, 1_i64..4).prop_map(|(price, qty)| {
                let (price, qty) = (Price::from_units(price), Qty::from_units(qty));
                MarketEvent::Trade(Print { aggressor: None, id: Default::default(), price, qty })
            }),
            1 => Just(MarketEvent::Distrust),
            1 => any::<bool>().prop_map(MarketEvent::Trading),
        ]
    }

    fn kind() -> impl Strategy<Value = GroupKind> {
        prop_oneof![
            8 => Just(GroupKind::Update),
            2 => Just(GroupKind::Snapshot),
            1 => Just(GroupKind::SnapshotRest),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        /// What the trader sees is what an exchange shows that has had the groups received so far and no others, however
        /// seldom the trader looks and whenever it begins to ask for more than the best prices.
        #[test]
        fn the_view_is_an_exchange_that_lags(
            groups in prop::collection::vec(
                (0_u32..2, kind(), prop::collection::vec(event(), 1..5), 0_i64..3, 0_i64..9), 1..120),
            looks in prop::collection::vec(0_u8..6, 120),
            (asks_from, room) in (0_usize..160, 1_usize..40),
            distrusts in any::<bool>(),
        ) {
            let crossed = if distrusts { CrossedBook::Distrust } else { CrossedBook::Repair };
            let (mut sim, mut late) = (exchange(crossed), exchange(crossed));
            let mut view = View::with_room(&sim, room);
            let mut log = EventLog::default();
            let mut now = 0;
            for (instrument, kind, events, later, travels) in &groups {
                now += later;
                events.iter().for_each(|event| log.push(*event));
                let [at, received] = [now, now + travels].map(Timestamp::from_nanos);
                log.close(InstrumentId(*instrument), *kind, at, received);
            }
            let (mut received, mut prints) = (0, [None; 2]);
            for (at, sent) in log.iter().enumerate() {
                play(&mut sim, &sent);
                view.send(sent.exchange_time, &sent, &sim);
                if looks[at] != 0 {
                    continue;
                }
                let now = sent.exchange_time;
                view.catch_up(now);
                // One is seen when all before it are.
                while let Some(next) = log.get(received).filter(|next| received <= at && next.receive_time <= now) {
                    play(&mut late, &next);
                    let instrument = next.instrument.index();
                    prints[instrument] = last_print(next.events).or(prints[instrument]);
                    received += 1;
                }
                for (instrument, print) in prints.iter().enumerate() {
                    let id = InstrumentId(instrument as u32);
                    let book = late.book(id).unwrap();
                    for side in Side::BOTH {
                        let best = book.best_price(side).filter(|_| late.is_trusted(id));
                        prop_assert_eq!(view.best_price(instrument, side), best);
                        if at >= asks_from {
                            let want: Vec<Level> = book.levels(side).collect();
                            prop_assert_eq!(levels(&view, instrument, side), want);
                        }
                    }
                    if at >= asks_from {
                        prop_assert_eq!(view.last_trade(instrument), *print);
                    }
                }
            }
        }
    }
}
