//! Why an order was refused, and why one ended. A venue spells each of these its own way.

use serde::{Deserialize, Serialize};

use super::Money;
use crate::market::{Price, Qty};

/// The exchange's answer to a request that it does not carry out. State is unchanged.
///
/// Prices and quantities are in the instrument's scales; whoever shows them knows the instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "reason")]
pub enum RejectReason {
    /// No such instrument.
    UnknownInstrument,
    /// No such account.
    UnknownAccount,
    /// The instrument can be looked at but not traded (dated futures).
    NotTradable,
    /// The instrument is halted.
    Halted,
    /// A limit order without a price, or a price without a limit order.
    PriceMissing,
    /// The price is zero, negative, above the maximum, or beyond the venue's band around the mark price.
    PriceOutOfRange {
        /// The furthest that is allowed: the largest, or the lowest for a sell that is too low.
        max: Price,
    },
    /// The price is no multiple of the tick.
    OffTick {
        /// The tick.
        tick: Price,
    },
    /// The quantity is zero or negative.
    QtyNotPositive,
    /// The quantity is no multiple of the lot.
    OffLot {
        /// The lot.
        lot: Qty,
    },
    /// The quantity is below the minimum.
    QtyTooSmall {
        /// The smallest that is allowed.
        min: Qty,
    },
    /// The quantity is above the maximum.
    QtyTooLarge {
        /// The largest that is allowed.
        max: Qty,
    },
    /// Price × quantity is below the minimum, in the quote asset's smallest unit.
    NotionalTooSmall {
        /// The smallest that is allowed.
        min: Money,
    },
    /// Not enough of an asset is available.
    InsufficientBalance {
        /// Index of the asset in the run's list.
        asset: u16,
        /// What the request needs, in the asset's smallest unit.
        needed: Money,
        /// What is available.
        available: Money,
    },
    /// The client id is taken.
    DuplicateClientId,
    /// The account has no such order.
    UnknownOrder,
    /// The order has already filled.
    AlreadyFilled,
    /// The order was already cancelled.
    AlreadyCancelled,
    /// A post-only order would match and the venue refuses such orders.
    WouldMatch,
    /// An amend to no more than what has filled, at a venue that refuses it.
    AmendBelowFilled,
    /// An amend that changes nothing.
    NothingToAmend,
    /// The combination makes no sense: a market order that rests, a quote-sized sell, an expiry in the past.
    Unsupported,
    /// The account's open orders of this instrument are at the venue's limit.
    TooManyOrders {
        /// The limit.
        max: u32,
    },
    /// In hedge mode an order says whether it opens or closes.
    EffectMissing,
    /// There is no position for it to reduce.
    NothingToReduce,
    /// The value of position and orders is beyond the largest risk limit at this leverage.
    RiskLimit,
    /// The leverage is out of range.
    LeverageOutOfRange {
        /// The largest that is allowed.
        max: super::Leverage,
    },
    /// The mode cannot change while there are positions or open orders.
    PositionsOpen,
    /// The venue has no such position mode.
    ModeNotSupported,
    /// Margin can be moved for an isolated position only, and no more than it can spare.
    MarginNotMovable,
    /// The instrument has no positions.
    NoContract,
}

impl RejectReason {
    /// One lower-case sentence for people; numbers are added by whoever knows the instrument.
    pub const fn text(self) -> &'static str {
        match self {
            Self::UnknownInstrument => "unknown instrument",
            Self::UnknownAccount => "unknown account",
            Self::NotTradable => "the instrument can be inspected but not traded",
            Self::Halted => "the instrument is halted",
            Self::PriceMissing => "a limit order needs a price, a market order takes none",
            Self::PriceOutOfRange { .. } => "the price is out of range",
            Self::OffTick { .. } => "the price is no multiple of the tick",
            Self::QtyNotPositive => "the amount must be more than zero",
            Self::OffLot { .. } => "the amount is no multiple of the lot",
            Self::QtyTooSmall { .. } => "the amount is below the minimum",
            Self::QtyTooLarge { .. } => "the amount is above the maximum",
            Self::NotionalTooSmall { .. } => "price × amount is below the minimum",
            Self::InsufficientBalance { .. } => "insufficient balance",
            Self::DuplicateClientId => "the client order id is already in use",
            Self::UnknownOrder => "no such order",
            Self::AlreadyFilled => "the order has already filled",
            Self::AlreadyCancelled => "the order was already cancelled",
            Self::WouldMatch => "the post-only order would match",
            Self::AmendBelowFilled => "the new amount is not more than what has filled",
            Self::NothingToAmend => "the amend changes nothing",
            Self::Unsupported => "this combination of order type and options is not supported",
            Self::TooManyOrders { .. } => "too many open orders",
            Self::EffectMissing => "in hedge mode an order needs open or close",
            Self::NothingToReduce => "there is no position to reduce",
            Self::RiskLimit => "the value of position and orders exceeds the risk limit at this leverage",
            Self::LeverageOutOfRange { .. } => "the leverage is out of range",
            Self::PositionsOpen => "this cannot change while there are positions or open orders",
            Self::ModeNotSupported => "the venue has no such position mode",
            Self::MarginNotMovable => "the margin cannot be moved",
            Self::NoContract => "spot has no positions",
        }
    }
}

/// Why an order ended before all of it filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelReason {
    /// Its owner asked.
    Requested,
    /// Its time ran out (good till date).
    Expired,
    /// The rest of a market or immediate-or-cancel order: nothing more was there at its price.
    BookExhausted,
    /// A fill-or-kill order that could not be filled whole.
    CannotFillWhole,
    /// A post-only order would have matched; the venue accepts it and cancels it.
    WouldMatch,
    /// It met an order of its own account.
    SelfTrade,
    /// An amend asked for no more than what has filled.
    AmendedAway,
    /// A market order ran out of money to spend, or less than a lot of it was left.
    FundsSpent,
    /// The session ended and the next one has another market.
    SessionEnded,
    /// It was reduce-only, and nothing was left for it to reduce.
    NothingToReduce,
    /// The account's position is being liquidated.
    Liquidation,
}

impl CancelReason {
    /// Its name in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Expired => "expired",
            Self::BookExhausted => "book_exhausted",
            Self::CannotFillWhole => "cannot_fill_whole",
            Self::WouldMatch => "would_match",
            Self::SelfTrade => "self_trade",
            Self::AmendedAway => "amended_away",
            Self::FundsSpent => "funds_spent",
            Self::SessionEnded => "session_ended",
            Self::NothingToReduce => "nothing_to_reduce",
            Self::Liquidation => "liquidation",
        }
    }

    /// One lower-case phrase for people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Requested => "cancelled on request",
            Self::Expired => "expired",
            Self::BookExhausted => "the visible book was exhausted",
            Self::CannotFillWhole => "it could not be filled whole",
            Self::WouldMatch => "it was post-only and would have matched",
            Self::SelfTrade => "it met an order of its own account",
            Self::AmendedAway => "it was amended to no more than what had filled",
            Self::FundsSpent => "its money was spent",
            Self::SessionEnded => "the session ended and the next one has another market",
            Self::NothingToReduce => "it was reduce-only and nothing was left to reduce",
            Self::Liquidation => "the position was liquidated",
        }
    }
}
