//! A connector's live market: its own exchange's sockets, or another's under its rules.
//!
//! Never here: sockets ([`crate::feed::live`]), accounts. Start at [`LivePlan`].

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::lending::Lender;
use super::{Market, NO_SIZE, OpenError, SourceArgs, bound, is_sized, trades};
use crate::feed::borrow::Borrow;
use crate::feed::gauge::Gauge;
use crate::feed::live::list::Lister;
use crate::feed::live::{Clock, LiveFeed, LiveHandle, LiveOptions, LiveSource, MOST_WAITING, Rotate};
use crate::feed::merge::AnySource;
use crate::feed::tape::{TapeHeader, VERSION};
use crate::feed::warnings::Warnings;
use crate::market::{Instrument, Pair, RuleOrigin, Source};
use crate::venue::catalogue::{Catalogue, Entry};
use crate::venue::connectors::{self, Connector};
use crate::venue::live::Hosts;
use crate::venue::{Venue, VenueError};

/// Other hosts than an exchange's own.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct HostArgs {
    /// Another host for the public WebSocket, as in ws://127.0.0.1:9000 (a path wins over the exchange's)
    #[arg(long, value_name = "URL")]
    pub ws_url: Option<String>,
    /// Another host for lists of instruments
    #[arg(long, value_name = "URL")]
    pub rest_url: Option<String>,
}

impl HostArgs {
    fn hosts(&self) -> Result<Hosts, OpenError> {
        let check = |option: &str, url: &Option<String>, schemes: [&str; 2]| match url {
            Some(url) if !schemes.iter().any(|scheme| url.starts_with(scheme)) => {
                let [one, other] = schemes;
                Err(OpenError::Usage(format!("{option} {url:?}: begins with {one} or {other}")))
            }
            _ => Ok(()),
        };
        check("--ws-url", &self.ws_url, ["ws://", "wss://"])?;
        check("--rest-url", &self.rest_url, ["http://", "https://"])?;
        Ok(Hosts { ws: self.ws_url.clone(), rest: self.rest_url.clone() })
    }
}

/// How long an exchange may take to answer; one that has closed, less.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(12), Duration::from_secs(5));

/// What is to be subscribed for a connector, and where.
pub struct LivePlan {
    connector: &'static Connector,
    /// Whose sockets are read: the connector itself, or the lender.
    owner: &'static Connector,
    venue: &'static dyn Venue,
    hosts: Hosts,
    subscribed: Vec<Instrument>,
    declared: Vec<Instrument>,
    entries: Vec<Entry>,
    described: Vec<Instrument>,
    pairs: Vec<Pair>,
    notes: Vec<String>,
}

/// What a plan is made of.
pub struct LiveWish<'a> {
    /// The connector.
    pub connector: &'static Connector,
    /// Whose market is borrowed, as in `hitbtc`.
    pub from: Option<&'a str>,
    /// Only these pairs; none: those of the catalogue.
    pub pairs: Vec<Pair>,
    /// `--instruments`.
    pub instruments: Option<&'a Path>,
    /// Other hosts.
    pub hosts: &'a HostArgs,
    /// Where lists of instruments are kept.
    pub lists: Option<&'a Path>,
    /// Whether a pair whose rules are not known is taken as well.
    pub lenient: bool,
}

/// What is behind a live market.
#[derive(Clone)]
pub struct LiveMarket {
    /// Its sockets.
    pub handle: LiveHandle,
    /// What to tell whoever waits for a book in vain.
    pub instead: String,
}

/// Opens the live market of a connector.
pub(super) fn open(args: &SourceArgs, connector: &'static Connector) -> Result<Market, OpenError> {
    let pairs = args.pair.iter().filter_map(|text| bound(text, ':', connector)).map(str::parse);
    let plan = LivePlan::new(&LiveWish {
        connector,
        from: args.live_from.as_deref().and_then(|text| bound(text, '=', connector)),
        pairs: pairs.collect::<Result<_, _>>()?,
        instruments: args.instruments.as_deref(),
        hosts: &args.hosts,
        lists: args.lists.as_deref(),
        lenient: false,
    })?;
    plan.open()
}

impl LivePlan {
    /// Finds out what is to be subscribed.
    pub fn new(wish: &LiveWish<'_>) -> Result<Self, OpenError> {
        let refused = |error: VenueError| OpenError::Refused(error.to_string());
        let owner = wish.from.map_or(Ok(wish.connector), lender)?;
        let venue = owner.venue().map_err(refused)?;
        let hosts = wish.hosts.hosts()?;
        let mut entries = match wish.instruments {
            Some(file) => {
                let text = std::fs::read_to_string(file)
                    .map_err(|cause| OpenError::Instruments { file: file.to_owned(), cause })?;
                Catalogue::read(&text, file, RuleOrigin::File)?.entries
            }
            None => Vec::new(),
        };
        let described = entries.iter().map(|entry| entry.instrument.clone()).collect();
        let lister = Lister {
            venue,
            families: owner.products,
            hosts: &hosts,
            folder: wish.lists,
            now: Clock::system().now(),
        };
        let (listed, note) = lister.entries();
        entries.extend(listed);
        let mut plan = Self {
            connector: wish.connector,
            owner,
            venue,
            hosts,
            subscribed: Vec::new(),
            declared: Vec::new(),
            entries,
            described,
            pairs: wish.pairs.clone(),
            notes: note.into_iter().collect(),
        };
        if plan.borrows() {
            plan.choose_lent()?;
        } else {
            plan.choose_own(wish.lenient)?;
        }
        Ok(plan)
    }

