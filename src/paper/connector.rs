//! The paper connector: the connector trait over a running paper exchange.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rust_decimal::Decimal;
use smol_str::SmolStr;

use super::special;
use super::view::TraderView;
use super::{AgentError, PaperError, PaperExchange, Stop};
use crate::connector::{
    BookView, CancellationResult, ClientIds, Connector, ConnectorError, ConnectorEvent, ConnectorRule,
    FundingInfo, InFlightOrder, NetworkStatus, OrderRequest, OrderType, OwnOrders, Position, PositionAction,
    PositionMode, PriceType, QueryResult, Special, TokenAmount, TradeFee, TradeFeeSchema, TradeType,
    decimals,
};
use crate::market::decimal::units_of;
use crate::market::{
    Asset, DepthQuery, FundingRate, Instrument, InstrumentId, Pair, Price, Qty, Side, Timestamp,
    price_for_quote_volume, price_for_volume, volume_for_price, vwap_for_volume,
};
use crate::order::{
    ClientOrderId, Leverage, NewOrder, OrderKind, OrderSize, PositionEffect, SessionId, Trigger,
};
use crate::sim::{BuyFee, OrderEvent, RequestBody, Setting, View};
use crate::strategy::Strategy;

/// A paper exchange that several hands share: its connectors, and whoever lets its time pass.
#[derive(Clone)]
pub struct PaperHandle(Arc<Mutex<PaperExchange>>);

/// Shares a paper exchange.
pub fn share(paper: PaperExchange) -> PaperHandle {
    PaperHandle(Arc::new(Mutex::new(paper)))
}

impl PaperHandle {
    /// The exchange, for as long as the guard lives.
    pub fn lock(&self) -> MutexGuard<'_, PaperExchange> {
        // A panic is our bug, not the exchange's end: its state is changed by single, whole steps.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<PaperError> for ConnectorError {
    fn from(error: PaperError) -> Self {
        Self::Market(error.to_string())
    }
}

/// Trades one account of a paper exchange.
#[derive(Clone)]
pub struct PaperConnector {
    name: SmolStr,
    session: SessionId,
    paper: PaperHandle,
    ids: ClientIds,
    /// Amounts of assets that the account has and that this run does not trade.
    idle: BTreeMap<Asset, Decimal>,
}

impl PaperConnector {
    /// The connector `name` (`bitmart_paper_trade`) over a session that is open.
    pub fn new(name: &str, session: SessionId, paper: PaperHandle, ids: ClientIds) -> Self {
        Self { name: name.into(), session, paper, ids, idle: BTreeMap::new() }
    }

    /// The same with amounts of assets that this run does not trade.
    #[must_use]
    pub fn with_idle(self, idle: BTreeMap<Asset, Decimal>) -> Self {
        Self { idle, ..self }
    }

    /// The paper exchange behind it.
    pub fn handle(&self) -> &PaperHandle {
        &self.paper
    }

    /// The session that it trades on.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// Sends an order under a client id of the caller's choice and returns its number in the session.
    pub fn place_as(
        &mut self,
        client_id: ClientOrderId,
        request: OrderRequest,
    ) -> Result<u64, ConnectorError> {
        let mut paper = self.paper.lock();
        let (order, request) = self.new_order(&paper, client_id.clone(), request)?;
        if request.special == Special::default() {
            paper.send_order(self.session, client_id.clone(), order, &request)?;
        } else {
            let (_, instrument) = find(&paper, &request.trading_pair)?;
            let special = special::asked(instrument, order, &request)?;
            paper.send_special(self.session, client_id.clone(), special, &request)?;
        }
        let trader = self.trader(&paper)?;
        let known = trader.by_client_id(&client_id).ok_or(ConnectorError::UnknownOrder(client_id))?;
        Ok(known.number)
    }

    /// Starts a strategy on this session; `first` is the market that it is about.
    pub fn start_strategy(
        &mut self,
        first: InstrumentId,
        name: &str,
        strategy: Box<dyn Strategy>,
    ) -> Result<(), AgentError> {
        let ids = self.ids.fork();
        self.paper.lock().start_strategy(&self.name, self.session, first, ids, name, strategy)
    }

