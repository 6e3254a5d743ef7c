//! Frames of Phemex's pages, both interfaces, and bad ones.

use proptest::prelude::*;

use super::*;
use crate::market::{FeedDepth, InstrumentId};
use crate::venue::testing::{decode_all, decoder, mangled, refuses, short_market, survives, there_and_back};

const SNAPSHOT: &str = r#"{"depth":30,"orderbook_p":{"asks":[["30000.5","0.72"],["30001.2","1.5"]],"bids":[["30000.4","0.81"]]},"sequence":77770771,"symbol":"BTCUSDT","timestamp":1700000000123456789,"type":"snapshot"}"#;
const UPDATE: &str = r#"{"depth":30,"orderbook_p":{"asks":[["30000.5","0"]],"bids":[["30000.4","0.9"],["29987.7","0.05"]]},"sequence":77770773,"symbol":"BTCUSDT","timestamp":1700000000143456789,"type":"incremental"}"#;
const TRADES: &str = r#"{"sequence":77702250,"symbol":"BTCUSDT","trades_p":[[1700000000200456789,"Sell","30000.3","0.649"],[1700000000123456789,"Buy","30000.5","0.1"]],"type":"incremental"}"#;
const SCALED: &str = r#"{"book":{"asks":[[300005000,19609]],"bids":[[300000000,18995]]},"depth":30,"sequence":1191904,"symbol":"BTCUSD","timestamp":1700000000123456789,"type":"snapshot"}"#;
const SCALED_UPDATE: &str = r#"{"book":{"asks":[[300005000,0]],"bids":[]},"depth":30,"sequence":1191905,"symbol":"BTCUSD","timestamp":1700000000143456789,"type":"incremental"}"#;
const SCALED_TRADE: &str = r#"{"sequence":1188273,"symbol":"BTCUSD","trades":[[1700000000123456789,"Buy",300005000,21]],"type":"incremental"}"#;
const PACK: &str = r#"{"data":[["ETHUSDT","1","1","1","1","1","1","1","1","1","1","1"],["BTCUSDT","29500","31000","29000","30000","8819.819","264594570","1234.5","30001.2","30002.1","0.0001","0.0001"]],"fields":["symbol","openRp","highRp","lowRp","lastRp","volumeRq","turnoverRv","openInterestRv","indexRp","markRp","fundingRateRr","predFundingRateRr"],"method":"perp_market24h_pack_p.update","timestamp":1700000000000000000,"type":"snapshot"}"#;
const DAY: &str = r#"{"market24h":{"open":295000000,"indexPrice":300012000,"markPrice":300021001,"openInterest":7821141,"fundingRate":-39075,"predFundingRate":7609,"symbol":"BTCUSD","turnover":1399362834123},"timestamp":1700000000000000000}"#;

const BOOK: &str =
    "BTCUSDT snapshot 1700000000123 | sell 0.72 @ 30000.5 | sell 1.5 @ 30001.2 | buy 0.81 @ 30000.4";
const CHANGE: &str =
    "BTCUSDT update 1700000000143 | sell 0 @ 30000.5 | buy 0.9 @ 30000.4 | buy 0.05 @ 29987.7";

/// Frames that say nothing of the market.
const QUIET: [&str; 8] = [
    r#"{"error":null,"id":1,"result":{"status":"success"}}"#,
    r#"{"error":null,"id":0,"result":"pong"}"#,
    r#"{"error":{"code":6001,"message":"invalid argument"},"id":null,"result":null}"#,
    r#"{"kline_p":[[1700000040,60,"29990","29995","30005","29990","30000","1.5","45000"]],"sequence":77711279,"symbol":"BTCUSDT","type":"snapshot"}"#,
    r#"{"tick_p":{"last":"30002.1","symbol":".MBTCUSDT","timestamp":1700000000000000000}}"#,
    r#"{"sequence":77702250,"symbol":"BTCUSDT","trades_p":[[1700000000123456789,"Sell","30000.3","0.649"]],"type":"snapshot"}"#,
    PACK, // of no market that was seen
    DAY,
];

