//! What few orders ask for: a rest that is hidden (iceberg), a limit set from the market (peg), the whole position; how
//! they are changed; and the venue's bands of prices.
//!
//! The rules are those of `docs/perpetuals.md`, "Orders". Never here: which prints fill an order (`prints`), triggers that
//! follow the market (`follow`).

use super::Slot;
use super::floor::Floor;
use super::tell::Told;
use crate::market::{FinePrice, Price, Qty, Side};
use crate::order::{
    AccountId, NewOrder, OrderKind, OrderSize, Peg, PegTo, PositionEffect, RejectReason, SpecialAmend,
    SpecialOrder, TriggerBy,
};
use crate::sim::account::RATE_ONE;
use crate::sim::schedule::Pending;
use crate::sim::{Extra, Rate};

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
        if let Some(peg) = special.peg {
            if !limits.pegs || order.kind == OrderKind::Market {
                return Err(RejectReason::Unsupported);
            }
            order.price = Some(self.pegged(order.side, peg).ok_or(RejectReason::PriceMissing)?);
        }
        let follows = special.trail.map(|trail| self.begin_trail(&mut order, trail)).transpose()?;
        let callback =
            special.callback.map(|callback| self.await_calling(&mut order, callback)).transpose()?;
        let (display, whole, peg) = (special.display, special.whole, special.peg);
        let asked = Extra { display, follows, whole, callback, peg, ..Extra::default() };
        self.place(&order, Some(&asked), pending)
    }

    /// Where a pegged limit is now; `None` where there is no price to set it from.
    fn pegged(&self, side: Side, peg: Peg) -> Option<Price> {
        let best = |side: Side| self.market.next_price(side, None, self.now);
        let from = match peg.to {
            PegTo::Own => best(side)?,
            PegTo::Far => best(side.opposite())?,
            PegTo::Last => self.market.last_trade.map(|(_, trade)| trade.price)?,
            PegTo::Mid => {
                let sum = best(side)?.units().checked_add(best(side.opposite())?.units())?;
                let tick = self.market.instrument.rule.tick.units().max(1);
                let down = sum.div_euclid(2 * tick) * tick;
                let between = down * 2 != sum && side == Side::Sell;
                Price::from_units(if between { down + tick } else { down })
            }
        };
        from.units().checked_add(peg.offset.units()).map(Price::from_units)
    }

    /// Another trigger, distance or offset, with another price or amount: all of it or nothing.
    pub(super) fn amend_special(
        &mut self,
        change: &SpecialAmend,
        pending: &Pending,
    ) -> Result<(), RejectReason> {
        let account = pending.request.account;
        let found = self.find(account, &change.order);
        let slot = found.ok_or_else(|| self.counters.clients.missing(account, &change.order))?;
        if !self.market.trading {
            return Err(RejectReason::Halted);
        }
        let before = self.orders.details(slot).extra.clone();
        let mut extra = before.clone().ok_or(RejectReason::Unsupported)?;
        let side = self.orders.live(slot).side;
        let price = match change.offset {
            Some(offset) => Some(self.peg_again(side, &mut extra, offset)?),
            None => change.price,
        };
        if change.trigger.is_some() || change.distance.is_some() {
            if !self.orders.live(slot).waiting {
                return Err(RejectReason::Unsupported);
            }
            self.move_trigger(side, &mut extra, (change.trigger, change.distance))?;
        }
        let sleeps = self.orders.live(slot).waiting && self.orders.live(slot).kind == OrderKind::Market;
        if sleeps && (price.is_some() || extra.whole && change.qty.is_some()) {
            return Err(RejectReason::Unsupported);
        }
        // Nothing is put aside for it before it wakes.
        change.qty.filter(|_| sleeps).map_or(Ok(()), |qty| self.check_qty(qty))?;
        let moved = before.as_ref() != Some(&extra);
        self.orders.details_mut(slot).extra = Some(extra);
        let live = self.orders.live(slot);
        let same_qty = change.qty.is_none_or(|qty| qty == live.qty + self.orders.details(slot).hidden());
        let same = same_qty && price.is_none_or(|price| price == live.price);
        if let (Some(qty), true) = (change.qty, sleeps) {
            self.orders.live_mut(slot).qty = qty;
        }
        if same && moved || sleeps && !same {
            self.answer_with(&pending.request, slot, Told::Amended { kept_place: true });
            return Ok(());
        }
        let answer = self.amend(&change.order, price, change.qty, pending);
        if answer.is_err() {
            self.orders.details_mut(slot).extra = before;
        }
        answer
    }

    /// A pegged limit is set anew, with another offset. Returns it.
    fn peg_again(&self, side: Side, extra: &mut Extra, offset: Price) -> Result<Price, RejectReason> {
        let peg = Peg { offset, ..extra.peg.ok_or(RejectReason::Unsupported)? };
        extra.peg = Some(peg);
        self.pegged(side, peg).ok_or(RejectReason::PriceMissing)
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
    pub(super) fn reference(&self, by: TriggerBy) -> Option<FinePrice> {
        match by {
            TriggerBy::Last | TriggerBy::LastNearMark => {
                self.market.last_trade.and_then(|(_, trade)| self.fine(trade.price))
            }
            TriggerBy::Mark => self.positions.mark(self.market.id).map(|mark| mark.price),
            TriggerBy::Index => self.positions.index(self.market.id),
        }
    }

    pub(super) fn fine(&self, price: Price) -> Option<FinePrice> {
        let scale = u32::from(FinePrice::SCALE).checked_sub(u32::from(self.market.instrument.price_scale))?;
        price.units().checked_mul(10_i64.checked_pow(scale)?).map(FinePrice::from_units)
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
