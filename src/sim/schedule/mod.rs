//! When things happen: requests on their way, answers on theirs, orders that expire, funding.
//!
//! Never here: a clock. Everything is told the time.
//! Start at [`Schedule`].

mod latency;

use std::collections::{BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::market::{InstrumentId, Timestamp};
use crate::order::{OrderId, SessionId};
use crate::sim::{LatencyModel, Request};
pub(crate) use latency::Latency;

/// A request on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pending {
    arrives: Timestamp,
    pub(crate) sent: Timestamp,
    pub(crate) request: Request,
}

/// What is due next.
#[derive(Debug)]
pub(crate) enum Due {
    /// An order's time is up.
    Expiry(OrderId),
    /// A contract's funding is due.
    Funding(InstrumentId),
    /// A request arrives; [`Schedule::done`] takes its room back.
    Arrival(Box<Pending>),
}

/// What waits for a time of its own. At one time: expiries first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Timer {
    Expiry(OrderId),
    Funding(InstrumentId),
}

/// One connection's last arrival and last answer: neither is ever overtaken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Session {
    arrival: Timestamp,
    delivery: Timestamp,
}

impl Default for Session {
    fn default() -> Self {
        Self { arrival: Timestamp::MIN, delivery: Timestamp::MIN }
    }
}

/// Everything that waits for its time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Schedule {
    pub(crate) latency: Latency,
    /// By arrival, then by sending. A request is as large as two cache lines and stays where it was put.
    inbox: VecDeque<Box<Pending>>,
    /// Room of requests that were carried out.
    #[serde(skip)]
    #[allow(clippy::vec_box, reason = "the boxes go back into the inbox")]
    spare: Vec<Box<Pending>>,
    timers: BTreeSet<(Timestamp, Timer)>,
    /// When something is due next; the end of time where nothing is. Asked at every event, so it is kept.
    due: Timestamp,
    /// The same without funding.
    wake: Timestamp,
    /// By session number; numbers are dense.
    sessions: Vec<Session>,
}

impl Schedule {
    pub(crate) fn new(model: LatencyModel, seed: u64) -> Self {
        Self {
            latency: Latency::new(model, seed),
            inbox: VecDeque::new(),
            spare: Vec::new(),
            timers: BTreeSet::new(),
            due: Timestamp::MAX,
            wake: Timestamp::MAX,
            sessions: Vec::new(),
        }
    }

    /// A client sends a request; it comes after all that arrive no later.
    #[inline]
    pub(crate) fn send(&mut self, now: Timestamp, request: Request) {
        let reached = self.latency.reached(now);
        let session = self.session(request.session);
        session.arrival = session.arrival.max(reached);
        let arrives = session.arrival;
        let room = match self.spare.pop() {
            Some(mut room) => {
                (room.arrives, room.sent) = (arrives, now);
                room.request = request;
                room
            }
            None => Box::new(Pending { arrives, sent: now, request }),
        };
        self.inbox.push_back(room);
        let mut at = self.inbox.len() - 1;
        while at > 0 && self.inbox[at - 1].arrives > arrives {
            self.inbox.swap(at - 1, at);
            at -= 1;
        }
        self.due = self.due.min(arrives);
        self.wake = self.wake.min(arrives);
    }

    #[inline]
    fn session(&mut self, id: SessionId) -> &mut Session {
        let at = id.0 as usize;
        if at >= self.sessions.len() {
            self.meet(at + 1);
        }
        &mut self.sessions[at]
    }

    #[cold]
    fn meet(&mut self, sessions: usize) {
        self.sessions.resize(sessions, Session::default());
    }

    /// The exchange answers at `at`: when the client knows.
    #[inline]
    pub(crate) fn answer(&mut self, at: Timestamp, session: SessionId) -> Timestamp {
        let back = self.latency.back(at);
        let session = self.session(session);
        session.delivery = session.delivery.max(back);
        session.delivery
    }

    pub(crate) fn expire_at(&mut self, time: Timestamp, order: OrderId) {
        self.timers.insert((time, Timer::Expiry(order)));
        self.due = self.due.min(time);
        self.wake = self.wake.min(time);
    }

    pub(crate) fn forget_expiry(&mut self, time: Timestamp, order: OrderId) {
        self.timers.remove(&(time, Timer::Expiry(order)));
        self.look_ahead();
    }

    /// A contract's next funding is at `time`, and no more at `before`.
    pub(crate) fn fund_at(&mut self, time: Timestamp, before: Timestamp, market: InstrumentId) {
        self.timers.remove(&(before, Timer::Funding(market)));
        self.timers.insert((time, Timer::Funding(market)));
        self.look_ahead();
    }

    /// When a request or an order's end is due next. Funding is not waited for: it comes again for ever, and is paid at
    /// its instant once time moves past it.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        (self.wake < Timestamp::MAX).then_some(self.wake)
    }

    /// Whether something is due by `now`.
    #[inline]
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.due <= now
    }

    #[inline]
    fn look_ahead(&mut self) {
        let arrival = self.inbox.front().map_or(Timestamp::MAX, |pending| pending.arrives);
        (self.due, self.wake) = (arrival, arrival);
        if let Some((timer, _)) = self.timers.first() {
            self.due = arrival.min(*timer);
            let expiry = self.timers.iter().find(|(_, timer)| matches!(timer, Timer::Expiry(_)));
            self.wake = expiry.map_or(Timestamp::MAX, |(time, _)| *time).min(arrival);
        }
    }

    /// Takes what is due first, if it is due before `until` (timers: at `until` too). Timers come before arrivals of the
    /// same time.
    #[inline]
    pub(crate) fn due_before(&mut self, until: Timestamp) -> Option<(Timestamp, Due)> {
        let arrival = self.inbox.front().map(|pending| pending.arrives).filter(|time| *time < until);
        if let Some((time, timer)) = self.timers.first().copied()
            && time <= until
            && arrival.is_none_or(|arrives| time <= arrives)
        {
            self.timers.remove(&(time, timer));
            self.look_ahead();
            let due = match timer {
                Timer::Expiry(order) => Due::Expiry(order),
                Timer::Funding(market) => Due::Funding(market),
            };
            return Some((time, due));
        }
        Some((arrival?, Due::Arrival(self.take_first()?)))
    }

    /// Takes the first request that has arrived by `until`; [`done`](Self::done) takes its room back.
    #[inline]
    pub(crate) fn arrival(&mut self, until: Timestamp) -> Option<Box<Pending>> {
        if self.inbox.front()?.arrives > until {
            return None;
        }
        self.take_first()
    }

    #[inline]
    fn take_first(&mut self) -> Option<Box<Pending>> {
        let first = self.inbox.pop_front();
        self.look_ahead();
        first
    }

    /// A request was carried out.
    #[inline]
    pub(crate) fn done(&mut self, request: Box<Pending>) {
        self.spare.push(request);
    }
}
