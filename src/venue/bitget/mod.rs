//! Bitget, contracts and the spot markets recorded beside them: symbols, catalogue, fees, errors, and its public frames
//! of v1, v2 and v3 both ways.
//!
//! Never here: margin and positions, its private interface.
//! Start at [`Bitget`]; `wire` has the frames as types, `decode` has the rules of numbers and channels, `sum` the
//! checksum, `rest` the lists of instruments.

mod decode;
mod encode;
pub mod errors;
mod live;
mod margin;
mod rest;
mod scan;
mod sum;
#[cfg(test)]
mod tests;
mod wire;

pub use encode::BitgetEncoder;

use std::path::Path;

use rust_decimal::Decimal;
use smol_str::{SmolStr, format_smolstr};

use super::catalogue::{Catalogue, CatalogueError, Entry};
use super::infer::UNKNOWN_QUOTE;
use super::live::{Hosts, Session};
use super::reading::Reading;
use super::{Decoder, Encoder, Known, Marks, NativeEnding, NativeError, Quirks, Refused, Venue, connectors};
use crate::market::{Instrument, Pair, Product, RuleOrigin};
use crate::order::{CancelReason, SelfTrade};
use crate::sim::{ClientIdScope, ContractTerms, FeeSchedule, PostOnlyAnswer, Rate, VenueRules};

use decode::BitgetProtocol;

/// The quotes by which a symbol of spot is taken apart, longest first.
const SPOT_QUOTES: [&str; 6] = ["USDT", "USDC", "BTC", "ETH", "EUR", "USD"];

/// What contracts end in, and what they are quoted in.
const CONTRACTS: [(&str, &str); 3] = [("USDT", "USDT"), ("PERP", "USDC"), ("USD", "USD")];

/// The exchange Bitget.
#[derive(Clone, Copy, Debug)]
pub struct Bitget;

/// The pair and product of a symbol: the pair of a dated contract is not known, what is no symbol at all is a fault.
fn rule(symbol: &str) -> Result<(Pair, Product), String> {
    let (market, id) = wire::address(symbol);
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(format!("symbol {id:?} is not letters and digits"));
    }
    let product = if market == "sp" { Product::Spot } else { Product::Linear { multiplier: Decimal::ONE } };
    Ok((Bitget.pair_of(symbol).unwrap_or_else(|| Pair::new(id, UNKNOWN_QUOTE)), product))
}

impl Venue for Bitget {
    fn name(&self) -> &'static str {
        "bitget"
    }

    fn marks(&self) -> Marks {
        Marks { hosts: &["bitget.com"], frames: &["\"instType\""], files: &["bitget"] }
    }

    /// `BTCUSDT` is BTC-USDT, `BTCPERP` BTC-USDC, `BTCUSD` BTC-USD; of spot (`sp:`) what stands before the quote.
    /// Symbols of v1 are marked `mc:`. Dated contracts (`BTCUSDH25`) have no pair.
    fn pair_of(&self, symbol: &str) -> Option<Pair> {
        let (market, id) = wire::address(symbol);
        if !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return None;
        }
        let cut = |end: &str| id.strip_suffix(end).filter(|base| !base.is_empty());
        match market {
            "sp" => SPOT_QUOTES.iter().find_map(|quote| cut(quote).map(|base| Pair::new(base, quote))),
            _ => CONTRACTS.iter().find_map(|(end, quote)| cut(end).map(|base| Pair::new(base, quote))),
        }
    }

    /// Contracts count in base, so one unit is worth one base. Coin-margined contracts do so too; that they settle in
    /// the coin is an affair of margin.
    fn product_of(&self, symbol: &str) -> Option<Product> {
        rule(symbol).ok().map(|(_, product)| product)
    }

    fn symbol_of(&self, pair: &Pair, family: &str) -> SmolStr {
        match (family, pair.quote.as_str()) {
            ("spot", quote) => format_smolstr!("{}{}{quote}", wire::SPOT, pair.base),
            (_, "USDC") => format_smolstr!("{}PERP", pair.base),
            (_, quote) => format_smolstr!("{}{quote}", pair.base),
        }
    }

    fn catalogue(&self) -> Result<Catalogue, CatalogueError> {
        let file = "fixtures/catalogue/bitget.json";
        let text = include_str!("../../../fixtures/catalogue/bitget.json");
        Catalogue::read(text, Path::new(file), RuleOrigin::Catalogue)
    }

    fn reply_instruments(&self, url: &str, body: &str) -> Vec<Entry> {
        rest::instruments(url, body)
    }

    /// The base tier of contracts; the fee is in the margin coin.
    fn fees(&self) -> FeeSchedule {
        FeeSchedule::flat_rates(Rate(200_000), Rate(600_000), connectors::FEE_SOURCE)
    }

    /// A post-only order that would match is cancelled. At most 200 open orders a symbol (`maxSymbolOrderNum`).
    fn rules(&self) -> VenueRules {
        VenueRules {
            post_only: PostOnlyAnswer::Cancel,
            self_trade: SelfTrade::None,
            client_ids: ClientIdScope::Open,
            refuse_amend_below_filled: true,
            amend_gives_new_id: true,
            max_open_orders: Some(200),
            positions: margin::rules(),
            limits: margin::limits(),
        }
    }

    fn contract(&self, instrument: &Instrument) -> Option<ContractTerms> {
        margin::terms(instrument)
    }

    fn quirks(&self) -> Quirks {
        Quirks {
            client_id_max_len: 49,
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
        Box::new(Reading::<BitgetProtocol>::new(known))
    }

    fn plain_decoder(&self, known: Known) -> Box<dyn Decoder + Send> {
        Box::new(Reading::<BitgetProtocol>::new(known).without_scanner())
    }

    fn encoder(&self) -> Box<dyn Encoder + Send> {
        Box::new(BitgetEncoder::default())
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
