//! BitMEX' daily dumps of trades and quotes: all symbols in one file, in no order that could be relied on.
//!
//! The rows of the wanted symbols are held as text, sorted by time (rows of one time stay in the file's order) and then
//! played. What is no trade of the market (referential and settlement rows, of size 0 or without a side, and every
//! `trdType` but `Regular`) is passed over.

use std::io;
use std::path::{Path, PathBuf};

use smol_str::SmolStr;

use super::buffer::{Found, Lines};
use super::cell::{self, Cells, RowFault};
use super::file::CsvOptions;
use super::kind::{CsvKind, column};
use super::reader::{Known, Stage, SymbolTable, Tally};
use super::symbols::Symbols;
use crate::feed::infer;
use crate::feed::warnings::Warnings;
use crate::market::decimal::{DecimalFault, decimals_of};
use crate::market::{
    FeedDepth, FeedStats, Group, GroupKind, IdSpan, Instrument, InstrumentId, MarketEvent, Price, Print, Qty,
    Side, Source, SourceError, Timestamp,
};

/// Whose dumps they are.
const EXCHANGE: &str = "bitmex";
/// The cells of a row that are held: price and size of up to two levels, or price, size and id of a trade.
const CELLS: usize = 4;

/// Where the columns are.
struct Layout {
    kind: CsvKind,
    timestamp: usize,
    symbol: usize,
    side: Option<usize>,
    trade_type: Option<usize>,
    /// Price and size, in pairs: of the bid and the ask, or of the trade.
    values: Vec<(usize, usize)>,
    id: Option<usize>,
}

impl Layout {
    fn read(file: &Path, kind: CsvKind, header: &[String]) -> Result<Self, SourceError> {
        let at = |name: &str| column(file, kind, header, name);
        let maybe = |name: &str| header.iter().position(|have| have == name);
        let trade = kind == CsvKind::BitmexTrade;
        let values = if trade {
            vec![(at("price")?, at("size")?)]
        } else {
            vec![(at("bidPrice")?, at("bidSize")?), (at("askPrice")?, at("askSize")?)]
        };
        Ok(Self {
            kind,
            timestamp: at("timestamp")?,
            symbol: at("symbol")?,
            side: if trade { Some(at("side")?) } else { None },
            trade_type: maybe("trdType"),
            values,
            id: maybe("trdMatchID").filter(|_| trade),
        })
    }

    /// The columns that are held, in the order in which they are.
    fn held(&self) -> impl Iterator<Item = usize> {
        self.values.iter().flat_map(|(price, size)| [*price, *size]).chain(self.id)
    }

    /// The side of a trade; `None`: the row is no trade of the market, or a quote.
    fn side(&self, cells: &Cells<'_>) -> Result<Option<Side>, RowFault> {
        let Some(side) = self.side else { return Ok(None) };
        match cells.get(side) {
            b"Buy" => Ok(Some(Side::Buy)),
            b"Sell" => Ok(Some(Side::Sell)),
            b"" => Ok(None),
            _ => Err(cells.fault(side, "is none of Buy, Sell and nothing")),
        }
    }

    /// Whether a row counts: quotes do, and trades of the market.
    fn counts(&self, cells: &Cells<'_>, side: Option<Side>) -> bool {
        let regular =
            self.trade_type.map(|at| cells.get(at)).is_none_or(|kind| matches!(kind, b"" | b"Regular"));
        let zero = |text: &[u8]| text.iter().all(|byte| matches!(byte, b'0' | b'.'));
        let sized = self.values.first().is_some_and(|(_, size)| !zero(cells.get(*size)));
        self.kind == CsvKind::BitmexQuote || (regular && sized && side.is_some())
    }

