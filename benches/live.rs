//! The live client on loopback at 20,000 frames a second, for a minute: from the read that completed a frame to the applied
//! book, and from the sender's stamp to the applied book beside a bare echo of the same frames in the same run.
//!
//! What is counted as applied is late rather than early: the moment at which the client reads on. It is then done with
//! the frame, the queue for the reader included. The bars: p99 of the first at most 5 µs, the median of the second at most
//! twice that of the echo's one way, nothing dropped.
//!
//! `cargo bench --bench live`, pinned: `taskset -c 0,1`; `-- --test` runs small and checks the answers only.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)] // a bench may ask for the time, and may fail

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use papertape::feed::live::{Clock, Dial, LiveFeed, LiveOptions, LiveSource};
use papertape::feed::tape::{TapeHeader, VERSION};
use papertape::feed::warnings::Warnings;
use papertape::market::{
    EventLog, GroupKind, Instrument, InstrumentId, MarketEvent, OrderBook, Price, Qty, Side, Source,
    Timestamp,
};
use papertape::venue::hitbtc::Hitbtc;
use papertape::venue::{Venue, live::Hosts};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::{Error, accept};
use tokio_tungstenite::{WebSocketStream, client_async};

/// Time between two frames: 20,000 a second.
const GAP: Duration = Duration::from_micros(50);

/// What the client's reads tell: after each, how many bytes there were in all, when it was done and when it read on.
#[derive(Default)]
struct Stamps(Vec<(u64, Instant, Instant)>);

/// A stream that stamps its reads.
struct Stamped {
    stream: tokio::net::TcpStream,
    total: u64,
    last: Option<Instant>,
    stamps: Arc<Mutex<Stamps>>,
}

impl AsyncRead for Stamped {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let own = self.get_mut();
        if let Some(last) = own.last.take() {
            own.stamps.lock().unwrap().0.push((own.total, last, Instant::now()));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut own.stream).poll_read(cx, buffer);
        let read = buffer.filled().len() - before;
        if polled.is_ready() && read > 0 {
            own.total += read as u64;
            own.last = Some(Instant::now());
        }
        polled
    }
}

impl AsyncWrite for Stamped {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

struct StampedDial {
    address: std::net::SocketAddr,
    stamps: Arc<Mutex<Stamps>>,
}

impl Dial for StampedDial {
    type Stream = Stamped;

    async fn dial(&self, url: &str) -> Result<WebSocketStream<Stamped>, Error> {
        let stream = tokio::net::TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let stamped = Stamped { stream, total: 0, last: None, stamps: Arc::clone(&self.stamps) };
        client_async(url, stamped).await.map(|(stream, _)| stream)
    }
}

/// The market: a snapshot, then changes of two levels; and the book at its end.
fn frames(instrument: &Instrument, count: usize) -> (Vec<Vec<u8>>, OrderBook) {
    let mut encoder = Hitbtc.encoder();
    let mut book = OrderBook::new(instrument.rule.tick);
    let mut texts = Vec::with_capacity(count);
    for at in 0..count {
        let mut log = EventLog::default();
        let kind = if at == 0 { GroupKind::Snapshot } else { GroupKind::Update };
        let steps = if at == 0 { 0..200 } else { (at % 200) as i64..(at % 200) as i64 + 1 };
        for step in steps {
            for (side, ticks) in [(Side::Buy, 10_000 - step), (Side::Sell, 10_001 + step)] {
                let price = Price::from_units(instrument.rule.tick.units() * ticks);
                let qty = Qty::from_units(instrument.rule.lot.units() * (1 + (at as i64 * 7 + step) % 1_000));
                book.set(side, price, qty);
                log.push(MarketEvent::Level { side, price, qty });
            }
        }
        let time = Timestamp::from_millis(1_767_571_200_000 + at as i64);
        log.close(InstrumentId(0), kind, time, time);
        encoder.encode(instrument, &log.get(0).unwrap(), &mut texts);
    }
    (texts.iter().map(|text| framed(text)).collect(), book)
}

/// A text frame as a server sends it.
fn framed(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81];
    match text.len() {
        len @ 0..126 => frame.push(len as u8),
        len @ 126..=65_535 => {
            frame.push(126);
            frame.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            frame.push(127);
            frame.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(text.as_bytes());
    frame
}

/// Sends frames at their times; when each was sent.
fn send_paced(stream: &mut TcpStream, frames: &[Vec<u8>]) -> Vec<Instant> {
    let start = Instant::now() + Duration::from_millis(5);
    let mut sent = Vec::with_capacity(frames.len());
    for (at, frame) in frames.iter().enumerate() {
        let due = start + GAP * at as u32;
        while Instant::now() < due {
            std::hint::spin_loop();
        }
        sent.push(Instant::now());
        stream.write_all(frame).unwrap();
    }
    sent
}

/// The bare echo: one way is half of there and back.
fn echo(frames: &[Vec<u8>]) -> Vec<Duration> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut far, _) = listener.accept().unwrap();
    near.set_nodelay(true).unwrap();
    far.set_nodelay(true).unwrap();
    let back = std::thread::spawn(move || {
        let mut buffer = [0; 65_536];
        while let Ok(read @ 1..) = far.read(&mut buffer) {
            far.write_all(&buffer[..read]).unwrap();
        }
    });
    let mut buffer = vec![0; 1 << 20];
    let mut ways = Vec::with_capacity(frames.len());
    for frame in frames.iter().skip(1) {
        let start = Instant::now();
        near.write_all(frame).unwrap();
        near.read_exact(&mut buffer[..frame.len()]).unwrap();
        ways.push(start.elapsed() / 2);
        while start.elapsed() < GAP {
            std::hint::spin_loop();
        }
    }
    drop(near);
    back.join().unwrap();
    ways
}

