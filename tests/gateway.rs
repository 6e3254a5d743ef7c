//! The gateway from outside: the program serves, and a plain socket asks. What each venue answers is in its own
//! transcripts; here is what all of them share, and what one connector is known to send.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};

/// A program that serves; it ends with the test.
struct Served {
    child: Child,
    table: Value,
    /// Kept open: the program writes there.
    _out: BufReader<std::process::ChildStdout>,
    data: Rc<tempfile::TempDir>,
}

impl Served {
    fn start(arguments: &[&str]) -> Self {
        Self::start_in(Rc::new(tempfile::tempdir().unwrap()), &[&["bitmart_paper_trade"], arguments].concat())
    }

    /// The same over accounts that another one may have left.
    fn start_in(data: Rc<tempfile::TempDir>, arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_papertape"))
            .args(["serve", "--demo", "--listen", "127.0.0.1:0", "--json"])
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
        Self { child, table, _out: out, data }
    }

    /// Kills it as the system would, and starts another one over what it left.
    fn killed_and_started_again(mut self, arguments: &[&str]) -> Self {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        Self::start_in(Rc::clone(&self.data), arguments)
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
        let sign = signature(&time, body);
        let headers = [
            ("X-BM-KEY", "paper-key"),
            ("X-BM-SIGN", sign.as_str()),
            ("X-BM-TIMESTAMP", time.as_str()),
            ("X-BM-BROKER-ID", "hummingbotfound"),
            ("Content-Type", "application/json"),
        ];
        self.json(method, path, &headers, if method == "GET" { "" } else { body })
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// BitMart's signature with the key that is printed.
fn signature(time: &str, payload: &str) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(b"paper-secret").unwrap();
    mac.update(format!("{time}#paper-memo#{payload}").as_bytes());
    hex::encode(mac.finalize().into_bytes())
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
fn what_the_control_interface_refuses_changes_nothing() {
    let served = Served::start(&["bitmex_perpetual_paper_trade", "--paused", "--speed", "3"]);
    let token = [("Authorization", "Bearer T")];
    let state = || {
        let accounts = served.json("GET", "/papertape/accounts", &token, "");
        (served.clock(&json!({}))["speed"].clone(), accounts)
    };
    let before = state();
    for (path, body) in [
        ("clock", r#"{"speed":"7","advance_ms":-1}"#),
        ("clock", r#"{"speed":"7","until":"yesterday"}"#),
        ("clock", r#"{"speed":"7","advance_ms":1,"advance_messages":1}"#),
        // BitMEX has no BTC, and BitMart no XBT.
        ("deposit", r#"{"account":"default","asset":"BTC","amount":"1"}"#),
        ("deposit", r#"{"account":"default","asset":"XBT","amount":"1"}"#),
        ("reset", r#"{"account":"default","balances":{"BTC":"1"}}"#),
        ("reset", r#"{"account":"default","balances":{"USDT":"-1"}}"#),
        ("accounts", r#"{"account":"bob","balances":{"XBT":"1"}}"#),
        ("accounts", r#"{"account":"bob","key":"paper-key"}"#),
    ] {
        let (status, _, reply) = served.ask("POST", &format!("/papertape/{path}"), &token, body);
        assert_eq!(status, 400, "{path} {body}: {reply}");
        assert_eq!(state(), before, "{path} {body}");
    }
}

#[test]
fn a_reset_leaves_nothing_of_orders_and_positions() {
    let served = Served::start(&["bitmart_perpetual_paper_trade", "--warmup", "1m", "--rate-limits", "off"]);
    let post = |path: &str, body: &str| {
        let reply = served.signed("POST", &format!("/contract/private/{path}"), body);
        assert_eq!(reply["code"], 1000, "{path} {body}: {reply}");
    };
    for margin in ["cross", "isolated"] {
        post("submit-leverage", &format!(r#"{{"symbol":"BTCUSDT","leverage":"10","open_type":"{margin}"}}"#));
        let order = format!(
            r#"{{"symbol":"BTCUSDT","side":1,"type":"market","size":20,"open_type":"{margin}","leverage":"10"}}"#
        );
        post("submit-order", &order);
        post(
            "submit-order",
            r#"{"symbol":"BTCUSDT","side":1,"type":"limit","size":5,"price":"100","mode":1}"#,
        );
        let held = served.signed("GET", "/contract/private/position?symbol=BTCUSDT", "");
        assert_eq!(held["data"][0]["current_amount"], "20", "{held}");
        let reset = r#"{"account":"default","mount":"/bitmart","balances":{"USDT":"1234.5"}}"#;
        served.json("POST", "/papertape/reset", &[("Authorization", "Bearer T")], reset);
        assert_eq!(served.signed("GET", "/contract/private/position", "")["data"], json!([]));
        assert_eq!(served.signed("GET", "/contract/private/get-open-orders", "")["data"], json!([]));
        let assets = served.signed("GET", "/contract/private/assets-detail", "");
        let usdt = &assets["data"][0];
        assert_eq!(
            (&usdt["currency"], &usdt["equity"]),
            (&json!("USDT"), &json!("1234.5")),
            "{margin} {assets}"
        );
        assert_eq!(usdt["available_balance"], "1234.5", "{margin} {assets}");
    }
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

/// Takes any certificate: the gateway's is made on the spot and signed by itself.
#[derive(Debug)]
struct AnyCertificate(std::sync::Arc<rustls::crypto::CryptoProvider>);

impl rustls::client::danger::ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &[rustls::pki_types::CertificateDer<'_>],
        _: &rustls::pki_types::ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &rustls::pki_types::CertificateDer<'_>,
        signed: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &rustls::pki_types::CertificateDer<'_>,
        signed: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// What a client gets whose hosts file points a real name of the exchange here: encrypted, at the root, by its name.
#[test]
fn with_tls_the_exchanges_own_names_lead_here() {
    let served = Served::start(&["--tls"]);
    assert!(served.table["mounts"][0]["rest"].as_str().unwrap().starts_with("https://"));
    assert!(served.table["mounts"][0]["websocket"].as_str().unwrap().starts_with("wss://"));
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(std::sync::Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(std::sync::Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    let config = std::sync::Arc::new(config);
    let open = |name: &str| {
        let name = rustls::pki_types::ServerName::try_from(name.to_owned()).unwrap();
        let session = rustls::ClientConnection::new(std::sync::Arc::clone(&config), name).unwrap();
        rustls::StreamOwned::new(session, served.connect())
    };
    for (host, path, want) in [
        ("api-cloud.bitmart.com", "/system/time", 200),
        ("api-cloud-v2.bitmart.com", "/contract/public/details", 200),
        ("api-cloud.bitmart.com", "/papertape/health", 404),
        ("localhost", "/bitmart/system/time", 200),
        ("localhost", "/papertape/health", 200),
    ] {
        let mut stream = open(host);
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
        let mut reply = Vec::new();
        let _ = stream.read_to_end(&mut reply);
        let reply = String::from_utf8_lossy(&reply).into_owned();
        assert!(reply.starts_with(&format!("HTTP/1.1 {want} ")), "{host}{path}: {reply}");
    }
    // A socket, too; and nobody is answered in the clear.
    let url = "ws://ws-manager-compress.bitmart.com/api?protocol=1.1";
    let (mut socket, _) =
        tokio_tungstenite::tungstenite::client::client(url, open("ws-manager-compress.bitmart.com")).unwrap();
    socket.send("ping".into()).unwrap();
    assert_eq!(socket.read().unwrap().to_text().unwrap(), "pong");
    let (status, ..) = raw(served.connect(), b"GET /system/time HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(status, 0);
}

/// A client's socket, read with a limit of time.
type Socket = tokio_tungstenite::tungstenite::WebSocket<TcpStream>;

fn socket(served: &Served, path: &str) -> Socket {
    let url = format!("ws://{}{path}", served.address());
    tokio_tungstenite::tungstenite::client::client(url, served.connect()).unwrap().0
}

fn say(socket: &mut Socket, frame: &str) {
    socket.send(frame.to_owned().into()).unwrap();
}

/// The next frame of this group; what comes before is passed over.
fn push(socket: &mut Socket, group: &str, fits: impl Fn(&Value) -> bool) -> Value {
    loop {
        let frame = socket.read().unwrap();
        let Ok(text) = frame.to_text() else { continue };
        let Ok(value) = serde_json::from_str::<Value>(text) else { continue };
        if value["group"] == group && !value["data"].is_null() && fits(&value) {
            return value;
        }
    }
}

/// The next frame of spot's incremental book; what comes before is passed over.
fn book(socket: &mut Socket, fits: impl Fn(&Value) -> bool) -> Value {
    loop {
        let frame = socket.read().unwrap();
        let value: Value = serde_json::from_str(frame.to_text().unwrap()).unwrap();
        if value["table"] == "spot/depth/increase100" && fits(&value["data"][0]) {
            return value["data"][0].clone();
        }
    }
}

/// At full speed frames are handed over many at a time. Each change of a book has the next number; a client that reads
/// late reads all of them, and others are answered meanwhile.
#[test]
fn at_full_speed_no_frame_is_lost_or_out_of_turn() {
    let served = Served::start(&["--loop", "--paused", "--keep-time"]);
    let mut sockets = [(); 2].map(|()| socket(&served, "/bitmart/api?protocol=1.1"));
    for socket in &mut sockets {
        say(socket, r#"{"op":"subscribe","args":["spot/depth/increase100:BTC_USDT"]}"#);
    }
    let mut last = [0; 2];
    for (socket, last) in sockets.iter_mut().zip(&mut last) {
        let first = book(socket, |row| row["type"] == "snapshot");
        *last = first["version"].as_i64().unwrap();
    }
    served.clock(&json!({ "speed": "max", "paused": false }));
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(served.ask("GET", "/bitmart/system/time", &[], "").0, 200, "others have their turn");
    for _ in 0..3_000 {
        for (socket, last) in sockets.iter_mut().zip(&mut last) {
            let next = book(socket, |_| true);
            assert_eq!((&next["type"], &next["version"]), (&json!("update"), &json!(*last + 1)));
            *last += 1;
        }
    }
    // Whoever stops it finds it standing still, and what follows from a step is there when the step is answered.
    let still = served.clock(&json!({ "paused": true, "speed": "1" }));
    let moved = served.clock(&json!({ "advance_ms": 5_000 }));
    let by = moved["now_ns"].as_i64().unwrap() - still["now_ns"].as_i64().unwrap();
    assert!((5_000_000_000..5_200_000_000).contains(&by), "{still} {moved}");
    let again = served.clock(&json!({}));
    assert_eq!((&again["now_ns"], &again["state_hash"]), (&moved["now_ns"], &moved["state_hash"]));
    let now = moved["now_ns"].as_i64().unwrap() / 1_000_000;
    for (socket, last) in sockets.iter_mut().zip(&mut last) {
        let newest = book(socket, |row| row["ms_t"].as_i64().unwrap() > now - 1_000);
        assert!(newest["version"].as_i64().unwrap() > *last);
    }
}

/// What Hummingbot's connector for BitMart's contracts asks and sends, in its order, and the fields that it reads: its
/// request bodies have Python's spaces, and it signs `{}` on what it only reads.
#[test]
fn hummingbots_bitmart_perpetual_connector_finds_what_it_reads() {
    let served = Served::start(&["bitmart_perpetual_paper_trade", "--warmup", "1m", "--rate-limits", "off"]);
    let get = |target: &str| served.signed("GET", target, "{}");
    let post = |path: &str, body: &str| {
        let reply = served.signed("POST", &format!("/contract/private/{path}"), body);
        assert_eq!(reply["code"], 1000, "{path} {body}: {reply}");
        reply
    };
    assert!(get("/system/time")["data"]["server_time"].is_i64());
    let details = get("/contract/public/details");
    let btc = &details["data"]["symbols"][0];
    for field in ["symbol", "base_currency", "quote_currency", "contract_size", "min_volume", "vol_precision"]
    {
        assert!(btc[field].is_string(), "{field} in {btc}");
    }
    for field in ["price_precision", "last_price", "index_price"] {
        assert!(btc[field].is_string(), "{field} in {btc}");
    }
    assert_eq!((&btc["product_type"], &btc["symbol"]), (&json!(1), &json!("BTCUSDT")));
    let funding = get("/contract/public/funding-rate?symbol=BTCUSDT");
    assert!(funding["data"]["expected_rate"].is_string() && funding["data"]["funding_time"].is_i64());
    let depth = get("/contract/public/depth?symbol=BTCUSDT");
    assert!(depth["data"]["timestamp"].is_i64() && depth["data"]["bids"][0][1].is_string());
    let mode = post("set-position-mode", r#"{"position_mode": "hedge_mode"}"#);
    assert_eq!(mode["data"]["position_mode"], "hedge_mode");
    let leverage =
        post("submit-leverage", r#"{"symbol": "BTCUSDT", "leverage": "10", "open_type": "cross"}"#);
    assert_eq!(
        (&leverage["data"]["leverage"], &leverage["data"]["symbol"]),
        (&json!("10"), &json!("BTCUSDT"))
    );
    assert_eq!(get("/contract/private/position")["data"], json!([]));
    let assets = get("/contract/private/assets-detail");
    for field in ["currency", "equity", "available_balance"] {
        assert!(assets["data"][0][field].is_string(), "{field} in {assets}");
    }

    // The private socket: the first frame is the answer to the login.
    let mut user = socket(&served, "/bitmart/user?protocol=1.1");
    let time = jiff::Timestamp::now().as_millisecond().to_string();
    let sign = signature(&time, "bitmart.WebSocket");
    say(&mut user, &format!(r#"{{"action": "access", "args": ["paper-key", "{time}", "{sign}", "web"]}}"#));
    let first: Value = serde_json::from_str(user.read().unwrap().to_text().unwrap()).unwrap();
    assert_eq!((&first["action"], &first["success"]), (&json!("access"), &json!(true)));
    say(
        &mut user,
        r#"{"action": "subscribe", "args": ["futures/position", "futures/order", "futures/asset:USDT"]}"#,
    );

    for _ in 0..3 {
        let ack: Value = serde_json::from_str(user.read().unwrap().to_text().unwrap()).unwrap();
        assert_eq!((&ack["action"], &ack["success"]), (&json!("subscribe"), &json!(true)), "{ack}");
    }

    let price = depth["data"]["bids"][49][0].as_str().unwrap();
    let rests = format!(
        r#"{{"symbol": "BTCUSDT", "client_order_id": "hummingbotfoundB1", "type": "limit", "side": 1, "mode": 4, "size": 5, "price": "{price}"}}"#
    );
    let id = post("submit-order", &rests)["data"]["order_id"].as_i64().expect("a number");
    let seen = push(&mut user, "futures/order", |_| true);
    let order = &seen["data"][0]["order"];
    assert_eq!((&seen["data"][0]["action"], &order["state"]), (&json!(2), &json!(2)));
    for field in
        ["order_id", "client_order_id", "price", "size", "symbol", "type", "deal_size", "deal_avg_price"]
    {
        assert!(order[field].is_string(), "{field} in {order}");
    }
    assert!(order["update_time"].is_i64() && order["side"] == 1 && order["last_trade"].is_null());
    let held = push(&mut user, "futures/asset:USDT", |_| true);
    for field in ["currency", "available_balance", "frozen_balance"] {
        assert!(held["data"][field].is_string(), "{field} in {held}");
    }
    let state = get(&format!("/contract/private/order?symbol=BTCUSDT&order_id={id}"));
    assert_eq!((&state["data"]["state"], &state["data"]["deal_size"]), (&json!(2), &json!("0")));
    assert_eq!(state["data"]["order_id"], id.to_string());
    assert!(state["data"]["update_time"].is_i64() && state["data"]["create_time"].is_i64());
    post("cancel-order", r#"{"symbol": "BTCUSDT", "client_order_id": "hummingbotfoundB1"}"#);
    let gone = push(&mut user, "futures/order", |_| true);
    assert_eq!((&gone["data"][0]["action"], &gone["data"][0]["order"]["state"]), (&json!(3), &json!(4)));

    let market = r#"{"symbol": "BTCUSDT", "client_order_id": "hummingbotfoundB2", "type": "market", "side": 1, "mode": null, "size": 5}"#;
    let id = post("submit-order", market)["data"]["order_id"].as_i64().unwrap().to_string();
    let filled = push(&mut user, "futures/order", |seen| seen["data"][0]["action"] == 1);
    let last = &filled["data"][0]["order"]["last_trade"];
    assert!(last["lastTradeID"].is_i64() && last["feeCcy"] == "USDT", "{last}");
    for field in ["fillQty", "fillPrice", "fee"] {
        assert!(last[field].is_string(), "{field} in {last}");
    }
    let position = push(&mut user, "futures/position", |_| true);
    let row = &position["data"][0];
    assert_eq!((&row["hold_volume"], &row["position_type"]), (&json!("5"), &json!(1)), "{row}");
    assert!(row["hold_avg_price"].is_string() && row["symbol"] == "BTCUSDT");
    let trades = get("/contract/private/trades?symbol=BTCUSDT");
    for field in ["order_id", "trade_id", "price", "vol", "exec_type", "paid_fees"] {
        assert!(trades["data"][0][field].is_string(), "{field} in {trades}");
    }
    assert_eq!(trades["data"][0]["order_id"], id);
    let held = get("/contract/private/position");
    for field in ["current_amount", "entry_price", "unrealized_value", "leverage"] {
        assert!(held["data"][0][field].is_string(), "{field} in {held}");
    }
    let paid = get("/contract/private/transaction-history?flow_type=3&symbol=BTCUSDT");
    assert_eq!(paid["data"], json!([]), "funding was not due");
    let close = r#"{"symbol": "BTCUSDT", "client_order_id": "hummingbotfoundS3", "type": "market", "side": 3, "mode": null, "size": 5}"#;
    post("submit-order", close);
    push(&mut user, "futures/position", |seen| seen["data"][0]["hold_volume"] == "0");

    // The texts that it looks for.
    let key = [("X-BM-KEY", "paper-key")];
    let unknown = served.ask("GET", "/contract/private/order?symbol=BTCUSDT&order_id=9", &key, "").2;
    assert!(unknown.contains(r#""code":40035"#) && unknown.contains("The order is not exist"), "{unknown}");
    let cancel = r#"{"symbol": "BTCUSDT", "client_order_id": "nobody"}"#;
    let unknown = served.signed("POST", "/contract/private/cancel-order", cancel);
    assert_eq!((&unknown["code"], &unknown["message"]), (&json!(40037), &json!("The order id is not exist")));

    // The public socket.
    let mut public = socket(&served, "/bitmart/api?protocol=1.1");
    for topic in ["depthIncrease50:BTCUSDT", "trade:BTCUSDT", "fundingRate:BTCUSDT", "ticker"] {
        say(&mut public, &format!(r#"{{"action": "subscribe", "args": ["futures/{topic}"]}}"#));
    }
    let book = push(&mut public, "futures/depthIncrease50:BTCUSDT", |_| true);
    assert_eq!(book["data"]["type"], "snapshot");
    let version = book["data"]["version"].as_i64().unwrap();
    let next = push(&mut public, "futures/depthIncrease50:BTCUSDT", |_| true);
    assert_eq!(
        (&next["data"]["type"], next["data"]["version"].as_i64()),
        (&json!("update"), Some(version + 1))
    );
    let trade = push(&mut public, "futures/trade:BTCUSDT", |_| true);
    assert!(trade["data"][0]["deal_price"].is_string() && trade["data"][0]["way"].is_i64(), "{trade}");
    let ticker = push(&mut public, "futures/ticker", |seen| seen["data"]["symbol"] == "BTCUSDT");
    assert!(ticker["data"]["mark_price"].is_string() && ticker["data"]["index_price"].is_string());
    say(&mut public, r#"{"action": "request", "args": ["futures/fundingRate:BTCUSDT"]}"#);
    let rate = push(&mut public, "futures/fundingRate:BTCUSDT", |_| true);
    assert!(rate["data"]["nextFundingTime"].is_i64() && rate["data"]["nextFundingRate"].is_string());
}

/// What is acknowledged outlives the program: trailing orders that were sent with a client id are there again, shown as
/// what they are, and wake.
#[test]
fn trailing_orders_outlive_the_gateway() {
    let arguments = [
        "bitmart_perpetual_paper_trade",
        "--pair",
        "BTC-USDT",
        "--account",
        "kept",
        "--paused",
        "--rate-limits",
        "off",
    ];
    let served = Served::start_in(Rc::new(tempfile::tempdir().unwrap()), &arguments);
    served.clock(&json!({"advance_ms": 1_000}));
    let send = |served: &Served, path: &str, body: &Value| {
        let reply = served.signed("POST", &format!("/contract/private/{path}"), &body.to_string());
        assert_eq!(reply["code"], 1000, "{path} {body}: {reply}");
    };
    send(&served, "submit-order", &json!({"symbol": "BTCUSDT", "type": "market", "side": 1, "size": 8}));
    // A fall of a thousandth comes soon; 90,000 never does.
    for (name, size, from, rate) in [("near", 5, "1", "0.1"), ("far", 3, "90000", "2.5")] {
        let order = json!({
            "symbol": "BTCUSDT", "client_order_id": name, "side": 3, "size": size, "leverage": "1",
            "open_type": "cross", "activation_price": from, "activation_price_type": 1, "callback_rate": rate,
        });
        send(&served, "submit-trail-order", &order);
    }
    let trailing = |served: &Served| {
        let open =
            served.signed("GET", "/contract/private/get-open-orders?symbol=BTCUSDT&type=trailing", "{}");
        let mut rows: Vec<Value> = open["data"].as_array().unwrap_or_else(|| panic!("{open}")).clone();
        rows.sort_by_key(|row| row["client_order_id"].to_string());
        let shown = |row: &Value| {
            let columns = [
                "client_order_id",
                "type",
                "side",
                "size",
                "activation_price",
                "activation_price_type",
                "callback_rate",
            ];
            columns.map(|column| row[column].clone())
        };
        rows.iter().map(shown).collect::<Vec<_>>()
    };
    let before = trailing(&served);
    let far = [json!("far"), json!("trailing"), json!(3), json!("3"), json!("90000"), json!(1), json!("2.5")];
    assert_eq!((before.len(), &before[0]), (2, &far));
    assert_eq!(before[1][0], "near");

    let served = served.killed_and_started_again(&arguments);
    served.clock(&json!({"advance_ms": 1_000}));
    assert_eq!(trailing(&served), before);
    let held = |served: &Served| {
        let position = served.signed("GET", "/contract/private/position?symbol=BTCUSDT", "{}");
        position["data"][0]["current_amount"].clone()
    };
    assert_eq!(held(&served), "8");
    served.clock(&json!({"advance_ms": 3_600_000}));
    assert_eq!(trailing(&served), [far]);
    assert_eq!(held(&served), "3");

    // What woke is over for good.
    let served = served.killed_and_started_again(&arguments);
    served.clock(&json!({"advance_ms": 1_000}));
    assert_eq!((trailing(&served).len(), held(&served)), (1, json!("3")));
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
    // Sockets: what is no frame of the exchange, JSON without an end, what is too long, and ends without a goodbye.
    for frame in [
        "{".repeat(50_000),
        format!(r#"{{"action":"subscribe","args":[{}]}}"#, "[".repeat(60_000) + &"]".repeat(60_000)),
        format!(r#"{{"action":"subscribe","args":["{}"]}}"#, "x".repeat(70_000)),
        r#"{"op":"subscribe","args":{"a":1}}"#.to_owned(),
        r#"{"action":7,"args":7}"#.to_owned(),
        "\u{0}".to_owned(),
    ] {
        let mut socket = socket(&served, "/bitmart/api?protocol=1.1");
        say(&mut socket, &frame);
        let _ = socket.read();
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
