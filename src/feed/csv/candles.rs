//! Candles as a path: each row is its open, the nearer of high and low, the other one, and its close.
//!
//! A file of candles names no exchange and no symbol ([`Symbols`] says what it is). A row may be missing: then nothing
//! traded. The open may lie outside high and low (BitMEX' bucketed trades). The points stand at the start, at a third, at
//! two thirds and at the end of the interval; the public is told of the volume at the close.

use std::path::{Path, PathBuf};

use smol_str::SmolStr;

use super::buffer::Lines;
use super::cell::{self, Cells, RowFault};
use super::file::CsvOptions;
use super::kind::{CsvKind, column};
use super::reader::{Known, Reader, Stage, SymbolTable, look_ahead};
use super::symbols::Symbols;
use crate::market::decimal::{DecimalFault, decimals_of, parse_units};
use crate::market::{
    FeedDepth, FeedStats, Group, GroupKind, IdSpan, Instrument, InstrumentId, MarketEvent, Price, Print, Qty,
    Source, SourceError, Timestamp,
};

const MINUTE: i64 = 60_000_000_000;
/// Points of a candle's path.
const POINTS: usize = 4;

/// Where the columns are.
struct Layout {
    timestamp: usize,
    /// Open, high, low, close.
    prices: [usize; POINTS],
    volume: usize,
}

impl Layout {
    fn read(file: &Path, header: &[String]) -> Result<Self, SourceError> {
        let at = |name: &str| column(file, CsvKind::Candles, header, name);
        let prices = [at("open")?, at("high")?, at("low")?, at("close")?];
        Ok(Self { timestamp: at("timestamp")?, prices, volume: at("volume")? })
    }
}

/// The start of a candle: seconds, or ms, us, ns by size; `1700000040.0` is an integer too.
fn start(text: &[u8]) -> Result<i64, &'static str> {
    const FAULT: &str = "is no start of a candle in s, ms, us or ns since the epoch";
    let value = parse_units(text, 0).map_err(|_| FAULT)?;
    let factor = match value {
        1_000_000_000_000_000_000.. => 1,
        1_000_000_000_000_000.. => 1_000,
        1_000_000_000_000.. => 1_000_000,
        1.. => 1_000_000_000,
        _ => return Err(FAULT),
    };
    value.checked_mul(factor).ok_or(FAULT)
}

/// A volume, down to what the scale holds: it is a bound, and floats carry noise.
fn volume(text: &[u8], scale: u8) -> Result<i64, String> {
    match cell::units(text, scale) {
        Err(_) if !text.starts_with(b"-") => {
            let finer =
                decimals_of(text).ok().and_then(|own| u8::try_from(own).ok()).filter(|own| *own > scale);
            let finer = finer.ok_or_else(|| cell::units(text, scale).err().unwrap_or_default())?;
            let units = parse_units(text, finer).map_err(|fault: DecimalFault| fault.to_string())?;
            Ok(10_i64.checked_pow(u32::from(finer - scale)).map_or(0, |factor| units / factor))
        }
        other => other,
    }
}

/// A file of candles whose header was read and whose first rows were looked at.
pub(super) struct CandleFile {
    header: Vec<String>,
    layout: Layout,
    lines: Lines,
    seen: [(SmolStr, SmolStr); 1],
    /// The length of a candle.
    interval: i64,
}

impl CandleFile {
    pub(super) fn read(
        file: &Path,
        header: Vec<String>,
        mut lines: Lines,
        symbols: &Symbols,
    ) -> Result<Self, SourceError> {
        let layout = Layout::read(file, &header)?;
        let (exchange, symbol) = symbols.unnamed(file);
        let (mut before, mut step) = (None, None::<i64>);
        look_ahead(&mut lines, &header, |cells| {
            for price in layout.prices {
                symbols.note(&exchange, &symbol, cells.get(price), cells.get(layout.volume));
            }
            let at = start(cells.get(layout.timestamp)).ok();
            let apart = at.zip(before).map(|(at, before): (i64, i64)| at - before).filter(|apart| *apart > 0);
            step = step.into_iter().chain(apart).min();
            before = at.or(before);
        });
        let seen = [(exchange, symbol)];
        Ok(Self { header, layout, lines, seen, interval: step.unwrap_or(MINUTE) })
    }

    pub(super) fn seen(&self) -> &[(SmolStr, SmolStr)] {
        &self.seen
    }

    pub(super) fn source(self, file: PathBuf, symbols: Symbols, options: CsvOptions) -> CandleSource {
        let mut table = SymbolTable::new(symbols);
        let [(exchange, symbol)] = &self.seen;
        let known = table.add(exchange, symbol);
        let reader = Reader::new(file, self.header, self.lines, options);
        let (layout, interval, stage) = (self.layout, self.interval, Stage::default());
        CandleSource { reader, layout, table, known, interval, path: Walk::default(), stage }
    }
}

