//! The worked examples of the venues' pages, as tables.

use rust_decimal::Decimal;

use super::contract::Contract;
use crate::market::{FinePrice, FundingRate, Instrument, Pair, Product, Qty, Side};
use crate::order::{Leverage, Money};
use crate::sim::{ContractTerms, OrderMargin, Rate};
use crate::venue::{Venue, bitget::Bitget, bitmart::Bitmart, bitmex::Bitmex, phemex::Phemex};

fn dec(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn instrument(symbol: &str, pair: &str, product: Product, scales: (u8, u8)) -> Instrument {
    let pair: Pair = pair.parse().unwrap();
    Instrument { product, ..Instrument::spot(symbol, pair, scales.0, scales.1).unwrap() }
}

/// A contract, and the decimals of its settlement currency at the venue. The ledger counts two decimals finer.
struct Case {
    contract: Contract,
    instrument: Instrument,
    terms: ContractTerms,
}

impl Case {
    fn new(venue: &dyn Venue, instrument: Instrument) -> Self {
        let terms = venue.contract(&instrument).unwrap();
        let contract = Contract::new(&instrument, &terms, (0, terms.settle_decimals + 2)).unwrap();
        Self { contract, instrument, terms }
    }

    fn value(&self, price: &str, qty: &str) -> i128 {
        let price = self.instrument.price(price).unwrap();
        self.units(self.contract.value(price, self.instrument.qty(qty).unwrap()))
    }

    /// In the settlement currency's smallest unit.
    fn units(&self, money: Money) -> i128 {
        assert_eq!(money.0 % 100, 0, "{money:?} is no whole number of the venue's units");
        money.0 / 100
    }

    fn money(&self, decimal: &str) -> Money {
        let scale = u32::from(self.terms.settle_decimals) + 2;
        let mut value = dec(decimal);
        value.rescale(scale);
        Money(value.mantissa())
    }
}

fn xbtusd() -> Case {
    let product = Product::Inverse { multiplier: Decimal::ONE };
    Case::new(&Bitmex, instrument("XBTUSD", "XBT-USD", product, (4, 0)))
}

fn linear(multiplier: &str) -> Product {
    Product::Linear { multiplier: dec(multiplier) }
}

fn xbtusdt() -> Case {
    Case::new(&Bitmex, instrument("XBTUSDT", "XBT-USDT", linear("0.000001"), (4, 0)))
}

fn ethusd() -> Case {
    let product = Product::Quanto { multiplier: dec("0.000001") };
    Case::new(&Bitmex, instrument("ETHUSD", "ETH-USD", product, (4, 0)))
}

/// BitMEX, "Contract mathematics": values to the satoshi and to the millionth.
#[test]
fn contracts_are_worth_what_bitmex_says() {
    let ethusdt = Case::new(&Bitmex, instrument("ETHUSDT", "ETH-USDT", linear("0.00001"), (4, 0)));
    for (case, price, qty, want) in [
        (xbtusd(), "60000", "100", 166_667),
        (xbtusd(), "78175.02", "182340800", 233_246_704_544),
        (xbtusd(), "78173.24", "1438000", 1_839_503_980),
        (xbtusdt(), "60000", "1000", 60_000_000),
        (ethusdt, "2302.55", "1000", 23_025_500),
        (ethusd(), "2302.23", "10", 2_302_230),
    ] {
        assert_eq!(case.value(price, qty), want, "{} {qty} @ {price}", case.instrument.symbol);
        let fine = FinePrice::read(price).unwrap();
        assert_eq!(case.units(case.contract.value_at(fine, case.instrument.qty(qty).unwrap())), want);
    }
}

/// Gains are worth less cost: short 1,438,000 XBTUSD that cost 1,951,105,699, at 78,173.24: −111,601,719 satoshi. And
/// the entry price of that cost is 73,701.7438; that of 100 contracts at 60,000 is 59,999.88.
#[test]
fn gains_and_entries_are_those_of_the_account_snapshot() {
    let case = xbtusd();
    let short = Qty::from_units(-1_438_000);
    let worth = case.contract.worth_at(FinePrice::read("78173.24").unwrap(), short);
    assert_eq!(case.units(worth) - 1_951_105_699, -111_601_719);
    let entry = case.contract.entry_price(Money(195_110_569_900), Qty::from_units(1_438_000));
    assert_eq!(entry.unwrap().to_string(), "73701.7438");
    let entry = case.contract.entry_price(Money(16_666_700), Qty::from_units(100)).unwrap();
    assert!(entry.to_string().starts_with("59999.88"), "{entry}");
}

/// BitMEX, "Wallet / margin row": orders worth 673,220,800 satoshi at 1 % and 0.05 %: 7,408,795; a cross position that
/// cost 1,951,105,699 needs 9,755,529 to stay.
#[test]
fn margins_are_those_of_the_account_snapshot() {
    let case = xbtusd();
    let value = Money(67_322_080_000);
    let initial = case.contract.initial(Leverage::times(100), value);
    let margin = case.contract.order_margin(OrderMargin::BothFees, Side::Sell, value, initial, Rate(500_000));
    assert_eq!(margin.0.div_euclid(100) + i128::from(margin.0 % 100 != 0), 7_408_795);
    let stays = case.contract.maintenance(Money(195_110_569_900));
    assert_eq!(stays.0.div_euclid(100) + i128::from(stays.0 % 100 != 0), 9_755_529);
}

/// BitMEX's risk limits: each further 150 XBT of an inverse position adds half a percent to both rates.
#[test]
fn risk_limits_step_up() {
    let case = xbtusd();
    for (value, leverage) in [("200", 100), ("200.00000001", 66), ("351", 50)] {
        let value = case.money(value);
        let initial = case.contract.initial(Leverage::times(100), value);
        assert_eq!(initial.den / initial.num, leverage, "{value:?}");
    }
    assert_eq!(case.contract.most_at(Leverage::times(100)), Some(case.money("200")));
    assert_eq!(case.contract.max_leverage(), Leverage::times(100));
}

/// Bitget, demo account of 2022: an order of 0.05 at 18,950 and 20x locks (47.375 + 0.5685) × 1.1; three of them
/// 158.21355. BitMart and Phemex: the formulas of their pages.
#[test]
fn orders_lock_what_venues_say() {
    let bitget = Case::new(&Bitget, instrument("BTCUSDT", "BTC-USDT", linear("1"), (2, 4)));
    let bitmart = Case::new(&Bitmart, instrument("BTCUSDT", "BTC-USDT", linear("0.001"), (1, 0)));
    let phemex = Case::new(&Phemex, instrument("BTCUSDT", "BTC-USDT", linear("1"), (1, 3)));
    use OrderMargin::{BothFeesBySide, InitialAndFee, InitialAndFeeTenthMore};
    for (case, how, side, value, leverage, want) in [
        (&bitget, InitialAndFeeTenthMore, Side::Buy, "947.5", 20, "52.73785"),
        (&bitget, InitialAndFeeTenthMore, Side::Buy, "2842.5", 20, "158.21355"),
        (&bitmart, InitialAndFee, Side::Buy, "300", 10, "30.18"),
        // Ratios 0.20108 and 0.20132 at 5x, 0.10114 and 0.10126 at 10x.
        (&phemex, BothFeesBySide, Side::Buy, "1000", 5, "201.08"),
        (&phemex, BothFeesBySide, Side::Sell, "1000", 5, "201.32"),
        (&phemex, BothFeesBySide, Side::Buy, "1000", 10, "101.14"),
        (&phemex, BothFeesBySide, Side::Sell, "1000", 10, "101.26"),
    ] {
        let value = case.money(value);
        let initial = case.contract.initial(Leverage::times(leverage), value);
        let margin = case.contract.order_margin(how, side, value, initial, Rate(600_000));
        assert_eq!(margin, case.money(want), "{} {leverage}x", case.instrument.symbol);
    }
}

/// Phemex's captured long: 0.01 at 25,989.7 and 5x has a closing fee of 0.12475056 put aside.
#[test]
fn the_reserve_is_the_captured_one() {
    let case = Case::new(&Phemex, instrument("BTCUSDT", "BTC-USDT", linear("1"), (1, 3)));
    let (value, margin) = (case.money("259.897"), case.money("51.9794"));
    let fee = case.contract.closing_fee(Qty::from_units(10), value, margin, Rate(600_000));
    assert_eq!(fee, case.money("0.12475056"));
}

/// Phemex: 0.16 × 1322.84500459 at 0.0001 is 0.02116552; longs pay.
#[test]
fn funding_is_the_checked_one() {
    let case = Case::new(&Phemex, instrument("ETHUSDT", "ETH-USDT", linear("1"), (2, 2)));
    let mark = FinePrice::read("1322.84500459").unwrap();
    let value = case.contract.value_at(mark, case.instrument.qty("0.16").unwrap());
    let rate = FundingRate::read("0.0001").unwrap();
    assert_eq!(case.contract.funding(value, rate), case.money("0.02116552"));
    let received = case.contract.funding(value, FundingRate::read("-0.0001").unwrap());
    assert_eq!(received, -case.money("0.02116552"));
}

#[test]
fn odd_terms_are_refused() {
    let case = xbtusdt();
    let with = |change: fn(&mut ContractTerms)| {
        let mut terms = case.terms.clone();
        change(&mut terms);
        Contract::new(&case.instrument, &terms, (0, 8)).is_err()
    };
    assert!(!with(|_| ()));
    assert!(with(|terms| terms.tiers.clear()));
    assert!(with(|terms| terms.tiers[0].above = Decimal::ONE));
    assert!(with(|terms| terms.tiers[0].maintenance = Rate(0)));
    assert!(with(|terms| terms.tiers[0].initial = Rate(1)));
    assert!(with(|terms| terms.tiers.swap(0, 1)));
    assert!(with(|terms| terms.settle_decimals = 9));
    let spot = Instrument::spot("XBT_USDT", "XBT-USDT".parse().unwrap(), 1, 8).unwrap();
    assert!(Contract::new(&spot, &case.terms, (0, 8)).is_err());
}
