//! How instruments, orders, fills and money look in BitMEX' tables.

use std::borrow::Cow;

use rust_decimal::Decimal;
use smol_str::{SmolStr, format_smolstr};

use super::log::{Event, Funded, Happened};
use super::row::{Row, time_text};
use super::{pegs, wish, worth};
use crate::connector::{OrderState, OrderType};
use crate::market::decimal::decimal_of;
use crate::market::{Asset, Instrument, InstrumentId, Price, Product, Qty, Side, Timestamp};
use crate::order::{CancelReason, FillId, Liquidity, OrderId, OrderStatus, TimeInForce};
use crate::paper::{Candle, Dictionary, FillRow, Known, PER_PRICE, PaperExchange, PublicPrint};
use crate::sim::{ContractTerms, Fill, View};
use crate::venue::api::Account;
use crate::venue::bitmex::errors;

/// How BitMEX counts an asset: its name on the wire and its decimals. Those that it does not know are counted in units of
/// 10⁻⁸ under their own name.
pub(super) fn currency(asset: &Asset) -> (SmolStr, u8) {
    let known = |name: &'static str, scale: u8| (SmolStr::new_static(name), scale);
    match asset.as_str() {
        "XBT" => known("XBt", 8),
        "USDT" => known("USDt", 6),
        "ETH" => known("Gwei", 9),
        "SOL" => known("LAMp", 9),
        "USDC" => known("USDc", 6),
        "XRP" => known("XRp", 6),
        "BMEX" => known("BMEx", 6),
        other => {
            let (head, last) = other.split_at(other.len().saturating_sub(1));
            (format_smolstr!("{head}{}", last.to_ascii_lowercase()), 8)
        }
    }
}

/// The account's number on the wire.
pub(super) fn account_number(account: crate::order::AccountId) -> u64 {
    700_000 + u64::from(account.0)
}

/// Ten to the power of a scale.
pub(super) fn power(scale: u8) -> Decimal {
    decimal_of(10_i128.pow(u32::from(scale)), 0).unwrap_or(Decimal::ONE)
}

/// Whole minor units, the nearest.
pub(super) fn minor(amount: Decimal, scale: u8) -> Decimal {
    amount.checked_mul(power(scale)).unwrap_or(Decimal::MAX).round()
}

/// What one unit of quantity on the wire is of the instrument's own: contracts are contracts, spot is in minor units of
/// the base.
pub(super) fn units(instrument: &Instrument) -> Decimal {
    match instrument.product {
        Product::Spot => power(currency(&instrument.pair.base).1),
        _ => Decimal::ONE,
    }
}

/// A quantity as the wire counts it.
pub(super) fn size(instrument: &Instrument, qty: Decimal) -> Decimal {
    qty.checked_mul(units(instrument)).unwrap_or(Decimal::MAX).normalize()
}

/// The id of an order as clients see it.
pub(super) fn order_id(id: OrderId) -> String {
    format!("00000000-0000-4000-8000-{:012x}", id.0)
}

/// An order by the id that a client names.
pub(super) fn order_of(text: &str) -> Option<OrderId> {
    let digits = text.strip_prefix("00000000-0000-4000-8000-").filter(|digits| digits.len() == 12)?;
    u64::from_str_radix(digits, 16).ok().map(OrderId)
}

pub(super) fn exec_id(id: FillId) -> String {
    format!("00000000-0000-4000-9000-{:012x}", id.0)
}

pub(super) fn match_id(number: u64) -> String {
    format!("00000000-006d-1000-0000-{number:012x}")
}

pub(super) fn side_name(side: Side) -> &'static str {
    match side {
        Side::Buy => "Buy",
        Side::Sell => "Sell",
    }
}

