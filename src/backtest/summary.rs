//! `summary.json`: what a run came to, in one object.

use std::collections::BTreeMap;
use std::io::Write;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::Serialize;

use super::hands::ACCOUNT;
use super::lane::Lane;
use super::tally::asset_name;
use super::{BacktestError, Finished, report};
use crate::market::decimal::{Plain, decimal_of};
use crate::market::{FeedStats, Product, Side, Timestamp};
use crate::sim::{QueueModel, SimStats};
use crate::strategy::{MarketId, Trading};

/// What a run was made from, in words that its results do not say.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Described {
    /// The files and markets, with hashes of their contents.
    pub source: Vec<SourceEntry>,
    /// The seed of everything random.
    pub seed: u64,
    /// The profile's name.
    pub profile: String,
    /// The queue model as it is typed; `bands` for three runs.
    pub queue: String,
    /// Latency in words.
    pub latency: String,
    /// `receive` or `exchange`.
    pub clock: String,
    /// Where fee rates come from.
    pub fee_source: String,
    /// What the user should know: a borrowed market, inferred rules.
    pub notes: Vec<String>,
}

/// A file or a made market.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourceEntry {
    /// The file's name without folders, or the market in words.
    pub name: String,
    /// XXH3 (64 bit) of the file's bytes; `None` for what is no file.
    pub xxh3: Option<String>,
}

/// How fast it went. The only thing that differs between two runs of the same.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Pace {
    /// Seconds on the wall.
    pub wall_seconds: f64,
    /// Events in a second.
    pub events_per_second: f64,
}

/// What one run came to. Amounts are exact decimals; ratios and percentages are statistics.
#[derive(Clone, Debug, Serialize)]
pub struct Results {
    /// Orders that were sent.
    pub orders_created: u64,
    /// Orders that filled whole.
    pub orders_filled: u64,
    /// Orders that ended before.
    pub orders_cancelled: u64,
    /// Orders that were refused.
    pub orders_rejected: u64,
    /// How many were refused for which reason; left out where none was.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub rejections: BTreeMap<&'static str, u64>,
    /// Fills.
    pub fills: u64,
    /// Fills as maker.
    pub maker_fills: u64,
    /// Fills as taker.
    pub taker_fills: u64,
    /// How many fills rest on which evidence; left out where there is no fill.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub evidence: BTreeMap<&'static str, u64>,
    /// Traded of the first pair, in its quantity unit.
    pub volume_base: String,
    /// Traded of all pairs with the first pair's quote, in quote: price × amount of spot, what contracts are worth.
    /// Contracts that settle in neither base nor quote are left out.
    pub volume_quote: String,
    /// Fees by asset, positive where they were paid.
    pub fees: BTreeMap<String, String>,
    /// Funding received less paid; spot has none.
    pub funding: String,
    /// What funding was paid in, where that is one asset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub funding_asset: Option<String>,
    /// How many payments of funding that were; left out where there was none.
    #[serde(skip_serializing_if = "is_zero")]
    pub funding_payments: u64,
    /// Positions, or parts of them, that were liquidated; left out where there was none.
    #[serde(skip_serializing_if = "is_zero")]
    pub liquidations: u64,
    /// Equity at the start.
    pub start_value: Option<Decimal>,
    /// Equity at the end.
    pub end_value: Option<Decimal>,
    /// End less start.
    pub net_pnl: Option<Decimal>,
    /// (end − start) / start, percent.
    pub return_pct: Option<f64>,
    /// The largest fall of equity from a peak, percent of the peak.
    pub max_drawdown_pct: Option<f64>,
    /// Mean over sample deviation of interval returns, a year of 365 days.
    pub sharpe: Option<f64>,
    /// The same over negative returns with target 0.
    pub sortino: Option<f64>,
    /// Won over lost, of quantities closed first in, first out, after fees; of contracts in what they settle in.
    pub profit_factor: Option<f64>,
    /// The share of closed quantities that earned something.
    pub win_rate: Option<f64>,
    /// The largest position of the first pair, long or short.
    pub max_position: String,
    /// The position of the first pair at the end: bought less sold.
    pub position: String,
    /// volume_quote / start_value.
    pub turnover: Option<f64>,
    /// Samples of equity.
    pub equity_samples: u64,
    /// The best bid of the first pair's tape at the end.
    pub best_bid: Option<String>,
    /// The best ask of the first pair's tape at the end.
    pub best_ask: Option<String>,
    /// The hash of the whole state at the end.
    pub state_hash: String,
}

