//! What a connector tells its owner, with Hummingbot's event names, numbers and fields.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{OrderType, PositionAction, TradeFee, TradeType};
use crate::market::{Asset, Pair, Timestamp};
use crate::order::ClientOrderId;

/// One event with the time at which its owner heard of it.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectorEvent {
    /// When.
    pub timestamp: Timestamp,
    /// What.
    pub body: EventBody,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum EventBody {
    /// BuyOrderCreated, SellOrderCreated: the order is live.
    OrderCreated {
        /// Which of the two.
        trade_type: TradeType,
        /// How it meets the book.
        order_type: OrderType,
        /// What.
        trading_pair: Pair,
        /// How much.
        amount: Decimal,
        /// Its limit; `None` for market orders.
        price: Option<Decimal>,
        /// Its client id.
        order_id: ClientOrderId,
        /// When it was sent.
        creation_timestamp: Timestamp,
        /// The exchange's number.
        exchange_order_id: Option<String>,
        /// Opens or closes a position; NIL on spot.
        position: PositionAction,
    },
    /// Part or all of it filled.
    OrderFilled {
        /// Its client id.
        order_id: ClientOrderId,
        /// What.
        trading_pair: Pair,
        /// Buy or sell.
        trade_type: TradeType,
        /// How it meets the book.
        order_type: OrderType,
        /// At what price.
        price: Decimal,
        /// How much.
        amount: Decimal,
        /// What it cost.
        trade_fee: TradeFee,
        /// The number of the fill.
        exchange_trade_id: String,
        /// The exchange's number.
        exchange_order_id: String,
        /// Opens or closes a position; NIL on spot.
        position: PositionAction,
    },
    /// BuyOrderCompleted, SellOrderCompleted: all of it filled.
    OrderCompleted {
        /// Which of the two.
        trade_type: TradeType,
        /// Its client id.
        order_id: ClientOrderId,
        /// The base.
        base_asset: Asset,
        /// The quote.
        quote_asset: Asset,
        /// What was traded.
        base_asset_amount: Decimal,
        /// What it cost.
        quote_asset_amount: Decimal,
        /// How it meets the book.
        order_type: OrderType,
        /// The exchange's number.
        exchange_order_id: Option<String>,
    },
    /// It ended before all of it filled.
    OrderCancelled {
        /// Its client id.
        order_id: ClientOrderId,
        /// The exchange's number.
        exchange_order_id: Option<String>,
    },
    /// Its time ran out.
    OrderExpired {
        /// Its client id.
        order_id: ClientOrderId,
    },
    /// It was refused.
    OrderFailure {
        /// Its client id.
        order_id: ClientOrderId,
        /// How it would have met the book.
        order_type: OrderType,
        /// Why, in words.
        error_message: String,
        /// Why, in one word.
        error_type: &'static str,
    },
    /// A public trade.
    PublicTrade {
        /// What.
        trading_pair: Pair,
        /// The taker's side, where it is known.
        trade_type: Option<TradeType>,
        /// At what price.
        price: Decimal,
        /// How much.
        amount: Decimal,
    },
    /// Funding was paid or received.
    FundingPayment {
        /// For which contract.
        trading_pair: Pair,
        /// What was received; negative where paid.
        amount: Decimal,
        /// The rate: positive where longs pay.
        funding_rate: Decimal,
    },
    /// The position mode changed, or did not.
    PositionMode {
        /// Of which contract.
        trading_pair: Pair,
        /// The mode that was asked for.
        position_mode: super::PositionMode,
        /// Why it did not change; `None` where it did.
        message: Option<String>,
    },
    /// A position changed.
    Position(super::Position),
    /// A position, or a part of it, was liquidated.
    Liquidation {
        /// In what.
        trading_pair: Pair,
        /// How much of it, negative for a short.
        amount: Decimal,
        /// The mark price that called for it.
        mark_price: Decimal,
    },
    /// A balance changed.
    Balance {
        /// Of what.
        asset_name: Asset,
        /// All of it.
        total_balance: Decimal,
        /// What can be spent.
        available_balance: Decimal,
    },
}

impl EventBody {
    /// Hummingbot's name of the event.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::OrderCreated { trade_type: TradeType::Sell, .. } => "SellOrderCreatedEvent",
            Self::OrderCreated { .. } => "BuyOrderCreatedEvent",
            Self::OrderFilled { .. } => "OrderFilledEvent",
            Self::OrderCompleted { trade_type: TradeType::Sell, .. } => "SellOrderCompletedEvent",
            Self::OrderCompleted { .. } => "BuyOrderCompletedEvent",
            Self::OrderCancelled { .. } => "OrderCancelledEvent",
            Self::OrderExpired { .. } => "OrderExpiredEvent",
            Self::OrderFailure { .. } => "MarketOrderFailureEvent",
            Self::PublicTrade { .. } => "OrderBookTradeEvent",
            Self::FundingPayment { .. } => "FundingPaymentCompletedEvent",
            Self::PositionMode { .. } => "PositionModeChangeEvent",
            Self::Position(_) => "PositionUpdateEvent",
            Self::Liquidation { .. } => "LiquidationEvent",
            Self::Balance { .. } => "BalanceEvent",
        }
    }

    /// Its number.
    pub const fn tag(&self) -> u16 {
        match self {
            Self::OrderCreated { trade_type: TradeType::Sell, .. } => 201,
            Self::OrderCreated { .. } => 200,
            Self::OrderFilled { .. } => 107,
            Self::OrderCompleted { trade_type: TradeType::Sell, .. } => 103,
            Self::OrderCompleted { .. } => 102,
            Self::OrderCancelled { .. } => 106,
            Self::OrderExpired { .. } => 108,
            Self::OrderFailure { .. } => 198,
            Self::PublicTrade { .. } => 901,
            Self::FundingPayment { .. } => 202,
            Self::PositionMode { message: None, .. } => 400,
            Self::PositionMode { .. } => 401,
            Self::Position(_) => 403,
            Self::Liquidation { .. } => 405,
            Self::Balance { .. } => 402,
        }
    }
}

