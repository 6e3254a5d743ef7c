//! What a contract is worth: values, entry prices, margin rates, in the settlement currency.
//!
//! Values are integers of the ledger's unit, rounded to the settlement currency's smallest unit at the venue. Prices
//! come as [`FinePrice`]s (mark, index) or in the instrument's own scale (fills, limits).

use crate::market::decimal::units_of;
use crate::market::{FinePrice, FundingRate, Instrument, Price, Product, Qty, Side};
use crate::order::{Leverage, Money};
use crate::sim::{ConfigError, ContractTerms, OrderMargin, Rate, ValueRounding};

pub(crate) const RATE_ONE: i128 = 10_i128.pow(Rate::SCALE as u32);
const FUNDING_ONE: i128 = 10_i128.pow(FundingRate::SCALE as u32);
/// Parts of the smallest unit in which an inverse contract's unit value is rounded.
const HUNDREDTHS: i128 = 100;

/// A fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ratio {
    pub(crate) num: i128,
    pub(crate) den: i128,
}

impl Ratio {
    /// `amount` × the fraction, rounded up; `amount` is not negative.
    ///
    /// Both parts are below 10¹⁹ or so; taking the amount apart first keeps the product inside 128 bits. What fits 64 bits,
    /// as nearly all does, needs one division: those of 128 bits were most of what a margin cost.
    #[inline]
    pub(crate) fn of_up(self, amount: Money) -> Money {
        if let (Ok(amount), Ok(num)) = (i64::try_from(amount.0), i64::try_from(self.num)) {
            let product = i128::from(amount) * i128::from(num);
            let quotient = quotient(product, self.den);
            return Money(quotient + i128::from(quotient * self.den != product));
        }
        let (whole, rest) = (amount.0 / self.den, amount.0 % self.den);
        let product = rest * self.num;
        Money(whole.saturating_mul(self.num) + product / self.den + i128::from(product % self.den != 0))
    }
}

/// A price as units in so many decimals.
#[derive(Clone, Copy, Debug)]
struct Scaled {
    units: i64,
    scale: u32,
}

/// How values of a contract become money of its settlement currency: one for one, or through the price of the coin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settling {
    /// Units of the coin's price; `None`: one for one.
    coin: Option<i128>,
    quantum: i128,
}

impl Settling {
    const ONE: i128 = 10_i128.pow(FinePrice::SCALE as u32);
    /// What settles in what it is reckoned in.
    pub(crate) const PLAIN: Self = Self { coin: None, quantum: 1 };

    /// Through the price of a coin whose smallest unit is so many of the ledger's.
    pub(crate) fn through(coin: FinePrice, quantum: i128) -> Self {
        Self { coin: Some(i128::from(coin.units())).filter(|units| *units > 0), quantum }
    }

    /// A value, signed, as money of the settlement currency, to the nearest of its smallest unit.
    ///
    /// 0.01 BTC that gained 500 USD a coin, with the index at 40,000: 5 / 40,000 = 0.000125 BTC.
    #[inline]
    pub(crate) fn nearest(self, value: Money) -> Money {
        let Some(coin) = self.coin else { return value };
        let den = coin.saturating_mul(self.quantum);
        let (whole, rest) = (value.0.abs() / den, value.0.abs() % den);
        let units = whole.saturating_mul(Self::ONE) + round(rest.saturating_mul(Self::ONE), den, false);
        Money(units.saturating_mul(self.quantum) * value.0.signum())
    }

    /// A value that is not negative as money of the settlement currency, rounded up to the ledger's unit: what is needed.
    #[inline]
    pub(crate) fn up(self, value: Money) -> Money {
        let Some(coin) = self.coin else { return value };
        Ratio { num: Self::ONE, den: coin }.of_up(value)
    }

    /// What so much of the settlement currency is worth: the other way of [`nearest`](Self::nearest).
    #[inline]
    pub(crate) fn value(self, money: Money) -> Money {
        let Some(coin) = self.coin else { return money };
        let (whole, rest) = (money.0 / Self::ONE, money.0 % Self::ONE);
        Money(whole.saturating_mul(coin).saturating_add(rest.saturating_mul(coin) / Self::ONE))
    }
}

/// Margin rates from a value on, in the ledger's units.
#[derive(Clone, Copy, Debug)]
struct Tier {
    above: Money,
    initial: Rate,
    maintenance: Rate,
    /// What the lower tiers' smaller rates save.
    less: Money,
}

