//! Public channels: what each says, and when it says something new.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::changes::Changes;
use super::public::{self, candles_of};
use super::shape;
use crate::market::{Instrument, InstrumentId, Level, OrderBook, Side, Timestamp};
use crate::paper::PaperExchange;
use crate::sim::View;
use crate::venue::api::SocketId;
use crate::venue::bitmart::wire;

/// A public channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channel {
    Ticker,
    BookTicker,
    /// Candles of so many minutes, and how the wire spells that.
    Kline(u64, &'static str),
    /// The best so many levels, whole each time.
    Depth(usize),
    /// The best hundred levels, changes only.
    Increase,
    Trade,
}

const KLINES: [(&str, u64); 13] = [
    ("1m", 1),
    ("3m", 3),
    ("5m", 5),
    ("15m", 15),
    ("30m", 30),
    ("45m", 45),
    ("1H", 60),
    ("2H", 120),
    ("3H", 180),
    ("4H", 240),
    ("1D", 1_440),
    ("1W", 10_080),
    ("1M", 43_200),
];

impl Channel {
    /// The channel of a name: `spot/depth50`.
    pub(super) fn of(name: &str) -> Option<Self> {
        let name = name.strip_prefix("spot/")?;
        if let Some(step) = name.strip_prefix("kline") {
            let (spelled, minutes) = KLINES.iter().find(|(spelled, _)| *spelled == step)?;
            return Some(Self::Kline(*minutes, spelled));
        }
        Some(match name {
            "ticker" => Self::Ticker,
            "bookTicker" => Self::BookTicker,
            "depth5" => Self::Depth(5),
            "depth20" => Self::Depth(20),
            "depth50" => Self::Depth(50),
            "depth/increase100" => Self::Increase,
            "trade" => Self::Trade,
            _ => return None,
        })
    }

    /// How long it is silent between two pushes, at least.
    fn pause(self) -> Duration {
        Duration::from_millis(match self {
            Self::Trade | Self::BookTicker => 0,
            Self::Increase => 100,
            Self::Ticker | Self::Kline(..) | Self::Depth(_) => 500,
        })
    }
}

/// Levels of the incremental book.
const INCREASE: usize = 100;

/// A channel of one symbol, with who listens and what they were told.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) channel: Channel,
    pub(super) instrument: InstrumentId,
    pub(super) listeners: BTreeSet<SocketId>,
    /// When it spoke last.
    spoke: Timestamp,
    /// What it said last, where that says whether there is something new.
    said: String,
    /// The last public trade that was told of.
    trades: u64,
    /// The book that was told, bids and asks.
    book: [Vec<Level>; 2],
    /// Room for the next one, and for what takes the one to the other.
    spare: [Vec<Level>; 2],
    changes: [Changes; 2],
    /// How many edits the tape's book had when it was looked at, where that book was all that was seen of a side.
    looked: [Option<u64>; 2],
    version: i64,
}

impl Topic {
    pub(super) fn new(channel: Channel, instrument: InstrumentId) -> Self {
        Self {
            channel,
            instrument,
            listeners: BTreeSet::new(),
            spoke: Timestamp::MIN,
            said: String::new(),
            trades: 0,
            book: [Vec::new(), Vec::new()],
            spare: [Vec::new(), Vec::new()],
            changes: [Changes::default(), Changes::default()],
            looked: [None; 2],
            version: 0,
        }
    }

    /// Somebody begins to listen: what it is told at once, if anything.
    pub(super) fn join(&mut self, paper: &PaperExchange, socket: SocketId) -> Option<String> {
        if self.listeners.is_empty() {
            // Nobody was told anything for a while: it begins anew, under the next version.
            self.trades = paper.print_count(self.instrument);
            self.said.clear();
            Side::BOTH.into_iter().for_each(|side| self.look(paper, side));
            self.version += 1;
        }
        self.listeners.insert(socket);
        let instrument = paper.names().instrument(self.instrument)?;
        match self.channel {
            Channel::Trade => None,
            Channel::Increase => Some(self.all(paper, instrument)),
            _ => self.whole(paper, instrument).map(|(table, data)| push(&table, &data, paper.now())),
        }
    }

    /// The book anew, for whoever lost a version.
    pub(super) fn snapshot(&self, paper: &PaperExchange) -> Option<String> {
        let instrument = paper.names().instrument(self.instrument)?;
        (self.channel == Channel::Increase).then(|| self.all(paper, instrument))
    }

    /// What is new, if anything is and it is time to say so.
    pub(super) fn news(&mut self, paper: &PaperExchange) -> Option<String> {
        let instrument = paper.names().instrument(self.instrument)?;
        let now = paper.now();
        if self.spoke != Timestamp::MIN && now < self.spoke.plus(self.channel.pause()) {
            return None;
        }
        let frame = match self.channel {
            Channel::Trade => self.new_trades(paper, instrument)?,
            Channel::Increase => {
                Side::BOTH.into_iter().for_each(|side| self.look(paper, side));
                let [bids, asks] = &self.changes;
                let count = bids.len() + asks.len();
                if count == 0 {
                    return None;
                }
                self.version += 1;
                let told = (false, now, self.version);
                increase(instrument, (bids.levels(), asks.levels()), count, told)
            }
            _ => {
                let (table, data) = self.whole(paper, instrument)?;
                let said = data.to_string();
                if said == self.said {
                    return None;
                }
                self.said = said;
                push(&table, &data, now)
            }
        };
        self.spoke = now;
        Some(frame)
    }

