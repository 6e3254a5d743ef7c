use super::*;
use crate::market::{EventLog, MemorySource, Pair, Product};

/// An instrument of a tick and a lot.
fn instrument(symbol: &str, pair: &str, tick: &str, lot: &str) -> Instrument {
    let mut made = Instrument::spot(symbol, pair.parse().unwrap(), 4, 4).unwrap();
    made.rule.tick = made.price(tick).unwrap();
    made.rule.lot = made.qty(lot).unwrap();
    made
}

struct Scene {
    lender: Instrument,
    log: EventLog,
}

impl Scene {
    fn new(lender: Instrument) -> Self {
        Self { lender, log: EventLog::default() }
    }

    /// A group: `bid 8 @ 100.04`, `sell 2 @ 99.9`, `none 2 @ 99.9` …; the first word `snapshot` makes it one.
    fn group(&mut self, text: &str) -> &mut Self {
        let (kind, text) = match text.strip_prefix("snapshot ") {
            Some(rest) => (GroupKind::Snapshot, rest),
            None => (GroupKind::Update, text),
        };
        for part in text.split(" | ").filter(|part| !part.is_empty()) {
            let words: Vec<&str> = part.split(' ').collect();
            let [word, qty, "@", price] = words[..] else { panic!("{part}") };
            let (price, qty) = (self.lender.price(price).unwrap(), self.lender.qty(qty).unwrap());
            match word {
                "bid" => self.log.push(MarketEvent::Level { side: Side::Buy, price, qty }),
                "ask" => self.log.push(MarketEvent::Level { side: Side::Sell, price, qty }),
                "buy" => self.log.push_trade(Some(Side::Buy), price, qty, b"7"),
                "sell" => self.log.push_trade(Some(Side::Sell), price, qty, b"7"),
                _ => self.log.push_trade(None, price, qty, b""),
            }
        }
        let time = Timestamp::from_nanos(self.log.len() as i64);
        self.log.close(InstrumentId(0), kind, time, time);
        self
    }

    fn play(&self, borrower: &Instrument) -> Vec<String> {
        let source = Box::new(MemorySource::new(vec![self.lender.clone()], self.log.clone()));
        let to = borrower.clone();
        let mut borrow = Borrow::new(source, Box::new(move |_| Some(to.clone()))).unwrap();
        let mut out = Vec::new();
        while borrow.advance().unwrap().is_some() {
            let said: Vec<String> = borrow.group().events.iter().map(|event| said(borrower, event)).collect();
            out.push(said.join(" | "));
        }
        out
    }
}

fn said(instrument: &Instrument, event: &MarketEvent) -> String {
    match event {
        MarketEvent::Level { side, price, qty } => {
            let side = if *side == Side::Buy { "bid" } else { "ask" };
            format!("{side} {} @ {}", instrument.show_qty(*qty), instrument.show_price(*price))
        }
        MarketEvent::Trade(print) => {
            let side = print.aggressor.map_or("none", Side::name);
            format!("{side} {} @ {}", instrument.show_qty(print.qty), instrument.show_price(print.price))
        }
        other => format!("{other:?}"),
    }
}

#[test]
fn bids_go_down_asks_go_up_sizes_add_and_floor() {
    let mut scene = Scene::new(instrument("ETHUSDT", "ETH-USDT", "0.01", "0.001"));
    scene.group("snapshot bid 1.5 @ 100.19 | bid 2.75 @ 100.11 | bid 0.4 @ 99.95 | ask 0.6 @ 100.21 | ask 0.7 @ 100.3");
    scene.group("bid 0 @ 100.19");
    scene.group("bid 2.9 @ 100.1 | bid 0 @ 100.11");
    scene.group("ask 0 @ 100.21 | ask 0.25 @ 100.22");
    scene.group("ask 0.05 @ 100.29");
    scene.group("ask 0 @ 100.3 | ask 0 @ 100.22 | ask 0 @ 100.29");
    scene.group("ask 0 @ 104.99");
    scene.group("bid 0.4 @ 99.97 | bid 0.15 @ 99.91");
    let want = [
        // 1.5 + 2.75 at 100.1; 0.4 alone is below a lot; 0.6 + 0.7 at 100.3.
        "bid 4 @ 100.1 | ask 1 @ 100.3",
        "bid 2.5 @ 100.1",
        // 2.9 stands on the tick itself; what was at 100.11 is gone: one change, not two.
        "bid 2.5 @ 100.1",
        "ask 0.5 @ 100.3",
        "ask 1 @ 100.3",
        "ask 0 @ 100.3",
        "",
        "bid 0.5 @ 99.9",
    ];
    assert_eq!(scene.play(&instrument("ETH_USDT", "ETH-USDT", "0.1", "0.5")), want);
}

#[test]
fn a_snapshot_forgets_the_sums() {
    let mut scene = Scene::new(instrument("ETHUSDT", "ETH-USDT", "0.01", "0.01"));
    scene
        .group("snapshot bid 1 @ 100.19 | bid 1 @ 100.11")
        .group("snapshot bid 1 @ 100.11")
        .group("bid 0 @ 100.19");
    let want = ["bid 2 @ 100.1", "bid 1 @ 100.1", "bid 1 @ 100.1"];
    assert_eq!(scene.play(&instrument("ETH_USDT", "ETH-USDT", "0.1", "0.5")), want);
}

