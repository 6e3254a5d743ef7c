//! BitMart's interface as a transcript: every reply and every push, beside the pages that they come from.

use super::auth;
use super::*;
use crate::market::{Instrument, Pair, Price};
use crate::venue::Venue;
use crate::venue::bitmart::Bitmart;
use crate::venue::served::{Served, WALL};

const MARKET: &str = "
    1700000000000 book bid 8 @ 100.0 5 @ 99.0 | ask 5 @ 101.0 7 @ 102.0
    1700000000100 trade buy 1 @ 101.0
    1700000000101 level ask 4 @ 101.0
    1700000061000 trade sell 2 @ 100.0
    1700000061001 level bid 6 @ 100.0
    1700000062000 level ask 9 @ 102.0
";

fn btc() -> Instrument {
    let mut btc = Instrument::spot("BTC_USDT", Pair::new("BTC", "USDT"), 1, 2).unwrap();
    btc.rule.min_notional = 5.into();
    btc.rule.tick = Price::from_units(1);
    btc
}

fn served() -> Served {
    let api = Box::new(BitmartApi::default());
    let terms = (Bitmart.fees(), Bitmart.rules());
    Served::new(api, btc(), MARKET, terms, &[("BTC", "10"), ("USDT", "10000")])
}

pub(super) fn sign(who: &str, access: &crate::venue::api::Access, body: &str) -> String {
    let key = access.key(&format!("{who}-key")).unwrap();
    hex::encode(auth::signature(key, &WALL.to_string(), body.as_bytes()).unwrap())
}

/// A signed POST.
pub(super) fn post(served: &mut Served, who: &str, path: &str, body: &str) -> Reply {
    let (key, time) = (format!("{who}-key"), WALL.to_string());
    let sign = sign(who, &served.access, body);
    let headers =
        [("x-bm-key", key.as_str()), ("x-bm-timestamp", time.as_str()), ("x-bm-sign", sign.as_str())];
    served.tell("POST", path, &headers, body)
}

pub(super) fn get(served: &mut Served, path: &str) -> Reply {
    served.tell("GET", path, &[("x-bm-key", "alice-key")], "")
}

#[test]
fn what_everybody_is_told() {
    let mut served = served();
    served.access.limits = false;
    served.advance(70_000);
    for path in [
        "/system/time",
        "/system/service",
        "/spot/v1/currencies",
        "/account/v1/currencies?currencies=BTC",
        "/spot/v1/symbols",
        "/spot/v1/symbols/details",
        "/spot/quotation/v3/tickers",
        "/spot/quotation/v3/ticker?symbol=BTC_USDT",
        "/spot/quotation/v3/ticker?symbol=NO_USDT",
        "/spot/quotation/v3/ticker",
        "/spot/quotation/v3/books?symbol=BTC_USDT&limit=1",
        "/spot/quotation/v3/books?symbol=BTC_USDT&size=200",
        "/spot/quotation/v3/books?symbol=BTC_USDT&limit=x",
        "/spot/quotation/v3/trades?symbol=BTC_USDT",
        "/spot/quotation/v3/klines?symbol=BTC_USDT",
        "/spot/quotation/v3/klines?symbol=BTC_USDT&step=5&after=1699999799&limit=1",
        "/spot/quotation/v3/lite-klines?symbol=BTC_USDT&step=7",
        "/contract/public/details",
        "/contract/public/details?symbol=BTCUSDT",
        "/contract/public/depth?symbol=BTCUSDT",
        "/spot/v9/nothing",
        "/spot/v2/submit_order",
        "//spot/v1/symbols",
        "/spot/../spot/v1/symbols",
    ] {
        served.tell("GET", path, &[], "");
    }
    insta::assert_snapshot!(served.transcript());
}

