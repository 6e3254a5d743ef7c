//! Sentences: refusals with their numbers, fills, and what became of orders.

use rust_decimal::Decimal;

use super::order_line::unit;
use super::table::exact;
use crate::connector::{ConnectorEvent, EventBody, TradeType};
use crate::desk::About;
use crate::market::Instrument;
use crate::order::{CancelReason, Evidence, FillRule, RejectReason};
use crate::paper::{Dictionary, Known, PaperConnector};
use crate::sim::Fill;

/// A refusal in words, with its numbers and the venue's own answer.
pub(super) fn refusal(
    reason: RejectReason,
    instrument: &Instrument,
    names: &Dictionary,
    about: &About,
) -> String {
    let unit = unit(instrument);
    let quote = &instrument.pair.quote;
    let numbers = match reason {
        RejectReason::PriceOutOfRange { max } => format!(" (the limit is {})", instrument.show_price(max)),
        RejectReason::OffTick { tick } => format!(" (tick {})", instrument.show_price(tick)),
        RejectReason::OffLot { lot } => format!(" (lot {} {unit})", instrument.show_qty(lot)),
        RejectReason::QtyTooSmall { min } => format!(" ({} {unit})", instrument.show_qty(min)),
        RejectReason::QtyTooLarge { max } => format!(" ({} {unit})", instrument.show_qty(max)),
        RejectReason::NotionalTooSmall { min } => {
            let asset = names.asset_index(quote).unwrap_or_default();
            format!(" ({} {quote})", names.decimal(asset, min))
        }
        RejectReason::InsufficientBalance { asset, needed, available } => {
            let name = names.asset(asset).map(ToString::to_string).unwrap_or_default();
            let (needed, available) = (names.decimal(asset, needed), names.decimal(asset, available));
            format!(": needs {needed} {name}, {available} {name} is available")
        }
        RejectReason::TooManyOrders { max } => format!(" (at most {max})"),
        _ => String::new(),
    };
    let native = about.native.and_then(|native| native(reason, Some(instrument)));
    let native = native.map(|text| format!(" [{text}]")).unwrap_or_default();
    format!("{}{numbers}{native}", reason.text())
}

/// Why an order filled, as a clause.
pub(super) fn why(fill: &Fill, instrument: &Instrument) -> String {
    let price = instrument.show_price(fill.price);
    let unit = unit(instrument);
    let (past, book) = match fill.side {
        crate::market::Side::Buy => ("below", "asks came down to"),
        crate::market::Side::Sell => ("above", "bids came up to"),
    };
    let ahead = match fill.ahead_before {
        Some(ahead) if ahead.is_zero() => "nothing of the market was ahead of it".to_owned(),
        Some(ahead) => {
            format!("{} {unit} of the market ahead of it was served first", instrument.show_qty(ahead))
        }
        None => "what was ahead of it is unknown".to_owned(),
    };
    let thin = fill.evidence == Evidence::Thin;
    match fill.rule {
        FillRule::PrintThrough if thin => {
            format!("the tape, which has no book, went {past} {price} (evidence: thin)")
        }
        FillRule::Taking if thin => {
            "the tape has no book: it took what came next (evidence: thin)".to_owned()
        }
        FillRule::PrintThrough => format!("a trade printed {past} {price}: better prices are served first"),
        FillRule::PrintAtPrice => format!("a trade printed at {price} and reached it in the queue; {ahead}"),
        FillRule::CrossingBook => format!("the book crossed its price: {book} {price}"),
        FillRule::Taking => "it took what the book showed".to_owned(),
        FillRule::PaperTaker => format!("another paper order took it; {ahead}"),
    }
}

/// How an order ended, as a clause.
pub(super) fn ending(reason: CancelReason) -> &'static str {
    reason.text()
}

