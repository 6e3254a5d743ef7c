//! `papertape synth`: a seeded synthetic market in a venue's own wire format, or as CSV.

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::UsageError;
use crate::feed::csv::TardisWriter;
use crate::feed::synth::{Crash, DEMO_SEED, SynthConfig, Walk};
use crate::feed::tape::{Direction, TapeHeader, TapeWriter, VERSION};
use crate::market::{Instrument, Pair, RuleOrigin, Source, Timestamp, parse_duration};
use crate::venue::Frame;
use crate::venue::catalogue::Catalogue;
use crate::venue::connectors::{Connector, usable_connector};

/// How much of a market is made where nothing says how much.
const DEFAULT_LENGTH: Duration = Duration::from_secs(3_600);

/// Make a seeded synthetic market in the venue's own wire format or as Tardis CSV
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Whose market, by the connector's name
    #[arg(long, value_name = "NAME")]
    pub connector: String,
    /// A pair to trade; may be repeated [default: the first of the catalogue]
    #[arg(long = "pair", value_name = "BASE-QUOTE")]
    pub pairs: Vec<Pair>,
    /// How many market messages
    #[arg(long, value_name = "N")]
    pub events: Option<u64>,
    /// How much market time, as in 10m [default: 1h, unless --events is given]
    #[arg(long, value_name = "D", value_parser = duration, conflicts_with = "events")]
    pub duration: Option<Duration>,
    /// The seed of everything random
    #[arg(long, value_name = "S", default_value_t = DEMO_SEED)]
    pub seed: u64,
    /// A crash: when, by how much, how fast, as in 10m,-20%,30s
    #[arg(long, value_name = "T,PERCENT,D", allow_hyphen_values = true)]
    pub crash: Option<Crash>,
    /// Let prices wander off instead of coming back
    #[arg(long)]
    pub random_walk: bool,
    /// Instruments in the format of the catalogues
    #[arg(long, value_name = "FILE")]
    pub instruments: Option<PathBuf>,
    /// Where to: a tape (.jsonl, .jsonl.zst, .jsonl.gz; - is standard output), a folder for CSV
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// In which form
    #[arg(long = "as", value_name = "FORM", default_value = "tape")]
    pub form: Form,
}

/// What a market is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// Frames in the venue's own wire format
    Tape,
    /// Tardis CSV, one file a kind
    Csv,
    /// Prepared columns
    Arrow,
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| format!("{text:?} is no length of time (as in 30s, 10m, 1h)"))
}

/// What was written.
struct Written {
    messages: u64,
    last: Timestamp,
}

/// Makes the market and writes it.
pub fn run(args: &Args, out: &mut dyn Write, json: bool) -> Result<(), Box<dyn Error>> {
    let connector = usable_connector(&args.connector)?;
    let config = config(args, connector)?;
    let written = match args.form {
        Form::Tape => write_tape(&config, connector, &args.out)?,
        Form::Csv => write_csv(&config, &args.out)?,
        Form::Arrow => {
            return Err(UsageError("--as arrow is planned; use --as tape or --as csv".to_owned()).into());
        }
    };
    if args.out == Path::new("-") {
        return Ok(());
    }
    let file = args.out.display().to_string();
    let Written { messages, last } = written;
    let pairs: Vec<_> = config.instruments.iter().map(|instrument| instrument.pair.to_string()).collect();
    if json {
        let document = json!({
            "file": file, "connector": connector.name, "pairs": pairs, "seed": config.seed, "messages": messages,
            "started": config.start.to_string(), "ended": last.to_string(),
        });
        writeln!(out, "{document}")?;
    } else {
        let pairs = pairs.join(", ");
        writeln!(
            out,
            "{file}: {messages} messages of {pairs}, {} to {last}, seed {}",
            config.start, config.seed
        )?;
    }
    Ok(())
}

fn config(args: &Args, connector: &Connector) -> Result<SynthConfig, Box<dyn Error>> {
    let described = match &args.instruments {
        Some(file) => read_instruments(file)?,
        None => Vec::new(),
    };
    let config = SynthConfig::new(connector, &args.pairs, &described, args.seed)?;
    let default = args.events.is_none().then_some(DEFAULT_LENGTH);
    Ok(SynthConfig {
        events: args.events,
        duration: args.duration.or(default),
        walk: if args.random_walk { Walk::Random } else { Walk::MeanReverting },
        crash: args.crash,
        ..config
    })
}

fn read_instruments(file: &Path) -> Result<Vec<Instrument>, Box<dyn Error>> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let catalogue = Catalogue::read(&text, file, RuleOrigin::File)?;
    Ok(catalogue.entries.into_iter().map(|entry| entry.instrument).collect())
}

fn write_tape(config: &SynthConfig, connector: &Connector, out: &Path) -> Result<Written, Box<dyn Error>> {
    let catalogue = config.venue.catalogue()?;
    // A pair may be several instruments (spot and a contract): readers find the catalogue's first.
    let unknown = |instrument: &&Instrument| {
        catalogue.pair(&instrument.pair).is_none_or(|entry| entry.instrument.symbol != instrument.symbol)
    };
    let header = TapeHeader {
        venue: config.venue.name().to_owned(),
        connector: connector.name.to_owned(),
        pairs: config.instruments.iter().map(|instrument| instrument.pair.clone()).collect(),
        start: Some(config.start),
        version: VERSION,
        instruments: config.instruments.iter().filter(unknown).cloned().collect(),
    };
    // A closed pipe must stay recognisable: no text is put around it.
    let failed = |error: std::io::Error| -> Box<dyn Error> {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => error.into(),
            _ => format!("{}: {error}", out.display()).into(),
        }
    };
    let bar = progress(config);
    let mut tape = TapeWriter::create(out, &header).map_err(failed)?;
    let mut frames = config.frames();
    let mut written = Written { messages: 0, last: config.start };
    while let Some((time, frame)) = frames.next_frame() {
        tape.frame(time, 0, Direction::In, Frame::Text(frame)).map_err(failed)?;
        written = Written { messages: written.messages + 1, last: time };
        if written.messages.is_multiple_of(4_096) {
            bar.set_position(if config.events.is_some() { written.messages } else { seconds(config, time) });
        }
    }
    tape.finish().map_err(failed)?;
    bar.finish_and_clear();
    Ok(written)
}

