//! papertape: a local exchange off the ticker tape. Paper trading and testnets for bots, backtests and CI.
//!
//! The rooms, from the ground up: [`market`] (what is traded), [`order`] (the words of trading), [`sim`] (the simulated
//! exchange), [`connector`] (what bots speak), [`strategy`] (what decides), [`paper`] (an exchange that runs), [`venue`]
//! (one folder an exchange), [`feed`] (where events come from), [`desk`] (puts it together), [`backtest`] (strategies over
//! recordings), [`gateway`] (the server), [`shell`] (the client), [`commands`] (one file a subcommand). `docs/architecture.md` is the map.

pub mod backtest;
pub mod cli;
pub mod commands;
pub mod connector;
pub mod desk;
pub mod feed;
pub mod gateway;
pub mod market;
pub mod order;
pub mod paper;
pub mod shell;
pub mod sim;
pub mod strategy;
pub mod venue;
