//! The connector's vocabulary: Hummingbot's enums with their numbers, orders and rules with its field names.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::TradeFee;
use crate::market::{Pair, Side, Timestamp};
use crate::order::{ClientOrderId, RejectReason, SelfTrade, TimeInForce};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$arm_doc:meta])* $arm:ident = $tag:literal $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$arm_doc])* #[serde(rename = $text)] $arm = $tag),+
        }

        impl $name {
            /// Its name as Hummingbot writes it.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$arm => $text),+ }
            }

            /// Its number.
            pub const fn tag(self) -> u16 {
                self as u16
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }
    };
}

words!(
    /// How an order meets the book.
    OrderType {
        /// Takes at any price.
        Market = 1 "MARKET",
        /// Takes what crosses its price, the rest rests.
        Limit = 2 "LIMIT",
        /// Rests or is refused.
        LimitMaker = 3 "LIMIT_MAKER",
    }
);
words!(
    /// Buy or sell.
    TradeType {
        /// A buy.
        Buy = 1 "BUY",
        /// A sell.
        Sell = 2 "SELL",
        /// A liquidity range; never ours.
        Range = 3 "RANGE",
    }
);
words!(
    /// Whether an order opens or closes a position.
    PositionAction {
        /// Opens or adds.
        Open = 1 "OPEN",
        /// Closes or reduces.
        Close = 2 "CLOSE",
        /// Spot: neither.
        Nil = 3 "NIL",
    }
);
words!(
    /// Whether long and short are kept apart.
    PositionMode {
        /// Apart.
        Hedge = 1 "HEDGE",
        /// One net position.
        Oneway = 2 "ONEWAY",
    }
);
words!(
    /// Which position.
    PositionSide {
        /// Long.
        Long = 1 "LONG",
        /// Short.
        Short = 2 "SHORT",
        /// The one net position.
        Both = 3 "BOTH",
    }
);
words!(
    /// Which price is meant.
    PriceType {
        /// The mean of best bid and best ask.
        MidPrice = 1 "MidPrice",
        /// The best bid.
        BestBid = 2 "BestBid",
        /// The best ask.
        BestAsk = 3 "BestAsk",
        /// The last public trade.
        LastTrade = 4 "LastTrade",
        /// The caller's own last trade.
        LastOwnTrade = 5 "LastOwnTrade",
        /// What the inventory cost; a strategy's affair.
        InventoryCost = 6 "InventoryCost",
        /// Whatever a strategy makes of it.
        Custom = 7 "Custom",
    }
);
words!(
    /// Where an order is in its life, as its owner knows.
    OrderState {
        /// Sent, not answered.
        PendingCreate = 0 "PENDING_CREATE",
        /// Live.
        Open = 1 "OPEN",
        /// Its cancel is sent, not answered.
        PendingCancel = 2 "PENDING_CANCEL",
        /// Ended before all of it filled.
        Canceled = 3 "CANCELED",
        /// Live, part of it filled.
        PartiallyFilled = 4 "PARTIALLY_FILLED",
        /// All of it filled.
        Filled = 5 "FILLED",
        /// Refused.
        Failed = 6 "FAILED",
        /// Waits for an approval; never ours.
        PendingApproval = 7 "PENDING_APPROVAL",
        /// Approved; never ours.
        Approved = 8 "APPROVED",
        /// Created; never ours.
        Created = 9 "CREATED",
        /// Completed; never ours.
        Completed = 10 "COMPLETED",
    }
);
words!(
    /// Whether a connector runs.
    NetworkStatus {
        /// It was stopped.
        Stopped = 0 "STOPPED",
        /// It runs and has no connection.
        NotConnected = 1 "NOT_CONNECTED",
        /// It runs.
        Connected = 2 "CONNECTED",
    }
);

impl OrderState {
    /// Whether nothing more will happen to it.
    pub const fn is_done(self) -> bool {
        matches!(self, Self::Canceled | Self::Filled | Self::Failed)
    }
}

impl From<Side> for TradeType {
    fn from(side: Side) -> Self {
        match side {
            Side::Buy => Self::Buy,
            Side::Sell => Self::Sell,
        }
    }
}

/// An order as it is asked of a connector.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderRequest {
    /// Buy or sell.
    pub trade_type: TradeType,
    /// What.
    pub trading_pair: Pair,
    /// How much, in the instrument's quantity unit.
    pub amount: Decimal,
    /// How it meets the book.
    pub order_type: OrderType,
    /// Its limit; `None` for market orders.
    pub price: Option<Decimal>,
    /// How long it lives.
    pub time_in_force: TimeInForce,
    /// What it waits for: stop or take profit, and the price to reach.
    pub trigger: Option<(crate::order::TriggerKind, Decimal, crate::order::TriggerBy)>,
    /// What happens where it meets its own account; `None`: the venue's default.
    pub self_trade: Option<SelfTrade>,
    /// Whether it opens or only closes a position: NIL on spot, and where a net position may go either way.
    pub position: PositionAction,
    /// What few orders ask for.
    pub special: Special,
    /// Whether price and amount go down to tick and lot before they are sent, as Hummingbot does. Otherwise they are
    /// sent as they are and the exchange may refuse them.
    pub quantize: bool,
}

