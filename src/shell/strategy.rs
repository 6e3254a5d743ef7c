//! `start` and `stop`: a strategy runs beside the person at the shell, on the same account.

use std::time::Duration;

use serde_json::json;

use super::{Reply, Shell, ShellError, time, usage};
use crate::paper::{AgentError, Stop};
use crate::strategy::{Parameters, StrategyError, find};

/// For how long `stop` waits for the answers to its cancels, in market time.
const WINDING_DOWN: Duration = Duration::from_secs(20);

impl From<StrategyError> for ShellError {
    fn from(error: StrategyError) -> Self {
        Self(error.to_string())
    }
}

impl From<AgentError> for ShellError {
    fn from(error: AgentError) -> Self {
        Self(error.to_string())
    }
}

impl Shell {
    pub(super) fn start(&mut self, rest: &[&str]) -> Result<Reply, ShellError> {
        let Some((name, typed)) = rest.split_first() else { return Err(usage("start")) };
        let kind = find(name)?;
        let mut parameters = Parameters::default();
        typed.iter().try_for_each(|pair| parameters.set_pair(pair))?;
        let values = kind.values(&parameters)?;
        let strategy = kind.build(&values)?;
        let (first, _) = self.instrument(None)?;
        self.opened_mut()?.connector.start_strategy(first, kind.name, strategy)?;
        let text = format!(
            "Paper Trading Active: All orders are simulated and no real orders are placed.\n\
             Status check complete. Strategy '{}' started successfully.\n",
            kind.name
        );
        let all: serde_json::Map<String, serde_json::Value> =
            values.all().iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
        Ok(Reply::new(text, json!({"started": kind.name, "parameters": all})))
    }

    pub(super) fn stop(&mut self, rest: &[&str]) -> Result<Reply, ShellError> {
        if !rest.is_empty() {
            return Err(usage("stop"));
        }
        let opened = self.opened()?;
        let session = opened.connector.session();
        let (name, open, ended) = {
            let mut paper = opened.connector.handle().lock();
            let (name, open) = paper.stop_strategy()?;
            let until = paper.now().plus(WINDING_DOWN);
            for number in &open {
                if paper.run_until_done(session, *number, until)? != Stop::Reached {
                    break;
                }
            }
            let is_over = |number: &&u64| {
                paper
                    .trader(session)
                    .and_then(|trader| trader.order(**number))
                    .is_none_or(|k| k.done.is_some())
            };
            let ended = open.iter().filter(is_over).count();
            (name, open.len(), ended)
        };
        let mut text = format!("Winding down...\nOrders cancelled: {ended}\n");
        if ended < open {
            text.push_str(&format!("Not answered yet: {}; see `orders`\n", open - ended));
        }
        text.push_str(&format!("Strategy '{name}' stopped.\n"));
        Ok(Reply::new(
            text,
            json!({"stopped": name.as_str(), "cancelled": ended, "unanswered": open - ended}),
        ))
    }

    /// What `status` says of the strategy; nothing where none runs.
    pub(super) fn strategy_lines(&self) -> Result<(String, serde_json::Value), ShellError> {
        let mut paper = self.opened()?.connector.handle().lock();
        let Some((name, started, lines)) = paper.strategy_status() else {
            return Ok((String::new(), serde_json::Value::Null));
        };
        let mut text = format!("\n  Strategy:\n    {name}, since {}\n", time::stamp(started));
        lines.iter().for_each(|line| text.push_str(&format!("    {line}\n")));
        Ok((text, json!({"name": name.as_str(), "started": started.to_string(), "says": lines})))
    }
}
