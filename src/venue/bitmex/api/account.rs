//! What an account has, what it traded, and what it pays.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::log::Happened;
use super::public::{self, table};
use super::routes::{Answer, Asked, Outcome, Refusal, bad};
use super::row::Row;
use super::rows::Standing;
use super::{positions, rows, worth};
use crate::market::{Asset, InstrumentId, Timestamp};
use crate::order::Money;
use crate::paper::{PaperExchange, TraderView};
use crate::sim::{Cause, LedgerEntry, PositionState};
use crate::venue::api::Account;

fn trader<'a>(asked: &'a Asked<'_, '_>) -> Result<&'a TraderView, Refusal> {
    asked.room.trader(asked.account()?).ok_or_else(|| Refusal::new(401, "Invalid API Key."))
}

/// Everything that happened to orders and positions.
pub(super) fn executions(asked: &mut Asked<'_, '_>) -> Answer {
    let account = asked.account()?;
    let own = asked.log.events().filter(|event| event.account == account.id);
    let rows = own.filter_map(|event| Some((event.at, rows::event(asked.room.paper, account, event)?)));
    narrowed(asked, rows.collect())
}

/// What changed a balance: trades, funding, liquidations.
pub(super) fn trades(asked: &mut Asked<'_, '_>) -> Answer {
    let (trader, paper, account) = (trader(asked)?, &*asked.room.paper, asked.account()?);
    let fills = trader.fills().iter().filter_map(|row| {
        let known = trader.order(row.number)?;
        let id = rows::exec_id(row.fill.id);
        Some((row.at, rows::execution(paper, account, known, ("Trade", &id), Some(row))?))
    });
    let mut all: Vec<(Timestamp, Row)> = fills.collect();
    let own = asked.log.events().filter(|event| event.account == account.id);
    let paid = own.filter(|event| matches!(event.what, Happened::Funding(_) | Happened::Liquidation(_)));
    all.extend(paid.filter_map(|event| Some((event.at, rows::event(paper, account, event)?))));
    all.sort_by_key(|(at, _)| *at);
    narrowed(asked, all)
}

/// Those of `symbol`, `startTime` and `endTime`.
fn narrowed(asked: &Asked<'_, '_>, rows: Vec<(Timestamp, Row)>) -> Answer {
    let wanted = match asked.fields.text("symbol") {
        Some(_) => Some(Value::from(public::named(asked.room.paper, asked.fields)?.1.symbol.as_str())),
        None => None,
    };
    let wanted = wanted.map(|symbol| symbol.to_string());
    let (from, to) = (asked.fields.time("startTime")?, asked.fields.time("endTime")?);
    let fits = |(at, row): &(Timestamp, Row)| {
        from.is_none_or(|from| *at >= from)
            && to.is_none_or(|to| *at <= to)
            && wanted.as_deref().is_none_or(|symbol| row.get("symbol") == Some(symbol))
    };
    let rows: Vec<Row> = rows.into_iter().filter(fits).map(|(_, row)| row).collect();
    table(asked, rows, &["execID"], false)
}

pub(super) fn forbidden(_: &mut Asked<'_, '_>) -> Answer {
    Err(Refusal::new(403, "Access Denied"))
}

pub(super) fn user(asked: &mut Asked<'_, '_>) -> Answer {
    let account = asked.account()?;
    Ok(Outcome::Body(
        json!({
            "id": rows::account_number(account.id),
            "username": account.name.as_str(),
            "accountName": account.name.as_str(),
            "isUser": true,
            "preferences": {},
            "TFAEnabled": "",
            "typ": "User",
        })
        .to_string(),
    ))
}

/// What an account can have, by its number: what only a contract is quoted in is no money.
pub(super) fn funds(paper: &PaperExchange) -> Vec<(u16, Asset)> {
    let all = (0_u16..).zip(paper.names().assets().cloned());
    all.filter(|(_, asset)| paper.sim().uses(asset)).collect()
}

/// The assets that `currency` names, by their numbers; XBT where it does not.
fn chosen(asked: &Asked<'_, '_>) -> Result<(Vec<(u16, Asset)>, bool), Refusal> {
    let all = funds(asked.room.paper);
    let wanted = asked.fields.text("currency").unwrap_or("XBt");
    if wanted == "all" {
        return Ok((all, true));
    }
    let one =
        all.into_iter().find(|(_, asset)| rows::currency(asset).0 == wanted || asset.as_str() == wanted);
    one.map(|one| (vec![one], false)).ok_or_else(|| bad("Invalid currency"))
}

fn one_or_all(mut rows: Vec<Row>, all: bool) -> Outcome {
    match rows.pop() {
        Some(row) if !all => row.into(),
        row => {
            rows.extend(row);
            rows.into()
        }
    }
}

