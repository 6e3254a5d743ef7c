//! How BitMEX words a refusal, and the end of an order. The texts are those of the error table of its API
//! documentation. Errors have no number of their own: the code is the HTTP status, but for insufficient balance.

use crate::market::Instrument;
use crate::order::{CancelReason, RejectReason};
use crate::venue::{NativeEnding, NativeError, Refused};

/// BitMEX's answer to a refused request.
pub fn refusal(refused: &Refused<'_>) -> NativeError {
    let (code, http, message) = match refused.reason {
        RejectReason::UnknownInstrument => (400, 400, "Invalid symbol".to_owned()),
        RejectReason::UnknownAccount => (401, 401, "Invalid API Key.".to_owned()),
        RejectReason::NotTradable | RejectReason::Halted => (400, 400, "Market is not open".to_owned()),
        RejectReason::PriceMissing | RejectReason::PriceOutOfRange { .. } => {
            (400, 400, "Invalid price".to_owned())
        }
        RejectReason::OffTick { .. } => (400, 400, "Invalid price tickSize".to_owned()),
        RejectReason::OffLot { lot } => {
            let lot = shown(refused, |instrument| instrument.show_qty(lot).to_string());
            (400, 400, format!("Order quantity must be a multiple of lot size: {lot}"))
        }
        // No smallest value is documented.
        RejectReason::QtyNotPositive
        | RejectReason::QtyTooSmall { .. }
        | RejectReason::QtyTooLarge { .. }
        | RejectReason::NotionalTooSmall { .. } => (400, 400, "Invalid orderQty".to_owned()),
        RejectReason::InsufficientBalance { needed, .. } => {
            let needed = needed.0;
            (19_000, 400, format!("Account has insufficient Available Balance, {needed} required"))
        }
        RejectReason::DuplicateClientId => (400, 400, "Duplicate clOrdID".to_owned()),
        RejectReason::UnknownOrder => (404, 404, "Not Found".to_owned()),
        RejectReason::AlreadyFilled => (400, 400, "Invalid ordStatus: Filled".to_owned()),
        RejectReason::AlreadyCancelled => (400, 400, "Invalid ordStatus: Canceled".to_owned()),
        // Such orders are accepted and cancelled, with this text.
        RejectReason::WouldMatch => {
            (400, 400, "Canceled: Order had execInst of ParticipateDoNotInitiate".to_owned())
        }
        RejectReason::AmendBelowFilled => (400, 400, "Invalid leavesQty for lotSize".to_owned()),
        // No text of its own is documented.
        RejectReason::NothingToAmend => (400, 400, "Invalid amend".to_owned()),
        RejectReason::Unsupported => (400, 400, "Unsupported ordType".to_owned()),
        RejectReason::NothingToReduce => {
            (400, 400, "Order had execInst of ReduceOnly and there is no position to reduce".to_owned())
        }
        RejectReason::RiskLimit => {
            (400, 400, "Value of position and orders exceeds position Risk Limit".to_owned())
        }
        RejectReason::LeverageOutOfRange { .. } => (400, 400, "Invalid leverage".to_owned()),
        RejectReason::MarginNotMovable => (400, 400, "Position has cross margin enabled".to_owned()),
        RejectReason::EffectMissing
        | RejectReason::PositionsOpen
        | RejectReason::ModeNotSupported
        | RejectReason::NoContract => (400, 400, "Invalid symbol".to_owned()),
        RejectReason::TooManyOrders { .. } => (400, 400, "Too many open orders".to_owned()),
    };
    NativeError { code, http, message }
}

fn shown(refused: &Refused<'_>, number: impl Fn(&Instrument) -> String) -> String {
    refused.instrument.map_or_else(|| "1".to_owned(), number)
}

/// BitMEX's state of an order that ended before all of it filled, and whose doing it was, as its texts have it.
pub fn ending(reason: CancelReason, _anything_filled: bool) -> NativeEnding {
    let source = match reason {
        CancelReason::Requested => "Canceled via API.",
        CancelReason::Liquidation => "Canceled: Position in liquidation",
        CancelReason::NothingToReduce => "Order had execInst of ReduceOnly",
        CancelReason::WouldMatch => "Order had execInst of ParticipateDoNotInitiate",
        CancelReason::BookExhausted | CancelReason::CannotFillWhole => {
            "Order had timeInForce of ImmediateOrCancel"
        }
        CancelReason::Expired
        | CancelReason::SelfTrade
        | CancelReason::AmendedAway
        | CancelReason::FundsSpent
        | CancelReason::SessionEnded => "Canceled by the system",
    };
    NativeEnding { state: "Canceled", source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_have_bitmexs_words() {
        let xbt = crate::venue::Venue::catalogue(&crate::venue::bitmex::Bitmex).unwrap().entries[0]
            .instrument
            .clone();
        for (reason, want) in [
            (RejectReason::UnknownInstrument, "400 Invalid symbol"),
            (
                RejectReason::OffLot { lot: xbt.rule.lot },
                "400 Order quantity must be a multiple of lot size: 100",
            ),
            (RejectReason::OffTick { tick: xbt.rule.tick }, "400 Invalid price tickSize"),
            (RejectReason::UnknownOrder, "404 Not Found"),
            (RejectReason::AlreadyFilled, "400 Invalid ordStatus: Filled"),
            (RejectReason::TooManyOrders { max: 200 }, "400 Too many open orders"),
        ] {
            let have = refusal(&Refused { reason, instrument: Some(&xbt), kind: None, side: None });
            assert_eq!(format!("{} {}", have.http, have.message), want);
        }
    }

    #[test]
    fn endings_are_cancels() {
        let own = ending(CancelReason::Requested, true);
        assert_eq!((own.state, own.source), ("Canceled", "Canceled via API."));
    }
}
