//! Frames of BitMart's page, bad frames, and the two readers against each other.

use proptest::prelude::*;

use super::*;
use crate::market::{
    EventLog, FeedDepth, Group, GroupKind, InstrumentId, MarketEvent, Price, Qty, Side, Timestamp,
};
use crate::venue::{DecodeError, Frame};

const RECEIVED: Timestamp = Timestamp::from_nanos(1_700_000_000_123_456_789);

fn known() -> Known {
    let catalogue = Bitmart.catalogue().unwrap();
    Known {
        declared: Vec::new(),
        others: catalogue.entries.into_iter().map(|entry| entry.instrument).collect(),
    }
}

fn decoder() -> BitmartDecoder {
    BitmartDecoder::new(known())
}

/// One line a group: `BTC_USDT snapshot 1700000000000 | sell 0.4 @ 60000.01 | …`.
fn show(decoder: &BitmartDecoder, log: &EventLog) -> Vec<String> {
    log.iter().map(|group| show_group(decoder, &group)).collect()
}

fn show_group(decoder: &BitmartDecoder, group: &Group<'_>) -> String {
    let instrument = &decoder.instruments()[group.instrument.index()];
    let kind = match group.kind {
        GroupKind::Snapshot => "snapshot",
        GroupKind::SnapshotRest => "rest",
        GroupKind::Update => "update",
    };
    let mut line = format!("{} {kind} {}", instrument.symbol, group.exchange_time.millis());
    for event in group.events {
        line += &match *event {
            MarketEvent::Level { side, price, qty } => {
                format!(" | {side} {} @ {}", instrument.show_qty(qty), instrument.show_price(price))
            }
            MarketEvent::Trade(print) => {
                let side = print.aggressor.map_or("?", Side::name);
                format!(
                    " | {side}s {} @ {}",
                    instrument.show_qty(print.qty),
                    instrument.show_price(print.price)
                )
            }
            MarketEvent::Distrust => " | distrust".to_owned(),
            MarketEvent::Trading(on) => format!(" | trading {on}"),
            MarketEvent::Candle(volume) => format!(" | candle {}", volume.units()),
            MarketEvent::News(news) => format!(" | {news:?}"),
        };
    }
    line
}

fn decode_all(decoder: &mut BitmartDecoder, frames: &[&str]) -> Vec<String> {
    let mut log = EventLog::default();
    for frame in frames {
        decoder
            .decode(RECEIVED, Frame::Text(frame), &mut log)
            .unwrap_or_else(|error| panic!("{frame}: {error}"));
    }
    show(decoder, &log)
}

const SNAPSHOT: &str = r#"{"data":[{"asks":[["60000.01","0.40000"]],"bids":[["59999.99","0.50000"]],"ms_t":1700000000000,"symbol":"BTC_USDT","type":"snapshot","version":41}],"table":"spot/depth/increase100"}"#;
const UPDATE: &str = r#"{"data":[{"asks":[["60000.01","0.30000"],["60000.50","0"]],"bids":[],"ms_t":1700000000100,"symbol":"BTC_USDT","type":"update","version":42}],"table":"spot/depth/increase100"}"#;
const TRADE: &str = r#"{"table":"spot/trade","data":[{"symbol":"BTC_USDT","price":"60000.00","side":"buy","size":"0.01000","s_t":1700000000,"ms_t":1700000000123}]}"#;

