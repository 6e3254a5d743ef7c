//! Paper accounts as JSON files, one an account, written whole at each change.
//!
//! `DIR/accounts/<connector>/<name>.json` holds balances, positions and open orders as exact decimals. It is written beside
//! itself, synced and renamed, so that a killed process leaves the last whole state. A file that cannot be read is
//! an error that names it; it is never overwritten.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::view::{order_type, trade_type};
use super::{Dictionary, Journal, JournalError, special_of};
use crate::connector::{CallbackRate, OrderRequest, OrderType, PositionAction, Special, TradeType};
use crate::market::{Asset, Pair, Product, Timestamp};
use crate::order::{
    AccountId, ClientOrderId, MarginMode, OrderId, PositionEffect, PositionSide, TimeInForce, TriggerBy,
    TriggerKind,
};
use crate::sim::{OrderEvent, OrderState, Owner, PositionState, Update, UpdateBody};

/// What stands at the top of each file.
const FORMAT: &str = "papertape account";
/// The version of the format that is written.
const VERSION: u32 = 1;

/// A paper account between sessions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AccountFile {
    /// `papertape account`.
    pub format: String,
    /// Of the format: 1.
    pub version: u32,
    /// Which connector.
    pub connector: String,
    /// Its name.
    pub account: String,
    /// How many sessions it has had.
    pub session: u64,
    /// Market time of the last change.
    pub market_time: Timestamp,
    /// The pairs of the last session.
    pub pairs: Vec<Pair>,
    /// What it has of each asset.
    pub balances: BTreeMap<Asset, Decimal>,
    /// What is held of it for open orders; nothing is held once the orders are gone.
    pub held: BTreeMap<Asset, Decimal>,
    /// Its open orders, oldest first.
    pub open_orders: Vec<KeptOrder>,
    /// Its positions in contracts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub positions: Vec<KeptPosition>,
    /// How many fills it has had in all its sessions.
    pub fills: u64,
}

/// A position between sessions. Money is in what the contract settles in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptPosition {
    /// In what.
    pub pair: Pair,
    /// Which of the account's positions in it.
    pub side: PositionSide,
    /// Contracts or base, as the venue counts; negative for shorts.
    pub amount: Decimal,
    /// What it cost: positive for longs, negative for shorts; the other way round where the contract is inverse.
    pub cost: Decimal,
    /// What is put aside for it (isolated).
    pub assigned: Decimal,
    /// What closing has gained since it was last flat.
    pub realised: Decimal,
    /// Fees paid since then.
    pub fees: Decimal,
    /// Funding paid since then, negative where received.
    pub funding: Decimal,
    /// What stands behind it.
    pub margin: MarginMode,
    /// How many times its margin it may be worth.
    pub leverage: Decimal,
}

/// An open order between sessions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptOrder {
    /// Its client id.
    pub client_id: ClientOrderId,
    /// The exchange's symbol, of a contract: spot may have the same pair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symbol: Option<SmolStr>,
    /// What.
    pub pair: Pair,
    /// Buy or sell.
    pub side: TradeType,
    /// How it meets the book.
    pub order_type: OrderType,
    /// Its limit.
    pub price: Option<Decimal>,
    /// The whole amount.
    pub amount: Decimal,
    /// What has filled.
    pub filled: Decimal,
    /// How long it lives.
    pub tif: TimeInForce,
    /// What it waits for.
    pub trigger: Option<(TriggerKind, Decimal, TriggerBy)>,
    /// Whether it opens or closes a position.
    #[serde(default, skip_serializing_if = "is_net")]
    pub effect: PositionEffect,
    /// How much of it is shown at a time (iceberg).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display: Option<Decimal>,
    /// How far its trigger stays behind the market (trailing stop).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trail: Option<Decimal>,
    /// Which share of the price its trigger stays behind the best price. One that has begun begins anew, from the first
    /// price of the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback: Option<CallbackRate>,
    /// Whether it closes the whole position.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub whole: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
