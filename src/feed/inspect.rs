//! What a recording holds, and its books at a point: the answer of `inspect`.

use std::path::Path;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use smol_str::SmolStr;

use super::csv::UNKNOWN_QUOTE;
use super::recording::{Recording, RecordingOptions};
use crate::market::decimal::Plain;
use crate::market::{
    FeedStats, Group, GroupKind, Instrument, MarketEvent, OrderBook, Price, Print, Side, Source, SourceError,
    Timestamp,
};

/// Rows that say how far the recorder's clock and the exchange's are apart.
const CLOCK_ROWS: u64 = 10_000;

/// How far to look and how deep to show.
#[derive(Clone, Default)]
pub struct InspectOptions {
    /// How the file is read; its `lines` are where the books are looked at.
    pub reading: RecordingOptions,
    /// Only groups received up to here.
    pub until: Option<Timestamp>,
    /// Levels a side.
    pub depth: usize,
    /// Whether the numbers of [`Clocks`] are wanted.
    pub stats: bool,
}

/// What a recording holds. As JSON, its fields are those of `inspect --json`.
#[derive(Debug, Serialize)]
pub struct Inspection {
    /// The file as it was named.
    pub file: String,
    /// How many lines were read.
    pub after_line: u64,
    /// The venue, or the exchange that a CSV file names.
    pub venue: Option<String>,
    /// The connection of a tape, where it is one.
    pub connection: Option<u64>,
    /// The books by the exchange's symbol, in the order of the file.
    #[serde(serialize_with = "as_map")]
    pub books: Vec<(SmolStr, BookView)>,
    /// Messages of the exchange.
    pub messages: u64,
    /// Messages that changed a book.
    pub book_updates: u64,
    /// The trades by the exchange's symbol, in the order of the file.
    #[serde(serialize_with = "as_map")]
    pub trades: Vec<(SmolStr, TradesView)>,
    /// Breaks in sequence numbers.
    pub gaps: u64,
    /// Books that did not match the venue's checksum.
    pub checksum_failures: u64,
    /// Rows earlier than the clock.
    pub time_went_back: u64,
    /// Rows, lines or frames that could not be read.
    pub errors: u64,
    /// More about times and books, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stats: Option<Clocks>,
}

/// One book.
#[derive(Debug, Serialize)]
pub struct BookView {
    /// Its pair, where a rule maps the symbol.
    pub pair: Option<String>,
    /// The best bids: price and amount.
    pub bids: Vec<(String, String)>,
    /// The best asks.
    pub asks: Vec<(String, String)>,
    /// All bid levels.
    pub bid_levels: usize,
    /// All ask levels.
    pub ask_levels: usize,
}

/// The trades of one symbol.
#[derive(Debug, Serialize)]
pub struct TradesView {
    /// How many.
    pub count: u64,
    /// All of them together.
    pub volume: String,
    /// What buyers took.
    pub buy_volume: String,
    /// What sellers took.
    pub sell_volume: String,
    /// The first price.
    pub first_price: String,
    /// The last price.
    pub last_price: String,
}

/// Times, and what was odd about the books.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Clocks {
    /// The earliest receive time.
    pub first_ns: Option<i64>,
    /// The latest receive time.
    pub last_ns: Option<i64>,
    /// The smallest receive − exchange time.
    pub latency_min_ns: Option<i64>,
    /// The largest receive − exchange time.
    pub latency_max_ns: Option<i64>,
    /// By how much `--clock exchange` moves the receive times: the worst of the first 10,000 rows.
    pub clock_shift_ns: i64,
    /// Events read.
    pub events: u64,
    /// Snapshots that followed a snapshot without a change between them.
    pub merged_snapshots: u64,
    /// Messages after which a book was crossed or locked.
    pub crossed: u64,
}

/// What was counted of one instrument.
#[derive(Default)]
struct Seen {
    /// From the first snapshot on.
    book: Option<OrderBook>,
    count: u64,
    volume: i128,
    by_side: [i128; 2],
    first: Option<Price>,
    last: Option<Price>,
}

