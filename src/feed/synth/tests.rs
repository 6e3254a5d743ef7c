//! The synthetic market: the same everywhere, sound in every message, and lively enough to trade on.

use super::*;
use crate::market::{GroupKind, MarketEvent, OrderBook, Price, Qty, Side};
use crate::venue::connectors::connector;

fn demo() -> SynthConfig {
    SynthConfig::demo(connector("bitmart_paper_trade").unwrap()).unwrap()
}

fn pairs(pairs: &[&str], seed: u64) -> SynthConfig {
    let pairs: Vec<Pair> = pairs.iter().map(|pair| pair.parse().unwrap()).collect();
    SynthConfig::new(connector("bitmart_paper_trade").unwrap(), &pairs, &[], seed).unwrap()
}

/// The books that a market builds.
struct Books(Vec<OrderBook>);

impl Books {
    fn of(market: &Market) -> Self {
        Self(market.instruments().iter().map(|instrument| OrderBook::new(instrument.rule.tick)).collect())
    }

    fn apply(&mut self, group: &Group<'_>) -> &OrderBook {
        let book = &mut self.0[group.instrument.index()];
        if group.kind == GroupKind::Snapshot {
            book.clear();
        }
        for event in group.events {
            if let MarketEvent::Level { side, price, qty } = *event {
                book.set(side, price, qty);
            }
        }
        book
    }
}

fn hash(config: &SynthConfig, messages: usize) -> u64 {
    let mut frames = config.frames();
    let mut hash = xxhash_rust::xxh3::Xxh3::new();
    for _ in 0..messages {
        let (time, frame) = frames.next_frame().unwrap();
        hash.update(&time.nanos().to_le_bytes());
        hash.update(frame.as_bytes());
    }
    hash.digest()
}

/// How an order one tick below the best bid fares: after how many messages it fills, asked again and again.
fn patience(market: &mut Market, tries: usize) -> Vec<usize> {
    let mut books = Books::of(market);
    let (mut fills, mut open, mut messages) = (Vec::new(), None::<(Price, i64, usize)>, 0);
    while fills.len() < tries && market.advance().unwrap().is_some() {
        messages += 1;
        let group = market.group();
        let mut filled = false;
        if group.instrument.index() == 0 {
            if let Some((limit, ahead, _)) = &mut open {
                for event in group.events {
                    match *event {
                        MarketEvent::Trade(print)
                            if print.aggressor == Some(Side::Sell) && print.price <= *limit =>
                        {
                            *ahead -= print.qty.units();
                            filled |= print.price < *limit || *ahead <= -1_000;
                        }
                        MarketEvent::Level { side: Side::Buy, price, qty } if price == *limit => {
                            *ahead = (*ahead).min(qty.units());
                        }
                        MarketEvent::Level { side: Side::Sell, price, .. } => filled |= price <= *limit,
                        _ => {}
                    }
                }
            }
            let book = books.apply(&group);
            if let Some((_, _, since)) = open.filter(|_| filled) {
                fills.push(messages - since);
                open = None;
            }
            if open.is_none() && messages % 40 == 0 {
                let limit = Price::from_units(book.best_price(Side::Buy).unwrap().units() - 1);
                open = Some((limit, book.qty(Side::Buy, limit).units(), messages));
            }
        }
    }
    fills.sort_unstable();
    fills
}

#[test]
fn the_same_seed_gives_the_same_market_on_every_machine() {
    // The hash was taken once and must never change by accident: users keep results by seed.
    assert_eq!(hash(&demo(), 10_000), 6_470_801_258_836_212_973);
    assert_ne!(hash(&demo(), 100), hash(&SynthConfig { seed: 8, ..demo() }, 100));
    // One instrument's market does not depend on which others are made beside it.
    let alone = pairs(&["ETH-USDT"], DEMO_SEED);
    let mut beside = demo().frames();
    let mut alone = alone.frames();
    let mut compared = 0;
    while compared < 1_000 {
        let (time, frame) = beside.next_frame().unwrap();
        if frame.contains("ETH_USDT") {
            assert_eq!(alone.next_frame(), Some((time, frame)));
            compared += 1;
        }
    }
}

