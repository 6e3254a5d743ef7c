//! A file of level changes or of trades as a [`Source`]: the hot ones, whose ordinary rows are parsed in place.

use std::io;
use std::path::{Path, PathBuf};

use rustc_hash::FxHashMap;
use smol_str::SmolStr;

use super::buffer::{Found, Lines, WINDOW};
use super::cell::{self, RowFault};
use super::columns::{Columns, Role};
use super::file::{CsvOptions, failed};
use super::kind::CsvKind;
use super::row::{Fields, Head, Prefix, Row, Scales, Stamps, book_row, trade_row};
use super::symbols::Symbols;
use crate::feed::infer;
use crate::market::{
    Batch, EMPTY, EventLog, FeedDepth, FeedStats, Group, GroupHead, GroupKind, Instrument, InstrumentId,
    MarketEvent, News, Reach, Source, SourceError, Timestamp,
};

/// A row this much earlier than the clock is reported with file and line.
const FAR_BACK: i64 = 1_000_000_000;

/// New symbols further down for which the rows ahead are looked through; garbage can hold any number of them.
const MOST_LOOKS: u32 = 1_000;

/// A file of a kind that is read in place, whose header was read and whose first rows were looked at.
pub(super) struct TardisFile {
    columns: Columns,
    lines: Lines,
    seen: Vec<(SmolStr, SmolStr)>,
}

impl TardisFile {
    /// Looks at the first rows behind a header.
    pub(super) fn read(
        file: &Path,
        kind: CsvKind,
        header: &[String],
        mut lines: Lines,
        symbols: &Symbols,
    ) -> Result<Self, SourceError> {
        let columns = Columns::read(file, kind, header)?;
        let mut seen = Vec::new();
        look_ahead(&mut lines, &columns, |exchange, symbol, price, amount| {
            symbols.note(exchange, symbol, price, amount);
            if !seen.iter().any(|(e, s)| e == exchange && s == symbol) {
                seen.push((exchange.into(), symbol.into()));
            }
        });
        Ok(Self { columns, lines, seen })
    }

    /// (exchange, symbol) in the order in which they were seen.
    pub(super) fn seen(&self) -> &[(SmolStr, SmolStr)] {
        &self.seen
    }

    /// Starts reading.
    pub(super) fn source(self, file: PathBuf, symbols: Symbols, options: CsvOptions) -> TardisSource {
        let mut source = TardisSource {
            file,
            columns: self.columns,
            lines: self.lines,
            options,
            symbols,
            by_name: FxHashMap::default(),
            known: Vec::new(),
            instruments: Vec::new(),
            key: Vec::new(),
            current: 0,
            digits: 0,
            stamps: Stamps::default(),
            head: None,
            pending: None,
            row_id: Vec::new(),
            row_line: 0,
            looks: 0,
            rows: 0,
            log: EventLog::default(),
            clock: None,
            ended: false,
            stats: FeedStats::default(),
        };
        for (exchange, symbol) in self.seen {
            // A symbol that cannot be resolved is a bad row each time it turns up.
            let _ = source.add_symbol(&exchange, &symbol);
        }
        source
    }
}

/// Shows the first rows ahead that look like rows.
fn look_ahead(lines: &mut Lines, columns: &Columns, mut visit: impl FnMut(&str, &str, &[u8], &[u8])) {
    lines.peek(u64::from(infer::ROWS), |record| {
        let fields = Fields { columns, record };
        if fields.plain().is_ok()
            && let (Ok(exchange), Ok(symbol)) = (fields.text(Role::Exchange), fields.text(Role::Symbol))
        {
            visit(exchange, symbol, fields.get(Role::Price), fields.get(Role::Amount));
        }
    });
}

/// One file of level changes or trades as a source: its messages in the file's order, played at their receive time.
pub(super) struct TardisSource {
    file: PathBuf,
    columns: Columns,
    lines: Lines,
    options: CsvOptions,
    symbols: Symbols,
    /// Numbers of `known` by `exchange,symbol`.
    by_name: FxHashMap<Box<[u8]>, usize>,
    known: Vec<Known>,
    instruments: Vec<Instrument>,
    key: Vec<u8>,
    /// The symbol of the row before, a number of `known`.
    current: usize,
    /// Digits of the time stamps of the row parsed last by the general path, where the fast path knows them.
    digits: usize,
    stamps: Stamps,
    /// How the book row parsed last in place began.
    head: Option<Head>,
    /// The first row of the next message and its line.
    pending: Option<(Row, u64)>,
    /// The trade id of the row read last.
    row_id: Vec<u8>,
    /// The line of the row read last.
    row_line: u64,
    /// How often the rows ahead were looked through for a new symbol.
    looks: u32,
    /// Data rows read.
    rows: u64,
    /// The group moved to.
    log: EventLog,
    clock: Option<i64>,
    ended: bool,
    stats: FeedStats,
}

