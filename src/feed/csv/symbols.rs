//! Which instrument a file's symbol is.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use smol_str::SmolStr;

use crate::feed::borrow::same_market;
use crate::feed::infer::Inference;
use crate::market::{Instrument, InstrumentError, Pair, Price, Qty};
use crate::venue::{contracts, venue};

/// The quote of an instrument whose pair nobody knows.
pub const UNKNOWN_QUOTE: &str = "UNKNOWN";

/// Which instrument each (exchange, symbol) of some CSV files is. Files that are read together share one (a clone is
/// the same list), so that the trades and the book of a symbol are one instrument with one scale.
///
/// What is described ([`Symbols::know`]) wins; the rest is inferred from the first rows of all the files.
#[derive(Clone, Debug, Default)]
pub struct Symbols(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    known: BTreeMap<SmolStr, Instrument>,
    /// By exchange and symbol: what a tape beside the files says.
    beside: BTreeMap<(SmolStr, SmolStr), Instrument>,
    /// Whether venues are asked for the pairs of their symbols.
    venues: bool,
    /// Whether venues are asked for their catalogues.
    catalogues: bool,
    named: BTreeMap<SmolStr, Pair>,
    /// (exchange, symbol) of files that name neither.
    unnamed: Option<(SmolStr, SmolStr)>,
    /// The only pairs that somebody wants; all where it is empty.
    wanted: Vec<Pair>,
    seen: BTreeMap<(SmolStr, SmolStr), Inference>,
    resolved: BTreeMap<(SmolStr, SmolStr), Instrument>,
}

impl Symbols {
    /// A list that asks an exchange's own rule for the pair of a symbol before it guesses.
    pub fn of_venues() -> Self {
        let symbols = Self::default();
        symbols.lock().venues = true;
        symbols
    }

    /// The same, and what stands in an exchange's catalogue is not inferred.
    pub fn of_catalogues() -> Self {
        let symbols = Self::of_venues();
        symbols.lock().catalogues = true;
        symbols
    }

    /// Describes the instrument of its symbol, in whatever file it turns up. The case of letters does not matter.
    pub fn know(&self, instrument: Instrument) {
        self.lock().known.insert(instrument.symbol.to_ascii_uppercase().into(), instrument);
    }

    /// Describes an instrument as a tape beside the files has it, so that both speak of one in one scale. What
    /// [`know`](Self::know) says wins.
    pub fn know_beside(&self, exchange: &str, instrument: Instrument) {
        let key = (exchange.into(), instrument.symbol.to_ascii_uppercase().into());
        self.lock().beside.insert(key, instrument);
    }

    /// Says what pair a file's symbol is (`--symbol`).
    pub fn name(&self, symbol: &str, pair: Pair) {
        self.lock().named.insert(symbol.to_ascii_uppercase().into(), pair);
    }

    /// Says what files are of that name no exchange and no symbol (candles, `.npz`).
    pub fn call_unnamed(&self, exchange: &str, symbol: &str) {
        self.lock().unnamed = Some((exchange.into(), symbol.into()));
    }

    /// What a file is of that names nothing. Where nobody said it: of no exchange, and of the pair in its name
    /// (`candles_phemex_LINK-USDT_1m.csv`), else of its name.
    pub(super) fn unnamed(&self, file: &Path) -> (SmolStr, SmolStr) {
        if let Some(said) = &self.lock().unnamed {
            return said.clone();
        }
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let stem = name.split('.').next().unwrap_or_default();
        let pair = stem.split('_').find(|part| part.parse::<Pair>().is_ok());
        let short: String = pair.unwrap_or(stem).chars().take(64).collect();
        (SmolStr::default(), if short.is_empty() { "unnamed".into() } else { short.into() })
    }

    /// Says which pairs alone are wanted. Files that must be held in memory leave the others out.
    pub fn want(&self, pairs: &[Pair]) {
        self.lock().wanted.extend_from_slice(pairs);
    }

