//! Frames of HitBTC's pages, both protocols, and bad ones.

use proptest::prelude::*;

use super::*;
use crate::market::{FeedDepth, InstrumentId};
use crate::venue::testing::{decode_all, decoder, mangled, refuses, short_market, survives, there_and_back};

const SNAPSHOT: &str = r#"{"ch":"orderbook/full","snapshot":{"BTCUSDT":{"t":1700000000000,"s":100,"a":[["30000.50","0.70000"]],"b":[["30000.40","0.80000"]]}}}"#;
const UPDATE: &str = r#"{"ch":"orderbook/full","update":{"BTCUSDT":{"t":1700000000100,"s":101,"a":[["30000.50","0"],["30000.60","1.00000"]],"b":[]}}}"#;
const TRADES: &str = r#"{"ch":"trades","update":{"BTCUSDT":[{"t":1700000000050,"i":1555634969,"p":"30000.50","q":"0.00100","s":"buy"}]}}"#;
const SNAPSHOT2: &str = r#"{"jsonrpc":"2.0","method":"snapshotOrderbook","params":{"ask":[{"price":"30000.50","size":"0.70000"},{"price":"30000.60","size":"0.000"}],"bid":[{"price":"30000.40","size":"0.80000"}],"symbol":"BTCUSD","sequence":8073827,"timestamp":"2023-11-14T22:13:20.193Z"}}"#;
const UPDATE2: &str = r#"{"jsonrpc":"2.0","method":"updateOrderbook","params":{"ask":[{"price":"30000.50","size":"0"},{"price":"30000.55","size":"0.30000"}],"bid":[],"sequence":8073828,"timestamp":"2023-11-14T22:13:20.7Z","symbol":"BTCUSD"}}"#;
const TRADES2: &str = r#"{"jsonrpc":"2.0","method":"updateTrades","params":{"data":[{"id":1317950671,"price":"30000.50","quantity":"0.00100","side":"buy","timestamp":"2023-11-14T22:13:20.041Z"},{"id":1317950672,"price":"30000.51","quantity":"0.00200","side":"sell","timestamp":"2023-11-14T22:13:20.042Z"}],"symbol":"BTCUSD"}}"#;
const TOP: &str = r#"{"ch":"orderbook/top/100ms","data":{"BTCUSDT":{"t":1700000000000,"a":"30000.50","A":"0.7","b":null,"B":null}}}"#;

/// Frames that say nothing of the market.
const QUIET: [&str; 9] = [
    r#"{"jsonrpc":"2.0","result":true,"id":"c1"}"#,
    r#"{"result":{"ch":"orderbook/full","subscriptions":["BTCUSDT"]},"id":1700000000001}"#,
    r#"{"jsonrpc":"2.0","error":{"code":2001,"message":"No such symbol: ABCXYZ","description":"..."},"id":7}"#,
    r#"{"jsonrpc":"2.0","method":"ticker","params":{"ask":"30000.50","bid":"30000.40","last":null,"timestamp":"2023-11-14T22:13:20.941Z","symbol":"BTCUSD"}}"#,
    r#"{"jsonrpc":"2.0","method":"snapshotTrades","params":{"data":[{"id":1317950670,"price":"30000.45","quantity":"0.05094","side":"buy","timestamp":"2023-11-14T22:13:19.983Z"}],"symbol":"BTCUSD"}}"#,
    r#"{"jsonrpc":"2.0","method":"updateCandles","params":{"data":[],"symbol":"BTCUSD","period":"M1"}}"#,
    r#"{"ch":"trades","snapshot":{"BTCUSDT":[{"t":1700000000000,"i":1555634968,"p":"30000.45","q":"0.00006","s":"sell"}]}}"#,
    r#"{"ch":"ticker/1s","data":{"BTCUSDT":{"t":1700000000000,"a":"30000.50"}}}"#,
    r#"{"ch":"candles/M1","update":{"BTCUSDT":[]}}"#,
];

