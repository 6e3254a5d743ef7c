//! Tardis CSV in and out: the rules of the format, bad rows, and the reader against a plain one.

#![allow(clippy::unwrap_used)] // helpers of tests panic as tests do

use std::io::{Cursor, Write};
use std::path::Path;

use papertape::feed::csv::{CsvFile, CsvOptions, CsvSource, Symbols, TardisWriter};
use papertape::feed::warnings::Warnings;
use papertape::market::decimal::parse_units;
use papertape::market::{
    EventLog, FeedStats, GroupKind, Instrument, MarketEvent, Pair, Price, Qty, Side, Source, SourceError,
    Timestamp,
};
use proptest::prelude::*;

const BOOK: &str = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount\n";
const TRADES: &str = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n";

fn open(text: &[u8], options: CsvOptions) -> CsvSource {
    let input = Box::new(Cursor::new(text.to_vec()));
    CsvFile::read(Path::new("x.csv"), input, &Symbols::default()).unwrap().source(options).unwrap()
}

/// The same with two symbols described, so that what fits them does not hang on the rows.
fn open_known(text: &[u8], options: CsvOptions) -> CsvSource {
    let symbols = Symbols::default();
    symbols.know(Instrument::spot("ETHUSDT", Pair::new("ETH", "USDT"), 6, 3).unwrap());
    symbols.know(Instrument::spot("XBT", Pair::new("XBT", "USD"), 1, 0).unwrap());
    let input = Box::new(Cursor::new(text.to_vec()));
    CsvFile::read(Path::new("x.csv"), input, &symbols).unwrap().source(options).unwrap()
}

/// So many cases, unless PROPTEST_CASES says otherwise.
fn cases(usual: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok());
    ProptestConfig::with_cases(asked.unwrap_or(usual))
}

/// A group as words: symbol, kind, exchange time, receive time, events.
type Said = (String, GroupKind, i64, i64, Vec<String>);

fn said(instrument: &Instrument, event: &MarketEvent, ids: &[u8]) -> String {
    match event {
        MarketEvent::Level { side, price, qty } => {
            format!("{side} {} @ {}", instrument.show_qty(*qty), instrument.show_price(*price))
        }
        MarketEvent::Trade(print) => {
            let (qty, price) = (instrument.show_qty(print.qty), instrument.show_price(print.price));
            let side = print.aggressor.map_or("unknown", Side::name);
            format!("{side} {qty} @ {price} #{}", String::from_utf8_lossy(print.id.of(ids)))
        }
        other => format!("{other:?}"),
    }
}

fn play(source: &mut dyn Source) -> Result<Vec<Said>, SourceError> {
    let mut all = Vec::new();
    while source.advance()?.is_some() {
        let group = source.group();
        let instrument = &source.instruments()[group.instrument.index()];
        let events = group.events.iter().map(|event| said(instrument, event, group.ids)).collect();
        let (exchange, receive) = (group.exchange_time.nanos(), group.receive_time.nanos());
        all.push((instrument.symbol.to_string(), group.kind, exchange, receive, events));
    }
    Ok(all)
}

/// Book rows `time flag side price amount` of one symbol, microseconds after a day in 2024.
fn book(rows: &str) -> String {
    const DAY: i64 = 1_723_161_250_000_000;
    let mut text = BOOK.to_owned();
    for row in rows.lines().map(str::trim).filter(|row| !row.is_empty()) {
        let [time, flag, side, price, amount] = row.split_whitespace().collect::<Vec<_>>()[..] else {
            panic!("{row}")
        };
        let time = DAY + time.parse::<i64>().unwrap();
        let flag = if flag == "s" { "true" } else { "false" };
        text += &format!("binance,ETHUSDT,{},{time},{flag},{side},{price},{amount}\n", time - 7);
    }
    text
}

fn groups(text: &str) -> (Vec<String>, FeedStats) {
    let mut source = open(text.as_bytes(), CsvOptions::default());
    let all = play(&mut source).unwrap();
    let words =
        all.iter().map(|(_, kind, _, _, events)| format!("{kind:?}: {}", events.join(", "))).collect();
    (words, source.stats())
}

#[test]
fn messages_snapshots_and_leftovers() {
    let (said, stats) = groups(&book(
        "1 u bid 99 1
         2 s bid 100 1
         2 s ask 101 2.5
         3 s ask 102 0
         4 u bid 100 0
         4 u bid 100.5 3
         5 u ask 50 0
         6 s bid 98 1
         6 u bid 98 2",
    ));
    let want = [
        "Snapshot: buy 1 @ 100, sell 2.5 @ 101",
        // More of it in another message; a lone row of amount 0 says nothing.
        "SnapshotRest: ",
        "Update: buy 0 @ 100, buy 3 @ 100.5",
        "Update: sell 0 @ 50",
        "Snapshot: buy 1 @ 98",
        "Update: buy 2 @ 98",
    ];
    assert_eq!(said, want);
    assert_eq!((stats.messages, stats.book_updates, stats.merged_snapshots, stats.errors), (6, 6, 1, 0));
}

#[test]
fn units_of_time_and_negative_latency() {
    for (exchange, receive, want) in [
        ("1723161250000001", "1723161250000000", (1_723_161_250_000_001_000, 1_723_161_250_000_000_000)),
        (
            "1723161250000000001",
            "1723161250000000002",
            (1_723_161_250_000_000_001, 1_723_161_250_000_000_002),
        ),
        ("1723161250001", "1723161250002", (1_723_161_250_001_000_000, 1_723_161_250_002_000_000)),
    ] {
        let row = format!("binance,ETHUSDT,{exchange},{receive},true,bid,1,1\n");
        let text = format!("{BOOK}{row}{row}");
        let all = play(&mut open(text.as_bytes(), CsvOptions::default())).unwrap();
        assert_eq!((all.len(), all[0].2, all[0].3, all[0].4.len()), (1, want.0, want.1, 2));
    }
}

#[test]
fn times_that_go_back_play_at_the_clock() {
    let warnings = Warnings::default();
    let text =
        book("5000000 s bid 1 1\n4999999 u bid 1 2\n4999999 u bid 2 2\n3000000 u bid 1 3\n5000001 u bid 1 4");
    let mut source =
        open(text.as_bytes(), CsvOptions { warnings: warnings.clone(), ..CsvOptions::default() });
    let mut times = Vec::new();
    while let Some(time) = source.advance().unwrap() {
        times.push(time.nanos() % 10_000_000_000 / 1_000);
    }
    assert_eq!(times, [5_000_000, 5_000_000, 5_000_000, 5_000_001]);
    assert_eq!(source.stats().time_went_back, 3);
    assert_eq!(warnings.first(), ["x.csv:5: local_timestamp is 2 s earlier than a row before it"]);
}

#[test]
fn trades_keep_ids_and_sides() {
    let row = |id: &str, side: &str| format!("b,E,1723161250000000,1723161250000001,{id},{side},2.5,1\n");
    let text = format!("{TRADES}{}{}{}", row("7", "buy"), row("", "unknown"), row("\"a,\"\"b\"", "sell"));
    let all = play(&mut open(text.as_bytes(), CsvOptions::default())).unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].4, ["buy 1 @ 2.5 #7", "unknown 1 @ 2.5 #", "sell 1 @ 2.5 #a,\"b"]);
}

