//! Orders: submitting and cancelling them.

use serde_json::{Value, json};

use super::fields::Fields;
use super::public;
use super::reply::{error, invalid};
use super::routes::{Answer, Asked, Finish, Outcome};
use super::shape;
use crate::market::decimal::{parse_units, parse_units_cut};
use crate::market::{Instrument, InstrumentId, Price, Qty, Side};
use crate::order::{NewOrder, OrderKind, OrderSize, RejectReason, SelfTrade, TimeInForce};
use crate::paper::{Known, PaperExchange, TraderView};
use crate::sim::{OrderEvent, RequestBody};
use crate::venue::bitmart::errors;
use crate::venue::{NativeError, Refused};

/// The most orders of a request.
const BATCH: usize = 10;

/// An order that was read, with what a refusal is worded with.
struct Ticket {
    order: NewOrder,
    instrument: Instrument,
}

/// Reads an order of `symbol`. Either name of the client id will do: clients mix them up.
fn read(paper: &PaperExchange, symbol: &str, fields: &Fields<'_>) -> Result<Ticket, NativeError> {
    let (id, instrument) =
        public::find(paper, symbol).ok_or_else(|| error(400, 50_001, "Symbol not found"))?;
    let side = match fields.needed("side")?.as_str() {
        "buy" => Side::Buy,
        "sell" => Side::Sell,
        _ => return Err(error(400, 52_002, "Unsupported Side Type")),
    };
    let (kind, tif) = match fields.needed("type")?.as_str() {
        "limit" => (OrderKind::Limit, TimeInForce::Gtc),
        "limit_maker" => (OrderKind::LimitMaker, TimeInForce::Gtc),
        "ioc" => (OrderKind::Limit, TimeInForce::Ioc),
        "market" => (OrderKind::Market, TimeInForce::Ioc),
        _ => return Err(error(400, 52_001, "Unsupported Trade Type")),
    };
    let self_trade = match fields.first(&["stpMode", "stp_mode"])?.as_deref() {
        None => None,
        Some("none") => Some(SelfTrade::None),
        Some("cancel_maker") => Some(SelfTrade::CancelMaker),
        Some("cancel_taker") => Some(SelfTrade::CancelTaker),
        Some("cancel_both") => Some(SelfTrade::CancelBoth),
        Some(_) => return Err(invalid("stpMode")),
    };
    let size = match (kind, side) {
        (OrderKind::Market, Side::Buy) => OrderSize::Quote(notional(paper, &instrument, fields)?),
        _ => OrderSize::Qty(size(&instrument, fields)?),
    };
    let price = match kind {
        OrderKind::Market => None,
        _ => Some(price(&instrument, fields)?),
    };
    let client_id = client_id(fields)?.map(Into::into);
    let order = NewOrder {
        instrument: id,
        client_id,
        side,
        kind,
        size,
        price,
        tif,
        trigger: None,
        self_trade,
        effect: crate::order::PositionEffect::Net,
    };
    Ok(Ticket { order, instrument })
}

fn client_id(fields: &Fields<'_>) -> Result<Option<String>, NativeError> {
    let Some(id) = fields.first(&["client_order_id", "clientOrderId"])? else { return Ok(None) };
    if id.len() > 32 {
        return Err(error(400, 50_037, "The maximum length of clientOrderId cannot exceed 32"));
    }
    if !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        let text = "ClientOrderId only allows a combination of numbers and letters";
        return Err(error(400, 50_038, text));
    }
    Ok(Some(id))
}

fn size(instrument: &Instrument, fields: &Fields<'_>) -> Result<Qty, NativeError> {
    let text = fields.first(&["size"])?;
    let text = text.ok_or_else(|| error(400, 50_010, "RequestParam size is required"))?;
    let units = parse_units(text.as_bytes(), instrument.qty_scale).map_err(|_| invalid("size"))?;
    Ok(Qty::from_units(units))
}

