//! Every kind of table through the front door: `connect` opens it, and orders fill on the evidence that it has.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails says where")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs a session on bitmart_paper_trade in a folder of its own; exit code and everything that it said.
fn session(folder: &Path, arguments: &[&str], commands: &str) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_papertape"));
    command.arg("--data-dir").arg(folder).args(["connect", "bitmart_paper_trade"]).args(arguments);
    let output = command.args(["-c", commands]).current_dir(folder).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
}

/// The shared data, where it is; says so where it is not.
fn shared(path: &str) -> Option<String> {
    let root = std::env::var_os("PAPERTAPE_SHARED").map(PathBuf::from);
    let root = root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"));
    let path = root.join(path);
    if path.exists() {
        return Some(path.display().to_string());
    }
    println!("skipped: {} is not there", path.display());
    None
}

fn assert_says(said: &(i32, String), wanted: &[&str]) {
    for words in wanted {
        assert!(said.1.contains(words), "{words:?} is not in\n{}", said.1);
    }
    assert_eq!(said.0, 0, "{}", said.1);
}

const CANDLES: &str = "timestamp,open,high,low,close,volume,quote_asset_volume
1700000040.0,20.5,21.0,20.0,20.75,100.0,0.0
1700000100.0,20.8,21.0,19.0,19.5,200.0,0.0
1700000220.0,19.5,19.5,19.5,19.5,0.0,0.0
1700000280.0,19.6,22.0,19.5,20.0,30.0,0.0
";

#[test]
fn orders_fill_along_the_path_of_candles() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("minutes.csv"), CANDLES).unwrap();
    let candles = ["--csv", "minutes.csv", "--pair", "XYZ-USDT", "--latency", "none"];
    let commands = "rules; buy 3 XYZ-USDT; buy 50 XYZ-USDT at 20.0; step 3; order 2; run; order 2";
    let said = session(folder.path(), &candles, commands);
    assert_says(
        &said,
        &[
            "XYZ-USDT: no rules are known; tick and lot are inferred",
            // The open of 20.5 is past when the order arrives: 20.8 and half of 10 bp, on to the tick of 0.01.
            "filled 3 XYZ at 20.82 as taker",
            // 19.0 goes through 20.0; a tenth of 200 less the 3.
            "filled 17 XYZ at 20.00 as maker",
            "the tape, which has no book, went below 20 (evidence: thin)",
            // 19.6 and 19.5 do too, for a tenth of 30.
            "20 of 50 XYZ at 20",
        ],
    );
    let wide = [&candles[..], &["--assume-spread", "200"]].concat();
    assert_says(&session(folder.path(), &wide, "buy 3 XYZ-USDT"), &["filled 3 XYZ at 21.01 as taker"]);
    // Without one pair a file of candles is of nothing.
    let (code, said) = session(folder.path(), &["--csv", "minutes.csv"], "run");
    assert!(
        code == 2 && said.contains("minutes.csv names no symbol: say which one it is with one --pair"),
        "{said}"
    );
}

#[test]
fn takers_wait_for_prints_where_there_is_no_book() {
    let folder = tempfile::tempdir().unwrap();
    let row = |second: u64, side: &str, price: &str, amount: &str| {
        format!(
            "bitmart,BTC_USDT,{0},{0},,{side},{price},{amount}\n",
            1_700_000_000_000_000 + second * 1_000_000
        )
    };
    let header = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n".to_owned();
    let rows = [
        row(0, "buy", "100", "1"),
        row(1, "sell", "99", "9"),
        row(2, "buy", "101", "0.5"),
        row(90, "buy", "1", "9"),
    ];
    std::fs::write(folder.path().join("trades.csv"), header + &rows.concat()).unwrap();
    let commands = "buy 2 BTC-USDT; order 1; trades";
    let said = session(folder.path(), &["--csv", "trades.csv", "--latency", "none"], commands);
    assert_says(
        &said,
        &[
            // The first print is of the instant at which the order arrives: it was before it.
            "filled 0.5 BTC at 101 as taker",
            "1.5 BTC not filled",
            "the tape has no book: it took what came next (evidence: thin)",
            "the visible book was exhausted",
        ],
    );
    assert!(!said.1.contains("at 99"), "a print of the other direction fills no buyer: {}", said.1);
}

