//! papertape's own live client on papertape's own gateway: the books of the tape come through.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use papertape::feed::live::{Clock, Internet, LiveFeed};
use papertape::market::{Instrument, Price, Qty, Source};
use papertape::venue::venue;
use serde_json::Value;

use crate::captures::from_file;
use crate::exchange::Levels;
use crate::options;
use crate::watcher::Watcher;

/// A program that serves a market; it ends with the test.
struct Gateway {
    child: Child,
    address: String,
    /// Kept open: the program writes there.
    _out: BufReader<std::process::ChildStdout>,
}

impl Gateway {
    /// Stands still.
    fn of_tape(connector: &str, tape: &Path, data: &Path) -> Self {
        let tape = tape.to_str().unwrap();
        Self::start(&[connector, "--paused", "--keep-time", "--tape", tape], data)
    }

    fn start(arguments: &[&str], data: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_papertape"))
            .arg("serve")
            .args(arguments)
            .args(["--listen", "127.0.0.1:0", "--json", "--admin-token", "T"])
            .arg("--data-dir")
            .arg(data)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let table: Value = serde_json::from_str(&line).unwrap();
        Self { child, address: table["listen"].as_str().unwrap().to_owned(), _out: out }
    }

    /// Lets so much market time pass, to the last byte on each socket.
    fn advance(&self, millis: u64) {
        let body = format!(r#"{{"advance_ms":{millis}}}"#);
        let (status, reply) = self.ask("POST", "/papertape/clock", &body);
        assert_eq!(status, 200, "{reply}");
    }

    /// A request to its answer.
    fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let (address, length) = (&self.address, body.len());
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer T\r\nConnection: close\r\n\
             Content-Type: application/json\r\nX-BM-KEY: k\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {reply}")))
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The best levels of both sides: what every channel shows.
fn best(book: &Levels, depth: usize) -> Vec<((u8, Price), Qty)> {
    let side = |wanted: u8| book.iter().filter(move |((side, _), _)| *side == wanted);
    let level = |(key, qty): (&(u8, Price), &Qty)| (*key, *qty);
    side(0).rev().take(depth).map(level).chain(side(1).take(depth).map(level)).collect()
}

/// A tape of ten seconds.
fn made(folder: &Path, connector: &str) -> PathBuf {
    let tape = folder.join(format!("{connector}.jsonl"));
    let made = Command::new(env!("CARGO_BIN_EXE_papertape"))
        .args(["synth", "--connector", connector, "--duration", "10s", "--seed", "3", "--out"])
        .arg(&tape)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    tape
}

/// The market of a connector on a tape, served, and read by the live client of its exchange.
fn check(exchange: &str, connector: &str, depth: usize) {
    let folder = tempfile::tempdir().unwrap();
    let tape = made(folder.path(), connector);
    let (want, prints) = from_file(&tape, 0);
    let instruments: Vec<Instrument> = want.iter().map(|(instrument, _)| instrument.clone()).collect();
    let gateway = Gateway::of_tape(connector, &tape, folder.path());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let options = options(venue(exchange).unwrap(), &instruments, &format!("ws://{}", gateway.address));
        let warnings = options.warnings.clone();
        let (feed, mut source, handle) = LiveFeed::new(options, Clock::system());
        let feed = tokio::spawn(async move { feed.run(&Internet).await });
        let mut watcher = Watcher::default();
        let nap = || tokio::time::sleep(Duration::from_millis(20));
        for _ in 0..500 {
            watcher.drain(&mut source);
            if handle.is_ready() {
                break;
            }
            nap().await;
        }
        assert!(handle.is_ready(), "{connector}: {:?}", handle.health());
        for _ in 0..11 {
            gateway.advance(1_000);
        }
        let same = |watcher: &Watcher| {
            let books = want.iter().zip(&watcher.books);
            watcher.books.len() == want.len()
                && watcher.prints >= prints
                && books.into_iter().all(|((_, want), book)| best(want, depth) == best(book, depth))
        };
        for _ in 0..500 {
            watcher.drain(&mut source);
            if same(&watcher) {
                break;
            }
            nap().await;
        }
        for ((instrument, want), book) in want.iter().zip(&watcher.books) {
            assert!(want.len() > 20, "{connector}: a market worth looking at");
            assert_eq!(best(book, depth), best(want, depth), "{connector}: {}", instrument.symbol);
        }
        assert_eq!(watcher.prints, prints, "{connector}");
        let stats = source.stats();
        let faults = (stats.gaps, stats.checksum_failures, stats.errors, stats.crossed);
        assert_eq!(faults, (0, 0, 0, 0), "{connector}");
        assert_eq!(warnings.count(), 0, "{connector}: {:?}", warnings.first());
        drop(handle);
        feed.await.unwrap();
    });
}

