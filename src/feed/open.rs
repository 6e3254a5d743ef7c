//! The market of one connector, from the sources that the command line names.
//!
//! Every source is bound to the connector. A file of its own venue is played as it is; a file of another venue is a
//! borrowed market ([`borrow`](super::borrow)), unless `--instruments` describes its symbol.
//!
//! Never here: accounts, how a market is simulated. Start at [`open`].

mod lending;
pub mod live;
mod looped;

use std::path::{Path, PathBuf};
use std::time::Duration;

use smol_str::SmolStr;

use crate::feed::borrow::Borrow;
use crate::feed::clock::ExchangeClock;
use crate::feed::csv::{Symbols, UNKNOWN_QUOTE};
use crate::feed::gauge::Gauge;
use crate::feed::merge::{AnySource, Merge};
use crate::feed::recording::{Opened, RecordingOptions};
use crate::feed::synth::{DEMO_LENGTH, DEMO_SEED, SynthConfig, SynthError};
use crate::feed::warnings::Warnings;
use crate::market::{
    FeedDepth, Instrument, InstrumentId, Pair, PairError, Product, RuleOrigin, Source, SourceError,
    parse_duration,
};
use crate::sim::Rate;
use crate::venue::catalogue::{Catalogue, CatalogueError, Entry};
use crate::venue::connectors::{self, Connector};

use lending::Lender;
use looped::Looped;

/// Where the market comes from, as the command line says it.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Market data")]
pub struct SourceArgs {
    /// Recorded frames: .jsonl, .jsonl.gz, .jsonl.zst; NAME=FILE binds to a connector
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub tape: Vec<String>,
    /// CSV files, plain, .gz or .zst, their kind told by the header; NAME=FILE binds to a connector
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub csv: Vec<String>,
    /// Prepared Arrow IPC or Parquet (not in this build)
    #[arg(long, value_name = "FILE", num_args = 1.., hide = true)]
    pub arrow: Vec<String>,
    /// A synthetic market; the same seed gives the same market
    #[arg(long, value_name = "SEED", num_args = 0..=1, default_missing_value = "0")]
    pub synth: Option<String>,
    /// A synthetic market of a fixed seed: an hour, with no network and no file
    #[arg(long)]
    pub demo: bool,
    /// The exchange's public WebSocket: what `connect` does where no source is named
    #[arg(long, conflicts_with_all = ["tape", "csv", "arrow", "synth", "demo"])]
    pub live: bool,
    /// Another venue's live market under this one's rules and fees: hitbtc, bitget_perpetual, phemex_perpetual …
    #[arg(long, value_name = "VENUE", conflicts_with_all = ["tape", "csv", "arrow", "synth", "demo"])]
    pub live_from: Option<String>,
    /// Other hosts of live markets.
    #[command(flatten)]
    pub hosts: live::HostArgs,
    /// Only this pair, as in BTC-USDT (repeatable); the first is the default of commands
    #[arg(long, value_name = "BASE-QUOTE")]
    pub pair: Vec<String>,
    /// Which pair a symbol in a file is, as in ETHUSDT=ETH-USDT (repeatable)
    #[arg(long, value_name = "SYMBOL=PAIR")]
    pub symbol: Vec<String>,
    /// Rules of instruments, in the format of fixtures/catalogue
    #[arg(long, value_name = "FILE")]
    pub instruments: Option<PathBuf>,
    /// Stop at the first bad row or frame instead of counting it
    #[arg(long)]
    pub strict: bool,
    /// By whose clock the exchange acts: receive or exchange
    #[arg(long, value_name = "CLOCK", default_value = "receive")]
    pub clock: ClockKind,
    /// Only this connection of a capture that holds several
    #[arg(long, value_name = "C")]
    pub connection: Option<u64>,
    /// Play recorded sources again when they end
    #[arg(long = "loop")]
    pub again: bool,
    /// Several connectors are opened: a file of another venue that nobody bound by hand is left to them.
    #[arg(skip)]
    pub several: bool,
    /// Compressed files are inflated on threads of their own.
    #[arg(skip)]
    pub ahead: bool,
    /// Whether somebody watches in real time: live markets can be opened, and are where no source is named.
    #[arg(skip)]
    pub real_time: bool,
    /// Where lists of instruments are kept.
    #[arg(skip)]
    pub lists: Option<PathBuf>,
    /// Play this much first, as in 30s; `serve` plays ten minutes of a made market where nothing is said
    #[arg(long, value_name = "D", value_parser = duration)]
    pub warmup: Option<Duration>,
}

