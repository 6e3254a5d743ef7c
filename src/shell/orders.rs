//! Commands that send requests and commands that move the market.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::order_line::{BestPrices, OrderLine, by_word, kind_words, reach_words, unit};
use super::table::{Shape, Table, exact};
use super::{Reply, Shell, ShellError, account, life, time, usage, words};
use crate::connector::{
    CallbackRate, Connector, OrderRequest, OrderState, PositionAction, PriceType, TradeType,
};
use crate::market::{Instrument, Pair, Timestamp, parse_duration};
use crate::order::{ClientOrderId, OrderId, OrderKind, PositionMode, RejectReason, TimeInForce, TriggerBy};
use crate::paper::{Known, Pace, PaperExchange, Stop, special_of};
use crate::sim::{OrderEvent, OrderLimits};

impl Shell {
    /// `buy` and `sell`.
    pub(super) fn trade(&mut self, side: TradeType, rest: &[&str]) -> Result<Reply, ShellError> {
        let line = OrderLine::parse(side, rest)?;
        let (_, instrument) = self.instrument(Some(&line.pair.to_string()))?;
        let opened = self.opened_mut()?;
        let connector = &mut opened.connector;
        let price = |kind| connector.get_price_by_type(&line.pair, kind);
        let best = BestPrices { bid: price(PriceType::BestBid)?, ask: price(PriceType::BestAsk)? };
        let (mut request, sentence) = line.resolve(&instrument, best, connector.now())?;
        if request.position == PositionAction::Nil && self.hedges(&line.pair)? {
            // What Hummingbot's scripts mean by an order that says neither.
            request.position = PositionAction::Open;
        }
        self.check_offered(&request, &instrument)?;
        let connector = &mut self.opened_mut()?.connector;
        let client_id = connector.place(request.clone())?;
        let takes_at_once = request.order_type == crate::connector::OrderType::Market
            || matches!(request.time_in_force, TimeInForce::Ioc | TimeInForce::Fok);
        let until_done = takes_at_once && request.trigger.is_none();
        let number = self.wait_for_answer(&client_id, until_done)?;
        self.told();
        let reply = self.order_reply(number, &format!("Order {number}: {sentence}"))?;
        match self.refused(number)? {
            Some(why) => Err(ShellError(format!("order {number} was refused: {why}"))),
            None => Ok(reply),
        }
    }

    /// Whether a pair's long and short are held apart.
    fn hedges(&self, pair: &Pair) -> Result<bool, ShellError> {
        let connector = &self.opened()?.connector;
        let paper = connector.handle().lock();
        let account = paper.trader(connector.session()).map(|trader| trader.account);
        let mode = account
            .zip(paper.names().find(pair))
            .map(|(account, (id, _))| paper.sim().position_mode(account, id));
        Ok(mode == Some(PositionMode::Hedge))
    }

    /// Refuses what the exchange does not have, and a trail behind a price that is not there yet.
    fn check_offered(&self, request: &OrderRequest, instrument: &Instrument) -> Result<(), ShellError> {
        let connector = &self.opened()?.connector;
        let paper = connector.handle().lock();
        let limits = &paper.sim().config().venue.limits;
        let name = connector.name();
        if request.special.display.is_some() && !limits.icebergs {
            return Err(ShellError(format!("show: {name} has no iceberg orders; leave `show` out")));
        }
        let by = request.trigger.map(|(_, _, by)| by);
        if by == Some(TriggerBy::LastNearMark) && limits.near_mark.is_none() {
            return Err(ShellError(format!(
                "by last_near_mark: {name} has no such trigger; use `by last` or `by mark`"
            )));
        }
        if let Some(rate) = request.special.callback {
            return check_share(rate, limits, name);
        }
        let Some((_, _, by)) = request.trigger.filter(|_| request.special.trail.is_some()) else {
            return Ok(());
        };
        match (limits.trailing, limits.callbacks) {
            (Some(_), _) => {}
            (None, Some(_)) => {
                return Err(ShellError(format!(
                    "trail: at {name} a stop trails by a share of the price, `trail 1%`"
                )));
            }
            (None, None) => {
                return Err(ShellError(format!("trail: {name} has no trailing stops; use `stop P`")));
            }
        }
        let pair = &instrument.pair;
        let id = paper.names().find(pair).map(|(id, _)| id);
        let known = id.is_some_and(|id| match by {
            TriggerBy::Last | TriggerBy::LastNearMark => paper.sim().last_trade(id).is_some(),
            TriggerBy::Mark => paper.sim().mark(id).is_some(),
            TriggerBy::Index => paper.sim().index_price(id).is_some(),
        });
        match known {
            true => Ok(()),
            false => Err(ShellError(format!(
                "trail: {pair} has no {} price yet; `step 1s` until it has, or trail by another",
                by_word(by)
            ))),
        }
    }

