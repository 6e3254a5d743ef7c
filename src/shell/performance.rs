//! What trading a pair earned: Hummingbot's tables with true numbers.
//!
//! Hummingbot takes paper balances from its settings and counts fees that were withheld from returns twice. Here the
//! start is what the account had before the trades, and each fee counts once: total P&L is trade P&L less fees. Contracts
//! are reckoned in what they settle in: what closing gained and the open position has gained, and funding.

use std::collections::BTreeMap;

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

    /// The average price, to 20 digits; `None` without a fill.
    ///
    /// What 1,000 dollars buy at 32180 has no end in decimals, and dividing by it gives 32179.99…: the last digits of a
    /// [`Decimal`] are not a price's.
    pub fn average(&self) -> Option<Decimal> {
        self.turnover.checked_div(self.amount)?.round_sf(20)
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
    /// What the account had of base before these trades, and has now; `None` for contracts: a position is no balance.
    pub base: Option<(Decimal, Decimal)>,
    /// What all the following is reckoned in: the quote of spot, what contracts settle in.
    pub money: Asset,
    /// What the account had of it before these trades, and has now.
    pub cash: (Decimal, Decimal),
    /// The price of the first trade, and now.
    pub price: (Decimal, Decimal),
    /// What the balances before would be worth now.
    pub hold_value: Decimal,
    /// What the balances are worth now, with what open positions have gained.
    pub current_value: Decimal,
    /// What the trades earned before fees.
    pub trade_pnl: Decimal,
    /// Fees by asset, positive where they were paid.
    pub fees: Vec<(Asset, Decimal)>,
    /// Fees in money; those in a foreign asset are not in it.
    pub fees_in_money: Decimal,
    /// Funding received, negative where paid; `None` on spot.
    pub funding: Option<Decimal>,
    /// Trade P&L less fees, with funding.
    pub total_pnl: Decimal,
    /// Total P&L in percent of the hold value.
    pub return_pct: Decimal,
}

/// What the account says of a contract, in what it settles in.
#[derive(Clone, Debug, PartialEq)]
pub struct Settled {
    /// What the contract settles in.
    pub asset: Asset,
    /// What the account has of it now.
    pub balance: Decimal,
    /// What closing gained.
    pub realised: Decimal,
    /// What open positions have gained at the mark price.
    pub unrealised: Decimal,
    /// Funding received, negative where paid.
    pub funding: Decimal,
}

/// What trades sum up to.
#[derive(Default)]
struct Sums {
    buys: Volume,
    sells: Volume,
    total: Volume,
    fees: BTreeMap<Asset, Decimal>,
}

impl Sums {
    fn of(trades: &[Traded]) -> Self {
        let mut sums = Self::default();
        for trade in trades {
            let side = if trade.side == TradeType::Sell { &mut sums.sells } else { &mut sums.buys };
            side.add(trade);
            sums.total.add(trade);
            *sums.fees.entry(trade.fee_asset.clone()).or_default() += trade.fee;
        }
        sums
    }

    fn paid(&self, asset: &Asset) -> Decimal {
        self.fees.get(asset).copied().unwrap_or_default()
    }
}

impl Performance {
    /// Of trades of `pair`, oldest first, for an account that now has so much base and quote; `price` is the price now.
    /// `None` without a trade.
    pub fn of(pair: &Pair, trades: &[Traded], base: Decimal, quote: Decimal, price: Decimal) -> Option<Self> {
        let (first, sums) = (trades.first()?.price, Sums::of(trades));
        let (paid_base, paid_quote) = (sums.paid(&pair.base), sums.paid(&pair.quote));
        let start_base = base - sums.total.base + paid_base;
        let start_quote = quote - sums.total.quote + paid_quote;
        let hold_value = times(start_base, price) + start_quote;
        let trade_pnl = times(sums.total.base, price) + sums.total.quote;
        let fees_in_money = times(paid_base, price) + paid_quote;
        let total_pnl = trade_pnl - fees_in_money;
        Some(Self {
            buys: sums.buys,
            sells: sums.sells,
            total: sums.total,
            base: Some((start_base, base)),
            money: pair.quote.clone(),
            cash: (start_quote, quote),
            price: (first, price),
            hold_value,
            current_value: times(base, price) + quote,
            trade_pnl,
            fees: sums.fees.into_iter().collect(),
            fees_in_money,
            funding: None,
            total_pnl,
            return_pct: share(total_pnl, hold_value),
        })
    }

