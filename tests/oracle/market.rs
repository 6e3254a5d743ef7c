//! The tape of the naive engine: levels, groups and prints (rules 2 to 7, 13, 14 and 16).

use super::*;

impl NaiveExchange {
    // ---- Levels -----------------------------------------------------------------------------------------

    pub(super) fn laws(&self, market: usize) -> Laws {
        let instrument = &self.config.markets[market].instrument;
        Laws {
            model: self.config.queue,
            lot: i128::from(instrument.rule.lot.units()),
            whole: ten_to(instrument.qty_scale),
            pairing_ns: self.config.pairing.as_nanos() as i64,
            late_ns: self.config.late_prints.as_nanos() as i64,
        }
    }

    pub(super) fn shown(&self, market: usize, side: Side, price: i64) -> i64 {
        self.markets[market].book[side.index()].get(&price).copied().unwrap_or(0)
    }

    pub(super) fn taken(&self, market: usize, side: Side, price: i64) -> i64 {
        let all = self.markets[market].taken[side.index()].get(&price);
        all.map_or(0, |all| all.iter().map(|(_, qty)| qty).sum())
    }

    pub(super) fn free(&self, market: usize, side: Side, price: i64) -> i128 {
        i128::from((self.shown(market, side, price) - self.taken(market, side, price)).max(0))
    }

    pub(super) fn best(&self, market: usize, side: Side) -> Option<i64> {
        better_first(side, self.markets[market].book[side.index()].keys().copied()).first().copied()
    }

    pub(super) fn queue(&mut self, market: usize, side: Side, price: i64) -> &mut Queue {
        self.markets[market].queues[side.index()].entry(price).or_default()
    }

    /// Rule 7: `taken` never is more than what is shown; the oldest takings go first.
    pub(super) fn trim_taken(&mut self, market: usize, side: Side, price: i64) {
        let shown = self.shown(market, side, price);
        let mut excess = self.taken(market, side, price) - shown;
        if let Some(all) = self.markets[market].taken[side.index()].get_mut(&price) {
            for (_, qty) in all.iter_mut() {
                let cut = (*qty).min(excess.max(0));
                *qty -= cut;
                excess -= cut;
            }
            all.retain(|(_, qty)| *qty > 0);
        }
    }

    /// The worst price that the feed shows of a side; `None`: it shows all.
    pub(super) fn window(&self, market: usize, book: &BTreeMap<i64, i64>, side: Side) -> Option<i64> {
        match self.config.markets[market].depth {
            FeedDepth::Levels(n) if book.len() >= n as usize => {
                better_first(side, book.keys().copied()).last().copied()
            }
            _ => None,
        }
    }

    pub(super) fn in_window(&self, market: usize, side: Side, price: i64) -> bool {
        let worst = self.window(market, &self.markets[market].book[side.index()], side);
        worst.is_none_or(|worst| !better(side, worst, price))
    }

    /// Rule 2: the market volume ahead of an order that joins now.
    pub(super) fn free_to_join(&self, market: usize, side: Side, price: i64) -> Place {
        if self.in_window(market, side, price) {
            return Some(self.free(market, side, price));
        }
        let seen = self.markets[market].last_seen[side.index()].get(&price)?;
        Some(i128::from((seen - self.taken(market, side, price)).max(0)))
    }

    // ---- Groups -----------------------------------------------------------------------------------------

