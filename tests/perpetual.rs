//! Perpetuals: the worked examples of the venues' pages, a real account's fills, and what must always hold.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::path::Path;

use papertape::market::{
    Asset, FinePrice, FundingRate, Group, GroupKind, Instrument, InstrumentId, MarketEvent, News, Pair,
    Price, Product, Qty, Side, Timestamp,
};
use papertape::order::{
    AccountId, Callback, CancelReason, Leverage, MarginMode, Money, NewOrder, OrderKind, OrderRef, OrderSize,
    PositionEffect, PositionMode, PositionSide, RejectReason, SessionId, SpecialAmend, SpecialOrder,
    TimeInForce, Trail, Trigger, TriggerBy, TriggerKind,
};
use papertape::sim::{
    Admin, Cause, FeeSchedule, Input, LatencyModel, LedgerEntry, MarketConfig, OrderEvent, Owner,
    PositionState, Rate, Request, RequestBody, Setting, SimConfig, SimulatedExchange, Update, UpdateBody,
};
use papertape::venue::{Venue, venue};
use proptest::prelude::*;
use rust_decimal::Decimal;

const ONE: InstrumentId = InstrumentId(0);
const A: AccountId = AccountId(1);

fn dec(text: &str) -> Decimal {
    Decimal::from_str_exact(text).unwrap()
}

/// One contract of a venue on an exchange without latency.
struct Scene {
    sim: SimulatedExchange,
    instrument: Instrument,
    now: Timestamp,
    updates: Vec<Update>,
    /// What the ledger has said since the start.
    rows: Vec<LedgerEntry>,
    told: Vec<UpdateBody>,
    settle: u16,
}

/// A contract with `fees` for makers and takers alike.
fn market(
    venue: &dyn Venue,
    symbol: &str,
    pair: &str,
    product: Product,
    scales: (u8, u8),
    fee: &str,
) -> MarketConfig {
    let pair: Pair = pair.parse().unwrap();
    let instrument = Instrument { product, ..Instrument::spot(symbol, pair, scales.0, scales.1).unwrap() };
    let rate = Rate::from_decimal(dec(fee)).unwrap();
    let fees = FeeSchedule::flat_rates(rate, rate, "test");
    let contract = venue.contract(&instrument);
    MarketConfig { contract, ..MarketConfig::spot(instrument, fees) }
}

fn linear(multiplier: &str) -> Product {
    Product::Linear { multiplier: dec(multiplier) }
}

fn inverse() -> Product {
    Product::Inverse { multiplier: Decimal::ONE }
}

impl Scene {
    fn new(name: &str, market: MarketConfig) -> Self {
        Self::of(name, vec![market])
    }

    /// The first market is the contract.
    fn of(name: &str, markets: Vec<MarketConfig>) -> Self {
        let rules = venue(name).unwrap().rules();
        let (instrument, contract) = (markets[0].instrument.clone(), markets[0].contract.clone());
        let settle = contract.unwrap().settle;
        let config =
            SimConfig { latency: LatencyModel::None, venue: rules, ..SimConfig::realistic(markets, 1) };
        let sim = SimulatedExchange::new(config).unwrap();
        let settle = sim.asset_index(&settle).unwrap();
        let now = "2026-01-05T00:00:01Z".parse().unwrap();
        Self { sim, instrument, now, updates: Vec::new(), rows: Vec::new(), told: Vec::new(), settle }
    }

    fn apply(&mut self, input: Input<'_>) {
        self.updates.clear();
        self.sim.apply(self.now, input, &mut self.updates);
        for update in &self.updates {
            match &update.body {
                UpdateBody::Ledger(row) => self.rows.push(*row),
                other => self.told.push(other.clone()),
            }
        }
    }

    fn wait(&mut self, seconds: u64) {
        self.now = self.now.plus(std::time::Duration::from_secs(seconds));
        self.apply(Input::Advance);
    }

    fn account(&mut self, account: AccountId, amount: &str) {
        self.apply(Input::Admin(Admin::OpenAccount(account)));
        let scale = u32::from(self.sim.asset_scale(self.settle));
        let mut amount = dec(amount);
        amount.rescale(scale);
        let amount = Money(amount.mantissa());
        self.apply(Input::Admin(Admin::Deposit { account, asset: self.settle, amount }));
    }

    fn group(&mut self, kind: GroupKind, events: &[MarketEvent]) {
        let (instrument, now) = (ONE, self.now);
        let group = Group { instrument, kind, exchange_time: now, receive_time: now, events, ids: &[] };
        self.apply(Input::Market(group));
    }

    /// The whole book is one bid and one ask, each large.
    fn book(&mut self, bid: &str, ask: &str) {
        let qty = Qty::from_units(1_000_000_000);
        let price = |text: &str| self.instrument.price(text).unwrap();
        let level = |side, price| MarketEvent::Level { side, price, qty };
        let events = [level(Side::Buy, price(bid)), level(Side::Sell, price(ask))];
        self.group(GroupKind::Snapshot, &events);
    }

    fn index(&mut self, price: &str) {
        self.group(GroupKind::Update, &[MarketEvent::News(News::Index(FinePrice::read(price).unwrap()))]);
    }

    fn mark(&mut self, price: &str) {
        self.group(GroupKind::Update, &[MarketEvent::News(News::Mark(FinePrice::read(price).unwrap()))]);
    }

    fn send(&mut self, account: AccountId, body: RequestBody) -> OrderEvent {
        let session = SessionId(account.0);
        self.apply(Input::Request(Request { session, account, tag: 7, body }));
        let from = self.told.len();
        self.apply(Input::Advance);
        let answers = self.told[from..].iter().filter_map(|told| match told {
            UpdateBody::Order(order) if order.tag == 7 => Some(order.event),
            _ => None,
        });
        let answers: Vec<OrderEvent> = answers.collect();
        *answers.first().unwrap()
    }

    fn set(&mut self, account: AccountId, setting: Setting) -> OrderEvent {
        self.send(account, RequestBody::Set { instrument: ONE, setting })
    }

    fn isolated(&mut self, account: AccountId, times: u32) {
        assert_eq!(self.set(account, Setting::Margin(MarginMode::Isolated)), OrderEvent::Done);
        self.leverage(account, times);
    }

    fn leverage(&mut self, account: AccountId, times: u32) {
        let leverage = Leverage::times(times);
        assert_eq!(self.set(account, Setting::Leverage { side: None, leverage }), OrderEvent::Done);
    }

    fn order(&mut self, account: AccountId, side: Side, qty: &str, effect: PositionEffect) -> OrderEvent {
        let qty = self.instrument.qty(qty).unwrap();
        let order = NewOrder { effect, ..NewOrder::market(ONE, side, qty) };
        self.send(account, RequestBody::Place(order))
    }

    /// Trades at a price: the book moves there first.
    fn trade_at(&mut self, account: AccountId, side: Side, qty: &str, price: &str, effect: PositionEffect) {
        self.book_at(side, price);
        assert_eq!(self.order(account, side, qty, effect), OrderEvent::Accepted, "{side} {qty} at {price}");
    }

    fn book_at(&mut self, side: Side, price: &str) {
        let units = self.instrument.price(price).unwrap();
        let tick = Price::from_units(match side {
            Side::Buy => units.units() - 1,
            Side::Sell => units.units() + 1,
        });
        let other = self.instrument.show_price(tick).to_string();
        match side {
            Side::Buy => self.book(&other, price),
            Side::Sell => self.book(price, &other),
        }
    }

    fn position(&self, account: AccountId) -> PositionState {
        self.sim.positions(account, ONE).into_iter().find(|state| !state.qty.is_zero()).expect("a position")
    }

    fn money(&self, money: Money) -> Decimal {
        Decimal::from_i128_with_scale(money.0, u32::from(self.sim.asset_scale(self.settle))).normalize()
    }

    fn total(&self, account: AccountId) -> Decimal {
        self.money(self.sim.balance(account, self.settle).total)
    }

    fn available(&self, account: AccountId) -> Decimal {
        self.money(self.sim.available(account, self.settle))
    }

    /// Every transaction sums to zero per asset, and no balance is below what is put aside of it.
    fn check(&self) {
        let mut sums: BTreeMap<(u64, u16), i128> = BTreeMap::new();
        for row in &self.rows {
            *sums.entry((row.transaction, row.asset)).or_default() += row.amount.0;
            if matches!(row.owner, Owner::Account(_)) {
                assert!(row.hold_after.0 >= 0 && row.hold_after <= row.balance_after, "{row:?}");
            }
        }
        for ((transaction, asset), sum) in sums {
            assert_eq!(sum, 0, "transaction {transaction} in asset {asset}");
        }
    }
}

fn fine(price: Option<FinePrice>) -> Decimal {
    let price = price.expect("a price");
    Decimal::new(price.units(), u32::from(FinePrice::SCALE))
}

