//! `inspect` and `convert` on real data and on what they write themselves.

#![allow(clippy::unwrap_used)] // helpers of tests panic as tests do

use std::io::Write;
use std::path::{Path, PathBuf};

use papertape::feed::convert::{ConvertOptions, convert};
use papertape::feed::inspect::{InspectOptions, inspect};
use papertape::feed::recording::{Recording, RecordingOptions};
use papertape::market::{EventLog, Instrument, MarketEvent, Source};
use papertape::venue::connectors::usable_connector;
use serde_json::Value;

/// The shared data, where it is; says so where it is not.
fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("PAPERTAPE_SHARED").map(PathBuf::from);
    let root = root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"));
    let path = root.join(path);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: {} is not there", path.display());
    None
}

fn options() -> InspectOptions {
    InspectOptions { depth: 25, ..InspectOptions::default() }
}

fn json(file: &Path, options: &InspectOptions) -> Value {
    serde_json::to_value(inspect(file, options).unwrap()).unwrap()
}

#[test]
fn final_books_and_trades_of_real_files_are_exact() {
    let (Some(folder), Some(expected)) = (shared("data/csv"), shared("data/expected/csv.expected.json"))
    else {
        return;
    };
    let expected: Value = serde_json::from_str(&std::fs::read_to_string(expected).unwrap()).unwrap();
    for (set, want) in expected.as_object().unwrap() {
        let (prefix, symbol) = set.rsplit_once('_').unwrap();
        let (exchange, date) = prefix.split_once('_').unwrap();
        let file = |kind: &str| folder.join(format!("{exchange}_{kind}_{date}_{symbol}.csv.gz"));
        let book = json(&file("incremental_book_L2"), &options());
        let (have, want_book) = (&book["books"][symbol], &want["final_book"]);
        for key in ["bids", "asks", "bid_levels", "ask_levels"] {
            assert_eq!(have[key], want_book[key], "{set} {key}");
        }
        assert_eq!(book["after_line"], want["rows"]["incremental_book_L2"]);
        assert_eq!((&book["errors"], &book["venue"]), (&0.into(), &exchange.into()), "{set}");
        check_levels(set, want, symbol, &file);
        let trades = json(&file("trades"), &options());
        assert_eq!(trades["after_line"], want["rows"]["trades"]);
        if want["trades"]["count"] != 0 {
            assert_eq!(trades["trades"][symbol]["count"], want["trades"]["count"]);
            assert_eq!(trades["trades"][symbol]["volume"], want["trades"]["volume"]);
        } else {
            assert_eq!(trades["trades"], serde_json::json!({}));
        }
    }
}

/// The best levels of a set in its other kinds: as many rows as there should be, and the last of them is the final
/// book's top.
fn check_levels(set: &str, want: &Value, symbol: &str, file: &dyn Fn(&str) -> PathBuf) {
    for (kind, depth) in [("quotes", 1), ("book_ticker", 1), ("book_snapshot_5", 5)] {
        let Some(rows) = want["rows"].get(kind) else { continue };
        let levels = json(&file(kind), &options());
        assert_eq!((&levels["after_line"], &levels["errors"]), (rows, &0.into()), "{set} {kind}");
        assert_eq!((&levels["book_updates"], &levels["trades"]), (rows, &serde_json::json!({})));
        // The exchange's own ticker runs beside the book, not after it.
        if kind != "book_ticker" {
            for side in ["bids", "asks"] {
                let top: Vec<&Value> =
                    want["final_book"][side].as_array().unwrap().iter().take(depth).collect();
                let have: Vec<&Value> = levels["books"][symbol][side].as_array().unwrap().iter().collect();
                assert_eq!(have, top, "{set} {kind} {side}");
            }
        }
    }
}

#[test]
fn longer_tapes_of_trades_are_whole() {
    let (Some(folder), Some(expected)) = (shared("data"), shared("data/expected/extra.expected.json")) else {
        return;
    };
    let expected: Value = serde_json::from_str(&std::fs::read_to_string(expected).unwrap()).unwrap();
    let tapes = expected.as_object().unwrap().iter().filter(|(_, want)| want.get("volume").is_some());
    let mut seen = 0;
    for (name, want) in tapes {
        let have = json(&folder.join(name), &options());
        let trades = have["trades"].as_object().unwrap().values().next().unwrap();
        assert_eq!((&have["after_line"], &have["errors"]), (&want["rows"], &0.into()), "{name}");
        for key in ["volume", "buy_volume"] {
            assert_eq!(trades[key], want[key], "{name} {key}");
        }
        seen += 1;
    }
    assert_eq!(seen, 4);
}