/// What an order is doing, as a clause: `open, 0.52 BTC ahead of it`.
pub(super) fn standing(known: &Known, instrument: &Instrument) -> String {
    let unit = unit(instrument);
    if known.at_the_door {
        return "waits at the door: the book cannot be believed at the moment".to_owned();
    }
    if known.order.waiting {
        let trigger = known.state.as_ref().and_then(|state| state.trigger());
        let price =
            trigger.map(|trigger| instrument.show_price(trigger.price).to_string()).unwrap_or_default();
        return format!("waits for {price}");
    }
    let filled = match known.order.executed_amount_base {
        filled if filled.is_zero() => String::new(),
        filled => format!("{filled} {unit} filled, "),
    };
    let ahead = match known.state.as_ref().and_then(|state| state.ahead) {
        Some(ahead) if ahead.is_zero() => "nothing ahead of it".to_owned(),
        Some(ahead) => format!("{} {unit} ahead of it", instrument.show_qty(ahead)),
        None => "an unknown amount ahead of it".to_owned(),
    };
    format!("open, {filled}{ahead}")
}

/// What happened to orders, one line for each that a trader wants to hear of.
pub(super) fn news(events: &[ConnectorEvent], connector: &PaperConnector) -> Vec<String> {
    let paper = connector.handle().lock();
    let Some(trader) = paper.trader(connector.session()) else { return Vec::new() };
    let number =
        |id: &str| trader.by_client_id(id).map_or_else(|| id.to_owned(), |known| known.number.to_string());
    let names = paper.names();
    let unit_of = |pair| names.find(pair).map_or("", |(_, instrument)| instrument.unit());
    let mut lines: Vec<String> = Vec::new();
    let mut fills: Option<Fills<'_>> = None;
    for event in events {
        let line = match &event.body {
            EventBody::OrderFilled { order_id, amount, price, trading_pair, trade_type, .. } => {
                if let Some(run) = fills.as_mut().filter(|run| run.order == order_id && run.price == *price) {
                    (run.amount, run.count) = (run.amount + *amount, run.count + 1);
                    continue;
                }
                lines.extend(fills.take().map(|run| run.told(&number(run.order))));
                let (unit, side) = (unit_of(trading_pair), *trade_type);
                fills = Some(Fills { order: order_id, side, amount: *amount, unit, price: *price, count: 1 });
                continue;
            }
            EventBody::OrderCompleted { order_id, base_asset_amount, base_asset, .. } => {
                let pair = trader.by_client_id(order_id).map(|known| &known.order.trading_pair);
                let unit = pair.map_or(base_asset.as_str(), unit_of);
                format!("Order {} is filled: {} {unit}.", number(order_id), exact(*base_asset_amount))
            }
            EventBody::OrderCancelled { order_id, .. } => {
                let reason = trader.by_client_id(order_id).and_then(|known| known.cancelled).map(ending);
                format!("Order {} has ended: {}.", number(order_id), reason.unwrap_or("cancelled"))
            }
            EventBody::OrderExpired { order_id } => format!("Order {} has expired.", number(order_id)),
            _ => continue,
        };
        lines.extend(fills.take().map(|run| run.told(&number(run.order))));
        lines.push(line);
    }
    lines.extend(fills.take().map(|run| run.told(&number(run.order))));
    lines
}

/// Fills of one order at one price, one after another.
struct Fills<'a> {
    order: &'a str,
    side: TradeType,
    amount: Decimal,
    unit: &'a str,
    price: Decimal,
    count: u64,
}

impl Fills<'_> {
    fn told(&self, number: &str) -> String {
        let verb = if self.side == TradeType::Sell { "sold" } else { "bought" };
        let fills = if self.count > 1 { format!(" in {} fills", self.count) } else { String::new() };
        format!("Order {number} {verb} {} {} at {}{fills}.", exact(self.amount), self.unit, exact(self.price))
    }
}

/// `1 message`, `2 messages`.
pub(super) fn count(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Amounts by asset in a sorted line: `0.5 USDT, 0.001 BTC`.
pub(super) fn amounts(by_asset: &std::collections::BTreeMap<crate::market::Asset, Decimal>) -> String {
    let parts: Vec<String> =
        by_asset.iter().map(|(asset, amount)| format!("{} {asset}", exact(*amount))).collect();
    if parts.is_empty() { "0".to_owned() } else { parts.join(", ") }
}
