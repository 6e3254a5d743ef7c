//! The front of the simulated exchange.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::account::{About, Accounts, Contract, FeeModel, Listed, Positions, Posting, SavedPositions};
use super::matching::{
    Applied, Calm, Counters, Floor, Market, Orders, Prints, SavedMarket, Slot, Units, fact, unborn,
};
use super::schedule::{Due, Pending, Schedule};
use super::wire::hand_on;
use super::{
    Admin, Cause, Digest, Input, MarketConfig, OrderEvent, OrderState, OrderUpdate, Owner, PublicTrade,
    QueueModel, Rate, Request, RequestBody, SimConfig, Update, UpdateBody,
};
use crate::market::decimal::units_of;
use crate::market::{Asset, Group, InstrumentId, Level, OrderBook, Price, Product, Side, Timestamp};
use crate::order::{
    AccountId, CancelReason, Money, NewOrder, OrderId, OrderRef, OrderStatus, RejectReason, TimeInForce,
};

/// A configuration that cannot be simulated, or a saved state that does not fit it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// An instrument that cannot be simulated exactly.
    #[error(transparent)]
    Instrument(#[from] crate::market::InstrumentError),
    /// Something else.
    #[error("{0}")]
    Other(String),
}

/// What an account has of one asset, in its smallest unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// All of it.
    pub total: Money,
    /// The part that is held for open orders; never more than `total`.
    pub held: Money,
}

impl Balance {
    /// What can be spent.
    pub fn available(self) -> Money {
        self.total - self.held
    }
}

/// Whose eyes look at the market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// The raw tape.
    Tape,
    /// The public market: tape less taken, plus resting paper orders (the raw tape under `PublicMarket::Tape`).
    Public,
    /// The public market without this account's own resting orders.
    Without(AccountId),
}

/// What the simulation counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimStats {
    /// Groups applied.
    pub groups: u64,
    /// Events applied.
    pub events: u64,
    /// Books that were crossed after a group.
    pub crossed: u64,
    /// Times a book stopped being trusted.
    pub distrusted: u64,
}

/// The simulated exchange. See the module's door for what is never in it.
#[derive(Clone, Debug)]
pub struct SimulatedExchange {
    pub(super) config: SimConfig,
    pub(super) now: Timestamp,
    pub(super) markets: Vec<Market>,
    pub(super) orders: Orders,
    pub(super) accounts: Accounts,
    pub(super) positions: Positions,
    pub(super) schedule: Schedule,
    pub(super) counters: Counters,
    stats: SimStats,
}

/// The whole state but what the configuration says.
#[derive(Serialize, Deserialize)]
struct Saved {
    now: Timestamp,
    markets: Vec<SavedMarket>,
    accounts: Accounts,
    #[serde(default)]
    positions: Option<SavedPositions>,
    schedule: Schedule,
    counters: Counters,
    stats: SimStats,
}

impl SimulatedExchange {
    /// An exchange with no accounts, before its first event. Refuses what cannot be simulated exactly.
    pub fn new(config: SimConfig) -> Result<Self, ConfigError> {
        for market in &config.markets {
            market.instrument.check()?;
        }
        if config.queue == QueueModel::Exact {
            return Err(ConfigError::Other("queue exact needs an order-by-order source".to_owned()));
        }
        let accounts = Accounts::new(list_assets(&config.markets)?);
        let built = config.markets.iter().enumerate();
        let markets = built.map(|(at, market)| build_market(at, market, &config, &accounts));
        let listed = config.markets.iter().map(|market| list_contract(market, &accounts));
        let positions = Positions::new(config.venue.positions, listed.collect::<Result<_, _>>()?);
        Ok(Self {
            now: Timestamp::MIN,
            markets: markets.collect::<Result<_, _>>()?,
            orders: Orders::default(),
            accounts,
            positions,
            schedule: Schedule::new(config.latency.clone(), config.seed),
            counters: Counters::default(),
            stats: SimStats::default(),
            config,
        })
    }

