//! Which account a session trades, what it starts with, and where it is kept.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rust_decimal::Decimal;

use super::{About, Desk, DeskError, Opened};
use crate::connector::ClientIds;
use crate::market::decimal::units_of;
use crate::market::{Asset, Instrument, InstrumentId, Product, Qty};
use crate::order::{AccountId, Leverage, Money, SessionId};
use crate::paper::snapshot::{
    AccountFile, AccountFolder, AccountLock, KeptOrder, KeptPosition, SnapshotJournal,
};
use crate::paper::{Dictionary, JournalError, PaperConnector, PaperExchange, PaperHandle, share};
use crate::sim::Admin;
use crate::venue::connectors::Connector as Line;

/// Options of the account.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct AccountArgs {
    /// Trade this account [default: default]; a script on recorded data keeps none unless it is named
    #[arg(long, value_name = "NAME")]
    pub account: Option<String>,
    /// Start with this much of an asset (repeatable); only with a new or fresh account
    #[arg(long = "balance", value_name = "ASSET=AMOUNT", value_parser = balance)]
    pub balances: Vec<(Asset, Decimal)>,
    /// Start the account anew
    #[arg(long)]
    pub fresh: bool,
}

/// The largest amount that an account may have of an asset: beyond it products of real prices are no longer exact.
const MOST: Decimal = Decimal::from_parts(2_764_472_320, 232_830, 0, false, 0);

pub(crate) fn balance(text: &str) -> Result<(Asset, Decimal), String> {
    let parts = text.split_once('=').filter(|(asset, _)| !asset.is_empty());
    let amount = parts.and_then(|(_, amount)| Decimal::from_str_exact(amount).ok());
    match (parts, amount) {
        (Some((asset, _)), Some(amount)) if !amount.is_sign_negative() => {
            Ok((Asset::new(asset), amount.normalize()))
        }
        _ => Err("ASSET=AMOUNT, as in USDT=10000".to_owned()),
    }
}

/// Where accounts are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Store {
    /// Nowhere.
    None,
    /// In this folder.
    Folder(PathBuf),
}

impl Store {
    /// The accounts, where they are kept.
    pub fn accounts(&self) -> Option<AccountFolder> {
        match self {
            Self::None => None,
            Self::Folder(folder) => Some(AccountFolder::new(folder.clone())),
        }
    }
}

impl From<JournalError> for DeskError {
    fn from(error: JournalError) -> Self {
        Self::failed(error.to_string())
    }
}

/// An account that is open in a paper exchange, on its way to a connector.
pub(super) struct OpenAccount {
    session: u64,
    idle: BTreeMap<Asset, Decimal>,
    rejoin: Vec<KeptOrder>,
}

/// An account as it was found or made, before it is open.
pub(super) struct FoundAccount {
    /// What writes down what happens to it, where it is kept.
    pub(super) journal: Option<SnapshotJournal>,
    pub(super) deposits: Vec<(u16, Money)>,
    /// The number of its session.
    pub(super) session: u64,
    /// Whether it is kept between sessions.
    pub(super) kept: bool,
    positions: Vec<KeptPosition>,
    idle: BTreeMap<Asset, Decimal>,
    rejoin: Vec<KeptOrder>,
}

/// Whether an account is of the connector that was named, or of the market beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    First,
    Beside,
}

const ACCOUNT: AccountId = AccountId(1);
const SESSION: SessionId = SessionId(1);

impl Desk {
    /// Opens the account in the exchange: what it had, or what a new one starts with.
    pub(super) fn open_account(
        &self,
        (line, place): (&Line, Place),
        paper: &mut PaperExchange,
        about: &mut About,
    ) -> Result<OpenAccount, DeskError> {
        let name = self.account.account.clone().unwrap_or_else(|| "default".to_owned());
        let keep = !self.scripted || self.source.is_live() || self.account.account.is_some();
        let names = std::sync::Arc::clone(paper.names());
        let found = self.find_account((line, place), (&name, ACCOUNT, keep), &names, &mut about.notes)?;
        about.account.clone_from(&name);
        (about.session, about.kept) = (found.session, found.kept);
        let FoundAccount { journal, deposits, session, positions, idle, rejoin, .. } = found;
        if let Some(journal) = journal {
            paper.set_journal(Box::new(journal));
        }
        paper.open_account(ACCOUNT, SESSION, &deposits)?;
        hold((&positions, ACCOUNT), paper, &mut about.notes)?;
        Ok(OpenAccount { session, idle, rejoin })
    }

