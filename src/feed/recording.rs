//! A recorded file of any kind, told apart by what is in it: a tape or a CSV file.

use std::io::{self, Cursor, Read};
use std::path::Path;

use super::csv::{CsvFile, CsvOptions, CsvSource, Symbols};
use super::gauge::Gauge;
use super::lines::{self, Input};
use super::tape::{TapeOptions, TapeReader};
use super::warnings::Warnings;
use crate::market::{
    Batch, FeedDepth, FeedStats, Group, Instrument, InstrumentId, Reach, Source, SourceError, Timestamp,
};
use crate::venue::Venue;

/// How a recording is read.
#[derive(Clone, Default)]
pub struct RecordingOptions {
    /// Stop at the first bad row, line or frame instead of counting it.
    pub strict: bool,
    /// Stop after so many lines: data rows of CSV, lines of a tape.
    pub lines: Option<u64>,
    /// Only this connection of a tape.
    pub connection: Option<u64>,
    /// Instruments that the user describes; they win over all others.
    pub instruments: Vec<Instrument>,
    /// Whose frames a tape holds, where it does not say.
    pub venue: Option<&'static dyn Venue>,
    /// Where bad rows and times that went back are told.
    pub warnings: Warnings,
    /// What watches the bytes of files as they are read.
    pub gauge: Gauge,
    /// Compressed files are inflated on threads of their own.
    pub ahead: bool,
}

/// A file that was opened, before its symbols are settled: recordings opened with the same [`Symbols`] agree about
/// them.
pub enum Opened {
    /// A CSV file.
    Csv(Box<CsvFile>),
    /// A tape.
    Tape(Box<TapeReader>),
}

/// A recorded file being read.
pub enum Recording {
    /// A CSV file.
    Csv(Box<CsvSource>),
    /// A tape.
    Tape(TapeRecording),
}

/// A tape being read, whose warnings go where those of all sources go.
pub struct TapeRecording {
    reader: Box<TapeReader>,
    warnings: Warnings,
    /// Groups until the warnings are taken over the next time.
    patience: u32,
}

/// How many groups may pass before a tape's warnings are taken over.
const PATIENCE: u32 = 1_000;

impl Opened {
    /// Opens a file (`-`: standard input) and looks at its beginning.
    pub fn open(file: &Path, symbols: &Symbols, options: &RecordingOptions) -> Result<Self, SourceError> {
        let failed = |cause| SourceError::Io { file: file.to_path_buf(), cause };
        let inflated = if options.ahead { lines::inflated_ahead } else { lines::inflated };
        let raw = lines::raw(file).and_then(|input| inflated(options.gauge.watch(file, input)));
        let (first, input) = first_byte(raw.map_err(failed)?).map_err(failed)?;
        for instrument in &options.instruments {
            symbols.know(instrument.clone());
        }
        if first != Some(b'{') {
            return CsvFile::read(file, input, symbols).map(Box::new).map(Self::Csv);
        }
        let tape = TapeOptions {
            connection: options.connection,
            strict: options.strict,
            until_line: options.lines,
            instruments: options.instruments.clone(),
            venue: options.venue,
        };
        // By its path it also finds the replies recorded beside it.
        let reader = if file == Path::new("-") {
            TapeReader::new(input, file, tape)
        } else {
            TapeReader::open(file, tape)
        };
        let reader = reader?;
        for instrument in reader.instruments() {
            symbols.know_beside(reader.venue().name(), instrument.clone());
        }
        Ok(Self::Tape(Box::new(reader)))
    }

    /// The venue of a tape, the exchange that a CSV file names.
    pub fn venue(&self) -> Option<&str> {
        match self {
            Self::Csv(file) => file.exchange(),
            Self::Tape(reader) => Some(reader.venue().name()),
        }
    }

    /// What the replies recorded beside a tape say of instruments.
    pub fn described(&self) -> &[crate::venue::catalogue::Entry] {
        match self {
            Self::Csv(_) => &[],
            Self::Tape(reader) => reader.described(),
        }
    }