    /// Moves time until the order's answer is back, or until the order is done; its number in the session.
    fn wait_for_answer(&mut self, client_id: &ClientOrderId, until_done: bool) -> Result<u64, ShellError> {
        let connector = &self.opened()?.connector;
        let session = connector.session();
        let mut paper = connector.handle().lock();
        let known = paper.trader(session).and_then(|trader| trader.by_client_id(client_id));
        let Some((number, tag)) = known.map(|known| (known.number, known.tag)) else {
            return Err(ShellError(format!("no order {client_id}")));
        };
        paper.run_until_answer(session, tag)?;
        if until_done {
            paper.run_until(Timestamp::MAX, |paper| {
                let known = paper.trader(session).and_then(|trader| trader.order(number));
                known.is_none_or(|known| known.done.is_some() || known.at_the_door)
            })?;
        }
        Ok(number)
    }

    fn refused(&self, number: u64) -> Result<Option<String>, ShellError> {
        let opened = self.opened()?;
        let paper = opened.connector.handle().lock();
        let known = paper.trader(opened.connector.session()).and_then(|trader| trader.order(number));
        let reason = known.and_then(|known| Some((known.order.reject?, known.instrument)));
        Ok(reason.and_then(|(reason, id)| {
            let instrument = paper.names().instrument(id)?;
            Some(words::refusal(reason, instrument, paper.names(), &opened.about))
        }))
    }

    /// What became of an order, under a headline.
    fn order_reply(&self, number: u64, headline: &str) -> Result<Reply, ShellError> {
        let opened = self.opened()?;
        let (known, instrument, fills) = {
            let paper = opened.connector.handle().lock();
            let trader = paper.trader(opened.connector.session());
            let known = trader.and_then(|trader| trader.order(number)).cloned();
            let known = known.ok_or_else(|| ShellError(format!("no order {number}")))?;
            let instrument = paper.names().instrument(known.instrument).cloned();
            let instrument = instrument.ok_or_else(|| ShellError(format!("no order {number}")))?;
            let fills = trader.map(|trader| trader.fills()).unwrap_or_default();
            let fills: Vec<_> = fills.iter().filter(|row| row.number == number).cloned().collect();
            (known, instrument, fills)
        };
        let unit = unit(&instrument);
        let mut text = format!("{headline}\n");
        let filled = known.order.executed_amount_base;
        if !filled.is_zero() {
            let average = known.order.average_price().unwrap_or_default().round_dp(10).normalize();
            let levels: std::collections::BTreeSet<_> = fills.iter().map(|row| row.fill.price).collect();
            let levels =
                if levels.len() > 1 { format!(" over {} prices", levels.len()) } else { String::new() };
            let liquidity = fills.last().map_or("", |row| row.fill.liquidity.name());
            let fees = account::fees_line(opened, &fills);
            let worth = account::worth_line(opened, &fills).unwrap_or_else(|| {
                format!("{} {}", exact(known.order.executed_amount_quote), instrument.pair.quote)
            });
            text += &format!(
                "  filled {} {unit} at {average}{levels} as {liquidity}: {worth}, fee {fees}\n",
                exact(filled),
            );
        }
        text += &match known.order.current_state {
            OrderState::Filled | OrderState::Failed => String::new(),
            OrderState::Canceled => {
                let why = known.cancelled.map_or("cancelled", words::ending);
                format!("  {} {unit} not filled: {why}\n", exact(known.order.leaves()))
            }
            OrderState::PendingCreate if !known.at_the_door => "  sent, not answered yet\n".to_owned(),
            _ => format!("  {}\n", words::standing(&known, &instrument)),
        };
        Ok(Reply::new(text, json!({"order": order_json(&known, Some(&instrument))})))
    }

