//! What one trader knows: only what has come back.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use rust_decimal::Decimal;

use super::Dictionary;
use super::history::{History, Keep};
use crate::connector::{
    ConnectorEvent, EventBody, FeeType, InFlightOrder, OrderFill, OrderRequest, OrderState as State,
    OrderType, Position, PositionMode, PositionSide as PositionSideWord, TradeFee, TradeType,
};
use crate::market::{Asset, FinePrice, FundingRate, InstrumentId, Side, Timestamp};
use crate::order::{
    AccountId, CancelReason, ClientOrderId, Money, OrderId, OrderKind, OrderStatus, PositionSide,
    RejectReason, SessionId,
};
use crate::sim::{
    Balance, Fill, FundingPayment, LedgerEntry, Liquidation, OrderEvent, OrderState, OrderUpdate, Owner,
    PositionState, Rate,
};

/// An order as its owner knows it, with its number in the session.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// 1, 2, 3 … in the order of sending.
    pub number: u64,
    /// What its connector tells.
    pub order: InFlightOrder,
    /// What is traded.
    pub instrument: InstrumentId,
    /// The exchange's number, once it answered.
    pub id: Option<OrderId>,
    /// The exchange's last word.
    pub state: Option<OrderState>,
    /// Why it ended, where it was cancelled.
    pub cancelled: Option<CancelReason>,
    /// The tag of the request that placed it.
    pub tag: u64,
    /// Whether it waits at the door of an untrusted book.
    pub at_the_door: bool,
    /// When it was known to be done.
    pub done: Option<Timestamp>,
}

/// A fill with the order that it belongs to.
#[derive(Clone, Debug, PartialEq)]
pub struct FillRow {
    /// The number of its order in the session.
    pub number: u64,
    /// The order's client id.
    pub client_id: ClientOrderId,
    /// How the order meets the book.
    pub order_type: OrderType,
    /// When the order was sent.
    pub order_created: Timestamp,
    /// The fill.
    pub fill: Fill,
    /// When it happened.
    pub at: Timestamp,
}

/// How many events wait for a connector's owner at most; the oldest are dropped.
const MAX_EVENTS: usize = 65_536;
/// How many answers wait to be looked at; the oldest are dropped.
const MAX_ANSWERS: usize = 1_024;

/// What one session of an account knows.
#[derive(Debug)]
pub struct TraderView {
    /// Whose.
    pub account: AccountId,
    session: SessionId,
    names: Arc<Dictionary>,
    /// Boxed: they are large, and the nodes of the map are made and taken apart with each order.
    orders: BTreeMap<u64, Box<Known>>,
    sent: u64,
    by_client: BTreeMap<ClientOrderId, u64>,
    by_id: BTreeMap<OrderId, u64>,
    by_tag: BTreeMap<u64, u64>,
    /// Cancels and amends on their way, with the order that each is about.
    asked_of: BTreeMap<u64, u64>,
    balances: BTreeMap<u16, Balance>,
    unanswered: BTreeSet<u64>,
    answers: BTreeMap<u64, OrderEvent>,
    events: VecDeque<ConnectorEvent>,
    /// Clients ask over an exchange's own interface: no connector takes the events.
    served: bool,
    history: History,
    positions: BTreeMap<(InstrumentId, PositionSide), PositionState>,
}

impl TraderView {
    pub(super) fn new(account: AccountId, session: SessionId, names: Arc<Dictionary>) -> Self {
        Self {
            account,
            session,
            names,
            orders: BTreeMap::new(),
            sent: 0,
            by_client: BTreeMap::new(),
            by_id: BTreeMap::new(),
            by_tag: BTreeMap::new(),
            asked_of: BTreeMap::new(),
            balances: BTreeMap::new(),
            unanswered: BTreeSet::new(),
            answers: BTreeMap::new(),
            events: VecDeque::new(),
            served: false,
            history: History::default(),
            positions: BTreeMap::new(),
        }
    }

    /// All orders of the session that are remembered, by number.
    pub fn orders(&self) -> impl DoubleEndedIterator<Item = &Known> {
        self.orders.values().map(Box::as_ref)
    }

    /// An order by its number in the session.
    pub fn order(&self, number: u64) -> Option<&Known> {
        self.orders.get(&number).map(Box::as_ref)
    }

    /// An order by its client id.
    pub fn by_client_id(&self, id: &str) -> Option<&Known> {
        self.by_client.get(id).and_then(|number| self.order(*number))
    }

    /// An order by the exchange's number.
    pub fn by_exchange_id(&self, id: OrderId) -> Option<&Known> {
        self.by_id.get(&id).and_then(|number| self.order(*number))
    }