/// Decimals beyond the tick's are cut off in silence, as the real server does.
fn price(instrument: &Instrument, fields: &Fields<'_>) -> Result<Price, NativeError> {
    let text = fields.first(&["price"])?;
    let text = text.ok_or_else(|| error(400, 50_011, "RequestParam price is required"))?;
    let units = parse_units_cut(text.as_bytes(), instrument.price_scale).map_err(|_| invalid("price"))?;
    let tick = instrument.rule.tick.units().max(1);
    if units < tick {
        let tick = instrument.show_price(instrument.rule.tick);
        return Err(error(400, 50_008, format!("Minimum price is {tick}")));
    }
    Ok(Price::from_units(units - units.rem_euclid(tick)))
}

/// What a market buy spends.
fn notional(
    paper: &PaperExchange,
    instrument: &Instrument,
    fields: &Fields<'_>,
) -> Result<crate::order::Money, NativeError> {
    let text = fields.first(&["notional"])?.ok_or_else(|| invalid("notional"))?;
    let amount: rust_decimal::Decimal = text.parse().map_err(|_| invalid("notional"))?;
    if amount > crate::venue::api::MOST_MONEY {
        return Err(plain(RejectReason::InsufficientBalance {
            asset: 0,
            needed: crate::order::Money::ZERO,
            available: crate::order::Money::ZERO,
        }));
    }
    let names = paper.names();
    let quote = names.asset_index(&instrument.pair.quote).ok_or_else(|| invalid("notional"))?;
    // Beyond the quote's smallest unit nothing can be spent.
    let scale = u32::from(paper.sim().asset_scale(quote));
    names.money(quote, amount.trunc_with_scale(scale)).ok_or_else(|| invalid("notional"))
}

/// A client id must be unique among live orders.
fn is_taken(trader: Option<&TraderView>, order: &NewOrder) -> bool {
    let id = order.client_id.as_deref();
    let known = trader.zip(id).and_then(|(trader, id)| trader.by_client_id(id));
    known.is_some_and(|known| known.done.is_none())
}

/// The venue's words for a refused order.
fn refusal(ticket: &Ticket, reason: RejectReason) -> NativeError {
    errors::refusal(&Refused {
        reason,
        instrument: Some(&ticket.instrument),
        kind: Some(ticket.order.kind),
        side: Some(ticket.order.side),
    })
}

pub(super) fn submit(asked: &mut Asked<'_, '_>) -> Answer {
    let account = asked.account()?.clone();
    let symbol = asked.fields.needed("symbol")?;
    let ticket = read(asked.room.paper, &symbol, asked.fields)?;
    if is_taken(asked.room.trader(&account), &ticket.order) {
        return Err(refusal(&ticket, RejectReason::DuplicateClientId).into());
    }
    let tag = asked.room.place(&account, ticket.order.clone())?;
    let session = account.session;
    let finish: Finish = Box::new(move |room, answers| {
        if let Some(Some(OrderEvent::Rejected(reason))) = answers.first() {
            return Err(refusal(&ticket, *reason));
        }
        let known = room.trader(&account).and_then(|trader| trader.by_tag(tag));
        let id = known.and_then(|known| known.id).ok_or_else(super::query::not_found)?;
        Ok(json!({ "order_id": shape::order_id(id) }))
    });
    Ok(Outcome::Sent { session, tags: vec![tag], finish })
}

