//! HitBTC's public frames as they are on the wire: the one place for their spelling, both ways.
//!
//! ```json
//! {"jsonrpc":"2.0","method":"snapshotOrderbook","params":{"ask":[{"price":"30000.50","size":"0.70000"}],"bid":[{"price":"30000.40","size":"0.80000"}],"symbol":"BTCUSD","sequence":8073827,"timestamp":"2023-11-14T22:13:20.193Z"}}
//! {"jsonrpc":"2.0","method":"updateTrades","params":{"data":[{"id":1317950671,"price":"30000.50","quantity":"0.00100","side":"buy","timestamp":"2023-11-14T22:13:20.041Z"}],"symbol":"BTCUSD"}}
//! {"ch":"orderbook/full","update":{"BTCUSDT":{"t":1700000000100,"s":101,"a":[["30000.50","0"],["30000.60","1.00000"]],"b":[]}}}
//! {"ch":"trades","update":{"BTCUSDT":[{"t":1700000000050,"i":1555634969,"p":"30000.50","q":"0.00100","s":"buy"}]}}
//! {"ch":"orderbook/top/100ms","data":{"BTCUSDT":{"t":1700000000000,"a":"30000.50","A":"0.7","b":"30000.40","B":"0.8"}}}
//! ```

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::market;
use crate::market::decimal::parse_units;
use crate::market::{Group, GroupKind, Instrument, MarketEvent, Pair, Print, Product, RuleOrigin, Side};
use crate::sim::Rate;
use crate::venue::catalogue::Entry;
use crate::venue::rules::Rules;
use crate::venue::text::{Number, write_integer, write_levels, write_price, write_qty, write_text};

/// The channel of whole books and their changes, v3.
pub(super) const FULL_BOOK: &str = "orderbook/full";
/// The channel of trades, v3.
pub(super) const TRADES: &str = "trades";

/// Any frame: v2 pushes have `method` and `params`, v3 pushes `ch` and their data, answers `result` or `error`.
#[derive(Debug, Deserialize)]
pub(super) struct Envelope<'a> {
    #[serde(borrow, default)]
    pub(super) method: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) ch: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) params: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) snapshot: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) update: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) data: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) result: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
}

/// A level of v2.
#[derive(Debug, Deserialize)]
pub(super) struct Level<'a> {
    #[serde(borrow)]
    pub(super) price: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) size: Cow<'a, str>,
}

/// A book of v2, whole or changed.
#[derive(Debug, Deserialize)]
pub(super) struct Book2<'a> {
    #[serde(borrow)]
    pub(super) symbol: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) ask: Vec<Level<'a>>,
    #[serde(borrow)]
    pub(super) bid: Vec<Level<'a>>,
    pub(super) sequence: i64,
    #[serde(borrow, default)]
    pub(super) timestamp: Cow<'a, str>,
}

/// Trades of v2.
#[derive(Debug, Deserialize)]
pub(super) struct Trades2<'a> {
    #[serde(borrow)]
    pub(super) symbol: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) data: Vec<Trade2<'a>>,
}

/// A trade of v2; `side` is the taker's.
#[derive(Debug, Deserialize)]
pub(super) struct Trade2<'a> {
    #[serde(borrow)]
    pub(super) id: Number<'a>,
    #[serde(borrow)]
    pub(super) price: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) quantity: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) side: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) timestamp: Cow<'a, str>,
}

/// A level of v3.
#[derive(Debug, Deserialize)]
pub(super) struct Row<'a>(#[serde(borrow)] pub(super) Cow<'a, str>, #[serde(borrow)] pub(super) Cow<'a, str>);

/// A book of v3: whole, changed, or its best levels.
#[derive(Debug, Deserialize)]
pub(super) struct Book3<'a> {
    pub(super) t: Option<i64>,
    pub(super) s: Option<i64>,
    #[serde(borrow)]
    pub(super) a: Vec<Row<'a>>,
    #[serde(borrow)]
    pub(super) b: Vec<Row<'a>>,
}

/// The best prices of v3.
#[derive(Debug, Deserialize)]
pub(super) struct Top3<'a> {
    pub(super) t: Option<i64>,
    #[serde(borrow, rename = "a")]
    pub(super) ask: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "A")]
    pub(super) ask_size: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "b")]
    pub(super) bid: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "B")]
    pub(super) bid_size: Option<Cow<'a, str>>,
}

/// A trade of v3; `s` is the taker's side.
#[derive(Debug, Deserialize)]
pub(super) struct Trade3<'a> {
    pub(super) t: Option<i64>,
    #[serde(borrow)]
    pub(super) i: Number<'a>,
    #[serde(borrow)]
    pub(super) p: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) q: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) s: Cow<'a, str>,
}

/// Levels a side of a channel of v3 that always shows the whole of what it shows: `orderbook/D10/100ms` has 10.
pub(super) fn window(channel: &str) -> Option<u32> {
    let rest = channel.strip_prefix("orderbook/")?;
    match rest.split('/').next()? {
        "top" => Some(1),
        "D5" => Some(5),
        "D10" => Some(10),
        "D20" => Some(20),
        _ => None,
    }
}

/// v2 calls Tether `USD`.
pub(super) fn honest(currency: &str) -> &str {
    if currency == "USD" { "USDT" } else { currency }
}