    /// The same of a contract: its gains are those of the account, as the exchange settles them.
    pub fn of_contract(settled: &Settled, trades: &[Traded], price: Decimal) -> Option<Self> {
        let (first, sums) = (trades.first()?.price, Sums::of(trades));
        let Settled { balance, realised, unrealised, funding, .. } = *settled;
        let fees_in_money = sums.paid(&settled.asset);
        let start = balance - realised + fees_in_money - funding;
        let trade_pnl = realised + unrealised;
        let total_pnl = trade_pnl - fees_in_money + funding;
        Some(Self {
            buys: sums.buys,
            sells: sums.sells,
            total: sums.total,
            base: None,
            money: settled.asset.clone(),
            cash: (start, balance),
            price: (first, price),
            hold_value: start,
            current_value: balance + unrealised,
            trade_pnl,
            fees: sums.fees.into_iter().collect(),
            fees_in_money,
            funding: Some(funding),
            total_pnl,
            return_pct: share(total_pnl, start),
        })
    }
}

/// `part` in percent of `whole`; nothing where there is no whole.
fn share(part: Decimal, whole: Decimal) -> Decimal {
    times(part.checked_div(whole).unwrap_or_default(), Decimal::ONE_HUNDRED)
}

/// The share of base in a portfolio, in percent.
pub fn base_share(base: Decimal, quote: Decimal, price: Decimal) -> Decimal {
    let value = times(base, price);
    share(value, value + quote)
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
        assert_eq!((now.base, now.cash.0), (Some((decimal("20"), decimal("21"))), decimal("100000")));
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
    fn one_price_is_its_own_average() {
        for price in ["32180", "32180.5", "0.00002341", "7"].map(decimal) {
            let quote = decimal("1000");
            let base = quote / price;
            let trade = Traded {
                side: TradeType::Buy,
                price,
                base,
                quote,
                fee: decimal("0"),
                fee_asset: Asset::new("XBT"),
            };
            let mut volume = Volume::default();
            volume.add(&trade);
            volume.add(&trade);
            assert_eq!(volume.average(), Some(price));
        }
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
        assert_eq!((now.base, now.cash.0), (Some((decimal("0"), decimal("0.99"))), decimal("1000")));
        assert_eq!((now.trade_pnl, now.total_pnl), (decimal("10"), decimal("8.9")));
        assert_eq!(now.current_value - now.hold_value, decimal("8.9"));
    }

    /// BitMEX XBTUSD, values in satoshi units of the page: 1000 contracts bought at 32180.5 cost 0.031075 XBT, closed at
    /// 32180 they gain −0.00000048; 0.075 % fee each way; 0.0001 XBT of funding came in.
    #[test]
    fn contracts_are_reckoned_in_what_they_settle_in() {
        let xbt = Asset::new("XBT");
        let trade = |side, price: &str, fee: &str| Traded {
            side,
            price: decimal(price),
            base: decimal("0.031"),
            quote: decimal("1000"),
            fee: decimal(fee),
            fee_asset: xbt.clone(),
        };
        let trades =
            [trade(TradeType::Buy, "32180.5", "0.0000233"), trade(TradeType::Sell, "32180", "0.0000233")];
        let settled = Settled {
            asset: xbt.clone(),
            balance: decimal("1.00005292"),
            realised: decimal("-0.00000048"),
            unrealised: Decimal::ZERO,
            funding: decimal("0.0001"),
        };
        let now = Performance::of_contract(&settled, &trades, decimal("32180")).unwrap();
        assert_eq!((now.base, &now.money), (None, &xbt));
        assert_eq!(now.cash, (decimal("1"), decimal("1.00005292")));
        assert_eq!((now.hold_value, now.current_value), (decimal("1"), decimal("1.00005292")));
        assert_eq!((now.trade_pnl, now.fees_in_money), (decimal("-0.00000048"), decimal("0.0000466")));
        assert_eq!((now.total_pnl, now.return_pct), (decimal("0.00005292"), decimal("0.005292")));
        assert_eq!((now.buys.quote, now.sells.quote), (decimal("-1000"), decimal("1000")));
    }
}