/// All of a batch are read before any is sent: one that makes no sense fails the whole of it. What the exchange then
/// refuses is left out of the ids; where it refuses all, its first refusal is the answer.
pub(super) fn batch(asked: &mut Asked<'_, '_>) -> Answer {
    let account = asked.account()?.clone();
    let symbol = asked.fields.needed("symbol")?;
    let rows = asked.fields.objects("orderParams")?;
    if rows.is_empty() || rows.len() > BATCH {
        let text = "The order quantity should be greater than 0 and less than or equal to 10";
        return Err(error(400, 50_033, text).into());
    }
    let tickets: Vec<Ticket> =
        rows.iter().map(|row| read(asked.room.paper, &symbol, row)).collect::<Result<_, _>>()?;
    for (at, ticket) in tickets.iter().enumerate() {
        let id = &ticket.order.client_id;
        let twice = id.is_some() && tickets[..at].iter().any(|other| other.order.client_id == *id);
        if twice || is_taken(asked.room.trader(&account), &ticket.order) {
            return Err(refusal(ticket, RejectReason::DuplicateClientId).into());
        }
    }
    let mut tags = Vec::with_capacity(tickets.len());
    for ticket in &tickets {
        tags.push(asked.room.place(&account, ticket.order.clone())?);
    }
    let (session, asked_for) = (account.session, tags.clone());
    let finish: Finish = Box::new(move |room, answers| {
        let trader = room.trader(&account);
        let id_of = |tag: &u64| trader?.by_tag(*tag)?.id.map(shape::order_id);
        let ids: Vec<String> = asked_for.iter().filter_map(id_of).collect();
        let refused = answers.iter().zip(&tickets).find_map(|(answer, ticket)| match answer {
            Some(OrderEvent::Rejected(reason)) => Some(refusal(ticket, *reason)),
            _ => None,
        });
        match refused {
            Some(refused) if ids.is_empty() => Err(refused),
            _ => Ok(json!({ "code": 0, "msg": "success", "data": { "orderIds": ids } })),
        }
    });
    Ok(Outcome::Sent { session, tags, finish })
}

/// The order that a request names, by either id.
fn named<'a>(
    paper: &PaperExchange,
    trader: &'a TraderView,
    id: Option<&str>,
    client_id: Option<&str>,
    instrument: Option<InstrumentId>,
) -> Option<&'a Known> {
    let known = match (id, client_id) {
        (Some(id), _) => trader.by_exchange_id(shape::order_of(id)?)?,
        (None, Some(client_id)) => trader.by_client_id(client_id)?,
        (None, None) => return None,
    };
    let fits = instrument.is_none_or(|instrument| known.instrument == instrument);
    let spot = shape::spot(paper.names(), known.instrument).is_some();
    (fits && spot && super::query::accepted(known)).then_some(known)
}

/// The instrument that `symbol` names, where it is given.
fn instrument_in(asked: &Asked<'_, '_>) -> Result<Option<InstrumentId>, NativeError> {
    let Some(symbol) = asked.fields.first(&["symbol"])? else { return Ok(None) };
    let found = public::find(asked.room.paper, &symbol).map(|(id, _)| id);
    found.map(Some).ok_or_else(|| error(400, 50_001, "Symbol not found"))
}

fn plain(reason: RejectReason) -> NativeError {
    errors::refusal(&Refused { reason, instrument: None, kind: None, side: None })
}

pub(super) fn cancel(asked: &mut Asked<'_, '_>) -> Answer {
    let account = asked.account()?.clone();
    asked.fields.needed("symbol")?;
    let instrument = instrument_in(asked)?;
    let id = asked.fields.first(&["order_id", "orderId"])?;
    let client_id = asked.fields.first(&["client_order_id", "clientOrderId"])?;
    if id.is_none() && client_id.is_none() {
        let text = "Order_id and clientOrderId cannot be empty at the same time";
        return Err(error(400, 50_039, text).into());
    }
    let trader = asked.room.trader(&account);
    let known = trader
        .and_then(|trader| named(asked.room.paper, trader, id.as_deref(), client_id.as_deref(), instrument));
    let Some(number) = known.map(|known| known.number) else {
        return Err(plain(RejectReason::UnknownOrder).into());
    };
    let tag = asked.room.paper.send_about(account.session, number, RequestBody::Cancel)?;
    let finish: Finish = Box::new(|_, answers| match answers.first() {
        Some(Some(OrderEvent::Rejected(reason))) => Err(plain(*reason)),
        _ => Ok(json!({ "result": true })),
    });
    Ok(Outcome::Sent { session: account.session, tags: tag.into_iter().collect(), finish })
}

