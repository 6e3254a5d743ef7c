//! The sockets of contracts: subscriptions, logins, and who is pushed what.
//!
//! ```json
//! {"action":"subscribe","args":["futures/depthIncrease50:BTCUSDT"]}
//! {"action":"access","args":["<key>","<ms>","<sign>","web"]}
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Map, Value, json};
use smol_str::SmolStr;

use super::super::auth;
use super::memory::Memory;
use super::push;
use super::topic::{Topic, Wanted};
use crate::market::Timestamp;
use crate::order::AccountId;
use crate::sim::{Update, UpdateBody};
use crate::venue::Frame;
use crate::venue::api::{Account, Out, Posts, Room, SocketId, tell_all};

/// The longest frame of a client, in bytes.
const LONGEST: usize = 2_048;
/// The most topics of a connection.
const MOST: usize = 115;
/// How often positions are told where nothing changes.
const POSITIONS: Duration = Duration::from_secs(10);

#[derive(Debug)]
struct Socket {
    private: bool,
    /// Whether it speaks of contracts; its first frame says so.
    spoken: bool,
    account: Option<AccountId>,
    topics: BTreeSet<SmolStr>,
    /// When its positions were told last.
    positions: Timestamp,
}

/// All sockets of an exchange, as far as they speak of contracts.
#[derive(Debug, Default)]
pub(in crate::venue::bitmart::api) struct Streams {
    sockets: BTreeMap<SocketId, Socket>,
    topics: BTreeMap<SmolStr, Topic>,
    /// What was last told of each account's assets.
    told: push::Told,
    /// How many pongs there were: each has an id of its own.
    pongs: u64,
}

/// What a client writes: the case of the names does not matter.
struct Wish {
    action: String,
    args: Vec<Value>,
    whole: Value,
}

impl Wish {
    fn read(text: &str) -> Option<Self> {
        let Ok(Value::Object(fields)) = serde_json::from_str::<Value>(text) else { return None };
        let field = |fields: &Map<String, Value>, wanted: &str| {
            fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.clone())
        };
        let action = field(&fields, "action").and_then(|value| value.as_str().map(str::to_owned));
        let args = field(&fields, "args").and_then(|value| value.as_array().cloned());
        let (action, args) = (action.unwrap_or_default(), args.unwrap_or_default());
        Some(Self { action, args, whole: Value::Object(fields) })
    }
}

/// Whether a frame is one of contracts: its object has `action`, whatever the case.
fn has_action(text: &str) -> bool {
    let Ok(Value::Object(fields)) = serde_json::from_str::<Value>(text) else { return false };
    fields.keys().any(|name| name.eq_ignore_ascii_case("action"))
}

fn text(value: &Value) -> Out {
    Out::Text(value.to_string())
}

impl Streams {
    pub(in crate::venue::bitmart::api) fn open(&mut self, socket: SocketId, private: bool) {
        let (topics, positions) = (BTreeSet::new(), Timestamp::MIN);
        self.sockets.insert(socket, Socket { private, spoken: false, account: None, topics, positions });
    }

    pub(in crate::venue::bitmart::api) fn close(&mut self, socket: SocketId) {
        self.sockets.remove(&socket);
        for topic in self.topics.values_mut() {
            topic.listeners.remove(&socket);
        }
    }

    /// Whether a frame of a socket is for contracts: its own, or those before it were.
    pub(in crate::venue::bitmart::api) fn is_for_it(&mut self, id: SocketId, frame: Frame<'_>) -> bool {
        let Some(socket) = self.sockets.get_mut(&id) else { return false };
        if let (false, Frame::Text(text)) = (socket.spoken, frame) {
            socket.spoken = has_action(text);
        }
        socket.spoken
    }

