//! One level's queue, the slow way: who stands there, with how much market ahead, and a log of the level's last
//! second that is played again whenever a late print asks for it (rule 6).
//!
//! A place is held in 1/1024 of a quantity unit, rounded up to 1/1024 lot; `None` is unknown.

use std::collections::BTreeMap;

use papertape::market::Timestamp;
use papertape::sim::{Law, QueueModel};

/// 1/1024ths of one quantity unit.
pub const FINE: i128 = 1024;

/// A place in 1/1024 quantity units; `None`: unknown, no print at the price can use it up.
pub type Place = Option<i128>;

/// `x` rounded up to a multiple of `step`.
pub fn ceil_to(x: i128, step: i128) -> i128 {
    -(-x).div_euclid(step) * step
}

/// `x` rounded down to a multiple of `step`.
pub fn floor_to(x: i128, step: i128) -> i128 {
    x.div_euclid(step) * step
}

/// What never changes about the queues of one market.
#[derive(Clone, Copy, Debug)]
pub struct Laws {
    /// How places move on a cancellation.
    pub model: QueueModel,
    /// The lot, in quantity units.
    pub lot: i128,
    /// Quantity units of one whole.
    pub whole: i128,
    /// For how long a print waits for its shrink.
    pub pairing_ns: i64,
    /// For how long a cancellation waits for a print.
    pub late_ns: i64,
}

impl Laws {
    /// So many quantity units as a place, rounded up to 1/1024 lot.
    pub fn place(self, units: i128) -> i128 {
        ceil_to(units * FINE, self.lot)
    }

    /// A place in whole quantity units, rounded up to the lot, as screens show it.
    pub fn shown(self, place: i128) -> i128 {
        ceil_to(place, FINE * self.lot) / FINE
    }

    /// Rule 5: where a place is after a shrink with `explained` by prints and `cancelled` by nobody knows what.
    fn shrunk(
        self,
        place: i128,
        free_before: i128,
        free_after: i128,
        explained: i128,
        cancelled: i128,
    ) -> i128 {
        let front = place;
        let back = ((free_before - explained) * FINE - place).max(0);
        let moved = match self.model {
            QueueModel::Front => 0,
            QueueModel::Conservative | QueueModel::Exact => front,
            QueueModel::Probabilistic(_) if cancelled == 0 => front,
            QueueModel::Probabilistic(Law::Power(n)) => {
                let (f, b) = powers(front, back, n);
                let c = cancelled * FINE;
                if f + b == 0 {
                    // prob = 1
                    front + (back - c).min(0)
                } else {
                    // Everything times (f + b), so that nothing is rounded before the end.
                    let all = f + b;
                    let exact = front * all - f * c + (back * all - b * c).min(0);
                    ceil_to(exact, all * self.lot) / all
                }
            }
            QueueModel::Probabilistic(Law::Log) => {
                let law = |fine: i128| libm::log1p(fine as f64 / (FINE * self.whole) as f64);
                let (f, b) = (law(front), law(back));
                let prob = if f + b == 0.0 { 1.0 } else { b / (b + f) };
                let c = (cancelled * FINE) as f64;
                let exact = front as f64 - (1.0 - prob) * c + (back as f64 - prob * c).min(0.0);
                (exact / self.lot as f64).ceil() as i128 * self.lot
            }
        };
        ceil_to(moved, self.lot).clamp(0, self.place(free_after))
    }
}

/// frontⁿ and backⁿ without what both share.
fn powers(front: i128, back: i128, n: u8) -> (i128, i128) {
    let (mut a, mut b) = (front, back);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    let shared = a.max(1);
    let power = |x: i128| (x / shared).checked_pow(u32::from(n)).expect("sizes of the tests are small");
    (power(front), power(back))
}

/// A print that no shrink has been matched to yet, or only in part.
#[derive(Clone, Debug)]
struct Unmatched {
    at: Timestamp,
    left: i128,
}

/// What happened to the level.
#[derive(Clone, Debug)]
enum Event {
    Shrink {
        free_before: i128,
        free_after: i128,
        explained: i128,
        cancelled: i128,
        before: BTreeMap<u64, Place>,
    },
    Clamp {
        free_after: i128,
    },
    Took {
        market: i128,
    },
    Join {
        id: u64,
        place: Place,
    },
}

#[derive(Clone, Debug)]
struct Entry {
    at: Timestamp,
    event: Event,
}

/// One fill that a print makes.
#[derive(Clone, Copy, Debug)]
pub struct Paid {
    /// Whose.
    pub id: u64,
    /// How much.
    pub qty: i128,
    /// The market volume ahead of it before the print.
    pub ahead: i128,
}

