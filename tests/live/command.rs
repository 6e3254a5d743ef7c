//! The command line over a loopback exchange.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use papertape::market::Instrument;
use papertape::venue::{hitbtc::Hitbtc, venue};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::captures::{frames_of, from_file, play, shared};
use crate::exchange::{Exchange, Truth, Weather};
use crate::instruments;

/// An exchange on a port, on a thread of its own, until it is dropped.
struct Loopback {
    url: String,
    over: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Loopback {
    /// HitBTC with a market that moves so many times, then stands still.
    fn hitbtc(moves: u32) -> (Self, Arc<Exchange>) {
        let instruments: Vec<Instrument> = instruments(&Hitbtc, "spot");
        let truth = Truth::new(instruments, 1);
        let exchange = Exchange::new(&Hitbtc, truth, Weather::fine(), Duration::from_millis(2));
        let served = Arc::clone(&exchange);
        let serve = move |stream| {
            tokio::spawn(Arc::clone(&served).serve(stream));
        };
        let moved = Arc::clone(&exchange);
        let mut left = moves;
        let tick = move || {
            if left > 0 && *moved.visits.lock().unwrap() > 0 {
                left -= 1;
                moved.truth.lock().unwrap().step();
            }
        };
        (Self::start(serve, tick), exchange)
    }

    /// An exchange that plays a capture to whoever comes.
    fn of_capture(frames: Vec<String>) -> Self {
        let serve = move |stream| {
            tokio::spawn(play(stream, frames.clone()));
        };
        Self::start(serve, || {})
    }

    fn start(
        serve: impl Fn(tokio::net::TcpStream) + Send + 'static,
        mut tick: impl FnMut() + Send + 'static,
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let over = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&over);
        let run = async move {
            while !flag.load(Ordering::Relaxed) {
                tokio::select! {
                    came = listener.accept() => serve(came.unwrap().0),
                    () = tokio::time::sleep(Duration::from_millis(5)) => tick(),
                }
            }
        };
        let thread = Some(std::thread::spawn(move || runtime.block_on(run)));
        Self { url, over, thread }
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = self.thread.take().unwrap().join();
    }
}

