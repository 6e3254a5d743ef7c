//! The best levels of a book, anew in each row: `book_snapshot_5`, `book_snapshot_25`, `quotes`, `book_ticker`.

use std::path::{Path, PathBuf};

use smol_str::SmolStr;

use super::buffer::Lines;
use super::cell::{self, Cells, RowFault};
use super::file::CsvOptions;
use super::kind::{CsvKind, column};
use super::reader::{Known, Reader, Stage, SymbolTable, look_ahead};
use super::symbols::Symbols;
use crate::market::{
    FeedDepth, FeedStats, Group, GroupKind, Instrument, InstrumentId, MarketEvent, Price, Qty, Side, Source,
    SourceError, Timestamp,
};

/// A file of levels whose header was read and whose first rows were looked at.
pub(super) struct LevelsFile {
    header: Vec<String>,
    layout: Layout,
    lines: Lines,
    seen: Vec<(SmolStr, SmolStr)>,
}

/// Where the columns are.
struct Layout {
    exchange: usize,
    symbol: usize,
    timestamp: usize,
    local_timestamp: usize,
    /// Price and amount of each level, best first, by side.
    levels: [Vec<(usize, usize)>; 2],
}

impl Layout {
    fn read(file: &Path, kind: CsvKind, header: &[String]) -> Result<Self, SourceError> {
        let at = |name: &str| column(file, kind, header, name);
        let level = |price: String, amount: String| Ok((at(&price)?, at(&amount)?));
        let side = |of: Side| match kind {
            CsvKind::BookSnapshot(levels) => {
                let name = if of == Side::Buy { "bids" } else { "asks" };
                let names =
                    (0..levels).map(|i| (format!("{name}[{i}].price"), format!("{name}[{i}].amount")));
                names.map(|(price, amount)| level(price, amount)).collect::<Result<Vec<_>, SourceError>>()
            }
            _ => {
                let name = if of == Side::Buy { "bid" } else { "ask" };
                Ok(vec![level(format!("{name}_price"), format!("{name}_amount"))?])
            }
        };
        Ok(Self {
            exchange: at("exchange")?,
            symbol: at("symbol")?,
            timestamp: at("timestamp")?,
            local_timestamp: at("local_timestamp")?,
            levels: [side(Side::Buy)?, side(Side::Sell)?],
        })
    }

    /// Exchange and symbol of a row.
    fn names(&self, cells: &Cells<'_>) -> Result<(SmolStr, SmolStr), RowFault> {
        let name = |column| cells.read(column, cell::name).map(SmolStr::from);
        Ok((name(self.exchange)?, name(self.symbol)?))
    }

    /// Shows the levels of a row, as they are written, to inference.
    fn note(&self, cells: &Cells<'_>, symbols: &Symbols, exchange: &str, symbol: &str) {
        for (price, amount) in self.levels.iter().flatten() {
            if !cells.get(*price).is_empty() {
                symbols.note(exchange, symbol, cells.get(*price), cells.get(*amount));
            }
        }
    }

    /// One level; `None` where it is empty, or has amount 0, which says the same.
    fn level(
        &self,
        cells: &Cells<'_>,
        side: Side,
        (price, amount): (usize, usize),
        known: Known,
    ) -> Result<Option<MarketEvent>, RowFault> {
        if cells.get(price).is_empty() && cells.get(amount).is_empty() {
            return Ok(None);
        }
        let units = cells.read(amount, |text| cell::units(text, known.qty))?;
        if units == 0 {
            return Ok(None);
        }
        let price = cells.read(price, |text| cell::price(text, known.price))?;
        Ok(Some(MarketEvent::Level { side, price: Price::from_units(price), qty: Qty::from_units(units) }))
    }
}

impl LevelsFile {
    pub(super) fn read(
        file: &Path,
        kind: CsvKind,
        header: Vec<String>,
        mut lines: Lines,
        symbols: &Symbols,
    ) -> Result<Self, SourceError> {
        let layout = Layout::read(file, kind, &header)?;
        let mut seen = Vec::new();
        look_ahead(&mut lines, &header, |cells| {
            if cells.check_width().is_ok()
                && let Ok(names) = layout.names(cells)
            {
                layout.note(cells, symbols, &names.0, &names.1);
                if !seen.contains(&names) {
                    seen.push(names);
                }
            }
        });
        Ok(Self { header, layout, lines, seen })
    }

