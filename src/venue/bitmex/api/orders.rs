//! Orders: placing, amending and cancelling them, and what became of them.

use rust_decimal::Decimal;
use serde_json::Value;

use super::public::{self, table};
use super::routes::{Answer, Asked, Finish, Outcome, Refusal, bad};
use super::row::{Row, array, time_text};
use super::rows;
use crate::market::decimal::{parse_units, units_of};
use crate::market::{Instrument, InstrumentId, Price, Product, Qty, Side};
use crate::order::{NewOrder, OrderKind, OrderSize, PositionEffect, RejectReason, TimeInForce};
use crate::paper::{Dictionary, Known, TraderView};
use crate::sim::{OrderEvent, RequestBody};
use crate::venue::Refused;
use crate::venue::api::{Account, Room};
use crate::venue::bitmex::errors;

/// The longest client id.
const LONGEST_ID: usize = 36;

fn refusal(names: &Dictionary, instrument: Option<&Instrument>, reason: RejectReason) -> Refusal {
    if let RejectReason::InsufficientBalance { asset, needed, .. } = reason
        && let Some(known) = names.asset(asset)
    {
        let (currency, scale) = rows::currency(known);
        let needed = names.decimal(asset, needed).checked_mul(rows::power(scale)).unwrap_or_default().ceil();
        return Refusal::validation(&format!(
            "Account has insufficient Available Balance, {needed} {currency} required"
        ));
    }
    if let (RejectReason::OffLot { lot }, Some(one)) = (reason, instrument) {
        let lot = rows::size(one, one.qty_decimal(lot));
        return bad(&format!("Order quantity must be a multiple of lot size: {lot}"));
    }
    let error = errors::refusal(&Refused { reason, instrument, kind: None, side: None });
    Refusal::new(error.http, &error.message)
}

/// A quantity of the wire in the instrument's numbers, without its sign, and whether it had one.
fn quantity(one: &Instrument, text: &str) -> Result<(Qty, bool), Refusal> {
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

fn price(one: &Instrument, text: &str) -> Result<Price, Refusal> {
    match parse_units(text.as_bytes(), one.price_scale) {
        Ok(units) => Ok(Price::from_units(units)),
        Err(crate::market::decimal::DecimalFault::TooPrecise { .. }) => Err(bad("Invalid price tickSize")),
        Err(_) => Err(bad("Invalid price")),
    }
}

fn read(asked: &Asked<'_, '_>) -> Result<(NewOrder, Instrument), Refusal> {
    let fields = asked.fields;
    let (id, one) = public::named(asked)?;
    if one.product != Product::Spot {
        // Their positions are not told here yet.
        return Err(bad("Market is not open"));
    }
    let qty = fields.text("orderQty").ok_or_else(|| bad("orderQty is required"))?;
    let (qty, negative) = quantity(&one, qty)?;
    let side = match fields.text("side") {
        Some("Buy") => Side::Buy,
        Some("Sell") => Side::Sell,
        None if negative => Side::Sell,
        None => Side::Buy,
        Some(_) => return Err(bad("Invalid side")),
    };
    let limit = fields.text("price").map(|text| price(&one, text)).transpose()?;
    for name in ["stopPx", "pegPriceType", "pegOffsetValue", "displayQty", "contingencyType"] {
        // Zero and nothing are written both ways.
        if fields.text(name).is_some_and(|text| text != "0" && text != "0.0") {
            return Err(bad("Unsupported ordType"));
        }
    }
    let market = match fields.text("ordType") {
        Some("Market") => true,
        Some("Limit") => false,
        None => limit.is_none(),
        Some(_) => return Err(bad("Unsupported ordType")),
    };
    let mut kind = if market { OrderKind::Market } else { OrderKind::Limit };
    for instruction in fields.list("execInst") {
        match instruction.as_str() {
            "ParticipateDoNotInitiate" if market => return Err(bad("Invalid execInst")),
            "ParticipateDoNotInitiate" => kind = OrderKind::LimitMaker,
            "" | "MarkPrice" | "LastPrice" => {}
            _ => return Err(bad("Unsupported execInst")),
        }
    }
    let tif = match fields.text("timeInForce") {
        _ if market => TimeInForce::Ioc,
        None | Some("GoodTillCancel") => TimeInForce::Gtc,
        Some("ImmediateOrCancel") => TimeInForce::Ioc,
        Some("FillOrKill") => TimeInForce::Fok,
        Some(_) => return Err(bad("Unsupported timeInForce")),
    };
    let client_id = fields.text("clOrdID");
    if client_id.is_some_and(|id| id.len() > LONGEST_ID || id.chars().any(char::is_control)) {
        return Err(bad("Invalid clOrdID"));
    }
    let price = if market { None } else { Some(limit.ok_or_else(|| bad("Invalid price"))?) };
    let order = NewOrder {
        instrument: id,
        client_id: client_id.map(Into::into),
        side,
        kind,
        size: OrderSize::Qty(qty),
        price,
        tif,
        trigger: None,
        self_trade: None,
        effect: PositionEffect::Net,
    };
    Ok((order, one))
}

/// The order of a tag, as its owner sees it.
fn shown(room: &Room<'_>, account: &Account, tag: u64) -> Result<Row, Refusal> {
    let known = room.trader(account).and_then(|trader| trader.by_tag(tag));
    let row = known.and_then(|known| rows::order(room.paper.names(), account, known));
    row.ok_or_else(|| Refusal::new(404, "Not Found"))
}

pub(super) fn place(asked: &mut Asked<'_, '_>) -> Answer {
    let account = asked.account()?.clone();
    let (order, one) = read(asked)?;
    let taken = order.client_id.as_deref().and_then(|id| asked.room.trader(&account)?.by_client_id(id));
    if taken.is_some_and(|known| known.done.is_none()) {
        return Err(bad("Duplicate clOrdID"));
    }
    let tag = asked.room.place(&account, order)?;
    let session = account.session;
    let finish: Finish = Box::new(move |room, answers| match answers.first() {
        Some(Some(OrderEvent::Rejected(reason))) => Err(refusal(room.paper.names(), Some(&one), *reason)),
        _ => shown(room, &account, tag).map(|row| row.json()),
    });
    Ok(Outcome::Sent { session, tags: vec![tag], finish })
}

fn trader<'a>(asked: &'a Asked<'_, '_>) -> Result<&'a TraderView, Refusal> {
    asked.room.trader(asked.account()?).ok_or_else(|| Refusal::new(401, "Invalid API Key."))
}

