//! BitMEX' interface as a transcript: replies and pushes beside the page that they come from.

use super::auth;
use super::*;
use crate::market::{Instrument, Pair, Product, Qty};
use crate::paper::Keep;
use crate::sim::MarketConfig;
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
        r#"{"symbol":"XBT_USDT","orderQty":100000000,"stopPx":50,"ordType":"Limit","price":5}"#,
        r#"{"symbol":"XBT_USDT","orderQty":100000000,"stopPx":50.05}"#,
        r#"{"symbol":"XBT_USDT","orderQty":100000000,"ordType":"Stop"}"#,
        r#"{"symbol":"XBT_USDT","orderQty":100000000,"stopPx":-5}"#,
        r#"{"symbol":"XBT_USDT","orderQty":100000000,"price":50,"timeInForce":"AtTheClose"}"#,
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

/// Perpetuals beside spot, with mark prices; a funding is due at 04:00 of a day of November 2023.
const CONTRACTS: &str = "
    1700018000000 #1 book bid 9000 @ 60000.0 9000 @ 59990.0 | ask 5000 @ 60001.0 9000 @ 60010.0
    1700018000000 #2 book bid 90000 @ 60000.0 | ask 90000 @ 60001.0
    1700018000000 #0 book bid 8 @ 60000.0 | ask 5 @ 60001.0
    1700018000000 #1 mark 60013
    1700018000000 #1 index 60010
    1700018000000 #1 funding 0.0001
    1700018000000 #2 mark 60000
    1700018000000 #1 trade buy 100 @ 60001.0
    1700018003000 #1 mark 60300
    1700018010000 #1 trade sell 200 @ 60000.0
    1700020800500 #1 mark 60100
    1700020801000 #1 mark 59000
    1700020802000 #1 mark 54000
    1700020803000 #1 trade sell 100 @ 59990.0
";

fn contract(symbol: &str, quote: &str, product: Product) -> MarketConfig {
    let mut one = Instrument::spot(symbol, Pair::new("XBT", quote), 1, 2).unwrap();
    one.product = product;
    one.rule.lot = Qty::from_units(10_000);
    one.rule.min_qty = one.rule.lot;
    one.rule.max_qty = Qty::from_units(1_000_000_000);
    let terms = Bitmex.contract(&one);
    MarketConfig { contract: terms, ..MarketConfig::spot(one, Bitmex.fees()) }
}

fn with_contracts() -> Served {
    let mut xbt = Instrument::spot("XBT_USDT", Pair::new("XBT", "USDT"), 1, 2).unwrap();
    xbt.rule.max_qty = Qty::from_units(10_000);
    let markets = vec![
        MarketConfig::spot(xbt, Bitmex.fees()),
        contract("XBTUSD", "USD", Product::Inverse { multiplier: 1.into() }),
        contract("XBTUSDT", "USDT", Product::Linear { multiplier: rust_decimal::Decimal::new(1, 6) }),
    ];
    let api = Box::new(BitmexApi::default());
    let mut served =
        Served::over(api, markets, CONTRACTS, Bitmex.rules(), &[("XBT", "1"), ("USDT", "10000")]);
    served.access.limits = false;
    served
}

