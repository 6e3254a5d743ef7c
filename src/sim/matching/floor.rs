//! The trading floor: one market with the orders and accounts that its events change.
//!
//! It applies groups that may concern orders (rules 4, 5, 7, 13, 15, 16) and makes every fill. What prints do is in
//! `prints`, what arriving orders do in `place`, `taking` and `amend`.

use serde::{Deserialize, Serialize};

use super::memory::Memory;
use super::queue::{self, Place, Shrink};
use super::resting::Moved;
use super::tell::Told;
use super::trigger::Prints;
use super::{Applied, Market, Orders, Slot, Touched};
use crate::market::{FeedDepth, Group, GroupKind, Level, MarketEvent, Price, Qty, Side, Timestamp};
use crate::order::{
    AccountId, CancelReason, Evidence, FillId, FillRule, Liquidity, Money, OrderId, OrderStatus,
};
use crate::sim::account::{About, Accounts, FeeModel, Positions, Posting, Trade};
use crate::sim::schedule::Schedule;
use crate::sim::wire::hand_on;
use crate::sim::{
    BuyFee, Cause, ClientIdScope, CrossedBook, Fill, Owner, PublicTrade, SimConfig, Update, UpdateBody,
};

/// The numbers given out so far, and what is remembered of orders that ended.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Counters {
    pub(crate) orders: u64,
    pub(crate) fills: u64,
    pub(crate) joined: u64,
    pub(crate) clients: super::state::Clients,
}

/// One market, and all that its events may change.
pub(crate) struct Floor<'a> {
    pub(crate) now: Timestamp,
    pub(crate) config: &'a SimConfig,
    pub(crate) market: &'a mut Market,
    pub(crate) orders: &'a mut Orders,
    pub(crate) accounts: &'a mut Accounts,
    pub(crate) positions: &'a mut Positions,
    pub(crate) schedule: &'a mut Schedule,
    pub(crate) counters: &'a mut Counters,
    pub(crate) updates: &'a mut Vec<Update>,
    /// What an account that trades with itself is about to pay as taker without having it held: no fee takes it away.
    pub(crate) promised: Option<(u16, Money)>,
}

/// How a fill came about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct How {
    pub(crate) liquidity: Liquidity,
    pub(crate) rule: FillRule,
    pub(crate) evidence: Evidence,
    pub(crate) event_time: Timestamp,
    pub(crate) ahead_before: Option<Qty>,
}

