//! BitMart's spot sockets: subscriptions, logins, and who is pushed what.
//!
//! ```json
//! {"op":"subscribe","args":["spot/depth/increase100:BTC_USDT"]}
//! {"op":"login","args":["<key>","<ms>","<sign>"]}
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use serde::Deserialize;
use serde_json::{Value, json};
use smol_str::SmolStr;

use super::auth;
use super::public;
use super::push::{self, Balances};
use super::topic::{Channel, Topic};
use crate::order::AccountId;
use crate::sim::{Update, UpdateBody};
use crate::venue::Frame;
use crate::venue::api::{Call, Out, Posts, Room, SocketId, tell_all};

/// The most topics of one request, and of one connection.
const MOST_ARGS: usize = 20;
const MOST_PUBLIC: usize = 115;
const MOST_PRIVATE: usize = 100;

/// When pushes are compressed: raw DEFLATE, in binary frames. The real server does as it likes and says so nowhere;
/// clients choose here with `compress=all` or `compress=BYTES` behind the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Compress(Option<usize>);

impl Compress {
    fn of(call: &Call<'_>) -> Self {
        let parameters = call.parameters();
        let asked = parameters.iter().find(|(name, _)| name == "compress").map(|(_, value)| value.as_str());
        Self(match asked {
            Some("all") => Some(0),
            Some(bytes) => bytes.parse().ok(),
            None => None,
        })
    }

    fn pack(self, text: String) -> Out {
        match self.0 {
            Some(bytes) if text.len() > bytes => {
                let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
                let packed = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish());
                // Writing to memory does not fail; were it to, the text is as good.
                packed.map_or(Out::Text(text), Out::Binary)
            }
            _ => Out::Text(text),
        }
    }
}

#[derive(Debug)]
struct Socket {
    private: bool,
    /// Who logged in.
    account: Option<AccountId>,
    topics: BTreeSet<SmolStr>,
    compress: Compress,
}

/// All sockets of an exchange.
#[derive(Debug, Default)]
pub(super) struct Streams {
    sockets: BTreeMap<SocketId, Socket>,
    topics: BTreeMap<SmolStr, Topic>,
}

/// What a client writes.
#[derive(Deserialize)]
struct Wish {
    #[serde(default)]
    op: String,
    #[serde(default)]
    args: Vec<Value>,
}

fn told(event: &str, code: &str, message: &str) -> Out {
    Out::Text(json!({ "event": event, "errorMessage": message, "errorCode": code }).to_string())
}

impl Streams {
    pub(super) fn open(&mut self, socket: SocketId, private: bool, call: &Call<'_>) {
        let (account, topics, compress) = (None, BTreeSet::new(), Compress::of(call));
        self.sockets.insert(socket, Socket { private, account, topics, compress });
    }

    pub(super) fn close(&mut self, socket: SocketId) {
        self.sockets.remove(&socket);
        for topic in self.topics.values_mut() {
            topic.listeners.remove(&socket);
        }
    }

    pub(super) fn hear(&mut self, room: &mut Room<'_>, id: SocketId, frame: Frame<'_>, posts: &mut Posts) {
        let Frame::Text(text) = frame else {
            posts.push((id, told("", "90001", "Invalid message format")));
            return;
        };
        if text == "ping" {
            posts.push((id, Out::Text("pong".into())));
            return;
        }
        let Ok(wish) = serde_json::from_str::<Wish>(text) else {
            posts.push((id, told("", "90001", "Invalid message format")));
            return;
        };
        match wish.op.as_str() {
            "login" => self.log_in(room, id, &wish.args, posts),
            op @ ("subscribe" | "unsubscribe" | "request") => {
                if wish.args.is_empty() || wish.args.iter().any(|arg| !arg.is_string()) {
                    posts.push((id, told(op, "90003", "Invalid args param")));
                } else if wish.args.len() > MOST_ARGS {
                    let text = "Topic quantity in single subscription exceeds limit";
                    posts.push((id, told(op, "90005", text)));
                } else {
                    for topic in wish.args.iter().filter_map(Value::as_str) {
                        self.wish(room, id, op, topic, posts);
                    }
                }
            }
            _ => posts.push((id, told(&wish.op, "90002", "Invalid op param"))),
        }
    }

