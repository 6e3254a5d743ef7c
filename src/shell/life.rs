//! An order's life in words and numbers.

use serde_json::{Value, json};

use super::market::show_price;
use super::order_line::{kind_words, unit};
use super::orders::{ahead_now, state_words};
use super::table::exact;
use super::{time, words};
use crate::desk::About;
use crate::market::{Instrument, Qty, Side, Timestamp};
use crate::paper::{Dictionary, Known, Life, LifeEntry, LifeEvent, PaperExchange};
use crate::sim::View;

/// Tells an order's life: its facts, every event with its time and what was ahead, and why it filled or has not.
pub(super) fn tell(
    paper: &PaperExchange,
    known: &Known,
    instrument: &Instrument,
    about: &About,
) -> (String, Vec<Value>) {
    let mut text = facts(known, instrument);
    let Some(life) = paper.life(known.tag) else {
        return (text + "  Its life is not remembered.\n", Vec::new());
    };
    let teller = Teller { instrument, names: paper.names(), about, unit: unit(instrument) };
    text.push_str("\n  time (UTC)                  known     event\n");
    for run in runs_of(&life.entries) {
        let known = match run.entry.known {
            Some(known) if known > paper.now() => "not yet".to_owned(),
            Some(known) if known > run.entry.at => {
                format!("+{}", time::length(known.nanos_since(run.entry.at)))
            }
            Some(_) => "at once".to_owned(),
            None => String::new(),
        };
        let words = teller.event(&run.entry, life.side);
        let count = match run.count {
            1 => String::new(),
            count => format!(" [{count} fills, the last at {}]", time::clock(run.last)),
        };
        text.push_str(&format!("  {}  {known:<8}  {words}{count}\n", time::fine_stamp(run.entry.at)));
    }
    let row = |entry: &LifeEntry| {
        json!({
            "at": entry.at.to_string(), "known": entry.known.map(|time| time.to_string()),
            "event": teller.event(entry, life.side),
            "ahead": entry.ahead.map(|ahead| instrument.qty_decimal(ahead)),
        })
    };
    let rows = life.entries.iter().map(row).collect();
    if life.omitted > 0 {
        text.push_str(&format!("  ({} events of the middle are left out)\n", life.omitted));
    }
    if let Some(why) = why_not(paper, known, life, &teller) {
        text.push_str(&format!("\n  {why}\n"));
    }
    (text, rows)
}

/// Fills of the same kind, one after another, told in one line.
struct Run {
    /// The first, with the amounts of all.
    entry: LifeEntry,
    count: usize,
    last: Timestamp,
}

fn runs_of(entries: &[LifeEntry]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for entry in entries {
        if let (LifeEvent::Filled(fill), Some(run)) = (&entry.event, runs.last_mut())
            && let LifeEvent::Filled(sum) = &mut run.entry.event
            && (sum.price, sum.rule, sum.liquidity, sum.fee_asset, sum.ahead_before)
                == (fill.price, fill.rule, fill.liquidity, fill.fee_asset, fill.ahead_before)
        {
            sum.qty += fill.qty;
            sum.fee += fill.fee;
            (run.count, run.last) = (run.count + 1, entry.at);
            continue;
        }
        runs.push(Run { entry: entry.clone(), count: 1, last: entry.at });
    }
    runs
}

fn facts(known: &Known, instrument: &Instrument) -> String {
    let order = &known.order;
    let (side, unit) = (order.trade_type.name().to_ascii_lowercase(), unit(instrument));
    let at = order.price.map(|price| format!(" at {price}")).unwrap_or_default();
    let kind = kind_words(order.order_type, order.time_in_force);
    let state = state_words(known);
    let mut text = format!(
        "Order {}: {side} {} {}{at}, {kind}: {state}\n",
        known.number,
        exact(order.amount),
        order.trading_pair
    );
    text += &format!("  client id    {}\n", order.client_order_id);
    text += &format!("  exchange id  {}\n", order.exchange_order_id.as_deref().unwrap_or("-"));
    let average = order.average_price().map(|price| format!(" at {}", price.round_dp(10).normalize()));
    text += &format!(
        "  filled       {} of {} {unit}{}\n",
        exact(order.executed_amount_base),
        exact(order.amount),
        average.unwrap_or_default()
    );
    text
}

/// What the sentences of a life need to know.
struct Teller<'a> {
    instrument: &'a Instrument,
    names: &'a Dictionary,
    about: &'a About,
    unit: String,
}

