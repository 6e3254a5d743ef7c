//! What a client asks for with an order, read into the engine's words.

use rust_decimal::Decimal;

use super::fields::Fields;
use super::pegs::{self, Pegged};
use super::public;
use super::routes::{Refusal, bad};
use super::{positions, rows};
use crate::market::decimal::{parse_units, units_of};
use crate::market::{Instrument, InstrumentId, Price, Product, Qty, Side, Timestamp};
use crate::order::{
    NewOrder, OrderKind, OrderSize, PositionEffect, SpecialOrder, TimeInForce, Trail, Trigger, TriggerBy,
    TriggerKind,
};
use crate::paper::PaperExchange;
use crate::venue::api::Account;

/// The longest client id.
const LONGEST_ID: usize = 36;

/// An order that can be sent.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) special: SpecialOrder,
    pub(super) one: Instrument,
    /// It closes the position: what else would close the same is cancelled.
    pub(super) closes: bool,
}

/// A quantity of the wire in the instrument's numbers, without its sign, and whether it had one.
pub(super) fn quantity(one: &Instrument, text: &str) -> Result<(Qty, bool), Refusal> {
    let wrong = || bad("Invalid orderQty");
    let wire: Decimal = text.parse().or_else(|_| Decimal::from_scientific(text)).map_err(|_| wrong())?;
    let qty = wire.checked_div(rows::units(one)).ok_or_else(wrong)?.abs();
    let units = units_of(qty, one.qty_scale).and_then(|units| i64::try_from(units).ok());
    match units {
        Some(units) => Ok((Qty::from_units(units), wire.is_sign_negative())),
        // Finer than the book's own numbers: no multiple of the lot either.
        None => {
            let lot = rows::size(one, one.qty_decimal(one.rule.lot));
            Err(bad(&format!("Order quantity must be a multiple of lot size: {lot}")))
        }
    }
}

/// A price of the wire; `what` is the parameter that refusals name.
pub(super) fn price(one: &Instrument, text: &str, what: &str) -> Result<Price, Refusal> {
    match parse_units(text.as_bytes(), one.price_scale) {
        Ok(units) => Ok(Price::from_units(units)),
        Err(crate::market::decimal::DecimalFault::TooPrecise { .. }) => {
            Err(bad(&format!("Invalid {what} tickSize")))
        }
        Err(_) => Err(bad(&format!("Invalid {what}"))),
    }
}

/// A price to wait for: a multiple of the tick in the range of prices.
pub(super) fn trigger_price(one: &Instrument, text: &str) -> Result<Price, Refusal> {
    let found = price(one, text, "stopPx")?;
    if found.units() <= 0 || found > one.rule.max_price {
        return Err(bad("Invalid stopPx"));
    }
    if found.units() % one.rule.tick.units().max(1) != 0 {
        return Err(bad("Invalid stopPx tickSize"));
    }
    Ok(found)
}

/// What `execInst` names.
#[derive(Debug, Default)]
struct Instructions {
    post_only: bool,
    reduces: bool,
    closes: bool,
    fixed: bool,
    by: Option<TriggerBy>,
    near_mark: bool,
}

impl Instructions {
    fn read(fields: &Fields<'_>, spot: bool) -> Result<Self, Refusal> {
        let mut all = Self::default();
        for instruction in fields.list("execInst") {
            let by = match instruction.as_str() {
                "" => continue,
                "ParticipateDoNotInitiate" => {
                    all.post_only = true;
                    continue;
                }
                "Fixed" => {
                    all.fixed = true;
                    continue;
                }
                "ReduceOnly" | "Close" | "IndexPrice" | "LastWithinMark" if spot => {
                    return Err(bad("Invalid execInst"));
                }
                "LastWithinMark" => {
                    all.near_mark = true;
                    continue;
                }
                "ReduceOnly" => {
                    all.reduces = true;
                    continue;
                }
                "Close" => {
                    (all.reduces, all.closes) = (true, true);
                    continue;
                }
                "LastPrice" => TriggerBy::Last,
                "MarkPrice" => TriggerBy::Mark,
                "IndexPrice" => TriggerBy::Index,
                _ => return Err(bad("Unsupported execInst")),
            };
            if all.by.replace(by).is_some_and(|other| other != by) {
                return Err(bad("Invalid execInst"));
            }
        }
        // It says more of `LastPrice`, and nothing of another price.
        all.by = match (all.near_mark, all.by) {
            (true, Some(TriggerBy::Last)) => Some(TriggerBy::LastNearMark),
            (true, _) => return Err(bad("Invalid execInst")),
            (false, by) => by,
        };
        Ok(all)
    }
}