    pub(super) fn on_group(&mut self, group: &Group<'_>) {
        let market = group.instrument.index();
        self.event_time = group.exchange_time;
        let resync = group.kind == GroupKind::Snapshot && !self.markets[market].trusted;
        let windows = self.windows_after(market, group);
        if group.kind == GroupKind::Snapshot {
            self.markets[market].trusted = true;
            let named = |side: Side, price: i64| {
                group.events.iter().any(|event| {
                    matches!(event, MarketEvent::Level { side: s, price: p, .. } if *s == side && p.units() == price)
                })
            };
            for side in Side::BOTH {
                let old = better_first(side, self.markets[market].book[side.index()].keys().copied());
                for price in old.into_iter().filter(|price| !named(side, *price)) {
                    self.set_level(market, side, price, 0, resync, windows);
                }
            }
        }
        let mut touched = None;
        let mut prints = Vec::new();
        let is_level = |event: &&MarketEvent| matches!(event, MarketEvent::Level { .. });
        if group.kind == GroupKind::Snapshot {
            // The book first, whole; then what else the message says.
            for event in group.events.iter().filter(is_level) {
                let MarketEvent::Level { side, price, qty } = event else { continue };
                touched = Some(*side);
                self.set_level(market, *side, price.units(), qty.units(), resync, windows);
            }
            self.after_window_moved(market, resync);
        }
        for event in group.events {
            match event {
                MarketEvent::Level { .. } if group.kind == GroupKind::Snapshot => {}
                MarketEvent::Level { side, price, qty } => {
                    touched = Some(*side);
                    self.set_level(market, *side, price.units(), qty.units(), resync, windows);
                }
                MarketEvent::Trade(print) => {
                    if self.markets[market].trusted && self.markets[market].trading {
                        prints.push(print.price);
                        self.on_print(market, print);
                    }
                }
                MarketEvent::Distrust => self.distrust(market),
                MarketEvent::Trading(trading) => self.markets[market].trading = *trading,
                MarketEvent::Candle(volume) => self.begin_candle(market, *volume),
                MarketEvent::News(_) => {}
            }
        }
        if !self.markets[market].trusted {
            return;
        }
        self.uncross(market, touched);
        if !self.markets[market].trusted {
            return;
        }
        self.after_window_moved(market, resync);
        self.cross(market);
        if self.markets[market].trading {
            self.fire(market, &prints);
        }
        self.open_door(market);
    }

    /// The windows of both sides once the whole group is applied.
    pub(super) fn windows_after(&self, market: usize, group: &Group<'_>) -> [Option<i64>; 2] {
        let mut books = self.markets[market].book.clone();
        if group.kind == GroupKind::Snapshot {
            books.iter_mut().for_each(BTreeMap::clear);
        }
        for event in group.events {
            if let MarketEvent::Level { side, price, qty } = event {
                let book = &mut books[side.index()];
                book.remove(&price.units());
                if !qty.is_zero() {
                    book.insert(price.units(), qty.units());
                }
            }
        }
        Side::BOTH.map(|side| self.window(market, &books[side.index()], side))
    }

    pub(super) fn set_level(
        &mut self,
        market: usize,
        side: Side,
        price: i64,
        qty: i64,
        clamp_only: bool,
        windows: [Option<i64>; 2],
    ) {
        let before = self.shown(market, side, price);
        let free_before = self.free(market, side, price);
        let leaves_window = qty == 0 && windows[side.index()].is_some_and(|worst| better(side, worst, price));
        let book = &mut self.markets[market].book[side.index()];
        if qty == 0 {
            book.remove(&price);
        } else {
            book.insert(price, qty);
        }
        if !self.markets[market].trusted {
            return;
        }
        let seen = &mut self.markets[market].last_seen[side.index()];
        if leaves_window {
            if !clamp_only && before > 0 {
                seen.insert(price, before);
            }
            return; // `ahead` and `taken` stay
        }
        seen.remove(&price);
        if self.config.refill == Refill::Any {
            self.markets[market].taken[side.index()].remove(&price);
        }
        self.trim_taken(market, side, price);
        let free_after = self.free(market, side, price);
        let (now, laws) = (self.now, self.laws(market));
        let queue = self.queue(market, side, price);
        if qty > 0 {
            queue.reveal(now, free_after, laws);
        }
        if clamp_only || before == 0 {
            queue.clamp(now, free_after, laws);
        } else if qty < before {
            queue.shrink(now, i128::from(before - qty), free_before, free_after, laws);
        }
    }