/// A contract in the ledger's units.
#[derive(Clone, Debug)]
pub(crate) struct Contract {
    pub(crate) settle: u16,
    inverse: bool,
    /// The multiplier as digits and decimals.
    multiplier: i128,
    multiplier_scale: u32,
    price_scale: u32,
    qty_scale: u32,
    decimals: u32,
    /// Ledger units in the settlement currency's smallest unit.
    pub(crate) quantum: i128,
    rounding: ValueRounding,
    /// How price × quantity of what is not inverse becomes the settlement currency's smallest unit.
    by_price: Ratio,
    by_fine: Ratio,
    /// Its values are in quote and are settled in a coin ([`Settling`]).
    pub(crate) through_index: bool,
    tiers: Vec<Tier>,
    pub(crate) leverage: Leverage,
}

impl Contract {
    /// `settle` is the settlement currency's number and decimals in the ledger.
    pub(crate) fn new(
        instrument: &Instrument,
        terms: &ContractTerms,
        settle: (u16, u8),
    ) -> Result<Self, ConfigError> {
        let odd = |what: &str| ConfigError::Other(format!("{}: {what}", instrument.symbol));
        let (inverse, multiplier) = match instrument.product {
            Product::Spot => return Err(odd("spot has no contract terms")),
            Product::Linear { multiplier } | Product::Quanto { multiplier } => {
                (false, multiplier.normalize())
            }
            Product::Inverse { multiplier } => (true, multiplier.normalize()),
        };
        let Some(finer) = settle.1.checked_sub(terms.settle_decimals) else {
            return Err(odd("the settlement currency is coarser in the ledger than at the venue"));
        };
        if multiplier.mantissa() <= 0 {
            return Err(odd("a multiplier must be more than zero"));
        }
        let mut tiers: Vec<Tier> = Vec::new();
        for tier in &terms.tiers {
            let above =
                units_of(tier.above, settle.1).ok_or_else(|| odd("a risk tier has too many decimals"))?;
            let (initial, maintenance) = (tier.initial, tier.maintenance);
            let rates = 0 < maintenance.0 && maintenance <= initial && i128::from(initial.0) <= RATE_ONE;
            if !rates {
                return Err(odd("a risk tier needs 0 < maintenance ≤ initial ≤ 1"));
            }
            let less = match tiers.last() {
                Some(last) if terms.cumulative => {
                    let step = i128::from(maintenance.0 - last.maintenance.0);
                    Money(last.less.0 + above.saturating_mul(step) / RATE_ONE)
                }
                _ => Money::ZERO,
            };
            tiers.push(Tier { above: Money(above), initial, maintenance, less });
        }
        let ascends = tiers.windows(2).all(|pair| pair[0].above < pair[1].above);
        if tiers.first().is_none_or(|first| !first.above.is_zero()) || !ascends {
            return Err(odd("risk tiers must ascend, the first from zero"));
        }
        let by = |price_scale: u8| {
            let scale = u32::from(price_scale) + u32::from(instrument.qty_scale) + multiplier.scale();
            let up = ten(u32::from(terms.settle_decimals).saturating_sub(scale));
            let den = ten(scale.saturating_sub(u32::from(terms.settle_decimals)));
            Ratio { num: multiplier.mantissa().saturating_mul(up), den }
        };
        Ok(Self {
            settle: settle.0,
            inverse,
            by_price: by(instrument.price_scale),
            by_fine: by(FinePrice::SCALE),
            multiplier: multiplier.mantissa(),
            multiplier_scale: multiplier.scale(),
            price_scale: u32::from(instrument.price_scale),
            qty_scale: u32::from(instrument.qty_scale),
            decimals: u32::from(terms.settle_decimals),
            quantum: 10_i128.pow(u32::from(finer)),
            rounding: terms.rounding,
            through_index: terms.through_index,
            tiers,
            leverage: terms.leverage,
        })
    }

    /// What so many contracts are worth at a price of the instrument; neither is negative.
    #[inline]
    pub(crate) fn value(&self, price: Price, qty: Qty) -> Money {
        if self.inverse {
            return self.inverse_worth(Scaled { units: price.units(), scale: self.price_scale }, qty.units());
        }
        self.linear_worth(price.units(), self.by_price, qty.units())
    }

    /// The same at a mark or index price.
    #[inline]
    pub(crate) fn value_at(&self, price: FinePrice, qty: Qty) -> Money {
        if self.inverse {
            let scale = u32::from(FinePrice::SCALE);
            return self.inverse_worth(Scaled { units: price.units(), scale }, qty.units());
        }
        self.linear_worth(price.units(), self.by_fine, qty.units())
    }

