//! Scenes: what a test does as a picture, and what it expects behind an arrow.
//!
//! ```text
//! 0s   book   bid 8 @ 100.0 | ask 5 @ 101.0          the whole book anew
//! 1s   a1     buy 3 @ 100.0                          -> a1 open ahead 8
//! 2s   trade  sell 9 @ 100.0                         -> a1 fills 1 @ 100 maker leaves 2
//! 3s   frame  bid 0 @ 100.0 | trade sell 1 @ 99.9    one message: changes and prints in its order
//! 3s   ?      a1 ahead 0, a1 leaves 1                 what is there now
//! ```
//! Also: `gap`, `halt`, `resume`, `wait` (time passes), `end a` (the session of account a ends); `a1 cancel`,
//! `a cancel all`, `a1 amend 2 @ 99.9`; orders end in `market`, `post`, `ioc`, `fok`, `gtd 5s`, `stop 101.0`,
//! `take 99.0`, `stp taker|maker|both|none`; `buy $500 market` spends quote; `fund a 10 BTC`.
//! `a1` is an order of account `a`; an account has a million of everything unless it is funded by hand.
//! Behind the arrow, between semicolons, stands all that happened to orders (public trades where one is named).

use std::collections::BTreeSet;
use std::fmt::Write as _;

use papertape::market::decimal::{Plain, parse_units};
use papertape::market::{
    Group, GroupKind, IdSpan, InstrumentId, MarketEvent, Price, Print, Qty, Side, Timestamp, parse_duration,
};
use papertape::order::{
    AccountId, Liquidity, Money, NewOrder, OrderKind, OrderRef, OrderSize, OrderStatus, SelfTrade, SessionId,
    TimeInForce, Trigger, TriggerBy, TriggerKind,
};
use papertape::sim::{
    Admin, Fill, Input, OrderEvent, OrderState, Request, RequestBody, SimConfig, Update, UpdateBody,
};

use super::Exchange;

/// A scene that is being played.
pub struct Scene<E: Exchange> {
    /// The engine.
    pub exchange: E,
    /// All that it said.
    pub updates: Vec<Update>,
    config: SimConfig,
    funded: BTreeSet<char>,
    now: Timestamp,
    tag: u64,
}

/// Plays a scene on an engine; panics where it does not go as drawn.
pub fn play<E: Exchange>(config: SimConfig, drawn: &str) -> Scene<E> {
    let mut scene = Scene {
        exchange: E::start(config.clone()),
        updates: Vec::new(),
        config,
        funded: BTreeSet::new(),
        now: Timestamp::from_nanos(0),
        tag: 0,
    };
    for line in drawn.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        scene.line(line);
    }
    scene
}

impl<E: Exchange> Scene<E> {
    fn line(&mut self, line: &str) {
        let (action, expected) = match line.split_once("->") {
            Some((action, expected)) => (action.trim(), Some(expected.trim())),
            None => (line, None),
        };
        let (time, rest) = action.split_once(' ').expect("a time and what happens");
        let at = parse_duration(time).unwrap_or_else(|| panic!("{line}: no time"));
        self.now = Timestamp::from_nanos(0).plus(at);
        let (who, what) = rest.trim().split_once(' ').unwrap_or((rest.trim(), ""));
        let from = self.updates.len();
        self.act(who, what.trim(), line);
        if let Some(expected) = expected {
            let public = expected.contains("public");
            let told: Vec<String> =
                self.updates[from..].iter().filter_map(|update| self.tell(update, public)).collect();
            let told = if told.is_empty() { "nothing".to_owned() } else { told.join("; ") };
            assert_eq!(told, expected, "{}: {line}", E::NAME);
        }
    }

