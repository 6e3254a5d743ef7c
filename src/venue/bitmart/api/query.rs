//! What an account asks about its orders and fills.

use serde_json::{Value, json};

use super::reply::{error, invalid};
use super::routes::{Answer, Asked, Outcome};
use super::{public, shape};
use crate::market::{InstrumentId, Timestamp};
use crate::paper::{Known, TraderView};
use crate::venue::NativeError;

/// No such order.
pub(super) fn not_found() -> NativeError {
    error(400, 50_005, "Order Id not found")
}

/// What the account's clients know.
pub(super) fn trader<'a>(asked: &'a Asked<'_, '_>) -> Result<&'a TraderView, NativeError> {
    let missing = || error(401, 30_002, "Header X-BM-KEY not found");
    asked.room.trader(asked.account()?).ok_or_else(missing)
}

/// The order that has an exchange's number, as far as its owner knows.
pub(super) fn accepted(known: &Known) -> bool {
    known.id.is_some()
}

fn show(asked: &Asked<'_, '_>, known: Option<&Known>) -> Answer {
    let order = known.and_then(|known| shape::order(asked.room.paper.names(), known));
    Ok(Outcome::Data(order.ok_or_else(not_found)?))
}

pub(super) fn by_order_id(asked: &mut Asked<'_, '_>) -> Answer {
    let id = asked.fields.needed("orderId")?;
    let known = shape::order_of(&id).and_then(|id| trader(asked).ok()?.by_exchange_id(id));
    show(asked, known.filter(|known| fits(asked, known)))
}

pub(super) fn by_client_id(asked: &mut Asked<'_, '_>) -> Answer {
    let id = asked.fields.needed("clientOrderId")?;
    let known = trader(asked)?.by_client_id(&id);
    show(asked, known.filter(|known| fits(asked, known)))
}

/// Whether the order is in the state that `queryState` asks for.
fn fits(asked: &Asked<'_, '_>, known: &Known) -> bool {
    match asked.fields.text("queryState").ok().flatten().as_deref() {
        Some("open") => known.done.is_none(),
        Some("history") => known.done.is_some(),
        _ => true,
    }
}

/// What a list is narrowed to.
struct Filter {
    instrument: Option<InstrumentId>,
    from: Timestamp,
    to: Timestamp,
    limit: usize,
}

impl Filter {
    fn read(asked: &Asked<'_, '_>) -> Result<Self, NativeError> {
        let fields = asked.fields;
        let find = |symbol: String| {
            let found = public::find(asked.room.paper, &symbol).map(|(id, _)| id);
            found.ok_or_else(|| error(400, 50_001, "Symbol not found"))
        };
        let instrument = fields.first(&["symbol"])?.map(find).transpose()?;
        let (from, to) = (fields.integer("startTime")?, fields.integer("endTime")?);
        if let (Some(from), Some(to)) = (from, to)
            && to < from
        {
            return Err(error(400, 52_004, "End time must be greater than or equal to Start time"));
        }
        Ok(Self {
            instrument,
            from: from.map_or(Timestamp::MIN, Timestamp::from_millis),
            to: to.map_or(Timestamp::MAX, |to| Timestamp::from_millis(to.saturating_add(1))),
            limit: fields.limit(200, 200)?,
        })
    }

    fn takes(&self, instrument: InstrumentId, at: Timestamp) -> bool {
        self.instrument.is_none_or(|wanted| wanted == instrument) && at >= self.from && at < self.to
    }
}

/// Orders, newest first.
fn list(asked: &Asked<'_, '_>, filter: &Filter, wanted: impl Fn(&Known) -> bool) -> Answer {
    let names = asked.room.paper.names();
    let orders = trader(asked)?.orders().rev();
    let orders = orders.filter(|known| accepted(known) && wanted(known));
    let orders = orders.filter(|known| filter.takes(known.instrument, known.order.creation_timestamp));
    let rows: Vec<Value> = orders.filter_map(|known| shape::order(names, known)).take(filter.limit).collect();
    Ok(Outcome::Data(Value::Array(rows)))
}

