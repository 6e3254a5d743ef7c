//! Plays every drawn scene of `docs/fills.md`: the page says what the engine does, or this test fails.
//!
//! A scene is a block fenced as `scene`. Each line is one message of the market or one request, 1 ms after the line
//! before unless it begins with a time. What stands behind `->` is everything that happened to orders in that line,
//! in order, and may go on in the next line behind another `->`; a line without it changes no order. The words are explained at the head of the page.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::time::Duration;

use papertape::market::decimal::Plain;
use papertape::market::{
    Asset, FeedDepth, Group, GroupKind, IdSpan, Instrument, InstrumentId, MarketEvent, Pair, Price, Print,
    Qty, Side, Timestamp, parse_duration,
};
use papertape::order::{
    AccountId, Money, NewOrder, OrderId, OrderKind, OrderRef, OrderSize, SelfTrade, SessionId, TimeInForce,
    Trigger, TriggerBy, TriggerKind,
};
use papertape::sim::{
    Admin, BuyFee, CrossedBook, FeeSchedule, Input, LatencyModel, Law, MarketConfig, OrderEvent,
    PostOnlyAnswer, QueueModel, Rate, Refill, Request, RequestBody, SimConfig, SimulatedExchange, Update,
    UpdateBody, View,
};

/// The page.
const PAGE: &str = include_str!("../docs/fills.md");
/// The only market of a scene.
const MARKET: InstrumentId = InstrumentId(0);

/// One scene: its first line on the page, and its lines.
struct Scene {
    line: usize,
    lines: Vec<(usize, String)>,
}

fn scenes() -> Vec<Scene> {
    let mut scenes: Vec<Scene> = Vec::new();
    let mut inside = false;
    for (number, line) in PAGE.lines().enumerate() {
        match line.trim() {
            "```scene" => {
                inside = true;
                scenes.push(Scene { line: number + 1, lines: Vec::new() });
            }
            "```" => inside = false,
            text if inside && text.starts_with("->") => {
                // What happened goes on in this line.
                let (_, last) = scenes.last_mut().unwrap().lines.last_mut().unwrap();
                last.push_str(if last.contains("->") { ";" } else { "->" });
                last.push_str(&text[2..]);
            }
            text if inside && !text.is_empty() && !text.starts_with('#') => {
                scenes.last_mut().unwrap().lines.push((number + 1, text.to_owned()));
            }
            _ => {}
        }
    }
    scenes
}

/// `BTC-USDT`: prices of one decimal, quantities of two, tick 0.1, lot 0.01.
fn btc() -> Instrument {
    Instrument::spot("BTC_USDT", Pair::new("BTC", "USDT"), 1, 2).unwrap()
}

/// A price as the page writes it: always with its decimal.
fn price_text(price: Price) -> String {
    format!("{}.{}", price.units() / 10, price.units() % 10)
}

fn config() -> SimConfig {
    let fees = FeeSchedule::flat_rates(Rate(0), Rate(0), "scene");
    let market = MarketConfig::spot(btc(), fees);
    SimConfig { latency: LatencyModel::None, ..SimConfig::realistic(vec![market], 1) }
}

fn rate(text: &str) -> Rate {
    Rate::from_decimal(text.parse().unwrap()).unwrap()
}