#[test]
fn several_symbols_keep_their_snapshots_apart() {
    let row = |symbol: &str, time: u64, flag: &str| {
        format!("b,{symbol},{0},{0},{flag},bid,1,1\n", 1_723_161_250_000_000 + time)
    };
    let rows = [
        row("A", 1, "true"),
        row("B", 2, "false"),
        row("B", 3, "true"),
        row("A", 4, "true"),
        row("A", 5, "false"),
        row("A", 6, "true"),
    ];
    let all = play(&mut open(format!("{BOOK}{}", rows.concat()).as_bytes(), CsvOptions::default())).unwrap();
    let kinds: Vec<(&str, GroupKind)> = all.iter().map(|group| (group.0.as_str(), group.1)).collect();
    use GroupKind::{Snapshot, SnapshotRest, Update};
    assert_eq!(
        kinds,
        [("A", Snapshot), ("B", Snapshot), ("A", SnapshotRest), ("A", Update), ("A", Snapshot)]
    );
}

#[test]
fn bad_rows_say_where_and_why() {
    let good = "binance,ETHUSDT,1723161250000000,1723161250000001,true,bid,2500.25,1.5";
    for (row, want) in [
        (
            "binance,ETHUSDT,1723161250000000,1723161250000001,true,bid,25OO.25,1.5",
            "x.csv:3: column 7 (price): \"25OO.25\" is not a decimal",
        ),
        (
            "binance,ETHUSDT,1723161250000000,1723161250000001,true,bid,0,1.5",
            "x.csv:3: column 7 (price): \"0\" is zero",
        ),
        (
            "binance,ETHUSDT,1723161250000000,1723161250000001,true,bid,-1,1.5",
            "x.csv:3: column 7 (price): \"-1\" is negative",
        ),
        (
            "binance,ETHUSDT,1723161250000000,1723161250000001,true,bid,1,-1.5",
            "x.csv:3: column 8 (amount): \"-1.5\" is negative",
        ),
        (
            "binance,ETHUSDT,1723161250000000,1723161250000001,true,bid,1,99999999999999999",
            "x.csv:3: column 8 (amount): \"99999999999999999\" is too large",
        ),
        (
            "binance,ETHUSDT,1723161250000000,1723161250000001,true,bid,0.0000000000000000001,1",
            "x.csv:3: column 7 (price): \"0.0000000000000000001\" has 19 decimals, 6 fit",
        ),
        (
            "binance,ETHUSDT,1723161250000000,1723161250000001,true,buy,1,1",
            "x.csv:3: column 6 (side): \"buy\" is neither bid nor ask",
        ),
        (
            "binance,ETHUSDT,1723161250000000,1723161250000001,maybe,bid,1,1",
            "x.csv:3: column 5 (is_snapshot): \"maybe\" is neither true nor false",
        ),
        (
            "binance,ETHUSDT,soon,1723161250000001,true,bid,1,1",
            "x.csv:3: column 3 (timestamp): \"soon\" is no time in ms, us or ns since the epoch",
        ),
        (
            "binance,ETHUSDT,1723161250000000,99999999999999999,true,bid,1,1",
            "x.csv:3: column 4 (local_timestamp): \"99999999999999999\" is no time in ms, us or ns since the epoch",
        ),
        (
            "binance,,1723161250000000,1723161250000001,true,bid,1,1",
            "x.csv:3: column 2 (symbol): \"\" is empty",
        ),
        (
            "binance,ETHUSDT,1723161250000000,17231612500",
            "x.csv:3: column 5 (the row's last): \"\" is one of 4 columns, the header has 8",
        ),
        ("\0\0\0\0", "x.csv:3: column 2 (the row's last): \"\" is one of 1 columns, the header has 8"),
    ] {
        for end in ["\n", "\r\n"] {
            let text = format!("{BOOK}{good}{end}{row}{end}{good}{end}");
            let warnings = Warnings::default();
            let mut source = open_known(
                text.as_bytes(),
                CsvOptions { warnings: warnings.clone(), ..CsvOptions::default() },
            );
            let all = play(&mut source).unwrap();
            let kept: usize = all.iter().map(|group| group.4.len()).sum();
            assert_eq!(
                (warnings.first(), source.stats().errors, kept),
                (vec![want.to_owned()], 1, 2),
                "{row}"
            );
            let error =
                play(&mut open_known(text.as_bytes(), CsvOptions { strict: true, ..CsvOptions::default() }))
                    .unwrap_err();
            assert_eq!(error.to_string(), want);
        }
    }
}

#[test]
fn a_huge_line_and_a_cut_file() {
    let good = "b,E,1723161250000000,1723161250000001,true,bid,2,1\n";
    let text =
        [BOOK.as_bytes(), good.as_bytes(), &[0; 700_000], b"\n", good.as_bytes(), &good.as_bytes()[..40]]
            .concat();
    let mut source = open(&text, CsvOptions::default());
    let all = play(&mut source).unwrap();
    assert_eq!((all.len(), all[0].4.len(), source.stats().errors, source.rows()), (1, 2, 2, 4));
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(format!("{BOOK}{}", good.repeat(50_000)).as_bytes()).unwrap();
    let mut cut = gz.finish().unwrap();
    cut.truncate(cut.len() - 10);
    let input = papertape::feed::lines::inflated(Box::new(Cursor::new(cut))).unwrap();
    let file = CsvFile::read(Path::new("x.csv.gz"), input, &Symbols::default()).unwrap();
    let mut source = file.source(CsvOptions::default()).unwrap();
    // What was read before the cut counts; a strict reader refuses it all.
    assert!(!play(&mut source).unwrap().is_empty());
    assert!(source.stats().errors >= 1);
}

#[test]
fn only_so_many_rows() {
    let text = book("1 s bid 1 1\n1 s bid 2 1\n2 u bid 3 1\n2 u bid 4 1\n3 u bid 5 1");
    for (rows, events) in [(0, 0), (1, 1), (3, 3), (5, 5), (9, 5)] {
        let mut source = open(text.as_bytes(), CsvOptions { rows: Some(rows), ..CsvOptions::default() });
        let seen: usize = play(&mut source).unwrap().iter().map(|group| group.4.len()).sum();
        assert_eq!((seen as u64, source.rows()), (events, rows.min(5)));
    }
}

