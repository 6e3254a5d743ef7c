//! The market beside: `bitmart_paper_trade` is a spot account and, in the same shell, one for BitMart's perpetuals.
//!
//! A command is meant for the market beside where a word of it names that market: `ticker bitmart_perpetual:BTC-USDT`, or
//! `bitmart_perpetual: orders` where there is no pair; and where only contracts know it, as `positions`. What lists an
//! account lists both: `balance`, and `orders`, `history` and `status` once something was ordered there. Everything else is
//! meant for the first. Both have one time: the market that a command is not meant for follows when it is next looked at.

use rust_decimal::Decimal;
use serde_json::Value;

use super::table::fixed;
use super::{Reply, Shell, ShellError, own_pace};
use crate::connector::Connector;
use crate::desk::Opened;
use crate::paper::Pacer;

/// Commands that let time pass: they are said to the first market, and the other one follows.
const OF_TIME: [&str; 5] = ["step", "run", "speed", "pause", "play"];

/// Commands that only contracts know.
const OF_CONTRACTS: [&str; 4] = ["positions", "leverage", "position_mode", "funding"];

/// Commands that tell of both accounts, one under the other, once the one beside is in use.
const OF_BOTH: [&str; 3] = ["orders", "history", "status"];

/// What the last line of `balance` begins with.
pub(super) const EXCHANGES_TOTAL: &str = "Exchanges Total: $ ";

/// What the account of a `balance` is worth.
fn worth(json: &Value) -> Decimal {
    let text = json.get("total_usd").and_then(Value::as_str);
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// A second market with its account.
pub(super) struct Beside {
    /// What it is called in commands: `bitmart_perpetual`.
    name: String,
    pub(super) opened: Opened,
    /// What lets it go on by itself, where it is live.
    pacer: Option<Pacer>,
}

impl Beside {
    pub(super) fn new(opened: Opened) -> Result<Self, ShellError> {
        let name = opened.connector.name();
        let name = name.strip_suffix("_paper_trade").unwrap_or(name).to_owned();
        Ok(Self { name, pacer: own_pace(&opened)?, opened })
    }

    pub(super) fn pacer(&self) -> Option<&Pacer> {
        self.pacer.as_ref()
    }

    /// Its pairs as commands name them.
    pub(super) fn pairs(&self) -> Vec<String> {
        let pairs = self.opened.connector.trading_pairs();
        pairs.iter().map(|pair| format!("{}:{pair}", self.name)).collect()
    }

    /// What the screen says of it when the connector opens.
    pub(super) fn notes(&self) -> Vec<String> {
        let account = &self.opened.about.account;
        let kept = if self.opened.about.kept { "" } else { " (not kept after the session)" };
        let first = format!("beside   {}, account {account}{kept}", self.pairs().join(", "));
        std::iter::once(first).chain(self.opened.about.own_notes().map(str::to_owned)).collect()
    }

    /// Whether something was ordered there, or is held from an earlier session.
    fn is_used(&self) -> bool {
        let connector = &self.opened.connector;
        let paper = connector.handle().lock();
        let trader = paper.trader(connector.session());
        trader.is_some_and(|trader| trader.orders().next().is_some() || trader.positions().next().is_some())
    }

    /// The rest of a word that names this market.
    fn rest<'w>(&self, word: &'w str) -> Option<&'w str> {
        let (name, rest) = word.split_once(':')?;
        (name == self.name || name == self.opened.connector.name()).then_some(rest)
    }
}