/// By whose clock the exchange acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ClockKind {
    /// When a row was received.
    #[default]
    Receive,
    /// When the exchange says that it happened.
    Exchange,
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| format!("not a length of time: {text:?} (as in 250ms, 30s, 10m)"))
}

/// The market of a connector: a source, and what is known of its instruments, one entry for each in its order.
pub struct Market {
    /// Where events come from.
    pub source: AnySource,
    /// Fees that `--instruments` names.
    pub fees: Vec<Option<(Rate, Rate)>>,
    /// Whether orders are taken.
    pub tradable: Vec<bool>,
    /// How late a print may come after the shrink of its level, at the venue that is worst in this.
    pub late_prints: Duration,
    /// What the user should know: a borrowed market, inferred rules, a clock that was behind.
    pub notes: Vec<String>,
    /// The market in words.
    pub words: String,
    /// The pairs that the user chose; empty: all of the source.
    pub chosen: Vec<Pair>,
    /// What goes wrong while the source is read, and is passed over.
    pub warnings: Warnings,
    /// How much of the files has been read, and what is in them.
    pub gauge: Gauge,
    /// The markets that are made, in words.
    pub made: Vec<String>,
    /// The sockets behind it, where it is live.
    pub live: Option<live::LiveMarket>,
}

/// A market that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The command line is wrong.
    #[error("{0}")]
    Usage(String),
    /// It cannot be had, and what to try.
    #[error("{0}")]
    Refused(String),
    /// The sources hold nothing that the connector trades.
    #[error("{0}")]
    Nothing(String),
    /// A pair is none.
    #[error(transparent)]
    Pair(#[from] PairError),
    /// A source cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A catalogue cannot be read.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// A synthetic market cannot be made.
    #[error(transparent)]
    Synth(#[from] SynthError),
    /// `--instruments` cannot be read.
    #[error("{}: {cause}", .file.display())]
    Instruments {
        /// Which file.
        file: PathBuf,
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
}

impl OpenError {
    /// Whether the command line is wrong.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Usage(_) | Self::Pair(_))
    }
}

/// Opens the market of a connector.
pub fn open(args: &SourceArgs, connector: &'static Connector) -> Result<Market, OpenError> {
    args.check(connector)?;
    if args.is_live() {
        return live::open(args, connector);
    }
    let warnings = Warnings::default();
    let plan = Plan::read(args, connector, warnings.clone())?;
    let Built { source: first, mut notes, late_prints, told } = plan.build()?;
    let known = |instrument: &Instrument| {
        plan.described.iter().find(|entry| entry.instrument.pair == instrument.pair)
    };
    let instruments = first.instruments().to_vec();
    // What the user describes, then what the tape's own list says.
    let of_tape = |instrument: &Instrument| {
        told.iter().find(|entry| entry.instrument.symbol == instrument.symbol).and_then(|entry| entry.fees)
    };
    let fees = instruments
        .iter()
        .map(|instrument| known(instrument).and_then(|entry| entry.fees).or_else(|| of_tape(instrument)))
        .collect();
    let sized = |instrument: &Instrument| is_sized(connector, instrument);
    let tradable = instruments
        .iter()
        .map(|instrument| sized(instrument) && known(instrument).is_none_or(|entry| entry.tradable));
    let tradable = tradable.collect();
    for instrument in instruments.iter().filter(|instrument| !sized(instrument)) {
        notes.push(format!("{}: {NO_SIZE}", instrument.symbol));
    }
    let (words, chosen, made) = (plan.words(), plan.pairs.clone(), plan.made());
    let gauge = plan.reading.gauge.clone();
    let source: AnySource = if args.again { Box::new(Looped::new(plan, first)) } else { first };
    Ok(Market {
        source,
        fees,
        tradable,
        late_prints,
        notes,
        words,
        chosen,
        warnings,
        gauge,
        made,
        live: None,
    })
}

impl SourceArgs {
    /// Whether the market is live: it was asked for, or nothing else was.
    pub fn is_live(&self) -> bool {
        let recorded = !(self.tape.is_empty() && self.csv.is_empty() && self.arrow.is_empty());
        let made = self.synth.is_some() || self.demo;
        self.live || self.live_from.is_some() || !(recorded || made)
    }

    /// How much is played before clients are let in: of a made market as much as they ask candles of first.
    pub fn served_warmup(&self) -> Duration {
        const OF_MADE: Duration = Duration::from_secs(600);
        let made = self.synth.is_some() || self.demo;
        self.warmup.unwrap_or(if made { OF_MADE } else { Duration::ZERO })
    }

    /// Whether a live market that stands beside the one that was asked for is meant as well: its exchange's own is,
    /// another exchange's only where it is bound to it by name.
    pub fn lends_to(&self, beside: &Connector) -> bool {
        let named = |text: &str| text.strip_prefix(beside.name).is_some_and(|rest| rest.starts_with('='));
        self.live_from.as_deref().is_none_or(named)
    }

    /// Refuses what this build cannot do, and names what it can.
    fn check(&self, connector: &Connector) -> Result<(), OpenError> {
        let instead = "try --demo, --synth SEED, --tape FILE or --csv FILE";
        let name = connector.name;
        if !self.arrow.is_empty() {
            return Err(OpenError::Refused(format!(
                "--arrow: Arrow and Parquet are not in this build; {instead}"
            )));
        }
        if self.is_live() && !self.real_time {
            let why = match self.live || self.live_from.is_some() {
                true => "this plays recorded markets, as fast as it goes",
                false => "which market? No source is named",
            };
            return Err(OpenError::Refused(format!("{name}: {why}; {instead}")));
        }
        if self.is_live() && (self.again || self.clock == ClockKind::Exchange) {
            let what = if self.again { "--loop" } else { "--clock exchange" };
            return Err(OpenError::Usage(format!("{what} is for recorded markets; {instead}")));
        }
        let piped = self.tape.iter().chain(&self.csv).any(|file| file == "-" || file.ends_with("=-"));
        if self.again && piped {
            return Err(OpenError::Usage("--loop: standard input cannot be played again".to_owned()));
        }
        Ok(())
    }
}

/// What the user is told where a contract's size is not known.
const NO_SIZE: &str =
    "what one contract is worth is not known: it can be watched, not traded (--instruments FILE says it)";

/// Whether an instrument is spot or a contract. Of what nobody described the venue's rule of spelling knows.
fn family(connector: &Connector, instrument: &Instrument) -> &'static str {
    let inferred = instrument.origin == RuleOrigin::Inferred && instrument.product == Product::Spot;
    let ruled = || connector.venue().ok()?.product_of(&instrument.symbol);
    inferred.then(ruled).flatten().unwrap_or(instrument.product).family()
}