    /// Finds an account in the store, or makes a new one. `keep`: whether it is kept between sessions.
    pub(super) fn find_account(
        &self,
        (line, place): (&Line, Place),
        (name, account, keep): (&str, AccountId, bool),
        names: &std::sync::Arc<Dictionary>,
        notes: &mut Vec<String>,
    ) -> Result<FoundAccount, DeskError> {
        let accounts = self.store.accounts().filter(|_| keep);
        let path = accounts.map(|accounts| accounts.path(line.name, name)).transpose();
        let path = path.map_err(|error| DeskError::usage(error.to_string()))?;
        let lock = path.as_deref().map(AccountLock::take).transpose()?;
        // A file that cannot be read is an error even where the account starts anew: it is never overwritten unseen.
        let found = path.as_deref().map(AccountFile::read).transpose()?.flatten();
        let had_one = found.is_some();
        let found = found.filter(|_| !self.account.fresh);
        if found.is_some() && !self.account.balances.is_empty() {
            let why = format!("--balance is for new accounts, and {name:?} is there already");
            return Err(DeskError::usage(format!(
                "{why}; add --fresh to start it anew, or --account for another"
            )));
        }
        let mut file = match found {
            Some(file) => file,
            None => self.new_account((line, place), name, names)?,
        };
        if had_one && self.account.fresh {
            notes.push(format!("account {name} starts anew"));
        }
        file.session += 1;
        let (rejoin, ended) = split_orders(&mut file, names);
        if ended > 0 {
            notes.push(format!("open orders of the last session that are cancelled, session ended: {ended}"));
        }
        file.pairs = names.instruments().iter().map(|instrument| instrument.pair.clone()).collect();
        file.held.clear();
        let (deposits, idle) = deposits(&file, names)?;
        let (session, kept, positions) = (file.session, path.is_some(), file.positions.clone());
        let names = std::sync::Arc::clone(names);
        let journal =
            path.zip(lock).map(|(path, lock)| SnapshotJournal::new(path, lock, file, account, names));
        Ok(FoundAccount { journal, deposits, session, kept, positions, idle, rejoin })
    }

    fn new_account(
        &self,
        (line, place): (&Line, Place),
        name: &str,
        names: &Dictionary,
    ) -> Result<AccountFile, DeskError> {
        let mut known: Vec<Asset> = names.funds().cloned().collect();
        if place == Place::Beside {
            // What `--balance` names for the first market alone is no mistake here.
            known.extend(self.account.balances.iter().map(|(asset, _)| asset.clone()));
        }
        let mut balances = self.starting_balances(&known)?;
        balances.retain(|(asset, _)| names.funds().any(|traded| traded == asset));
        let mut file = AccountFile::new(line.name, name);
        file.balances.extend(balances);
        Ok(file)
    }

    /// What a new account starts with where `known` is traded: what `--balance` says, else what the settings say.
    pub fn starting_balances(&self, known: &[Asset]) -> Result<Vec<(Asset, Decimal)>, DeskError> {
        if self.account.balances.is_empty() {
            // Only what the connector trades.
            let traded = self.settings.paper_balances().into_iter();
            return Ok(traded.filter(|(asset, _)| known.contains(asset)).collect());
        }
        for (asset, amount) in &self.account.balances {
            if !known.contains(asset) {
                let known: Vec<String> = known.iter().map(ToString::to_string).collect();
                let why = format!("--balance {asset}={amount}: {asset} is not traded here");
                return Err(DeskError::usage(format!("{why} (assets: {})", known.join(", "))));
            }
            if *amount > MOST {
                return Err(DeskError::failed(format!("--balance {asset}={amount} is more than {MOST}")));
            }
        }
        // The last word on an asset counts.
        let amounts: BTreeMap<Asset, Decimal> = self.account.balances.iter().cloned().collect();
        Ok(amounts.into_iter().collect())
    }
}

/// Gives the account the positions of the last session; those in pairs that are not traded here stay in the file.
fn hold(
    (positions, account): (&[KeptPosition], AccountId),
    paper: &mut PaperExchange,
    notes: &mut Vec<String>,
) -> Result<(), DeskError> {
    let (mut held, mut waiting) = (0, 0);
    for kept in positions {
        let Some(position) = in_units((kept, account), paper) else {
            waiting += 1;
            continue;
        };
        let (instrument, side) = (position.instrument, position.side);
        paper.admin(Admin::Hold(Box::new(position)))?;
        let is_there = |state: &crate::sim::PositionState| state.side == side && !state.qty.is_zero();
        if paper.sim().positions(account, instrument).iter().any(is_there) {
            held += 1;
        } else {
            notes.push(format!("the position in {} cannot go on here: it stays in the file", kept.pair));
        }
    }
    if held > 0 {
        notes.push(format!("positions of the last session that go on, without the fundings between: {held}"));
    }
    if waiting > 0 {
        notes.push(format!(
            "positions in pairs that are not here, or too large: {waiting}; they stay in the file"
        ));
    }
    Ok(())
}

/// A kept position in the numbers of a contract that is traded here; `None` where it is not, or is beyond all bounds.
fn in_units(
    (kept, account): (&KeptPosition, AccountId),
    paper: &PaperExchange,
) -> Option<crate::sim::KeptPosition> {
    let names = paper.names();
    // Where spot has the same pair, it is the contract's.
    let all = (0_u32..).map(InstrumentId).zip(names.instruments());
    let (instrument, found) =
        all.into_iter().find(|(_, one)| one.pair == kept.pair && one.product != Product::Spot)?;
    let settle = &paper.sim().market(instrument)?.contract.as_ref()?.settle;
    let settle = names.asset_index(settle)?;
    let money = |amount: Decimal| (amount.abs() <= MOST).then(|| names.money(settle, amount)).flatten();
    let most = found.qty_decimal(found.rule.max_qty).saturating_mul(Decimal::ONE_THOUSAND);
    let qty = Some(kept.amount).filter(|amount| amount.abs() <= most)?;
    Some(crate::sim::KeptPosition {
        account,
        instrument,
        side: kept.side,
        qty: Qty::from_units(i64::try_from(units_of(qty, found.qty_scale)?).ok()?),
        cost: money(kept.cost)?,
        assigned: money(kept.assigned)?,
        realised: money(kept.realised)?,
        fees: money(kept.fees)?,
        funding: money(kept.funding)?,
        margin: kept.margin,
        leverage: Leverage::from_decimal(kept.leverage)?,
    })
}

