//! Rule 14 of the naive engine: prints without a book, and candles.

use super::*;

impl NaiveExchange {
    /// Whether an order waits for what the tape shows next.
    pub(super) fn waits(&self, id: u64) -> bool {
        self.markets.iter().any(|market| market.takers.iter().any(|(taker, _)| *taker == id))
    }

    /// Prints only: strictly through for who rests; takers of the print's direction at its price, up to its size.
    pub(super) fn print_alone(&mut self, market: usize, print: &Print) {
        let (q, t) = (i128::from(print.qty.units()), print.price.units());
        match print.aggressor {
            Some(aggressor) => _ = self.print_through(market, aggressor.opposite(), t, q),
            None => {
                let left = self.print_through(market, Side::Buy, t, q);
                self.print_through(market, Side::Sell, t, left);
            }
        }
        if let Some(side) = print.aggressor {
            self.feed_takers(market, q, &[(side, t)].into());
        }
    }

    /// A tenth of a candle's volume, in whole lots, is what orders may have of it.
    pub(super) fn begin_candle(&mut self, market: usize, volume: Qty) {
        let lot = self.laws(market).lot;
        self.markets[market].left = floor_to(i128::from(volume.units()) / 10, lot);
        self.markets[market].opens = volume.units() > 0;
    }

    /// A point of the path.
    pub(super) fn on_path(&mut self, market: usize, t: i64) {
        let mut left = self.markets[market].left;
        left = self.print_through(market, Side::Buy, t, left);
        left = self.print_through(market, Side::Sell, t, left);
        if self.markets[market].opens {
            self.markets[market].opens = false;
            let tick = i128::from(self.config.markets[market].instrument.rule.tick.units());
            // Half of the spread, in units of 10^-9 / 2.
            let spread = i128::from(self.config.assume_spread.0);
            let dear =
                ceil_to(i128::from(t) * (2_000_000_000 + spread), 2_000_000_000 * tick) / 2_000_000_000;
            let cheap =
                floor_to(i128::from(t) * (2_000_000_000 - spread), 2_000_000_000 * tick) / 2_000_000_000;
            let prices = [(Side::Buy, dear as i64), (Side::Sell, cheap.max(tick) as i64)].into();
            left = self.feed_takers(market, left, &prices);
            for (id, _) in self.markets[market].takers.clone() {
                self.cancel(id, CancelReason::BookExhausted, 0);
            }
        }
        self.markets[market].left = left;
    }

    /// Takers of the sides that have a price, oldest first.
    fn feed_takers(&mut self, market: usize, q: i128, prices: &BTreeMap<Side, i64>) -> i128 {
        let lot = self.laws(market).lot;
        let mut left = q;
        for (id, _) in self.markets[market].takers.clone() {
            let order = self.orders[&id].clone();
            let there = floor_to(left, lot);
            let Some(price) = prices.get(&order.state.side).copied().filter(|_| there > 0) else { continue };
            let max = self.config.markets[market].instrument.rule.max_price.units();
            let side = order.state.side;
            if price > max || order.state.price.is_some_and(|limit| better(side, price, limit.units())) {
                continue;
            }
            let money = order.state.quote_qty().map(|amount| amount.0 - order.state.filled_quote.0);
            let want = match money {
                Some(money) => floor_to(money / self.quote_of(market, price, 1), lot),
                None => order.leaves(),
            };
            let qty = want.min(there);
            let cost = self.quote_of(market, price, qty);
            let (asset, needed) = match side {
                Side::Buy => (self.quote(market), cost + self.most_fee(market, cost)),
                Side::Sell => (self.base(market), self.base_of(market, qty)),
            };
            let available = self.balance(order.account, asset).available().0;
            if qty == 0 || (order.is_market() && needed > available) {
                self.cancel(id, CancelReason::FundsSpent, 0);
                continue;
            }
            left -= qty;
            let rest = money.map(|money| money - cost);
            if rest.is_some() {
                self.orders.get_mut(&id).expect("it waits").state.qty += Qty::from_units(qty as i64);
            }
            let goes_on = rest.is_some_and(|rest| rest > 0);
            self.fill_of_sized(id, price, qty, (FillRule::Taking, Evidence::Thin), goes_on);
            self.say_trade(market, side, price, qty);
            if goes_on && qty < there {
                self.cancel(id, CancelReason::FundsSpent, 0);
            }
        }
        left
    }
}