/// The program, with a data folder of the test's own.
fn papertape(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_papertape"));
    command.args(arguments).arg("--data-dir").arg(folder.join("data"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    papertape(folder, arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn fine(output: &Output) -> String {
    assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

fn inspect(folder: &Path, file: &Path) -> Value {
    let output = run(folder, &["inspect", "--json", file.to_str().unwrap()]);
    serde_json::from_str(&fine(&output)).unwrap()
}

fn named(folder: &tempfile::TempDir, name: &str) -> (PathBuf, String) {
    let file = folder.path().join(name);
    let text = file.to_str().unwrap().to_owned();
    (file, text)
}

#[test]
fn a_recording_holds_the_books_of_the_exchange() {
    let folder = tempfile::tempdir().unwrap();
    let (exchange, truth) = Loopback::hitbtc(60);
    let (file, name) = named(&folder, "tape.jsonl.zst");
    let pairs: Vec<String> =
        instruments(&Hitbtc, "spot").iter().map(|instrument| instrument.pair.to_string()).collect();
    let arguments = [
        "record",
        "hitbtc_paper_trade",
        "--pair",
        &pairs[0],
        "--pair",
        &pairs[1],
        "--ws-url",
        &exchange.url,
        "--out",
        &name,
        "--for",
        "3s",
    ];
    let said = fine(&run(folder.path(), &arguments));
    assert!(said.contains("recorded ") && said.contains("lost 0 times"), "{said}");
    let (books, _) = from_file(&file, 0);
    let truth = truth.truth.lock().unwrap();
    assert_eq!(books.len(), 2);
    assert_eq!(truth.changes.len(), 60);
    for (at, (_, book)) in books.iter().enumerate() {
        assert_eq!(book, &truth.books[at]);
    }
    let seen = inspect(folder.path(), &file);
    assert_eq!((&seen["venue"], &seen["gaps"], &seen["errors"]), (&"hitbtc".into(), &0.into(), &0.into()));
    // What is there is not replaced.
    let again = run(folder.path(), &arguments);
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("is there already"));
}

#[test]
fn each_file_of_a_recording_stands_for_itself() {
    let folder = tempfile::tempdir().unwrap();
    let (exchange, truth) = Loopback::hitbtc(200);
    let (file, name) = named(&folder, "tape.jsonl");
    let arguments = ["record", "hitbtc_paper_trade", "--pair", "BTC-USDT", "--ws-url", &exchange.url];
    let said = fine(&run(
        folder.path(),
        &[&arguments[..], &["--rotate", "6KB", "--for", "5s", "--out", &name]].concat(),
    ));
    let files: Vec<PathBuf> = (1..)
        .map(|number| match number {
            1 => file.clone(),
            _ => folder.path().join(format!("tape.{number}.jsonl")),
        })
        .take_while(|file| file.exists())
        .collect();
    assert!(files.len() > 2 && said.contains("lost 0 times"), "{} files: {said}", files.len());
    let mut numbers = std::collections::BTreeSet::new();
    for file in &files {
        assert!(std::fs::metadata(file).unwrap().len() < 20_000, "{}", file.display());
        let (books, _) = from_file(file, 0);
        assert!(books.len() == 1 && !books[0].1.is_empty(), "{}: no book of its own", file.display());
        assert_eq!(inspect(folder.path(), file)["errors"], 0, "{}", file.display());
        for line in std::fs::read_to_string(file).unwrap().lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let frame: Value = serde_json::from_str(line["x"].as_str().unwrap_or("0")).unwrap_or_default();
            let books = [&frame["snapshot"]["BTCUSDT"]["s"], &frame["update"]["BTCUSDT"]["s"]];
            numbers.extend(books.iter().filter_map(|number| number.as_u64()));
        }
    }
    // No frame is lost between two files.
    let (first, last) = (numbers.first().unwrap(), numbers.last().unwrap());
    assert!(numbers.len() > 50 && last - first + 1 == numbers.len() as u64, "{numbers:?}");
    let (books, _) = from_file(files.last().unwrap(), 0);
    let truth = truth.truth.lock().unwrap();
    let at = truth.instruments.iter().position(|own| own.pair == books[0].0.pair).unwrap();
    assert_eq!(books[0].1, truth.books[at]);
}

#[test]
fn a_capture_recorded_again_is_the_same_market() {
    let Some(capture) = shared("data/captures/hitbtc_ws2_20210405_a.jsonl") else { return };
    let folder = tempfile::tempdir().unwrap();
    let exchange = Loopback::of_capture(frames_of(&capture, 1).1);
    let (file, name) = named(&folder, "again.jsonl.zst");
    let arguments =
        ["record", "hitbtc_paper_trade", "--pair", "REP-ETH", "--ws-url", &exchange.url, "--out", &name];
    fine(&run(folder.path(), &[&arguments[..], &["--for", "3s"]].concat()));
    let (have, want) = (inspect(folder.path(), &file), inspect(folder.path(), &capture));
    for field in ["books", "trades", "book_updates", "gaps", "errors"] {
        assert_eq!(have[field], want[field], "{field}");
    }
}

/// Starts a recording and waits until something of it is on the disk.
fn recording(folder: &Path, url: &str, out: &Path) -> std::process::Child {
    let name = out.to_str().unwrap();
    let arguments = ["record", "hitbtc_paper_trade", "--pair", "BTC-USDT", "--ws-url", url, "--out", name];
    let child = papertape(folder, &arguments).spawn().unwrap();
    let end = Instant::now() + Duration::from_secs(30);
    while std::fs::metadata(out).map_or(0, |file| file.len()) < 1_000 {
        assert!(Instant::now() < end, "nothing is recorded");
        std::thread::sleep(Duration::from_millis(50));
    }
    child
}

#[test]
fn what_a_kill_leaves_behind_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let (exchange, _) = Loopback::hitbtc(u32::MAX);
    for name in ["killed.jsonl.zst", "killed.jsonl.gz", "killed.jsonl"] {
        let out = folder.path().join(name);
        let mut child = recording(folder.path(), &exchange.url, &out);
        child.kill().unwrap();
        child.wait().unwrap();
        let seen = inspect(folder.path(), &out);
        assert!(seen["book_updates"].as_u64().unwrap() > 5, "{name}: {seen}");
        // At most the torn tail.
        assert!(seen["errors"].as_u64().unwrap() <= 1, "{name}: {seen}");
        assert_eq!(seen["gaps"], 0, "{name}");
    }
}

#[cfg(unix)]
#[test]
fn a_recording_that_is_ended_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (exchange, _) = Loopback::hitbtc(u32::MAX);
    let out = folder.path().join("ended.jsonl.zst");
    let child = recording(folder.path(), &exchange.url, &out);
    let killed = Command::new("kill").arg("-TERM").arg(child.id().to_string()).status().unwrap();
    assert!(killed.success());
    let said = fine(&child.wait_with_output().unwrap());
    assert!(said.contains("recorded "), "{said}");
    let seen = inspect(folder.path(), &out);
    assert_eq!((&seen["errors"], &seen["gaps"]), (&0.into(), &0.into()));
}

#[test]
fn orders_fill_on_a_borrowed_live_market() {
    let folder = tempfile::tempdir().unwrap();
    let (exchange, _) = Loopback::hitbtc(0);
    let commands = "buy 1 BTC-USDT market; fees; status; run; speed 2";
    let arguments = [
        "connect",
        "bitmart_paper_trade",
        "--live-from",
        "hitbtc",
        "--ws-url",
        &exchange.url,
        "--pair",
        "BTC-USDT",
        "-c",
        commands,
    ];
    let output = run(folder.path(), &arguments);
    let (said, errors) = (text(&output.stdout), text(&output.stderr));
    for want in [
        "You are now connected to bitmart_paper_trade.",
        "the live market is borrowed from hitbtc; rules and fees are those of bitmart_paper_trade",
        "filled 1 BTC at 10.0",
        "0.25",
        "ready     yes",
        "open for",
    ] {
        assert!(said.contains(want), "{want}\n{said}\n{errors}");
    }
    // BitMart's fee of 0.25 % on what HitBTC's book costs.
    assert!(said.contains("fee 0.025"), "{said}");
    assert_eq!(output.status.code(), Some(1));
    assert!(errors.contains("run: a live market has no end"), "{errors}");
    assert!(errors.contains("a live market has a pace of its own"), "{errors}");
}

#[test]
fn a_live_session_moves_in_real_time_and_can_be_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let (exchange, _) = Loopback::hitbtc(u32::MAX);
    let tapes = folder.path().join("tapes");
    let commands =
        format!("step 20; record {}; step 700ms; status; record stop; record stop", tapes.display());
    let arguments = [
        "connect",
        "hitbtc_paper_trade",
        "--ws-url",
        &exchange.url,
        "--pair",
        "BTC-USDT",
        "--json",
        "-c",
        &commands,
    ];
    let output = run(folder.path(), &arguments);
    let said = text(&output.stdout);
    let answers: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |command: &str| answers.iter().find(|answer| answer["command"] == command).unwrap();
    assert_eq!(of("step 20")["messages"], 20, "{said}");
    assert!(of("step 700ms")["messages"].as_u64().unwrap() > 10, "{said}");
    let status = of("status");
    assert_eq!((&status["ready"], &status["sockets"][0]["open"]), (&true.into(), &true.into()), "{said}");
    let file = of("record stop")["recorded"][0].as_str().unwrap();
    let seen = inspect(folder.path(), Path::new(file));
    assert_eq!(seen["errors"], 0);
    assert!(seen["books"]["BTCUSDT"]["bid_levels"].as_u64().unwrap() > 0, "{seen}");
    assert!(text(&output.stderr).contains("nothing is being recorded"));
}

