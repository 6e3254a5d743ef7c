//! Trailing orders: they wait for a price, then for the market to turn by a share of the best one.
//!
//! Never here: when that is (that is `sim`).

use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use super::super::reply::{error, invalid};
use super::super::routes::{Answer, Asked, Finish, Outcome};
use super::orders::{
    Ticket, accepted, cancel_one, check_id, client_id, end_all, leverage_in, margin_in, nothing, price_in,
    side_in, size_in, which,
};
use super::plans::by_in;
use super::{named, shape};
use crate::market::Instrument;
use crate::market::decimal::units_of;
use crate::order::{
    Callback, NewOrder, OrderKind, OrderSize, SpecialOrder, TimeInForce, Trigger, TriggerKind,
};
use crate::paper::Known;
use crate::sim::{Calling, OrderState};
use crate::venue::NativeError;

/// Decimals of a rate in per cent where the last one is a millionth of the whole.
const RATE_SCALE: u8 = 4;

/// How an order trails, where it does.
pub(super) fn calling(state: Option<&OrderState>) -> Option<Calling> {
    state.and_then(|state| state.extra.as_deref()).and_then(|extra| extra.callback)
}

/// Whether an order trails and waits.
pub(super) fn waits(known: &Known) -> bool {
    shape::waits(known) && calling(known.state.as_ref()).is_some()
}

/// The columns of a trailing order; `none` in those of others, and a type of `no_type`.
pub(super) fn columns(
    instrument: &Instrument,
    state: &OrderState,
    (no_type, none): (Value, &str),
) -> Map<String, Value> {
    let calling = calling(Some(state));
    let by = state.trigger().map(|trigger| trigger.by);
    let price = calling.map(|calling| shape::plain(instrument.price_decimal(calling.activation)));
    let rate = calling
        .map(|calling| shape::plain(Decimal::new(i64::from(calling.callback.share), u32::from(RATE_SCALE))));
    let kind = calling.zip(by).map_or(no_type, |(_, by)| json!(shape::price_type(by)));
    let or_none = |text: Option<String>| json!(text.unwrap_or_else(|| none.to_owned()));
    [
        ("activation_price_type".to_owned(), kind),
        ("activation_price".to_owned(), or_none(price)),
        ("callback_rate".to_owned(), or_none(rate)),
    ]
    .into_iter()
    .collect()
}

fn read(asked: &Asked<'_, '_>) -> Result<(Ticket, Callback), NativeError> {
    let (id, instrument) = named(asked)?;
    let fields = asked.fields;
    leverage_in(asked.room.paper, id, fields)?;
    margin_in(fields)?;
    let (side, effect) = side_in(fields, asked.room.paper.sim().position_mode(asked.account()?.id, id))?;
    let rate = fields.first(&["callback_rate"])?.and_then(|text| text.parse::<Decimal>().ok());
    let share = rate.and_then(|rate| units_of(rate, RATE_SCALE)).and_then(|units| u32::try_from(units).ok());
    let allowed = asked.room.paper.sim().config().venue.limits.callbacks;
    let in_range = |share: &u32| allowed.is_some_and(|(least, most)| (least..=most).contains(share));
    let share = share.filter(in_range).ok_or_else(|| invalid("callback_rate"))?;
    let price = price_in(&instrument, fields, "activation_price")?;
    let price = price.ok_or_else(|| invalid("activation_price"))?;
    let by = by_in(fields, "activation_price_type")?;
    let order = NewOrder {
        instrument: id,
        client_id: client_id(fields)?.map(Into::into),
        side,
        kind: OrderKind::Market,
        size: OrderSize::Qty(size_in(&instrument, fields)?.ok_or_else(|| invalid("size"))?),
        price: None,
        tif: TimeInForce::Ioc,
        trigger: Some(Trigger { kind: TriggerKind::TakeProfit, price, by }),
        self_trade: None,
        effect,
    };
    let ticket = Ticket { order, instrument };
    check_id(asked, &ticket)?;
    Ok((ticket, Callback::new(share)))
}

/// The leverage that it names is looked at and not set, as a plan's.
pub(super) fn submit(asked: &mut Asked<'_, '_>) -> Answer {
    let (ticket, callback) = read(asked)?;
    let account = asked.account()?.clone();
    let special = SpecialOrder { callback: Some(callback), ..SpecialOrder::new(ticket.order) };
    let tag = asked.room.place_special(&account, special)?;
    let (session, instrument) = (account.session, ticket.instrument);
    let finish: Finish = Box::new(move |room, answers| {
        let id = accepted(room, &account, tag, answers, &instrument)?;
        Ok(json!({ "order_id": id }))
    });
    Ok(Outcome::Sent { session, tags: vec![tag], finish })
}

/// Cancels a trailing order, or all of a contract where none is named.
pub(super) fn cancel(asked: &mut Asked<'_, '_>) -> Answer {
    let (id, instrument) = named(asked)?;
    let Some(known) = which(asked, id)? else {
        let session = asked.account()?.session;
        let tags = end_all(asked.room, session, Some(id), waits)?;
        return Ok(Outcome::Sent { session, tags, finish: Box::new(|_, _| Ok(nothing())) });
    };
    if calling(known.state.as_ref()).is_none() {
        return Err(error(400, 40_037, "The order id is not exist").into());
    }
    let (number, over) = (known.number, !shape::waits(known));
    cancel_one(asked, number, over, instrument)
}
