//! `perpetual_market_making`: bids and asks around the mid of a contract, as Hummingbot's strategy does.
//!
//! While it holds nothing it quotes like `pure_market_making`, with orders that open. Once it holds a position it quotes
//! no more: it keeps an order that closes the position at a profit, and where the market has moved against it by the
//! stop-loss spread, one that closes it at a loss. It sets leverage and position mode first, and places nothing before
//! both are answered.
//!
//! Formulas: Hummingbot's `perpetual_market_making.py`, restated, but for two things. Hummingbot leaves an order out that
//! the account cannot pay; here the exchange refuses it. Hummingbot takes an order that closes at a profit for one that
//! closes at a loss once it is old, and goes by its price; here each kind is kept apart.

use std::collections::BTreeMap;
use std::time::Duration;

use rust_decimal::Decimal;

use super::parameters::Values;
use super::quoter::{Quoter, TICK};
use super::{Ask, Held, News, OrderKey, OwnOrder, Strategy, StrategyError, Trading};
use crate::connector::OwnOrders;
use crate::market::{Price, Side, Timestamp};
use crate::order::{Leverage, OrderKind, PositionEffect, PositionMode, RejectReason};
use crate::sim::Setting;

/// See the module.
#[derive(Clone, Debug)]
pub struct PerpetualMarketMaking {
    quoter: Quoter,
    leverage: Leverage,
    mode: PositionMode,
    /// Above the entry of longs, below that of shorts, as fractions.
    profit: [Decimal; 2],
    loss: Decimal,
    renew: Duration,
    slippage: Decimal,
    ceiling: Option<Decimal>,
    floor: Option<Decimal>,
    /// Settings that are not answered yet, and the first one that was refused.
    unanswered: u32,
    refused: Option<RejectReason>,
    /// Orders that close.
    exits: BTreeMap<OrderKey, Exit>,
    /// Not before this time is an order sent that closes at a profit; buys and sells.
    exit_at: [Timestamp; 2],
}

/// An order that closes a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Exit {
    sent: Timestamp,
    at_a_loss: bool,
}

impl PerpetualMarketMaking {
    pub(super) fn new(values: &Values) -> Result<Self, StrategyError> {
        let modes = [
            ("one-way", PositionMode::OneWay),
            ("one_way", PositionMode::OneWay),
            ("hedge", PositionMode::Hedge),
        ];
        let times = values.whole("leverage", 1..=1_000)?;
        Ok(Self {
            quoter: Quoter::new(values)?,
            leverage: Leverage::times(u32::try_from(times).unwrap_or(1)),
            mode: values.one_of("position_mode", &modes)?,
            profit: [
                values.percent("long_profit_taking_spread", 0..=100)?,
                values.percent("short_profit_taking_spread", 0..=100)?,
            ],
            loss: values.some_percent("stop_loss_spread", 100)?,
            renew: values.seconds("time_between_stop_loss_orders")?,
            slippage: values.percent("stop_loss_slippage_buffer", 0..=100)?,
            ceiling: values.bound("price_ceiling")?,
            floor: values.bound("price_floor")?,
            unanswered: 0,
            refused: None,
            exits: BTreeMap::new(),
            exit_at: [Timestamp::MIN; 2],
        })
    }

    fn set_up(&mut self, desk: &mut dyn Trading) -> Result<(), StrategyError> {
        let id = self.quoter.market;
        let refuse = |what: String| Err(StrategyError::Market(what));
        let Some(market) = desk.markets().get(id.index()) else {
            return refuse("there is no market".to_owned());
        };
        let (connector, pair) = (&market.connector, &market.instrument.pair);
        let Some(limits) = market.positions else {
            return refuse(format!(
                "perpetual_market_making trades contracts; {pair} on {connector} is spot: use pure_market_making"
            ));
        };
        if self.leverage > limits.max_leverage {
            let (asked, most) = (self.leverage, limits.max_leverage);
            return refuse(format!("leverage = {asked}: {pair} on {connector} has at most {most}"));
        }
        if self.mode == PositionMode::Hedge && !limits.hedge {
            return refuse(format!("position_mode = Hedge: {connector} has one net position only"));
        }
        desk.set(id, Setting::Position(self.mode));
        desk.set(id, Setting::Leverage { side: None, leverage: self.leverage });
        self.unanswered = 2;
        Ok(())
    }

