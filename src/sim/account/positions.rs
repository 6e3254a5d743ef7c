//! Positions: who holds how many contracts, what they cost, what stands behind them, and what is known of their prices.
//!
//! Never here: whether an account may still hold them (`margin`), the ledger's rows.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::contract::{Contract, Settling};
use super::watch::Watch;
use crate::market::{FinePrice, FundingRate, InstrumentId, News, Price, Qty, Side, Timestamp};
use crate::order::{
    AccountId, Leverage, MarginMode, Money, OrderId, PositionEffect, PositionMode, PositionSide,
};
use crate::sim::{FundingTimes, KeptPosition, MarkSource, PositionRules, Rate};

/// The middle of the book is looked at so often, in nanoseconds.
const LOOK: i64 = 100_000_000;

/// One position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Leg {
    /// Contracts, negative for shorts.
    pub(crate) qty: Qty,
    /// What they cost, signed as [`Contract::cost`] says.
    pub(crate) cost: Money,
    /// What is put aside for it (isolated).
    pub(crate) margin: Money,
    /// What of it pays the fee of closing at the bankruptcy price, beside `margin`.
    pub(crate) reserve: Money,
    /// Gains less losses of what was closed, fees and funding not counted, since it was last flat.
    pub(crate) realised: Money,
    /// Fees paid since it was last flat.
    pub(crate) fees: Money,
    /// Funding received, negative where paid, since it was last flat.
    pub(crate) funding: Money,
    /// When it was last flat.
    pub(crate) opened: Timestamp,
}

/// Open orders of one side that would open or add.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Working {
    pub(crate) qty: Qty,
    /// At their limits.
    pub(crate) value: Money,
}

/// What an account has to do with one contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Holding {
    pub(crate) mode: PositionMode,
    pub(crate) margin: MarginMode,
    /// For longs and for shorts; one value for both where the mode or the venue knows but one.
    pub(crate) leverage: [Leverage; 2],
    /// The net position alone, or the long and the short one.
    pub(crate) legs: [Leg; 2],
    /// By side of the orders.
    pub(crate) working: [Working; 2],
    /// Resting orders that only close, oldest first.
    pub(crate) closing: Vec<OrderId>,
}

impl Holding {
    /// The position that an order of this side and effect is about.
    pub(crate) fn leg(&self, side: Side, effect: PositionEffect) -> usize {
        match (self.mode, effect) {
            (PositionMode::OneWay, _) => 0,
            (PositionMode::Hedge, PositionEffect::Close) => side.opposite().index(),
            (PositionMode::Hedge, PositionEffect::Net | PositionEffect::Open) => side.index(),
        }
    }

    /// How much an order of this side could close.
    pub(crate) fn closable(&self, side: Side) -> Qty {
        let held = self.legs[self.leg(side, PositionEffect::Close)].qty;
        let closes = if side == Side::Sell { held } else { -held };
        closes.max(Qty::ZERO)
    }

    pub(crate) fn is_flat(&self) -> bool {
        self.legs.iter().all(|leg| leg.qty.is_zero())
    }

    /// The name of a leg.
    pub(crate) fn side_of(&self, leg: usize) -> PositionSide {
        match (self.mode, leg) {
            (PositionMode::OneWay, _) => PositionSide::Net,
            (PositionMode::Hedge, 0) => PositionSide::Long,
            (PositionMode::Hedge, _) => PositionSide::Short,
        }
    }

    /// The leverage of what is held, or would be, on a side.
    pub(crate) fn leverage_of(&self, side: Side) -> Leverage {
        self.leverage[side.index()]
    }
}

/// An account's holdings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Trader {
    /// The mode of contracts that it has not touched.
    mode: Option<PositionMode>,
    /// By market.
    holdings: Vec<Option<Box<Holding>>>,
}

/// What is known of a contract's prices and of its funding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    mark: Option<(FinePrice, Timestamp)>,
    /// One that was told beside the tape.
    beside: Option<(FinePrice, Timestamp)>,
    index: Option<(FinePrice, Timestamp)>,
    /// The smoothed middle of the book.
    mid: Option<(FinePrice, Timestamp)>,
    rate: Option<(FundingRate, Timestamp)>,
    /// The next funding; the end of time until the market's first message.
    pub(crate) next: Timestamp,
}