    /// Moves to `now`, then applies one input; what happens is appended to `updates`.
    ///
    /// Everything due before `now` happens first, and what is scheduled for `now` itself; requests that arrive at
    /// `now` wait until every group of `now` has been given ([`Input::Advance`], or any later time).
    ///
    /// # Panics
    /// Where `now` is earlier than the last: sources are merged by time before they come here.
    #[inline]
    pub fn apply(&mut self, now: Timestamp, input: Input<'_>, updates: &mut Vec<Update>) {
        assert!(now >= self.now, "time ran backwards: {now} after {}", self.now);
        // Nearly every input: the tape moves a market, and nothing is due before.
        if let Input::Market(group) = &input
            && !self.schedule.is_due(now)
        {
            self.now = now;
            return self.on_group(group, updates);
        }
        match input {
            Input::Request(request) => self.on_request(now, request, updates),
            input => self.apply_other(now, input, updates),
        }
    }

    fn apply_other(&mut self, now: Timestamp, input: Input<'_>, updates: &mut Vec<Update>) {
        self.run_due(now, updates);
        match input {
            Input::Market(group) => self.on_group(&group, updates),
            Input::Admin(admin) => self.on_admin(&admin, updates),
            Input::Advance | Input::Request(_) => self.run_arrived(now, updates),
        }
    }

    #[inline]
    fn on_request(&mut self, now: Timestamp, request: Request, updates: &mut Vec<Update>) {
        if let RequestBody::Cancel(OrderRef::Id(id)) = &request.body
            && let Some(slot) = self.orders.find(*id)
        {
            self.orders.expect(slot);
        }
        self.run_due(now, updates);
        self.schedule.send(now, request);
    }

    /// Moves to `now`; what is due before happens first.
    fn run_due(&mut self, now: Timestamp, updates: &mut Vec<Update>) {
        while self.schedule.is_due(now)
            && let Some((time, due)) = self.schedule.due_before(now)
        {
            self.now = self.now.max(time);
            match due {
                Due::Expiry(id) => {
                    if let Some(slot) = self.orders.find(id) {
                        self.cancel(slot, self.why_due(id), updates);
                    }
                }
                Due::Funding(market) => self.fund(market, time, updates),
                Due::Arrival(pending) => {
                    self.on_arrival(&pending, updates);
                    self.schedule.done(pending);
                }
            }
        }
        self.now = now;
    }

    /// Why an order ends when its time is up: good till then, or it has waited for prints for long enough.
    fn why_due(&self, id: OrderId) -> CancelReason {
        let waits = self.markets.iter().any(|market| market.thin.holds(id));
        if waits { CancelReason::BookExhausted } else { CancelReason::Expired }
    }

    fn run_arrived(&mut self, now: Timestamp, updates: &mut Vec<Update>) {
        while let Some(pending) = self.schedule.arrival(now) {
            self.on_arrival(&pending, updates);
            self.schedule.done(pending);
        }
    }

    #[inline]
    fn on_group(&mut self, group: &Group<'_>, updates: &mut Vec<Update>) {
        self.stats.groups += 1;
        self.stats.events += group.events.len() as u64;
        let Some(market) = self.markets.get_mut(group.instrument.index()) else { return };
        let contract = market.contract;
        let applied = match market.apply_idle(self.now, group, self.config.crossed) {
            Some(applied) => applied,
            None => match market.apply_calm(self.now, group) {
                Calm::Whole => Applied::default(),
                calm => self.on_floor(group, calm, updates),
            },
        };
        self.stats.crossed += u64::from(applied.crossed);
        self.stats.distrusted += u64::from(applied.distrusted);
        if contract {
            self.after_group(group, updates);
        }
    }

    /// A group meets orders; `so_far`: how far it came without them.
    #[inline(never)]
    fn on_floor(&mut self, group: &Group<'_>, so_far: Calm, updates: &mut Vec<Update>) -> Applied {
        let Some(mut floor) = self.floor(group.instrument, updates) else { return Applied::default() };
        match so_far {
            Calm::No => floor.apply(group),
            Calm::Until(event) => floor.apply_rest(group, event),
            Calm::Whole | Calm::Crosses => {
                floor.settle_group(group.exchange_time, Prints::default(), Applied::default())
            }
        }
    }