/// The row of an instrument; its numbers of the last day come from the public market.
pub(super) fn instrument(paper: &PaperExchange, id: InstrumentId, one: &Instrument) -> Row {
    let rule = &one.rule;
    let spot = one.product == Product::Spot;
    let (settle, settle_scale) =
        worth::settle(one).unwrap_or_else(|| (SmolStr::default(), currency(&one.pair.quote).1));
    let (multiplier, inverse, quanto) = match one.product {
        Product::Spot => (Decimal::ONE, false, false),
        Product::Linear { multiplier } => (minor(multiplier, settle_scale), false, false),
        Product::Inverse { multiplier } => (-minor(multiplier, 8), true, false),
        Product::Quanto { multiplier } => (minor(multiplier, 8), false, true),
    };
    let trading = paper.sim().is_trading(id);
    let price = |price: Price| Some(one.price_decimal(price));
    let best =
        |side: Side| paper.sim().best_price(id, side, View::Public).map(|best| one.price_decimal(best));
    let (bid, ask) = (best(Side::Buy), best(Side::Sell));
    let mid = bid.zip(ask).map(|(bid, ask)| (bid + ask) / Decimal::TWO);
    let day = paper.day(id);
    let (maker, taker) = paper.sim().market(id).map_or_else(Default::default, |market| {
        (market.fees.maker.to_decimal(), market.fees.taker.to_decimal())
    });
    let change = day.and_then(|day| {
        let (open, close) = (one.price_decimal(day.open), one.price_decimal(day.close));
        (close - open).checked_div(open)
    });
    let row = Row::new()
        .text("symbol", &one.symbol)
        .text("rootSymbol", one.pair.base.as_str())
        .text("state", if trading { "Open" } else { "Closed" })
        .text("typ", if spot { "IFXXXP" } else { "FFWCSX" })
        .time("listing", Timestamp::from_millis(0))
        .time("front", Timestamp::from_millis(0))
        .text(
            "positionCurrency",
            if spot || quanto {
                ""
            } else if inverse {
                "USD"
            } else {
                one.pair.base.as_str()
            },
        )
        .text("underlying", one.pair.base.as_str())
        .text("quoteCurrency", one.pair.quote.as_str())
        .text("underlyingSymbol", &format!("{}=", one.pair.base))
        .text("reference", "BMEX")
        .number("maxOrderQty", Some(size(one, one.qty_decimal(rule.max_qty))))
        .number("maxPrice", price(rule.max_price))
        .number("lotSize", Some(size(one, one.qty_decimal(rule.lot))))
        .number("tickSize", price(rule.tick))
        .number("multiplier", Some(multiplier))
        .text("settlCurrency", &settle);
    let (home, foreign) = day.map_or((None, None), |day| traded_of(one, &day));
    let row = match one.product {
        Product::Spot => row
            .number("underlyingToPositionMultiplier", Some(units(one)))
            .number("quoteToSettleMultiplier", Some(power(settle_scale))),
        Product::Linear { multiplier } => row
            .number("underlyingToPositionMultiplier", Decimal::ONE.checked_div(multiplier))
            .number("quoteToSettleMultiplier", Some(power(settle_scale))),
        _ => row,
    };
    let row = row
        .plain("isQuanto", quanto)
        .plain("isInverse", inverse)
        .plain("taxed", true)
        .plain("deleverage", !spot)
        .number("makerFee", Some(maker))
        .number("takerFee", Some(taker))
        .plain("settlementFee", 0)
        .number("prevPrice24h", day.and_then(|day| price(day.open)))
        .number("volume24h", day.map(|day| size(one, one.qty_decimal(day.qty))))
        .number("turnover24h", day.and_then(|day| day_turnover(one, &day, settle_scale)))
        .number("homeNotional24h", home)
        .number("foreignNotional24h", foreign)
        .number("vwap", day.and_then(|day| mean(one, &day)))
        .number("highPrice", day.and_then(|day| price(day.high)))
        .number("lowPrice", day.and_then(|day| price(day.low)))
        .number("lastPrice", day.and_then(|day| price(day.close)))
        .number("lastPriceProtected", day.and_then(|day| price(day.close)))
        .text("lastTickDirection", direction(paper, id))
        .number("lastChangePcnt", change.map(|change| change.round_dp(4)))
        .number("bidPrice", bid)
        .number("midPrice", mid)
        .number("askPrice", ask)
        .plain("hasLiquidity", bid.is_some() && ask.is_some())
        .text("markMethod", if spot { "LastPrice" } else { "FairPrice" });
    let row = match worth::terms(paper, id) {
        Some(terms) => of_contract(row, paper, (id, one), terms),
        None => row.number("markPrice", day.and_then(|day| price(day.close))),
    };
    row.time("timestamp", paper.now())
}

