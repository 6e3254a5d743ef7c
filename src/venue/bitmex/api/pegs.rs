//! Pegs: limits and triggers that are set from the market, as `pegPriceType` and `pegOffsetValue` word them.
//!
//! Never here: where the market is (that is `sim`).

use rust_decimal::Decimal;

use super::fields::Fields;
use super::routes::{Refusal, bad};
use super::wish;
use crate::market::{Instrument, Price, Side};
use crate::order::{Peg, PegTo, Trail, Trigger, TriggerKind};
use crate::sim::{Extra, OrderState};

/// The word for a trigger that follows the market.
const TRAILING: &str = "TrailingStopPeg";

/// The words for limits that are set once.
const LIMITS: [(&str, PegTo); 4] = [
    ("PrimaryPeg", PegTo::Own),
    ("MarketPeg", PegTo::Far),
    ("MidPricePeg", PegTo::Mid),
    ("LastPeg", PegTo::Last),
];

/// What is set from the market.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pegged {
    /// A limit, once.
    Limit(Peg),
    /// A trigger, so far above the market (below it where negative), again and again.
    Trail(Price),
}

/// Reads what an order asks for; `None` where it asks for nothing.
pub(super) fn read(one: &Instrument, fields: &Fields<'_>) -> Result<Option<Pegged>, Refusal> {
    let Some(word) = fields.text("pegPriceType") else {
        return if wish::named(fields, "pegOffsetValue") {
            Err(bad("Invalid pegPriceType"))
        } else {
            Ok(None)
        };
    };
    let offset = match fields.text("pegOffsetValue") {
        Some(text) => offset(one, text)?,
        None => Price::from_units(0),
    };
    if word == TRAILING {
        return Ok(Some(Pegged::Trail(offset)));
    }
    let to = LIMITS.iter().find(|(known, _)| *known == word).map(|(_, to)| *to);
    let to = to.ok_or_else(|| bad("Invalid pegPriceType"))?;
    Ok(Some(Pegged::Limit(Peg { to, offset })))
}

/// A distance from the market, with its sign: a multiple of the tick.
pub(super) fn offset(one: &Instrument, text: &str) -> Result<Price, Refusal> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let away = wish::price(one, digits, "pegOffsetValue")?;
    if away.units() < 0 || away > one.rule.max_price {
        return Err(bad("Invalid pegOffsetValue"));
    }
    if away.units() % one.rule.tick.units().max(1) != 0 {
        return Err(bad("Invalid pegOffsetValue tickSize"));
    }
    Ok(Price::from_units(if negative { -away.units() } else { away.units() }))
}

/// How a trigger follows the market: below it for stops that sell and buys if touched, above it for the others.
pub(super) fn trail(side: Side, waits: Option<TriggerKind>, offset: Price) -> Result<Trail, Refusal> {
    let wrong = || bad("Invalid pegOffsetValue");
    let rises = (side == Side::Buy) == (waits.ok_or_else(wrong)? == TriggerKind::Stop);
    let distance = Price::from_units(if rises { offset.units() } else { -offset.units() });
    if distance.units() > 0 { Ok(Trail { distance }) } else { Err(wrong()) }
}

/// Whether an order's limit was set from the market.
pub(super) fn is_pegged(state: Option<&OrderState>) -> bool {
    state.and_then(|state| state.extra.as_deref()).is_some_and(|extra| extra.peg.is_some())
}

/// `pegPriceType` and `pegOffsetValue` of an order.
pub(super) fn shown(one: &Instrument, side: Side, extra: Option<&Extra>) -> (&'static str, Option<Decimal>) {
    let Some(extra) = extra else { return ("", None) };
    if let Some(peg) = extra.peg {
        let word = LIMITS.iter().find(|(_, to)| *to == peg.to).map_or("", |(word, _)| word);
        return (word, Some(one.price_decimal(peg.offset)));
    }
    match (extra.follows, extra.trigger) {
        (Some(follows), Some(trigger)) => {
            let away = one.price_decimal(follows.trail.distance);
            (TRAILING, Some(if Trigger::rises(trigger, side) { away } else { -away }))
        }
        _ => ("", None),
    }
}
