//! What one unit of quantity stands for in the data of exchanges whose own folder does not say.
//!
//! A table of other people's data names a symbol and no contract. Only what is certain is here; everything else counts
//! as base currency until a catalogue or `--instruments` says otherwise.

use rust_decimal::Decimal;

use crate::market::Product;

/// The letters of months in the symbols of dated futures.
const MONTHS: &[u8] = b"FGHJKMNQUVXZ";

/// The product of an exchange's symbol (in upper case).
///
/// BitMEX counts XBT against USD in contracts of 1 USD that are settled in XBT, perpetual (`XBTUSD`) and dated
/// (`XBTM21`): <https://www.bitmex.com/app/contract/XBTUSD>, "contract size: 1 USD".
///
/// ```
/// use papertape::market::Product;
/// use papertape::venue::contracts::product;
/// assert!(matches!(product("bitmex", "XBTUSD"), Product::Inverse { .. }));
/// assert!(matches!(product("bitmex", "XBTM21"), Product::Inverse { .. }));
/// assert_eq!(product("bitmex", "XBTUSDT"), Product::Spot);
/// assert_eq!(product("binance", "XBTUSD"), Product::Spot);
/// ```
pub fn product(exchange: &str, symbol: &str) -> Product {
    let dated = |rest: &[u8]| matches!(rest, [month, year @ ..] if MONTHS.contains(month) && year.len() == 2 && year.iter().all(u8::is_ascii_digit));
    let inverse = |symbol: &str| match symbol.strip_prefix("XBT") {
        Some("USD") => true,
        Some(rest) => dated(rest.as_bytes()),
        None => false,
    };
    if exchange == "bitmex" && inverse(symbol) {
        return Product::Inverse { multiplier: Decimal::ONE };
    }
    Product::Spot
}