pub(super) fn margin(asked: &mut Asked<'_, '_>) -> Answer {
    let (assets, all) = chosen(asked)?;
    let rows = margins(asked.room.paper, asked.account()?, &assets);
    Ok(one_or_all(rows, all))
}

/// The margin rows of an account.
pub(super) fn margins(paper: &PaperExchange, account: &Account, assets: &[(u16, Asset)]) -> Vec<Row> {
    let states = paper.positions(account.session);
    let row = |(index, asset): &(u16, Asset)| {
        rows::margin(account, asset, standing(paper, account, (*index, asset), &states), paper.now())
    };
    assets.iter().map(row).collect()
}

/// What an account has of one currency.
fn standing(
    paper: &PaperExchange,
    account: &Account,
    (index, asset): (u16, &Asset),
    states: &[PositionState],
) -> Standing {
    let (names, scale) = (paper.names(), rows::currency(asset).1);
    let balance = paper.trader(account.session).map(|trader| trader.balance(index)).unwrap_or_default();
    let of = |money: Money| rows::minor(names.decimal(index, money), scale);
    let own = || states.iter().filter(|state| state.settle == index);
    let sum = |part: fn(&PositionState) -> Money| of(own().map(part).sum());
    let available = paper.sim().available(account.id, index).max(Money::ZERO);
    // Rounded down: what is held is never free.
    let free = names.decimal(index, available).checked_mul(rows::power(scale)).unwrap_or_default().floor();
    let open = own().map(|state| positions::open_cost(paper, account, state)).sum();
    Standing {
        wallet: of(balance.total),
        free,
        unrealised: sum(|state| state.unrealised),
        realised: sum(|state| state.realised - state.fees - state.funding),
        positions: sum(positions::takes),
        value: sum(|state| state.value),
        open,
    }
}

/// The wallet rows of an account.
pub(super) fn wallets(paper: &PaperExchange, account: &Account, assets: &[(u16, Asset)]) -> Vec<Row> {
    let names = paper.names();
    let trader = paper.trader(account.session);
    let row = |(index, asset): &(u16, Asset)| {
        let balance = trader.map(|trader| trader.balance(*index)).unwrap_or_default();
        let ledger = trader.map(TraderView::ledger).unwrap_or_default();
        let deposits = ledger.iter().filter(|(_, row)| row.asset == *index && row.cause == Cause::Deposit);
        let deposited = deposits.map(|(_, row)| row.amount).sum();
        let (total, deposited) = (names.decimal(*index, balance.total), names.decimal(*index, deposited));
        rows::wallet(account, asset, total, deposited, paper.now())
    };
    assets.iter().map(row).collect()
}

pub(super) fn wallet(asked: &mut Asked<'_, '_>) -> Answer {
    let (assets, all) = chosen(asked)?;
    let rows = wallets(asked.room.paper, asked.account()?, &assets);
    Ok(one_or_all(rows, all))
}

/// A change of a balance: all rows of one transaction in one currency.
struct Booked<'a> {
    at: Timestamp,
    last: &'a LedgerEntry,
    amount: Money,
    fee: Money,
    kind: &'static str,
}

/// What changed the balances of an account, oldest first.
fn booked<'a>(trader: &'a TraderView, assets: &[(u16, Asset)], paper: &PaperExchange) -> Vec<Booked<'a>> {
    let mut all: Vec<Booked<'a>> = Vec::new();
    let mut places: BTreeMap<(u64, u16), usize> = BTreeMap::new();
    for (at, row) in trader.ledger() {
        if row.amount.is_zero() || !assets.iter().any(|(index, _)| *index == row.asset) {
            continue;
        }
        let contract = row.instrument.is_some_and(|id| worth::terms(paper, id).is_some());
        let kind = match row.cause {
            Cause::Deposit if row.amount.0 < 0 => "Withdrawal",
            Cause::Deposit => "Deposit",
            Cause::Funding => "Funding",
            _ if contract => "RealisedPNL",
            _ => "SpotTrade",
        };
        let place = *places.entry((row.transaction, row.asset)).or_insert(all.len());
        if place == all.len() {
            all.push(Booked { at: *at, last: row, amount: Money::ZERO, fee: Money::ZERO, kind });
        }
        let one = &mut all[place];
        one.last = row;
        one.amount += row.amount;
        if matches!(row.cause, Cause::Fee | Cause::Funding) {
            one.fee -= row.amount;
        }
    }
    all
}

