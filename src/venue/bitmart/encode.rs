//! From groups to BitMart's public frames, numbered as the exchange numbers them.

use rustc_hash::FxHashMap;
use smol_str::SmolStr;

use super::futures::FuturesEncoder;
use super::wire;
use crate::market::{Group, GroupKind, Instrument, MarketEvent, Product};
use crate::venue::Encoder;

/// Encodes groups as `spot/depth/increase100` and `spot/trade`.
///
/// What the wire has no place for is lost: trade ids, parts of a millisecond of the exchange time, halts. A group
/// that distrusts the book becomes a number left out, which is how a client of the real exchange would learn it.
#[derive(Debug, Default)]
pub struct BitmartEncoder {
    /// The number of the last incremental message by symbol.
    versions: FxHashMap<SmolStr, i64>,
}

impl Encoder for BitmartEncoder {
    fn encode(&mut self, instrument: &Instrument, group: &Group<'_>, out: &mut Vec<String>) {
        let has = |wanted: fn(&MarketEvent) -> bool| group.events.iter().any(wanted);
        // The exchange sends the print before the change of the book that it made.
        if has(|event| matches!(event, MarketEvent::Trade(_))) {
            out.push(written(|frame| wire::write_trades(frame, instrument, group)));
        }
        let snapshot = group.kind == GroupKind::Snapshot;
        let distrust = has(|event| matches!(event, MarketEvent::Distrust));
        if snapshot || distrust || has(|event| matches!(event, MarketEvent::Level { .. })) {
            let version = self.versions.entry(instrument.symbol.clone()).or_insert(0);
            *version += if distrust { 2 } else { 1 };
            let version = *version;
            out.push(written(|frame| wire::write_depth(frame, instrument, group, version)));
        }
    }
}

/// Encodes each instrument as its market does.
#[derive(Debug, Default)]
pub(super) struct BothEncoder {
    spot: BitmartEncoder,
    futures: FuturesEncoder,
}

impl Encoder for BothEncoder {
    fn encode(&mut self, instrument: &Instrument, group: &Group<'_>, out: &mut Vec<String>) {
        match instrument.product {
            Product::Spot => self.spot.encode(instrument, group, out),
            _ => self.futures.encode(instrument, group, out),
        }
    }
}

fn written(write: impl FnOnce(&mut String)) -> String {
    let mut frame = String::with_capacity(256);
    write(&mut frame);
    frame
}
