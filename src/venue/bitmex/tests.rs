//! Frames of BitMEX's pages, of all its years, and bad ones.

use proptest::prelude::*;

use super::*;
use crate::market::{FeedDepth, InstrumentId};
use crate::venue::testing::{decode_all, decoder, mangled, refuses, short_market, survives, there_and_back};

const PARTIAL: &str = r#"{"table":"orderBookL2","action":"partial","keys":["symbol","id","side"],"types":{"symbol":"symbol"},"filter":{"symbol":"XBTUSD"},"data":[{"symbol":"XBTUSD","id":7,"side":"Sell","size":5000,"price":60001,"timestamp":"2026-01-01T00:00:00.000Z","transactTime":"2026-01-01T00:00:00.000Z","pool":"Primary"},{"symbol":"XBTUSD","id":3,"side":"Buy","size":12000,"price":60000,"timestamp":"2026-01-01T00:00:00.000Z"}]}"#;
const UPDATE: &str = r#"{"table":"orderBookL2","action":"update","data":[{"symbol":"XBTUSD","id":3,"side":"Buy","size":9000}]}"#;
const INSERT: &str = r#"{"table":"orderBookL2","action":"insert","data":[{"symbol":"XBTUSD","id":5,"side":"Buy","size":300,"price":5.99995e4,"timestamp":"2026-01-01T00:00:01.200Z"}]}"#;
const DELETE: &str = r#"{"table":"orderBookL2","action":"delete","data":[{"symbol":"XBTUSD","id":7,"side":"Sell","price":60001,"timestamp":"2026-01-01T00:00:01.300Z"}]}"#;
const BOOK10: &str = r#"{"table":"orderBook10","action":"update","data":[{"symbol":"XBTUSD","bids":[[60000,12000],[59999,300]],"asks":[[60001,5000]],"timestamp":"2026-01-01T00:00:01.000Z"}]}"#;
const QUOTE: &str = r#"{"table":"quote","action":"insert","data":[{"timestamp":"2026-01-01T00:00:01.000Z","symbol":"XBTUSD","bidSize":9000,"bidPrice":60000,"askPrice":60001,"askSize":5000}]}"#;
const TRADE: &str = r#"{"table":"trade","action":"insert","data":[{"timestamp":"2026-01-01T00:00:02.000Z","symbol":"XBTUSD","side":"Sell","size":100,"price":60000,"tickDirection":"ZeroMinusTick","trdMatchID":"00000000-006d-1000-0000-000000000001","grossValue":166667,"trdType":"Regular"},{"timestamp":"2026-01-01T00:00:02.000Z","symbol":".BXBT","side":"Buy","size":0,"price":60000.5,"trdType":"Referential"}]}"#;
const STATUS: &str = r#"{"table":"instrument","action":"update","data":[{"symbol":"XBTUSD","fairPrice":60013,"markPrice":60013.25,"indicativeSettlePrice":60010,"fundingRate":-1.0E-4,"fundingTimestamp":"2026-01-01T04:00:00.000Z","timestamp":"2026-01-01T00:00:05.000Z"},{"symbol":"ETHUSD","openInterest":58922153}]}"#;
const LIQUIDATION: &str = r#"{"table":"liquidation","action":"insert","data":[{"orderID":"a","symbol":"XBTUSD","side":"Buy","price":60100,"leavesQty":9214},{"orderID":"b","symbol":"ETHUSD","side":"Buy","price":1,"leavesQty":1}]}"#;
const SPOT: &str = r#"{"table":"orderBookL2","action":"partial","filter":{"symbol":"XBT_USDT"},"data":[{"symbol":"XBT_USDT","id":1,"side":"Sell","size":170000,"price":60001.5}]}"#;
const ACK: &str = r#"{"success":true,"subscribe":"quote:XBTUSD","request":{"op":"subscribe","args":["quote:XBTUSD","orderBookL2:XBTUSD"]}}"#;

