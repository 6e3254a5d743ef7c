//! From BitMEX's public frames to groups.
//!
//! Levels are rows with an id; an older row that changes or ends a level leaves out its price, so ids are remembered.
//! A partial is the whole book; an id that nobody inserted shows that a message is missing: the book is not believed
//! until the next partial. Ids say nothing of prices here: since 2024 they are opaque.
//!
//! The deepest book table of a symbol is its book. Where the exchange has confirmed that a deeper one will come, the
//! shallower is passed over from the start.

use rustc_hash::FxHashMap;
use serde_json::value::RawValue;
use smol_str::SmolStr;

use super::wire::{self, Action, Book10, Envelope, Funding, L2, Liquidation, Quote, Request, Status, Trade};
use super::{rest, rule, scan};
use crate::market::{
    EventLog, FeedDepth, FinePrice, FundingRate, GroupKind, MarketEvent, News, Price, Product, Qty, Side,
    Timestamp,
};
use crate::venue::DecodeError;
use crate::venue::reading::{Chain, Element, FULL, Protocol, Sheet, Slot, Verdict, What, unknown};
use crate::venue::scan::Days;
use crate::venue::text::{Number, element_error, json_error, not_negative, part, positive};

/// BitMEX's realtime interface.
#[derive(Default)]
pub(super) struct BitmexProtocol {
    /// What the frame does to remembered ids, in the order of its rows.
    rows: Vec<Row>,
    days: Days,
    /// Levels a side of the book tables that were confirmed, by symbol; the empty symbol is all of them.
    promised: FxHashMap<SmolStr, u32>,
}

/// A level of an id from now on; `None`: the level goes.
pub(super) type Row = (u64, Option<(Side, Price)>);

/// What is kept of a symbol's book.
#[derive(Default)]
pub(super) struct Ids {
    chain: Chain,
    pub(super) levels: FxHashMap<u64, (Side, Price)>,
}

/// A message of an incremental book: where its ids are among those of the frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message {
    pub(super) partial: bool,
    /// A row has an id that nobody inserted.
    pub(super) unknown: bool,
    pub(super) levels: u32,
    pub(super) from: usize,
    pub(super) to: usize,
}

pub(super) type BitmexSheet = Sheet<Ids, Message>;

impl Protocol for BitmexProtocol {
    type Channel = Ids;
    type Book = Message;
    const DEPTH: FeedDepth = FeedDepth::Full;

    fn read(&mut self, sheet: &mut BitmexSheet, text: &str) -> Result<(), DecodeError> {
        self.rows.clear();
        match text.trim_start().as_bytes() {
            b"pong" | b"ping" => return Ok(()),
            [b'[', ..] => return Err(unknown(text, "a list: a reply of the REST interface, no frame")),
            _ => {}
        }
        let frame: Envelope<'_> =
            serde_json::from_str(text).map_err(|error| json_error(text, &error, "not a frame"))?;
        if frame.table.is_empty() {
            if [frame.info, frame.success, frame.error, frame.now].iter().all(Option::is_none) {
                return Err(unknown(
                    text,
                    "neither a push (table, action, data) nor an answer (info, success, …)",
                ));
            }
            if let (Some(request), Some(_)) = (&frame.request, frame.success) {
                self.promise(request);
            }
            return Ok(());
        }
        let fail = |fault: String| unknown(text, fault);
        let data = frame.data.ok_or_else(|| fail(format!("{}: data is missing", frame.table)))?;
        let action = action_of(&frame.action).map_err(fail)?;
        match &*frame.table {
            "orderBookL2" | "orderBookL2_25" => self.read_l2(sheet, &frame, data, action),
            "orderBook10" => self.read_book10(sheet, data),
            "quote" => self.read_quotes(sheet, data),
            "trade" if action == Action::Insert => read_trades(sheet, data),
            "instrument" => read_instruments(sheet, &frame, data, action),
            "funding" if action == Action::Insert => read_fundings(sheet, data),
            "liquidation" if action == Action::Insert => read_liquidations(sheet, data),
            known if is_known(known) => Ok(()),
            other => Err(fail(format!("unknown table {other:?}"))),
        }
    }

