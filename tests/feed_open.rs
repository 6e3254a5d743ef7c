//! The market of a connector from what the command line names.

#![allow(clippy::unwrap_used)] // helpers of tests panic as tests do

use std::path::{Path, PathBuf};

use clap::Parser;
use papertape::feed::open::{Market, OpenError, SourceArgs, open};
use papertape::market::{EventLog, OrderBook, RuleOrigin, Side};
use papertape::venue::connectors::usable_connector;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    source: SourceArgs,
}

fn market(arguments: &[&str]) -> Result<Market, OpenError> {
    let line = Line::try_parse_from(std::iter::once(&"papertape").chain(arguments)).unwrap();
    open(&line.source, usable_connector("bitmart_paper_trade").unwrap())
}

fn refused(arguments: &[&str]) -> String {
    market(arguments).err().unwrap().to_string()
}

const BOOK: &str = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount
EXCHANGE,SYMBOL,1723161250000000,1723161249000000,true,bid,2000.123,1.00009
EXCHANGE,SYMBOL,1723161250000000,1723161249000000,true,ask,2000.127,2.5
EXCHANGE,SYMBOL,1723161250001000,1723161249001000,false,bid,2000.121,1
";

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn book(&self, exchange: &str, symbol: &str) -> String {
        let file = self.0.path().join(format!("{exchange}_{symbol}.csv"));
        std::fs::write(&file, BOOK.replace("EXCHANGE", exchange).replace("SYMBOL", symbol)).unwrap();
        file.display().to_string()
    }

    fn write(&self, name: &str, text: &str) -> String {
        let file = self.0.path().join(name);
        std::fs::write(&file, text).unwrap();
        file.display().to_string()
    }
}

/// Plays a market to its end; the last best prices of its first instrument, and the log.
fn play(market: &mut Market) -> (Vec<String>, EventLog) {
    let mut log = EventLog::default();
    while market.source.advance().unwrap().is_some() {
        log.push_group(&market.source.group());
    }
    let instrument = &market.source.instruments()[0];
    let mut book = OrderBook::new(instrument.rule.tick);
    for group in log.iter() {
        for event in group.events {
            if let papertape::market::MarketEvent::Level { side, price, qty } = *event {
                book.set(side, price, qty);
            }
        }
    }
    let best = Side::BOTH.map(|side| book.best(side).unwrap());
    let words = best
        .map(|level| format!("{} @ {}", instrument.show_qty(level.qty), instrument.show_price(level.price)));
    (words.to_vec(), log)
}

#[test]
fn another_venues_file_is_a_borrowed_market() {
    let folder = Folder::new();
    let mut market = market(&["--csv", &folder.book("binance", "ETHUSDT"), "--pair", "ETH-USDT"]).unwrap();
    let eth = market.source.instruments()[0].clone();
    assert_eq!((eth.symbol.as_str(), eth.origin), ("ETH_USDT", RuleOrigin::Catalogue));
    // ETH-USDT ticks by 0.01 and trades by 0.0001 there: both bids fall on 2000.12, the ask goes up to 2000.13.
    assert_eq!(play(&mut market).0, ["2 @ 2000.12", "2.5 @ 2000.13"]);
    assert_eq!(
        market.notes,
        ["ETH-USDT: the market is borrowed from binance; rules and fees are those of bitmart_paper_trade"]
    );
    assert_eq!((market.words.as_str(), market.chosen.len()), ("binance_ETHUSDT.csv", 1));
}

#[test]
fn the_venues_own_file_is_played_as_it_is() {
    let folder = Folder::new();
    let mut market = market(&["--csv", &folder.book("bitmart", "ETH_USDT")]).unwrap();
    assert_eq!(play(&mut market).0, ["1.00009 @ 2000.123", "2.5 @ 2000.127"]);
    assert!(market.notes.is_empty(), "{:?}", market.notes);
    let rule = &market.source.instruments()[0];
    assert_eq!(
        (rule.show_price(rule.rule.tick).to_string(), rule.rule.min_notional.to_string()),
        ("0.01".into(), "5".into())
    );
}

