//! BitMEX over the gateway, from outside: what two known clients send, word for word, and the fields that they read; a
//! shell and a bot on one account; and requests that make no sense. How each answer looks is in the venue's own
//! transcripts.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Message, WebSocket, client};

/// A program that serves; it ends with the test.
struct Served {
    child: Child,
    table: Value,
    commands: Option<ChildStdin>,
    out: BufReader<ChildStdout>,
    _data: tempfile::TempDir,
}

impl Served {
    /// `skip` lines come before the table.
    fn start(arguments: &[&str], skip: usize) -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_papertape"))
            .args(arguments)
            .args(["--demo", "--json", "--data-dir"])
            .arg(data.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        for _ in 0..=skip {
            line.clear();
            out.read_line(&mut line).unwrap();
        }
        let table = serde_json::from_str(&line).expect("the table of mounts");
        let commands = child.stdin.take();
        Self { child, table, commands, out, _data: data }
    }

    /// Spot and contracts on one account.
    fn both() -> Self {
        let names = ["bitmex_paper_trade", "bitmex_perpetual_paper_trade"];
        let options = ["--warmup", "1m", "--rate-limits", "off", "--listen", "127.0.0.1:0"];
        Self::start(&[&["serve"][..], &names, &options].concat(), 0)
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.table["listen"].as_str().unwrap()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream
    }

