//! Puts it together: a connector's name, a source, an account and a profile make a working paper connector.
//!
//! Never here: rules of its own about fills, money or formats.
//! Start at [`Desk::open`].

mod account;
pub mod options;
pub mod serve;
pub mod settings;
pub mod tables;
pub mod time;

use account::Place;
pub(crate) use account::balance as account_balance;
pub use account::{AccountArgs, Store};

use std::cell::RefCell;
use std::path::PathBuf;
use std::time::Duration;

use crate::feed::live::LiveHandle;
use crate::feed::open::live::LiveMarket;
use crate::feed::open::{Market, OpenError, SourceArgs, open};
use crate::feed::synth::SynthError;
use crate::feed::warnings::Warnings;
use crate::market::{Instrument, InstrumentId, Pair, Timestamp};
use crate::order::{PositionMode, RejectReason};
use crate::paper::{PaperConnector, PaperError, PaperExchange, PaperOptions, Wall};
use crate::sim::{
    ContractTerms, CrossedBook, FeeSchedule, MarketConfig, QueueModel, Rate, SimConfig, VenueRules,
};
use crate::venue::connectors::{self, Connector as Line};
use crate::venue::{Refused, Venue};

use options::{FeeOverride, Profile, QueueChoice, SimArgs, latency, latency_words, queue_words};
use settings::Settings;

/// A connector that cannot be put together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DeskError {
    message: String,
    usage: bool,
}

impl DeskError {
    /// The command line is wrong.
    pub fn usage(message: String) -> Self {
        Self { message, usage: true }
    }

    /// Something failed.
    pub fn failed(message: String) -> Self {
        Self { message, usage: false }
    }

    /// Whether the command line is wrong.
    pub fn is_usage(&self) -> bool {
        self.usage
    }
}

impl From<PaperError> for DeskError {
    fn from(error: PaperError) -> Self {
        Self::failed(error.to_string())
    }
}

impl From<OpenError> for DeskError {
    fn from(error: OpenError) -> Self {
        Self { usage: error.is_usage(), message: error.to_string() }
    }
}

/// How a venue words its refusals: code and text.
pub type NativeRefusal = fn(RejectReason, Option<&Instrument>) -> Option<String>;

/// What the session is about, for screens.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// The market in words: `demo market, seed 7`, `tape.jsonl.zst`.
    pub source: String,
    /// The account's name.
    pub account: String,
    /// The number of this session of the account.
    pub session: u64,
    /// Whether it is kept between sessions.
    pub kept: bool,
    /// What the screen says when the connector opens, beside that it is connected.
    pub notes: Vec<String>,
    /// Queue model, latency and the like, by name, in the order of showing.
    pub settings: Vec<(&'static str, String)>,
    /// How the venue words refusals.
    pub native: Option<NativeRefusal>,
    /// Whether the market never ends.
    pub endless: bool,
    /// The sockets behind it, where it is live.
    pub live: Option<LiveHandle>,
    /// The first pair of the session: what `[PAIR]` defaults to.
    pub default_pair: Option<Pair>,
}

/// Lines of the introduction that say what, whose and how.
const INTRODUCTION: usize = 3;

impl About {
    /// The notes without the introduction.
    pub fn own_notes(&self) -> impl Iterator<Item = &str> {
        self.notes.iter().skip(INTRODUCTION).map(String::as_str)
    }
}

/// The market of a connector, and how it is simulated.
pub struct OpenMarket {
    /// The connector.
    pub line: &'static Line,
    /// Its venue.
    pub venue: &'static dyn Venue,
    /// Where its market comes from.
    pub market: Market,
    /// What is simulated.
    pub config: SimConfig,
    /// How long market orders are kept back before they are sent.
    pub market_delay: Duration,
}

/// A connector that is open, and what it is about.
pub struct Opened {
    /// The connector.
    pub connector: PaperConnector,
    /// What it is about.
    pub about: About,
}

