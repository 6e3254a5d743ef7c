//! What BitMart tells everybody of its contracts.

use std::time::Duration;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde_json::{Value, json};

use super::super::public::candles_of;
use super::super::reply::error;
use super::super::routes::{Answer, Asked, Outcome};
use super::super::shape;
use super::{contracts, multiplier, shape as words};
use crate::market::{Instrument, InstrumentId, Price, Qty, Side, Timestamp};
use crate::order::Leverage;
use crate::paper::PaperExchange;
use crate::sim::{ContractTerms, RiskTier, View};
use crate::venue::NativeError;
use crate::venue::api::MOST_MONEY;

/// The contract that a request for public data names; live the text differs from that of orders.
fn named(asked: &Asked<'_, '_>) -> Result<(InstrumentId, Instrument), NativeError> {
    super::named(asked).map_err(|_| error(400, 40_034, "Symbol Not Exist"))
}

fn terms(paper: &PaperExchange, id: InstrumentId) -> Option<&ContractTerms> {
    paper.sim().market(id)?.contract.as_ref()
}

/// The largest leverage of a contract: one divided by the margin of its first bracket.
pub(super) fn max_leverage(paper: &PaperExchange, id: InstrumentId) -> Option<Decimal> {
    times(terms(paper, id)?.tiers.first()?)
}

fn times(tier: &RiskTier) -> Option<Decimal> {
    Decimal::ONE.checked_div(tier.initial.to_decimal()).map(|times| times.round_dp(2).normalize())
}

/// What the largest position at a leverage may be worth; what no bracket bounds is bounded by all the money there is.
pub(super) fn most_at(paper: &PaperExchange, id: InstrumentId, leverage: Leverage) -> Option<Decimal> {
    let tiers = &terms(paper, id)?.tiers;
    let first = tiers.iter().find(|tier| times(tier).is_some_and(|times| times < leverage.to_decimal()));
    Some(first.map_or(MOST_MONEY, |tier| tier.above))
}

fn mark(paper: &PaperExchange, id: InstrumentId, instrument: &Instrument) -> Option<Decimal> {
    paper.sim().mark(id).map(|(price, _)| words::fine(instrument, price))
}

fn index(paper: &PaperExchange, id: InstrumentId, instrument: &Instrument) -> Option<Decimal> {
    paper.sim().index_price(id).map(|price| words::fine(instrument, price))
}

fn or_zero(price: Option<Decimal>) -> String {
    words::plain(price.unwrap_or_default())
}

/// How many contracts are open, and their value at the mark price. The tape tells of none: these are what the paper
/// accounts hold long.
fn interest(asked: &Asked<'_, '_>, id: InstrumentId, instrument: &Instrument) -> (Decimal, Decimal) {
    let paper = &*asked.room.paper;
    let accounts = asked.room.access.accounts.iter();
    let held = accounts.map(|account| super::position::held(paper, account, id, Side::Buy));
    let contracts = held.map(|qty| instrument.qty_decimal(qty)).sum::<Decimal>();
    let each = mark(paper, id, instrument).unwrap_or_default().checked_mul(multiplier(instrument));
    let value = each.and_then(|each| contracts.checked_mul(each)).unwrap_or_default();
    (contracts, value)
}

/// What was settled last: before anything was, what is coming.
fn last_rate(asked: &Asked<'_, '_>, id: InstrumentId) -> String {
    let settled = asked.memory.settled(id).next_back().map(|(rate, _)| rate);
    let coming = asked.room.paper.sim().funding(id).map(|(rate, ..)| rate);
    words::rate(settled.or(coming).unwrap_or_default())
}

/// The bounds of a funding rate.
pub(super) const UPPER: &str = "0.0375";
pub(super) const LOWER: &str = "-0.0375";

