//! The paper exchange: a simulated exchange, a source, and the clock that both run on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::connector::OrderRequest;
use crate::market::{FeedStats, GroupKind, InstrumentId, Price, Qty, Side, Source, SourceError, Timestamp};
use crate::order::{AccountId, ClientOrderId, Money, NewOrder, OrderKind, OrderRef, SessionId, SpecialOrder};
use crate::sim::{
    Admin, ConfigError, Input, LedgerEntry, Owner, PositionState, PublicMarket, Request, RequestBody,
    SimConfig, SimulatedExchange, Update, UpdateBody,
};

use super::agent::Agent;
use super::edits::Edits;
use super::life::{Life, LifeEvent, Lives};
use super::outbox::Outbox;
use super::prints::{Candle, Prints, PublicPrint};
use super::{Dictionary, Journal, JournalError, Keep, NoJournal, TraderView};

/// A paper exchange that cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum PaperError {
    /// The source failed.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The journal cannot be written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The configuration cannot be simulated.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// How a paper exchange runs, beside what it simulates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaperOptions {
    /// How long market orders are kept back before they are sent (Hummingbot's paper mode: 5 s).
    pub market_delay: Duration,
    /// Whether the queue of each resting order is followed from group to group, so that its life can tell it.
    pub follow_queues: bool,
}

impl Default for PaperOptions {
    fn default() -> Self {
        Self { market_delay: Duration::ZERO, follow_queues: true }
    }
}

/// Why the market stopped moving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// What was waited for is there.
    Reached,
    /// The source has no more messages, and nothing else is on its way.
    EndOfTape,
    /// The time given ran out.
    TimedOut,
}

/// The next thing that can happen. At one time: messages, then what was kept back, then what is due at the
/// exchange, then deliveries, then the strategy that runs here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    Message,
    Send,
    Due,
    Delivery,
    Strategy,
}

/// A source with one message of look-ahead.
struct Feed {
    source: Box<dyn Source>,
    next: Option<Timestamp>,
    ended: bool,
    messages: u64,
}

/// The wall clock of a live market, which nobody can play faster.
pub trait Wall: Send {
    /// What time it is.
    fn now(&self) -> Timestamp;

    /// Waits until the market says something, `most` at the longest.
    fn wait(&self, most: Duration);

    /// Whether the exchange is connected.
    fn is_connected(&self) -> bool;

    /// Whether every book that was asked for can be believed.
    fn is_ready(&self) -> bool;
}

/// How long a live market is waited for: for its first books, and for a message that does not come.
pub const LIVE_PATIENCE: Duration = Duration::from_secs(30);

/// The longest wait between two looks at a live market.
const LOOK: Duration = Duration::from_millis(50);

impl Feed {
    fn peek(&mut self) -> Result<Option<Timestamp>, SourceError> {
        if self.next.is_none() && !self.ended {
            self.next = self.source.advance()?;
            self.ended = self.next.is_none() && !self.source.may_go_on();
        }
        Ok(self.next)
    }
}

/// A simulated exchange that runs: it owns the clock, the source and the accounts, and knows what each trader knows.
///
/// It moves only when it is told to; nothing here asks for the wall clock.
pub struct PaperExchange {
    sim: SimulatedExchange,
    feed: Feed,
    names: Arc<Dictionary>,
    options: PaperOptions,
    now: Timestamp,
    started: Timestamp,
    kept_back: BTreeMap<(Timestamp, u64), Request>,
    tags: u64,
    outbox: Outbox,
    scratch: Vec<Update>,
    traders: BTreeMap<SessionId, TraderView>,
    lives: Lives,
    prints: Prints,
    /// What was delivered since somebody last asked, where somebody does.
    heard: Option<Vec<Update>>,
    /// What was set of the books lately, where somebody listens.
    edits: Edits,
    journal: Box<dyn Journal>,
    /// The wall clock that it follows, where its market is live.
    wall: Option<Box<dyn Wall>>,
    /// The strategy that runs here, if one does.
    pub(super) agent: Option<Agent>,
}