/// All that decides what a connector becomes.
pub struct Desk {
    /// The source.
    pub source: SourceArgs,
    /// How it is simulated.
    pub sim: SimArgs,
    /// Which account.
    pub account: AccountArgs,
    /// Where accounts are kept.
    pub store: Store,
    /// The user's settings.
    pub settings: Settings,
    /// Whether commands are read from a script.
    pub scripted: bool,
    /// The folder into which live markets are recorded.
    pub record: Option<PathBuf>,
    /// What sources have warned of, of all connectors that were opened.
    pub warnings: RefCell<Vec<Warnings>>,
}

/// For how long after the first book the others are waited for, where no pair was chosen.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same where somebody waits in real time.
const LIVE_PATIENCE: Duration = Duration::from_secs(2);
/// And the first book of a live market beside: nobody asked for that one by name.
const BESIDE_PATIENCE: Duration = Duration::from_secs(5);

impl Desk {
    /// Opens the market of a connector and settles how it is simulated. Nothing is played.
    pub fn market(&self, name: &str) -> Result<OpenMarket, DeskError> {
        let line = usable(name)?;
        self.simulated(line, open(&self.source, line)?)
    }

    fn simulated(&self, line: &'static Line, market: Market) -> Result<OpenMarket, DeskError> {
        let venue = line.venue().map_err(|error| DeskError::failed(error.to_string()))?;
        if self.record.is_some() && market.live.is_none() {
            let why = "only a live market is recorded; this one is a recording already";
            return Err(DeskError::usage(format!("--record: {why}")));
        }
        let (config, market_delay) = self.config(line, venue, &market)?;
        Ok(OpenMarket { line, venue, market, config, market_delay })
    }

    /// Opens a paper connector: its market stands at the first instant at which its books can be believed.
    pub fn open(&self, name: &str) -> Result<Opened, DeskError> {
        if self.sim.queue == Some(QueueChoice::Bands) {
            return Err(DeskError::usage("--queue bands is for `backtest`".to_owned()));
        }
        self.put_together(self.market(name)?, Place::First)
    }

