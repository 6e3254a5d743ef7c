//! Frames of BitMart's page about futures, and bad ones.

use proptest::prelude::*;

use super::*;
use crate::market::{FeedDepth, InstrumentId};
use crate::venue::Venue;
use crate::venue::bitmart::Bitmart;
use crate::venue::testing::{decode_all, decoder, mangled, refuses, short_market, survives, there_and_back};

const SNAPSHOT: &str = r#"{"data":{"symbol":"BTCUSDT","asks":[{"price":"60000.1","vol":"150"}],"bids":[{"price":"60000","vol":"200"}],"ms_t":1700000000000,"version":7822754,"type":"snapshot"},"group":"futures/depthIncrease50:BTCUSDT@100ms"}"#;
const UPDATE: &str = r#"{"data":{"symbol":"BTCUSDT","asks":[],"bids":[{"price":"60000","vol":"0"},{"price":"59999.9","vol":"433"}],"ms_t":1700000000100,"version":7822755,"type":"update"},"group":"futures/depthIncrease50:BTCUSDT@100ms"}"#;
const BIDS: &str = r#"{"group":"futures/depth5:BTCUSDT","data":{"symbol":"BTCUSDT","way":1,"depths":[{"price":"60000.0","vol":"200"}],"ms_t":1700000000000}}"#;
const ASKS: &str = r#"{"group":"futures/depth5:BTCUSDT","data":{"symbol":"BTCUSDT","way":2,"depths":[{"price":"60000.1","vol":"150"}],"ms_t":1700000000000}}"#;
const ALL: &str = r#"{"group":"futures/depthAll20:BTCUSDT@200ms","data":{"symbol":"BTCUSDT","asks":[{"price":"60000.1","vol":"150"}],"bids":[{"price":"60000","vol":"200"}],"ms_t":1700000000000}}"#;
const BEST: &str = r#"{"data":{"symbol":"BTCUSDT","best_bid_price":"60000","best_bid_vol":"200","best_ask_price":"60000.1","best_ask_vol":"150","ms_t":1700000000000},"group":"futures/bookticker:BTCUSDT"}"#;
const TRADE: &str = r#"{"group":"futures/trade:BTCUSDT","data":[{"trade_id":3000000245258661,"symbol":"BTCUSDT","deal_price":"60000.1","deal_vol":"5","way":5,"m":false,"created_at":"2023-11-14T22:13:20.123456789Z"}]}"#;
const TICKER: &str = r#"{"data":{"symbol":"BTCUSDT","last_price":"60000.0","mark_price":"60000.5","index_price":"60010.25"},"group":"futures/ticker"}"#;
const FUNDING: &str = r#"{"data":{"symbol":"BTCUSDT","fundingRate":"0.0001","fundingTime":1700000000000,"nextFundingRate":"0.00011","nextFundingTime":1700006400000,"ts":1700000000500},"group":"futures/fundingRate:BTCUSDT"}"#;

const BOOK: &str = "BTCUSDT snapshot 1700000000000 | sell 150 @ 60000.1 | buy 200 @ 60000";
const CHANGE: &str = "BTCUSDT update 1700000000100 | buy 0 @ 60000 | buy 433 @ 59999.9";

#[test]
fn frames_of_the_page() {
    let quiet = [
        r#"{"action":"subscribe","group":"futures/trade:BTCUSDT","success":true,"request":{}}"#,
        r#"{"group":"System","data":"pong+e0d8adb4"}"#,
        r#"{"success":false,"error":"Invalid message: message must be JSON: ping"}"#,
        r#"{"group":"futures/klineBin1m:BTCUSDT","data":{"symbol":"BTCUSDT","items":[]}}"#,
        TICKER, // of no market that was seen
    ];
    for (frames, want) in [
        (&[SNAPSHOT, UPDATE][..], &[BOOK, CHANGE][..]),
        (&[BIDS, ASKS], &["BTCUSDT snapshot 1700000000000 | sell 150 @ 60000.1 | buy 200 @ 60000"]),
        (&[ALL], &[BOOK]),
        (&[BEST], &[BOOK]),
        (&[TRADE], &["BTCUSDT update 1700000000123 | buys 5 @ 60000.1 #3000000245258661"]),
        (
            &[SNAPSHOT, TICKER, FUNDING],
            &[
                BOOK,
                "BTCUSDT update 1700000000123 | mark 60000.5 | index 60010.25",
                "BTCUSDT update 1700000000500 | funding 0.00011 due 2023-11-15T00:00:00Z",
            ],
        ),
        (&quiet, &[]),
    ] {
        assert_eq!(decode_all(decoder(&Bitmart).as_mut(), frames), want, "{frames:?}");
    }
    // It is what is said that tells the market, not how it is laid out.
    let spaced = SNAPSHOT.replace("\"group\":", "\"group\" : ");
    assert_eq!(decode_all(decoder(&Bitmart).as_mut(), &[&spaced]), [BOOK]);
    let later = ASKS.replace("1700000000000", "1700000000001");
    assert!(decode_all(decoder(&Bitmart).as_mut(), &[BIDS, &later, BIDS]).is_empty());
}

