//! Balances, holds, and the double-entry ledger that every change goes through.

use serde::{Deserialize, Serialize};

use super::Volume;
use crate::market::{Asset, InstrumentId, Timestamp};
use crate::order::{AccountId, FillId, Money, OrderId};
use crate::sim::wire::hand_on;
use crate::sim::{Balance, Cause, LedgerEntry, Owner, Update, UpdateBody};

/// One row to be: whose balance changes by how much, and its hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Posting {
    pub(crate) owner: Owner,
    pub(crate) asset: u16,
    pub(crate) amount: Money,
    pub(crate) hold: Money,
    pub(crate) cause: Cause,
}

impl Posting {
    pub(crate) fn new(owner: Owner, asset: u16, amount: Money, cause: Cause) -> Self {
        Self { owner, asset, amount, hold: Money::ZERO, cause }
    }
}

/// What a transaction is about.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct About {
    pub(crate) order: OrderId,
    pub(crate) fill: FillId,
    pub(crate) instrument: Option<InstrumentId>,
}

/// A spot fill of an account, as the ledger books it: what changes of an asset, in its smallest unit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trade {
    pub(crate) account: AccountId,
    /// The asset that is paid with, and what of it comes in (goes out where negative).
    pub(crate) quote: (u16, Money),
    /// The same of what is bought and sold.
    pub(crate) base: (u16, Money),
    /// What of a hold comes back, and of which asset.
    pub(crate) released: (u16, Money),
    /// What is charged, at most; a rebate where negative.
    pub(crate) fee: (u16, Money),
    /// What of the fee's asset is not there for the fee.
    pub(crate) promised: Money,
}

/// Rows on their way into updates.
struct Rows<'a> {
    at: Timestamp,
    about: About,
    transaction: u64,
    /// The number of the last row.
    entry: u64,
    updates: &'a mut Vec<Update>,
}

impl Rows<'_> {
    #[inline(always)] // A row is six numbers of 128 bits: they go into the update from where they were reckoned.
    fn row(
        &mut self,
        owner: Owner,
        asset: u16,
        (amount, hold): (Money, Money),
        after: Balance,
        cause: Cause,
    ) {
        self.entry += 1;
        let (at, about) = (self.at, self.about);
        let (entry, transaction) = (self.entry, self.transaction);
        let entry = || LedgerEntry {
            entry,
            transaction,
            owner,
            asset,
            amount,
            balance_after: after.total,
            hold_amount: hold,
            hold_after: after.held,
            cause,
            order: about.order,
            fill: about.fill,
            instrument: about.instrument,
        };
        hand_on(self.updates, || Update { at, deliver_at: at, body: UpdateBody::Ledger(entry()) });
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Account {
    balances: Vec<Balance>,
    volume: Volume,
    /// Whether somebody wants to know when its balance changes.
    #[serde(skip)]
    watched: bool,
}

/// All accounts, the system's included.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Accounts {
    assets: Vec<Asset>,
    scales: Vec<u8>,
    /// By account number; `None`: never opened.
    accounts: Vec<Option<Account>>,
    /// By system account and asset.
    system: [Vec<Money>; 5],
    entries: u64,
    transactions: u64,
    /// Watched accounts whose balances have changed.
    #[serde(skip)]
    moved: Vec<AccountId>,
}

impl Account {
    /// Changes a balance and its hold. Returns what they are then.
    #[inline(always)]
    fn change(&mut self, asset: u16, amount: Money, hold: Money) -> Balance {
        let balance = &mut self.balances[usize::from(asset)];
        balance.total += amount;
        balance.held += hold;
        debug_assert!(
            balance.held.0 >= 0 && balance.held <= balance.total,
            "asset {asset} by {amount:?}, hold by {hold:?}: {balance:?}"
        );
        *balance
    }
}

/// An account that is about to change; it is noted where it is watched.
#[inline(always)]
fn touch<'a>(
    accounts: &'a mut [Option<Account>],
    moved: &mut Vec<AccountId>,
    id: AccountId,
) -> Option<&'a mut Account> {
    let account = accounts.get_mut(id.0 as usize)?.as_mut()?;
    if account.watched {
        account.watched = false;
        moved.push(id);
    }
    Some(account)
}

