//! All that is particular to one exchange, one folder each, behind the [`Venue`] trait; and the registry of them.
//!
//! A venue knows its symbols, its catalogue (rules and fees), its wire formats and what it does where venues differ.
//! Never here: matching or accounting, and never one venue's folder used by another.
//! Start at [`Venue`]; to add one, write its folder and add a line to [`VENUES`].
//! [`connectors`] is the table of names that users type.

pub mod api;
pub mod bitget;
pub mod bitmart;
pub mod bitmex;
pub mod catalogue;
pub mod connectors;
pub mod contracts;
pub mod hitbtc;
pub mod infer;
mod limits;
pub mod live;
mod news;
pub mod phemex;
mod quoted;
mod reading;
mod rules;
mod scan;
#[cfg(test)]
pub(crate) mod served;
#[cfg(test)]
mod testing;
mod text;

use std::time::Duration;

use smol_str::SmolStr;

use crate::market::{
    EventLog, FeedDepth, FeedStats, Group, Instrument, InstrumentId, Pair, Product, Side, Timestamp,
};
use crate::order::{CancelReason, OrderKind, RejectReason};
use crate::sim::{ContractTerms, FeeSchedule, FundingTimes, VenueRules};

use catalogue::{Catalogue, CatalogueError, Entry};

/// One frame as it came over the wire.
#[derive(Clone, Copy, Debug)]
pub enum Frame<'a> {
    /// A text frame.
    Text(&'a str),
    /// A binary frame, compressed as the venue does.
    Binary(&'a [u8]),
}

/// A frame that could not be read. Nothing of it was applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault}, near {near:?}")]
pub struct DecodeError {
    /// What is wrong.
    pub fault: String,
    /// The text around it.
    pub near: String,
}

/// Turns a venue's public frames into groups. One decoder a connection.
pub trait Decoder {
    /// What has been spoken of; [`Group::instrument`] is an index into it. It may grow.
    fn instruments(&self) -> &[Instrument];

    /// How much of an instrument's book the subscribed channel can show.
    fn depth(&self, instrument: InstrumentId) -> FeedDepth;

    /// Appends the groups of one frame to `out`; frames without market meaning (acks, pongs) append none.
    /// A frame that cannot be read appends nothing.
    fn decode(
        &mut self,
        received: Timestamp,
        frame: Frame<'_>,
        out: &mut EventLog,
    ) -> Result<(), DecodeError>;

    /// What was counted (messages, book updates, gaps, checksum failures).
    fn stats(&self) -> FeedStats;

    /// How many frames were read in place, the fast way. What it does for books nobody sees: a scanner that never fits
    /// would only be slow.
    fn read_in_place(&self) -> u64;
}

/// Turns groups into a venue's public frames, numbered (and checksummed) as the venue does.
pub trait Encoder {
    /// The text frames that say what `group` says. `instrument` is what the group is about.
    fn encode(&mut self, instrument: &Instrument, group: &Group<'_>, out: &mut Vec<String>);
}

/// What a decoder knows of instruments before it reads. A symbol that is in neither list is inferred from the first
/// frame that names it ([`infer`]).
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// In [`Decoder::instruments`] from the start, in this order.
    pub declared: Vec<Instrument>,
    /// Taken over when a frame names their symbol; the first of a symbol wins.
    pub others: Vec<Instrument>,
}

/// One exchange.
pub trait Venue: Sync {
    /// Its name, as in `inspect --json`: `bitmart`.
    fn name(&self) -> &'static str;

    /// How its recordings are known when no header names it.
    fn marks(&self) -> Marks;

    /// The pair of one of its symbols, by its rule of spelling; `None` where the rule does not say.
    fn pair_of(&self, symbol: &str) -> Option<Pair>;

    /// What one of its symbols stands for, by its rule of spelling; `None` where the rule does not say. The size of a
    /// contract is in no symbol: it is that of the exchange's list, or the usual one.
    fn product_of(&self, symbol: &str) -> Option<Product>;

    /// How it spells a pair; `family` is that of [`Product::family`].
    fn symbol_of(&self, pair: &Pair, family: &str) -> SmolStr;

    /// The built-in catalogue.
    fn catalogue(&self) -> Result<Catalogue, CatalogueError>;

    /// The instruments in a reply of its REST interface, as `<tape>.http.jsonl` holds them; empty where the reply
    /// speaks of something else.
    fn reply_instruments(&self, url: &str, body: &str) -> Vec<Entry>;

    /// The fees of its spot market where nothing nearer says otherwise.
    fn fees(&self) -> FeeSchedule;

    /// Decimals of the unit that fees on an instrument are charged in. A contract's are never finer than the unit it is
    /// settled in.
    fn fee_decimals(&self, _instrument: &Instrument) -> u8 {
        self.fees().decimals
    }

    /// What it does where venues differ, as far as the simulation must know.
    fn rules(&self) -> VenueRules;

    /// What one of its contracts is settled in and asks of who holds it; `None` for spot.
    fn contract(&self, _instrument: &Instrument) -> Option<ContractTerms> {
        None
    }

    /// What it does where venues differ, as far as only its interfaces must know.
    fn quirks(&self) -> Quirks;

    /// How late one of its prints may come after the shrink of its level (rule 6 of `docs/fills.md`). Long enough, and
    /// no longer: a print takes a cancellation of that time for its own shrink.
    fn late_prints(&self) -> Duration {
        LATE_PRINTS
    }

    /// When funding of its contracts is due, where a contract's own list does not say.
    fn funding(&self) -> FundingTimes {
        FundingTimes::EVERY_EIGHT_HOURS
    }

    /// Whether it tells of each funding once it is done, too.
    fn tells_settlements(&self) -> bool {
        false
    }

    /// A decoder of its public frames.
    fn decoder(&self, known: Known) -> Box<dyn Decoder + Send>;

    /// The same decoder without the scanners that read hot frames in place: what they are held against.
    fn plain_decoder(&self, known: Known) -> Box<dyn Decoder + Send>;

    /// An encoder of its public frames.
    fn encoder(&self) -> Box<dyn Encoder + Send>;

    /// What is said on its public sockets to see these instruments, a socket each.
    fn sessions(&self, instruments: &[&Instrument], hosts: &live::Hosts) -> Vec<Box<dyn live::Session>>;

    /// The addresses of REST replies that list its instruments of a family ([`Product::family`]);
    /// [`reply_instruments`](Self::reply_instruments) reads them.
    fn listings(&self, family: &str, hosts: &live::Hosts) -> Vec<String>;

    /// What there is to say of an exchange that has closed; `None` where it is open.
    fn closed(&self) -> Option<&'static str> {
        None
    }

    /// Its own interface, to serve; `None` where it is not built yet.
    fn api(&self) -> Option<Box<dyn api::NativeApi>> {
        None
    }

    /// Its answer to a request that the simulation refused.
    fn refusal(&self, refused: &Refused<'_>) -> NativeError;

    /// How it says that an order ended before all of it filled.
    fn ending(&self, reason: CancelReason, anything_filled: bool) -> NativeEnding;
}

/// A refused request, with what a venue needs to word its answer.
#[derive(Clone, Copy, Debug)]
pub struct Refused<'a> {
    /// Why.
    pub reason: RejectReason,
    /// What was to be traded, where that is known.
    pub instrument: Option<&'a Instrument>,
    /// The kind of the order, where the request has one.
    pub kind: Option<OrderKind>,
    /// The side of the order, where the request has one.
    pub side: Option<Side>,
}

