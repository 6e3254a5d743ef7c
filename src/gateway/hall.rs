//! One exchange that is served: the simulation, the venue's interface over it, and the sockets of its clients.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::market::Timestamp;
use crate::paper::{PaperError, PaperExchange, PaperHandle};
use crate::venue::Frame;
use crate::venue::api::{Access, Call, Called, Fault, NativeApi, Posts, Reply, Room, SocketId, Waiting};

use super::outlet::{Handed, Outlet};
use super::wall;

/// For so long of market time at most nobody is told anything: pushes are cut by it.
const SLICE: i64 = 100_000_000;
/// So many frames that are not handed over are enough: their sockets are woken for them.
const ENOUGH: usize = 512;

/// What moves between two looks at an exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Market messages that were played.
    pub messages: u64,
    /// Updates that reached traders.
    pub updates: u64,
}

impl std::ops::AddAssign for Moved {
    fn add_assign(&mut self, other: Self) {
        self.messages += other.messages;
        self.updates += other.updates;
    }
}

/// What only one hand may have at a time, beside the exchange.
struct Stage {
    api: Box<dyn NativeApi>,
    access: Access,
    sockets: BTreeMap<SocketId, Outlet>,
    posts: Posts,
    /// Sockets with frames that are not handed over, and how many frames these are.
    ready: Vec<SocketId>,
    held: usize,
    /// Why the exchange cannot go on.
    failed: Option<String>,
    frames: u64,
    slow: u64,
}

/// One exchange that is served.
pub struct Hall {
    /// The venue's name: its mount.
    pub name: &'static str,
    /// The connectors that it stands for.
    pub connectors: Vec<&'static str>,
    /// Hosts that are the venue's own.
    pub hosts: &'static [&'static str],
    /// Where its clients look for sockets.
    pub socket_path: &'static str,
    /// When clients were let in.
    pub opened: Timestamp,
    paper: PaperHandle,
    stage: Mutex<Stage>,
    next_socket: AtomicU64,
    /// How many clients want a turn.
    wanted: AtomicUsize,
    /// How many requests wait for market time to pass.
    awaited: AtomicUsize,
    /// Somebody's request may have been answered.
    pub(super) moved: Notify,
}

impl Hall {
    /// Serves an exchange through a venue's interface.
    pub fn new(
        name: &'static str,
        connectors: Vec<&'static str>,
        api: Box<dyn NativeApi>,
        paper: PaperHandle,
        access: Access,
    ) -> Self {
        let opened = paper.lock().now();
        let (hosts, socket_path) = (api.hosts(), api.socket_path());
        let stage = Stage {
            api,
            access,
            sockets: BTreeMap::new(),
            posts: Vec::new(),
            ready: Vec::new(),
            held: 0,
            failed: None,
            frames: 0,
            slow: 0,
        };
        Self {
            name,
            connectors,
            hosts,
            socket_path,
            opened,
            paper,
            stage: Mutex::new(stage),
            next_socket: AtomicU64::new(1),
            wanted: AtomicUsize::new(0),
            awaited: AtomicUsize::new(0),
            moved: Notify::new(),
        }
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        // A panic is our bug, not the end of everybody's session.
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The stage for a client: a market that plays without a pause makes room.
    fn turn(&self) -> MutexGuard<'_, Stage> {
        self.wanted.fetch_add(1, Ordering::Relaxed);
        let stage = self.stage();
        self.wanted.fetch_sub(1, Ordering::Relaxed);
        stage
    }

