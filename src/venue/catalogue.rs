//! Catalogues: files that say what an exchange trades and by which rules.
//!
//! The built-in ones are in `fixtures/catalogue/`; `--instruments FILE` reads the same format, and so does the
//! `instruments` list of a tape's header:
//!
//! ```json
//! {
//!   "exchange": "bitmart",
//!   "source": "where the values come from, for people",
//!   "instruments": [
//!     {
//!       "symbol": "BTC_USDT",
//!       "pair": "BTC-USDT",
//!       "product": {"kind": "spot"},
//!       "tick": "0.01",
//!       "lot": "0.00001",
//!       "min_qty": "0.00001",
//!       "max_qty": {"value": "100000000", "assumed": true},
//!       "min_notional": "5"
//!     }
//!   ]
//! }
//! ```
//!
//! Needed: `symbol`, `pair`, `tick`, `lot`. Numbers are decimals in strings; a value that no page prints is written
//! `{"value": …, "assumed": true}`. Optional: `product` (spot), `min_qty` (the lot), `max_qty`, `max_price` (as
//! large as can be exact), `min_notional` (0), `price_scale` and `qty_scale` (the decimals of tick and lot; more
//! leaves room for finer market data), `maker_fee` and `taker_fee` (both or none), `tradable` (true).

use std::path::{Path, PathBuf};

use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;
use smol_str::SmolStr;

use crate::market::decimal::{decimals_of, parse_units};
use crate::market::{Instrument, News, Pair, Price, Product, Qty, RuleOrigin, TradingRule};
use crate::sim::Rate;

/// What an exchange trades.
#[derive(Clone, Debug, PartialEq)]
pub struct Catalogue {
    /// The exchange.
    pub exchange: String,
    /// Its instruments, in the file's order; the first ones are the ones that a new user sees.
    pub entries: Vec<Entry>,
}

/// One instrument of a catalogue.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The instrument.
    pub instrument: Instrument,
    /// Its maker and taker fee, where the catalogue has them.
    pub fees: Option<(Rate, Rate)>,
    /// Whether orders are taken.
    pub tradable: bool,
    /// The fields that no page prints.
    pub assumed: Vec<&'static str>,
    /// What a recorded reply tells of it beside its rules.
    pub news: Vec<News>,
}

/// A catalogue that cannot be used: which file, which entry and field, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {place}{fault}", .file.display())]
pub struct CatalogueError {
    /// Which file.
    pub file: PathBuf,
    /// Which entry and field, with a colon and a space behind; empty where the file is no catalogue at all.
    pub place: String,
    /// Why.
    pub fault: String,
}

impl Catalogue {
    /// Reads a catalogue. `file` is for messages; `origin` is what its rules are known as.
    pub fn read(text: &str, file: &Path, origin: RuleOrigin) -> Result<Self, CatalogueError> {
        let json: FileJson<'_> = serde_json::from_str(text).map_err(|error| whole(file, &error))?;
        let entries = build_all(&json.instruments, file, origin)?;
        Ok(Self { exchange: json.exchange, entries })
    }

    /// Reads a bare list of entries, as a tape's header holds it.
    pub fn read_list(text: &str, file: &Path, origin: RuleOrigin) -> Result<Vec<Entry>, CatalogueError> {
        let json: Vec<EntryJson<'_>> = serde_json::from_str(text).map_err(|error| whole(file, &error))?;
        build_all(&json, file, origin)
    }

    /// The entry of an exchange's symbol.
    pub fn symbol(&self, symbol: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.instrument.symbol == symbol)
    }

    /// The entry of a pair.
    pub fn pair(&self, pair: &Pair) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.instrument.pair == *pair)
    }
}

impl Entry {
    /// An entry of an instrument without anything more to say.
    pub fn plain(instrument: Instrument) -> Self {
        Self { instrument, fees: None, tradable: true, assumed: Vec::new(), news: Vec::new() }
    }

