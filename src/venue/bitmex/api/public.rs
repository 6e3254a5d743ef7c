//! What BitMEX tells everybody: instruments, books, trades, bins, assets.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::fields::Fields;
use super::routes::{Answer, Asked, Outcome, Refusal, bad};
use super::row::Row;
use super::rows;
use crate::market::{Instrument, InstrumentId, Product, Side, Timestamp};
use crate::paper::PaperExchange;
use crate::sim::View;
use crate::venue::api::instrument_of;

/// Instruments of the run with their numbers.
pub(super) fn all(paper: &PaperExchange) -> impl Iterator<Item = (InstrumentId, &Instrument)> {
    (0_u32..).map(InstrumentId).zip(paper.names().instruments())
}

/// The instrument of a symbol; letters may be small.
pub(super) fn find(paper: &PaperExchange, symbol: &str) -> Option<(InstrumentId, Instrument)> {
    let symbol = symbol.to_ascii_uppercase();
    let id = instrument_of(paper, &symbol).or_else(|| series(paper, &symbol))?;
    paper.names().instrument(id).map(|one| (id, one.clone()))
}

/// The contract of a series: `XBT`, `XBT:PERPETUAL`. The coin-margined one comes first, as it did at BitMEX.
fn series(paper: &PaperExchange, symbol: &str) -> Option<InstrumentId> {
    let (root, which) = symbol.split_once(':').unwrap_or((symbol, "NEAREST"));
    let contracts = || all(paper).filter(|(_, one)| one.product.family() == "perpetual");
    let of_root = || contracts().filter(|(_, one)| one.pair.base.as_str() == root);
    let coin = of_root().find(|(_, one)| matches!(one.product, Product::Inverse { .. }));
    let found = coin.or_else(|| of_root().next()).map(|(id, _)| id);
    found.filter(|_| matches!(which, "NEAREST" | "PERPETUAL"))
}

/// The instrument that must be named.
pub(super) fn named(
    paper: &PaperExchange,
    fields: &Fields<'_>,
) -> Result<(InstrumentId, Instrument), Refusal> {
    let symbol = fields.text("symbol").ok_or_else(|| bad("Invalid symbol"))?;
    find(paper, symbol).ok_or_else(|| bad("Invalid symbol"))
}

/// The instruments that `symbol` names, all where it does not.
pub(super) fn chosen(asked: &Asked<'_, '_>) -> Result<Vec<(InstrumentId, Instrument)>, Refusal> {
    match asked.fields.text("symbol") {
        Some(_) => named(asked.room.paper, asked.fields).map(|one| vec![one]),
        None => Ok(all(asked.room.paper).map(|(id, one)| (id, one.clone())).collect()),
    }
}

/// Whether a row is what `filter` asks for.
pub(super) fn fits(row: &Row, filter: &BTreeMap<String, Value>) -> bool {
    filter.iter().all(|(name, wanted)| {
        // What a table has no column of does not narrow it: times and `open` are looked at elsewhere.
        let Some(value) = row.get(name) else { return true };
        let is = |wanted: &Value| {
            let text = wanted.to_string();
            text == value
        };
        match wanted {
            Value::Array(any) => any.iter().any(is),
            one => is(one),
        }
    })
}

/// `filter`, `columns`, `start`, `count` and `reverse` of a table, over rows from the oldest to the newest.
pub(super) fn table(asked: &Asked<'_, '_>, rows: Vec<Row>, keys: &[&str], newest: bool) -> Answer {
    let fields = asked.fields;
    let filter = fields.filter()?;
    let mut rows: Vec<Row> = rows.into_iter().filter(|row| fits(row, &filter)).collect();
    let reverse = fields.text("reverse").map_or(newest, |_| fields.flag("reverse"));
    if reverse {
        rows.reverse();
    }
    let start = fields.count("start")?.unwrap_or(0);
    let count = fields.count("count")?.unwrap_or(100).min(1_000);
    let columns = fields.list("columns");
    let rows = rows.into_iter().skip(start).take(count);
    let rows: Vec<Row> = match columns.is_empty() {
        true => rows.collect(),
        false => rows.map(|row| row.only(&columns, keys)).collect(),
    };
    Ok(rows.into())
}

