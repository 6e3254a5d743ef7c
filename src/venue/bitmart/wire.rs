//! BitMart's public frames as they are on the wire: the one place for their spelling, both ways.
//!
//! ```json
//! {"data":[{"asks":[["60000.01","0.30000"],["60000.50","0"]],"bids":[],"ms_t":1700000000100,"symbol":"BTC_USDT","type":"update","version":42}],"table":"spot/depth/increase100"}
//! {"table":"spot/depth50","data":[{"asks":[["60000.01","0.40000"]],"bids":[["59999.99","0.50000"]],"symbol":"BTC_USDT","ms_t":1700000000000}]}
//! {"table":"spot/trade","data":[{"symbol":"BTC_USDT","price":"60000.00","side":"buy","size":"0.01000","s_t":1700000000,"ms_t":1700000000123}]}
//! {"data":[{"symbol":"BTC_USDT","bid_px":"59999.99","bid_sz":"0.5","ask_px":"60000.01","ask_sz":"0.4","ms_t":1700000000000}],"table":"spot/bookTicker"}
//! {"event":"subscribe","topic":"spot/ticker:BTC_USDT"}
//! {"event":"subscribe","errorMessage":"Invalid channel param","errorCode":"90004"}
//! ```

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::market::decimal::{decimals_of, parse_units};
use crate::market::{
    Group, GroupKind, Instrument, Level, MarketEvent, Pair, Price, Print, Product, Qty, RuleOrigin, Side,
    Timestamp, TradingRule,
};
use crate::venue::catalogue::Entry;
use crate::venue::text::{write_integer, write_levels, write_price, write_qty, write_text};

/// The table of incremental books.
pub const INCREASE: &str = "spot/depth/increase100";
/// Levels a side of the incremental book.
pub const INCREASE_LEVELS: u32 = 100;
/// The table of trades.
pub const TRADE: &str = "spot/trade";
/// The table of the best prices.
pub const BOOK_TICKER: &str = "spot/bookTicker";
/// The tables of whole books, with their levels a side.
pub const WINDOWS: [(&str, u32); 3] = [("spot/depth5", 5), ("spot/depth20", 20), ("spot/depth50", 50)];

/// The pieces of an incremental frame in the exchange's own spelling, for writing it and for reading it in place.
pub(super) mod depth {
    pub(crate) const OPEN: &str = r#"{"data":[{"asks":["#;
    pub(crate) const BIDS: &str = r#"],"bids":["#;
    pub(crate) const TIME: &str = r#"],"ms_t":"#;
    pub(crate) const SYMBOL: &str = r#","symbol":""#;
    pub(crate) const SNAPSHOT: &str = r#"","type":"snapshot","version":"#;
    pub(crate) const UPDATE: &str = r#"","type":"update","version":"#;
    pub(crate) const CLOSE: &str = r#"}],"table":"spot/depth/increase100"}"#;
}

/// The pieces of a trade frame in the exchange's own spelling.
pub(super) mod trade {
    pub(crate) const OPEN: &str = r#"{"table":"spot/trade","data":["#;
    pub(crate) const SYMBOL: &str = r#"{"symbol":""#;
    pub(crate) const PRICE: &str = r#"","price":""#;
    pub(crate) const BUY: &str = r#"","side":"buy","size":""#;
    pub(crate) const SELL: &str = r#"","side":"sell","size":""#;
    pub(crate) const UNKNOWN: &str = r#"","side":"","size":""#;
    pub(crate) const SECONDS: &str = r#"","s_t":"#;
    pub(crate) const TIME: &str = r#","ms_t":"#;
    pub(crate) const CLOSE: &str = "]}";
}

