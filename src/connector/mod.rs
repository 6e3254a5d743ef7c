//! The trait that every connector implements, paper or testnet, and the words that it speaks: Hummingbot's.
//!
//! `buy` and `sell` return a client order id at once; what becomes of the order comes later as a
//! [`ConnectorEvent`]. Amounts here are [`Decimal`]s in the instrument's quantity unit; prices are in quote.
//! A connector says only what has come back to the trader: an order that the exchange has filled is open here until
//! the answer arrives.
//!
//! Never here: anything venue-specific, and how a paper exchange runs (that is `paper`).
//! Start at [`Connector`].

mod event;
mod fee;
mod ids;
mod words;

pub use event::{ConnectorEvent, EventBody};
pub use fee::{FeeType, TokenAmount, TradeFee, TradeFeeSchema};
pub use ids::ClientIds;
pub use words::{
    CallbackRate, CancellationResult, ConnectorError, ConnectorRule, FundingInfo, InFlightOrder, LimitOrder,
    NetworkStatus, OrderFill, OrderRequest, OrderState, OrderType, Position, PositionAction, PositionMode,
    PositionSide, PriceType, QueryResult, Special, TradeType,
};

use std::collections::BTreeMap;
use std::time::Duration;

use rust_decimal::Decimal;

use crate::market::{Asset, Level, Pair, Timestamp};
use crate::order::ClientOrderId;

/// The levels of a book as a connector shows them, best first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BookView {
    /// Bids: price and amount.
    pub bids: Vec<(Decimal, Decimal)>,
    /// Asks: price and amount.
    pub asks: Vec<(Decimal, Decimal)>,
}

/// With whose orders a book is seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OwnOrders {
    /// The public market as everybody sees it, the caller's resting orders among the others.
    #[default]
    With,
    /// The same without the caller's own resting orders: what a market maker quotes around.
    Without,
}

/// A connection to one exchange for one account. Object safe: strategies hold a `&mut dyn Connector`.
///
/// ```
/// use papertape::connector::{Connector, ConnectorError, OrderType};
/// use papertape::order::ClientOrderId;
/// fn buy_a_little(connector: &mut dyn Connector) -> Result<ClientOrderId, ConnectorError> {
///     let pair = "BTC-USDT".parse().unwrap();
///     let price = connector.get_price(&pair, false)?; // the best bid
///     connector.buy(&pair, "0.01".parse().unwrap(), OrderType::Limit, price)
/// }
/// ```
pub trait Connector {
    /// Its id: `bitmart_paper_trade`.
    fn name(&self) -> &str;

    /// How it is shown: `Bitmart_PaperTrade` for paper, the name for others.
    fn display_name(&self) -> String;

    /// What it trades, in the order of the run.
    fn trading_pairs(&self) -> Vec<Pair>;

    /// The time that it lives in.
    fn now(&self) -> Timestamp;

