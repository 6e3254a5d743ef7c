//! Frames of Bitget's pages, all interfaces, and bad ones.

use proptest::prelude::*;

use super::*;
use crate::market::{FeedDepth, InstrumentId};
use crate::venue::testing::{decode_all, decoder, mangled, refuses, short_market, survives, there_and_back};

const SNAPSHOT: &str = r#"{"action":"snapshot","arg":{"instType":"USDT-FUTURES","channel":"books","instId":"BTCUSDT"},"data":[{"asks":[["37000.1","1.250"],["37000.2","0.010"]],"bids":[["37000.0","0.500"],["36999.9","2.000"],["36999.8","0.040"]],"checksum":-781206165,"seq":101,"ts":"1700000000100"}],"ts":1700000000101}"#;
const UPDATE: &str = r#"{"action":"update","arg":{"instType":"USDT-FUTURES","channel":"books","instId":"BTCUSDT"},"data":[{"asks":[["37000.1","0"],["37000.3","0.700"]],"bids":[],"checksum":-682485649,"seq":104,"ts":"1700000000250"}],"ts":1700000000251}"#;
const TRADE: &str = r#"{"action":"update","arg":{"instType":"USDT-FUTURES","channel":"trade","instId":"BTCUSDT"},"data":[{"ts":"1700000000200","price":"37000.1","size":"0.011","side":"buy","tradeId":"12"},{"ts":"1700000000190","price":"37000.0","size":"0.002","side":"sell","tradeId":"11"}],"ts":1700000000202}"#;
const TICKER: &str = r#"{"action":"snapshot","arg":{"instType":"USDT-FUTURES","channel":"ticker","instId":"BTCUSDT"},"data":[{"instId":"BTCUSDT","lastPr":"37000.1","fundingRate":"0.0001","nextFundingTime":"1700006400000","markPrice":"36999.9","indexPrice":"36999.4381686055379793","ts":"1700000000220"}],"ts":1700000000221}"#;
const TRADE1: &str = r#"{"action":"update","arg":{"instType":"mc","channel":"trade","instId":"UNIUSDT"},"data":[["1649290078916","9.977","1","sell"]]}"#;
const TICKER1: &str = r#"{"action":"snapshot","arg":{"instType":"mc","channel":"ticker","instId":"BTCUSDT"},"data":[{"instId":"BTCUSDT","last":"113.370","capitalRate":"-0.000100","nextSettleTime":1649314800000,"systemTime":1649290077309,"markPrice":"113.381","indexPrice":"113.427"}]}"#;
const SNAPSHOT3: &str = r#"{"action":"snapshot","arg":{"instType":"usdt-futures","topic":"books","symbol":"BTCUSDT"},"data":[{"a":[["37000.1","1.250"]],"b":[["37000.0","0.500"]],"checksum":0,"seq":7,"pseq":0,"ts":"1700000000100","maxdepth":"1000"}],"ts":1700000000101}"#;
const UPDATE3: &str = r#"{"action":"update","arg":{"instType":"usdt-futures","topic":"books","symbol":"BTCUSDT"},"data":[{"a":[],"b":[["36999.9","1"]],"seq":12,"pseq":7,"ts":"1700000000200"}],"ts":1700000000201}"#;
const LIQUIDATION3: &str = r#"{"action":"update","arg":{"instType":"usdt-futures","topic":"liquidation"},"data":[{"symbol":"BTCUSDT","side":"buy","price":"36999.123456789","amount":"0.0123456","ts":"1700000000300"},{"symbol":"IPUSDT","side":"sell","price":"0.5","amount":"143.3","ts":"1700000000300"}],"ts":1700000000400}"#;

const BOOK: &str = "BTCUSDT snapshot 1700000000100 | sell 1.25 @ 37000.1 | sell 0.01 @ 37000.2 | buy 0.5 @ 37000 | buy 2 @ 36999.9 | buy 0.04 @ 36999.8";
const CHANGE: &str = "BTCUSDT update 1700000000250 | sell 0 @ 37000.1 | sell 0.7 @ 37000.3";

