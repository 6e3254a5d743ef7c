//! Reads our own source and keeps the house in order: which room may use which, a front door on every room, no clock
//! in the engine, nothing that panics, nothing of the machine it was written on.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The rooms from the ground up: one may use those before it, never those after it (`docs/architecture.md`).
const ROOMS: [&str; 15] = [
    "market",
    "order",
    "sim",
    "connector",
    "strategy",
    "paper",
    "venue",
    "feed",
    "store",
    "desk",
    "backtest",
    "gateway",
    "shell",
    "lab",
    "commands",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All files under a folder, in a fixed order.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut entries: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for entry in entries {
        let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if entry.is_dir() {
            if !["target", ".git"].contains(&name.as_str()) {
                files(&entry, found);
            }
        } else {
            found.push(entry);
        }
    }
}

struct Source {
    /// Inside `src`, with slashes.
    name: String,
    text: String,
    /// Its parent has it under `#[cfg(test)]`.
    tests_only: bool,
}

impl Source {
    fn all() -> Vec<Self> {
        let folder = root().join("src");
        let mut found = Vec::new();
        files(&folder, &mut found);
        let rust = found.into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "rs"));
        rust.map(|path| Self {
            name: path.strip_prefix(&folder).unwrap().to_string_lossy().replace('\\', "/"),
            text: std::fs::read_to_string(&path).unwrap(),
            tests_only: is_tests_only(&path),
        })
        .collect()
    }

    /// The room that it is in: its folder, or its own name.
    fn room(&self) -> &str {
        let first = self.name.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// The lines that run outside tests, with their numbers; comments left out.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let end = self.text.find("#[cfg(test)]\nmod ").unwrap_or(self.text.len());
        let text = if self.tests_only { "" } else { &self.text[..end] };
        let lines =
            text.lines().enumerate().map(|(at, line)| (at + 1, line.split("//").next().unwrap_or(line)));
        lines.filter(|(_, line)| !line.trim().is_empty())
    }
}

/// Whether a file's room declares it under `#[cfg(test)]`.
fn is_tests_only(path: &Path) -> bool {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let folder = path.parent().unwrap();
    let beside = folder.with_extension("rs");
    let parents = [folder.join("mod.rs"), folder.join("lib.rs"), beside];
    parents.iter().filter_map(|parent| std::fs::read_to_string(parent).ok()).any(|text| {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        lines.windows(2).any(|pair| pair[0] == "#[cfg(test)]" && pair[1].ends_with(&format!("mod {name};")))
    })
}

/// The names that follow `prefix` in a line: `crate::market` and `crate::{market, order}`.
fn names_after<'a>(line: &'a str, prefix: &str) -> Vec<&'a str> {
    let mut names = Vec::new();
    for (at, _) in line.match_indices(prefix) {
        let rest = &line[at + prefix.len()..];
        let word = |text: &'a str| {
            let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
            &text[..end]
        };
        match rest.strip_prefix('{') {
            Some(list) => names.extend(list.split(',').map(|item| word(item.trim()))),
            None => names.push(word(rest)),
        }
    }
    names
}

fn is_word(line: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word)
        .any(|(at, _)| !line[..at].ends_with(part) && !line[at + word.len()..].starts_with(part))
}

/// Debts: a room that uses one below it, until what it needs moves up. Each must be needed; the list only shrinks.
const DEBTS: [(&str, &str); 0] = [];

/// Fails with all that was found.
fn none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

#[test]
fn rooms_use_only_the_rooms_above_them() {
    let (mut found, mut needed) = (Vec::new(), Vec::new());
    for source in Source::all() {
        let Some(own) = ROOMS.iter().position(|room| *room == source.room()) else { continue };
        for (line_number, line) in source.code() {
            for name in names_after(line, "crate::") {
                let other = ROOMS.iter().position(|room| *room == name);
                if DEBTS.contains(&(source.room(), name)) {
                    needed.push((source.room().to_owned(), name.to_owned()));
                } else if other.is_some_and(|other| other > own) {
                    found.push(format!("src/{}:{line_number}: {} uses {name}", source.name, source.room()));
                }
            }
        }
    }
    none("a room uses one below it", &found);
    for (room, other) in DEBTS {
        assert!(
            needed.contains(&(room.into(), other.into())),
            "{room} no longer uses {other}: strike the debt"
        );
    }
}

#[test]
fn no_venue_uses_another_ones_folder() {
    let sources = Source::all();
    let folder = |source: &Source| {
        let mut parts = source.name.split('/');
        let is_venue = parts.next() == Some("venue");
        let name = parts.next().filter(|name| is_venue && !name.ends_with(".rs"))?;
        Some(name.to_owned())
    };
    let mut venues: Vec<String> = sources.iter().filter_map(folder).collect();
    venues.dedup();
    let mut found = Vec::new();
    for source in &sources {
        let Some(own) = folder(source) else { continue };
        for (line_number, line) in source.code() {
            for prefix in ["crate::venue::", "super::super::"] {
                for name in names_after(line, prefix) {
                    if venues.iter().any(|venue| venue == name && *venue != own) {
                        found.push(format!("src/{}:{line_number}: {own} uses {name}", source.name));
                    }
                }
            }
        }
    }
    none("a venue uses another one's folder", &found);
}