    fn scan(
        &mut self,
        sheet: &mut BitmexSheet,
        frame: &[u8],
        out: &mut EventLog,
    ) -> Option<Element<Message>> {
        self.rows.clear();
        match frame.get(10)? {
            b't' => scan::trades(sheet, &mut self.days, frame, out),
            _ => scan::book(sheet, (&mut self.rows, &mut self.days), frame, out),
        }
    }

    fn judge(&mut self, slot: &mut Slot<Ids>, book: Message) -> Verdict {
        if !slot.is_book(book.levels) {
            return Verdict::Ignore;
        }
        let ids = &mut slot.own;
        let verdict = match (book.partial, ids.chain) {
            (true, _) => {
                ids.levels.clear();
                ids.levels.reserve(book.to - book.from);
                ids.chain = Chain::At(0);
                Verdict::Apply(GroupKind::Snapshot)
            }
            (false, Chain::At(_)) if !book.unknown => Verdict::Apply(GroupKind::Update),
            (false, Chain::Broken) => return Verdict::Ignore,
            // A change before the first partial, or of a level that nobody inserted.
            (false, Chain::Empty | Chain::At(_)) => {
                ids.chain = Chain::Broken;
                return Verdict::Gap;
            }
        };
        for (id, level) in self.rows.get(book.from..book.to).unwrap_or_default() {
            match level {
                Some(level) => ids.levels.insert(*id, *level),
                None => ids.levels.remove(id),
            };
        }
        verdict
    }
}

/// Tables without a group that fits: history, buckets, settlements, private ones.
fn is_known(table: &str) -> bool {
    let plain = [
        "trade",
        "liquidation",
        "funding",
        "settlement",
        "insurance",
        "affiliate",
        "execution",
        "order",
        "margin",
        "position",
        "transact",
        "wallet",
        "announcement",
        "chat",
        "connected",
        "publicNotifications",
        "privateNotifications",
    ];
    plain.contains(&table) || table.starts_with("tradeBin") || table.starts_with("quoteBin")
}

fn action_of(text: &str) -> Result<Action, String> {
    match text {
        "partial" => Ok(Action::Partial),
        "insert" => Ok(Action::Insert),
        "update" => Ok(Action::Update),
        "delete" => Ok(Action::Delete),
        other => Err(format!("action {other:?} is none of partial, insert, update, delete")),
    }
}

fn side_of(text: &str) -> Result<Side, String> {
    match text {
        "Buy" => Ok(Side::Buy),
        "Sell" => Ok(Side::Sell),
        other => Err(format!("side {other:?} is neither Buy nor Sell")),
    }
}

fn time_of(sheet: &BitmexSheet, text: Option<&str>) -> Result<Timestamp, String> {
    match text {
        None | Some("") => Ok(sheet.received),
        Some(text) => text.parse().map_err(|_| format!("timestamp {text:?} is no time")),
    }
}

/// The channel of a symbol, with rows of price and size as they were sent.
fn meet<'r>(
    sheet: &mut BitmexSheet,
    symbol: &str,
    rows: impl Iterator<Item = (&'r str, &'r str)>,
) -> Result<usize, String> {
    if let Some(found) = sheet.find(symbol) {
        return Ok(found);
    }
    let minor = spot_decimals(symbol)?;
    if minor == 0 {
        return sheet.meet(symbol, rule, rows);
    }
    let rows: Vec<_> = rows.map(|(price, size)| (price, format!("{size}e-{minor}"))).collect();
    sheet.meet(symbol, rule, rows.iter().map(|(price, size)| (*price, size.as_str())))
}

