//! BitMEX's public socket. A text `ping` is answered with `pong`; no limit of subscriptions is published.
//!
//! A message that went lost does not show where it changed a level: a frame that cannot be read is one that went lost.

use std::time::Duration;

use crate::market::{Instrument, Product};
use crate::venue::live::{
    Dialect, Heard, Hosts, Manners, Ping, Session, Topics, lists, quoted, refused, sessions_of, symbols_of,
};

static REALTIME: Dialect = Dialect {
    subscribe,
    renew,
    hear,
    manners: Manners {
        ping: Ping::Text("ping"),
        every: Duration::from_secs(5),
        silence: Duration::from_secs(12),
        pace: Duration::ZERO,
        shows_gaps: false,
    },
};

/// Symbols a socket.
const MOST: usize = 50;

pub(super) fn sessions(instruments: &[&Instrument], hosts: &Hosts) -> Vec<Box<dyn Session>> {
    let url = hosts.socket("wss://ws.bitmex.com/realtime");
    sessions_of(instruments, MOST, |chunk| {
        let topic = |table: &str, instrument: &&Instrument| quoted(&format!("{table}:{}", instrument.symbol));
        let contract = |instrument: &&&Instrument| instrument.product != Product::Spot;
        let trades = chunk.iter().map(|instrument| topic("trade", instrument));
        let states = chunk.iter().map(|instrument| topic("instrument", instrument));
        let closed = chunk.iter().filter(contract).map(|instrument| topic("liquidation", instrument));
        Topics {
            url: url.clone(),
            symbols: symbols_of(chunk),
            books: chunk.iter().map(|instrument| topic("orderBookL2", instrument)).collect(),
            others: trades.chain(states).chain(closed).collect(),
            dialect: &REALTIME,
        }
    })
}

/// Where the exchange lists its instruments.
pub(super) fn listings(hosts: &Hosts) -> Vec<String> {
    vec![hosts.reply("https://www.bitmex.com/api/v1/instrument/active")]
}

fn requests(op: &str, topics: &[String]) -> Vec<String> {
    lists(topics, (&format!(r#"{{"op":"{op}","args":["#), "]}"), (50, 4_096))
}

fn subscribe(topics: &[String]) -> Vec<String> {
    requests("subscribe", topics)
}

fn renew(topics: &[String], _: &[String]) -> Vec<String> {
    requests("unsubscribe", topics).into_iter().chain(subscribe(topics)).collect()
}

fn hear(text: &str) -> Heard {
    match text.trim() {
        "ping" => Heard::Reply("pong"),
        text if text.contains("\"error\":") && !text.contains("\"table\"") => refused(text),
        _ => Heard::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::live::show;

    #[test]
    fn contracts_have_liquidations_too() {
        let named = |symbol: &str| Instrument::spot(symbol, "XBT-USDT".parse().unwrap(), 1, 6).unwrap();
        let (spot, mut contract) = (named("XBT_USDT"), named("XBTUSDT"));
        contract.product = Product::Linear { multiplier: rust_decimal::Decimal::new(1, 6) };
        assert_eq!(
            show(&sessions(&[&spot, &contract], &Hosts::default())),
            [
                r#"wss://ws.bitmex.com/realtime ["XBT_USDT", "XBTUSDT"] ping Text("ping") every 5s silence 12s pace 0ns gaps false"#,
                r#"{"op":"subscribe","args":["orderBookL2:XBT_USDT","orderBookL2:XBTUSDT","trade:XBT_USDT","trade:XBTUSDT","instrument:XBT_USDT","instrument:XBTUSDT","liquidation:XBTUSDT"]}"#,
                r#"again {"op":"unsubscribe","args":["orderBookL2:XBT_USDT"]}"#,
                r#"again {"op":"subscribe","args":["orderBookL2:XBT_USDT"]}"#,
            ]
        );
        let error = r#"{"status":400,"error":"Unknown or expired symbol.","meta":{},"request":{"op":"subscribe","args":["orderBookL2:NOPE"]}}"#;
        assert!(matches!(hear(error), Heard::Refused(_)));
        assert_eq!(hear("pong"), Heard::Nothing);
    }
}
