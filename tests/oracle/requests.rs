//! What arrives: orders, cancels and amends of the naive engine (rules 8 to 13 and 15).

use super::*;

impl NaiveExchange {
    // ---- Requests ---------------------------------------------------------------------------------------

    pub(super) fn on_request(&mut self, arrival: Arrival) {
        let request = arrival.request.clone();
        if !self.accounts.contains_key(&request.account) {
            let state = match &request.body {
                RequestBody::Place(new) => Some(self.refused(new, &arrival)),
                _ => None,
            };
            return self.reject(&request, RejectReason::UnknownAccount, state);
        }
        match &request.body {
            RequestBody::PlaceSpecial(_) | RequestBody::AmendSpecial(_) => {
                unreachable!("scenarios send plain orders only")
            }
            RequestBody::Place(new) => {
                let market = new.instrument.index();
                if market >= self.markets.len() {
                    let state = Some(self.refused(new, &arrival));
                    return self.reject(&request, RejectReason::UnknownInstrument, state);
                }
                if self.markets[market].trusted {
                    return self.place(&arrival, new);
                }
                let mut state = self.new_state(new, &arrival);
                state.id = OrderId(0);
                self.say_order(
                    request.session,
                    request.account,
                    request.tag,
                    OrderEvent::AtTheDoor,
                    Some(state),
                );
                self.markets[market].door.push(arrival);
            }
            RequestBody::Amend { order, price, qty } => match self.find(request.account, order) {
                Err(reason) => self.reject(&request, reason, None),
                Ok(id) => {
                    let state = self.state_of(id);
                    let market = state.instrument.index();
                    if self.markets[market].trusted {
                        return self.amend(&arrival, order, *price, *qty);
                    }
                    self.say_order(
                        request.session,
                        request.account,
                        request.tag,
                        OrderEvent::AtTheDoor,
                        Some(state),
                    );
                    self.markets[market].door.push(arrival);
                }
            },
            RequestBody::Cancel(order) => self.on_cancel(&request, order),
            RequestBody::Set { .. } => unreachable!("the scenarios have spot only"),
            RequestBody::CancelAll { instrument } => {
                for id in self.orders_of(request.account, *instrument) {
                    self.cancel(id, CancelReason::Requested, 0);
                }
                self.cancel_at_door(request.account, *instrument, CancelReason::Requested);
                self.say_order(request.session, request.account, request.tag, OrderEvent::Done, None);
            }
        }
    }

    pub(super) fn orders_of(&self, account: AccountId, instrument: Option<InstrumentId>) -> Vec<u64> {
        let wanted = |order: &Order| {
            order.account == account && instrument.is_none_or(|wanted| order.state.instrument == wanted)
        };
        self.orders.iter().filter(|(_, order)| wanted(order)).map(|(id, _)| *id).collect()
    }

    pub(super) fn find(&self, account: AccountId, order: &OrderRef) -> Result<u64, RejectReason> {
        let is_it = |id: u64, owner: AccountId, client_id: &Option<ClientOrderId>| {
            owner == account
                && match order {
                    OrderRef::Id(wanted) => wanted.0 == id,
                    OrderRef::Client(wanted) => client_id.as_ref() == Some(wanted),
                }
        };
        let mut live =
            self.orders.iter().filter(|(id, order)| is_it(**id, order.account, &order.state.client_id));
        if let Some((id, _)) = live.next() {
            return Ok(*id);
        }
        let closed =
            self.closed.iter().rev().find(|(id, order)| is_it(**id, order.account, &order.client_id));
        Err(match closed {
            Some((_, order)) if order.status == OrderStatus::Filled => RejectReason::AlreadyFilled,
            Some(_) => RejectReason::AlreadyCancelled,
            None => RejectReason::UnknownOrder,
        })
    }

    pub(super) fn on_cancel(&mut self, request: &Request, order: &OrderRef) {
        match self.find(request.account, order) {
            Ok(id) => {
                self.end(id, CancelReason::Requested, 0);
                self.say_order(request.session, request.account, request.tag, OrderEvent::Done, None);
            }
            Err(reason) => {
                let OrderRef::Client(client) = order else { return self.reject(request, reason, None) };
                for market in 0..self.markets.len() {
                    let at = self.markets[market].door.iter().position(|arrival| {
                        arrival.request.account == request.account
                            && matches!(&arrival.request.body, RequestBody::Place(new) if new.client_id.as_ref() == Some(client))
                    });
                    if let Some(at) = at {
                        let arrival = self.markets[market].door.remove(at);
                        self.end_at_door(&arrival, CancelReason::Requested);
                        let (session, account) = (request.session, request.account);
                        return self.say_order(session, account, request.tag, OrderEvent::Done, None);
                    }
                }
                self.reject(request, reason, None);
            }
        }
    }

