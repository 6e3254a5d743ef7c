//! A venue's own interface, served: what a venue must answer so that its clients trade on paper without a change.
//!
//! Requests come in as the client wrote them and go out as the venue would answer; frames likewise. Whoever serves
//! them (HTTP, sockets, time) knows no venue; a venue knows no sockets.
//!
//! Never here: a venue's spelling of anything. Start at [`NativeApi`].

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use smol_str::{SmolStr, format_smolstr};

use super::Frame;
use crate::connector::{OrderRequest, OrderType, PositionAction, TradeType};
use crate::market::{InstrumentId, Timestamp};
use crate::order::{
    AccountId, ClientOrderId, NewOrder, OrderKind, OrderSize, PositionEffect, SessionId, SpecialOrder,
};
use crate::paper::{PaperError, PaperExchange, TraderView};
use crate::sim::{OrderEvent, RequestBody, Update};

/// A paper account that clients trade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: SmolStr,
    /// Its number in the exchange.
    pub id: AccountId,
    /// The session that all its clients share.
    pub session: SessionId,
}

/// What a client proves who it is with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The public part.
    pub key: String,
    /// What signatures are made with.
    pub secret: String,
    /// The third part where a venue has one (BitMart: memo).
    pub passphrase: String,
    /// Whose: an index into [`Access::accounts`].
    pub account: usize,
}

/// How old a signed request may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Window {
    /// As the venue says.
    #[default]
    Venue,
    /// So old, and so much ahead.
    Within(Duration),
    /// Any age.
    Off,
}

/// Who may trade.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// The accounts; the first is that of requests without a key where nothing is checked.
    pub accounts: Vec<Account>,
    /// The keys.
    pub keys: Vec<Key>,
    /// Keys and signatures are not checked.
    pub open: bool,
    /// How old a signed request may be.
    pub window: Window,
    /// Whether the venue's rate limits hold.
    pub limits: bool,
}

impl Access {
    /// The key of that name.
    pub fn key(&self, name: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.key == name)
    }

    /// The account of a key; where nothing is checked, that of a key that nobody knows is the first.
    pub fn account_of(&self, name: &str) -> Option<&Account> {
        match self.key(name) {
            Some(key) => self.accounts.get(key.account),
            None => self.accounts.first().filter(|_| self.open),
        }
    }
}

/// What a request is answered from.
pub struct Room<'a> {
    /// The exchange.
    pub paper: &'a mut PaperExchange,
    /// Who may trade.
    pub access: &'a Access,
    /// Tells the time of day, where somebody asks: at full speed nobody does for thousands of frames.
    pub wall: fn() -> Timestamp,
}

