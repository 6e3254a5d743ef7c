//! Tapes: recorded WebSocket frames, one JSON object a line, read back as groups by the venue's own decoder.
//!
//! Two forms are read. Ours begins with a header:
//!
//! ```json
//! {"venue":"bitmart","connector":"bitmart_paper_trade","pairs":["BTC-USDT"],"start":"2026-01-05T00:00:00Z","version":1}
//! {"t":1767571200000123000,"c":0,"d":"in","x":"{\"table\":\"spot/trade\",\"data\":[…]}"}
//! {"t":1767571200000124000,"c":0,"d":"in","b":"q1YqSUxK…"}
//! ```
//!
//! `t` is when the frame came (nanoseconds), `c` the connection, `d` the direction, `x` a text frame and `b` a binary
//! one in base64; the header may hold `instruments`, a list in the format of [catalogues](crate::venue::catalogue).
//! The neutral form of captures is `{"ts":…,"conn":…,"dir":"open"|"in"|"out","text":"…"}`, without a header.
//! Both may be plain, gzip or zstd.

mod line;
mod probe;
#[cfg(test)]
mod tests;
mod write;

use std::io;
use std::path::{Path, PathBuf};

use rustc_hash::FxHashMap;
use smol_str::SmolStr;

use super::lines::{self, Input, Line, Lines};
use crate::market::{
    EMPTY, EventLog, FeedDepth, FeedStats, Group, GroupKind, Instrument, InstrumentId, MarketEvent, News,
    Pair, RuleOrigin, Source, SourceError, Timestamp,
};
use crate::venue::catalogue;
use crate::venue::{Decoder, Known, Venue};

use line::{Entry, LineFault, LineReader};
pub use write::{TapeLines, TapeWriter};

/// The version of our own form.
pub const VERSION: u32 = 1;

/// Warnings that are kept word by word; more are only counted.
const WARNINGS: usize = 20;

/// Going back by more than this is told with file and line.
const BACK: i64 = 1_000_000_000;

/// Which way a frame went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the exchange.
    In,
    /// To the exchange.
    Out,
}

/// The first line of a tape of our own form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TapeHeader {
    /// The venue whose frames these are.
    pub venue: String,
    /// The connector that they were recorded or made for.
    pub connector: String,
    /// What they speak of.
    pub pairs: Vec<Pair>,
    /// When the recording began.
    pub start: Option<Timestamp>,
    /// The version of the form.
    pub version: u32,
    /// The instruments, where readers could not know them otherwise.
    pub instruments: Vec<Instrument>,
}

/// How a tape is to be read.
#[derive(Clone, Default)]
pub struct TapeOptions {
    /// Only this connection; by default, for each symbol the lowest connection that has it.
    pub connection: Option<u64>,
    /// Stop at the first bad line or frame instead of counting it.
    pub strict: bool,
    /// Stop after so many lines of the file, header included.
    pub until_line: Option<u64>,
    /// Instruments that the user describes; they win over all others.
    pub instruments: Vec<Instrument>,
    /// Whose frames they are, where the tape does not say.
    pub venue: Option<&'static dyn Venue>,
}

/// A tape being read.
pub struct TapeReader {
    file: PathBuf,
    lines: Lines,
    reader: LineReader,
    options: TapeOptions,
    venue: &'static dyn Venue,
    header: Option<TapeHeader>,
    known: Vec<Instrument>,
    /// What the replies recorded beside it say of instruments.
    described: Vec<catalogue::Entry>,
    /// What they tell of instruments that the tape has not spoken of yet.
    beside: Vec<(SmolStr, Vec<News>)>,
    connections: Vec<Connection>,
    /// Which connection a symbol is taken from.
    owners: FxHashMap<SmolStr, u64>,
    /// Connections that only repeat what others have.
    idle: Vec<u64>,
    instruments: Vec<Instrument>,
    /// What the first look at the tape showed of each instrument's depth.
    depths: Vec<FeedDepth>,
    log: EventLog,
    /// The connection that the log's groups came on, as an index.
    from: usize,
    /// The next group of the log.
    next: usize,
    /// The instrument of the current group; `None` before the first and after the last.
    current: Option<InstrumentId>,
    clock: Option<Timestamp>,
    line: u64,
    own: FeedStats,
    warnings: Vec<String>,
    more_warnings: u64,
}

