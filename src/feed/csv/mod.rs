//! Recorded tables as sources and back: Tardis datasets, plain, `.gz` or `.zst`. `docs/csv.md` lists the kinds.
//!
//! [`CsvFile`] opens one file of any kind and [`CsvSource`] reads it. Rows of `incremental_book_L2` and `trades` in the
//! standard column order are parsed in place in one reused buffer (`source`); any other row and every other kind goes
//! through the csv parser (`levels`, `ticker`, `dump`, `candles`);
//! `.npz` is an array and no text. A bad row is counted and left out, or stops a strict reader. [`Symbols`] says which
//! instrument a file's symbol is; files that are read together share one. [`TardisWriter`] writes.
//!
//! Never here: more than one file at a time (see [`merge`](super::merge)), what a book makes of the rows.
//! Start at [`CsvFile::open`].

mod buffer;
mod candles;
mod cell;
mod columns;
mod dump;
mod file;
mod kind;
mod levels;
mod npz;
mod reader;
mod row;
mod source;
mod symbols;
mod ticker;
mod write;

pub use file::{CsvFile, CsvOptions, CsvSource};
pub use kind::CsvKind;
pub use symbols::{Symbols, UNKNOWN_QUOTE, guess_pair};
pub use write::{TardisWriter, WriteError};