pub(super) fn cancel_several(asked: &mut Asked<'_, '_>) -> Answer {
    let account = asked.account()?.clone();
    asked.fields.needed("symbol")?;
    let instrument = instrument_in(asked)?;
    let (ids, client_ids) = (asked.fields.texts("orderIds")?, asked.fields.texts("clientOrderIds")?);
    let by_id = !ids.is_empty();
    let names = if by_id { ids } else { client_ids };
    if names.is_empty() || names.len() > BATCH {
        let text = "The order quantity should be greater than 0 and less than or equal to 10";
        return Err(error(400, 50_033, text).into());
    }
    let mut sent: Vec<(String, Option<u64>)> = Vec::with_capacity(names.len());
    for name in names {
        let trader = asked.room.trader(&account);
        let (id, client_id) = if by_id { (Some(name.as_str()), None) } else { (None, Some(name.as_str())) };
        let known = trader.and_then(|trader| named(asked.room.paper, trader, id, client_id, instrument));
        let number = known.filter(|known| known.done.is_none()).map(|known| known.number);
        let tag = match number {
            Some(number) => asked.room.paper.send_about(account.session, number, RequestBody::Cancel)?,
            None => None,
        };
        sent.push((name, tag));
    }
    let tags: Vec<u64> = sent.iter().filter_map(|(_, tag)| *tag).collect();
    let finish: Finish = Box::new(move |_, answers| {
        let mut answers = answers.iter();
        let (mut done, mut failed) = (Vec::new(), Vec::new());
        for (name, tag) in sent {
            let answer = tag.and_then(|_| answers.next());
            match answer {
                Some(Some(OrderEvent::Rejected(_))) | None => failed.push(name),
                Some(_) => done.push(name),
            }
        }
        Ok(json!({
            "successIds": done,
            "failIds": failed,
            "totalCount": done.len() + failed.len(),
            "successCount": done.len(),
            "failedCount": failed.len(),
        }))
    });
    Ok(Outcome::Sent { session: account.session, tags, finish })
}

pub(super) fn cancel_all(asked: &mut Asked<'_, '_>) -> Answer {
    let account = asked.account()?.clone();
    let instrument = instrument_in(asked)?;
    let side = match asked.fields.first(&["side"])?.as_deref() {
        None => None,
        Some("buy") => Some(Side::Buy),
        Some("sell") => Some(Side::Sell),
        Some(_) => return Err(error(400, 52_002, "Unsupported Side Type").into()),
    };
    let mut tags = Vec::new();
    // Contracts of the same account are not meant.
    let only_spot = public::spot(asked.room.paper).count() == asked.room.paper.names().instruments().len();
    if side.is_some() || !(only_spot || instrument.is_some()) {
        let names = asked.room.paper.names();
        let fits = |known: &&Known| {
            known.done.is_none()
                && instrument.is_none_or(|wanted| known.instrument == wanted)
                && shape::spot(names, known.instrument).is_some()
                && side.is_none_or(|side| shape::side(known) == side.name())
        };
        let trader = asked.room.trader(&account);
        let open: Vec<u64> = trader
            .map(|trader| trader.orders().filter(fits).map(|known| known.number).collect())
            .unwrap_or_default();
        for number in open {
            tags.extend(asked.room.paper.send_about(account.session, number, RequestBody::Cancel)?);
        }
    } else {
        tags.push(asked.room.paper.send(account.session, RequestBody::CancelAll { instrument })?);
    }
    let finish: Finish = Box::new(|_, _| Ok(Value::Object(serde_json::Map::new())));
    Ok(Outcome::Sent { session: account.session, tags, finish })
}
