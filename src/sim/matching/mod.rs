//! When an order fills: the book of one instrument, its paper orders, and the rules of `docs/fills.md`.
//!
//! [`Market`] is one instrument's state. What concerns no paper order touches only the book and the last second's memory
//! (`calm`); the rest goes through the [`Floor`], which also holds the accounts that fills change.
//! Never here: when a request arrives (`schedule`), how money moves (`account`).

mod amend;
mod calm;
mod contract;
mod floor;
mod follow;
mod memory;
mod place;
mod prints;
mod queue;
mod resting;
mod special;
mod state;
mod taken;
mod taking;
mod tell;
mod thin;
mod trigger;
mod window;

use std::collections::{BTreeSet, VecDeque};

pub(crate) use calm::Calm;
pub(crate) use floor::{Counters, Floor};
pub(crate) use place::unborn;
pub(crate) use resting::{Orders, Slot};
pub(crate) use state::{SavedMarket, fact};
pub(crate) use trigger::Prints;

use memory::Memory;
use queue::Place;
use resting::Resting;
use taken::Taken;
use thin::Thin;
use window::Unseen;

use super::account::FeeModel;
use super::schedule::Pending;
use super::{BuyFee, CrossedBook, MarketConfig, PublicTrade, SimConfig, View};
use crate::market::{
    FeedDepth, Group, GroupKind, Instrument, InstrumentId, Level, MarketEvent, OrderBook, Price, Print, Qty,
    Side, Timestamp,
};
use crate::order::{Money, OrderId};

/// How an instrument's units become money.
#[derive(Clone, Debug)]
pub(crate) struct Units {
    pub(crate) base: u16,
    pub(crate) quote: u16,
    pub(crate) base_scale: u8,
    pub(crate) quote_scale: u8,
    /// Units of quote for one unit of price times one of quantity.
    pub(crate) notional: i128,
    /// Units of base for one unit of quantity.
    pub(crate) qty: i128,
    /// The smallest cost of an order.
    pub(crate) min_notional: Money,
    /// The largest price × quantity, in units of both, whose cost and fee stay inside 128 bits.
    pub(crate) most: i128,
}

impl Units {
    /// Price × quantity in the smallest unit of quote. Exact.
    #[inline]
    pub(crate) fn cost(&self, price: Price, qty: Qty) -> Money {
        Money(i128::from(price.units()) * i128::from(qty.units()) * self.notional)
    }

    /// A quantity in the smallest unit of base. Exact.
    #[inline]
    pub(crate) fn base(&self, qty: Qty) -> Money {
        Money(i128::from(qty.units()) * self.qty)
    }
}

/// One instrument: the tape's book, the paper orders, and what they did to each other.
#[derive(Clone, Debug)]
pub(crate) struct Market {
    pub(crate) id: InstrumentId,
    pub(crate) instrument: Instrument,
    pub(crate) units: Units,
    pub(crate) fees: FeeModel,
    pub(crate) depth: FeedDepth,
    pub(crate) tradable: bool,
    /// Whether it is of a contract: orders need margin, fills move positions.
    pub(crate) contract: bool,
    pub(crate) book: OrderBook,
    /// A snapshot has come and nothing has broken it since.
    pub(crate) trusted: bool,
    /// Not halted.
    pub(crate) trading: bool,
    pub(crate) resting: [Resting; 2],
    pub(crate) taken: [Taken; 2],
    memory: [Memory; 2],
    /// Sizes last seen at prices that left the window.
    stale: [Unseen; 2],
    /// Orders that wait for their trigger.
    pub(crate) waiting: BTreeSet<OrderId>,
    /// How many of them follow the market.
    pub(crate) trails: u32,
    /// Requests that wait for a trusted book.
    pub(crate) door: VecDeque<Pending>,
    pub(crate) last_trade: Option<(Timestamp, PublicTrade)>,
    /// Where there is no book: who waits, and what a candle has left.
    pub(crate) thin: Thin,
    /// Whether nothing but the book and the memory can change.
    idle: bool,
    /// The same but for resting orders and what was taken: only levels at their prices, prints and crossings can concern
    /// them.
    calm: bool,
    /// Both sides of the group that is being applied that it touched, the last one first.
    touched: Touched,
    /// Room for what prints do.
    bench: prints::Workbench,
    /// Room for the levels before a snapshot.
    old_levels: Vec<(Side, Level)>,
    /// Room for what stood at the levels that a group changes.
    befores: Vec<Qty>,
}

/// Which sides a group touched.
#[derive(Clone, Copy, Debug, Default)]
struct Touched {
    sides: [bool; 2],
    last: usize,
}