    /// Opens the market that stands beside a connector's own, with an account of its own. `None`: it has none, the
    /// recorded or made sources hold none, or its live market does not answer, which `first` then says.
    pub fn open_beside(&self, name: &str, first: &mut About) -> Result<Option<Opened>, DeskError> {
        let Some(line) = usable(name)?.beside() else { return Ok(None) };
        // A file of another venue is borrowed for the first market, unless it is bound to this one by hand.
        let source = SourceArgs { several: true, ..self.source.clone() };
        if source.is_live() {
            return Ok(self.open_live_beside(line, &source, first));
        }
        let piped = |file: &String| file == "-" || file.ends_with("=-");
        if source.tape.iter().chain(&source.csv).any(piped) {
            return Ok(None);
        }
        let market = match open(&source, line) {
            Ok(market) => market,
            Err(OpenError::Nothing(_) | OpenError::Synth(SynthError::Pair { .. })) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        self.put_together(self.simulated(line, market)?, Place::Beside).map(Some)
    }

    /// The same, live: by its exchange's own sockets, or borrowed where `--live-from` names it.
    fn open_live_beside(
        &self,
        line: &'static Line,
        source: &SourceArgs,
        first: &mut About,
    ) -> Option<Opened> {
        if !source.lends_to(line) {
            return None;
        }
        let market = open(source, line).map_err(DeskError::from);
        let opened = market.and_then(|market| {
            let market = self.simulated(line, market)?;
            self.put_together(market, Place::Beside)
        });
        let missing = |error: DeskError| first.notes.push(format!("nothing beside: {error}"));
        opened.map_err(missing).ok()
    }

    fn put_together(&self, open: OpenMarket, place: Place) -> Result<Opened, DeskError> {
        let OpenMarket { line, venue, market, config, market_delay } = open;
        let name = line.name;
        let settings = self.settings_words(&config, market_delay);
        let mut about = About {
            source: market.words,
            notes: market.notes,
            settings,
            native: native_of(venue),
            endless: self.source.again,
            live: market.live.as_ref().map(|live| live.handle.clone()),
            ..About::default()
        };
        let options = PaperOptions { market_delay, ..PaperOptions::default() };
        let seed = config.seed;
        let mut paper = PaperExchange::new(config, market.source, options)?;
        if let Some(live) = &market.live {
            paper.follow(Box::new(LiveWall(vec![live.handle.clone()])));
            self.record(&live.handle, &mut about)?;
        }
        let account = self.open_account((line, place), &mut paper, &mut about)?;
        if let (Place::Beside, Some(live)) = (place, &market.live) {
            let any = |paper: &PaperExchange| {
                let count = u32::try_from(paper.names().instruments().len()).unwrap_or(u32::MAX);
                (0..count).any(|id| paper.sim().is_trusted(InstrumentId(id)))
            };
            paper.run_until(paper.now().plus(BESIDE_PATIENCE), any)?;
            if !any(&paper) {
                return Err(DeskError::failed(without_book(live)));
            }
        }
        about.default_pair = first_book(&mut paper, &market.chosen, market.live.as_ref())?;
        if let Some(warmup) = self.source.warmup {
            paper.advance(warmup)?;
        }
        self.introduce(&mut about, &paper);
        self.warnings.borrow_mut().push(market.warnings);
        account.connect(name, seed, paper, about)
    }

    /// Records a live market where that is wished.
    fn record(&self, live: &LiveHandle, about: &mut About) -> Result<(), DeskError> {
        if let Some(folder) = &self.record {
            let failed = |error| DeskError::failed(format!("--record {}: {error}", folder.display()));
            let file = live.record_into(folder).map_err(failed)?;
            about.notes.push(format!("recorded into {}", file.display()));
        }
        Ok(())
    }

    fn config(
        &self,
        line: &Line,
        venue: &dyn Venue,
        market: &Market,
    ) -> Result<(SimConfig, Duration), DeskError> {
        let profile = self.sim.profile;
        let queue = match self.sim.queue {
            Some(QueueChoice::Model(model)) => model,
            // Whoever runs the bands sets each one's model.
            Some(QueueChoice::Bands) | None => profile.queue(),
        };
        if queue == QueueModel::Exact {
            let why = "--queue exact needs an order-by-order source; this one shows price levels";
            return Err(DeskError::usage(format!("{why} (try --queue probabilistic)")));
        }
        let overrides = self.sim.fees.as_deref().map(FeeOverride::read).transpose()?;
        let instruments = market.source.instruments().iter().enumerate();
        let markets = instruments.map(|(at, instrument)| {
            let id = InstrumentId(u32::try_from(at).unwrap_or(u32::MAX));
            Ok(MarketConfig {
                instrument: instrument.clone(),
                fees: self.fees(
                    line,
                    venue,
                    instrument,
                    market.fees.get(at).copied().flatten(),
                    overrides.as_ref(),
                )?,
                depth: market.source.depth(id),
                tradable: market.tradable.get(at).copied().unwrap_or(true),
                contract: self.contract(venue, instrument),
            })
        });
        let markets: Vec<MarketConfig> = markets.collect::<Result<_, DeskError>>()?;
        if markets.is_empty() {
            return Err(DeskError::failed("the source holds no instrument that can be traded".to_owned()));
        }
        let latency = match &self.sim.latency {
            Some(text) => latency(text)?,
            None => profile.latency(),
        };
        let config = SimConfig {
            queue,
            refill: self.sim.refill.unwrap_or(profile.refill()),
            latency,
            public_market: self.sim.public_market,
            crossed: if market.live.is_some() { CrossedBook::Distrust } else { CrossedBook::Repair },
            assume_spread: self.sim.assume_spread,
            venue: self.rules(venue)?,
            ..SimConfig::realistic(markets, self.sim.seed)
        };
        let config = SimConfig {
            pairing: self.sim.pairing.unwrap_or(config.pairing),
            late_prints: self.sim.pairing.unwrap_or(market.late_prints),
            ..config
        };
        Ok((config, profile.market_delay()))
    }

    /// The terms of a contract, with what the user set; `None` for spot.
    fn contract(&self, venue: &dyn Venue, instrument: &Instrument) -> Option<ContractTerms> {
        let terms = venue.contract(instrument)?;
        Some(ContractTerms {
            leverage: self.sim.leverage.unwrap_or(terms.leverage),
            margin: self.sim.margin.unwrap_or(terms.margin),
            funding_rate: self.sim.funding_rate.unwrap_or(terms.funding_rate),
            ..terms
        })
    }

    /// What the venue does where venues differ, with what the user set.
    fn rules(&self, venue: &dyn Venue) -> Result<VenueRules, DeskError> {
        let mut rules = venue.rules();
        if let Some(mode) = self.sim.position_mode {
            if mode == PositionMode::Hedge && !rules.positions.hedge {
                let name = venue.name();
                return Err(DeskError::usage(format!(
                    "--position-mode hedge: {name} has one-way positions only"
                )));
            }
            rules.positions.mode = mode;
        }
        Ok(rules)
    }

    /// Fee rates, first that applies: `--fees`, the settings, the profile, the tape's own rows, the connector's table.
    fn fees(
        &self,
        line: &Line,
        venue: &dyn Venue,
        instrument: &Instrument,
        tape: Option<(Rate, Rate)>,
        overrides: Option<&FeeOverride>,
    ) -> Result<FeeSchedule, DeskError> {
        let table = line.fees();
        let mut fees = FeeSchedule {
            maker: table.maker,
            taker: table.taker,
            source: table.source,
            decimals: venue.fee_decimals(instrument),
            ..venue.fees()
        };
        if let Some((maker, taker)) = tape {
            (fees.maker, fees.taker, fees.source) = (maker, taker, instrument.origin.to_string().into());
        }
        let market_name = line.market_name().unwrap_or(line.name);
        if self.sim.profile == Profile::Hummingbot
            && let Some((maker, taker, buy_fee)) = options::hummingbot_fees(market_name)
        {
            (fees.maker, fees.taker, fees.buy_fee) = (maker, taker, buy_fee);
            fees.source = "hummingbot profile".into();
        }
        if let Some(set) = self.settings.fees(market_name) {
            set.apply(&instrument.pair, &mut fees, "settings")?;
        }
        if let Some(set) = overrides {
            set.apply(&instrument.pair, &mut fees, "--fees")?;
        }
        Ok(fees)
    }

    /// What the screen says when the connector opens, before the notes.
    fn introduce(&self, about: &mut About, paper: &PaperExchange) {
        let pairs: Vec<String> = paper.names().instruments().iter().map(|i| i.pair.to_string()).collect();
        let kept = if about.kept { "" } else { " (not kept after the session)" };
        let of = |name: &str| {
            let found = about.settings.iter().find(|(key, _)| *key == name);
            found.map(|(_, words)| words.as_str()).unwrap_or_default()
        };
        let intro: [String; INTRODUCTION] = [
            format!("market   {}: {}", about.source, pairs.join(", ")),
            format!("account  {}{kept}", about.account),
            format!("profile  {}: queue {}, latency {}", of("profile"), of("queue"), of("latency")),
        ];
        about.notes.splice(0..0, intro);
    }

    fn settings_words(&self, config: &SimConfig, market_delay: Duration) -> Vec<(&'static str, String)> {
        let mut words = vec![
            ("profile", self.sim.profile.name().to_owned()),
            ("queue", queue_words(config.queue)),
            ("latency", latency_words(&config.latency)),
        ];
        if !market_delay.is_zero() {
            words.push(("delay", format!("market orders are kept back for {} s", market_delay.as_secs())));
        }
        if config.public_market == crate::sim::PublicMarket::Tape {
            words.push(("public", "the raw tape, without paper orders".to_owned()));
        }
        words.push(("seed", config.seed.to_string()));
        words
    }
}

/// The line of a connector that can be used.
fn usable(name: &str) -> Result<&'static Line, DeskError> {
    connectors::usable_connector(name).map_err(|error| match error {
        connectors::ConnectorError::Unknown { .. } => DeskError::usage(error.to_string()),
        _ => DeskError::failed(error.to_string()),
    })
}

