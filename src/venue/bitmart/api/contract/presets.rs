//! What an order brings along for the position that it opens: a price at which profit is taken, one at which the loss
//! is stopped. Each fill of the order places them for its contracts; the one that is woken first ends the other.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use smol_str::SmolStr;

use super::super::fields::Fields;
use super::orders::{Ticket, price_in};
use super::plans::{Kind, Plan, by_in};
use super::shape;
use crate::market::{Instrument, Price, Side};
use crate::order::{
    NewOrder, OrderKind, OrderSize, PositionEffect, PositionSide, SessionId, TimeInForce, Trigger, TriggerBy,
    TriggerKind,
};
use crate::sim::{Fill, OrderEvent, OrderUpdate, PositionState, RequestBody, Update, UpdateBody};
use crate::venue::NativeError;
use crate::venue::api::{Account, Room};

/// How many orders with presets are kept; the first ones are forgotten first.
const MOST: usize = 10_000;

/// The two prices, where they are given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Preset {
    take_profit: Option<(Price, TriggerBy)>,
    stop_loss: Option<(Price, TriggerBy)>,
}

impl Preset {
    /// Those of a new order; what closes brings none.
    pub(super) fn read(ticket: &Ticket, fields: &Fields<'_>) -> Result<Option<Self>, NativeError> {
        let prices = Self::prices(&ticket.instrument, fields)?;
        Ok(prices.filter(|_| ticket.order.effect != PositionEffect::Close))
    }

    /// Those of a request.
    pub(super) fn prices(instrument: &Instrument, fields: &Fields<'_>) -> Result<Option<Self>, NativeError> {
        let one = |price: &str, by: &str| -> Result<Option<(Price, TriggerBy)>, NativeError> {
            let price = price_in(instrument, fields, price)?;
            let by = if price.is_some() { by_in(fields, by)? } else { TriggerBy::Last };
            Ok(price.map(|price| (price, by)))
        };
        let take_profit = one("preset_take_profit_price", "preset_take_profit_price_type")?;
        let stop_loss = one("preset_stop_loss_price", "preset_stop_loss_price_type")?;
        Ok((take_profit.is_some() || stop_loss.is_some()).then_some(Self { take_profit, stop_loss }))
    }
}

/// The presets of orders, and the pairs of plans that came of them.
#[derive(Debug, Default)]
pub(super) struct Presets {
    wanted: BTreeMap<(SessionId, SmolStr), Preset>,
    /// A plan and the other one, both ways.
    pairs: BTreeMap<(SessionId, SmolStr), SmolStr>,
}

impl Presets {
    pub(super) fn add(&mut self, session: SessionId, name: SmolStr, preset: Preset) {
        if self.wanted.len() >= MOST {
            self.wanted.pop_first();
        }
        self.wanted.insert((session, name), preset);
    }

    /// The columns of an order's presets: empty where it brings none.
    pub(super) fn columns(
        &self,
        session: SessionId,
        name: &SmolStr,
        instrument: &Instrument,
    ) -> Map<String, Value> {
        let preset = self.wanted.get(&(session, name.clone()));
        let prices = [
            ("preset_take_profit_price", preset.and_then(|preset| preset.take_profit)),
            ("preset_stop_loss_price", preset.and_then(|preset| preset.stop_loss)),
        ];
        let types = prices.map(|(column, price)| {
            (format!("{column}_type"), price.map_or(0, |(_, by)| shape::price_type(by)).into())
        });
        let texts = prices.map(|(column, price)| {
            let text = price.map(|(price, _)| shape::plain(instrument.price_decimal(price)));
            (column.to_owned(), text.unwrap_or_default().into())
        });
        types.into_iter().chain(texts).collect()
    }

    pub(super) fn forget(&mut self, session: SessionId, name: &SmolStr) {
        self.wanted.remove(&(session, name.clone()));
    }

    /// What was told to traders: the plans that are made of it come back.
    pub(super) fn hear(&mut self, room: &mut Room<'_>, heard: &[Update]) -> Vec<(SessionId, SmolStr, Plan)> {
        let mut made = Vec::new();
        for update in heard {
            match &update.body {
                UpdateBody::Fill(fill) => made.extend(self.filled(room, fill)),
                UpdateBody::Order(order) => self.changed(room, order),
                UpdateBody::Position(state) if state.qty.is_zero() => closed(room, state),
                _ => {}
            }
        }
        made
    }

