//! What few orders ask for: a rest that is hidden (iceberg), a trigger that follows the market (trailing), the whole
//! position; and the venue's bands of prices.
//!
//! The rules are those of `docs/perpetuals.md`, "Orders". Never here: which prints fill an order (`prints`).

use super::Slot;
use super::floor::Floor;
use crate::market::{FinePrice, Price, Qty, Side};
use crate::order::{
    AccountId, NewOrder, OrderKind, OrderSize, PositionEffect, RejectReason, SpecialOrder, Trail, Trigger,
    TriggerBy,
};
use crate::sim::account::RATE_ONE;
use crate::sim::schedule::Pending;
use crate::sim::{Extra, Following, OrderEvent, Rate};

impl Floor<'_> {
    /// A new order that asks for what few orders ask for.
    pub(super) fn place_special(
        &mut self,
        special: &SpecialOrder,
        pending: &Pending,
    ) -> Result<(), RejectReason> {
        let mut order = special.order.clone();
        let limits = &self.config.venue.limits;
        if special.display.is_some() && (!limits.icebergs || order.kind == OrderKind::Market) {
            return Err(RejectReason::Unsupported);
        }
        if let Some(display) = special.display {
            self.check_qty(display)?;
        }
        if special.whole {
            self.ask_for_all(&mut order, pending.request.account)?;
        }
        let follows = match special.trail {
            Some(trail) => Some(self.begin_trail(&mut order, trail)?),
            None => None,
        };
        let asked = Extra { display: special.display, follows, whole: special.whole, ..Extra::default() };
        self.place(&order, &asked, pending)
    }

    /// An order for the whole position: it only closes, and its amount is what there is to close.
    fn ask_for_all(&self, order: &mut NewOrder, account: AccountId) -> Result<(), RejectReason> {
        if !self.is_contract() {
            return Err(RejectReason::NoContract);
        }
        let all = self.closable(account, order.side).floor_to(self.market.lot());
        // One that waits asks again when it wakes.
        let qty = if order.trigger.is_some() { all.max(self.market.instrument.rule.min_qty) } else { all };
        if qty.is_zero() {
            return Err(RejectReason::NothingToReduce);
        }
        (order.effect, order.size) = (PositionEffect::Close, OrderSize::Qty(qty));
        Ok(())
    }

    /// An order that was to close the whole position wakes: its amount is what there is to close now.
    pub(super) fn ask_again(&mut self, slot: Slot) {
        if self.orders.details(slot).extra.as_ref().is_some_and(|extra| extra.whole) {
            let live = self.orders.live(slot);
            let all = self.closable(live.account, live.side).floor_to(self.market.lot());
            if !all.is_zero() {
                self.orders.live_mut(slot).qty = all;
            }
        }
    }

    /// What of an order is open: what is shown, and what is hidden.
    #[inline]
    pub(super) fn open(&self, slot: Slot) -> Qty {
        self.orders.live(slot).leaves() + self.orders.details(slot).hidden()
    }

    /// An order that is about to join shows a part of itself only, if it asked for that.
    pub(super) fn hide(&mut self, slot: Slot) {
        let leaves = self.orders.live(slot).leaves();
        let Some(extra) = self.orders.details_mut(slot).extra.as_mut() else { return };
        let Some(display) = extra.display else { return };
        let all = leaves + extra.hidden;
        extra.hidden = (all - display).max(Qty::ZERO);
        let shown = all - extra.hidden;
        let live = self.orders.live_mut(slot);
        live.qty = live.filled + shown;
    }

    /// What an order showed has filled: the next slice joins the back of its queue. False where nothing is hidden.
    pub(super) fn show_next(&mut self, slot: Slot) -> bool {
        if self.orders.details(slot).hidden().is_zero() {
            return false;
        }
        self.hide(slot);
        let live = self.orders.live(slot);
        let (side, price, shown) = (live.side, live.price, live.leaves());
        let ahead = self.joining_place(side, price);
        self.counters.joined += 1;
        self.orders.set_joined(slot, self.counters.joined);
        self.orders.live_mut(slot).ahead = ahead;
        self.market.resting[side.index()].requeue(self.orders, slot, shown);
        true
    }

    /// The price that a trigger looks at, as it is now.
    fn reference(&self, by: TriggerBy) -> Option<FinePrice> {
        match by {
            TriggerBy::Last => self.market.last_trade.and_then(|(_, trade)| self.fine(trade.price)),
            TriggerBy::Mark => self.positions.mark(self.market.id).map(|mark| mark.price),
            TriggerBy::Index => self.positions.index(self.market.id),
        }
    }

    fn fine(&self, price: Price) -> Option<FinePrice> {
        let scale = u32::from(FinePrice::SCALE).checked_sub(u32::from(self.market.instrument.price_scale))?;
        price.units().checked_mul(10_i64.checked_pow(scale)?).map(FinePrice::from_units)
    }

    /// Sets the trigger of a trailing order so far from the market as it asks.
    fn begin_trail(&self, order: &mut NewOrder, trail: Trail) -> Result<Following, RejectReason> {
        let Some(trigger) = order.trigger.filter(|_| self.config.venue.limits.trailing.is_some()) else {
            return Err(RejectReason::Unsupported);
        };
        if trail.distance.units() <= 0 {
            return Err(RejectReason::PriceOutOfRange { max: self.market.instrument.rule.max_price });
        }
        // An order of an earlier session may come before the first price: it goes on from where its trigger was.
        let was = || {
            let away = trail.distance.units();
            let price = trigger.price.units() + if trigger.rises(order.side) { -away } else { away };
            self.fine(Price::from_units(price)).filter(|_| trigger.price.units() > 0 && price > 0)
        };
        let reference = self.reference(trigger.by).or_else(was).ok_or(RejectReason::PriceMissing)?;
        let price = self.trailed(order.side, trigger, trail, reference);
        self.check_price(price)?;
        order.trigger = Some(Trigger { price, ..trigger });
        Ok(Following { trail, reference, at: self.now })
    }

    /// Where a trailing order's trigger is when its reference is at a price: the tick nearer to the market.
    fn trailed(&self, side: Side, trigger: Trigger, trail: Trail, reference: FinePrice) -> Price {
        let scale = u32::from(FinePrice::SCALE).saturating_sub(u32::from(self.market.instrument.price_scale));
        let (one, tick) = (10_i64.pow(scale), self.market.instrument.rule.tick.units());
        let (units, away) = (reference.units(), trail.distance.units());
        let price = if trigger.rises(side) {
            units.div_euclid(one).saturating_add(away).div_euclid(tick) * tick
        } else {
            let up = |value: i64, by: i64| value.div_euclid(by) + i64::from(value.rem_euclid(by) != 0);
            up(up(units, one).saturating_sub(away), tick) * tick
        };
        Price::from_units(price)
    }

    /// A reference price moved: triggers that trail it follow, where it moved away from them far enough and long enough
    /// after the last time.
    pub(super) fn follow(&mut self, by: TriggerBy, now_at: FinePrice) {
        let Some(rule) = self.config.venue.limits.trailing else { return };
        if self.market.trails == 0 {
            return;
        }
        let waiting: Vec<_> = self.market.waiting.iter().copied().collect();
        for id in waiting {
            let Some(slot) = self.orders.find(id) else { continue };
            let side = self.orders.live(slot).side;
            let Some(extra) = self.orders.details(slot).extra.as_deref() else { continue };
            let (Some(following), Some(trigger)) = (extra.follows, extra.trigger) else { continue };
            let rises = trigger.rises(side);
            let moved = i128::from(now_at.units()) - i128::from(following.reference.units());
            // A stop that rises follows the market down, one that falls follows it up.
            let moved = if rises { -moved } else { moved };
            let least = i128::from(following.reference.units()) * i128::from(rule.least.0) / RATE_ONE;
            let early = self.now < following.at.plus(rule.every);
            if trigger.by != by || early || moved <= least {
                continue;
            }
            let price = self.trailed(side, trigger, following.trail, now_at);
            let nearer = if rises { price < trigger.price } else { price > trigger.price };
            if !nearer || self.check_price(price).is_err() {
                continue;
            }
            let at = self.now;
            if let Some(extra) = self.orders.details_mut(slot).extra.as_mut() {
                extra.trigger = Some(Trigger { price, ..trigger });
                extra.follows = Some(Following { reference: now_at, at, ..following });
            }
            let session = self.orders.live(slot).session;
            let deliver_at = self.schedule.answer(self.now, session);
            self.tell(slot, session, 0, OrderEvent::Amended { kept_place: true }, deliver_at);
        }
    }

    /// An order waits no more: its trigger follows nothing.
    pub(super) fn forget_trail(&mut self, slot: Slot) {
        let extra = self.orders.details_mut(slot).extra.as_mut();
        if extra.and_then(|extra| extra.follows.take()).is_some() {
            self.market.trails = self.market.trails.saturating_sub(1);
        }
    }

    /// A print moved the last price.
    pub(super) fn follow_last(&mut self, price: Price) {
        if self.market.trails > 0
            && let Some(price) = self.fine(price)
        {
            self.follow(TriggerBy::Last, price);
        }
    }

    /// The furthest price that a band around a reference allows: above it for buys, below it for sells.
    fn band(&self, side: Side, share: Rate, reference: FinePrice) -> Price {
        let scale = u32::from(FinePrice::SCALE).saturating_sub(u32::from(self.market.instrument.price_scale));
        let tick = i128::from(self.market.instrument.rule.tick.units());
        let share = if side == Side::Buy { i128::from(share.0) } else { -i128::from(share.0) };
        let fine = i128::from(reference.units()) * (RATE_ONE + share) / RATE_ONE;
        let (units, one) = (fine, 10_i128.pow(scale) * tick);
        let ticks = if side == Side::Buy { units / one } else { (units + one - 1) / one };
        Price::from_units(i64::try_from(ticks * tick).unwrap_or(i64::MAX))
    }

    /// Refuses a limit beyond the venue's band around the mark price.
    pub(super) fn check_band(&self, order: &NewOrder) -> Result<(), RejectReason> {
        let (Some(share), Some(price)) = (self.config.venue.limits.limit_band, order.price) else {
            return Ok(());
        };
        if !self.is_contract() {
            return Ok(());
        }
        let Some(mark) = self.reference(TriggerBy::Mark) else { return Ok(()) };
        let max = self.band(order.side, share, mark);
        // A buy above the band, or a sell below it, is beyond it.
        if order.side.better(price, max) { Err(RejectReason::PriceOutOfRange { max }) } else { Ok(()) }
    }

    /// The worst price at which a market order may trade, at venues that protect it: so far beyond the further one of the
    /// best price that it meets and the mark price.
    pub(super) fn protection(&self, side: Side) -> Option<Price> {
        let share = self.config.venue.limits.market_band.filter(|_| self.is_contract())?;
        let best = self.market.next_price(side.opposite(), None, self.now).and_then(|best| self.fine(best));
        let mark = self.reference(TriggerBy::Mark);
        let further = match (best, mark) {
            (Some(best), Some(mark)) if side == Side::Buy => best.max(mark),
            (Some(best), Some(mark)) => best.min(mark),
            (best, mark) => best.or(mark)?,
        };
        Some(self.band(side, share, further))
    }

    /// Refuses one more order that waits for its trigger where the account has as many as the venue allows.
    pub(super) fn check_waiting(&self, order: &NewOrder, account: AccountId) -> Result<(), RejectReason> {
        let Some(max) = self.config.venue.limits.max_waiting.filter(|_| order.trigger.is_some()) else {
            return Ok(());
        };
        let own = self.market.waiting.iter().filter_map(|id| self.orders.find(*id));
        let own = own.filter(|slot| self.orders.live(*slot).account == account).count();
        if own as u64 >= u64::from(max) { Err(RejectReason::TooManyOrders { max }) } else { Ok(()) }
    }
}