/// Moves to the first instant at which the chosen books can be believed; the pair that `[PAIR]` defaults to.
fn first_book(
    paper: &mut PaperExchange,
    chosen: &[Pair],
    live: Option<&LiveMarket>,
) -> Result<Option<Pair>, DeskError> {
    let names = std::sync::Arc::clone(paper.names());
    let with_book: Vec<InstrumentId> = (0_u32..)
        .map(InstrumentId)
        .take(names.instruments().len())
        .filter(|id| paper.sim().market(*id).is_some_and(|market| !market.depth.is_thin()))
        .collect();
    let wanted: Vec<InstrumentId> = chosen
        .iter()
        .filter_map(|pair| names.find(pair))
        .map(|(id, _)| id)
        .filter(|id| with_book.contains(id))
        .collect();
    if !wanted.is_empty() {
        let missing = paper.run_until_trusted(&wanted)?;
        if let Some(pair) =
            missing.first().and_then(|id| names.instrument(*id)).map(|instrument| &instrument.pair)
        {
            return Err(DeskError::failed(match live {
                Some(live) => without_book(live),
                None => format!(
                    "the source has no book of {pair}; leave out --pair {pair}, or add a file that has it"
                ),
            }));
        }
        return Ok(chosen.first().cloned());
    }
    let any = |paper: &PaperExchange| with_book.iter().copied().find(|id| paper.sim().is_trusted(*id));
    let until = paper.patience();
    paper.run_until(until, |paper| with_book.is_empty() || any(paper).is_some())?;
    let first = any(paper).or_else(|| chosen.first().and_then(|pair| names.find(pair)).map(|(id, _)| id));
    if let (None, Some(live)) = (first, live) {
        return Err(DeskError::failed(without_book(live)));
    }
    if first.is_some() {
        let until = paper.now().plus(if live.is_some() { LIVE_PATIENCE } else { PATIENCE });
        paper.run_until(until, |paper| with_book.iter().all(|id| paper.sim().is_trusted(*id)))?;
    }
    let first = first.unwrap_or_default();
    Ok(names.instrument(first).map(|instrument| instrument.pair.clone()))
}

