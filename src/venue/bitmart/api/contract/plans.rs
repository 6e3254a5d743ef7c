//! Orders that wait for a price: plans, and what takes profit from a position or stops its loss.

use serde_json::{Value, json};
use smol_str::SmolStr;

use super::super::fields::Fields;
use super::super::reply::{error, invalid};
use super::super::routes::{Answer, Asked, Finish, Outcome};
use super::orders::{
    Ticket, accepted, cancel_one, check_id, client_id, kind_in, leverage_in, margin_in, nothing, price_in,
    refusal, side_in, size_in, which,
};
use super::presets::Preset;
use super::{named, shape, trails};
use crate::connector::{OrderRequest, OrderType, TradeType};
use crate::market::{Instrument, Price, Side};
use crate::order::{
    NewOrder, OrderId, OrderKind, OrderSize, PositionEffect, RejectReason, TimeInForce, Trigger, TriggerBy,
    TriggerKind,
};
use crate::paper::{Known, PaperExchange};
use crate::sim::{OrderEvent, RequestBody};
use crate::venue::NativeError;
use crate::venue::api::Account;

/// What a plan is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Plan,
    TakeProfit,
    StopLoss,
}

/// How plans are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Plan,
    ProfitLoss,
}

/// A plan, beside its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) kind: Kind,
    /// 1: of an amount, 2: of the position.
    pub(super) category: i64,
    /// The id that its client knows, where it was changed: the exchange behind gives what is changed another one.
    pub(super) first: Option<OrderId>,
}

impl Plan {
    pub(super) fn family(self) -> Family {
        if self.kind == Kind::Plan { Family::Plan } else { Family::ProfitLoss }
    }

    const fn word(self) -> &'static str {
        match self.kind {
            Kind::Plan => "plan",
            Kind::TakeProfit => "take_profit",
            Kind::StopLoss => "stop_loss",
        }
    }
}

/// A plan as the list shows it.
pub(super) fn row(asked: &Asked<'_, '_>, account: &Account, known: &Known) -> Option<Value> {
    let paper: &PaperExchange = asked.room.paper;
    let instrument = paper.names().instrument(known.instrument)?;
    let (state, id) = (known.state.as_ref()?, known.id?);
    let trigger = state.trigger()?;
    let name = &known.order.client_order_id;
    let plan = asked.memory.plan_of(account.session, name).copied();
    let (open_type, leverage) = shape::terms(paper, account.id, known);
    let row = json!({
        "order_id": shape::order_id(asked.memory.shown(account.session, name, id)).to_string(),
        "client_order_id": super::super::shape::client_id(known),
        "executive_price": shape::plain(known.order.price.unwrap_or_default()),
        "trigger_price": shape::plain(instrument.price_decimal(trigger.price)),
        "size": shape::plain(known.order.amount),
        "symbol": instrument.symbol,
        "state": 2,
        "side": shape::side(state.side, state.effect()),
        "mode": shape::lives(known),
        "price_way": shape::way(state),
        "price_type": shape::price_type(trigger.by),
        "plan_category": plan.map_or(1, |plan| plan.category),
        "type": plan.map_or("plan", Plan::word),
        "category": shape::word(known),
        "leverage": leverage,
        "open_type": open_type,
        "create_time": known.order.creation_timestamp.millis(),
        "update_time": known.order.last_update_timestamp.millis(),
    });
    Some(shape::with(row, asked.memory.presets.columns(account.session, name, instrument)))
}

/// Which price is looked at: 1 the last, 2 the mark.
pub(super) fn by_in(fields: &Fields<'_>, name: &str) -> Result<TriggerBy, NativeError> {
    match fields.integer(name)? {
        None | Some(1) => Ok(TriggerBy::Last),
        Some(2) => Ok(TriggerBy::Mark),
        Some(_) => Err(invalid(name)),
    }
}

