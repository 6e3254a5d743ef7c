//! The parameters of a request: of the query, of a JSON body or of a form, whatever the method; the body wins.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use serde_json::value::RawValue;

use super::routes::{Refusal, bad};
use crate::market::Timestamp;
use crate::venue::api::{Call, parameters};
use crate::venue::text::BySymbol;

/// Parameters by name, each as text; lists and objects as JSON text. A `null` is as if it were not there.
///
/// They stand as they came: requests have a handful, and the last of a name is looked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Fields<'a> {
    pub(super) fn read(call: &Call<'a>) -> Result<Self, Refusal> {
        let mut fields = Self::default();
        fields.take_form(call.query);
        let body = std::str::from_utf8(call.body).map_err(|_| bad("Invalid JSON"))?.trim();
        if body.starts_with('{') {
            fields.take(body)?;
        } else if body.starts_with('[') {
            return Err(bad("Invalid JSON"));
        } else {
            fields.take_form(body);
        }
        Ok(fields)
    }

    fn of(object: &'a str) -> Result<Self, Refusal> {
        let mut fields = Self::default();
        fields.take(object).map(|()| fields)
    }

    fn take_form(&mut self, text: &str) {
        let pairs = parameters(text).into_iter();
        self.0.extend(pairs.map(|(name, value)| (Cow::Owned(name), Cow::Owned(value))));
    }

    /// Takes over what a JSON object names.
    fn take(&mut self, object: &'a str) -> Result<(), Refusal> {
        let wrong = |_| bad("Invalid JSON");
        let read: BySymbol<'a, &'a RawValue> = serde_json::from_str(object).map_err(wrong)?;
        for (name, value) in read.0 {
            let value = match value.get() {
                // What stands before it under the name does not count either.
                "null" => Cow::Borrowed(""),
                text if text.starts_with('"') && text.contains('\\') => {
                    Cow::Owned(serde_json::from_str(text).map_err(wrong)?)
                }
                text => Cow::Borrowed(text.trim_matches('"')),
            };
            self.0.push((name, value));
        }
        Ok(())
    }

    /// A list of objects, each as parameters of its own; `None` where there is no such list.
    pub(super) fn objects(&self, name: &str) -> Option<Vec<Fields<'_>>> {
        let items: Vec<&RawValue> = serde_json::from_str(self.text(name)?).ok()?;
        items.into_iter().map(|item| Fields::of(item.get()).ok()).collect()
    }

    /// The same with another value of a parameter.
    pub(super) fn with(&self, name: &'a str, value: &'a str) -> Self {
        let mut all = self.clone();
        all.0.push((name.into(), value.into()));
        all
    }

    /// The same without some parameters.
    pub(super) fn without(mut self, names: &[&str]) -> Self {
        self.0.retain(|(name, _)| !names.contains(&&**name));
        self
    }

    /// A text that is not empty.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .rev()
            .find(|(known, _)| known == name)
            .map(|(_, text)| &**text)
            .filter(|text| !text.is_empty())
    }

    /// One text, or a list of them, written either way; empty where there is none. What is no text is handed on as it is
    /// written, for whoever knows the words to refuse it.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let Some(text) = self.text(name) else { return Vec::new() };
        if !text.starts_with('[') {
            return text.split(',').map(|item| item.trim().to_owned()).collect();
        }
        let Ok(items) = serde_json::from_str::<Vec<Value>>(text) else { return vec![text.to_owned()] };
        let written = |item: Value| match item {
            Value::String(text) => text,
            other => other.to_string(),
        };
        items.into_iter().map(written).collect()
    }

    /// A whole number that is not negative.
    pub(super) fn count(&self, name: &str) -> Result<Option<usize>, Refusal> {
        let number = self.text(name).map(|text| text.parse().map_err(|_| bad(&format!("{name} is invalid"))));
        number.transpose()
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        matches!(self.text(name), Some("true" | "True" | "1"))
    }

    /// A time, as text or as milliseconds.
    pub(super) fn time(&self, name: &str) -> Result<Option<Timestamp>, Refusal> {
        let Some(text) = self.text(name) else { return Ok(None) };
        if let Ok(millis) = text.parse::<i64>() {
            return Ok(Some(Timestamp::from_millis(millis)));
        }
        let day = (text.len() == 10).then(|| format!("{text}T00:00:00Z"));
        let time = day.as_deref().unwrap_or(text).parse();
        time.map(Some).map_err(|_| bad(&format!("{name} is invalid")))
    }

    /// A span of milliseconds.
    pub(super) fn millis(&self, name: &str) -> Result<Duration, Refusal> {
        let text = self.text(name).ok_or_else(|| bad(&format!("{name} is required")))?;
        text.parse().map(Duration::from_millis).map_err(|_| bad(&format!("{name} is invalid")))
    }

    /// `filter`: equal values by column; a list means any of them.
    pub(super) fn filter(&self) -> Result<BTreeMap<String, Value>, Refusal> {
        let Some(text) = self.text("filter") else { return Ok(BTreeMap::new()) };
        serde_json::from_str(text).map_err(|_| bad("filter values are not valid"))
    }
}