/// What an instrument's row says of contracts alone: margin, funding, and the prices that they go by.
fn of_contract(
    row: Row,
    paper: &PaperExchange,
    (id, one): (InstrumentId, &Instrument),
    terms: &ContractTerms,
) -> Row {
    let (initial, maintenance) = worth::rates(terms, Decimal::ZERO);
    let (limit, step) = worth::risk_limit(terms);
    let mark = paper.sim().mark(id).map(|(mark, _)| worth::fine(mark));
    // Where no index is told, the mark price is all that is known of it.
    let index = paper.sim().index_price(id).map(worth::fine).or(mark);
    let basis = mark.zip(index).map(|(mark, index)| (mark - index).round_dp(4));
    let (rate, due) = match paper.sim().funding(id) {
        Some((rate, _, due)) => (Some(worth::funding_rate(rate)), Some(due)),
        None => (None, None),
    };
    let every = terms.funding.every;
    let a_year = Decimal::from(365 * 86_400).checked_div(Decimal::from(every.as_secs().max(1)));
    // No tape tells of more than what is held here.
    let open = one.qty_decimal(paper.open_interest(id));
    let open_value = mark.and_then(|mark| worth::value(one, open, mark));
    let row = row
        .number("openInterest", Some(open))
        .number("openValue", open_value)
        .number("initMargin", Some(initial))
        .number("maintMargin", Some(maintenance))
        .number("riskLimit", Some(limit))
        .number("riskStep", Some(step))
        .number("minPrice", Some(one.price_decimal(one.rule.tick)))
        .text("fairMethod", "FundingRate")
        .number("fairBasisRate", rate.zip(a_year).and_then(|(rate, times)| rate.checked_mul(times)))
        .number("fairBasis", basis)
        .number("fairPrice", mark.map(|mark| mark.round_dp(4)))
        .number("markPrice", mark.map(|mark| mark.round_dp(4)))
        .number("indicativeSettlePrice", index.map(|index| index.round_dp(4)))
        .number("fundingRate", rate)
        .text("fundingInterval", &span_text(every))
        // What the one after comes to if nothing else is told until then.
        .number("indicativeFundingRate", rate);
    match due.filter(|due| *due < Timestamp::MAX) {
        Some(due) => row.time("fundingTimestamp", whole_second(due)),
        None => row.plain("fundingTimestamp", "null"),
    }
}

/// A time that is a whole second; the next one where it is none: clients read funding times without parts, and
/// those of a market that was moved to now have some.
fn whole_second(at: Timestamp) -> Timestamp {
    Timestamp::from_millis(at.millis().saturating_add(999).div_euclid(1_000).saturating_mul(1_000))
}

/// A span as BitMEX writes it: so long after the year 2000 began.
pub(super) fn span_text(span: std::time::Duration) -> String {
    const YEAR_2000: i64 = 946_684_800_000;
    time_text(Timestamp::from_millis(YEAR_2000).plus(span))
}

/// A funding that is done.
pub(super) fn funding(paper: &PaperExchange, funded: &Funded) -> Option<Row> {
    let one = paper.names().instrument(funded.instrument)?;
    let every = worth::terms(paper, funded.instrument)?.funding.every;
    let rate = worth::funding_rate(funded.rate);
    let a_day = Decimal::from(86_400).checked_div(Decimal::from(every.as_secs().max(1)))?;
    Some(
        Row::new()
            .time("timestamp", whole_second(funded.at))
            .text("symbol", &one.symbol)
            .text("fundingInterval", &span_text(every))
            .number("fundingRate", Some(rate))
            .number("fundingRateDaily", rate.checked_mul(a_day)),
    )
}

/// The sum of price × quantity, exact where a decimal holds it.
pub(super) fn turnover(one: &Instrument, candle: &Candle) -> Option<Decimal> {
    decimal_of(candle.turnover, one.price_scale + one.qty_scale)
}

/// The mean price, weighted by quantity.
fn mean(one: &Instrument, candle: &Candle) -> Option<Decimal> {
    let sum = turnover(one, candle)?;
    sum.checked_div(one.qty_decimal(candle.qty)).map(|mean| mean.round_dp(4))
}

/// What inverse contracts came to in base, to the satoshi: the sum of size × multiplier / price, where the exchange rounds
/// each trade.
fn inverse_base(one: &Instrument, candle: &Candle, multiplier: Decimal) -> Option<Decimal> {
    let scale = i64::from(PER_PRICE) + i64::from(one.qty_scale) - i64::from(one.price_scale);
    let sum = decimal_of(candle.per_price, u8::try_from(scale).ok()?)?;
    sum.checked_mul(multiplier).map(|sum| sum.round_dp(8).normalize())
}