impl Shell {
    /// Carries out a command on the market that its words name.
    pub(super) fn dispatch_to(&mut self, words: &[&str]) -> Result<Reply, ShellError> {
        let meant: Vec<Option<&str>> = words.iter().map(|word| self.rest_of(word)).collect();
        let plain = meant.iter().zip(words).map(|(rest, word)| rest.unwrap_or(word));
        let plain: Vec<&str> = plain.filter(|word| !word.is_empty()).collect();
        let Some((name, rest)) = plain.split_first() else {
            return Err(ShellError("which command? as in `bitmart_perpetual: orders`".to_owned()));
        };
        let name = name.to_ascii_lowercase();
        if meant.iter().all(Option::is_none) && !self.only_beside(&name) {
            let reply = self.dispatch(&name, rest)?;
            return match name.as_str() {
                "balance" if rest.is_empty() => self.add_balances(reply),
                all if rest.is_empty() && OF_BOTH.contains(&all) => self.add_beside(all, reply),
                _ => Ok(reply),
            };
        }
        if OF_TIME.contains(&name.as_str()) {
            return Err(ShellError(format!(
                "{name}: both markets have one time; say it without the market's name"
            )));
        }
        self.on_beside(|shell| shell.dispatch(&name, rest))
    }

    fn rest_of<'w>(&self, word: &'w str) -> Option<&'w str> {
        self.beside.as_ref()?.rest(word)
    }

    /// Whether a command is for contracts, and there are none but beside.
    fn only_beside(&self, name: &str) -> bool {
        let has_contracts = |opened: &Opened| !opened.connector.supported_position_modes().is_empty();
        OF_CONTRACTS.contains(&name)
            && self.opened.as_ref().is_some_and(|first| !has_contracts(first))
            && self.beside.as_ref().is_some_and(|beside| has_contracts(&beside.opened))
    }

    /// Puts the market beside in the first one's place for a command.
    fn on_beside(
        &mut self,
        command: impl FnOnce(&mut Self) -> Result<Reply, ShellError>,
    ) -> Result<Reply, ShellError> {
        self.follow()?;
        self.change_places();
        let reply = command(self);
        self.change_places();
        let reply = reply?;
        self.follow()?;
        Ok(reply)
    }

    fn change_places(&mut self) {
        if let (Some(first), Some(beside)) = (&mut self.opened, &mut self.beside) {
            std::mem::swap(first, &mut beside.opened);
        }
    }

    /// Brings the market that is behind to the time of the other.
    fn follow(&self) -> Result<(), ShellError> {
        let (Some(first), Some(beside)) = (&self.opened, &self.beside) else { return Ok(()) };
        let [first, beside] = [first, &beside.opened].map(|opened| opened.connector.handle());
        // One lock at a time: the first market may be playing by itself.
        let now = first.lock().now();
        beside.lock().advance_to(now)?;
        let now = beside.lock().now();
        Ok(first.lock().advance_to(now)?)
    }

    /// What a command says of the account beside, under what it says of the first.
    fn add_beside(&mut self, command: &str, mut reply: Reply) -> Result<Reply, ShellError> {
        let used = self.beside.as_ref().filter(|beside| beside.is_used());
        let Some(name) = used.map(|beside| beside.name.clone()) else { return Ok(reply) };
        let beside = self.on_beside(|shell| shell.dispatch(command, &[]))?;
        reply.text.push_str(&format!("\n{name}:\n{}", beside.text));
        if let Value::Object(fields) = &mut reply.json {
            fields.insert("beside".to_owned(), beside.json);
        }
        Ok(reply)
    }

    /// The balances of the account beside, under those of the first.
    fn add_balances(&mut self, mut reply: Reply) -> Result<Reply, ShellError> {
        if self.beside.is_none() {
            return Ok(reply);
        }
        let beside = self.on_beside(|shell| shell.dispatch("balance", &[]))?;
        let total = worth(&reply.json) + worth(&beside.json);
        let own = |line: &&str| !line.starts_with(EXCHANGES_TOTAL);
        let lines = reply.text.lines().chain(beside.text.lines().skip(1)).filter(own);
        let mut text: String = lines.map(|line| format!("{line}\n")).collect();
        text.push_str(&format!("{EXCHANGES_TOTAL}{}\n", fixed(total, 0)));
        reply.text = text;
        if let Value::Object(fields) = &mut reply.json {
            fields.insert("beside".to_owned(), beside.json);
        }
        Ok(reply)
    }
}
