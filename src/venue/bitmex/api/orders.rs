//! Orders: placing, amending and cancelling them, and what became of them.

use serde_json::Value;

use super::fields::Fields;
use super::public::{self, table};
use super::routes::{Answer, Asked, Finish, Outcome, Refusal, bad};
use super::row::{Row, array, time_text};
use super::wish::{self, Wish};
use super::{pegs, positions, rows};
use crate::market::{Instrument, InstrumentId, Price, Qty, Side};
use crate::order::{NewOrder, OrderSize, RejectReason, SpecialAmend};
use crate::paper::{Dictionary, Known, TraderView};
use crate::sim::{Extra, OrderEvent, OrderState, RequestBody};
use crate::venue::Refused;
use crate::venue::api::{Account, Room};
use crate::venue::bitmex::errors;

pub(super) fn refusal(names: &Dictionary, instrument: Option<&Instrument>, reason: RejectReason) -> Refusal {
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

/// The order of a tag, as its owner sees it.
fn shown(room: &Room<'_>, account: &Account, tag: u64) -> Result<Row, Refusal> {
    let known = room.trader(account).and_then(|trader| trader.by_tag(tag));
    let row = known.and_then(|known| rows::order(room.paper.names(), account, known));
    row.ok_or_else(|| Refusal::new(404, "Not Found"))
}

/// Sends an order that was read, after what it takes the place of. The tag of its answer.
fn send(room: &mut Room<'_>, account: &Account, wish: Wish) -> Result<u64, Refusal> {
    let Wish { special, closes, .. } = wish;
    let order = &special.order;
    let taken = order.client_id.as_deref().and_then(|id| room.trader(account)?.by_client_id(id));
    if taken.is_some_and(|known| known.done.is_none()) {
        return Err(bad("Duplicate clOrdID"));
    }
    if order.trigger.is_some() && !wish::may_wait(room.paper, account, order.instrument) {
        return Err(bad("Too many open orders"));
    }
    if closes {
        make_way(room, account, order)?;
    }
    Ok(room.place_special(account, special)?)
}

/// An order that closes a position cancels those of its side that would close the same.
fn make_way(room: &mut Room<'_>, account: &Account, order: &NewOrder) -> Result<(), Refusal> {
    let OrderSize::Qty(mut sum) = order.size else { return Ok(()) };
    let most = positions::closable(room.paper, account, order.instrument, order.side);
    let Some(trader) = room.trader(account) else { return Ok(()) };
    let rests = |known: &&Known| {
        let same = |state: &OrderState| state.side == order.side && state.instrument == order.instrument;
        known.done.is_none() && !known.order.waiting && known.state.as_ref().is_some_and(same)
    };
    let mut numbers = Vec::new();
    for known in trader.orders().filter(rests) {
        sum += known.state.as_ref().map(|state| state.qty - state.filled).unwrap_or_default();
        numbers.push(known.number);
    }
    if sum > most {
        for number in numbers {
            room.paper.send_about(account.session, number, RequestBody::Cancel)?;
        }
    }
    Ok(())
}

pub(super) fn place(asked: &mut Asked<'_, '_>) -> Answer {
    let wish = wish::read(asked.room.paper, asked.account()?, asked.fields)?;
    place_one(asked, wish)
}

fn place_one(asked: &mut Asked<'_, '_>, wish: Wish) -> Answer {
    let (account, one) = (asked.account()?.clone(), wish.one.clone());
    let tag = send(asked.room, &account, wish)?;
    let session = account.session;
    let finish: Finish = Box::new(move |room, answers| match answers.first() {
        Some(Some(OrderEvent::Rejected(reason))) => Err(refusal(room.paper.names(), Some(&one), *reason)),
        _ => shown(room, &account, tag).map(Row::into_json),
    });
    Ok(Outcome::Sent { session, tags: vec![tag], finish })
}

/// All of a position by one order: at a price where one is given, else at the market.
pub(super) fn close_position(asked: &mut Asked<'_, '_>) -> Answer {
    let fields = asked.fields.with("execInst", "Close").without(&["ordType", "stopPx", "side", "orderQty"]);
    let wish = wish::read(asked.room.paper, asked.account()?, &fields)?;
    place_one(asked, wish)
}

/// The requests of a list: each is read before any is sent.
fn many<'a>(asked: &'a Asked<'_, '_>) -> Result<Vec<Fields<'a>>, Refusal> {
    let orders = asked.fields.objects("orders").ok_or_else(|| bulk(bad("orders is invalid")))?;
    if orders.is_empty() || orders.len() > MOST_IN_BULK {
        return Err(bulk(bad("orders is invalid")));
    }
    Ok(orders)
}

/// So many orders in one request.
const MOST_IN_BULK: usize = 100;

