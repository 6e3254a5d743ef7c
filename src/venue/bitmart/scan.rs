//! The two hot frames read in place, in the exchange's own spelling: incremental books and trades.
//!
//! Whatever does not fit to the last byte is left to the general reader in `decode`, which is also the only one that
//! words faults. So everything here answers `None` freely; events pushed before that are discarded by the caller.

use super::wire::{depth, trade};
use crate::market::{EventLog, Side};
use crate::venue::scan::{Behind, Cursor, Pair, push_print};

/// Decimals of an instrument's prices and quantities.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scales {
    pub(super) price: u8,
    pub(super) qty: u8,
}

/// An incremental frame, its end read: whose it is comes after the levels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Increase<'a> {
    pub(super) symbol: &'a str,
    pub(super) millis: i64,
    pub(super) snapshot: bool,
    pub(super) version: i64,
    /// The frame up to the bracket that ends the bids, with it.
    levels: &'a [u8],
}

/// Reads an incremental frame from behind, up to its levels.
pub(super) fn increase(frame: &[u8]) -> Option<Increase<'_>> {
    let mut behind = Behind(frame);
    behind.literal(depth::CLOSE)?;
    let version = behind.integer()?;
    let snapshot = behind.literal(depth::UPDATE).is_none();
    if snapshot {
        behind.literal(depth::SNAPSHOT)?;
    }
    let symbol = behind.text()?;
    // The quote before the symbol is passed.
    behind.literal(depth::SYMBOL.strip_suffix('"')?)?;
    let millis = behind.integer()?;
    // One byte of the piece stays: the bracket that ends the bids.
    behind.literal(&depth::TIME[1..])?;
    Some(Increase { symbol, millis, snapshot, version, levels: behind.0 })
}

impl Increase<'_> {
    /// Pushes the levels, asks first as they stand.
    pub(super) fn push_levels(&self, scales: Scales, out: &mut EventLog) -> Option<()> {
        let scales = (scales.price, scales.qty);
        let mut cursor = Cursor::new(self.levels);
        cursor.literal(depth::OPEN)?;
        cursor.levels::<Pair>((Side::Sell, self.snapshot), scales, out)?;
        // The bracket that ends the asks is passed; the piece begins with it.
        cursor.literal(&depth::BIDS[1..])?;
        cursor.levels::<Pair>((Side::Buy, self.snapshot), scales, out)?;
        cursor.at_end().then_some(())
    }
}

/// The symbol of a trade frame's first element.
pub(super) fn trade_symbol(frame: &[u8]) -> Option<&str> {
    let mut cursor = Cursor::new(frame);
    cursor.literal(trade::OPEN)?;
    cursor.literal(trade::SYMBOL)?;
    cursor.text()
}

/// Pushes the prints of a trade frame whose elements all have `symbol` and one time, which is returned.
pub(super) fn push_trades(frame: &[u8], symbol: &str, scales: Scales, out: &mut EventLog) -> Option<i64> {
    let mut cursor = Cursor::new(frame);
    cursor.literal(trade::OPEN)?;
    let mut time = None;
    loop {
        cursor.literal(trade::SYMBOL)?;
        cursor.literal(symbol)?;
        cursor.literal(trade::PRICE)?;
        let price = cursor.decimal(scales.price)?;
        let aggressor = if cursor.take(trade::BUY) {
            Side::Buy
        } else {
            cursor.literal(trade::SELL)?;
            Side::Sell
        };
        let qty = cursor.decimal(scales.qty)?;
        cursor.literal(trade::SECONDS)?;
        cursor.integer()?;
        cursor.literal(trade::TIME)?;
        let millis = cursor.integer()?;
        cursor.literal("}")?;
        if *time.get_or_insert(millis) != millis {
            return None;
        }
        push_print(Some(aggressor), price, qty, &[], out)?;
        if !cursor.take(",") {
            break;
        }
    }
    cursor.literal(trade::CLOSE)?;
    if cursor.at_end() { time } else { None }
}
