//! What an account has behind its contracts, what it pays, and what it paid.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::super::reply::invalid;
use super::super::routes::{Answer, Asked, Outcome};
use super::query::span;
use super::{contracts, named, shape, trader, wanted};
use crate::market::{Asset, Product};
use crate::order::{AccountId, MarginMode, Money};
use crate::paper::PaperExchange;
use crate::sim::{Cause, LedgerEntry};

/// What an account has of one asset.
///
/// Equity is all of it at the mark prices. What may be used counts losses and no gains, so that it is
/// `available + frozen + deposit + gains`, where gains are what the positions have gained beyond such losses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Figures {
    /// What new orders may use.
    pub(super) available: Decimal,
    /// What open orders, and spot orders of the same account, keep.
    pub(super) frozen: Decimal,
    /// What positions keep.
    pub(super) deposit: Decimal,
    /// What they have gained.
    pub(super) unrealised: Decimal,
    /// All of it.
    pub(super) equity: Decimal,
}

impl Figures {
    pub(super) fn of(paper: &PaperExchange, account: AccountId, asset: u16) -> Self {
        let (sim, names) = (paper.sim(), paper.names());
        let (total, available) = (sim.balance(account, asset).total, sim.available(account, asset));
        let (mut deposit, mut losses) = (Money::ZERO, Money::ZERO);
        for (id, _) in contracts(paper) {
            for state in sim.positions(account, id).iter().filter(|state| state.settle == asset) {
                deposit += state.assigned;
                if state.margin == MarginMode::Cross {
                    losses += state.unrealised.min(Money::ZERO);
                }
            }
        }
        let unrealised = sim.unrealised(account, asset);
        let show = |money| names.decimal(asset, money);
        Self {
            available: show(available.max(Money::ZERO)),
            frozen: show((total - available - deposit + losses).max(Money::ZERO)),
            deposit: show(deposit),
            unrealised: show(unrealised),
            equity: show(total + unrealised),
        }
    }
}

/// What contracts are settled in.
pub(super) fn settled_in(paper: &PaperExchange) -> Vec<Asset> {
    let mut all: Vec<Asset> = Vec::new();
    for (id, _) in contracts(paper) {
        let terms = paper.sim().market(id).and_then(|market| market.contract.as_ref());
        if let Some(terms) = terms.filter(|terms| !all.contains(&terms.settle)) {
            all.push(terms.settle.clone());
        }
    }
    all
}

/// The exchange lists these whether or not anything is settled in them.
pub(super) const LISTED: [&str; 3] = ["USDT", "BTC", "ETH"];

pub(super) fn assets(asked: &mut Asked<'_, '_>) -> Answer {
    let (paper, account) = (&*asked.room.paper, asked.account()?.id);
    let mut assets = settled_in(paper);
    let more = LISTED.iter().map(|name| Asset::new(name)).filter(|asset| !assets.contains(asset));
    let more: Vec<Asset> = more.collect();
    let settled = assets.len();
    assets.extend(more);
    let row = |(at, asset): (usize, &Asset)| {
        let index = paper.names().asset_index(asset).filter(|_| at < settled);
        let has = index.map(|index| Figures::of(paper, account, index)).unwrap_or_default();
        json!({
            "currency": asset.as_str(),
            "available_balance": shape::plain(has.available),
            "frozen_balance": shape::plain(has.frozen),
            "unrealized": shape::plain(has.unrealised),
            "equity": shape::plain(has.equity),
            "position_deposit": shape::plain(has.deposit),
        })
    };
    Ok(Outcome::Data(Value::Array(assets.iter().enumerate().map(row).collect())))
}

pub(super) fn fee_rate(asked: &mut Asked<'_, '_>) -> Answer {
    let (id, instrument) = named(asked)?;
    let (maker, taker) = asked.room.paper.sim().fee_rates(asked.account()?.id, id);
    Ok(Outcome::Data(json!({
        "symbol": instrument.symbol,
        "taker_fee_rate": shape::plain(taker.to_decimal()),
        "maker_fee_rate": shape::plain(maker.to_decimal()),
    })))
}

/// The number of a flow and its name; `None` for what is none of contracts.
fn flow(entry: &LedgerEntry) -> Option<(i64, &'static str)> {
    Some(match entry.cause {
        Cause::Deposit => (1, "Transfer"),
        Cause::RealisedPnl => (2, "Realized PNL"),
        Cause::Funding => (3, "Funding Fee"),
        Cause::Fee => (4, "Commission Fee"),
        Cause::Liquidation => (5, "Liquidation Clearance"),
        Cause::Hold | Cause::Release | Cause::Trade | Cause::Rounding | Cause::Margin => return None,
    })
}

/// What moved the account's money, newest first.
pub(super) fn transactions(asked: &mut Asked<'_, '_>) -> Answer {
    let kind = match asked.fields.integer("flow_type")? {
        None | Some(0) => None,
        Some(kind @ 1..=5) => Some(kind),
        Some(_) => return Err(invalid("flow_type").into()),
    };
    let most = match asked.fields.integer("page_size")?.map(usize::try_from) {
        None => 100,
        Some(Ok(most @ 1..=1_000)) => most,
        Some(_) => return Err(invalid("page_size").into()),
    };
    let (from, to) = span(asked)?;
    let wanted = wanted(asked)?;
    let paper = &*asked.room.paper;
    let settled = settled_in(paper);
    let row = |(at, entry): &(crate::market::Timestamp, LedgerEntry)| {
        let (number, name) = flow(entry)?;
        let asset = paper.names().asset(entry.asset).filter(|asset| settled.contains(asset))?;
        let instrument = entry.instrument.and_then(|id| paper.names().instrument(id));
        // Money that comes in is of no contract; the rest is of one, or of spot.
        if number != 1 && instrument.is_none_or(|instrument| instrument.product == Product::Spot) {
            return None;
        }
        let fits = kind.is_none_or(|kind| kind == number)
            && wanted.is_none_or(|wanted| entry.instrument == Some(wanted))
            && (from..=to).contains(at)
            && !entry.amount.is_zero();
        fits.then(|| {
            json!({
                "symbol": instrument.map(|instrument| instrument.symbol.as_str()).unwrap_or_default(),
                "type": name,
                "flow_type": number,
                "amount": shape::plain(paper.names().decimal(entry.asset, entry.amount)),
                "asset": asset.as_str(),
                "account": "futures",
                "time": at.millis().to_string(),
                "tran_id": entry.entry.to_string(),
            })
        })
    };
    let rows = trader(asked)?.ledger().iter().rev().filter_map(row).take(most);
    Ok(Outcome::Data(Value::Array(rows.collect())))
}