fn is_net(effect: &PositionEffect) -> bool {
    *effect == PositionEffect::Net
}

impl KeptOrder {
    /// What is left of it as a new order.
    pub fn request(&self) -> OrderRequest {
        let left = self.amount - self.filled;
        OrderRequest {
            time_in_force: self.tif,
            trigger: self.trigger,
            quantize: false,
            position: match self.effect {
                PositionEffect::Net => PositionAction::Nil,
                PositionEffect::Open => PositionAction::Open,
                PositionEffect::Close => PositionAction::Close,
            },
            special: Special {
                display: self.display,
                trail: self.trail,
                callback: self.callback,
                whole: self.whole,
            },
            ..OrderRequest::new(self.side, self.pair.clone(), left, self.order_type, self.price)
        }
    }
}

impl AccountFile {
    /// An account that has never been used.
    pub fn new(connector: &str, account: &str) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            connector: connector.to_owned(),
            account: account.to_owned(),
            session: 0,
            market_time: Timestamp::default(),
            pairs: Vec::new(),
            balances: BTreeMap::new(),
            held: BTreeMap::new(),
            open_orders: Vec::new(),
            positions: Vec::new(),
            fills: 0,
        }
    }

    /// Reads one file; `None` where there is none.
    pub fn read(path: &Path) -> Result<Option<Self>, JournalError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(JournalError(format!("{}: {error}", path.display()))),
        };
        let file: Self = serde_json::from_str(&text).map_err(|error| damaged(path, &error.to_string()))?;
        if file.format != FORMAT || file.version != VERSION {
            let found = format!("it is {:?} version {}", file.format, file.version);
            return Err(damaged(path, &found));
        }
        Ok(Some(file))
    }

    /// Writes it whole: beside itself, synced, renamed.
    pub fn write(&self, path: &Path) -> Result<(), JournalError> {
        let fail =
            |error: std::io::Error| JournalError(format!("{}: cannot be written: {error}", path.display()));
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(fail)?;
        let text = serde_json::to_string_pretty(self).map_err(|error| fail(error.into()))?;
        let beside = path.with_extension("json.new");
        let mut file = File::create(&beside).map_err(fail)?;
        file.write_all(text.as_bytes()).and_then(|()| file.write_all(b"\n")).map_err(fail)?;
        file.sync_all().map_err(fail)?;
        fs::rename(&beside, path).map_err(fail)?;
        // The rename itself is durable once its folder is; some platforms cannot sync a folder.
        if let Ok(folder) = File::open(folder) {
            let _ = folder.sync_all();
        }
        Ok(())
    }
}

fn damaged(path: &Path, what: &str) -> JournalError {
    let path = path.display();
    JournalError(format!(
        "{path}: not a paper account that can be read: {what}; mend it, or move it away to start anew"
    ))
}

/// The folder of all paper accounts.
#[derive(Clone, Debug)]
pub struct AccountFolder {
    root: PathBuf,
}

impl AccountFolder {
    /// The accounts kept under this folder.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Where an account is kept; refused where the name would leave the folder.
    pub fn path(&self, connector: &str, account: &str) -> Result<PathBuf, JournalError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if account.is_empty()
            || account.starts_with('.')
            || account.len() > 100
            || !account.chars().all(plain)
        {
            return Err(JournalError(format!(
                "not an account name: {account:?} (letters, digits, '_', '-' and '.', not first)"
            )));
        }
        Ok(self.root.join(connector).join(format!("{account}.json")))
    }

    /// All accounts that are kept, by connector and name; those that cannot be read as errors.
    pub fn list(&self) -> Vec<Result<(PathBuf, AccountFile), JournalError>> {
        let mut found = Vec::new();
        for connector in sorted(&self.root) {
            for path in sorted(&connector) {
                if path.extension().is_some_and(|extension| extension == "json") {
                    match AccountFile::read(&path) {
                        Ok(Some(file)) => found.push(Ok((path, file))),
                        Ok(None) => {}
                        Err(error) => found.push(Err(error)),
                    }
                }
            }
        }
        found
    }
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    paths.sort();
    paths
}

