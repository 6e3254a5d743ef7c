//! The naive engine's money: holds, fees, fills and the ledger (§7).

use super::*;

impl NaiveExchange {
    // ---- Money ------------------------------------------------------------------------------------------

    pub(super) fn asset(&self, asset: &Asset) -> u16 {
        self.assets.iter().position(|known| known == asset).expect("assets of the markets") as u16
    }

    pub(super) fn base(&self, market: usize) -> u16 {
        self.asset(&self.config.markets[market].instrument.pair.base)
    }

    pub(super) fn quote(&self, market: usize) -> u16 {
        self.asset(&self.config.markets[market].instrument.pair.quote)
    }

    pub(super) fn quote_of(&self, market: usize, price: i64, qty: i128) -> i128 {
        let instrument = &self.config.markets[market].instrument;
        let scale = self.scales[usize::from(self.quote(market))];
        i128::from(price) * qty * ten_to(scale - instrument.price_scale - instrument.qty_scale)
    }

    pub(super) fn base_of(&self, market: usize, qty: i128) -> i128 {
        let scale = self.scales[usize::from(self.base(market))];
        qty * ten_to(scale - self.config.markets[market].instrument.qty_scale)
    }

    /// The most that a fee on so much quote may be, where a buyer pays it on top.
    pub(super) fn most_fee(&self, market: usize, quote: i128) -> i128 {
        let fees = &self.config.markets[market].fees;
        if fees.buy_fee == BuyFee::DeductedFromReturns {
            return 0;
        }
        let worst = i128::from(fees.maker.0.max(fees.taker.0).max(0));
        // To the unit that fees are charged in.
        let scale = self.scales[usize::from(self.quote(market))];
        let unit = ten_to(9) * ten_to(scale.saturating_sub(fees.decimals));
        ceil_to(quote * worst, unit) / ten_to(9)
    }

    pub(super) fn held_asset(&self, order: &Order) -> u16 {
        let market = order.state.instrument.index();
        if order.state.side == Side::Buy { self.quote(market) } else { self.base(market) }
    }

    /// What an order must hold as it is.
    pub(super) fn hold_of(&self, order: &Order) -> i128 {
        let market = order.state.instrument.index();
        let Some(price) = order.state.price else { return 0 };
        if order.state.status.is_done() {
            return 0;
        }
        if order.state.side == Side::Sell {
            return self.base_of(market, order.leaves());
        }
        let cost = self.quote_of(market, price.units(), order.leaves());
        cost + self.most_fee(market, cost)
    }

    /// Brings the hold to what it must be, in a transaction of its own.
    pub(super) fn set_hold(&mut self, id: u64) {
        let order = &self.orders[&id];
        let (change, market) = (self.hold_of(order) - order.held, order.state.instrument);
        if change != 0 {
            let cause = if change > 0 { Cause::Hold } else { Cause::Release };
            let (owner, asset) = (Owner::Account(order.account), self.held_asset(order));
            self.last_transaction += 1;
            self.row(owner, asset, 0, change, cause, id, 0, Some(market));
            self.orders.get_mut(&id).expect("seen above").held += change;
        }
    }

    #[allow(clippy::too_many_arguments)]
    pub(super) fn row(
        &mut self,
        owner: Owner,
        asset: u16,
        amount: i128,
        hold: i128,
        cause: Cause,
        order: u64,
        fill: u64,
        instrument: Option<InstrumentId>,
    ) {
        self.last_entry += 1;
        let (balance_after, hold_after) = match owner {
            Owner::Account(account) => {
                let balance =
                    &mut self.accounts.get_mut(&account).expect("open accounts only")[usize::from(asset)];
                balance.total.0 += amount;
                balance.held.0 += hold;
                (balance.total, balance.held)
            }
            _ => {
                let total = self.system.entry((owner, asset)).or_default();
                *total += amount;
                (Money(*total), Money::ZERO)
            }
        };
        self.say(UpdateBody::Ledger(LedgerEntry {
            entry: self.last_entry,
            transaction: self.last_transaction,
            owner,
            asset,
            amount: Money(amount),
            balance_after,
            hold_amount: Money(hold),
            hold_after,
            cause,
            order: OrderId(order),
            fill: FillId(fill),
            instrument,
        }));
    }

