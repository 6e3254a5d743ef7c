//! Under which of the connector's instruments a symbol of another venue is traded.

use crate::feed::borrow::same_market;
use crate::feed::csv::UNKNOWN_QUOTE;
use crate::market::{Instrument, Pair};

/// Finds the connector's instrument for another venue's.
pub(super) struct Lender {
    /// Of `--instruments`: traded as described.
    described: Vec<Instrument>,
    /// The connector's catalogue.
    rules: Vec<Instrument>,
    /// Only these pairs; all where it is empty.
    pairs: Vec<Pair>,
}

impl Lender {
    pub(super) fn new(described: Vec<Instrument>, rules: Vec<Instrument>, pairs: Vec<Pair>) -> Self {
        Self { described, rules, pairs }
    }

    pub(super) fn lend(&self, from: &Instrument) -> Option<Instrument> {
        if self.described.iter().any(|own| own.symbol.eq_ignore_ascii_case(&from.symbol)) {
            return Some(from.clone());
        }
        let wanted = |own: &&Instrument| self.pairs.is_empty() || self.pairs.contains(&own.pair);
        let rules = || self.described.iter().chain(&self.rules).filter(wanted);
        let known = from.pair.quote.as_str() != UNKNOWN_QUOTE;
        let plain = letters(&from.symbol);
        let same = rules().find(|own| known && own.pair == from.pair);
        let spelled = || rules().find(|own| letters(&own.pair.to_string()) == plain);
        let alike = || rules().find(|own| known && same_market(&own.pair, &from.pair));
        same.or_else(spelled).or_else(alike).cloned()
    }
}

/// Letters and digits alone, in upper case.
fn letters(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instrument(symbol: &str, pair: &str) -> Instrument {
        Instrument::spot(symbol, pair.parse().unwrap(), 2, 4).unwrap()
    }

    #[test]
    fn a_symbol_finds_its_pair() {
        let rules =
            ["BTC-USDT", "BTC-USDC", "ETH-USDT", "ABC-DEF"].map(|pair| instrument(pair, pair)).to_vec();
        let lend = |described: &[Instrument], pairs: &[&str], from: &Instrument| {
            let pairs = pairs.iter().map(|pair| pair.parse().unwrap()).collect();
            let lender = Lender::new(described.to_vec(), rules.clone(), pairs);
            lender.lend(from).map(|own| own.symbol.to_string())
        };
        for (symbol, pair, pairs, want) in [
            ("BTCUSDC", "BTC-USDC", &[][..], Some("BTC-USDC")),
            ("XBTUSD", "XBT-USD", &[], Some("BTC-USDT")),
            ("XBTUSD", "XBT-USD", &["BTC-USDC"], Some("BTC-USDC")),
            ("abc_def", "ABC_DEF-UNKNOWN", &[], Some("ABC-DEF")),
            ("ETHBTC", "ETH-BTC", &[], None),
            ("ETHUSDT", "ETH-USDT", &["BTC-USDT"], None),
        ] {
            assert_eq!(lend(&[], pairs, &instrument(symbol, pair)).as_deref(), want, "{symbol}");
        }
        let own = instrument("ETHBTC", "ETH-BTC");
        assert_eq!(lend(std::slice::from_ref(&own), &[], &own).as_deref(), Some("ETHBTC"));
    }
}