    /// Whether a symbol may be one of those that are wanted.
    pub(super) fn wants(&self, exchange: &str, symbol: &str) -> bool {
        let inner = self.lock();
        let pair = || inner.pair(exchange, symbol);
        let plain = |text: &str| -> String {
            text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_uppercase()
        };
        let is_it =
            |wanted: &Pair| same_market(wanted, &pair()) || plain(&wanted.to_string()) == plain(symbol);
        inner.wanted.is_empty() || inner.wanted.iter().any(is_it)
    }

    /// Looks at one row of a symbol that is not resolved yet.
    pub(super) fn note(&self, exchange: &str, symbol: &str, price: &[u8], qty: &[u8]) {
        let key = (exchange.into(), symbol.into());
        self.lock().seen.entry(key).or_default().note(price, qty);
    }

    /// The instrument of a symbol. Once answered, the answer stays.
    pub fn resolve(&self, exchange: &str, symbol: &str) -> Result<Instrument, InstrumentError> {
        let mut inner = self.lock();
        let key: (SmolStr, SmolStr) = (exchange.into(), symbol.into());
        if let Some(instrument) = inner.resolved.get(&key) {
            return Ok(instrument.clone());
        }
        let upper = symbol.to_ascii_uppercase();
        let pair = inner.pair(exchange, symbol);
        let inferred = inner.seen.remove(&key).unwrap_or_default().finish(symbol, pair);
        let beside = inner.beside.get(&(exchange.into(), upper.as_str().into()));
        let known = inner.known.get(upper.as_str()).or(beside).cloned();
        let known = known.or_else(|| inner.catalogued(exchange, &upper));
        let mut instrument = match (known, inferred) {
            (Some(known), Ok(inferred)) => widened(known, &inferred),
            (Some(known), Err(_)) => known,
            (None, inferred) => Instrument { product: contracts::product(exchange, &upper), ..inferred? },
        };
        if let Some(pair) = inner.named.get(upper.as_str()) {
            instrument.pair = pair.clone();
        }
        inner.resolved.insert(key, instrument.clone());
        Ok(instrument)
    }

