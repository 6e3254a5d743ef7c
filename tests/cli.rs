//! The command line as users and scripts meet it: exit code, stdout, stderr.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails says where")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// One run of the program, with a data folder of its own.
struct Run {
    folder: tempfile::TempDir,
}

impl Run {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_papertape"));
        command.arg("--data-dir").arg(self.folder.path()).args(arguments).current_dir(self.folder.path());
        command.env("COLUMNS", "110").stdin(Stdio::null());
        command
    }

    /// Exit code, stdout and stderr in one text.
    fn show(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let code = output.status.code().unwrap();
        let all =
            format!("exit {code}\n--- stdout\n{}--- stderr\n{}", text(&output.stdout), text(&output.stderr));
        all.replace(self.folder.path().to_str().unwrap(), "DATA")
    }

    fn demo(&self, commands: &str) -> String {
        self.show(&["connect", "bitmart_paper_trade", "--demo", "-c", commands])
    }
}

const MUST_SHOW: &str = "balance; order_book BTC-USDT --lines 3; buy 0.01 BTC-USDT at 1 ticks below best; orders; \
                         step 500; order last; history; balance";

#[test]
fn the_first_session_ends_with_a_fill() {
    let first = Run::new().demo(MUST_SHOW);
    assert_eq!(first, Run::new().demo(MUST_SHOW), "the same bytes twice");
    assert!(first.contains("You are now connected to bitmart_paper_trade."));
    insta::assert_snapshot!(first);
}

