//! Rows of BitMEX' tables: columns in order, each value as the JSON text that goes out, so that decimals stay exact.

use std::fmt::{Display, Write};

use rust_decimal::Decimal;

use crate::market::Timestamp;
use crate::venue::text::write_text;

/// One row. All values stand in one text, one behind the other: an order has thirty columns, and a text of its own for each
/// was most of what an answer cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Row {
    /// The columns, with where their values end.
    columns: Vec<(&'static str, usize)>,
    values: String,
}

/// Room that most rows need: columns, and bytes of values.
const ROOM: (usize, usize) = (12, 160);

impl Row {
    pub(super) fn new() -> Self {
        Self { columns: Vec::with_capacity(ROOM.0), values: String::with_capacity(ROOM.1) }
    }

    fn end(&mut self, name: &'static str) {
        self.columns.push((name, self.values.len()));
    }

    /// A text.
    pub(super) fn text(mut self, name: &'static str, value: &str) -> Self {
        self.values.push('"');
        write_text(&mut self.values, value);
        self.values.push('"');
        self.end(name);
        self
    }

    /// A number or a flag, as it prints.
    pub(super) fn plain(mut self, name: &'static str, value: impl Display) -> Self {
        // Writing to memory does not fail.
        let _ = write!(self.values, "{value}");
        self.end(name);
        self
    }

    /// A decimal; `null` where there is none.
    pub(super) fn number(self, name: &'static str, value: Option<Decimal>) -> Self {
        match value {
            Some(value) => self.plain(name, value.normalize()),
            None => self.plain(name, "null"),
        }
    }

    /// A time with three decimals.
    pub(super) fn time(self, name: &'static str, value: Timestamp) -> Self {
        let text = time_text(value);
        self.text(name, &text)
    }

    /// The row with another `text`.
    pub(super) fn with_text(self, text: &str) -> Self {
        self.kept(|name, _| name != "text").text("text", text)
    }

    /// The columns and their values, as JSON.
    fn pairs(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let mut from = 0;
        self.columns.iter().map(move |(name, to)| {
            let value = self.values.get(from..*to).unwrap_or_default();
            from = *to;
            (*name, value)
        })
    }

    /// The columns that are wanted, in their order.
    fn kept(&self, wanted: impl Fn(&str, &str) -> bool) -> Self {
        let mut kept = Self::new();
        for (name, value) in self.pairs().filter(|(name, value)| wanted(name, value)) {
            kept.values.push_str(value);
            kept.end(name);
        }
        kept
    }

    /// The value of a column, as JSON.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.pairs().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Only these columns, those of `keys` always.
    pub(super) fn only(self, columns: &[String], keys: &[&str]) -> Self {
        self.kept(|name, _| keys.contains(&name) || columns.iter().any(|column| column == name))
    }

    /// The columns that are not as they were, and those of `keys`; `None` where nothing changed but these.
    pub(super) fn changes(&self, before: &Self, keys: &[&str]) -> Option<Self> {
        let is_new = |name: &str, value: &str| !keys.contains(&name) && before.get(name) != Some(value);
        if !self.pairs().any(|(name, value)| is_new(name, value)) {
            return None;
        }
        Some(self.kept(|name, value| keys.contains(&name) || is_new(name, value)))
    }

    /// The row without what is `null`: sockets leave it out.
    pub(super) fn without_nulls(self) -> Self {
        self.kept(|_, value| value != "null")
    }

    fn write_json(&self, out: &mut String) {
        let mut open = "{\"";
        for (name, value) in self.pairs() {
            out.push_str(open);
            out.push_str(name);
            out.push_str("\":");
            out.push_str(value);
            open = ",\"";
        }
        out.push_str(if self.columns.is_empty() { "{}" } else { "}" });
    }

    /// How many bytes its JSON has, about.
    fn room(&self) -> usize {
        let names: usize = self.columns.iter().map(|(name, _)| name.len() + 4).sum();
        names + self.values.len() + 2
    }

    /// As it goes out.
    pub(super) fn json(&self) -> String {
        let mut out = String::with_capacity(self.room());
        self.write_json(&mut out);
        out
    }
}

/// Rows as an array.
pub(super) fn array(rows: &[Row]) -> String {
    let mut out = String::with_capacity(rows.iter().map(|row| row.room() + 1).sum::<usize>() + 2);
    out.push('[');
    for (at, row) in rows.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        row.write_json(&mut out);
    }
    out.push(']');
    out
}

/// `YYYY-MM-DDTHH:MM:SS.sssZ`.
pub(super) fn time_text(time: Timestamp) -> String {
    let millis = jiff::Timestamp::from_millisecond(time.millis()).unwrap_or_default();
    format!("{millis:.3}")
}
