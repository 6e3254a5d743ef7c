//! Tapes written and read back, captures, and tapes that are damaged.

use std::fs;
use std::path::PathBuf;

use super::*;
use crate::market::{FinePrice, FundingRate, MarketEvent};
use crate::venue::Frame;

const START: i64 = 1_700_000_000_000_000_000;

fn book(symbol: &str, kind: &str, version: u32, bid: &str) -> String {
    format!(
        r#"{{"data":[{{"asks":[],"bids":[["{bid}","0.50000"]],"ms_t":{version},"symbol":"{symbol}","type":"{kind}","version":{version}}}],"table":"spot/depth/increase100"}}"#
    )
}

fn trade(symbol: &str, price: &str) -> String {
    format!(
        r#"{{"table":"spot/trade","data":[{{"symbol":"{symbol}","price":"{price}","side":"buy","size":"0.01000","s_t":1,"ms_t":1000}}]}}"#
    )
}

fn header() -> TapeHeader {
    TapeHeader {
        venue: "bitmart".to_owned(),
        connector: "bitmart_paper_trade".to_owned(),
        pairs: vec!["BTC-USDT".parse().unwrap()],
        start: Some(Timestamp::from_nanos(START)),
        version: VERSION,
        instruments: Vec::new(),
    }
}

fn frames() -> Vec<String> {
    vec![
        book("BTC_USDT", "snapshot", 1, "60000.01"),
        trade("BTC_USDT", "60000.02"),
        "pong".to_owned(),
        book("BTC_USDT", "update", 2, "60000.03"),
        book("BTC_USDT", "update", 4, "60000.04"),
    ]
}

/// A tape of those frames, a millisecond apart, in a fresh folder.
fn write(name: &str, header: &TapeHeader, frames: &[String]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    let mut tape = TapeWriter::create(&path, header).unwrap();
    tape.frame(Timestamp::from_nanos(START), 0, Direction::Out, Frame::Text("{\"op\":\"subscribe\"}"))
        .unwrap();
    for (at, frame) in frames.iter().enumerate() {
        let time = Timestamp::from_nanos(START + 1_000_000 * (at as i64 + 1));
        tape.frame(time, 0, Direction::In, Frame::Text(frame)).unwrap();
    }
    tape.finish().unwrap();
    (dir, path)
}

/// `line symbol time-in-ms kind first-event` for each group, then the error if there is one.
fn play(tape: &mut TapeReader) -> Vec<String> {
    let mut shown = Vec::new();
    loop {
        let now = match tape.advance() {
            Ok(Some(now)) => now,
            Ok(None) => return shown,
            Err(error) => {
                shown.push(error.to_string());
                return shown;
            }
        };
        let group = tape.group();
        let instrument = &tape.instruments()[group.instrument.index()];
        let event = match group.events.first() {
            Some(MarketEvent::Level { price, .. }) => format!("level {}", instrument.show_price(*price)),
            Some(MarketEvent::Trade(print)) => format!("trade {}", instrument.show_price(print.price)),
            Some(MarketEvent::Distrust) => "distrust".to_owned(),
            other => format!("{other:?}"),
        };
        let millis = (now.nanos() - START) / 1_000_000;
        shown.push(format!("{} {} {millis} {:?} {event}", tape.line(), instrument.symbol, group.kind));
    }
}

fn open(path: &Path) -> TapeReader {
    TapeReader::open(path, TapeOptions::default()).unwrap()
}

const PLAYED: [&str; 4] = [
    "3 BTC_USDT 1 Snapshot level 60000.01",
    "4 BTC_USDT 2 Update trade 60000.02",
    "6 BTC_USDT 4 Update level 60000.03",
    "7 BTC_USDT 5 Update distrust",
];

