//! Random scenarios: a small, crowded market and accounts that do everything at once. One seed, one scenario.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use papertape::market::{
    FeedDepth, Group, GroupKind, IdSpan, InstrumentId, MarketEvent, Price, Print, Qty, Side, Timestamp,
};
use papertape::order::{
    AccountId, Money, NewOrder, OrderId, OrderKind, OrderRef, OrderSize, SelfTrade, SessionId, TimeInForce,
    Trigger, TriggerBy, TriggerKind,
};
use papertape::sim::{
    Admin, BuyFee, ClientIdScope, CrossedBook, FeeRounding, FeeSchedule, Input, LatencyModel, Law,
    MarketConfig, PostOnlyAnswer, QueueModel, Rate, Refill, Request, RequestBody, SimConfig, VenueRules,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::common;

/// What happens at one instant.
#[derive(Clone, Debug)]
pub enum What {
    Group { instrument: u32, kind: GroupKind, lag_ns: i64, events: Vec<MarketEvent> },
    Request(Request),
    Advance,
    Admin(Admin),
}

/// One step: so much later, something happens.
#[derive(Clone, Debug)]
pub struct Step {
    pub after_ns: i64,
    pub what: What,
}

impl Step {
    /// The step as an input at `now`.
    pub fn input(&self, now: Timestamp) -> Input<'_> {
        match &self.what {
            What::Group { instrument, kind, lag_ns, events } => Input::Market(Group {
                instrument: InstrumentId(*instrument),
                kind: *kind,
                exchange_time: Timestamp::from_nanos(now.nanos() - lag_ns),
                receive_time: now,
                events,
                ids: &[],
            }),
            What::Request(request) => Input::Request(request.clone()),
            What::Advance => Input::Advance,
            What::Admin(admin) => Input::Admin(admin.clone()),
        }
    }

    /// One line for a person.
    pub fn show(&self, now: Timestamp) -> String {
        let mut line = format!("{:>14} ", now.nanos());
        let _ = match &self.what {
            What::Group { instrument, kind, events, .. } => {
                let _ = write!(line, "market {instrument} {kind:?}:");
                for event in events {
                    let _ = match event {
                        MarketEvent::Level { side, price, qty } => {
                            let name = if *side == Side::Buy { "bid" } else { "ask" };
                            write!(line, " | {name} {} @ {}", qty.units(), price.units())
                        }
                        MarketEvent::Trade(print) => {
                            let who = print.aggressor.map_or("?", Side::name);
                            write!(line, " | trade {who} {} @ {}", print.qty.units(), print.price.units())
                        }
                        other => write!(line, " | {other:?}"),
                    };
                }
                Ok(())
            }
            What::Request(Request { session, account, tag, body }) => {
                write!(line, "s{session} a{account} tag {tag}: {body:?}")
            }
            other => write!(line, "{other:?}"),
        };
        line
    }
}

/// A configuration and what happens under it.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub config: SimConfig,
    pub steps: Vec<Step>,
}

impl Scenario {
    /// The scenario of a seed.
    pub fn of(seed: u64) -> Self {
        let mut dice = Dice(ChaCha8Rng::seed_from_u64(seed));
        let config = dice.config();
        let mut script = Script::new(dice, config);
        script.write();
        Self { config: script.config, steps: script.steps }
    }
}

impl Scenario {
    /// A scenario of a seed in which no market has a book: prints alone, or candles.
    pub fn thin(seed: u64) -> Self {
        let mut dice = Dice(ChaCha8Rng::seed_from_u64(seed));
        let mut config = dice.config();
        for market in &mut config.markets {
            market.depth = dice.pick(&[FeedDepth::Prints, FeedDepth::Candles]);
        }
        config.assume_spread = Rate(dice.pick(&[0, 1_000_000, 30_000_000]));
        let mut script = Script::new(dice, config);
        script.write();
        Self { config: script.config, steps: script.steps }
    }
}

/// The generator.
struct Dice(ChaCha8Rng);