/// Any frame: a push has `table` and `data`, an answer has `event` or an error.
#[derive(Debug, Deserialize)]
#[allow(missing_docs, reason = "the venue's own names")]
pub struct Envelope<'a> {
    #[serde(borrow, default)]
    pub table: Cow<'a, str>,
    #[serde(borrow)]
    pub data: Option<&'a RawValue>,
    #[serde(borrow)]
    pub event: Option<&'a RawValue>,
    #[serde(borrow)]
    pub topic: Option<&'a RawValue>,
    #[serde(borrow, rename = "errorCode")]
    pub error_code: Option<&'a RawValue>,
    #[serde(borrow, rename = "errorMessage")]
    pub error_message: Option<&'a RawValue>,
}

/// A level: price and size.
#[derive(Debug, Deserialize)]
pub struct Row<'a>(#[serde(borrow)] pub Cow<'a, str>, #[serde(borrow)] pub Cow<'a, str>);

/// One book of `spot/depth/increase100` (with `type` and `version`) or of `spot/depth5`, `20`, `50`.
#[derive(Debug, Deserialize)]
#[allow(missing_docs, reason = "the venue's own names")]
pub struct Depth<'a> {
    #[serde(borrow)]
    pub symbol: Cow<'a, str>,
    #[serde(borrow, default)]
    pub asks: Vec<Row<'a>>,
    #[serde(borrow, default)]
    pub bids: Vec<Row<'a>>,
    pub ms_t: Option<i64>,
    #[serde(borrow, default, rename = "type")]
    pub kind: Cow<'a, str>,
    pub version: Option<i64>,
}

/// One taker trade of `spot/trade`. There is no trade id.
#[derive(Debug, Deserialize)]
#[allow(missing_docs, reason = "the venue's own names")]
pub struct Trade<'a> {
    #[serde(borrow)]
    pub symbol: Cow<'a, str>,
    #[serde(borrow)]
    pub price: Cow<'a, str>,
    #[serde(borrow)]
    pub side: Cow<'a, str>,
    #[serde(borrow)]
    pub size: Cow<'a, str>,
    pub s_t: Option<i64>,
    pub ms_t: Option<i64>,
}

/// The best prices, `spot/bookTicker`. An empty text stands for an empty side.
#[derive(Debug, Deserialize)]
#[allow(missing_docs, reason = "the venue's own names")]
pub struct BookTicker<'a> {
    #[serde(borrow)]
    pub symbol: Cow<'a, str>,
    #[serde(borrow)]
    pub bid_px: Cow<'a, str>,
    #[serde(borrow)]
    pub bid_sz: Cow<'a, str>,
    #[serde(borrow)]
    pub ask_px: Cow<'a, str>,
    #[serde(borrow)]
    pub ask_sz: Cow<'a, str>,
    pub ms_t: Option<i64>,
}

/// An incremental frame of the levels of a group.
pub fn write_depth(out: &mut String, instrument: &Instrument, group: &Group<'_>, version: i64) {
    let [bids, asks] = Side::BOTH.map(|wanted| {
        group.events.iter().filter_map(move |event| match *event {
            MarketEvent::Level { side, price, qty } if side == wanted => Some(Level { price, qty }),
            _ => None,
        })
    });
    let snapshot = group.kind == GroupKind::Snapshot;
    write_increase(out, instrument, (bids, asks), (snapshot, group.exchange_time, version));
}

/// An incremental frame: bids and asks, whether they are all there are, when, and its version.
pub fn write_increase(
    out: &mut String,
    instrument: &Instrument,
    (bids, asks): (impl Iterator<Item = Level>, impl Iterator<Item = Level>),
    (snapshot, time, version): (bool, Timestamp, i64),
) {
    out.push_str(depth::OPEN);
    write_levels(out, instrument, asks);
    out.push_str(depth::BIDS);
    write_levels(out, instrument, bids);
    out.push_str(depth::TIME);
    write_integer(out, time.millis());
    out.push_str(depth::SYMBOL);
    write_text(out, &instrument.symbol);
    out.push_str(if snapshot { depth::SNAPSHOT } else { depth::UPDATE });
    write_integer(out, version);
    out.push_str(depth::CLOSE);
}

