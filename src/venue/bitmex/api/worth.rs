//! What contracts come to on the wire: values in the settlement currency's smallest unit, notionals, margin rates. For
//! show only: what is booked is the engine's.

use rust_decimal::{Decimal, RoundingStrategy};
use smol_str::SmolStr;

use super::rows::{currency, power};
use crate::market::decimal::decimal_of;
use crate::market::{Asset, FinePrice, FundingRate, Instrument, InstrumentId, Product};
use crate::paper::{Known, PaperExchange};
use crate::sim::{ContractTerms, Rate};

/// What a contract settles in, as the wire names it, with its decimals; `None` for spot.
pub(super) fn settle(one: &Instrument) -> Option<(SmolStr, u8)> {
    match one.product {
        Product::Spot => None,
        Product::Inverse { .. } | Product::Quanto { .. } => Some(currency(&Asset::new("XBT"))),
        Product::Linear { .. } => Some(currency(&one.pair.quote)),
    }
}

/// What a contract is settled in and asks of who holds it; `None` for spot.
pub(super) fn terms(paper: &PaperExchange, id: InstrumentId) -> Option<&ContractTerms> {
    paper.sim().market(id)?.contract.as_ref()
}

/// What so many are worth at a price, in the smallest unit of what they settle in (spot: of the quote).
///
/// ```text
/// inverse 100 @ 60000: 100 × 1666.67 = 166667      linear 1000 @ 60000, 0.000001: 60000000
/// ```
pub(super) fn value(one: &Instrument, qty: Decimal, price: Decimal) -> Option<Decimal> {
    let by = |multiplier: Decimal, scale: u8| {
        let each = price.checked_mul(multiplier)?.checked_mul(power(scale))?;
        Some(each.checked_mul(qty)?.round())
    };
    match one.product {
        Product::Spot => by(Decimal::ONE, currency(&one.pair.quote).1),
        Product::Linear { multiplier } => by(multiplier, currency(&one.pair.quote).1),
        Product::Quanto { multiplier } => by(multiplier, 8),
        Product::Inverse { multiplier } => {
            let unit = multiplier.checked_mul(power(8))?.checked_div(price)?;
            let unit = unit.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero);
            Some(unit.checked_mul(qty)?.round())
        }
    }
}

/// So many at a price in base and in quote; a quanto contract has neither.
pub(super) fn notionals(one: &Instrument, qty: Decimal, price: Decimal) -> Option<(Decimal, Decimal)> {
    match one.product {
        Product::Spot => Some((qty, qty.checked_mul(price)?)),
        Product::Linear { multiplier } => {
            let home = qty.checked_mul(multiplier)?;
            Some((home, home.checked_mul(price)?))
        }
        Product::Inverse { multiplier } => {
            let home = value(one, qty, price)?.checked_div(power(8))?;
            Some((home, qty.checked_mul(multiplier)?))
        }
        Product::Quanto { .. } => None,
    }
}

/// Whether costs are negative for who buys.
pub(super) fn is_inverse(one: &Instrument) -> bool {
    matches!(one.product, Product::Inverse { .. })
}

/// A mark, index or entry price.
pub(super) fn fine(price: FinePrice) -> Decimal {
    decimal_of(i128::from(price.units()), FinePrice::SCALE).unwrap_or_default()
}

pub(super) fn funding_rate(rate: FundingRate) -> Decimal {
    decimal_of(i128::from(rate.units()), FundingRate::SCALE).unwrap_or_default()
}

/// Initial and maintenance rates of a position worth so much (in whole settlement currency).
pub(super) fn rates(terms: &ContractTerms, worth: Decimal) -> (Decimal, Decimal) {
    let tier = terms.tiers.iter().rev().find(|tier| tier.above < worth).or(terms.tiers.first());
    let decimal = |rate: Rate| rate.to_decimal();
    tier.map_or((Decimal::ONE, Decimal::ONE), |tier| (decimal(tier.initial), decimal(tier.maintenance)))
}

/// The base of the risk limits and their step, in the settlement currency's smallest unit.
pub(super) fn risk_limit(terms: &ContractTerms) -> (Decimal, Decimal) {
    let scale = power(terms.settle_decimals);
    let at = |tier: usize| terms.tiers.get(tier).map_or(Decimal::ZERO, |tier| tier.above * scale);
    (at(1), at(2) - at(1))
}

/// The average price of an order's fills as far as it is told to have filled: of an inverse contract the one at which it
/// would have cost the same.
pub(super) fn average(one: &Instrument, known: &Known) -> Option<Decimal> {
    let filled = known.order.executed_amount_base;
    if filled.is_zero() {
        return None;
    }
    let plain = known.order.executed_amount_quote.checked_div(filled)?.round_dp(8);
    if !is_inverse(one) {
        return Some(plain);
    }
    let (mut left, mut base, mut prices) = (filled, Decimal::ZERO, Vec::new());
    for fill in known.order.order_fills.values() {
        let part = fill.fill_base_amount.min(left);
        if part.is_zero() {
            break;
        }
        left -= part;
        base = base.checked_add(part.checked_div(fill.fill_price)?)?;
        prices.push(fill.fill_price);
    }
    prices.dedup();
    match prices.as_slice() {
        [] => Some(plain),
        [one] => Some(*one),
        _ => Some(filled.checked_div(base)?.round_dp(4)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::Venue;
    use crate::venue::bitmex::Bitmex;

    /// Worked examples of BitMEX' contract specifications.
    #[test]
    fn contracts_are_worth_what_bitmex_says() {
        let listed = Bitmex.catalogue().unwrap();
        for (symbol, qty, price, want, home, foreign) in [
            ("XBTUSD", 100, "60000", "166667", "0.00166667", "100"),
            ("XBTUSD", 182_340_800, "78175.02", "233246704544", "2332.46704544", "182340800"),
            ("XBTUSDT", 1_000, "60000", "60000000", "0.001", "60"),
            ("ETHUSDT", 1_000, "2302.55", "23025500", "0.01", "23.0255"),
            ("ETHUSD", 10, "2302.23", "2302230", "", ""),
            ("XBT_USDT", 1, "60000", "60000000000", "1", "60000"),
        ] {
            let found = listed.entries.iter().find(|entry| entry.instrument.symbol == symbol);
            let (one, price) = (&found.unwrap().instrument, price.parse().unwrap());
            assert_eq!(value(one, qty.into(), price).unwrap().to_string(), want, "{symbol}");
            let both = notionals(one, qty.into(), price)
                .map(|(home, foreign)| (home.normalize().to_string(), foreign.normalize().to_string()));
            assert_eq!(both.unwrap_or_default(), (home.to_owned(), foreign.to_owned()), "{symbol}");
        }
    }
}
