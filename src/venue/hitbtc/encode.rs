//! From groups to HitBTC's public frames (v3), numbered as the exchange numbers them.

use rustc_hash::FxHashMap;
use smol_str::SmolStr;

use super::wire;
use crate::market::{Group, GroupKind, Instrument, MarketEvent};
use crate::venue::Encoder;

/// Encodes groups as `orderbook/full` and `trades`.
///
/// What the wire has no place for is lost: parts of a millisecond of the exchange time, halts. Prints without an id get
/// one, as every trade of the exchange has. A group that distrusts the book becomes a number left out, which is how a
/// client of the real exchange would learn it.
#[derive(Debug, Default)]
pub struct HitbtcEncoder {
    /// The number of the last message of each book.
    sequences: FxHashMap<SmolStr, i64>,
    /// The last id that was made here.
    last_id: i64,
}

impl Encoder for HitbtcEncoder {
    fn encode(&mut self, instrument: &Instrument, group: &Group<'_>, out: &mut Vec<String>) {
        let has = |wanted: fn(&MarketEvent) -> bool| group.events.iter().any(wanted);
        // The exchange sends the print before the change of the book that it made.
        if has(|event| matches!(event, MarketEvent::Trade(_))) {
            let mut frame = String::with_capacity(256);
            wire::write_trades(&mut frame, instrument, group, &mut self.last_id);
            out.push(frame);
        }
        let snapshot = group.kind == GroupKind::Snapshot;
        let distrust = has(|event| matches!(event, MarketEvent::Distrust));
        if snapshot || distrust || has(|event| matches!(event, MarketEvent::Level { .. })) {
            let sequence = self.sequences.entry(instrument.symbol.clone()).or_insert(0);
            *sequence += if distrust { 2 } else { 1 };
            let mut frame = String::with_capacity(256);
            wire::write_book(&mut frame, instrument, group, *sequence);
            out.push(frame);
        }
    }
}
