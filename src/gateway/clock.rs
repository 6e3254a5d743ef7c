//! The time of the exchanges: it follows the wall clock at a factor, stands still, or moves step by step.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::paper::Pace;

use super::Gateway;
use super::hall::{Hall, Moved};

/// How the market time passes.
#[derive(Clone, Copy, Debug)]
struct Run {
    pace: Pace,
    paused: bool,
    /// How much market time had passed …
    from: Duration,
    /// … at this instant.
    at: Instant,
}

/// The clock of a gateway. What is counted is the market time since clients were let in: exchanges whose tapes are of
/// different days move together.
pub struct Clock {
    run: Mutex<Run>,
    /// Another hand moves the market; clients are told what has happened.
    followed: bool,
    /// The markets are live: each is where its own wall clock is.
    live: bool,
    /// Only one hand moves the market step by step.
    stepping: Mutex<()>,
}

/// How long the market rests between two moves.
const BEAT: Duration = Duration::from_millis(10);
/// How much market time passes in one go at full speed.
const STRIDE: Duration = Duration::from_millis(100);
/// At full speed clients are told after so long at the latest: what came together goes out together.
const BURST: Duration = Duration::from_millis(2);
/// How long a market at full speed waits before it looks again whether its clients have taken what they were told.
const REST: Duration = Duration::from_millis(1);

#[allow(
    clippy::disallowed_methods,
    reason = "the one place of this room that measures time: market time follows it"
)]
fn instant() -> Instant {
    Instant::now()
}

impl Run {
    fn scaled(&self, at: Instant) -> Option<Duration> {
        let real = at.saturating_duration_since(self.at);
        match self.pace {
            _ if self.paused => Some(self.from),
            Pace::Max => None,
            Pace::Permille(factor) => {
                let nanos = real.as_nanos().saturating_mul(u128::from(factor)) / 1_000;
                Some(self.from.saturating_add(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))))
            }
        }
    }
}

impl Clock {
    /// A clock that runs at `pace`, or stands still until it is told to run.
    pub fn new(pace: Pace, paused: bool) -> Self {
        let run = Run { pace, paused, from: Duration::ZERO, at: instant() };
        Self { run: Mutex::new(run), followed: false, live: false, stepping: Mutex::new(()) }
    }

    /// A clock of a market that another hand moves: it only tells what has happened.
    pub fn followed() -> Self {
        Self { followed: true, ..Self::new(Pace::REAL, true) }
    }

    /// A clock of live markets: they move by themselves.
    pub fn live() -> Self {
        Self { followed: true, live: true, ..Self::new(Pace::REAL, false) }
    }

    /// Whether the markets are live.
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// Whether another hand moves the market.
    pub fn is_followed(&self) -> bool {
        self.followed
    }

    /// The same with so much market time to make up for: what passed while the market was opened.
    #[must_use]
    pub fn behind(self, by: Duration) -> Self {
        self.run().from = by;
        self
    }

    fn run(&self) -> MutexGuard<'_, Run> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its pace, and whether it stands still.
    pub fn state(&self) -> (Pace, bool) {
        let run = self.run();
        (run.pace, run.paused)
    }

    /// Whether it stands still.
    pub fn is_still(&self) -> bool {
        self.run().paused
    }

    /// How much market time has passed by the clock; `None` at full speed, where the market itself says so.
    pub(super) fn elapsed(&self) -> Option<Duration> {
        let run = self.run();
        // At full speed nobody need ask what time it is.
        let at_full_speed = matches!(run.pace, Pace::Max) && !run.paused;
        if self.followed || at_full_speed { None } else { run.scaled(instant()) }
    }

    /// From now on another pace, or none. `halls` say how far the market is.
    pub fn set(&self, pace: Option<Pace>, paused: Option<bool>, halls: &[Hall]) {
        let mut run = self.run();
        let at = instant();
        let furthest = halls.iter().map(Hall::elapsed).max().unwrap_or_default();
        run.from = run.scaled(at).unwrap_or(furthest).max(furthest);
        run.at = at;
        run.pace = pace.unwrap_or(run.pace);
        run.paused = paused.unwrap_or(run.paused);
    }

