//! An exchange to play with: a small market, and its public socket in every venue's own words, with faults on demand.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use papertape::market::{
    EventLog, GroupKind, Instrument, InstrumentId, MarketEvent, Price, Qty, Side, Timestamp,
};
use papertape::venue::{Encoder, Venue};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

/// When every market begins.
pub const START: Timestamp = Timestamp::from_millis(1_767_571_200_000);

/// A book as the tests compare it.
pub type Levels = BTreeMap<(u8, Price), Qty>;

pub fn key(side: Side, price: Price) -> (u8, Price) {
    (u8::from(side == Side::Sell), price)
}

pub fn hash(levels: &Levels) -> u64 {
    let mut hasher = DefaultHasher::new();
    for ((side, price), qty) in levels {
        (side, price.units(), qty.units()).hash(&mut hasher);
    }
    hasher.finish()
}

/// What truly happened, of a few instruments.
pub struct Truth {
    pub instruments: Vec<Instrument>,
    pub books: Vec<Levels>,
    /// Every state that each book was in.
    pub states: Vec<BTreeSet<u64>>,
    /// Every change, by instrument number.
    pub changes: Vec<(usize, Vec<MarketEvent>)>,
    dice: ChaCha8Rng,
}

/// Levels a side: what every channel can show.
const DEPTH: i64 = 12;
/// The middle of the books, in ticks.
const MIDDLE: i64 = 1_000;

impl Truth {
    pub fn new(instruments: Vec<Instrument>, seed: u64) -> Self {
        let count = instruments.len();
        let mut truth = Self {
            instruments,
            books: vec![Levels::new(); count],
            states: vec![BTreeSet::new(); count],
            changes: Vec::new(),
            dice: ChaCha8Rng::seed_from_u64(seed),
        };
        for at in 0..count {
            for step in 1..=DEPTH / 2 {
                for side in Side::BOTH {
                    let qty = 1 + truth.roll(9);
                    truth.set(at, side, step, qty);
                }
            }
            let state = hash(&truth.books[at]);
            truth.states[at].insert(state);
        }
        truth
    }

    fn roll(&mut self, sides: u64) -> i64 {
        i64::try_from(self.dice.next_u64() % sides).unwrap()
    }

    /// The size at so many ticks from the middle.
    fn set(&mut self, at: usize, side: Side, step: i64, lots: i64) -> MarketEvent {
        let rule = &self.instruments[at].rule;
        let ticks = if side == Side::Buy { MIDDLE - step } else { MIDDLE + step };
        let price = Price::from_units(rule.tick.units() * ticks);
        let qty = Qty::from_units(rule.lot.units() * lots * 100_000);
        match lots {
            0 => self.books[at].remove(&key(side, price)),
            _ => self.books[at].insert(key(side, price), qty),
        };
        MarketEvent::Level { side, price, qty }
    }

    /// One thing happens: one level of one book becomes another.
    pub fn step(&mut self) {
        let at = usize::try_from(self.roll(self.instruments.len() as u64)).unwrap();
        self.change(at);
    }

    /// One level of this book becomes another.
    pub fn change(&mut self, at: usize) {
        loop {
            let side = if self.roll(2) == 0 { Side::Buy } else { Side::Sell };
            let (step, lots) = (1 + self.roll(DEPTH as u64), self.roll(10));
            let before = self.books[at].clone();
            let event = self.set(at, side, step, lots);
            // Every change is one that is seen, and no side is ever empty.
            let left =
                self.books[at].keys().filter(|(own, _)| *own == key(side, Price::from_units(0)).0).count();
            if self.books[at] == before || left == 0 {
                self.books[at] = before;
                continue;
            }
            let state = hash(&self.books[at]);
            self.states[at].insert(state);
            self.changes.push((at, vec![event]));
            return;
        }
    }

    fn snapshot(&self, at: usize) -> Vec<MarketEvent> {
        let level = |((side, price), qty): (&(u8, Price), &Qty)| MarketEvent::Level {
            side: if *side == 1 { Side::Sell } else { Side::Buy },
            price: *price,
            qty: *qty,
        };
        let (bids, asks): (Vec<_>, Vec<_>) = self.books[at].iter().partition(|((side, _), _)| *side == 0);
        bids.into_iter().rev().chain(asks).map(level).collect()
    }
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Drop,
    Twice,
    Swap,
    Garbage,
    Binary,
    Torn,
    WrongSum,
    Cut,
    Half,
    Silence,
}

