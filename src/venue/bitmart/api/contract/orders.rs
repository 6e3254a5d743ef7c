//! Orders on contracts: submitting, changing and cancelling them, and the dead man's switch.

use std::time::Duration;

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::super::fields::Fields;
use super::super::reply::{error, invalid};
use super::super::routes::{Answer, Asked, Finish, Outcome};
use super::presets::Preset;
use super::{named, shape, trader};
use crate::market::decimal::units_of;
use crate::market::{Instrument, InstrumentId, Price, Qty, Side, Timestamp};
use crate::order::{
    Leverage, MarginMode, NewOrder, OrderKind, OrderSize, PositionEffect, PositionMode, RejectReason,
    SelfTrade, SessionId, TimeInForce,
};
use crate::paper::{Known, PaperError, PaperExchange, TraderView};
use crate::sim::{OrderEvent, RequestBody, Setting};
use crate::venue::api::{Account, Room};
use crate::venue::bitmart::errors;
use crate::venue::{NativeError, Refused};

/// An order that was read, with what a refusal is worded with.
pub(super) struct Ticket {
    pub(super) order: NewOrder,
    pub(super) instrument: Instrument,
}

/// The venue's words for a refused order.
pub(super) fn refusal(instrument: &Instrument, reason: RejectReason) -> NativeError {
    errors::refusal(&Refused { reason, instrument: Some(instrument), kind: None, side: None })
}

/// A price of a field, where it is there.
pub(super) fn price_in(
    instrument: &Instrument,
    fields: &Fields<'_>,
    name: &str,
) -> Result<Option<Price>, NativeError> {
    let Some(text) = fields.first(&[name])? else { return Ok(None) };
    let value: Decimal = text.parse().map_err(|_| invalid(name))?;
    let Some(units) = units_of(value, instrument.price_scale) else {
        return Err(refusal(instrument, RejectReason::OffTick { tick: instrument.rule.tick }));
    };
    let max = instrument.rule.max_price;
    let price = i64::try_from(units).ok().map(Price::from_units).filter(|price| price.units() > 0);
    let price = price.ok_or_else(|| refusal(instrument, RejectReason::PriceOutOfRange { max }))?;
    if price.units() % instrument.rule.tick.units().max(1) != 0 {
        return Err(refusal(instrument, RejectReason::OffTick { tick: instrument.rule.tick }));
    }
    Ok(Some(price))
}

/// The number of contracts, where it is there.
pub(super) fn size_in(instrument: &Instrument, fields: &Fields<'_>) -> Result<Option<Qty>, NativeError> {
    let Some(text) = fields.first(&["size"])? else { return Ok(None) };
    let value: Decimal = text.parse().map_err(|_| invalid("size"))?;
    let Some(units) = units_of(value, instrument.qty_scale) else {
        return Err(refusal(instrument, RejectReason::OffLot { lot: instrument.rule.lot }));
    };
    let max = instrument.rule.max_qty;
    let qty = i64::try_from(units).ok().map(Qty::from_units);
    qty.map(Some).ok_or_else(|| refusal(instrument, RejectReason::QtyTooLarge { max }))
}

/// A client's id, where it gives one.
pub(super) fn client_id(fields: &Fields<'_>) -> Result<Option<String>, NativeError> {
    let Some(id) = fields.first(&["client_order_id"])? else { return Ok(None) };
    if id.len() > 32 {
        return Err(error(400, 40_049, "The maximum length of clientOrderId cannot exceed 32"));
    }
    if !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        let text = "ClientOrderId only allows a combination of numbers and letters";
        return Err(error(400, 40_048, text));
    }
    Ok(Some(id))
}

/// What the number of a side stands for, in the account's mode.
pub(super) fn side_in(
    fields: &Fields<'_>,
    mode: PositionMode,
) -> Result<(Side, PositionEffect), NativeError> {
    let opens = if mode == PositionMode::Hedge { PositionEffect::Open } else { PositionEffect::Net };
    match fields.integer("side")? {
        Some(1) => Ok((Side::Buy, opens)),
        Some(2) => Ok((Side::Buy, PositionEffect::Close)),
        Some(3) => Ok((Side::Sell, PositionEffect::Close)),
        Some(4) => Ok((Side::Sell, opens)),
        _ => Err(error(400, 40_041, "The order side is invalid")),
    }
}

