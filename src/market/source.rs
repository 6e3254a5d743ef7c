//! [`Source`]: anything that yields groups in time order.

use std::path::PathBuf;

use serde::Serialize;

use super::{Batch, EventLog, Group, Instrument, InstrumentId, Reach, Timestamp};

/// How much of the book a feed can show (the *window* of `docs/fills.md`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedDepth {
    /// Every level.
    #[default]
    Full,
    /// The best so many levels a side.
    Levels(u32),
    /// No book at all: prints only.
    Prints,
    /// No book and no prints: the path that candles tell of ([`MarketEvent::Candle`](super::MarketEvent::Candle)).
    Candles,
    /// Nothing of the market itself: only what is told beside it ([`MarketEvent::News`](super::MarketEvent::News)).
    News,
}

impl FeedDepth {
    /// Whether there is no book to trust, to stand in or to take from (rule 14).
    pub const fn is_thin(self) -> bool {
        matches!(self, Self::Prints | Self::Candles | Self::News)
    }
}

/// Anything that yields groups in the order of their play time: a tape, a CSV file, a synthetic market, a merge.
///
/// ```
/// use papertape::market::{MemorySource, Source};
/// fn count(source: &mut dyn Source) -> Result<usize, papertape::market::SourceError> {
///     let mut groups = 0;
///     while source.advance()?.is_some() {
///         groups += usize::from(!source.group().events.is_empty());
///     }
///     Ok(groups)
/// }
/// assert_eq!(count(&mut MemorySource::default()).unwrap(), 0);
/// ```
pub trait Source: Send {
    /// What it speaks of; [`Group::instrument`] is an index into it. It may grow while the source is read,
    /// what is there stays.
    fn instruments(&self) -> &[Instrument];

    /// How much of an instrument's book it can show.
    fn depth(&self, instrument: InstrumentId) -> FeedDepth;

    /// Moves to the next group and returns its play time (receive time, never earlier than the one before);
    /// `None` at the end.
    fn advance(&mut self) -> Result<Option<Timestamp>, SourceError>;

    /// The group that [`advance`](Self::advance) moved to. Before the first and after the last: an empty group.
    fn group(&self) -> Group<'_>;

    /// Moves over the next groups and hands them all over in `batch`, what was in it before is gone: at least one, or
    /// what comes instead of it is in [`Batch::then`]. It ends where `reach` says, or earlier; always behind the group
    /// with which [`instruments`](Self::instruments) has grown. Afterwards [`group`](Self::group) is empty or the last.
    ///
    /// It says what [`advance`](Self::advance) would have said. A source that can do many groups at once does so here.
    fn read(&mut self, batch: &mut Batch, reach: &Reach) {
        batch.read_each(self, reach);
    }

    /// What was counted so far, of all groups that were moved to or handed over.
    fn stats(&self) -> FeedStats;

    /// Whether [`advance`](Self::advance) may find something later where it found nothing: a live market never ends,
    /// it is only quiet.
    fn may_go_on(&self) -> bool {
        false
    }
}

/// What a source counted while it was read. All counts are of the rows or frames read so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FeedStats {
    /// Messages of the exchange (groups that the file held, before any were split).
    pub messages: u64,
    /// Messages that changed a book.
    pub book_updates: u64,
    /// Breaks in a venue's sequence numbers.
    pub gaps: u64,
    /// Books that did not match the venue's checksum.
    pub checksum_failures: u64,
    /// Rows earlier than the clock, played at the clock's time.
    pub time_went_back: u64,
    /// Rows or frames that could not be read and were left out.
    pub errors: u64,
    /// Books crossed after a message; the side that was not touched lost its crossing levels.
    pub crossed: u64,
    /// Rows seen by the trader before the exchange had them, by the two clocks; seen at the exchange's time.
    pub latency_negative: u64,
    /// Snapshots that followed a snapshot without a change between them (one in the file's eyes).
    pub merged_snapshots: u64,
    /// Quotes and snapshots of a few levels that were compared with a deeper book of the same instrument.
    #[serde(skip_serializing_if = "none")]
    pub quotes_checked: u64,
    /// Those of them whose best prices or sizes were others.
    #[serde(skip_serializing_if = "none")]
    pub quotes_differ: u64,
}

