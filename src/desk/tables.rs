//! The columns of the tables that leave the program, for a backtest's folder and the shell's `export` alike.
//!
//! Never here: rows. Who has them writes them.

use crate::order::TimeInForce;
use crate::sim::{Fill, SimulatedExchange};

/// The columns of trades: Hummingbot's.
pub const TRADES: [&str; 11] = [
    "Id",
    "Timestamp",
    "Exchange",
    "Market",
    "Order_type",
    "Side",
    "Price",
    "Amount",
    "Leverage",
    "Position",
    "Age",
];
/// The columns of orders.
pub const ORDERS: [&str; 19] = [
    "order",
    "client_id",
    "exchange_id",
    "connector",
    "pair",
    "account",
    "side",
    "type",
    "tif",
    "price",
    "amount",
    "filled",
    "avg_price",
    "state",
    "reason",
    "created_ns",
    "arrived_ns",
    "done_ns",
    "ahead_at_join",
];
/// The columns of ledger.
pub const LEDGER: [&str; 14] = [
    "entry",
    "transaction",
    "session",
    "ts_ns",
    "account",
    "asset",
    "amount",
    "balance_after",
    "hold_amount",
    "hold_after",
    "cause",
    "order",
    "fill",
    "pair",
];
/// The columns of fills.
pub const FILLS: [&str; 17] = [
    "fill",
    "order",
    "connector",
    "pair",
    "account",
    "ts_ns",
    "side",
    "price",
    "amount",
    "liquidity",
    "fee",
    "fee_asset",
    "rule",
    "evidence",
    "event_ts_ns",
    "ahead_before",
    "position_action",
];
/// The columns of the curve of equity.
pub const EQUITY: [&str; 7] = ["ts_ns", "equity", "quote_asset", "position", "mid", "mark", "drawdown"];

/// How a time in force is written.
pub fn tif_words(tif: TimeInForce) -> String {
    match tif {
        TimeInForce::Gtc => "gtc".to_owned(),
        TimeInForce::Ioc => "ioc".to_owned(),
        TimeInForce::Fok => "fok".to_owned(),
        TimeInForce::Gtd(until) => format!("gtd:{}", until.nanos()),
    }
}

/// Whether a fill opened or closed a position; one that did both closed first. `nil` on spot.
pub fn action_of(fill: &Fill) -> &'static str {
    match &fill.position {
        None => "nil",
        Some(position) if position.closed.is_zero() => "open",
        Some(_) => "close",
    }
}

/// The leverage of the positions that a fill is about: 1 on spot.
pub fn leverage_of(sim: &SimulatedExchange, fill: &Fill) -> String {
    let settings = fill.position.as_ref().and_then(|_| sim.margin_settings(fill.account, fill.instrument));
    settings.map_or_else(|| "1".to_owned(), |(_, leverage)| leverage[fill.side.index()].to_string())
}
