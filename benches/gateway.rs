//! The gateway against a bare server of the same library, by turns in one run.
//!
//! `cargo bench --bench gateway` measures two things, best of five. A signed order to its answer: the floor checks the same
//! HMAC, parses the body and answers JSON of the same size; over 8 and 50 connections that stay open. And frames of a
//! tape at full speed to one socket: a change of one pair's book each 100 ms, as the exchange sends them, read, simulated
//! and told again; the floor sends the same bytes from memory. Both servers are processes of their own, on the first
//! core where the system lets us choose (`taskset`), and this client on the second. An answer that is not as it should be,
//! or a count that differs, makes the run void. `cargo test --benches` runs all of it small, where ratios mean nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)] // a bench may ask for the time, and may fail

#[path = "gateway/floor.rs"]
mod floor;
#[path = "gateway/tape.rs"]
mod tape;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::{Message, client};

const ROUNDS: usize = 5;
const ORDERS: usize = 20_000;
const FRAMES: usize = 200_000;
const PATH: &str = "/api/v1/order";
/// It takes nothing and rests nowhere: the exchange stays as it is.
const ORDER: &str =
    r#"{"symbol":"XBTUSD","side":"Buy","orderQty":100,"price":1000,"timeInForce":"ImmediateOrCancel"}"#;
const SUBSCRIBE: &str = r#"{"op":"subscribe","args":["spot/depth/increase100:BTC_USDT"]}"#;

/// A server in a process of its own; it ends when this is dropped.
struct Server {
    child: Child,
    address: String,
    /// Kept open: the program writes there.
    _out: BufReader<std::process::ChildStdout>,
}

impl Server {
    fn start(program: &str, arguments: &[&str]) -> Self {
        // Where there is no taskset, the system places it.
        let pinned =
            Command::new("taskset").args(["-c", "0", "true"]).status().is_ok_and(|done| done.success());
        let mut command = Command::new(if pinned { "taskset" } else { program });
        if pinned {
            command.args(["-c", "0", program]);
        }
        let mut child = command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).expect("the server says where it is");
        let table: Value = serde_json::from_str(&line).expect("a table");
        let address = table["listen"].as_str().expect("an address").to_owned();
        Self { child, address, _out: out }
    }

    fn gateway(name: &str, source: &[&str], data: &std::path::Path) -> Self {
        let data = data.to_string_lossy();
        let options = ["--paused", "--keep-time", "--rate-limits", "off", "--admin-token", "T"];
        let place = ["--listen", "127.0.0.1:0", "--json", "--data-dir", &data];
        let options = [&["serve", name][..], source, &options, &place];
        Self::start(env!("CARGO_BIN_EXE_papertape"), &options.concat())
    }

    /// The floor is this program in another role.
    fn floor(role: &str, file: &std::path::Path) -> Self {
        let own = std::env::current_exe().unwrap();
        Self::start(&own.to_string_lossy(), &["--floor", role, &file.to_string_lossy()])
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A signed order as bytes. It expires long after the run.
fn signed_order() -> Vec<u8> {
    let expires = "4102444800";
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(floor::SECRET).unwrap();
    mac.update(format!("POST{PATH}{expires}{ORDER}").as_bytes());
    let sign = hex::encode(mac.finalize().into_bytes());
    format!(
        "POST {PATH} HTTP/1.1\r\nHost: bench\r\napi-key: paper-key\r\napi-expires: {expires}\r\napi-signature: {sign}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{ORDER}",
        ORDER.len()
    )
    .into_bytes()
}

/// Where the body of an answer begins and how long it is, once its head is there.
fn body_of(bytes: &[u8]) -> Option<(usize, usize)> {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let text = std::str::from_utf8(&bytes[..head]).ok()?.to_ascii_lowercase();
    let length = text.split("content-length: ").nth(1)?.split("\r\n").next()?.parse().ok()?;
    Some((head + 4, length))
}

/// Sends orders on one connection one after the other; how long each took, and what the last one was told.
async fn order_again(address: &str, request: &[u8], times: usize) -> (Vec<Duration>, Vec<u8>) {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut took, mut buffer, mut last) = (Vec::with_capacity(times), vec![0; 16 << 10], Vec::new());
    for _ in 0..times {
        let start = Instant::now();
        stream.write_all(request).await.unwrap();
        let mut filled = 0;
        let body = loop {
            let read = stream.read(&mut buffer[filled..]).await.unwrap();
            assert!(read > 0, "the server closed");
            filled += read;
            if let Some((at, length)) =
                body_of(&buffer[..filled]).filter(|(at, length)| at + length <= filled)
            {
                break at..at + length;
            }
        };
        took.push(start.elapsed());
        assert!(buffer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&buffer[..filled]));
        last = buffer[body].to_vec();
    }
    (took, last)
}

