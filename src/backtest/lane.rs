//! One run: exchanges, a trader and its strategy on one virtual clock.
//!
//! At one time: messages of the markets, requests that were kept back, what is due at an exchange, what the trader is
//! told, the equity sample, the strategy.

use std::io;
use std::time::Duration;

use rust_decimal::Decimal;

use super::files::{Files, note_sent};
use super::hands::{ACCOUNT, Hands, Venue};
use super::metrics::Equity;
use super::tally::Tally;
use super::{BacktestError, FillRow, Sample};
use crate::market::decimal::decimal_of;
use crate::market::{Asset, FeedDepth, FinePrice, Group, Pair, Price, Side, Timestamp};
use crate::order::Money;
use crate::paper::Dictionary;
use crate::sim::{Admin, Input, QueueModel, UpdateBody, View};
use crate::strategy::{MarketId, Strategy, Trading};

/// How many fills and samples the page shows.
const SHOWN_FILLS: usize = 500;
const SHOWN_SAMPLES: usize = 2_000;

/// For how long after the first book the others are waited for, where no pair was chosen.
const PATIENCE: Duration = Duration::from_secs(10);

/// When the strategy begins and how often equity is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    pub(super) from: Option<Timestamp>,
    pub(super) warmup: Duration,
    pub(super) interval: Duration,
}

/// One run.
pub(super) struct Lane {
    pub(super) queue: QueueModel,
    pub(super) hands: Hands,
    pub(super) strategy: Box<dyn Strategy>,
    pub(super) tally: Tally,
    pub(super) equity: Equity,
    pub(super) files: Option<Files>,
    /// For the page: the first fills, and samples thinned out where there are many.
    pub(super) shown_fills: Vec<FillRow>,
    pub(super) shown_samples: Vec<Sample>,
    stride: u64,
    /// Assets that have no price in the first quote.
    pub(super) unpriced: Vec<Asset>,
    schedule: Schedule,
    pub(super) started: Option<Timestamp>,
    /// Markets that must have a book before the strategy begins; empty: any.
    wanted: Vec<MarketId>,
    /// Where any will do: the first that had one, and since when.
    found: Option<(MarketId, Timestamp)>,
    start_at: Timestamp,
    wake: Timestamp,
    sample_at: Timestamp,
    /// Nothing but messages happens before this.
    horizon: Timestamp,
    last_mids: Vec<Option<Decimal>>,
}

impl Lane {
    pub(super) fn new(
        queue: QueueModel,
        hands: Hands,
        strategy: Box<dyn Strategy>,
        schedule: Schedule,
        wanted: Vec<MarketId>,
        files: Option<Files>,
    ) -> Self {
        let tally = Tally::new(&hands);
        let last_mids = vec![None; hands.markets().len()];
        let never = Timestamp::MAX;
        Self {
            queue,
            hands,
            strategy,
            tally,
            equity: Equity::default(),
            files,
            shown_fills: Vec::new(),
            shown_samples: Vec::new(),
            stride: 1,
            unpriced: Vec::new(),
            schedule,
            started: None,
            wanted,
            found: None,
            start_at: never,
            wake: never,
            sample_at: never,
            horizon: never,
            last_mids,
        }
    }

    /// Opens the account at each exchange and gives it what it starts with.
    pub(super) fn deposit(
        &mut self,
        now: Timestamp,
        balances: &[Vec<(Asset, Decimal)>],
    ) -> Result<(), BacktestError> {
        self.hands.now = now;
        for (at, balances) in balances.iter().enumerate() {
            let Some(venue) = self.hands.venues.get_mut(at) else { continue };
            let names = Dictionary::of(&venue.sim);
            venue.apply(now, Input::Admin(Admin::OpenAccount(ACCOUNT)));
            for (asset, amount) in balances {
                let index = names.asset_index(asset);
                let money = index.and_then(|index| names.money(index, *amount));
                let (Some(index), Some(money)) = (index, money) else {
                    let what = format!("{amount} {asset} cannot be counted here: too many decimals");
                    return Err(BacktestError::Refused(what));
                };
                let deposit = Admin::Deposit { account: ACCOUNT, asset: index, amount: money };
                venue.apply(now, Input::Admin(deposit));
            }
            self.take(at)?;
        }
        self.hands.deliver();
        self.rehorizon();
        Ok(())
    }

