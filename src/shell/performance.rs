//! What trading a pair earned: Hummingbot's tables with true numbers.
//!
//! Hummingbot takes paper balances from its settings and counts fees that were withheld from returns twice. Here the
//! start is what the account had before the trades, and each fee counts once: total P&L is trade P&L less fees.

use rust_decimal::Decimal;

use crate::connector::TradeType;
use crate::market::{Asset, Pair};

/// One fill as performance counts it.
#[derive(Clone, Debug, PartialEq)]
pub struct Traded {
    /// Buy or sell.
    pub side: TradeType,
    /// At what price.
    pub price: Decimal,
    /// How much, in base.
    pub base: Decimal,
    /// How much, in quote.
    pub quote: Decimal,
    /// The fee.
    pub fee: Decimal,
    /// What the fee was paid in.
    pub fee_asset: Asset,
}

/// Count, volumes and average price of one side, or of both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// How many fills.
    pub count: u64,
    /// In base: bought positive, sold negative.
    pub base: Decimal,
    /// In quote: spent negative, received positive.
    pub quote: Decimal,
    /// Σ price × amount.
    turnover: Decimal,
    /// Σ amount.
    amount: Decimal,
}

impl Volume {
    fn add(&mut self, trade: &Traded) {
        let sign = if trade.side == TradeType::Sell { Decimal::NEGATIVE_ONE } else { Decimal::ONE };
        self.count += 1;
        self.base += sign * trade.base;
        self.quote -= sign * trade.quote;
        self.turnover += trade.quote;
        self.amount += trade.base;
    }

    /// The average price; `None` without a fill.
    pub fn average(&self) -> Option<Decimal> {
        self.turnover.checked_div(self.amount)
    }
}

/// What trading a pair earned.
#[derive(Clone, Debug, PartialEq)]
pub struct Performance {
    /// Buys.
    pub buys: Volume,
    /// Sells.
    pub sells: Volume,
    /// Both.
    pub total: Volume,
    /// What the account had of base before these trades, and has now.
    pub base: (Decimal, Decimal),
    /// What the account had of quote before these trades, and has now.
    pub quote: (Decimal, Decimal),
    /// The price of the first trade, and now.
    pub price: (Decimal, Decimal),
    /// What the balances before would be worth now, in quote.
    pub hold_value: Decimal,
    /// What the balances are worth now, in quote.
    pub current_value: Decimal,
    /// What the trades earned before fees, in quote.
    pub trade_pnl: Decimal,
    /// Fees by asset, positive where they were paid.
    pub fees: Vec<(Asset, Decimal)>,
    /// Fees in quote; those in a foreign asset are not in it.
    pub fees_in_quote: Decimal,
    /// Trade P&L less fees.
    pub total_pnl: Decimal,
    /// Total P&L in percent of the hold value.
    pub return_pct: Decimal,
}

impl Performance {
    /// Of trades of `pair`, oldest first, for an account that now has so much base and quote; `price` is the price now.
    /// `None` without a trade.
    pub fn of(pair: &Pair, trades: &[Traded], base: Decimal, quote: Decimal, price: Decimal) -> Option<Self> {
        let first = trades.first()?.price;
        let (mut buys, mut sells, mut total) = (Volume::default(), Volume::default(), Volume::default());
        let mut fees: std::collections::BTreeMap<Asset, Decimal> = std::collections::BTreeMap::new();
        for trade in trades {
            if trade.side == TradeType::Sell {
                sells.add(trade);
            } else {
                buys.add(trade);
            }
            total.add(trade);
            *fees.entry(trade.fee_asset.clone()).or_default() += trade.fee;
        }
        let paid = |asset: &Asset| fees.get(asset).copied().unwrap_or_default();
        let (paid_base, paid_quote) = (paid(&pair.base), paid(&pair.quote));
        let start_base = base - total.base + paid_base;
        let start_quote = quote - total.quote + paid_quote;
        let hold_value = times(start_base, price) + start_quote;
        let current_value = times(base, price) + quote;
        let trade_pnl = times(total.base, price) + total.quote;
        let fees_in_quote = times(paid_base, price) + paid_quote;
        let total_pnl = trade_pnl - fees_in_quote;
        let share = total_pnl.checked_div(hold_value).unwrap_or_default();
        Some(Self {
            buys,
            sells,
            total,
            base: (start_base, base),
            quote: (start_quote, quote),
            price: (first, price),
            hold_value,
            current_value,
            trade_pnl,
            fees: fees.into_iter().collect(),
            fees_in_quote,
            total_pnl,
            return_pct: times(share, Decimal::ONE_HUNDRED),
        })
    }
}