/// What changed the balances, newest first; before that what positions have gained and nobody has booked.
pub(super) fn history(asked: &mut Asked<'_, '_>) -> Answer {
    let (assets, _) = chosen(asked)?;
    let account = asked.account()?.clone();
    let (paper, trader) = (&*asked.room.paper, trader(asked)?);
    let names = paper.names();
    // What changed is the difference of two balances as they are shown: rows have to add up to the wallet.
    let row = |asset: u16, id: &str, kind: &str, [before, after, fee]: [Money; 3]| {
        let (currency, scale) = rows::currency(names.asset(asset)?);
        let of = move |money: Money| Some(rows::minor(names.decimal(asset, money), scale));
        let amount = of(after).zip(of(before)).map(|(after, before)| after - before);
        let row = Row::new()
            .text("transactID", id)
            .plain("account", rows::account_number(account.id))
            .text("currency", &currency)
            .text("network", "")
            .text("transactType", kind);
        Some((row.number("amount", amount).number("fee", of(fee)), of))
    };
    let symbol = |id: Option<InstrumentId>| {
        id.and_then(|id| names.instrument(id)).map_or("", |one| one.symbol.as_str())
    };
    let mut rows = Vec::new();
    for Booked { at, last, amount, fee, kind } in booked(trader, &assets, paper) {
        let id = format!("00000000-0077-1000-0000-{:012x}", last.entry);
        let moved = [last.balance_after - amount, last.balance_after, fee];
        let Some((row, of)) = row(last.asset, &id, kind, moved) else { continue };
        rows.push(
            row.text("transactStatus", "Completed")
                .text("address", symbol(last.instrument))
                .text("tx", "")
                .text("orderID", &if last.order.0 == 0 { String::new() } else { rows::order_id(last.order) })
                .text("text", if last.cause == Cause::Liquidation { "Liquidation" } else { "" })
                .time("transactTime", at)
                .number("walletBalance", of(last.balance_after))
                .plain("marginBalance", "null")
                .time("timestamp", at),
        );
    }
    for state in paper.positions(account.session).iter().filter(|state| !state.qty.is_zero()) {
        let (id, kind) = ("00000000-0000-0000-0000-000000000000", "UnrealisedPNL");
        let wanted = assets.iter().any(|(index, _)| *index == state.settle);
        let row =
            row(state.settle, id, kind, [Money::ZERO, state.unrealised, Money::ZERO]).filter(|_| wanted);
        let Some((row, of)) = row else { continue };
        let total = trader.balance(state.settle).total;
        rows.push(
            row.text("transactStatus", "Pending")
                .text("address", symbol(Some(state.instrument)))
                .text("tx", "")
                .text("orderID", "")
                .text("text", "")
                .plain("transactTime", "null")
                .number("walletBalance", of(total))
                .number("marginBalance", of(total + state.unrealised))
                .time("timestamp", paper.now()),
        );
    }
    table(asked, rows, &["transactID"], true)
}

pub(super) fn summary(asked: &mut Asked<'_, '_>) -> Answer {
    let (assets, _) = chosen(asked)?;
    let rows = wallets(asked.room.paper, asked.account()?, &assets);
    let total = rows.iter().map(|row| {
        Row::new()
            .plain("account", row.get("account").unwrap_or("0"))
            .plain("currency", row.get("currency").unwrap_or("\"\""))
            .text("transactType", "Total")
            .text("symbol", "")
            .plain("amount", row.get("amount").unwrap_or("0"))
            .plain("walletBalance", row.get("amount").unwrap_or("0"))
    });
    Ok(total.collect::<Vec<Row>>().into())
}

pub(super) fn commission(asked: &mut Asked<'_, '_>) -> Answer {
    let account = asked.account()?.id;
    let paper = &*asked.room.paper;
    let rows = public::all(paper).map(|(id, one)| {
        let (maker, taker) = paper.sim().fee_rates(account, id);
        let row = Row::new()
            .number("maxFee", Some(maker.max(taker).to_decimal()))
            .number("makerFee", Some(maker.to_decimal()))
            .number("takerFee", Some(taker.to_decimal()))
            .plain("settlementFee", 0);
        format!("{}:{}", Value::from(one.symbol.as_str()), row.into_json())
    });
    Ok(Outcome::Body(format!("{{{}}}", rows.collect::<Vec<String>>().join(","))))
}

/// The average a day of 30 days, in quote.
pub(super) fn volume(asked: &mut Asked<'_, '_>) -> Answer {
    let names = asked.room.paper.names();
    let month = asked.room.paper.now().minus(std::time::Duration::from_secs(30 * 86_400));
    let trader = trader(asked)?;
    let fills = trader.fills().iter().map(|row| (row.at, row.fill.instrument, row.fill.quote));
    let month = fills.chain(trader.forgotten_volumes()).filter(|(at, _, _)| *at >= month);
    let sum: rust_decimal::Decimal = month.map(|(_, id, quote)| names.quote_decimal(id, quote)).sum();
    let average = (sum / rust_decimal::Decimal::from(30)).round_dp(8);
    Ok(vec![Row::new().number("advUsd", Some(average))].into())
}
