//! How Phemex words a refusal, and the end of an order. The codes and texts are those of the error table of its API
//! documentation; where it has no code of its own for a reason, the nearest is used and a comment says so.

use crate::order::{CancelReason, RejectReason};
use crate::venue::{NativeEnding, NativeError, Refused};

/// Phemex's answer to a refused request. Errors of trading come with HTTP 200.
pub fn refusal(refused: &Refused<'_>) -> NativeError {
    let (code, message) = match refused.reason {
        RejectReason::UnknownInstrument => (11_027, "TE_SYMBOL_INVALID"),
        RejectReason::UnknownAccount => (10_500, "Failed to find api-key"),
        // A symbol that is not listed for trading.
        RejectReason::NotTradable | RejectReason::Halted => (39_997, "Symbol not listed"),
        // No code for a missing price is documented.
        RejectReason::PriceMissing | RejectReason::OffTick { .. } => (11_055, "TE_PRICE_TOO_SMALL"),
        RejectReason::PriceOutOfRange { .. } => (11_053, "TE_PRICE_TOO_LARGE"),
        // Seen for quantities below one step, too.
        RejectReason::QtyNotPositive | RejectReason::OffLot { .. } | RejectReason::QtyTooSmall { .. } => {
            (11_058, "TE_QTY_TOO_SMALL")
        }
        RejectReason::QtyTooLarge { .. } => (11_056, "TE_QTY_TOO_LARGE"),
        RejectReason::NotionalTooSmall { .. } => (11_115, "TE_ORDER_VALUE_TOO_SMALL"),
        RejectReason::InsufficientBalance { .. } => (11_001, "TE_NO_ENOUGH_AVAILABLE_BALANCE"),
        RejectReason::DuplicateClientId => (11_085, "TE_CL_ORD_ID_DUPLICATE"),
        RejectReason::UnknownOrder => (10_002, "OM_ORDER_NOT_FOUND"),
        RejectReason::AlreadyFilled => (11_063, "TE_ORD_STATUS_CANNOT_CANCEL"),
        RejectReason::AlreadyCancelled => (11_062, "TE_ORD_ALREADY_CANCELED"),
        // The reason of the cancel in the private stream.
        RejectReason::WouldMatch => (101, "CE_WILLCROSS"),
        RejectReason::AmendBelowFilled => (11_012, "TE_REPLACE_TO_INVALID_QTY"),
        RejectReason::NothingToAmend => (11_065, "TE_ORD_REPLACE_NOT_MODIFIED"),
        RejectReason::Unsupported => (11_035, "TE_ORD_TYPE_INVALID"),
        RejectReason::NothingToReduce => (11_011, "TE_REDUCE_ONLY_ABORT"),
        RejectReason::RiskLimit => (11_081, "TE_RISK_LIMIT_EXCEEDS"),
        RejectReason::LeverageOutOfRange { .. } => (11_004, "TE_INVALID_LEVERAGE"),
        RejectReason::MarginNotMovable => (11_006, "TE_NO_POSITION"),
        // The page is unsure which code a switch with positions gets.
        RejectReason::EffectMissing
        | RejectReason::PositionsOpen
        | RejectReason::ModeNotSupported
        | RejectReason::NoContract => (11_034, "TE_SIDE_INVALID"),
        RejectReason::TooManyOrders { .. } => (11_032, "TE_AO_NUM_EXCEEDS"),
    };
    NativeError { code, http: if code == 10_500 { 401 } else { 200 }, message: message.to_owned() }
}

/// Phemex's state of an order that ended before all of it filled.
pub fn ending(reason: CancelReason, _anything_filled: bool) -> NativeEnding {
    let source = match reason {
        CancelReason::Requested => "ByUser",
        CancelReason::WouldMatch => "CE_WILLCROSS",
        CancelReason::BookExhausted | CancelReason::CannotFillWhole => "CE_NO_ENOUGH_QTY",
        CancelReason::Expired
        | CancelReason::SelfTrade
        | CancelReason::AmendedAway
        | CancelReason::FundsSpent
        | CancelReason::NothingToReduce
        | CancelReason::Liquidation
        | CancelReason::SessionEnded => "BySystem",
    };
    NativeEnding { state: "Canceled", source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_have_phemexs_words() {
        for (reason, want) in [
            (RejectReason::UnknownInstrument, (11_027, 200, "TE_SYMBOL_INVALID")),
            (RejectReason::UnknownAccount, (10_500, 401, "Failed to find api-key")),
            (RejectReason::UnknownOrder, (10_002, 200, "OM_ORDER_NOT_FOUND")),
            (RejectReason::AlreadyCancelled, (11_062, 200, "TE_ORD_ALREADY_CANCELED")),
            (RejectReason::TooManyOrders { max: 1 }, (11_032, 200, "TE_AO_NUM_EXCEEDS")),
        ] {
            let have = refusal(&Refused { reason, instrument: None, kind: None, side: None });
            assert_eq!((have.code, have.http, have.message.as_str()), want);
        }
    }

    #[test]
    fn endings_are_cancels() {
        let killed = ending(CancelReason::WouldMatch, false);
        assert_eq!(killed, NativeEnding { state: "Canceled", source: "CE_WILLCROSS" });
        assert_eq!(ending(CancelReason::Requested, true).source, "ByUser");
    }
}
