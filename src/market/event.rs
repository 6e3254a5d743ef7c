//! What a source says: events, in groups of one exchange message each.

use serde::{Deserialize, Serialize};

use super::{FinePrice, FundingRate, InstrumentId, Price, Qty, Side, Timestamp};

/// One thing the tape says about one instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarketEvent {
    /// The new absolute size of one price level; zero takes it away.
    Level {
        /// The side of the book.
        side: Side,
        /// The level.
        price: Price,
        /// All that is shown there now.
        qty: Qty,
    },
    /// A public trade.
    Trade(Print),
    /// The book can no longer be believed (gap, bad checksum, disconnect) until the next snapshot.
    Distrust,
    /// The venue halted or resumed trading.
    Trading(bool),
    /// A candle begins in which so much will have traded: it bounds what orders may fill of it (rule 14). The prints
    /// that follow are the points of its path, the first of them its open; their sizes say what the public is told.
    Candle(Qty),
    /// What is told beside the market: it moves no book and fills nothing.
    News(News),
}

/// What an exchange tells of a contract beside its market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// The mark price.
    Mark(FinePrice),
    /// A mark price that was told beside the tape, in a reply recorded with it: it holds for a minute.
    MarkBeside(FinePrice),
    /// The price of what the contract is about.
    Index(FinePrice),
    /// What longs pay shorts at the next funding.
    Funding {
        /// The rate.
        rate: FundingRate,
        /// When it is due; [`Timestamp::MAX`] where the venue does not say.
        due: Timestamp,
    },
    /// The exchange closes somebody's position by an order of this side. No evidence of a trade.
    Liquidation {
        /// The side of the order.
        side: Side,
        /// Its price.
        price: Price,
        /// Its size.
        qty: Qty,
    },
}

// Millions of them are alive at a time: the print, the largest, leaves room for the rest.
const _: () = assert!(size_of::<MarketEvent>() == size_of::<Print>());

/// A public trade: one execution as the venue printed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Print {
    /// The side that took, where the venue says so.
    pub aggressor: Option<Side>,
    /// Where in its group's id text its id stands.
    pub id: IdSpan,
    /// The price.
    pub price: Price,
    /// The size.
    pub qty: Qty,
}

/// A trade id, as a place in the id text of its group; empty where the venue sends none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IdSpan {
    /// First byte.
    pub start: u32,
    /// Bytes.
    pub len: u16,
}

impl IdSpan {
    /// The id inside `text`; empty where it points outside.
    pub fn of(self, text: &[u8]) -> &[u8] {
        let start = self.start as usize;
        text.get(start..start + usize::from(self.len)).unwrap_or_default()
    }
}

/// How the levels of a group relate to the book before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupKind {
    /// Changes of single levels, and prints.
    #[default]
    Update,
    /// The whole book anew: what is not named is gone. Ends distrust.
    Snapshot,
    /// More levels of the snapshot before it.
    SnapshotRest,
}

/// All that one exchange message said of one instrument. It is applied whole before anyone looks.
#[derive(Clone, Copy, Debug)]
pub struct Group<'a> {
    /// Whose it is.
    pub instrument: InstrumentId,
    /// How its levels relate to the book before it.
    pub kind: GroupKind,
    /// When the exchange says that it happened; equal to `receive_time` where it does not say.
    pub exchange_time: Timestamp,
    /// When the recorder (or we) had it.
    pub receive_time: Timestamp,
    /// What it says, in the message's order.
    pub events: &'a [MarketEvent],
    /// The text that [`IdSpan`]s point into.
    pub ids: &'a [u8],
}

impl PartialEq for Group<'_> {
    /// *Identical events*: everything but where the id text happens to stand.
    fn eq(&self, other: &Self) -> bool {
        let same = |a: &MarketEvent, b: &MarketEvent| match (a, b) {
            (MarketEvent::Trade(a), MarketEvent::Trade(b)) => {
                (a.aggressor, a.price, a.qty) == (b.aggressor, b.price, b.qty)
                    && a.id.of(self.ids) == b.id.of(other.ids)
            }
            _ => a == b,
        };
        self.instrument == other.instrument
            && self.kind == other.kind
            && self.exchange_time == other.exchange_time
            && self.receive_time == other.receive_time
            && self.events.len() == other.events.len()
            && self.events.iter().zip(other.events).all(|(a, b)| same(a, b))
    }
}

/// What a [`Group`] is, without its events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupHead {
    /// Whose it is.
    pub instrument: InstrumentId,
    /// How its levels relate to the book before it.
    pub kind: GroupKind,
    /// When the exchange says that it happened.
    pub exchange_time: Timestamp,
    /// When the recorder (or we) had it.
    pub receive_time: Timestamp,
}

/// Decoded groups one after another in memory: what decoders write to, and a tape that fits.
#[derive(Clone, Debug, Default)]
pub struct EventLog {
    groups: Vec<Entry>,
    events: Vec<MarketEvent>,
    ids: Vec<u8>,
}

/// One closed group.
#[derive(Clone, Copy, Debug)]
struct Entry {
    head: GroupHead,
    events_end: usize,
    ids_end: usize,
}

impl EventLog {
    /// Forgets all groups and keeps the room they took.
    pub fn clear(&mut self) {
        self.groups.clear();
        self.events.clear();
        self.ids.clear();
    }