    fn act(&mut self, who: &str, what: &str, line: &str) {
        match who {
            "book" => self.group(GroupKind::Snapshot, what),
            "frame" => self.group(GroupKind::Update, what),
            "trade" => self.group(GroupKind::Update, &format!("trade {what}")),
            "gap" => self.events(GroupKind::Update, &[MarketEvent::Distrust]),
            "halt" => self.events(GroupKind::Update, &[MarketEvent::Trading(false)]),
            "resume" => self.events(GroupKind::Update, &[MarketEvent::Trading(true)]),
            "wait" => self.apply(Input::Advance),
            "fund" => self.fund(what),
            "end" => self.apply(Input::Admin(Admin::EndSession(account_of(what)))),
            "?" => what.split(',').for_each(|check| self.check(check.trim(), line)),
            _ => self.ask(who, what, line),
        }
    }

    fn apply(&mut self, input: Input<'_>) {
        self.exchange.apply(self.now, input, &mut self.updates);
    }

    fn price(&self, text: &str) -> Price {
        let instrument = &self.config.markets[0].instrument;
        instrument.price(text.trim()).unwrap_or_else(|fault| panic!("{fault}"))
    }

    fn qty(&self, text: &str) -> Qty {
        let instrument = &self.config.markets[0].instrument;
        instrument.qty(text.trim()).unwrap_or_else(|fault| panic!("{fault}"))
    }

    /// Decimals of the base and the quote asset.
    fn scales(&self) -> (u8, u8) {
        let instrument = &self.config.markets[0].instrument;
        (instrument.qty_scale.max(8), (instrument.price_scale + instrument.qty_scale).max(8))
    }

    fn asset(&self, name: &str) -> (u16, u8) {
        let pair = &self.config.markets[0].instrument.pair;
        let (base, quote) = self.scales();
        match name {
            name if name == pair.base.as_str() => (0, base),
            name if name == pair.quote.as_str() => (1, quote),
            _ => panic!("no asset {name}"),
        }
    }

    // ---- The market ---------------------------------------------------------------------------------------------

    fn events(&mut self, kind: GroupKind, events: &[MarketEvent]) {
        let (instrument, now) = (InstrumentId(0), self.now);
        let group = Group { instrument, kind, exchange_time: now, receive_time: now, events, ids: &[] };
        self.apply(Input::Market(group));
    }

    fn group(&mut self, kind: GroupKind, what: &str) {
        let mut events = Vec::new();
        for part in what.split('|').map(str::trim).filter(|part| !part.is_empty()) {
            let (word, rest) = part.split_once(' ').unwrap_or((part, ""));
            match word {
                "halt" | "resume" => events.push(MarketEvent::Trading(word == "resume")),
                "gap" => events.push(MarketEvent::Distrust),
                "trade" => {
                    let (aggressor, rest) = rest.trim().split_once(' ').expect("who, size, price");
                    let aggressor = match aggressor {
                        "buy" => Some(Side::Buy),
                        "sell" => Some(Side::Sell),
                        _ => None,
                    };
                    let (qty, price) = self.at(rest);
                    events.push(MarketEvent::Trade(Print { aggressor, id: IdSpan::default(), price, qty }));
                }
                "bid" | "ask" => {
                    let side = if word == "bid" { Side::Buy } else { Side::Sell };
                    for level in rest.split(',') {
                        let (qty, price) = self.at(level);
                        events.push(MarketEvent::Level { side, price, qty });
                    }
                }
                _ => panic!("{part:?}: no event"),
            }
        }
        self.events(kind, &events);
    }

    /// `3 @ 100.0`
    fn at(&self, text: &str) -> (Qty, Price) {
        let (qty, price) = text.split_once('@').unwrap_or_else(|| panic!("{text:?}: no @"));
        (self.qty(qty), self.price(price))
    }

    // ---- The accounts -------------------------------------------------------------------------------------------

    fn fund(&mut self, what: &str) {
        let words: Vec<&str> = what.split_whitespace().collect();
        let [account, amount, asset] = words[..] else { panic!("{what}: account, amount, asset") };
        self.funded.insert(account.chars().next().expect("an account"));
        let account = account_of(account);
        let (asset, scale) = self.asset(asset);
        let amount = Money(i128::from(parse_units(amount.as_bytes(), scale).expect("an amount")));
        self.apply(Input::Admin(Admin::OpenAccount(account)));
        self.apply(Input::Admin(Admin::Deposit { account, asset, amount }));
    }