/// A refusal of one of many.
fn bulk(refusal: Refusal) -> Refusal {
    refusal.prefixed("Bulk orders: ")
}

/// Places a list of orders. None is sent where one cannot be read; what the exchange refuses then is told in its place.
pub(super) fn place_many(asked: &mut Asked<'_, '_>) -> Answer {
    let account = asked.account()?.clone();
    let read = |fields: &Fields<'_>| wish::read(asked.room.paper, &account, fields).map_err(bulk);
    let wishes: Vec<Wish> = many(asked)?.iter().map(read).collect::<Result<_, _>>()?;
    let ids: Vec<&str> = wishes.iter().filter_map(|wish| wish.special.order.client_id.as_deref()).collect();
    let unique: std::collections::BTreeSet<&str> = ids.iter().copied().collect();
    if unique.len() < ids.len() {
        return Err(bulk(bad("Duplicate clOrdID")));
    }
    let mut sent = Vec::with_capacity(wishes.len());
    for wish in wishes {
        let one = wish.one.clone();
        sent.push((send(asked.room, &account, wish).map_err(bulk)?, one));
    }
    let tags = sent.iter().map(|(tag, _)| *tag).collect();
    let session = account.session;
    let finish: Finish = Box::new(move |room, answers| {
        let mut rows = Vec::with_capacity(sent.len());
        for ((tag, one), answer) in sent.iter().zip(answers) {
            rows.push(match answer {
                Some(OrderEvent::Rejected(reason)) => {
                    let why = refusal(room.paper.names(), Some(one), *reason).message;
                    refused_row(room, &account, *tag, one, &why)
                }
                _ => shown(room, &account, *tag)?,
            });
        }
        Ok(array(&rows))
    });
    Ok(Outcome::Sent { session, tags, finish })
}

/// One of many orders that never was.
fn refused_row(room: &Room<'_>, account: &Account, tag: u64, one: &Instrument, why: &str) -> Row {
    let known = room.trader(account).and_then(|trader| trader.by_tag(tag));
    Row::new()
        .text("orderID", "00000000-0000-0000-0000-000000000000")
        .text("clOrdID", known.map(rows::client_id).unwrap_or_default())
        .plain("account", rows::account_number(account.id))
        .text("symbol", &one.symbol)
        .text("ordStatus", "Rejected")
        .plain("workingIndicator", false)
        .text("ordRejReason", why)
        .plain("leavesQty", 0)
        .plain("cumQty", 0)
        .text("text", why)
        .time("timestamp", room.paper.now())
}

fn trader<'a>(asked: &'a Asked<'_, '_>) -> Result<&'a TraderView, Refusal> {
    asked.room.trader(asked.account()?).ok_or_else(|| Refusal::new(401, "Invalid API Key."))
}

/// A change that was asked for: of which order, to what, and what to say of it.
struct Change {
    number: u64,
    tag: u64,
    one: Instrument,
    price: Option<Price>,
    qty: Option<Qty>,
    /// Whether the order waits.
    waits: bool,
    /// What it waits for.
    trigger: Option<Price>,
    /// How far from the market its trigger is …
    distance: Option<Price>,
    /// … or its limit.
    offset: Option<Price>,
    text: String,
}

fn read_change(room: &Room<'_>, account: &Account, fields: &Fields<'_>) -> Result<Change, Refusal> {
    let trader = room.trader(account).ok_or_else(|| Refusal::new(401, "Invalid API Key."))?;
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
    let one = room.paper.names().instrument(known.instrument).cloned();
    let one = one.ok_or_else(|| bad("Invalid orderID"))?;
    let trigger = read_trigger(known, &one, fields)?;
    let (distance, offset) = read_offset(known, &one, fields)?;
    let price = fields.text("price").map(|text| wish::price(&one, text, "price")).transpose()?;
    let whole = fields.text("orderQty").map(|text| wish::quantity(&one, text)).transpose()?;
    let leaves = fields.text("leavesQty").map(|text| wish::quantity(&one, text)).transpose()?;
    let filled = known.state.as_ref().map(|state| state.filled).unwrap_or_default();
    let qty = whole.map(|(qty, _)| qty).or(leaves.map(|(leaves, _)| filled + leaves));
    let pegged = distance.is_some() || offset.is_some();
    let changed = [
        ("orderQty", qty.is_some()),
        ("price", price.is_some()),
        ("stopPx", trigger.is_some()),
        ("pegOffsetValue", pegged),
    ];
    let changed: Vec<&str> = changed.iter().filter(|change| change.1).map(|change| change.0).collect();
    let text = format!("Amended {}\nSubmitted via API.", changed.join(" "));
    let (number, tag, waits) = (known.number, known.tag, known.order.waiting);
    Ok(Change { number, tag, one, price, qty, waits, trigger, distance, offset, text })
}

