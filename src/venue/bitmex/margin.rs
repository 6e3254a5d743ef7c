//! How BitMEX settles its contracts and reckons margin (its API documentation and support pages, and account snapshots of
//! 2021 to 2026).
//!
//! Never here: amounts. `sim` reckons with what is written here.

use std::time::Duration;

use rust_decimal::Decimal;

use super::Bitmex;
use crate::market::{Asset, FundingRate, Instrument, Product};
use crate::order::{Leverage, MarginMode, PositionMode};
use crate::sim::{
    ContractTerms, CrossMargin, MaintenanceOn, OrderLimits, OrderMargin, PositionRules, Rate, RiskTier,
    TrailRule, TrimFirst, ValueRounding,
};
use crate::venue::Venue;

/// One net position; cross unless isolated; maintenance on the entry value; the fees of opening and closing are part of
/// an order's margin; a reduce-only order with nothing to reduce is accepted and cancelled.
pub(super) fn rules() -> PositionRules {
    PositionRules {
        mode: PositionMode::OneWay,
        hedge: false,
        mode_of_account: true,
        order_margin: OrderMargin::BothFees,
        cross_margin: CrossMargin::Maintenance,
        maintenance: MaintenanceOn::Entry,
        closing_fee: false,
        reserve: true,
        gains_available: true,
        reduce_only_cancels: true,
        trim: TrimFirst::LeastAggressive,
        steps_down: false,
        sides_share_tier: false,
        set_when_flat: false,
    }
}

/// Ten orders of an instrument may wait for their trigger. A market order trades no further than 5 % beyond the best price
/// or the mark, and a stop with `LastWithinMark` wakes by last prices within 5 % of the mark. Trailing stops are set anew once a second at most, after a move of more than 0.1 %. `displayQty` hides the
/// rest of an order (a wholly hidden one, `displayQty` 0, is refused). Pegged limits are set once.
pub(super) fn limits() -> OrderLimits {
    OrderLimits {
        max_waiting: Some(10),
        market_band: Some(Rate(50_000_000)),
        limit_band: None,
        near_mark: Some(Rate(50_000_000)),
        trailing: Some(TrailRule { every: Duration::from_secs(1), least: Rate(1_000_000) }),
        callbacks: None,
        icebergs: true,
        pegs: true,
    }
}

/// Funding at 04:00, 12:00 and 20:00 UTC. Inverse and quanto contracts settle in satoshi, linear ones in millionths of
/// their quote.
pub(super) fn terms(instrument: &Instrument) -> Option<ContractTerms> {
    let (settle, settle_decimals, rounding) = match instrument.product {
        Product::Spot => return None,
        Product::Inverse { .. } => (Asset::new("XBT"), 8, ValueRounding::UnitHundredths),
        Product::Quanto { .. } => (Asset::new("XBT"), 8, ValueRounding::Nearest),
        Product::Linear { .. } => (instrument.pair.quote.clone(), 6, ValueRounding::Nearest),
    };
    // Base and step of the risk limits of May 2026, in the settlement currency. Instruments that the table does not name
    // are taken for the larger ones of their kind.
    let (limit, step) = match (instrument.product, instrument.symbol.as_str()) {
        (Product::Inverse { .. }, _) => (200, 150),
        (Product::Quanto { .. }, _) => (75, 100),
        _ => (1_000_000, 1_000_000),
    };
    Some(ContractTerms {
        settle,
        settle_decimals,
        rounding,
        through_index: false,
        tiers: tiers(limit, step),
        cumulative: false,
        leverage: Leverage::times(100),
        margin: MarginMode::Cross,
        funding: Bitmex.funding(),
        funding_rate: FundingRate::default(),
    })
}

/// 1 % initial and 0.5 % maintenance margin up to the base limit; each further step adds 0.5 % to both.
fn tiers(limit: i64, step: i64) -> Vec<RiskTier> {
    const BASE: i64 = 5_000_000;
    let tier = |at: i64| RiskTier {
        above: if at == 0 { Decimal::ZERO } else { Decimal::from(limit + (at - 1) * step) },
        initial: Rate(BASE * (at + 2)),
        maintenance: Rate(BASE * (at + 1)),
    };
    (0..20).map(tier).collect()
}
