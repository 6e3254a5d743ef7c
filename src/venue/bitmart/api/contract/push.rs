//! What the private sockets push of contracts: orders, positions and assets.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::balance::{Figures, LISTED, settled_in};
use super::memory::Memory;
use super::position::Held;
use super::{shape, trails};
use crate::market::{Asset, Product};
use crate::order::{AccountId, CancelReason, OrderStatus, PositionEffect};
use crate::paper::{FillRow, PaperExchange, TraderView};
use crate::sim::{OrderEvent, OrderUpdate, PositionState};
use crate::venue::api::Account;

/// Whether a topic is of an account.
pub(super) fn is_private(name: &str) -> bool {
    let asset = name.strip_prefix("futures/asset:");
    matches!(name, "futures/order" | "futures/position") || asset.is_some_and(|asset| LISTED.contains(&asset))
}

/// Thirty-two digits with dashes, another one for each number.
pub(super) fn unique(number: u64) -> String {
    let (high, low) =
        (number.wrapping_mul(0x9e37_79b9_7f4a_7c15), number.wrapping_mul(0xbf58_476d_1ce4_e5b9));
    let text = format!("{high:016x}{low:016x}");
    [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-")
}

/// 1 a fill, 2 it is there, 3 it is gone, 4 and 6 with a liquidation; `None` for what no client is told.
fn action(event: OrderEvent) -> Option<u8> {
    match event {
        OrderEvent::Filled => Some(1),
        OrderEvent::Accepted | OrderEvent::Amended { .. } | OrderEvent::Triggered => Some(2),
        OrderEvent::Cancelled(CancelReason::Liquidation) => Some(4),
        OrderEvent::Cancelled(_) => Some(3),
        OrderEvent::Rejected(_) | OrderEvent::AtTheDoor | OrderEvent::Done => None,
    }
}

/// The last fill of an order, as its push has it: what is paid is negative here.
fn last_trade(paper: &PaperExchange, row: &FillRow) -> Option<Value> {
    let (fill, names) = (&row.fill, paper.names());
    let instrument = names.instrument(fill.instrument)?;
    Some(json!({
        "lastTradeID": shape::trade_id(fill.id),
        "fillQty": shape::contracts(instrument, fill.qty),
        "fillPrice": shape::plain(instrument.price_decimal(fill.price)),
        "fee": shape::plain(-names.decimal(fill.fee_asset, fill.fee)),
        "feeCcy": names.asset(fill.fee_asset)?.as_str(),
    }))
}

/// An order as its owner is told; never in state 1, which clients do not expect, and with a fill only where there was
/// one now.
pub(super) fn order(
    paper: &PaperExchange,
    trader: &TraderView,
    update: &OrderUpdate,
    memory: &Memory,
) -> Option<Value> {
    let state = update.order.as_ref().filter(|order| order.id.0 != 0)?;
    let action = action(update.event)?;
    let instrument = paper.names().instrument(state.instrument)?;
    let known = trader.by_exchange_id(state.id).filter(|_| instrument.product != Product::Spot)?;
    let (open_type, leverage) = shape::terms(paper, trader.account, known);
    let over = matches!(state.status, OrderStatus::Filled | OrderStatus::Cancelled);
    // The state is that of this event, which may not be the last of what its owner knows.
    let fills = || trader.fills().iter().rev().filter(|row| row.fill.order == state.id);
    let mut filled = crate::market::Qty::ZERO;
    let mut upto: Vec<&FillRow> = fills().collect();
    upto.reverse();
    upto.retain(|row| {
        filled += row.fill.qty;
        filled <= state.filled
    });
    let last = upto.last().filter(|_| action == 1).and_then(|row| last_trade(paper, row));
    let price = |price| shape::plain(instrument.price_decimal(price));
    let trigger = state.trigger().filter(|_| trails::calling(Some(state)).is_none());
    let shown = memory.shown(update.session, &known.order.client_order_id, state.id);
    let dash = || "-".to_owned();
    let limit = state.price.map_or_else(|| "0".to_owned(), price);
    let order = json!({
        "order_id": shape::order_id(shown).to_string(),
        "client_order_id": super::super::shape::client_id(known),
        "price": limit,
        "size": shape::contracts(instrument, state.qty),
        "symbol": instrument.symbol,
        "state": if over { 4 } else { 2 },
        "side": shape::side(state.side, state.effect()),
        "type": shape::kind_word(known),
        "leverage": leverage,
        "open_type": open_type,
        "deal_avg_price": shape::average_of(instrument, upto.iter().map(|row| &row.fill)),
        "deal_size": shape::contracts(instrument, state.filled),
        "create_time": state.created.millis(),
        "update_time": paper.now().millis(),
        "plan_order_id": if trigger.is_some() { shape::order_id(shown).to_string() } else { String::new() },
        "last_trade": last,
        "trigger_price": trigger.map_or_else(dash, |trigger| price(trigger.price)),
        "trigger_price_type": trigger.map_or_else(dash, |trigger| shape::price_word(trigger.by).to_owned()),
        "execution_price": if trigger.is_some() { limit.clone() } else { dash() },
        "position_mode": match state.effect() {
            PositionEffect::Open => "hedge_mode",
            PositionEffect::Net => "one_way_mode",
            PositionEffect::Close => {
                shape::mode_name(paper.sim().position_mode(trader.account, state.instrument))
            }
        },
    });
    let order = shape::with(order, trails::columns(instrument, state, (json!("-"), "-")));
    Some(json!({ "action": action, "order": order }))
}

/// A position as its owner is told; with nothing held where it was closed.
pub(super) fn position(paper: &PaperExchange, account: &Account, state: &PositionState) -> Option<Value> {
    let instrument = paper.names().instrument(state.instrument)?;
    let trader = paper.trader(account.session)?;
    let held = Held { paper, account, trader, instrument, state: state.clone() };
    let story = held.story();
    let closes =
        if super::position::long(state) { crate::market::Side::Sell } else { crate::market::Side::Buy };
    let entry = held.price(state.entry);
    let millis = |time: Option<crate::market::Timestamp>| time.map_or(0, crate::market::Timestamp::millis);
    Some(json!({
        "symbol": instrument.symbol,
        "hold_volume": shape::contracts(instrument, state.qty),
        "position_type": if super::position::long(state) { 1 } else { 2 },
        "open_type": if state.margin == crate::order::MarginMode::Isolated { 1 } else { 2 },
        "frozen_volume": shape::contracts(instrument, super::position::closing(trader, state.instrument, closes)),
        "close_volume": shape::contracts(instrument, story.closed),
        "hold_avg_price": entry,
        "close_avg_price": story.average(instrument),
        "open_avg_price": entry,
        "liquidate_price": held.price(state.liquidation),
        "create_time": millis(story.opened),
        "update_time": millis(story.updated),
        "position_mode": held.mode(),
    }))
}

/// What was last told of each account's assets: a push is for a change.
#[derive(Debug, Default)]
pub(super) struct Told(BTreeMap<(AccountId, Asset), Figures>);

impl Told {
    /// The topics of what has changed, with their data.
    pub(super) fn assets(&mut self, paper: &PaperExchange, account: AccountId) -> Vec<(String, Value)> {
        let mut pushes = Vec::new();
        for asset in settled_in(paper) {
            let Some(index) = paper.names().asset_index(&asset) else { continue };
            let now = Figures::of(paper, account, index);
            let same = |before: &Figures| {
                (before.available, before.frozen, before.deposit) == (now.available, now.frozen, now.deposit)
            };
            if self.0.get(&(account, asset.clone())).is_some_and(same) {
                continue;
            }
            let data = json!({
                "currency": asset.as_str(),
                "available_balance": shape::plain(now.available),
                "position_deposit": shape::plain(now.deposit),
                "frozen_balance": shape::plain(now.frozen),
            });
            pushes.push((format!("futures/asset:{asset}"), data));
            self.0.insert((account, asset), now);
        }
        pushes
    }
}
