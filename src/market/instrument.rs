//! What is traded: pairs, contracts, and the rules that an order must keep.

use std::fmt;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::decimal::{Plain, decimal_of, parse_units};
use super::{Price, Qty};

/// An asset's ticker in upper case: `BTC`, `USDT`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Asset(SmolStr);

impl Asset {
    /// The asset of that ticker; letters become upper case.
    pub fn new(ticker: &str) -> Self {
        Self(SmolStr::from(ticker.to_ascii_uppercase()))
    }

    /// Its ticker.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// `BASE-QUOTE`, the same spelling for every exchange.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Pair {
    /// What is bought.
    pub base: Asset,
    /// What it is paid with.
    pub quote: Asset,
}

/// A text is no pair.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a trading pair: {0:?} (BASE-QUOTE, as in BTC-USDT)")]
pub struct PairError(String);

impl Pair {
    /// The pair of two tickers.
    pub fn new(base: &str, quote: &str) -> Self {
        Self { base: Asset::new(base), quote: Asset::new(quote) }
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}-{}", self.base, self.quote))
    }
}

impl std::str::FromStr for Pair {
    type Err = PairError;

    fn from_str(text: &str) -> Result<Self, PairError> {
        match text.split_once('-') {
            Some((base, quote)) if !base.is_empty() && !quote.is_empty() && !quote.contains('-') => {
                Ok(Self::new(base, quote))
            }
            _ => Err(PairError(text.to_owned())),
        }
    }
}

impl From<Pair> for String {
    fn from(pair: Pair) -> Self {
        pair.to_string()
    }
}

impl TryFrom<String> for Pair {
    type Error = PairError;
    fn try_from(text: String) -> Result<Self, PairError> {
        text.parse()
    }
}

/// The number of an instrument inside one run: its index in the run's list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InstrumentId(pub u32);

impl InstrumentId {
    /// As an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a quantity of an instrument stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Product {
    /// Base against quote; quantities in base.
    Spot,
    /// A contract worth `multiplier` base, paid in quote.
    Linear {
        /// Base of one unit of quantity: 1 where quantities are in base.
        multiplier: Decimal,
    },
    /// A contract worth `multiplier` quote, paid in base.
    Inverse {
        /// Quote of one contract.
        multiplier: Decimal,
    },
    /// A contract worth `multiplier` of the settlement asset for each point of price.
    Quanto {
        /// Settlement asset of one contract and point.
        multiplier: Decimal,
    },
}

impl Product {
    /// `spot` or `perpetual`, as connectors name what they trade; dated contracts are with the perpetuals.
    pub const fn family(self) -> &'static str {
        match self {
            Self::Spot => "spot",
            Self::Linear { .. } | Self::Inverse { .. } | Self::Quanto { .. } => "perpetual",
        }
    }
}

/// Where an instrument's rules come from (`docs/fills.md`, "Rules and fees").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleOrigin {
    /// A file named by the user.
    File,
    /// The tape itself or the replies recorded beside it.
    Tape,
    /// The built-in catalogue.
    Catalogue,
    /// Guessed from the first rows of the data.
    Inferred,
}

impl fmt::Display for RuleOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::File => "file",
            Self::Tape => "tape",
            Self::Catalogue => "catalogue",
            Self::Inferred => "inferred",
        })
    }
}

/// What an order must keep. Prices and quantities are in the instrument's scales.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TradingRule {
    /// Prices are multiples of it.
    pub tick: Price,
    /// Quantities are multiples of it.
    pub lot: Qty,
    /// The smallest quantity.
    pub min_qty: Qty,
    /// The largest quantity.
    pub max_qty: Qty,
    /// The largest price.
    pub max_price: Price,
    /// The smallest price × quantity, in quote.
    pub min_notional: Decimal,
}

/// One thing that is traded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instrument {
    /// The exchange's own symbol.
    pub symbol: SmolStr,
    /// The pair it is known as.
    pub pair: Pair,
    /// What a quantity stands for.
    pub product: Product,
    /// Decimals of prices.
    pub price_scale: u8,
    /// Decimals of quantities.
    pub qty_scale: u8,
    /// What orders must keep.
    pub rule: TradingRule,
    /// Where the rules come from.
    pub origin: RuleOrigin,
}