/// `limit` or `market`, and how long it lives.
pub(super) fn kind_in(fields: &Fields<'_>) -> Result<(OrderKind, TimeInForce), NativeError> {
    let bad = || error(400, 40_042, "The order type is invalid");
    match (fields.first(&["type"])?.as_deref(), fields.integer("mode")?) {
        (Some("market"), None | Some(1..=3)) => Ok((OrderKind::Market, TimeInForce::Ioc)),
        (None | Some("limit"), None | Some(1)) => Ok((OrderKind::Limit, TimeInForce::Gtc)),
        (None | Some("limit"), Some(2)) => Ok((OrderKind::Limit, TimeInForce::Fok)),
        (None | Some("limit"), Some(3)) => Ok((OrderKind::Limit, TimeInForce::Ioc)),
        (None | Some("limit"), Some(4)) => Ok((OrderKind::LimitMaker, TimeInForce::Gtc)),
        _ => Err(bad()),
    }
}

fn self_trade_in(fields: &Fields<'_>) -> Result<SelfTrade, NativeError> {
    match fields.integer("stp_mode")? {
        None | Some(1) => Ok(SelfTrade::CancelMaker),
        Some(2) => Ok(SelfTrade::CancelTaker),
        Some(3) => Ok(SelfTrade::CancelBoth),
        Some(_) => Err(invalid("stp_mode")),
    }
}

fn read(asked: &Asked<'_, '_>) -> Result<Ticket, NativeError> {
    let (id, instrument) = named(asked)?;
    let fields = asked.fields;
    let mode = asked.room.paper.sim().position_mode(asked.account()?.id, id);
    let (side, effect) = side_in(fields, mode)?;
    let (kind, tif) = kind_in(fields)?;
    let price = match kind {
        OrderKind::Market => None,
        _ => Some(price_in(&instrument, fields, "price")?.ok_or_else(|| invalid("price"))?),
    };
    let qty = size_in(&instrument, fields)?.ok_or_else(|| invalid("size"))?;
    let order = NewOrder {
        instrument: id,
        client_id: client_id(fields)?.map(Into::into),
        side,
        kind,
        size: OrderSize::Qty(qty),
        price,
        tif,
        trigger: None,
        self_trade: Some(self_trade_in(fields)?),
        effect,
    };
    Ok(Ticket { order, instrument })
}

/// A client id must be unique among live orders.
pub(super) fn check_id(asked: &Asked<'_, '_>, ticket: &Ticket) -> Result<(), NativeError> {
    let known = trader(asked)?.by_client_id(ticket.order.client_id.as_deref().unwrap_or_default());
    match known.is_some_and(|known| known.done.is_none()) {
        true => Err(refusal(&ticket.instrument, RejectReason::DuplicateClientId)),
        false => Ok(()),
    }
}

/// Where there is a long and a short position, an order closes no more than what no other order closes already.
fn check_closing(asked: &Asked<'_, '_>, order: &NewOrder) -> Result<(), NativeError> {
    let account = asked.account()?;
    let paper = &*asked.room.paper;
    let OrderSize::Qty(qty) = order.size else { return Ok(()) };
    let hedge = paper.sim().position_mode(account.id, order.instrument) == PositionMode::Hedge;
    if order.effect != PositionEffect::Close || !hedge {
        return Ok(());
    }
    let held = super::position::held(paper, account, order.instrument, order.side.opposite());
    let closing = super::position::closing(trader(asked)?, order.instrument, order.side);
    match !held.is_zero() && qty > held - closing {
        true => Err(error(400, 40_020, "Your position volume is not enough")),
        false => Ok(()),
    }
}

/// The settings that an order asks for where they differ from what the account has. They change only where nothing is
/// open.
fn settings(asked: &Asked<'_, '_>, ticket: &Ticket) -> Result<Vec<Setting>, NativeError> {
    let (fields, account, id) = (asked.fields, asked.account()?, ticket.order.instrument);
    let leverage = leverage_in(asked.room.paper, id, fields)?;
    let margin = margin_in(fields)?;
    let now = asked.room.paper.sim().margin_settings(account.id, id);
    let Some((has_margin, [has_leverage, _])) = now else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    all.extend(margin.filter(|margin| *margin != has_margin).map(Setting::Margin));
    let other = leverage.filter(|leverage| *leverage != has_leverage);
    all.extend(other.map(|leverage| Setting::Leverage { side: None, leverage }));
    if ticket.order.effect == PositionEffect::Close || all.is_empty() {
        return Ok(Vec::new());
    }
    let open = trader(asked)?.orders().any(|known| known.done.is_none() && known.instrument == id);
    let held =
        Side::BOTH.iter().any(|side| !super::position::held(asked.room.paper, account, id, *side).is_zero());
    match open || held {
        true => Err(error(400, 40_012, "Leverage info not synchronized")),
        false => Ok(all),
    }
}