/// A venue's answer to a request that it does not carry out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NativeError {
    /// Its code.
    pub code: u32,
    /// The HTTP status that comes with it.
    pub http: u16,
    /// Its text.
    pub message: String,
}

/// How a venue says that an order ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NativeEnding {
    /// The state of the order.
    pub state: &'static str,
    /// Who ended it.
    pub source: &'static str,
}

/// What a venue's interface does beside matching.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quirks {
    /// The longest client order id.
    pub client_id_max_len: usize,
    /// Whether client order ids are letters and digits only.
    pub client_id_alphanumeric: bool,
    /// Whether a price with too many decimals is cut off silently instead of refused.
    pub truncates_price: bool,
    /// Whether a market buy names what it spends instead of what it buys.
    pub market_buy_spends_quote: bool,
    /// Whether such an order ends cancelled in part where money is left over.
    pub market_buy_leftover_cancels: bool,
    /// Whether fill-or-kill exists.
    pub fill_or_kill: bool,
    /// Whether good-till-date exists.
    pub good_till_date: bool,
    /// Whether a resting order can be amended.
    pub amend: bool,
}

/// How recordings of a venue are known.
#[derive(Clone, Copy, Debug)]
pub struct Marks {
    /// Parts of the hosts that its sockets are on.
    pub hosts: &'static [&'static str],
    /// Texts that its frames have, and others' do not.
    pub frames: &'static [&'static str],
    /// What names of files begin with.
    pub files: &'static [&'static str],
}

