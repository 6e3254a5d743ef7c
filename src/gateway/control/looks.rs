//! What the control interface shows: health, accounts, orders and their lives, the tape, metrics.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::{Answer, Asked, wrong};
use crate::gateway::Gateway;
use crate::gateway::hall::Hall;
use crate::market::InstrumentId;
use crate::order::OrderId;
use crate::paper::{Known, PaperExchange};
use crate::venue::api::Account;

/// One number for the state of all exchanges, as text: programs that read numbers as floats would lose some of it.
pub(super) fn hash(gateway: &Gateway) -> String {
    format!("{:016x}", gateway.state_hash())
}

/// How much market time has passed.
pub(super) fn elapsed(gateway: &Gateway) -> u64 {
    let furthest = gateway.halls.iter().map(Hall::elapsed).max().unwrap_or_default();
    u64::try_from(furthest.as_nanos()).unwrap_or(u64::MAX)
}

/// Whether all is well.
pub(super) fn health(gateway: &Gateway) -> Value {
    let halls = gateway.halls.iter().map(|hall| {
        let trusted = {
            let paper = hall.paper();
            let count = u32::try_from(paper.names().instruments().len()).unwrap_or(u32::MAX);
            (0..count).filter(|id| paper.sim().is_trusted(InstrumentId(*id))).count()
        };
        json!({
            "mount": format!("/{}", hall.name),
            "connectors": hall.connectors,
            "trusted_books": trusted,
            "end_of_tape": hall.at_end(),
            "error": hall.failure(),
        })
    });
    let halls: Vec<Value> = halls.collect();
    let fine = halls.iter().all(|hall| hall["error"].is_null());
    json!({ "status": if fine { "ok" } else { "failed" }, "version": env!("CARGO_PKG_VERSION"), "mounts": halls })
}

/// Accounts with their balances.
pub(super) fn accounts(gateway: &Gateway) -> Value {
    let halls = gateway.halls.iter().map(|hall| {
        let access = hall.access();
        let paper = hall.paper();
        let accounts = access.accounts.iter().map(
            |account| json!({ "account": account.name.as_str(), "balances": balances(&paper, account) }),
        );
        json!({ "mount": format!("/{}", hall.name), "accounts": accounts.collect::<Vec<Value>>() })
    });
    json!({ "mounts": halls.collect::<Vec<Value>>() })
}

fn balances(paper: &PaperExchange, account: &Account) -> Value {
    let names = paper.names();
    let one = |(index, asset): (u16, &crate::market::Asset)| {
        let balance = paper.sim().balance(account.id, index);
        let shown = json!({
            "total": names.decimal(index, balance.total).normalize().to_string(),
            "available": names.decimal(index, balance.available()).normalize().to_string(),
        });
        (asset.to_string(), shown)
    };
    Value::Object((0_u16..).zip(names.assets()).map(one).collect())
}

/// The account that a request names, by `account` and `mount`; the first of each where it does not.
fn pick<'a>(asked: &'a Asked<'_>) -> Result<(&'a Hall, Account), (u16, String)> {
    let halls = &asked.gateway.halls;
    let hall = match asked.parameter("mount") {
        Some(name) => halls.iter().find(|hall| hall.name == name.trim_start_matches('/')),
        None => halls.first(),
    };
    let hall = hall.ok_or_else(|| wrong("no such mount"))?;
    let accounts = hall.access().accounts;
    let account = match asked.parameter("account") {
        Some(name) => accounts.into_iter().find(|account| account.name == name),
        None => accounts.into_iter().next(),
    };
    Ok((hall, account.ok_or_else(|| wrong("no such account"))?))
}

fn client_id(known: &Known) -> Option<&str> {
    let id = known.order.client_order_id.as_str();
    (!id.starts_with('\u{1}')).then_some(id)
}

fn order_json(paper: &PaperExchange, known: &Known) -> Value {
    let order = &known.order;
    json!({
        "order": known.id.map(|id| id.0),
        "client_id": client_id(known),
        "symbol": paper.names().instrument(known.instrument).map(|instrument| instrument.symbol.as_str()),
        "pair": order.trading_pair.to_string(),
        "side": order.trade_type.name(),
        "type": order.order_type.name(),
        "price": order.price.map(|price| price.normalize().to_string()),
        "amount": order.amount.normalize().to_string(),
        "filled": order.executed_amount_base.normalize().to_string(),
        "state": order.current_state.name(),
        "reason": order.reject.map(crate::order::RejectReason::text)
            .or(known.cancelled.map(crate::order::CancelReason::text)),
        "created_ns": order.creation_timestamp.nanos(),
        "updated_ns": order.last_update_timestamp.nanos(),
        "ahead": known.id.and_then(|id| paper.sim().order(id)?.ahead).and_then(|ahead| {
            let instrument = paper.names().instrument(known.instrument)?;
            Some(instrument.qty_decimal(ahead).to_string())
        }),
    })
}

/// The most rows of a list.
const MOST: usize = 1_000;

