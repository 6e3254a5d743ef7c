//! What few orders ask for, between the connector's words and the instrument's numbers, both ways.
//!
//! Never here: what the engine makes of it (`sim`).

use rust_decimal::Decimal;

use super::connector::{to_price, to_qty, units};
use crate::connector::{CallbackRate, ConnectorError, OrderRequest, Special};
use crate::market::{Instrument, Price, Side};
use crate::order::{Callback, NewOrder, SpecialOrder, Trail, Trigger, TriggerKind};
use crate::sim::{Calling, OrderState};

/// Decimals of a share in per cent whose last one is a millionth of the whole.
const PERCENT_SCALE: u8 = 4;

/// An order with what its request asks for.
pub(super) fn asked(
    instrument: &Instrument,
    mut order: NewOrder,
    request: &OrderRequest,
) -> Result<SpecialOrder, ConnectorError> {
    let asked = &request.special;
    let display = asked.display.map(|display| to_qty(instrument, display)).transpose()?;
    let trail = asked.trail.map(|distance| to_price(instrument, distance)).transpose()?;
    let trail = trail.map(|distance| Trail { distance });
    let callback = asked.callback.map(|rate| share(instrument, rate)).transpose()?;
    if let Some(rate) = asked.callback {
        let from = rate.from.map(|price| to_price(instrument, price)).transpose()?;
        let price = from.unwrap_or_else(|| at_once(instrument, order.side));
        order.trigger = order.trigger.map(|waits| Trigger { kind: TriggerKind::TakeProfit, price, ..waits });
    }
    Ok(SpecialOrder { display, trail, callback, whole: asked.whole, ..SpecialOrder::new(order) })
}

/// What an order asked for that few orders do.
pub fn special_of(state: &OrderState, instrument: &Instrument) -> Special {
    let Some(extra) = state.extra.as_deref() else { return Special::default() };
    let callback = |calling: Calling| {
        let percent = Decimal::new(i64::from(calling.callback.share), u32::from(PERCENT_SCALE)).normalize();
        let named = (calling.activation != at_once(instrument, state.side))
            .then(|| instrument.price_decimal(calling.activation));
        let has_begun = calling.best.is_some() || calling.callback.begun.is_some();
        let (from, begun) = if has_begun { (None, named) } else { (named, None) };
        CallbackRate { percent, from, begun }
    };
    Special {
        display: extra.display.map(|display| instrument.qty_decimal(display)),
        trail: extra.follows.map(|follows| instrument.price_decimal(follows.trail.distance)),
        callback: extra.callback.map(callback),
        whole: extra.whole,
    }
}

fn share(instrument: &Instrument, rate: CallbackRate) -> Result<Callback, ConnectorError> {
    let value = rate.percent;
    let share = u32::try_from(units("trail", value, PERCENT_SCALE)?);
    let share = share.map_err(|_| ConnectorError::TooLarge { what: "trail", value })?;
    let begun = rate.begun.map(|price| to_price(instrument, price)).transpose()?;
    Ok(Callback { share, begun })
}

/// A price that the market is at already, whatever it is: a sell waits for a rise to it, a buy for a fall.
fn at_once(instrument: &Instrument, side: Side) -> Price {
    let tick = instrument.rule.tick.units();
    match side {
        Side::Sell => Price::from_units(tick),
        Side::Buy => Price::from_units(instrument.rule.max_price.units() / tick * tick),
    }
}
