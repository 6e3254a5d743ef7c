//! How Phemex settles its contracts and reckons margin (its help centre, and positions that were captured).
//!
//! Never here: amounts. `sim` reckons with what is written here.

use rust_decimal::Decimal;

use super::Phemex;
use crate::market::{FundingRate, Instrument, Product};
use crate::order::{Leverage, MarginMode, PositionMode};
use crate::sim::{
    ContractTerms, CrossMargin, MaintenanceOn, OrderLimits, OrderMargin, PositionRules, Rate, RiskTier,
    TrailRule, TrimFirst, ValueRounding,
};
use crate::venue::Venue;

/// The mode is one for each symbol; an order's margin has the fees of opening and of closing at the bankruptcy price;
/// maintenance on the entry value; losses count at once, gains when they are made.
pub(super) fn rules() -> PositionRules {
    PositionRules {
        mode: PositionMode::OneWay,
        hedge: true,
        mode_of_account: false,
        order_margin: OrderMargin::BothFeesBySide,
        cross_margin: CrossMargin::InitialAndReserve,
        maintenance: MaintenanceOn::Entry,
        closing_fee: false,
        reserve: true,
        gains_available: false,
        reduce_only_cancels: false,
        trim: TrimFirst::Oldest,
        steps_down: false,
        sides_share_tier: false,
        set_when_flat: false,
    }
}

/// Trailing stops (`TrailingStopPeg`) follow each move; `displayQtyRq` hides the rest of an order.
pub(super) fn limits() -> OrderLimits {
    OrderLimits { trailing: Some(TrailRule::default()), icebergs: true, ..OrderLimits::default() }
}

/// Funding at 00:00, 08:00 and 16:00 UTC; cross at 10x unless set. Contracts on USDT reckon in 10⁻⁸, those on USD in
/// 10⁻⁴ (`valueScale`), inverse ones in the coin's 10⁻⁸, rounded down.
pub(super) fn terms(instrument: &Instrument) -> Option<ContractTerms> {
    let quote = instrument.pair.quote.clone();
    let (settle, settle_decimals, limit, step) = match instrument.product {
        Product::Spot => return None,
        Product::Inverse { .. } => (instrument.pair.base.clone(), 8, 100, 50),
        Product::Linear { .. } | Product::Quanto { .. } if quote.as_str() == "USD" => {
            (quote, 4, 500_000, 250_000)
        }
        Product::Linear { .. } | Product::Quanto { .. } => (quote, 8, 2_000_000, 2_000_000),
    };
    // Legacy BTCUSD adds 0.5 % to both rates with each step, the contracts on USDT 0.5 % and 0.25 %.
    let maintenance_step = if step == limit { 2_500_000 } else { 5_000_000 };
    let tier = |at: i64| RiskTier {
        above: if at == 0 { Decimal::ZERO } else { Decimal::from(limit + (at - 1) * step) },
        initial: Rate(10_000_000 + at * 5_000_000),
        maintenance: Rate(5_000_000 + at * maintenance_step),
    };
    Some(ContractTerms {
        settle,
        settle_decimals,
        rounding: ValueRounding::Down,
        through_index: false,
        tiers: (0..10).map(tier).collect(),
        cumulative: true,
        leverage: Leverage::times(10),
        margin: MarginMode::Cross,
        funding: Phemex.funding(),
        funding_rate: FundingRate::default(),
    })
}
