//! The books of one socket as its client keeps them: which of them can be believed, and when to ask for one anew.
//!
//! Never here: IO, frames. Start at [`Books::apply`].

use std::time::Duration;

use crate::market::{
    EventLog, Group, GroupKind, Instrument, InstrumentId, MarketEvent, OrderBook, Side, Timestamp,
};

/// How long the first book after a subscription may take.
const FIRST: Duration = Duration::from_secs(10);
/// How long a book that was asked for anew may take, at least.
const AGAIN: Duration = Duration::from_secs(5);
/// The longest time between two requests for one book.
const LONGEST: Duration = Duration::from_secs(60);
/// A book that was right for so long is forgiven its earlier faults.
const FORGIVEN: Duration = Duration::from_secs(60);
/// So many requests without any book on the whole socket: the socket is no good.
const HOPELESS: u32 = 4;

/// The books of one socket, by the numbers of its decoder.
#[derive(Default)]
pub(super) struct Books {
    all: Vec<Watched>,
}

struct Watched {
    book: OrderBook,
    trusted: bool,
    halted: bool,
    /// Whether it was subscribed: nobody asks for what was not.
    wanted: bool,
    /// Requests since it was last right.
    tries: u32,
    asked: Timestamp,
    /// When to ask next.
    due: Option<Timestamp>,
    /// Since when it is right.
    since: Timestamp,
}

impl Books {
    /// Adds the instruments that a decoder has newly spoken of.
    pub(super) fn learn(&mut self, instruments: &[Instrument], wanted: impl Fn(&str) -> bool) {
        for instrument in instruments.iter().skip(self.all.len()) {
            self.all.push(Watched {
                book: OrderBook::new(instrument.rule.tick),
                trusted: false,
                halted: false,
                wanted: wanted(&instrument.symbol),
                tries: 0,
                asked: Timestamp::MIN,
                due: None,
                since: Timestamp::MIN,
            });
        }
    }

    /// Everything was subscribed now.
    pub(super) fn expect(&mut self, now: Timestamp) {
        for book in self.all.iter_mut().filter(|book| book.wanted) {
            (book.tries, book.asked, book.due) = (1, now, Some(now.plus(FIRST)));
        }
    }

    /// Takes in a group; whether the book is crossed after it, and so cannot be believed any more.
    pub(super) fn apply(&mut self, now: Timestamp, group: &Group<'_>) -> bool {
        let Some(watched) = self.all.get_mut(group.instrument.index()) else { return false };
        let whole = matches!(group.kind, GroupKind::Snapshot | GroupKind::SnapshotRest);
        if group.kind == GroupKind::Snapshot {
            watched.book.clear();
        }
        let (keep, mut levels) = (watched.trusted || whole, false);
        for event in group.events {
            match *event {
                MarketEvent::Level { side, price, qty } if keep => {
                    watched.book.set(side, price, qty);
                    levels = true;
                }
                MarketEvent::Distrust => watched.distrust(now),
                MarketEvent::Trading(on) => watched.halted = !on,
                _ => {}
            }
        }
        if levels && watched.book.is_crossed() {
            let news = watched.trusted || whole;
            watched.distrust(now);
            return news;
        }
        if group.kind == GroupKind::Snapshot && !watched.trusted {
            (watched.trusted, watched.due, watched.since) = (true, None, now);
        }
        false
    }

    /// None of them can be believed any more. Gives those that could.
    pub(super) fn distrust_all(&mut self, now: Timestamp) -> Vec<InstrumentId> {
        let mut told = Vec::new();
        for (id, watched) in self.all.iter_mut().enumerate() {
            if watched.trusted {
                told.push(id_of(id));
            }
            watched.distrust(now);
        }
        told
    }

    /// The books to ask for now; they are taken as asked for.
    pub(super) fn ask(&mut self, now: Timestamp) -> Vec<InstrumentId> {
        let mut ids = Vec::new();
        for (id, watched) in self.all.iter_mut().enumerate() {
            if watched.due.is_some_and(|due| due <= now) {
                watched.tries = watched.tries.saturating_add(1);
                watched.asked = now;
                watched.due = Some(now.plus(AGAIN.max(pause(watched.tries))));
                ids.push(id_of(id));
            }
        }
        ids
    }