/// What the reader knows of one symbol of the file.
struct Known {
    prefix: Option<Prefix>,
    /// Its scales, or why it has no instrument.
    scales: Result<Scales, String>,
    instrument: InstrumentId,
    /// The flag of its last book row; `None` before its first snapshot.
    last: Option<bool>,
}

impl TardisSource {
    /// Data rows read so far, bad ones included, up to and with those of the current group.
    pub(super) fn rows(&self) -> u64 {
        self.rows - u64::from(self.pending.is_some())
    }

    /// The next good row.
    #[inline(always)]
    fn next_row(&mut self) -> Result<Option<Row>, SourceError> {
        loop {
            if self.options.rows.is_some_and(|most| self.rows >= most) {
                return Ok(None);
            }
            if let Some(row) = self.fast_row() {
                self.rows += 1;
                return Ok(Some(row));
            }
            match self.slow_row()? {
                Slow::Row(row) => return Ok(Some(row)),
                Slow::Skipped => {}
                Slow::End => return Ok(None),
            }
        }
    }

    /// The next row, if it is an ordinary one.
    #[inline(always)]
    fn fast_row(&mut self) -> Option<Row> {
        if self.digits == 0 {
            return None;
        }
        let (window, available) = self.lines.window()?;
        let mut known = self.known.get(self.current)?;
        if !known.prefix.as_ref()?.begins(window) {
            self.current = by_prefix(&self.by_name, window)?;
            known = self.known.get(self.current)?;
        }
        let (prefix, scales) = (known.prefix.as_ref()?, *known.scales.as_ref().ok()?);
        let stamps = &mut self.stamps;
        let (row, len) = match (self.columns.kind, self.digits) {
            (CsvKind::Book, 16) => book_row::<16>(window, prefix, scales, stamps, &mut self.head),
            (CsvKind::Book, _) => book_row::<19>(window, prefix, scales, stamps, &mut self.head),
            (_, 16) => trade_row::<16>(window, prefix, scales, stamps, &mut self.row_id),
            (_, _) => trade_row::<19>(window, prefix, scales, stamps, &mut self.row_id),
        }?;
        if len > available {
            return None;
        }
        self.row_line = self.lines.consume_line(len);
        Some(row)
    }

    /// The next row by way of the csv parser.
    #[cold]
    fn slow_row(&mut self) -> Result<Slow, SourceError> {
        let line = match self.lines.record() {
            Found::Record(line) => line,
            Found::TooLong(line) => {
                self.rows += 1;
                return self.bad(line, cell::too_long()).map(|()| Slow::Skipped);
            }
            Found::End => {
                return match self.lines.take_failure() {
                    Some(cause) => self.cut_off(cause).map(|()| Slow::End),
                    None => Ok(Slow::End),
                };
            }
        };
        self.rows += 1;
        match self.read_record() {
            Ok(row) => {
                self.row_line = line;
                Ok(Slow::Row(row))
            }
            Err(fault) => self.bad(line, fault).map(|()| Slow::Skipped),
        }
    }

    fn read_record(&mut self) -> Result<Row, RowFault> {
        let fields = Fields { columns: &self.columns, record: self.lines.fields() };
        let plain = fields.plain()?;
        let (exchange, symbol) = (fields.text(Role::Exchange)?, fields.text(Role::Symbol)?);
        self.key.clear();
        for part in [exchange, ",", symbol] {
            self.key.extend_from_slice(part.as_bytes());
        }
        let index = match self.by_name.get(self.key.as_slice()) {
            Some(index) => *index,
            None => {
                let (exchange, symbol) = (SmolStr::from(exchange), SmolStr::from(symbol));
                self.symbols.note(&exchange, &symbol, fields.get(Role::Price), fields.get(Role::Amount));
                self.looks += 1;
                if self.looks <= MOST_LOOKS {
                    look_ahead(&mut self.lines, &self.columns, |other, name, price, amount| {
                        if other == exchange && name == symbol {
                            self.symbols.note(other, name, price, amount);
                        }
                    });
                }
                self.add_symbol(&exchange, &symbol)
            }
        };
        let fields = Fields { columns: &self.columns, record: self.lines.fields() };
        let scales = match self.known.get(index).map(|known| &known.scales) {
            Some(Ok(scales)) => *scales,
            Some(Err(why)) => return Err(fields.fault(Role::Symbol, why.clone())),
            None => return Err(fields.fault(Role::Symbol, "is unknown")),
        };
        let row = fields.row(plain, scales)?;
        self.current = index;
        self.digits = match fields.get(Role::LocalTimestamp).len() {
            // Liquidations are few.
            digits @ (16 | 19) if self.columns.standard && self.columns.kind != CsvKind::Liquidations => {
                digits
            }
            _ => 0,
        };
        if self.columns.kind == CsvKind::Trades {
            self.row_id.clear();
            self.row_id.extend_from_slice(fields.get(Role::Fifth));
        }
        Ok(row)
    }

