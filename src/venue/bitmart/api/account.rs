//! What an account has, and what it pays.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::public;
use super::reply::error;
use super::routes::{Answer, Asked, Outcome};
use super::shape::money_text;
use crate::market::Asset;
use crate::venue::NativeError;

/// What an account has of each asset that is traded here: available and frozen.
fn balances(asked: &Asked<'_, '_>) -> Result<Vec<(Asset, Decimal, Decimal)>, NativeError> {
    let account = asked.account()?;
    let paper = &*asked.room.paper;
    let names = paper.names();
    let trader = asked.room.trader(account);
    let one = |asset: &Asset| {
        let index = names.asset_index(asset)?;
        let balance = trader.map(|trader| trader.balance(index)).unwrap_or_default();
        let (available, held) =
            (names.decimal(index, balance.available()), names.decimal(index, balance.held));
        Some((asset.clone(), available, held))
    };
    Ok(public::assets(paper).into_iter().filter_map(one).collect())
}

pub(super) fn wallet(asked: &mut Asked<'_, '_>) -> Answer {
    let one = |(asset, available, frozen): (Asset, Decimal, Decimal)| {
        json!({
            "id": asset.as_str(),
            "available": money_text(available),
            "name": asset.as_str(),
            "frozen": money_text(frozen),
        })
    };
    let all: Vec<Value> = balances(asked)?.into_iter().map(one).collect();
    Ok(Outcome::Data(json!({ "wallet": all })))
}

pub(super) fn account_wallet(asked: &mut Asked<'_, '_>) -> Answer {
    let wanted = asked.fields.first(&["currency"])?;
    let is_there = |(asset, available, frozen): &(Asset, Decimal, Decimal)| {
        wanted.as_deref().is_none_or(|wanted| wanted == asset.as_str())
            && !(available.is_zero() && frozen.is_zero())
    };
    let one = |(asset, available, frozen): (Asset, Decimal, Decimal)| {
        json!({
            "currency": asset.as_str(),
            "name": asset.as_str(),
            "available": money_text(available),
            "available_usd_valuation": "",
            "frozen": money_text(frozen),
            "unAvailable": money_text(frozen),
        })
    };
    let all: Vec<Value> = balances(asked)?.into_iter().filter(is_there).map(one).collect();
    Ok(Outcome::Data(json!({ "wallet": all })))
}

pub(super) fn trade_fee(asked: &mut Asked<'_, '_>) -> Answer {
    let symbol = asked.fields.needed("symbol")?;
    let found = public::find(asked.room.paper, &symbol);
    let (id, instrument) = found.ok_or_else(|| error(400, 50_001, "Symbol not found"))?;
    let (maker, taker) = asked.room.paper.sim().fee_rates(asked.account()?.id, id);
    let (maker, taker) = (maker.to_decimal().to_string(), taker.to_decimal().to_string());
    Ok(Outcome::Data(json!({
        "symbol": instrument.symbol,
        // The names of the futures' reply, which clients read here too.
        "maker_fee_rate": maker,
        "taker_fee_rate": taker,
        "buy_taker_fee_rate": taker,
        "sell_taker_fee_rate": taker,
        "buy_maker_fee_rate": maker,
        "sell_maker_fee_rate": maker,
    })))
}

/// Classes are told apart by pair on the real exchange; here every class has the rates of the first pair.
pub(super) fn user_fee(asked: &mut Asked<'_, '_>) -> Answer {
    let account = asked.account()?.id;
    let first = public::spot(asked.room.paper).next().map(|(id, _)| id).unwrap_or_default();
    let (maker, taker) = asked.room.paper.sim().fee_rates(account, first);
    let mut data = serde_json::Map::new();
    data.insert("user_rate_type".into(), 0.into());
    data.insert("level".into(), "LV1".into());
    for class in ["A", "B", "C", "D"] {
        data.insert(format!("taker_fee_rate_{class}"), taker.to_decimal().to_string().into());
        data.insert(format!("maker_fee_rate_{class}"), maker.to_decimal().to_string().into());
    }
    Ok(Outcome::Data(Value::Object(data)))
}

/// What moves money in or out, and margin: a paper key has no permission for it.
pub(super) fn no_permission(_: &mut Asked<'_, '_>) -> Answer {
    Err(error(200, 30_019, "You do not have the permissions to perform this operation.").into())
}