impl PaperExchange {
    /// Simulates `config` over `source`. The clock stands at the first message, which has not been applied.
    pub fn new(
        config: SimConfig,
        source: Box<dyn Source>,
        options: PaperOptions,
    ) -> Result<Self, PaperError> {
        let sim = SimulatedExchange::new(config)?;
        let tape_only = sim.config().public_market == PublicMarket::Tape;
        let mut feed = Feed { source, next: None, ended: false, messages: 0 };
        let now = feed.peek()?.unwrap_or_default();
        let instruments = sim.config().markets.iter().map(|market| &market.instrument);
        let prints = Prints::new(instruments, tape_only);
        Ok(Self {
            names: Arc::new(Dictionary::of(&sim)),
            sim,
            feed,
            options,
            now,
            started: now,
            kept_back: BTreeMap::new(),
            tags: 0,
            outbox: Outbox::default(),
            scratch: Vec::new(),
            traders: BTreeMap::new(),
            lives: Lives::default(),
            prints,
            heard: None,
            edits: Edits::default(),
            journal: Box::new(NoJournal),
            wall: None,
            agent: None,
        })
    }

    /// Follows the wall clock from now on: its market is live. What is waited for is waited for in real time.
    pub fn follow(&mut self, wall: Box<dyn Wall>) {
        self.now = self.now.max(wall.now());
        self.started = self.now;
        self.wall = Some(wall);
    }

    /// The wall clock that it follows, where its market is live.
    pub fn wall(&self) -> Option<&dyn Wall> {
        self.wall.as_deref()
    }

    /// Plays what has come by now on a live market, without waiting.
    pub fn catch_up(&mut self) -> Result<(), PaperError> {
        while self.tick(Timestamp::MAX)? {}
        self.now = self.now.max(self.wall.as_ref().map_or(self.now, |wall| wall.now()));
        Ok(())
    }

    /// Until when to wait for what is to come: for ever on a tape, which ends; for a while on a live market.
    pub fn patience(&self) -> Timestamp {
        if self.wall.is_some() { self.now.plus(LIVE_PATIENCE) } else { Timestamp::MAX }
    }

    /// Where the market is live, waits for the next thing to happen, `until` at the latest. False where there is
    /// nothing to wait for.
    fn wait(&mut self, until: Timestamp) -> Result<bool, PaperError> {
        let next = self.next()?.map(|(at, _)| at);
        let Some(wall) = &self.wall else { return Ok(false) };
        let now = wall.now();
        self.now = self.now.max(now.min(until));
        if now >= until {
            return Ok(false);
        }
        let next = next.unwrap_or(until).min(until);
        let nanos = u64::try_from(next.nanos_since(now)).unwrap_or(0);
        wall.wait(Duration::from_nanos(nanos).min(LOOK));
        Ok(true)
    }

    /// Writes down what happens from now on.
    pub fn set_journal(&mut self, journal: Box<dyn Journal>) {
        self.journal = journal;
    }

