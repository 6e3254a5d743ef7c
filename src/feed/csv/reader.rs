//! What the readers of the smaller kinds share: records with their lines, symbols with their scales, the clock.

use std::io;
use std::path::PathBuf;

use rustc_hash::FxHashMap;
use smol_str::SmolStr;

use super::buffer::{Found, Lines, Record};
use super::cell::{self, Cells, RowFault};
use super::file::{CsvOptions, failed};
use super::symbols::Symbols;
use crate::market::{
    EMPTY, FeedStats, Group, GroupKind, Instrument, InstrumentId, MarketEvent, SourceError, Timestamp,
};

/// A row this much earlier than the clock is reported with file and line.
const FAR_BACK: i64 = 1_000_000_000;

/// What goes wrong in one file: counted and told, or the end of a strict reader.
pub(super) struct Tally {
    pub(super) file: PathBuf,
    pub(super) options: CsvOptions,
    pub(super) stats: FeedStats,
}

impl Tally {
    pub(super) fn new(file: PathBuf, options: CsvOptions) -> Self {
        Self { file, options, stats: FeedStats::default() }
    }

    /// The file ends before it should: an end where it is compressed and was cut off, else an error.
    pub(super) fn cut_off(&mut self, cause: io::Error, rows: u64) -> Result<(), SourceError> {
        if cause.kind() != io::ErrorKind::UnexpectedEof || self.options.strict {
            return Err(failed(&self.file, cause));
        }
        self.stats.errors += 1;
        let file = &self.file;
        self.options.warnings.add(|| format!("{}: cut off after row {rows}: {cause}", file.display()));
        Ok(())
    }

    /// A bad row: the end for a strict reader, else one more in the count.
    pub(super) fn bad(&mut self, line: u64, fault: RowFault) -> Result<(), SourceError> {
        self.stats.errors += 1;
        let error = fault.at(&self.file, line);
        if self.options.strict {
            return Err(error);
        }
        self.options.warnings.add(|| error.to_string());
        Ok(())
    }

    /// A row that is earlier than the clock.
    fn went_back(&mut self, by: i64, line: u64) {
        self.stats.time_went_back += 1;
        if by > FAR_BACK {
            let (file, seconds) = (&self.file, by / 1_000_000_000);
            self.options.warnings.add(|| {
                format!("{}:{line}: its time is {seconds} s earlier than a row before it", file.display())
            });
        }
    }
}

/// The records of one file, counted; bad ones are counted too, or stop a strict reader.
pub(super) struct Reader {
    pub(super) tally: Tally,
    pub(super) header: Vec<String>,
    pub(super) lines: Lines,
    /// Data rows read.
    pub(super) rows: u64,
}

impl Reader {
    pub(super) fn new(file: PathBuf, header: Vec<String>, lines: Lines, options: CsvOptions) -> Self {
        Self { tally: Tally::new(file, options), header, lines, rows: 0 }
    }

    /// Moves to the next record and says on which line it begins; `None` at the end.
    pub(super) fn advance(&mut self) -> Result<Option<u64>, SourceError> {
        loop {
            if self.tally.options.rows.is_some_and(|most| self.rows >= most) {
                return Ok(None);
            }
            match self.lines.record() {
                Found::Record(line) => {
                    self.rows += 1;
                    return Ok(Some(line));
                }
                Found::TooLong(line) => {
                    self.rows += 1;
                    self.tally.bad(line, cell::too_long())?;
                }
                Found::End => {
                    return match self.lines.take_failure() {
                        Some(cause) => self.tally.cut_off(cause, self.rows).map(|()| None),
                        None => Ok(None),
                    };
                }
            }
        }
    }

    /// The record that [`advance`](Self::advance) moved to.
    pub(super) fn cells(&self) -> Cells<'_> {
        Cells { header: &self.header, record: self.lines.fields() }
    }
}

/// The scales of a symbol, and its instrument.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) instrument: InstrumentId,
    pub(super) price: u8,
    pub(super) qty: u8,
}

/// The symbols of one file.
pub(super) struct SymbolTable {
    symbols: Symbols,
    by_name: FxHashMap<(SmolStr, SmolStr), Result<Known, String>>,
    instruments: Vec<Instrument>,
}

impl SymbolTable {
    pub(super) fn new(symbols: Symbols) -> Self {
        Self { symbols, by_name: FxHashMap::default(), instruments: Vec::new() }
    }

    pub(super) fn instruments(&self) -> &[Instrument] {
        &self.instruments
    }

    /// The list that files read together share.
    pub(super) fn shared(&self) -> &Symbols {
        &self.symbols
    }

    /// What is known of a symbol; `None` before it was [added](Self::add).
    pub(super) fn get(&self, exchange: &SmolStr, symbol: &SmolStr) -> Option<&Result<Known, String>> {
        // Short strings: neither clone allocates.
        self.by_name.get(&(exchange.clone(), symbol.clone()))
    }

    /// Settles a symbol.
    pub(super) fn add(&mut self, exchange: &SmolStr, symbol: &SmolStr) -> Result<Known, String> {
        let instrument = InstrumentId(u32::try_from(self.instruments.len()).unwrap_or(u32::MAX));
        let found = self.symbols.resolve(exchange, symbol).map_err(|error| error.to_string());
        let known = found.map(|found| {
            let known = Known { instrument, price: found.price_scale, qty: found.qty_scale };
            self.instruments.push(found);
            known
        });
        self.by_name.insert((exchange.clone(), symbol.clone()), known.clone());
        known
    }
}

/// Shows up to as many records ahead as inference looks at; they stay to be read.
pub(super) fn look_ahead(lines: &mut Lines, header: &[String], mut visit: impl FnMut(&Cells<'_>)) {
    lines.peek(u64::from(crate::feed::infer::ROWS), |record: &Record| visit(&Cells { header, record }));
}

/// The group that a source stands at, and its clock.
#[derive(Default)]
pub(super) struct Stage {
    pub(super) instrument: InstrumentId,
    pub(super) kind: GroupKind,
    pub(super) exchange_time: i64,
    pub(super) receive_time: i64,
    pub(super) events: Vec<MarketEvent>,
    pub(super) ids: Vec<u8>,
    clock: Option<i64>,
    ended: bool,
}

impl Stage {
    pub(super) fn clear(&mut self) {
        self.events.clear();
        self.ids.clear();
    }

    /// The play time of the group that was put here: its receive time, never before the clock.
    pub(super) fn play(&mut self, tally: &mut Tally, line: u64) -> Timestamp {
        let receive = self.receive_time;
        let clock = self.clock.unwrap_or(receive);
        if receive < clock {
            tally.went_back(clock - receive, line);
        }
        let clock = clock.max(receive);
        self.clock = Some(clock);
        Timestamp::from_nanos(clock)
    }

    /// Hands a step's outcome on; what is no group ends the source.
    pub(super) fn stepped(
        &mut self,
        next: Result<Option<Timestamp>, SourceError>,
    ) -> Result<Option<Timestamp>, SourceError> {
        if !matches!(next, Ok(Some(_))) {
            self.ended = true;
            self.clear();
        }
        next
    }

    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    pub(super) fn group(&self) -> Group<'_> {
        if self.ended || self.clock.is_none() {
            return EMPTY;
        }
        Group {
            instrument: self.instrument,
            kind: self.kind,
            exchange_time: Timestamp::from_nanos(self.exchange_time),
            receive_time: Timestamp::from_nanos(self.receive_time),
            events: &self.events,
            ids: &self.ids,
        }
    }
}