    /// One message of a market.
    #[inline]
    pub(super) fn message(
        &mut self,
        now: Timestamp,
        venue: usize,
        group: &Group<'_>,
    ) -> Result<(), BacktestError> {
        while self.horizon < now {
            self.moment()?;
        }
        self.hands.now = now;
        let Some(place) = self.hands.venues.get_mut(venue) else { return Ok(()) };
        // An instrument that turned up after the start is not simulated.
        if group.instrument.index() < place.markets.len() {
            place.play(now, group);
        }
        if !place.new_ones().is_empty() {
            self.take(venue)?;
            self.rehorizon();
        }
        if self.started.is_none() && self.start_at == Timestamp::MAX {
            self.look_for_a_start();
        }
        Ok(())
    }

    /// Sets when the strategy begins, once the books that it needs are there.
    #[cold]
    fn look_for_a_start(&mut self) {
        let ready = |market: &MarketId| {
            let Some((venue, instrument)) = self.hands.place_of(*market) else { return false };
            let depth = venue.sim.market(instrument).map(|market| market.depth);
            venue.sim.is_trusted(instrument)
                || depth.is_some_and(FeedDepth::is_thin) && venue.sim.last_trade(instrument).is_some()
        };
        let now = self.hands.now;
        let count = u32::try_from(self.hands.markets().len()).unwrap_or(u32::MAX);
        let mut all = (0..count).map(MarketId);
        let first = match (self.wanted.first(), self.found) {
            (Some(first), _) => self.wanted.iter().all(ready).then_some((*first, now)),
            (None, Some((first, since))) => {
                let waited = now >= since.plus(PATIENCE) || all.all(|market| ready(&market));
                waited.then_some((first, now))
            }
            (None, None) => {
                self.found = all.clone().find(ready).map(|first| (first, now));
                self.found.filter(|_| all.all(|market| ready(&market)))
            }
        };
        let Some((first, _)) = first else { return };
        self.hands.set_first(first);
        let from = self.schedule.from.unwrap_or(Timestamp::MIN).max(now);
        self.start_at = from.plus(self.schedule.warmup);
        self.rehorizon();
    }

    fn rehorizon(&mut self) {
        let own = self.wake.min(self.sample_at);
        let start = if self.started.is_none() { self.start_at } else { Timestamp::MAX };
        self.horizon = self.hands.next_at().min(own).min(start);
    }

    /// Lets happen what happens next, at the horizon.
    fn moment(&mut self) -> Result<(), BacktestError> {
        let now = self.horizon.max(self.hands.now);
        self.hands.now = now;
        let mut settled = true;
        for venue in 0..self.hands.venues.len() {
            settled &= !self.hands.venues[venue].run_due(now);
            self.take(venue)?;
        }
        if self.hands.deliver() {
            settled = false;
            self.tell();
        }
        // What the trader was told may have made it ask for more, which may be due at once.
        if settled {
            self.own_affairs(now)?;
        }
        self.rehorizon();
        Ok(())
    }

    /// The sample and the strategy.
    fn own_affairs(&mut self, now: Timestamp) -> Result<(), BacktestError> {
        if self.started.is_none() && self.start_at <= now {
            self.started = Some(now);
            self.sample(now)?;
            self.sample_at = now.plus(self.schedule.interval);
            self.hands.look_up();
            let wake = self.strategy.start(&mut self.hands)?;
            self.wake = later(wake, now);
            self.note_sent();
            return Ok(());
        }
        if self.sample_at <= now {
            self.sample(now)?;
            self.sample_at = now.plus(self.schedule.interval);
        }
        if self.wake <= now {
            self.hands.look_up();
            let wake = self.strategy.tick(&mut self.hands);
            self.wake = later(wake, now);
            self.note_sent();
        }
        Ok(())
    }

