//! `twap`: an amount in equal slices at equal intervals.
//!
//! At each interval what is left of the last slice is cancelled and joins the next one, so that slice `n` brings the whole
//! to `n / slices` of the amount, down to the lot; the last one has what rounding left. After the last interval the rest is
//! cancelled.

use std::time::Duration;

use rust_decimal::Decimal;

use super::parameters::Values;
use super::{Ask, MarketId, News, OwnOrder, Strategy, StrategyError, Trading, mid_price, touch};
use crate::market::{Price, Qty, Side, Timestamp};
use crate::order::{OrderKind, PositionEffect};

/// See the module.
#[derive(Clone, Debug)]
pub struct Twap {
    side: Side,
    total: Option<Decimal>,
    slices: i64,
    interval: Duration,
    kind: OrderKind,
    offset: i64,
    market: MarketId,
    /// The whole amount, once it is settled.
    whole: Qty,
    sent: i64,
    done: Qty,
    /// Whether a slice waits for the last one's cancel.
    due: bool,
    next: Timestamp,
}

impl Twap {
    pub(super) fn new(values: &Values) -> Result<Self, StrategyError> {
        let kinds = [
            ("limit", OrderKind::Limit),
            ("limit_maker", OrderKind::LimitMaker),
            ("market", OrderKind::Market),
        ];
        let interval = values.seconds("interval")?;
        if interval.is_zero() {
            return Err(StrategyError::Value {
                key: "interval",
                value: values.text("interval").to_owned(),
                must: "must be more than zero".to_owned(),
            });
        }
        Ok(Self {
            side: values.one_of("side", &[("buy", Side::Buy), ("sell", Side::Sell)])?,
            total: values.amount("total_amount")?,
            slices: values.whole("slices", 1..=1_000_000)?,
            interval,
            kind: values.one_of("order_type", &kinds)?,
            offset: values.whole("price_offset_ticks", -1_000_000..=1_000_000)?,
            market: MarketId::default(),
            whole: Qty::ZERO,
            sent: 0,
            done: Qty::ZERO,
            due: false,
            next: Timestamp::MIN,
        })
    }

    /// The whole amount in the market's numbers; zero while there is no price to go by.
    fn settle(&mut self, desk: &dyn Trading) {
        let Some(market) = desk.markets().get(self.market.index()) else { return };
        self.whole = match self.total {
            Some(total) => market.amount(total).unwrap_or_default(),
            None => {
                let price = mid_price(desk, self.market).and_then(|mid| market.price(Side::Buy, mid));
                let smallest = price.map_or(Qty::ZERO, |price| market.smallest_amount(price));
                Qty::from_units(smallest.units().saturating_mul(10))
            }
        };
    }

    /// What should have been traded once `slice` slices were: `slice / slices` of the whole, down to the lot.
    fn goal(&self, slice: i64, lot: Qty) -> Qty {
        if slice >= self.slices {
            return self.whole;
        }
        let units = i128::from(self.whole.units()) * i128::from(slice) / i128::from(self.slices);
        Qty::from_units(i64::try_from(units).unwrap_or(i64::MAX)).floor_to(lot)
    }

    fn price(&self, desk: &dyn Trading) -> Option<Price> {
        let rule = &desk.markets().get(self.market.index())?.instrument.rule;
        let best = touch(desk, self.market, self.side)?;
        let by = rule.tick.units().saturating_mul(self.offset);
        let price = self.side.worsen(best, by.saturating_neg());
        Some(price).filter(|price| price.units() > 0)
    }

    fn send(&mut self, desk: &mut dyn Trading) {
        if !desk.orders().is_empty() {
            // The rest of the last slice is on its way back.
            self.due = true;
            return;
        }
        self.due = false;
        let Some(market) = desk.markets().get(self.market.index()) else { return };
        let goal = self.goal(self.sent, market.instrument.rule.lot);
        let qty = goal - self.done;
        let price = if self.kind == OrderKind::Market { None } else { self.price(desk) };
        let priced = self.kind == OrderKind::Market || price.is_some();
        if qty.units() > 0 && priced {
            let (market, side, kind) = (self.market, self.side, self.kind);
            let effect = PositionEffect::Net;
            desk.place(Ask { market, side, kind, price, qty, effect });
        }
    }
}

impl Strategy for Twap {
    fn start(&mut self, desk: &mut dyn Trading) -> Result<Option<Timestamp>, StrategyError> {
        self.market = desk.first();
        self.next = desk.now();
        Ok(self.tick(desk))
    }

    fn tick(&mut self, desk: &mut dyn Trading) -> Option<Timestamp> {
        if self.whole.is_zero() {
            self.settle(desk);
        }
        desk.cancel_all();
        if self.sent == self.slices {
            self.due = false;
            return None;
        }
        if !self.whole.is_zero() {
            self.sent += 1;
            self.send(desk);
        }
        self.next = self.next.plus(self.interval);
        Some(self.next)
    }

    fn on_order(&mut self, desk: &mut dyn Trading, order: &OwnOrder, news: News) {
        match news {
            News::Filled { qty, .. } => self.done += qty,
            News::Completed | News::Cancelled(_) | News::Rejected(_)
                if self.due && order.ask.side == self.side =>
            {
                self.send(desk);
            }
            _ => {}
        }
    }

    fn settled(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn status(&self, desk: &dyn Trading) -> Vec<String> {
        let Some(market) = desk.markets().get(self.market.index()) else { return Vec::new() };
        let show = |qty| market.instrument.show_qty(qty);
        vec![format!(
            "slice {} of {}, traded {} of {}",
            self.sent,
            self.slices,
            show(self.done),
            show(self.whole)
        )]
    }
}