    fn trader<'a>(&self, paper: &'a PaperExchange) -> Result<&'a TraderView, ConnectorError> {
        let missing = || ConnectorError::Unsupported("the session is not open".to_owned());
        paper.trader(self.session).ok_or_else(missing)
    }

    /// The request in the instrument's numbers, and as it was sent after quantising.
    fn new_order(
        &self,
        paper: &PaperExchange,
        client_id: ClientOrderId,
        mut request: OrderRequest,
    ) -> Result<(NewOrder, OrderRequest), ConnectorError> {
        let (id, instrument) = find(paper, &request.trading_pair)?;
        let side = match request.trade_type {
            TradeType::Buy => Side::Buy,
            TradeType::Sell => Side::Sell,
            TradeType::Range => {
                return Err(ConnectorError::Unsupported("RANGE orders are not traded here".into()));
            }
        };
        if request.quantize {
            request.amount = floor(request.amount, instrument.qty_decimal(instrument.rule.lot));
            let tick = instrument.price_decimal(instrument.rule.tick);
            request.price = request.price.map(|price| floor(price, tick));
        }
        let trigger = match request.trigger {
            Some((kind, price, by)) => Some(Trigger { kind, price: to_price(instrument, price)?, by }),
            None => None,
        };
        let order = NewOrder {
            instrument: id,
            client_id: Some(client_id),
            side,
            kind: kind_of(request.order_type),
            size: OrderSize::Qty(to_qty(instrument, request.amount)?),
            price: request.price.map(|price| to_price(instrument, price)).transpose()?,
            tif: request.time_in_force,
            trigger,
            self_trade: request.self_trade,
            effect: effect_of(request.position),
        };
        Ok((order, request))
    }

    /// Asks one side of a book that a taker would meet.
    fn ask<T>(
        &self,
        pair: &Pair,
        is_buy: bool,
        question: impl FnOnce(&PaperExchange, &Instrument, InstrumentId, Side) -> Result<T, ConnectorError>,
    ) -> Result<T, ConnectorError> {
        let paper = self.paper.lock();
        let (id, instrument) = find(&paper, pair)?;
        question(&paper, instrument, id, if is_buy { Side::Sell } else { Side::Buy })
    }

    /// The number of the order in the session.
    fn number(&self, paper: &PaperExchange, id: &ClientOrderId) -> Result<u64, ConnectorError> {
        let known = self.trader(paper)?.by_client_id(id);
        known.map(|known| known.number).ok_or_else(|| ConnectorError::UnknownOrder(id.clone()))
    }
}

impl Connector for PaperConnector {
    fn name(&self) -> &str {
        &self.name
    }

    fn display_name(&self) -> String {
        crate::connector::display_name(&self.name)
    }

    fn trading_pairs(&self) -> Vec<Pair> {
        self.paper.lock().names().instruments().iter().map(|instrument| instrument.pair.clone()).collect()
    }

    fn now(&self) -> Timestamp {
        self.paper.lock().now()
    }

    fn status_dict(&self) -> Vec<(&'static str, bool)> {
        let paper = self.paper.lock();
        let count = u32::try_from(paper.names().instruments().len()).unwrap_or(u32::MAX);
        let books = (0..count).all(|id| paper.sim().is_trusted(InstrumentId(id)))
            && paper.wall().is_none_or(super::Wall::is_ready);
        let account = paper.trader(self.session).is_some();
        vec![
            ("symbols_mapping_initialized", count > 0),
            ("order_books_initialized", books),
            ("account_balance", account),
            ("trading_rule_initialized", count > 0),
            ("user_stream_initialized", account),
        ]
    }

    fn network_status(&self) -> NetworkStatus {
        let connected = self.paper.lock().wall().is_none_or(super::Wall::is_connected);
        if connected { NetworkStatus::Connected } else { NetworkStatus::NotConnected }
    }

    fn supported_order_types(&self) -> Vec<OrderType> {
        vec![OrderType::Limit, OrderType::Market, OrderType::LimitMaker]
    }