#[test]
fn event_arrays_end_with_the_book_that_they_were_made_of() {
    let (Some(folder), Some(expected)) = (shared("data"), shared("data/expected/csv.expected.json")) else {
        return;
    };
    let expected: Value = serde_json::from_str(&std::fs::read_to_string(expected).unwrap()).unwrap();
    for (set, name) in [
        ("bitmex_2021-07-22_XBTUSD", "bitmex_2021-07-22_XBTUSD"),
        ("phemex_2021-07-03_XTZUSD", "phemex_2021-07-03_XTZUSD"),
    ] {
        let have = json(&folder.join(format!("npz/{name}.npz")), &options());
        let (book, want) = (&have["books"][name], &expected[set]["final_book"]);
        for key in ["bids", "asks", "bid_levels", "ask_levels"] {
            assert_eq!(book[key], want[key], "{set} {key}");
        }
        assert_eq!(book["pair"], Value::Null);
        for key in ["count", "volume"] {
            assert_eq!(have["trades"][name][key], expected[set]["trades"][key], "{set} {key}");
        }
        assert_eq!((&have["venue"], &have["errors"]), (&Value::Null, &0.into()));
    }
}

#[test]
fn candles_are_read_whole() {
    let (Some(folder), Some(expected)) = (shared("data"), shared("data/expected/extra.expected.json")) else {
        return;
    };
    let expected: Value = serde_json::from_str(&std::fs::read_to_string(expected).unwrap()).unwrap();
    let mut seen = 0;
    for (name, want) in expected.as_object().unwrap().iter().filter(|(name, _)| name.starts_with("candles")) {
        let have = json(&folder.join(name), &InspectOptions { stats: true, ..options() });
        assert_eq!((&have["after_line"], &have["errors"]), (&want["rows"], &0.into()), "{name}");
        let first = want["first"].as_i64().unwrap() * 1_000_000_000;
        let last = (want["last"].as_i64().unwrap() + 60) * 1_000_000_000 - 1;
        assert_eq!(
            (&have["stats"]["first_ns"], &have["stats"]["last_ns"]),
            (&first.into(), &last.into()),
            "{name}"
        );
        assert_eq!(have["books"], serde_json::json!({}));
        seen += 1;
    }
    assert_eq!(seen, 5);
}

#[test]
fn dumps_are_read_whole() {
    let (Some(folder), Some(expected)) = (shared("data"), shared("data/expected/extra.expected.json")) else {
        return;
    };
    let expected: Value = serde_json::from_str(&std::fs::read_to_string(expected).unwrap()).unwrap();
    let mut seen = 0;
    for (name, want) in
        expected.as_object().unwrap().iter().filter(|(name, _)| name.starts_with("bitmex_dump"))
    {
        let have = json(&folder.join(name), &options());
        assert_eq!((&have["after_line"], &have["errors"]), (&want["rows"], &0.into()), "{name}");
        assert_eq!(have["venue"], "bitmex");
        seen += 1;
    }
    assert_eq!(seen, 4);
    let trades = json(&folder.join("bitmex_dump/trade_20210722.csv.gz"), &options());
    // 15 of the day's excerpt, and the one that the capture began with.
    assert_eq!(trades["trades"]["XBTUSD"]["count"], 16);
    assert_eq!(trades["trades"]["XBTUSD"]["volume"], "38900");
    let quotes = json(&folder.join("bitmex_dump/quote_20210722.csv.gz"), &options());
    assert_eq!(quotes["books"]["XBTUSD"]["bids"], serde_json::json!([["32186.5", "1407700"]]));
    assert_eq!(quotes["books"]["XBTUSD"]["asks"], serde_json::json!([["32187", "36000"]]));
}

#[test]
fn tardis_originals_of_levels_read() {
    for (name, levels) in [
        ("binance-futures_book_snapshot_25_BTCUSDT.csv", 25),
        ("binance-futures_book_snapshot_5_BTCUSDT.csv", 5),
        ("huobi-dm-swap_quotes_BTC-USD.csv", 1),
    ] {
        let Some(file) = shared(&format!("data/csv_tardis_samples/{name}")) else { return };
        let look = json(&file, &options());
        let book = look["books"].as_object().unwrap().values().next().unwrap();
        let levels = Value::from(levels);
        assert_eq!(
            (&look["errors"], &book["bid_levels"], &book["ask_levels"]),
            (&0.into(), &levels, &levels)
        );
        assert_eq!(look["book_updates"], look["after_line"]);
    }
}