/// Faults of one run: how often, and of which kinds. The socket's own dice.
#[derive(Clone)]
pub struct Weather {
    pub dice: ChaCha8Rng,
    /// Of 1000 frames so many go wrong.
    pub often: u64,
    pub kinds: Vec<Fault>,
}

impl Weather {
    pub fn fine() -> Self {
        Self { dice: ChaCha8Rng::seed_from_u64(0), often: 0, kinds: Vec::new() }
    }

    fn roll(&mut self) -> Option<Fault> {
        if self.often == 0 || self.dice.next_u64() % 1_000 >= self.often {
            return None;
        }
        let at = self.dice.next_u64() % self.kinds.len() as u64;
        self.kinds.get(usize::try_from(at).unwrap()).copied()
    }
}

/// One exchange that many sockets may come to.
pub struct Exchange {
    pub venue: &'static dyn Venue,
    pub truth: Mutex<Truth>,
    pub weather: Mutex<Weather>,
    /// Sockets that came.
    pub visits: Mutex<u64>,
    /// How often a socket looks for what is new.
    pub beat: Duration,
}

/// What one socket has subscribed, and how far it was told.
struct Visit {
    encoder: Box<dyn Encoder + Send>,
    books: BTreeSet<usize>,
    told: usize,
    silent_until: Option<tokio::time::Instant>,
}

/// The socket is over.
struct Over;

impl Exchange {
    pub fn new(venue: &'static dyn Venue, truth: Truth, weather: Weather, beat: Duration) -> Arc<Self> {
        let (truth, weather) = (Mutex::new(truth), Mutex::new(weather));
        Arc::new(Self { venue, truth, weather, visits: Mutex::new(0), beat })
    }

    /// Speaks with one client until one of the two has enough.
    pub async fn serve<S: AsyncRead + AsyncWrite + Unpin>(self: Arc<Self>, stream: S) {
        let Ok(mut stream) = tokio_tungstenite::accept_async(stream).await else { return };
        *self.visits.lock().unwrap() += 1;
        let told = self.truth.lock().unwrap().changes.len();
        let mut visit =
            Visit { encoder: self.venue.encoder(), books: BTreeSet::new(), told, silent_until: None };
        if self.venue.name() == "bitmex" {
            let welcome = r#"{"info":"Welcome to the BitMEX Realtime API.","version":"2.0.0","timestamp":"2026-01-01T00:00:00.000Z","docs":"https://www.bitmex.com/app/wsAPI","heartbeatEnabled":false,"limit":{"remaining":719}}"#;
            if stream.send(Message::text(welcome)).await.is_err() {
                return;
            }
        }
        // The end of the stream is the end of the visit, however it came.
        let _ = self.talk(&mut stream, &mut visit).await;
    }