/// What the trades of a day were worth, in the smallest unit of what they are settled in.
fn day_turnover(one: &Instrument, day: &Candle, scale: u8) -> Option<Decimal> {
    let sum = turnover(one, day)?;
    match one.product {
        Product::Spot => Some(minor(sum, scale)),
        Product::Linear { multiplier } | Product::Quanto { multiplier } => {
            sum.checked_mul(multiplier).map(|sum| minor(sum, scale))
        }
        Product::Inverse { multiplier } => inverse_base(one, day, multiplier).map(|sum| minor(sum, scale)),
    }
}

/// Which way the last price went; a price that stays keeps the way it came.
fn direction(paper: &PaperExchange, id: InstrumentId) -> &'static str {
    let mut prints = paper.prints(id).map(|print| print.price);
    let Some(last) = prints.next() else { return "" };
    let mut stays = false;
    for before in prints {
        match (last.cmp(&before), stays) {
            (std::cmp::Ordering::Equal, _) => stays = true,
            (std::cmp::Ordering::Greater, false) => return "PlusTick",
            (std::cmp::Ordering::Greater, true) => return "ZeroPlusTick",
            (std::cmp::Ordering::Less, false) => return "MinusTick",
            (std::cmp::Ordering::Less, true) => return "ZeroMinusTick",
        }
    }
    "ZeroPlusTick"
}

/// What traded in base and in quote.
fn traded_of(one: &Instrument, candle: &Candle) -> (Option<Decimal>, Option<Decimal>) {
    let qty = one.qty_decimal(candle.qty);
    match one.product {
        Product::Spot => (Some(qty), turnover(one, candle)),
        Product::Linear { multiplier } => {
            let foreign = turnover(one, candle).and_then(|sum| sum.checked_mul(multiplier));
            (qty.checked_mul(multiplier), foreign)
        }
        Product::Inverse { multiplier } => {
            (inverse_base(one, candle, multiplier), qty.checked_mul(multiplier))
        }
        Product::Quanto { .. } => (None, None),
    }
}

/// The id of a level: (100,000,000 × place in the list of instruments − price ÷ tick), from which old clients reckon the
/// price. The first place is that of an index.
pub(super) fn level_id(id: InstrumentId, one: &Instrument, price: Price) -> i64 {
    (i64::from(id.0) + 1) * 100_000_000 - price.units() / one.rule.tick.units().max(1)
}

/// A level of the book; no size where it is gone.
pub(super) fn level(
    id: InstrumentId,
    one: &Instrument,
    side: Side,
    (price, qty): (Price, Option<Qty>),
    at: Timestamp,
) -> Row {
    let row = Row::new()
        .text("symbol", &one.symbol)
        .plain("id", level_id(id, one, price))
        .text("side", side_name(side));
    let row = match qty {
        Some(qty) => row.number("size", Some(size(one, one.qty_decimal(qty)))),
        None => row,
    };
    row.number("price", Some(one.price_decimal(price))).times(["timestamp", "transactTime"], at)
}

/// A public trade; `before` is the one before it.
pub(super) fn trade(one: &Instrument, print: &PublicPrint, before: Option<&PublicPrint>) -> Row {
    let tick = match before.map(|before| print.price.cmp(&before.price)) {
        Some(std::cmp::Ordering::Greater) => "PlusTick",
        Some(std::cmp::Ordering::Less) => "MinusTick",
        _ => "ZeroPlusTick",
    };
    let (qty, price) = (one.qty_decimal(print.qty), one.price_decimal(print.price));
    let (home, foreign) = worth::notionals(one, qty, price).unzip();
    Row::new()
        .time("timestamp", print.at)
        .text("symbol", &one.symbol)
        .text("side", print.aggressor.map_or("", side_name))
        .number("size", Some(size(one, qty)))
        .number("price", Some(price))
        .text("tickDirection", tick)
        .text("trdMatchID", &match_id(print.number))
        .number("grossValue", worth::value(one, qty, price))
        .number("homeNotional", home)
        .number("foreignNotional", foreign)
        .text("trdType", "Regular")
}

