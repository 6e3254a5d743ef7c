//! The columns of the tables that leave the program, for a backtest's folder and the shell's `export` alike.
//!
//! Never here: rows. Who has them writes them.

use crate::order::TimeInForce;

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