/// Decimals of the minor unit that a symbol's sizes are sent in: contracts are whole.
pub(super) fn spot_decimals(symbol: &str) -> Result<u8, String> {
    match symbol.split_once('_') {
        Some((base, _)) => {
            wire::minor_decimals(base).ok_or_else(|| format!("the minor unit of {base} is not known"))
        }
        None => Ok(0),
    }
}

/// A size in the instrument's unit: spot's minor units become base.
fn size_of(sheet: &BitmexSheet, channel: usize, symbol: &str, text: &str) -> Result<Qty, String> {
    let scale = sheet.slot(channel).scales.qty;
    match spot_decimals(symbol)? {
        0 => not_negative("size", text, scale),
        minor => not_negative("size", &format!("{text}e-{minor}"), scale),
    }
    .map(Qty::from_units)
}

fn price_of(sheet: &BitmexSheet, channel: usize, text: &str) -> Result<Price, String> {
    positive("price", text, sheet.slot(channel).scales.price).map(Price::from_units)
}

impl BitmexProtocol {
    /// Remembers which books the exchange has confirmed.
    fn promise(&mut self, request: &Request<'_>) {
        let Some(args) = request.args.filter(|_| request.op == "subscribe") else { return };
        let one = serde_json::from_str::<String>(args.get()).map(|topic| vec![topic]);
        for topic in one.or_else(|_| serde_json::from_str::<Vec<String>>(args.get())).unwrap_or_default() {
            let (table, symbol) = topic.split_once(':').unwrap_or((&topic, ""));
            if let Some(levels) = wire::levels_of(table) {
                let promised = self.promised.entry(symbol.into()).or_default();
                *promised = levels.max(*promised);
            }
        }
    }

    /// Whether a deeper book than this of the symbol is to come.
    fn is_shallow(&self, symbol: &str, levels: u32) -> bool {
        ["", symbol].iter().any(|key| self.promised.get(*key).is_some_and(|promised| *promised > levels))
    }

    fn read_l2(
        &mut self,
        sheet: &mut BitmexSheet,
        frame: &Envelope<'_>,
        data: &RawValue,
        action: Action,
    ) -> Result<(), DecodeError> {
        let mut rows: Vec<L2<'_>> = part(data, "data")?;
        let levels = wire::levels_of(&frame.table).unwrap_or(FULL);
        let about = frame.filter.as_ref().and_then(|filter| filter.symbol.as_deref());
        if let (true, Action::Partial, Some(symbol)) = (rows.is_empty(), action, about) {
            let fault = |fault: String| unknown(data.get(), fault);
            let channel = meet(sheet, symbol, std::iter::empty()).map_err(fault)?;
            return self.read_symbol(sheet, channel, &[], (action, levels)).map_err(fault);
        }
        // An unfiltered subscription mixes symbols; the rows of one stay in order.
        if rows.windows(2).any(|pair| pair[0].symbol != pair[1].symbol) {
            rows.sort_by(|a, b| a.symbol.cmp(&b.symbol));
        }
        for rows in rows.chunk_by(|a, b| a.symbol == b.symbol) {
            let texts = rows.iter().filter_map(|row| Some((&*row.price.as_ref()?.0, &*row.size.as_ref()?.0)));
            let symbol = &rows[0].symbol;
            let read = meet(sheet, symbol, texts)
                .and_then(|channel| self.read_symbol(sheet, channel, rows, (action, levels)));
            read.map_err(|fault| unknown(data.get(), format!("{symbol}: {fault}")))?;
        }
        Ok(())
    }

