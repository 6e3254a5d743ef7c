//! The interactive client: commands in, answers out, over one paper connector.
//!
//! A command is a line of text; its answer is a [`Reply`] for people and for programs. Scripted and interactive
//! sessions run the same commands; they differ in who lets the market move.
//!
//! Never here: logic that a command-line user could not reach too.
//! Start at [`Shell::execute`]; [`order_line`] is the grammar of `buy` and `sell`.

mod account;
mod beside;
mod complete;
mod export;
mod help;
mod interactive;
mod interrupt;
mod life;
mod live;
mod market;
pub mod order_line;
mod orders;
pub mod performance;
mod positions;
mod script;
mod strategy;
pub mod table;
#[cfg(test)]
mod tests;
pub use crate::desk::time;
mod words;

pub use help::Topic;
pub use interactive::interactive;
pub use interrupt::Interrupt;
pub use script::{commands_of, scripted};

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::connector::{Connector, ConnectorError};
use crate::desk::{About, DeskError, Opened};
use crate::market::{Asset, Instrument, InstrumentId};
use crate::paper::{Pace, Pacer, PaperError};

use beside::Beside;

/// A command that could not be carried out: one line for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ShellError(pub String);

impl From<ConnectorError> for ShellError {
    fn from(error: ConnectorError) -> Self {
        Self(error.to_string())
    }
}

impl From<DeskError> for ShellError {
    fn from(error: DeskError) -> Self {
        Self(error.to_string())
    }
}

impl From<PaperError> for ShellError {
    fn from(error: PaperError) -> Self {
        Self(error.to_string())
    }
}

/// The answer to a command.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply {
    /// For people; lines that end.
    pub text: String,
    /// For programs: the fields of one object.
    pub json: Value,
    /// Whether the session ends.
    pub exit: bool,
}

impl Reply {
    /// An answer in both forms.
    pub fn new(text: impl Into<String>, json: Value) -> Self {
        let mut text = text.into();
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        Self { text, json, exit: false }
    }
}

/// What the shell needs from outside: connectors by name, and the balances that new accounts start with.
pub trait Backstage {
    /// Opens a connector by name.
    fn open(&mut self, name: &str) -> Result<Opened, ShellError>;

    /// Opens the market that stands beside a connector's own, where it has one and the sources hold it. `first` is
    /// what screens say of the connector's own market: a live one beside that does not answer is named there.
    fn open_beside(&mut self, _name: &str, _first: &mut About) -> Result<Option<Opened>, ShellError> {
        Ok(None)
    }

    /// All names that `connect` knows, each with whether it can be opened now.
    fn names(&self) -> Vec<(&'static str, bool)>;

    /// What new paper accounts start with.
    fn paper_balances(&self) -> Result<BTreeMap<Asset, Decimal>, ShellError>;

    /// Sets what new paper accounts start with, of one asset.
    fn set_paper_balance(&mut self, asset: &Asset, amount: Decimal) -> Result<(), ShellError>;
}

/// A shell with its connector, once there is one.
pub struct Shell {
    backstage: Box<dyn Backstage>,
    opened: Option<Opened>,
    beside: Option<Beside>,
    pacer: Option<Pacer>,
    interrupt: Option<Arc<AtomicBool>>,
}

/// A live market goes on between commands, too; any other waits for them.
fn own_pace(opened: &Opened) -> Result<Option<Pacer>, ShellError> {
    if opened.about.live.is_none() {
        return Ok(None);
    }
    let pacer = Pacer::start(opened.connector.handle().clone(), Pace::REAL, |_| {});
    Ok(Some(pacer.map_err(|error| ShellError(format!("{}: {error}", opened.connector.name())))?))
}

impl Shell {
    /// A shell that is connected to nothing.
    pub fn new(backstage: Box<dyn Backstage>) -> Self {
        Self { backstage, opened: None, beside: None, pacer: None, interrupt: None }
    }