/// Liquidation and bankruptcy prices of the pages' worked examples.
#[test]
fn positions_are_lost_where_the_pages_say() {
    struct Example {
        source: &'static str,
        venue: &'static str,
        market: (&'static str, &'static str, Product, (u8, u8), &'static str),
        wallet: &'static str,
        leverage: Option<u32>,
        trade: (Side, &'static str, &'static str),
        liquidation: &'static str,
        bankruptcy: &'static str,
        within: &'static str,
    }
    use Side::{Buy, Sell};
    let xbtusd = || ("XBTUSD", "XBT-USD", inverse(), (4, 0), "0");
    let xbtusdt = || ("XBTUSDT", "XBT-USDT", linear("0.000001"), (4, 0), "0");
    let examples = [
        Example {
            source: "bitmex §5.2: XBTUSD long 200,000 @ 10,000, 20x",
            venue: "bitmex",
            market: xbtusd(),
            wallet: "2",
            leverage: Some(20),
            trade: (Buy, "200000", "10000"),
            liquidation: "9569.38",
            bankruptcy: "9523.81",
            within: "0.01",
        },
        Example {
            source: "bitmex §5.2: the same short",
            venue: "bitmex",
            market: xbtusd(),
            wallet: "2",
            leverage: Some(20),
            trade: (Sell, "200000", "10000"),
            liquidation: "10471.20",
            bankruptcy: "10526.32",
            within: "0.01",
        },
        Example {
            source: "bitmex §5.2: linear long @ 60,000, 10x",
            venue: "bitmex",
            market: xbtusdt(),
            wallet: "100",
            leverage: Some(10),
            trade: (Buy, "1000", "60000"),
            liquidation: "54300",
            bankruptcy: "54000",
            within: "0.01",
        },
        Example {
            source: "bitmex §5.2: linear short @ 60,000, 10x",
            venue: "bitmex",
            market: xbtusdt(),
            wallet: "100",
            leverage: Some(10),
            trade: (Sell, "1000", "60000"),
            liquidation: "65700",
            bankruptcy: "66000",
            within: "0.01",
        },
        Example {
            source: "bitmex §5.2: cross, wallet 0.5 XBT",
            venue: "bitmex",
            market: xbtusd(),
            wallet: "0.5",
            leverage: None,
            trade: (Buy, "100000", "60000"),
            liquidation: "46331.98",
            bankruptcy: "46153.78",
            within: "0.01",
        },
        Example {
            source: "bitget §12: long 0.01 @ 36,975, margin 18.4875",
            venue: "bitget",
            market: ("BTCUSDT", "BTC-USDT", linear("1"), (1, 3), "0.0006"),
            wallet: "1000",
            leverage: Some(20),
            trade: (Buy, "0.01", "36975"),
            liquidation: "35288.6",
            bankruptcy: "35126.25",
            within: "0.05",
        },
        Example {
            source: "bitmart §12.3: long 5 contracts @ 60,000, 10x",
            venue: "bitmart",
            market: ("BTCUSDT", "BTC-USDT", linear("0.001"), (1, 0), "0.0006"),
            wallet: "1000",
            leverage: Some(10),
            trade: (Buy, "5", "60000"),
            liquidation: "54332.6",
            bankruptcy: "54000",
            within: "0.05",
        },
        Example {
            source: "phemex §9.2: long 0.01 @ 25,989.7, 5x",
            venue: "phemex",
            market: ("BTCUSDT", "BTC-USDT", linear("1"), (1, 3), "0.0006"),
            wallet: "1000",
            leverage: Some(5),
            trade: (Buy, "0.01", "25989.7"),
            liquidation: "20921.71",
            bankruptcy: "20791.76",
            within: "0.01",
        },
    ];
    for example in examples {
        let (symbol, pair, product, scales, fee) = example.market;
        let config = market(venue(example.venue).unwrap(), symbol, pair, product, scales, fee);
        let mut scene = Scene::new(example.venue, config);
        scene.account(A, example.wallet);
        match example.leverage {
            Some(times) => scene.isolated(A, times),
            None => scene.leverage(A, 100),
        }
        let (side, qty, price) = example.trade;
        scene.trade_at(A, side, qty, price, PositionEffect::Net);
        let position = scene.position(A);
        let within = dec(example.within);
        for (what, found, want) in [
            ("liquidation", position.liquidation, example.liquidation),
            ("bankruptcy", position.bankruptcy, example.bankruptcy),
        ] {
            let away = (fine(found) - dec(want)).abs();
            assert!(away <= within, "{}: {what} at {}, not {want}", example.source, fine(found));
        }
        scene.check();
        // The simulation agrees with its formula, to a tick.
        let liquidation = fine(position.liquidation);
        let (before, after) = match side {
            Side::Buy => (liquidation + dec("0.1"), liquidation - dec("0.1")),
            Side::Sell => (liquidation - dec("0.1"), liquidation + dec("0.1")),
        };
        scene.mark(&before.round_dp(10).to_string());
        assert!(!scene.sim.positions(A, ONE)[0].qty.is_zero(), "{}: lost too early", example.source);
        scene.mark(&after.round_dp(10).to_string());
        assert!(scene.sim.positions(A, ONE)[0].qty.is_zero(), "{}: not lost", example.source);
        scene.check();
    }
}

fn shared(file: &str) -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/accounting").join(file);
    let text = std::fs::read_to_string(&path).ok();
    if text.is_none() {
        println!("skipped: {file} is not here");
    }
    text
}

fn field<'a>(row: &'a serde_json::Value, name: &str) -> &'a str {
    row[name].as_str().unwrap_or_default()
}

fn bitget(fee: &str) -> Scene {
    Scene::new("bitget", market(venue("bitget").unwrap(), "BTCUSDT", "BTC-USDT", linear("1"), (4, 3), fee))
}

/// A real account at Bitget: what each of its fills did to what was available.
#[test]
fn a_real_accounts_fills_reproduce() {
    let Some(text) = shared("bitget_fills.jsonl") else { return };
    let (mut exact, mut other) = (0, 0);
    for line in text.lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        // The fee that was charged, as a rate of this fill: maker or taker.
        let fee = if field(&row, "fee_rate_implied") < "0.0004" { "0.0002" } else { "0.0006" };
        let mut scene = bitget(fee);
        scene.account(A, "1000000");
        assert_eq!(scene.set(A, Setting::Position(PositionMode::Hedge)), OrderEvent::Done);
        let isolated = field(&row, "margin_mode") == "isolated";
        let leverage: u32 = field(&row, "leverage").parse().unwrap();
        if isolated {
            scene.isolated(A, leverage);
        } else {
            scene.leverage(A, leverage);
        }
        let long = field(&row, "position") == "long";
        let opens = if long { Side::Buy } else { Side::Sell };
        // The entry price is shown rounded; what closing gained says what it was. Two trades come to that cost.
        let closes = !row["opening"].as_bool().unwrap();
        let gained = || dec(field(&row, "realised_pnl")) / dec(field(&row, "qty"));
        let entry = closes.then(|| {
            let fill = dec(field(&row, "fill_price"));
            if long { fill - gained() } else { fill + gained() }
        });
        for part in row["position_before"].as_array().unwrap() {
            let (qty, price) = (dec(field(part, "qty")), dec(field(part, "avg_entry")));
            let cost = entry.unwrap_or(price) * qty;
            let (most, rest) = (qty - dec("0.001"), dec("0.001"));
            if most > Decimal::ZERO {
                scene.trade_at(A, opens, &most.to_string(), &price.to_string(), PositionEffect::Open);
            }
            let last = ((cost - most * price) / rest).round_dp(4);
            scene.trade_at(A, opens, &rest.to_string(), &last.to_string(), PositionEffect::Open);
        }
        let seen = |scene: &Scene| {
            let balance = scene.sim.balance(A, scene.settle);
            // The log's `available` is less the margin of isolated positions; crossed margin it ignores.
            scene.money(if isolated { balance.available() } else { balance.total })
        };
        let before = seen(&scene);
        let (side, effect) = match row["opening"].as_bool().unwrap() {
            true => (opens, PositionEffect::Open),
            false => (opens.opposite(), PositionEffect::Close),
        };
        scene.trade_at(A, side, field(&row, "qty"), field(&row, "fill_price"), effect);
        let change = seen(&scene) - before;
        let real = dec(field(&row, "available_after")) - dec(field(&row, "available_before"));
        let same = (change - real).abs() <= dec("0.000001");
        if field(&row, "check") == "exact" {
            assert!(same, "{change} is not {real}: {line}");
            exact += 1;
        } else {
            other += 1;
        }
        scene.check();
    }
    assert_eq!((exact, other), (51, 4));
}

/// And the liquidation prices that it was shown for isolated positions.
#[test]
fn a_real_accounts_liquidation_prices_reproduce() {
    let Some(text) = shared("bitget_liquidation_prices.jsonl") else { return };
    let mut rows = 0;
    for line in text.lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        if field(&row, "mode") != "isolated" {
            continue;
        }
        let (qty, entry) = (field(&row, "qty"), field(&row, "entry"));
        let leverage: u32 = field(&row, "leverage").parse().unwrap();
        let mut scene = bitget("0.0006");
        scene.account(A, "1000000");
        scene.isolated(A, leverage);
        let side = if field(&row, "side") == "long" { Side::Buy } else { Side::Sell };
        scene.trade_at(A, side, qty, entry, PositionEffect::Net);
        if let Some(margin) = row["margin"].as_str() {
            // Funding was taken from the margin since: the reported margin is less than a share of the value.
            let paid = scene.money(scene.position(A).assigned) - dec(margin);
            if paid > dec("0.001") {
                let value = dec(qty) * dec(entry);
                let rate = (paid / value).round_dp(12)
                    * if side == Side::Buy { Decimal::ONE } else { -Decimal::ONE };
                scene.mark(entry);
                let due = scene.now.plus(std::time::Duration::from_secs(10));
                let rate = FundingRate::read(&rate.to_string()).unwrap();
                scene.group(GroupKind::Update, &[MarketEvent::News(News::Funding { rate, due })]);
                scene.wait(10);
            }
        }
        let found = fine(scene.position(A).liquidation);
        let away = (found - dec(field(&row, "liq_price"))).abs();
        assert!(away <= dec("0.02"), "{found}: {line}");
        rows += 1;
    }
    assert!(rows >= 20, "{rows} rows");
}

#[test]
fn a_round_trip_costs_its_fees_and_its_spread_to_the_satoshi() {
    let config = market(venue("bitmex").unwrap(), "XBTUSD", "XBT-USD", inverse(), (4, 0), "0.0005");
    let mut scene = Scene::new("bitmex", config);
    scene.account(A, "1");
    scene.trade_at(A, Side::Buy, "1000", "60000", PositionEffect::Net);
    // 1,000 at u = 1666.67: 1,666,670 satoshi; fee 833.335 → 833.
    assert_eq!(scene.total(A), dec("0.99999167"));
    scene.trade_at(A, Side::Sell, "1000", "66000", PositionEffect::Close);
    // Sold at u = 1515.15: 1,515,150 satoshi; gain 151,520; fee 757.575 → 758.
    assert_eq!(scene.total(A), dec("1") + dec("0.00151520") - dec("0.00000833") - dec("0.00000758"));
    assert!(scene.sim.positions(A, ONE)[0].qty.is_zero());
    scene.check();
}

#[test]
fn fees_are_whole_units_of_what_a_contract_is_settled_in() {
    let product = linear("0.000001");
    let config = market(venue("bitmex").unwrap(), "XBTUSDT", "XBT-USDT", product, (4, 0), "0.0005");
    let mut scene = Scene::new("bitmex", config);
    scene.account(A, "100");
    // 100 at 60,000.1 are 6.00001 USDT; 0.0005 of it is 0.003000005, and BitMEX counts in millionths.
    scene.trade_at(A, Side::Buy, "100", "60000.1", PositionEffect::Net);
    assert_eq!(scene.total(A), dec("99.997"));
    // 0.00300003 is 0.003 too: three hundredths of a unit are none.
    scene.trade_at(A, Side::Sell, "100", "60000.6", PositionEffect::Close);
    assert_eq!(scene.total(A), dec("99.994") + dec("0.00005"));
    scene.check();
}

