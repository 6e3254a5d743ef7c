//! Where a paper exchange writes down what happened, before anybody is told.

use crate::sim::Update;

/// A journal that cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct JournalError(pub String);

/// Keeps what happened. An update is recorded when the exchange makes it and committed before its receiver is told,
/// so that what was acknowledged is durable.
pub trait Journal: Send {
    /// Takes note of updates, in the exchange's order.
    fn record(&mut self, updates: &[Update]);

    /// Makes durable all that was recorded.
    fn commit(&mut self) -> Result<(), JournalError>;
}

/// Several journals that are told the same: one an account.
#[derive(Default)]
pub struct Journals(pub Vec<Box<dyn Journal>>);

impl Journal for Journals {
    fn record(&mut self, updates: &[Update]) {
        self.0.iter_mut().for_each(|journal| journal.record(updates));
    }

    fn commit(&mut self) -> Result<(), JournalError> {
        self.0.iter_mut().try_for_each(|journal| journal.commit())
    }
}

/// Keeps nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoJournal;

impl Journal for NoJournal {
    fn record(&mut self, _: &[Update]) {}

    fn commit(&mut self) -> Result<(), JournalError> {
        Ok(())
    }
}
