//! How HitBTC words a refusal, and the end of an order. The codes and texts are those of the error table of its API
//! documentation; where it has no code of its own for a reason, the nearest is used and a comment says so.

use crate::market::Instrument;
use crate::order::{CancelReason, RejectReason};
use crate::venue::{NativeEnding, NativeError, Refused};

/// HitBTC's answer to a refused request: the message, and the description behind it where there is one.
pub fn refusal(refused: &Refused<'_>) -> NativeError {
    let (code, http, message) = match refused.reason {
        RejectReason::UnknownInstrument => (2_001, 400, "Symbol not found".to_owned()),
        RejectReason::UnknownAccount => {
            (1_002, 401, "Authorization is required or has been failed".to_owned())
        }
        RejectReason::NotTradable => (600, 400, "Action is not allowed".to_owned()),
        RejectReason::Halted => (20_010, 400, "Exchange temporary closed".to_owned()),
        RejectReason::PriceMissing => (10_001, 400, "Validation error: price".to_owned()),
        // No largest price is published: a bad price like any other.
        RejectReason::PriceOutOfRange { .. } => (2_020, 400, "Price not a valid number".to_owned()),
        RejectReason::OffTick { tick } => {
            let tick = shown(refused, |instrument| instrument.show_price(tick).to_string());
            (2_022, 400, format!("Bad price: price must be a multiple of {tick}"))
        }
        RejectReason::OffLot { lot } => {
            let lot = shown(refused, |instrument| instrument.show_qty(lot).to_string());
            (2_012, 400, format!("Bad quantity: quantity must be a multiple of {lot}"))
        }
        RejectReason::QtyNotPositive => (2_010, 400, "Quantity not a valid number".to_owned()),
        RejectReason::QtyTooSmall { min } => {
            let min = shown(refused, |instrument| instrument.show_qty(min).to_string());
            (2_011, 400, format!("Quantity too low: minimum quantity {min}"))
        }
        // Neither a largest quantity nor a smallest value is published: a bad quantity like any other.
        RejectReason::QtyTooLarge { .. } | RejectReason::NotionalTooSmall { .. } => {
            (2_012, 400, "Bad quantity".to_owned())
        }
        RejectReason::InsufficientBalance { .. } => (20_001, 400, "Insufficient funds".to_owned()),
        RejectReason::DuplicateClientId => (20_008, 400, "Duplicate clientOrderId".to_owned()),
        // An order that is done is no longer found.
        RejectReason::UnknownOrder | RejectReason::AlreadyFilled | RejectReason::AlreadyCancelled => {
            (20_002, 400, "Order not found".to_owned())
        }
        // Such orders are accepted and cancelled; no code exists.
        RejectReason::WouldMatch => (600, 400, "Action is not allowed".to_owned()),
        RejectReason::AmendBelowFilled => (2_012, 400, "Bad quantity".to_owned()),
        RejectReason::NothingToAmend => (20_009, 400, "Price and quantity not changed".to_owned()),
        RejectReason::Unsupported => (10_001, 400, "Validation error".to_owned()),
        // No number of open orders is documented.
        RejectReason::EffectMissing
        | RejectReason::NothingToReduce
        | RejectReason::RiskLimit
        | RejectReason::LeverageOutOfRange { .. }
        | RejectReason::PositionsOpen
        | RejectReason::ModeNotSupported
        | RejectReason::MarginNotMovable
        | RejectReason::NoContract => (600, 400, "Action is not allowed".to_owned()),
        RejectReason::TooManyOrders { .. } => (429, 429, "Too many requests".to_owned()),
    };
    NativeError { code, http, message }
}

fn shown(refused: &Refused<'_>, number: impl Fn(&Instrument) -> String) -> String {
    refused.instrument.map_or_else(|| "the step".to_owned(), number)
}

/// HitBTC's state of an order that ended before all of it filled. Cancelled by its owner or as post-only: `canceled`;
/// what could not rest or ran out of time: `expired`. The filled part does not show in the word.
pub fn ending(reason: CancelReason, _anything_filled: bool) -> NativeEnding {
    let (state, source) = match reason {
        CancelReason::Requested => ("canceled", "user"),
        CancelReason::WouldMatch | CancelReason::SelfTrade | CancelReason::AmendedAway => {
            ("canceled", "system")
        }
        CancelReason::Expired
        | CancelReason::BookExhausted
        | CancelReason::CannotFillWhole
        | CancelReason::FundsSpent
        | CancelReason::NothingToReduce
        | CancelReason::Liquidation
        | CancelReason::SessionEnded => ("expired", "system"),
    };
    NativeEnding { state, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{Price, Qty};

    #[test]
    fn reasons_have_hitbtcs_words() {
        let btc = crate::venue::Venue::catalogue(&crate::venue::hitbtc::Hitbtc).unwrap().entries[0]
            .instrument
            .clone();
        let words = |reason, instrument| {
            let answer = refusal(&Refused { reason, instrument, kind: None, side: None });
            format!("{} {} {}", answer.http, answer.code, answer.message)
        };
        for (reason, want) in [
            (RejectReason::UnknownInstrument, "400 2001 Symbol not found"),
            (RejectReason::UnknownAccount, "401 1002 Authorization is required or has been failed"),
            (
                RejectReason::OffTick { tick: btc.rule.tick },
                "400 2022 Bad price: price must be a multiple of 0.01",
            ),
            (
                RejectReason::OffLot { lot: btc.rule.lot },
                "400 2012 Bad quantity: quantity must be a multiple of 0.00001",
            ),
            (
                RejectReason::QtyTooSmall { min: btc.rule.min_qty },
                "400 2011 Quantity too low: minimum quantity 0.00001",
            ),
            (RejectReason::DuplicateClientId, "400 20008 Duplicate clientOrderId"),
            (RejectReason::AlreadyFilled, "400 20002 Order not found"),
            (RejectReason::NothingToAmend, "400 20009 Price and quantity not changed"),
            (RejectReason::TooManyOrders { max: 1 }, "429 429 Too many requests"),
            (
                RejectReason::PriceOutOfRange { max: Price::from_units(1) },
                "400 2020 Price not a valid number",
            ),
            (RejectReason::QtyTooLarge { max: Qty::from_units(1) }, "400 2012 Bad quantity"),
        ] {
            assert_eq!(words(reason, Some(&btc)), want);
        }
        let bare = words(RejectReason::OffTick { tick: btc.rule.tick }, None);
        assert_eq!(bare, "400 2022 Bad price: price must be a multiple of the step");
    }

    #[test]
    fn endings_are_cancels_or_expiries() {
        let state = |reason| ending(reason, true).state;
        assert_eq!(state(CancelReason::Requested), "canceled");
        assert_eq!(state(CancelReason::WouldMatch), "canceled");
        assert_eq!(state(CancelReason::BookExhausted), "expired");
        assert_eq!(ending(CancelReason::Expired, false), NativeEnding { state: "expired", source: "system" });
    }
}
