//! `serve`: the gateway. Clients of real exchanges trade on paper by changing one address.

use std::cell::RefCell;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rust_decimal::Decimal;
use serde_json::Value;
use smol_str::SmolStr;

use super::Done;
use crate::cli::Global;
use crate::desk::options::SimArgs;
use crate::desk::serve::Served;
use crate::desk::{AccountArgs, Desk, DeskError};
use crate::feed::open::SourceArgs;
use crate::gateway::clock::Clock;
use crate::gateway::hall::Hall;
use crate::gateway::{Gateway, Listen, Serving, wall};
use crate::market::{Asset, parse_duration};
use crate::paper::{Pace, PaperHandle};
use crate::venue::api::{Access, Key, Window};

/// Serve exchanges' own REST and WebSocket interfaces on paper, for bots and their libraries
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The connectors, as in bitmart_paper_trade (`papertape connectors` lists them)
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// Listen here; other addresses than this machine's own are open to everybody who reaches them
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8000")]
    listen: SocketAddr,
    /// Give each exchange a port of its own too, counted up from the listen port
    #[arg(long)]
    port_per_venue: bool,
    /// How fast the market plays: a factor, or max
    #[arg(long, value_name = "N|max", default_value = "1")]
    speed: Pace,
    /// Begin with the clock standing still: it moves by the control interface (lock-step)
    #[arg(long)]
    paused: bool,
    /// Leave the market at its own times instead of moving it to now
    #[arg(long)]
    keep_time: bool,
    /// Encrypt, with a certificate made on the spot
    #[arg(long)]
    tls: bool,
    /// What opens the control interface [default: a new one, printed]
    #[arg(long, value_name = "TOKEN")]
    admin_token: Option<String>,
    #[command(flatten, next_help_heading = "Keys")]
    keys: KeyArgs,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten, next_help_heading = "Simulation")]
    sim: SimArgs,
}

/// Options of keys and accounts.
#[derive(Debug, clap::Args)]
struct KeyArgs {
    /// An account of its own for a --key (repeatable, in their order); named accounts are kept [default: default]
    #[arg(long, value_name = "NAME")]
    account: Vec<String>,
    /// A key (repeatable) [default: paper-key]
    #[arg(long, value_name = "KEY")]
    key: Vec<String>,
    /// The secret of a --key (repeatable, in their order) [default: paper-secret]
    #[arg(long, value_name = "SECRET")]
    secret: Vec<String>,
    /// The passphrase of a --key; BitMart's memo (repeatable, in their order) [default: paper-memo]
    #[arg(long, value_name = "P")]
    passphrase: Vec<String>,
    /// Each account starts with this much of an asset (repeatable)
    #[arg(long = "balance", value_name = "ASSET=AMOUNT", value_parser = crate::desk::account_balance)]
    balances: Vec<(Asset, Decimal)>,
    /// Start the accounts anew
    #[arg(long)]
    fresh: bool,
    /// Check no keys and no signatures
    #[arg(long)]
    no_auth: bool,
    /// How old a signed request may be: seconds, or off [default: as the exchange has it]
    #[arg(long, value_name = "S|off", value_parser = window)]
    auth_window: Option<Window>,
    /// Whether the exchange's rate limits hold
    #[arg(long, value_name = "off|venue", default_value = "venue", value_parser = ["off", "venue"])]
    rate_limits: String,
}

fn window(text: &str) -> Result<Window, String> {
    match text {
        "off" => Ok(Window::Off),
        text => {
            let window = parse_duration(text).filter(|window| !window.is_zero());
            window.map(Window::Within).ok_or_else(|| format!("{text:?}: seconds, or off"))
        }
    }
}

/// The key that is there where none is named.
pub(super) const KEY: [&str; 3] = ["paper-key", "paper-secret", "paper-memo"];

