//! Public channels of contracts: what each says, and when it says something new.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use smol_str::SmolStr;

use super::super::changes::Changes;
use super::super::public::candles_of;
use super::super::shape as spot;
use super::market::{LOWER, UPPER};
use super::memory::Memory;
use super::{contracts, find, shape};
use crate::market::{Instrument, InstrumentId, Level, Side, Timestamp};
use crate::paper::{PaperExchange, PublicPrint};
use crate::sim::View;
use crate::venue::api::SocketId;

/// A public channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Channel {
    Ticker,
    BookTicker,
    /// One side in a frame, so many levels.
    Depth(usize),
    /// The whole book, so many levels.
    DepthAll(usize),
    /// Its changes.
    DepthIncrease(usize),
    Trade,
    /// Candles of so many minutes.
    Kline(u64),
    MarkKline(u64),
    Funding,
}

const KLINES: [(&str, u64); 10] = [
    ("1m", 1),
    ("3m", 3),
    ("5m", 5),
    ("15m", 15),
    ("30m", 30),
    ("1H", 60),
    ("2H", 120),
    ("4H", 240),
    ("1D", 1_440),
    ("1W", 10_080),
];

impl Channel {
    fn of(name: &str) -> Option<Self> {
        let steps = |text: &str| KLINES.iter().find(|(step, _)| *step == text).map(|(_, minutes)| *minutes);
        let levels = |text: &str| match text {
            "5" => Some(5),
            "20" => Some(20),
            "50" => Some(50),
            _ => None,
        };
        let prefixed = [
            name.strip_prefix("klineBin").and_then(steps).map(Self::Kline),
            name.strip_prefix("markPriceKlineBin").and_then(steps).map(Self::MarkKline),
            name.strip_prefix("depthAll").and_then(levels).map(Self::DepthAll),
            name.strip_prefix("depthIncrease").and_then(levels).map(Self::DepthIncrease),
            name.strip_prefix("depth").and_then(levels).map(Self::Depth),
        ];
        if let Some(found) = prefixed.into_iter().flatten().next() {
            return Some(found);
        }
        match name {
            "ticker" => Some(Self::Ticker),
            "bookticker" => Some(Self::BookTicker),
            "trade" => Some(Self::Trade),
            "fundingRate" => Some(Self::Funding),
            _ => None,
        }
    }

    /// How long it is silent between two pushes, at least, where the topic names no speed.
    const fn pause(self) -> Duration {
        Duration::from_millis(match self {
            Self::Trade | Self::BookTicker => 0,
            Self::Depth(_) | Self::DepthAll(_) | Self::DepthIncrease(_) => 200,
            Self::Ticker | Self::Kline(_) | Self::MarkKline(_) => 1_000,
            Self::Funding => 60_000,
        })
    }

    /// Whether a topic may name its speed.
    const fn has_speed(self) -> bool {
        matches!(self, Self::Ticker | Self::Depth(_) | Self::DepthAll(_) | Self::DepthIncrease(_))
    }

    const fn levels(self) -> usize {
        match self {
            Self::Depth(levels) | Self::DepthAll(levels) | Self::DepthIncrease(levels) => levels,
            _ => 0,
        }
    }
}

/// What a topic's name stands for: `futures/depth20:BTCUSDT@200ms`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    channel: Channel,
    /// Of which contract; `None`: of all of them.
    instrument: Option<InstrumentId>,
    pause: Duration,
}

impl Wanted {
    pub(super) fn of(paper: &PaperExchange, name: &str) -> Option<Self> {
        let name = name.strip_prefix("futures/")?;
        let (name, speed) = name.split_once('@').map_or((name, None), |(name, speed)| (name, Some(speed)));
        let (channel, symbol) =
            name.split_once(':').map_or((name, None), |(channel, symbol)| (channel, Some(symbol)));
        let channel = Channel::of(channel)?;
        let pause = match speed {
            None => channel.pause(),
            Some("100ms") if channel.has_speed() => Duration::from_millis(100),
            Some("200ms") if channel.has_speed() => Duration::from_millis(200),
            Some(_) => return None,
        };
        let instrument = match symbol {
            Some(symbol) => Some(find(paper, symbol)?.0),
            None if channel == Channel::Ticker => None,
            None => return None,
        };
        Some(Self { channel, instrument, pause })
    }
}

