//! The market of one instrument: a fair price that wanders, makers who stand around it, takers who hit them.
//!
//! Everything here is in ticks and lots. A step is what happens in one instant: either takers hit the book (a message
//! of prints, then one of the book), or makers move (a message of the book).

use std::collections::BTreeMap;

use super::dice::Dice;
use super::teller::Teller;
use super::tide::Tide;
use super::{Crash, Walk, usual_price};
use crate::market::{
    EventLog, GroupKind, Instrument, InstrumentId, MarketEvent, Price, Product, Qty, Side, Timestamp,
};
use crate::sim::FundingTimes;

/// Levels a side, as many as the feed shows.
const LEVELS: usize = 100;
/// How far from its best price a level may stand, in ticks.
const SPAN: i64 = 1_000;
/// Instants a second when nothing excites the market, and how much each excites it, for how long.
const CALM_RATE: f64 = 8.0;
const EXCITEMENT: f64 = 1.5;
const CALMING: f64 = 3.0;
/// The fast part of the fair price: ticks in a second, and the seconds in which it dies away.
const FLUTTER: f64 = 5.0;
const FLUTTER_TIME: f64 = 2.0;
/// The slow part leaps now and then: seconds between leaps, and how many seconds' worth of wandering one is.
const LEAP_EVERY: f64 = 300.0;
const LEAP: f64 = 100.0;
/// The most levels that one taker walks.
const DEEPEST_SWEEP: usize = 25;
/// What stands on a level, in quote, deeper in the book.
const LEVEL_VALUE: f64 = 8_000.0;

/// One instrument's market.
pub(super) struct Model {
    id: InstrumentId,
    tick: i64,
    lot: i64,
    dice: Dice,
    book: [Vec<Level>; 2],
    /// Levels that differ from what was last published, with what was published there.
    changed: BTreeMap<(usize, i64), i64>,
    walk: Walk,
    crash: Option<Crash>,
    /// The price that the fair price is drawn to, in ticks.
    anchor: f64,
    /// The slow part of the fair price but for the crash and the tide, in ticks.
    fair: f64,
    /// What the tide adds.
    swell: f64,
    /// The fast part: what comes and goes around it within seconds.
    flutter: f64,
    /// What comes and goes over hours.
    tide: Tide,
    /// How far the slow part moves in a second, in ticks.
    volatility: f64,
    /// The usual size of a level, in lots.
    level: f64,
    excitement: f64,
    /// Microseconds since the start.
    now: i64,
    /// Times of the last message: received (µs since the start), at the exchange (ms since the epoch).
    received: i64,
    exchange: i64,
    start: Timestamp,
    /// What tells of a contract beside its market.
    teller: Option<Teller>,
}

/// A level: its price in ticks, its size in lots. A side is a list of them, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Level {
    price: i64,
    size: i64,
}

impl Model {
    /// A market around `price` (in quote).
    pub(super) fn new(
        id: InstrumentId,
        instrument: &Instrument,
        price: f64,
        (seed, start): (u64, Timestamp),
        (walk, crash): (Walk, Option<Crash>),
        funding: (FundingTimes, bool),
    ) -> Self {
        let step = |units: i64, scale: u8| units as f64 / power_of_ten(scale);
        let tick = step(instrument.rule.tick.units(), instrument.price_scale);
        let lot = step(instrument.rule.lot.units(), instrument.qty_scale);
        let anchor = (price / tick).floor().max(2.0 * LEVELS as f64);
        let level = (LEVEL_VALUE / lot_value(instrument, price, lot)).max(4.0);
        let contract = instrument.product != Product::Spot;
        Self {
            id,
            tick: instrument.rule.tick.units(),
            lot: instrument.rule.lot.units(),
            dice: Dice::new(seed, &instrument.symbol),
            book: [Vec::new(), Vec::new()],
            changed: BTreeMap::new(),
            walk,
            crash,
            anchor,
            fair: anchor,
            swell: 0.0,
            flutter: 0.0,
            tide: Tide::new((seed, &instrument.symbol), anchor, walk),
            volatility: (anchor * 1.5e-7).max(0.4),
            level,
            excitement: 0.0,
            now: 0,
            received: 0,
            exchange: i64::MIN,
            start,
            teller: contract.then(|| Teller::new(id, instrument, (seed, start), funding, level)),
        }
    }

