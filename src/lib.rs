//! papertape: a local exchange off the ticker tape. Paper trading and testnets for bots, backtests and CI.

pub mod connector;
pub mod feed;
pub mod market;
pub mod order;
pub mod paper;
pub mod sim;
pub mod venue;
