//! Live markets: the public sockets of an exchange as a source, healed when they break, recorded where that is wished.
//!
//! Frames go through the same decoders as recorded ones. A book is believed from a whole book on, until a number or a
//! checksum is wrong, it is crossed, or the socket is lost; then it is told as not to be believed and asked for anew.
//! [`socket`] has the task a socket, `link` what it says, `books` what is believed, `queue` what waits for the reader,
//! [`reel`] the recorder, `list` what the exchange trades.
//!
//! Never here: one venue's words ([`crate::venue::live`]), accounts. Start at [`LiveFeed`].

mod books;
mod clock;
mod link;
pub(crate) mod list;
mod queue;
pub mod reel;
pub mod socket;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;

use crate::feed::tape::TapeHeader;
use crate::feed::warnings::Warnings;
use crate::market::{Instrument, InstrumentId, Timestamp};
use crate::venue::live::Hosts;
use crate::venue::{Known, Venue};

pub use clock::Clock;
pub use queue::{Health, LiveSource};
pub use reel::{Recorded, Reel, Rotate};
pub use socket::{Dial, Internet};

use link::{Link, LinkParts};
use queue::Queue;
use reel::Recorder;
use socket::{Backoff, Socket};

/// How many groups may wait for a reader that is slow.
pub const MOST_WAITING: usize = 1 << 17;

/// What a live feed shows, and how.
pub struct LiveOptions {
    /// The exchange.
    pub venue: &'static dyn Venue,
    /// What is subscribed.
    pub subscribed: Vec<Instrument>,
    /// What the source speaks of from the start, in this order; part of what is subscribed.
    pub declared: Vec<Instrument>,
    /// What else is known of the exchange's instruments.
    pub others: Vec<Instrument>,
    /// Other hosts than the exchange's own.
    pub hosts: Hosts,
    /// Of the random parts of pauses.
    pub seed: u64,
    /// How many groups may wait for a reader that is slow.
    pub most_waiting: usize,
    /// Where trouble is told, each kind once.
    pub warnings: Warnings,
    /// The first line of recordings.
    pub header: TapeHeader,
}

/// The sockets of a feed, not started.
pub struct LiveFeed {
    sockets: Vec<Socket>,
    stop: watch::Receiver<bool>,
}

/// A live feed that runs, for whoever watches it. It stops when the last of its handles is dropped.
#[derive(Clone)]
pub struct LiveHandle(Arc<Running>);

struct Running {
    queue: Arc<Queue>,
    clock: Clock,
    reel: Reel,
    header: TapeHeader,
    stop: watch::Sender<bool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl LiveFeed {
    /// The sockets, the source of what they bring, and who watches them.
    pub fn new(options: LiveOptions, clock: Clock) -> (Self, LiveSource, LiveHandle) {
        let LiveOptions { venue, subscribed, declared, others, hosts, seed, warnings, .. } = options;
        let wanted: Vec<&Instrument> = subscribed.iter().collect();
        let sessions = venue.sessions(&wanted, &hosts);
        // One by one: a decoder may settle which market a connection is of by what is declared.
        let alone = |own: &Instrument| Known { declared: vec![own.clone()], others: Vec::new() };
        let depths = declared.iter().map(|own| venue.decoder(alone(own)).depth(InstrumentId(0))).collect();
        let urls = sessions.iter().map(|session| session.url().to_owned()).collect();
        let queue = Queue::new(declared.clone(), depths, urls, options.most_waiting, clock.now());
        let (queue, reel) = (Arc::new(queue), Reel::default());
        let (stop, stopped) = watch::channel(false);
        let socket = |(place, session): (usize, Box<dyn crate::venue::live::Session>)| {
            let own = |instrument: &&Instrument| session.symbols().contains(&instrument.symbol);
            let parts = LinkParts {
                place,
                venue,
                declared: declared.iter().filter(own).cloned().collect(),
                others: others.clone(),
                session,
                queue: Arc::clone(&queue),
                reel: reel.clone(),
                warnings: warnings.clone(),
            };
            let link = Link::new(parts, clock.now());
            Socket { link, reel: reel.clone(), clock, backoff: Backoff::new(seed, place) }
        };
        let sockets = sessions.into_iter().enumerate().map(socket).collect();
        let source = LiveSource::new(Arc::clone(&queue));
        let header = options.header;
        let running = Running { queue, clock, reel, header, stop, thread: Mutex::new(None) };
        (Self { sockets, stop: stopped }, source, LiveHandle(Arc::new(running)))
    }

    /// Keeps all sockets open until the last handle is dropped.
    pub async fn run<D: Dial>(self, dial: &D) {
        let stop = self.stop;
        let tasks = self.sockets.into_iter().map(|socket| socket.run(dial, stop.clone()));
        futures_util::future::join_all(tasks).await;
    }
}

impl LiveHandle {
    /// Runs the feed on a thread of its own, over the internet.
    pub fn run(&self, feed: LiveFeed) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let play = move || runtime.block_on(feed.run(&Internet));
        let thread = std::thread::Builder::new().name("live".into()).spawn(play)?;
        *self.0.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(())
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Waits until something comes, `most` at the longest.
    pub fn wait(&self, most: Duration) {
        self.0.queue.wait(most);
    }

