//! Fees as connectors speak of them.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::TradeType;
use crate::market::Asset;

/// An amount of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenAmount {
    /// The token.
    pub token: Asset,
    /// How much.
    pub amount: Decimal,
}

/// Where a fee is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FeeType {
    /// On top of what the trade costs; what comes back is untouched.
    AddedToCost,
    /// Out of what comes back; the cost is untouched.
    DeductedFromReturns,
}

/// The fee of one trade: a percentage and fixed amounts.
///
/// ```
/// use papertape::connector::{FeeType, TradeFee};
/// let fee = TradeFee::percent(FeeType::AddedToCost, "0.0025".parse().unwrap());
/// assert_eq!(
///     serde_json::to_string(&fee).unwrap(),
///     r#"{"fee_type":"AddedToCost","percent":"0.0025","percent_token":null,"flat_fees":[]}"#
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TradeFee {
    /// Where it is taken.
    pub fee_type: FeeType,
    /// The fraction: 0.0025 is 0.25 %.
    pub percent: Decimal,
    /// The token that the percentage is paid in; `None`: the trade's own.
    pub percent_token: Option<Asset>,
    /// Fixed amounts.
    pub flat_fees: Vec<TokenAmount>,
}

impl TradeFee {
    /// A percentage alone.
    pub fn percent(fee_type: FeeType, percent: Decimal) -> Self {
        Self { fee_type, percent, percent_token: None, flat_fees: Vec::new() }
    }
}

/// What trading costs at a connector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TradeFeeSchema {
    /// The token that percentages are paid in; `None`: the trade's own.
    pub percent_fee_token: Option<Asset>,
    /// The maker's fraction.
    pub maker_percent_fee_decimal: Decimal,
    /// The taker's fraction.
    pub taker_percent_fee_decimal: Decimal,
    /// Whether a buyer's fee comes out of the base that is bought.
    pub buy_percent_fee_deducted_from_returns: bool,
    /// Fixed amounts a maker pays.
    pub maker_fixed_fees: Vec<TokenAmount>,
    /// Fixed amounts a taker pays.
    pub taker_fixed_fees: Vec<TokenAmount>,
}

impl TradeFeeSchema {
    /// The fee of a spot trade: buys are added to cost unless the schema deducts them, sells are deducted always.
    pub fn spot_fee(&self, side: TradeType, is_maker: bool) -> TradeFee {
        let deducted = self.buy_percent_fee_deducted_from_returns && self.percent_fee_token.is_none();
        let fee_type = if side == TradeType::Sell || deducted {
            FeeType::DeductedFromReturns
        } else {
            FeeType::AddedToCost
        };
        let (percent, flat_fees) = if is_maker {
            (self.maker_percent_fee_decimal, self.maker_fixed_fees.clone())
        } else {
            (self.taker_percent_fee_decimal, self.taker_fixed_fees.clone())
        };
        TradeFee { fee_type, percent, percent_token: self.percent_fee_token.clone(), flat_fees }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spot_fees_by_side() {
        let schema = |deducted, token: Option<&str>| TradeFeeSchema {
            percent_fee_token: token.map(Asset::new),
            maker_percent_fee_decimal: Decimal::new(1, 3),
            taker_percent_fee_decimal: Decimal::new(2, 3),
            buy_percent_fee_deducted_from_returns: deducted,
            maker_fixed_fees: vec![],
            taker_fixed_fees: vec![TokenAmount { token: Asset::new("USDT"), amount: Decimal::new(1, 1) }],
        };
        use FeeType::{AddedToCost, DeductedFromReturns};
        for (schema, side, want) in [
            (schema(false, None), TradeType::Buy, AddedToCost),
            (schema(true, None), TradeType::Buy, DeductedFromReturns),
            (schema(true, Some("BMX")), TradeType::Buy, AddedToCost),
            (schema(false, None), TradeType::Sell, DeductedFromReturns),
            (schema(false, Some("BMX")), TradeType::Sell, DeductedFromReturns),
        ] {
            assert_eq!(schema.spot_fee(side, true).fee_type, want, "{side} {schema:?}");
        }
        let taker = serde_json::to_string(&schema(false, None).spot_fee(TradeType::Buy, false)).unwrap();
        assert_eq!(
            taker,
            r#"{"fee_type":"AddedToCost","percent":"0.002","percent_token":null,"flat_fees":[{"token":"USDT","amount":"0.1"}]}"#
        );
    }
}
