//! BitMart's public futures frames as they are on the wire, both ways.
//!
//! ```json
//! {"data":{"symbol":"BTCUSDT","asks":[{"price":"60000.1","vol":"150"}],"bids":[{"price":"60000","vol":"200"}],"ms_t":1700000000000,"version":7822754,"type":"snapshot"},"group":"futures/depthIncrease50:BTCUSDT@100ms"}
//! {"group":"futures/depth50:BTCUSDT","data":{"symbol":"BTCUSDT","way":1,"depths":[{"price":"60000.0","vol":"200"}],"ms_t":1700000000000}}
//! {"group":"futures/trade:BTCUSDT","data":[{"trade_id":3000000245258661,"symbol":"BTCUSDT","deal_price":"60000.1","deal_vol":"5","way":5,"m":false,"created_at":"2023-11-14T22:13:20.123456789Z"}]}
//! {"data":{"symbol":"BTCUSDT","best_bid_price":"60000","best_bid_vol":"200","best_ask_price":"60000.1","best_ask_vol":"150","ms_t":1700000000000},"group":"futures/bookticker:BTCUSDT"}
//! ```

use std::borrow::Cow;
use std::fmt::Write as _;

use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::market::{
    FundingRate, Group, Instrument, MarketEvent, Pair, Price, Print, Product, Qty, RuleOrigin, Side,
    Timestamp,
};
use crate::venue::catalogue::Entry;
use crate::venue::news::Told;
use crate::venue::rules::Rules;
use crate::venue::text::{Number, write_integer, write_price, write_qty, write_text};

/// Levels a side of the incremental channel that is written.
pub(super) const LEVELS: u32 = 50;

/// Any frame: a push has `group` and `data`, an answer has `action` or `success`.
#[derive(Debug, Deserialize)]
pub(super) struct Envelope<'a> {
    #[serde(borrow, default)]
    pub(super) group: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) data: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) action: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) success: Option<&'a RawValue>,
}

/// A level: price and contracts.
#[derive(Debug, Deserialize)]
pub(super) struct Level<'a> {
    #[serde(borrow)]
    pub(super) price: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) vol: Cow<'a, str>,
}

/// A book: whole (`depthAll`), whole or changed (`depthIncrease`), or one side of one (`depth`).
#[derive(Debug, Deserialize)]
pub(super) struct Book<'a> {
    #[serde(borrow)]
    pub(super) symbol: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) asks: Vec<Level<'a>>,
    #[serde(borrow, default)]
    pub(super) bids: Vec<Level<'a>>,
    #[serde(borrow, default)]
    pub(super) depths: Vec<Level<'a>>,
    pub(super) way: Option<u8>,
    pub(super) ms_t: Option<i64>,
    pub(super) version: Option<i64>,
    #[serde(borrow, default, rename = "type")]
    pub(super) kind: Cow<'a, str>,
}

/// The best prices.
#[derive(Debug, Deserialize)]
pub(super) struct BookTicker<'a> {
    #[serde(borrow)]
    pub(super) symbol: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) best_bid_price: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) best_bid_vol: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) best_ask_price: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) best_ask_vol: Cow<'a, str>,
    pub(super) ms_t: Option<i64>,
}

/// A trade; `m`: the buyer is the maker.
#[derive(Debug, Deserialize)]
pub(super) struct Trade<'a> {
    #[serde(borrow)]
    pub(super) trade_id: Number<'a>,
    #[serde(borrow)]
    pub(super) symbol: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) deal_price: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) deal_vol: Cow<'a, str>,
    pub(super) m: Option<bool>,
    #[serde(borrow)]
    pub(super) created_at: Cow<'a, str>,
}

/// What `ticker` and `fundingRate` say of a contract.
#[derive(Debug, Deserialize)]
pub(super) struct Status<'a> {
    #[serde(borrow)]
    pub(super) symbol: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) mark_price: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) index_price: Option<Cow<'a, str>>,
    /// The rate of the coming settlement; `fundingRate` is that of the last.
    #[serde(borrow, rename = "nextFundingRate")]
    pub(super) next_rate: Option<Cow<'a, str>>,
    #[serde(rename = "nextFundingTime")]
    pub(super) next_time: Option<i64>,
    pub(super) ts: Option<i64>,
}

/// A group's channel: `depthIncrease50` of `futures/depthIncrease50:BTCUSDT@100ms`.
pub(super) fn channel(group: &str) -> Option<&str> {
    group.strip_prefix("futures/")?.split([':', '@']).next()
}

/// Levels a side of a channel of that name: `depthAll20` has 20.
pub(super) fn levels(channel: &str, name: &str) -> Option<u32> {
    channel.strip_prefix(name)?.parse().ok().filter(|levels| (1..=1_000).contains(levels))
}

/// A `depthIncrease50` frame of levels; a size of zero takes one away.
pub(super) fn write_book(
    out: &mut String,
    instrument: &Instrument,
    levels: &[(Side, Price, Qty)],
    (snapshot, version, millis): (bool, i64, i64),
) {
    out.push_str("{\"data\":{\"symbol\":\"");
    write_text(out, &instrument.symbol);
    for (side, name) in [(Side::Sell, "\",\"asks\":["), (Side::Buy, "],\"bids\":[")] {
        out.push_str(name);
        let mut first = true;
        for (_, price, qty) in levels.iter().filter(|level| level.0 == side) {
            out.push_str(if std::mem::take(&mut first) { "{\"price\":\"" } else { ",{\"price\":\"" });
            write_price(out, instrument, *price);
            out.push_str("\",\"vol\":\"");
            write_qty(out, instrument, *qty);
            out.push_str("\"}");
        }
    }
    out.push_str("],\"ms_t\":");
    write_integer(out, millis);
    out.push_str(",\"version\":");
    write_integer(out, version);
    out.push_str(if snapshot { ",\"type\":\"snapshot\"}" } else { ",\"type\":\"update\"}" });
    let _ = write!(out, ",\"group\":\"futures/depthIncrease{LEVELS}:");
    write_text(out, &instrument.symbol);
    out.push_str("@100ms\"}");
}