    /// Tells the strategy what is new of its orders.
    fn tell(&mut self) {
        self.hands.look_up();
        while let Some((order, news)) = self.hands.own.next_news() {
            self.strategy.on_order(&mut self.hands, &order, news);
        }
        while let Some(answer) = self.hands.own.next_answer() {
            self.strategy.on_setting(&mut self.hands, answer);
        }
        self.note_sent();
    }

    fn note_sent(&mut self) {
        if self.hands.sent > 0 {
            self.tally.sent += note_sent(self.files.as_mut(), &mut self.hands);
        }
    }

    /// What an exchange has said: counted, written, on its way to the trader.
    fn take(&mut self, venue: usize) -> Result<(), BacktestError> {
        let Some(place) = self.hands.venues.get_mut(venue) else { return Ok(()) };
        let updates = place.new_ones();
        if updates.is_empty() {
            return Ok(());
        }
        self.tally.see(venue, place.markets.start, updates);
        if let Some(files) = &mut self.files {
            files.see(venue, &place.sim, updates)?;
            if self.shown_fills.len() < SHOWN_FILLS {
                show_fills(&mut self.shown_fills, place, updates);
            }
        }
        place.send_on();
        Ok(())
    }

    /// The market ends: the last sample, the strategy's end, and what is on its way then.
    pub(super) fn finish(&mut self, end: Timestamp) -> Result<(), BacktestError> {
        while self.horizon <= end {
            self.moment()?;
        }
        if self.started.is_none() {
            return Ok(());
        }
        self.hands.now = self.hands.now.max(end);
        if self.shown_samples.last().is_none_or(|last| last.at < end) {
            self.sample(end)?;
        }
        (self.wake, self.sample_at) = (Timestamp::MAX, Timestamp::MAX);
        self.strategy.stop(&mut self.hands);
        self.note_sent();
        self.rehorizon();
        while self.horizon < Timestamp::MAX && !self.hands.orders().is_empty() {
            self.moment()?;
        }
        for venue in 0..self.hands.venues.len() {
            if let Some(files) = &mut self.files {
                files.rest(venue, &self.hands.venues[venue].sim)?;
            }
        }
        Ok(())
    }

    fn sample(&mut self, at: Timestamp) -> io::Result<()> {
        for market in 0..self.last_mids.len() {
            if let Some(mid) = self.mid(MarketId(u32::try_from(market).unwrap_or(u32::MAX))) {
                self.last_mids[market] = Some(mid);
            }
        }
        let first = self.hands.first();
        let Some(instrument) = self.hands.markets().get(first.index()).map(|market| &market.instrument)
        else {
            return Ok(());
        };
        let quote = instrument.pair.quote.clone();
        let position = crate::market::decimal::Plain::new(self.tally.position(first), instrument.qty_scale);
        let equity = self.worth(&quote).normalize();
        let drawdown = self.equity.add(equity);
        let mid = self.last_mids[first.index()].map(|mid| mid.normalize());
        let mark = self.mark(first);
        let sample = Sample { at, equity, quote, position, mid, mark, drawdown };
        if let Some(files) = &mut self.files {
            files.sample(&sample)?;
        }
        if self.shown_samples.len() == SHOWN_SAMPLES {
            let mut keep = false;
            self.shown_samples.retain(|_| {
                keep = !keep;
                keep
            });
            self.stride *= 2;
        }
        if (self.equity.samples - 1).is_multiple_of(self.stride) {
            self.shown_samples.push(sample);
        }
        Ok(())
    }

    /// The mid of the exchange's book; the last trade where there is no book.
    fn mid(&self, market: MarketId) -> Option<Decimal> {
        let (venue, id) = self.hands.place_of(market)?;
        let instrument = &venue.sim.market(id)?.instrument;
        let best = |side| venue.sim.best_price(id, side, View::Tape);
        let decimal = |price: Price| instrument.price_decimal(price);
        match (best(Side::Buy), best(Side::Sell)) {
            (Some(bid), Some(ask)) => Some((decimal(bid) + decimal(ask)) / Decimal::TWO),
            _ => venue.sim.last_trade(id).map(|(_, trade)| decimal(trade.price)),
        }
    }

