//! The command line: options of every command, exit codes, and where talk goes.
//!
//! Answers go to stdout, talk to stderr. Exit codes: 0 fine, 1 the operation failed, 2 bad usage, 3 a check did not
//! hold. A closed pipe is no error.
//!
//! Start at [`run`].

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser};

use crate::backtest::BacktestError;
use crate::commands::{Command, UsageError};
use crate::desk::settings::Settings;
use crate::desk::{DeskError, Store};
use crate::feed::open::OpenError;
use crate::strategy::StrategyError;

/// Paper trading off the ticker tape: a local exchange that replays a market and lets you trade against it
#[derive(Debug, Parser)]
#[command(name = "papertape", version, max_term_width = 110, arg_required_else_help = true)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// Keep accounts, settings and history here [default: the platform's data folder]
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Print JSON: one document, or one object a line where a stream is meant
    #[arg(long, global = true)]
    pub json: bool,
    /// Say more on stderr (repeatable)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Say nothing on stderr but errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Also write what is said on stderr to this file
    #[arg(long, global = true, value_name = "FILE")]
    pub log_file: Option<PathBuf>,
    /// Read settings from this TOML file; Hummingbot's paper-trade and fee-override names are known
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Keep accounts in this folder, or nowhere [default: accounts/ in the data folder]
    #[arg(long, global = true, value_name = "PATH|none")]
    pub store: Option<String>,
}

impl Global {
    /// The data folder.
    pub fn data(&self) -> Result<PathBuf, DeskError> {
        if let Some(folder) = &self.data_dir {
            return Ok(folder.clone());
        }
        let dirs = directories::ProjectDirs::from("", "", "papertape");
        let folder = dirs.map(|dirs| dirs.data_dir().to_owned());
        folder.ok_or_else(|| {
            DeskError::failed("this platform has no data folder: name one with --data-dir".to_owned())
        })
    }

    /// Where accounts are kept.
    pub fn store(&self) -> Store {
        match self.store.as_deref() {
            Some("none") => Store::None,
            Some(folder) => Store::Folder(folder.into()),
            // A platform without a data folder still runs scripts; its accounts are shown as not kept.
            None => self.data().map_or(Store::None, |data| Store::Folder(data.join("accounts"))),
        }
    }

    /// The user's settings.
    pub fn settings(&self) -> Result<Settings, DeskError> {
        Settings::load(self.config.as_deref(), self.data().ok().as_deref())
    }

    /// Says something that is no answer: on stderr unless `--quiet`, and in the log file.
    pub fn say(&self, what: &str) {
        if !self.quiet {
            // Talk that cannot be heard is lost; the answer counts.
            let _ = writeln!(io::stderr(), "{what}");
        }
        self.log(what);
    }

    fn log(&self, what: &str) {
        let Some(file) = &self.log_file else { return };
        let opened = std::fs::OpenOptions::new().create(true).append(true).open(file);
        let _ = opened.and_then(|mut file| writeln!(file, "{what}"));
    }
}

/// The command failed after it said why: nothing more is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed")]
pub struct Told;

/// A check, comparison or expectation did not hold: exit code 3.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unmet(pub String);

/// Runs a command line; `arguments` begin with the program's name. Returns the exit code.
pub fn run(arguments: impl IntoIterator<Item = std::ffi::OsString>, out: &mut dyn Write) -> u8 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return refused(&error, out),
    };
    let done = cli.command.run(&cli.global, out).and_then(|()| Ok(out.flush()?));
    match done {
        Ok(()) => 0,
        Err(error) => {
            let code = exit_code(error.as_ref());
            if code != 0 && !error.is::<Told>() {
                let line = error.to_string().replace('\n', " ");
                let _ = writeln!(io::stderr(), "error: {line}");
                cli.global.log(&format!("error: {line}"));
            }
            code
        }
    }
}

/// Help and version are answers; everything else is bad usage, in one line and the usage.
fn refused(error: &clap::Error, out: &mut dyn Write) -> u8 {
    let text = error.render().to_string();
    if error.use_stderr() {
        // The first paragraph says what is wrong; a tip may follow it. No command at all is answered with the help.
        let is_help = error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
        let mut parts = text.split("\n\n").map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
        let what = parts.next().unwrap_or_default();
        let tip =
            parts.find(|part| part.starts_with("tip:")).map(|tip| format!("; {tip}")).unwrap_or_default();
        let _ = match is_help {
            true => write!(io::stderr(), "{text}"),
            false => writeln!(io::stderr(), "{what}{tip}; see --help"),
        };
        return 2;
    }
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    u8::from(written.is_err_and(|error| error.kind() != io::ErrorKind::BrokenPipe))
}

/// 0 for a closed pipe, 2 for bad usage, 3 for what did not hold, 1 for everything else.
fn exit_code(error: &(dyn Error + 'static)) -> u8 {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
            return 0;
        }
        if error.downcast_ref::<DeskError>().is_some_and(DeskError::is_usage) {
            return 2;
        }
        if error.is::<UsageError>() || error.downcast_ref::<OpenError>().is_some_and(OpenError::is_usage) {
            return 2;
        }
        if error.is::<Unmet>() {
            return 3;
        }
        let of_strategy =
            error.downcast_ref::<StrategyError>().or_else(|| match error.downcast_ref::<BacktestError>() {
                Some(BacktestError::Strategy(error)) => Some(error),
                _ => None,
            });
        if of_strategy.is_some_and(StrategyError::is_usage) {
            return 2;
        }
        cause = error.source();
    }
    1
}

/// The command line as clap knows it, for completions.
pub fn command() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn exit_codes_by_kind() {
        let pipe = io::Error::from(io::ErrorKind::BrokenPipe);
        assert_eq!(exit_code(&pipe), 0);
        assert_eq!(exit_code(&DeskError::usage("x".into())), 2);
        assert_eq!(exit_code(&DeskError::failed("x".into())), 1);
        assert_eq!(exit_code(&Unmet("x".into())), 3);
        assert_eq!(exit_code(&Told), 1);
    }
}