/// A `trade` frame of one print. `way` is 5 where the taker buys and 4 where the taker sells, which every client
/// reads alike.
pub(super) fn write_trade(
    out: &mut String,
    instrument: &Instrument,
    group: &Group<'_>,
    print: &Print,
    made_id: i64,
) {
    out.push_str("{\"group\":\"futures/trade:");
    write_text(out, &instrument.symbol);
    out.push_str("\",\"data\":[{\"trade_id\":");
    let id = print.id.of(group.ids);
    match std::str::from_utf8(id) {
        Ok(id)
            if (1..=16).contains(&id.len())
                && id.bytes().all(|byte| byte.is_ascii_digit())
                && !id.starts_with('0') =>
        {
            out.push_str(id);
        }
        _ => write_integer(out, made_id),
    }
    out.push_str(",\"symbol\":\"");
    write_text(out, &instrument.symbol);
    out.push_str("\",\"deal_price\":\"");
    write_price(out, instrument, print.price);
    out.push_str("\",\"deal_vol\":\"");
    write_qty(out, instrument, print.qty);
    out.push_str(match print.aggressor {
        Some(Side::Buy) => "\",\"way\":5,\"m\":false",
        Some(Side::Sell) => "\",\"way\":4,\"m\":true",
        None => "\"",
    });
    let _ = write!(out, ",\"created_at\":\"{}\"}}]}}", group.exchange_time);
}

/// A `ticker` frame of mark and index.
pub(super) fn write_ticker(out: &mut String, instrument: &Instrument, told: &Told) {
    out.push_str("{\"data\":{\"symbol\":\"");
    write_text(out, &instrument.symbol);
    out.push('"');
    if let Some(mark) = told.mark {
        let _ = write!(out, ",\"mark_price\":\"{mark}\"");
    }
    if let Some(index) = told.index {
        let _ = write!(out, ",\"index_price\":\"{index}\"");
    }
    out.push_str("},\"group\":\"futures/ticker:");
    write_text(out, &instrument.symbol);
    out.push_str("\"}");
}

/// A `fundingRate` frame of the coming settlement.
pub(super) fn write_funding(
    out: &mut String,
    instrument: &Instrument,
    (rate, due): (FundingRate, Option<Timestamp>),
    time: Timestamp,
) {
    out.push_str("{\"data\":{\"symbol\":\"");
    write_text(out, &instrument.symbol);
    let _ = write!(out, "\",\"nextFundingRate\":\"{rate}\"");
    if let Some(due) = due {
        let _ = write!(out, ",\"nextFundingTime\":{}", due.millis());
    }
    let _ = write!(out, ",\"ts\":{}}},\"group\":\"futures/fundingRate:", time.millis());
    write_text(out, &instrument.symbol);
    out.push_str("\"}");
}

/// Whether an event is a print.
pub(super) fn print_of(event: &MarketEvent) -> Option<&Print> {
    match event {
        MarketEvent::Trade(print) => Some(print),
        _ => None,
    }
}

/// The contracts of a reply of `/contract/public/details`; dated ones and those that cannot be read are left out.
pub(super) fn details(body: &str) -> Vec<Entry> {
    #[derive(Deserialize)]
    struct Reply {
        data: Symbols,
    }
    #[derive(Deserialize)]
    struct Symbols {
        symbols: Vec<Detail>,
    }
    let reply = serde_json::from_str::<Reply>(body);
    reply.map_or_else(|_| Vec::new(), |reply| reply.data.symbols.iter().filter_map(Detail::entry).collect())
}

/// `{"symbol":"BTCUSDT","product_type":1,"base_currency":"BTC","quote_currency":"USDT","contract_size":"0.001",
/// "price_precision":"0.1","vol_precision":"1","max_volume":"1000000","min_volume":"1","status":"Trading",…}`
#[derive(Deserialize)]
struct Detail {
    symbol: String,
    product_type: u8,
    base_currency: String,
    quote_currency: String,
    contract_size: Decimal,
    price_precision: String,
    vol_precision: String,
    #[serde(default)]
    max_volume: String,
    #[serde(default)]
    min_volume: String,
    #[serde(default)]
    status: String,
}

impl Detail {
    fn entry(&self) -> Option<Entry> {
        if self.product_type != 1 {
            return None;
        }
        let multiplier = self.contract_size.normalize();
        // Coin-margined contracts are worth so much quote.
        let product = match self.quote_currency.as_str() {
            "USD" => Product::Inverse { multiplier },
            _ => Product::Linear { multiplier },
        };
        let rules = Rules {
            tick: &self.price_precision,
            lot: &self.vol_precision,
            min_qty: &self.min_volume,
            max_qty: &self.max_volume,
            ..Rules::default()
        };
        let pair = Pair::new(&self.base_currency, &self.quote_currency);
        let instrument = rules.instrument(&self.symbol, &pair, product, RuleOrigin::Tape)?;
        Some(Entry { tradable: matches!(self.status.as_str(), "" | "Trading"), ..Entry::plain(instrument) })
    }
}