impl Floor<'_> {
    /// Applies one group, whole, and then lets it do to orders what it does.
    pub(crate) fn apply(&mut self, group: &Group<'_>) -> Applied {
        self.market.touched = Touched::default();
        let resync = !self.market.trusted;
        if group.kind == GroupKind::Snapshot {
            self.snapshot(group, resync);
        }
        self.market.memory.iter_mut().for_each(|memory| memory.reserve(self.now, group.events.len()));
        self.apply_rest(group, 0)
    }

    /// The same for a group that is in the book up to `event`.
    pub(crate) fn apply_rest(&mut self, group: &Group<'_>, event: usize) -> Applied {
        let mut applied = Applied::default();
        let levels = group.kind != GroupKind::Snapshot;
        let windows = self.market.windows_after(group);
        let mut prints = Prints::default();
        for event in &group.events[event..] {
            match event {
                MarketEvent::Level { side, price, qty } if levels => {
                    self.level(*side, *price, *qty, windows[side.index()]);
                }
                MarketEvent::Level { .. } => {}
                MarketEvent::Trade(print) => {
                    if self.may_fill() {
                        self.count(&mut prints, print.price);
                    }
                    self.print(print, group.exchange_time);
                }
                MarketEvent::Distrust => applied = self.market.distrust(),
                MarketEvent::Trading(trading) => self.market.trading = *trading,
                MarketEvent::Candle(volume) => {
                    let lot = self.market.lot();
                    self.market.thin.begin(*volume, lot);
                }
                MarketEvent::News(_) => {}
            }
        }
        self.settle_group(group.exchange_time, prints, applied)
    }

    /// Lets a group that is in the book do to orders what it does. `prints`: those that may wake one.
    pub(crate) fn settle_group(&mut self, event_time: Timestamp, prints: Prints, so_far: Applied) -> Applied {
        let mut applied = so_far;
        if self.market.book.is_crossed() && self.market.trusted {
            let uncrossed = self.uncross();
            applied = Applied { distrusted: applied.distrusted || uncrossed.distrusted, ..uncrossed };
        }
        if self.market.trusted {
            self.settle_windows();
            if self.market.trading {
                self.crossing(event_time);
                self.trigger(prints);
            }
            self.open_door();
        }
        self.market.refresh_idle();
        applied
    }

    /// Whether prints and crossing levels may fill orders now.
    pub(crate) fn may_fill(&self) -> bool {
        self.market.trusted && self.market.trading
    }

    fn snapshot(&mut self, group: &Group<'_>, resync: bool) {
        let market = &mut *self.market;
        let mut old = std::mem::take(&mut market.old_levels);
        old.clear();
        for side in Side::BOTH {
            old.extend(market.book.levels(side).map(|level| (side, level)));
        }
        market.book.clear();
        for event in group.events {
            if let MarketEvent::Level { side, price, qty } = event {
                market.book.set(*side, *price, *qty);
                market.touched.note(*side);
            }
        }
        if resync {
            market.memory.iter_mut().for_each(Memory::clear);
            market.trusted = true;
        }
        market.memory.iter_mut().for_each(|memory| memory.reserve(self.now, old.len()));
        for (side, level) in &old {
            self.restate(*side, *level, resync);
        }
        self.settle_resting();
        self.market.forget_stale();
        self.market.old_levels = old;
    }

    /// A level that was shown before a snapshot: it is restated, gone, or has left the window.
    fn restate(&mut self, side: Side, before: Level, resync: bool) {
        let after = self.market.book.qty(side, before.price);
        if after.is_zero() && !self.market.in_window(side, before.price) {
            // What was seen before a gap is not of this trusted span.
            if !resync {
                self.market.stale[side.index()].left(before.price, before.qty);
            }
        } else {
            self.changed(side, before.price, before.qty, after, resync);
        }
    }

    /// After a snapshot the places of orders are clamped to what it shows, and unknown ones become known. After a
    /// gap what was taken is too, also where neither book shows the level.
    fn settle_resting(&mut self) {
        for side in Side::BOTH {
            let at = side.index();
            let mut next = self.market.resting[at].best();
            while let Some(price) = next {
                next = self.market.resting[at].after(price);
                if self.market.in_window(side, price) {
                    let shown = self.market.book.qty(side, price);
                    self.changed(side, price, shown, shown, true);
                }
            }
            let shows = |price: &Price| self.market.in_window(side, *price);
            let taken: Vec<Price> = self.market.taken[at].prices().filter(shows).collect();
            for price in taken {
                let shown = self.market.book.qty(side, price);
                self.market.taken[at].restated(price, shown, self.now);
            }
        }
    }

    /// After a group of a feed that shows some levels only: a price that its window covers and where it shows nothing
    /// has nothing, also where the level went while the window was elsewhere.
    fn settle_windows(&mut self) {
        if !matches!(self.market.depth, FeedDepth::Levels(_)) {
            return;
        }
        for side in Side::BOTH {
            let at = side.index();
            let mut next = self.market.resting[at].best();
            while let Some(price) = next {
                next = self.market.resting[at].after(price);
                if self.market.book.qty(side, price).is_zero() && self.market.in_window(side, price) {
                    self.changed(side, price, Qty::ZERO, Qty::ZERO, true);
                }
            }
            let shows = |price: &Price| self.market.in_window(side, *price);
            let taken: Vec<Price> = self.market.taken[at].prices().filter(shows).collect();
            for price in taken {
                if self.market.book.qty(side, price).is_zero() {
                    self.market.taken[at].restated(price, Qty::ZERO, self.now);
                }
            }
        }
        self.market.forget_stale();
    }

    /// A level changes. `window`: the worst price that the feed shows of the side after the group.
    fn level(&mut self, side: Side, price: Price, qty: Qty, window: Option<Price>) {
        let before = self.market.book.set(side, price, qty);
        self.market.touched.note(side);
        if !self.market.trusted {
            return;
        }
        if qty.is_zero() && window.is_some_and(|worst| side.better(worst, price)) {
            // It left the window, which is no shrink.
            if !before.is_zero() {
                self.market.stale[side.index()].left(price, before);
            }
        } else {
            self.changed(side, price, before, qty, false);
        }
    }

    /// A level went from `before` to `after` (already in the book). `clamp_only`: the change says nothing about who
    /// left, as after a gap.
    fn changed(&mut self, side: Side, price: Price, before: Qty, after: Qty, clamp_only: bool) {
        let at = side.index();
        if self.market.depth != crate::market::FeedDepth::Full && !after.is_zero() {
            self.market.stale[at].shown(price);
        }
        let queue = self.market.resting[at].queue_at(price);
        if queue.is_none() && self.market.taken[at].is_empty() {
            if !clamp_only {
                self.market.memory[at].changed(self.now, price, before, after);
            }
            return;
        }
        let free_before = (before - self.market.taken[at].at(price, self.now)).max(Qty::ZERO);
        self.market.taken[at].restated(price, after, self.now);
        let free_after = self.market.free(side, price, self.now);
        let shrink = if after < before && !clamp_only {
            let (explained, id) = self.market.memory[at].shrank(self.now, price, before - after);
            let cancelled = before - after - explained;
            Some((Shrink { before: free_before, explained, cancelled, after: free_after }, id))
        } else {
            None
        };
        let Some(queue) = queue else { return };
        if let Some((shrink, id)) = shrink {
            self.note(side, queue, Moved::Shrink(shrink, id));
        } else if clamp_only && (before != after || self.is_behind(side, queue, free_after)) {
            self.note(side, queue, Moved::Clamp(free_after));
        }
        let unit = self.unit();
        let (lot, model) = (self.market.lot(), self.config.queue);
        let mut least = Place::FRONT;
        self.each(side, queue, |live| {
            let moved = match shrink {
                _ if !live.ahead.is_known() && !after.is_zero() => Place::behind(free_after, lot),
                Some((shrink, _)) => queue::shrink(model, live.ahead, shrink, lot, unit),
                None => live.ahead.clamp(free_after, lot),
            };
            live.ahead = moved.max(least);
            least = live.ahead;
        });
    }

    /// Whether the last order of a queue stands behind more than `free`.
    fn is_behind(&self, side: Side, queue: u32, free: Qty) -> bool {
        let last = self.market.resting[side.index()].queue(queue).slots(self.orders).next_back();
        last.is_some_and(|slot| self.orders.live(slot).ahead > Place::behind(free, self.market.lot()))
    }

    /// Whole quantity units in one 1/1024 of a quantity's smallest unit.
    #[allow(clippy::cast_precision_loss, reason = "the unit of a probability")]
    pub(super) fn unit(&self) -> f64 {
        let scale = u32::from(self.market.instrument.qty_scale);
        1.0 / (1_024.0 * 10_u64.saturating_pow(scale) as f64)
    }

    /// Writes to a queue's log what is about to move it.
    pub(super) fn note(&mut self, side: Side, queue: u32, what: Moved) {
        let span = i64::try_from(self.config.late_prints.as_nanos()).unwrap_or(i64::MAX);
        self.market.resting[side.index()].note(self.orders, queue, self.now, span, what);
    }

    /// Visits a queue's orders from its front.
    pub(super) fn each(&mut self, side: Side, queue: u32, mut visit: impl FnMut(&mut super::resting::Live)) {
        let found = self.market.resting[side.index()].queue(queue);
        let mut place = 0;
        while let Some(stands) = found.at(self.orders, place) {
            if let Some(slot) = stands {
                visit(self.orders.live_mut(slot));
            }
            place += 1;
        }
    }

    fn uncross(&mut self) -> Applied {
        if self.config.crossed == CrossedBook::Distrust {
            return self.market.uncross(CrossedBook::Distrust);
        }
        let loser = self.market.touched.loser();
        while let (Some(level), true) = (self.market.book.best(loser), self.market.book.is_crossed()) {
            self.market.book.set(loser, level.price, Qty::ZERO);
            self.changed(loser, level.price, level.qty, Qty::ZERO, true);
        }
        Applied { crossed: true, distrusted: false }
    }

    /// Rule 4: free opposite levels at or through an order's price fill it, as maker, at its own price.
    fn crossing(&mut self, event_time: Timestamp) {
        for side in Side::BOTH {
            while let Some(price) = self.market.resting[side.index()].best() {
                let best = self.market.book.best_price(side.opposite());
                if !best.is_some_and(|best| side.crosses(price, best)) {
                    break;
                }
                let Some(from) = self.market.next_free(side.opposite(), None, self.now) else { break };
                if !side.crosses(price, from) {
                    break;
                }
                self.cross(side, price, from, event_time);
            }
        }
    }

    fn cross(&mut self, side: Side, price: Price, from: Price, event_time: Timestamp) {
        let Some(queue) = self.market.resting[side.index()].queue_at(price) else { return };
        let Some(slot) = self.market.resting[side.index()].first(self.orders, queue) else { return };
        let free = self.market.free(side.opposite(), from, self.now).floor_to(self.market.lot());
        let live = self.orders.live(slot);
        let (qty, ahead_before) = (self.fillable(slot).min(free), live.ahead.shown(self.market.lot()));
        if qty.is_zero() {
            return self.cancel(slot, CancelReason::NothingToReduce);
        }
        let how = How {
            liquidity: Liquidity::Maker,
            rule: FillRule::CrossingBook,
            evidence: Evidence::Cross,
            event_time,
            ahead_before,
        };
        self.market.taken[side.opposite().index()].add(from, qty, self.now);
        self.fill(slot, price, qty, how);
        self.public_trade(side.opposite(), price, qty);
    }

    /// A print that paper orders made.
    pub(super) fn public_trade(&mut self, aggressor: Side, price: Price, qty: Qty) {
        let trade = PublicTrade { instrument: self.market.id, aggressor, price, qty };
        self.market.last_trade = Some((self.now, trade));
        let at = self.now;
        hand_on(self.updates, || Update { at, deliver_at: at, body: UpdateBody::PublicTrade(trade) });
    }

    /// Fills an order: money, the fill, the order's new state. An order that is whole leaves.
    ///
    /// One that only closes, and has less to close than it was to fill, fills that and ends.
    pub(super) fn fill(&mut self, slot: Slot, price: Price, qty: Qty, how: How) {
        let most = self.fillable(slot);
        if most < qty {
            if !most.is_zero() {
                self.fill_as_told(slot, price, most, how);
            }
            if !self.orders.live(slot).leaves().is_zero() {
                self.cancel(slot, CancelReason::NothingToReduce);
            }
            return;
        }
        self.fill_as_told(slot, price, qty, how);
    }

    fn fill_as_told(&mut self, slot: Slot, price: Price, qty: Qty, how: How) {
        self.counters.fills += 1;
        let id = FillId(self.counters.fills);
        let (fee, fee_asset, position) = if self.is_contract() {
            let open = self.open(slot);
            self.work(slot, open, open - qty);
            self.settle_contract(slot, price, qty, how.liquidity, id)
        } else {
            let (fee, asset) = self.settle(slot, price, qty, how.liquidity, id);
            (fee, asset, None)
        };
        let quote = self.market.units.cost(price, qty);
        let live = self.orders.live_mut(slot);
        live.filled += qty;
        let (resting, session) = (live.is_resting(), live.session);
        let (order, account, side, whole) = (live.id, live.account, live.side, live.leaves().is_zero());
        if resting && let Some(queue) = self.market.resting[side.index()].queue_at(price) {
            self.market.resting[side.index()].filled(queue, qty);
        }
        self.orders.details_mut(slot).filled_quote += quote;
        let deliver_at = self.schedule.answer(self.now, session);
        let (at, instrument) = (self.now, self.market.id);
        let fill = || Fill {
            id,
            order,
            account,
            session,
            instrument,
            side,
            price,
            qty,
            quote,
            liquidity: how.liquidity,
            fee,
            fee_asset,
            rule: how.rule,
            evidence: how.evidence,
            event_time: how.event_time,
            ahead_before: how.ahead_before,
            position,
        };
        hand_on(self.updates, || Update { at, deliver_at, body: UpdateBody::Fill(fill()) });
        // A quote-sized order is whole only when its money says so.
        let whole = whole && self.orders.details(slot).quote_qty().is_none() && !self.show_next(slot);
        self.tell(slot, session, 0, Told::Filled, deliver_at);
        if whole {
            self.forget(slot, OrderStatus::Filled);
        }
        if self.is_contract() {
            self.tell_positions(account, deliver_at);
        }
    }

    /// Moves the money of a fill and gives back the hold it needed. Returns the fee and its asset.
    fn settle(
        &mut self,
        slot: Slot,
        price: Price,
        qty: Qty,
        liquidity: Liquidity,
        fill: FillId,
    ) -> (Money, u16) {
        let (units, live) = (&self.market.units, self.orders.live(slot));
        let (account, side, order) = (live.account, live.side, live.id);
        let about = About { order, fill, instrument: Some(self.market.id) };
        let (quote, base) = (units.cost(price, qty), units.base(qty));
        let (quote_asset, base_asset) = (units.quote, units.base);
        let released = if live.held {
            let (limit, leaves) = (live.price, self.open(slot));
            self.market.hold(side, limit, leaves) - self.market.hold(side, limit, leaves - qty)
        } else {
            Money::ZERO
        };
        let (paid, got) = if side == Side::Buy { (quote, base) } else { (-quote, -base) };
        let (fee, fee_asset) = self.fee(account, side, quote, base, liquidity);
        let trade = Trade {
            account,
            quote: (quote_asset, -paid),
            base: (base_asset, got),
            released: (self.market.held_asset(side), released),
            fee: (fee_asset, fee),
            promised: self.promised_of(fee_asset),
        };
        let fee = self.accounts.trade(self.now, &trade, about, self.updates);
        self.flat_fees(account, liquidity, about);
        if self.market.fees.has_tiers() {
            self.accounts.traded(account, self.now, quote);
        }
        (fee, fee_asset)
    }

    fn fee(
        &self,
        account: AccountId,
        side: Side,
        quote: Money,
        base: Money,
        liquidity: Liquidity,
    ) -> (Money, u16) {
        let (fees, units) = (&self.market.fees, &self.market.units);
        let volume = if fees.has_tiers() { self.accounts.volume(account, self.now) } else { Money::ZERO };
        let rate = fees.rate(volume, liquidity);
        if side == Side::Buy && fees.buy_fee == BuyFee::DeductedFromReturns {
            return (fees.fee(base, rate, units.base_scale), units.base);
        }
        let fee = fees.fee(quote, rate, units.quote_scale);
        if let Some(token) = fees.token.filter(|_| fee.0 > 0) {
            let tokens = FeeModel::in_token(token, fee);
            if self.accounts.balance(account, token.asset).available() >= tokens {
                return (tokens, token.asset);
            }
        }
        (fee, units.quote)
    }

    /// What of an asset is about to be paid, and is free no more.
    #[inline]
    fn promised_of(&self, asset: u16) -> Money {
        self.promised.filter(|(of, _)| *of == asset).map_or(Money::ZERO, |(_, amount)| amount)
    }

    /// What an account has free and has not promised.
    fn spare(&self, account: AccountId, asset: u16) -> Money {
        let free = self.accounts.balance(account, asset).available();
        (free - self.promised_of(asset)).max(Money::ZERO)
    }

    /// Fixed amounts for each fill, as far as the account has them free.
    pub(super) fn flat_fees(&mut self, account: AccountId, liquidity: Liquidity, about: About) {
        for at in 0..self.market.fees.flat.len() {
            let (asset, amount, maker, taker) = self.market.fees.flat[at];
            let charged = if liquidity == Liquidity::Maker { maker } else { taker };
            let amount = amount.min(self.spare(account, asset));
            if charged && amount.0 > 0 {
                for (owner, amount) in [(Owner::Account(account), -amount), (Owner::Fees, amount)] {
                    let row = Posting::new(owner, asset, amount, Cause::Fee);
                    self.accounts.post(self.now, row, about, self.updates);
                }
            }
        }
    }

    /// Ends an order before all of it filled.
    pub(crate) fn cancel(&mut self, slot: Slot, reason: CancelReason) {
        self.release(slot);
        let live = self.orders.live(slot);
        let (side, session) = (live.side, live.session);
        if live.is_resting() {
            self.market.resting[side.index()].leave(self.orders, slot);
        }
        let deliver_at = self.schedule.answer(self.now, session);
        self.tell(slot, session, 0, Told::Cancelled(reason), deliver_at);
        self.forget(slot, OrderStatus::Cancelled);
    }

    /// What is held for an order.
    pub(super) fn held(&self, slot: Slot) -> Money {
        let live = self.orders.live(slot);
        if live.held { self.market.hold(live.side, live.price, self.open(slot)) } else { Money::ZERO }
    }

    /// Gives back what is held for an order.
    pub(super) fn release(&mut self, slot: Slot) {
        let held = self.held(slot);
        self.hold_more(slot, -held);
        if self.is_contract() {
            let open = self.open(slot);
            self.work(slot, open, Qty::ZERO);
        }
        self.orders.live_mut(slot).held = false;
    }

    /// Books so much more (or less) held for an order.
    pub(super) fn hold_more(&mut self, slot: Slot, by: Money) {
        let live = self.orders.live(slot);
        let about = About { order: live.id, fill: FillId(0), instrument: Some(self.market.id) };
        let (account, asset) = (live.account, self.market.held_asset(live.side));
        self.accounts.hold(self.now, account, asset, by, about, self.updates);
    }

    /// An order is done: it leaves its queue and memory.
    pub(super) fn forget(&mut self, slot: Slot, status: OrderStatus) {
        if !self.orders.is_plain(slot) || self.market.depth.is_thin() {
            self.forget_rest(slot);
        }
        let live = self.orders.live(slot);
        if live.is_resting() {
            self.market.resting[live.side.index()].leave(self.orders, slot);
        }
        let (live, details) = (self.orders.live(slot), self.orders.details(slot));
        let id = live.id;
        self.counters.clients.ended(live.account, self.market.id, id, details.client_id.as_ref(), status);
        self.orders.remove(slot);
    }

    /// The same for what few orders have.
    fn forget_rest(&mut self, slot: Slot) {
        self.forget_closing(slot);
        self.forget_trail(slot);
        let live = self.orders.live(slot);
        if let crate::order::TimeInForce::Gtd(time) = self.orders.tif(slot) {
            self.schedule.forget_expiry(time, live.id);
        }
        if live.waiting {
            self.market.waiting.remove(&live.id);
        }
        if let Some(until) = self.market.thin.forget(live.id) {
            self.schedule.forget_expiry(until, live.id);
        }
    }

    /// The time, where client ids are unique by its day.
    pub(super) fn ids_by_day(&self) -> Option<Timestamp> {
        (self.config.venue.client_ids == ClientIdScope::Day).then_some(self.now)
    }

    /// The live order of an account that a reference names.
    pub(super) fn find(&self, account: AccountId, order: &crate::order::OrderRef) -> Option<Slot> {
        let id = match order {
            crate::order::OrderRef::Id(id) => *id,
            crate::order::OrderRef::Client(client_id) => self.counters.clients.find(account, client_id)?,
        };
        self.orders.find(id).filter(|slot| self.orders.live(*slot).account == account)
    }

    /// Gives out the next order number.
    pub(super) fn next_id(&mut self) -> OrderId {
        self.counters.orders += 1;
        OrderId(self.counters.orders)
    }
}