#[test]
fn a_flip_closes_and_opens_at_the_fill_price() {
    let mut scene = bitget("0");
    scene.account(A, "1000");
    scene.trade_at(A, Side::Buy, "0.010", "20000", PositionEffect::Net);
    scene.trade_at(A, Side::Sell, "0.030", "21000", PositionEffect::Net);
    let position = scene.position(A);
    assert_eq!(scene.instrument.show_qty(position.qty).to_string(), "-0.02");
    assert_eq!(fine(position.entry), dec("21000"));
    assert_eq!(scene.total(A), dec("1010"));
    scene.check();
}

#[test]
fn funding_is_paid_at_the_venues_instants() {
    let config = market(venue("bitmex").unwrap(), "XBTUSD", "XBT-USD", inverse(), (4, 0), "0");
    let mut scene = Scene::new("bitmex", config);
    let short = AccountId(2);
    scene.account(A, "1");
    scene.account(short, "1");
    scene.trade_at(A, Side::Buy, "10000", "50000", PositionEffect::Net);
    scene.trade_at(short, Side::Sell, "10000", "50000", PositionEffect::Net);
    scene.mark("50000");
    // 04:00, at 0.0001 of 10,000 contracts at 50,000: 20,000,000 satoshi × 0.0001.
    let rate = FundingRate::read("0.0001").unwrap();
    scene.group(GroupKind::Update, &[MarketEvent::News(News::Funding { rate, due: Timestamp::MAX })]);
    assert_eq!(scene.sim.funding(ONE).unwrap().2, "2026-01-05T04:00:00Z".parse().unwrap());
    scene.wait(4 * 3_600 - 2);
    assert_eq!(scene.total(A), dec("1"));
    scene.wait(1);
    assert_eq!((scene.total(A), scene.total(short)), (dec("0.99998"), dec("1.00002")));
    let paid: Vec<Decimal> = scene
        .told
        .iter()
        .filter_map(|told| match told {
            UpdateBody::Funding(payment) => Some(scene.money(payment.amount)),
            _ => None,
        })
        .collect();
    assert_eq!(paid, [dec("-0.00002"), dec("0.00002")]);
    assert_eq!(scene.sim.funding(ONE).unwrap().2, "2026-01-05T12:00:00Z".parse().unwrap());
    scene.check();
}

fn coin_margined(fee: &str) -> Scene {
    let config = market(venue("bitget").unwrap(), "BTCUSD", "BTC-USD", linear("1"), (1, 3), fee);
    Scene::new("bitget", config)
}

/// Bitget's contracts on USD (bitget §12): linear in USD, settled in the coin through its index price.
///
/// ```text
/// long 0.01 @ 36,975 with the index at 40,000: worth 369.75 USD
///   fee        369.75 × 0.0006 / 40,000 = 0.00000554625 → 0.00000555 BTC
///   margin 20x 369.75 / 20 / 40,000     = 0.00046219 BTC, which is 18.4876 USD: liquidated at 35,288.6, as on USDT
/// index 42,000: the margin is worth 19.41198 USD: (19.41198 − 369.75) / (0.01 × (0.0046 − 1)) = 35,195.7
/// mark 37,500: gains (37,500 − 36,975) × 0.01 / 42,000 = 0.000125 BTC
/// funding 0.01 %: 0.01 × 37,500 × 0.0001 / 42,000 = 0.00000089 BTC, from the margin
/// sold at 37,500: fee 375 × 0.0006 / 42,000 = 0.00000536 BTC
/// ```
#[test]
fn contracts_on_usd_settle_in_their_coin_through_its_index() {
    let mut scene = coin_margined("0.0006");
    scene.account(A, "1");
    scene.isolated(A, 20);
    scene.mark("36975");
    scene.index("40000");
    assert_eq!(scene.sim.assets()[usize::from(scene.settle)], Asset::new("BTC"));
    scene.trade_at(A, Side::Buy, "0.010", "36975", PositionEffect::Net);
    assert_eq!(scene.total(A), dec("0.99999445"));
    let near = |price: Option<FinePrice>, want: &str, within: &str| {
        assert!((fine(price) - dec(want)).abs() < dec(within), "{price:?} is not {want}");
    };
    let position = scene.position(A);
    assert_eq!(position.entry, Some(FinePrice::read("36975").unwrap()));
    assert_eq!(scene.money(position.assigned), dec("0.00046219"));
    assert_eq!(scene.money(position.value), dec("0.00924375"));
    near(position.liquidation, "35288.6", "0.05");
    near(position.bankruptcy, "35126.24", "0.001");
    scene.index("42000");
    near(scene.position(A).liquidation, "35195.7", "0.05");
    scene.mark("37500");
    assert_eq!(scene.money(scene.position(A).unrealised), dec("0.000125"));
    assert_eq!(scene.money(scene.sim.unrealised(A, scene.settle)), dec("0.000125"));
    let rate = FundingRate::read("0.0001").unwrap();
    scene.group(GroupKind::Update, &[MarketEvent::News(News::Funding { rate, due: Timestamp::MAX })]);
    scene.wait(8 * 3_600);
    assert_eq!(scene.total(A), dec("0.99999356"));
    scene.trade_at(A, Side::Sell, "0.010", "37500", PositionEffect::Net);
    assert_eq!(scene.total(A), dec("1.0001132"), "0.99999356 + 0.000125 − 0.00000536");
    scene.check();
}

/// What an order on a contract on USD needs is in the coin; a fall of the coin's index alone can cost the position, for
/// the margin is worth less then.
#[test]
fn the_index_of_the_coin_can_cost_a_position() {
    let mut scene = coin_margined("0.0006");
    scene.account(A, "0.1");
    scene.isolated(A, 20);
    scene.mark("36975");
    scene.index("40000");
    scene.book("36974.0", "36990.0");
    let order = scene.limit(Side::Buy, "0.050", "36975.0");
    assert_eq!(scene.send(A, RequestBody::Place(order)), OrderEvent::Accepted);
    // 1,848.75 USD × (0.05 + 0.0006) × 1.1 / 40,000
    assert_eq!(dec("0.1") - scene.available(A), dec("0.00257254"), "0.002572535625 rounded up");
    scene.print(Side::Sell, "1000.000", "36975.0");
    assert_eq!(scene.position(A).qty, scene.instrument.qty("0.050").unwrap());
    // 92.4375 USD are behind it at 40,000, and 8.50425 USD is the least that may be: the index would have to fall below
    // 3,681; at a mark of 35,400 78.75 USD of them are lost.
    scene.mark("35400");
    assert!(!scene.sim.positions(A, ONE)[0].qty.is_zero());
    scene.index("39000");
    assert!(!scene.sim.positions(A, ONE)[0].qty.is_zero(), "90.13 − 78.75 is more than 8.14");
    scene.index("37500");
    assert!(scene.sim.positions(A, ONE)[0].qty.is_zero(), "86.66 − 78.75 is less than 8.14");
    assert_eq!(scene.available(A), scene.total(A));
    scene.check();
}

/// Bitget steps a crossed position down a tier, with its share of the equity, before everything is taken over.
///
/// ```text
/// long 10 @ 30,000 (tier 2: 0.5 %), 10,180 USDT, fee 180: equity at 29,160 is 10,000 − 8,400 = 1,600
/// maintenance 291,600 × (0.005 + 0.0006) = 1,632.96: lost
/// 141,600 USDT are over the tier: 141,600 / 29,160 = 4.855967, down to the lot and one more: 4.856
/// its share of the equity: 1,600 × 4.856 / 10 = 776.96; its loss at the mark 840 × 4.856 = 4,079.04
/// left: 5.144, balance 10,000 − 4,079.04 − 776.96 = 5,144; equity 823.04, maintenance 149,999.04 × 0.0046 = 689.995584
/// ```
#[test]
fn a_crossed_position_steps_down_a_tier_first() {
    let mut scene = bitget("0.0006");
    scene.account(A, "10180");
    scene.leverage(A, 50);
    scene.mark("30000");
    scene.trade_at(A, Side::Buy, "10", "30000", PositionEffect::Net);
    scene.mark("29164");
    assert_eq!(scene.position(A).qty, scene.instrument.qty("10").unwrap());
    let order = NewOrder { effect: PositionEffect::Close, ..scene.limit(Side::Sell, "0.001", "30100.0") };
    assert_eq!(scene.send(A, RequestBody::Place(order)), OrderEvent::Accepted);
    scene.mark("29160");
    assert!(scene.sim.open_orders(A).is_empty(), "orders are cancelled first");
    let position = scene.position(A);
    assert_eq!(position.qty, scene.instrument.qty("5.144").unwrap());
    assert_eq!((scene.total(A), scene.money(position.maintenance)), (dec("5144"), dec("689.995584")));
    let insured: Vec<Money> =
        scene.rows.iter().filter(|row| row.owner == Owner::Insurance).map(|row| row.amount).collect();
    assert_eq!(insured.iter().map(|amount| scene.money(*amount)).collect::<Vec<_>>(), [dec("776.96")]);
    // In the lowest tier there is no further step: the rest goes as a whole, and nothing is left.
    scene.mark("29100");
    assert!(scene.sim.positions(A, ONE)[0].qty.is_zero());
    assert_eq!(scene.total(A), Decimal::ZERO);
    scene.check();
}

/// A crossed long and short of a symbol are added to pick the tier, isolated ones are not (bitget §12).
#[test]
fn both_sides_of_a_symbol_pick_the_tier_of_crossed_positions() {
    for (crossed, want) in [(true, "0.005"), (false, "0.004")] {
        let mut scene = bitget("0");
        scene.account(A, "100000");
        assert_eq!(scene.set(A, Setting::Position(PositionMode::Hedge)), OrderEvent::Done);
        if !crossed {
            scene.isolated(A, 20);
        }
        scene.mark("20000");
        scene.trade_at(A, Side::Buy, "5", "20000", PositionEffect::Open);
        scene.trade_at(A, Side::Sell, "4", "20000", PositionEffect::Open);
        for state in scene.sim.positions(A, ONE) {
            let rate = scene.money(state.maintenance) / scene.money(state.value);
            assert_eq!(rate, dec(want), "{state:?}");
        }
        scene.check();
    }
}

#[test]
fn an_old_mark_liquidates_nobody() {
    let mut scene = bitget("0");
    scene.account(A, "1000");
    scene.isolated(A, 100);
    scene.trade_at(A, Side::Buy, "0.010", "20000", PositionEffect::Net);
    scene.mark("20000");
    scene.wait(61);
    // Whatever happens now, the mark is of a minute ago.
    scene.trade_at(A, Side::Sell, "0.001", "10000", PositionEffect::Close);
    assert!(!scene.sim.positions(A, ONE)[0].qty.is_zero());
    scene.mark("10000");
    assert!(scene.sim.positions(A, ONE)[0].qty.is_zero());
    scene.check();
}

