//! What happened to orders and positions, for whoever asks later: the exchange tells it once.
//!
//! Never here: how any of it looks (`rows`).

use std::collections::{BTreeMap, VecDeque};

use crate::market::{FundingRate, InstrumentId, Timestamp};
use crate::order::{AccountId, FillId, SessionId};
use crate::paper::PaperExchange;
use crate::sim::{FundingPayment, Liquidation, OrderEvent, OrderState, OrderUpdate, Update, UpdateBody};

use super::worth;

/// So many events and fundings are remembered; the oldest go first.
const MOST: usize = 10_000;

/// Something that BitMEX has an execution for.
#[derive(Clone, Debug)]
pub(super) struct Event {
    /// Its number: 1, 2, 3 …
    pub(super) number: u64,
    /// When its owner knew.
    pub(super) at: Timestamp,
    pub(super) account: AccountId,
    pub(super) what: Happened,
}

#[derive(Clone, Debug)]
pub(super) enum Happened {
    /// To an order; `fill` where it traded.
    Order {
        session: SessionId,
        event: OrderEvent,
        state: Box<OrderState>,
        fill: Option<FillId>,
    },
    Funding(Box<FundingPayment>),
    Liquidation(Box<Liquidation>),
}

impl Happened {
    /// The execution's type; `None` where it has none.
    pub(super) fn kind(&self) -> Option<&'static str> {
        Some(match self {
            Self::Order { event, .. } => match event {
                OrderEvent::Accepted | OrderEvent::AtTheDoor => "New",
                OrderEvent::Cancelled(_) => "Canceled",
                OrderEvent::Amended { .. } => "Replaced",
                OrderEvent::Filled => "Trade",
                OrderEvent::Triggered => "TriggeredOrActivatedBySystem",
                OrderEvent::Rejected(_) | OrderEvent::Done => return None,
            },
            Self::Funding(_) => "Funding",
            Self::Liquidation(_) => "Liquidation",
        })
    }
}

/// One funding of a contract that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Funded {
    pub(super) instrument: InstrumentId,
    pub(super) at: Timestamp,
    pub(super) rate: FundingRate,
}

/// What is new: the number of the first event, and how many fundings were done.
#[derive(Clone, Copy, Debug)]
pub(super) struct New {
    pub(super) first: u64,
    pub(super) fundings: usize,
}

/// Everything that is remembered.
#[derive(Debug, Default)]
pub(super) struct Log {
    events: VecDeque<Event>,
    count: u64,
    /// The next funding of each contract, as it was last seen.
    next: BTreeMap<InstrumentId, (FundingRate, Timestamp)>,
    fundings: VecDeque<Funded>,
}

impl Log {
    /// What is remembered, oldest first.
    pub(super) fn events(&self) -> impl Iterator<Item = &Event> {
        self.events.iter()
    }

    /// Fundings that are done, oldest first.
    pub(super) fn fundings(&self) -> impl DoubleEndedIterator<Item = &Funded> {
        self.fundings.iter()
    }

    /// Hears what was delivered.
    pub(super) fn hear(&mut self, paper: &PaperExchange, heard: &[Update]) -> New {
        let first = self.count + 1;
        let now = paper.now();
        let mut fill = None;
        for update in heard {
            match &update.body {
                // It is told with the state of its order, which follows.
                UpdateBody::Fill(told) => fill = Some(told.id),
                UpdateBody::Order(order) => self.hear_order(now, order, fill.take()),
                UpdateBody::Funding(paid) => {
                    self.push(now, paid.account, Happened::Funding(paid.clone()));
                }
                UpdateBody::Liquidation(lost) => {
                    self.push(now, lost.account, Happened::Liquidation(lost.clone()));
                }
                UpdateBody::Ledger(_) | UpdateBody::PublicTrade(_) | UpdateBody::Position(_) => {}
            }
        }
        New { first, fundings: self.hear_fundings(paper) }
    }

    /// The events from a number on.
    pub(super) fn since(&self, number: u64) -> impl Iterator<Item = &Event> {
        let skip = self.events.partition_point(|event| event.number < number);
        self.events.iter().skip(skip)
    }

    fn hear_order(&mut self, at: Timestamp, update: &OrderUpdate, fill: Option<FillId>) {
        let Some(state) = update.order.as_ref().filter(|state| state.id.0 != 0) else { return };
        let (session, event) = (update.session, update.event);
        let what = Happened::Order { session, event, state: Box::new(state.clone()), fill };
        if what.kind().is_some() {
            self.push(at, update.account, what);
        }
    }

    fn push(&mut self, at: Timestamp, account: AccountId, what: Happened) {
        if self.events.len() == MOST {
            self.events.pop_front();
        }
        self.count += 1;
        self.events.push_back(Event { number: self.count, at, account, what });
    }

    /// A funding whose time has come is done at the rate that was last told for it. Returns how many there were.
    fn hear_fundings(&mut self, paper: &PaperExchange) -> usize {
        let mut done = 0;
        let count = u32::try_from(paper.names().instruments().len()).unwrap_or(u32::MAX);
        for instrument in (0..count).map(InstrumentId) {
            if worth::terms(paper, instrument).is_none() {
                continue;
            }
            let Some((rate, _, due)) = paper.sim().funding(instrument) else { continue };
            if due == Timestamp::MAX {
                continue;
            }
            if let Some((rate, at)) = self.next.insert(instrument, (rate, due))
                && at != due
                && at <= paper.now()
            {
                if self.fundings.len() == MOST {
                    self.fundings.pop_front();
                }
                self.fundings.push_back(Funded { instrument, at, rate });
                done += 1;
            }
        }
        done
    }
}