#[test]
fn frames_of_the_page() {
    for (frame, want) in [
        (SNAPSHOT, &["BTC_USDT snapshot 1700000000000 | sell 0.4 @ 60000.01 | buy 0.5 @ 59999.99"][..]),
        (TRADE, &["BTC_USDT update 1700000000123 | buys 0.01 @ 60000"]),
        (
            r#"{"table":"spot/depth50","data":[{"asks":[["60000.01","0.40000"]],"bids":[["59999.99","0.50000"]],"symbol":"BTC_USDT","ms_t":1700000000000}]}"#,
            &["BTC_USDT snapshot 1700000000000 | sell 0.4 @ 60000.01 | buy 0.5 @ 59999.99"],
        ),
        (
            r#"{"data":[{"symbol":"BTC_USDT","bid_px":"59999.99","bid_sz":"0.5","ask_px":"60000.01","ask_sz":"0.4","ms_t":1700000000000}],"table":"spot/bookTicker"}"#,
            &["BTC_USDT snapshot 1700000000000 | sell 0.4 @ 60000.01 | buy 0.5 @ 59999.99"],
        ),
        (
            r#"{"data":[{"ask_px":"60000.01","ask_sz":"0.40000","base_volume_24h":"512.10000","bid_px":"59999.99","bid_sz":"0.50000","fluctuation":"0.0084","high_24h":"60500.00","last_price":"60000.00","low_24h":"59000.00","ms_t":1700000000000,"open_24h":"59500.00","quote_volume_24h":"30726000.00","s_t":1700000000,"symbol":"BTC_USDT"}],"table":"spot/ticker"}"#,
            &[],
        ),
        (
            r#"{"data":[{"candle":[1700000000,"59990.00","60010.00","59980.00","60000.00","1.23000"],"symbol":"BTC_USDT"}],"table":"spot/kline1m"}"#,
            &[],
        ),
        (r#"{"event":"subscribe","topic":"spot/ticker:BTC_USDT"}"#, &[]),
        (r#"{"event":"login"}"#, &[]),
        (r#"{"event":"subscribe","errorMessage":"Invalid channel param","errorCode":"90004"}"#, &[]),
        ("pong", &[]),
    ] {
        assert_eq!(decode_all(&mut decoder(), &[frame]), want, "{frame}");
    }
}

#[test]
fn updates_follow_their_snapshot() {
    let mut decoder = decoder();
    let got = decode_all(&mut decoder, &[UPDATE, SNAPSHOT, UPDATE]);
    assert_eq!(
        got,
        [
            "BTC_USDT snapshot 1700000000000 | sell 0.4 @ 60000.01 | buy 0.5 @ 59999.99",
            "BTC_USDT update 1700000000100 | sell 0.3 @ 60000.01 | sell 0 @ 60000.5",
        ]
    );
    let stats = decoder.stats();
    assert_eq!((stats.messages, stats.book_updates, stats.gaps), (3, 2, 0));
    assert_eq!(decoder.depth(InstrumentId(0)), FeedDepth::Levels(100));
}

fn update(version: i64, asks: &str) -> String {
    format!(
        r#"{{"data":[{{"asks":[{asks}],"bids":[],"ms_t":{version},"symbol":"BTC_USDT","type":"update","version":{version}}}],"table":"spot/depth/increase100"}}"#
    )
}

#[test]
fn a_number_left_out_is_a_gap_until_the_next_snapshot() {
    let level = r#"["60000.02","1"]"#;
    let frames = [
        SNAPSHOT.to_owned(),
        update(41, ""), // quiet: the last number again
        update(42, level),
        update(43, ""),    // counts on without a change
        update(40, level), // old news
        update(45, level), // 44 is missing
        update(46, level),
        SNAPSHOT.to_owned(),
        update(42, level),
    ];
    let frames: Vec<_> = frames.iter().map(String::as_str).collect();
    let mut decoder = decoder();
    let got = decode_all(&mut decoder, &frames);
    let snapshot = "BTC_USDT snapshot 1700000000000 | sell 0.4 @ 60000.01 | buy 0.5 @ 59999.99";
    let applied = "BTC_USDT update 42 | sell 1 @ 60000.02";
    assert_eq!(got, [snapshot, applied, "BTC_USDT update 45 | distrust", snapshot, applied]);
    assert_eq!(decoder.stats().gaps, 1);
}

#[test]
fn the_deepest_channel_is_the_book() {
    let window = |levels: u32| {
        format!(
            r#"{{"table":"spot/depth{levels}","data":[{{"asks":[],"bids":[["1","{levels}"]],"symbol":"BTC_USDT","ms_t":1}}]}}"#
        )
    };
    let frames = [window(5), window(50), window(20), SNAPSHOT.to_owned(), window(50)];
    let frames: Vec<_> = frames.iter().map(String::as_str).collect();
    let mut decoder = decoder();
    let got = decode_all(&mut decoder, &frames);
    let window = |levels: u32| format!("BTC_USDT snapshot 1 | buy {levels} @ 1");
    let snapshot = "BTC_USDT snapshot 1700000000000 | sell 0.4 @ 60000.01 | buy 0.5 @ 59999.99".to_owned();
    assert_eq!(got, [window(5), window(50), snapshot]);
    decode_all(&mut decoder, &[TRADE]);
    assert_eq!(decoder.depth(InstrumentId(0)), FeedDepth::Levels(100));
    let mut prints = self::decoder();
    decode_all(&mut prints, &[TRADE]);
    assert_eq!(prints.depth(InstrumentId(0)), FeedDepth::Prints);
}

#[test]
fn binary_frames_are_raw_deflate() {
    let hex = "ab562a494cca4955b2522a2ec82fd12f294a4c4955d2514a492c4954b28aae562aaecc4dcacf014a3b8538c78706bb8400250b8a3293413acc0c8040cfc00028549c990212492aad0473aa401ca094a1014436be44c9cad0dc000a749472d1440c8d8c6b636b01";
    let bytes: Vec<u8> =
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
    let mut decoder = decoder();
    let mut log = EventLog::default();
    // Twice: the state of one frame must not leak into the next.
    for _ in 0..2 {
        decoder.decode(RECEIVED, Frame::Binary(&bytes), &mut log).unwrap();
    }
    let want = "BTC_USDT update 1700000000123 | buys 0.01 @ 60000";
    assert_eq!(show(&decoder, &log), [want, want]);
    for bad in [&bytes[..40], &b"not deflate"[..], &[]] {
        assert!(decoder.decode(RECEIVED, Frame::Binary(bad), &mut log).is_err(), "{bad:?}");
    }
    assert_eq!(log.len(), 2);
}

#[test]
fn a_compressed_frame_may_be_large() {
    use std::io::Write;
    let levels: Vec<_> = (0..5_000).map(|at| format!(r#"["{}.5","1"]"#, 60_000 + at)).collect();
    let frame = update(1, &levels.join(",")).replace("update", "snapshot");
    let mut deflate = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    deflate.write_all(frame.as_bytes()).unwrap();
    let bytes = deflate.finish().unwrap();
    let mut log = EventLog::default();
    decoder().decode(RECEIVED, Frame::Binary(&bytes), &mut log).unwrap();
    assert_eq!(log.get(0).unwrap().events.len(), 5_000);
}

#[test]
fn bad_frames_say_what_is_wrong_and_change_nothing() {
    let book = |levels: &str| update(42, levels);
    let trade = |from: &str, to: &str| TRADE.replace(from, to);
    for (frame, want) in [
        (String::new(), "not a frame: EOF while parsing a value"),
        ("garbage".to_owned(), "not a frame: expected value"),
        (UPDATE[..80].to_owned(), "not a frame: EOF while parsing"),
        ("{}".to_owned(), "neither a push (table, data) nor an answer (event)"),
        (r#"{"table":"spot/trade"}"#.to_owned(), "spot/trade: data is missing"),
        (r#"{"table":"futures/trade","data":[]}"#.to_owned(), "unknown table \"futures/trade\""),
        (r#"{"table":"spot/trade","data":{}}"#.to_owned(), "data: invalid type: map, expected a sequence"),
        (book(r#"["6o.1","1"]"#), "data[0] asks[0] price \"6o.1\" is not a decimal"),
        (book(r#"["60","1"],["-60","1"]"#), "data[0] asks[1] price \"-60\" is negative"),
        (book(r#"["0","1"]"#), "data[0] asks[0] price \"0\" must be more than zero"),
        (book(r#"["1","-1"]"#), "data[0] asks[0] size \"-1\" is negative"),
        (book(r#"["1","0.000001"]"#), "data[0] asks[0] size \"0.000001\" has 6 decimals, 5 fit"),
        (book(r#"["1",""]"#), "data[0] asks[0] size \"\" is empty"),
        (
            book(r#"["99999999999999999999","1"]"#),
            "data[0] asks[0] price \"99999999999999999999\" is too large",
        ),
        (book(r#"["1"]"#), "data: invalid length 1, expected tuple struct Row with 2 elements"),
        (book(r#"[1,2]"#), "data: invalid type: integer `1`, expected a string"),
        (update(42, "").replace("update", "delta"), "data[0] type \"delta\" is neither snapshot nor update"),
        (update(42, "").replace(r#","version":42"#, ""), "data[0] version is missing"),
        (update(-1, ""), "data[0] version -1 is negative"),
        (trade("60000.00", "0.00"), "data[0] price \"0.00\" must be more than zero"),
        (trade("0.01000", "0"), "data[0] size \"0\" must be more than zero"),
        (trade("\"buy\"", "\"long\""), "data[0] side \"long\" is neither buy nor sell"),
        (
            trade("1700000000123", "99999999999999999"),
            "data[0] ms_t 99999999999999999 is no time in milliseconds",
        ),
        (trade("BTC_USDT", "BTCUSDT"), "data[0] symbol \"BTCUSDT\" is not of the form BASE_QUOTE"),
        (trade("\"price\"", "\"prize\""), "data: missing field `price`"),
    ] {
        let mut decoder = decoder();
        let mut log = EventLog::default();
        decoder.decode(RECEIVED, Frame::Text(SNAPSHOT), &mut log).unwrap();
        let before = decoder.stats();
        let error = decoder.decode(RECEIVED, Frame::Text(&frame), &mut log).unwrap_err();
        assert!(error.fault.starts_with(want), "{frame}\n got {}\nwant {want}", error.fault);
        assert_eq!((log.len(), log.pending()), (1, 0), "{frame}");
        assert_eq!((decoder.stats(), decoder.instruments().len()), (before, 1), "{frame}");
        // The numbers go on as if the bad frame had not been.
        decoder.decode(RECEIVED, Frame::Text(UPDATE), &mut log).unwrap();
        assert_eq!(log.len(), 2, "{frame}");
    }
}

#[test]
fn a_bad_element_takes_the_whole_frame_with_it() {
    let frame = r#"{"table":"spot/trade","data":[{"symbol":"NEW_USDT","price":"1","side":"buy","size":"1","ms_t":1},{"symbol":"BTC_USDT","price":"x","side":"buy","size":"1","ms_t":1}]}"#;
    let mut decoder = decoder();
    let mut log = EventLog::default();
    let error = decoder.decode(RECEIVED, Frame::Text(frame), &mut log).unwrap_err();
    assert_eq!(error.fault, "data[1] price \"x\" is not a decimal");
    assert_eq!((log.len(), decoder.instruments().len()), (0, 0));
}

#[test]
fn trades_of_one_time_are_one_group() {
    let element = |symbol: &str, size: u32, ms: u32| {
        format!(r#"{{"symbol":"{symbol}","price":"100","side":"sell","size":"{size}","s_t":0,"ms_t":{ms}}}"#)
    };
    let elements = [
        element("BTC_USDT", 1, 5),
        element("BTC_USDT", 2, 5),
        element("BTC_USDT", 3, 6),
        element("ETH_USDT", 4, 6),
    ];
    let frame = format!(r#"{{"table":"spot/trade","data":[{}]}}"#, elements.join(","));
    assert_eq!(
        decode_all(&mut decoder(), &[&frame]),
        [
            "BTC_USDT update 5 | sells 1 @ 100 | sells 2 @ 100",
            "BTC_USDT update 6 | sells 3 @ 100",
            "ETH_USDT update 6 | sells 4 @ 100",
        ]
    );
}

#[test]
fn an_unknown_symbol_is_inferred_from_its_first_frame() {
    let mut decoder = decoder();
    let got = decode_all(&mut decoder, &[&SNAPSHOT.replace("BTC_USDT", "NEW_USDT")]);
    assert_eq!(got, ["NEW_USDT snapshot 1700000000000 | sell 0.4 @ 60000.01 | buy 0.5 @ 59999.99"]);
    let new = &decoder.instruments()[0];
    assert_eq!(new.origin, RuleOrigin::Inferred);
    assert_eq!(new.show_price(new.rule.tick).to_string(), "0.01");
    // A later, finer row is exact all the same.
    let finer = update(42, r#"["60000.0123","1"]"#).replace("BTC_USDT", "NEW_USDT");
    assert_eq!(decode_all(&mut decoder, &[&finer]), ["NEW_USDT update 42 | sell 1 @ 60000.0123"]);
}

#[test]
fn declared_instruments_are_there_from_the_start() {
    let eth = Bitmart.catalogue().unwrap().entries[1].instrument.clone();
    let mut decoder = BitmartDecoder::new(Known { declared: vec![eth], ..known() });
    assert_eq!(decoder.instruments()[0].symbol, "ETH_USDT");
    decode_all(&mut decoder, &[TRADE]);
    assert_eq!(decoder.instruments()[1].symbol, "BTC_USDT");
}

#[test]
fn groups_become_the_frames_of_the_page() {
    let btc = Bitmart.catalogue().unwrap().entries[0].instrument.clone();
    let mut encoder = BitmartEncoder::default();
    let mut frames = Vec::new();
    let mut log = EventLog::default();
    let price = |text: &str| btc.price(text).unwrap();
    let qty = |text: &str| btc.qty(text).unwrap();
    let at = |ms: i64| Timestamp::from_millis(ms);
    let level = |log: &mut EventLog, side, p: &str, q: &str| {
        log.push(MarketEvent::Level { side, price: price(p), qty: qty(q) });
    };
    level(&mut log, Side::Buy, "59999.99", "0.5");
    level(&mut log, Side::Sell, "60000.01", "0.4");
    log.close(InstrumentId(0), GroupKind::Snapshot, at(1_700_000_000_000), RECEIVED);
    log.push_trade(Some(Side::Buy), price("60000"), qty("0.01"), b"");
    level(&mut log, Side::Sell, "60000.01", "0.3");
    level(&mut log, Side::Sell, "60000.50", "0");
    log.close(InstrumentId(0), GroupKind::Update, at(1_700_000_000_123), RECEIVED);
    log.push(MarketEvent::Distrust);
    log.close(InstrumentId(0), GroupKind::Update, at(1_700_000_000_200), RECEIVED);
    log.iter().for_each(|group| encoder.encode(&btc, &group, &mut frames));
    let update = UPDATE.replace("100,\"symbol", "123,\"symbol").replace(":42", ":2");
    let gap = r#"{"data":[{"asks":[],"bids":[],"ms_t":1700000000200,"symbol":"BTC_USDT","type":"update","version":4}],"table":"spot/depth/increase100"}"#;
    assert_eq!(frames, [SNAPSHOT.replace(":41", ":1"), TRADE.to_owned(), update, gap.to_owned()]);
    let frames: Vec<_> = frames.iter().map(String::as_str).collect();
    let got = decode_all(&mut decoder(), &frames);
    assert_eq!(got.last().unwrap(), "BTC_USDT update 1700000000200 | distrust");
}

#[test]
fn symbols_and_pairs() {
    let btc = Pair::new("BTC", "USDT");
    assert_eq!(Bitmart.pair_of("BTC_USDT"), Some(btc.clone()));
    assert_eq!(Bitmart.symbol_of(&btc, "spot"), "BTC_USDT");
    for symbol in ["BTCXYZ", "_USDT", "BTC_", "A_B_C", "A B_C", ""] {
        assert_eq!(Bitmart.pair_of(symbol), None, "{symbol}");
    }
}

#[test]
fn the_catalogue_reads_and_keeps_the_steps_together() {
    let catalogue = Bitmart.catalogue().unwrap();
    for family in ["spot", "perpetual"] {
        let own = catalogue.entries.iter().filter(|entry| entry.instrument.product.family() == family);
        let pairs: Vec<_> = own.map(|entry| entry.instrument.pair.to_string()).collect();
        assert_eq!(pairs, ["BTC-USDT", "ETH-USDT", "SOL-USDT", "XRP-USDT", "DOGE-USDT", "LTC-USDT"]);
    }
    for entry in &catalogue.entries {
        // Clients disagree whether base_min_size or quote_increment is the step; equal values suit them all.
        assert_eq!(entry.instrument.rule.min_qty, entry.instrument.rule.lot);
        assert_eq!(
            Bitmart.symbol_of(&entry.instrument.pair, entry.instrument.product.family()),
            entry.instrument.symbol
        );
    }
    let btc = &catalogue.entries[0];
    assert!(btc.assumed.is_empty());
    assert_eq!(btc.instrument.rule.min_notional.to_string(), "5");
}

/// What a decoder makes of a row of frames: answers, groups, counts.
type Outcome = (Vec<Result<(), DecodeError>>, Vec<String>, crate::market::FeedStats);

fn outcome(mut decoder: BitmartDecoder, frames: &[String]) -> Outcome {
    let mut log = EventLog::default();
    let answers = frames.iter().map(|frame| decoder.decode(RECEIVED, Frame::Text(frame), &mut log)).collect();
    (answers, show(&decoder, &log), decoder.stats())
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => (0_u64..100_000, 0_u32..100_000).prop_map(|(whole, part)| format!("{whole}.{part:05}")),
        3 => (0_u64..70_000, 0_u32..100).prop_map(|(whole, part)| format!("{whole}.{part:02}")),
        1 => "[0-9]{0,20}(\\.[0-9]{0,20})?",
        1 => "-?[0-9.]{1,5}(e-?[0-9])?",
    ]
}

fn symbol() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["BTC_USDT", "ETH_USDT", "NEW_USDT", "bad"])
}

fn rows() -> impl Strategy<Value = String> {
    let row = (number(), number()).prop_map(|(price, qty)| format!(r#"["{price}","{qty}"]"#));
    prop::collection::vec(row, 0..4).prop_map(|rows| rows.join(","))
}

fn frame() -> impl Strategy<Value = String> {
    let depth = (rows(), rows(), 0_i64..9, symbol(), any::<bool>()).prop_map(|(asks, bids, version, symbol, snapshot)| {
        let kind = if snapshot { "snapshot" } else { "update" };
        format!(
            r#"{{"data":[{{"asks":[{asks}],"bids":[{bids}],"ms_t":{version},"symbol":"{symbol}","type":"{kind}","version":{version}}}],"table":"spot/depth/increase100"}}"#
        )
    });
    let element = (number(), number(), symbol(), any::<bool>(), 0_i64..3).prop_map(|(price, size, symbol, buy, ms)| {
        let side = if buy { "buy" } else { "sell" };
        format!(r#"{{"symbol":"{symbol}","price":"{price}","side":"{side}","size":"{size}","s_t":0,"ms_t":{ms}}}"#)
    });
    let trades = prop::collection::vec(element, 0..4)
        .prop_map(|elements| format!(r#"{{"table":"spot/trade","data":[{}]}}"#, elements.join(",")));
    prop_oneof![2 => depth, 1 => trades]
}

/// A frame with a few bytes changed, dropped or put in, at the places that matter to JSON most.
fn mangled() -> impl Strategy<Value = String> {
    let change = (any::<prop::sample::Index>(), prop::sample::select(b" \"\\{}[],:.0-9ex".to_vec()), 0_u8..3);
    (frame(), prop::collection::vec(change, 0..3)).prop_map(|(frame, changes)| {
        let mut bytes = frame.into_bytes();
        for (at, byte, how) in changes {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        String::from_utf8(bytes).unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn reading_in_place_gives_what_the_general_reader_gives(frames in prop::collection::vec(mangled(), 1..8)) {
        prop_assert_eq!(outcome(decoder(), &frames), outcome(decoder().without_scanner(), &frames));
    }

    #[test]
    fn what_is_encoded_decodes_to_the_same(
        groups in prop::collection::vec((any::<bool>(), prop::collection::vec((1_i64..10_000_000, 0_i64..100_000), 1..6)), 1..6),
    ) {
        let btc = Bitmart.catalogue().unwrap().entries[0].instrument.clone();
        let mut log = EventLog::default();
        for (index, (trade, rows)) in groups.into_iter().enumerate() {
            let first = index == 0;
            for (price, qty) in rows {
                let (price, qty) = (Price::from_units(price), Qty::from_units(qty + i64::from(trade || first)));
                match trade && !first {
                    true => log.push_trade(Some(Side::Sell), price, qty, b""),
                    false => log.push(MarketEvent::Level { side: Side::Buy, price, qty }),
                }
            }
            let kind = if first { GroupKind::Snapshot } else { GroupKind::Update };
            log.close(InstrumentId(0), kind, Timestamp::from_millis(index as i64), RECEIVED);
        }
        let (mut encoder, mut frames) = (BitmartEncoder::default(), Vec::new());
        log.iter().for_each(|group| encoder.encode(&btc, &group, &mut frames));
        let mut back = EventLog::default();
        let mut decoder = decoder();
        for frame in &frames {
            decoder.decode(RECEIVED, Frame::Text(frame), &mut back).unwrap();
        }
        prop_assert!(log.iter().eq(back.iter()));
    }
}
