//! Where the columns of the two kinds are that are read in place: `incremental_book_L2` and `trades`.

use std::path::Path;

use super::kind::{self, CsvKind};
use crate::market::SourceError;

/// The columns of the two kinds that are read in place, in Tardis' own order.
pub(super) const fn columns(kind: CsvKind) -> [&'static str; 8] {
    let fifth = match kind {
        CsvKind::Book => "is_snapshot",
        _ => "id",
    };
    ["exchange", "symbol", "timestamp", "local_timestamp", fifth, "side", "price", "amount"]
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
    /// Finds the columns of a kind that is read in place in a header.
    pub(super) fn read(file: &Path, kind: CsvKind, header: &[String]) -> Result<Self, SourceError> {
        let mut at = [0; 8];
        for (index, wanted) in at.iter_mut().zip(columns(kind)) {
            *index = kind::column(file, kind, header, wanted)?;
        }
        let count = header.len();
        Ok(Self { kind, at, count, standard: count == 8 && at == [0, 1, 2, 3, 4, 5, 6, 7] })
    }

    /// Where a column is.
    pub(super) fn index(&self, role: Role) -> usize {
        self.at[role as usize]
    }

    /// What a column is called.
    pub(super) fn name(&self, role: Role) -> &'static str {
        columns(self.kind)[role as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_by_name() {
        let read = |kind, header: &str| {
            let header: Vec<String> = header.split(',').map(str::to_owned).collect();
            Columns::read(Path::new("x.csv"), kind, &header)
        };
        let book = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount";
        assert!(read(CsvKind::Book, book).unwrap().standard);
        let moved = "side,exchange,symbol,timestamp,local_timestamp,id,price,amount,more";
        let moved = read(CsvKind::Trades, moved).unwrap();
        assert_eq!((moved.standard, moved.count), (false, 9));
        assert_eq!((moved.index(Role::Side), moved.index(Role::Amount)), (0, 7));
    }
}