    fn linear_worth(&self, price: i64, by: Ratio, qty: i64) -> Money {
        if price <= 0 || qty == 0 {
            return Money::ZERO;
        }
        // Two numbers of 64 bits do not overflow.
        let units = times(i128::from(price) * i128::from(qty), by.num);
        Money(times(round(units, by.den, self.rounding == ValueRounding::Down), self.quantum))
    }

    fn inverse_worth(&self, price: Scaled, qty: i64) -> Money {
        let (qty, price_units) = (i128::from(qty), i128::from(price.units));
        if price.units <= 0 || qty == 0 {
            return Money::ZERO;
        }
        let up = self.decimals + price.scale;
        let smallest = match self.rounding {
            ValueRounding::UnitHundredths => {
                let up = scaled(self.multiplier.saturating_mul(HUNDREDTHS), up, self.multiplier_scale);
                let unit = round(up, price_units, false);
                round(qty.saturating_mul(unit), HUNDREDTHS * ten(self.qty_scale), false)
            }
            ValueRounding::Nearest | ValueRounding::Down => {
                let down = self.multiplier_scale + self.qty_scale;
                let up = scaled(self.multiplier.saturating_mul(qty), up, down);
                round(up, price_units, self.rounding == ValueRounding::Down)
            }
        };
        Money(times(smallest, self.quantum))
    }

    /// The sign of what `qty` contracts cost: an inverse contract is paid for in what it is worth less of.
    pub(super) fn sign(&self) -> i128 {
        if self.inverse { -1 } else { 1 }
    }

    /// What a signed quantity costs: positive for longs, negative for shorts; the other way round where the contract is
    /// inverse. Gains are what a position is worth less what it cost, in every kind of contract.
    pub(crate) fn cost(&self, price: Price, qty: Qty) -> Money {
        self.signed(self.value(price, Qty::from_units(qty.units().abs())), qty)
    }

    /// What a signed quantity is worth at a mark price.
    pub(crate) fn worth_at(&self, price: FinePrice, qty: Qty) -> Money {
        self.signed(self.value_at(price, Qty::from_units(qty.units().abs())), qty)
    }

    /// The value of a quantity with the sign that its kind of contract gives it.
    #[inline]
    pub(super) fn signed(&self, value: Money, qty: Qty) -> Money {
        if (qty.units() < 0) == self.inverse { value } else { -value }
    }

    /// The average entry price of so many contracts that cost `value`, as the venue shows it; neither is negative.
    ///
    /// Where unit values are rounded to hundredths, so is the average one, and the price to four decimals: BitMEX shows
    /// 73701.7438 for 1,438,000 XBTUSD that cost 1,951,105,699 satoshi.
    pub(crate) fn entry_price(&self, value: Money, qty: Qty) -> Option<FinePrice> {
        let by_unit = self.inverse && self.rounding == ValueRounding::UnitHundredths;
        if !by_unit || qty.units() <= 0 {
            return self.price_of(value, qty);
        }
        let smallest = value.0 / self.quantum;
        let unit =
            round(smallest.saturating_mul(HUNDREDTHS * ten(self.qty_scale)), i128::from(qty.units()), false);
        if unit <= 0 {
            return None;
        }
        let shown = round(
            scaled(self.multiplier.saturating_mul(HUNDREDTHS), self.decimals + 4, self.multiplier_scale),
            unit,
            false,
        );
        let units = shown.saturating_mul(ten(u32::from(FinePrice::SCALE) - 4));
        i64::try_from(units).ok().map(FinePrice::from_units)
    }

    /// The price at which so many contracts are worth `value`, to ten decimals; neither is negative.
    pub(crate) fn price_of(&self, value: Money, qty: Qty) -> Option<FinePrice> {
        let (qty, scale) = (i128::from(qty.units()), u32::from(FinePrice::SCALE));
        if qty <= 0 || value.0 <= 0 {
            return None;
        }
        let units = if self.inverse {
            let up = scaled(
                self.multiplier.saturating_mul(qty).saturating_mul(self.quantum),
                self.decimals + scale,
                self.multiplier_scale + self.qty_scale,
            );
            round(up, value.0, false)
        } else {
            let up = scaled(value.0, scale + self.qty_scale + self.multiplier_scale, 0);
            let each = qty.saturating_mul(self.multiplier).saturating_mul(self.quantum);
            round(up, each.saturating_mul(ten(self.decimals)), false)
        };
        i64::try_from(units).ok().map(FinePrice::from_units)
    }