impl OrderRequest {
    /// A good-till-cancelled order (market: immediate or cancel) that is quantised.
    pub fn new(
        trade_type: TradeType,
        trading_pair: Pair,
        amount: Decimal,
        order_type: OrderType,
        price: Option<Decimal>,
    ) -> Self {
        let time_in_force = if order_type == OrderType::Market { TimeInForce::Ioc } else { TimeInForce::Gtc };
        Self {
            trade_type,
            trading_pair,
            amount,
            order_type,
            price,
            time_in_force,
            trigger: None,
            self_trade: None,
            position: PositionAction::Nil,
            special: Special::default(),
            quantize: true,
        }
    }
}

/// What few orders ask for; Hummingbot has no words for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Special {
    /// How much of the amount is shown at a time, the rest is hidden (iceberg).
    pub display: Option<Decimal>,
    /// How far behind the price that its trigger looks at the trigger stays (trailing stop), in quote.
    pub trail: Option<Decimal>,
    /// Which share of the price its trigger stays behind the best price (BitMart's trailing order).
    pub callback: Option<CallbackRate>,
    /// Whether it closes the whole position, however large that is then; the amount does not count.
    pub whole: bool,
}

/// A stop that a share of the best price since it began sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallbackRate {
    /// The share, in per cent.
    pub percent: Decimal,
    /// The price that it waits for before it begins: a sell for a rise, a buy for a fall. `None`: it begins at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Decimal>,
    /// The price that it waited for in an earlier session, and that was reached then: it begins anew, at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun: Option<Decimal>,
}

/// A call that a connector cannot carry out. What an exchange refuses comes as an event instead.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConnectorError {
    /// It does not trade that pair.
    #[error("No order book exists for '{0}'.")]
    UnknownPair(Pair),
    /// It knows no such order.
    #[error("no order {0}")]
    UnknownOrder(ClientOrderId),
    /// A number does not fit the instrument's scale.
    #[error("{what} {value} has more than {decimals} decimals")]
    TooPrecise {
        /// Price, amount.
        what: &'static str,
        /// As it was given.
        value: Decimal,
        /// What fits.
        decimals: u8,
    },
    /// A number does not fit at all.
    #[error("{what} {value} is too large")]
    TooLarge {
        /// Price, amount.
        what: &'static str,
        /// As it was given.
        value: Decimal,
    },
    /// It does not do that.
    #[error("{0}")]
    Unsupported(String),
    /// The market behind it failed.
    #[error("{0}")]
    Market(String),
}

/// What became of one order of [`cancel_all`](super::Connector::cancel_all).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CancellationResult {
    /// The order.
    pub order_id: ClientOrderId,
    /// Whether it is cancelled.
    pub success: bool,
}

/// The answer to a question about a book's depth: what was asked and what came out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueryResult {
    /// The price asked about.
    pub query_price: Option<Decimal>,
    /// The volume asked about.
    pub query_volume: Option<Decimal>,
    /// The price found; `None` on an empty side.
    pub result_price: Option<Decimal>,
    /// The volume found, at most what was asked for.
    pub result_volume: Option<Decimal>,
}

/// The rules of a pair under Hummingbot's names.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConnectorRule {
    /// Whose.
    pub trading_pair: Pair,
    /// The smallest amount.
    pub min_order_size: Decimal,
    /// The largest amount.
    pub max_order_size: Decimal,
    /// The tick.
    pub min_price_increment: Decimal,
    /// The lot.
    pub min_base_amount_increment: Decimal,
    /// The smallest price × amount.
    pub min_notional_size: Decimal,
    /// Whether limit orders are taken.
    pub supports_limit_orders: bool,
    /// Whether market orders are taken.
    pub supports_market_orders: bool,
    /// What a buy is paid with.
    pub buy_order_collateral_token: String,
    /// What a sell is paid with.
    pub sell_order_collateral_token: String,
}

/// An open limit order.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitOrder {
    /// Its client id.
    pub client_order_id: ClientOrderId,
    /// What.
    pub trading_pair: Pair,
    /// Whether it buys.
    pub is_buy: bool,
    /// Its limit.
    pub price: Decimal,
    /// The whole amount.
    pub quantity: Decimal,
    /// What has filled.
    pub filled_quantity: Decimal,
    /// When it was sent.
    pub creation_timestamp: Timestamp,
}

/// One fill as its owner knows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OrderFill {
    /// The exchange's number of the fill.
    pub trade_id: String,
    /// The order's client id.
    pub client_order_id: ClientOrderId,
    /// The order's number at the exchange.
    pub exchange_order_id: String,
    /// What.
    pub trading_pair: Pair,
    /// When it happened at the exchange.
    pub fill_timestamp: Timestamp,
    /// At what price.
    pub fill_price: Decimal,
    /// How much.
    pub fill_base_amount: Decimal,
    /// Price × amount.
    pub fill_quote_amount: Decimal,
    /// What it cost.
    pub fee: TradeFee,
    /// Whether it rested.
    pub is_maker: bool,
}

