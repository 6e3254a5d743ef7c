//! What each command does, and its usage.

use serde_json::json;

use super::{Reply, ShellError};

/// One command.
#[derive(Clone, Copy, Debug)]
pub struct Topic {
    /// Its name.
    pub name: &'static str,
    /// How it is typed.
    pub usage: &'static str,
    /// What it does, in one line.
    pub what: &'static str,
    /// More about it; may be empty.
    pub more: &'static str,
}

const fn topic(name: &'static str, usage: &'static str, what: &'static str, more: &'static str) -> Topic {
    Topic { name, usage, what, more }
}

const TRADE: &str = "\
AMOUNT   0.01 (in the market's unit), 0.5 BTC (base, down to the lot) or $500 (worth so much, down to the lot)
at       a price, best (the own side's best price), best+2 or best-2 (ticks), or `at 1 ticks below|above best`
type     limit (with `at`), market (without), limit_maker (rests or is refused)
life     gtc, ioc, fok, gtd TIME (a time, or a length such as 30s)
stop P   waits until the last price is at P or beyond; take_profit P the other way
trail D  a stop that stays D behind the last price and never goes back; trail 1% a share of the price behind, at BitMart:
         trail 1% from P begins when the last price has been at P
by last|mark|index       after stop, take_profit or trail: the price to look at, in perpetuals; at BitMEX
         last_near_mark too: the last price, while it is within 5 % of the mark price
show A   shows A of it at a time, hides the rest (iceberg); what is shown anew joins the back of the queue
open|close|reduce_only   in perpetuals: close and reduce_only only take from a position; in hedge mode
                         an order that says nothing opens
AMOUNT all with close    the whole position, however large it is when the order trades
stp      what happens where it meets an own order: none, taker, maker, both
e.g. buy 0.01 BTC-USDT at 1 ticks below best
     sell $500 BTC-USDT market
     sell all XBT-USD close trail 50 by mark";

/// All commands, in the order of `help`.
pub(super) const TOPICS: &[Topic] = &[
    topic(
        "connect",
        "connect [NAME]",
        "opens a connector; without NAME lists them",
        "bitmart_paper_trade opens BitMart's perpetuals beside its spot market, where the sources hold them: name the\n\
         market with the pair, as in `ticker bitmart_perpetual:BTC-USDT`, or before the command, as in\n\
         `bitmart_perpetual: cancel all`; positions, leverage, position_mode and funding mean it without a name",
    ),
    topic(
        "balance",
        "balance | balance paper [ASSET AMOUNT]",
        "what the account has; what new paper accounts start with",
        "",
    ),
    topic("ticker", "ticker [PAIR] [--live]", "best bid, best ask, mid price and last trade", ""),
    topic("order_book", "order_book [PAIR] [--lines N] [--live]", "the best levels of the book", ""),
    topic("trades", "trades [PAIR]", "the last public trades", ""),
    topic(
        "buy",
        "buy AMOUNT PAIR [at PRICE] [TYPE] [LIFE] [open|close|reduce_only] [stop P|trail D] [show A] [stp MODE]",
        "sends a buy order",
        TRADE,
    ),
    topic(
        "sell",
        "sell AMOUNT PAIR [at PRICE] [TYPE] [LIFE] [open|close|reduce_only] [stop P|trail D] [show A] [stp MODE]",
        "sends a sell order",
        TRADE,
    ),
    topic("orders", "orders [all]", "open orders; with `all` every order of the session", ""),
    topic(
        "order",
        "order ID",
        "an order's life: every event, what was ahead, why it filled or not",
        "ID is the order's number in the session, `last`, its client id or the exchange's",
    ),
    topic("cancel", "cancel ID|all", "cancels an order, or all", ""),
    topic(
        "amend",
        "amend ID [price P] [amount A]",
        "changes a resting order",
        "The same price and a smaller amount keep the place in the queue; anything else joins anew.",
    ),
    topic("positions", "positions", "open positions in perpetuals, with margin and liquidation price", ""),
    topic(
        "leverage",
        "leverage [PAIR [N] [cross|isolated]]",
        "leverage and margin mode of a perpetual",
        "leverage XBT-USD 10 isolated",
    ),
    topic("position_mode", "position_mode [one_way|hedge]", "one net position, or long and short apart", ""),
    topic("funding", "funding [PAIR]", "the next funding of a perpetual, its mark and index price", ""),
    topic("history", "history [-v] [-p DECIMALS]", "what trading earned, by pair", ""),
    topic("status", "status [--live]", "the session, its markets, balances and orders", ""),
    topic(
        "start",
        "start STRATEGY [KEY=VALUE...]",
        "let a strategy trade on this account",
        "pure_market_making, perpetual_market_making, twap or grid_quoter; it trades the session's first pair.\n`start` with an unknown KEY lists those that there are. It lives in the market's time: `step 30s`, `run`.",
    ),
    topic("stop", "stop", "end the strategy and cancel its orders", ""),
    topic(
        "export",
        "export trades|orders|ledger FILE",
        "writes a CSV; FILE must not exist",
        "trades has Hummingbot's columns",
    ),
    topic("fees", "fees", "fee rates and where they come from", ""),
    topic("rules", "rules [PAIR]", "tick, lot and minimums, and where they come from", ""),
    topic("step", "step [N|30s]", "plays N market messages of all pairs, or so much time", ""),
    topic("run", "run", "plays to the end of the tape", ""),
    topic("wait", "wait ID [TIMEOUT]", "plays until an order is done", ""),
    topic(
        "record",
        "record DIR|stop",
        "records a live market's raw frames into a folder",
        "The tape begins with every book anew, so that it stands for itself; `--tape` plays it.",
    ),
    topic("speed", "speed [N|max]", "how fast the market plays by itself", ""),
    topic("pause", "pause", "stops the market", ""),
    topic("play", "play", "lets the market go on", ""),
    topic("help", "help [COMMAND]", "this list, or more about a command", ""),
    topic("exit", "exit", "ends the session", ""),
];

/// How a command is typed.
pub(super) fn usage_of(name: &str) -> &'static str {
    TOPICS.iter().find(|topic| topic.name == name).map_or("help", |topic| topic.usage)
}