/// The share of base in a portfolio, in percent.
pub fn base_share(base: Decimal, quote: Decimal, price: Decimal) -> Decimal {
    let value = times(base, price);
    times(value.checked_div(value + quote).unwrap_or_default(), Decimal::ONE_HUNDRED)
}

/// The product. Past what can be summed it stays at 10^27, which no real market reaches.
pub fn times(a: Decimal, b: Decimal) -> Decimal {
    let most = Decimal::from_i128_with_scale(1_000_000_000_000_000_000_000_000_000, 0);
    let product = a.checked_mul(b).filter(|product| product.abs() < most);
    product.unwrap_or(if a.is_sign_negative() == b.is_sign_negative() { most } else { -most })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    /// The example of the parity page, §2.6 and §6.8: buy 2 ETH at 2500, 0.25 % added to cost; sell 1 ETH at 2510,
    /// 0.25 % deducted from returns; the price is 2505. Trade P&L is 15 before fees, total P&L −3.775.
    #[test]
    fn the_worked_example_comes_out_true() {
        let pair = Pair::new("ETH", "USDT");
        let trade = |side, price: &str, base: &str, fee: &str| Traded {
            side,
            price: decimal(price),
            base: decimal(base),
            quote: decimal(price) * decimal(base),
            fee: decimal(fee),
            fee_asset: Asset::new("USDT"),
        };
        let trades =
            [trade(TradeType::Buy, "2500", "2", "12.5"), trade(TradeType::Sell, "2510", "1", "6.275")];
        // What is left of 20 ETH and 100000 USDT after the two trades and their fees.
        let now =
            Performance::of(&pair, &trades, decimal("21"), decimal("97491.225"), decimal("2505")).unwrap();
        assert_eq!((now.base.0, now.quote.0), (decimal("20"), decimal("100000")));
        assert_eq!(now.trade_pnl, decimal("15"));
        assert_eq!(now.fees, [(Asset::new("USDT"), decimal("18.775"))]);
        assert_eq!(now.total_pnl, decimal("-3.775"));
        assert_eq!(now.current_value - now.hold_value, decimal("-3.775"));
        assert_eq!(
            (now.buys.quote, now.sells.quote, now.total.quote),
            (decimal("-5000"), decimal("2510"), decimal("-2490"))
        );
        assert_eq!(now.buys.average(), Some(decimal("2500")));
        assert_eq!(Performance::of(&pair, &[], decimal("1"), decimal("1"), decimal("1")), None);
    }

    #[test]
    fn a_fee_in_base_counts_at_the_price() {
        let pair = Pair::new("ETH", "USDT");
        let trade = Traded {
            side: TradeType::Buy,
            price: decimal("100"),
            base: decimal("1"),
            quote: decimal("100"),
            fee: decimal("0.01"),
            fee_asset: Asset::new("ETH"),
        };
        let now = Performance::of(&pair, &[trade], decimal("0.99"), decimal("900"), decimal("110")).unwrap();
        assert_eq!((now.base.0, now.quote.0), (decimal("0"), decimal("1000")));
        assert_eq!((now.trade_pnl, now.total_pnl), (decimal("10"), decimal("8.9")));
        assert_eq!(now.current_value - now.hold_value, decimal("8.9"));
    }
}