    /// Quotes while nothing is held.
    fn quote(&mut self, desk: &mut dyn Trading) -> Option<()> {
        let reference = self.quoter.reference(desk)?;
        self.quoter.settle_amount(desk, reference)?;
        let mut wanted = self.quoter.wanted(desk, reference, [Decimal::ONE; 2]);
        wanted.retain(|want| match want.side {
            Side::Buy => self.ceiling.is_none_or(|ceiling| reference < ceiling),
            Side::Sell => self.floor.is_none_or(|floor| reference > floor),
        });
        wanted.retain(|want| !self.quoter.would_take(desk, want));
        self.quoter.cancel_old(desk, &wanted);
        self.quoter.cancel_near(desk, reference);
        if !self.quoter.may_place(desk) {
            return None;
        }
        let id = self.quoter.market;
        let market = desk.markets().get(id.index())?;
        let asks = wanted.iter().filter_map(|want| {
            let qty = market.amount(want.amount)?;
            let (side, kind, price) = (want.side, OrderKind::LimitMaker, Some(want.price));
            let ask = Ask { market: id, side, kind, price, qty, effect: PositionEffect::Open };
            (qty >= market.smallest_amount(want.price)).then_some(ask)
        });
        let asks: Vec<Ask> = asks.collect();
        if !asks.is_empty() {
            self.quoter.set_times(desk.now());
        }
        asks.into_iter().for_each(|ask| _ = desk.place(ask));
        Some(())
    }

    /// A position that is not wanted for long: the order that would close it by accident goes, one that closes it well
    /// is kept, and one that closes it badly is sent where it must be.
    fn manage(&mut self, desk: &mut dyn Trading, held: &[Held]) {
        if self.mode == PositionMode::OneWay {
            for position in held {
                let side = position.closing_side();
                let quotes: Vec<OrderKey> = desk
                    .orders()
                    .iter()
                    .filter(|order| order.ask.side == side && !self.exits.contains_key(&order.key))
                    .map(|order| order.key)
                    .collect();
                quotes.into_iter().for_each(|key| desk.cancel(key));
            }
        }
        for position in held {
            self.take_profit(desk, position);
            self.stop_loss(desk, position);
        }
    }

    /// The orders that close a position, at a profit or at a loss: their numbers, when they were sent, and their prices.
    fn closing(&self, desk: &dyn Trading, side: Side, at_a_loss: bool) -> Vec<(Timestamp, OwnOrder)> {
        let orders = desk.orders().iter().filter(|order| order.ask.side == side);
        let exits = orders.filter_map(|order| Some((self.exits.get(&order.key)?, order)));
        let kind = exits.filter(|(exit, _)| exit.at_a_loss == at_a_loss);
        kind.map(|(exit, order)| (exit.sent, order.clone())).collect()
    }

    /// Keeps one order at the profit price, of the position's size, once the market is on the right side of the entry.
    fn take_profit(&mut self, desk: &mut dyn Trading, position: &Held) -> Option<()> {
        let (id, side) = (self.quoter.market, position.closing_side());
        let market = desk.markets().get(id.index())?;
        // The best price on the side where the closing order will stand.
        let best = market.instrument.price_decimal(desk.best_price(id, side, OwnOrders::Without)?);
        let is_long = side == Side::Sell;
        let gains = if is_long { best > position.entry } else { best < position.entry };
        if !gains || !self.closing(desk, side, true).is_empty() {
            return None;
        }
        let factor = if is_long { Decimal::ONE + self.profit[0] } else { Decimal::ONE - self.profit[1] };
        let price = market.price(side, position.entry.checked_mul(factor)?)?;
        let own = self.closing(desk, side, false);
        let is_right = |order: &OwnOrder| order.ask.price == Some(price) && order.leaves() == position.size();
        own.iter().filter(|(_, order)| !is_right(order)).for_each(|(_, order)| desk.cancel(order.key));
        let exists = own.iter().any(|(_, order)| is_right(order));
        if !exists && desk.now() >= self.exit_at[side.index()] {
            self.exit_at[side.index()] = desk.now().plus(self.quoter.delay);
            self.close(desk, position, price, false);
        }
        Some(())
    }

