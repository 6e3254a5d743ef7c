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

use super::account::{funds, margins, wallets};
use super::log::{Event, Happened, Log, New};
use super::row::{Row, array, time_text};
use super::tables::{Feed, PAUSE, Table, instruments};
use super::{Switches, auth, positions, routes, rows, worth};
use crate::market::{InstrumentId, Timestamp};
use crate::order::AccountId;
use crate::paper::PaperExchange;
use crate::sim::{LedgerEntry, Liquidation, OrderEvent, Owner, Update, UpdateBody};
use crate::venue::Frame;
use crate::venue::api::{Account, Call, Out, Posts, Reply, Room, SocketId, tell_all};

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
#[derive(Debug)]
pub(super) struct Streams {
    sockets: BTreeMap<SocketId, Socket>,
    feeds: BTreeMap<(&'static str, InstrumentId), Feed>,
    /// How positions stood when they were last told.
    positions: BTreeMap<(AccountId, InstrumentId), Row>,
    /// When positions were last looked at for their mark prices.
    marked: Timestamp,
    /// How many liquidations were told.
    liquidations: u64,
}

impl Default for Streams {
    fn default() -> Self {
        Self {
            sockets: BTreeMap::new(),
            feeds: BTreeMap::new(),
            positions: BTreeMap::new(),
            marked: Timestamp::MIN,
            liquidations: 0,
        }
    }
}

/// What names a position.
const POSITION_KEYS: [&str; 4] = ["account", "symbol", "strategy", "timestamp"];

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
            let Some(account) = socket.account.clone() else { return };
            if name == "position" {
                self.begin_positions(room.paper, &account);
            }
            return posts.push((id, private_partial(room.paper, &account, name)));
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

    /// Tells what is new: `heard` was delivered, and of `log` what begins with that number.
    pub(super) fn publish(
        &mut self,
        room: &mut Room<'_>,
        heard: &[Update],
        (log, new): (&Log, New),
        posts: &mut Posts,
    ) {
        let paper = &*room.paper;
        for feed in self.feeds.values_mut().filter(|feed| !feed.listeners.is_empty()) {
            for (action, rows) in feed.news(paper) {
                let frame = push(feed.table.name(), action, &rows);
                tell_all(&feed.listeners, frame, posts);
            }
        }
        for funded in log.fundings().rev().take(new.fundings) {
            let rows: Vec<Row> = rows::funding(paper, funded).into_iter().collect();
            self.tell_all("funding", funded.instrument, "insert", &rows, posts);
        }
        for update in heard {
            if let UpdateBody::Liquidation(lost) = &update.body {
                self.tell_liquidation(paper, lost, posts);
            }
        }
        if self.sockets.values().all(|socket| socket.account.is_none()) {
            return;
        }
        let mut changed: BTreeSet<(AccountId, u16)> = BTreeSet::new();
        let mut moved: BTreeSet<(AccountId, InstrumentId)> = BTreeSet::new();
        for update in heard {
            match &update.body {
                UpdateBody::Ledger(LedgerEntry { owner: Owner::Account(account), asset, .. }) => {
                    changed.insert((*account, *asset));
                }
                UpdateBody::Position(state) => _ = moved.insert((state.account, state.instrument)),
                _ => {}
            }
        }
        let mut needs: BTreeSet<(AccountId, u16)> = changed.clone();
        for event in log.since(new.first) {
            self.tell_event(room, event, posts);
            // An order of a contract needs margin that is in no ledger.
            if let Happened::Order { state, .. } = &event.what
                && let Some(terms) = worth::terms(room.paper, state.instrument)
            {
                moved.insert((event.account, state.instrument));
                let settle = room.paper.names().asset_index(&terms.settle);
                needs.extend(settle.map(|asset| (event.account, asset)));
            }
        }
        if room.paper.now() >= self.marked.plus(PAUSE) {
            self.marked = room.paper.now();
            self.watch_marks(room.paper, &mut moved);
        }
        for (account, instrument) in moved {
            needs.extend(self.tell_position(room, account, instrument, posts).map(|asset| (account, asset)));
        }
        for (account, asset) in needs {
            self.tell_balance(room, account, asset, "margin", posts);
        }
        for (account, asset) in changed {
            self.tell_balance(room, account, asset, "wallet", posts);
        }
    }

    /// Positions that a partial tells are not new when they move.
    fn begin_positions(&mut self, paper: &PaperExchange, account: &Account) {
        for state in paper.positions(account.session) {
            if let Some(row) = positions::row(paper, account, &state) {
                let place = (account.id, state.instrument);
                self.positions.entry(place).or_insert_with(|| row.without_nulls());
            }
        }
    }

    /// Tells everybody who listens to a public table of an instrument.
    fn tell_all(&self, table: &'static str, of: InstrumentId, action: &str, rows: &[Row], posts: &mut Posts) {
        let Some(feed) = self.feeds.get(&(table, of)) else { return };
        let frame = push(table, action, &array(rows));
        tell_all(&feed.listeners, frame, posts);
    }

