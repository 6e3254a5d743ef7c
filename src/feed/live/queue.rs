//! Between the sockets and whoever plays their market: a bounded queue of groups, and how the sockets are.
//!
//! A reader that is too slow loses what waits, all of it at once: every book is told as not to be believed, and each
//! socket tells its books anew from what it knows. What was lost is counted and shown.
//! Never here: frames, sockets. Start at [`Queue`].

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::books::Books;
use crate::market::{
    EMPTY, EventLog, FeedDepth, FeedStats, Group, GroupKind, Instrument, InstrumentId, MarketEvent, Source,
    SourceError, Timestamp,
};

/// How a socket is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Where it is.
    pub url: String,
    /// Whether it is open.
    pub open: bool,
    /// Since when it is as it is.
    pub since: Timestamp,
    /// When the last frame came.
    pub heard: Option<Timestamp>,
    /// Frames that came.
    pub frames: u64,
    /// How often it was opened.
    pub connects: u64,
    /// How often opening it failed or it was lost.
    pub losses: u64,
    /// Books that were asked for anew.
    pub renewed: u64,
    /// Subscribed books that can be believed.
    pub ready: usize,
    /// Subscribed books.
    pub books: usize,
    /// Why it was lost the last time, or what the exchange refused.
    pub trouble: Option<String>,
}

/// The queue. The sockets hold it, and the [`LiveSource`].
pub(super) struct Queue {
    inner: Mutex<Inner>,
    arrived: Condvar,
}

struct Inner {
    log: EventLog,
    /// The most groups that may wait.
    most: usize,
    dropped: u64,
    instruments: Vec<Instrument>,
    depths: Vec<FeedDepth>,
    sockets: Vec<Socket>,
}

struct Socket {
    health: Health,
    stats: FeedStats,
    /// It must tell its books anew before anything else.
    restate: bool,
}

/// What a frame, or the loss of a socket, brought.
pub(super) struct News<'a> {
    pub(super) now: Timestamp,
    /// Whether it is a frame that came.
    pub(super) frame: bool,
    /// Groups by the numbers of the socket's decoder.
    pub(super) log: &'a EventLog,
    /// The groups after which the book cannot be believed.
    pub(super) crossed: &'a [usize],
    /// From the decoder's numbers to ours.
    pub(super) ids: &'a [InstrumentId],
    pub(super) books: &'a Books,
    pub(super) stats: FeedStats,
}

