//! [`Batch`]: groups that a source hands over many at a time, so that what is done around a source is done once a batch.
//!
//! Never here: what a group means.

use super::{EventLog, Group, GroupHead, InstrumentId, Source, SourceError, Timestamp};

/// Groups in the order of play, each with its play time, and what comes behind them.
#[derive(Debug, Default)]
pub struct Batch {
    log: EventLog,
    times: Vec<Timestamp>,
    /// What comes behind the last group.
    pub then: Then,
}

/// What comes behind a batch.
#[derive(Debug, Default)]
pub enum Then {
    /// More groups, for all that is known.
    #[default]
    More,
    /// Nothing (yet, where the source [may go on](Source::may_go_on)).
    End,
    /// The source cannot go on.
    Failure(SourceError),
}

/// How far a batch reaches at most: it ends behind the first group with which one of these is met, so that nothing is
/// read that nobody asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// So many events are in it, or so many groups; at least one.
    pub events: usize,
    /// A play time later than this.
    pub played: Timestamp,
    /// An exchange time later than this.
    pub happened: Timestamp,
}

impl Reach {
    /// One group.
    pub const ONE: Self = Self { events: 1, played: Timestamp::MAX, happened: Timestamp::MAX };

    /// As many events as stay in a processor's cache, up to the first group played later than `played`.
    pub const fn until(played: Timestamp) -> Self {
        Self { events: 1_024, played, happened: Timestamp::MAX }
    }
}

impl Batch {
    /// Forgets all groups and keeps the room they took.
    pub fn clear(&mut self) {
        self.log.clear();
        self.times.clear();
        self.then = Then::More;
    }

    /// How many groups.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether it holds no group.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// The play time of a group.
    #[inline]
    pub fn time(&self, index: usize) -> Option<Timestamp> {
        self.times.get(index).copied()
    }

    /// A group.
    #[inline]
    pub fn get(&self, index: usize) -> Option<Group<'_>> {
        self.log.get(index)
    }

    /// Copies a group to the end.
    #[inline]
    pub fn push(&mut self, time: Timestamp, group: &Group<'_>) {
        self.log.push_group(group);
        self.times.push(time);
    }

    /// Copies a group of another batch to the end, and those behind it that are played earlier than `before`, as far as
    /// it may [reach](Self::reaches) and `number` has one for their instrument. Returns how many.
    pub fn push_run(
        &mut self,
        other: &Self,
        from: usize,
        before: Timestamp,
        reach: &Reach,
        number: impl Fn(InstrumentId) -> Option<InstrumentId>,
    ) -> usize {
        let groups = reach.events.saturating_sub(self.len());
        let events = reach.events.saturating_sub(self.log.events_of(self.len())) + other.log.events_of(from);
        let mut to = from;
        let times = other.times.get(from..).unwrap_or_default();
        for ((head, events_end), time) in other.log.heads(from).zip(times) {
            if to > from && *time >= before || number(head.instrument).is_none() {
                break;
            }
            to += 1;
            let far = head.exchange_time > reach.happened || *time > reach.played;
            if far || to - from >= groups || events_end >= events {
                break;
            }
        }
        self.log.append(&other.log, from..to, |id| number(id).unwrap_or(id));
        self.times.extend_from_slice(&other.times[from..to]);
        to - from
    }

    /// Changes what is said of each group: it is given its head, how many events it has and its play time.
    #[inline]
    pub fn retell(&mut self, mut change: impl FnMut(&mut GroupHead, usize, &mut Timestamp)) {
        for ((head, events), time) in self.log.heads_mut().zip(&mut self.times) {
            change(head, events, time);
        }
    }

    /// Whether it reaches so far.
    #[inline]
    pub fn reaches(&self, reach: &Reach) -> bool {
        let Some(last) = self.len().checked_sub(1) else { return false };
        self.log.head(last).is_some_and(|head| head.exchange_time > reach.happened)
            || self.times[last] > reach.played
            || self.len() >= reach.events
            || self.log.events_of(self.len()) >= reach.events
    }

    /// Whether it is not more than so many events or groups at once; its last group may go beyond.
    pub fn fits(&self, reach: &Reach) -> bool {
        let before_last = self.len().saturating_sub(1);
        self.len() <= reach.events && self.log.events_of(before_last) < reach.events
    }

    /// Fills it group by group: [`Source::read`] of a source that has no better way.
    pub fn read_each<S: Source + ?Sized>(&mut self, source: &mut S, reach: &Reach) {
        self.write(source, reach, |source, log| {
            let next = source.advance()?;
            if next.is_some() {
                log.push_group(&source.group());
            }
            Ok(next)
        });
    }

    /// The same for a decoder that writes groups where they are wanted: `next` closes one in the log that it is given,
    /// and says when it is played.
    #[inline]
    pub fn write<S: Source + ?Sized>(
        &mut self,
        source: &mut S,
        reach: &Reach,
        mut next: impl FnMut(&mut S, &mut EventLog) -> Result<Option<Timestamp>, SourceError>,
    ) {
        self.fill(source, reach, |source, batch| {
            let next = next(source, &mut batch.log)?;
            batch.times.extend(next);
            Ok(next.is_some())
        });
    }

    /// Fills it anew: `more` puts groups in it, one or many, and is false at the end. A batch ends where the source
    /// learns of a new instrument, too, so that whoever reads it can look.
    #[inline]
    pub fn fill<S: Source + ?Sized>(
        &mut self,
        source: &mut S,
        reach: &Reach,
        mut more: impl FnMut(&mut S, &mut Self) -> Result<bool, SourceError>,
    ) {
        self.clear();
        let known = source.instruments().len();
        while !self.reaches(reach) && source.instruments().len() == known {
            match more(source, self) {
                Ok(true) => {}
                Ok(false) => {
                    self.then = Then::End;
                    return;
                }
                Err(error) => {
                    self.then = Then::Failure(error);
                    return;
                }
            }
        }
    }
}
