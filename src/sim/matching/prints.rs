//! What a print does to resting orders: rule 3, and rule 6 where the book came before it.

use super::Slot;
use super::floor::{Floor, How};
use super::memory::CancellationId;
use super::queue::{self, Place, Volume};
use super::resting::Moved;
use crate::market::{FeedDepth, Price, Print, Qty, Side, Timestamp};
use crate::order::{Evidence, FillRule, Liquidity};

/// A print's budget on its way along a queue.
struct Payer {
    left: Qty,
    /// Once it came to an order that it did not fill whole: the market volume that it ate until there. It goes no
    /// further, and who stands behind is nearer by that.
    eaten: Option<Volume>,
}

impl Payer {
    fn new(budget: Qty) -> Self {
        Self { left: budget, eaten: None }
    }

    /// Comes to an order at `place` that wants `leaves`: its place after, and what it is filled.
    fn pay(&mut self, place: Place, leaves: Qty, lot: Qty) -> (Place, Qty) {
        if let Some(eaten) = self.eaten {
            return (place.nearer(eaten, lot), Qty::ZERO);
        }
        let (after, fill) = place.pay(self.left, lot);
        let fill = fill.min(leaves);
        if fill < leaves {
            self.eaten = Some(place.volume(lot).min(Volume::of(self.left)));
        }
        self.left -= fill;
        (after, fill)
    }
}

/// An order of a level while the level's last second is told anew.
#[derive(Clone, Copy, Debug)]
struct Retold {
    slot: Slot,
    joined: u64,
    /// Where it stands at the point of the tale; `None` before it joined.
    place: Option<Place>,
}

/// Room that prints work in, kept so that no event allocates.
#[derive(Clone, Debug, Default)]
pub(super) struct Workbench {
    /// What the print claims of which cancellation.
    claims: Vec<(CancellationId, Qty)>,
    /// The level's orders from the front.
    retold: Vec<Retold>,
    /// Whom the print fills from where they stood.
    fills: Vec<(Slot, Qty, Place)>,
}

