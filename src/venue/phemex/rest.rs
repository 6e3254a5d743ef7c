//! Phemex's list of products, with the scales of its integers.

use std::borrow::Cow;

use rust_decimal::Decimal;
use serde::Deserialize;

use super::{Phemex, rule};
use crate::market::{Pair, Product, RuleOrigin};
use crate::venue::Venue;
use crate::venue::catalogue::Entry;
use crate::venue::rules::Rules;
use crate::venue::text::Number;

/// The scale of a spot symbol's prices and sizes.
const SPOT_SCALE: u8 = 8;

/// The instruments of a reply; those that cannot be read are left out.
pub(super) fn products(body: &str) -> Vec<Entry> {
    #[derive(Deserialize)]
    struct Reply<'a> {
        #[serde(borrow)]
        data: Data<'a>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Data<'a> {
        #[serde(borrow, default)]
        products: Vec<Row<'a>>,
        #[serde(borrow, default)]
        perp_products_v2: Vec<Row<'a>>,
    }
    let Ok(Reply { data }) = serde_json::from_str::<Reply<'_>>(body) else { return Vec::new() };
    data.products.iter().chain(&data.perp_products_v2).filter_map(Row::entry).collect()
}

/// `{"symbol":"BTCUSD","type":"Perpetual","settleCurrency":"BTC","quoteCurrency":"USD","contractSize":1.0,"lotSize":1,
/// "tickSize":0.5,"priceScale":4,"maxPriceEp":10000000000,"maxOrderQty":1000000,"status":"Listed",…}`,
/// `{"symbol":"BTCUSDT","type":"PerpetualV2","tickSize":"0.1","qtyStepSize":"0.001","minOrderValueRv":"1",
/// "maxOrderQtyRq":"1000",…}`, `{"symbol":"sBTCUSDT","type":"Spot","baseCurrency":"BTC","baseTickSizeEv":100,…}`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    status: Cow<'a, str>,
    #[serde(borrow, default)]
    settle_currency: Cow<'a, str>,
    #[serde(borrow, default)]
    quote_currency: Cow<'a, str>,
    #[serde(borrow, default)]
    base_currency: Cow<'a, str>,
    #[serde(borrow, default)]
    contract_size: Number<'a>,
    #[serde(borrow, default)]
    lot_size: Number<'a>,
    #[serde(borrow, default)]
    tick_size: Number<'a>,
    price_scale: Option<u8>,
    max_price_ep: Option<u64>,
    #[serde(borrow, default)]
    max_order_qty: Number<'a>,
    base_tick_size_ev: Option<u64>,
    quote_tick_size_ev: Option<u64>,
    min_order_value_ev: Option<u64>,
    max_base_order_size_ev: Option<u64>,
    #[serde(borrow, default)]
    qty_step_size: Number<'a>,
    #[serde(borrow, default)]
    max_order_qty_rq: Number<'a>,
    #[serde(borrow, default)]
    min_order_value_rv: Number<'a>,
}

impl Row<'_> {
    fn entry(&self) -> Option<Entry> {
        let entry = match &*self.kind {
            "Perpetual" => self.scaled(),
            "PerpetualV2" => self.hedged(),
            "Spot" => self.spot(),
            _ => None,
        }?;
        Some(Entry { tradable: matches!(&*self.status, "" | "Listed"), ..entry })
    }

    /// An older contract: prices at its scale, whole contracts.
    fn scaled(&self) -> Option<Entry> {
        let scale = self.price_scale?;
        // "1 USD" in some replies.
        let size = self.contract_size.0.split(' ').next().unwrap_or_default();
        let multiplier = size.parse::<Decimal>().ok()?.normalize();
        let product = match self.settle_currency == self.quote_currency {
            true => Product::Linear { multiplier },
            false => Product::Inverse { multiplier },
        };
        let max_price = self.max_price_ep.map(|units| format!("{units}e-{scale}")).unwrap_or_default();
        let rules = Rules {
            tick: &self.tick_size.0,
            lot: &self.lot_size.0,
            max_qty: &self.max_order_qty.0,
            max_price: &max_price,
            scales: Some((scale, 0)),
            ..Rules::default()
        };
        let (pair, _) = rule(&self.symbol).ok()?;
        rules.instrument(&self.symbol, &pair, product, RuleOrigin::Tape).map(Entry::plain)
    }

    fn hedged(&self) -> Option<Entry> {
        let rules = Rules {
            tick: &self.tick_size.0,
            lot: &self.qty_step_size.0,
            max_qty: &self.max_order_qty_rq.0,
            min_notional: &self.min_order_value_rv.0,
            ..Rules::default()
        };
        let pair = Phemex.pair_of(&self.symbol)?;
        let product = Product::Linear { multiplier: Decimal::ONE };
        rules.instrument(&self.symbol, &pair, product, RuleOrigin::Tape).map(Entry::plain)
    }

    fn spot(&self) -> Option<Entry> {
        let text = |units: Option<u64>| units.map(|units| format!("{units}e-{SPOT_SCALE}"));
        let (tick, lot) = (text(self.quote_tick_size_ev)?, text(self.base_tick_size_ev)?);
        let (least, most) = (text(self.min_order_value_ev), text(self.max_base_order_size_ev));
        let rules = Rules {
            tick: &tick,
            lot: &lot,
            max_qty: most.as_deref().unwrap_or_default(),
            min_notional: least.as_deref().unwrap_or_default(),
            scales: Some((SPOT_SCALE, SPOT_SCALE)),
            ..Rules::default()
        };
        let pair = Pair::new(&self.base_currency, &self.quote_currency);
        rules.instrument(&self.symbol, &pair, Product::Spot, RuleOrigin::Tape).map(Entry::plain)
    }
}
