//! What an account has, what it traded, and what it pays.

use serde_json::{Value, json};

use super::public::{self, table};
use super::routes::{Answer, Asked, Outcome, Refusal, bad};
use super::row::Row;
use super::rows;
use crate::market::Asset;
use crate::paper::{PaperExchange, TraderView};
use crate::sim::{Cause, Owner};
use crate::venue::api::Account;

fn trader<'a>(asked: &'a Asked<'_, '_>) -> Result<&'a TraderView, Refusal> {
    asked.room.trader(asked.account()?).ok_or_else(|| Refusal::new(401, "Invalid API Key."))
}

/// The executions that traded. What else happens to orders is told on the socket as it happens.
pub(super) fn executions(asked: &mut Asked<'_, '_>) -> Answer {
    let trader = trader(asked)?;
    let (names, account) = (asked.room.paper.names(), asked.account()?);
    let wanted = asked.fields.text("symbol").map(str::to_ascii_uppercase);
    let from = asked.fields.time("startTime")?;
    let to = asked.fields.time("endTime")?;
    let rows = trader.fills().iter().filter_map(|row| {
        let fits = from.is_none_or(|from| row.at >= from) && to.is_none_or(|to| row.at <= to);
        let known = trader.order(row.number).filter(|_| fits)?;
        let id = rows::exec_id(row.fill.id);
        rows::execution(names, account, known, ("Trade", &id), Some(row))
    });
    let is_wanted = |row: &Row| {
        wanted.as_ref().is_none_or(|symbol| row.get("symbol") == Some(format!("\"{symbol}\"").as_str()))
    };
    let rows: Vec<Row> = rows.filter(is_wanted).collect();
    table(asked, rows, &["execID"], false)
}

/// There are no positions without a margin account.
pub(super) fn positions(_: &mut Asked<'_, '_>) -> Answer {
    Ok(Vec::<Row>::new().into())
}

pub(super) fn no_position(asked: &mut Asked<'_, '_>) -> Answer {
    public::named(asked)?;
    Err(bad("Market is not open"))
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

/// The assets that `currency` names, by their numbers; XBT where it does not.
fn chosen(asked: &Asked<'_, '_>) -> Result<(Vec<(u16, Asset)>, bool), Refusal> {
    let names = asked.room.paper.names();
    let all: Vec<(u16, Asset)> = (0_u16..).zip(names.assets().cloned()).collect();
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
    let trader = paper.trader(account.session);
    let row = |(index, asset): &(u16, Asset)| {
        let balance = trader.map(|trader| trader.balance(*index)).unwrap_or_default();
        rows::margin(paper.names(), account, (*index, asset), balance, paper.now())
    };
    assets.iter().map(row).collect()
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

/// Rows of the ledger that changed a balance, newest first.
pub(super) fn history(asked: &mut Asked<'_, '_>) -> Answer {
    let (assets, _) = chosen(asked)?;
    let account = asked.account()?.clone();
    let names = asked.room.paper.names();
    let ledger = trader(asked)?.ledger().iter();
    let rows = ledger.filter(|(_, row)| {
        row.owner == Owner::Account(account.id)
            && !row.amount.is_zero()
            && assets.iter().any(|(index, _)| *index == row.asset)
    });
    let rows = rows.filter_map(|(at, row)| {
        let (currency, scale) = rows::currency(names.asset(row.asset)?);
        let kind = match row.cause {
            Cause::Deposit => "Deposit",
            Cause::Trade => "SpotTrade",
            _ => "RealisedPNL",
        };
        let symbol = row.instrument.and_then(|id| names.instrument(id)).map(|one| one.symbol.as_str());
        let fee = if row.cause == Cause::Fee { -names.decimal(row.asset, row.amount) } else { 0.into() };
        Some(
            Row::new()
                .text("transactID", &format!("00000000-0077-1000-0000-{:012x}", row.entry))
                .plain("account", rows::account_number(account.id))
                .text("currency", &currency)
                .text("network", "")
                .text("transactType", kind)
                .number("amount", Some(rows::minor(names.decimal(row.asset, row.amount), scale)))
                .number("fee", Some(rows::minor(fee, scale)))
                .text("transactStatus", "Completed")
                .text("address", symbol.unwrap_or_default())
                .text("tx", "")
                .text("text", "")
                .time("transactTime", *at)
                .number(
                    "walletBalance",
                    Some(rows::minor(names.decimal(row.asset, row.balance_after), scale)),
                )
                .time("timestamp", *at),
        )
    });
    let rows: Vec<Row> = rows.collect();
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
        format!("{}:{}", Value::from(one.symbol.as_str()), row.json())
    });
    Ok(Outcome::Body(format!("{{{}}}", rows.collect::<Vec<String>>().join(","))))
}

/// The average a day of 30 days, in quote.
pub(super) fn volume(asked: &mut Asked<'_, '_>) -> Answer {
    let names = asked.room.paper.names();
    let month = asked.room.paper.now().minus(std::time::Duration::from_secs(30 * 86_400));
    let fills = trader(asked)?.fills().iter().filter(|row| row.at >= month);
    let sum: rust_decimal::Decimal =
        fills.map(|row| names.quote_decimal(row.fill.instrument, row.fill.quote)).sum();
    let average = (sum / rust_decimal::Decimal::from(30)).round_dp(8);
    Ok(vec![Row::new().number("advUsd", Some(average))].into())
}