impl Dice {
    /// From `low` to `high`, both included.
    fn roll(&mut self, low: i64, high: i64) -> i64 {
        low + (self.0.next_u64() % (high - low + 1) as u64) as i64
    }

    /// True `percent` times of a hundred.
    fn chance(&mut self, percent: i64) -> bool {
        self.roll(1, 100) <= percent
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.roll(0, from.len() as i64 - 1) as usize].clone()
    }

    fn side(&mut self) -> Side {
        self.pick(&Side::BOTH)
    }

    fn config(&mut self) -> SimConfig {
        let ms = Duration::from_millis;
        let windowed = self.chance(25);
        let mut market = |pair: &str| {
            let (scale, tick, lot) = (self.pick(&[0, 2]), self.pick(&[1, 1, 5]), self.pick(&[1, 1, 2, 5]));
            let mut instrument = common::instrument(pair, scale, tick, lot);
            if self.chance(20) {
                instrument.rule.min_notional = rust_decimal::Decimal::new(200, 1 + u32::from(scale));
            }
            let rates = [0, 1_000_000, 2_500_000, 333_333, 123_456_789, -250_000, -1_000_000];
            let mut fees = FeeSchedule::flat_rates(Rate(self.pick(&rates)), Rate(self.pick(&rates)), "test");
            fees.buy_fee = self.pick(&[BuyFee::AddedToCost, BuyFee::DeductedFromReturns]);
            fees.decimals = self.pick(&[8, 8, 3, 1]);
            fees.rounding = self.pick(&[
                FeeRounding::HalfEven,
                FeeRounding::HalfEven,
                FeeRounding::Down,
                FeeRounding::Up,
            ]);
            let depth = if windowed { FeedDepth::Levels(self.roll(1, 4) as u32) } else { FeedDepth::Full };
            MarketConfig { instrument, fees, depth, tradable: true, contract: None }
        };
        let markets = vec![market("BTC-USDT"), market("ETH-USDT")];
        let powers = [1, 2, 2, 3].map(|n| QueueModel::Probabilistic(Law::Power(n)));
        SimConfig {
            markets,
            seed: 7,
            queue: match self.roll(0, 9) {
                0 => QueueModel::Front,
                1 | 2 => QueueModel::Conservative,
                3 => QueueModel::Probabilistic(Law::Log),
                _ => self.pick(&powers),
            },
            refill: self.pick(&[Refill::New, Refill::New, Refill::New, Refill::Any, Refill::After(ms(300))]),
            latency: match self.roll(0, 2) {
                0 => LatencyModel::None,
                1 => LatencyModel::Constant { entry: ms(10), response: ms(5) },
                _ => LatencyModel::Constant { entry: ms(150), response: ms(150) },
            },
            public_market: papertape::sim::PublicMarket::Simulated,
            crossed: self.pick(&[CrossedBook::Repair, CrossedBook::Repair, CrossedBook::Distrust]),
            assume_spread: Rate(1_000_000),
            pairing: self.pick(&[ms(1_000), ms(1_000), ms(0), ms(100)]),
            late_prints: self.pick(&[ms(1_000), ms(1_000), ms(0), ms(100)]),
            venue: VenueRules {
                post_only: self.pick(&[PostOnlyAnswer::Cancel, PostOnlyAnswer::Reject]),
                self_trade: self.pick(&SELF_TRADES),
                client_ids: self.pick(&[ClientIdScope::Open, ClientIdScope::Open, ClientIdScope::Day]),
                refuse_amend_below_filled: self.chance(50),
                amend_gives_new_id: false,
                max_open_orders: self.pick(&[None, None, Some(4)]),
                positions: papertape::sim::PositionRules::default(),
                limits: papertape::sim::OrderLimits::default(),
            },
        }
    }
}

const SELF_TRADES: [SelfTrade; 4] =
    [SelfTrade::None, SelfTrade::CancelTaker, SelfTrade::CancelMaker, SelfTrade::CancelBoth];

/// The real market behind a feed, and what the feed has sent of it.
#[derive(Clone, Debug, Default)]
struct Tape {
    real: [BTreeMap<i64, i64>; 2],
    sent: [BTreeMap<i64, i64>; 2],
}