pub(super) fn help(rest: &[&str]) -> Result<Reply, ShellError> {
    match rest {
        [] => {
            let width =
                TOPICS.iter().filter(|t| t.usage.len() < 40).map(|t| t.usage.len()).max().unwrap_or(0);
            let line = |topic: &Topic| match topic.usage.len() > width {
                true => format!("  {}\n  {:width$}  {}\n", topic.usage, "", topic.what),
                false => format!("  {:width$}  {}\n", topic.usage, topic.what),
            };
            let text: String = TOPICS.iter().map(line).collect();
            let names: Vec<&str> = TOPICS.iter().map(|topic| topic.name).collect();
            Ok(Reply::new(text, json!({"commands": names})))
        }
        [name] => {
            let topic = TOPICS.iter().find(|topic| topic.name == *name);
            let topic =
                topic.ok_or_else(|| ShellError(format!("no command {name:?}{}", did_you_mean(name))))?;
            let more: String = topic.more.lines().map(|line| format!("  {line}\n")).collect();
            let text = format!("{}\n  {}\n{more}", topic.usage, topic.what);
            Ok(Reply::new(text, json!({"usage": topic.usage, "what": topic.what})))
        }
        _ => Err(super::usage("help")),
    }
}

/// A hint at the command that was meant.
pub(super) fn did_you_mean(word: &str) -> String {
    let near = TOPICS.iter().map(|topic| (distance(word, topic.name), topic.name)).min();
    match near {
        Some((distance, name)) if distance <= 2 => format!("; did you mean `{name}`?"),
        _ => "; `help` lists them".to_owned(),
    }
}

/// How many letters differ (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for j in 0..b.len() {
            let replaced = diagonal + usize::from(letter != b[j]);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_answered_with_a_hint() {
        for (word, want) in [("balence", "`balance`"), ("oder", "`order`"), ("xyzzy", "`help` lists them")] {
            assert!(did_you_mean(word).contains(want), "{word}: {}", did_you_mean(word));
        }
    }

    #[test]
    fn every_topic_names_itself() {
        for topic in TOPICS {
            assert!(topic.usage.starts_with(topic.name), "{}", topic.name);
            assert!(help(&[topic.name]).is_ok());
        }
    }
}
