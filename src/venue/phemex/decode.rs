//! From Phemex's public frames to groups.
//!
//! `sequence` is one counter of an engine for many symbols and streams: it grows and leaves numbers out, so it shows no
//! gap, only what is old. Snapshots come again about every minute and replace the book; what went lost between two of
//! them stays unseen. A change before the first snapshot is one that cannot be applied.
//!
//! The older interface sends integers: their scales are those of the exchange's list of products, never of a symbol's
//! look. A symbol without known scales is refused.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::wire::{self, Envelope, Levels, Market24h, Trade};
use super::{rule, scan};
use crate::market::{
    EventLog, FeedDepth, FinePrice, FundingRate, GroupKind, MarketEvent, News, Side, Timestamp,
};
use crate::venue::DecodeError;
use crate::venue::reading::{Chain, Element, FULL, Protocol, Sheet, Slot, Verdict, What, unknown};
use crate::venue::scan::ScannedPrint;
use crate::venue::text::{Number, Row, json_error, near, part};

/// Levels a side of the channel that clients subscribe.
pub(super) const DEPTH: u32 = 30;

/// Phemex's two public interfaces; each frame says by its shape which it is of.
#[derive(Default)]
pub(super) struct PhemexProtocol {
    /// The columns of the packed statistics, as the last message named them.
    fields: Vec<String>,
    /// Of the frame that is being scanned.
    prints: Vec<ScannedPrint>,
}

/// A message of a book.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbered {
    pub(super) snapshot: bool,
    pub(super) sequence: i64,
    pub(super) levels: u32,
}

pub(super) type PhemexSheet = Sheet<Chain, Numbered>;

impl Protocol for PhemexProtocol {
    type Channel = Chain;
    type Book = Numbered;
    const DEPTH: FeedDepth = FeedDepth::Levels(DEPTH);

    fn read(&mut self, sheet: &mut PhemexSheet, text: &str) -> Result<(), DecodeError> {
        let frame: Envelope<'_> =
            serde_json::from_str(text).map_err(|error| json_error(text, &error, "not a frame"))?;
        if let Some(book) = frame.orderbook_p.or(frame.book) {
            return read_book(sheet, &frame, book);
        }
        if let Some(trades) = frame.trades_p.or(frame.trades) {
            return read_trades(sheet, &frame, trades);
        }
        if let Some(day) = frame.market24h {
            return read_market24h(sheet, &frame, day);
        }
        if frame.method == "perp_market24h_pack_p.update" {
            return self.read_pack(sheet, &frame, text);
        }
        match frame.kline.is_some() || frame.result.is_some() || frame.error.is_some() {
            true => Ok(()),
            false => Err(unknown(
                text,
                "neither a push (a book, trades, market24h, …) nor an answer (result, error)",
            )),
        }
    }

    fn scan(
        &mut self,
        sheet: &mut PhemexSheet,
        frame: &[u8],
        out: &mut EventLog,
    ) -> Option<Element<Numbered>> {
        match frame.get(2)? {
            b's' => scan::trades(sheet, &mut self.prints, frame, out),
            _ => scan::book(sheet, frame, out),
        }
    }

    fn judge(&mut self, slot: &mut Slot<Chain>, book: Numbered) -> Verdict {
        if !slot.is_book(book.levels) {
            return Verdict::Ignore;
        }
        match (book.snapshot, slot.own) {
            (true, _) => {
                slot.own = Chain::At(book.sequence);
                Verdict::Apply(GroupKind::Snapshot)
            }
            // Numbers may be left out: whatever is newer follows.
            (false, Chain::At(last)) => slot.own.follow(last, book.sequence),
            (false, _) => slot.own.follow(i64::MIN, book.sequence),
        }
    }
}

fn fail(raw: &RawValue, symbol: &str, fault: &str) -> DecodeError {
    DecodeError { fault: format!("{symbol}: {fault}"), near: near(raw.get(), 0) }
}

/// Whether a frame is the whole of what it tells.
fn is_snapshot(kind: &str) -> Result<bool, String> {
    match kind {
        "snapshot" => Ok(true),
        "incremental" => Ok(false),
        other => Err(format!("type {other:?} is neither snapshot nor incremental")),
    }
}