    pub(super) fn end_at_door(&mut self, arrival: &Arrival, reason: CancelReason) -> OrderState {
        let RequestBody::Place(new) = &arrival.request.body else { unreachable!("orders only") };
        let mut state = self.new_state(new, arrival);
        state.id = OrderId(0);
        state.status = OrderStatus::Cancelled;
        let request = &arrival.request;
        let event = OrderEvent::Cancelled(reason);
        self.say_order(request.session, request.account, 0, event, Some(state.clone()));
        state
    }

    pub(super) fn cancel_at_door(
        &mut self,
        account: AccountId,
        instrument: Option<InstrumentId>,
        reason: CancelReason,
    ) {
        for market in 0..self.markets.len() {
            let wanted = |arrival: &Arrival| {
                arrival.request.account == account
                    && matches!(&arrival.request.body, RequestBody::Place(new)
                        if instrument.is_none_or(|wanted| wanted == new.instrument))
            };
            let (gone, stay) = std::mem::take(&mut self.markets[market].door).into_iter().partition(wanted);
            self.markets[market].door = stay;
            let gone: Vec<Arrival> = gone;
            for arrival in gone {
                self.end_at_door(&arrival, reason);
            }
        }
    }

    pub(super) fn on_admin(&mut self, admin: &Admin) {
        match *admin {
            Admin::OpenAccount(account) => {
                let nothing = vec![Balance::default(); self.assets.len()];
                self.accounts.entry(account).or_insert(nothing);
            }
            Admin::Deposit { account, asset, amount } => {
                let Some(balance) = self.accounts.get(&account).map(|all| all[usize::from(asset)]) else {
                    return;
                };
                let amount = Money(amount.0.max(-balance.available().0));
                if amount.is_zero() {
                    return;
                }
                self.last_transaction += 1;
                self.row(Owner::Account(account), asset, amount.0, 0, Cause::Deposit, 0, 0, None);
                self.row(Owner::Deposits, asset, -amount.0, 0, Cause::Deposit, 0, 0, None);
            }
            Admin::Hold(_) | Admin::Flatten(_) => unreachable!("scenarios are of spot"),
            Admin::EndSession(account) => {
                for id in self.orders_of(account, None) {
                    self.cancel(id, CancelReason::SessionEnded, 0);
                }
                self.cancel_at_door(account, None, CancelReason::SessionEnded);
            }
        }
    }

    // ---- Placing ----------------------------------------------------------------------------------------

    pub(super) fn new_state(&self, new: &NewOrder, arrival: &Arrival) -> OrderState {
        let qty = match new.size {
            OrderSize::Qty(qty) => qty,
            OrderSize::Quote(_) => Qty::ZERO,
        };
        OrderState {
            id: OrderId(0),
            client_id: new.client_id.clone(),
            instrument: new.instrument,
            side: new.side,
            kind: new.kind,
            tif: new.tif,
            price: new.price,
            qty,
            filled: Qty::ZERO,
            filled_quote: Money::ZERO,
            status: OrderStatus::Open,
            ahead: None,
            created: arrival.sent,
            arrived: self.now,
            extra: Extra::of(new),
        }
    }

    pub(super) fn refused(&self, new: &NewOrder, arrival: &Arrival) -> OrderState {
        OrderState { status: OrderStatus::Rejected, ..self.new_state(new, arrival) }
    }