    /// The entry as a catalogue writes it. Reading it back gives the same instrument, but for its origin.
    pub fn to_json(&self) -> serde_json::Value {
        let instrument = &self.instrument;
        let rule = &instrument.rule;
        let mut fields = serde_json::Map::new();
        let mut put = |name: &'static str, value: String| {
            let marked = serde_json::json!({ "value": value, "assumed": true });
            let value = if self.assumed.contains(&name) { marked } else { value.into() };
            fields.insert(name.to_owned(), value);
        };
        put("symbol", instrument.symbol.to_string());
        put("pair", instrument.pair.to_string());
        put("tick", instrument.show_price(rule.tick).to_string());
        put("lot", instrument.show_qty(rule.lot).to_string());
        put("min_qty", instrument.show_qty(rule.min_qty).to_string());
        put("max_qty", instrument.show_qty(rule.max_qty).to_string());
        put("max_price", instrument.show_price(rule.max_price).to_string());
        put("min_notional", rule.min_notional.normalize().to_string());
        if let Some((maker, taker)) = self.fees {
            put("maker_fee", maker.to_decimal().to_string());
            put("taker_fee", taker.to_decimal().to_string());
        }
        fields.insert("product".to_owned(), serde_json::json!(instrument.product));
        fields.insert("price_scale".to_owned(), instrument.price_scale.into());
        fields.insert("qty_scale".to_owned(), instrument.qty_scale.into());
        if !self.tradable {
            fields.insert("tradable".to_owned(), false.into());
        }
        serde_json::Value::Object(fields)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileJson<'a> {
    exchange: String,
    #[serde(default, rename = "source")]
    _source: serde::de::IgnoredAny,
    #[serde(borrow)]
    instruments: Vec<EntryJson<'a>>,
}

/// Fields stay raw at first, so that a fault can name its entry and field.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryJson<'a> {
    #[serde(borrow)]
    symbol: Option<&'a RawValue>,
    pair: Option<&'a RawValue>,
    product: Option<&'a RawValue>,
    tick: Option<&'a RawValue>,
    lot: Option<&'a RawValue>,
    min_qty: Option<&'a RawValue>,
    max_qty: Option<&'a RawValue>,
    max_price: Option<&'a RawValue>,
    min_notional: Option<&'a RawValue>,
    price_scale: Option<&'a RawValue>,
    qty_scale: Option<&'a RawValue>,
    maker_fee: Option<&'a RawValue>,
    taker_fee: Option<&'a RawValue>,
    tradable: Option<&'a RawValue>,
}

/// A decimal as it may be written.
#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Plain(String),
    Marked {
        value: String,
        #[serde(default)]
        assumed: bool,
    },
}