impl Floor<'_> {
    /// One budget for all accounts: better prices first, then the queue at the print's own price.
    pub(super) fn print(&mut self, print: &Print, event_time: Timestamp) {
        let hit = self.market.note_print(self.now, print);
        if !self.may_fill() {
            return;
        }
        if self.market.depth == FeedDepth::Candles {
            return self.path(print.price, event_time);
        }
        let mut budget = print.qty;
        let sides = match hit {
            Some(side) => [Some(side), None],
            None => [Some(Side::Buy), Some(Side::Sell)],
        };
        for side in sides.into_iter().flatten() {
            budget = self.print_through(side, print.price, budget, event_time);
        }
        if self.market.depth == FeedDepth::Prints {
            self.print_to_takers(print);
        } else if let Some(side) = hit {
            self.print_at(side, print.price, print.qty, budget, event_time);
        }
    }

    /// Orders with a better price than the print's have met the aggressor first. Returns what is left.
    pub(super) fn print_through(&mut self, side: Side, price: Price, qty: Qty, event_time: Timestamp) -> Qty {
        let (lot, thin) = (self.market.lot(), self.market.depth.is_thin());
        let mut budget = qty;
        while let Some(best) = self.market.resting[side.index()].best()
            && side.better(best, price)
        {
            let Some(queue) = self.market.resting[side.index()].queue_at(best) else { break };
            let Some(slot) = self.market.resting[side.index()].first(self.orders, queue) else { break };
            let live = self.orders.live(slot);
            let fill = live.leaves().min(budget.floor_to(lot));
            if fill.is_zero() {
                break;
            }
            let how = How {
                liquidity: Liquidity::Maker,
                rule: FillRule::PrintThrough,
                evidence: if thin { Evidence::Thin } else { Evidence::Print },
                event_time,
                ahead_before: live.ahead.shown(lot),
            };
            self.fill(slot, best, fill, how);
            budget -= fill;
        }
        budget
    }

    fn print_at(&mut self, side: Side, price: Price, qty: Qty, budget: Qty, event_time: Timestamp) {
        let at = side.index();
        let mut bench = std::mem::take(&mut self.market.bench);
        bench.claims.clear();
        self.market.memory[at].printed(self.now, price, qty, |id, part| bench.claims.push((id, part)));
        if let Some(queue) = self.market.resting[at].queue_at(price) {
            match self.position(side, queue, &bench.claims) {
                Some(position) => self.late_print(side, queue, position, budget, &mut bench, event_time),
                None => {
                    // Whoever stands here joined after what was claimed: only the rest of the print is new.
                    let claimed: Qty = bench.claims.iter().map(|(_, part)| *part).sum();
                    self.pay_queue(side, queue, (budget - claimed).max(Qty::ZERO), 0, event_time);
                }
            }
        }
        self.market.bench = bench;
    }

    /// Where the first of the claimed cancellations that moved a queue's orders stands in its log.
    fn position(&self, side: Side, queue: u32, claims: &[(CancellationId, Qty)]) -> Option<usize> {
        let log = &self.market.resting[side.index()].queue(queue).log;
        let is_claimed = |id: CancellationId| claims.iter().any(|(claimed, _)| *claimed == id);
        log.iter().position(|entry| matches!(entry.what, Moved::Shrink(_, id) if is_claimed(id)))
    }

    /// Lets a budget work through the queue from its front: market volume ahead pays first, then each order; it stops
    /// at the first order that it does not fill whole. Orders that joined before `from` are passed over.
    fn pay_queue(&mut self, side: Side, queue: u32, budget: Qty, from: u64, event_time: Timestamp) {
        let lot = self.market.lot();
        let mut payer = Payer::new(budget);
        let mut place = 0;
        while !payer.left.is_zero()
            && let Some(stands) = self.market.resting[side.index()].queue(queue).at(self.orders, place)
        {
            place += 1;
            let Some(slot) = stands else { continue };
            let live = self.orders.live_mut(slot);
            if live.joined >= from {
                let before = live.ahead;
                let (place, fill) = payer.pay(before, live.leaves(), lot);
                live.ahead = place;
                if !fill.is_zero() {
                    self.fill_at_price(slot, fill, before, event_time);
                }
            }
        }
    }

    fn fill_at_price(&mut self, slot: Slot, qty: Qty, before: Place, event_time: Timestamp) {
        let how = How {
            liquidity: Liquidity::Maker,
            rule: FillRule::PrintAtPrice,
            evidence: Evidence::Print,
            event_time,
            ahead_before: before.shown(self.market.lot()),
        };
        self.fill(slot, self.orders.live(slot).price, qty, how);
    }

    /// A print whose shrink came before it: the level's log is told anew with the print in front of the shrink.
    ///
    /// Orders that stood there then are paid from where they stood; those that joined later are moved by what the
    /// shrink does not account for, and only by that. A print claims the oldest first, so from its first claim on the
    /// log holds no other print: there is none to tell anew.
    fn late_print(
        &mut self,
        side: Side,
        queue: u32,
        position: usize,
        budget: Qty,
        bench: &mut Workbench,
        event_time: Timestamp,
    ) {
        let (at, lot) = (side.index(), self.market.lot());
        let Workbench { claims, retold, fills } = bench;
        let found = self.market.resting[at].queue(queue);
        retold.clear();
        retold.extend(found.slots(self.orders).map(|slot| {
            let joined = self.orders.live(slot).joined;
            Retold { slot, joined, place: None }
        }));
        // Where nobody stood there yet at the first shrink, everyone joined after it.
        let first = &found.log[position];
        let stood =
            matches!((&first.what, claims.first()), (Moved::Shrink(_, id), Some((first, _))) if id == first);
        let mut newest = 0;
        let mut payer = Payer::new(budget);
        fills.clear();
        for (joined, place) in first.places.iter().filter(|_| stood) {
            let Ok(found) = retold.binary_search_by_key(joined, |order| order.joined) else { continue };
            let order = &mut retold[found];
            let (after, fill) = payer.pay(*place, self.orders.live(order.slot).leaves(), lot);
            (order.place, newest) = (Some(after), *joined);
            if !fill.is_zero() {
                fills.push((order.slot, fill, *place));
            }
        }
        for entry in position..self.market.resting[at].queue(queue).log.len() {
            self.retell(side, queue, entry, retold, claims);
        }
        for order in retold.iter() {
            if let Some(place) = order.place {
                self.orders.live_mut(order.slot).ahead = place;
            }
        }
        let claimed: Qty = claims.iter().map(|(_, part)| *part).sum();
        let filled = budget - payer.left;
        for (slot, qty, before) in fills.iter() {
            self.fill_at_price(*slot, *qty, *before, event_time);
        }
        if self.market.resting[at].first(self.orders, queue).is_none() {
            return;
        }
        match payer.eaten {
            // Somebody who stood there before still waits: nobody behind is filled.
            Some(eaten) => {
                let eaten = eaten.less(claimed);
                self.each(side, queue, |live| {
                    if live.joined > newest {
                        live.ahead = live.ahead.nearer(eaten, lot);
                    }
                });
            }
            None => {
                let rest = (budget - claimed - filled).max(Qty::ZERO);
                self.pay_queue(side, queue, rest, newest + 1, event_time);
            }
        }
        let mut least = Place::FRONT;
        self.each(side, queue, |live| {
            live.ahead = live.ahead.max(least);
            least = live.ahead;
        });
    }

    /// Tells one entry of a level's log anew: what a print claims of a shrink is explained, not cancelled.
    fn retell(
        &mut self,
        side: Side,
        queue: u32,
        entry: usize,
        retold: &mut [Retold],
        claims: &[(CancellationId, Qty)],
    ) {
        let (lot, model, unit) = (self.market.lot(), self.config.queue, self.unit());
        let entry = &mut self.market.resting[side.index()].queue_mut(queue).log[entry];
        if let Moved::Shrink(shrink, id) = &mut entry.what
            && let Some((_, part)) = claims.iter().find(|(claimed, _)| claimed == id)
        {
            shrink.explained += *part;
            shrink.cancelled -= *part;
        }
        let mut least = Place::FRONT;
        for (joined, place) in &mut entry.places {
            let Ok(found) = retold.binary_search_by_key(joined, |order| order.joined) else { continue };
            let order = &mut retold[found];
            *place = order.place.unwrap_or(*place);
            let moved = match entry.what {
                Moved::Shrink(shrink, _) => queue::shrink(model, *place, shrink, lot, unit),
                Moved::Clamp(free) => Place::clamp(*place, free, lot),
                Moved::Taken(qty) => place.pay(qty, lot).0,
            };
            least = moved.max(least);
            order.place = Some(least);
        }
    }
}
