//! Prices and sizes of one instrument on another's grid.

use rust_decimal::Decimal;

use crate::market::{Asset, Instrument, Pair, Price, Product, Qty, Side};

/// Two instruments that are not the same market.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BorrowError {
    /// Another base or quote.
    #[error(
        "{to} cannot borrow the market of {from}: only the same pair can be borrowed (USD, USDT and USDC count as equal quotes, XBT as BTC)"
    )]
    Pair {
        /// The lender's pair.
        from: String,
        /// The borrower's pair.
        to: String,
    },
    /// A quanto contract has no size in base.
    #[error("{to} cannot borrow the market of {from}: quanto contracts have no size in base")]
    Quanto {
        /// The lender's symbol.
        from: String,
        /// The borrower's symbol.
        to: String,
    },
    /// Scales and multipliers that no integer here can hold.
    #[error("{to} cannot borrow the market of {from}: their units are too far apart")]
    Units {
        /// The lender's symbol.
        from: String,
        /// The borrower's symbol.
        to: String,
    },
}

/// Decimals more than the lender's that a size in base has where it is a quotient (inverse contracts). The quotient
/// is rounded down.
const QUOTIENT_SCALE: u32 = 9;
/// No size is larger, so that sums stay exact.
const LARGEST: i128 = 1 << 53;

/// How prices and sizes of the lender become the borrower's.
#[derive(Clone, Debug)]
pub(super) struct Conversion {
    /// Ticks of the borrower's = price units of the lender's × `up` / `down`.
    price: Ratio,
    tick: i64,
    amount: Amount,
    /// Quantity units of the borrower's = sum × `up` / `down` (× price), down to multiples of the lot.
    size: Ratio,
    by_price: bool,
    lot: i128,
    kind: Kind,
}

/// How much work a conversion is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Everything stays as it is.
    Identity,
    /// Only the scales differ: every value of the lender's is on the borrower's grid.
    Rescale,
    /// Levels fall together.
    Coarser,
}

#[derive(Clone, Copy, Debug)]
enum Amount {
    /// The sums are in the lender's quantity units.
    Plain,
    /// The sums are in base: quantity × factor / price.
    Quotient { factor: i128 },
}

#[derive(Clone, Copy, Debug)]
struct Ratio {
    up: i128,
    down: i128,
}

impl Ratio {
    fn new(up: Option<i128>, down: Option<i128>) -> Option<Self> {
        let (up, down) = (up.filter(|up| *up > 0)?, down.filter(|down| *down > 0)?);
        let common = gcd(up, down);
        Some(Self { up: up / common, down: down / common })
    }
}

fn gcd(a: i128, b: i128) -> i128 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn ten(power: u32) -> Option<i128> {
    10_i128.checked_pow(power)
}

impl Conversion {
    pub(super) fn new(from: &Instrument, to: &Instrument) -> Result<Self, BorrowError> {
        if !same_market(&from.pair, &to.pair) {
            return Err(BorrowError::Pair { from: from.pair.to_string(), to: to.pair.to_string() });
        }
        let names = || (from.symbol.to_string(), to.symbol.to_string());
        let quanto = |product: &Product| matches!(product, Product::Quanto { .. });
        if (quanto(&from.product) || quanto(&to.product)) && from.product != to.product {
            let (from, to) = names();
            return Err(BorrowError::Quanto { from, to });
        }
        Self::build(from, to).ok_or_else(|| {
            let (from, to) = names();
            BorrowError::Units { from, to }
        })
    }

