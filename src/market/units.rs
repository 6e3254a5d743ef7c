//! Prices, quantities and sides.

use serde::{Deserialize, Serialize};

use super::decimal::{DecimalFault, Plain, parse_units_cut};

/// A price in units of its instrument's price scale: 65000.5 at scale 1 is `Price::from_units(650_005)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Price(i64);

/// A quantity in units of its instrument's quantity scale: 0.25 at scale 4 is `Qty::from_units(2_500)`.
///
/// What one whole unit is (base currency, contracts) is the instrument's business.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Qty(i64);

impl Price {
    /// The price of so many units of the instrument's scale.
    pub const fn from_units(units: i64) -> Self {
        Self(units)
    }

    /// How many units of the instrument's scale it is.
    pub const fn units(self) -> i64 {
        self.0
    }
}

impl Qty {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The quantity of so many units of the instrument's scale.
    pub const fn from_units(units: i64) -> Self {
        Self(units)
    }

    /// How many units of the instrument's scale it is.
    pub const fn units(self) -> i64 {
        self.0
    }

    /// Whether it is exactly nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The largest multiple of `lot` that is not more than it. `lot` must be positive.
    #[must_use]
    pub const fn floor_to(self, lot: Self) -> Self {
        if lot.0 == 1 { self } else { Self(self.0 - self.0.rem_euclid(lot.0)) }
    }
}

// Sums saturate: a tape may claim sizes near 2^63, and no order is that large.
impl std::ops::Add for Qty {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl std::ops::Sub for Qty {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl std::ops::Neg for Qty {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl std::ops::AddAssign for Qty {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl std::ops::SubAssign for Qty {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl std::iter::Sum for Qty {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::ZERO, |sum, qty| sum + qty)
    }
}

/// A price that is reckoned, not traded at (mark, index), in units of 10⁻¹⁰ of the quote whatever the instrument's scale.
/// Digits beyond that are cut off: Bitget prints sixteen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FinePrice(i64);

/// A funding rate: the share of a position's value that changes hands at one funding, in units of 10⁻¹². Digits beyond
/// that are cut off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FundingRate(i64);

macro_rules! fine_number {
    ($name:ident, $scale:literal) => {
        impl $name {
            /// Decimals.
            pub const SCALE: u8 = $scale;

            /// So many units.
            pub const fn from_units(units: i64) -> Self {
                Self(units)
            }

            /// How many units.
            pub const fn units(self) -> i64 {
                self.0
            }

            /// Reads a decimal.
            pub fn read(text: &str) -> Result<Self, DecimalFault> {
                parse_units_cut(text.as_bytes(), Self::SCALE).map(Self)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                Plain::new(self.0, Self::SCALE).fmt(f)
            }
        }
    };
}

fine_number!(FinePrice, 10);
fine_number!(FundingRate, 12);

/// Which side of the book an order stands on, or the aggressor's side of a print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Side {
    /// Bids; a buyer.
    Buy = 0,
    /// Asks; a seller.
    Sell = 1,
}

impl Side {
    /// Both sides, bids first.
    pub const BOTH: [Self; 2] = [Self::Buy, Self::Sell];

    /// 0 for buy, 1 for sell: the index of a two-element array by side.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The other side.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }

    /// Whether a resting order of this side at `a` is served before one at `b`: higher bids, lower asks.
    pub const fn better(self, a: Price, b: Price) -> bool {
        match self {
            Self::Buy => a.0 > b.0,
            Self::Sell => a.0 < b.0,
        }
    }

    /// [`better`](Self::better) or the same price.
    pub const fn at_or_better(self, a: Price, b: Price) -> bool {
        match self {
            Self::Buy => a.0 >= b.0,
            Self::Sell => a.0 <= b.0,
        }
    }

    /// Whether an order of this side with the limit `limit` may trade with a resting order at `price`.
    pub const fn crosses(self, limit: Price, price: Price) -> bool {
        match self {
            Self::Buy => limit.0 >= price.0,
            Self::Sell => limit.0 <= price.0,
        }
    }

    /// `price` moved by `by` units towards worse prices for this side (a bid down, an ask up); saturates.
    #[must_use]
    pub const fn worsen(self, price: Price, by: i64) -> Price {
        match self {
            Self::Buy => Price(price.0.saturating_sub(by)),
            Self::Sell => Price(price.0.saturating_add(by)),
        }
    }

    /// `buy` or `sell`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Buy => "buy",
            Self::Sell => "sell",
        }
    }
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}