#[test]
fn a_live_market_goes_on_between_commands() {
    use std::io::Write;
    let folder = tempfile::tempdir().unwrap();
    let (exchange, _) = Loopback::hitbtc(u32::MAX);
    let arguments =
        ["connect", "hitbtc_paper_trade", "--ws-url", &exchange.url, "--pair", "BTC-USDT", "--json"];
    let mut child = papertape(folder.path(), &arguments).stdin(Stdio::piped()).spawn().unwrap();
    let mut commands = child.stdin.take().unwrap();
    writeln!(commands, "status").unwrap();
    std::thread::sleep(Duration::from_secs(2));
    writeln!(commands, "status").unwrap();
    drop(commands);
    let said = fine(&child.wait_with_output().unwrap());
    let messages: Vec<u64> = said
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).unwrap()["messages"].as_u64())
        .collect();
    assert_eq!(messages.len(), 2, "{said}");
    assert!(messages[1] > messages[0] + 20, "{said}");
}

#[test]
fn an_exchange_that_has_closed_says_so() {
    let folder = tempfile::tempdir().unwrap();
    // Nobody listens there: the port was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    drop(listener);
    for (connector, want) in [
        ("bitmart_paper_trade", "BitMart stopped trading on 2026-08-26"),
        ("bitmex_perpetual_paper_trade", "BitMEX closed on 2026-09-23"),
    ] {
        let output = run(folder.path(), &["connect", connector, "--ws-url", &url, "-c", "status"]);
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{errors}");
        for want in [
            want,
            "does not answer",
            "--demo, --tape FILE, --csv FILE, or --live-from bitget_perpetual|hitbtc|phemex_perpetual",
        ] {
            assert!(errors.contains(want), "{want}: {errors}");
        }
        assert_eq!(venue(connector.split('_').next().unwrap()).unwrap().closed(), Some(want));
    }
}