/// The points of a candle that are still to come.
#[derive(Clone, Copy, Debug, Default)]
struct Walk {
    points: [(i64, Price); POINTS],
    next: usize,
    volume: Qty,
    line: u64,
}

/// Candles as a source.
pub(super) struct CandleSource {
    reader: Reader,
    layout: Layout,
    table: SymbolTable,
    known: Result<Known, String>,
    interval: i64,
    path: Walk,
    stage: Stage,
}

impl CandleSource {
    pub(super) fn rows(&self) -> u64 {
        self.reader.rows
    }

    fn step(&mut self) -> Result<Option<Timestamp>, SourceError> {
        while self.path.next.is_multiple_of(POINTS) {
            let Some(line) = self.reader.advance()? else { return Ok(None) };
            match self.read_row() {
                Ok(path) => {
                    self.path = Walk { line, ..path };
                    self.reader.tally.stats.messages += 1;
                    break;
                }
                Err(fault) => self.reader.tally.bad(line, fault)?,
            }
        }
        Ok(Some(self.point()))
    }

    /// The next point of the path as a group.
    fn point(&mut self) -> Timestamp {
        let (path, stage) = (&mut self.path, &mut self.stage);
        let (time, price) = path.points[path.next];
        let (first, last) = (path.next == 0, path.next == POINTS - 1);
        path.next += 1;
        stage.clear();
        stage.kind = GroupKind::Update;
        (stage.exchange_time, stage.receive_time) = (time, time);
        if first {
            stage.events.push(MarketEvent::Candle(path.volume));
        }
        let qty = if last { path.volume } else { Qty::ZERO };
        let print = Print { aggressor: None, id: IdSpan::default(), price, qty };
        stage.events.push(MarketEvent::Trade(print));
        stage.play(&mut self.reader.tally, path.line)
    }

    fn read_row(&mut self) -> Result<Walk, RowFault> {
        let cells = self.reader.cells();
        cells.check_width()?;
        let known = self.known.clone().map_err(|why| cells.fault(self.layout.timestamp, why))?;
        let start = cells.read(self.layout.timestamp, start)?;
        let prices = self.prices(&cells, known)?;
        let volume = cells.read(self.layout.volume, |text| volume(text, known.qty))?;
        let after = |thirds: i64| start.saturating_add(self.interval / 3 * thirds);
        let end = start.saturating_add(self.interval.max(1) - 1);
        let times = [start, after(1), after(2), end];
        self.stage.instrument = known.instrument;
        let mut points = [(0, Price::default()); POINTS];
        for ((point, time), price) in points.iter_mut().zip(times).zip(prices) {
            *point = (time, Price::from_units(price));
        }
        Ok(Walk { points, next: 0, volume: Qty::from_units(volume), line: 0 })
    }

    /// The prices in the order of the path. Where high and low are as near, the low comes first.
    fn prices(&self, cells: &Cells<'_>, known: Known) -> Result<[i64; POINTS], RowFault> {
        let mut prices = [0; POINTS];
        for (price, at) in prices.iter_mut().zip(self.layout.prices) {
            *price = cells.read(at, |text| cell::price(text, known.price))?;
        }
        let [open, high, low, close] = prices;
        if high < low {
            return Err(cells.fault(self.layout.prices[1], "is below the low"));
        }
        let up = (high - open).abs() < (open - low).abs();
        Ok(if up { [open, high, low, close] } else { [open, low, high, close] })
    }
}

impl Source for CandleSource {
    fn instruments(&self) -> &[Instrument] {
        self.table.instruments()
    }

    fn depth(&self, _: InstrumentId) -> FeedDepth {
        FeedDepth::Candles
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
        self.reader.tally.stats
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_and_volumes_as_pandas_writes_them() {
        for (text, want) in [
            ("1700000040.0", Ok(1_700_000_040_000_000_000)),
            ("1700000040", Ok(1_700_000_040_000_000_000)),
            ("1.70000004e9", Ok(1_700_000_040_000_000_000)),
            ("1700000040000", Ok(1_700_000_040_000_000_000)),
            ("1700000040000000", Ok(1_700_000_040_000_000_000)),
            ("1700000040000000000", Ok(1_700_000_040_000_000_000)),
            ("1700000040.5", Err(())),
            ("0", Err(())),
            ("", Err(())),
        ] {
            assert_eq!(start(text.as_bytes()).map_err(drop), want, "{text}");
        }
        for (text, scale, want) in [
            ("51.25", 2, Ok(5_125)),
            ("0.30000000000000004", 2, Ok(30)),
            ("1e-9", 2, Ok(0)),
            ("-1", 2, Err(())),
            ("x", 2, Err(())),
            ("1e30", 2, Err(())),
        ] {
            assert_eq!(volume(text.as_bytes(), scale).map_err(drop), want, "{text}");
        }
    }
}
