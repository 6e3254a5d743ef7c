//! Positions as BitMEX tells them, and what may be set about them: leverage, isolation, margin, risk limits.
//!
//! Never here: what a position is worth or needs; the engine says.

use rust_decimal::Decimal;

use super::orders::refusal;
use super::public;
use super::routes::{Answer, Asked, Finish, Outcome, Refusal, bad};
use super::row::Row;
use super::{rows, worth};
use crate::market::{Instrument, InstrumentId, Qty, Side};
use crate::order::{Leverage, MarginMode, Money, PositionSide};
use crate::paper::{PaperExchange, TraderView};
use crate::sim::{OrderEvent, PositionState, RequestBody, Setting};
use crate::venue::api::{Account, Room};

/// What an account has open of one side of a contract, waiting orders left out: contracts, and their cost at their limits.
#[derive(Clone, Copy, Debug, Default)]
struct OpenOrders {
    qty: Decimal,
    cost: Decimal,
}

fn open_orders(trader: Option<&TraderView>, id: InstrumentId, one: &Instrument, side: Side) -> OpenOrders {
    let mut sum = OpenOrders::default();
    for known in trader.into_iter().flat_map(TraderView::orders) {
        let rests = known.instrument == id && known.done.is_none() && !known.order.waiting;
        if !rests || known.state.as_ref().is_none_or(|state| state.side != side) {
            continue;
        }
        let leaves = known.order.amount - known.order.executed_amount_base;
        sum.qty += leaves;
        let cost = known.order.price.and_then(|price| worth::value(one, leaves, price));
        sum.cost += cost.unwrap_or_default();
    }
    sum
}

/// Money of a position's settlement currency in its smallest unit.
fn minor(paper: &PaperExchange, settle: u16, money: Money) -> Decimal {
    let Some(asset) = paper.names().asset(settle) else { return Decimal::ZERO };
    rows::minor(paper.names().decimal(settle, money), rows::currency(asset).1)
}

/// `part` of `whole`, to four decimals.
fn share(part: Decimal, whole: Decimal) -> Option<Decimal> {
    part.checked_div(whole).map(|share| share.round_dp(4))
}

/// The price at which closing leaves neither a gain nor a loss, fees and funding counted.
fn break_even(paper: &PaperExchange, one: &Instrument, state: &PositionState) -> Option<Decimal> {
    let of = |money| minor(paper, state.settle, money);
    let (cost, owed) = (of(state.cost), of(state.fees + state.funding - state.realised));
    let (target, qty) = ((cost + owed).abs(), one.qty_decimal(state.qty).abs());
    if qty.is_zero() || target.is_zero() {
        return None;
    }
    // What one contract is worth at a price of one.
    let unit = match one.product {
        crate::market::Product::Spot => return None,
        crate::market::Product::Inverse { multiplier } => multiplier.checked_mul(rows::power(8))?,
        crate::market::Product::Quanto { multiplier } => multiplier.checked_mul(rows::power(8))?,
        crate::market::Product::Linear { multiplier } => {
            multiplier.checked_mul(rows::power(worth::settle(one)?.1))?
        }
    };
    let all = unit.checked_mul(qty)?;
    let price = if worth::is_inverse(one) { all.checked_div(target)? } else { target.checked_div(all)? };
    Some(on_tick(one, price))
}

fn on_tick(one: &Instrument, price: Decimal) -> Decimal {
    let tick = one.price_decimal(one.rule.tick);
    let ticks = price.checked_div(tick).unwrap_or_default().round();
    ticks.checked_mul(tick).unwrap_or(price)
}

/// What of an account's margin a position takes: what is put aside for an isolated one, with its gains; what a cross one
/// keeps from others.
pub(super) fn takes(state: &PositionState) -> Money {
    match state.margin {
        MarginMode::Isolated => state.assigned + state.unrealised,
        MarginMode::Cross => state.assigned,
    }
}

/// What an account's open orders would add to a position, at their limits: those of the larger side, in the smallest unit.
pub(super) fn open_cost(paper: &PaperExchange, account: &Account, state: &PositionState) -> Decimal {
    let Some(one) = paper.names().instrument(state.instrument) else { return Decimal::ZERO };
    let trader = paper.trader(account.session);
    let grows = |side: Side| {
        let orders = open_orders(trader, state.instrument, one, side);
        let held = one.qty_decimal(if side == Side::Buy { -state.qty } else { state.qty }).max(Decimal::ZERO);
        // What only closes adds nothing.
        let part = (orders.qty - held).max(Decimal::ZERO);
        orders.cost.checked_mul(part).and_then(|cost| cost.checked_div(orders.qty)).unwrap_or_default()
    };
    grows(Side::Buy).max(grows(Side::Sell)).round()
}