    /// A position that is taken over is an order of the exchange that comes and is done at once.
    fn tell_liquidation(&mut self, paper: &PaperExchange, lost: &Liquidation, posts: &mut Posts) {
        let Some(one) = paper.names().instrument(lost.instrument) else { return };
        self.liquidations += 1;
        let key = Row::new().text("orderID", &format!("00000000-0000-4000-b000-{:012x}", self.liquidations));
        let key = key.text("symbol", &one.symbol);
        let qty = one.qty_decimal(lost.qty);
        let order = key
            .clone()
            .text("side", if qty.is_sign_negative() { "Buy" } else { "Sell" })
            .number("price", lost.price.map(|price| worth::fine(price).round_dp(4)))
            .number("leavesQty", Some(qty.abs()));
        self.tell_all("liquidation", lost.instrument, "insert", &[order], posts);
        self.tell_all("liquidation", lost.instrument, "delete", &[key], posts);
    }

    /// Positions move with the mark price: those of whoever listens are looked at.
    fn watch_marks(&self, paper: &PaperExchange, moved: &mut BTreeSet<(AccountId, InstrumentId)>) {
        let wanted = |topic: &SmolStr| topic.starts_with("position") || topic.starts_with("margin");
        for socket in self.sockets.values().filter(|socket| socket.topics.iter().any(wanted)) {
            let Some(account) = &socket.account else { continue };
            let held = paper.positions(account.session).into_iter().filter(|state| !state.qty.is_zero());
            moved.extend(held.map(|state| (account.id, state.instrument)));
        }
    }

    /// Tells how a position stands where that changed; returns its settlement currency then.
    fn tell_position(
        &mut self,
        room: &Room<'_>,
        id: AccountId,
        instrument: InstrumentId,
        posts: &mut Posts,
    ) -> Option<u16> {
        let account = self
            .sockets
            .values()
            .find_map(|socket| socket.account.as_ref().filter(|account| account.id == id).cloned())?;
        let states = room.paper.positions(account.session);
        let state = states.iter().find(|state| state.instrument == instrument)?;
        let row = positions::row(room.paper, &account, state)?.without_nulls();
        let before = self.positions.insert((id, instrument), row.clone());
        let (action, row) = match before {
            None => ("insert", row),
            Some(before) => ("update", row.changes(&before, &POSITION_KEYS)?),
        };
        let symbol = room.paper.names().instrument(instrument).map(|one| one.symbol.as_str());
        self.tell((id, "position", action), symbol.unwrap_or_default(), |_| Some(row.clone()), posts);
        Some(state.settle)
    }

    /// Tells an execution, and its order where it has one.
    fn tell_event(&self, room: &Room<'_>, event: &Event, posts: &mut Posts) {
        let (paper, names) = (&*room.paper, room.paper.names());
        let instrument = match &event.what {
            Happened::Order { state, .. } => state.instrument,
            Happened::Funding(paid) => paid.instrument,
            Happened::Liquidation(lost) => lost.instrument,
        };
        let Some(symbol) = names.instrument(instrument).map(|one| one.symbol.as_str()) else { return };
        let execution = |account: &Account| rows::event(paper, account, event);
        self.tell((event.account, "execution", "insert"), symbol, execution, posts);
        let Happened::Order { session, event: happened, state, .. } = &event.what else { return };
        let action = match happened {
            OrderEvent::Accepted | OrderEvent::AtTheDoor => "insert",
            _ => "update",
        };
        let changed: &[&str] = match happened {
            OrderEvent::Amended { .. } => &["orderQty", "stopPx", "pegOffsetValue"],
            OrderEvent::Triggered => &["triggered"],
            _ => &[],
        };
        let keys: Vec<String> = rows::ORDER_KEYS.iter().chain(changed).map(|key| (*key).to_owned()).collect();
        let order = |account: &Account| {
            let known = paper.trader(*session)?.by_exchange_id(state.id)?;
            let row = rows::order(names, account, &rows::at(names, known, state))?;
            Some(if action == "insert" { row } else { row.only(&keys, &["text"]) })
        };
        self.tell((event.account, "order", action), symbol, order, posts);
    }

    /// Tells the sockets of an account that listen to a table, or to that table of the symbol.
    fn tell(
        &self,
        (account, table, action): (AccountId, &str, &str),
        symbol: &str,
        row: impl Fn(&Account) -> Option<Row>,
        posts: &mut Posts,
    ) {
        let narrow = format!("{table}:{symbol}");
        for (id, socket) in &self.sockets {
            let Some(own) = socket.account.as_ref().filter(|own| own.id == account) else { continue };
            if !socket.topics.contains(table) && !socket.topics.contains(narrow.as_str()) {
                continue;
            }
            let Some(row) = row(own) else { continue };
            posts.push((*id, Out::Text(push(table, action, &array(&[row.without_nulls()])))));
        }
    }

    /// Tells what an account has of an asset, on one of the tables of money.
    fn tell_balance(&self, room: &Room<'_>, account: AccountId, asset: u16, table: &str, posts: &mut Posts) {
        let Some(name) = room.paper.names().asset(asset).cloned() else { return };
        let one = [(asset, name)];
        for (id, socket) in self.sockets.iter().filter(|(_, socket)| socket.topics.contains(table)) {
            let Some(own) = socket.account.as_ref().filter(|own| own.id == account) else { continue };
            let rows = match table {
                "margin" => margins(room.paper, own, &one),
                _ => wallets(room.paper, own, &one),
            };
            posts.push((*id, Out::Text(push(table, "update", &array(&rows)))));
        }
    }
}

/// What a private table holds when somebody begins to listen.
fn private_partial(paper: &PaperExchange, account: &Account, table: &str) -> Out {
    let assets = funds(paper);
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
        "position" => {
            let rows = positions::all(paper, account).into_iter().map(Row::without_nulls).collect();
            (r#"["account","symbol","strategy"]"#, rows)
        }
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
