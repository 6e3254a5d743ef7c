//! `perpetual_market_making` in backtests: positions opened and closed as its parameters say, funding at its three
//! instants, a liquidation where leverage is reckless, and a ledger that sums to zero.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails says where")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use papertape::backtest::{BacktestError, Described, Go, Plan, VenuePlan, run};
use papertape::market::{
    Asset, EventLog, FinePrice, FundingRate, GroupKind, Instrument, InstrumentId, MarketEvent, MemorySource,
    News, Price, Product, Qty, Side, Timestamp,
};
use papertape::order::MarginMode;
use papertape::sim::{FeeSchedule, LatencyModel, MarketConfig, QueueModel, Rate, SimConfig};
use papertape::strategy::{Parameters, find};
use papertape::venue::venue;
use rust_decimal::Decimal;
use serde_json::Value;

const STEP: i64 = 30;

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn start() -> Timestamp {
    "2026-01-05T00:00:00Z".parse().unwrap()
}

/// A whole book and a mark price around `mid(seconds)`, in units of the price, every half minute of `hours`.
fn market(instrument: &Instrument, hours: i64, mid: impl Fn(i64) -> i64) -> MemorySource {
    let mut log = EventLog::default();
    for step in 0..hours * 3_600 / STEP {
        let at = start().plus(Duration::from_secs(u64::try_from(step * STEP).unwrap()));
        let (mid, tick) = (mid(step * STEP), instrument.rule.tick.units());
        let mark =
            FinePrice::from_units(mid * 10_i64.pow(u32::from(FinePrice::SCALE - instrument.price_scale)));
        log.push(MarketEvent::News(News::Mark(mark)));
        for level in 1..6 {
            for (side, price) in [(Side::Buy, mid - tick * level), (Side::Sell, mid + tick * level)] {
                let (price, qty) = (Price::from_units(price), Qty::from_units(5_000_000));
                log.push(MarketEvent::Level { side, price, qty });
            }
        }
        log.close(InstrumentId(0), GroupKind::Snapshot, at, at);
    }
    MemorySource::new(vec![instrument.clone()], log)
}

/// XBTUSD: prices of one decimal, lots of 100.
fn xbtusd() -> Instrument {
    let product = Product::Inverse { multiplier: Decimal::ONE };
    let mut instrument =
        Instrument { product, ..Instrument::spot("XBTUSD", "XBT-USD".parse().unwrap(), 1, 0).unwrap() };
    (instrument.rule.lot, instrument.rule.min_qty) = (Qty::from_units(100), Qty::from_units(100));
    instrument
}

/// BTCUSDT of Bitget: prices of one decimal, amounts of three.
fn btcusdt() -> Instrument {
    let product = Product::Linear { multiplier: Decimal::ONE };
    Instrument { product, ..Instrument::spot("BTCUSDT", "BTC-USDT".parse().unwrap(), 1, 3).unwrap() }
}

struct Run {
    exchange: &'static str,
    instrument: Instrument,
    hours: i64,
    margin: MarginMode,
    balance: &'static str,
    set: &'static [&'static str],
}

impl Run {
    fn plan(&self, mid: impl Fn(i64) -> i64, out: PathBuf) -> Plan {
        let of = venue(self.exchange).unwrap();
        let fees = FeeSchedule::flat_rates(Rate(500_000), Rate(500_000), "test");
        let mut contract = of.contract(&self.instrument);
        let mut settle = self.instrument.pair.quote.clone();
        if let Some(terms) = &mut contract {
            terms.margin = self.margin;
            terms.funding_rate = FundingRate::read("0.0001").unwrap();
            settle = terms.settle.clone();
        }
        let market_of = MarketConfig { contract, ..MarketConfig::spot(self.instrument.clone(), fees) };
        let config = SimConfig {
            venue: of.rules(),
            latency: LatencyModel::None,
            ..SimConfig::realistic(vec![market_of], 7)
        };
        let mut parameters = Parameters::default();
        self.set.iter().for_each(|pair| parameters.set_pair(pair).unwrap());
        Plan {
            venues: vec![VenuePlan {
                connector: format!("{}_perpetual_paper_trade", self.exchange).into(),
                config,
                source: Box::new(market(&self.instrument, self.hours, mid)),
                market_delay: Duration::ZERO,
                chosen: Vec::new(),
                balances: vec![(Asset::new(settle.as_str()), decimal(self.balance))],
            }],
            strategy: find("perpetual_market_making").unwrap(),
            parameters,
            queues: vec![QueueModel::Front],
            two_clocks: false,
            from: None,
            to: None,
            warmup: Duration::ZERO,
            equity_interval: Duration::from_secs(60),
            account: "default".to_owned(),
            out: Some(out),
        }
    }

    fn play(&self, mid: impl Fn(i64) -> i64) -> Results {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("out");
        let finished = run(self.plan(mid, place.clone()), &mut |_| Go::On).unwrap();
        let summary = finished.summary(Described::default(), 1.0);
        finished.finish(&summary).unwrap();
        let text = std::fs::read_to_string(place.join("summary.json")).unwrap();
        let results = Results { summary: serde_json::from_str(&text).unwrap(), place, _folder: folder };
        results.check_ledger();
        results
    }