impl Default for Told {
    fn default() -> Self {
        Self { mark: None, beside: None, index: None, mid: None, rate: None, next: Timestamp::MAX }
    }
}

impl Told {
    /// Whether the middle of the book would be heard now.
    #[inline]
    fn wants_mid(&self, now: Timestamp) -> bool {
        self.mark.is_none()
            && self.index.is_none()
            && self.mid.is_none_or(|(_, at)| now.nanos_since(at) >= LOOK)
    }
}

/// A mark price, where it comes from and when it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) price: FinePrice,
    pub(crate) source: MarkSource,
    pub(crate) at: Timestamp,
}

/// One contract of the run.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) contract: Contract,
    pub(crate) margin: MarginMode,
    pub(crate) times: FundingTimes,
    /// The rate where the tape has none.
    pub(crate) rate: FundingRate,
    /// The taker's fee rate that margins reckon with.
    pub(crate) taker: Rate,
}

/// What one fill did to a position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Booked {
    /// How much of it closed.
    pub(crate) closed: Qty,
    /// What closing gained.
    pub(crate) realised: Money,
    /// What is put aside more, or less.
    pub(crate) held: Money,
}

/// All positions, and what they are reckoned with.
#[derive(Clone, Debug)]
pub(crate) struct Positions {
    pub(crate) rules: PositionRules,
    /// By market; `None`: spot.
    pub(crate) listed: Vec<Option<Listed>>,
    pub(crate) told: Vec<Told>,
    traders: Vec<Trader>,
    /// By market: who holds any.
    pub(super) exposed: Vec<BTreeSet<AccountId>>,
    /// By market: at which marks who of them is looked at.
    pub(crate) watch: Vec<Watch>,
    /// Room for those who are looked at.
    pub(crate) due: Vec<AccountId>,
    /// Whose risk must be looked at: they filled, or their margin changed.
    pub(crate) uneasy: BTreeSet<AccountId>,
    /// Whose closing orders may come to more than their position.
    pub(crate) to_trim: BTreeSet<(AccountId, InstrumentId)>,
}

/// Positions as they are saved.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SavedPositions {
    told: Vec<Told>,
    traders: Vec<Trader>,
}

impl Positions {
    pub(crate) fn new(rules: PositionRules, listed: Vec<Option<Listed>>) -> Self {
        let markets = listed.len();
        Self {
            rules,
            listed,
            told: vec![Told::default(); markets],
            traders: Vec::new(),
            exposed: vec![BTreeSet::new(); markets],
            watch: vec![Watch::default(); markets],
            due: Vec::new(),
            uneasy: BTreeSet::new(),
            to_trim: BTreeSet::new(),
        }
    }

    pub(crate) fn save(&self) -> SavedPositions {
        SavedPositions { told: self.told.clone(), traders: self.traders.clone() }
    }

    pub(crate) fn restore(&mut self, saved: SavedPositions) {
        self.told = saved.told;
        self.told.resize(self.listed.len(), Told::default());
        self.traders = saved.traders;
        for (at, trader) in self.traders.iter().enumerate() {
            for (market, holding) in trader.holdings.iter().enumerate() {
                if holding.as_ref().is_some_and(|holding| !holding.is_flat())
                    && let Some(exposed) = self.exposed.get_mut(market)
                {
                    exposed.insert(AccountId(at as u32));
                    self.watch[market].doubt(AccountId(at as u32));
                }
            }
        }
    }

    #[inline]
    pub(crate) fn contract(&self, market: InstrumentId) -> Option<&Contract> {
        self.listed.get(market.index())?.as_ref().map(|listed| &listed.contract)
    }