    fn filled(&mut self, room: &mut Room<'_>, fill: &Fill) -> Vec<(SessionId, SmolStr, Plan)> {
        let Some(account) = account_of(room, fill.session) else { return Vec::new() };
        let trader = room.trader(&account);
        let known = trader.and_then(|trader| trader.by_exchange_id(fill.order));
        let name = known.map(|known| known.order.client_order_id.clone());
        let Some(preset) = name.and_then(|name| self.wanted.get(&(fill.session, name)).cloned()) else {
            return Vec::new();
        };
        let opened = fill.position.as_ref().map_or(fill.qty, |did| fill.qty - did.closed);
        let mut made: Vec<(SessionId, SmolStr, Plan)> = Vec::new();
        for (kind, trigger, price) in [
            (Kind::TakeProfit, TriggerKind::TakeProfit, preset.take_profit),
            (Kind::StopLoss, TriggerKind::Stop, preset.stop_loss),
        ] {
            let Some((price, by)) = price.filter(|_| !opened.is_zero()) else { continue };
            let order = NewOrder {
                instrument: fill.instrument,
                client_id: None,
                side: fill.side.opposite(),
                kind: OrderKind::Market,
                size: OrderSize::Qty(opened),
                price: None,
                tif: TimeInForce::Ioc,
                trigger: Some(Trigger { kind: trigger, price, by }),
                self_trade: None,
                effect: PositionEffect::Close,
            };
            // What cannot be sent is told by the exchange's own failure at the next move.
            let Ok(tag) = room.place(&account, order) else { continue };
            let known = room.trader(&account).and_then(|trader| trader.by_tag(tag));
            let plan = Plan { kind, category: 1, first: None };
            made.extend(known.map(|known| (fill.session, known.order.client_order_id.clone(), plan)));
        }
        if let [(_, first, _), (_, second, _)] = &made[..] {
            self.pairs.insert((fill.session, first.clone()), second.clone());
            self.pairs.insert((fill.session, second.clone()), first.clone());
        }
        made
    }

    fn changed(&mut self, room: &mut Room<'_>, update: &OrderUpdate) {
        let Some(state) = &update.order else { return };
        let trader = room.paper.trader(update.session);
        let known = trader.and_then(|trader| trader.by_exchange_id(state.id));
        let Some((name, number)) = known.map(|known| (known.order.client_order_id.clone(), known.number))
        else {
            return;
        };
        // A plan that was changed is another order under the same name: it keeps what it brings along.
        let last = trader.and_then(|trader| trader.by_client_id(&name)).map(|known| known.number);
        if state.status.is_done() && last == Some(number) {
            self.forget(update.session, &name);
        }
        let over = update.event == OrderEvent::Triggered || state.status.is_done();
        let other = if over { self.pairs.remove(&(update.session, name)) } else { None };
        let Some(other) = other else { return };
        self.pairs.remove(&(update.session, other.clone()));
        if update.event == OrderEvent::Triggered {
            let known = room.paper.trader(update.session).and_then(|trader| trader.by_client_id(&other));
            if let Some(number) = known.filter(|known| shape::waits(known)).map(|known| known.number) {
                let _ = room.paper.send_about(update.session, number, RequestBody::Cancel);
            }
        }
    }
}

fn account_of(room: &Room<'_>, session: SessionId) -> Option<Account> {
    room.access.accounts.iter().find(|account| account.session == session).cloned()
}

/// A position is gone: what waited to close it is cancelled.
fn closed(room: &mut Room<'_>, state: &PositionState) {
    let accounts = room.access.accounts.iter().filter(|account| account.id == state.account);
    let sessions: Vec<SessionId> = accounts.map(|account| account.session).collect();
    for session in sessions {
        let _ = super::orders::end_all(room, session, Some(state.instrument), |known| {
            let order = known.state.as_ref();
            let closes = order.is_some_and(|order| order.effect() == PositionEffect::Close);
            let side = order.map(|order| order.side);
            shape::waits(known) && closes && closes_side(state.side, side)
        });
    }
}

/// Whether an order of a side closes a position of that kind.
fn closes_side(position: PositionSide, side: Option<Side>) -> bool {
    match position {
        PositionSide::Net => true,
        PositionSide::Long => side == Some(Side::Sell),
        PositionSide::Short => side == Some(Side::Buy),
    }
}
