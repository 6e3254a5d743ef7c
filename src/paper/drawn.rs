//! Small markets drawn by hand, for tests.

use rust_decimal::Decimal;

use crate::market::*;

pub(crate) fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

pub(crate) fn btc() -> Instrument {
    Instrument::spot("BTC_USDT", Pair::new("BTC", "USDT"), 1, 2).unwrap()
}

/// A market from lines: `MS book bid QTY @ PRICE … | ask QTY @ PRICE …`, `MS level SIDE QTY @ PRICE`,
/// `MS trade AGGRESSOR QTY @ PRICE`, `MS mark PRICE`, `MS index PRICE`, `MS funding RATE`.
pub(crate) fn market(lines: &str) -> MemorySource {
    markets(lines, 1)
}

/// The same for several instruments: `MS #1 level …` is about the second one.
pub(crate) fn markets(lines: &str, count: usize) -> MemorySource {
    let btc = btc();
    let mut log = EventLog::default();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut words: Vec<&str> = line.split_whitespace().collect();
        let of = words[1].strip_prefix('#').map(|of| of.parse().unwrap());
        if of.is_some() {
            words.remove(1);
        }
        let at = Timestamp::from_millis(words[0].parse().unwrap());
        let price = |text: &str| btc.price(text).unwrap();
        let qty = |text: &str| btc.qty(text).unwrap();
        let side = |text: &str| if matches!(text, "bid" | "buy") { Side::Buy } else { Side::Sell };
        let mut kind = GroupKind::Update;
        match words[1] {
            "book" => {
                kind = GroupKind::Snapshot;
                let mut of = Side::Buy;
                let mut rest = words[2..].iter();
                while let Some(word) = rest.next() {
                    match *word {
                        "bid" | "ask" => of = side(word),
                        "|" => {}
                        amount => {
                            rest.next();
                            let price = price(rest.next().unwrap());
                            log.push(MarketEvent::Level { side: of, price, qty: qty(amount) });
                        }
                    }
                }
            }
            "level" => {
                let (price, qty) = (price(words[5]), qty(words[3]));
                log.push(MarketEvent::Level { side: side(words[2]), price, qty });
            }
            "trade" => log.push_trade(Some(side(words[2])), price(words[5]), qty(words[3]), b"1"),
            "mark" => log.push(MarketEvent::News(News::Mark(FinePrice::read(words[2]).unwrap()))),
            "index" => log.push(MarketEvent::News(News::Index(FinePrice::read(words[2]).unwrap()))),
            "funding" => {
                let rate = FundingRate::read(words[2]).unwrap();
                log.push(MarketEvent::News(News::Funding { rate, due: Timestamp::MAX }));
            }
            other => panic!("{other}"),
        }
        log.close(InstrumentId(of.unwrap_or(0)), kind, at, at);
    }
    MemorySource::new(vec![btc; count], log)
}
