//! `backtest`: a strategy over recorded data in virtual time.

use std::cell::RefCell;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use smol_str::SmolStr;
use toml::{Table as Toml, Value};

use super::{Done, UsageError};
use crate::backtest::{
    BANDS, Described, Go, Plan, Progress, Results, SourceEntry, Summary, VenuePlan, run as play,
};
use crate::cli::Global;
use crate::desk::options::{QueueChoice, SimArgs, latency_words, queue_words};
use crate::desk::{AccountArgs, Desk, DeskError, OpenMarket, Store};
use crate::feed::ahead::Ahead;
use crate::feed::gauge::Gauge;
use crate::feed::merge::AnySource;
use crate::feed::open::{ClockKind, SourceArgs};
use crate::feed::warnings::Warnings;
use crate::market::{Asset, Timestamp, parse_duration};
use crate::shell::Interrupt;
use crate::shell::table::{Shape, Table};
use crate::strategy::{Parameters, StrategyKind, find};

/// Run a strategy over recorded data in virtual time and report what came of it
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The connector, as in bitmart_paper_trade; may be repeated
    #[arg(long = "connector", value_name = "NAME", required = true)]
    connectors: Vec<String>,
    /// The strategy: pure_market_making, perpetual_market_making, twap or grid_quoter. Its parameters come from --set and from a table of its
    /// name in --config
    #[arg(long, value_name = "NAME")]
    strategy: String,
    /// Set a parameter of the strategy, as in bid_spread=0.2; may be repeated, wins over --config
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Write orders, fills, trades, ledger, equity, summary and a page into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The strategy begins no earlier than this time; the market before it is played
    #[arg(long, value_name = "T")]
    from: Option<Timestamp>,
    /// The market ends at this time
    #[arg(long, value_name = "T")]
    to: Option<Timestamp>,
    /// Seconds between two samples of equity
    #[arg(long, value_name = "S", value_parser = interval, default_value = "60")]
    equity_interval: Duration,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten, next_help_heading = "Account")]
    account: AccountArgs,
    #[command(flatten, next_help_heading = "Simulation")]
    sim: SimArgs,
    /// Keep prepared data here (not in this build)
    #[arg(long, value_name = "DIR", hide = true)]
    cache: Option<PathBuf>,
    /// Also write Parquet (not in this build)
    #[arg(long, hide = true)]
    parquet: bool,
}

fn interval(text: &str) -> Result<Duration, String> {
    let time = parse_duration(text).filter(|time| !time.is_zero());
    time.ok_or_else(|| format!("not a length of time: {text:?} (seconds, or as in 5m)"))
}

/// Runs it, prints what it came to, and writes the folder.
pub fn run(args: &Args, global: &Global, out: &mut dyn Write) -> Done {
    args.check()?;
    let kind = find(&args.strategy)?;
    let parameters = args.parameters(kind, global)?;
    // Wrong values are told before any file is read.
    kind.build(&kind.values(&parameters)?)?;
    let desk = Desk {
        source: SourceArgs {
            several: args.connectors.len() > 1,
            warmup: None,
            ahead: has_cores(),
            ..args.source.clone()
        },
        sim: args.sim.clone(),
        account: args.account.clone(),
        store: Store::None,
        settings: global.settings()?,
        record: None,
        scripted: true,
        warnings: RefCell::default(),
    };
    let opened: Vec<OpenMarket> =
        args.connectors.iter().map(|name| desk.market(name)).collect::<Result<_, _>>()?;
    let about = Opened::of(args, &opened);
    let plan = args.plan(kind, parameters, &desk, opened)?;
    let interrupt = Interrupt::listen();
    let bar = about.bar(global);
    let start = wall();
    let finished = play(plan, &mut |progress: Progress| {
        bar.set_position(about.read());
        bar.set_message(progress.now.to_string());
        if interrupt.came() { Go::Stop } else { Go::On }
    });
    bar.finish_and_clear();
    about.tell(global);
    let finished = finished?;
    let seconds = wall().saturating_duration_since(start).as_secs_f64();
    let partial = finished.is_partial();
    let summary = finished.summary(about.describe()?, seconds);
    finished.finish(&summary)?;
    if global.json {
        serde_json::to_writer(&mut *out, &summary)?;
        writeln!(out)?;
    } else {
        print(&summary, args, out)?;
    }
    if partial {
        global.say("stopped before the market's end: these are the results so far");
    }
    Ok(())
}

/// Whether reading on another thread is quicker.
fn has_cores() -> bool {
    std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1)
}

#[allow(clippy::disallowed_methods, reason = "somebody waits: how long it took is part of the answer")]
fn wall() -> Instant {
    Instant::now()
}

