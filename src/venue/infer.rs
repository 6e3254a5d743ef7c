//! Instruments that nobody described: tick and lot guessed from the first rows of the data.
//!
//! The tick and the lot are the smallest decimal steps that were seen. The scales leave room for up to four more
//! decimals, so a later, finer row still is exact.

use crate::market::decimal::{decimals_of, parse_units};
use crate::market::{Instrument, InstrumentError, Pair, Price, Qty, RuleOrigin};

/// The quote of an instrument whose pair no rule knows: a dated contract, say.
pub const UNKNOWN_QUOTE: &str = "UNKNOWN";

/// How many rows are looked at before an instrument is settled (`docs/fills.md`, "Rules and fees").
pub const ROWS: u32 = 1_000;

/// Decimals beyond those seen that a scale leaves room for.
const HEADROOM: u32 = 4;

/// How much larger than the largest value seen a later one may be.
const GROWTH: i128 = 1_000;

/// Values up to here are exact in every reader's numbers, floats included.
const EXACT: i128 = 1 << 53;

/// Gathers what the first rows show of one instrument.
///
/// ```
/// use papertape::venue::infer::Inference;
/// let mut seen = Inference::default();
/// seen.note(b"0.1250", b"300");
/// seen.note(b"0.13", b"20.5");
/// let guess = seen.finish("XYZ_USDT", "XYZ-USDT".parse().unwrap()).unwrap();
/// assert_eq!(guess.show_price(guess.rule.tick).to_string(), "0.001");
/// assert_eq!(guess.show_qty(guess.rule.lot).to_string(), "0.1");
/// assert!(guess.price("0.1234567").is_ok());
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Inference {
    price: Column,
    qty: Column,
    rows: u32,
}

impl Inference {
    /// Looks at one row. Texts that are no decimals count for nothing; whoever reads the row for good refuses them.
    pub fn note(&mut self, price: &[u8], qty: &[u8]) {
        self.rows = self.rows.saturating_add(1);
        self.price.note(price);
        self.qty.note(qty);
    }

    /// How many rows were looked at.
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// The instrument that the rows suggest: spot, minimum notional 0.
    pub fn finish(&self, symbol: &str, pair: Pair) -> Result<Instrument, InstrumentError> {
        let (mut price, mut qty) = (self.price.headroom(), self.qty.headroom());
        // Both columns give way by turns until the largest product to be expected fits 96 bits and 28 decimals.
        while !fits(self.price.reach(price), self.qty.reach(qty))
            || self.price.decimals + price + self.qty.decimals + qty > 28
        {
            match (price, qty) {
                (0, 0) => break,
                (p, q) if p >= q => price -= 1,
                _ => qty -= 1,
            }
        }
        let (price_scale, tick) = self.price.settle(price);
        let (qty_scale, lot) = self.qty.settle(qty);
        let mut instrument = Instrument::spot(symbol, pair, 0, 0)?;
        (instrument.price_scale, instrument.qty_scale) = (price_scale, qty_scale);
        (instrument.rule.tick, instrument.rule.lot) = (Price::from_units(tick), Qty::from_units(lot));
        instrument.rule.min_qty = instrument.rule.lot;
        let scale = price_scale + qty_scale;
        let Some((max_price, max_qty)) = bounds(self.price.reach(price), self.qty.reach(qty)) else {
            return Err(InstrumentError::TooLarge { symbol: symbol.into(), scale });
        };
        (instrument.rule.max_price, instrument.rule.max_qty) = (max_price, max_qty);
        instrument.origin = RuleOrigin::Inferred;
        instrument.check().map(|()| instrument)
    }
}

fn fits(price: i128, qty: i128) -> bool {
    price.checked_mul(qty).is_some_and(|product| product < 1 << 96)
}

/// The largest price and quantity to allow: what is to be expected, more where there is room, and where there is no
/// room for growth what was seen. `None` where even that is too much.
fn bounds(price: i128, qty: i128) -> Option<(Price, Qty)> {
    let (price, qty) = if fits(price, qty) { (price, qty) } else { (price / GROWTH, qty / GROWTH) };
    if !fits(price, qty) {
        return None;
    }
    let room = ((1_i128 << 96) - 1) / price;
    let max_qty = Qty::from_units(i64::try_from(qty.max(10_000_000_000_000).min(room)).ok()?);
    let max_price = Instrument::assumed_max_price(max_qty).max(Price::from_units(i64::try_from(price).ok()?));
    Some((max_price, max_qty))
}

