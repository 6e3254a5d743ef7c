//! Whole sessions over small markets drawn by hand: what a trader reads.

use std::collections::BTreeMap;
use std::time::Duration;

use rust_decimal::Decimal;

use super::*;
use crate::connector::ClientIds;
use crate::desk::About;
use crate::market::{Pair, Source};
use crate::order::{AccountId, Money, SessionId};
use crate::paper::{PaperConnector, PaperExchange, PaperOptions, drawn, share};
use crate::sim::{FeeSchedule, LatencyModel, MarketConfig, QueueModel, Rate, SimConfig};

/// One connector over a market that is drawn.
struct Drawn(&'static str);

impl Backstage for Drawn {
    fn open(&mut self, name: &str) -> Result<Opened, ShellError> {
        if name != "bitmart_paper_trade" {
            return Err(ShellError(format!("unknown connector {name:?}")));
        }
        let source = drawn::market(self.0);
        let instrument = source.instruments()[0].clone();
        let fees = FeeSchedule::flat_rates(Rate(2_500_000), Rate(2_500_000), "test");
        let markets = vec![MarketConfig::spot(instrument, fees)];
        let ms = Duration::from_millis(10);
        let config = SimConfig {
            queue: QueueModel::Conservative,
            latency: LatencyModel::Constant { entry: ms, response: ms },
            ..SimConfig::realistic(markets, 1)
        };
        let mut paper = PaperExchange::new(config, Box::new(source), PaperOptions::default())?;
        let names = std::sync::Arc::clone(paper.names());
        let money = |(asset, amount): (&str, i64)| {
            let index = names.asset_index(&Asset::new(asset)).unwrap();
            (index, names.money(index, Decimal::from(amount)).unwrap_or(Money::ZERO))
        };
        let deposits: Vec<(u16, Money)> = [("BTC", 1), ("USDT", 100_000)].into_iter().map(money).collect();
        paper.open_account(AccountId(1), SessionId(1), &deposits)?;
        paper.run_until_trusted(&[InstrumentId(0)])?;
        let about = About {
            source: "a drawn market".into(),
            account: "default".into(),
            notes: vec!["a drawn market".into()],
            settings: vec![("queue", "conservative".into())],
            default_pair: Some(Pair::new("BTC", "USDT")),
            ..About::default()
        };
        Ok(Opened {
            connector: PaperConnector::new(name, SessionId(1), share(paper), ClientIds::new(1, 1)),
            about,
        })
    }

    fn names(&self) -> Vec<(&'static str, bool)> {
        vec![("bitmart_paper_trade", true), ("hitbtc_paper_trade", false)]
    }

    fn paper_balances(&self) -> Result<BTreeMap<Asset, Decimal>, ShellError> {
        Ok(BTreeMap::from([
            (Asset::new("BTC"), Decimal::new(5, 1)),
            (Asset::new("USDT"), Decimal::from(100_000)),
        ]))
    }

    fn set_paper_balance(&mut self, _: &Asset, _: Decimal) -> Result<(), ShellError> {
        Ok(())
    }
}

const MARKET: &str = "
    1767607200000 book bid 8 @ 100.0 5 @ 99.9 | ask 5 @ 100.1 7 @ 100.2
    1767607201000 trade sell 3 @ 100.0
    1767607201001 level bid 5 @ 100.0
    1767607202500 level bid 4 @ 100.0
    1767607204000 trade sell 6 @ 100.0
    1767607204001 level bid 0 @ 100.0
    1767607209000 level ask 4 @ 100.1
";

fn session(commands: &str) -> String {
    let mut shell = Shell::new(Box::new(Drawn(MARKET)));
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let script = format!("connect bitmart_paper_trade; {commands}");
    let fine = scripted(&mut shell, std::iter::once(Ok(script)), false, &mut out, &mut err).unwrap();
    let (out, err) = (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap());
    assert_eq!(fine, err.is_empty());
    if err.is_empty() { out } else { format!("{out}--- stderr\n{err}") }
}

#[test]
fn a_resting_order_queues_and_fills() {
    let commands = "balance; order_book --lines 2; buy 2 BTC-USDT at best; orders; step 3; order last; step 1; \
                    orders; order last; balance; history";
    insta::assert_snapshot!(session(commands));
}

#[test]
fn a_market_order_walks_levels() {
    insta::assert_snapshot!(session(
        "buy $1000 BTC-USDT; order 1; order_book; trades; sell 0.5 BTC BTC-USDT; history -v; status"
    ));
}

#[test]
fn cancels_amends_and_refusals() {
    let commands = "buy 1 BTC-USDT at best; amend 1 amount 0.5; amend 1 price 99.8; cancel 1; cancel 1; \
                    buy 100000 BTC-USDT at 100; buy 0.001 BTC-USDT at 100; sell 1 BTC-USDT at 100.05; orders all; \
                    buy 1 BTC-USDT at 100.1 limit_maker; buy 50 BTC-USDT at 101 fok; buy 50 BTC-USDT at 101 ioc; \
                    buy 1 BTC-USDT at 90 gtd 5s; run; orders; orders all; wait 1; exit; balance";
    insta::assert_snapshot!(session(commands));
}

#[test]
fn the_rest_of_the_commands() {
    let commands = "# a comment; connect; ticker; rules; fees; trades; balance paper; help; help buy; pause; \
                    positions; start pure_market_making; record x; faults; balnce; wait 7; export trades x; step x; \
                    ticker ETH-USDT; connect nowhere; run; run";
    insta::assert_snapshot!(session(commands));
}

#[test]
fn a_strategy_trades_beside_the_person() {
    let commands = "stop; start; start nothing; start twap slice=3; \
                    start twap side=buy total_amount=2 slices=2 interval=2 order_type=limit; status; \
                    start twap; buy 0.5 BTC-USDT at 99.9; step 2s; orders; step 3s; orders all; stop; orders all; \
                    history; stop";
    insta::assert_snapshot!(session(commands));
}

#[test]
fn programs_read_one_object_a_line() {
    let mut shell = Shell::new(Box::new(Drawn(MARKET)));
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let script =
        "connect bitmart_paper_trade; balance; buy 1 BTC-USDT; orders all; history; order 1".to_owned();
    assert!(scripted(&mut shell, std::iter::once(Ok(script)), true, &mut out, &mut err).unwrap());
    let out = String::from_utf8(out).unwrap();
    for line in out.lines() {
        let object: Value = serde_json::from_str(line).unwrap();
        assert!(object["command"].is_string(), "{line}");
    }
    insta::assert_snapshot!(out);
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(300))]

    #[test]
    fn nothing_that_is_typed_panics(
        lines in proptest::collection::vec(proptest::collection::vec(proptest::sample::select(WORDS), 0..9), 1..12)
    ) {
        let mut shell = Shell::new(Box::new(Drawn(MARKET)));
        shell.connect("bitmart_paper_trade").unwrap();
        for line in lines {
            let _ = shell.execute(&line.join(" "));
        }
    }
}