/// An instrument that cannot be simulated exactly.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InstrumentError {
    /// A tick, lot or maximum of zero or less, or a minimum above the maximum.
    #[error("{symbol}: {what} must be {must}")]
    Rule {
        /// Whose rule.
        symbol: SmolStr,
        /// Which rule.
        what: &'static str,
        /// What it must be.
        must: &'static str,
    },
    /// Its largest price × largest quantity does not fit 96 bits.
    #[error(
        "{symbol}: largest price × largest quantity does not fit 96 bits at {scale} decimals; lower max_price or max_qty"
    )]
    TooLarge {
        /// Whose.
        symbol: SmolStr,
        /// Decimals of the product.
        scale: u8,
    },
    /// A number of a rule that does not fit its scale.
    #[error("{symbol}: {what} {value:?} {fault}")]
    Number {
        /// Whose.
        symbol: SmolStr,
        /// Which number.
        what: &'static str,
        /// As it was written.
        value: String,
        /// Why it does not fit.
        fault: super::decimal::DecimalFault,
    },
}

/// A product of price and quantity does not fit 96 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("price × quantity does not fit 96 bits")]
pub struct Overflow;

impl Instrument {
    /// Refuses what cannot be simulated exactly: see [`InstrumentError`].
    pub fn check(&self) -> Result<(), InstrumentError> {
        let rule = &self.rule;
        let positive = [
            ("tick", rule.tick.units()),
            ("lot", rule.lot.units()),
            ("max_qty", rule.max_qty.units()),
            ("max_price", rule.max_price.units()),
        ];
        let fail = |what, must| Err(InstrumentError::Rule { symbol: self.symbol.clone(), what, must });
        if let Some((what, _)) = positive.into_iter().find(|(_, units)| *units <= 0) {
            return fail(what, "more than zero");
        }
        if rule.min_qty.units() < 0 || rule.min_qty > rule.max_qty {
            return fail("min_qty", "from zero to max_qty");
        }
        if rule.min_notional.is_sign_negative() && !rule.min_notional.is_zero() {
            return fail("min_notional", "zero or more");
        }
        if self.price_scale > 18 || self.qty_scale > 18 {
            return fail("scale", "at most 18 decimals");
        }
        let product = i128::from(rule.max_price.units()) * i128::from(rule.max_qty.units());
        let scale = self.price_scale + self.qty_scale;
        if product >= 1 << 96 || scale > 28 {
            return Err(InstrumentError::TooLarge { symbol: self.symbol.clone(), scale });
        }
        Ok(())
    }

    /// The largest price to assume where the venue names none: as much as fits 96 bits beside `max_qty`, at most
    /// 10^15 units.
    pub fn assumed_max_price(max_qty: Qty) -> Price {
        let room = ((1_i128 << 96) - 1) / i128::from(max_qty.units().max(1));
        Price::from_units(i64::try_from(room.min(1_000_000_000_000_000)).unwrap_or(i64::MAX))
    }

    /// What a spot or linear fill costs, in quote (of one unit multiplier). Exact: two integers and a scale.
    ///
    /// ```
    /// # use papertape::market::*;
    /// # let btc = Instrument::spot("BTC_USDT", "BTC-USDT".parse().unwrap(), 2, 5).unwrap();
    /// let cost = btc.notional(btc.price("60000.00").unwrap(), btc.qty("0.004").unwrap()).unwrap();
    /// assert_eq!(cost.to_string(), "240");
    /// ```
    pub fn notional(&self, price: Price, qty: Qty) -> Result<Decimal, Overflow> {
        let units = i128::from(price.units()) * i128::from(qty.units());
        decimal_of(units, self.price_scale + self.qty_scale).ok_or(Overflow)
    }