/// `set KEY VALUE`, before anything happens.
fn set(config: &mut SimConfig, words: &[&str]) {
    let millis = |text: &str| parse_duration(text).unwrap();
    match words {
        ["queue", "front"] => config.queue = QueueModel::Front,
        ["queue", "conservative"] => config.queue = QueueModel::Conservative,
        ["queue", "probabilistic:log"] => config.queue = QueueModel::Probabilistic(Law::Log),
        ["queue", power] => {
            let n = power.strip_prefix("probabilistic:power=").unwrap().parse().unwrap();
            config.queue = QueueModel::Probabilistic(Law::Power(n));
        }
        ["refill", "new"] => config.refill = Refill::New,
        ["refill", "any"] => config.refill = Refill::Any,
        ["refill", after] => config.refill = Refill::After(millis(after)),
        ["latency", entry, response] => {
            config.latency = LatencyModel::Constant { entry: millis(entry), response: millis(response) };
        }
        ["fees", maker, taker] => {
            (config.markets[0].fees.maker, config.markets[0].fees.taker) = (rate(maker), rate(taker));
        }
        ["buy_fee", "deducted"] => config.markets[0].fees.buy_fee = BuyFee::DeductedFromReturns,
        ["depth", "candles"] => config.markets[0].depth = FeedDepth::Candles,
        ["depth", "prints"] => config.markets[0].depth = FeedDepth::Prints,
        ["depth", levels] => config.markets[0].depth = FeedDepth::Levels(levels.parse().unwrap()),
        ["lot", lot] => {
            let lot = btc().qty(lot).unwrap();
            (config.markets[0].instrument.rule.lot, config.markets[0].instrument.rule.min_qty) = (lot, lot);
        }
        ["post_only", "refused"] => config.venue.post_only = PostOnlyAnswer::Reject,
        ["crossed", "distrust"] => config.crossed = CrossedBook::Distrust,
        other => panic!("unknown setting {other:?}"),
    }
}

/// A simulated exchange with the orders of a scene by name.
struct Stage {
    exchange: SimulatedExchange,
    now: Timestamp,
    /// Names by tag, from 1.
    names: Vec<String>,
    ids: BTreeMap<String, OrderId>,
    open: Vec<char>,
}

impl Stage {
    fn new(config: SimConfig) -> Self {
        let exchange = SimulatedExchange::new(config).unwrap();
        let now = Timestamp::from_millis(0);
        Self { exchange, now, names: Vec::new(), ids: BTreeMap::new(), open: Vec::new() }
    }

    /// The account of an order: the letter of its name. A new one gets 100 BTC and 100,000 USDT.
    fn account(&mut self, name: &str) -> AccountId {
        let letter = name.chars().next().unwrap();
        let account = AccountId(u32::from(letter) - u32::from('a') + 1);
        if !self.open.contains(&letter) {
            self.open.push(letter);
            let mut updates = Vec::new();
            self.exchange.apply(self.now, Input::Admin(Admin::OpenAccount(account)), &mut updates);
            for (asset, whole) in [("BTC", 100), ("USDT", 100_000)] {
                let asset = self.exchange.asset_index(&Asset::new(asset)).unwrap();
                let amount = Money(whole * 10_i128.pow(u32::from(self.exchange.asset_scale(asset))));
                self.exchange.apply(
                    self.now,
                    Input::Admin(Admin::Deposit { account, asset, amount }),
                    &mut updates,
                );
            }
        }
        account
    }

    fn group(&mut self, kind: GroupKind, events: &[MarketEvent], updates: &mut Vec<Update>) {
        let (exchange_time, receive_time) = (self.now, self.now);
        let group = Group { instrument: MARKET, kind, exchange_time, receive_time, events, ids: &[] };
        self.exchange.apply(self.now, Input::Market(group), updates);
    }

    fn request(&mut self, name: &str, body: RequestBody, updates: &mut Vec<Update>) {
        let account = self.account(name);
        self.names.push(name.to_owned());
        let tag = self.names.len() as u64;
        let request = Request { session: SessionId(account.0), account, tag, body };
        self.exchange.apply(self.now, Input::Request(request), updates);
    }

    /// Carries out one line; returns what happened to orders.
    fn act(&mut self, text: &str) -> Vec<Update> {
        let mut updates = Vec::new();
        let words: Vec<&str> = text.split_whitespace().collect();
        match words[0] {
            "wait" => {}
            "book" => {
                let mut events = Vec::new();
                for side in text["book".len()..].split('|') {
                    let (name, levels) = side.trim().split_once(' ').unwrap_or(("", ""));
                    events.extend(levels.split(',').filter(|_| !name.is_empty()).map(|one| level(name, one)));
                }
                self.group(GroupKind::Snapshot, &events, &mut updates);
            }
            "bid" | "ask" | "trade" | "candle" | "gap" | "halt" | "resume" => {
                let events: Vec<MarketEvent> = text.split('|').map(|one| event(one.trim())).collect();
                self.group(GroupKind::Update, &events, &mut updates);
            }
            name => {
                let body = self.body(name, &words[1..]);
                self.request(name, body, &mut updates);
            }
        }
        self.exchange.apply(self.now, Input::Advance, &mut updates);
        updates
    }

