//! What happens to positions beside trading: news of their prices, funding, settings, liquidation.
//!
//! Rules (c) to (m) of `docs/perpetuals.md`. Never here: fills, the formulas of margin (`account/margin.rs`).

use std::time::Duration;

use super::account::{About, Leg, Mark, Posting};
use super::wire::hand_on;
use super::{
    Cause, FundingPayment, KeptPosition, Liquidation, Owner, PositionState, Setting, SimulatedExchange,
    Update, UpdateBody,
};
use crate::market::{FinePrice, Group, InstrumentId, MarketEvent, News, Qty, Side, Timestamp};
use crate::order::{
    AccountId, CancelReason, Leverage, MarginMode, Money, PositionMode, PositionSide, RejectReason, TriggerBy,
};

/// A mark price that is older liquidates nobody.
const FRESH: Duration = Duration::from_secs(60);

/// A position of an account: its contract, and which of the two in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    account: AccountId,
    market: InstrumentId,
    leg: usize,
}

impl SimulatedExchange {
    /// A group of a contract was applied: what it told beside the market is heard, and risk is looked at.
    #[inline]
    pub(super) fn after_group(&mut self, group: &Group<'_>, updates: &mut Vec<Update>) {
        let news = group.events.iter().any(|event| matches!(event, MarketEvent::News(_)));
        if news || self.positions.is_due(group.instrument, self.now) {
            self.hear_group(group, updates);
        }
        self.settle_positions(updates);
    }

    #[inline(never)]
    fn hear_group(&mut self, group: &Group<'_>, updates: &mut Vec<Update>) {
        let market = group.instrument;
        let mut moved = self.positions.lapse(market, self.now, FRESH.as_nanos() as i64);
        for event in group.events {
            if let MarketEvent::News(news) = event {
                moved |= self.hear(market, *news, updates);
            }
        }
        if self.positions.told[market.index()].next == Timestamp::MAX {
            self.plan_funding(market, self.positions.funding_after(market, self.now));
        }
        if self.positions.wants_mid(market, self.now) {
            moved |= self.hear_mid(market);
        }
        if moved {
            self.check_market(market, updates);
        }
    }

    #[cold]
    fn hear(&mut self, market: InstrumentId, news: News, updates: &mut Vec<Update>) -> bool {
        let before = self.positions.told[market.index()].next;
        let moved = self.positions.hear(market, news, self.now);
        let next = self.positions.told[market.index()].next;
        if next != before {
            self.schedule.fund_at(next, before, market);
        }
        let told = match news {
            News::Mark(price) => Some((TriggerBy::Mark, price)),
            News::Index(price) => Some((TriggerBy::Index, price)),
            News::MarkBeside(price) => Some((TriggerBy::Mark, price)),
            News::Funding { .. } | News::Liquidation { .. } => None,
        };
        if let (Some((by, price)), Some(mut floor)) = (told, self.floor(market, updates)) {
            floor.trigger_by(by, price);
        }
        moved
    }

    fn hear_mid(&mut self, market: InstrumentId) -> bool {
        let found = &self.markets[market.index()];
        let best = |side| found.book.best_price(side);
        let (true, Some(bid), Some(ask)) = (found.trusted, best(Side::Buy), best(Side::Sell)) else {
            return false;
        };
        let scale = u32::from(FinePrice::SCALE).saturating_sub(u32::from(found.instrument.price_scale));
        let sum = i128::from(bid.units()) + i128::from(ask.units());
        let Ok(mid) = i64::try_from(sum * i128::from(10_i64.pow(scale)) / 2) else { return false };
        let mid = FinePrice::from_units(mid);
        let smoothed = match self.positions.mid(market) {
            Some((before, at)) => smoothed(before, mid, self.now.nanos_since(at)),
            None => mid,
        };
        self.positions.hear_mid(market, smoothed, self.now);
        true
    }

    fn plan_funding(&mut self, market: InstrumentId, next: Timestamp) {
        let told = &mut self.positions.told[market.index()];
        let before = std::mem::replace(&mut told.next, next);
        self.schedule.fund_at(next, before, market);
    }