#[test]
fn a_tardis_original_reads() {
    let Some(file) = shared("data/csv_tardis_samples/deribit_incremental_book_L2_BTC-PERPETUAL.csv") else {
        return;
    };
    let book = json(&file, &options());
    assert_eq!(
        (&book["errors"], &book["books"]["BTC-PERPETUAL"]["ask_levels"]),
        (&0.into(), &book["after_line"])
    );
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let file = folder.join(name);
    std::fs::write(&file, text).unwrap();
    file
}

const BOOK: &str = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount
bitmart,BTC_USDT,1723161250000000,1723161250000010,true,bid,100.50,1
bitmart,BTC_USDT,1723161250000000,1723161250000010,true,ask,101,2.5
bitmart,BTC_USDT,1723161250001000,1723161250001010,false,bid,100.5,0
bitmart,BTC_USDT,1723161250001000,1723161250001010,false,bid,99,7
";

#[test]
fn the_json_is_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "book.csv", BOOK);
    let look = |lines: Option<u64>, until: Option<&str>| {
        let reading = RecordingOptions { lines, ..RecordingOptions::default() };
        let options = InspectOptions { reading, until: until.map(|time| time.parse().unwrap()), ..options() };
        serde_json::to_string(&inspect(&file, &options).unwrap())
            .unwrap()
            .replace(&file.display().to_string(), "F")
    };
    insta::assert_snapshot!(look(None, None), @r#"{"file":"F","after_line":4,"venue":"bitmart","connection":null,"books":{"BTC_USDT":{"pair":"BTC-USDT","bids":[["99","7"]],"asks":[["101","2.5"]],"bid_levels":1,"ask_levels":1}},"messages":2,"book_updates":2,"trades":{},"gaps":0,"checksum_failures":0,"time_went_back":0,"errors":0}"#);
    // In the middle of a message, and of a snapshot.
    assert!(
        look(Some(3), None).contains(r#""after_line":3,"#) && look(Some(3), None).contains(r#""bids":[],"#)
    );
    assert!(look(Some(1), None).contains(r#""bids":[["100.5","1"]],"asks":[]"#));
    assert!(look(Some(0), None).contains(r#""after_line":0,"venue":"bitmart","connection":null,"books":{}"#));
    assert_eq!(look(Some(99), None), look(None, None));
    let early = look(None, Some("2024-08-08T23:54:10.001Z"));
    assert!(early.contains(r#""after_line":2,"#) && early.contains(r#""bids":[["100.5","1"]]"#), "{early}");
    assert_eq!(look(None, Some("1723161250001010000")), look(None, None));
}

#[test]
fn no_file_of_rows_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    for (text, want) in [
        ("", "no header line"),
        ("hello\n", "no known kind of CSV"),
        ("{\"x\":1}\n", "x.csv"),
        (
            "exchange,symbol,timestamp,local_timestamp,funding_timestamp,funding_rate\n",
            "derivative_ticker needs a column index_price",
        ),
    ] {
        let error = inspect(&write(folder.path(), "x.csv", text), &options()).unwrap_err().to_string();
        assert!(error.contains(want), "{error}");
    }
    assert!(inspect(&folder.path().join("none.csv"), &options()).is_err());
}

/// All groups of a file, and its instruments.
fn groups(files: &[PathBuf]) -> (EventLog, Vec<Instrument>) {
    let mut log = EventLog::default();
    let mut source =
        Recording::open(&files[0], &RecordingOptions { strict: true, ..RecordingOptions::default() })
            .unwrap();
    while source.advance().unwrap().is_some() {
        log.push_group(&source.group());
    }
    (log, source.instruments().to_vec())
}

fn assert_same(a: &Path, b: &Path) -> usize {
    let ((first, rules), (second, other_rules)) = (groups(&[a.to_owned()]), groups(&[b.to_owned()]));
    let scales = |all: &[Instrument]| {
        all.iter().map(|i| (i.symbol.clone(), i.price_scale, i.qty_scale)).collect::<Vec<_>>()
    };
    assert_eq!(scales(&rules), scales(&other_rules));
    assert_eq!(first.len(), second.len());
    for (at, (one, other)) in first.iter().zip(second.iter()).enumerate() {
        assert_eq!(one, other, "group {at}");
    }
    first.len()
}

/// A tape made by the venue's encoder: BTC with snapshots now and then, ETH beside it, prints with and without ids.
fn make_tape(folder: &Path) -> PathBuf {
    let mut book = BOOK.to_owned();
    let mut trades = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n".to_owned();
    for step in 0..3_000_u64 {
        let time = 1_723_161_251_000_000 + step * 10_000;
        let (symbol, price) = if step % 3 == 0 { ("ETH_USDT", 2_000) } else { ("BTC_USDT", 60_000) };
        let flag = step < 6 || step % 97 < 4;
        for level in 0..1 + step % 5 {
            let (side, price) = if level % 2 == 0 {
                ("bid", price - 1 - step % 7 - level)
            } else {
                ("ask", price + step % 5 + level)
            };
            let amount = (step + level) % 4;
            book += &format!(
                "bitmart,{symbol},{},{},{flag},{side},{price}.25,{amount}\n",
                time - 4_000,
                time + 123
            );
        }
        if step % 4 == 0 {
            let side = if step % 8 == 0 { "buy" } else { "sell" };
            trades += &format!(
                "bitmart,{symbol},{},{},,{side},{price}.5,0.0{}\n",
                time - 2_000,
                time + 125,
                1 + step % 9
            );
        }
    }
    let inputs = [write(folder, "book.csv", &book), write(folder, "trades.csv", &trades)];
    let out = folder.join("made.jsonl.zst");
    convert(&inputs, &out, &ConvertOptions::default(), &mut |_| ()).unwrap();
    out
}

#[test]
fn tape_to_csv_to_tape_has_identical_events() {
    let folder = tempfile::tempdir().unwrap();
    let tape = make_tape(folder.path());
    let csv = folder.path().join("csv");
    let done = convert(std::slice::from_ref(&tape), &csv, &ConvertOptions::default(), &mut |_| ()).unwrap();
    assert_eq!((done.left_out, done.read.errors, done.files.len()), (0, 0, 4));
    let back = folder.path().join("back.jsonl");
    convert(&done.files, &back, &ConvertOptions::default(), &mut |_| ()).unwrap();
    assert!(assert_same(&tape, &back) > 3_000);
    // And only one pair of it.
    let one = ConvertOptions { pairs: vec!["ETH-USDT".parse().unwrap()], ..ConvertOptions::default() };
    let only = folder.path().join("eth.jsonl.gz");
    convert(&[tape], &only, &one, &mut |_| ()).unwrap();
    assert_eq!(groups(&[only]).1.iter().map(|i| i.symbol.as_str()).collect::<Vec<_>>(), ["ETH_USDT"]);
}

#[test]
fn a_real_market_in_bitmarts_wire_format_and_back() {
    let (Some(book), Some(trades)) = (
        shared("data/csv/binance_incremental_book_L2_2024-08-08_ETHUSDT.csv.gz"),
        shared("data/csv/binance_trades_2024-08-08_ETHUSDT.csv.gz"),
    ) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let connector = Some(usable_connector("bitmart_paper_trade").unwrap());
    let options = ConvertOptions { connector, ..ConvertOptions::default() };
    let tape = folder.path().join("tape.jsonl.zst");
    let made = convert(&[book.clone(), trades], &tape, &options, &mut |_| ()).unwrap();
    assert_eq!((made.messages, made.events), (3_433 + 5_291, 108_802 + 6_106));
    let (from, to) = (json(&book, &options_deep()), json(&tape, &options_deep()));
    assert_eq!(from["books"]["ETHUSDT"]["bids"], to["books"]["ETH_USDT"]["bids"]);
    assert_eq!(from["books"]["ETHUSDT"]["asks"], to["books"]["ETH_USDT"]["asks"]);
    assert_eq!(to["trades"]["ETH_USDT"]["volume"], "2261.3149");
}

fn options_deep() -> InspectOptions {
    InspectOptions { depth: usize::MAX, ..InspectOptions::default() }
}

#[test]
fn what_cannot_be_converted_says_why_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "book.csv", &BOOK.replace("bitmart", "binance"));
    let entries = || std::fs::read_dir(folder.path()).unwrap().count();
    let bad = |out: &str, options: &ConvertOptions| {
        convert(std::slice::from_ref(&file), &folder.path().join(out), options, &mut |_| ())
            .unwrap_err()
            .to_string()
    };
    assert!(bad("x.jsonl", &ConvertOptions::default()).contains("--connector bitmart_paper_trade"));
    assert!(bad("x.parquet", &ConvertOptions::default()).contains("not in this build"));
    let pairs = vec!["DOGE-USDT".parse().unwrap()];
    assert!(
        bad("x", &ConvertOptions { pairs, ..ConvertOptions::default() }).contains("nothing of DOGE-USDT")
    );
    let mut cut = std::fs::OpenOptions::new().append(true).open(&file).unwrap();
    writeln!(cut, "oops").unwrap();
    let strict = RecordingOptions { strict: true, ..RecordingOptions::default() };
    assert!(
        bad("x", &ConvertOptions { reading: strict, ..ConvertOptions::default() }).contains("book.csv:6")
    );
    assert_eq!(entries(), 1, "no OUT, and nothing half-written beside it");
}

#[test]
fn a_synthetic_tape_survives_csv() {
    use papertape::feed::synth::SynthConfig;
    use papertape::feed::tape::{Direction, TapeHeader, TapeWriter, VERSION};
    use papertape::venue::Frame;

    let folder = tempfile::tempdir().unwrap();
    let connector = usable_connector("bitmart_paper_trade").unwrap();
    let pairs = ["BTC-USDT".parse().unwrap(), "ETH-USDT".parse().unwrap()];
    let market =
        SynthConfig { events: Some(10_000), ..SynthConfig::new(connector, &pairs, &[], 11).unwrap() };
    let tape = folder.path().join("synth.jsonl");
    let header = TapeHeader {
        venue: "bitmart".to_owned(),
        connector: connector.name.to_owned(),
        pairs: pairs.to_vec(),
        start: Some(market.start),
        version: VERSION,
        instruments: Vec::new(),
    };
    let mut writer = TapeWriter::create(&tape, &header).unwrap();
    let mut frames = market.frames();
    while let Some((time, frame)) = frames.next_frame() {
        writer.frame(time, 0, Direction::In, Frame::Text(frame)).unwrap();
    }
    writer.finish().unwrap();
    let csv = folder.path().join("csv");
    let done = convert(std::slice::from_ref(&tape), &csv, &ConvertOptions::default(), &mut |_| ()).unwrap();
    let back = folder.path().join("back.jsonl.zst");
    convert(&done.files, &back, &ConvertOptions::default(), &mut |_| ()).unwrap();
    assert_eq!(assert_same(&tape, &back), 10_000);
}

#[test]
fn the_command_prints_an_object_a_line_and_reads_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "book.csv", BOOK);
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_papertape"));
        let input = std::fs::File::open(&file).unwrap();
        let output = command.args(arguments).current_dir(folder.path()).stdin(input).output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (code, out, _) = run(&["inspect", "--json", "book.csv", "-", "--depth", "1"]);
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((code, lines.len()), (Some(0), 2));
    assert_eq!((&lines[0]["file"], &lines[1]["file"]), (&"book.csv".into(), &"-".into()));
    assert_eq!(lines[0]["books"], lines[1]["books"]);
    let (code, out, _) = run(&["inspect", "book.csv", "--stats"]);
    assert_eq!(code, Some(0));
    insta::assert_snapshot!(out.lines().map(str::trim_end).collect::<Vec<_>>().join("\n"));
    let (code, out, error) = run(&["inspect", "none.csv"]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(error.starts_with("error: none.csv: ") && error.lines().count() == 1, "{error}");
    let (code, out, _) = run(&["convert", "-", "tape.jsonl", "--json"]);
    let done: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &done["messages"], &done["files"][0]), (Some(0), &2.into(), &"tape.jsonl".into()));
}

/// Groups of one instrument of a source, in words that compare.
fn told(source: &mut dyn Source) -> Vec<String> {
    let mut all = Vec::new();
    while source.advance().unwrap().is_some() {
        let group = source.group();
        // A frame that only counts on.
        if group.events.is_empty() {
            continue;
        }
        let symbol = source.instruments()[group.instrument.index()].symbol.clone();
        let (at, received) = (group.exchange_time, group.receive_time);
        // Ids of trades are in the text of the group.
        let events: Vec<String> = group
            .events
            .iter()
            .map(|event| match event {
                MarketEvent::Trade(print) => {
                    let id = String::from_utf8_lossy(print.id.of(group.ids)).into_owned();
                    format!("{:?} {} {} {id}", print.aggressor, print.price.units(), print.qty.units())
                }
                other => format!("{other:?}"),
            })
            .collect();
        all.push(format!("{symbol} {:?} {at} {received} {}", group.kind, events.join(" | ")));
    }
    all
}

/// Fails at the first line that differs, not with all of them.
fn same<'l>(left: impl Iterator<Item = &'l String>, right: impl Iterator<Item = &'l String>, what: &str) {
    let (left, right): (Vec<_>, Vec<_>) = (left.collect(), right.collect());
    for (left, right) in left.iter().zip(&right) {
        assert_eq!(left, right, "{what}");
    }
    assert_eq!(left.len(), right.len(), "{what}");
}

