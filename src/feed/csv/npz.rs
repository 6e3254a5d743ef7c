//! Event arrays of hftbacktest (`.npz`): rows of 64 bytes with floats, as exact events.
//!
//! The row that a strategy sees (flag LOCAL) is played at its `local_ts`; its twin for hftbacktest's exchange model is
//! passed over. A float is the shortest decimal that reads back as it; one that does not fit the instrument's scale is
//! a bad row. Rows of one pair of times are one message; with snapshot rows among them it is the whole book anew.
//! The array is inflated while it is read, so a long one costs no more memory than a short one.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use smol_str::SmolStr;

use super::cell::{self, RowFault};
use super::file::{CsvOptions, failed};
use super::reader::{Known, Stage, SymbolTable, Tally};
use super::symbols::Symbols;
use crate::feed::infer;
use crate::market::{
    FeedDepth, FeedStats, Group, GroupKind, IdSpan, Instrument, InstrumentId, Level, MarketEvent, OrderBook,
    Price, Print, Qty, Side, Source, SourceError, Timestamp,
};

/// What a ZIP archive begins with.
pub(super) const MAGIC: &[u8; 4] = b"PK\x03\x04";

/// Flags and kinds of `ev` (`types.py` of hftbacktest 2.4).
const LOCAL: u64 = 1 << 30;
const BUY: u64 = 1 << 29;
const SELL: u64 = 1 << 28;
const KIND: u64 = 0xff;
const DEPTH: u64 = 1;
const TRADE: u64 = 2;
const CLEAR: u64 = 3;
const SNAPSHOT: u64 = 4;

/// One row.
#[derive(Clone, Copy, Debug, npyz::Deserialize)]
struct Event {
    ev: u64,
    exch_ts: i64,
    local_ts: i64,
    px: f64,
    qty: f64,
    #[allow(dead_code, reason = "of order-by-order rows, which are not read")]
    order_id: u64,
    #[allow(dead_code, reason = "for the user's own use")]
    ival: i64,
    #[allow(dead_code, reason = "for the user's own use")]
    fval: f64,
}

/// The names of the columns, in their order.
const COLUMNS: [&str; 5] = ["ev", "exch_ts", "local_ts", "px", "qty"];

impl Event {
    fn side(&self) -> Option<Side> {
        match (self.ev & BUY != 0, self.ev & SELL != 0) {
            (true, false) => Some(Side::Buy),
            (false, true) => Some(Side::Sell),
            _ => None,
        }
    }
}

/// The events of an array, inflated as they are read.
type Events = npyz::NpyReader<Event, Box<dyn Read + Send>>;

/// Where the archive is.
#[derive(Clone)]
enum Archive {
    File(PathBuf),
    Memory(Arc<[u8]>),
}

trait ReadSeek: Read + Seek + Send {}
impl<T: Read + Seek + Send> ReadSeek for T {}

impl Archive {
    fn open(&self) -> io::Result<Box<dyn ReadSeek>> {
        Ok(match self {
            Self::File(path) => Box::new(io::BufReader::with_capacity(64 << 10, File::open(path)?)),
            Self::Memory(bytes) => Box::new(Cursor::new(Arc::clone(bytes))),
        })
    }

    /// The events of the array in it.
    fn events(&self) -> io::Result<Events> {
        let bad = |fault: String| io::Error::new(io::ErrorKind::InvalidData, fault);
        let mut archive = zip::ZipArchive::new(self.open()?).map_err(|error| bad(error.to_string()))?;
        let (start, len, method, crc, left) = {
            let member = archive.by_index_raw(0).map_err(|error| bad(error.to_string()))?;
            let start =
                member.data_start().ok_or_else(|| bad("the archive's member has no place".to_owned()))?;
            (start, member.compressed_size(), member.compression(), member.crc32(), member.size())
        };
        let mut input = self.open()?;
        input.seek(SeekFrom::Start(start))?;
        let packed = io::BufReader::with_capacity(64 << 10, input.take(len));
        let plain: Box<dyn Read + Send> = match method {
            zip::CompressionMethod::DEFLATE => Box::new(flate2::bufread::DeflateDecoder::new(packed)),
            zip::CompressionMethod::STORE => Box::new(packed),
            other => {
                return Err(bad(format!(
                    "the archive's member is packed with {other}; np.savez_compressed is read"
                )));
            }
        };
        let checked = Checked { inner: flate2::CrcReader::new(plain), crc, left };
        let checked: Box<dyn Read + Send> = Box::new(io::BufReader::with_capacity(64 << 10, checked));
        let array = npyz::NpyFile::new(checked)?;
        array.data::<Event>().map_err(|error| bad(format!("no event array of hftbacktest: {error}")))
    }
}

/// Bytes whose checksum is compared with the last of them.
struct Checked {
    inner: flate2::CrcReader<Box<dyn Read + Send>>,
    crc: u32,
    /// Bytes to come.
    left: u64,
}

