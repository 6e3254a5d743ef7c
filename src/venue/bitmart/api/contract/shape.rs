//! How numbers, orders and fills look in the replies of the futures host.

use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use super::super::shape::{client_id, kind};
use super::memory::Memory;
use super::trails;
use crate::connector::OrderType;
use crate::market::{FinePrice, FundingRate, Instrument, Side};
use crate::order::{
    AccountId, FillId, Leverage, Liquidity, MarginMode, OrderId, PositionEffect, PositionMode, TimeInForce,
    TriggerBy,
};
use crate::paper::{FillRow, Known, PaperExchange};
use crate::sim::{Fill, OrderState};
use crate::venue::api::Account;

/// Ids begin here: live ones have 16 digits, and clients read them as numbers, so that they stay below 2^53.
const FIRST_ORDER: u64 = 3_000_000_000_000_000;
const FIRST_TRADE: u64 = 4_000_000_000_000_000;

/// An order's id as clients see it.
pub(super) fn order_id(id: OrderId) -> u64 {
    FIRST_ORDER + id.0
}

/// An order by the id that a client names; `None` where no order can have it.
pub(super) fn order_of(text: &str) -> Option<OrderId> {
    text.parse::<u64>().ok()?.checked_sub(FIRST_ORDER).map(OrderId)
}

/// A fill's id as clients see it.
pub(super) fn trade_id(id: FillId) -> u64 {
    FIRST_TRADE + id.0
}

/// A decimal without zeros behind it.
pub(super) fn plain(value: Decimal) -> String {
    value.normalize().to_string()
}

/// A mark, index or entry price, with at most four decimals more than the tick.
pub(super) fn fine(instrument: &Instrument, price: FinePrice) -> Decimal {
    let price = Decimal::new(price.units(), u32::from(FinePrice::SCALE));
    price.round_dp(instrument.price_decimal(instrument.rule.tick).scale() + 4).normalize()
}

/// A rate of funding.
pub(super) fn rate(rate: FundingRate) -> String {
    plain(Decimal::new(rate.units(), u32::from(FundingRate::SCALE)))
}

/// Contracts without a sign.
pub(super) fn contracts(instrument: &Instrument, qty: crate::market::Qty) -> String {
    plain(instrument.qty_decimal(qty).abs())
}

/// `cross` or `isolated`, and the leverage, of an account in a contract.
pub(super) fn terms(paper: &PaperExchange, account: AccountId, known: &Known) -> (&'static str, String) {
    let settings = paper.sim().margin_settings(account, known.instrument);
    let (margin, [long, _]) = settings.unwrap_or((MarginMode::Cross, [Leverage::times(1); 2]));
    (margin.name(), long.to_string())
}

/// 1: buys and opens, 2: buys and closes, 3: sells and closes, 4: sells and opens; where there is one position, 1 and 4
/// go either way.
pub(super) fn side(side: Side, effect: PositionEffect) -> u8 {
    match (side, effect) {
        (Side::Buy, PositionEffect::Close) => 2,
        (Side::Sell, PositionEffect::Close) => 3,
        (Side::Buy, _) => 1,
        (Side::Sell, _) => 4,
    }
}

/// `hedge_mode` or `one_way_mode`.
pub(super) fn mode_name(mode: PositionMode) -> &'static str {
    match mode {
        PositionMode::Hedge => "hedge_mode",
        PositionMode::OneWay => "one_way_mode",
    }
}

/// How long an order lives: 1 until it is cancelled, 2 all or nothing, 3 at once, 4 as a maker only.
pub(super) fn lives(known: &Known) -> u8 {
    match (known.order.order_type, known.order.time_in_force) {
        (OrderType::LimitMaker, _) => 4,
        (_, TimeInForce::Fok) => 2,
        (_, TimeInForce::Ioc) => 3,
        _ => 1,
    }
}

/// `limit` or `market`.
pub(super) fn word(known: &Known) -> &'static str {
    if kind(known) == "market" { "market" } else { "limit" }
}

/// The same, and `trailing`.
pub(super) fn kind_word(known: &Known) -> &'static str {
    if trails::calling(known.state.as_ref()).is_some() { "trailing" } else { word(known) }
}

/// What fills paid on average, to the tick's decimals and four more.
pub(super) fn average_of<'a>(instrument: &Instrument, fills: impl Iterator<Item = &'a Fill>) -> String {
    let (cost, amount) = fills.fold((Decimal::ZERO, Decimal::ZERO), |(cost, amount), fill| {
        let (price, qty) = (instrument.price_decimal(fill.price), instrument.qty_decimal(fill.qty));
        (cost.saturating_add(price.checked_mul(qty).unwrap_or_default()), amount.saturating_add(qty))
    });
    quotient(instrument, cost, amount)
}