    fn place(&mut self, request: OrderRequest) -> Result<ClientOrderId, ConnectorError> {
        let id = self.ids.draw(request.trade_type, &request.trading_pair);
        self.place_as(id.clone(), request).map(|_| id)
    }

    fn cancel(&mut self, _: &Pair, id: &ClientOrderId) -> Result<(), ConnectorError> {
        let mut paper = self.paper.lock();
        let number = self.number(&paper, id)?;
        paper.send_about(self.session, number, RequestBody::Cancel)?;
        Ok(())
    }

    fn cancel_all(&mut self, timeout: Duration) -> Result<Vec<CancellationResult>, ConnectorError> {
        let mut paper = self.paper.lock();
        let open: Vec<u64> =
            self.trader(&paper)?.orders().filter(|k| k.done.is_none()).map(|k| k.number).collect();
        let until = paper.now().plus(timeout);
        for number in &open {
            paper.send_about(self.session, *number, RequestBody::Cancel)?;
        }
        for number in &open {
            if paper.run_until_done(self.session, *number, until)? != Stop::Reached {
                break;
            }
        }
        let trader = self.trader(&paper)?;
        let result = |known: &super::Known| CancellationResult {
            order_id: known.order.client_order_id.clone(),
            success: known.cancelled.is_some(),
        };
        Ok(open.iter().filter_map(|number| trader.order(*number)).map(result).collect())
    }

    fn amend(
        &mut self,
        id: &ClientOrderId,
        price: Option<Decimal>,
        amount: Option<Decimal>,
    ) -> Result<(), ConnectorError> {
        let mut paper = self.paper.lock();
        let number = self.number(&paper, id)?;
        let known = self.trader(&paper)?.order(number);
        let instrument = known.and_then(|known| paper.names().instrument(known.instrument));
        let instrument = instrument.ok_or_else(|| ConnectorError::UnknownOrder(id.clone()))?;
        let price = price.map(|price| to_price(instrument, price)).transpose()?;
        let qty = amount.map(|amount| to_qty(instrument, amount)).transpose()?;
        paper.send_about(self.session, number, |order| RequestBody::Amend { order, price, qty })?;
        Ok(())
    }

    fn get_order_book(&self, pair: &Pair, depth: usize, own: OwnOrders) -> Result<BookView, ConnectorError> {
        let paper = self.paper.lock();
        let (id, instrument) = find(&paper, pair)?;
        let view = match own {
            OwnOrders::With => View::Public,
            OwnOrders::Without => View::Without(self.trader(&paper)?.account),
        };
        let levels = |side| decimals(instrument, paper.sim().levels(id, side, view).take(depth));
        Ok(BookView { bids: levels(Side::Buy), asks: levels(Side::Sell) })
    }

    fn get_price(&self, pair: &Pair, is_buy: bool) -> Result<Option<Decimal>, ConnectorError> {
        self.ask(pair, is_buy, |paper, instrument, id, side| {
            let best = paper.sim().best_price(id, side, View::Public);
            Ok(best.map(|price| instrument.price_decimal(price)))
        })
    }

    fn get_price_by_type(&self, pair: &Pair, kind: PriceType) -> Result<Option<Decimal>, ConnectorError> {
        match kind {
            PriceType::BestBid => self.get_price(pair, false),
            PriceType::BestAsk => self.get_price(pair, true),
            PriceType::MidPrice => {
                let (bid, ask) = (self.get_price(pair, false)?, self.get_price(pair, true)?);
                Ok(bid.zip(ask).map(|(bid, ask)| ((bid + ask) / Decimal::TWO).normalize()))
            }
            PriceType::LastTrade => self.ask(pair, true, |paper, instrument, id, _| {
                Ok(paper.sim().last_trade(id).map(|(_, trade)| instrument.price_decimal(trade.price)))
            }),
            PriceType::LastOwnTrade => self.ask(pair, true, |paper, instrument, id, _| {
                let fills = self.trader(paper)?.fills();
                let last = fills.iter().rev().find(|row| row.fill.instrument == id);
                Ok(last.map(|row| instrument.price_decimal(row.fill.price)))
            }),
            PriceType::InventoryCost | PriceType::Custom => {
                Err(ConnectorError::Unsupported(format!("a connector knows no {kind}; a strategy does")))
            }
        }
    }

