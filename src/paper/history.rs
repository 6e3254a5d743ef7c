//! The fills and ledger rows of a session: all of them, or, of one that runs for days, as many as its clients ask for.
//!
//! Never here: what a client is told of them.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::FillRow;
use crate::market::{InstrumentId, Qty, Timestamp};
use crate::order::{Money, PositionSide};
use crate::sim::{Cause, LedgerEntry};

/// How much of its past a session remembers. Up to twice as many are there before the oldest are forgotten together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// The last so many orders; those that are open beside them.
    pub orders: usize,
    /// The last so many fills. Beside them those of orders that are remembered, and those of a position since it was
    /// opened: they tell since when it is there and what of it was closed.
    pub fills: usize,
    /// The last so many rows of the ledger. Deposits, withdrawals and liquidations are few, and stay.
    pub rows: usize,
}

impl Keep {
    /// Everything, but for orders: a shell writes all of it to files.
    pub const ALL: Self = Self { orders: 10_000, fills: usize::MAX, rows: usize::MAX };

    /// What is served over an exchange's own interface. No list there is longer at once than 10,000 rows (BitMEX' wallet
    /// history; 1,000 of its other tables and of BitMart's transactions, 200 of BitMart's trades); twice that many fills
    /// leave room to turn pages, and a fill has up to five rows in the ledger.
    pub const SERVED: Self = Self { orders: 10_000, fills: 20_000, rows: 100_000 };
}

/// What traded in an hour is remembered for so long: volumes are of 30 days.
const VOLUMES: Duration = Duration::from_secs(31 * 86_400);
const HOUR: i64 = 3_600_000_000_000;

/// What was forgotten of an hour: in which contract or pair, and how much, in quote.
pub(super) type Volume = (Timestamp, InstrumentId, Money);

/// What a session remembers of its fills and of its ledger.
#[derive(Debug)]
pub(super) struct History {
    pub(super) keep: Keep,
    pub(super) fills: Vec<FillRow>,
    pub(super) ledger: Vec<(Timestamp, LedgerEntry)>,
    /// What fills that were forgotten had traded, by hour, oldest first.
    pub(super) volumes: VecDeque<Volume>,
}

impl Default for History {
    fn default() -> Self {
        let (fills, ledger, volumes) = (Vec::new(), Vec::new(), VecDeque::new());
        Self { keep: Keep::ALL, fills, ledger, volumes }
    }
}

impl History {
    /// Whether there are so many fills that some should be forgotten.
    pub(super) fn has_many_fills(&self) -> bool {
        self.fills.len() >= self.keep.fills.max(1).saturating_mul(2)
    }

    /// Forgets the oldest fills: not those of orders that are `remembered`, and not those of positions that are `open`, with
    /// how much, since they were opened.
    pub(super) fn forget_fills(
        &mut self,
        remembered: impl Fn(u64) -> bool,
        open: impl Iterator<Item = ((InstrumentId, PositionSide), Qty)>,
    ) {
        let begins: BTreeMap<_, _> = open.map(|(key, qty)| (key, self.beginning(key, qty))).collect();
        let from = self.fills.len().saturating_sub(self.keep.fills);
        let mut at = 0;
        let volumes = &mut self.volumes;
        self.fills.retain(|row| {
            let begin =
                row.fill.position.as_deref().and_then(|did| begins.get(&(row.fill.instrument, did.side)));
            let stays = at >= from || begin.is_some_and(|begin| at >= *begin) || remembered(row.number);
            at += 1;
            if !stays {
                add(volumes, row);
            }
            stays
        });
        let newest = self.fills.last().map_or(Timestamp::MIN, |row| row.at);
        while self.volumes.front().is_some_and(|(hour, _, _)| hour.plus(VOLUMES) < newest) {
            self.volumes.pop_front();
        }
    }

    /// The fill that opened a position of so much, read backwards; after a liquidation an earlier one.
    fn beginning(&self, (instrument, side): (InstrumentId, PositionSide), qty: Qty) -> usize {
        let mut size = qty.units().abs();
        for (at, row) in
            self.fills.iter().enumerate().rev().filter(|(_, row)| row.fill.instrument == instrument)
        {
            let Some(did) = row.fill.position.as_deref().filter(|did| did.side == side) else { continue };
            let opened = (row.fill.qty - did.closed).units();
            size += did.closed.units() - opened;
            if size <= 0 || opened > 0 && !did.closed.is_zero() {
                return at;
            }
        }
        0
    }

    /// Adds a row of the ledger, and forgets the oldest ones where there are too many: transactions as a whole.
    pub(super) fn book(&mut self, at: Timestamp, entry: LedgerEntry) {
        self.ledger.push((at, entry));
        if self.ledger.len() < self.keep.rows.max(1).saturating_mul(2) {
            return;
        }
        let oldest = self
            .ledger
            .get(self.ledger.len() - self.keep.rows)
            .map_or(entry.transaction, |(_, row)| row.transaction);
        let stays = |row: &LedgerEntry| {
            row.transaction >= oldest || matches!(row.cause, Cause::Deposit | Cause::Liquidation)
        };
        self.ledger.retain(|(_, row)| stays(row));
    }
}

/// Adds what a fill traded to its hour.
fn add(volumes: &mut VecDeque<Volume>, row: &FillRow) {
    let hour = Timestamp::from_nanos(row.at.nanos().div_euclid(HOUR).saturating_mul(HOUR));
    let instrument = row.fill.instrument;
    let mut known = volumes.iter_mut().rev().take_while(|(at, _, _)| *at >= hour);
    match known.find(|(at, id, _)| (*at, *id) == (hour, instrument)) {
        Some((_, _, sum)) => *sum += row.fill.quote,
        None => volumes.push_back((hour, instrument, row.fill.quote)),
    }
}