#[test]
fn a_tape_reads_back_whatever_its_compression() {
    for name in ["tape.jsonl", "tape.jsonl.zst", "tape.jsonl.gz"] {
        let (_dir, path) = write(name, &header(), &frames());
        let mut tape = open(&path);
        assert_eq!(tape.header(), Some(&header()));
        assert_eq!(tape.instruments()[0].symbol, "BTC_USDT");
        assert_eq!(tape.depth(InstrumentId(0)), FeedDepth::Levels(100));
        assert_eq!(play(&mut tape), PLAYED, "{name}");
        let stats = tape.stats();
        assert_eq!((stats.messages, stats.gaps, stats.errors, stats.time_went_back), (4, 1, 0, 0));
        assert_eq!(tape.connections(), [0]);
        assert!(tape.take_warnings().0.is_empty());
        // After the end there is nothing, again and again.
        assert_eq!(tape.advance().unwrap(), None);
        assert!(tape.group().events.is_empty());
    }
}

#[test]
fn binary_frames_survive() {
    use std::io::Write;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tape.jsonl");
    let mut tape = TapeWriter::create(&path, &header()).unwrap();
    let mut deflate = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    deflate.write_all(frames()[0].as_bytes()).unwrap();
    let binary = deflate.finish().unwrap();
    let time = Timestamp::from_nanos(START + 1_000_000);
    tape.frame(time, 3, Direction::In, Frame::Binary(&binary)).unwrap();
    tape.finish().unwrap();
    assert_eq!(play(&mut open(&path)), ["2 BTC_USDT 1 Snapshot level 60000.01"]);
}

#[test]
fn a_tape_can_be_read_up_to_a_line() {
    let (_dir, path) = write("tape.jsonl", &header(), &frames());
    for (line, groups) in [(0, 0), (2, 0), (3, 1), (5, 2), (7, 4), (100, 4)] {
        let options = TapeOptions { until_line: Some(line), ..TapeOptions::default() };
        let mut tape = TapeReader::open(&path, options).unwrap();
        assert_eq!(play(&mut tape), PLAYED[..groups], "{line}");
        assert_eq!(tape.stats().messages, groups as u64);
    }
}

#[test]
fn an_unfinished_tape_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let tape = TapeWriter::create(&dir.path().join("tape.jsonl.zst"), &header()).unwrap();
    drop(tape);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn the_header_may_describe_the_instruments() {
    let mine = Instrument::spot("BTC_USDT", "BTC-USDT".parse().unwrap(), 4, 8).unwrap();
    let header = TapeHeader { instruments: vec![mine], ..header() };
    let (_dir, path) = write("tape.jsonl", &header, &frames());
    let tape = open(&path);
    assert_eq!((tape.instruments()[0].price_scale, tape.instruments()[0].origin), (4, RuleOrigin::Tape));
    let users = Instrument::spot("BTC_USDT", "BTC-USDT".parse().unwrap(), 6, 6).unwrap();
    let options = TapeOptions { instruments: vec![users], ..TapeOptions::default() };
    let tape = TapeReader::open(&path, options).unwrap();
    assert_eq!(tape.instruments()[0].price_scale, 6);
}

#[test]
fn the_replies_beside_a_tape_describe_its_instruments() {
    let (dir, path) = write("tape.jsonl.zst", &header(), &frames());
    let body = r#"{"message":"OK","code":1000,"trace":"t","data":{"symbols":[{"symbol":"BTC_USDT","base_currency":"BTC","quote_currency":"USDT","base_min_size":"0.001","base_max_size":"1000","price_max_precision":3,"quote_increment":"0.00001","min_buy_amount":"5","min_sell_amount":"7","trade_status":"trading"}]}}"#;
    let reply = serde_json::json!({"ts": 1, "method": "GET", "url": "https://x/spot/v1/symbols/details", "body": body});
    fs::write(dir.path().join("tape.http.jsonl"), format!("{reply}\n")).unwrap();
    let tape = open(&path);
    let btc = &tape.instruments()[0];
    assert_eq!((btc.price_scale, btc.rule.min_notional), (3, 7.into()));
}