    fn get_price_for_volume(
        &self,
        pair: &Pair,
        is_buy: bool,
        volume: Decimal,
    ) -> Result<QueryResult, ConnectorError> {
        self.ask(pair, is_buy, |paper, instrument, id, side| {
            let levels = paper.sim().levels(id, side, View::Public);
            let found = price_for_volume(instrument, levels, floor_qty(instrument, volume)?);
            Ok(QueryResult { query_volume: Some(volume), ..answer(instrument, &found) })
        })
    }

    fn get_vwap_for_volume(
        &self,
        pair: &Pair,
        is_buy: bool,
        volume: Decimal,
    ) -> Result<QueryResult, ConnectorError> {
        self.ask(pair, is_buy, |paper, instrument, id, side| {
            let qty = floor_qty(instrument, volume)?;
            let levels = || paper.sim().levels(id, side, View::Public);
            let found = price_for_volume(instrument, levels(), qty);
            let average = vwap_for_volume(instrument, levels(), qty);
            Ok(QueryResult {
                query_volume: Some(volume),
                result_price: average,
                ..answer(instrument, &found)
            })
        })
    }

    fn get_price_for_quote_volume(
        &self,
        pair: &Pair,
        is_buy: bool,
        quote_volume: Decimal,
    ) -> Result<QueryResult, ConnectorError> {
        self.ask(pair, is_buy, |paper, instrument, id, side| {
            let levels = paper.sim().levels(id, side, View::Public);
            let found = price_for_quote_volume(instrument, levels, quote_volume);
            let result_volume = Some(found.quote_volume);
            Ok(QueryResult { query_volume: Some(quote_volume), result_volume, ..answer(instrument, &found) })
        })
    }

    fn get_volume_for_price(
        &self,
        pair: &Pair,
        is_buy: bool,
        price: Decimal,
    ) -> Result<QueryResult, ConnectorError> {
        self.ask(pair, is_buy, |paper, instrument, id, side| {
            let levels = paper.sim().levels(id, side, View::Public);
            let found = volume_for_price(instrument, side, levels, limit_price(instrument, price, side)?);
            Ok(QueryResult { query_price: Some(price), ..answer(instrument, &found) })
        })
    }

    fn get_quote_volume_for_price(
        &self,
        pair: &Pair,
        is_buy: bool,
        price: Decimal,
    ) -> Result<QueryResult, ConnectorError> {
        self.ask(pair, is_buy, |paper, instrument, id, side| {
            let levels = paper.sim().levels(id, side, View::Public);
            let found = volume_for_price(instrument, side, levels, limit_price(instrument, price, side)?);
            let result_volume = Some(found.quote_volume);
            Ok(QueryResult { query_price: Some(price), result_volume, ..answer(instrument, &found) })
        })
    }

    fn get_quote_volume_for_base_amount(
        &self,
        pair: &Pair,
        is_buy: bool,
        base_amount: Decimal,
    ) -> Result<QueryResult, ConnectorError> {
        self.ask(pair, is_buy, |paper, instrument, id, side| {
            let levels = paper.sim().levels(id, side, View::Public);
            let found = price_for_volume(instrument, levels, floor_qty(instrument, base_amount)?);
            let result_volume = Some(found.quote_volume);
            Ok(QueryResult { query_volume: Some(base_amount), result_volume, ..answer(instrument, &found) })
        })
    }

    fn get_fee(
        &self,
        pair: &Pair,
        order_type: OrderType,
        side: TradeType,
        _amount: Decimal,
        _price: Decimal,
        is_maker: Option<bool>,
    ) -> Result<TradeFee, ConnectorError> {
        let is_maker = is_maker.unwrap_or(order_type == OrderType::LimitMaker);
        Ok(self.trade_fee_schema(pair)?.spot_fee(side, is_maker))
    }