/// How an order meets the book, and how it waits before that.
fn kind(
    fields: &Fields<'_>,
    has_limit: bool,
    pegged: Option<&Pegged>,
) -> Result<(bool, Option<TriggerKind>), Refusal> {
    let has_stop = named(fields, "stopPx");
    match (fields.text("ordType"), pegged) {
        (Some("Pegged") | None, Some(Pegged::Limit(_))) if !has_stop && !has_limit => {
            return Ok((false, None));
        }
        (Some("Pegged"), _) | (_, Some(Pegged::Limit(_))) => return Err(bad("Invalid pegPriceType")),
        (None | Some("Market" | "Limit"), Some(Pegged::Trail(_))) => return Err(bad("Invalid pegPriceType")),
        _ => {}
    }
    Ok(match (fields.text("ordType"), has_stop) {
        (Some("Market") | None, false) if !has_limit => (true, None),
        (Some("Market"), false) => (true, None),
        (Some("Limit") | None, false) => (false, None),
        (Some("Market" | "Limit"), true) => return Err(bad("Invalid stopPx for ordType")),
        (Some("Stop"), _) => (true, Some(TriggerKind::Stop)),
        (Some("StopLimit"), _) => (false, Some(TriggerKind::Stop)),
        (Some("MarketIfTouched"), _) => (true, Some(TriggerKind::TakeProfit)),
        (Some("LimitIfTouched"), _) => (false, Some(TriggerKind::TakeProfit)),
        (None, true) => (!has_limit, Some(TriggerKind::Stop)),
        (Some(_), _) => return Err(bad("Unsupported ordType")),
    })
}

/// Whether a number is given: zero and nothing are written both ways.
pub(super) fn named(fields: &Fields<'_>, name: &str) -> bool {
    fields.text(name).is_some_and(|text| text != "0" && text != "0.0")
}

/// Midnight, when orders of the day end.
fn end_of_day(now: Timestamp) -> Timestamp {
    const DAY: i64 = 86_400_000;
    Timestamp::from_millis((now.millis().div_euclid(DAY) + 1).saturating_mul(DAY))
}

/// Reads an order.
pub(super) fn read(paper: &PaperExchange, account: &Account, fields: &Fields<'_>) -> Result<Wish, Refusal> {
    let (id, one) = public::named(paper, fields)?;
    let instructions = Instructions::read(fields, one.product == Product::Spot)?;
    if named(fields, "contingencyType") {
        return Err(bad("Unsupported contingencyType"));
    }
    let pegged = pegs::read(&one, fields)?;
    // Some clients write a price of nothing beside a peg.
    let text = if pegged.is_some() && !named(fields, "price") { None } else { fields.text("price") };
    let limit = text.map(|text| price(&one, text, "price")).transpose()?;
    let (market, waits) = kind(fields, limit.is_some(), pegged.as_ref())?;
    let display = display(fields, &one, market)?;
    let (side, qty) = amount(paper, account, (id, &one), fields, (&instructions, waits))?;
    let order_kind = match (market, instructions.post_only) {
        (true, true) => return Err(bad("Invalid execInst")),
        (true, false) => OrderKind::Market,
        (false, true) => OrderKind::LimitMaker,
        (false, false) => OrderKind::Limit,
    };
    let tif = match fields.text("timeInForce") {
        _ if market => TimeInForce::Ioc,
        None | Some("GoodTillCancel") => TimeInForce::Gtc,
        Some("ImmediateOrCancel") => TimeInForce::Ioc,
        Some("FillOrKill") => TimeInForce::Fok,
        Some("Day") => TimeInForce::Gtd(end_of_day(paper.now())),
        Some(_) => return Err(bad("Unsupported timeInForce")),
    };
    let client_id = fields.text("clOrdID");
    if client_id.is_some_and(|id| id.len() > LONGEST_ID || id.chars().any(char::is_control)) {
        return Err(bad("Invalid clOrdID"));
    }
    let (peg, trail) = match pegged {
        Some(Pegged::Limit(peg)) => (Some(peg), None),
        Some(Pegged::Trail(offset)) => (None, Some(pegs::trail(side, waits, offset)?)),
        None => (None, None),
    };
    if instructions.fixed != peg.is_some() {
        return Err(bad("Invalid execInst"));
    }
    let price = match peg {
        Some(_) => None,
        None if market => None,
        None => Some(limit.ok_or_else(|| bad("Invalid price"))?),
    };
    if instructions.near_mark && waits.is_none() {
        return Err(bad("Invalid ordType for execInst"));
    }
    let trigger = waits.map(|kind| trigger(fields, &one, kind, (instructions.by, trail))).transpose()?;
    let effect = if instructions.reduces { PositionEffect::Close } else { PositionEffect::Net };
    let order = NewOrder {
        instrument: id,
        client_id: client_id.map(Into::into),
        side,
        kind: order_kind,
        size: OrderSize::Qty(qty),
        price,
        tif,
        trigger,
        self_trade: None,
        effect,
    };
    let special = SpecialOrder { display, trail, peg, ..SpecialOrder::new(order) };
    Ok(Wish { special, one, closes: instructions.closes && waits.is_none() })
}