/// Frames that say nothing of the market.
const QUIET: [&str; 8] = [
    "pong",
    r#"{"event":"subscribe","arg":{"instType":"USDT-FUTURES","channel":"books","instId":"BTCUSDT"}}"#,
    r#"{"event":"error","arg":{"instType":"USDT-FUTURES","channel":"books","instId":"NOPEUSDT"},"code":30001,"msg":"instType:USDT-FUTURES,channel:books,instId:NOPEUSDT doesn't exist","op":"subscribe"}"#,
    r#"{"action":"update","arg":{"instType":"mc","channel":"candle1m","instId":"DASHUSDT"},"data":[["1649290020000","113.47","113.47","113.33","113.37","16.68"]]}"#,
    r#"{"action":"snapshot","arg":{"instType":"mc","channel":"trade","instId":"UNIUSDT"},"data":[["1649290078916","9.977","1","sell"]]}"#,
    r#"{"action":"snapshot","arg":{"instType":"usdt-futures","topic":"publicTrade","symbol":"BTCUSDT"},"data":[{"i":"1","p":"76631.3","v":"0.01","S":"buy","T":"1777358881008"}],"ts":1}"#,
    r#"{"action":"snapshot","arg":{"instType":"sp","channel":"ticker","instId":"EOSUSDT"},"data":[{"instId":"EOSUSDT","last":"2.7","ts":1649290077309,"labeId":0}]}"#,
    r#"{"action":"snapshot","arg":{"instType":"mc","channel":"ticker","instId":"NEWUSDT"},"data":[{"markPrice":"113.381"}]}"#,
];

#[test]
fn frames_of_the_pages() {
    for (frames, want) in [
        (&[SNAPSHOT, UPDATE][..], &[BOOK, CHANGE][..]),
        (
            &[TRADE],
            &[
                "BTCUSDT update 1700000000190 | sells 0.002 @ 37000 #11",
                "BTCUSDT update 1700000000200 | buys 0.011 @ 37000.1 #12",
            ],
        ),
        (
            &[TICKER],
            &[
                "BTCUSDT update 1700000000220 | mark 36999.9 | index 36999.4381686055 | funding 0.0001 due 2023-11-15T00:00:00Z",
            ],
        ),
        (&[TRADE1], &["mc:UNIUSDT update 1649290078916 | sells 1 @ 9.977"]),
        (
            &[TICKER1],
            &[
                "mc:BTCUSDT update 1649290077309 | mark 113.381 | index 113.427 | funding -0.0001 due 2022-04-07T07:00:00Z",
            ],
        ),
        (
            &[SNAPSHOT3, UPDATE3, LIQUIDATION3],
            &[
                "BTCUSDT snapshot 1700000000100 | sell 1.25 @ 37000.1 | buy 0.5 @ 37000",
                "BTCUSDT update 1700000000200 | buy 1 @ 36999.9",
                "BTCUSDT update 1700000000300 | liquidation buy 0.01234 @ 36999.123",
            ],
        ),
        (&QUIET, &[]),
    ] {
        assert_eq!(decode_all(decoder(&Bitget).as_mut(), frames), want, "{frames:?}");
    }
}

#[test]
fn spot_and_contracts_of_one_name_are_two() {
    let spot = SNAPSHOT.replace("USDT-FUTURES", "SPOT").replace("-781206165", "0");
    let mut decoder = decoder(&Bitget);
    let got = decode_all(decoder.as_mut(), &[SNAPSHOT, &spot]);
    assert_eq!(got, [BOOK.to_owned(), BOOK.replace("BTCUSDT", "sp:BTCUSDT")]);
    assert_eq!(decoder.instruments()[1].product, Product::Spot);
    assert_eq!(decoder.instruments()[0].product, Product::Linear { multiplier: Decimal::ONE });
}

#[test]
fn a_wrong_checksum_ends_trust_until_the_next_snapshot() {
    let wrong = UPDATE.replace("-682485649", "-682485648");
    let later = UPDATE.replace(":104", ":105");
    // Sizes that are equal as numbers are not equal as texts.
    let text = SNAPSHOT.replace("\"0.500\"", "\"0.5\"");
    let mut decoder = decoder(&Bitget);
    let got = decode_all(decoder.as_mut(), &[SNAPSHOT, &wrong, &later, SNAPSHOT, UPDATE, &text]);
    let lost = "BTCUSDT update 1700000000250 | distrust";
    let lost_snapshot = "BTCUSDT update 1700000000100 | distrust";
    assert_eq!(got, [BOOK, lost, BOOK, CHANGE, lost_snapshot]);
    assert_eq!((decoder.stats().checksum_failures, decoder.stats().gaps), (2, 0));
}