    /// The order that the request with that tag placed.
    pub fn by_tag(&self, tag: u64) -> Option<&Known> {
        self.by_tag.get(&tag).and_then(|number| self.order(*number))
    }

    /// What the account has of an asset.
    pub fn balance(&self, asset: u16) -> Balance {
        self.balances.get(&asset).copied().unwrap_or_default()
    }

    /// Its fills of this session that are remembered, oldest first.
    pub fn fills(&self) -> &[FillRow] {
        &self.history.fills
    }

    /// Its ledger rows of this session that are remembered, with their times, oldest first.
    pub fn ledger(&self) -> &[(Timestamp, LedgerEntry)] {
        &self.history.ledger
    }

    /// What fills that are no longer remembered had traded in the last 31 days, by hour: when the hour began, what was
    /// traded, and how much, in quote.
    pub fn forgotten_volumes(&self) -> impl Iterator<Item = (Timestamp, InstrumentId, Money)> {
        self.history.volumes.iter().copied()
    }

    /// Clients ask over an exchange's own interface, for days: only so much is remembered, and no events are kept.
    pub(super) fn serve(&mut self, keep: Keep) {
        (self.served, self.history.keep) = (true, keep);
        self.events = VecDeque::new();
    }

    /// Its positions as they were last told, by instrument; flat ones too.
    pub fn positions(&self) -> impl Iterator<Item = &PositionState> {
        self.positions.values()
    }

    /// The answer to a request, once it is back; taken.
    pub fn take_answer(&mut self, tag: u64) -> Option<OrderEvent> {
        self.answers.remove(&tag)
    }

    /// Whether a request has been answered.
    pub fn is_answered(&self, tag: u64) -> bool {
        !self.unanswered.contains(&tag)
    }

    pub(super) fn drain_events(&mut self) -> Vec<ConnectorEvent> {
        self.events.drain(..).collect()
    }

    pub(super) fn asked(&mut self, tag: u64) {
        self.unanswered.insert(tag);
    }

    /// An order is sent.
    pub(super) fn placed(
        &mut self,
        tag: u64,
        now: Timestamp,
        instrument: InstrumentId,
        client_id: ClientOrderId,
        request: &OrderRequest,
    ) {
        self.forget_some();
        self.sent += 1;
        let order = InFlightOrder {
            client_order_id: client_id.clone(),
            exchange_order_id: None,
            trading_pair: request.trading_pair.clone(),
            order_type: request.order_type,
            trade_type: request.trade_type,
            price: request.price,
            amount: request.amount,
            time_in_force: request.time_in_force,
            executed_amount_base: Decimal::ZERO,
            executed_amount_quote: Decimal::ZERO,
            current_state: State::PendingCreate,
            leverage: 1,
            position: request.position,
            creation_timestamp: now,
            last_update_timestamp: now,
            order_fills: BTreeMap::new(),
            reject: None,
            waiting: request.trigger.is_some(),
        };
        let known = Known {
            number: self.sent,
            order,
            instrument,
            id: None,
            state: None,
            cancelled: None,
            tag,
            at_the_door: false,
            done: None,
        };
        self.orders.insert(self.sent, Box::new(known));
        self.by_client.insert(client_id, self.sent);
        self.by_tag.insert(tag, self.sent);
    }

    /// A cancel or amend of an order is sent.
    pub(super) fn asked_of(&mut self, tag: u64, number: u64, is_cancel: bool) {
        self.asked_of.insert(tag, number);
        let known = self.orders.get_mut(&number).filter(|known| !known.order.current_state.is_done());
        if let Some(known) = known.filter(|_| is_cancel) {
            known.order.current_state = State::PendingCancel;
        }
    }

    fn forget_some(&mut self) {
        // Not where a fill comes: what it does to a position comes behind it.
        if self.history.has_many_fills() {
            let open = self.positions.iter().filter(|(_, state)| !state.qty.is_zero());
            let open = open.map(|(key, state)| (*key, state.qty));
            self.history.forget_fills(|number| self.orders.contains_key(&number), open);
        }
        if self.orders.len() < self.history.keep.orders {
            return;
        }
        let oldest = self.orders.values().find(|known| known.done.is_some()).map(|known| known.number);
        if let Some(known) = oldest.and_then(|number| self.orders.remove(&number)) {
            self.by_client.remove(&known.order.client_order_id);
            self.by_tag.remove(&known.tag);
            if let Some(id) = known.id {
                self.by_id.remove(&id);
            }
        }
    }