    /// Whether a position gains where its value falls: shorts, and inverse longs.
    pub(crate) fn gains_falling(&self, qty: Qty) -> bool {
        (qty.units() < 0) != self.inverse
    }

    #[inline]
    fn tier(&self, value: Money) -> &Tier {
        // Nearly all are in the lowest one.
        if self.tiers.get(1).is_none_or(|second| value <= second.above) {
            return &self.tiers[0];
        }
        let at = self.tiers.partition_point(|tier| tier.above < value).max(1);
        &self.tiers[at - 1]
    }

    /// The value where the tier below that of `value` ends; `None` in the lowest one.
    pub(crate) fn tier_floor(&self, value: Money) -> Option<Money> {
        Some(self.tier(value).above).filter(|above| !above.is_zero())
    }

    /// The maintenance margin of a position worth so much.
    pub(crate) fn maintenance(&self, value: Money) -> Money {
        self.maintenance_in(value, value)
    }

    /// The same in the tier of another value: that of both positions of a contract.
    pub(crate) fn maintenance_in(&self, of_tier: Money, value: Money) -> Money {
        let tier = self.tier(of_tier);
        let of = Ratio { num: i128::from(tier.maintenance.0), den: RATE_ONE }.of_up(value);
        Money((of.0 - tier.less.0).max(0))
    }

    /// The maintenance rate of a position worth so much, and what the lower tiers take off.
    pub(crate) fn maintenance_rate(&self, value: Money) -> (Rate, Money) {
        let tier = self.tier(value);
        (tier.maintenance, tier.less)
    }

    /// One divided by the leverage, and no less than the tier of `value` asks.
    pub(crate) fn initial(&self, leverage: Leverage, value: Money) -> Ratio {
        let asked = Ratio { num: 100, den: i128::from(leverage.0.max(1)) };
        let least = Ratio { num: i128::from(self.tier(value).initial.0), den: RATE_ONE };
        if asked.num * least.den >= least.num * asked.den { asked } else { least }
    }

    /// The largest leverage of the lowest tier.
    pub(crate) fn max_leverage(&self) -> Leverage {
        let least = i128::from(self.tiers[0].initial.0);
        Leverage(u32::try_from(100 * RATE_ONE / least).unwrap_or(u32::MAX))
    }

    /// The largest value of a position at a leverage; `None`: no tier ends it.
    pub(crate) fn most_at(&self, leverage: Leverage) -> Option<Money> {
        let allows = |tier: &Tier| i128::from(tier.initial.0) * i128::from(leverage.0) <= 100 * RATE_ONE;
        self.tiers.iter().find(|tier| !allows(tier)).map(|tier| tier.above)
    }

    /// What an open order of this value needs.
    pub(crate) fn order_margin(
        &self,
        how: OrderMargin,
        side: Side,
        value: Money,
        initial: Ratio,
        taker: Rate,
    ) -> Money {
        let (t, one) = (i128::from(taker.0.max(0)), RATE_ONE);
        let Ratio { num, den } = initial;
        let ratio = match how {
            OrderMargin::InitialAndFee => Ratio { num: num * one + t * den, den: one * den },
            OrderMargin::InitialAndFeeTenthMore => {
                Ratio { num: (num * one + t * den) * 11, den: one * den * 10 }
            }
            OrderMargin::BothFeesBySide if side == Side::Buy => {
                Ratio { num: num * (one - t) + 2 * t * den, den: one * den }
            }
            OrderMargin::BothFees | OrderMargin::BothFeesBySide => {
                Ratio { num: num * (one + t) + 2 * t * den, den: one * den }
            }
        };
        ratio.of_up(value)
    }

    /// The fee of closing a position of this value and margin at its bankruptcy price, where it has lost the margin.
    ///
    /// Phemex: a long of 259.897 USDT at 5x (margin 51.9794) and 0.06 %: 0.12475056.
    pub(crate) fn closing_fee(&self, qty: Qty, value: Money, margin: Money, taker: Rate) -> Money {
        let worth = if self.gains_falling(qty) { value + margin } else { value - margin };
        Ratio { num: i128::from(taker.0.max(0)), den: RATE_ONE }.of_up(Money(worth.0.max(0)))
    }

