//! What the tests of venues share: groups as lines, frames in, frames with bytes changed.

use proptest::prelude::*;

use super::{Decoder, Frame, Known, Venue};
use crate::market::{
    EventLog, Group, GroupKind, Instrument, InstrumentId, MarketEvent, News, Side, Timestamp,
};

/// When every frame of a test is received.
pub(crate) const RECEIVED: Timestamp = Timestamp::from_nanos(1_700_000_000_123_456_789);

/// A decoder that knows the venue's catalogue.
pub(crate) fn decoder(venue: &dyn Venue) -> Box<dyn Decoder + Send> {
    let entries = venue.catalogue().unwrap().entries;
    let others = entries.into_iter().map(|entry| entry.instrument).collect();
    venue.decoder(Known { declared: Vec::new(), others })
}

/// One line a group: `BTCUSDT snapshot 1700000000000 | sell 0.4 @ 60000.01 | …`.
pub(crate) fn show(decoder: &dyn Decoder, log: &EventLog) -> Vec<String> {
    log.iter().map(|group| show_group(&decoder.instruments()[group.instrument.index()], &group)).collect()
}

fn show_group(instrument: &Instrument, group: &Group<'_>) -> String {
    let kind = match group.kind {
        GroupKind::Snapshot => "snapshot",
        GroupKind::SnapshotRest => "rest",
        GroupKind::Update => "update",
    };
    let mut line = format!("{} {kind} {}", instrument.symbol, group.exchange_time.millis());
    for event in group.events {
        line += " | ";
        line += &match *event {
            MarketEvent::Level { side, price, qty } => {
                format!("{side} {} @ {}", instrument.show_qty(qty), instrument.show_price(price))
            }
            MarketEvent::Candle(volume) => format!("candle {}", instrument.show_qty(volume)),
            MarketEvent::Trade(print) => {
                let side = print.aggressor.map_or("?", Side::name);
                let (qty, price) = (instrument.show_qty(print.qty), instrument.show_price(print.price));
                match std::str::from_utf8(print.id.of(group.ids)) {
                    Ok("") | Err(_) => format!("{side}s {qty} @ {price}"),
                    Ok(id) => format!("{side}s {qty} @ {price} #{id}"),
                }
            }
            MarketEvent::Distrust => "distrust".to_owned(),
            MarketEvent::Trading(on) => format!("trading {on}"),
            MarketEvent::News(News::Mark(price)) => format!("mark {price}"),
            MarketEvent::News(News::MarkBeside(price)) => format!("mark beside {price}"),
            MarketEvent::News(News::Index(price)) => format!("index {price}"),
            MarketEvent::News(News::Funding { rate, due: Timestamp::MAX }) => format!("funding {rate}"),
            MarketEvent::News(News::Funding { rate, due }) => format!("funding {rate} due {due}"),
            MarketEvent::News(News::Liquidation { side, price, qty }) => {
                format!("liquidation {side} {} @ {}", instrument.show_qty(qty), instrument.show_price(price))
            }
        };
    }
    line
}

/// What the frames say; each must be readable.
pub(crate) fn decode_all(decoder: &mut dyn Decoder, frames: &[&str]) -> Vec<String> {
    let mut log = EventLog::default();
    for frame in frames {
        let read = decoder.decode(RECEIVED, Frame::Text(frame), &mut log);
        read.unwrap_or_else(|error| panic!("{frame}: {error}"));
    }
    show(decoder, &log)
}

/// Each bad frame, sent after `good`, is refused with words that begin so, and changes nothing.
pub(crate) fn refuses(venue: &dyn Venue, good: &[&str], bad: &[(String, &str)]) {
    for (frame, want) in bad {
        let mut decoder = decoder(venue);
        let mut log = EventLog::default();
        for good in good {
            decoder.decode(RECEIVED, Frame::Text(good), &mut log).unwrap();
        }
        let before = (log.len(), decoder.stats(), decoder.instruments().len());
        let error = decoder.decode(RECEIVED, Frame::Text(frame), &mut log).unwrap_err();
        assert!(error.fault.starts_with(want), "{frame}\n got {}\nwant {want}", error.fault);
        assert_eq!(log.pending(), 0, "{frame}");
        assert_eq!((log.len(), decoder.stats(), decoder.instruments().len()), before, "{frame}");
    }
    let mut log = EventLog::default();
    assert!(decoder(venue).decode(RECEIVED, Frame::Binary(b"{}"), &mut log).is_err());
}

