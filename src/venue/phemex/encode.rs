//! From groups to Phemex's public frames, numbered as the exchange numbers them.

use super::decode::DEPTH;
use super::wire;
use crate::market::{Group, GroupKind, Instrument, MarketEvent};
use crate::venue::Encoder;
use crate::venue::news::Told;

/// Encodes groups as `orderbook_p`, `trades_p` and `perp_market24h_pack_p`, those of scaled contracts and of spot as
/// `book`, `trades` and `market24h`.
///
/// What the wire has no place for is lost: trade ids, halts, when funding is due, liquidations, and that a book is not to be believed, for the exchange's
/// numbers show no gap. The book is told as one of full depth where it once had more than 30 levels a side.
#[derive(Debug, Default)]
pub struct PhemexEncoder {
    /// One counter for all symbols and streams.
    sequence: i64,
    /// Symbols whose snapshots had more levels than the usual channel shows.
    deep: Vec<smol_str::SmolStr>,
}

impl Encoder for PhemexEncoder {
    fn encode(&mut self, instrument: &Instrument, group: &Group<'_>, out: &mut Vec<String>) {
        if let Some(told) = Told::of(group).filter(Told::has_numbers) {
            let mut frame = String::with_capacity(256);
            wire::write_news(&mut frame, instrument, &told, group.exchange_time);
            out.push(frame);
        }
        let has = |wanted: fn(&MarketEvent) -> bool| group.events.iter().any(wanted);
        let snapshot = group.kind == GroupKind::Snapshot;
        // The book comes first, by some tenths of a millisecond.
        if snapshot || has(|event| matches!(event, MarketEvent::Level { .. })) {
            let most = 2 * DEPTH as usize;
            if snapshot && group.events.len() > most && !self.deep.contains(&instrument.symbol) {
                self.deep.push(instrument.symbol.clone());
            }
            let depth = if self.deep.contains(&instrument.symbol) { 0 } else { DEPTH };
            self.sequence += 1;
            let mut frame = String::with_capacity(256);
            wire::write_book(&mut frame, instrument, group, (depth, self.sequence));
            out.push(frame);
        }
        if has(|event| matches!(event, MarketEvent::Trade(_))) {
            self.sequence += 1;
            let mut frame = String::with_capacity(256);
            wire::write_trades(&mut frame, instrument, group, self.sequence);
            out.push(frame);
        }
    }
}
