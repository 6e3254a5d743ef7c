//! Rate limits: how many requests of a kind a client may send in a span of time.
//!
//! Never here: how a venue words its refusal, or which of its requests count together.

use std::collections::BTreeMap;
use std::time::Duration;

use smol_str::SmolStr;

use crate::market::Timestamp;

/// How many spans are remembered before those that are over are forgotten.
const MANY: usize = 4_096;

/// Counts requests in spans that begin with the first request of each.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    spans: BTreeMap<(&'static str, SmolStr), (Timestamp, u32)>,
}

impl Limits {
    /// Counts a request of `what` by `who`; returns how many there were in its span, this one included.
    pub(crate) fn count(&mut self, what: &'static str, who: &str, span: Duration, now: Timestamp) -> u32 {
        if self.spans.len() >= MANY {
            // A span of an hour is longer than any venue's.
            let old = now.minus(Duration::from_secs(3_600));
            self.spans.retain(|_, (start, _)| *start > old);
        }
        if self.spans.len() >= 4 * MANY {
            self.spans.clear();
        }
        let (start, count) = self.spans.entry((what, who.into())).or_insert((now, 0));
        if now >= start.plus(span) || now < *start {
            (*start, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        *count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_begins_with_its_first_request() {
        let mut limits = Limits::default();
        let at = Timestamp::from_millis;
        let two = Duration::from_secs(2);
        let counted: Vec<u32> =
            [0, 500, 1_999, 2_000, 2_001].map(|ms| limits.count("books", "a", two, at(ms))).into();
        assert_eq!(counted, [1, 2, 3, 1, 2]);
        assert_eq!(limits.count("books", "b", two, at(2_001)), 1, "each client has its own");
        assert_eq!(limits.count("trades", "a", two, at(2_001)), 1, "each kind has its own");
        assert_eq!(limits.count("books", "a", two, at(0)), 1, "a clock that went back");
    }
}