impl Queue {
    pub(super) fn new(
        instruments: Vec<Instrument>,
        depths: Vec<FeedDepth>,
        urls: Vec<String>,
        most: usize,
        now: Timestamp,
    ) -> Self {
        let health = |url| Health {
            url,
            open: false,
            since: now,
            heard: None,
            frames: 0,
            connects: 0,
            losses: 0,
            renewed: 0,
            ready: 0,
            books: 0,
            trouble: None,
        };
        let socket = |url| Socket { health: health(url), stats: FeedStats::default(), restate: false };
        let sockets = urls.into_iter().map(socket).collect();
        let inner = Inner { log: EventLog::default(), most, dropped: 0, instruments, depths, sockets };
        Self { inner: Mutex::new(inner), arrived: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Our number of an instrument; one that is new gets one.
    pub(super) fn number(&self, instrument: &Instrument, depth: FeedDepth) -> InstrumentId {
        let mut inner = self.lock();
        let known = inner.instruments.iter().position(|other| other.symbol == instrument.symbol);
        let at = known.unwrap_or_else(|| {
            inner.instruments.push(instrument.clone());
            inner.depths.push(depth);
            inner.instruments.len() - 1
        });
        InstrumentId(u32::try_from(at).unwrap_or(u32::MAX))
    }

    /// Takes in what a socket brings.
    pub(super) fn push(&self, place: usize, news: &News<'_>) {
        let mut inner = self.lock();
        if inner.log.len() + news.log.len() > inner.most {
            inner.overflow(news.now);
        }
        let Inner { log, sockets, .. } = &mut *inner;
        let Some(socket) = sockets.get_mut(place) else { return };
        let restate = std::mem::replace(&mut socket.restate, false);
        let before = log.len();
        if restate {
            let mut whole = EventLog::default();
            news.books.restate(news.now, &mut whole);
            whole.iter().for_each(|group| push(log, &group, news.ids));
        }
        for (at, group) in news.log.iter().enumerate() {
            // The books that were just told hold its levels already; what is new of it is its prints and news.
            if !restate {
                push(log, &group, news.ids);
            } else {
                push_rest(log, &group, news.ids);
            }
            if news.crossed.contains(&at) {
                distrust(log, number(&group, news.ids), news.now);
            }
        }
        (socket.health.ready, socket.health.books) = news.books.ready();
        if news.frame {
            socket.health.frames += 1;
            socket.health.heard = Some(news.now);
        }
        socket.stats = news.stats;
        let more = log.len() > before;
        drop(inner);
        if more {
            self.arrived.notify_all();
        }
    }

    /// Whether a socket owes its books.
    pub(super) fn owes(&self, place: usize) -> bool {
        self.lock().sockets.get(place).is_some_and(|socket| socket.restate)
    }

    /// Changes what is known of a socket.
    pub(super) fn health_of(&self, place: usize, change: impl FnOnce(&mut Health)) {
        if let Some(socket) = self.lock().sockets.get_mut(place) {
            change(&mut socket.health);
        }
        self.arrived.notify_all();
    }

    /// How the sockets are, and how many groups went lost because nobody took them in time.
    pub(super) fn health(&self) -> (Vec<Health>, u64) {
        let inner = self.lock();
        (inner.sockets.iter().map(|socket| socket.health.clone()).collect(), inner.dropped)
    }

    /// Waits until something comes, `most` at the longest.
    pub(super) fn wait(&self, most: Duration) {
        let inner = self.lock();
        if inner.log.is_empty() {
            let waited = self.arrived.wait_timeout(inner, most);
            drop(waited);
        }
    }
}

impl Inner {
    fn overflow(&mut self, now: Timestamp) {
        self.dropped += self.log.len() as u64;
        self.log.clear();
        self.sockets.iter_mut().for_each(|socket| socket.restate = true);
        for id in 0..self.instruments.len() {
            distrust(&mut self.log, InstrumentId(u32::try_from(id).unwrap_or(u32::MAX)), now);
        }
    }

    fn stats(&self) -> FeedStats {
        let mut all = FeedStats::default();
        self.sockets.iter().for_each(|socket| all += socket.stats);
        all
    }
}

fn number(group: &Group<'_>, ids: &[InstrumentId]) -> InstrumentId {
    ids.get(group.instrument.index()).copied().unwrap_or_default()
}

fn push(log: &mut EventLog, group: &Group<'_>, ids: &[InstrumentId]) {
    log.push_group(&Group { instrument: number(group, ids), ..*group });
}

/// What a group says beside levels.
fn push_rest(log: &mut EventLog, group: &Group<'_>, ids: &[InstrumentId]) {
    for event in group.events {
        match *event {
            MarketEvent::Level { .. } => {}
            MarketEvent::Trade(print) => {
                log.push_trade(print.aggressor, print.price, print.qty, print.id.of(group.ids));
            }
            other => log.push(other),
        }
    }
    if log.pending() > 0 {
        log.close(number(group, ids), GroupKind::Update, group.exchange_time, group.receive_time);
    }
}

fn distrust(log: &mut EventLog, id: InstrumentId, now: Timestamp) {
    log.push(MarketEvent::Distrust);
    log.close(id, GroupKind::Update, now, now);
}

/// What the sockets bring, as a source. It never ends: that there is nothing now is told by
/// [`Source::may_go_on`].
pub struct LiveSource {
    queue: Arc<Queue>,
    instruments: Vec<Instrument>,
    depths: Vec<FeedDepth>,
    log: EventLog,
    /// The next group of the log.
    next: usize,
    clock: Option<Timestamp>,
    time_went_back: u64,
}

impl LiveSource {
    pub(super) fn new(queue: Arc<Queue>) -> Self {
        let (instruments, depths) = {
            let inner = queue.lock();
            (inner.instruments.clone(), inner.depths.clone())
        };
        let log = EventLog::default();
        Self { queue, instruments, depths, log, next: 0, clock: None, time_went_back: 0 }
    }

    /// Takes over what waits.
    fn take(&mut self) {
        self.log.clear();
        self.next = 0;
        let mut inner = self.queue.lock();
        std::mem::swap(&mut self.log, &mut inner.log);
        let have = self.instruments.len();
        self.instruments.extend_from_slice(inner.instruments.get(have..).unwrap_or_default());
        self.depths.extend_from_slice(inner.depths.get(have..).unwrap_or_default());
    }
}

impl Source for LiveSource {
    fn instruments(&self) -> &[Instrument] {
        &self.instruments
    }

    fn depth(&self, instrument: InstrumentId) -> FeedDepth {
        self.depths.get(instrument.index()).copied().unwrap_or_default()
    }

    fn advance(&mut self) -> Result<Option<Timestamp>, SourceError> {
        if self.next >= self.log.len() {
            self.take();
        }
        let Some(group) = self.log.get(self.next) else { return Ok(None) };
        self.next += 1;
        let clock = self.clock.map_or(group.receive_time, |clock| {
            self.time_went_back += u64::from(group.receive_time < clock);
            clock.max(group.receive_time)
        });
        self.clock = Some(clock);
        Ok(Some(clock))
    }

    fn group(&self) -> Group<'_> {
        self.next.checked_sub(1).and_then(|at| self.log.get(at)).unwrap_or(EMPTY)
    }

    fn stats(&self) -> FeedStats {
        let stats = self.queue.lock().stats();
        FeedStats { time_went_back: stats.time_went_back + self.time_went_back, ..stats }
    }

    fn may_go_on(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{OrderBook, Price, Qty, Side};

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn level(side: Side, price: i64, qty: i64) -> MarketEvent {
        MarketEvent::Level { side, price: Price::from_units(price), qty: Qty::from_units(qty) }
    }

    /// What is left of the source: the kinds of groups, and the book.
    fn play(source: &mut LiveSource) -> (Vec<(u32, GroupKind, usize)>, Vec<OrderBook>) {
        let mut said = Vec::new();
        let mut books = [(); 2].map(|()| OrderBook::new(Price::from_units(1))).to_vec();
        while source.advance().unwrap().is_some() {
            let group = source.group();
            said.push((group.instrument.0, group.kind, group.events.len()));
            let book = &mut books[group.instrument.index()];
            if group.kind == GroupKind::Snapshot {
                book.clear();
            }
            for event in group.events {
                if let MarketEvent::Level { side, price, qty } = *event {
                    book.set(side, price, qty);
                }
            }
        }
        (said, books)
    }

    #[test]
    fn a_slow_reader_loses_what_waits_and_gets_every_book_whole() {
        let instruments =
            ["A", "B"].map(|symbol| Instrument::spot(symbol, "A-B".parse().unwrap(), 0, 0).unwrap());
        let urls = vec!["ws://a".to_owned(), "ws://b".to_owned()];
        let queue = Arc::new(Queue::new(instruments.to_vec(), vec![FeedDepth::Full; 2], urls, 5, at(0)));
        let mut source = LiveSource::new(Arc::clone(&queue));
        let mut books = [Books::default(), Books::default()];
        for (place, own) in books.iter_mut().enumerate() {
            own.learn(&instruments[place..=place], |_| true);
        }
        let mut tell = |place: usize, time: i64, kind, events: &[MarketEvent]| {
            let mut log = EventLog::default();
            events.iter().for_each(|event| log.push(*event));
            log.close(InstrumentId(0), kind, at(time), at(time));
            books[place].apply(at(time), &log.get(0).unwrap());
            let ids = [InstrumentId(place as u32)];
            let (books, stats) = (&books[place], FeedStats::default());
            queue.push(
                place,
                &News { now: at(time), frame: true, log: &log, crossed: &[], ids: &ids, books, stats },
            );
        };
        tell(0, 1, GroupKind::Snapshot, &[level(Side::Buy, 5, 1), level(Side::Sell, 9, 1)]);
        tell(1, 2, GroupKind::Snapshot, &[level(Side::Buy, 50, 1)]);
        for step in 0..5 {
            tell(0, 3 + step, GroupKind::Update, &[level(Side::Buy, 4 - step, 1)]);
        }
        assert_eq!(queue.health().1, 5);
        assert!(queue.owes(1) && !queue.owes(0));
        tell(1, 9, GroupKind::Update, &[]);
        let (said, have) = play(&mut source);
        let (update, snapshot) = (GroupKind::Update, GroupKind::Snapshot);
        // The loss, the first book with all of its changes, one more change, the second book.
        assert_eq!(
            said,
            [(0, update, 1), (1, update, 1), (0, snapshot, 6), (0, update, 1), (1, snapshot, 1)]
        );
        assert_eq!(have[0].side(Side::Buy).len(), 6);
        assert_eq!(have[1].best_price(Side::Buy), Some(Price::from_units(50)));
        assert!(source.may_go_on() && source.group() == EMPTY);
    }
}