#[test]
fn the_same_session_from_standard_input() {
    let run = Run::new();
    let mut command = run.command(&["connect", "bitmart_paper_trade", "--demo"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(MUST_SHOW.replace("; ", "\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(run.demo(MUST_SHOW).contains(&shown));
}

#[test]
fn names_and_options_that_cannot_be_used() {
    let run = Run::new();
    let demo = |more: &[&'static str]| {
        [&["connect", "bitmart_paper_trade", "--demo", "-c", "balance"], more].concat()
    };
    let lines = [
        vec![],
        vec!["bogus"],
        vec!["connect", "bitmart"],
        vec!["connect", "bitget_perpetual_demo", "--demo"],
        vec!["connect", "bitmex_testnet"],
        vec!["connect", "nowhere"],
        vec!["connect", "bitmart_paper_trade", "--ws-url", "http://127.0.0.1", "-c", "balance"],
        demo(&["--queue", "exact"]),
        demo(&["--queue", "sideways"]),
        demo(&["--latency", "fast"]),
        demo(&["--fees", "2,3"]),
        demo(&["--balance", "USDT"]),
        demo(&["--balance", "FOO=1"]),
        demo(&["--pair", "FOO-USDT"]),
        demo(&["--account", "../x"]),
        demo(&["--record", "x"]),
        demo(&["--serve", "x"]),
        demo(&["--live"]),
        vec!["account", "show", "nobody"],
        vec!["account", "list", "--store", "none"],
        vec!["completions", "tcsh"],
    ];
    let shown: Vec<String> =
        lines.iter().map(|line| format!("$ papertape {}\n{}", line.join(" "), run.show(line))).collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn help_texts() {
    let run = Run::new();
    let commands =
        ["connectors", "connect", "backtest", "inspect", "convert", "synth", "account", "completions"];
    let shown: Vec<String> = std::iter::once(run.show(&["--help"]))
        .chain(commands.iter().map(|command| run.show(&[command, "--help"])))
        .collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn an_account_is_kept_between_sessions() {
    let run = Run::new();
    let session = |more: &[&str], commands: &str| {
        let named = ["connect", "bitmart_paper_trade", "--demo", "--account", "kept"];
        run.show(&[&named[..], more, &["-c", commands]].concat())
    };
    let shown = [
        session(&["--balance", "USDT=5000"], "buy 0.01 BTC-USDT at 60000; buy 0.02 BTC-USDT; balance"),
        run.show(&["account", "list"]),
        run.show(&["account", "show", "kept"]),
        run.show(&["account", "export", "kept"]),
        session(&["--balance", "USDT=5000"], "balance"),
        session(&[], "orders; balance"),
        session(&["--pair", "ETH-USDT"], "orders; balance"),
        session(&["--fresh", "--balance", "USDT=7"], "balance"),
        run.show(&["account", "show", "kept", "--json"]),
        run.show(&["account", "reset", "kept"]),
        run.show(&["account", "list", "--json"]),
    ];
    insta::assert_snapshot!(shown.join("\n"));
}

/// A position goes on in the next session, with what was put aside for it; closed, it leaves the file.
#[test]
fn a_position_is_kept_between_sessions() {
    let run = Run::new();
    let session = |more: &[&str], commands: &str| {
        let named = [
            "connect",
            "bitmex_perpetual_paper_trade",
            "--synth",
            "7",
            "--account",
            "kept",
            "--pair",
            "XBT-USD",
        ];
        run.show(&[&named[..], more, &["-c", commands]].concat())
    };
    let file = run.folder.path().join("accounts/bitmex_perpetual_paper_trade/kept.json");
    let kept = || {
        let text = std::fs::read_to_string(&file).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()
    };
    let opened = session(
        &["--balance", "XBT=1"],
        "leverage XBT-USD 10 isolated; buy 1000 XBT-USD market; step 2s; sell 500 XBT-USD at 90000 close; step 2s",
    );
    assert!(opened.starts_with("exit 0"), "{opened}");
    let first = kept();
    let position = &first["positions"][0];
    assert_eq!(
        (&position["amount"], &position["margin"], &position["leverage"]),
        (&"1000".into(), &"isolated".into(), &"10".into()),
        "{first}"
    );
    assert_eq!(first["open_orders"][0]["effect"], "close");
    // Another session: the position is there, its margin is put aside, and the order that closes rejoins.
    let next = session(&[], "positions; orders");
    assert!(next.contains("positions of the last session that go on"), "{next}");
    assert!(next.contains("rejoin at the back of their queues: 1"), "{next}");
    let second = kept();
    assert_eq!(second["positions"], first["positions"]);
    assert_eq!(second["held"]["XBT"], position["assigned"]);
    // A pair that is not here: it stays in the file.
    let other = run.show(&[
        "connect",
        "bitmex_perpetual_paper_trade",
        "--synth",
        "7",
        "--account",
        "kept",
        "--pair",
        "XBT-USDT",
        "-c",
        "positions",
    ]);
    assert!(other.contains("positions in pairs that are not here"), "{other}");
    assert_eq!(kept()["positions"], first["positions"]);
    // It is closed by an order that could not be one without it.
    let closed = session(&[], "sell 1000 XBT-USD market close; step 2s");
    assert!(closed.starts_with("exit 0"), "{closed}");
    assert_eq!(kept()["positions"], serde_json::Value::Null, "{closed}");
    // What makes no sense is named, and left alone.
    let text = std::fs::read_to_string(&file).unwrap();
    let odd = first["positions"].to_string().replace("\"1000\"", "\"-1000\"");
    std::fs::write(&file, text.replacen("\"fills\"", &format!("\"positions\": {odd}, \"fills\""), 1))
        .unwrap();
    let odd = session(&[], "positions");
    assert!(odd.contains("the position in XBT-USD cannot go on here"), "{odd}");
}

#[test]
fn a_damaged_account_is_named_and_left_alone() {
    let run = Run::new();
    let file = run.folder.path().join("accounts/bitmart_paper_trade/kept.json");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, "{\"format\": \"paper").unwrap();
    for more in [&[][..], &["--fresh"]] {
        let line =
            [&["connect", "bitmart_paper_trade", "--demo", "--account", "kept", "-c", "balance"][..], more];
        let shown = run.show(&line.concat());
        assert!(shown.starts_with("exit 1") && shown.contains("kept.json: not a paper account"), "{shown}");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "{\"format\": \"paper");
}

#[test]
fn a_script_on_recorded_data_leaves_nothing_behind() {
    let run = Run::new();
    run.demo("buy 0.01 BTC-USDT");
    assert_eq!(std::fs::read_dir(run.folder.path()).unwrap().count(), 0);
}

#[test]
fn exports_are_tables() {
    let run = Run::new();
    let commands = "buy 0.01 BTC-USDT; sell 0.004 BTC-USDT at best; cancel 2; buy 9 BTC-USDT; export trades t; \
                    export orders o.csv; export ledger l.csv; export trades t";
    let session = run.demo(commands);
    let read = |name: &str| std::fs::read_to_string(run.folder.path().join(name)).unwrap();
    insta::assert_snapshot!(format!("{session}\n{}\n{}\n{}", read("t.csv"), read("o.csv"), read("l.csv")));
}

#[test]
fn settings_are_read_and_written() {
    let run = Run::new();
    let config = run.folder.path().join("conf.toml");
    let text = "bitmart_taker_percent_fee = 0.1\n[paper_trade.paper_trade_account_balance]\nBTC = 3\n";
    std::fs::write(&config, text).unwrap();
    let with = |commands: &str| {
        let config = config.to_str().unwrap();
        run.show(&["--config", config, "connect", "bitmart_paper_trade", "--demo", "-c", commands])
    };
    insta::assert_snapshot!(
        [with("balance; fees; balance paper ETH 0.5"), with("balance; balance paper")].join("\n")
    );
}

#[test]
fn hummingbots_profile_keeps_market_orders_back() {
    let line = ["connect", "bitmart_paper_trade", "--demo", "--profile", "hummingbot"];
    let shown = Run::new().show(&[&line[..], &["-c", "buy 0.01 BTC-USDT; order 1; fees; status"]].concat());
    insta::assert_snapshot!(shown);
}

#[test]
fn a_closed_pipe_is_no_error() {
    let run = Run::new();
    let commands = "order_book --lines 50;".repeat(2_000);
    let mut command = run.command(&["connect", "bitmart_paper_trade", "--demo", "-c", &commands]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn completions_are_printed() {
    let run = Run::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let shown = run.show(&["completions", shell]);
        assert!(shown.starts_with("exit 0") && shown.contains("papertape"), "{shell}");
    }
}

/// A real market, borrowed: Binance's book of five minutes under BitMart's rules. The data lies beside the
/// repository; where it does not, there is nothing to test.
#[test]
fn a_real_book_is_walked_and_queued_in() {
    let above =
        Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|folder| folder.join("shared/data/csv"));
    let Some(folder) = above.into_iter().find(|folder| folder.exists()) else { return };
    let [book, trades] = ["incremental_book_L2", "trades"]
        .map(|kind| folder.join(format!("binance_{kind}_2024-08-08_ETHUSDT.csv.gz")));
    let files = ["--csv", book.to_str().unwrap(), "--csv", trades.to_str().unwrap(), "--pair", "ETH-USDT"];
    let commands = "balance; order_book ETH-USDT --lines 3; buy 35 ETH-USDT; order last; step 48s; \
                    sell 0.5 ETH-USDT at best; orders; wait last 60s; order last; history; balance; run";
    let line = [&["connect", "bitmart_paper_trade"][..], &files, &["-c", commands]].concat();
    let shown = Run::new().show(&line);
    assert_eq!(shown, Run::new().show(&line));
    insta::assert_snapshot!(shown);
}

#[test]
fn what_nobody_was_told_of_is_written_down_all_the_same() {
    let run = Run::new();
    let line = ["connect", "bitmart_paper_trade", "--demo", "--account", "a", "--latency", "5000"];
    // The answer would take ten seconds; the session ends before.
    run.show(&[&line[..], &["-c", "buy 0.01 BTC-USDT at best; step 6s; amend 1 amount 0.02; exit"]].concat());
    let shown = run.show(&["account", "show", "a"]);
    assert!(shown.contains("open: buy 0.02 BTC-USDT") || shown.contains("1 fills"), "{shown}");
}

#[test]
fn a_loop_has_no_end() {
    let run = Run::new();
    let line = ["connect", "bitmart_paper_trade", "--demo", "--loop", "-v", "-c", "run; step 2h"];
    let shown = run.show(&line);
    assert!(shown.contains("no end") && shown.contains("feed: messages"), "{shown}");
}

/// Funding comes again for ever: it must not keep a market going that has ended.
#[test]
fn a_perpetuals_tape_ends() {
    let run = Run::new();
    let commands = "buy 100 XBT-USD at 20000; buy 1000 XBT-USD market; run; wait 1; step 1; status";
    let said =
        run.show(&["connect", "bitmex_perpetual_paper_trade", "--demo", "--pair", "XBT-USD", "-c", commands]);
    assert!(said.contains("end of tape; order 1 is not done"), "{said}");
    let time = said.lines().rfind(|line| line.trim_start().starts_with("time ")).unwrap_or_default();
    assert!(time.contains("2026-01-05 00:59:59") || time.contains("2026-01-05 01:00:00"), "{time}");
}

/// What a contract earned is in what it settles in, with the fees of both ways.
#[test]
fn history_reckons_contracts_in_what_they_settle_in() {
    let run = Run::new();
    let commands = "buy 1000 XBT-USD market; step 200; sell 1000 XBT-USD market close; history; balance";
    let connector = ["connect", "bitmex_perpetual_paper_trade", "--demo", "--pair", "XBT-USD"];
    let said = run.show(&[&connector[..], &["--balance", "XBT=1", "-c", commands]].concat());
    let line = |name: &str| said.lines().find(|line| line.trim_start().starts_with(name)).unwrap_or_default();
    let amount = |name: &str| -> rust_decimal::Decimal {
        line(name).split_whitespace().rev().nth(1).and_then(|word| word.parse().ok()).expect(name)
    };
    assert!(line("Total P&L").ends_with(" XBT"), "{said}");
    assert_eq!(amount("Total P&L"), amount("Trade P&L") - amount("Fees paid"), "{said}");
    let left = line("XBT 0.99").split_whitespace().nth(1).and_then(|word| word.parse().ok());
    assert_eq!(left, Some(rust_decimal::Decimal::ONE + amount("Total P&L")), "{said}");
}

#[test]
fn a_port_that_is_taken_is_named_with_what_to_try() {
    let run = Run::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for arguments in [
        &["serve", "bitmart_paper_trade", "--demo", "--listen", &address][..],
        &["connect", "bitmart_paper_trade", "--demo", "--serve", &address, "-c", "balance"],
    ] {
        let said = run.show(arguments);
        let why = said.contains(&address) && said.contains("try another port (0 takes a free one)");
        assert!(said.starts_with("exit 1") && why, "{said}");
    }
}

/// What a session says, one object a line.
fn lines(said: &str) -> Vec<serde_json::Value> {
    let objects = said.lines().filter(|line| line.starts_with('{'));
    objects.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The answer to the command, of those that begin so, with that number from 0.
fn answer<'a>(said: &'a [serde_json::Value], command: &str, at: usize) -> &'a serde_json::Value {
    let mut found =
        said.iter().filter(|line| line["command"].as_str().is_some_and(|c| c.starts_with(command)));
    found.nth(at).unwrap_or_else(|| panic!("{command} {at}"))
}

fn number(value: &serde_json::Value) -> rust_decimal::Decimal {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{value} is no number"))
}

/// Each figure of a session on BitMart's contracts, recomputed from what was paid as bitmart §12.3 says: fees 0.06 % of
/// the notional, margin notional/leverage, liquidation of an isolated long at (Hp·Q − (IM − MM)) / ((1 − R)·Q) with
/// MMR 0.005, Q contracts × 0.001.
#[test]
fn a_session_on_bitmarts_contracts_is_what_its_page_says() {
    let run = Run::new();
    let ledger = run.folder.path().join("ledger.csv");
    let commands = format!(
        "leverage BTC-USDT 10 isolated; buy 5 BTC-USDT market open; positions; funding; balance; step 200; positions; \
         sell 5 BTC-USDT market close; positions; history; balance; export ledger {}",
        ledger.display()
    );
    let connect = ["connect", "bitmart_perpetual_paper_trade", "--demo", "--pair", "BTC-USDT"];
    let said = run.show(&[&connect[..], &["--balance", "USDT=1000", "--json", "-c", &commands]].concat());
    assert!(said.starts_with("exit 0"), "{said}");
    let said = lines(&said);
    let of = |command: &str, at: usize| answer(&said, command, at);
    let dec = |text: &str| text.parse::<rust_decimal::Decimal>().unwrap();
    let (bought, sold) =
        (number(&of("buy", 0)["order"]["avg_price"]), number(&of("sell", 0)["order"]["avg_price"]));
    let base = dec("5") * dec("0.001");
    let (worth, got) = (bought * base, sold * base);
    let (paid, fee) = (worth * dec("0.0006"), got * dec("0.0006"));
    for at in 0..2 {
        let position = &of("positions", at)["positions"][0];
        let mark = number(&position["mark_price"]);
        let (margin, maintenance) = (worth / dec("10"), worth * dec("0.005"));
        let liquidation = (worth - (margin - maintenance)) / ((dec("1") - dec("0.0006")) * base);
        for (field, want) in [
            ("entry_price", bought),
            ("cost", worth),
            ("value", mark * base),
            ("margin", margin),
            ("unrealised_pnl", (mark - bought) * base),
            ("fees", paid),
            ("liquidation_price", liquidation),
            ("bankruptcy_price", bought * dec("0.9")),
        ] {
            let away = (number(&position[field]) - want).abs();
            // Money is exact, prices have as many decimals as a contract's worth of the smallest unit gives.
            let within = if field.ends_with("_price") { dec("0.000001") } else { dec("0.00000001") };
            assert!(away < within, "{field} of {position} is not {want}");
        }
        assert_eq!((&position["side"], &position["leverage"]), (&"long".into(), &"10".into()));
    }
    let balance = |at: usize, what: &str| number(&of("balance", at)["balances"][0][what]);
    assert_eq!(balance(0, "total"), dec("1000") - paid);
    assert_eq!(balance(0, "available"), dec("1000") - paid - worth / dec("10"));
    let end = dec("1000") - paid - fee + got - worth;
    assert_eq!((balance(1, "total"), balance(1, "available")), (end, end));
    assert_eq!(of("positions", 2)["positions"], serde_json::json!([]));
    assert_eq!(of("funding", 0)["next_funding"], "2026-01-05T08:00:00Z");
    let history = &of("history", 0)["pairs"][0];
    assert_eq!(number(&history["trade_pnl"]), got - worth);
    assert_eq!(number(&history["fees"]["USDT"]), paid + fee);
    assert_eq!(number(&history["total_pnl"]), end - dec("1000"));
    let rows = std::fs::read_to_string(ledger).unwrap();
    let amounts = rows
        .lines()
        .skip(1)
        .map(|row| row.split(',').nth(6).unwrap().parse::<rust_decimal::Decimal>().unwrap());
    assert_eq!(amounts.sum::<rust_decimal::Decimal>(), end, "the rows sum to the balance");
}

/// Bitget's contracts on USD in a session: everything is in the coin (the figures are those of bitget §12, each divided
/// by the index, which the demo market tells with its mark).
#[test]
fn bitgets_contracts_on_usd_settle_in_their_coin() {
    let run = Run::new();
    let commands = "leverage BTC-USD 20 isolated; step 200; buy 0.5 BTC-USD market; funding; positions; fees; balance; \
                    step 200; sell all BTC-USD close; balance; history; ticker ETH-USD";
    let connect =
        ["connect", "bitget_perpetual_paper_trade", "--demo", "--pair", "BTC-USD", "--pair", "ETH-USD"];
    // Without latency the index that is shown is the one that the fill was settled at.
    let options = ["--balance", "BTC=0.1", "--latency", "none", "--json", "-c", commands];
    let said = run.show(&[&connect[..], &options].concat());
    assert!(said.starts_with("exit 0"), "{said}");
    let said = lines(&said);
    let of = |command: &str, at: usize| answer(&said, command, at);
    let dec = |text: &str| text.parse::<rust_decimal::Decimal>().unwrap();
    let near = |found: &serde_json::Value, want: rust_decimal::Decimal| {
        // The walk over a few prices rounds once at each.
        assert!((number(found) - want).abs() <= dec("0.0000001"), "{found} is not {want}");
    };
    let (index, bought) =
        (number(&of("funding", 0)["index_price"]), number(&of("buy", 0)["order"]["avg_price"]));
    let position = &of("positions", 0)["positions"][0];
    assert_eq!((&position["settle"], &position["amount"]), (&"BTC".into(), &"0.5".into()));
    assert_eq!((number(&position["cost"]), &position["cost_asset"]), (bought / dec("2"), &"USD".into()));
    near(&position["margin"], bought / dec("40") / index);
    near(&position["fees"], bought / dec("2") * dec("0.0006") / index);
    near(&position["unrealised_pnl"], (number(&position["mark_price"]) - bought) / dec("2") / index);
    assert_eq!(of("fees", 0)["fees"][0]["buy_fee_asset"], "BTC");
    let balance = |at: usize| &of("balance", at)["balances"];
    let coin = |at: usize| {
        let rows = balance(at).as_array().unwrap();
        number(&rows.iter().find(|row| row["asset"] == "BTC").expect("BTC")["total"])
    };
    assert_eq!(coin(0), dec("0.1") - number(&position["fees"]));
    let history = &of("history", 0)["pairs"][0];
    assert_eq!((&history["asset"], number(&history["total_pnl"])), (&"BTC".into(), coin(1) - dec("0.1")));
    assert!(coin(1) > dec("0.099") && coin(1) < dec("0.101"), "{}", coin(1));
}

/// A long and a short of one contract, held apart: each pays its fees and gains for itself. What says neither `open` nor
/// `close` opens.
#[test]
fn in_hedge_mode_an_order_opens_unless_it_says_close() {
    let run = Run::new();
    let commands = "position_mode hedge; leverage BTC-USDT 10; buy 0.2 BTC-USDT market; sell 0.1 BTC-USDT market; \
                    positions; sell 0.2 BTC-USDT market close; positions; buy 0.1 BTC-USDT market close; positions; \
                    sell 0.1 BTC-USDT market close; history; balance";
    let said = run.show(&[
        "connect",
        "bitget_perpetual_paper_trade",
        "--demo",
        "--balance",
        "USDT=10000",
        "--json",
        "-c",
        commands,
    ]);
    // There is nothing to close any more when the last is sent.
    assert!(said.starts_with("exit 1"), "{said}");
    let said = lines(&said);
    let held = |at: usize| {
        let rows = answer(&said, "positions", at)["positions"].as_array().unwrap().clone();
        rows.iter().map(|row| (row["side"].clone(), row["amount"].clone())).collect::<Vec<_>>()
    };
    let (long, short) = (("long".into(), "0.2".into()), ("short".into(), "-0.1".into()));
    assert_eq!(held(0), [long, short.clone()]);
    assert_eq!(held(1), [short]);
    assert_eq!(held(2), []);
    let price = |command: &str, at: usize| number(&answer(&said, command, at)["order"]["avg_price"]);
    let dec = |text: &str| text.parse::<rust_decimal::Decimal>().unwrap();
    let (bought, sold) = (price("buy", 0) * dec("0.2"), price("sell", 0) * dec("0.1"));
    let (sold_out, bought_back) = (price("sell", 1) * dec("0.2"), price("buy", 1) * dec("0.1"));
    let gained = sold_out - bought + sold - bought_back;
    let fees = (bought + sold + sold_out + bought_back) * dec("0.0006");
    let history = &answer(&said, "history", 0)["pairs"][0];
    // A fee is rounded at each of the prices that a market order walks.
    assert!((number(&history["total_pnl"]) - (gained - fees)).abs() < dec("0.000001"), "{history}");
    let left = &answer(&said, "balance", 0)["balances"][0];
    assert_eq!(number(&left["total"]), dec("10000") + number(&history["total_pnl"]));
    assert_eq!(left["total"], left["available"]);
}

/// The words of orders that few venues have: `show`, `trail`, `all … close`.
#[test]
fn few_orders_have_words_of_their_own() {
    let run = Run::new();
    let commands = "buy 1000 XBT-USD at best-5 show 300; amend last amount 800; buy 2000 XBT-USD market; \
                    sell 1000 XBT-USD trail 50 by mark close; sell all XBT-USD close stop 40000 by mark; orders; \
                    sell all XBT-USD close; positions; sell 100 XBT-USD trail 5 by index; sell all XBT-USD; \
                    sell 100 XBT-USD show 100";
    let connect =
        ["connect", "bitmex_perpetual_paper_trade", "--demo", "--pair", "XBT-USD", "--balance", "XBT=1"];
    let said = run.show(&[&connect[..], &["-c", commands]].concat());
    for words in [
        "limit gtc, show 300\n  open, ",
        "Order 1: amended, its place in the queue kept",
        "market, trail 50 by mark (now ",
        "market, stop 40000 by mark, all ",
        "Order 5: sell all XBT-USD, market\n  filled 2000 contracts at ",
        "No positions.",
        "error: trail: XBT-USD has no index price yet; `step 1s` until it has, or trail by another",
        "error: all is the whole position: add `close`",
        "error: a market order does not rest, so there is nothing to hide: give `at` with `show`",
        "exit 1",
    ] {
        assert!(said.contains(words), "{words:?} is not in\n{said}");
    }
    let said = run.show(&[&connect[..], &["-c", "sell 5 XBT-USD trail 1%"]].concat());
    let words = "error: trail: at bitmex_perpetual_paper_trade a stop trails by a distance, `trail D`";
    assert!(said.contains(words), "{said}");
    // Kept between sessions: what is hidden stays hidden, what follows goes on.
    let keep = [&connect[..5], &["--account", "kept", "-c"]].concat();
    let first = "buy 1000 XBT-USD at 20000 show 300; buy 2000 XBT-USD market; step 1s; \
                 sell 1000 XBT-USD trail 5000 by mark close; sell all XBT-USD close stop 20000; \
                 sell 100 XBT-USD close stop 15000 by last_near_mark";
    let said = run.show(&[&keep[..], &[first]].concat());
    assert!(said.starts_with("exit 0"), "{said}");
    let again = run.show(&[&keep[..], &["orders"]].concat());
    for words in
        ["limit gtc, show 300", "trail 5000 by mark (now ", "stop 20000, all", "stop 15000 by last_near_mark"]
    {
        assert!(again.contains(words), "{words:?} is not in\n{again}");
    }
}

/// BitMart's trailing orders: a share of the price, from once a price has been reached. They are kept between sessions.
#[test]
fn a_share_of_the_price_trails() {
    let run = Run::new();
    let connect = ["connect", "bitmart_perpetual_paper_trade", "--demo", "--pair", "BTC-USDT"];
    let refused = "buy 5 BTC-USDT at best show 1; sell 5 BTC-USDT trail 5; sell 5 BTC-USDT trail 6%; \
                   sell 5 BTC-USDT stop 9 by last_near_mark";
    let said = run.show(&[&connect[..], &["-c", refused]].concat());
    for words in [
        "error: show: bitmart_perpetual_paper_trade has no iceberg orders",
        "error: trail: at bitmart_perpetual_paper_trade a stop trails by a share of the price, `trail 1%`",
        "error: by last_near_mark: bitmart_perpetual_paper_trade has no such trigger; use `by last` or `by mark`",
        "error: trail 6%: bitmart_perpetual_paper_trade trails by 0.1% to 5%",
    ] {
        assert!(said.contains(words), "{words:?} is not in\n{said}");
    }
    let keep = [&connect[..], &["--account", "kept", "-c"]].concat();
    let first = "buy 200 BTC-USDT market; sell 100 BTC-USDT trail 0.2% close; \
                 sell 100 BTC-USDT trail 1% from 90000 by mark close; step 1m; orders; order 2";
    let said = run.show(&[&keep[..], &[first]].concat());
    for words in [
        "exit 0",
        "market, trail 0.2% (now ",
        "market, trail 1% from 90000 by mark ",
        "its trigger moved to ",
    ] {
        assert!(said.contains(words), "{words:?} is not in\n{said}");
    }
    let again = run.show(&[&keep[..], &["orders; step 1h; orders all"]].concat());
    for words in ["exit 0", "market, trail 0.2%", "trail 1% from 90000 by mark", " is filled: 100 contracts."]
    {
        assert!(again.contains(words), "{words:?} is not in\n{again}");
    }
}

#[test]
fn bitmarts_perpetuals_open_beside_its_spot_market() {
    let run = Run::new();
    let commands = "ticker bitmart_perpetual:BTC-USDT; step 30s; trades bitmart_perpetual:ETH-USDT; \
                    rules BTC-USDT; bitmart_perpetual: rules; balance; buy 0.1 BTC-USDT; buy 1 bitmart_perpetual:BTC-USDT; \
                    bitmart_perpetual: positions; positions; leverage ETH-USDT 5; funding BTC-USDT; orders; history; status; \
                    bitmart_perpetual: run";
    let connect = ["connect", "bitmart_paper_trade", "--demo", "-c", commands];
    let said = run.show(&connect);
    for words in [
        "beside   bitmart_perpetual:BTC-USDT, bitmart_perpetual:ETH-USDT, account default",
        "Market: bitmart_perpetual_paper_trade BTC-USDT",
        "contracts | catalogue",
        "bitmart_perpetual_paper_trade:",
        "filled 0.1 BTC at",
        "filled 1 contracts at",
        "BTC-USDT  long  1 contracts",
        "Leverage of ETH-USDT: 5x",
        "Funding of BTC-USDT:",
        "\nbitmart_perpetual:\nNo open orders.",
        "bitmart_perpetual_paper_trade / BTC-USDT",
        "run: both markets have one time; say it without the market's name",
        "exit 1",
    ] {
        assert!(said.contains(words), "{words:?} is not in\n{said}");
    }
    // With its name or without, positions are those of the contracts; `status` lists them too.
    assert_eq!(said.matches("BTC-USDT  long  1 contracts").count(), 3, "{said}");
    // The market beside has followed to the time of the first.
    assert!(said.contains("  00:00:29.") || said.contains("  00:00:30."), "{said}");
    assert_eq!(said.matches("Exchanges Total: $ ").count(), 1, "{said}");
    assert_eq!(said, run.show(&connect), "the same bytes each time");
    // Where the sources hold no contracts, there is nothing beside; other connectors have none.
    let tape = run.folder.path().join("spot.jsonl").display().to_string();
    let pair = ["--connector", "bitmart_paper_trade", "--pair", "BTC-USDT", "--events", "200"];
    run.show(&[&["synth"][..], &pair, &["--out", &tape]].concat());
    let alone =
        run.show(&["connect", "bitmart_paper_trade", "--tape", &tape, "--balance", "BTC=1", "-c", "balance"]);
    assert!(alone.starts_with("exit 0") && !alone.contains("perpetual"), "{alone}");
    let other = run.show(&["connect", "hitbtc_paper_trade", "--demo", "-c", "balance"]);
    assert!(other.starts_with("exit 0") && !other.contains("beside"), "{other}");
}
