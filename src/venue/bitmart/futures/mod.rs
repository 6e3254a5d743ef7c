//! BitMart's futures: their frames both ways. Contracts count in contracts.
//!
//! Never here: spot. Start at [`FuturesProtocol`] and [`FuturesEncoder`].

mod decode;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use rustc_hash::FxHashMap;
use smol_str::SmolStr;

use super::super::infer::UNKNOWN_QUOTE;
use crate::market::{Group, GroupKind, Instrument, MarketEvent, Pair, Price, Product, Qty, Side};
use crate::venue::Encoder;
use crate::venue::catalogue::Entry;
use crate::venue::news::Told;

pub(super) use decode::FuturesProtocol;

/// What contracts are quoted in, longest first.
const QUOTES: [&str; 3] = ["USDT", "USDC", "USD"];

/// The pair of a contract's symbol: `BTCUSDT` is BTC-USDT.
pub(super) fn pair_of(symbol: &str) -> Option<Pair> {
    if !symbol.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()) {
        return None;
    }
    let (base, quote) = QUOTES.iter().find_map(|quote| Some((symbol.strip_suffix(quote)?, *quote)))?;
    (!base.is_empty()).then(|| Pair::new(base, quote))
}

/// The pair and product of a contract's symbol. What a contract is worth is in no symbol: the size here is one.
pub(super) fn rule(symbol: &str) -> Result<(Pair, Product), String> {
    if symbol.is_empty() || !symbol.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(format!("symbol {symbol:?} is not letters and digits"));
    }
    let pair = pair_of(symbol).unwrap_or_else(|| Pair::new(symbol, UNKNOWN_QUOTE));
    let multiplier = Decimal::ONE;
    let product = match pair.quote.as_str() {
        "USD" => Product::Inverse { multiplier },
        _ => Product::Linear { multiplier },
    };
    Ok((pair, product))
}

/// The contracts of a reply of the REST interface.
pub(super) fn details(body: &str) -> Vec<Entry> {
    wire::details(body)
}

/// Encodes groups as `depthIncrease50`, `trade` (a frame a print), `ticker` and `fundingRate`.
///
/// The channel shows the best fifty levels a side: what lies deeper is kept and sent when it comes up. A group that
/// distrusts the book becomes a number left out. What the wire has no place for is lost: halts, liquidations, the
/// exchange's time of mark and index.
#[derive(Debug, Default)]
pub(super) struct FuturesEncoder {
    books: FxHashMap<SmolStr, Windowed>,
    /// The last id of a trade that was made here.
    last_id: i64,
}

/// A whole book, what of it was shown, and the number of the last message.
#[derive(Debug, Default)]
struct Windowed {
    all: BTreeMap<(Side, Price), Qty>,
    shown: BTreeMap<(Side, Price), Qty>,
    version: i64,
}

impl Windowed {
    fn window(&self) -> BTreeMap<(Side, Price), Qty> {
        let of = |side: Side| self.all.iter().filter(move |((own, _), _)| *own == side);
        let most = wire::LEVELS as usize;
        of(Side::Buy)
            .rev()
            .take(most)
            .chain(of(Side::Sell).take(most))
            .map(|(key, qty)| (*key, *qty))
            .collect()
    }

    /// What differs between what was shown and the window now.
    fn changes(&mut self) -> Vec<(Side, Price, Qty)> {
        let now = self.window();
        let gone =
            self.shown.keys().filter(|key| !now.contains_key(key)).map(|key| (key.0, key.1, Qty::ZERO));
        let new = now.iter().filter(|(key, qty)| self.shown.get(key) != Some(qty));
        let changes = gone.chain(new.map(|((side, price), qty)| (*side, *price, *qty))).collect();
        self.shown = now;
        changes
    }
}

impl Encoder for FuturesEncoder {
    fn encode(&mut self, instrument: &Instrument, group: &Group<'_>, out: &mut Vec<String>) {
        if let Some(told) = Told::of(group) {
            if told.mark.is_some() || told.index.is_some() {
                let mut frame = String::with_capacity(256);
                wire::write_ticker(&mut frame, instrument, &told);
                out.push(frame);
            }
            if let Some(funding) = told.funding {
                let mut frame = String::with_capacity(256);
                wire::write_funding(&mut frame, instrument, funding, group.exchange_time);
                out.push(frame);
            }
        }
        // The exchange sends the print before the change of the book that it made.
        for print in group.events.iter().filter_map(wire::print_of) {
            self.last_id += 1;
            let mut frame = String::with_capacity(256);
            wire::write_trade(&mut frame, instrument, group, print, self.last_id);
            out.push(frame);
        }
        let snapshot = group.kind == GroupKind::Snapshot;
        let distrust = group.events.iter().any(|event| matches!(event, MarketEvent::Distrust));
        let levels = group.events.iter().any(|event| matches!(event, MarketEvent::Level { .. }));
        if !snapshot && !distrust && !levels {
            return;
        }
        let book = self.books.entry(instrument.symbol.clone()).or_default();
        if snapshot {
            book.all.clear();
            book.shown.clear();
        }
        for event in group.events {
            let MarketEvent::Level { side, price, qty } = *event else { continue };
            match qty.is_zero() {
                true => book.all.remove(&(side, price)),
                false => book.all.insert((side, price), qty),
            };
        }
        let changes = book.changes();
        book.version += if distrust { 2 } else { 1 };
        let mut frame = String::with_capacity(256);
        let head = (snapshot, book.version, group.exchange_time.millis());
        wire::write_book(&mut frame, instrument, &changes, head);
        out.push(frame);
    }
}
