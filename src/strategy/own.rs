//! What a strategy knows of its own orders: those that are not over, its positions, and what is new.

use std::collections::VecDeque;

use rust_decimal::Decimal;

use super::{Ask, MarketId, News, OrderKey};
use crate::market::{FinePrice, Price, Qty, Side, Timestamp};
use crate::order::{ClientOrderId, OrderId, OrderStatus, PositionSide, RejectReason};
use crate::sim::{Fill, Liquidation, OrderEvent, OrderUpdate, PositionState};

/// Where an own order is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnState {
    /// Sent, not answered.
    Sent,
    /// Live.
    Open,
    /// Its cancel is sent, not answered.
    Cancelling,
}

/// An own order that is not known to be over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnOrder {
    /// Its number.
    pub key: OrderKey,
    /// Its client id.
    pub client_id: ClientOrderId,
    /// What was asked for.
    pub ask: Ask,
    /// What has filled.
    pub filled: Qty,
    /// Where it is.
    pub state: OwnState,
    /// The exchange's number, once it answered.
    pub id: Option<OrderId>,
    /// When it was sent.
    pub created: Timestamp,
}

impl OwnOrder {
    /// What is still to fill.
    pub fn leaves(&self) -> Qty {
        self.ask.qty - self.filled
    }
}

/// What an account holds of a contract, as far as it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Which of the account's positions in the contract.
    pub side: PositionSide,
    /// Contracts, negative for shorts; never zero.
    pub qty: Qty,
    /// The average entry price, in quote.
    pub entry: Decimal,
}

impl Held {
    /// A position as its exchange told it; `None` where there is none.
    pub fn of(state: &PositionState) -> Option<Self> {
        let entry = state.entry.filter(|_| !state.qty.is_zero())?;
        let entry = Decimal::new(entry.units(), u32::from(FinePrice::SCALE)).normalize();
        Some(Self { side: state.side, qty: state.qty, entry })
    }

    /// The side of the orders that close it.
    pub fn closing_side(&self) -> Side {
        if self.qty.units() < 0 { Side::Buy } else { Side::Sell }
    }

    /// How much there is to close.
    pub fn size(&self) -> Qty {
        Qty::from_units(self.qty.units().abs())
    }
}

/// The own orders of one run, told of what has come back. Orders that are over are forgotten.
#[derive(Clone, Debug, Default)]
pub struct OwnBook {
    orders: Vec<OwnOrder>,
    positions: Vec<Qty>,
    last_fills: Vec<Option<Price>>,
    held: Vec<Vec<Held>>,
    news: VecDeque<(OwnOrder, News)>,
    /// Tags of settings on their way, and the answers that the strategy has not been told.
    settings: Vec<u64>,
    answers: VecDeque<Result<(), RejectReason>>,
}

impl OwnBook {
    /// Of a run with so many markets.
    pub fn new(markets: usize) -> Self {
        let (positions, last_fills) = (vec![Qty::ZERO; markets], vec![None; markets]);
        Self { positions, last_fills, held: vec![Vec::new(); markets], ..Self::default() }
    }

    /// Those that are not over, oldest first.
    pub fn orders(&self) -> &[OwnOrder] {
        &self.orders
    }

    /// One that is not over.
    pub fn order(&self, key: OrderKey) -> Option<&OwnOrder> {
        self.orders.iter().find(|order| order.key == key)
    }

    /// Bought less sold.
    pub fn position(&self, market: MarketId) -> Qty {
        self.positions.get(market.index()).copied().unwrap_or_default()
    }

    /// The price of the last fill.
    pub fn last_fill(&self, market: MarketId) -> Option<Price> {
        self.last_fills.get(market.index()).copied().flatten()
    }

    /// What the account holds of a contract, the long position before the short one.
    pub fn held(&self, market: MarketId) -> &[Held] {
        self.held.get(market.index()).map_or(&[], Vec::as_slice)
    }

    /// The oldest answer to a setting that the strategy has not been told.
    pub fn next_answer(&mut self) -> Option<Result<(), RejectReason>> {
        self.answers.pop_front()
    }

    /// The oldest thing that the strategy has not been told.
    pub fn next_news(&mut self) -> Option<(OwnOrder, News)> {
        self.news.pop_front()
    }