    pub(in crate::venue::bitmart::api) fn hear(
        &mut self,
        room: &mut Room<'_>,
        id: SocketId,
        frame: Frame<'_>,
        memory: &Memory,
        posts: &mut Posts,
    ) {
        let Frame::Text(said) = frame else {
            let error = "Invalid message: message must be JSON";
            posts.push((id, text(&json!({ "success": false, "error": error }))));
            return;
        };
        if said.len() > LONGEST {
            posts.push((id, Out::Close(1009, "the message is too long")));
            return;
        }
        let Some(wish) = Wish::read(said) else {
            let error = format!("Invalid message: message must be JSON: {said}");
            posts.push((id, text(&json!({ "success": false, "error": error }))));
            return;
        };
        match wish.action.as_str() {
            "ping" => {
                self.pongs += 1;
                let pong = push::unique(self.pongs);
                posts.push((id, text(&json!({ "group": "System", "data": format!("pong+{pong}") }))));
            }
            "access" => self.log_in(room, id, &wish.args, posts),
            _ => {
                for arg in &wish.args {
                    self.wish(room, id, &wish, arg.as_str().unwrap_or_default(), memory, posts);
                }
                if wish.args.is_empty() {
                    let error = format!("Invalid action [{}] for group []", wish.action);
                    posts.push((
                        id,
                        text(&json!({ "action": wish.action, "success": false, "error": error })),
                    ));
                }
            }
        }
    }

    /// The first frame of a private socket. A login that fails ends the connection.
    fn log_in(&mut self, room: &Room<'_>, id: SocketId, args: &[Value], posts: &mut Posts) {
        let Some(socket) = self.sockets.get_mut(&id) else { return };
        let arg = |at: usize| match args.get(at) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        let (name, timestamp, sign) = (arg(0), arg(1), arg(2));
        let account = room.access.account_of(&name).map(|account| account.id);
        let signed = match room.access.key(&name).filter(|_| !room.access.open) {
            Some(key) => {
                auth::login_in_time(&timestamp, room).is_ok()
                    && auth::is_signed(key, &timestamp, b"bitmart.WebSocket", &sign)
            }
            None => room.access.open,
        };
        match account.filter(|_| signed && socket.private) {
            Some(account) => {
                socket.account = Some(account);
                posts.push((id, text(&json!({ "action": "access", "success": true }))));
            }
            None => {
                let start: String = name.chars().take(8).collect();
                let error =
                    format!("access failed: openapi auth: apiKey {start}**** failed: openapi auth failed");
                posts.push((id, text(&json!({ "action": "access", "success": false, "error": error }))));
                posts.push((id, Out::Close(1000, "access failed")));
            }
        }
    }

    fn wish(
        &mut self,
        room: &mut Room<'_>,
        id: SocketId,
        wish: &Wish,
        name: &str,
        memory: &Memory,
        posts: &mut Posts,
    ) {
        let Some(socket) = self.sockets.get_mut(&id) else { return };
        let action = wish.action.as_str();
        let answer = |success: bool, error: Option<String>| {
            let mut told =
                json!({ "action": action, "group": name, "success": success, "request": wish.whole });
            if let (Some(error), Value::Object(fields)) = (error, &mut told) {
                fields.insert("error".into(), error.into());
            }
            text(&told)
        };
        if !matches!(action, "subscribe" | "unsubscribe" | "request") {
            posts.push((id, answer(false, Some(format!("Invalid action [{action}] for group [{name}]")))));
            return;
        }
        if push::is_private(name) {
            if socket.account.is_none() {
                posts.push((id, answer(false, Some(format!("{name} need authenication")))));
                return;
            }
            match action {
                "unsubscribe" => _ = socket.topics.remove(name),
                _ => _ = socket.topics.insert(name.into()),
            }
            posts.push((id, answer(true, None)));
            return;
        }
        let wanted = Wanted::of(room.paper, name).filter(|_| !socket.private);
        let fits = socket.topics.len() < MOST || socket.topics.contains(name);
        let Some(wanted) = wanted.filter(|_| fits || action != "subscribe") else {
            posts.push((id, answer(false, Some(format!("Invalid channel: not found {name}")))));
            return;
        };
        match action {
            "unsubscribe" => {
                socket.topics.remove(name);
                if let Some(topic) = self.topics.get_mut(name) {
                    topic.listeners.remove(&id);
                }
                posts.push((id, answer(true, None)));
            }
            "request" => {
                let topic = self.topics.get_mut(name).filter(|topic| topic.listeners.contains(&id));
                match topic {
                    Some(topic) => {
                        let frames = topic.now(room.paper, memory);
                        posts.extend(frames.into_iter().map(|frame| (id, Out::Text(frame))));
                    }
                    None => posts.push((id, answer(false, Some(format!("group [{name}] not subscribed"))))),
                }
            }
            _ => {
                socket.topics.insert(name.into());
                posts.push((id, answer(true, None)));
                let topic = self.topics.entry(name.into()).or_insert_with(|| Topic::new(name, wanted));
                let first = topic.join(room.paper, memory, id);
                posts.extend(first.into_iter().map(|frame| (id, Out::Text(frame))));
            }
        }
    }