    fn body(&mut self, name: &str, words: &[&str]) -> RequestBody {
        let btc = btc();
        let order = || OrderRef::Id(self.ids[name]);
        match words {
            ["cancel"] => RequestBody::Cancel(order()),
            ["amend", rest @ ..] => {
                let value = |key: &str| rest.iter().position(|word| *word == key).map(|at| rest[at + 1]);
                RequestBody::Amend {
                    order: order(),
                    price: value("price").map(|text| btc.price(text).unwrap()),
                    qty: value("amount").map(|text| btc.qty(text).unwrap()),
                }
            }
            ["spend", amount, "market"] => {
                let scale =
                    self.exchange.asset_scale(self.exchange.asset_index(&Asset::new("USDT")).unwrap());
                let amount = papertape::market::decimal::parse_units(amount.as_bytes(), scale).unwrap();
                let market = NewOrder::market(MARKET, Side::Buy, Qty::ZERO);
                RequestBody::Place(NewOrder { size: OrderSize::Quote(Money(amount.into())), ..market })
            }
            [side, qty, rest @ ..] => RequestBody::Place(new_order(side, qty, rest)),
            other => panic!("unknown request {other:?}"),
        }
    }

    /// What an order update or a fill says, in the page's words; `own` is the order that the line is about.
    fn tell(&mut self, updates: &[Update], own: &str) -> Vec<String> {
        let btc = btc();
        let mut told = Vec::new();
        let mut fill_words = String::new();
        for update in updates {
            match &update.body {
                UpdateBody::Fill(fill) => {
                    let (qty, price) = (btc.show_qty(fill.qty), price_text(fill.price));
                    let (liquidity, evidence) = (fill.liquidity.name(), fill.evidence.name());
                    fill_words = format!("fills {qty} @ {price} {liquidity} by {evidence}");
                }
                UpdateBody::Order(update) => {
                    let state = update.order.as_ref();
                    let id = state.map_or(OrderId(0), |state| state.id);
                    let tagged = self.names.get((update.tag as usize).wrapping_sub(1)).cloned();
                    let known =
                        self.ids.iter().find(|(_, known)| **known == id).map(|(name, _)| name.clone());
                    let name = known.or(tagged).unwrap_or_default();
                    let leaves = state.map_or(Qty::ZERO, |state| state.qty - state.filled);
                    let words = match update.event {
                        OrderEvent::Accepted => {
                            self.ids.insert(name.clone(), id);
                            match state.and_then(|state| state.ahead) {
                                Some(ahead) => format!("open, ahead {}", btc.show_qty(ahead)),
                                None => "open".to_owned(),
                            }
                        }
                        // The amount of a quote-sized order grows with its fills.
                        OrderEvent::Filled if state.is_some_and(|state| state.quote_qty().is_some()) => {
                            fill_words.clone()
                        }
                        OrderEvent::Filled if leaves.is_zero() => format!("{fill_words}, done"),
                        OrderEvent::Filled => format!("{fill_words}, leaves {}", btc.show_qty(leaves)),
                        OrderEvent::Rejected(reason) => format!("refused: {}", reason.text()),
                        OrderEvent::Cancelled(reason) => format!("ended: {}", reason.text()),
                        OrderEvent::Triggered => "triggered".to_owned(),
                        OrderEvent::Amended { kept_place: true } => "amended, keeps its place".to_owned(),
                        OrderEvent::Amended { kept_place: false } => "amended, joins anew".to_owned(),
                        OrderEvent::AtTheDoor => "waits at the door".to_owned(),
                        OrderEvent::Done => continue,
                    };
                    told.push(if name == own { words } else { format!("{name} {words}") });
                }
                UpdateBody::Ledger(_)
                | UpdateBody::PublicTrade(_)
                | UpdateBody::Position(_)
                | UpdateBody::Funding(_)
                | UpdateBody::Liquidation(_) => {}
            }
        }
        told
    }