impl Tape {
    /// What a feed of that depth shows.
    fn visible(&self, depth: FeedDepth) -> [BTreeMap<i64, i64>; 2] {
        Side::BOTH.map(|side| {
            let all = &self.real[side.index()];
            let most = match depth {
                FeedDepth::Levels(n) => n as usize,
                _ => usize::MAX,
            };
            match side {
                Side::Buy => all.iter().rev().take(most).map(|(p, q)| (*p, *q)).collect(),
                Side::Sell => all.iter().take(most).map(|(p, q)| (*p, *q)).collect(),
            }
        })
    }
}

fn level(side: Side, price: i64, qty: i64) -> MarketEvent {
    MarketEvent::Level { side, price: Price::from_units(price), qty: Qty::from_units(qty) }
}

fn print(aggressor: Option<Side>, price: i64, qty: i64) -> MarketEvent {
    let (price, qty) = (Price::from_units(price), Qty::from_units(qty));
    MarketEvent::Trade(Print { aggressor, id: IdSpan::default(), price, qty })
}

struct Script {
    dice: Dice,
    config: SimConfig,
    steps: Vec<Step>,
    tapes: Vec<Tape>,
    distrusted: Vec<bool>,
    halted: Vec<bool>,
    now: i64,
    tag: u64,
    placed: u64,
    /// Who named an order how.
    clients: Vec<(u32, String)>,
}

/// The middle of the crowded prices, in ticks.
const MID: i64 = 100;

impl Script {
    fn new(dice: Dice, config: SimConfig) -> Self {
        let markets = config.markets.len();
        Self {
            dice,
            config,
            steps: Vec::new(),
            tapes: vec![Tape::default(); markets],
            distrusted: vec![true; markets],
            halted: vec![false; markets],
            now: 0,
            tag: 0,
            placed: 0,
            clients: Vec::new(),
        }
    }

    fn push(&mut self, what: What) {
        let after_ns = match self.dice.roll(0, 19) {
            0..=6 => 0,
            7..=14 => self.dice.roll(1, 60) * 1_000_000,
            15..=17 => self.dice.roll(60, 600) * 1_000_000,
            18 => 1_000_000_000,
            _ => self.dice.roll(900, 1_300) * 1_000_000,
        };
        self.push_after(after_ns, what);
    }

    fn push_after(&mut self, after_ns: i64, what: What) {
        self.now += after_ns;
        self.steps.push(Step { after_ns, what });
    }

    fn tick(&self, market: usize) -> i64 {
        self.config.markets[market].instrument.rule.tick.units()
    }

    fn write(&mut self) {
        for account in 1..=3 {
            let account = AccountId(account);
            self.push_after(0, What::Admin(Admin::OpenAccount(account)));
            for asset in 0..3 {
                let whole = 100_000_000;
                let rich = i128::from(self.dice.pick(&[2_i64, 50, 10_000, 10_000]));
                let odd = i128::from(self.dice.roll(0, 1_000));
                let amount = Money(rich * whole * if asset == 1 { 10 } else { 1 } + odd);
                self.push_after(0, What::Admin(Admin::Deposit { account, asset, amount }));
            }
        }
        for market in 0..self.tapes.len() {
            if self.dice.chance(90) {
                self.snapshot(market);
            }
        }
        for _ in 0..self.dice.roll(20, 110) {
            let market = self.dice.pick(&[0, 0, 0, 1]);
            match self.dice.roll(0, 99) {
                0..=17 => self.change(market),
                18..=33 => self.trade(market),
                34..=41 => self.duel(market),
                42..=43 => self.snapshot(market),
                44 => self.distrust(market),
                45 => self.halt(market),
                46..=72 => self.place(market),
                73..=80 => self.cancel(market),
                81..=88 => self.amend(market),
                89 => self.rare(),
                _ => self.push(What::Advance),
            }
            if self.halted[market] && self.dice.chance(30) {
                self.halt(market);
            }
            if self.distrusted[market] && self.dice.chance(25) {
                self.snapshot(market);
            }
        }
        self.push_after(2_000_000_000, What::Advance);
    }