    /// Writes down what is not yet written: what has happened and nobody has been told of.
    pub fn commit(&mut self) -> Result<(), PaperError> {
        Ok(self.journal.commit()?)
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// When it started.
    pub fn started(&self) -> Timestamp {
        self.started
    }

    /// The engine.
    pub fn sim(&self) -> &SimulatedExchange {
        &self.sim
    }

    /// What its numbers stand for.
    pub fn names(&self) -> &Arc<Dictionary> {
        &self.names
    }

    /// How many market messages have been played.
    pub fn messages(&self) -> u64 {
        self.feed.messages
    }

    /// What the source counted.
    pub fn feed_stats(&self) -> FeedStats {
        self.feed.source.stats()
    }

    /// Whether the source has no more messages.
    pub fn at_end(&self) -> bool {
        self.feed.ended
    }

    /// The last public trades of an instrument, newest first.
    pub fn prints(&self, instrument: InstrumentId) -> impl Iterator<Item = &PublicPrint> {
        self.prints.last(instrument)
    }

    /// How many public trades there were of an instrument since the start.
    pub fn print_count(&self, instrument: InstrumentId) -> u64 {
        self.prints.count(instrument)
    }

    /// Candles of the public trades: those of `step` (whole minutes) whose start is in `from..=to`, oldest first. Where
    /// nothing traded a candle is flat; before the first trade there is none. Spans are counted from the epoch plus
    /// `anchor` (four days where weeks begin on Monday).
    pub fn candles(
        &self,
        instrument: InstrumentId,
        step: Duration,
        anchor: Duration,
        (from, to): (Timestamp, Timestamp),
    ) -> Vec<Candle> {
        self.prints.candles(instrument, step, anchor, (from, to.min(self.now)))
    }

    /// What traded in the last 24 hours, as one candle; `None` before the first public trade.
    pub fn day(&self, instrument: InstrumentId) -> Option<Candle> {
        self.prints.day(instrument, self.now)
    }

    /// From now on keeps what is delivered to traders, until it is [taken](Self::take_heard).
    pub fn listen(&mut self) {
        self.heard.get_or_insert_default();
    }

    /// From now on a session remembers only so much of its past, and keeps no events for a connector: clients ask it over
    /// an exchange's own interface, for days.
    pub fn serve(&mut self, session: SessionId, keep: Keep) {
        if let Some(trader) = self.traders.get_mut(&session) {
            trader.serve(keep);
        }
    }

    /// What was delivered to traders since the last time, in order.
    pub fn take_heard(&mut self) -> Vec<Update> {
        self.heard.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The levels that the tape has set of a book, as far as it is [listened](Self::listen) to, since the book had so many
    /// [edits](crate::market::OrderBook::edits); `None` where that is too long ago, or the book is another since.
    pub fn edits(&self, instrument: InstrumentId, since: u64) -> Option<&[(Side, Price)]> {
        self.edits.since(instrument, since)
    }

    /// The life of the order that was placed with the request `tag`.
    pub fn life(&self, tag: u64) -> Option<&Life> {
        self.lives.get(tag)
    }

    /// What a session knows.
    pub fn trader(&self, session: SessionId) -> Option<&TraderView> {
        self.traders.get(&session)
    }

    /// The tag of the last request that was sent.
    pub fn last_tag(&self) -> u64 {
        self.tags
    }

    /// A session's positions: what it was told of them, at the mark price of now.
    pub fn positions(&self, session: SessionId) -> Vec<PositionState> {
        let Some(trader) = self.traders.get(&session) else { return Vec::new() };
        let now = |told: &PositionState| {
            let all = self.sim.positions(told.account, told.instrument);
            let same = all.into_iter().find(|state| state.side == told.side);
            same.filter(|state| (state.qty, state.cost) == (told.qty, told.cost))
                .unwrap_or_else(|| told.clone())
        };
        trader.positions().map(now).collect()
    }

    /// How much of a contract the accounts hold that are open here, longs and shorts counted once.
    pub fn open_interest(&self, instrument: InstrumentId) -> Qty {
        let accounts: BTreeSet<AccountId> = self.traders.values().map(|trader| trader.account).collect();
        let held = accounts.into_iter().flat_map(|account| self.sim.positions(account, instrument));
        // Nobody stands on the other side of what the tape sold: the larger side counts.
        let (mut long, mut short) = (Qty::ZERO, Qty::ZERO);
        for state in held {
            if state.qty > Qty::ZERO {
                long += state.qty;
            } else {
                short += Qty::ZERO - state.qty;
            }
        }
        long.max(short)
    }

    /// The answer to a request, once it is back; taken.
    pub fn take_answer(&mut self, session: SessionId, tag: u64) -> Option<crate::sim::OrderEvent> {
        self.traders.get_mut(&session)?.take_answer(tag)
    }

    pub(super) fn trader_mut(&mut self, session: SessionId) -> Option<&mut TraderView> {
        self.traders.get_mut(&session)
    }

    /// Opens an account, gives it `deposits` (asset number and amount) and opens a session to it.
    pub fn open_account(
        &mut self,
        account: AccountId,
        session: SessionId,
        deposits: &[(u16, Money)],
    ) -> Result<(), PaperError> {
        let names = Arc::clone(&self.names);
        self.traders.insert(session, TraderView::new(account, session, names));
        self.admin(Admin::OpenAccount(account))?;
        for (asset, amount) in deposits {
            self.admin(Admin::Deposit { account, asset: *asset, amount: *amount })?;
        }
        Ok(())
    }

    /// Changes an account from outside, at once; its owner knows at once.
    pub fn admin(&mut self, admin: Admin) -> Result<(), PaperError> {
        self.apply(self.now, Step::Input(Input::Admin(admin)));
        let known_at = self.now;
        for update in self.scratch.drain(..) {
            // The owner of the simulation acts, not a client: nothing travels.
            self.outbox.push(Update { deliver_at: known_at, ..update });
        }
        self.deliver()
    }

    /// Sends a request now; the answer will come back to the session under the tag that is returned.
    pub fn send(&mut self, session: SessionId, body: RequestBody) -> Result<u64, PaperError> {
        self.tags += 1;
        let tag = self.tags;
        let Some(trader) = self.traders.get_mut(&session) else { return Ok(tag) };
        trader.asked(tag);
        let account = trader.account;
        let kept_back = body.order().is_some_and(|order| order.kind == OrderKind::Market)
            && !self.options.market_delay.is_zero();
        let request = Request { session, account, tag, body };
        if kept_back {
            self.kept_back.insert((self.now.plus(self.options.market_delay), tag), request);
        } else {
            self.apply(self.now, Step::Input(Input::Request(request)));
            self.route();
        }
        Ok(tag)
    }

    /// Sends an order now. `order` is `request` in the instrument's numbers.
    pub fn send_order(
        &mut self,
        session: SessionId,
        client_id: ClientOrderId,
        order: NewOrder,
        request: &OrderRequest,
    ) -> Result<u64, PaperError> {
        self.send_placed(session, client_id, RequestBody::Place(order), request)
    }

    /// Sends an order now that asks for what few orders ask for. `special.order` is `request` in the instrument's numbers.
    pub fn send_special(
        &mut self,
        session: SessionId,
        client_id: ClientOrderId,
        special: SpecialOrder,
        request: &OrderRequest,
    ) -> Result<u64, PaperError> {
        self.send_placed(session, client_id, RequestBody::PlaceSpecial(Box::new(special)), request)
    }

    fn send_placed(
        &mut self,
        session: SessionId,
        client_id: ClientOrderId,
        body: RequestBody,
        request: &OrderRequest,
    ) -> Result<u64, PaperError> {
        let tag = self.tags + 1;
        if let Some(order) = body.order() {
            self.lives.sent(tag, self.now, order);
            if let Some(trader) = self.traders.get_mut(&session) {
                trader.placed(tag, self.now, order.instrument, client_id, request);
            }
        }
        self.send(session, body)
    }

    /// Sends a cancel or an amend of the order with that number in the session.
    pub fn send_about(
        &mut self,
        session: SessionId,
        number: u64,
        body: impl FnOnce(OrderRef) -> RequestBody,
    ) -> Result<Option<u64>, PaperError> {
        let tag = self.tags + 1;
        let Some(trader) = self.traders.get_mut(&session) else { return Ok(None) };
        let Some(known) = trader.order(number) else { return Ok(None) };
        let id = known.id;
        let order = id.map_or_else(|| OrderRef::Client(known.order.client_order_id.clone()), OrderRef::Id);
        let body = body(order);
        let is_cancel = matches!(body, RequestBody::Cancel(_));
        trader.asked_of(tag, number, is_cancel);
        if let Some(id) = id {
            let event = if is_cancel { LifeEvent::CancelSent } else { LifeEvent::AmendSent };
            self.lives.asked(id, self.now, event);
        }
        self.send(session, body).map(Some)
    }

    /// Plays the next `messages` market messages, of all pairs, and what is known by then. Returns how many there were.
    pub fn step(&mut self, messages: u64) -> Result<u64, PaperError> {
        let before = self.feed.messages;
        let goal = before.saturating_add(messages);
        while self.feed.messages < goal {
            if self.feed.peek()?.is_some() {
                self.tick(Timestamp::MAX)?;
                continue;
            }
            if self.wall.is_none() {
                break;
            }
            let (until, before) = (self.patience(), self.feed.messages);
            self.run_until(until, |paper| paper.feed.messages > before)?;
            if self.feed.messages == before {
                break;
            }
        }
        // More messages of the same instant are not played; what is known by now is.
        while let Some((at, moment)) = self.next()?
            && at <= self.now
            && moment != Moment::Message
        {
            self.tick(at)?;
        }
        Ok(self.feed.messages - before)
    }

    /// Lets time pass to `until` and plays all that happens.
    pub fn advance_to(&mut self, until: Timestamp) -> Result<(), PaperError> {
        while self.tick(until)? || self.wait(until)? {}
        self.now = self.now.max(until);
        Ok(())
    }

    /// Lets so much time pass. At the end of the tape it stops at the last thing that happens.
    pub fn advance(&mut self, by: Duration) -> Result<Stop, PaperError> {
        let until = self.now.plus(by);
        while self.tick(until)? || self.wait(until)? {}
        if self.next()?.is_none() && self.feed.ended {
            return Ok(Stop::EndOfTape);
        }
        self.now = until;
        Ok(Stop::Reached)
    }

    /// Plays to the end of the source, and what is on its way then.
    pub fn run(&mut self) -> Result<(), PaperError> {
        while self.feed.peek()?.is_some() || self.outbox.next_at().is_some() {
            self.tick(Timestamp::MAX)?;
        }
        Ok(())
    }

    /// Moves until `there` holds, `until` at the latest. Nothing is played where it holds already.
    pub fn run_until(
        &mut self,
        until: Timestamp,
        mut there: impl FnMut(&Self) -> bool,
    ) -> Result<Stop, PaperError> {
        loop {
            if there(self) {
                return Ok(Stop::Reached);
            }
            if !self.tick(until)? && !self.wait(until)? {
                if self.next()?.is_none() && self.feed.ended {
                    return Ok(Stop::EndOfTape);
                }
                self.now = self.now.max(until);
                return Ok(Stop::TimedOut);
            }
        }
    }

    /// Moves until the request has been answered.
    pub fn run_until_answer(&mut self, session: SessionId, tag: u64) -> Result<Stop, PaperError> {
        self.run_until(Timestamp::MAX, |paper| {
            paper.trader(session).is_none_or(|trader| trader.is_answered(tag))
        })
    }

    /// Moves until the order with that number in the session is known to be done, or waits at the door.
    pub fn run_until_done(
        &mut self,
        session: SessionId,
        number: u64,
        until: Timestamp,
    ) -> Result<Stop, PaperError> {
        self.run_until(until, |paper| {
            let known = paper.trader(session).and_then(|trader| trader.order(number));
            known.is_none_or(|known| known.done.is_some())
        })
    }

    /// Moves until each of these instruments has a book that can be believed. Returns those that never had one.
    pub fn run_until_trusted(&mut self, wanted: &[InstrumentId]) -> Result<Vec<InstrumentId>, PaperError> {
        let missing =
            |paper: &Self| wanted.iter().copied().filter(|id| !paper.sim.is_trusted(*id)).collect::<Vec<_>>();
        let until = self.patience();
        self.run_until(until, |paper| missing(paper).is_empty())?;
        Ok(missing(self))
    }

    fn next(&mut self) -> Result<Option<(Timestamp, Moment)>, PaperError> {
        let moments = [
            (self.feed.peek()?, Moment::Message),
            (self.kept_back.first_key_value().map(|((at, _), _)| *at), Moment::Send),
            (self.sim.next_due(), Moment::Due),
            (self.outbox.next_at(), Moment::Delivery),
            (self.strategy_at()?, Moment::Strategy),
        ];
        Ok(moments.into_iter().filter_map(|(at, moment)| at.map(|at| (at.max(self.now), moment))).min())
    }

    /// When the strategy that runs here wants to be woken. At the end of the market it sleeps.
    fn strategy_at(&mut self) -> Result<Option<Timestamp>, PaperError> {
        let wake = self.agent.as_ref().and_then(Agent::wake_at);
        Ok(if wake.is_some() && self.feed.peek()?.is_none() && self.feed.ended { None } else { wake })
    }

    /// Does the next thing, if it happens by `limit`.
    fn tick(&mut self, limit: Timestamp) -> Result<bool, PaperError> {
        // Nothing of a live market happens before its time.
        let limit = self.wall.as_ref().map_or(limit, |wall| limit.min(wall.now()));
        let Some((at, moment)) = self.next()?.filter(|(at, _)| *at <= limit) else { return Ok(false) };
        self.now = at;
        match moment {
            Moment::Message => {
                self.apply(at, Step::Message);
                self.feed.next = None;
                self.route();
            }
            Moment::Send => {
                if let Some((_, request)) = self.kept_back.pop_first() {
                    self.apply(at, Step::Input(Input::Request(request)));
                    self.route();
                }
            }
            Moment::Due => {
                self.apply(at, Step::Input(Input::Advance));
                self.route();
            }
            Moment::Delivery => {
                self.deliver()?;
                if let Some(mut agent) = self.agent.take() {
                    let told = agent.tell(self);
                    self.agent = Some(agent);
                    told?;
                }
            }
            Moment::Strategy => {
                if let Some(mut agent) = self.agent.take() {
                    let acted = agent.tick(self);
                    self.agent = Some(agent);
                    acted?;
                }
            }
        }
        Ok(true)
    }

    /// Gives the engine one input; its updates are in `scratch`, recorded.
    fn apply(&mut self, at: Timestamp, step: Step<'_>) {
        self.scratch.clear();
        let is_message = matches!(step, Step::Message);
        match step {
            Step::Input(input) => self.sim.apply(at, input, &mut self.scratch),
            Step::Message => {
                let group = self.feed.source.group();
                // The rest of a snapshot is the same message.
                self.feed.messages += u64::from(group.kind != GroupKind::SnapshotRest);
                // An instrument that turned up after the start is not simulated.
                if group.instrument.index() < self.names.instruments().len() {
                    self.prints.see_group(at, &group);
                    self.sim.apply(at, Input::Market(group), &mut self.scratch);
                    if let (true, Some(book)) = (self.heard.is_some(), self.sim.book(group.instrument)) {
                        self.edits.see(&group, book);
                    }
                }
            }
        }
        self.journal.record(&self.scratch);
        for update in &self.scratch {
            self.lives.see(update);
            if let UpdateBody::PublicTrade(trade) = &update.body {
                self.prints.see_paper(update.at, trade);
            }
        }
        if is_message && self.options.follow_queues {
            self.lives.follow(&self.sim, at, &self.feed.source.group());
        }
    }

    /// Sends the updates of the last input on their way. The ledger tells at once; its owner learns of a row with the
    /// fill or answer that it belongs to.
    fn route(&mut self) {
        let mut told: BTreeMap<AccountId, Timestamp> = BTreeMap::new();
        let rows = self.scratch.iter().any(|update| matches!(update.body, UpdateBody::Ledger(_)));
        // Backwards, so that a row finds the fill or answer after it; what has none after it has one before it.
        for forwards in [false, true].into_iter().filter(|_| rows) {
            let count = self.scratch.len();
            for step in 0..count {
                let update = &mut self.scratch[if forwards { step } else { count - 1 - step }];
                match &update.body {
                    UpdateBody::Order(order) => _ = told.insert(order.account, update.deliver_at),
                    UpdateBody::Fill(fill) => _ = told.insert(fill.account, update.deliver_at),
                    UpdateBody::Ledger(LedgerEntry { owner: Owner::Account(account), .. }) => {
                        let known = told.get(account).copied();
                        update.deliver_at = known.unwrap_or(update.deliver_at).max(update.deliver_at);
                    }
                    _ => {}
                }
            }
            told.clear();
        }
        for update in self.scratch.drain(..) {
            self.outbox.push(update);
        }
    }

    /// Hands over what has arrived, after making it durable.
    fn deliver(&mut self) -> Result<(), PaperError> {
        self.journal.commit()?;
        while let Some(update) = self.outbox.pop(self.now) {
            match &update.body {
                UpdateBody::Order(order) => {
                    if let Some(trader) = self.traders.get_mut(&order.session) {
                        trader.see_order(self.now, order);
                    }
                    if let Some(agent) = &mut self.agent {
                        agent.see_order(order);
                    }
                }
                UpdateBody::Fill(fill) => {
                    let rates = self.sim.fee_rates(fill.account, fill.instrument);
                    if let Some(trader) = self.traders.get_mut(&fill.session) {
                        trader.see_fill(self.now, update.at, fill, rates);
                    }
                    if let Some(agent) = &mut self.agent {
                        agent.see_fill(fill);
                    }
                }
                UpdateBody::Ledger(entry) => {
                    for trader in self.traders.values_mut() {
                        trader.see_ledger(self.now, update.at, entry);
                    }
                }
                UpdateBody::PublicTrade(_) => {}
                UpdateBody::Position(state) => {
                    self.traders.values_mut().for_each(|trader| trader.see_position(self.now, state));
                }
                UpdateBody::Funding(payment) => {
                    self.traders.values_mut().for_each(|trader| trader.see_funding(self.now, payment));
                }
                UpdateBody::Liquidation(told) => {
                    self.traders.values_mut().for_each(|trader| trader.see_liquidation(self.now, told));
                    if let Some(agent) = &mut self.agent {
                        agent.see_liquidation(told);
                    }
                }
            }
            if let Some(heard) = &mut self.heard {
                heard.push(update);
            }
        }
        Ok(())
    }
}

/// What the engine is given.
enum Step<'a> {
    Message,
    Input(Input<'a>),
}