#[test]
fn a_mark_from_beside_the_tape_holds_for_a_minute() {
    use papertape::sim::MarkSource;
    let mut scene = bitget("0");
    scene.account(A, "1000");
    scene.book("19999", "20001");
    let beside = News::MarkBeside(FinePrice::read("20500").unwrap());
    scene.group(GroupKind::Update, &[MarketEvent::News(beside)]);
    let source = |scene: &Scene| scene.sim.mark(ONE).map(|(price, source)| (price.to_string(), source));
    assert_eq!(source(&scene), Some(("20500".to_owned(), MarkSource::Beside)));
    scene.wait(60);
    scene.book("19999", "20001");
    assert_eq!(source(&scene), Some(("20500".to_owned(), MarkSource::Beside)));
    scene.wait(1);
    scene.book("19999", "20001");
    assert_eq!(source(&scene), Some(("20000".to_owned(), MarkSource::Mid)));
    // The tape's own is better at once.
    scene.group(GroupKind::Update, &[MarketEvent::News(beside)]);
    scene.mark("20100");
    assert_eq!(source(&scene), Some(("20100".to_owned(), MarkSource::Tape)));
}

#[test]
fn margin_is_what_new_orders_are_refused_for() {
    let mut scene = bitget("0.0006");
    scene.account(A, "100");
    scene.leverage(A, 10);
    scene.book("19999", "20000");
    // 0.05 × 20,000 = 1,000: (100 + 0.6) × 1.1 = 110.66.
    let answer = scene.order(A, Side::Buy, "0.050", PositionEffect::Net);
    let OrderEvent::Rejected(RejectReason::InsufficientBalance { needed, available, .. }) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!((scene.money(needed), scene.money(available)), (dec("110.66"), dec("100")));
    assert_eq!(scene.order(A, Side::Buy, "0.045", PositionEffect::Net), OrderEvent::Accepted);
    // What only closes needs no margin, and nothing is left for more.
    assert!(matches!(scene.order(A, Side::Buy, "0.005", PositionEffect::Net), OrderEvent::Rejected(_)));
    assert_eq!(scene.order(A, Side::Sell, "0.045", PositionEffect::Close), OrderEvent::Accepted);
    assert_eq!(
        scene.order(A, Side::Sell, "0.045", PositionEffect::Close),
        OrderEvent::Rejected(RejectReason::NothingToReduce)
    );
    scene.check();
}

#[test]
fn settings_are_refused_as_the_venues_do() {
    let mut scene = bitget("0");
    scene.account(A, "100");
    let set = |scene: &mut Scene, setting| scene.set(A, setting);
    let max = Leverage::times(125);
    assert_eq!(
        set(&mut scene, Setting::Leverage { side: None, leverage: Leverage::times(126) }),
        OrderEvent::Rejected(RejectReason::LeverageOutOfRange { max })
    );
    scene.isolated(A, 50);
    scene.trade_at(A, Side::Buy, "0.100", "20000", PositionEffect::Net);
    assert_eq!(scene.available(A), dec("60"));
    assert_eq!(
        set(&mut scene, Setting::Position(PositionMode::Hedge)),
        OrderEvent::Rejected(RejectReason::PositionsOpen)
    );
    // 2,000 at 25x needs 80 of margin: 40 more. At 10x 200.
    scene.leverage(A, 25);
    assert_eq!(scene.available(A), dec("20"));
    let low = Setting::Leverage { side: None, leverage: Leverage::times(10) };
    assert!(matches!(set(&mut scene, low), OrderEvent::Rejected(RejectReason::InsufficientBalance { .. })));
    assert_eq!(scene.available(A), dec("20"));
    // More margin, and back what is more than needed.
    let scale = u32::from(scene.sim.asset_scale(scene.settle));
    let amount = |units: i128| Money(units * 10_i128.pow(scale));
    let side = PositionSide::Net;
    assert_eq!(set(&mut scene, Setting::Move { side, amount: amount(15) }), OrderEvent::Done);
    assert_eq!(scene.available(A), dec("5"));
    assert_eq!(
        set(&mut scene, Setting::Move { side, amount: amount(-16) }),
        OrderEvent::Rejected(RejectReason::MarginNotMovable)
    );
    assert_eq!(set(&mut scene, Setting::Move { side, amount: amount(-15) }), OrderEvent::Done);
    scene.check();
    let config = market(venue("bitmex").unwrap(), "XBTUSD", "XBT-USD", inverse(), (4, 0), "0");
    let mut bitmex = Scene::new("bitmex", config);
    bitmex.account(A, "1");
    assert_eq!(
        bitmex.set(A, Setting::Position(PositionMode::Hedge)),
        OrderEvent::Rejected(RejectReason::ModeNotSupported)
    );
}

/// An order on spot is no reason to refuse the mode of contracts (found by a client's suite after another's).
#[test]
fn an_open_order_on_spot_keeps_no_position_mode() {
    let bitmart = venue("bitmart").unwrap();
    let contract = market(bitmart, "BTCUSDT", "BTC-USDT", linear("0.001"), (1, 0), "0");
    let spot = Instrument::spot("BTC_USDT", "BTC-USDT".parse().unwrap(), 1, 5).unwrap();
    let spot = MarketConfig::spot(spot, FeeSchedule::flat_rates(Rate(0), Rate(0), "test"));
    let mut scene = Scene::of("bitmart", vec![contract, spot.clone()]);
    scene.account(A, "1000");
    let price = spot.instrument.price("60000").unwrap();
    let qty = spot.instrument.qty("0.001").unwrap();
    let level = |side, price| {
        let price = spot.instrument.price(price).unwrap();
        MarketEvent::Level { side, price, qty: Qty::from_units(1_000_000) }
    };
    let events = [level(Side::Buy, "60999.9"), level(Side::Sell, "61000")];
    let now = scene.now;
    scene.apply(Input::Market(Group {
        instrument: InstrumentId(1),
        kind: GroupKind::Snapshot,
        exchange_time: now,
        receive_time: now,
        events: &events,
        ids: &[],
    }));
    let order = NewOrder::limit(InstrumentId(1), Side::Buy, qty, price);
    assert_eq!(scene.send(A, RequestBody::Place(order)), OrderEvent::Accepted);
    assert_eq!(scene.set(A, Setting::Position(PositionMode::Hedge)), OrderEvent::Done);
    assert_eq!(scene.sim.open_orders(A).len(), 1);
    scene.book("60999.9", "61000");
    let qty = scene.instrument.qty("1").unwrap();
    let order = NewOrder { effect: PositionEffect::Open, ..NewOrder::limit(ONE, Side::Buy, qty, price) };
    assert_eq!(scene.send(A, RequestBody::Place(order)), OrderEvent::Accepted);
    assert_eq!(
        scene.set(A, Setting::Position(PositionMode::OneWay)),
        OrderEvent::Rejected(RejectReason::PositionsOpen)
    );
}

#[test]
fn reduce_only_orders_are_cut_to_the_position() {
    for (name, left) in [("bitmex", ["10100"].as_slice()), ("bitget", &["10500"])] {
        let product = if name == "bitmex" { inverse() } else { linear("1") };
        let config = market(venue(name).unwrap(), "X", "XBT-USD", product, (1, 0), "0");
        let mut scene = Scene::new(name, config);
        scene.account(A, "1000000");
        scene.trade_at(A, Side::Buy, "10", "10000", PositionEffect::Net);
        for price in ["10100", "10500"] {
            let price = scene.instrument.price(price).unwrap();
            let limit = NewOrder::limit(ONE, Side::Sell, Qty::from_units(6), price);
            let order = NewOrder { effect: PositionEffect::Close, ..limit };
            assert_eq!(scene.send(A, RequestBody::Place(order)), OrderEvent::Accepted);
        }
        // Twelve to close, ten are there: the least aggressive is cut at BitMEX, the oldest at Bitget.
        let leaves = |scene: &Scene| {
            let open = scene.sim.open_orders(A);
            let each = open.iter().map(|order| {
                let price = scene.instrument.show_price(order.price.unwrap()).to_string();
                (price, (order.qty - order.filled).units())
            });
            each.collect::<Vec<_>>()
        };
        let want = if name == "bitmex" { [6, 4] } else { [4, 6] };
        assert_eq!(leaves(&scene), [("10100".to_owned(), want[0]), ("10500".to_owned(), want[1])], "{name}");
        // Eight are sold otherwise: two are left.
        scene.trade_at(A, Side::Sell, "8", "9000", PositionEffect::Net);
        let open = leaves(&scene);
        assert_eq!(open.iter().map(|(price, _)| price.as_str()).collect::<Vec<_>>(), left, "{name}");
        assert_eq!(open[0].1, 2);
        scene.trade_at(A, Side::Sell, "2", "9000", PositionEffect::Net);
        assert!(leaves(&scene).is_empty(), "{name}");
        scene.check();
    }
}

/// A thousand leveraged accounts fall 20 % in 30 s.
#[test]
fn a_crash_leaves_nobody_below_zero() {
    let mut scene = bitget("0.0006");
    let count = 1_000;
    for at in 1..=count {
        let account = AccountId(at);
        scene.account(account, "1000");
        if at % 2 == 0 {
            scene.isolated(account, 5 + at % 100);
        } else {
            scene.leverage(account, 5 + at % 100);
        }
        let side = if at % 5 == 0 { Side::Sell } else { Side::Buy };
        let qty = format!("0.{:03}", 20 + at % 300);
        scene.book_at(side, "20000");
        scene.order(account, side, &qty, PositionEffect::Net);
    }
    let held = |scene: &Scene| {
        (1..=count)
            .filter(|at| !scene.sim.positions(AccountId(*at), ONE).iter().all(|p| p.qty.is_zero()))
            .count()
    };
    let before = held(&scene);
    assert!(before > 900, "{before} hold a position");
    for step in 0..30 {
        scene.wait(1);
        let mark = dec("20000") * (Decimal::ONE - Decimal::new(step, 0) * dec("0.2") / dec("29"));
        scene.mark(&mark.round_dp(4).to_string());
    }
    assert!(held(&scene) + 400 < before, "{} of {before} are left", held(&scene));
    scene.check();
    let mut insured = 0;
    for at in 1..=count {
        let balance = scene.sim.balance(AccountId(at), scene.settle);
        assert!(balance.total.0 >= 0 && balance.held.0 >= 0, "account {at}: {balance:?}");
    }
    for row in scene.rows.iter().filter(|row| row.owner == Owner::Insurance) {
        assert_eq!(row.cause, Cause::Liquidation);
        insured += 1;
    }
    assert!(insured > 100, "{insured} rows of the insurance fund");
}