impl KeyArgs {
    /// The accounts' names, and the keys with the account of each.
    fn read(&self) -> Result<(Vec<SmolStr>, Vec<Key>), DeskError> {
        let usage = |text: &str| Err(DeskError::usage(text.to_owned()));
        if self.key.is_empty() {
            if !self.secret.is_empty() || !self.passphrase.is_empty() {
                return usage("--secret and --passphrase are for a --key");
            }
            return Ok(self.made());
        }
        if self.secret.len() != self.key.len() {
            return usage("each --key needs its --secret");
        }
        if self.passphrase.len() > self.key.len() {
            return usage("there are more --passphrase than --key");
        }
        // The first key may do without an account.
        let mut names: Vec<&str> = self.account.iter().map(String::as_str).collect();
        match self.key.len().checked_sub(names.len()) {
            Some(0) => {}
            Some(1) => names.insert(0, "default"),
            _ => return usage("each --key but the first needs its --account"),
        }
        let (mut accounts, mut keys): (Vec<SmolStr>, Vec<Key>) = (Vec::new(), Vec::new());
        for (at, name) in names.into_iter().enumerate() {
            if keys.iter().any(|key| key.key == self.key[at]) {
                return usage("a --key is there twice");
            }
            let account = accounts.iter().position(|known| known == name).unwrap_or_else(|| {
                accounts.push(name.into());
                accounts.len() - 1
            });
            let passphrase = self.passphrase.get(at).cloned().unwrap_or_default();
            keys.push(Key {
                key: self.key[at].clone(),
                secret: self.secret[at].clone(),
                passphrase,
                account,
            });
        }
        Ok((accounts, keys))
    }

    /// Keys that are made up: the usual one for the first account, others by the account's name.
    fn made(&self) -> (Vec<SmolStr>, Vec<Key>) {
        let mut accounts: Vec<SmolStr> = Vec::new();
        for name in &self.account {
            if !accounts.iter().any(|known| known == name) {
                accounts.push(name.into());
            }
        }
        if accounts.is_empty() {
            accounts.push("default".into());
        }
        let key = |(account, name): (usize, &SmolStr)| {
            let [key, secret, passphrase] = KEY.map(|part| match account {
                0 => part.to_owned(),
                _ => format!("{name}-{part}"),
            });
            Key { key, secret, passphrase, account }
        };
        let keys = accounts.iter().enumerate().map(key).collect();
        (accounts, keys)
    }
}

/// Opens the exchanges and serves them until Ctrl-C.
pub fn run(args: &Args, global: &Global, out: &mut dyn Write) -> Done {
    let (accounts, keys) = args.keys.read()?;
    args.check_live()?;
    let source = SourceArgs {
        several: args.names.len() > 1,
        real_time: true,
        // A platform without a data folder asks for lists each time.
        lists: global.data().ok().map(|data| data.join("instruments")),
        ..args.source.clone()
    };
    let desk = Desk {
        source,
        sim: SimArgs {
            // The wire has its own latency.
            latency: args.sim.latency.clone().or_else(|| Some("none".to_owned())),
            ..args.sim.clone()
        },
        account: AccountArgs {
            account: args.keys.account.first().cloned(),
            balances: args.keys.balances.clone(),
            fresh: args.keys.fresh,
        },
        store: global.store(),
        settings: global.settings()?,
        scripted: true,
        record: None,
        warnings: RefCell::default(),
    };
    let moved_to = (!args.keep_time).then(wall);
    let served = desk.serve(&args.names, &accounts, moved_to)?;
    let papers: Vec<PaperHandle> = served.iter().map(|served| served.paper.clone()).collect();
    let halls = args.halls(served, &keys, global)?;
    let token = args.admin_token.clone().map_or_else(new_token, Ok)?;
    let clock = args.clock(&halls);
    let gateway = Gateway::new(halls, clock, token);
    let listen = Listen { address: args.listen, port_per_venue: args.port_per_venue, tls: args.tls };
    let serving = Serving::bind(Arc::new(gateway), listen)?;
    if !args.listen.ip().is_loopback() {
        global.say(&format!("warning: {} is open to everybody who reaches this machine", args.listen));
    }
    let table = serving.table();
    if global.json {
        writeln!(out, "{table}")?;
    } else {
        show(&table, out)?;
    }
    out.flush()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(serving.run(ended()));
    // A step that still plays is not waited for.
    runtime.shutdown_timeout(Duration::from_secs(1));
    for paper in papers {
        paper.lock().commit()?;
    }
    for warnings in desk.warnings.borrow().iter() {
        warnings.first().iter().for_each(|words| global.say(&format!("warning: {words}")));
    }
    Ok(served?)
}

