//! Questions to a book's depth: average price, price for a volume, volume for a price.
//!
//! They take the levels of one side, best first, so that they serve the tape's book and the simulated public market
//! alike. Sums are exact; the average price is a quotient and rounds at 28 digits.

use rust_decimal::Decimal;

use super::{Instrument, Level, Price, Qty, Side};

/// An answer: how far into the book the question reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepthQuery {
    /// The worst price that was reached; `None` on an empty side.
    pub price: Option<Price>,
    /// The volume found, at most what was asked for.
    pub volume: Qty,
    /// What that volume costs, in quote.
    pub quote_volume: Decimal,
}

/// How deep a taker of `volume` reaches: the worst price it pays, what it gets, what it costs.
pub fn price_for_volume(
    instrument: &Instrument,
    levels: impl Iterator<Item = Level>,
    volume: Qty,
) -> DepthQuery {
    let mut answer = DepthQuery { price: None, volume: Qty::ZERO, quote_volume: Decimal::ZERO };
    for level in levels {
        if answer.volume >= volume {
            break;
        }
        answer.take(instrument, level.price, level.qty.min(volume - answer.volume));
    }
    answer
}

/// How deep a taker who spends `quote_volume` reaches; the last level is taken in part, down to the lot.
pub fn price_for_quote_volume(
    instrument: &Instrument,
    levels: impl Iterator<Item = Level>,
    quote_volume: Decimal,
) -> DepthQuery {
    let mut answer = DepthQuery { price: None, volume: Qty::ZERO, quote_volume: Decimal::ZERO };
    for level in levels {
        let left = quote_volume - answer.quote_volume;
        if left <= Decimal::ZERO {
            break;
        }
        let affordable = left / instrument.price_decimal(level.price);
        let units = super::decimal::units_of(
            affordable.trunc_with_scale(u32::from(instrument.qty_scale)),
            instrument.qty_scale,
        );
        let affordable = units.and_then(|units| i64::try_from(units).ok()).map_or(level.qty, Qty::from_units);
        let qty = level.qty.min(affordable.floor_to(instrument.rule.lot));
        if qty.is_zero() {
            answer.price = answer.price.or(Some(level.price));
            break;
        }
        answer.take(instrument, level.price, qty);
    }
    answer
}

/// What stands at `limit` or better on a side, and what it costs.
pub fn volume_for_price(
    instrument: &Instrument,
    side: Side,
    levels: impl Iterator<Item = Level>,
    limit: Price,
) -> DepthQuery {
    let mut answer = DepthQuery { price: None, volume: Qty::ZERO, quote_volume: Decimal::ZERO };
    for level in levels.take_while(|level| side.at_or_better(level.price, limit)) {
        answer.take(instrument, level.price, level.qty);
    }
    answer
}

/// The average price a taker of `volume` pays; `None` where the side is empty.
pub fn vwap_for_volume(
    instrument: &Instrument,
    levels: impl Iterator<Item = Level>,
    volume: Qty,
) -> Option<Decimal> {
    let answer = price_for_volume(instrument, levels, volume);
    answer.quote_volume.checked_div(instrument.qty_decimal(answer.volume)).map(|price| price.normalize())
}

impl DepthQuery {
    fn take(&mut self, instrument: &Instrument, price: Price, qty: Qty) {
        self.price = Some(price);
        self.volume += qty;
        // A sum past 96 bits stays at the largest that fits: no book of real sizes gets there.
        let cost = instrument.notional(price, qty).unwrap_or(Decimal::MAX);
        self.quote_volume = self.quote_volume.saturating_add(cost).normalize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book() -> (Instrument, Vec<Level>) {
        let eth = Instrument::spot("ETH_USDT", Pair::new("ETH", "USDT"), 1, 2).unwrap();
        let level =
            |price: &str, qty: &str| Level { price: eth.price(price).unwrap(), qty: eth.qty(qty).unwrap() };
        let levels = vec![level("100", "1"), level("101.5", "2"), level("103", "10")];
        (eth, levels)
    }

    use crate::market::Pair;

    #[test]
    fn depth_questions_walk_the_levels() {
        let (eth, levels) = book();
        let all = || levels.iter().copied();
        let asked = price_for_volume(&eth, all(), eth.qty("2.5").unwrap());
        assert_eq!(asked.price, Some(eth.price("101.5").unwrap()));
        assert_eq!(asked.quote_volume, "252.25".parse().unwrap());
        assert_eq!(vwap_for_volume(&eth, all(), eth.qty("2.5").unwrap()), Some("100.9".parse().unwrap()));
        let thin = price_for_volume(&eth, all(), eth.qty("20").unwrap());
        assert_eq!((thin.volume, thin.price), (eth.qty("13").unwrap(), Some(eth.price("103").unwrap())));
        let upto = volume_for_price(&eth, Side::Sell, all(), eth.price("102").unwrap());
        assert_eq!((upto.volume, upto.quote_volume), (eth.qty("3").unwrap(), "303".parse().unwrap()));
        let spent = price_for_quote_volume(&eth, all(), "150".parse().unwrap());
        assert_eq!(
            (spent.volume, spent.quote_volume),
            (eth.qty("1.49").unwrap(), "149.735".parse().unwrap())
        );
        assert_eq!(vwap_for_volume(&eth, std::iter::empty(), Qty::from_units(1)), None);
    }
}