#[test]
fn pseq_shows_gaps_and_seq_alone_does_not() {
    let follow = |pseq: i64, seq: i64| UPDATE3.replace(":12,\"pseq\":7", &format!(":{seq},\"pseq\":{pseq}"));
    let frames = [
        follow(7, 12), // before any snapshot
        SNAPSHOT3.to_owned(),
        follow(7, 12),
        follow(7, 12), // old news
        follow(13, 15),
        follow(15, 16),
        SNAPSHOT3.to_owned(),
        follow(7, 9),
    ];
    let frames: Vec<_> = frames.iter().map(String::as_str).collect();
    let mut decoder = decoder(&Bitget);
    let got = decode_all(decoder.as_mut(), &frames);
    let (book, change) = (
        "BTCUSDT snapshot 1700000000100 | sell 1.25 @ 37000.1 | buy 0.5 @ 37000",
        "BTCUSDT update 1700000000200 | buy 1 @ 36999.9",
    );
    let lost = "BTCUSDT update 1700000000200 | distrust";
    assert_eq!(got, [lost, book, change, lost, book, change]);
    assert_eq!(decoder.stats().gaps, 2);
    assert_eq!(decoder.depth(InstrumentId(0)), FeedDepth::Levels(1_000));
}

#[test]
fn the_deepest_channel_is_the_book() {
    let window = |levels: &str| SNAPSHOT.replace("\"books\"", &format!("\"books{levels}\""));
    let mut decoder = decoder(&Bitget);
    let (one, five) = (window("1"), window("5"));
    assert_eq!(decode_all(decoder.as_mut(), &[&one, &five, &one]).len(), 2);
    assert_eq!(decoder.depth(InstrumentId(0)), FeedDepth::Levels(5));
    assert_eq!(decode_all(decoder.as_mut(), &[SNAPSHOT, &five]).len(), 1);
    assert_eq!(decoder.depth(InstrumentId(0)), FeedDepth::Full);
}

