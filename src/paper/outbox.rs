//! Updates on their way back.

use std::collections::{BTreeMap, VecDeque};

use crate::market::Timestamp;
use crate::sim::Update;

/// When an update arrives, and which one it is of those that were sent.
type Place = (Timestamp, u64);

/// Updates that have happened at the exchange and are not yet known to their receivers, by the time they will be.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// Those that arrive in the order in which they were sent: nearly all of them.
    in_turn: VecDeque<(Place, Update)>,
    /// Those that overtake others.
    faster: BTreeMap<Place, Update>,
    sequence: u64,
}

impl Outbox {
    /// Sends an update on its way.
    pub(super) fn push(&mut self, update: Update) {
        self.sequence += 1;
        let place = (update.deliver_at, self.sequence);
        if self.in_turn.back().is_none_or(|(last, _)| *last < place) {
            self.in_turn.push_back((place, update));
        } else {
            self.faster.insert(place, update);
        }
    }

    fn first(&self) -> Option<Place> {
        let in_turn = self.in_turn.front().map(|(place, _)| *place);
        let faster = self.faster.first_key_value().map(|(place, _)| *place);
        in_turn.into_iter().chain(faster).min()
    }

    /// When the next one arrives.
    pub(super) fn next_at(&self) -> Option<Timestamp> {
        self.first().map(|(at, _)| at)
    }

    /// Takes the next one that has arrived by `now`.
    pub(super) fn pop(&mut self, now: Timestamp) -> Option<Update> {
        let first = self.first().filter(|(at, _)| *at <= now)?;
        match self.faster.remove(&first) {
            Some(update) => Some(update),
            None => self.in_turn.pop_front().map(|(_, update)| update),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{InstrumentId, Price, Qty, Side};
    use crate::sim::{PublicTrade, UpdateBody};
    use proptest::prelude::*;

    /// A print that is known by its price.
    fn update(price: i64, deliver_at: Timestamp) -> Update {
        let (price, qty) = (Price::from_units(price), Qty::from_units(1));
        let trade = PublicTrade { instrument: InstrumentId(0), aggressor: Side::Buy, price, qty };
        Update { at: Timestamp::default(), deliver_at, body: UpdateBody::PublicTrade(trade) }
    }

    proptest! {
        #[test]
        fn updates_come_by_time_and_at_one_time_in_turn(
            acts in prop::collection::vec(prop::option::of(0_i64..6), 1..60),
        ) {
            let (mut outbox, mut plain, mut sent, mut now) = (Outbox::default(), BTreeMap::new(), 0_i64, 0_i64);
            for act in acts {
                match act {
                    Some(by) => {
                        sent += 1;
                        let at = Timestamp::from_millis(now + by);
                        outbox.push(update(sent, at));
                        plain.insert((at, sent), update(sent, at));
                    }
                    None => {
                        now += 1;
                        let at = Timestamp::from_millis(now);
                        prop_assert_eq!(outbox.next_at(), plain.keys().next().map(|(at, _)| *at));
                        while let Some(first) = plain.keys().next().copied().filter(|(due, _)| *due <= at) {
                            prop_assert_eq!(outbox.pop(at), plain.remove(&first));
                        }
                        prop_assert_eq!(outbox.pop(at), None);
                    }
                }
            }
        }
    }
}