#[derive(Clone, Debug)]
enum Act {
    Trade(u32, Side, i64, PositionEffect),
    Rest(u32, Side, i64, i64, PositionEffect),
    Mark(i64),
    Index(i64),
    Set(u32, Setting),
    Book(i64),
    Print(Side, i64, i64),
    Cancel(u32),
    Flatten(u32),
    Wait(u64),
}

fn act() -> impl Strategy<Value = Act> {
    let side = || prop_oneof![Just(Side::Buy), Just(Side::Sell)];
    let effect = || {
        prop_oneof![
            3 => Just(PositionEffect::Net),
            2 => Just(PositionEffect::Open),
            2 => Just(PositionEffect::Close)
        ]
    };
    let who = || 1..4_u32;
    let setting = prop_oneof![
        (1..120_u32).prop_map(|times| Setting::Leverage { side: None, leverage: Leverage::times(times) }),
        prop_oneof![Just(MarginMode::Cross), Just(MarginMode::Isolated)].prop_map(Setting::Margin),
        prop_oneof![Just(PositionMode::OneWay), Just(PositionMode::Hedge)].prop_map(Setting::Position),
    ];
    prop_oneof![
        4 => (who(), side(), 1..400_i64, effect()).prop_map(|(w, s, q, e)| Act::Trade(w, s, q, e)),
        4 => (who(), side(), 9_500..10_500_i64, 1..400_i64, effect()).prop_map(|(w, s, p, q, e)| Act::Rest(w, s, p, q, e)),
        3 => (8_000..12_000_i64).prop_map(Act::Mark),
        1 => (8_000..12_000_i64).prop_map(Act::Index),
        2 => (who(), setting).prop_map(|(w, s)| Act::Set(w, s)),
        2 => (9_600..10_400_i64).prop_map(Act::Book),
        2 => (side(), 9_500..10_500_i64, 1..600_i64).prop_map(|(s, p, q)| Act::Print(s, p, q)),
        1 => who().prop_map(Act::Cancel),
        1 => who().prop_map(Act::Flatten),
        1 => (1..40_000_u64).prop_map(Act::Wait),
    ]
}

fn play(scene: &mut Scene, act: &Act) {
    match act.clone() {
        Act::Trade(who, side, qty, effect) => {
            let order = NewOrder::market(ONE, side, Qty::from_units(qty));
            scene.send(AccountId(who), RequestBody::Place(NewOrder { effect, ..order }));
        }
        Act::Rest(who, side, price, qty, effect) => {
            let order = NewOrder::limit(ONE, side, Qty::from_units(qty), Price::from_units(price));
            scene.send(AccountId(who), RequestBody::Place(NewOrder { effect, ..order }));
        }
        Act::Mark(price) => {
            let price = FinePrice::from_units(price * 1_000_000_000);
            scene.group(GroupKind::Update, &[MarketEvent::News(News::Mark(price))]);
        }
        Act::Index(price) => {
            let price = FinePrice::from_units(price * 1_000_000_000);
            scene.group(GroupKind::Update, &[MarketEvent::News(News::Index(price))]);
        }
        Act::Set(who, setting) => {
            scene.set(AccountId(who), setting);
        }
        Act::Book(mid) => {
            let level = |side, price, qty| MarketEvent::Level {
                side,
                price: Price::from_units(price),
                qty: Qty::from_units(qty),
            };
            let levels: Vec<MarketEvent> = (0..4)
                .flat_map(|at| {
                    [level(Side::Buy, mid - 1 - at * 7, 150), level(Side::Sell, mid + 1 + at * 7, 150)]
                })
                .collect();
            scene.group(GroupKind::Snapshot, &levels);
        }
        Act::Print(side, price, qty) => {
            let print = papertape::market::Print {
                aggressor: Some(side),
                id: papertape::market::IdSpan::default(),
                price: Price::from_units(price),
                qty: Qty::from_units(qty),
            };
            scene.group(GroupKind::Update, &[MarketEvent::Trade(print)]);
        }
        Act::Cancel(who) => {
            scene.send(AccountId(who), RequestBody::CancelAll { instrument: None });
        }
        Act::Flatten(who) => {
            let equity = |scene: &Scene| scene.total(AccountId(who));
            let before = equity(scene);
            scene.apply(Input::Admin(Admin::Flatten(AccountId(who))));
            assert!(scene.sim.positions(AccountId(who), ONE).iter().all(|state| state.qty.is_zero()));
            assert_eq!(equity(scene), before, "nobody gains");
        }
        Act::Wait(seconds) => scene.wait(seconds),
    }
}

/// Venue, pair, product, and what each account has.
fn venues() -> [(&'static str, &'static str, Product, &'static str); 5] {
    [
        ("bitmex", "XBT-USD", inverse(), "0.02"),
        ("bitget", "XBT-USDT", linear("1"), "20000"),
        ("phemex", "XBT-USD", linear("1"), "20000"),
        ("bitmart", "XBT-USDT", linear("0.1"), "20000"),
        // Settled in the coin.
        ("bitget", "XBT-USD", linear("1"), "20"),
    ]
}

fn start(at: usize) -> Scene {
    let (name, pair, product, wallet) = venues()[at];
    let config = market(venue(name).unwrap(), "X", pair, product, (1, 0), "0.0006");
    let mut scene = Scene::new(name, config);
    for who in 1..4 {
        scene.account(AccountId(who), wallet);
    }
    play(&mut scene, &Act::Book(10_000));
    scene
}

/// How much each account's positions come to, and in which legs.
fn legs(scene: &Scene) -> BTreeMap<(u32, PositionSide), i64> {
    let mut found = BTreeMap::new();
    for who in 1..4 {
        for state in scene.sim.positions(AccountId(who), ONE) {
            found.insert((who, state.side), state.qty.units());
        }
    }
    found
}

fn cases(usual: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { cases: asked.unwrap_or(usual), failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(300))]

    /// Money sums to zero, nobody is below zero, what only closes never opens, and what is put aside is what the
    /// positions say.
    #[test]
    fn margin_accounts_hold(at in 0..5_usize, acts in prop::collection::vec(act(), 1..60)) {
        let mut scene = start(at);
        for act in &acts {
            let before = legs(&scene);
            // Who meets an own resting order trades twice at once.
            let alone = (1..4).map(|who| scene.sim.open_orders(AccountId(who)).is_empty()).collect::<Vec<_>>();
            let from = scene.told.len();
            play(&mut scene, act);
            let after = legs(&scene);
            if let Act::Trade(who, side, _, PositionEffect::Close) = act
                && alone[*who as usize - 1]
            {
                for (key, qty) in after.iter().filter(|((owner, _), _)| owner == who) {
                    let old = before.get(key).copied().unwrap_or(0);
                    let closes = if *side == Side::Sell { *qty <= old && (*qty >= 0 || old < 0) } else { *qty >= old && (*qty <= 0 || old > 0) };
                    // Closing one leg at a loss can cost some or all of the other, which was carried by it.
                    let lost = scene.told[from..].iter().any(|told| {
                        matches!(told, UpdateBody::Liquidation(lost) if lost.account == AccountId(*who))
                    });
                    prop_assert!(
                        (closes || lost) && qty.abs() <= old.abs() || qty == &old,
                        "{key:?}: {old} to {qty} by {act:?}"
                    );
                }
            }
            for who in 1..4 {
                let states = scene.sim.positions(AccountId(who), ONE);
                let put_aside: i128 = states.iter().filter(|state| state.margin == MarginMode::Isolated).map(|state| state.assigned.0).sum();
                let held = scene.sim.balance(AccountId(who), scene.settle).held.0;
                prop_assert_eq!(held, put_aside, "account {} after {:?}", who, act);
                for state in &states {
                    prop_assert!(state.side != PositionSide::Long || state.qty.units() >= 0);
                    prop_assert!(state.side != PositionSide::Short || state.qty.units() <= 0);
                    prop_assert_eq!(state.qty.is_zero(), state.cost.is_zero());
                }
            }
        }
        scene.check();
        // Without anything open, nothing is needed: all that is there is available.
        for who in 1..4 {
            scene.send(AccountId(who), RequestBody::CancelAll { instrument: None });
            let account = AccountId(who);
            if scene.sim.positions(account, ONE).iter().all(|state| state.qty.is_zero()) {
                prop_assert_eq!(scene.sim.available(account, scene.settle), scene.sim.balance(account, scene.settle).total);
            }
        }
    }

    /// The same acts give the same state; and a saved exchange goes on exactly where it stood.
    #[test]
    fn a_saved_margin_account_goes_on(at in 0..5_usize, acts in prop::collection::vec(act(), 2..40), cut in 0..40_usize) {
        let mut whole = start(at);
        let mut other = start(at);
        let cut = cut % acts.len();
        for (step, act) in acts.iter().enumerate() {
            if step == cut {
                let state = other.sim.save().unwrap();
                other.sim = SimulatedExchange::restore(other.sim.config().clone(), state).unwrap();
            }
            play(&mut whole, act);
            play(&mut other, act);
            prop_assert_eq!(whole.sim.state_hash(), other.sim.state_hash(), "after step {} of {:?}", step, acts);
        }
        prop_assert_eq!(whole.told, other.told);
    }

    /// Where only longs are used, hedge and one-way come to the same money.
    #[test]
    fn one_side_is_the_same_in_both_modes(at in 1..5_usize, sizes in prop::collection::vec((any::<bool>(), 1..200_i64, 9_600..10_400_i64), 1..25)) {
        let mut one_way = start(at);
        let mut hedge = start(at);
        prop_assert_eq!(hedge.set(A, Setting::Position(PositionMode::Hedge)), OrderEvent::Done);
        for (opens, qty, mid) in sizes {
            let (side, effect) = if opens { (Side::Buy, PositionEffect::Open) } else { (Side::Sell, PositionEffect::Close) };
            for scene in [&mut one_way, &mut hedge] {
                play(scene, &Act::Book(mid));
                play(scene, &Act::Trade(1, side, qty, effect));
            }
            prop_assert_eq!(one_way.total(A), hedge.total(A));
            prop_assert_eq!(one_way.available(A), hedge.available(A));
        }
    }
}

/// A higher leverage gives back what the position can spare at the coin's price of today, which may be less than it would
/// have been at the price of the day on which it was put aside.
#[test]
fn a_higher_leverage_gives_back_no_more_than_there_is() {
    let mut scene = coin_margined("0");
    scene.account(A, "1");
    scene.isolated(A, 10);
    scene.index("20000");
    scene.mark("20000");
    scene.trade_at(A, Side::Sell, "0.1", "20000", PositionEffect::Net);
    let held = |scene: &Scene| scene.money(scene.sim.balance(A, scene.settle).held);
    // A tenth of 2,000 USD is 0.01 of the coin.
    assert_eq!(held(&scene), dec("0.01"));
    // The coin halves: that tenth would be 0.02 today, and at 50 times 0.004 is needed.
    scene.index("10000");
    scene.leverage(A, 50);
    assert_eq!(held(&scene), dec("0.004"));
    // Back at 10 times, the difference is put aside at today's price.
    scene.leverage(A, 10);
    assert_eq!(held(&scene), dec("0.02"));
    scene.check();
}

