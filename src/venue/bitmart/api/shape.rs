//! How numbers, orders and fills look in BitMart's replies.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::connector::{OrderState, OrderType};
use crate::market::decimal::{Plain, decimal_of};
use crate::market::{Instrument, InstrumentId, Price, Product, Side};
use crate::order::{FillId, Liquidity, OrderId, TimeInForce};
use crate::paper::{Candle, Dictionary, FillRow, Known};
use crate::venue::bitmart::errors;

/// Ids of orders and of trades begin here: live ones have 18 digits.
const FIRST_ORDER: u64 = 200_000_000_000_000_000;
const FIRST_TRADE: u64 = 300_000_000_000_000_000;

/// An order's id as clients see it.
pub(super) fn order_id(id: OrderId) -> String {
    (FIRST_ORDER + id.0).to_string()
}

/// An order by the id that a client names; `None` where no order can have it.
pub(super) fn order_of(text: &str) -> Option<OrderId> {
    text.parse::<u64>().ok()?.checked_sub(FIRST_ORDER).map(OrderId)
}

/// A fill's id as clients see it.
pub(super) fn trade_id(id: FillId) -> String {
    (FIRST_TRADE + id.0).to_string()
}

/// A price with the decimals of its tick.
pub(super) fn price(instrument: &Instrument, price: Price) -> String {
    fixed(instrument.price_decimal(price), price_decimals(instrument))
}

/// A decimal with at least so many decimals; more where it needs them.
pub(super) fn fixed(value: Decimal, decimals: u32) -> String {
    let value = value.normalize();
    format!("{value:.*}", decimals.max(value.scale()) as usize)
}

/// Decimals of the tick: BitMart's `price_max_precision`.
pub(super) fn price_decimals(instrument: &Instrument) -> u32 {
    instrument.price_decimal(instrument.rule.tick).scale()
}

/// Decimals of the lot.
pub(super) fn size_decimals(instrument: &Instrument) -> u32 {
    instrument.qty_decimal(instrument.rule.lot).scale()
}

/// A price of a decimal.
pub(super) fn price_text(instrument: &Instrument, value: Decimal) -> String {
    fixed(value, price_decimals(instrument))
}

/// A size of a decimal.
pub(super) fn size_text(instrument: &Instrument, value: Decimal) -> String {
    fixed(value, size_decimals(instrument))
}

/// Money with eight decimals.
pub(super) fn money_text(value: Decimal) -> String {
    fixed(value, 8)
}

/// What was paid for what traded in a span.
pub(super) fn turnover(instrument: &Instrument, candle: &Candle) -> String {
    let scale = instrument.price_scale + instrument.qty_scale;
    let value = decimal_of(candle.turnover, scale);
    value.map_or_else(
        || Plain::new(candle.turnover, scale).to_string(),
        |value| fixed(value, price_decimals(instrument)),
    )
}

/// What was paid on average, with four decimals more than the tick has where it needs them.
pub(super) fn average(instrument: &Instrument, quote: Decimal, base: Decimal) -> String {
    let decimals = price_decimals(instrument);
    let average = quote.checked_div(base).unwrap_or_default();
    fixed(average.round_dp(decimals + 4), decimals)
}

/// The kind of an order.
pub(super) fn kind(known: &Known) -> &'static str {
    match (known.order.order_type, known.order.time_in_force) {
        (OrderType::Market, _) => "market",
        (OrderType::LimitMaker, _) => "limit_maker",
        (OrderType::Limit, TimeInForce::Ioc | TimeInForce::Fok) => "ioc",
        (OrderType::Limit, _) => "limit",
    }
}

/// The state of an order, and who ended it.
pub(super) fn state(known: &Known) -> (&'static str, &'static str) {
    let order = &known.order;
    let any = !order.executed_amount_base.is_zero();
    match (order.current_state, known.cancelled) {
        (OrderState::Filled, _) => ("filled", ""),
        (OrderState::Failed, _) => ("failed", "system"),
        (OrderState::Canceled, reason) => {
            let ending = reason.map(|reason| errors::ending(reason, any));
            ending.map_or(("canceled", "system"), |ending| (ending.state, ending.source))
        }
        _ if any => ("partially_filled", ""),
        _ => ("new", ""),
    }
}

/// The older number of a state: 4 new, 5 partially filled, 6 filled, 8 cancelled, 12 cancelled in part.
pub(super) fn state_number(state: &str) -> &'static str {
    match state {
        "new" => "4",
        "partially_filled" => "5",
        "filled" => "6",
        "canceled" => "8",
        "partially_canceled" => "12",
        _ => "1",
    }
}

/// The client's id, empty where it gave none.
pub(super) fn client_id(known: &Known) -> &str {
    let id = known.order.client_order_id.as_str();
    if id.starts_with('\u{1}') { "" } else { id }
}

