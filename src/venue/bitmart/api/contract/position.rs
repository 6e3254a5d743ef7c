//! An account's positions, as the three requests show them.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::super::routes::{Answer, Asked, Outcome};
use super::history::Story;
use super::{contracts, shape, trader, wanted};
use crate::market::{Instrument, InstrumentId, Qty, Side};
use crate::order::{PositionEffect, PositionMode, PositionSide};
use crate::paper::{PaperExchange, TraderView};
use crate::sim::PositionState;
use crate::venue::api::Account;

/// How many contracts an account holds long (`Buy`) or short (`Sell`).
pub(super) fn held(paper: &PaperExchange, account: &Account, id: InstrumentId, side: Side) -> Qty {
    let all = paper.sim().positions(account.id, id);
    let one =
        all.iter().filter(|state| long(state) == (side == Side::Buy)).map(|state| state.qty.units().abs());
    Qty::from_units(one.sum())
}

/// Whether a position is long; a flat net one counts as such.
pub(super) fn long(state: &PositionState) -> bool {
    match state.side {
        PositionSide::Long => true,
        PositionSide::Short => false,
        PositionSide::Net => state.qty.units() >= 0,
    }
}

/// How many contracts live orders of a side would close.
pub(super) fn closing(trader: &TraderView, id: InstrumentId, side: Side) -> Qty {
    let live = trader.orders().filter(|known| known.done.is_none() && known.instrument == id);
    let states = live.filter(|known| !shape::waits(known)).filter_map(|known| known.state.as_ref());
    let closing = states.filter(|state| state.effect() == PositionEffect::Close && state.side == side);
    Qty::from_units(closing.map(|state| (state.qty - state.filled).units()).sum())
}

/// One position with what its row is made from.
pub(super) struct Held<'a> {
    pub(super) paper: &'a PaperExchange,
    pub(super) account: &'a Account,
    pub(super) trader: &'a TraderView,
    pub(super) instrument: &'a Instrument,
    pub(super) state: PositionState,
}

impl Held<'_> {
    fn money(&self, money: crate::order::Money) -> String {
        shape::plain(self.paper.names().decimal(self.state.settle, money))
    }

    /// What it cost, without a sign.
    fn cost(&self) -> crate::order::Money {
        crate::order::Money(self.state.cost.0.abs())
    }

    /// What closing, fees and funding have made of it.
    fn realised(&self) -> crate::order::Money {
        self.state.realised - self.state.fees - self.state.funding
    }

    pub(super) fn mode(&self) -> &'static str {
        shape::mode_name(self.paper.sim().position_mode(self.account.id, self.state.instrument))
    }

    pub(super) fn story(&self) -> Story {
        Story::of(self.trader, self.state.instrument, self.state.side)
    }

    pub(super) fn price(&self, price: Option<crate::market::FinePrice>) -> String {
        price.map_or_else(|| "0".to_owned(), |price| shape::plain(shape::fine(self.instrument, price)))
    }

    /// The fee of closing all of it at the mark price.
    fn closing_fee(&self) -> Decimal {
        let (_, taker) = self.paper.sim().fee_rates(self.account.id, self.state.instrument);
        let value = self.paper.names().decimal(self.state.settle, self.state.value);
        value.checked_mul(taker.to_decimal()).unwrap_or_default().round_dp(8)
    }

    fn plain(&self) -> Value {
        let state = &self.state;
        let (story, entry) = (self.story(), self.price(state.entry));
        json!({
            "symbol": self.instrument.symbol,
            "leverage": state.leverage.to_string(),
            "timestamp": self.paper.now().millis(),
            "current_fee": shape::plain(self.closing_fee()),
            "open_timestamp": story.opened.map_or(0, crate::market::Timestamp::millis),
            "current_value": self.money(state.value),
            "mark_price": self.price(state.mark),
            "mark_value": self.money(state.value),
            "position_value": self.money(self.cost()),
            "position_cross": self.money(state.assigned),
            "maintenance_margin": self.money(state.maintenance),
            "margin_type": if state.margin == crate::order::MarginMode::Isolated { "Isolated" } else { "Cross" },
            "position_mode": self.mode(),
            "close_vol": shape::contracts(self.instrument, story.closed),
            "close_avg_price": story.average(self.instrument),
            "open_avg_price": entry,
            "entry_price": entry,
            "current_amount": shape::contracts(self.instrument, state.qty),
            "unrealized_value": self.money(state.unrealised),
            "realized_value": self.money(self.realised()),
            "position_type": if long(state) { 1 } else { 2 },
            "account": "futures",
        })
    }

    /// What the largest position at this leverage may be worth.
    fn most(&self) -> String {
        let most = super::market::most_at(self.paper, self.state.instrument, self.state.leverage);
        most.map(shape::plain).unwrap_or_default()
    }

    /// Clients read the names of the older reply in the newer one, too: it has both.
    fn both(&self) -> Value {
        let (state, mut row) = (&self.state, self.plain());
        let signed = match state.side {
            PositionSide::Net => shape::plain(self.instrument.qty_decimal(state.qty)),
            _ => shape::contracts(self.instrument, state.qty),
        };
        if let Value::Object(fields) = &mut row {
            fields.insert("position_amount".into(), signed.into());
            fields.insert("position_side".into(), state.side.name().into());
            fields.insert("liquidation_price".into(), self.price(state.liquidation).into());
            fields.insert("unrealized_pnl".into(), self.money(state.unrealised).into());
            fields.insert("initial_margin".into(), self.money(state.assigned).into());
            fields.insert("open_type".into(), state.margin.name().into());
            fields.insert("max_notional_value".into(), self.most().into());
        }
        row
    }

    fn risk(&self) -> Value {
        let state = &self.state;
        let isolated = state.margin == crate::order::MarginMode::Isolated;
        json!({
            "symbol": self.instrument.symbol,
            "position_amt": shape::plain(self.instrument.qty_decimal(state.qty)),
            "mark_price": self.price(state.mark),
            "unrealized_profit": self.money(state.unrealised),
            "liquidation_price": self.price(state.liquidation),
            "leverage": state.leverage.to_string(),
            "max_notional_value": self.most(),
            "margin_type": if isolated { "Isolated" } else { "Cross" },
            "isolated_margin": if isolated { self.money(state.assigned) } else { "0".to_owned() },
            "position_side": if long(state) { "Long" } else { "Short" },
            "notional": self.money(state.value),
            "update_time": self.story().updated.map_or(0, crate::market::Timestamp::millis),
            "account": "futures",
        })
    }
}