/// The same rules by way of the csv crate, row by row, in the plainest way.
fn plain_reader(text: &[u8], instruments: &[Instrument], trades: bool) -> (Vec<Said>, u64) {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text);
    let names: Vec<Vec<u8>> = reader.byte_headers().unwrap().iter().map(<[u8]>::to_vec).collect();
    let at = |name: &str| names.iter().position(|have| have == name.as_bytes()).unwrap();
    let (mut rows, mut errors) = (Vec::new(), 0);
    for record in reader.byte_records() {
        let record = record.unwrap();
        let field = |name: &str| &record[at(name)];
        let row = || {
            if record.len() != names.len() {
                return None;
            }
            let symbol = String::from_utf8(field("symbol").to_vec()).ok()?;
            let instrument =
                instruments.iter().find(|instrument| instrument.symbol.eq_ignore_ascii_case(&symbol))?;
            std::str::from_utf8(field("exchange"))
                .ok()
                .filter(|name| !name.is_empty() && !name.contains(char::is_control))?;
            let time = |name: &str| {
                let text = std::str::from_utf8(field(name))
                    .ok()
                    .filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?;
                let value: i128 = text.parse().ok()?;
                let factor = [(17, 1), (14, 1_000), (11, 1_000_000)]
                    .into_iter()
                    .find(|(n, _)| value > 10_i128.pow(*n))?
                    .1;
                i64::try_from(value * factor).ok()
            };
            let (exchange, receive) = (time("timestamp")?, time("local_timestamp")?);
            let flag = match field(if trades { "id" } else { "is_snapshot" }).to_ascii_lowercase().as_slice()
            {
                _ if trades => false,
                b"true" => true,
                b"false" => false,
                _ => return None,
            };
            let side = match (trades, field("side")) {
                (false, b"bid") | (true, b"buy") => "buy",
                (false, b"ask") | (true, b"sell") => "sell",
                (true, b"unknown") => "unknown",
                _ => return None,
            };
            let largest = 1 << 53;
            let price = parse_units(field("price"), instrument.price_scale)
                .ok()
                .filter(|p| (1..largest).contains(p))?;
            let least = i64::from(trades);
            let qty = parse_units(field("amount"), instrument.qty_scale)
                .ok()
                .filter(|q| (least..largest).contains(q))?;
            let (price, qty) =
                (instrument.show_price(Price::from_units(price)), instrument.show_qty(Qty::from_units(qty)));
            let mut words = format!("{side} {qty} @ {price}");
            if trades {
                words += &format!(" #{}", String::from_utf8_lossy(field("id")));
            }
            // Two exchanges may have the same symbol.
            let key =
                format!("{}\n{symbol}\n{}", instrument.symbol, String::from_utf8_lossy(field("exchange")));
            Some((key, flag, exchange, receive, words))
        };
        match row() {
            Some(row) => rows.push(row),
            None => errors += 1,
        }
    }
    (group_plainly(rows, trades), errors)
}

type PlainRow = (String, bool, i64, i64, String);

fn group_plainly(rows: Vec<PlainRow>, trades: bool) -> Vec<Said> {
    let mut messages: Vec<Vec<PlainRow>> = Vec::new();
    for row in rows {
        match messages.last_mut() {
            Some(last) if (&last[0].0, last[0].1, last[0].2, last[0].3) == (&row.0, row.1, row.2, row.3) => {
                last.push(row);
            }
            _ => messages.push(vec![row]),
        }
    }
    let mut last = std::collections::BTreeMap::new();
    let mut said = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let (symbol, flag, exchange, receive, _) = message[0].clone();
        let before = last.get(&symbol).copied();
        let mut events: Vec<String> = message.iter().map(|row| row.4.clone()).collect();
        let lone_zero = events.len() == 1 && events[0].contains(" 0 @ ");
        if !trades && (before.is_some() || flag) {
            last.insert(symbol.clone(), flag);
        }
        let kind = match (trades, before, flag) {
            (true, ..) => GroupKind::Update,
            (_, None, false) => continue,
            (_, before, false) => {
                let next = messages.get(index + 1).map(|next| &next[0]);
                let same = next
                    .is_some_and(|next| next.1 && (&next.0, next.2, next.3) == (&symbol, exchange, receive));
                if before == Some(true) && lone_zero && same {
                    continue;
                }
                GroupKind::Update
            }
            (_, Some(true), true) => GroupKind::SnapshotRest,
            (_, _, true) => GroupKind::Snapshot,
        };
        if flag && lone_zero {
            events.clear();
        }
        let symbol = symbol.split('\n').next().unwrap_or_default();
        said.push((symbol.to_owned(), kind, exchange, receive, events));
    }
    said
}

/// Rows as real files have them, with a few odd ones among them.
fn any_row(trades: bool) -> impl Strategy<Value = String> {
    let fifth = if trades { "[a-f0-9]{0,40}" } else { "(true|false|false|false)" };
    let side = if trades { "(buy|sell|unknown)" } else { "(bid|ask)" };
    let stamp = prop_oneof![8 => Just(0_u64), 4 => 0_u64..5, 1 => 0_u64..3_000_000];
    let unit = prop_oneof![30 => Just(1_u64), 1 => Just(1_000)];
    (
        "(ETHUSDT|ETHUSDT|XBT)",
        (stamp.clone(), stamp, unit),
        fifth,
        side,
        "(8[0-9]{4}(\\.5)?|0\\.0[0-9]{4}|[0-9]{1,9}\\.[0-9]{1,6}|1e-2)",
        "([0-9]{1,4}00|0|0\\.[0-9]{1,3}|[0-9]{1,15})",
        "(\n|\n|\n|\n|\r\n|\n\n|,\n)",
    )
        .prop_map(|(symbol, (exchange, receive, unit), fifth, side, price, amount, end)| {
            let time = |by: u64| (1_723_161_250_000_000 + by) * unit;
            format!(
                "binance,{symbol},{},{},{fifth},{side},{price},{amount}{end}",
                time(exchange),
                time(receive)
            )
        })
}

/// What happens to a file on its way.
#[derive(Clone, Debug)]
enum Damage {
    Replace(usize, u8),
    Insert(usize, u8),
    Cut(usize, usize),
}

fn damages() -> impl Strategy<Value = Vec<Damage>> {
    let byte = prop_oneof![
        Just(b'"'),
        Just(b','),
        Just(b'\n'),
        Just(b'\r'),
        Just(b'.'),
        Just(b'0'),
        Just(b'-'),
        any::<u8>()
    ];
    let one = prop_oneof![
        (any::<usize>(), byte.clone()).prop_map(|(at, byte)| Damage::Replace(at, byte)),
        (any::<usize>(), byte).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        (any::<usize>(), 0_usize..30).prop_map(|(at, len)| Damage::Cut(at, len)),
    ];
    proptest::collection::vec(one, 0..6)
}

fn damage(text: &mut Vec<u8>, damages: &[Damage]) {
    for one in damages {
        let len = text.len().max(1);
        match *one {
            _ if text.is_empty() => {}
            Damage::Replace(at, byte) => text[at % len] = byte,
            Damage::Insert(at, byte) => text.insert(at % len, byte),
            Damage::Cut(at, count) => drop(text.drain(at % len..(at % len + count).min(len))),
        }
    }
}

fn compare(trades: bool, rows: &[String], damages: &[Damage]) -> Result<(), TestCaseError> {
    let mut body = rows.concat().into_bytes();
    damage(&mut body, damages);
    let text = [if trades { TRADES } else { BOOK }.as_bytes(), &body].concat();
    let mut source = open_known(&text, CsvOptions::default());
    let fast = play(&mut source).unwrap();
    // Damage can make another exchange with the same symbol; the plain reader knows one instrument a symbol.
    let all = source.instruments();
    let clash = |a: &Instrument, b: &Instrument| {
        a.symbol == b.symbol && (a.price_scale, a.qty_scale) != (b.price_scale, b.qty_scale)
    };
    if all.iter().any(|one| all.iter().any(|other| clash(one, other))) {
        return Ok(());
    }
    let (plain, errors) = plain_reader(&text, source.instruments(), trades);
    prop_assert_eq!(fast, plain);
    prop_assert_eq!(source.stats().errors, errors);
    // The same columns in another order take the general path alone.
    if damages.is_empty() {
        let moved: String = String::from_utf8_lossy(&text)
            .lines()
            .filter(|line| !line.is_empty())
            .map(|line| {
                let (rest, amount) = line.rsplit_once(',').unwrap();
                format!("{amount},{rest}\n")
            })
            .collect();
        let mut source = open_known(moved.as_bytes(), CsvOptions::default());
        let general = play(&mut source).unwrap();
        let (plain, errors) = plain_reader(moved.as_bytes(), source.instruments(), trades);
        prop_assert_eq!(general, plain);
        prop_assert_eq!(source.stats().errors, errors);
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases(1_000))]
    #[test]
    fn the_fast_book_reader_is_the_plain_one(rows in proptest::collection::vec(any_row(false), 0..40), damages in damages()) {
        compare(false, &rows, &damages)?;
    }

    #[test]
    fn the_fast_trades_reader_is_the_plain_one(rows in proptest::collection::vec(any_row(true), 0..40), damages in damages()) {
        compare(true, &rows, &damages)?;
    }

    #[test]
    fn no_bytes_at_all_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let input = Box::new(Cursor::new(bytes.clone()));
        if let Ok(file) = CsvFile::read(Path::new("x.csv"), input, &Symbols::default()) {
            let _ = play(&mut file.source(CsvOptions::default()).unwrap());
        }
        let mut source = open(&[BOOK.as_bytes(), &bytes].concat(), CsvOptions::default());
        play(&mut source).unwrap();
    }
}

