//! Holds `docs/realism.md` to what the program does: the runs over recordings, against the page's own table.
//!
//! hftbacktest's columns are not run here; those of papertape are.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails says where")]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const PAGE: &str = include_str!("../docs/realism.md");

/// A recording and what the page sets for it.
struct Tape {
    name: &'static str,
    file: &'static str,
    symbol: &'static str,
    base: &'static str,
    tick: &'static str,
    lot: &'static str,
    price_scale: u8,
    max_pos: &'static str,
}

const TAPES: [Tape; 2] = [
    Tape {
        name: "`bitmex`",
        file: "bitmex_2021-07-22_XBTUSD.npz",
        symbol: "XBTUSD",
        base: "XBT",
        tick: "0.5",
        lot: "100",
        price_scale: 1,
        max_pos: "5000",
    },
    Tape {
        name: "`phemex`",
        file: "phemex_2021-07-03_XTZUSD.npz",
        symbol: "XTZUSD",
        base: "XTZ",
        tick: "0.001",
        lot: "1",
        price_scale: 3,
        max_pos: "50",
    },
];

/// The rows of the page's table of results.
fn rows() -> Vec<Vec<String>> {
    let table = PAGE.split("## What came of it").nth(1).expect("the page has its results");
    let table = table.split("\n## ").next().unwrap();
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    table.lines().filter(|line| line.starts_with("| `")).map(cells).collect()
}

/// A count as the page writes it.
fn count(cell: &str) -> i64 {
    cell.replace(',', "").parse().unwrap_or_else(|_| panic!("{cell:?} is no count"))
}

fn instruments(tape: &Tape, folder: &Path) -> PathBuf {
    let file = folder.join("instruments.json");
    let text = format!(
        r#"{{"exchange": "any", "source": "the comparison", "instruments": [{{"symbol": "{}", "pair": "{}-USD",
            "product": {{"kind": "spot"}}, "tick": "{}", "lot": "{lot}", "min_qty": "{lot}",
            "max_qty": "100000000", "min_notional": "0", "price_scale": {}, "qty_scale": 0,
            "maker_fee": "-0.0001", "taker_fee": "0.0005"}}]}}"#,
        tape.symbol,
        tape.base,
        tape.tick,
        tape.price_scale,
        lot = tape.lot,
    );
    std::fs::write(&file, text).unwrap();
    file
}

/// The summary of one run.
fn summary(tape: &Tape, data: &Path, k: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_papertape"));
    command.arg("--data-dir").arg(folder.path().join("data"));
    command.args(["--json", "--quiet", "backtest", "--connector", "bitmart_paper_trade"]);
    command.args(["--pair", &format!("{}-USD", tape.base)]);
    command.arg("--instruments").arg(instruments(tape, folder.path()));
    command.arg("--csv").arg(data);
    command.args(["--strategy", "grid_quoter", "--set", &format!("k={k}")]);
    command.args(["--set", &format!("qty={}", tape.lot), "--set", &format!("max_pos={}", tape.max_pos)]);
    command.args(["--queue", "probabilistic:power=2", "--clock", "exchange", "--latency", "none"]);
    command.args(["--public-market", "tape", "--balance", "USD=1000000000000"]);
    command.args(["--balance", &format!("{}=1000000", tape.base)]);
    let output = command.output().expect("the program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("a summary")
}

#[test]
fn the_recordings_come_out_as_the_page_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/npz");
    if !folder.is_dir() {
        println!("skipped: no recordings in ../shared/data/npz");
        return;
    }
    for tape in &TAPES {
        let rows: Vec<_> = rows().into_iter().filter(|row| row[0] == tape.name).collect();
        assert_eq!(rows.len(), 3, "{} has a row for each k", tape.name);
        for row in rows {
            let found = summary(tape, &folder.join(tape.file), &row[1]);
            let position: i64 = found["position"].as_str().unwrap().parse().unwrap();
            let found = (found["orders_created"].as_i64(), found["fills"].as_i64(), position);
            let stated = (Some(count(&row[2])), Some(count(&row[4])), count(&row[9]));
            assert_eq!(found, stated, "{} with k = {}: orders, fills, position", row[0], row[1]);
        }
    }
}

/// The page's own arithmetic: every fill is matched or counted as one side's, every difference has a class.
#[test]
fn the_counts_of_the_page_add_up() {
    let rows = rows();
    assert_eq!(rows.len(), 8, "the page has eight runs");
    for row in &rows {
        let [here, there, matching, only_here, only_there] = [4, 5, 6, 7, 8].map(|at| count(&row[at]));
        assert_eq!((here, there), (matching + only_here, matching + only_there), "{} k = {}", row[0], row[1]);
    }
    let classes =
        PAGE.split("## Why the others differ").nth(1).unwrap().split("\n**A fill of").next().unwrap();
    let mut sums = (0, 0);
    let mut stated = None;
    for line in classes.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---")) {
        let cells: Vec<&str> =
            line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('*')).collect();
        match cells[0] {
            "class" => {}
            "all" => stated = Some((count(cells[2]), count(cells[3]))),
            _ => sums = (sums.0 + count(cells[2]), sums.1 + count(cells[3])),
        }
    }
    assert_eq!(stated, Some(sums), "the classes add up");
}
