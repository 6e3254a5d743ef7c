//! Recordings into another form: tapes into Tardis CSV and back, with the same events.
//!
//! Frames, versions and checksums of a tape are made anew by the venue's encoder. Never here: what a book makes of the
//! events, another venue's rules (see [`borrow`](super::borrow)).

use std::path::{Path, PathBuf};

use super::csv::{CsvKind, Symbols, TardisWriter, UNKNOWN_QUOTE, WriteError};
use super::merge::{AnySource, Merge};
use super::recording::{Opened, RecordingOptions};
use super::tape::{Direction, TapeHeader, TapeWriter, VERSION};
use crate::market::{FeedStats, Group, Instrument, InstrumentId, Pair, Source, SourceError};
use crate::venue::connectors::{CONNECTORS, Connector, Status};
use crate::venue::{Encoder, Frame, Venue, VenueError};

/// What is to be done.
#[derive(Clone, Default)]
pub struct ConvertOptions {
    /// In whose format; by default the inputs' own.
    pub connector: Option<&'static Connector>,
    /// Only these pairs; all where it is empty.
    pub pairs: Vec<Pair>,
    /// How the inputs are read.
    pub reading: RecordingOptions,
}

/// What was done.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Converted {
    /// What was written.
    pub files: Vec<PathBuf>,
    /// Groups.
    pub messages: u64,
    /// Levels and prints.
    pub events: u64,
    /// Events that the new form cannot say.
    pub left_out: u64,
    /// What was counted while reading.
    pub read: FeedStats,
}

/// A recording that cannot be converted.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// It cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// It cannot be written as CSV.
    #[error(transparent)]
    Csv(#[from] WriteError),
    /// It cannot be written as a tape.
    #[error("{}: {cause}", .file.display())]
    Tape {
        /// Which file.
        file: PathBuf,
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
    /// The venue has no encoder.
    #[error(
        "no frames can be written for {exchange}: {cause}; name a connector whose wire format is wanted: --connector bitmart_paper_trade"
    )]
    Venue {
        /// The exchange of the input.
        exchange: String,
        /// Why.
        cause: VenueError,
    },
    /// Anything else, with what to try.
    #[error("{0}")]
    Refused(String),
}

/// Where it goes to, by the name of OUT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A tape: `.jsonl`, `.jsonl.gz`, `.jsonl.zst`, `-`.
    Tape,
    /// A folder of Tardis CSV: any other name.
    Csv,
}

impl Target {
    /// The form that OUT's name asks for.
    pub fn of(out: &Path) -> Result<Self, ConvertError> {
        let name = out.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        let bare = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(&name);
        let refused = |words: String| Err(ConvertError::Refused(words));
        if out == Path::new("-") || bare.ends_with(".jsonl") {
            return Ok(Self::Tape);
        }
        if [".arrow", ".ipc", ".feather", ".parquet"].iter().any(|end| bare.ends_with(end)) {
            return refused(format!(
                "{}: Arrow and Parquet are not in this build yet; write a folder of CSV or a tape (.jsonl.zst)",
                out.display()
            ));
        }
        if bare.ends_with(".csv") {
            return refused(format!(
                "{}: CSV is written to a folder, one file a kind; name a folder",
                out.display()
            ));
        }
        Ok(Self::Csv)
    }
}

