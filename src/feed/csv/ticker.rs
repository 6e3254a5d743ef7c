//! Tardis `derivative_ticker`: what is told of a contract beside its market, each row a message of its own.
//!
//! Mark, index and funding rate are read, whatever of them a row has. A rate without a time is of no known settlement.
//! Open interest, last price and the predicted rate are nothing that a simulation uses, and are passed over; a row that
//! has only those is counted and says nothing.

use std::path::{Path, PathBuf};

use smol_str::SmolStr;

use super::buffer::Lines;
use super::cell::{self, Cells, RowFault};
use super::file::CsvOptions;
use super::kind::{CsvKind, column};
use super::reader::{Known, Reader, Stage, SymbolTable, look_ahead};
use super::symbols::Symbols;
use crate::market::{
    FeedDepth, FeedStats, FinePrice, FundingRate, Group, GroupKind, Instrument, InstrumentId, MarketEvent,
    News, Source, SourceError, Timestamp,
};

/// The columns, in Tardis' own order.
pub(super) const COLUMNS: [&str; 11] = [
    "exchange",
    "symbol",
    "timestamp",
    "local_timestamp",
    "funding_timestamp",
    "funding_rate",
    "predicted_funding_rate",
    "open_interest",
    "last_price",
    "index_price",
    "mark_price",
];

/// Where the columns are that are read.
struct Layout {
    exchange: usize,
    symbol: usize,
    timestamp: usize,
    local_timestamp: usize,
    due: usize,
    rate: usize,
    index: usize,
    mark: usize,
}

impl Layout {
    fn read(file: &Path, header: &[String]) -> Result<Self, SourceError> {
        let at = |name: &str| column(file, CsvKind::Ticker, header, name);
        Ok(Self {
            exchange: at("exchange")?,
            symbol: at("symbol")?,
            timestamp: at("timestamp")?,
            local_timestamp: at("local_timestamp")?,
            due: at("funding_timestamp")?,
            rate: at("funding_rate")?,
            index: at("index_price")?,
            mark: at("mark_price")?,
        })
    }

    /// Exchange and symbol of a row.
    fn names(&self, cells: &Cells<'_>) -> Result<(SmolStr, SmolStr), RowFault> {
        let name = |column| cells.read(column, cell::name).map(SmolStr::from);
        Ok((name(self.exchange)?, name(self.symbol)?))
    }

    /// What a row tells, in the order mark, index, funding.
    fn news(&self, cells: &Cells<'_>, out: &mut Vec<MarketEvent>) -> Result<(), RowFault> {
        let mark = given(cells, self.mark, fine_price)?.map(News::Mark);
        let index = given(cells, self.index, fine_price)?.map(News::Index);
        let due = given(cells, self.due, |text| cell::stamp(text).map(Timestamp::from_nanos))?;
        let funding =
            given(cells, self.rate, |text| FundingRate::read(utf8(text)?).map_err(|f| f.to_string()))?
                .map(|rate| News::Funding { rate, due: due.unwrap_or(Timestamp::MAX) });
        out.extend([mark, index, funding].into_iter().flatten().map(MarketEvent::News));
        Ok(())
    }
}

/// The value of a cell; `None` where it is empty.
fn given<'c, T, F: Into<String>>(
    cells: &Cells<'c>,
    column: usize,
    read: impl FnOnce(&'c [u8]) -> Result<T, F>,
) -> Result<Option<T>, RowFault> {
    if cells.get(column).is_empty() { Ok(None) } else { cells.read(column, read).map(Some) }
}

fn utf8(text: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(text).map_err(|_| "is not a decimal".to_owned())
}

fn fine_price(text: &[u8]) -> Result<FinePrice, String> {
    match FinePrice::read(utf8(text)?) {
        Ok(price) if price.units() > 0 => Ok(price),
        Ok(_) => Err("is not more than zero".to_owned()),
        Err(fault) => Err(fault.to_string()),
    }
}

/// A file of tickers whose header was read and whose first rows were looked at.
pub(super) struct TickerFile {
    header: Vec<String>,
    layout: Layout,
    lines: Lines,
    seen: Vec<(SmolStr, SmolStr)>,
}

impl TickerFile {
    pub(super) fn read(file: &Path, header: Vec<String>, mut lines: Lines) -> Result<Self, SourceError> {
        let layout = Layout::read(file, &header)?;
        let mut seen = Vec::new();
        look_ahead(&mut lines, &header, |cells| {
            if cells.check_width().is_ok()
                && let Ok(names) = layout.names(cells)
                && !seen.contains(&names)
            {
                seen.push(names);
            }
        });
        Ok(Self { header, layout, lines, seen })
    }

    pub(super) fn seen(&self) -> &[(SmolStr, SmolStr)] {
        &self.seen
    }

    pub(super) fn source(self, file: PathBuf, symbols: Symbols, options: CsvOptions) -> TickerSource {
        let mut symbols = SymbolTable::new(symbols);
        for (exchange, symbol) in &self.seen {
            // A symbol that cannot be resolved is a bad row each time it turns up.
            let _ = symbols.add(exchange, symbol);
        }
        let reader = Reader::new(file, self.header, self.lines, options);
        TickerSource { reader, layout: self.layout, symbols, stage: Stage::default() }
    }
}

/// One such file as a source.
pub(super) struct TickerSource {
    reader: Reader,
    layout: Layout,
    symbols: SymbolTable,
    stage: Stage,
}

impl TickerSource {
    pub(super) fn rows(&self) -> u64 {
        self.reader.rows
    }

    fn step(&mut self) -> Result<Option<Timestamp>, SourceError> {
        while let Some(line) = self.reader.advance()? {
            self.stage.clear();
            match self.read_row() {
                Ok(()) => {
                    self.reader.tally.stats.messages += 1;
                    if !self.stage.events.is_empty() {
                        return Ok(Some(self.stage.play(&mut self.reader.tally, line)));
                    }
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
        let known: Result<Known, String> = match self.symbols.get(&exchange, &symbol) {
            Some(known) => known.clone(),
            None => self.symbols.add(&exchange, &symbol),
        };
        let known = known.map_err(|why| cells.fault(self.layout.symbol, why))?;
        let time = |column| cells.read(column, cell::stamp);
        let (exchange_time, receive_time) =
            (time(self.layout.timestamp)?, time(self.layout.local_timestamp)?);
        self.layout.news(&cells, &mut self.stage.events)?;
        let stage = &mut self.stage;
        (stage.instrument, stage.kind) = (known.instrument, GroupKind::Update);
        (stage.exchange_time, stage.receive_time) = (exchange_time, receive_time);
        Ok(())
    }
}

impl Source for TickerSource {
    fn instruments(&self) -> &[Instrument] {
        self.symbols.instruments()
    }

    fn depth(&self, _: InstrumentId) -> FeedDepth {
        FeedDepth::News
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
