//! The gateway from outside: the program serves, and a plain socket asks. What each venue answers is in its own
//! transcripts; here is what all of them share, and what one connector is known to send.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};

/// A program that serves; it ends with the test.
struct Served {
    child: Child,
    table: Value,
    /// Kept open: the program writes there.
    _out: BufReader<std::process::ChildStdout>,
    _data: tempfile::TempDir,
}

impl Served {
    fn start(arguments: &[&str]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_papertape"))
            .args(["serve", "bitmart_paper_trade", "--demo", "--listen", "127.0.0.1:0", "--json"])
            .args(["--admin-token", "T", "--data-dir"])
            .arg(data.path())
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let table = serde_json::from_str(&line).expect("the table of mounts");
        Self { child, table, _out: out, _data: data }
    }

    fn address(&self) -> &str {
        self.table["listen"].as_str().unwrap()
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream
    }

    /// Sends a request; the status, the whole head and the body.
    fn ask(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> (u16, String, String) {
        let mut text = format!("{method} {target} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            text += &format!("Host: {}\r\n", self.address());
        }
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        text += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
        raw(self.connect(), text.as_bytes())
    }

    fn json(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Value {
        let (_, _, body) = self.ask(method, target, headers, body);
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{target}: {error}: {body}"))
    }

    fn clock(&self, body: &Value) -> Value {
        let token = [("Authorization", "Bearer T")];
        self.json("POST", "/papertape/clock", &token, &body.to_string())
    }

    /// As Hummingbot's connector signs.
    fn signed(&self, method: &str, path: &str, body: &str) -> Value {
        let time = jiff::Timestamp::now().as_millisecond().to_string();
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(b"paper-secret").unwrap();
        mac.update(format!("{time}#paper-memo#{body}").as_bytes());
        let sign = hex::encode(mac.finalize().into_bytes());
        let headers = [
            ("X-BM-KEY", "paper-key"),
            ("X-BM-SIGN", sign.as_str()),
            ("X-BM-TIMESTAMP", time.as_str()),
            ("X-BM-BROKER-ID", "hummingbotfound"),
            ("Content-Type", "application/json"),
        ];
        self.json(method, path, &headers, body)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn raw(mut stream: TcpStream, bytes: &[u8]) -> (u16, String, String) {
    // A server that has heard enough may close while we still write.
    let _ = stream.write_all(bytes);
    let mut reply = Vec::new();
    let _ = stream.read_to_end(&mut reply);
    let reply = String::from_utf8_lossy(&reply).into_owned();
    let (head, body) = reply.split_once("\r\n\r\n").unwrap_or((reply.as_str(), ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, head.to_owned(), body.to_owned())
}

#[test]
fn a_request_finds_its_exchange_by_host_by_port_and_by_prefix() {
    let served = Served::start(&["--port-per-venue"]);
    let time = |target: &str, headers: &[(&str, &str)]| served.ask("GET", target, headers, "").0;
    assert_eq!(time("/bitmart/system/time", &[]), 200, "by prefix");
    assert_eq!(time("/system/time", &[]), 200, "one exchange is at the root, too");
    assert_eq!(time("/system/time", &[("Host", "api-cloud.bitmart.com")]), 200, "by its own name");
    assert_eq!(
        time("/papertape/health", &[("Host", "api-cloud.bitmart.com")]),
        404,
        "which has no such path"
    );
    assert_eq!(time("/papertape/health", &[]), 200);
    let rest = served.table["mounts"][0]["rest"].as_str().unwrap().to_owned();
    let own_port = TcpStream::connect(rest.strip_prefix("http://").unwrap()).unwrap();
    let (status, ..) = raw(own_port, b"GET /system/time HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_eq!(status, 200, "by port");
    let (status, head, body) = served.ask("GET", "/bitmart/nothing", &[], "");
    assert_eq!(status, 404);
    assert!(head.contains("application/json") && body.contains("\"code\":30000"), "{head} {body}");
}

#[test]
fn the_control_interface_opens_to_the_token_alone() {
    let served = Served::start(&["--paused"]);
    let token = ("Authorization", "Bearer T");
    for (headers, want) in [
        (vec![], 401),
        (vec![("Authorization", "Bearer X")], 401),
        (vec![token], 200),
        (vec![token, ("Host", "evil.example")], 403),
        (vec![token, ("Origin", "http://evil.example")], 403),
    ] {
        let (status, _, body) = served.ask("GET", "/papertape/clock", &headers, "");
        assert_eq!(status, want, "{headers:?} {body}");
    }
    for (method, path, body, want) in [
        ("GET", "/papertape/accounts", "", 200),
        ("POST", "/papertape/accounts", r#"{"account":"bob","balances":{"USDT":"5"}}"#, 200),
        ("POST", "/papertape/accounts", r#"{"account":"bob"}"#, 400),
        ("POST", "/papertape/deposit", r#"{"account":"bob","asset":"USDT","amount":"2.5"}"#, 200),
        ("POST", "/papertape/deposit", r#"{"account":"bob","asset":"DOGE","amount":"1"}"#, 400),
        ("POST", "/papertape/deposit", r#"{"account":"bob","asset":"USDT","amount":"1e99"}"#, 400),
        ("POST", "/papertape/clock", r#"{"advance_ms":-1}"#, 400),
        ("POST", "/papertape/clock", r#"{"advance_ms":1,"until":5}"#, 400),
        ("POST", "/papertape/clock", r#"{"speed":"fast"}"#, 400),
        ("POST", "/papertape/clock", r#"{"warp":9}"#, 400),
        ("POST", "/papertape/clock", "{", 400),
        ("GET", "/papertape/state?account=nobody", "", 400),
        ("GET", "/papertape/order?id=7", "", 404),
        ("GET", "/papertape/tape", "", 200),
        ("GET", "/papertape/metrics", "", 200),
        ("PUT", "/papertape/clock", "", 405),
        ("GET", "/papertape/nothing", "", 404),
    ] {
        let (status, _, reply) = served.ask(method, path, &[token], body);
        assert_eq!(status, want, "{method} {path} {body}: {reply}");
    }
    let state = served.json("GET", "/papertape/state?account=bob", &[token], "");
    assert_eq!(state["balances"]["USDT"]["total"], "7.5");
    let described = served.json("GET", "/papertape/openapi.json", &[], "");
    assert!(described["paths"]["/clock"]["post"].is_object());
}

#[test]
fn in_lock_step_the_market_waits_and_ends_the_same() {
    let play = || {
        let served = Served::start(&["--paused", "--keep-time", "--rate-limits", "off"]);
        let before = served.clock(&json!({}));
        let order = r#"{"symbol":"BTC_USDT","side":"sell","type":"market","size":"0.01"}"#;
        let answer = served.signed("POST", "/spot/v2/submit_order", order);
        assert_eq!(answer["data"]["order_id"], "200000000000000001", "{answer}");
        let moved = served.clock(&json!({ "advance_ms": 1_500 }));
        let stepped = served.clock(&json!({ "advance_messages": 7 }));
        assert_eq!(stepped["messages"], 7);
        let nanos = |clock: &Value| clock["now_ns"].as_i64().unwrap();
        assert_eq!(nanos(&moved) - nanos(&before), 1_500_000_000);
        let until = nanos(&stepped) + 250;
        let last = served.clock(&json!({ "until": until.to_string() }));
        assert_eq!(nanos(&last), until);
        // It stands still now.
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(served.clock(&json!({}))["state_hash"], last["state_hash"]);
        (last["state_hash"].clone(), last["now_ns"].clone())
    };
    assert_eq!(play(), play());
}

/// What Hummingbot's connector for BitMart asks and sends, in its order, and the fields that it reads.
#[test]
fn hummingbots_bitmart_connector_finds_what_it_reads() {
    let served = Served::start(&["--no-auth", "--warmup", "1m"]);
    let get = |target: &str| served.json("GET", target, &[], "");
    assert!(get("/system/service")["data"]["service"].is_array());
    assert!(get("/system/time")["data"]["server_time"].is_i64());
    let details = get("/spot/v1/symbols/details");
    let btc = &details["data"]["symbols"][0];
    for field in
        ["symbol", "base_currency", "quote_currency", "base_min_size", "min_buy_amount", "trade_status"]
    {
        assert!(btc[field].is_string(), "{field} in {btc}");
    }
    assert!(btc["price_max_precision"].is_i64());
    let last = get("/spot/quotation/v3/ticker?symbol=BTC_USDT")["data"]["last"].clone();
    assert!(last.is_string());
    let book = get("/spot/quotation/v3/books?symbol=BTC_USDT&size=200");
    assert!(book["data"]["ts"].is_string() && book["data"]["bids"][0][1].is_string());
    let wallet = served.signed("GET", "/spot/v1/wallet", "");
    for field in ["id", "available", "frozen"] {
        assert!(wallet["data"]["wallet"][0][field].is_string(), "{wallet}");
    }
    let price = book["data"]["bids"][9][0].as_str().unwrap();
    let order = format!(
        r#"{{"symbol": "BTC_USDT", "side": "buy", "type": "limit_maker", "size": "0.01000", "price": "{price}", "client_order_id": "hummingbotfoundB1", "notional": "650"}}"#
    );
    let placed = served.signed("POST", "/spot/v2/submit_order", &order);
    let id = placed["data"]["order_id"].as_str().unwrap().to_owned();
    let query = format!(r#"{{"orderId": "{id}"}}"#);
    let state = served.signed("POST", "/spot/v4/query/order", &query);
    assert_eq!(state["data"]["state"], "new");
    assert!(state["data"]["updateTime"].is_i64());
    let trades = served.signed("POST", "/spot/v4/query/order-trades", &query);
    assert_eq!(trades["data"], json!([]));
    let cancel = r#"{"symbol": "BTC_USDT", "client_order_id": "hummingbotfoundB1"}"#;
    assert_eq!(served.signed("POST", "/spot/v3/cancel_order", cancel)["data"]["result"], true);
    let market = r#"{"symbol": "BTC_USDT", "side": "sell", "type": "market", "size": "0.01000", "price": "1", "client_order_id": "hummingbotfoundS2", "notional": "650"}"#;
    let placed = served.signed("POST", "/spot/v2/submit_order", market);
    let query = format!(r#"{{"orderId": {}}}"#, placed["data"]["order_id"]);
    let trades = served.signed("POST", "/spot/v4/query/order-trades", &query);
    for field in ["tradeId", "orderId", "price", "size", "notional", "fee", "feeCoinName"] {
        assert!(trades["data"][0][field].is_string(), "{field} in {trades}");
    }
    let unknown = served.ask("POST", "/spot/v4/query/order-trades", &[], r#"{"orderId":"9"}"#);
    assert!(unknown.0 == 400 && unknown.2.contains("\"code\":50005"), "{unknown:?}");
}

#[test]
fn whatever_comes_the_gateway_goes_on() {
    let served = Served::start(&[]);
    let big = "x".repeat(3 << 20);
    let (status, _, body) = served.ask("POST", "/bitmart/spot/v2/submit_order", &[], &big);
    assert!(status == 400 && body.contains("50000"), "{status} {body}");
    let many: String = (0..500).map(|at| format!("X-{at}: y\r\n")).collect();
    for bytes in [
        b"\r\n\r\n".to_vec(),
        b"GET\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        format!("GET /system/time HTTP/1.1\r\nHost: x\r\n{many}\r\n").into_bytes(),
        format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(200_000)).into_bytes(),
        b"GET /system/time HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n".to_vec(),
    ] {
        let mut stream = served.connect();
        stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let _ = stream.write_all(&bytes);
        let mut reply = [0; 64];
        let read = stream.read(&mut reply).unwrap_or(0);
        let reply = String::from_utf8_lossy(&reply[..read]).into_owned();
        assert!(!reply.starts_with("HTTP/1.1 2"), "{reply}");
    }
    // Half-open connections are only waited for.
    let idle: Vec<TcpStream> = (0..50).map(|_| served.connect()).collect();
    for target in ["/bitmart/../bitmart/system/time", "//bitmart/system/time", "/bitmart/%2e%2e/system/time"]
    {
        let (status, ..) = served.ask("GET", target, &[], "");
        assert_eq!(status, 404, "{target}");
    }
    assert_eq!(served.ask("GET", "/bitmart/system/time", &[], "").0, 200);
    drop(idle);
}
