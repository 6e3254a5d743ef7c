//! What became of a position since it was opened, read from its fills.

use rust_decimal::Decimal;

use super::shape;
use crate::market::{Instrument, InstrumentId, Qty, Timestamp};
use crate::order::PositionSide;
use crate::paper::{FillRow, TraderView};
use crate::sim::{Cause, PositionFill};

/// Since when there is a position, and what of it was closed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Story {
    /// When the first of its contracts came.
    pub(super) opened: Option<Timestamp>,
    /// When it last changed by a fill.
    pub(super) updated: Option<Timestamp>,
    /// What was closed since then.
    pub(super) closed: Qty,
    /// The sum of price × contracts of that.
    worth: Decimal,
    /// What is left, without a sign.
    size: Qty,
}

impl Story {
    /// That of an account's position.
    pub(super) fn of(trader: &TraderView, id: InstrumentId, side: PositionSide) -> Self {
        let lost = |row: &&(Timestamp, crate::sim::LedgerEntry)| {
            row.1.cause == Cause::Liquidation && row.1.instrument == Some(id)
        };
        let lost: Vec<Timestamp> = trader.ledger().iter().filter(lost).map(|row| row.0).collect();
        let mut story = Self::default();
        for row in trader.fills().iter().filter(|row| row.fill.instrument == id) {
            let Some(did) = row.fill.position.as_deref().filter(|did| did.side == side) else { continue };
            let gone = |at: &Timestamp| story.updated.is_some_and(|updated| *at > updated) && *at <= row.at;
            if lost.iter().any(gone) {
                story = Self::default();
            }
            story.see(row, did);
        }
        story
    }

    fn see(&mut self, row: &FillRow, did: &PositionFill) {
        let opened = row.fill.qty - did.closed;
        if self.size.is_zero() {
            *self = Self { opened: Some(row.at), ..Self::default() };
        }
        // Price × contracts, both in units: only the quotient is shown.
        let more = Decimal::from(row.fill.price.units()).checked_mul(Decimal::from(did.closed.units()));
        self.worth = self.worth.saturating_add(more.unwrap_or_default());
        self.closed += did.closed;
        self.size = Qty::from_units((self.size - did.closed).units().max(0));
        if !did.closed.is_zero() && !opened.is_zero() {
            // It turned round: what is there now is another one.
            *self = Self { opened: Some(row.at), ..Self::default() };
        }
        self.size += opened;
        self.updated = Some(row.at);
    }

    /// The average price of what was closed.
    pub(super) fn average(&self, instrument: &Instrument) -> String {
        let units = self.worth.checked_div(Decimal::from(self.closed.units())).unwrap_or_default();
        let scale = Decimal::new(1, u32::from(instrument.price_scale));
        let decimals = instrument.price_decimal(instrument.rule.tick).scale() + 4;
        shape::plain(units.checked_mul(scale).unwrap_or_default().round_dp(decimals))
    }
}