    fn ask(&mut self, who: &str, what: &str, line: &str) {
        let letter = who.chars().next().expect("an account");
        if self.funded.insert(letter) {
            let pair = self.config.markets[0].instrument.pair.clone();
            for asset in [pair.base, pair.quote] {
                self.fund(&format!("{letter} 1000000 {asset}"));
            }
        }
        let words: Vec<&str> = what.split_whitespace().collect();
        let order = OrderRef::Client(who.into());
        let body = match words[..] {
            ["cancel"] => RequestBody::Cancel(order),
            ["cancel", "all"] => RequestBody::CancelAll { instrument: None },
            ["amend", "@", price] => RequestBody::Amend { order, price: Some(self.price(price)), qty: None },
            ["amend", qty] => RequestBody::Amend { order, price: None, qty: Some(self.qty(qty)) },
            ["amend", qty, "@", price] => {
                RequestBody::Amend { order, price: Some(self.price(price)), qty: Some(self.qty(qty)) }
            }
            ["buy" | "sell", ..] => RequestBody::Place(self.order(who, &words, line)),
            _ => panic!("{line}: no request"),
        };
        self.tag += 1;
        let account = account_of(who);
        let session = SessionId(account.0);
        self.apply(Input::Request(Request { session, account, tag: self.tag, body }));
        self.apply(Input::Advance);
    }

    fn order(&self, label: &str, words: &[&str], line: &str) -> NewOrder {
        let side = if words[0] == "buy" { Side::Buy } else { Side::Sell };
        let size = match words[1].strip_prefix('$') {
            Some(amount) => {
                let units = parse_units(amount.as_bytes(), self.scales().1).expect("an amount");
                OrderSize::Quote(Money(i128::from(units)))
            }
            None => OrderSize::Qty(self.qty(words[1])),
        };
        let mut order = NewOrder::market(InstrumentId(0), side, Qty::ZERO);
        order.size = size;
        order.client_id = Some(label.into());
        let mut rest = words[2..].iter();
        let mut tif = None;
        while let Some(word) = rest.next() {
            let mut next = || rest.next().unwrap_or_else(|| panic!("{line}: {word} what?"));
            match *word {
                "@" => {
                    order.price = Some(self.price(next()));
                    order.kind = OrderKind::Limit;
                    order.tif = TimeInForce::Gtc;
                }
                "market" => {}
                "post" => order.kind = OrderKind::LimitMaker,
                "ioc" => tif = Some(TimeInForce::Ioc),
                "fok" => tif = Some(TimeInForce::Fok),
                "gtd" => {
                    let until = parse_duration(next()).expect("a time");
                    tif = Some(TimeInForce::Gtd(Timestamp::from_nanos(0).plus(until)));
                }
                "stop" | "take" => {
                    let kind = if *word == "stop" { TriggerKind::Stop } else { TriggerKind::TakeProfit };
                    order.trigger = Some(Trigger { kind, price: self.price(next()), by: TriggerBy::Last });
                }
                "stp" => {
                    order.self_trade = Some(match *next() {
                        "taker" => SelfTrade::CancelTaker,
                        "maker" => SelfTrade::CancelMaker,
                        "both" => SelfTrade::CancelBoth,
                        _ => SelfTrade::None,
                    });
                }
                _ => panic!("{line}: {word}?"),
            }
        }
        order.tif = tif.unwrap_or(order.tif);
        order
    }

    // ---- What is said -------------------------------------------------------------------------------------------