const fn system_index(owner: Owner) -> usize {
    match owner {
        Owner::Account(_) | Owner::Market => 0,
        Owner::Fees => 1,
        Owner::Funding => 2,
        Owner::Insurance => 3,
        Owner::Deposits => 4,
    }
}

impl Accounts {
    pub(crate) fn new(assets: Vec<(Asset, u8)>) -> Self {
        let count = assets.len();
        let (assets, scales) = assets.into_iter().unzip();
        let system = std::array::from_fn(|_| vec![Money::ZERO; count]);
        Self { assets, scales, accounts: Vec::new(), system, entries: 0, transactions: 0, moved: Vec::new() }
    }

    pub(crate) fn assets(&self) -> &[Asset] {
        &self.assets
    }

    pub(crate) fn scale(&self, asset: u16) -> u8 {
        self.scales.get(usize::from(asset)).copied().unwrap_or(0)
    }

    pub(crate) fn open(&mut self, account: AccountId) {
        let at = account.0 as usize;
        if at >= self.accounts.len() {
            self.accounts.resize(at + 1, None);
        }
        let balances = vec![Balance::default(); self.assets.len()];
        self.accounts[at].get_or_insert(Account { balances, volume: Volume::default(), watched: false });
    }

    /// From now on it is noted when an account's balance changes.
    pub(crate) fn watch(&mut self, account: AccountId) {
        if let Some(Some(account)) = self.accounts.get_mut(account.0 as usize) {
            account.watched = true;
        }
    }

    /// A watched account whose balance has changed since it was last watched.
    #[inline]
    pub(crate) fn next_moved(&mut self) -> Option<AccountId> {
        self.moved.pop()
    }

    fn account(&self, account: AccountId) -> Option<&Account> {
        self.accounts.get(account.0 as usize)?.as_ref()
    }

    pub(crate) fn is_open(&self, account: AccountId) -> bool {
        self.account(account).is_some()
    }

