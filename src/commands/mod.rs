//! One file a subcommand: parse, call, print.
//!
//! Never here: anything that another way in (the shell, a library user) would need too.

pub mod account;
pub mod backtest;
pub mod completions;
pub mod connect;
pub mod connectors;
pub mod convert;
pub mod inspect;
pub mod record;
pub mod serve;
mod serve_beside;
pub mod synth;

use std::error::Error;
use std::io::Write;

use crate::cli::Global;

/// The command line asks for something that does not make sense: exit code 2.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// What a command ends with.
pub type Done = Result<(), Box<dyn Error>>;

/// The subcommands.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List every connector: name, exchange, products, order types, fees and status
    Connectors(connectors::Args),
    /// Open a paper connector and trade: the shell, or a script
    Connect(Box<connect::Args>),
    /// Serve exchanges' own REST and WebSocket interfaces on paper, for bots and their libraries
    Serve(Box<serve::Args>),
    /// Run a strategy over recorded data in virtual time and report what came of it
    Backtest(Box<backtest::Args>),
    /// Record an exchange's live market as a tape
    Record(Box<record::Args>),
    /// Show what a recording holds, and its books at a point
    Inspect(inspect::Args),
    /// Convert between recorded frames and Tardis CSV
    Convert(convert::Args),
    /// Make a seeded synthetic market in the venue's own wire format or as CSV
    Synth(Box<synth::Args>),
    /// List, show, reset or export paper accounts
    Account(account::Args),
    /// Print what a shell needs to complete this program's command lines
    Completions(completions::Args),
}

impl Command {
    /// Carries it out.
    pub fn run(&self, global: &Global, out: &mut dyn Write) -> Done {
        match self {
            Self::Connectors(args) => connectors::run(args, out, global.json),
            Self::Connect(args) => connect::run(args, global, out),
            Self::Serve(args) => serve::run(args, global, out),
            Self::Backtest(args) => backtest::run(args, global, out),
            Self::Record(args) => record::run(args, global, out),
            Self::Inspect(args) => inspect::run(args, out, global.json),
            Self::Convert(args) => convert::run(args, out, global.json),
            Self::Synth(args) => synth::run(args, out, global.json),
            Self::Account(args) => account::run(args, global, out),
            Self::Completions(args) => completions::run(args, out),
        }
    }
}
