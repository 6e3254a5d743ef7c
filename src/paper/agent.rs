//! A strategy that runs on a paper exchange: it is woken by the exchange's time, in whichever way that passes.
//!
//! It trades one session's account, beside whoever else uses the session, and sees what the session knows.

use std::sync::Arc;

use smol_str::SmolStr;

use super::{PaperError, PaperExchange, TraderView};
use crate::connector::{ClientIds, OrderRequest, OrderType, OwnOrders, PositionAction, TradeType};
use crate::market::{InstrumentId, Level, Price, Qty, Side, Timestamp};
use crate::order::{AccountId, NewOrder, OrderKind, OrderRef, OrderSize, PositionEffect, SessionId};
use crate::sim::{Fill, Liquidation, OrderUpdate, RequestBody, Setting, View};
use crate::strategy::{
    Ask, Funds, Held, MarketId, NextFunding, OrderKey, OwnBook, OwnOrder, Strategy, StrategyError,
    TradedMarket, Trading,
};

/// What a running strategy knows, beside what the exchange knows.
#[derive(Debug)]
struct Desk {
    session: SessionId,
    account: AccountId,
    ids: ClientIds,
    markets: Vec<TradedMarket>,
    first: MarketId,
    own: OwnBook,
    /// What went wrong when it last acted: the exchange could not be told.
    failure: Option<PaperError>,
}

/// A strategy at work on a paper exchange.
pub struct Agent {
    name: SmolStr,
    strategy: Box<dyn Strategy>,
    desk: Desk,
    started: Timestamp,
    wake: Option<Timestamp>,
}

impl std::fmt::Debug for Agent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agent").field("name", &self.name).field("wake", &self.wake).finish_non_exhaustive()
    }
}

impl Agent {
    /// The strategy's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// When it began.
    pub fn started(&self) -> Timestamp {
        self.started
    }

    /// When it wants to be woken.
    pub(super) fn wake_at(&self) -> Option<Timestamp> {
        self.wake
    }

    pub(super) fn see_order(&mut self, update: &OrderUpdate) {
        if update.session == self.desk.session {
            self.desk.own.see_setting(update);
            self.desk.own.see_order(0..u32::MAX, update);
        }
    }

    pub(super) fn see_fill(&mut self, fill: &Fill) {
        if fill.session == self.desk.session {
            self.desk.own.see_fill(0..u32::MAX, fill);
        }
    }

    /// A position was liquidated, of whichever account.
    pub(super) fn see_liquidation(&mut self, told: &Liquidation) {
        if told.account == self.desk.account {
            self.desk.own.see_liquidation(0, told);
        }
    }

    /// Tells the strategy what is new of its orders.
    pub(super) fn tell(&mut self, paper: &mut PaperExchange) -> Result<(), PaperError> {
        let mut hands = Hands { paper, desk: &mut self.desk };
        while let Some((order, news)) = hands.desk.own.next_news() {
            self.strategy.on_order(&mut hands, &order, news);
        }
        while let Some(answer) = hands.desk.own.next_answer() {
            self.strategy.on_setting(&mut hands, answer);
        }
        self.desk.failure.take().map_or(Ok(()), Err)
    }

    pub(super) fn tick(&mut self, paper: &mut PaperExchange) -> Result<(), PaperError> {
        let now = paper.now();
        let wake = self.strategy.tick(&mut Hands { paper, desk: &mut self.desk });
        self.wake = wake.filter(|wake| *wake > now);
        self.desk.failure.take().map_or(Ok(()), Err)
    }
}