    /// Opens a connector and says so.
    pub fn connect(&mut self, name: &str) -> Result<Reply, ShellError> {
        let already = self.opened.as_ref().is_some_and(|opened| opened.connector.name() == name);
        if !already {
            // The connector before is let go once the other is there.
            let mut opened = self.backstage.open(name)?;
            let beside = self.backstage.open_beside(name, &mut opened.about)?;
            self.close()?;
            self.pacer = own_pace(&opened)?;
            self.opened = Some(opened);
            self.beside = beside.map(Beside::new).transpose()?;
        }
        let mut text = format!("You are now connected to {name}.\n");
        let about = &self.opened()?.about;
        let mut notes = about.notes.clone();
        notes.extend(self.beside.iter().flat_map(Beside::notes));
        notes.iter().filter(|_| !already).for_each(|note| text.push_str(&format!("  {note}\n")));
        Ok(Reply::new(text, json!({"connected": name, "notes": notes})))
    }

    /// Carries out one line. An empty line and a comment (`# …`) do nothing.
    pub fn execute(&mut self, line: &str) -> Result<Reply, ShellError> {
        let line = line.trim();
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.first().is_none_or(|name| name.starts_with('#')) {
            return Ok(Reply::default());
        }
        let beside = self.beside.as_ref().and_then(Beside::pacer);
        if let Some(error) = self.pacer.iter().chain(beside).find_map(Pacer::take_failure) {
            return Err(ShellError(format!("the market has stopped: {error}")));
        }
        // In a script a live screen is shown once.
        let live = ["ticker", "order_book", "status"];
        let shown = words.iter().any(|word| live.contains(word));
        let words: Vec<&str> = words.iter().copied().filter(|word| !(shown && *word == "--live")).collect();
        let mut reply = self.dispatch_to(&words)?;
        self.add_news(&mut reply);
        if let Value::Object(fields) = &mut reply.json {
            fields.insert("command".to_owned(), line.into());
        }
        Ok(reply)
    }

    fn dispatch(&mut self, name: &str, rest: &[&str]) -> Result<Reply, ShellError> {
        match name {
            "connect" => match rest {
                [] => Ok(self.connections()),
                [name] => self.connect(name),
                _ => Err(usage("connect")),
            },
            "help" | "?" => help::help(rest),
            "exit" | "quit" => Ok(Reply { exit: true, ..Reply::new("", json!({"exit": true})) }),
            "balance" => self.balance(rest),
            "ticker" => self.ticker(rest),
            "order_book" => self.order_book(rest),
            "trades" => self.trades(rest),
            "fees" => self.fees(rest),
            "rules" => self.rules(rest),
            "status" => self.status(rest),
            "buy" => self.trade(crate::connector::TradeType::Buy, rest),
            "sell" => self.trade(crate::connector::TradeType::Sell, rest),
            "orders" => self.orders(rest),
            "order" => self.order(rest),
            "cancel" => self.cancel(rest),
            "amend" => self.amend(rest),
            "history" => self.history(rest),
            "export" => self.export(rest),
            "step" => self.step(rest),
            "run" => self.run(rest),
            "wait" => self.wait(rest),
            "speed" | "pause" | "play" => self.pace(name, rest),
            "positions" => self.positions(rest),
            "leverage" => self.leverage(rest),
            "position_mode" => self.position_mode(rest),
            "funding" => self.funding(rest),
            "start" => self.start(rest),
            "stop" => self.stop(rest),
            "record" => self.record(rest),
            "faults" => Err(ShellError("faults: fault injection is not part of this build".to_owned())),
            other => Err(ShellError(format!("unknown command {other:?}{}", help::did_you_mean(other)))),
        }
    }

    fn opened(&self) -> Result<&Opened, ShellError> {
        let names = self.backstage.names();
        let ready = names.iter().find(|(_, ready)| *ready).map_or("NAME", |(name, _)| name);
        self.opened.as_ref().ok_or_else(|| ShellError(format!("not connected: `connect {ready}` first")))
    }

    fn opened_mut(&mut self) -> Result<&mut Opened, ShellError> {
        self.opened()?;
        self.opened.as_mut().ok_or_else(|| ShellError("not connected".to_owned()))
    }

    fn connections(&self) -> Reply {
        let mut table = table::Table::new(["Exchange", "  Keys Added", "  Keys Confirmed"]);
        let mut names = self.backstage.names();
        names.sort_unstable();
        let here = self.opened.as_ref().map(|opened| opened.connector.name().to_owned());
        for (name, ready) in &names {
            let connected = here.as_deref() == Some(name);
            let keys = match name.ends_with("_paper_trade") {
                true => "not needed",
                false => "No",
            };
            table.row([
                *name,
                keys,
                match (connected, ready) {
                    (true, _) => "connected",
                    (_, true) => "ready",
                    _ => "planned",
                },
            ]);
        }
        let text = format!("Testing connections, please wait...\n{}", table.draw(table::Shape::Grid, 4));
        let all: Vec<Value> =
            names.iter().map(|(name, ready)| json!({"exchange": name, "ready": ready})).collect();
        Reply::new(text, json!({"exchanges": all, "connected": here}))
    }