    /// The first frame of a private socket. A login that fails ends the connection.
    fn log_in(&mut self, room: &Room<'_>, id: SocketId, args: &[Value], posts: &mut Posts) {
        let Some(socket) = self.sockets.get_mut(&id) else { return };
        // The time may be a number.
        let arg = |at: usize| match args.get(at) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        let (name, timestamp, sign) = (arg(0), arg(1), arg(2));
        let access = room.access;
        let checked = || {
            if socket.account.is_some() {
                return Err(("91005", "Already logged in"));
            }
            if name.is_empty() && !access.open {
                return Err(("91001", "API KEY is empty"));
            }
            let account = access.account_of(&name).ok_or(("91002", "API KEY not found"))?;
            let Some(key) = access.key(&name).filter(|_| !access.open) else { return Ok(account.id) };
            if timestamp.is_empty() {
                return Err(("91021", "Param timestamp is empty"));
            }
            auth::login_in_time(&timestamp, room)?;
            if sign.is_empty() {
                return Err(("91010", "Param sign is empty"));
            }
            match auth::is_signed(key, &timestamp, b"bitmart.WebSocket", &sign) {
                true => Ok(account.id),
                false => Err(("91011", "Param sign is wrong")),
            }
        };
        match checked() {
            Ok(account) => {
                socket.account = Some(account);
                posts.push((id, Out::Text(r#"{"event":"login"}"#.into())));
            }
            Err((code, message)) => {
                posts.push((id, told("login", code, message)));
                posts.push((id, Out::Close(1000, message)));
            }
        }
    }

    fn wish(&mut self, room: &Room<'_>, id: SocketId, op: &str, name: &str, posts: &mut Posts) {
        let Some(socket) = self.sockets.get_mut(&id) else { return };
        let ack = || Out::Text(json!({ "event": op, "topic": name }).to_string());
        let Some((channel, symbol)) = name.split_once(':') else {
            posts.push((id, told(op, "90004", "Invalid channel param")));
            return;
        };
        if channel.starts_with("spot/user/") {
            let fault = match (socket.private && is_private(channel), socket.account) {
                (false, _) => Some(("90004", "Invalid channel param")),
                (true, None) => Some(("91006", "User not logged in / User must be logged in")),
                (true, Some(_)) if op == "request" => Some(("90009", "Invalid subscription")),
                (true, Some(_)) => private_symbol(room, channel, symbol),
            };
            if let Some((code, message)) = fault {
                posts.push((id, told(op, code, message)));
                return;
            }
            match op {
                "unsubscribe" => _ = socket.topics.remove(name),
                _ if socket.topics.len() >= MOST_PRIVATE => {
                    posts.push((id, told(op, "90006", "Subscribed total topic quantity exceeds limit")));
                    return;
                }
                _ => _ = socket.topics.insert(name.into()),
            }
            posts.push((id, ack()));
            return;
        }
        let Some(channel) = Channel::of(channel).filter(|_| !socket.private) else {
            posts.push((id, told(op, "90004", "Invalid channel param")));
            return;
        };
        let Some((instrument, _)) = public::find(room.paper, symbol) else {
            posts.push((id, told(op, "92001", "Invalid symbol param")));
            return;
        };
        let compress = socket.compress;
        let topic = self.topics.entry(name.into()).or_insert_with(|| Topic::new(channel, instrument));
        match op {
            "unsubscribe" => {
                socket.topics.remove(name);
                topic.listeners.remove(&id);
                posts.push((id, ack()));
            }
            "request" => match topic.listeners.contains(&id).then(|| topic.snapshot(room.paper)).flatten() {
                Some(frame) => posts.push((id, compress.pack(frame))),
                None => posts.push((id, told(op, "90009", "Invalid subscription"))),
            },
            _ if socket.topics.len() >= MOST_PUBLIC && !socket.topics.contains(name) => {
                posts.push((id, told(op, "90006", "Subscribed total topic quantity exceeds limit")));
            }
            _ => {
                socket.topics.insert(name.into());
                posts.push((id, ack()));
                let first = topic.join(room.paper, id);
                posts.extend(first.map(|frame| (id, compress.pack(frame))));
            }
        }
    }

    pub(super) fn publish(&mut self, room: &mut Room<'_>, heard: &[Update], posts: &mut Posts) {
        let paper = &*room.paper;
        for topic in self.topics.values_mut().filter(|topic| !topic.listeners.is_empty()) {
            let Some(frame) = topic.news(paper) else { continue };
            let of = |id: &SocketId| self.sockets.get(id).map_or(Compress(None), |socket| socket.compress);
            if let (1, Some(alone)) = (topic.listeners.len(), topic.listeners.first()) {
                posts.push((*alone, of(alone).pack(frame)));
                continue;
            }
            // Packed once for all who want it packed the same way.
            let ways: BTreeSet<Compress> = topic.listeners.iter().map(of).collect();
            for compress in ways {
                let same = topic.listeners.iter().copied().filter(|id| of(id) == compress);
                match compress.pack(frame.clone()) {
                    Out::Text(text) => tell_all(&same.collect(), text, posts),
                    packed => posts.extend(same.map(|id| (id, packed.clone()))),
                }
            }
        }
        if heard.is_empty() {
            return;
        }
        let mut balances = Balances::default();
        for update in heard {
            match &update.body {
                UpdateBody::Ledger(entry) => balances.see(entry),
                UpdateBody::Order(order) => {
                    let Some(trader) = paper.trader(order.session) else { continue };
                    let Some((symbol, data)) = push::order(paper, trader, order) else { continue };
                    let one = format!("spot/user/order:{symbol}");
                    for (topic, table) in
                        [(one.as_str(), "spot/user/order"), (ALL_ORDERS, "spot/user/orders")]
                    {
                        self.tell(order.account, topic, table, &data, posts);
                    }
                }
                UpdateBody::Fill(_)
                | UpdateBody::PublicTrade(_)
                | UpdateBody::Position(_)
                | UpdateBody::Funding(_)
                | UpdateBody::Liquidation(_) => {}
            }
        }
        for (account, data) in balances.frames(paper) {
            self.tell(account, BALANCE, "spot/user/balance", &data, posts);
        }
    }

    fn tell(&self, account: AccountId, topic: &str, table: &str, data: &Value, posts: &mut Posts) {
        let listens = |socket: &Socket| socket.account == Some(account) && socket.topics.contains(topic);
        for (id, socket) in self.sockets.iter().filter(|(_, socket)| listens(socket)) {
            let frame = json!({ "data": [data], "table": table }).to_string();
            posts.push((*id, socket.compress.pack(frame)));
        }
    }
}

const ALL_ORDERS: &str = "spot/user/orders:ALL_SYMBOLS";
const BALANCE: &str = "spot/user/balance:BALANCE_UPDATE";

fn is_private(channel: &str) -> bool {
    matches!(channel, "spot/user/order" | "spot/user/orders" | "spot/user/balance")
}

/// What is wrong with what stands behind a private channel.
fn private_symbol(room: &Room<'_>, channel: &str, symbol: &str) -> Option<(&'static str, &'static str)> {
    let fine = match channel {
        "spot/user/order" => public::find(room.paper, symbol).is_some(),
        "spot/user/orders" => symbol == "ALL_SYMBOLS",
        _ => symbol == "BALANCE_UPDATE",
    };
    (!fine).then_some(("92001", "Invalid symbol param"))
}