/// One run of the live client: from read to applied, and from sent to applied.
fn client(count: usize) -> (Vec<Duration>, Vec<Duration>) {
    let instrument = Hitbtc.catalogue().unwrap().entries[0].instrument.clone();
    let (frames, want) = frames(&instrument, count);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let ends: Vec<u64> = frames
        .iter()
        .scan(0, |sum, frame| {
            *sum += frame.len() as u64;
            Some(*sum)
        })
        .collect();
    let server = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        let mut socket = accept(stream).unwrap();
        // The client subscribes books, then trades.
        (0..2).for_each(|_| drop(socket.read().unwrap()));
        let sent = send_paced(socket.get_mut(), &frames);
        (sent, socket)
    });
    let stamps = Arc::new(Mutex::new(Stamps::default()));
    let dial = StampedDial { address, stamps: Arc::clone(&stamps) };
    let (feed, mut source, handle) = LiveFeed::new(options(&instrument, address), Clock::system());
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(feed.run(&dial));
    });
    let mut book = OrderBook::new(instrument.rule.tick);
    while handle.health()[0].frames < count as u64 {
        // As a person's market moves.
        std::thread::sleep(Duration::from_millis(20));
        drain(&mut source, &mut book);
    }
    drain(&mut source, &mut book);
    let (sent, socket) = server.join().unwrap();
    assert_eq!((handle.dropped(), source.stats().gaps, handle.health()[0].losses), (0, 0, 0));
    for side in Side::BOTH {
        assert!(book.levels(side).eq(want.levels(side)), "another book");
    }
    handle.stop();
    drop(socket);
    thread.join().unwrap();
    drop(handle);
    let stamps = stamps.lock().unwrap();
    // What was read before the first frame is the handshake's answer.
    let head = stamps.0.last().unwrap().0 - ends.last().unwrap();
    let mut next = 0;
    let (mut applied, mut whole) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for (total, read, on) in &stamps.0 {
        while ends.get(next).is_some_and(|end| end + head <= *total) {
            // The first is the snapshot.
            if next > 0 {
                applied.push(*on - *read);
                whole.push(*on - sent[next]);
            }
            next += 1;
        }
    }
    assert_eq!(next, count, "every frame is stamped");
    (applied, whole)
}

fn drain(source: &mut LiveSource, book: &mut OrderBook) {
    while source.advance().unwrap().is_some() {
        let group = source.group();
        if group.kind == GroupKind::Snapshot {
            book.clear();
        }
        for event in group.events {
            if let MarketEvent::Level { side, price, qty } = *event {
                book.set(side, price, qty);
            }
        }
    }
}

fn options(instrument: &Instrument, address: std::net::SocketAddr) -> LiveOptions {
    LiveOptions {
        venue: &Hitbtc,
        subscribed: vec![instrument.clone()],
        declared: vec![instrument.clone()],
        others: Vec::new(),
        hosts: Hosts { ws: Some(format!("ws://{address}")), rest: None },
        seed: 1,
        most_waiting: papertape::feed::live::MOST_WAITING,
        warnings: Warnings::default(),
        header: TapeHeader {
            venue: "hitbtc".to_owned(),
            connector: "hitbtc_paper_trade".to_owned(),
            pairs: Vec::new(),
            start: None,
            version: VERSION,
            instruments: Vec::new(),
        },
    }
}

/// The middle and the 99th of 100, in microseconds.
fn percentiles(mut all: Vec<Duration>) -> (f64, f64) {
    all.sort_unstable();
    let at = |share: usize| all[all.len() * share / 100].as_nanos() as f64 / 1_000.0;
    (at(50), at(99))
}

fn main() {
    let small = std::env::args().any(|argument| argument == "--test");
    let seconds = if small { 1 } else { 60 };
    let count = 20_000 * seconds;
    let instrument = Hitbtc.catalogue().unwrap().entries[0].instrument.clone();
    let (echoed, _) = frames(&instrument, count.min(100_000));
    let bare = percentiles(echo(&echoed));
    let (applied, whole) = client(count);
    let (applied, whole) = (percentiles(applied), percentiles(whole));
    println!("{count} frames at 20,000 a second, none dropped; microseconds: median, p99");
    println!("read -> applied   {:8.1} {:8.1}   (bar: p99 at most 5)", applied.0, applied.1);
    println!("sent -> applied   {:8.1} {:8.1}", whole.0, whole.1);
    println!("bare echo, 1 way  {:8.1} {:8.1}", bare.0, bare.1);
    println!("sent -> applied / echo {:.2} of the medians (bar: at most 2)", whole.0 / bare.0);
}