#[test]
fn every_message_is_sound() {
    for seed in 0..4 {
        let crash =
            Some(Crash { after: Duration::from_secs(60), change: -0.2, takes: Duration::from_secs(30) });
        let walk = if seed % 2 == 0 { Walk::MeanReverting } else { Walk::Random };
        let all = ["BTC-USDT", "ETH-USDT", "SOL-USDT", "XRP-USDT", "DOGE-USDT", "LTC-USDT"];
        let config = SynthConfig { crash, walk, ..pairs(&all, seed) };
        let mut market = config.market();
        let mut books = Books::of(&market);
        let mut last = vec![Timestamp::MIN; all.len()];
        let mut messages = 0;
        while market.advance().unwrap().is_some_and(|now| now < START.plus(Duration::from_secs(120))) {
            let group = market.group();
            messages += 1;
            let last = &mut last[group.instrument.index()];
            assert!(group.receive_time > *last, "two messages at {}", group.receive_time);
            *last = group.receive_time;
            assert_eq!(group.receive_time.nanos() % 1_000, 0);
            assert!(group.exchange_time < group.receive_time && group.exchange_time.nanos() % 1_000_000 == 0);
            assert!(!group.events.is_empty());
            assert_prints_lie_at_the_touch(&books.0[group.instrument.index()], &group);
            let book = books.apply(&group);
            assert!(!book.is_crossed(), "crossed at {}", group.receive_time);
            let levels = Side::BOTH.map(|side| book.side(side).len());
            assert_eq!(levels, [100, 100], "seed {seed}, {}", group.receive_time);
        }
        let stats = market.stats();
        assert_eq!((stats.messages, stats.gaps, stats.errors), (messages + 1, 0, 0));
    }
}

/// However long it runs, the book stays a book: dense around its middle, with nothing left behind far away that a large
/// taker could reach.
#[test]
fn the_book_stays_together() {
    let mut market = SynthConfig { seed: 3, ..pairs(&["BTC-USDT"], 3) }.market();
    let mut books = Books::of(&market);
    let (mut beside, mut looks, mut near) = (0_i64, 0_u32, 0);
    while market.advance().unwrap().is_some_and(|now| now < START.plus(Duration::from_secs(3_000))) {
        let group = market.group();
        let before =
            [Side::Buy, Side::Sell].map(|side| books.0[0].best(side).map(|level| level.price.units()));
        let book = books.apply(&group);
        for event in group.events {
            if let (MarketEvent::Trade(print), [Some(bid), Some(ask)]) = (event, before) {
                beside = beside.max((print.price.units() - (bid + ask) / 2).abs());
            }
        }
        if group.receive_time < START.plus(Duration::from_secs(2_400)) {
            continue;
        }
        for side in Side::BOTH {
            let best = book.best(side).unwrap().price.units();
            let away = |level: crate::market::Level| (level.price.units() - best).abs();
            assert!(book.levels(side).all(|level| away(level) <= 1_000), "at {}", group.receive_time);
            near += book.levels(side).filter(|level| away(*level) <= 100).count();
            looks += 1;
        }
    }
    assert!(beside <= 500, "a print {beside} ticks from the middle");
    // A book that has just opened has 38 levels within a hundred ticks.
    let near = near / looks as usize;
    assert!((25..=60).contains(&near), "{near} levels near the touch");
}

/// Prints take the best level first, never more than stands there.
fn assert_prints_lie_at_the_touch(book: &OrderBook, group: &Group<'_>) {
    let mut walks = Side::BOTH.map(|side| book.levels(side).collect::<Vec<_>>().into_iter());
    for event in group.events {
        if let MarketEvent::Trade(print) = event {
            let level = walks[print.aggressor.unwrap().opposite().index()].next().unwrap();
            assert_eq!(print.price, level.price, "at {}", group.receive_time);
            assert!(print.qty > Qty::ZERO && print.qty <= level.qty);
        }
    }
}

#[test]
fn the_demo_is_lively_and_patient_orders_fill() {
    let mut frames = demo().frames();
    let mut messages = 0;
    while frames.next_frame().is_some() {
        messages += 1;
    }
    assert!((30..60).contains(&(messages / 3_600)), "{messages} messages in an hour");
    let fills = patience(&mut demo().market(), 400);
    assert_eq!(fills.len(), 400);
    let in_time = fills.iter().filter(|wait| **wait <= 500).count();
    assert!(in_time >= 385, "{in_time} of 400 filled within 500 messages");
    assert!(fills[200] <= 100, "half take {} messages", fills[200]);
    let first: Vec<_> = (0..30)
        .map(|seed| patience(&mut SynthConfig { seed, ..demo() }.market(), 1)[0])
        .filter(|wait| *wait > 400)
        .collect();
    assert!(first.len() <= 1, "{first:?}");
    assert!(patience(&mut demo().market(), 1)[0] < 250);
}