impl Read for Checked {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(room)?;
        self.left = self.left.saturating_sub(read as u64);
        if self.left == 0 && self.inner.crc().sum() != self.crc {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the archive's checksum does not match"));
        }
        Ok(read)
    }
}

/// An event array whose first rows were looked at.
pub(super) struct NpzFile {
    archive: Archive,
    seen: [(SmolStr, SmolStr); 1],
}

impl NpzFile {
    /// Opens an archive; `input` is read where `file` is no plain file of its own.
    pub(super) fn read(
        file: &Path,
        mut input: Box<dyn Read + Send>,
        symbols: &Symbols,
    ) -> Result<Self, SourceError> {
        let mut magic = [0; 4];
        let plain = File::open(file).and_then(|mut file| file.read_exact(&mut magic)).is_ok();
        let archive = if plain && magic == *MAGIC {
            Archive::File(file.to_path_buf())
        } else {
            let mut bytes = Vec::new();
            input.read_to_end(&mut bytes).map_err(|cause| failed(file, cause))?;
            Archive::Memory(bytes.into())
        };
        let (exchange, symbol) = symbols.unnamed(file);
        let (mut price, mut qty, mut local) = (String::new(), String::new(), false);
        let events = archive.events().map_err(|cause| failed(file, cause))?;
        let rows = events.len();
        for event in events.take(infer::ROWS as usize) {
            // What is damaged is told when it is read for good.
            let Ok(event) = event else { break };
            local |= event.ev & LOCAL != 0;
            if event.ev & KIND != CLEAR {
                text_of(event.px, &mut price);
                text_of(event.qty, &mut qty);
                symbols.note(&exchange, &symbol, price.as_bytes(), qty.as_bytes());
            }
        }
        if !local && rows > 0 {
            let fault =
                "no row is marked as seen by a strategy (LOCAL_EVENT); hftbacktest's converters mark them";
            return Err(SourceError::File { file: file.to_path_buf(), fault: fault.to_owned() });
        }
        Ok(Self { archive, seen: [(exchange, symbol)] })
    }

    pub(super) fn seen(&self) -> &[(SmolStr, SmolStr)] {
        &self.seen
    }

    pub(super) fn source(
        self,
        file: PathBuf,
        symbols: Symbols,
        options: CsvOptions,
    ) -> Result<NpzSource, SourceError> {
        let events = self.archive.events().map_err(|cause| failed(&file, cause))?;
        let mut table = SymbolTable::new(symbols);
        let [(exchange, symbol)] = &self.seen;
        let known = table.add(exchange, symbol);
        let tick = table.instruments().first().map_or(Price::from_units(1), |own| own.rule.tick);
        Ok(NpzSource {
            tally: Tally::new(file, options),
            events,
            table,
            known,
            book: OrderBook::new(tick),
            pending: None,
            rows: 0,
            snapshot: false,
            text: String::new(),
            stage: Stage::default(),
        })
    }
}

/// The shortest decimal that reads back as the float, without exponent.
fn text_of(value: f64, text: &mut String) {
    text.clear();
    // Writing to a string cannot fail.
    let _ = write!(text, "{value}");
}

/// An event array as a source.
pub(super) struct NpzSource {
    tally: Tally,
    events: Events,
    table: SymbolTable,
    known: Result<Known, String>,
    /// What the rows so far say is shown: a row that clears names no levels.
    book: OrderBook,
    /// The first row of the next message and its number.
    pending: Option<(Event, u64)>,
    rows: u64,
    /// Whether the message that is being read has snapshot rows.
    snapshot: bool,
    text: String,
    stage: Stage,
}

impl NpzSource {
    pub(super) fn rows(&self) -> u64 {
        self.rows - u64::from(self.pending.is_some())
    }

    /// The next row that a strategy sees.
    fn next_row(&mut self) -> Result<Option<(Event, u64)>, SourceError> {
        loop {
            if self.tally.options.rows.is_some_and(|most| self.rows >= most) {
                return Ok(None);
            }
            match self.events.next() {
                None => return Ok(None),
                Some(Err(cause)) => return self.tally.cut_off(cause, self.rows).map(|()| None),
                Some(Ok(event)) => {
                    self.rows += 1;
                    if event.ev & LOCAL != 0 {
                        return Ok(Some((event, self.rows)));
                    }
                }
            }
        }
    }

    fn step(&mut self) -> Result<Option<Timestamp>, SourceError> {
        loop {
            let first = match self.pending.take() {
                Some(first) => first,
                None => match self.next_row()? {
                    Some(first) => first,
                    None => return Ok(None),
                },
            };
            self.stage.clear();
            self.snapshot = false;
            self.push(first)?;
            while let Some(row) = self.next_row()? {
                if (row.0.exch_ts, row.0.local_ts) != (first.0.exch_ts, first.0.local_ts) {
                    self.pending = Some(row);
                    break;
                }
                self.push(row)?;
            }
            if !self.stage.events.is_empty() || self.snapshot {
                return Ok(Some(self.play(first)));
            }
        }
    }