/// A book frame of v3 of the levels of a group.
pub(super) fn write_book(out: &mut String, instrument: &Instrument, group: &Group<'_>, sequence: i64) {
    let kind = if group.kind == GroupKind::Snapshot { "snapshot" } else { "update" };
    out.push_str("{\"ch\":\"orderbook/full\",\"");
    out.push_str(kind);
    out.push_str("\":{\"");
    write_text(out, &instrument.symbol);
    out.push_str("\":{\"t\":");
    write_integer(out, group.exchange_time.millis());
    out.push_str(",\"s\":");
    write_integer(out, sequence);
    out.push_str(",\"a\":[");
    write_levels(out, instrument, levels(group, Side::Sell));
    out.push_str("],\"b\":[");
    write_levels(out, instrument, levels(group, Side::Buy));
    out.push_str("]}}}");
}

/// The levels of a side that a group speaks of.
fn levels(group: &Group<'_>, wanted: Side) -> impl Iterator<Item = market::Level> {
    group.events.iter().filter_map(move |event| match *event {
        MarketEvent::Level { side, price, qty } if side == wanted => Some(market::Level { price, qty }),
        _ => None,
    })
}

/// A trade frame of v3 of the prints of a group. `next_id` numbers those without an id; the exchange's are numbers.
pub(super) fn write_trades(out: &mut String, instrument: &Instrument, group: &Group<'_>, next_id: &mut i64) {
    out.push_str("{\"ch\":\"trades\",\"update\":{\"");
    write_text(out, &instrument.symbol);
    out.push_str("\":[");
    let mut first = true;
    for event in group.events {
        let MarketEvent::Trade(Print { aggressor, id, price, qty }) = *event else { continue };
        out.push_str(if first { "{\"t\":" } else { ",{\"t\":" });
        first = false;
        write_integer(out, group.exchange_time.millis());
        out.push_str(",\"i\":");
        let id = id.of(group.ids);
        if !id.is_empty() && id.len() < 19 && id.iter().all(u8::is_ascii_digit) && id[0] != b'0' {
            out.push_str(std::str::from_utf8(id).unwrap_or_default());
        } else {
            *next_id += 1;
            write_integer(out, *next_id);
        }
        out.push_str(",\"p\":\"");
        write_price(out, instrument, price);
        out.push_str("\",\"q\":\"");
        write_qty(out, instrument, qty);
        out.push_str("\",\"s\":\"");
        out.push_str(aggressor.map_or("", Side::name));
        out.push_str("\"}");
    }
    out.push_str("]}}");
}

/// The instruments of a reply of `/public/symbol`, v2 (a list) or v3 (an object); what is no spot pair is left out.
pub(super) fn symbols(body: &str) -> Vec<Entry> {
    if let Ok(list) = serde_json::from_str::<Vec<Symbol2>>(body) {
        return list.iter().filter_map(Symbol2::entry).collect();
    }
    let by_symbol = serde_json::from_str::<crate::venue::text::BySymbol<'_, Symbol3>>(body);
    by_symbol
        .map_or_else(|_| Vec::new(), |all| all.0.iter().filter_map(|(id, symbol)| symbol.entry(id)).collect())
}

/// `{"id":"BTCUSD","baseCurrency":"BTC","quoteCurrency":"USD","quantityIncrement":"0.00001","tickSize":"0.01",
/// "takeLiquidityRate":"0.0025","provideLiquidityRate":"0.001","feeCurrency":"USD",…}`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Symbol2 {
    id: String,
    base_currency: String,
    quote_currency: String,
    quantity_increment: String,
    tick_size: String,
    take_liquidity_rate: String,
    provide_liquidity_rate: String,
}

/// `{"type":"spot","base_currency":"BTC","quote_currency":"USDT","status":"working","quantity_increment":"0.00001",
/// "tick_size":"0.01","take_rate":"0.0025","make_rate":"0.001","fee_currency":"USDT",…}`
#[derive(Deserialize)]
struct Symbol3 {
    r#type: String,
    base_currency: Option<String>,
    quote_currency: String,
    #[serde(default)]
    status: Option<String>,
    quantity_increment: String,
    tick_size: String,
    take_rate: String,
    make_rate: String,
}

impl Symbol2 {
    fn entry(&self) -> Option<Entry> {
        let pair = Pair::new(honest(&self.base_currency), honest(&self.quote_currency));
        let rates = (self.provide_liquidity_rate.as_str(), self.take_liquidity_rate.as_str());
        entry(&self.id, &pair, (&self.tick_size, &self.quantity_increment), rates)
    }
}

impl Symbol3 {
    fn entry(&self, id: &str) -> Option<Entry> {
        let base = self.base_currency.as_deref().filter(|_| self.r#type == "spot")?;
        let pair = Pair::new(base, &self.quote_currency);
        let steps = (self.tick_size.as_str(), self.quantity_increment.as_str());
        let entry = entry(id, &pair, steps, (&self.make_rate, &self.take_rate))?;
        Some(Entry { tradable: self.status.as_deref().is_none_or(|status| status == "working"), ..entry })
    }
}

/// The smallest amount is one step; no largest one and no smallest value are published.
fn entry(id: &str, pair: &Pair, (tick, lot): (&str, &str), (make, take): (&str, &str)) -> Option<Entry> {
    let plain = Rules { tick, lot, ..Rules::default() };
    let instrument = plain.instrument(id, pair, Product::Spot, RuleOrigin::Tape)?;
    let rate = |text: &str| parse_units(text.as_bytes(), Rate::SCALE).ok().map(Rate);
    Some(Entry { fees: rate(make).zip(rate(take)), ..Entry::plain(instrument) })
}