#[test]
fn every_room_has_a_front_door() {
    let mut found = Vec::new();
    for source in Source::all() {
        let is_door = source.name.ends_with("mod.rs") || source.name == "lib.rs";
        let opens =
            source.text.starts_with("//! ") && source.text.lines().next().unwrap_or_default().len() > 20;
        if is_door && !opens {
            found.push(format!("src/{}", source.name));
        }
    }
    none("a mod.rs that does not begin with what it is for (`//! …`)", &found);
}

#[test]
fn the_engine_knows_no_clock_no_thread_and_no_random_order() {
    let banned = [
        "Instant",
        "SystemTime",
        "thread",
        "tokio",
        "async",
        "await",
        "HashMap",
        "HashSet",
        "RandomState",
        "fs",
        "net",
        "println",
        "eprintln",
        "static",
    ];
    let mut found = Vec::new();
    for source in Source::all().iter().filter(|source| ["market", "order", "sim"].contains(&source.room())) {
        for (line_number, line) in source.code() {
            let line = line.replace("'static", "");
            for word in banned.iter().filter(|word| is_word(&line, word)) {
                found.push(format!("src/{}:{line_number}: {word}", source.name));
            }
        }
    }
    none("not in market, order or sim", &found);
}

#[test]
fn money_is_never_a_float() {
    let mut found = Vec::new();
    for source in Source::all() {
        if source.name.starts_with("sim/account") {
            for (line_number, line) in
                source.code().filter(|(_, line)| is_word(line, "f64") || is_word(line, "f32"))
            {
                found.push(format!("src/{}:{line_number}: {}", source.name, line.trim()));
            }
        }
    }
    none("a float where money is counted", &found);
}

#[test]
fn nothing_is_left_undone_and_nothing_panics_on_purpose() {
    let banned = ["todo!", "unimplemented!", "dbg!", ".unwrap()", ".expect(\""];
    let mut found = Vec::new();
    for source in Source::all() {
        for (line_number, line) in source.code() {
            for word in banned.iter().filter(|word| line.contains(**word)) {
                found.push(format!("src/{}:{line_number}: {word}", source.name));
            }
        }
    }
    none("outside tests", &found);
}

/// What belongs to the project: git's list, or every file where this is no repository.
fn tracked() -> Vec<PathBuf> {
    let listed = std::process::Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output();
    match listed {
        Ok(output) if output.status.success() && !output.stdout.is_empty() => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            text.split('\0').filter(|name| !name.is_empty()).map(|name| root().join(name)).collect()
        }
        _ => {
            let mut found = Vec::new();
            files(&root(), &mut found);
            found
        }
    }
}

#[test]
fn nothing_of_the_machine_is_in_the_files() {
    // Put together here, so that this file does not hold them.
    let banned = [
        ["/wo", "rk/"],
        ["/ho", "me/"],
        ["/ro", "ot/"],
        ["/Us", "ers/"],
        ["C:\\", "Users"],
        ["/tmp/", "bash"],
        ["registry", "+http://"],
        ["sparse", "+http"],
        ["local-", "registry"],
        ["index-", "url"],
    ]
    .map(|parts| parts.concat());
    let mut found = Vec::new();
    for path in tracked() {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        for (at, line) in text.lines().enumerate() {
            for word in banned.iter().filter(|word| line.contains(word.as_str())) {
                // A path inside an address is no path of a machine.
                let of_address = line.find(word.as_str()).is_some_and(|at| {
                    let before = line[..at].split([' ', '"', '(', '<', '`']).next_back().unwrap_or_default();
                    before.contains("://") || before.contains("www.") || before.contains('.')
                });
                if !of_address {
                    let mut text = path.strip_prefix(root()).unwrap_or(&path).display().to_string();
                    let _ = write!(text, ":{}: {word}", at + 1);
                    found.push(text);
                }
            }
        }
    }
    none("a path or registry of one machine", &found);
}

#[test]
fn dependencies_come_from_the_public_registry() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let sources: Vec<&str> = lock.lines().filter(|line| line.starts_with("source = ")).collect();
    let public = sources.iter().find(|line| line.contains("registry+")).copied().unwrap_or_default();
    let odd: Vec<String> =
        sources.iter().filter(|line| **line != public).map(|line| (*line).to_owned()).collect();
    none("Cargo.lock names another source", &odd);
}

#[test]
fn every_dependency_says_why_it_is_there() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let (mut inside, mut before, mut found) = (false, "", Vec::new());
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.contains("dependencies");
        } else if inside && line.contains(" = ") && !line.starts_with(['#', ' ']) {
            // One reason may stand above a family: `clap` and `clap_complete`.
            let family = |name: &str| name.split([' ', '_', '-']).next().unwrap_or_default().to_owned();
            if !before.starts_with('#') && family(before) != family(line) {
                found.push(line.to_owned());
            }
        }
        before = line;
    }
    none("Cargo.toml does not say why", &found);
}

#[test]
fn the_readers_of_this_file_work() {
    assert_eq!(names_after("use crate::{market, order::Money};", "crate::"), ["market", "order"]);
    assert_eq!(names_after("crate::sim::X and crate::paper", "crate::"), ["sim", "paper"]);
    assert!(is_word("std::collections::HashMap<A, B>", "HashMap") && !is_word("FxHashMap<A, B>", "HashMap"));
}