/// `summary.json`.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// The first connector.
    pub connector: String,
    /// All of them.
    pub connectors: Vec<String>,
    /// The first pair.
    pub pair: String,
    /// All of them.
    pub pairs: Vec<String>,
    /// What amounts of the first pair are counted in: its base, or `contracts`.
    pub amount_unit: String,
    /// What values, and `volume_quote`, are in: the first pair's quote.
    pub quote_asset: String,
    /// Whether the first pair is a contract: it has positions.
    #[serde(skip)]
    pub is_contract: bool,
    #[serde(flatten)]
    described: Described,
    /// The strategy.
    pub strategy: String,
    /// All of its parameters.
    pub parameters: BTreeMap<String, String>,
    /// Whether it was stopped before the market's end.
    pub partial: bool,
    /// When the strategy began, in the market's time.
    pub started: Option<String>,
    /// When the market ended.
    pub ended: String,
    /// Levels and prints that were played.
    pub events: u64,
    /// Messages that were played.
    pub messages: u64,
    #[serde(flatten)]
    results: Results,
    /// Rows that were earlier than the clock.
    pub time_went_back: u64,
    /// Breaks in the market's sequence.
    pub gaps: u64,
    /// What else was counted while reading.
    pub feed: FeedStats,
    /// Assets that have no price in the first pair's quote and are not in its values.
    pub unpriced: Vec<String>,
    /// The queue models' results beside each other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bands: Option<BTreeMap<&'static str, Results>>,
    #[serde(flatten)]
    pace: Pace,
}

impl Results {
    /// How many orders were refused, with the reasons: `3 refused (2 insufficient balance, 1 …)`.
    pub fn refused(&self) -> String {
        match counts(&self.rejections) {
            none if none.is_empty() => format!("{} refused", self.orders_rejected),
            some => format!("{} refused ({some})", self.orders_rejected),
        }
    }

    /// How many fills there were, and on which evidence: `3 (2 maker, 1 taker; evidence: 2 print, 1 book)`.
    pub fn filled(&self) -> String {
        let each = format!("{} maker, {} taker", self.maker_fills, self.taker_fills);
        match counts(&self.evidence) {
            none if none.is_empty() => format!("{} ({each})", self.fills),
            some => format!("{} ({each}; evidence: {some})", self.fills),
        }
    }
}

/// How often what was seen, the most frequent first: `2 print, 1 book`.
fn counts(seen: &BTreeMap<&'static str, u64>) -> String {
    let mut each: Vec<(&str, u64)> = seen.iter().map(|(name, count)| (*name, *count)).collect();
    each.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    each.into_iter().map(|(name, count)| format!("{count} {name}")).collect::<Vec<_>>().join(", ")
}

impl Summary {
    /// What the run came to.
    pub fn results(&self) -> &Results {
        &self.results
    }

    /// What it was made from.
    pub fn described(&self) -> &Described {
        &self.described
    }

    /// How fast it went.
    pub fn pace(&self) -> Pace {
        self.pace
    }
}

fn band(queue: QueueModel) -> &'static str {
    match queue {
        QueueModel::Front => "front",
        QueueModel::Conservative => "conservative",
        QueueModel::Probabilistic(_) => "probabilistic",
        QueueModel::Exact => "exact",
    }
}

fn float(value: Decimal) -> Option<f64> {
    value.to_f64()
}

impl Finished {
    /// What was played, of the first run.
    pub fn stats(&self) -> SimStats {
        let mut sum = SimStats::default();
        for venue in self.lanes.first().into_iter().flat_map(|lane| &lane.hands.venues) {
            let stats = venue.sim.stats();
            sum.groups += stats.groups;
            sum.events += stats.events;
        }
        sum
    }

    /// Whether it was stopped before the market's end.
    pub fn is_partial(&self) -> bool {
        self.partial
    }