/// A bin of trades; its time is its end.
pub(super) fn bin(one: &Instrument, candle: &Candle, step: std::time::Duration) -> Row {
    let price = |price: Price| Some(one.price_decimal(price));
    let qty = one.qty_decimal(candle.qty);
    let vwap = mean(one, candle);
    let (home, foreign) = traded_of(one, candle);
    Row::new()
        .time("timestamp", candle.at.plus(step))
        .text("symbol", &one.symbol)
        .number("open", price(candle.open))
        .number("high", price(candle.high))
        .number("low", price(candle.low))
        .number("close", price(candle.close))
        .plain("trades", candle.trades)
        .number("volume", Some(size(one, qty)))
        .number("vwap", vwap)
        .number("homeNotional", home)
        .number("foreignNotional", foreign)
}

/// The best prices.
pub(super) fn quote(paper: &PaperExchange, id: InstrumentId, one: &Instrument) -> Row {
    let best = |side: Side| paper.sim().levels(id, side, View::Public).next();
    let (bid, ask) = (best(Side::Buy), best(Side::Sell));
    let shown = |level: Option<crate::market::Level>| {
        let size = level.map(|level| size(one, one.qty_decimal(level.qty)));
        (level.map(|level| one.price_decimal(level.price)), size)
    };
    let ((bid, bid_size), (ask, ask_size)) = (shown(bid), shown(ask));
    Row::new()
        .time("timestamp", paper.now())
        .text("symbol", &one.symbol)
        .number("bidSize", bid_size)
        .number("bidPrice", bid)
        .number("askPrice", ask)
        .number("askSize", ask_size)
}

/// The client's id, empty where it gave none.
pub(super) fn client_id(known: &Known) -> &str {
    let id = known.order.client_order_id.as_str();
    if id.starts_with('\u{1}') { "" } else { id }
}

fn tif(known: &Known) -> &'static str {
    match known.order.time_in_force {
        TimeInForce::Gtc => "GoodTillCancel",
        TimeInForce::Gtd(_) => "Day",
        TimeInForce::Ioc => "ImmediateOrCancel",
        TimeInForce::Fok => "FillOrKill",
    }
}

/// Where an order is in its life.
pub(super) fn status(known: &Known) -> &'static str {
    match known.order.current_state {
        OrderState::Filled => "Filled",
        OrderState::Canceled => "Canceled",
        OrderState::Failed => "Rejected",
        _ if !known.order.executed_amount_base.is_zero() => "PartiallyFilled",
        _ => "New",
    }
}

/// What is said of why an order ended.
fn text(known: &Known) -> Cow<'static, str> {
    match known.cancelled {
        None => "Submitted via API.".into(),
        Some(reason) => {
            let why = match reason {
                CancelReason::CannotFillWhole => "Order had timeInForce of FillOrKill",
                other => errors::ending(other, false).source,
            };
            format!("Canceled: {why}\nSubmitted via API.").into()
        }
    }
}

/// An order as its owner sees it.
pub(super) fn order(names: &Dictionary, account: &Account, known: &Known) -> Option<Row> {
    let one = names.instrument(known.instrument)?;
    let order = &known.order;
    let live = known.done.is_none();
    let (filled, amount) = (order.executed_amount_base, order.amount);
    let average = worth::average(one, known);
    let state = known.state.as_ref();
    let trigger = state.and_then(crate::sim::OrderState::trigger);
    let waits = state.is_some_and(|state| state.status == OrderStatus::Waiting);
    let was_triggered = trigger.is_some() && !waits && known.id.is_some();
    let woken = state.is_some_and(|state| state.status != OrderStatus::Cancelled || !filled.is_zero());
    let effect = state.map(crate::sim::OrderState::effect).unwrap_or_default();
    let post_only = order.order_type == OrderType::LimitMaker;
    let extra = state.and_then(|state| state.extra.as_deref());
    let display = extra.and_then(|extra| extra.display);
    let (peg, peg_offset) = pegs::shown(one, state.map_or(Side::Buy, |state| state.side), extra);
    let pegged = pegs::is_pegged(state);
    let row = Row::wide()
        .quoted("orderID", order_id(known.id?))
        .text("clOrdID", client_id(known))
        .text("clOrdLinkID", "")
        .plain("account", account_number(account.id))
        .text("symbol", &one.symbol)
        .text("strategy", "OneWay")
        .text("side", if order.trade_type == crate::connector::TradeType::Sell { "Sell" } else { "Buy" })
        .number("orderQty", Some(size(one, amount)))
        .number("price", order.price.or(average))
        .number("displayQty", display.map(|display| size(one, one.qty_decimal(display))))
        .number("stopPx", trigger.map(|trigger| one.price_decimal(trigger.price)))
        .number("pegOffsetValue", peg_offset)
        .text("pegPriceType", peg)
        .text("currency", one.pair.quote.as_str())
        .text("settlCurrency", &worth::settle(one).map(|(name, _)| name).unwrap_or_default())
        .text("ordType", wish::kind_name(trigger, order.order_type == OrderType::Market, pegged))
        .text("timeInForce", tif(known))
        .text("execInst", &wish::instructions(trigger, (post_only, pegged), effect))
        .text("contingencyType", "")
        .text("ordStatus", status(known))
        .text("triggered", if was_triggered && woken { "StopOrderTriggered" } else { "" })
        .plain("workingIndicator", live && !waits && state.is_some())
        .text("ordRejReason", "")
        .number("leavesQty", Some(if live { size(one, amount - filled) } else { Decimal::ZERO }))
        .number("cumQty", Some(size(one, filled)))
        .number("avgPx", average)
        .text("text", &text(known))
        .times(["transactTime", "timestamp"], order.last_update_timestamp);
    Some(row)
}