#[test]
fn prints_move_against_resting_orders() {
    let mut scene = Scene::new(instrument("ETHUSDT", "ETH-USDT", "0.01", "0.01"));
    scene.group("sell 1.7 @ 100.11 | buy 1.2 @ 100.19 | sell 0.4 @ 100.1 | buy 1 @ 100.2");
    // Without a side: through the lender's touch it has one, inside the spread it stays inside or is dropped.
    scene.group("snapshot bid 9 @ 100.14 | ask 9 @ 100.37");
    scene.group("none 1 @ 100.37 | none 1 @ 100.14 | none 1 @ 100.22 | none 1 @ 100.36");
    scene.group("ask 9 @ 100.17");
    scene.group("none 1 @ 100.16");
    let want = [
        "sell 1.5 @ 100.2 | buy 1 @ 100.1 | buy 1 @ 100.2",
        "bid 9 @ 100.1 | ask 9 @ 100.4",
        "buy 1 @ 100.3 | sell 1 @ 100.2 | none 1 @ 100.3 | none 1 @ 100.3",
        "ask 9 @ 100.2",
        "",
    ];
    assert_eq!(scene.play(&instrument("ETH_USDT", "ETH-USDT", "0.1", "0.5")), want);
}

#[test]
fn nothing_changes_where_the_rules_are_the_same_or_finer() {
    let text = "snapshot bid 1.57 @ 100.19 | ask 0 @ 100.3 | none 1 @ 100.2";
    let lender = instrument("ETHUSDT", "ETH-USDT", "0.01", "0.01");
    let mut scene = Scene::new(lender.clone());
    scene.group(text);
    assert_eq!(scene.play(&lender), [text.strip_prefix("snapshot ").unwrap()]);
    // Same steps, other scales.
    let finer = Instrument::spot("ETH_USDT", "ETH-USDT".parse().unwrap(), 6, 5).unwrap();
    assert_eq!(scene.play(&finer), [text.strip_prefix("snapshot ").unwrap()]);
}

#[test]
fn contracts_convert_by_notional_in_base() {
    let mut linear = instrument("ETHPERP", "ETH-USDT", "0.01", "1");
    linear.product = Product::Linear { multiplier: "0.01".parse().unwrap() };
    let mut scene = Scene::new(linear.clone());
    scene.group("snapshot bid 157 @ 100 | ask 3 @ 101");
    assert_eq!(scene.play(&instrument("ETH_USDT", "ETH-USDT", "0.1", "0.1")), ["bid 1.5 @ 100"]);

    let mut inverse = instrument("XBTUSD", "XBT-USD", "0.5", "1");
    inverse.product = Product::Inverse { multiplier: "1".parse().unwrap() };
    let mut scene = Scene::new(inverse.clone());
    // 50000 / 32000 = 1.5625; 16000.25 / 32000.5 = 0.5 exactly.
    scene.group("snapshot bid 50000 @ 32000 | ask 16000.25 @ 32000.5").group("sell 32000 @ 32000");
    let spot = instrument("BTC_USDT", "BTC-USDT", "0.01", "0.001");
    assert_eq!(scene.play(&spot), ["bid 1.562 @ 32000 | ask 0.5 @ 32000.5", "sell 1 @ 32000"]);

    let mut scene = Scene::new(spot);
    scene.group("snapshot bid 1.5 @ 32000.25");
    assert_eq!(scene.play(&inverse), ["bid 48000 @ 32000"]);
}

#[test]
fn other_markets_are_refused() {
    let eth = instrument("ETHUSDT", "ETH-USDT", "0.01", "0.01");
    let refused = |to: &Instrument| Conversion::new(&eth, to).err().map(|error| error.to_string());
    assert!(refused(&instrument("X", "ETH-BTC", "0.01", "0.01")).unwrap().contains("ETH-BTC cannot borrow"));
    assert!(refused(&instrument("X", "BTC-USDT", "0.01", "0.01")).is_some());
    assert_eq!(refused(&instrument("X", "ETH-USD", "0.01", "0.01")), None);
    let mut quanto = instrument("X", "ETH-USD", "0.01", "0.01");
    quanto.product = Product::Quanto { multiplier: "0.000001".parse().unwrap() };
    assert!(refused(&quanto).unwrap().contains("quanto"));
    let xbt = instrument("XBTUSDT", "XBT-USDT", "0.01", "0.01");
    let btc = instrument("BTC_USD", "BTC-USD", "0.01", "0.01");
    let conversion = Conversion::new(&xbt, &btc).unwrap();
    assert_eq!(conversion.notes(&xbt, &btc), ["BTC-USD: USDT of XBTUSDT counts as USD"]);
    assert_eq!(Pair::new("XBT", "USD").to_string(), "XBT-USD");
}