#[test]
fn bad_frames_say_what_is_wrong_and_change_nothing() {
    let bad = |from: &str, to: &str| SNAPSHOT.replace(from, to);
    let trade = |from: &str, to: &str| TRADE.replace(from, to);
    refuses(
        &Bitget,
        &[SNAPSHOT],
        &[
            ("{".to_owned(), "not a frame: EOF while parsing"),
            ("{}".to_owned(), "neither a push (action, arg, data) nor an answer (event)"),
            (r#"{"table":"swap/trade","data":[]}"#.to_owned(), "a frame of the interface before v1 (table)"),
            (r#"{"code":"00000","requestTime":1,"data":{}}"#.to_owned(), "a reply of the REST interface"),
            (bad("\"snapshot\"", "\"delta\""), "action \"delta\" is neither snapshot nor update"),
            (bad("USDT-FUTURES", "MOON"), "unknown instType \"MOON\""),
            (bad("\"books\"", "\"books0\""), "unknown channel \"books0\""),
            (bad("BTCUSDT", "BTC-USDT"), "data[0] symbol \"BTC-USDT\" is not letters and digits"),
            (bad("37000.0\"", "x\""), "data[0] bids[0] price \"x\" is not a decimal"),
            (
                bad("[\"37000.1\",\"1.250\"]", "[\"37000.1\"]"),
                "data: invalid length 1, expected a price and a size",
            ),
            (bad("1700000000100", "late"), "data[0] ts \"late\" is no time in milliseconds"),
            (trade("\"sell\"", "\"long\""), "data[1] side \"long\" is neither buy nor sell"),
            (trade("0.011", "0"), "data[0] size \"0\" must be more than zero"),
            (TICKER.replace("36999.9", "much"), "data[0] markPrice is not a decimal"),
            (LIQUIDATION3.replace("\"buy\"", "\"\""), "data[0] side is missing"),
        ],
    );
}

#[test]
fn groups_become_frames_and_groups_again() {
    let btc = Bitget.catalogue().unwrap().entries[0].instrument.clone();
    let want = [
        "BTCUSDT snapshot 1700000000000 | sell 0.04 @ 30000.1 | sell 0.01 @ 30000.3 | buy 0.05 @ 29999.9",
        "BTCUSDT update 1700000000123 | buys 0.01 @ 30000.1 #1 | sells 0.005 @ 29999.9 #2",
        "BTCUSDT update 1700000000124 | sell 0.03 @ 30000.1 | sell 0 @ 30000.3 | sell 0.007 @ 30000.2 | buy 0.045 @ 29999.9",
        "BTCUSDT update 1700000000200 | distrust",
        "BTCUSDT snapshot 1700000000300 | sell 0.008 @ 30000.2 | buy 0.009 @ 29999.8",
    ];
    assert_eq!(there_and_back(&Bitget, &btc, &short_market(&btc, 300_000)), want);
    let old = crate::market::Instrument { symbol: "mc:BTCUSDT".into(), ..btc.clone() };
    let got = there_and_back(&Bitget, &old, &short_market(&old, 300_000));
    let want = want.map(|line| line.replace("BTC", "mc:BTC").replace(" #1", "").replace(" #2", ""));
    assert_eq!(got, want);
}

/// `COIN-FUTURES`: said so in frames both ways and in lists; settled in the base.
#[test]
fn contracts_on_usd_are_coin_futures() {
    let entry = Bitget.catalogue().unwrap().pair(&Pair::new("BTC", "USD")).unwrap().clone();
    let btc = entry.instrument;
    let want = there_and_back(&Bitget, &btc, &short_market(&btc, 300_000));
    assert_eq!(
        want[0],
        "BTCUSD snapshot 1700000000000 | sell 0.04 @ 30000.1 | sell 0.01 @ 30000.3 | buy 0.05 @ 29999.9"
    );
    let coin = SNAPSHOT.replace("USDT-FUTURES", "COIN-FUTURES").replace("BTCUSDT", "BTCUSD");
    assert_eq!(decode_all(decoder(&Bitget).as_mut(), &[&coin]), [BOOK.replace("BTCUSDT", "BTCUSD")]);
    let terms = Bitget.contract(&btc).unwrap();
    assert_eq!((terms.settle.as_str(), terms.through_index), ("BTC", true));
    let list = r#"{"code":"00000","data":[{"symbol":"BTCUSD","baseCoin":"BTC","quoteCoin":"USD","makerFeeRate":"0.0002","takerFeeRate":"0.0006","supportMarginCoins":["BTC","ETH"],"minTradeNum":"0.001","priceEndStep":"1","volumePlace":"3","pricePlace":"1","sizeMultiplier":"0.001","symbolType":"perpetual","minTradeUSDT":"5","symbolStatus":"normal","maxOrderQty":"1200"},{"symbol":"BTCUSDH25","baseCoin":"BTC","quoteCoin":"USD","priceEndStep":"1","volumePlace":"3","pricePlace":"1","symbolType":"delivery"}]}"#;
    let listed = Bitget.reply_instruments("x/api/v2/mix/market/contracts?productType=COIN-FUTURES", list);
    assert_eq!(listed.len(), 1, "dated ones are left out");
    assert_eq!((listed[0].instrument.symbol.as_str(), &listed[0].instrument.pair), ("BTCUSD", &btc.pair));
    for (symbol, settle) in [("BTCUSDT", "USDT"), ("BTCPERP", "USDC"), ("ETHUSD", "ETH")] {
        let pair = Bitget.pair_of(symbol).unwrap();
        let other = Instrument { symbol: symbol.into(), pair, ..btc.clone() };
        let terms = Bitget.contract(&other).unwrap();
        assert_eq!((terms.settle.as_str(), terms.through_index), (settle, symbol == "ETHUSD"), "{symbol}");
    }
}

#[test]
fn symbols_and_pairs() {
    for (symbol, pair, family) in [
        ("BTCUSDT", "BTC-USDT", "perpetual"),
        ("BTCPERP", "BTC-USDC", "perpetual"),
        ("BTCUSD", "BTC-USD", "perpetual"),
        ("sp:EOSBTC", "EOS-BTC", "spot"),
    ] {
        let known = Bitget.pair_of(symbol).unwrap();
        assert_eq!((known.to_string().as_str(), Bitget.symbol_of(&known, family).as_str()), (pair, symbol));
        assert_eq!(Bitget.product_of(symbol).unwrap().family(), family);
    }
    assert_eq!(Bitget.pair_of("mc:UNIUSDT"), Some(Pair::new("UNI", "USDT")));
    for symbol in ["BTCUSDTH25", "USDT", "sp:", "A B"] {
        assert_eq!(Bitget.pair_of(symbol), None, "{symbol}");
    }
    assert_eq!(rule("BTCUSDH25").unwrap().0.quote.as_str(), UNKNOWN_QUOTE);
}

#[test]
fn lists_of_instruments() {
    let v2 = r#"{"code":"00000","msg":"success","requestTime":1700000000123,"data":[{"symbol":"BTCUSDT","baseCoin":"BTC","quoteCoin":"USDT","makerFeeRate":"0.0002","takerFeeRate":"0.0006","minTradeNum":"0.001","priceEndStep":"1","volumePlace":"3","pricePlace":"1","sizeMultiplier":"0.001","symbolType":"perpetual","minTradeUSDT":"5","symbolStatus":"normal","maxOrderQty":"1200"}]}"#;
    let [entry] = &Bitget.reply_instruments("x/api/v2/mix/market/contracts?productType=usdt-futures", v2)[..]
    else {
        panic!("one contract")
    };
    let catalogue = &Bitget.catalogue().unwrap().entries[0];
    assert_eq!(entry.fees, catalogue.fees);
    let rule = |entry: &Entry| {
        let one = &entry.instrument;
        let shown =
            [one.rule.lot, one.rule.min_qty, one.rule.max_qty].map(|qty| one.show_qty(qty).to_string());
        (one.show_price(one.rule.tick).to_string(), shown, one.rule.min_notional)
    };
    assert_eq!(rule(entry), rule(catalogue));
    let v1 = v2
        .replace("BTCUSDT\"", "UNIUSDT_UMCBL\"")
        .replace("\"priceEndStep\":\"1\"", "\"priceEndStep\":\"5\"");
    let [entry] = &Bitget.reply_instruments("x/api/mix/v1/market/contracts?productType=umcbl", &v1)[..]
    else {
        panic!("one contract")
    };
    assert_eq!(
        (entry.instrument.symbol.as_str(), entry.instrument.pair.to_string().as_str()),
        ("mc:UNIUSDT", "UNI-USDT")
    );
    assert_eq!(entry.instrument.show_price(entry.instrument.rule.tick).to_string(), "0.5");
    let spot = r#"{"code":"00000","data":[{"symbol":"EOSUSDT_SPBL","symbolName":"EOSUSDT","baseCoin":"EOS","quoteCoin":"USDT","minTradeAmount":"0.1","maxTradeAmount":"0","takerFeeRate":"0.001","makerFeeRate":"0.001","priceScale":"4","quantityScale":"4","status":"online"},{"symbol":"BTCUSD_DMCBL_230630","baseCoin":"BTC","quoteCoin":"USD","pricePlace":"1","volumePlace":"3"}]}"#;
    let [entry] = &Bitget.reply_instruments("x/api/spot/v1/public/products", spot)[..] else {
        panic!("one pair")
    };
    assert_eq!((entry.instrument.symbol.as_str(), entry.instrument.product), ("sp:EOSUSDT", Product::Spot));
    assert_eq!(entry.instrument.show_qty(entry.instrument.rule.min_qty).to_string(), "0.1");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn whatever_comes_is_answered(frames in mangled([SNAPSHOT, UPDATE, TRADE, TICKER, TRADE1, SNAPSHOT3, UPDATE3, LIQUIDATION3].map(str::to_owned).to_vec())) {
        survives(&Bitget, &frames)?;
    }
}