    /// A question to the state: `a1 ahead 3.08`, `a has 99700 USDT, 300 held`, `shows bid 8 @ 100.0`,
    /// `public buy 2 @ 101.0`. `None`: it is no question. Else the true answer.
    fn ask(&mut self, item: &str, updates: &[Update]) -> Option<String> {
        let btc = btc();
        let words: Vec<&str> = item.split_whitespace().collect();
        let level = |side: Side, name: &str, view: View| {
            let best = self.exchange.levels(MARKET, side, view).next();
            let best = best.map(|level| format!("{} @ {}", btc.show_qty(level.qty), price_text(level.price)));
            format!("shows {name} {}", best.unwrap_or_else(|| "nothing".to_owned()))
        };
        match words[..] {
            [name, "ahead", _] if !name.contains(',') => {
                let state = self.ids.get(name).and_then(|id| self.exchange.order(*id));
                let ahead = state.and_then(|state| state.ahead);
                let ahead =
                    ahead.map_or_else(|| "unknown".to_owned(), |ahead| btc.show_qty(ahead).to_string());
                Some(format!("{name} ahead {ahead}"))
            }
            ["shows", "bid", ..] => Some(level(Side::Buy, "bid", View::Public)),
            ["shows", "ask", ..] => Some(level(Side::Sell, "ask", View::Public)),
            ["public", ..] => {
                let trades = updates.iter().filter_map(|update| match &update.body {
                    UpdateBody::PublicTrade(trade) => Some(format!(
                        "{} {} @ {}",
                        trade.aggressor,
                        btc.show_qty(trade.qty),
                        price_text(trade.price)
                    )),
                    _ => None,
                });
                Some(format!("public {}", trades.collect::<Vec<_>>().join(" and ")))
            }
            [account, "has", _, asset, ref rest @ ..] => {
                let account = self.account(account);
                let index = self.exchange.asset_index(&Asset::new(asset.trim_end_matches(','))).unwrap();
                let scale = self.exchange.asset_scale(index);
                let show = |money: Money| Plain::new(i64::try_from(money.0).unwrap(), scale).to_string();
                let balance = self.exchange.balance(account, index);
                let held =
                    if rest.is_empty() { String::new() } else { format!(", {} held", show(balance.held)) };
                Some(format!(
                    "{} has {} {}{held}",
                    words[0],
                    show(balance.total),
                    asset.trim_end_matches(',')
                ))
            }
            _ => None,
        }
    }
}

fn level(side: &str, text: &str) -> MarketEvent {
    let words: Vec<&str> = text.split_whitespace().collect();
    let side = if side == "bid" { Side::Buy } else { Side::Sell };
    MarketEvent::Level { side, qty: btc().qty(words[0]).unwrap(), price: btc().price(words[2]).unwrap() }
}

fn event(text: &str) -> MarketEvent {
    let (kind, rest) = text.split_once(' ').unwrap_or((text, ""));
    let words: Vec<&str> = rest.split_whitespace().collect();
    match kind {
        "bid" | "ask" => level(kind, rest),
        "gap" => MarketEvent::Distrust,
        "candle" => MarketEvent::Candle(btc().qty(words[0]).unwrap()),
        "halt" => MarketEvent::Trading(false),
        "resume" => MarketEvent::Trading(true),
        "trade" => {
            let aggressor = match words[0] {
                "buy" => Some(Side::Buy),
                "sell" => Some(Side::Sell),
                _ => None,
            };
            let (qty, price) = (btc().qty(words[1]).unwrap(), btc().price(words[3]).unwrap());
            MarketEvent::Trade(Print { aggressor, id: IdSpan::default(), price, qty })
        }
        other => panic!("unknown event {other:?}"),
    }
}