    /// How many groups are closed.
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Whether no group is closed.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Adds an event to the group that is being written.
    pub fn push(&mut self, event: MarketEvent) {
        self.events.push(event);
    }

    /// Adds a print with its id to the group that is being written.
    pub fn push_trade(&mut self, aggressor: Option<Side>, price: Price, qty: Qty, id: &[u8]) {
        let from = self.groups.last().map_or(0, |group| group.ids_end);
        let id = match (u32::try_from(self.ids.len() - from), u16::try_from(id.len())) {
            (Ok(start), Ok(len)) => {
                self.ids.extend_from_slice(id);
                IdSpan { start, len }
            }
            // An id of 64 KiB is no id.
            _ => IdSpan::default(),
        };
        self.events.push(MarketEvent::Trade(Print { aggressor, id, price, qty }));
    }

    /// How many events the group that is being written has so far.
    pub fn pending(&self) -> usize {
        self.events.len() - self.groups.last().map_or(0, |group| group.events_end)
    }

    /// Forgets the events of the group that is being written.
    pub fn discard(&mut self) {
        let (events, ids) = self.groups.last().map_or((0, 0), |group| (group.events_end, group.ids_end));
        self.events.truncate(events);
        self.ids.truncate(ids);
    }

    /// The events of the group that is being written.
    pub fn open_events(&self) -> &[MarketEvent] {
        &self.events[self.groups.last().map_or(0, |group| group.events_end)..]
    }

    /// Closes the group that is being written.
    pub fn close(
        &mut self,
        instrument: InstrumentId,
        kind: GroupKind,
        exchange_time: Timestamp,
        receive_time: Timestamp,
    ) {
        self.close_as(GroupHead { instrument, kind, exchange_time, receive_time });
    }

    /// The same, with what the group is in one.
    #[inline]
    pub fn close_as(&mut self, head: GroupHead) {
        let (events_end, ids_end) = (self.events.len(), self.ids.len());
        self.groups.push(Entry { head, events_end, ids_end });
    }

    /// Copies a whole group to the end. Nothing may be pending.
    #[inline]
    pub fn push_group(&mut self, group: &Group<'_>) {
        self.events.extend_from_slice(group.events);
        self.ids.extend_from_slice(group.ids);
        self.close(group.instrument, group.kind, group.exchange_time, group.receive_time);
    }

    /// Copies groups of another log to the end, under the number that `number` gives their instrument. Nothing may be
    /// pending.
    pub(super) fn append(
        &mut self,
        other: &Self,
        groups: std::ops::Range<usize>,
        number: impl Fn(InstrumentId) -> InstrumentId,
    ) {
        let ((events, ids), ends) = (other.ends(groups.start), other.ends(groups.end));
        let (events_before, ids_before) = (self.events.len(), self.ids.len());
        self.events.extend_from_slice(&other.events[events..ends.0]);
        self.ids.extend_from_slice(&other.ids[ids..ends.1]);
        self.groups.extend(other.groups[groups].iter().map(|entry| Entry {
            head: GroupHead { instrument: number(entry.head.instrument), ..entry.head },
            events_end: entry.events_end - events + events_before,
            ids_end: entry.ids_end - ids + ids_before,
        }));
    }

    /// The group at `index`.
    #[inline]
    pub fn get(&self, index: usize) -> Option<Group<'_>> {
        let entry = self.groups.get(index)?;
        Some(self.group(self.ends(index), entry))
    }

    /// All groups in order.
    pub fn iter(&self) -> impl Iterator<Item = Group<'_>> {
        let mut from = (0, 0);
        self.groups.iter().map(move |entry| {
            self.group(std::mem::replace(&mut from, (entry.events_end, entry.ids_end)), entry)
        })
    }

    /// The heads of all groups, to be changed in place, each with how many events it has.
    pub fn heads_mut(&mut self) -> impl Iterator<Item = (&mut GroupHead, usize)> {
        let mut from = 0;
        self.groups.iter_mut().map(move |entry| {
            let events = entry.events_end - std::mem::replace(&mut from, entry.events_end);
            (&mut entry.head, events)
        })
    }

    /// What the groups from `from` on are, and how many events there are up to the end of each.
    #[inline]
    pub(super) fn heads(&self, from: usize) -> impl Iterator<Item = (&GroupHead, usize)> {
        let groups = self.groups.get(from..).unwrap_or_default();
        groups.iter().map(|entry| (&entry.head, entry.events_end))
    }

    /// What the group at `index` is.
    #[inline]
    pub(super) fn head(&self, index: usize) -> Option<&GroupHead> {
        self.groups.get(index).map(|entry| &entry.head)
    }

    /// How many events the first so many groups have.
    #[inline]
    pub(super) fn events_of(&self, groups: usize) -> usize {
        self.ends(groups).0
    }

    /// Where the events and the id text of the groups before `index` end.
    #[inline]
    fn ends(&self, index: usize) -> (usize, usize) {
        let before = index.checked_sub(1).and_then(|before| self.groups.get(before));
        before.map_or((0, 0), |before| (before.events_end, before.ids_end))
    }

    #[inline]
    fn group(&self, (events, ids): (usize, usize), entry: &Entry) -> Group<'_> {
        let GroupHead { instrument, kind, exchange_time, receive_time } = entry.head;
        Group {
            instrument,
            kind,
            exchange_time,
            receive_time,
            events: &self.events[events..entry.events_end],
            ids: &self.ids[ids..entry.ids_end],
        }
    }
}