fn extra_of(known: &Known) -> Option<&Extra> {
    known.state.as_ref().and_then(|state| state.extra.as_deref())
}

/// Another price to wait for; one that the market sets is not set by hand.
fn read_trigger(known: &Known, one: &Instrument, fields: &Fields<'_>) -> Result<Option<Price>, Refusal> {
    let Some(text) = fields.text("stopPx") else { return Ok(None) };
    let own = extra_of(known).is_some_and(|extra| extra.trigger.is_some() && !extra.is_led());
    if !known.order.waiting || !own {
        return Err(bad("Invalid stopPx for ordType"));
    }
    wish::trigger_price(one, text).map(Some)
}

/// Another distance of the trigger, or of the limit, from the market.
fn read_offset(
    known: &Known,
    one: &Instrument,
    fields: &Fields<'_>,
) -> Result<(Option<Price>, Option<Price>), Refusal> {
    let Some(text) = fields.text("pegOffsetValue") else { return Ok((None, None)) };
    let offset = pegs::offset(one, text)?;
    let state = known.state.as_ref();
    match (extra_of(known), state.and_then(OrderState::trigger)) {
        (Some(extra), _) if extra.peg.is_some() => Ok((None, Some(offset))),
        (Some(extra), Some(trigger)) if extra.follows.is_some() && known.order.waiting => {
            let side = state.map_or(Side::Buy, |state| state.side);
            let trail = pegs::trail(side, Some(trigger.kind), offset)?;
            Ok((Some(trail.distance), None))
        }
        _ => Err(bad("Invalid pegOffsetValue")),
    }
}

fn send_change(room: &mut Room<'_>, account: &Account, change: &Change) -> Result<Option<u64>, Refusal> {
    let &Change { price, qty, trigger, distance, offset, .. } = change;
    let amend = |order| match (trigger, distance, offset) {
        (None, None, None) if !change.waits => RequestBody::Amend { order, price, qty },
        _ => {
            let special = SpecialAmend { order, price, qty, trigger, distance, offset };
            RequestBody::AmendSpecial(Box::new(special))
        }
    };
    Ok(room.paper.send_about(account.session, change.number, amend)?)
}

/// The order after a change, or why it did not change.
fn changed(
    room: &Room<'_>,
    account: &Account,
    change: &Change,
    answer: Option<&OrderEvent>,
) -> Result<Row, Refusal> {
    match answer {
        Some(OrderEvent::Rejected(reason)) => Err(refusal(room.paper.names(), Some(&change.one), *reason)),
        _ => shown(room, account, change.tag).map(|row| row.with_text(&change.text)),
    }
}

pub(super) fn amend(asked: &mut Asked<'_, '_>) -> Answer {
    let account = asked.account()?.clone();
    let change = read_change(asked.room, &account, asked.fields)?;
    let tag = send_change(asked.room, &account, &change)?;
    let session = account.session;
    let finish: Finish = Box::new(move |room, answers| {
        let answer = answers.first().and_then(Option::as_ref);
        changed(room, &account, &change, answer).map(Row::into_json)
    });
    Ok(Outcome::Sent { session, tags: tag.into_iter().collect(), finish })
}

/// Amends a list of orders: none where one request cannot be read.
pub(super) fn amend_many(asked: &mut Asked<'_, '_>) -> Answer {
    let account = asked.account()?.clone();
    let read = |fields: &Fields<'_>| read_change(asked.room, &account, fields).map_err(bulk);
    let changes: Vec<Change> = many(asked)?.iter().map(read).collect::<Result<_, _>>()?;
    let mut sent = Vec::with_capacity(changes.len());
    for change in changes {
        sent.push((send_change(asked.room, &account, &change)?, change));
    }
    let tags = sent.iter().filter_map(|(tag, _)| *tag).collect();
    let session = account.session;
    let finish: Finish = Box::new(move |room, answers| {
        let mut answers = answers.iter();
        let mut rows = Vec::with_capacity(sent.len());
        for (tag, change) in &sent {
            let answer = tag.and_then(|_| answers.next()).and_then(Option::as_ref);
            rows.push(match changed(room, &account, change, answer) {
                Ok(row) => row,
                Err(refused) => shown(room, &account, change.tag)?.text("error", &refused.message),
            });
        }
        Ok(array(&rows))
    });
    Ok(Outcome::Sent { session, tags, finish })
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
        Some(_) => Some(public::named(asked.room.paper, asked.fields)?.0),
        None => None,
    };
    let filter = asked.fields.filter()?;
    let names = asked.room.paper.names();
    let is_wanted = |known: &&Known| {
        known.done.is_none()
            && known.id.is_some()
            && instrument.is_none_or(|wanted| wanted == known.instrument)
            && (filter.is_empty()
                || rows::order(names, &account, known).is_some_and(|row| public::fits(&row, &filter)))
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
