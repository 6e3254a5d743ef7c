//! Lets the time of a paper exchange pass on the wall clock, at a factor.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{PaperError, PaperExchange, PaperHandle, Stop};

/// How fast a market is played where a person watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// As fast as it goes.
    Max,
    /// So many thousandths of real time: 1000 is real time.
    Permille(u64),
}

impl Pace {
    /// Real time.
    pub const REAL: Self = Self::Permille(1000);

    /// So much market time for that much real time.
    fn scale(self, real: Duration) -> Option<Duration> {
        match self {
            Self::Max => None,
            Self::Permille(factor) => {
                let nanos = real.as_nanos().saturating_mul(u128::from(factor)) / 1000;
                Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
            }
        }
    }
}

impl std::str::FromStr for Pace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("max") {
            return Ok(Self::Max);
        }
        let units = crate::market::decimal::parse_units(text.as_bytes(), 3).ok();
        match units.and_then(|units| u64::try_from(units).ok()).filter(|units| *units > 0) {
            Some(permille) => Ok(Self::Permille(permille)),
            None => Err(format!("not a speed: {text:?} (a number such as 1 or 20, or max)")),
        }
    }
}

impl std::fmt::Display for Pace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Max => f.pad("max"),
            Self::Permille(factor) => crate::market::decimal::Plain::new(*factor, 3).fmt(f),
        }
    }
}

/// How long the market rests between two moves: what a person cannot see.
const BEAT: Duration = Duration::from_millis(20);
/// How many messages are played in one hold of the lock at `max`.
const BATCH: u64 = 2_000;

/// A thread that lets the time of a paper exchange pass. It stops when it is dropped.
pub struct Pacer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    /// Thousandths of real time; `u64::MAX` is `max`.
    pace: AtomicU64,
    paused: AtomicBool,
    stop: AtomicBool,
    failed: Mutex<Option<PaperError>>,
}

impl Pacer {
    /// Starts to play; `watch` looks at the exchange after each move.
    pub fn start(
        paper: PaperHandle,
        pace: Pace,
        watch: impl FnMut(&PaperExchange) + Send + 'static,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            pace: AtomicU64::new(encode(pace)),
            paused: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            failed: Mutex::new(None),
        });
        let thread = {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new().name("market".into()).spawn(move || beat(&shared, &paper, watch))?
        };
        Ok(Self { shared, thread: Some(thread) })
    }

    /// The pace.
    pub fn pace(&self) -> Pace {
        decode(self.shared.pace.load(Ordering::Relaxed))
    }

    /// Another pace.
    pub fn set_pace(&self, pace: Pace) {
        self.shared.pace.store(encode(pace), Ordering::Relaxed);
    }

    /// Whether the market stands still.
    pub fn is_paused(&self) -> bool {
        self.shared.paused.load(Ordering::Relaxed)
    }

    /// Stops the market, or lets it go on.
    pub fn set_paused(&self, paused: bool) {
        self.shared.paused.store(paused, Ordering::Relaxed);
    }

    /// The error that ended the market, if one did; taken.
    pub fn take_failure(&self) -> Option<PaperError> {
        self.shared.failed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Pacer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported by then; there is nothing to add.
            let _ = thread.join();
        }
    }
}

fn encode(pace: Pace) -> u64 {
    match pace {
        Pace::Max => u64::MAX,
        Pace::Permille(factor) => factor,
    }
}

fn decode(pace: u64) -> Pace {
    if pace == u64::MAX { Pace::Max } else { Pace::Permille(pace) }
}

#[allow(
    clippy::disallowed_methods,
    reason = "somebody watches: market time follows real time, and it is asked here alone"
)]
fn wall() -> Instant {
    Instant::now()
}

fn beat(shared: &Shared, paper: &PaperHandle, mut watch: impl FnMut(&PaperExchange)) {
    let mut last = wall();
    while !shared.stop.load(Ordering::Relaxed) {
        std::thread::sleep(BEAT);
        let now = wall();
        let real = now.saturating_duration_since(last);
        last = now;
        if shared.paused.load(Ordering::Relaxed) {
            continue;
        }
        let mut exchange = paper.lock();
        if exchange.wall().is_some() {
            let moved = exchange.catch_up();
            watch(&exchange);
            if let Err(error) = moved {
                *shared.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                return;
            }
            continue;
        }
        let moved = match decode(shared.pace.load(Ordering::Relaxed)).scale(real) {
            Some(by) => exchange.advance(by).map(|stop| stop == Stop::EndOfTape),
            None => exchange.step(BATCH).map(|played| played < BATCH),
        };
        watch(&exchange);
        match moved {
            Ok(_) => {}
            Err(error) => {
                *shared.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paces_as_typed() {
        for (text, want) in [
            ("1", Some(Pace::REAL)),
            ("0.5", Some(Pace::Permille(500))),
            ("20", Some(Pace::Permille(20_000))),
            ("max", Some(Pace::Max)),
            ("0", None),
            ("-1", None),
            ("fast", None),
        ] {
            assert_eq!(text.parse::<Pace>().ok(), want, "{text}");
        }
        assert_eq!(Pace::Permille(1_500).to_string(), "1.5");
        assert_eq!(Pace::Permille(2_000).scale(Duration::from_millis(20)), Some(Duration::from_millis(40)));
    }
}