/// Keeps one account in its file while it is used. Another session of the same account is refused meanwhile.
pub struct SnapshotJournal {
    path: PathBuf,
    file: AccountFile,
    account: AccountId,
    names: Arc<Dictionary>,
    open: BTreeMap<OrderId, KeptOrder>,
    /// Open orders of the session before that have not rejoined yet.
    rejoining: Vec<KeptOrder>,
    changed: bool,
    _lock: AccountLock,
}

/// Held while an account is in use.
pub struct AccountLock(#[allow(dead_code, reason = "the lock lives as long as its file is open")] File);

impl AccountLock {
    /// Takes the lock of the account at `path`, or says that it is in use.
    pub fn take(path: &Path) -> Result<Self, JournalError> {
        let fail = |error: std::io::Error| JournalError(format!("{}: {error}", path.display()));
        fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).map_err(fail)?;
        let lock = path.with_extension("lock");
        let file = File::options().create(true).truncate(false).write(true).open(lock).map_err(fail)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(fs::TryLockError::WouldBlock) => Err(JournalError(format!(
                "{}: another session uses this account; use --account NAME for a second one",
                path.display()
            ))),
            // A file system without locks keeps accounts all the same.
            Err(fs::TryLockError::Error(_)) => Ok(Self(file)),
        }
    }
}

impl SnapshotJournal {
    /// Keeps `file` at `path` from now on.
    pub fn new(
        path: PathBuf,
        lock: AccountLock,
        file: AccountFile,
        account: AccountId,
        names: Arc<Dictionary>,
    ) -> Self {
        let rejoining = file.open_orders.clone();
        Self { path, file, account, names, open: BTreeMap::new(), rejoining, changed: true, _lock: lock }
    }

    fn see_order(&mut self, event: OrderEvent, state: &OrderState) {
        if event == OrderEvent::AtTheDoor {
            return;
        }
        self.changed = true;
        self.rejoining.retain(|kept| Some(&kept.client_id) != state.client_id.as_ref());
        if state.status.is_done() {
            self.open.remove(&state.id);
        } else if let Some(kept) = self.kept(state) {
            self.open.insert(state.id, kept);
        }
    }

    fn see_position(&mut self, state: &PositionState) {
        let Some(instrument) = self.names.instrument(state.instrument) else { return };
        let pair = instrument.pair.clone();
        // A mode has its own positions: those of the other one are gone.
        let same = |kept: &KeptPosition| {
            kept.pair == pair
                && (kept.side == state.side
                    || (kept.side == PositionSide::Net) != (state.side == PositionSide::Net))
        };
        self.changed = true;
        self.file.positions.retain(|kept| !same(kept));
        if state.qty.is_zero() {
            return;
        }
        let money = |money| self.names.decimal(state.settle, money);
        let isolated = state.margin == MarginMode::Isolated;
        self.file.positions.push(KeptPosition {
            pair,
            side: state.side,
            amount: instrument.qty_decimal(state.qty),
            cost: money(state.cost),
            assigned: if isolated { money(state.assigned) } else { Decimal::ZERO },
            realised: money(state.realised),
            fees: money(state.fees),
            funding: money(state.funding),
            margin: state.margin,
            leverage: state.leverage.to_decimal(),
        });
    }

    fn kept(&self, state: &OrderState) -> Option<KeptOrder> {
        let instrument = self.names.instrument(state.instrument)?;
        let special = special_of(state, instrument);
        Some(KeptOrder {
            client_id: state.client_id.clone()?,
            symbol: (instrument.product != Product::Spot).then(|| instrument.symbol.clone()),
            pair: instrument.pair.clone(),
            side: trade_type(state.side),
            order_type: order_type(state.kind),
            price: state.price.map(|price| instrument.price_decimal(price)),
            amount: instrument.qty_decimal(state.qty),
            filled: instrument.qty_decimal(state.filled),
            tif: state.tif,
            effect: state.effect(),
            display: special.display,
            trail: special.trail,
            callback: special.callback,
            whole: special.whole,
            trigger: state
                .trigger()
                .filter(|_| state.status == crate::order::OrderStatus::Waiting)
                .map(|trigger| (trigger.kind, instrument.price_decimal(trigger.price), trigger.by)),
        })
    }
}

