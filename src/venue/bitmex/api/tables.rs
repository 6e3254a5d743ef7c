//! The public tables of the realtime socket: what each says at first, and what is new.

use std::collections::BTreeSet;
use std::time::Duration;

use super::public::{self, BINS};
use super::row::{Row, array};
use super::rows;
use crate::market::{Instrument, InstrumentId, Level, Side, Timestamp};
use crate::paper::PaperExchange;
use crate::sim::View;
use crate::venue::api::SocketId;

/// A public table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    /// Levels: the best so many of a side.
    L2(usize, &'static str),
    Book10,
    Trade,
    Quote,
    Instrument,
    /// Bins of so many seconds.
    Bin(u64, &'static str),
    /// Known, and nothing is ever in it.
    Empty(&'static str),
}

impl Table {
    pub(super) fn of(name: &str) -> Option<Self> {
        if let Some(step) = name.strip_prefix("tradeBin") {
            let names = ["tradeBin1m", "tradeBin5m", "tradeBin1h", "tradeBin1d"];
            let at = BINS.iter().position(|(known, _)| *known == step)?;
            return Some(Self::Bin(BINS[at].1, names[at]));
        }
        Some(match name {
            "orderBookL2" => Self::L2(usize::MAX, "orderBookL2"),
            "orderBookL2_25" => Self::L2(25, "orderBookL2_25"),
            "orderBook10" => Self::Book10,
            "trade" => Self::Trade,
            "quote" => Self::Quote,
            "instrument" => Self::Instrument,
            "funding" => Self::Empty("funding"),
            "liquidation" => Self::Empty("liquidation"),
            "settlement" => Self::Empty("settlement"),
            "insurance" => Self::Empty("insurance"),
            _ => return None,
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::L2(_, name) | Self::Bin(_, name) | Self::Empty(name) => name,
            Self::Book10 => "orderBook10",
            Self::Trade => "trade",
            Self::Quote => "quote",
            Self::Instrument => "instrument",
        }
    }

    /// The columns by which rows are known, and the types of some, as the partial names them.
    pub(super) fn schema(self) -> (&'static str, &'static str) {
        match self {
            Self::L2(..) => (
                r#"["symbol","id","side"]"#,
                r#"{"symbol":"symbol","id":"long","side":"symbol","size":"long","price":"float","timestamp":"timestamp","transactTime":"timestamp"}"#,
            ),
            Self::Book10 => {
                (r#"["symbol"]"#, r#"{"symbol":"symbol","bids":"","asks":"","timestamp":"timestamp"}"#)
            }
            Self::Instrument => (
                r#"["symbol"]"#,
                r#"{"symbol":"symbol","lastPrice":"float","bidPrice":"float","askPrice":"float","timestamp":"timestamp"}"#,
            ),
            Self::Trade => (
                "[]",
                r#"{"timestamp":"timestamp","symbol":"symbol","side":"symbol","size":"long","price":"float","tickDirection":"symbol","trdMatchID":"guid"}"#,
            ),
            Self::Quote => (
                "[]",
                r#"{"timestamp":"timestamp","symbol":"symbol","bidSize":"long","bidPrice":"float","askPrice":"float","askSize":"long"}"#,
            ),
            Self::Bin(..) => (
                "[]",
                r#"{"timestamp":"timestamp","symbol":"symbol","open":"float","high":"float","low":"float","close":"float","trades":"long","volume":"long"}"#,
            ),
            Self::Empty("liquidation") => (r#"["orderID"]"#, "{}"),
            Self::Empty("insurance") => (r#"["currency","timestamp"]"#, "{}"),
            Self::Empty(_) => (r#"["timestamp","symbol"]"#, "{}"),
        }
    }
}

/// A table of one instrument, with who listens and what they were told.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) table: Table,
    pub(super) instrument: InstrumentId,
    pub(super) listeners: BTreeSet<SocketId>,
    spoke: Timestamp,
    trades: u64,
    book: [Vec<Level>; 2],
    row: Row,
    /// The end of the last bin that was told.
    bin: Timestamp,
}

/// The instrument's row is told again after so long at the earliest.
pub(super) const PAUSE: Duration = Duration::from_millis(500);

impl Feed {
    pub(super) fn new(table: Table, instrument: InstrumentId) -> Self {
        Self {
            table,
            instrument,
            listeners: BTreeSet::new(),
            spoke: Timestamp::MIN,
            trades: 0,
            book: [Vec::new(), Vec::new()],
            row: Row::new(),
            bin: Timestamp::MIN,
        }
    }

    /// The rows with which a listener begins. The first one sets what all are told from then on.
    pub(super) fn partial(&mut self, paper: &PaperExchange) -> Vec<Row> {
        let Some(one) = paper.names().instrument(self.instrument) else { return Vec::new() };
        if self.listeners.is_empty() {
            self.trades = paper.print_count(self.instrument);
            self.book = self.levels(paper);
            self.row = self.current(paper, one);
            self.bin = paper.now();
        }
        match self.table {
            Table::L2(..) => {
                let (now, book, id) = (paper.now(), &self.book, self.instrument);
                let rows = |side: Side| {
                    let levels = book[side.index()].iter();
                    levels.map(move |level| rows::level(id, one, side, (level.price, Some(level.qty)), now))
                };
                let mut all: Vec<Row> = rows(Side::Sell).collect();
                all.reverse();
                all.extend(rows(Side::Buy));
                all
            }
            Table::Trade => {
                let mut last = paper.prints(self.instrument).take(2);
                let (print, before) = (last.next(), last.next());
                print.map(|print| rows::trade(one, print, before)).into_iter().collect()
            }
            Table::Book10 | Table::Quote | Table::Instrument => vec![self.row.clone().without_nulls()],
            Table::Bin(..) | Table::Empty(_) => Vec::new(),
        }
    }

    fn levels(&self, paper: &PaperExchange) -> [Vec<Level>; 2] {
        let Table::L2(depth, _) = self.table else { return [Vec::new(), Vec::new()] };
        Side::BOTH.map(|side| paper.sim().levels(self.instrument, side, View::Public).take(depth).collect())
    }

    /// The one row of a table that has one.
    fn current(&self, paper: &PaperExchange, one: &Instrument) -> Row {
        match self.table {
            Table::Book10 => book10(paper, self.instrument, one),
            Table::Quote => rows::quote(paper, self.instrument, one),
            Table::Instrument => rows::instrument(paper, self.instrument, one),
            _ => Row::new(),
        }
    }

    /// What is new: actions with their rows, as an array.
    pub(super) fn news(&mut self, paper: &PaperExchange) -> Vec<(&'static str, String)> {
        let Some(one) = paper.names().instrument(self.instrument).cloned() else { return Vec::new() };
        let now = paper.now();
        match self.table {
            Table::L2(..) => self.changes(paper, &one),
            Table::Trade => {
                let count = paper.print_count(self.instrument);
                let new = usize::try_from(count - self.trades.min(count)).unwrap_or(usize::MAX);
                self.trades = count;
                let prints: Vec<_> = paper.prints(self.instrument).take(new.saturating_add(1)).collect();
                let rows = prints.iter().take(new).enumerate();
                let mut rows: Vec<Row> =
                    rows.map(|(at, print)| rows::trade(&one, print, prints.get(at + 1).copied())).collect();
                rows.reverse();
                if rows.is_empty() { Vec::new() } else { vec![("insert", array(&rows))] }
            }
            Table::Quote | Table::Book10 | Table::Instrument => {
                let pause = if self.table == Table::Instrument { PAUSE } else { Duration::ZERO };
                if self.spoke != Timestamp::MIN && now < self.spoke.plus(pause) {
                    return Vec::new();
                }
                let row = self.current(paper, &one);
                let keys = ["symbol", "timestamp"];
                let Some(changed) = row.changes(&self.row, &keys) else { return Vec::new() };
                self.row = row.clone();
                self.spoke = now;
                let (action, row) = match self.table {
                    Table::Quote => ("insert", row),
                    Table::Book10 => ("update", row),
                    _ => ("update", changed),
                };
                vec![(action, array(&[row.without_nulls()]))]
            }
            Table::Bin(seconds, _) => {
                let step = Duration::from_secs(seconds);
                let span = (self.bin.minus(step), now);
                let bins = paper.candles(self.instrument, step, Duration::ZERO, span);
                let ended: Vec<_> = bins
                    .iter()
                    .filter(|bin| bin.at.plus(step) <= now && bin.at.plus(step) > self.bin)
                    .collect();
                let Some(last) = ended.last() else { return Vec::new() };
                self.bin = last.at.plus(step);
                let rows: Vec<Row> = ended.iter().map(|bin| rows::bin(&one, bin, step)).collect();
                vec![("insert", array(&rows))]
            }
            Table::Empty(_) => Vec::new(),
        }
    }

    /// What takes the book that was told to the one that is: what goes, what changes, what is new. In this order it is
    /// never crossed between them.
    fn changes(&mut self, paper: &PaperExchange, one: &Instrument) -> Vec<(&'static str, String)> {
        let book = self.levels(paper);
        if book == self.book {
            return Vec::new();
        }
        let now = paper.now();
        let [mut gone, mut changed, mut new] = [const { Vec::new() }; 3];
        for side in Side::BOTH {
            let before: std::collections::BTreeMap<_, _> =
                self.book[side.index()].iter().map(|level| (level.price, level.qty)).collect();
            let after: std::collections::BTreeMap<_, _> =
                book[side.index()].iter().map(|level| (level.price, level.qty)).collect();
            let row = |price, qty| rows::level(self.instrument, one, side, (price, qty), now);
            gone.extend(
                before.keys().filter(|price| !after.contains_key(price)).map(|price| row(*price, None)),
            );
            for (price, qty) in &after {
                match before.get(price) {
                    None => new.push(row(*price, Some(*qty))),
                    Some(old) if old != qty => changed.push(row(*price, Some(*qty))),
                    Some(_) => {}
                }
            }
        }
        self.book = book;
        let all = [("delete", gone), ("update", changed), ("insert", new)];
        all.into_iter()
            .filter(|(_, rows)| !rows.is_empty())
            .map(|(action, rows)| (action, array(&rows)))
            .collect()
    }
}

/// The best ten of each side, whole.
fn book10(paper: &PaperExchange, id: InstrumentId, one: &Instrument) -> Row {
    let side = |side: Side| {
        let levels = paper.sim().levels(id, side, View::Public).take(10);
        let shown = levels.map(|level| {
            let (price, size) = (one.price_decimal(level.price), rows::size(one, one.qty_decimal(level.qty)));
            format!("[{price},{size}]")
        });
        format!("[{}]", shown.collect::<Vec<String>>().join(","))
    };
    Row::new()
        .text("symbol", &one.symbol)
        .plain("bids", side(Side::Buy))
        .plain("asks", side(Side::Sell))
        .time("timestamp", paper.now())
}

/// The instruments that a topic is about: the named one, or all.
pub(super) fn instruments(paper: &PaperExchange, symbol: Option<&str>) -> Option<Vec<InstrumentId>> {
    let of_kind = |spot: bool| {
        let all = public::all(paper).filter(|(_, one)| (one.product.family() == "spot") == spot);
        Some(all.map(|(id, _)| id).collect())
    };
    match symbol {
        None => Some(public::all(paper).map(|(id, _)| id).collect()),
        Some("SPOT") => of_kind(true),
        Some("CONTRACTS" | "DERIVATIVES") => of_kind(false),
        Some("INDICES") => Some(Vec::new()),
        Some(symbol) => public::find(paper, symbol).map(|(id, _)| vec![id]),
    }
}
