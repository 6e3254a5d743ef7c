//! The only wing that changes a balance: the ledger, holds, fees, positions and their margin.
//!
//! Money here is integers of an asset's smallest unit. Every change is one double-entry transaction with a cause; the
//! system accounts take the other side, so each transaction and the whole sum to zero per asset.
//! Never here: prices of the market, queues, time beyond the day a fee tier needs.
//! Start at [`Accounts`]; contracts are worth what [`Contract`] says, and [`Positions`] has who holds them.

mod contract;
mod fees;
mod ledger;
mod margin;
mod positions;
#[cfg(test)]
mod tests;
mod watch;

pub(crate) use contract::{Contract, RATE_ONE};
pub(crate) use fees::{FeeModel, Volume};
pub(crate) use ledger::{About, Accounts, Posting, Trade};
pub(crate) use positions::{Holding, Leg, Listed, Mark, Positions, SavedPositions};