pub(super) fn amend(asked: &mut Asked<'_, '_>) -> Answer {
    let account = asked.account()?.clone();
    let fields = asked.fields;
    let trader = trader(asked)?;
    let known = match (fields.text("orderID"), fields.text("origClOrdID")) {
        (Some(id), _) => rows::order_of(id)
            .and_then(|id| trader.by_exchange_id(id))
            .ok_or_else(|| bad("Invalid orderID"))?,
        (None, Some(id)) => trader.by_client_id(id).ok_or_else(|| bad("Invalid origClOrdID"))?,
        (None, None) => return Err(bad("orderID or origClOrdID must be sent.")),
    };
    if known.done.is_some() {
        return Err(bad(&format!("Invalid ordStatus: {}", rows::status(known))));
    }
    let one = asked.room.paper.names().instrument(known.instrument).cloned();
    let one = one.ok_or_else(|| bad("Invalid orderID"))?;
    let limit = fields.text("price").map(|text| price(&one, text)).transpose()?;
    let whole = fields.text("orderQty").map(|text| quantity(&one, text)).transpose()?;
    let leaves = fields.text("leavesQty").map(|text| quantity(&one, text)).transpose()?;
    let filled = known.state.as_ref().map(|state| state.filled).unwrap_or_default();
    let qty = whole.map(|(qty, _)| qty).or(leaves.map(|(leaves, _)| filled + leaves));
    let (number, tag_of_order) = (known.number, known.tag);
    let changed: Vec<&str> = [("orderQty", qty.is_some()), ("price", limit.is_some())]
        .iter()
        .filter(|c| c.1)
        .map(|c| c.0)
        .collect();
    let text = format!("Amended {}\nSubmitted via API.", changed.join(" "));
    let tag = asked.room.paper.send_about(account.session, number, |order| RequestBody::Amend {
        order,
        price: limit,
        qty,
    })?;
    let session = account.session;
    let finish: Finish = Box::new(move |room, answers| match answers.first() {
        Some(Some(OrderEvent::Rejected(reason))) => Err(refusal(room.paper.names(), Some(&one), *reason)),
        _ => shown(room, &account, tag_of_order).map(|row| row.with_text(&text).json()),
    });
    Ok(Outcome::Sent { session, tags: tag.into_iter().collect(), finish })
}