    /// The first message: the whole book.
    pub(super) fn open(&mut self, out: &mut EventLog) {
        self.make_books();
        self.changed.clear();
        for side in [Side::Sell, Side::Buy] {
            for level in &self.book[side.index()] {
                out.push(self.event(side, level.price, level.size));
            }
        }
        self.received = self.dice.between(1_000.0, 50_000.0) as i64;
        self.now = self.received;
        self.close(GroupKind::Snapshot, out);
    }

    /// The next instant: one or two messages, and what is told before it.
    pub(super) fn step(&mut self, out: &mut EventLog) {
        let before = self.received;
        self.pass_time();
        let mid = self.mid();
        if let Some(teller) = &mut self.teller {
            teller.tell((before, self.received), mid, out);
        }
        let fair = self.fair_now();
        let off = fair - self.mid();
        let pull = (off.abs() * 0.03).min(0.4);
        if self.dice.chance(0.4 + pull) {
            self.take(off, out);
            self.received += self.dice.between(300.0, 1_500.0) as i64;
        }
        self.make(fair);
        self.publish(out);
    }

    /// Waits for the next instant; the fair price moves on. Arrivals excite further arrivals (Hawkes 1971).
    fn pass_time(&mut self) {
        let wait = self.dice.exponential(1.0 / (CALM_RATE + self.excitement)).clamp(0.000_2, 2.0);
        self.excitement = self.excitement * libm::exp(-CALMING * wait) + EXCITEMENT;
        self.now += (wait * 1e6) as i64;
        self.received = self.now.max(self.received + 100);
        self.now = self.received;
        let pull = match self.walk {
            Walk::MeanReverting => (self.anchor - self.fair) * wait / 900.0,
            Walk::Random => 0.0,
        };
        self.fair += pull + self.volatility * wait.sqrt() * self.dice.normal();
        if self.dice.chance(wait / LEAP_EVERY) {
            self.fair += LEAP * self.volatility * self.dice.normal();
        }
        self.swell = self.tide.pass(wait, self.now);
        self.flutter +=
            FLUTTER * wait.sqrt() * self.dice.normal() - self.flutter * (wait / FLUTTER_TIME).min(1.0);
        // Far from zero, where prices would end.
        self.fair = self.fair.max(self.anchor * 0.05).max(1.5 * LEVELS as f64);
    }

    fn fair_now(&self) -> f64 {
        let scale = self.crash.map_or(1.0, |crash| crash.scale(self.now));
        ((self.fair + self.swell + self.flutter) * scale).max(1.5 * LEVELS as f64)
    }

    fn best(&self, side: Side) -> i64 {
        self.book[side.index()].first().map_or(0, |level| level.price)
    }

    fn mid(&self) -> f64 {
        (self.best(Side::Buy) + self.best(Side::Sell)) as f64 / 2.0
    }

    /// A taker walks the book, as far as its size goes; takers who know that the fair price has left the book go
    /// farther. `off` is how far it has.
    fn take(&mut self, off: f64, out: &mut EventLog) {
        let aggressor = match self.dice.chance((0.5 + 0.1 * off).clamp(0.08, 0.92)) {
            true => Side::Buy,
            false => Side::Sell,
        };
        let hit = aggressor.opposite();
        let towards = if aggressor == Side::Buy { off } else { -off };
        let mut left = self.dice.log_normal(0.2 * self.level, 1.0);
        if self.dice.chance(0.2) {
            left *= 8.0;
        }
        if towards > 4.0 {
            let limit = self.mid() + off - (off.signum() * 1.0);
            let within = |level: &&Level| aggressor.crosses(price(limit as i64), price(level.price));
            let there: i64 =
                self.book[hit.index()].iter().take(DEEPEST_SWEEP).take_while(within).map(|l| l.size).sum();
            left = left.max(there as f64 * self.dice.between(0.5, 1.1));
        }
        let mut left = (left as i64).max(1);
        for _ in 0..DEEPEST_SWEEP {
            let Some(level) = self.book[hit.index()].first().copied() else { break };
            let size = left.min(level.size);
            let (at, qty) = (price(level.price * self.tick), Qty::from_units(size * self.lot));
            out.push_trade(Some(aggressor), at, qty, &[]);
            self.set(hit, level.price, level.size - size);
            left -= size;
            if left == 0 || self.book[hit.index()].len() <= LEVELS / 2 {
                break;
            }
        }
        self.close(GroupKind::Update, out);
    }