pub(super) fn details(asked: &mut Asked<'_, '_>) -> Answer {
    let wanted = asked.fields.first(&["symbol"])?;
    let paper = &*asked.room.paper;
    let hours = |id| terms(paper, id).map_or(8, |terms| terms.funding.every.as_secs() / 3_600);
    let one = |(id, instrument): (InstrumentId, &Instrument)| {
        let rule = &instrument.rule;
        let (funding, (open, open_value)) = (paper.sim().funding(id), interest(asked, id, instrument));
        let whole = |qty: Qty| instrument.qty_decimal(qty).to_string();
        let day = paper.day(id);
        let price =
            |price: Option<Price>| price.map_or(Decimal::ZERO, |price| instrument.price_decimal(price));
        let change = day.and_then(|day| {
            let (open, close) = (instrument.price_decimal(day.open), instrument.price_decimal(day.close));
            (close - open).checked_div(open)
        });
        json!({
            "symbol": instrument.symbol,
            "product_type": 1,
            "open_timestamp": 0,
            "expire_timestamp": 0,
            "settle_timestamp": 0,
            "base_currency": instrument.pair.base.as_str(),
            "quote_currency": instrument.pair.quote.as_str(),
            "last_price": price(day.map(|day| day.close)).to_string(),
            "volume_24h": whole(day.map(|day| day.qty).unwrap_or_default()),
            "turnover_24h": day.map_or_else(|| "0".to_owned(), |day| turnover(instrument, day.turnover)),
            "contract_size": multiplier(instrument).normalize().to_string(),
            "price_precision": instrument.price_decimal(rule.tick).to_string(),
            "vol_precision": whole(rule.lot),
            "max_volume": whole(rule.max_qty),
            "market_max_volume": whole(rule.max_qty),
            "min_volume": whole(rule.min_qty),
            "index_price": or_zero(index(paper, id, instrument)),
            "index_name": instrument.symbol,
            "min_leverage": "1",
            "max_leverage": or_zero(max_leverage(paper, id)),
            "funding_rate": last_rate(asked, id),
            "expected_funding_rate": words::rate(funding.map(|(rate, ..)| rate).unwrap_or_default()),
            "funding_time": funding.map_or(0, |(_, _, due)| due.millis()),
            "funding_interval_hours": hours(id),
            "open_interest": words::plain(open),
            "open_interest_value": words::plain(open_value),
            "high_24h": price(day.map(|day| day.high)).to_string(),
            "low_24h": price(day.map(|day| day.low)).to_string(),
            "change_24h": change.unwrap_or_default().round_dp(4).to_string(),
            "status": "Trading",
            "delist_time": 0,
        })
    };
    let is_wanted = |(_, instrument): &(InstrumentId, &Instrument)| {
        wanted.as_ref().is_none_or(|w| *w == instrument.symbol)
    };
    let all: Vec<Value> = contracts(paper).filter(is_wanted).map(one).collect();
    if wanted.is_some() && all.is_empty() {
        return Err(error(400, 40_012, "SYMBOL_NOT_EXIST").into());
    }
    Ok(Outcome::Data(json!({ "symbols": all })))
}

fn turnover(instrument: &Instrument, units: i128) -> String {
    let value = crate::market::decimal::decimal_of(units, instrument.price_scale + instrument.qty_scale);
    let value = value.and_then(|value| value.checked_mul(multiplier(instrument)));
    value.unwrap_or(Decimal::MAX).normalize().to_string()
}

pub(super) fn depth(asked: &mut Asked<'_, '_>) -> Answer {
    let (id, instrument) = named(asked)?;
    let paper = &*asked.room.paper;
    let side = |side: Side| {
        let mut sum = Qty::ZERO;
        let rows = paper.sim().levels(id, side, View::Public).take(50).map(|level| {
            sum += level.qty;
            let whole = |qty: Qty| instrument.qty_decimal(qty).to_string();
            [shape::price(&instrument, level.price), whole(level.qty), whole(sum)]
        });
        let rows: Vec<[String; 3]> = rows.collect();
        if rows.is_empty() { Value::Null } else { json!(rows) }
    };
    Ok(Outcome::Data(json!({
        "asks": side(Side::Sell),
        "bids": side(Side::Buy),
        "timestamp": paper.now().millis(),
        "symbol": instrument.symbol,
    })))
}

/// Here amounts are in base, unlike on the sockets.
pub(super) fn trades(asked: &mut Asked<'_, '_>) -> Answer {
    let (id, instrument) = named(asked)?;
    let most = asked.fields.limit(50, 100)?;
    let rows = asked.room.paper.prints(id).take(most).map(|print| {
        let base = instrument.qty_decimal(print.qty) * multiplier(&instrument);
        let quote = base.checked_mul(instrument.price_decimal(print.price)).unwrap_or(Decimal::MAX);
        json!({
            "symbol": instrument.symbol,
            "price": shape::price(&instrument, print.price),
            "qty": base.normalize().to_string(),
            "quote_qty": quote.normalize().to_string(),
            "time": print.at.millis().div_euclid(1_000),
            "is_buyer_maker": print.aggressor == Some(Side::Sell),
        })
    });
    Ok(Outcome::Data(Value::Array(rows.collect())))
}

const STEPS: [i64; 13] = [1, 3, 5, 15, 30, 60, 120, 240, 360, 720, 1_440, 4_320, 10_080];
/// The most candles of a reply.
const CANDLES: usize = 500;

/// The step in minutes, and the span; a day where it is not said.
fn window(asked: &Asked<'_, '_>) -> Result<(u64, (Timestamp, Timestamp)), NativeError> {
    let step = asked.fields.integer("step")?.unwrap_or(1);
    if !STEPS.contains(&step) {
        return Err(error(400, 40_038, "Invalid K-Line Step"));
    }
    let day = asked.room.paper.now().minus(Duration::from_secs(86_400));
    let from = super::query::time(asked, "start_time")?.unwrap_or(day);
    let to = super::query::time(asked, "end_time")?.unwrap_or(Timestamp::MAX);
    Ok((step.unsigned_abs(), (from, to)))
}