impl Args {
    /// Refuses what this build cannot do.
    fn check(&self) -> Result<(), DeskError> {
        let absent = |what: &str| Err(DeskError::failed(format!("{what} is not part of this build")));
        match () {
            () if self.parquet => absent("--parquet"),
            () if self.cache.is_some() => absent("--cache"),
            () if self.source.again => {
                Err(DeskError::usage("--loop: a backtest ends with its data; leave it out".to_owned()))
            }
            () if self.from.zip(self.to).is_some_and(|(from, to)| from >= to) => {
                Err(DeskError::usage("--from must be earlier than --to".to_owned()))
            }
            () => Ok(()),
        }
    }

    /// The parameters of `--config` and `--set`; leverage and position mode of a strategy that sets them are those of
    /// `--leverage` and `--position-mode`, where they are said nowhere else.
    fn parameters(
        &self,
        kind: &StrategyKind,
        global: &Global,
    ) -> Result<Parameters, Box<dyn std::error::Error>> {
        let mut parameters = Parameters::default();
        let leverage = self.sim.leverage.map(|leverage| leverage.to_string());
        let mode = self.sim.position_mode.map(|mode| mode.name().to_owned());
        for (key, value) in [("leverage", leverage), ("position_mode", mode)] {
            if let Some(value) = value
                && kind.parameters.iter().any(|known| known.key == key)
            {
                parameters.set(key, &value);
            }
        }
        if let Some(file) = &global.config {
            let fail = |what: String| DeskError::failed(format!("{}: {what}", file.display()));
            let text = std::fs::read_to_string(file).map_err(|error| fail(error.to_string()))?;
            let table: Toml =
                text.parse().map_err(|error: toml::de::Error| fail(error.message().to_owned()))?;
            take(&mut parameters, kind, &table).map_err(|key| {
                UsageError(format!("{}: {key} must be a number, a text or true or false", file.display()))
            })?;
        }
        for pair in &self.set {
            parameters.set_pair(pair)?;
        }
        Ok(parameters)
    }

    /// The source, read on another thread where there is a core for it.
    fn ahead(&self, source: AnySource) -> Result<AnySource, DeskError> {
        if !has_cores() {
            return Ok(source);
        }
        let ahead = Ahead::new(source, self.to.unwrap_or(Timestamp::MAX));
        let ahead = ahead.map_err(|cause| DeskError::failed(format!("no thread to read on: {cause}")))?;
        Ok(Box::new(ahead))
    }

    fn plan(
        &self,
        kind: &'static StrategyKind,
        parameters: Parameters,
        desk: &Desk,
        opened: Vec<OpenMarket>,
    ) -> Result<Plan, DeskError> {
        let one = opened.first().map(|opened| opened.config.queue);
        let queues = match self.sim.queue {
            Some(QueueChoice::Bands) => BANDS.to_vec(),
            _ => one.into_iter().collect(),
        };
        let assets = |opened: &OpenMarket| {
            let of = |market: &crate::sim::MarketConfig| match &market.contract {
                Some(terms) => vec![terms.settle.clone()],
                None => vec![market.instrument.pair.base.clone(), market.instrument.pair.quote.clone()],
            };
            let mut assets: Vec<Asset> = opened.config.markets.iter().flat_map(of).collect();
            assets.sort_unstable();
            assets.dedup();
            assets
        };
        let mut all: Vec<Asset> = opened.iter().flat_map(assets).collect();
        all.sort_unstable();
        all.dedup();
        let balances = desk.starting_balances(&all)?;
        let venue = |(name, opened): (&String, OpenMarket)| {
            let own = assets(&opened);
            Ok::<_, DeskError>(VenuePlan {
                connector: SmolStr::from(name.as_str()),
                balances: balances.iter().filter(|(asset, _)| own.contains(asset)).cloned().collect(),
                config: opened.config,
                source: self.ahead(opened.market.source)?,
                market_delay: opened.market_delay,
                chosen: opened.market.chosen,
            })
        };
        Ok(Plan {
            venues: self.connectors.iter().zip(opened).map(venue).collect::<Result<_, _>>()?,
            strategy: kind,
            parameters,
            queues,
            two_clocks: self.source.clock == ClockKind::Exchange,
            from: self.from,
            to: self.to,
            warmup: self.source.warmup.unwrap_or_default(),
            equity_interval: self.equity_interval,
            account: self.account.account.clone().unwrap_or_else(|| "default".to_owned()),
            out: self.out.clone(),
        })
    }
}