pub(super) fn cancel(asked: &mut Asked<'_, '_>) -> Answer {
    let account = asked.account()?.clone();
    let (ids, client_ids) = (asked.fields.list("orderID"), asked.fields.list("clOrdID"));
    if ids.is_empty() && client_ids.is_empty() {
        return Err(bad("orderID or clOrdID must be sent."));
    }
    let trader = trader(asked)?;
    let by_id = |id: &String| rows::order_of(id).and_then(|id| trader.by_exchange_id(id));
    let found: Vec<Option<&Known>> = match ids.is_empty() {
        false => ids.iter().map(by_id).collect(),
        true => client_ids.iter().map(|id| trader.by_client_id(id)).collect(),
    };
    let found: Option<Vec<&Known>> = found.into_iter().collect();
    let found = found.ok_or_else(|| Refusal::new(404, "Not Found"))?;
    let orders: Vec<(u64, u64, bool)> =
        found.iter().map(|known| (known.number, known.tag, known.done.is_some())).collect();
    let mut sent = Vec::with_capacity(orders.len());
    for (number, tag, done) in orders {
        let asked_for = match done {
            true => None,
            false => asked.room.paper.send_about(account.session, number, RequestBody::Cancel)?,
        };
        sent.push((tag, asked_for));
    }
    let tags = sent.iter().filter_map(|(_, asked_for)| *asked_for).collect();
    let session = account.session;
    let finish: Finish = Box::new(move |room, answers| {
        let mut answers = answers.iter();
        let mut shown_rows = Vec::with_capacity(sent.len());
        for (tag, asked_for) in sent {
            let refused =
                asked_for.is_none() || matches!(answers.next(), Some(Some(OrderEvent::Rejected(_))));
            let row = shown(room, &account, tag)?;
            shown_rows.push(match refused {
                true => {
                    let status = row.get("ordStatus").unwrap_or_default().trim_matches('"').to_owned();
                    let error = format!("Unable to cancel order due to existing state: {status}");
                    row.text("error", &error)
                }
                false => row,
            });
        }
        Ok(array(&shown_rows))
    });
    Ok(Outcome::Sent { session, tags, finish })
}

pub(super) fn cancel_all(asked: &mut Asked<'_, '_>) -> Answer {
    let account = asked.account()?.clone();
    let instrument: Option<InstrumentId> = match asked.fields.text("symbol") {
        Some(_) => Some(public::named(asked)?.0),
        None => None,
    };
    let filter = asked.fields.filter()?;
    let side = filter.get("side").and_then(Value::as_str);
    let names = asked.room.paper.names();
    let is_wanted = |known: &&Known| {
        known.done.is_none()
            && known.id.is_some()
            && instrument.is_none_or(|wanted| wanted == known.instrument)
            && side.is_none_or(|side| {
                let row = rows::order(names, &account, known);
                row.is_some_and(|row| row.get("side") == Some(format!("\"{side}\"").as_str()))
            })
    };
    let orders: Vec<(u64, u64)> =
        trader(asked)?.orders().filter(is_wanted).map(|known| (known.number, known.tag)).collect();
    let mut tags = Vec::with_capacity(orders.len());
    for (number, _) in &orders {
        tags.extend(asked.room.paper.send_about(account.session, *number, RequestBody::Cancel)?);
    }
    let session = account.session;
    let finish: Finish = Box::new(move |room, _| {
        let rows: Vec<Row> =
            orders.iter().map(|(_, tag)| shown(room, &account, *tag)).collect::<Result<_, _>>()?;
        Ok(array(&rows))
    });
    Ok(Outcome::Sent { session, tags, finish })
}

pub(super) fn cancel_all_after(asked: &mut Asked<'_, '_>) -> Answer {
    let session = asked.account()?.session;
    let timeout = asked.fields.millis("timeout")?;
    let now = asked.room.paper.now();
    let row = Row::new().text("now", &time_text(now));
    if timeout.is_zero() {
        asked.switches.remove(&session);
        return Ok(row.plain("cancelTime", 0).into());
    }
    let at = now.plus(timeout);
    asked.switches.insert(session, at);
    Ok(row.text("cancelTime", &time_text(at)).into())
}

pub(super) fn list(asked: &mut Asked<'_, '_>) -> Answer {
    let (names, account) = (asked.room.paper.names(), asked.account()?);
    let wanted = asked.fields.text("symbol").map(str::to_ascii_uppercase);
    let filter = asked.fields.filter()?;
    let open = filter.get("open").and_then(Value::as_bool);
    let is_wanted = |known: &&Known| {
        known.id.is_some()
            && open.is_none_or(|open| open == known.done.is_none())
            && wanted.as_ref().is_none_or(|symbol| {
                names.instrument(known.instrument).is_some_and(|one| one.symbol == *symbol)
            })
    };
    let known = trader(asked)?.orders().filter(is_wanted);
    let rows: Vec<Row> = known.filter_map(|known| rows::order(names, account, known)).collect();
    table(asked, rows, &["orderID"], false)
}