fn time_of(sheet: &PhemexSheet, nanos: Option<i64>) -> Result<Timestamp, String> {
    match nanos {
        None => Ok(sheet.received),
        Some(nanos @ 0..) => Ok(Timestamp::from_nanos(nanos)),
        Some(nanos) => Err(format!("timestamp {nanos} is no time in nanoseconds")),
    }
}

/// The channel of a symbol. Decimals in text can be inferred from; scaled integers need their scales.
fn meet<'r>(
    sheet: &mut PhemexSheet,
    symbol: &str,
    scaled: bool,
    rows: impl Iterator<Item = (&'r str, &'r str)>,
) -> Result<usize, String> {
    if !scaled {
        return sheet.meet(symbol, rule, rows);
    }
    let ruled = rule(symbol)?;
    sheet.meet_known(symbol, Some(&ruled)).ok_or_else(|| {
        "its scales are not known: the exchange's list of products must stand beside the tape \
         (<tape>.http.jsonl), or --instruments FILE say them (price_scale, qty_scale)"
            .to_owned()
    })
}

/// A scaled integer at its own scale, as text of a decimal: the scales of the instrument are those of the wire.
fn scaled(number: &str, scale: u8) -> Cow<'_, str> {
    match scale {
        0 => Cow::Borrowed(number),
        scale => Cow::Owned(format!("{number}e-{scale}")),
    }
}

fn read_book(sheet: &mut PhemexSheet, frame: &Envelope<'_>, raw: &RawValue) -> Result<(), DecodeError> {
    let levels: Levels<'_> = part(raw, "book")?;
    let mut read = || {
        let snapshot = is_snapshot(&frame.kind)?;
        let sequence = frame.sequence.ok_or("sequence is missing")?;
        let is_scaled = frame.book.is_some();
        let rows = levels.asks.iter().chain(&levels.bids).map(Row::texts);
        let channel = meet(sheet, &frame.symbol, is_scaled, rows)?;
        let scales = sheet.slot(channel).scales;
        for (side, name, rows) in [(Side::Sell, "asks", &levels.asks), (Side::Buy, "bids", &levels.bids)] {
            for (index, row) in rows.iter().enumerate() {
                let place = || format!("{name}[{index}]");
                if is_scaled {
                    let (price, qty) = row.texts();
                    let row = (&*scaled(price, scales.price), &*scaled(qty, scales.qty));
                    sheet.level(channel, side, row, !snapshot, place)?;
                } else {
                    sheet.level(channel, side, row.texts(), !snapshot, place)?;
                }
            }
        }
        let levels = match frame.depth {
            Some(0) => FULL,
            depth => depth.unwrap_or(DEPTH),
        };
        let time = time_of(sheet, frame.timestamp)?;
        sheet.close(channel, time, What::Book(Numbered { snapshot, sequence, levels }));
        Ok(())
    };
    read().map_err(|fault: String| fail(raw, &frame.symbol, &fault))
}

/// Prints, newest first on the wire; the list that a subscription begins with is history, no evidence.
fn read_trades(sheet: &mut PhemexSheet, frame: &Envelope<'_>, raw: &RawValue) -> Result<(), DecodeError> {
    if is_snapshot(&frame.kind).map_err(|fault| fail(raw, &frame.symbol, &fault))? {
        return Ok(());
    }
    let trades: Vec<Trade<'_>> = part(raw, "trades")?;
    for (index, trade) in trades.iter().enumerate().rev() {
        let fault = |fault: String| fail(raw, &frame.symbol, &format!("[{index}] {fault}"));
        read_trade(sheet, frame, trade).map_err(fault)?;
    }
    sheet.end_prints();
    Ok(())
}