/// An order that waits for the mark price is woken by it, and by nothing else.
#[test]
fn stops_wait_for_the_price_that_they_name() {
    use papertape::order::{Trigger, TriggerBy, TriggerKind};
    for by in [TriggerBy::Mark, TriggerBy::Index] {
        let mut scene = bitget("0");
        scene.account(A, "1000");
        scene.trade_at(A, Side::Buy, "0.010", "20000", PositionEffect::Net);
        let trigger =
            Trigger { kind: TriggerKind::Stop, price: scene.instrument.price("19000").unwrap(), by };
        let qty = scene.instrument.qty("0.010").unwrap();
        let order = NewOrder {
            trigger: Some(trigger),
            effect: PositionEffect::Close,
            ..NewOrder::market(ONE, Side::Sell, qty)
        };
        assert_eq!(order.kind, OrderKind::Market);
        assert_eq!(order.tif, TimeInForce::Ioc);
        assert_eq!(scene.send(A, RequestBody::Place(order)), OrderEvent::Accepted);
        let news = |price: &str| {
            let price = FinePrice::read(price).unwrap();
            MarketEvent::News(if by == TriggerBy::Mark { News::Mark(price) } else { News::Index(price) })
        };
        scene.group(GroupKind::Update, &[news("19000.01")]);
        assert_eq!(scene.sim.open_orders(A).len(), 1);
        scene.group(GroupKind::Update, &[news("19000")]);
        assert!(scene.sim.open_orders(A).is_empty(), "{by:?}");
        assert!(scene.sim.positions(A, ONE)[0].qty.is_zero());
        scene.check();
    }
}

#[test]
fn assets_that_contracts_do_not_settle_in_are_of_no_use() {
    let config = market(
        venue("bitmex").unwrap(),
        "ETHUSD",
        "ETH-USD",
        Product::Quanto { multiplier: dec("0.000001") },
        (2, 0),
        "0",
    );
    let scene = Scene::new("bitmex", config);
    let uses = |name: &str| scene.sim.uses(&Asset::new(name));
    assert_eq!((uses("XBT"), uses("ETH"), uses("USD")), (true, false, false));
}

/// XBTUSD with ticks of 0.1 and no fees, and an account of 10 XBT.
fn special() -> Scene {
    let mut config = market(venue("bitmex").unwrap(), "XBTUSD", "XBT-USD", inverse(), (1, 0), "0");
    config.instrument.rule.lot = Qty::from_units(100);
    config.instrument.rule.min_qty = Qty::from_units(100);
    let mut scene = Scene::new("bitmex", config);
    scene.account(A, "10");
    scene
}

impl Scene {
    /// The whole book, as `(side, price, amount)`.
    fn levels(&mut self, levels: &[(Side, &str, &str)]) {
        let level = |(side, price, qty): &(Side, &str, &str)| MarketEvent::Level {
            side: *side,
            price: self.instrument.price(price).unwrap(),
            qty: self.instrument.qty(qty).unwrap(),
        };
        let events: Vec<MarketEvent> = levels.iter().map(level).collect();
        self.group(GroupKind::Snapshot, &events);
    }

    fn print(&mut self, aggressor: Side, qty: &str, price: &str) {
        let (price, qty) = (self.instrument.price(price).unwrap(), self.instrument.qty(qty).unwrap());
        let print =
            papertape::market::Print { price, qty, aggressor: Some(aggressor), id: Default::default() };
        self.group(GroupKind::Update, &[MarketEvent::Trade(print)]);
    }

    fn limit(&self, side: Side, qty: &str, price: &str) -> NewOrder {
        let (price, qty) = (self.instrument.price(price).unwrap(), self.instrument.qty(qty).unwrap());
        NewOrder::limit(ONE, side, qty, price)
    }

    fn special(&mut self, special: SpecialOrder) -> OrderEvent {
        self.send(A, RequestBody::PlaceSpecial(Box::new(special)))
    }

    /// Amount and what has filled of the only open order, and what the public sees at its price.
    fn shown(&self) -> (String, String, String) {
        let order = self.sim.open_orders(A).into_iter().next().expect("an order");
        let mut levels = self.sim.levels(ONE, order.side, papertape::sim::View::Public);
        let level = levels.find(|level| Some(level.price) == order.price);
        let show = |qty| self.instrument.show_qty(qty).to_string();
        (show(order.qty), show(order.filled), show(level.map_or(Qty::ZERO, |level| level.qty)))
    }
}

/// An iceberg order shows a slice; when it has filled, the next joins the back of the queue.
#[test]
fn an_iceberg_shows_one_slice_after_the_other() {
    let mut scene = special();
    let around = [(Side::Buy, "59980.0", "5000"), (Side::Sell, "60000.0", "5000")];
    scene.levels(&around);
    let order = scene.limit(Side::Buy, "1000", "59990.0");
    let display = Some(scene.instrument.qty("300").unwrap());
    assert_eq!(scene.special(SpecialOrder { display, ..SpecialOrder::new(order) }), OrderEvent::Accepted);
    let available = scene.available(A);
    let is = |scene: &Scene, want: [&str; 3]| {
        let (qty, filled, shown) = scene.shown();
        assert_eq!([qty.as_str(), filled.as_str(), shown.as_str()], want);
    };
    is(&scene, ["1000", "0", "300"]);
    scene.print(Side::Sell, "200", "59990.0");
    is(&scene, ["1000", "200", "100"]);
    // 100 end the slice, nobody else is there: the next slice takes the other 100.
    scene.print(Side::Sell, "200", "59990.0");
    is(&scene, ["1000", "400", "200"]);
    // Others come: 500 behind the slice. When it has filled, the next stands behind them.
    scene.levels(&[around[0], around[1], (Side::Buy, "59990.0", "500")]);
    is(&scene, ["1000", "400", "700"]);
    scene.print(Side::Sell, "200", "59990.0");
    is(&scene, ["1000", "600", "800"]);
    scene.print(Side::Sell, "400", "59990.0");
    assert_eq!(scene.shown().1, "600", "400 of the 500 ahead have gone first");
    scene.print(Side::Sell, "200", "59990.0");
    assert_eq!(scene.shown().1, "700", "the other 100 ahead, then 100 of the slice");
    // A fall through the price takes all that is left, hidden or not.
    scene.print(Side::Sell, "5000", "59970.0");
    assert!(scene.sim.open_orders(A).is_empty());
    assert_eq!(scene.position(A).qty, scene.instrument.qty("1000").unwrap());
    assert!(scene.available(A) > available - dec("0.02"));
    scene.check();
}

/// What is hidden needs margin as what is shown, and is given back with it.
#[test]
fn what_an_iceberg_hides_needs_its_margin() {
    let mut scene = special();
    scene.levels(&[(Side::Buy, "59980.0", "5000"), (Side::Sell, "60000.0", "5000")]);
    let before = scene.available(A);
    let plain = scene.limit(Side::Buy, "100000", "59990.0");
    scene.send(A, RequestBody::Place(plain.clone()));
    let with_plain = scene.available(A);
    scene.send(A, RequestBody::CancelAll { instrument: None });
    let display = Some(scene.instrument.qty("100").unwrap());
    scene.special(SpecialOrder { display, ..SpecialOrder::new(plain.clone()) });
    assert_eq!(scene.available(A), with_plain);
    scene.print(Side::Sell, "300", "59990.0");
    assert_eq!(scene.shown(), ("100000".to_owned(), "300".to_owned(), "100".to_owned()));
    scene.send(A, RequestBody::CancelAll { instrument: None });
    scene.order(A, Side::Sell, "300", PositionEffect::Close);
    // 300 contracts bought at 59,990 and sold at 59,980: 1,666.94 and 1,667.22 satoshi each, a loss of 84 satoshi.
    assert_eq!(before - scene.available(A), dec("0.00000084"));
    scene.check();
}

/// Amending an iceberg order (rule 10): a smaller amount comes off what is hidden first and keeps the place of what is
/// shown; anything else joins anew with a new slice, and a price that crosses takes with all of it.
#[test]
fn an_iceberg_is_amended_with_what_it_hides() {
    let mut scene = special();
    scene.levels(&[(Side::Buy, "59980.0", "5000"), (Side::Sell, "60000.0", "5000")]);
    let order = scene.limit(Side::Buy, "1000", "59990.0");
    let display = Some(scene.instrument.qty("300").unwrap());
    let placed = scene.special(SpecialOrder { display, ..SpecialOrder::new(order) });
    assert_eq!(placed, OrderEvent::Accepted);
    let amend = |scene: &mut Scene, price: Option<&str>, qty: Option<&str>| {
        let order = OrderRef::Id(scene.sim.open_orders(A)[0].id);
        let price = price.map(|price| scene.instrument.price(price).unwrap());
        let qty = qty.map(|qty| scene.instrument.qty(qty).unwrap());
        scene.send(A, RequestBody::Amend { order, price, qty })
    };
    let needed = |scene: &Scene| scene.total(A) - scene.available(A);
    let (all, shown) = (needed(&scene), |scene: &Scene| {
        let (qty, filled, level) = scene.shown();
        format!("{qty} {filled} {level}")
    });
    assert_eq!(shown(&scene), "1000 0 300");
    let (kept, anew) = (OrderEvent::Amended { kept_place: true }, OrderEvent::Amended { kept_place: false });
    assert_eq!(amend(&mut scene, None, Some("800")), kept);
    assert_eq!(shown(&scene), "800 0 300");
    assert_eq!((needed(&scene) / all).round_dp(6), dec("0.8"));
    scene.print(Side::Sell, "100", "59990.0");
    assert_eq!(shown(&scene), "800 100 200");
    // More than what is hidden: what is shown is cut too.
    assert_eq!(amend(&mut scene, None, Some("200")), kept);
    assert_eq!(shown(&scene), "200 100 100");
    assert_eq!(amend(&mut scene, None, Some("1000")), anew);
    assert_eq!(shown(&scene), "1000 100 300");
    assert_eq!(amend(&mut scene, Some("59991.0"), None), anew);
    assert_eq!(shown(&scene), "1000 100 300");
    // Slices come one after the other as before.
    scene.print(Side::Sell, "300", "59991.0");
    assert_eq!(shown(&scene), "1000 400 300");
    assert_eq!(amend(&mut scene, Some("60000.0"), None), anew);
    assert!(scene.sim.open_orders(A).is_empty(), "600 were taken at once");
    assert_eq!(scene.position(A).qty, scene.instrument.qty("1000").unwrap());
    scene.check();
}

