//! How a market is simulated, as it is typed: `--queue`, `--latency`, `--fees` and their like.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use rust_decimal::Decimal;
use serde::Deserialize;

use super::DeskError;
use crate::market::decimal::parse_units;
use crate::market::{FundingRate, Pair, Timestamp, parse_duration};
use crate::order::{Leverage, MarginMode, PositionMode};
use crate::sim::{
    BuyFee, FeeSchedule, FeeTier, FlatFee, LatencyModel, LatencySample, Law, PublicMarket, QueueModel, Rate,
    Refill,
};

/// Options of everything that simulates.
#[derive(Clone, Debug, clap::Args)]
pub struct SimArgs {
    /// How a place in the queue moves when a level shrinks without a trade: front, conservative,
    /// probabilistic[:power=N|:log] or exact; `backtest` also takes bands: three runs beside each other
    /// [default: probabilistic, n = 2]
    #[arg(long, value_name = "MODEL", value_parser = queue_choice)]
    pub queue: Option<QueueChoice>,
    /// How long requests and answers travel: none, MS (each way), lognormal:MEDIAN_MS,SIGMA or FILE.csv [default: 10]
    #[arg(long, value_name = "MODEL")]
    pub latency: Option<String>,
    /// Seed of everything random
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// When what paper orders took of a level comes back: new, any or a time such as 5s [default: new]
    #[arg(long, value_name = "RULE", value_parser = refill)]
    pub refill: Option<Refill>,
    /// For how long a print and the shrink of its level look for each other (rules 5 and 6 of docs/fills.md); shorter
    /// where the venue's prints come before or with its book [default: 1s]
    #[arg(long, value_name = "D", value_parser = pairing)]
    pub pairing: Option<Duration>,
    /// What is shown as the public market: simulated (with paper orders) or tape
    #[arg(long, value_name = "WHICH", value_parser = public_market, default_value = "simulated")]
    pub public_market: PublicMarket,
    /// The spread to assume where the market is candles, in basis points: a taker pays half of it
    #[arg(long, value_name = "BP", value_parser = basis_points, default_value = "10")]
    pub assume_spread: Rate,
    /// Leverage of perpetuals that nobody set otherwise [default: the venue's]
    #[arg(long, value_name = "N", value_parser = leverage)]
    pub leverage: Option<Leverage>,
    /// Position mode of perpetuals: one_way or hedge [default: one_way]
    #[arg(long, value_name = "M", value_parser = position_mode)]
    pub position_mode: Option<PositionMode>,
    /// What stands behind positions: cross or isolated [default: the venue's]
    #[arg(long, value_name = "M", value_parser = margin_mode)]
    pub margin: Option<MarginMode>,
    /// Funding rate where the market has none, as a fraction of the position's value (0.0001) [default: 0]
    #[arg(long, value_name = "R", value_parser = funding_rate, allow_hyphen_values = true)]
    pub funding_rate: Option<FundingRate>,
    /// Fee rates: MAKER,TAKER as fractions (0.001,0.0025), or a TOML file
    #[arg(long, value_name = "RATES")]
    pub fees: Option<String>,
    /// What the options above default to
    #[arg(long, value_name = "NAME", default_value = "realistic")]
    pub profile: Profile,
}

/// What the options default to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Profile {
    /// Queue probabilistic with n = 2, 10 ms each way, refill new, the venue's fees.
    #[default]
    Realistic,
    /// As near to Hummingbot's paper mode as our rules go: queue front, no latency, refill any, market orders kept
    /// back for 5 s, Hummingbot's default fees. Not mapped: fills are still bounded by what the tape shows.
    Hummingbot,
}

impl Profile {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Realistic => "realistic",
            Self::Hummingbot => "hummingbot",
        }
    }

    /// Its queue model.
    pub const fn queue(self) -> QueueModel {
        match self {
            Self::Realistic => QueueModel::Probabilistic(Law::Power(2)),
            Self::Hummingbot => QueueModel::Front,
        }
    }

    /// Its refill rule.
    pub const fn refill(self) -> Refill {
        match self {
            Self::Realistic => Refill::New,
            Self::Hummingbot => Refill::Any,
        }
    }

    /// Its latency.
    pub fn latency(self) -> LatencyModel {
        let each_way = Duration::from_millis(10);
        match self {
            Self::Realistic => LatencyModel::Constant { entry: each_way, response: each_way },
            Self::Hummingbot => LatencyModel::None,
        }
    }

    /// How long it keeps market orders back.
    pub const fn market_delay(self) -> Duration {
        match self {
            Self::Realistic => Duration::ZERO,
            Self::Hummingbot => Duration::from_secs(5),
        }
    }
}