#[test]
fn a_liquidation_is_no_evidence_and_needs_no_book_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, header: &str, rows: &[&str]| {
        let rows: String = rows.iter().map(|row| format!("bitmart,BTC_USDT,{row}\n")).collect();
        std::fs::write(
            folder.path().join(name),
            format!("exchange,symbol,timestamp,local_timestamp,{header}\n{rows}"),
        )
        .unwrap();
    };
    let [one, two, three] = [
        "1700000001000000,1700000001000000",
        "1700000002000000,1700000002000000",
        "1700000003000000,1700000003000000",
    ];
    write(
        "book.csv",
        "is_snapshot,side,price,amount",
        &[
            &format!("{one},true,bid,100,5"),
            &format!("{one},true,ask,101,5"),
            &format!("{three},false,bid,99,1"),
        ],
    );
    write("x_liquidations.csv", "id,side,price,amount", &[&format!("{two},,sell,90,1000")]);
    let ticker = "funding_timestamp,funding_rate,predicted_funding_rate,open_interest,last_price,index_price,mark_price";
    write("ticker.csv", ticker, &[&format!("{two},1700020800000000,0.0001,,5,100,50.25,50.5")]);
    let files =
        ["--csv", "book.csv", "x_liquidations.csv", "ticker.csv", "--latency", "none", "--queue", "front"];
    let commands = "buy 1 BTC-USDT at 100; run; order 1; order_book";
    let said = session(folder.path(), &files, commands);
    assert_says(&said, &["101", "100"]);
    assert!(!said.1.contains("filled 1 BTC") && !said.1.contains("bought"), "{}", said.1);
    // Alone they open nothing that could be traded on, and hurt nobody.
    let (_, alone) = session(folder.path(), &["--csv", "ticker.csv", "--pair", "BTC-USDT"], "order_book");
    assert!(!alone.contains("panicked"), "{alone}");
}

#[test]
fn real_candles_dumps_and_arrays_fill_orders() {
    let folder = tempfile::tempdir().unwrap();
    let Some(candles) = shared("data/candles/candles_phemex_LINK-USDT_1m.csv") else { return };
    let said =
        session(folder.path(), &["--pair", "LINK-USDT", "--csv", &candles], "buy 1 LINK-USDT; order last");
    assert_says(
        &said,
        &["tick and lot are inferred", "filled 1 LINK at 17.9431 as taker", "(evidence: thin)"],
    );
    let (Some(trades), Some(quotes)) =
        (shared("data/bitmex_dump/trade_20210722.csv.gz"), shared("data/bitmex_dump/quote_20210722.csv.gz"))
    else {
        return;
    };
    let dump = ["--pair", "BTC-USDT", "--symbol", "XBTUSD=BTC-USDT", "--csv", &trades, "--csv", &quotes];
    let said = session(
        folder.path(),
        &dump,
        "order_book; buy 0.01 BTC-USDT; sell 0.002 BTC-USDT at best limit; run; order last",
    );
    assert_says(
        &said,
        &[
            "BTC-USDT: sizes of XBTUSD convert by notional in base",
            // 161,000 contracts of 1 USD at 32,180.5.
            "5.00302",
            "filled 0.01 BTC at 32180.5 as taker",
            "sold 0.002 BTC at 32180.5",
            "the book crossed its price",
        ],
    );
    let Some(array) = shared("data/npz/bitmex_2021-07-22_XBTUSD.npz") else { return };
    let said = session(folder.path(), &["--pair", "BTC-USDT", "--csv", &array], "buy 1 BTC-USDT; order last");
    assert_says(&said, &["filled 1 BTC at 32180.5", "it took what the book showed"]);
}