/// Groups through the venue's encoder and decoder: what comes out, as lines.
pub(crate) fn there_and_back(venue: &dyn Venue, instrument: &Instrument, log: &EventLog) -> Vec<String> {
    let mut encoder = venue.encoder();
    let mut frames = Vec::new();
    log.iter().for_each(|group| encoder.encode(instrument, &group, &mut frames));
    let known = Known { declared: vec![instrument.clone()], others: Vec::new() };
    let mut decoder = venue.decoder(known);
    let frames: Vec<&str> = frames.iter().map(String::as_str).collect();
    decode_all(decoder.as_mut(), &frames)
}

/// A market in short: a snapshot, a print, changes, a break, a snapshot.
pub(crate) fn short_market(instrument: &Instrument, tick: i64) -> EventLog {
    let mut log = EventLog::default();
    let price = |ticks: i64| crate::market::Price::from_units(instrument.rule.tick.units() * (tick + ticks));
    let qty = |lots: i64| crate::market::Qty::from_units(instrument.rule.lot.units() * lots);
    let at = |ms: i64| Timestamp::from_millis(1_700_000_000_000 + ms);
    let level = |log: &mut EventLog, side, ticks, lots| {
        log.push(MarketEvent::Level { side, price: price(ticks), qty: qty(lots) });
    };
    let close = |log: &mut EventLog, kind, ms| log.close(InstrumentId(0), kind, at(ms), RECEIVED);
    level(&mut log, Side::Sell, 1, 40);
    level(&mut log, Side::Sell, 3, 10);
    level(&mut log, Side::Buy, -1, 50);
    close(&mut log, GroupKind::Snapshot, 0);
    log.push_trade(Some(Side::Buy), price(1), qty(10), b"");
    log.push_trade(Some(Side::Sell), price(-1), qty(5), b"");
    close(&mut log, GroupKind::Update, 123);
    level(&mut log, Side::Sell, 1, 30);
    level(&mut log, Side::Sell, 3, 0);
    level(&mut log, Side::Sell, 2, 7);
    level(&mut log, Side::Buy, -1, 45);
    close(&mut log, GroupKind::Update, 124);
    log.push(MarketEvent::Distrust);
    close(&mut log, GroupKind::Update, 200);
    level(&mut log, Side::Sell, 2, 8);
    level(&mut log, Side::Buy, -2, 9);
    close(&mut log, GroupKind::Snapshot, 300);
    log
}

/// Frames with a few bytes changed, dropped or put in, at the places that matter to JSON most.
pub(crate) fn mangled(frames: Vec<String>) -> impl Strategy<Value = Vec<String>> {
    let change = (any::<prop::sample::Index>(), prop::sample::select(b" \"\\{}[],:.0-9e".to_vec()), 0_u8..3);
    let frame = (prop::sample::select(frames), prop::collection::vec(change, 0..3));
    let frame = frame.prop_map(|(frame, changes)| {
        let mut bytes = frame.into_bytes();
        for (at, byte, how) in changes {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        String::from_utf8(bytes).unwrap_or_default()
    });
    prop::collection::vec(frame, 1..8)
}

/// Whatever comes, the decoder answers: groups are closed, of known instruments, and a refused frame changes nothing.
pub(crate) fn survives(venue: &dyn Venue, frames: &[String]) -> Result<(), TestCaseError> {
    let mut decoder = decoder(venue);
    let mut log = EventLog::default();
    for frame in frames {
        let before = (log.len(), decoder.stats(), decoder.instruments().len());
        let read = decoder.decode(RECEIVED, Frame::Text(frame), &mut log);
        prop_assert_eq!(log.pending(), 0);
        if read.is_err() {
            prop_assert_eq!((log.len(), decoder.stats(), decoder.instruments().len()), before);
        }
    }
    prop_assert!(log.iter().all(|group| group.instrument.index() < decoder.instruments().len()));
    Ok(())
}