/// What `--queue` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueChoice {
    /// One model.
    Model(QueueModel),
    /// The front, the probabilistic and the conservative model, each a run of its own.
    Bands,
}

fn queue_choice(text: &str) -> Result<QueueChoice, String> {
    if text == "bands" { Ok(QueueChoice::Bands) } else { queue(text).map(QueueChoice::Model) }
}

/// Reads `--assume-spread`.
fn basis_points(text: &str) -> Result<Rate, String> {
    // A basis point is 10^-4, a rate counts 10^-9.
    let units = parse_units(text.as_bytes(), 5).map_err(|fault| format!("{text:?} {fault}"))?;
    if (0..1_000_000_000).contains(&units) {
        return Ok(Rate(units));
    }
    Err("from 0 to less than 10000 basis points".to_owned())
}

/// Reads `--queue`.
pub fn queue(text: &str) -> Result<QueueModel, String> {
    let (name, law) = text.split_once(':').map_or((text, None), |(name, law)| (name, Some(law)));
    match (name, law) {
        ("front", None) => Ok(QueueModel::Front),
        ("conservative", None) => Ok(QueueModel::Conservative),
        ("exact", None) => Ok(QueueModel::Exact),
        ("probabilistic", None) => Ok(QueueModel::Probabilistic(Law::Power(2))),
        ("probabilistic", Some("log")) => Ok(QueueModel::Probabilistic(Law::Log)),
        ("probabilistic", Some(law)) => {
            let power =
                law.strip_prefix("power=").and_then(|n| n.parse().ok()).filter(|n| (1..=8).contains(n));
            let power = power.ok_or_else(|| format!("not a law: {law:?} (power=1 … power=8, or log)"))?;
            Ok(QueueModel::Probabilistic(Law::Power(power)))
        }
        _ => Err("one of front, conservative, probabilistic[:power=N|:log], exact".to_owned()),
    }
}

/// A queue model as it is typed.
pub fn queue_words(model: QueueModel) -> String {
    match model {
        QueueModel::Front => "front".to_owned(),
        QueueModel::Conservative => "conservative".to_owned(),
        QueueModel::Exact => "exact".to_owned(),
        QueueModel::Probabilistic(Law::Log) => "probabilistic:log".to_owned(),
        QueueModel::Probabilistic(Law::Power(n)) => format!("probabilistic:power={n}"),
    }
}

fn leverage(text: &str) -> Result<Leverage, String> {
    let times = rust_decimal::Decimal::from_str_exact(text).ok().and_then(Leverage::from_decimal);
    times.ok_or_else(|| "a number such as 10, with at most two decimals".to_owned())
}

fn position_mode(text: &str) -> Result<PositionMode, String> {
    match text {
        "one_way" => Ok(PositionMode::OneWay),
        "hedge" => Ok(PositionMode::Hedge),
        _ => Err("one of one_way, hedge".to_owned()),
    }
}

fn margin_mode(text: &str) -> Result<MarginMode, String> {
    match text {
        "cross" => Ok(MarginMode::Cross),
        "isolated" => Ok(MarginMode::Isolated),
        _ => Err("one of cross, isolated".to_owned()),
    }
}

fn funding_rate(text: &str) -> Result<FundingRate, String> {
    FundingRate::read(text).map_err(|fault| format!("a fraction such as 0.0001: {fault}"))
}

fn refill(text: &str) -> Result<Refill, String> {
    match text {
        "new" => Ok(Refill::New),
        "any" => Ok(Refill::Any),
        _ => parse_duration(text)
            .map(Refill::After)
            .ok_or_else(|| "one of new, any, or a time such as 5s".to_owned()),
    }
}

fn pairing(text: &str) -> Result<Duration, String> {
    let time = parse_duration(text).filter(|time| *time <= Duration::from_secs(60));
    time.ok_or_else(|| "a time of at most a minute, such as 10ms".to_owned())
}

fn public_market(text: &str) -> Result<PublicMarket, String> {
    match text {
        "simulated" => Ok(PublicMarket::Simulated),
        "tape" => Ok(PublicMarket::Tape),
        _ => Err("one of simulated, tape".to_owned()),
    }
}