    /// Refuses numbers that are none, whatever the scales will be. A side of a quote may be empty.
    fn check_numbers(&self, cells: &Cells<'_>) -> Result<(), RowFault> {
        let quote = self.kind == CsvKind::BitmexQuote;
        for (price, size) in &self.values {
            if quote && cells.get(*price).is_empty() && cells.get(*size).is_empty() {
                continue;
            }
            for at in [*price, *size] {
                match decimals_of(cells.get(at)) {
                    Ok(_) if cells.get(at).starts_with(b"-") => return Err(cells.fault(at, "is negative")),
                    Ok(_) => {}
                    Err(fault @ (DecimalFault::Empty | DecimalFault::NotDecimal)) => {
                        return Err(cells.fault(at, fault.to_string()));
                    }
                    Err(fault) => return Err(cells.fault(at, fault.to_string())),
                }
            }
        }
        Ok(())
    }
}

/// `2023-06-01D00:00:00.512000000`: a `D` between date and time, UTC.
fn time(text: &[u8]) -> Result<i64, &'static str> {
    const FAULT: &str = "is no time as in 2023-06-01D00:00:00.512000000";
    let mut plain = [0; 32];
    let text = text.strip_suffix(b"Z").unwrap_or(text);
    let room = plain.get_mut(..text.len() + 1).ok_or(FAULT)?;
    room[..text.len()].copy_from_slice(text);
    room[text.len()] = b'Z';
    let day = room.get_mut(10).filter(|byte| matches!(byte, b'D' | b'T')).ok_or(FAULT)?;
    *day = b'T';
    let text = std::str::from_utf8(room).map_err(|_| FAULT)?;
    text.parse::<Timestamp>().map(Timestamp::nanos).map_err(|_| FAULT)
}

/// A row as it is held.
#[derive(Clone, Copy)]
struct Held {
    time: i64,
    /// Data row of the file, from 0.
    row: u64,
    line: u64,
    symbol: u32,
    side: Option<Side>,
    /// Where its cells stand in the text.
    start: usize,
    lens: [u8; CELLS],
}

/// A dump that was read.
pub(super) struct DumpFile {
    header: Vec<String>,
    layout: Layout,
    text: Vec<u8>,
    held: Vec<Held>,
    /// Names of the symbols, and whether somebody wants them.
    seen: Vec<(SmolStr, SmolStr)>,
    rows: u64,
    /// The bad rows; the first of them in words.
    bad: Vec<u64>,
    faults: Vec<(u64, RowFault)>,
    failure: Option<io::Error>,
}

/// What the first reading knows of a symbol.
struct Met {
    name: SmolStr,
    wanted: bool,
    /// Its number in `seen`; `None` before its first row that counts.
    number: Option<u32>,
    looked_at: u32,
}

