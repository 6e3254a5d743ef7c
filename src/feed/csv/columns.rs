//! The header line: which kind of file it is and where its columns are.

use std::path::Path;

use crate::market::SourceError;

/// What a Tardis file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CsvKind {
    /// `incremental_book_L2`: level changes.
    Book,
    /// `trades`: prints.
    Trades,
}

impl CsvKind {
    /// As Tardis spells it in file names.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Book => "incremental_book_L2",
            Self::Trades => "trades",
        }
    }

    /// The columns it needs, in Tardis' own order.
    pub(super) const fn columns(self) -> [&'static str; 8] {
        let fifth = match self {
            Self::Book => "is_snapshot",
            Self::Trades => "id",
        };
        ["exchange", "symbol", "timestamp", "local_timestamp", fifth, "side", "price", "amount"]
    }
}

/// The roles of the columns, in Tardis' own order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Exchange,
    Symbol,
    Timestamp,
    LocalTimestamp,
    /// `is_snapshot` or `id`.
    Fifth,
    Side,
    Price,
    Amount,
}

/// Where the columns of a file are.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    pub(super) kind: CsvKind,
    /// The index of each role.
    at: [usize; 8],
    /// How many columns the file has.
    pub(super) count: usize,
    /// Whether they stand exactly in Tardis' own order, with no other.
    pub(super) standard: bool,
}

impl Columns {
    /// Reads a header line.
    pub(super) fn read<'a>(file: &Path, names: impl Iterator<Item = &'a [u8]>) -> Result<Self, SourceError> {
        let names: Vec<String> = names.map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect();
        let fail = |fault: String| SourceError::File { file: file.to_path_buf(), fault };
        let kind = kind_of(file, &names).map_err(fail)?;
        let mut at = [0; 8];
        for (index, wanted) in at.iter_mut().zip(kind.columns()) {
            let mut found = names.iter().enumerate().filter(|(_, name)| *name == wanted);
            *index = match (found.next(), found.next()) {
                (Some((index, _)), None) => index,
                (Some(_), Some(_)) => return Err(fail(format!("the header has the column {wanted} twice"))),
                (None, _) => {
                    let have = names.join(",");
                    return Err(fail(format!(
                        "a {} file needs a column {wanted}; the header is {have:?}",
                        kind.name()
                    )));
                }
            };
        }
        let count = names.len();
        Ok(Self { kind, at, count, standard: count == 8 && at == [0, 1, 2, 3, 4, 5, 6, 7] })
    }

    /// Where a column is.
    pub(super) fn index(&self, role: Role) -> usize {
        self.at[role as usize]
    }

    /// What a column is called.
    pub(super) fn name(&self, role: Role) -> &'static str {
        self.kind.columns()[role as usize]
    }
}

/// The kind by the columns; where they leave it open, by the file's name.
fn kind_of(file: &Path, names: &[String]) -> Result<CsvKind, String> {
    let has = |name: &str| names.iter().any(|have| have == name);
    let called = file.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    if has("is_snapshot") || (called.contains("incremental_book") && has("side")) {
        return Ok(CsvKind::Book);
    }
    if has("id") || (called.contains("_trades") && has("side")) {
        if called.contains("liquidations") {
            return Err(
                "a liquidations file; papertape reads incremental_book_L2 and trades so far".to_owned()
            );
        }
        return Ok(CsvKind::Trades);
    }
    let other = [
        ("asks[0].price", "book_snapshot"),
        ("bid_price", "quotes"),
        ("bidPrice", "BitMEX quote dump"),
        ("trdMatchID", "BitMEX trade dump"),
        ("funding_rate", "derivative_ticker"),
        ("open", "candles"),
    ];
    Err(match other.into_iter().find(|(column, _)| has(column)) {
        Some((_, kind)) => format!("a {kind} file; papertape reads incremental_book_L2 and trades so far"),
        None => format!(
            "no known kind of CSV: the header is {:?}; Tardis incremental_book_L2 begins {:?}",
            crop(&names.join(",")),
            CsvKind::Book.columns().join(","),
        ),
    })
}

/// The start of a long text.
pub(super) fn crop(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &str, header: &str) -> Result<Columns, String> {
        Columns::read(Path::new(file), header.split(',').map(str::as_bytes))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn kinds_are_told_by_the_header() {
        let book =
            read("x.csv", "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount").unwrap();
        assert_eq!((book.kind, book.standard), (CsvKind::Book, true));
        let moved =
            read("x.csv", "side,exchange,symbol,timestamp,local_timestamp,id,price,amount,more").unwrap();
        assert_eq!((moved.kind, moved.standard, moved.count), (CsvKind::Trades, false, 9));
        assert_eq!((moved.index(Role::Side), moved.index(Role::Amount)), (0, 7));
    }

    #[test]
    fn other_files_are_refused_with_a_reason() {
        for (file, header, want) in [
            (
                "x.csv",
                "exchange,symbol,timestamp,is_snapshot,side,price,amount",
                "needs a column local_timestamp",
            ),
            (
                "a_incremental_book_L2_b.csv",
                "exchange,symbol,timestamp,local_timestamp,side,price,amount",
                "needs a column is_snapshot",
            ),
            (
                "a_liquidations_b.csv",
                "exchange,symbol,timestamp,local_timestamp,id,side,price,amount",
                "a liquidations file",
            ),
            (
                "q.csv",
                "exchange,symbol,timestamp,local_timestamp,ask_amount,ask_price,bid_price,bid_amount",
                "a quotes file",
            ),
            ("q.csv", "price,price,id,side,amount,exchange,symbol,timestamp,local_timestamp", "price twice"),
            ("q.csv", "\u{0}\u{1}", "no known kind of CSV"),
        ] {
            let error = read(file, header).unwrap_err();
            assert!(error.contains(want), "{error}");
        }
    }
}