/// A strategy that cannot be started, or ended.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// It cannot run here.
    #[error(transparent)]
    Strategy(#[from] StrategyError),
    /// The exchange cannot go on.
    #[error(transparent)]
    Paper(#[from] PaperError),
    /// One runs already.
    #[error("{0} is running; `stop` it first")]
    Running(SmolStr),
    /// None runs.
    #[error("no strategy is running")]
    None,
    /// The session is not open.
    #[error("the session is not open")]
    Session,
}

impl PaperExchange {
    /// Starts a strategy in a session; `first` is the market that it is about. One at a time.
    pub fn start_strategy(
        &mut self,
        connector: &str,
        session: SessionId,
        first: InstrumentId,
        ids: ClientIds,
        name: &str,
        strategy: Box<dyn Strategy>,
    ) -> Result<(), AgentError> {
        if let Some(running) = &self.agent {
            return Err(AgentError::Running(running.name.clone()));
        }
        let account = self.trader(session).ok_or(AgentError::Session)?.account;
        let config = self.sim().config();
        let markets = (0_u32..).zip(&config.markets).map(|(id, market)| {
            let rates = self.sim().fee_rates(account, InstrumentId(id));
            TradedMarket::new(connector.into(), market, &config.venue, rates)
        });
        let markets: Vec<TradedMarket> = markets.collect();
        let own = OwnBook::new(markets.len());
        let desk = Desk { session, account, ids, markets, first: MarketId(first.0), own, failure: None };
        let (name, started) = (SmolStr::from(name), self.now());
        let mut agent = Agent { name, strategy, desk, started, wake: None };
        let wake = agent.strategy.start(&mut Hands { paper: self, desk: &mut agent.desk })?;
        agent.wake = wake.filter(|wake| *wake > started);
        let failure = agent.desk.failure.take();
        self.agent = Some(agent);
        failure.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Ends the strategy: by default it cancels its orders, whose answers come as time passes. Returns its name and the
    /// numbers (in the session) of its orders that were not over.
    pub fn stop_strategy(&mut self) -> Result<(SmolStr, Vec<u64>), AgentError> {
        let Some(mut agent) = self.agent.take() else { return Err(AgentError::None) };
        let trader = self.trader(agent.desk.session);
        let number = |order: &OwnOrder| Some(trader?.by_client_id(&order.client_id)?.number);
        let open = agent.desk.own.orders().iter().filter_map(number).collect();
        agent.strategy.stop(&mut Hands { paper: self, desk: &mut agent.desk });
        agent.desk.failure.take().map_or(Ok((agent.name, open)), |error| Err(error.into()))
    }

    /// The strategy that runs, what it says of itself, and its orders that are not over.
    pub fn strategy_status(&mut self) -> Option<(SmolStr, Timestamp, Vec<String>)> {
        let mut agent = self.agent.take()?;
        let lines = agent.strategy.status(&Hands { paper: self, desk: &mut agent.desk });
        let told = (agent.name.clone(), agent.started, lines);
        self.agent = Some(agent);
        Some(told)
    }
}

/// The hands of a strategy on a paper exchange.
struct Hands<'a> {
    paper: &'a mut PaperExchange,
    desk: &'a mut Desk,
}

impl Hands<'_> {
    fn trader(&self) -> Option<&TraderView> {
        self.paper.trader(self.desk.session)
    }

    fn funds(&self, market: MarketId, base: bool) -> Funds {
        let names = self.paper.names();
        let pair = names.instrument(InstrumentId(market.0)).map(|instrument| &instrument.pair);
        let asset = pair.and_then(|pair| names.asset_index(if base { &pair.base } else { &pair.quote }));
        let (Some(asset), Some(trader)) = (asset, self.trader()) else { return Funds::default() };
        let balance = trader.balance(asset);
        Funds {
            total: names.decimal(asset, balance.total),
            available: names.decimal(asset, balance.available()),
        }
    }

    fn view(&self, own: OwnOrders) -> View {
        match (own, self.trader()) {
            (OwnOrders::Without, Some(trader)) => View::Without(trader.account),
            _ => View::Public,
        }
    }

    fn send(&mut self, ask: Ask) -> Option<(u64, crate::order::ClientOrderId)> {
        let names = Arc::clone(self.paper.names());
        let id = InstrumentId(ask.market.0);
        let instrument = names.instrument(id)?;
        let (trade_type, order_type) = (TradeType::from(ask.side), order_type(ask.kind));
        let (price, amount) =
            (ask.price.map(|price| instrument.price_decimal(price)), instrument.qty_decimal(ask.qty));
        let position = match ask.effect {
            PositionEffect::Net => PositionAction::Nil,
            PositionEffect::Open => PositionAction::Open,
            PositionEffect::Close => PositionAction::Close,
        };
        let request = OrderRequest::new(trade_type, instrument.pair.clone(), amount, order_type, price);
        let request = OrderRequest { position, ..request };
        let client_id = self.desk.ids.draw(trade_type, &instrument.pair);
        let order = NewOrder {
            instrument: id,
            client_id: Some(client_id.clone()),
            side: ask.side,
            kind: ask.kind,
            size: OrderSize::Qty(ask.qty),
            price: ask.price,
            tif: request.time_in_force,
            trigger: None,
            self_trade: None,
            effect: ask.effect,
        };
        match self.paper.send_order(self.desk.session, client_id.clone(), order, &request) {
            Ok(tag) => Some((tag, client_id)),
            Err(error) => {
                self.desk.failure = Some(error);
                None
            }
        }
    }
}