    fn trade_fee_schema(&self, pair: &Pair) -> Result<TradeFeeSchema, ConnectorError> {
        let paper = self.paper.lock();
        let (id, _) = find(&paper, pair)?;
        let (maker, taker) = paper.sim().fee_rates(self.trader(&paper)?.account, id);
        let fees = paper.sim().market(id).map(|market| &market.fees);
        let flat = |for_maker: bool| -> Vec<TokenAmount> {
            let flat = fees.into_iter().flat_map(|fees| &fees.flat);
            flat.filter(|fee| if for_maker { fee.maker } else { fee.taker })
                .map(|fee| TokenAmount { token: fee.asset.clone(), amount: fee.amount })
                .collect()
        };
        Ok(TradeFeeSchema {
            percent_fee_token: fees.and_then(|fees| fees.token.as_ref()).map(|token| token.asset.clone()),
            maker_percent_fee_decimal: maker.to_decimal(),
            taker_percent_fee_decimal: taker.to_decimal(),
            buy_percent_fee_deducted_from_returns: fees
                .is_some_and(|fees| fees.buy_fee == BuyFee::DeductedFromReturns),
            maker_fixed_fees: flat(true),
            taker_fixed_fees: flat(false),
        })
    }

    fn get_all_balances(&self) -> BTreeMap<Asset, Decimal> {
        self.balances(|names, asset, balance| names.decimal(asset, balance.total))
    }

    fn available_balances(&self) -> BTreeMap<Asset, Decimal> {
        let positions = !self.supported_position_modes().is_empty();
        let paper = positions.then(|| self.paper.lock());
        let account =
            paper.as_ref().and_then(|paper| paper.trader(self.session)).map(|trader| trader.account);
        let needs: Vec<Option<crate::order::Money>> = match (&paper, account) {
            (Some(paper), Some(account)) => {
                let assets = 0..u16::try_from(paper.names().assets().count()).unwrap_or(u16::MAX);
                assets.map(|asset| Some(paper.sim().available(account, asset))).collect()
            }
            _ => Vec::new(),
        };
        drop(paper);
        self.balances(|names, asset, balance| {
            let available = needs.get(usize::from(asset)).copied().flatten();
            names.decimal(asset, available.unwrap_or_else(|| balance.available()))
        })
    }

    fn trading_rules(&self) -> BTreeMap<Pair, ConnectorRule> {
        let paper = self.paper.lock();
        let rules = paper.names().instruments().iter();
        rules.map(|instrument| (instrument.pair.clone(), rule_of(instrument))).collect()
    }

    fn trading_rule(&self, pair: &Pair) -> Result<ConnectorRule, ConnectorError> {
        find(&self.paper.lock(), pair).map(|(_, instrument)| rule_of(instrument))
    }

    fn in_flight_orders(&self) -> Vec<InFlightOrder> {
        let paper = self.paper.lock();
        let orders = paper.trader(self.session).into_iter().flat_map(TraderView::orders);
        orders.filter(|known| known.done.is_none()).map(|known| known.order.clone()).collect()
    }

    fn in_flight_order(&self, id: &ClientOrderId) -> Option<InFlightOrder> {
        let paper = self.paper.lock();
        paper.trader(self.session)?.by_client_id(id).map(|known| known.order.clone())
    }

    fn supported_position_modes(&self) -> Vec<PositionMode> {
        let paper = self.paper.lock();
        let config = paper.sim().config();
        match (config.markets.iter().any(|market| market.contract.is_some()), config.venue.positions.hedge) {
            (false, _) => Vec::new(),
            (true, false) => vec![PositionMode::Oneway],
            (true, true) => vec![PositionMode::Oneway, PositionMode::Hedge],
        }
    }

    fn position_mode(&self) -> PositionMode {
        match self.position_mode_of(&self.paper.lock()) {
            crate::order::PositionMode::OneWay => PositionMode::Oneway,
            crate::order::PositionMode::Hedge => PositionMode::Hedge,
        }
    }