    /// The symbols that were resolved so far.
    pub fn resolved(&self) -> Vec<String> {
        self.lock().resolved.keys().map(|(_, symbol)| symbol.to_string()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn catalogued(&self, exchange: &str, upper: &str) -> Option<Instrument> {
        let entries = self.catalogues.then(|| venue(exchange).ok()?.catalogue().ok()).flatten()?.entries;
        let found = entries.into_iter().find(|entry| entry.instrument.symbol.eq_ignore_ascii_case(upper));
        found.map(|entry| entry.instrument)
    }

    fn pair(&self, exchange: &str, symbol: &str) -> Pair {
        let named = self.named.get(symbol.to_ascii_uppercase().as_str()).cloned();
        let ruled = || self.venues.then(|| venue(exchange).ok()?.pair_of(symbol)).flatten();
        // What names no exchange has a symbol of our own making.
        let guessed = || if exchange.is_empty() { symbol.parse().ok() } else { guess_pair(symbol) };
        named.or_else(ruled).or_else(guessed).unwrap_or_else(|| Pair::new(symbol, UNKNOWN_QUOTE))
    }
}

/// An instrument whose scales hold the finest of the first rows too; its rules stay. Where that is too much, as it was.
fn widened(known: Instrument, inferred: &Instrument) -> Instrument {
    let decimals =
        |scale: u8, step: i64| (0..scale).rev().find(|less| step % 10_i64.pow(u32::from(scale - less)) != 0);
    let price = decimals(inferred.price_scale, inferred.rule.tick.units()).map_or(0, |below| below + 1);
    let qty = decimals(inferred.qty_scale, inferred.rule.lot.units()).map_or(0, |below| below + 1);
    let (more_price, more_qty) =
        (price.saturating_sub(known.price_scale), qty.saturating_sub(known.qty_scale));
    let factor = |more: u8| 10_i64.checked_pow(u32::from(more));
    let (Some(by_price), Some(by_qty)) = (factor(more_price), factor(more_qty)) else { return known };
    let mut wide = known.clone();
    wide.price_scale += more_price;
    wide.qty_scale += more_qty;
    let price = |price: Price| Price::from_units(price.units().saturating_mul(by_price));
    let qty = |qty: Qty| Qty::from_units(qty.units().saturating_mul(by_qty));
    let rule = &mut wide.rule;
    (rule.tick, rule.max_price) = (price(rule.tick), price(rule.max_price));
    (rule.lot, rule.min_qty, rule.max_qty) = (qty(rule.lot), qty(rule.min_qty), qty(rule.max_qty));
    rule.max_price = rule.max_price.min(Instrument::assumed_max_price(rule.max_qty));
    if wide.check().is_ok() { wide } else { known }
}

/// Quotes by which an unknown symbol is taken apart, longest first.
const QUOTES: [&str; 11] = ["USDT", "USDC", "USD", "EUR", "GBP", "JPY", "BTC", "XBT", "ETH", "BNB", "DAI"];

/// The pair of a symbol by the look of it: `ETHUSDT`, `ETH_USDT`, `eth-usdt`; `None` where it ends in no known quote.
///
/// ```
/// use papertape::feed::csv::guess_pair;
/// assert_eq!(guess_pair("ETHUSDT").unwrap().to_string(), "ETH-USDT");
/// assert_eq!(guess_pair("REP_ETH").unwrap().to_string(), "REP-ETH");
/// assert!(guess_pair("XBTM21").is_none());
/// ```
pub fn guess_pair(symbol: &str) -> Option<Pair> {
    let plain: String =
        symbol.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_uppercase();
    let base = |quote: &&str| plain.strip_suffix(*quote).filter(|base| !base.is_empty());
    QUOTES.iter().find_map(|quote| base(quote).map(|base| Pair::new(base, quote)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_widened_to_the_first_rows() {
        let symbols = Symbols::of_catalogues();
        symbols.note("bitmart", "BTC_USDT", b"60000.1234567", b"0.00001");
        let btc = symbols.resolve("bitmart", "btc_usdt").unwrap();
        let plain = symbols.resolve("bitmart", "BTC_USDT").unwrap();
        assert_eq!(plain.price_scale, btc.price_scale.max(7));
        assert_eq!(plain.show_price(plain.rule.tick).to_string(), "0.01");
        assert_eq!(plain.show_qty(plain.rule.lot).to_string(), "0.00001");
        assert_eq!(plain.rule.min_notional.to_string(), "5");
        assert_eq!(btc.origin, crate::market::RuleOrigin::Catalogue);
    }

    #[test]
    fn described_beats_inferred_and_answers_stay() {
        let symbols = Symbols::default();
        symbols.know(Instrument::spot("sLINKUSDT", Pair::new("LINK", "USDT"), 4, 2).unwrap());
        let link = symbols.resolve("phemex", "SLINKUSDT").unwrap();
        assert_eq!((link.pair.to_string(), link.price_scale), ("LINK-USDT".into(), 4));
        symbols.note("bitmex", "XBTUSD", b"0.5", b"1");
        let first = symbols.resolve("bitmex", "XBTUSD").unwrap();
        symbols.note("bitmex", "XBTUSD", b"0.12345", b"1");
        assert_eq!(symbols.resolve("bitmex", "XBTUSD").unwrap(), first);
        assert_eq!(symbols.resolve("bitmex", "XBTM21").unwrap().pair.quote.as_str(), UNKNOWN_QUOTE);
        symbols.name("xbth22", Pair::new("XBT", "USD"));
        assert_eq!(symbols.resolve("bitmex", "XBTH22").unwrap().pair.to_string(), "XBT-USD");
    }
}