    pub(super) fn place(&mut self, arrival: &Arrival, new: &NewOrder) {
        let request = &arrival.request;
        let order = Order {
            state: self.new_state(new, arrival),
            account: request.account,
            session: request.session,
            self_trade: new.self_trade.unwrap_or(self.config.venue.self_trade),
            held: 0,
        };
        if let Err(reason) = self.check(new, &order) {
            let state = self.refused(new, arrival);
            return self.reject(request, reason, Some(state));
        }
        if let (ClientIdScope::Day, Some(client)) = (self.config.venue.client_ids, &new.client_id) {
            self.client_ids_of_day.insert((request.account, self.day(), client.to_string()));
        }
        self.last_order += 1;
        let id = self.last_order;
        let market = new.instrument.index();
        let would_match =
            new.kind == OrderKind::LimitMaker && new.trigger.is_none() && self.would_match(&order);
        let is_waiting = new.trigger.is_some();
        let is_fok = new.tif == TimeInForce::Fok && !is_waiting;
        let unfillable = is_fok && !self.fills_whole(&order);
        self.orders.insert(id, order);
        let state = &mut self.orders.get_mut(&id).expect("just placed").state;
        state.id = OrderId(id);
        if is_waiting {
            state.status = OrderStatus::Waiting;
        }
        self.set_hold(id);
        let mut state = self.state_of(id);
        let rests = matches!(new.tif, TimeInForce::Gtc | TimeInForce::Gtd(_)) && !is_waiting;
        if let (Some(price), true) = (new.price, rests && !self.would_match(&self.orders[&id])) {
            let free = self.free_to_join(market, new.side, price.units());
            let laws = self.laws(market);
            let place = self.queue(market, new.side, price.units()).joining_place(free, laws);
            state.ahead = place.map(|place| self.shown_place(market, place));
        }
        self.say_order(request.session, request.account, request.tag, OrderEvent::Accepted, Some(state));
        if would_match {
            self.cancel(id, CancelReason::WouldMatch, 0);
        } else if unfillable {
            self.cancel(id, CancelReason::CannotFillWhole, 0);
        } else if !is_waiting {
            self.live(id);
        }
    }

    pub(super) fn day(&self) -> i64 {
        self.now.nanos().div_euclid(86_400_000_000_000)
    }

    pub(super) fn check(&self, new: &NewOrder, order: &Order) -> Result<(), RejectReason> {
        let market = new.instrument.index();
        let config = &self.config.markets[market];
        let is_market = new.kind == OrderKind::Market;
        if !config.tradable {
            return Err(RejectReason::NotTradable);
        }
        if !self.markets[market].trading {
            return Err(RejectReason::Halted);
        }
        if is_market == new.price.is_some() {
            return Err(RejectReason::PriceMissing);
        }
        let quote_sized = matches!(new.size, OrderSize::Quote(_));
        let rests = matches!(new.tif, TimeInForce::Gtc | TimeInForce::Gtd(_));
        let past = matches!(new.tif, TimeInForce::Gtd(at) if at <= self.now || is_market);
        let plain_buy =
            is_market && new.side == Side::Buy && new.tif != TimeInForce::Fok && new.trigger.is_none();
        let nonsense = (quote_sized && !plain_buy) || (new.kind == OrderKind::LimitMaker && !rests) || past;
        if nonsense {
            return Err(RejectReason::Unsupported);
        }
        if let Some(price) = new.price {
            self.check_price(market, price)?;
        }
        let notional_price = match new.price {
            Some(price) => Some(price.units()),
            None => self.pieces(order).first().map(|(price, _)| *price),
        };
        match new.size {
            OrderSize::Qty(qty) => self.check_qty(market, qty, notional_price)?,
            OrderSize::Quote(amount) => {
                if amount.0 <= 0 {
                    return Err(RejectReason::QtyNotPositive);
                }
                self.check_notional(market, amount.0)?;
            }
        }
        if let Some(client) = &new.client_id {
            let taken = match self.config.venue.client_ids {
                ClientIdScope::Open => false,
                ClientIdScope::Day => {
                    self.client_ids_of_day.contains(&(order.account, self.day(), client.to_string()))
                }
            };
            let taken = taken || self.find(order.account, &OrderRef::Client(client.clone())).is_ok();
            if taken {
                return Err(RejectReason::DuplicateClientId);
            }
        }
        if let Some(max) = self.config.venue.max_open_orders
            && self.orders_of(order.account, Some(new.instrument)).len() >= max as usize
        {
            return Err(RejectReason::TooManyOrders { max });
        }
        let post_only = new.kind == OrderKind::LimitMaker && new.trigger.is_none();
        if post_only && self.config.venue.post_only == PostOnlyAnswer::Reject && self.would_match(order) {
            return Err(RejectReason::WouldMatch);
        }
        match (is_market, new.trigger) {
            (true, None) => self.market_funds(order),
            (true, Some(_)) => Ok(()),
            (false, _) => self.funds(order, self.hold_of(order), 0),
        }
    }