pub(super) fn about(asked: &mut Asked<'_, '_>) -> Answer {
    let timestamp = asked.room.wall().millis();
    Ok(Outcome::Body(json!({ "name": "BitMEX API", "version": "1.2.0", "timestamp": timestamp }).to_string()))
}

/// The index that stands before the instruments: ids of levels stay above zero.
fn index(at: Timestamp) -> Row {
    Row::new()
        .text("symbol", ".BXBT")
        .text("rootSymbol", "XBT")
        .text("state", "Unlisted")
        .text("typ", "MRCXXX")
        .text("underlying", "XBT")
        .text("quoteCurrency", "USD")
        .text("positionCurrency", "")
        .text("settlCurrency", "")
        .plain("isQuanto", false)
        .plain("isInverse", false)
        .plain("tickSize", "0.01")
        .plain("lotSize", "null")
        .time("timestamp", at)
}

pub(super) fn instruments(asked: &mut Asked<'_, '_>) -> Answer {
    let paper = &*asked.room.paper;
    let rows = match asked.fields.text("symbol") {
        Some(symbol) => {
            find(paper, symbol).iter().map(|(id, one)| rows::instrument(paper, *id, one)).collect()
        }
        None => {
            let own = all(paper).map(|(id, one)| rows::instrument(paper, id, one));
            std::iter::once(index(paper.now())).chain(own).collect()
        }
    };
    table(asked, rows, &["symbol"], false)
}

pub(super) fn active(asked: &mut Asked<'_, '_>) -> Answer {
    let paper = &*asked.room.paper;
    Ok(all(paper).map(|(id, one)| rows::instrument(paper, id, one)).collect::<Vec<Row>>().into())
}

pub(super) fn indices(asked: &mut Asked<'_, '_>) -> Answer {
    Ok(vec![index(asked.room.paper.now())].into())
}

pub(super) fn intervals(asked: &mut Asked<'_, '_>) -> Answer {
    let contracts = all(asked.room.paper).filter(|(_, one)| one.product.family() == "perpetual");
    let (intervals, symbols): (Vec<String>, Vec<String>) =
        contracts.map(|(_, one)| (format!("{}:perpetual", one.pair.base), one.symbol.to_string())).unzip();
    Ok(Outcome::Body(json!({ "intervals": intervals, "symbols": symbols }).to_string()))
}

/// The rows of a book: asks from the highest down, then bids from the best down.
pub(super) fn levels(paper: &PaperExchange, id: InstrumentId, one: &Instrument, depth: usize) -> Vec<Row> {
    let side = |side: Side| {
        let shown = paper.sim().levels(id, side, View::Public).take(depth);
        shown.map(move |level| rows::level(id, one, side, (level.price, Some(level.qty)), paper.now()))
    };
    let mut rows: Vec<Row> = side(Side::Sell).collect();
    rows.reverse();
    rows.extend(side(Side::Buy));
    rows
}

pub(super) fn book(asked: &mut Asked<'_, '_>) -> Answer {
    let (id, one) = named(asked.room.paper, asked.fields)?;
    let depth = match asked.fields.count("depth")? {
        None => 25,
        Some(0) => usize::MAX,
        Some(depth) => depth,
    };
    Ok(levels(asked.room.paper, id, &one, depth).into())
}

pub(super) fn trades(asked: &mut Asked<'_, '_>) -> Answer {
    let (from, to) = span(asked)?;
    let paper = &*asked.room.paper;
    let mut found: Vec<(Timestamp, Row)> = Vec::new();
    for (id, one) in chosen(asked)? {
        let prints: Vec<_> = paper.prints(id).collect();
        let rows = prints
            .iter()
            .enumerate()
            .map(|(at, print)| (print.at, rows::trade(&one, print, prints.get(at + 1).copied())));
        found.extend(rows.filter(|(at, _)| *at >= from && *at <= to));
    }
    // Newest first so far, of each instrument.
    found.reverse();
    found.sort_by_key(|(at, _)| *at);
    table(asked, found.into_iter().map(|(_, row)| row).collect(), &[], false)
}

