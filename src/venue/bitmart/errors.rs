//! How BitMart words a refusal, and the end of an order. The codes and texts are those of the error tables of its
//! API documentation (spot, "Error Codes"); where it has no code of its own for a reason, the nearest is used and
//! a comment says so.

use crate::market::{Instrument, Product, Side};
use crate::order::{CancelReason, OrderKind, RejectReason};
use crate::venue::{NativeEnding, NativeError, Refused};

/// BitMart's answer to a refused request.
pub fn refusal(refused: &Refused<'_>) -> NativeError {
    if refused.instrument.is_some_and(|instrument| instrument.product != Product::Spot)
        || is_about_positions(refused.reason)
    {
        return contract_refusal(refused.reason);
    }
    let rule = refused.instrument.map(|instrument| (instrument, &instrument.rule));
    let bound = |shown: Option<String>| shown.unwrap_or_else(|| "%s".to_owned());
    let (code, message) = match refused.reason {
        RejectReason::UnknownInstrument => (50_001, "Symbol not found".to_owned()),
        RejectReason::UnknownAccount => (30_002, "Header X-BM-KEY not found".to_owned()),
        RejectReason::NotTradable => (50_023, "This Symbol can't place order by api".to_owned()),
        RejectReason::Halted => (50_040, "Symbol Not Available".to_owned()),
        RejectReason::PriceMissing => (50_011, "RequestParam price is required".to_owned()),
        RejectReason::PriceOutOfRange { max } => {
            let max = bound(rule.map(|(instrument, _)| instrument.show_price(max).to_string()));
            (50_025, format!("Maximum price is {max}"))
        }
        // The real server cuts surplus decimals off in silence and has no code for them.
        RejectReason::OffTick { .. } => (50_021, "Invalid price".to_owned()),
        RejectReason::OffLot { .. } => (50_021, "Invalid size".to_owned()),
        RejectReason::QtyNotPositive => (51_015, "Quantity is too small".to_owned()),
        RejectReason::QtyTooSmall { .. } => (51_009, QTY_TOO_SMALL.to_owned()),
        RejectReason::QtyTooLarge { max } => {
            let max = bound(rule.map(|(instrument, _)| instrument.show_qty(max).to_string()));
            (50_007, format!("Maximum size is {max}"))
        }
        RejectReason::NotionalTooSmall { .. } => notional_too_small(refused),
        RejectReason::InsufficientBalance { .. } => (50_020, "Balance not enough".to_owned()),
        RejectReason::DuplicateClientId => (50_042, "clientOrderId is duplicate".to_owned()),
        RejectReason::UnknownOrder => (50_032, "The order was matched or cancelled".to_owned()),
        RejectReason::AlreadyFilled => (50_031, "Order is already completed".to_owned()),
        RejectReason::AlreadyCancelled => (50_030, "Order is already canceled".to_owned()),
        RejectReason::WouldMatch => would_match(refused.side),
        // Spot orders cannot be amended; the request is malformed in the venue's eyes.
        RejectReason::AmendBelowFilled | RejectReason::NothingToAmend => {
            (50_000, "Bad Request [amend]".to_owned())
        }
        RejectReason::Unsupported => (52_001, "Unsupported Trade Type".to_owned()),
        // What only contracts have is worded by their own table.
        RejectReason::NothingToReduce
        | RejectReason::RiskLimit
        | RejectReason::LeverageOutOfRange { .. }
        | RejectReason::PositionsOpen
        | RejectReason::EffectMissing
        | RejectReason::ModeNotSupported
        | RejectReason::NoContract
        | RejectReason::MarginNotMovable => (50_000, "Bad Request".to_owned()),
        // No code for a number of open orders is documented.
        RejectReason::TooManyOrders { .. } => {
            (51_008, "Operation is limited, please try again later".to_owned())
        }
    };
    let http = if code < 50_000 { 401 } else { 400 };
    NativeError { code, http, message }
}

fn is_about_positions(reason: RejectReason) -> bool {
    matches!(
        reason,
        RejectReason::NothingToReduce
            | RejectReason::RiskLimit
            | RejectReason::LeverageOutOfRange { .. }
            | RejectReason::PositionsOpen
            | RejectReason::EffectMissing
            | RejectReason::ModeNotSupported
            | RejectReason::NoContract
            | RejectReason::MarginNotMovable
    )
}

