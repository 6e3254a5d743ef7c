//! The wall clock of live feeds: the system's time once, then only forwards.

use std::time::Duration;

use tokio::time::Instant;

use crate::market::Timestamp;

/// What time it is. Copies agree. It runs on tokio's clock, so that a test may hold or move it.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    base: Timestamp,
    start: Instant,
}

impl Clock {
    /// A clock that shows the system's time now.
    #[allow(
        clippy::disallowed_methods,
        reason = "a live feed is what asks for the time; everything after it is told"
    )]
    pub fn system() -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self::at(Timestamp::from_nanos(0).plus(since))
    }

    /// A clock that shows `base` now.
    pub fn at(base: Timestamp) -> Self {
        Self { base, start: Instant::now() }
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        self.base.plus(self.start.elapsed())
    }

    /// The instant at which it shows `time`; its start, where that is earlier.
    pub(super) fn instant(&self, time: Timestamp) -> Instant {
        self.start + Duration::from_nanos(u64::try_from(time.nanos_since(self.base)).unwrap_or(0))
    }
}