#[test]
fn news_of_contracts_survive_csv_and_tape_at_every_venue() {
    use papertape::feed::csv::{CsvFile, CsvKind, CsvOptions, Symbols, TardisWriter};
    use papertape::feed::merge::{AnySource, Merge};
    use papertape::feed::synth::SynthConfig;

    for (name, kinds) in [
        ("bitmex_perpetual_paper_trade", 4),
        ("bitget_perpetual_paper_trade", 4),
        ("bitmart_perpetual_paper_trade", 3),
        ("phemex_perpetual_paper_trade", 3),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let connector = usable_connector(name).unwrap();
        // Past BitMEX' first funding, through a fall in which many are liquidated.
        let start = "2026-01-05T03:59:00Z".parse().unwrap();
        let config = SynthConfig {
            start,
            duration: Some(std::time::Duration::from_secs(180)),
            crash: Some("20s,-10%,30s".parse().unwrap()),
            ..SynthConfig::demo(connector).unwrap()
        };
        let write = |source: &mut dyn Source, to: &str| {
            let mut writer = TardisWriter::create(&folder.path().join(to), connector.exchange).unwrap();
            while source.advance().unwrap().is_some() {
                let group = source.group();
                let instrument = &source.instruments()[group.instrument.index()];
                writer.write(instrument, &group).unwrap();
            }
            assert_eq!(writer.left_out(), 0, "{name}");
            writer.finish().unwrap()
        };
        let files = write(&mut config.market(), "first");
        assert_eq!(files.len(), config.instruments.len() * kinds, "{name}: {files:?}");
        let read = |files: &[std::path::PathBuf]| {
            let symbols = Symbols::of_catalogues();
            let opened: Vec<CsvFile> =
                files.iter().map(|file| CsvFile::open(file, &symbols).unwrap()).collect();
            let known = [CsvKind::Book, CsvKind::Trades, CsvKind::Ticker, CsvKind::Liquidations];
            assert!(opened.iter().all(|file| known.contains(&file.kind())));
            let strict = || CsvOptions { strict: true, ..CsvOptions::default() };
            let sources =
                opened.into_iter().map(|file| Box::new(file.source(strict()).unwrap()) as AnySource);
            Merge::new(sources.collect()).unwrap()
        };
        let sorted = |mut all: Vec<String>| {
            all.sort();
            all
        };
        let made = sorted(told(&mut config.market()));
        let first = sorted(told(&mut read(&files)));
        // A message may be several frames of one time, and is one message of a table: BitMEX' books, BitMart's prints.
        let whole = !["bitmex", "bitmart"].contains(&connector.exchange);
        let counts = |line: &&String| whole || line.contains("News");
        same(first.iter().filter(counts), made.iter().filter(counts), name);
        let tape = folder.path().join("tape.jsonl");
        let done = convert(&files, &tape, &ConvertOptions::default(), &mut |_| ()).unwrap();
        assert_eq!((done.read.errors, done.left_out), (0, 0));
        let again = folder.path().join("again");
        let back =
            convert(std::slice::from_ref(&tape), &again, &ConvertOptions::default(), &mut |_| ()).unwrap();
        assert_eq!((back.read.errors, back.left_out, back.files.len()), (0, 0, files.len()), "{name}");
        same(sorted(told(&mut read(&back.files))).iter(), first.iter(), name);
        let count = |what: &str| made.iter().filter(|line| line.contains(what)).count();
        assert!(count("Mark(") >= 350 && count("Index(") >= 350 && count("Funding") >= 6, "{name}");
        assert_eq!(count("Liquidation") > 10, kinds == 4, "{name}: {}", count("Liquidation"));
    }
}
