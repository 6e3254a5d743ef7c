//! A new order arrives: what is checked, in which order; what it holds; where it goes.

use super::Slot;
use super::floor::Floor;
use super::queue::Place;
use super::resting::Birth;
use super::taking::{Stopped, Taker};
use super::tell::Told;
use crate::market::{FeedDepth, Price, Qty, Side};
use crate::order::{
    AccountId, CancelReason, Money, NewOrder, OrderId, OrderKind, OrderSize, OrderStatus, PositionEffect,
    RejectReason, TimeInForce,
};
use crate::sim::schedule::Pending;
use crate::sim::{Extra, OrderEvent, OrderState, PostOnlyAnswer, RequestBody};

impl Floor<'_> {
    /// A request about this market arrives. Orders and amends wait at the door while the book is not trusted.
    pub(crate) fn arrive(&mut self, pending: &Pending) {
        if self.market.trusted {
            self.decide(pending);
        } else {
            self.wait_at_the_door(pending);
        }
        self.market.refresh_idle();
    }

    #[cold]
    fn wait_at_the_door(&mut self, pending: &Pending) {
        let body = &pending.request.body;
        if body.order().is_none() && body.amended().is_none() {
            return;
        }
        match body.amended().and_then(|order| self.find(pending.request.account, order)) {
            Some(slot) => self.answer_with(&pending.request, slot, Told::AtTheDoor),
            None => {
                let state = body.order().map(|order| unborn(order, pending, self.now, OrderStatus::Open));
                self.answer(&pending.request, OrderEvent::AtTheDoor, state);
            }
        }
        self.market.door.push_back(pending.clone());
    }

    /// The book is trusted again: who waits at the door is decided, in order.
    pub(super) fn open_door(&mut self) {
        while self.market.trusted
            && let Some(pending) = self.market.door.pop_front()
        {
            self.decide(&pending);
        }
    }

    fn decide(&mut self, pending: &Pending) {
        let answer = match &pending.request.body {
            RequestBody::Place(order) => self.place(order, None, pending),
            RequestBody::PlaceSpecial(special) => self.place_special(special, pending),
            RequestBody::Amend { order, price, qty } => self.amend(order, *price, *qty, pending),
            RequestBody::AmendSpecial(change) => self.amend_special(change, pending),
            RequestBody::Cancel(_) | RequestBody::CancelAll { .. } | RequestBody::Set { .. } => Ok(()),
        };
        if let Err(reason) = answer {
            self.refuse(pending, OrderEvent::Rejected(reason));
        }
    }

    #[cold]
    fn refuse(&mut self, pending: &Pending, event: OrderEvent) {
        let request = &pending.request;
        match &request.body {
            RequestBody::Place(_) | RequestBody::PlaceSpecial(_) => {
                let order = request.body.order();
                let state = order.map(|order| unborn(order, pending, self.now, OrderStatus::Rejected));
                self.answer(request, event, state);
            }
            body => {
                let Some(order) = body.amended() else { return };
                match self.find(request.account, order) {
                    Some(slot) => {
                        let state = self.orders.state(slot, self.market.lot(), false);
                        self.answer(request, event, Some(state));
                    }
                    None => self.answer(request, event, None),
                }
            }
        }
    }

    /// `asked`: what few orders ask for, beside what the order itself says.
    pub(super) fn place(
        &mut self,
        order: &NewOrder,
        asked: Option<&Extra>,
        pending: &Pending,
    ) -> Result<(), RejectReason> {
        let account = pending.request.account;
        self.check_kind(order)?;
        self.check_size(order)?;
        if let Some(client_id) = &order.client_id
            && !self.counters.clients.is_free(account, client_id, self.ids_by_day())
        {
            return Err(RejectReason::DuplicateClientId);
        }
        if let Some(max) = self.config.venue.max_open_orders
            && self.counters.clients.open(account, self.market.id) >= max
        {
            return Err(RejectReason::TooManyOrders { max });
        }
        self.check_waiting(order, account)?;
        self.check_trigger(order)?;
        self.check_band(order)?;
        let crosses =
            order.trigger.is_none() && order.price.is_some_and(|price| self.would_match(order.side, price));
        let matches = crosses && order.kind == OrderKind::LimitMaker;
        if matches && self.config.venue.post_only == PostOnlyAnswer::Reject {
            return Err(RejectReason::WouldMatch);
        }
        let (hold, useless) = if self.is_contract() {
            let has_a_use = self.has_a_use(order, account)?;
            self.check_margin(order, account)?;
            (Money::ZERO, !has_a_use)
        } else {
            (self.check_funds(order, account)?, false)
        };
        let place = if useless || crosses { None } else { self.sure_place(order) };
        let slot = self.accept(order, asked, pending, hold, place);
        match place {
            Some(place) => self.join(slot, place),
            None if useless => self.cancel(slot, CancelReason::NothingToReduce),
            None if matches => self.cancel(slot, CancelReason::WouldMatch),
            None if order.trigger.is_none() => self.go_live(slot),
            None => {}
        }
        Ok(())
    }

    fn check_kind(&self, order: &NewOrder) -> Result<(), RejectReason> {
        if !self.market.tradable {
            return Err(RejectReason::NotTradable);
        }
        if !self.market.trading {
            return Err(RejectReason::Halted);
        }
        let market = order.kind == OrderKind::Market;
        if market != order.price.is_none() {
            return Err(RejectReason::PriceMissing);
        }
        let quote = matches!(order.size, OrderSize::Quote(_));
        let lives = match order.tif {
            TimeInForce::Gtc => true,
            TimeInForce::Gtd(time) => !market && time > self.now,
            TimeInForce::Ioc => order.kind != OrderKind::LimitMaker,
            TimeInForce::Fok => order.kind != OrderKind::LimitMaker && !quote,
        };
        let sized = !quote || (market && order.side == Side::Buy && order.trigger.is_none());
        if lives && sized { Ok(()) } else { Err(RejectReason::Unsupported) }
    }

    fn check_size(&self, order: &NewOrder) -> Result<(), RejectReason> {
        if let Some(price) = order.price {
            self.check_price(price)?;
        }
        if let Some(trigger) = &order.trigger {
            self.check_price(trigger.price)?;
        }
        match order.size {
            OrderSize::Quote(amount) if amount.0 <= 0 => Err(RejectReason::QtyNotPositive),
            OrderSize::Quote(amount) if amount.0 > self.market.units.most * self.market.units.notional => {
                Err(RejectReason::QtyTooLarge { max: self.market.instrument.rule.max_qty })
            }
            OrderSize::Quote(amount) => self.check_notional(amount),
            OrderSize::Qty(qty) => {
                self.check_qty(qty)?;
                self.check_product(order.price.unwrap_or(self.market.instrument.rule.max_price), qty)?;
                let price =
                    order.price.or_else(|| self.market.next_price(order.side.opposite(), None, self.now));
                price.map_or(Ok(()), |price| self.check_notional(self.market.units.cost(price, qty)))
            }
        }
    }

    pub(super) fn check_price(&self, price: Price) -> Result<(), RejectReason> {
        let rule = &self.market.instrument.rule;
        if price.units() <= 0 || price > rule.max_price {
            return Err(RejectReason::PriceOutOfRange { max: rule.max_price });
        }
        if rule.tick.units() != 1 && price.units() % rule.tick.units() != 0 {
            return Err(RejectReason::OffTick { tick: rule.tick });
        }
        Ok(())
    }

    pub(super) fn check_qty(&self, qty: Qty) -> Result<(), RejectReason> {
        let rule = &self.market.instrument.rule;
        if qty.units() <= 0 {
            return Err(RejectReason::QtyNotPositive);
        }
        if qty < rule.min_qty {
            return Err(RejectReason::QtyTooSmall { min: rule.min_qty });
        }
        if qty > rule.max_qty {
            return Err(RejectReason::QtyTooLarge { max: rule.max_qty });
        }
        if qty != qty.floor_to(rule.lot) {
            return Err(RejectReason::OffLot { lot: rule.lot });
        }
        Ok(())
    }

    /// Refuses what would not fit the ledger's 128 bits; no order of a real size comes near.
    pub(super) fn check_product(&self, price: Price, qty: Qty) -> Result<(), RejectReason> {
        let most = self.market.units.most;
        if i128::from(price.units()) * i128::from(qty.units()) <= most {
            return Ok(());
        }
        let max = i64::try_from(most / i128::from(price.units())).unwrap_or(i64::MAX);
        Err(RejectReason::QtyTooLarge { max: Qty::from_units(max).floor_to(self.market.lot()) })
    }

    pub(super) fn check_notional(&self, cost: Money) -> Result<(), RejectReason> {
        let min = self.market.units.min_notional;
        if cost < min { Err(RejectReason::NotionalTooSmall { min }) } else { Ok(()) }
    }

    /// What the order will hold; refused whole where the account cannot pay.
    fn check_funds(&self, order: &NewOrder, account: AccountId) -> Result<Money, RejectReason> {
        let self_trade = order.self_trade.unwrap_or(self.config.venue.self_trade);
        let asset = self.market.held_asset(order.side);
        let (needed, hold) = match (order.price, order.size) {
            (Some(price), OrderSize::Qty(qty)) => {
                let hold = self.market.hold(order.side, price, qty);
                (hold, hold)
            }
            (_, OrderSize::Quote(amount)) => (self.market.with_fee(amount), Money::ZERO),
            (None, OrderSize::Qty(qty)) if order.side == Side::Sell => {
                (self.market.units.base(qty), Money::ZERO)
            }
            (None, OrderSize::Qty(qty)) => {
                let (_, cost) = self.look(account, order.side, None, qty, self_trade);
                (self.market.with_fee(cost), Money::ZERO)
            }
        };
        let needed = if order.trigger.is_some() && order.price.is_none() { Money::ZERO } else { needed };
        let available = self.accounts.balance(account, asset).available();
        if needed > available {
            return Err(RejectReason::InsufficientBalance { asset, needed, available });
        }
        Ok(hold)
    }

    fn accept(
        &mut self,
        order: &NewOrder,
        asked: Option<&Extra>,
        pending: &Pending,
        hold: Money,
        place: Option<Place>,
    ) -> Slot {
        let id = self.next_id();
        let waiting = order.trigger.is_some();
        let slot = self.orders.create(&Birth {
            id,
            order,
            account: pending.request.account,
            session: pending.request.session,
            self_trade: order.self_trade.unwrap_or(self.config.venue.self_trade),
            held: !hold.is_zero(),
            created: pending.sent,
            arrived: self.now,
        });
        if let Some(asked) = asked {
            self.ask_more(slot, asked);
        }
        let client_id = order.client_id.as_ref();
        let by_day = self.ids_by_day();
        self.counters.clients.opened(pending.request.account, self.market.id, id, client_id, by_day);
        self.hold_more(slot, hold);
        let qty = self.orders.live(slot).leaves();
        self.work(slot, Qty::ZERO, qty);
        if waiting {
            self.market.waiting.insert(id);
        }
        if let TimeInForce::Gtd(time) = order.tif {
            self.schedule.expire_at(time, id);
        }
        // It tells where it is going to stand.
        if let Some(place) = place {
            self.orders.live_mut(slot).ahead = place;
            self.orders.set_joined(slot, self.counters.joined + 1);
        }
        self.answer_with(&pending.request, slot, Told::Accepted);
        slot
    }

    /// Notes what few orders ask for.
    fn ask_more(&mut self, slot: Slot, asked: &Extra) {
        if asked.display.is_some() || asked.peg.is_some() || asked.whole || asked.is_led() {
            let extra = self.orders.details_mut(slot).extra.get_or_insert_default();
            (extra.display, extra.follows, extra.whole) = (asked.display, asked.follows, asked.whole);
            (extra.callback, extra.peg) = (asked.callback, asked.peg);
            self.market.trails += u32::from(asked.is_led());
        }
    }

    /// Where an order that arrives and takes nothing will stand, if it is sure to join.
    fn sure_place(&self, order: &NewOrder) -> Option<Place> {
        let rests = matches!(order.tif, TimeInForce::Gtc | TimeInForce::Gtd(_)) && order.trigger.is_none();
        let price = order.price.filter(|_| rests)?;
        Some(self.joining_place(order.side, price))
    }

    /// Where an order that joins now would stand.
    pub(super) fn joining_place(&self, side: Side, price: Price) -> Place {
        let ahead = match self.config.queue {
            crate::sim::QueueModel::Front => Place::FRONT,
            _ => self.market.place_at(side, price, self.now),
        };
        if self.market.depth == FeedDepth::Full {
            // Every place here is known and clamped to what is free: the last one cannot be behind that.
            return ahead;
        }
        let resting = &self.market.resting[side.index()];
        let last =
            resting.queue_at(price).and_then(|queue| resting.queue(queue).slots(self.orders).next_back());
        ahead.max(last.map_or(Place::FRONT, |slot| self.orders.live(slot).ahead))
    }

    /// An accepted order meets the book: it takes what it may, and joins with the rest.
    pub(super) fn go_live(&mut self, slot: Slot) {
        let live = self.orders.live(slot);
        let (side, price, qty, account) = (live.side, live.price, live.leaves(), live.account);
        let (kind, self_trade) = (live.kind, live.self_trade);
        let (tif, budget) = (self.orders.tif(slot), self.orders.details(slot).quote_qty());
        let limit = (kind != OrderKind::Market).then_some(price);
        if tif == TimeInForce::Fok && self.look(account, side, limit, qty, self_trade).0 < qty {
            self.cancel(slot, CancelReason::CannotFillWhole);
            return;
        }
        let stopped = if kind == OrderKind::LimitMaker {
            Stopped::Exhausted
        } else {
            let bound = limit.or_else(|| self.protection(side));
            self.take(&mut Taker { slot, limit: bound, budget, unheld: limit.is_none() })
        };
        let rests = limit.is_some() && matches!(tif, TimeInForce::Gtc | TimeInForce::Gtd(_));
        match stopped {
            Stopped::Whole if budget.is_none() => {}
            Stopped::Whole => self.forget(slot, OrderStatus::Filled),
            Stopped::Exhausted if rests => {
                let place = self.joining_place(side, price);
                self.join(slot, place);
            }
            Stopped::Exhausted if self.waits(kind, tif) => self.wait(slot),
            Stopped::Exhausted => self.cancel(slot, CancelReason::BookExhausted),
            Stopped::SelfTrade => self.cancel(slot, CancelReason::SelfTrade),
            Stopped::Spent if self.is_contract() => self.cancel(slot, CancelReason::NothingToReduce),
            Stopped::Spent => self.cancel(slot, CancelReason::FundsSpent),
        }
    }

    /// Joins the back of the queue at its price.
    pub(super) fn join(&mut self, slot: Slot, ahead: Place) {
        self.hide(slot);
        self.counters.joined += 1;
        self.orders.set_joined(slot, self.counters.joined);
        let live = self.orders.live_mut(slot);
        live.ahead = ahead;
        let side = live.side;
        self.market.resting[side.index()].join(self.orders, slot);
        self.note_closing(slot);
    }

    pub(super) fn wake(&mut self, slot: Slot) {
        self.forget_trail(slot);
        self.ask_again(slot);
        let live = self.orders.live(slot);
        let (id, account, side, price, qty) = (live.id, live.account, live.side, live.price, live.leaves());
        self.market.waiting.remove(&id);
        let live = self.orders.live_mut(slot);
        live.waiting = false;
        let (kind, session, self_trade) = (live.kind, live.session, live.self_trade);
        let deliver_at = self.schedule.answer(self.now, session);
        self.tell(slot, session, 0, Told::Triggered, deliver_at);
        if self.is_contract() {
            return self.wake_in_contract(slot);
        }
        let asset = self.market.held_asset(side);
        let needed = match (kind, side) {
            (OrderKind::Market, Side::Sell) => self.market.units.base(qty),
            (OrderKind::Market, Side::Buy) => {
                let (_, cost) = self.look(account, side, None, qty, self_trade);
                self.market.with_fee(cost)
            }
            _ => Money::ZERO,
        };
        if needed > self.accounts.balance(account, asset).available() {
            self.cancel(slot, CancelReason::FundsSpent);
        } else if kind == OrderKind::LimitMaker && self.would_match(side, price) {
            self.cancel(slot, CancelReason::WouldMatch);
        } else {
            self.go_live(slot);
        }
    }

    /// An order in a contract has no margin put aside while it waits: it is looked for now.
    fn wake_in_contract(&mut self, slot: Slot) {
        let live = self.orders.live(slot);
        let (account, side, price, qty) = (live.account, live.side, live.price, live.leaves());
        let (kind, self_trade) = (live.kind, live.self_trade);
        let value = match kind {
            OrderKind::Market => self.look(account, side, None, qty, self_trade).1,
            OrderKind::Limit | OrderKind::LimitMaker => self.worth(price, qty),
        };
        let closes = self.effect(slot) == PositionEffect::Close;
        if closes && self.fillable(slot).is_zero() {
            self.orders.live_mut(slot).waiting = true;
            self.cancel(slot, CancelReason::NothingToReduce);
        } else if !closes && self.check_more(account, side, qty, value).is_err() {
            // It never worked: its margin is not to be given back.
            self.orders.live_mut(slot).waiting = true;
            self.cancel(slot, CancelReason::FundsSpent);
        } else {
            self.work(slot, Qty::ZERO, qty);
            if kind == OrderKind::LimitMaker && self.would_match(side, price) {
                self.cancel(slot, CancelReason::WouldMatch);
            } else {
                self.go_live(slot);
            }
        }
    }
}

/// An order that has no number (yet).
pub(crate) fn unborn(
    order: &NewOrder,
    pending: &Pending,
    now: crate::market::Timestamp,
    status: OrderStatus,
) -> OrderState {
    let qty = match order.size {
        OrderSize::Qty(qty) => qty,
        OrderSize::Quote(_) => Qty::ZERO,
    };
    OrderState {
        id: OrderId(0),
        client_id: order.client_id.clone(),
        instrument: order.instrument,
        side: order.side,
        kind: order.kind,
        tif: order.tif,
        price: order.price,
        qty,
        filled: Qty::ZERO,
        filled_quote: Money::ZERO,
        status,
        ahead: None,
        created: pending.sent,
        arrived: now,
        extra: Extra::of(order),
    }
}