    /// The rows of one symbol.
    fn read_symbol(
        &mut self,
        sheet: &mut BitmexSheet,
        channel: usize,
        rows: &[L2<'_>],
        (action, levels): (Action, u32),
    ) -> Result<(), String> {
        // Ids of a shallower table are not remembered.
        if sheet.slot(channel).levels > levels {
            return Ok(());
        }
        let (from, mut is_unknown) = (self.rows.len(), false);
        for (index, row) in rows.iter().enumerate() {
            let known =
                self.read_row(sheet, channel, row, action).map_err(|fault| format!("[{index}] {fault}"))?;
            is_unknown |= !known;
        }
        let time = time_of(sheet, rows.last().and_then(|row| row.timestamp.as_deref()))?;
        let (partial, to) = (action == Action::Partial, self.rows.len());
        sheet.close(channel, time, What::Book(Message { partial, unknown: is_unknown, levels, from, to }));
        Ok(())
    }

    /// One row; whether its id is known where it must be.
    fn read_row(
        &mut self,
        sheet: &mut BitmexSheet,
        channel: usize,
        row: &L2<'_>,
        action: Action,
    ) -> Result<bool, String> {
        let side = side_of(&row.side)?;
        let known = sheet.slot(channel).own.levels.get(&row.id).copied();
        let fresh = matches!(action, Action::Partial | Action::Insert);
        let price = match (&row.price, known) {
            (Some(Number(text)), _) => price_of(sheet, channel, text)?,
            (None, Some((_, price))) if !fresh => price,
            (None, _) if fresh => return Err("price is missing".to_owned()),
            (None, _) => return Ok(false),
        };
        let qty = match (&row.size, action) {
            (_, Action::Delete) => Qty::ZERO,
            (Some(Number(text)), _) => size_of(sheet, channel, &row.symbol, text)?,
            (None, _) => return Err("size is missing".to_owned()),
        };
        if let Some((old_side, old_price)) = known.filter(|known| !fresh && *known != (side, price)) {
            sheet.push(MarketEvent::Level { side: old_side, price: old_price, qty: Qty::ZERO });
        }
        if action != Action::Partial || !qty.is_zero() {
            sheet.push(MarketEvent::Level { side, price, qty });
        }
        self.rows.push((row.id, (action != Action::Delete).then_some((side, price))));
        Ok(fresh || known.is_some())
    }

    fn read_book10(&mut self, sheet: &mut BitmexSheet, data: &RawValue) -> Result<(), DecodeError> {
        let books: Vec<Book10<'_>> = part(data, "data")?;
        for (index, book) in books.iter().enumerate().filter(|(_, book)| !self.is_shallow(&book.symbol, 10)) {
            read_book10(sheet, book).map_err(|fault| element_error(data, index, &fault))?;
        }
        Ok(())
    }

    fn read_quotes(&mut self, sheet: &mut BitmexSheet, data: &RawValue) -> Result<(), DecodeError> {
        let quotes: Vec<Quote<'_>> = part(data, "data")?;
        for (index, quote) in
            quotes.iter().enumerate().filter(|(_, quote)| !self.is_shallow(&quote.symbol, 1))
        {
            read_quote(sheet, quote).map_err(|fault| element_error(data, index, &fault))?;
        }
        Ok(())
    }
}

fn read_book10(sheet: &mut BitmexSheet, book: &Book10<'_>) -> Result<(), String> {
    let channel = meet(sheet, &book.symbol, book.asks.iter().chain(&book.bids).map(|row| row.texts()))?;
    for (side, name, rows) in [(Side::Sell, "asks", &book.asks), (Side::Buy, "bids", &book.bids)] {
        for (index, row) in rows.iter().enumerate() {
            push_level(sheet, channel, &book.symbol, side, row.texts())
                .map_err(|fault| format!("{name}[{index}] {fault}"))?;
        }
    }
    let time = time_of(sheet, book.timestamp.as_deref())?;
    sheet.close(channel, time, What::Window(10));
    Ok(())
}

fn push_level(
    sheet: &mut BitmexSheet,
    channel: usize,
    symbol: &str,
    side: Side,
    (price, size): (&str, &str),
) -> Result<(), String> {
    let (price, qty) = (price_of(sheet, channel, price)?, size_of(sheet, channel, symbol, size)?);
    if !qty.is_zero() {
        sheet.push(MarketEvent::Level { side, price, qty });
    }
    Ok(())
}

/// The best prices; a side may be empty.
fn read_quote(sheet: &mut BitmexSheet, quote: &Quote<'_>) -> Result<(), String> {
    fn row<'q>(price: &'q Option<Number<'_>>, size: &'q Option<Number<'_>>) -> Option<(&'q str, &'q str)> {
        Some((&*price.as_ref()?.0, &*size.as_ref()?.0))
    }
    let sides = [
        (Side::Sell, "ask", row(&quote.ask_price, &quote.ask_size)),
        (Side::Buy, "bid", row(&quote.bid_price, &quote.bid_size)),
    ];
    let channel = meet(sheet, &quote.symbol, sides.iter().filter_map(|(_, _, row)| *row))?;
    for (side, name, row) in sides {
        if let Some(row) = row {
            push_level(sheet, channel, &quote.symbol, side, row)
                .map_err(|fault| format!("{name} {fault}"))?;
        }
    }
    let time = time_of(sheet, quote.timestamp.as_deref())?;
    sheet.close(channel, time, What::Window(1));
    Ok(())
}