pub(super) fn open(asked: &mut Asked<'_, '_>) -> Answer {
    list(asked, &Filter::read(asked)?, |known| known.done.is_none())
}

pub(super) fn history(asked: &mut Asked<'_, '_>) -> Answer {
    list(asked, &Filter::read(asked)?, |known| known.done.is_some())
}

pub(super) fn trades(asked: &mut Asked<'_, '_>) -> Answer {
    let filter = Filter::read(asked)?;
    let trader = trader(asked)?;
    let names = asked.room.paper.names();
    let rows = trader.fills().iter().rev().filter(|row| filter.takes(row.fill.instrument, row.at));
    let rows = rows.filter_map(|row| shape::trade(names, row, trader.order(row.number)));
    Ok(Outcome::Data(Value::Array(rows.take(filter.limit).collect())))
}

pub(super) fn order_trades(asked: &mut Asked<'_, '_>) -> Answer {
    let id = shape::order_of(&asked.fields.needed("orderId")?).ok_or_else(not_found)?;
    let trader = trader(asked)?;
    let names = asked.room.paper.names();
    let known = trader.by_exchange_id(id).filter(|known| shape::spot(names, known.instrument).is_some());
    let known = known.ok_or_else(not_found)?;
    let rows = trader.fills().iter().filter(|row| row.fill.order == id);
    let rows = rows.filter_map(|row| shape::trade(names, row, Some(known)));
    Ok(Outcome::Data(Value::Array(rows.collect())))
}

/// `GET /spot/v3/orders`, which an older client still asks: 6 is filled, 8 cancelled, 9 open.
pub(super) fn legacy_orders(asked: &mut Asked<'_, '_>) -> Answer {
    let symbol = asked.fields.needed("symbol")?;
    let found = public::find(asked.room.paper, &symbol);
    let (id, instrument) = found.ok_or_else(|| error(400, 50_001, "Symbol not found"))?;
    let status = asked.fields.needed("status")?;
    let wanted = |known: &Known| {
        let (state, _) = shape::state(known);
        match status.as_str() {
            "9" => known.done.is_none(),
            "8" => matches!(state, "canceled" | "partially_canceled"),
            status => status == shape::state_number(state),
        }
    };
    if !["4", "5", "6", "8", "9", "12"].contains(&status.as_str()) {
        return Err(error(400, 52_003, "Unsupported Query State Type").into());
    }
    let page = asked.fields.integer("offset")?.unwrap_or(1);
    let rows = asked.fields.integer("N")?.unwrap_or(100);
    let (page, rows) = match (usize::try_from(page), usize::try_from(rows)) {
        (Ok(page), Ok(rows)) if page > 0 && rows > 0 => (page, rows.min(100)),
        _ => return Err(invalid("offset").into()),
    };
    let names = asked.room.paper.names();
    let one = |known: &Known| {
        let shown = shape::order(names, known)?;
        Some(json!({
            "order_id": shown["orderId"],
            "client_order_id": shown["clientOrderId"],
            "symbol": instrument.symbol,
            "create_time": shown["createTime"],
            "side": shown["side"],
            "type": shown["type"],
            "price": shown["price"],
            "price_avg": shown["priceAvg"],
            "size": shown["size"],
            "notional": shown["notional"],
            "filled_notional": shown["filledNotional"],
            "filled_size": shown["filledSize"],
            "status": shape::state_number(shape::state(known).0),
        }))
    };
    let orders = trader(asked)?.orders().rev();
    let orders = orders.filter(|known| accepted(known) && known.instrument == id && wanted(known));
    let orders = orders.skip((page - 1).saturating_mul(rows)).take(rows).filter_map(one);
    Ok(Outcome::Data(json!({ "current_page": page, "orders": orders.collect::<Vec<Value>>() })))
}
