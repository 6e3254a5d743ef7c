//! Tardis datasets as sources and back: `incremental_book_L2` and `trades`, plain, `.gz` or `.zst`.
//!
//! [`CsvSource`] reads one file. Rows in the standard column order are parsed in place in one reused buffer; any other
//! row (quotes, another order of columns, odd numbers) goes through the csv parser and means the same. A bad row is
//! counted and left out, or stops a strict reader. [`Symbols`] says which instrument a file's symbol is; files that are
//! read together share one. [`TardisWriter`] writes.
//!
//! Never here: more than one file at a time (see [`merge`](super::merge)), what a book makes of the rows.
//! Start at [`CsvFile::open`].

mod buffer;
mod columns;
mod row;
mod source;
mod swar;
mod symbols;
mod write;

pub use columns::CsvKind;
pub use source::{CsvFile, CsvOptions, CsvSource};
pub use symbols::{Symbols, UNKNOWN_QUOTE, guess_pair};
pub use write::{TardisWriter, WriteError};