/// No book came from a live market: why, as far as it is known, and what to do instead.
fn without_book(live: &LiveMarket) -> String {
    let trouble = live.handle.health().into_iter().find_map(|socket| socket.trouble);
    let why = trouble.map(|trouble| format!(" ({trouble})")).unwrap_or_default();
    format!("{}{why}", live.instead)
}

/// The clock and the state of live sockets, as a paper exchange wants them: those of one market, or of several beside
/// each other.
struct LiveWall(Vec<LiveHandle>);

/// How long one of several markets is waited for before the others are looked at.
const TURN: Duration = Duration::from_millis(5);

impl Wall for LiveWall {
    fn now(&self) -> Timestamp {
        self.0.iter().map(LiveHandle::now).max().unwrap_or_default()
    }

    fn wait(&self, most: Duration) {
        match &self.0[..] {
            [one] => one.wait(most),
            several => several.iter().for_each(|one| one.wait(most.min(TURN))),
        }
    }

    fn is_connected(&self) -> bool {
        self.0.iter().all(LiveHandle::is_connected)
    }

    fn is_ready(&self) -> bool {
        self.0.iter().all(LiveHandle::is_ready)
    }
}

/// How a venue words refusals, as a plain function.
fn native_of(venue: &dyn Venue) -> Option<NativeRefusal> {
    fn words(venue: &dyn Venue, reason: RejectReason, instrument: Option<&Instrument>) -> Option<String> {
        let error = venue.refusal(&Refused { reason, instrument, kind: None, side: None });
        Some(format!("{} {}: {}", venue.name(), error.code, error.message))
    }
    match venue.name() {
        "bitmart" => Some(|reason, instrument| words(&crate::venue::bitmart::Bitmart, reason, instrument)),
        "bitget" => Some(|reason, instrument| words(&crate::venue::bitget::Bitget, reason, instrument)),
        "phemex" => Some(|reason, instrument| words(&crate::venue::phemex::Phemex, reason, instrument)),
        "bitmex" => Some(|reason, instrument| words(&crate::venue::bitmex::Bitmex, reason, instrument)),
        "hitbtc" => Some(|reason, instrument| words(&crate::venue::hitbtc::Hitbtc, reason, instrument)),
        _ => None,
    }
}
