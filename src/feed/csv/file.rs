//! One file of any kind: opened, looked at, and read as a [`Source`].

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use smol_str::SmolStr;

use super::buffer::{Found, Lines};
use super::candles::{CandleFile, CandleSource};
use super::dump::{DumpFile, DumpSource};
use super::kind::CsvKind;
use super::levels::{LevelsFile, LevelsSource};
use super::npz::{MAGIC, NpzFile, NpzSource};
use super::source::{TardisFile, TardisSource};
use super::symbols::Symbols;
use super::ticker::{TickerFile, TickerSource};
use crate::feed::lines;
use crate::feed::warnings::Warnings;
use crate::market::{
    Batch, FeedDepth, FeedStats, Group, Instrument, InstrumentId, Reach, Source, SourceError, Timestamp,
};

/// How a file is read.
#[derive(Clone, Debug, Default)]
pub struct CsvOptions {
    /// The first bad row is an error; else it is counted and left out.
    pub strict: bool,
    /// Only so many data rows are read, as if the file ended there.
    pub rows: Option<u64>,
    /// Where bad rows and times that went back are told.
    pub warnings: Warnings,
}

/// A file whose header was read and whose first rows were looked at, so that files opened together agree about their
/// symbols. [`CsvFile::source`] starts reading.
///
/// ```no_run
/// use papertape::feed::csv::{CsvFile, CsvOptions, Symbols};
/// # fn main() -> Result<(), papertape::market::SourceError> {
/// let symbols = Symbols::default();
/// let book = CsvFile::open("book.csv.gz".as_ref(), &symbols)?;
/// let trades = CsvFile::open("trades.csv.gz".as_ref(), &symbols)?;
/// let sources = [book.source(CsvOptions::default())?, trades.source(CsvOptions::default())?];
/// # Ok(()) }
/// ```
pub struct CsvFile {
    file: PathBuf,
    kind: CsvKind,
    symbols: Symbols,
    looked: Looked,
}

/// What was looked at, by the reader that goes on with it.
enum Looked {
    Tardis(Box<TardisFile>),
    Levels(Box<LevelsFile>),
    Ticker(Box<TickerFile>),
    Dump(Box<DumpFile>),
    Candles(Box<CandleFile>),
    Npz(Box<NpzFile>),
}

impl CsvFile {
    /// Opens a file (`-`: standard input) and looks at its first rows.
    pub fn open(file: &Path, symbols: &Symbols) -> Result<Self, SourceError> {
        Self::read(file, lines::open(file).map_err(|cause| failed(file, cause))?, symbols)
    }

    /// The same for a stream of plain bytes; `file` is what it is called.
    pub fn read(file: &Path, input: Box<dyn Read + Send>, symbols: &Symbols) -> Result<Self, SourceError> {
        let (magic, input) = first_bytes(input).map_err(|cause| failed(file, cause))?;
        if magic == *MAGIC {
            let looked = Looked::Npz(Box::new(NpzFile::read(file, input, symbols)?));
            let (file, symbols) = (file.to_path_buf(), symbols.clone());
            return Ok(Self { file, kind: CsvKind::Npz, symbols, looked });
        }
        let mut lines = Lines::new(input);
        let found = lines.record();
        if let Some(cause) = lines.take_failure() {
            return Err(failed(file, cause));
        }
        if !matches!(found, Found::Record(_)) {
            let fault = "no header line: the file is empty or no CSV".to_owned();
            return Err(SourceError::File { file: file.to_path_buf(), fault });
        }
        let names = lines.fields().iter();
        let header: Vec<String> = names.map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect();
        let kind = CsvKind::of(file, &header)?;
        let looked = match kind {
            CsvKind::Book | CsvKind::Trades | CsvKind::Liquidations => {
                Looked::Tardis(Box::new(TardisFile::read(file, kind, &header, lines, symbols)?))
            }
            CsvKind::BitmexTrade | CsvKind::BitmexQuote => {
                Looked::Dump(Box::new(DumpFile::read(file, kind, header, lines, symbols)?))
            }
            CsvKind::Ticker => Looked::Ticker(Box::new(TickerFile::read(file, header, lines)?)),
            CsvKind::Candles => Looked::Candles(Box::new(CandleFile::read(file, header, lines, symbols)?)),
            _ => Looked::Levels(Box::new(LevelsFile::read(file, kind, header, lines, symbols)?)),
        };
        Ok(Self { file: file.to_path_buf(), kind, symbols: symbols.clone(), looked })
    }

    /// What it holds.
    pub fn kind(&self) -> CsvKind {
        self.kind
    }

    /// (exchange, symbol) of its first rows, in their order.
    fn seen(&self) -> &[(SmolStr, SmolStr)] {
        match &self.looked {
            Looked::Tardis(file) => file.seen(),
            Looked::Levels(file) => file.seen(),
            Looked::Ticker(file) => file.seen(),
            Looked::Dump(file) => file.seen(),
            Looked::Candles(file) => file.seen(),
            Looked::Npz(file) => file.seen(),
        }
    }

    /// The exchange that its kind or its first row names; `None` where neither does.
    pub fn exchange(&self) -> Option<&str> {
        match &self.looked {
            Looked::Dump(_) => Some(DumpFile::exchange()),
            _ => self.seen().first().map(|(exchange, _)| exchange.as_str()).filter(|name| !name.is_empty()),
        }
    }

