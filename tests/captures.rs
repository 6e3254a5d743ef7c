//! Real captures against their ground truth: the book at every checkpoint, trades, checksums; and single real frames.

#![allow(clippy::unwrap_used)] // helpers of tests panic as tests do

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use papertape::feed::inspect::{InspectOptions, inspect};
use papertape::feed::recording::RecordingOptions;
use papertape::market::{EventLog, Timestamp};
use papertape::venue::{Frame, Known};
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

fn look(file: &Path, lines: Option<u64>, connection: Option<u64>) -> Value {
    let reading = RecordingOptions { lines, connection, ..RecordingOptions::default() };
    let options = InspectOptions { reading, depth: 25, ..InspectOptions::default() };
    serde_json::to_value(inspect(file, &options).unwrap()).unwrap()
}

fn names(object: &Value) -> BTreeSet<&String> {
    object.as_object().unwrap().keys().collect()
}

/// The capture at its twenty checkpoints and its end.
fn check(capture: &str) {
    let (Some(file), Some(expected)) = (
        shared(&format!("data/captures/{capture}.jsonl")),
        shared(&format!("data/expected/{capture}.expected.json")),
    ) else {
        return;
    };
    let expected: Value = serde_json::from_str(&std::fs::read_to_string(expected).unwrap()).unwrap();
    let connection = expected["connection_used"].as_u64();
    let checkpoints = expected["checkpoints"].as_array().unwrap();
    assert_eq!(checkpoints.len(), 20);
    for checkpoint in checkpoints {
        let lines = checkpoint["after_line"].as_u64().unwrap();
        let (have, want) = (look(&file, Some(lines), connection), &checkpoint["books"]);
        assert_eq!(names(&have["books"]), names(want), "{capture} after line {lines}");
        for (symbol, want) in want.as_object().unwrap() {
            for key in ["bids", "asks", "bid_levels", "ask_levels"] {
                let have = &have["books"][symbol][key];
                assert_eq!(have, &want[key], "{capture} after line {lines}: {symbol} {key}");
            }
        }
    }
    let end = look(&file, None, connection);
    for count in ["gaps", "checksum_failures", "time_went_back", "errors"] {
        assert_eq!(end[count], 0, "{capture} {count}");
    }
    assert_eq!(names(&end["trades"]), names(&expected["trades"]), "{capture}");
    for (symbol, want) in expected["trades"].as_object().unwrap() {
        for key in ["count", "volume", "buy_volume", "sell_volume", "first_price", "last_price"] {
            assert_eq!(end["trades"][symbol][key], want[key], "{capture}: {symbol} {key}");
        }
    }
}

#[test]
fn hitbtc_v2() {
    check("hitbtc_ws2_20210405_a");
}

#[test]
fn hitbtc_v2_one_of_two_connections() {
    check("hitbtc_ws2_20210715");
}

#[test]
fn hitbtc_v3_of_fmfw() {
    check("fmfw_ws3_20211009_a");
}

#[test]
fn bitget_v1_spot_and_contracts() {
    check("bitget_ws1_20220407_a");
}

/// Every frame of a file, each to a decoder of its own: the lines that are refused, and why.
fn refused(venue: &str, file: &str) -> Option<Vec<(usize, String)>> {
    let text = std::fs::read_to_string(shared(&format!("data/frames/{file}.jsonl"))?).unwrap();
    let venue = papertape::venue::venue(venue).unwrap();
    let known: Vec<_> =
        venue.catalogue().unwrap().entries.into_iter().map(|entry| entry.instrument).collect();
    let mut refused = Vec::new();
    for (line, frame) in text.lines().enumerate() {
        let frame: Value = serde_json::from_str(frame).unwrap();
        if frame["dir"] == "in" {
            let mut decoder = venue.decoder(Known { declared: Vec::new(), others: known.clone() });
            let mut log = EventLog::default();
            let text = Frame::Text(frame["text"].as_str().unwrap());
            if let Err(error) = decoder.decode(Timestamp::from_millis(1_700_000_000_000), text, &mut log) {
                refused.push((line + 1, error.fault));
            }
        }
    }
    Some(refused)
}

fn check_frames(venue: &str, file: &str, want: &[(usize, &str)]) {
    let Some(have) = refused(venue, file) else { return };
    let want: Vec<_> = want.iter().map(|(line, why)| (*line, (*why).to_owned())).collect();
    assert_eq!(have, want, "{file}");
}

#[test]
fn single_frames_of_hitbtc() {
    check_frames("hitbtc", "hitbtc_tardis_samples", &[]);
}

#[test]
fn single_frames_of_bitget() {
    for file in [
        "bitget-v2-futures_tardis_samples",
        "bitget-v2-spot_tardis_samples",
        "bitget-v3-futures_tardis_samples",
        "bitget-v3-spot_tardis_samples",
        "bitget_v2_v3_live_samples",
    ] {
        check_frames("bitget", file, &[]);
    }
    let old = "a frame of the interface before v1 (table), which is not read";
    let rest = "a reply of the REST interface, no frame";
    let want = [6, 11, 12, 13, 14, 15, 16, 17, 18]
        .map(|line| (line, if (11..14).contains(&line) { rest } else { old }));
    check_frames("bitget", "bitget_msg_parser_samples", &want);
}

#[test]
fn phemex_contracts_and_spot() {
    check("phemex_ws_20210703_a");
}

#[test]
fn single_frames_of_phemex() {
    check_frames("phemex", "phemex_hedged_live_samples", &[]);
    let unknown = |symbol: &str| {
        format!(
            "{symbol} its scales are not known: the exchange's list of products must stand beside the tape \
             (<tape>.http.jsonl), or --instruments FILE say them (price_scale, qty_scale)"
        )
    };
    let (link, book, spot, ol) =
        (unknown("LINKUSD: [0]"), unknown("sBTCUSDT:"), unknown("sBTCUSDT: [0]"), unknown("sOLUSDT: [0]"));
    check_frames("phemex", "phemex_tardis_samples", &[(3, &link), (6, &book), (7, &spot), (12, &ol)]);
}

#[test]
fn bitmex_with_its_list_of_instruments() {
    check("bitmex_ws_20210722");
}

#[test]
fn bitmex_without_any_list() {
    check("bitmex_ws_20210405_a");
}

#[test]
fn single_frames_of_bitmarts_futures() {
    check_frames("bitmart", "bitmart_futures_live_samples", &[]);
}

#[test]
fn single_frames_of_bitmex() {
    check_frames("bitmex", "bitmex_tardis_samples", &[]);
    let rest = "a list: a reply of the REST interface, no frame";
    check_frames("bitmex", "bitmex_msg_parser_samples", &[(18, rest)]);
}