    /// Whether it names no exchange and no symbol: a pair says what it is.
    pub fn is_unnamed(&self) -> bool {
        matches!(self, Self::Csv(file) if file.is_unnamed())
    }

    /// Starts reading.
    pub fn start(self, options: &RecordingOptions) -> Result<Recording, SourceError> {
        let warnings = options.warnings.clone();
        match self {
            Self::Csv(file) => {
                let options = CsvOptions { strict: options.strict, rows: options.lines, warnings };
                file.source(options).map(Box::new).map(Recording::Csv)
            }
            Self::Tape(reader) => Ok(Recording::Tape(TapeRecording { reader, warnings, patience: 0 })),
        }
    }
}

impl Recording {
    /// Opens a file (`-`: standard input) on its own.
    pub fn open(file: &Path, options: &RecordingOptions) -> Result<Self, SourceError> {
        Opened::open(file, &Symbols::of_venues(), options)?.start(options)
    }

    /// The venue of a tape, the exchange that a CSV file names.
    pub fn venue(&self) -> Option<&str> {
        match self {
            Self::Csv(source) => source.exchange(),
            Self::Tape(tape) => Some(tape.reader.venue().name()),
        }
    }

    /// How many lines were read: data rows of CSV, lines of a tape.
    pub fn lines(&self) -> u64 {
        match self {
            Self::Csv(source) => source.rows(),
            Self::Tape(tape) => tape.reader.line(),
        }
    }

    /// The connection that groups were taken from, where it is one.
    pub fn connection(&self) -> Option<u64> {
        match self {
            Self::Csv(_) => None,
            Self::Tape(tape) => match tape.reader.connections()[..] {
                [only] => Some(only),
                _ => None,
            },
        }
    }

    fn source(&self) -> &dyn Source {
        match self {
            Self::Csv(source) => source.as_ref(),
            Self::Tape(tape) => tape.reader.as_ref(),
        }
    }
}

/// The first byte that is no white space, and the stream as it was before.
fn first_byte(mut input: Input) -> io::Result<(Option<u8>, Input)> {
    let mut seen = Vec::new();
    let mut byte = [0];
    while seen.len() < 4096 {
        match input.read(&mut byte) {
            Ok(0) => return Ok((None, Box::new(Cursor::new(seen)))),
            Ok(_) => seen.push(byte[0]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        if !byte[0].is_ascii_whitespace() {
            break;
        }
    }
    let first = seen.last().copied();
    Ok((first, Box::new(Cursor::new(seen).chain(input))))
}

impl Source for Recording {
    fn instruments(&self) -> &[Instrument] {
        self.source().instruments()
    }

    fn depth(&self, instrument: InstrumentId) -> FeedDepth {
        self.source().depth(instrument)
    }

    #[inline]
    fn advance(&mut self) -> Result<Option<Timestamp>, SourceError> {
        match self {
            Self::Csv(source) => source.advance(),
            Self::Tape(tape) => tape.advance(),
        }
    }

    #[inline]
    fn group(&self) -> Group<'_> {
        match self {
            Self::Csv(source) => source.group(),
            Self::Tape(tape) => tape.reader.group(),
        }
    }

    fn read(&mut self, batch: &mut Batch, reach: &Reach) {
        match self {
            Self::Csv(source) => source.read(batch, reach),
            Self::Tape(_) => batch.read_each(self, reach),
        }
    }

    fn stats(&self) -> FeedStats {
        self.source().stats()
    }
}

impl TapeRecording {
    fn advance(&mut self) -> Result<Option<Timestamp>, SourceError> {
        let next = self.reader.advance();
        if self.patience == 0 || !matches!(next, Ok(Some(_))) {
            self.patience = PATIENCE;
            let (first, more) = self.reader.take_warnings();
            first.into_iter().for_each(|words| self.warnings.add(|| words));
            self.warnings.more(more);
        }
        self.patience -= 1;
        next
    }
}