fn read_trade(sheet: &mut PhemexSheet, frame: &Envelope<'_>, trade: &Trade<'_>) -> Result<(), String> {
    let Trade(nanos, side, Number(price), Number(size)) = trade;
    let side = match &**side {
        "Buy" => Some(Side::Buy),
        "Sell" => Some(Side::Sell),
        "" => None,
        other => return Err(format!("side {other:?} is neither Buy nor Sell")),
    };
    let is_scaled = frame.trades.is_some();
    let channel = meet(sheet, &frame.symbol, is_scaled, std::iter::once((&**price, &**size)))?;
    let time = time_of(sheet, Some(*nanos))?;
    if !is_scaled {
        return sheet.print((channel, time), side, (price, size), &[]);
    }
    let scales = sheet.slot(channel).scales;
    let row = (&*scaled(price, scales.price), &*scaled(size, scales.qty));
    sheet.print((channel, time), side, row, &[])
}

/// Mark, index and funding of a contract whose market was seen.
fn read_market24h(sheet: &mut PhemexSheet, frame: &Envelope<'_>, raw: &RawValue) -> Result<(), DecodeError> {
    let day: Market24h<'_> = part(raw, "market24h")?;
    let mut read = || {
        let Some(channel) = sheet.find(&day.symbol) else { return Ok(()) };
        let scale = sheet.slot(channel).scales.price;
        let fine = |name: &str, units: i64| {
            let text = scaled(&units.to_string(), scale).into_owned();
            FinePrice::read(&text).map_err(|fault| format!("{name} {units} {fault}"))
        };
        let mark = day.mark_price.map(|units| fine("markPrice", units)).transpose()?;
        let index = day.index_price.map(|units| fine("indexPrice", units)).transpose()?;
        let rate = day.funding_rate.map(|units| FundingRate::read(&format!("{units}e-8")));
        let rate = rate.transpose().map_err(|fault| format!("fundingRate {fault}"))?;
        push_news(sheet, (channel, time_of(sheet, frame.timestamp)?), mark, index, rate);
        Ok(())
    };
    read().map_err(|fault: String| fail(raw, &day.symbol, &fault))
}

fn push_news(
    sheet: &mut PhemexSheet,
    (channel, time): (usize, Timestamp),
    mark: Option<FinePrice>,
    index: Option<FinePrice>,
    rate: Option<FundingRate>,
) {
    let funding = rate.map(|rate| News::Funding { rate, due: Timestamp::MAX });
    let news = [mark.map(News::Mark), index.map(News::Index), funding];
    if news.iter().any(Option::is_some) {
        news.into_iter().flatten().for_each(|news| sheet.push(MarketEvent::News(news)));
        sheet.close(channel, time, What::News);
    }
}

impl PhemexProtocol {
    /// The statistics of all contracts in one message, a row each; only those whose market was seen are told.
    fn read_pack(
        &mut self,
        sheet: &mut PhemexSheet,
        frame: &Envelope<'_>,
        text: &str,
    ) -> Result<(), DecodeError> {
        let Some(data) = frame.data else { return Err(unknown(text, "data is missing")) };
        let rows: Vec<Vec<Number<'_>>> = part(data, "data")?;
        if let Some(fields) = &frame.fields {
            self.fields = fields.iter().map(|field| field.clone().into_owned()).collect();
        }
        let named = |name: &str| match self.fields.is_empty() {
            true => wire::FIELDS.iter().position(|field| *field == name),
            false => self.fields.iter().position(|field| field == name),
        };
        let columns = ["symbol", "markRp", "indexRp", "fundingRateRr"].map(named);
        for (index, row) in rows.iter().enumerate() {
            let [symbol, mark, of, rate] = columns.map(|column| Some(&*row.get(column?)?.0));
            let Some(symbol) = symbol else { continue };
            let fault = |fault: String| fail(data, symbol, &format!("data[{index}] {fault}"));
            let Some(channel) = sheet.find(symbol) else { continue };
            let fine =
                |text: Option<&str>| text.filter(|text| !text.is_empty()).map(FinePrice::read).transpose();
            let bad = |error: crate::market::decimal::DecimalFault| fault(error.to_string());
            let (mark, of) = (fine(mark).map_err(bad)?, fine(of).map_err(bad)?);
            let rate =
                rate.filter(|text| !text.is_empty()).map(FundingRate::read).transpose().map_err(bad)?;
            let time = time_of(sheet, frame.timestamp).map_err(fault)?;
            push_news(sheet, (channel, time), mark, of, rate);
        }
        Ok(())
    }
}