    /// Funding is due: every position pays or receives its share at the last mark price.
    pub(super) fn fund(&mut self, market: InstrumentId, due: Timestamp, updates: &mut Vec<Update>) {
        let (rate, mark) = (self.positions.funding(market), self.positions.mark(market));
        if let (Some((rate, ..)), Some(mark)) = (rate, mark) {
            let accounts: Vec<AccountId> = self.positions.exposed(market).collect();
            for account in accounts {
                for leg in 0..2 {
                    self.fund_leg(Place { account, market, leg }, rate, mark.price, updates);
                }
                self.positions.uneasy.insert(account);
            }
        }
        self.plan_funding(market, self.positions.funding_after(market, due));
        self.settle_positions(updates);
    }

    fn fund_leg(
        &mut self,
        place: Place,
        rate: crate::market::FundingRate,
        mark: FinePrice,
        updates: &mut Vec<Update>,
    ) {
        let Place { account, market, leg } = place;
        let (Some(contract), Some(holding)) =
            (self.positions.contract(market), self.positions.holding(account, market))
        else {
            return;
        };
        let held = holding.legs[leg];
        let value = contract.value_at(mark, Qty::from_units(held.qty.units().abs()));
        let settling = self.positions.settling_of(market, &held);
        let longs_pay = settling.nearest(contract.funding(value, rate));
        let amount = if held.qty.units() > 0 { -longs_pay } else { longs_pay };
        if held.qty.is_zero() || amount.is_zero() {
            return;
        }
        let (settle, side) = (contract.settle, holding.side_of(leg));
        let isolated = holding.margin == MarginMode::Isolated;
        let about = About { instrument: Some(market), ..About::default() };
        // An isolated position pays from its margin, as far as that goes.
        let from_margin = if isolated { Money((-amount.0).clamp(0, held.margin.0)) } else { Money::ZERO };
        if let Some(holding) = self.positions.holding_mut(account, market) {
            holding.legs[leg].margin -= from_margin;
        }
        let owner = Owner::Account(account);
        let free = self.accounts.balance(account, settle).available() + from_margin;
        let short = Money((-(free + amount).0).max(0));
        self.accounts.begin();
        let row = Posting::new(owner, settle, amount + short, Cause::Funding);
        self.accounts.post(self.now, Posting { hold: -from_margin, ..row }, about, updates);
        for (owner, amount) in [(Owner::Funding, -amount), (Owner::Insurance, -short)] {
            if !amount.is_zero() {
                self.accounts.post(
                    self.now,
                    Posting::new(owner, settle, amount, Cause::Funding),
                    about,
                    updates,
                );
            }
        }
        self.positions.note_paid(account, market, leg, Money::ZERO, -amount);
        let payment =
            FundingPayment { account, instrument: market, side, qty: held.qty, mark, rate, amount, settle };
        self.tell(UpdateBody::Funding(Box::new(payment)), updates);
        self.tell_position(place, updates);
    }

    fn tell(&self, body: UpdateBody, updates: &mut Vec<Update>) {
        let at = self.now;
        hand_on(updates, || Update { at, deliver_at: at, body });
    }

    fn shown(&self, place: Place) -> Option<PositionState> {
        self.positions.show(&self.accounts, place.account, place.market).nth(place.leg)
    }

    fn tell_position(&self, place: Place, updates: &mut Vec<Update>) {
        if let Some(state) = self.shown(place) {
            self.tell(UpdateBody::Position(Box::new(state)), updates);
        }
    }

    /// Looks at what fills left behind: orders that only close are cut, and risk is checked.
    #[inline]
    pub(super) fn settle_positions(&mut self, updates: &mut Vec<Update>) {
        if !self.positions.to_trim.is_empty() || !self.positions.uneasy.is_empty() {
            self.settle_touched(updates);
        }
    }

    #[inline(never)]
    fn settle_touched(&mut self, updates: &mut Vec<Update>) {
        // What one round does may call for another; each closes something, so that there is a last one.
        while let Some((account, market)) = self.positions.to_trim.pop_first() {
            if let Some(mut floor) = self.floor(market, updates) {
                floor.trim(account);
            }
        }
        while let Some(account) = self.positions.uneasy.pop_first() {
            self.check_account(account, updates);
            self.positions.doubt(account);
            while let Some((account, market)) = self.positions.to_trim.pop_first() {
                if let Some(mut floor) = self.floor(market, updates) {
                    floor.trim(account);
                }
            }
        }
    }

