//! Questions about orders, plans and fills.

use serde_json::{Value, json};

use super::super::reply::{error, invalid};
use super::super::routes::{Answer, Asked, Outcome};
use super::orders::which;
use super::plans::{self, Family};
use super::{named, shape, trader, trails, wanted};
use crate::market::{InstrumentId, Product, Timestamp};
use crate::paper::Known;
use crate::venue::NativeError;

/// A time of a request: seconds as documented, milliseconds as ccxt sends them.
pub(super) fn time(asked: &Asked<'_, '_>, name: &str) -> Result<Option<Timestamp>, NativeError> {
    /// Seconds beyond this are milliseconds: it is the year 5138.
    const SECONDS: i64 = 100_000_000_000;
    let Some(number) = asked.fields.integer(name)? else { return Ok(None) };
    let millis = if number > SECONDS { Some(number) } else { number.checked_mul(1_000) };
    let nanos = millis.and_then(|millis| millis.checked_mul(1_000_000));
    nanos.map(|nanos| Some(Timestamp::from_nanos(nanos))).ok_or_else(|| invalid(name))
}

/// The span of a request, both ends in it.
pub(super) fn span(asked: &Asked<'_, '_>) -> Result<(Timestamp, Timestamp), NativeError> {
    let (from, to) = (time(asked, "start_time")?, time(asked, "end_time")?);
    if from.zip(to).is_some_and(|(from, to)| to < from) {
        return Err(invalid("end_time"));
    }
    Ok((from.unwrap_or(Timestamp::MIN), to.unwrap_or(Timestamp::MAX)))
}

pub(super) fn order(asked: &mut Asked<'_, '_>) -> Answer {
    let missing = || error(400, 40_035, "The order is not exist");
    let (id, _) = named(asked)?;
    let known = which(asked, id).map_err(|_| missing())?.ok_or_else(missing)?;
    let shown = shape::order(asked.room.paper, asked.memory, asked.account()?, known);
    shown.map(Outcome::Data).ok_or_else(|| missing().into())
}

/// Orders of contracts, newest first.
fn list(
    asked: &Asked<'_, '_>,
    instrument: Option<InstrumentId>,
    limit: usize,
    fits: impl Fn(&Known) -> bool,
) -> Answer {
    let (paper, memory, account) = (&*asked.room.paper, &*asked.memory, asked.account()?);
    let trader = trader(asked)?;
    let is_wanted = |known: &&Known| {
        let contract = paper.names().instrument(known.instrument).is_some_and(|i| i.product != Product::Spot);
        contract
            && instrument.is_none_or(|wanted| wanted == known.instrument)
            && !memory.is_replaced(account.session, trader, known)
            && fits(known)
    };
    let orders = trader.orders().rev().filter(is_wanted);
    let rows = orders.filter_map(|known| shape::order(paper, memory, account, known)).take(limit);
    let rows: Vec<Value> = rows.collect();
    Ok(Outcome::Data(Value::Array(rows)))
}

pub(super) fn open(asked: &mut Asked<'_, '_>) -> Answer {
    let kind = match asked.fields.first(&["type"])?.as_deref() {
        None | Some("all") => None,
        Some("limit") => Some("limit"),
        Some("market") => Some("market"),
        Some("trailing") => Some("trailing"),
        Some(_) => return Err(error(400, 40_042, "The order type is invalid").into()),
    };
    let partly = match asked.fields.first(&["order_state"])?.as_deref() {
        None | Some("all") => false,
        Some("partially_filled") => true,
        Some(_) => return Err(invalid("order_state").into()),
    };
    let fits = |known: &Known| {
        known.done.is_none()
            && (!shape::waits(known) || trails::waits(known))
            && kind.is_none_or(|kind| kind == shape::kind_word(known))
            && !(partly && known.order.executed_amount_base.is_zero())
    };
    list(asked, wanted(asked)?, asked.fields.limit(100, 100)?, fits)
}

pub(super) fn history(asked: &mut Asked<'_, '_>) -> Answer {
    let (from, to) = span(asked)?;
    let id = asked.fields.first(&["order_id"])?;
    let client_id = asked.fields.first(&["client_order_id"])?;
    let session = asked.account()?.session;
    let fits = |known: &Known| {
        let at = known.order.creation_timestamp;
        let own = known.id.map(|id| asked.memory.shown(session, &known.order.client_order_id, id));
        let id = id.as_ref().is_none_or(|id| own.is_some() && shape::order_of(id) == own);
        let named = client_id.as_ref().is_none_or(|id| known.order.client_order_id.as_str() == id);
        known.done.is_some() && at >= from && at <= to && id && named
    };
    list(asked, wanted(asked)?, asked.fields.limit(200, 200)?, fits)
}

pub(super) fn plans(asked: &mut Asked<'_, '_>) -> Answer {
    let instrument = wanted(asked)?;
    let family = match asked.fields.first(&["plan_type"])?.as_deref() {
        None => None,
        Some("plan") => Some(Family::Plan),
        Some("profit_loss") => Some(Family::ProfitLoss),
        Some(_) => return Err(invalid("plan_type").into()),
    };
    let kind = asked.fields.first(&["type"])?;
    let limit = asked.fields.limit(100, 100)?;
    let account = asked.account()?;
    let fits = |known: &&Known| {
        let plan = asked.memory.plan_of(account.session, &known.order.client_order_id);
        shape::waits(known)
            && !trails::waits(known)
            && instrument.is_none_or(|wanted| wanted == known.instrument)
            && family.is_none_or(|family| plan.is_some_and(|plan| plan.family() == family))
            && kind.as_deref().is_none_or(|kind| kind == shape::word(known))
    };
    let orders = trader(asked)?.orders().rev().filter(fits);
    let rows = orders.filter_map(|known| plans::row(asked, account, known));
    Ok(Outcome::Data(Value::Array(rows.take(limit).collect())))
}

pub(super) fn trades(asked: &mut Asked<'_, '_>) -> Answer {
    let (from, to) = span(asked)?;
    let instrument = wanted(asked)?;
    let order = asked.fields.first(&["order_id"])?;
    // An id that no order can have has no fills.
    let order = order.map(|id| shape::order_of(&id).unwrap_or_default());
    let client_id = asked.fields.first(&["client_order_id"])?;
    let session = asked.account()?.session;
    let rows = trader(asked)?.fills().iter().rev().filter(|row| {
        instrument.is_none_or(|wanted| wanted == row.fill.instrument)
            && row.at >= from
            && row.at <= to
            && order.is_none_or(|order| order == asked.memory.shown(session, &row.client_id, row.fill.order))
            && client_id.as_ref().is_none_or(|id| row.client_id.as_str() == id)
    });
    let rows = rows.filter_map(|row| shape::trade(asked.room.paper, asked.memory, row)).take(200);
    Ok(Outcome::Data(json!(rows.collect::<Vec<Value>>())))
}