#[test]
fn bitmart_spot() {
    check("bitmart", "bitmart_paper_trade", 50);
}

#[test]
fn bitmart_contracts() {
    check("bitmart", "bitmart_perpetual_paper_trade", 50);
}

#[test]
fn bitmex() {
    check("bitmex", "bitmex_perpetual_paper_trade", 50);
}

/// What the program says to commands on a live market.
fn connect(gateway: &Gateway, data: &Path, pair: &str, commands: &str) -> String {
    let url = format!("ws://{}", gateway.address);
    let output = Command::new(env!("CARGO_BIN_EXE_papertape"))
        .args(["connect", "bitmart_paper_trade", "--ws-url", &url, "--pair", pair, "-c", commands])
        .args(["--balance", "USDT=100000"])
        .arg("--data-dir")
        .arg(data)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    said
}

#[test]
fn contracts_stand_beside_a_live_spot_market() {
    let folder = tempfile::tempdir().unwrap();
    let both = ["bitmart_paper_trade", "bitmart_perpetual_paper_trade", "--demo", "--loop"];
    let gateway = Gateway::start(&both, folder.path());
    let commands = "leverage bitmart_perpetual:BTC-USDT 5; buy 10 bitmart_perpetual:BTC-USDT market; \
                    bitmart_perpetual: positions; step 500ms; buy 0.01 BTC-USDT market; bitmart_perpetual: status";
    let said = connect(&gateway, &folder.path().join("ours"), "BTC-USDT", commands);
    for want in ["beside   bitmart_perpetual:BTC-USDT", "ready     yes", "long"] {
        assert!(said.contains(want), "{want}: {said}");
    }
    for want in ["filled 10 contracts", "filled 0.01 BTC"] {
        assert!(said.contains(want), "{want}: {said}");
    }
}

#[test]
fn a_live_spot_market_opens_without_its_contracts() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(&["bitmart_paper_trade", "--demo", "--loop"], folder.path());
    let said = connect(&gateway, &folder.path().join("ours"), "BTC-USDT", "buy 0.01 BTC-USDT market; status");
    for want in ["nothing beside: bitmart_perpetual_paper_trade", "filled 0.01", "ready     yes"] {
        assert!(said.contains(want), "{want}: {said}");
    }
}

