//! A source that is read a batch at a time and looked at group by group: for whoever asks for the next group's time
//! more often than once.

use super::merge::AnySource;
use crate::market::{Batch, EMPTY, Group, InstrumentId, Reach, Source, SourceError, Then, Timestamp};

/// A source, a batch of its groups, and where in it we stand.
pub struct Batched {
    source: AnySource,
    batch: Batch,
    /// How many groups of the batch were stepped on.
    at: usize,
}

impl Batched {
    /// Before the first group.
    pub fn new(source: AnySource) -> Self {
        Self { source, batch: Batch::default(), at: 0 }
    }

    /// Moves to the next group and returns its play time; `None` at the end. Where a batch is used up, the next one
    /// goes as far as `reach`.
    #[inline]
    pub fn step(&mut self, reach: &Reach) -> Result<Option<Timestamp>, SourceError> {
        match self.batch.time(self.at) {
            Some(time) => {
                self.at += 1;
                Ok(Some(time))
            }
            None => self.next_batch(reach),
        }
    }

    #[cold]
    fn next_batch(&mut self, reach: &Reach) -> Result<Option<Timestamp>, SourceError> {
        let mut then = std::mem::take(&mut self.batch.then);
        self.batch.clear();
        if matches!(then, Then::More) {
            self.source.read(&mut self.batch, reach);
            if let Some(time) = self.batch.time(0) {
                self.at = 1;
                return Ok(Some(time));
            }
            then = std::mem::take(&mut self.batch.then);
        }
        self.at = 0;
        match then {
            Then::Failure(error) => Err(error),
            Then::More | Then::End => Ok(None),
        }
    }

    /// The group that was stepped on; empty before the first and after the last.
    #[inline]
    pub fn group(&self) -> Group<'_> {
        self.at.checked_sub(1).and_then(|at| self.batch.get(at)).unwrap_or(EMPTY)
    }

    /// Copies the group that was stepped on to the end of `batch`, and steps on those behind it and copies them as long
    /// as they are at hand, earlier than `before` and as [`Batch::push_run`] has it.
    #[inline]
    pub fn copy_run(
        &mut self,
        batch: &mut Batch,
        before: Timestamp,
        reach: &Reach,
        number: impl Fn(InstrumentId) -> Option<InstrumentId>,
    ) {
        let Some(from) = self.at.checked_sub(1) else { return };
        let copied = batch.push_run(&self.batch, from, before, reach, number);
        self.at += copied.saturating_sub(1);
    }

    /// The source, if every group that it has given was stepped on: so it can be asked itself from here on.
    pub fn bare(&mut self) -> Option<&mut AnySource> {
        let over = self.at == self.batch.len() && matches!(self.batch.then, Then::More);
        over.then_some(&mut self.source)
    }

    /// What is read.
    pub fn source(&self) -> &dyn Source {
        &*self.source
    }
}

#[cfg(test)]
pub(super) mod tests;