/// The queue of one price level of one side.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    /// Orders in the order they joined.
    pub orders: Vec<u64>,
    /// Where each of them is.
    pub places: BTreeMap<u64, Place>,
    prints: Vec<Unmatched>,
    log: Vec<Entry>,
}

impl Queue {
    /// Whether there is nothing to remember.
    pub fn is_idle(&self) -> bool {
        self.orders.is_empty() && self.prints.is_empty() && self.log.is_empty()
    }

    /// Forgets prints and cancellations (distrust).
    pub fn forget(&mut self) {
        self.prints.clear();
        self.log.clear();
    }

    /// Forgets what is older than the span.
    pub fn prune(&mut self, now: Timestamp, laws: Laws) {
        self.prints.retain(|print| now.nanos_since(print.at) <= laws.pairing_ns && print.left > 0);
        self.log.retain(|entry| now.nanos_since(entry.at) <= laws.late_ns);
    }

    /// Rule 2: the place of an order that joins now with `free` market volume there (`None`: unknown).
    pub fn joining_place(&self, free: Place, laws: Laws) -> Place {
        if laws.model == QueueModel::Front {
            return Some(0);
        }
        let last = self.orders.last().map(|id| self.places[id]);
        match (free.map(|units| laws.place(units)), last) {
            (place, None) => place,
            (Some(place), Some(Some(last))) => Some(place.max(last)),
            (_, Some(None)) | (None, Some(_)) => None,
        }
    }

    /// An order joins.
    pub fn join(&mut self, now: Timestamp, id: u64, place: Place) {
        self.orders.push(id);
        self.places.insert(id, place);
        self.log.push(Entry { at: now, event: Event::Join { id, place } });
    }

    /// An order leaves: filled, cancelled or amended away. The log forgets that it ever was.
    pub fn leave(&mut self, id: u64) {
        self.orders.retain(|order| *order != id);
        self.places.remove(&id);
        self.log.retain(|entry| !matches!(entry.event, Event::Join { id: joined, .. } if joined == id));
        for entry in &mut self.log {
            if let Event::Shrink { before, .. } = &mut entry.event {
                before.remove(&id);
            }
        }
    }

    /// An unknown place becomes known: the level is shown for the first time.
    pub fn reveal(&mut self, now: Timestamp, shown: i128, laws: Laws) {
        let unknown: Vec<u64> = self.orders.iter().copied().filter(|id| self.places[id].is_none()).collect();
        for id in unknown {
            self.log.retain(|entry| !matches!(entry.event, Event::Join { id: joined, .. } if joined == id));
            let place = Some(laws.place(shown));
            self.places.insert(id, place);
            self.log.push(Entry { at: now, event: Event::Join { id, place } });
        }
    }

    /// Rule 5: the level shrinks by `by`.
    pub fn shrink(&mut self, now: Timestamp, by: i128, free_before: i128, free_after: i128, laws: Laws) {
        self.prune(now, laws);
        let mut explained = 0;
        for print in &mut self.prints {
            let claim = print.left.min(by - explained);
            print.left -= claim;
            explained += claim;
        }
        let event = Event::Shrink {
            free_before,
            free_after,
            explained,
            cancelled: by - explained,
            before: self.places.clone(),
        };
        play(&mut self.places, &self.orders, &event, laws);
        self.log.push(Entry { at: now, event });
    }

    /// Rule 5's clamp alone.
    pub fn clamp(&mut self, now: Timestamp, free_after: i128, laws: Laws) {
        let event = Event::Clamp { free_after };
        play(&mut self.places, &self.orders, &event, laws);
        self.log.push(Entry { at: now, event });
    }

    /// A paper taker took so much of the market volume, from the front.
    pub fn took(&mut self, now: Timestamp, market: i128, laws: Laws) {
        let event = Event::Took { market };
        play(&mut self.places, &self.orders, &event, laws);
        self.log.push(Entry { at: now, event });
    }