    /// Lets so much market time pass, and stands still then. Returns when all of it has happened.
    pub fn advance(&self, by: Duration, halls: &[Hall]) -> Moved {
        let _one_at_a_time = self.stepping.lock().unwrap_or_else(PoisonError::into_inner);
        self.set(None, Some(true), halls);
        let until = self.run().from.saturating_add(by);
        self.move_to(until, halls)
    }

    /// Plays so many market messages, the exchange that is behind first, and stands still then.
    pub fn step(&self, messages: u64, halls: &[Hall]) -> Moved {
        let _one_at_a_time = self.stepping.lock().unwrap_or_else(PoisonError::into_inner);
        self.set(None, Some(true), halls);
        let mut moved = Moved::default();
        while moved.messages < messages {
            let playing = halls.iter().filter(|hall| !hall.at_end());
            let Some(behind) = playing.min_by_key(|hall| hall.elapsed()) else { break };
            let (more, played) = behind.step();
            moved += more;
            if !played && behind.failure().is_some() {
                break;
            }
        }
        let furthest = halls.iter().map(Hall::elapsed).max().unwrap_or_default();
        moved += self.move_to(furthest, halls);
        moved
    }

    fn move_to(&self, until: Duration, halls: &[Hall]) -> Moved {
        let mut moved = Moved::default();
        for hall in halls {
            moved += hall.advance_to(until);
        }
        self.run().from = until;
        moved
    }
}

/// A thread that lets the time of a gateway pass. It stops when it is dropped.
pub struct Driver {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Driver {
    /// Starts it.
    pub fn start(gateway: Arc<Gateway>) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        gateway.clock.set(None, None, &gateway.halls);
        let drive = move || {
            while !flag.load(Ordering::Relaxed) {
                if let Some(rest) = beat(&gateway) {
                    std::thread::sleep(rest);
                } else {
                    std::thread::yield_now();
                }
            }
        };
        let thread = std::thread::Builder::new().name("market".into()).spawn(drive)?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported by then.
            let _ = thread.join();
        }
    }
}

/// Moves the market once; how long it rests then.
fn beat(gateway: &Gateway) -> Option<Duration> {
    let clock = &gateway.clock;
    if clock.is_live() {
        gateway.halls.iter().for_each(Hall::catch_up);
        return Some(BEAT);
    }
    if clock.is_followed() {
        gateway.halls.iter().for_each(Hall::tell);
        return Some(BEAT);
    }
    // Who moves the market step by step is not disturbed.
    let Ok(_moving) = clock.stepping.try_lock() else { return Some(BEAT) };
    if clock.is_still() {
        return Some(BEAT);
    }
    match clock.elapsed() {
        Some(until) => {
            for hall in &gateway.halls {
                hall.advance_to(until);
            }
            Some(BEAT)
        }
        None => rush(gateway),
    }
}

/// Plays for a while as fast as it goes: in strides, so that exchanges stay together, until a client wants a turn. Clients
/// that cannot take it all are waited for: who loses a part of the market would have to begin anew.
fn rush(gateway: &Gateway) -> Option<Duration> {
    let halls = &gateway.halls;
    if halls.iter().any(Hall::is_full) {
        return Some(REST);
    }
    let began = instant();
    while began.elapsed() < BURST && !halls.iter().any(Hall::is_wanted) && gateway.clock.elapsed().is_none() {
        if halls.iter().all(Hall::at_end) {
            halls.iter().for_each(Hall::hand_over);
            return Some(BEAT);
        }
        let furthest = halls.iter().map(Hall::elapsed).max().unwrap_or_default();
        for hall in halls {
            hall.play_to(furthest.saturating_add(STRIDE));
        }
    }
    halls.iter().for_each(Hall::hand_over);
    None
}