/// What a round of orders came to.
#[derive(Clone, Copy, Debug)]
struct Pace {
    p50: Duration,
    p99: Duration,
    /// Orders a second.
    rate: f64,
}

fn orders(server: &Server, connections: usize, times: usize) -> (Pace, Vec<u8>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let request = signed_order();
    runtime.block_on(async {
        let start = Instant::now();
        let all = (0..connections).map(|_| order_again(&server.address, &request, times / connections));
        let all = futures_util::future::join_all(all).await;
        let took = start.elapsed();
        let mut each: Vec<Duration> = all.iter().flat_map(|(each, _)| each.iter().copied()).collect();
        each.sort_unstable();
        let at = |share: usize| each[(each.len() * share / 100).min(each.len() - 1)];
        let rate = each.len() as f64 / took.as_secs_f64();
        (Pace { p50: at(50), p99: at(99), rate }, all[0].1.clone())
    })
}

fn ratio(ours: Duration, theirs: Duration) -> f64 {
    ours.as_secs_f64() / theirs.as_secs_f64()
}

/// Orders over so many connections: whether the bars are met.
fn measure_orders(connections: usize, (times, rounds): (usize, usize), data: &std::path::Path) -> bool {
    let ours = Server::gateway("bitmex_perpetual_paper_trade", &["--demo", "--loop"], data);
    let (_, answer) = orders(&ours, 1, 1);
    let told: Value = serde_json::from_slice(&answer).expect("an order");
    assert_eq!(told["ordStatus"], "Canceled", "{told}");
    let sample = data.join("answer.json");
    std::fs::write(&sample, &answer).unwrap();
    let theirs = Server::floor("orders", &sample);
    let (mut best, mut floor): (Option<Pace>, Option<Pace>) = (None, None);
    let better = |best: Option<Pace>, new: Pace| match best {
        Some(best) => {
            Pace { p50: best.p50.min(new.p50), p99: best.p99.min(new.p99), rate: best.rate.max(new.rate) }
        }
        None => new,
    };
    for _ in 0..rounds {
        let (pace, last) = orders(&ours, connections, times);
        let told: Value = serde_json::from_slice(&last).expect("an order");
        assert_eq!(told["ordStatus"], "Canceled", "void: {told}");
        best = Some(better(best, pace));
        let (pace, last) = orders(&theirs, connections, times);
        assert!(last.len().abs_diff(answer.len()) <= 16, "void: {} and {} bytes", last.len(), answer.len());
        floor = Some(better(floor, pace));
    }
    let (best, floor) = (best.unwrap(), floor.unwrap());
    let (p50, p99, rate) = (ratio(best.p50, floor.p50), ratio(best.p99, floor.p99), best.rate / floor.rate);
    println!(
        "orders over {connections} connections: p50 {:?} ({p50:.2}x, bar 1.3x), p99 {:?} ({p99:.2}x, bar 2x), \
         {:.0}/s ({rate:.2}x, bar 0.75x); floor p50 {:?}, p99 {:?}, {:.0}/s",
        best.p50, best.p99, best.rate, floor.p50, floor.p99, floor.rate
    );
    p50 <= 1.3 && p99 <= 2.0 && rate >= 0.75
}

