//! What BitMart tells everybody: time, instruments, tickers, books, trades, candles.

use std::time::Duration;

use serde_json::{Value, json};

use super::reply::{error, invalid};
use super::routes::{Answer, Asked, Outcome};
use super::shape;
use crate::market::{Asset, Instrument, InstrumentId, Product, Side, Timestamp};
use crate::paper::{Candle, PaperExchange};
use crate::sim::View;
use crate::venue::NativeError;
use crate::venue::api::instrument_of;

/// The spot instruments of the run.
pub(super) fn spot(paper: &PaperExchange) -> impl Iterator<Item = (InstrumentId, &Instrument)> {
    let all = (0_u32..).map(InstrumentId).zip(paper.names().instruments());
    all.filter(|(_, instrument)| instrument.product == Product::Spot)
}

/// The assets of the spot instruments, in the order of the run.
pub(super) fn assets(paper: &PaperExchange) -> Vec<&Asset> {
    let mut assets: Vec<&Asset> = Vec::new();
    for (_, instrument) in spot(paper) {
        for asset in [&instrument.pair.base, &instrument.pair.quote] {
            if !assets.contains(&asset) {
                assets.push(asset);
            }
        }
    }
    assets
}

/// The spot instrument that a request names; the code is that of quotation.
fn named(asked: &Asked<'_, '_>) -> Result<(InstrumentId, Instrument), NativeError> {
    let symbol = asked.fields.first(&["symbol"])?;
    let symbol = symbol.ok_or_else(|| error(200, 70_001, "request param can not be null"))?;
    find(asked.room.paper, &symbol).ok_or_else(|| error(200, 70_002, "symbol is invalid"))
}

/// The spot instrument of a symbol.
pub(super) fn find(paper: &PaperExchange, symbol: &str) -> Option<(InstrumentId, Instrument)> {
    let id = instrument_of(paper, symbol)?;
    let instrument = paper.names().instrument(id).filter(|known| known.product == Product::Spot)?;
    Some((id, instrument.clone()))
}

fn data(value: Value) -> Answer {
    Ok(Outcome::Data(value))
}

pub(super) fn time(asked: &mut Asked<'_, '_>) -> Answer {
    data(json!({ "server_time": asked.room.wall().millis() }))
}

pub(super) fn service(asked: &mut Asked<'_, '_>) -> Answer {
    // The last stop is over: status 2 means that it is completed.
    let end = asked.room.paper.started().millis();
    let stop = |title: &str, kind: &str| {
        json!({
            "title": title,
            "service_type": kind,
            "status": "2",
            "start_time": end - 3_600_000,
            "end_time": end,
        })
    };
    data(json!({ "service": [stop("Spot API Stop", "spot"), stop("Contract API Stop", "contract")] }))
}

pub(super) fn currencies(asked: &mut Asked<'_, '_>) -> Answer {
    let one = |asset: &&Asset| {
        let asset = asset.as_str();
        json!({ "id": asset, "name": asset, "withdraw_enabled": false, "deposit_enabled": false })
    };
    let all: Vec<Value> = assets(asked.room.paper).iter().map(one).collect();
    data(json!({ "currencies": all }))
}

pub(super) fn account_currencies(asked: &mut Asked<'_, '_>) -> Answer {
    let wanted = asked.fields.first(&["currencies"])?;
    let is_wanted = |asset: &&&Asset| {
        wanted.as_deref().is_none_or(|list| list.split(',').any(|name| name == asset.as_str()))
    };
    let one = |asset: &&Asset| {
        let asset = asset.as_str();
        json!({
            "currency": asset,
            "name": asset,
            "contract_address": Value::Null,
            "network": asset,
            "withdraw_enabled": false,
            "deposit_enabled": false,
            "withdraw_minsize": "0",
            "withdraw_minfee": "0",
            "recharge_minsize": "0",
            "withdraw_fee": "0",
            "withdraw_fee_estimate": "0",
        })
    };
    let all: Vec<Value> = assets(asked.room.paper).iter().filter(is_wanted).map(one).collect();
    data(json!({ "currencies": all }))
}

