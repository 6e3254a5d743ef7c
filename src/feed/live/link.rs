//! One socket's conversation, without the socket: frames in, frames to send, deadlines.
//!
//! A frame goes through the venue's decoder, the books and the queue; what the books cannot believe is asked for anew.
//! Never here: IO. Start at [`Link::frame`] and [`Link::tick`].

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::books::Books;
use super::queue::{News, Queue};
use super::reel::Reel;
use crate::feed::warnings::Warnings;
use crate::market::{EventLog, FeedStats, GroupKind, Instrument, InstrumentId, MarketEvent, Timestamp};
use crate::venue::live::{Heard, Manners, Ping, Session};
use crate::venue::{Decoder, Frame, Known, Venue};

/// The longest time without a look at what is due.
const LOOK: Duration = Duration::from_millis(250);

/// What is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outgoing {
    Text(String),
    Ping,
}

/// Why a socket is given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lost(pub(super) String);

/// What a socket needs to begin.
pub(super) struct LinkParts {
    pub(super) place: usize,
    pub(super) session: Box<dyn Session>,
    pub(super) venue: &'static dyn Venue,
    /// In the decoder from the start.
    pub(super) declared: Vec<Instrument>,
    /// What else is known.
    pub(super) others: Vec<Instrument>,
    pub(super) queue: Arc<Queue>,
    pub(super) reel: Reel,
    pub(super) warnings: Warnings,
}

/// One socket's conversation.
pub(super) struct Link {
    pub(super) place: usize,
    pub(super) session: Box<dyn Session>,
    pub(super) manners: Manners,
    venue: &'static dyn Venue,
    others: Vec<Instrument>,
    decoder: Box<dyn Decoder + Send>,
    books: Books,
    ids: Vec<InstrumentId>,
    log: EventLog,
    crossed: Vec<usize>,
    /// What decoders before this one counted, and what was counted beside them.
    counted: FeedStats,
    queue: Arc<Queue>,
    reel: Reel,
    /// The recording that the books were last told to.
    reeled: u64,
    warnings: Warnings,
    /// Troubles that were put into words already.
    told: BTreeSet<String>,
    heard: Timestamp,
    pinged: Timestamp,
    /// When to look at the time next.
    look: Timestamp,
    pub(super) outgoing: VecDeque<Outgoing>,
}

impl Link {
    pub(super) fn new(parts: LinkParts, now: Timestamp) -> Self {
        let LinkParts { place, session, venue, declared, others, queue, reel, warnings } = parts;
        let decoder = venue.decoder(Known { declared, others: others.clone() });
        let mut link = Self {
            place,
            manners: session.manners(),
            session,
            venue,
            others,
            decoder,
            books: Books::default(),
            ids: Vec::new(),
            log: EventLog::default(),
            crossed: Vec::new(),
            counted: FeedStats::default(),
            reeled: reel.generation(),
            queue,
            reel,
            warnings,
            told: BTreeSet::new(),
            heard: now,
            pinged: now,
            look: now,
            outgoing: VecDeque::new(),
        };
        link.learn();
        link
    }

    /// The socket is open: subscribe.
    pub(super) fn open(&mut self, now: Timestamp) {
        (self.heard, self.pinged, self.look) = (now, now, now);
        self.outgoing.clear();
        self.outgoing.extend(self.session.hello().into_iter().map(Outgoing::Text));
        self.books.expect(now);
        self.reeled = self.reel.generation();
        let ready = self.books.ready();
        self.queue.health_of(self.place, |health| {
            (health.open, health.since, health.connects) = (true, now, health.connects + 1);
            (health.ready, health.books) = ready;
        });
    }

    /// The socket is lost: no book of it can be believed, and what comes next is read by a decoder that knows no book.
    pub(super) fn lost(&mut self, now: Timestamp, why: &str) {
        self.log.clear();
        self.crossed.clear();
        for id in self.books.distrust_all(now) {
            self.log.push(MarketEvent::Distrust);
            self.log.close(id, GroupKind::Update, now, now);
        }
        self.counted += self.decoder.stats();
        let declared = self.decoder.instruments().to_vec();
        self.decoder = self.venue.decoder(Known { declared, others: self.others.clone() });
        self.outgoing.clear();
        self.tell(now, false);
        self.queue.health_of(self.place, |health| {
            if health.open {
                health.since = now;
            }
            (health.open, health.losses) = (false, health.losses + 1);
            health.trouble = Some(why.to_owned());
        });
    }

    /// Anything at all came.
    pub(super) fn alive(&mut self, now: Timestamp) {
        self.heard = now;
    }

    /// A frame came.
    pub(super) fn frame(&mut self, now: Timestamp, frame: Frame<'_>) {
        self.heard = now;
        self.log.clear();
        self.crossed.clear();
        let before = self.decoder.stats();
        let decoded = self.decoder.decode(now, frame, &mut self.log);
        self.learn();
        match decoded {
            Ok(()) if self.log.is_empty() => self.hear(frame),
            Ok(()) => {}
            Err(error) => self.unread(now, &error.to_string()),
        }
        for (at, group) in self.log.iter().enumerate() {
            if self.books.apply(now, &group) {
                self.crossed.push(at);
            }
        }
        self.counted.crossed += self.crossed.len() as u64;
        self.count_troubles(before);
        self.tell(now, true);
        self.renew(now);
        self.look = self.look.min(self.books.due().unwrap_or(Timestamp::MAX));
    }

