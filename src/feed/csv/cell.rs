//! One cell of a row: names, times and numbers, and what is wrong with one that is none.

use std::path::Path;

use super::buffer::Record;
use crate::market::SourceError;
use crate::market::decimal::parse_units;

/// The largest price or quantity, in units: sums of thousands of them stay exact.
pub(super) const LARGEST: i64 = 1 << 53;

/// What is wrong with one field of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RowFault {
    /// The column's index.
    pub(super) column: usize,
    /// The column's name.
    pub(super) name: String,
    /// What stands there.
    pub(super) value: String,
    /// What is wrong with it.
    pub(super) fault: String,
}

impl RowFault {
    /// The error of a row on that line.
    pub(super) fn at(self, file: &Path, line: u64) -> SourceError {
        let Self { column, name, value, fault } = self;
        SourceError::Row { file: file.to_path_buf(), line, column: column + 1, name, value, fault }
    }
}

/// The fault of a row that no reader holds.
pub(super) fn too_long() -> RowFault {
    let fault = "is longer than 64 KiB or has more than 256 columns".to_owned();
    RowFault { column: 0, name: "the row".to_owned(), value: String::new(), fault }
}

/// A time stamp of milliseconds, microseconds or nanoseconds, told apart by its size, in nanoseconds.
#[inline(always)]
pub(super) fn nanos(value: u64) -> Option<i64> {
    let factor = match value {
        100_000_000_000_000_001.. => 1,
        100_000_000_000_001.. => 1_000,
        100_000_000_001.. => 1_000_000,
        _ => return None,
    };
    i64::try_from(value.checked_mul(factor)?).ok()
}

/// The time that such a stamp's digits say.
pub(super) fn stamp(text: &[u8]) -> Result<i64, &'static str> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let value = digits.then(|| std::str::from_utf8(text).ok()?.parse().ok()).flatten();
    value.and_then(nanos).ok_or("is no time in ms, us or ns since the epoch")
}

/// A text of letters that can name something.
pub(super) fn name(text: &[u8]) -> Result<&str, &'static str> {
    match std::str::from_utf8(text) {
        Ok("") => Err("is empty"),
        Ok(text) if text.len() <= 64 && !text.contains(char::is_control) => Ok(text),
        _ => Err("is no name"),
    }
}

/// A price or quantity of zero or more, in units of `scale`.
pub(super) fn units(text: &[u8], scale: u8) -> Result<i64, String> {
    match parse_units(text, scale) {
        Ok(units) if units < 0 => Err("is negative".to_owned()),
        Ok(units) if units >= LARGEST => Err("is too large".to_owned()),
        Ok(units) => Ok(units),
        Err(fault) => Err(fault.to_string()),
    }
}

/// A price: it is never zero.
pub(super) fn price(text: &[u8], scale: u8) -> Result<i64, String> {
    match units(text, scale) {
        Ok(0) => Err("is zero".to_owned()),
        other => other,
    }
}

/// The start of a long text.
pub(super) fn crop(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// A record under its header: cells by column, faults with the column's name.
pub(super) struct Cells<'a> {
    pub(super) header: &'a [String],
    pub(super) record: &'a Record,
}

impl<'a> Cells<'a> {
    /// What stands in a column.
    pub(super) fn get(&self, column: usize) -> &'a [u8] {
        self.record.get(column)
    }

    /// A fault of one column.
    pub(super) fn fault(&self, column: usize, fault: impl Into<String>) -> RowFault {
        RowFault {
            column,
            name: self.header.get(column).cloned().unwrap_or_default(),
            value: crop(&String::from_utf8_lossy(self.get(column))),
            fault: fault.into(),
        }
    }

    /// Refuses a row with more or fewer cells than the header has.
    pub(super) fn check_width(&self) -> Result<(), RowFault> {
        let (have, wanted) = (self.record.len(), self.header.len());
        if have == wanted { Ok(()) } else { Err(wrong_width(have, wanted)) }
    }

    /// The value of a column by one of the functions of this file.
    pub(super) fn read<T, F: Into<String>>(
        &self,
        column: usize,
        read: impl FnOnce(&'a [u8]) -> Result<T, F>,
    ) -> Result<T, RowFault> {
        read(self.get(column)).map_err(|fault| self.fault(column, fault))
    }
}

/// The fault of a row that has too many or too few cells.
pub(super) fn wrong_width(have: usize, wanted: usize) -> RowFault {
    RowFault {
        column: have.min(wanted),
        name: "the row's last".to_owned(),
        value: String::new(),
        fault: format!("is one of {have} columns, the header has {wanted}"),
    }
}
