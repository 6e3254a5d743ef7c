//! What a fill costs: rates, tiers, rounding, the fee token.

use std::collections::VecDeque;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::market::Timestamp;
use crate::market::decimal::units_of;
use crate::order::{Liquidity, Money};
use crate::sim::{BuyFee, ConfigError, FeeRounding, FeeSchedule, Rate};

const RATE_ONE: i128 = 10_i128.pow(Rate::SCALE as u32);
const DAY: i64 = 86_400_000_000_000;
/// Days that a tier looks back.
const TIER_DAYS: i64 = 30;

/// A fee schedule in the ledger's units.
#[derive(Clone, Debug)]
pub(crate) struct FeeModel {
    /// Ascending by volume; the first from zero.
    tiers: Vec<(Money, Rate, Rate)>,
    /// The highest rate of all tiers.
    worst: Rate,
    pub(crate) buy_fee: BuyFee,
    rounding: FeeRounding,
    decimals: u8,
    pub(crate) token: Option<Token>,
    /// Asset, amount, for makers, for takers.
    pub(crate) flat: Vec<(u16, Money, bool, bool)>,
}

/// A fee token in the ledger's units.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    pub(crate) asset: u16,
    keep: i128,
    /// Units of quote for one unit of the token, as a fraction.
    quote_units: i128,
    token_units: i128,
}

impl FeeModel {
    /// `quote_scale` is the decimals of the instrument's quote; `asset` finds an asset's index and decimals.
    pub(crate) fn new(
        schedule: &FeeSchedule,
        quote_scale: u8,
        asset: impl Fn(&crate::market::Asset) -> Option<(u16, u8)>,
    ) -> Result<Self, ConfigError> {
        let odd = |what: &str| ConfigError::Other(format!("fees from {}: {what}", schedule.source));
        let mut tiers = vec![(Money::ZERO, schedule.maker, schedule.taker)];
        for tier in &schedule.tiers {
            let volume = units_of(tier.volume, quote_scale)
                .ok_or_else(|| odd("a tier's volume has too many decimals"))?;
            tiers.push((Money(volume), tier.maker, tier.taker));
        }
        if !tiers.is_sorted_by_key(|(volume, ..)| *volume) {
            return Err(odd("tiers must ascend by volume"));
        }
        if tiers.iter().any(|(_, maker, taker)| i128::from(maker.0.max(taker.0)) >= RATE_ONE) {
            return Err(odd("a rate must be less than 1"));
        }
        let token = schedule.token.as_ref().map(|token| {
            let (index, scale) = asset(&token.asset).ok_or_else(|| odd("unknown fee token"))?;
            let price = token.price.normalize();
            let keep = RATE_ONE - i128::from(token.discount.0);
            if price <= Decimal::ZERO || !(0..=RATE_ONE).contains(&keep) {
                return Err(odd("the fee token needs a price above zero and a discount from 0 to 1"));
            }
            let shift = 10_i128.pow(price.scale() + u32::from(scale));
            let quote_units = price.mantissa() * 10_i128.pow(u32::from(quote_scale));
            Ok(Token { asset: index, keep, quote_units, token_units: shift })
        });
        let mut flat = Vec::new();
        for fee in &schedule.flat {
            let (index, scale) = asset(&fee.asset).ok_or_else(|| odd("unknown asset of a flat fee"))?;
            let amount =
                units_of(fee.amount, scale).ok_or_else(|| odd("a flat fee has too many decimals"))?;
            flat.push((index, Money(amount), fee.maker, fee.taker));
        }
        let worst = tiers.iter().map(|(_, maker, taker)| *maker.max(taker)).max().unwrap_or_default();
        Ok(Self {
            tiers,
            worst,
            buy_fee: schedule.buy_fee,
            rounding: schedule.rounding,
            decimals: schedule.decimals,
            token: token.transpose()?,
            flat,
        })
    }

    /// Fees in units no finer than so many decimals: a contract's, in the smallest unit of what it is settled in.
    pub(crate) fn no_finer_than(self, decimals: u8) -> Self {
        Self { decimals: self.decimals.min(decimals), ..self }
    }

    /// Maker and taker rate of an account that traded so much in 30 days.
    pub(crate) fn rates(&self, volume: Money) -> (Rate, Rate) {
        let reached = self.tiers.partition_point(|(from, ..)| *from <= volume).max(1);
        let (_, maker, taker) = self.tiers[reached - 1];
        (maker, taker)
    }

    /// The highest rate, in the units of [`Rate`]; at least one.
    pub(crate) fn worst_units(&self) -> i128 {
        i128::from(self.worst.0.max(1))
    }

    /// Whether rates depend on the volume.
    pub(crate) fn has_tiers(&self) -> bool {
        self.tiers.len() > 1
    }

