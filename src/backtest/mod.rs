//! Backtests: strategies over recorded markets in virtual time, and what came of it.
//!
//! [`run`] plays the sources of all connectors on one clock, as fast as they can be read. Orders go to the simulated
//! exchanges as requests with latency; the strategy sees what has come back to it. With several queue models each is a run
//! of its own, in one pass over the data.
//!
//! Never here: matching and accounting (that is `sim`), what a strategy does (that is `strategy`), the clock of the wall.
//! Start at [`run`]; `lane` is one run, `hands` what its trader sees and does, `files` the tables.

pub mod files;
mod folder;
mod hands;
mod lane;
mod lots;
mod metrics;
mod outbox;
mod report;
mod summary;
mod tally;
mod view;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rust_decimal::Decimal;
use smol_str::SmolStr;

use crate::feed::batched::Batched;
use crate::feed::merge::AnySource;
use crate::market::decimal::Plain;
use crate::market::{Asset, FeedStats, Pair, Reach, Side, SourceError, Timestamp};
use crate::order::{FillRule, Liquidity};
use crate::sim::{ConfigError, Law, QueueModel, SimConfig, SimulatedExchange};
use crate::strategy::{MarketId, Parameters, StrategyError, StrategyKind, Values};

use files::Files;
use folder::Folder;
use hands::{Hands, Venue};
use lane::{Lane, Schedule};

pub use summary::{Described, Pace, Results, SourceEntry, Summary};

/// A backtest that cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum BacktestError {
    /// A source failed.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// An exchange cannot be simulated.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The strategy cannot run.
    #[error(transparent)]
    Strategy(#[from] StrategyError),
    /// The results cannot be written.
    #[error("{}: {cause}", .folder.display())]
    Folder {
        /// Where.
        folder: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// A table cannot be written.
    #[error("the results cannot be written: {0}")]
    Write(#[from] io::Error),
    /// Anything else, with what to try.
    #[error("{0}")]
    Refused(String),
}

/// One connector of a backtest.
pub struct VenuePlan {
    /// Its name.
    pub connector: SmolStr,
    /// What is simulated.
    pub config: SimConfig,
    /// Where its market comes from; its instruments are those of `config`.
    pub source: AnySource,
    /// How long market orders are kept back before they are sent.
    pub market_delay: Duration,
    /// The pairs that must have a book before the strategy begins; empty: any.
    pub chosen: Vec<Pair>,
    /// What the account starts with.
    pub balances: Vec<(Asset, Decimal)>,
}

/// What is to be run.
pub struct Plan {
    /// The connectors. The run is about the first one's first pair.
    pub venues: Vec<VenuePlan>,
    /// The strategy.
    pub strategy: &'static StrategyKind,
    /// Its parameters as they were typed.
    pub parameters: Parameters,
    /// The queue models; the first one's results are the run's, the others are told beside it.
    pub queues: Vec<QueueModel>,
    /// Whether the trader sees a group at its receive time, later than the exchange.
    pub two_clocks: bool,
    /// The strategy does not begin before this.
    pub from: Option<Timestamp>,
    /// Nothing is played after this.
    pub to: Option<Timestamp>,
    /// How long the market is played before the strategy begins.
    pub warmup: Duration,
    /// The time between two samples of equity; more than zero.
    pub equity_interval: Duration,
    /// The account's name.
    pub account: String,
    /// The folder that results are written to.
    pub out: Option<PathBuf>,
}

/// The queue models of `--queue bands`; the middle one comes first: its results are the run's.
pub const BANDS: [QueueModel; 3] =
    [QueueModel::Probabilistic(Law::Power(2)), QueueModel::Front, QueueModel::Conservative];

/// How far a run is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// The market's time.
    pub now: Timestamp,
    /// Groups played.
    pub groups: u64,
}

/// Whether a run goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Go {
    /// It goes on.
    On,
    /// It ends here, with what there is.
    Stop,
}

/// A sample of equity.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    at: Timestamp,
    equity: Decimal,
    quote: Asset,
    position: Plain,
    mid: Option<Decimal>,
    /// The mark price of a contract; spot has none.
    mark: Option<Decimal>,
    drawdown: Decimal,
}

/// A fill as the page shows it.
#[derive(Clone, Debug)]
pub(crate) struct FillRow {
    at: Timestamp,
    pair: Pair,
    side: Side,
    price: Plain,
    amount: Plain,
    liquidity: Liquidity,
    fee: Plain,
    fee_asset: SmolStr,
    rule: FillRule,
}

/// Groups between two looks at whether the run goes on.
const PATIENCE: u64 = 1 << 14;

/// The source of one connector with its next group's time.
struct Feed {
    groups: Batched,
    head: Option<Timestamp>,
}

