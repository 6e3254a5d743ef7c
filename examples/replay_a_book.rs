//! Replays a source into an order book and prints its top levels: what every reader of a tape begins with.
//!
//! ```text
//! cargo run --example replay_a_book
//! ```
//!
//! A [`Source`] yields *groups*: all that one exchange message said of one instrument. A group is applied whole before
//! anyone looks. Sizes are absolute, zero takes a level away, and a snapshot replaces the whole book. Here the source is
//! three messages in memory; a recorded tape or a CSV file is read in the same way.

use std::error::Error;

use papertape::market::{
    EventLog, GroupKind, Instrument, InstrumentId, MarketEvent, MemorySource, OrderBook, Pair, Side, Source,
    Timestamp, vwap_for_volume,
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut source = three_messages()?;
    let instrument = source.instruments()[0].clone();
    let mut book = OrderBook::new(instrument.rule.tick);
    while let Some(time) = source.advance()? {
        let group = source.group();
        if group.kind == GroupKind::Snapshot {
            book.clear();
        }
        for event in group.events {
            match event {
                MarketEvent::Level { side, price, qty } => {
                    book.set(*side, *price, *qty);
                }
                MarketEvent::Trade(print) => {
                    let (qty, price) = (instrument.show_qty(print.qty), instrument.show_price(print.price));
                    println!("{time}  print {qty} @ {price}");
                }
                // Nothing breaks this book, and nobody halts it.
                MarketEvent::Distrust
                | MarketEvent::Trading(_)
                | MarketEvent::Candle(_)
                | MarketEvent::News(_) => {}
            }
        }
        println!("{time}");
        show(&instrument, &book);
    }
    let asks = book.levels(Side::Sell);
    let average = vwap_for_volume(&instrument, asks, instrument.qty("5")?).ok_or("no asks")?;
    println!("buying 5 would cost {average} on average");
    assert_eq!(average.to_string(), "101.6");
    Ok(())
}

/// A snapshot; then a seller takes 3 of the best bid; then the ask moves.
fn three_messages() -> Result<MemorySource, Box<dyn Error>> {
    let btc = Instrument::spot("BTC_USDT", Pair::new("BTC", "USDT"), 1, 2)?;
    let level = |side, price: &str, qty: &str| -> Result<MarketEvent, Box<dyn Error>> {
        Ok(MarketEvent::Level { side, price: btc.price(price)?, qty: btc.qty(qty)? })
    };
    let mut log = EventLog::default();
    let close = |log: &mut EventLog, kind, millis| {
        log.close(InstrumentId(0), kind, Timestamp::from_millis(millis), Timestamp::from_millis(millis));
    };
    for (price, qty) in [("100.0", "8"), ("99.5", "4")] {
        log.push(level(Side::Buy, price, qty)?);
    }
    for (price, qty) in [("101.0", "5"), ("102.0", "9")] {
        log.push(level(Side::Sell, price, qty)?);
    }
    close(&mut log, GroupKind::Snapshot, 0);
    log.push_trade(Some(Side::Sell), btc.price("100.0")?, btc.qty("3")?, b"trade-1");
    log.push(level(Side::Buy, "100.0", "5")?);
    close(&mut log, GroupKind::Update, 100);
    log.push(level(Side::Sell, "101.0", "2")?);
    close(&mut log, GroupKind::Update, 200);
    Ok(MemorySource::new(vec![btc], log))
}

fn show(instrument: &Instrument, book: &OrderBook) {
    for side in Side::BOTH {
        for level in book.levels(side).take(2) {
            println!(
                "  {:<4} {} @ {}",
                side.name(),
                instrument.show_qty(level.qty),
                instrument.show_price(level.price)
            );
        }
    }
}