    pub(in crate::venue::bitmart::api) fn publish(
        &mut self,
        room: &mut Room<'_>,
        heard: &[Update],
        memory: &Memory,
        posts: &mut Posts,
    ) {
        let paper = &*room.paper;
        for topic in self.topics.values_mut().filter(|topic| !topic.listeners.is_empty()) {
            for frame in topic.news(paper, memory) {
                tell_all(&topic.listeners, frame, posts);
            }
        }
        if !self.sockets.values().any(|socket| socket.account.is_some()) {
            return;
        }
        let mut touched: BTreeSet<AccountId> = BTreeSet::new();
        for update in heard {
            match &update.body {
                UpdateBody::Order(order) => {
                    touched.insert(order.account);
                    let Some(trader) = paper.trader(order.session) else { continue };
                    if let Some(data) = push::order(paper, trader, order, memory) {
                        self.tell(order.account, "futures/order", &json!([data]), posts);
                    }
                }
                UpdateBody::Position(state) => {
                    touched.insert(state.account);
                    if let Some(account) = account_of(room, state.account)
                        && let Some(row) = push::position(paper, account, state)
                    {
                        self.tell(account.id, "futures/position", &json!([row]), posts);
                    }
                }
                UpdateBody::Ledger(entry) => {
                    if let crate::sim::Owner::Account(account) = entry.owner {
                        touched.insert(account);
                    }
                }
                UpdateBody::Fill(_)
                | UpdateBody::PublicTrade(_)
                | UpdateBody::Funding(_)
                | UpdateBody::Liquidation(_) => {}
            }
        }
        for account in touched {
            for (topic, data) in self.told.assets(paper, account) {
                self.tell(account, &topic, &data, posts);
            }
        }
        self.repeat_positions(room, posts);
    }

    /// Positions are told every ten seconds, too.
    fn repeat_positions(&mut self, room: &Room<'_>, posts: &mut Posts) {
        let now = room.paper.now();
        for (id, socket) in &mut self.sockets {
            let Some(account) = socket.account.and_then(|account| account_of(room, account)) else {
                continue;
            };
            if !socket.topics.contains("futures/position") {
                continue;
            }
            if socket.positions != Timestamp::MIN && now < socket.positions.plus(POSITIONS) {
                continue;
            }
            socket.positions = now;
            let known = room.paper.positions(account.session);
            let held = known.iter().filter(|state| !state.qty.is_zero());
            let rows: Vec<Value> =
                held.filter_map(|state| push::position(room.paper, account, state)).collect();
            if !rows.is_empty() {
                posts.push((*id, text(&json!({ "group": "futures/position", "data": rows }))));
            }
        }
    }

    fn tell(&self, account: AccountId, topic: &str, data: &Value, posts: &mut Posts) {
        let listens = |socket: &Socket| socket.account == Some(account) && socket.topics.contains(topic);
        for (id, _) in self.sockets.iter().filter(|(_, socket)| listens(socket)) {
            posts.push((*id, text(&json!({ "group": topic, "data": data }))));
        }
    }
}

fn account_of<'a>(room: &'a Room<'_>, id: AccountId) -> Option<&'a Account> {
    room.access.accounts.iter().find(|account| account.id == id)
}