impl Touched {
    #[inline]
    fn note(&mut self, side: Side) {
        self.sides[side.index()] = true;
        self.last = side.index();
    }

    #[inline]
    fn any(self) -> bool {
        self.sides[0] | self.sides[1]
    }

    /// The side that loses its crossing levels: the one that was not touched; where both were, the one not last.
    fn loser(self) -> Side {
        match self.sides {
            [true, false] => Side::Sell,
            [false, true] => Side::Buy,
            _ if self.last == 0 => Side::Sell,
            _ => Side::Buy,
        }
    }
}

/// What a group did, for whoever counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Applied {
    pub(crate) crossed: bool,
    pub(crate) distrusted: bool,
}

impl Market {
    pub(crate) fn new(
        id: InstrumentId,
        market: &MarketConfig,
        units: Units,
        fees: FeeModel,
        config: &SimConfig,
    ) -> Self {
        let (instrument, depth) = (market.instrument.clone(), market.depth);
        let tick = instrument.rule.tick;
        let book = OrderBook::new(tick);
        let resting = Side::BOTH.map(|side| Resting::new(side, tick));
        Self {
            id,
            instrument,
            units,
            fees,
            depth,
            tradable: market.tradable,
            contract: market.contract.is_some(),
            book,
            trusted: depth.is_thin(),
            trading: true,
            resting,
            taken: [(); 2].map(|()| Taken::new(config.refill)),
            memory: [(); 2].map(|()| Memory::new(config.pairing, config.late_prints)),
            stale: Side::BOTH.map(|side| Unseen::new(side, tick)),
            waiting: BTreeSet::new(),
            trails: 0,
            door: VecDeque::new(),
            last_trade: None,
            thin: Thin::default(),
            idle: has_levels(depth),
            calm: depth == FeedDepth::Full,
            touched: Touched::default(),
            bench: prints::Workbench::default(),
            old_levels: Vec::new(),
            befores: Vec::new(),
        }
    }

    pub(crate) fn lot(&self) -> Qty {
        self.instrument.rule.lot
    }

    /// Takes an account's first order from the door.
    pub(crate) fn first_at_the_door(&mut self, account: crate::order::AccountId) -> Option<Pending> {
        let is_its =
            |pending: &Pending| pending.request.account == account && pending.request.body.order().is_some();
        let at = self.door.iter().position(is_its)?;
        self.door.remove(at)
    }

    /// Looks anew whether nothing but the book and the memory can change; call it after anything else changed.
    pub(crate) fn refresh_idle(&mut self) {
        let nobody_waits = self.waiting.is_empty() && self.door.is_empty();
        self.calm = nobody_waits && self.depth == FeedDepth::Full;
        self.idle = nobody_waits
            && has_levels(self.depth)
            && self.resting.iter().all(Resting::is_empty)
            && self.taken.iter().all(Taken::is_empty);
    }

    /// The book cannot be believed until the next snapshot.
    fn distrust(&mut self) -> Applied {
        self.trusted = false;
        self.memory.iter_mut().for_each(Memory::clear);
        self.stale.iter_mut().for_each(Unseen::clear);
        Applied { distrusted: true, ..Applied::default() }
    }

    #[cold]
    fn uncross(&mut self, crossed: CrossedBook) -> Applied {
        match crossed {
            CrossedBook::Distrust => Applied { crossed: true, ..self.distrust() },
            CrossedBook::Repair => {
                let loser = self.touched.loser();
                while let (Some(price), true) = (self.book.best_price(loser), self.book.is_crossed()) {
                    self.book.set(loser, price, Qty::ZERO);
                }
                Applied { crossed: true, distrusted: false }
            }
        }
    }

    /// Remembers a print as the last trade and says which side of the book it hit.
    fn note_print(&mut self, now: Timestamp, print: &Print) -> Option<Side> {
        let hit = match print.aggressor {
            Some(aggressor) => Some(aggressor.opposite()),
            None => {
                let reaches = |side: Side, best| side.at_or_better(best, print.price);
                let hits = |side: Side| self.book.best_price(side).is_some_and(|best| reaches(side, best));
                Side::BOTH.into_iter().rev().find(|side| hits(*side))
            }
        };
        let aggressor = hit.map_or(Side::Buy, Side::opposite);
        let trade = PublicTrade { instrument: self.id, aggressor, price: print.price, qty: print.qty };
        self.last_trade = Some((now, trade));
        hit
    }