/// Every venue that can be read.
pub const VENUES: &[&dyn Venue] =
    &[&bitmart::Bitmart, &bitmex::Bitmex, &phemex::Phemex, &bitget::Bitget, &hitbtc::Hitbtc];

/// A venue that cannot be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VenueError {
    /// No such venue.
    #[error("unknown venue {0:?} (known: {known})", known = known())]
    Unknown(String),
}

fn known() -> String {
    VENUES.iter().map(|venue| venue.name()).collect::<Vec<_>>().join(", ")
}

/// How late a print may come where nothing better is known.
const LATE_PRINTS: Duration = Duration::from_secs(1);

/// How late a print may come after the shrink of its level, on an exchange that may be none of ours.
pub fn late_prints(exchange: &str) -> Duration {
    venue(exchange).map_or(LATE_PRINTS, Venue::late_prints)
}

/// The venue of that name.
pub fn venue(name: &str) -> Result<&'static dyn Venue, VenueError> {
    let found = VENUES.iter().find(|venue| venue.name() == name);
    found.copied().ok_or_else(|| VenueError::Unknown(name.to_owned()))
}

/// What a recording shows of its origin.
#[derive(Clone, Copy, Debug)]
pub enum Trace<'a> {
    /// The address of a socket.
    Url(&'a str),
    /// A frame that came in.
    Frame(&'a str),
    /// The name of the file, without folders.
    File(&'a str),
}

/// The name of the venue that left this trace.
pub fn trace(trace: Trace<'_>) -> Option<&'static str> {
    let fits = |marks: &Marks| match trace {
        Trace::Url(url) => {
            let host =
                url.split("://").last().unwrap_or_default().split(['/', '?']).next().unwrap_or_default();
            marks.hosts.iter().any(|mark| host.contains(mark))
        }
        Trace::Frame(frame) => marks.frames.iter().any(|mark| frame.contains(mark)),
        Trace::File(name) => marks.files.iter().any(|mark| name.starts_with(mark)),
    };
    VENUES.iter().find(|venue| fits(&venue.marks())).map(|venue| venue.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recordings_are_known_by_their_traces() {
        for (seen, want) in [
            (Trace::Url("wss://ws-manager-compress.bitmart.com/api?protocol=1.1"), Some("bitmart")),
            (Trace::Url("wss://www.bitmex.com/realtime"), Some("bitmex")),
            (Trace::Url("wss://api.fmfw.io/api/3/ws/public"), Some("hitbtc")),
            (Trace::Url("wss://example.org/bitmex.com"), None),
            (Trace::Frame(r#"{"table":"spot/trade","data":[]}"#), Some("bitmart")),
            (Trace::Frame(r#"{"table":"orderBookL2","action":"partial"}"#), Some("bitmex")),
            (Trace::Frame("pong"), None),
            (Trace::File("bitget_ws1_20220407_a.jsonl"), Some("bitget")),
            (Trace::File("tape.jsonl"), None),
        ] {
            assert_eq!(trace(seen), want, "{seen:?}");
        }
    }

    #[test]
    fn funding_is_due_at_the_times_of_the_day() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        for (name, time, want) in [
            ("bitget", "2026-01-05T00:00:00Z", "2026-01-05T08:00:00Z"),
            ("bitget", "2026-01-05T07:59:59.999999999Z", "2026-01-05T08:00:00Z"),
            ("phemex", "2026-01-05T16:00:00.1Z", "2026-01-06T00:00:00Z"),
            ("bitmex", "2026-01-05T00:00:00Z", "2026-01-05T04:00:00Z"),
            ("bitmex", "2026-01-05T20:00:00Z", "2026-01-06T04:00:00Z"),
        ] {
            assert_eq!(venue(name).unwrap().funding().next(at(time)), at(want), "{name} {time}");
        }
    }

    #[test]
    fn what_cannot_be_served_says_so() {
        assert_eq!(venue("bitmart").map(Venue::name), Ok("bitmart"));
        let unknown = venue("mtgox").map(Venue::name).unwrap_err();
        assert_eq!(
            unknown.to_string(),
            "unknown venue \"mtgox\" (known: bitmart, bitmex, phemex, bitget, hitbtc)"
        );
    }
}