#[test]
fn symbols_are_found_named_or_described() {
    let folder = Folder::new();
    let odd = folder.book("kraken", "WETHZUSD");
    let error = refused(&["--csv", &odd]);
    assert!(
        error.contains("WETHZUSD") && error.contains("--symbol SYMBOL=PAIR") && error.contains("BTC-USDT"),
        "{error}"
    );
    let named = market(&["--csv", &odd, "--symbol", "WETHZUSD=ETH-USD"]).unwrap();
    assert_eq!(named.source.instruments()[0].symbol, "ETH_USDT");
    assert!(
        named.notes.iter().any(|note| note == "ETH-USDT: USD of WETHZUSD counts as USDT"),
        "{:?}",
        named.notes
    );
    let rules = r#"{"exchange":"kraken","source":"us","instruments":[{"symbol":"WETHZUSD","pair":"WETH-ZUSD","tick":"0.001","lot":"0.00001","maker_fee":"0.001","taker_fee":"0.002"}]}"#;
    let mut described =
        market(&["--csv", &odd, "--instruments", &folder.write("rules.json", rules)]).unwrap();
    assert_eq!(play(&mut described).0, ["1.00009 @ 2000.123", "2.5 @ 2000.127"]);
    assert_eq!(described.source.instruments()[0].origin, RuleOrigin::File);
    assert!(described.fees[0].is_some() && described.notes.is_empty());
    assert!(
        refused(&["--csv", &folder.book("binance", "ETHUSDT"), "--pair", "BTC-USDT"]).contains("of BTC-USDT")
    );
}

#[test]
fn bound_sources_go_to_their_connector_only() {
    let folder = Folder::new();
    let file = folder.book("binance", "ETHUSDT");
    let bound = format!("bitmart_paper_trade={file}");
    let other = format!("hitbtc_paper_trade={file}");
    let market = market(&["--csv", &bound, &other, "--pair", "bitmart_paper_trade:ETH-USDT"]).unwrap();
    assert_eq!((market.words.as_str(), market.chosen.len()), ("binance_ETHUSDT.csv", 1));
}

#[test]
fn what_is_not_there_names_what_is() {
    for (arguments, want) in [
        (&[][..], "No source is named; try --demo"),
        (&["--live"], "this plays recorded markets, as fast as it goes; try --demo"),
        (&["--arrow", "x.arrow"], "not in this build"),
        (&["--csv", "-", "--loop"], "cannot be played again"),
        (&["--synth", "many"], "a seed is a whole number"),
        (&["--demo", "--pair", "BTCUSDT"], "not a trading pair"),
        (&["--demo", "--symbol", "BTCUSDT"], "SYMBOL=PAIR"),
        (&["--csv", "/no/such/file.csv"], "/no/such/file.csv"),
        (&["--demo", "--instruments", "/no/such/file.json"], "/no/such/file.json"),
    ] {
        assert!(refused(arguments).contains(want), "{}", refused(arguments));
    }
    assert!(market(&["--csv", "-", "--loop"]).err().unwrap().is_usage());
    assert!(!market(&[]).err().unwrap().is_usage());
}

#[test]
fn the_demo_has_books_and_is_the_same_twice() {
    let pull = |arguments: &[&str]| {
        let mut market = market(arguments).unwrap();
        let mut log = EventLog::default();
        for _ in 0..2_000 {
            market.source.advance().unwrap().unwrap();
            log.push_group(&market.source.group());
        }
        (log, market.source.instruments().len(), market.words)
    };
    let (first, pairs, words) = pull(&["--demo"]);
    let (second, ..) = pull(&["--demo"]);
    assert!(first.iter().eq(second.iter()));
    assert_eq!((pairs, words.as_str()), (2, "demo market"));
    let (other, pairs, words) = pull(&["--synth", "3", "--pair", "SOL-USDT"]);
    assert_eq!((pairs, words.as_str()), (1, "synthetic market, seed 3"));
    assert!(!first.iter().eq(other.iter()));
}