/// The same of a contract: the futures host has codes of its own (futures v2, "Error Codes").
fn contract_refusal(reason: RejectReason) -> NativeError {
    let (http, code, message) = match reason {
        RejectReason::UnknownInstrument => (400, 40_034, "The Symbol is not exist"),
        RejectReason::UnknownAccount => (401, 30_002, "Header X-BM-KEY not found"),
        RejectReason::NotTradable => (400, 40_014, "This contract is offline"),
        RejectReason::Halted => (400, 40_015, "This contract's exchange has been paused"),
        RejectReason::InsufficientBalance { .. } => {
            (400, 40_027, "You contract account available balance not enough")
        }
        RejectReason::OffTick { .. } | RejectReason::OffLot { .. } => {
            (400, 40_043, "The order precision is invalid")
        }
        RejectReason::PriceOutOfRange { .. }
        | RejectReason::QtyNotPositive
        | RejectReason::QtyTooSmall { .. }
        | RejectReason::QtyTooLarge { .. }
        | RejectReason::NotionalTooSmall { .. } => (400, 40_044, "The order range is invalid"),
        RejectReason::DuplicateClientId => (403, 40_050, "Client OrderId duplicated with existing orders"),
        RejectReason::UnknownOrder => (400, 40_037, "The order id is not exist"),
        RejectReason::AlreadyFilled | RejectReason::AlreadyCancelled => {
            (400, 40_036, "The order status is invalid")
        }
        RejectReason::NothingToReduce => (400, 40_021, "The position is not exsit"),
        // The value is too large for the bracket that this leverage is allowed in.
        RejectReason::RiskLimit | RejectReason::LeverageOutOfRange { .. } => {
            (400, 40_029, "The order's leverage is too large.")
        }
        // The text of this one was never published.
        RejectReason::PositionsOpen => (400, 40_059, "Positions or orders exist"),
        RejectReason::EffectMissing => (400, 40_041, "The order side is invalid"),
        RejectReason::Unsupported => (400, 40_042, "The order type is invalid"),
        // No code for a number of open orders is documented.
        RejectReason::TooManyOrders { .. } => (400, 40_012, "System error"),
        RejectReason::PriceMissing
        | RejectReason::WouldMatch
        | RejectReason::AmendBelowFilled
        | RejectReason::NothingToAmend
        | RejectReason::ModeNotSupported
        | RejectReason::NoContract
        | RejectReason::MarginNotMovable => (400, 40_011, "Invalid request"),
    };
    NativeError { code, http, message: message.to_owned() }
}

const QTY_TOO_SMALL: &str = "Parameter mismatch: limit order/market order quantity should be greater than the \
                             minimum number of should buy/sell";

fn would_match(side: Option<Side>) -> (u32, String) {
    match side {
        Some(Side::Sell) => (50_035, "The price is low and there is no matching depth".to_owned()),
        _ => (50_034, "The price is high and there is no matching depth".to_owned()),
    }
}

/// The live text of the limit order's answer is `param not match : size * price >=5`.
fn notional_too_small(refused: &Refused<'_>) -> (u32, String) {
    match (refused.kind, refused.side) {
        (Some(OrderKind::Market), Some(Side::Buy)) => (
            51_012,
            "Participation mismatch: the number of market order buy orders should be greater than the minimum \
             buyable amount"
                .to_owned(),
        ),
        (Some(OrderKind::Market), _) => {
            (51_014, "Participation mismatch: amount of market order sell orders placed is too small".to_owned())
        }
        _ => {
            let min = |instrument: &Instrument| instrument.rule.min_notional.normalize().to_string();
            let min = refused.instrument.map_or_else(|| "%s".to_owned(), min);
            (51_011, format!("param not match : size * price >={min}"))
        }
    }
}