    /// Whether its kind names no exchange and no symbol (candles, `.npz`): [`Symbols::call_unnamed`] says what it is.
    pub fn is_unnamed(&self) -> bool {
        matches!(self.kind, CsvKind::Candles | CsvKind::Npz)
    }

    /// The symbols of its first rows.
    pub fn symbols(&self) -> impl Iterator<Item = &str> {
        self.seen().iter().map(|(_, symbol)| symbol.as_str())
    }

    /// Starts reading.
    pub fn source(self, options: CsvOptions) -> Result<CsvSource, SourceError> {
        let exchange = self.exchange().map(SmolStr::from);
        let Self { file, kind, symbols, looked } = self;
        let reading = match looked {
            Looked::Tardis(looked) => Reading::Tardis(Box::new(looked.source(file, symbols, options))),
            Looked::Levels(looked) => Reading::Levels(Box::new(looked.source(file, symbols, options))),
            Looked::Ticker(looked) => Reading::Ticker(Box::new(looked.source(file, symbols, options))),
            Looked::Dump(looked) => Reading::Dump(Box::new(looked.source(file, symbols, options))),
            Looked::Candles(looked) => Reading::Candles(Box::new(looked.source(file, symbols, options))),
            Looked::Npz(looked) => Reading::Npz(Box::new(looked.source(file, symbols, options)?)),
        };
        Ok(CsvSource { exchange, kind, reading })
    }
}

/// The first four bytes, and the stream as it was before.
fn first_bytes(mut input: Box<dyn Read + Send>) -> io::Result<([u8; 4], Box<dyn Read + Send>)> {
    let (mut first, mut len) = ([0; 4], 0);
    while len < first.len() {
        match input.read(&mut first[len..]) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let again = first.get(..len).unwrap_or_default().to_vec();
    Ok((first, Box::new(io::Cursor::new(again).chain(input))))
}

/// What the system said of a file.
pub(super) fn failed(file: &Path, cause: io::Error) -> SourceError {
    SourceError::Io { file: file.to_path_buf(), cause }
}

/// One file as a source: its messages in the file's order, played at their receive time.
pub struct CsvSource {
    exchange: Option<SmolStr>,
    kind: CsvKind,
    reading: Reading,
}

enum Reading {
    Tardis(Box<TardisSource>),
    Levels(Box<LevelsSource>),
    Ticker(Box<TickerSource>),
    Dump(Box<DumpSource>),
    Candles(Box<CandleSource>),
    Npz(Box<NpzSource>),
}

impl CsvSource {
    /// Opens one file (`-`: standard input) on its own.
    pub fn open(file: &Path, options: CsvOptions) -> Result<Self, SourceError> {
        CsvFile::open(file, &Symbols::default())?.source(options)
    }

    /// What it holds.
    pub fn kind(&self) -> CsvKind {
        self.kind
    }

    /// The exchange that its first row names; `None` where it has no row.
    pub fn exchange(&self) -> Option<&str> {
        self.exchange.as_deref()
    }

    /// Data rows read so far, bad ones included, up to and with those of the current group.
    pub fn rows(&self) -> u64 {
        match &self.reading {
            Reading::Tardis(source) => source.rows(),
            Reading::Levels(source) => source.rows(),
            Reading::Ticker(source) => source.rows(),
            Reading::Dump(source) => source.rows(),
            Reading::Candles(source) => source.rows(),
            Reading::Npz(source) => source.rows(),
        }
    }

    fn source(&self) -> &dyn Source {
        match &self.reading {
            Reading::Tardis(source) => source.as_ref(),
            Reading::Levels(source) => source.as_ref(),
            Reading::Ticker(source) => source.as_ref(),
            Reading::Dump(source) => source.as_ref(),
            Reading::Candles(source) => source.as_ref(),
            Reading::Npz(source) => source.as_ref(),
        }
    }
}

impl Source for CsvSource {
    fn instruments(&self) -> &[Instrument] {
        self.source().instruments()
    }

    fn depth(&self, instrument: InstrumentId) -> FeedDepth {
        self.source().depth(instrument)
    }

    #[inline]
    fn advance(&mut self) -> Result<Option<Timestamp>, SourceError> {
        match &mut self.reading {
            Reading::Tardis(source) => source.advance(),
            Reading::Levels(source) => source.advance(),
            Reading::Ticker(source) => source.advance(),
            Reading::Dump(source) => source.advance(),
            Reading::Candles(source) => source.advance(),
            Reading::Npz(source) => source.advance(),
        }
    }

    #[inline]
    fn group(&self) -> Group<'_> {
        match &self.reading {
            Reading::Tardis(source) => source.group(),
            Reading::Levels(source) => source.group(),
            Reading::Ticker(source) => source.group(),
            Reading::Dump(source) => source.group(),
            Reading::Candles(source) => source.group(),
            Reading::Npz(source) => source.group(),
        }
    }

    fn read(&mut self, batch: &mut Batch, reach: &Reach) {
        match &mut self.reading {
            Reading::Tardis(source) => source.read(batch, reach),
            Reading::Levels(source) => source.read(batch, reach),
            Reading::Ticker(source) => source.read(batch, reach),
            Reading::Dump(source) => source.read(batch, reach),
            Reading::Candles(source) => source.read(batch, reach),
            Reading::Npz(source) => source.read(batch, reach),
        }
    }

    fn stats(&self) -> FeedStats {
        self.source().stats()
    }
}