    /// When to ask next.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.all.iter().filter_map(|watched| watched.due).min()
    }

    /// Whether nothing came however often it was asked for.
    pub(super) fn hopeless(&self) -> bool {
        let wanted = || self.all.iter().filter(|watched| watched.wanted);
        wanted().next().is_some() && wanted().all(|watched| !watched.trusted && watched.tries > HOPELESS)
    }

    /// Subscribed books that can be believed, and subscribed books.
    pub(super) fn ready(&self) -> (usize, usize) {
        let wanted = || self.all.iter().filter(|watched| watched.wanted);
        (wanted().filter(|watched| watched.trusted).count(), wanted().count())
    }

    /// Writes the books that can be believed as snapshots, and which instruments are halted.
    pub(super) fn restate(&self, now: Timestamp, out: &mut EventLog) {
        for (id, watched) in self.all.iter().enumerate() {
            if watched.halted {
                out.push(MarketEvent::Trading(false));
                out.close(id_of(id), GroupKind::Update, now, now);
            }
            if watched.trusted {
                for side in Side::BOTH {
                    for level in watched.book.levels(side) {
                        out.push(MarketEvent::Level { side, price: level.price, qty: level.qty });
                    }
                }
                out.close(id_of(id), GroupKind::Snapshot, now, now);
            }
        }
    }
}

impl Watched {
    fn distrust(&mut self, now: Timestamp) {
        let was = std::mem::replace(&mut self.trusted, false);
        if was && now.nanos_since(self.since) > FORGIVEN.as_nanos() as i64 {
            self.tries = 0;
        }
        if self.wanted && (was || self.due.is_none()) {
            self.due = Some(now.max(self.asked.plus(pause(self.tries))));
        }
    }
}

/// The time between the request before and the next: 1, 2, 4 … seconds.
fn pause(tries: u32) -> Duration {
    match tries {
        0 => Duration::ZERO,
        _ => Duration::from_secs(1 << (tries - 1).min(6)).min(LONGEST),
    }
}

fn id_of(at: usize) -> InstrumentId {
    InstrumentId(u32::try_from(at).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{Price, Qty};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    fn say(books: &mut Books, now: Timestamp, kind: GroupKind, events: &[MarketEvent]) -> bool {
        let group = Group {
            instrument: InstrumentId(0),
            kind,
            exchange_time: now,
            receive_time: now,
            events,
            ids: &[],
        };
        books.apply(now, &group)
    }

    fn level(side: Side, price: i64, qty: i64) -> MarketEvent {
        MarketEvent::Level { side, price: Price::from_units(price), qty: Qty::from_units(qty) }
    }

    fn books() -> Books {
        let mut books = Books::default();
        books.learn(&[Instrument::spot("A", "A-B".parse().unwrap(), 0, 0).unwrap()], |_| true);
        books.expect(at(0));
        books
    }

    #[test]
    fn a_book_is_right_from_its_snapshot_until_it_crosses() {
        let mut books = books();
        assert_eq!((books.ready(), books.due()), ((0, 1), Some(at(10))));
        assert!(!say(&mut books, at(1), GroupKind::Update, &[level(Side::Buy, 5, 1)]));
        assert!(!say(
            &mut books,
            at(1),
            GroupKind::Snapshot,
            &[level(Side::Buy, 5, 1), level(Side::Sell, 6, 1)]
        ));
        assert_eq!((books.ready(), books.due()), ((1, 1), None));
        assert!(say(&mut books, at(2), GroupKind::Update, &[level(Side::Buy, 6, 1)]));
        assert_eq!(books.ready(), (0, 1));
        // Asked for at once, then less and less often, until the socket is given up.
        let mut asked = Vec::new();
        while !books.hopeless() {
            let due = books.due().unwrap();
            assert_eq!(books.ask(due), [InstrumentId(0)]);
            asked.push(due.millis() / 1_000);
        }
        assert_eq!(asked, [2, 7, 12, 20]);
        // Crossed while it is not believed is no news; a crossed snapshot is no book.
        assert!(!say(&mut books, at(30), GroupKind::Update, &[level(Side::Buy, 7, 1)]));
        assert!(say(
            &mut books,
            at(31),
            GroupKind::Snapshot,
            &[level(Side::Buy, 7, 1), level(Side::Sell, 7, 1)]
        ));
        assert_eq!(books.ready(), (0, 1));
    }

    #[test]
    fn what_is_restated_is_what_was_there() {
        let mut books = books();
        say(&mut books, at(1), GroupKind::Snapshot, &[level(Side::Buy, 5, 1), level(Side::Sell, 6, 1)]);
        say(&mut books, at(2), GroupKind::Update, &[level(Side::Buy, 4, 2), MarketEvent::Trading(false)]);
        let mut log = EventLog::default();
        books.restate(at(3), &mut log);
        let said: Vec<_> = log.iter().map(|group| (group.kind, group.events.to_vec())).collect();
        let book = vec![level(Side::Buy, 5, 1), level(Side::Buy, 4, 2), level(Side::Sell, 6, 1)];
        assert_eq!(
            said,
            [(GroupKind::Update, vec![MarketEvent::Trading(false)]), (GroupKind::Snapshot, book)]
        );
        assert_eq!(books.distrust_all(at(4)), [InstrumentId(0)]);
        let mut log = EventLog::default();
        books.restate(at(5), &mut log);
        assert_eq!(log.len(), 1);
    }
}
