//! Rows of BitMEX' tables: columns in order, each value as the JSON text that goes out, so that decimals stay exact.

use std::fmt::Display;

use rust_decimal::Decimal;

use crate::market::Timestamp;

/// One row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Row(Vec<(&'static str, String)>);

impl Row {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// A text.
    pub(super) fn text(mut self, name: &'static str, value: &str) -> Self {
        self.0.push((name, serde_json::Value::from(value).to_string()));
        self
    }

    /// A number or a flag, as it prints.
    pub(super) fn plain(mut self, name: &'static str, value: impl Display) -> Self {
        self.0.push((name, value.to_string()));
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
    pub(super) fn with_text(mut self, text: &str) -> Self {
        self.0.retain(|(name, _)| *name != "text");
        self.text("text", text)
    }

    /// The value of a column, as JSON.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// Only these columns, those of `keys` always.
    pub(super) fn only(self, columns: &[String], keys: &[&str]) -> Self {
        let wanted = |name: &str| keys.contains(&name) || columns.iter().any(|column| column == name);
        Self(self.0.into_iter().filter(|(name, _)| wanted(name)).collect())
    }

    /// The columns that are not as they were, and those of `keys`; `None` where nothing changed but these.
    pub(super) fn changes(&self, before: &Self, keys: &[&str]) -> Option<Self> {
        let is_new = |(name, value): &(&'static str, String)| {
            !keys.contains(name) && before.get(name) != Some(value.as_str())
        };
        if !self.0.iter().any(is_new) {
            return None;
        }
        Some(Self(self.0.iter().filter(|pair| keys.contains(&pair.0) || is_new(pair)).cloned().collect()))
    }

    /// The row without what is `null`: sockets leave it out.
    pub(super) fn without_nulls(self) -> Self {
        Self(self.0.into_iter().filter(|(_, value)| value != "null").collect())
    }

    /// As it goes out.
    pub(super) fn json(&self) -> String {
        let columns: Vec<String> = self.0.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", columns.join(","))
    }
}

/// Rows as an array.
pub(super) fn array(rows: &[Row]) -> String {
    format!("[{}]", rows.iter().map(Row::json).collect::<Vec<String>>().join(","))
}

/// `YYYY-MM-DDTHH:MM:SS.sssZ`.
pub(super) fn time_text(time: Timestamp) -> String {
    let millis = jiff::Timestamp::from_millisecond(time.millis()).unwrap_or_default();
    format!("{millis:.3}")
}
