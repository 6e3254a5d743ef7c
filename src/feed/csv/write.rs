//! Groups as a folder of Tardis files: one file a kind and symbol, named as Tardis names them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use smol_str::SmolStr;

use super::columns::columns;
use super::kind::CsvKind;
use super::ticker::COLUMNS;
use crate::market::{
    FeedDepth, Group, GroupKind, Instrument, MarketEvent, News, Price, Print, Side, Timestamp,
};

/// Something could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {cause}", .file.display())]
pub struct WriteError {
    /// Which file or folder.
    pub file: PathBuf,
    /// What the system said.
    #[source]
    pub cause: io::Error,
}

/// Writes groups as Tardis CSV. The folder appears when [`finish`](Self::finish) has written all of it; a writer that
/// is dropped before leaves nothing behind.
///
/// Times are microseconds while all of them are whole, nanoseconds in all files as soon as one is not. What CSV cannot
/// say (distrust, halts) is left out and counted.
pub struct TardisWriter {
    out: PathBuf,
    /// Where the files are until they are whole.
    work: PathBuf,
    exchange: String,
    files: Vec<OutFile>,
    books: BTreeMap<SmolStr, BookState>,
    /// The kinds of books that are not written as level changes.
    kinds: BTreeMap<SmolStr, CsvKind>,
    nanos: bool,
    left_out: u64,
    cells: Cells,
    finished: bool,
}

struct OutFile {
    kind: CsvKind,
    symbol: SmolStr,
    name: String,
    writer: csv::Writer<File>,
}

impl OutFile {
    fn put<T: AsRef<[u8]>>(
        &mut self,
        folder: &Path,
        row: impl IntoIterator<Item = T>,
    ) -> Result<(), WriteError> {
        let written = self.writer.write_record(row);
        written.map_err(|cause| WriteError { file: folder.join(&self.name), cause: cause.into() })
    }
}

/// What the file of a book shows so far.
#[derive(Clone, Copy, Debug, Default)]
struct BookState {
    /// Whether its last row belongs to a snapshot.
    in_snapshot: bool,
    /// The highest price of the snapshot.
    highest: i64,
}

/// The texts of one row, reused.
#[derive(Debug, Default)]
struct Cells {
    exchange_time: String,
    receive_time: String,
    price: String,
    amount: String,
}

impl TardisWriter {
    /// Starts a folder. `exchange` is what the column `exchange` and the files' names say.
    pub fn create(out: &Path, exchange: &str) -> Result<Self, WriteError> {
        let failed = |cause| WriteError { file: out.to_path_buf(), cause };
        if out.exists() && !out.is_dir() {
            return Err(failed(io::Error::other("is a file; CSV is written to a folder")));
        }
        let hidden = format!(".papertape-{}", std::process::id());
        let work = match (out.file_name(), out.parent()) {
            (Some(name), Some(parent)) => parent.join(format!(".{}{hidden}", name.to_string_lossy())),
            _ => out.join(hidden),
        };
        fs::create_dir_all(&work).map_err(failed)?;
        Ok(Self {
            out: out.to_path_buf(),
            work,
            exchange: exchange.to_owned(),
            files: Vec::new(),
            books: BTreeMap::new(),
            kinds: BTreeMap::new(),
            nanos: false,
            left_out: 0,
            cells: Cells::default(),
            finished: false,
        })
    }

    /// Writes the book of a symbol as `book_snapshot_5`, `book_snapshot_25` or `quotes` instead of
    /// `incremental_book_L2`, where a feed of so many levels has one of these. Each of its groups must then be a
    /// snapshot; what is not is left out and counted.
    pub fn set_depth(&mut self, symbol: &str, depth: FeedDepth) {
        let kind = match depth {
            FeedDepth::Levels(1) => CsvKind::Quotes,
            FeedDepth::Levels(levels @ (5 | 25)) => CsvKind::BookSnapshot(levels),
            _ => return,
        };
        self.kinds.insert(symbol.into(), kind);
    }