/// A number of milliseconds, or a time with its unit.
fn millis(text: &str) -> Option<Duration> {
    if text.ends_with(|c: char| c.is_ascii_alphabetic()) {
        return parse_duration(text);
    }
    let nanos = parse_units(text.as_bytes(), 6).ok()?;
    u64::try_from(nanos).ok().map(Duration::from_nanos)
}

/// Reads `--latency`.
pub fn latency(text: &str) -> Result<LatencyModel, DeskError> {
    if text == "none" {
        return Ok(LatencyModel::None);
    }
    if let Some(parameters) = text.strip_prefix("lognormal:") {
        let (median, sigma) = parameters.split_once(',').unwrap_or((parameters, ""));
        let median = millis(median).filter(|median| !median.is_zero());
        let sigma = f64::from_str(sigma).ok().filter(|sigma| sigma.is_finite() && *sigma >= 0.0);
        return match (median, sigma) {
            (Some(median), Some(sigma)) => Ok(LatencyModel::LogNormal { median, sigma: sigma.into() }),
            _ => Err(DeskError::usage(format!(
                "--latency {text}: lognormal:MEDIAN_MS,SIGMA, as in lognormal:20,0.5"
            ))),
        };
    }
    if let Some(each_way) = millis(text) {
        return Ok(LatencyModel::Constant { entry: each_way, response: each_way });
    }
    if text.ends_with(".csv") {
        return measured(Path::new(text)).map(LatencyModel::Measured);
    }
    Err(DeskError::usage(format!(
        "--latency {text}: none, a number of milliseconds, lognormal:MEDIAN_MS,SIGMA or FILE.csv"
    )))
}

/// Reads observed latencies: columns `req_ts,exch_ts,resp_ts` (hftbacktest's), nanoseconds.
fn measured(file: &Path) -> Result<Vec<LatencySample>, DeskError> {
    let fail = |what: String| DeskError::failed(format!("{}: {what}", file.display()));
    let mut csv = csv::Reader::from_path(file).map_err(|error| fail(error.to_string()))?;
    let header = csv.headers().map_err(|error| fail(error.to_string()))?.clone();
    let column = |name: &str| {
        let found = header.iter().position(|title| title.trim() == name);
        found.ok_or_else(|| {
            fail(format!("column {name} is missing (req_ts, exch_ts and resp_ts in nanoseconds)"))
        })
    };
    let columns = [column("req_ts")?, column("exch_ts")?, column("resp_ts")?];
    let mut samples: Vec<LatencySample> = Vec::new();
    for (row, record) in csv.records().enumerate() {
        let line = row + 2;
        let record = record.map_err(|error| fail(error.to_string()))?;
        let mut times = [0_i64; 3];
        for (time, column) in times.iter_mut().zip(columns) {
            let text = record.get(column).unwrap_or_default().trim();
            let number = text.parse();
            *time = number
                .map_err(|_| fail(format!("line {line}, column {}: not a time: {text:?}", column + 1)))?;
        }
        let [sent, arrived, answered] = times.map(Timestamp::from_nanos);
        let between =
            |from: Timestamp, to: Timestamp| u64::try_from(to.nanos_since(from)).map(Duration::from_nanos);
        let (Ok(entry), Ok(response)) = (between(sent, arrived), between(arrived, answered)) else {
            return Err(fail(format!("line {line}: req_ts, exch_ts and resp_ts must not go back")));
        };
        if samples.last().is_some_and(|last| last.sent > sent) {
            return Err(fail(format!("line {line}: rows must be in the order of req_ts")));
        }
        samples.push(LatencySample { sent, entry, response });
    }
    if samples.is_empty() {
        return Err(fail("holds no observation".to_owned()));
    }
    Ok(samples)
}

/// Latency in words.
pub fn latency_words(model: &LatencyModel) -> String {
    let show = |duration: &Duration| {
        format!("{} ms", Decimal::new(i64::try_from(duration.as_micros()).unwrap_or(0), 3).normalize())
    };
    match model {
        LatencyModel::None => "none".to_owned(),
        LatencyModel::Constant { entry, response } if entry == response => {
            format!("{} each way", show(entry))
        }
        LatencyModel::Constant { entry, response } => {
            format!("{} there, {} back", show(entry), show(response))
        }
        LatencyModel::LogNormal { median, sigma } => {
            format!("log-normal, median {} each way, sigma {sigma}", show(median))
        }
        LatencyModel::Measured(samples) => format!("measured, {} observations", samples.len()),
    }
}