    fn tell(&self, update: &Update, public: bool) -> Option<String> {
        let instrument = &self.config.markets[0].instrument;
        match &update.body {
            UpdateBody::Ledger(_)
            | UpdateBody::Position(_)
            | UpdateBody::Funding(_)
            | UpdateBody::Liquidation(_) => None,
            UpdateBody::PublicTrade(trade) => public.then(|| {
                let (qty, price) = (instrument.show_qty(trade.qty), instrument.show_price(trade.price));
                format!("public {} {qty} @ {price}", trade.aggressor)
            }),
            UpdateBody::Fill(fill) => Some(self.tell_fill(fill)),
            UpdateBody::Order(order) => {
                let name = order.order.as_ref().and_then(|order| order.client_id.clone());
                let name = name.unwrap_or_else(|| "?".into());
                let text = match order.event {
                    OrderEvent::Filled | OrderEvent::Done => return None,
                    OrderEvent::Accepted => self.tell_open(order.order.as_ref()?),
                    OrderEvent::Rejected(reason) => format!("rejected: {}", reason.text()),
                    OrderEvent::Triggered => "triggered".to_owned(),
                    OrderEvent::Cancelled(reason) => format!("cancelled: {}", reason.name()),
                    OrderEvent::Amended { kept_place: true } => "amended in place".to_owned(),
                    OrderEvent::Amended { kept_place: false } => "amended".to_owned(),
                    OrderEvent::AtTheDoor => "at the door".to_owned(),
                };
                Some(format!("{name} {text}"))
            }
        }
    }

    fn tell_open(&self, order: &OrderState) -> String {
        let mut text = if order.status == OrderStatus::Waiting { "waits" } else { "open" }.to_owned();
        if let Some(ahead) = order.ahead {
            let _ = write!(text, " ahead {}", self.config.markets[0].instrument.show_qty(ahead));
        }
        text
    }

    fn tell_fill(&self, fill: &Fill) -> String {
        let instrument = &self.config.markets[0].instrument;
        let state = self.updates.iter().find_map(|update| match &update.body {
            UpdateBody::Order(order) => {
                let state = order.order.as_ref()?;
                (state.id == fill.order).then_some(state)
            }
            _ => None,
        });
        let name = state.and_then(|state| state.client_id.clone()).unwrap_or_default();
        // What is left is said by the order's update that came with the fill.
        let at =
            self.updates.iter().position(|update| matches!(&update.body, UpdateBody::Fill(f) if f == fill));
        let after = self.updates[at.expect("it was said")..].iter().find_map(|update| match &update.body {
            UpdateBody::Order(order) if order.event == OrderEvent::Filled => order.order.as_ref(),
            _ => None,
        });
        let leaves = after.map_or(Qty::ZERO, |state| state.qty - state.filled);
        format!(
            "{name} fills {} @ {} {} leaves {}",
            instrument.show_qty(fill.qty),
            instrument.show_price(fill.price),
            if fill.liquidity == Liquidity::Maker { "maker" } else { "taker" },
            instrument.show_qty(leaves)
        )
    }

    fn check(&self, check: &str, line: &str) {
        let words: Vec<&str> = check.split_whitespace().collect();
        let account = account_of(words[0]);
        let found = self.exchange.open_orders(account);
        let found = found.iter().find(|order| order.client_id.as_deref() == Some(words[0]));
        let instrument = &self.config.markets[0].instrument;
        let there = || found.unwrap_or_else(|| panic!("{}: {line}: {} is not there", E::NAME, words[0]));
        match words[1..] {
            ["gone"] => assert!(found.is_none(), "{}: {line}: {found:?}", E::NAME),
            ["ahead", "unknown"] => assert_eq!(there().ahead, None, "{}: {line}", E::NAME),
            ["ahead", ahead] => {
                let now = there().ahead.map(|ahead| instrument.show_qty(ahead).to_string());
                assert_eq!(now.as_deref(), Some(ahead), "{}: {line}", E::NAME);
            }
            ["leaves", leaves] => {
                let now = instrument.show_qty(there().qty - there().filled);
                assert_eq!(now.to_string(), leaves, "{}: {line}", E::NAME);
            }
            ["has" | "holds", amount, asset] => {
                let (asset, scale) = self.asset(asset);
                let balance = self.exchange.balance(account, asset);
                let now = if words[1] == "has" { balance.total } else { balance.held };
                assert_eq!(Plain::new(now.0, scale).to_string(), amount, "{}: {line}", E::NAME);
            }
            _ => panic!("{line}: no check"),
        }
    }
}

fn account_of(label: &str) -> AccountId {
    let letter = label.bytes().next().expect("an account");
    AccountId(u32::from(letter - b'a') + 1)
}