    pub(super) fn floor<'a>(
        &'a mut self,
        instrument: InstrumentId,
        updates: &'a mut Vec<Update>,
    ) -> Option<Floor<'a>> {
        Some(Floor {
            now: self.now,
            config: &self.config,
            market: self.markets.get_mut(instrument.index())?,
            orders: &mut self.orders,
            accounts: &mut self.accounts,
            positions: &mut self.positions,
            schedule: &mut self.schedule,
            counters: &mut self.counters,
            updates,
            promised: None,
        })
    }

    fn on_arrival(&mut self, pending: &Pending, updates: &mut Vec<Update>) {
        let account = pending.request.account;
        if !self.accounts.is_open(account) {
            self.refuse(pending, RejectReason::UnknownAccount, updates);
            return;
        }
        match &pending.request.body {
            RequestBody::Place(NewOrder { instrument, .. }) => self.on_order(pending, *instrument, updates),
            RequestBody::PlaceSpecial(special) => {
                self.on_order(pending, special.order.instrument, updates);
            }
            RequestBody::Amend { order, .. } => self.on_amend(pending, order, updates),
            RequestBody::AmendSpecial(change) => self.on_amend(pending, &change.order, updates),
            RequestBody::Cancel(order) => {
                self.on_cancel(pending, order, updates);
            }
            RequestBody::CancelAll { instrument } => {
                self.end_all(account, *instrument, CancelReason::Requested, updates);
                self.done(pending, updates);
            }
            RequestBody::Set { instrument, setting } => {
                match self.set(account, *instrument, *setting, updates) {
                    Ok(()) => self.done(pending, updates),
                    Err(reason) => self.refuse(pending, reason, updates),
                }
            }
        }
        self.settle_positions(updates);
    }

    fn on_order(&mut self, pending: &Pending, instrument: InstrumentId, updates: &mut Vec<Update>) {
        match self.floor(instrument, updates) {
            Some(mut floor) => floor.arrive(pending),
            None => self.refuse(pending, RejectReason::UnknownInstrument, updates),
        }
    }

    fn on_amend(&mut self, pending: &Pending, order: &OrderRef, updates: &mut Vec<Update>) {
        let account = pending.request.account;
        let instrument = self.instrument_of(account, order);
        match instrument.and_then(|instrument| self.floor(instrument, updates)) {
            Some(mut floor) => floor.arrive(pending),
            None => self.refuse(pending, self.counters.clients.missing(account, order), updates),
        }
    }

    fn find(&self, account: AccountId, order: &OrderRef) -> Option<Slot> {
        let id = match order {
            OrderRef::Id(id) => *id,
            OrderRef::Client(client_id) => self.counters.clients.find(account, client_id)?,
        };
        self.orders.find(id).filter(|slot| self.orders.live(*slot).account == account)
    }

    fn instrument_of(&self, account: AccountId, order: &OrderRef) -> Option<InstrumentId> {
        let slot = self.find(account, order)?;
        Some(InstrumentId(u32::from(self.orders.live(slot).instrument)))
    }

    fn on_cancel(&mut self, pending: &Pending, order: &OrderRef, updates: &mut Vec<Update>) {
        let account = pending.request.account;
        let done = match self.find(account, order) {
            Some(slot) => {
                self.cancel(slot, CancelReason::Requested, updates);
                true
            }
            None => self.cancel_at_the_door(account, order, updates),
        };
        if done {
            self.done(pending, updates);
        } else {
            self.refuse(pending, self.counters.clients.missing(account, order), updates);
        }
    }

    /// An order that waits for a trusted book has no number yet; its client id names it.
    fn cancel_at_the_door(
        &mut self,
        account: AccountId,
        order: &OrderRef,
        updates: &mut Vec<Update>,
    ) -> bool {
        let OrderRef::Client(client_id) = order else { return false };
        let is_it = |pending: &Pending| {
            pending.request.account == account
                && pending.request.body.order().is_some_and(|new| new.client_id.as_ref() == Some(client_id))
        };
        for market in &mut self.markets {
            let Some(at) = market.door.iter().position(is_it) else { continue };
            let Some(waiting) = market.door.remove(at) else { continue };
            let instrument = market.id;
            self.end_at_the_door(instrument, &waiting, CancelReason::Requested, updates);
            return true;
        }
        false
    }

    /// An order that was taken from the door of a market ends.
    fn end_at_the_door(
        &mut self,
        instrument: InstrumentId,
        waiting: &Pending,
        reason: CancelReason,
        updates: &mut Vec<Update>,
    ) {
        let Some(new) = waiting.request.body.order() else { return };
        let state = unborn(new, waiting, self.now, OrderStatus::Cancelled);
        let Some(mut floor) = self.floor(instrument, updates) else { return };
        let request = super::Request { tag: 0, ..waiting.request.clone() };
        floor.answer(&request, OrderEvent::Cancelled(reason), Some(state));
        floor.market.refresh_idle();
    }

    pub(super) fn cancel(&mut self, slot: Slot, reason: CancelReason, updates: &mut Vec<Update>) {
        let instrument = InstrumentId(u32::from(self.orders.live(slot).instrument));
        let Some(mut floor) = self.floor(instrument, updates) else { return };
        floor.cancel(slot, reason);
        floor.market.refresh_idle();
    }

    pub(super) fn end_all(
        &mut self,
        account: AccountId,
        instrument: Option<InstrumentId>,
        reason: CancelReason,
        updates: &mut Vec<Update>,
    ) {
        let live = |slot: &u32| {
            let live = self.orders.live(*slot);
            live.account == account && instrument.is_none_or(|wanted| wanted.0 == u32::from(live.instrument))
        };
        // No further than the last of its own.
        let open: u32 = match instrument {
            Some(instrument) => self.counters.clients.open(account, instrument),
            None => self.markets.iter().map(|market| self.counters.clients.open(account, market.id)).sum(),
        };
        let slots: Vec<Slot> = self.orders.by_id().filter(live).take(open as usize).collect();
        for slot in slots {
            self.cancel(slot, reason, updates);
        }
        for market in 0..self.markets.len() {
            let id = self.markets[market].id;
            if instrument.is_none_or(|wanted| wanted == id) {
                while let Some(waiting) = self.markets[market].first_at_the_door(account) {
                    self.end_at_the_door(id, &waiting, reason, updates);
                }
            }
        }
    }

    fn refuse(&mut self, pending: &Pending, reason: RejectReason, updates: &mut Vec<Update>) {
        let order = pending.request.body.order();
        let state = order.map(|order| unborn(order, pending, self.now, OrderStatus::Rejected));
        self.answer(pending, OrderEvent::Rejected(reason), state, updates);
    }

    fn answer(
        &mut self,
        pending: &Pending,
        event: OrderEvent,
        order: Option<OrderState>,
        updates: &mut Vec<Update>,
    ) {
        let request = &pending.request;
        let deliver_at = self.schedule.answer(self.now, request.session);
        let (session, account, tag) = (request.session, request.account, request.tag);
        let update = || OrderUpdate { session, account, tag, event, order };
        let at = self.now;
        hand_on(updates, || Update { at, deliver_at, body: UpdateBody::Order(update()) });
    }

    /// A request about orders was carried out.
    fn done(&mut self, pending: &Pending, updates: &mut Vec<Update>) {
        let request = &pending.request;
        let deliver_at = self.schedule.answer(self.now, request.session);
        let (session, account, tag) = (request.session, request.account, request.tag);
        // Nearly as many as there are orders: no order and no reason is copied.
        let update = || OrderUpdate { session, account, tag, event: OrderEvent::Done, order: None };
        let at = self.now;
        hand_on(updates, || Update { at, deliver_at, body: UpdateBody::Order(update()) });
    }

    fn on_admin(&mut self, admin: &Admin, updates: &mut Vec<Update>) {
        match admin {
            Admin::OpenAccount(account) => self.accounts.open(*account),
            Admin::Deposit { account, asset, amount } => {
                let free = self.accounts.balance(*account, *asset).available();
                if usize::from(*asset) >= self.accounts.assets().len() || !self.accounts.is_open(*account) {
                    return;
                }
                let amount = Money(amount.0.max(-free.0));
                if amount.is_zero() {
                    return;
                }
                self.accounts.begin();
                for (owner, amount) in [(Owner::Account(*account), amount), (Owner::Deposits, -amount)] {
                    let row = Posting::new(owner, *asset, amount, Cause::Deposit);
                    self.accounts.post(self.now, row, About::default(), updates);
                }
            }
            Admin::Hold(kept) => self.hold_position(kept, updates),
            Admin::Flatten(account) => self.flatten(*account, updates),
            Admin::EndSession(account) => self.end_all(*account, None, CancelReason::SessionEnded, updates),
        }
    }

    /// When something is due next (an arriving request, an expiry): nothing happens before unless the market moves. Funding
    /// is no reason to wait: it comes again for ever, and is paid at its instant once time moves past it.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.schedule.next()
    }

    /// The time of the last input.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// What it was made from.
    pub fn config(&self) -> &SimConfig {
        &self.config
    }

    /// All assets; an asset's number is its index.
    pub fn assets(&self) -> &[Asset] {
        self.accounts.assets()
    }

    /// The number of an asset.
    pub fn asset_index(&self, asset: &Asset) -> Option<u16> {
        self.assets().iter().position(|known| known == asset).and_then(|at| u16::try_from(at).ok())
    }

    /// Whether an account can do anything with an asset: base and quote of spot, what contracts settle in, fee tokens.
    pub fn uses(&self, asset: &Asset) -> bool {
        self.config.markets.iter().any(|market| {
            let pair = &market.instrument.pair;
            let traded = match &market.contract {
                Some(terms) => terms.settle == *asset,
                None => pair.base == *asset || pair.quote == *asset,
            };
            let fees = &market.fees;
            let token = fees.token.as_ref().is_some_and(|token| token.asset == *asset);
            traded || token || fees.flat.iter().any(|flat| flat.asset == *asset)
        })
    }

    /// Decimals of an asset's smallest unit.
    pub fn asset_scale(&self, asset: u16) -> u8 {
        self.accounts.scale(asset)
    }

    /// One market's configuration.
    pub fn market(&self, instrument: InstrumentId) -> Option<&MarketConfig> {
        self.config.markets.get(instrument.index())
    }

    /// What an account has of an asset; nothing where either is unknown.
    pub fn balance(&self, account: AccountId, asset: u16) -> Balance {
        self.accounts.balance(account, asset)
    }

    /// What new orders of an account may use of an asset: what is not held, less what positions and orders in contracts
    /// need, with what of the unrealised gains and losses counts at the venue.
    pub fn available(&self, account: AccountId, asset: u16) -> Money {
        self.positions.available(&self.accounts, account, asset)
    }

    /// The balance of a system account.
    pub fn system_balance(&self, owner: Owner, asset: u16) -> Money {
        match owner {
            Owner::Account(account) => self.balance(account, asset).total,
            system => self.accounts.system(system, asset),
        }
    }

    /// A live or waiting order.
    pub fn order(&self, id: OrderId) -> Option<OrderState> {
        let slot = self.orders.find(id)?;
        let market = self.markets.get(usize::from(self.orders.live(slot).instrument))?;
        Some(self.orders.state(slot, market.lot(), false))
    }

    /// An account's live and waiting orders, oldest first.
    pub fn open_orders(&self, account: AccountId) -> Vec<OrderState> {
        let own = self.orders.by_id().filter(|slot| self.orders.live(*slot).account == account);
        own.filter_map(|slot| self.order(self.orders.live(slot).id)).collect()
    }

    /// The tape's book.
    #[inline]
    pub fn book(&self, instrument: InstrumentId) -> Option<&OrderBook> {
        self.markets.get(instrument.index()).map(|market| &market.book)
    }

    /// The tape's books of all markets.
    pub fn books(&self) -> impl Iterator<Item = &OrderBook> {
        self.markets.iter().map(|market| &market.book)
    }

    #[inline]
    fn view(&self, view: View) -> View {
        match self.config.public_market {
            super::PublicMarket::Simulated => view,
            super::PublicMarket::Tape => View::Tape,
        }
    }

    /// The levels of a side as `view` sees them, best first.
    pub fn levels(
        &self,
        instrument: InstrumentId,
        side: Side,
        view: View,
    ) -> impl Iterator<Item = Level> + '_ {
        let view = self.view(view);
        let market = self.markets.get(instrument.index());
        market.into_iter().flat_map(move |market| market.levels(side, view, &self.orders, self.now))
    }

    /// Adds the best `most` levels of a side as `view` sees them to a list, best first.
    pub fn best_levels(
        &self,
        instrument: InstrumentId,
        side: Side,
        view: View,
        (most, into): (usize, &mut Vec<Level>),
    ) {
        let view = self.view(view);
        if let Some(market) = self.markets.get(instrument.index()) {
            market.best_levels((side, view), &self.orders, self.now, (most, into));
        }
    }

    /// The tape's book, where a side of it is just what `view` sees: nothing of ours stands there, and nothing was taken.
    pub fn bare_book(&self, instrument: InstrumentId, side: Side, view: View) -> Option<&OrderBook> {
        let market = self.markets.get(instrument.index())?;
        (self.view(view) == View::Tape || market.is_bare(side)).then_some(&market.book)
    }

    /// The best price of a side as `view` sees it.
    #[inline]
    pub fn best_price(&self, instrument: InstrumentId, side: Side, view: View) -> Option<Price> {
        if self.view(view) == View::Tape {
            return self.book(instrument)?.best_price(side);
        }
        self.levels(instrument, side, view).next().map(|level| level.price)
    }

    /// Whether the book can be believed: it has had a snapshot and no gap since.
    #[inline]
    pub fn is_trusted(&self, instrument: InstrumentId) -> bool {
        self.markets.get(instrument.index()).is_some_and(|market| market.trusted)
    }

    /// Whether the instrument is not halted.
    pub fn is_trading(&self, instrument: InstrumentId) -> bool {
        self.markets.get(instrument.index()).is_some_and(|market| market.trading)
    }

    /// The last public trade (tape or paper) and its time.
    pub fn last_trade(&self, instrument: InstrumentId) -> Option<(Timestamp, PublicTrade)> {
        self.markets.get(instrument.index())?.last_trade
    }

    /// Maker and taker rate of an account, its tier counted.
    pub fn fee_rates(&self, account: AccountId, instrument: InstrumentId) -> (Rate, Rate) {
        let volume = self.accounts.volume(account, self.now);
        let market = self.markets.get(instrument.index());
        market.map_or((Rate(0), Rate(0)), |market| market.fees.rates(volume))
    }

    /// What was counted.
    pub fn stats(&self) -> SimStats {
        self.stats
    }

    /// A hash of the whole state; see [`Digest`] for what it covers.
    pub fn state_hash(&self) -> u64 {
        let mut digest = Digest::default();
        digest.clock(self.now);
        for market in &self.markets {
            market.digest(&self.orders, self.now, &mut digest);
        }
        // Those that wait: for their trigger, or for prints.
        for slot in self.orders.by_id().filter(|slot| !self.orders.live(*slot).is_resting()) {
            digest.order(self.orders.live(slot).side, &fact(&self.orders, slot));
        }
        for account in self.accounts.ids() {
            for asset in 0..self.accounts.assets().len() as u16 {
                let balance = self.accounts.balance(account, asset);
                digest.balance(account, asset, balance.total, balance.held);
            }
            for (market, holding) in self.positions.holdings(account) {
                for (at, leg) in holding.legs.iter().enumerate().filter(|(_, leg)| !leg.qty.is_zero()) {
                    let margin = leg.margin + leg.reserve;
                    digest.position(account, market.0, at, leg.qty, leg.cost, margin);
                }
            }
        }
        digest.counters(self.counters.orders, self.counters.fills, self.accounts.transactions());
        digest.generator(self.schedule.latency.drawn());
        digest.finish()
    }

    /// The whole state but the configuration; [`restore`](Self::restore) of it goes on exactly where it stood.
    pub fn save(&self) -> Result<serde_json::Value, serde_json::Error> {
        serde_json::to_value(Saved {
            now: self.now,
            markets: self.markets.iter().map(|market| market.save(&self.orders)).collect(),
            accounts: self.accounts.clone(),
            positions: self.positions.any().then(|| self.positions.save()),
            schedule: self.schedule.clone(),
            counters: self.counters.clone(),
            stats: self.stats,
        })
    }

    /// The exchange that was saved, under the same configuration.
    pub fn restore(config: SimConfig, state: serde_json::Value) -> Result<Self, ConfigError> {
        let saved: Saved = serde_json::from_value(state)
            .map_err(|fault| ConfigError::Other(format!("not a saved exchange: {fault}")))?;
        let mut exchange = Self::new(config)?;
        let same = saved.markets.len() == exchange.markets.len()
            && saved.accounts.assets() == exchange.accounts.assets();
        if !same {
            return Err(ConfigError::Other("the saved exchange has other markets or assets".to_owned()));
        }
        (exchange.now, exchange.accounts) = (saved.now, saved.accounts);
        if let Some(positions) = saved.positions {
            exchange.positions.restore(positions);
        }
        (exchange.schedule, exchange.counters, exchange.stats) =
            (saved.schedule, saved.counters, saved.stats);
        for (market, saved) in exchange.markets.iter_mut().zip(saved.markets) {
            market.restore(saved, &mut exchange.orders);
        }
        Ok(exchange)
    }

    /// Whether an order of an account lives until a time (and so can expire).
    pub fn expiry(&self, id: OrderId) -> Option<Timestamp> {
        match self.order(id)?.tif {
            TimeInForce::Gtd(time) => Some(time),
            _ => None,
        }
    }
}

