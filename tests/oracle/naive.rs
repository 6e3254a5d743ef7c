//! A simulated exchange that is too simple to be wrong: maps, vectors, everything looked up or worked out again.
//!
//! It is written from the letter of `docs/fills.md` (§3), not from the engine in `src/sim`, and has the same front.
//! Where the text leaves freedom, both follow these conventions:
//!
//! **Time.** A request only goes to the inbox; it arrives after its latency. `apply(now, X)` first does everything due
//! strictly before `now` (by time, expiries before requests, then sequence), then the expiries due at `now`, then
//! `X`; `Advance` then takes the requests due up to `now`.
//!
//! **Trust.** A market is untrusted until its first snapshot; a distrust makes it so again. While untrusted, orders and
//! amends wait at the door (also those of a halted market; everything about them is decided later), cancels work
//! (also on orders at the door, by client id), prints fill nobody and are not remembered, level changes move no place.
//! The door is decided right after the first trusted group, after crossing and triggers. A snapshot of a trusted book
//! is ordinary changes, old bids best first, then old asks; of an untrusted one it only clamps.
//!
//! **Groups.** Level changes and prints apply one after another. Then: a crossed book is repaired (the side touched last
//! keeps; the other loses its crossing levels, clamp only) or distrusted, rule 4 runs, triggers fire, the door opens.
//!
//! **Prints.** One that claims cancellations (rule 6) claims the oldest first. Who stood before the earliest claimed
//! shrink gets the full budget from where they stood, then the log again; who joined later is paid by
//! max(0, budget − claimed − paid to the early ones).
//!
//! **Ledger.** One transaction for each hold, release, fill or deposit. Rows of a fill: account quote, account base (the
//! hold's change in the row of the held asset), account fee, `@market` quote, `@market` base, `@fees`.
//!
//! A print stops at the first order that it does not fill whole: nobody behind is nearer than by the market volume
//! that it ate until there. A place is never less than that of an earlier order.
//!
//! **Taking.** Part of a lot ahead of a paper order is served before it. The own account's order is met before money
//! is looked at. A quote-sized order ends as `FundsSpent` where more is there than it can pay a lot of.
//!
//! **Windows.** A level that goes and is worse than the side's window after the group has left it; all else is a
//! shrink. Where the window covers a price and shows nothing, nothing is there: places are clamped, what was taken is
//! forgotten. An unknown place becomes known when a size is shown there.
//!
//! **Fees.** What rounding asks for beyond what the account has free is not paid.
//!
//! **Halts.** Prints of a halted market are not looked at; its level changes move places as ever.
//!
//! **Snapshots.** Their levels come before their prints. While untrusted, changes only set the book; what paper orders
//! took is looked at again with the snapshot.
//!
//! **Answers.** Ledger rows and public trades are delivered at once, answers and fills after the response latency.
//! A maker's fill says what was ahead of it whatever the rule; the event time of a taking is its own. An order that is
//! done shows no place. `arrived` of an order from the door is when it was decided. A market order's time in force may
//! be GTC. A withdrawal of more than is free takes what is free. Cancel-all and the end of a session reach the door
//! after the live orders. A refused order does not use up its client id.
//!
//! **Thin sources** are trusted from the start. What is left of a market or immediate-or-cancel order waits, oldest
//! first: for prints of its own direction (where the direction is said) for 60 s, which ends before a print of that
//! instant; or for the open of the next candle in which anything trades. A print has one budget for resting orders and
//! one for takers; a candle has one for both, resting orders first. A waiting market sell that the account can no
//! longer pay is `FundsSpent` at its next fill, as a buy is. What waits cannot be amended.
//!
//! **Not here**: fee tokens, flat fees, tiers, random latencies, order-by-order sources, new ids on amends. The scenes of `tests/rules.rs` look at the engine alone for those.

#[path = "market.rs"]
mod market;
#[path = "money.rs"]
mod money;
#[path = "queue.rs"]
mod queue;
#[path = "requests.rs"]
mod requests;
#[path = "thin.rs"]
mod thin;

use std::collections::{BTreeMap, BTreeSet};

use papertape::market::{
    Asset, FeedDepth, Group, GroupKind, InstrumentId, MarketEvent, Price, Print, Qty, Side, Timestamp,
};
use papertape::order::{
    AccountId, CancelReason, ClientOrderId, Evidence, FillId, FillRule, Liquidity, Money, NewOrder, OrderId,
    OrderKind, OrderRef, OrderSize, OrderStatus, RejectReason, SelfTrade, SessionId, TimeInForce, TriggerBy,
};
use papertape::sim::{
    Admin, Balance, BuyFee, Cause, ClientIdScope, CrossedBook, Digest, Extra, FeeRounding, Fill, Input,
    LatencyModel, LedgerEntry, OrderEvent, OrderFact, OrderState, OrderUpdate, Owner, PostOnlyAnswer,
    PublicTrade, Refill, Request, RequestBody, SimConfig, Update, UpdateBody,
};