    fn set_position_mode(&mut self, mode: PositionMode) -> Result<(), ConnectorError> {
        let wanted = match mode {
            PositionMode::Oneway => crate::order::PositionMode::OneWay,
            PositionMode::Hedge => crate::order::PositionMode::Hedge,
        };
        let mut paper = self.paper.lock();
        let contracts: Vec<InstrumentId> = contracts(&paper).collect();
        if contracts.is_empty() {
            return Err(ConnectorError::Unsupported("spot has no positions".to_owned()));
        }
        for instrument in contracts {
            let setting = Setting::Position(wanted);
            let tag = paper.send(self.session, RequestBody::Set { instrument, setting })?;
            paper.run_until_answer(self.session, tag)?;
            let refused = match paper.take_answer(self.session, tag) {
                Some(OrderEvent::Rejected(reason)) => Some(reason),
                _ => None,
            };
            let now = paper.now();
            if let Some(trader) = paper.trader_mut(self.session) {
                trader.see_mode(now, instrument, mode, refused);
            }
        }
        Ok(())
    }

    fn get_leverage(&self, pair: &Pair) -> Result<Decimal, ConnectorError> {
        let paper = self.paper.lock();
        let (id, _) = find(&paper, pair)?;
        let account = self.trader(&paper)?.account;
        let settings = paper.sim().margin_settings(account, id);
        Ok(settings.map_or(Decimal::ONE, |(_, [long, _])| long.to_decimal()))
    }

    fn set_leverage(&mut self, pair: &Pair, leverage: Decimal) -> Result<(), ConnectorError> {
        let leverage = Leverage::from_decimal(leverage).ok_or_else(|| {
            ConnectorError::Unsupported(format!("no leverage: {leverage} (more than 0, two decimals)"))
        })?;
        self.send_setting(pair, Setting::Leverage { side: None, leverage })?;
        Ok(())
    }

    fn account_positions(&self) -> BTreeMap<String, Position> {
        let paper = self.paper.lock();
        let hedge = self.position_mode_of(&paper) == crate::order::PositionMode::Hedge;
        let all = paper.positions(self.session);
        let known = all.iter().filter_map(|state| super::view::position_of(state, paper.names()));
        let key = |position: &Position| match hedge {
            true => format!("{}{}", position.trading_pair, position.position_side),
            false => position.trading_pair.to_string(),
        };
        known.map(|position| (key(&position), position)).collect()
    }

    fn get_funding_info(&self, pair: &Pair) -> Result<FundingInfo, ConnectorError> {
        let paper = self.paper.lock();
        let (id, instrument) = find(&paper, pair)?;
        let missing = || ConnectorError::Unsupported(format!("{pair} has no funding: it is spot"));
        let (rate, _, due) = paper.sim().funding(id).ok_or_else(missing)?;
        Ok(FundingInfo {
            trading_pair: instrument.pair.clone(),
            index_price: paper.sim().index_price(id).map(super::view::fine),
            mark_price: paper.sim().mark(id).map(|(price, _)| super::view::fine(price)),
            next_funding_utc_timestamp: due,
            rate: Decimal::new(rate.units(), u32::from(FundingRate::SCALE)).normalize(),
        })
    }

    fn drain_events(&mut self) -> Vec<ConnectorEvent> {
        let mut paper = self.paper.lock();
        paper.trader_mut(self.session).map(TraderView::drain_events).unwrap_or_default()
    }
}

impl PaperConnector {
    /// Sends a setting of a contract; the tag of the request.
    pub fn send_setting(&mut self, pair: &Pair, setting: Setting) -> Result<u64, ConnectorError> {
        let mut paper = self.paper.lock();
        let (instrument, _) = find(&paper, pair)?;
        Ok(paper.send(self.session, RequestBody::Set { instrument, setting })?)
    }

    fn position_mode_of(&self, paper: &PaperExchange) -> crate::order::PositionMode {
        let (Some(trader), Some(first)) = (paper.trader(self.session), contracts(paper).next()) else {
            return crate::order::PositionMode::OneWay;
        };
        paper.sim().position_mode(trader.account, first)
    }