/// Prints. What is no regular trade (index prints, blocks, deleveraging) is no evidence and left out.
fn read_trades(sheet: &mut BitmexSheet, data: &RawValue) -> Result<(), DecodeError> {
    let trades: Vec<Trade<'_>> = part(data, "data")?;
    let regular = |trade: &Trade<'_>| trade.trd_type.as_deref().is_none_or(|kind| kind == "Regular");
    for (index, trade) in trades.iter().enumerate().filter(|(_, trade)| regular(trade)) {
        read_trade(sheet, trade).map_err(|fault| element_error(data, index, &fault))?;
    }
    sheet.end_prints();
    Ok(())
}

fn read_trade(sheet: &mut BitmexSheet, trade: &Trade<'_>) -> Result<(), String> {
    let price = &*trade.price.as_ref().ok_or("price is missing")?.0;
    let size = &*trade.size.as_ref().ok_or("size is missing")?.0;
    let side = trade.side.as_deref().filter(|side| !side.is_empty()).map(side_of).transpose()?;
    let channel = meet(sheet, &trade.symbol, std::iter::once((price, size)))?;
    let time = time_of(sheet, trade.timestamp.as_deref())?;
    let id = trade.id.as_deref().unwrap_or_default().as_bytes();
    match spot_decimals(&trade.symbol)? {
        0 => sheet.print((channel, time), side, (price, size), id),
        minor => sheet.print((channel, time), side, (price, &format!("{size}e-{minor}")), id),
    }
}

/// Descriptions (of partials), marks, indices, funding and states.
fn read_instruments(
    sheet: &mut BitmexSheet,
    frame: &Envelope<'_>,
    data: &RawValue,
    action: Action,
) -> Result<(), DecodeError> {
    if action == Action::Delete {
        return Ok(());
    }
    let whole = matches!(action, Action::Partial | Action::Insert);
    let rows: Vec<Status<'_>> = part(data, "data")?;
    if whole {
        rest::instruments(data.get()).into_iter().for_each(|entry| sheet.know(entry.instrument));
    }
    // A subscription of everything speaks of hundreds; those of them count whose market was seen.
    let asked = |symbol: &str| {
        let filter = frame.filter.as_ref().and_then(|filter| filter.symbol.as_deref());
        whole && filter == Some(symbol)
    };
    for (index, row) in rows.iter().enumerate() {
        let ruled = rule(&row.symbol).ok();
        let found = sheet.find(&row.symbol);
        let met = || sheet_of(asked(&row.symbol), ruled.as_ref());
        let channel = match found {
            Some(channel) => Some(channel),
            None => met().and_then(|ruled| sheet.meet_known(&row.symbol, Some(ruled))),
        };
        if let Some(channel) = channel {
            read_status(sheet, channel, row).map_err(|fault| element_error(data, index, &fault))?;
        }
    }
    Ok(())
}