/// Takes a strategy's parameters from a settings file: the table of its name, and the keys at the top level if one of
/// them is a parameter (tables and fee settings left out). Without one, they are another program's and left alone. An
/// error names the key.
fn take(parameters: &mut Parameters, kind: &StrategyKind, table: &Toml) -> Result<(), String> {
    let has_parameters = table.keys().any(|key| kind.parameters.iter().any(|known| known.key == *key));
    let is_setting = |key: &str| {
        ["_fee", "_fees", "_fee_token", "_deducted_from_returns", "_balance", "_exchanges"]
            .iter()
            .any(|end| key.ends_with(end))
    };
    let at_top = table.iter().filter(|(key, value)| has_parameters && !value.is_table() && !is_setting(key));
    let own = table.get(kind.name).and_then(Value::as_table);
    for (key, value) in at_top.chain(own.into_iter().flatten()) {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Integer(number) => number.to_string(),
            Value::Float(number) => number.to_string(),
            Value::Boolean(flag) => flag.to_string(),
            _ => return Err(key.clone()),
        };
        parameters.set(key, &text);
    }
    Ok(())
}

/// What is known of the run beside its results.
struct Opened {
    described: Described,
    gauges: Vec<Gauge>,
    warnings: Vec<Warnings>,
    made: Vec<String>,
}

impl Opened {
    fn of(args: &Args, opened: &[OpenMarket]) -> Self {
        let first = opened.first();
        let config = first.map(|opened| &opened.config);
        let mut fee_sources: Vec<String> = Vec::new();
        for market in opened.iter().flat_map(|opened| &opened.config.markets) {
            let source = market.fees.source.to_string();
            if !fee_sources.contains(&source) {
                fee_sources.push(source);
            }
        }
        let queue = match args.sim.queue {
            Some(QueueChoice::Bands) => "bands".to_owned(),
            _ => config.map(|config| queue_words(config.queue)).unwrap_or_default(),
        };
        let clock = if args.source.clock == ClockKind::Exchange { "exchange" } else { "receive" };
        let described = Described {
            source: Vec::new(),
            seed: args.sim.seed,
            profile: args.sim.profile.name().to_owned(),
            queue,
            latency: config.map(|config| latency_words(&config.latency)).unwrap_or_default(),
            clock: clock.to_owned(),
            fee_source: fee_sources.join(", "),
            notes: opened.iter().flat_map(|opened| opened.market.notes.iter().cloned()).collect(),
        };
        Self {
            described,
            gauges: opened.iter().map(|opened| opened.market.gauge.clone()).collect(),
            warnings: opened.iter().map(|opened| opened.market.warnings.clone()).collect(),
            made: opened.iter().flat_map(|opened| opened.market.made.iter().cloned()).collect(),
        }
    }

    fn read(&self) -> u64 {
        self.gauges.iter().map(Gauge::read).sum()
    }

    /// A bar on a terminal; it draws nothing elsewhere.
    fn bar(&self, global: &Global) -> ProgressBar {
        if global.quiet {
            return ProgressBar::hidden();
        }
        let size: Option<u64> = self.gauges.iter().map(Gauge::size).sum();
        let (bar, template) = match size.filter(|size| *size > 0) {
            Some(size) => {
                (ProgressBar::new(size), "{bar:30} {percent:>3} %  {bytes_per_sec}  {eta} left  {msg}")
            }
            None => (ProgressBar::new_spinner(), "{spinner} {elapsed}  {msg}"),
        };
        match ProgressStyle::with_template(template) {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        }
    }

    /// Tells what went wrong with the data, in short.
    fn tell(&self, global: &Global) {
        for warnings in &self.warnings {
            let first = warnings.first();
            first.iter().for_each(|words| global.say(&format!("warning: {words}")));
            let more = warnings.count().saturating_sub(first.len() as u64);
            if more > 0 {
                global.say(&format!("warning: {more} more like these"));
            }
        }
    }

    fn describe(&self) -> std::io::Result<Described> {
        let mut source = Vec::new();
        for gauge in &self.gauges {
            for content in gauge.contents()? {
                let xxh3 = content.hash.map(|hash| format!("{hash:016x}"));
                let entry = SourceEntry { name: content.name, xxh3 };
                if !source.contains(&entry) {
                    source.push(entry);
                }
            }
        }
        source.extend(self.made.iter().map(|name| SourceEntry { name: name.clone(), xxh3: None }));
        Ok(Described { source, ..self.described.clone() })
    }
}