    pub(super) fn seen(&self) -> &[(SmolStr, SmolStr)] {
        &self.seen
    }

    pub(super) fn source(self, file: PathBuf, symbols: Symbols, options: CsvOptions) -> LevelsSource {
        let mut symbols = SymbolTable::new(symbols);
        for (exchange, symbol) in &self.seen {
            // A symbol that cannot be resolved is a bad row each time it turns up.
            let _ = symbols.add(exchange, symbol);
        }
        let reader = Reader::new(file, self.header, self.lines, options);
        LevelsSource { reader, layout: self.layout, symbols, looks: 0, stage: Stage::default() }
    }
}

/// New symbols further down for which the rows ahead are looked through.
const MOST_LOOKS: u32 = 1_000;

/// One such file as a source: each row is a snapshot of what the feed shows.
pub(super) struct LevelsSource {
    reader: Reader,
    layout: Layout,
    symbols: SymbolTable,
    looks: u32,
    stage: Stage,
}

impl LevelsSource {
    pub(super) fn rows(&self) -> u64 {
        self.reader.rows
    }

    fn step(&mut self) -> Result<Option<Timestamp>, SourceError> {
        while let Some(line) = self.reader.advance()? {
            self.stage.clear();
            match self.read_row() {
                Ok(()) => {
                    self.reader.tally.stats.messages += 1;
                    self.reader.tally.stats.book_updates += 1;
                    return Ok(Some(self.stage.play(&mut self.reader.tally, line)));
                }
                Err(fault) => self.reader.tally.bad(line, fault)?,
            }
        }
        Ok(None)
    }

    fn read_row(&mut self) -> Result<(), RowFault> {
        let cells = self.reader.cells();
        cells.check_width()?;
        let (exchange, symbol) = self.layout.names(&cells)?;
        let known = match self.symbols.get(&exchange, &symbol) {
            Some(known) => known.clone(),
            None => {
                self.meet(&exchange, &symbol);
                self.symbols.add(&exchange, &symbol)
            }
        };
        let cells = self.reader.cells();
        let known = known.map_err(|why| cells.fault(self.layout.symbol, why))?;
        let time = |column| cells.read(column, cell::stamp);
        let (exchange_time, receive_time) =
            (time(self.layout.timestamp)?, time(self.layout.local_timestamp)?);
        for side in Side::BOTH {
            for columns in &self.layout.levels[side.index()] {
                self.stage.events.extend(self.layout.level(&cells, side, *columns, known)?);
            }
        }
        let stage = &mut self.stage;
        (stage.instrument, stage.kind) = (known.instrument, GroupKind::Snapshot);
        (stage.exchange_time, stage.receive_time) = (exchange_time, receive_time);
        Ok(())
    }

    /// Shows this row and those ahead of a symbol that is new to inference.
    fn meet(&mut self, exchange: &SmolStr, symbol: &SmolStr) {
        let (layout, shared) = (&self.layout, self.symbols.shared());
        layout.note(&self.reader.cells(), shared, exchange, symbol);
        self.looks += 1;
        if self.looks <= MOST_LOOKS {
            look_ahead(&mut self.reader.lines, &self.reader.header, |cells| {
                if cells.check_width().is_ok()
                    && layout.names(cells).is_ok_and(|(e, s)| e == *exchange && s == *symbol)
                {
                    layout.note(cells, shared, exchange, symbol);
                }
            });
        }
    }
}

impl Source for LevelsSource {
    fn instruments(&self) -> &[Instrument] {
        self.symbols.instruments()
    }

    fn depth(&self, _: InstrumentId) -> FeedDepth {
        FeedDepth::Levels(u32::try_from(self.layout.levels[0].len()).unwrap_or(u32::MAX))
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