    pub(super) fn check_price(&self, market: usize, price: Price) -> Result<(), RejectReason> {
        let rule = &self.config.markets[market].instrument.rule;
        if price.units() <= 0 || price > rule.max_price {
            return Err(RejectReason::PriceOutOfRange { max: rule.max_price });
        }
        if price.units() % rule.tick.units() != 0 {
            return Err(RejectReason::OffTick { tick: rule.tick });
        }
        Ok(())
    }

    pub(super) fn check_qty(&self, market: usize, qty: Qty, price: Option<i64>) -> Result<(), RejectReason> {
        let rule = &self.config.markets[market].instrument.rule;
        if qty.units() <= 0 {
            return Err(RejectReason::QtyNotPositive);
        }
        if qty < rule.min_qty {
            return Err(RejectReason::QtyTooSmall { min: rule.min_qty });
        }
        if qty > rule.max_qty {
            return Err(RejectReason::QtyTooLarge { max: rule.max_qty });
        }
        if qty.units() % rule.lot.units() != 0 {
            return Err(RejectReason::OffLot { lot: rule.lot });
        }
        match price {
            Some(price) => self.check_notional(market, self.quote_of(market, price, i128::from(qty.units()))),
            None => Ok(()),
        }
    }

    pub(super) fn check_notional(&self, market: usize, amount: i128) -> Result<(), RejectReason> {
        let instrument = &self.config.markets[market].instrument;
        let scale = self.scales[self.quote(market) as usize];
        let min = papertape::market::decimal::units_of(instrument.rule.min_notional, scale).expect("it fits");
        if amount < min { Err(RejectReason::NotionalTooSmall { min: Money(min) }) } else { Ok(()) }
    }

    pub(super) fn funds(&self, order: &Order, needed: i128, already: i128) -> Result<(), RejectReason> {
        let asset = self.held_asset(order);
        let available = self.balance(order.account, asset).available();
        let needed = needed - already;
        if needed > available.0 {
            return Err(RejectReason::InsufficientBalance { asset, needed: Money(needed), available });
        }
        Ok(())
    }

    /// A market order holds nothing; it needs what its walk would cost.
    pub(super) fn market_funds(&self, order: &Order) -> Result<(), RejectReason> {
        let market = order.state.instrument.index();
        let needed = match (order.state.side, order.state.quote_qty()) {
            (Side::Sell, _) => self.base_of(market, order.leaves()),
            (Side::Buy, Some(amount)) => amount.0 + self.most_fee(market, amount.0),
            (Side::Buy, None) => {
                let (_, cost) = self.look(order);
                cost + self.most_fee(market, cost)
            }
        };
        self.funds(order, needed, 0)
    }

    pub(super) fn would_match(&self, order: &Order) -> bool {
        !self.pieces(order).is_empty()
    }

    /// What an order could take at most, and what that would cost in quote.
    pub(super) fn look(&self, order: &Order) -> (i128, i128) {
        let market = order.state.instrument.index();
        let (mut qty, mut cost) = (0, 0);
        for (price, piece) in self.pieces(order) {
            let there = match piece {
                Piece::Market(there) => there,
                Piece::Paper(id) if self.orders[&id].account == order.account => match order.self_trade {
                    SelfTrade::None => self.orders[&id].leaves(),
                    SelfTrade::CancelMaker => 0,
                    SelfTrade::CancelTaker | SelfTrade::CancelBoth => break,
                },
                Piece::Paper(id) => self.orders[&id].leaves(),
            };
            let there = there.min(order.leaves() - qty);
            qty += there;
            cost += self.quote_of(market, price, there);
        }
        (qty, cost)
    }

    pub(super) fn fills_whole(&self, order: &Order) -> bool {
        self.look(order).0 == order.leaves()
    }

    /// Rule 8: all that an order may take, best price first, in the order of each price's queue.
    pub(super) fn pieces(&self, order: &Order) -> Vec<(i64, Piece)> {
        let market = order.state.instrument.index();
        let side = order.state.side.opposite();
        let laws = self.laws(market);
        let queues = &self.markets[market].queues[side.index()];
        let prices = self.markets[market].book[side.index()].keys().chain(queues.keys()).copied();
        let mut pieces = Vec::new();
        for price in better_first(side, prices) {
            if order.state.price.is_some_and(|limit| better(side, limit.units(), price)) {
                break;
            }
            let free = floor_to(self.free(market, side, price), laws.lot);
            let mut before = 0;
            if let Some(queue) = queues.get(&price) {
                for id in &queue.orders {
                    let upto = queue.places[id].map_or(free, |place| laws.shown(place).min(free));
                    if upto > before {
                        pieces.push((price, Piece::Market(upto - before)));
                        before = upto;
                    }
                    pieces.push((price, Piece::Paper(*id)));
                }
            }
            if free > before {
                pieces.push((price, Piece::Market(free - before)));
            }
        }
        pieces
    }