/// A position that is not there, so that a client that asks for a contract gets a row.
fn flat(
    paper: &PaperExchange,
    account: &Account,
    id: InstrumentId,
    side: PositionSide,
) -> Option<PositionState> {
    let market = paper.sim().market(id)?;
    let settle = paper.names().asset_index(&market.contract.as_ref()?.settle)?;
    let (margin, [long, short]) = paper.sim().margin_settings(account.id, id)?;
    let zero = crate::order::Money::ZERO;
    Some(PositionState {
        account: account.id,
        instrument: id,
        side,
        qty: Qty::ZERO,
        cost: zero,
        entry: None,
        mark: paper.sim().mark(id).map(|(price, _)| price),
        mark_source: paper.sim().mark(id).map(|(_, source)| source),
        value: zero,
        unrealised: zero,
        realised: zero,
        fees: zero,
        funding: zero,
        settle,
        margin,
        leverage: if side == PositionSide::Short { short } else { long },
        assigned: zero,
        maintenance: zero,
        liquidation: None,
        bankruptcy: None,
    })
}

/// Without a symbol what is held; with one all of its rows, those of nothing too.
fn rows(asked: &Asked<'_, '_>, show: impl Fn(&Held<'_>) -> Value) -> Answer {
    let (account, trader, wanted) = (asked.account()?, trader(asked)?, wanted(asked)?);
    let paper = &*asked.room.paper;
    let mut rows = Vec::new();
    for (id, instrument) in contracts(paper) {
        let sides: &[PositionSide] = match paper.sim().position_mode(account.id, id) {
            PositionMode::OneWay => &[PositionSide::Net],
            PositionMode::Hedge => &[PositionSide::Long, PositionSide::Short],
        };
        let known = paper.positions(account.session);
        for side in sides {
            let state = known.iter().find(|state| state.instrument == id && state.side == *side).cloned();
            let held = state.filter(|state| !state.qty.is_zero());
            let state = match wanted {
                Some(wanted) if wanted == id => held.or_else(|| flat(paper, account, id, *side)),
                Some(_) => None,
                None => held,
            };
            rows.extend(state.map(|state| show(&Held { paper, account, trader, instrument, state })));
        }
    }
    Ok(Outcome::Data(Value::Array(rows)))
}

pub(super) fn plain(asked: &mut Asked<'_, '_>) -> Answer {
    rows(asked, |held| held.plain())
}

pub(super) fn both(asked: &mut Asked<'_, '_>) -> Answer {
    rows(asked, |held| held.both())
}

pub(super) fn risk(asked: &mut Asked<'_, '_>) -> Answer {
    rows(asked, |held| held.risk())
}