#[test]
fn the_spread_is_a_few_ticks_and_prints_work_queues_off() {
    let mut market = pairs(&["BTC-USDT"], DEMO_SEED).market();
    let mut books = Books::of(&market);
    let (mut spreads, mut partial, mut prints) = (Vec::new(), 0, 0);
    for _ in 0..10_000 {
        market.advance().unwrap();
        let group = market.group();
        let before = &books.0[0];
        for event in group.events {
            if let MarketEvent::Trade(print) = event {
                let shown = before.qty(print.aggressor.unwrap().opposite(), print.price);
                prints += 1;
                partial += usize::from(print.qty < shown);
            }
        }
        let book = books.apply(&group);
        spreads
            .push(book.best_price(Side::Sell).unwrap().units() - book.best_price(Side::Buy).unwrap().units());
    }
    spreads.sort_unstable();
    assert!(spreads[5_000] <= 3 && spreads[9_500] <= 12, "{} {}", spreads[5_000], spreads[9_500]);
    assert!(partial * 5 > prints, "{partial} of {prints} prints left something of their level");
}

#[test]
fn a_crash_falls_as_far_and_as_fast_as_it_was_told() {
    let crash: Crash = "60s,-20%,30s".parse().unwrap();
    let mut market = SynthConfig { crash: Some(crash), ..pairs(&["BTC-USDT"], 3) }.market();
    let mut books = Books::of(&market);
    let mut mids = Vec::new();
    let mut sold = [0, 0];
    let mut second = 0;
    while let Some(now) = market.advance().unwrap().filter(|now| *now < START.plus(Duration::from_secs(100)))
    {
        let group = market.group();
        let falling = (60..90).contains(&second);
        for event in group.events {
            if let MarketEvent::Trade(print) = event
                && falling
            {
                sold[print.aggressor.unwrap().index()] += print.qty.units();
            }
        }
        let book = books.apply(&group);
        if now >= START.plus(Duration::from_secs(second + 1)) {
            second += 1;
            let mid = |side| book.best_price(side).unwrap().units() as f64 / 200.0;
            mids.push(mid(Side::Buy) + mid(Side::Sell));
        }
    }
    assert!((mids[58] - 65_000.0).abs() < 100.0, "{}", mids[58]);
    for (at, want) in [(74, 0.9), (89, 0.8), (98, 0.8)] {
        assert!((mids[at] / mids[58] - want).abs() < 0.01, "after {at} s: {}", mids[at]);
    }
    assert!(sold[1] > 3 * sold[0], "sellers make a crash: {sold:?}");
}

#[test]
fn crashes_are_read_or_refused() {
    let want = Crash { after: Duration::from_secs(600), change: -0.2, takes: Duration::from_secs(30) };
    assert_eq!("10m,-20%,30s".parse(), Ok(want));
    assert_eq!("0,50%,1s".parse::<Crash>().map(|crash| crash.change), Ok(0.5));
    for bad in
        ["", "10m", "10m,-20,30s", "10m,-95%,30s", "10m,-20%,30s,1", "x,-20%,30s", "1m,nan%,3s", "1m,1e9%,3s"]
    {
        assert!(bad.parse::<Crash>().is_err(), "{bad}");
    }
}

#[test]
fn a_market_ends_when_it_was_told() {
    let count = |config: &SynthConfig| {
        let mut market = config.market();
        let (mut messages, mut last) = (0, START);
        while let Some(now) = market.advance().unwrap() {
            (messages, last) = (messages + 1, now);
        }
        assert!(market.group().events.is_empty());
        (messages, last)
    };
    assert_eq!(count(&SynthConfig { events: Some(321), ..pairs(&["ETH-USDT"], 1) }).0, 321);
    assert_eq!(count(&SynthConfig { events: Some(0), ..pairs(&["ETH-USDT"], 1) }).0, 0);
    let (messages, last) =
        count(&SynthConfig { duration: Some(Duration::from_secs(10)), ..pairs(&["ETH-USDT"], 1) });
    assert!(messages > 100 && last < START.plus(Duration::from_secs(10)));
    assert!(last > START.plus(Duration::from_secs(9)));
}