impl Room<'_> {
    /// The time of day: what signatures, rate limits and the venue's clock go by. The market's own time is
    /// [`PaperExchange::now`].
    pub fn wall(&self) -> Timestamp {
        (self.wall)()
    }

    /// What the clients of an account know.
    pub fn trader(&self, account: &Account) -> Option<&TraderView> {
        self.paper.trader(account.session)
    }

    /// Sends an order; the tag of its answer comes back.
    pub fn place(&mut self, account: &Account, order: NewOrder) -> Result<u64, PaperError> {
        let Some((id, request)) = self.request_of(&order) else {
            return self.paper.send(account.session, RequestBody::Place(order));
        };
        self.paper.send_order(account.session, id, order, &request)
    }

    /// The same of an order that asks for what few orders ask for.
    pub fn place_special(&mut self, account: &Account, special: SpecialOrder) -> Result<u64, PaperError> {
        if special.is_plain() {
            return self.place(account, special.order);
        }
        let Some((id, request)) = self.request_of(&special.order) else {
            return self.paper.send(account.session, RequestBody::PlaceSpecial(Box::new(special)));
        };
        self.paper.send_special(account.session, id, special, &request)
    }

    /// An order as its client's own list has it, and its name there.
    fn request_of(&self, order: &NewOrder) -> Option<(ClientOrderId, OrderRequest)> {
        let instrument = self.paper.names().instrument(order.instrument)?;
        let amount = match order.size {
            OrderSize::Qty(qty) => instrument.qty_decimal(qty),
            OrderSize::Quote(_) => rust_decimal::Decimal::ZERO,
        };
        let price = order.price.map(|price| instrument.price_decimal(price));
        let kind = match order.kind {
            OrderKind::Limit => OrderType::Limit,
            OrderKind::LimitMaker => OrderType::LimitMaker,
            OrderKind::Market => OrderType::Market,
        };
        let mut request =
            OrderRequest::new(TradeType::from(order.side), instrument.pair.clone(), amount, kind, price);
        request.time_in_force = order.tif;
        request.trigger =
            order.trigger.map(|trigger| (trigger.kind, instrument.price_decimal(trigger.price), trigger.by));
        request.position = match order.effect {
            PositionEffect::Net => PositionAction::Nil,
            PositionEffect::Open => PositionAction::Open,
            PositionEffect::Close => PositionAction::Close,
        };
        // An order without a client id needs a name in its session: one that no venue lets a client choose.
        let unnamed = || format_smolstr!("\u{1}{}", self.paper.last_tag() + 1);
        let id: ClientOrderId = order.client_id.clone().unwrap_or_else(unnamed);
        Some((id, request))
    }
}

/// A request as the client wrote it.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// `GET`, `POST` …
    pub method: &'a str,
    /// The path behind the mount's prefix, as it was written: nothing is decoded.
    pub path: &'a str,
    /// The mount's prefix that was taken off; may be empty. Some clients sign it.
    pub prefix: &'a str,
    /// What stands behind `?`; may be empty.
    pub query: &'a str,
    /// Names in lower case, and values; those that are no text are left out.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body.
    pub body: &'a [u8],
    /// Where it comes from.
    pub from: IpAddr,
}

impl<'a> Call<'a> {
    /// The first header of that name (lower case).
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    /// Where it comes from, as text.
    pub fn address(&self) -> SmolStr {
        format_smolstr!("{}", self.from)
    }

    /// The parameters of the query, decoded; the last of a name wins.
    pub fn parameters(&self) -> Vec<(String, String)> {
        parameters(self.query)
    }
}

/// The parameters of a query or of a form, decoded, in their order.
pub fn parameters(text: &str) -> Vec<(String, String)> {
    let parts = text.split('&').filter(|part| !part.is_empty());
    let pair = |part: &str| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        (decoded(name), decoded(value))
    };
    parts.map(pair).collect()
}

/// A part of a query with `%41` and `+` read; what is no code stays as it is.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = (bytes[at] == b'%').then(|| bytes.get(at + 1..at + 3)).flatten();
        let code = code.and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(if bytes[at] == b'+' { b' ' } else { bytes[at] });
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// Headers beside the content's type, which is JSON.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
}

impl Reply {
    /// A body with a status.
    pub fn new(status: u16, body: impl Into<String>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }
}

/// What makes an answer once the exchange has answered: the events come in the order of the tags.
pub type Finish = Box<dyn FnOnce(&mut Room<'_>, &[Option<OrderEvent>]) -> Reply + Send>;

/// What became of a call.
pub enum Called {
    /// It is answered.
    Done(Reply),
    /// It is answered when the exchange has answered requests.
    Waiting(Waiting),
}

impl From<Reply> for Called {
    fn from(reply: Reply) -> Self {
        Self::Done(reply)
    }
}

/// Requests that a reply waits for.
pub struct Waiting {
    /// On which session.
    pub session: SessionId,
    /// Their tags.
    pub tags: Vec<u64>,
    /// What makes the reply.
    pub finish: Finish,
}

impl Waiting {
    /// Whether all of it has been answered.
    pub fn is_answered(&self, paper: &PaperExchange) -> bool {
        let trader = paper.trader(self.session);
        trader.is_none_or(|trader| self.tags.iter().all(|tag| trader.is_answered(*tag)))
    }

    /// Makes the reply.
    pub fn finish(self, room: &mut Room<'_>) -> Reply {
        let answers: Vec<Option<OrderEvent>> =
            self.tags.iter().map(|tag| room.paper.take_answer(self.session, *tag)).collect();
        (self.finish)(room, &answers)
    }
}

/// What goes wrong before a venue sees a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The body is larger than anybody needs.
    TooLarge,
    /// The body ended early.
    Broken,
    /// The exchange cannot go on.
    Down,
}