#[test]
fn frames_of_the_pages() {
    for (frames, want) in [
        (
            &[SNAPSHOT, UPDATE, TRADES][..],
            &[
                "BTCUSDT snapshot 1700000000000 | sell 0.7 @ 30000.5 | buy 0.8 @ 30000.4",
                "BTCUSDT update 1700000000100 | sell 0 @ 30000.5 | sell 1 @ 30000.6",
                "BTCUSDT update 1700000000050 | buys 0.001 @ 30000.5 #1555634969",
            ][..],
        ),
        (
            &[SNAPSHOT2, UPDATE2, TRADES2],
            &[
                "BTCUSD snapshot 1700000000193 | sell 0.7 @ 30000.5 | buy 0.8 @ 30000.4",
                "BTCUSD update 1700000000700 | sell 0 @ 30000.5 | sell 0.3 @ 30000.55",
                "BTCUSD update 1700000000041 | buys 0.001 @ 30000.5 #1317950671",
                "BTCUSD update 1700000000042 | sells 0.002 @ 30000.51 #1317950672",
            ],
        ),
        (&[TOP], &["BTCUSDT snapshot 1700000000000 | sell 0.7 @ 30000.5"]),
        (&QUIET, &[]),
    ] {
        assert_eq!(decode_all(decoder(&Hitbtc).as_mut(), frames), want, "{frames:?}");
    }
}

#[test]
fn a_number_left_out_is_a_gap_until_the_next_snapshot() {
    let update = |sequence: i64| UPDATE.replace("101", &sequence.to_string());
    let frames = [
        update(99), // before any snapshot
        update(100),
        SNAPSHOT.to_owned(),
        update(101),
        update(101), // old news
        update(103), // 102 is missing
        update(104),
        SNAPSHOT.to_owned(),
        SNAPSHOT.to_owned(), // may come again
        update(101),
    ];
    let frames: Vec<_> = frames.iter().map(String::as_str).collect();
    let mut decoder = decoder(&Hitbtc);
    let got = decode_all(decoder.as_mut(), &frames);
    let snapshot = "BTCUSDT snapshot 1700000000000 | sell 0.7 @ 30000.5 | buy 0.8 @ 30000.4";
    let applied = "BTCUSDT update 1700000000100 | sell 0 @ 30000.5 | sell 1 @ 30000.6";
    let lost = "BTCUSDT update 1700000000100 | distrust";
    assert_eq!(got, [lost, snapshot, applied, lost, snapshot, snapshot, applied]);
    assert_eq!((decoder.stats().gaps, decoder.stats().messages), (2, 10));
}

#[test]
fn the_deepest_channel_is_the_book() {
    let window = SNAPSHOT.replace("orderbook/full\",\"snapshot", "orderbook/D10/100ms\",\"data");
    let mut decoder = decoder(&Hitbtc);
    let depth = |decoder: &dyn Decoder| decoder.depth(InstrumentId(0));
    assert_eq!(decode_all(decoder.as_mut(), &[TRADES]).len(), 1);
    assert_eq!(depth(decoder.as_ref()), FeedDepth::Prints);
    assert_eq!(decode_all(decoder.as_mut(), &[TOP, &window, TOP]).len(), 2);
    assert_eq!(depth(decoder.as_ref()), FeedDepth::Levels(10));
    assert_eq!(decode_all(decoder.as_mut(), &[SNAPSHOT, &window]).len(), 1);
    assert_eq!(depth(decoder.as_ref()), FeedDepth::Full);
}