fn average(instrument: &Instrument, known: &Known) -> String {
    let fills = known.order.order_fills.values();
    let (cost, amount) = fills.fold((Decimal::ZERO, Decimal::ZERO), |(cost, amount), fill| {
        let more = fill.fill_price.checked_mul(fill.fill_base_amount).unwrap_or_default();
        (cost.saturating_add(more), amount.saturating_add(fill.fill_base_amount))
    });
    quotient(instrument, cost, amount)
}

fn quotient(instrument: &Instrument, cost: Decimal, amount: Decimal) -> String {
    let decimals = instrument.price_decimal(instrument.rule.tick).scale() + 4;
    plain(cost.checked_div(amount).unwrap_or_default().round_dp(decimals))
}

/// Which price wakes an order, as the pushes word it.
pub(super) fn price_word(by: TriggerBy) -> &'static str {
    if by == TriggerBy::Mark { "fair_price" } else { "last_price" }
}

/// 1: the exchange has not decided, 2: live, 4: over.
fn state(known: &Known) -> u8 {
    match (known.done, known.at_the_door) {
        (Some(_), _) => 4,
        (None, true) => 1,
        (None, false) => 2,
    }
}

/// An order as the queries show it. Leverage, margin and mode are those of the account now: they do not change while
/// anything is open.
pub(super) fn order(
    paper: &PaperExchange,
    memory: &Memory,
    account: &Account,
    known: &Known,
) -> Option<Value> {
    let instrument = paper.names().instrument(known.instrument)?;
    let (id, last) = (known.id?, known.state.as_ref()?);
    let id = memory.shown(account.session, &known.order.client_order_id, id);
    let (open_type, leverage) = terms(paper, account.id, known);
    let order = &known.order;
    let price = |price| plain(instrument.price_decimal(price));
    // What trails has no trigger of its client's.
    let trigger = last.trigger().filter(|_| trails::calling(Some(last)).is_none());
    let limit = plain(order.price.unwrap_or_default());
    let row = json!({
        "order_id": order_id(id).to_string(),
        "client_order_id": client_id(known),
        "price": limit,
        "size": plain(order.amount),
        "symbol": instrument.symbol,
        "state": state(known),
        "side": side(last.side, last.effect()),
        "type": kind_word(known),
        "mode": lives(known),
        "leverage": leverage,
        "open_type": open_type,
        "deal_avg_price": average(instrument, known),
        "deal_size": plain(order.executed_amount_base),
        "create_time": order.creation_timestamp.millis(),
        "update_time": order.last_update_timestamp.millis(),
        "position_mode": mode_name(paper.sim().position_mode(account.id, known.instrument)),
        "account": "futures",
        "trigger_price": trigger.map(|trigger| price(trigger.price)).unwrap_or_default(),
        "execution_price": if trigger.is_some() { limit } else { String::new() },
        "executive_order_id": if trigger.is_some() { order_id(id).to_string() } else { String::new() },
    });
    let row = with(row, trails::columns(instrument, last, (json!(0), "")));
    Some(with(row, memory.presets.columns(account.session, &known.order.client_order_id, instrument)))
}

/// A row with more columns.
pub(super) fn with(mut row: Value, columns: Map<String, Value>) -> Value {
    if let Some(row) = row.as_object_mut() {
        row.extend(columns);
    }
    row
}

/// Whether an order waits for its price.
pub(super) fn waits(known: &Known) -> bool {
    known.done.is_none() && known.order.waiting
}

/// 1: the price must rise to the trigger, 2: it must fall.
pub(super) fn way(state: &OrderState) -> Option<u8> {
    Some(if state.trigger()?.rises(state.side) { 1 } else { 2 })
}

/// Which price is looked at: 1 the last, 2 the mark.
pub(super) fn price_type(by: TriggerBy) -> u8 {
    if by == TriggerBy::Mark { 2 } else { 1 }
}

/// A fill as the query of trades shows it.
pub(super) fn trade(paper: &PaperExchange, memory: &Memory, row: &FillRow) -> Option<Value> {
    let fill = &row.fill;
    let names = paper.names();
    let (instrument, did) = (names.instrument(fill.instrument)?, fill.position.as_ref()?);
    let realised = names.decimal(did.settle, did.realised);
    Some(json!({
        "order_id": order_id(memory.shown(fill.session, &row.client_id, fill.order)).to_string(),
        "trade_id": trade_id(fill.id).to_string(),
        "client_order_id": if row.client_id.starts_with('\u{1}') { "" } else { row.client_id.as_str() },
        "symbol": instrument.symbol,
        "side": side(fill.side, did.effect),
        "price": plain(instrument.price_decimal(fill.price)),
        "vol": contracts(instrument, fill.qty),
        "exec_type": if fill.liquidity == Liquidity::Maker { "Maker" } else { "Taker" },
        "profit": realised > Decimal::ZERO,
        "realised_profit": plain(realised),
        "paid_fees": plain(names.decimal(fill.fee_asset, fill.fee)),
        "account": "futures",
        "create_time": row.at.millis(),
    }))
}