use queue::{Laws, Place, Queue, ceil_to, floor_to};

/// One order that lives, waits or stands at the door.
#[derive(Clone, Debug)]
struct Order {
    state: OrderState,
    account: AccountId,
    session: SessionId,
    self_trade: SelfTrade,
    held: i128,
}

impl Order {
    fn leaves(&self) -> i128 {
        i128::from(self.state.qty.units() - self.state.filled.units())
    }

    fn is_market(&self) -> bool {
        self.state.kind == OrderKind::Market
    }
}

/// What one market is at the moment.
#[derive(Clone, Debug)]
struct Market {
    trusted: bool,
    trading: bool,
    book: [BTreeMap<i64, i64>; 2],
    taken: [BTreeMap<i64, Vec<(Timestamp, i64)>>; 2],
    last_seen: [BTreeMap<i64, i64>; 2],
    queues: [BTreeMap<i64, Queue>; 2],
    door: Vec<Arrival>,
    /// Without a book: takers that wait, oldest first, and until when; what a candle has left, and whether it opens.
    takers: Vec<(u64, Option<Timestamp>)>,
    left: i128,
    opens: bool,
}

/// A request on its way, or at the door.
#[derive(Clone, Debug)]
struct Arrival {
    at: Timestamp,
    sequence: u64,
    sent: Timestamp,
    request: Request,
}

/// An order that ended.
#[derive(Clone, Debug)]
struct Closed {
    account: AccountId,
    client_id: Option<ClientOrderId>,
    status: OrderStatus,
}

/// One piece of what a taker can have.
#[derive(Clone, Copy, Debug)]
enum Piece {
    Market(i128),
    Paper(u64),
}

/// See the module's door.
#[derive(Clone)]
pub struct NaiveExchange {
    config: SimConfig,
    now: Timestamp,
    event_time: Timestamp,
    assets: Vec<Asset>,
    scales: Vec<u8>,
    markets: Vec<Market>,
    orders: BTreeMap<u64, Order>,
    closed: BTreeMap<u64, Closed>,
    client_ids_of_day: BTreeSet<(AccountId, i64, String)>,
    inbox: Vec<Arrival>,
    arrivals: BTreeMap<SessionId, Timestamp>,
    accounts: BTreeMap<AccountId, Vec<Balance>>,
    system: BTreeMap<(Owner, u16), i128>,
    sequence: u64,
    last_order: u64,
    last_fill: u64,
    last_transaction: u64,
    last_entry: u64,
    /// What an account that trades with itself pays next as taker: no fee takes it away.
    promised: Option<(u16, i128)>,
    out: Vec<Update>,
}

/// Rules that both sides share are written for keys that grow towards better prices.
fn better_first(side: Side, prices: impl Iterator<Item = i64>) -> Vec<i64> {
    let mut prices: Vec<i64> = prices.collect();
    prices.sort_unstable();
    prices.dedup();
    if side == Side::Buy {
        prices.reverse();
    }
    prices
}

fn better(side: Side, a: i64, b: i64) -> bool {
    side.better(Price::from_units(a), Price::from_units(b))
}

fn ten_to(power: u8) -> i128 {
    10_i128.pow(u32::from(power))
}

impl NaiveExchange {
    /// Starts with nothing.
    pub fn new(config: SimConfig) -> Self {
        let mut assets = Vec::new();
        for market in &config.markets {
            for asset in [&market.instrument.pair.base, &market.instrument.pair.quote] {
                if !assets.contains(asset) {
                    assets.push(asset.clone());
                }
            }
        }
        let mut scales = vec![8; assets.len()];
        for market in &config.markets {
            let instrument = &market.instrument;
            let index =
                |wanted: &Asset| assets.iter().position(|asset| asset == wanted).expect("listed above");
            let (base, quote) = (index(&instrument.pair.base), index(&instrument.pair.quote));
            scales[base] = scales[base].max(instrument.qty_scale);
            scales[quote] = scales[quote].max(instrument.price_scale + instrument.qty_scale);
        }
        let market = Market {
            trusted: false,
            takers: Vec::new(),
            left: 0,
            opens: false,
            trading: true,
            book: Default::default(),
            taken: Default::default(),
            last_seen: Default::default(),
            queues: Default::default(),
            door: Vec::new(),
        };
        let thin = |config: &papertape::sim::MarketConfig| {
            matches!(config.depth, FeedDepth::Prints | FeedDepth::Candles)
        };
        let markets = config.markets.iter();
        let markets = markets.map(|config| Market { trusted: thin(config), ..market.clone() }).collect();
        Self {
            markets,
            config,
            now: Timestamp::MIN,
            event_time: Timestamp::MIN,
            assets,
            scales,
            orders: BTreeMap::new(),
            closed: BTreeMap::new(),
            client_ids_of_day: BTreeSet::new(),
            inbox: Vec::new(),
            arrivals: BTreeMap::new(),
            accounts: BTreeMap::new(),
            system: BTreeMap::new(),
            sequence: 0,
            last_order: 0,
            last_fill: 0,
            last_transaction: 0,
            last_entry: 0,
            promised: None,
            out: Vec::new(),
        }
    }

