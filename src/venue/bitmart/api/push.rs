//! What the private sockets push: orders and balances.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::shape::{self, fixed};
use crate::connector::OrderType;
use crate::market::Timestamp;
use crate::order::{AccountId, Liquidity, OrderStatus};
use crate::paper::{Dictionary, FillRow, Known, PaperExchange, TraderView};
use crate::sim::{Cause, LedgerEntry, OrderEvent, OrderUpdate, Owner};

/// Orders show ten decimals.
const DECIMALS: u32 = 10;

/// An order as its owner is told; `None` for what no client is told here.
pub(super) fn order(
    paper: &PaperExchange,
    trader: &TraderView,
    update: &OrderUpdate,
) -> Option<(String, Value)> {
    let state = update.order.as_ref().filter(|order| order.id.0 != 0)?;
    if matches!(update.event, OrderEvent::Rejected(_) | OrderEvent::Done) {
        return None;
    }
    let names = paper.names();
    let known = trader.by_exchange_id(state.id)?;
    let instrument = shape::spot(names, state.instrument)?;
    let any = !state.filled.is_zero();
    // The state is that of this event, which may not be the last of what the owner knows.
    let word = match (state.status, update.event) {
        (OrderStatus::Filled, _) => "filled",
        (OrderStatus::Cancelled, OrderEvent::Cancelled(reason)) => {
            crate::venue::bitmart::errors::ending(reason, any).state
        }
        (OrderStatus::Cancelled, _) if any => "partially_canceled",
        (OrderStatus::Cancelled, _) => "canceled",
        _ if any => "partially_filled",
        _ => "new",
    };
    let last = any.then(|| trader.fills().iter().rev().find(|row| row.fill.order == state.id)).flatten();
    let amount = fixed(instrument.qty_decimal(state.qty), DECIMALS);
    let price = state.price.map_or(Decimal::ZERO, |price| instrument.price_decimal(price));
    let kind = shape::kind(known);
    let millis = |time: Timestamp| time.millis().to_string();
    let mut data = json!({
        "symbol": instrument.symbol,
        "side": state.side.name(),
        "type": kind,
        "notional": notional(names, known),
        "size": amount,
        "ms_t": millis(state.created),
        "price": fixed(price, DECIMALS),
        "filled_notional": fixed(names.quote_decimal(state.instrument, state.filled_quote), DECIMALS),
        "filled_size": fixed(instrument.qty_decimal(state.filled), DECIMALS),
        "margin_trading": "0",
        "state": shape::state_number(word),
        "order_id": shape::order_id(state.id),
        "order_type": match kind { "limit_maker" => "1", "ioc" => "3", _ => "0" },
        "client_order_id": shape::client_id(known),
        "create_time": millis(state.created),
        "update_time": millis(paper.now()),
        "order_mode": "spot",
        "entrust_type": match kind { "limit_maker" | "ioc" => kind, _ => "normal" },
        "order_state": word,
    });
    if let Value::Object(fields) = &mut data {
        fields.extend(last_fill(names, last));
    }
    Some((instrument.symbol.to_string(), data))
}

/// What a market buy was to spend; nothing for other orders.
fn notional(names: &Dictionary, known: &Known) -> String {
    let spends = (known.order.order_type == OrderType::Market).then(|| shape::spends(names, known)).flatten();
    spends.map(|spends| fixed(spends, DECIMALS)).unwrap_or_default()
}

fn last_fill(names: &Dictionary, last: Option<&FillRow>) -> serde_json::Map<String, Value> {
    let shown = last.and_then(|row| {
        let fill = &row.fill;
        let instrument = names.instrument(fill.instrument)?;
        Some([
            row.at.millis().to_string(),
            shape::price(instrument, fill.price),
            shape::size_text(instrument, instrument.qty_decimal(fill.qty)),
            if fill.liquidity == Liquidity::Maker { "M" } else { "T" }.to_owned(),
            shape::trade_id(fill.id),
            shape::money_text(names.decimal(fill.fee_asset, fill.fee)),
            names.asset(fill.fee_asset)?.to_string(),
        ])
    });
    let none = || ["0", "0", "0", "", "", "", ""].map(str::to_owned);
    const NAMES: [&str; 7] = [
        "last_fill_time",
        "last_fill_price",
        "last_fill_count",
        "exec_type",
        "detail_id",
        "dealFee",
        "deal_fee_coin_name",
    ];
    let values = shown.unwrap_or_else(none).map(Value::from);
    NAMES.iter().map(|name| (*name).to_owned()).zip(values).collect()
}

/// The last word of each account on each of its assets, with the event that changed it.
#[derive(Debug, Default)]
pub(super) struct Balances(BTreeMap<(AccountId, u16), (LedgerEntry, &'static str)>);

impl Balances {
    pub(super) fn see(&mut self, entry: &LedgerEntry) {
        if let Owner::Account(account) = entry.owner {
            let event =
                if entry.cause == Cause::Deposit { "ACCOUNT_RECHARGE" } else { "TRANSACTION_COMPLETED" };
            self.0.insert((account, entry.asset), (*entry, event));
        }
    }

    /// A frame for each: one currency in each, since clients read only the first.
    pub(super) fn frames(self, paper: &PaperExchange) -> Vec<(AccountId, Value)> {
        let names = paper.names();
        let time = paper.now().millis().to_string();
        let frame = |((account, asset), (entry, event)): ((AccountId, u16), (LedgerEntry, &str))| {
            let available = names.decimal(asset, entry.balance_after - entry.hold_after);
            let frozen = names.decimal(asset, entry.hold_after);
            let detail = json!({
                "ccy": names.asset(asset)?.as_str(),
                "av_bal": shape::money_text(available),
                "fz_bal": shape::money_text(frozen),
            });
            let data = json!({ "event_type": event, "event_time": time, "balance_details": [detail] });
            Some((account, data))
        };
        self.0.into_iter().filter_map(frame).collect()
    }
}