    /// An order is sent.
    pub fn sent(&mut self, key: OrderKey, client_id: ClientOrderId, ask: Ask, now: Timestamp) {
        let (filled, state, id, created) = (Qty::ZERO, OwnState::Sent, None, now);
        self.orders.push(OwnOrder { key, client_id, ask, filled, state, id, created });
    }

    /// A cancel is about to be sent: the order, unless it is over or one is on its way.
    pub fn cancelling(&mut self, key: OrderKey) -> Option<&OwnOrder> {
        let order = self.orders.iter_mut().find(|order| order.key == key)?;
        if order.state == OwnState::Cancelling {
            return None;
        }
        order.state = OwnState::Cancelling;
        Some(order)
    }

    /// A setting is sent with this tag.
    pub fn setting_sent(&mut self, tag: u64) {
        self.settings.push(tag);
    }

    /// The request with a tag is answered, if it was a setting.
    pub fn see_setting(&mut self, update: &OrderUpdate) {
        let Some(at) = self.settings.iter().position(|tag| *tag == update.tag) else { return };
        self.settings.remove(at);
        self.answers.push_back(match update.event {
            OrderEvent::Rejected(reason) => Err(reason),
            _ => Ok(()),
        });
    }

    /// An answer or an event of an order has come back from the exchange that has `markets`.
    pub fn see_order(&mut self, markets: std::ops::Range<u32>, update: &OrderUpdate) {
        let Some(state) = &update.order else { return };
        let is_it = |order: &OwnOrder| {
            markets.contains(&order.ask.market.0)
                && match order.id {
                    Some(id) => id == state.id,
                    None => Some(&order.client_id) == state.client_id.as_ref(),
                }
        };
        let Some(at) = self.orders.iter().position(is_it) else { return };
        let order = &mut self.orders[at];
        match update.event {
            OrderEvent::Accepted => {
                order.id = Some(state.id);
                if order.state == OwnState::Sent {
                    order.state = OwnState::Open;
                }
                self.news.push_back((order.clone(), News::Accepted));
            }
            OrderEvent::Rejected(reason) if order.id.is_none() => {
                let order = self.orders.remove(at);
                self.news.push_back((order, News::Rejected(reason)));
            }
            OrderEvent::Cancelled(reason) => {
                let order = self.orders.remove(at);
                self.news.push_back((order, News::Cancelled(reason)));
            }
            OrderEvent::Filled if state.status == OrderStatus::Filled => {
                let order = self.orders.remove(at);
                self.news.push_back((order, News::Completed));
            }
            // A refused cancel: the order is over, and its own word of that is on its way or came before.
            _ => {}
        }
    }

    /// A fill has come back from the exchange that has `markets`.
    pub fn see_fill(&mut self, markets: std::ops::Range<u32>, fill: &Fill) {
        let is_it =
            |order: &&mut OwnOrder| order.id == Some(fill.order) && markets.contains(&order.ask.market.0);
        let Some(order) = self.orders.iter_mut().find(is_it) else { return };
        order.filled += fill.qty;
        let market = order.ask.market.index();
        if let (Some(position), Some(last)) =
            (self.positions.get_mut(market), self.last_fills.get_mut(market))
        {
            *position = if fill.side == Side::Buy { *position + fill.qty } else { *position - fill.qty };
            *last = Some(fill.price);
        }
        let news = News::Filled { price: fill.price, qty: fill.qty, liquidity: fill.liquidity };
        self.news.push_back((order.clone(), news));
    }

    /// A position of the exchange whose markets begin with `first` has changed.
    pub fn see_position(&mut self, first: u32, state: &PositionState) {
        let Some(held) = self.held.get_mut((first + state.instrument.0) as usize) else { return };
        held.retain(|known| known.side != state.side);
        held.extend(Held::of(state));
        held.sort_by_key(|known| known.side);
    }

    /// A position, or a part of it, was liquidated.
    pub fn see_liquidation(&mut self, first: u32, told: &Liquidation) {
        if let Some(position) = self.positions.get_mut((first + told.instrument.0) as usize) {
            *position -= told.qty;
        }
    }
}