/// A position's row.
pub(super) fn row(paper: &PaperExchange, account: &Account, state: &PositionState) -> Option<Row> {
    let (id, one) = (state.instrument, paper.names().instrument(state.instrument)?);
    let (terms, (settle, scale)) = (worth::terms(paper, id)?, worth::settle(one)?);
    let of = |money| minor(paper, state.settle, money);
    let qty = one.qty_decimal(state.qty);
    let (long, cross) = (state.qty.units() > 0, state.margin == MarginMode::Cross);
    let (cost, value, unrealised) = (of(state.cost), of(state.value), of(state.unrealised));
    let (least, maintenance) = worth::rates(terms, cost.abs() / rows::power(scale));
    let asked = Decimal::ONE.checked_div(state.leverage.to_decimal()).unwrap_or(Decimal::ONE);
    let initial = least.max(asked);
    let leverage = if cross { Decimal::ONE / initial } else { state.leverage.to_decimal() };
    let (_, taker) = paper.sim().fee_rates(account.id, id);
    let margin = of(state.assigned);
    let put = |amount: Decimal| if cross { Decimal::ZERO } else { amount };
    let posted = put((cost.abs() * initial).ceil());
    let bankrupt = state.bankruptcy.map(worth::fine);
    let closing = bankrupt.and_then(|price| worth::value(one, qty.abs(), price)).unwrap_or_default();
    let fee = put((closing * taker.to_decimal()).ceil());
    let trader = paper.trader(account.session);
    let [buys, sells] = Side::BOTH.map(|side| open_orders(trader, id, one, side));
    let paid = of(state.fees + state.funding);
    let realised = of(state.realised);
    let sign = if long == worth::is_inverse(one) { Decimal::NEGATIVE_ONE } else { Decimal::ONE };
    let mark = state.mark.map(worth::fine);
    let notionals = mark.and_then(|mark| worth::notionals(one, qty, mark)).filter(|_| !qty.is_zero());
    // A position that no price ends shows the end of prices.
    let never = one.price_decimal(if long { one.rule.tick } else { one.rule.max_price });
    let shown = |price: Option<Decimal>| {
        let held = (!qty.is_zero()).then(|| price.unwrap_or(never));
        held.map(|price| price.round_dp(4))
    };
    let entry = state.entry.filter(|_| !qty.is_zero()).map(|price| worth::fine(price).round_dp(4));
    let limit = worth::risk_limit(terms).0;
    let row = Row::new()
        .plain("account", rows::account_number(account.id))
        .text("symbol", &one.symbol)
        .text("strategy", "OneWay")
        .text("currency", &settle)
        .text("underlying", one.pair.base.as_str())
        .text("quoteCurrency", one.pair.quote.as_str())
        .number("commission", Some(taker.to_decimal()))
        .number("initMarginReq", Some(initial.round_dp(10)))
        .number("maintMarginReq", Some(maintenance))
        .number("riskLimit", Some(limit))
        .number("leverage", Some(leverage.round_dp(2)))
        .plain("crossMargin", cross)
        .plain("deleveragePercentile", "null")
        .plain("rebalancedPnl", 0)
        .plain("prevRealisedPnl", 0)
        .plain("prevUnrealisedPnl", 0)
        .plain("openingQty", 0)
        .number("openOrderBuyQty", Some(buys.qty))
        .number("openOrderBuyCost", Some(buys.cost))
        .plain("openOrderBuyPremium", 0)
        .number("openOrderSellQty", Some(sells.qty))
        .number("openOrderSellCost", Some(sells.cost))
        .plain("openOrderSellPremium", 0)
        .number("execBuyQty", Some(qty.max(Decimal::ZERO)))
        .number("execSellQty", Some((-qty).max(Decimal::ZERO)))
        .number("currentQty", Some(qty))
        .number("currentCost", Some(cost - realised))
        .number("currentComm", Some(paid))
        .number("realisedCost", Some(-realised))
        .number("unrealisedCost", Some(cost))
        .plain("grossOpenPremium", 0)
        .plain("isOpen", !qty.is_zero())
        .number("markPrice", mark.map(|mark| mark.round_dp(4)))
        .number("markValue", Some(sign * value))
        .number("riskValue", Some(value + buys.cost.max(sells.cost)))
        .number("homeNotional", notionals.map(|(home, _)| home))
        .number("foreignNotional", notionals.map(|(_, foreign)| -foreign))
        .number("posCost", Some(cost))
        .number("posCross", Some(put(margin - posted - fee)))
        .number("posInit", Some(posted))
        .number("posComm", Some(fee))
        .plain("posLoss", 0)
        .number("posMargin", Some(margin))
        .number("posMaint", Some(if cross { margin } else { of(state.maintenance) + fee }));
    let open_margin = (buys.cost.max(sells.cost) * initial).ceil();
    Some(
        row.number("initMargin", Some(open_margin))
            .number("maintMargin", Some(of(takes(state))))
            .number("realisedPnl", Some(realised - paid))
            .number("unrealisedPnl", Some(unrealised))
            .number("unrealisedPnlPcnt", share(unrealised, cost.abs()).or(Some(Decimal::ZERO)))
            .number("unrealisedRoePcnt", share(unrealised, cost.abs() * initial).or(Some(Decimal::ZERO)))
            .number("avgCostPrice", entry)
            .number("avgEntryPrice", entry)
            .number("breakEvenPrice", break_even(paper, one, state))
            .number("liquidationPrice", shown(state.liquidation.map(worth::fine)))
            .number("bankruptPrice", shown(bankrupt))
            .time("timestamp", paper.now()),
    )
}

