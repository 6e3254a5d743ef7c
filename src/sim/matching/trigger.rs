//! Which prints wake the orders that wait for one (rule 15).
//!
//! Never here: mark and index prices (`contract`), triggers that follow the market (`follow`), what an order does once it
//! is woken (`place`).

use super::floor::Floor;
use crate::market::{FinePrice, Price, Side};
use crate::order::{NewOrder, OrderId, RejectReason, TriggerBy};
use crate::sim::Rate;
use crate::sim::account::RATE_ONE;

/// The lowest and the highest print of a group.
type Span = Option<(Price, Price)>;

/// The prints of a group that may wake an order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Prints {
    all: Span,
    /// Those that are near the mark price.
    near: Span,
}

fn widen(span: &mut Span, price: Price) {
    let (low, high) = span.unwrap_or((price, price));
    *span = Some((low.min(price), high.max(price)));
}

/// Whether a price is no further than `share` of the mark price from it: 57,000 and 63,000 are 5 % from 60,000.
fn is_near(price: FinePrice, mark: FinePrice, share: Rate) -> bool {
    let (price, mark) = (i128::from(price.units()), i128::from(mark.units()));
    (price - mark).abs() * RATE_ONE <= mark.abs() * i128::from(share.0)
}

impl Floor<'_> {
    /// Counts one more print.
    pub(super) fn count(&self, prints: &mut Prints, price: Price) {
        widen(&mut prints.all, price);
        let near = self.config.venue.limits.near_mark.filter(|_| !self.market.waiting.is_empty());
        if let (Some(share), Some(mark), Some(fine)) =
            (near, self.reference(TriggerBy::Mark), self.fine(price))
            && is_near(fine, mark, share)
        {
            widen(&mut prints.near, price);
        }
    }

    /// Refuses an order that waits for a price that its venue does not know.
    pub(super) fn check_trigger(&self, order: &NewOrder) -> Result<(), RejectReason> {
        let near = order.trigger.is_some_and(|trigger| trigger.by == TriggerBy::LastNearMark);
        let has_it = self.config.venue.limits.near_mark.is_some() && self.is_contract();
        if near && !has_it { Err(RejectReason::Unsupported) } else { Ok(()) }
    }

    /// A group's prints wake waiting orders, oldest first.
    pub(super) fn trigger(&mut self, prints: Prints) {
        if prints.all.is_none() || self.market.waiting.is_empty() {
            return;
        }
        let ids: Vec<OrderId> = self.market.waiting.iter().copied().collect();
        for id in ids {
            let Some(slot) = self.orders.find(id) else { continue };
            let Some(trigger) = self.orders.details(slot).trigger() else { continue };
            // Prints move the last price; mark and index have their own rows.
            let span = match trigger.by {
                TriggerBy::Last => prints.all,
                TriggerBy::LastNearMark => prints.near,
                TriggerBy::Mark | TriggerBy::Index => None,
            };
            let Some((low, high)) = span else { continue };
            let side = self.orders.live(slot).side;
            let met = trigger.is_met(side, low) || trigger.is_met(side, high);
            let furthest = if side == Side::Sell { high } else { low };
            if met && !self.fine(furthest).is_some_and(|price| self.begin_calling(slot, price)) {
                self.wake(slot);
            }
        }
        if let Some((_, last)) = self.market.last_trade {
            self.follow_last(last.price);
        }
    }
}
