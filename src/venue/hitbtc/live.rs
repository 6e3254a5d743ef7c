//! HitBTC's public sockets, v3 and v2: which of them is spoken is told by the path of the address.
//!
//! There is no ping of its own: the protocol's ping is answered. No limit of subscriptions is published.

use std::time::Duration;

use crate::market::Instrument;
use crate::venue::live::{
    Dialect, Heard, Hosts, Manners, Ping, Session, Topics, quoted, refused, sessions_of, symbols_of,
};

const MANNERS: Manners = Manners {
    ping: Ping::Frame,
    every: Duration::from_secs(10),
    silence: Duration::from_secs(30),
    pace: Duration::ZERO,
    shows_gaps: true,
};

static V3: Dialect = Dialect { subscribe: subscribe3, renew: renew3, hear, manners: MANNERS };
static V2: Dialect = Dialect { subscribe: subscribe2, renew: renew2, hear, manners: MANNERS };

/// Symbols a socket: what one v3 request names.
const MOST: usize = 50;

pub(super) fn sessions(instruments: &[&Instrument], hosts: &Hosts) -> Vec<Box<dyn Session>> {
    let url = hosts.socket("wss://api.hitbtc.com/api/3/ws/public");
    let old = url.contains("/api/2/");
    sessions_of(instruments, MOST, |chunk| {
        let topics = |channel: &str| -> Vec<String> {
            chunk.iter().map(|instrument| format!("{channel} {}", instrument.symbol)).collect()
        };
        let [books, others] = match old {
            true => ["Orderbook", "Trades"],
            false => ["orderbook/full", "trades"],
        };
        Topics {
            url: url.clone(),
            symbols: symbols_of(chunk),
            books: topics(books),
            others: topics(others),
            dialect: if old { &V2 } else { &V3 },
        }
    })
}

/// Where the exchange lists its symbols.
pub(super) fn listings(hosts: &Hosts) -> Vec<String> {
    let old = hosts.ws.as_deref().is_some_and(|url| url.contains("/api/2/"));
    let version = if old { 2 } else { 3 };
    vec![hosts.reply(&format!("https://api.hitbtc.com/api/{version}/public/symbol"))]
}

/// The topics of one channel after the other: a request names a channel and its symbols.
fn requests3(method: &str, topics: &[String]) -> Vec<String> {
    let channel_of = |topic: &str| topic.split(' ').next().unwrap_or_default().to_owned();
    let by_channel = topics.chunk_by(|a, b| channel_of(a) == channel_of(b));
    by_channel
        .map(|topics| {
            let symbols: Vec<String> =
                topics.iter().filter_map(|topic| topic.split_once(' ')).map(|(_, s)| quoted(s)).collect();
            let channel = topics.first().map(|topic| channel_of(topic)).unwrap_or_default();
            let limit = if channel == "trades" && method == "subscribe" { ",\"limit\":1" } else { "" };
            format!(
                r#"{{"method":"{method}","ch":"{channel}","params":{{"symbols":[{}]{limit}}},"id":1}}"#,
                symbols.join(",")
            )
        })
        .collect()
}

fn subscribe3(topics: &[String]) -> Vec<String> {
    requests3("subscribe", topics)
}

fn renew3(topics: &[String], _: &[String]) -> Vec<String> {
    requests3("unsubscribe", topics).into_iter().chain(subscribe3(topics)).collect()
}

/// v2 has a request a symbol.
fn requests2(method: &str, topics: &[String]) -> Vec<String> {
    let request = |(channel, symbol): (&str, &str)| {
        format!(r#"{{"method":"{method}{channel}","params":{{"symbol":{}}},"id":1}}"#, quoted(symbol))
    };
    topics.iter().filter_map(|topic| topic.split_once(' ')).map(request).collect()
}

fn subscribe2(topics: &[String]) -> Vec<String> {
    requests2("subscribe", topics)
}

fn renew2(topics: &[String], _: &[String]) -> Vec<String> {
    requests2("unsubscribe", topics).into_iter().chain(subscribe2(topics)).collect()
}

fn hear(text: &str) -> Heard {
    if text.contains("\"error\":{") { refused(text) } else { Heard::Nothing }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::live::show;

    fn instruments() -> Vec<Instrument> {
        ["BTC-USDT", "ETH-USDT"]
            .map(|pair| Instrument::spot(&pair.replace('-', ""), pair.parse().unwrap(), 2, 4).unwrap())
            .to_vec()
    }

    #[test]
    fn both_versions_subscribe_in_their_own_words() {
        let instruments = instruments();
        let all: Vec<&Instrument> = instruments.iter().collect();
        assert_eq!(
            show(&sessions(&all, &Hosts::default())),
            [
                r#"wss://api.hitbtc.com/api/3/ws/public ["BTCUSDT", "ETHUSDT"] ping Frame every 10s silence 30s pace 0ns gaps true"#,
                r#"{"method":"subscribe","ch":"orderbook/full","params":{"symbols":["BTCUSDT","ETHUSDT"]},"id":1}"#,
                r#"{"method":"subscribe","ch":"trades","params":{"symbols":["BTCUSDT","ETHUSDT"],"limit":1},"id":1}"#,
                r#"again {"method":"unsubscribe","ch":"orderbook/full","params":{"symbols":["BTCUSDT"]},"id":1}"#,
                r#"again {"method":"subscribe","ch":"orderbook/full","params":{"symbols":["BTCUSDT"]},"id":1}"#,
            ]
        );
        let hosts = Hosts { ws: Some("wss://api.hitbtc.com/api/2/ws/public".to_owned()), rest: None };
        assert_eq!(
            show(&sessions(&all[..1], &hosts)),
            [
                r#"wss://api.hitbtc.com/api/2/ws/public ["BTCUSDT"] ping Frame every 10s silence 30s pace 0ns gaps true"#,
                r#"{"method":"subscribeOrderbook","params":{"symbol":"BTCUSDT"},"id":1}"#,
                r#"{"method":"subscribeTrades","params":{"symbol":"BTCUSDT"},"id":1}"#,
                r#"again {"method":"unsubscribeOrderbook","params":{"symbol":"BTCUSDT"},"id":1}"#,
                r#"again {"method":"subscribeOrderbook","params":{"symbol":"BTCUSDT"},"id":1}"#,
            ]
        );
        assert_eq!(listings(&Hosts::default()), ["https://api.hitbtc.com/api/3/public/symbol"]);
        assert_eq!(hear(r#"{"result":{"ch":"trades","subscriptions":["BTCUSDT"]},"id":1}"#), Heard::Nothing);
        assert!(matches!(hear(r#"{"error":{"code":2001,"message":"x"},"id":1}"#), Heard::Refused(_)));
    }
}