fn log_in(served: &mut Served, socket: u64, topics: &str) {
    let key = served.access.key("alice-key").unwrap().clone();
    let expires = WALL / 1_000 + 5;
    let sign = auth::signature(&key, &format!("GET/realtime{expires}")).unwrap();
    served.open(socket, "/realtime");
    served.hear(socket, &format!(r#"{{"op":"authKeyExpires","args":["alice-key",{expires},"{sign}"]}}"#));
    served.hear(socket, &format!(r#"{{"op":"subscribe","args":[{topics}]}}"#));
}

#[test]
fn contracts_are_shown() {
    let mut served = with_contracts();
    for target in [
        "/api/v1/instrument?symbol=XBTUSD",
        "/api/v1/instrument?symbol=XBTUSDT",
        "/api/v1/instrument?symbol=XBT:perpetual&columns=symbol",
        "/api/v1/instrument/activeAndIndices?columns=symbol",
        "/api/v1/trade?symbol=XBTUSD",
        "/api/v1/trade/bucketed?symbol=XBTUSD&binSize=1m&partial=true",
    ] {
        served.tell("GET", target, &[], "");
    }
    insta::assert_snapshot!(served.transcript());
}

#[test]
fn an_account_trades_contracts() {
    let mut served = with_contracts();
    served.advance(100);
    let order = "/api/v1/order";
    for (method, target, body) in [
        ("GET", "/api/v1/position", ""),
        (
            "POST",
            order,
            r#"{"symbol":"XBTUSD","side":"Buy","orderQty":200,"ordType":"Market","clOrdID":"m1"}"#,
        ),
        ("GET", "/api/v1/position?filter=%7B%22symbol%22%3A%22XBTUSD%22%7D", ""),
        ("GET", "/api/v1/user/margin", ""),
        ("GET", "/api/v1/user/walletHistory", ""),
        ("POST", "/api/v1/position/leverage", r#"{"symbol":"XBTUSD","leverage":10}"#),
        ("POST", "/api/v1/position/transferMargin", r#"{"symbol":"XBTUSD","amount":10000}"#),
        ("POST", "/api/v1/position/transferMargin", r#"{"symbol":"XBTUSD","amount":-900000000}"#),
        ("POST", "/api/v1/position/leverage", r#"{"symbol":"XBTUSD","leverage":1000}"#),
        ("POST", "/api/v1/position/isolate", r#"{"symbol":"XBTUSD","enabled":false}"#),
        ("POST", "/api/v1/position/riskLimit", r#"{"symbol":"XBTUSD","riskLimit":35000000000}"#),
        ("POST", "/api/v1/position/riskLimit", r#"{"symbol":"XBTUSD","riskLimit":1}"#),
        ("POST", "/api/v1/position/leverage", r#"{"symbol":"XBT_USDT","leverage":5}"#),
        ("POST", "/api/v1/position/leverage", r#"{"symbol":"XBTUSDT","leverage":0}"#),
        // Orders that wait.
        (
            "POST",
            order,
            r#"{"symbol":"XBTUSD","side":"Sell","stopPx":59500,"execInst":"Close,LastPrice","clOrdID":"s1"}"#,
        ),
        (
            "POST",
            order,
            r#"{"symbol":"XBTUSD","side":"Sell","orderQty":100,"ordType":"StopLimit","stopPx":59500,"price":59400,"execInst":"IndexPrice"}"#,
        ),
        (
            "POST",
            order,
            r#"{"symbol":"XBTUSD","side":"Sell","orderQty":100,"ordType":"MarketIfTouched","stopPx":60200,"clOrdID":"t1"}"#,
        ),
        (
            "POST",
            order,
            r#"{"symbol":"XBTUSD","side":"Sell","orderQty":100,"ordType":"LimitIfTouched","stopPx":70000,"price":70001,"execInst":"LastPrice,ReduceOnly"}"#,
        ),
        (
            "GET",
            "/api/v1/order?filter=%7B%22open%22%3Atrue%7D&columns=ordType,stopPx,execInst,triggered,workingIndicator,ordStatus",
            "",
        ),
        // Reduce-only, and closing.
        (
            "POST",
            order,
            r#"{"symbol":"XBTUSD","side":"Buy","orderQty":100,"price":59000,"execInst":"ReduceOnly"}"#,
        ),
        (
            "POST",
            order,
            r#"{"symbol":"XBTUSD","side":"Sell","orderQty":100,"price":60500,"execInst":"ReduceOnly,ParticipateDoNotInitiate","clOrdID":"r1"}"#,
        ),
        ("PUT", order, r#"{"origClOrdID":"r1","leavesQty":200,"price":60600}"#),
        ("POST", "/api/v1/order/closePosition", r#"{"symbol":"XBTUSD","price":60700}"#),
        ("DELETE", "/api/v1/order/all", r#"{"symbol":"XBTUSD","filter":"{\"ordType\":\"StopLimit\"}"}"#),
        (
            "POST",
            "/api/v1/order/bulk",
            r#"{"orders":[{"symbol":"XBTUSDT","side":"Buy","orderQty":100,"price":50000,"clOrdID":"b1"},{"symbol":"XBT_USDT","side":"Buy","orderQty":100000000000,"price":50000}]}"#,
        ),
        (
            "POST",
            "/api/v1/order/bulk",
            r#"{"orders":[{"symbol":"XBTUSDT","orderQty":100,"price":50000},{"symbol":"NOPE"}]}"#,
        ),
        ("PUT", "/api/v1/order/bulk", r#"{"orders":[{"origClOrdID":"b1","orderQty":200}]}"#),
        ("POST", order, r#"{"symbol":"XBTUSD","side":"Buy","orderQty":1000000,"price":60000}"#),
    ] {
        ask(&mut served, "alice", method, target, body);
    }
    insta::assert_snapshot!(served.transcript());
}

#[test]
fn positions_live_on_the_socket() {
    let mut served = with_contracts();
    log_in(&mut served, 1, r#""position","margin","order","execution","wallet""#);
    served.hear(1, r#"{"op":"subscribe","args":["funding:XBTUSD","liquidation:XBTUSD"]}"#);
    served.advance(100);
    let order = "/api/v1/order";
    let buy = r#"{"symbol":"XBTUSD","side":"Buy","orderQty":200,"ordType":"Market"}"#;
    ask(&mut served, "alice", "POST", order, buy);
    let take =
        r#"{"symbol":"XBTUSD","side":"Sell","orderQty":100,"ordType":"MarketIfTouched","stopPx":60200}"#;
    ask(&mut served, "alice", "POST", order, take);
    served.advance(5_000);
    ask(&mut served, "alice", "POST", "/api/v1/position/leverage", r#"{"symbol":"XBTUSD","leverage":25}"#);
    // Over the funding of 04:00, and down to the liquidation.
    served.advance(2_800_000);
    for target in [
        "/api/v1/funding?symbol=XBTUSD&reverse=true&count=1",
        "/api/v1/execution/tradeHistory?symbol=XBTUSD",
        "/api/v1/execution?columns=execType,ordStatus,lastQty&count=500",
        "/api/v1/user/walletHistory?count=500",
        "/api/v1/position",
        "/api/v1/user/margin",
    ] {
        ask(&mut served, "alice", "GET", target, "");
    }
    insta::assert_snapshot!(served.transcript());
}

/// Iceberg orders, trailing stops and pegged limits: placed, shown, followed and amended.
#[test]
fn orders_that_the_market_leads() {
    let mut served = with_contracts();
    log_in(&mut served, 1, r#""order","execution""#);
    served.advance(100);
    let order = "/api/v1/order";
    for body in [
        // Shows a part of itself.
        r#"{"symbol":"XBTUSD","side":"Buy","orderQty":1000,"price":59990,"displayQty":300,"clOrdID":"ice"}"#,
        r#"{"symbol":"XBTUSD","side":"Buy","orderQty":1000,"price":59990,"displayQty":0}"#,
        r#"{"symbol":"XBTUSD","side":"Buy","orderQty":1000,"price":59990,"displayQty":-100}"#,
        r#"{"symbol":"XBTUSD","side":"Buy","orderQty":1000,"displayQty":100}"#,
        // Follows the mark price.
        r#"{"symbol":"XBTUSD","side":"Sell","orderQty":200,"ordType":"Stop","pegPriceType":"TrailingStopPeg","pegOffsetValue":-500,"clOrdID":"trail"}"#,
        r#"{"symbol":"XBTUSD","side":"Buy","orderQty":200,"price":61000,"ordType":"StopLimit","pegPriceType":"TrailingStopPeg","pegOffsetValue":250.5,"execInst":"LastPrice","clOrdID":"limit"}"#,
        r#"{"symbol":"XBTUSD","side":"Sell","orderQty":200,"ordType":"Stop","pegPriceType":"TrailingStopPeg","pegOffsetValue":500}"#,
        r#"{"symbol":"XBTUSD","side":"Sell","orderQty":200,"ordType":"Stop","pegPriceType":"TrailingStopPeg"}"#,
        r#"{"symbol":"XBTUSD","side":"Sell","orderQty":200,"ordType":"Stop","pegOffsetValue":-500}"#,
        r#"{"symbol":"XBTUSD","side":"Sell","orderQty":200,"pegPriceType":"TrailingStopPeg","pegOffsetValue":-500}"#,
        r#"{"symbol":"XBTUSD","side":"Sell","orderQty":200,"ordType":"Stop","pegPriceType":"TrailingStopPeg","pegOffsetValue":-0.01}"#,
        // Is set once.
        r#"{"symbol":"XBTUSD","side":"Buy","orderQty":100,"ordType":"Pegged","pegPriceType":"PrimaryPeg","pegOffsetValue":-5,"execInst":"Fixed","clOrdID":"own"}"#,
        r#"{"symbol":"XBTUSD","side":"Sell","orderQty":100,"pegPriceType":"MarketPeg","pegOffsetValue":7.5,"execInst":"Fixed,ParticipateDoNotInitiate","clOrdID":"far"}"#,
        r#"{"symbol":"XBTUSD","side":"Sell","orderQty":100,"ordType":"Pegged","pegPriceType":"MidPricePeg","execInst":"Fixed","clOrdID":"mid"}"#,
        r#"{"symbol":"XBTUSD","side":"Buy","orderQty":100,"ordType":"Pegged","pegPriceType":"LastPeg","pegOffsetValue":-20,"execInst":"Fixed","clOrdID":"last"}"#,
        r#"{"symbol":"XBTUSD","side":"Buy","orderQty":100,"ordType":"Pegged","pegPriceType":"PrimaryPeg"}"#,
        r#"{"symbol":"XBTUSD","side":"Buy","orderQty":100,"ordType":"Pegged","pegPriceType":"NoPeg","execInst":"Fixed"}"#,
        r#"{"symbol":"XBTUSD","side":"Buy","orderQty":100,"price":50000,"execInst":"Fixed"}"#,
    ] {
        ask(&mut served, "alice", "POST", order, body);
    }
    // The mark price is 300 higher by then.
    served.advance(4_000);
    let stop = r#"{"symbol":"XBTUSD","side":"Sell","orderQty":100,"stopPx":55000,"clOrdID":"stop"}"#;
    ask(&mut served, "alice", "POST", order, stop);
    for body in [
        r#"{"origClOrdID":"trail","pegOffsetValue":-300}"#,
        r#"{"origClOrdID":"trail","pegOffsetValue":300}"#,
        r#"{"origClOrdID":"trail","stopPx":55000}"#,
        r#"{"origClOrdID":"stop","stopPx":56000.5,"orderQty":200}"#,
        r#"{"origClOrdID":"stop","stopPx":56000.55}"#,
        r#"{"origClOrdID":"stop","pegOffsetValue":-10}"#,
        r#"{"origClOrdID":"own","pegOffsetValue":-6}"#,
        r#"{"origClOrdID":"own","stopPx":60000}"#,
        r#"{"origClOrdID":"ice","orderQty":500}"#,
        r#"{"origClOrdID":"ice","leavesQty":200}"#,
        r#"{"origClOrdID":"ice","orderQty":900,"price":59980}"#,
    ] {
        ask(&mut served, "alice", "PUT", order, body);
    }
    let open = "/api/v1/order?filter=%7B%22open%22%3Atrue%7D&columns=clOrdID,orderQty,displayQty,price,stopPx,pegPriceType,pegOffsetValue,ordType,execInst,leavesQty";
    ask(&mut served, "alice", "GET", open, "");
    // The mark price falls: both stops that sell are woken.
    served.advance(2_800_000);
    ask(&mut served, "alice", "GET", "/api/v1/order?filter=%7B%22clOrdID%22%3A%22trail%22%7D", "");
    insta::assert_snapshot!(served.transcript());
}

/// `LastWithinMark` says more of `LastPrice`: nothing of another price, of an order that does not wait, of spot.
#[test]
fn stops_that_wait_for_a_last_price_near_the_mark() {
    let mut served = with_contracts();
    served.advance(100);
    for (what, status, want) in [
        (
            r#""stopPx":55000,"execInst":"LastPrice,LastWithinMark""#,
            200,
            r#""execInst":"LastPrice,LastWithinMark""#,
        ),
        (
            r#""stopPx":55000,"execInst":"LastWithinMark,Close,LastPrice""#,
            200,
            r#""execInst":"ReduceOnly,LastPrice,LastWithinMark""#,
        ),
        (
            r#""stopPx":55000,"price":54000,"execInst":["LastWithinMark","LastPrice"]"#,
            200,
            r#""ordType":"StopLimit""#,
        ),
        (r#""stopPx":55000,"execInst":"LastWithinMark""#, 400, "Invalid execInst"),
        // What is no word is no instruction that may be passed over.
        (r#""stopPx":55000,"execInst":["LastPrice",5]"#, 400, "Unsupported execInst"),
        (r#""stopPx":55000,"execInst":[["Close"]]"#, 400, "Unsupported execInst"),
        (r#""stopPx":55000,"execInst":"[ReduceOnly""#, 400, "Unsupported execInst"),
        (r#""stopPx":55000,"execInst":{"ReduceOnly":true}"#, 400, "Unsupported execInst"),
        (r#""stopPx":55000,"execInst":"MarkPrice,LastWithinMark""#, 400, "Invalid execInst"),
        (r#""price":55000,"execInst":"LastPrice,LastWithinMark""#, 400, "Invalid ordType for execInst"),
    ] {
        let body = format!(r#"{{"symbol":"XBTUSD","side":"Sell","orderQty":100,{what}}}"#);
        let reply = ask(&mut served, "alice", "POST", "/api/v1/order", &body);
        assert_eq!(reply.status, status, "{body}: {}", reply.body);
        assert!(reply.body.contains(want), "{body}: {}", reply.body);
    }
    let spot = r#"{"symbol":"XBT_USDT","side":"Sell","orderQty":100000000,"stopPx":50,"execInst":"LastPrice,LastWithinMark"}"#;
    let reply = ask(&mut served, "alice", "POST", "/api/v1/order", spot);
    assert!(reply.status == 400 && reply.body.contains("Invalid execInst"), "{}", reply.body);
}

/// What a session is asked after many round trips, some of them in a position that stays open, and how many fills and
/// ledger rows it remembers.
fn after_many_trades(keep: Option<Keep>) -> (String, [usize; 2]) {
    let mut served = with_contracts();
    let session = served.access.accounts[0].session;
    if let Some(keep) = keep {
        served.paper.serve(session, keep);
    }
    let trade = |served: &mut Served, buy: bool, contracts: u32| {
        let (side, other) = if buy { ("Buy", "Sell") } else { ("Sell", "Buy") };
        for (who, side) in [("bob", other), ("alice", side)] {
            let order =
                format!(r#"{{"symbol":"XBTUSD","side":"{side}","orderQty":{contracts},"price":60000.5}}"#);
            assert_eq!(ask(served, who, "POST", "/api/v1/order", &order).status, 200);
        }
    };
    for _ in 0..10 {
        trade(&mut served, true, 200);
        trade(&mut served, false, 200);
    }
    trade(&mut served, true, 300);
    for _ in 0..10 {
        trade(&mut served, false, 100);
        trade(&mut served, true, 100);
    }
    served.transcript();
    for target in [
        "/api/v1/execution/tradeHistory?reverse=true&count=3",
        "/api/v1/execution?reverse=true&count=3",
        "/api/v1/order?reverse=true&count=3",
        "/api/v1/position",
        "/api/v1/user/wallet?currency=all",
        "/api/v1/user/walletHistory?currency=all&count=3",
        "/api/v1/user/margin?currency=all",
        "/api/v1/user/tradingVolume",
    ] {
        assert_eq!(ask(&mut served, "alice", "GET", target, "").status, 200, "{target}");
    }
    let trader = served.paper.trader(session).unwrap();
    let counts = [trader.fills().len(), trader.ledger().len()];
    (served.transcript(), counts)
}

#[test]
fn a_session_that_runs_for_days_answers_as_if_it_remembered_everything() {
    let (whole, all) = after_many_trades(None);
    let (short, few) = after_many_trades(Some(Keep { orders: 4, fills: 5, rows: 8 }));
    assert_eq!(short, whole);
    // Those of the position that is still open are 21.
    assert!(all[0] == 41 && all[1] == 43, "{all:?}");
    assert!(few[0] < 30 && few[1] < 20, "{few:?}");
}