const BOOK: &str = "XBTUSD snapshot 1767225600000 | sell 5000 @ 60001 | buy 12000 @ 60000";
/// The time of frames that name none.
const NOW: &str = "XBTUSD update 1700000000123";

/// Frames that say nothing of the market.
const QUIET: [&str; 8] = [
    r#"{"info":"Welcome to the BitMEX Realtime API.","version":"2.0.0","timestamp":"2026-01-01T00:00:00.000Z","docs":"https://www.bitmex.com/app/wsAPI","heartbeatEnabled":false,"limit":{"remaining":719}}"#,
    ACK,
    r#"{"status":400,"error":"Unknown or expired symbol.","meta":{},"request":{"op":"subscribe","args":["orderBookL2:NOPE"]}}"#,
    r#"{"status":429,"error":"Rate limit exceeded, retry in 1 seconds.","meta":{"retryAfter":1},"request":{"op":"subscribe","args":"orderBook10:XBTUSD"}}"#,
    r#"{"now":"2026-01-01T00:00:00.000Z","cancelTime":"2026-01-01T00:01:00.000Z","request":{"op":"cancelAllAfter","args":60000}}"#,
    "pong",
    r#"{"table":"trade","action":"partial","data":[{"timestamp":"2026-01-01T00:00:02.000Z","symbol":"XBTUSD","side":"Sell","size":100,"price":60000}]}"#,
    r#"{"table":"tradeBin1m","action":"insert","data":[{"symbol":"XBTUSD","open":60010}]}"#,
];

#[test]
fn frames_of_the_pages() {
    for (frames, want) in [
        (
            &[PARTIAL, UPDATE, INSERT, DELETE][..],
            &[
                BOOK,
                &format!("{NOW} | buy 9000 @ 60000"),
                "XBTUSD update 1767225601200 | buy 300 @ 59999.5",
                "XBTUSD update 1767225601300 | sell 0 @ 60001",
            ][..],
        ),
        (
            &[BOOK10],
            &["XBTUSD snapshot 1767225601000 | sell 5000 @ 60001 | buy 12000 @ 60000 | buy 300 @ 59999"],
        ),
        (&[QUOTE], &["XBTUSD snapshot 1767225601000 | sell 5000 @ 60001 | buy 9000 @ 60000"]),
        (
            &[TRADE],
            &["XBTUSD update 1767225602000 | sells 100 @ 60000 #00000000-006d-1000-0000-000000000001"],
        ),
        (
            &[PARTIAL, STATUS, LIQUIDATION],
            &[
                BOOK,
                "XBTUSD update 1767225605000 | mark 60013.25 | index 60010 | funding -0.0001 due 2026-01-01T04:00:00Z",
                &format!("{NOW} | liquidation buy 9214 @ 60100"),
            ],
        ),
        // Spot sizes are satoshi on the wire.
        (&[SPOT], &["XBT_USDT snapshot 1700000000123 | sell 0.0017 @ 60001.5"]),
        (&QUIET, &[]),
    ] {
        assert_eq!(decode_all(decoder(&Bitmex).as_mut(), frames), want, "{frames:?}");
    }
}

#[test]
fn an_id_that_nobody_inserted_is_a_gap_until_the_next_partial() {
    let other = UPDATE.replace("\"id\":3", "\"id\":4");
    let mut decoder = decoder(&Bitmex);
    let got = decode_all(
        decoder.as_mut(),
        &[UPDATE, UPDATE, PARTIAL, &other, UPDATE, PARTIAL, UPDATE, DELETE, DELETE],
    );
    let lost = format!("{NOW} | distrust");
    let changed = format!("{NOW} | buy 9000 @ 60000");
    let gone = "XBTUSD update 1767225601300 | sell 0 @ 60001";
    let lost_too = "XBTUSD update 1767225601300 | distrust";
    assert_eq!(got, [lost.as_str(), BOOK, &lost, BOOK, &changed, gone, lost_too]);
    assert_eq!(decoder.stats().gaps, 3);
}

