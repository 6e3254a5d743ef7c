//! What the control interface changes: the clock, accounts, balances.

use std::sync::Arc;
use std::time::Duration;

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{Answer, Asked, looks, wrong};
use crate::gateway::Gateway;
use crate::gateway::hall::{Hall, Moved};
use crate::market::{Asset, Timestamp};
use crate::order::{AccountId, Money, SessionId};
use crate::paper::{Keep, Pace, PaperExchange};
use crate::sim::Admin;
use crate::venue::api::{Account, Key};

/// Where the clock is.
pub(super) fn clock_state(gateway: &Gateway) -> Value {
    let (pace, paused) = gateway.clock.state();
    let now = gateway.halls.first().map(|hall| hall.paper().now());
    json!({
        "speed": pace.to_string(),
        "paused": paused,
        "now_ns": now.unwrap_or_default().nanos(),
        "elapsed_ns": looks::elapsed(gateway),
    })
}

/// A number of the body that is whole and not negative.
fn count(body: &Value, name: &str) -> Result<Option<u64>, (u16, String)> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            value.as_u64().map(Some).ok_or_else(|| wrong(format!("{name} must be a whole number, 0 or more")))
        }
    }
}

fn flag(body: &Value, name: &str) -> Result<Option<bool>, (u16, String)> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            value.as_bool().map(Some).ok_or_else(|| wrong(format!("{name} must be true or false")))
        }
    }
}

fn text(body: &Value, name: &str) -> Result<Option<String>, (u16, String)> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(_) => Err(wrong(format!("{name} must be a text"))),
    }
}

fn needed(body: &Value, name: &str) -> Result<String, (u16, String)> {
    text(body, name)?.ok_or_else(|| wrong(format!("{name} is missing")))
}

const KNOWN: [&str; 5] = ["speed", "paused", "advance_ms", "advance_messages", "until"];
/// No step is longer: a month of market time.
const LONGEST_MS: u64 = 31 * 24 * 3_600_000;

/// Changes the clock, or moves the market and stands still: lock-step. The answer to a move comes when all that follows
/// from it has happened and is on its way to every socket.
pub(super) async fn move_clock(asked: &Asked<'_>) -> Answer {
    let gateway = asked.gateway;
    let body = &asked.body;
    let fields = body.as_object().ok_or_else(|| wrong("the body must be an object"))?;
    if gateway.clock.is_followed() && !fields.is_empty() {
        let who = if gateway.clock.is_live() {
            "a live market moves by itself"
        } else {
            "the shell beside moves this market"
        };
        return Err(wrong(who));
    }
    if let Some(unknown) = fields.keys().find(|name| !KNOWN.contains(&name.as_str())) {
        return Err(wrong(format!("{unknown} is not known; try {}", KNOWN.join(", "))));
    }
    let pace = text(body, "speed")?.map(|text| text.parse::<Pace>().map_err(wrong)).transpose()?;
    let paused = flag(body, "paused")?;
    let ms = count(body, "advance_ms")?;
    let messages = count(body, "advance_messages")?;
    let until = text(body, "until")?.map(|text| text.parse::<Timestamp>()).transpose();
    let until = until.map_err(|error| wrong(error.to_string()))?;
    if [ms.is_some(), messages.is_some(), until.is_some()].iter().filter(|there| **there).count() > 1 {
        return Err(wrong("one of advance_ms, advance_messages, until"));
    }
    let by = match (ms, until) {
        (Some(ms), _) if ms > LONGEST_MS => return Err(wrong(format!("advance_ms is at most {LONGEST_MS}"))),
        (Some(ms), _) => Some(Duration::from_millis(ms)),
        (None, Some(until)) => {
            let now = gateway.halls.first().map(|hall| hall.paper().now()).unwrap_or_default();
            let nanos = u64::try_from(until.nanos_since(now)).map_err(|_| wrong("until is in the past"))?;
            let by = Duration::from_nanos(nanos);
            if by > Duration::from_millis(LONGEST_MS) {
                return Err(wrong("until is more than a month ahead"));
            }
            Some(by)
        }
        (None, None) => None,
    };
    // All of it has been understood: now it happens.
    if pace.is_some() || paused.is_some() {
        gateway.clock.set(pace, paused, &gateway.halls);
    }
    let moved = match (by, messages) {
        (Some(by), _) => blocking(gateway, move |gateway| gateway.clock.advance(by, &gateway.halls)).await?,
        (None, Some(messages)) => {
            blocking(gateway, move |gateway| gateway.clock.step(messages, &gateway.halls)).await?
        }
        (None, None) => Moved::default(),
    };
    if let Some(failure) = gateway.halls.iter().find_map(Hall::failure) {
        return Err((500, failure));
    }
    let mut answer = clock_state(gateway);
    if let Value::Object(fields) = &mut answer {
        fields.insert("state_hash".into(), looks::hash(gateway).into());
        fields.insert("messages".into(), moved.messages.into());
        fields.insert("updates".into(), moved.updates.into());
    }
    Ok(answer)
}

