//! How Bitget words a refusal, and the end of an order. The codes and texts are those of the error table of its API
//! documentation (contracts); where it has no code of its own for a reason, the nearest is used and a comment says so.

use crate::market::Instrument;
use crate::order::{CancelReason, RejectReason};
use crate::venue::{NativeEnding, NativeError, Refused};

/// Bitget's answer to a refused request. Errors come with HTTP 400.
pub fn refusal(refused: &Refused<'_>) -> NativeError {
    let (code, message) = match refused.reason {
        RejectReason::UnknownInstrument => (40_034, "Parameter symbol does not exist".to_owned()),
        RejectReason::UnknownAccount => (40_037, "Apikey does not exist".to_owned()),
        // The list has no code for a contract that is shown and not traded: it is under maintenance.
        RejectReason::NotTradable | RejectReason::Halted => {
            (40_308, "The symbol is under maintenance".to_owned())
        }
        RejectReason::PriceMissing => (40_019, "Parameter price cannot be empty".to_owned()),
        RejectReason::PriceOutOfRange { max } => {
            let max = shown(refused, |instrument| instrument.show_price(max).to_string());
            (43_008, format!("The current order price exceeds the limit {max}"))
        }
        RejectReason::OffTick { tick } => {
            let tick = shown(refused, |instrument| instrument.show_price(tick).to_string());
            (45_115, format!("The price you enter should be a multiple of {tick}"))
        }
        RejectReason::OffLot { lot } => {
            let scale = refused.instrument.map_or(0, |instrument| instrument.qty_decimal(lot).scale());
            (40_808, format!("Parameter verification exception size checkBDScale error checkScale={scale}"))
        }
        RejectReason::QtyNotPositive => (40_020, "Parameter size error".to_owned()),
        RejectReason::QtyTooSmall { .. } => (45_111, "less than the minimum order quantity".to_owned()),
        RejectReason::QtyTooLarge { .. } => (45_112, "more than the maximum order quantity".to_owned()),
        RejectReason::NotionalTooSmall { .. } => {
            let min = shown(refused, |instrument| instrument.rule.min_notional.normalize().to_string());
            (45_110, format!("less than the minimum amount {min} USDT"))
        }
        RejectReason::InsufficientBalance { .. } => {
            (40_762, "The order amount exceeds the balance".to_owned())
        }
        RejectReason::DuplicateClientId => (40_786, "Duplicate clientOid".to_owned()),
        RejectReason::UnknownOrder => (43_001, "The order does not exist".to_owned()),
        RejectReason::AlreadyFilled | RejectReason::AlreadyCancelled => {
            (45_031, "The order is finalized".to_owned())
        }
        // Such orders are accepted and cancelled; no code exists.
        RejectReason::WouldMatch => (40_019, "Parameter force error".to_owned()),
        RejectReason::AmendBelowFilled => (40_020, "Parameter newSize error".to_owned()),
        RejectReason::NothingToAmend => (40_925, "Parameter newSize and newPrice error".to_owned()),
        RejectReason::Unsupported => (400_172, "Parameter verification failed".to_owned()),
        RejectReason::EffectMissing => (
            40_774,
            "The order type for unilateral position must also be the unilateral position type.".to_owned(),
        ),
        RejectReason::NothingToReduce => (22_002, "No position to close".to_owned()),
        RejectReason::RiskLimit => (40_762, "The order amount exceeds the balance".to_owned()),
        RejectReason::LeverageOutOfRange { .. } => {
            (43_050, "Leverage exceeds the effective range".to_owned())
        }
        RejectReason::PositionsOpen => {
            (45_117, "Currently holding positions or orders, the margin mode cannot be adjusted".to_owned())
        }
        RejectReason::ModeNotSupported | RejectReason::NoContract | RejectReason::MarginNotMovable => {
            (400_172, "Parameter verification failed".to_owned())
        }
        RejectReason::TooManyOrders { .. } => {
            (40_761, "The total number of unfilled orders is too high".to_owned())
        }
    };
    NativeError { code, http: 400, message }
}

fn shown(refused: &Refused<'_>, number: impl Fn(&Instrument) -> String) -> String {
    refused.instrument.map_or_else(|| "{0}".to_owned(), number)
}

/// Bitget's state of an order that ended before all of it filled; contracts say `canceled` whatever filled.
pub fn ending(reason: CancelReason, _anything_filled: bool) -> NativeEnding {
    let source = match reason {
        CancelReason::Requested => "normal_cancel",
        CancelReason::SelfTrade => "stp_cancel",
        CancelReason::WouldMatch => "post_only_cancel",
        CancelReason::BookExhausted | CancelReason::CannotFillWhole => "ioc_not_full_cancel",
        CancelReason::Expired
        | CancelReason::AmendedAway
        | CancelReason::FundsSpent
        | CancelReason::NothingToReduce
        | CancelReason::Liquidation
        | CancelReason::SessionEnded => "system_cancel",
    };
    NativeEnding { state: "canceled", source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_have_bitgets_words() {
        let btc = crate::venue::Venue::catalogue(&crate::venue::bitget::Bitget).unwrap().entries[0]
            .instrument
            .clone();
        let words = |reason, instrument| {
            let answer = refusal(&Refused { reason, instrument, kind: None, side: None });
            format!("{} {} {}", answer.http, answer.code, answer.message)
        };
        let money = crate::order::Money(5);
        for (reason, want) in [
            (RejectReason::UnknownInstrument, "400 40034 Parameter symbol does not exist"),
            (
                RejectReason::OffTick { tick: btc.rule.tick },
                "400 45115 The price you enter should be a multiple of 0.1",
            ),
            (
                RejectReason::OffLot { lot: btc.rule.lot },
                "400 40808 Parameter verification exception size checkBDScale error checkScale=3",
            ),
            (RejectReason::NotionalTooSmall { min: money }, "400 45110 less than the minimum amount 5 USDT"),
            (RejectReason::UnknownOrder, "400 43001 The order does not exist"),
            (RejectReason::DuplicateClientId, "400 40786 Duplicate clientOid"),
        ] {
            assert_eq!(words(reason, Some(&btc)), want);
        }
        let bare = words(RejectReason::OffTick { tick: btc.rule.tick }, None);
        assert_eq!(bare, "400 45115 The price you enter should be a multiple of {0}");
    }

    #[test]
    fn endings_are_cancels() {
        let own = ending(CancelReason::Requested, true);
        assert_eq!((own.state, own.source), ("canceled", "normal_cancel"));
        assert_eq!(ending(CancelReason::WouldMatch, false).source, "post_only_cancel");
    }
}
