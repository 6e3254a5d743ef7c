//! How Bitget settles its contracts and reckons margin (its support pages and position tiers, and an account of 2022 and
//! 2023).
//!
//! Never here: amounts. `sim` reckons with what is written here.

use super::Bitget;
use crate::market::{FundingRate, Instrument, Product};
use crate::order::{Leverage, MarginMode, PositionMode};
use crate::sim::{
    ContractTerms, CrossMargin, MaintenanceOn, OrderLimits, OrderMargin, PositionRules, Rate, RiskTier,
    TrimFirst, ValueRounding,
};
use crate::venue::Venue;

/// One-way unless the account says hedge; maintenance and closing fee on the mark value; a tenth more than margin and fee
/// is locked for an open order, as an account's log shows; a crossed position takes its margin at the mark, gains count.
/// A crossed long and short of a symbol are added to pick their tier; isolated ones each have their own.
pub(super) fn rules() -> PositionRules {
    PositionRules {
        mode: PositionMode::OneWay,
        hedge: true,
        mode_of_account: true,
        order_margin: OrderMargin::InitialAndFeeTenthMore,
        cross_margin: CrossMargin::InitialAtMark,
        maintenance: MaintenanceOn::Mark,
        closing_fee: true,
        reserve: false,
        gains_available: true,
        reduce_only_cancels: false,
        trim: TrimFirst::Oldest,
        steps_down: true,
        sides_share_tier: true,
        set_when_flat: false,
    }
}

/// A limit is refused where it is more than 5 % beyond the mark (`buyLimitPriceRatio`, `sellLimitPriceRatio` of the
/// contract list; the page does not say beyond what).
pub(super) fn limits() -> OrderLimits {
    OrderLimits { limit_band: Some(Rate(50_000_000)), ..OrderLimits::default() }
}

/// Funding at 00:00, 08:00 and 16:00 UTC. The position tiers are BTCUSDT's, the two that are known and one beyond; they
/// are notional bounds in quote.
///
/// Contracts on USD (`COIN-FUTURES`) are reckoned in USD and settled in their coin, through its index price:
/// size × (mark − entry) / index, and so fees and margins. That is how the exchange's formulas for them read
/// (`CoinMainIndexPrice`); no page says more of their gains.
pub(super) fn terms(instrument: &Instrument) -> Option<ContractTerms> {
    let pair = match instrument.product {
        Product::Spot => return None,
        Product::Linear { .. } | Product::Inverse { .. } | Product::Quanto { .. } => &instrument.pair,
    };
    let through_index = pair.quote.as_str() == "USD";
    let settle = if through_index { pair.base.clone() } else { pair.quote.clone() };
    let tier = |above: i64, initial: i64, maintenance: i64| RiskTier {
        above: above.into(),
        initial: Rate(initial),
        maintenance: Rate(maintenance),
    };
    Some(ContractTerms {
        settle,
        settle_decimals: 8,
        rounding: ValueRounding::Nearest,
        through_index,
        // 125x, 100x as printed; 50x with 1 % above is assumed.
        tiers: vec![
            tier(0, 8_000_000, 4_000_000),
            tier(150_000, 10_000_000, 5_000_000),
            tier(900_000, 20_000_000, 10_000_000),
        ],
        cumulative: false,
        leverage: Leverage::times(20),
        margin: MarginMode::Cross,
        funding: Bitget.funding(),
        funding_rate: FundingRate::default(),
    })
}
