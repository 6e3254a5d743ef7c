//! HitBTC spot, API v2 and v3 (FMFW.io speaks v3): symbols, catalogue, fees, errors, and its public frames both ways.
//!
//! Never here: its margin and futures sections, its private interface.
//! Start at [`Hitbtc`]; `wire` has the frames as types, `decode` has the rules of sequences and channels.

mod decode;
mod encode;
pub mod errors;
mod live;
mod scan;
#[cfg(test)]
mod tests;
mod wire;

pub use encode::HitbtcEncoder;

use std::path::Path;

use smol_str::SmolStr;

use super::catalogue::{Catalogue, CatalogueError, Entry};
use super::live::{Hosts, Session};
use super::reading::Reading;
use super::{Decoder, Encoder, Known, Marks, NativeEnding, NativeError, Quirks, Refused, Venue, connectors};
use crate::market::{Instrument, Pair, Product, RuleOrigin};
use crate::order::{CancelReason, SelfTrade};
use crate::sim::{ClientIdScope, FeeRounding, FeeSchedule, OrderLimits, PostOnlyAnswer, Rate, VenueRules};

use decode::HitbtcProtocol;

/// The quotes by which a symbol is taken apart, longest first. `USD` is v2's word for Tether.
const QUOTES: [&str; 18] = [
    "DDRST", "EOSDT", "USDT", "EURS", "TUSD", "USDC", "GUSD", "BUSD", "USDP", "IDRT", "BTC", "ETH", "USD",
    "BCH", "EOS", "HIT", "DAI", "PAX",
];

/// The exchange HitBTC, spot.
#[derive(Clone, Copy, Debug)]
pub struct Hitbtc;

impl Venue for Hitbtc {
    fn name(&self) -> &'static str {
        "hitbtc"
    }

    fn marks(&self) -> Marks {
        Marks {
            hosts: &["hitbtc.com", "fmfw.io"],
            frames: &[
                "\"snapshotOrderbook\"",
                "\"updateOrderbook\"",
                "\"orderbook/full\"",
                "\"ch\":\"trades\"",
            ],
            files: &["hitbtc", "fmfw"],
        }
    }

    /// `BTCUSDT` (v3) and `BTCUSD` (v2, where `USD` is Tether) are BTC-USDT. Symbols have no separator: they are cut
    /// before the longest quote that they end in. The exchange's own list of symbols, where there is one, knows better.
    fn pair_of(&self, symbol: &str) -> Option<Pair> {
        if !symbol.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return None;
        }
        let (base, quote) = QUOTES.iter().find_map(|quote| Some((symbol.strip_suffix(quote)?, *quote)))?;
        (!base.is_empty()).then(|| Pair::new(base, wire::honest(quote)))
    }

    fn product_of(&self, _: &str) -> Option<Product> {
        Some(Product::Spot)
    }

    fn symbol_of(&self, pair: &Pair, _: &str) -> SmolStr {
        smol_str::format_smolstr!("{}{}", pair.base, pair.quote)
    }

    fn catalogue(&self) -> Result<Catalogue, CatalogueError> {
        let file = "fixtures/catalogue/hitbtc.json";
        let text = include_str!("../../../fixtures/catalogue/hitbtc.json");
        Catalogue::read(text, Path::new(file), RuleOrigin::Catalogue)
    }

    fn reply_instruments(&self, url: &str, body: &str) -> Vec<Entry> {
        if url.contains("/public/symbol") { wire::symbols(body) } else { Vec::new() }
    }

    /// The rates of the symbol list; the fee's coin is the quote on both sides, kept to twelve decimals.
    fn fees(&self) -> FeeSchedule {
        let flat = FeeSchedule::flat_rates(Rate(1_000_000), Rate(2_500_000), connectors::FEE_SOURCE);
        FeeSchedule { decimals: 12, rounding: FeeRounding::HalfEven, ..flat }
    }

    /// A post-only order that would match is accepted and cancelled. A client id is unique within the UTC day.
    fn rules(&self) -> VenueRules {
        VenueRules {
            post_only: PostOnlyAnswer::Cancel,
            self_trade: SelfTrade::None,
            client_ids: ClientIdScope::Day,
            refuse_amend_below_filled: false,
            amend_gives_new_id: true,
            max_open_orders: None,
            positions: crate::sim::PositionRules::default(),
            limits: OrderLimits::default(),
        }
    }

    fn quirks(&self) -> Quirks {
        Quirks {
            client_id_max_len: 32,
            client_id_alphanumeric: false,
            truncates_price: false,
            market_buy_spends_quote: false,
            market_buy_leftover_cancels: false,
            fill_or_kill: true,
            good_till_date: true,
            amend: true,
        }
    }

    fn decoder(&self, known: Known) -> Box<dyn Decoder + Send> {
        Box::new(Reading::<HitbtcProtocol>::new(known))
    }

    fn plain_decoder(&self, known: Known) -> Box<dyn Decoder + Send> {
        Box::new(Reading::<HitbtcProtocol>::new(known).without_scanner())
    }

    fn encoder(&self) -> Box<dyn Encoder + Send> {
        Box::new(HitbtcEncoder::default())
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