/// Reads a recording and says what it holds.
pub fn inspect(file: &Path, options: &InspectOptions) -> Result<Inspection, SourceError> {
    let mut source = Recording::open(file, &options.reading)?;
    let (mut seen, mut clocks): (Vec<Seen>, _) = (Vec::new(), Clocks::default());
    let mut before = (0, FeedStats::default());
    let (after_line, stats) = loop {
        match source.advance()? {
            // What lies behind the point in time is as good as not read.
            Some(time) if options.until.is_some_and(|until| time > until) => break before,
            Some(_) => {}
            None => break (source.lines(), source.stats()),
        }
        if options.until.is_some() {
            before = (source.lines(), source.stats());
        }
        let group = source.group();
        let index = group.instrument.index();
        while seen.len() <= index {
            seen.push(Seen::default());
        }
        let Some(instrument) = source.instruments().get(index) else { continue };
        clocks.note(&group);
        seen[index].apply(instrument, &group, &mut clocks);
    };
    clocks.merged_snapshots = stats.merged_snapshots;
    let views = || seen.iter().zip(source.instruments());
    Ok(Inspection {
        file: file.display().to_string(),
        after_line,
        venue: source.venue().map(str::to_owned),
        connection: source.connection(),
        books: views().filter_map(|(seen, instrument)| seen.book_view(instrument, options.depth)).collect(),
        messages: stats.messages,
        book_updates: stats.book_updates,
        trades: views().filter_map(|(seen, instrument)| seen.trades_view(instrument)).collect(),
        gaps: stats.gaps,
        checksum_failures: stats.checksum_failures,
        time_went_back: stats.time_went_back,
        errors: stats.errors,
        stats: options.stats.then_some(clocks),
    })
}

impl Seen {
    fn apply(&mut self, instrument: &Instrument, group: &Group<'_>, clocks: &mut Clocks) {
        if group.kind == GroupKind::Snapshot {
            self.book.get_or_insert_with(|| OrderBook::new(instrument.rule.tick)).clear();
        }
        let mut levels = false;
        for event in group.events {
            match *event {
                MarketEvent::Level { side, price, qty } => {
                    let book = self.book.get_or_insert_with(|| OrderBook::new(instrument.rule.tick));
                    book.set(side, price, qty);
                    levels = true;
                }
                MarketEvent::Trade(print) => self.trade(print),
                MarketEvent::Distrust
                | MarketEvent::Trading(_)
                | MarketEvent::Candle(_)
                | MarketEvent::News(_) => {}
            }
        }
        clocks.crossed += u64::from(levels && self.book.as_ref().is_some_and(OrderBook::is_crossed));
    }

    fn trade(&mut self, print: Print) {
        let qty = i128::from(print.qty.units());
        // A point of a candle's path that nothing is told to have traded at is no trade.
        self.count += u64::from(qty != 0);
        self.volume += qty;
        if let Some(side) = print.aggressor {
            self.by_side[side.index()] += qty;
        }
        self.first.get_or_insert(print.price);
        self.last = Some(print.price);
    }

    fn book_view(&self, instrument: &Instrument, depth: usize) -> Option<(SmolStr, BookView)> {
        let book = self.book.as_ref()?;
        let levels = |side| {
            let shown = book.levels(side).take(depth);
            shown
                .map(|level| {
                    (
                        instrument.show_price(level.price).to_string(),
                        instrument.show_qty(level.qty).to_string(),
                    )
                })
                .collect()
        };
        let known = instrument.pair.quote.as_str() != UNKNOWN_QUOTE;
        let view = BookView {
            pair: known.then(|| instrument.pair.to_string()),
            bids: levels(Side::Buy),
            asks: levels(Side::Sell),
            bid_levels: book.side(Side::Buy).len(),
            ask_levels: book.side(Side::Sell).len(),
        };
        Some((instrument.symbol.clone(), view))
    }

    fn trades_view(&self, instrument: &Instrument) -> Option<(SmolStr, TradesView)> {
        let volume = |units: i128| Plain::new(units, instrument.qty_scale).to_string();
        let view = TradesView {
            count: self.count,
            volume: volume(self.volume),
            buy_volume: volume(self.by_side[Side::Buy.index()]),
            sell_volume: volume(self.by_side[Side::Sell.index()]),
            first_price: instrument.show_price(self.first?).to_string(),
            last_price: instrument.show_price(self.last?).to_string(),
        };
        Some((instrument.symbol.clone(), view))
    }
}

impl Clocks {
    fn note(&mut self, group: &Group<'_>) {
        let (received, latency) =
            (group.receive_time.nanos(), group.receive_time.nanos_since(group.exchange_time));
        self.first_ns = Some(self.first_ns.map_or(received, |first| first.min(received)));
        self.last_ns = Some(self.last_ns.map_or(received, |last| last.max(received)));
        self.latency_min_ns = Some(self.latency_min_ns.map_or(latency, |least| least.min(latency)));
        self.latency_max_ns = Some(self.latency_max_ns.map_or(latency, |most| most.max(latency)));
        if self.events < CLOCK_ROWS {
            self.clock_shift_ns = self.clock_shift_ns.max(latency.saturating_neg());
        }
        self.events += group.events.len().max(1) as u64;
    }
}

/// Pairs as a JSON object, in their own order.
fn as_map<V: Serialize, S: Serializer>(pairs: &[(SmolStr, V)], to: S) -> Result<S::Ok, S::Error> {
    let mut map = to.serialize_map(Some(pairs.len()))?;
    for (name, value) in pairs {
        map.serialize_entry(name.as_str(), value)?;
    }
    map.end()
}