/// Playing a market takes its time: not on the threads that answer others.
async fn blocking(
    gateway: &Arc<Gateway>,
    work: impl FnOnce(&Gateway) -> Moved + Send + 'static,
) -> Result<Moved, (u16, String)> {
    let gateway = Arc::clone(gateway);
    let done = tokio::task::spawn_blocking(move || work(&gateway)).await;
    done.map_err(|error| (500, error.to_string()))
}

/// Amounts by asset, in the exchange's numbers; assets that it does not trade are refused.
fn amounts(paper: &PaperExchange, given: &Value) -> Result<Vec<(u16, Money)>, String> {
    let Some(given) = given.as_object() else { return Err("balances: {\"ASSET\": \"AMOUNT\"}".to_owned()) };
    let names = paper.names();
    let amount = |(asset, amount): (&String, &Value)| {
        let text = match amount {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let amount = Decimal::from_str_exact(&text).ok();
        let amount = amount.filter(|amount| amount.abs() <= Decimal::from(1_000_000_000_000_u64));
        let amount = amount.ok_or_else(|| format!("{asset}: {text:?} is no amount"))?;
        let index = names.asset_index(&Asset::new(asset));
        let index = index.ok_or_else(|| format!("{asset} is not traded here"))?;
        let money = names.money(index, amount);
        Ok((index, money.ok_or_else(|| format!("{asset}: {text} has too many decimals"))?))
    };
    given.iter().map(amount).collect()
}

/// The exchanges that a request is about: the one that `mount` names, else all.
fn halls<'a>(asked: &'a Asked<'_>) -> Result<Vec<&'a Hall>, (u16, String)> {
    let wanted = text(&asked.body, "mount")?;
    let halls = &asked.gateway.halls;
    match wanted {
        None => Ok(halls.iter().collect()),
        Some(wanted) => {
            let found = halls.iter().find(|hall| hall.name == wanted.trim_start_matches('/'));
            found.map(|hall| vec![hall]).ok_or_else(|| wrong(format!("no mount {wanted:?}")))
        }
    }
}

/// Opens an account with its key on each exchange.
pub(super) fn open_account(asked: &Asked<'_>) -> Answer {
    let name = needed(&asked.body, "account")?;
    if name.is_empty() || name.len() > 64 {
        return Err(wrong("account: 1 to 64 characters"));
    }
    let field = |field: &str| {
        Ok::<String, (u16, String)>(text(&asked.body, field)?.unwrap_or_else(|| format!("{name}-{field}")))
    };
    let (key, secret, passphrase) = (field("key")?, field("secret")?, field("passphrase")?);
    let balances = asked.body.get("balances").cloned().unwrap_or_else(|| json!({}));
    let halls = halls(asked)?;
    let _one_at_a_time = asked.gateway.changes.lock();
    // What cannot be is found before anything is changed, here and below.
    for hall in &halls {
        let taken = |access: &mut crate::venue::api::Access, paper: &mut PaperExchange| {
            if access.accounts.iter().any(|account| account.name == name) {
                return Err(format!("account {name:?} is there already"));
            }
            if access.key(&key).is_some() {
                return Err(format!("key {key:?} is there already"));
            }
            amounts(paper, &balances).map(|_| ())
        };
        hall.change_access(taken).map_err(wrong)?;
    }
    for hall in &halls {
        let open = |access: &mut crate::venue::api::Access, paper: &mut PaperExchange| {
            let deposits = amounts(paper, &balances)?;
            let number = u32::try_from(access.accounts.len() + 1).map_err(|error| error.to_string())?;
            let account =
                Account { name: name.as_str().into(), id: AccountId(number), session: SessionId(number) };
            paper.open_account(account.id, account.session, &deposits).map_err(|error| error.to_string())?;
            paper.serve(account.session, Keep::SERVED);
            access.accounts.push(account);
            access.keys.push(Key {
                key: key.clone(),
                secret: secret.clone(),
                passphrase: passphrase.clone(),
                account: access.accounts.len() - 1,
            });
            Ok(())
        };
        hall.change_access(open).map_err(wrong)?;
    }
    Ok(json!({ "account": name, "key": key, "secret": secret, "passphrase": passphrase }))
}

fn account_of(access: &crate::venue::api::Access, name: &str) -> Result<Account, String> {
    let found = access.accounts.iter().find(|account| account.name == name);
    found.cloned().ok_or_else(|| format!("no account {name:?}"))
}

/// Gives an account money, or takes it where the amount is negative.
pub(super) fn deposit(asked: &Asked<'_>) -> Answer {
    let name = needed(&asked.body, "account")?;
    let amount = json!({ needed(&asked.body, "asset")?: needed(&asked.body, "amount")? });
    let halls = halls(asked)?;
    let _one_at_a_time = asked.gateway.changes.lock();
    for hall in &halls {
        let known = |access: &mut crate::venue::api::Access, paper: &mut PaperExchange| {
            account_of(access, &name).and_then(|_| amounts(paper, &amount))
        };
        hall.change_access(known).map_err(wrong)?;
    }
    for hall in &halls {
        let give = |access: &mut crate::venue::api::Access, paper: &mut PaperExchange| {
            let account = account_of(access, &name)?;
            for (asset, amount) in amounts(paper, &amount)? {
                let admin = Admin::Deposit { account: account.id, asset, amount };
                paper.admin(admin).map_err(|error| error.to_string())?;
            }
            Ok(())
        };
        hall.change_access(give).map_err(wrong)?;
    }
    Ok(looks::accounts(asked.gateway))
}

/// Cancels what an account has open, ends its positions and gives it these balances; assets that are not named are left
/// with nothing.
pub(super) fn reset(asked: &Asked<'_>) -> Answer {
    let name = needed(&asked.body, "account")?;
    let balances = asked.body.get("balances").cloned().unwrap_or_else(|| json!({}));
    let halls = halls(asked)?;
    let _one_at_a_time = asked.gateway.changes.lock();
    let wanted = |paper: &PaperExchange| {
        let wanted = amounts(paper, &balances)?;
        match wanted.iter().any(|(_, amount)| *amount < Money::ZERO) {
            true => Err("balances: an amount is negative".to_owned()),
            false => Ok(wanted),
        }
    };
    for hall in &halls {
        let known = |access: &mut crate::venue::api::Access, paper: &mut PaperExchange| {
            account_of(access, &name).and_then(|_| wanted(paper))
        };
        hall.change_access(known).map_err(wrong)?;
    }
    for hall in &halls {
        let reset = |access: &mut crate::venue::api::Access, paper: &mut PaperExchange| {
            let account = account_of(access, &name)?;
            let wanted = wanted(paper)?;
            let failed = |error: crate::paper::PaperError| error.to_string();
            paper.admin(Admin::EndSession(account.id)).map_err(failed)?;
            paper.admin(Admin::Flatten(account.id)).map_err(failed)?;
            let assets = u16::try_from(paper.names().assets().count()).unwrap_or(u16::MAX);
            for asset in 0..assets {
                let there = paper.sim().balance(account.id, asset).total;
                let goal = wanted.iter().find(|(wanted, _)| *wanted == asset).map(|(_, amount)| *amount);
                let amount = goal.unwrap_or(Money::ZERO) - there;
                if !amount.is_zero() {
                    paper.admin(Admin::Deposit { account: account.id, asset, amount }).map_err(failed)?;
                }
            }
            Ok(())
        };
        hall.change_access(reset).map_err(wrong)?;
    }
    Ok(looks::accounts(asked.gateway))
}