    // ---- The market ---------------------------------------------------------------------------------------------

    fn price(&mut self, market: usize, side: Side) -> i64 {
        let away = self.dice.pick(&[-1, 0, 0, 0, 1, 1, 2, 3]);
        let ticks = if side == Side::Buy { MID - 1 - away } else { MID + 1 + away };
        ticks * self.tick(market)
    }

    fn size(&mut self) -> i64 {
        self.dice.pick(&[1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20])
    }

    fn lag(&mut self) -> i64 {
        self.dice.pick(&[0, 0, 3_000_000])
    }

    fn group(&mut self, market: usize, kind: GroupKind, events: Vec<MarketEvent>) {
        let depth = self.config.markets[market].depth;
        if depth.is_thin() {
            return self.thin_group(market, depth, events);
        }
        let what = What::Group { instrument: market as u32, kind, lag_ns: self.lag(), events };
        self.push(what);
    }

    /// What of a group is left where there is no book; a candle begins now and then.
    fn thin_group(&mut self, market: usize, depth: FeedDepth, mut events: Vec<MarketEvent>) {
        events.retain(|event| matches!(event, MarketEvent::Trade(_) | MarketEvent::Trading(_)));
        if depth == FeedDepth::Candles {
            for event in &mut events {
                if let MarketEvent::Trade(print) = event {
                    (print.aggressor, print.qty) = (None, Qty::ZERO);
                }
            }
            if self.dice.chance(60) {
                let volume = self.dice.pick(&[0, 9, 30, 55, 100, 200]);
                events.insert(0, MarketEvent::Candle(Qty::from_units(volume)));
            }
        }
        if !events.is_empty() {
            let what = What::Group {
                instrument: market as u32,
                kind: GroupKind::Update,
                lag_ns: self.lag(),
                events,
            };
            self.push(what);
        }
    }

    /// What the feed must say so that it shows what is there.
    fn differences(&mut self, market: usize) -> Vec<MarketEvent> {
        let tape = &mut self.tapes[market];
        let visible = tape.visible(self.config.markets[market].depth);
        let mut events = Vec::new();
        for side in Side::BOTH {
            let (old, new) = (&tape.sent[side.index()], &visible[side.index()]);
            for (price, qty) in new {
                if old.get(price) != Some(qty) {
                    events.push(level(side, *price, *qty));
                }
            }
            for price in old.keys().filter(|price| !new.contains_key(price)) {
                events.push(level(side, *price, 0));
            }
        }
        tape.sent = visible;
        if self.dice.chance(50) {
            events.reverse();
        }
        events
    }

    fn set(&mut self, market: usize, side: Side, price: i64, qty: i64) {
        let book = &mut self.tapes[market].real[side.index()];
        book.remove(&price);
        if qty > 0 {
            book.insert(price, qty);
        }
        // A real book is not crossed, but now and then a feed is.
        if qty > 0 && self.dice.chance(93) {
            let other = &mut self.tapes[market].real[side.opposite().index()];
            other.retain(|p, _| if side == Side::Buy { *p > price } else { *p < price });
        }
    }

    fn change(&mut self, market: usize) {
        for _ in 0..self.dice.pick(&[1, 1, 1, 2, 3]) {
            let side = self.dice.side();
            let price = self.price(market, side);
            let here = self.tapes[market].real[side.index()].get(&price).copied().unwrap_or(0);
            let qty = match self.dice.roll(0, 9) {
                0..=1 => 0,
                2..=5 => (here - self.size()).max(0),
                6..=7 => here + self.size(),
                _ => self.size(),
            };
            self.set(market, side, price, qty);
        }
        let mut events = self.differences(market);
        if self.dice.chance(10) && !events.is_empty() {
            // The same level said twice.
            events.push(events[0]);
        }
        if !events.is_empty() {
            self.group(market, GroupKind::Update, events);
        }
    }