/// `buy` or `sell`.
pub(super) fn side(known: &Known) -> &'static str {
    if known.order.trade_type == crate::connector::TradeType::Sell { "sell" } else { "buy" }
}

/// What a market buy was to spend.
pub(super) fn spends(names: &Dictionary, known: &Known) -> Option<Decimal> {
    let money = known.state.as_ref()?.quote_qty()?;
    Some(names.quote_decimal(known.instrument, money))
}

/// A spot instrument of the run; contracts are shown by their own requests.
pub(super) fn spot(names: &Dictionary, id: InstrumentId) -> Option<&Instrument> {
    names.instrument(id).filter(|instrument| instrument.product == Product::Spot)
}

/// An order as the v4 queries show it; `None` for one on a contract.
pub(super) fn order(names: &Dictionary, known: &Known) -> Option<Value> {
    let (instrument, id) = (spot(names, known.instrument)?, known.id?);
    let order = &known.order;
    let (state, source) = state(known);
    let price = order.price.unwrap_or_default();
    let notional = spends(names, known).or_else(|| price.checked_mul(order.amount)).unwrap_or_default();
    Some(json!({
        "orderId": order_id(id),
        "clientOrderId": client_id(known),
        "symbol": instrument.symbol,
        "side": side(known),
        "orderMode": "spot",
        "type": kind(known),
        "state": state,
        "cancelSource": source,
        "stpMode": "none",
        "price": price_text(instrument, price),
        "priceAvg": average(instrument, order.executed_amount_quote, order.executed_amount_base),
        "size": size_text(instrument, order.amount),
        "filledSize": size_text(instrument, order.executed_amount_base),
        "notional": money_text(notional),
        "filledNotional": money_text(order.executed_amount_quote),
        "createTime": order.creation_timestamp.millis(),
        "updateTime": order.last_update_timestamp.millis(),
    }))
}

/// A fill as the v4 queries show it; `None` for one of a contract.
pub(super) fn trade(names: &Dictionary, row: &FillRow, known: Option<&Known>) -> Option<Value> {
    let fill = &row.fill;
    let instrument = spot(names, fill.instrument)?;
    let fee_coin = names.asset(fill.fee_asset)?;
    let id = row.client_id.as_str();
    Some(json!({
        "tradeId": trade_id(fill.id),
        "orderId": order_id(fill.order),
        "clientOrderId": if id.starts_with('\u{1}') { "" } else { id },
        "symbol": instrument.symbol,
        "side": fill.side.name(),
        "orderMode": "spot",
        "type": known.map_or("limit", kind),
        "stpMode": "none",
        "price": self::price(instrument, fill.price),
        "size": size_text(instrument, instrument.qty_decimal(fill.qty)),
        "notional": money_text(names.quote_decimal(fill.instrument, fill.quote)),
        "fee": money_text(names.decimal(fill.fee_asset, fill.fee)),
        "feeCoinName": fee_coin.as_str(),
        "tradeRole": if fill.liquidity == Liquidity::Maker { "maker" } else { "taker" },
        "createTime": row.at.millis(),
        "updateTime": row.at.millis(),
    }))
}

/// The best price of a side with what stands there; zeros where nothing does.
pub(super) fn best(
    paper: &crate::paper::PaperExchange,
    id: InstrumentId,
    instrument: &Instrument,
    side: Side,
) -> (String, String) {
    let level = paper.sim().levels(id, side, crate::sim::View::Public).next();
    let shown = level.map(|level| {
        (price(instrument, level.price), size_text(instrument, instrument.qty_decimal(level.qty)))
    });
    shown.unwrap_or_else(|| (price_text(instrument, Decimal::ZERO), size_text(instrument, Decimal::ZERO)))
}

/// The numbers of the last 24 hours.
pub(super) struct Ticker {
    pub(super) last: String,
    pub(super) base: String,
    pub(super) quote: String,
    pub(super) open: String,
    pub(super) high: String,
    pub(super) low: String,
    /// What the price changed by, as a fraction of the open.
    pub(super) change: String,
}

/// Those of an instrument; `None` before its first trade.
pub(super) fn ticker(
    paper: &crate::paper::PaperExchange,
    id: InstrumentId,
    instrument: &Instrument,
) -> Option<Ticker> {
    let day = paper.day(id)?;
    let (open, close) = (instrument.price_decimal(day.open), instrument.price_decimal(day.close));
    let change = (close - open).checked_div(open).unwrap_or_default().round_dp(4);
    Some(Ticker {
        last: price(instrument, day.close),
        base: size_text(instrument, instrument.qty_decimal(day.qty)),
        quote: turnover(instrument, &day),
        open: price(instrument, day.open),
        high: price(instrument, day.high),
        low: price(instrument, day.low),
        change: fixed(change, 4),
    })
}
