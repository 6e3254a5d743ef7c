//! Who must be looked at when a mark price moves: for each contract and account the prices between which nothing can be
//! lost, however the account's other contracts move inside theirs.
//!
//! An account whose balance or positions changed is looked at on the next mark, and gets its bounds then; between them it
//! costs nothing. Bounds are no state: an exchange that is restored looks at everybody once.
//! Never here: what an account needs (`margin`), what happens to one that is lost (`risk`).

use std::collections::BTreeSet;

use super::contract::Contract;
use super::ledger::Accounts;
use super::positions::{Leg, Positions};
use crate::market::{FinePrice, InstrumentId, Qty};
use crate::order::{AccountId, MarginMode, Money};
use crate::sim::{MaintenanceOn, Rate};

/// How often the widest bounds are halved at most.
const NARROWEST: i64 = 9;

/// The bounds of one contract's accounts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watch {
    /// Looked at on each mark, ascending: they have no bounds, or none that can be relied on.
    always: Vec<AccountId>,
    /// Looked at where the mark is at or below, at or above.
    low: BTreeSet<(FinePrice, AccountId)>,
    high: BTreeSet<(FinePrice, AccountId)>,
    /// By account.
    bounds: Vec<Option<(FinePrice, FinePrice)>>,
    /// The highest of the low ones and the lowest of the high ones: asked at each mark.
    nearest: (Option<FinePrice>, Option<FinePrice>),
}

impl Watch {
    fn drop_bounds(&mut self, account: AccountId) {
        if let Some((low, high)) = self.bounds.get_mut(account.0 as usize).and_then(Option::take) {
            self.low.remove(&(low, account));
            self.high.remove(&(high, account));
            self.find_nearest();
        }
    }

    fn find_nearest(&mut self) {
        let (low, high) = (self.low.last(), self.high.first());
        self.nearest = (low.map(|(low, _)| *low), high.map(|(high, _)| *high));
    }

    /// It holds nothing any more.
    pub(crate) fn forget(&mut self, account: AccountId) {
        self.drop_bounds(account);
        self.rely(account);
    }

    /// Its bounds may hold no more: they are left where they are, for most of them do.
    pub(crate) fn doubt(&mut self, account: AccountId) {
        if let Err(at) = self.always.binary_search(&account) {
            self.always.insert(at, account);
        }
    }

    fn rely(&mut self, account: AccountId) {
        if let Ok(at) = self.always.binary_search(&account) {
            self.always.remove(at);
        }
    }

    fn bounds(&self, account: AccountId) -> Option<(FinePrice, FinePrice)> {
        self.bounds.get(account.0 as usize).copied().flatten()
    }

    fn bound(&mut self, account: AccountId, (low, high): (FinePrice, FinePrice)) {
        self.rely(account);
        if self.bounds(account) == Some((low, high)) {
            return;
        }
        self.drop_bounds(account);
        self.low.insert((low, account));
        self.high.insert((high, account));
        let at = account.0 as usize;
        if at >= self.bounds.len() {
            self.bounds.resize(at + 1, None);
        }
        self.bounds[at] = Some((low, high));
        self.find_nearest();
    }

    /// Whether nobody must be looked at when the mark is at a price.
    #[inline]
    pub(crate) fn is_quiet(&self, mark: FinePrice) -> bool {
        let (low, high) = self.nearest;
        self.always.is_empty() && low.is_none_or(|low| low < mark) && high.is_none_or(|high| high > mark)
    }

    /// Who must be looked at when the mark is at a price, ascending, in the place of what was in `accounts`.
    pub(crate) fn due(&self, mark: FinePrice, accounts: &mut Vec<AccountId>) {
        accounts.clear();
        accounts.extend(&self.always);
        accounts.extend(self.low.range((mark, AccountId(0))..).map(|(_, account)| *account));
        accounts.extend(self.high.range(..=(mark, AccountId(u32::MAX))).map(|(_, account)| *account));
        accounts.sort_unstable();
        accounts.dedup();
    }
}

/// How much a position may lose: nothing of it must be lost at any mark between two.
#[derive(Clone, Copy, Debug)]
struct Slack<'a> {
    contract: &'a Contract,
    on: MaintenanceOn,
    closing_fee: bool,
    taker: Rate,
    /// How much both positions are and cost, where they are added to pick the tier.
    both: Option<(Qty, Money)>,
}