    fn tell(&mut self, timestamp: Timestamp, body: EventBody) {
        if self.served {
            return;
        }
        if self.events.len() == MAX_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(ConnectorEvent { timestamp, body });
    }

    /// A row of the ledger has come back.
    pub(super) fn see_ledger(&mut self, now: Timestamp, at: Timestamp, entry: &LedgerEntry) {
        if entry.owner != Owner::Account(self.account) {
            return;
        }
        let balance = Balance { total: entry.balance_after, held: entry.hold_after };
        self.balances.insert(entry.asset, balance);
        self.history.book(at, *entry);
        if let Some(asset) = self.names.asset(entry.asset).cloned() {
            let total_balance = self.names.decimal(entry.asset, balance.total);
            let available_balance = self.names.decimal(entry.asset, balance.available());
            self.tell(now, EventBody::Balance { asset_name: asset, total_balance, available_balance });
        }
    }

    /// A position has changed.
    pub(super) fn see_position(&mut self, now: Timestamp, state: &PositionState) {
        if state.account != self.account {
            return;
        }
        let before = self.positions.insert((state.instrument, state.side), state.clone());
        let was_flat = before.is_none_or(|before| before.qty.is_zero());
        if !(was_flat && state.qty.is_zero())
            && let Some(position) = position_of(state, &self.names)
        {
            self.tell(now, EventBody::Position(position));
        }
    }

    /// Funding was paid or received.
    pub(super) fn see_funding(&mut self, now: Timestamp, payment: &FundingPayment) {
        let pair = self.names.instrument(payment.instrument).map(|instrument| instrument.pair.clone());
        if let Some(trading_pair) = pair.filter(|_| payment.account == self.account) {
            let amount = self.names.decimal(payment.settle, payment.amount);
            let rate = Decimal::new(payment.rate.units(), u32::from(FundingRate::SCALE)).normalize();
            self.tell(now, EventBody::FundingPayment { trading_pair, amount, funding_rate: rate });
        }
    }

    /// A position was liquidated.
    pub(super) fn see_liquidation(&mut self, now: Timestamp, told: &Liquidation) {
        let names = Arc::clone(&self.names);
        let instrument = names.instrument(told.instrument).filter(|_| told.account == self.account);
        if let Some(instrument) = instrument {
            let (amount, mark_price) = (instrument.qty_decimal(told.qty), fine(told.mark));
            let trading_pair = instrument.pair.clone();
            self.tell(now, EventBody::Liquidation { trading_pair, amount, mark_price });
        }
    }

    /// The position mode of a contract changed, or did not.
    pub(super) fn see_mode(
        &mut self,
        now: Timestamp,
        instrument: InstrumentId,
        mode: PositionMode,
        refused: Option<RejectReason>,
    ) {
        let pair = self.names.instrument(instrument).map(|instrument| instrument.pair.clone());
        if let Some(trading_pair) = pair {
            let message = refused.map(|reason| reason.text().to_owned());
            self.tell(now, EventBody::PositionMode { trading_pair, position_mode: mode, message });
        }
    }

    /// A fill has come back. `rates` are the account's maker and taker rate.
    pub(super) fn see_fill(&mut self, now: Timestamp, at: Timestamp, fill: &Fill, rates: (Rate, Rate)) {
        let names = Arc::clone(&self.names);
        let (Some(number), Some(instrument)) =
            (self.by_id.get(&fill.order).copied(), names.instrument(fill.instrument))
        else {
            return;
        };
        let Some(known) = self.orders.get_mut(&number) else { return };
        let is_maker = fill.liquidity == crate::order::Liquidity::Maker;
        let fee = fee_of(fill, if is_maker { rates.0 } else { rates.1 }, &names);
        let row = OrderFill {
            trade_id: fill.id.to_string(),
            client_order_id: known.order.client_order_id.clone(),
            exchange_order_id: fill.order.to_string(),
            trading_pair: instrument.pair.clone(),
            fill_timestamp: at,
            fill_price: instrument.price_decimal(fill.price),
            fill_base_amount: instrument.qty_decimal(fill.qty),
            fill_quote_amount: names.quote_decimal(fill.instrument, fill.quote),
            fee: fee.clone(),
            is_maker,
        };
        known.order.executed_amount_base += row.fill_base_amount;
        known.order.executed_amount_quote =
            known.order.executed_amount_quote.saturating_add(row.fill_quote_amount);
        known.order.last_update_timestamp = now;
        let event = EventBody::OrderFilled {
            order_id: row.client_order_id.clone(),
            trading_pair: row.trading_pair.clone(),
            trade_type: known.order.trade_type,
            order_type: known.order.order_type,
            price: row.fill_price,
            amount: row.fill_base_amount,
            trade_fee: fee,
            exchange_trade_id: row.trade_id.clone(),
            exchange_order_id: row.exchange_order_id.clone(),
            position: known.order.position,
        };
        let client_id = row.client_order_id.clone();
        let (order_type, order_created) = (known.order.order_type, known.order.creation_timestamp);
        known.order.order_fills.insert(fill.id.0, row);
        let row = FillRow { number, client_id, order_type, order_created, fill: fill.clone(), at };
        self.history.fills.push(row);
        self.tell(now, event);
    }