fn trigger_price(instrument: &Instrument, fields: &Fields<'_>) -> Result<Price, NativeError> {
    price_in(instrument, fields, "trigger_price")?.ok_or_else(|| invalid("trigger_price"))
}

/// The limit that an order has once it is woken; none of a market order.
fn limit(
    instrument: &Instrument,
    fields: &Fields<'_>,
    kind: OrderKind,
) -> Result<Option<Price>, NativeError> {
    match kind {
        OrderKind::Market => Ok(None),
        _ => price_in(instrument, fields, "executive_price")?
            .map(Some)
            .ok_or_else(|| invalid("executive_price")),
    }
}

/// What both kinds of plans share.
struct Wish {
    side: (Side, PositionEffect),
    kind: (OrderKind, TimeInForce),
    trigger: Trigger,
    qty: crate::market::Qty,
}

fn ticket(asked: &Asked<'_, '_>, wish: &Wish) -> Result<Ticket, NativeError> {
    let (id, instrument) = named(asked)?;
    let order = NewOrder {
        instrument: id,
        client_id: client_id(asked.fields)?.map(Into::into),
        side: wish.side.0,
        kind: wish.kind.0,
        size: OrderSize::Qty(wish.qty),
        price: limit(&instrument, asked.fields, wish.kind.0)?,
        tif: wish.kind.1,
        trigger: Some(wish.trigger),
        self_trade: None,
        effect: wish.side.1,
    };
    let ticket = Ticket { order, instrument };
    check_id(asked, &ticket)?;
    Ok(ticket)
}

/// Sends a plan; `show` makes the reply of its id.
fn send(
    asked: &mut Asked<'_, '_>,
    ticket: Ticket,
    plan: Plan,
    show: impl FnOnce(u64, &Ticket) -> Value + Send + 'static,
) -> Answer {
    let account = asked.account()?.clone();
    let preset = Preset::read(&ticket, asked.fields)?;
    let tag = asked.room.place(&account, ticket.order.clone())?;
    let known = asked.room.trader(&account).and_then(|trader| trader.by_tag(tag));
    if let Some(name) = known.map(|known| known.order.client_order_id.clone()) {
        preset.into_iter().for_each(|preset| asked.memory.presets.add(account.session, name.clone(), preset));
        asked.memory.plan(account.session, name, plan);
    }
    let session = account.session;
    let finish: Finish = Box::new(move |room, answers| {
        let id = accepted(room, &account, tag, answers, &ticket.instrument)?;
        Ok(show(id, &ticket))
    });
    Ok(Outcome::Sent { session, tags: vec![tag], finish })
}

/// The leverage that a plan names is looked at and not set: it trades at what the account has when it is woken.
pub(super) fn submit(asked: &mut Asked<'_, '_>) -> Answer {
    let (id, instrument) = named(asked)?;
    let fields = asked.fields;
    leverage_in(asked.room.paper, id, fields)?;
    margin_in(fields)?;
    let side = side_in(fields, asked.room.paper.sim().position_mode(asked.account()?.id, id))?;
    let rises = match fields.integer("price_way")? {
        Some(1) => true,
        Some(2) => false,
        _ => return Err(invalid("price_way").into()),
    };
    let kind = if rises == (side.0 == Side::Buy) { TriggerKind::Stop } else { TriggerKind::TakeProfit };
    let trigger =
        Trigger { kind, price: trigger_price(&instrument, fields)?, by: by_in(fields, "price_type")? };
    let qty = size_in(&instrument, fields)?.ok_or_else(|| invalid("size"))?;
    let ticket = ticket(asked, &Wish { side, kind: kind_in(fields)?, trigger, qty })?;
    let plan = Plan { kind: Kind::Plan, category: 1, first: None };
    send(asked, ticket, plan, |id, _| json!({ "order_id": id }))
}