struct Connection {
    number: u64,
    decoder: Box<dyn Decoder + Send>,
    /// From the decoder's instruments to the tape's; `None` where the symbol is taken from another connection.
    map: Vec<Option<InstrumentId>>,
}

impl TapeReader {
    /// Opens a tape; `-` is standard input.
    pub fn open(path: &Path, options: TapeOptions) -> Result<Self, SourceError> {
        let io = |cause| SourceError::Io { file: path.to_owned(), cause };
        let beside = probe::replies_beside(path);
        Self::start(lines::open(path).map_err(io)?, path, options, beside.as_deref())
    }

    /// Reads a tape from anywhere. `name` is for messages, and may show whose frames they are.
    pub fn new(input: Input, name: &Path, options: TapeOptions) -> Result<Self, SourceError> {
        let input =
            lines::inflated(input).map_err(|cause| SourceError::Io { file: name.to_owned(), cause })?;
        Self::start(input, name, options, None)
    }

    /// What the replies recorded beside it say of instruments, their fees among it.
    pub fn described(&self) -> &[catalogue::Entry] {
        &self.described
    }

    fn start(
        input: Input,
        file: &Path,
        options: TapeOptions,
        replies: Option<&Path>,
    ) -> Result<Self, SourceError> {
        let mut lines = Lines::new(input);
        lines.hold();
        let (header, venue) = probe::origin(&mut lines, file, &options)?;
        lines.rewind(false);
        let mut known = options.instruments.clone();
        known.extend(header.iter().flat_map(|header| header.instruments.clone()));
        let described: Vec<catalogue::Entry> =
            replies.into_iter().flat_map(|path| probe::read_replies(path, venue)).collect();
        known.extend(described.iter().map(|entry| entry.instrument.clone()));
        let catalogue = venue.catalogue();
        known.extend(catalogue.into_iter().flat_map(|all| all.entries).map(|entry| entry.instrument));
        let found = probe::look(&mut lines, venue, &options, header.as_ref(), known);
        lines.rewind(true);
        let mut tape = Self {
            file: file.to_owned(),
            lines,
            reader: LineReader::default(),
            options,
            venue,
            header,
            known: found.known,
            beside: described
                .iter()
                .filter(|entry| !entry.news.is_empty())
                .map(|entry| (entry.instrument.symbol.clone(), entry.news.clone()))
                .collect(),
            described,
            connections: Vec::new(),
            owners: found.owners,
            idle: found.idle,
            instruments: Vec::new(),
            depths: Vec::new(),
            log: EventLog::default(),
            from: 0,
            next: 0,
            current: None,
            clock: None,
            line: 0,
            own: FeedStats::default(),
            warnings: Vec::new(),
            more_warnings: 0,
        };
        for (instrument, depth) in found.instruments {
            if instrument.origin == RuleOrigin::Inferred {
                tape.warn(format!(
                    "{}: no rules are known; tick and lot are inferred from the data",
                    instrument.symbol
                ));
            }
            tape.instruments.push(instrument);
            tape.depths.push(depth);
        }
        Ok(tape)
    }

    /// The header, where the tape is of our own form.
    pub fn header(&self) -> Option<&TapeHeader> {
        self.header.as_ref()
    }