const WORDS: &[&str] = &[
    "buy",
    "buy",
    "sell",
    "sell",
    "orders",
    "order",
    "cancel",
    "amend",
    "step",
    "wait",
    "history",
    "balance",
    "all",
    "BTC-USDT",
    "BTC-USDT",
    "BTC-USDT",
    "ETH-USDT",
    "BTC",
    "at",
    "at",
    "best",
    "best+1",
    "best-99999999999",
    "last",
    "1",
    "2",
    "0",
    "-1",
    "0.5",
    "0.0001",
    "$500",
    "$0",
    "$1e28",
    "1e27",
    "99999999999999999999",
    "limit",
    "market",
    "limit_maker",
    "gtc",
    "ioc",
    "fok",
    "gtd",
    "3s",
    "2030-01-01T00:00:00Z",
    "stop",
    "take_profit",
    "by",
    "stp",
    "both",
    "maker",
    "ticks",
    "below",
    "above",
    "price",
    "amount",
    "-p",
    "28",
    "-v",
    "paper",
    "--lines",
    "order_book",
    "status",
    "ticker",
    "rules",
    "start",
    "start",
    "pure_market_making",
    "twap",
    "interval=1",
    "order_amount=0.001",
    "total_amount=99999999999",
    "help",
    "🪙",
    "\u{0}",
];