/// `buy 3 @ 100.0 ioc`, `sell 1 market`, `buy 1 @ 102.0 stop 101.5`, …
fn new_order(side: &str, qty: &str, rest: &[&str]) -> NewOrder {
    let btc = btc();
    let side = if side == "buy" { Side::Buy } else { Side::Sell };
    let qty = btc.qty(qty).unwrap();
    let mut order = NewOrder::market(MARKET, side, qty);
    let mut rest = rest.iter();
    while let Some(word) = rest.next() {
        match *word {
            "@" => order = NewOrder::limit(MARKET, side, qty, btc.price(rest.next().unwrap()).unwrap()),
            "market" => {}
            "post_only" => order.kind = OrderKind::LimitMaker,
            "ioc" => order.tif = TimeInForce::Ioc,
            "fok" => order.tif = TimeInForce::Fok,
            "until" => {
                let until = parse_duration(rest.next().unwrap()).unwrap();
                order.tif = TimeInForce::Gtd(Timestamp::from_millis(0).plus(until));
            }
            "stop" => {
                let price = btc.price(rest.next().unwrap()).unwrap();
                order.trigger = Some(Trigger { kind: TriggerKind::Stop, price, by: TriggerBy::Last });
            }
            "stp" => {
                order.self_trade = Some(match *rest.next().unwrap() {
                    "taker" => SelfTrade::CancelTaker,
                    "maker" => SelfTrade::CancelMaker,
                    "both" => SelfTrade::CancelBoth,
                    _ => SelfTrade::None,
                });
            }
            other => panic!("unknown option {other:?}"),
        }
    }
    order
}

/// Plays a scene; one line of text for each line that came out otherwise.
fn play(scene: &Scene) -> Vec<String> {
    let mut config = config();
    let mut stage: Option<Stage> = None;
    let mut wrong = Vec::new();
    for (number, line) in &scene.lines {
        let (text, expected) = line.split_once("->").unwrap_or((line, ""));
        let mut text = text.trim();
        if let Some(setting) = text.strip_prefix("set ") {
            set(&mut config, &setting.split_whitespace().collect::<Vec<_>>());
            continue;
        }
        let stage = stage.get_or_insert_with(|| Stage::new(config.clone()));
        stage.now = stage.now.plus(Duration::from_millis(1));
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            let (time, rest) = text.split_once(' ').unwrap();
            stage.now = Timestamp::from_millis(0).plus(parse_duration(time).unwrap());
            text = rest.trim();
        }
        let own = text.split_whitespace().next().unwrap_or_default().to_owned();
        let updates = stage.act(text);
        let told = stage.tell(&updates, &own);
        let items: Vec<&str> = expected.split(';').map(str::trim).filter(|item| !item.is_empty()).collect();
        let mut found = Vec::new();
        let mut events = told.into_iter();
        for item in items.iter().copied() {
            match stage.ask(item, &updates) {
                Some(answer) => found.push(answer),
                None => found.extend(events.next()),
            }
        }
        found.extend(events);
        if items.iter().copied().ne(found.iter().map(String::as_str)) {
            wrong.push(format!(
                "docs/fills.md:{number}: {text}\n    the page:   {expected}\n    the engine: {}",
                found.join("; ")
            ));
        }
    }
    wrong
}

#[test]
fn every_scene_of_the_page_is_what_the_engine_does() {
    let scenes = scenes();
    assert!(scenes.len() >= 16, "{} scenes: one a rule at least", scenes.len());
    let wrong: Vec<String> = scenes.iter().flat_map(play).collect();
    assert!(wrong.is_empty(), "{} lines differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_scene_stands_under_a_rule_with_its_number() {
    let mut rules = Vec::new();
    for line in PAGE.lines() {
        if let Some(heading) = line.strip_prefix("### ")
            && let Some((number, _)) = heading.split_once(". ")
            && let Ok(number) = number.parse::<usize>()
        {
            rules.push(number);
        }
    }
    assert_eq!(rules, (1..=16).collect::<Vec<_>>(), "the rules of the page, in order");
    assert!(scenes().iter().all(|scene| scene.line > 0));
}
