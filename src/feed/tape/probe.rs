//! The first look at a tape, before a group is given: whose frames they are, what they speak of, how deep, and which
//! connection has a symbol first.

use std::path::{Path, PathBuf};

use rustc_hash::FxHashMap;
use serde::Deserialize;
use smol_str::SmolStr;

use super::line::{Entry, HeaderLine, LineReader};
use super::{Direction, TapeHeader, TapeOptions, VERSION, rank};
use crate::feed::lines::{self, Lines};
use crate::market::{
    EventLog, FeedDepth, Group, GroupKind, Instrument, MarketEvent, RuleOrigin, SourceError,
};
use crate::venue::catalogue::{self, Catalogue};
use crate::venue::infer::{Inference, ROWS};
use crate::venue::{self, Decoder, Known, Trace, Venue};

/// How far the first look goes at most.
const LINES: u64 = 5_000;
const BYTES: usize = 4 << 20;

/// Lines without any sense before a file is no tape at all.
const SENSELESS: u64 = 20;

/// The header, if there is one, and the venue.
pub(super) fn origin(
    lines: &mut Lines,
    file: &Path,
    options: &TapeOptions,
) -> Result<(Option<TapeHeader>, &'static dyn Venue), SourceError> {
    let fail = |fault: String| SourceError::File { file: file.to_owned(), fault };
    let mut reader = LineReader::default();
    let (mut senseless, mut sense) = (0, false);
    let mut name = None;
    while name.is_none() && lines.held_bytes() < BYTES {
        let line = lines.next_line().map_err(|cause| SourceError::Io { file: file.to_owned(), cause })?;
        let Some(line) = line.filter(|line| line.number <= LINES) else { break };
        match reader.read(line.text) {
            Ok(Entry::Header(header)) => {
                let header = read_header(&header, file)?;
                let named = venue::venue(&header.venue).map_err(|error| fail(error.to_string()))?;
                return Ok((Some(header), options.venue.unwrap_or(named)));
            }
            Ok(Entry::Open { url, .. }) => name = venue::trace(Trace::Url(&url)),
            Ok(Entry::Frame { direction: Direction::In, frame: venue::Frame::Text(text), .. }) => {
                name = venue::trace(Trace::Frame(text));
            }
            Ok(Entry::Frame { .. }) => {}
            Err(_) => senseless += 1,
        }
        sense |= line.number > senseless;
        if !sense && senseless >= SENSELESS {
            break;
        }
    }
    if !sense {
        let fault = if senseless == 0 { "is empty" } else { "is not a tape: no line is a header or a frame" };
        return Err(fail(fault.to_owned()));
    }
    if let Some(venue) = options.venue {
        return Ok((None, venue));
    }
    let of_file = || {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        venue::trace(Trace::File(&name))
    };
    let name = name.or_else(of_file).ok_or_else(|| {
        fail("neither a header nor a frame nor the file's name says which venue this is".to_owned())
    })?;
    venue::venue(name).map(|venue| (None, venue)).map_err(|error| fail(error.to_string()))
}

fn read_header(line: &HeaderLine<'_>, file: &Path) -> Result<TapeHeader, SourceError> {
    let fail = |fault: String| SourceError::File { file: file.to_owned(), fault };
    if line.version > VERSION {
        let version = line.version;
        return Err(fail(format!("tape version {version}; this papertape reads up to version {VERSION}")));
    }
    let entries = match line.instruments {
        Some(list) => Catalogue::read_list(list.get(), file, RuleOrigin::Tape)
            .map_err(|error| fail(format!("header: {}{}", error.place, error.fault)))?,
        None => Vec::new(),
    };
    Ok(TapeHeader {
        venue: line.venue.to_string(),
        connector: line.connector.to_string(),
        pairs: line.pairs.clone(),
        start: line.start,
        version: line.version,
        instruments: entries.into_iter().map(|entry| entry.instrument).collect(),
    })
}

