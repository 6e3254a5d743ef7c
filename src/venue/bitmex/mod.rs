//! BitMEX, contracts and spot: symbols, catalogue, fees, errors, its public frames both ways, and its own interface for
//! whoever serves it (`api`).
//!
//! Never here: what a position needs and what becomes of it; `margin` has the numbers that the engine reckons with.
//! Start at [`Bitmex`]; `wire` has the frames as types, `decode` has the rules of ids and tables, `rest` the list of
//! instruments.

mod api;
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

pub use encode::BitmexEncoder;

use std::path::Path;
use std::time::Duration;

use rust_decimal::Decimal;
use smol_str::{SmolStr, format_smolstr};

use super::api::NativeApi;
use super::catalogue::{Catalogue, CatalogueError, Entry};
use super::infer::UNKNOWN_QUOTE;
use super::live::{Hosts, Session};
use super::reading::Reading;
use super::{Decoder, Encoder, Known, Marks, NativeEnding, NativeError, Quirks, Refused, Venue, connectors};
use crate::market::{Instrument, Pair, Product, RuleOrigin};
use crate::order::{CancelReason, SelfTrade};
use crate::sim::{ClientIdScope, ContractTerms, FeeSchedule, FundingTimes, PostOnlyAnswer, Rate, VenueRules};

use decode::BitmexProtocol;

/// The quotes by which a contract's symbol is taken apart, longest first.
const QUOTES: [&str; 4] = ["USDT", "USDC", "USD", "EUR"];

/// The exchange BitMEX.
#[derive(Clone, Copy, Debug)]
pub struct Bitmex;

/// The pair and product of a symbol: the pair of a dated contract is not known, what is no symbol at all is a fault.
/// What a contract is worth is in no symbol: the sizes here are the usual ones.
fn rule(symbol: &str) -> Result<(Pair, Product), String> {
    let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'.';
    if symbol.is_empty() || !symbol.bytes().all(plain) {
        return Err(format!("symbol {symbol:?} is not upper-case letters and digits"));
    }
    let pair = Bitmex.pair_of(symbol).unwrap_or_else(|| Pair::new(symbol, UNKNOWN_QUOTE));
    let product = match (symbol.contains('_'), symbol.starts_with("XBT"), pair.quote.as_str()) {
        (true, ..) => Product::Spot,
        (_, _, "USDT" | "USDC") => Product::Linear { multiplier: Decimal::new(1, 6) },
        (_, true, _) => Product::Inverse { multiplier: Decimal::ONE },
        (_, false, "USD") => Product::Quanto { multiplier: Decimal::new(1, 6) },
        _ => Product::Linear { multiplier: Decimal::ONE },
    };
    Ok((pair, product))
}

impl Venue for Bitmex {
    fn name(&self) -> &'static str {
        "bitmex"
    }

    fn marks(&self) -> Marks {
        Marks {
            hosts: &["bitmex.com"],
            frames: &["\"orderBookL2", "\"orderBook10\"", "Welcome to the BitMEX", "\"trdMatchID\""],
            files: &["bitmex"],
        }
    }

    /// `XBT_USDT` is XBT-USDT on spot, `XBTUSDT` the same as a contract, `XBTUSD` XBT-USD. Dated contracts (`XBTM26`)
    /// have no pair.
    fn pair_of(&self, symbol: &str) -> Option<Pair> {
        let plain = |ticker: &str| {
            !ticker.is_empty()
                && ticker.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        };
        let (base, quote) = match symbol.split_once('_') {
            Some(both) => both,
            None => QUOTES.iter().find_map(|quote| Some((symbol.strip_suffix(quote)?, *quote)))?,
        };
        (plain(base) && plain(quote)).then(|| Pair::new(base, quote))
    }

    fn product_of(&self, symbol: &str) -> Option<Product> {
        rule(symbol).ok().map(|(_, product)| product)
    }

    fn symbol_of(&self, pair: &Pair, family: &str) -> SmolStr {
        let bar = if family == "spot" { "_" } else { "" };
        format_smolstr!("{}{bar}{}", pair.base, pair.quote)
    }

    fn catalogue(&self) -> Result<Catalogue, CatalogueError> {
        let file = "fixtures/catalogue/bitmex.json";
        let text = include_str!("../../../fixtures/catalogue/bitmex.json");
        Catalogue::read(text, Path::new(file), RuleOrigin::Catalogue)
    }

    fn reply_instruments(&self, url: &str, body: &str) -> Vec<Entry> {
        if url.contains("/instrument") { rest::instruments(body) } else { Vec::new() }
    }

    fn fees(&self) -> FeeSchedule {
        FeeSchedule::flat_rates(Rate(500_000), Rate(500_000), connectors::FEE_SOURCE)
    }

    /// `execComm` is in whole minor units of the quote: millionths of USDT.
    fn fee_decimals(&self, instrument: &Instrument) -> u8 {
        wire::minor_decimals(instrument.pair.quote.as_str()).unwrap_or_else(|| self.fees().decimals)
    }

    /// A post-only order that would match is accepted and cancelled. A client id is unique among open orders. At most
    /// 200 open orders a symbol.
    fn rules(&self) -> VenueRules {
        VenueRules {
            post_only: PostOnlyAnswer::Cancel,
            self_trade: SelfTrade::None,
            client_ids: ClientIdScope::Open,
            refuse_amend_below_filled: true,
            amend_gives_new_id: false,
            max_open_orders: Some(200),
            positions: margin::rules(),
            limits: margin::limits(),
        }
    }

    /// Its prints come first, in all of 96 that could be matched in two recordings. Ten milliseconds are kept for
    /// recorders that write the rows of one instant in another order.
    fn late_prints(&self) -> Duration {
        Duration::from_millis(10)
    }

    /// 04:00, 12:00 and 20:00 UTC; the table `funding` has a row for each that is done.
    fn funding(&self) -> FundingTimes {
        let hours = |hours: u64| Duration::from_secs(hours * 3_600);
        FundingTimes { every: hours(8), first: hours(4) }
    }

    fn tells_settlements(&self) -> bool {
        true
    }

    fn contract(&self, instrument: &Instrument) -> Option<ContractTerms> {
        margin::terms(instrument)
    }

    fn quirks(&self) -> Quirks {
        Quirks {
            client_id_max_len: 36,
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
        Box::new(Reading::<BitmexProtocol>::new(known))
    }

    fn plain_decoder(&self, known: Known) -> Box<dyn Decoder + Send> {
        Box::new(Reading::<BitmexProtocol>::new(known).without_scanner())
    }

    fn encoder(&self) -> Box<dyn Encoder + Send> {
        Box::new(BitmexEncoder::default())
    }

    fn sessions(&self, instruments: &[&Instrument], hosts: &Hosts) -> Vec<Box<dyn Session>> {
        live::sessions(instruments, hosts)
    }

    fn listings(&self, _: &str, hosts: &Hosts) -> Vec<String> {
        live::listings(hosts)
    }

    fn closed(&self) -> Option<&'static str> {
        Some("BitMEX closed on 2026-09-23")
    }

    fn api(&self) -> Option<Box<dyn NativeApi>> {
        Some(Box::new(api::BitmexApi::default()))
    }

    fn refusal(&self, refused: &Refused<'_>) -> NativeError {
        errors::refusal(refused)
    }

    fn ending(&self, reason: CancelReason, anything_filled: bool) -> NativeEnding {
        errors::ending(reason, anything_filled)
    }
}
