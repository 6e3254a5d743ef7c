//! How instruments, orders, fills and money look in BitMEX' tables.

use rust_decimal::Decimal;

use super::row::Row;
use crate::connector::{OrderState, OrderType};
use crate::market::decimal::decimal_of;
use crate::market::{Asset, Instrument, InstrumentId, Price, Product, Qty, Side, Timestamp};
use crate::order::{CancelReason, FillId, Liquidity, OrderId, TimeInForce};
use crate::paper::{Candle, Dictionary, FillRow, Known, PaperExchange, PublicPrint};
use crate::sim::{Balance, View};
use crate::venue::api::Account;
use crate::venue::bitmex::errors;

/// How BitMEX counts an asset: its name on the wire and its decimals. Those that it does not know are counted in units of
/// 10⁻⁸ under their own name.
pub(super) fn currency(asset: &Asset) -> (String, u8) {
    match asset.as_str() {
        "XBT" => ("XBt".into(), 8),
        "USDT" => ("USDt".into(), 6),
        "ETH" => ("Gwei".into(), 9),
        "SOL" => ("LAMp".into(), 9),
        "USDC" => ("USDc".into(), 6),
        "XRP" => ("XRp".into(), 6),
        "BMEX" => ("BMEx".into(), 6),
        other => {
            let (head, last) = other.split_at(other.len().saturating_sub(1));
            (format!("{head}{}", last.to_ascii_lowercase()), 8)
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
    let (settle, settle_scale) = currency(&one.pair.quote);
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
        .text(
            "settlCurrency",
            if spot {
                ""
            } else if inverse || quanto {
                "XBt"
            } else {
                &settle
            },
        );
    let row = match one.product {
        Product::Spot => row
            .number("underlyingToPositionMultiplier", Some(units(one)))
            .number("quoteToSettleMultiplier", Some(power(settle_scale))),
        Product::Linear { multiplier } => row
            .number("underlyingToPositionMultiplier", Decimal::ONE.checked_div(multiplier))
            .number("quoteToSettleMultiplier", Some(power(settle_scale))),
        _ => row,
    };
    row.plain("isQuanto", quanto)
        .plain("isInverse", inverse)
        .plain("taxed", true)
        .plain("deleverage", !spot)
        .number("makerFee", Some(maker))
        .number("takerFee", Some(taker))
        .plain("settlementFee", 0)
        .number("prevPrice24h", day.and_then(|day| price(day.open)))
        .number("volume24h", day.map(|day| size(one, one.qty_decimal(day.qty))))
        .number("homeNotional24h", day.map(|day| one.qty_decimal(day.qty)).filter(|_| spot))
        .number("foreignNotional24h", day.and_then(|day| turnover(one, &day)).filter(|_| spot))
        .number("highPrice", day.and_then(|day| price(day.high)))
        .number("lowPrice", day.and_then(|day| price(day.low)))
        .number("lastPrice", day.and_then(|day| price(day.close)))
        .number("lastChangePcnt", change.map(|change| change.round_dp(4)))
        .number("bidPrice", bid)
        .number("midPrice", mid)
        .number("askPrice", ask)
        .plain("hasLiquidity", bid.is_some() && ask.is_some())
        .text("markMethod", if spot { "LastPrice" } else { "FairPrice" })
        .number("markPrice", day.and_then(|day| price(day.close)).filter(|_| spot))
        .time("timestamp", paper.now())
}

/// The sum of price × quantity, exact where a decimal holds it.
pub(super) fn turnover(one: &Instrument, candle: &Candle) -> Option<Decimal> {
    decimal_of(candle.turnover, one.price_scale + one.qty_scale)
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
    row.number("price", Some(one.price_decimal(price))).time("timestamp", at).time("transactTime", at)
}

/// A public trade; `before` is the one before it.
pub(super) fn trade(one: &Instrument, print: &PublicPrint, before: Option<&PublicPrint>) -> Row {
    let tick = match before.map(|before| print.price.cmp(&before.price)) {
        Some(std::cmp::Ordering::Greater) => "PlusTick",
        Some(std::cmp::Ordering::Less) => "MinusTick",
        _ => "ZeroPlusTick",
    };
    let (qty, price) = (one.qty_decimal(print.qty), one.price_decimal(print.price));
    let (home, foreign) = match one.product {
        Product::Spot => (Some(qty), qty.checked_mul(price)),
        Product::Linear { multiplier } => {
            let home = qty.checked_mul(multiplier);
            (home, home.and_then(|home| home.checked_mul(price)))
        }
        Product::Inverse { multiplier } => {
            let foreign = qty.checked_mul(multiplier);
            (foreign.and_then(|foreign| foreign.checked_div(price)).map(|home| home.round_dp(8)), foreign)
        }
        Product::Quanto { .. } => (None, None),
    };
    Row::new()
        .time("timestamp", print.at)
        .text("symbol", &one.symbol)
        .text("side", print.aggressor.map_or("", side_name))
        .number("size", Some(size(one, qty)))
        .number("price", Some(price))
        .text("tickDirection", tick)
        .text("trdMatchID", &match_id(print.number))
        .number("homeNotional", home)
        .number("foreignNotional", foreign)
        .text("trdType", "Regular")
}

/// A bin of trades; its time is its end.
pub(super) fn bin(one: &Instrument, candle: &Candle, step: std::time::Duration) -> Row {
    let price = |price: Price| Some(one.price_decimal(price));
    let qty = one.qty_decimal(candle.qty);
    let vwap = turnover(one, candle).and_then(|sum| sum.checked_div(qty)).map(|vwap| vwap.round_dp(4));
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
        .number("homeNotional", Some(qty).filter(|_| one.product == Product::Spot))
        .number("foreignNotional", turnover(one, candle).filter(|_| one.product == Product::Spot))
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
        TimeInForce::Gtc | TimeInForce::Gtd(_) => "GoodTillCancel",
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
fn text(known: &Known) -> String {
    match known.cancelled {
        None => "Submitted via API.".to_owned(),
        Some(reason) => {
            let why = match reason {
                CancelReason::CannotFillWhole => "Order had timeInForce of FillOrKill",
                other => errors::ending(other, false).source,
            };
            format!("Canceled: {why}\nSubmitted via API.")
        }
    }
}

/// An order as its owner sees it.
pub(super) fn order(names: &Dictionary, account: &Account, known: &Known) -> Option<Row> {
    let one = names.instrument(known.instrument)?;
    let order = &known.order;
    let live = known.done.is_none();
    let (filled, amount) = (order.executed_amount_base, order.amount);
    let average = order.executed_amount_quote.checked_div(filled).map(|price| price.round_dp(8));
    let (settle, _) = currency(&one.pair.quote);
    let kind = match order.order_type {
        OrderType::Market => "Market",
        _ => "Limit",
    };
    let instruction = if order.order_type == OrderType::LimitMaker { "ParticipateDoNotInitiate" } else { "" };
    let row = Row::new()
        .text("orderID", &order_id(known.id?))
        .text("clOrdID", client_id(known))
        .text("clOrdLinkID", "")
        .plain("account", account_number(account.id))
        .text("symbol", &one.symbol)
        .text("strategy", "OneWay")
        .text("side", if order.trade_type == crate::connector::TradeType::Sell { "Sell" } else { "Buy" })
        .number("orderQty", Some(size(one, amount)))
        .number("price", order.price.or(average))
        .plain("displayQty", "null")
        .plain("stopPx", "null")
        .plain("pegOffsetValue", "null")
        .text("pegPriceType", "")
        .text("currency", one.pair.quote.as_str())
        .text("settlCurrency", if one.product == Product::Spot { "" } else { &settle })
        .text("ordType", kind)
        .text("timeInForce", tif(known))
        .text("execInst", instruction)
        .text("contingencyType", "")
        .text("ordStatus", status(known))
        .text("triggered", "")
        .plain("workingIndicator", live && known.state.is_some())
        .text("ordRejReason", "")
        .number("leavesQty", Some(if live { size(one, amount - filled) } else { Decimal::ZERO }))
        .number("cumQty", Some(size(one, filled)))
        .number("avgPx", average)
        .text("text", &text(known))
        .time("transactTime", order.last_update_timestamp)
        .time("timestamp", order.last_update_timestamp);
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

/// An execution: `fill` where the order traded, else what happened to it.
pub(super) fn execution(
    names: &Dictionary,
    account: &Account,
    known: &Known,
    (kind, exec_id): (&str, &str),
    fill: Option<&FillRow>,
) -> Option<Row> {
    let one = names.instrument(known.instrument)?;
    let base = order(names, account, known)?;
    let copied = |row: Row, name: &'static str| match base.get(name) {
        Some(value) => row.plain(name, value),
        None => row,
    };
    let mut row = Row::new().text("execID", exec_id);
    for name in ["orderID", "clOrdID", "account", "symbol", "strategy", "side"] {
        row = copied(row, name);
    }
    if let Some(FillRow { fill, .. }) = fill {
        let maker = fill.liquidity == Liquidity::Maker;
        let (qty, price) = (one.qty_decimal(fill.qty), one.price_decimal(fill.price));
        let quote = names.quote_decimal(fill.instrument, fill.quote);
        let fee_asset = names.asset(fill.fee_asset)?;
        let ((fee_currency, fee_scale), (_, quote_scale)) = (currency(fee_asset), currency(&one.pair.quote));
        let fee = names.decimal(fill.fee_asset, fill.fee);
        let sign = if fill.side == Side::Buy { Decimal::ONE } else { Decimal::NEGATIVE_ONE };
        row = row
            .number("lastQty", Some(size(one, qty)))
            .number("lastPx", Some(price))
            .text("lastLiquidityInd", if maker { "AddedLiquidity" } else { "RemovedLiquidity" })
            .number("commission", fee.checked_div(quote).map(|rate| rate.round_dp(6)))
            .text("feeType", if maker { "Maker" } else { "Taker" })
            .text("tradePublishIndicator", "PublishTrade")
            .text("trdMatchID", &match_id(fill.id.0))
            .number("execCost", Some(sign * minor(quote, quote_scale)))
            .number("execComm", Some(minor(fee, fee_scale)))
            .text("execCommCcy", &fee_currency)
            .number("homeNotional", Some(sign * qty))
            .number("foreignNotional", Some(-sign * quote))
            .text("trdType", "Regular");
    }
    row = row.text("execType", kind);
    for name in ["orderQty", "price", "currency", "settlCurrency", "ordType", "timeInForce", "execInst"] {
        row = copied(row, name);
    }
    for name in ["ordStatus", "workingIndicator", "leavesQty", "cumQty", "avgPx", "text"] {
        row = copied(row, name);
    }
    let at = fill.map_or(known.order.last_update_timestamp, |fill| fill.at);
    Some(row.time("transactTime", at).time("timestamp", at))
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

/// A margin row: what is there of one currency, and what is free of it.
pub(super) fn margin(
    names: &Dictionary,
    account: &Account,
    (index, asset): (u16, &Asset),
    balance: Balance,
    at: Timestamp,
) -> Row {
    let (currency, scale) = currency(asset);
    let total = minor(names.decimal(index, balance.total), scale);
    // Rounded down: what is held is never free.
    let free =
        names.decimal(index, balance.available()).checked_mul(power(scale)).unwrap_or_default().floor();
    Row::new()
        .plain("account", account_number(account.id))
        .text("currency", &currency)
        .number("amount", Some(total))
        .plain("grossOpenCost", 0)
        .plain("grossMarkValue", 0)
        .plain("riskValue", 0)
        .number("initMargin", Some(total - free))
        .plain("maintMargin", 0)
        .plain("realisedPnl", 0)
        .plain("unrealisedPnl", 0)
        .number("walletBalance", Some(total))
        .number("marginBalance", Some(total))
        .plain("marginLeverage", 0)
        .plain("marginUsedPcnt", 0)
        .number("excessMargin", Some(free))
        .number("availableMargin", Some(free))
        .number("withdrawableMargin", Some(free))
        .time("timestamp", at)
}