#[test]
fn the_exchanges_clock_and_the_loop() {
    let folder = Folder::new();
    let file = folder.book("binance", "ETHUSDT");
    let mut clocked = market(&["--csv", &file, "--clock", "exchange"]).unwrap();
    assert_eq!(clocked.source.advance().unwrap().unwrap().nanos(), 1_723_161_250_000_000_000);
    assert_eq!(clocked.source.group().receive_time.nanos(), 1_723_161_250_000_000_000);
    assert!(clocked.notes.iter().any(|note| note.contains("1000 ms later")), "{:?}", clocked.notes);
    let mut again = market(&["--csv", &file, "--loop"]).unwrap();
    let times: Vec<i64> = (0..6)
        .map(|_| again.source.advance().unwrap().unwrap().nanos() - 1_723_161_249_000_000_000)
        .collect();
    assert_eq!(times, [0, 1_000_000, 2_000_000, 3_000_000, 4_000_000, 5_000_000]);
    assert_eq!(again.source.group().receive_time.nanos(), 1_723_161_249_005_000_000);
    assert_eq!(again.source.stats().messages, 6);
}

#[test]
fn real_files_under_bitmarts_rules() {
    let root = std::env::var_os("PAPERTAPE_SHARED").map(PathBuf::from);
    let root =
        root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared")).join("data/csv");
    let files = ["incremental_book_L2", "trades"]
        .map(|kind| root.join(format!("binance_{kind}_2024-08-08_ETHUSDT.csv.gz")));
    if !files[0].exists() {
        println!("skipped: {} is not there", files[0].display());
        return;
    }
    let files = files.map(|file| file.display().to_string());
    let mut market = market(&["--csv", &files[0], "--csv", &files[1], "--pair", "ETH-USDT"]).unwrap();
    let (best, log) = play(&mut market);
    assert_eq!(best, ["3.3168 @ 2682.5", "48.9739 @ 2682.51"]);
    assert_eq!(log.len(), 3_433 + 5_291);
    assert_eq!((market.warnings.count(), market.source.stats().errors), (0, 0));
}

#[test]
fn a_dump_of_inverse_contracts_is_borrowed_by_notional_in_base() {
    let folder = Folder::new();
    let quotes = "timestamp,symbol,bidSize,bidPrice,askPrice,askSize
2023-06-01D00:00:00.100000000,XBTUSD,54000,27000,27000.5,270005
2023-06-01D00:00:00.200000000,ADAUSDT,1,1,2,1
2023-06-01D00:00:00.300000000,XBTUSD,27000,27000,27000.5,270005
";
    let trades = "timestamp,symbol,side,size,price,tickDirection,trdMatchID
2023-06-01D00:00:00.300000000,XBTUSD,Sell,27000,27000,PlusTick,a
";
    let files = [folder.write("quote.csv", quotes), folder.write("trade.csv", trades)];
    let arguments =
        ["--pair", "BTC-USDT", "--symbol", "XBTUSD=BTC-USDT", "--csv", &files[0], "--csv", &files[1]];
    let mut market = market(&arguments).unwrap();
    let id = papertape::market::InstrumentId(0);
    assert_eq!(market.source.depth(id), papertape::market::FeedDepth::Levels(1));
    // 27,000 contracts of 1 USD at 27,000 are one BTC.
    let (best, log) = play(&mut market);
    assert_eq!(best, ["1 @ 27000", "10 @ 27000.5"]);
    let prints = log.iter().flat_map(|group| group.events.iter().copied());
    let prints: Vec<_> =
        prints.filter(|event| matches!(event, papertape::market::MarketEvent::Trade(_))).collect();
    let [papertape::market::MarketEvent::Trade(print)] = prints[..] else { panic!("{prints:?}") };
    assert_eq!(market.source.instruments()[0].show_qty(print.qty).to_string(), "1");
    assert!(market.notes.iter().any(|note| note.contains("sizes of XBTUSD convert by notional in base")));
}