    /// The fee of a fill and its asset.
    pub(super) fn fee_of(&self, order: &Order, price: i64, qty: i128, liquidity: Liquidity) -> (i128, u16) {
        let market = order.state.instrument.index();
        let fees = &self.config.markets[market].fees;
        let rate = if liquidity == Liquidity::Maker { fees.maker } else { fees.taker };
        let deducted = order.state.side == Side::Buy && fees.buy_fee == BuyFee::DeductedFromReturns;
        let (amount, asset) = if deducted {
            (self.base_of(market, qty), self.base(market))
        } else {
            (self.quote_of(market, price, qty), self.quote(market))
        };
        let scale = self.scales[usize::from(asset)];
        let step = ten_to(scale - fees.decimals.min(scale));
        // Thousand-millionths of the smallest unit, then to a multiple of the step.
        let exact = amount * i128::from(rate.0.abs());
        let unit = step * ten_to(9);
        let (whole, rest) = (exact / unit, exact % unit);
        let up = match fees.rounding {
            FeeRounding::Down => false,
            FeeRounding::Up => rest > 0,
            FeeRounding::HalfEven => rest * 2 > unit || (rest * 2 == unit && whole % 2 == 1),
        };
        ((whole + i128::from(up)) * step * i128::from(rate.0.signum()), asset)
    }

    pub(super) fn fill(
        &mut self,
        id: u64,
        price: i64,
        qty: i128,
        liquidity: Liquidity,
        why: (FillRule, Evidence),
        ahead: Option<Qty>,
    ) {
        self.fill_as(id, price, qty, liquidity, why, ahead, false);
    }

    /// A taker's fill; `goes_on`: a quote-sized order that has something left to spend.
    pub(super) fn fill_of_sized(
        &mut self,
        id: u64,
        price: i64,
        qty: i128,
        why: (FillRule, Evidence),
        goes_on: bool,
    ) {
        self.fill_as(id, price, qty, Liquidity::Taker, why, None, goes_on);
    }

    #[allow(clippy::too_many_arguments)]
    pub(super) fn fill_as(
        &mut self,
        id: u64,
        price: i64,
        qty: i128,
        liquidity: Liquidity,
        (rule, evidence): (FillRule, Evidence),
        ahead_before: Option<Qty>,
        goes_on: bool,
    ) {
        let order = self.orders[&id].clone();
        let market = order.state.instrument.index();
        let (base, quote) = (self.base(market), self.quote(market));
        let (cost, amount) = (self.quote_of(market, price, qty), self.base_of(market, qty));
        let (mut fee, fee_asset) = self.fee_of(&order, price, qty, liquidity);
        self.last_fill += 1;
        let fill = self.last_fill;

        let done = qty == order.leaves() && !goes_on;
        let live = self.orders.get_mut(&id).expect("live orders only");
        live.state.filled += Qty::from_units(qty as i64);
        live.state.filled_quote += Money(cost);
        live.state.status = if done { OrderStatus::Filled } else { OrderStatus::PartiallyFilled };
        let hold = self.hold_of(&self.orders[&id]);
        let released = hold - order.held;
        self.orders.get_mut(&id).expect("live orders only").held = hold;

        let sign = if order.state.side == Side::Buy { 1 } else { -1 };
        let (quote_hold, base_hold) = if sign > 0 { (released, 0) } else { (0, released) };
        let owner = Owner::Account(order.account);
        let instrument = Some(order.state.instrument);
        self.last_transaction += 1;
        self.row(owner, quote, -sign * cost, quote_hold, Cause::Trade, id, fill, instrument);
        self.row(owner, base, sign * amount, base_hold, Cause::Trade, id, fill, instrument);
        // Fees of many small fills may round to more than the hold foresaw: nobody pays what they do not have.
        let promised = self.promised.map_or(0, |(of, amount)| if of == fee_asset { amount } else { 0 });
        fee = fee.min((self.balance(order.account, fee_asset).available().0 - promised).max(0));
        if fee != 0 {
            self.row(owner, fee_asset, -fee, 0, Cause::Fee, id, fill, instrument);
        }
        self.row(Owner::Market, quote, sign * cost, 0, Cause::Trade, id, fill, instrument);
        self.row(Owner::Market, base, -sign * amount, 0, Cause::Trade, id, fill, instrument);
        if fee != 0 {
            self.row(Owner::Fees, fee_asset, fee, 0, Cause::Fee, id, fill, instrument);
        }
        let evidence_of_tape = !matches!(rule, FillRule::Taking | FillRule::PaperTaker);
        self.say(UpdateBody::Fill(Fill {
            id: FillId(fill),
            order: OrderId(id),
            account: order.account,
            session: order.session,
            instrument: order.state.instrument,
            side: order.state.side,
            price: Price::from_units(price),
            qty: Qty::from_units(qty as i64),
            quote: Money(cost),
            liquidity,
            fee: Money(fee),
            fee_asset,
            rule,
            evidence,
            event_time: if evidence_of_tape { self.event_time } else { self.now },
            ahead_before,
            position: None,
        }));
        if done {
            self.leave_queue(id);
        }
        self.say_about(id, 0, OrderEvent::Filled);
        if done {
            self.orders.remove(&id);
            let (account, client_id) = (order.account, order.state.client_id);
            self.closed.insert(id, Closed { account, client_id, status: OrderStatus::Filled });
        }
    }
}
