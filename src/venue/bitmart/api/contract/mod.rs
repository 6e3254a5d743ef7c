//! BitMart's contracts (futures v2): what everybody is told of them, margin and positions, orders and plans, and their
//! sockets.
//!
//! Never here: spot, and what margin or a fill comes to (that is `sim`). Start at [`ROUTES`] and [`Streams`].

mod balance;
mod history;
mod market;
mod memory;
mod orders;
mod plans;
mod position;
mod presets;
mod push;
mod query;
mod settings;
mod shape;
mod streams;
#[cfg(test)]
mod tests;
mod topic;
mod trails;

use super::query::trader;
use super::routes::{Asked, Per, Route, futures, futures_keyed, futures_post};
use super::{account, reply};
use crate::market::{Instrument, InstrumentId, Product};
use crate::paper::PaperExchange;
use crate::venue::NativeError;
use crate::venue::api::instrument_of;

pub(in crate::venue::bitmart::api) use memory::Memory;
pub(in crate::venue::bitmart::api) use streams::Streams;

/// The requests on contracts.
pub(super) const ROUTES: &[Route] = &[
    futures("/contract/public/details", 12, market::details),
    futures("/contract/public/depth", 12, market::depth),
    futures("/contract/public/market-trade", 12, market::trades),
    futures("/contract/public/kline", 12, market::klines),
    futures("/contract/public/markprice-kline", 12, market::mark_klines),
    futures("/contract/public/open-interest", 2, market::open_interest),
    futures("/contract/public/funding-rate", 12, market::funding_rate),
    futures("/contract/public/funding-rate-v2", 12, market::funding_rates),
    futures("/contract/public/funding-rate-history", 12, market::funding_history),
    futures("/contract/public/leverage-bracket", 12, market::brackets),
    futures_keyed("/contract/private/assets-detail", 12, balance::assets),
    futures_keyed("/contract/private/trade-fee-rate", 2, balance::fee_rate),
    futures_keyed("/contract/private/transaction-history", 6, balance::transactions),
    futures_keyed("/contract/private/position", 6, position::plain),
    futures_keyed("/contract/private/position-v2", 6, position::both),
    futures_keyed("/contract/private/position-risk", 24, position::risk),
    futures_keyed("/contract/private/get-position-mode", 2, settings::mode),
    futures_keyed("/contract/private/order", 50, query::order),
    futures_keyed("/contract/private/order-history", 6, query::history),
    futures_keyed("/contract/private/get-open-orders", 50, query::open),
    futures_keyed("/contract/private/current-plan-order", 50, query::plans),
    futures_keyed("/contract/private/trades", 6, query::trades),
    futures_post("/contract/private/set-position-mode", 2, Per::Key, settings::set_mode),
    futures_post("/contract/private/submit-leverage", 24, Per::Key, settings::set_leverage),
    futures_post("/contract/private/submit-order", 24, Per::Key, orders::submit),
    futures_post("/contract/private/modify-limit-order", 24, Per::Uid, orders::modify),
    futures_post("/contract/private/cancel-order", 40, Per::Key, orders::cancel),
    futures_post("/contract/private/cancel-orders", 2, Per::Key, orders::cancel_all),
    futures_post("/contract/private/cancel-all-after", 4, Per::Uid, orders::cancel_all_after),
    futures_post("/contract/private/submit-plan-order", 24, Per::Uid, plans::submit),
    futures_post("/contract/private/modify-plan-order", 24, Per::Uid, plans::modify),
    futures_post("/contract/private/cancel-plan-order", 40, Per::Uid, plans::cancel),
    futures_post("/contract/private/submit-tp-sl-order", 24, Per::Uid, plans::submit_for_position),
    futures_post("/contract/private/modify-tp-sl-order", 24, Per::Uid, plans::modify),
    futures_post("/contract/private/modify-preset-plan-order", 24, Per::Uid, plans::modify_preset),
    futures_post("/contract/private/submit-trail-order", 24, Per::Uid, trails::submit),
    futures_post("/contract/private/cancel-trail-order", 24, Per::Uid, trails::cancel),
    futures_post("/contract/private/claim", 2, Per::Uid, account::no_permission),
];

/// What a path of contracts answers where there is nothing: the futures host words it its own way.
pub(super) fn nothing(path: &str, number: u64) -> Option<crate::venue::api::Reply> {
    path.starts_with("/contract/").then(|| reply::contract_nothing(number))
}

/// The contracts of the run.
fn contracts(paper: &PaperExchange) -> impl Iterator<Item = (InstrumentId, &Instrument)> {
    let all = (0_u32..).map(InstrumentId).zip(paper.names().instruments());
    all.filter(|(_, instrument)| instrument.product != Product::Spot)
}

/// The contract of a symbol.
fn find(paper: &PaperExchange, symbol: &str) -> Option<(InstrumentId, Instrument)> {
    let id = instrument_of(paper, symbol)?;
    let instrument = paper.names().instrument(id).filter(|known| known.product != Product::Spot)?;
    Some((id, instrument.clone()))
}

/// The contract that a request names.
fn named(asked: &Asked<'_, '_>) -> Result<(InstrumentId, Instrument), NativeError> {
    let missing = || reply::error(400, 40_034, "The Symbol is not exist");
    let symbol = asked.fields.first(&["symbol"])?.ok_or_else(missing)?;
    find(asked.room.paper, &symbol).ok_or_else(missing)
}

/// The contract that a request is narrowed to, where it names one.
fn wanted(asked: &Asked<'_, '_>) -> Result<Option<InstrumentId>, NativeError> {
    match asked.fields.first(&["symbol"])? {
        Some(_) => named(asked).map(|(id, _)| Some(id)),
        None => Ok(None),
    }
}

/// What one contract is of the base.
fn multiplier(instrument: &Instrument) -> rust_decimal::Decimal {
    match instrument.product {
        Product::Spot => rust_decimal::Decimal::ONE,
        Product::Linear { multiplier } | Product::Inverse { multiplier } | Product::Quanto { multiplier } => {
            multiplier
        }
    }
}

/// Words a general complaint about parameters as the futures host does; what has a code of its own keeps it.
pub(super) fn worded(error: NativeError) -> NativeError {
    match error.code {
        50_000 | 50_021 => {
            let message = error.message.trim_start_matches("Bad Request ");
            let detail = message.trim_start_matches('[').trim_end_matches(']');
            reply::error(400, 40_011, format!("Invalid request [{detail}]"))
        }
        _ => error,
    }
}