/// BitMart's state of an order that ended before all of it filled, and who it says ended it (`cancelSource`).
pub fn ending(reason: CancelReason, anything_filled: bool) -> NativeEnding {
    let source = match reason {
        CancelReason::Requested => "user",
        CancelReason::SelfTrade => "stp",
        CancelReason::Expired
        | CancelReason::BookExhausted
        | CancelReason::CannotFillWhole
        | CancelReason::WouldMatch
        | CancelReason::AmendedAway
        | CancelReason::FundsSpent
        | CancelReason::NothingToReduce
        | CancelReason::Liquidation
        | CancelReason::SessionEnded => "system",
    };
    NativeEnding { state: if anything_filled { "partially_canceled" } else { "canceled" }, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{Price, Qty};
    use crate::order::Money;

    fn btc() -> Instrument {
        crate::venue::Venue::catalogue(&crate::venue::bitmart::Bitmart).unwrap().entries[0].instrument.clone()
    }

    const LIMIT: (Option<OrderKind>, Option<Side>) = (Some(OrderKind::Limit), Some(Side::Buy));
    const POST_ONLY: (Option<OrderKind>, Option<Side>) = (Some(OrderKind::LimitMaker), Some(Side::Buy));
    const NONE: (Option<OrderKind>, Option<Side>) = (None, None);

    fn check(
        reason: RejectReason,
        (kind, side): (Option<OrderKind>, Option<Side>),
        code: u32,
        message: &str,
    ) {
        let btc = btc();
        let http = if code == 30_002 { 401 } else { 400 };
        let answer = refusal(&Refused { reason, instrument: Some(&btc), kind, side });
        assert_eq!(answer, NativeError { code, http, message: message.to_owned() }, "{reason:?}");
        let bare = refusal(&Refused { reason, instrument: None, kind, side });
        assert_eq!((bare.code, bare.http), (code, http), "{reason:?} without an instrument");
    }

    #[test]
    fn reasons_about_orders_and_accounts_have_bitmarts_words() {
        let balance = RejectReason::InsufficientBalance { asset: 0, needed: Money(5), available: Money(0) };
        for (reason, order, code, message) in [
            (RejectReason::UnknownInstrument, LIMIT, 50_001, "Symbol not found"),
            (RejectReason::UnknownAccount, LIMIT, 30_002, "Header X-BM-KEY not found"),
            (RejectReason::NotTradable, LIMIT, 50_023, "This Symbol can't place order by api"),
            (RejectReason::Halted, LIMIT, 50_040, "Symbol Not Available"),
            (balance, LIMIT, 50_020, "Balance not enough"),
            (RejectReason::DuplicateClientId, LIMIT, 50_042, "clientOrderId is duplicate"),
            (RejectReason::UnknownOrder, NONE, 50_032, "The order was matched or cancelled"),
            (RejectReason::AlreadyFilled, NONE, 50_031, "Order is already completed"),
            (RejectReason::AlreadyCancelled, NONE, 50_030, "Order is already canceled"),
            (RejectReason::WouldMatch, POST_ONLY, 50_034, "The price is high and there is no matching depth"),
            (
                RejectReason::WouldMatch,
                (POST_ONLY.0, Some(Side::Sell)),
                50_035,
                "The price is low and there is no matching depth",
            ),
            (RejectReason::AmendBelowFilled, NONE, 50_000, "Bad Request [amend]"),
            (RejectReason::NothingToAmend, NONE, 50_000, "Bad Request [amend]"),
            (RejectReason::Unsupported, LIMIT, 52_001, "Unsupported Trade Type"),
            (
                RejectReason::TooManyOrders { max: 1 },
                LIMIT,
                51_008,
                "Operation is limited, please try again later",
            ),
        ] {
            check(reason, order, code, message);
        }
    }

    #[test]
    fn reasons_about_numbers_have_bitmarts_words() {
        let too_small = RejectReason::NotionalTooSmall { min: Money(5) };
        let market = |side| (Some(OrderKind::Market), Some(side));
        let unit = Qty::from_units(1);
        for (reason, order, code, message) in [
            (RejectReason::PriceMissing, LIMIT, 50_011, "RequestParam price is required"),
            (
                RejectReason::PriceOutOfRange { max: Price::from_units(10_000_050) },
                LIMIT,
                50_025,
                "Maximum price is 100000.5",
            ),
            (RejectReason::OffTick { tick: Price::from_units(1) }, LIMIT, 50_021, "Invalid price"),
            (RejectReason::QtyNotPositive, LIMIT, 51_015, "Quantity is too small"),
            (RejectReason::OffLot { lot: unit }, LIMIT, 50_021, "Invalid size"),
            (RejectReason::QtyTooSmall { min: unit }, LIMIT, 51_009, QTY_TOO_SMALL),
            (
                RejectReason::QtyTooLarge { max: Qty::from_units(150_000) },
                LIMIT,
                50_007,
                "Maximum size is 1.5",
            ),
            (too_small, LIMIT, 51_011, "param not match : size * price >=5"),
            (
                too_small,
                market(Side::Buy),
                51_012,
                "Participation mismatch: the number of market order buy orders should be greater than the minimum \
                 buyable amount",
            ),
            (
                too_small,
                market(Side::Sell),
                51_014,
                "Participation mismatch: amount of market order sell orders placed is too small",
            ),
        ] {
            check(reason, order, code, message);
        }
    }

    #[test]
    fn every_ending_has_bitmarts_state() {
        for (reason, source) in [
            (CancelReason::Requested, "user"),
            (CancelReason::Expired, "system"),
            (CancelReason::BookExhausted, "system"),
            (CancelReason::CannotFillWhole, "system"),
            (CancelReason::WouldMatch, "system"),
            (CancelReason::SelfTrade, "stp"),
            (CancelReason::AmendedAway, "system"),
            (CancelReason::FundsSpent, "system"),
            (CancelReason::SessionEnded, "system"),
        ] {
            assert_eq!(ending(reason, false), NativeEnding { state: "canceled", source });
            assert_eq!(ending(reason, true).state, "partially_canceled");
        }
    }
}
