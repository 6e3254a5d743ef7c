//! `connect`: the shell over a paper connector, at a terminal or from a script.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io::{self, BufRead, IsTerminal, Write};
use std::net::SocketAddr;
use std::rc::Rc;

use rust_decimal::Decimal;

use super::Done;
use super::serve_beside::ServedBeside;
use crate::cli::{Global, Told};
use crate::desk::options::SimArgs;
use crate::desk::{About, AccountArgs, Desk, DeskError, Opened};
use crate::feed::open::SourceArgs;
use crate::market::Asset;
use crate::paper::Pace;
use crate::shell::{Backstage, Shell, ShellError, interactive, scripted};
use crate::venue::connectors::{CONNECTORS, Status};

/// Open a paper connector and trade: the shell, or a script
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The connector, as in bitmart_paper_trade (`papertape connectors` lists them)
    pub name: Option<String>,
    /// Run these commands, separated by `;`, instead of asking for them
    #[arg(short = 'c', long = "command", value_name = "COMMANDS")]
    commands: Option<String>,
    /// How fast a recorded market plays at a terminal: a factor, or max
    #[arg(long, value_name = "N|max", default_value = "1")]
    speed: Pace,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten, next_help_heading = "Account")]
    account: AccountArgs,
    #[command(flatten, next_help_heading = "Simulation")]
    sim: SimArgs,
    /// Record the live market's raw frames as a tape into this folder
    #[arg(long, value_name = "DIR")]
    record: Option<std::path::PathBuf>,
    /// Serve the exchange's own interface beside the shell, over its market and account, for bots
    #[arg(long, value_name = "ADDR:PORT")]
    serve: Option<SocketAddr>,
}

/// Connectors for the shell.
struct Rooms {
    desk: Rc<RefCell<Desk>>,
    /// Whether opening failed for bad usage: it decides the exit code.
    usage: Rc<Cell<bool>>,
}

impl Backstage for Rooms {
    fn open(&mut self, name: &str) -> Result<Opened, ShellError> {
        self.desk.borrow().open(name).map_err(|error| {
            self.usage.set(self.usage.get() || error.is_usage());
            error.into()
        })
    }

    fn open_beside(&mut self, name: &str, first: &mut About) -> Result<Option<Opened>, ShellError> {
        self.desk.borrow().open_beside(name, first).map_err(|error| {
            self.usage.set(self.usage.get() || error.is_usage());
            error.into()
        })
    }

    fn names(&self) -> Vec<(&'static str, bool)> {
        CONNECTORS.iter().map(|connector| (connector.name, connector.status == Status::Ready)).collect()
    }

    fn paper_balances(&self) -> Result<BTreeMap<Asset, Decimal>, ShellError> {
        Ok(self.desk.borrow().settings.paper_balances())
    }

    fn set_paper_balance(&mut self, asset: &Asset, amount: Decimal) -> Result<(), ShellError> {
        Ok(self.desk.borrow_mut().settings.set_paper_balance(asset, amount)?)
    }
}

impl Args {
    /// How it is simulated. Where clients come over a wire, that has its own latency.
    fn sim(&self) -> SimArgs {
        let wire = || self.serve.is_some().then(|| "none".to_owned());
        SimArgs { latency: self.sim.latency.clone().or_else(wire), ..self.sim.clone() }
    }
}

/// Opens the connector and runs the session.
pub fn run(args: &Args, global: &Global, out: &mut dyn Write) -> Done {
    if args.serve.is_some() && args.name.is_none() {
        return Err(DeskError::usage("--serve needs the name of the connector to serve".to_owned()).into());
    }
    let from_script = args.commands.is_some() || !io::stdin().is_terminal();
    let desk = Desk {
        source: SourceArgs {
            real_time: true,
            // A platform without a data folder asks for lists each time.
            lists: global.data().ok().map(|data| data.join("instruments")),
            ..args.source.clone()
        },
        sim: args.sim(),
        account: args.account.clone(),
        store: global.store(),
        settings: global.settings()?,
        scripted: from_script,
        record: args.record.clone(),
        warnings: RefCell::default(),
    };
    let desk = Rc::new(RefCell::new(desk));
    let done = session(args, global, &desk, from_script, out);
    for warnings in desk.borrow().warnings.borrow().iter() {
        let first = warnings.first();
        first.iter().for_each(|words| global.say(&format!("warning: {words}")));
        let more = warnings.count().saturating_sub(first.len() as u64);
        if more > 0 {
            global.say(&format!("warning: {more} more like these"));
        }
    }
    done
}

fn session(
    args: &Args,
    global: &Global,
    desk: &Rc<RefCell<Desk>>,
    from_script: bool,
    out: &mut dyn Write,
) -> Done {
    let usage = Rc::new(Cell::new(false));
    let mut shell = Shell::new(Box::new(Rooms { desk: Rc::clone(desk), usage: Rc::clone(&usage) }));
    if let Some(name) = &args.name {
        let reply = shell.connect(name).map_err(|ShellError(error)| match usage.get() {
            true => DeskError::usage(error),
            false => DeskError::failed(error),
        })?;
        if global.json {
            writeln!(out, "{}", reply.json)?;
        } else {
            out.write_all(reply.text.as_bytes())?;
        }
    }
    // Ends with the session.
    let served = match (args.serve, shell.connector()) {
        (Some(address), Some(connector)) => Some(ServedBeside::start(connector, address)?),
        _ => None,
    };
    if let Some(served) = &served {
        if global.json {
            writeln!(out, "{}", served.table)?;
            out.flush()?;
        }
        global.say(&served.words());
    }
    if !from_script {
        out.flush()?;
        let history = global.data()?.join("history.txt");
        interactive(&mut shell, args.speed, &history, global.json, out)?;
        return Ok(shell.close()?);
    }
    let mut err = io::stderr();
    let lines: Box<dyn Iterator<Item = io::Result<String>>> = match &args.commands {
        Some(commands) => Box::new(std::iter::once(Ok(commands.clone()))),
        None => Box::new(io::stdin().lock().lines()),
    };
    let fine = scripted(&mut shell, lines, global.json, out, &mut err)?;
    if global.verbose > 0 {
        shell.summary().iter().for_each(|line| global.say(line));
    }
    shell.close()?;
    if fine { Ok(()) } else { Err(Told.into()) }
}