/// Levels, prints and snapshots of one instrument, as a venue's decoder would say them.
fn any_log() -> impl Strategy<Value = EventLog> {
    let level = (any::<bool>(), 1_i64..2_000_000, 0_i64..50_000).prop_map(|(bid, price, qty)| {
        let side = if bid { Side::Buy } else { Side::Sell };
        MarketEvent::Level { side, price: Price::from_units(price), qty: Qty::from_units(qty) }
    });
    let print = (0_u8..3, 1_i64..2_000_000, 1_i64..50_000, "[a-z0-9,\"]{0,12}");
    let group = prop_oneof![
        4 => proptest::collection::vec(level.clone(), 1..5).prop_map(|levels| (GroupKind::Update, levels, Vec::new())),
        2 => proptest::collection::vec(print, 1..4).prop_map(|prints| (GroupKind::Update, Vec::new(), prints)),
        2 => proptest::collection::vec(level.clone(), 0..5).prop_map(|levels| (GroupKind::Snapshot, levels, Vec::new())),
        1 => proptest::collection::vec(level, 0..3).prop_map(|levels| (GroupKind::SnapshotRest, levels, Vec::new())),
    ];
    (proptest::collection::vec((group, 1_i64..3_000, -2_000_i64..2_000), 0..25), any::<bool>()).prop_map(
        |(groups, micros)| {
            let unit = if micros { 1_000 } else { 1 };
            let (mut log, mut time) = (EventLog::default(), 1_723_161_250_000_000_000);
            let mut seen_snapshot = false;
            for ((kind, levels, prints), later, latency) in groups {
                // A decoder says a whole book first, and a snapshot of one row of nothing never.
                let kind = match kind {
                    GroupKind::SnapshotRest if !seen_snapshot => GroupKind::Snapshot,
                    GroupKind::Update if !levels.is_empty() && !seen_snapshot => GroupKind::Snapshot,
                    kind => kind,
                };
                if kind != GroupKind::Update
                    && matches!(levels[..], [MarketEvent::Level { qty, .. }] if qty.is_zero())
                {
                    continue;
                }
                seen_snapshot |= kind == GroupKind::Snapshot;
                // The rest of a snapshot follows the snapshot, or it is no rest.
                let rest = kind == GroupKind::SnapshotRest;
                let follows = log
                    .len()
                    .checked_sub(1)
                    .and_then(|at| log.get(at))
                    .is_some_and(|group| group.kind != GroupKind::Update);
                let kind = if rest && !follows { GroupKind::Snapshot } else { kind };
                for level in levels {
                    log.push(level);
                }
                for (side, price, qty, id) in prints {
                    let side = [None, Some(Side::Buy), Some(Side::Sell)][usize::from(side)];
                    log.push_trade(side, Price::from_units(price), Qty::from_units(qty), id.as_bytes());
                }
                time += later * unit;
                let stamp = Timestamp::from_nanos;
                log.close(
                    papertape::market::InstrumentId(0),
                    kind,
                    stamp(time - latency * unit),
                    stamp(time),
                );
            }
            log
        },
    )
}

proptest! {
    #![proptest_config(cases(300))]
    #[test]
    fn what_is_written_reads_back_the_same(log in any_log()) {
        let folder = tempfile::tempdir().unwrap();
        let eth = Instrument::spot("eth_usdt", Pair::new("ETH", "USDT"), 2, 4).unwrap();
        let mut writer = TardisWriter::create(&folder.path().join("out"), "bitmart").unwrap();
        for group in log.iter() {
            writer.write(&eth, &group).unwrap();
        }
        let files = writer.finish().unwrap();
        let symbols = Symbols::default();
        symbols.know(eth.clone());
        let source = |file: &std::path::PathBuf| -> papertape::feed::merge::AnySource {
            Box::new(CsvFile::open(file, &symbols).unwrap().source(CsvOptions { strict: true, ..CsvOptions::default() }).unwrap())
        };
        let mut merged = papertape::feed::merge::Merge::new(files.iter().map(source).collect()).unwrap();
        let mut back = EventLog::default();
        while merged.advance().unwrap().is_some() {
            back.push_group(&merged.group());
        }
        prop_assert_eq!(log.iter().count(), back.iter().count());
        for (wrote, read) in log.iter().zip(back.iter()) {
            prop_assert_eq!(wrote, read);
        }
    }
}

