//! Real captures, played by a loopback exchange to the live client: the same books as from the file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use papertape::feed::live::{Clock, Dial, LiveFeed};
use papertape::feed::tape::{TapeOptions, TapeReader};
use papertape::market::{GroupKind, Instrument, MarketEvent, Source};
use papertape::venue::venue;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::exchange::{Levels, START, key};
use crate::options;
use crate::watcher::Watcher;

/// The shared data, where it is; says so where it is not.
pub fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("PAPERTAPE_SHARED").map(PathBuf::from);
    let root = root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"));
    let path = root.join(path);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: {} is not there", path.display());
    None
}

/// What one connection of a capture brought: its address and its frames.
pub fn frames_of(file: &Path, connection: u64) -> (String, Vec<String>) {
    let (mut url, mut frames) = (String::new(), Vec::new());
    for line in std::fs::read_to_string(file).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let text = || line["text"].as_str().unwrap().to_owned();
        if line["conn"] == connection {
            match line["dir"].as_str() {
                Some("open") => url = text(),
                Some("in") => frames.push(text()),
                _ => {}
            }
        }
    }
    (url, frames)
}

/// The books at the end of one connection of a capture, and how many prints it has.
pub fn from_file(file: &Path, connection: u64) -> (Vec<(Instrument, Levels)>, usize) {
    let options = TapeOptions { connection: Some(connection), strict: true, ..TapeOptions::default() };
    let mut tape = TapeReader::open(file, options).unwrap();
    let (mut books, mut prints): (Vec<Levels>, usize) = (Vec::new(), 0);
    while tape.advance().unwrap().is_some() {
        let group = tape.group();
        books.resize_with(books.len().max(group.instrument.index() + 1), Levels::new);
        let book = &mut books[group.instrument.index()];
        if group.kind == GroupKind::Snapshot {
            book.clear();
        }
        for event in group.events {
            match *event {
                MarketEvent::Level { side, price, qty } if qty.is_zero() => {
                    book.remove(&key(side, price));
                }
                MarketEvent::Level { side, price, qty } => {
                    book.insert(key(side, price), qty);
                }
                MarketEvent::Trade(_) => prints += 1,
                _ => {}
            }
        }
    }
    (tape.instruments().iter().cloned().zip(books).collect(), prints)
}

/// An exchange that, once a client has subscribed, says what was said in the capture.
struct Player {
    frames: Vec<String>,
}

impl Dial for Player {
    type Stream = DuplexStream;

    async fn dial(&self, url: &str) -> Result<WebSocketStream<DuplexStream>, Error> {
        let (ours, theirs) = tokio::io::duplex(4_096);
        tokio::spawn(play(theirs, self.frames.clone()));
        tokio_tungstenite::client_async(url, ours).await.map(|(stream, _)| stream)
    }
}

pub async fn play<S: AsyncRead + AsyncWrite + Unpin>(stream: S, frames: Vec<String>) {
    let mut stream = tokio_tungstenite::accept_async(stream).await.unwrap();
    // The capture's own frames begin with the exchange's answers.
    stream.next().await.unwrap().unwrap();
    for frame in frames {
        stream.send(Message::text(frame)).await.unwrap();
    }
    while let Some(Ok(message)) = stream.next().await {
        if message.to_text().is_ok_and(|text| text.contains("ping")) {
            let _ = stream.send(Message::text("pong")).await;
        }
    }
}

fn check(exchange: &str, capture: &str, connection: u64) {
    let Some(file) = shared(&format!("data/captures/{capture}.jsonl")) else { return };
    let (url, frames) = frames_of(&file, connection);
    let (want, prints) = from_file(&file, connection);
    let instruments: Vec<Instrument> = want.iter().map(|(instrument, _)| instrument.clone()).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.unwrap().block_on(async {
        let options = options(venue(exchange).unwrap(), &instruments, &url);
        let warnings = options.warnings.clone();
        let (feed, mut source, handle) = LiveFeed::new(options, Clock::at(START));
        let total = frames.len() as u64;
        let player = Player { frames };
        let feed = tokio::spawn(async move { feed.run(&player).await });
        let mut watcher = Watcher::default();
        while handle.health()[0].frames < total {
            tokio::time::sleep(Duration::from_millis(10)).await;
            watcher.drain(&mut source);
            let health = handle.health();
            assert_eq!(health[0].losses, 0, "{capture}: {health:?}");
        }
        watcher.drain(&mut source);
        for (at, (instrument, want)) in want.iter().enumerate() {
            assert!(watcher.state(at).is_some(), "{capture}: {}", instrument.symbol);
            assert_eq!(&watcher.books[at], want, "{capture}: {}", instrument.symbol);
        }
        assert_eq!(watcher.prints, prints, "{capture}");
        let stats = source.stats();
        assert_eq!(
            (stats.gaps, stats.checksum_failures, stats.errors, stats.crossed),
            (0, 0, 0, 0),
            "{capture}"
        );
        assert!(handle.is_ready(), "{capture}: {handle:?}");
        assert_eq!(warnings.count(), 0, "{capture}: {:?}", warnings.first());
        drop(handle);
        feed.await.unwrap();
    });
}

#[test]
fn hitbtc_v2() {
    check("hitbtc", "hitbtc_ws2_20210405_a", 1);
    check("hitbtc", "hitbtc_ws2_20210715", 1);
}

#[test]
fn hitbtc_v3_of_fmfw() {
    check("hitbtc", "fmfw_ws3_20211009_a", 1);
}

#[test]
fn bitget_v1_spot_and_contracts() {
    check("bitget", "bitget_ws1_20220407_a", 1);
    check("bitget", "bitget_ws1_20220407_a", 2);
}

#[test]
fn phemex_contracts_and_spot() {
    check("phemex", "phemex_ws_20210703_a", 1);
}

#[test]
fn bitmex() {
    check("bitmex", "bitmex_ws_20210405_a", 1);
    check("bitmex", "bitmex_ws_20210722", 1);
}