/// What takes profit from a position or stops its loss: of the whole position as it is now where no size is named.
pub(super) fn submit_for_position(asked: &mut Asked<'_, '_>) -> Answer {
    let (id, instrument) = named(asked)?;
    let (fields, account) = (asked.fields, asked.account()?);
    let (kind, trigger) = match fields.first(&["type"])?.as_deref() {
        Some("take_profit") => (Kind::TakeProfit, TriggerKind::TakeProfit),
        Some("stop_loss") => (Kind::StopLoss, TriggerKind::Stop),
        _ => return Err(error(400, 40_042, "The order type is invalid").into()),
    };
    let side = match fields.integer("side")? {
        Some(2) => Side::Buy,
        Some(3) => Side::Sell,
        _ => return Err(error(400, 40_041, "The order side is invalid").into()),
    };
    let category = match fields.integer("plan_category")? {
        None => 2,
        Some(category @ 1..=2) => category,
        Some(_) => return Err(invalid("plan_category").into()),
    };
    let order = match fields.first(&["category"])?.as_deref() {
        Some("market") => (OrderKind::Market, TimeInForce::Ioc),
        None | Some("limit") => (OrderKind::Limit, TimeInForce::Gtc),
        Some(_) => return Err(invalid("category").into()),
    };
    let held = super::position::held(asked.room.paper, account, id, side.opposite());
    if held.is_zero() {
        return Err(refusal(&instrument, RejectReason::NothingToReduce).into());
    }
    let qty = size_in(&instrument, fields)?.unwrap_or(held);
    let price = trigger_price(&instrument, fields)?;
    let trigger = Trigger { kind: trigger, price, by: by_in(fields, "price_type")? };
    let wish = Wish { side: (side, PositionEffect::Close), kind: order, trigger, qty };
    let ticket = ticket(asked, &wish)?;
    send(
        asked,
        ticket,
        Plan { kind, category, first: None },
        |id, ticket| json!({ "order_id": id.to_string(), "client_order_id": ticket.order.client_id }),
    )
}

/// The plan that a request names: the order that stands for it now.
fn plan_in<'a>(asked: &'a Asked<'_, '_>) -> Result<(&'a Known, Instrument), NativeError> {
    let missing = || error(400, 40_037, "The order id is not exist");
    let (id, instrument) = named(asked)?;
    let known = which(asked, id)?.ok_or_else(missing)?;
    let state = known.state.as_ref();
    let is_plan = state.is_some_and(|state| state.trigger().is_some()) && trails::calling(state).is_none();
    if is_plan { Ok((known, instrument)) } else { Err(missing()) }
}

/// Cancels a plan, or all of a contract where none is named.
pub(super) fn cancel(asked: &mut Asked<'_, '_>) -> Answer {
    let (id, _) = named(asked)?;
    if which(asked, id)?.is_none() {
        let session = asked.account()?.session;
        let tags = super::orders::end_all(asked.room, session, Some(id), |known| {
            shape::waits(known) && !trails::waits(known)
        })?;
        return Ok(Outcome::Sent { session, tags, finish: Box::new(|_, _| Ok(nothing())) });
    }
    let (known, instrument) = plan_in(asked)?;
    let (number, over) = (known.number, !shape::waits(known));
    cancel_one(asked, number, over, instrument)
}