    /// What the tape shows at a price less what paper orders took of it.
    pub(crate) fn free(&self, side: Side, price: Price, now: Timestamp) -> Qty {
        let shown = self.book.qty(side, price);
        if self.taken[side.index()].is_empty() {
            return shown;
        }
        (shown - self.taken[side.index()].at(price, now)).max(Qty::ZERO)
    }

    /// The next price after `after` (the best where `None`) with a free lot.
    pub(crate) fn next_free(&self, side: Side, after: Option<Price>, now: Timestamp) -> Option<Price> {
        let ladder = self.book.side(side);
        if ladder.is_empty() {
            return None;
        }
        let mut next = match after {
            None => ladder.best(),
            Some(price) => ladder.after(price),
        };
        while let Some((price, _)) = next {
            if !self.free(side, price, now).floor_to(self.lot()).is_zero() {
                return Some(price);
            }
            next = ladder.after(price);
        }
        None
    }

    /// The next price after `after` at which a taker would find something.
    pub(crate) fn next_price(&self, side: Side, after: Option<Price>, now: Timestamp) -> Option<Price> {
        let resting = &self.resting[side.index()];
        let paper = match after {
            None => resting.best(),
            Some(price) => resting.after(price),
        };
        match (self.next_free(side, after, now), paper) {
            (Some(a), Some(b)) => Some(if side.better(a, b) { a } else { b }),
            (a, b) => a.or(b),
        }
    }

    /// The worst price that the feed can show on a side now; `None`: every price.
    fn window(&self, side: Side) -> Option<Price> {
        let ladder = self.book.side(side);
        match self.depth {
            FeedDepth::Levels(levels) if ladder.len() >= levels as usize => {
                ladder.worst().map(|(price, _)| price)
            }
            _ => None,
        }
    }

    /// The windows of both sides once a group is applied whole, where one of its levels may have left them; snapshots
    /// look at theirs themselves.
    fn windows_after(&self, group: &Group<'_>) -> [Option<Price>; 2] {
        let FeedDepth::Levels(levels) = self.depth else { return [None; 2] };
        if group.kind == GroupKind::Snapshot {
            return [None; 2];
        }
        Side::BOTH.map(|side| {
            let ladder = self.book.side(side);
            let old = ladder.worst().map(|(price, _)| price);
            // Only what goes from the edge, or from behind it, can have left the window.
            let at_the_edge = |event: &MarketEvent| {
                matches!(event, MarketEvent::Level { side: s, price, qty } if *s == side && qty.is_zero()
                    && old.is_none_or(|old| side.at_or_better(old, *price)))
            };
            if !group.events.iter().any(at_the_edge) {
                return None;
            }
            let is_last = |at: usize, price: Price| {
                let said = |event: &MarketEvent| {
                    matches!(event, MarketEvent::Level { side: s, price: p, .. } if (*s, *p) == (side, price))
                };
                !group.events[at + 1..].iter().any(said)
            };
            let (mut come, mut gone, mut worst_new, mut worst_goes) = (0, 0, None, false);
            for (at, event) in group.events.iter().enumerate() {
                let MarketEvent::Level { side: s, price, qty } = event else { continue };
                // What the last event of a price says holds.
                if *s != side || !is_last(at, *price) {
                    continue;
                }
                match (self.book.qty(side, *price).is_zero(), qty.is_zero()) {
                    (true, false) => {
                        come += 1;
                        worst_new = worst_new.filter(|worst| side.better(*price, *worst)).or(Some(*price));
                    }
                    (false, true) => {
                        gone += 1;
                        worst_goes |= old == Some(*price);
                    }
                    _ => {}
                }
            }
            let count = ladder.len() + come - gone;
            let worst_old = if worst_goes { self.worst_left(side, gone, group.events) } else { old };
            let worst = match (worst_old, worst_new) {
                (Some(a), Some(b)) => Some(if side.better(a, b) { b } else { a }),
                (a, b) => a.or(b),
            };
            worst.filter(|_| count >= levels as usize)
        })
    }

    /// The worst price that events leave on a side of which they take so many levels away.
    fn worst_left(&self, side: Side, gone: usize, events: &[MarketEvent]) -> Option<Price> {
        let is_left = |price: Price| {
            let said = events.iter().rev().find_map(|event| match event {
                MarketEvent::Level { side: s, price: p, qty } if (*s, *p) == (side, price) => Some(*qty),
                _ => None,
            });
            said.is_none_or(|qty| !qty.is_zero())
        };
        // It is among the last ones.
        let last = self.book.side(side).iter_back().take(gone + 1);
        last.map(|(price, _)| price).find(|price| is_left(*price))
    }

