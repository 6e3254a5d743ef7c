//! Perpetuals in the shell: positions, leverage, position mode, funding.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::order_line::unit;
use super::table::{Shape, Table, exact};
use super::{Reply, Shell, ShellError, usage, words};
use crate::connector::{Connector, PositionMode};
use crate::market::{FinePrice, Instrument};
use crate::order::{Leverage, MarginMode, RejectReason};
use crate::sim::{OrderEvent, PositionState, Setting};

fn price(price: FinePrice) -> Decimal {
    Decimal::new(price.units(), u32::from(FinePrice::SCALE)).normalize()
}

/// A price with four decimals, or as many as the instrument's own have, or a dash.
fn shown(of: Option<FinePrice>, instrument: &Instrument) -> String {
    let decimals = u32::from(instrument.price_scale).max(4);
    of.map_or_else(|| "-".to_owned(), |of| price(of).round_dp(decimals).normalize().to_string())
}

/// How far `to` is from `from`, in percent of `from`.
fn distance(from: Option<FinePrice>, to: Option<FinePrice>) -> Option<Decimal> {
    let (from, to) = (price(from?), price(to?));
    let share = (to - from).abs().checked_div(from)?.checked_mul(Decimal::ONE_HUNDRED)?;
    Some(share.round_dp(2))
}

impl Shell {
    /// The session's positions that are not flat.
    pub(super) fn open_positions(&self) -> Result<Vec<PositionState>, ShellError> {
        let opened = self.opened()?;
        let all = opened.connector.handle().lock().positions(opened.connector.session());
        Ok(all.into_iter().filter(|state| !state.qty.is_zero()).collect())
    }

    /// Positions as a table, and each as JSON.
    pub(super) fn position_table(&self) -> Result<(Table, Vec<Value>), ShellError> {
        let positions = self.open_positions()?;
        let opened = self.opened()?;
        let paper = opened.connector.handle().lock();
        let names = paper.names();
        let mut table = Table::new([
            "Pair",
            "Side",
            "Amount",
            "Entry",
            "Mark",
            "Unrealised",
            "Margin",
            "Leverage",
            "Liquidation",
            "Away",
        ]);
        let mut rows = Vec::new();
        for state in &positions {
            let Some(instrument) = names.instrument(state.instrument) else { continue };
            let settle = names.asset(state.settle).map(ToString::to_string).unwrap_or_default();
            let money = |amount| exact(names.decimal(state.settle, amount));
            let side = if state.qty.units() < 0 { "short" } else { "long" };
            let away = distance(state.mark, state.liquidation);
            // What settles through an index price is paid for in quote.
            let contract = paper.sim().market(state.instrument).and_then(|market| market.contract.as_ref());
            let through = contract.is_some_and(|contract| contract.through_index);
            let cost_asset = if through { instrument.pair.quote.to_string() } else { settle.clone() };
            table.row([
                instrument.pair.to_string(),
                side.to_owned(),
                format!("{} {}", instrument.show_qty(state.qty), unit(instrument)),
                shown(state.entry, instrument),
                shown(state.mark, instrument),
                format!("{} {settle}", money(state.unrealised)),
                format!("{} {settle} {}", money(state.assigned), state.margin.name()),
                format!("{}x", state.leverage),
                shown(state.liquidation, instrument),
                away.map_or_else(|| "-".to_owned(), |away| format!("{away}%")),
            ]);
            rows.push(json!({
                "pair": instrument.pair, "side": side, "position_side": state.side.name(),
                "amount": exact(instrument.qty_decimal(state.qty)), "unit": unit(instrument),
                "entry_price": state.entry.map(price).map(exact), "mark_price": state.mark.map(price).map(exact),
                "mark_source": state.mark_source.map(|source| source.text()),
                "cost": money(state.cost), "cost_asset": cost_asset, "value": money(state.value),
                "unrealised_pnl": money(state.unrealised), "realised_pnl": money(state.realised),
                "fees": money(state.fees), "funding": money(-state.funding), "settle": settle,
                "margin_mode": state.margin.name(), "leverage": state.leverage.to_string(),
                "margin": money(state.assigned), "maintenance_margin": money(state.maintenance),
                "liquidation_price": state.liquidation.map(price).map(exact),
                "bankruptcy_price": state.bankruptcy.map(price).map(exact),
                "liquidation_away_pct": away.map(exact),
            }));
        }
        Ok((table, rows))
    }

    /// Where the mark prices of the open positions come from, a line for each source.
    fn mark_sources(&self) -> Result<String, ShellError> {
        let mut sources: Vec<&str> =
            self.open_positions()?.iter().filter_map(|state| state.mark_source).map(|s| s.text()).collect();
        sources.sort_unstable();
        sources.dedup();
        Ok(sources.iter().map(|source| format!("  Mark: {source}.\n")).collect())
    }

    pub(super) fn positions(&mut self, rest: &[&str]) -> Result<Reply, ShellError> {
        if !rest.is_empty() {
            return Err(usage("positions"));
        }
        self.perpetuals()?;
        let (table, rows) = self.position_table()?;
        let text = match table.is_empty() {
            true => "No positions.\n".to_owned(),
            false => table.draw(Shape::Plain { gap: 2 }, 2) + &self.mark_sources()?,
        };
        Ok(Reply::new(text, json!({ "positions": rows })))
    }