/// The market as it is read from its frames, a file a kind and symbol.
fn write_csv(config: &SynthConfig, out: &Path) -> Result<Written, Box<dyn Error>> {
    if out == Path::new("-") {
        return Err(UsageError("--as csv writes a folder, one file a kind; name one".to_owned()).into());
    }
    let bar = progress(config);
    let mut csv = TardisWriter::create(out, config.venue.name())?;
    let mut market = config.market();
    let mut written = Written { messages: 0, last: config.start };
    while let Some(time) = market.advance()? {
        let group = market.group();
        if let Some(instrument) = market.instruments().get(group.instrument.index()) {
            csv.write(instrument, &group)?;
        }
        written = Written { messages: written.messages + 1, last: time };
        if written.messages.is_multiple_of(4_096) {
            bar.set_position(if config.events.is_some() { written.messages } else { seconds(config, time) });
        }
    }
    csv.finish()?;
    bar.finish_and_clear();
    Ok(written)
}

fn seconds(config: &SynthConfig, time: Timestamp) -> u64 {
    u64::try_from(time.nanos_since(config.start) / 1_000_000_000).unwrap_or(0)
}

/// A bar over messages or market seconds; it shows where standard error is a terminal.
fn progress(config: &SynthConfig) -> ProgressBar {
    let length = config.events.or(config.duration.map(|length| length.as_secs()));
    let bar = length.map_or_else(ProgressBar::no_length, ProgressBar::new);
    let style = ProgressStyle::with_template("{wide_bar} {percent}% {eta}");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::tape::{TapeOptions, TapeReader};

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn synth(line: &str) -> Result<String, String> {
        let words = std::iter::once("synth").chain(line.split_whitespace());
        let line = <Line as clap::Parser>::try_parse_from(words).map_err(|error| error.to_string())?;
        let mut out = Vec::new();
        run(&line.args, &mut out, true).map_err(|error| error.to_string())?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_tape_holds_the_market_of_its_seed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tape.jsonl.zst");
        let line = format!(
            "--connector bitmart_paper_trade --pair BTC-USDT --pair ETH-USDT --events 500 --seed 5 --crash 1s,-20%,3s --out {}",
            path.display()
        );
        let said: serde_json::Value = serde_json::from_str(&synth(&line).unwrap()).unwrap();
        assert_eq!((said["messages"].as_u64(), said["seed"].as_u64()), (Some(500), Some(5)));
        let mut tape = TapeReader::open(&path, TapeOptions::default()).unwrap();
        let pairs = ["BTC-USDT".parse().unwrap(), "ETH-USDT".parse().unwrap()];
        let config =
            SynthConfig::new(usable_connector("bitmart_paper_trade").unwrap(), &pairs, &[], 5).unwrap();
        let crash = Some("1s,-20%,3s".parse().unwrap());
        let mut market = SynthConfig { events: Some(500), crash, ..config }.market();
        assert_eq!(tape.instruments(), market.instruments());
        loop {
            let (one, other) = (tape.advance().unwrap(), market.advance().unwrap());
            assert_eq!(one, other);
            assert_eq!(tape.group(), market.group());
            if one.is_none() {
                break;
            }
        }
        assert_eq!(tape.stats(), market.stats());
    }

    #[test]
    fn a_folder_of_csv_holds_a_contracts_news_too() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("csv");
        let line = format!(
            "--connector bitmex_perpetual_paper_trade --pair XBT-USD --duration 5m --seed 5 --crash 1m,-10%,30s --as csv --out {}",
            out.display()
        );
        synth(&line).unwrap();
        let mut names: Vec<String> = std::fs::read_dir(&out)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        let want = ["derivative_ticker", "incremental_book_L2", "liquidations", "trades"];
        assert_eq!(names, want.map(|kind| format!("bitmex_{kind}_2026-01-05_XBTUSD.csv")));
    }

    #[test]
    fn what_cannot_be_made_says_so_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("x.jsonl");
        let bitmart = format!("--connector bitmart_paper_trade --out {}", out.display());
        for (line, want) in [
            (format!("{bitmart} --pair ABC-USDT"), "ABC-USDT is not in the catalogue of bitmart"),
            (format!("{bitmart} --as arrow"), "--as arrow is planned"),
            (format!("{bitmart} --crash 5"), "not a crash"),
            (format!("{bitmart} --instruments no/such.json"), "no/such.json: "),
            (format!("--connector bitmart --out {}", out.display()), "papertape never trades real money"),
            (format!("--connector bitmex_testnet --out {}", out.display()), "bitmex_testnet is planned"),
            ("--connector bitmart_paper_trade --out no/such/dir/x".to_owned(), "no/such/dir/x: "),
        ] {
            let error = synth(&line).unwrap_err();
            assert!(error.contains(want), "{line}: {error}");
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