    /// A price that the window has come to cover is shown, if only as nothing.
    pub(super) fn after_window_moved(&mut self, market: usize, resync: bool) {
        let windowed = matches!(self.config.markets[market].depth, FeedDepth::Levels(_));
        let (now, laws) = (self.now, self.laws(market));
        for side in Side::BOTH {
            let with_orders: Vec<i64> = self.markets[market].queues[side.index()].keys().copied().collect();
            let with_taken: Vec<i64> = self.markets[market].taken[side.index()].keys().copied().collect();
            for price in with_orders.into_iter().chain(with_taken) {
                if (windowed || resync) && self.in_window(market, side, price) {
                    self.trim_taken(market, side, price);
                    let (shown, free) = (self.shown(market, side, price), self.free(market, side, price));
                    let queue = self.queue(market, side, price);
                    if shown > 0 {
                        queue.reveal(now, free, laws);
                    }
                    queue.clamp(now, free, laws);
                }
            }
        }
        for side in Side::BOTH {
            let seen: Vec<i64> = self.markets[market].last_seen[side.index()].keys().copied().collect();
            for price in seen {
                if self.in_window(market, side, price) {
                    self.markets[market].last_seen[side.index()].remove(&price);
                }
            }
        }
        for queues in &mut self.markets[market].queues {
            queues.values_mut().for_each(|queue| queue.prune(now, laws));
            queues.retain(|_, queue| !queue.is_idle());
        }
    }

    pub(super) fn distrust(&mut self, market: usize) {
        let market = &mut self.markets[market];
        market.trusted = false;
        market.last_seen = Default::default();
        market.queues.iter_mut().flat_map(BTreeMap::values_mut).for_each(Queue::forget);
    }

    /// Rule 13: a book that is crossed after a group.
    pub(super) fn uncross(&mut self, market: usize, touched: Option<Side>) {
        let (Some(bid), Some(ask)) = (self.best(market, Side::Buy), self.best(market, Side::Sell)) else {
            return;
        };
        if bid < ask {
            return;
        }
        if self.config.crossed == CrossedBook::Distrust {
            self.distrust(market);
            return;
        }
        let keeps = touched.expect("only a change can cross a book");
        let loses = keeps.opposite();
        let best = if keeps == Side::Buy { bid } else { ask };
        for price in better_first(loses, self.markets[market].book[loses.index()].keys().copied()) {
            // An ask at or below the best bid; a bid at or above the best ask.
            if !better(keeps, price, best) {
                self.set_level(market, loses, price, 0, true, [None; 2]);
            }
        }
    }

    /// Rule 4: free volume of the tape at or through a resting order's price.
    pub(super) fn cross(&mut self, market: usize) {
        if !self.markets[market].trading {
            return;
        }
        let lot = self.laws(market).lot;
        for side in Side::BOTH {
            for id in self.resting(market, side) {
                let limit = self.orders[&id].state.price.expect("resting orders have a price").units();
                let tape = side.opposite();
                for price in better_first(tape, self.markets[market].book[tape.index()].keys().copied()) {
                    if better(tape, limit, price) || !self.orders.contains_key(&id) {
                        break; // the tape asks for more than we pay
                    }
                    let qty = floor_to(self.free(market, tape, price), lot).min(self.orders[&id].leaves());
                    if qty > 0 {
                        let ahead = self.place_of(id).map(|place| self.shown_place(market, place));
                        self.take_from_market(market, tape, price, qty);
                        let why = (FillRule::CrossingBook, Evidence::Cross);
                        self.fill(id, limit, qty, Liquidity::Maker, why, ahead);
                        self.say_trade(market, tape, limit, qty);
                    }
                }
            }
        }
    }

    /// All resting orders of a side: best price, then time.
    pub(super) fn resting(&self, market: usize, side: Side) -> Vec<u64> {
        let queues = &self.markets[market].queues[side.index()];
        let prices = better_first(side, queues.keys().copied());
        prices.into_iter().flat_map(|price| queues[&price].orders.clone()).collect()
    }

    pub(super) fn take_from_market(&mut self, market: usize, side: Side, price: i64, qty: i128) {
        let (now, laws) = (self.now, self.laws(market));
        self.markets[market].taken[side.index()].entry(price).or_default().push((now, qty as i64));
        self.queue(market, side, price).took(now, qty, laws);
    }

    // ---- Prints -----------------------------------------------------------------------------------------