    /// How the sockets are.
    pub fn health(&self) -> Vec<Health> {
        self.0.queue.health().0
    }

    /// How many groups went lost because nobody took them in time.
    pub fn dropped(&self) -> u64 {
        self.0.queue.health().1
    }

    /// Whether all sockets are open.
    pub fn is_connected(&self) -> bool {
        let health = self.health();
        !health.is_empty() && health.iter().all(|socket| socket.open)
    }

    /// Whether every subscribed book can be believed.
    pub fn is_ready(&self) -> bool {
        self.is_connected() && self.health().iter().all(|socket| socket.ready == socket.books)
    }

    /// Waits until a socket is open. The error says what the exchange, or the network, answered.
    pub fn wait_open(&self, most: Duration) -> Result<(), String> {
        let until = self.now().plus(most);
        loop {
            let health = self.health();
            if health.iter().any(|socket| socket.open) {
                return Ok(());
            }
            let given_up = !health.is_empty() && health.iter().all(|socket| socket.losses >= 2);
            if given_up || self.now() >= until {
                let trouble = health.into_iter().find_map(|socket| socket.trouble);
                return Err(trouble.unwrap_or_else(|| format!("no answer in {} s", most.as_secs())));
            }
            self.wait(Duration::from_millis(50));
        }
    }

    /// Begins to record into a file that must not be there yet.
    pub fn record(&self, file: &Path, rotate: Rotate) -> io::Result<()> {
        self.0.reel.start(Recorder::create(file, self.0.header.clone(), rotate, self.now())?)
    }

    /// Begins to record into a folder, under a name of connector and time; gives the file.
    pub fn record_into(&self, folder: &Path) -> io::Result<PathBuf> {
        std::fs::create_dir_all(folder)?;
        let time: String = self.now().to_string().chars().filter(|c| !matches!(c, '-' | ':')).collect();
        let time = time.split('.').next().unwrap_or_default().trim_end_matches('Z');
        let file = folder.join(format!("{}-{time}Z.jsonl.zst", self.0.header.connector));
        self.record(&file, Rotate::Never)?;
        Ok(file)
    }

    /// Ends the recording; `None` where there is none.
    pub fn stop_recording(&self) -> Option<Result<Recorded, String>> {
        self.0.reel.stop()
    }

    /// Whether something is recorded, and what went wrong with it.
    pub fn recording(&self) -> Option<Result<Recorded, String>> {
        self.0.reel.state()
    }

    /// Closes the sockets and waits until they are.
    pub fn stop(&self) {
        self.0.stop();
    }
}

impl std::fmt::Debug for LiveHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LiveHandle({:?})", self.health())
    }
}

impl Running {
    fn stop(&self) {
        // An error is that no socket is left.
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // A panic there has been reported by then; there is nothing to add.
            let _ = thread.join();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}