/// Whether it is known what one unit of an instrument is worth; of a contract that nobody described it is not.
fn is_sized(connector: &Connector, instrument: &Instrument) -> bool {
    family(connector, instrument) == "spot" || instrument.product != Product::Spot
}

/// Whether a connector trades what an instrument is; it trades whatever the user described, and nothing that is no
/// pair (dated contracts: `inspect` shows them).
fn trades(connector: &Connector, instrument: &Instrument) -> bool {
    let known = instrument.pair.quote.as_str() != UNKNOWN_QUOTE;
    let own = known && connector.products.contains(&family(connector, instrument));
    instrument.origin == RuleOrigin::File || own
}

/// What fills rest on where a market shows less than a book (`docs/fills.md`, rule 14).
const fn shows(depth: FeedDepth) -> Option<&'static str> {
    match depth {
        FeedDepth::Full | FeedDepth::Levels(2..) | FeedDepth::News => None,
        FeedDepth::Levels(_) => Some("best prices alone: of an order behind them nobody knows what is ahead"),
        FeedDepth::Prints => Some("prints alone: an order fills on prints beyond its price (evidence: thin)"),
        FeedDepth::Candles => Some(
            "candles alone: an order fills where their path goes beyond its price, for a tenth of their volume (evidence: thin)",
        ),
    }
}

