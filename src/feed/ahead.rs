//! A source that is decoded on a thread of its own while what it said before is played.
//!
//! Groups come over in batches that are used again, a bounded number of them; what is read does not depend on how fast
//! either side is. Never here: what a group means.

use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;

use crate::feed::merge::AnySource;
use crate::market::{
    Batch, EMPTY, FeedDepth, FeedStats, Group, Instrument, InstrumentId, Reach, Source, SourceError, Then,
    Timestamp,
};

/// Batches that go round between the two threads.
const MESSAGES: usize = 8;
/// So many are given back at once: the other thread is woken once for all of them.
const AT_ONCE: usize = MESSAGES / 2;

/// Some groups, and what was known when the last of them had been read.
#[derive(Default)]
struct Message {
    batch: Batch,
    /// Instruments that turned up with its last group.
    new: Vec<Instrument>,
    /// By instrument.
    depths: Vec<FeedDepth>,
    stats: FeedStats,
}

/// A source read ahead of by another thread.
///
/// Order, play times, errors and instruments are those of the source. [`stats`](Source::stats) are those of the source
/// after the batch that is played; at its end, behind `until` and at a failure they are exact. Dropping it ends the thread.
///
/// ```
/// use papertape::feed::ahead::Ahead;
/// use papertape::market::{MemorySource, Source, Timestamp};
/// let mut source = Ahead::new(Box::new(MemorySource::default()), Timestamp::MAX)?;
/// assert_eq!(source.advance().unwrap(), None);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Ahead {
    instruments: Vec<Instrument>,
    until: Timestamp,
    /// What is played, and how many of its groups were.
    message: Message,
    played: usize,
    ended: bool,
    /// The other thread's ends; `None` once it is over.
    worker: Option<Worker>,
}

struct Worker {
    full: Receiver<Message>,
    empty: SyncSender<Message>,
    /// Played, and not given back yet.
    used: Vec<Message>,
    thread: JoinHandle<()>,
}

impl Worker {
    /// The next message for one that was played; `None` where the thread has ended.
    fn exchange(&mut self, played: Message) -> Option<Message> {
        self.used.push(played);
        let next = self.full.try_recv();
        // Who waits for the other has nothing left to hold back: that may be what it waits for.
        if self.used.len() >= AT_ONCE || next.is_err() {
            for message in self.used.drain(..) {
                // Where the thread has ended, nobody wants it.
                let _ = self.empty.send(message);
            }
        }
        match next {
            Err(TryRecvError::Empty) => self.full.recv().ok(),
            next => next.ok(),
        }
    }
}

impl Ahead {
    /// Starts to read `source`, which must not have begun. Somebody who stops playing at the first group later than
    /// `until` says so: nothing behind that group is read before it is asked for.
    pub fn new(source: AnySource, until: Timestamp) -> std::io::Result<Self> {
        let instruments = source.instruments().to_vec();
        let (send_full, full) = sync_channel(MESSAGES);
        let (empty, take_empty) = sync_channel(MESSAGES);
        for _ in 1..MESSAGES {
            // There is room for all of them; one more is the one that is played.
            let _ = empty.try_send(Message::default());
        }
        let message = Message { depths: depths(&*source), stats: source.stats(), ..Message::default() };
        let reader = Reader { source, until, behind: false };
        let thread = std::thread::Builder::new().name("decoder".to_owned());
        let thread = thread.spawn(move || reader.run(&take_empty, &send_full))?;
        let worker = Some(Worker { full, empty, used: Vec::with_capacity(MESSAGES), thread });
        Ok(Self { instruments, until, message, played: 0, ended: false, worker })
    }

