//! How BitMart settles its futures and reckons margin (its help centre and API documentation).
//!
//! Never here: amounts. `sim` reckons with what is written here.

use super::Bitmart;
use crate::market::{FundingRate, Instrument, Product};
use crate::order::{Leverage, MarginMode, PositionMode};
use crate::sim::{
    ContractTerms, CrossMargin, MaintenanceOn, OrderMargin, PositionRules, Rate, RiskTier, TrimFirst,
    ValueRounding,
};
use crate::venue::Venue;

/// The mode is one for the account; maintenance on the entry value and the closing fee on the mark value; leverage and
/// margin mode change only while the account is flat in the symbol.
pub(super) fn rules() -> PositionRules {
    PositionRules {
        mode: PositionMode::OneWay,
        hedge: true,
        mode_of_account: true,
        order_margin: OrderMargin::InitialAndFee,
        cross_margin: CrossMargin::InitialAtEntry,
        maintenance: MaintenanceOn::Entry,
        closing_fee: true,
        reserve: false,
        gains_available: false,
        reduce_only_cancels: false,
        trim: TrimFirst::Oldest,
        steps_down: false,
        sides_share_tier: false,
        set_when_flat: true,
    }
}

/// Funding at 00:00, 08:00 and 16:00 UTC; 10x unless set. No table of leverage brackets was published: the maintenance
/// rate is half of one divided by the largest leverage, 100x, and a bracket holds a million of quote; each further one
/// adds as much (the exchange's older risk-limit rule).
pub(super) fn terms(instrument: &Instrument) -> Option<ContractTerms> {
    if instrument.product == Product::Spot {
        return None;
    }
    let tier = |level: i64| RiskTier {
        above: (500_000 * (level - 1) + if level > 1 { 500_000 } else { 0 }).into(),
        initial: Rate(10_000_000 * level),
        maintenance: Rate(5_000_000 * level),
    };
    Some(ContractTerms {
        settle: instrument.pair.quote.clone(),
        settle_decimals: 8,
        rounding: ValueRounding::Nearest,
        through_index: false,
        tiers: (1..=10).map(tier).collect(),
        cumulative: false,
        leverage: Leverage::times(10),
        margin: MarginMode::Cross,
        funding: Bitmart.funding(),
        funding_rate: FundingRate::default(),
    })
}
