//! The realtime socket: subscriptions, authentication, public and private tables.
//!
//! ```json
//! {"op":"subscribe","args":["orderBookL2:XBT_USDT","trade:XBT_USDT"]}
//! {"op":"authKeyExpires","args":["<key>",1767225600,"<signature>"]}
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Value, json};
use smol_str::SmolStr;

use super::account::{margins, wallets};
use super::row::{Row, array, time_text};
use super::tables::{Feed, Table, instruments};
use super::{Switches, auth, routes, rows};
use crate::connector::OrderState as State;
use crate::market::{Asset, InstrumentId};
use crate::order::{AccountId, FillId, OrderStatus};
use crate::paper::{Dictionary, Known, PaperExchange};
use crate::sim::{OrderEvent, OrderState, Owner, Update, UpdateBody};
use crate::venue::Frame;
use crate::venue::api::{Account, Call, Out, Posts, Reply, Room, SocketId};

/// So many topics of one socket.
const MOST_TOPICS: usize = 500;
const PRIVATE: [&str; 7] = ["affiliate", "execution", "margin", "order", "position", "transact", "wallet"];
const PUBLIC: [&str; 14] = [
    "funding",
    "instrument",
    "insurance",
    "liquidation",
    "orderBook10",
    "orderBookL2",
    "orderBookL2_25",
    "quote",
    "settlement",
    "trade",
    "tradeBin1d",
    "tradeBin1h",
    "tradeBin1m",
    "tradeBin5m",
];

/// What `help` and `/schema/websocketHelp` say.
pub(super) fn help() -> Value {
    json!({
        "info": "See https://www.bitmex.com/app/wsAPI and https://www.bitmex.com/explorer for more documentation.",
        "usage": "Send a message in the format: {\"op\": string, \"args\": Array<string>}",
        "ops": ["authKeyExpires", "cancelAllAfter", "subscribe", "unsubscribe"],
        "subscribe": "To subscribe, send: {\"op\": \"subscribe\", \"args\": [subscriptionTopic, ...]}.",
        "subscriptionSubjects": { "authenticationRequired": PRIVATE, "public": PUBLIC },
    })
}

#[derive(Debug, Default)]
struct Socket {
    account: Option<Account>,
    topics: BTreeSet<SmolStr>,
}

/// All sockets of an exchange.
#[derive(Debug, Default)]
pub(super) struct Streams {
    sockets: BTreeMap<SocketId, Socket>,
    feeds: BTreeMap<(&'static str, InstrumentId), Feed>,
    /// How many executions that traded nothing were told of: each has an id of its own.
    events: u64,
}

/// A command: what it is, its arguments, and the text that answers echo.
struct Wish<'a> {
    op: String,
    args: Vec<Value>,
    request: &'a str,
}