#[test]
fn a_level_that_moves_leaves_its_old_place() {
    let moved = r#"{"table":"orderBookL2","action":"update","data":[{"symbol":"XBTUSD","id":3,"side":"Buy","size":9000,"price":59999}]}"#;
    let got = decode_all(decoder(&Bitmex).as_mut(), &[PARTIAL, moved, UPDATE]);
    assert_eq!(got[1], format!("{NOW} | buy 0 @ 60000 | buy 9000 @ 59999"));
    assert_eq!(got[2], format!("{NOW} | buy 9000 @ 59999"));
}

#[test]
fn symbols_may_be_mixed_and_books_empty() {
    let mixed = r#"{"table":"orderBookL2","action":"partial","data":[{"symbol":"XBTUSD","id":1,"side":"Sell","size":1,"price":9},{"symbol":"ETHUSD","id":2,"side":"Buy","size":2,"price":8},{"symbol":"XBTUSD","id":3,"side":"Buy","size":3,"price":7}]}"#;
    let empty = r#"{"table":"orderBookL2","action":"partial","filter":{"symbol":"XBTUSD"},"data":[]}"#;
    let got = decode_all(decoder(&Bitmex).as_mut(), &[mixed, empty]);
    assert_eq!(
        got,
        [
            "ETHUSD snapshot 1700000000123 | buy 2 @ 8",
            "XBTUSD snapshot 1700000000123 | sell 1 @ 9 | buy 3 @ 7",
            "XBTUSD snapshot 1700000000123",
        ]
    );
}

#[test]
fn the_deepest_table_is_the_book_and_a_promised_one_is_waited_for() {
    let best25 = |frame: &str| frame.replace("orderBookL2", "orderBookL2_25");
    let mut open = decoder(&Bitmex);
    assert_eq!(decode_all(open.as_mut(), &[QUOTE, BOOK10, QUOTE, &best25(PARTIAL), BOOK10]).len(), 3);
    assert_eq!(open.depth(InstrumentId(0)), FeedDepth::Levels(25));
    assert_eq!(decode_all(open.as_mut(), &[PARTIAL, &best25(DELETE), UPDATE]).len(), 2);
    assert_eq!(open.depth(InstrumentId(0)), FeedDepth::Full);
    let mut promised = decoder(&Bitmex);
    assert_eq!(decode_all(promised.as_mut(), &[ACK, QUOTE, BOOK10, PARTIAL]), [BOOK]);
    let all = ACK.replace("orderBookL2:XBTUSD", "orderBook10");
    let mut promised = decoder(&Bitmex);
    assert_eq!(decode_all(promised.as_mut(), &[&all, QUOTE, BOOK10]).len(), 1);
}

#[test]
fn an_instrument_table_describes_and_halts() {
    let row = r#"{"table":"instrument","action":"partial","filter":{"symbol":"SOLUSDT"},"data":[{"symbol":"SOLUSDT","state":"Open","typ":"FFWCSX","underlying":"SOL","quoteCurrency":"USDT","lotSize":1000,"tickSize":0.01,"multiplier":100,"underlyingToPositionMultiplier":10000,"maxOrderQty":1000000000,"maxPrice":1000000,"isInverse":false,"isQuanto":false,"makerFee":0.0005,"takerFee":0.0005,"markPrice":150.126}]}"#;
    let halt = r#"{"table":"instrument","action":"update","data":[{"symbol":"SOLUSDT","state":"Closed"}]}"#;
    let mut decoder = decoder(&Bitmex);
    let got = decode_all(decoder.as_mut(), &[row, halt]);
    assert_eq!(
        got,
        [
            "SOLUSDT update 1700000000123 | trading true | mark 150.126",
            "SOLUSDT update 1700000000123 | trading false",
        ]
    );
    let sol = &decoder.instruments()[0];
    assert_eq!(
        (sol.origin, sol.product),
        (RuleOrigin::Tape, Product::Linear { multiplier: Decimal::new(1, 4) })
    );
    assert_eq!(sol.show_qty(sol.rule.lot).to_string(), "1000");
}