    /// Moves to `now`, then applies one input.
    pub fn apply(&mut self, now: Timestamp, input: Input<'_>, updates: &mut Vec<Update>) {
        assert!(now >= self.now, "time ran backwards");
        while let Some((at, expiry)) = self.next_due().filter(|(at, _)| *at < now) {
            self.run_one(at, expiry);
        }
        while let Some((at, expiry)) = self.next_due().filter(|(at, expiry)| *at <= now && expiry.is_some()) {
            self.run_one(at, expiry);
        }
        self.move_to(now);
        match input {
            Input::Market(group) => self.on_group(&group),
            Input::Request(request) => self.enqueue(request),
            Input::Advance => {
                while let Some((at, expiry)) = self.next_due().filter(|(at, _)| *at <= now) {
                    self.run_one(at, expiry);
                }
            }
            Input::Admin(admin) => self.on_admin(&admin),
        }
        updates.append(&mut self.out);
    }

    /// What an account has of an asset.
    pub fn balance(&self, account: AccountId, asset: u16) -> Balance {
        self.accounts.get(&account).map_or(Balance::default(), |all| all[usize::from(asset)])
    }

    /// An account's live and waiting orders, oldest first.
    pub fn open_orders(&self, account: AccountId) -> Vec<OrderState> {
        self.orders
            .iter()
            .filter(|(_, order)| order.account == account)
            .map(|(id, _)| self.state_of(*id))
            .collect()
    }

    /// The hash of the whole state; see [`Digest`].
    pub fn state_hash(&self) -> u64 {
        let mut digest = Digest::default();
        digest.clock(self.now);
        for (index, market) in self.markets.iter().enumerate() {
            digest.market(market.trusted, market.trading);
            for side in Side::BOTH {
                let levels = &market.book[side.index()];
                for price in better_first(side, levels.keys().copied()) {
                    digest.level(side, Price::from_units(price), Qty::from_units(levels[&price]));
                }
            }
            for side in Side::BOTH {
                for price in market.taken[side.index()].keys() {
                    let taken = self.taken(index, side, *price);
                    if taken > 0 {
                        digest.taken(side, Price::from_units(*price), Qty::from_units(taken));
                    }
                }
            }
            for side in Side::BOTH {
                let queues = &market.queues[side.index()];
                for price in better_first(side, queues.keys().copied()) {
                    for id in &queues[&price].orders {
                        let lot = self.laws(index).lot;
                        let ahead = queues[&price].places[id].map(|place| (place / lot) as i64);
                        digest.order(side, &self.fact(*id, ahead));
                    }
                }
            }
        }
        for (id, order) in &self.orders {
            if order.state.status == OrderStatus::Waiting || self.waits(*id) {
                digest.order(order.state.side, &self.fact(*id, Some(0)));
            }
        }
        for (account, balances) in &self.accounts {
            for (asset, balance) in balances.iter().enumerate() {
                digest.balance(*account, asset as u16, balance.total, balance.held);
            }
        }
        digest.counters(self.last_order, self.last_fill, self.last_transaction);
        digest.generator(0);
        digest.finish()
    }

    /// The markets as text, for a failure's dump.
    pub fn dump(&self) -> String {
        format!("{:?}\n  accounts {:?}", self.markets, self.accounts)
    }

    fn fact(&self, id: u64, ahead: Option<i64>) -> OrderFact {
        let order = &self.orders[&id];
        OrderFact {
            id: OrderId(id),
            account: order.account,
            price: order.state.price,
            qty: order.state.qty,
            filled: order.state.filled,
            ahead,
        }
    }

    // ---- Time -------------------------------------------------------------------------------------------