#[test]
fn bad_frames_say_what_is_wrong_and_change_nothing() {
    let bad = |from: &str, to: &str| SNAPSHOT.replace(from, to);
    let trade = |from: &str, to: &str| TRADES2.replace(from, to);
    refuses(
        &Hitbtc,
        &[SNAPSHOT, UPDATE],
        &[
            (String::new(), "not a frame: EOF while parsing a value"),
            ("{}".to_owned(), "neither a push (method or ch) nor an answer (result, error)"),
            (r#"{"method":"snapshotOrderbook"}"#.to_owned(), "snapshotOrderbook: params is missing"),
            (r#"{"method":"dance","params":{}}"#.to_owned(), "unknown method \"dance\""),
            (r#"{"ch":"orderbook/full"}"#.to_owned(), "orderbook/full: neither snapshot nor update nor data"),
            (bad("orderbook/full", "orderbook/half"), "unknown channel \"orderbook/half\""),
            (bad("30000.50", "3000O.50"), "BTCUSDT: a[0] price \"3000O.50\" is not a decimal"),
            (bad("30000.50", "0"), "BTCUSDT: a[0] price \"0\" must be more than zero"),
            (bad("30000.40", "0.00001"), "BTCUSDT: b[0] price \"0.00001\" has 5 decimals, 4 fit"),
            (bad("0.80000", "-1"), "BTCUSDT: b[0] size \"-1\" is negative"),
            (bad(",\"s\":100", ""), "BTCUSDT: s is missing"),
            (bad("1700000000000", "-5"), "BTCUSDT: t -5 is no time in milliseconds"),
            (bad("BTCUSDT", "BTCXYZ"), "BTCXYZ: symbol \"BTCXYZ\" ends in no known quote currency"),
            (bad("[[\"30000.50\",\"0.70000\"]]", "[[\"1\"]]"), "books: invalid length 1"),
            (trade("\"sell\"", "\"long\""), "BTCUSD: data[1] side \"long\" is neither buy nor sell"),
            (trade("20.042Z", "20.042"), "BTCUSD: data[1] timestamp \"2023-11-14T22:13:20.042\" is no time"),
            (trade("0.00200", "0"), "BTCUSD: data[1] size \"0\" must be more than zero"),
            (trade("1317950672", "null"), "params: null is no number"),
        ],
    );
}

#[test]
fn groups_become_frames_and_groups_again() {
    let btc = Hitbtc.catalogue().unwrap().entries[0].instrument.clone();
    let got = there_and_back(&Hitbtc, &btc, &short_market(&btc, 3_000_000));
    assert_eq!(
        got,
        [
            "BTCUSDT snapshot 1700000000000 | sell 0.0004 @ 30000.01 | sell 0.0001 @ 30000.03 | buy 0.0005 @ 29999.99",
            "BTCUSDT update 1700000000123 | buys 0.0001 @ 30000.01 #1 | sells 0.00005 @ 29999.99 #2",
            "BTCUSDT update 1700000000124 | sell 0.0003 @ 30000.01 | sell 0 @ 30000.03 | sell 0.00007 @ 30000.02 | buy 0.00045 @ 29999.99",
            "BTCUSDT update 1700000000200 | distrust",
            "BTCUSDT snapshot 1700000000300 | sell 0.00008 @ 30000.02 | buy 0.00009 @ 29999.98",
        ]
    );
}

#[test]
fn symbols_and_pairs() {
    for (symbol, pair) in [
        ("BTCUSDT", "BTC-USDT"),
        ("BTCUSD", "BTC-USDT"), // v2: USD is Tether
        ("REPETH", "REP-ETH"),
        ("BCNEOS", "BCN-EOS"),
        ("BTCTUSD", "BTC-TUSD"),
        ("EURSUSD", "EURS-USDT"),
    ] {
        assert_eq!(Hitbtc.pair_of(symbol).unwrap().to_string(), pair);
    }
    for symbol in ["USD", "BTCXYZ", "BTCUSDT_PERP", ""] {
        assert_eq!(Hitbtc.pair_of(symbol), None, "{symbol}");
    }
    assert_eq!(Hitbtc.symbol_of(&Pair::new("BTC", "USDT"), "spot"), "BTCUSDT");
}

#[test]
fn lists_of_symbols() {
    let v2 = r#"[{"id":"BTCUSD","baseCurrency":"BTC","quoteCurrency":"USD","quantityIncrement":"0.00001","tickSize":"0.01","takeLiquidityRate":"0.0025","provideLiquidityRate":"0.001","feeCurrency":"USD","marginTrading":true,"maxInitialLeverage":"12.00"}]"#;
    let v3 = r#"{"BTCUSDT":{"type":"spot","base_currency":"BTC","quote_currency":"USDT","status":"working","quantity_increment":"0.00001","tick_size":"0.01","take_rate":"0.0025","make_rate":"0.001","fee_currency":"USDT"},"BTCUSDT_PERP":{"type":"futures","base_currency":null,"quote_currency":"USDT","quantity_increment":"0.0001","tick_size":"0.01","take_rate":"0.0008","make_rate":"0.0004"}}"#;
    for (url, body, symbol) in
        [("x/api/2/public/symbol", v2, "BTCUSD"), ("x/api/3/public/symbol", v3, "BTCUSDT")]
    {
        let entries = Hitbtc.reply_instruments(url, body);
        let [entry] = &entries[..] else { panic!("{entries:?}") };
        assert_eq!(
            (entry.instrument.symbol.as_str(), entry.instrument.pair.to_string()),
            (symbol, "BTC-USDT".into())
        );
        assert_eq!(entry.fees, Some((Rate(1_000_000), Rate(2_500_000))));
        assert_eq!(entry.instrument.rule.lot, entry.instrument.qty("0.00001").unwrap());
    }
    assert!(Hitbtc.reply_instruments("x/public/ticker", v2).is_empty());
    assert!(Hitbtc.reply_instruments("x/public/symbol", "[]").is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn whatever_comes_is_answered(frames in mangled([SNAPSHOT, UPDATE, TRADES, SNAPSHOT2, UPDATE2, TRADES2, TOP].map(str::to_owned).to_vec())) {
        survives(&Hitbtc, &frames)?;
    }
}
