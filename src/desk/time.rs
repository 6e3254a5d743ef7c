//! Times and lengths of time as people read them.

use crate::market::Timestamp;

/// `2026-01-05 10:00:05`, UTC.
pub fn stamp(time: Timestamp) -> String {
    show(time, "%Y-%m-%d %H:%M:%S")
}

/// `2026-01-05 10:00:05.123456`, UTC.
pub fn fine_stamp(time: Timestamp) -> String {
    show(time, "%Y-%m-%d %H:%M:%S%.6f")
}

/// `10:00:05.123`, UTC.
pub fn clock(time: Timestamp) -> String {
    show(time, "%H:%M:%S%.3f")
}

fn show(time: Timestamp, format: &str) -> String {
    match jiff::Timestamp::from_nanosecond(i128::from(time.nanos())) {
        Ok(time) => time.strftime(format).to_string(),
        Err(_) => time.to_string(),
    }
}

/// An age as `HH:MM:SS`.
pub fn age(nanos: i64) -> String {
    let seconds = nanos.max(0) / 1_000_000_000;
    format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// A length of time in words that fit it: `10 ms`, `3.2 s`, `4 min 10 s`.
pub fn length(nanos: i64) -> String {
    let nanos = nanos.max(0);
    match nanos {
        0..1_000_000 => format!("{} µs", nanos / 1_000),
        1_000_000..1_000_000_000 => format!("{} ms", nanos / 1_000_000),
        1_000_000_000..60_000_000_000 => {
            let tenths = nanos / 100_000_000;
            format!("{}.{} s", tenths / 10, tenths % 10)
        }
        _ => {
            let seconds = nanos / 1_000_000_000;
            let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
            if hours > 0 {
                format!("{hours} h {minutes} min")
            } else {
                format!("{minutes} min {} s", seconds % 60)
            }
        }
    }
}

/// `0 days 01:30:00`.
pub fn days(nanos: i64) -> String {
    let seconds = nanos.max(0) / 1_000_000_000;
    format!("{} days {}", seconds / 86_400, age(seconds % 86_400 * 1_000_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_shown() {
        let time: Timestamp = "2026-01-05T10:00:05.123456789Z".parse().unwrap();
        assert_eq!(stamp(time), "2026-01-05 10:00:05");
        assert_eq!(clock(time), "10:00:05.123");
        assert_eq!(fine_stamp(time), "2026-01-05 10:00:05.123456");
        assert_eq!(age(3_725_000_000_000), "01:02:05");
        assert_eq!(days(91_800_000_000_000), "1 days 01:30:00");
        for (nanos, want) in [
            (900, "0 µs"),
            (10_000_000, "10 ms"),
            (3_290_000_000, "3.2 s"),
            (250_000_000_000, "4 min 10 s"),
            (7_260_000_000_000, "2 h 1 min"),
        ] {
            assert_eq!(length(nanos), want);
        }
    }
}
