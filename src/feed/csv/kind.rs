//! The header line: which kind of file it is, and where a column stands.

use std::path::Path;

use super::cell::crop;
use crate::market::SourceError;

/// What a file holds. `docs/csv.md` has a line for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CsvKind {
    /// Tardis `incremental_book_L2`: level changes.
    Book,
    /// Tardis `trades`: prints.
    Trades,
    /// Tardis `book_snapshot_5`, `book_snapshot_25`: the best so many levels a side, anew in each row.
    BookSnapshot(u32),
    /// Tardis `quotes`: the best level a side.
    Quotes,
    /// Tardis `book_ticker`: the same columns, from the exchange's own channel.
    BookTicker,
    /// Tardis `derivative_ticker`: mark, index and funding.
    Ticker,
    /// Tardis `liquidations`: orders that closed somebody's position.
    Liquidations,
    /// BitMEX' daily dump of trades.
    BitmexTrade,
    /// BitMEX' daily dump of quotes.
    BitmexQuote,
    /// OHLCV candles.
    Candles,
    /// An event array of hftbacktest (`.npz`).
    Npz,
}

impl CsvKind {
    /// Its name: as Tardis spells it in file names, where it is Tardis'.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Book => "incremental_book_L2",
            Self::Trades => "trades",
            Self::BookSnapshot(5) => "book_snapshot_5",
            Self::BookSnapshot(25) => "book_snapshot_25",
            Self::BookSnapshot(_) => "book_snapshot",
            Self::Quotes => "quotes",
            Self::BookTicker => "book_ticker",
            Self::Ticker => "derivative_ticker",
            Self::Liquidations => "liquidations",
            Self::BitmexTrade => "BitMEX trade dump",
            Self::BitmexQuote => "BitMEX quote dump",
            Self::Candles => "candles",
            Self::Npz => "npz",
        }
    }

    /// The kind by the columns; where they leave it open, by the file's name.
    pub(super) fn of(file: &Path, header: &[String]) -> Result<Self, SourceError> {
        kind_of(file, header).map_err(|fault| SourceError::File { file: file.to_path_buf(), fault })
    }
}

const READ: &str = "papertape reads incremental_book_L2, book_snapshot_5 and _25, quotes, book_ticker, trades, derivative_ticker, liquidations, BitMEX trade and quote dumps, candles and .npz";

fn kind_of(file: &Path, header: &[String]) -> Result<CsvKind, String> {
    let has = |name: &str| header.iter().any(|have| have == name);
    let all = |names: &[&str]| names.iter().all(|name| has(name));
    let called = file.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    if has("is_snapshot") || (called.contains("incremental_book") && has("side")) {
        return Ok(CsvKind::Book);
    }
    if has("asks[0].price") || has("bids[0].price") {
        return Ok(CsvKind::BookSnapshot(levels(header)));
    }
    if all(&["ask_price", "bid_price"]) {
        let ticker = called.contains("book_ticker");
        return Ok(if ticker { CsvKind::BookTicker } else { CsvKind::Quotes });
    }
    if all(&["bidPrice", "askPrice"]) {
        return Ok(CsvKind::BitmexQuote);
    }
    if has("trdMatchID") || all(&["tickDirection", "size", "price"]) {
        return Ok(CsvKind::BitmexTrade);
    }
    if all(&["open", "high", "low", "close"]) {
        return Ok(CsvKind::Candles);
    }
    if has("funding_rate") {
        return Ok(CsvKind::Ticker);
    }
    if has("id") || (called.contains("_trades") && has("side")) {
        // Two kinds with the same columns: the name decides.
        let liquidations = called.contains("liquidations");
        return Ok(if liquidations { CsvKind::Liquidations } else { CsvKind::Trades });
    }
    Err(format!("no known kind of CSV: the header is {:?}; {READ}", crop(&header.join(","))))
}

/// How many levels a side a snapshot's header has, from 1.
fn levels(header: &[String]) -> u32 {
    let level = |name: &String| {
        let rest = name.strip_prefix("asks[").or_else(|| name.strip_prefix("bids["))?;
        rest.strip_suffix("].price")?.parse::<u32>().ok().filter(|level| *level < 64)
    };
    header.iter().filter_map(level).max().unwrap_or(0) + 1
}

/// Where a column that `kind` needs stands.
pub(super) fn column(
    file: &Path,
    kind: CsvKind,
    header: &[String],
    wanted: &str,
) -> Result<usize, SourceError> {
    let fail = |fault: String| Err(SourceError::File { file: file.to_path_buf(), fault });
    let mut found = header.iter().enumerate().filter(|(_, name)| *name == wanted);
    match (found.next(), found.next()) {
        (Some((index, _)), None) => Ok(index),
        (Some(_), Some(_)) => fail(format!("the header has the column {wanted} twice")),
        (None, _) => {
            let have = crop(&header.join(","));
            fail(format!("{} needs a column {wanted}; the header is {have:?}", kind.name()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(file: &str, header: &str) -> Result<CsvKind, String> {
        let header: Vec<String> = header.split(',').map(str::to_owned).collect();
        CsvKind::of(Path::new(file), &header).map_err(|error| error.to_string())
    }

    #[test]
    fn kinds_are_told_by_the_header() {
        let five: Vec<String> = (0..5)
            .map(|i| format!("asks[{i}].price,asks[{i}].amount,bids[{i}].price,bids[{i}].amount"))
            .collect();
        let five = format!("exchange,symbol,timestamp,local_timestamp,{}", five.join(","));
        let quotes = "exchange,symbol,timestamp,local_timestamp,ask_amount,ask_price,bid_price,bid_amount";
        for (file, header, want) in [
            (
                "x.csv",
                "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount",
                CsvKind::Book,
            ),
            ("x.csv", "side,exchange,symbol,timestamp,local_timestamp,id,price,amount,more", CsvKind::Trades),
            ("x_trades_history_y.csv", "timestamp,side,price", CsvKind::Trades),
            ("x.csv", &five, CsvKind::BookSnapshot(5)),
            ("x.csv", quotes, CsvKind::Quotes),
            ("a_book_ticker_b.csv.gz", quotes, CsvKind::BookTicker),
            ("x.csv", "timestamp,symbol,bidSize,bidPrice,askPrice,askSize", CsvKind::BitmexQuote),
            (
                "x.csv",
                "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,foreignNotional,trdType",
                CsvKind::BitmexTrade,
            ),
            ("x.csv", "timestamp,open,high,low,close,volume", CsvKind::Candles),
            (
                "bitmex_Liquidations_2024-01-01_XBTUSD.csv",
                "exchange,symbol,timestamp,local_timestamp,id,side,price,amount",
                CsvKind::Liquidations,
            ),
            ("x.csv", &crate::feed::csv::ticker::COLUMNS.join(","), CsvKind::Ticker),
        ] {
            assert_eq!(kind(file, header), Ok(want), "{header}");
        }
    }

    #[test]
    fn other_files_are_refused_with_a_reason() {
        let error = kind("q.csv", "\u{0}\u{1}").unwrap_err();
        assert!(error.contains("no known kind of CSV"), "{error}");
        let column = |header: &str, wanted| {
            let header: Vec<String> = header.split(',').map(str::to_owned).collect();
            column(Path::new("x.csv"), CsvKind::Book, &header, wanted).unwrap_err().to_string()
        };
        assert!(column("a,b", "price").contains("incremental_book_L2 needs a column price"));
        assert!(column("price,price", "price").contains("price twice"));
    }
}