#[test]
fn pairs_come_from_the_user_or_the_catalogue() {
    let bitmart = connector("bitmart_paper_trade").unwrap();
    let mine = Instrument::spot("ABC_USDT", "ABC-USDT".parse().unwrap(), 3, 1).unwrap();
    let wanted = ["ABC-USDT".parse().unwrap(), "ABC-USDT".parse().unwrap()];
    let config = SynthConfig::new(bitmart, &wanted, &[mine], 1).unwrap();
    assert_eq!(config.instruments.len(), 1);
    let mut market = config.market();
    assert_eq!(market.instruments()[0].symbol, "ABC_USDT");
    assert!(market.advance().unwrap().is_some());
    assert_eq!(market.depth(InstrumentId(0)), FeedDepth::Levels(100));
    let error = SynthConfig::new(bitmart, &wanted, &[], 1).map(|_| ()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "ABC-USDT is not in the catalogue of bitmart (there: BTC-USDT, ETH-USDT, SOL-USDT, XRP-USDT, DOGE-USDT, \
         LTC-USDT); --instruments FILE can describe it"
    );
}

#[test]
fn a_contract_is_told_of_beside_an_unchanged_market() {
    use crate::market::{FinePrice, News};

    let contract = connector("bitget_perpetual_paper_trade").unwrap();
    let config = SynthConfig::new(contract, &["BTC-USDT".parse().unwrap()], &[], 3).unwrap();
    let start = "2026-01-05T07:50:00Z".parse().unwrap();
    let config = SynthConfig { start, duration: Some(Duration::from_secs(1_200)), ..config };
    let due = ["2026-01-05T08:00:00Z", "2026-01-05T16:00:00Z"].map(|text| text.parse::<Timestamp>().unwrap());
    let mut market = config.market();
    let mut books = Books::of(&market);
    let (mut last, mut marks, mut rates, mut liquidations) = (Timestamp::MIN, 0, Vec::new(), 0);
    let instrument = market.instruments()[0].clone();
    while let Some(now) = market.advance().unwrap() {
        assert!(now > last, "two messages at {now}");
        last = now;
        let group = market.group();
        let book = books.apply(&group);
        let best = |side| book.best_price(side).unwrap().units() as f64;
        let mid =
            (best(Side::Buy) + best(Side::Sell)) / 2.0 / 10_i64.pow(u32::from(instrument.price_scale)) as f64;
        let share = |price: FinePrice| price.units() as f64 / 1e10 / mid - 1.0;
        for event in group.events {
            match *event {
                MarketEvent::News(News::Mark(price)) => {
                    marks += 1;
                    assert!(share(price).abs() < 0.002, "mark {price} beside {mid}");
                }
                MarketEvent::News(News::Index(price)) => assert!(share(price).abs() < 0.005),
                MarketEvent::News(News::Funding { rate, due: told }) => {
                    assert_eq!(told, if now < due[0] { due[0] } else { due[1] });
                    assert!(rate.units().abs() <= 3_000_000_000 && rate.units() % 1_000_000 == 0);
                    rates.push(rate.units());
                }
                MarketEvent::News(News::Liquidation { .. }) => liquidations += 1,
                _ => {}
            }
        }
    }
    assert!((1_190..=1_200).contains(&marks) && (20..=22).contains(&rates.len()), "{marks} {}", rates.len());
    rates.dedup();
    assert!(rates.len() > 3 && (2..100).contains(&liquidations), "{rates:?} {liquidations}");
    // The books and prints are those of the seed, news or no news.
    let mut frames = config.frames();
    let (mut of_market, mut seconds) = (xxhash_rust::xxh3::Xxh3::new(), Vec::new());
    while let Some((time, frame)) = frames.next_frame() {
        match frame.contains("\"ticker\"") || frame.contains("\"liquidation\"") {
            true => seconds.push(time),
            false => of_market.update(frame.as_bytes()),
        }
    }
    assert_eq!(of_market.digest(), WITHOUT_NEWS);
    assert!(seconds.len() > 1_200);
}

/// The hash of the market above without what is told beside it.
const WITHOUT_NEWS: u64 = 10_018_155_320_376_583_715;