    /// Rules 3 and 6: a print of `q` at this price, of which `budget` is left for this queue.
    /// `leaves` says what each order still wants.
    pub fn print(
        &mut self,
        now: Timestamp,
        q: i128,
        budget: i128,
        leaves: &BTreeMap<u64, i128>,
        laws: Laws,
    ) -> Vec<Paid> {
        self.prune(now, laws);
        // Claim cancellations, oldest first.
        let mut claimed = 0;
        let mut earliest = None;
        for (index, entry) in self.log.iter_mut().enumerate() {
            if let Event::Shrink { cancelled, explained, .. } = &mut entry.event {
                let claim = (*cancelled).min(q - claimed);
                if claim > 0 {
                    *cancelled -= claim;
                    *explained += claim;
                    claimed += claim;
                    earliest = earliest.or(Some(index));
                }
            }
        }
        if q > claimed {
            self.prints.push(Unmatched { at: now, left: q - claimed });
        }
        let Some(earliest) = earliest else {
            return walk(&mut self.places, &self.orders, budget, leaves, laws).0;
        };

        // The level as it was before the earliest claimed shrink: the print meets those who stood there then.
        let Event::Shrink { before, .. } = &self.log[earliest].event else { unreachable!() };
        let mut places = before.clone();
        let early: Vec<u64> = self.orders.iter().copied().filter(|id| places.contains_key(id)).collect();
        let late: Vec<u64> = self.orders.iter().copied().filter(|id| !places.contains_key(id)).collect();
        let (mut paid, eaten) = walk(&mut places, &early, budget, leaves, laws);
        // Then what happened since, anew.
        for entry in &mut self.log[earliest..] {
            if let Event::Shrink { before, .. } = &mut entry.event {
                before.clone_from(&places);
            }
            play(&mut places, &self.orders, &entry.event, laws);
        }
        // Joins that are older than the log's span were before the shrink, so everyone has a place again.
        self.places = places;
        // Who joined after that shrink saw the level without what was claimed; only the rest of the print is new. While
        // somebody who stood there before still waits, nobody behind is filled.
        if let Some(eaten) = eaten {
            let nearer = (eaten - claimed * FINE).max(0);
            for id in late {
                let place = self.places.get_mut(&id).expect("each order has a place");
                *place = place.map(|place| ceil_to((place - nearer).max(0), laws.lot));
            }
        } else {
            let early_paid: i128 = paid.iter().map(|fill| fill.qty).sum();
            let rest = (budget - claimed - early_paid).max(0);
            paid.extend(walk(&mut self.places, &late, rest, leaves, laws).0);
        }
        self.run_max();
        paid
    }

    fn run_max(&mut self) {
        run_max(&mut self.places, &self.orders);
    }
}

/// A later order never has less market ahead of it than an earlier one.
fn run_max(places: &mut BTreeMap<u64, Place>, orders: &[u64]) {
    let mut most: Place = Some(0);
    for id in orders {
        let Some(place) = places.get_mut(id) else { continue };
        most = match (most, *place) {
            (Some(most), Some(place)) => Some(most.max(place)),
            _ => None,
        };
        *place = most;
    }
}

/// One event's effect on the places.
fn play(places: &mut BTreeMap<u64, Place>, orders: &[u64], event: &Event, laws: Laws) {
    let each = |places: &mut BTreeMap<u64, Place>, step: &dyn Fn(i128) -> i128| {
        places.values_mut().for_each(|place| *place = place.map(step));
    };
    match event {
        Event::Shrink { free_before, free_after, explained, cancelled, .. } => {
            each(places, &|place| laws.shrunk(place, *free_before, *free_after, *explained, *cancelled));
        }
        Event::Clamp { free_after } => each(places, &|place| place.clamp(0, laws.place(*free_after))),
        Event::Took { market } => {
            each(places, &|place| ceil_to((place - market * FINE).max(0), laws.lot));
        }
        Event::Join { id, place } => {
            places.insert(*id, *place);
        }
    }
    run_max(places, orders);
}

/// Rule 3 at one price: the budget goes along the queue from its front, market volume and orders in turn, and stops
/// at the first order that it does not fill whole. Where it stopped so, how much market volume it ate until there.
fn walk(
    places: &mut BTreeMap<u64, Place>,
    orders: &[u64],
    budget: i128,
    leaves: &BTreeMap<u64, i128>,
    laws: Laws,
) -> (Vec<Paid>, Option<i128>) {
    let mut left = budget * FINE;
    let mut market = 0; // market volume that the print ate so far
    let mut paid = Vec::new();
    let mut blocked = false;
    for id in orders {
        let Some(place) = places[id] else {
            blocked = true; // nobody knows how much is ahead
            break;
        };
        let gap = (place - market).max(0);
        let eaten = gap.min(left);
        market += eaten;
        left -= eaten;
        let qty = floor_to(left, FINE * laws.lot) / FINE;
        let qty = qty.min(leaves[id]);
        if qty > 0 {
            paid.push(Paid { id: *id, qty, ahead: place });
            left -= qty * FINE;
        }
        if qty < leaves[id] {
            blocked = true;
            break;
        }
    }
    if !blocked {
        market += left; // the rest eats what stands behind the last order
    }
    for id in orders {
        let place = places.get_mut(id).expect("each order has a place");
        *place = place.map(|place| ceil_to((place - market).max(0), laws.lot));
    }
    (paid, blocked.then_some(market))
}