    /// Brings a side of the book to what it is, and finds what is new there.
    fn look(&mut self, paper: &PaperExchange, side: Side) {
        let (at, id) = (side.index(), self.instrument);
        let (book, changes) = (&mut self.book[at], &mut self.changes[at]);
        let bare = paper.sim().bare_book(id, side, View::Public);
        let known = self.looked[at].zip(bare).and_then(|(since, bare)| Some((bare, paper.edits(id, since)?)));
        if let Some((bare, edits)) = known {
            let set = edits.iter().filter(|(edited, _)| *edited == side).map(|(_, price)| *price);
            changes.follow((side, bare.side(side)), set, (book, INCREASE));
        } else {
            let spare = &mut self.spare[at];
            spare.clear();
            paper.sim().best_levels(id, side, View::Public, (INCREASE, spare));
            changes.find(side, book, spare);
            std::mem::swap(book, spare);
        }
        self.looked[at] = bare.map(OrderBook::edits);
    }

    /// The whole book that was told.
    fn all(&self, paper: &PaperExchange, instrument: &Instrument) -> String {
        let [bids, asks] = &self.book;
        let levels = (bids.iter().copied(), asks.iter().copied());
        increase(instrument, levels, bids.len() + asks.len(), (true, paper.now(), self.version))
    }

    fn new_trades(&mut self, paper: &PaperExchange, instrument: &Instrument) -> Option<String> {
        let count = paper.print_count(self.instrument);
        let new = usize::try_from(count.saturating_sub(self.trades)).unwrap_or(usize::MAX);
        self.trades = count;
        let mut rows: Vec<Value> = paper
            .prints(self.instrument)
            .take(new)
            .map(|print| {
                let millis = print.at.millis();
                json!({
                    "symbol": instrument.symbol,
                    "price": shape::price(instrument, print.price),
                    "side": print.aggressor.map_or("", Side::name),
                    "size": shape::size_text(instrument, instrument.qty_decimal(print.qty)),
                    "s_t": millis.div_euclid(1_000),
                    "ms_t": millis,
                })
            })
            .collect();
        rows.reverse();
        (!rows.is_empty()).then(|| json!({ "table": "spot/trade", "data": rows }).to_string())
    }

    /// All that a channel says each time, without the time.
    fn whole(&self, paper: &PaperExchange, instrument: &Instrument) -> Option<(String, Value)> {
        let id = self.instrument;
        let (bid, bid_size) = shape::best(paper, id, instrument, Side::Buy);
        let (ask, ask_size) = shape::best(paper, id, instrument, Side::Sell);
        let symbol = instrument.symbol.as_str();
        match self.channel {
            Channel::Ticker => {
                let day = shape::ticker(paper, id, instrument)?;
                let data = json!({
                    "ask_px": ask,
                    "ask_sz": ask_size,
                    "base_volume_24h": day.base,
                    "bid_px": bid,
                    "bid_sz": bid_size,
                    "fluctuation": day.change,
                    "high_24h": day.high,
                    "last_price": day.last,
                    "low_24h": day.low,
                    "open_24h": day.open,
                    "quote_volume_24h": day.quote,
                    "symbol": symbol,
                });
                Some(("spot/ticker".into(), data))
            }
            Channel::BookTicker => {
                let data = json!({
                    "symbol": symbol,
                    "bid_px": bid,
                    "bid_sz": bid_size,
                    "ask_px": ask,
                    "ask_sz": ask_size,
                });
                Some(("spot/bookTicker".into(), data))
            }
            Channel::Depth(depth) => {
                let data = json!({
                    "asks": public::levels(paper, id, instrument, Side::Sell, depth),
                    "bids": public::levels(paper, id, instrument, Side::Buy, depth),
                    "symbol": symbol,
                });
                Some((format!("spot/depth{depth}"), data))
            }
            Channel::Kline(minutes, spelled) => {
                let span = Duration::from_secs(minutes * 120);
                let candles = candles_of(paper, id, minutes, (paper.now().minus(span), Timestamp::MAX));
                let candle = candles.last()?;
                let data = json!({
                    "candle": [
                        candle.at.millis().div_euclid(1_000),
                        shape::price(instrument, candle.open),
                        shape::price(instrument, candle.high),
                        shape::price(instrument, candle.low),
                        shape::price(instrument, candle.close),
                        shape::size_text(instrument, instrument.qty_decimal(candle.qty)),
                    ],
                    "symbol": symbol,
                });
                Some((format!("spot/kline{spelled}"), data))
            }
            Channel::Increase | Channel::Trade => None,
        }
    }
}

/// A frame of the incremental book: bids and asks and how many there are; whether they are all, when, its version.
fn increase(
    instrument: &Instrument,
    levels: (impl Iterator<Item = Level>, impl Iterator<Item = Level>),
    count: usize,
    told: (bool, Timestamp, i64),
) -> String {
    // About thirty bytes a level, and what stands around them.
    let mut frame = String::with_capacity(160 + 32 * count);
    wire::write_increase(&mut frame, instrument, levels, told);
    frame
}

/// A push; candles carry no time of their own.
fn push(table: &str, data: &Value, now: Timestamp) -> String {
    let mut data = data.clone();
    if let Value::Object(fields) = &mut data
        && !table.starts_with("spot/kline")
    {
        fields.insert("ms_t".into(), now.millis().into());
        if table == "spot/ticker" {
            fields.insert("s_t".into(), now.millis().div_euclid(1_000).into());
        }
    }
    json!({ "data": [data], "table": table }).to_string()
}
