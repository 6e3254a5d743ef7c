//! BitMEX' interface as a transcript: replies and pushes beside the page that they come from.

use super::auth;
use super::*;
use crate::market::{Instrument, Pair, Qty};
use crate::venue::Venue;
use crate::venue::bitmex::Bitmex;
use crate::venue::served::{Served, WALL};

const MARKET: &str = "
    1700000000000 book bid 8 @ 100.0 5 @ 99.0 | ask 5 @ 101.0 7 @ 102.0
    1700000000100 trade buy 1 @ 101.0
    1700000000101 level ask 4 @ 101.0
    1700000061000 trade sell 2 @ 100.0
    1700000061001 level bid 6 @ 100.0
    1700000062000 level ask 9 @ 102.0
";

fn served() -> Served {
    let mut xbt = Instrument::spot("XBT_USDT", Pair::new("XBT", "USDT"), 1, 2).unwrap();
    xbt.rule.max_qty = Qty::from_units(10_000);
    let terms = (Bitmex.fees(), Bitmex.rules());
    let api = Box::new(BitmexApi::default());
    let mut served = Served::new(api, xbt, MARKET, terms, &[("XBT", "10"), ("USDT", "10000")]);
    served.access.limits = false;
    served
}

/// A signed request.
fn ask(served: &mut Served, who: &str, method: &str, target: &str, body: &str) -> Reply {
    let key = served.access.key(&format!("{who}-key")).unwrap().clone();
    let expires = (WALL / 1_000 + 5).to_string();
    let sign = auth::signature(&key, &format!("{method}{target}{expires}{body}")).unwrap();
    let headers =
        [("api-key", key.key.as_str()), ("api-expires", expires.as_str()), ("api-signature", sign.as_str())];
    served.tell(method, target, &headers, body)
}

#[test]
fn what_everybody_is_told() {
    let mut served = served();
    served.advance(70_000);
    for target in [
        "/api/v1",
        "/api/v1/",
        "/api/v1/instrument?count=500&start=0",
        "/api/v1/instrument?symbol=xbt_usdt&columns=lastPrice",
        "/api/v1/instrument?filter=%7B%22typ%22%3A%22FFWCSX%22%7D",
        "/api/v1/instrument?filter=x",
        "/api/v1/instrument/active",
        "/api/v1/instrument/activeIntervals",
        "/api/v1/orderBook/L2?symbol=XBT_USDT&depth=1",
        "/api/v1/orderBook/L2?symbol=XBT_USDT&limit=1000",
        "/api/v1/orderBook/L2",
        "/api/v1/orderBook/L2?symbol=NOPE",
        "/api/v1/trade?symbol=XBT_USDT&reverse=true",
        "/api/v1/trade?symbol=XBT_USDT&count=x",
        "/api/v1/trade/bucketed?symbol=XBT_USDT&binSize=1m&partial=true",
        "/api/v1/trade/bucketed?symbol=XBT_USDT&binSize=7m",
        "/api/v1/quote?symbol=XBT_USDT",
        "/api/v1/funding",
        "/api/v1/wallet/assets",
        "/api/v1/schema/websocketHelp",
        "/api/v1/order",
        "/api/v1/nothing",
        "/api/v2/order",
        "/instrument",
    ] {
        served.tell("GET", target, &[], "");
    }
    insta::assert_snapshot!(served.transcript());
}