impl ConnectorEvent {
    /// The event as Hummingbot logs it: its fields, `event_name` and `event_source`; enums as `"OrderType.LIMIT"`.
    pub fn to_json(&self, source: &str) -> Value {
        let mut object = self.fields();
        if let Value::Object(map) = &mut object {
            map.insert("timestamp".into(), seconds(self.timestamp));
            map.insert("event_name".into(), self.body.name().into());
            map.insert("event_source".into(), source.into());
        }
        object
    }

    fn fields(&self) -> Value {
        match &self.body {
            EventBody::OrderCreated {
                order_type,
                trading_pair,
                amount,
                price,
                order_id,
                creation_timestamp,
                exchange_order_id,
                position,
                ..
            } => json!({
                "type": format!("OrderType.{order_type}"), "trading_pair": trading_pair, "amount": amount,
                "price": price, "order_id": order_id, "creation_timestamp": seconds(*creation_timestamp),
                "exchange_order_id": exchange_order_id, "leverage": 1, "position": position.name(),
            }),
            EventBody::OrderFilled {
                order_id,
                trading_pair,
                trade_type,
                order_type,
                price,
                amount,
                trade_fee,
                exchange_trade_id,
                exchange_order_id,
                position,
            } => json!({
                "order_id": order_id, "trading_pair": trading_pair,
                "trade_type": format!("TradeType.{trade_type}"), "order_type": format!("OrderType.{order_type}"),
                "price": price, "amount": amount, "trade_fee": trade_fee, "exchange_trade_id": exchange_trade_id,
                "exchange_order_id": exchange_order_id, "leverage": 1, "position": position.name(),
            }),
            EventBody::OrderCompleted {
                order_id,
                base_asset,
                quote_asset,
                base_asset_amount,
                quote_asset_amount,
                order_type,
                exchange_order_id,
                ..
            } => json!({
                "order_id": order_id, "base_asset": base_asset, "quote_asset": quote_asset,
                "base_asset_amount": base_asset_amount, "quote_asset_amount": quote_asset_amount,
                "order_type": format!("OrderType.{order_type}"), "exchange_order_id": exchange_order_id,
            }),
            EventBody::OrderCancelled { order_id, exchange_order_id } => {
                json!({"order_id": order_id, "exchange_order_id": exchange_order_id})
            }
            EventBody::OrderExpired { order_id } => json!({"order_id": order_id}),
            EventBody::OrderFailure { order_id, order_type, error_message, error_type } => json!({
                "order_id": order_id, "order_type": format!("OrderType.{order_type}"),
                "error_message": error_message, "error_type": error_type,
            }),
            EventBody::PublicTrade { trading_pair, trade_type, price, amount } => json!({
                "trading_pair": trading_pair, "type": trade_type.map(|side| format!("TradeType.{side}")),
                "price": price, "amount": amount, "is_taker": true,
            }),
            EventBody::FundingPayment { trading_pair, amount, funding_rate } => json!({
                "trading_pair": trading_pair, "amount": amount, "funding_rate": funding_rate,
            }),
            EventBody::PositionMode { trading_pair, position_mode, message } => json!({
                "trading_pair": trading_pair, "position_mode": format!("PositionMode.{position_mode}"),
                "message": message,
            }),
            EventBody::Position(position) => json!({
                "trading_pair": position.trading_pair,
                "position_side": format!("PositionSide.{}", position.position_side),
                "unrealized_pnl": position.unrealized_pnl, "entry_price": position.entry_price,
                "amount": position.amount, "leverage": position.leverage,
            }),
            EventBody::Liquidation { trading_pair, amount, mark_price } => json!({
                "trading_pair": trading_pair, "amount": amount, "mark_price": mark_price,
            }),
            EventBody::Balance { asset_name, total_balance, available_balance } => json!({
                "asset_name": asset_name, "total_balance": total_balance,
                "available_balance": available_balance,
            }),
        }
    }
}

/// Seconds since the epoch, as Hummingbot counts time.
fn seconds(time: Timestamp) -> Value {
    // A float is the interface here; microseconds survive it.
    Value::from(time.nanos() as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_carry_hummingbots_numbers_and_fields() {
        let event = ConnectorEvent {
            timestamp: Timestamp::from_millis(1_500),
            body: EventBody::OrderCreated {
                trade_type: TradeType::Sell,
                order_type: OrderType::Limit,
                trading_pair: Pair::new("BTC", "USDT"),
                amount: Decimal::new(1, 2),
                price: Some(Decimal::new(65_000, 0)),
                order_id: "sell://BTC-USDT/1".into(),
                creation_timestamp: Timestamp::from_millis(1_000),
                exchange_order_id: Some("7".into()),
                position: PositionAction::Nil,
            },
        };
        assert_eq!(event.body.tag(), 201);
        insta::assert_snapshot!(event.to_json("bitmart_paper_trade"), @r#"{"amount":"0.01","creation_timestamp":1.0,"event_name":"SellOrderCreatedEvent","event_source":"bitmart_paper_trade","exchange_order_id":"7","leverage":1,"order_id":"sell://BTC-USDT/1","position":"NIL","price":"65000","timestamp":1.5,"trading_pair":"BTC-USDT","type":"OrderType.LIMIT"}"#);
    }
}