fn error(status: u16, message: &str, meta: &Value, request: &str) -> Out {
    let message = Value::from(message);
    Out::Text(format!(r#"{{"status":{status},"error":{message},"meta":{meta},"request":{request}}}"#))
}

fn push(table: &str, action: &str, rows: &str) -> String {
    format!(r#"{{"table":"{table}","action":"{action}","data":{rows}}}"#)
}

impl Streams {
    pub(super) fn open(
        &mut self,
        room: &mut Room<'_>,
        id: SocketId,
        call: &Call<'_>,
        posts: &mut Posts,
    ) -> Result<(), Reply> {
        let parameters = call.parameters();
        let parameter =
            |name: &str| parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let of = |name: &str| call.header(name).or(parameter(name));
        let mut socket = Socket::default();
        if let Some(key) = of("api-key") {
            let terms = (key, of("api-expires").unwrap_or_default(), of("api-signature").unwrap_or_default());
            let checked = auth::check_socket(room, Some(call), terms);
            socket.account =
                Some(checked.map_err(|refusal| routes::failure(refusal.status, &refusal.message))?);
        }
        let welcome = json!({
            "info": "Welcome to the BitMEX Realtime API.",
            "version": "2.0.0",
            "timestamp": time_text(room.paper.now()),
            "docs": "https://www.bitmex.com/app/wsAPI",
            "heartbeatEnabled": false,
            "limit": { "remaining": 719 },
            "appName": "papertape",
        });
        posts.push((id, Out::Text(welcome.to_string())));
        self.sockets.insert(id, socket);
        for topic in parameter("subscribe").unwrap_or_default().split(',').filter(|topic| !topic.is_empty()) {
            let request = json!({ "op": "subscribe", "args": topic }).to_string();
            self.wish(room, id, "subscribe", topic, &request, posts);
        }
        Ok(())
    }

    pub(super) fn close(&mut self, id: SocketId) {
        self.sockets.remove(&id);
        for feed in self.feeds.values_mut() {
            feed.listeners.remove(&id);
        }
    }

    pub(super) fn hear(
        &mut self,
        room: &mut Room<'_>,
        id: SocketId,
        frame: Frame<'_>,
        switches: &mut Switches,
        posts: &mut Posts,
    ) {
        let Frame::Text(text) = frame else { return };
        match text.trim() {
            "ping" => return posts.push((id, Out::Text("pong".into()))),
            "help" => return posts.push((id, Out::Text(help().to_string()))),
            _ => {}
        }
        let Some(wish) = read(text) else {
            let told = "Unable to parse message.";
            return posts.push((id, error(400, told, &json!({}), "null")));
        };
        match wish.op.as_str() {
            "ping" => posts.push((id, Out::Text("pong".into()))),
            "subscribe" | "unsubscribe" => {
                for topic in &wish.args {
                    match topic.as_str() {
                        Some(topic) => self.wish(room, id, &wish.op, topic, wish.request, posts),
                        None => posts.push((id, error(400, "Invalid topic.", &json!({}), wish.request))),
                    }
                }
            }
            "authKeyExpires" => self.log_in(room, id, &wish, posts),
            "cancelAllAfter" => self.dead_man(room, id, &wish, switches, posts),
            other => {
                let told = format!("Unknown op: {other}.");
                posts.push((id, error(400, &told, &json!({}), wish.request)));
            }
        }
    }

    fn log_in(&mut self, room: &Room<'_>, id: SocketId, wish: &Wish<'_>, posts: &mut Posts) {
        let Some(socket) = self.sockets.get_mut(&id) else { return };
        let arg = |at: usize| match wish.args.get(at) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        let (key, expires, signature) = (arg(0), arg(1), arg(2));
        if socket.account.is_some() {
            let told = "You are already authenticated.";
            return posts.push((id, error(400, told, &json!({}), wish.request)));
        }
        match auth::check_socket(room, None, (&key, &expires, &signature)) {
            Ok(account) => {
                socket.account = Some(account);
                posts.push((id, Out::Text(format!(r#"{{"success":true,"request":{}}}"#, wish.request))));
            }
            Err(refusal) => {
                posts.push((id, error(refusal.status, &refusal.message, &json!({}), wish.request)));
            }
        }
    }

    fn dead_man(
        &self,
        room: &Room<'_>,
        id: SocketId,
        wish: &Wish<'_>,
        switches: &mut Switches,
        posts: &mut Posts,
    ) {
        let account = self.sockets.get(&id).and_then(|socket| socket.account.as_ref());
        let Some(account) = account else {
            return posts.push((id, error(401, "Missing API key.", &json!({}), wish.request)));
        };
        let Some(timeout) = wish.args.first().and_then(Value::as_u64) else {
            return posts.push((id, error(400, "timeout is invalid", &json!({}), wish.request)));
        };
        let now = room.paper.now();
        let until = now.plus(Duration::from_millis(timeout));
        let cancel_time = match timeout {
            0 => {
                switches.remove(&account.session);
                json!(0)
            }
            _ => {
                switches.insert(account.session, until);
                json!(time_text(until))
            }
        };
        let (now, request) = (time_text(now), wish.request);
        posts.push((
            id,
            Out::Text(format!(r#"{{"now":"{now}","cancelTime":{cancel_time},"request":{request}}}"#)),
        ));
    }

    fn wish(
        &mut self,
        room: &mut Room<'_>,
        id: SocketId,
        op: &str,
        topic: &str,
        request: &str,
        posts: &mut Posts,
    ) {
        let Some(socket) = self.sockets.get_mut(&id) else { return };
        let refuse = |status: u16, told: &str| (id, error(status, told, &json!({}), request));
        let (name, symbol) = match topic.split_once(':') {
            Some((name, symbol)) => (name, Some(symbol)),
            None => (topic, None),
        };
        let private = PRIVATE.contains(&name);
        let table = Table::of(name);
        if !private && table.is_none() {
            return posts.push(refuse(400, &format!("Unknown table: {name}")));
        }
        if private && socket.account.is_none() {
            let told = "User requested an account-locked subscription but no authorization was provided.";
            return posts.push(refuse(401, told));
        }
        let Some(chosen) = instruments(room.paper, symbol) else {
            return posts.push(refuse(400, "Unknown or expired symbol."));
        };
        let ack = format!(r#"{{"success":true,"{op}":{},"request":{request}}}"#, Value::from(topic));
        if op == "unsubscribe" {
            socket.topics.remove(topic);
            if let Some(table) = table {
                for instrument in chosen {
                    if let Some(feed) = self.feeds.get_mut(&(table.name(), instrument)) {
                        feed.listeners.remove(&id);
                    }
                }
            }
            return posts.push((id, Out::Text(ack)));
        }
        if socket.topics.contains(topic) {
            let docs = "Please see the documentation at https://www.bitmex.com/app/wsAPI.";
            return posts
                .push(refuse(400, &format!("You are already subscribed to this topic:{topic}. {docs}")));
        }
        if socket.topics.len() >= MOST_TOPICS {
            return posts.push(refuse(400, "Too many subscriptions."));
        }
        socket.topics.insert(topic.into());
        posts.push((id, Out::Text(ack)));
        let filter = symbol.map_or_else(|| "{}".to_owned(), |symbol| json!({ "symbol": symbol }).to_string());
        let Some(table) = table else {
            let account = socket.account.clone();
            return posts.extend(account.map(|account| (id, private_partial(room.paper, &account, name))));
        };
        let mut rows: Vec<Row> = Vec::new();
        for instrument in chosen {
            let key = (table.name(), instrument);
            let feed = self.feeds.entry(key).or_insert_with(|| Feed::new(table, instrument));
            rows.extend(feed.partial(room.paper));
            feed.listeners.insert(id);
        }
        let (keys, types) = table.schema();
        let data = array(&rows);
        posts.push((
            id,
            Out::Text(format!(
                r#"{{"table":"{}","action":"partial","keys":{keys},"types":{types},"filter":{filter},"data":{data}}}"#,
                table.name()
            )),
        ));
    }

    pub(super) fn publish(&mut self, room: &mut Room<'_>, heard: &[Update], posts: &mut Posts) {
        let paper = &*room.paper;
        for feed in self.feeds.values_mut().filter(|feed| !feed.listeners.is_empty()) {
            for (action, rows) in feed.news(paper) {
                let frame = push(feed.table.name(), action, &rows);
                posts.extend(feed.listeners.iter().map(|id| (*id, Out::Text(frame.clone()))));
            }
        }
        let mut changed: BTreeSet<(AccountId, u16)> = BTreeSet::new();
        let mut fill = None;
        for update in heard {
            match &update.body {
                // It is told with the state of its order, which follows.
                UpdateBody::Fill(told) => fill = Some(told.id),
                UpdateBody::Order(order) => {
                    self.events += 1;
                    self.tell_order(room, order, fill.take(), posts);
                }
                UpdateBody::Ledger(entry) => {
                    if let Owner::Account(account) = entry.owner {
                        changed.insert((account, entry.asset));
                    }
                }
                UpdateBody::PublicTrade(_)
                | UpdateBody::Position(_)
                | UpdateBody::Funding(_)
                | UpdateBody::Liquidation(_) => {}
            }
        }
        for (account, asset) in changed {
            self.tell_balance(room, account, asset, posts);
        }
    }

    fn tell_order(
        &self,
        room: &Room<'_>,
        update: &crate::sim::OrderUpdate,
        fill: Option<FillId>,
        posts: &mut Posts,
    ) {
        let Some(state) = update.order.as_ref().filter(|state| state.id.0 != 0) else { return };
        let Some(trader) = room.paper.trader(update.session) else { return };
        let Some(known) = trader.by_exchange_id(state.id) else { return };
        let names = room.paper.names();
        let known = &at(names, known, state);
        let (action, event) = match update.event {
            OrderEvent::Accepted | OrderEvent::AtTheDoor => ("insert", Some("New")),
            OrderEvent::Cancelled(_) => ("update", Some("Canceled")),
            OrderEvent::Amended { .. } => ("update", Some("Replaced")),
            OrderEvent::Filled => ("update", Some("Trade")),
            OrderEvent::Triggered => ("update", None),
            OrderEvent::Rejected(_) | OrderEvent::Done => return,
        };
        let row = fill.and_then(|fill| trader.fills().iter().rev().find(|row| row.fill.id == fill));
        if let Some(event) = event {
            let id = match row {
                Some(row) => rows::exec_id(row.fill.id),
                None => format!("00000000-0000-4000-a000-{:012x}", self.events),
            };
            let execution = |account: &Account| rows::execution(names, account, known, (event, &id), row);
            self.tell(room, (update.account, "execution", "insert"), known, execution, posts);
        }
        let keys: Vec<String> = rows::ORDER_KEYS.iter().map(|key| (*key).to_owned()).collect();
        let order = |account: &Account| {
            let row = rows::order(names, account, known)?;
            Some(if action == "insert" { row } else { row.only(&keys, &["text"]) })
        };
        self.tell(room, (update.account, "order", action), known, order, posts);
    }

    /// Tells the sockets of an account that listen to a table, or to that table of the order's symbol.
    fn tell(
        &self,
        room: &Room<'_>,
        (account, table, action): (AccountId, &str, &str),
        known: &Known,
        row: impl Fn(&Account) -> Option<Row>,
        posts: &mut Posts,
    ) {
        let symbol = room.paper.names().instrument(known.instrument).map(|one| one.symbol.as_str());
        let narrow = format!("{table}:{}", symbol.unwrap_or_default());
        for (id, socket) in &self.sockets {
            let Some(own) = socket.account.as_ref().filter(|own| own.id == account) else { continue };
            if !socket.topics.contains(table) && !socket.topics.contains(narrow.as_str()) {
                continue;
            }
            let Some(row) = row(own) else { continue };
            posts.push((*id, Out::Text(push(table, action, &array(&[row.without_nulls()])))));
        }
    }

    fn tell_balance(&self, room: &Room<'_>, account: AccountId, asset: u16, posts: &mut Posts) {
        let Some(name) = room.paper.names().asset(asset).cloned() else { return };
        for (id, socket) in &self.sockets {
            let Some(own) = socket.account.as_ref().filter(|own| own.id == account) else { continue };
            let one = [(asset, name.clone())];
            for table in ["margin", "wallet"].into_iter().filter(|table| socket.topics.contains(*table)) {
                let rows = match table {
                    "margin" => margins(room.paper, own, &one),
                    _ => wallets(room.paper, own, &one),
                };
                posts.push((*id, Out::Text(push(table, "update", &array(&rows)))));
            }
        }
    }
}

/// An order as it was after an event, which may not be the last of what its owner knows.
fn at(names: &Dictionary, known: &Known, state: &OrderState) -> Known {
    let mut then = known.clone();
    if let Some(one) = names.instrument(state.instrument) {
        then.order.executed_amount_base = one.qty_decimal(state.filled);
        then.order.executed_amount_quote = names.quote_decimal(state.instrument, state.filled_quote);
    }
    then.order.current_state = match state.status {
        OrderStatus::Filled => State::Filled,
        OrderStatus::Cancelled => State::Canceled,
        OrderStatus::Rejected => State::Failed,
        OrderStatus::PartiallyFilled => State::PartiallyFilled,
        OrderStatus::Open | OrderStatus::Waiting => State::Open,
    };
    if !state.status.is_done() {
        (then.done, then.cancelled) = (None, None);
    }
    then
}

/// What a private table holds when somebody begins to listen.
fn private_partial(paper: &PaperExchange, account: &Account, table: &str) -> Out {
    let assets: Vec<(u16, Asset)> = (0_u16..).zip(paper.names().assets().cloned()).collect();
    let (keys, rows) = match table {
        "order" => {
            let trader = paper.trader(account.session);
            let open = trader.into_iter().flat_map(|trader| trader.orders());
            let open = open.filter(|known| known.done.is_none());
            let rows = open.filter_map(|known| rows::order(paper.names(), account, known));
            (r#"["orderID"]"#, rows.map(Row::without_nulls).collect())
        }
        "margin" => (r#"["account","currency"]"#, margins(paper, account, &assets)),
        "wallet" => (r#"["account","currency"]"#, wallets(paper, account, &assets)),
        "position" => (r#"["account","symbol","strategy"]"#, Vec::new()),
        "transact" => (r#"["transactID"]"#, Vec::new()),
        _ => ("[]", Vec::new()),
    };
    let number = rows::account_number(account.id);
    let data = array(&rows);
    Out::Text(format!(
        r#"{{"table":"{table}","action":"partial","keys":{keys},"types":{{}},"filter":{{"account":{number}}},"data":{data}}}"#
    ))
}

/// Reads a command; a single argument may stand without its list.
fn read(text: &str) -> Option<Wish<'_>> {
    let request: &RawValue = serde_json::from_str(text).ok()?;
    let Value::Object(fields) = serde_json::from_str::<Value>(text).ok()? else { return None };
    let op = fields.get("op")?.as_str()?.to_owned();
    let args = match fields.get("args") {
        Some(Value::Array(args)) => args.clone(),
        Some(Value::Null) | None => Vec::new(),
        Some(one) => vec![one.clone()],
    };
    Some(Wish { op, args, request: request.get() })
}