    /// An order becomes live: it takes what it may, and joins or ends.
    pub(super) fn live(&mut self, id: u64) {
        let order = &self.orders[&id];
        if order.state.tif == TimeInForce::Fok && !self.fills_whole(order) {
            return self.cancel(id, CancelReason::CannotFillWhole, 0);
        }
        let takes = order.state.kind != OrderKind::LimitMaker;
        if takes && let Some(reason) = self.take(id) {
            return self.cancel(id, reason, 0);
        }
        let Some(order) = self.orders.get(&id) else { return };
        if (order.is_market() || order.state.tif == TimeInForce::Ioc) && order.state.tif != TimeInForce::Fok {
            let market = order.state.instrument.index();
            let until = match self.config.markets[market].depth {
                FeedDepth::Prints => Some(Some(self.now.plus(std::time::Duration::from_secs(60)))),
                FeedDepth::Candles => Some(None),
                _ => None,
            };
            if let Some(until) = until {
                return self.markets[market].takers.push((id, until));
            }
        }
        if order.is_market() || matches!(order.state.tif, TimeInForce::Ioc | TimeInForce::Fok) {
            return self.cancel(id, CancelReason::BookExhausted, 0);
        }
        self.join(id);
    }

    pub(super) fn join(&mut self, id: u64) {
        let state = &self.orders[&id].state;
        let (market, side) = (state.instrument.index(), state.side);
        let price = state.price.expect("limit orders have a price").units();
        let free = self.free_to_join(market, side, price);
        let (now, laws) = (self.now, self.laws(market));
        let queue = self.queue(market, side, price);
        let place = queue.joining_place(free, laws);
        queue.join(now, id, place);
    }

    /// Takes; says why the rest must end at once, if it must.
    pub(super) fn take(&mut self, id: u64) -> Option<CancelReason> {
        let order = self.orders[&id].clone();
        let (market, side) = (order.state.instrument.index(), order.state.side);
        let mut budget = order.state.quote_qty().map(|amount| amount.0);
        for (price, piece) in self.pieces(&order) {
            let taker = self.orders.get(&id)?;
            let (there, maker) = match piece {
                Piece::Market(there) => (there, None),
                Piece::Paper(maker) => {
                    if self.orders[&maker].account == order.account {
                        match order.self_trade {
                            SelfTrade::None => {}
                            SelfTrade::CancelTaker => return Some(CancelReason::SelfTrade),
                            SelfTrade::CancelMaker => {
                                self.cancel(maker, CancelReason::SelfTrade, 0);
                                continue;
                            }
                            SelfTrade::CancelBoth => {
                                self.cancel(maker, CancelReason::SelfTrade, 0);
                                return Some(CancelReason::SelfTrade);
                            }
                        }
                    }
                    (self.orders[&maker].leaves(), Some(maker))
                }
            };
            let want = match budget {
                None => taker.leaves(),
                Some(left) => {
                    let unit = self.quote_of(market, price, 1);
                    let affordable = floor_to(left / unit, self.laws(market).lot);
                    if affordable == 0 {
                        return Some(CancelReason::FundsSpent);
                    }
                    affordable
                }
            };
            let qty = want.min(there);
            if order.is_market() && side == Side::Buy {
                let cost = self.quote_of(market, price, qty);
                let available = self.balance(order.account, self.quote(market)).available();
                if cost + self.most_fee(market, cost) > available.0 {
                    return Some(CancelReason::FundsSpent);
                }
            }
            if let Some(left) = &mut budget {
                *left -= self.quote_of(market, price, qty);
                let taker = self.orders.get_mut(&id).expect("checked above");
                taker.state.qty += Qty::from_units(qty as i64);
            }
            if let Some(maker) = maker {
                let ahead = self.place_of(maker).map(|place| self.shown_place(market, place));
                let why = (FillRule::PaperTaker, Evidence::Paper);
                if order.is_market() && self.orders[&maker].account == order.account {
                    let (base, quote) = (self.base(market), self.quote(market));
                    self.promised = Some(match side {
                        Side::Buy => (quote, self.quote_of(market, price, qty)),
                        Side::Sell => (base, self.base_of(market, self.orders[&id].leaves())),
                    });
                }
                self.fill(maker, price, qty, Liquidity::Maker, why, ahead);
                self.promised = None;
            } else {
                self.take_from_market(market, side.opposite(), price, qty);
            }
            let evidence = if maker.is_some() { Evidence::Paper } else { Evidence::Book };
            self.fill_of_sized(
                id,
                price,
                qty,
                (FillRule::Taking, evidence),
                budget.is_some_and(|left| left > 0),
            );
            self.say_trade(market, side, price, qty);
            if budget.is_some_and(|left| left > 0) && qty < there {
                return Some(CancelReason::FundsSpent); // more is there, and it costs too much
            }
        }
        None
    }