    /// A mark price moved: everybody whose risk that can change, in ascending order.
    fn check_market(&mut self, market: InstrumentId, updates: &mut Vec<Update>) {
        while let Some(account) = self.accounts.next_moved() {
            self.positions.doubt(account);
        }
        let Some(mark) = self.positions.mark(market) else { return };
        let watch = &mut self.positions.watch[market.index()];
        if watch.is_quiet(mark.price) {
            return;
        }
        let mut due = std::mem::take(&mut self.positions.due);
        watch.due(mark.price, &mut due);
        for account in due.iter().copied() {
            self.check_account(account, updates);
            self.positions.set_bounds(&mut self.accounts, account);
        }
        self.positions.due = due;
    }

    fn fresh(&self, mark: Mark) -> bool {
        self.now.nanos_since(mark.at) <= FRESH.as_nanos() as i64
    }

    /// Whether an account may go on; what may not is liquidated.
    fn check_account(&mut self, account: AccountId, updates: &mut Vec<Update>) {
        while let Some(place) = self.lost_isolated(account) {
            self.end_all(account, Some(place.market), CancelReason::Liquidation, updates);
            self.take_over_isolated(place, updates);
        }
        let mut asset = 0;
        while asset < self.accounts.assets().len() as u16 {
            if self.is_lost(account, asset) {
                self.liquidate_cross(account, asset, updates);
            }
            asset += 1;
        }
    }

    fn lost_isolated(&self, account: AccountId) -> Option<Place> {
        self.positions.holdings(account).find_map(|(market, holding)| {
            let fresh = self.positions.mark(market).is_some_and(|mark| self.fresh(mark));
            if !fresh || holding.margin != MarginMode::Isolated {
                return None;
            }
            let lost = |leg: &usize| self.positions.leg_is_lost(market, holding, &holding.legs[*leg]);
            (0..2).find(lost).map(|leg| Place { account, market, leg })
        })
    }

    /// Whether the cross positions of an account in a settlement currency are lost. Not while a mark price among them is
    /// old.
    fn is_lost(&self, account: AccountId, asset: u16) -> bool {
        let mut any = false;
        for place in self.cross_places(account, asset) {
            any = true;
            if !self.positions.mark(place.market).is_some_and(|mark| self.fresh(mark)) {
                return false;
            }
        }
        any && self.positions.standing(&self.accounts, account, asset).is_lost()
    }

