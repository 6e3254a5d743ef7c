//! Bitget's public frames as they are on the wire, v1, v2 and v3: the one place for their spelling, both ways.
//!
//! ```json
//! {"action":"update","arg":{"instType":"mc","channel":"books","instId":"DASHUSDT"},"data":[{"asks":[["113.42","0"]],"bids":[["113.40","4.96"]],"checksum":-487257069,"ts":"1649290077676"}]}
//! {"action":"update","arg":{"instType":"mc","channel":"trade","instId":"UNIUSDT"},"data":[["1649290078916","9.977","1","sell"]]}
//! {"action":"update","arg":{"instType":"USDT-FUTURES","channel":"books","instId":"BTCUSDT"},"data":[{"asks":[["37000.1","0"],["37000.3","0.700"]],"bids":[],"checksum":-682485649,"seq":104,"ts":"1700000000250"}],"ts":1700000000251}
//! {"action":"update","arg":{"instType":"USDT-FUTURES","channel":"trade","instId":"BTCUSDT"},"data":[{"ts":"1700000000200","price":"37000.1","size":"0.011","side":"buy","tradeId":"1111461743123927041"}],"ts":1700000000202}
//! {"action":"update","arg":{"instType":"usdt-futures","topic":"books","symbol":"BTCUSDT"},"data":[{"a":[["76642","0"]],"b":[],"seq":483415085712,"pseq":483415077719,"ts":"1777358880000"}],"ts":1777358880001}
//! ```

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::value::RawValue;
use smol_str::{SmolStr, format_smolstr};

use crate::market::{Group, Instrument, MarketEvent, Price, Print, Qty, Side, Timestamp};
use crate::venue::news::Told;
use crate::venue::text::{Number, Row, write_integer, write_price, write_qty, write_size, write_text};

/// What symbols of spot begin with here; on the wire their market is beside them.
pub(super) const SPOT: &str = "sp:";
/// What symbols of contracts begin with that v1 spoke of.
pub(super) const MIX: &str = "mc:";

/// Any frame: a push has `action`, `arg` and `data`, an answer has `event`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Envelope<'a> {
    #[serde(borrow, default)]
    pub(super) action: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) arg: Option<Arg<'a>>,
    #[serde(borrow)]
    pub(super) data: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) event: Option<&'a RawValue>,
    /// Of the interface before v1.
    #[serde(borrow)]
    pub(super) table: Option<&'a RawValue>,
    /// Of replies of the REST interface.
    #[serde(borrow)]
    pub(super) request_time: Option<&'a RawValue>,
}

/// What a frame is about: `channel` and `instId` in v1 and v2, `topic` and `symbol` in v3.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Arg<'a> {
    #[serde(borrow, default)]
    pub(super) inst_type: Cow<'a, str>,
    #[serde(borrow, default, alias = "topic")]
    pub(super) channel: Cow<'a, str>,
    #[serde(borrow, default, alias = "symbol")]
    pub(super) inst_id: Cow<'a, str>,
}

impl Arg<'_> {
    /// The symbol that stands for it here.
    pub(super) fn symbol(&self, id: &str) -> Result<SmolStr, String> {
        let kind = &*self.inst_type;
        if ["spot", "sp"].iter().any(|spot| kind.eq_ignore_ascii_case(spot)) {
            Ok(format_smolstr!("{SPOT}{id}"))
        } else if kind.eq_ignore_ascii_case("mc") {
            Ok(format_smolstr!("{MIX}{id}"))
        } else if FUTURES.iter().any(|known| kind.eq_ignore_ascii_case(known)) {
            Ok(id.into())
        } else {
            Err(format!("unknown instType {kind:?}"))
        }
    }
}

/// The families of contracts.
const FUTURES: [&str; 3] = ["USDT-FUTURES", "USDC-FUTURES", "COIN-FUTURES"];

/// Levels a side of a channel that always sends the whole of what it shows: `books15` has 15.
pub(super) fn window(channel: &str) -> Option<u32> {
    channel.strip_prefix("books")?.parse().ok().filter(|levels| (1..=1_000).contains(levels))
}

/// A book, whole or changed.
#[derive(Debug, Deserialize)]
pub(super) struct Book<'a> {
    #[serde(borrow, alias = "a")]
    pub(super) asks: Vec<Row<'a>>,
    #[serde(borrow, alias = "b")]
    pub(super) bids: Vec<Row<'a>>,
    #[serde(default)]
    pub(super) checksum: Option<i32>,
    #[serde(default)]
    pub(super) seq: Option<i64>,
    #[serde(default)]
    pub(super) pseq: Option<i64>,
    #[serde(borrow, default)]
    pub(super) ts: Option<Number<'a>>,
    /// The most levels a side that the channel can show, where it says so.
    #[serde(borrow, default)]
    pub(super) maxdepth: Option<Number<'a>>,
}