    fn ask(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
        let mut text = format!("{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        text += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
        let mut stream = self.connect();
        // A server that has heard enough may close while we still write.
        let _ = stream.write_all(text.as_bytes());
        let mut reply = Vec::new();
        let _ = stream.read_to_end(&mut reply);
        let reply = String::from_utf8_lossy(&reply).into_owned();
        let (head, body) = reply.split_once("\r\n\r\n").unwrap_or((reply.as_str(), ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        (status, body.to_owned())
    }

    /// A signed request, so many seconds before it expires.
    fn signed(&self, method: &str, target: &str, (kind, ahead): (&str, i64), body: &str) -> (u16, Value) {
        let expires = (jiff::Timestamp::now().as_second() + ahead).to_string();
        let sign = signature(&format!("{method}{target}{expires}{body}"));
        let headers = [
            ("api-expires", expires.as_str()),
            ("api-key", "paper-key"),
            ("api-signature", sign.as_str()),
            ("Content-Type", kind),
        ];
        let (status, reply) = self.ask(method, &format!("/bitmex{target}"), &headers, body);
        let reply = serde_json::from_str(&reply).unwrap_or_else(|error| panic!("{target}: {error}: {reply}"));
        (status, reply)
    }

    fn get(&self, target: &str) -> Value {
        let (status, body) = self.ask("GET", &format!("/bitmex{target}"), &[], "");
        assert_eq!(status, 200, "{target}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    fn socket(&self) -> WebSocket<TcpStream> {
        let address = format!("{}/realtime", self.table["mounts"][0]["websocket"].as_str().unwrap());
        client(address, self.connect()).unwrap().0
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn signature(text: &str) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(b"paper-secret").unwrap();
    mac.update(text.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

fn has(row: &Value, fields: &[&str]) {
    for field in fields {
        assert!(row.get(*field).is_some_and(|value| !value.is_null()), "{field} in {row}");
    }
}

/// Reads frames until one is of this table and action.
fn hear(socket: &mut WebSocket<TcpStream>, table: &str, actions: &[&str]) -> Value {
    for _ in 0..2_000 {
        let Message::Text(text) = socket.read().unwrap() else { continue };
        let frame: Value = serde_json::from_str(&text).unwrap_or_default();
        let fits = actions.iter().any(|action| frame["action"] == *action);
        if frame["table"] == table && fits && frame["data"].as_array().is_some_and(|rows| !rows.is_empty()) {
            return frame["data"][0].clone();
        }
    }
    panic!("no {actions:?} of {table}");
}

/// As Hummingbot writes requests: all parameters in the query, an empty body, 25 seconds ahead.
const HUMMINGBOT: (&str, i64) = ("application/json", 25);

#[test]
fn hummingbots_bitmex_connectors_find_what_they_read() {
    let served = Served::both();
    assert!(served.get("/api/v1")["timestamp"].is_i64(), "the health check");
    let page = served.get("/api/v1/instrument?count=500&start=0");
    let all = page.as_array().unwrap();
    assert_eq!(served.get("/api/v1/instrument?count=500&start=500"), json!([]));
    let place = |symbol: &str| all.iter().position(|row| row["symbol"] == symbol).unwrap();
    let perpetual = &all[place("XBTUSD")];
    has(perpetual, &["typ", "rootSymbol", "quoteCurrency", "positionCurrency", "settlCurrency", "lotSize"]);
    has(perpetual, &["tickSize", "maxOrderQty", "lastPrice", "fairPrice", "fundingRate"]);
    let due = perpetual["fundingTimestamp"].as_str().unwrap();
    assert!(due.ends_with(".000Z"), "{due} is read without parts of a second");
    has(&all[place("XBT_USDT")], &["underlyingToPositionMultiplier", "quoteToSettleMultiplier", "lastPrice"]);
    let assets = served.get("/api/v1/wallet/assets");
    has(&assets[0], &["asset", "currency", "scale"]);
    // It reckons the prices of levels from their ids and from places in the list.
    let book = served.get("/api/v1/orderBook/L2?symbol=XBTUSD&limit=1000");
    let tick = perpetual["tickSize"].as_f64().unwrap();
    for row in book.as_array().unwrap() {
        has(row, &["symbol", "id", "side", "size", "price"]);
        let price = (1e8 * place("XBTUSD") as f64 - row["id"].as_f64().unwrap()) * tick;
        assert!((price - row["price"].as_f64().unwrap()).abs() < tick / 2.0, "{row}");
    }
    let best = book.as_array().unwrap().iter().find(|row| row["side"] == "Buy").unwrap();
    let low = (best["price"].as_f64().unwrap() * 0.99 / tick).round() * tick;
    // The private socket: it subscribes at once behind the key.
    let mut socket = served.socket();
    let expires = jiff::Timestamp::now().as_second() + 25;
    let sign = signature(&format!("GET/realtime{expires}"));
    for frame in [
        json!({ "op": "authKeyExpires", "args": ["paper-key", expires, sign] }),
        json!({ "op": "subscribe", "args": ["position", "order", "margin", "wallet"] }),
        json!({ "op": "subscribe", "args": ["trade:XBTUSD", "orderBookL2:XBTUSD", "funding:XBTUSD"] }),
        json!({ "op": "subscribe", "args": ["execution"] }),
    ] {
        socket.send(Message::text(frame.to_string())).unwrap();
    }
    let wallet = hear(&mut socket, "wallet", &["partial"]);
    has(&wallet, &["currency", "amount", "pendingCredit", "pendingDebit"]);
    let order = format!(
        "/api/v1/order?symbol=XBTUSD&side=Buy&orderQty=100.0&clOrdID=HBOT-1&ordType=Limit&price={low:.1}"
    );
    let (status, placed) = served.signed("POST", &order, HUMMINGBOT, "");
    assert_eq!((status, &placed["ordStatus"]), (200, &json!("New")), "{placed}");
    let told = hear(&mut socket, "order", &["insert"]);
    has(&told, &["orderID", "clOrdID", "ordStatus", "leavesQty", "price"]);
    let (_, open) = served.signed("GET", "/api/v1/order?symbol=XBTUSD", HUMMINGBOT, "");
    has(&open[0], &["clOrdID", "orderID", "ordStatus", "cumQty", "leavesQty", "timestamp"]);
    let (_, cancelled) = served.signed("DELETE", "/api/v1/order?clOrdID=HBOT-1", HUMMINGBOT, "");
    assert_eq!(cancelled[0]["ordStatus"], "Canceled");
    let told = hear(&mut socket, "order", &["update"]);
    has(&told, &["orderID", "clOrdID", "ordStatus", "leavesQty", "price"]);
    let (status, unknown) = served.signed("DELETE", "/api/v1/order?clOrdID=HBOT-9", HUMMINGBOT, "");
    assert_eq!((status, &unknown["error"]["message"]), (404, &json!("Not Found")));
    let market = "/api/v1/order?symbol=XBTUSD&side=Buy&orderQty=200.0&clOrdID=HBOT-2&ordType=Market";
    let (_, filled) = served.signed("POST", market, HUMMINGBOT, "");
    assert_eq!(filled["ordStatus"], "Filled", "{filled}");
    let told = hear(&mut socket, "execution", &["insert"]);
    has(&told, &["execID", "orderID", "clOrdID", "execType", "symbol"]);
    let told = hear(&mut socket, "position", &["insert", "update"]);
    has(&told, &["symbol", "currentQty"]);
    let (_, positions) = served.signed("GET", "/api/v1/position", HUMMINGBOT, "");
    has(&positions[0], &["symbol", "execBuyQty", "currentQty", "unrealisedPnl", "avgEntryPrice", "leverage"]);
    assert_eq!(positions[0]["execBuyQty"], 200);
    let (_, wallets) = served.signed("GET", "/api/v1/user/wallet?currency=all", HUMMINGBOT, "");
    for row in wallets.as_array().unwrap() {
        has(row, &["currency", "amount", "pendingCredit", "pendingDebit"]);
        // Only what the assets name can be scaled.
        let known = assets.as_array().unwrap().iter().any(|asset| asset["currency"] == row["currency"]);
        assert!(known, "{row}");
    }
    // Spot, on the same account.
    let spot = "/api/v1/order?symbol=XBT_USDT&side=Sell&orderQty=1000000.0&clOrdID=HBOT-3&ordType=Market&text=Hummingbot";
    let (_, filled) = served.signed("POST", spot, HUMMINGBOT, "");
    assert_eq!(filled["ordStatus"], "Filled", "{filled}");
}

/// As NautilusTrader's adapter writes requests: forms, ten seconds ahead.
const NAUTILUS: (&str, i64) = ("application/x-www-form-urlencoded", 10);

#[test]
fn nautilus_traders_adapter_finds_what_it_reads() {
    let served = Served::both();
    let mut socket = served.socket();
    let Message::Text(welcome) = socket.read().unwrap() else { panic!("no welcome") };
    has(
        &serde_json::from_str(&welcome).unwrap(),
        &["info", "version", "timestamp", "docs", "heartbeatEnabled"],
    );
    let subscribe = json!({ "op": "subscribe", "args": ["orderBookL2:XBTUSD", "instrument:XBTUSD"] });
    socket.send(Message::text(subscribe.to_string())).unwrap();
    for action in ["partial", "update", "insert", "delete"] {
        let row = hear(&mut socket, "orderBookL2", &[action]);
        has(&row, &["symbol", "id", "side", "price", "timestamp", "transactTime"]);
    }
    let full =
        ["side", "orderQty", "currency", "settlCurrency", "ordStatus", "workingIndicator", "leavesQty"];
    let place = "symbol=XBTUSD&side=Buy&orderQty=100&price=30000&ordType=Limit&timeInForce=GoodTillCancel&clOrdID=O-1&execInst=ParticipateDoNotInitiate";
    let (status, order) = served.signed("POST", "/api/v1/order", NAUTILUS, place);
    assert_eq!(status, 200, "{order}");
    has(&order, &full);
    has(&order, &["cumQty", "transactTime", "timestamp"]);
    let id = order["orderID"].as_str().unwrap();
    let (_, amended) = served.signed("PUT", "/api/v1/order", NAUTILUS, &format!("orderID={id}&orderQty=200"));
    assert_eq!(amended["orderQty"], 200, "{amended}");
    // A list as JSON text in a form.
    let list = format!("orderID=%5B%22{id}%22%5D");
    let (_, cancelled) = served.signed("DELETE", "/api/v1/order", NAUTILUS, &list);
    assert_eq!(cancelled[0]["ordStatus"], "Canceled", "{cancelled}");
    let stop = "symbol=XBTUSD&side=Sell&orderQty=100&stopPx=20000&ordType=Stop&execInst=LastPrice%2CReduceOnly&clOrdID=O-2";
    let (_, waiting) = served.signed("POST", "/api/v1/order", NAUTILUS, stop);
    assert_eq!((&waiting["ordStatus"], &waiting["workingIndicator"]), (&json!("New"), &json!(false)));
    let (_, all) = served.signed("DELETE", "/api/v1/order/all", NAUTILUS, "symbol=XBTUSD");
    assert_eq!(all[0]["clOrdID"], "O-2", "{all}");
    let (_, margin) = served.signed("GET", "/api/v1/user/margin?currency=all", NAUTILUS, "");
    has(&margin[0], &["account", "currency", "walletBalance", "marginBalance", "availableMargin"]);
    let bulk = "orders=%5B%7B%22symbol%22%3A%22XBTUSD%22%2C%22orderQty%22%3A100%2C%22price%22%3A30000%7D%5D";
    let (_, placed) = served.signed("POST", "/api/v1/order/bulk", NAUTILUS, bulk);
    assert_eq!(placed[0]["ordStatus"], "New", "{placed}");
}

#[test]
fn a_shell_shows_what_a_bot_sends() {
    let options = ["connect", "bitmex_perpetual_paper_trade", "--serve", "127.0.0.1:0"];
    let mut served = Served::start(&options, 1);
    let order = "symbol=XBTUSD&side=Buy&orderQty=300&price=30000&clOrdID=bot-1";
    let (status, placed) = served.signed("POST", "/api/v1/order", NAUTILUS, order);
    assert_eq!((status, &placed["ordStatus"]), (200, &json!("New")), "{placed}");
    let mut commands = served.commands.take().unwrap();
    commands.write_all(b"orders\n").unwrap();
    drop(commands);
    let mut shown = String::new();
    served.out.read_line(&mut shown).unwrap();
    assert!(shown.contains("30000") && shown.contains("300"), "{shown}");
    // It ends with the shell.
    assert!(served.child.wait().unwrap().success());
    assert!(TcpStream::connect(served.table["listen"].as_str().unwrap()).is_err());
}

/// Values that no field of these requests has.
const ODD: [&str; 9] =
    ["null", "true", "-1", "1e400", "\"\\u0000\"", "[]", "[[1]]", "{\"a\":{}}", "99999999999999999999"];

#[test]
fn no_field_of_any_type_stops_it() {
    let served = Served::both();
    let json_kind = ("application/json", 5);
    let requests = [
        ("POST", "/api/v1/order", r#""symbol":"XBTUSD","orderQty":100,"price":30000"#),
        ("PUT", "/api/v1/order", r#""orderID":"00000000-0000-4000-8000-000000000001""#),
        ("DELETE", "/api/v1/order", r#""clOrdID":"x""#),
        ("DELETE", "/api/v1/order/all", r#""symbol":"XBTUSD""#),
        ("POST", "/api/v1/order/bulk", r#""orders":[]"#),
        ("PUT", "/api/v1/order/bulk", r#""orders":[{}]"#),
        ("POST", "/api/v1/order/closePosition", r#""symbol":"XBTUSD""#),
        ("POST", "/api/v1/order/cancelAllAfter", r#""timeout":0"#),
        ("POST", "/api/v1/position/leverage", r#""symbol":"XBTUSD","leverage":5"#),
        ("POST", "/api/v1/position/isolate", r#""symbol":"XBTUSD""#),
        ("POST", "/api/v1/position/riskLimit", r#""symbol":"XBTUSD""#),
        ("POST", "/api/v1/position/transferMargin", r#""symbol":"XBTUSD""#),
    ];
    let fields = [
        "symbol",
        "side",
        "orderQty",
        "price",
        "stopPx",
        "ordType",
        "timeInForce",
        "execInst",
        "clOrdID",
        "orderID",
        "origClOrdID",
        "leavesQty",
        "orders",
        "leverage",
        "amount",
        "riskLimit",
        "enabled",
        "filter",
        "timeout",
        "displayQty",
        "pegOffsetValue",
    ];
    for (method, path, usual) in requests {
        for field in fields {
            for odd in ODD {
                // The last of a name wins.
                let body = format!("{{{usual},\"{field}\":{odd}}}");
                let (status, reply) = served.signed(method, path, json_kind, &body);
                let told = reply["error"]["message"].is_string();
                assert!(
                    status == 200 || (400..500).contains(&status) && told,
                    "{method} {path} {body}: {status} {reply}"
                );
            }
        }
    }
    for target in [
        "/api/v1/trade?count=-1",
        "/api/v1/trade?startTime=x",
        "/api/v1/instrument?filter=%7B",
        "/api/v1/orderBook/L2?symbol=XBTUSD&depth=-1",
        "/api/v1/trade/bucketed?binSize=%00",
        "/api/v1/funding?start=99999999999999999999999",
        "/api/v1/execution?columns=%5B1%5D",
    ] {
        let (status, reply) = served.signed("GET", target, json_kind, "");
        assert!(status == 200 || (400..500).contains(&status), "{target}: {status} {reply}");
    }
    for target in [
        "/bitmex/../bitmex/api/v1",
        "//bitmex/api/v1",
        "/bitmex/%2e%2e/api/v1",
        "/bitmex/api/v1/order/../user",
    ] {
        assert_eq!(served.ask("GET", target, &[], "").0, 404, "{target}");
    }
    let (status, _) = served.ask("POST", "/bitmex/api/v1/order", &[], &"x".repeat(3 << 20));
    assert_eq!(status, 413);
    let mut socket = served.socket();
    for op in ["subscribe", "unsubscribe", "authKeyExpires", "cancelAllAfter", "dance"] {
        for odd in ODD {
            socket.send(Message::text(format!(r#"{{"op":"{op}","args":[{odd},{odd}]}}"#))).unwrap();
            socket.send(Message::text(format!(r#"{{"op":{odd},"args":{odd}}}"#))).unwrap();
        }
    }
    socket.send(Message::text("ping")).unwrap();
    let mut told = 0;
    while socket.read().unwrap() != Message::text("pong") {
        told += 1;
    }
    assert!(told > 5 * ODD.len(), "each frame has an answer, {told}");
    assert_eq!(served.ask("GET", "/bitmex/api/v1", &[], "").0, 200, "it goes on");
}