/// Another trigger or limit for a plan: it is cancelled and made anew under the same name, so that its client knows it
/// by the same ids.
pub(super) fn modify(asked: &mut Asked<'_, '_>) -> Answer {
    let (known, instrument) = plan_in(asked)?;
    let account = asked.account()?.clone();
    let (fields, number, name) = (asked.fields, known.number, known.order.client_order_id.clone());
    let (Some(state), Some(id)) = (known.state.as_ref().filter(|_| shape::waits(known)), known.id) else {
        return Err(refusal(&instrument, RejectReason::AlreadyFilled).into());
    };
    let Some(old) = state.trigger() else { return Err(invalid("order_id").into()) };
    let price = price_in(&instrument, fields, "trigger_price")?.unwrap_or(old.price);
    let by = if fields.integer("price_type")?.is_some() { by_in(fields, "price_type")? } else { old.by };
    let kind = match (fields.first(&["category"])?.or(fields.first(&["type"])?).as_deref(), state.kind) {
        (Some("market"), _) => OrderKind::Market,
        (Some("limit"), OrderKind::Market) => OrderKind::Limit,
        (_, kind) => kind,
    };
    let limit = match kind {
        OrderKind::Market => None,
        _ => price_in(&instrument, fields, "executive_price")?.or(state.price),
    };
    if kind != OrderKind::Market && limit.is_none() {
        return Err(invalid("executive_price").into());
    }
    let order = NewOrder {
        instrument: known.instrument,
        client_id: Some(name.clone()),
        side: state.side,
        kind,
        size: OrderSize::Qty(size_in(&instrument, fields)?.unwrap_or(state.qty)),
        price: limit,
        tif: if kind == OrderKind::Market { TimeInForce::Ioc } else { state.tif },
        trigger: Some(Trigger { price, by, ..old }),
        self_trade: None,
        effect: state.effect(),
    };
    let plan = asked.memory.plan_of(account.session, &name).copied();
    let plan = plan.unwrap_or(Plan { kind: Kind::Plan, category: 1, first: None });
    let first = plan.first.unwrap_or(id);
    asked.memory.plan(account.session, name.clone(), Plan { first: Some(first), ..plan });
    let paper = &mut *asked.room.paper;
    let cancelled = paper.send_about(account.session, number, RequestBody::Cancel)?;
    let request = request_of(&instrument, &order);
    let tag = paper.send_order(account.session, name, order, &request)?;
    let finish: Finish = Box::new(move |_, answers| {
        for answer in answers.iter().flatten() {
            if let OrderEvent::Rejected(reason) = answer {
                return Err(refusal(&instrument, *reason));
            }
        }
        Ok(json!({ "order_id": shape::order_id(first).to_string() }))
    });
    let tags = cancelled.into_iter().chain([tag]).collect();
    Ok(Outcome::Sent { session: account.session, tags, finish })
}

/// An order as its client's own list has it.
fn request_of(instrument: &Instrument, order: &NewOrder) -> OrderRequest {
    let amount = match order.size {
        OrderSize::Qty(qty) => instrument.qty_decimal(qty),
        OrderSize::Quote(_) => rust_decimal::Decimal::ZERO,
    };
    let kind = match order.kind {
        OrderKind::Limit => OrderType::Limit,
        OrderKind::LimitMaker => OrderType::LimitMaker,
        OrderKind::Market => OrderType::Market,
    };
    let price = order.price.map(|price| instrument.price_decimal(price));
    let side = TradeType::from(order.side);
    let mut request = OrderRequest::new(side, instrument.pair.clone(), amount, kind, price);
    request.time_in_force = order.tif;
    request.trigger =
        order.trigger.map(|trigger| (trigger.kind, instrument.price_decimal(trigger.price), trigger.by));
    request
}

/// Other presets for an order that has not filled.
pub(super) fn modify_preset(asked: &mut Asked<'_, '_>) -> Answer {
    let missing = || error(400, 40_037, "The order id is not exist");
    let (id, instrument) = named(asked)?;
    let known = which(asked, id)?.ok_or_else(missing)?;
    let Some(state) = known.state.as_ref().filter(|_| known.done.is_none()) else {
        return Err(refusal(&instrument, RejectReason::AlreadyFilled).into());
    };
    if state.effect() == PositionEffect::Close {
        return Err(invalid("order_id").into());
    }
    let name: SmolStr = known.order.client_order_id.clone();
    let (shown, session) = (known.id.map(shape::order_id), asked.account()?.session);
    let preset = Preset::prices(&instrument, asked.fields)?;
    match preset {
        Some(preset) => asked.memory.presets.add(session, name, preset),
        None => asked.memory.presets.forget(session, &name),
    }
    Ok(Outcome::Data(json!({ "order_id": shown.map(|id| id.to_string()) })))
}
