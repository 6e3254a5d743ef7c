//! BitMart's public sockets: spot on one host, futures on another.
//!
//! Spot: a text `ping` (dropped after 20 s without traffic), at most 115 topics a socket, 20 arguments a request, 100
//! frames in 10 s. Futures: `{"action":"ping"}`, frames of at most 2,048 bytes. Both give a book anew on `request`.

use std::time::Duration;

use crate::market::{Instrument, Product};
use crate::venue::live::{
    Dialect, Heard, Hosts, Manners, Ping, Session, Topics, lists, quoted, refused, sessions_of, symbols_of,
};

static SPOT: Dialect = Dialect {
    subscribe: subscribe_spot,
    renew: renew_spot,
    hear,
    manners: Manners {
        ping: Ping::Text("ping"),
        every: Duration::from_secs(8),
        silence: Duration::from_secs(20),
        pace: Duration::from_millis(100),
        shows_gaps: true,
    },
};

static FUTURES: Dialect = Dialect {
    subscribe: subscribe_futures,
    renew: renew_futures,
    hear,
    manners: Manners { ping: Ping::Text(r#"{"action":"ping"}"#), ..SPOT.manners },
};

/// Symbols a socket: two topics each on spot, four on futures.
const MOST: [usize; 2] = [50, 25];

pub(super) fn sessions(instruments: &[&Instrument], hosts: &Hosts) -> Vec<Box<dyn Session>> {
    let is_spot = |instrument: &&&Instrument| instrument.product == Product::Spot;
    let spot: Vec<&Instrument> = instruments.iter().filter(is_spot).copied().collect();
    let futures: Vec<&Instrument> = instruments.iter().filter(|own| !is_spot(own)).copied().collect();
    let build = |chunk: &[&Instrument], dialect, url: &str, book: &str, others: &[&str]| {
        let topic = |channel: &str, own: &&Instrument| quoted(&format!("{channel}:{}", own.symbol));
        Topics {
            url: hosts.socket(url),
            symbols: symbols_of(chunk),
            books: chunk.iter().map(|own| topic(book, own)).collect(),
            others: others.iter().flat_map(|other| chunk.iter().map(|own| topic(other, own))).collect(),
            dialect,
        }
    };
    let [most_spot, most_futures] = MOST;
    let mut all = sessions_of(&spot, most_spot, |chunk| {
        let url = "wss://ws-manager-compress.bitmart.com/api?protocol=1.1";
        build(chunk, &SPOT, url, "spot/depth/increase100", &["spot/trade"])
    });
    all.extend(sessions_of(&futures, most_futures, |chunk| {
        let url = "wss://openapi-ws-v2.bitmart.com/api?protocol=1.1";
        let others = ["futures/trade", "futures/ticker", "futures/fundingRate"];
        build(chunk, &FUTURES, url, "futures/depthIncrease50", &others)
    }));
    all
}

/// Where the exchange lists its markets of a family.
pub(super) fn listings(family: &str, hosts: &Hosts) -> Vec<String> {
    let url = match family {
        "spot" => "https://api-cloud.bitmart.com/spot/v1/symbols/details",
        _ => "https://api-cloud-v2.bitmart.com/contract/public/details",
    };
    vec![hosts.reply(url)]
}

fn spot(op: &str, topics: &[String]) -> Vec<String> {
    lists(topics, (&format!(r#"{{"op":"{op}","args":["#), "]}"), (20, 4_096))
}

fn futures(action: &str, topics: &[String]) -> Vec<String> {
    lists(topics, (&format!(r#"{{"action":"{action}","args":["#), "]}"), (20, 2_000))
}

fn subscribe_spot(topics: &[String]) -> Vec<String> {
    spot("subscribe", topics)
}

fn renew_spot(topics: &[String], _: &[String]) -> Vec<String> {
    spot("request", topics)
}

fn subscribe_futures(topics: &[String]) -> Vec<String> {
    futures("subscribe", topics)
}

fn renew_futures(topics: &[String], _: &[String]) -> Vec<String> {
    futures("request", topics)
}

fn hear(text: &str) -> Heard {
    let is_error = text.contains("\"errorCode\"") || text.contains("\"success\":false");
    if is_error { refused(text) } else { Heard::Nothing }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::live::show;

    #[test]
    fn spot_and_futures_have_a_socket_each() {
        let spot = Instrument::spot("BTC_USDT", "BTC-USDT".parse().unwrap(), 2, 5).unwrap();
        let product = Product::Linear { multiplier: rust_decimal::Decimal::new(1, 3) };
        let contract = Instrument { symbol: "BTCUSDT".into(), product, ..spot.clone() };
        assert_eq!(
            show(&sessions(&[&spot, &contract], &Hosts::default())),
            [
                r#"wss://ws-manager-compress.bitmart.com/api?protocol=1.1 ["BTC_USDT"] ping Text("ping") every 8s silence 20s pace 100ms gaps true"#,
                r#"{"op":"subscribe","args":["spot/depth/increase100:BTC_USDT","spot/trade:BTC_USDT"]}"#,
                r#"again {"op":"request","args":["spot/depth/increase100:BTC_USDT"]}"#,
                r#"wss://openapi-ws-v2.bitmart.com/api?protocol=1.1 ["BTCUSDT"] ping Text("{\"action\":\"ping\"}") every 8s silence 20s pace 100ms gaps true"#,
                r#"{"action":"subscribe","args":["futures/depthIncrease50:BTCUSDT","futures/trade:BTCUSDT","futures/ticker:BTCUSDT","futures/fundingRate:BTCUSDT"]}"#,
                r#"again {"action":"request","args":["futures/depthIncrease50:BTCUSDT"]}"#,
            ]
        );
        let error = r#"{"event":"subscribe","errorMessage":"Invalid channel param","errorCode":"90004"}"#;
        assert!(matches!(hear(error), Heard::Refused(_)));
        assert_eq!(hear("pong"), Heard::Nothing);
    }
}
