//! What the interface itself remembers of contracts: dead man's switches, rates of funding that were settled, candles
//! of the mark price, and the names of plans. All of it is lost with the gateway.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use smol_str::SmolStr;

use super::orders;
use super::plans::Plan;
use super::presets::Presets;
use crate::market::{FinePrice, FundingRate, InstrumentId, Timestamp};
use crate::order::{OrderId, SessionId};
use crate::paper::{Known, PaperExchange, TraderView};
use crate::sim::Update;
use crate::venue::api::Room;

/// How many minutes of mark prices are kept of each contract: a week.
const MINUTES: usize = 7 * 24 * 60;
/// How many settled rates are kept of each contract.
const RATES: usize = 1_000;
/// How many plans are kept; the oldest are forgotten first.
const PLANS: usize = 10_000;

/// A candle of the mark price.
#[derive(Clone, Copy, Debug)]
pub(super) struct MarkCandle {
    /// When the span begins.
    pub(super) at: Timestamp,
    pub(super) open: FinePrice,
    pub(super) high: FinePrice,
    pub(super) low: FinePrice,
    pub(super) close: FinePrice,
}

/// What is known of a contract's funding.
#[derive(Debug, Default)]
pub(super) struct Funding {
    /// The rate of the coming settlement and when it is, as they were last seen.
    coming: Option<(FundingRate, Timestamp)>,
    /// What was settled, oldest first.
    settled: VecDeque<(FundingRate, Timestamp)>,
}

/// All of it.
#[derive(Debug, Default)]
pub(in crate::venue::bitmart::api) struct Memory {
    /// When the orders of a session in a contract are cancelled, unless it says otherwise before.
    pub(super) switches: BTreeMap<(SessionId, InstrumentId), Timestamp>,
    funding: BTreeMap<InstrumentId, Funding>,
    marks: BTreeMap<InstrumentId, VecDeque<MarkCandle>>,
    /// Plans by the session and the client id of their order.
    plans: BTreeMap<(SessionId, SmolStr), Plan>,
    /// What orders bring along for the positions that they open.
    pub(super) presets: Presets,
    /// The keys of the plans, oldest first.
    planned: VecDeque<(SessionId, SmolStr)>,
}

impl Memory {
    /// Time has passed: what is due of it, and what is to be remembered.
    pub(in crate::venue::bitmart::api) fn look(&mut self, room: &mut Room<'_>, heard: &[Update]) {
        for (session, name, plan) in self.presets.hear(room, heard) {
            self.plan(session, name, plan);
        }
        let now = room.paper.now();
        let due: BTreeSet<(SessionId, InstrumentId)> =
            self.switches.iter().filter(|(_, at)| **at <= now).map(|(key, _)| *key).collect();
        for key in due {
            self.switches.remove(&key);
            // What cannot be sent is told by the exchange's own failure at the next move.
            let _ = orders::end_all(room, key.0, Some(key.1), |known| !super::shape::waits(known));
        }
        self.see(room.paper);
    }

    fn see(&mut self, paper: &PaperExchange) {
        for (id, _) in super::contracts(paper) {
            if let Some((rate, _, due)) = paper.sim().funding(id) {
                self.funding.entry(id).or_default().see(rate, due);
            }
            if let Some((mark, _)) = paper.sim().mark(id) {
                see_mark(self.marks.entry(id).or_default(), mark, paper.now());
            }
        }
    }

    /// The rates that were settled, oldest first.
    pub(super) fn settled(
        &self,
        id: InstrumentId,
    ) -> impl DoubleEndedIterator<Item = (FundingRate, Timestamp)> {
        self.funding.get(&id).into_iter().flat_map(|funding| funding.settled.iter().copied())
    }

    /// Candles of the mark price since the gateway began: of `step` minutes, those that begin in `from..=to`.
    pub(super) fn marks(
        &self,
        id: InstrumentId,
        step: u64,
        (from, to): (Timestamp, Timestamp),
    ) -> Vec<MarkCandle> {
        let span = i64::try_from(step).unwrap_or(1).saturating_mul(60_000_000_000);
        let mut rows: Vec<MarkCandle> = Vec::new();
        for minute in self.marks.get(&id).into_iter().flatten() {
            let at = Timestamp::from_nanos(minute.at.nanos() - minute.at.nanos().rem_euclid(span));
            match rows.last_mut().filter(|last| last.at == at) {
                Some(last) => {
                    (last.high, last.low) = (last.high.max(minute.high), last.low.min(minute.low));
                    last.close = minute.close;
                }
                None => rows.push(MarkCandle { at, ..*minute }),
            }
        }
        rows.retain(|row| row.at >= from && row.at <= to);
        rows
    }

