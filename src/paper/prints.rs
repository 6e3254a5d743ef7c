//! The last public trades of each instrument.

use std::collections::VecDeque;

use crate::market::{Group, InstrumentId, MarketEvent, Price, Qty, Side, Timestamp};
use crate::sim::PublicTrade;

/// A public trade as the screen shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicPrint {
    /// When, by the tape's clock.
    pub at: Timestamp,
    /// The taker's side, where it is known.
    pub aggressor: Option<Side>,
    /// At what price.
    pub price: Price,
    /// How much.
    pub qty: Qty,
    /// Whether paper orders made it.
    pub paper: bool,
}

/// How many public trades are remembered for each instrument.
const REMEMBERED: usize = 100;

/// The last public trades of each instrument.
#[derive(Debug, Default)]
pub(super) struct Prints {
    by_instrument: Vec<VecDeque<PublicPrint>>,
}

impl Prints {
    fn push(&mut self, instrument: InstrumentId, print: PublicPrint) {
        let index = instrument.index();
        if self.by_instrument.len() <= index {
            self.by_instrument.resize_with(index + 1, VecDeque::new);
        }
        let last = &mut self.by_instrument[index];
        if last.len() == REMEMBERED {
            last.pop_front();
        }
        last.push_back(print);
    }

    /// Remembers the prints of a group.
    pub(super) fn see_group(&mut self, now: Timestamp, group: &Group<'_>) {
        for event in group.events {
            if let MarketEvent::Trade(print) = event
                && !print.qty.is_zero()
            {
                let (aggressor, price, qty) = (print.aggressor, print.price, print.qty);
                self.push(group.instrument, PublicPrint { at: now, aggressor, price, qty, paper: false });
            }
        }
    }

    /// Remembers a print that paper orders made.
    pub(super) fn see_paper(&mut self, at: Timestamp, trade: &PublicTrade) {
        let PublicTrade { instrument, aggressor, price, qty } = *trade;
        self.push(instrument, PublicPrint { at, aggressor: Some(aggressor), price, qty, paper: true });
    }

    /// The last trades of an instrument, newest first.
    pub(super) fn last(&self, instrument: InstrumentId) -> impl Iterator<Item = &PublicPrint> {
        self.by_instrument.get(instrument.index()).into_iter().flat_map(|prints| prints.iter().rev())
    }
}
