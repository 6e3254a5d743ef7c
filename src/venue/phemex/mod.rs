//! Phemex, hedged contracts, and the older scaled contracts and spot: symbols, catalogue, fees, errors, and its public
//! frames both ways.
//!
//! Never here: margin and positions, its private interface.
//! Start at [`Phemex`]; `wire` has the frames as types, `decode` has the rules of sequences and scales, `rest` the list
//! of products.

mod decode;
mod encode;
pub mod errors;
mod live;
mod margin;
mod rest;
mod scan;
#[cfg(test)]
mod tests;
mod wire;

pub use encode::PhemexEncoder;

use std::path::Path;

use rust_decimal::Decimal;
use smol_str::{SmolStr, format_smolstr};

use super::catalogue::{Catalogue, CatalogueError, Entry};
use super::live::{Hosts, Session};
use super::reading::Reading;
use super::{Decoder, Encoder, Known, Marks, NativeEnding, NativeError, Quirks, Refused, Venue, connectors};
use crate::market::{Instrument, Pair, Product, RuleOrigin};
use crate::order::{CancelReason, SelfTrade};
use crate::sim::{ClientIdScope, ContractTerms, FeeRounding, FeeSchedule, PostOnlyAnswer, Rate, VenueRules};

use decode::PhemexProtocol;

/// The quotes by which a symbol is taken apart, longest first.
const QUOTES: [&str; 5] = ["USDT", "USDC", "USD", "BTC", "ETH"];

/// The exchange Phemex.
#[derive(Clone, Copy, Debug)]
pub struct Phemex;

/// The pair and product of a symbol. What a contract is worth is in no symbol: the size here is the usual one.
fn rule(symbol: &str) -> Result<(Pair, Product), String> {
    let pair =
        Phemex.pair_of(symbol).ok_or_else(|| format!("symbol {symbol:?} ends in no known quote currency"))?;
    let multiplier = Decimal::ONE;
    let product = match symbol.as_bytes() {
        [b's', ..] => Product::Spot,
        // Settled in the coin.
        [b'c', ..] | b"BTCUSD" => Product::Inverse { multiplier },
        _ => Product::Linear { multiplier },
    };
    Ok((pair, product))
}

impl Venue for Phemex {
    fn name(&self) -> &'static str {
        "phemex"
    }

    fn marks(&self) -> Marks {
        Marks {
            hosts: &["phemex.com"],
            frames: &["\"orderbook_p\"", "\"trades_p\"", "\"book\":{\"asks\"", "\"market24h\""],
            files: &["phemex"],
        }
    }

    /// `BTCUSDT` is BTC-USDT; `sBTCUSDT` the same on spot; `BTCUSD`, `cETHUSD` and `uBTCUSD` are older contracts.
    fn pair_of(&self, symbol: &str) -> Option<Pair> {
        let id = symbol.strip_prefix(['s', 'c', 'u']).unwrap_or(symbol);
        if !id.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()) {
            return None;
        }
        let (base, quote) = QUOTES.iter().find_map(|quote| Some((id.strip_suffix(quote)?, *quote)))?;
        (!base.is_empty()).then(|| Pair::new(base, quote))
    }

    fn product_of(&self, symbol: &str) -> Option<Product> {
        rule(symbol).ok().map(|(_, product)| product)
    }

    fn symbol_of(&self, pair: &Pair, family: &str) -> SmolStr {
        match family {
            "spot" => format_smolstr!("s{}{}", pair.base, pair.quote),
            _ => format_smolstr!("{}{}", pair.base, pair.quote),
        }
    }

    fn catalogue(&self) -> Result<Catalogue, CatalogueError> {
        let file = "fixtures/catalogue/phemex.json";
        let text = include_str!("../../../fixtures/catalogue/phemex.json");
        Catalogue::read(text, Path::new(file), RuleOrigin::Catalogue)
    }

    fn reply_instruments(&self, url: &str, body: &str) -> Vec<Entry> {
        if url.contains("products") { rest::products(body) } else { Vec::new() }
    }

    /// VIP 0 of contracts; fees are rounded up (samples of executions: 34.57 is charged as 35).
    fn fees(&self) -> FeeSchedule {
        let flat = FeeSchedule::flat_rates(Rate(100_000), Rate(600_000), connectors::FEE_SOURCE);
        FeeSchedule { rounding: FeeRounding::Up, ..flat }
    }

    /// A post-only order that would match is accepted and killed (`CE_WILLCROSS`).
    fn rules(&self) -> VenueRules {
        VenueRules {
            post_only: PostOnlyAnswer::Cancel,
            self_trade: SelfTrade::None,
            client_ids: ClientIdScope::Open,
            refuse_amend_below_filled: true,
            amend_gives_new_id: false,
            max_open_orders: None,
            positions: margin::rules(),
            limits: margin::limits(),
        }
    }

    fn contract(&self, instrument: &Instrument) -> Option<ContractTerms> {
        margin::terms(instrument)
    }

    fn quirks(&self) -> Quirks {
        Quirks {
            client_id_max_len: 40,
            client_id_alphanumeric: false,
            truncates_price: false,
            market_buy_spends_quote: false,
            market_buy_leftover_cancels: false,
            fill_or_kill: true,
            good_till_date: false,
            amend: true,
        }
    }

    fn decoder(&self, known: Known) -> Box<dyn Decoder + Send> {
        Box::new(Reading::<PhemexProtocol>::new(known))
    }

    fn plain_decoder(&self, known: Known) -> Box<dyn Decoder + Send> {
        Box::new(Reading::<PhemexProtocol>::new(known).without_scanner())
    }

    fn encoder(&self) -> Box<dyn Encoder + Send> {
        Box::new(PhemexEncoder::default())
    }

    fn sessions(&self, instruments: &[&Instrument], hosts: &Hosts) -> Vec<Box<dyn Session>> {
        live::sessions(instruments, hosts)
    }

    fn listings(&self, _: &str, hosts: &Hosts) -> Vec<String> {
        live::listings(hosts)
    }

    fn refusal(&self, refused: &Refused<'_>) -> NativeError {
        errors::refusal(refused)
    }

    fn ending(&self, reason: CancelReason, anything_filled: bool) -> NativeEnding {
        errors::ending(reason, anything_filled)
    }
}