    /// Shows the message that was read.
    fn play(&mut self, (first, line): (Event, u64)) -> Timestamp {
        let stage = &mut self.stage;
        stage.kind = GroupKind::Update;
        if self.snapshot {
            stage.kind = GroupKind::Snapshot;
            stage.events.retain(|event| matches!(event, MarketEvent::Trade(_)));
            let level = |side| move |Level { price, qty, .. }| MarketEvent::Level { side, price, qty };
            let prints = std::mem::take(&mut stage.events);
            for side in Side::BOTH {
                stage.events.extend(self.book.levels(side).map(level(side)));
            }
            stage.events.extend(prints);
        }
        let levels = stage.events.iter().any(|event| matches!(event, MarketEvent::Level { .. }));
        self.tally.stats.messages += 1;
        self.tally.stats.book_updates += u64::from(levels || self.snapshot);
        (stage.exchange_time, stage.receive_time) = (first.exch_ts, first.local_ts);
        stage.play(&mut self.tally, line)
    }

    fn push(&mut self, (event, line): (Event, u64)) -> Result<(), SourceError> {
        match self.read(&event) {
            Ok(()) => Ok(()),
            Err(fault) => self.tally.bad(line, fault),
        }
    }

    /// Adds what a row says to the message that is being read.
    fn read(&mut self, event: &Event) -> Result<(), RowFault> {
        let fault = |column: usize, value: String, fault: String| RowFault {
            column,
            name: COLUMNS[column].to_owned(),
            value,
            fault,
        };
        let known = self.known.clone().map_err(|why| fault(0, String::new(), why))?;
        self.stage.instrument = known.instrument;
        for (column, time) in [(1, event.exch_ts), (2, event.local_ts)] {
            if time <= 0 {
                return Err(fault(column, time.to_string(), "is no time in ns since the epoch".to_owned()));
            }
        }
        let kind = event.ev & KIND;
        let side = event.side();
        if !matches!(kind, DEPTH | TRADE | CLEAR | SNAPSHOT) || (kind != TRADE && side.is_none()) {
            let why = "is no depth, trade, clear or snapshot row of one side".to_owned();
            return Err(fault(0, format!("{:#x}", event.ev), why));
        }
        if let (CLEAR, Some(side)) = (kind, side) {
            self.clear(side, event.px, known);
            return Ok(());
        }
        text_of(event.px, &mut self.text);
        let price = cell::price(self.text.as_bytes(), known.price);
        let price = Price::from_units(price.map_err(|why| fault(3, self.text.clone(), why))?);
        text_of(event.qty, &mut self.text);
        let qty = match cell::units(self.text.as_bytes(), known.qty) {
            Ok(0) if kind == TRADE => Err("is zero".to_owned()),
            other => other,
        };
        let qty = Qty::from_units(qty.map_err(|why| fault(4, self.text.clone(), why))?);
        match side {
            Some(side) if kind != TRADE => {
                self.snapshot |= kind == SNAPSHOT;
                self.book.set(side, price, qty);
                self.stage.events.push(MarketEvent::Level { side, price, qty });
            }
            aggressor => {
                let print = Print { aggressor, id: IdSpan::default(), price, qty };
                self.stage.events.push(MarketEvent::Trade(print));
            }
        }
        Ok(())
    }

    /// Takes the levels of a side away from the best price to `px`, all of them where that is no number.
    fn clear(&mut self, side: Side, px: f64, known: Known) {
        text_of(px, &mut self.text);
        let worst = cell::units(self.text.as_bytes(), known.price).ok().filter(|_| px.is_finite());
        let worst = worst.map(Price::from_units);
        let gone = self.book.levels(side).map(|level| level.price);
        let gone: Vec<Price> =
            gone.take_while(|price| worst.is_none_or(|worst| side.at_or_better(*price, worst))).collect();
        for price in gone {
            self.book.set(side, price, Qty::ZERO);
            self.stage.events.push(MarketEvent::Level { side, price, qty: Qty::ZERO });
        }
    }
}

impl Source for NpzSource {
    fn instruments(&self) -> &[Instrument] {
        self.table.instruments()
    }

    fn depth(&self, _: InstrumentId) -> FeedDepth {
        FeedDepth::Full
    }

    fn advance(&mut self) -> Result<Option<Timestamp>, SourceError> {
        if self.stage.ended() {
            return Ok(None);
        }
        let next = self.step();
        self.stage.stepped(next)
    }

    fn group(&self) -> Group<'_> {
        self.stage.group()
    }

    fn stats(&self) -> FeedStats {
        self.tally.stats
    }
}