    /// Adds one group of `instrument`.
    pub fn write(&mut self, instrument: &Instrument, group: &Group<'_>) -> Result<(), WriteError> {
        let odd = |time: Timestamp| time.nanos() % 1_000 != 0;
        let odd_due = |event: &MarketEvent| match event {
            MarketEvent::News(News::Funding { due, .. }) => *due != Timestamp::MAX && odd(*due),
            _ => false,
        };
        let odd = odd(group.exchange_time) || odd(group.receive_time) || group.events.iter().any(odd_due);
        if !self.nanos && odd {
            self.switch_to_nanos()?;
        }
        let unit = if self.nanos { 1 } else { 1_000 };
        self.cells.times(group.exchange_time.nanos() / unit, group.receive_time.nanos() / unit);
        let levels = group.events.iter().any(|event| matches!(event, MarketEvent::Level { .. }));
        if levels || group.kind != GroupKind::Update {
            match self.kinds.get(&instrument.symbol) {
                Some(kind) => self.write_levels(*kind, instrument, group)?,
                None => self.write_book(instrument, group)?,
            }
        }
        let mut numbers = Vec::new();
        for event in group.events {
            match event {
                MarketEvent::Level { .. } => {}
                MarketEvent::Trade(print) => self.write_print(instrument, group, print)?,
                MarketEvent::News(News::Liquidation { side, price, qty }) => {
                    self.cells.values(instrument, *price, *qty);
                    self.row(CsvKind::Liquidations, instrument, group, b"", side.name())?;
                }
                MarketEvent::News(news) => numbers.push(*news),
                MarketEvent::Distrust | MarketEvent::Trading(_) | MarketEvent::Candle(_) => {
                    self.left_out += 1;
                }
            }
        }
        if numbers.is_empty() { Ok(()) } else { self.write_ticker(instrument, group, &numbers) }
    }

    /// Writes mark, index and funding of a group as one row.
    fn write_ticker(
        &mut self,
        instrument: &Instrument,
        group: &Group<'_>,
        numbers: &[News],
    ) -> Result<(), WriteError> {
        let mut row = [const { String::new() }; COLUMNS.len()];
        row[0].clone_from(&self.exchange);
        row[1] = instrument.symbol.to_ascii_uppercase();
        row[2].clone_from(&self.cells.exchange_time);
        row[3].clone_from(&self.cells.receive_time);
        for news in numbers {
            match news {
                News::Mark(price) => row[10] = price.to_string(),
                News::Index(price) => row[9] = price.to_string(),
                News::Funding { rate, due } => {
                    row[5] = rate.to_string();
                    if *due != Timestamp::MAX {
                        row[4] = (due.nanos() / if self.nanos { 1 } else { 1_000 }).to_string();
                    }
                }
                News::Liquidation { .. } | News::MarkBeside(_) => {}
            }
        }
        let at = self.find(CsvKind::Ticker, instrument, group)?;
        let Some(file) = self.files.get_mut(at) else { return Ok(()) };
        file.put(&self.work, row)
    }

    /// How many events CSV could not say: distrust and halts.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Ends the files, puts them in place and says which they are.
    pub fn finish(mut self) -> Result<Vec<PathBuf>, WriteError> {
        let failed = |file: &Path| {
            let file = file.to_path_buf();
            move |cause| WriteError { file, cause }
        };
        let mut names = Vec::new();
        for file in &mut self.files {
            file.writer.flush().map_err(failed(&self.work.join(&file.name)))?;
            names.push(file.name.clone());
        }
        self.files.clear();
        if !self.out.exists() {
            fs::rename(&self.work, &self.out).map_err(failed(&self.out))?;
        } else {
            for name in &names {
                let to = self.out.join(name);
                fs::rename(self.work.join(name), &to).map_err(failed(&to))?;
            }
            fs::remove_dir_all(&self.work).map_err(failed(&self.work))?;
        }
        self.finished = true;
        Ok(names.iter().map(|name| self.out.join(name)).collect())
    }

    fn write_book(&mut self, instrument: &Instrument, group: &Group<'_>) -> Result<(), WriteError> {
        let tick = instrument.rule.tick.units().max(1);
        let state = self.books.entry(instrument.symbol.clone()).or_default();
        let before = *state;
        state.in_snapshot = group.kind != GroupKind::Update;
        let fresh = if group.kind == GroupKind::SnapshotRest { before.highest } else { 0 };
        let prices = group.events.iter().filter_map(|event| match event {
            MarketEvent::Level { price, .. } => Some(price.units()),
            _ => None,
        });
        state.highest = prices.max().unwrap_or(0).max(fresh);
        if group.kind == GroupKind::Snapshot && before.in_snapshot {
            // Without a row between them the two would be one snapshot. No level is above the highest.
            let free = Price::from_units(before.highest.saturating_add(tick));
            self.write_level(instrument, group, "false", (Side::Sell, free, 0))?;
        }
        let flag = if group.kind == GroupKind::Update { "false" } else { "true" };
        let mut rows = 0;
        for event in group.events {
            if let MarketEvent::Level { side, price, qty } = *event {
                self.write_level(instrument, group, flag, (side, price, qty.units()))?;
                rows += 1;
            }
        }
        if rows == 0 {
            // A snapshot without levels: one row that says so.
            self.write_level(instrument, group, flag, (Side::Sell, Price::from_units(tick), 0))?;
        }
        Ok(())
    }