/// How much of an order is shown. One that is hidden altogether is not taken: what its fills would cost is not known.
fn display(fields: &Fields<'_>, one: &Instrument, market: bool) -> Result<Option<Qty>, Refusal> {
    let wrong = || bad("Invalid displayQty");
    let Some(text) = fields.text("displayQty") else { return Ok(None) };
    let (shown, negative) = quantity(one, text).map_err(|_| wrong())?;
    let fits = !negative && shown >= one.rule.min_qty && shown == shown.floor_to(one.rule.lot);
    if fits && !market { Ok(Some(shown)) } else { Err(wrong()) }
}

/// What an order waits for: the mark price unless it says otherwise; spot's mark price is its last one.
fn trigger(
    fields: &Fields<'_>,
    one: &Instrument,
    kind: TriggerKind,
    (by, trail): (Option<TriggerBy>, Option<Trail>),
) -> Result<Trigger, Refusal> {
    let price = match (trail, fields.text("stopPx")) {
        // The exchange sets it; what is written here must be a price all the same.
        (Some(_), None) => Price::from_units(one.rule.tick.units()),
        (_, text) => trigger_price(one, text.ok_or_else(|| bad("Invalid stopPx"))?)?,
    };
    let by = match by {
        _ if one.product == Product::Spot => TriggerBy::Last,
        by => by.unwrap_or(TriggerBy::Mark),
    };
    Ok(Trigger { kind, price, by })
}

/// Side and amount. Who closes may leave both out: all of the position, by the other side.
fn amount(
    paper: &PaperExchange,
    account: &Account,
    (id, one): (InstrumentId, &Instrument),
    fields: &Fields<'_>,
    (instructions, waits): (&Instructions, Option<TriggerKind>),
) -> Result<(Side, Qty), Refusal> {
    let qty = fields.text("orderQty").map(|text| quantity(one, text)).transpose()?;
    let closable = |side: Side| positions::closable(paper, account, id, side);
    let side = match fields.text("side") {
        Some("Buy") => Side::Buy,
        Some("Sell") => Side::Sell,
        Some(_) => return Err(bad("Invalid side")),
        None if qty.is_some_and(|(_, negative)| negative) => Side::Sell,
        None if instructions.closes && waits.is_some() => return Err(bad("Invalid side")),
        None if instructions.closes && !closable(Side::Sell).is_zero() => Side::Sell,
        None => Side::Buy,
    };
    let qty = match qty {
        Some((qty, _)) => qty,
        // What is there then is known then: it is cut to the position when it wakes.
        None if instructions.closes && waits.is_some() => one.rule.max_qty,
        None if instructions.closes => closable(side),
        None => return Err(bad("orderQty is required")),
    };
    Ok((side, qty))
}

/// So many orders of a contract may wait at once.
const MOST_STOPS: usize = 10;

/// Whether an account may have another order that waits.
pub(super) fn may_wait(paper: &PaperExchange, account: &Account, id: InstrumentId) -> bool {
    let trader = paper.trader(account.session);
    let orders = trader.into_iter().flat_map(|trader| trader.orders());
    let waiting =
        orders.filter(|known| known.instrument == id && known.done.is_none() && known.order.waiting);
    waiting.take(MOST_STOPS).count() < MOST_STOPS
}

/// The word for a kind of order.
pub(super) fn kind_name(trigger: Option<Trigger>, is_market: bool, pegged: bool) -> &'static str {
    if pegged {
        return "Pegged";
    }
    match (trigger.map(|trigger| trigger.kind), is_market) {
        (None, true) => "Market",
        (None, false) => "Limit",
        (Some(TriggerKind::Stop), true) => "Stop",
        (Some(TriggerKind::Stop), false) => "StopLimit",
        (Some(TriggerKind::TakeProfit), true) => "MarketIfTouched",
        (Some(TriggerKind::TakeProfit), false) => "LimitIfTouched",
    }
}

/// What an order was told to do, as `execInst` has it.
pub(super) fn instructions(
    trigger: Option<Trigger>,
    (post_only, pegged): (bool, bool),
    effect: PositionEffect,
) -> String {
    let by = trigger.map(|trigger| match trigger.by {
        TriggerBy::Last => "LastPrice",
        TriggerBy::LastNearMark => "LastPrice,LastWithinMark",
        TriggerBy::Mark => "MarkPrice",
        TriggerBy::Index => "IndexPrice",
    });
    let words = [
        post_only.then_some("ParticipateDoNotInitiate"),
        pegged.then_some("Fixed"),
        (effect == PositionEffect::Close).then_some("ReduceOnly"),
        by,
    ];
    words.into_iter().flatten().collect::<Vec<&str>>().join(",")
}