    /// A print and the shrink that belongs to it, in any order, in one frame or two, whole or in part.
    fn trade(&mut self, market: usize) {
        let side = self.dice.side();
        let best = match side {
            Side::Buy => self.tapes[market].real[0].last_key_value(),
            Side::Sell => self.tapes[market].real[1].first_key_value(),
        };
        let best = best.map(|(price, qty)| (*price, *qty));
        let (price, there) = match best {
            Some(best) if self.dice.chance(85) => best,
            _ => (self.price(market, side), 0),
        };
        let price = price + if self.dice.chance(10) { self.dice.roll(-1, 1) * self.tick(market) } else { 0 };
        let qty = if self.dice.chance(30) { there.max(1) } else { self.size() };
        let shrink = match self.dice.roll(0, 9) {
            0..=1 => 0,
            2..=6 => qty,
            7..=8 => qty + self.size(),
            _ => (qty - 1).max(0),
        };
        let aggressor = if self.dice.chance(12) { None } else { Some(side.opposite()) };
        let print = print(aggressor, price, qty);
        let mut prints = vec![print];
        if self.dice.chance(15) {
            prints.push(print);
        }
        if there > 0 && shrink > 0 {
            self.set(market, side, price, (there - shrink).max(0));
        }
        let changes = self.differences(market);
        let (first, second) = if self.dice.chance(50) { (prints, changes) } else { (changes, prints) };
        if self.dice.chance(35) {
            self.group(market, GroupKind::Update, first.into_iter().chain(second).collect());
        } else {
            for events in [first, second] {
                if !events.is_empty() {
                    self.group(market, GroupKind::Update, events);
                }
                if self.dice.chance(10) {
                    self.place(market);
                }
            }
        }
    }

    /// Rule 6's own weather: prints, shrinks, growths, orders and takers at one price within seconds.
    fn duel(&mut self, market: usize) {
        if self.config.markets[market].depth.is_thin() {
            return self.trade(market);
        }
        let side = self.dice.side();
        let price =
            if side == Side::Buy { (MID - 1) * self.tick(market) } else { (MID + 1) * self.tick(market) };
        let lot = self.config.markets[market].instrument.rule.lot.units();
        for _ in 0..self.dice.roll(4, 14) {
            let here = self.tapes[market].real[side.index()].get(&price).copied().unwrap_or(0);
            let size = self.size();
            let after_ns = self.dice.pick(&[0, 1, 20, 100, 300, 500, 1_000]) * 1_000_000;
            match self.dice.roll(0, 9) {
                0..=2 => {
                    self.set(market, side, price, (here - size).max(0));
                    let events = self.differences(market);
                    let what = self.update(market, events);
                    self.push_after(after_ns, what);
                }
                3 => {
                    self.set(market, side, price, here + size);
                    let events = self.differences(market);
                    let what = self.update(market, events);
                    self.push_after(after_ns, what);
                }
                4..=6 => {
                    let what = self.update(market, vec![print(Some(side.opposite()), price, size)]);
                    self.push_after(after_ns, what);
                }
                7..=8 => {
                    let qty = Qty::from_units(lot * self.dice.roll(1, 4));
                    let limit =
                        NewOrder::limit(InstrumentId(market as u32), side, qty, Price::from_units(price));
                    self.send(after_ns, limit);
                }
                _ => {
                    let qty = Qty::from_units(lot * self.dice.roll(1, 3));
                    let taker = NewOrder::market(InstrumentId(market as u32), side.opposite(), qty);
                    self.send(after_ns, taker);
                }
            }
        }
    }

    fn update(&mut self, market: usize, events: Vec<MarketEvent>) -> What {
        What::Group { instrument: market as u32, kind: GroupKind::Update, lag_ns: self.lag(), events }
    }

    /// An order of anyone, decided as soon as it arrives.
    fn send(&mut self, after_ns: i64, order: NewOrder) {
        let session = self.dice.roll(1, 4) as u32;
        self.placed += 1;
        self.tag += 1;
        let (session, account) = (SessionId(session), AccountId(session.min(3)));
        let request = Request { session, account, tag: self.tag, body: RequestBody::Place(order) };
        self.push_after(after_ns, What::Request(request));
        self.push_after(0, What::Advance);
    }