/// Whether a count that few sources have is zero.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
fn none(count: &u64) -> bool {
    *count == 0
}

impl std::ops::AddAssign for FeedStats {
    fn add_assign(&mut self, other: Self) {
        self.messages += other.messages;
        self.book_updates += other.book_updates;
        self.gaps += other.gaps;
        self.checksum_failures += other.checksum_failures;
        self.time_went_back += other.time_went_back;
        self.errors += other.errors;
        self.crossed += other.crossed;
        self.latency_negative += other.latency_negative;
        self.merged_snapshots += other.merged_snapshots;
        self.quotes_checked += other.quotes_checked;
        self.quotes_differ += other.quotes_differ;
    }
}

/// A source that cannot go on, or under `--strict` met its first bad row.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file could not be opened or read.
    #[error("{}: {cause}", .file.display())]
    Io {
        /// Which file.
        file: PathBuf,
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
    /// One row of a table is wrong.
    #[error("{}:{line}: column {column} ({name}): {value:?} {fault}", .file.display())]
    Row {
        /// Which file.
        file: PathBuf,
        /// The line, from 1, the header included.
        line: u64,
        /// The column, from 1.
        column: usize,
        /// The column's name.
        name: String,
        /// What stands there.
        value: String,
        /// What is wrong with it.
        fault: String,
    },
    /// One line or frame of a tape is wrong.
    #[error("{}:{line}: {fault}, near {near:?}", .file.display())]
    Frame {
        /// Which file.
        file: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong.
        fault: String,
        /// The text around the fault.
        near: String,
    },
    /// The whole file is of no use.
    #[error("{}: {fault}", .file.display())]
    File {
        /// Which file.
        file: PathBuf,
        /// What is wrong with it and what to try.
        fault: String,
    },
}

/// Decoded groups in memory as a source: for tests, benches and what is played more than once.
#[derive(Clone, Debug, Default)]
pub struct MemorySource {
    instruments: Vec<Instrument>,
    log: EventLog,
    depth: FeedDepth,
    next: usize,
    clock: Option<Timestamp>,
    time_went_back: u64,
}

impl MemorySource {
    /// Plays `log`, whose instruments are indices into `instruments`.
    pub fn new(instruments: Vec<Instrument>, log: EventLog) -> Self {
        Self { instruments, log, ..Self::default() }
    }

    /// The same with another depth for all its books.
    #[must_use]
    pub fn with_depth(self, depth: FeedDepth) -> Self {
        Self { depth, ..self }
    }

    /// Back to the start.
    pub fn rewind(&mut self) {
        (self.next, self.clock, self.time_went_back) = (0, None, 0);
    }
}

impl Source for MemorySource {
    fn instruments(&self) -> &[Instrument] {
        &self.instruments
    }

    fn depth(&self, _: InstrumentId) -> FeedDepth {
        self.depth
    }

    fn advance(&mut self) -> Result<Option<Timestamp>, SourceError> {
        let Some(group) = self.log.get(self.next) else {
            self.next = self.log.len() + 1;
            return Ok(None);
        };
        let clock = self.clock.map_or(group.receive_time, |clock| {
            self.time_went_back += u64::from(group.receive_time < clock);
            clock.max(group.receive_time)
        });
        self.next += 1;
        self.clock = Some(clock);
        Ok(Some(clock))
    }

    fn group(&self) -> Group<'_> {
        self.next.checked_sub(1).and_then(|at| self.log.get(at)).unwrap_or(EMPTY)
    }

    fn stats(&self) -> FeedStats {
        let messages = self.next.min(self.log.len()) as u64;
        FeedStats { messages, time_went_back: self.time_went_back, ..FeedStats::default() }
    }
}

/// The group before the first and after the last.
pub const EMPTY: Group<'static> = Group {
    instrument: InstrumentId(0),
    kind: super::GroupKind::Update,
    exchange_time: Timestamp::from_nanos(0),
    receive_time: Timestamp::from_nanos(0),
    events: &[],
    ids: &[],
};
