//! What positions and open orders need, what is available, and where a position is liquidated.
//!
//! `docs/perpetuals.md` has the formulas with their sources. Never here: changing anything.

use super::contract::{Contract, RATE_ONE, Ratio};
use super::ledger::Accounts;
use super::positions::{Holding, Leg, Positions, Working};
use crate::market::{FinePrice, InstrumentId, Qty, Side};
use crate::order::{AccountId, MarginMode, Money, PositionMode};
use crate::sim::{CrossMargin, MaintenanceOn, PositionRules, PositionState, Rate};

/// What an account has behind its cross positions in one settlement currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Its balance less what is put aside for isolated positions and held for spot orders.
    pub(crate) free: Money,
    /// What cross positions must leave to stay.
    pub(crate) maintenance: Money,
    /// Unrealised gains less losses of cross positions.
    pub(crate) unrealised: Money,
}

impl Standing {
    /// Whether the cross positions must be liquidated.
    pub(crate) fn is_lost(&self) -> bool {
        !self.maintenance.is_zero() && self.free + self.unrealised <= self.maintenance
    }
}

/// A position at the mark price, in its settlement currency; at its entry where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Weighed {
    value: Money,
    /// What it has gained: what it is worth less what it cost.
    gains: Money,
    /// What it must leave of its margin to stay.
    maintenance: Money,
}

impl Positions {
    /// What an account has behind its cross positions in a settlement currency. Open orders have no part in it.
    pub(crate) fn standing(&self, accounts: &Accounts, account: AccountId, asset: u16) -> Standing {
        let mut standing =
            Standing { free: accounts.balance(account, asset).available(), ..Standing::default() };
        for (market, contract, holding) in self.settling_in(account, asset) {
            if holding.margin == MarginMode::Isolated {
                continue;
            }
            for leg in holding.legs.iter().filter(|leg| !leg.qty.is_zero()) {
                let weighed = self.weigh((market, contract), holding, leg);
                standing.unrealised += weighed.gains;
                standing.maintenance += weighed.maintenance;
            }
        }
        standing
    }

    /// What an account has to do with the contracts that settle in an asset.
    fn settling_in(
        &self,
        account: AccountId,
        asset: u16,
    ) -> impl Iterator<Item = (InstrumentId, &Contract, &Holding)> {
        self.holdings(account).filter_map(move |(market, holding)| {
            let contract = self.contract(market).filter(|contract| contract.settle == asset)?;
            Some((market, contract, holding))
        })
    }

    /// The taker's fee rate of a contract, as margins reckon with it.
    pub(crate) fn taker(&self, market: InstrumentId) -> Rate {
        self.listed.get(market.index()).and_then(Option::as_ref).map_or(Rate(0), |listed| listed.taker)
    }

    /// What new orders may use of an asset; below zero where losses have eaten it. For spot that is all that is not held.
    pub(crate) fn available(&self, accounts: &Accounts, account: AccountId, asset: u16) -> Money {
        let mut available = accounts.balance(account, asset).available();
        for (market, contract, holding) in self.settling_in(account, asset) {
            let taker = self.taker(market);
            available -= self.orders_need((market, contract), holding, holding.working, taker);
            if holding.margin == MarginMode::Isolated {
                continue;
            }
            let mark = self.mark(market).map(|mark| mark.price);
            for (at, leg) in holding.legs.iter().enumerate().filter(|(_, leg)| !leg.qty.is_zero()) {
                let gains = self.gains(market, leg);
                available += if self.rules.gains_available { gains } else { gains.min(Money::ZERO) };
                available -= self.cross_needs(market, holding, at, mark, taker);
            }
        }
        available
    }

    /// What the positions of an account that settle in an asset have gained at their mark prices.
    pub(crate) fn unrealised(&self, account: AccountId, asset: u16) -> Money {
        let mut sum = Money::ZERO;
        for (market, _, holding) in self.settling_in(account, asset) {
            sum += holding.legs.iter().map(|leg| self.gains(market, leg)).sum::<Money>();
        }
        sum
    }