    fn snapshot(&mut self, market: usize) {
        if self.distrusted[market] || self.dice.chance(50) {
            for side in Side::BOTH {
                self.tapes[market].real[side.index()].clear();
                for _ in 0..self.dice.roll(0, 5) {
                    let (price, size) = (self.price(market, side), self.size());
                    self.tapes[market].real[side.index()].insert(price, size);
                }
            }
            if self.dice.chance(95) {
                let ask = self.tapes[market].real[1].first_key_value().map(|(price, _)| *price);
                self.tapes[market].real[0].retain(|price, _| ask.is_none_or(|ask| *price < ask));
            }
        }
        let visible = self.tapes[market].visible(self.config.markets[market].depth);
        self.tapes[market].sent = visible.clone();
        let mut events: Vec<MarketEvent> = Vec::new();
        for side in Side::BOTH {
            events.extend(visible[side.index()].iter().map(|(price, qty)| level(side, *price, *qty)));
        }
        if self.dice.chance(30) {
            events.reverse();
        }
        self.distrusted[market] = false;
        if self.dice.chance(8) {
            let side = self.dice.side();
            let (price, size) = (self.price(market, side), self.size());
            let at = self.dice.roll(0, events.len() as i64) as usize;
            events.insert(at, print(Some(side.opposite()), price, size));
        }
        let rest = if self.dice.chance(8) { events.split_off(events.len() / 2) } else { Vec::new() };
        self.group(market, GroupKind::Snapshot, events);
        if !rest.is_empty() {
            self.group(market, GroupKind::SnapshotRest, rest);
        }
    }

    fn distrust(&mut self, market: usize) {
        self.distrusted[market] = true;
        self.group_around(market, MarketEvent::Distrust);
    }

    fn halt(&mut self, market: usize) {
        self.halted[market] = !self.halted[market];
        let trading = !self.halted[market];
        self.group_around(market, MarketEvent::Trading(trading));
    }

    /// The event, now and then among changes and prints of the same message.
    fn group_around(&mut self, market: usize, event: MarketEvent) {
        let mut events = vec![event];
        for _ in 0..self.dice.pick(&[0, 0, 2, 4]) {
            let side = self.dice.side();
            let (price, size) = (self.price(market, side), self.size());
            let other = if self.dice.chance(50) {
                print(Some(side.opposite()), price, size)
            } else {
                self.tapes[market].sent[side.index()].insert(price, size);
                self.tapes[market].real[side.index()].insert(price, size);
                level(side, price, size)
            };
            let at = self.dice.roll(0, events.len() as i64) as usize;
            events.insert(at, other);
        }
        self.group(market, GroupKind::Update, events);
    }

    // ---- The accounts -------------------------------------------------------------------------------------------

    fn session(&mut self) -> u32 {
        self.dice.roll(1, 4) as u32
    }

    fn request(&mut self, session: u32, body: RequestBody) {
        let account = AccountId(if self.dice.roll(1, 200) == 1 { 9 } else { session.min(3) });
        self.tag += 1;
        self.push(What::Request(Request { session: SessionId(session), account, tag: self.tag, body }));
        if self.dice.chance(40) {
            self.push_after(0, What::Advance);
        }
    }