/// The positions of an account: of all contracts that it ever traded or set anything about.
pub(super) fn all(paper: &PaperExchange, account: &Account) -> Vec<Row> {
    paper.positions(account.session).iter().filter_map(|state| row(paper, account, state)).collect()
}

pub(super) fn list(asked: &mut Asked<'_, '_>) -> Answer {
    let rows = all(asked.room.paper, asked.account()?);
    public::table(asked, rows, &["account", "symbol", "strategy"], false)
}

/// The contract that a request names, and its number.
fn contract(asked: &Asked<'_, '_>) -> Result<(InstrumentId, Instrument), Refusal> {
    let (id, one) = public::named(asked.room.paper, asked.fields)?;
    match worth::terms(asked.room.paper, id) {
        Some(_) => Ok((id, one)),
        None => Err(bad("Invalid symbol")),
    }
}

/// The row of one position, once a setting has been answered.
fn shown(room: &Room<'_>, account: &Account, id: InstrumentId) -> Result<String, Refusal> {
    let states = room.paper.positions(account.session);
    let found = states.iter().find(|state| state.instrument == id && state.side == PositionSide::Net);
    let row = found.and_then(|state| row(room.paper, account, state));
    row.map(Row::into_json).ok_or_else(|| Refusal::new(404, "Not Found"))
}

/// Sends settings one after the other. Where one is refused, those before it are taken back with `back`.
fn set(
    asked: &mut Asked<'_, '_>,
    (id, one): (InstrumentId, Instrument),
    settings: &[Setting],
    back: Vec<Setting>,
) -> Answer {
    let account = asked.account()?.clone();
    let session = account.session;
    let send = |room: &mut Room<'_>, setting: Setting| {
        room.paper.send(session, RequestBody::Set { instrument: id, setting })
    };
    let mut tags = Vec::with_capacity(settings.len());
    for setting in settings {
        tags.push(send(asked.room, *setting)?);
    }
    let finish: Finish = Box::new(move |room, answers| {
        let refused = answers.iter().find_map(|answer| match answer {
            Some(OrderEvent::Rejected(reason)) => Some(*reason),
            _ => None,
        });
        let Some(reason) = refused else { return shown(room, &account, id) };
        for setting in back {
            room.paper.send(session, RequestBody::Set { instrument: id, setting })?;
        }
        Err(refusal(room.paper.names(), Some(&one), reason))
    });
    Ok(Outcome::Sent { session, tags, finish })
}

/// What an account has set of a contract now: to go back to.
fn settings(asked: &Asked<'_, '_>, id: InstrumentId) -> Result<(MarginMode, Leverage), Refusal> {
    let account = asked.account()?.id;
    let set = asked.room.paper.sim().margin_settings(account, id);
    set.map(|(mode, [leverage, _])| (mode, leverage)).ok_or_else(|| bad("Invalid symbol"))
}