impl Slack<'_> {
    /// No more than gains less maintenance at any mark from `low` to `high`: the least gain, for gains go one way, less
    /// the most maintenance, which never falls as the value grows. Where they are one, it is just that.
    fn least(&self, leg: &Leg, low: FinePrice, high: FinePrice) -> Money {
        let size = Qty::from_units(leg.qty.units().abs());
        let worth = [low, high].map(|mark| self.contract.value_at(mark, size));
        let gains = worth.map(|worth| self.contract.signed(worth, leg.qty) - leg.cost);
        let most = worth[0].max(worth[1]);
        let on = match self.on {
            MaintenanceOn::Entry => Money(leg.cost.0.abs()),
            MaintenanceOn::Mark => most,
        };
        let fee = if self.closing_fee { self.contract.taker_fee(most, self.taker) } else { Money::ZERO };
        let tier_by = match (self.both, self.on) {
            (None, _) => on,
            (Some((_, entry)), MaintenanceOn::Entry) => entry,
            (Some((size, _)), MaintenanceOn::Mark) => {
                self.contract.value_at(low, size).max(self.contract.value_at(high, size))
            }
        };
        gains[0].min(gains[1]) - self.contract.maintenance_in(tier_by, on) - fee
    }
}

impl Positions {
    /// An account's bounds hold no more, in any contract that it holds.
    pub(crate) fn doubt(&mut self, account: AccountId) {
        for market in 0..self.listed.len() {
            if self.exposed[market].contains(&account) {
                self.watch[market].doubt(account);
            }
        }
    }

    /// Sets an account's bounds in all contracts that it holds, where it has any: it has just been looked at.
    pub(crate) fn set_bounds(&mut self, accounts: &mut Accounts, account: AccountId) {
        for at in 0..self.listed.len() {
            if !self.exposed[at].contains(&account) {
                continue;
            }
            match self.bounds(accounts, account, InstrumentId(at as u32)) {
                Some(bounds) => self.watch[at].bound(account, bounds),
                None => {
                    self.watch[at].drop_bounds(account);
                    self.watch[at].doubt(account);
                }
            }
        }
        accounts.watch(account);
    }

    /// Between which marks a contract takes no more than its share of what an account can lose.
    fn bounds(
        &self,
        accounts: &Accounts,
        account: AccountId,
        market: InstrumentId,
    ) -> Option<(FinePrice, FinePrice)> {
        let (contract, holding) = (self.contract(market)?, self.holding(account, market)?);
        // What is settled through an index price moves with that too: it is looked at on each news of either.
        if contract.through_index {
            return None;
        }
        let mark = self.mark(market)?.price;
        let (on, closing_fee) = (self.rules.maintenance, self.rules.closing_fee);
        let sizes = || Qty::from_units(holding.legs.iter().map(|leg| leg.qty.units().abs()).sum());
        let costs = || holding.legs.iter().map(|leg| Money(leg.cost.0.abs())).sum();
        let both = self.shares_tier(holding).then(|| (sizes(), costs()));
        let slack = Slack { contract, on, closing_fee, taker: self.taker(market), both };
        let legs = || holding.legs.iter().filter(|leg| !leg.qty.is_zero());
        let share = match holding.margin {
            MarginMode::Isolated => Money::ZERO,
            MarginMode::Cross => {
                let standing = self.standing(accounts, account, contract.settle);
                let left = standing.free + standing.unrealised - standing.maintenance;
                Money(left.0 / self.crosses(account, contract.settle).max(1))
            }
        };
        let at_mark: Money = match holding.margin {
            MarginMode::Isolated => Money::ZERO,
            MarginMode::Cross => legs().map(|leg| slack.least(leg, mark, mark)).sum(),
        };
        let holds = |(low, high): (FinePrice, FinePrice)| match holding.margin {
            MarginMode::Isolated => legs().all(|leg| (leg.margin + slack.least(leg, low, high)).0 > 0),
            MarginMode::Cross => at_mark - legs().map(|leg| slack.least(leg, low, high)).sum() < share,
        };
        // Those that it had are as good as new ones.
        let inside = |(low, high): &(FinePrice, FinePrice)| *low < mark && mark < *high;
        let had = self.watch[market.index()].bounds(account).filter(inside);
        if let Some(had) = had.filter(|had| holds(*had)) {
            return Some(had);
        }
        // A sixteenth of the price, then less and less; where the last of them is too much, it is looked at on each mark.
        let between = |halves: i64| {
            let away = (mark.units() / 16) >> halves;
            let (low, high) = (mark.units().checked_sub(away)?, mark.units().checked_add(away)?);
            Some((FinePrice::from_units(low), FinePrice::from_units(high))).filter(|_| away > 0)
        };
        // Nearly everybody has the widest; who has none is asked for the narrowest and no more.
        let holding_between = |halves: i64| between(halves).filter(|between| holds(*between));
        holding_between(0).or_else(|| {
            let narrowest = holding_between(NARROWEST)?;
            (1..NARROWEST).find_map(holding_between).or(Some(narrowest))
        })
    }

    /// In how many contracts that settle in an asset an account has cross positions.
    fn crosses(&self, account: AccountId, settle: u16) -> i128 {
        let crosses = self.holdings(account).filter(|(market, holding)| {
            let same = self.contract(*market).is_some_and(|contract| contract.settle == settle);
            same && holding.margin == MarginMode::Cross && !holding.is_flat()
        });
        crosses.count() as i128
    }
}