    fn borrows(&self) -> bool {
        self.owner.name != self.connector.name
    }

    /// The connector's pairs: those that were asked for, else those of the built-in catalogue.
    fn choose_own(&mut self, lenient: bool) -> Result<(), OpenError> {
        let pairs = match self.pairs.is_empty() {
            true => {
                let built_in = self.venue.catalogue()?.entries.into_iter().map(|entry| entry.instrument);
                built_in.filter(|own| trades(self.connector, own)).map(|own| own.pair).collect()
            }
            false => self.pairs.clone(),
        };
        for pair in pairs {
            let own =
                |entry: &&Entry| entry.instrument.pair == pair && trades(self.connector, &entry.instrument);
            let found = self.entries.iter().find(own).map(|entry| entry.instrument.clone());
            match found {
                Some(instrument) if self.knows(&instrument) => {}
                Some(instrument) => {
                    self.subscribed.push(instrument.clone());
                    self.declared.push(instrument);
                }
                None if lenient => {
                    // Its rules are read off its data; for a subscription the symbol is enough.
                    let symbol = self.venue.symbol_of(&pair, self.connector.family());
                    let instrument = Instrument::spot(&symbol, pair, 8, 8);
                    self.subscribed.extend(instrument.ok());
                }
                None => return Err(self.unknown(&pair)),
            }
        }
        Ok(())
    }

    fn knows(&self, instrument: &Instrument) -> bool {
        self.subscribed.iter().any(|other| other.symbol == instrument.symbol)
    }

    fn unknown(&self, pair: &Pair) -> OpenError {
        let (name, exchange) = (self.connector.name, self.owner.exchange);
        OpenError::Refused(format!(
            "{name}: no rules of {pair} are known at {exchange}; --instruments FILE describes it, --rest-url \
             URL names the host of its list"
        ))
    }

    /// What the lender trades of the connector's pairs.
    fn choose_lent(&mut self) -> Result<(), OpenError> {
        let lender = self.lender()?;
        let built_in = self.venue.catalogue()?.entries;
        let usual = |own: &Instrument| built_in.iter().any(|entry| entry.instrument.symbol == own.symbol);
        let mut lent: Vec<Pair> = Vec::new();
        for own in self.entries.iter().map(|entry| entry.instrument.clone()) {
            let described = own.origin == RuleOrigin::File;
            if !trades(self.owner, &own) || (self.pairs.is_empty() && !described && !usual(&own)) {
                continue;
            }
            let Some(to) = lender.lend(&own) else { continue };
            if !lent.contains(&to.pair) {
                lent.push(to.pair);
                self.subscribed.push(own.clone());
                self.declared.push(own);
            }
        }
        match self.pairs.iter().find(|pair| !lent.contains(pair)) {
            Some(pair) => Err(self.unknown(pair)),
            None => Ok(()),
        }
    }

    fn lender(&self) -> Result<Lender, OpenError> {
        let own = self.connector.venue().map_err(|error| OpenError::Refused(error.to_string()))?;
        let rules = own.catalogue()?.entries.into_iter().map(|entry| entry.instrument);
        let rules = rules.filter(|rule| trades(self.connector, rule)).collect();
        Ok(Lender::new(self.described.clone(), rules, self.pairs.clone()))
    }

    /// What the user should know.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Starts the sockets and waits until the exchange answers.
    pub fn start(&self, warnings: Warnings) -> Result<(LiveSource, LiveHandle), OpenError> {
        let started = self.sockets(warnings, |_| Ok(()))?;
        self.wait(&started.1)?;
        Ok(started)
    }

    /// The same, recorded from the first frame on. The file is there only where the exchange answers.
    pub fn start_recorded(
        &self,
        warnings: Warnings,
        file: &Path,
        rotate: Rotate,
    ) -> Result<(LiveSource, LiveHandle), OpenError> {
        let io = |cause| crate::market::SourceError::Io { file: file.to_owned(), cause };
        let started = self.sockets(warnings, |handle| handle.record(file, rotate).map_err(io))?;
        if let Err(error) = self.wait(&started.1) {
            started.1.stop();
            drop(started.1.stop_recording());
            // Nothing is in it but a header.
            let _ = std::fs::remove_file(file);
            return Err(error);
        }
        Ok(started)
    }