/// The columns of an order that every change of it carries.
pub(super) const ORDER_KEYS: [&str; 13] = [
    "orderID",
    "clOrdID",
    "account",
    "symbol",
    "strategy",
    "ordStatus",
    "workingIndicator",
    "leavesQty",
    "cumQty",
    "avgPx",
    "price",
    "transactTime",
    "timestamp",
];

/// What an execution says of its order, behind what happened.
const EXECUTION_KEYS: [&str; 21] = [
    "clOrdLinkID",
    "orderQty",
    "price",
    "displayQty",
    "stopPx",
    "pegOffsetValue",
    "pegPriceType",
    "currency",
    "settlCurrency",
    "ordType",
    "timeInForce",
    "execInst",
    "contingencyType",
    "ordStatus",
    "triggered",
    "workingIndicator",
    "ordRejReason",
    "leavesQty",
    "cumQty",
    "avgPx",
    "text",
];

/// An execution: `fill` where the order traded, else what happened to it.
pub(super) fn execution(
    paper: &PaperExchange,
    account: &Account,
    known: &Known,
    (kind, exec_id): (&str, &str),
    fill: Option<&FillRow>,
) -> Option<Row> {
    let names = paper.names();
    let one = names.instrument(known.instrument)?;
    let base = order(names, account, known)?;
    let copied = |row: Row, name: &'static str| match base.get(name) {
        Some(value) => row.raw(name, value),
        None => row,
    };
    let mut row = Row::wide().text("execID", exec_id);
    for name in ["orderID", "clOrdID", "account", "symbol", "strategy", "side"] {
        row = copied(row, name);
    }
    if let Some(FillRow { fill, .. }) = fill {
        row = traded(row, paper, one, fill)?;
    }
    row = row.text("execType", kind);
    for name in EXECUTION_KEYS {
        row = copied(row, name);
    }
    let at = fill.map_or(known.order.last_update_timestamp, |fill| fill.at);
    Some(row.times(["transactTime", "timestamp"], at))
}

/// The row of something that happened; `None` where the order is no longer remembered.
pub(super) fn event(paper: &PaperExchange, account: &Account, event: &Event) -> Option<Row> {
    let kind = event.what.kind()?;
    let id = format!("00000000-0000-4000-a000-{:012x}", event.number);
    match &event.what {
        Happened::Order { session, state, fill, .. } => {
            let trader = paper.trader(*session)?;
            let known = at(paper.names(), trader.by_exchange_id(state.id)?, state);
            // Fills come in the order of their numbers.
            let fills = trader.fills();
            let row = fill.and_then(|fill| {
                let found = fills.binary_search_by_key(&fill, |row| row.fill.id);
                found.ok().and_then(|found| fills.get(found))
            });
            match row {
                Some(row) => execution(paper, account, &known, (kind, &exec_id(row.fill.id)), Some(row)),
                None => execution(paper, account, &known, (kind, &id), None),
            }
        }
        Happened::Funding(paid) => {
            let (one, asset) =
                (paper.names().instrument(paid.instrument)?, paper.names().asset(paid.settle)?);
            let qty = one.qty_decimal(paid.qty);
            let amount = minor(paper.names().decimal(paid.settle, -paid.amount), currency(asset).1);
            let price = Some(worth::fine(paid.mark).round_dp(4));
            let rate = Some(worth::funding_rate(paid.rate));
            Some(unordered(one, account, (kind, &id, event.at), (qty, price), (amount, rate)))
        }
        Happened::Liquidation(lost) => {
            let (one, asset) =
                (paper.names().instrument(lost.instrument)?, paper.names().asset(lost.settle)?);
            let qty = one.qty_decimal(lost.qty);
            let amount = minor(paper.names().decimal(lost.settle, -lost.amount), currency(asset).1);
            let price = lost.price.map(|price| worth::fine(price).round_dp(4));
            Some(unordered(one, account, (kind, &id, event.at), (qty, price), (amount, None)))
        }
    }
}