fn span(asked: &Asked<'_, '_>) -> Result<(Timestamp, Timestamp), Refusal> {
    let from = asked.fields.time("startTime")?.unwrap_or(Timestamp::MIN);
    Ok((from, asked.fields.time("endTime")?.unwrap_or(Timestamp::MAX)))
}

/// The steps of bins.
pub(super) const BINS: [(&str, u64); 4] = [("1m", 60), ("5m", 300), ("1h", 3_600), ("1d", 86_400)];

pub(super) fn bins(asked: &mut Asked<'_, '_>) -> Answer {
    let wanted = asked.fields.text("binSize").unwrap_or("1m");
    let step =
        BINS.iter().find(|(name, _)| *name == wanted).map(|(_, seconds)| Duration::from_secs(*seconds));
    let step = step.ok_or_else(|| bad("binSize is invalid"))?;
    let (from, to) = span(asked)?;
    let paper = &*asked.room.paper;
    let partial = asked.fields.flag("partial");
    let mut found: Vec<(Timestamp, Row)> = Vec::new();
    for (id, one) in chosen(asked)? {
        let all = paper.candles(id, step, Duration::ZERO, (Timestamp::MIN, Timestamp::MAX));
        // The time of a bin is its end, and one whose end is to come is partial.
        let ended = all.iter().filter(|bin| partial || bin.at.plus(step) <= paper.now());
        let ended = ended.filter(|bin| bin.at.plus(step) >= from && bin.at.plus(step) <= to);
        found.extend(ended.map(|bin| (bin.at, rows::bin(&one, bin, step))));
    }
    found.sort_by_key(|(at, _)| *at);
    table(asked, found.into_iter().map(|(_, row)| row).collect(), &[], false)
}

/// The best prices now: those of the past are not kept.
pub(super) fn quotes(asked: &mut Asked<'_, '_>) -> Answer {
    let paper = &*asked.room.paper;
    let rows = chosen(asked)?.iter().map(|(id, one)| rows::quote(paper, *id, one)).collect();
    table(asked, rows, &[], false)
}

/// Fundings that were done while the market was served.
pub(super) fn fundings(asked: &mut Asked<'_, '_>) -> Answer {
    let (from, to) = span(asked)?;
    let chosen: Vec<InstrumentId> = chosen(asked)?.into_iter().map(|(id, _)| id).collect();
    let done = asked
        .log
        .fundings()
        .filter(|funded| chosen.contains(&funded.instrument) && funded.at >= from && funded.at <= to);
    let rows = done.filter_map(|funded| rows::funding(asked.room.paper, funded)).collect();
    table(asked, rows, &["timestamp", "symbol"], false)
}

pub(super) fn active_and_indices(asked: &mut Asked<'_, '_>) -> Answer {
    let paper = &*asked.room.paper;
    let own = all(paper).map(|(id, one)| rows::instrument(paper, id, one));
    Ok(std::iter::once(index(paper.now())).chain(own).collect::<Vec<Row>>().into())
}

/// A table with nothing in it.
pub(super) fn nothing(_: &mut Asked<'_, '_>) -> Answer {
    Ok(Vec::<Row>::new().into())
}

pub(super) fn help(_: &mut Asked<'_, '_>) -> Answer {
    Ok(Outcome::Body(super::streams::help().to_string()))
}

pub(super) fn assets(asked: &mut Asked<'_, '_>) -> Answer {
    let one = |asset: &crate::market::Asset| {
        let (currency, scale) = rows::currency(asset);
        json!({
            "asset": asset.as_str(),
            "currency": currency,
            "majorCurrency": asset.as_str(),
            "name": asset.as_str(),
            "currencyType": "Crypto",
            "scale": scale,
            "enabled": true,
            "isMarginCurrency": matches!(asset.as_str(), "XBT" | "USDT"),
            "memoRequired": false,
            "networks": [],
        })
    };
    let all: Vec<Value> = asked.room.paper.names().funds().map(one).collect();
    Ok(Outcome::Body(Value::Array(all).to_string()))
}