    /// The rate of a fill.
    pub(crate) fn rate(&self, volume: Money, liquidity: Liquidity) -> Rate {
        let (maker, taker) = self.rates(volume);
        match liquidity {
            Liquidity::Maker => maker,
            Liquidity::Taker => taker,
        }
    }

    /// The fee on `amount` (of an asset with `scale` decimals), rounded as the venue does; negative: a rebate.
    ///
    /// Worked example (BitMart's sample): 5.09358308 USDT at 0.001, eight decimals: 0.00509358.
    pub(crate) fn fee(&self, amount: Money, rate: Rate, scale: u8) -> Money {
        if rate.0 == 0 {
            return Money::ZERO;
        }
        self.rounded(amount.0 * i128::from(rate.0), scale, self.rounding)
    }

    /// The most a fill of `amount` can cost in fees, rounded up to the unit they are charged in: what a hold has to
    /// cover. The worst rate of all tiers, for a tier may be lost while an order rests.
    pub(crate) fn most(&self, amount: Money, scale: u8) -> Money {
        if self.worst.0 <= 0 {
            return Money::ZERO;
        }
        self.rounded(amount.0 * i128::from(self.worst.0), scale, FeeRounding::Up)
    }

    /// `exact`, in ledger units times [`RATE_ONE`], in the unit that fees are charged in.
    #[inline]
    fn rounded(&self, exact: i128, scale: u8, rounding: FeeRounding) -> Money {
        if scale <= self.decimals {
            return Money(round(exact, RATE_ONE, rounding));
        }
        let quantum = 10_i128.pow(u32::from(scale - self.decimals));
        Money(round(exact, RATE_ONE * quantum, rounding) * quantum)
    }

    /// A fee of `fee` quote paid in the fee token, discount taken off.
    pub(crate) fn in_token(token: Token, fee: Money) -> Money {
        Money(round(
            fee.0 * token.keep / RATE_ONE * token.token_units,
            token.quote_units,
            FeeRounding::HalfEven,
        ))
    }
}

/// `value` / 10⁹ and its rest, for values below 2⁹⁴: divisions of 64 bits by a constant, several times quicker than the
/// general one of 128 bits. 10⁹ is 2⁹ × 5⁹, so one is enough below 2⁷³; above, it is schoolbook division.
#[inline]
fn by_rate_one(value: u128) -> (i128, i128) {
    const ONE: u64 = RATE_ONE as u64;
    const FIVES: u64 = ONE >> 9;
    if let Ok(upper) = u64::try_from(value >> 9) {
        let rest = (upper % FIVES) << 9 | (value & 0x1ff) as u64;
        return (i128::from(upper / FIVES), i128::from(rest));
    }
    let high = (value >> 32) as u64;
    let low = ((high % ONE) << 32) | (value & 0xffff_ffff) as u64;
    (i128::from(high / ONE) << 32 | i128::from(low / ONE), i128::from(low % ONE))
}

/// `value` / `by` rounded to an integer; `by` is positive.
#[inline]
fn round(value: i128, by: i128, rounding: FeeRounding) -> i128 {
    let (quotient, rest) = if by == RATE_ONE && value.unsigned_abs() < 1 << 94 {
        by_rate_one(value.unsigned_abs())
    } else {
        (value.abs() / by, value.abs() % by)
    };
    let up = match rounding {
        FeeRounding::Down => false,
        FeeRounding::Up => rest > 0,
        FeeRounding::HalfEven => rest * 2 > by || (rest * 2 == by && quotient % 2 == 1),
    };
    let size = quotient + i128::from(up);
    if value < 0 { -size } else { size }
}

/// What an account traded in the last 30 days, by UTC day, in quote.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Volume {
    start: Money,
    days: VecDeque<(i64, Money)>,
    sum: Money,
}

impl Volume {
    pub(crate) fn add(&mut self, now: Timestamp, quote: Money) {
        let day = now.nanos().div_euclid(DAY);
        while let Some((old, volume)) = self.days.front().copied()
            && old <= day - TIER_DAYS
        {
            self.sum -= volume;
            self.days.pop_front();
        }
        match self.days.back_mut() {
            Some((last, volume)) if *last == day => *volume += quote,
            _ => self.days.push_back((day, quote)),
        }
        self.sum += quote;
    }