#[test]
fn frames_of_the_pages() {
    for (frames, want) in [
        (
            &[SNAPSHOT, UPDATE, TRADES, PACK][..],
            &[
                BOOK,
                CHANGE,
                "BTCUSDT update 1700000000123 | buys 0.1 @ 30000.5",
                "BTCUSDT update 1700000000200 | sells 0.649 @ 30000.3",
                "BTCUSDT update 1700000000000 | mark 30002.1 | index 30001.2 | funding 0.0001",
            ][..],
        ),
        (
            &[SCALED, SCALED_UPDATE, SCALED_TRADE, DAY],
            &[
                "BTCUSD snapshot 1700000000123 | sell 19609 @ 30000.5 | buy 18995 @ 30000",
                "BTCUSD update 1700000000143 | sell 0 @ 30000.5",
                "BTCUSD update 1700000000123 | buys 21 @ 30000.5",
                "BTCUSD update 1700000000000 | mark 30002.1001 | index 30001.2 | funding -0.00039075",
            ],
        ),
        (&QUIET, &[]),
    ] {
        assert_eq!(decode_all(decoder(&Phemex).as_mut(), frames), want, "{frames:?}");
    }
}

#[test]
fn numbers_left_out_are_no_gap_and_old_ones_are_old_news() {
    let update = |sequence: i64| UPDATE.replace("77770773", &sequence.to_string());
    let frames = [
        update(1), // before any snapshot
        update(2),
        SNAPSHOT.to_owned(),
        update(77_775_000),
        update(77_775_000),
        update(77_770_773),
        SNAPSHOT.to_owned(), // comes again, with its own number
        update(77_770_772),
    ];
    let frames: Vec<_> = frames.iter().map(String::as_str).collect();
    let mut decoder = decoder(&Phemex);
    let got = decode_all(decoder.as_mut(), &frames);
    let lost = "BTCUSDT update 1700000000143 | distrust";
    assert_eq!(got, [lost, BOOK, CHANGE, BOOK, CHANGE]);
    assert_eq!(decoder.stats().gaps, 1);
    assert_eq!(decoder.depth(InstrumentId(0)), FeedDepth::Levels(30));
    let full = SNAPSHOT.replace("\"depth\":30", "\"depth\":0");
    assert_eq!(decode_all(decoder.as_mut(), &[&full, SNAPSHOT]), [BOOK]);
    assert_eq!(decoder.depth(InstrumentId(0)), FeedDepth::Full);
}