    /// What must be there before it can be used, each with whether it is.
    fn status_dict(&self) -> Vec<(&'static str, bool)>;

    /// Whether all of [`status_dict`](Self::status_dict) is there.
    fn ready(&self) -> bool {
        self.status_dict().iter().all(|(_, there)| *there)
    }

    /// Whether it is running.
    fn network_status(&self) -> NetworkStatus;

    /// The order types that [`buy`](Self::buy) takes.
    fn supported_order_types(&self) -> Vec<OrderType>;

    /// What a maker should send: LIMIT_MAKER where there is one, else LIMIT.
    fn get_maker_order_type(&self) -> OrderType {
        let types = self.supported_order_types();
        if types.contains(&OrderType::LimitMaker) { OrderType::LimitMaker } else { OrderType::Limit }
    }

    /// What a taker should send: MARKET where there is one, else LIMIT.
    fn get_taker_order_type(&self) -> OrderType {
        let types = self.supported_order_types();
        if types.contains(&OrderType::Market) { OrderType::Market } else { OrderType::Limit }
    }

    /// Sends an order and returns its client id at once; what becomes of it comes as events.
    fn place(&mut self, request: OrderRequest) -> Result<ClientOrderId, ConnectorError>;

    /// Buys `amount`; price and amount are quantised down first, as Hummingbot does.
    fn buy(
        &mut self,
        pair: &Pair,
        amount: Decimal,
        order_type: OrderType,
        price: Option<Decimal>,
    ) -> Result<ClientOrderId, ConnectorError> {
        self.place(OrderRequest::new(TradeType::Buy, pair.clone(), amount, order_type, price))
    }

    /// Sells `amount`; price and amount are quantised down first, as Hummingbot does.
    fn sell(
        &mut self,
        pair: &Pair,
        amount: Decimal,
        order_type: OrderType,
        price: Option<Decimal>,
    ) -> Result<ClientOrderId, ConnectorError> {
        self.place(OrderRequest::new(TradeType::Sell, pair.clone(), amount, order_type, price))
    }

    /// Asks for the end of an order; the answer comes as an event.
    fn cancel(&mut self, pair: &Pair, id: &ClientOrderId) -> Result<(), ConnectorError>;

    /// Asks for the end of all orders and waits for the answers, at most so long in its own time; one result for
    /// each order that was not done.
    fn cancel_all(&mut self, timeout: Duration) -> Result<Vec<CancellationResult>, ConnectorError>;

    /// Asks for another price or amount; the answer comes as an event.
    fn amend(
        &mut self,
        id: &ClientOrderId,
        price: Option<Decimal>,
        amount: Option<Decimal>,
    ) -> Result<(), ConnectorError>;

    /// The best `depth` levels of a book, with or without the caller's own orders.
    fn get_order_book(&self, pair: &Pair, depth: usize, own: OwnOrders) -> Result<BookView, ConnectorError>;

    /// Best ask for a buyer, best bid for a seller; `None` where the side is empty.
    fn get_price(&self, pair: &Pair, is_buy: bool) -> Result<Option<Decimal>, ConnectorError>;

    /// The mean of best bid and best ask; `None` where a side is empty.
    fn get_mid_price(&self, pair: &Pair) -> Result<Option<Decimal>, ConnectorError> {
        self.get_price_by_type(pair, PriceType::MidPrice)
    }

    /// A price by its kind; `None` where there is none yet.
    fn get_price_by_type(&self, pair: &Pair, kind: PriceType) -> Result<Option<Decimal>, ConnectorError>;

    /// The worst price that a taker of `volume` pays.
    fn get_price_for_volume(
        &self,
        pair: &Pair,
        is_buy: bool,
        volume: Decimal,
    ) -> Result<QueryResult, ConnectorError>;

    /// The average price that a taker of `volume` pays.
    fn get_vwap_for_volume(
        &self,
        pair: &Pair,
        is_buy: bool,
        volume: Decimal,
    ) -> Result<QueryResult, ConnectorError>;

    /// The worst price that a taker who spends `quote_volume` pays.
    fn get_price_for_quote_volume(
        &self,
        pair: &Pair,
        is_buy: bool,
        quote_volume: Decimal,
    ) -> Result<QueryResult, ConnectorError>;

    /// How much can be taken down to `price`.
    fn get_volume_for_price(
        &self,
        pair: &Pair,
        is_buy: bool,
        price: Decimal,
    ) -> Result<QueryResult, ConnectorError>;

    /// What it costs, in quote, to take all down to `price`.
    fn get_quote_volume_for_price(
        &self,
        pair: &Pair,
        is_buy: bool,
        price: Decimal,
    ) -> Result<QueryResult, ConnectorError>;

    /// What it costs, in quote, to take `base_amount`.
    fn get_quote_volume_for_base_amount(
        &self,
        pair: &Pair,
        is_buy: bool,
        base_amount: Decimal,
    ) -> Result<QueryResult, ConnectorError>;

    /// The tick.
    fn get_order_price_quantum(&self, pair: &Pair) -> Result<Decimal, ConnectorError> {
        Ok(self.trading_rule(pair)?.min_price_increment)
    }

    /// The lot.
    fn get_order_size_quantum(&self, pair: &Pair) -> Result<Decimal, ConnectorError> {
        Ok(self.trading_rule(pair)?.min_base_amount_increment)
    }

    /// The price down to its tick.
    fn quantize_order_price(&self, pair: &Pair, price: Decimal) -> Result<Decimal, ConnectorError> {
        Ok(words::floor_to(price, self.get_order_price_quantum(pair)?))
    }

    /// The amount down to its lot.
    fn quantize_order_amount(&self, pair: &Pair, amount: Decimal) -> Result<Decimal, ConnectorError> {
        Ok(words::floor_to(amount, self.get_order_size_quantum(pair)?))
    }

    /// What an order would pay. `is_maker` wins over the order type.
    fn get_fee(
        &self,
        pair: &Pair,
        order_type: OrderType,
        side: TradeType,
        amount: Decimal,
        price: Decimal,
        is_maker: Option<bool>,
    ) -> Result<TradeFee, ConnectorError>;

    /// The fees of a pair as a schema.
    fn trade_fee_schema(&self, pair: &Pair) -> Result<TradeFeeSchema, ConnectorError>;

    /// All that the account has of an asset; zero where it is unknown.
    fn get_balance(&self, asset: &Asset) -> Decimal {
        self.get_all_balances().get(asset).copied().unwrap_or_default()
    }

    /// What the account can spend of an asset; zero where it is unknown.
    fn get_available_balance(&self, asset: &Asset) -> Decimal {
        self.available_balances().get(asset).copied().unwrap_or_default()
    }

    /// All balances by asset.
    fn get_all_balances(&self) -> BTreeMap<Asset, Decimal>;

    /// All that can be spent, by asset.
    fn available_balances(&self) -> BTreeMap<Asset, Decimal>;

    /// The rules by pair.
    fn trading_rules(&self) -> BTreeMap<Pair, ConnectorRule>;

    /// The rules of one pair.
    fn trading_rule(&self, pair: &Pair) -> Result<ConnectorRule, ConnectorError>;

    /// Open limit orders, oldest first.
    fn limit_orders(&self) -> Vec<LimitOrder> {
        let live = self.in_flight_orders();
        live.iter().filter_map(InFlightOrder::as_limit_order).collect()
    }

    /// Orders that are not done, oldest first.
    fn in_flight_orders(&self) -> Vec<InFlightOrder>;

    /// An order by its client id, done ones too as long as they are remembered.
    fn in_flight_order(&self, id: &ClientOrderId) -> Option<InFlightOrder>;

    /// The position modes that the exchange has; none on spot.
    fn supported_position_modes(&self) -> Vec<PositionMode> {
        Vec::new()
    }

    /// How many positions there are in a contract.
    fn position_mode(&self) -> PositionMode {
        PositionMode::Oneway
    }

    /// Asks for another position mode; the answer comes as an event for each pair.
    fn set_position_mode(&mut self, _mode: PositionMode) -> Result<(), ConnectorError> {
        Err(ConnectorError::Unsupported("spot has no positions".to_owned()))
    }

    /// How many times its margin a position may be worth: 1 on spot.
    fn get_leverage(&self, _pair: &Pair) -> Result<Decimal, ConnectorError> {
        Ok(Decimal::ONE)
    }

    /// Asks for another leverage.
    fn set_leverage(&mut self, _pair: &Pair, _leverage: Decimal) -> Result<(), ConnectorError> {
        Err(ConnectorError::Unsupported("spot has no leverage".to_owned()))
    }

    /// Positions that are not flat. Keys as Hummingbot's: the pair, and `LONG` or `SHORT` behind it in hedge mode.
    fn account_positions(&self) -> BTreeMap<String, Position> {
        BTreeMap::new()
    }

    /// What is known of a contract's funding.
    fn get_funding_info(&self, _pair: &Pair) -> Result<FundingInfo, ConnectorError> {
        Err(ConnectorError::Unsupported("spot has no funding".to_owned()))
    }

    /// What buys are paid with: the quote on spot, the settlement currency of contracts.
    fn get_buy_collateral_token(&self, pair: &Pair) -> Result<String, ConnectorError> {
        Ok(self.trading_rule(pair)?.buy_order_collateral_token)
    }

    /// What sells are paid with.
    fn get_sell_collateral_token(&self, pair: &Pair) -> Result<String, ConnectorError> {
        Ok(self.trading_rule(pair)?.sell_order_collateral_token)
    }

    /// Takes the events that came since the last call, oldest first.
    fn drain_events(&mut self) -> Vec<ConnectorEvent>;
}

/// How Hummingbot shows a paper connector: `bitmart_paper_trade` is `Bitmart_PaperTrade`.
pub fn display_name(name: &str) -> String {
    let base = name.strip_suffix("_paper_trade").unwrap_or(name);
    let mut letters = base.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    format!("{}{}_PaperTrade", first.map(String::from).unwrap_or_default(), letters.as_str())
}

/// Levels as decimals.
pub(crate) fn decimals(
    instrument: &crate::market::Instrument,
    levels: impl Iterator<Item = Level>,
) -> Vec<(Decimal, Decimal)> {
    levels.map(|level| (instrument.price_decimal(level.price), instrument.qty_decimal(level.qty))).collect()
}