    /// How many units of quantity so much base is at a price, not yet down to the lot; `None` where that is no amount.
    /// Quanto contracts stand for no amount of base: they are taken one for one.
    ///
    /// ```
    /// # use papertape::market::*;
    /// # use rust_decimal::Decimal;
    /// let xbt = Instrument::spot("XBTUSD", "XBT-USD".parse().unwrap(), 1, 0).unwrap();
    /// let xbt = Instrument { product: Product::Inverse { multiplier: Decimal::ONE }, ..xbt };
    /// assert_eq!(xbt.qty_from_base("0.5".parse().unwrap(), Decimal::from(60_000)), Some(Decimal::from(30_000)));
    /// ```
    pub fn qty_from_base(&self, base: Decimal, price: Decimal) -> Option<Decimal> {
        match self.product {
            Product::Spot | Product::Quanto { .. } => Some(base),
            Product::Linear { multiplier } => base.checked_div(multiplier),
            Product::Inverse { multiplier } => base.checked_mul(price)?.checked_div(multiplier),
        }
    }

    /// How much base a quantity is at a price: the other way of [`qty_from_base`](Self::qty_from_base).
    pub fn base_from_qty(&self, qty: Decimal, price: Decimal) -> Option<Decimal> {
        match self.product {
            Product::Spot | Product::Quanto { .. } => Some(qty),
            Product::Linear { multiplier } => qty.checked_mul(multiplier),
            Product::Inverse { multiplier } => qty.checked_mul(multiplier)?.checked_div(price),
        }
    }

    /// How many units of quantity are worth so much quote at a price, not yet down to the lot.
    pub fn qty_from_notional(&self, quote: Decimal, price: Decimal) -> Option<Decimal> {
        match self.product {
            Product::Spot | Product::Quanto { .. } => quote.checked_div(price),
            Product::Linear { multiplier } => quote.checked_div(price.checked_mul(multiplier)?),
            Product::Inverse { multiplier } => quote.checked_div(multiplier),
        }
    }

    /// A spot instrument with tick and lot of one unit and no minimum: a plain start for tests and inference.
    pub fn spot(symbol: &str, pair: Pair, price_scale: u8, qty_scale: u8) -> Result<Self, InstrumentError> {
        let max_qty = Qty::from_units(10_000_000_000_000);
        let instrument = Self {
            symbol: symbol.into(),
            pair,
            product: Product::Spot,
            price_scale,
            qty_scale,
            rule: TradingRule {
                tick: Price::from_units(1),
                lot: Qty::from_units(1),
                min_qty: Qty::from_units(1),
                max_qty,
                max_price: Self::assumed_max_price(max_qty),
                min_notional: Decimal::ZERO,
            },
            origin: RuleOrigin::Inferred,
        };
        instrument.check().map(|()| instrument)
    }

    /// Reads a price of this instrument.
    pub fn price(&self, text: &str) -> Result<Price, InstrumentError> {
        self.number("price", text, self.price_scale).map(Price::from_units)
    }

    /// Reads a quantity of this instrument.
    pub fn qty(&self, text: &str) -> Result<Qty, InstrumentError> {
        self.number("quantity", text, self.qty_scale).map(Qty::from_units)
    }

    fn number(&self, what: &'static str, text: &str, scale: u8) -> Result<i64, InstrumentError> {
        parse_units(text.as_bytes(), scale).map_err(|fault| InstrumentError::Number {
            symbol: self.symbol.clone(),
            what,
            value: text.to_owned(),
            fault,
        })
    }

    /// What quantities are counted in: the base, or `contracts`.
    pub fn unit(&self) -> &str {
        match self.product {
            Product::Spot => self.pair.base.as_str(),
            Product::Linear { multiplier } if multiplier == Decimal::ONE => self.pair.base.as_str(),
            Product::Linear { .. } | Product::Inverse { .. } | Product::Quanto { .. } => "contracts",
        }
    }

    /// A price as it is shown.
    pub fn show_price(&self, price: Price) -> Plain {
        Plain::new(price.units(), self.price_scale)
    }

    /// A quantity as it is shown.
    pub fn show_qty(&self, qty: Qty) -> Plain {
        Plain::new(qty.units(), self.qty_scale)
    }

    /// A price as a decimal.
    pub fn price_decimal(&self, price: Price) -> Decimal {
        Decimal::new(price.units(), u32::from(self.price_scale)).normalize()
    }

    /// A quantity as a decimal.
    pub fn qty_decimal(&self, qty: Qty) -> Decimal {
        Decimal::new(qty.units(), u32::from(self.qty_scale)).normalize()
    }
}
