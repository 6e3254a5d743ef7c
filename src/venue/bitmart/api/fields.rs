//! The parameters of a request: of the query, or of a JSON body whose numbers stay the text that they came as.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::reply::{bad_request, error, invalid};
use crate::venue::NativeError;

/// Parameters by name. A `null` is as if it were not there.
#[derive(Debug, Default)]
pub(super) struct Fields<'a>(BTreeMap<Cow<'a, str>, Value<'a>>);

#[derive(Debug)]
enum Value<'a> {
    Text(String),
    Json(&'a RawValue),
}

impl<'a> Fields<'a> {
    /// Those of a query.
    pub(super) fn of_query(parameters: Vec<(String, String)>) -> Self {
        Self(parameters.into_iter().map(|(name, value)| (Cow::Owned(name), Value::Text(value))).collect())
    }

    /// Those of a body; an empty one has none.
    pub(super) fn of_body(body: &'a [u8]) -> Result<Self, NativeError> {
        let no_json = || error(503, 30_018, "Request Body requires JSON format");
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::default());
        }
        let text = std::str::from_utf8(body).map_err(|_| no_json())?;
        Self::of_json(text).ok_or_else(no_json)
    }

    fn of_json(text: &'a str) -> Option<Self> {
        // Cow as a key borrows nothing by itself: names with escapes are owned.
        let fields: BTreeMap<String, &'a RawValue> = serde_json::from_str(text).ok()?;
        let fields = fields.into_iter().filter(|(_, value)| value.get() != "null");
        Some(Self(fields.map(|(name, value)| (Cow::Owned(name), Value::Json(value))).collect()))
    }

    /// A text or a number, as text; `None` where it is not there.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, NativeError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text.clone())),
            Some(Value::Json(raw)) => scalar(raw).map(Some).ok_or_else(|| invalid(name)),
        }
    }

    /// The first of these that is there and not empty.
    pub(super) fn first(&self, names: &[&str]) -> Result<Option<String>, NativeError> {
        for name in names {
            if let Some(text) = self.text(name)?.filter(|text| !text.is_empty()) {
                return Ok(Some(text));
            }
        }
        Ok(None)
    }

    /// A text that must be there.
    pub(super) fn needed(&self, name: &str) -> Result<String, NativeError> {
        self.first(&[name])?.ok_or_else(|| bad_request(&format!("{name} is empty")))
    }

    /// A whole number.
    pub(super) fn integer(&self, name: &str) -> Result<Option<i64>, NativeError> {
        self.first(&[name])?.map(|text| text.parse().map_err(|_| invalid(name))).transpose()
    }

    /// A number of rows: `default` where it is not there, `most` at most.
    pub(super) fn limit(&self, default: usize, most: usize) -> Result<usize, NativeError> {
        let Some(asked) = self.integer("limit")? else { return Ok(default) };
        match usize::try_from(asked) {
            Ok(asked) if asked > 0 => Ok(asked.min(most)),
            _ => Err(invalid("limit")),
        }
    }

    /// A list of texts; empty where it is not there.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>, NativeError> {
        let Some(Value::Json(raw)) = self.0.get(name) else { return Ok(Vec::new()) };
        let items: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(|_| invalid(name))?;
        items.into_iter().map(|item| scalar(item).ok_or_else(|| invalid(name))).collect()
    }

    /// A list of objects; empty where it is not there.
    pub(super) fn objects(&self, name: &str) -> Result<Vec<Self>, NativeError> {
        let Some(Value::Json(raw)) = self.0.get(name) else { return Ok(Vec::new()) };
        let items: Vec<&'a RawValue> = serde_json::from_str(raw.get()).map_err(|_| invalid(name))?;
        items.into_iter().map(|item| Self::of_json(item.get()).ok_or_else(|| invalid(name))).collect()
    }
}

/// A text without its quotes, a number as it was written.
fn scalar(raw: &RawValue) -> Option<String> {
    match raw.get().as_bytes().first()? {
        b'"' => serde_json::from_str(raw.get()).ok(),
        b'0'..=b'9' | b'-' => Some(raw.get().to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_as_they_were_written() {
        let body = br#"{"symbol": "BTC_USDT", "size": 0.100000000000000000001, "mode": null, "ids": ["1", 2], "o": [{"a": 1}]}"#;
        let fields = Fields::of_body(body).unwrap();
        assert_eq!(fields.needed("symbol").unwrap(), "BTC_USDT");
        assert_eq!(fields.text("size").unwrap().as_deref(), Some("0.100000000000000000001"));
        assert_eq!(fields.text("mode").unwrap(), None);
        assert_eq!(fields.texts("ids").unwrap(), ["1", "2"]);
        assert_eq!(fields.objects("o").unwrap()[0].integer("a").unwrap(), Some(1));
        assert_eq!(fields.text("ids").unwrap_err().message, "Invalid ids");
        assert_eq!(fields.needed("price").unwrap_err().message, "Bad Request [price is empty]");
        assert!(Fields::of_body(b"").unwrap().text("x").unwrap().is_none());
    }

    #[test]
    fn a_body_that_is_no_object_is_told_so() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
        for body in [&b"x"[..], b"[1]", b"\xff", b"{\"a\":1", b"{\"a\":1}x", b"\"a\"", b"7"] {
            let error = Fields::of_body(body).unwrap_err();
            assert_eq!((error.http, error.code), (503, 30_018), "{body:?}");
        }
        // Depth is no reason to fall over, whatever the answer is.
        if let Ok(fields) = Fields::of_body(deep.as_bytes()) {
            assert!(fields.text("a").is_err() && fields.texts("a").is_err());
        }
    }
}