    /// What it came to. `wall_seconds` is how long it took.
    pub fn summary(&self, described: Described, wall_seconds: f64) -> Summary {
        let events = self.stats().events;
        let rate = if wall_seconds > 0.0 { events as f64 / wall_seconds } else { 0.0 };
        let pace = Pace { wall_seconds, events_per_second: rate.round() };
        let results: Vec<Results> = self.lanes.iter().map(|lane| self.results_of(lane)).collect();
        let bands = (self.lanes.len() > 1).then(|| {
            self.lanes
                .iter()
                .map(|lane| band(lane.queue))
                .zip(results.iter().cloned())
                .collect::<BTreeMap<_, _>>()
        });
        let lane = &self.lanes[0];
        let markets = lane.hands.markets();
        let mut connectors: Vec<String> = markets.iter().map(|market| market.connector.to_string()).collect();
        connectors.dedup();
        let first = markets.get(lane.hands.first().index());
        let pair = first.map(|market| market.instrument.pair.to_string()).unwrap_or_default();
        Summary {
            connector: first.map(|market| market.connector.to_string()).unwrap_or_default(),
            connectors,
            pair,
            pairs: markets.iter().map(|market| market.instrument.pair.to_string()).collect(),
            amount_unit: first.map(|market| market.instrument.unit().to_owned()).unwrap_or_default(),
            quote_asset: first.map(|market| market.instrument.pair.quote.to_string()).unwrap_or_default(),
            is_contract: first.is_some_and(|market| market.instrument.product != Product::Spot),
            described,
            strategy: self.strategy.name.to_owned(),
            parameters: self.values.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect(),
            partial: self.partial,
            started: lane.started.map(|time| time.to_string()),
            ended: self.ended.to_string(),
            events,
            messages: self.feed.messages,
            results: results[0].clone(),
            time_went_back: self.feed.time_went_back,
            gaps: self.feed.gaps,
            feed: self.feed,
            unpriced: lane.unpriced.iter().map(ToString::to_string).collect(),
            bands,
            pace,
        }
    }

    fn results_of(&self, lane: &Lane) -> Results {
        let (tally, equity, first) = (&lane.tally, &lane.equity, lane.hands.first());
        let closed = tally.closed(first);
        let year = 365.0 * 86_400e9;
        let intervals = year / self.interval.as_nanos() as f64;
        let (volume_quote, funding) = (volume_quote(lane), funding(lane));
        let at_best = |side| {
            let (venue, id) = lane.hands.place_of(first)?;
            let price = venue.sim.book(id)?.best_price(side)?;
            Some(venue.sim.market(id)?.instrument.show_price(price).to_string())
        };
        let scale = lane.hands.markets().get(first.index()).map_or(0, |market| market.instrument.qty_scale);
        let start = equity.first.filter(|first| !first.is_zero());
        Results {
            orders_created: tally.sent,
            orders_filled: tally.filled,
            orders_cancelled: tally.cancelled,
            orders_rejected: tally.rejected,
            rejections: tally.reasons.clone(),
            fills: tally.fills,
            maker_fills: tally.makers,
            taker_fills: tally.fills - tally.makers,
            evidence: tally.evidence.clone(),
            volume_base: Plain::new(tally.volumes(first).0, scale).to_string(),
            volume_quote: volume_quote.normalize().to_string(),
            fees: fees(lane),
            funding: funding_words(&funding),
            funding_asset: funding.keys().next().filter(|_| funding.len() == 1).cloned(),
            funding_payments: tally.payments,
            liquidations: lane.tally.liquidations,
            start_value: equity.first,
            end_value: equity.first.map(|_| equity.last),
            net_pnl: equity.first.map(|first| (equity.last - first).normalize()),
            return_pct: equity.return_pct().and_then(float),
            max_drawdown_pct: equity.max_drawdown_pct().and_then(float),
            sharpe: equity.sharpe(intervals),
            sortino: equity.sortino(intervals),
            profit_factor: closed.profit_factor().and_then(float),
            win_rate: closed.win_rate().and_then(float),
            max_position: Plain::new(tally.max_position(first), scale).to_string(),
            position: Plain::new(tally.position(first), scale).to_string(),
            turnover: start
                .and_then(|start| volume_quote.checked_div(start))
                .map(|turnover| turnover.round_dp(12).normalize())
                .and_then(float),
            equity_samples: equity.samples,
            best_bid: at_best(Side::Buy),
            best_ask: at_best(Side::Sell),
            state_hash: state_hash(lane),
        }
    }

    /// Writes the summary and the page, and gives the folder its name. Without a folder there is nothing to do.
    pub fn finish(mut self, summary: &Summary) -> Result<(), BacktestError> {
        let Some((folder, place)) = self.folder.take() else { return Ok(()) };
        let failed = |cause| BacktestError::Folder { folder: place.clone(), cause };
        if let Some(files) = self.lanes[0].files.take() {
            files.finish().map_err(failed)?;
        }
        let write = |name: &str, text: &[u8]| {
            std::fs::File::create_new(folder.file(name))
                .and_then(|mut file| file.write_all(text))
                .map_err(failed)
        };
        let mut text = serde_json::to_vec_pretty(summary).map_err(|error| failed(error.into()))?;
        text.push(b'\n');
        write("report.html", report::page(summary, &self.lanes[0]).as_bytes())?;
        write("summary.json", &text)?;
        folder.finish().map_err(failed)
    }