/// A live market is served: what one gateway tells its clients, another one trades on.
#[test]
fn a_live_market_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["bitmart_paper_trade", "bitmart_perpetual_paper_trade"];
    let tapes = names.map(|name| format!("{name}={}", made(folder.path(), name).display()));
    let played = ["--tape", &tapes[0], "--tape", &tapes[1], "--paused", "--no-auth", "--rate-limits", "off"];
    let far = Gateway::start(&[&names[..], &played[..]].concat(), folder.path());
    let url = format!("ws://{}", far.address);
    let live = ["--ws-url", &url, "--pair", "BTC-USDT", "--no-auth", "--rate-limits", "off"];
    let near = Gateway::start(&[&names[..], &live[..]].concat(), folder.path());
    let books =
        ["/spot/quotation/v3/books?symbol=BTC_USDT&limit=20", "/contract/public/depth?symbol=BTCUSDT"];
    let book = |gateway: &Gateway, path: &str| {
        let (status, reply) = gateway.ask("GET", path, "");
        assert_eq!(status, 200, "{reply}");
        let sides = ["bids", "asks"].map(|side| reply["data"][side].as_array().cloned().unwrap_or_default());
        sides.map(|side| side.into_iter().take(20).collect::<Vec<Value>>())
    };
    let same = |path: &str| {
        let mut both = [Vec::new(), Vec::new()];
        for _ in 0..500 {
            both = [&far, &near].map(|gateway| book(gateway, path).concat());
            if both[0] == both[1] && !both[0].is_empty() {
                return both[0].clone();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("{path}: {both:?}");
    };
    let before = books.map(same);
    // To the end and beyond: what is gathered before it is sent has been sent then.
    far.advance(12_000);
    let after = books.map(same);
    assert!(before[0] != after[0] && before[1] != after[1], "the market moved");
    // Its own orders trade with it, and the far market knows nothing of them.
    let order = r#"{"symbol":"BTC_USDT","side":"buy","type":"market","notional":"1000"}"#;
    let (status, reply) = near.ask("POST", "/spot/v2/submit_order", order);
    assert_eq!((status, &reply["code"]), (200, &Value::from(1000)), "{reply}");
    let (_, fills) = near.ask("POST", "/spot/v4/query/trades", r#"{"symbol":"BTC_USDT"}"#);
    assert!(!fills["data"].as_array().unwrap().is_empty(), "{fills}");
    let (_, fills) = far.ask("POST", "/spot/v4/query/trades", r#"{"symbol":"BTC_USDT"}"#);
    assert!(fills["data"].as_array().unwrap().is_empty(), "{fills}");
    assert_eq!(book(&far, books[0]).concat(), after[0]);
    // It has no clock but that of its exchange.
    let (status, reply) = near.ask("POST", "/papertape/clock", r#"{"advance_ms":1000}"#);
    assert_eq!(status, 400, "{reply}");
    assert!(reply.to_string().contains("a live market moves by itself"), "{reply}");
}

/// Accounts that are named are kept: killed, the gateway comes back with what it has acknowledged.
#[test]
fn an_account_survives_a_gateway_that_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let market = ["bitmart_paper_trade", "bitmart_perpetual_paper_trade", "--demo", "--paused", "--no-auth"];
    let account = ["--rate-limits", "off", "--account", "alice"];
    let serve = |more: &[&str]| Gateway::start(&[&market[..], &account[..], more].concat(), folder.path());
    let state = |gateway: &Gateway| {
        let (_, wallet) = gateway.ask("GET", "/spot/v1/wallet", "");
        let (_, position) = gateway.ask("GET", "/contract/private/position-v2", "");
        let (_, open) = gateway.ask("POST", "/spot/v4/query/open-orders", "{}");
        let [position, open] = [position, open].map(|reply| reply["data"].as_array().unwrap().clone());
        let held = position.iter().map(|row| row["current_amount"].clone()).collect::<Vec<Value>>();
        let open = open.iter().map(|row| (row["clientOrderId"].clone(), row["price"].clone()));
        (wallet["data"].clone(), held, open.collect::<Vec<_>>())
    };
    let gateway = serve(&["--balance", "USDT=10000"]);
    for (path, order) in [
        ("/spot/v2/submit_order", r#"{"symbol":"BTC_USDT","side":"buy","type":"market","notional":"1000"}"#),
        (
            "/spot/v2/submit_order",
            r#"{"symbol":"BTC_USDT","side":"buy","type":"limit","size":"0.01","price":"50000","client_order_id":"c1"}"#,
        ),
        (
            "/contract/private/submit-order",
            r#"{"symbol":"BTCUSDT","side":1,"type":"market","size":5,"leverage":"10","open_type":"cross"}"#,
        ),
    ] {
        let (status, reply) = gateway.ask("POST", path, order);
        assert_eq!((status, &reply["code"]), (200, &Value::from(1000)), "{reply}");
    }
    let before = state(&gateway);
    assert_eq!((before.1.len(), before.2.len()), (1, 1), "{before:?}");
    assert_eq!(before.2[0].0, "c1");
    drop(gateway);
    let gateway = serve(&[]);
    assert_eq!(state(&gateway), before);
    drop(gateway);
    let wrong = Command::new(env!("CARGO_BIN_EXE_papertape"))
        .arg("serve")
        .args([&market[..], &account[..], &["--balance", "USDT=1", "--listen", "127.0.0.1:0"]].concat())
        .arg("--data-dir")
        .arg(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(wrong.status.code() == Some(2) && said.contains("is there already"), "{said}");
    let (_, held, open) = state(&serve(&["--fresh"]));
    assert!(held.is_empty() && open.is_empty(), "{held:?} {open:?}");
}