    /// The order of an `ID`: its number, `last`, its client id or the exchange's.
    fn find(&self, id: &str) -> Result<Known, ShellError> {
        let connector = &self.opened()?.connector;
        let paper = connector.handle().lock();
        let trader = paper.trader(connector.session());
        let trader = trader.ok_or_else(|| ShellError("no session".to_owned()))?;
        let number = id.parse::<u64>().ok();
        let known = match id {
            "last" => trader.orders().next_back(),
            _ => trader
                .by_client_id(id)
                .or_else(|| trader.order(number?))
                .or_else(|| trader.by_exchange_id(OrderId(number?))),
        };
        known.cloned().ok_or_else(|| ShellError(format!("no order {id} in this session (see `orders all`)")))
    }

    pub(super) fn orders(&self, rest: &[&str]) -> Result<Reply, ShellError> {
        let all = match rest {
            [] => false,
            ["all"] => true,
            _ => return Err(usage("orders")),
        };
        let (table, rows) = if all { self.order_table(|_| true)? } else { self.open_order_table()? };
        let text = match (table.is_empty(), all) {
            (true, true) => "No orders in this session.\n".to_owned(),
            (true, false) => "No open orders.\n".to_owned(),
            (false, _) => table.draw(Shape::Plain { gap: 2 }, 2),
        };
        Ok(Reply::new(text, json!({"orders": rows})))
    }

    /// The table of open orders, and the same for programs.
    pub(super) fn open_order_table(&self) -> Result<(Table, Vec<Value>), ShellError> {
        self.order_table(|known| known.done.is_none())
    }

    fn order_table(&self, wanted: impl Fn(&Known) -> bool) -> Result<(Table, Vec<Value>), ShellError> {
        let connector = &self.opened()?.connector;
        let paper = connector.handle().lock();
        let mut table = Table::new([
            "ID", "Market", "Side", "Type", "Price", "Amount", "Filled", "Ahead", "State", "Age",
        ])
        .left(&[1, 2, 3, 8]);
        let mut rows = Vec::new();
        let orders = paper.trader(connector.session()).into_iter().flat_map(|trader| trader.orders());
        for known in orders.filter(|known| wanted(known)) {
            let order = &known.order;
            let ahead = ahead_now(&paper, known);
            let end = known.done.unwrap_or(paper.now());
            table.row([
                known.number.to_string(),
                order.trading_pair.to_string(),
                order.trade_type.name().to_ascii_lowercase(),
                typed(known, paper.names().instrument(known.instrument)),
                order.price.map_or_else(|| "-".to_owned(), exact),
                exact(order.amount),
                exact(order.executed_amount_base),
                ahead.map_or_else(|| "-".to_owned(), exact),
                state_words(known),
                time::age(end.nanos_since(order.creation_timestamp)),
            ]);
            let mut row = order_json(known, paper.names().instrument(known.instrument));
            row["ahead"] = ahead.map(exact).into();
            rows.push(row);
        }
        Ok((table, rows))
    }

    pub(super) fn order(&self, rest: &[&str]) -> Result<Reply, ShellError> {
        let [id] = rest else { return Err(usage("order")) };
        let known = self.find(id)?;
        let opened = self.opened()?;
        let paper = opened.connector.handle().lock();
        let instrument = paper.names().instrument(known.instrument);
        let instrument = instrument.ok_or_else(|| ShellError(format!("no order {id}")))?;
        let (text, life) = life::tell(&paper, &known, instrument, &opened.about);
        let mut json = order_json(&known, Some(instrument));
        json["life"] = life.into();
        Ok(Reply::new(text, json!({"order": json})))
    }

    pub(super) fn cancel(&mut self, rest: &[&str]) -> Result<Reply, ShellError> {
        let [id] = rest else { return Err(usage("cancel")) };
        if *id == "all" {
            return self.cancel_all();
        }
        let known = self.find(id)?;
        let order = &known.order;
        self.opened_mut()?.connector.cancel(&order.trading_pair, &order.client_order_id)?;
        self.finish_request(&known, "cancel")?;
        self.told();
        self.order_reply(known.number, &format!("Order {}: cancel", known.number))
    }