/// Assets in the order in which the markets name them, with the decimals that keep every notional exact.
fn list_assets(markets: &[MarketConfig]) -> Result<Vec<(Asset, u8)>, ConfigError> {
    let mut assets: Vec<(Asset, u8)> = Vec::new();
    let mut add = |asset: &Asset, scale: u8| match assets.iter_mut().find(|(known, _)| known == asset) {
        Some((_, known)) => *known = scale.max(*known),
        None => assets.push((asset.clone(), scale.max(8))),
    };
    for MarketConfig { instrument, .. } in markets {
        add(&instrument.pair.base, instrument.qty_scale);
        add(&instrument.pair.quote, instrument.price_scale + instrument.qty_scale);
    }
    for terms in markets.iter().filter_map(|market| market.contract.as_ref()) {
        add(&terms.settle, terms.settle_decimals);
    }
    for MarketConfig { fees, .. } in markets {
        fees.token.iter().for_each(|token| add(&token.asset, 8));
    }
    for MarketConfig { fees, .. } in markets {
        fees.flat.iter().for_each(|flat| add(&flat.asset, 8));
    }
    if assets.len().max(markets.len()) > usize::from(u16::MAX) {
        return Err(ConfigError::Other("more than 65,535 assets or markets".to_owned()));
    }
    Ok(assets)
}