#[test]
fn an_account_asks_and_trades() {
    let mut served = served();
    for (method, target, body) in [
        ("GET", "/api/v1/user/margin?currency=all", ""),
        ("GET", "/api/v1/user/wallet", ""),
        ("GET", "/api/v1/user/commission", ""),
        ("GET", "/api/v1/position", ""),
        (
            "POST",
            "/api/v1/order",
            r#"{"symbol":"XBT_USDT","side":"Buy","orderQty":50000000,"price":99.5,"clOrdID":"a/1","text":"CCXT"}"#,
        ),
        (
            "POST",
            "/api/v1/order",
            r#"{"symbol":"XBT_USDT","side":"Buy","orderQty":50000000,"price":99,"clOrdID":"a/1"}"#,
        ),
        ("GET", "/api/v1/order?filter=%7B%22open%22%3Atrue%7D", ""),
        ("PUT", "/api/v1/order", r#"{"origClOrdID":"a/1","orderQty":40000000}"#),
        ("PUT", "/api/v1/order", r#"{"orderID":"00000000-0000-4000-8000-000000000001","price":99.55}"#),
        // As an older client writes it: all in the query.
        (
            "POST",
            "/api/v1/order?symbol=XBT_USDT&side=Sell&orderQty=100000000.0&clOrdID=h1&ordType=Market",
            "",
        ),
        (
            "POST",
            "/api/v1/order",
            r#"{"symbol":"XBT_USDT","side":"Buy","orderQty":100000000,"price":200,"execInst":"ParticipateDoNotInitiate"}"#,
        ),
        (
            "POST",
            "/api/v1/order",
            r#"{"symbol":"XBT_USDT","side":"Sell","orderQty":2000000000,"price":100,"timeInForce":"FillOrKill"}"#,
        ),
        ("GET", "/api/v1/execution/tradeHistory?symbol=XBT_USDT", ""),
        ("DELETE", "/api/v1/order", r#"{"orderID":"00000000-0000-4000-8000-000000000001"}"#),
        ("DELETE", "/api/v1/order?clOrdID=a%2F1", ""),
        ("DELETE", "/api/v1/order?clOrdID=nobody", ""),
        ("POST", "/api/v1/order", "symbol=XBT_USDT&side=Buy&orderQty=1000000&price=50&ordType=Limit"),
        ("DELETE", "/api/v1/order/all", r#"{"symbol":"XBT_USDT"}"#),
        ("POST", "/api/v1/order/cancelAllAfter", r#"{"timeout":60000}"#),
        ("POST", "/api/v1/order/cancelAllAfter", r#"{"timeout":0}"#),
        ("GET", "/api/v1/user/walletHistory?currency=all&count=3", ""),
        ("GET", "/api/v1/user/margin", ""),
        ("POST", "/api/v1/position/leverage", r#"{"symbol":"XBT_USDT","leverage":5}"#),
        ("POST", "/api/v1/user/requestWithdrawal", "{}"),
    ] {
        ask(&mut served, "alice", method, target, body);
    }
    insta::assert_snapshot!(served.transcript());
}

#[test]
fn what_makes_no_sense_is_told_so() {
    let mut served = served();
    for body in [
        r#"{"symbol":"NOPE","orderQty":1,"price":1}"#,
        r#"{"orderQty":1,"price":1}"#,
        r#"{"symbol":["XBT_USDT"],"orderQty":1,"price":1}"#,
        r#"{"symbol":"XBT_USDT","price":50}"#,
        r#"{"symbol":"XBT_USDT","orderQty":"x","price":50}"#,
        r#"{"symbol":"XBT_USDT","orderQty":1,"price":50}"#,
        r#"{"symbol":"XBT_USDT","orderQty":0,"price":50}"#,
        r#"{"symbol":"XBT_USDT","orderQty":1e40,"price":50}"#,
        r#"{"symbol":"XBT_USDT","orderQty":{"a":1},"price":50}"#,
        r#"{"symbol":"XBT_USDT","orderQty":100000000,"price":50.05}"#,
        r#"{"symbol":"XBT_USDT","orderQty":100000000,"price":-1}"#,
        r#"{"symbol":"XBT_USDT","orderQty":100000000,"price":"x"}"#,
        r#"{"symbol":"XBT_USDT","orderQty":100000000,"ordType":"Limit"}"#,
        r#"{"symbol":"XBT_USDT","orderQty":100000000,"price":50,"side":"buy"}"#,
        r#"{"symbol":"XBT_USDT","orderQty":100000000,"price":50,"ordType":"Odd"}"#,
        r#"{"symbol":"XBT_USDT","orderQty":100000000,"stopPx":50}"#,
        r#"{"symbol":"XBT_USDT","orderQty":100000000,"price":50,"timeInForce":"Day"}"#,
        r#"{"symbol":"XBT_USDT","orderQty":100000000,"price":50,"execInst":"ReduceOnly"}"#,
        r#"{"symbol":"XBT_USDT","orderQty":100000000,"price":50,"clOrdID":"1234567890123456789012345678901234567"}"#,
        r#"{"symbol":"XBT_USDT","orderQty":10000000000,"price":500}"#,
        "[]",
        "{",
    ] {
        let reply = ask(&mut served, "alice", "POST", "/api/v1/order", body);
        assert!(reply.status >= 400 && reply.body.starts_with(r#"{"error":{"message":"#), "{body} {reply:?}");
    }
    ask(&mut served, "alice", "PUT", "/api/v1/order", "{}");
    ask(&mut served, "alice", "PUT", "/api/v1/order", r#"{"orderID":"x"}"#);
    ask(&mut served, "alice", "DELETE", "/api/v1/order", "{}");
    insta::assert_snapshot!(served.transcript());
}

#[test]
fn keys_and_signatures_are_checked() {
    let mut served = served();
    served.access.window = Default::default();
    let key = served.access.key("alice-key").unwrap().clone();
    let (soon, past) = ((WALL / 1_000 + 5).to_string(), (WALL / 1_000 - 1).to_string());
    let sign = |text: &str| auth::signature(&key, text).unwrap();
    let good = sign(&format!("GET/api/v1/order{soon}"));
    let with_mount = sign(&format!("GET/bitmex/api/v1/order{soon}"));
    for (name, expires, signature, status) in [
        ("nobody", &soon, &good, 401),
        ("alice-key", &past, &sign(&format!("GET/api/v1/order{past}")), 400),
        ("alice-key", &soon, &"00".to_owned(), 401),
        ("bob-key", &soon, &good, 401),
        ("alice-key", &soon, &with_mount, 401),
        ("alice-key", &soon, &good, 200),
    ] {
        let headers =
            [("api-key", name), ("api-expires", expires.as_str()), ("api-signature", signature.as_str())];
        let reply = served.ask("GET", "/api/v1/order", &headers, b"");
        assert_eq!(reply.status, status, "{name} {expires} {}", reply.body);
        // Who says who it is must prove it, on public paths too.
        if status == 401 {
            assert_eq!(served.ask("GET", "/api/v1/instrument", &headers, b"").status, 401);
        }
    }
    let headers = served.ask("GET", "/api/v1/instrument", &[], b"").headers;
    assert!(headers.contains(&("x-ratelimit-limit", "30".to_owned())), "{headers:?}");
    served.access.limits = true;
    let statuses: Vec<u16> =
        (0..40).map(|_| served.ask("GET", "/api/v1/instrument", &[], b"").status).collect();
    assert_eq!(statuses.last(), Some(&429));
}

#[test]
fn the_socket_tells_the_public() {
    let mut served = served();
    served.open(1, "/realtime?subscribe=trade:XBT_USDT");
    for frame in [
        "ping",
        r#"{"op":"subscribe","args":["orderBookL2:XBT_USDT","orderBook10:XBT_USDT"]}"#,
        r#"{"op":"subscribe","args":"instrument"}"#,
        r#"{"op":"subscribe","args":["quote:XBT_USDT","tradeBin1m:XBT_USDT","funding:XBT_USDT"]}"#,
        r#"{"op":"subscribe","args":["trade:XBT_USDT"]}"#,
        r#"{"op":"subscribe","args":["orderBookL2:NOPE","orderBookL10:XBT_USDT","order"]}"#,
        r#"{"op":"unsubscribe","args":["orderBook10:XBT_USDT"]}"#,
        r#"{"op":"dance"}"#,
        "{",
        "[]",
    ] {
        served.hear(1, frame);
    }
    served.advance(200);
    let order = r#"{"symbol":"XBT_USDT","side":"Sell","orderQty":100000000,"ordType":"Market"}"#;
    ask(&mut served, "bob", "POST", "/api/v1/order", order);
    served.advance(61_000);
    served.open(2, "/nowhere");
    insta::assert_snapshot!(served.transcript());
}

#[test]
fn the_socket_tells_an_account_its_own() {
    let mut served = served();
    let key = served.access.key("alice-key").unwrap().clone();
    let expires = WALL / 1_000 + 5;
    let sign = auth::signature(&key, &format!("GET/realtime{expires}")).unwrap();
    served.open(1, "/realtime");
    served.hear(1, &format!(r#"{{"op":"authKeyExpires","args":["alice-key",{expires},"00"]}}"#));
    served.hear(1, &format!(r#"{{"op":"authKeyExpires","args":["alice-key",{expires},"{sign}"]}}"#));
    served.hear(1, r#"{"op":"subscribe","args":["order","execution","margin","wallet","position"]}"#);
    for (who, method, body) in [
        ("alice", "POST", r#"{"symbol":"XBT_USDT","orderQty":100000000,"price":99.5,"clOrdID":"a1"}"#),
        ("alice", "PUT", r#"{"origClOrdID":"a1","price":99.4}"#),
        ("bob", "POST", r#"{"symbol":"XBT_USDT","orderQty":100000000,"price":90}"#),
        ("alice", "POST", r#"{"symbol":"XBT_USDT","side":"Sell","orderQty":100000000,"ordType":"Market"}"#),
    ] {
        ask(&mut served, who, method, "/api/v1/order", body);
    }
    // The dead man's switch.
    served.hear(1, r#"{"op":"cancelAllAfter","args":1000}"#);
    served.advance(1_200);
    insta::assert_snapshot!(served.transcript());
}
