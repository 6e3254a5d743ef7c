//! The only wing that changes a balance: the ledger, holds, fees.
//!
//! Money here is integers of an asset's smallest unit. Every change is one double-entry transaction with a cause; the
//! system accounts take the other side, so each transaction and the whole sum to zero per asset.
//! Never here: prices of the market, queues, time beyond the day a fee tier needs.
//! Start at [`Accounts`].

mod fees;
mod ledger;

pub(crate) use fees::{FeeModel, Volume};
pub(crate) use ledger::{About, Accounts, Posting};