impl DumpFile {
    /// Reads all of it.
    pub(super) fn read(
        file: &Path,
        kind: CsvKind,
        header: Vec<String>,
        mut lines: Lines,
        symbols: &Symbols,
    ) -> Result<Self, SourceError> {
        let layout = Layout::read(file, kind, &header)?;
        let (text, held, seen, bad, faults) = (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut dump = Self { header, layout, text, held, seen, rows: 0, bad, faults, failure: None };
        let mut met: Vec<Met> = Vec::new();
        loop {
            let line = match lines.record() {
                Found::Record(line) => line,
                Found::TooLong(line) => {
                    dump.refuse(line, cell::too_long());
                    dump.rows += 1;
                    continue;
                }
                Found::End => break,
            };
            let header = std::mem::take(&mut dump.header);
            let cells = Cells { header: &header, record: lines.fields() };
            if let Err(fault) = dump.hold(&cells, line, &mut met, symbols) {
                dump.refuse(line, fault);
            }
            dump.header = header;
            dump.rows += 1;
        }
        dump.failure = lines.take_failure();
        dump.held.sort_by_key(|held| (held.time, held.symbol));
        Ok(dump)
    }

    fn refuse(&mut self, line: u64, fault: RowFault) {
        self.bad.push(self.rows);
        if self.faults.len() < Warnings::KEPT {
            self.faults.push((line, fault));
        }
    }

    /// Holds a row, if it is wanted.
    fn hold(
        &mut self,
        cells: &Cells<'_>,
        line: u64,
        met: &mut Vec<Met>,
        symbols: &Symbols,
    ) -> Result<(), RowFault> {
        cells.check_width()?;
        let name = cells.read(self.layout.symbol, cell::name)?;
        // Rows mostly come symbol by symbol: the last one met is the likeliest.
        let at = match met.iter().rposition(|met| met.name == name) {
            Some(at) => at,
            None => {
                let wanted = symbols.wants(EXCHANGE, name);
                met.push(Met { name: name.into(), wanted, number: None, looked_at: 0 });
                met.len() - 1
            }
        };
        let met = &mut met[at];
        if !met.wanted {
            return Ok(());
        }
        let time = cells.read(self.layout.timestamp, time)?;
        let side = self.layout.side(cells)?;
        if !self.layout.counts(cells, side) {
            return Ok(());
        }
        self.layout.check_numbers(cells)?;
        let symbol = *met.number.get_or_insert_with(|| {
            self.seen.push((EXCHANGE.into(), name.into()));
            self.seen.len() as u32 - 1
        });
        if met.looked_at < infer::ROWS {
            met.looked_at += 1;
            for (price, size) in &self.layout.values {
                symbols.note(EXCHANGE, name, cells.get(*price), cells.get(*size));
            }
        }
        let start = self.text.len();
        let mut lens = [0; CELLS];
        for (len, at) in lens.iter_mut().zip(self.layout.held()) {
            *len = u8::try_from(cells.get(at).len()).map_err(|_| cells.fault(at, "is too long"))?;
            self.text.extend_from_slice(cells.get(at));
        }
        self.held.push(Held { time, row: self.rows, line, symbol, side, start, lens });
        Ok(())
    }

    pub(super) fn seen(&self) -> &[(SmolStr, SmolStr)] {
        &self.seen
    }

    /// The exchange whose dump it is.
    pub(super) fn exchange() -> &'static str {
        EXCHANGE
    }

    pub(super) fn source(self, file: PathBuf, symbols: Symbols, options: CsvOptions) -> DumpSource {
        let most = options.rows.unwrap_or(u64::MAX);
        let mut table = SymbolTable::new(symbols);
        let known = self.seen.iter().map(|(exchange, symbol)| table.add(exchange, symbol)).collect();
        let mut tally = Tally::new(file, options);
        let bad = self.bad.iter().filter(|row| **row < most).count();
        let mut stopped =
            self.faults.into_iter().take(bad).try_for_each(|(line, fault)| tally.bad(line, fault));
        let more = (bad as u64).saturating_sub(tally.stats.errors);
        tally.stats.errors += more;
        tally.options.warnings.more(more);
        if let Some(cause) = self.failure.filter(|_| self.rows < most) {
            stopped = stopped.and_then(|()| tally.cut_off(cause, self.rows));
        }
        let mut held = self.held;
        held.retain(|held| held.row < most);
        DumpSource {
            tally,
            stopped: stopped.err(),
            header: self.header,
            layout: self.layout,
            text: self.text,
            held,
            next: 0,
            known,
            table,
            rows: self.rows.min(most),
            stage: Stage::default(),
        }
    }
}

/// A dump as a source, in the order of time.
pub(super) struct DumpSource {
    tally: Tally,
    /// What stops it before its first row.
    stopped: Option<SourceError>,
    header: Vec<String>,
    layout: Layout,
    text: Vec<u8>,
    held: Vec<Held>,
    next: usize,
    /// By the number of the symbol.
    known: Vec<Result<Known, String>>,
    table: SymbolTable,
    rows: u64,
    stage: Stage,
}