#[test]
fn the_replies_beside_a_tape_tell_of_its_contracts() {
    let frames = [
        r#"{"table":"orderBookL2","action":"partial","data":[{"symbol":"XBTUSD","id":1,"side":"Sell","size":100,"price":60000.5,"timestamp":"2023-11-14T22:13:20.000Z"}]}"#,
        r#"{"table":"orderBookL2","action":"update","data":[{"symbol":"XBTUSD","id":1,"side":"Sell","size":200,"price":60000.5,"timestamp":"2023-11-14T22:13:21.000Z"}]}"#,
    ];
    let header = TapeHeader {
        venue: "bitmex".to_owned(),
        connector: "bitmex_perpetual_paper_trade".to_owned(),
        pairs: vec!["XBT-USD".parse().unwrap()],
        ..header()
    };
    let (dir, path) = write("tape.jsonl", &header, &frames.map(str::to_owned));
    let body = r#"[{"symbol":"XBTUSD","state":"Open","typ":"FFWCSX","underlying":"XBT","quoteCurrency":"USD","lotSize":100,"tickSize":0.5,"multiplier":-100000000,"isInverse":true,"isQuanto":false,"makerFee":-0.00025,"takerFee":0.00075,"markPrice":60001.25,"fundingRate":0.0001,"fundingTimestamp":"2023-11-15T04:00:00.000Z"}]"#;
    let reply = serde_json::json!({"ts": 1, "method": "GET", "url": "https://x/api/v1/instrument/active", "body": body});
    fs::write(dir.path().join("tape.http.jsonl"), format!("{reply}\n")).unwrap();
    let mut tape = open(&path);
    let [entry] = tape.described() else { panic!("{:?}", tape.described()) };
    assert_eq!(entry.fees.map(|(maker, taker)| (maker.0, taker.0)), Some((-250_000, 750_000)));
    // Once, with the first message of the instrument, after it.
    let mut told = Vec::new();
    let mut groups = 0;
    while tape.advance().unwrap().is_some() {
        groups += 1;
        for event in tape.group().events {
            if let MarketEvent::News(news) = event {
                told.push((groups, *news));
            }
        }
    }
    let (price, rate) = (FinePrice::read("60001.25").unwrap(), FundingRate::read("0.0001").unwrap());
    let due = "2023-11-15T04:00:00Z".parse().unwrap();
    assert_eq!(told, [(2, News::MarkBeside(price)), (2, News::Funding { rate, due })]);
    assert_eq!(groups, 3);
}

#[test]
fn unknown_symbols_are_inferred_before_the_first_group() {
    let frames = [
        book("NEW_USDT", "snapshot", 1, "1.5"),
        book("NEW_USDT", "update", 2, "1.2345"),
        trade("NEW_USDT", "1.25"),
    ];
    let (_dir, path) = write("tape.jsonl", &TapeHeader { pairs: Vec::new(), ..header() }, &frames);
    let mut tape = open(&path);
    let new = tape.instruments()[0].clone();
    assert_eq!((new.symbol.as_str(), new.origin), ("NEW_USDT", RuleOrigin::Inferred));
    assert_eq!(new.show_price(new.rule.tick).to_string(), "0.0001");
    assert_eq!(play(&mut tape).len(), 3);
    let (warnings, _) = tape.take_warnings();
    assert_eq!(warnings, ["NEW_USDT: no rules are known; tick and lot are inferred from the data"]);
}

fn capture(lines: &[(i64, u64, &str, &str)]) -> Vec<u8> {
    let line = |(ms, conn, dir, text): &(i64, u64, &str, &str)| {
        let ts = START + ms * 1_000_000;
        format!("{}\n", serde_json::json!({"ts": ts, "conn": conn, "dir": dir, "text": text}))
    };
    lines.iter().map(line).collect::<String>().into_bytes()
}

fn read(bytes: Vec<u8>, name: &str, options: TapeOptions) -> Result<TapeReader, SourceError> {
    TapeReader::new(Box::new(io::Cursor::new(bytes)), Path::new(name), options)
}