/// An account's balances, orders and fills, newest first.
pub(super) fn state(asked: &Asked<'_>) -> Answer {
    let (hall, account) = pick(asked)?;
    let paper = hall.paper();
    let trader = paper.trader(account.session).ok_or_else(|| wrong("no such account"))?;
    let names = paper.names();
    let orders: Vec<Value> =
        trader.orders().rev().take(MOST).map(|known| order_json(&paper, known)).collect();
    let fills = trader.fills().iter().rev().take(MOST).map(|row| {
        let fill = &row.fill;
        let instrument = names.instrument(fill.instrument);
        json!({
            "fill": fill.id.0,
            "order": fill.order.0,
            "symbol": instrument.map(|instrument| instrument.symbol.as_str()),
            "side": fill.side.name(),
            "price": instrument.map(|instrument| instrument.price_decimal(fill.price).to_string()),
            "amount": instrument.map(|instrument| instrument.qty_decimal(fill.qty).to_string()),
            "liquidity": fill.liquidity.name(),
            "fee": names.decimal(fill.fee_asset, fill.fee).normalize().to_string(),
            "fee_asset": names.asset(fill.fee_asset).map(crate::market::Asset::as_str),
            "rule": fill.rule.name(),
            "evidence": fill.evidence.name(),
            "at_ns": row.at.nanos(),
        })
    });
    let fills: Vec<Value> = fills.collect();
    Ok(json!({
        "mount": format!("/{}", hall.name),
        "account": account.name.as_str(),
        "now_ns": paper.now().nanos(),
        "balances": balances(&paper, &account),
        "orders": orders,
        "fills": fills,
        "state_hash": format!("{:016x}", paper.sim().state_hash()),
    }))
}

/// Why an order filled or did not: its life. `id` is the number that `state` shows, or the client's.
pub(super) fn order(asked: &Asked<'_>) -> Answer {
    let (hall, account) = pick(asked)?;
    let id = asked.parameter("id").ok_or_else(|| wrong("id is missing"))?;
    let paper = hall.paper();
    let trader = paper.trader(account.session).ok_or_else(|| wrong("no such account"))?;
    let by_number = id.parse().ok().and_then(|id| trader.by_exchange_id(OrderId(id)));
    let known = by_number.or_else(|| trader.by_client_id(id));
    let known = known.ok_or_else(|| (404, format!("no order {id:?}")))?;
    let life = paper.life(known.tag).map(|life| {
        let instrument = paper.names().instrument(life.instrument);
        let entries = life.entries.iter().map(|entry| {
            json!({
                "at_ns": entry.at.nanos(),
                "known_ns": entry.known.map(crate::market::Timestamp::nanos),
                "event": format!("{:?}", entry.event),
                "ahead": entry.ahead.and_then(|ahead| Some(instrument?.qty_decimal(ahead).to_string())),
            })
        });
        entries.collect::<Vec<Value>>()
    });
    let mut shown = order_json(&paper, known);
    if let Value::Object(fields) = &mut shown {
        fields.insert("life".into(), json!(life));
    }
    Ok(shown)
}

/// Where each tape is.
pub(super) fn tape(gateway: &Gateway) -> Value {
    let halls = gateway.halls.iter().map(|hall| {
        let paper = hall.paper();
        let stats = paper.feed_stats();
        json!({
            "mount": format!("/{}", hall.name),
            "now_ns": paper.now().nanos(),
            "messages": paper.messages(),
            "book_updates": stats.book_updates,
            "gaps": stats.gaps,
            "checksum_failures": stats.checksum_failures,
            "time_went_back": stats.time_went_back,
            "errors": stats.errors,
            "end_of_tape": paper.at_end(),
        })
    });
    json!({ "mounts": halls.collect::<Vec<Value>>() })
}

/// Numbers for Prometheus.
pub(super) fn metrics(gateway: &Gateway) -> String {
    let counts = &gateway.counts;
    let mut out = String::new();
    let mut single = |name: &str, kind: &str, help: &str, value: u64| {
        let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n");
    };
    let load = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
    single("papertape_requests_total", "counter", "Requests.", load(&counts.requests));
    single("papertape_refusals_total", "counter", "Answers with status 400 or more.", load(&counts.refusals));
    single("papertape_sockets_total", "counter", "Sockets opened.", load(&counts.sockets));
    let open = u64::try_from(counts.open_sockets.load(Ordering::Relaxed)).unwrap_or(u64::MAX);
    single("papertape_sockets", "gauge", "Sockets that are open.", open);
    single("papertape_frames_in_total", "counter", "Frames that clients sent.", load(&counts.frames_in));
    single("papertape_frames_out_total", "counter", "Frames sent to clients.", load(&counts.frames_out));
    let slow = gateway.halls.iter().map(|hall| hall.counts().1).sum();
    single("papertape_slow_sockets_total", "counter", "Sockets closed for not keeping up.", slow);
    let mut of_halls = |name: &str, help: &str, value: fn(&PaperExchange) -> u64| {
        let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} counter\n");
        for hall in &gateway.halls {
            let _ = writeln!(out, "{name}{{mount=\"{}\"}} {}", hall.name, value(&hall.paper()));
        }
    };
    of_halls("papertape_messages_total", "Market messages played.", PaperExchange::messages);
    of_halls("papertape_gaps_total", "Breaks in sequence numbers.", |paper| paper.feed_stats().gaps);
    of_halls("papertape_errors_total", "Rows or frames left out.", |paper| paper.feed_stats().errors);
    of_halls("papertape_groups_total", "Groups applied.", |paper| paper.sim().stats().groups);
    of_halls("papertape_events_total", "Events applied.", |paper| paper.sim().stats().events);
    out
}