impl Args {
    /// A live market has its own times and its own speed.
    fn check_live(&self) -> Result<(), DeskError> {
        let clock = [
            (self.paused, "--paused"),
            (self.speed != Pace::REAL, "--speed"),
            (self.keep_time, "--keep-time"),
        ];
        let clock = clock.into_iter().find(|(given, _)| *given).filter(|_| self.source.is_live());
        clock.map_or(Ok(()), |(_, option)| {
            let why = "is for recorded and made markets; a live one plays as it comes";
            Err(DeskError::usage(format!("{option} {why} (try --demo, --synth SEED or --tape FILE)")))
        })
    }

    /// A market that was moved to now makes up for the time that opening it took.
    fn clock(&self, halls: &[Hall]) -> Clock {
        if self.source.is_live() {
            return Clock::live();
        }
        let clock = Clock::new(self.speed, self.paused);
        if self.paused || self.keep_time {
            return clock;
        }
        let late = halls.first().map_or(0, |hall| wall().nanos_since(hall.opened));
        clock.behind(Duration::from_nanos(u64::try_from(late).unwrap_or(0)))
    }

    fn halls(&self, served: Vec<Served>, keys: &[Key], global: &Global) -> Result<Vec<Hall>, DeskError> {
        let mut halls = Vec::with_capacity(served.len());
        for Served { venue, connectors, paper, accounts, notes } in served {
            notes.iter().for_each(|note| global.say(&format!("{}: {note}", venue.name())));
            let api = venue.api().ok_or_else(|| {
                let ready: Vec<&str> = crate::venue::VENUES
                    .iter()
                    .filter(|venue| venue.api().is_some())
                    .map(|venue| venue.name())
                    .collect();
                let (name, ready) = (venue.name(), ready.join(", "));
                DeskError::failed(format!("{name} cannot be served yet (ready: {ready})"))
            })?;
            let access = Access {
                accounts,
                keys: keys.to_vec(),
                open: self.keys.no_auth,
                window: self.keys.auth_window.unwrap_or_default(),
                limits: self.keys.rate_limits == "venue",
            };
            halls.push(Hall::new(venue.name(), connectors, api, paper, access));
        }
        Ok(halls)
    }
}

/// The end: Ctrl-C, or a polite request of the system.
async fn ended() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    // Without a handler the system ends the program itself.
    let _ = tokio::signal::ctrl_c().await;
}

pub(super) fn new_token() -> Result<String, DeskError> {
    let mut bytes = [0; 16];
    let random = rustls::crypto::ring::default_provider().secure_random;
    let filled = random.fill(&mut bytes);
    filled.map_err(|_| {
        DeskError::failed("no random numbers for a token; give one with --admin-token".into())
    })?;
    Ok(hex::encode(bytes))
}

/// The table for people.
fn show(table: &Value, out: &mut dyn Write) -> std::io::Result<()> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for mount in table["mounts"].as_array().into_iter().flatten() {
        writeln!(out, "{}", text(&mount["mount"]).trim_start_matches('/'))?;
        writeln!(out, "  REST       {}", text(&mount["rest"]))?;
        writeln!(out, "  WebSocket  {}{}", text(&mount["websocket"]), text(&mount["socket_path"]))?;
        for key in mount["keys"].as_array().into_iter().flatten() {
            let [account, name, secret, passphrase] =
                ["account", "key", "secret", "passphrase"].map(|field| text(&key[field]));
            writeln!(out, "  {account}: key {name}, secret {secret}, passphrase {passphrase}")?;
        }
    }
    writeln!(out, "control      {} (Bearer {})", text(&table["control"]), text(&table["token"]))?;
    writeln!(out, "Ctrl-C ends it.")
}
