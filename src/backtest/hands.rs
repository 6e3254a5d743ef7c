//! What one trader of a backtest sees and does: [`Trading`] over simulated exchanges.
//!
//! Requests go to the exchange at once and arrive there after the entry latency. What the exchange says waits here until
//! the trader may know it.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::ops::Range;
use std::time::Duration;

use smol_str::SmolStr;

use super::outbox::Outbox;
use super::view::View as LocalView;
use crate::connector::OwnOrders;
use crate::market::decimal::decimal_of;
use crate::market::{Group, InstrumentId, Level, Price, Qty, Side, Timestamp};
use crate::order::{AccountId, NewOrder, OrderKind, OrderRef, OrderSize, SessionId};
use crate::sim::{
    Balance, Input, LedgerEntry, Request, RequestBody, Setting, SimulatedExchange, Update, UpdateBody, View,
};
use crate::strategy::{
    Ask, Funds, Held, MarketId, NextFunding, OrderKey, OwnBook, OwnOrder, TradedMarket, Trading,
};

pub(super) const ACCOUNT: AccountId = AccountId(1);
pub(super) const SESSION: SessionId = SessionId(1);
/// Marks the tag of a cancel; without it the tag is the order's number.
const CANCEL: u64 = 1 << 63;
/// Marks the tag of a setting.
const SETTING: u64 = 1 << 62;

/// One connector of the run: its exchange, and what is on its way to the trader.
pub(super) struct Venue {
    pub(super) sim: SimulatedExchange,
    /// Which of the run's markets are its own.
    pub(super) markets: Range<u32>,
    market_delay: Duration,
    kept_back: VecDeque<(Timestamp, Request)>,
    outbox: Outbox,
    funds: Vec<Balance>,
    view: Option<LocalView>,
}

impl Venue {
    pub(super) fn new(
        sim: SimulatedExchange,
        first_market: u32,
        market_delay: Duration,
        two_clocks: bool,
    ) -> Self {
        let view = two_clocks.then(|| LocalView::new(&sim));
        let end = first_market + u32::try_from(sim.config().markets.len()).unwrap_or(u32::MAX);
        Self {
            funds: vec![Balance::default(); sim.assets().len()],
            markets: first_market..end,
            sim,
            market_delay,
            kept_back: VecDeque::new(),
            outbox: Outbox::new(),
            view,
        }
    }

    /// When something happens here next, unless the market moves.
    pub(super) fn next_at(&self) -> Timestamp {
        let due = self.sim.next_due().unwrap_or(Timestamp::MAX);
        let kept = self.kept_back.front().map_or(Timestamp::MAX, |(at, _)| *at);
        let told = self.outbox.next_at().unwrap_or(Timestamp::MAX);
        due.min(kept).min(told)
    }

    /// One message of the market.
    #[inline]
    pub(super) fn play(&mut self, now: Timestamp, group: &Group<'_>) {
        self.apply(now, Input::Market(*group));
        if let Some(view) = &mut self.view {
            view.send(now, group, &self.sim);
        }
    }

    /// Sends what was kept back until now, and lets happen at the exchange what is due. Whether anything was.
    pub(super) fn run_due(&mut self, now: Timestamp) -> bool {
        let mut any = false;
        while let Some((_, request)) = self.kept_back.pop_front_if(|(at, _)| *at <= now) {
            self.apply(now, Input::Request(request));
            any = true;
        }
        if self.sim.next_due().is_some_and(|due| due <= now) {
            self.apply(now, Input::Advance);
            any = true;
        }
        any
    }

    /// Something happens at the exchange; what it says is new in the outbox.
    #[inline]
    pub(super) fn apply(&mut self, now: Timestamp, input: Input<'_>) {
        self.sim.apply(now, input, self.outbox.inbox());
    }

    /// What the exchange has said that is not on its way yet.
    #[inline]
    pub(super) fn new_ones(&self) -> &[Update] {
        self.outbox.new_ones()
    }

    /// Sends it on its way.
    pub(super) fn send_on(&mut self) {
        self.outbox.send_on();
    }

    /// Tells the trader what it may know by now. Whether there was anything.
    fn deliver(&mut self, now: Timestamp, own: &mut OwnBook) -> bool {
        let Self { outbox, markets, funds, view, .. } = self;
        outbox.tell(now, |body| match body {
            UpdateBody::Order(update) => {
                own.see_setting(update);
                own.see_order(markets.clone(), update);
            }
            UpdateBody::Fill(fill) => {
                own.see_fill(markets.clone(), fill);
                if let Some(view) = view {
                    view.filled(now, fill);
                }
            }
            UpdateBody::Ledger(LedgerEntry { asset, balance_after, hold_after, .. }) => {
                if let Some(funds) = funds.get_mut(usize::from(*asset)) {
                    *funds = Balance { total: *balance_after, held: *hold_after };
                }
            }
            UpdateBody::Position(state) => own.see_position(markets.start, state),
            UpdateBody::Liquidation(told) => own.see_liquidation(markets.start, told),
            UpdateBody::PublicTrade(_) | UpdateBody::Funding(_) => {}
        })
    }

