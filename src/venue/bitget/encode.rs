//! From groups to Bitget's public frames, numbered and summed as the exchange does.

use rustc_hash::FxHashMap;
use smol_str::SmolStr;

use super::sum::{Place, TextBook};
use super::wire::{self, Marks};
use crate::market::{Group, GroupKind, Instrument, MarketEvent};
use crate::venue::Encoder;
use crate::venue::news::Told;

/// Encodes groups as `books`, `trade` and `ticker` of v2 and `liquidation` of v3, where alone it is; symbols that are
/// marked as v1's (`mc:`, `sp:`) as of v1.
///
/// What the wire has no place for is lost: parts of a millisecond of the exchange time, halts, v1's trade ids and liquidations. A group
/// that distrusts the book becomes a message that does not follow the one before (v2) or has a wrong checksum (v1),
/// which is how a client of the real exchange would learn it.
#[derive(Debug, Default)]
pub struct BitgetEncoder {
    books: FxHashMap<SmolStr, Numbered>,
    /// The last id that was made here.
    last_id: i64,
}

#[derive(Debug)]
struct Numbered {
    seq: i64,
    texts: TextBook,
}

impl Encoder for BitgetEncoder {
    fn encode(&mut self, instrument: &Instrument, group: &Group<'_>, out: &mut Vec<String>) {
        encode_news(instrument, group, out);
        let has = |wanted: fn(&MarketEvent) -> bool| group.events.iter().any(wanted);
        if has(|event| matches!(event, MarketEvent::Trade(_))) {
            let mut frame = String::with_capacity(256);
            wire::write_trades(&mut frame, instrument, group, &mut self.last_id);
            out.push(frame);
        }
        let snapshot = group.kind == GroupKind::Snapshot;
        let distrust = has(|event| matches!(event, MarketEvent::Distrust));
        if !snapshot && !distrust && !has(|event| matches!(event, MarketEvent::Level { .. })) {
            return;
        }
        let fresh = || Numbered { seq: 0, texts: TextBook::new(instrument.rule.tick) };
        let book = self.books.entry(instrument.symbol.clone()).or_insert_with(fresh);
        if snapshot {
            book.texts.clear();
        }
        let (mut levels, mut text) = (Vec::with_capacity(group.events.len()), Vec::new());
        for event in group.events {
            let MarketEvent::Level { price, qty, .. } = *event else { continue };
            let Some((side, price_text, size)) = wire::level_texts(instrument, event) else { continue };
            if qty.is_zero() {
                book.texts.remove(side, price);
            } else {
                text.clear();
                let place = Place::write(&mut text, &price_text, &size);
                book.texts.set(side, price, &text, place);
            }
            levels.push((side, price_text, size));
        }
        let before = if snapshot { 0 } else { book.seq + i64::from(distrust) };
        book.seq += if distrust { 2 } else { 1 };
        // A sum of 0 stands for none.
        let sum = book.texts.checksum().wrapping_add(i32::from(distrust));
        let old = matches!(wire::address(&instrument.symbol).0, "sp" | "mc");
        let marks = Marks { checksum: sum, numbers: (!old).then_some((book.seq, before)) };
        let mut frame = String::with_capacity(256);
        let head = (snapshot, group.exchange_time.millis());
        wire::write_book(&mut frame, &instrument.symbol, head, &levels, marks);
        out.push(frame);
    }
}

fn encode_news(instrument: &Instrument, group: &Group<'_>, out: &mut Vec<String>) {
    let Some(told) = Told::of(group) else { return };
    let (market, millis) = (wire::address(&instrument.symbol).0, group.exchange_time.millis());
    if told.has_numbers() && market != "sp" {
        let mut frame = String::with_capacity(256);
        wire::write_ticker(&mut frame, &instrument.symbol, &told, millis);
        out.push(frame);
    }
    if !told.liquidations.is_empty() && !matches!(market, "sp" | "mc") {
        let mut frame = String::with_capacity(256);
        wire::write_liquidations(&mut frame, instrument, &told.liquidations, millis);
        out.push(frame);
    }
}