pub(super) fn symbols(asked: &mut Asked<'_, '_>) -> Answer {
    let all: Vec<&str> = spot(asked.room.paper).map(|(_, instrument)| instrument.symbol.as_str()).collect();
    data(json!({ "symbols": all }))
}

pub(super) fn details(asked: &mut Asked<'_, '_>) -> Answer {
    let paper = &*asked.room.paper;
    let one = |(id, instrument): (InstrumentId, &Instrument)| {
        let rule = &instrument.rule;
        let size = |qty| shape::size_text(instrument, instrument.qty_decimal(qty));
        // Minimum size and step are one number: clients read either as the other.
        let step = size(rule.lot.max(rule.min_qty));
        let trading =
            paper.sim().is_trading(id) && paper.sim().market(id).is_some_and(|market| market.tradable);
        json!({
            "symbol": instrument.symbol,
            "symbol_id": id.0 + 1,
            "base_currency": instrument.pair.base.as_str(),
            "quote_currency": instrument.pair.quote.as_str(),
            "base_min_size": step,
            "base_max_size": size(rule.max_qty),
            "price_min_precision": -1,
            "price_max_precision": shape::price_decimals(instrument),
            "quote_increment": size(rule.lot),
            "expiration": "NA",
            "min_buy_amount": rule.min_notional.normalize().to_string(),
            "min_sell_amount": rule.min_notional.normalize().to_string(),
            "trade_status": if trading { "trading" } else { "pre-trade" },
        })
    };
    let all: Vec<Value> = spot(paper).map(one).collect();
    data(json!({ "symbols": all }))
}

/// `[symbol, last, v_24h, qv_24h, open_24h, high_24h, low_24h, fluctuation, bid_px, bid_sz, ask_px, ask_sz, ts]`.
fn row(paper: &PaperExchange, id: InstrumentId, instrument: &Instrument) -> Option<[String; 13]> {
    let day = shape::ticker(paper, id, instrument)?;
    let (bid, bid_size) = shape::best(paper, id, instrument, Side::Buy);
    let (ask, ask_size) = shape::best(paper, id, instrument, Side::Sell);
    let time = paper.now().millis().to_string();
    let symbol = instrument.symbol.to_string();
    let day = [day.last, day.base, day.quote, day.open, day.high, day.low, day.change];
    let [last, base, quote, open, high, low, change] = day;
    Some([symbol, last, base, quote, open, high, low, change, bid, bid_size, ask, ask_size, time])
}

pub(super) fn tickers(asked: &mut Asked<'_, '_>) -> Answer {
    let paper = &*asked.room.paper;
    let all: Vec<[String; 13]> =
        spot(paper).filter_map(|(id, instrument)| row(paper, id, instrument)).collect();
    data(json!(all))
}

pub(super) fn ticker(asked: &mut Asked<'_, '_>) -> Answer {
    const NAMES: [&str; 13] = [
        "symbol",
        "last",
        "v_24h",
        "qv_24h",
        "open_24h",
        "high_24h",
        "low_24h",
        "fluctuation",
        "bid_px",
        "bid_sz",
        "ask_px",
        "ask_sz",
        "ts",
    ];
    let (id, instrument) = named(asked)?;
    let row = row(asked.room.paper, id, &instrument);
    let row = row.ok_or_else(|| error(200, 70_000, "no data"))?;
    let fields = NAMES.iter().zip(row).map(|(name, value)| ((*name).to_owned(), Value::from(value)));
    data(Value::Object(fields.collect()))
}

/// The levels of a side as texts, best first.
pub(super) fn levels(
    paper: &PaperExchange,
    id: InstrumentId,
    instrument: &Instrument,
    side: Side,
    depth: usize,
) -> Vec<[String; 2]> {
    let all = paper.sim().levels(id, side, View::Public).take(depth);
    let shown = all.map(|level| {
        [
            shape::price(instrument, level.price),
            shape::size_text(instrument, instrument.qty_decimal(level.qty)),
        ]
    });
    shown.collect()
}