/// A client's socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub u64);

/// What is sent on a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Out {
    /// A text frame.
    Text(String),
    /// A text frame that several sockets are sent: written once.
    Shared(Arc<str>),
    /// A binary frame.
    Binary(Vec<u8>),
    /// The end, with its code and why.
    Close(u16, &'static str),
}

/// What is to be sent, in order.
pub type Posts = Vec<(SocketId, Out)>;

/// Sends one text frame to all who listen.
pub fn tell_all(listeners: &BTreeSet<SocketId>, frame: String, posts: &mut Posts) {
    match listeners.len() {
        1 => posts.extend(listeners.first().map(|id| (*id, Out::Text(frame)))),
        _ => {
            let frame: Arc<str> = frame.into();
            posts.extend(listeners.iter().map(|id| (*id, Out::Shared(Arc::clone(&frame)))));
        }
    }
}

/// The interface of one venue over one exchange. One object for all its clients; it is asked one thing at a time.
pub trait NativeApi: Send {
    /// Names of hosts that are the venue's own: a request to one of them is for it, whatever its path.
    fn hosts(&self) -> &'static [&'static str];

    /// Where clients of the venue look for its sockets, behind the base: `/api?protocol=1.1`.
    fn socket_path(&self) -> &'static str;

    /// Answers a request.
    fn call(&mut self, room: &mut Room<'_>, call: &Call<'_>) -> Result<Called, PaperError>;

    /// Answers what never became a request.
    fn fault(&self, fault: Fault) -> Reply;

    /// A client wants a socket. `Err`: the answer of a venue that has none there.
    fn open(
        &mut self,
        room: &mut Room<'_>,
        socket: SocketId,
        call: &Call<'_>,
        posts: &mut Posts,
    ) -> Result<(), Reply>;

    /// A client sent a frame.
    fn hear(
        &mut self,
        room: &mut Room<'_>,
        socket: SocketId,
        frame: Frame<'_>,
        posts: &mut Posts,
    ) -> Result<(), PaperError>;

    /// A client is gone.
    fn close(&mut self, socket: SocketId);

    /// Time has passed and this was delivered to traders: what the subscribers get.
    fn publish(&mut self, room: &mut Room<'_>, heard: &[Update], posts: &mut Posts);
}

/// 10^15: nobody has more of an asset, and beyond it products of real prices are no longer exact.
pub const MOST_MONEY: rust_decimal::Decimal =
    rust_decimal::Decimal::from_parts(2_764_472_320, 232_830, 0, false, 0);

/// The instrument of an exchange that a venue spells so.
pub fn instrument_of(paper: &PaperExchange, symbol: &str) -> Option<InstrumentId> {
    let at = paper.names().instruments().iter().position(|instrument| instrument.symbol == symbol)?;
    u32::try_from(at).ok().map(InstrumentId)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded() {
        let want = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        for (query, pairs) in [
            ("", &[][..]),
            ("symbol=BTC_USDT&limit=5", &[("symbol", "BTC_USDT"), ("limit", "5")]),
            ("filter=%7B%22open%22%3A+true%7D&&x", &[("filter", "{\"open\": true}"), ("x", "")]),
            ("a=%zz%4&b=100%", &[("a", "%zz%4"), ("b", "100%")]),
            ("a=%ff", &[("a", "\u{fffd}")]),
        ] {
            assert_eq!(parameters(query), want(pairs), "{query}");
        }
    }
}