#[test]
fn written_files_look_as_they_should() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let eth = Instrument::spot("eth_usdt", Pair::new("ETH", "USDT"), 2, 4).unwrap();
    let mut log = EventLog::default();
    let level = |side, price, qty| MarketEvent::Level {
        side,
        price: Price::from_units(price),
        qty: Qty::from_units(qty),
    };
    let at = |micros: i64| Timestamp::from_nanos((1_723_161_250_000_000 + micros) * 1_000);
    log.push(level(Side::Buy, 10_000, 15_000));
    log.push(level(Side::Sell, 10_050, 5_000));
    log.close(papertape::market::InstrumentId(0), GroupKind::Snapshot, at(0), at(1));
    log.push(level(Side::Buy, 9_900, 1));
    log.close(papertape::market::InstrumentId(0), GroupKind::Snapshot, at(2), at(3));
    log.push_trade(None, Price::from_units(9_900), Qty::from_units(10_000), b"");
    log.close(papertape::market::InstrumentId(0), GroupKind::Update, at(4), at(5));
    let mut writer = TardisWriter::create(&out, "bitmart").unwrap();
    for group in log.iter() {
        writer.write(&eth, &group).unwrap();
    }
    assert!(!out.exists(), "nothing is there before it is whole");
    let files = writer.finish().unwrap();
    let names: Vec<_> = files.iter().map(|file| file.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(
        names,
        ["bitmart_incremental_book_L2_2024-08-08_ETH_USDT.csv", "bitmart_trades_2024-08-08_ETH_USDT.csv"]
    );
    insta::assert_snapshot!(std::fs::read_to_string(&files[0]).unwrap(), @r"
    exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount
    bitmart,ETH_USDT,1723161250000000,1723161250000001,true,bid,100,1.5
    bitmart,ETH_USDT,1723161250000000,1723161250000001,true,ask,100.5,0.5
    bitmart,ETH_USDT,1723161250000002,1723161250000003,false,ask,100.51,0
    bitmart,ETH_USDT,1723161250000002,1723161250000003,true,bid,99,0.0001
    ");
    insta::assert_snapshot!(std::fs::read_to_string(&files[1]).unwrap(), @r"
    exchange,symbol,timestamp,local_timestamp,id,side,price,amount
    bitmart,ETH_USDT,1723161250000004,1723161250000005,,unknown,99,1
    ");
    drop(TardisWriter::create(&folder.path().join("other"), "bitmart").unwrap());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "a writer that gave up leaves nothing");
}

const QUOTES: &str = "exchange,symbol,timestamp,local_timestamp,ask_amount,ask_price,bid_price,bid_amount\n";

fn snapshot_header(levels: usize) -> String {
    let level = |i: usize| format!(",asks[{i}].price,asks[{i}].amount,bids[{i}].price,bids[{i}].amount");
    let levels: String = (0..levels).map(level).collect();
    format!("exchange,symbol,timestamp,local_timestamp{levels}\n")
}

#[test]
fn rows_of_levels_are_snapshots() {
    let two = snapshot_header(2);
    let row =
        |time: u64, cells: &str| format!("binance,ETHUSDT,{0},{0},{cells}\n", 1_723_161_250_000_000 + time);
    let text =
        [two, row(1, "101,2,100,1,101.5,3,99,4"), row(2, ",,100,1,,,99,0"), row(2, ",,,,,,,")].concat();
    let mut source = open_known(text.as_bytes(), CsvOptions::default());
    assert_eq!(source.depth(papertape::market::InstrumentId(0)), papertape::market::FeedDepth::Levels(2));
    let all = play(&mut source).unwrap();
    let words: Vec<String> =
        all.iter().map(|group| format!("{:?} {}", group.1, group.4.join(", "))).collect();
    let want = [
        "Snapshot buy 1 @ 100, buy 4 @ 99, sell 2 @ 101, sell 3 @ 101.5",
        // Empty cells and amount 0 say the same: no level.
        "Snapshot buy 1 @ 100",
        "Snapshot ",
    ];
    assert_eq!(words, want);
    let quotes = [QUOTES.to_owned(), row(1, "2,101,100,1"), row(2, ",,100,1.5")].concat();
    let all = play(&mut open_known(quotes.as_bytes(), CsvOptions::default())).unwrap();
    assert_eq!(all[0].4, ["buy 1 @ 100", "sell 2 @ 101"]);
    assert_eq!(all[1].4, ["buy 1.5 @ 100"]);
}

/// A broken row in the middle of a file: counted, and told with file, line, column, value and reason; the end of a
/// strict reader.
fn assert_bad(header: &str, good: &str, bad: &str, want: &str) {
    let text = format!("{header}{good}\n{bad}\n{good}\n");
    let warnings = Warnings::default();
    let options = CsvOptions { warnings: warnings.clone(), ..CsvOptions::default() };
    let mut source = open_known(text.as_bytes(), options);
    let groups = play(&mut source).unwrap();
    // The good row stands there twice: the second time it may be earlier than the clock.
    assert_eq!(
        (warnings.first().first().map(String::as_str), source.stats().errors),
        (Some(want), 1),
        "{bad}"
    );
    assert!(!groups.is_empty() && source.rows() == 3);
    let strict = CsvOptions { strict: true, ..CsvOptions::default() };
    assert_eq!(play(&mut open_known(text.as_bytes(), strict)).unwrap_err().to_string(), want);
}

#[test]
fn bad_rows_of_levels_say_where_and_why() {
    let at = "binance,ETHUSDT,1723161250000000,1723161250000001";
    for (cells, want) in [
        ("2,101,1OO,1", "x.csv:3: column 7 (bid_price): \"1OO\" is not a decimal"),
        ("2,0,100,1", "x.csv:3: column 6 (ask_price): \"0\" is zero"),
        ("2,101,100,", "x.csv:3: column 8 (bid_amount): \"\" is empty"),
        ("2,101,100", "x.csv:3: column 8 (the row's last): \"\" is one of 7 columns, the header has 8"),
    ] {
        assert_bad(QUOTES, &format!("{at},2,101,100,1"), &format!("{at},{cells}"), want);
    }
    let want = "x.csv:3: column 9 (asks[1].price): \"-3\" is negative";
    assert_bad(
        &snapshot_header(2),
        &format!("{at},101,2,100,1,,,,"),
        &format!("{at},101,2,100,1,-3,1,,"),
        want,
    );
    let want = "x.csv:3: column 3 (timestamp): \"now\" is no time in ms, us or ns since the epoch";
    assert_bad(
        QUOTES,
        &format!("{at},2,101,100,1"),
        "binance,ETHUSDT,now,1723161250000001,2,101,100,1",
        want,
    );
}

const TICKER: &str = "exchange,symbol,timestamp,local_timestamp,funding_timestamp,funding_rate,predicted_funding_rate,open_interest,last_price,index_price,mark_price\n";

#[test]
fn tickers_and_liquidations_are_news() {
    let news = |text: &str, name: &str| {
        let file =
            CsvFile::read(Path::new(name), Box::new(Cursor::new(text.to_owned())), &Symbols::default());
        let mut source = file.unwrap().source(CsvOptions { strict: true, ..CsvOptions::default() }).unwrap();
        let mut all = Vec::new();
        while source.advance().unwrap().is_some() {
            let group = source.group();
            all.push(format!("{} {:?}", group.receive_time.nanos(), group.events));
        }
        (all, source.depth(papertape::market::InstrumentId(0)), source.stats().messages)
    };
    let rows = "\
bitmex,XBTUSD,1700000005000000,1700000005020000,1700020800000000,0.0001,0.00012,250000000,36500.5,36498.21,36499.4
bitmex,XBTUSD,1700000006000000,1700000006021000,,,,,36501,,
bitmex,XBTUSD,1700000007000000,1700000007021000,,-0.00025,,,,,36500
";
    let (told, depth, messages) = news(&format!("{TICKER}{rows}"), "x.csv");
    assert_eq!((depth, messages), (papertape::market::FeedDepth::News, 3));
    assert_eq!(
        told,
        [
            "1700000005020000000 [News(Mark(FinePrice(364994000000000))), News(Index(FinePrice(364982100000000))), \
             News(Funding { rate: FundingRate(100000000), due: Timestamp(1700020800000000000) })]",
            "1700000007021000000 [News(Mark(FinePrice(365000000000000))), \
             News(Funding { rate: FundingRate(-250000000), due: Timestamp(9223372036854775807) })]",
        ]
    );
    let rows = "\
bitmex,XBTUSD,1700000007000000,1700000007030000,00000000-0000-4000-8000-0000000000aa,sell,36010.5,15000
bitmex,XBTUSD,1700000009000000,1700000009030000,00000000-0000-4000-8000-0000000000ab,buy,37020,800
";
    let (told, depth, _) = news(&format!("{TRADES}{rows}"), "bitmex_liquidations_2023-11-14_XBTUSD.csv");
    assert_eq!((depth, told.len()), (papertape::market::FeedDepth::News, 2));
    assert!(told[0].contains("Liquidation { side: Sell,") && told[1].contains("Liquidation { side: Buy,"));
}

#[test]
fn bad_rows_of_tickers_say_where_and_why() {
    let row = |cells: &str| format!("bitmex,XBTUSD,1700000005000000,1700000005020000,{cells}");
    let good = row("1700020800000000,0.0001,,,,36498.21,36499.4");
    for (cells, want) in [
        (
            "1700020800000000,0.0001,,,,36498.21,36499.4,1",
            "x.csv:3: column 12 (the row's last): \"\" is one of 12 columns, the header has 11",
        ),
        (",0.0001,,,,36498.21,3649O", "x.csv:3: column 11 (mark_price): \"3649O\" is not a decimal"),
        (",0.0001,,,,-1,", "x.csv:3: column 10 (index_price): \"-1\" is not more than zero"),
        (",lots,,,,,", "x.csv:3: column 6 (funding_rate): \"lots\" is not a decimal"),
        (
            "soon,,,,,,",
            "x.csv:3: column 5 (funding_timestamp): \"soon\" is no time in ms, us or ns since the epoch",
        ),
        (
            ",,,,,,99999999999999999999",
            "x.csv:3: column 11 (mark_price): \"99999999999999999999\" is too large",
        ),
    ] {
        assert_bad(TICKER, &good, &row(cells), want);
    }
    assert_bad(
        TICKER,
        &good,
        "bitmex,XBTUSD,x,1700000005020000,,,,,,,",
        "x.csv:3: column 3 (timestamp): \"x\" is no time in ms, us or ns since the epoch",
    );
}

#[test]
fn levels_are_written_as_they_were_read() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        (
            "bitmart_quotes_2024-08-08_ETHUSDT.csv",
            format!(
                "{QUOTES}bitmart,ETHUSDT,1723161250000000,1723161250000001,2,101,100.5,1\nbitmart,ETHUSDT,1723161250000002,1723161250000003,,,100,0.5\n"
            ),
        ),
        (
            "bitmart_book_snapshot_5_2024-08-08_ETHUSDT.csv",
            format!(
                "{}bitmart,ETHUSDT,1723161250000000,1723161250000001,101,2,100,1,102,3,99,4,,,98,1,,,,,,,,\n",
                snapshot_header(5)
            ),
        ),
    ] {
        let input = folder.path().join(name);
        std::fs::write(&input, &text).unwrap();
        let out = folder.path().join("out");
        let done =
            papertape::feed::convert::convert(&[input], &out, &Default::default(), &mut |_| ()).unwrap();
        assert_eq!((done.left_out, done.files.len()), (0, 1));
        assert_eq!(done.files[0].file_name().unwrap().to_str(), Some(name));
        assert_eq!(std::fs::read_to_string(&done.files[0]).unwrap(), text);
    }
}