/// A trade of v2, and of v3 by its shorter names; `side` is the taker's.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Trade<'a> {
    #[serde(borrow, alias = "T")]
    pub(super) ts: Number<'a>,
    #[serde(borrow, alias = "p")]
    pub(super) price: Number<'a>,
    #[serde(borrow, alias = "v")]
    pub(super) size: Number<'a>,
    #[serde(borrow, alias = "S")]
    pub(super) side: Cow<'a, str>,
    #[serde(borrow, default, alias = "i")]
    pub(super) trade_id: Option<Number<'a>>,
}

/// A trade of v1: time, price, size, the taker's side.
#[derive(Debug, Deserialize)]
pub(super) struct Trade1<'a>(
    #[serde(borrow)] pub(super) Number<'a>,
    #[serde(borrow)] pub(super) Number<'a>,
    #[serde(borrow)] pub(super) Number<'a>,
    #[serde(borrow)] pub(super) Cow<'a, str>,
);

/// What a ticker says of a contract; spot tickers have none of it. v1 has other names.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ticker<'a> {
    #[serde(borrow, default)]
    pub(super) mark_price: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) index_price: Option<Cow<'a, str>>,
    #[serde(borrow, default, alias = "capitalRate")]
    pub(super) funding_rate: Option<Cow<'a, str>>,
    #[serde(borrow, default, alias = "nextSettleTime")]
    pub(super) next_funding_time: Option<Number<'a>>,
    #[serde(borrow, default, alias = "systemTime")]
    pub(super) ts: Option<Number<'a>>,
}

/// A position that is closed by the exchange, v3.
#[derive(Debug, Deserialize)]
pub(super) struct Liquidation<'a> {
    #[serde(borrow)]
    pub(super) symbol: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) side: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) price: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) amount: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) ts: Number<'a>,
}

/// The market and the id of a symbol: v1's where it is marked so, else v2's.
pub(super) fn address(symbol: &str) -> (&'static str, &str) {
    if let Some(id) = symbol.strip_prefix(SPOT) {
        ("sp", id)
    } else if let Some(id) = symbol.strip_prefix(MIX) {
        ("mc", id)
    } else if symbol.ends_with("USDT") {
        ("USDT-FUTURES", symbol)
    } else if symbol.ends_with("PERP") {
        ("USDC-FUTURES", symbol)
    } else {
        ("COIN-FUTURES", symbol)
    }
}

/// How a frame is numbered and summed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks {
    pub(super) checksum: i32,
    /// The numbers of this message and of the one before; v1 has none.
    pub(super) numbers: Option<(i64, i64)>,
}

fn write_head(out: &mut String, snapshot: bool, channel: &str, symbol: &str) {
    let (market, id) = address(symbol);
    out.push_str(if snapshot { "{\"action\":\"snapshot\"" } else { "{\"action\":\"update\"" });
    out.push_str(",\"arg\":{\"instType\":\"");
    out.push_str(market);
    out.push_str("\",\"channel\":\"");
    out.push_str(channel);
    out.push_str("\",\"instId\":\"");
    write_text(out, id);
    out.push_str("\"},\"data\":[");
}

/// The end of a frame: v2 has a time of its own there.
fn write_tail(out: &mut String, symbol: &str, millis: i64) {
    out.push(']');
    if !matches!(address(symbol).0, "sp" | "mc") {
        out.push_str(",\"ts\":");
        write_integer(out, millis);
    }
    out.push('}');
}

/// A level as the exchange prints it; nothing of a size of zero but that.
pub(super) fn level_texts(instrument: &Instrument, event: &MarketEvent) -> Option<(Side, SmolStr, SmolStr)> {
    let MarketEvent::Level { side, price, qty } = *event else { return None };
    let mut texts = (String::with_capacity(16), String::with_capacity(16));
    write_price(&mut texts.0, instrument, price);
    write_size(&mut texts.1, instrument, qty);
    Some((side, texts.0.into(), texts.1.into()))
}