/// All sources as one.
struct Built {
    source: AnySource,
    notes: Vec<String>,
    late_prints: Duration,
    /// What the connector's own tapes say of instruments.
    told: Vec<Entry>,
}

/// All that is needed to open the sources, as often as it takes.
struct Plan {
    connector: &'static Connector,
    files: Vec<PathBuf>,
    seeds: Vec<u64>,
    demo: bool,
    pairs: Vec<Pair>,
    named: Vec<(String, Pair)>,
    /// Of `--instruments`.
    described: Vec<Entry>,
    clock: ClockKind,
    reading: RecordingOptions,
    /// Whether a file of another venue is another connector's, unless it is bound to this one by hand.
    several: bool,
    /// The files that are bound by hand.
    bound: Vec<PathBuf>,
}

/// The rest of `NAME=REST` or `NAME:REST` if it is meant for this connector; all of it where nothing is bound.
fn bound<'a>(text: &'a str, mark: char, connector: &Connector) -> Option<&'a str> {
    match text.split_once(mark) {
        Some((name, rest)) if connectors::connector(name).is_ok() => (name == connector.name).then_some(rest),
        _ => Some(text),
    }
}

impl Plan {
    fn read(args: &SourceArgs, connector: &'static Connector, warnings: Warnings) -> Result<Self, OpenError> {
        let described = match &args.instruments {
            Some(file) => {
                let text = std::fs::read_to_string(file)
                    .map_err(|cause| OpenError::Instruments { file: file.clone(), cause })?;
                Catalogue::read(&text, file, RuleOrigin::File)?.entries
            }
            None => Vec::new(),
        };
        let pairs = args.pair.iter().filter_map(|text| bound(text, ':', connector)).map(str::parse);
        let named = args.symbol.iter().map(|text| match text.split_once('=') {
            Some((symbol, pair)) => Ok((symbol.to_owned(), pair.parse::<Pair>()?)),
            None => Err(OpenError::Usage(format!("--symbol {text:?}: SYMBOL=PAIR, as in ETHUSDT=ETH-USDT"))),
        });
        let seeds = args.synth.iter().filter_map(|text| bound(text, '=', connector)).map(|text| {
            text.parse().map_err(|_| OpenError::Usage(format!("--synth {text:?}: a seed is a whole number")))
        });
        let reading = RecordingOptions {
            strict: args.strict,
            connection: args.connection,
            ahead: args.ahead,
            instruments: described.iter().map(|entry| entry.instrument.clone()).collect(),
            warnings,
            ..RecordingOptions::default()
        };
        let named_files = || args.tape.iter().chain(&args.csv);
        let files = named_files().filter_map(|text| bound(text, '=', connector));
        let by_hand =
            named_files().filter_map(|text| bound(text, '=', connector).filter(|rest| rest != text));
        Ok(Self {
            connector,
            files: files.map(PathBuf::from).collect(),
            seeds: seeds.collect::<Result<_, _>>()?,
            demo: args.demo,
            pairs: pairs.collect::<Result<_, _>>()?,
            named: named.collect::<Result<_, _>>()?,
            described,
            clock: args.clock,
            reading,
            several: args.several,
            bound: by_hand.map(PathBuf::from).collect(),
        })
    }

