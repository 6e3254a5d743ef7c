//! Completion, hints and colour for the line editor.

use rustyline::completion::{Completer, Pair as Candidate};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};

use super::help::TOPICS;
use crate::strategy::STRATEGIES;

/// Completes commands, pairs, order numbers and the words of `buy` and `sell`.
#[derive(Debug, Default)]
pub(super) struct Words {
    /// The pairs of the connector.
    pub(super) pairs: Vec<String>,
    /// The numbers of open orders.
    pub(super) open: Vec<String>,
    /// The names of connectors.
    pub(super) names: Vec<String>,
}

const TRADE_WORDS: [&str; 17] = [
    "at",
    "best",
    "ticks",
    "below",
    "above",
    "limit",
    "limit_maker",
    "market",
    "gtc",
    "ioc",
    "fok",
    "gtd",
    "stop",
    "take_profit",
    "by",
    "last",
    "stp",
];

impl Words {
    /// What may stand after the words before the cursor.
    fn candidates(&self, before: &[&str]) -> Vec<String> {
        let strings = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let Some((command, rest)) = before.split_first() else {
            return TOPICS.iter().map(|topic| topic.name.to_owned()).collect();
        };
        match (*command, rest.len()) {
            ("connect", 0) => self.names.clone(),
            ("help", 0) => TOPICS.iter().map(|topic| topic.name.to_owned()).collect(),
            ("buy" | "sell", 0) => Vec::new(),
            ("buy" | "sell", 1) => self.pairs.clone(),
            ("buy" | "sell", _) if rest.iter().any(|word| word.contains('-')) => strings(&TRADE_WORDS),
            ("buy" | "sell", _) => self.pairs.clone(),
            ("order" | "amend" | "wait", 0) => [self.open.clone(), strings(&["last"])].concat(),
            ("cancel", 0) => [self.open.clone(), strings(&["all", "last"])].concat(),
            ("amend", _) => strings(&["price", "amount"]),
            ("orders", 0) => strings(&["all"]),
            ("balance", 0) => strings(&["paper"]),
            ("export", 0) => strings(&["trades", "orders", "ledger"]),
            ("ticker" | "trades" | "rules", 0) => self.pairs.clone(),
            ("order_book", _) => [self.pairs.clone(), strings(&["--lines", "--live"])].concat(),
            ("status", 0) => strings(&["--live"]),
            ("history", _) => strings(&["-v", "-p"]),
            ("start", 0) => STRATEGIES.iter().map(|kind| kind.name.to_owned()).collect(),
            ("start", _) => match crate::strategy::find(rest[0]) {
                Ok(kind) => kind.parameters.iter().map(|known| format!("{}=", known.key)).collect(),
                Err(_) => Vec::new(),
            },
            ("speed", 0) => strings(&["1", "10", "max"]),
            _ => Vec::new(),
        }
    }

    /// The start of the last word, and what it may become.
    fn completions(&self, line: &str) -> (usize, Vec<String>) {
        let start = line.rfind(char::is_whitespace).map_or(0, |at| at + 1);
        let typed = line[start..].to_ascii_lowercase();
        let before: Vec<&str> = line[..start].split_whitespace().collect();
        let mut found = self.candidates(&before);
        found.retain(|word| word.to_ascii_lowercase().starts_with(&typed));
        (start, found)
    }
}

impl Completer for Words {
    type Candidate = Candidate;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Candidate>)> {
        let (start, found) = self.completions(&line[..at]);
        let candidate = |word: String| Candidate { display: word.clone(), replacement: format!("{word} ") };
        Ok((start, found.into_iter().map(candidate).collect()))
    }
}

impl Hinter for Words {
    type Hint = String;

    fn hint(&self, line: &str, at: usize, _: &Context<'_>) -> Option<String> {
        if at < line.len() || line.trim().is_empty() {
            return None;
        }
        if let Some(command) = line.strip_suffix(' ') {
            let topic = TOPICS.iter().find(|topic| topic.name == command)?;
            return topic.usage.strip_prefix(line).map(str::to_owned);
        }
        let (start, found) = self.completions(line);
        let [only] = found.as_slice() else { return None };
        only.get(line.len() - start..).filter(|rest| !rest.is_empty()).map(str::to_owned)
    }
}

impl Highlighter for Words {
    fn highlight_hint<'h>(&self, hint: &'h str) -> std::borrow::Cow<'h, str> {
        format!("\x1b[2m{hint}\x1b[0m").into()
    }
}

impl Validator for Words {}
impl Helper for Words {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_complete_by_their_place() {
        let words = Words {
            pairs: vec!["BTC-USDT".into(), "ETH-USDT".into()],
            open: vec!["3".into()],
            names: vec!["bitmart_paper_trade".into()],
        };
        for (line, want) in [
            ("bal", &["balance"][..]),
            ("connect ", &["bitmart_paper_trade"]),
            ("buy 0.1 e", &["ETH-USDT"]),
            ("buy 0.1 ETH-USDT at b", &["below", "best", "by"]),
            ("cancel ", &["3", "all", "last"]),
            ("export t", &["trades"]),
            ("exit ", &[]),
        ] {
            let mut found = words.completions(line).1;
            found.sort();
            assert_eq!(found, want, "{line}");
        }
    }
}