#[test]
fn a_number_left_out_is_a_gap_until_the_next_snapshot() {
    let update = |version: i64| UPDATE.replace("7822755", &version.to_string());
    let empty = r#"{"data":{"symbol":"BTCUSDT","asks":[],"bids":[],"ms_t":1,"version":7822755,"type":"update"},"group":"futures/depthIncrease50:BTCUSDT"}"#;
    let mut decoder = decoder(&Bitmart);
    let frames = [SNAPSHOT, empty, &update(7_822_756), &update(7_822_758), &update(7_822_759), SNAPSHOT];
    let got = decode_all(decoder.as_mut(), &frames);
    assert_eq!(got, [BOOK, CHANGE, "BTCUSDT update 1700000000100 | distrust", BOOK]);
    assert_eq!(decoder.stats().gaps, 1);
    assert_eq!(decoder.depth(InstrumentId(0)), FeedDepth::Levels(50));
}

#[test]
fn bad_frames_say_what_is_wrong_and_change_nothing() {
    let bad = |from: &str, to: &str| SNAPSHOT.replace(from, to);
    refuses(
        &Bitmart,
        &[SNAPSHOT],
        &[
            (r#"{"group":"spot/trade"}"#.to_owned(), "neither a push (group, data) nor an answer"),
            (r#"{"group":"futures/trade:X"}"#.to_owned(), "trade: data is missing"),
            (bad("depthIncrease50", "dance"), "unknown channel \"dance\""),
            (
                bad("\"snapshot\"", "\"delta\""),
                "depthIncrease50: type \"delta\" is neither snapshot nor update",
            ),
            (bad("\"version\":7822754,", ""), "depthIncrease50: version is missing or negative"),
            (bad("60000.1", "x"), "depthIncrease50: asks[0] price \"x\" is not a decimal"),
            (BIDS.replace("\"way\":1", "\"way\":3"), "depth5: way is neither 1 (bids) nor 2 (asks)"),
            (TRADE.replace("Z\"", "\""), "data[0] created_at \"2023-11-14T22:13:20.123456789\" is no time"),
        ],
    );
}

#[test]
fn groups_become_frames_and_groups_again() {
    let entries = Bitmart.catalogue().unwrap().entries;
    let btc = &entries.iter().find(|entry| entry.instrument.symbol == "BTCUSDT").unwrap().instrument;
    assert_eq!(
        there_and_back(&Bitmart, btc, &short_market(btc, 300_000)),
        [
            "BTCUSDT snapshot 1700000000000 | sell 40 @ 30000.1 | sell 10 @ 30000.3 | buy 50 @ 29999.9",
            "BTCUSDT update 1700000000123 | buys 10 @ 30000.1 #1",
            "BTCUSDT update 1700000000123 | sells 5 @ 29999.9 #2",
            "BTCUSDT update 1700000000124 | sell 0 @ 30000.3 | sell 30 @ 30000.1 | sell 7 @ 30000.2 | buy 45 @ 29999.9",
            "BTCUSDT update 1700000000200 | distrust",
            "BTCUSDT snapshot 1700000000300 | sell 8 @ 30000.2 | buy 9 @ 29999.8",
        ]
    );
}

#[test]
fn the_list_of_contracts() {
    let body = r#"{"code":1000,"message":"Ok","data":{"symbols":[{"symbol":"BTCUSDT","product_type":1,"base_currency":"BTC","quote_currency":"USDT","contract_size":"0.001","price_precision":"0.1","vol_precision":"1","max_volume":"1000000","market_max_volume":"50000","min_volume":"1","status":"Trading","delist_time":0},{"symbol":"BTCUSDT25","product_type":2,"base_currency":"BTC","quote_currency":"USDT","contract_size":"0.001","price_precision":"0.1","vol_precision":"1"}]},"trace":"t"}"#;
    let entries = Bitmart.reply_instruments("https://x/contract/public/details", body);
    let [entry] = &entries[..] else { panic!("{entries:?}") };
    assert_eq!(entry.instrument.product, Product::Linear { multiplier: Decimal::new(1, 3) });
    assert_eq!(entry.instrument.show_price(entry.instrument.rule.tick).to_string(), "0.1");
    assert_eq!(Bitmart.pair_of("BTCUSDT"), Some(Pair::new("BTC", "USDT")));
    assert_eq!(Bitmart.symbol_of(&Pair::new("BTC", "USDT"), "perpetual"), "BTCUSDT");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_comes_is_answered(frames in mangled([SNAPSHOT, UPDATE, BIDS, ASKS, ALL, BEST, TRADE, TICKER, FUNDING].map(str::to_owned).to_vec())) {
        survives(&Bitmart, &frames)?;
    }
}