/// What one column showed: the most decimals, and the largest value at that scale.
#[derive(Clone, Copy, Debug, Default)]
struct Column {
    decimals: u32,
    largest: i128,
}

impl Column {
    fn note(&mut self, text: &[u8]) {
        let Ok(own @ 0..=18) = decimals_of(text) else { return };
        let Ok(units) = parse_units(text, own as u8) else { return };
        let decimals = own.max(self.decimals);
        let rescale = |units: i128, from: u32| units.saturating_mul(10_i128.pow(decimals - from));
        self.largest = rescale(self.largest, self.decimals).max(rescale(i128::from(units), own));
        self.decimals = decimals;
    }

    /// The largest value to expect, in units, with so many more decimals.
    fn reach(self, more: u32) -> i128 {
        self.largest.max(1).saturating_mul(10_i128.pow(more) * GROWTH)
    }

    fn headroom(self) -> u32 {
        let fits = |more: &u32| self.decimals + more <= 18 && self.reach(*more) < EXACT;
        (0..=HEADROOM).rev().find(fits).unwrap_or(0)
    }

    /// The scale and the smallest step in its units.
    fn settle(self, more: u32) -> (u8, i64) {
        ((self.decimals + more) as u8, 10_i64.pow(more))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn infer(rows: &[(&str, &str)]) -> Result<Instrument, InstrumentError> {
        let mut seen = Inference::default();
        rows.iter().for_each(|(price, qty)| seen.note(price.as_bytes(), qty.as_bytes()));
        assert_eq!(seen.rows() as usize, rows.len());
        seen.finish("X_Y", Pair::new("X", "Y"))
    }

    #[test]
    fn steps_are_the_smallest_seen() {
        for (rows, tick, lot, scales) in [
            (&[("60000.01", "0.4"), ("60000.5", "0.00001")][..], "0.01", "0.00001", (6, 9)),
            (&[("100", "1"), ("200", "5")], "1", "1", (4, 4)),
            (&[("3.5e-7", "1000000")], "0.00000001", "1", (12, 4)),
            (&[("0.000012340000", "0")], "0.00000001", "1", (12, 4)),
            (&[], "1", "1", (4, 4)),
            (&[("abc", "-"), ("1.5", "2.25")], "0.1", "0.01", (5, 6)),
        ] {
            let got = infer(rows).unwrap();
            assert_eq!(got.show_price(got.rule.tick).to_string(), tick, "{rows:?}");
            assert_eq!((got.price_scale, got.qty_scale), scales, "{rows:?}");
            assert_eq!(got.show_qty(got.rule.lot).to_string(), lot, "{rows:?}");
        }
    }

    #[test]
    fn what_cannot_be_exact_is_refused() {
        assert!(infer(&[("900000000000000000", "900000000000000000")]).is_err());
    }

    proptest! {
        #[test]
        fn whatever_was_noted_is_exact(rows in prop::collection::vec((1_u64..1 << 40, 0_u32..9, 1_u64..1 << 40, 0_u32..9), 1..20)) {
            let texts: Vec<_> = rows.iter().map(|(p, pd, q, qd)| {
                (format!("{p}e-{pd}"), format!("{q}e-{qd}"))
            }).collect();
            let rows: Vec<_> = texts.iter().map(|(p, q)| (p.as_str(), q.as_str())).collect();
            if let Ok(instrument) = infer(&rows) {
                for (price, qty) in rows {
                    let (price, qty) = (instrument.price(price).unwrap(), instrument.qty(qty).unwrap());
                    prop_assert_eq!(price.units() % instrument.rule.tick.units(), 0);
                    prop_assert_eq!(qty.units() % instrument.rule.lot.units(), 0);
                    prop_assert!(price <= instrument.rule.max_price && qty <= instrument.rule.max_qty);
                }
            }
        }
    }
}