fn build_market(
    at: usize,
    market: &MarketConfig,
    config: &SimConfig,
    accounts: &Accounts,
) -> Result<Market, ConfigError> {
    let find = |asset: &Asset| {
        let at = accounts.assets().iter().position(|known| known == asset)? as u16;
        Some((at, accounts.scale(at)))
    };
    let instrument = &market.instrument;
    let unknown = || ConfigError::Other(format!("{}: unknown asset", instrument.symbol));
    let (base, base_scale) = find(&instrument.pair.base).ok_or_else(unknown)?;
    let (quote, quote_scale) = find(&instrument.pair.quote).ok_or_else(unknown)?;
    // Price × quantity of a contract counts its multiplier in.
    let multiplier = match instrument.product {
        Product::Linear { multiplier } if !multiplier.is_zero() => multiplier,
        _ => Decimal::ONE,
    };
    let least = (instrument.rule.min_notional / multiplier).trunc_with_scale(u32::from(quote_scale));
    let min_notional = units_of(least, quote_scale).unwrap_or(0);
    let fees = FeeModel::new(&market.fees, quote_scale, find)?;
    let fees = match &market.contract {
        Some(terms) => fees.no_finer_than(terms.settle_decimals),
        None => fees,
    };
    let notional = 10_i128.pow(u32::from(quote_scale - instrument.price_scale - instrument.qty_scale));
    let units = Units {
        base,
        quote,
        base_scale,
        quote_scale,
        notional,
        qty: 10_i128.pow(u32::from(base_scale - instrument.qty_scale)),
        min_notional: Money(min_notional),
        most: (1 << 125) / (notional * fees.worst_units()),
    };
    let id = InstrumentId(u32::try_from(at).unwrap_or(u32::MAX));
    Ok(Market::new(id, market, units, fees, config))
}

/// A contract in the ledger's units; `None` for spot.
fn list_contract(market: &MarketConfig, accounts: &Accounts) -> Result<Option<Listed>, ConfigError> {
    let Some(terms) = &market.contract else { return Ok(None) };
    let at = accounts.assets().iter().position(|known| *known == terms.settle);
    let settle = at.and_then(|at| u16::try_from(at).ok()).unwrap_or_default();
    Ok(Some(Listed {
        contract: Contract::new(&market.instrument, terms, (settle, accounts.scale(settle)))?,
        margin: terms.margin,
        times: terms.funding,
        rate: terms.funding_rate,
        taker: market.fees.taker,
    }))
}