/// A leverage isolates; zero is cross at the largest.
pub(super) fn leverage(asked: &mut Asked<'_, '_>) -> Answer {
    let (id, one) = contract(asked)?;
    let text = asked.fields.text("leverage").ok_or_else(|| bad("leverage is required"))?;
    let wrong = || bad("Invalid leverage");
    let wanted: Decimal = text.parse().or_else(|_| Decimal::from_scientific(text)).map_err(|_| wrong())?;
    let (mode, before) = settings(asked, id)?;
    let (leverage, margin) = if wanted.is_zero() {
        let least = worth::terms(asked.room.paper, id).map(|terms| worth::rates(terms, Decimal::ZERO).0);
        let most = least.and_then(|least| Decimal::ONE.checked_div(least)).and_then(Leverage::from_decimal);
        (most.ok_or_else(wrong)?, MarginMode::Cross)
    } else {
        (Leverage::from_decimal(wanted).ok_or_else(wrong)?, MarginMode::Isolated)
    };
    let (of, to) = (Setting::Leverage { side: None, leverage }, Setting::Margin(margin));
    let back = vec![Setting::Margin(mode), Setting::Leverage { side: None, leverage: before }];
    // What frees margin goes first.
    let in_order = if margin == MarginMode::Cross { [to, of] } else { [of, to] };
    set(asked, (id, one), &in_order, back)
}

pub(super) fn isolate(asked: &mut Asked<'_, '_>) -> Answer {
    let (id, one) = contract(asked)?;
    let isolated = asked.fields.text("enabled").is_none() || asked.fields.flag("enabled");
    let mode = if isolated { MarginMode::Isolated } else { MarginMode::Cross };
    set(asked, (id, one), &[Setting::Margin(mode)], Vec::new())
}

/// Margin of an isolated position, in the settlement currency's smallest unit; negative takes it back.
pub(super) fn transfer(asked: &mut Asked<'_, '_>) -> Answer {
    let (id, one) = contract(asked)?;
    let text = asked.fields.text("amount").ok_or_else(|| bad("amount is required"))?;
    let wrong = || bad("amount is invalid");
    let units: Decimal = text.parse().map_err(|_| wrong())?;
    let names = asked.room.paper.names();
    let terms = worth::terms(asked.room.paper, id).ok_or_else(wrong)?;
    let asset = names.asset_index(&terms.settle).ok_or_else(wrong)?;
    let amount = units.checked_div(rows::power(terms.settle_decimals)).filter(|_| units.fract().is_zero());
    let amount = amount.filter(|amount| amount.abs() <= crate::venue::api::MOST_MONEY);
    let amount = amount.and_then(|amount| names.money(asset, amount)).ok_or_else(wrong)?;
    set(asked, (id, one), &[Setting::Move { side: PositionSide::Net, amount }], Vec::new())
}

/// A risk limit is the base or so many steps more. The engine takes the limit that a position's value calls for, so that
/// what is chosen here changes nothing.
pub(super) fn risk_limit(asked: &mut Asked<'_, '_>) -> Answer {
    let (id, _) = contract(asked)?;
    let account = asked.account()?.clone();
    let text = asked.fields.text("riskLimit").ok_or_else(|| bad("riskLimit is required"))?;
    let limit: Decimal = text.parse().map_err(|_| bad("riskLimit is invalid"))?;
    let terms = worth::terms(asked.room.paper, id).ok_or_else(|| bad("Invalid symbol"))?;
    let (base, step) = worth::risk_limit(terms);
    let most = terms.tiers.last().map_or(base, |tier| tier.above * rows::power(terms.settle_decimals));
    let over = limit.checked_sub(base).and_then(|over| over.checked_rem(step));
    if limit < base || limit > most || over.is_none_or(|over| !over.is_zero()) {
        return Err(bad("riskLimit is invalid"));
    }
    match shown(asked.room, &account, id) {
        Ok(body) => Ok(Outcome::Body(body)),
        // Never traded: setting what is set tells the position.
        Err(_) => {
            let (mode, _) = settings(asked, id)?;
            let named = public::named(asked.room.paper, asked.fields)?;
            set(asked, named, &[Setting::Margin(mode), leverage_now(asked, id)?], Vec::new())
        }
    }
}

fn leverage_now(asked: &Asked<'_, '_>, id: InstrumentId) -> Result<Setting, Refusal> {
    settings(asked, id).map(|(_, leverage)| Setting::Leverage { side: None, leverage })
}

/// How much of a position an order of this side would close.
pub(super) fn closable(paper: &PaperExchange, account: &Account, id: InstrumentId, side: Side) -> Qty {
    let held = paper.sim().positions(account.id, id).first().map(|state| state.qty).unwrap_or_default();
    let closes = if side == Side::Sell { held } else { -held };
    closes.max(Qty::ZERO)
}