    fn cancel_all(&mut self) -> Result<Reply, ShellError> {
        // A minute of market time is far beyond any latency model; what is not answered by then is told as such.
        let results = self.opened_mut()?.connector.cancel_all(Duration::from_secs(60))?;
        self.told();
        let mut text = String::new();
        for result in &results {
            let number = self.find(&result.order_id)?.number;
            let how = if result.success { "cancelled" } else { "not cancelled: see `order`" };
            text += &format!("Order {number}: {how}\n");
        }
        if results.is_empty() {
            text = "No open orders.\n".to_owned();
        }
        Ok(Reply::new(text, json!({"cancelled": results})))
    }

    pub(super) fn amend(&mut self, rest: &[&str]) -> Result<Reply, ShellError> {
        let Some((id, options)) = rest.split_first() else { return Err(usage("amend")) };
        let (mut price, mut amount) = (None, None);
        for option in options.chunks(2) {
            let number = option.get(1).and_then(|number| Decimal::from_str_exact(number).ok());
            match (option[0], number) {
                ("price", Some(number)) => price = Some(number),
                ("amount", Some(number)) => amount = Some(number),
                _ => return Err(usage("amend")),
            }
        }
        if price.is_none() && amount.is_none() {
            return Err(usage("amend"));
        }
        let known = self.find(id)?;
        self.opened_mut()?.connector.amend(&known.order.client_order_id, price, amount)?;
        let answer = self.finish_request(&known, "amend")?;
        self.told();
        let how = match answer {
            Some(OrderEvent::Amended { kept_place: true }) => "amended, its place in the queue kept",
            Some(OrderEvent::Amended { kept_place: false }) => "amended, joined anew",
            _ => "amend",
        };
        self.order_reply(known.number, &format!("Order {}: {how}", known.number))
    }

    /// Moves time until the request that was sent last is answered; a refusal is an error.
    fn finish_request(&mut self, known: &Known, what: &str) -> Result<Option<OrderEvent>, ShellError> {
        let opened = self.opened()?;
        let session = opened.connector.session();
        let mut paper = opened.connector.handle().lock();
        let tag = paper.last_tag();
        paper.run_until_answer(session, tag)?;
        let answer = paper.take_answer(session, tag);
        if let Some(OrderEvent::Rejected(reason)) = answer {
            let why = match paper.names().instrument(known.instrument) {
                Some(instrument) => words::refusal(reason, instrument, paper.names(), &opened.about),
                None => reason.text().to_owned(),
            };
            drop(paper);
            self.told();
            return Err(ShellError(format!("{what} of order {} was refused: {why}", known.number)));
        }
        Ok(answer)
    }

    pub(super) fn step(&mut self, rest: &[&str]) -> Result<Reply, ShellError> {
        let how = match rest {
            [] => Move::Messages(1),
            [word] => match (word.parse::<u64>(), parse_duration(word)) {
                (Ok(count), _) => Move::Messages(count),
                (_, Some(length)) => Move::Time(length),
                _ => return Err(usage("step")),
            },
            _ => return Err(usage("step")),
        };
        self.move_market(how)
    }

    pub(super) fn run(&mut self, rest: &[&str]) -> Result<Reply, ShellError> {
        if !rest.is_empty() {
            return Err(usage("run"));
        }
        if self.opened()?.about.live.is_some() {
            return Err(ShellError(
                "run: a live market has no end; `step` and `wait` wait for it".to_owned(),
            ));
        }
        if self.opened()?.about.endless {
            let instead = "`step`, `wait` and `play` move it";
            return Err(ShellError(format!("run: the market is played in a loop and has no end; {instead}")));
        }
        self.move_market(Move::End)
    }