    /// What the orders of a holding need, were they `working`: for the part that would make it larger, the larger side
    /// of one net position, both sides where there are two.
    pub(crate) fn orders_need(
        &self,
        (market, contract): (InstrumentId, &Contract),
        holding: &Holding,
        working: [Working; 2],
        taker: Rate,
    ) -> Money {
        let needs = |side: Side, grows: Qty, of: &Leg| {
            let orders = working[side.index()];
            if grows.units() <= 0 || orders.qty.is_zero() {
                return Money::ZERO;
            }
            let value = if grows == orders.qty {
                orders.value
            } else {
                let part = Ratio { num: i128::from(grows.units()), den: i128::from(orders.qty.units()) };
                part.of_up(orders.value)
            };
            let held = Money(of.cost.0.abs());
            let initial = contract.initial(holding.leverage_of(side), held + value);
            let settling = self.settling(market, || contract.price_of(orders.value, orders.qty));
            settling.up(contract.order_margin(self.rules.order_margin, side, value, initial, taker))
        };
        match holding.mode {
            PositionMode::Hedge => {
                let side = |side: Side| needs(side, working[side.index()].qty, &holding.legs[side.index()]);
                side(Side::Buy) + side(Side::Sell)
            }
            PositionMode::OneWay => {
                let leg = &holding.legs[0];
                let size = Qty::from_units(leg.qty.units().abs());
                let bought = needs(Side::Buy, leg.qty + working[0].qty - size, leg);
                let sold = needs(Side::Sell, working[1].qty - leg.qty - size, leg);
                bought.max(sold)
            }
        }
    }

    /// What a cross position takes from what is available.
    fn cross_needs(
        &self,
        market: InstrumentId,
        holding: &Holding,
        at: usize,
        mark: Option<FinePrice>,
        taker: Rate,
    ) -> Money {
        let Some(contract) = self.contract(market) else { return Money::ZERO };
        let leg = &holding.legs[at];
        let entry = Money(leg.cost.0.abs());
        let side = if leg.qty.units() < 0 { Side::Sell } else { Side::Buy };
        let initial = contract.initial(holding.leverage_of(side), entry);
        let needed = match self.rules.cross_margin {
            CrossMargin::InitialAtEntry => initial.of_up(entry),
            CrossMargin::InitialAtMark => initial.of_up(value(contract, leg, mark)),
            CrossMargin::InitialAndReserve => {
                let margin = initial.of_up(entry);
                margin + contract.closing_fee(leg.qty, entry, margin, taker)
            }
            CrossMargin::Maintenance => contract.maintenance(entry) + self.funding_owed(market, leg, entry),
        };
        self.settling_of(market, leg).up(needed)
    }

    /// What a position of this value will pay at the next funding; nothing where it receives. Rounded up to the unit.
    fn funding_owed(&self, market: InstrumentId, leg: &Leg, value: Money) -> Money {
        let Some((rate, ..)) = self.funding(market) else { return Money::ZERO };
        let pays = if leg.qty.units() < 0 { -rate.units() } else { rate.units() };
        Ratio { num: i128::from(pays.max(0)), den: 1_000_000_000_000 }.of_up(value)
    }

    /// What a position is worth at the mark price, has gained and must leave of its margin to stay.
    fn weigh(&self, (market, contract): (InstrumentId, &Contract), holding: &Holding, leg: &Leg) -> Weighed {
        let mark = self.mark(market).map(|mark| mark.price);
        let at_mark = value(contract, leg, mark);
        let on = match self.rules.maintenance {
            MaintenanceOn::Entry => Money(leg.cost.0.abs()),
            MaintenanceOn::Mark => at_mark,
        };
        let tier_by = if self.shares_tier(holding) { self.both(contract, holding, mark) } else { on };
        let fee = if self.rules.closing_fee { fee_of(at_mark, self.taker(market)) } else { Money::ZERO };
        let gains = mark.map_or(Money::ZERO, |_| contract.signed(at_mark, leg.qty) - leg.cost);
        let settling = self.settling_of(market, leg);
        Weighed {
            value: settling.nearest(at_mark),
            gains: settling.nearest(gains),
            maintenance: settling.up(contract.maintenance_in(tier_by, on) + fee),
        }
    }

