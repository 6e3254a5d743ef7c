//! Rows of BitMEX' tables: columns in order, written as the JSON text that goes out, so that decimals stay exact.

use std::fmt::{Display, Write};

use rust_decimal::Decimal;

use crate::market::Timestamp;
use crate::venue::text::{write_padded, write_text};

/// One row. It stands in one text as it goes out: an order has thirty columns, and a text of its own for each was most of
/// what an answer cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Row {
    /// The columns, with where their values begin and end.
    columns: Vec<(&'static str, usize, usize)>,
    /// `{"symbol":"XBTUSD","price":60000` and so on: all but the end of the object.
    json: String,
}

/// Room that most rows need: columns, and bytes.
const ROOM: (usize, usize) = (12, 320);
/// Room for a row of an order.
const WIDE: (usize, usize) = (34, 960);

impl Row {
    pub(super) fn new() -> Self {
        Self::with_room(ROOM)
    }

    /// A row that will have as many columns as an order.
    pub(super) fn wide() -> Self {
        Self::with_room(WIDE)
    }

    fn with_room((columns, bytes): (usize, usize)) -> Self {
        Self { columns: Vec::with_capacity(columns), json: String::with_capacity(bytes) }
    }

    /// A column whose value is written as JSON.
    fn put(mut self, name: &'static str, write: impl FnOnce(&mut String)) -> Self {
        self.json.push_str(if self.columns.is_empty() { "{\"" } else { ",\"" });
        self.json.push_str(name);
        self.json.push_str("\":");
        let from = self.json.len();
        write(&mut self.json);
        self.columns.push((name, from, self.json.len()));
        self
    }

    /// A text.
    pub(super) fn text(self, name: &'static str, value: &str) -> Self {
        self.put(name, |json| {
            json.push('"');
            write_text(json, value);
            json.push('"');
        })
    }

    /// A text that needs no escapes, as it prints: an id, a time.
    pub(super) fn quoted(self, name: &'static str, value: impl Display) -> Self {
        // Writing to memory does not fail.
        self.put(name, |json| _ = write!(json, "\"{value}\""))
    }

    /// A number or a flag, as it prints.
    pub(super) fn plain(self, name: &'static str, value: impl Display) -> Self {
        self.put(name, |json| _ = write!(json, "{value}"))
    }

    /// A value as JSON.
    pub(super) fn raw(self, name: &'static str, value: &str) -> Self {
        self.put(name, |json| json.push_str(value))
    }

    /// A decimal; `null` where there is none.
    pub(super) fn number(self, name: &'static str, value: Option<Decimal>) -> Self {
        let Some(value) = value.map(|value| value.normalize()) else { return self.raw(name, "null") };
        match (i64::try_from(value.mantissa()), u8::try_from(value.scale())) {
            // No step: as many decimals as it has.
            (Ok(units), Ok(scale)) => self.put(name, |json| write_padded(json, units, scale, 1)),
            _ => self.plain(name, value),
        }
    }

    /// A time with three decimals.
    pub(super) fn time(self, name: &'static str, value: Timestamp) -> Self {
        self.quoted(name, time_text(value))
    }

    /// The same time in two columns.
    pub(super) fn times(self, [one, other]: [&'static str; 2], value: Timestamp) -> Self {
        let text = time_text(value);
        self.quoted(one, &text).quoted(other, &text)
    }

    /// The row with another `text`.
    pub(super) fn with_text(self, text: &str) -> Self {
        self.kept(|name, _| name != "text").text("text", text)
    }

    /// The columns and their values, as JSON.
    fn pairs(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.columns.iter().map(|(name, from, to)| (*name, self.json.get(*from..*to).unwrap_or_default()))
    }

    /// The columns that are wanted, in their order.
    fn kept(&self, wanted: impl Fn(&str, &str) -> bool) -> Self {
        let wanted = self.pairs().filter(|(name, value)| wanted(name, value));
        wanted.fold(Self::with_room((self.columns.len(), self.json.len())), |row, (name, value)| {
            row.raw(name, value)
        })
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

    /// What ends the object.
    fn end(&self) -> &'static str {
        if self.columns.is_empty() { "{}" } else { "}" }
    }

    /// As it goes out.
    pub(super) fn into_json(mut self) -> String {
        self.json.push_str(self.end());
        self.json
    }
}

/// Rows as an array.
pub(super) fn array(rows: &[Row]) -> String {
    let mut out = String::with_capacity(rows.iter().map(|row| row.json.len() + 3).sum::<usize>() + 2);
    out.push('[');
    for (at, row) in rows.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str(&row.json);
        out.push_str(row.end());
    }
    out.push(']');
    out
}

/// `YYYY-MM-DDTHH:MM:SS.sssZ`.
pub(super) fn time_text(time: Timestamp) -> String {
    let millis = jiff::Timestamp::from_millisecond(time.millis()).unwrap_or_default();
    format!("{millis:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_the_text_that_goes_out() {
        let row = Row::new().text("symbol", "A\"B").plain("flag", true).number("none", None);
        let row = row.times(["one", "other"], Timestamp::from_millis(1_500)).quoted("id", 7);
        let keys = ["symbol"];
        let time = "\"1970-01-01T00:00:01.500Z\"";
        assert_eq!(row.get("other"), Some(time));
        assert_eq!(row.get("symbol"), Some("\"A\\\"B\""));
        let other = row.clone().with_text("x");
        assert_eq!(other.changes(&row, &keys).unwrap().into_json(), r#"{"symbol":"A\"B","text":"x"}"#);
        assert_eq!(row.changes(&row, &keys), None);
        let want =
            format!(r#"{{"symbol":"A\"B","flag":true,"none":null,"one":{time},"other":{time},"id":"7"}}"#);
        let without = want.replace(r#""none":null,"#, "");
        assert_eq!(array(&[row.clone(), Row::new()]), format!("[{want},{{}}]"));
        assert_eq!(row.without_nulls().into_json(), without);
    }

    #[test]
    fn decimals_are_written_exactly() {
        for (text, want) in [
            ("0", "0"),
            ("-0.00", "0"),
            ("100", "100"),
            ("60000.50", "60000.5"),
            ("-0.0005", "-0.0005"),
            ("9223372036854775807", "9223372036854775807"),
            ("9223372036854775808", "9223372036854775808"),
            ("0.0000000000000000000000000001", "0.0000000000000000000000000001"),
        ] {
            let row = Row::new().number("n", Some(text.parse().unwrap()));
            assert_eq!(row.get("n"), Some(want), "{text}");
        }
    }
}
