//! Bitget's public sockets, v2 and v1: which of them is spoken is told by the path of the address.
//!
//! A text `ping` every 30 s is wanted. At most 10 frames a second, 4,096 bytes a frame, 50 channels a socket.

use std::time::Duration;

use super::wire;
use crate::market::Instrument;
use crate::venue::live::{
    Dialect, Heard, Hosts, Manners, Ping, Session, Topics, lists, quoted, refused, sessions_of, symbols_of,
};

static TEXT: Dialect = Dialect {
    subscribe,
    renew,
    hear,
    manners: Manners {
        ping: Ping::Text("ping"),
        every: Duration::from_secs(20),
        silence: Duration::from_secs(50),
        pace: Duration::from_millis(120),
        shows_gaps: true,
    },
};

/// Symbols a socket: three channels each.
const MOST: usize = 16;

pub(super) fn sessions(instruments: &[&Instrument], hosts: &Hosts) -> Vec<Box<dyn Session>> {
    let url = hosts.socket("wss://ws.bitget.com/v2/ws/public");
    let old = url.contains("/v1/");
    sessions_of(instruments, MOST, |chunk| {
        let topics = |channel: &'static str| {
            chunk.iter().map(move |instrument| topic(&instrument.symbol, channel, old))
        };
        Topics {
            url: url.clone(),
            symbols: symbols_of(chunk),
            books: topics("books").collect(),
            others: topics("trade").chain(topics("ticker")).collect(),
            dialect: &TEXT,
        }
    })
}

/// Where the exchange lists its contracts.
pub(super) fn listings(hosts: &Hosts) -> Vec<String> {
    let old = hosts.ws.as_deref().is_some_and(|url| url.contains("/v1/"));
    let (path, kinds) = match old {
        true => ("mix/v1", ["umcbl", "dmcbl", "cmcbl"]),
        false => ("v2/mix", ["USDT-FUTURES", "COIN-FUTURES", "USDC-FUTURES"]),
    };
    let kinds = kinds.iter();
    kinds
        .map(|kind| {
            hosts.reply(&format!("https://api.bitget.com/api/{path}/market/contracts?productType={kind}"))
        })
        .collect()
}

fn topic(symbol: &str, channel: &str, old: bool) -> String {
    let (market, id) = wire::address(symbol);
    let kind = match (market, old) {
        ("sp", true) => "SP",
        ("sp", false) => "SPOT",
        (_, true) => "MC",
        _ if id.ends_with("PERP") => "USDC-FUTURES",
        _ if id.ends_with("USD") => "COIN-FUTURES",
        _ => "USDT-FUTURES",
    };
    format!(r#"{{"instType":"{kind}","channel":"{channel}","instId":{}}}"#, quoted(id))
}

/// Bytes a frame.
const LONGEST: usize = 4_096;

fn requests(op: &str, topics: &[String]) -> Vec<String> {
    lists(topics, (&format!(r#"{{"op":"{op}","args":["#), "]}"), (50, LONGEST))
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
        text if text.contains("\"event\":\"error\"") => refused(text),
        _ => Heard::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::live::show;

    #[test]
    fn both_versions_subscribe_in_their_own_words() {
        let named = |symbol: &str| Instrument::spot(symbol, "BTC-USDT".parse().unwrap(), 2, 4).unwrap();
        let (new, old) = (named("BTCUSDT"), named("mc:UNIUSDT"));
        assert_eq!(
            show(&sessions(&[&new], &Hosts::default())),
            [
                r#"wss://ws.bitget.com/v2/ws/public ["BTCUSDT"] ping Text("ping") every 20s silence 50s pace 120ms gaps true"#,
                r#"{"op":"subscribe","args":[{"instType":"USDT-FUTURES","channel":"books","instId":"BTCUSDT"},{"instType":"USDT-FUTURES","channel":"trade","instId":"BTCUSDT"},{"instType":"USDT-FUTURES","channel":"ticker","instId":"BTCUSDT"}]}"#,
                r#"again {"op":"unsubscribe","args":[{"instType":"USDT-FUTURES","channel":"books","instId":"BTCUSDT"}]}"#,
                r#"again {"op":"subscribe","args":[{"instType":"USDT-FUTURES","channel":"books","instId":"BTCUSDT"}]}"#,
            ]
        );
        let hosts = Hosts { ws: Some("ws://127.0.0.1:1/mix/v1/stream".to_owned()), rest: None };
        let hello = sessions(&[&old], &hosts)[0].hello();
        assert!(
            hello[0].starts_with(
                r#"{"op":"subscribe","args":[{"instType":"MC","channel":"books","instId":"UNIUSDT"}"#
            ),
            "{hello:?}"
        );
        assert_eq!(hear("pong"), Heard::Nothing);
        assert_eq!(hear("ping"), Heard::Reply("pong"));
        let error = r#"{"event":"error","arg":{"instType":"USDT-FUTURES","channel":"books","instId":"NOPEUSDT"},"code":30001,"msg":"x","op":"subscribe"}"#;
        assert!(matches!(hear(error), Heard::Refused(_)));
    }

    #[test]
    fn many_symbols_take_several_sockets_and_no_frame_is_too_long() {
        let named = |n: u32| Instrument::spot(&format!("COIN{n}USDT"), "BTC-USDT".parse().unwrap(), 2, 4);
        let many: Vec<Instrument> = (0..40).map(|n| named(n).unwrap()).collect();
        let all: Vec<&Instrument> = many.iter().collect();
        let sessions = sessions(&all, &Hosts::default());
        assert_eq!(sessions.iter().map(|session| session.symbols().len()).collect::<Vec<_>>(), [16, 16, 8]);
        assert!(sessions.iter().flat_map(|session| session.hello()).all(|frame| frame.len() <= LONGEST));
    }
}