    /// Opens all sources as one, and says what the user should know.
    fn build(&self) -> Result<Built, OpenError> {
        let (mut notes, mut late_prints) = (Vec::new(), Duration::ZERO);
        let symbols = Symbols::of_catalogues();
        self.named.iter().for_each(|(symbol, pair)| symbols.name(symbol, pair.clone()));
        symbols.want(&self.pairs);
        if let [pair] = &self.pairs[..] {
            symbols.call_unnamed(self.connector.exchange, &self.symbol_of(pair)?);
        }
        let opened = self
            .files
            .iter()
            .map(|file| Opened::open(file, &symbols, &self.reading).map(|open| (file, open)));
        let (mut own, mut foreign, mut lenders) = (Vec::new(), Vec::new(), Vec::new());
        let mut told = Vec::new();
        for (file, opened) in opened.collect::<Result<Vec<_>, _>>()? {
            if opened.is_unnamed() && self.pairs.len() != 1 {
                let file = file.display();
                return Err(OpenError::Usage(format!(
                    "{file} names no symbol: say which one it is with one --pair, as in --pair BTC-USDT"
                )));
            }
            let venue = opened.venue().unwrap_or_default().to_owned();
            if self.several && venue != self.connector.exchange && !self.bound.contains(file) {
                continue;
            }
            late_prints = late_prints.max(crate::venue::late_prints(&venue));
            if venue == self.connector.exchange {
                told.extend(opened.described().iter().filter(|entry| entry.fees.is_some()).cloned());
            }
            let source = self.clocked(Box::new(opened.start(&self.reading)?), file, &mut notes);
            if venue == self.connector.exchange {
                own.push(source);
            } else {
                foreign.push(source);
                lenders.push(venue);
            }
        }
        for market in self.synthetic()? {
            own.push(Box::new(market.market()));
            late_prints = late_prints.max(crate::venue::late_prints(self.connector.exchange));
        }
        if !foreign.is_empty() {
            lenders.dedup();
            own.push(self.borrowed(foreign, &lenders.join(", "), &mut notes)?);
        }
        let (connector, several) = (self.connector, self.several);
        // What the user described may be another connector's, where there are several.
        let wanted = Box::new(move |instrument: &Instrument| {
            let own = !several || connector.products.contains(&family(connector, instrument));
            own && trades(connector, instrument)
        });
        let all = Merge::only(own, self.pairs.clone(), wanted)?;
        if all.instruments().is_empty() {
            return Err(self.nothing(&symbols));
        }
        let inferred =
            all.instruments().iter().filter(|instrument| instrument.origin == RuleOrigin::Inferred);
        notes.extend(inferred.map(|instrument| {
            format!("{}: no rules are known; tick and lot are inferred from the data (--instruments FILE describes it)", instrument.pair)
        }));
        notes.extend(all.instruments().iter().enumerate().filter_map(|(at, instrument)| {
            Some(format!("{}: {}", instrument.pair, shows(all.depth(InstrumentId(at as u32)))?))
        }));
        Ok(Built { source: Box::new(all), notes, late_prints, told })
    }

    /// The symbol of a pair: as it is described, else as the exchange spells it.
    fn symbol_of(&self, pair: &Pair) -> Result<SmolStr, OpenError> {
        let described = self.reading.instruments.iter().find(|own| own.pair == *pair);
        match described {
            Some(own) => Ok(own.symbol.clone()),
            None => {
                let venue = self.connector.venue().map_err(SynthError::from)?;
                Ok(venue.symbol_of(pair, self.connector.family()))
            }
        }
    }