    /// Time has passed: pings, requests, the end of patience. Whether it was time to look at all.
    pub(super) fn tick(&mut self, now: Timestamp) -> Result<bool, Lost> {
        if now < self.look {
            return Ok(false);
        }
        if now >= self.heard.plus(self.manners.silence) {
            return Err(Lost(format!("nothing came for {} s", self.manners.silence.as_secs())));
        }
        if self.books.hopeless() {
            return Err(Lost("no book came, however often it was asked for".to_owned()));
        }
        if now >= self.pinged.plus(self.manners.every) {
            self.pinged = now;
            self.outgoing.push_back(match self.manners.ping {
                Ping::Frame => Outgoing::Ping,
                Ping::Text(text) => Outgoing::Text(text.to_owned()),
            });
        }
        if self.reel.generation() != self.reeled {
            // A recording begins: it holds every book from its start.
            self.reeled = self.reel.generation();
            let all: Vec<String> = self.session.symbols().iter().map(ToString::to_string).collect();
            self.ask(&all);
        }
        self.renew(now);
        if self.queue.owes(self.place) {
            self.log.clear();
            self.crossed.clear();
            self.tell(now, false);
        }
        self.look = self.deadline().min(now.plus(LOOK));
        Ok(true)
    }

    /// When to [`tick`](Self::tick) next, at the latest.
    pub(super) fn look(&self) -> Timestamp {
        self.look
    }

    fn deadline(&self) -> Timestamp {
        let fixed = [self.heard.plus(self.manners.silence), self.pinged.plus(self.manners.every)];
        fixed.into_iter().chain(self.books.due()).min().unwrap_or(Timestamp::MAX)
    }

    /// Takes over what the decoder has newly spoken of.
    fn learn(&mut self) {
        let instruments = self.decoder.instruments();
        if instruments.len() == self.ids.len() {
            return;
        }
        let symbols = self.session.symbols();
        self.books.learn(instruments, |symbol| symbols.iter().any(|wanted| wanted == symbol));
        for (at, instrument) in instruments.iter().enumerate().skip(self.ids.len()) {
            let depth = self.decoder.depth(InstrumentId(u32::try_from(at).unwrap_or(u32::MAX)));
            self.ids.push(self.queue.number(instrument, depth));
        }
    }

    fn hear(&mut self, frame: Frame<'_>) {
        let Frame::Text(text) = frame else { return };
        match self.session.hear(text) {
            Heard::Nothing => {}
            Heard::Reply(text) => self.outgoing.push_back(Outgoing::Text(text.to_owned())),
            Heard::Refused(words) => {
                self.once(format!("{} refused: {words}", self.venue.name()));
                self.queue.health_of(self.place, |health| health.trouble = Some(words));
            }
        }
    }

    /// A frame cannot be read. Where the exchange's numbers would not show what went lost with it, no book is believed.
    fn unread(&mut self, now: Timestamp, error: &str) {
        self.counted.errors += 1;
        self.once(format!("{}: a frame cannot be read: {error}", self.session.url()));
        if !self.manners.shows_gaps {
            for id in self.books.distrust_all(now) {
                self.log.push(MarketEvent::Distrust);
                self.log.close(id, GroupKind::Update, now, now);
            }
        }
    }

    /// Puts new kinds of trouble into words, each once.
    fn count_troubles(&mut self, before: FeedStats) {
        let after = self.decoder.stats();
        let url = self.session.url();
        let kinds = [
            (after.gaps > before.gaps, "a message is missing"),
            (after.checksum_failures > before.checksum_failures, "a checksum is wrong"),
            (!self.crossed.is_empty(), "a book is crossed"),
        ];
        let words: Vec<String> = kinds
            .iter()
            .filter(|(is, _)| *is)
            .map(|(_, what)| format!("{url}: {what}; the book is asked for anew (told once, counted)"))
            .collect();
        words.into_iter().for_each(|words| self.once(words));
    }

    fn once(&mut self, words: String) {
        // A socket that talks nonsense for hours must not fill the memory.
        if self.told.len() < 1_000 && self.told.insert(words.clone()) {
            self.warnings.add(|| words);
        } else {
            self.warnings.more(1);
        }
    }

    fn tell(&mut self, now: Timestamp, frame: bool) {
        let mut stats = self.counted;
        stats += self.decoder.stats();
        let (log, crossed, ids, books) = (&self.log, &self.crossed[..], &self.ids[..], &self.books);
        self.queue.push(self.place, &News { now, frame, log, crossed, ids, books, stats });
    }

    /// Asks for the books that are due.
    fn renew(&mut self, now: Timestamp) {
        if self.books.due().is_none_or(|due| due > now) {
            return;
        }
        let due = self.books.ask(now);
        let symbols: Vec<String> = due
            .iter()
            .filter_map(|id| self.decoder.instruments().get(id.index()))
            .map(|instrument| instrument.symbol.to_string())
            .collect();
        self.ask(&symbols);
    }

    fn ask(&mut self, symbols: &[String]) {
        let names: Vec<&str> = symbols.iter().map(String::as_str).collect();
        self.outgoing.extend(self.session.renew(&names).into_iter().map(Outgoing::Text));
        self.queue.health_of(self.place, |health| health.renewed += symbols.len() as u64);
    }
}