    /// Writes a snapshot of the best levels as one row.
    fn write_levels(
        &mut self,
        kind: CsvKind,
        instrument: &Instrument,
        group: &Group<'_>,
    ) -> Result<(), WriteError> {
        if group.kind != GroupKind::Snapshot {
            self.left_out += group.events.len() as u64;
            return Ok(());
        }
        let side = |wanted: Side| {
            let levels = group.events.iter().filter_map(|event| match *event {
                MarketEvent::Level { side, price, qty } if side == wanted && !qty.is_zero() => {
                    Some((instrument.show_price(price).to_string(), instrument.show_qty(qty).to_string()))
                }
                _ => None,
            });
            levels.collect::<Vec<_>>()
        };
        let (bids, asks) = (side(Side::Buy), side(Side::Sell));
        let mut row = vec![self.exchange.clone(), instrument.symbol.to_ascii_uppercase()];
        row.extend([self.cells.exchange_time.clone(), self.cells.receive_time.clone()]);
        let level = |levels: &[(String, String)], at: usize| levels.get(at).cloned().unwrap_or_default();
        if let CsvKind::BookSnapshot(levels) = kind {
            for at in 0..levels as usize {
                let (ask, bid) = (level(&asks, at), level(&bids, at));
                row.extend([ask.0, ask.1, bid.0, bid.1]);
            }
        } else {
            let (ask, bid) = (level(&asks, 0), level(&bids, 0));
            row.extend([ask.1, ask.0, bid.0, bid.1]);
        }
        let at = self.find(kind, instrument, group)?;
        let Some(file) = self.files.get_mut(at) else { return Ok(()) };
        file.put(&self.work, row)
    }

    fn write_level(
        &mut self,
        instrument: &Instrument,
        group: &Group<'_>,
        flag: &str,
        (side, price, qty): (Side, Price, i64),
    ) -> Result<(), WriteError> {
        let side = if side == Side::Buy { "bid" } else { "ask" };
        let qty = crate::market::Qty::from_units(qty);
        self.cells.values(instrument, price, qty);
        self.row(CsvKind::Book, instrument, group, flag.as_bytes(), side)
    }

    fn write_print(
        &mut self,
        instrument: &Instrument,
        group: &Group<'_>,
        print: &Print,
    ) -> Result<(), WriteError> {
        self.cells.values(instrument, print.price, print.qty);
        let side = print.aggressor.map_or("unknown", Side::name);
        self.row(CsvKind::Trades, instrument, group, print.id.of(group.ids), side)
    }

    fn row(
        &mut self,
        kind: CsvKind,
        instrument: &Instrument,
        group: &Group<'_>,
        fifth: &[u8],
        side: &str,
    ) -> Result<(), WriteError> {
        let symbol = instrument.symbol.to_ascii_uppercase();
        let at = self.find(kind, instrument, group)?;
        let (cells, exchange) = (&self.cells, &self.exchange);
        let row: [&[u8]; 8] = [
            exchange.as_bytes(),
            symbol.as_bytes(),
            cells.exchange_time.as_bytes(),
            cells.receive_time.as_bytes(),
            fifth,
            side.as_bytes(),
            cells.price.as_bytes(),
            cells.amount.as_bytes(),
        ];
        let Some(file) = self.files.get_mut(at) else { return Ok(()) };
        file.put(&self.work, row)
    }

    /// The file of a kind and symbol, begun where it is not.
    fn find(
        &mut self,
        kind: CsvKind,
        instrument: &Instrument,
        group: &Group<'_>,
    ) -> Result<usize, WriteError> {
        let found = self.files.iter().position(|file| file.kind == kind && file.symbol == instrument.symbol);
        found.map_or_else(|| self.open(kind, instrument, group), Ok)
    }

