//! Phemex's public frames as they are on the wire, hedged (`_p`, decimals in text) and older (scaled integers): the one
//! place for their spelling, both ways.
//!
//! ```json
//! {"depth":30,"orderbook_p":{"asks":[["30000.5","0"]],"bids":[["30000.4","0.9"]]},"sequence":77770773,"symbol":"BTCUSDT","timestamp":1700000000143456789,"type":"incremental"}
//! {"sequence":77702250,"symbol":"BTCUSDT","trades_p":[[1700000000123456789,"Sell","30000.3","0.649"]],"type":"incremental"}
//! {"book":{"asks":[[300005000,0]],"bids":[]},"depth":30,"sequence":1191905,"symbol":"BTCUSD","timestamp":1700000000143456789,"type":"incremental"}
//! {"sequence":1188273,"symbol":"BTCUSD","trades":[[1700000000123456789,"Buy",300005000,21]],"type":"incremental"}
//! {"data":[["BTCUSDT","29500","31000","29000","30000","8819.819","264594570","1234.5","30001.2","30002.1","0.0001","0.0001"]],"fields":["symbol","openRp","highRp","lowRp","lastRp","volumeRq","turnoverRv","openInterestRv","indexRp","markRp","fundingRateRr","predFundingRateRr"],"method":"perp_market24h_pack_p.update","timestamp":1700000000000000000,"type":"snapshot"}
//! {"market24h":{"indexPrice":300012000,"markPrice":300021000,"fundingRate":10000,"symbol":"BTCUSD"},"timestamp":1700000000000000000}
//! ```

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::market::{
    FinePrice, FundingRate, Group, GroupKind, Instrument, MarketEvent, Print, Side, Timestamp,
};
use crate::venue::news::Told;
use crate::venue::text::{Number, Row, write_integer, write_price, write_qty, write_size, write_text};

/// Any frame.
#[derive(Debug, Deserialize)]
pub(super) struct Envelope<'a> {
    #[serde(borrow)]
    pub(super) orderbook_p: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) book: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) trades_p: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) trades: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) market24h: Option<&'a RawValue>,
    /// Candles, single prices, and what is private.
    #[serde(
        borrow,
        alias = "kline_p",
        alias = "tick",
        alias = "tick_p",
        alias = "accounts",
        alias = "accounts_p"
    )]
    pub(super) kline: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) method: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) fields: Option<Vec<Cow<'a, str>>>,
    #[serde(borrow, default)]
    pub(super) symbol: Cow<'a, str>,
    #[serde(borrow, default, rename = "type")]
    pub(super) kind: Cow<'a, str>,
    pub(super) depth: Option<u32>,
    pub(super) sequence: Option<i64>,
    pub(super) timestamp: Option<i64>,
    /// Of answers: even where it is null.
    #[serde(borrow, default, deserialize_with = "there")]
    pub(super) result: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "there")]
    pub(super) error: Option<&'a RawValue>,
}

/// A field that counts even where it is null.
fn there<'de: 'a, 'a, D: serde::Deserializer<'de>>(from: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

/// The levels of a book.
#[derive(Debug, Deserialize)]
pub(super) struct Levels<'a> {
    #[serde(borrow)]
    pub(super) asks: Vec<Row<'a>>,
    #[serde(borrow)]
    pub(super) bids: Vec<Row<'a>>,
}

/// A trade: nanoseconds, the taker's side, price, size.
#[derive(Debug, Deserialize)]
pub(super) struct Trade<'a>(
    pub(super) i64,
    #[serde(borrow)] pub(super) Cow<'a, str>,
    #[serde(borrow)] pub(super) Number<'a>,
    #[serde(borrow)] pub(super) Number<'a>,
);

/// What the older interface says of a contract in the last 24 hours; prices scaled, rates ×10⁸.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Market24h<'a> {
    #[serde(borrow)]
    pub(super) symbol: Cow<'a, str>,
    pub(super) mark_price: Option<i64>,
    pub(super) index_price: Option<i64>,
    pub(super) funding_rate: Option<i64>,
}

/// The columns of the packed statistics where a message does not name them: those of the page.
pub(super) const FIELDS: [&str; 12] = [
    "symbol",
    "openRp",
    "highRp",
    "lowRp",
    "lastRp",
    "volumeRq",
    "turnoverRv",
    "openInterestRv",
    "indexRp",
    "markRp",
    "fundingRateRr",
    "predFundingRateRr",
];

/// Whether a symbol is of the hedged interface: all that are quoted in a stable coin and are no spot.
pub(super) fn is_hedged(symbol: &str) -> bool {
    !symbol.starts_with('s') && ["USDT", "USDC"].iter().any(|quote| symbol.ends_with(quote))
}