impl Journal for SnapshotJournal {
    fn record(&mut self, updates: &[Update]) {
        for update in updates {
            match &update.body {
                UpdateBody::Ledger(row) if row.owner == Owner::Account(self.account) => {
                    if let Some(asset) = self.names.asset(row.asset) {
                        let balance = self.names.decimal(row.asset, row.balance_after);
                        let held = self.names.decimal(row.asset, row.hold_after);
                        self.file.balances.insert(asset.clone(), balance);
                        if held.is_zero() {
                            self.file.held.remove(asset);
                        } else {
                            self.file.held.insert(asset.clone(), held);
                        }
                        self.changed = true;
                    }
                }
                UpdateBody::Order(order) if order.account == self.account => {
                    if let Some(state) = &order.order {
                        self.see_order(order.event, state);
                    }
                }
                UpdateBody::Position(state) if state.account == self.account => self.see_position(state),
                UpdateBody::Fill(fill) if fill.account == self.account => self.file.fills += 1,
                _ => continue,
            }
            self.file.market_time = update.at;
        }
    }

    fn commit(&mut self) -> Result<(), JournalError> {
        if !self.changed {
            return Ok(());
        }
        self.file.open_orders = self.rejoining.iter().chain(self.open.values()).cloned().collect();
        self.file.write(&self.path)?;
        self.changed = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_survives_and_a_damaged_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let accounts = AccountFolder::new(folder.path().join("accounts"));
        let path = accounts.path("bitmart_paper_trade", "default").unwrap();
        assert_eq!(AccountFile::read(&path).unwrap(), None);
        let mut file = AccountFile::new("bitmart_paper_trade", "default");
        file.balances.insert(Asset::new("USDT"), "99999.99750001".parse().unwrap());
        file.open_orders.push(KeptOrder {
            client_id: "buy://BTC-USDT/1".into(),
            symbol: None,
            pair: Pair::new("BTC", "USDT"),
            side: TradeType::Buy,
            order_type: OrderType::Limit,
            price: Some("60000.5".parse().unwrap()),
            amount: "0.3".parse().unwrap(),
            filled: "0.1".parse().unwrap(),
            tif: TimeInForce::Gtc,
            trigger: None,
            display: Some("0.05".parse().unwrap()),
            trail: None,
            callback: None,
            whole: false,
            effect: PositionEffect::Net,
        });
        file.write(&path).unwrap();
        assert_eq!(AccountFile::read(&path).unwrap(), Some(file.clone()));
        let again = file.open_orders[0].request();
        assert_eq!(again.amount, "0.2".parse().unwrap());
        assert_eq!(again.special.display, Some("0.05".parse().unwrap()));
        assert_eq!(accounts.list().len(), 1);

        fs::write(&path, "{\"format\": \"pap").unwrap();
        let error = AccountFile::read(&path).unwrap_err().to_string();
        assert!(error.contains("default.json") && error.contains("mend it"), "{error}");
        assert!(accounts.list()[0].is_err());
    }

    #[test]
    fn names_stay_in_the_folder_and_sessions_apart() {
        let folder = tempfile::tempdir().unwrap();
        let accounts = AccountFolder::new(folder.path().to_owned());
        for name in ["", "..", "../x", "a/b", ".hidden", "a b"] {
            assert!(accounts.path("bitmart_paper_trade", name).is_err(), "{name}");
        }
        let path = accounts.path("bitmart_paper_trade", "a").unwrap();
        let first = AccountLock::take(&path).unwrap();
        assert!(AccountLock::take(&path).err().unwrap().to_string().contains("another session"));
        drop(first);
        assert!(AccountLock::take(&path).is_ok());
    }
}