    /// When the market ended.
    pub fn ended(&self) -> Timestamp {
        self.ended
    }
}

/// Of all markets with the first one's quote.
fn volume_quote(lane: &Lane) -> Decimal {
    let markets = lane.hands.markets();
    let quote = markets.get(lane.hands.first().index()).map(|market| &market.instrument.pair.quote);
    let of = |(market, id): (&crate::strategy::TradedMarket, u32)| {
        if Some(&market.instrument.pair.quote) != quote {
            return None;
        }
        let (venue, _) = lane.hands.place_of(MarketId(id))?;
        let asset = venue.sim.asset_index(&market.instrument.pair.quote)?;
        decimal_of(lane.tally.volumes(MarketId(id)).1, venue.sim.asset_scale(asset))
    };
    markets.iter().zip(0_u32..).filter_map(of).fold(Decimal::ZERO, Decimal::saturating_add)
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Funding received less paid, by asset.
fn funding(lane: &Lane) -> BTreeMap<String, Decimal> {
    let mut sums: BTreeMap<String, Decimal> = BTreeMap::new();
    for (at, venue) in lane.hands.venues.iter().enumerate() {
        for (asset, sum) in (0_u16..).zip(lane.tally.funding(at)).filter(|(_, sum)| !sum.is_zero()) {
            let amount = decimal_of(sum.0, venue.sim.asset_scale(asset)).unwrap_or_default();
            *sums.entry(asset_name(&venue.sim, asset).to_owned()).or_default() += amount;
        }
    }
    sums
}

/// An amount where it is in one asset, else each amount with its asset.
fn funding_words(sums: &BTreeMap<String, Decimal>) -> String {
    match sums.len() {
        0 => "0".to_owned(),
        1 => sums.values().map(|sum| sum.normalize().to_string()).collect(),
        _ => {
            let each = sums.iter().map(|(asset, sum)| format!("{} {asset}", sum.normalize()));
            each.collect::<Vec<_>>().join(", ")
        }
    }
}

fn fees(lane: &Lane) -> BTreeMap<String, String> {
    let mut sums: BTreeMap<String, Decimal> = BTreeMap::new();
    for (at, venue) in lane.hands.venues.iter().enumerate() {
        for (asset, paid) in (0_u16..).zip(lane.tally.fees(at)).filter(|(_, paid)| !paid.is_zero()) {
            let paid = decimal_of(paid.0, venue.sim.asset_scale(asset)).unwrap_or(Decimal::MAX);
            let sum = sums.entry(asset_name(&venue.sim, asset).to_owned()).or_default();
            *sum = sum.saturating_add(paid);
        }
    }
    sums.into_iter().map(|(asset, paid)| (asset, paid.normalize().to_string())).collect()
}

/// The exchange's hash; of several, a hash over theirs.
fn state_hash(lane: &Lane) -> String {
    let hashes: Vec<u64> = lane.hands.venues.iter().map(|venue| venue.sim.state_hash()).collect();
    let hash = match hashes.as_slice() {
        [one] => *one,
        all => {
            let mut whole = xxhash_rust::xxh3::Xxh3::new();
            all.iter().for_each(|hash| whole.update(&hash.to_le_bytes()));
            whole.digest()
        }
    };
    format!("{hash:016x}")
}

/// What the account has at the end, by connector and asset: for the page and for people.
pub(super) fn balances(lane: &Lane) -> Vec<(String, String, Decimal)> {
    let mut rows = Vec::new();
    for venue in &lane.hands.venues {
        let market = MarketId(venue.markets.start);
        let name = lane.hands.markets().get(market.index()).map(|market| market.connector.to_string());
        for (index, asset) in (0_u16..).zip(venue.sim.assets()) {
            let total = venue.sim.balance(ACCOUNT, index).total;
            let amount = decimal_of(total.0, venue.sim.asset_scale(index)).unwrap_or(Decimal::MAX);
            rows.push((name.clone().unwrap_or_default(), asset.to_string(), amount.normalize()));
        }
    }
    rows
}