#[test]
fn an_account_asks_and_trades() {
    let mut served = served();
    served.access.limits = false;
    get(&mut served, "/spot/v1/wallet");
    get(&mut served, "/account/v1/wallet?currency=BTC");
    get(&mut served, "/spot/v1/trade_fee?symbol=BTC_USDT");
    get(&mut served, "/spot/v1/user_fee");
    get(&mut served, "/spot/v1/margin/isolated/account");
    get(&mut served, "/account/v1/deposit/address?currency=BTC");
    for (path, body) in [
        // A resting order, and all that can be asked about it.
        (
            "/spot/v2/submit_order",
            r#"{"symbol":"BTC_USDT","side":"buy","type":"limit","size":"0.5","price":"99.55","client_order_id":"a1"}"#,
        ),
        ("/spot/v4/query/order", r#"{"orderId":"200000000000000001","recvWindow":5000}"#),
        ("/spot/v4/query/client-order", r#"{"clientOrderId":"a1"}"#),
        ("/spot/v4/query/client-order", r#"{"clientOrderId":"a1","queryState":"history"}"#),
        ("/spot/v4/query/open-orders", r#"{"symbol":"BTC_USDT"}"#),
        ("/spot/v4/query/order-trades", r#"{"orderId":"200000000000000001"}"#),
        (
            "/spot/v2/submit_order",
            r#"{"symbol":"BTC_USDT","side":"buy","type":"limit","size":"0.5","price":"99","client_order_id":"a1"}"#,
        ),
        // Takers.
        ("/spot/v2/submit_order", r#"{"symbol":"BTC_USDT","side":"buy","type":"market","notional":"505.5"}"#),
        ("/spot/v4/query/order", r#"{"orderId":"200000000000000002"}"#),
        ("/spot/v2/submit_order", r#"{"symbol":"BTC_USDT","side":"sell","type":"market","size":"1"}"#),
        (
            "/spot/v2/submit_order",
            r#"{"symbol":"BTC_USDT","side":"sell","type":"ioc","size":"20","price":"99.0"}"#,
        ),
        (
            "/spot/v2/submit_order",
            r#"{"symbol":"BTC_USDT","side":"buy","type":"limit_maker","size":"1","price":"200"}"#,
        ),
        ("/spot/v4/query/trades", r#"{"symbol":"BTC_USDT","limit":2}"#),
        ("/spot/v4/query/history-orders", r#"{"symbol":"BTC_USDT"}"#),
        // Cancels.
        ("/spot/v3/cancel_order", r#"{"symbol":"BTC_USDT","client_order_id":"a1"}"#),
        ("/spot/v3/cancel_order", r#"{"symbol":"BTC_USDT","order_id":"200000000000000001"}"#),
        ("/spot/v3/cancel_order", r#"{"symbol":"BTC_USDT","order_id":"200000000000000002"}"#),
        ("/spot/v3/cancel_order", r#"{"symbol":"BTC_USDT","order_id":"7"}"#),
        ("/spot/v3/cancel_order", r#"{"symbol":"BTC_USDT"}"#),
        (
            "/spot/v4/batch_orders",
            r#"{"symbol":"BTC_USDT","orderParams":[{"side":"buy","type":"limit","size":"0.1","price":"90","clientOrderId":"b1"},{"side":"buy","type":"limit","size":"0.1","price":"91","clientOrderId":"b2"},{"side":"sell","type":"limit","size":"0.1","price":"120"}]}"#,
        ),
        ("/spot/v4/cancel_orders", r#"{"symbol":"BTC_USDT","clientOrderIds":["b1","zz"]}"#),
        ("/spot/v4/cancel_all", r#"{"symbol":"BTC_USDT","side":"sell"}"#),
        ("/spot/v4/cancel_all", "{}"),
        ("/spot/v4/query/open-orders", "{}"),
    ] {
        post(&mut served, "alice", path, body);
    }
    get(&mut served, "/spot/v3/orders?symbol=BTC_USDT&status=8&offset=1&N=2");
    get(&mut served, "/spot/v1/wallet");
    insta::assert_snapshot!(served.transcript());
}

#[test]
fn what_makes_no_sense_is_told_so() {
    let mut served = served();
    served.access.limits = false;
    let order = |with: &str| {
        let base = r#""symbol":"BTC_USDT","side":"buy","type":"limit","size":"1","price":"50""#;
        format!("{{{base},{with}}}")
    };
    for body in [
        order(r#""symbol":"NO_USDT""#),
        order(r#""symbol":["BTC_USDT"]"#),
        order(r#""side":"long""#),
        order(r#""side":true"#),
        order(r#""type":"stop""#),
        order(r#""size":null"#),
        order(r#""size":{}"#),
        order(r#""size":"-1""#),
        order(r#""size":"0""#),
        order(r#""size":"0.001""#),
        order(r#""size":"1e999999999""#),
        order(r#""size":"99999999999999999999""#),
        order(r#""price":null"#),
        order(r#""price":"x""#),
        order(r#""price":"-5""#),
        order(r#""price":"0.04""#),
        order(r#""price":"1""#),
        order(r#""size":"1000""#),
        order(r#""client_order_id":"a-b""#),
        order(r#""client_order_id":"123456789012345678901234567890123""#),
        order(r#""stpMode":"all""#),
        r#"{"symbol":"BTC_USDT","side":"buy","type":"market","size":"1"}"#.to_owned(),
        r#"{"symbol":"BTC_USDT","side":"buy","type":"market","notional":"4"}"#.to_owned(),
        r#"{"symbol":"BTC_USDT","side":"buy","type":"market","notional":"99999999999999999999999999"}"#
            .to_owned(),
        r#"{"symbol":"BTC_USDT","side":"sell","type":"market","notional":"4"}"#.to_owned(),
        r#"{"symbol":"BTC_USDT","side":"sell","type":"market","size":"0.04"}"#.to_owned(),
        "[]".to_owned(),
        "not json".to_owned(),
    ] {
        let reply = post(&mut served, "alice", "/spot/v2/submit_order", &body);
        assert_ne!(reply.status, 200, "{body}");
    }
    for (path, body) in [
        ("/spot/v4/batch_orders", r#"{"symbol":"BTC_USDT","orderParams":[]}"#),
        ("/spot/v4/batch_orders", r#"{"symbol":"BTC_USDT","orderParams":[1]}"#),
        ("/spot/v4/query/order", r#"{"orderId":"1"}"#),
        ("/spot/v4/query/order", "{}"),
        ("/spot/v4/query/order-trades", r#"{"orderId":"200000000000000009"}"#),
        ("/spot/v4/query/trades", r#"{"startTime":2,"endTime":1}"#),
        ("/spot/v4/query/trades", r#"{"startTime":"x"}"#),
        ("/spot/v4/query/open-orders", r#"{"symbol":"NO_USDT"}"#),
        ("/spot/v4/cancel_orders", r#"{"symbol":"BTC_USDT"}"#),
        ("/spot/v4/cancel_all", r#"{"side":"long"}"#),
        ("/spot/v1/margin/submit_order", "{}"),
    ] {
        post(&mut served, "alice", path, body);
    }
    insta::assert_snapshot!(served.transcript());
}

#[test]
fn keys_signatures_and_times_are_checked_in_the_pages_order() {
    let mut served = served();
    served.access.window = Default::default();
    served.access.limits = false;
    let body = r#"{"symbol":"BTC_USDT","side":"buy","type":"limit","size":"1","price":"50"}"#;
    let good = sign("alice", &served.access, body);
    let (now, old) = (WALL.to_string(), (WALL - 60_001).to_string());
    let path = "/spot/v2/submit_order";
    for (headers, want) in [
        (vec![], 30_001),
        (vec![("x-bm-key", "nobody")], 30_002),
        (vec![("x-bm-key", "alice-key")], 30_006),
        (vec![("x-bm-key", "alice-key"), ("x-bm-timestamp", "soon")], 30_008),
        (vec![("x-bm-key", "alice-key"), ("x-bm-timestamp", old.as_str())], 30_007),
        (vec![("x-bm-key", "alice-key"), ("x-bm-timestamp", now.as_str())], 30_004),
        (vec![("x-bm-key", "alice-key"), ("x-bm-timestamp", now.as_str()), ("x-bm-sign", "00")], 30_005),
        // Another account's key does not go with it.
        (
            vec![("x-bm-key", "bob-key"), ("x-bm-timestamp", now.as_str()), ("x-bm-sign", good.as_str())],
            30_005,
        ),
    ] {
        let reply = served.ask("POST", path, &headers, body.as_bytes());
        assert_eq!(reply.status, 401);
        assert!(reply.body.contains(&format!("\"code\":{want},")), "{headers:?} {}", reply.body);
    }
    let headers = [("x-bm-key", "alice-key"), ("x-bm-timestamp", now.as_str()), ("x-bm-sign", good.as_str())];
    // There is no nonce: a request that is sent again within its time is another request.
    for _ in 0..2 {
        assert_eq!(served.ask("POST", path, &headers, body.as_bytes()).status, 200);
    }
    // Reads are not signed, whatever a client sends with them.
    let reads = [("x-bm-key", "alice-key"), ("x-bm-sign", "wrong"), ("x-bm-timestamp", "0")];
    assert_eq!(served.ask("GET", "/spot/v1/wallet", &reads, b"").status, 200);
    assert_eq!(served.ask("GET", "/spot/v1/wallet", &[], b"").status, 401);
    served.access.open = true;
    assert_eq!(served.ask("GET", "/spot/v1/wallet", &[], b"").status, 200);
    assert_eq!(served.ask("POST", path, &[("x-bm-key", "anybody")], body.as_bytes()).status, 200);
}

#[test]
fn limits_count_up_and_refuse() {
    let mut served = served();
    let header = |reply: &Reply, name: &str| {
        reply.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone()).unwrap()
    };
    let statuses: Vec<u16> = (1..=40)
        .map(|used| {
            let reply = served.ask("GET", "/system/time", &[], b"");
            assert_eq!(header(&reply, "X-BM-RateLimit-Remaining"), used.to_string());
            assert_eq!(header(&reply, "X-BM-RateLimit-Limit"), "10");
            assert_eq!(header(&reply, "X-BM-RateLimit-Reset"), "1");
            assert_eq!(header(&reply, "X-BM-RateLimit-Mode"), "IP");
            reply.status
        })
        .collect();
    let count = |status| statuses.iter().filter(|one| **one == status).count();
    assert_eq!((count(200), count(429), count(418)), (10, 20, 10));
}

#[test]
fn one_account_never_sees_anothers() {
    let mut served = served();
    served.access.limits = false;
    let order =
        r#"{"symbol":"BTC_USDT","side":"buy","type":"limit","size":"1","price":"50","client_order_id":"a1"}"#;
    post(&mut served, "alice", "/spot/v2/submit_order", order);
    for (path, body, want) in [
        ("/spot/v4/query/order", r#"{"orderId":"200000000000000001"}"#, "\"code\":50005"),
        ("/spot/v4/query/client-order", r#"{"clientOrderId":"a1"}"#, "\"code\":50005"),
        ("/spot/v4/query/open-orders", "{}", "\"data\":[]"),
        (
            "/spot/v3/cancel_order",
            r#"{"symbol":"BTC_USDT","order_id":"200000000000000001"}"#,
            "\"code\":50032",
        ),
    ] {
        let reply = post(&mut served, "bob", path, body);
        assert!(reply.body.contains(want), "{path} {}", reply.body);
    }
    // They trade with each other, the one that rested as the maker.
    post(
        &mut served,
        "alice",
        "/spot/v2/submit_order",
        r#"{"symbol":"BTC_USDT","side":"buy","type":"limit","size":"1","price":"100.5"}"#,
    );
    post(
        &mut served,
        "bob",
        "/spot/v2/submit_order",
        r#"{"symbol":"BTC_USDT","side":"sell","type":"limit","size":"1","price":"100.5"}"#,
    );
    let maker = post(&mut served, "alice", "/spot/v4/query/trades", "{}");
    let taker = post(&mut served, "bob", "/spot/v4/query/trades", "{}");
    assert!(maker.body.contains("\"tradeRole\":\"maker\"") && taker.body.contains("\"tradeRole\":\"taker\""));
    let public = served.ask("GET", "/spot/quotation/v3/trades?symbol=BTC_USDT&limit=1", &[], b"");
    assert!(public.body.contains(r#""100.5","1.00","sell"]"#), "{}", public.body);
}

#[test]
fn public_sockets() {
    let mut served = served();
    served.open(1, "/api?protocol=1.1");
    for frame in [
        "ping",
        r#"{"op":"subscribe","args":["spot/depth/increase100:BTC_USDT"]}"#,
        r#"{"args":["spot/trade:BTC_USDT","spot/ticker:BTC_USDT"],"op":"subscribe"}"#,
        r#"{"op":"subscribe","args":["spot/depth5:BTC_USDT","spot/bookTicker:BTC_USDT","spot/kline1m:BTC_USDT"]}"#,
        r#"{"op":"request","args":["spot/depth/increase100:BTC_USDT"]}"#,
        r#"{"op":"request","args":["spot/depth50:BTC_USDT"]}"#,
        r#"{"op":"subscribe","args":["spot/nothing:BTC_USDT"]}"#,
        r#"{"op":"subscribe","args":["spot/trade:NO_USDT"]}"#,
        r#"{"op":"subscribe","args":["spot/user/order:BTC_USDT"]}"#,
        r#"{"op":"subscribe","args":[]}"#,
        r#"{"op":"subscribe","args":[7]}"#,
        r#"{"op":"subscribe","args":"spot/trade:BTC_USDT"}"#,
        r#"{"op":"dance","args":["x"]}"#,
        "{",
        "[1]",
    ] {
        served.hear(1, frame);
    }
    served.advance(250);
    let order = r#"{"symbol":"BTC_USDT","side":"buy","type":"limit","size":"1","price":"99.5"}"#;
    post(&mut served, "alice", "/spot/v2/submit_order", order);
    served.advance(500);
    served.hear(1, r#"{"op":"unsubscribe","args":["spot/depth5:BTC_USDT","spot/bookTicker:BTC_USDT"]}"#);
    let order = r#"{"symbol":"BTC_USDT","side":"sell","type":"market","size":"1"}"#;
    post(&mut served, "bob", "/spot/v2/submit_order", order);
    served.advance(200);
    served.open(2, "/api?protocol=1.1&compress=all");
    served.hear(2, r#"{"op":"subscribe","args":["spot/depth50:BTC_USDT"]}"#);
    served.open(3, "/nowhere");
    insta::assert_snapshot!(served.transcript());
}

#[test]
fn private_sockets() {
    let mut served = served();
    served.open(1, "/user?protocol=1.1");
    served.hear(1, r#"{"op":"subscribe","args":["spot/user/order:BTC_USDT"]}"#);
    let time = WALL.to_string();
    let sign = sign("alice", &served.access, "bitmart.WebSocket");
    served.hear(1, &format!(r#"{{"op":"login","args":["alice-key",{time},"{sign}"]}}"#));
    served
        .hear(1, r#"{"op":"subscribe","args":["spot/user/order:BTC_USDT","spot/user/orders:ALL_SYMBOLS"]}"#);
    served.hear(1, r#"{"op":"subscribe","args":["spot/user/balance:BALANCE_UPDATE"]}"#);
    served.hear(1, r#"{"op":"unsubscribe","args":["spot/user/orders:ALL_SYMBOLS"]}"#);
    served.hear(1, r#"{"op":"subscribe","args":["spot/user/order:NO_USDT","spot/trade:BTC_USDT"]}"#);
    for body in [
        r#"{"symbol":"BTC_USDT","side":"buy","type":"limit","size":"1","price":"99.5","client_order_id":"a1"}"#,
        r#"{"symbol":"BTC_USDT","side":"buy","type":"market","notional":"505.5"}"#,
        r#"{"symbol":"BTC_USDT","side":"buy","type":"limit","size":"1","price":"1"}"#,
    ] {
        post(&mut served, "alice", "/spot/v2/submit_order", body);
    }
    // Bob is not Alice.
    let order = r#"{"symbol":"BTC_USDT","side":"buy","type":"limit","size":"1","price":"90"}"#;
    post(&mut served, "bob", "/spot/v2/submit_order", order);
    post(&mut served, "alice", "/spot/v3/cancel_order", r#"{"symbol":"BTC_USDT","client_order_id":"a1"}"#);
    served.open(2, "/user?protocol=1.1");
    served.hear(2, &format!(r#"{{"op":"login","args":["bob-key","{time}","{sign}"]}}"#));
    served.open(3, "/user?protocol=1.1");
    served.hear(3, r#"{"op":"login","args":[]}"#);
    insta::assert_snapshot!(served.transcript());
}

#[test]
fn pushes_inflate_to_what_they_say() {
    // The vector of the page: raw DEFLATE of a trade.
    let packed = hex::decode(
        "ab562a494cca4955b2522a2ec82fd12f294a4c4955d2514a492c4954b28aae562aaecc4dcacf014a3b8538c78706bb8400250b8a3293413acc0c8040cfc00028549c990212492aad0473aa401ca094a1014436be44c9cad0dc000a749472d1440c8d8c6b636b01",
    )
    .unwrap();
    let mut text = String::new();
    let mut decoder = flate2::read::DeflateDecoder::new(&*packed);
    std::io::Read::read_to_string(&mut decoder, &mut text).unwrap();
    assert!(text.starts_with(r#"{"table":"spot/trade","#), "{text}");
    let mut served = served();
    let call = Call {
        method: "GET",
        path: "/api",
        prefix: "",
        query: "protocol=1.1&compress=40",
        headers: &[],
        body: b"",
        from: crate::venue::served::LOCAL,
    };
    let mut api = BitmartApi::default();
    let mut room =
        Room { paper: &mut served.paper, access: &served.access, wall: crate::venue::served::time_of_day };
    let mut posts = Posts::new();
    api.open(&mut room, SocketId(1), &call, &mut posts).unwrap();
    let wish = Frame::Text(r#"{"op":"subscribe","args":["spot/depth5:BTC_USDT"]}"#);
    api.hear(&mut room, SocketId(1), wish, &mut posts).unwrap();
    let [(_, crate::venue::api::Out::Text(ack)), (_, crate::venue::api::Out::Binary(push))] = &posts[..]
    else {
        panic!("{posts:?}")
    };
    assert!(ack.contains("subscribe"));
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::DeflateDecoder::new(&**push), &mut text).unwrap();
    assert!(text.contains(r#""table":"spot/depth5""#), "{text}");
}