/// A topic, with who listens and what they were told.
#[derive(Debug)]
pub(super) struct Topic {
    name: SmolStr,
    wanted: Wanted,
    pub(super) listeners: BTreeSet<SocketId>,
    /// When it spoke last.
    spoke: Timestamp,
    /// What it said last, without the time.
    said: Vec<Value>,
    /// The last public trade that was told of.
    trades: u64,
    /// The book that was told, bids and asks.
    book: [Vec<Level>; 2],
    version: i64,
}

impl Topic {
    pub(super) fn new(name: &str, wanted: Wanted) -> Self {
        Self {
            name: name.into(),
            wanted,
            listeners: BTreeSet::new(),
            spoke: Timestamp::MIN,
            said: Vec::new(),
            trades: 0,
            book: [Vec::new(), Vec::new()],
            version: 0,
        }
    }

    /// The contracts that it speaks of.
    fn instruments<'a>(&self, paper: &'a PaperExchange) -> Vec<(InstrumentId, &'a Instrument)> {
        let wanted = self.wanted.instrument;
        contracts(paper).filter(|(id, _)| wanted.is_none_or(|wanted| wanted == *id)).collect()
    }

    /// Somebody begins to listen: what it is told at once, if anything.
    pub(super) fn join(&mut self, paper: &PaperExchange, memory: &Memory, socket: SocketId) -> Vec<String> {
        if self.listeners.is_empty() {
            // Nobody was told anything for a while: it begins anew, under the next version.
            for (id, _) in self.instruments(paper) {
                self.trades = paper.print_count(id);
                self.book = levels(paper, id, self.wanted.channel.levels());
            }
            let all = self.instruments(paper).into_iter();
            self.said = all.flat_map(|(id, instrument)| self.whole(paper, memory, id, instrument)).collect();
            self.spoke = paper.now();
            self.version += 1;
        }
        self.listeners.insert(socket);
        self.now(paper, memory)
    }

    /// All that it says now, whether or not it was said; nothing of trades.
    pub(super) fn now(&self, paper: &PaperExchange, memory: &Memory) -> Vec<String> {
        let now = paper.now();
        let frames =
            self.instruments(paper).into_iter().flat_map(|(id, instrument)| match self.wanted.channel {
                Channel::Trade => Vec::new(),
                Channel::DepthIncrease(_) => vec![self.increase(instrument, &self.book, ("snapshot", now))],
                _ => self.stamped(self.whole(paper, memory, id, instrument), now),
            });
        frames.collect()
    }

    fn stamped(&self, rows: Vec<Value>, now: Timestamp) -> Vec<String> {
        rows.into_iter().map(|row| push(&self.name, self.wanted.channel, row, now)).collect()
    }

    /// What is new, if anything is and it is time to say so.
    pub(super) fn news(&mut self, paper: &PaperExchange, memory: &Memory) -> Vec<String> {
        let now = paper.now();
        if self.spoke != Timestamp::MIN && now < self.spoke.plus(self.wanted.pause) {
            return Vec::new();
        }
        let channel = self.wanted.channel;
        let mut frames = Vec::new();
        let mut said = Vec::new();
        for (id, instrument) in self.instruments(paper) {
            match channel {
                Channel::Trade => frames.extend(self.new_trades(paper, id, instrument)),
                Channel::DepthIncrease(depth) => {
                    let book = levels(paper, id, depth);
                    if book != self.book {
                        let changes = Side::BOTH.map(|side| {
                            let mut changes = Changes::default();
                            changes.find(side, &self.book[side.index()], &book[side.index()]);
                            changes.levels().collect()
                        });
                        self.book = book;
                        self.version += 1;
                        frames.push(self.increase(instrument, &changes, ("update", now)));
                    }
                }
                _ => said.extend(self.whole(paper, memory, id, instrument)),
            }
        }
        // Funding is told each minute, new or not; both sides of a book come together.
        if channel == Channel::Funding || (said != self.said && matches!(channel, Channel::Depth(_))) {
            frames = self.stamped(said.clone(), now);
            self.said = said;
        } else if said != self.said {
            let new: Vec<Value> = said.iter().filter(|row| !self.said.contains(row)).cloned().collect();
            frames.extend(self.stamped(new, now));
            self.said = said;
        }
        if !frames.is_empty() {
            self.spoke = now;
        }
        frames
    }

    fn increase(
        &self,
        instrument: &Instrument,
        [bids, asks]: &[Vec<Level>; 2],
        (kind, now): (&str, Timestamp),
    ) -> String {
        let data = json!({
            "symbol": instrument.symbol,
            "asks": rows(instrument, asks),
            "bids": rows(instrument, bids),
            "ms_t": now.millis(),
            "version": self.version,
            "type": kind,
        });
        json!({ "data": data, "group": self.name.as_str() }).to_string()
    }

    /// One trade in a frame: a client reads only the first.
    fn new_trades(
        &mut self,
        paper: &PaperExchange,
        id: InstrumentId,
        instrument: &Instrument,
    ) -> Vec<String> {
        let count = paper.print_count(id);
        let new = usize::try_from(count.saturating_sub(self.trades)).unwrap_or(usize::MAX);
        self.trades = count;
        let mut rows: Vec<&PublicPrint> = paper.prints(id).take(new).collect();
        rows.reverse();
        let frame = |print: &PublicPrint| {
            // 5: who came bought, and both opened; 4: who came sold.
            let sold = print.aggressor == Some(Side::Sell);
            let row = json!({
                "trade_id": 5_000_000_000_000_000 + print.number,
                "symbol": instrument.symbol,
                "deal_price": shape::plain(instrument.price_decimal(print.price)),
                "deal_vol": shape::contracts(instrument, print.qty),
                "way": if sold { 4 } else { 5 },
                "m": sold,
                "created_at": nine_digits(print.at),
            });
            json!({ "group": self.name.as_str(), "data": [row] }).to_string()
        };
        rows.into_iter().map(frame).collect()
    }

    /// All that a channel says of a contract each time, without the time.
    fn whole(
        &self,
        paper: &PaperExchange,
        memory: &Memory,
        id: InstrumentId,
        instrument: &Instrument,
    ) -> Vec<Value> {
        let symbol = instrument.symbol.as_str();
        match self.wanted.channel {
            Channel::Ticker => ticker(paper, id, instrument).into_iter().collect(),
            Channel::BookTicker => {
                let (bid, bid_size) = best(paper, id, instrument, Side::Buy);
                let (ask, ask_size) = best(paper, id, instrument, Side::Sell);
                vec![json!({
                    "symbol": symbol,
                    "best_bid_price": bid,
                    "best_bid_vol": bid_size,
                    "best_ask_price": ask,
                    "best_ask_vol": ask_size,
                })]
            }
            Channel::Depth(depth) => {
                let book = levels(paper, id, depth);
                let side = |way: usize, levels: &[Level]| json!({ "symbol": symbol, "way": way, "depths": rows(instrument, levels) });
                vec![side(1, &book[0]), side(2, &book[1])]
            }
            Channel::DepthAll(depth) => {
                let [bids, asks] = levels(paper, id, depth).map(|levels| rows(instrument, &levels));
                vec![json!({ "symbol": symbol, "asks": asks, "bids": bids })]
            }
            Channel::Kline(minutes) => {
                let span = Duration::from_secs(minutes * 120);
                let candles = candles_of(paper, id, minutes, (paper.now().minus(span), Timestamp::MAX));
                let item = candles.last().map(|candle| {
                    let [o, h, l, c] = [candle.open, candle.high, candle.low, candle.close]
                        .map(|price| shape::plain(instrument.price_decimal(price)));
                    let v = shape::contracts(instrument, candle.qty);
                    json!({ "o": o, "h": h, "l": l, "c": c, "v": v, "ts": candle.at.millis() / 1_000 })
                });
                item.map(|item| json!({ "symbol": symbol, "items": [item] })).into_iter().collect()
            }
            Channel::MarkKline(minutes) => {
                let candles = memory.marks(id, minutes, (Timestamp::MIN, Timestamp::MAX));
                let item = candles.last().map(|candle| {
                    let [o, h, l, c] = [candle.open, candle.high, candle.low, candle.close]
                        .map(|price| shape::plain(shape::fine(instrument, price)));
                    json!({ "o": o, "h": h, "l": l, "c": c, "v": "0", "ts": candle.at.millis() / 1_000 })
                });
                item.map(|item| json!({ "symbol": symbol, "items": [item] })).into_iter().collect()
            }
            Channel::Funding => funding(paper, memory, id, symbol).into_iter().collect(),
            Channel::Trade | Channel::DepthIncrease(_) => Vec::new(),
        }
    }
}