    /// Whether the two positions of a holding are added to pick their tier.
    pub(crate) fn shares_tier(&self, holding: &Holding) -> bool {
        self.rules.sides_share_tier
            && holding.margin == MarginMode::Cross
            && holding.mode == PositionMode::Hedge
    }

    /// What both positions of a holding are worth, as maintenance margin reckons.
    pub(crate) fn both(&self, contract: &Contract, holding: &Holding, mark: Option<FinePrice>) -> Money {
        let of = |leg: &Leg| match self.rules.maintenance {
            MaintenanceOn::Entry => Money(leg.cost.0.abs()),
            MaintenanceOn::Mark => value(contract, leg, mark),
        };
        holding.legs.iter().map(of).sum()
    }

    /// What a position has gained at the mark price, in its settlement currency: what it is worth less what it cost.
    pub(crate) fn gains(&self, market: InstrumentId, leg: &Leg) -> Money {
        let Some(contract) = self.contract(market) else { return Money::ZERO };
        let mark = self.mark(market).map(|mark| mark.price);
        self.settling_of(market, leg).nearest(gains(contract, leg, mark))
    }

    /// Whether an isolated position of a holding must be liquidated at the mark price.
    pub(crate) fn leg_is_lost(&self, market: InstrumentId, holding: &Holding, leg: &Leg) -> bool {
        let Some(contract) = self.contract(market).filter(|_| self.mark(market).is_some()) else {
            return false;
        };
        let stays = || {
            let weighed = self.weigh((market, contract), holding, leg);
            leg.margin + weighed.gains > weighed.maintenance
        };
        !leg.qty.is_zero() && !stays()
    }

    /// An account's positions in a contract, as they are shown.
    pub(crate) fn show(
        &self,
        accounts: &Accounts,
        account: AccountId,
        market: InstrumentId,
    ) -> impl Iterator<Item = PositionState> {
        let known = self.contract(market).zip(self.holding(account, market));
        known.into_iter().flat_map(move |(contract, holding)| {
            let legs = match holding.mode {
                PositionMode::OneWay => 1,
                PositionMode::Hedge => 2,
            };
            (0..legs).map(move |at| self.show_leg(accounts, account, (market, contract), holding, at))
        })
    }

    fn show_leg(
        &self,
        accounts: &Accounts,
        account: AccountId,
        (market, contract): (InstrumentId, &Contract),
        holding: &Holding,
        at: usize,
    ) -> PositionState {
        let leg = &holding.legs[at];
        let mark = self.mark(market);
        let price = mark.map(|mark| mark.price);
        let taker = self.taker(market);
        let size = Qty::from_units(leg.qty.units().abs());
        let Weighed { value, gains: unrealised, maintenance } = self.weigh((market, contract), holding, leg);
        let settling = self.settling_of(market, leg);
        let behind = match holding.margin {
            MarginMode::Isolated => leg.margin,
            MarginMode::Cross => {
                let standing = self.standing(accounts, account, contract.settle);
                standing.free + standing.unrealised - unrealised - standing.maintenance + maintenance
            }
        };
        let (flat, worth) = (leg.qty.is_zero(), settling.value(behind));
        let entry = Money(leg.cost.0.abs());
        let tier_by = if self.shares_tier(holding) { self.both(contract, holding, None) } else { entry };
        let assigned = match holding.margin {
            MarginMode::Isolated => leg.margin + leg.reserve,
            MarginMode::Cross if flat => Money::ZERO,
            MarginMode::Cross => self.cross_needs(market, holding, at, price, taker),
        };
        let side = if leg.qty.units() < 0 { Side::Sell } else { Side::Buy };
        PositionState {
            account,
            instrument: market,
            side: holding.side_of(at),
            qty: leg.qty,
            cost: leg.cost,
            entry: contract.entry_price(Money(leg.cost.0.abs()), size),
            mark: price,
            mark_source: mark.map(|mark| mark.source),
            value,
            unrealised,
            realised: leg.realised,
            fees: leg.fees,
            funding: leg.funding,
            settle: contract.settle,
            margin: holding.margin,
            leverage: if at == 1 { holding.leverage[1] } else { holding.leverage_of(side) },
            assigned,
            maintenance: if flat { Money::ZERO } else { maintenance },
            liquidation: if flat {
                None
            } else {
                liquidation((contract, tier_by), leg, worth, &self.rules, taker)
            },
            bankruptcy: if flat { None } else { bankruptcy(contract, leg, worth) },
        }
    }
}