    fn synthetic(&self) -> Result<Vec<SynthConfig>, OpenError> {
        let described: Vec<Instrument> = self.reading.instruments.clone();
        let seeds = self.demo.then_some(DEMO_SEED).into_iter().chain(self.seeds.iter().copied());
        let config = |seed| {
            let demo = SynthConfig::demo(self.connector)?;
            let demo_pairs = || demo.instruments.iter().map(|instrument| instrument.pair.clone()).collect();
            let pairs: Vec<Pair> = if self.pairs.is_empty() { demo_pairs() } else { self.pairs.clone() };
            let made = SynthConfig::new(self.connector, &pairs, &described, seed)?;
            Ok(SynthConfig { duration: Some(DEMO_LENGTH), ..made })
        };
        seeds.map(config).collect()
    }

    fn clocked(&self, source: AnySource, file: &Path, notes: &mut Vec<String>) -> AnySource {
        if self.clock == ClockKind::Receive {
            return source;
        }
        let clocked = ExchangeClock::new(source);
        if clocked.shift() > 0 {
            let millis = crate::market::decimal::Plain::new(clocked.shift(), 6);
            notes.push(format!(
                "{}: the recorder's clock was behind; received {millis} ms later",
                file.display()
            ));
        }
        Box::new(clocked)
    }

    /// Files of other venues under the rules of this one.
    fn borrowed(
        &self,
        sources: Vec<AnySource>,
        from: &str,
        notes: &mut Vec<String>,
    ) -> Result<AnySource, OpenError> {
        let catalogue = self.connector.venue().map_err(SynthError::from)?.catalogue()?.entries;
        let rules = catalogue.into_iter().map(|entry| entry.instrument);
        let rules = rules.filter(|rule| trades(self.connector, rule)).collect();
        let lender = Lender::new(self.reading.instruments.clone(), rules, self.pairs.clone());
        let borrow = Borrow::new(Box::new(Merge::new(sources)?), Box::new(move |from| lender.lend(from)))?;
        for instrument in
            borrow.instruments().iter().filter(|instrument| instrument.origin != RuleOrigin::File)
        {
            let (pair, name) = (&instrument.pair, self.connector.name);
            notes.push(format!(
                "{pair}: the market is borrowed from {from}; rules and fees are those of {name}"
            ));
        }
        notes.extend_from_slice(borrow.notes());
        Ok(Box::new(borrow))
    }

    /// Nothing in the sources can be traded: what there is, and what could be done.
    fn nothing(&self, symbols: &Symbols) -> OpenError {
        let have = symbols.resolved().join(", ");
        let catalogue = self.connector.venue().ok().and_then(|venue| venue.catalogue().ok());
        let entries = catalogue.into_iter().flat_map(|catalogue| catalogue.entries);
        let own = entries.filter(|entry| trades(self.connector, &entry.instrument));
        let trades: Vec<String> = own.map(|entry| entry.instrument.pair.to_string()).collect();
        let wanted: Vec<String> = self.pairs.iter().map(Pair::to_string).collect();
        let wanted = if wanted.is_empty() { String::new() } else { format!("of {} ", wanted.join(", ")) };
        OpenError::Nothing(format!(
            "the sources hold nothing {wanted}that {} trades (they hold: {}; it trades: {}); --symbol SYMBOL=PAIR says which pair a symbol is, --instruments FILE describes one",
            self.connector.name,
            if have.is_empty() { "no symbol" } else { &have },
            trades.join(", "),
        ))
    }

    /// The market in words.
    fn words(&self) -> String {
        let name = |file: &PathBuf| match file.file_name() {
            Some(name) => name.to_string_lossy().into_owned(),
            None => file.display().to_string(),
        };
        let mut words: Vec<String> = self.files.iter().map(name).collect();
        words.extend(self.made());
        words.join(" + ")
    }

    /// The markets that are made here, in words.
    fn made(&self) -> Vec<String> {
        let seeds = self.seeds.iter().map(|seed| format!("synthetic market, seed {seed}"));
        self.demo.then(|| "demo market".to_owned()).into_iter().chain(seeds).collect()
    }
}