    /// Whose frames they are.
    pub fn venue(&self) -> &'static dyn Venue {
        self.venue
    }

    /// The line of the file that the current group came from, from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// The connections that groups were taken from so far, ascending.
    pub fn connections(&self) -> Vec<u64> {
        let used = |connection: &&Connection| connection.map.iter().any(Option::is_some);
        let mut numbers: Vec<_> = self.connections.iter().filter(used).map(|all| all.number).collect();
        numbers.sort_unstable();
        numbers
    }

    /// What went wrong so far and was passed over, and how many more such notes there were.
    pub fn take_warnings(&mut self) -> (Vec<String>, u64) {
        (std::mem::take(&mut self.warnings), std::mem::take(&mut self.more_warnings))
    }

    fn warn(&mut self, warning: String) {
        if self.warnings.len() < WARNINGS {
            self.warnings.push(warning);
        } else {
            self.more_warnings += 1;
        }
    }

    /// Reads lines until one has groups; `false` at the end.
    fn next_frame(&mut self) -> Result<bool, SourceError> {
        self.log.clear();
        self.next = 0;
        while self.log.is_empty() {
            if self.options.until_line.is_some_and(|last| self.line >= last) {
                return Ok(false);
            }
            let read = match self.lines.next_line() {
                Ok(Some(line)) => line,
                Ok(None) => return Ok(false),
                Err(cause) => return self.cut_off(cause),
            };
            self.line = read.number;
            let fault = match self.reader.read(read.text) {
                Ok(Entry::Header(_)) => None,
                Ok(Entry::Open { time, connection, .. }) => {
                    if let Some(place) = self.connections.iter().position(|open| open.number == connection) {
                        self.from = place;
                        self.own +=
                            self.connections[place].reconnect(time, self.venue, &self.known, &mut self.log);
                    }
                    None
                }
                Ok(Entry::Frame { direction: Direction::Out, .. }) => None,
                Ok(Entry::Frame { connection, .. }) if !wanted(&self.options, &self.idle, connection) => None,
                Ok(Entry::Frame { time, connection, frame, .. }) => {
                    self.from = connect(&mut self.connections, connection, self.venue, &self.known);
                    let decoder = &mut self.connections[self.from].decoder;
                    let decoded = decoder.decode(time, frame, &mut self.log);
                    decoded.err().map(|error| LineFault { fault: error.fault, near: error.near })
                }
                Err(fault) => Some(cut(fault, read)),
            };
            self.learn();
            self.tell_beside();
            match fault {
                Some(fault) => self.bad(fault)?,
                None => self.check_time(),
            }
        }
        Ok(true)
    }

    /// Once an instrument is spoken of for the first time, what the replies beside the tape tell of it follows.
    fn tell_beside(&mut self) {
        let Some(time) = self.log.get(0).map(|group| group.receive_time) else { return };
        let Some(connection) = self.connections.get(self.from).filter(|_| !self.beside.is_empty()) else {
            return;
        };
        for (id, instrument) in (0_u32..).zip(connection.decoder.instruments()) {
            let Some(place) = self.beside.iter().position(|(symbol, _)| *symbol == instrument.symbol) else {
                continue;
            };
            let (_, news) = self.beside.swap_remove(place);
            news.into_iter().for_each(|news| self.log.push(MarketEvent::News(news)));
            self.log.close(InstrumentId(id), GroupKind::Update, time, time);
        }
    }

    /// Takes over what the decoder has newly spoken of.
    fn learn(&mut self) {
        let Some(connection) = self.connections.get_mut(self.from) else { return };
        while let Some(instrument) = connection.decoder.instruments().get(connection.map.len()) {
            let owner = *self.owners.entry(instrument.symbol.clone()).or_insert(connection.number);
            let taken = owner == connection.number || self.options.connection.is_some();
            let id = taken.then(|| {
                let place = self.instruments.iter().position(|other| other.symbol == instrument.symbol);
                let place = place.unwrap_or_else(|| {
                    self.instruments.push(instrument.clone());
                    self.depths.push(FeedDepth::Prints);
                    self.instruments.len() - 1
                });
                InstrumentId(u32::try_from(place).unwrap_or(u32::MAX))
            });
            connection.map.push(id);
        }
    }

    /// Counts a frame with groups that is earlier than the clock.
    fn check_time(&mut self) {
        let Some(group) = self.log.get(0) else { return };
        let Some(back) =
            self.clock.map(|clock| clock.nanos_since(group.receive_time)).filter(|back| *back > 0)
        else {
            return;
        };
        self.own.time_went_back += 1;
        if back > BACK {
            let seconds = crate::market::decimal::Plain::new(back, 9);
            self.warn(format!("{}:{}: the time went back by {seconds} s", self.file.display(), self.line));
        }
    }

    fn bad(&mut self, fault: LineFault) -> Result<(), SourceError> {
        let LineFault { fault, near } = fault;
        let error = SourceError::Frame { file: self.file.clone(), line: self.line, fault, near };
        if self.options.strict {
            return Err(error);
        }
        self.own.errors += 1;
        self.warn(error.to_string());
        Ok(())
    }

    /// The file ends before it should: an end where it is compressed and was cut off, else an error.
    fn cut_off(&mut self, cause: io::Error) -> Result<bool, SourceError> {
        if cause.kind() != io::ErrorKind::UnexpectedEof || self.options.strict {
            return Err(SourceError::Io { file: self.file.clone(), cause });
        }
        self.own.errors += 1;
        self.warn(format!("{}: cut off after line {}: {cause}", self.file.display(), self.line));
        Ok(false)
    }

    /// Moves to the next group of the log that is taken.
    fn next_group(&mut self) -> Option<Timestamp> {
        let connection = self.connections.get(self.from)?;
        while let Some(group) = self.log.get(self.next) {
            self.next += 1;
            if let Some(id) = connection.map.get(group.instrument.index()).copied().flatten() {
                self.current = Some(id);
                let now = self.clock.map_or(group.receive_time, |clock| clock.max(group.receive_time));
                self.clock = Some(now);
                return Some(now);
            }
        }
        None
    }
}