    fn place(&mut self, market: usize) {
        let side = self.dice.side();
        let rule = self.config.markets[market].instrument.rule.clone();
        let lots = self.dice.pick(&[1, 1, 2, 3, 4, 6, 10]);
        let odd = if self.dice.chance(2) { self.dice.roll(-2, 1) } else { 0 };
        let qty = Qty::from_units(lots * rule.lot.units() + odd);
        let away = self.dice.pick(&[-2, -1, -1, 0, 0, 0, 0, 1, 1, 2]);
        let ticks = if side == Side::Buy { MID - 1 - away } else { MID + 1 + away };
        let odd = if self.dice.chance(2) { 1 } else { 0 };
        let price = Price::from_units(ticks * rule.tick.units() + odd);
        let instrument = InstrumentId(if self.dice.chance(1) { 7 } else { market as u32 });
        let mut order = NewOrder::limit(instrument, side, qty, price);
        match self.dice.roll(0, 9) {
            0..=4 => {}
            5..=6 => order.kind = OrderKind::LimitMaker,
            7 => order.tif = TimeInForce::Ioc,
            8 => order.tif = TimeInForce::Fok,
            _ => {
                let later =
                    self.now + self.dice.pick(&[20_000_000, 200_000_000, 1_000_000_000, -5, 150_000_000]);
                order.tif = TimeInForce::Gtd(Timestamp::from_nanos(later));
            }
        }
        if self.dice.chance(18) {
            order = NewOrder::market(instrument, side, qty);
            if self.dice.chance(15) {
                order.tif = TimeInForce::Fok;
            }
            if side == Side::Buy && self.dice.chance(40) {
                let scale = self.config.markets[market].instrument.qty_scale;
                let unit = 10_i128.pow(7 - u32::from(scale)) * i128::from(price.units());
                let odd = i128::from(self.dice.pick(&[0, 0, 1, 999]));
                order.size = OrderSize::Quote(Money(unit * i128::from(qty.units()) + odd));
            }
            if self.dice.chance(4) {
                order.tif = TimeInForce::Gtc;
            }
        }
        if self.dice.chance(10) {
            order.trigger = Some(Trigger {
                kind: self.dice.pick(&[TriggerKind::Stop, TriggerKind::TakeProfit]),
                price: Price::from_units((MID + self.dice.roll(-2, 2)) * rule.tick.units()),
                by: self.dice.pick(&[TriggerBy::Last, TriggerBy::Last, TriggerBy::Mark]),
            });
        }
        if self.dice.chance(30) {
            order.self_trade = Some(self.dice.pick(&SELF_TRADES));
        }
        let session = self.session();
        if self.dice.chance(70) {
            let fresh = format!("c{}", self.clients.len());
            let used = self.clients.last().map(|(_, client)| client.clone());
            let client = used.filter(|_| self.dice.chance(8)).unwrap_or(fresh);
            order.client_id = Some(client.as_str().into());
            self.clients.push((session, client));
        }
        self.placed += 1;
        self.request(session, RequestBody::Place(order));
    }

    /// An order of the last few and a session of its owner, most of the time.
    fn reference(&mut self) -> (u32, OrderRef) {
        if self.dice.chance(75) && !self.clients.is_empty() {
            let back = self.dice.roll(1, 8).min(self.clients.len() as i64) as usize;
            let (session, client) = self.clients[self.clients.len() - back].clone();
            (session, OrderRef::Client(client.as_str().into()))
        } else {
            (self.session(), OrderRef::Id(OrderId(self.dice.roll(0, self.placed as i64) as u64)))
        }
    }

    fn cancel(&mut self, market: usize) {
        if self.dice.chance(10) {
            let instrument = if self.dice.chance(50) { Some(InstrumentId(market as u32)) } else { None };
            let session = self.session();
            self.request(session, RequestBody::CancelAll { instrument });
        } else {
            let (session, order) = self.reference();
            self.request(session, RequestBody::Cancel(order));
        }
    }

    fn amend(&mut self, market: usize) {
        let (session, order) = self.reference();
        let side = self.dice.side();
        let price = self.dice.chance(50).then(|| Price::from_units(self.price(market, side)));
        let lot = self.config.markets[market].instrument.rule.lot.units();
        let qty = self.dice.chance(70).then(|| Qty::from_units(self.dice.roll(0, 6) * lot));
        self.request(session, RequestBody::Amend { order, price, qty });
    }

    fn rare(&mut self) {
        let account = AccountId(self.dice.roll(1, 3) as u32);
        if self.dice.chance(30) {
            self.push(What::Admin(Admin::EndSession(account)));
        } else {
            let asset = self.dice.roll(0, 2) as u16;
            let amount = Money(i128::from(self.dice.roll(-3_000_000_000, 3_000_000_000)));
            self.push(What::Admin(Admin::Deposit { account, asset, amount }));
        }
    }
}