/// Reads `inputs` as one and writes them to `out`. `progress` is told the messages done so far, now and then.
pub fn convert(
    inputs: &[PathBuf],
    out: &Path,
    options: &ConvertOptions,
    progress: &mut dyn FnMut(u64),
) -> Result<Converted, ConvertError> {
    let target = Target::of(out)?;
    let (mut source, exchange, tables) = open(inputs, options)?;
    let mut sink = match target {
        Target::Csv => Sink::Csv(Box::new(TardisWriter::create(out, &exchange)?)),
        Target::Tape => Sink::Tape(Box::new(TapeSink::new(out, &exchange, options)?)),
    };
    let relabel = match options.connector {
        Some(connector) => {
            let family = connector.family();
            Some((connector.venue().map_err(|error| refused(&error))?, family))
        }
        None => None,
    };
    let mut spelled: Vec<Instrument> = Vec::new();
    let mut done = Converted::default();
    while source.advance()?.is_some() {
        while let Some(instrument) = source.instruments().get(spelled.len()) {
            let depth = source.depth(InstrumentId(u32::try_from(spelled.len()).unwrap_or(u32::MAX)));
            let instrument = respell(instrument, relabel)?;
            if let (Sink::Csv(writer), true) = (&mut sink, tables) {
                writer.set_depth(&instrument.symbol, depth);
            }
            spelled.push(instrument);
        }
        let group = source.group();
        let Some(instrument) = spelled.get(group.instrument.index()) else { continue };
        done.messages += 1;
        done.events += group.events.len() as u64;
        match &mut sink {
            Sink::Csv(writer) => writer.write(instrument, &group)?,
            Sink::Tape(tape) => tape.write(instrument, &spelled, &group)?,
        }
        if done.messages.is_multiple_of(1_000) {
            progress(done.messages);
        }
    }
    if done.messages == 0 && !options.pairs.is_empty() {
        let wanted: Vec<String> = options.pairs.iter().map(Pair::to_string).collect();
        return Err(ConvertError::Refused(format!("the inputs have nothing of {}", wanted.join(", "))));
    }
    done.read = source.stats();
    match sink {
        Sink::Csv(writer) => {
            done.left_out = writer.left_out();
            done.files = writer.finish()?;
        }
        Sink::Tape(tape) => {
            tape.finish()?;
            done.files.push(out.to_path_buf());
        }
    }
    Ok(done)
}

fn refused(error: &VenueError) -> ConvertError {
    ConvertError::Refused(error.to_string())
}

/// All inputs as one source, the exchange that they are written as, and whether all of them are CSV.
fn open(inputs: &[PathBuf], options: &ConvertOptions) -> Result<(Merge, String, bool), ConvertError> {
    let symbols = Symbols::of_catalogues();
    if let (Some(connector), [pair]) = (options.connector, &options.pairs[..]) {
        let venue = connector.venue().map_err(|error| refused(&error))?;
        symbols.call_unnamed(connector.exchange, &venue.symbol_of(pair, connector.family()));
    }
    let opened = inputs.iter().map(|file| Opened::open(file, &symbols, &options.reading));
    let opened = opened.collect::<Result<Vec<_>, _>>()?;
    for (file, open) in inputs.iter().zip(&opened) {
        let file = file.display();
        if matches!(open, Opened::Csv(table) if table.kind() == CsvKind::Candles) {
            return Err(ConvertError::Refused(format!(
                "{file}: candles are no trades and no book; no other form has a row for them"
            )));
        }
        if open.is_unnamed() && open.venue().is_none() {
            return Err(ConvertError::Refused(format!(
                "{file} names no exchange and no symbol; --connector and one --pair say what it is"
            )));
        }
    }
    let mut venues: Vec<String> = opened.iter().filter_map(|file| file.venue().map(str::to_owned)).collect();
    venues.dedup();
    let tables = opened.iter().all(|file| matches!(file, Opened::Csv(_)));
    let exchange = match (options.connector, &venues[..]) {
        (Some(connector), _) => connector.exchange.to_owned(),
        (None, [one]) => one.clone(),
        (None, []) => {
            return Err(ConvertError::Refused("the inputs are empty and name no exchange".to_owned()));
        }
        (None, several) => {
            let several = several.join(", ");
            return Err(ConvertError::Refused(format!(
                "the inputs are of several exchanges ({several}); --connector says in whose format they are written"
            )));
        }
    };
    let start = |file: Opened| file.start(&options.reading).map(|source| Box::new(source) as AnySource);
    let sources = opened.into_iter().map(start).collect::<Result<Vec<_>, _>>()?;
    Ok((Merge::of_pairs(sources, options.pairs.clone())?, exchange, tables))
}