    /// Gives a symbol its number and its instrument.
    fn add_symbol(&mut self, exchange: &str, symbol: &str) -> usize {
        let index = self.known.len();
        let instrument = InstrumentId(u32::try_from(self.instruments.len()).unwrap_or(u32::MAX));
        let found = self.symbols.resolve(exchange, symbol).map_err(|error| error.to_string());
        let scales = found.map(|found| {
            let scales = Scales { symbol: index, price: found.price_scale, qty: found.qty_scale };
            self.instruments.push(found);
            scales
        });
        let prefix = Prefix::new(exchange.as_bytes(), symbol.as_bytes());
        self.known.push(Known { prefix, scales, instrument, last: None });
        self.by_name.insert([exchange, ",", symbol].concat().into_bytes().into(), index);
        index
    }

    /// The file ends before it should: an end where it is compressed and was cut off, else an error.
    fn cut_off(&mut self, cause: io::Error) -> Result<(), SourceError> {
        if cause.kind() != io::ErrorKind::UnexpectedEof || self.options.strict {
            return Err(failed(&self.file, cause));
        }
        self.stats.errors += 1;
        self.options
            .warnings
            .add(|| format!("{}: cut off after row {}: {cause}", self.file.display(), self.rows));
        Ok(())
    }

    /// A bad row: the end for a strict reader, else one more in the count.
    fn bad(&mut self, line: u64, fault: RowFault) -> Result<(), SourceError> {
        self.stats.errors += 1;
        let error = fault.at(&self.file, line);
        if self.options.strict {
            return Err(error);
        }
        self.options.warnings.add(|| error.to_string());
        Ok(())
    }
}

enum Slow {
    Row(Row),
    Skipped,
    End,
}

/// The symbol of a row, by the text of its first two columns.
#[cold]
fn by_prefix(by_name: &FxHashMap<Box<[u8]>, usize>, window: &[u8; WINDOW]) -> Option<usize> {
    let comma = memchr::memchr_iter(b',', window).nth(1)?;
    by_name.get(&window[..comma]).copied()
}

impl TardisSource {
    /// Reads the rows of the next message that is worth showing to the end of `log`, and says when it is played.
    fn read_group(&mut self, log: &mut EventLog) -> Result<Option<Timestamp>, SourceError> {
        let mut first = self.pending.take();
        if let Some((row, _)) = &first {
            self.push(row, log);
            self.follow(row, log);
        }
        loop {
            let next = self.next_row()?;
            match (&first, &next) {
                (Some((first, _)), Some(row)) if row.same_message(first) => {
                    self.push(row, log);
                    self.follow(first, log);
                }
                _ => {
                    self.pending = next.map(|row| (row, self.row_line));
                    if let Some((first, line)) = &first {
                        if let Some(head) = self.head(first, log) {
                            let time = self.play(head.receive_time.nanos(), log.pending(), *line);
                            log.close_as(head);
                            return Ok(Some(time));
                        }
                        log.discard();
                    }
                    first = self.pending.take();
                    let Some((row, _)) = &first else { return Ok(None) };
                    self.push(row, log);
                    self.follow(row, log);
                }
            }
        }
    }

    /// The same, once: behind its end nothing comes.
    fn next_group(&mut self, log: &mut EventLog) -> Result<Option<Timestamp>, SourceError> {
        if self.ended {
            return Ok(None);
        }
        let next = self.read_group(log);
        if !matches!(next, Ok(Some(_))) {
            self.ended = true;
            log.discard();
        }
        next
    }

    /// Adds what a row says to the group that is being read.
    #[inline(always)]
    fn push(&self, row: &Row, log: &mut EventLog) {
        let Row { side, price, qty, .. } = *row;
        match (self.columns.kind, side) {
            (CsvKind::Book, Some(side)) => log.push(MarketEvent::Level { side, price, qty }),
            (CsvKind::Book | CsvKind::Liquidations, None) => {}
            (CsvKind::Liquidations, Some(side)) => {
                log.push(MarketEvent::News(News::Liquidation { side, price, qty }));
            }
            (_, aggressor) => log.push_trade(aggressor, price, qty, &self.row_id),
        }
    }

