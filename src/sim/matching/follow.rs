//! Triggers that the market leads: those that keep a distance behind it (trailing), and those that a share of the price
//! sets once another price has been reached (callback).
//!
//! The rules are those of `docs/perpetuals.md`, "Orders". Never here: what an order does once it is woken (`place`).

use super::Slot;
use super::floor::Floor;
use super::tell::Told;
use crate::market::{FinePrice, Price, Side};
use crate::order::{Callback, NewOrder, RejectReason, Trail, Trigger, TriggerBy, TriggerKind};
use crate::sim::account::RATE_ONE;
use crate::sim::{Calling, Extra, Following};

/// The whole of a share in millionths.
const WHOLE: i128 = 1_000_000;

impl Floor<'_> {
    /// Sets the trigger of a trailing order so far from the market as it asks.
    pub(super) fn begin_trail(&self, order: &mut NewOrder, trail: Trail) -> Result<Following, RejectReason> {
        let Some(trigger) = order.trigger.filter(|_| self.config.venue.limits.trailing.is_some()) else {
            return Err(RejectReason::Unsupported);
        };
        let (price, following) = self.trail_from_now(order.side, trigger, trail)?;
        order.trigger = Some(Trigger { price, ..trigger });
        Ok(following)
    }

    fn trail_from_now(
        &self,
        side: Side,
        trigger: Trigger,
        trail: Trail,
    ) -> Result<(Price, Following), RejectReason> {
        if trail.distance.units() <= 0 {
            return Err(RejectReason::PriceOutOfRange { max: self.market.instrument.rule.max_price });
        }
        // An order of an earlier session may come before the first price: it goes on from where its trigger was.
        let was = || {
            let away = trail.distance.units();
            let price = trigger.price.units() + if trigger.rises(side) { -away } else { away };
            self.fine(Price::from_units(price)).filter(|_| trigger.price.units() > 0 && price > 0)
        };
        let reference = self.reference(trigger.by).or_else(was).ok_or(RejectReason::PriceMissing)?;
        let price = self.trailed(side, trigger, trail, reference);
        self.check_price(price)?;
        Ok((price, Following { trail, reference, at: self.now }))
    }

    /// Sets another trigger, or another distance for one that follows the market.
    pub(super) fn move_trigger(
        &self,
        side: Side,
        extra: &mut Extra,
        (price, distance): (Option<Price>, Option<Price>),
    ) -> Result<(), RejectReason> {
        let Some(trigger) = extra.trigger else { return Err(RejectReason::Unsupported) };
        match (price, distance, extra.follows) {
            (Some(price), None, None) if extra.callback.is_none() => {
                self.check_price(price)?;
                extra.trigger = Some(Trigger { price, ..trigger });
            }
            (None, Some(distance), Some(_)) => {
                let (price, following) = self.trail_from_now(side, trigger, Trail { distance })?;
                (extra.trigger, extra.follows) = (Some(Trigger { price, ..trigger }), Some(following));
            }
            _ => return Err(RejectReason::Unsupported),
        }
        Ok(())
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

    /// An order that waits for a price before a share of it sets its trigger. Where the market is there already, it is
    /// set at once.
    pub(super) fn await_calling(
        &self,
        order: &mut NewOrder,
        callback: Callback,
    ) -> Result<Calling, RejectReason> {
        let in_range = |(least, most): (u32, u32)| (least..=most).contains(&callback.share);
        let allowed = self.config.venue.limits.callbacks.is_some_and(in_range);
        let first = order.trigger.filter(|trigger| allowed && trigger.kind == TriggerKind::TakeProfit);
        let Some(first) = first else { return Err(RejectReason::Unsupported) };
        let activation = callback.begun.unwrap_or(first.price);
        let calling = Calling { callback, activation, best: None };
        let reference = self.reference(first.by);
        let there = reference
            .zip(self.fine(first.price))
            .is_some_and(|(now, wanted)| if first.rises(order.side) { now >= wanted } else { now <= wanted });
        let Some(best) = reference.filter(|_| there) else { return Ok(calling) };
        order.trigger = Some(self.called(order.side, first.by, callback, best));
        Ok(Calling { best: Some(best), ..calling })
    }

    /// The trigger that a share of the best price sets: the tick nearer to the market.
    fn called(&self, side: Side, by: TriggerBy, callback: Callback, best: FinePrice) -> Trigger {
        let scale = u32::from(FinePrice::SCALE).saturating_sub(u32::from(self.market.instrument.price_scale));
        let tick = i128::from(self.market.instrument.rule.tick.units());
        let (share, one) = (i128::from(callback.share), 10_i128.pow(scale) * tick * WHOLE);
        let best = i128::from(best.units());
        let ticks = match side {
            Side::Buy => (best * (WHOLE + share)).div_euclid(one),
            Side::Sell => -(-best * (WHOLE - share)).div_euclid(one),
        };
        let price = Price::from_units(i64::try_from(ticks * tick).unwrap_or(i64::MAX));
        Trigger { kind: TriggerKind::Stop, price, by }
    }

    /// The price that an order waited for has been reached: if a share of it sets its trigger, it is set now. False for
    /// all other orders, and where it was set before.
    pub(super) fn begin_calling(&mut self, slot: Slot, at: FinePrice) -> bool {
        let side = self.orders.live(slot).side;
        let Some(extra) = self.orders.details(slot).extra.as_deref() else { return false };
        let (Some(calling), Some(trigger)) = (extra.callback, extra.trigger) else { return false };
        if calling.best.is_some() {
            return false;
        }
        self.call(slot, self.called(side, trigger.by, calling.callback, at), calling, at);
        true
    }

    fn call(&mut self, slot: Slot, trigger: Trigger, calling: Calling, best: FinePrice) {
        if let Some(extra) = self.orders.details_mut(slot).extra.as_mut() {
            extra.trigger = Some(trigger);
            extra.callback = Some(Calling { best: Some(best), ..calling });
        }
        self.tell_moved(slot);
    }

    fn tell_moved(&mut self, slot: Slot) {
        let session = self.orders.live(slot).session;
        let deliver_at = self.schedule.answer(self.now, session);
        self.tell(slot, session, 0, Told::Amended { kept_place: true }, deliver_at);
    }

    /// A reference price moved: triggers that it leads follow.
    pub(super) fn follow(&mut self, by: TriggerBy, now_at: FinePrice) {
        if self.market.trails == 0 {
            return;
        }
        let waiting: Vec<_> = self.market.waiting.iter().copied().collect();
        for id in waiting {
            let Some(slot) = self.orders.find(id) else { continue };
            let Some(extra) = self.orders.details(slot).extra.as_deref() else { continue };
            let Some(trigger) = extra.trigger.filter(|trigger| trigger.by.looks_at() == by) else { continue };
            match (extra.follows, extra.callback) {
                (Some(following), _) => self.follow_trail(slot, trigger, following, now_at),
                (None, Some(calling)) => self.follow_calling(slot, trigger, calling, now_at),
                (None, None) => {}
            }
        }
    }

    /// A trailing trigger follows where the price moved away from it far enough and long enough after the last time.
    fn follow_trail(&mut self, slot: Slot, trigger: Trigger, following: Following, now_at: FinePrice) {
        let Some(rule) = self.config.venue.limits.trailing else { return };
        let rises = trigger.rises(self.orders.live(slot).side);
        let moved = i128::from(now_at.units()) - i128::from(following.reference.units());
        // A stop that rises follows the market down, one that falls follows it up.
        let moved = if rises { -moved } else { moved };
        let least = i128::from(following.reference.units()) * i128::from(rule.least.0) / RATE_ONE;
        let early = self.now < following.at.plus(rule.every);
        if early || moved <= least {
            return;
        }
        let price = self.trailed(self.orders.live(slot).side, trigger, following.trail, now_at);
        let nearer = if rises { price < trigger.price } else { price > trigger.price };
        if !nearer || self.check_price(price).is_err() {
            return;
        }
        let at = self.now;
        if let Some(extra) = self.orders.details_mut(slot).extra.as_mut() {
            extra.trigger = Some(Trigger { price, ..trigger });
            extra.follows = Some(Following { reference: now_at, at, ..following });
        }
        self.tell_moved(slot);
    }

    /// A trigger that a share of the price set follows each better price.
    fn follow_calling(&mut self, slot: Slot, trigger: Trigger, calling: Calling, now_at: FinePrice) {
        let side = self.orders.live(slot).side;
        let Some(best) = calling.best else { return };
        let better = if side == Side::Sell { now_at > best } else { now_at < best };
        if better {
            self.call(slot, self.called(side, trigger.by, calling.callback, now_at), calling, now_at);
        }
    }

    /// An order waits no more: the market leads its trigger no further.
    pub(super) fn forget_trail(&mut self, slot: Slot) {
        let is_led = self.orders.details(slot).extra.as_ref().is_some_and(|extra| extra.is_led());
        if is_led && self.market.waiting.contains(&self.orders.live(slot).id) {
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
}