/// An order as it was after an event, which may not be the last of what its owner knows.
pub(super) fn at(names: &Dictionary, known: &Known, state: &crate::sim::OrderState) -> Known {
    let mut then = known.clone();
    if let Some(one) = names.instrument(state.instrument) {
        then.order.executed_amount_base = one.qty_decimal(state.filled);
        then.order.executed_amount_quote = names.quote_decimal(state.instrument, state.filled_quote);
    }
    then.order.current_state = match state.status {
        OrderStatus::Filled => OrderState::Filled,
        OrderStatus::Cancelled => OrderState::Canceled,
        OrderStatus::Rejected => OrderState::Failed,
        OrderStatus::PartiallyFilled => OrderState::PartiallyFilled,
        OrderStatus::Open | OrderStatus::Waiting => OrderState::Open,
    };
    if !state.status.is_done() {
        (then.done, then.cancelled) = (None, None);
    }
    then.state = Some(state.clone());
    then
}

/// What an execution says of a fill.
fn traded(row: Row, paper: &PaperExchange, one: &Instrument, fill: &Fill) -> Option<Row> {
    let names = paper.names();
    let maker = fill.liquidity == Liquidity::Maker;
    let (qty, price) = (one.qty_decimal(fill.qty), one.price_decimal(fill.price));
    let (fee_currency, fee_scale) = currency(names.asset(fill.fee_asset)?);
    let fee = names.decimal(fill.fee_asset, fill.fee);
    let sign = if fill.side == Side::Buy { Decimal::ONE } else { Decimal::NEGATIVE_ONE };
    let cost = match &fill.position {
        Some(position) => {
            let value = minor(names.decimal(position.settle, position.value), worth::settle(one)?.1);
            if worth::is_inverse(one) { -value } else { value }
        }
        None => minor(names.quote_decimal(fill.instrument, fill.quote), currency(&one.pair.quote).1),
    };
    let realised = fill
        .position
        .as_ref()
        .map(|position| minor(names.decimal(position.settle, position.realised), fee_scale));
    let (home, foreign) = worth::notionals(one, qty, price).unzip();
    let rates = paper.sim().fee_rates(fill.account, fill.instrument);
    Some(
        row.number("lastQty", Some(size(one, qty)))
            .number("lastPx", Some(price))
            .text("lastLiquidityInd", if maker { "AddedLiquidity" } else { "RemovedLiquidity" })
            .number("commission", Some(if maker { rates.0 } else { rates.1 }.to_decimal()))
            .text("feeType", if maker { "Maker" } else { "Taker" })
            .text("tradePublishIndicator", "PublishTrade")
            .text("trdMatchID", &match_id(fill.id.0))
            .number("execCost", Some(sign * cost))
            .number("execComm", Some(minor(fee, fee_scale)))
            .text("execCommCcy", &fee_currency)
            .number("homeNotional", home.map(|home| sign * home))
            .number("foreignNotional", foreign.map(|foreign| -sign * foreign))
            .number("realisedPnl", Some(realised.unwrap_or_default()))
            .text("trdType", "Regular"),
    )
}