#[test]
fn bad_frames_say_what_is_wrong_and_change_nothing() {
    let bad = |from: &str, to: &str| PARTIAL.replace(from, to);
    refuses(
        &Bitmex,
        &[PARTIAL],
        &[
            ("{\"table\"".to_owned(), "not a frame: EOF while parsing"),
            ("{}".to_owned(), "neither a push (table, action, data) nor an answer (info, success, …)"),
            ("[]".to_owned(), "a list: a reply of the REST interface, no frame"),
            (r#"{"table":"trade","action":"insert"}"#.to_owned(), "trade: data is missing"),
            (bad("\"partial\"", "\"whole\""), "action \"whole\" is none of partial, insert, update, delete"),
            (bad("orderBookL2", "orderBookL3"), "unknown table \"orderBookL3\""),
            (bad("\"Buy\"", "\"Bid\""), "XBTUSD: [1] side \"Bid\" is neither Buy nor Sell"),
            (bad("\"price\":60000,", ""), "XBTUSD: [1] price is missing"),
            (bad("\"size\":12000,", ""), "XBTUSD: [1] size is missing"),
            (bad("60001,", "6e-9,"), "XBTUSD: [0] price \"6e-9\" has 9 decimals, 4 fit"),
            (bad("12000", "-1"), "XBTUSD: [1] size \"-1\" is negative"),
            (bad("12000", "0.5"), "XBTUSD: [1] size \"0.5\" has 1 decimals, 0 fit"),
            (bad("XBTUSD", "xbt"), "xbt: symbol \"xbt\" is not upper-case letters and digits"),
            (bad("2026-01-01T00:00:00.000Z\"}", "noon\"}"), "XBTUSD: timestamp \"noon\" is no time"),
            (SPOT.replace("XBT_", "ABC_"), "ABC_USDT: the minor unit of ABC is not known"),
            (TRADE.replace("\"price\":60000,", ""), "data[0] price is missing"),
            (STATUS.replace("60013.25", "\"much\""), "data[0] markPrice \"much\" is not a decimal"),
        ],
    );
}

#[test]
fn groups_become_frames_and_groups_again() {
    let entries = Bitmex.catalogue().unwrap().entries;
    let xbt = entries[0].instrument.clone();
    // One action a message: what goes, what changes, what is new.
    assert_eq!(
        there_and_back(&Bitmex, &xbt, &short_market(&xbt, 300_000)),
        [
            "XBTUSD snapshot 1700000000000 | sell 4000 @ 30000.1 | sell 1000 @ 30000.3 | buy 5000 @ 29999.9",
            "XBTUSD update 1700000000123 | buys 1000 @ 30000.1 #00000000-006d-1000-0000-000000000001 | sells 500 @ 29999.9 #00000000-006d-1000-0000-000000000002",
            "XBTUSD update 1700000000124 | sell 0 @ 30000.3",
            "XBTUSD update 1700000000124 | sell 3000 @ 30000.1 | buy 4500 @ 29999.9",
            "XBTUSD update 1700000000124 | sell 700 @ 30000.2",
            "XBTUSD update 1700000000200 | distrust",
            "XBTUSD snapshot 1700000000300 | sell 800 @ 30000.2 | buy 900 @ 29999.8",
        ]
    );
    let spot = entries.iter().find(|entry| entry.instrument.product == Product::Spot).unwrap();
    let got = there_and_back(&Bitmex, &spot.instrument, &short_market(&spot.instrument, 60_000));
    assert_eq!(
        got[0],
        "XBT_USDT snapshot 1700000000000 | sell 0.0004 @ 30000.5 | sell 0.0001 @ 30001.5 | buy 0.0005 @ 29999.5"
    );
}

#[test]
fn symbols_and_pairs() {
    for (symbol, pair, family) in [
        ("XBTUSD", "XBT-USD", "perpetual"),
        ("XBTUSDT", "XBT-USDT", "perpetual"),
        ("XBT_USDT", "XBT-USDT", "spot"),
    ] {
        let known = Bitmex.pair_of(symbol).unwrap();
        assert_eq!((known.to_string().as_str(), Bitmex.symbol_of(&known, family).as_str()), (pair, symbol));
        assert_eq!(Bitmex.product_of(symbol).unwrap().family(), family);
    }
    for symbol in ["XBTM26", "ETHUSDM22", ".BXBT", "USD", "xbtusd", "A_B_C"] {
        assert_eq!(Bitmex.pair_of(symbol), None, "{symbol}");
    }
    assert_eq!(rule("XBTM26").unwrap().0.quote.as_str(), UNKNOWN_QUOTE);
}

/// The minor units of bitmex §4: a fee of 1.2345678 USDT is charged as 1,234,568 millionths.
#[test]
fn fees_are_charged_in_minor_units() {
    let listed = Bitmex.catalogue().unwrap();
    for (symbol, want) in [("XBT_USDT", 6), ("XBTUSDT", 6), ("XBTUSD", 8)] {
        let found = listed.entries.iter().find(|entry| entry.instrument.symbol == symbol);
        assert_eq!(Bitmex.fee_decimals(&found.unwrap().instrument), want, "{symbol}");
    }
}

#[test]
fn the_list_of_instruments() {
    let body = r#"[{"symbol":"XBTUSD","state":"Open","typ":"FFWCSX","underlying":"XBT","quoteCurrency":"USD","lotSize":100,"tickSize":0.1,"multiplier":-100000000,"underlyingToPositionMultiplier":null,"maxOrderQty":10000000,"maxPrice":1000000,"isInverse":true,"isQuanto":false,"makerFee":-0.00025,"takerFee":7.5E-4},
        {"symbol":"ETHUSD","state":"Open","typ":"FFWCSX","underlying":"ETH","quoteCurrency":"USD","lotSize":1,"tickSize":0.05,"multiplier":100,"maxOrderQty":10000000,"maxPrice":1000000,"isInverse":false,"isQuanto":true},
        {"symbol":"XRPU21","state":"Open","typ":"FFCCSX","underlying":"XRP","quoteCurrency":"XBT","lotSize":1,"tickSize":1e-8,"multiplier":100000000,"underlyingToPositionMultiplier":1,"maxOrderQty":10000000,"maxPrice":1,"isInverse":false,"isQuanto":false},
        {"symbol":"XBT_USDT","state":"Open","typ":"IFXXXP","underlying":"XBT","quoteCurrency":"USDT","lotSize":1000,"tickSize":0.5,"multiplier":1,"underlyingToPositionMultiplier":100000000,"maxOrderQty":10000000000,"maxPrice":1000000,"isInverse":false,"isQuanto":false},
        {"symbol":".BXBT","state":"Unlisted","typ":"MRCXXX"}]"#;
    let shown: Vec<_> = Bitmex
        .reply_instruments("https://x/api/v1/instrument/active", body)
        .into_iter()
        .map(|Entry { instrument: one, tradable, fees, .. }| {
            let (tick, lot) = (one.show_price(one.rule.tick), one.show_qty(one.rule.lot));
            let maker = fees.map_or_else(String::new, |(maker, _)| maker.to_decimal().to_string());
            format!("{} {} {:?} {tick} {lot} {tradable} {maker}", one.symbol, one.pair, one.product)
        })
        .collect();
    assert_eq!(
        shown,
        [
            "XBTUSD XBT-USD Inverse { multiplier: 1 } 0.1 100 true -0.00025",
            "ETHUSD ETH-USD Quanto { multiplier: 0.000001 } 0.05 1 true ",
            "XRPU21 XRPU21-UNKNOWN Linear { multiplier: 1 } 0.00000001 1 false ",
            "XBT_USDT XBT-USDT Spot 0.5 0.00001 true ",
        ]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn whatever_comes_is_answered(frames in mangled([PARTIAL, UPDATE, INSERT, DELETE, BOOK10, QUOTE, TRADE, STATUS, LIQUIDATION, SPOT, ACK].map(str::to_owned).to_vec())) {
        survives(&Bitmex, &frames)?;
    }
}