    /// When the next thing is due, and the order that expires then (`None`: a request arrives).
    fn next_due(&self) -> Option<(Timestamp, Option<u64>)> {
        let expiries = self.orders.iter().filter_map(|(id, order)| match order.state.tif {
            TimeInForce::Gtd(at) => Some((at, 0, *id)),
            _ => None,
        });
        let takers = self.markets.iter().flat_map(|market| &market.takers);
        let tired = takers.filter_map(|(id, until)| until.map(|until| (until, 0, *id)));
        let requests = self.inbox.iter().map(|arrival| (arrival.at, 1, arrival.sequence));
        let (at, class, id) = expiries.chain(tired).chain(requests).min()?;
        Some((at, (class == 0).then_some(id)))
    }

    fn run_one(&mut self, at: Timestamp, expiry: Option<u64>) {
        self.move_to(at);
        match expiry {
            Some(id) if self.waits(id) => self.cancel(id, CancelReason::BookExhausted, 0),
            Some(id) => self.cancel(id, CancelReason::Expired, 0),
            None => {
                let first =
                    (0..self.inbox.len()).min_by_key(|i| (self.inbox[*i].at, self.inbox[*i].sequence));
                let arrival = self.inbox.remove(first.expect("something is due"));
                self.on_request(arrival);
            }
        }
    }

    fn move_to(&mut self, now: Timestamp) {
        self.now = now;
        self.event_time = now;
        if let Refill::After(span) = self.config.refill {
            for side in self.markets.iter_mut().flat_map(|market| &mut market.taken) {
                side.values_mut().for_each(|all| all.retain(|(at, _)| at.plus(span) > now));
            }
        }
    }

    fn enqueue(&mut self, request: Request) {
        let entry = match self.config.latency {
            LatencyModel::Constant { entry, .. } => entry,
            _ => std::time::Duration::ZERO,
        };
        let last = self.arrivals.get(&request.session).copied().unwrap_or(Timestamp::MIN);
        let at = last.max(self.now.plus(entry));
        self.arrivals.insert(request.session, at);
        self.sequence += 1;
        self.inbox.push(Arrival { at, sequence: self.sequence, sent: self.now, request });
    }

    // ---- What is said -----------------------------------------------------------------------------------

    fn say(&mut self, body: UpdateBody) {
        let response = match self.config.latency {
            LatencyModel::Constant { response, .. } => response,
            _ => std::time::Duration::ZERO,
        };
        // The ledger and public trades are not answers: nobody waits for them.
        let deliver_at = match body {
            UpdateBody::Order(_) | UpdateBody::Fill(_) => self.now.plus(response),
            UpdateBody::Ledger(_)
            | UpdateBody::PublicTrade(_)
            | UpdateBody::Position(_)
            | UpdateBody::Funding(_)
            | UpdateBody::Liquidation(_) => self.now,
        };
        self.out.push(Update { at: self.now, deliver_at, body });
    }

    fn say_order(
        &mut self,
        session: SessionId,
        account: AccountId,
        tag: u64,
        event: OrderEvent,
        order: Option<OrderState>,
    ) {
        self.say(UpdateBody::Order(OrderUpdate { session, account, tag, event, order }));
    }

    fn say_about(&mut self, id: u64, tag: u64, event: OrderEvent) {
        let (session, account) = (self.orders[&id].session, self.orders[&id].account);
        let state = self.state_of(id);
        self.say_order(session, account, tag, event, Some(state));
    }

    fn reject(&mut self, request: &Request, reason: RejectReason, order: Option<OrderState>) {
        self.say_order(request.session, request.account, request.tag, OrderEvent::Rejected(reason), order);
    }

    fn say_trade(&mut self, market: usize, aggressor: Side, price: i64, qty: i128) {
        self.say(UpdateBody::PublicTrade(PublicTrade {
            instrument: InstrumentId(market as u32),
            aggressor,
            price: Price::from_units(price),
            qty: Qty::from_units(qty as i64),
        }));
    }

    fn state_of(&self, id: u64) -> OrderState {
        let order = &self.orders[&id];
        let mut state = order.state.clone();
        state.ahead = self.place_of(id).map(|place| self.shown_place(state.instrument.index(), place));
        state
    }

    fn shown_place(&self, market: usize, place: i128) -> Qty {
        Qty::from_units(self.laws(market).shown(place) as i64)
    }

    fn place_of(&self, id: u64) -> Place {
        let state = &self.orders[&id].state;
        let queues = &self.markets[state.instrument.index()].queues[state.side.index()];
        let queue = queues.get(&state.price?.units())?;
        queue.places.get(&id).copied().flatten()
    }
}