fn order_type(kind: OrderKind) -> OrderType {
    super::view::order_type(kind)
}

impl Trading for Hands<'_> {
    fn now(&self) -> Timestamp {
        self.paper.now()
    }

    fn markets(&self) -> &[TradedMarket] {
        &self.desk.markets
    }

    fn first(&self) -> MarketId {
        self.desk.first
    }

    fn best_price(&self, market: MarketId, side: Side, own: OwnOrders) -> Option<Price> {
        let id = InstrumentId(market.0);
        if !self.paper.sim().is_trusted(id) {
            return None;
        }
        self.paper.sim().best_price(id, side, self.view(own))
    }

    fn levels(&self, market: MarketId, side: Side, own: OwnOrders, depth: usize, levels: &mut Vec<Level>) {
        let all = self.paper.sim().levels(InstrumentId(market.0), side, self.view(own));
        levels.extend(all.take(depth));
    }

    fn has_book(&self, market: MarketId) -> bool {
        self.paper.sim().market(InstrumentId(market.0)).is_some_and(|market| !market.depth.is_thin())
    }

    fn last_trade(&self, market: MarketId) -> Option<Price> {
        self.paper.sim().last_trade(InstrumentId(market.0)).map(|(_, trade)| trade.price)
    }

    fn last_own_trade(&self, market: MarketId) -> Option<Price> {
        self.desk.own.last_fill(market)
    }

    fn base(&self, market: MarketId) -> Funds {
        self.funds(market, true)
    }

    fn quote(&self, market: MarketId) -> Funds {
        self.funds(market, false)
    }

    fn funding(&self, market: MarketId) -> Option<NextFunding> {
        NextFunding::of(self.paper.sim(), InstrumentId(market.0))
    }

    fn position(&self, market: MarketId) -> Qty {
        self.desk.own.position(market)
    }

    fn held(&self, market: MarketId) -> Vec<Held> {
        let known = self.trader().into_iter().flat_map(TraderView::positions);
        known.filter(|state| state.instrument.0 == market.0).filter_map(Held::of).collect()
    }

    fn orders(&self) -> &[OwnOrder] {
        self.desk.own.orders()
    }

    fn place(&mut self, ask: Ask) -> OrderKey {
        let now = self.paper.now();
        let Some((tag, client_id)) = self.send(ask) else { return OrderKey(0) };
        self.desk.own.sent(OrderKey(tag), client_id, ask, now);
        OrderKey(tag)
    }

    fn cancel(&mut self, order: OrderKey) {
        let Some(own) = self.desk.own.cancelling(order) else { return };
        let client_id = own.client_id.clone();
        let number =
            self.trader().and_then(|trader| trader.by_client_id(&client_id)).map(|known| known.number);
        let Some(number) = number else { return };
        let cancel = |order: OrderRef| RequestBody::Cancel(order);
        if let Err(error) = self.paper.send_about(self.desk.session, number, cancel) {
            self.desk.failure = Some(error);
        }
    }

    fn set(&mut self, market: MarketId, setting: Setting) {
        let body = RequestBody::Set { instrument: InstrumentId(market.0), setting };
        match self.paper.send(self.desk.session, body) {
            Ok(tag) => self.desk.own.setting_sent(tag),
            Err(error) => self.desk.failure = Some(error),
        }
    }
}