/// The REST replies recorded beside a tape: `x.http.jsonl` for `x.jsonl`, `x.jsonl.zst` and `x.jsonl.gz`.
pub(super) fn replies_beside(tape: &Path) -> Option<PathBuf> {
    let name = tape.file_name()?.to_str()?;
    let stem = name.strip_suffix(".zst").or_else(|| name.strip_suffix(".gz")).unwrap_or(name);
    let path = tape.with_file_name(format!("{}.http.jsonl", stem.strip_suffix(".jsonl")?));
    path.is_file().then_some(path)
}

/// The instruments in recorded REST replies; what cannot be read is passed over.
pub(super) fn read_replies(path: &Path, venue: &dyn Venue) -> Vec<catalogue::Entry> {
    #[derive(Deserialize)]
    struct Reply {
        url: String,
        body: String,
    }
    let mut found = Vec::new();
    let Ok(input) = lines::open(path) else { return found };
    let mut lines = Lines::new(input);
    while let Ok(Some(line)) = lines.next_line() {
        if let Ok(reply) = serde_json::from_slice::<Reply>(line.text) {
            found.extend(venue.reply_instruments(&reply.url, &reply.body));
        }
    }
    found
}

/// What the first look found.
pub(super) struct Found {
    /// All instruments that decoders should know, inferred ones included.
    pub(super) known: Vec<Instrument>,
    /// What the tape speaks of, with its depth: the header's pairs, then in the order of appearance.
    pub(super) instruments: Vec<(Instrument, FeedDepth)>,
    /// The lowest connection of each symbol.
    pub(super) owners: FxHashMap<SmolStr, u64>,
    /// Connections that only repeat what lower ones have.
    pub(super) idle: Vec<u64>,
}

/// Reads the beginning for what must be known before the first group.
pub(super) fn look(
    lines: &mut Lines,
    venue: &'static dyn Venue,
    options: &TapeOptions,
    header: Option<&TapeHeader>,
    known: Vec<Instrument>,
) -> Found {
    let pairs = header.map(|header| header.pairs.as_slice()).unwrap_or_default();
    let of_pair =
        |pair: &crate::market::Pair| known.iter().find(|instrument| instrument.pair == *pair).cloned();
    let declared: Vec<_> = pairs.iter().filter_map(of_pair).collect();
    let all_declared = !pairs.is_empty() && declared.len() == pairs.len();
    let mut look = Look {
        venue,
        known,
        declared,
        connections: Vec::new(),
        symbols: Vec::new(),
        log: EventLog::default(),
    };
    let mut reader = LineReader::default();
    while let Ok(Some(line)) = lines.next_line() {
        if let Ok(Entry::Frame { time, connection, direction: Direction::In, frame }) = reader.read(line.text)
            && options.connection.is_none_or(|only| only == connection)
        {
            look.frame(time, connection, frame);
        }
        let enough = line.number >= LINES || lines.held_bytes() >= BYTES;
        if enough || (all_declared && look.is_settled()) {
            break;
        }
    }
    look.finish()
}

struct Look {
    venue: &'static dyn Venue,
    known: Vec<Instrument>,
    declared: Vec<Instrument>,
    connections: Vec<(u64, Box<dyn Decoder + Send>)>,
    symbols: Vec<Seen>,
    log: EventLog,
}

/// One symbol on one connection.
struct Seen {
    symbol: SmolStr,
    connection: u64,
    snapshot: bool,
    /// What the decoder takes it for.
    instrument: Instrument,
    /// For symbols that nobody described.
    rows: Option<Inference>,
}

impl Look {
    fn frame(&mut self, time: crate::market::Timestamp, connection: u64, frame: venue::Frame<'_>) {
        let place =
            self.connections.iter().position(|(number, _)| *number == connection).unwrap_or_else(|| {
                let known = Known { declared: self.declared.clone(), others: self.known.clone() };
                self.connections.push((connection, self.venue.decoder(known)));
                self.connections.len() - 1
            });
        let decoder = &mut self.connections[place].1;
        self.log.clear();
        // A frame that cannot be read is counted when it is read for good.
        if decoder.decode(time, frame, &mut self.log).is_err() {
            return;
        }
        for group in self.log.iter() {
            let Some(instrument) = decoder.instruments().get(group.instrument.index()) else { continue };
            let seen = seen(&mut self.symbols, instrument, connection);
            seen.snapshot |= group.kind == GroupKind::Snapshot;
            if let Some(rows) = &mut seen.rows {
                note(rows, instrument, &group);
            }
        }
    }

