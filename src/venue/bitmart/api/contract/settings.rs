//! What an account sets about its positions: how many there are, how large they may be, what stands behind them.

use serde_json::json;

use super::super::reply::{error, invalid};
use super::super::routes::{Answer, Asked, Finish, Outcome};
use super::orders::{leverage_in, margin_in, refusal};
use super::{contracts, named, shape};
use crate::market::InstrumentId;
use crate::order::PositionMode;
use crate::sim::{OrderEvent, RequestBody, Setting};
use crate::venue::NativeError;

/// The first contract: the mode is one for all of them.
fn first(asked: &Asked<'_, '_>) -> Result<InstrumentId, NativeError> {
    let first = contracts(asked.room.paper).next().map(|(id, _)| id);
    first.ok_or_else(|| error(400, 40_034, "The Symbol is not exist"))
}

pub(super) fn mode(asked: &mut Asked<'_, '_>) -> Answer {
    let mode = asked.room.paper.sim().position_mode(asked.account()?.id, first(asked)?);
    Ok(Outcome::Data(json!({ "position_mode": shape::mode_name(mode) })))
}

pub(super) fn set_mode(asked: &mut Asked<'_, '_>) -> Answer {
    let mode = match asked.fields.first(&["position_mode"])?.as_deref() {
        Some("hedge_mode") => PositionMode::Hedge,
        Some("one_way_mode") => PositionMode::OneWay,
        _ => return Err(invalid("position_mode").into()),
    };
    let (session, instrument) = (asked.account()?.session, first(asked)?);
    let known = asked.room.paper.names().instrument(instrument).cloned();
    let setting = Setting::Position(mode);
    let tag = asked.room.paper.send(session, RequestBody::Set { instrument, setting })?;
    let finish: Finish = Box::new(move |_, answers| match (answers.first(), &known) {
        (Some(Some(OrderEvent::Rejected(reason))), Some(known)) => Err(refusal(known, *reason)),
        _ => Ok(json!({ "position_mode": shape::mode_name(mode) })),
    });
    Ok(Outcome::Sent { session, tags: vec![tag], finish })
}

/// Sets leverage and margin of a contract together. The leverage comes back as it was written: clients compare texts.
pub(super) fn set_leverage(asked: &mut Asked<'_, '_>) -> Answer {
    let (instrument, known) = named(asked)?;
    let account = asked.account()?.clone();
    let margin =
        margin_in(asked.fields)?.ok_or_else(|| error(400, 40_045, "The order open type is invalid"))?;
    let leverage = leverage_in(asked.room.paper, instrument, asked.fields)?;
    let now = asked.room.paper.sim().margin_settings(account.id, instrument);
    let written = match asked.fields.first(&["leverage"])? {
        Some(written) => written,
        None => now.map(|(_, [long, _])| long.to_string()).unwrap_or_default(),
    };
    let mut settings = vec![Setting::Margin(margin)];
    // Setting what is set already is no change, which the exchange takes while positions are open.
    let changes = leverage.filter(|leverage| now.is_none_or(|(_, has)| has != [*leverage; 2]));
    settings.extend(changes.map(|leverage| Setting::Leverage { side: None, leverage }));
    let mut tags = Vec::with_capacity(settings.len());
    for setting in settings {
        tags.push(asked.room.paper.send(account.session, RequestBody::Set { instrument, setting })?);
    }
    let finish: Finish = Box::new(move |room, answers| {
        for answer in answers.iter().flatten() {
            if let OrderEvent::Rejected(reason) = answer {
                return Err(refusal(&known, *reason));
            }
        }
        let terms = room.paper.sim().margin_settings(account.id, instrument);
        let most = terms.and_then(|(_, [long, _])| super::market::most_at(room.paper, instrument, long));
        Ok(json!({
            "symbol": known.symbol,
            "leverage": written,
            "open_type": margin.name(),
            "max_value": most.map(shape::plain).unwrap_or_default(),
        }))
    });
    Ok(Outcome::Sent { session: account.session, tags, finish })
}
