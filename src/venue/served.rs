//! A venue's interface over a market drawn by hand, for tests: requests and frames in, a transcript out.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use super::Frame;
use super::api::{Access, Account, Call, Called, Key, NativeApi, Out, Posts, Reply, Room, SocketId, Window};
use crate::market::*;
use crate::order::{AccountId, SessionId};
use crate::paper::drawn::{decimal, markets};
use crate::paper::{PaperExchange, PaperOptions};
use crate::sim::{FeeSchedule, LatencyModel, MarketConfig, QueueModel, SimConfig, VenueRules};

/// The time of day of every request.
pub(crate) const WALL: i64 = 1_700_000_000_000;

/// The same as the interfaces ask for it.
pub(crate) fn time_of_day() -> Timestamp {
    Timestamp::from_millis(WALL)
}

/// Where every request comes from.
pub(crate) const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Two accounts with a key each, on one exchange.
pub(crate) struct Served {
    pub(crate) api: Box<dyn NativeApi>,
    pub(crate) paper: PaperExchange,
    pub(crate) access: Access,
    pub(crate) log: String,
}

impl Served {
    /// `lines` as [`markets`] reads them; `instrument` stands for the one that they are drawn with.
    pub(crate) fn new(
        api: Box<dyn NativeApi>,
        instrument: Instrument,
        lines: &str,
        (fees, rules): (FeeSchedule, VenueRules),
        balances: &[(&str, &str)],
    ) -> Self {
        Self::over(api, vec![MarketConfig::spot(instrument, fees)], lines, rules, balances)
    }

    /// The same with several markets: `lines` as [`markets`] reads them.
    pub(crate) fn over(
        api: Box<dyn NativeApi>,
        all: Vec<MarketConfig>,
        lines: &str,
        rules: VenueRules,
        balances: &[(&str, &str)],
    ) -> Self {
        let instruments: Vec<Instrument> = all.iter().map(|market| market.instrument.clone()).collect();
        let wanted: Vec<InstrumentId> = (0..).map(InstrumentId).take(all.len()).collect();
        let source = Renamed(markets(lines, all.len()), instruments);
        let config = SimConfig {
            queue: QueueModel::Conservative,
            latency: LatencyModel::None,
            venue: rules,
            ..SimConfig::realistic(all, 1)
        };
        let mut paper = PaperExchange::new(config, Box::new(source), PaperOptions::default()).unwrap();
        let mut access = Access { limits: true, window: Window::Off, ..Access::default() };
        for (number, name) in [(1, "alice"), (2, "bob")] {
            let account = Account { name: name.into(), id: AccountId(number), session: SessionId(number) };
            let deposits: Vec<_> = balances
                .iter()
                .map(|(asset, amount)| {
                    let index = paper.names().asset_index(&Asset::new(asset)).unwrap();
                    (index, paper.names().money(index, decimal(amount)).unwrap())
                })
                .collect();
            paper.open_account(account.id, account.session, &deposits).unwrap();
            access.accounts.push(account);
            access.keys.push(Key {
                key: format!("{name}-key"),
                secret: format!("{name}-secret"),
                passphrase: format!("{name}-memo"),
                account: access.accounts.len() - 1,
            });
        }
        paper.run_until_trusted(&wanted).unwrap();
        paper.listen();
        Self { api, paper, access, log: String::new() }
    }

    fn settle(&mut self) {
        let heard = self.paper.take_heard();
        let mut posts = Posts::new();
        let mut room = Room { paper: &mut self.paper, access: &self.access, wall: time_of_day };
        self.api.publish(&mut room, &heard, &mut posts);
        self.write(posts);
    }

    fn write(&mut self, posts: Posts) {
        for (socket, out) in posts {
            let _ = match out {
                Out::Text(text) => writeln!(self.log, "  {} < {text}", socket.0),
                Out::Shared(text) => writeln!(self.log, "  {} < {text}", socket.0),
                Out::Binary(bytes) => writeln!(self.log, "  {} < {} bytes", socket.0, bytes.len()),
                Out::Close(code, reason) => writeln!(self.log, "  {} < close {code} {reason}", socket.0),
            };
        }
    }

    /// Sends a request; the reply is not written down.
    pub(crate) fn ask(&mut self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let call = Call { method, path, prefix: "", query, headers, body, from: LOCAL };
        let called = {
            let mut room = Room { paper: &mut self.paper, access: &self.access, wall: time_of_day };
            self.api.call(&mut room, &call).unwrap()
        };
        let now = self.paper.now();
        self.paper.advance_to(now).unwrap();
        let reply = match called {
            Called::Done(reply) => reply,
            Called::Waiting(waiting) => {
                assert!(waiting.is_answered(&self.paper), "{method} {target}");
                waiting.finish(&mut Room { paper: &mut self.paper, access: &self.access, wall: time_of_day })
            }
        };
        self.settle();
        reply
    }

    /// The same, and writes it down.
    pub(crate) fn tell(&mut self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let _ = writeln!(self.log, "> {method} {target} {body}");
        let reply = self.ask(method, target, headers, body.as_bytes());
        let _ = writeln!(self.log, "< {} {}", reply.status, reply.body);
        reply
    }

    /// Opens a socket.
    pub(crate) fn open(&mut self, socket: u64, target: &str) {
        let _ = writeln!(self.log, "{socket} opens {target}");
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let call = Call { method: "GET", path, prefix: "", query, headers: &[], body: b"", from: LOCAL };
        let mut posts = Posts::new();
        let mut room = Room { paper: &mut self.paper, access: &self.access, wall: time_of_day };
        let opened = self.api.open(&mut room, SocketId(socket), &call, &mut posts);
        if let Err(reply) = opened {
            let _ = writeln!(self.log, "< {} {}", reply.status, reply.body);
        }
        self.write(posts);
    }

    /// Sends a frame.
    pub(crate) fn hear(&mut self, socket: u64, frame: &str) {
        let _ = writeln!(self.log, "{socket} > {frame}");
        let mut posts = Posts::new();
        let mut room = Room { paper: &mut self.paper, access: &self.access, wall: time_of_day };
        self.api.hear(&mut room, SocketId(socket), Frame::Text(frame), &mut posts).unwrap();
        self.write(posts);
        self.settle();
    }

    /// Lets time pass, and tells the sockets each 100 ms.
    pub(crate) fn advance(&mut self, millis: i64) {
        let until = Timestamp::from_millis(self.paper.now().millis() + millis);
        let _ = writeln!(self.log, "-- {millis} ms later");
        while self.paper.now() < until {
            let slice = Timestamp::from_millis(self.paper.now().millis().div_euclid(100) * 100 + 100);
            self.paper.advance_to(slice.min(until)).unwrap();
            self.settle();
        }
    }

    /// What was said so far, without what differs between replies only.
    pub(crate) fn transcript(&mut self) -> String {
        std::mem::take(&mut self.log)
    }
}

/// A drawn market under another instrument's name; the scales must be the same.
struct Renamed(MemorySource, Vec<Instrument>);

impl Source for Renamed {
    fn instruments(&self) -> &[Instrument] {
        &self.1
    }

    fn depth(&self, instrument: InstrumentId) -> FeedDepth {
        self.0.depth(instrument)
    }

    fn advance(&mut self) -> Result<Option<Timestamp>, SourceError> {
        self.0.advance()
    }

    fn group(&self) -> Group<'_> {
        self.0.group()
    }

    fn stats(&self) -> FeedStats {
        self.0.stats()
    }
}