    // ---- Ends -------------------------------------------------------------------------------------------

    pub(super) fn cancel(&mut self, id: u64, reason: CancelReason, tag: u64) {
        self.end(id, reason, tag);
    }

    pub(super) fn end(&mut self, id: u64, reason: CancelReason, tag: u64) -> OrderState {
        self.leave_queue(id);
        let order = self.orders.get_mut(&id).expect("live orders only");
        order.state.status = OrderStatus::Cancelled;
        self.set_hold(id);
        self.say_about(id, tag, OrderEvent::Cancelled(reason));
        let order = self.orders.remove(&id).expect("live orders only");
        self.closed.insert(
            id,
            Closed {
                account: order.account,
                client_id: order.state.client_id.clone(),
                status: OrderStatus::Cancelled,
            },
        );
        order.state
    }

    pub(super) fn leave_queue(&mut self, id: u64) {
        for market in &mut self.markets {
            market.takers.retain(|(taker, _)| *taker != id);
        }
        let state = &self.orders[&id].state;
        if let Some(price) = state.price {
            let (market, side) = (state.instrument.index(), state.side);
            self.queue(market, side, price.units()).leave(id);
        }
    }

    // ---- Amends -----------------------------------------------------------------------------------------

    pub(super) fn amend(
        &mut self,
        arrival: &Arrival,
        order: &OrderRef,
        price: Option<Price>,
        qty: Option<Qty>,
    ) {
        let request = &arrival.request;
        let id = match self.find(request.account, order) {
            Ok(id) => id,
            Err(reason) => return self.reject(request, reason, None),
        };
        let old = self.orders[&id].clone();
        let market = old.state.instrument.index();
        let mut new = old.clone();
        new.state.price = price.or(old.state.price);
        new.state.qty = qty.unwrap_or(old.state.qty);
        let same_price = new.state.price == old.state.price;
        let below = new.state.qty <= old.state.filled && new.state.qty.units() > 0;
        let answer = if !self.markets[market].trading {
            Err(RejectReason::Halted)
        } else if same_price && new.state.qty == old.state.qty {
            Err(RejectReason::NothingToAmend)
        } else if old.is_market() || self.waits(id) {
            Err(RejectReason::Unsupported)
        } else if below && self.config.venue.refuse_amend_below_filled {
            Err(RejectReason::AmendBelowFilled)
        } else if below {
            Ok(())
        } else {
            self.check_amend(market, &old, &new)
        };
        if let Err(reason) = answer {
            let state = self.state_of(id);
            return self.reject(request, reason, Some(state));
        }
        if below {
            self.end(id, CancelReason::AmendedAway, 0);
            return self.say_order(request.session, request.account, request.tag, OrderEvent::Done, None);
        }
        let is_waiting = old.state.status == OrderStatus::Waiting;
        let kept_place = same_price && new.state.qty < old.state.qty;
        if !kept_place {
            self.leave_queue(id);
        }
        self.orders.insert(id, new);
        self.set_hold(id);
        let state = self.state_of(id);
        let event = OrderEvent::Amended { kept_place };
        self.say_order(request.session, request.account, request.tag, event, Some(state));
        if !kept_place && !is_waiting {
            self.live(id);
        }
    }

    pub(super) fn check_amend(&self, market: usize, old: &Order, new: &Order) -> Result<(), RejectReason> {
        let price = new.state.price.ok_or(RejectReason::PriceMissing)?;
        self.check_price(market, price)?;
        self.check_qty(market, new.state.qty, Some(price.units()))?;
        let resting = old.state.status != OrderStatus::Waiting;
        let moved = old.state.price != new.state.price;
        if resting && moved && new.state.kind == OrderKind::LimitMaker && self.would_match(new) {
            return Err(RejectReason::WouldMatch);
        }
        self.funds(new, self.hold_of(new), old.held)
    }
}
