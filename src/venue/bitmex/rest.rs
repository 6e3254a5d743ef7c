//! BitMEX's list of instruments, as REST replies and the `instrument` table have it.

use std::borrow::Cow;

use rust_decimal::Decimal;
use serde::Deserialize;

use super::wire::minor_decimals;
use super::{Bitmex, UNKNOWN_QUOTE};
use crate::market::decimal::{decimals_of, parse_units};
use crate::market::{FinePrice, FundingRate, News, Pair, Product, RuleOrigin, Timestamp};
use crate::sim::Rate;
use crate::venue::Venue;
use crate::venue::catalogue::Entry;
use crate::venue::rules::Rules;
use crate::venue::text::Number;

/// Satoshi of one XBT: multipliers of contracts that settle in XBT are in satoshi.
const SATOSHI: u32 = 8;

/// The instruments of a list; those that cannot be read (indices) are left out.
pub(super) fn instruments(body: &str) -> Vec<Entry> {
    let rows = serde_json::from_str::<Vec<Row<'_>>>(body);
    rows.map_or_else(|_| Vec::new(), |rows| rows.iter().filter_map(Row::entry).collect())
}

/// `{"symbol":"XBTUSD","state":"Open","typ":"FFWCSX","underlying":"XBT","quoteCurrency":"USD","lotSize":100,
/// "tickSize":0.1,"multiplier":-100000000,"maxOrderQty":10000000,"maxPrice":1000000,"isInverse":true,
/// "isQuanto":false,"makerFee":0.0005,"takerFee":0.0005,…}`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    #[serde(borrow)]
    state: Option<Cow<'a, str>>,
    #[serde(borrow)]
    typ: Option<Cow<'a, str>>,
    #[serde(borrow)]
    underlying: Option<Cow<'a, str>>,
    #[serde(borrow)]
    quote_currency: Option<Cow<'a, str>>,
    #[serde(borrow)]
    lot_size: Option<Number<'a>>,
    #[serde(borrow)]
    tick_size: Option<Number<'a>>,
    multiplier: Option<i64>,
    underlying_to_position_multiplier: Option<i64>,
    #[serde(borrow)]
    max_order_qty: Option<Number<'a>>,
    #[serde(borrow)]
    max_price: Option<Number<'a>>,
    is_inverse: Option<bool>,
    is_quanto: Option<bool>,
    #[serde(borrow)]
    maker_fee: Option<Number<'a>>,
    #[serde(borrow)]
    taker_fee: Option<Number<'a>>,
    #[serde(borrow)]
    mark_price: Option<Number<'a>>,
    #[serde(borrow)]
    funding_rate: Option<Number<'a>>,
    #[serde(borrow)]
    funding_timestamp: Option<Cow<'a, str>>,
}

impl Row<'_> {
    fn entry(&self) -> Option<Entry> {
        let kind = self.typ.as_deref()?;
        let (perpetual, spot) = (["FFWCSX", "FFWCSF", "FFSCSX"].contains(&kind), kind == "IFXXXP");
        if !perpetual && !spot && !kind.starts_with("FF") {
            return None;
        }
        let own = || Some(Pair::new(self.underlying.as_deref()?, self.quote_currency.as_deref()?));
        let pair = match perpetual || spot {
            true => Bitmex.pair_of(&self.symbol).or_else(own)?,
            false => Pair::new(&self.symbol, UNKNOWN_QUOTE),
        };
        let instrument = match spot {
            true => self.spot_rules(&pair),
            false => self.contract_rules(&pair),
        }?;
        let rate =
            |text: &Option<Number<'_>>| parse_units(text.as_ref()?.0.as_bytes(), Rate::SCALE).ok().map(Rate);
        let open = self.state.as_deref().is_none_or(|state| state == "Open");
        Some(Entry {
            fees: rate(&self.maker_fee).zip(rate(&self.taker_fee)),
            tradable: open && (perpetual || spot),
            news: self.news(),
            ..Entry::plain(instrument)
        })
    }

    /// The mark price and the next funding of that moment; of what cannot be read nothing is told.
    fn news(&self) -> Vec<News> {
        let mark = self.mark_price.as_ref().and_then(|text| FinePrice::read(&text.0).ok());
        let rate = self.funding_rate.as_ref().and_then(|text| FundingRate::read(&text.0).ok());
        let due = self.funding_timestamp.as_deref().and_then(|text| text.parse::<Timestamp>().ok());
        let funding = rate.zip(due).map(|(rate, due)| News::Funding { rate, due });
        mark.map(News::MarkBeside).into_iter().chain(funding).collect()
    }

    fn contract_rules(&self, pair: &Pair) -> Option<crate::market::Instrument> {
        let rules = Rules {
            tick: &self.tick_size.as_ref()?.0,
            lot: &self.lot_size.as_ref()?.0,
            max_qty: self.max_order_qty.as_ref().map_or("", |most| &most.0),
            max_price: self.max_price.as_ref().map_or("", |most| &most.0),
            ..Rules::default()
        };
        rules.instrument(&self.symbol, pair, self.product()?, RuleOrigin::Tape)
    }

    /// Inverse: quote of one contract; quanto: XBT of one contract and point; linear: base of one contract.
    fn product(&self) -> Option<Product> {
        let in_xbt = |units: i64| Some(Decimal::new(units.checked_abs()?, SATOSHI).normalize());
        Some(match (self.is_inverse, self.is_quanto) {
            (Some(true), _) => Product::Inverse { multiplier: in_xbt(self.multiplier?)? },
            (_, Some(true)) => Product::Quanto { multiplier: in_xbt(self.multiplier?)? },
            _ => {
                let contracts = Decimal::from(self.underlying_to_position_multiplier?);
                Product::Linear { multiplier: Decimal::ONE.checked_div(contracts)?.normalize() }
            }
        })
    }

    /// Sizes of spot are minor units of the base.
    fn spot_rules(&self, pair: &Pair) -> Option<crate::market::Instrument> {
        let minor = minor_decimals(pair.base.as_str())?;
        let base = |units: &Number<'_>| format!("{}e-{minor}", units.0);
        let tick = &self.tick_size.as_ref()?.0;
        let (lot, most) = (base(self.lot_size.as_ref()?), self.max_order_qty.as_ref().map(base));
        let price_scale = u8::try_from(decimals_of(tick.as_bytes()).ok()?).ok()?;
        let rules = Rules {
            tick,
            lot: &lot,
            max_qty: most.as_deref().unwrap_or_default(),
            max_price: self.max_price.as_ref().map_or("", |most| &most.0),
            scales: Some((price_scale, minor)),
            ..Rules::default()
        };
        rules.instrument(&self.symbol, pair, Product::Spot, RuleOrigin::Tape)
    }
}