/// A trade frame of the prints of a group, an element each.
pub fn write_trades(out: &mut String, instrument: &Instrument, group: &Group<'_>) {
    let millis = group.exchange_time.millis();
    out.push_str(trade::OPEN);
    let mut first = true;
    for event in group.events {
        let MarketEvent::Trade(Print { aggressor, price, qty, .. }) = *event else { continue };
        if !first {
            out.push(',');
        }
        first = false;
        out.push_str(trade::SYMBOL);
        write_text(out, &instrument.symbol);
        out.push_str(trade::PRICE);
        write_price(out, instrument, price);
        out.push_str(match aggressor {
            Some(Side::Buy) => trade::BUY,
            Some(Side::Sell) => trade::SELL,
            None => trade::UNKNOWN,
        });
        write_qty(out, instrument, qty);
        out.push_str(trade::SECONDS);
        write_integer(out, millis.div_euclid(1_000));
        out.push_str(trade::TIME);
        write_integer(out, millis);
        out.push('}');
    }
    out.push_str(trade::CLOSE);
}

/// The instruments of a reply of `/spot/v1/symbols/details`; those that cannot be read are left out.
pub fn details(body: &str) -> Vec<Entry> {
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

/// `{"symbol":"BTC_USDT","base_currency":"BTC","quote_currency":"USDT","base_min_size":"0.00001",
/// "base_max_size":"100000000","price_max_precision":2,"quote_increment":"0.00001","min_buy_amount":"5",
/// "min_sell_amount":"5","trade_status":"trading",…}`; `quote_increment` is the step of the *base*.
#[derive(Deserialize)]
struct Detail {
    symbol: String,
    base_currency: String,
    quote_currency: String,
    base_min_size: String,
    base_max_size: Option<String>,
    price_max_precision: u32,
    quote_increment: String,
    min_buy_amount: String,
    min_sell_amount: String,
    #[serde(default)]
    trade_status: String,
}

impl Detail {
    fn entry(&self) -> Option<Entry> {
        let price_scale = u8::try_from(self.price_max_precision).ok().filter(|scale| *scale <= 18)?;
        let qty_scale = u8::try_from(decimals_of(self.quote_increment.as_bytes()).ok()?).ok()?;
        let qty = |text: &str| parse_units(text.as_bytes(), qty_scale).ok().map(Qty::from_units);
        let max_qty =
            self.base_max_size.as_deref().and_then(qty).unwrap_or(Qty::from_units(10_000_000_000_000));
        let amount = |text: &str| text.parse::<rust_decimal::Decimal>().ok();
        let rule = TradingRule {
            tick: Price::from_units(1),
            lot: qty(&self.quote_increment)?,
            min_qty: qty(&self.base_min_size)?,
            max_qty,
            max_price: Instrument::assumed_max_price(max_qty),
            min_notional: amount(&self.min_buy_amount)?.max(amount(&self.min_sell_amount)?),
        };
        let instrument = Instrument {
            symbol: self.symbol.as_str().into(),
            pair: Pair::new(&self.base_currency, &self.quote_currency),
            product: Product::Spot,
            price_scale,
            qty_scale,
            rule,
            origin: RuleOrigin::Tape,
        };
        instrument.check().ok()?;
        Some(Entry { tradable: self.trade_status != "pre-trade", ..Entry::plain(instrument) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_of_the_page() {
        let body = r#"{"message":"OK","code":1000,"trace":"t","data":{"symbols":[{"symbol":"BTC_USDT","symbol_id":53,"base_currency":"BTC","quote_currency":"USDT","base_min_size":"0.00001","base_max_size":"100000000","price_min_precision":-1,"price_max_precision":2,"quote_increment":"0.00001","expiration":"NA","min_buy_amount":"5","min_sell_amount":"5","trade_status":"trading"}]}}"#;
        let entries = details(body);
        let catalogue = crate::venue::Venue::catalogue(&crate::venue::bitmart::Bitmart).unwrap();
        let want = Instrument { origin: RuleOrigin::Tape, ..catalogue.entries[0].instrument.clone() };
        assert_eq!(entries, [Entry::plain(want)]);
        assert!(details("{}").is_empty());
    }
}
