//! What an exchange has said, on its way to the trader: it stays where the exchange wrote it until it is told.
//!
//! Never here: what the trader makes of it.

use super::hands::ACCOUNT;
use crate::market::Timestamp;
use crate::sim::{Owner, Update, UpdateBody};

/// Updates told before the room that they took is used again.
const KEPT: usize = 1_024;

/// Updates of one exchange, in its order: told, on their way, and new.
#[derive(Debug)]
pub(super) struct Outbox {
    updates: Vec<Update>,
    /// How many were told.
    told: usize,
    /// How many were sent on their way; the rest is new.
    sent: usize,
    /// When the last of those is told.
    last: Timestamp,
}

impl Outbox {
    pub(super) fn new() -> Self {
        Self { updates: Vec::new(), told: 0, sent: 0, last: Timestamp::MIN }
    }

    /// Where the exchange writes.
    pub(super) fn inbox(&mut self) -> &mut Vec<Update> {
        &mut self.updates
    }

    /// What was written since it was sent on last.
    pub(super) fn new_ones(&self) -> &[Update] {
        self.updates.get(self.sent..).unwrap_or_default()
    }

    /// Sends what is new on its way, in order. The owner learns of a ledger row with the fill or answer that it belongs
    /// to: the one after it, else the one before. Nobody is told what concerns others.
    pub(super) fn send_on(&mut self) {
        let (mut with, mut own) = (None, true);
        for update in self.updates.iter_mut().skip(self.sent).rev() {
            match &update.body {
                UpdateBody::Order(_) | UpdateBody::Fill(_) => with = Some(update.deliver_at),
                _ => {
                    update.deliver_at = update.deliver_at.max(with.unwrap_or(update.at));
                    own &= is_own(update);
                }
            }
        }
        if !own {
            let mut at = 0;
            self.updates.retain(|update| {
                at += 1;
                at <= self.sent || is_own(update)
            });
        }
        for update in self.updates.iter_mut().skip(self.sent) {
            self.last = self.last.max(update.deliver_at);
            update.deliver_at = self.last;
        }
        self.sent = self.updates.len();
    }

    /// When the next is told.
    #[inline]
    pub(super) fn next_at(&self) -> Option<Timestamp> {
        self.updates[..self.sent].get(self.told).map(|update| update.deliver_at)
    }

    /// Tells what is told by `now`. Whether there was anything.
    pub(super) fn tell(&mut self, now: Timestamp, mut told: impl FnMut(&UpdateBody)) -> bool {
        let from = self.told;
        while let Some(update) = self.updates[..self.sent].get(self.told).filter(|at| at.deliver_at <= now) {
            told(&update.body);
            self.told += 1;
        }
        let any = self.told > from;
        if self.told == self.updates.len() || self.told > KEPT {
            self.updates.drain(..self.told);
            self.sent -= self.told;
            self.told = 0;
        }
        any
    }
}

fn is_own(update: &Update) -> bool {
    match &update.body {
        UpdateBody::Ledger(entry) => entry.owner == Owner::Account(ACCOUNT),
        UpdateBody::PublicTrade(_) => false,
        _ => true,
    }
}