/// The orders that rejoin, their pair being here again; the others end and leave the file.
fn split_orders(file: &mut AccountFile, names: &Dictionary) -> (Vec<KeptOrder>, usize) {
    let before = file.open_orders.len();
    // An order of a contract whose pair is spot's here, too, could not be told from one on spot.
    let is_it =
        |kept: &KeptOrder, one: &Instrument| kept.symbol.as_ref().is_none_or(|symbol| one.symbol == *symbol);
    file.open_orders.retain(|kept| names.find(&kept.pair).is_some_and(|(_, one)| is_it(kept, one)));
    (file.open_orders.clone(), before - file.open_orders.len())
}

/// Amounts by number of asset, and amounts of assets that are not traded here.
pub(super) type Deposits = (Vec<(u16, Money)>, BTreeMap<Asset, Decimal>);

pub(super) fn deposits(file: &AccountFile, names: &Dictionary) -> Result<Deposits, DeskError> {
    let (mut deposits, mut idle) = (Vec::new(), BTreeMap::new());
    for (asset, amount) in &file.balances {
        let Some(index) = names.asset_index(asset) else {
            idle.insert(asset.clone(), *amount);
            continue;
        };
        if *amount > MOST {
            return Err(DeskError::failed(format!(
                "account {}: {amount} {asset} is more than {MOST}",
                file.account
            )));
        }
        let money = names.money(index, *amount);
        let money = money.ok_or_else(|| {
            DeskError::failed(format!(
                "account {}: {amount} {asset} has more decimals than can be traded here",
                file.account
            ))
        })?;
        if !money.is_zero() {
            deposits.push((index, money));
        }
    }
    Ok((deposits, idle))
}

impl FoundAccount {
    /// Opens it in an exchange that is served, under a session's number.
    pub(super) fn open(
        self,
        paper: &mut PaperExchange,
        account: AccountId,
        session: SessionId,
        notes: &mut Vec<String>,
    ) -> Result<Vec<KeptOrder>, DeskError> {
        paper.open_account(account, session, &self.deposits)?;
        hold((&self.positions, account), paper, notes)?;
        Ok(self.rejoin)
    }
}

/// Orders of the last session of an account that is served rejoin at the back.
pub(super) fn rejoin_served(
    (name, session): (&str, SessionId),
    paper: &PaperHandle,
    orders: &[KeptOrder],
    notes: &mut Vec<String>,
) -> Result<(), DeskError> {
    if orders.is_empty() {
        return Ok(());
    }
    // The names of these orders are known: none is made up.
    let ids = ClientIds::new(0, 0);
    let mut connector = PaperConnector::new(name, session, paper.clone(), ids);
    rejoin(orders, &mut connector, notes)
}

impl OpenAccount {
    /// The connector over it. Orders of the last session rejoin at the back.
    pub(super) fn connect(
        self,
        name: &str,
        seed: u64,
        paper: PaperExchange,
        mut about: About,
    ) -> Result<Opened, DeskError> {
        let ids = ClientIds::new(seed, self.session);
        let mut connector = PaperConnector::new(name, SESSION, share(paper), ids).with_idle(self.idle);
        rejoin(&self.rejoin, &mut connector, &mut about.notes)?;
        Ok(Opened { connector, about })
    }
}

/// Sends the open orders of the last session again and waits for the answers.
fn rejoin(
    kept: &[KeptOrder],
    connector: &mut PaperConnector,
    notes: &mut Vec<String>,
) -> Result<(), DeskError> {
    let session = connector.session();
    let mut sent = Vec::new();
    for order in kept {
        match connector.place_as(order.client_id.clone(), order.request()) {
            Ok(number) => sent.push(number),
            Err(error) => notes.push(format!("order {} cannot rejoin: {error}", order.client_id)),
        }
    }
    let mut paper = connector.handle().lock();
    let tag = paper.last_tag();
    paper.run_until_answer(session, tag)?;
    let mut joined = 0;
    for known in sent.iter().filter_map(|number| paper.trader(session)?.order(*number)) {
        match known.order.reject {
            Some(reason) => {
                let id = &known.order.client_order_id;
                notes.push(format!("order {id} cannot rejoin: {}", reason.text()));
            }
            None => joined += 1,
        }
    }
    if joined > 0 {
        let rejoin = "open orders of the last session that rejoin at the back of their queues";
        notes.push(format!("{rejoin}: {joined}"));
    }
    Ok(())
}