/// What a position is worth at the mark price, or at its entry where there is none.
fn value(contract: &Contract, leg: &Leg, mark: Option<FinePrice>) -> Money {
    match mark {
        Some(mark) => contract.value_at(mark, Qty::from_units(leg.qty.units().abs())),
        None => Money(leg.cost.0.abs()),
    }
}

/// What a position is worth at the mark price less what it cost.
fn gains(contract: &Contract, leg: &Leg, mark: Option<FinePrice>) -> Money {
    mark.map_or(Money::ZERO, |mark| contract.worth_at(mark, leg.qty) - leg.cost)
}

fn fee_of(value: Money, taker: Rate) -> Money {
    Ratio { num: i128::from(taker.0.max(0)), den: RATE_ONE }.of_up(value)
}

/// The price at which a position with so much behind it has just its maintenance margin left: where value V solves
/// `behind` ± (V − cost) = maintenance(V).
///
/// With maintenance on the entry value and no closing fee, a long of 200,000 XBTUSD at 10,000 and 20x (0.5 %): 9569.38.
/// With maintenance and fee on the mark value, a long of 0.01 BTC at 36,975 and 20x (0.4 % and 0.06 %): 35288.6.
/// `behind` is as values are: of a contract that settles through an index price, the margin times that price.
fn liquidation(
    (contract, tier_by): (&Contract, Money),
    leg: &Leg,
    behind: Money,
    rules: &PositionRules,
    taker: Rate,
) -> Option<FinePrice> {
    let entry = Money(leg.cost.0.abs());
    let (fixed, mut rate) = match rules.maintenance {
        MaintenanceOn::Entry => (contract.maintenance_in(tier_by, entry), 0),
        MaintenanceOn::Mark => {
            let (rate, less) = contract.maintenance_rate(tier_by);
            (-less, i128::from(rate.0))
        }
    };
    if rules.closing_fee {
        rate += i128::from(taker.0.max(0));
    }
    let value = if contract.gains_falling(leg.qty) {
        by_share(entry + behind - fixed, RATE_ONE + rate)
    } else {
        by_share(entry + fixed - behind, RATE_ONE - rate)
    };
    contract.price_of(value, Qty::from_units(leg.qty.units().abs()))
}

/// The price at which a position has lost all that is behind it.
fn bankruptcy(contract: &Contract, leg: &Leg, behind: Money) -> Option<FinePrice> {
    let entry = Money(leg.cost.0.abs());
    let value = if contract.gains_falling(leg.qty) { entry + behind } else { entry - behind };
    contract.price_of(value, Qty::from_units(leg.qty.units().abs()))
}

/// `amount` / (`parts` / 10⁹).
fn by_share(amount: Money, parts: i128) -> Money {
    let (whole, rest) = (amount.0 / parts, amount.0 % parts);
    Money(whole * RATE_ONE + rest * RATE_ONE / parts)
}