    /// An answer or an order's event has come back.
    pub(super) fn see_order(&mut self, now: Timestamp, update: &OrderUpdate) {
        if update.session != self.session {
            return;
        }
        let number = self.number_of(update);
        if self.unanswered.remove(&update.tag) {
            self.answers.insert(update.tag, update.event);
            if self.answers.len() > MAX_ANSWERS {
                self.answers.pop_first();
            }
        }
        self.asked_of.remove(&update.tag);
        let Some(number) = number else { return };
        let names = Arc::clone(&self.names);
        let Some(known) = self.orders.get_mut(&number) else { return };
        let was_live = known.id.is_some() && known.order.current_state != State::PendingCreate;
        known.learn(now, update, &names);
        if let Some(id) = known.id {
            self.by_id.insert(id, number);
        }
        let event = match update.event {
            OrderEvent::Accepted if !was_live => Some(known.created()),
            OrderEvent::Rejected(reason) if !was_live => Some(known.failed(reason)),
            OrderEvent::Cancelled(CancelReason::Expired) => {
                Some(EventBody::OrderExpired { order_id: known.order.client_order_id.clone() })
            }
            OrderEvent::Cancelled(_) => Some(EventBody::OrderCancelled {
                order_id: known.order.client_order_id.clone(),
                exchange_order_id: known.order.exchange_order_id.clone(),
            }),
            OrderEvent::Filled if known.order.current_state == State::Filled => Some(known.completed()),
            _ => None,
        };
        if let Some(event) = event {
            self.tell(now, event);
        }
    }

    fn number_of(&self, update: &OrderUpdate) -> Option<u64> {
        let by_tag = self.by_tag.get(&update.tag).or_else(|| self.asked_of.get(&update.tag)).copied();
        let state = update.order.as_ref();
        by_tag.or_else(|| state.and_then(|s| self.by_id.get(&s.id)).copied()).or_else(|| {
            state.and_then(|s| s.client_id.as_ref()).and_then(|id| self.by_client.get(id)).copied()
        })
    }
}

impl Known {
    fn learn(&mut self, now: Timestamp, update: &OrderUpdate, names: &Dictionary) {
        self.order.last_update_timestamp = now;
        self.at_the_door = update.event == OrderEvent::AtTheDoor;
        if let Some(state) = &update.order {
            if state.id.0 != 0 {
                self.id = Some(state.id);
                self.order.exchange_order_id = Some(state.id.to_string());
            }
            self.order.waiting = state.status == OrderStatus::Waiting;
            if let Some(instrument) = names.instrument(state.instrument) {
                self.order.price =
                    state.price.map(|price| instrument.price_decimal(price)).or(self.order.price);
                if !state.qty.is_zero() {
                    self.order.amount = instrument.qty_decimal(state.qty);
                }
            }
        }
        match update.event {
            OrderEvent::Rejected(reason) if self.state.is_none() => {
                self.order.current_state = State::Failed;
                self.order.reject = Some(reason);
            }
            OrderEvent::Cancelled(reason) => {
                self.order.current_state = State::Canceled;
                self.cancelled = Some(reason);
            }
            // A cancel or amend was refused: the order is what it was.
            OrderEvent::Rejected(_) => {
                let status = self.state.as_ref().map(|state| state.status);
                self.order.current_state = status.map_or(State::Open, |status| state_of(status, State::Open));
            }
            // The order waits at the door: the exchange has it and has not decided.
            OrderEvent::AtTheDoor => {}
            _ => {
                if let Some(state) = &update.order {
                    self.order.current_state = state_of(state.status, self.order.current_state);
                }
            }
        }
        if !matches!(update.event, OrderEvent::AtTheDoor | OrderEvent::Rejected(_)) && update.order.is_some()
        {
            self.state.clone_from(&update.order);
        }
        if self.order.current_state.is_done() && self.done.is_none() {
            self.done = Some(now);
        }
    }