    /// What the taker's fee on a value is, rounded up; nothing where takers are paid.
    pub(crate) fn taker_fee(&self, value: Money, taker: Rate) -> Money {
        Ratio { num: i128::from(taker.0.max(0)), den: RATE_ONE }.of_up(value)
    }

    /// A share of a value that funding moves: positive where longs pay. Rounded against who pays.
    pub(crate) fn funding(&self, value: Money, rate: FundingRate) -> Money {
        let exact = value.0.saturating_mul(i128::from(rate.units()));
        let size = round(exact.abs(), FUNDING_ONE * self.quantum, false) * self.quantum;
        Money(if exact < 0 { -size } else { size })
    }
}

/// Powers of ten, as many as fit.
const TENS: [i128; 39] = {
    let mut tens = [1_i128; 39];
    let mut at = 1;
    while at < tens.len() {
        tens[at] = tens[at - 1] * 10;
        at += 1;
    }
    tens
};

#[inline]
fn ten(power: u32) -> i128 {
    TENS.get(power as usize).copied().unwrap_or(i128::MAX)
}

/// `value` / `by`, towards zero: in 64 bits where both fit, for a division of 128 bits is many times as long.
#[inline]
fn quotient(value: i128, by: i128) -> i128 {
    match (u64::try_from(value), u64::try_from(by)) {
        (Ok(value), Ok(by)) => i128::from(value / by),
        _ => value / by,
    }
}

/// A product that does not overflow; nearly always times one, which costs nothing.
#[inline]
fn times(value: i128, by: i128) -> i128 {
    if by == 1 { value } else { value.saturating_mul(by) }
}

/// `value` × 10^`up` / 10^`down`, the larger power taken off before anything overflows; what is cut off is below the
/// rounding that follows.
fn scaled(value: i128, up: u32, down: u32) -> i128 {
    if up >= down { value.saturating_mul(ten(up - down)) } else { value / ten(down - up) }
}

/// `value` / `by`, to the nearest or down; neither is negative.
#[inline]
fn round(value: i128, by: i128, down: bool) -> i128 {
    if let (Ok(value), Ok(by)) = (u64::try_from(value), u64::try_from(by)) {
        let (quotient, rest) = (value / by, value % by);
        return i128::from(quotient + u64::from(!down && rest >= by - rest));
    }
    let quotient = value / by;
    let rest = value - quotient * by;
    quotient + i128::from(!down && rest >= by - rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Numbers of every length, for the quick ways end where 64 bits do.
    fn number() -> impl Strategy<Value = i128> {
        (0..120_u32, any::<u128>()).prop_map(|(bits, seed)| (seed >> (128 - bits.max(1))) as i128)
    }

    proptest! {
        #[test]
        fn the_quick_divisions_are_the_plain_ones(value in number(), by in number(), num in number()) {
            let by = by.max(1);
            prop_assert_eq!(quotient(value, by), value / by);
            let half_up = value / by + i128::from(value % by >= by - value % by);
            prop_assert_eq!((round(value, by, true), round(value, by, false)), (value / by, half_up));
            let (num, den) = (num & 0xffff_ffff, (by & 0xffff_ffff_ffff).max(1));
            let exact = (value & ((1 << 90) - 1)).checked_mul(num).map(|all| all / den + i128::from(all % den != 0));
            let found = Ratio { num, den }.of_up(Money(value & ((1 << 90) - 1)));
            prop_assert_eq!(Some(found), exact.map(Money));
        }
    }

    #[test]
    fn powers_of_ten_end_where_the_numbers_do() {
        assert_eq!((ten(0), ten(1), ten(38), ten(39)), (1, 10, 10_i128.pow(38), i128::MAX));
    }

    #[test]
    fn what_is_settled_through_an_index_comes_back() {
        let through = Settling::through(FinePrice::read("40000").unwrap(), 100);
        for (value, nearest, up) in [
            // 369.75 × 0.0006 / 40,000 = 0.00000554625, and half of a unit.
            (2_218_500_000, 55_500, 55_463),
            (-2_218_500_000, -55_500, 0),
            (2_000_000, 100, 50),
            (0, 0, 0),
        ] {
            assert_eq!(through.nearest(Money(value)), Money(nearest), "{value}");
            if value >= 0 {
                assert_eq!(through.up(Money(value)), Money(up), "{value}");
            }
        }
        assert_eq!(through.value(Money(55_463)), Money(2_218_520_000));
        assert_eq!(Settling::PLAIN.nearest(Money(-7)), Money(-7));
    }
}