    fn refused(&self) -> String {
        let folder = tempfile::tempdir().unwrap();
        match run(self.plan(|_| 600_000, folder.path().join("out")), &mut |_| Go::On) {
            Err(BacktestError::Strategy(error)) => error.to_string(),
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("it ran"),
        }
    }
}

struct Results {
    summary: Value,
    place: PathBuf,
    _folder: tempfile::TempDir,
}

fn rows(file: &Path) -> Vec<BTreeMap<String, String>> {
    csv::Reader::from_path(file).unwrap().deserialize().map(Result::unwrap).collect()
}

impl Results {
    /// The wanted columns of a table, a line a row; times in seconds since the start.
    fn table(&self, name: &str, columns: &[&str]) -> Vec<String> {
        let cell = |row: &BTreeMap<String, String>, key: &str| match row[key].parse::<i64>() {
            Ok(nanos) if key.ends_with("_ns") => format!("{}s", (nanos - start().nanos()) / 1_000_000_000),
            _ => row[key].clone(),
        };
        let join = |row| columns.iter().map(|key| cell(row, key)).collect::<Vec<_>>().join(" ");
        rows(&self.place.join(name)).iter().map(join).collect()
    }

    /// Each transaction sums to zero for each asset, and the account's rows to what it has.
    fn check_ledger(&self) {
        let mut sums: BTreeMap<(String, String), Decimal> = BTreeMap::new();
        let (mut account, mut last) = (BTreeMap::new(), BTreeMap::new());
        for row in rows(&self.place.join("ledger.csv")) {
            let amount = decimal(&row["amount"]);
            *sums.entry((row["transaction"].clone(), row["asset"].clone())).or_default() += amount;
            if row["account"] == "default" {
                *account.entry(row["asset"].clone()).or_insert(Decimal::ZERO) += amount;
                last.insert(row["asset"].clone(), decimal(&row["balance_after"]));
            }
        }
        assert!(!sums.is_empty() && sums.values().all(Decimal::is_zero), "{sums:?}");
        assert_eq!(account, last);
    }

    fn number(&self, key: &str) -> Decimal {
        let value = &self.summary[key];
        value.as_str().map_or_else(|| decimal(&value.to_string()), decimal)
    }
}

/// The price falls by half a percent within the first ten minutes, then stands still: the bid at 59,940 is bought, and
/// neither the profit price nor the stop is ever reached.
fn falls_and_stands(seconds: i64) -> i64 {
    600_000 - 5 * seconds.min(600)
}

#[test]
fn a_position_that_is_held_all_day_pays_funding_three_times() {
    let held = Run {
        exchange: "bitmex",
        instrument: xbtusd(),
        hours: 24,
        margin: MarginMode::Cross,
        balance: "1",
        set: &[
            "order_amount=1000",
            "order_refresh_time=36000",
            "long_profit_taking_spread=5",
            "stop_loss_spread=50",
        ],
    };
    let results = held.play(falls_and_stands);
    // One fill opens; the order that closes at 5 % stands from then on; the ask that would have closed it is gone.
    assert_eq!(
        results.table("fills.csv", &["side", "price", "amount", "position_action"]),
        ["buy 59940 1000 open"]
    );
    // 1,000 contracts at the mark of 59,700 are 1,675,042 satoshi (167.5042 each, in hundredths 1,675.04); 0.01 % of
    // 1,675,042 are 167.5, to the nearest 168: longs pay.
    let funding: Vec<String> = results
        .table("ledger.csv", &["ts_ns", "account", "asset", "amount", "cause"])
        .into_iter()
        .filter(|row| row.contains("default") && row.ends_with("funding"))
        .collect();
    let want = [4, 12, 20].map(|hour| format!("{}s default XBT -0.00000168 funding", hour * 3_600));
    assert_eq!(funding, want);
    assert_eq!(results.number("funding"), decimal("-0.00000504"));
    assert_eq!(results.summary["funding_payments"], 3);
    // What contracts are worth in quote: one dollar each.
    assert_eq!(results.number("volume_quote"), decimal("1000"));
}