    fn cross_places(&self, account: AccountId, asset: u16) -> impl Iterator<Item = Place> + '_ {
        let cross = self.positions.holdings(account).filter(move |(market, holding)| {
            let settle = self.positions.contract(*market).map(|contract| contract.settle);
            holding.margin == MarginMode::Cross && settle == Some(asset)
        });
        cross.flat_map(move |(market, holding)| {
            let held = (0..2).filter(|leg| !holding.legs[*leg].qty.is_zero());
            held.map(move |leg| Place { account, market, leg })
        })
    }

    /// How much of a position brings it, or both of a contract where those are added, into the tier below; `None` where
    /// the venue does not step down, or it is in the lowest tier.
    fn step_down(&self, place: Place) -> Option<Qty> {
        if !self.positions.rules.steps_down {
            return None;
        }
        let holding = self.positions.holding(place.account, place.market)?;
        let (contract, mark) = (self.positions.contract(place.market)?, self.positions.mark(place.market)?);
        let qty = Qty::from_units(holding.legs[place.leg].qty.units().abs());
        let value = contract.value_at(mark.price, qty);
        let tier_by = match self.positions.shares_tier(holding) {
            true => self.positions.both(contract, holding, Some(mark.price)),
            false => value,
        };
        let over = tier_by - contract.tier_floor(tier_by)?;
        let (lot, units) = (self.markets[place.market.index()].lot(), i128::from(qty.units()));
        let lots = over.0 / i128::from(lot.units()) * units / value.0.max(1) + 1;
        Some(Qty::from_units(i64::try_from(lots * i128::from(lot.units())).unwrap_or(i64::MAX)).min(qty))
    }

    /// An isolated position, or a part of it, goes at its bankruptcy price: its margin is lost.
    fn take_over_isolated(&mut self, place: Place, updates: &mut Vec<Update>) {
        let Place { account, market, leg } = place;
        let shown = self.shown(place);
        let (Some(mark), Some(shown)) = (self.positions.mark(market), shown) else { return };
        let part = self.step_down(place).unwrap_or(Qty::from_units(shown.qty.units().abs()));
        let Some(before) = self.positions.take_away(account, market, leg, part) else { return };
        let after =
            self.positions.holding(account, market).map(|holding| holding.legs[leg]).unwrap_or_default();
        let Some(contract) = self.positions.contract(market) else { return };
        let taken = before.minus(after);
        let (settle, at_mark) = (contract.settle, self.positions.gains(market, &taken));
        let (lost, fee) = (taken.margin, taken.reserve);
        let about = About { instrument: Some(market), ..About::default() };
        let insurance = lost + at_mark;
        self.accounts.begin();
        let row = Posting::new(Owner::Account(account), settle, -(lost + fee), Cause::Liquidation);
        self.accounts.post(self.now, Posting { hold: -(lost + fee), ..row }, about, updates);
        let others = [(Owner::Market, -at_mark), (Owner::Insurance, insurance), (Owner::Fees, fee)];
        for (owner, amount) in others.into_iter().filter(|(_, amount)| !amount.is_zero()) {
            self.accounts.post(
                self.now,
                Posting::new(owner, settle, amount, Cause::Liquidation),
                about,
                updates,
            );
        }
        self.tell_liquidation(place, taken.qty, mark.price, &shown, -(lost + fee), insurance, updates);
    }

    #[allow(clippy::too_many_arguments, reason = "the facts of one update")]
    fn tell_liquidation(
        &mut self,
        place: Place,
        qty: Qty,
        mark: FinePrice,
        shown: &PositionState,
        amount: Money,
        insurance: Money,
        updates: &mut Vec<Update>,
    ) {
        let told = Liquidation {
            account: place.account,
            instrument: place.market,
            side: shown.side,
            qty,
            mark,
            price: shown.bankruptcy,
            amount,
            insurance,
            settle: shown.settle,
        };
        self.tell(UpdateBody::Liquidation(Box::new(told)), updates);
        self.tell_position(place, updates);
    }

    /// The cross positions of an account in a settlement currency are lost. Its orders in all contracts that settle in it
    /// are cancelled; where the venue steps down, parts go until what is left can stay or is in the lowest tiers; else,
    /// and then, everything goes.
    fn liquidate_cross(&mut self, account: AccountId, asset: u16, updates: &mut Vec<Update>) {
        let settles = |market: &InstrumentId| {
            self.positions.contract(*market).is_some_and(|contract| contract.settle == asset)
        };
        let markets: Vec<InstrumentId> =
            self.positions.holdings(account).map(|(market, _)| market).filter(settles).collect();
        for market in markets {
            self.end_all(account, Some(market), CancelReason::Liquidation, updates);
        }
        while self.is_lost(account, asset) {
            // Each step leaves a tier for good: there is a last one.
            if !self.step_cross_down(account, asset, updates) {
                return self.take_over_all(account, asset, updates);
            }
        }
    }

    /// The part of an account's cross positions that brings the one with the most maintenance margin into the tier below
    /// goes, with its share of the equity; false where all are in their lowest tier.
    fn step_cross_down(&mut self, account: AccountId, asset: u16, updates: &mut Vec<Update>) -> bool {
        let needs = |place: &Place| {
            let shown = self.shown(*place);
            shown.map_or(Money::ZERO, |shown| shown.maintenance)
        };
        let above: Vec<(Place, Qty)> = self
            .cross_places(account, asset)
            .filter_map(|place| Some((place, self.step_down(place)?)))
            .collect();
        let most = above
            .into_iter()
            .max_by_key(|(place, _)| (needs(place), std::cmp::Reverse((place.market, place.leg))));
        let Some((place, part)) = most else { return false };
        let shown = self.shown(place);
        let Some(shown) = shown else { return false };
        let standing = self.positions.standing(&self.accounts, account, asset);
        let equity = standing.free + standing.unrealised;
        let all = i128::from(shown.qty.units().abs());
        let of_part = share_of(shown.maintenance, i128::from(part.units()), all);
        let share = share_of(equity, of_part.0, standing.maintenance.0);
        self.take_over_cross(place, &shown, (part, share), updates);
        true
    }

    /// All cross positions of an account in a settlement currency go: what is left of its equity is shared among them by
    /// their maintenance margins, and each goes at the price at which its share is lost too.
    fn take_over_all(&mut self, account: AccountId, asset: u16, updates: &mut Vec<Update>) {
        let mut places: Vec<(Place, PositionState)> = Vec::new();
        for place in self.cross_places(account, asset) {
            let shown = self.shown(place);
            places.extend(shown.map(|shown| (place, shown)));
        }
        let standing = self.positions.standing(&self.accounts, account, asset);
        let mut rest = standing.free + standing.unrealised;
        let mut weights: i128 = places.iter().map(|(_, shown)| shown.maintenance.0).sum();
        // Whoever gains is paid first: no balance is below zero on the way.
        places.sort_by_key(|(place, shown)| (-shown.unrealised.0, place.market, place.leg));
        for (place, shown) in places {
            let share = match shown.maintenance.0 >= weights {
                true => rest,
                false => share_of(rest, shown.maintenance.0, weights),
            };
            (rest, weights) = (rest - share, weights - shown.maintenance.0);
            let all = Qty::from_units(shown.qty.units().abs());
            self.take_over_cross(place, &shown, (all, share), updates);
        }
    }

    /// A cross position, or a part of it, goes at the price at which `share` of the account's equity is lost too.
    fn take_over_cross(
        &mut self,
        place: Place,
        shown: &PositionState,
        (part, share): (Qty, Money),
        updates: &mut Vec<Update>,
    ) {
        let Place { account, market, leg } = place;
        let Some(mark) = self.positions.mark(market) else { return };
        let Some(before) = self.positions.take_away(account, market, leg, part) else { return };
        let after =
            self.positions.holding(account, market).map(|holding| holding.legs[leg]).unwrap_or_default();
        let taken = before.minus(after);
        let at_mark = self.positions.gains(market, &taken);
        let price = self.price_where(market, &taken, share);
        let settle = shown.settle;
        let about = About { instrument: Some(market), ..About::default() };
        let amount = (at_mark - share).max(-self.accounts.balance(account, settle).available());
        let insurance = at_mark - amount;
        self.accounts.begin();
        let rows =
            [(Owner::Account(account), amount), (Owner::Market, -at_mark), (Owner::Insurance, insurance)];
        for (owner, amount) in rows.into_iter().filter(|(_, amount)| !amount.is_zero()) {
            self.accounts.post(
                self.now,
                Posting::new(owner, settle, amount, Cause::Liquidation),
                about,
                updates,
            );
        }
        let shown = PositionState { bankruptcy: price, ..shown.clone() };
        self.tell_liquidation(place, taken.qty, mark.price, &shown, amount, insurance, updates);
    }

    /// The price at which a position has gained so much less than at the mark price.
    fn price_where(&self, market: InstrumentId, leg: &Leg, less: Money) -> Option<FinePrice> {
        let (contract, mark) = (self.positions.contract(market)?, self.positions.mark(market)?);
        let qty = Qty::from_units(leg.qty.units().abs());
        let (value, less) =
            (contract.value_at(mark.price, qty), self.positions.settling_of(market, leg).value(less));
        contract.price_of(if contract.gains_falling(leg.qty) { value + less } else { value - less }, qty)
    }

    /// An account goes on with a position of an earlier session.
    pub(super) fn hold_position(&mut self, kept: &KeptPosition, updates: &mut Vec<Update>) {
        let KeptPosition { account, instrument: market, .. } = *kept;
        let Some(settle) = self.positions.contract(market).map(|contract| contract.settle) else { return };
        if !self.accounts.is_open(account) {
            return;
        }
        let free = self.accounts.balance(account, settle).available();
        let isolated = kept.margin == MarginMode::Isolated;
        let put_aside = if isolated { kept.assigned.min(free).max(Money::ZERO) } else { Money::ZERO };
        if !self.positions.hold(kept, put_aside, self.now) {
            return;
        }
        self.book_margin(account, market, settle, put_aside, updates);
    }

    /// Ends an account's positions at what they cost.
    pub(super) fn flatten(&mut self, account: AccountId, updates: &mut Vec<Update>) {
        let all = Qty::from_units(i64::MAX);
        let markets: Vec<InstrumentId> = self
            .positions
            .holdings(account)
            .filter(|(_, holding)| !holding.is_flat())
            .map(|(id, _)| id)
            .collect();
        for market in markets {
            let Some(settle) = self.positions.contract(market).map(|contract| contract.settle) else {
                continue;
            };
            let gone = (0..2).filter_map(|leg| self.positions.take_away(account, market, leg, all));
            let put_aside = gone.fold(Money::ZERO, |sum, leg| sum + leg.margin + leg.reserve);
            self.book_margin(account, market, settle, -put_aside, updates);
        }
        self.settle_positions(updates);
    }

    /// Carries out a setting. Refused ones change nothing.
    pub(super) fn set(
        &mut self,
        account: AccountId,
        market: InstrumentId,
        setting: Setting,
        updates: &mut Vec<Update>,
    ) -> Result<(), RejectReason> {
        if self.positions.holding_mut(account, market).is_none() {
            return Err(RejectReason::NoContract);
        }
        match setting {
            Setting::Leverage { side, leverage } => {
                self.set_leverage(account, market, side, leverage, updates)
            }
            Setting::Margin(mode) => self.set_margin(account, market, mode, updates),
            Setting::Position(mode) => self.set_mode(account, market, mode),
            Setting::Move { side, amount } => self.move_margin(account, market, side, amount, updates),
        }
    }

    /// Whether an account has neither positions nor open orders in a contract.
    fn is_free(&self, account: AccountId, market: InstrumentId) -> bool {
        self.positions.holding(account, market).is_none_or(|holding| holding.is_flat())
            && self.counters.clients.open(account, market) == 0
    }

    fn set_leverage(
        &mut self,
        account: AccountId,
        market: InstrumentId,
        side: Option<Side>,
        leverage: Leverage,
        updates: &mut Vec<Update>,
    ) -> Result<(), RejectReason> {
        let Some(max) = self.positions.contract(market).map(|contract| contract.max_leverage()) else {
            return Err(RejectReason::NoContract);
        };
        if leverage > max || leverage.0 == 0 {
            return Err(RejectReason::LeverageOutOfRange { max });
        }
        if self.positions.rules.set_when_flat && !self.is_free(account, market) {
            return Err(RejectReason::PositionsOpen);
        }
        let before = self.positions.holding(account, market).cloned();
        if let Some(holding) = self.positions.holding_mut(account, market) {
            for of in Side::BOTH.into_iter().filter(|of| side.is_none_or(|side| side == *of)) {
                holding.leverage[of.index()] = leverage;
            }
        }
        self.remargin(account, market, before, updates)
    }

    fn set_margin(
        &mut self,
        account: AccountId,
        market: InstrumentId,
        mode: MarginMode,
        updates: &mut Vec<Update>,
    ) -> Result<(), RejectReason> {
        let before = self.positions.holding(account, market).cloned();
        if before.as_ref().is_some_and(|holding| holding.margin == mode) {
            return Ok(());
        }
        if self.positions.rules.set_when_flat && !self.is_free(account, market) {
            return Err(RejectReason::PositionsOpen);
        }
        if let Some(holding) = self.positions.holding_mut(account, market) {
            holding.margin = mode;
        }
        self.remargin(account, market, before, updates)
    }

    /// Puts aside what the positions of a holding need under its new settings; where that is not there, or a position
    /// would be lost at once, everything is as it was `before`.
    fn remargin(
        &mut self,
        account: AccountId,
        market: InstrumentId,
        before: Option<super::account::Holding>,
        updates: &mut Vec<Update>,
    ) -> Result<(), RejectReason> {
        let (Some(before), Some(contract)) = (before, self.positions.contract(market).cloned()) else {
            return Err(RejectReason::NoContract);
        };
        let (taker, reserves) = (self.positions.taker(market), self.positions.rules.reserve);
        let available = self.positions_available_with(account, contract.settle, market, &before);
        let settlings = before.legs.map(|leg| self.positions.settling_of(market, &leg));
        let Some(holding) = self.positions.holding_mut(account, market) else {
            return Err(RejectReason::NoContract);
        };
        for (leg, settling) in holding.legs.iter_mut().zip(settlings) {
            let value = Money(leg.cost.0.abs());
            let side = if leg.qty.units() < 0 { Side::Sell } else { Side::Buy };
            let needs = |leverage| settling.up(contract.initial(leverage, value).of_up(value));
            let (now, was) = (needs(holding.leverage[side.index()]), needs(before.leverage[side.index()]));
            match (before.margin, holding.margin) {
                (_, MarginMode::Cross) => (leg.margin, leg.reserve) = (Money::ZERO, Money::ZERO),
                (MarginMode::Cross, MarginMode::Isolated) => leg.margin = now,
                // What a coin must put aside moves with its price: of what was put aside no more comes back than the
                // position can spare now.
                (MarginMode::Isolated, MarginMode::Isolated) => {
                    leg.margin = (leg.margin + now - was).max(leg.margin.min(now));
                }
            }
            if reserves && holding.margin == MarginMode::Isolated {
                leg.reserve = settling.up(contract.closing_fee(leg.qty, value, settling.value(now), taker));
            }
        }
        let put_aside =
            |legs: &[super::account::Leg; 2]| legs.iter().map(|leg| leg.margin + leg.reserve).sum::<Money>();
        let (legs, more) = (holding.legs, put_aside(&holding.legs) - put_aside(&before.legs));
        let isolated = holding.margin == MarginMode::Isolated;
        let fits = more <= self.accounts.balance(account, contract.settle).available();
        let now = holding.clone();
        let lost = legs.iter().any(|leg| isolated && self.positions.leg_is_lost(market, &now, leg));
        let after = self.positions.available(&self.accounts, account, contract.settle) - more;
        if !fits || lost || (after.0 < 0 && after < available) {
            if let Some(holding) = self.positions.holding_mut(account, market) {
                *holding = before;
            }
            return Err(RejectReason::InsufficientBalance {
                asset: contract.settle,
                needed: more,
                available,
            });
        }
        self.book_margin(account, market, contract.settle, more, updates);
        Ok(())
    }

    /// What was available before a holding changed.
    fn positions_available_with(
        &mut self,
        account: AccountId,
        settle: u16,
        market: InstrumentId,
        before: &super::account::Holding,
    ) -> Money {
        let Some(holding) = self.positions.holding_mut(account, market) else { return Money::ZERO };
        let now = std::mem::replace(holding, before.clone());
        let available = self.positions.available(&self.accounts, account, settle);
        if let Some(holding) = self.positions.holding_mut(account, market) {
            *holding = now;
        }
        available
    }

    fn book_margin(
        &mut self,
        account: AccountId,
        market: InstrumentId,
        settle: u16,
        more: Money,
        updates: &mut Vec<Update>,
    ) {
        if !more.is_zero() {
            let about = About { instrument: Some(market), ..About::default() };
            let row = Posting::new(Owner::Account(account), settle, Money::ZERO, Cause::Margin);
            self.accounts.begin();
            self.accounts.post(self.now, Posting { hold: more, ..row }, about, updates);
        }
        for leg in 0..2 {
            self.tell_position(Place { account, market, leg }, updates);
        }
        self.positions.uneasy.insert(account);
    }

    fn set_mode(
        &mut self,
        account: AccountId,
        market: InstrumentId,
        mode: PositionMode,
    ) -> Result<(), RejectReason> {
        if self.positions.mode(account, market) == mode {
            return Ok(());
        }
        if mode == PositionMode::Hedge && !self.positions.rules.hedge {
            return Err(RejectReason::ModeNotSupported);
        }
        let of_account = self.positions.rules.mode_of_account;
        // Orders on spot have no position.
        let allowed = match of_account {
            true => self.positions.contracts().all(|contract| self.is_free(account, contract)),
            false => self.is_free(account, market),
        };
        if !allowed {
            return Err(RejectReason::PositionsOpen);
        }
        if of_account {
            self.positions.set_default_mode(account, mode);
        } else if let Some(holding) = self.positions.holding_mut(account, market) {
            holding.mode = mode;
        }
        Ok(())
    }

    fn move_margin(
        &mut self,
        account: AccountId,
        market: InstrumentId,
        side: PositionSide,
        amount: Money,
        updates: &mut Vec<Update>,
    ) -> Result<(), RejectReason> {
        let (Some(contract), Some(holding)) =
            (self.positions.contract(market), self.positions.holding(account, market))
        else {
            return Err(RejectReason::NoContract);
        };
        let settle = contract.settle;
        let leg = (0..2).find(|leg| holding.side_of(*leg) == side);
        let Some(leg) =
            leg.filter(|leg| holding.margin == MarginMode::Isolated && !holding.legs[*leg].qty.is_zero())
        else {
            return Err(RejectReason::MarginNotMovable);
        };
        let held = holding.legs[leg];
        let side = if held.qty.units() < 0 { Side::Sell } else { Side::Buy };
        let value = Money(held.cost.0.abs());
        let least = contract.initial(holding.leverage[side.index()], value).of_up(value);
        let least = self.positions.settling_of(market, &held).up(least);
        let mut after = held;
        after.margin += amount;
        let stays = || !self.positions.leg_is_lost(market, holding, &after);
        let spares = amount.0 >= 0 || (after.margin >= least && stays());
        let available = self.positions.available(&self.accounts, account, settle);
        if !spares || amount.is_zero() {
            return Err(RejectReason::MarginNotMovable);
        }
        if amount > available || amount > self.accounts.balance(account, settle).available() {
            return Err(RejectReason::InsufficientBalance { asset: settle, needed: amount, available });
        }
        if let Some(holding) = self.positions.holding_mut(account, market) {
            holding.legs[leg] = after;
        }
        self.book_margin(account, market, settle, amount, updates);
        Ok(())
    }

    /// An account's positions in a contract: one, or the long and the short one; none of spot or where it never traded.
    pub fn positions(&self, account: AccountId, instrument: InstrumentId) -> Vec<PositionState> {
        self.positions.show(&self.accounts, account, instrument).collect()
    }

    /// What an account's positions that settle in an asset have gained at their mark prices.
    pub fn unrealised(&self, account: AccountId, asset: u16) -> Money {
        self.positions.unrealised(account, asset)
    }

    /// The mark price of a contract, and where it comes from.
    pub fn mark(&self, instrument: InstrumentId) -> Option<(FinePrice, super::MarkSource)> {
        self.positions.mark(instrument).map(|mark| (mark.price, mark.source))
    }

    /// The index price of a contract.
    pub fn index_price(&self, instrument: InstrumentId) -> Option<FinePrice> {
        self.positions.index(instrument)
    }

    /// The rate of a contract's next funding, whether the tape told it, and when that is due; `None` for spot.
    pub fn funding(&self, instrument: InstrumentId) -> Option<(crate::market::FundingRate, bool, Timestamp)> {
        self.positions.funding(instrument)
    }

    /// How many positions an account has in a contract.
    pub fn position_mode(&self, account: AccountId, instrument: InstrumentId) -> PositionMode {
        self.positions.mode(account, instrument)
    }

    /// What stands behind an account's positions in a contract, and the leverage of longs and of shorts.
    pub fn margin_settings(
        &self,
        account: AccountId,
        instrument: InstrumentId,
    ) -> Option<(MarginMode, [Leverage; 2])> {
        let listed = self.positions.listed.get(instrument.index())?.as_ref()?;
        Some(match self.positions.holding(account, instrument) {
            Some(holding) => (holding.margin, holding.leverage),
            None => (listed.margin, [listed.contract.leverage; 2]),
        })
    }
}