    fn perpetuals(&self) -> Result<(), ShellError> {
        match self.opened()?.connector.supported_position_modes().is_empty() {
            true => Err(ShellError("no perpetual is connected; spot has balances, see `balance`".to_owned())),
            false => Ok(()),
        }
    }

    pub(super) fn leverage(&mut self, rest: &[&str]) -> Result<Reply, ShellError> {
        self.perpetuals()?;
        let (pair, words) = match rest {
            [] => (None, rest),
            [pair, words @ ..] => (Some(*pair), words),
        };
        let (_, instrument) = self.instrument(pair)?;
        for word in words {
            let setting = match *word {
                "cross" => Setting::Margin(MarginMode::Cross),
                "isolated" => Setting::Margin(MarginMode::Isolated),
                number => {
                    let times = Decimal::from_str_exact(number.trim_end_matches(['x', 'X'])).ok();
                    let leverage = times.and_then(Leverage::from_decimal).ok_or_else(|| usage("leverage"))?;
                    Setting::Leverage { side: None, leverage }
                }
            };
            self.set(&instrument, setting)?;
        }
        let opened = self.opened()?;
        let paper = opened.connector.handle().lock();
        let id = paper.names().find(&instrument.pair).map(|(id, _)| id);
        let account = paper.trader(opened.connector.session()).map(|trader| trader.account);
        let settings = id.zip(account).and_then(|(id, account)| paper.sim().margin_settings(account, id));
        let Some((margin, [long, short])) = settings else {
            return Err(ShellError(format!("{} is spot: it has no leverage", instrument.pair)));
        };
        let times = if long == short { format!("{long}x") } else { format!("{long}x long, {short}x short") };
        Ok(Reply::new(
            format!("Leverage of {}: {times}, {}.\n", instrument.pair, margin.name()),
            json!({
                "pair": instrument.pair, "margin_mode": margin.name(),
                "leverage_long": long.to_string(), "leverage_short": short.to_string(),
            }),
        ))
    }

    /// Sends a setting and waits for its answer; a refusal is an error.
    fn set(&mut self, instrument: &Instrument, setting: Setting) -> Result<(), ShellError> {
        let opened = self.opened_mut()?;
        let tag = opened.connector.send_setting(&instrument.pair, setting)?;
        let session = opened.connector.session();
        let answer = {
            let mut paper = opened.connector.handle().lock();
            paper.run_until_answer(session, tag)?;
            paper.take_answer(session, tag)
        };
        self.told();
        match answer {
            Some(OrderEvent::Rejected(reason)) => Err(self.refused_setting(reason, instrument)?),
            _ => Ok(()),
        }
    }

    fn refused_setting(
        &self,
        reason: RejectReason,
        instrument: &Instrument,
    ) -> Result<ShellError, ShellError> {
        let opened = self.opened()?;
        let paper = opened.connector.handle().lock();
        Ok(ShellError(words::refusal(reason, instrument, paper.names(), &opened.about)))
    }

    pub(super) fn position_mode(&mut self, rest: &[&str]) -> Result<Reply, ShellError> {
        self.perpetuals()?;
        match rest {
            [] => {}
            [mode] => {
                let mode = match mode.to_ascii_lowercase().as_str() {
                    "one_way" | "oneway" => crate::order::PositionMode::OneWay,
                    "hedge" => crate::order::PositionMode::Hedge,
                    _ => return Err(usage("position_mode")),
                };
                let instruments: Vec<Instrument> =
                    self.opened()?.connector.handle().lock().names().instruments().to_vec();
                let contracts = instruments.iter().filter(|i| i.product != crate::market::Product::Spot);
                for instrument in contracts {
                    self.set(instrument, Setting::Position(mode))?;
                }
            }
            _ => return Err(usage("position_mode")),
        }
        let mode = match self.opened()?.connector.position_mode() {
            PositionMode::Oneway => "one_way",
            PositionMode::Hedge => "hedge",
        };
        Ok(Reply::new(format!("Position mode: {mode}.\n"), json!({ "position_mode": mode })))
    }

    pub(super) fn funding(&mut self, rest: &[&str]) -> Result<Reply, ShellError> {
        self.perpetuals()?;
        let pair = match rest {
            [] => None,
            [pair] => Some(*pair),
            _ => return Err(usage("funding")),
        };
        let (id, instrument) = self.instrument(pair)?;
        let opened = self.opened()?;
        let info = opened.connector.get_funding_info(&instrument.pair)?;
        let paper = opened.connector.handle().lock();
        let told = paper.sim().funding(id).is_some_and(|(_, told, _)| told);
        let source = paper.sim().mark(id).map(|(_, source)| source.text());
        let rate = info.rate.checked_mul(Decimal::ONE_HUNDRED).unwrap_or_default().normalize();
        let from = if told { "of the tape" } else { "assumed: the tape has none" };
        let number = |price: Option<Decimal>| price.map_or_else(|| "-".to_owned(), |price| price.to_string());
        let text = format!(
            "Funding of {}: {rate}% at {} ({from}).\n  Mark {} ({}), index {}.\n",
            info.trading_pair,
            info.next_funding_utc_timestamp,
            number(info.mark_price),
            source.unwrap_or("none yet"),
            number(info.index_price),
        );
        Ok(Reply::new(
            text,
            json!({
                "pair": info.trading_pair, "rate": exact(info.rate), "rate_told": told,
                "next_funding": info.next_funding_utc_timestamp.to_string(),
                "mark_price": info.mark_price.map(exact), "mark_source": source,
                "index_price": info.index_price.map(exact),
            }),
        ))
    }
}