const DUMP: &str = "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,foreignNotional,trdType\n";

fn dump_row(second: &str, symbol: &str, side: &str, size: &str, price: &str, kind: &str) -> String {
    format!("2023-06-01D00:00:{second},{symbol},{side},{size},{price},PlusTick,id-{second},0,0,0,{kind}\n")
}

#[test]
fn a_dump_of_trades_is_sorted_and_rid_of_what_is_no_trade() {
    let rows = [
        dump_row("03.500000000", ".BXBT", "", "0", "27000", "Referential"),
        dump_row("02.000000000", "ADAM23", "Sell", "25", "3e-8", "Regular"),
        dump_row("05.000000000", "XBTUSD", "Buy", "100", "27000.5", "Regular"),
        dump_row("01.000000000", "XBTUSD", "Sell", "200", "27000", ""),
        dump_row("05.000000000", "XBTUSD", "Buy", "300", "27001", "Regular"),
        dump_row("04.000000000", "XBTUSD", "Buy", "0", "27001", "Regular"),
        dump_row("04.000000000", "XBTUSD", "", "900", "27001", "Settlement"),
        dump_row("04.000000000", "XBTUSD", "Sell", "5000", "27001", "Block"),
        dump_row("00.512000000", "ADAM23", "Sell", "30", "1.411e-05", "Regular"),
    ];
    let text = DUMP.to_owned() + &rows.concat();
    let mut source = open(text.as_bytes(), CsvOptions::default());
    assert_eq!((source.exchange(), source.rows()), (Some("bitmex"), 9));
    let all = play(&mut source).unwrap();
    let words: Vec<_> =
        all.iter().map(|group| (group.0.as_str(), group.2 % 10_000_000_000, group.4.join(", "))).collect();
    let want = [
        ("ADAM23", 512_000_000, "sell 30 @ 0.00001411 #id-00.512000000"),
        ("XBTUSD", 1_000_000_000, "sell 200 @ 27000 #id-01.000000000"),
        ("ADAM23", 2_000_000_000, "sell 25 @ 0.00000003 #id-02.000000000"),
        ("XBTUSD", 5_000_000_000, "buy 100 @ 27000.5 #id-05.000000000, buy 300 @ 27001 #id-05.000000000"),
    ];
    assert_eq!(words, want.map(|(symbol, time, words)| (symbol, time, words.to_owned())));
    assert_eq!((source.stats().errors, source.stats().time_went_back), (0, 0));
    // Contracts of 1 USD, settled in XBT; the other symbol's contract nobody knows.
    let products: Vec<_> = source.instruments().iter().map(|i| (i.symbol.as_str(), i.product)).collect();
    let one = papertape::market::Product::Inverse { multiplier: 1.into() };
    assert_eq!(products, [("ADAM23", papertape::market::Product::Spot), ("XBTUSD", one)]);
    // The first four rows of the file, not of time.
    let mut source = open(text.as_bytes(), CsvOptions { rows: Some(4), ..CsvOptions::default() });
    assert_eq!((play(&mut source).unwrap().len(), source.rows()), (3, 4));
}

#[test]
fn only_wanted_symbols_of_a_dump_are_held() {
    let symbols = Symbols::default();
    symbols.want(&[Pair::new("BTC", "USDT")]);
    symbols.name("XBTM23", Pair::new("BTC", "USDT"));
    let rows =
        ["XBTUSD", "ADAM23", "XBTM23", "ETHUSD"].map(|symbol| dump_row("01.0", symbol, "Buy", "1", "2", ""));
    let input = Box::new(Cursor::new((DUMP.to_owned() + &rows.concat()).into_bytes()));
    let file = CsvFile::read(Path::new("x.csv"), input, &symbols).unwrap();
    assert_eq!(file.symbols().collect::<Vec<_>>(), ["XBTUSD", "XBTM23"]);
}

#[test]
fn a_dump_of_quotes_and_bad_rows_of_both() {
    let header = "timestamp,symbol,bidSize,bidPrice,askPrice,askSize\n";
    let at = "2023-06-01D00:00:00.1";
    let text = format!("{header}{at},XBTUSD,52,27000,27000.5,31\n{at},XBTUSD,,,27000.5,30\n");
    let mut source = open(text.as_bytes(), CsvOptions::default());
    let all = play(&mut source).unwrap();
    assert_eq!(all[0].4, ["buy 52 @ 27000", "sell 31 @ 27000.5"]);
    assert_eq!((all[1].1, &all[1].4[..]), (GroupKind::Snapshot, &["sell 30 @ 27000.5".to_owned()][..]));
    let good = format!("{at},XBT,52,27000,27000.5,31");
    for (bad, want) in [
        (format!("{at},XBT,52,27OOO,27000.5,31"), "x.csv:3: column 4 (bidPrice): \"27OOO\" is not a decimal"),
        (
            format!("{at},XBT,52,27000,0.0000000000000000001,31"),
            "x.csv:3: column 5 (askPrice): \"0.0000000000000000001\" has 19 decimals, 1 fit",
        ),
        (format!("{at},XBT,52,27000,27000.5,-31"), "x.csv:3: column 6 (askSize): \"-31\" is negative"),
        (
            "2023-06-01 00:00:00,XBT,52,27000,27000.5,31".to_owned(),
            "x.csv:3: column 1 (timestamp): \"2023-06-01 00:00:00\" is no time as in 2023-06-01D00:00:00.512000000",
        ),
        ("oops".to_owned(), "x.csv:3: column 2 (the row's last): \"\" is one of 1 columns, the header has 6"),
    ] {
        assert_bad(header, &good, &bad, want);
    }
    let good = dump_row("01.0", "XBT", "Buy", "1", "2", "");
    let bad = dump_row("01.0", "XBT", "Bye", "1", "2", "");
    let want = "x.csv:3: column 3 (side): \"Bye\" is none of Buy, Sell and nothing";
    assert_bad(DUMP, good.trim_end(), bad.trim_end(), want);
}