    pub(crate) fn at(&self, now: Timestamp) -> Money {
        let first = now.nanos().div_euclid(DAY) - TIER_DAYS;
        let gone: Money = self.days.iter().filter(|(day, _)| *day <= first).map(|(_, volume)| *volume).sum();
        self.start + self.sum - gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::FeeTier;

    fn rate(text: &str) -> Rate {
        Rate::from_decimal(text.parse().unwrap()).unwrap()
    }

    fn schedule(maker: &str, taker: &str) -> FeeSchedule {
        FeeSchedule::flat_rates(rate(maker), rate(taker), "test")
    }

    fn model(schedule: &FeeSchedule) -> FeeModel {
        FeeModel::new(schedule, 8, |asset| (asset.as_str() == "BMX").then_some((7, 8))).unwrap()
    }

    #[test]
    fn fees_round_as_the_venue_does() {
        for (amount, rate_text, decimals, rounding, want) in [
            // BitMart's samples: 5.09358308 × 0.001, 3999.9 × 0.0025.
            (509_358_308, "0.001", 8, FeeRounding::HalfEven, 509_358),
            (399_990_000_000, "0.0025", 8, FeeRounding::HalfEven, 999_975_000),
            (500, "0.001", 8, FeeRounding::HalfEven, 0),
            (1_500, "0.001", 8, FeeRounding::HalfEven, 2),
            (501, "0.001", 8, FeeRounding::HalfEven, 1),
            (1_999, "0.001", 8, FeeRounding::Down, 1),
            (1_001, "0.001", 8, FeeRounding::Up, 2),
            (1_500, "-0.001", 8, FeeRounding::HalfEven, -2),
            (1_234_567, "0.001", 6, FeeRounding::HalfEven, 1_200),
            (1_234_567, "0", 8, FeeRounding::Up, 0),
        ] {
            let schedule = FeeSchedule { decimals, rounding, ..schedule("0", "0") };
            let fee = model(&schedule).fee(Money(amount), rate(rate_text), 8);
            assert_eq!(fee, Money(want), "{amount} × {rate_text}, {rounding:?}");
        }
    }

    #[test]
    fn the_quick_division_is_the_general_one() {
        let edges = [(1 << 73) - 1, 1 << 73, (1 << 73) + 1, (1 << 94) - 1, 123 << 80];
        let small = [0, 1, 511, 512, 999_999_999, 1_000_000_000, 1_000_000_511, u128::from(u64::MAX)];
        for value in small.into_iter().chain(edges) {
            let (quotient, rest) = by_rate_one(value);
            assert_eq!((quotient, rest), ((value / 1_000_000_000) as i128, (value % 1_000_000_000) as i128));
        }
        assert_eq!(round(1 << 100, RATE_ONE, FeeRounding::Down), (1 << 100) / RATE_ONE);
    }

    #[test]
    fn holds_cover_the_worst_rate() {
        let tier = FeeTier { volume: 1_000.into(), maker: rate("0.0005"), taker: rate("0.0008") };
        let tiered = FeeSchedule { tiers: vec![tier], ..schedule("0.001", "0.002") };
        let fees = model(&tiered);
        assert_eq!(fees.most(Money(1_001), 8), Money(3));
        assert_eq!(model(&tiered).no_finer_than(6).most(Money(100_001), 8), Money(300));
        assert_eq!(fees.rates(Money(99_999_999_999)), (rate("0.001"), rate("0.002")));
        assert_eq!(fees.rates(Money(100_000_000_000)), (rate("0.0005"), rate("0.0008")));
        assert_eq!(fees.rate(Money::ZERO, Liquidity::Maker), rate("0.001"));
        assert!(fees.has_tiers() && !model(&schedule("0", "0")).has_tiers());
        assert_eq!(model(&schedule("-0.001", "-0.0001")).most(Money(1_000_000), 8), Money::ZERO);
    }

    #[test]
    fn the_token_pays_the_discounted_fee_at_its_price() {
        let token = crate::sim::FeeToken {
            asset: crate::market::Asset::new("BMX"),
            discount: rate("0.25"),
            price: "0.3".parse().unwrap(),
        };
        let fees = model(&FeeSchedule { token: Some(token), ..schedule("0.001", "0.001") });
        // 0.6 USDT × 0.75 / 0.3 = 1.5 BMX.
        assert_eq!(FeeModel::in_token(fees.token.unwrap(), Money(60_000_000)), Money(150_000_000));
    }

    #[test]
    fn volume_looks_back_thirty_days() {
        let mut volume = Volume::default();
        let day = |n: i64| Timestamp::from_nanos(n * DAY + 5);
        volume.add(day(0), Money(5));
        volume.add(day(0), Money(1));
        volume.add(day(29), Money(10));
        assert_eq!((volume.at(day(29)), volume.at(day(30))), (Money(16), Money(10)));
        volume.add(day(31), Money(1));
        assert_eq!((volume.days.len(), volume.at(day(31))), (2, Money(11)));
    }

    #[test]
    fn odd_schedules_are_refused() {
        let tier = |volume: i64| FeeTier { volume: volume.into(), maker: Rate(0), taker: Rate(0) };
        let unsorted = FeeSchedule { tiers: vec![tier(5), tier(1)], ..schedule("0", "0") };
        let whole = schedule("0", "1");
        for bad in [unsorted, whole] {
            assert!(FeeModel::new(&bad, 8, |_| None).is_err());
        }
    }
}