/// A run that is over: its results are counted, its folder is not yet in its place.
pub struct Finished {
    lanes: Vec<Lane>,
    feed: FeedStats,
    strategy: &'static StrategyKind,
    values: Vec<(&'static str, String)>,
    interval: Duration,
    ended: Timestamp,
    partial: bool,
    folder: Option<(Folder, PathBuf)>,
}

/// Plays the whole of it. `watch` is told now and then how far it is, and may end it.
pub fn run(mut plan: Plan, watch: &mut dyn FnMut(Progress) -> Go) -> Result<Finished, BacktestError> {
    let values = plan.strategy.values(&plan.parameters)?;
    let folder = plan.out.take().map(|place| begin(&place).map(|folder| (folder, place))).transpose()?;
    let mut lanes = lanes(&plan, &values, folder.as_ref().map(|(folder, _)| folder))?;
    let reach = Reach::until(plan.to.unwrap_or(Timestamp::MAX));
    let mut feeds: Vec<Feed> = Vec::new();
    let mut balances = Vec::new();
    for venue in plan.venues {
        let mut groups = Batched::new(venue.source);
        let head = groups.step(&reach)?;
        feeds.push(Feed { groups, head });
        balances.push(venue.balances);
    }
    let start = feeds.iter().filter_map(|feed| feed.head).min();
    let Some(start) = start else {
        return Err(BacktestError::Refused("the source holds no message".to_owned()));
    };
    for lane in &mut lanes {
        lane.deposit(start, &balances)?;
    }
    let (ended, partial) = play(&mut feeds, &mut lanes, &reach, watch)?;
    let ended = ended.unwrap_or(start);
    for lane in &mut lanes {
        lane.finish(ended)?;
    }
    if lanes.iter().any(|lane| lane.started.is_none()) && !partial {
        return Err(no_start(&lanes, ended));
    }
    let mut feed = FeedStats::default();
    feeds.iter().for_each(|each| feed += each.groups.source().stats());
    let mut values = values.all().to_vec();
    for (key, value) in lanes.first().map(|lane| lane.strategy.settled()).unwrap_or_default() {
        values.iter_mut().filter(|(known, _)| *known == key).for_each(|known| known.1.clone_from(&value));
    }
    let (strategy, interval) = (plan.strategy, plan.equity_interval);
    Ok(Finished { lanes, feed, strategy, values, interval, ended, partial, folder })
}

fn begin(place: &Path) -> Result<Folder, BacktestError> {
    Folder::create(place).map_err(|cause| BacktestError::Folder { folder: place.to_owned(), cause })
}

fn no_start(lanes: &[Lane], ended: Timestamp) -> BacktestError {
    let missing = lanes.first().map(Lane::missing).unwrap_or_default();
    BacktestError::Refused(match missing.first() {
        Some(pair) => {
            format!("the source has no book of {pair}; leave out --pair {pair}, or add a file that has it")
        }
        None => format!("the market ends at {ended}, before the strategy begins (--from, --warmup)"),
    })
}

/// One lane for each queue model; the first one writes the tables.
fn lanes(plan: &Plan, values: &Values, folder: Option<&Folder>) -> Result<Vec<Lane>, BacktestError> {
    let schedule = Schedule { from: plan.from, warmup: plan.warmup, interval: plan.equity_interval };
    let connectors: Vec<SmolStr> = plan.venues.iter().map(|venue| venue.connector.clone()).collect();
    let mut lanes = Vec::new();
    for queue in &plan.queues {
        let (mut venues, mut wanted, mut first) = (Vec::new(), Vec::new(), 0);
        for venue in &plan.venues {
            let sim = SimulatedExchange::new(SimConfig { queue: *queue, ..venue.config.clone() })?;
            let place = Venue::new(sim, first, venue.market_delay, plan.two_clocks);
            for pair in &venue.chosen {
                let markets = venue.config.markets.iter().zip(place.markets.clone());
                let of_pair = markets.filter(|(market, _)| market.instrument.pair == *pair);
                wanted.extend(of_pair.map(|(_, id)| MarketId(id)));
            }
            first = place.markets.end;
            venues.push((venue.connector.clone(), place));
        }
        let files = match folder.filter(|_| lanes.is_empty()) {
            Some(folder) => Some(Files::create(folder, &plan.account, &connectors)?),
            None => None,
        };
        let strategy = plan.strategy.build(values)?;
        lanes.push(Lane::new(*queue, Hands::new(venues), strategy, schedule, wanted, files));
    }
    Ok(lanes)
}

/// The feed whose group is next, if it is not later than `until`, and the first group of the others: its time and its
/// feed. At one time the feed named first comes first.
fn whose_turn(feeds: &[Feed], until: Timestamp) -> Option<(usize, Option<(Timestamp, usize)>)> {
    let heads = feeds.iter().enumerate().filter_map(|(at, feed)| feed.head.map(|head| (head, at)));
    let (_, first) = heads.clone().min().filter(|(now, _)| *now <= until)?;
    Some((first, heads.filter(|(_, at)| *at != first).min()))
}

/// Plays to the end, as far as `reach` or until it is stopped: the time of the last message, and whether it was stopped.
fn play(
    feeds: &mut [Feed],
    lanes: &mut [Lane],
    reach: &Reach,
    watch: &mut dyn FnMut(Progress) -> Go,
) -> Result<(Option<Timestamp>, bool), BacktestError> {
    let (mut last, mut groups) = (None, 0);
    while let Some((at, other)) = whose_turn(feeds, reach.played) {
        let Feed { groups: source, head } = &mut feeds[at];
        let is_due = |now: &Timestamp| *now <= reach.played && other.is_none_or(|other| (*now, at) < other);
        while let Some(now) = head.filter(is_due) {
            let group = source.group();
            for lane in lanes.iter_mut() {
                lane.message(now, at, &group)?;
            }
            last = Some(now);
            groups += 1;
            if groups % PATIENCE == 0 && watch(Progress { now, groups }) == Go::Stop {
                return Ok((last, true));
            }
            // Nothing behind the next look is read before it: a run that ends there counts what it has played.
            let room = usize::try_from(PATIENCE - groups % PATIENCE).unwrap_or(usize::MAX);
            *head = source.step(&Reach { events: reach.events.min(room), ..*reach })?;
        }
    }
    // What is left lies behind that: the market stands still until then.
    let cut = feeds.iter().any(|feed| feed.head.is_some());
    Ok((if cut { last.map(|last| last.max(reach.played)) } else { last }, false))
}