    /// Adds the rows that go on with the message of `first`, as long as they begin as the row before them did.
    fn follow(&mut self, first: &Row, log: &mut EventLog) {
        let Some(head) = self.head.as_ref().filter(|head| head.is_of(first)) else { return };
        let most = self.options.rows.unwrap_or(u64::MAX);
        while self.rows < most
            && let Some((window, available)) = self.lines.window()
            && let Some((side, price, qty, len)) = head.offer(window)
            && len <= available
        {
            log.push(MarketEvent::Level { side, price, qty });
            self.row_line = self.lines.consume_line(len);
            self.rows += 1;
        }
    }

    /// What the group that was read is; `None` where it is not to be shown.
    #[inline]
    fn head(&mut self, first: &Row, log: &mut EventLog) -> Option<GroupHead> {
        let known = self.known.get_mut(first.symbol)?;
        let mut head = GroupHead {
            instrument: known.instrument,
            kind: GroupKind::Update,
            exchange_time: Timestamp::from_nanos(first.exchange_time),
            receive_time: Timestamp::from_nanos(first.receive_time),
        };
        if self.columns.kind == CsvKind::Book {
            let before = known.last;
            known.last = before.and(Some(false));
            match (before, first.snapshot) {
                // Left-overs of what was buffered before the first snapshot.
                (None, false) => return None,
                (Some(true), false) if self.is_separator(first, log) => return None,
                (_, false) => {}
                (before, true) => head.kind = self.snapshot(first.symbol, before == Some(true), log),
            }
            self.stats.book_updates += 1;
        }
        self.stats.messages += 1;
        Some(head)
    }

    /// A message of a snapshot: the first, or more of it.
    fn snapshot(&mut self, symbol: usize, more: bool, log: &mut EventLog) -> GroupKind {
        if let Some(known) = self.known.get_mut(symbol) {
            known.last = Some(true);
        }
        self.stats.merged_snapshots += u64::from(more);
        // One row of amount 0 is how a snapshot without levels is written.
        if is_zero(log) {
            log.discard();
        }
        if more { GroupKind::SnapshotRest } else { GroupKind::Snapshot }
    }

    /// Whether a message after a snapshot only says that the next snapshot is another one: our writer puts a row of
    /// amount 0 between them, at the second one's times.
    fn is_separator(&self, first: &Row, log: &EventLog) -> bool {
        let same = |next: Row| Row { snapshot: false, ..next }.same_message(first) && next.snapshot;
        is_zero(log) && self.pending.is_some_and(|(next, _)| same(next))
    }

    /// The play time of the group that was read: its receive time, never before the clock.
    #[inline]
    fn play(&mut self, receive: i64, events: usize, line: u64) -> Timestamp {
        let clock = self.clock.unwrap_or(receive);
        if receive < clock {
            self.went_back(clock - receive, events, line);
        }
        let clock = clock.max(receive);
        self.clock = Some(clock);
        Timestamp::from_nanos(clock)
    }

    #[cold]
    fn went_back(&mut self, by: i64, events: usize, line: u64) {
        self.stats.time_went_back += events.max(1) as u64;
        if by > FAR_BACK {
            self.options.warnings.add(|| {
                let seconds = by / 1_000_000_000;
                format!(
                    "{}:{line}: local_timestamp is {seconds} s earlier than a row before it",
                    self.file.display()
                )
            });
        }
    }
}

/// Whether the group that is being read is one level of amount 0.
fn is_zero(log: &EventLog) -> bool {
    matches!(log.open_events(), [MarketEvent::Level { qty, .. }] if qty.is_zero())
}

impl Source for TardisSource {
    fn instruments(&self) -> &[Instrument] {
        &self.instruments
    }

    fn depth(&self, _: InstrumentId) -> FeedDepth {
        match self.columns.kind {
            CsvKind::Book => FeedDepth::Full,
            CsvKind::Liquidations => FeedDepth::News,
            _ => FeedDepth::Prints,
        }
    }

    fn advance(&mut self) -> Result<Option<Timestamp>, SourceError> {
        let mut log = std::mem::take(&mut self.log);
        log.clear();
        let next = self.next_group(&mut log);
        self.log = log;
        next
    }

    #[inline]
    fn group(&self) -> Group<'_> {
        self.log.get(0).unwrap_or(EMPTY)
    }

    fn read(&mut self, batch: &mut Batch, reach: &Reach) {
        self.log.clear();
        batch.write(self, reach, Self::next_group);
    }

    fn stats(&self) -> FeedStats {
        self.stats
    }
}