/// The leverage of a request, within what the contract allows.
pub(super) fn leverage_in(
    paper: &PaperExchange,
    id: InstrumentId,
    fields: &Fields<'_>,
) -> Result<Option<Leverage>, NativeError> {
    let bad = || error(400, 40_040, "The order leverage is invalid");
    let Some(text) = fields.first(&["leverage"])? else { return Ok(None) };
    let times: Decimal = text.parse().map_err(|_| bad())?;
    let leverage = Leverage::from_decimal(times).ok_or_else(bad)?;
    if times < Decimal::ONE {
        return Err(error(400, 40_030, "The order's leverage is too small."));
    }
    match super::market::max_leverage(paper, id).is_some_and(|max| times > max) {
        true => Err(error(400, 40_029, "The order's leverage is too large.")),
        false => Ok(Some(leverage)),
    }
}

/// `cross` or `isolated`, where a request says so.
pub(super) fn margin_in(fields: &Fields<'_>) -> Result<Option<MarginMode>, NativeError> {
    match fields.first(&["open_type"])?.as_deref() {
        None => Ok(None),
        Some("cross") => Ok(Some(MarginMode::Cross)),
        Some("isolated") => Ok(Some(MarginMode::Isolated)),
        Some(_) => Err(error(400, 40_045, "The order open type is invalid")),
    }
}

pub(super) fn submit(asked: &mut Asked<'_, '_>) -> Answer {
    let account = asked.account()?.clone();
    let ticket = read(asked)?;
    let preset = Preset::read(&ticket, asked.fields)?;
    check_id(asked, &ticket)?;
    check_closing(asked, &ticket.order)?;
    let instrument = ticket.order.instrument;
    for setting in settings(asked, &ticket)? {
        asked.room.paper.send(account.session, RequestBody::Set { instrument, setting })?;
    }
    let tag = asked.room.place(&account, ticket.order.clone())?;
    if let Some(preset) = preset {
        let name = asked.room.trader(&account).and_then(|trader| trader.by_tag(tag));
        let name = name.map(|known| known.order.client_order_id.clone());
        name.into_iter().for_each(|name| asked.memory.presets.add(account.session, name, preset.clone()));
    }
    let session = account.session;
    let finish: Finish = Box::new(move |room, answers| {
        let id = accepted(room, &account, tag, answers, &ticket.instrument)?;
        let price = ticket.order.price.map(|price| ticket.instrument.price_decimal(price));
        let price = price.map_or_else(|| "market price".to_owned(), shape::plain);
        Ok(json!({ "order_id": id, "price": price }))
    });
    Ok(Outcome::Sent { session, tags: vec![tag], finish })
}

/// The id of an order that the exchange took.
pub(super) fn accepted(
    room: &Room<'_>,
    account: &Account,
    tag: u64,
    answers: &[Option<OrderEvent>],
    instrument: &Instrument,
) -> Result<u64, NativeError> {
    if let Some(Some(OrderEvent::Rejected(reason))) = answers.first() {
        return Err(refusal(instrument, *reason));
    }
    let known = room.trader(account).and_then(|trader| trader.by_tag(tag));
    known.and_then(|known| known.id).map(shape::order_id).ok_or_else(not_there)
}

fn not_there() -> NativeError {
    error(400, 40_037, "The order id is not exist")
}

/// The order that a request names, by either id; `None` where it names none.
pub(super) fn which<'a>(
    asked: &'a Asked<'_, '_>,
    instrument: InstrumentId,
) -> Result<Option<&'a Known>, NativeError> {
    let (fields, trader) = (asked.fields, trader(asked)?);
    let id = fields.first(&["order_id"])?.filter(|id| id != "0");
    let known = match (id, fields.first(&["client_order_id"])?) {
        (Some(id), _) => shape::order_of(&id).and_then(|id| trader.by_exchange_id(id)),
        (None, Some(client_id)) => trader.by_client_id(&client_id),
        (None, None) => return Ok(None),
    };
    let known = known.filter(|known| known.instrument == instrument && known.id.is_some());
    let known = known.ok_or_else(not_there)?;
    // A plan that was changed is another order under the same name.
    let replaced = asked.memory.is_replaced(asked.account()?.session, trader, known);
    let now = trader.by_client_id(&known.order.client_order_id).filter(|_| replaced);
    Ok(Some(now.unwrap_or(known)))
}