    /// Forgets the sizes last seen at prices that the window shows again.
    fn forget_stale(&mut self) {
        for side in Side::BOTH {
            let worst = self.window(side);
            self.stale[side.index()].forget(worst);
        }
    }

    /// Where an order that joins at `price` stands (rule 2).
    fn place_at(&self, side: Side, price: Price, now: Timestamp) -> Place {
        let lot = self.lot();
        if self.in_window(side, price) {
            return Place::behind(self.free(side, price, now), lot);
        }
        let taken = self.taken[side.index()].at(price, now);
        let seen = self.stale[side.index()].at(price);
        seen.map_or(Place::UNKNOWN, |seen| Place::behind((seen - taken).max(Qty::ZERO), lot))
    }

    fn in_window(&self, side: Side, price: Price) -> bool {
        self.window(side).is_none_or(|worst| side.at_or_better(price, worst))
    }

    /// The largest hold that a resting order of so much at `price` needs.
    pub(crate) fn hold(&self, side: Side, price: Price, qty: Qty) -> Money {
        match side {
            Side::Sell => self.units.base(qty),
            Side::Buy => self.with_fee(self.units.cost(price, qty)),
        }
    }

    /// So much quote, and the most that buying for it can cost in fees beside it.
    pub(crate) fn with_fee(&self, cost: Money) -> Money {
        match self.fees.buy_fee {
            BuyFee::AddedToCost => cost + self.fees.most(cost, self.units.quote_scale),
            BuyFee::DeductedFromReturns => cost,
        }
    }

    /// Index of the asset that an order of `side` holds.
    pub(crate) fn held_asset(&self, side: Side) -> u16 {
        match side {
            Side::Buy => self.units.quote,
            Side::Sell => self.units.base,
        }
    }

    /// Whether nothing of ours stands on a side, and nothing was taken from it: what everybody sees is the tape's book.
    pub(crate) fn is_bare(&self, side: Side) -> bool {
        self.taken[side.index()].is_empty() && self.resting[side.index()].is_empty()
    }

    /// Adds the best `most` levels of a side as `view` sees them to a list, best first.
    pub(crate) fn best_levels(
        &self,
        (side, view): (Side, View),
        orders: &Orders,
        now: Timestamp,
        (most, into): (usize, &mut Vec<Level>),
    ) {
        if view == View::Tape || self.is_bare(side) {
            self.book.best_levels(side, most, into);
        } else {
            into.extend(self.levels(side, view, orders, now).take(most));
        }
    }

    /// The levels of a side as `view` sees them, best first.
    pub(crate) fn levels<'a>(
        &'a self,
        side: Side,
        view: View,
        orders: &'a Orders,
        now: Timestamp,
    ) -> impl Iterator<Item = Level> + 'a {
        let taken = Some(&self.taken[side.index()]).filter(|taken| view != View::Tape && !taken.is_empty());
        let mut tape = self.book.levels(side).filter_map(move |level| {
            let taken = taken.map_or(Qty::ZERO, |taken| taken.at(level.price, now));
            let qty = (level.qty - taken).max(Qty::ZERO);
            (!qty.is_zero()).then_some(Level { qty, ..level })
        });
        let mut paper = self.resting[side.index()].iter().filter_map(move |queue| {
            let qty = match view {
                View::Tape => Qty::ZERO,
                View::Public => queue.qty,
                View::Without(account) => queue.qty - own_qty(queue, orders, account),
            };
            (!qty.is_zero()).then_some(Level { price: queue.price, qty })
        });
        let (mut a, mut b) = (tape.next(), paper.next());
        std::iter::from_fn(move || match (a, b) {
            (Some(x), Some(y)) if x.price == y.price => {
                (a, b) = (tape.next(), paper.next());
                Some(Level { qty: x.qty + y.qty, ..x })
            }
            (Some(x), Some(y)) if side.better(y.price, x.price) => {
                b = paper.next();
                Some(y)
            }
            (None, Some(y)) => {
                b = paper.next();
                Some(y)
            }
            (Some(x), _) => {
                a = tape.next();
                Some(x)
            }
            (None, None) => None,
        })
    }
}

/// Whether a feed has a book: there nobody waits for prints.
fn has_levels(depth: FeedDepth) -> bool {
    matches!(depth, FeedDepth::Full | FeedDepth::Levels(_))
}

fn own_qty(queue: &resting::Queue, orders: &Orders, account: crate::order::AccountId) -> Qty {
    let own = queue.slots(orders).map(|slot| orders.live(slot)).filter(|live| live.account == account);
    own.map(resting::Live::leaves).sum()
}