fn levels(paper: &PaperExchange, id: InstrumentId, depth: usize) -> [Vec<Level>; 2] {
    Side::BOTH.map(|side| paper.sim().levels(id, side, View::Public).take(depth).collect())
}

fn rows(instrument: &Instrument, levels: &[Level]) -> Vec<Value> {
    let row = |level: &Level| json!({ "price": spot::price(instrument, level.price), "vol": shape::contracts(instrument, level.qty) });
    levels.iter().map(row).collect()
}

fn best(paper: &PaperExchange, id: InstrumentId, instrument: &Instrument, side: Side) -> (String, String) {
    let level = paper.sim().levels(id, side, View::Public).next();
    let shown =
        level.map(|level| (spot::price(instrument, level.price), shape::contracts(instrument, level.qty)));
    shown.unwrap_or_else(|| ("0".to_owned(), "0".to_owned()))
}

fn ticker(paper: &PaperExchange, id: InstrumentId, instrument: &Instrument) -> Option<Value> {
    let day = spot::ticker(paper, id, instrument)?;
    let (bid, bid_size) = best(paper, id, instrument, Side::Buy);
    let (ask, ask_size) = best(paper, id, instrument, Side::Sell);
    let mark = paper.sim().mark(id).map(|(price, _)| shape::plain(shape::fine(instrument, price)));
    let index = paper.sim().index_price(id).map(|price| shape::plain(shape::fine(instrument, price)));
    let mark = mark.unwrap_or_else(|| day.last.clone());
    Some(json!({
        "symbol": instrument.symbol,
        "last_price": day.last,
        "volume_24": day.base,
        "range": day.change,
        "index_price": index.unwrap_or_else(|| mark.clone()),
        "mark_price": mark,
        "ask_price": ask,
        "ask_vol": ask_size,
        "bid_price": bid,
        "bid_vol": bid_size,
    }))
}