/// Fee rates as `--fees` and the settings give them; what is `None` stays as it was.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FeeOverride {
    /// The maker's fraction.
    pub maker: Option<Decimal>,
    /// The taker's fraction.
    pub taker: Option<Decimal>,
    /// Whether a buyer's fee comes out of the base that is bought.
    pub buy_fee_deducted_from_returns: Option<bool>,
    /// Rates by 30-day quote volume.
    pub tiers: Vec<TierLine>,
    /// Fixed amounts for each fill.
    pub flat: Vec<FlatFee>,
    /// The same for single pairs; they win.
    pub pairs: std::collections::BTreeMap<String, FeeOverride>,
}

/// One tier of a fee file.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TierLine {
    /// The 30-day quote volume that is needed.
    pub volume: Decimal,
    /// The maker's fraction.
    pub maker: Decimal,
    /// The taker's fraction.
    pub taker: Decimal,
}

impl FeeOverride {
    /// Reads `--fees`.
    pub fn read(text: &str) -> Result<Self, DeskError> {
        if let Some((maker, taker)) = text.split_once(',') {
            let rate = |text: &str| Decimal::from_str_exact(text.trim()).ok();
            return match (rate(maker), rate(taker)) {
                (Some(maker), Some(taker)) => {
                    Ok(Self { maker: Some(maker), taker: Some(taker), ..Self::default() })
                }
                _ => Err(DeskError::usage(format!(
                    "--fees {text}: MAKER,TAKER as fractions, as in 0.001,0.0025"
                ))),
            };
        }
        let file = PathBuf::from(text);
        let fail = |what: String| DeskError::failed(format!("{}: {what}", file.display()));
        let text = std::fs::read_to_string(&file).map_err(|error| fail(error.to_string()))?;
        toml::from_str(&text).map_err(|error| fail(error.to_string().trim_end().replace('\n', " ")))
    }

    /// Changes a schedule for a pair. `source` is what the new rates are known as.
    pub fn apply(&self, pair: &Pair, fees: &mut FeeSchedule, source: &str) -> Result<(), DeskError> {
        let rate = |rate: Decimal| {
            let small = Rate::from_decimal(rate).filter(|rate| rate.0.abs() < 1_000_000_000);
            small.ok_or_else(|| {
                DeskError::usage(format!(
                    "{source}: {rate} is no fee rate (a fraction below 1, at most 9 decimals)"
                ))
            })
        };
        if let Some(maker) = self.maker {
            fees.maker = rate(maker)?;
        }
        if let Some(taker) = self.taker {
            fees.taker = rate(taker)?;
        }
        if let Some(deducted) = self.buy_fee_deducted_from_returns {
            fees.buy_fee = if deducted { BuyFee::DeductedFromReturns } else { BuyFee::AddedToCost };
        }
        if !self.tiers.is_empty() {
            let tier = |line: &TierLine| {
                Ok(FeeTier { volume: line.volume, maker: rate(line.maker)?, taker: rate(line.taker)? })
            };
            fees.tiers = self.tiers.iter().map(tier).collect::<Result<_, DeskError>>()?;
            fees.tiers.sort_by_key(|tier| tier.volume);
        }
        if !self.flat.is_empty() {
            fees.flat.clone_from(&self.flat);
        }
        fees.source = source.into();
        let own = self.pairs.iter().find(|(name, _)| name.eq_ignore_ascii_case(&pair.to_string()));
        own.map_or(Ok(()), |(_, own)| own.apply(pair, fees, source))
    }
}