/// A `books` frame of levels.
pub(super) fn write_book(
    out: &mut String,
    symbol: &str,
    (snapshot, millis): (bool, i64),
    levels: &[(Side, SmolStr, SmolStr)],
    marks: Marks,
) {
    write_head(out, snapshot, "books", symbol);
    for (side, name) in [(Side::Sell, "{\"asks\":["), (Side::Buy, "],\"bids\":[")] {
        out.push_str(name);
        let mut first = true;
        for (_, price, size) in levels.iter().filter(|level| level.0 == side) {
            out.push_str(if first { "[\"" } else { ",[\"" });
            first = false;
            out.push_str(price);
            out.push_str("\",\"");
            out.push_str(size);
            out.push_str("\"]");
        }
    }
    out.push_str("],\"checksum\":");
    write_integer(out, i64::from(marks.checksum));
    if let Some((seq, pseq)) = marks.numbers {
        out.push_str(",\"seq\":");
        write_integer(out, seq);
        out.push_str(",\"pseq\":");
        write_integer(out, pseq);
    }
    out.push_str(",\"ts\":\"");
    write_integer(out, millis);
    out.push_str("\"}");
    write_tail(out, symbol, millis);
}

/// A `ticker` frame with what is told.
pub(super) fn write_ticker(out: &mut String, symbol: &str, told: &Told, millis: i64) {
    let (market, id) = address(symbol);
    let old = market == "mc";
    write_head(out, true, "ticker", symbol);
    out.push_str("{\"instId\":\"");
    write_text(out, id);
    out.push('"');
    if let Some((rate, due)) = told.funding {
        let _ = write!(out, ",\"{}\":\"{rate}\"", if old { "capitalRate" } else { "fundingRate" });
        match due.map(Timestamp::millis) {
            Some(due) if old => _ = write!(out, ",\"nextSettleTime\":{due}"),
            Some(due) => _ = write!(out, ",\"nextFundingTime\":\"{due}\""),
            None => {}
        }
    }
    if let Some(mark) = told.mark {
        let _ = write!(out, ",\"markPrice\":\"{mark}\"");
    }
    if let Some(index) = told.index {
        let _ = write!(out, ",\"indexPrice\":\"{index}\"");
    }
    if old {
        let _ = write!(out, ",\"systemTime\":{millis}}}");
    } else {
        out.push_str(",\"symbolType\":\"1\",\"symbol\":\"");
        write_text(out, id);
        let _ = write!(out, "\",\"deliveryPrice\":\"0\",\"ts\":\"{millis}\"}}");
    }
    write_tail(out, symbol, millis);
}

/// A `liquidation` frame, which v3 alone has; nothing for markets of v1.
pub(super) fn write_liquidations(
    out: &mut String,
    instrument: &Instrument,
    orders: &[(Side, Price, Qty)],
    millis: i64,
) {
    let (market, id) = address(&instrument.symbol);
    let market = market.to_ascii_lowercase();
    let _ = write!(
        out,
        "{{\"action\":\"update\",\"arg\":{{\"instType\":\"{market}\",\"topic\":\"liquidation\"}},\"data\":["
    );
    for (index, (side, price, qty)) in orders.iter().enumerate() {
        out.push_str(if index == 0 { "{\"symbol\":\"" } else { ",{\"symbol\":\"" });
        write_text(out, id);
        let _ = write!(out, "\",\"side\":\"{side}\",\"price\":\"");
        write_price(out, instrument, *price);
        out.push_str("\",\"amount\":\"");
        write_qty(out, instrument, *qty);
        let _ = write!(out, "\",\"ts\":\"{millis}\"}}");
    }
    let _ = write!(out, "],\"ts\":{millis}}}");
}

/// A `trade` frame of the prints of a group, newest first. `next_id` numbers those without an id.
pub(super) fn write_trades(out: &mut String, instrument: &Instrument, group: &Group<'_>, next_id: &mut i64) {
    let millis = group.exchange_time.millis();
    let old = matches!(address(&instrument.symbol).0, "sp" | "mc");
    write_head(out, false, "trade", &instrument.symbol);
    let ids = *next_id + group.events.len() as i64;
    let mut last = ids;
    let mut first = true;
    for event in group.events.iter().rev() {
        let MarketEvent::Trade(Print { aggressor, id, price, qty }) = *event else { continue };
        if !std::mem::take(&mut first) {
            out.push(',');
        }
        out.push_str(if old { "[\"" } else { "{\"ts\":\"" });
        write_integer(out, millis);
        out.push_str(if old { "\",\"" } else { "\",\"price\":\"" });
        write_price(out, instrument, price);
        out.push_str(if old { "\",\"" } else { "\",\"size\":\"" });
        write_qty(out, instrument, qty);
        out.push_str(if old { "\",\"" } else { "\",\"side\":\"" });
        out.push_str(aggressor.map_or("", Side::name));
        if old {
            out.push_str("\"]");
            continue;
        }
        out.push_str("\",\"tradeId\":\"");
        match std::str::from_utf8(id.of(group.ids)) {
            Ok(id) if !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()) => out.push_str(id),
            _ => write_integer(out, last),
        }
        last -= 1;
        out.push_str("\"}");
    }
    *next_id = ids;
    write_tail(out, &instrument.symbol, millis);
}