/// On the wire `fundingRate` is the last rate that was settled, `nextFundingRate` the coming one.
fn funding(paper: &PaperExchange, memory: &Memory, id: InstrumentId, symbol: &str) -> Option<Value> {
    let (coming, _, due) = paper.sim().funding(id)?;
    let settled = memory.settled(id).next_back().map(|(rate, _)| rate);
    Some(json!({
        "symbol": symbol,
        "fundingRate": shape::rate(settled.unwrap_or(coming)),
        "nextFundingRate": shape::rate(coming),
        "nextFundingTime": due.millis(),
        "funding_upper_limit": UPPER,
        "funding_lower_limit": LOWER,
    }))
}

/// A push with the times that its channel has.
fn push(name: &str, channel: Channel, mut row: Value, now: Timestamp) -> String {
    if let Value::Object(fields) = &mut row {
        match channel {
            Channel::BookTicker | Channel::Depth(_) | Channel::DepthAll(_) => {
                fields.insert("ms_t".into(), now.millis().into());
            }
            Channel::Funding => {
                fields.insert("fundingTime".into(), now.millis().into());
                fields.insert("ts".into(), now.millis().into());
            }
            _ => {}
        }
    }
    json!({ "group": name, "data": row }).to_string()
}

/// `2023-11-14T22:13:20.123456789Z`: always nine digits.
fn nine_digits(time: Timestamp) -> String {
    let at = jiff::Timestamp::from_nanosecond(i128::from(time.nanos())).unwrap_or_default();
    format!("{at:.9}")
}
