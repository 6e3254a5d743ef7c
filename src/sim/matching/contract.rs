//! Orders in contracts: what they need when they arrive, what a fill does to a position, and reduce-only orders.
//!
//! Never here: when an order fills (`prints`, `taking`), when a position is liquidated (`risk`).

use super::Slot;
use super::floor::Floor;
use super::resting::Live;
use super::tell::Told;
use crate::market::{Price, Qty, Side, Timestamp};
use crate::order::{
    AccountId, CancelReason, FillId, Liquidity, Money, NewOrder, OrderKind, OrderSize, PositionEffect,
    PositionMode, RejectReason,
};
use crate::sim::account::{About, Posting};
use crate::sim::wire::hand_on;
use crate::sim::{Cause, Owner, PositionFill, TrimFirst, Update, UpdateBody};

impl Floor<'_> {
    /// Whether this market is of a contract.
    #[inline]
    pub(super) fn is_contract(&self) -> bool {
        self.market.contract
    }

    /// What an order does to a position.
    pub(super) fn effect(&self, slot: Slot) -> PositionEffect {
        self.orders.details(slot).extra.as_ref().map_or(PositionEffect::Net, |extra| extra.effect)
    }

    /// How much an account's order of this side could close.
    pub(super) fn closable(&self, account: AccountId, side: Side) -> Qty {
        self.positions.holding(account, self.market.id).map_or(Qty::ZERO, |holding| holding.closable(side))
    }

    /// How much of an order may fill: what is left of it, and for one that only closes no more than there is to close.
    #[inline]
    pub(super) fn fillable(&self, slot: Slot) -> Qty {
        let live = self.orders.live(slot);
        if !self.market.contract || self.effect(slot) != PositionEffect::Close {
            return live.leaves();
        }
        live.leaves().min(self.closable(live.account, live.side)).floor_to(self.market.lot())
    }

    /// Whether a new order would close something where it only closes. `Err`: it is refused.
    pub(super) fn has_a_use(&self, order: &NewOrder, account: AccountId) -> Result<bool, RejectReason> {
        let hedge = self.positions.mode(account, self.market.id) == PositionMode::Hedge;
        match order.effect {
            PositionEffect::Net if hedge => Err(RejectReason::EffectMissing),
            PositionEffect::Net | PositionEffect::Open => Ok(true),
            PositionEffect::Close if order.trigger.is_some() => Ok(true),
            PositionEffect::Close if !self.closable(account, order.side).is_zero() => Ok(true),
            PositionEffect::Close if self.positions.rules.reduce_only_cancels => Ok(false),
            PositionEffect::Close => Err(RejectReason::NothingToReduce),
        }
    }

    /// Refuses a new order whose margin is not there.
    pub(super) fn check_margin(&mut self, order: &NewOrder, account: AccountId) -> Result<(), RejectReason> {
        let OrderSize::Qty(qty) = order.size else { return Err(RejectReason::Unsupported) };
        if order.effect == PositionEffect::Close || order.trigger.is_some() {
            return Ok(());
        }
        let self_trade = order.self_trade.unwrap_or(self.config.venue.self_trade);
        let value = match order.price {
            Some(price) => self.worth(price, qty),
            None => self.look(account, order.side, None, qty, self_trade).1,
        };
        self.check_more(account, order.side, qty, value)
    }

    /// Refuses so much more working on a side where its margin is not there, or where it is beyond the risk limit.
    pub(super) fn check_more(
        &mut self,
        account: AccountId,
        side: Side,
        qty: Qty,
        value: Money,
    ) -> Result<(), RejectReason> {
        let market = self.market.id;
        if self.positions.holding_mut(account, market).is_none() {
            return Ok(());
        }
        let positions = &*self.positions;
        let (Some(contract), Some(holding)) =
            (positions.contract(market), positions.holding(account, market))
        else {
            return Ok(());
        };
        let (mut working, taker) = (holding.working, positions.taker(market));
        let before = positions.orders_need((market, contract), holding, working, taker);
        working[side.index()].qty += qty;
        working[side.index()].value += value;
        let needed = positions.orders_need((market, contract), holding, working, taker) - before;
        if needed.0 <= 0 {
            return Ok(());
        }
        let held = Money(holding.legs[holding.leg(side, PositionEffect::Open)].cost.0.abs());
        let most = contract.most_at(holding.leverage_of(side));
        if most.is_some_and(|most| held + working[side.index()].value > most) {
            return Err(RejectReason::RiskLimit);
        }
        let available = positions.available(self.accounts, account, contract.settle);
        if needed > available {
            return Err(RejectReason::InsufficientBalance { asset: contract.settle, needed, available });
        }
        Ok(())
    }

    /// What so much is worth at a price: of a contract in its settlement currency (in quote where it settles through an
    /// index price), else in quote.
    #[inline]
    pub(super) fn worth(&self, price: Price, qty: Qty) -> Money {
        match self.positions.contract(self.market.id) {
            Some(contract) if self.market.contract => contract.value(price, qty),
            _ => self.market.units.cost(price, qty),
        }
    }

    /// Whether an order needs margin while it is open.
    fn works(&self, slot: Slot) -> bool {
        let live: &Live = self.orders.live(slot);
        self.market.contract
            && !live.waiting
            && live.kind != OrderKind::Market
            && self.effect(slot) != PositionEffect::Close
    }

    /// What is left of an order goes from one amount to another, at its limit.
    #[inline]
    pub(super) fn work(&mut self, slot: Slot, from: Qty, to: Qty) {
        if !self.market.contract || !self.works(slot) {
            return;
        }
        let live = self.orders.live(slot);
        let (account, side, price) = (live.account, live.side, live.price);
        let more = self.worth(price, to) - self.worth(price, from);
        if let Some(holding) = self.positions.holding_mut(account, self.market.id) {
            let working = &mut holding.working[side.index()];
            working.qty += to - from;
            working.value += more;
        }
    }

    /// Notes that an order rests that only closes.
    pub(super) fn note_closing(&mut self, slot: Slot) {
        if !self.market.contract || self.effect(slot) != PositionEffect::Close {
            return;
        }
        let (id, account, market) =
            (self.orders.live(slot).id, self.orders.live(slot).account, self.market.id);
        if let Some(holding) = self.positions.holding_mut(account, market) {
            holding.closing.retain(|known| *known != id);
            holding.closing.push(id);
            self.positions.to_trim.insert((account, market));
        }
    }

    /// Forgets an order that only closed.
    pub(super) fn forget_closing(&mut self, slot: Slot) {
        if !self.market.contract || self.effect(slot) != PositionEffect::Close {
            return;
        }
        let (id, account) = (self.orders.live(slot).id, self.orders.live(slot).account);
        if let Some(holding) = self.positions.holding_mut(account, self.market.id) {
            holding.closing.retain(|known| *known != id);
        }
    }

    /// Moves the money of a contract's fill: what closing gained, margin, the fee; one transaction.
    pub(super) fn settle_contract(
        &mut self,
        slot: Slot,
        price: Price,
        qty: Qty,
        liquidity: Liquidity,
        fill: FillId,
    ) -> (Money, u16, Option<Box<PositionFill>>) {
        let (live, effect, market) = (self.orders.live(slot), self.effect(slot), self.market.id);
        let (account, side) = (live.account, live.side);
        let about = About { order: live.id, fill, instrument: Some(market) };
        let value = self.worth(price, qty);
        let Some(settle) = self.positions.contract(market).map(|contract| contract.settle) else {
            return (Money::ZERO, self.market.units.quote, None);
        };
        let fees = &self.market.fees;
        let volume = if fees.has_tiers() { self.accounts.volume(account, self.now) } else { Money::ZERO };
        let settling =
            self.positions.settling(market, || self.positions.contract(market)?.price_of(value, qty));
        let fee = fees.fee(value, fees.rate(volume, liquidity), self.accounts.scale(settle));
        let fee = settling.nearest(fee);
        let taker = self.positions.taker(market);
        let booked = self.positions.fill((account, market), (side, effect), (price, qty), (self.now, taker));
        let leg = self.positions.holding(account, market).map_or(0, |holding| holding.leg(side, effect));
        self.accounts.begin();
        self.accounts.gain(
            self.now,
            (account, settle),
            booked.realised,
            booked.held,
            Cause::RealisedPnl,
            about,
            self.updates,
        );
        let balance = self.accounts.balance(account, settle);
        let put_aside = Money(booked.held.0.max(0)).min(balance.available());
        if !put_aside.is_zero() {
            let row = Posting::new(Owner::Account(account), settle, Money::ZERO, Cause::Margin);
            self.accounts.post(self.now, Posting { hold: put_aside, ..row }, about, self.updates);
        }
        self.positions.margin_short(account, market, leg, Money(booked.held.0.max(0)) - put_aside);
        // Nobody pays a fee with what they do not have.
        let fee = fee.min(self.accounts.balance(account, settle).available());
        if !fee.is_zero() {
            for (owner, amount) in [(Owner::Account(account), -fee), (Owner::Fees, fee)] {
                self.accounts.post(
                    self.now,
                    Posting::new(owner, settle, amount, Cause::Fee),
                    about,
                    self.updates,
                );
            }
        }
        self.flat_fees(account, liquidity, about);
        if self.market.fees.has_tiers() {
            self.accounts.traded(account, self.now, value);
        }
        self.positions.note_paid(account, market, leg, fee, Money::ZERO);
        let side = self.positions.holding(account, market).map(|holding| holding.side_of(leg));
        let position = side.map(|side| {
            Box::new(PositionFill {
                side,
                effect,
                closed: booked.closed,
                value: settling.nearest(value),
                realised: booked.realised,
                settle,
            })
        });
        (fee, settle, position)
    }

    /// Hands on how an account's positions in this contract stand.
    pub(super) fn tell_positions(&mut self, account: AccountId, deliver_at: Timestamp) {
        for state in self.positions.show(self.accounts, account, self.market.id) {
            let at = self.now;
            hand_on(self.updates, || Update { at, deliver_at, body: UpdateBody::Position(Box::new(state)) });
        }
    }

    /// Cuts an account's orders that only close to what there is to close.
    pub(crate) fn trim(&mut self, account: AccountId) {
        let Some(holding) = self.positions.holding(account, self.market.id) else { return };
        let closing = holding.closing.clone();
        for side in Side::BOTH {
            let own = closing.iter().filter_map(|id| self.orders.find(*id));
            let mut slots: Vec<Slot> = own.filter(|slot| self.orders.live(*slot).side == side).collect();
            if self.positions.rules.trim == TrimFirst::LeastAggressive {
                // The worst price first; of one price the last that came.
                slots.reverse();
                slots.sort_by_key(|slot| {
                    let price = self.orders.live(*slot).price.units();
                    if side == Side::Buy { price } else { -price }
                });
            }
            let sum: Qty = slots.iter().map(|slot| self.orders.live(*slot).leaves()).sum();
            let mut excess = (sum - self.closable(account, side)).max(Qty::ZERO);
            for slot in slots {
                if excess.is_zero() {
                    break;
                }
                let leaves = self.orders.live(slot).leaves();
                if leaves <= excess {
                    excess -= leaves;
                    self.cancel(slot, CancelReason::NothingToReduce);
                } else {
                    self.cut(slot, excess);
                    excess = Qty::ZERO;
                }
            }
        }
        self.market.refresh_idle();
    }

    /// Makes a resting order smaller; it keeps its place.
    fn cut(&mut self, slot: Slot, by: Qty) {
        let live = self.orders.live_mut(slot);
        live.qty -= by;
        let (side, price, session, resting) = (live.side, live.price, live.session, live.is_resting());
        if resting && let Some(queue) = self.market.resting[side.index()].queue_at(price) {
            self.market.resting[side.index()].filled(queue, by);
        }
        let deliver_at = self.schedule.answer(self.now, session);
        self.tell(slot, session, 0, Told::Amended { kept_place: true }, deliver_at);
    }

    /// A mark or index price wakes the orders that wait for it.
    pub(crate) fn trigger_by(&mut self, by: crate::order::TriggerBy, price: crate::market::FinePrice) {
        let scale =
            u32::from(crate::market::FinePrice::SCALE) - u32::from(self.market.instrument.price_scale);
        let fine = |limit: Price| i128::from(limit.units()) * 10_i128.pow(scale);
        let (moved_to, price) = (price, i128::from(price.units()));
        self.follow(by, moved_to);
        let waiting: Vec<_> = self.market.waiting.iter().copied().collect();
        for id in waiting {
            let Some(slot) = self.orders.find(id) else { continue };
            let side = self.orders.live(slot).side;
            let met = self.orders.details(slot).trigger().is_some_and(|trigger| {
                trigger.by == by
                    && if trigger.rises(side) {
                        price >= fine(trigger.price)
                    } else {
                        price <= fine(trigger.price)
                    }
            });
            let may = met && self.market.trusted && self.market.trading;
            if may && !self.begin_calling(slot, moved_to) {
                self.wake(slot);
            }
        }
        self.market.refresh_idle();
    }
}