    fn move_market(&mut self, how: Move) -> Result<Reply, ShellError> {
        let connector = &self.opened()?.connector;
        let mut paper = connector.handle().lock();
        let (from, before) = (paper.now(), paper.messages());
        let ended = match how {
            Move::Messages(count) => paper.step(count)? < count && paper.at_end(),
            Move::Time(length) => paper.advance(length)? == Stop::EndOfTape,
            Move::End => run_to_end(&mut paper, self.interrupt.as_deref())?,
        };
        let (to, played) = (paper.now(), paper.messages() - before);
        let mut text = match played {
            0 => String::new(),
            _ => {
                let length = time::length(to.nanos_since(from));
                format!("{} in {length}; now {}\n", words::count(played, "message"), time::stamp(to))
            }
        };
        if ended {
            text.push_str("end of tape\n");
        } else if played == 0 {
            text = format!("no message in {}; now {}\n", time::length(to.nanos_since(from)), time::stamp(to));
        }
        Ok(Reply::new(
            text,
            json!({"messages": played, "from": from.to_string(), "to": to.to_string(), "end_of_tape": ended}),
        ))
    }

    pub(super) fn wait(&mut self, rest: &[&str]) -> Result<Reply, ShellError> {
        let (id, timeout) = match rest {
            [id] => (id, None),
            [id, timeout] => match parse_duration(timeout) {
                Some(length) => (id, Some(length)),
                None => return Err(usage("wait")),
            },
            _ => return Err(usage("wait")),
        };
        let known = self.find(id)?;
        let number = known.number;
        let stop = {
            let connector = &self.opened()?.connector;
            let mut paper = connector.handle().lock();
            let until = timeout.map_or(Timestamp::MAX, |length| paper.now().plus(length));
            paper.run_until_done(connector.session(), number, until)?
        };
        self.told();
        let headline = match stop {
            Stop::Reached => format!("Order {number} is done."),
            Stop::EndOfTape => format!("end of tape; order {number} is not done"),
            Stop::TimedOut => format!("order {number} is not done after {}", rest.get(1).unwrap_or(&"")),
        };
        let mut reply = self.order_reply(number, &headline)?;
        if let Value::Object(fields) = &mut reply.json {
            fields.insert("done".to_owned(), (stop == Stop::Reached).into());
        }
        Ok(reply)
    }

    pub(super) fn pace(&mut self, command: &str, rest: &[&str]) -> Result<Reply, ShellError> {
        if self.opened()?.about.live.is_some() {
            let why = "a live market has a pace of its own";
            return Err(ShellError(format!("{command}: {why}; recorded ones can be stopped and played")));
        }
        let Some(pacer) = &self.pacer else {
            let text = "The market does not play by itself here; `step`, `run` and `wait` move it.\n";
            return Ok(Reply::new(text, json!({"by_itself": false})));
        };
        match (command, rest) {
            ("pause", []) => pacer.set_paused(true),
            ("play", []) => pacer.set_paused(false),
            ("speed", []) => {}
            ("speed", [pace]) => pacer.set_pace(pace.parse::<Pace>().map_err(ShellError)?),
            _ => return Err(usage(command)),
        }
        let paused = if pacer.is_paused() { " (paused)" } else { "" };
        let text = format!("Speed {}{paused}.\n", pacer.pace());
        Ok(Reply::new(text, json!({"speed": pacer.pace().to_string(), "paused": pacer.is_paused()})))
    }
}

/// How the market is moved.
#[derive(Clone, Copy, Debug)]
enum Move {
    Messages(u64),
    Time(Duration),
    End,
}

/// Plays to the end of the tape, or until it is interrupted. Whether the end was reached.
fn run_to_end(paper: &mut PaperExchange, interrupt: Option<&AtomicBool>) -> Result<bool, ShellError> {
    const BATCH: u64 = 10_000;
    if let Some(interrupt) = interrupt {
        interrupt.store(false, Ordering::Relaxed);
    }
    while paper.step(BATCH)? == BATCH {
        if interrupt.is_some_and(|interrupt| interrupt.load(Ordering::Relaxed)) {
            return Ok(false);
        }
    }
    paper.run()?;
    Ok(true)
}

/// What is ahead of an order now: the exchange's word, not the trader's last.
pub(super) fn ahead_now(paper: &PaperExchange, known: &Known) -> Option<Decimal> {
    let instrument: &Instrument = paper.names().instrument(known.instrument)?;
    let state = paper.sim().order(known.id?)?;
    (state.kind != OrderKind::Market && !state.status.is_done()).then_some(())?;
    state.ahead.map(|ahead| instrument.qty_decimal(ahead))
}