#[test]
fn candles_are_a_path() {
    let header = "timestamp,open,high,low,close,volume\n";
    let rows = "1700000040.0,20,21,19.5,20.5,10.5\n1700000160,20,20.5,19,19,0\n";
    let mut source = open((header.to_owned() + rows).as_bytes(), CsvOptions::default());
    assert_eq!(source.exchange(), None);
    let all = play(&mut source).unwrap();
    let said: Vec<_> = all.iter().map(|g| (g.3 - 1_700_000_000_000_000_000, g.4.join(", "))).collect();
    // The low is nearer to the open of the first, the high to that of the second; two minutes lie between.
    let candle = |units: i64| format!("Candle(Qty({units}))");
    let scale = 10_i64.pow(u32::from(source.instruments()[0].qty_scale));
    let want = [
        (40_000_000_000, format!("{}, unknown 0 @ 20 #", candle(105 * scale / 10))),
        (80_000_000_000, "unknown 0 @ 19.5 #".to_owned()),
        (120_000_000_000, "unknown 0 @ 21 #".to_owned()),
        (159_999_999_999, "unknown 10.5 @ 20.5 #".to_owned()),
        (160_000_000_000, format!("{}, unknown 0 @ 20 #", candle(0))),
        (200_000_000_000, "unknown 0 @ 20.5 #".to_owned()),
        (240_000_000_000, "unknown 0 @ 19 #".to_owned()),
        (279_999_999_999, "unknown 0 @ 19 #".to_owned()),
    ];
    assert_eq!(said, want);
    assert_eq!(source.depth(papertape::market::InstrumentId(0)), papertape::market::FeedDepth::Candles);
    let good = "1700000040.0,20,21,19.5,20.5,10.5";
    for (bad, want) in [
        ("1700000100,20,19,19.5,20.5,1", "x.csv:3: column 3 (high): \"19\" is below the low"),
        ("1700000100,20,21,19.5,2O.5,1", "x.csv:3: column 5 (close): \"2O.5\" is not a decimal"),
        (
            "noon,20,21,19.5,20.5,1",
            "x.csv:3: column 1 (timestamp): \"noon\" is no start of a candle in s, ms, us or ns since the epoch",
        ),
        ("1700000100,20,21,19.5,20.5,-1", "x.csv:3: column 6 (volume): \"-1\" is negative"),
        (
            "1700000100,20,21,19.5,20.5",
            "x.csv:3: column 6 (the row's last): \"\" is one of 5 columns, the header has 6",
        ),
    ] {
        assert_bad(header, good, bad, want);
    }
    // BitMEX' bucketed trades open outside high and low.
    let odd = play(&mut open(
        (header.to_owned() + "1700000040,25,21,19.5,20.5,1\n").as_bytes(),
        CsvOptions::default(),
    ))
    .unwrap();
    assert_eq!(odd.len(), 4);
}

/// Rows of hftbacktest: ev, exch_ts, local_ts, px, qty.
type ArrayRow = (u64, i64, i64, f64, f64);

/// An archive with an event array, as np.savez writes it.
fn array(rows: &[ArrayRow]) -> Vec<u8> {
    let names = [
        "('ev', '<u8')",
        "('exch_ts', '<i8')",
        "('local_ts', '<i8')",
        "('px', '<f8')",
        "('qty', '<f8')",
        "('order_id', '<u8')",
        "('ival', '<i8')",
        "('fval', '<f8')",
    ];
    let mut header =
        format!("{{'descr': [{}], 'fortran_order': False, 'shape': ({},), }}", names.join(", "), rows.len());
    while (header.len() + 11) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
    bytes.extend(header.as_bytes());
    for (ev, exchange, local, px, qty) in rows {
        bytes.extend(ev.to_le_bytes());
        bytes.extend(exchange.to_le_bytes());
        bytes.extend(local.to_le_bytes());
        bytes.extend(px.to_le_bytes());
        bytes.extend(qty.to_le_bytes());
        bytes.extend([0; 24]);
    }
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::STORE);
    archive.start_file("data.npy", stored).unwrap();
    archive.write_all(&bytes).unwrap();
    archive.finish().unwrap().into_inner()
}

fn open_array(bytes: &[u8], options: CsvOptions) -> Result<CsvSource, SourceError> {
    let input = Box::new(Cursor::new(bytes.to_vec()));
    CsvFile::read(Path::new("x.npz"), input, &Symbols::default())?.source(options)
}

const BOTH: u64 = 3 << 30;
const BID: u64 = 1 << 29;
const ASK: u64 = 1 << 28;
const AT: i64 = 1_700_000_000_000_000_000;

#[test]
fn event_arrays_become_exact_events() {
    let rows = [
        (BOTH | BID | 3, AT, AT + 5, 99.0, 0.0),
        (BOTH | BID | 4, AT, AT + 5, 100.1, 0.3),
        (BOTH | BID | 4, AT, AT + 5, 99.0, 2.0),
        (BOTH | ASK | 4, AT, AT + 5, 101.0, 1.0),
        // The exchange's own copy of the trade; then ours.
        ((1 << 31) | ASK | 2, AT + 10, AT + 15, 100.1, 0.1),
        ((1 << 30) | ASK | 2, AT + 10, AT + 15, 100.1, 0.1),
        (BOTH | BID | 1, AT + 10, AT + 15, 100.1, 0.2),
        // All from the best to 99.5: 99 stays. Then all.
        (BOTH | BID | 3, AT + 20, AT + 25, 99.5, 0.0),
        (BOTH | BID | 3, AT + 30, AT + 35, f64::NAN, 0.0),
        (BOTH | ASK | 4, AT + 40, AT + 45, 102.0, 2e-7),
    ];
    let mut source = open_array(&array(&rows), CsvOptions::default()).unwrap();
    let all = play(&mut source).unwrap();
    let said: Vec<_> = all.iter().map(|g| (g.1, g.2 - AT, g.3 - AT, g.4.join(", "))).collect();
    use GroupKind::{Snapshot, Update};
    let want = [
        (Snapshot, 0, 5, "buy 0.3 @ 100.1, buy 2 @ 99, sell 1 @ 101"),
        (Update, 10, 15, "sell 0.1 @ 100.1 #, buy 0.2 @ 100.1"),
        (Update, 20, 25, "buy 0 @ 100.1"),
        (Update, 30, 35, "buy 0 @ 99"),
        (Snapshot, 40, 45, "sell 1 @ 101, sell 0.0000002 @ 102"),
    ];
    assert_eq!(said, want.map(|(kind, a, b, words)| (kind, a, b, words.to_owned())));
    assert_eq!((source.exchange(), source.rows(), source.stats().errors), (None, 10, 0));
}