/// Reads so many pushes of a socket from the first one on; their texts where they are wanted, how long it took, and how
/// many bytes they had.
fn frames(
    address: &str,
    path: &str,
    start: impl FnOnce(),
    count: usize,
    keep: bool,
) -> (Vec<String>, Duration, usize) {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let (mut socket, _) = client(format!("ws://{address}{path}"), stream).unwrap();
    socket.send(Message::text(SUBSCRIBE)).unwrap();
    start();
    let (mut texts, mut begin, mut bytes, mut seen) = (Vec::new(), None, 0, 0);
    while seen < count {
        let Message::Text(text) = socket.read().unwrap() else { continue };
        if !text.contains("\"table\"") {
            continue;
        }
        begin.get_or_insert_with(Instant::now);
        (bytes, seen) = (bytes + text.len(), seen + 1);
        if keep {
            texts.push(text.as_str().to_owned());
        }
    }
    (texts, begin.unwrap().elapsed(), bytes)
}

/// Lets the market of a gateway play as fast as it can.
fn full_speed(address: &str) {
    let body = r#"{"speed":"max","paused":false}"#;
    let request = format!(
        "POST /papertape/clock HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer T\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
}

/// Frames to one socket: whether the bar is met.
fn measure_frames((count, rounds): (usize, usize), data: &std::path::Path) -> bool {
    let recorded = data.join("tape.jsonl");
    // Changes behind the best hundred levels are on the tape, and told to nobody.
    tape::write(&recorded, count + count / 2);
    let source = ["--tape", &recorded.to_string_lossy()];
    let gateway = |keep: bool| {
        let ours = Server::gateway("bitmart_paper_trade", &source, data);
        frames(&ours.address, "/bitmart/api?protocol=1.1", || full_speed(&ours.address), count, keep)
    };
    let (texts, _, bytes) = gateway(true);
    let file = data.join("frames.txt");
    std::fs::write(&file, texts.join("\n")).unwrap();
    let theirs = Server::floor("frames", &file);
    let (mut best, mut floor) = (Duration::MAX, Duration::MAX);
    for _ in 0..rounds {
        let (_, took, have) = gateway(false);
        assert_eq!(have, bytes, "void: the same market has other bytes");
        best = best.min(took);
        let (_, took, have) = frames(&theirs.address, "/", || {}, count, false);
        assert_eq!(have, bytes, "void: the floor has other bytes");
        floor = floor.min(took);
    }
    let (rate, share) = (count as f64 / best.as_secs_f64(), ratio(floor, best));
    println!(
        "frames to one socket: {rate:.0}/s ({share:.2}x of the floor's {:.0}/s; bar 0.5x or 1000000/s)",
        count as f64 / floor.as_secs_f64()
    );
    share >= 0.5 || rate >= 1e6
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, role, which, file] = arguments.as_slice()
        && role == "--floor"
    {
        floor::serve(which, std::path::Path::new(file));
        return ExitCode::SUCCESS;
    }
    let full = arguments.iter().any(|arg| arg == "--bench") && arguments.iter().all(|arg| arg != "--test");
    if full {
        // The client on the other core; where that cannot be chosen, wherever the system puts it.
        let own = std::process::id().to_string();
        let _ = Command::new("taskset").args(["-acp", "1", &own]).stdout(Stdio::null()).status();
    }
    let (orders, frames, rounds) = if full { (ORDERS, FRAMES, ROUNDS) } else { (200, 200, 1) };
    let data = tempfile::tempdir().expect("a folder");
    let mut fine = true;
    for connections in [8, 50] {
        fine &= measure_orders(connections, (orders, rounds), data.path());
    }
    fine &= measure_frames((frames, rounds), data.path());
    // Small runs show that it works, not how fast it is.
    if fine || !full { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
