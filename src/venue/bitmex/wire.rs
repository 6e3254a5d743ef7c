//! BitMEX's public frames as they are on the wire: the one place for their spelling, both ways.
//!
//! ```json
//! {"table":"orderBookL2","action":"partial","keys":["symbol","id","side"],"filter":{"symbol":"XBTUSD"},"data":[{"symbol":"XBTUSD","id":99400000,"side":"Buy","size":12000,"price":60000,"timestamp":"2026-01-01T00:00:00.000Z"}]}
//! {"table":"orderBookL2","action":"update","data":[{"symbol":"XBTUSD","id":99400000,"side":"Buy","size":9000}]}
//! {"table":"orderBook10","action":"update","data":[{"symbol":"XBTUSD","bids":[[60000,12000]],"asks":[[60001,5000]],"timestamp":"2026-01-01T00:00:01.000Z"}]}
//! {"table":"trade","action":"insert","data":[{"timestamp":"2026-01-01T00:00:02.000Z","symbol":"XBTUSD","side":"Sell","size":100,"price":60000,"tickDirection":"ZeroMinusTick","trdMatchID":"00000000-006d-1000-0000-000000000001","trdType":"Regular"}]}
//! {"table":"quote","action":"insert","data":[{"timestamp":"2026-01-01T00:00:01.000Z","symbol":"XBTUSD","bidSize":9000,"bidPrice":60000,"askPrice":60001,"askSize":5000}]}
//! {"table":"instrument","action":"update","data":[{"symbol":"XBTUSD","markPrice":60013,"indicativeSettlePrice":60010,"timestamp":"2026-01-01T00:00:05.000Z"}]}
//! {"table":"funding","action":"insert","data":[{"timestamp":"2026-01-01T04:00:00.000Z","symbol":"XBTUSD","fundingInterval":"2000-01-01T08:00:00.000Z","fundingRate":0.0001,"fundingRateDaily":0.0003}]}
//! {"table":"liquidation","action":"insert","data":[{"orderID":"00000000-006c-1000-0000-000000000001","symbol":"XBTUSD","side":"Sell","price":59900,"leavesQty":2000}]}
//! ```

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::market::decimal::Plain;
use crate::market::{
    FundingRate, Group, Instrument, MarketEvent, Price, Print, Product, Qty, Side, Timestamp,
};
use crate::venue::news::Told;
use crate::venue::text::{Number, Row, write_text};

/// Any frame: a push has `table`, `action` and `data`, an answer has `info`, `success`, `error` or `now`.
#[derive(Debug, Deserialize)]
pub(super) struct Envelope<'a> {
    #[serde(borrow, default)]
    pub(super) table: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) action: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) data: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) filter: Option<Filter<'a>>,
    #[serde(borrow)]
    pub(super) info: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) success: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) now: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) request: Option<Request<'a>>,
}

/// What a partial is about.
#[derive(Debug, Deserialize)]
pub(super) struct Filter<'a> {
    #[serde(borrow)]
    pub(super) symbol: Option<Cow<'a, str>>,
}

/// The request that an answer is to.
#[derive(Debug, Deserialize)]
pub(super) struct Request<'a> {
    #[serde(borrow, default)]
    pub(super) op: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) args: Option<&'a RawValue>,
}

/// A row of `orderBookL2` or `orderBookL2_25`. What changes a level or ends it may leave out its price.
#[derive(Debug, Deserialize)]
pub(super) struct L2<'a> {
    #[serde(borrow)]
    pub(super) symbol: Cow<'a, str>,
    pub(super) id: u64,
    #[serde(borrow)]
    pub(super) side: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) size: Option<Number<'a>>,
    #[serde(borrow)]
    pub(super) price: Option<Number<'a>>,
    #[serde(borrow)]
    pub(super) timestamp: Option<Cow<'a, str>>,
}

/// The best ten levels a side.
#[derive(Debug, Deserialize)]
pub(super) struct Book10<'a> {
    #[serde(borrow)]
    pub(super) symbol: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) bids: Vec<Row<'a>>,
    #[serde(borrow)]
    pub(super) asks: Vec<Row<'a>>,
    #[serde(borrow)]
    pub(super) timestamp: Option<Cow<'a, str>>,
}

/// The best prices.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Quote<'a> {
    #[serde(borrow)]
    pub(super) symbol: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) bid_price: Option<Number<'a>>,
    #[serde(borrow)]
    pub(super) bid_size: Option<Number<'a>>,
    #[serde(borrow)]
    pub(super) ask_price: Option<Number<'a>>,
    #[serde(borrow)]
    pub(super) ask_size: Option<Number<'a>>,
    #[serde(borrow)]
    pub(super) timestamp: Option<Cow<'a, str>>,
}