    /// Makers move: those on the wrong side of the fair price leave, better prices are offered, sizes change.
    fn make(&mut self, fair: f64) {
        for side in Side::BOTH {
            self.retreat(side, fair);
        }
        for side in Side::BOTH {
            self.improve(side, fair);
        }
        for _ in 0..=self.dice.run(0.6).min(8) {
            self.churn();
        }
        self.make_books();
    }

    fn retreat(&mut self, side: Side, fair: f64) {
        let edge = Model::towards(side, fair, -0.5);
        while let Some(level) = self.book[side.index()].first().copied() {
            let wrong = match side {
                Side::Buy => level.price as f64 - edge,
                Side::Sell => edge - level.price as f64,
            };
            // Now and then one is too slow, and is hit in the next instants; after a leap nobody is.
            if wrong <= 0.0 || (wrong < 6.0 && self.dice.chance(0.25)) {
                return;
            }
            self.set(side, level.price, 0);
        }
    }

    /// `by` ticks from `fair` to the worse prices of a side.
    fn towards(side: Side, fair: f64, by: f64) -> f64 {
        if side == Side::Buy { fair - by } else { fair + by }
    }

    fn improve(&mut self, side: Side, fair: f64) {
        let aim = Model::towards(side, fair, self.dice.between(0.5, 1.6));
        let aim = if side == Side::Buy { aim.floor() as i64 } else { aim.ceil() as i64 };
        let aim = self.inside(side, aim);
        let Some(best) = self.book[side.index()].first().map(|level| level.price) else { return };
        let gap = if side == Side::Buy { aim - best } else { best - aim };
        if gap <= 0 || !self.dice.chance(0.75) {
            return;
        }
        // A small gap is filled by one offer; after a leap the whole front forms anew.
        let offers = if gap > 3 { (gap / 2).clamp(3, 30) } else { 1 };
        let mut at = aim;
        for depth in 0..offers {
            let size = self.size(depth as usize);
            self.set(side, at, size);
            at = side.worsen(price(at), 1 + self.dice.run(0.3)).units();
            if !side.better(price(at), price(best)) {
                break;
            }
        }
    }

    /// The price, moved so that it does not cross the other side.
    fn inside(&self, side: Side, aim: i64) -> i64 {
        match (side, self.book[side.opposite().index()].first()) {
            (Side::Buy, Some(ask)) => aim.min(ask.price - 1),
            (Side::Sell, Some(bid)) => aim.max(bid.price + 1),
            (_, None) => aim,
        }
    }

    /// One level grows, shrinks or goes; or a new one comes into a gap.
    fn churn(&mut self) {
        let side = if self.dice.chance(0.5) { Side::Buy } else { Side::Sell };
        let levels = self.book[side.index()].len();
        let depth = match self.dice.chance(0.15) {
            true => self.dice.between(0.0, levels as f64) as usize,
            false => self.dice.run(0.75) as usize,
        };
        let Some(level) = self.book[side.index()].get(depth).copied() else { return };
        let kind = self.dice.unit();
        if kind < 0.45 {
            let more = self.size(depth) / 2;
            self.set(side, level.price, level.size + more.max(1));
        } else if kind < 0.8 {
            let less = (level.size as f64 * self.dice.between(0.1, 0.7)) as i64;
            self.set(side, level.price, level.size - less);
        } else if kind < 0.9 && levels > LEVELS / 2 {
            self.set(side, level.price, 0);
        } else {
            let at = side.worsen(price(level.price), 1).units();
            if self.book[side.index()].iter().all(|level| level.price != at) {
                let size = self.size(depth);
                self.set(side, at, size);
            }
        }
    }

    /// A size for a level at this depth: small at the touch, larger behind it.
    fn size(&mut self, depth: usize) -> i64 {
        let profile = (0.3 + depth as f64 / 10.0).min(2.5);
        (self.dice.log_normal(profile * self.level, 0.8) as i64).max(1)
    }

    /// Cuts off what is too much on each side or too far away, and fills it up to its levels: from behind, or where there
    /// is no more room behind, in between.
    fn make_books(&mut self) {
        for side in Side::BOTH {
            while let Some(worst) = self.book[side.index()].last().copied()
                && (self.book[side.index()].len() > LEVELS || self.is_far(side, worst.price))
            {
                self.set(side, worst.price, 0);
            }
            while self.book[side.index()].len() < LEVELS {
                let depth = self.book[side.index()].len();
                let gap = 1 + self.dice.exponential(depth as f64 / 12.0) as i64;
                let from = self.book[side.index()].last().map(|level| level.price);
                let from = from.unwrap_or_else(|| self.inside(side, self.fair_now() as i64));
                let behind = side.worsen(price(from), gap).units();
                let (depth, at) = match self.is_far(side, behind) {
                    true => self.free(side),
                    false => (depth, behind),
                };
                if at < 1 {
                    break;
                }
                let size = self.size(depth);
                self.set(side, at, size);
            }
        }
    }