    /// Rule 3.
    pub(super) fn on_print(&mut self, market: usize, print: &Print) {
        match self.config.markets[market].depth {
            FeedDepth::Prints => return self.print_alone(market, print),
            FeedDepth::Candles => return self.on_path(market, print.price.units()),
            _ => {}
        }
        let (q, t) = (i128::from(print.qty.units()), print.price.units());
        let best = |side| self.best(market, side);
        let aggressor = print.aggressor.or_else(|| {
            if best(Side::Sell).is_some_and(|ask| t >= ask) {
                Some(Side::Buy)
            } else if best(Side::Buy).is_some_and(|bid| t <= bid) {
                Some(Side::Sell)
            } else {
                None
            }
        });
        let Some(aggressor) = aggressor else {
            let left = self.print_through(market, Side::Buy, t, q);
            self.print_through(market, Side::Sell, t, left);
            return;
        };
        let side = aggressor.opposite();
        let budget = self.print_through(market, side, t, q);
        let leaves = self.leaves_at(market, side, t);
        let (now, laws) = (self.now, self.laws(market));
        for paid in self.queue(market, side, t).print(now, q, budget, &leaves, laws) {
            let ahead = self.shown_place(market, paid.ahead);
            let why = (FillRule::PrintAtPrice, Evidence::Print);
            self.fill(paid.id, t, paid.qty, Liquidity::Maker, why, Some(ahead));
        }
    }

    pub(super) fn leaves_at(&self, market: usize, side: Side, price: i64) -> BTreeMap<u64, i128> {
        let queue = self.markets[market].queues[side.index()].get(&price);
        let orders = queue.map(|queue| queue.orders.clone()).unwrap_or_default();
        orders.into_iter().map(|id| (id, self.orders[&id].leaves())).collect()
    }

    /// Orders strictly better than the print's price; what is left of the budget.
    pub(super) fn print_through(&mut self, market: usize, side: Side, t: i64, budget: i128) -> i128 {
        let lot = self.laws(market).lot;
        let mut left = budget;
        for id in self.resting(market, side) {
            let order = &self.orders[&id];
            let price = order.state.price.expect("resting orders have a price").units();
            let qty = floor_to(left, lot).min(order.leaves());
            if better(side, price, t) && qty > 0 {
                left -= qty;
                let ahead = self.place_of(id).map(|place| self.shown_place(market, place));
                let thin =
                    matches!(self.config.markets[market].depth, FeedDepth::Prints | FeedDepth::Candles);
                let why = (FillRule::PrintThrough, if thin { Evidence::Thin } else { Evidence::Print });
                self.fill(id, price, qty, Liquidity::Maker, why, ahead);
            }
        }
        left
    }

    // ---- Triggers and the door --------------------------------------------------------------------------

    /// Rule 15.
    pub(super) fn fire(&mut self, market: usize, prints: &[Price]) {
        let is_woken = |order: &Order| {
            let state = &order.state;
            state.instrument.index() == market
                && state.status == OrderStatus::Waiting
                && state.trigger().is_some_and(|trigger| {
                    trigger.by == TriggerBy::Last
                        && prints.iter().any(|price| trigger.is_met(state.side, *price))
                })
        };
        let woken: Vec<u64> =
            self.orders.iter().filter(|(_, order)| is_woken(order)).map(|(id, _)| *id).collect();
        for id in woken {
            let order = self.orders.get_mut(&id).expect("nothing ends a waiting order here");
            order.state.status = OrderStatus::Open;
            self.say_about(id, 0, OrderEvent::Triggered);
            let order = &self.orders[&id];
            if order.is_market() && self.market_funds(order).is_err() {
                self.cancel(id, CancelReason::FundsSpent, 0);
            } else if order.state.kind == OrderKind::LimitMaker && self.would_match(order) {
                self.cancel(id, CancelReason::WouldMatch, 0);
            } else {
                self.live(id);
            }
        }
    }

    pub(super) fn open_door(&mut self, market: usize) {
        for arrival in std::mem::take(&mut self.markets[market].door) {
            match &arrival.request.body {
                RequestBody::Place(new) => self.place(&arrival, new),
                RequestBody::Amend { order, price, qty } => self.amend(&arrival, order, *price, *qty),
                _ => unreachable!("only orders and amends wait"),
            }
        }
    }
}
