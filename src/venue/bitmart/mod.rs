//! BitMart, spot and futures: symbols, catalogue, fees, errors, its public WebSocket frames both ways, and its own
//! interface for whoever serves it (`api`).
//!
//! Never here: margin and positions.
//! Start at [`Bitmart`]; `wire` has the frames as types, `scan` reads the two hot ones in place, `decode` has the
//! rules of versions and channels.

mod api;
mod decode;
mod either;
mod encode;
pub mod errors;
mod futures;
mod live;
mod margin;
mod scan;
#[cfg(test)]
mod tests;
pub mod wire;

pub use decode::BitmartDecoder;
pub use encode::BitmartEncoder;

use either::EitherDecoder;
use encode::BothEncoder;
use std::path::Path;

use smol_str::SmolStr;

use super::api::NativeApi;
use super::catalogue::{Catalogue, CatalogueError, Entry};
use super::live::{Hosts, Session};
use super::{Decoder, Encoder, Known, Marks, NativeEnding, NativeError, Quirks, Refused, Venue, connectors};
use crate::market::{Instrument, Pair, Product, RuleOrigin};
use crate::order::{CancelReason, SelfTrade};
use crate::sim::{ClientIdScope, ContractTerms, FeeSchedule, OrderLimits, PostOnlyAnswer, Rate, VenueRules};

/// The exchange BitMart.
#[derive(Clone, Copy, Debug)]
pub struct Bitmart;

impl Venue for Bitmart {
    fn name(&self) -> &'static str {
        "bitmart"
    }

    fn marks(&self) -> Marks {
        Marks {
            hosts: &["bitmart.com"],
            frames: &["\"table\":\"spot/", "\"topic\":\"spot/", "\"group\":\"futures/"],
            files: &["bitmart"],
        }
    }

    /// `BTC_USDT` is BTC-USDT on spot, `BTCUSDT` the same as a contract.
    fn pair_of(&self, symbol: &str) -> Option<Pair> {
        let plain =
            |ticker: &str| !ticker.is_empty() && ticker.bytes().all(|byte| byte.is_ascii_alphanumeric());
        match symbol.split_once('_') {
            Some((base, quote)) if plain(base) && plain(quote) => Some(Pair::new(base, quote)),
            Some(_) => None,
            None => futures::pair_of(symbol),
        }
    }

    fn product_of(&self, symbol: &str) -> Option<Product> {
        match symbol.contains('_') {
            true => Some(Product::Spot),
            false => futures::rule(symbol).ok().map(|(_, product)| product),
        }
    }

    fn symbol_of(&self, pair: &Pair, family: &str) -> SmolStr {
        let bar = if family == "perpetual" { "" } else { "_" };
        smol_str::format_smolstr!("{}{bar}{}", pair.base, pair.quote)
    }

    fn catalogue(&self) -> Result<Catalogue, CatalogueError> {
        let file = "fixtures/catalogue/bitmart.json";
        let text = include_str!("../../../fixtures/catalogue/bitmart.json");
        Catalogue::read(text, Path::new(file), RuleOrigin::Catalogue)
    }

    fn reply_instruments(&self, url: &str, body: &str) -> Vec<Entry> {
        if url.contains("/spot/v1/symbols/details") {
            wire::details(body)
        } else if url.contains("/contract/public/details") {
            futures::details(body)
        } else {
            Vec::new()
        }
    }

    /// Class B of the `user_fee` sample. The fee's coin is the quote on both sides: a buy pays it on top (samples of
    /// fills in the API documentation: ADA_USDT buy, notional 5.09358308, fee 0.00509358 USDT).
    fn fees(&self) -> FeeSchedule {
        FeeSchedule::flat_rates(Rate(2_500_000), Rate(2_500_000), connectors::FEE_SOURCE)
    }

    /// A post-only order that would match is accepted, gets an id and is cancelled by the system. `stpMode` defaults
    /// to `none`.
    ///
    /// The page has an error for a duplicate client id (50042) but no time after which it may come again: it must
    /// be unique among live orders, the reading that never refuses what the real exchange would take.
    fn rules(&self) -> VenueRules {
        VenueRules {
            post_only: PostOnlyAnswer::Cancel,
            self_trade: SelfTrade::None,
            client_ids: ClientIdScope::Open,
            refuse_amend_below_filled: false,
            amend_gives_new_id: false,
            max_open_orders: None,
            positions: margin::rules(),
            // Of contracts: `submit-trail-order`, 0.1 % to 5 %.
            limits: OrderLimits { callbacks: Some((1_000, 50_000)), ..OrderLimits::default() },
        }
    }

    fn contract(&self, instrument: &Instrument) -> Option<ContractTerms> {
        margin::terms(instrument)
    }

    fn quirks(&self) -> Quirks {
        Quirks {
            client_id_max_len: 32,
            client_id_alphanumeric: true,
            truncates_price: true,
            market_buy_spends_quote: true,
            market_buy_leftover_cancels: true,
            fill_or_kill: false,
            good_till_date: false,
            amend: false,
        }
    }

    fn decoder(&self, known: Known) -> Box<dyn Decoder + Send> {
        Box::new(EitherDecoder::new(known))
    }

    fn plain_decoder(&self, known: Known) -> Box<dyn Decoder + Send> {
        Box::new(EitherDecoder::new(known).without_scanner())
    }

    fn encoder(&self) -> Box<dyn Encoder + Send> {
        Box::new(BothEncoder::default())
    }

    fn sessions(&self, instruments: &[&Instrument], hosts: &Hosts) -> Vec<Box<dyn Session>> {
        live::sessions(instruments, hosts)
    }

    fn listings(&self, family: &str, hosts: &Hosts) -> Vec<String> {
        live::listings(family, hosts)
    }

    fn closed(&self) -> Option<&'static str> {
        Some("BitMart stopped trading on 2026-08-26")
    }

    fn api(&self) -> Option<Box<dyn NativeApi>> {
        Some(Box::new(api::BitmartApi::default()))
    }

    fn refusal(&self, refused: &Refused<'_>) -> NativeError {
        errors::refusal(refused)
    }

    fn ending(&self, reason: CancelReason, anything_filled: bool) -> NativeEnding {
        errors::ending(reason, anything_filled)
    }
}