    fn is_far(&self, side: Side, at: i64) -> bool {
        self.book[side.index()].first().is_some_and(|best| (best.price - at).abs() > SPAN)
    }

    /// A price without a level, and how deep it lies: drawn so that gaps grow with the depth as they do from behind, where
    /// the distance to a depth d comes to about d + d²/24.
    fn free(&mut self, side: Side) -> (usize, i64) {
        let depth = self.dice.between(0.0, LEVELS as f64);
        let away = (depth + depth * depth / 24.0) as i64;
        let mut at = side.worsen(price(self.best(side)), away).units();
        while self.size_at(side, at) > 0 {
            at = side.worsen(price(at), 1).units();
        }
        (depth as usize, at)
    }

    /// Sets a level's size; zero takes it away.
    fn set(&mut self, side: Side, at: i64, size: i64) {
        let levels = &mut self.book[side.index()];
        let place = levels.partition_point(|level| side.better(price(level.price), price(at)));
        let found = levels.get(place).filter(|level| level.price == at).map_or(0, |level| level.size);
        match (found, size) {
            (0, 0) => return,
            (0, _) => levels.insert(place, Level { price: at, size }),
            (_, 0) => drop(levels.remove(place)),
            _ => levels[place].size = size,
        }
        self.changed.entry((side.index(), at)).or_insert(found);
    }

    fn size_at(&self, side: Side, at: i64) -> i64 {
        let found = self.book[side.index()].iter().find(|level| level.price == at);
        found.map_or(0, |level| level.size)
    }

    /// The message of what has changed in the book: asks from the lowest, then bids from the highest.
    fn publish(&mut self, out: &mut EventLog) {
        let changed = std::mem::take(&mut self.changed);
        let asks = changed.iter().filter(|((side, _), _)| *side == Side::Sell.index());
        let bids = changed.iter().rev().filter(|((side, _), _)| *side == Side::Buy.index());
        for ((side, at), before) in asks.chain(bids) {
            let side = Side::BOTH[*side];
            let size = self.size_at(side, *at);
            if size != *before {
                out.push(self.event(side, *at, size));
            }
        }
        if out.pending() > 0 {
            self.close(GroupKind::Update, out);
        }
    }

    fn event(&self, side: Side, at: i64, size: i64) -> MarketEvent {
        MarketEvent::Level { side, price: price(at * self.tick), qty: Qty::from_units(size * self.lot) }
    }

    /// Ends a message: the exchange's time is some milliseconds before the receiver's, and never goes back.
    fn close(&mut self, kind: GroupKind, out: &mut EventLog) {
        let received = self.start.nanos() / 1_000 + self.received;
        let travel = 4_000 + self.dice.exponential(2_000.0) as i64;
        self.exchange = ((received - travel) / 1_000).max(self.exchange);
        self.now = self.now.max(self.received);
        let received = Timestamp::from_nanos(received * 1_000);
        out.close(self.id, kind, Timestamp::from_millis(self.exchange), received);
    }
}

/// What a lot is worth, in a dollar's worth of quote.
fn lot_value(instrument: &Instrument, price: f64, lot: f64) -> f64 {
    let of = |multiplier: rust_decimal::Decimal| {
        multiplier.mantissa() as f64 / power_of_ten(u8::try_from(multiplier.scale()).unwrap_or(0))
    };
    match instrument.product {
        Product::Spot => price * lot,
        Product::Linear { multiplier } => price * lot * of(multiplier),
        Product::Inverse { multiplier } => lot * of(multiplier),
        // In the settlement asset for each point; that is bitcoin.
        Product::Quanto { multiplier } => price * lot * of(multiplier) * usual_price("XBT"),
    }
}

const fn price(ticks: i64) -> Price {
    Price::from_units(ticks)
}

/// Powers of ten without the platform's `powi`.
fn power_of_ten(scale: u8) -> f64 {
    (0..scale).fold(1.0, |power, _| power * 10.0)
}