/// A trade; `side` is the taker's. `trdType` is missing in older recordings.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Trade<'a> {
    #[serde(borrow)]
    pub(super) symbol: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) side: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) size: Option<Number<'a>>,
    #[serde(borrow)]
    pub(super) price: Option<Number<'a>>,
    #[serde(borrow)]
    pub(super) timestamp: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "trdMatchID")]
    pub(super) id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) trd_type: Option<Cow<'a, str>>,
}

/// A row of `instrument`: what changed, or in a partial all of it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Status<'a> {
    #[serde(borrow)]
    pub(super) symbol: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) state: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) mark_price: Option<Number<'a>>,
    #[serde(borrow)]
    pub(super) indicative_settle_price: Option<Number<'a>>,
    #[serde(borrow)]
    pub(super) funding_rate: Option<Number<'a>>,
    #[serde(borrow)]
    pub(super) funding_timestamp: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) timestamp: Option<Cow<'a, str>>,
}

/// A funding that is done.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Funding<'a> {
    #[serde(borrow)]
    pub(super) symbol: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) timestamp: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) funding_rate: Option<Number<'a>>,
}

/// An order that closes somebody's position.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Liquidation<'a> {
    #[serde(borrow)]
    pub(super) symbol: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) side: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) price: Number<'a>,
    #[serde(borrow)]
    pub(super) leaves_qty: Number<'a>,
}

/// Decimals of an asset's minor unit, in which spot sizes are sent: satoshi, gwei, lamport, …
pub(super) fn minor_decimals(base: &str) -> Option<u8> {
    match base {
        "XBT" => Some(8),
        "ETH" | "SOL" => Some(9),
        "USDT" | "USDC" | "BMEX" | "XRP" | "MAMUSD" => Some(6),
        _ => None,
    }
}

/// Levels a side of a book table.
pub(super) fn levels_of(table: &str) -> Option<u32> {
    match table {
        "orderBookL2" => Some(crate::venue::reading::FULL),
        "orderBookL2_25" => Some(25),
        "orderBook10" => Some(10),
        _ => None,
    }
}

/// What becomes of a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Partial,
    Insert,
    Update,
    Delete,
}