fn stop(scene: &Scene, side: Side, qty: &str, price: &str) -> NewOrder {
    let qty = scene.instrument.qty(qty).unwrap();
    let price = scene.instrument.price(price).unwrap();
    let trigger = Trigger { kind: TriggerKind::Stop, price, by: TriggerBy::Mark };
    NewOrder { trigger: Some(trigger), effect: PositionEffect::Close, ..NewOrder::market(ONE, side, qty) }
}

/// BitMEX: a trailing stop follows the mark, once a second at most and after moves of more than 0.1 %; it never goes back.
#[test]
fn a_trailing_stop_follows_the_market_one_way() {
    let mut scene = special();
    scene.mark("60000");
    scene.trade_at(A, Side::Buy, "1000", "60000.0", PositionEffect::Net);
    let distance = scene.instrument.price("500").unwrap();
    let order = stop(&scene, Side::Sell, "1000", "1");
    let special = SpecialOrder { trail: Some(Trail { distance }), ..SpecialOrder::new(order) };
    assert_eq!(scene.special(special.clone()), OrderEvent::Accepted);
    for (wait, mark, want) in [
        (0, "60000", "59500"),
        // 0.05 %: too little.
        (2, "60030", "59500"),
        // 0.2 %.
        (2, "60120", "59620"),
        // 0.3 % more, but in the same second.
        (0, "60300", "59620"),
        (1, "60300.05", "59800.1"),
        // It does not go back.
        (2, "59900", "59800.1"),
    ] {
        scene.wait(wait);
        scene.mark(mark);
        let trigger = scene.sim.open_orders(A)[0].trigger().unwrap();
        assert_eq!(scene.instrument.show_price(trigger.price).to_string(), want, "mark {mark}");
    }
    scene.wait(1);
    scene.mark("59800");
    assert!(scene.sim.open_orders(A).is_empty());
    assert!(scene.sim.positions(A, ONE).iter().all(|position| position.qty.is_zero()), "it closed");
    scene.check();
    // A venue without them refuses them.
    let config = market(venue("bitget").unwrap(), "BTCUSDT", "BTC-USDT", linear("1"), (1, 3), "0");
    let mut other = Scene::new("bitget", config);
    other.account(A, "1000");
    other.mark("60000");
    other.book("59999.9", "60000.0");
    assert_eq!(other.special(special), OrderEvent::Rejected(RejectReason::Unsupported));
}

/// BitMEX: a stop by the last price near the mark is woken by prints within 5 % of the mark, and by no others.
#[test]
fn a_print_that_strays_from_the_mark_wakes_nobody() {
    for (mark, prints, wakes) in [
        ("60000", &["58000.1"][..], false),
        ("60000", &["58000"][..], true),
        ("60000", &["57000"][..], true),
        ("60000", &["56999.9"][..], false),
        // It is the print that counts, not where the group ends.
        ("60000", &["50000", "57500", "50000"][..], true),
        ("60000", &["63000.1", "50000"][..], false),
        // What strays now may be near later: a print is looked at when it comes.
        ("59000", &["56999.9"][..], true),
        ("66000", &["58000"][..], false),
        // Where none is told, the middle of the book is the mark price.
        ("", &["58000"][..], true),
        ("", &["56999.9"][..], false),
    ] {
        let mut scene = special();
        scene.book("59999.9", "60000.0");
        if !mark.is_empty() {
            scene.mark(mark);
        }
        let mut order = stop(&scene, Side::Sell, "100", "58000");
        order.effect = PositionEffect::Net;
        order.trigger.as_mut().unwrap().by = TriggerBy::LastNearMark;
        assert_eq!(scene.send(A, RequestBody::Place(order)), OrderEvent::Accepted);
        let print = |price: &&str| {
            let (price, qty) = (scene.instrument.price(price).unwrap(), scene.instrument.qty("100").unwrap());
            let id = Default::default();
            MarketEvent::Trade(papertape::market::Print { price, qty, aggressor: Some(Side::Sell), id })
        };
        let events: Vec<MarketEvent> = prints.iter().map(print).collect();
        scene.group(GroupKind::Update, &events);
        assert_eq!(scene.sim.open_orders(A).is_empty(), wakes, "mark {mark:?}, prints {prints:?}");
        scene.check();
    }
}

/// The mark may be near a print that has been: it takes another print to wake the order. A trail goes on behind all prints;
/// who knows no such trigger refuses it.
#[test]
fn what_waits_near_the_mark_also_trails() {
    let near = |scene: &Scene| {
        let mut order = stop(scene, Side::Sell, "100", "1");
        order.effect = PositionEffect::Net;
        order.trigger.as_mut().unwrap().by = TriggerBy::LastNearMark;
        order
    };
    let mut scene = special();
    scene.book("59999.9", "60000.0");
    scene.mark("60000");
    scene.print(Side::Buy, "100", "60000");
    let trail = Some(Trail { distance: scene.instrument.price("500").unwrap() });
    let special = SpecialOrder { trail, ..SpecialOrder::new(near(&scene)) };
    assert_eq!(scene.special(special), OrderEvent::Accepted);
    scene.wait(2);
    scene.print(Side::Buy, "100", "61000");
    let trigger = |scene: &Scene| scene.sim.open_orders(A)[0].trigger().unwrap();
    assert_eq!(scene.instrument.show_price(trigger(&scene).price).to_string(), "60500");
    assert_eq!(trigger(&scene).by, TriggerBy::LastNearMark);
    scene.print(Side::Sell, "100", "50000");
    scene.mark("50000");
    assert_eq!(scene.sim.open_orders(A).len(), 1);
    scene.print(Side::Sell, "100", "50000");
    assert!(scene.sim.open_orders(A).is_empty());
    scene.check();

    let config = market(venue("bitget").unwrap(), "BTCUSDT", "BTC-USDT", linear("1"), (1, 3), "0");
    let mut other = Scene::new("bitget", config);
    other.account(A, "1000");
    other.mark("60000");
    other.book("59999.9", "60000.0");
    let order = near(&other);
    assert_eq!(other.send(A, RequestBody::Place(order)), OrderEvent::Rejected(RejectReason::Unsupported));
}

/// Another distance sets the trigger anew from the price of now; another trigger is for orders that set it themselves.
#[test]
fn triggers_are_amended() {
    let mut scene = special();
    scene.mark("60000");
    scene.trade_at(A, Side::Buy, "1000", "60000.0", PositionEffect::Net);
    let price = |scene: &Scene, text: &str| Some(scene.instrument.price(text).unwrap());
    let trail = Some(Trail { distance: price(&scene, "500").unwrap() });
    let order = stop(&scene, Side::Sell, "1000", "1");
    scene.special(SpecialOrder { trail, ..SpecialOrder::new(order) });
    let plain = stop(&scene, Side::Sell, "1000", "59000");
    scene.send(A, RequestBody::Place(plain));
    scene.mark("60030");
    let ids: Vec<OrderRef> = scene.sim.open_orders(A).iter().map(|order| OrderRef::Id(order.id)).collect();
    let change = |order: usize| SpecialAmend {
        order: ids[order].clone(),
        price: None,
        qty: None,
        trigger: None,
        distance: None,
        offset: None,
    };
    let refused = |reason| OrderEvent::Rejected(reason);
    let amended = OrderEvent::Amended { kept_place: true };
    let half = Some(scene.instrument.qty("500").unwrap());
    let odd = Some(scene.instrument.qty("501").unwrap());
    let off_lot = RejectReason::OffLot { lot: scene.instrument.rule.lot };
    let (near, same) = (price(&scene, "100"), price(&scene, "59000"));
    for (change, want, triggers) in [
        (SpecialAmend { distance: near, ..change(0) }, amended, ["59930", "59000"]),
        (SpecialAmend { trigger: near, ..change(0) }, refused(RejectReason::Unsupported), ["59930", "59000"]),
        (
            SpecialAmend { distance: near, ..change(1) },
            refused(RejectReason::Unsupported),
            ["59930", "59000"],
        ),
        (SpecialAmend { offset: near, ..change(1) }, refused(RejectReason::Unsupported), ["59930", "59000"]),
        (
            SpecialAmend { trigger: same, ..change(1) },
            refused(RejectReason::NothingToAmend),
            ["59930", "59000"],
        ),
        (SpecialAmend { trigger: price(&scene, "58000"), ..change(1) }, amended, ["59930", "58000"]),
        (SpecialAmend { qty: half, ..change(1) }, amended, ["59930", "58000"]),
        (SpecialAmend { qty: half, ..change(1) }, refused(RejectReason::NothingToAmend), ["59930", "58000"]),
        (SpecialAmend { qty: odd, ..change(1) }, refused(off_lot), ["59930", "58000"]),
        (
            SpecialAmend { trigger: price(&scene, "57000"), price: near, ..change(1) },
            refused(RejectReason::Unsupported),
            ["59930", "58000"],
        ),
    ] {
        let name = format!("{change:?}");
        assert_eq!(scene.send(A, RequestBody::AmendSpecial(Box::new(change))), want, "{name}");
        let now = scene.sim.open_orders(A);
        let shown = |at: usize| scene.instrument.show_price(now[at].trigger().unwrap().price).to_string();
        assert_eq!([shown(0), shown(1)], triggers, "{name}");
    }
    scene.mark("59929");
    assert!(scene.sim.positions(A, ONE).iter().all(|position| position.qty.is_zero()), "it closed");
    scene.check();
}