    /// Sends an order that closes at a loss once the market is so far on the wrong side of the entry; one that has not
    /// filled for long enough is sent anew, worse by the buffer.
    fn stop_loss(&mut self, desk: &mut dyn Trading, position: &Held) -> Option<()> {
        let (id, side) = (self.quoter.market, position.closing_side());
        let market = desk.markets().get(id.index())?;
        let is_long = side == Side::Sell;
        let away = |by: Decimal| if is_long { Decimal::ONE - by } else { Decimal::ONE + by };
        let stop = position.entry.checked_mul(away(self.loss))?;
        // The price at which it would be closed at once.
        let best = desk.best_price(id, side.opposite(), OwnOrders::Without)?;
        let best = market.instrument.price_decimal(best);
        let is_met = if is_long { best <= stop } else { best >= stop };
        let old = self.closing(desk, side, true);
        if old.iter().any(|(sent, _)| desk.now() < sent.plus(self.renew)) {
            return None;
        }
        let before = old.last().and_then(|(_, order)| order.ask.price);
        let before = before.map_or(stop, |price| market.instrument.price_decimal(price));
        let price = market.price(side, before.checked_mul(away(self.slippage))?);
        old.iter().for_each(|(_, order)| desk.cancel(order.key));
        if is_met {
            let profits = self.closing(desk, side, false);
            profits.iter().for_each(|(_, order)| desk.cancel(order.key));
            self.close(desk, position, price?, true);
        }
        Some(())
    }

    fn close(&mut self, desk: &mut dyn Trading, position: &Held, price: Price, at_a_loss: bool) {
        let (sent, side) = (desk.now(), position.closing_side());
        let (market, kind, qty) = (self.quoter.market, OrderKind::Limit, position.size());
        let effect = PositionEffect::Close;
        let key = desk.place(Ask { market, side, kind, price: Some(price), qty, effect });
        self.exits.insert(key, Exit { sent, at_a_loss });
        self.quoter.set_times(sent);
    }
}

impl Strategy for PerpetualMarketMaking {
    fn start(&mut self, desk: &mut dyn Trading) -> Result<Option<Timestamp>, StrategyError> {
        self.quoter.market = desk.first();
        self.set_up(desk)?;
        Ok(Some(desk.now().plus(TICK)))
    }

    fn tick(&mut self, desk: &mut dyn Trading) -> Option<Timestamp> {
        if self.refused.is_some() {
            return None;
        }
        let next = desk.now().plus(TICK);
        if self.unanswered > 0 {
            return Some(next);
        }
        let held = desk.held(self.quoter.market);
        if held.is_empty() {
            self.exits.clear();
            self.quote(desk);
        } else {
            self.manage(desk, &held);
        }
        Some(next)
    }

    fn on_order(&mut self, desk: &mut dyn Trading, order: &OwnOrder, news: News) {
        match news {
            News::Completed => {
                self.exits.remove(&order.key);
                self.quoter.completed(desk.now());
            }
            News::Cancelled(_) | News::Rejected(_) => _ = self.exits.remove(&order.key),
            News::Accepted | News::Filled { .. } => {}
        }
    }

    fn on_setting(&mut self, _: &mut dyn Trading, answer: Result<(), RejectReason>) {
        self.unanswered = self.unanswered.saturating_sub(1);
        self.refused = self.refused.or(answer.err());
    }

    fn settled(&self) -> Vec<(&'static str, String)> {
        self.quoter.settled()
    }

    fn status(&self, desk: &dyn Trading) -> Vec<String> {
        if let Some(reason) = self.refused {
            return vec![format!(
                "it does nothing: leverage or position mode was refused: {}",
                reason.text()
            )];
        }
        let Some(market) = desk.markets().get(self.quoter.market.index()) else { return Vec::new() };
        let mut lines = self.quoter.status(desk);
        lines.extend(desk.held(self.quoter.market).iter().map(|held| {
            format!(
                "{} position {} from {}",
                held.side.name(),
                market.instrument.show_qty(held.qty),
                held.entry
            )
        }));
        lines
    }
}