    /// Starts the file of a kind and symbol; its date is that of its first row.
    fn open(
        &mut self,
        kind: CsvKind,
        instrument: &Instrument,
        group: &Group<'_>,
    ) -> Result<usize, WriteError> {
        let time = group.receive_time.to_string();
        let date = time.get(..10).unwrap_or("undated");
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
        let symbol: String = instrument.symbol.to_ascii_uppercase().chars().map(plain).collect();
        let name = format!("{}_{}_{date}_{symbol}.csv", self.exchange, kind.name());
        let writer = self.writer(&name, kind)?;
        self.files.push(OutFile { kind, symbol: instrument.symbol.clone(), name, writer });
        Ok(self.files.len() - 1)
    }

    fn writer(&self, name: &str, kind: CsvKind) -> Result<csv::Writer<File>, WriteError> {
        let path = self.work.join(name);
        let failed = |cause| WriteError { file: path.clone(), cause };
        let file = File::create(&path).map_err(failed)?;
        let mut writer = csv::WriterBuilder::new().buffer_capacity(256 * 1024).from_writer(file);
        writer.write_record(header(kind)).map_err(|cause| failed(cause.into()))?;
        Ok(writer)
    }

    /// The first time that is no whole microsecond: what was written so far is written again.
    fn switch_to_nanos(&mut self) -> Result<(), WriteError> {
        self.nanos = true;
        for mut file in std::mem::take(&mut self.files) {
            let path = self.work.join(&file.name);
            let failed = |cause| WriteError { file: path.clone(), cause };
            file.writer.flush().map_err(failed)?;
            let old = self.work.join("microseconds");
            fs::rename(&path, &old).map_err(failed)?;
            let mut writer = self.writer(&file.name, file.kind)?;
            copy_as_nanos(&old, file.kind, &mut writer).map_err(|cause| failed(cause.into()))?;
            fs::remove_file(&old).map_err(failed)?;
            self.files.push(OutFile { writer, ..file });
        }
        Ok(())
    }
}

/// The header line of a kind.
fn header(kind: CsvKind) -> Vec<String> {
    let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let mut names: Vec<String> = own(&["exchange", "symbol", "timestamp", "local_timestamp"]);
    match kind {
        CsvKind::BookSnapshot(levels) => names.extend((0..levels).flat_map(|at| {
            ["asks", "bids"].into_iter().flat_map(move |side| {
                ["price", "amount"].into_iter().map(move |what| format!("{side}[{at}].{what}"))
            })
        })),
        CsvKind::Quotes => {
            names.extend(own(&["ask_amount", "ask_price", "bid_price", "bid_amount"]));
        }
        CsvKind::Ticker => return own(&COLUMNS),
        _ => return own(&columns(kind)),
    }
    names
}

fn copy_as_nanos(from: &Path, kind: CsvKind, to: &mut csv::Writer<File>) -> Result<(), csv::Error> {
    let last_time = if kind == CsvKind::Ticker { 4 } else { 3 };
    let mut reader = csv::Reader::from_path(from)?;
    let (mut row, mut time) = (csv::ByteRecord::new(), Vec::new());
    while reader.read_byte_record(&mut row)? {
        for (index, field) in row.iter().enumerate() {
            time.clear();
            time.extend_from_slice(field);
            // A zero stays a zero, and nothing nothing.
            if (2..=last_time).contains(&index) && !matches!(field, b"" | b"0") {
                time.extend_from_slice(b"000");
            }
            to.write_field(&time)?;
        }
        to.write_record(None::<&[u8]>)?;
    }
    Ok(())
}

impl Cells {
    fn times(&mut self, exchange: i64, receive: i64) {
        self.exchange_time.clear();
        self.receive_time.clear();
        // Writing to a string cannot fail.
        let _ = write!(self.exchange_time, "{exchange}");
        let _ = write!(self.receive_time, "{receive}");
    }

    fn values(&mut self, instrument: &Instrument, price: Price, qty: crate::market::Qty) {
        self.price.clear();
        self.amount.clear();
        let _ = write!(self.price, "{}", instrument.show_price(price));
        let _ = write!(self.amount, "{}", instrument.show_qty(qty));
    }
}

impl Drop for TardisWriter {
    fn drop(&mut self) {
        if !self.finished {
            // Nobody is left to be told.
            let _ = fs::remove_dir_all(&self.work);
        }
    }
}