    /// Whether a client waits for its turn.
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed) > 0
    }

    /// Whether a client has so much to read that a market without a pace of its own should wait for it. Nobody is waited
    /// for while a request is: its client may read nothing before it is answered.
    pub(super) fn is_full(&self) -> bool {
        self.awaited.load(Ordering::Relaxed) == 0 && self.stage().sockets.values().any(Outlet::is_full)
    }

    /// A request waits for market time to pass, until what is returned is dropped.
    pub(super) fn awaits(&self) -> Awaits<'_> {
        self.awaited.fetch_add(1, Ordering::Relaxed);
        Awaits(self)
    }

    /// Hands over to the sockets what is for them.
    pub(super) fn hand_over(&self) {
        self.stage().hand_over();
    }

    /// The exchange.
    pub fn paper(&self) -> MutexGuard<'_, PaperExchange> {
        self.paper.lock()
    }

    /// The exchange, to share.
    pub fn handle(&self) -> PaperHandle {
        self.paper.clone()
    }

    /// Who may trade.
    pub fn access(&self) -> Access {
        self.stage().access.clone()
    }

    /// Lets others in.
    pub(super) fn change_access<T>(
        &self,
        change: impl FnOnce(&mut Access, &mut PaperExchange) -> Result<T, String>,
    ) -> Result<T, String> {
        let mut stage = self.turn();
        let mut paper = self.paper.lock();
        let changed = change(&mut stage.access, &mut paper)?;
        stage.settle(&mut paper);
        Ok(changed)
    }

    /// A number for its state.
    pub fn state_hash(&self) -> u64 {
        self.paper.lock().sim().state_hash()
    }

    /// Why it cannot go on, if it cannot.
    pub fn failure(&self) -> Option<String> {
        self.stage().failed.clone()
    }

    /// Frames sent to clients, sockets that were given up.
    pub(super) fn counts(&self) -> (u64, u64) {
        let stage = self.stage();
        (stage.frames, stage.slow)
    }

    /// How much market time has passed since clients were let in.
    pub(super) fn elapsed(&self) -> Duration {
        let nanos = self.paper.lock().now().nanos_since(self.opened);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
    }

    /// Lets time pass, in slices after each of which clients are told; all that they are told is on its way then.
    pub(super) fn advance_to(&self, elapsed: Duration) -> Moved {
        let moved = self.play_to(elapsed);
        self.hand_over();
        moved
    }

    /// The same; what clients are told is not all handed over yet.
    pub(super) fn play_to(&self, elapsed: Duration) -> Moved {
        let until = self.opened.plus(elapsed);
        let mut moved = Moved::default();
        let mut goes_on = true;
        while goes_on {
            let mut stage = self.stage();
            let mut paper = self.paper.lock();
            if paper.now() >= until || stage.failed.is_some() {
                break;
            }
            let slice = (paper.now().nanos().div_euclid(SLICE) + 1).saturating_mul(SLICE);
            let before = paper.messages();
            let went = paper.advance_to(until.min(Timestamp::from_nanos(slice)));
            moved += Moved { messages: paper.messages() - before, updates: stage.publish(&mut paper) };
            stage.see(went);
            if stage.held >= ENOUGH {
                stage.hand_over();
            }
            goes_on = paper.now() < until;
            // Between slices others have their turn.
            drop((paper, stage));
            self.wake_waiting();
        }
        moved
    }

    /// Requests that wait for market time look again. Who waits has said so before it looked, and it looked with the stage
    /// in hand: nobody is missed.
    fn wake_waiting(&self) {
        if self.awaited.load(Ordering::Relaxed) > 0 {
            self.moved.notify_waiters();
        }
    }

    /// Tells clients what has happened by another hand.
    pub(super) fn tell(&self) {
        let mut stage = self.stage();
        let mut paper = self.paper.lock();
        stage.settle(&mut paper);
        drop((paper, stage));
        self.wake_waiting();
    }

    /// Plays what has come of a live market, and tells clients.
    pub(super) fn catch_up(&self) {
        let mut stage = self.stage();
        let mut paper = self.paper.lock();
        if stage.failed.is_none() {
            let went = paper.catch_up();
            stage.see(went);
        }
        stage.settle(&mut paper);
        drop((paper, stage));
        self.wake_waiting();
    }

    /// Plays one market message; false at the end of the tape.
    pub(super) fn step(&self) -> (Moved, bool) {
        let mut stage = self.stage();
        let mut paper = self.paper.lock();
        if stage.failed.is_some() {
            return (Moved::default(), false);
        }
        let played = paper.step(1);
        let messages = *played.as_ref().unwrap_or(&0);
        let moved = Moved { messages, updates: stage.settle(&mut paper) };
        stage.see(played.map(|_| ()));
        drop((paper, stage));
        self.wake_waiting();
        (moved, messages > 0)
    }

    /// Whether the source has no more messages.
    pub(super) fn at_end(&self) -> bool {
        self.paper.lock().at_end()
    }

    /// Answers a request, or says what it waits for. `now`: how far the market should be by the clock.
    pub(super) fn call(&self, now: Option<Duration>, call: &Call<'_>) -> Called {
        let mut stage = self.turn();
        let mut paper = self.paper.lock();
        if stage.failed.is_some() {
            return stage.api.fault(Fault::Down).into();
        }
        stage.catch_up(&mut paper, now.map(|elapsed| self.opened.plus(elapsed)));
        let Stage { api, access, .. } = &mut *stage;
        let called = api.call(&mut Room { paper: &mut paper, access, wall }, call);
        // What is due at this instant happens before anybody is answered.
        let here = paper.now();
        let went = paper.advance_to(here);
        stage.see(went);
        match called {
            Ok(Called::Done(reply)) => {
                stage.settle(&mut paper);
                reply.into()
            }
            Ok(Called::Waiting(waiting)) => match stage.finish(&mut paper, waiting) {
                Ok(reply) => reply.into(),
                Err(waiting) => Called::Waiting(waiting),
            },
            Err(error) => {
                stage.see(Err(error));
                stage.api.fault(Fault::Down).into()
            }
        }
    }

    /// Makes a reply if what it waits for is there. Where time stands still, it passes until it is.
    pub(super) fn finish(&self, waiting: Waiting, still: bool) -> Called {
        let mut stage = self.turn();
        let mut paper = self.paper.lock();
        if stage.failed.is_some() {
            return stage.api.fault(Fault::Down).into();
        }
        if still {
            for tag in &waiting.tags {
                let went = paper.run_until_answer(waiting.session, *tag).map(|_| ());
                stage.see(went);
            }
        }
        match stage.finish(&mut paper, waiting) {
            Ok(reply) => reply.into(),
            // The tape has ended and no answer is on its way.
            Err(_) if still => stage.api.fault(Fault::Down).into(),
            Err(waiting) => Called::Waiting(waiting),
        }
    }

    /// Answers what never became a request.
    pub(super) fn fault(&self, fault: Fault) -> Reply {
        self.stage().api.fault(fault)
    }

    /// Opens a socket, or answers that there is none.
    pub(super) fn open(&self, call: &Call<'_>, outlet: Outlet) -> Result<SocketId, Reply> {
        let id = SocketId(self.next_socket.fetch_add(1, Ordering::Relaxed));
        let mut stage = self.turn();
        let mut paper = self.paper.lock();
        let Stage { api, access, posts, .. } = &mut *stage;
        api.open(&mut Room { paper: &mut paper, access, wall }, id, call, posts)?;
        stage.sockets.insert(id, outlet);
        stage.settle(&mut paper);
        Ok(id)
    }

    /// Takes a frame of a client.
    pub(super) fn hear(&self, now: Option<Duration>, socket: SocketId, frame: Frame<'_>) {
        let mut stage = self.turn();
        let mut paper = self.paper.lock();
        stage.catch_up(&mut paper, now.map(|elapsed| self.opened.plus(elapsed)));
        let Stage { api, access, posts, .. } = &mut *stage;
        let heard = api.hear(&mut Room { paper: &mut paper, access, wall }, socket, frame, posts);
        let here = paper.now();
        let went = heard.and_then(|()| paper.advance_to(here));
        stage.see(went);
        stage.settle(&mut paper);
    }

    /// A client is gone.
    pub(super) fn close(&self, socket: SocketId) {
        let mut stage = self.turn();
        stage.sockets.remove(&socket);
        stage.api.close(socket);
    }

    /// Ends all sockets.
    pub(super) fn close_all(&self) {
        for outlet in self.stage().sockets.values_mut() {
            outlet.close(1001, "the gateway is shutting down");
        }
    }
}