pub(super) fn modify(asked: &mut Asked<'_, '_>) -> Answer {
    let (id, instrument) = named(asked)?;
    let known = which(asked, id)?.filter(|known| !shape::waits(known)).ok_or_else(not_there)?;
    let (number, name) = (known.number, super::super::shape::client_id(known).to_owned());
    let price = price_in(&instrument, asked.fields, "price")?;
    let qty = size_in(&instrument, asked.fields)?;
    let shown = known.id.map(shape::order_id);
    if known.done.is_some() {
        return Err(refusal(&instrument, RejectReason::AlreadyFilled).into());
    }
    let session = asked.account()?.session;
    let amend = |order| RequestBody::Amend { order, price, qty };
    let tag = asked.room.paper.send_about(session, number, amend)?;
    let finish: Finish = Box::new(move |_, answers| match answers.first() {
        Some(Some(OrderEvent::Rejected(reason))) => Err(refusal(&instrument, *reason)),
        _ => Ok(json!({ "order_id": shown, "client_order_id": name })),
    });
    Ok(Outcome::Sent { session, tags: tag.into_iter().collect(), finish })
}

/// Cancels one order, or all of the contract where none is named. Plans are cancelled by their own request.
pub(super) fn cancel(asked: &mut Asked<'_, '_>) -> Answer {
    let (id, instrument) = named(asked)?;
    let Some(known) = which(asked, id)? else { return cancel_all(asked) };
    if shape::waits(known) {
        return Err(not_there().into());
    }
    cancel_one(asked, known.number, known.done.is_some(), instrument)
}

/// Cancels the order with that number in the session.
pub(super) fn cancel_one(
    asked: &mut Asked<'_, '_>,
    number: u64,
    done: bool,
    instrument: Instrument,
) -> Answer {
    if done {
        return Err(refusal(&instrument, RejectReason::AlreadyCancelled).into());
    }
    let session = asked.account()?.session;
    let tag = asked.room.paper.send_about(session, number, RequestBody::Cancel)?;
    let finish: Finish = Box::new(move |_, answers| match answers.first() {
        Some(Some(OrderEvent::Rejected(reason))) => Err(refusal(&instrument, *reason)),
        _ => Ok(nothing()),
    });
    Ok(Outcome::Sent { session, tags: tag.into_iter().collect(), finish })
}

pub(super) fn nothing() -> Value {
    Value::Object(serde_json::Map::new())
}

pub(super) fn cancel_all(asked: &mut Asked<'_, '_>) -> Answer {
    let (id, _) = named(asked)?;
    let session = asked.account()?.session;
    let tags = end_all(asked.room, session, Some(id), |known| !shape::waits(known))?;
    Ok(Outcome::Sent { session, tags, finish: Box::new(|_, _| Ok(nothing())) })
}

/// Cancels what is open of a session in contracts, as far as `fits`; the tags of the requests.
pub(super) fn end_all(
    room: &mut Room<'_>,
    session: SessionId,
    instrument: Option<InstrumentId>,
    fits: impl Fn(&Known) -> bool,
) -> Result<Vec<u64>, PaperError> {
    let paper = &mut *room.paper;
    let contracts: Vec<InstrumentId> = super::contracts(paper).map(|(id, _)| id).collect();
    let is_open = |known: &&Known| {
        known.done.is_none()
            && instrument.is_none_or(|wanted| wanted == known.instrument)
            && contracts.contains(&known.instrument)
            && fits(known)
    };
    let orders = paper.trader(session).into_iter().flat_map(TraderView::orders);
    let open: Vec<u64> = orders.filter(is_open).map(|known| known.number).collect();
    let mut tags = Vec::with_capacity(open.len());
    for number in open {
        tags.extend(paper.send_about(session, number, RequestBody::Cancel)?);
    }
    Ok(tags)
}

/// The orders of a contract are cancelled after so many seconds of the market's time, unless it is said again.
pub(super) fn cancel_all_after(asked: &mut Asked<'_, '_>) -> Answer {
    let (id, _) = named(asked)?;
    let session = asked.account()?.session;
    let timeout = asked.fields.integer("timeout")?.ok_or_else(|| invalid("timeout"))?;
    let now = asked.room.paper.now();
    let seconds = |time: Timestamp| time.millis().div_euclid(1_000);
    let at = match u64::try_from(timeout) {
        Ok(0) => {
            asked.memory.switches.remove(&(session, id));
            None
        }
        Ok(timeout @ 5..=86_400) => {
            let at = now.plus(Duration::from_secs(timeout));
            asked.memory.switches.insert((session, id), at);
            Some(at)
        }
        _ => return Err(invalid("timeout").into()),
    };
    Ok(Outcome::Data(json!({
        "result": true,
        "set_time": seconds(now),
        "cancel_time": at.map_or(0, seconds),
    })))
}
