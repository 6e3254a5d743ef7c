//! What BitMart tells everybody of its contracts. Orders on them are not taken yet.

use std::time::Duration;

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::public::candles_of;
use super::reply::{error, invalid};
use super::routes::{Answer, Asked, Outcome};
use super::shape;
use crate::market::{Instrument, InstrumentId, Price, Product, Qty, Side, Timestamp};
use crate::paper::PaperExchange;
use crate::sim::View;
use crate::venue::NativeError;
use crate::venue::api::instrument_of;

fn contracts(paper: &PaperExchange) -> impl Iterator<Item = (InstrumentId, &Instrument)> {
    let all = (0_u32..).map(InstrumentId).zip(paper.names().instruments());
    all.filter(|(_, instrument)| instrument.product != Product::Spot)
}

fn named(asked: &Asked<'_, '_>) -> Result<(InstrumentId, Instrument), NativeError> {
    let missing = || error(400, 40_034, "Symbol Not Exist");
    let symbol = asked.fields.first(&["symbol"])?.ok_or_else(missing)?;
    let paper = &*asked.room.paper;
    let id = instrument_of(paper, &symbol).ok_or_else(missing)?;
    let instrument = paper.names().instrument(id).filter(|known| known.product != Product::Spot);
    Ok((id, instrument.ok_or_else(missing)?.clone()))
}

/// What one contract is of the base.
fn multiplier(instrument: &Instrument) -> Decimal {
    match instrument.product {
        Product::Spot => Decimal::ONE,
        Product::Linear { multiplier } | Product::Inverse { multiplier } | Product::Quanto { multiplier } => {
            multiplier
        }
    }
}

pub(super) fn details(asked: &mut Asked<'_, '_>) -> Answer {
    let wanted = asked.fields.first(&["symbol"])?;
    let paper = &*asked.room.paper;
    let one = |(id, instrument): (InstrumentId, &Instrument)| {
        let rule = &instrument.rule;
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

pub(super) fn klines(asked: &mut Asked<'_, '_>) -> Answer {
    let (id, instrument) = named(asked)?;
    let step = asked.fields.integer("step")?.unwrap_or(1);
    if !STEPS.contains(&step) {
        return Err(error(400, 40_038, "Invalid K-Line Step").into());
    }
    let time = |name: &str| -> Result<Option<Timestamp>, NativeError> {
        let seconds = asked.fields.integer(name)?;
        let at = seconds.map(|seconds| seconds.checked_mul(1_000_000_000).map(Timestamp::from_nanos));
        at.map(|at| at.ok_or_else(|| invalid(name))).transpose()
    };
    let from = time("start_time")?.unwrap_or(asked.room.paper.now().minus(Duration::from_secs(86_400)));
    let to = time("end_time")?.unwrap_or(Timestamp::MAX);
    let rows = candles_of(asked.room.paper, id, step.unsigned_abs(), (from, to));
    let rows = rows.iter().take(500).map(|candle| {
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