    fn view_of(&self, own: OwnOrders) -> View {
        match own {
            OwnOrders::With => View::Public,
            OwnOrders::Without => View::Without(ACCOUNT),
        }
    }

    fn funds(&self, asset: u16) -> Funds {
        let balance = self.funds.get(usize::from(asset)).copied().unwrap_or_default();
        let scale = self.sim.asset_scale(asset);
        // Balances are bounded where they are deposited; what no decimal holds is shown as the most.
        let decimal =
            |money: crate::order::Money| decimal_of(money.0, scale).unwrap_or(rust_decimal::Decimal::MAX);
        Funds { total: decimal(balance.total), available: decimal(balance.available()) }
    }
}

/// Where a market of the run is.
#[derive(Clone, Copy, Debug)]
struct Place {
    venue: usize,
    instrument: InstrumentId,
    base: u16,
    quote: u16,
}

/// Everything that the trader of one run sees and does.
pub(super) struct Hands {
    pub(super) venues: Vec<Venue>,
    pub(super) own: OwnBook,
    pub(super) now: Timestamp,
    markets: Vec<TradedMarket>,
    places: Vec<Place>,
    first: MarketId,
    keys: u64,
    /// How many orders were sent since it was asked last: the last so many of the own ones. None goes before that, as
    /// nothing comes back meanwhile.
    pub(super) sent: usize,
}

impl Hands {
    /// Over these exchanges, each with its connector's name.
    pub(super) fn new(venues: Vec<(SmolStr, Venue)>) -> Self {
        let (mut markets, mut places) = (Vec::new(), Vec::new());
        for (at, (connector, venue)) in venues.iter().enumerate() {
            let config = venue.sim.config();
            for (id, market) in (0_u32..).zip(&config.markets) {
                let pair = &market.instrument.pair;
                let asset = |asset| venue.sim.asset_index(asset).unwrap_or_default();
                let (base, quote) = (asset(&pair.base), asset(&pair.quote));
                places.push(Place { venue: at, instrument: InstrumentId(id), base, quote });
                let rates = (market.fees.maker, market.fees.taker);
                markets.push(TradedMarket::new(connector.clone(), market, &config.venue, rates));
            }
        }
        Self {
            own: OwnBook::new(markets.len()),
            venues: venues.into_iter().map(|(_, venue)| venue).collect(),
            now: Timestamp::MIN,
            markets,
            places,
            first: MarketId::default(),
            keys: 0,
            sent: 0,
        }
    }

    /// The run is about this market.
    pub(super) fn set_first(&mut self, market: MarketId) {
        self.first = market;
    }

    /// When something happens next at any exchange, unless a market moves.
    pub(super) fn next_at(&self) -> Timestamp {
        self.venues.iter().map(Venue::next_at).min().unwrap_or(Timestamp::MAX)
    }

    /// Tells the trader what it may know by now. Whether there was anything.
    pub(super) fn deliver(&mut self) -> bool {
        let (now, own) = (self.now, &mut self.own);
        self.venues.iter_mut().fold(false, |any, venue| venue.deliver(now, own) | any)
    }

    /// Brings the trader's own view of the markets up to now.
    pub(super) fn look_up(&mut self) {
        let now = self.now;
        let views = self.venues.iter_mut().filter_map(|venue| venue.view.as_mut());
        views.for_each(|view| view.catch_up(now));
    }

    /// The exchange and the instrument of a market.
    pub(super) fn place_of(&self, market: MarketId) -> Option<(&Venue, InstrumentId)> {
        let place = self.places.get(market.index())?;
        Some((self.venues.get(place.venue)?, place.instrument))
    }

    fn send(&mut self, market: MarketId, tag: u64, body: RequestBody, delayed: bool) {
        let Some(place) = self.places.get(market.index()) else { return };
        let Some(venue) = self.venues.get_mut(place.venue) else { return };
        let request = Request { session: SESSION, account: ACCOUNT, tag, body };
        if delayed && !venue.market_delay.is_zero() {
            venue.kept_back.push_back((self.now.plus(venue.market_delay), request));
        } else {
            venue.apply(self.now, Input::Request(request));
            venue.send_on();
        }
    }
}

