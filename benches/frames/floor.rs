//! The floors: each exchange's frames as bare borrowed structs, parsed by `serde_json` and dropped.

#![allow(dead_code, reason = "the floor parses what it drops")]

use serde::Deserialize;
use serde_json::value::RawValue;

/// Parses every frame as the exchange's struct; a sum of what was read, so that nothing is left undone.
pub(crate) fn parse<'f>(venue: &str, spot: bool, frames: impl Iterator<Item = &'f str>) -> u64 {
    match venue {
        "bitmart" if spot => all(frames, |push: &Spot<'_>| push.data.len()),
        "bitmart" => frames.map(futures).sum(),
        "bitmex" => all(frames, |push: &Bitmex<'_>| push.data.len()),
        "bitget" => all(frames, |push: &Bitget<'_>| push.data.len()),
        "phemex" => all(frames, |push: &Phemex<'_>| push.symbol.len()),
        _ => frames.map(hitbtc).sum(),
    }
}

fn all<'f, T: Deserialize<'f>>(frames: impl Iterator<Item = &'f str>, size: impl Fn(&T) -> usize) -> u64 {
    frames.map(|frame| one(frame, &size)).sum()
}

fn one<'f, T: Deserialize<'f>>(frame: &'f str, size: impl Fn(&T) -> usize) -> u64 {
    let push: T = serde_json::from_str(frame).expect("a frame of this exchange");
    size(std::hint::black_box(&push)) as u64
}

/// Books and trades by their first letters: a parse that tries one after the other would be a cheap floor.
fn futures(frame: &str) -> u64 {
    match frame.starts_with("{\"group") {
        true => one(frame, |push: &Futures<'_, Vec<FuturesTrade<'_>>>| push.group.len()),
        false => one(frame, |push: &Futures<'_, FuturesBook<'_>>| push.group.len()),
    }
}

fn hitbtc(frame: &str) -> u64 {
    match frame.starts_with("{\"ch\":\"trades") {
        true => one(frame, |push: &Hitbtc<'_, Vec<HitbtcTrade<'_>>>| push.ch.len()),
        false => one(frame, |push: &Hitbtc<'_, HitbtcBook<'_>>| push.ch.len() + push.method.len()),
    }
}

#[derive(Deserialize)]
struct Spot<'a> {
    table: &'a str,
    #[serde(borrow)]
    data: Vec<SpotData<'a>>,
}

#[derive(Deserialize)]
struct SpotData<'a> {
    #[serde(borrow, default)]
    asks: Vec<[&'a str; 2]>,
    #[serde(borrow, default)]
    bids: Vec<[&'a str; 2]>,
    symbol: &'a str,
    ms_t: i64,
    #[serde(default, rename = "type")]
    kind: &'a str,
    #[serde(default)]
    version: i64,
    #[serde(default)]
    price: &'a str,
    #[serde(default)]
    side: &'a str,
    #[serde(default)]
    size: &'a str,
    #[serde(default)]
    s_t: i64,
}

#[derive(Deserialize)]
struct Futures<'a, T> {
    group: &'a str,
    data: T,
}

#[derive(Deserialize)]
struct FuturesBook<'a> {
    symbol: &'a str,
    #[serde(borrow, default)]
    asks: Vec<FuturesLevel<'a>>,
    #[serde(borrow, default)]
    bids: Vec<FuturesLevel<'a>>,
    ms_t: Option<i64>,
    version: Option<i64>,
    #[serde(default, rename = "type")]
    kind: &'a str,
}

#[derive(Deserialize)]
struct FuturesLevel<'a> {
    price: &'a str,
    vol: &'a str,
}

#[derive(Deserialize)]
struct FuturesTrade<'a> {
    trade_id: i64,
    symbol: &'a str,
    deal_price: &'a str,
    deal_vol: &'a str,
    m: bool,
    created_at: &'a str,
}

#[derive(Deserialize)]
struct Bitmex<'a> {
    table: &'a str,
    action: &'a str,
    #[serde(borrow)]
    data: Vec<BitmexRow<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BitmexRow<'a> {
    symbol: &'a str,
    id: Option<u64>,
    side: Option<&'a str>,
    #[serde(borrow)]
    size: Option<&'a RawValue>,
    #[serde(borrow)]
    price: Option<&'a RawValue>,
    timestamp: Option<&'a str>,
}