    fn build(from: &Instrument, to: &Instrument) -> Option<Self> {
        let tick = to.rule.tick.units();
        let price =
            Ratio::new(ten(to.price_scale.into()), ten(from.price_scale.into())?.checked_mul(tick.into()))?;
        let (lender, borrower) = (multiplier(&from.product), multiplier(&to.product));
        let inverse = |product: &Product| matches!(product, Product::Inverse { .. });
        let (from_inverse, to_inverse) = (inverse(&from.product), inverse(&to.product));
        let quotient = from_inverse && !to_inverse;
        let by_price = to_inverse && !from_inverse;
        // One whole unit of the sums in base (in quote, between inverse contracts): what the quantity counts.
        let up = ten(u32::from(to.qty_scale) + borrower.scale())?.checked_mul(lender.mantissa());
        let mut down = ten(u32::from(from.qty_scale) + lender.scale())?.checked_mul(borrower.mantissa());
        let mut amount = Amount::Plain;
        if quotient {
            // Base = contracts × multiplier / price; the price is an integer of its own scale.
            amount = Amount::Quotient { factor: ten(u32::from(from.price_scale) + QUOTIENT_SCALE)? };
            down = down?.checked_mul(ten(QUOTIENT_SCALE)?);
        }
        if by_price {
            down = down?.checked_mul(ten(to.price_scale.into())?);
        }
        let lot = i128::from(to.rule.lot.units());
        let size = Ratio::new(up, down)?;
        // The largest sums must stay inside 127 bits.
        let most = (LARGEST * 1_000).checked_mul(size.up)?;
        most.checked_mul(if by_price { to.rule.max_price.units().into() } else { 1 })?;
        let whole = price.down == 1 && size.down == 1 && size.up % lot == 0 && !quotient && !by_price;
        let same = whole && price.up * i128::from(tick) == 1 && size.up == 1;
        let kind = match (from == to || same, whole) {
            (true, _) => Kind::Identity,
            (_, true) => Kind::Rescale,
            _ => Kind::Coarser,
        };
        Some(Self { price, tick, amount, size, by_price, lot, kind })
    }

    /// How much work it is.
    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// What a person should know.
    pub(super) fn notes(&self, from: &Instrument, to: &Instrument) -> Vec<String> {
        let mut notes = Vec::new();
        if from.pair.quote != to.pair.quote {
            notes.push(format!(
                "{}: {} of {} counts as {}",
                to.pair, from.pair.quote, from.symbol, to.pair.quote
            ));
        }
        if from.product != to.product {
            notes.push(format!("{}: sizes of {} convert by notional in base", to.pair, from.symbol));
        }
        notes
    }

    /// A price on the borrower's grid: a bid and a buyer's print go down, an ask and a seller's print go up. `None`
    /// where nothing is left of it.
    pub(super) fn price(&self, side: Side, price: Price) -> Option<Price> {
        let scaled = i128::from(price.units()).checked_mul(self.price.up)?;
        let ticks = match side {
            Side::Buy => scaled.div_euclid(self.price.down),
            Side::Sell => {
                scaled.div_euclid(self.price.down) + i128::from(scaled.rem_euclid(self.price.down) != 0)
            }
        };
        let units = i64::try_from(ticks.checked_mul(self.tick.into())?).ok()?;
        (units > 0).then_some(Price::from_units(units))
    }

    /// A size of the lender's at one of its prices, in the unit of sums.
    pub(super) fn amount(&self, price: Price, qty: Qty) -> i128 {
        let units = i128::from(qty.units());
        match self.amount {
            Amount::Plain => units,
            Amount::Quotient { factor } => {
                units.checked_mul(factor).and_then(|v| v.checked_div(price.units().into())).unwrap_or(0)
            }
        }
    }

    /// The borrower's size of a sum at one of its own prices, down to the lot.
    pub(super) fn qty(&self, price: Price, total: i128) -> Qty {
        let price = if self.by_price { i128::from(price.units()) } else { 1 };
        let scaled = total.checked_mul(self.size.up).and_then(|v| v.checked_mul(price)).unwrap_or(0);
        let units = (scaled / self.size.down).clamp(0, LARGEST);
        Qty::from_units(i64::try_from(units - units % self.lot).unwrap_or(0))
    }
}

/// Base (or settlement) of one contract; one where quantities are in base.
fn multiplier(product: &Product) -> Decimal {
    match product {
        Product::Spot => Decimal::ONE,
        Product::Linear { multiplier } | Product::Inverse { multiplier } | Product::Quanto { multiplier } => {
            multiplier.normalize()
        }
    }
}

/// Whether two pairs are one market: XBT is BTC, and the quotes USD, USDT and USDC count as equal.
pub fn same_market(a: &Pair, b: &Pair) -> bool {
    let same_quote = a.quote == b.quote || (is_dollar(&a.quote) && is_dollar(&b.quote));
    canonical(&a.base) == canonical(&b.base) && same_quote
}

/// XBT is BTC.
fn canonical(asset: &Asset) -> &str {
    match asset.as_str() {
        "XBT" => "BTC",
        other => other,
    }
}

fn is_dollar(asset: &Asset) -> bool {
    matches!(asset.as_str(), "USD" | "USDT" | "USDC")
}
