//! Time on the tape: nanoseconds since the epoch, UTC. Nothing here asks for the time.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Nanoseconds since the epoch, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

/// A text is no time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a time: {0:?} (RFC 3339, or nanoseconds since the epoch)")]
pub struct TimestampError(String);

impl Timestamp {
    /// Before everything.
    pub const MIN: Self = Self(i64::MIN);
    /// After everything.
    pub const MAX: Self = Self(i64::MAX);

    /// So many nanoseconds since the epoch.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// So many milliseconds since the epoch; saturates.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// Nanoseconds since the epoch.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since the epoch, rounded down.
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// So much later; saturates.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// So much earlier; saturates.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// Nanoseconds from `earlier` to here; negative where here is earlier; saturates.
    pub const fn nanos_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match jiff::Timestamp::from_nanosecond(i128::from(self.0)) {
            Ok(time) => f.pad(&time.to_string()),
            Err(_) => f.pad(&self.0.to_string()),
        }
    }
}

impl std::str::FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(nanos) = text.parse::<i64>() {
            return Ok(Self(nanos));
        }
        let time = text.parse::<jiff::Timestamp>().map_err(|_| TimestampError(text.to_owned()))?;
        i64::try_from(time.as_nanosecond()).map(Self).map_err(|_| TimestampError(text.to_owned()))
    }
}

/// A length of time as people type it: `250ms`, `30s`, `1.5s`, `10m`, `1h`, `2d`; a bare number is seconds.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let scale = match unit {
        "ns" => 0,
        "us" => 3,
        "ms" => 6,
        "" | "s" | "m" | "h" | "d" => 9,
        _ => return None,
    };
    let nanos = u64::try_from(super::decimal::parse_units(number.as_bytes(), scale).ok()?).ok()?;
    let times = match unit {
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => 1,
    };
    nanos.checked_mul(times).map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_and_print() {
        let time: Timestamp = "2024-08-08T23:54:14.152322Z".parse().unwrap();
        assert_eq!(time.nanos(), 1_723_161_254_152_322_000);
        assert_eq!(time.to_string(), "2024-08-08T23:54:14.152322Z");
        assert_eq!("1723161254152322000".parse(), Ok(time));
        assert!("yesterday".parse::<Timestamp>().is_err());
        assert_eq!(Timestamp::MAX.plus(Duration::from_secs(1)), Timestamp::MAX);
    }

    #[test]
    fn durations_as_typed() {
        for (text, want) in [
            ("250ms", Some(Duration::from_millis(250))),
            ("30s", Some(Duration::from_secs(30))),
            ("1.5s", Some(Duration::from_millis(1_500))),
            ("10m", Some(Duration::from_secs(600))),
            ("1h", Some(Duration::from_secs(3_600))),
            ("5", Some(Duration::from_secs(5))),
            ("", None),
            ("1w", None),
            ("-1s", None),
        ] {
            assert_eq!(parse_duration(text), want, "{text}");
        }
    }
}