/// BitMart's trailing orders: they wait for a price, and from there for a turn by a share of the best one.
#[test]
fn a_callback_waits_for_a_price_and_then_for_a_turn() {
    let mut config = market(venue("bitmart").unwrap(), "BTCUSDT", "BTC-USDT", linear("0.001"), (1, 0), "0");
    config.instrument.rule.lot = Qty::from_units(1);
    let mut scene = Scene::new("bitmart", config);
    scene.account(A, "10000");
    scene.mark("60000");
    scene.trade_at(A, Side::Buy, "10", "60000.0", PositionEffect::Net);
    let wait = |scene: &Scene, side, price: &str, effect| {
        let price = scene.instrument.price(price).unwrap();
        let trigger = Some(Trigger { kind: TriggerKind::TakeProfit, price, by: TriggerBy::Mark });
        let qty = scene.instrument.qty("10").unwrap();
        let order = NewOrder { trigger, effect, ..NewOrder::market(ONE, side, qty) };
        // 1 %.
        SpecialOrder { callback: Some(Callback::new(10_000)), ..SpecialOrder::new(order) }
    };
    let sell = wait(&scene, Side::Sell, "61000", PositionEffect::Close);
    assert_eq!(scene.special(sell), OrderEvent::Accepted);
    for (mark, trigger) in [
        ("59000", "61000"),
        ("60999.9", "61000"),
        // 99 % of 61,100.
        ("61100", "60489"),
        ("61000", "60489"),
        ("62000", "61380"),
        // To the next tick above.
        ("62001.55", "61381.6"),
        ("61381.7", "61381.6"),
    ] {
        scene.mark(mark);
        let order = &scene.sim.open_orders(A)[0];
        let price = order.trigger().unwrap().price;
        assert_eq!(scene.instrument.show_price(price).to_string(), trigger, "mark {mark}");
    }
    scene.book("61380.0", "61380.1");
    scene.mark("61381.6");
    assert!(scene.sim.positions(A, ONE).iter().all(|position| position.qty.is_zero()), "it closed");
    // A buy where the market is already below its price begins at once.
    let buy = wait(&scene, Side::Buy, "62000", PositionEffect::Net);
    assert_eq!(scene.special(buy), OrderEvent::Accepted);
    let price = scene.sim.open_orders(A)[0].trigger().unwrap().price;
    assert_eq!(scene.instrument.show_price(price).to_string(), "61995.4");
    scene.mark("61000");
    scene.mark("61610");
    assert_eq!(scene.position(A).qty, scene.instrument.qty("10").unwrap());
    scene.check();
    // A share of nothing, of the whole, and a venue without them.
    for share in [0, 1_000_000] {
        let plain = wait(&scene, Side::Sell, "70000", PositionEffect::Close);
        let order = SpecialOrder { callback: Some(Callback::new(share)), ..plain };
        assert_eq!(scene.special(order), OrderEvent::Rejected(RejectReason::Unsupported));
    }
    let mut other = special();
    other.mark("60000");
    other.book("59999.9", "60000.0");
    let order = wait(&other, Side::Buy, "50000", PositionEffect::Net);
    let order = SpecialOrder {
        order: NewOrder { size: OrderSize::Qty(Qty::from_units(100)), ..order.order },
        ..order
    };
    assert_eq!(other.special(order), OrderEvent::Rejected(RejectReason::Unsupported));
}

/// `Close` without an amount: all that is there when it trades.
#[test]
fn an_order_closes_the_whole_position() {
    let mut scene = special();
    scene.mark("60000");
    scene.book("59999.9", "60000.0");
    let all = |order: NewOrder| SpecialOrder { whole: true, ..SpecialOrder::new(order) };
    let sell = all(NewOrder::market(ONE, Side::Sell, Qty::ZERO));
    assert_eq!(scene.special(sell.clone()), OrderEvent::Rejected(RejectReason::NothingToReduce));
    // One that waits takes what there is when it wakes, also where that was more than when it came.
    scene.order(A, Side::Buy, "300", PositionEffect::Net);
    let waits = all(stop(&scene, Side::Sell, "100", "59900.0"));
    assert_eq!(scene.special(waits), OrderEvent::Accepted);
    scene.order(A, Side::Buy, "400", PositionEffect::Net);
    assert_eq!(scene.position(A).qty, scene.instrument.qty("700").unwrap());
    scene.mark("59900");
    assert!(scene.sim.positions(A, ONE).iter().all(|position| position.qty.is_zero()));
    scene.order(A, Side::Buy, "500", PositionEffect::Net);
    assert_eq!(scene.special(sell), OrderEvent::Accepted);
    assert!(scene.sim.positions(A, ONE).iter().all(|position| position.qty.is_zero()));
    scene.check();
}

/// BitMEX: ten orders that wait, two hundred in all; the eleventh and the two hundred and first are refused.
#[test]
fn orders_are_counted() {
    let mut scene = special();
    scene.mark("60000");
    scene.book("59999.9", "60000.0");
    scene.order(A, Side::Buy, "1000", PositionEffect::Net);
    for at in 0..11 {
        let order = stop(&scene, Side::Sell, "100", "50000");
        let want = if at < 10 {
            OrderEvent::Accepted
        } else {
            OrderEvent::Rejected(RejectReason::TooManyOrders { max: 10 })
        };
        assert_eq!(scene.send(A, RequestBody::Place(order)), want, "stop {at}");
    }
    for at in 10..201 {
        let order = scene.limit(Side::Buy, "100", "50000");
        let want = if at < 200 {
            OrderEvent::Accepted
        } else {
            OrderEvent::Rejected(RejectReason::TooManyOrders { max: 200 })
        };
        assert_eq!(scene.send(A, RequestBody::Place(order)), want, "order {at}");
    }
}

/// BitMEX: a market order trades no further than 5 % beyond the best price or the mark; Bitget refuses limits that are
/// more than 5 % beyond the mark.
#[test]
fn prices_have_bands() {
    for (mark, filled) in [("60000", "500"), ("62000", "1000")] {
        let mut scene = special();
        scene.mark(mark);
        let book =
            [(Side::Buy, "59990.0", "500"), (Side::Sell, "60000.0", "500"), (Side::Sell, "65000.0", "5000")];
        scene.levels(&book);
        scene.order(A, Side::Buy, "1000", PositionEffect::Net);
        assert_eq!(scene.position(A).qty, scene.instrument.qty(filled).unwrap(), "mark {mark}");
        let rest = scene.told.iter().any(|told| {
            matches!(told, UpdateBody::Order(order)
                if order.event == OrderEvent::Cancelled(CancelReason::BookExhausted))
        });
        assert_eq!(rest, filled == "500");
        scene.check();
    }
    let config = market(venue("bitget").unwrap(), "BTCUSDT", "BTC-USDT", linear("1"), (1, 3), "0");
    let mut scene = Scene::new("bitget", config);
    scene.account(A, "100000");
    scene.book("59999.9", "60000.0");
    scene.mark("60000");
    for (side, price, beyond) in [
        (Side::Buy, "63000.0", None),
        (Side::Buy, "63000.1", Some("63000")),
        (Side::Sell, "57000.0", None),
        (Side::Sell, "56999.9", Some("57000")),
        (Side::Buy, "30000.0", None),
        (Side::Sell, "90000.0", None),
    ] {
        let order = scene.limit(side, "0.001", price);
        let want = match beyond.map(|max| scene.instrument.price(max).unwrap()) {
            None => OrderEvent::Accepted,
            Some(max) => OrderEvent::Rejected(RejectReason::PriceOutOfRange { max }),
        };
        assert_eq!(scene.send(A, RequestBody::Place(order)), want, "{side} at {price}");
    }
}

/// Numbers that look random, the same on each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

/// Accounts are looked at only where their risk can change: after each mark nobody who is lost is left, whatever the
/// venue reckons with, however the mark walks and leaps, and whatever accounts do between.
#[test]
fn nobody_who_is_lost_is_left_after_a_mark() {
    for (name, symbol, pair, product, scales) in [
        ("bitmex", "XBTUSD", "XBT-USD", inverse(), (1, 0)),
        ("bitmex", "XBTUSDT", "XBT-USDT", linear("0.000001"), (1, 0)),
        ("bitget", "BTCUSDT", "BTC-USDT", linear("1"), (1, 3)),
        ("bitget", "BTCUSD", "BTC-USD", linear("1"), (1, 3)),
        ("phemex", "BTCUSDT", "BTC-USDT", linear("1"), (1, 3)),
        ("bitmart", "BTCUSDT", "BTC-USDT", linear("0.001"), (1, 0)),
    ] {
        let config = market(venue(name).unwrap(), symbol, pair, product, scales, "0");
        let mut scene = Scene::new(name, config);
        let mut dice = Dice(7);
        let inverse = symbol == "XBTUSD";
        let size = |dice: &mut Dice| match (inverse, scales.1) {
            (true, _) => 1_000 + dice.below(200_000),
            (_, 0) if name == "bitmart" => 1 + dice.below(60),
            (_, 0) => 1_000 + dice.below(60_000),
            _ => 1 + dice.below(60),
        };
        scene.mark("60000");
        scene.book("59999.9", "60000.0");
        let accounts: Vec<AccountId> = (1..=60).map(AccountId).collect();
        for account in &accounts {
            let wallet = match symbol {
                "XBTUSD" => "0.05",
                "BTCUSD" => "0.0166",
                _ => "1000",
            };
            scene.account(*account, wallet);
            let leverage = Leverage::times([3, 10, 25, 50, 100][dice.below(5) as usize]);
            if dice.below(2) == 0 {
                scene.set(*account, Setting::Margin(MarginMode::Isolated));
            }
            scene.set(*account, Setting::Leverage { side: None, leverage });
        }
        let (mut price, mut liquidated, mut left) = (600_000_i64, 0, 0);
        for step in 0..1_500 {
            scene.wait(1);
            let leap = if dice.below(100) == 0 { 20_000 } else { 400 };
            price = (price + dice.below(2 * leap + 1) as i64 - leap as i64).clamp(300_000, 900_000);
            let mark = Decimal::new(price, 1).to_string();
            let from = scene.told.len();
            scene.mark(&mark);
            liquidated +=
                scene.told[from..].iter().filter(|told| matches!(told, UpdateBody::Liquidation(_))).count();
            for account in &accounts {
                let free = scene.sim.balance(*account, scene.settle).available();
                for position in scene.sim.positions(*account, ONE).iter().filter(|p| !p.qty.is_zero()) {
                    let behind =
                        if position.margin == MarginMode::Isolated { position.assigned } else { free };
                    assert!(
                        behind + position.unrealised > position.maintenance,
                        "{name} {symbol} step {step} at {mark}: {position:?}"
                    );
                    left += 1;
                }
            }
            // Somebody trades, and somebody is given or takes money.
            let account = accounts[dice.below(60) as usize];
            let (below, above) = (Decimal::new(price - 1, 1).to_string(), Decimal::new(price, 1).to_string());
            scene.book(&below, &above);
            let side = if dice.below(2) == 0 { Side::Buy } else { Side::Sell };
            let order = NewOrder::market(ONE, side, Qty::from_units(size(&mut dice) as i64));
            scene.send(account, RequestBody::Place(order));
            let (account, out) = (accounts[dice.below(60) as usize], dice.below(3) == 0);
            let amount = scene.sim.balance(account, scene.settle).total.0 / if out { -4 } else { 20 };
            let amount = Money(amount.max(-scene.sim.available(account, scene.settle).0.max(0)));
            scene.apply(Input::Admin(Admin::Deposit { account, asset: scene.settle, amount }));
        }
        assert!(liquidated > 20 && left > 1_000, "{name} {symbol}: {liquidated} liquidated, {left} left");
        scene.check();
    }
}