impl DumpSource {
    /// Data rows read: a dump is read whole before it plays.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    fn step(&mut self) -> Result<Option<Timestamp>, SourceError> {
        if let Some(error) = self.stopped.take() {
            return Err(error);
        }
        while let Some(first) = self.held.get(self.next).copied() {
            self.stage.clear();
            let trades = self.layout.kind == CsvKind::BitmexTrade;
            // Trades of one instant and symbol are one sweep; each quote is a message of its own.
            while let Some(row) = self.held.get(self.next).copied().filter(|row| {
                (row.time, row.symbol) == (first.time, first.symbol) && (trades || row.row == first.row)
            }) {
                self.next += 1;
                if let Err(fault) = self.push(&row) {
                    self.tally.bad(row.line, fault)?;
                }
            }
            let Some(Ok(known)) = self.known.get(first.symbol as usize) else { continue };
            if trades && self.stage.events.is_empty() {
                continue;
            }
            let stage = &mut self.stage;
            stage.instrument = known.instrument;
            stage.kind = if trades { GroupKind::Update } else { GroupKind::Snapshot };
            (stage.exchange_time, stage.receive_time) = (first.time, first.time);
            self.tally.stats.messages += 1;
            self.tally.stats.book_updates += u64::from(!trades);
            return Ok(Some(stage.play(&mut self.tally, first.line)));
        }
        Ok(None)
    }

    /// Adds what a row says to the group.
    fn push(&mut self, row: &Held) -> Result<(), RowFault> {
        let fault = |column: usize, text: &[u8], fault: String| RowFault {
            column,
            name: self.header.get(column).cloned().unwrap_or_default(),
            value: cell::crop(&String::from_utf8_lossy(text)),
            fault,
        };
        let known = match self.known.get(row.symbol as usize) {
            Some(Ok(known)) => *known,
            Some(Err(why)) => return Err(fault(self.layout.symbol, b"", why.clone())),
            None => return Ok(()),
        };
        let mut cells = [&[][..]; CELLS];
        let mut start = row.start;
        for (cell, len) in cells.iter_mut().zip(row.lens) {
            *cell = self.text.get(start..start + usize::from(len)).unwrap_or_default();
            start += usize::from(len);
        }
        let mut values = [(0, 0); 2];
        for (at, (price, size)) in self.layout.values.iter().enumerate() {
            let [price_text, size_text] = [cells[at * 2], cells[at * 2 + 1]];
            if price_text.is_empty() && size_text.is_empty() {
                continue;
            }
            let size = cell::units(size_text, known.qty).map_err(|why| fault(*size, size_text, why))?;
            if size > 0 {
                let price =
                    cell::price(price_text, known.price).map_err(|why| fault(*price, price_text, why))?;
                values[at] = (price, size);
            }
        }
        let value = |(price, size)| (Price::from_units(price), Qty::from_units(size));
        if self.layout.kind == CsvKind::BitmexTrade {
            let id = cells[2];
            let span = IdSpan { start: self.stage.ids.len() as u32, len: id.len() as u16 };
            self.stage.ids.extend_from_slice(id);
            let (price, qty) = value(values[0]);
            self.stage.events.push(MarketEvent::Trade(Print { aggressor: row.side, id: span, price, qty }));
        } else {
            let levels = Side::BOTH.into_iter().zip(values).filter(|(_, (_, size))| *size > 0);
            self.stage.events.extend(levels.map(|(side, level)| {
                let (price, qty) = value(level);
                MarketEvent::Level { side, price, qty }
            }));
        }
        Ok(())
    }
}

impl Source for DumpSource {
    fn instruments(&self) -> &[Instrument] {
        self.table.instruments()
    }

    fn depth(&self, _: InstrumentId) -> FeedDepth {
        match self.layout.kind {
            CsvKind::BitmexTrade => FeedDepth::Prints,
            _ => FeedDepth::Levels(1),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_d_in_the_middle() {
        for (text, want) in [
            ("2023-06-01D00:00:00.512000000", Ok(1_685_577_600_512_000_000)),
            ("2023-06-01T00:00:00.5Z", Ok(1_685_577_600_500_000_000)),
            ("2023-06-01D00:00:00", Ok(1_685_577_600_000_000_000)),
            ("2023-06-01", Err(())),
            ("2023-06-01 00:00:00", Err(())),
            ("yesterday, at about noon, I think", Err(())),
            ("", Err(())),
        ] {
            assert_eq!(time(text.as_bytes()).map_err(drop), want, "{text}");
        }
    }
}