pub(super) fn klines(asked: &mut Asked<'_, '_>) -> Answer {
    let (id, instrument) = named(asked)?;
    let (step, span) = window(asked)?;
    let rows = candles_of(asked.room.paper, id, step, span);
    let rows = rows.iter().take(CANDLES).map(|candle| {
        json!({
            "timestamp": candle.at.millis().div_euclid(1_000),
            "open_price": shape::price(&instrument, candle.open),
            "high_price": shape::price(&instrument, candle.high),
            "low_price": shape::price(&instrument, candle.low),
            "close_price": shape::price(&instrument, candle.close),
            "volume": instrument.qty_decimal(candle.qty).to_string(),
        })
    });
    Ok(Outcome::Data(Value::Array(rows.collect())))
}

/// Candles of the mark price, since the gateway began.
pub(super) fn mark_klines(asked: &mut Asked<'_, '_>) -> Answer {
    let (id, instrument) = named(asked)?;
    let (step, span) = window(asked)?;
    let show = |price| words::plain(words::fine(&instrument, price));
    let rows = asked.memory.marks(id, step, span).into_iter().take(CANDLES).map(|candle| {
        json!({
            "timestamp": candle.at.millis().div_euclid(1_000),
            "open_price": show(candle.open),
            "high_price": show(candle.high),
            "low_price": show(candle.low),
            "close_price": show(candle.close),
            "volume": "0",
        })
    });
    Ok(Outcome::Data(Value::Array(rows.collect())))
}

pub(super) fn open_interest(asked: &mut Asked<'_, '_>) -> Answer {
    let (id, instrument) = named(asked)?;
    let (open, value) = interest(asked, id, &instrument);
    Ok(Outcome::Data(json!({
        "timestamp": asked.room.paper.now().millis(),
        "symbol": instrument.symbol,
        "open_interest": words::plain(open),
        "open_interest_value": words::plain(value),
    })))
}

/// The last rate that was settled, and the one that is coming.
fn rate_row(asked: &Asked<'_, '_>, id: InstrumentId, instrument: &Instrument) -> Value {
    let funding = asked.room.paper.sim().funding(id);
    json!({
        "timestamp": asked.room.paper.now().millis(),
        "symbol": instrument.symbol,
        "rate_value": last_rate(asked, id),
        "expected_rate": words::rate(funding.map(|(rate, ..)| rate).unwrap_or_default()),
        "funding_time": funding.map_or(0, |(_, _, due)| due.millis()),
        "funding_upper_limit": UPPER,
        "funding_lower_limit": LOWER,
    })
}

pub(super) fn funding_rate(asked: &mut Asked<'_, '_>) -> Answer {
    let (id, instrument) = named(asked)?;
    Ok(Outcome::Data(rate_row(asked, id, &instrument)))
}

/// The same of all contracts.
pub(super) fn funding_rates(asked: &mut Asked<'_, '_>) -> Answer {
    let wanted = super::wanted(asked)?;
    let all = contracts(asked.room.paper).filter(|(id, _)| wanted.is_none_or(|wanted| wanted == *id));
    let rows: Vec<Value> = all.map(|(id, instrument)| rate_row(asked, id, instrument)).collect();
    Ok(Outcome::Data(Value::Array(rows)))
}

/// What was settled since the gateway began, newest first.
pub(super) fn funding_history(asked: &mut Asked<'_, '_>) -> Answer {
    let (id, instrument) = named(asked)?;
    let most = asked.fields.limit(100, 100)?;
    let rows = asked.memory.settled(id).rev().take(most).map(|(rate, at)| {
        json!({
            "symbol": instrument.symbol,
            "funding_rate": words::rate(rate),
            "funding_time": at.millis().to_string(),
        })
    });
    Ok(Outcome::Data(json!({ "list": rows.collect::<Vec<Value>>() })))
}

/// The brackets of margin by a position's value; what bounds the last is all the money there is.
pub(super) fn brackets(asked: &mut Asked<'_, '_>) -> Answer {
    let wanted = super::wanted(asked)?;
    let paper = &*asked.room.paper;
    let rule = |(id, instrument): (InstrumentId, &Instrument)| {
        let tiers = terms(paper, id).map(|terms| terms.tiers.as_slice()).unwrap_or_default();
        let caps = tiers.iter().skip(1).map(|tier| tier.above).chain([MOST_MONEY]);
        let rows = (1..).zip(tiers.iter().zip(caps)).map(|(number, (tier, cap))| {
            json!({
                "bracket": number,
                "initial_leverage": times(tier).unwrap_or_default().trunc().to_i64(),
                "notional_cap": words::plain(cap),
                "notional_floor": words::plain(tier.above),
                "maint_margin_ratio": words::plain(tier.maintenance.to_decimal()),
                // A bracket's rate holds for all of the value.
                "cum": "0",
            })
        });
        json!({ "symbol": instrument.symbol, "brackets": rows.collect::<Vec<Value>>() })
    };
    let all = contracts(paper).filter(|(id, _)| wanted.is_none_or(|wanted| wanted == *id));
    Ok(Outcome::Data(json!({ "rules": all.map(rule).collect::<Vec<Value>>() })))
}