/// What contracts paid and lost; nothing to say of spot.
fn funding_words(results: &Results) -> String {
    let mut words = Vec::new();
    let count = |count: u64, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    if results.funding_payments > 0 {
        let how = match (results.funding.strip_prefix('-'), &results.funding_asset) {
            (Some(paid), Some(asset)) => format!("paid {paid} {asset}"),
            (None, Some(asset)) => format!("received {} {asset}", results.funding),
            // Each amount with its asset, or nothing in sum.
            (_, None) => results.funding.clone(),
        };
        words.push(format!("{how} in {}", count(results.funding_payments, "payment")));
    }
    if results.liquidations > 0 {
        words.push(count(results.liquidations, "liquidation"));
    }
    words.join(", ")
}

/// What was traded of the first pair, in its unit and in quote; a contract that settles in a third asset has no worth in
/// quote.
fn volume_words(summary: &Summary) -> String {
    let (results, unit) = (summary.results(), &summary.amount_unit);
    match results.volume_quote.as_str() {
        "0" if results.fills > 0 => format!("{} {unit}", results.volume_base),
        quote => format!("{} {unit}, {quote} {}", results.volume_base, summary.quote_asset),
    }
}

/// The positions of a contract; nothing to say of spot, where balances say it.
fn position_words(summary: &Summary) -> String {
    let (results, unit) = (summary.results(), &summary.amount_unit);
    match summary.is_contract {
        true => format!("largest {} {unit}, at the end {}", results.max_position, results.position),
        false => String::new(),
    }
}

fn print(summary: &Summary, args: &Args, out: &mut dyn Write) -> std::io::Result<()> {
    let (described, results) = (summary.described(), summary.results());
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let percent = |value: Option<f64>| or_dash(value.map(|value| format!("{value:.4} %")));
    let ratio = |value: Option<f64>| or_dash(value.map(|value| format!("{value:.3}")));
    let sources: Vec<&str> = described.source.iter().map(|source| source.name.as_str()).collect();
    let fees: Vec<String> = results.fees.iter().map(|(asset, paid)| format!("{paid} {asset}")).collect();
    let decimal = |value: Option<rust_decimal::Decimal>| or_dash(value.map(|value| value.to_string()));
    let quote = &summary.quote_asset;
    let mut lines = vec![
        ("strategy", format!("{} on {}", summary.strategy, summary.connectors.join(", "))),
        ("market", format!("{}: {}", sources.join(" + "), summary.pairs.join(", "))),
        ("time", format!("{} to {}", or_dash(summary.started.clone()), summary.ended)),
        ("queue", format!("{}, latency {}, clock {}", described.queue, described.latency, described.clock)),
        (
            "orders",
            format!(
                "{} sent, {} filled whole, {} cancelled, {}",
                results.orders_created,
                results.orders_filled,
                results.orders_cancelled,
                results.refused()
            ),
        ),
        ("fills", results.filled()),
        ("volume", volume_words(summary)),
        ("position", position_words(summary)),
        ("fees", if fees.is_empty() { "none".to_owned() } else { fees.join(", ") }),
        ("funding", funding_words(results)),
        ("value", format!("{} to {} {quote}", decimal(results.start_value), decimal(results.end_value))),
        ("net P&L", format!("{} {quote} ({})", decimal(results.net_pnl), percent(results.return_pct))),
        ("drawdown", percent(results.max_drawdown_pct)),
        ("ratios", format!("Sharpe {}, Sortino {}", ratio(results.sharpe), ratio(results.sortino))),
        (
            "trades",
            format!("win rate {}, profit factor {}", ratio(results.win_rate), ratio(results.profit_factor)),
        ),
        ("state hash", results.state_hash.clone()),
    ];
    lines.extend(described.notes.iter().map(|note| ("note", note.clone())));
    if !summary.unpriced.is_empty() {
        lines.push(("note", format!("no price for {}: not in the values", summary.unpriced.join(", "))));
    }
    lines.retain(|(_, value)| !value.is_empty());
    for (name, value) in &lines {
        writeln!(out, "{name:<11} {value}")?;
    }
    if let Some(bands) = &summary.bands {
        writeln!(out, "\nThe queue models beside each other (a range, not a bound):")?;
        let volume = format!("Volume ({quote})");
        let mut table = Table::new(["Queue", "Orders", "Fills", &volume, "Net P&L", "Return"]);
        let row = |name: &str, results: &Results| {
            [
                name.to_owned(),
                results.orders_created.to_string(),
                results.fills.to_string(),
                results.volume_quote.clone(),
                decimal(results.net_pnl),
                percent(results.return_pct),
            ]
        };
        for name in ["front", "probabilistic", "conservative"] {
            if let Some(results) = bands.get(name) {
                table.row(row(name, results));
            }
        }
        write!(out, "{}", table.draw(Shape::Grid, 0))?;
    }
    if let Some(folder) = &args.out {
        writeln!(out, "wrote {}", folder.display())?;
    }
    Ok(())
}