    /// The mark price of a contract.
    fn mark(&self, market: MarketId) -> Option<Decimal> {
        let (venue, id) = self.hands.place_of(market)?;
        let (price, _) = venue.sim.mark(id)?;
        Some(Decimal::new(price.units(), u32::from(FinePrice::SCALE)).normalize())
    }

    /// All balances in `quote`, at mid. An asset without a price is left out and named.
    fn worth(&mut self, quote: &Asset) -> Decimal {
        let mut sum = Decimal::ZERO;
        for venue in 0..self.hands.venues.len() {
            for index in 0..self.hands.venues[venue].sim.assets().len() {
                let sim = &self.hands.venues[venue].sim;
                let number = u16::try_from(index).unwrap_or(u16::MAX);
                let Money(total) = sim.balance(ACCOUNT, number).total + sim.unrealised(ACCOUNT, number);
                if total == 0 {
                    continue;
                }
                let asset = sim.assets()[index].clone();
                let amount = decimal_of(total, sim.asset_scale(number)).unwrap_or(Decimal::MAX);
                match self.price_of(&asset, quote, 2) {
                    Some(price) => sum = sum.saturating_add(amount.saturating_mul(price)),
                    None if !self.unpriced.contains(&asset) => self.unpriced.push(asset),
                    None => {}
                }
            }
        }
        sum
    }

    /// What one of `asset` is in `quote`, over at most so many markets.
    fn price_of(&self, asset: &Asset, quote: &Asset, hops: u32) -> Option<Decimal> {
        if asset == quote {
            return Some(Decimal::ONE);
        }
        let hops = hops.checked_sub(1)?;
        let markets = self.hands.markets().iter().zip(&self.last_mids);
        let steps = markets.filter_map(|(market, mid)| {
            let pair = &market.instrument.pair;
            let mid = (*mid)?;
            let (to, price) = match () {
                () if pair.base == *asset => (&pair.quote, mid),
                () if pair.quote == *asset => (&pair.base, Decimal::ONE.checked_div(mid)?),
                () => return None,
            };
            self.price_of(to, quote, hops)?.checked_mul(price)
        });
        steps.into_iter().next()
    }

    /// The pairs that were wanted and have no book, for the error.
    pub(super) fn missing(&self) -> Vec<Pair> {
        let has_none = |market: &&MarketId| {
            self.hands.place_of(**market).is_none_or(|(venue, id)| !venue.sim.is_trusted(id))
        };
        let pair =
            |market: &MarketId| Some(self.hands.markets().get(market.index())?.instrument.pair.clone());
        self.wanted.iter().filter(has_none).filter_map(pair).collect()
    }
}

fn later(wake: Option<Timestamp>, now: Timestamp) -> Timestamp {
    wake.filter(|wake| *wake > now).unwrap_or(Timestamp::MAX)
}

fn show_fills(shown: &mut Vec<FillRow>, venue: &Venue, updates: &[crate::sim::Update]) {
    for update in updates {
        let UpdateBody::Fill(fill) = &update.body else { continue };
        let Some(instrument) = venue.sim.market(fill.instrument).map(|market| &market.instrument) else {
            continue;
        };
        shown.push(FillRow {
            at: update.at,
            pair: instrument.pair.clone(),
            side: fill.side,
            price: instrument.show_price(fill.price),
            amount: instrument.show_qty(fill.qty),
            liquidity: fill.liquidity,
            fee: crate::market::decimal::Plain::new(fill.fee.0, venue.sim.asset_scale(fill.fee_asset)),
            fee_asset: super::tally::asset_name(&venue.sim, fill.fee_asset).into(),
            rule: fill.rule,
        });
    }
}