impl Source for TapeReader {
    fn instruments(&self) -> &[Instrument] {
        &self.instruments
    }

    fn depth(&self, instrument: InstrumentId) -> FeedDepth {
        let first = self.depths.get(instrument.index()).copied().unwrap_or_default();
        let decoders = self.connections.iter().filter_map(|connection| {
            let place = connection.map.iter().position(|id| *id == Some(instrument))?;
            Some(connection.decoder.depth(InstrumentId(u32::try_from(place).ok()?)))
        });
        decoders.chain([first]).max_by_key(|depth| rank(*depth)).unwrap_or_default()
    }

    fn advance(&mut self) -> Result<Option<Timestamp>, SourceError> {
        loop {
            if let Some(now) = self.next_group() {
                return Ok(Some(now));
            }
            self.current = None;
            if !self.next_frame()? {
                return Ok(None);
            }
        }
    }

    fn group(&self) -> Group<'_> {
        match (self.current, self.next.checked_sub(1).and_then(|at| self.log.get(at))) {
            (Some(instrument), Some(group)) => Group { instrument, ..group },
            _ => EMPTY,
        }
    }

    fn stats(&self) -> FeedStats {
        let mut all = self.own;
        self.connections.iter().for_each(|connection| all += connection.decoder.stats());
        all
    }
}

/// How deep: deeper is more.
fn rank(depth: FeedDepth) -> u64 {
    match depth {
        FeedDepth::Prints | FeedDepth::Candles | FeedDepth::News => 0,
        FeedDepth::Levels(levels) => u64::from(levels),
        FeedDepth::Full => u64::MAX,
    }
}

/// Whether anything is taken from a connection: the one that was asked for, else any that does not only repeat others.
fn wanted(options: &TapeOptions, idle: &[u64], connection: u64) -> bool {
    options.connection.map_or_else(|| !idle.contains(&connection), |only| only == connection)
}

/// The index of a connection; a new one gets a decoder.
fn connect(all: &mut Vec<Connection>, number: u64, venue: &'static dyn Venue, known: &[Instrument]) -> usize {
    all.iter().position(|connection| connection.number == number).unwrap_or_else(|| {
        let known = Known { declared: Vec::new(), others: known.to_vec() };
        all.push(Connection { number, decoder: venue.decoder(known), map: Vec::new() });
        all.len() - 1
    })
}

impl Connection {
    /// The connection was established anew: what it had built is not to be believed until the next snapshot. Returns
    /// what its decoder had counted.
    fn reconnect(
        &mut self,
        time: Timestamp,
        venue: &'static dyn Venue,
        known: &[Instrument],
        log: &mut EventLog,
    ) -> FeedStats {
        let declared = self.decoder.instruments().to_vec();
        for id in 0..u32::try_from(declared.len()).unwrap_or(u32::MAX) {
            log.push(MarketEvent::Distrust);
            log.close(InstrumentId(id), GroupKind::Update, time, time);
        }
        let counted = self.decoder.stats();
        self.decoder = venue.decoder(Known { declared, others: known.to_vec() });
        counted
    }
}

/// The fault of a line; one without an end may simply be cut off.
fn cut(fault: LineFault, line: Line<'_>) -> LineFault {
    match line.ended {
        true => fault,
        false => LineFault { fault: format!("the last line is cut off: {}", fault.fault), ..fault },
    }
}
