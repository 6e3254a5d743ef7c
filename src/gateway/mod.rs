//! The local server: clients of real exchanges trade on paper over HTTP and WebSocket.
//!
//! A [`Hall`] is one exchange with the venue's own interface; [`clock`] lets the time of all of them pass;
//! `http` finds the hall that a request is for; `socket` carries frames, which come to it by an `outlet`; `control` is the
//! gateway's own interface under `/papertape/`; [`server`] listens.
//!
//! Never here: an exchange's field names, paths or codes (they are in `venue/<name>/api`), what makes an order fill.
//! Start at [`Gateway`].

pub mod clock;
mod control;
pub mod hall;
mod http;
mod outlet;
pub mod server;
mod socket;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize};

use crate::market::Timestamp;

use clock::Clock;
use hall::Hall;

pub use server::{GatewayError, Listen, Serving};

/// Everything that is served.
pub struct Gateway {
    /// The exchanges, in the order in which they were named.
    pub halls: Vec<Hall>,
    /// The time of all of them.
    pub clock: Clock,
    /// Who changes accounts of several exchanges does it alone: what was found to be possible stays so.
    changes: Mutex<()>,
    /// What opens the control interface.
    pub token: String,
    /// Names of hosts that are this machine's, beside its addresses.
    pub hosts: Vec<String>,
    /// Requests and sockets since the start, and sockets now.
    pub counts: Counts,
}

/// What is counted.
#[derive(Debug, Default)]
pub struct Counts {
    /// Requests answered.
    pub requests: AtomicU64,
    /// Answers with a status of 400 or more.
    pub refusals: AtomicU64,
    /// Sockets opened.
    pub sockets: AtomicU64,
    /// Sockets that are open.
    pub open_sockets: AtomicUsize,
    /// Frames that clients sent.
    pub frames_in: AtomicU64,
    /// Frames that were sent to clients.
    pub frames_out: AtomicU64,
    /// Sockets that were closed because their clients did not keep up.
    pub slow: AtomicU64,
}

impl Gateway {
    /// Serves these exchanges; the control interface opens to `token`.
    pub fn new(halls: Vec<Hall>, clock: Clock, token: String) -> Self {
        Self { halls, clock, changes: Mutex::new(()), token, hosts: Vec::new(), counts: Counts::default() }
    }

    /// One number for the state of all exchanges.
    pub fn state_hash(&self) -> u64 {
        let hashes: Vec<u64> = self.halls.iter().map(Hall::state_hash).collect();
        match hashes.as_slice() {
            [one] => *one,
            several => {
                let bytes: Vec<u8> = several.iter().flat_map(|hash| hash.to_le_bytes()).collect();
                xxhash_rust::xxh3::xxh3_64(&bytes)
            }
        }
    }
}

/// The time of day.
#[allow(
    clippy::disallowed_methods,
    reason = "signatures, rate limits and the venues' clocks go by it, and nothing else"
)]
pub fn wall() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}