/// Refuses a share of the price that the exchange does not trail by.
fn check_share(rate: CallbackRate, limits: &OrderLimits, name: &str) -> Result<(), ShellError> {
    let percent = rate.percent;
    match (limits.callbacks, limits.trailing) {
        (Some((least, most)), _) => {
            let [least, most] = [least, most].map(|share| Decimal::new(i64::from(share), 4).normalize());
            if (least..=most).contains(&percent) {
                return Ok(());
            }
            Err(ShellError(format!("trail {percent}%: {name} trails by {least}% to {most}%")))
        }
        (None, Some(_)) => {
            Err(ShellError(format!("trail: at {name} a stop trails by a distance, `trail D`")))
        }
        (None, None) => Err(ShellError(format!("trail: {name} has no trailing stops; use `stop P`"))),
    }
}

/// The state of an order in a word or two.
pub(super) fn state_words(known: &Known) -> String {
    if known.at_the_door {
        return "at the door".to_owned();
    }
    if known.order.waiting {
        return "waiting".to_owned();
    }
    match known.order.current_state {
        OrderState::PendingCreate => "sent",
        OrderState::PendingCancel => "cancel sent",
        OrderState::PartiallyFilled => "partly filled",
        OrderState::Filled => "filled",
        OrderState::Canceled => "cancelled",
        OrderState::Failed => "refused",
        _ => "open",
    }
    .to_owned()
}

/// How an order meets the book, what it waits for and what it shows: `limit gtc, show 100`, `market, stop 59500`.
fn typed(known: &Known, instrument: Option<&Instrument>) -> String {
    let mut text = kind_words(known.order.order_type, known.order.time_in_force);
    let Some((state, instrument)) = known.state.as_ref().zip(instrument) else { return text };
    let Some(extra) = state.extra.as_deref() else { return text };
    if let Some(trigger) = extra.trigger.filter(|_| known.order.waiting) {
        let special = special_of(state, instrument);
        let price = instrument.show_price(trigger.price).to_string();
        text += ", ";
        text += &reach_words(trigger.kind, &price, &special, trigger.by);
        let begun = extra.callback.is_some_and(|calling| calling.best.is_some());
        if special.trail.is_some() || begun {
            text += &format!(" (now {price})");
        }
    }
    if let Some(display) = extra.display {
        text += &format!(", show {}", instrument.show_qty(display));
    }
    if extra.whole {
        text += ", all";
    }
    text
}

/// An order for programs; `trigger_price` to `whole_position` are what few orders ask for.
fn order_json(known: &Known, instrument: Option<&Instrument>) -> Value {
    let extra = known.state.as_ref().and_then(|state| state.extra.as_deref());
    let price = |price| instrument.map(|instrument| exact(instrument.price_decimal(price)));
    let trigger = extra.and_then(|extra| extra.trigger);
    let special = known.state.as_ref().zip(instrument).map(|(state, of)| special_of(state, of));
    let special = special.unwrap_or_default();
    let order = &known.order;
    json!({
        "id": known.number, "client_id": order.client_order_id, "exchange_id": order.exchange_order_id,
        "pair": order.trading_pair, "side": order.trade_type.name().to_ascii_lowercase(),
        "type": order.order_type.name().to_ascii_lowercase(), "price": order.price.map(exact),
        "amount": exact(order.amount), "filled": exact(order.executed_amount_base),
        "avg_price": order.average_price().map(exact), "state": state_words(known),
        "reason": known.cancelled.map(|reason| reason.name())
            .or_else(|| order.reject.map(RejectReason::text)),
        "created": order.creation_timestamp.to_string(), "done": known.done.map(|time| time.to_string()),
        "trigger_price": trigger.and_then(|trigger| price(trigger.price)),
        "trigger_by": trigger.map(|trigger| by_word(trigger.by)),
        "trail": special.trail.map(exact),
        "trail_percent": special.callback.map(|rate| exact(rate.percent)),
        "trail_from": special.callback.and_then(|rate| rate.from).map(exact),
        "show": special.display.map(exact),
        "whole_position": special.whole,
    })
}