    /// The markets that are of contracts.
    pub(crate) fn contracts(&self) -> impl Iterator<Item = InstrumentId> + '_ {
        let all = (0..).map(InstrumentId).zip(&self.listed);
        all.filter_map(|(market, listed)| listed.is_some().then_some(market))
    }

    /// Whether there is a contract at all.
    pub(crate) fn any(&self) -> bool {
        self.listed.iter().any(Option::is_some)
    }

    pub(crate) fn holding(&self, account: AccountId, market: InstrumentId) -> Option<&Holding> {
        self.traders.get(account.0 as usize)?.holdings.get(market.index())?.as_deref()
    }

    /// What an account has to do with a contract, from now on at the latest; `None` for spot.
    pub(crate) fn holding_mut(&mut self, account: AccountId, market: InstrumentId) -> Option<&mut Holding> {
        let listed = self.listed.get(market.index())?.as_ref()?;
        let at = account.0 as usize;
        if at >= self.traders.len() {
            self.traders.resize_with(at + 1, Trader::default);
        }
        let trader = &mut self.traders[at];
        if market.index() >= trader.holdings.len() {
            trader.holdings.resize_with(market.index() + 1, || None);
        }
        let mode = trader.mode.unwrap_or(self.rules.mode);
        let holding = trader.holdings[market.index()].get_or_insert_with(|| {
            let leverage = listed.contract.leverage.min(listed.contract.max_leverage());
            Box::new(Holding {
                mode,
                margin: listed.margin,
                leverage: [leverage; 2],
                legs: [Leg::default(); 2],
                working: [Working::default(); 2],
                closing: Vec::new(),
            })
        });
        Some(holding)
    }

    /// The contracts that an account has ever had to do with.
    pub(crate) fn holdings(&self, account: AccountId) -> impl Iterator<Item = (InstrumentId, &Holding)> {
        let holdings = self.traders.get(account.0 as usize).map(|trader| trader.holdings.as_slice());
        let numbered = holdings.unwrap_or_default().iter().enumerate();
        numbered.filter_map(|(at, holding)| Some((InstrumentId(at as u32), holding.as_deref()?)))
    }

    /// The mode of an account in a contract.
    pub(crate) fn mode(&self, account: AccountId, market: InstrumentId) -> PositionMode {
        match self.holding(account, market) {
            Some(holding) => holding.mode,
            None => {
                let trader = self.traders.get(account.0 as usize);
                trader.and_then(|trader| trader.mode).unwrap_or(self.rules.mode)
            }
        }
    }

    /// Sets the mode of an account for contracts that it has not touched.
    pub(crate) fn set_default_mode(&mut self, account: AccountId, mode: PositionMode) {
        let at = account.0 as usize;
        if at >= self.traders.len() {
            self.traders.resize_with(at + 1, Trader::default);
        }
        self.traders[at].mode = Some(mode);
        for holding in self.traders[at].holdings.iter_mut().flatten() {
            holding.mode = mode;
        }
    }

    /// Who holds any of a contract, in ascending order.
    pub(crate) fn exposed(&self, market: InstrumentId) -> impl Iterator<Item = AccountId> {
        self.exposed.get(market.index()).into_iter().flatten().copied()
    }

    /// Gives an account a position that it had. False where it cannot have it: it holds one there, the venue has no such
    /// mode, or what it cost does not fit what it is.
    pub(crate) fn hold(&mut self, kept: &KeptPosition, put_aside: Money, now: Timestamp) -> bool {
        let (account, market) = (kept.account, kept.instrument);
        let (mode, at) = match kept.side {
            PositionSide::Net => (PositionMode::OneWay, 0),
            PositionSide::Long => (PositionMode::Hedge, 0),
            PositionSide::Short => (PositionMode::Hedge, 1),
        };
        let (rules, taker) =
            (self.rules, self.listed.get(market.index()).and_then(Option::as_ref).map(|l| l.taker));
        let (Some(contract), Some(taker)) = (self.contract(market).cloned(), taker) else { return false };
        let sign = contract.sign() * i128::from(kept.qty.units().signum());
        let side_fits = match kept.side {
            PositionSide::Net => true,
            PositionSide::Long => kept.qty.units() > 0,
            PositionSide::Short => kept.qty.units() < 0,
        };
        let fits = !kept.qty.is_zero() && kept.cost.0.signum() == sign && side_fits;
        if !fits || (mode == PositionMode::Hedge && !rules.hedge) {
            return false;
        }
        let Some(holding) = self.holding_mut(account, market) else { return false };
        if !holding.legs[at].qty.is_zero() || (holding.mode != mode && !holding.is_flat()) {
            return false;
        }
        (holding.mode, holding.margin) = (mode, kept.margin);
        let leverage = kept.leverage.min(contract.max_leverage());
        match kept.side {
            PositionSide::Net => holding.leverage = [leverage; 2],
            PositionSide::Long | PositionSide::Short => holding.leverage[at] = leverage,
        }
        let value = Money(kept.cost.0.abs());
        let settling =
            self.settling(market, || contract.price_of(value, Qty::from_units(kept.qty.units().abs())));
        let Some(holding) = self.holding_mut(account, market) else { return false };
        let needs = contract.initial(leverage, value).of_up(value);
        let fee =
            if rules.reserve { contract.closing_fee(kept.qty, value, needs, taker) } else { Money::ZERO };
        let reserve = settling.up(fee).min(put_aside);
        holding.legs[at] = Leg {
            qty: kept.qty,
            cost: kept.cost,
            margin: put_aside - reserve,
            reserve,
            realised: kept.realised,
            fees: kept.fees,
            funding: kept.funding,
            opened: now,
        };
        if rules.mode_of_account {
            self.set_default_mode(account, mode);
        }
        self.exposed[market.index()].insert(account);
        self.watch[market.index()].doubt(account);
        self.uneasy.insert(account);
        true
    }

    /// Books the fill of an order of an account at its venue's price.
    pub(crate) fn fill(
        &mut self,
        (account, market): (AccountId, InstrumentId),
        (side, effect): (Side, PositionEffect),
        (price, qty): (Price, Qty),
        (now, taker): (Timestamp, Rate),
    ) -> Booked {
        let reserves = self.rules.reserve;
        // The holding is there: its order made it.
        if self.holding_mut(account, market).is_none() {
            return Booked::default();
        }
        let Some(Some(Listed { contract, .. })) = self.listed.get(market.index()) else {
            return Booked::default();
        };
        let settling = self.settling(market, || contract.price_of(contract.value(price, qty), qty));
        let Some(holding) = self.traders[account.0 as usize].holdings[market.index()].as_deref_mut() else {
            return Booked::default();
        };
        let (at, was_flat) = (holding.leg(side, effect), holding.is_flat());
        let (isolated, leverage) = (holding.margin == MarginMode::Isolated, holding.leverage_of(side));
        let leg = &mut holding.legs[at];
        let signed = if side == Side::Buy { qty } else { -qty };
        let mut booked = Booked::default();
        let closes = leg.qty.units().signum() == -signed.units().signum() && !leg.qty.is_zero();
        if closes {
            let part = Qty::from_units(leg.qty.units().abs().min(qty.units()));
            booked = leg.close(contract, settling, (price, part), side);
        }
        let rest = qty - booked.closed;
        if !rest.is_zero() {
            if leg.qty.is_zero() {
                *leg = Leg { opened: now, ..Leg::default() };
            }
            let cost = contract.cost(price, if side == Side::Buy { rest } else { -rest });
            leg.qty += if side == Side::Buy { rest } else { -rest };
            leg.cost += cost;
            if isolated {
                let value = Money(cost.0.abs());
                let margin = contract.initial(leverage, Money(leg.cost.0.abs())).of_up(value);
                let reserve =
                    if reserves { contract.closing_fee(leg.qty, value, margin, taker) } else { Money::ZERO };
                let (margin, reserve) = (settling.up(margin), settling.up(reserve));
                leg.margin += margin;
                leg.reserve += reserve;
                booked.held += margin + reserve;
            }
        }
        if holding.is_flat() {
            self.exposed[market.index()].remove(&account);
            self.watch[market.index()].forget(account);
        } else {
            if was_flat {
                self.exposed[market.index()].insert(account);
            }
            self.watch[market.index()].doubt(account);
        }
        self.uneasy.insert(account);
        if !holding.closing.is_empty() {
            self.to_trim.insert((account, market));
        }
        booked
    }

    /// Notes a fee or a funding payment of a position, negative where received.
    pub(crate) fn note_paid(
        &mut self,
        account: AccountId,
        market: InstrumentId,
        leg: usize,
        fee: Money,
        funding: Money,
    ) {
        if let Some(holding) = self.holding_mut(account, market) {
            holding.legs[leg].fees += fee;
            holding.legs[leg].funding += funding;
        }
    }

    /// So much of what was to be put aside for an isolated position was not there.
    pub(crate) fn margin_short(&mut self, account: AccountId, market: InstrumentId, leg: usize, by: Money) {
        if by.0 <= 0 {
            return;
        }
        if let Some(holding) = self.holding_mut(account, market) {
            let leg = &mut holding.legs[leg];
            let from_reserve = by.min(leg.reserve);
            leg.reserve -= from_reserve;
            leg.margin -= by - from_reserve;
        }
    }

    /// Takes a position away: it was liquidated. Returns what it was.
    pub(crate) fn take_away(
        &mut self,
        account: AccountId,
        market: InstrumentId,
        at: usize,
        qty: Qty,
    ) -> Option<Leg> {
        let quantum = self.contract(market)?.quantum;
        let holding = self.holding_mut(account, market)?;
        let leg = holding.legs[at];
        holding.legs[at] = leg.without(qty, quantum);
        if holding.is_flat() {
            self.exposed[market.index()].remove(&account);
            self.watch[market.index()].forget(account);
        }
        self.to_trim.insert((account, market));
        Some(leg)
    }

    /// Hears what is told of a contract beside its market. True where its mark price moved.
    pub(crate) fn hear(&mut self, market: InstrumentId, news: News, now: Timestamp) -> bool {
        let Some(told) = self.told.get_mut(market.index()) else { return false };
        match news {
            News::Mark(price) => told.mark = Some((price, now)),
            News::MarkBeside(price) => told.beside = Some((price, now)),
            News::Index(price) => told.index = Some((price, now)),
            News::Funding { rate, due } => {
                told.rate = Some((rate, due));
                if due > now && due < Timestamp::MAX {
                    told.next = due;
                }
                return false;
            }
            News::Liquidation { .. } => return false,
        }
        true
    }

    /// The smoothed middle of the book so far.
    pub(crate) fn mid(&self, market: InstrumentId) -> Option<(FinePrice, Timestamp)> {
        self.told.get(market.index())?.mid
    }

    /// Hears the smoothed middle of a trusted book, where nothing better is told.
    pub(crate) fn hear_mid(&mut self, market: InstrumentId, mid: FinePrice, now: Timestamp) {
        if let Some(told) = self.told.get_mut(market.index()) {
            told.mid = Some((mid, now));
        }
    }

    /// Whether the middle of the book would be heard now.
    pub(crate) fn wants_mid(&self, market: InstrumentId, now: Timestamp) -> bool {
        self.told.get(market.index()).is_some_and(|told| told.wants_mid(now))
    }

    /// Whether time alone does something to a contract's prices now: nearly never.
    #[inline]
    pub(crate) fn is_due(&self, market: InstrumentId, now: Timestamp) -> bool {
        self.told
            .get(market.index())
            .is_some_and(|told| told.beside.is_some() || told.next == Timestamp::MAX || told.wants_mid(now))
    }

    /// A mark price from beside the tape holds for so long; true where it has just gone.
    pub(crate) fn lapse(&mut self, market: InstrumentId, now: Timestamp, after: i64) -> bool {
        let Some(told) = self.told.get_mut(market.index()) else { return false };
        told.beside.take_if(|(_, at)| now.nanos_since(*at) > after).is_some()
    }

    /// The mark price: the tape's; else one from beside it; else its index price; else the smoothed middle of the book.
    pub(crate) fn mark(&self, market: InstrumentId) -> Option<Mark> {
        let told = self.told.get(market.index())?;
        let of = |source: MarkSource| move |(price, at)| Mark { price, source, at };
        let mark = told.mark.map(of(MarkSource::Tape));
        let mark = mark.or_else(|| told.beside.map(of(MarkSource::Beside)));
        mark.or_else(|| told.index.map(of(MarkSource::Index))).or_else(|| told.mid.map(of(MarkSource::Mid)))
    }

    /// The index price that the tape told last.
    pub(crate) fn index(&self, market: InstrumentId) -> Option<FinePrice> {
        self.told.get(market.index())?.index.map(|(price, _)| price)
    }

    /// How values of a contract are settled: through the index price, else the mark price, else what `other` says, where
    /// it settles in a coin that it is not reckoned in.
    #[inline]
    pub(crate) fn settling(
        &self,
        market: InstrumentId,
        other: impl FnOnce() -> Option<FinePrice>,
    ) -> Settling {
        match self.contract(market) {
            Some(contract) if contract.through_index => {
                let mark = || self.mark(market).map(|mark| mark.price);
                let coin = self.index(market).or_else(mark).or_else(other);
                coin.map_or(Settling::PLAIN, |coin| Settling::through(coin, contract.quantum))
            }
            _ => Settling::PLAIN,
        }
    }

    /// How what a position is worth is settled.
    #[inline]
    pub(crate) fn settling_of(&self, market: InstrumentId, leg: &Leg) -> Settling {
        let size = Qty::from_units(leg.qty.units().abs());
        self.settling(market, || self.contract(market)?.price_of(Money(leg.cost.0.abs()), size))
    }

    /// The rate of the next funding, whether the tape told it, and when that is due.
    pub(crate) fn funding(&self, market: InstrumentId) -> Option<(FundingRate, bool, Timestamp)> {
        let (told, listed) = (self.told.get(market.index())?, self.listed.get(market.index())?.as_ref()?);
        let holds = |due: Timestamp| due == Timestamp::MAX || due == told.next;
        match told.rate {
            Some((rate, due)) if holds(due) => Some((rate, true, told.next)),
            _ => Some((listed.rate, false, told.next)),
        }
    }

    /// The first funding of a contract after a time, by its venue's times.
    pub(crate) fn funding_after(&self, market: InstrumentId, now: Timestamp) -> Timestamp {
        let listed = self.listed.get(market.index()).and_then(Option::as_ref);
        listed.map_or(Timestamp::MAX, |listed| listed.times.next(now))
    }
}