/// An execution without an order: a funding or a liquidation. Its numbers are the contracts and the price, what the
/// account paid (negative: received), and the rate of it.
pub(super) fn unordered(
    one: &Instrument,
    account: &Account,
    (kind, id, at): (&str, &str, Timestamp),
    (qty, price): (Decimal, Option<Decimal>),
    (paid, rate): (Decimal, Option<Decimal>),
) -> Row {
    let is_funding = kind == "Funding";
    // Who is liquidated sells what it held.
    let side = match qty.is_sign_negative() {
        _ if is_funding => "",
        true => "Buy",
        false => "Sell",
    };
    let (currency, _) = worth::settle(one).unwrap_or_default();
    Row::new()
        .text("execID", id)
        .text("orderID", id)
        .text("clOrdID", "")
        .plain("account", account_number(account.id))
        .text("symbol", &one.symbol)
        .text("strategy", "OneWay")
        .text("side", side)
        .number("lastQty", Some(qty.abs()))
        .number("lastPx", price)
        .number("commission", rate)
        .number("execCost", price.and_then(|price| worth::value(one, qty, price)))
        .number("execComm", Some(paid).filter(|_| is_funding))
        .text("execCommCcy", &currency)
        .number("realisedPnl", Some(-paid))
        .text("execType", kind)
        .number("orderQty", Some(qty.abs()))
        .number("price", price)
        .text("currency", one.pair.quote.as_str())
        .text("settlCurrency", &currency)
        .text("ordType", if is_funding { "Limit" } else { "Market" })
        .text("timeInForce", if is_funding { "AtTheClose" } else { "ImmediateOrCancel" })
        .text("execInst", "")
        .text("ordStatus", "Filled")
        .plain("workingIndicator", false)
        .plain("leavesQty", 0)
        .number("cumQty", Some(qty.abs()))
        .number("avgPx", price)
        .text("text", kind)
        .times(["transactTime", "timestamp"], at)
}

/// A wallet: what is there of one currency.
pub(super) fn wallet(
    account: &Account,
    asset: &Asset,
    total: Decimal,
    deposited: Decimal,
    at: Timestamp,
) -> Row {
    let (currency, scale) = currency(asset);
    Row::new()
        .plain("account", account_number(account.id))
        .text("currency", &currency)
        .number("deposited", Some(minor(deposited, scale)))
        .plain("withdrawn", 0)
        .plain("transferIn", 0)
        .plain("transferOut", 0)
        .number("amount", Some(minor(total, scale)))
        .plain("pendingCredit", 0)
        .plain("pendingDebit", 0)
        .plain("confirmedDebit", 0)
        .time("timestamp", at)
}

/// What an account has of one currency, in its smallest unit.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Standing {
    /// What its ledger says.
    pub(super) wallet: Decimal,
    /// What can be spent.
    pub(super) free: Decimal,
    /// What its positions have gained at the mark price.
    pub(super) unrealised: Decimal,
    /// What closing them has gained, fees and funding taken off.
    pub(super) realised: Decimal,
    /// What its positions take.
    pub(super) positions: Decimal,
    /// What its positions are worth at the mark price.
    pub(super) value: Decimal,
    /// What its open orders would add, at their limits.
    pub(super) open: Decimal,
}

/// A margin row: what is there of one currency, and what is free of it.
pub(super) fn margin(account: &Account, asset: &Asset, has: Standing, at: Timestamp) -> Row {
    let balance = has.wallet + has.unrealised;
    // What is neither free nor taken by positions is kept for orders.
    let orders = (balance - has.positions - has.free).max(Decimal::ZERO);
    let share = |part: Decimal| part.checked_div(balance).map_or(Decimal::ZERO, |share| share.round_dp(4));
    Row::new()
        .plain("account", account_number(account.id))
        .text("currency", &currency(asset).0)
        .number("amount", Some(has.wallet))
        .number("grossOpenCost", Some(has.open))
        .number("grossMarkValue", Some(has.value))
        .number("riskValue", Some(has.value + has.open))
        .number("initMargin", Some(orders))
        .number("maintMargin", Some(has.positions))
        .plain("targetExcessMargin", 0)
        .number("realisedPnl", Some(has.realised))
        .number("unrealisedPnl", Some(has.unrealised))
        .number("walletBalance", Some(has.wallet))
        .number("marginBalance", Some(balance))
        .number("marginLeverage", Some(share(has.value)))
        .number("marginUsedPcnt", Some(share(orders + has.positions)))
        .number("excessMargin", Some(has.free))
        .number("availableMargin", Some(has.free))
        .number("withdrawableMargin", Some(has.free.min(has.wallet).max(Decimal::ZERO)))
        .plain("makerFeeDiscount", 0)
        .plain("takerFeeDiscount", 0)
        .time("timestamp", at)
        .plain("foreignMarginBalance", 0)
        .plain("foreignRequirement", 0)
}