    fn created(&self) -> EventBody {
        let order = &self.order;
        EventBody::OrderCreated {
            trade_type: order.trade_type,
            order_type: order.order_type,
            trading_pair: order.trading_pair.clone(),
            amount: order.amount,
            price: order.price,
            order_id: order.client_order_id.clone(),
            creation_timestamp: order.creation_timestamp,
            exchange_order_id: order.exchange_order_id.clone(),
            position: order.position,
        }
    }

    fn completed(&self) -> EventBody {
        let order = &self.order;
        EventBody::OrderCompleted {
            trade_type: order.trade_type,
            order_id: order.client_order_id.clone(),
            base_asset: order.trading_pair.base.clone(),
            quote_asset: order.trading_pair.quote.clone(),
            base_asset_amount: order.executed_amount_base,
            quote_asset_amount: order.executed_amount_quote,
            order_type: order.order_type,
            exchange_order_id: order.exchange_order_id.clone(),
        }
    }

    fn failed(&self, reason: RejectReason) -> EventBody {
        EventBody::OrderFailure {
            order_id: self.order.client_order_id.clone(),
            order_type: self.order.order_type,
            error_message: reason.text().to_owned(),
            error_type: "RejectedByExchange",
        }
    }
}

/// A mark, index or entry price as a decimal.
pub(super) fn fine(price: FinePrice) -> Decimal {
    Decimal::new(price.units(), u32::from(FinePrice::SCALE)).normalize()
}

/// A position in a connector's words; `None` where it is flat.
pub(super) fn position_of(state: &PositionState, names: &Dictionary) -> Option<Position> {
    let instrument = names.instrument(state.instrument)?;
    if state.qty.is_zero() {
        return None;
    }
    Some(Position {
        trading_pair: instrument.pair.clone(),
        position_side: match (state.side, state.qty.units() < 0) {
            (crate::order::PositionSide::Long, _) => PositionSideWord::Long,
            (crate::order::PositionSide::Short, _) => PositionSideWord::Short,
            (crate::order::PositionSide::Net, false) => PositionSideWord::Long,
            (crate::order::PositionSide::Net, true) => PositionSideWord::Short,
        },
        unrealized_pnl: names.decimal(state.settle, state.unrealised),
        entry_price: state.entry.map(fine).unwrap_or_default(),
        amount: instrument.qty_decimal(state.qty),
        leverage: state.leverage.to_decimal(),
        mark_price: state.mark.map(fine),
        liquidation_price: state.liquidation.map(fine),
    })
}

fn state_of(status: OrderStatus, before: State) -> State {
    match status {
        OrderStatus::Filled => State::Filled,
        OrderStatus::Cancelled => State::Canceled,
        OrderStatus::Rejected => State::Failed,
        // A cancel on its way stays so until it is answered.
        _ if before == State::PendingCancel => before,
        OrderStatus::PartiallyFilled => State::PartiallyFilled,
        OrderStatus::Open | OrderStatus::Waiting => State::Open,
    }
}

/// A fill's fee as connectors speak of it: a percentage where the fee is one of the pair's own assets, else the exact
/// amount of the token.
fn fee_of(fill: &Fill, rate: Rate, names: &Dictionary) -> TradeFee {
    let asset = names.asset(fill.fee_asset);
    let pair = names.instrument(fill.instrument).map(|instrument| &instrument.pair);
    let is = |which: Option<&Asset>| asset.is_some() && asset == which;
    let fee_type = match fill.side {
        Side::Buy if !is(pair.map(|pair| &pair.base)) => FeeType::AddedToCost,
        _ => FeeType::DeductedFromReturns,
    };
    if is(pair.map(|pair| &pair.base)) || is(pair.map(|pair| &pair.quote)) {
        return TradeFee::percent(fee_type, rate.to_decimal());
    }
    let amount = names.decimal(fill.fee_asset, fill.fee);
    let flat_fees = asset.cloned().map(|token| crate::connector::TokenAmount { token, amount });
    TradeFee { flat_fees: flat_fees.into_iter().collect(), ..TradeFee::percent(fee_type, Decimal::ZERO) }
}

/// The connector's word for how an order meets the book.
pub(super) fn order_type(kind: OrderKind) -> OrderType {
    match kind {
        OrderKind::Limit => OrderType::Limit,
        OrderKind::LimitMaker => OrderType::LimitMaker,
        OrderKind::Market => OrderType::Market,
    }
}

/// The connector's word for a side.
pub(super) fn trade_type(side: Side) -> TradeType {
    TradeType::from(side)
}