impl Leg {
    /// Closes a part at a price by an order of `side`.
    fn close(
        &mut self,
        contract: &Contract,
        settling: Settling,
        (price, part): (Price, Qty),
        side: Side,
    ) -> Booked {
        let exit = contract.cost(price, if side == Side::Buy { part } else { -part });
        let left = self.without(part, contract.quantum);
        let realised = settling.nearest(Money(-exit.0 - (self.cost.0 - left.cost.0)));
        let held = left.margin + left.reserve - self.margin - self.reserve;
        *self = left;
        self.realised += realised;
        Booked { closed: part, realised, held }
    }

    /// What of it is gone when `after` is left.
    pub(crate) fn minus(self, after: Self) -> Self {
        Self {
            qty: self.qty - after.qty,
            cost: self.cost - after.cost,
            margin: self.margin - after.margin,
            reserve: self.reserve - after.reserve,
            ..self
        }
    }

    /// What is left when a part is gone: cost and margin go with it in proportion.
    pub(crate) fn without(self, part: Qty, quantum: i128) -> Self {
        let (all, part) = (i128::from(self.qty.units().abs()), i128::from(part.units()));
        if part >= all {
            return Self {
                qty: Qty::ZERO,
                cost: Money::ZERO,
                margin: Money::ZERO,
                reserve: Money::ZERO,
                ..self
            };
        }
        let keeps = |amount: Money| match amount {
            Money::ZERO => Money::ZERO,
            amount => Money(amount.0 - share(amount.0 / quantum, part, all) * quantum),
        };
        let qty = self.qty.units() - self.qty.units().signum() * part as i64;
        Self {
            qty: Qty::from_units(qty),
            cost: keeps(self.cost),
            margin: keeps(self.margin),
            reserve: keeps(self.reserve),
            ..self
        }
    }
}

/// `amount` × `part` / `all`, to the nearest, away from zero on ties.
fn share(amount: i128, part: i128, all: i128) -> i128 {
    let (whole, rest) = (amount / all, amount % all);
    let product = rest * part;
    let half = if product < 0 { -(all / 2) } else { all / 2 };
    whole * part + (product + half) / all
}