    fn balances(
        &self,
        amount: impl Fn(&super::Dictionary, u16, crate::sim::Balance) -> Decimal,
    ) -> BTreeMap<Asset, Decimal> {
        let paper = self.paper.lock();
        let mut all = self.idle.clone();
        if let Some(trader) = paper.trader(self.session) {
            for (index, asset) in (0_u16..).zip(paper.names().assets()) {
                all.insert(asset.clone(), amount(paper.names(), index, trader.balance(index)));
            }
        }
        all
    }
}

fn find<'a>(paper: &'a PaperExchange, pair: &Pair) -> Result<(InstrumentId, &'a Instrument), ConnectorError> {
    paper.names().find(pair).ok_or_else(|| ConnectorError::UnknownPair(pair.clone()))
}

/// The contracts of the run.
fn contracts(paper: &PaperExchange) -> impl Iterator<Item = InstrumentId> + '_ {
    let markets = (0..).zip(&paper.sim().config().markets);
    markets.filter(|(_, market)| market.contract.is_some()).map(|(at, _)| InstrumentId(at))
}

fn effect_of(position: PositionAction) -> PositionEffect {
    match position {
        PositionAction::Nil => PositionEffect::Net,
        PositionAction::Open => PositionEffect::Open,
        PositionAction::Close => PositionEffect::Close,
    }
}

fn kind_of(order_type: OrderType) -> OrderKind {
    match order_type {
        OrderType::Market => OrderKind::Market,
        OrderType::Limit => OrderKind::Limit,
        OrderType::LimitMaker => OrderKind::LimitMaker,
    }
}

fn floor(value: Decimal, step: Decimal) -> Decimal {
    value.checked_rem(step).map_or(value, |rest| (value - rest).normalize())
}

/// The decimal in units of `scale`; refused where it has more decimals or does not fit.
pub(super) fn units(what: &'static str, value: Decimal, scale: u8) -> Result<i64, ConnectorError> {
    if value.normalize().scale() > u32::from(scale) {
        return Err(ConnectorError::TooPrecise { what, value, decimals: scale });
    }
    let units = units_of(value, scale).and_then(|units| i64::try_from(units).ok());
    units.ok_or(ConnectorError::TooLarge { what, value })
}

pub(super) fn to_price(instrument: &Instrument, price: Decimal) -> Result<Price, ConnectorError> {
    units("price", price, instrument.price_scale).map(Price::from_units)
}

pub(super) fn to_qty(instrument: &Instrument, amount: Decimal) -> Result<Qty, ConnectorError> {
    units("amount", amount, instrument.qty_scale).map(Qty::from_units)
}

/// A volume asked about: down to what the scale holds.
fn floor_qty(instrument: &Instrument, volume: Decimal) -> Result<Qty, ConnectorError> {
    to_qty(instrument, volume.trunc_with_scale(u32::from(instrument.qty_scale)))
}

/// A limit asked about on the side `side`: to the side's better scale step, so that it reaches no further.
fn limit_price(instrument: &Instrument, price: Decimal, side: Side) -> Result<Price, ConnectorError> {
    let floored = price.trunc_with_scale(u32::from(instrument.price_scale));
    let limit = to_price(instrument, floored)?;
    let between = side == Side::Buy && floored != price;
    Ok(if between { Price::from_units(limit.units() + 1) } else { limit })
}

fn answer(instrument: &Instrument, found: &DepthQuery) -> QueryResult {
    QueryResult {
        result_price: found.price.map(|price| instrument.price_decimal(price)),
        result_volume: Some(instrument.qty_decimal(found.volume)),
        ..QueryResult::default()
    }
}

fn rule_of(instrument: &Instrument) -> ConnectorRule {
    let (rule, pair) = (&instrument.rule, &instrument.pair);
    ConnectorRule {
        trading_pair: pair.clone(),
        min_order_size: instrument.qty_decimal(rule.min_qty),
        max_order_size: instrument.qty_decimal(rule.max_qty),
        min_price_increment: instrument.price_decimal(rule.tick),
        min_base_amount_increment: instrument.qty_decimal(rule.lot),
        min_notional_size: rule.min_notional.normalize(),
        supports_limit_orders: true,
        supports_market_orders: true,
        buy_order_collateral_token: pair.quote.to_string(),
        sell_order_collateral_token: pair.quote.to_string(),
    }
}