/// The client id of an order: short, so that it needs no memory of its own.
fn client_id(key: u64) -> SmolStr {
    let mut text = smol_str::SmolStrBuilder::new();
    // Writing to memory cannot fail.
    let _ = write!(text, "pt-{key}");
    text.finish()
}

impl Trading for Hands {
    fn now(&self) -> Timestamp {
        self.now
    }

    fn markets(&self) -> &[TradedMarket] {
        &self.markets
    }

    fn first(&self) -> MarketId {
        self.first
    }

    fn best_price(&self, market: MarketId, side: Side, own: OwnOrders) -> Option<Price> {
        let (venue, instrument) = self.place_of(market)?;
        if let Some(view) = &venue.view {
            return view.best_price(instrument.index(), side);
        }
        let trusted = venue.sim.is_trusted(instrument);
        if trusted { venue.sim.best_price(instrument, side, venue.view_of(own)) } else { None }
    }

    fn levels(&self, market: MarketId, side: Side, own: OwnOrders, depth: usize, levels: &mut Vec<Level>) {
        let Some((venue, instrument)) = self.place_of(market) else { return };
        match &venue.view {
            Some(view) => view.levels(instrument.index(), side, depth, levels),
            None => levels.extend(venue.sim.levels(instrument, side, venue.view_of(own)).take(depth)),
        }
    }

    fn has_book(&self, market: MarketId) -> bool {
        let market = self.place_of(market).and_then(|(venue, instrument)| venue.sim.market(instrument));
        market.is_some_and(|market| !market.depth.is_thin())
    }

    fn last_trade(&self, market: MarketId) -> Option<Price> {
        let (venue, instrument) = self.place_of(market)?;
        match &venue.view {
            Some(view) => view.last_trade(instrument.index()),
            None => venue.sim.last_trade(instrument).map(|(_, trade)| trade.price),
        }
    }

    fn last_own_trade(&self, market: MarketId) -> Option<Price> {
        self.own.last_fill(market)
    }

    fn base(&self, market: MarketId) -> Funds {
        let place = self.places.get(market.index());
        place.map(|place| self.venues[place.venue].funds(place.base)).unwrap_or_default()
    }

    fn quote(&self, market: MarketId) -> Funds {
        let place = self.places.get(market.index());
        place.map(|place| self.venues[place.venue].funds(place.quote)).unwrap_or_default()
    }

    fn funding(&self, market: MarketId) -> Option<NextFunding> {
        let (venue, instrument) = self.place_of(market)?;
        NextFunding::of(&venue.sim, instrument)
    }

    fn position(&self, market: MarketId) -> Qty {
        self.own.position(market)
    }

    fn held(&self, market: MarketId) -> Vec<Held> {
        self.own.held(market).to_vec()
    }

    fn orders(&self) -> &[OwnOrder] {
        self.own.orders()
    }

    fn place(&mut self, ask: Ask) -> OrderKey {
        self.keys += 1;
        let key = OrderKey(self.keys);
        let client_id = client_id(self.keys);
        self.own.sent(key, client_id.clone(), ask, self.now);
        self.sent += 1;
        let instrument =
            self.places.get(ask.market.index()).map_or(InstrumentId::default(), |p| p.instrument);
        let limit = NewOrder::limit(instrument, ask.side, ask.qty, ask.price.unwrap_or_default());
        let order = match ask.kind {
            OrderKind::Market => NewOrder::market(instrument, ask.side, ask.qty),
            kind => NewOrder { kind, price: ask.price, ..limit },
        };
        let (client_id, size) = (Some(client_id), OrderSize::Qty(ask.qty));
        let order = NewOrder { client_id, size, effect: ask.effect, ..order };
        let delayed = ask.kind == OrderKind::Market;
        self.send(ask.market, key.0, RequestBody::Place(order), delayed);
        key
    }

    fn cancel(&mut self, order: OrderKey) {
        let Some(own) = self.own.cancelling(order) else { return };
        let market = own.ask.market;
        let named = own.id.map_or_else(|| OrderRef::Client(own.client_id.clone()), OrderRef::Id);
        self.send(market, CANCEL | order.0, RequestBody::Cancel(named), false);
    }

    fn set(&mut self, market: MarketId, setting: Setting) {
        self.keys += 1;
        let tag = SETTING | self.keys;
        self.own.setting_sent(tag);
        let instrument = self.places.get(market.index()).map_or(InstrumentId::default(), |p| p.instrument);
        self.send(market, tag, RequestBody::Set { instrument, setting }, false);
    }
}