    async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut WebSocketStream<S>,
        visit: &mut Visit,
    ) -> Result<(), Over> {
        loop {
            if let Some(until) = visit.silent_until {
                // Nothing is read and nothing is said: not even pings are answered.
                tokio::time::sleep_until(until).await;
                visit.silent_until = None;
            }
            tokio::select! {
                biased;
                came = stream.next() => match came {
                    Some(Ok(Message::Text(text))) => self.answer(stream, visit, text.as_str()).await?,
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return Err(Over),
                },
                () = tokio::time::sleep(self.beat) => self.tell(stream, visit).await?,
            }
        }
    }

    async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut WebSocketStream<S>,
        visit: &mut Visit,
        text: &str,
    ) -> Result<(), Over> {
        for act in acts(self.venue.name(), text) {
            match act {
                Act::Say(text) => stream.send(Message::text(text)).await.map_err(|_| Over)?,
                Act::Leave(symbol) => {
                    visit.books.retain(|at| !self.is(*at, &symbol));
                }
                Act::Book(symbol) => {
                    // What happened before is in the snapshot.
                    self.tell(stream, visit).await?;
                    let frames = self.whole(visit, &symbol);
                    self.say_all(stream, visit, frames).await?;
                }
            }
        }
        Ok(())
    }

    fn is(&self, at: usize, symbol: &str) -> bool {
        symbol == "*" || self.truth.lock().unwrap().instruments[at].symbol == symbol
    }

    fn whole(&self, visit: &mut Visit, symbol: &str) -> Vec<String> {
        let truth = self.truth.lock().unwrap();
        let mut frames = Vec::new();
        let Some(at) = truth.instruments.iter().position(|own| own.symbol == symbol) else { return frames };
        visit.books.insert(at);
        encode(visit, &truth.instruments[at], GroupKind::Snapshot, &truth.snapshot(at), &mut frames);
        frames
    }

    /// Tells what is new.
    async fn tell<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut WebSocketStream<S>,
        visit: &mut Visit,
    ) -> Result<(), Over> {
        let frames = {
            let truth = self.truth.lock().unwrap();
            let mut frames = Vec::new();
            for (at, events) in truth.changes.get(visit.told..).unwrap_or_default() {
                if visit.books.contains(at) {
                    encode(visit, &truth.instruments[*at], GroupKind::Update, events, &mut frames);
                }
            }
            visit.told = truth.changes.len();
            frames
        };
        self.say_all(stream, visit, frames).await
    }

    async fn say_all<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut WebSocketStream<S>,
        visit: &mut Visit,
        frames: Vec<String>,
    ) -> Result<(), Over> {
        let mut frames = frames.into_iter().peekable();
        let mut held: Option<String> = None;
        while let Some(frame) = frames.next() {
            let fault = self.weather.lock().unwrap().roll();
            // Numbers that leave one out, or sums, show these; elsewhere the exchange cuts who cannot follow.
            let blind = matches!(self.venue.name(), "bitmex" | "phemex");
            let say = |text: String| Message::text(text);
            let sent = match fault {
                Some(Fault::Drop) if blind => return Err(Over),
                Some(Fault::Drop) => Ok(()),
                Some(Fault::Twice) => {
                    stream.send(say(frame.clone())).await.map_err(|_| Over)?;
                    stream.send(say(frame)).await
                }
                Some(Fault::Swap) if !blind && frames.peek().is_some() && held.is_none() => {
                    held = Some(frame);
                    continue;
                }
                Some(Fault::Garbage) => stream.send(say("{\"what\": is this".to_owned())).await,
                Some(Fault::Binary) => {
                    stream.send(Message::binary(vec![0xff, 0x00, 0x9c])).await.map_err(|_| Over)?;
                    stream.send(say(frame)).await
                }
                Some(Fault::Torn) => stream.send(say(frame[..frame.len() / 2].to_owned())).await,
                Some(Fault::WrongSum) => stream.send(say(wrong_sum(&frame))).await,
                Some(Fault::Cut) => return Err(Over),
                Some(Fault::Half) => return self.half(stream, &frame).await,
                Some(Fault::Silence) => {
                    visit.silent_until = Some(tokio::time::Instant::now() + Duration::from_secs(90));
                    stream.send(say(frame)).await
                }
                Some(Fault::Swap) | None => stream.send(say(frame)).await,
            };
            sent.map_err(|_| Over)?;
            if let Some(late) = held.take() {
                stream.send(say(late)).await.map_err(|_| Over)?;
            }
        }
        Ok(())
    }

    /// The beginning of a frame, and no more.
    async fn half<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut WebSocketStream<S>,
        frame: &str,
    ) -> Result<(), Over> {
        let len = u16::try_from(frame.len().clamp(126, 60_000)).unwrap();
        let mut bytes = vec![0x81, 126];
        bytes.extend_from_slice(&len.to_be_bytes());
        bytes.extend_from_slice(&frame.as_bytes()[..frame.len() / 2]);
        let _ = stream.get_mut().write_all(&bytes).await;
        Err(Over)
    }
}

fn encode(
    visit: &mut Visit,
    instrument: &Instrument,
    kind: GroupKind,
    events: &[MarketEvent],
    frames: &mut Vec<String>,
) {
    let mut log = EventLog::default();
    events.iter().for_each(|event| log.push(*event));
    log.close(InstrumentId(0), kind, START, START);
    visit.encoder.encode(instrument, &log.get(0).unwrap(), frames);
}

/// The frame with another checksum, where it has one.
fn wrong_sum(frame: &str) -> String {
    let Some(at) = frame.find("\"checksum\":") else { return frame.to_owned() };
    let (head, tail) = frame.split_at(at + "\"checksum\":".len());
    let end = tail.find([',', '}']).unwrap();
    let sum: i32 = tail[..end].parse().unwrap();
    format!("{head}{}{}", sum.wrapping_add(1).max(1), &tail[end..])
}

/// What an exchange does about a client's frame.
enum Act {
    Say(String),
    /// The book of this symbol, whole, and what becomes of it.
    Book(String),
    /// No more of this symbol's book; `*`: of all.
    Leave(String),
}