/// Hummingbot's default fees: maker, taker, and where a buyer's fee comes from.
pub fn hummingbot_fees(market_name: &str) -> Option<(Rate, Rate, BuyFee)> {
    // Parity page §1.2, the latest row of each.
    let (maker, taker, buy_fee) = match market_name {
        "bitmex" => (1_000, 1_000, BuyFee::AddedToCost),
        "bitmex_perpetual" => (100, 750, BuyFee::AddedToCost),
        "bitmart" => (2_500, 2_500, BuyFee::AddedToCost),
        "bitmart_perpetual" => (200, 600, BuyFee::DeductedFromReturns),
        "phemex_perpetual" => (100, 600, BuyFee::AddedToCost),
        "bitget_perpetual" => (360, 1_000, BuyFee::AddedToCost),
        "hitbtc" => (1_000, 2_500, BuyFee::AddedToCost),
        _ => return None,
    };
    Some((Rate(maker * 1_000), Rate(taker * 1_000), buy_fee))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_as_typed() {
        for (text, want) in [
            ("front", Some(QueueModel::Front)),
            ("conservative", Some(QueueModel::Conservative)),
            ("exact", Some(QueueModel::Exact)),
            ("probabilistic", Some(QueueModel::Probabilistic(Law::Power(2)))),
            ("probabilistic:power=3", Some(QueueModel::Probabilistic(Law::Power(3)))),
            ("probabilistic:log", Some(QueueModel::Probabilistic(Law::Log))),
            ("probabilistic:power=0", None),
            ("probabilistic:power=9", None),
            ("front:log", None),
            ("bands", None),
            ("", None),
        ] {
            assert_eq!(queue(text).ok(), want, "{text}");
            if let Some(model) = want {
                assert_eq!(queue(&queue_words(model)), Ok(model));
            }
        }
    }

    #[test]
    fn latencies_as_typed() {
        let constant = |micros| {
            let each_way = Duration::from_micros(micros);
            LatencyModel::Constant { entry: each_way, response: each_way }
        };
        assert_eq!(latency("none").unwrap(), LatencyModel::None);
        assert_eq!(latency("25").unwrap(), constant(25_000));
        assert_eq!(latency("0.5").unwrap(), constant(500));
        assert_eq!(latency("2s").unwrap(), constant(2_000_000));
        let random = LatencyModel::LogNormal { median: Duration::from_millis(20), sigma: 0.5.into() };
        assert_eq!(latency("lognormal:20,0.5").unwrap(), random);
        for wrong in ["", "fast", "-1", "lognormal:20", "lognormal:0,1", "lognormal:1,-1", "lognormal:1,nan"]
        {
            assert!(latency(wrong).unwrap_err().is_usage(), "{wrong}");
        }
        assert!(latency("nowhere.csv").unwrap_err().to_string().contains("nowhere.csv"));
    }

    #[test]
    fn latencies_as_observed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("observed.csv");
        std::fs::write(&file, "req_ts,exch_ts,resp_ts\n1000,1500,2500\n2000,2100,2300\n").unwrap();
        let LatencyModel::Measured(samples) = latency(file.to_str().unwrap()).unwrap() else { panic!() };
        assert_eq!(samples[0].entry, Duration::from_nanos(500));
        assert_eq!(samples[1].response, Duration::from_nanos(200));
        for (text, want) in [
            ("req_ts,exch_ts\n1,2\n", "column resp_ts is missing"),
            ("req_ts,exch_ts,resp_ts\n1,x,3\n", "line 2, column 2: not a time: \"x\""),
            ("req_ts,exch_ts,resp_ts\n3,2,4\n", "line 2: req_ts, exch_ts and resp_ts must not go back"),
            ("req_ts,exch_ts,resp_ts\n", "holds no observation"),
        ] {
            std::fs::write(&file, text).unwrap();
            let error = latency(file.to_str().unwrap()).unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
        }
    }

    #[test]
    fn fees_as_typed_and_as_a_file() {
        let pair = Pair::new("BTC", "USDT");
        let mut fees = FeeSchedule::flat_rates(Rate(1), Rate(2), "table");
        FeeOverride::read("-0.0001,0.0005").unwrap().apply(&pair, &mut fees, "--fees").unwrap();
        assert_eq!((fees.maker, fees.taker, fees.source.as_str()), (Rate(-100_000), Rate(500_000), "--fees"));
        for wrong in ["0.1", "a,b", "2,2", "0.00000000001,0"] {
            let applied =
                FeeOverride::read(wrong).and_then(|fees_| fees_.apply(&pair, &mut fees.clone(), "--fees"));
            assert!(applied.is_err(), "{wrong}");
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("fees.toml");
        let text =
            "maker = \"0.001\"\nbuy_fee_deducted_from_returns = true\n[pairs.BTC-USDT]\ntaker = \"0.003\"\n";
        std::fs::write(&file, text).unwrap();
        FeeOverride::read(file.to_str().unwrap()).unwrap().apply(&pair, &mut fees, "file").unwrap();
        assert_eq!((fees.maker, fees.taker), (Rate(1_000_000), Rate(3_000_000)));
        assert_eq!(fees.buy_fee, BuyFee::DeductedFromReturns);
    }
}