    /// Numbers of the accounts that are open, ascending.
    pub(crate) fn ids(&self) -> impl Iterator<Item = AccountId> + '_ {
        let open = self.accounts.iter().enumerate().filter(|(_, account)| account.is_some());
        open.map(|(at, _)| AccountId(at as u32))
    }

    pub(crate) fn balance(&self, account: AccountId, asset: u16) -> Balance {
        let balances = self.account(account).map(|account| &account.balances);
        balances.and_then(|all| all.get(usize::from(asset))).copied().unwrap_or_default()
    }

    pub(crate) fn system(&self, owner: Owner, asset: u16) -> Money {
        self.system[system_index(owner)].get(usize::from(asset)).copied().unwrap_or_default()
    }

    pub(crate) fn volume(&self, account: AccountId, now: Timestamp) -> Money {
        self.account(account).map_or(Money::ZERO, |account| account.volume.at(now))
    }

    pub(crate) fn traded(&mut self, account: AccountId, now: Timestamp, quote: Money) {
        if let Some(Some(account)) = self.accounts.get_mut(account.0 as usize) {
            account.volume.add(now, quote);
        }
    }

    pub(crate) fn transactions(&self) -> u64 {
        self.transactions
    }

    /// Begins a transaction; the postings that follow belong to it.
    #[inline]
    pub(crate) fn begin(&mut self) {
        self.transactions += 1;
    }

    /// Books one row of the transaction that was begun.
    #[inline(always)]
    pub(crate) fn post(&mut self, at: Timestamp, posting: Posting, about: About, updates: &mut Vec<Update>) {
        let Posting { owner, asset, amount, hold, cause } = posting;
        let after = match owner {
            Owner::Account(account) => {
                let Some(account) = touch(&mut self.accounts, &mut self.moved, account) else { return };
                account.change(asset, amount, hold)
            }
            system => {
                let total = &mut self.system[system_index(system)][usize::from(asset)];
                *total += amount;
                Balance { total: *total, held: Money::ZERO }
            }
        };
        let mut rows = Rows { at, about, transaction: self.transactions, entry: self.entries, updates };
        rows.row(owner, asset, (amount, hold), after, cause);
        self.entries = rows.entry;
    }

    /// Books a spot fill as a transaction of its own: two assets change hands with `@market`, the fee with `@fees`.
    /// Returns the fee: fees of many small fills may round to more than the hold foresaw, and nobody pays what they do not
    /// have.
    #[inline(always)] // At its one place.
    pub(crate) fn trade(
        &mut self,
        at: Timestamp,
        trade: &Trade,
        about: About,
        updates: &mut Vec<Update>,
    ) -> Money {
        let account = touch(&mut self.accounts, &mut self.moved, trade.account);
        let Some(account) = account else { return Money::ZERO };
        self.transactions += 1;
        let mut rows = Rows { at, about, transaction: self.transactions, entry: self.entries, updates };
        let owner = Owner::Account(trade.account);
        for (asset, amount) in [trade.quote, trade.base] {
            let (held, released) = trade.released;
            let hold = if held == asset { -released } else { Money::ZERO };
            let after = account.change(asset, amount, hold);
            rows.row(owner, asset, (amount, hold), after, Cause::Trade);
        }
        let (fee_asset, fee) = trade.fee;
        let left = account.balances[usize::from(fee_asset)].available();
        let fee = fee.min((left - trade.promised).max(Money::ZERO));
        if !fee.is_zero() {
            let after = account.change(fee_asset, -fee, Money::ZERO);
            rows.row(owner, fee_asset, (-fee, Money::ZERO), after, Cause::Fee);
        }
        let system = |totals: &mut [Money], asset: u16, by: Money| {
            let total = &mut totals[usize::from(asset)];
            *total += by;
            Balance { total: *total, held: Money::ZERO }
        };
        for (asset, amount) in [trade.quote, trade.base] {
            let after = system(&mut self.system[system_index(Owner::Market)], asset, -amount);
            rows.row(Owner::Market, asset, (-amount, Money::ZERO), after, Cause::Trade);
        }
        if !fee.is_zero() {
            let after = system(&mut self.system[system_index(Owner::Fees)], fee_asset, fee);
            rows.row(Owner::Fees, fee_asset, (fee, Money::ZERO), after, Cause::Fee);
        }
        self.entries = rows.entry;
        fee
    }

    /// Books a gain or loss against the market, and margin that comes back (`held` below zero), in the transaction that
    /// was begun. What the account cannot pay `@insurance` does; returns how much that is.
    #[allow(
        clippy::too_many_arguments,
        reason = "a row's worth of facts; a struct of them would be named once"
    )]
    pub(crate) fn gain(
        &mut self,
        at: Timestamp,
        (account, asset): (AccountId, u16),
        amount: Money,
        held: Money,
        cause: Cause,
        about: About,
        updates: &mut Vec<Update>,
    ) -> Money {
        let owner = Owner::Account(account);
        let hold = held.min(Money::ZERO);
        let left = self.balance(account, asset);
        let short = Money(-(left.available() - hold + amount).0).max(Money::ZERO);
        if !amount.is_zero() || !hold.is_zero() {
            let cause = if amount.is_zero() { Cause::Margin } else { cause };
            self.post(
                at,
                Posting { hold, ..Posting::new(owner, asset, amount + short, cause) },
                about,
                updates,
            );
        }
        for (owner, amount) in [(Owner::Market, -amount), (Owner::Insurance, -short)] {
            if !amount.is_zero() {
                self.post(at, Posting::new(owner, asset, amount, cause), about, updates);
            }
        }
        short
    }

    /// Changes the hold of an account for an order, as a transaction of its own; nothing where nothing changes.
    pub(crate) fn hold(
        &mut self,
        at: Timestamp,
        account: AccountId,
        asset: u16,
        by: Money,
        about: About,
        updates: &mut Vec<Update>,
    ) {
        if by.is_zero() {
            return;
        }
        let cause = if by.0 > 0 { Cause::Hold } else { Cause::Release };
        self.begin();
        let posting = Posting { owner: Owner::Account(account), asset, amount: Money::ZERO, hold: by, cause };
        self.post(at, posting, about, updates);
    }
}