/// The rule of a symbol that was asked for by its name.
fn sheet_of(
    asked: bool,
    ruled: Option<&(crate::market::Pair, Product)>,
) -> Option<&(crate::market::Pair, Product)> {
    ruled.filter(|_| asked)
}

fn read_status(sheet: &mut BitmexSheet, channel: usize, row: &Status<'_>) -> Result<(), String> {
    let fine = |name: &str, number: &Option<Number<'_>>| {
        let read = |text: &Number<'_>| {
            FinePrice::read(&text.0).map_err(|fault| format!("{name} {:?} {fault}", text.0))
        };
        number.as_ref().map(read).transpose()
    };
    let mut events = Vec::new();
    events.extend(row.state.as_deref().map(|state| MarketEvent::Trading(state == "Open")));
    events.extend(fine("markPrice", &row.mark_price)?.map(|price| MarketEvent::News(News::Mark(price))));
    let index = fine("indicativeSettlePrice", &row.indicative_settle_price)?;
    events.extend(index.map(|price| MarketEvent::News(News::Index(price))));
    if let Some(Number(text)) = &row.funding_rate {
        let rate = FundingRate::read(text).map_err(|fault| format!("fundingRate {text:?} {fault}"))?;
        let due = match row.funding_timestamp.as_deref() {
            Some(text) => time_of(sheet, Some(text))?,
            None => Timestamp::MAX,
        };
        events.push(MarketEvent::News(News::Funding { rate, due }));
    }
    if !events.is_empty() {
        events.into_iter().for_each(|event| sheet.push(event));
        let time = time_of(sheet, row.timestamp.as_deref())?;
        sheet.close(channel, time, What::News);
    }
    Ok(())
}

/// Fundings that are done, of contracts whose market was seen.
fn read_fundings(sheet: &mut BitmexSheet, data: &RawValue) -> Result<(), DecodeError> {
    let rows: Vec<Funding<'_>> = part(data, "data")?;
    for (index, row) in rows.iter().enumerate() {
        let Some(channel) = sheet.find(&row.symbol) else { continue };
        let mut read = || {
            let Number(text) = row.funding_rate.as_ref().ok_or("fundingRate is missing")?;
            let rate = FundingRate::read(text).map_err(|fault| format!("fundingRate {text:?} {fault}"))?;
            let due = time_of(sheet, Some(&row.timestamp))?;
            sheet.push(MarketEvent::News(News::Funding { rate, due }));
            sheet.close(channel, due, What::News);
            Ok(())
        };
        read().map_err(|fault: String| element_error(data, index, &fault))?;
    }
    Ok(())
}

/// Orders that close positions, of contracts whose market was seen; neighbours of one contract are one group.
fn read_liquidations(sheet: &mut BitmexSheet, data: &RawValue) -> Result<(), DecodeError> {
    let rows: Vec<Liquidation<'_>> = part(data, "data")?;
    let mut open = None;
    for (index, row) in rows.iter().enumerate() {
        let Some(channel) = sheet.find(&row.symbol) else { continue };
        if let Some(other) = open.replace(channel).filter(|other| *other != channel) {
            sheet.close(other, sheet.received, What::News);
        }
        let mut read = || {
            let side = side_of(&row.side)?;
            let price = price_of(sheet, channel, &row.price.0)?;
            let qty = size_of(sheet, channel, &row.symbol, &row.leaves_qty.0)?;
            sheet.push(MarketEvent::News(News::Liquidation { side, price, qty }));
            Ok(())
        };
        read().map_err(|fault: String| element_error(data, index, &fault))?;
    }
    if let Some(channel) = open {
        sheet.close(channel, sheet.received, What::News);
    }
    Ok(())
}