#[derive(Deserialize)]
struct Bitget<'a> {
    action: &'a str,
    #[serde(borrow)]
    arg: BitgetArg<'a>,
    #[serde(borrow)]
    data: Vec<BitgetData<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BitgetArg<'a> {
    inst_type: &'a str,
    #[serde(default)]
    channel: &'a str,
    #[serde(default)]
    inst_id: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BitgetData<'a> {
    #[serde(borrow, default)]
    asks: Vec<[&'a str; 2]>,
    #[serde(borrow, default)]
    bids: Vec<[&'a str; 2]>,
    checksum: Option<i32>,
    seq: Option<i64>,
    pseq: Option<i64>,
    ts: Option<&'a str>,
    price: Option<&'a str>,
    size: Option<&'a str>,
    side: Option<&'a str>,
    trade_id: Option<&'a str>,
}

#[derive(Deserialize)]
struct Phemex<'a> {
    #[serde(borrow)]
    orderbook_p: Option<Sides<'a>>,
    #[serde(borrow)]
    trades_p: Option<Vec<(i64, &'a str, &'a str, &'a str)>>,
    book: Option<ScaledSides>,
    #[serde(borrow)]
    trades: Option<Vec<(i64, &'a str, i64, i64)>>,
    #[serde(default)]
    symbol: &'a str,
    #[serde(default, rename = "type")]
    kind: &'a str,
    sequence: Option<i64>,
    timestamp: Option<i64>,
}

#[derive(Deserialize)]
struct Sides<'a> {
    #[serde(borrow)]
    asks: Vec<[&'a str; 2]>,
    #[serde(borrow)]
    bids: Vec<[&'a str; 2]>,
}

#[derive(Deserialize)]
struct ScaledSides {
    asks: Vec<[i64; 2]>,
    bids: Vec<[i64; 2]>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
struct Hitbtc<'a, T> {
    #[serde(default)]
    ch: &'a str,
    #[serde(default)]
    method: &'a str,
    #[serde(borrow)]
    update: Option<BySymbol<'a, T>>,
    #[serde(borrow)]
    snapshot: Option<BySymbol<'a, T>>,
    #[serde(borrow)]
    params: Option<HitbtcParams<'a>>,
}

/// One symbol and what is told of it, without a map.
struct BySymbol<'a, T>(&'a str, T);

impl<'de: 'a, 'a, T: Deserialize<'de>> Deserialize<'de> for BySymbol<'a, T> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct One<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> serde::de::Visitor<'de> for One<T> {
            type Value = BySymbol<'de, T>;
            fn expecting(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                to.write_str("an object of one symbol")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let missing = || serde::de::Error::missing_field("a symbol");
                let (symbol, data) = map.next_entry()?.ok_or_else(missing)?;
                while map.next_entry::<&str, T>()?.is_some() {}
                Ok(BySymbol(symbol, data))
            }
        }
        from.deserialize_map(One(std::marker::PhantomData))
    }
}

#[derive(Deserialize)]
struct HitbtcBook<'a> {
    t: i64,
    s: i64,
    #[serde(borrow)]
    a: Vec<[&'a str; 2]>,
    #[serde(borrow)]
    b: Vec<[&'a str; 2]>,
}

#[derive(Deserialize)]
struct HitbtcTrade<'a> {
    t: i64,
    i: i64,
    p: &'a str,
    q: &'a str,
    s: &'a str,
}

#[derive(Deserialize)]
struct HitbtcParams<'a> {
    symbol: &'a str,
    sequence: Option<i64>,
    timestamp: Option<&'a str>,
    #[serde(borrow, default)]
    ask: Vec<HitbtcLevel<'a>>,
    #[serde(borrow, default)]
    bid: Vec<HitbtcLevel<'a>>,
}

#[derive(Deserialize)]
struct HitbtcLevel<'a> {
    price: &'a str,
    size: &'a str,
}
