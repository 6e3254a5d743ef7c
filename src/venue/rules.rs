//! An instrument from the texts of an exchange's own list.
//!
//! Never here: how an exchange names its fields.

use rust_decimal::Decimal;

use crate::market::decimal::{decimals_of, parse_units};
use crate::market::{Instrument, Pair, Price, Product, Qty, RuleOrigin, TradingRule};

/// The largest quantity to assume where no list names one, in units of the last decimal.
const ASSUMED_MAX: i64 = 10_000_000_000_000;

/// Rules as decimals in text. An empty text: the list does not say.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rules<'a> {
    /// Needed.
    pub(crate) tick: &'a str,
    /// Needed.
    pub(crate) lot: &'a str,
    /// Else the lot.
    pub(crate) min_qty: &'a str,
    /// Else as large as can be exact.
    pub(crate) max_qty: &'a str,
    /// Else as large as can be exact.
    pub(crate) max_price: &'a str,
    /// Else nothing.
    pub(crate) min_notional: &'a str,
    /// The decimals of the exchange's scaled integers, where it sends such.
    pub(crate) scales: Option<(u8, u8)>,
}

impl Rules<'_> {
    /// The instrument; `None` where a text is no number or the whole cannot be exact.
    pub(crate) fn instrument(
        &self,
        symbol: &str,
        pair: &Pair,
        product: Product,
        origin: RuleOrigin,
    ) -> Option<Instrument> {
        let least = |text: &str| decimals_of(text.as_bytes()).ok();
        let (price, qty) = (least(self.tick)?, least(self.lot)?.max(least_or_none(self.min_qty)?));
        let fits = |decimals: u32| u8::try_from(decimals).ok().filter(|scale| *scale <= 18);
        self.scaled(symbol, pair, product, origin, self.scales.or(fits(price).zip(fits(qty)))?)
    }

    fn scaled(
        &self,
        symbol: &str,
        pair: &Pair,
        product: Product,
        origin: RuleOrigin,
        (price_scale, qty_scale): (u8, u8),
    ) -> Option<Instrument> {
        let units = |text: &str, scale: u8| parse_units(text.as_bytes(), scale).ok();
        let or = |text: &str, scale: u8, default: i64| match text {
            "" => Some(default),
            text => units(text, scale),
        };
        let lot = units(self.lot, qty_scale)?;
        // Zero stands for "no limit" in some lists.
        let max_qty =
            Qty::from_units(or(self.max_qty, qty_scale, 0).filter(|max| *max > 0).unwrap_or(ASSUMED_MAX));
        let exact = Instrument::assumed_max_price(max_qty);
        let max_price = or(self.max_price, price_scale, 0).filter(|max| *max > 0);
        let min_notional = match self.min_notional {
            "" => Decimal::ZERO,
            text => Decimal::new(units(text, 12)?, 12).normalize(),
        };
        let rule = TradingRule {
            tick: Price::from_units(units(self.tick, price_scale)?),
            lot: Qty::from_units(lot),
            min_qty: Qty::from_units(or(self.min_qty, qty_scale, lot)?),
            max_qty,
            max_price: max_price.map_or(exact, Price::from_units),
            min_notional,
        };
        let (symbol, pair) = (symbol.into(), pair.clone());
        let instrument = Instrument { symbol, pair, product, price_scale, qty_scale, rule, origin };
        instrument.check().is_ok().then_some(instrument)
    }
}

fn least_or_none(text: &str) -> Option<u32> {
    if text.is_empty() { Some(0) } else { decimals_of(text.as_bytes()).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(rules: &Rules<'_>) -> Option<Instrument> {
        rules.instrument("X", &Pair::new("X", "Y"), Product::Spot, RuleOrigin::Tape)
    }

    #[test]
    fn the_steps_give_the_scales() {
        let rules = Rules { tick: "0.01", lot: "0.0010", min_notional: "5", ..Rules::default() };
        let built = build(&rules).unwrap();
        assert_eq!((built.price_scale, built.qty_scale), (2, 3));
        assert_eq!(built.show_price(built.rule.tick).to_string(), "0.01");
        assert_eq!((built.rule.min_qty, built.rule.lot), (built.rule.lot, built.qty("0.001").unwrap()));
        assert_eq!(built.show_qty(built.rule.max_qty).to_string(), "10000000000");
        assert_eq!(built.rule.min_notional.to_string(), "5");
    }

    #[test]
    fn scaled_integers_keep_their_scale() {
        let rules =
            Rules { tick: "0.5", lot: "1", max_qty: "1000000", scales: Some((4, 0)), ..Rules::default() };
        let built = build(&rules).unwrap();
        assert_eq!((built.price_scale, built.qty_scale), (4, 0));
        assert_eq!(
            (built.rule.tick, built.rule.max_qty),
            (Price::from_units(5_000), Qty::from_units(1_000_000))
        );
    }

    #[test]
    fn what_cannot_be_exact_is_none() {
        let sound = Rules { tick: "0.1", lot: "1", ..Rules::default() };
        for bad in [
            Rules { tick: "", ..sound },
            Rules { lot: "x", ..sound },
            Rules { tick: "0", ..sound },
            Rules { min_qty: "-1", ..sound },
            Rules { max_qty: "9000000000000000", max_price: "90000000000000000", ..sound },
            Rules { scales: Some((0, 0)), ..sound },
        ] {
            assert_eq!(build(&bad), None, "{bad:?}");
        }
    }
}