/// The instrument with its symbol as the venue spells that of this family.
fn respell(
    instrument: &Instrument,
    to: Option<(&'static dyn Venue, &str)>,
) -> Result<Instrument, ConvertError> {
    let own = |venue: &dyn Venue, family: &str| {
        let product = venue.product_of(&instrument.symbol);
        venue.pair_of(&instrument.symbol).as_ref() == Some(&instrument.pair)
            && product.is_some_and(|product| product.family() == family)
    };
    let Some((venue, family)) = to.filter(|(venue, family)| !own(*venue, family)) else {
        return Ok(instrument.clone());
    };
    if instrument.pair.quote.as_str() == UNKNOWN_QUOTE {
        let symbol = &instrument.symbol;
        return Err(ConvertError::Refused(format!(
            "{symbol}: which pair it is is not known, so {} has no symbol for it",
            venue.name()
        )));
    }
    Ok(Instrument { symbol: venue.symbol_of(&instrument.pair, family), ..instrument.clone() })
}

enum Sink {
    Csv(Box<TardisWriter>),
    Tape(Box<TapeSink>),
}

/// A tape being made. It begins with the first group, whose time its header has.
struct TapeSink {
    out: PathBuf,
    venue: &'static dyn Venue,
    connector: String,
    pairs: Vec<Pair>,
    encoder: Box<dyn Encoder + Send>,
    writer: Option<TapeWriter>,
    frames: Vec<String>,
}

impl TapeSink {
    fn new(out: &Path, exchange: &str, options: &ConvertOptions) -> Result<Self, ConvertError> {
        let venue = crate::venue::venue(exchange)
            .map_err(|cause| ConvertError::Venue { exchange: exchange.to_owned(), cause })?;
        let ready =
            |connector: &&Connector| connector.exchange == exchange && connector.status == Status::Ready;
        let connector = options.connector.or_else(|| CONNECTORS.iter().find(ready));
        Ok(Self {
            out: out.to_path_buf(),
            venue,
            connector: connector.map_or(exchange, |connector| connector.name).to_owned(),
            pairs: options.pairs.clone(),
            encoder: venue.encoder(),
            writer: None,
            frames: Vec::new(),
        })
    }

    fn failed(&self, cause: std::io::Error) -> ConvertError {
        ConvertError::Tape { file: self.out.clone(), cause }
    }

    fn write(
        &mut self,
        instrument: &Instrument,
        all: &[Instrument],
        group: &Group<'_>,
    ) -> Result<(), ConvertError> {
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => TapeWriter::create(&self.out, &self.header(all, Some(group)))
                .map_err(|cause| self.failed(cause))?,
        };
        self.frames.clear();
        self.encoder.encode(instrument, group, &mut self.frames);
        for frame in &self.frames {
            let written = writer.frame(group.receive_time, 0, Direction::In, Frame::Text(frame));
            written.map_err(|cause| self.failed(cause))?;
        }
        self.writer = Some(writer);
        Ok(())
    }

    /// The header; it describes the instruments that the venue's catalogue does not, or not so.
    fn header(&self, all: &[Instrument], first: Option<&Group<'_>>) -> TapeHeader {
        let catalogue = self.venue.catalogue().map(|catalogue| catalogue.entries).unwrap_or_default();
        let described = |instrument: &&Instrument| {
            let same = |known: &Instrument| {
                Instrument { origin: instrument.origin, ..known.clone() } == **instrument
            };
            !catalogue.iter().any(|entry| same(&entry.instrument))
        };
        let pairs: Vec<Pair> = all.iter().map(|instrument| instrument.pair.clone()).collect();
        TapeHeader {
            venue: self.venue.name().to_owned(),
            connector: self.connector.clone(),
            pairs: if pairs.is_empty() { self.pairs.clone() } else { pairs },
            start: first.map(|group| group.receive_time),
            version: VERSION,
            instruments: all.iter().filter(described).cloned().collect(),
        }
    }

    fn finish(mut self) -> Result<(), ConvertError> {
        let writer = match self.writer.take() {
            Some(writer) => writer,
            None => {
                TapeWriter::create(&self.out, &self.header(&[], None)).map_err(|cause| self.failed(cause))?
            }
        };
        writer.finish().map_err(|cause| self.failed(cause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_out_says_the_form() {
        for (name, want) in [
            ("x.jsonl", Ok(Target::Tape)),
            ("x.jsonl.zst", Ok(Target::Tape)),
            ("-", Ok(Target::Tape)),
            ("folder", Ok(Target::Csv)),
            ("folder.d/", Ok(Target::Csv)),
            ("x.csv.gz", Err("name a folder")),
            ("x.parquet", Err("not in this build")),
            ("x.ARROW", Err("not in this build")),
        ] {
            match (Target::of(Path::new(name)), want) {
                (Ok(have), Ok(want)) => assert_eq!(have, want, "{name}"),
                (Err(error), Err(want)) => assert!(error.to_string().contains(want), "{error}"),
                (have, want) => panic!("{name}: {have:?}, not {want:?}"),
            }
        }
    }
}
