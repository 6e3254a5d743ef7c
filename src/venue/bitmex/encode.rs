//! From groups to BitMEX's public frames.

use std::collections::BTreeMap;

use rustc_hash::{FxHashMap, FxHashSet};
use smol_str::SmolStr;

use super::wire::{self, Action, Level};
use crate::market::{Group, GroupKind, Instrument, MarketEvent, Price, Qty, Side};
use crate::venue::Encoder;
use crate::venue::news::Told;

/// Encodes groups as `orderBookL2`, `trade`, `instrument`, `funding` (one whose time is that of its message) and
/// `liquidation`.
///
/// A message of the exchange has one action, so a group becomes up to three: what goes, what changes, what is new; in
/// this order the book is never crossed between them. Ids are numbers that mean nothing, as the exchange's are. What
/// the wire has no place for is lost: parts of a millisecond of the exchange time, times of liquidations. A group that distrusts the
/// book becomes a change of an id that nobody inserted, which is how a client of the real exchange would learn it.
#[derive(Debug, Default)]
pub struct BitmexEncoder {
    books: FxHashMap<SmolStr, BTreeMap<(Side, Price), u64>>,
    last_id: u64,
    /// The last id of a trade that was made here.
    last_trade: u64,
    last_liquidation: u64,
    /// Symbols whose `instrument` rows have begun.
    told: FxHashSet<SmolStr>,
}

/// An id that is never given to a level.
const NOBODYS: u64 = 0;

impl Encoder for BitmexEncoder {
    fn encode(&mut self, instrument: &Instrument, group: &Group<'_>, out: &mut Vec<String>) {
        self.encode_news(instrument, group, out);
        let has = |wanted: fn(&MarketEvent) -> bool| group.events.iter().any(wanted);
        // The exchange sends the print before the change of the book that it made.
        if has(|event| matches!(event, MarketEvent::Trade(_))) {
            let mut frame = String::with_capacity(256);
            wire::write_trades(&mut frame, instrument, group, &mut self.last_trade);
            out.push(frame);
        }
        let mut write = |action: Action, levels: &[Level]| {
            if !levels.is_empty() || action == Action::Partial {
                let mut frame = String::with_capacity(512);
                wire::write_l2(&mut frame, instrument, action, levels, group.exchange_time);
                out.push(frame);
            }
        };
        let book = self.books.entry(instrument.symbol.clone()).or_default();
        if group.kind == GroupKind::Snapshot {
            book.clear();
        }
        let [gone, changed, new] = sort_levels(book, &mut self.last_id, group);
        if group.kind == GroupKind::Snapshot {
            return write(Action::Partial, &new);
        }
        write(Action::Delete, &gone);
        write(Action::Update, &changed);
        write(Action::Insert, &new);
        if has(|event| matches!(event, MarketEvent::Distrust)) {
            let (price, qty) = (instrument.rule.tick, instrument.rule.lot);
            write(Action::Update, &[Level { id: NOBODYS, side: Side::Buy, price, qty }]);
        }
    }
}

impl BitmexEncoder {
    fn encode_news(&mut self, instrument: &Instrument, group: &Group<'_>, out: &mut Vec<String>) {
        let Some(mut told) = Told::of(group) else { return };
        let mut push = |write: &mut dyn FnMut(&mut String)| {
            let mut frame = String::with_capacity(256);
            write(&mut frame);
            out.push(frame);
        };
        let time = group.exchange_time;
        if let Some((rate, _)) = told.funding.take_if(|(_, due)| *due == Some(time)) {
            push(&mut |frame| wire::write_funding(frame, instrument, rate, time));
        }
        if told.has_numbers() || told.trading.is_some() {
            let first = self.told.insert(instrument.symbol.clone());
            push(&mut |frame| wire::write_status(frame, instrument, &told, (first, time)));
        }
        if !told.liquidations.is_empty() {
            let last = &mut self.last_liquidation;
            push(&mut |frame| wire::write_liquidations(frame, instrument, &told.liquidations, last));
        }
    }
}

/// The levels of a group that go, that change and that are new; the book follows.
fn sort_levels(
    book: &mut BTreeMap<(Side, Price), u64>,
    last_id: &mut u64,
    group: &Group<'_>,
) -> [Vec<Level>; 3] {
    let mut last: Vec<(Side, Price, Qty)> = Vec::with_capacity(group.events.len());
    for event in group.events {
        let MarketEvent::Level { side, price, qty } = *event else { continue };
        last.push((side, price, qty));
    }
    // Of a level that a group names twice the last word counts.
    let mut words: FxHashMap<_, _> =
        last.iter().map(|(side, price, qty)| ((*side as u8, *price), *qty)).collect();
    let [mut gone, mut changed, mut new] = [const { Vec::new() }; 3];
    for (side, price, _) in last {
        let Some(qty) = words.remove(&(side as u8, price)) else { continue };
        match (book.get(&(side, price)).copied(), qty.is_zero()) {
            (None, true) => {}
            (Some(id), true) => {
                book.remove(&(side, price));
                gone.push(Level { id, side, price, qty });
            }
            (Some(id), false) => changed.push(Level { id, side, price, qty }),
            (None, false) => {
                *last_id += 1;
                book.insert((side, price), *last_id);
                new.push(Level { id: *last_id, side, price, qty });
            }
        }
    }
    [gone, changed, new]
}