    /// Whether the book of everything the header names has been seen, and nothing else needs a longer look.
    fn is_settled(&self) -> bool {
        let has_book = |instrument: &Instrument| {
            self.symbols.iter().any(|seen| seen.snapshot && seen.symbol == instrument.symbol)
        };
        self.declared.iter().all(has_book) && self.symbols.iter().all(|seen| seen.rows.is_none())
    }

    fn finish(mut self) -> Found {
        let mut owners = FxHashMap::default();
        for seen in &self.symbols {
            let owner = owners.entry(seen.symbol.clone()).or_insert(seen.connection);
            *owner = seen.connection.min(*owner);
        }
        let mut idle: Vec<_> = self.symbols.iter().map(|seen| seen.connection).collect();
        idle.retain(|connection| owners.values().all(|owner| owner != connection));
        idle.dedup();
        for seen in &self.symbols {
            let first = &seen.instrument;
            if owners[&seen.symbol] != seen.connection || self.known.iter().any(|i| i.symbol == seen.symbol) {
                continue;
            }
            match seen.rows {
                // The rows say the steps; pair and product are the decoder's.
                Some(rows) if rows.rows() > 0 => {
                    let settled = rows.finish(&seen.symbol, first.pair.clone());
                    self.known
                        .extend(settled.map(|settled| Instrument { product: first.product, ..settled }));
                }
                // Known by another spelling or by a frame, or nothing but a break was told of it.
                _ => self.known.push(first.clone()),
            }
        }
        let mut instruments: Vec<(Instrument, FeedDepth)> = Vec::new();
        let spoken_of = self.symbols.iter().map(|seen| seen.symbol.clone());
        for symbol in self.declared.iter().map(|declared| declared.symbol.clone()).chain(spoken_of) {
            let settled = self.known.iter().find(|known| known.symbol == symbol);
            if let Some(instrument) =
                settled.filter(|_| instruments.iter().all(|(other, _)| other.symbol != symbol))
            {
                instruments.push((instrument.clone(), self.depth(&symbol)));
            }
        }
        Found { known: self.known, instruments, owners, idle }
    }

    fn depth(&self, symbol: &str) -> FeedDepth {
        let depths = self.connections.iter().filter_map(|(_, decoder)| {
            let place = decoder.instruments().iter().position(|instrument| instrument.symbol == symbol)?;
            Some(decoder.depth(crate::market::InstrumentId(u32::try_from(place).ok()?)))
        });
        depths.max_by_key(|depth| rank(*depth)).unwrap_or(FeedDepth::Prints)
    }
}

fn seen<'s>(symbols: &'s mut Vec<Seen>, instrument: &Instrument, connection: u64) -> &'s mut Seen {
    let same = |seen: &Seen| seen.connection == connection && seen.symbol == instrument.symbol;
    let place = symbols.iter().position(same).unwrap_or_else(|| {
        let inferred = instrument.origin == RuleOrigin::Inferred;
        let rows = inferred.then(Inference::default);
        let (symbol, instrument) = (instrument.symbol.clone(), instrument.clone());
        symbols.push(Seen { symbol, connection, snapshot: false, instrument, rows });
        symbols.len() - 1
    });
    &mut symbols[place]
}

fn note(rows: &mut Inference, instrument: &Instrument, group: &Group<'_>) {
    for event in group.events {
        let (price, qty) = match *event {
            MarketEvent::Level { price, qty, .. } => (price, qty),
            MarketEvent::Trade(print) => (print.price, print.qty),
            MarketEvent::Distrust
            | MarketEvent::Trading(_)
            | MarketEvent::Candle(_)
            | MarketEvent::News(_) => continue,
        };
        if rows.rows() < ROWS {
            let (price, qty) =
                (instrument.show_price(price).to_string(), instrument.show_qty(qty).to_string());
            rows.note(price.as_bytes(), qty.as_bytes());
        }
    }
}