#[test]
fn bad_frames_say_what_is_wrong_and_change_nothing() {
    let bad = |from: &str, to: &str| SNAPSHOT.replace(from, to);
    let scaled = |from: &str, to: &str| SCALED.replace(from, to);
    refuses(
        &Phemex,
        &[SNAPSHOT, SCALED],
        &[
            ("[".to_owned(), "not a frame: EOF while parsing"),
            ("{}".to_owned(), "neither a push (a book, trades, market24h, …) nor an answer"),
            (bad("\"snapshot\"", "\"delta\""), "BTCUSDT: type \"delta\" is neither snapshot nor incremental"),
            (bad("\"sequence\":77770771,", ""), "BTCUSDT: sequence is missing"),
            (bad("BTCUSDT", "btcusdt"), "btcusdt: symbol \"btcusdt\" ends in no known quote currency"),
            (bad("30000.4", "-1"), "BTCUSDT: bids[0] price \"-1\" is negative"),
            (bad("[\"30000.4\",\"0.81\"]", "[]"), "book: invalid length 0, expected a price and a size"),
            (bad("1700000000123456789", "-1"), "BTCUSDT: timestamp -1 is no time in nanoseconds"),
            (scaled("300005000", "0.5"), "BTCUSD: asks[0] price \"0.5e-4\" has 5 decimals, 4 fit"),
            (
                scaled("BTCUSD", "LINKUSD"),
                "LINKUSD: its scales are not known: the exchange's list of products",
            ),
            (TRADES.replace("\"Sell\"", "\"sell\""), "BTCUSDT: [0] side \"sell\" is neither Buy nor Sell"),
            (TRADES.replace("\"0.1\"", "\"0\""), "BTCUSDT: [1] size \"0\" must be more than zero"),
            (PACK.replace("30002.1", "high"), "BTCUSDT: data[1] is not a decimal"),
            (r#"{"method":"perp_market24h_pack_p.update"}"#.to_owned(), "data is missing"),
        ],
    );
}

#[test]
fn groups_become_frames_and_groups_again() {
    let entries = Phemex.catalogue().unwrap().entries;
    let btc = entries[0].instrument.clone();
    // That a book is not to be believed cannot be said; the next snapshot follows.
    assert_eq!(
        there_and_back(&Phemex, &btc, &short_market(&btc, 300_000)),
        [
            "BTCUSDT snapshot 1700000000000 | sell 0.04 @ 30000.1 | sell 0.01 @ 30000.3 | buy 0.05 @ 29999.9",
            "BTCUSDT update 1700000000123 | buys 0.01 @ 30000.1 | sells 0.005 @ 29999.9",
            "BTCUSDT update 1700000000124 | sell 0.03 @ 30000.1 | sell 0 @ 30000.3 | sell 0.007 @ 30000.2 | buy 0.045 @ 29999.9",
            "BTCUSDT snapshot 1700000000300 | sell 0.008 @ 30000.2 | buy 0.009 @ 29999.8",
        ]
    );
    let inverse =
        entries.iter().find(|entry| entry.instrument.symbol == "BTCUSD").unwrap().instrument.clone();
    let got = there_and_back(&Phemex, &inverse, &short_market(&inverse, 60_000));
    assert_eq!(
        got[0],
        "BTCUSD snapshot 1700000000000 | sell 40 @ 30000.5 | sell 10 @ 30001.5 | buy 50 @ 29999.5"
    );
    assert_eq!(got[1], "BTCUSD update 1700000000123 | buys 10 @ 30000.5 | sells 5 @ 29999.5");
}

#[test]
fn symbols_and_pairs() {
    for (symbol, pair, family) in [
        ("BTCUSDT", "BTC-USDT", "perpetual"),
        ("sBTCUSDT", "BTC-USDT", "spot"),
        ("BTCUSD", "BTC-USD", "perpetual"),
    ] {
        let known = Phemex.pair_of(symbol).unwrap();
        assert_eq!((known.to_string().as_str(), Phemex.symbol_of(&known, family).as_str()), (pair, symbol));
        assert_eq!(Phemex.product_of(symbol).unwrap().family(), family);
    }
    assert_eq!(Phemex.pair_of("cETHUSD"), Phemex.pair_of("ETHUSD"));
    assert!(matches!(Phemex.product_of("cETHUSD"), Some(Product::Inverse { .. })));
    assert!(matches!(Phemex.product_of("uBTCUSD"), Some(Product::Linear { .. })));
    for symbol in [".MBTCUSDT", "USDT", "", "sUSDT", "BTC-USDT"] {
        assert_eq!(Phemex.pair_of(symbol), None, "{symbol}");
    }
}

#[test]
fn the_list_of_products() {
    let body = r#"{"code":0,"msg":"","data":{"products":[{"symbol":"BTCUSD","code":1,"type":"Perpetual","settleCurrency":"BTC","quoteCurrency":"USD","contractSize":1.0,"lotSize":1,"tickSize":0.5,"priceScale":4,"ratioScale":8,"minPriceEp":5000,"maxPriceEp":10000000000,"maxOrderQty":1000000,"status":"Listed"},{"symbol":"ETHUSD","type":"Perpetual","settleCurrency":"USD","quoteCurrency":"USD","contractSize":0.005,"lotSize":1,"tickSize":0.05,"priceScale":4,"maxOrderQty":500000,"status":"Suspended"},{"symbol":"sBTCUSDT","type":"Spot","quoteCurrency":"USDT","baseCurrency":"BTC","baseTickSizeEv":100,"quoteTickSizeEv":1000000,"minOrderValueEv":1000000000,"maxBaseOrderSizeEv":100000000000,"status":"Listed"}],"perpProductsV2":[{"symbol":"BTCUSDT","type":"PerpetualV2","settleCurrency":"USDT","quoteCurrency":"USDT","tickSize":"0.1","priceScale":0,"maxOrderQtyRq":"1000","maxPriceRp":"2000000000","minOrderValueRv":"1","qtyStepSize":"0.001","status":"Listed"}]}}"#;
    let entries = Phemex.reply_instruments("https://x/public/products", body);
    let shown: Vec<_> = entries
        .iter()
        .map(|Entry { instrument: one, tradable, .. }| {
            let (tick, lot) = (one.show_price(one.rule.tick), one.show_qty(one.rule.lot));
            format!(
                "{} {} {:?} {tick} {lot} {}/{} {tradable}",
                one.symbol, one.pair, one.product, one.price_scale, one.qty_scale
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            "BTCUSD BTC-USD Inverse { multiplier: 1 } 0.5 1 4/0 true",
            "ETHUSD ETH-USD Linear { multiplier: 0.005 } 0.05 1 4/0 false",
            "sBTCUSDT BTC-USDT Spot 0.01 0.000001 8/8 true",
            "BTCUSDT BTC-USDT Linear { multiplier: 1 } 0.1 0.001 1/3 true",
        ]
    );
    assert!(Phemex.reply_instruments("https://x/public/products", "{}").is_empty());
    assert!(Phemex.reply_instruments("https://x/md/orderbook", body).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn whatever_comes_is_answered(frames in mangled([SNAPSHOT, UPDATE, TRADES, SCALED, SCALED_UPDATE, SCALED_TRADE, PACK, DAY].map(str::to_owned).to_vec())) {
        survives(&Phemex, &frames)?;
    }
}