/// An order as its owner knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct InFlightOrder {
    /// Its client id.
    pub client_order_id: ClientOrderId,
    /// The exchange's number, once it answered.
    pub exchange_order_id: Option<String>,
    /// What.
    pub trading_pair: Pair,
    /// How it meets the book.
    pub order_type: OrderType,
    /// Buy or sell.
    pub trade_type: TradeType,
    /// Its limit; `None` for market orders.
    pub price: Option<Decimal>,
    /// The whole amount.
    pub amount: Decimal,
    /// How long it lives.
    pub time_in_force: TimeInForce,
    /// What has filled.
    pub executed_amount_base: Decimal,
    /// What the fills cost in quote.
    pub executed_amount_quote: Decimal,
    /// Where it is.
    pub current_state: OrderState,
    /// Leverage: 1 on spot.
    pub leverage: u32,
    /// Opens or closes: NIL on spot.
    pub position: PositionAction,
    /// When it was sent.
    pub creation_timestamp: Timestamp,
    /// When its owner last heard of it.
    pub last_update_timestamp: Timestamp,
    /// Its fills by number.
    pub order_fills: BTreeMap<u64, OrderFill>,
    /// Why it was refused, if it was.
    pub reject: Option<RejectReason>,
    /// Whether it waits for its trigger.
    pub waiting: bool,
}

impl InFlightOrder {
    /// What is still to fill.
    pub fn leaves(&self) -> Decimal {
        self.amount - self.executed_amount_base
    }

    /// The average price of its fills.
    pub fn average_price(&self) -> Option<Decimal> {
        self.executed_amount_quote.checked_div(self.executed_amount_base).map(|price| price.normalize())
    }

    /// As an open limit order; `None` for market orders and orders that wait for a trigger.
    pub fn as_limit_order(&self) -> Option<LimitOrder> {
        (!self.waiting && self.order_type != OrderType::Market).then_some(())?;
        Some(LimitOrder {
            client_order_id: self.client_order_id.clone(),
            trading_pair: self.trading_pair.clone(),
            is_buy: self.trade_type == TradeType::Buy,
            price: self.price?,
            quantity: self.amount,
            filled_quantity: self.executed_amount_base,
            creation_timestamp: self.creation_timestamp,
        })
    }
}

/// The largest multiple of `step` that is not more than `value`; `value` itself where there is no step.
pub(super) fn floor_to(value: Decimal, step: Decimal) -> Decimal {
    let Some(rest) = value.checked_rem(step) else { return value };
    let floored = value - rest;
    if rest.is_sign_negative() && !rest.is_zero() {
        (floored - step).normalize()
    } else {
        floored.normalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantising_goes_down() {
        for (value, step, want) in [
            ("1.2345", "0.01", "1.23"),
            ("1.23", "0.01", "1.23"),
            ("7", "2", "6"),
            ("-1.235", "0.01", "-1.24"),
            ("5", "0", "5"),
        ] {
            let [value, step, want] = [value, step, want].map(|text| text.parse::<Decimal>().unwrap());
            assert_eq!(floor_to(value, step), want, "{value} by {step}");
        }
    }

    #[test]
    fn numbers_and_names_are_hummingbots() {
        assert_eq!((OrderType::Market.tag(), OrderType::LimitMaker.tag()), (1, 3));
        assert_eq!((OrderState::Canceled.tag(), OrderState::Failed.name()), (3, "FAILED"));
        assert_eq!((PriceType::LastTrade.tag(), TradeType::Sell.tag()), (4, 2));
        assert_eq!(serde_json::to_string(&OrderType::LimitMaker).unwrap(), "\"LIMIT_MAKER\"");
    }
}

/// A position as its owner knows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Position {
    /// In what.
    pub trading_pair: Pair,
    /// Long or short; `BOTH` where there is one net position.
    pub position_side: PositionSide,
    /// What it has gained at the mark price, in the collateral.
    pub unrealized_pnl: Decimal,
    /// The average entry price.
    pub entry_price: Decimal,
    /// How much, negative when short.
    pub amount: Decimal,
    /// How many times its margin it may be worth.
    pub leverage: Decimal,
    /// The mark price; `None` before there is one.
    pub mark_price: Option<Decimal>,
    /// The mark price at which it is liquidated; `None`: none does it.
    pub liquidation_price: Option<Decimal>,
}

/// What is known of a contract's funding.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FundingInfo {
    /// Of what.
    pub trading_pair: Pair,
    /// The price of what the contract is about; `None` before there is one.
    pub index_price: Option<Decimal>,
    /// The mark price; `None` before there is one.
    pub mark_price: Option<Decimal>,
    /// When the next funding is due.
    pub next_funding_utc_timestamp: Timestamp,
    /// Its rate: positive where longs pay.
    pub rate: Decimal,
}