    /// A plan is made; it is known by its order's client id.
    pub(super) fn plan(&mut self, session: SessionId, name: SmolStr, plan: Plan) {
        let key = (session, name);
        if self.plans.insert(key.clone(), plan).is_none() {
            self.planned.push_back(key);
        }
        while self.planned.len() > PLANS {
            if let Some(oldest) = self.planned.pop_front() {
                self.plans.remove(&oldest);
            }
        }
    }

    /// The id that clients know an order by: what was changed keeps the one that it had first.
    pub(super) fn shown(&self, session: SessionId, name: &str, id: OrderId) -> OrderId {
        self.plan_of(session, name).and_then(|plan| plan.first).unwrap_or(id)
    }

    /// Whether an order was replaced by another one under its name: its plan was changed.
    pub(super) fn is_replaced(&self, session: SessionId, trader: &TraderView, known: &Known) -> bool {
        let name = &known.order.client_order_id;
        self.plan_of(session, name).is_some_and(|plan| plan.first.is_some())
            && trader.by_client_id(name).is_some_and(|now| now.number != known.number)
    }

    /// The plan behind an order.
    pub(super) fn plan_of(&self, session: SessionId, name: &str) -> Option<&Plan> {
        self.plans.get(&(session, SmolStr::from(name)))
    }
}

impl Funding {
    /// When another settlement is coming than before, the one before is done.
    fn see(&mut self, rate: FundingRate, due: Timestamp) {
        if let Some((last, at)) = self.coming.filter(|(_, at)| *at < due) {
            self.settled.push_back((last, at));
            if self.settled.len() > RATES {
                self.settled.pop_front();
            }
        }
        self.coming = Some((rate, due));
    }
}

fn see_mark(minutes: &mut VecDeque<MarkCandle>, mark: FinePrice, now: Timestamp) {
    let span = Duration::from_secs(60).as_nanos() as i64;
    let at = Timestamp::from_nanos(now.nanos() - now.nanos().rem_euclid(span));
    match minutes.back_mut() {
        Some(last) if last.at >= at => {
            (last.high, last.low, last.close) = (last.high.max(mark), last.low.min(mark), mark);
        }
        _ => {
            if minutes.len() == MINUTES {
                minutes.pop_front();
            }
            minutes.push_back(MarkCandle { at, open: mark, high: mark, low: mark, close: mark });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_settled_when_the_next_one_is_coming() {
        let mut funding = Funding::default();
        let (first, second) = (Timestamp::from_millis(1_000), Timestamp::from_millis(2_000));
        for (rate, due) in [(1, first), (2, first), (3, second)] {
            funding.see(FundingRate::from_units(rate), due);
        }
        assert_eq!(funding.settled, [(FundingRate::from_units(2), first)]);
    }

    #[test]
    fn marks_become_candles() {
        let mut memory = Memory::default();
        let minutes = memory.marks.entry(InstrumentId(0)).or_default();
        for (second, mark) in [(0, 5), (20, 9), (59, 4), (60, 6), (130, 7)] {
            see_mark(minutes, FinePrice::from_units(mark), Timestamp::from_millis(second * 1_000));
        }
        let show = |step| -> Vec<[i64; 5]> {
            let rows = memory.marks(InstrumentId(0), step, (Timestamp::MIN, Timestamp::MAX));
            let units = |row: &MarkCandle| {
                let [open, high, low, close] = [row.open, row.high, row.low, row.close].map(FinePrice::units);
                [row.at.millis() / 1_000, open, high, low, close]
            };
            rows.iter().map(units).collect()
        };
        assert_eq!(show(1), [[0, 5, 9, 4, 4], [60, 6, 6, 6, 6], [120, 7, 7, 7, 7]]);
        assert_eq!(show(3), [[0, 5, 9, 4, 7]]);
    }
}