    /// The instrument of `[PAIR]`: the pair that was given, else the session's first.
    fn instrument(&self, pair: Option<&str>) -> Result<(InstrumentId, Instrument), ShellError> {
        let opened = self.opened()?;
        let pair = match pair {
            Some(text) => {
                text.parse().map_err(|error: crate::market::PairError| ShellError(error.to_string()))?
            }
            None => match &opened.about.default_pair {
                Some(pair) => pair.clone(),
                None => return Err(ShellError("there is currently no active market".to_owned())),
            },
        };
        let paper = opened.connector.handle().lock();
        match paper.names().find(&pair) {
            Some((id, instrument)) => Ok((id, instrument.clone())),
            None => {
                let known: Vec<String> =
                    paper.names().instruments().iter().map(|i| i.pair.to_string()).collect();
                let name = opened.connector.name();
                let beside = self.beside.iter().flat_map(Beside::pairs);
                let known = known.into_iter().chain(beside).collect::<Vec<_>>().join(", ");
                Err(ShellError(format!("{name} does not trade {pair} here (pairs: {known})")))
            }
        }
    }

    /// Appends what became of orders meanwhile.
    fn add_news(&mut self, reply: &mut Reply) {
        let Some(opened) = &mut self.opened else { return };
        let events = opened.connector.drain_events();
        let news = words::news(&events, &opened.connector);
        if !news.is_empty() && !reply.exit {
            let lines: Vec<Value> = news.iter().map(|line| line.as_str().into()).collect();
            news.iter().for_each(|line| reply.text.push_str(&format!("  {line}\n")));
            if let Value::Object(fields) = &mut reply.json {
                fields.insert("news".to_owned(), lines.into());
            }
        }
    }

    /// Forgets what happened to orders: the command has told it itself.
    fn told(&mut self) {
        if let Some(opened) = &mut self.opened {
            opened.connector.drain_events();
        }
    }

    /// Stops the market and writes down what is not yet written.
    pub fn close(&mut self) -> Result<(), ShellError> {
        self.pacer = None;
        if let Some(beside) = self.beside.take() {
            beside.opened.connector.handle().lock().commit()?;
        }
        match self.opened.take() {
            Some(opened) => Ok(opened.connector.handle().lock().commit()?),
            None => Ok(()),
        }
    }

    /// What the source counted, for `--verbose`.
    pub fn summary(&self) -> Vec<String> {
        let Some(opened) = &self.opened else { return Vec::new() };
        let paper = opened.connector.handle().lock();
        let (feed, sim) = (paper.feed_stats(), paper.sim().stats());
        let quotes = (feed.quotes_checked > 0).then(|| {
            format!(
                "feed: {} quotes compared with the book beside them, {} differ",
                feed.quotes_checked, feed.quotes_differ
            )
        });
        let lines = vec![
            format!(
                "feed: messages {}, book updates {}, gaps {}, checksum failures {}, time went back {}, errors {}",
                feed.messages,
                feed.book_updates,
                feed.gaps,
                feed.checksum_failures,
                feed.time_went_back,
                feed.errors
            ),
            format!(
                "sim: groups {}, events {}, crossed {}, distrusted {}",
                sim.groups, sim.events, sim.crossed, sim.distrusted
            ),
        ];
        lines.into_iter().chain(quotes).collect()
    }

    /// Long moves of the market end early once this is true.
    pub fn stop_at(&mut self, interrupt: Arc<AtomicBool>) {
        self.interrupt = Some(interrupt);
    }

    /// The connector that is open.
    pub fn connector(&self) -> Option<&crate::paper::PaperConnector> {
        self.opened.as_ref().map(|opened| &opened.connector)
    }

    /// Lets the market play by itself, at a pace.
    pub fn play_by_itself(&mut self, pacer: Pacer) {
        self.pacer = Some(pacer);
    }
}

fn usage(command: &str) -> ShellError {
    ShellError(format!("usage: {}", help::usage_of(command)))
}