/// `amount` × `part` / `all`, towards zero; `part` is at most `all`. Both lose their last bits where the product would
/// not fit.
fn share_of(amount: Money, mut part: i128, mut all: i128) -> Money {
    all = all.max(1);
    loop {
        match (amount.0 % all).checked_mul(part) {
            Some(product) => return Money((amount.0 / all).saturating_mul(part) + product / all),
            None => (part, all) = (part / 2, all / 2),
        }
    }
}

/// The exponential mean of the middle of the book, over 30 s, after so many nanoseconds (rule (g) of
/// `docs/perpetuals.md`). The weight of the new is a whole number of 2⁻³²: prices stay whole numbers of units.
///
/// ```text
/// 100 before, 200 now, 30 s later: 100 + 100·(1 − 1/e) = 163.21
/// ```
fn smoothed(before: FinePrice, mid: FinePrice, passed: i64) -> FinePrice {
    const SPAN: f64 = 30.0 * 1e9;
    const ONE: f64 = 4_294_967_296.0;
    let weight = ((1.0 - libm::exp(-(passed.max(0) as f64) / SPAN)) * ONE) as i64;
    let step = (i128::from(mid.units()) - i128::from(before.units())) * i128::from(weight) / 4_294_967_296;
    FinePrice::from_units(i64::try_from(i128::from(before.units()) + step).unwrap_or(mid.units()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_sums_beyond_all_bounds_do_not_overflow() {
        for (amount, part, all, want) in [
            (100, 1, 3, 33),
            (-100, 1, 3, -33),
            (7, 0, 0, 0),
            (10_i128.pow(30), 10_i128.pow(29), 10_i128.pow(30), 10_i128.pow(29)),
        ] {
            assert_eq!(share_of(Money(amount), part, all), Money(want), "{amount} × {part} / {all}");
        }
    }

    #[test]
    fn the_middle_of_the_book_is_smoothed_over_thirty_seconds() {
        let price = |text: &str| FinePrice::read(text).unwrap();
        for (seconds, want) in [(0, "100"), (30, "163.21"), (60, "186.46"), (3_600, "200")] {
            let mean = smoothed(price("100"), price("200"), seconds * 1_000_000_000);
            assert!(mean.to_string().starts_with(want), "after {seconds} s: {mean}");
        }
    }
}