#[test]
fn bad_rows_of_event_arrays_say_where_and_why() {
    let good = (BOTH | BID | 4, AT, AT, 100.0, 1.0);
    for (bad, want) in [
        ((BOTH | BID | 1, AT, AT, f64::NAN, 1.0), "x.npz:2: column 4 (px): \"NaN\" is not a decimal"),
        ((BOTH | BID | 1, AT, AT, -1.0, 1.0), "x.npz:2: column 4 (px): \"-1\" is negative"),
        ((BOTH | BID | 1, AT, AT, 100.0, f64::INFINITY), "x.npz:2: column 5 (qty): \"inf\" is not a decimal"),
        ((BOTH | BID | 2, AT, AT, 100.0, 0.0), "x.npz:2: column 5 (qty): \"0\" is zero"),
        (
            (BOTH | BID | 1, 0, AT, 100.0, 1.0),
            "x.npz:2: column 2 (exch_ts): \"0\" is no time in ns since the epoch",
        ),
        (
            (BOTH | BID | 10, AT, AT, 100.0, 1.0),
            "x.npz:2: column 1 (ev): \"0xe000000a\" is no depth, trade, clear or snapshot row of one side",
        ),
    ] {
        let bytes = array(&[good, bad, good]);
        let warnings = Warnings::default();
        let mut source =
            open_array(&bytes, CsvOptions { warnings: warnings.clone(), ..CsvOptions::default() }).unwrap();
        assert!(!play(&mut source).unwrap().is_empty());
        assert_eq!((warnings.first(), source.stats().errors), (vec![want.to_owned()], 1));
        let mut strict = open_array(&bytes, CsvOptions { strict: true, ..CsvOptions::default() }).unwrap();
        assert_eq!(play(&mut strict).unwrap_err().to_string(), want);
    }
    // Off the grid of an instrument that is described.
    let symbols = Symbols::default();
    symbols.call_unnamed("bitmart", "XBT");
    symbols.know(Instrument::spot("XBT", Pair::new("XBT", "USD"), 1, 0).unwrap());
    let many = vec![good; 1_000];
    let bytes = array(&[&many[..], &[(BOTH | BID | 1, AT, AT, 100.25, 1.0)]].concat());
    let file = CsvFile::read(Path::new("x.npz"), Box::new(Cursor::new(bytes)), &symbols).unwrap();
    let error =
        play(&mut file.source(CsvOptions { strict: true, ..CsvOptions::default() }).unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "x.npz:1001: column 4 (px): \"100.25\" has 2 decimals, 1 fit");
}

#[test]
fn damaged_arrays_are_errors_and_not_panics() {
    let bytes = array(&[(BOTH | BID | 4, AT, AT, 100.0, 1.0); 50]);
    let mut flipped = bytes.clone();
    flipped[400] ^= 1;
    let read = |bytes: &[u8]| {
        open_array(bytes, CsvOptions { strict: true, ..CsvOptions::default() })
            .and_then(|mut source| play(&mut source))
    };
    assert!(read(&bytes).is_ok());
    assert!(read(&flipped).is_err());
    for len in (4..bytes.len()).step_by(37) {
        assert!(read(&bytes[..len]).is_err(), "{len}");
    }
    // An array of something else.
    let mut other = bytes.clone();
    let at = other.windows(2).position(|two| two == b"px").unwrap();
    other[at] = b'q';
    assert!(read(&other).unwrap_err().to_string().contains("x.npz"));
}

/// Quotes by way of the csv crate, row by row, in the plainest way.
fn plain_quotes(text: &[u8], instruments: &[Instrument]) -> (Vec<Said>, u64) {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text);
    let (mut said_so_far, mut errors) = (Vec::new(), 0);
    for record in reader.byte_records() {
        let record = record.unwrap();
        let row = || {
            let [exchange, symbol, at, received, ask_amount, ask, bid, bid_amount] =
                record.iter().collect::<Vec<_>>()[..]
            else {
                return None;
            };
            let name = |text: &[u8]| {
                let text = std::str::from_utf8(text).ok()?.to_owned();
                (!text.is_empty() && text.len() <= 64 && !text.contains(char::is_control)).then_some(text)
            };
            name(exchange)?;
            let symbol = name(symbol)?;
            let instrument = instruments.iter().find(|own| own.symbol.eq_ignore_ascii_case(&symbol))?;
            let time = |text: &[u8]| {
                let text =
                    std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?;
                let value: i128 = text.parse().ok()?;
                let unit = [(17, 1), (14, 1_000), (11, 1_000_000)]
                    .into_iter()
                    .find(|(n, _)| value > 10_i128.pow(*n))?
                    .1;
                i64::try_from(value * unit).ok()
            };
            let (at, received) = (time(at)?, time(received)?);
            let mut levels = Vec::new();
            for (side, price, amount) in [("buy", bid, bid_amount), ("sell", ask, ask_amount)] {
                if price.is_empty() && amount.is_empty() {
                    continue;
                }
                let in_range = |units: &i64| (0..1 << 53).contains(units);
                let qty = parse_units(amount, instrument.qty_scale).ok().filter(in_range)?;
                if qty > 0 {
                    let price = parse_units(price, instrument.price_scale)
                        .ok()
                        .filter(in_range)
                        .filter(|p| *p > 0)?;
                    let (qty, price) = (
                        instrument.show_qty(Qty::from_units(qty)),
                        instrument.show_price(Price::from_units(price)),
                    );
                    levels.push(format!("{side} {qty} @ {price}"));
                }
            }
            Some((instrument.symbol.to_string(), GroupKind::Snapshot, at, received, levels))
        };
        match row() {
            Some(row) => said_so_far.push(row),
            None => errors += 1,
        }
    }
    (said_so_far, errors)
}

fn any_quote() -> impl Strategy<Value = String> {
    let level = || ("([0-9]{1,4}|0|)", "(8[0-9]{4}(\\.5)?|[0-9]{1,6}\\.[0-9]{1,6}|)");
    ("(ETHUSDT|ETHUSDT|XBT)", 0_u64..3_000_000, level(), level(), "(\n|\n|\n|\r\n|\n\n|,\n)").prop_map(
        |(symbol, later, (ask_amount, ask), (bid_amount, bid), end)| {
            let time = 1_723_161_250_000_000 + later;
            format!("binance,{symbol},{time},{},{ask_amount},{ask},{bid},{bid_amount}{end}", time + 3)
        },
    )
}

proptest! {
    #![proptest_config(cases(500))]
    #[test]
    fn the_reader_of_levels_is_the_plain_one(rows in proptest::collection::vec(any_quote(), 0..30), damages in damages()) {
        let mut body = rows.concat().into_bytes();
        damage(&mut body, &damages);
        let text = [QUOTES.as_bytes(), &body].concat();
        let mut source = open_known(&text, CsvOptions::default());
        let read = play(&mut source).unwrap();
        // Damage can make another exchange with the same symbol; the plain reader knows one instrument a symbol.
        let all = source.instruments();
        let clash = |a: &Instrument, b: &Instrument| {
            a.symbol == b.symbol && (a.price_scale, a.qty_scale) != (b.price_scale, b.qty_scale)
        };
        prop_assume!(!all.iter().any(|one| all.iter().any(|other| clash(one, other))));
        let (plain, errors) = plain_quotes(&text, source.instruments());
        prop_assert_eq!(read, plain);
        prop_assert_eq!(source.stats().errors, errors);
    }

    #[test]
    fn no_bytes_in_any_kind_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for header in [QUOTES.as_bytes(), DUMP.as_bytes(), b"timestamp,open,high,low,close,volume\n", b"PK\x03\x04"] {
            let text = [header, &bytes].concat();
            let file = CsvFile::read(Path::new("x.csv"), Box::new(Cursor::new(text)), &Symbols::default());
            if let Ok(mut source) = file.and_then(|file| file.source(CsvOptions::default())) {
                let _ = play(&mut source);
            }
        }
    }
}