#[test]
fn a_capture_is_taken_once_from_its_lowest_connection() {
    let (btc, eth) = (book("BTC_USDT", "snapshot", 1, "1"), book("ETH_USDT", "snapshot", 1, "2"));
    let bytes = capture(&[
        (0, 1, "open", "wss://ws-manager-compress.bitmart.com/api?protocol=1.1"),
        (0, 2, "open", "wss://ws-manager-compress.bitmart.com/api?protocol=1.1"),
        (1, 2, "in", &btc),
        (2, 1, "in", &btc),
        (3, 2, "in", &eth),
        (4, 3, "in", &btc),
    ]);
    let mut tape = read(bytes.clone(), "-", TapeOptions::default()).unwrap();
    assert_eq!(tape.venue().name(), "bitmart");
    let want = ["4 BTC_USDT 2 Snapshot level 1", "5 ETH_USDT 3 Snapshot level 2"];
    assert_eq!(play(&mut tape), want);
    assert_eq!(tape.connections(), [1, 2]);
    let mut tape = read(bytes, "-", TapeOptions { connection: Some(3), ..TapeOptions::default() }).unwrap();
    assert_eq!(play(&mut tape), ["6 BTC_USDT 4 Snapshot level 1"]);
}

#[test]
fn a_new_connection_takes_the_trust_of_the_old_one() {
    let (snapshot, update) = (book("BTC_USDT", "snapshot", 1, "1"), book("BTC_USDT", "update", 2, "2"));
    let url = "wss://ws-manager-compress.bitmart.com/api?protocol=1.1";
    let bytes = capture(&[
        (0, 1, "open", url),
        (1, 1, "in", &snapshot),
        (2, 1, "open", url),
        (3, 1, "in", &update),
        (4, 1, "in", &snapshot),
        (5, 1, "in", &update),
    ]);
    let mut tape = read(bytes, "-", TapeOptions::default()).unwrap();
    assert_eq!(
        play(&mut tape),
        [
            "2 BTC_USDT 1 Snapshot level 1",
            "3 BTC_USDT 2 Update distrust",
            "5 BTC_USDT 4 Snapshot level 1",
            "6 BTC_USDT 5 Update level 2",
        ]
    );
    assert_eq!((tape.stats().messages, tape.stats().gaps), (4, 0));
}

#[test]
fn time_never_goes_back() {
    let (one, two, three) =
        (book("BTC_USDT", "snapshot", 1, "1"), book("BTC_USDT", "update", 2, "2"), trade("BTC_USDT", "3"));
    let bytes = capture(&[(5_000, 1, "in", &one), (4_999, 1, "in", &two), (3_000, 1, "in", &three)]);
    let mut tape = read(bytes, "mine.jsonl", TapeOptions::default()).unwrap();
    assert_eq!(
        play(&mut tape),
        [
            "1 BTC_USDT 5000 Snapshot level 1",
            "2 BTC_USDT 5000 Update level 2",
            "3 BTC_USDT 5000 Update trade 3",
        ]
    );
    assert_eq!(tape.stats().time_went_back, 2);
    assert_eq!(tape.take_warnings(), (vec!["mine.jsonl:3: the time went back by 2 s".to_owned()], 0));
}

#[test]
fn what_is_no_tape_of_ours_says_so() {
    let frame = |text: &str| capture(&[(0, 1, "in", text)]);
    for (bytes, name, want) in [
        (Vec::new(), "a.jsonl", "a.jsonl: is empty"),
        (b"garbage\n".to_vec(), "a.jsonl", "a.jsonl: is not a tape: no line is a header or a frame"),
        (
            frame("{}"),
            "a.jsonl",
            "a.jsonl: neither a header nor a frame nor the file's name says which venue this is",
        ),
        (
            b"{\"venue\":\"mtgox\",\"version\":1}\n".to_vec(),
            "a.jsonl",
            "a.jsonl: unknown venue \"mtgox\" (known: bitmart, bitmex, phemex, bitget, hitbtc)",
        ),
        (
            b"{\"venue\":\"bitmart\",\"version\":2}\n".to_vec(),
            "a.jsonl",
            "a.jsonl: tape version 2; this papertape reads up to version 1",
        ),
        (
            b"{\"venue\":\"bitmart\",\"instruments\":[{\"symbol\":\"A_B\"}]}\n".to_vec(),
            "a.jsonl",
            "a.jsonl: header: instruments[0] (A_B): pair: is missing",
        ),
    ] {
        let error = read(bytes, name, TapeOptions::default()).map(|_| ()).unwrap_err();
        assert_eq!(error.to_string(), want);
    }
    let missing =
        TapeReader::open(Path::new("no/such.jsonl"), TapeOptions::default()).map(|_| ()).unwrap_err();
    assert!(matches!(missing, SourceError::Io { .. }), "{missing}");
}

