//! Phemex's public socket: hedged contracts by the `_p` methods, older contracts and spot by those without.
//!
//! A ping at least every 30 s is wanted, `server.ping` or the protocol's. At most 20 subscriptions a socket and 20
//! requests a second. Its numbers show no gap; the whole book comes again about every minute.

use std::time::Duration;

use crate::market::{Instrument, Product};
use crate::venue::live::{
    Dialect, Heard, Hosts, Manners, Ping, Session, Topics, lists, quoted, refused, sessions_of, symbols_of,
};

static JSON: Dialect = Dialect {
    subscribe,
    renew,
    hear,
    manners: Manners {
        ping: Ping::Text(r#"{"id":0,"method":"server.ping","params":[]}"#),
        every: Duration::from_secs(5),
        silence: Duration::from_secs(16),
        pace: Duration::from_millis(60),
        shows_gaps: false,
    },
};

/// Symbols a socket: a book and trades each, and the statistics of both interfaces.
const MOST: usize = 9;

pub(super) fn sessions(instruments: &[&Instrument], hosts: &Hosts) -> Vec<Box<dyn Session>> {
    // The host has no path; one with a slash is the same.
    let url = hosts.socket("wss://ws.phemex.com");
    sessions_of(instruments, MOST, |chunk| {
        let topic = |stream: &str, instrument: &Instrument| {
            let p = if is_hedged(instrument) { "_p" } else { "" };
            format!("{stream}{p} {}", instrument.symbol)
        };
        let mut others: Vec<String> = chunk.iter().map(|instrument| topic("trade", instrument)).collect();
        if chunk.iter().any(|instrument| is_hedged(instrument)) {
            others.push("perp_market24h_pack_p ".to_owned());
        }
        if chunk.iter().any(|instrument| !is_hedged(instrument) && instrument.product != Product::Spot) {
            others.push("market24h ".to_owned());
        }
        Topics {
            url: url.clone(),
            symbols: symbols_of(chunk),
            books: chunk.iter().map(|instrument| topic("orderbook", instrument)).collect(),
            others,
            dialect: &JSON,
        }
    })
}

/// Hedged contracts are quoted and settled in USDT or USDC and have no mark before their symbol.
fn is_hedged(instrument: &Instrument) -> bool {
    let symbol = instrument.symbol.as_str();
    let marked = symbol.starts_with(['s', 'c', 'u']);
    !marked && (symbol.ends_with("USDT") || symbol.ends_with("USDC"))
}

/// Where the exchange lists its products.
pub(super) fn listings(hosts: &Hosts) -> Vec<String> {
    vec![hosts.reply("https://api.phemex.com/public/products")]
}

/// A request for each stream and, of those with symbols, each symbol: one that is unknown spoils no other.
fn subscribe(topics: &[String]) -> Vec<String> {
    let request = |(stream, symbol): (&str, &str)| {
        let symbol = if symbol.is_empty() { Vec::new() } else { vec![quoted(symbol)] };
        let head = format!(r#"{{"id":1,"method":"{stream}.subscribe","params":["#);
        match symbol.is_empty() {
            true => vec![format!("{head}]}}")],
            false => lists(&symbol, (&head, "]}"), (1, usize::MAX)),
        }
    };
    topics.iter().filter_map(|topic| topic.split_once(' ')).flat_map(request).collect()
}

/// Taking a book's subscription back takes all of that stream back, so all of them are asked for anew.
fn renew(topics: &[String], all: &[String]) -> Vec<String> {
    let stream_of = |topic: &String| topic.split(' ').next().unwrap_or_default().to_owned();
    let mut frames = Vec::new();
    for stream in ["orderbook_p", "orderbook"] {
        if topics.iter().any(|topic| stream_of(topic) == stream) {
            let same: Vec<String> = all.iter().filter(|topic| stream_of(topic) == stream).cloned().collect();
            frames.push(format!(r#"{{"id":1,"method":"{stream}.unsubscribe","params":[]}}"#));
            frames.extend(subscribe(&same));
        }
    }
    frames
}

fn hear(text: &str) -> Heard {
    let is_error = text.contains("\"error\":{") || text.contains("\"error\": {");
    if is_error { refused(text) } else { Heard::Nothing }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::live::show;

    #[test]
    fn hedged_and_older_contracts_subscribe_in_their_own_words() {
        let named = |symbol: &str| {
            let spot = Instrument::spot(symbol, "BTC-USDT".parse().unwrap(), 1, 3).unwrap();
            Instrument { product: Product::Linear { multiplier: rust_decimal::Decimal::ONE }, ..spot }
        };
        let all = [named("BTCUSDT"), named("BTCUSD")];
        assert_eq!(
            show(&sessions(&[&all[0], &all[1]], &Hosts::default())),
            [
                r#"wss://ws.phemex.com ["BTCUSDT", "BTCUSD"] ping Text("{\"id\":0,\"method\":\"server.ping\",\"params\":[]}") every 5s silence 16s pace 60ms gaps false"#,
                r#"{"id":1,"method":"orderbook_p.subscribe","params":["BTCUSDT"]}"#,
                r#"{"id":1,"method":"orderbook.subscribe","params":["BTCUSD"]}"#,
                r#"{"id":1,"method":"trade_p.subscribe","params":["BTCUSDT"]}"#,
                r#"{"id":1,"method":"trade.subscribe","params":["BTCUSD"]}"#,
                r#"{"id":1,"method":"perp_market24h_pack_p.subscribe","params":[]}"#,
                r#"{"id":1,"method":"market24h.subscribe","params":[]}"#,
                r#"again {"id":1,"method":"orderbook_p.unsubscribe","params":[]}"#,
                r#"again {"id":1,"method":"orderbook_p.subscribe","params":["BTCUSDT"]}"#,
            ]
        );
        let error = r#"{"error":{"code":6001,"message":"invalid argument"},"id":1,"result":null}"#;
        assert!(matches!(hear(error), Heard::Refused(_)));
        assert_eq!(hear(r#"{"error":null,"id":0,"result":"pong"}"#), Heard::Nothing);
    }
}