fn acts(venue: &str, text: &str) -> Vec<Act> {
    if text == "ping" {
        return vec![Act::Say("pong".to_owned())];
    }
    let frame: Value = serde_json::from_str(text).unwrap_or_else(|_| panic!("a client said {text:?}"));
    match venue {
        "hitbtc" => hitbtc(&frame),
        "bitget" => bitget(&frame),
        "bitmex" => bitmex(&frame),
        "phemex" => phemex(&frame),
        _ => bitmart(&frame),
    }
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|text| Some(text.as_str()?.to_owned())).collect()
}

fn hitbtc(frame: &Value) -> Vec<Act> {
    let (method, id) = (frame["method"].as_str().unwrap(), &frame["id"]);
    if let Some(channel) = frame["ch"].as_str() {
        let symbols = texts(&frame["params"]["symbols"]);
        let ack = json!({"result": {"ch": channel, "subscriptions": symbols}, "id": id}).to_string();
        let books = symbols.into_iter().filter(|_| channel == "orderbook/full");
        let leaves = method == "unsubscribe";
        let book = |symbol| if leaves { Act::Leave(symbol) } else { Act::Book(symbol) };
        return std::iter::once(Act::Say(ack)).chain(books.map(book)).collect();
    }
    let symbol = frame["params"]["symbol"].as_str().unwrap().to_owned();
    let ack = Act::Say(json!({"jsonrpc": "2.0", "result": true, "id": id}).to_string());
    match method {
        "subscribeOrderbook" => vec![ack, Act::Book(symbol)],
        "unsubscribeOrderbook" => vec![ack, Act::Leave(symbol)],
        _ => vec![ack],
    }
}

fn bitget(frame: &Value) -> Vec<Act> {
    let op = frame["op"].as_str().unwrap();
    let mut acts = Vec::new();
    for arg in frame["args"].as_array().unwrap() {
        acts.push(Act::Say(json!({"event": op, "arg": arg}).to_string()));
    }
    for arg in frame["args"].as_array().unwrap().iter().filter(|arg| arg["channel"] == "books") {
        let symbol = arg["instId"].as_str().unwrap().to_owned();
        acts.push(if op == "subscribe" { Act::Book(symbol) } else { Act::Leave(symbol) });
    }
    acts
}

fn bitmex(frame: &Value) -> Vec<Act> {
    let op = frame["op"].as_str().unwrap();
    let mut acts = Vec::new();
    for topic in texts(&frame["args"]) {
        acts.push(Act::Say(json!({"success": true, op: topic, "request": frame}).to_string()));
        if let Some(symbol) = topic.strip_prefix("orderBookL2:") {
            let symbol = symbol.to_owned();
            acts.push(if op == "subscribe" { Act::Book(symbol) } else { Act::Leave(symbol) });
        }
    }
    acts
}

fn phemex(frame: &Value) -> Vec<Act> {
    let ack =
        |result: Value| Act::Say(json!({"error": null, "id": frame["id"], "result": result}).to_string());
    match frame["method"].as_str().unwrap() {
        "server.ping" => vec![ack("pong".into())],
        "orderbook_p.subscribe" | "orderbook.subscribe" => {
            let books = texts(&frame["params"]).into_iter().map(Act::Book);
            std::iter::once(ack(json!({"status": "success"}))).chain(books).collect()
        }
        "orderbook_p.unsubscribe" => vec![ack(json!({"status": "success"})), Act::Leave("*".to_owned())],
        _ => vec![ack(json!({"status": "success"}))],
    }
}

fn bitmart(frame: &Value) -> Vec<Act> {
    let symbol_of = |topic: &str, book: &str| topic.strip_prefix(book).map(str::to_owned);
    let mut acts = Vec::new();
    if let Some(op) = frame["op"].as_str() {
        for topic in texts(&frame["args"]) {
            if op != "request" {
                acts.push(Act::Say(json!({"event": op, "topic": topic}).to_string()));
            }
            acts.extend(symbol_of(&topic, "spot/depth/increase100:").map(Act::Book));
        }
        return acts;
    }
    if frame["action"] == "ping" {
        return vec![Act::Say(json!({"group": "System", "data": "pong+1"}).to_string())];
    }
    for topic in texts(&frame["args"]) {
        if frame["action"] == "subscribe" {
            let ack = json!({"action": "subscribe", "group": topic, "success": true, "request": frame});
            acts.push(Act::Say(ack.to_string()));
        }
        acts.extend(symbol_of(&topic, "futures/depthIncrease50:").map(Act::Book));
    }
    acts
}