    fn wait(&self, handle: &LiveHandle) -> Result<(), OpenError> {
        let closed = self.venue.closed();
        let patience = if closed.is_some() { PATIENCE.1 } else { PATIENCE.0 };
        handle.wait_open(patience).map_err(|trouble| self.silent(&trouble))
    }

    fn sockets(
        &self,
        warnings: Warnings,
        first: impl FnOnce(&LiveHandle) -> Result<(), crate::market::SourceError>,
    ) -> Result<(LiveSource, LiveHandle), OpenError> {
        let header = TapeHeader {
            venue: self.venue.name().to_owned(),
            connector: self.owner.name.to_owned(),
            pairs: self.subscribed.iter().map(|instrument| instrument.pair.clone()).collect(),
            start: None,
            version: VERSION,
            instruments: self.declared.clone(),
        };
        let options = LiveOptions {
            venue: self.venue,
            subscribed: self.subscribed.clone(),
            declared: self.declared.clone(),
            others: self.entries.iter().map(|entry| entry.instrument.clone()).collect(),
            hosts: self.hosts.clone(),
            seed: Clock::system().now().nanos().unsigned_abs(),
            most_waiting: MOST_WAITING,
            warnings,
            header,
        };
        let io = |cause| crate::market::SourceError::Io { file: PathBuf::from("live market"), cause };
        let (feed, source, handle) = LiveFeed::new(options, Clock::system());
        first(&handle)?;
        handle.run(feed).map_err(io)?;
        Ok((source, handle))
    }

    /// The exchange does not answer: what is known of that, and what to do instead.
    fn silent(&self, trouble: &str) -> OpenError {
        OpenError::Refused(self.instead(&format!("its public WebSocket does not answer: {trouble}")))
    }

    /// What to do instead where an exchange says nothing.
    pub fn instead(&self, trouble: &str) -> String {
        let name = self.connector.name;
        let others: Vec<&str> = ["bitget_perpetual", "hitbtc", "phemex_perpetual"]
            .into_iter()
            .filter(|other| self.owner.market_name() != Some(other))
            .collect();
        let others = others.join("|");
        let why = match self.venue.closed() {
            Some(closed) => format!("{closed}; {trouble}"),
            None => trouble.to_owned(),
        };
        format!(
            "{name}: {why}; try --demo, --tape FILE, --csv FILE, or --live-from {others} for another exchange's live market"
        )
    }

    fn open(self) -> Result<Market, OpenError> {
        let warnings = Warnings::default();
        let (source, handle) = self.start(warnings.clone())?;
        let url = handle.health().first().map(|socket| socket.url.clone()).unwrap_or_default();
        let mut notes = self.notes.clone();
        let (connector, exchange) = (self.connector, self.owner.exchange);
        let source: AnySource = match self.borrows() {
            false => Box::new(source),
            true => {
                let lender = self.lender()?;
                let borrow = Borrow::new(Box::new(source), Box::new(move |from| lender.lend(from)))?;
                for instrument in borrow.instruments() {
                    let (pair, name) = (&instrument.pair, connector.name);
                    notes.push(format!(
                        "{pair}: the live market is borrowed from {exchange}; rules and fees are those of {name}"
                    ));
                }
                notes.extend_from_slice(borrow.notes());
                Box::new(borrow)
            }
        };
        let instead = self.instead("no book has come");
        let instruments = source.instruments().to_vec();
        let sized = |instrument: &Instrument| is_sized(connector, instrument);
        let known = |instrument: &Instrument| {
            let own = !self.borrows();
            self.entries.iter().find(|entry| own && entry.instrument.symbol == instrument.symbol)
        };
        let open = |instrument: &Instrument| known(instrument).is_none_or(|entry| entry.tradable);
        let tradable = instruments.iter().map(|own| sized(own) && open(own)).collect();
        let fees = instruments.iter().map(|own| known(own).and_then(|entry| entry.fees)).collect();
        for instrument in instruments.iter().filter(|instrument| !sized(instrument)) {
            notes.push(format!("{}: {NO_SIZE}", instrument.symbol));
        }
        let words = match self.borrows() {
            true => format!("live, borrowed from {exchange} ({url})"),
            false => format!("live ({url})"),
        };
        Ok(Market {
            source,
            fees,
            tradable,
            late_prints: self.venue.late_prints(),
            notes,
            words,
            chosen: self.pairs,
            warnings,
            gauge: Gauge::default(),
            made: Vec::new(),
            live: Some(LiveMarket { handle, instead }),
        })
    }
}

/// The connector whose market is lent, as `--live-from` names it.
fn lender(name: &str) -> Result<&'static Connector, OpenError> {
    let paper = |name: &str| connectors::usable_connector(&format!("{name}_paper_trade")).ok();
    paper(name).ok_or_else(|| {
        let known = connectors::CONNECTORS.iter().filter_map(Connector::market_name);
        let known = known.collect::<Vec<_>>().join(", ");
        OpenError::Usage(format!("--live-from {name}: one of {known}"))
    })
}