/// The price falls by half a percent, comes back, and falls again: in the first part a bid is bought at 59,940 and sold
/// at a profit, in the second one at a loss.
#[test]
fn positions_are_closed_at_the_profit_and_at_the_loss_that_were_set() {
    let closed = Run {
        exchange: "bitmex",
        instrument: xbtusd(),
        hours: 2,
        margin: MarginMode::Cross,
        balance: "1",
        set: &[
            "order_amount=1000",
            "order_refresh_time=36000",
            "long_profit_taking_spread=0.3",
            "stop_loss_spread=0.5",
            "stop_loss_slippage_buffer=0.1",
            "filled_order_delay=3600",
        ],
    };
    // Down by 300 in ten minutes, up by 600 in twenty, still until an hour has passed, then down by 1,200 in forty.
    let path = |seconds: i64| {
        let up = (seconds - 600).clamp(0, 1_200);
        let down = (seconds - 3_600).clamp(0, 2_400);
        600_000 - 5 * seconds.min(600) + 5 * up - 5 * down
    };
    let results = closed.play(path);
    let fills = results.table("fills.csv", &["side", "price", "position_action", "liquidity"]);
    // A contract is worth 1,668.34 satoshi at 59,940, so that its entry is 59,939.8204; 0.3 % above it is 60,119.6399…,
    // up to the tick 60,119.7.
    assert_eq!(fills[..2], ["buy 59940 open maker", "sell 60119.7 close maker"]);
    assert_eq!(fills.len(), 4, "{fills:?}");
    assert!(fills[2].starts_with("buy") && fills[2].contains("open"), "{fills:?}");
    assert!(fills[3].starts_with("sell") && fills[3].contains("close"), "{fills:?}");
    let price = |row: &str| decimal(row.split(' ').nth(1).unwrap());
    let lost = (price(&fills[2]) - price(&fills[3])) / price(&fills[2]);
    assert!(lost >= decimal("0.005") && lost < decimal("0.0062"), "the stop is at 0.5 %: {lost}");
    // First in, first out, in XBT after fees: one of two earned something.
    assert_eq!(results.number("win_rate"), decimal("0.5"));
    assert_eq!(results.number("position"), Decimal::ZERO);
    let entry = decimal("1000") / decimal("59940") - decimal("1000") / decimal("60119.7");
    let gains = results.table("ledger.csv", &["account", "cause", "amount"]);
    let gains: Vec<&str> = gains.iter().filter_map(|row| row.strip_prefix("default realised_pnl ")).collect();
    assert_eq!(gains.len(), 2);
    assert!((decimal(gains[0]) - entry).abs() < decimal("0.0000001"), "{gains:?} {entry}");
}

#[test]
fn reckless_leverage_ends_in_a_liquidation() {
    let reckless = Run {
        exchange: "bitmex",
        instrument: xbtusd(),
        hours: 1,
        margin: MarginMode::Isolated,
        balance: "1",
        set: &[
            "leverage=100",
            "order_amount=100000",
            "order_refresh_time=36000",
            "long_profit_taking_spread=50",
            "filled_order_delay=36000",
            "stop_loss_spread=50",
        ],
    };
    let results = reckless.play(|seconds| 600_000 - 5 * seconds.min(2_400));
    assert_eq!(results.summary["liquidations"], 1, "{}", results.summary);
    assert_eq!(results.number("position"), Decimal::ZERO);
    assert_eq!(results.number("win_rate"), Decimal::ZERO, "what was liquidated is a trade that lost");
    let ledger = results.table("ledger.csv", &["account", "cause", "amount"]);
    let lost = ledger.iter().find_map(|row| row.strip_prefix("default liquidation ")).expect("a row of it");
    // 100,000 contracts bought at 59,940 (1,668.34 satoshi each) with a margin of 1/100 and the fee of closing.
    assert!(decimal(lost) < decimal("-0.0166834"), "{lost}");
    assert!(ledger.iter().any(|row| row.starts_with("@insurance liquidation ")), "{ledger:?}");
}

#[test]
fn in_hedge_mode_both_positions_are_held_and_closed() {
    let hedged = Run {
        exchange: "bitget",
        instrument: btcusdt(),
        hours: 2,
        margin: MarginMode::Cross,
        balance: "10000",
        set: &[
            "position_mode=Hedge",
            "order_amount=0.01",
            "filled_order_delay=36000",
            "long_profit_taking_spread=0.3",
            "short_profit_taking_spread=0.2",
            "order_refresh_time=3600",
        ],
    };
    // Down by 120, up by 300, and down by 480. The bid fills, then the ask while the long is held; the long is closed 0.3 %
    // above 59,940, at 60,119.82, which the tick makes 60,119.9; the short 0.2 % below 60,060, at 59,939.88, down to the tick.
    let path = |seconds: i64| {
        let up = (seconds - 600).clamp(0, 1_500);
        let down = (seconds - 3_000).clamp(0, 2_400);
        600_000 - 2 * seconds.min(600) + 2 * up - 2 * down
    };
    let results = hedged.play(path);
    let fills = results.table("fills.csv", &["side", "price", "position_action"]);
    assert_eq!(fills, ["buy 59940 open", "sell 60060 open", "sell 60119.9 close", "buy 59939.8 close"]);
    assert_eq!(results.number("position"), Decimal::ZERO);
}

#[test]
fn what_a_venue_does_not_have_is_refused_at_the_start() {
    let run = |exchange, instrument, set| Run {
        exchange,
        instrument,
        hours: 1,
        margin: MarginMode::Cross,
        balance: "1",
        set,
    };
    let hedge: &[&str] = &["position_mode=Hedge"];
    assert!(run("bitmex", xbtusd(), hedge).refused().contains("has one net position only"));
    assert!(run("bitmex", xbtusd(), &["leverage=101"]).refused().contains("has at most 100"));
    let spot = Instrument::spot("XBT_USDT", "XBT-USDT".parse().unwrap(), 1, 3).unwrap();
    assert!(run("bitmex", spot, &[]).refused().contains("use pure_market_making"));
}