/// A request that waits for market time to pass.
pub(super) struct Awaits<'a>(&'a Hall);

impl Drop for Awaits<'_> {
    fn drop(&mut self) {
        self.0.awaited.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Stage {
    /// Brings the market to where the clock says it is, if that is near; the rest is for the clock's own thread.
    fn catch_up(&mut self, paper: &mut PaperExchange, until: Option<Timestamp>) {
        let Some(until) = until else { return };
        if until > paper.now() && until.nanos_since(paper.now()) <= SLICE && self.failed.is_none() {
            let went = paper.advance_to(until);
            self.see(went);
        }
    }

    fn see(&mut self, went: Result<(), PaperError>) {
        if let Err(error) = went {
            self.failed.get_or_insert(error.to_string());
        }
    }

    fn finish(&mut self, paper: &mut PaperExchange, waiting: Waiting) -> Result<Reply, Waiting> {
        if !waiting.is_answered(paper) {
            return Err(waiting);
        }
        let reply = waiting.finish(&mut Room { paper, access: &self.access, wall });
        self.settle(paper);
        Ok(reply)
    }

    /// Tells the clients what is new; returns how many updates reached traders.
    fn settle(&mut self, paper: &mut PaperExchange) -> u64 {
        let updates = self.publish(paper);
        self.hand_over();
        updates
    }

    /// Puts what is new into the ways of the clients.
    fn publish(&mut self, paper: &mut PaperExchange) -> u64 {
        let heard = paper.take_heard();
        let Self { api, access, posts, .. } = self;
        api.publish(&mut Room { paper, access, wall }, &heard, posts);
        for (socket, out) in posts.drain(..) {
            let Some(outlet) = self.sockets.get_mut(&socket) else { continue };
            self.held += 1;
            if outlet.put(out) {
                self.ready.push(socket);
            }
        }
        u64::try_from(heard.len()).unwrap_or(u64::MAX)
    }

    /// Hands over what was put: one wake a socket.
    fn hand_over(&mut self) {
        self.frames += u64::try_from(std::mem::take(&mut self.held)).unwrap_or(u64::MAX);
        for socket in self.ready.drain(..) {
            let Some(outlet) = self.sockets.get_mut(&socket) else { continue };
            let handed = outlet.hand_over();
            if handed != Handed::Sent {
                self.slow += u64::from(handed == Handed::TooSlow);
                self.sockets.remove(&socket);
                self.api.close(socket);
            }
        }
    }
}
