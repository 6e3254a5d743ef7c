//! Batches say what single steps say: the check for this and for all that stands around a source.

use std::io::Cursor;
use std::path::Path;

use super::*;
use crate::feed::csv::{CsvFile, CsvOptions, Symbols};
use crate::market::{EventLog, GroupKind, Instrument, MarketEvent, MemorySource};

/// Plays two of the same source, one group by group and one by batches, and stops behind every time there is: times,
/// groups and what ends it are the same, and at the end what was counted and which instruments are known.
pub(in crate::feed) fn check_batches(make: &dyn Fn() -> AnySource) {
    let mut times = vec![Timestamp::MAX];
    let mut source = make();
    while let Ok(Some(time)) = source.advance() {
        times.push(time);
    }
    for until in times {
        for events in [0, 1, 2, 3, 5, 1_000] {
            let reach = Reach { events, ..Reach::until(until) };
            let (mut plain, mut read) = (make(), Batched::new(make()));
            loop {
                let (one, other) = (plain.advance(), read.step(&reach));
                if let (Err(one), Err(other)) = (&one, &other) {
                    assert_eq!(one.to_string(), other.to_string());
                    break;
                }
                let time = one.unwrap();
                assert_eq!(time, other.unwrap(), "until {until}, {events} events");
                match time {
                    Some(_) => assert_eq!(plain.group(), read.group(), "until {until}, {events} events"),
                    None => assert!(plain.group().events.is_empty() && read.group().events.is_empty()),
                }
                if time.is_none_or(|time| time > until) {
                    assert_eq!(plain.stats(), read.source().stats(), "until {until}, {events} events");
                    break;
                }
            }
            assert_eq!(plain.instruments(), read.source().instruments(), "until {until}, {events} events");
        }
    }
}

#[test]
fn events_in_memory() {
    let mut log = EventLog::default();
    for time in [3, 1, 4, 1, 5, 9, 2, 6] {
        (0..time % 3).for_each(|_| log.push(MarketEvent::Trading(true)));
        let time = Timestamp::from_nanos(time);
        log.close(InstrumentId(0), GroupKind::Update, time, time);
    }
    check_batches(&|| Box::new(MemorySource::new(Vec::<Instrument>::new(), log.clone())));
}

#[test]
fn rows_of_a_file_with_symbols_that_turn_up_and_rows_that_are_bad() {
    let mut text = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount\n".to_owned();
    let row = |text: &mut String, symbol: &str, time: i64, rest: &str| {
        let time = 1_700_000_000_000_000 + time;
        *text += &format!("binance,{symbol},{time},{},{rest}\n", time + 5);
    };
    for time in 0..40 {
        let symbol = ["BTCUSDT", "ETHUSDT", "BTCUSDT", "XRPUSDT"][(time / 10) as usize];
        let snapshot = time % 10 == 0;
        for price in [100, 101] {
            row(&mut text, symbol, time - time % 3, &format!("{snapshot},bid,{price}.5,{time}"));
        }
        if time % 7 == 3 {
            row(&mut text, symbol, time, "false,both,1,1");
        }
    }
    for strict in [false, true] {
        check_batches(&|| {
            let input = Box::new(Cursor::new(text.clone().into_bytes()));
            let file = CsvFile::read(Path::new("rows.csv"), input, &Symbols::default()).unwrap();
            Box::new(file.source(CsvOptions { strict, ..CsvOptions::default() }).unwrap())
        });
    }
}