pub(super) fn books(asked: &mut Asked<'_, '_>) -> Answer {
    let (id, instrument) = named(asked)?;
    let depth = asked.fields.limit(35, 50)?;
    let paper = &*asked.room.paper;
    data(json!({
        "ts": paper.now().millis().to_string(),
        "symbol": instrument.symbol,
        "asks": levels(paper, id, &instrument, Side::Sell, depth),
        "bids": levels(paper, id, &instrument, Side::Buy, depth),
    }))
}

pub(super) fn trades(asked: &mut Asked<'_, '_>) -> Answer {
    let (id, instrument) = named(asked)?;
    let most = asked.fields.limit(50, 50)?;
    let all = asked.room.paper.prints(id).take(most).map(|print| {
        [
            instrument.symbol.to_string(),
            print.at.millis().to_string(),
            shape::price(&instrument, print.price),
            shape::size_text(&instrument, instrument.qty_decimal(print.qty)),
            print.aggressor.map_or("", Side::name).to_owned(),
        ]
    });
    let all: Vec<[String; 5]> = all.collect();
    data(json!(all))
}

/// The steps of candles in minutes.
const STEPS: [i64; 10] = [1, 5, 15, 30, 60, 120, 240, 1_440, 10_080, 43_200];

/// From where weeks are counted, so that they begin on Monday.
pub(super) const MONDAY: Duration = Duration::from_secs(4 * 86_400);

/// Candles of so many minutes.
pub(super) fn candles_of(
    paper: &PaperExchange,
    id: InstrumentId,
    minutes: u64,
    span: (Timestamp, Timestamp),
) -> Vec<Candle> {
    let anchor = if minutes == 10_080 { MONDAY } else { Duration::ZERO };
    paper.candles(id, Duration::from_secs(60 * minutes), anchor, span)
}

fn seconds(text: Option<i64>, name: &str) -> Result<Option<Timestamp>, NativeError> {
    let Some(seconds) = text else { return Ok(None) };
    let nanos = seconds.checked_mul(1_000_000_000).ok_or_else(|| invalid(name))?;
    Ok(Some(Timestamp::from_nanos(nanos)))
}

/// With `after` the first candles behind it, oldest first; else the last ones, newest first.
pub(super) fn klines(asked: &mut Asked<'_, '_>) -> Answer {
    let (id, instrument) = named(asked)?;
    let step = asked.fields.integer("step")?.unwrap_or(1);
    if !STEPS.contains(&step) {
        return Err(error(200, 71_005, "request step error").into());
    }
    let limit = asked.fields.limit(100, 200)?;
    let after = seconds(asked.fields.integer("after")?, "after")?;
    let before = seconds(asked.fields.integer("before")?, "before")?;
    // `after` itself is not in it: a client that wants a candle asks for what is after the second before it.
    let from = after.map_or(Timestamp::MIN, |after| after.plus(Duration::from_nanos(1)));
    let span = (from, before.unwrap_or(Timestamp::MAX));
    let mut candles = candles_of(asked.room.paper, id, step.unsigned_abs(), span);
    if after.is_none() {
        candles.reverse();
    }
    candles.truncate(limit);
    let row = |candle: &Candle| {
        [
            candle.at.millis().div_euclid(1_000).to_string(),
            shape::price(&instrument, candle.open),
            shape::price(&instrument, candle.high),
            shape::price(&instrument, candle.low),
            shape::price(&instrument, candle.close),
            shape::size_text(&instrument, instrument.qty_decimal(candle.qty)),
            shape::turnover(&instrument, candle),
        ]
    };
    let rows: Vec<[String; 7]> = candles.iter().map(row).collect();
    data(json!(rows))
}