impl Action {
    fn name(self) -> &'static str {
        match self {
            Self::Partial => "partial",
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// A level with its id.
#[derive(Clone, Copy, Debug)]
pub(super) struct Level {
    pub(super) id: u64,
    pub(super) side: Side,
    pub(super) price: Price,
    pub(super) qty: Qty,
}

const fn side_name(side: Side) -> &'static str {
    match side {
        Side::Buy => "Buy",
        Side::Sell => "Sell",
    }
}

/// A size as it is sent: contracts, or spot's minor units.
fn size_text(instrument: &Instrument, qty: Qty) -> String {
    let minor = match instrument.product {
        Product::Spot => minor_decimals(instrument.pair.base.as_str()).unwrap_or(0),
        _ => 0,
    };
    Plain::new(i128::from(qty.units()) * 10_i128.pow(u32::from(minor)), instrument.qty_scale).to_string()
}

/// A frame of `instrument` with what is told; the first of a symbol is a partial, as a subscription begins.
pub(super) fn write_status(
    out: &mut String,
    instrument: &Instrument,
    told: &Told,
    (first, time): (bool, Timestamp),
) {
    if first {
        out.push_str("{\"table\":\"instrument\",\"action\":\"partial\",\"keys\":[\"symbol\"],\"filter\":{\"symbol\":\"");
        write_text(out, &instrument.symbol);
        out.push_str("\"},\"data\":[{\"symbol\":\"");
    } else {
        out.push_str("{\"table\":\"instrument\",\"action\":\"update\",\"data\":[{\"symbol\":\"");
    }
    write_text(out, &instrument.symbol);
    out.push('"');
    if let Some(trading) = told.trading {
        out.push_str(if trading { ",\"state\":\"Open\"" } else { ",\"state\":\"Closed\"" });
    }
    if let Some(mark) = told.mark {
        let _ = write!(out, ",\"fairPrice\":{mark},\"markPrice\":{mark}");
    }
    if let Some(index) = told.index {
        let _ = write!(out, ",\"indicativeSettlePrice\":{index}");
    }
    if let Some((rate, due)) = told.funding {
        let _ = write!(out, ",\"fundingRate\":{rate}");
        if let Some(due) = due {
            out.push_str(",\"fundingTimestamp\":\"");
            write_time(out, due);
            out.push('"');
        }
    }
    out.push_str(",\"timestamp\":\"");
    write_time(out, time);
    out.push_str("\"}]}");
}

/// A frame of `funding`: one that is done. The interval is eight hours of a day in 2000.
pub(super) fn write_funding(out: &mut String, instrument: &Instrument, rate: FundingRate, time: Timestamp) {
    out.push_str("{\"table\":\"funding\",\"action\":\"insert\",\"data\":[{\"timestamp\":\"");
    write_time(out, time);
    out.push_str("\",\"symbol\":\"");
    write_text(out, &instrument.symbol);
    let daily = FundingRate::from_units(rate.units().saturating_mul(3));
    let _ = write!(
        out,
        "\",\"fundingInterval\":\"2000-01-01T08:00:00.000Z\",\"fundingRate\":{rate},\"fundingRateDaily\":{daily}}}]}}"
    );
}

/// A frame of `liquidation` of the orders of a group, numbered from `next_id` on.
pub(super) fn write_liquidations(
    out: &mut String,
    instrument: &Instrument,
    orders: &[(Side, Price, Qty)],
    next_id: &mut u64,
) {
    out.push_str("{\"table\":\"liquidation\",\"action\":\"insert\",\"data\":[");
    for (index, (side, price, qty)) in orders.iter().enumerate() {
        *next_id += 1;
        out.push_str(if index == 0 { "{" } else { ",{" });
        let _ = write!(out, "\"orderID\":\"00000000-006c-1000-0000-{next_id:012x}\",\"symbol\":\"");
        write_text(out, &instrument.symbol);
        let (price, size) = (instrument.show_price(*price), size_text(instrument, *qty));
        let _ = write!(out, "\",\"side\":\"{}\",\"price\":{price},\"leavesQty\":{size}}}", side_name(*side));
    }
    out.push_str("]}");
}

/// `2026-01-01T00:00:01.000Z`: always three decimals.
fn write_time(out: &mut String, time: Timestamp) {
    let text = Timestamp::from_millis(time.millis()).to_string();
    let whole = text.trim_end_matches('Z');
    let (seconds, part) = whole.split_once('.').unwrap_or((whole, ""));
    let _ = write!(out, "{seconds}.{part:0<3}Z");
}

/// A frame of `orderBookL2`. Every column is sent with every action, but for the size of a level that goes.
pub(super) fn write_l2(
    out: &mut String,
    instrument: &Instrument,
    action: Action,
    levels: &[Level],
    time: Timestamp,
) {
    let _ = write!(out, "{{\"table\":\"orderBookL2\",\"action\":\"{}\"", action.name());
    if action == Action::Partial {
        out.push_str(",\"keys\":[\"symbol\",\"id\",\"side\"],\"types\":{\"symbol\":\"symbol\",\"id\":\"long\",\"side\":\"symbol\",\"size\":\"long\",\"price\":\"float\",\"timestamp\":\"timestamp\",\"transactTime\":\"timestamp\"},\"filter\":{\"symbol\":\"");
        write_text(out, &instrument.symbol);
        out.push_str("\"}");
    }
    out.push_str(",\"data\":[");
    for (index, level) in levels.iter().enumerate() {
        out.push_str(if index == 0 { "{\"symbol\":\"" } else { ",{\"symbol\":\"" });
        write_text(out, &instrument.symbol);
        let _ = write!(out, "\",\"id\":{},\"side\":\"{}\"", level.id, side_name(level.side));
        if action != Action::Delete {
            let _ = write!(out, ",\"size\":{}", size_text(instrument, level.qty));
        }
        let _ = write!(out, ",\"price\":{},\"timestamp\":\"", instrument.show_price(level.price));
        write_time(out, time);
        out.push_str("\",\"transactTime\":\"");
        write_time(out, time);
        out.push_str("\"}");
    }
    out.push_str("]}");
}

/// A frame of `trade` of the prints of a group. `next_id` numbers those without an id.
pub(super) fn write_trades(out: &mut String, instrument: &Instrument, group: &Group<'_>, next_id: &mut u64) {
    out.push_str("{\"table\":\"trade\",\"action\":\"insert\",\"data\":[");
    let mut first = true;
    for event in group.events {
        let MarketEvent::Trade(Print { aggressor, id, price, qty }) = *event else { continue };
        out.push_str(if std::mem::take(&mut first) { "{\"timestamp\":\"" } else { ",{\"timestamp\":\"" });
        write_time(out, group.exchange_time);
        out.push_str("\",\"symbol\":\"");
        write_text(out, &instrument.symbol);
        let side = aggressor.map_or("", side_name);
        let (size, price) = (size_text(instrument, qty), instrument.show_price(price));
        let _ = write!(out, "\",\"side\":\"{side}\",\"size\":{size},\"price\":{price},\"trdMatchID\":\"");
        match std::str::from_utf8(id.of(group.ids)) {
            Ok(id) if !id.is_empty() => write_text(out, id),
            _ => {
                *next_id += 1;
                let _ = write!(out, "00000000-006d-1000-0000-{next_id:012x}");
            }
        }
        out.push_str("\",\"trdType\":\"Regular\"}");
    }
    out.push_str("]}");
}
