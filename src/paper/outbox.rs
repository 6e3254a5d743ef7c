//! Updates on their way back.

use std::collections::BTreeMap;

use crate::market::Timestamp;
use crate::sim::Update;

/// Updates that have happened at the exchange and are not yet known to their receivers, by the time they will be.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: BTreeMap<(Timestamp, u64), Update>,
    sequence: u64,
}

impl Outbox {
    /// Sends an update on its way.
    pub(super) fn push(&mut self, update: Update) {
        self.sequence += 1;
        self.waiting.insert((update.deliver_at, self.sequence), update);
    }

    /// When the next one arrives.
    pub(super) fn next_at(&self) -> Option<Timestamp> {
        self.waiting.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes the next one that has arrived by `now`.
    pub(super) fn pop(&mut self, now: Timestamp) -> Option<Update> {
        (self.next_at()? <= now).then(|| self.waiting.pop_first().map(|(_, update)| update))?
    }
}