impl Teller<'_> {
    fn qty(&self, qty: Qty) -> String {
        format!("{} {}", self.instrument.show_qty(qty), self.unit)
    }

    /// `behind 0.5 BTC of the market`.
    fn behind(&self, ahead: Option<Qty>) -> String {
        match ahead {
            Some(ahead) if ahead.is_zero() => "with nothing ahead of it".to_owned(),
            Some(ahead) => format!("behind {} of the market", self.qty(ahead)),
            None => "behind an unknown amount (its price is not shown)".to_owned(),
        }
    }

    fn event(&self, entry: &LifeEntry, side: Side) -> String {
        match &entry.event {
            LifeEvent::Sent => "sent".to_owned(),
            LifeEvent::Accepted if entry.ahead.is_some() => {
                format!("arrived and joined the queue {}", self.behind(entry.ahead))
            }
            LifeEvent::Accepted => "arrived and was accepted".to_owned(),
            LifeEvent::Waiting => "arrived and waits for its trigger".to_owned(),
            LifeEvent::AtTheDoor => "arrived and waits at the door: the book cannot be believed".to_owned(),
            LifeEvent::Triggered => "its trigger was met".to_owned(),
            LifeEvent::QueueMoved { before, after, printed, moves } => {
                self.queue_moved(*before, *after, *printed, *moves)
            }
            LifeEvent::Filled(fill) => {
                let fee = self.names.decimal(fill.fee_asset, fill.fee);
                let token = self.names.asset(fill.fee_asset).map(ToString::to_string).unwrap_or_default();
                format!(
                    "filled {} at {} as {}, fee {fee} {token}: {}",
                    self.qty(fill.qty),
                    show_price(self.instrument, fill.price),
                    fill.liquidity.name(),
                    words::why(fill, self.instrument)
                )
            }
            LifeEvent::CancelSent => "cancel sent".to_owned(),
            LifeEvent::AmendSent => "amend sent".to_owned(),
            LifeEvent::Amended { price, qty, kept_place } => {
                let price = price.map(|price| show_price(self.instrument, price)).unwrap_or_default();
                let place = match kept_place {
                    true => "its place in the queue kept".to_owned(),
                    false => format!("joined anew {}", self.behind(entry.ahead)),
                };
                format!("amended to {} at {price}, {place}", self.qty(*qty))
            }
            LifeEvent::TriggerMoved { to, moves } => {
                let to = show_price(self.instrument, *to);
                match moves {
                    1 => format!("its trigger moved to {to}"),
                    moves => format!("its trigger moved to {to}, in {moves} moves"),
                }
            }
            LifeEvent::RequestRefused(reason) => {
                format!(
                    "request refused: {}",
                    words::refusal(*reason, self.instrument, self.names, self.about)
                )
            }
            LifeEvent::Rejected(reason) => {
                format!("refused: {}", words::refusal(*reason, self.instrument, self.names, self.about))
            }
            LifeEvent::Cancelled(reason) => format!("ended: {}", self.ended(*reason, side)),
        }
    }

    fn ended(&self, reason: crate::order::CancelReason, side: Side) -> String {
        let text = words::ending(reason).to_owned();
        match reason {
            crate::order::CancelReason::WouldMatch => {
                let other = if side == Side::Buy { "ask" } else { "bid" };
                format!("{text} with the best {other}")
            }
            _ => text,
        }
    }

    fn queue_moved(&self, before: Option<Qty>, after: Option<Qty>, printed: Qty, moves: u32) -> String {
        let place = |ahead: Option<Qty>| ahead.map_or_else(|| "unknown".to_owned(), |ahead| self.qty(ahead));
        let moved = before.zip(after).map(|(before, after)| before - after);
        let times = if moves > 1 { format!(" in {moves} moves") } else { String::new() };
        let cause = match (printed.is_zero(), moved) {
            (true, _) => "cancellations at its price".to_owned(),
            (false, Some(moved)) if printed < moved => {
                format!("{} printed at its price, the rest was cancelled", self.qty(printed))
            }
            (false, _) => format!("{} printed at its price", self.qty(printed)),
        };
        format!("queue: {} ahead -> {} ahead{times} ({cause})", place(before), place(after))
    }
}

/// Why a live order has not filled yet, and what would fill it.
fn why_not(paper: &PaperExchange, known: &Known, life: &Life, teller: &Teller<'_>) -> Option<String> {
    if known.done.is_some() {
        return None;
    }
    if known.at_the_door {
        return Some("Why it has not filled: its book cannot be believed (a gap, or no snapshot yet); it is decided on the first message after that.".into());
    }
    let state = life.state.as_ref()?;
    let price = state.price?;
    if known.order.waiting {
        return Some("Why it has not filled: its trigger has not been met.".to_owned());
    }
    let instrument = teller.instrument;
    let opposite = life.side.opposite();
    let best = paper.sim().best_price(known.instrument, opposite, View::Public);
    let (name, past, came) = match life.side {
        Side::Buy => ("ask", "below", "down"),
        Side::Sell => ("bid", "above", "up"),
    };
    let tick = instrument.rule.tick.units().max(1).unsigned_abs();
    let far = best.map(|best| {
        let ticks = words::count((best.units() - price.units()).unsigned_abs() / tick, "tick");
        format!("the best {name} is {}, {ticks} away", show_price(instrument, best))
    });
    let far = far.unwrap_or_else(|| format!("there is no {name} now"));
    let at = show_price(instrument, price);
    let ahead = match ahead_now(paper, known) {
        Some(ahead) if ahead.is_zero() => format!("nothing of the market is ahead of it at {at}"),
        Some(ahead) => format!("{} {} of the market is still ahead of it at {at}", exact(ahead), teller.unit),
        None => format!("what is ahead of it at {at} is unknown"),
    };
    let printed = if life.printed_at_price.is_zero() {
        "nothing has printed there since it joined".to_owned()
    } else {
        format!("{} printed there since it joined", teller.qty(life.printed_at_price))
    };
    Some(format!(
        "Why it has not filled: {ahead}; {printed}; {far}.\n  It fills when prints at {at} have used up what is \
         ahead, when the market prints {past} it, or when {name}s come {came} to it."
    ))
}