/// A fault with the field that it is in.
type Fault = (&'static str, String);

fn whole(file: &Path, error: &serde_json::Error) -> CatalogueError {
    CatalogueError { file: file.to_owned(), place: String::new(), fault: format!("not a catalogue: {error}") }
}

fn build_all(list: &[EntryJson<'_>], file: &Path, origin: RuleOrigin) -> Result<Vec<Entry>, CatalogueError> {
    let mut entries = Vec::<Entry>::with_capacity(list.len());
    for (index, json) in list.iter().enumerate() {
        let symbol = json.symbol.and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
        let fail = |(field, fault): Fault| CatalogueError {
            file: file.to_owned(),
            place: match &symbol {
                Some(symbol) => format!("instruments[{index}] ({symbol}): {field}: "),
                None => format!("instruments[{index}]: {field}: "),
            },
            fault,
        };
        let entry = json.build(origin).map_err(fail)?;
        if entries.iter().any(|other| other.instrument.symbol == entry.instrument.symbol) {
            return Err(fail(("symbol", "is there twice".to_owned())));
        }
        entries.push(entry);
    }
    Ok(entries)
}

impl EntryJson<'_> {
    fn build(&self, origin: RuleOrigin) -> Result<Entry, Fault> {
        let mut assumed = Vec::new();
        let symbol: SmolStr = need("symbol", typed("symbol", self.symbol)?)?;
        let pair: Pair = need("pair", typed("pair", self.pair)?)?;
        let tick = need("tick", text("tick", self.tick, &mut assumed)?)?;
        let lot = need("lot", text("lot", self.lot, &mut assumed)?)?;
        let price_scale = scale("price_scale", self.price_scale, ("tick", &tick))?;
        let qty_scale = scale("qty_scale", self.qty_scale, ("lot", &lot))?;
        let mut number = |name, raw, scale, default: i64| match text(name, raw, &mut assumed)? {
            Some(text) => units(name, &text, scale),
            None => Ok(default),
        };
        let lot = Qty::from_units(units("lot", &lot, qty_scale)?);
        let min_qty = Qty::from_units(number("min_qty", self.min_qty, qty_scale, lot.units())?);
        let max_qty = Qty::from_units(number("max_qty", self.max_qty, qty_scale, 10_000_000_000_000)?);
        let assumed_price = Instrument::assumed_max_price(max_qty).units();
        let max_price = Price::from_units(number("max_price", self.max_price, price_scale, assumed_price)?);
        let tick = Price::from_units(units("tick", &tick, price_scale)?);
        let min_notional = decimal("min_notional", self.min_notional, &mut assumed)?.unwrap_or_default();
        let fees = self.fees(&mut assumed)?;
        let product = typed("product", self.product)?.unwrap_or(Product::Spot);
        let rule = TradingRule { tick, lot, min_qty, max_qty, max_price, min_notional };
        let instrument = Instrument { symbol, pair, product, price_scale, qty_scale, rule, origin };
        instrument.check().map_err(|error| ("rule", error.to_string()))?;
        let tradable = typed("tradable", self.tradable)?.unwrap_or(true);
        Ok(Entry { instrument, fees, tradable, assumed, news: Vec::new() })
    }

    fn fees(&self, assumed: &mut Vec<&'static str>) -> Result<Option<(Rate, Rate)>, Fault> {
        let mut rate = |name, raw| match decimal(name, raw, assumed)? {
            Some(value) => Rate::from_decimal(value)
                .map(Some)
                .ok_or((name, format!("has more than {} decimals", Rate::SCALE))),
            None => Ok(None),
        };
        match (rate("maker_fee", self.maker_fee)?, rate("taker_fee", self.taker_fee)?) {
            (Some(maker), Some(taker)) => Ok(Some((maker, taker))),
            (None, None) => Ok(None),
            (Some(_), None) => Err(("taker_fee", "is missing beside maker_fee".to_owned())),
            (None, Some(_)) => Err(("maker_fee", "is missing beside taker_fee".to_owned())),
        }
    }
}

fn need<T>(name: &'static str, value: Option<T>) -> Result<T, Fault> {
    value.ok_or((name, "is missing".to_owned()))
}

fn typed<T: for<'d> Deserialize<'d>>(name: &'static str, raw: Option<&RawValue>) -> Result<Option<T>, Fault> {
    let Some(raw) = raw else { return Ok(None) };
    let fault = |error: serde_json::Error| {
        // The position inside one value helps nobody.
        let text = error.to_string();
        text.split(" at line ").next().unwrap_or_default().to_owned()
    };
    serde_json::from_str(raw.get()).map(Some).map_err(|error| (name, fault(error)))
}

fn text(
    name: &'static str,
    raw: Option<&RawValue>,
    assumed: &mut Vec<&'static str>,
) -> Result<Option<String>, Fault> {
    let Some(raw) = raw else { return Ok(None) };
    match serde_json::from_str(raw.get()) {
        Ok(Text::Plain(value)) => Ok(Some(value)),
        Ok(Text::Marked { value, assumed: marked }) => {
            if marked {
                assumed.push(name);
            }
            Ok(Some(value))
        }
        Err(_) => {
            let got = raw.get().chars().take(40).collect::<String>();
            Err((name, format!("{got}: write the decimal as a string, as in \"0.01\"")))
        }
    }
}

fn units(name: &'static str, text: &str, scale: u8) -> Result<i64, Fault> {
    parse_units(text.as_bytes(), scale).map_err(|fault| (name, format!("{text:?} {fault}")))
}

fn decimal(
    name: &'static str,
    raw: Option<&RawValue>,
    assumed: &mut Vec<&'static str>,
) -> Result<Option<Decimal>, Fault> {
    let Some(text) = text(name, raw, assumed)? else { return Ok(None) };
    let value = units(name, &text, 12)?;
    Ok(Some(Decimal::new(value, 12).normalize()))
}

fn scale(name: &'static str, raw: Option<&RawValue>, step: (&'static str, &str)) -> Result<u8, Fault> {
    let least = decimals_of(step.1.as_bytes()).map_err(|fault| (step.0, format!("{:?} {fault}", step.1)))?;
    let scale = typed::<u32>(name, raw)?.unwrap_or(least);
    match u8::try_from(scale) {
        Ok(scale @ 0..=18) if u32::from(scale) >= least => Ok(scale),
        _ => Err((name, format!("must be from {least} (the decimals of {}) to 18", step.0))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(entries: &str) -> Result<Catalogue, CatalogueError> {
        let text = format!(r#"{{"exchange":"bitmart","instruments":[{entries}]}}"#);
        Catalogue::read(&text, Path::new("mine.json"), RuleOrigin::File)
    }

    #[test]
    fn a_short_entry_is_enough() {
        let read = read(r#"{"symbol":"A_B","pair":"A-B","tick":"0.05","lot":"1"}"#).unwrap();
        let entry = read.symbol("A_B").unwrap();
        let shown = &entry.instrument;
        assert_eq!((shown.price_scale, shown.qty_scale), (2, 0));
        assert_eq!((shown.rule.tick, shown.rule.min_qty), (Price::from_units(5), Qty::from_units(1)));
        assert_eq!((shown.origin, entry.tradable, entry.fees), (RuleOrigin::File, true, None));
        assert!(read.pair(&"A-B".parse().unwrap()).is_some());
    }

    #[test]
    fn an_entry_survives_writing() {
        let read = read(
            r#"{"symbol":"A_B","pair":"A-B","tick":"0.05","lot":{"value":"0.1","assumed":true},"qty_scale":3,
                "max_qty":"1000","min_notional":"5","maker_fee":"0.001","taker_fee":"0.002","tradable":false}"#,
        )
        .unwrap();
        assert_eq!(read.entries[0].assumed, ["lot"]);
        let list = format!("[{}]", read.entries[0].to_json());
        let again = Catalogue::read_list(&list, Path::new("-"), RuleOrigin::File).unwrap();
        assert_eq!(again, read.entries);
    }

    #[test]
    fn faults_name_file_entry_and_field() {
        let base = r#""symbol":"A_B","pair":"A-B""#;
        for (entry, want) in [
            (format!("{{{base},\"tick\":\"0.01\"}}"), "mine.json: instruments[0] (A_B): lot: is missing"),
            (
                format!("{{{base},\"tick\":0.01,\"lot\":\"1\"}}"),
                "mine.json: instruments[0] (A_B): tick: 0.01: write the decimal as a string, as in \"0.01\"",
            ),
            (
                format!("{{{base},\"tick\":\"O.01\",\"lot\":\"1\"}}"),
                "mine.json: instruments[0] (A_B): tick: \"O.01\" is not a decimal",
            ),
            (
                format!("{{{base},\"tick\":\"0\",\"lot\":\"1\"}}"),
                "mine.json: instruments[0] (A_B): rule: A_B: tick must be more than zero",
            ),
            (
                format!("{{{base},\"tick\":\"0.01\",\"lot\":\"1\",\"price_scale\":1}}"),
                "mine.json: instruments[0] (A_B): price_scale: must be from 2 (the decimals of tick) to 18",
            ),
            (
                format!("{{{base},\"tick\":\"0.01\",\"lot\":\"1\",\"maker_fee\":\"0.1\"}}"),
                "mine.json: instruments[0] (A_B): taker_fee: is missing beside maker_fee",
            ),
            (
                r#"{"symbol":"A_B","pair":"AB","tick":"0.01","lot":"1"}"#.to_owned(),
                "mine.json: instruments[0] (A_B): pair: not a trading pair: \"AB\" (BASE-QUOTE, as in BTC-USDT)",
            ),
        ] {
            assert_eq!(read(&entry).unwrap_err().to_string(), want);
        }
        let twice = r#"{"symbol":"A_B","pair":"A-B","tick":"1","lot":"1"}"#;
        let error = read(&format!("{twice},{twice}")).unwrap_err();
        assert_eq!(error.to_string(), "mine.json: instruments[1] (A_B): symbol: is there twice");
        assert!(read("{").unwrap_err().to_string().starts_with("mine.json: not a catalogue: "));
    }
}