/// A book frame of the levels of a group.
pub(super) fn write_book(
    out: &mut String,
    instrument: &Instrument,
    group: &Group<'_>,
    (depth, sequence): (u32, i64),
) {
    let hedged = is_hedged(&instrument.symbol);
    if hedged {
        out.push_str("{\"depth\":");
        write_integer(out, i64::from(depth));
        out.push_str(",\"orderbook_p\":{\"asks\":[");
    } else {
        out.push_str("{\"book\":{\"asks\":[");
    }
    write_levels(out, instrument, group, Side::Sell);
    out.push_str("],\"bids\":[");
    write_levels(out, instrument, group, Side::Buy);
    out.push_str("]}");
    if !hedged {
        out.push_str(",\"depth\":");
        write_integer(out, i64::from(depth));
    }
    out.push_str(",\"sequence\":");
    write_integer(out, sequence);
    out.push_str(",\"symbol\":\"");
    write_text(out, &instrument.symbol);
    out.push_str("\",\"timestamp\":");
    write_integer(out, group.exchange_time.nanos());
    let snapshot = group.kind == GroupKind::Snapshot;
    out.push_str(if snapshot { ",\"type\":\"snapshot\"}" } else { ",\"type\":\"incremental\"}" });
}

fn write_levels(out: &mut String, instrument: &Instrument, group: &Group<'_>, wanted: Side) {
    let hedged = is_hedged(&instrument.symbol);
    let mut first = true;
    for event in group.events {
        let MarketEvent::Level { side, price, qty } = *event else { continue };
        if side != wanted {
            continue;
        }
        out.push_str(if std::mem::take(&mut first) { "[" } else { ",[" });
        if hedged {
            out.push('"');
            write_price(out, instrument, price);
            out.push_str("\",\"");
            write_size(out, instrument, qty);
            out.push('"');
        } else {
            write_integer(out, price.units());
            out.push(',');
            write_integer(out, qty.units());
        }
        out.push(']');
    }
}

/// What is told of a contract: a row of the packed statistics with the columns that are known, or `market24h`.
pub(super) fn write_news(out: &mut String, instrument: &Instrument, told: &Told, time: Timestamp) {
    let rate = told.funding.map(|(rate, _)| rate);
    if is_hedged(&instrument.symbol) {
        fn cell(out: &mut String, value: Option<impl std::fmt::Display>) {
            match value {
                Some(value) => _ = write!(out, ",\"{value}\""),
                None => out.push_str(",\"\""),
            }
        }
        out.push_str("{\"data\":[[\"");
        write_text(out, &instrument.symbol);
        out.push('"');
        cell(out, told.index);
        cell(out, told.mark);
        cell(out, rate);
        out.push_str("]],\"fields\":[\"symbol\",\"indexRp\",\"markRp\",\"fundingRateRr\"],\"method\":\"perp_market24h_pack_p.update\"");
        let _ = write!(out, ",\"timestamp\":{},\"type\":\"snapshot\"}}", time.nanos());
        return;
    }
    out.push_str("{\"market24h\":{");
    let scale = instrument.price_scale;
    let mut number = |name: &str, units: Option<i64>| {
        if let Some(units) = units {
            let _ = write!(out, "\"{name}\":{units},");
        }
    };
    number("indexPrice", told.index.and_then(|price| rescaled(price.units(), FinePrice::SCALE, scale)));
    number("markPrice", told.mark.and_then(|price| rescaled(price.units(), FinePrice::SCALE, scale)));
    number("fundingRate", rate.and_then(|rate| rescaled(rate.units(), FundingRate::SCALE, RATE_SCALE)));
    out.push_str("\"symbol\":\"");
    write_text(out, &instrument.symbol);
    let _ = write!(out, "\"}},\"timestamp\":{}}}", time.nanos());
}

/// Decimals of the rates of the older interface.
const RATE_SCALE: u8 = 8;

/// Units of one scale in units of another; digits that it has no room for are cut off. `None` where it is too large.
fn rescaled(units: i64, from: u8, to: u8) -> Option<i64> {
    let power = 10_i64.checked_pow(u32::from(from.abs_diff(to)))?;
    if to >= from { units.checked_mul(power) } else { Some(units / power) }
}

/// A trade frame of the prints of a group, newest first.
pub(super) fn write_trades(out: &mut String, instrument: &Instrument, group: &Group<'_>, sequence: i64) {
    let hedged = is_hedged(&instrument.symbol);
    out.push_str("{\"sequence\":");
    write_integer(out, sequence);
    out.push_str(",\"symbol\":\"");
    write_text(out, &instrument.symbol);
    out.push_str(if hedged { "\",\"trades_p\":[" } else { "\",\"trades\":[" });
    let mut first = true;
    for event in group.events.iter().rev() {
        let MarketEvent::Trade(Print { aggressor, price, qty, .. }) = *event else { continue };
        out.push_str(if std::mem::take(&mut first) { "[" } else { ",[" });
        write_integer(out, group.exchange_time.nanos());
        out.push_str(match aggressor {
            Some(Side::Buy) => ",\"Buy\",",
            Some(Side::Sell) => ",\"Sell\",",
            None => ",\"\",",
        });
        if hedged {
            out.push('"');
            write_price(out, instrument, price);
            out.push_str("\",\"");
            write_qty(out, instrument, qty);
            out.push('"');
        } else {
            write_integer(out, price.units());
            out.push(',');
            write_integer(out, qty.units());
        }
        out.push(']');
    }
    out.push_str("],\"type\":\"incremental\"}");
}