#[test]
fn damaged_lines_are_counted_or_end_a_strict_reading() {
    let (_dir, path) = write("tape.jsonl", &header(), &frames());
    let text = fs::read_to_string(&path).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    let bad = r#"{"t":1700000000003500000,"c":0,"d":"in","x":"{\"table\":\"spot/trade\",\"data\":[{\"symbol\":\"BTC_USDT\",\"price\":\"-1\",\"side\":\"buy\",\"size\":\"1\"}]}"}"#;
    lines.insert(4, bad);
    lines.insert(6, "%%%");
    let last = lines.len() - 1;
    lines[last] = &lines[last][..40];
    let damaged = lines.join("\n");
    let mut tape = read(damaged.clone().into_bytes(), "t.jsonl", TapeOptions::default()).unwrap();
    let want = [
        "3 BTC_USDT 1 Snapshot level 60000.01",
        "4 BTC_USDT 2 Update trade 60000.02",
        "8 BTC_USDT 4 Update level 60000.03",
    ];
    assert_eq!(play(&mut tape), want);
    assert_eq!(tape.stats().errors, 3);
    let (warnings, more) = tape.take_warnings();
    let faults: Vec<_> = warnings.iter().map(|warning| warning.split(", near").next().unwrap()).collect();
    assert_eq!(
        faults,
        [
            "t.jsonl:5: data[0] price \"-1\" is negative",
            "t.jsonl:7: expected value",
            "t.jsonl:9: the last line is cut off: EOF while parsing a value",
        ]
    );
    assert_eq!(more, 0);
    let mut tape =
        read(damaged.into_bytes(), "t.jsonl", TapeOptions { strict: true, ..TapeOptions::default() })
            .unwrap();
    let played = play(&mut tape);
    assert_eq!(played.len(), 3);
    assert!(played[2].starts_with("t.jsonl:5: data[0] price \"-1\" is negative, near "), "{}", played[2]);
}

#[test]
fn a_compressed_tape_that_was_cut_off_ends_there() {
    let mut long = frames();
    long.extend((0..20_000).map(|at| trade("BTC_USDT", &format!("{}.5", 50_000 + at % 977))));
    for name in ["tape.jsonl.zst", "tape.jsonl.gz"] {
        let (_dir, path) = write(name, &header(), &long);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() * 2 / 3]).unwrap();
        let mut tape = open(&path);
        let groups = play(&mut tape).len();
        assert!((1_000..20_000).contains(&groups), "{name}: {groups}");
        assert_eq!(tape.stats().errors, 1);
        let (warnings, _) = tape.take_warnings();
        assert!(warnings[0].contains("cut off after line"), "{warnings:?}");
        let mut tape =
            TapeReader::open(&path, TapeOptions { strict: true, ..TapeOptions::default() }).unwrap();
        let mut advanced = Ok(None);
        for _ in 0..long.len() {
            advanced = tape.advance();
            if advanced.is_err() {
                break;
            }
        }
        assert!(matches!(advanced, Err(SourceError::Io { .. })), "{name}");
        // Damage in the middle is no end: it is told, and what was before it is given.
        let mut damaged = bytes.clone();
        let middle = damaged.len() / 2;
        damaged[middle..middle + 64].fill(0xa5);
        fs::write(&path, &damaged).unwrap();
        let played = play(&mut open(&path));
        assert!(played.len() < long.len() + 2, "{name}");
    }
}

#[test]
fn sources_may_move_to_another_thread() {
    fn movable<T: Send>() {}
    movable::<TapeReader>();
    movable::<crate::feed::synth::Market>();
}
