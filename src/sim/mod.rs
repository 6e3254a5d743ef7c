//! The simulated exchange: a state machine from (time, input) to updates.
//!
//! Never here: sockets, files, clocks, threads, async, venue names, floating-point money.
//! Start at [`SimulatedExchange::apply`]. `matching` decides when an order fills, `account` is the only wing that
//! changes a balance, `schedule` decides when a request arrives. `docs/fills.md` has every rule with its number.

mod account;
pub mod config;
mod digest;
mod exchange;
mod matching;
mod risk;
mod schedule;
mod wire;

pub use config::*;
pub use digest::{Digest, OrderFact};
pub use exchange::{Balance, ConfigError, SimStats, SimulatedExchange, View};
pub use wire::*;