    /// Takes the next message; `false` where there is none.
    #[cold]
    fn next_message(&mut self) -> Result<bool, SourceError> {
        match std::mem::take(&mut self.message.batch.then) {
            Then::More => {}
            Then::End => return Ok(false),
            Then::Failure(error) => return Err(error),
        }
        let Some(worker) = &mut self.worker else { return Ok(false) };
        self.played = 0;
        match worker.exchange(std::mem::take(&mut self.message)) {
            Some(message) => self.message = message,
            None => {
                self.hang_up();
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether all that is there was played. With its last group new instruments are there.
    fn is_used_up(&mut self) -> bool {
        let over = self.played == self.message.batch.len();
        if over {
            self.instruments.append(&mut self.message.new);
        }
        over
    }

    /// Ends the thread. What made it panic goes on here.
    fn hang_up(&mut self) {
        let Some(Worker { full, empty, thread, .. }) = self.worker.take() else { return };
        drop((full, empty));
        if let Err(panic) = thread.join()
            && !std::thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.hang_up();
    }
}

impl Source for Ahead {
    fn instruments(&self) -> &[Instrument] {
        &self.instruments
    }

    fn depth(&self, instrument: InstrumentId) -> FeedDepth {
        self.message.depths.get(instrument.index()).copied().unwrap_or_default()
    }

    #[inline]
    fn advance(&mut self) -> Result<Option<Timestamp>, SourceError> {
        loop {
            if let Some(time) = self.message.batch.time(self.played) {
                self.played += 1;
                self.is_used_up();
                return Ok(Some(time));
            }
            if self.ended {
                return Ok(None);
            }
            let next = self.next_message();
            self.ended = !matches!(next, Ok(true));
            next?;
        }
    }

    #[inline]
    fn group(&self) -> Group<'_> {
        let at = if self.ended { None } else { self.played.checked_sub(1) };
        at.and_then(|at| self.message.batch.get(at)).unwrap_or(EMPTY)
    }

    fn read(&mut self, batch: &mut Batch, reach: &Reach) {
        batch.clear();
        if self.is_used_up() {
            let next = if self.ended { Ok(false) } else { self.next_message() };
            self.ended = !matches!(next, Ok(true));
            match next {
                Ok(true) => {}
                Ok(false) => return batch.then = Then::End,
                Err(error) => return batch.then = Then::Failure(error),
            }
        }
        // A whole message changes hands.
        let message = &mut self.message;
        let alike = Reach { events: reach.events, ..Reach::until(self.until) } == *reach;
        if self.played == 0 && alike && message.batch.fits(reach) {
            std::mem::swap(batch, &mut message.batch);
        } else {
            self.played += batch.push_run(&message.batch, self.played, Timestamp::MAX, reach, Some);
            if self.played == message.batch.len() {
                batch.then = std::mem::take(&mut message.batch.then);
            }
        }
        self.is_used_up();
    }

    fn stats(&self) -> FeedStats {
        self.message.stats
    }
}

/// The other thread.
struct Reader {
    source: AnySource,
    until: Timestamp,
    /// Whether the last group read is later than that.
    behind: bool,
}

impl Reader {
    fn run(mut self, empty: &Receiver<Message>, full: &SyncSender<Message>) {
        let mut pool = Vec::with_capacity(MESSAGES);
        loop {
            // Behind `until` only what is asked for is read: then all messages are back.
            let wanted = if self.behind { MESSAGES } else { 1 };
            while pool.len() < wanted {
                let Ok(message) = empty.recv() else { return };
                pool.push(message);
            }
            let Some(mut message) = pool.pop() else { return };
            self.fill(&mut message);
            let last = !matches!(message.batch.then, Then::More);
            if full.send(message).is_err() || last {
                return;
            }
        }
    }

    fn fill(&mut self, message: &mut Message) {
        let known = self.source.instruments().len();
        let Message { batch, new, depths: of_all, stats } = message;
        self.source.read(batch, &Reach::until(self.until));
        self.behind = batch.len().checked_sub(1).and_then(|last| batch.time(last)) > Some(self.until);
        new.clear();
        new.extend_from_slice(self.source.instruments().get(known..).unwrap_or_default());
        of_all.clear();
        of_all.extend(depths(&*self.source));
        *stats = self.source.stats();
    }
}

fn depths(source: &dyn Source) -> Vec<FeedDepth> {
    (0_u32..).take(source.instruments().len()).map(|id| source.depth(InstrumentId(id))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{EventLog, GroupKind, MarketEvent, MemorySource};

    /// Fails at its `fails`th group, learns an instrument with each `learns`th one.
    struct Odd {
        inner: MemorySource,
        instruments: Vec<Instrument>,
        read: usize,
        fails: usize,
        learns: usize,
        _told: Told,
    }

    /// Says when it is dropped.
    #[derive(Default)]
    struct Told(Option<std::sync::mpsc::Sender<()>>);

    impl Drop for Told {
        fn drop(&mut self) {
            self.0.iter().for_each(|told| told.send(()).unwrap());
        }
    }

    fn odd(groups: i64) -> Odd {
        let mut log = EventLog::default();
        for at in 0..groups {
            (0..at % 4).for_each(|_| log.push(MarketEvent::Trading(at % 3 == 0)));
            if at % 7 == 0 {
                log.push_trade(None, Default::default(), Default::default(), at.to_string().as_bytes());
            }
            let time = Timestamp::from_nanos(at / 2);
            log.close(InstrumentId(0), GroupKind::Update, time, time);
        }
        let inner = MemorySource::new(Vec::new(), log);
        let (fails, learns, _told) = (usize::MAX, usize::MAX, Told::default());
        Odd { inner, instruments: Vec::new(), read: 0, fails, learns, _told }
    }

    impl Source for Odd {
        fn instruments(&self) -> &[Instrument] {
            &self.instruments
        }
        fn depth(&self, instrument: InstrumentId) -> FeedDepth {
            FeedDepth::Levels(instrument.0)
        }
        fn advance(&mut self) -> Result<Option<Timestamp>, SourceError> {
            self.read += 1;
            if self.read > self.fails {
                return Ok(None);
            }
            if self.read == self.fails {
                return Err(SourceError::File { file: "odd".into(), fault: "fails".to_owned() });
            }
            if self.read.is_multiple_of(self.learns) {
                let name = format!("C{}", self.instruments.len());
                let pair = format!("{name}-USDT").parse().unwrap();
                self.instruments.push(Instrument::spot(&name, pair, 0, 0).unwrap());
            }
            self.inner.advance()
        }
        fn group(&self) -> Group<'_> {
            self.inner.group()
        }
        fn stats(&self) -> FeedStats {
            self.inner.stats()
        }
    }

    /// All that a source says: time, instruments known by then and a copy of each group, and how it ends.
    fn all(source: &mut dyn Source) -> (EventLog, Vec<(i64, usize)>, String, FeedStats) {
        let (mut log, mut seen) = (EventLog::default(), Vec::new());
        let end = loop {
            match source.advance() {
                Ok(Some(time)) => {
                    log.push_group(&source.group());
                    seen.push((time.nanos(), source.instruments().len()));
                    let last = InstrumentId(source.instruments().len().saturating_sub(1) as u32);
                    assert!(
                        source.instruments().is_empty() || source.depth(last) == FeedDepth::Levels(last.0)
                    );
                }
                Ok(None) => break String::new(),
                Err(error) => break error.to_string(),
            }
        };
        assert!(source.advance().unwrap().is_none());
        (log, seen, end, source.stats())
    }

    #[test]
    fn it_says_what_its_source_says() {
        for (groups, fails, learns) in
            [(0, usize::MAX, usize::MAX), (50_000, usize::MAX, 700), (50_000, 40_001, 1), (9, 1, 2)]
        {
            let plain = all(&mut Odd { fails, learns, ..odd(groups) });
            let mut ahead =
                Ahead::new(Box::new(Odd { fails, learns, ..odd(groups) }), Timestamp::MAX).unwrap();
            let (log, seen, end, stats) = all(&mut ahead);
            assert!(ahead.group().events.is_empty());
            assert!(log.iter().eq(plain.0.iter()) && seen == plain.1, "{groups} groups");
            assert_eq!((end, stats.messages), (plain.2, plain.3.messages));
        }
    }

    #[test]
    fn nothing_behind_the_end_is_read_and_dropping_it_ends_the_thread() {
        for (until, read) in [(Timestamp::from_nanos(7_000), 14_003), (Timestamp::from_nanos(0), 3)] {
            let (tell, told) = std::sync::mpsc::channel();
            let source = Odd { _told: Told(Some(tell)), ..odd(100_000) };
            let mut ahead = Ahead::new(Box::new(source), until).unwrap();
            while ahead.advance().unwrap().unwrap() <= until {}
            assert_eq!(ahead.stats().messages, read);
            drop(ahead);
            assert!(told.try_recv().is_ok());
        }
    }
}
