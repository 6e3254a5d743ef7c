//! Bitget's lists of instruments: v1 and v2, contracts and spot.

use serde::Deserialize;

use super::wire::{MIX, SPOT};
use super::{Bitget, rule};
use crate::market::decimal::{Plain, parse_units};
use crate::market::{Pair, RuleOrigin};
use crate::sim::Rate;
use crate::venue::catalogue::Entry;
use crate::venue::rules::Rules;

/// The instruments of a reply; those that cannot be read are left out, and so are dated contracts.
pub(super) fn instruments(url: &str, body: &str) -> Vec<Entry> {
    #[derive(Deserialize)]
    struct Reply {
        data: Vec<Row>,
    }
    let known = ["/spot/v1/public/products", "/spot/public/symbols", "/market/contracts"];
    if !known.iter().any(|path| url.contains(path)) {
        return Vec::new();
    }
    let spot = url.contains("/spot/");
    let reply = serde_json::from_str::<Reply>(body);
    reply.map_or_else(|_| Vec::new(), |reply| reply.data.iter().filter_map(|row| row.entry(spot)).collect())
}

/// `{"symbol":"BTCUSDT","baseCoin":"BTC","quoteCoin":"USDT","makerFeeRate":"0.0002","takerFeeRate":"0.0006",
/// "minTradeNum":"0.001","priceEndStep":"1","volumePlace":"3","pricePlace":"1","sizeMultiplier":"0.001",
/// "minTradeUSDT":"5","symbolStatus":"normal","maxOrderQty":"1200",…}`; v1 has fewer, spot has other names.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    symbol: String,
    base_coin: String,
    quote_coin: String,
    #[serde(default)]
    maker_fee_rate: String,
    #[serde(default)]
    taker_fee_rate: String,
    #[serde(default, alias = "minTradeAmount")]
    min_trade_num: String,
    #[serde(default)]
    price_end_step: Option<String>,
    #[serde(alias = "quantityScale", alias = "quantityPrecision")]
    volume_place: String,
    #[serde(alias = "priceScale", alias = "pricePrecision")]
    price_place: String,
    #[serde(default)]
    size_multiplier: Option<String>,
    #[serde(default, rename = "minTradeUSDT")]
    min_trade_usdt: String,
    #[serde(default, alias = "status")]
    symbol_status: String,
    #[serde(default, alias = "maxTradeAmount")]
    max_order_qty: String,
    #[serde(default)]
    symbol_type: String,
}

impl Row {
    fn entry(&self, spot: bool) -> Option<Entry> {
        let (id, old) = match self.symbol.split_once('_') {
            Some((id, "UMCBL" | "DMCBL" | "CMCBL" | "SPBL")) => (id, true),
            Some(_) => return None,
            None => (self.symbol.as_str(), false),
        };
        let symbol = match (spot, old) {
            (true, _) => format!("{SPOT}{id}"),
            (false, true) => format!("{MIX}{id}"),
            (false, false) => id.to_owned(),
        };
        if self.symbol_type == "delivery" {
            return None;
        }
        let (_, product) = rule(&symbol).ok()?;
        let pair = crate::venue::Venue::pair_of(&Bitget, &symbol);
        let pair = pair.unwrap_or_else(|| Pair::new(&self.base_coin, &self.quote_coin));
        let places = |text: &str| text.parse::<u8>().ok().filter(|places| *places <= 18);
        // tick = priceEndStep × 10^-pricePlace
        let step = self.price_end_step.as_deref().map_or(Some(1), |step| step.parse::<i64>().ok())?;
        let tick = Plain::new(step, places(&self.price_place)?).to_string();
        let lot = Plain::new(1, places(&self.volume_place)?).to_string();
        let lot = self.size_multiplier.as_deref().filter(|step| !step.is_empty()).unwrap_or(&lot);
        let rules = Rules {
            tick: &tick,
            lot,
            min_qty: &self.min_trade_num,
            max_qty: &self.max_order_qty,
            min_notional: &self.min_trade_usdt,
            ..Rules::default()
        };
        let rate = |text: &str| parse_units(text.as_bytes(), Rate::SCALE).ok().map(Rate);
        Some(Entry {
            fees: rate(&self.maker_fee_rate).zip(rate(&self.taker_fee_rate)),
            tradable: matches!(self.symbol_status.as_str(), "" | "normal" | "online"),
            ..Entry::plain(rules.instrument(&symbol, &pair, product, RuleOrigin::Tape)?)
        })
    }
}
