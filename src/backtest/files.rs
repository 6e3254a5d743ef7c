//! The tables of a run, written row by row as it goes: memory does not grow with them.
//!
//! They tell what happened at the exchange, in its order; what the trader knew, and when, is not in them.

use std::fmt::{Display, Write as _};
use std::fs::File;
use std::io;

use smol_str::SmolStr;

use super::folder::Folder;
use super::hands::Hands;
use super::tally::{asset_name, owner_name};
use crate::desk::tables::{EQUITY, FILLS, LEDGER, ORDERS, TRADES, action_of, leverage_of, tif_words};
use crate::desk::time;
use crate::market::decimal::{Plain, decimal_of};
use crate::market::{Instrument, Qty, Timestamp};
use crate::order::{ClientOrderId, Money, OrderId, OrderKind};
use crate::sim::{
    Fill, LedgerEntry, OrderEvent, OrderState, OrderUpdate, SimulatedExchange, Update, UpdateBody,
};
use crate::strategy::{OwnOrder, Trading};

/// One table being written: a row is put together, then written at once.
struct Table {
    csv: csv::Writer<File>,
    row: csv::ByteRecord,
    /// The text of one cell, in memory that is used again.
    cell: String,
}

/// What is written into one cell.
trait Cell {
    fn write(self, text: &mut String);
}

impl Cell for Plain {
    fn write(self, text: &mut String) {
        self.push_to(text);
    }
}

impl Cell for u64 {
    fn write(self, text: &mut String) {
        Plain::new(self, 0).push_to(text);
    }
}

impl Cell for i64 {
    fn write(self, text: &mut String) {
        Plain::new(self, 0).push_to(text);
    }
}

/// What is rarely written, and takes its time.
struct Shown<T>(T);

impl<T: Display> Cell for Shown<T> {
    fn write(self, text: &mut String) {
        // Writing to memory cannot fail.
        let _ = write!(text, "{}", self.0);
    }
}

impl Table {
    fn create(folder: &Folder, name: &str, header: &[&str]) -> io::Result<Self> {
        let file = File::create_new(folder.file(name))?;
        let mut csv = csv::WriterBuilder::new().buffer_capacity(1 << 16).from_writer(file);
        csv.write_record(header)?;
        Ok(Self { csv, row: csv::ByteRecord::new(), cell: String::new() })
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.row.push_field(text.as_bytes());
        self
    }

    fn put(&mut self, value: impl Cell) -> &mut Self {
        self.cell.clear();
        value.write(&mut self.cell);
        self.row.push_field(self.cell.as_bytes());
        self
    }

    fn option(&mut self, value: Option<impl Cell>) -> &mut Self {
        match value {
            Some(value) => self.put(value),
            None => self.text(""),
        }
    }

    fn end(&mut self) -> io::Result<()> {
        self.csv.write_byte_record(&self.row)?;
        self.row.clear();
        Ok(())
    }

    fn finish(mut self) -> io::Result<()> {
        self.csv.flush()
    }
}

/// An order that is not over, as the files see it.
struct Living {
    number: u64,
    venue: usize,
    client_id: ClientOrderId,
    kind: OrderKind,
    created: Timestamp,
    id: Option<OrderId>,
    ahead: Option<Qty>,
    over: bool,
}

/// The tables of a run.
pub(super) struct Files {
    orders: Table,
    fills: Table,
    trades: Table,
    ledger: Table,
    equity: Table,
    living: Vec<Living>,
    /// By connector: its name, how it is shown, the account's name.
    names: Vec<(SmolStr, String, String)>,
    /// Ledger rows and transactions so far, over all connectors; the last transaction's own connector and number.
    entries: u64,
    transactions: u64,
    last: (usize, u64),
    /// Fills so far, over all connectors.
    fill_count: u64,
    /// What turns a fill's number at its exchange into its number in the run, for the updates at hand.
    fill_shift: u64,
}

impl Files {
    pub(super) fn create(folder: &Folder, account: &str, connectors: &[SmolStr]) -> io::Result<Self> {
        let names = connectors.iter().map(|connector| {
            let alone = connectors.len() == 1;
            let account = if alone { account.to_owned() } else { format!("{connector}/{account}") };
            (connector.clone(), shown(connector), account)
        });
        Ok(Self {
            orders: Table::create(folder, "orders.csv", &ORDERS)?,
            fills: Table::create(folder, "fills.csv", &FILLS)?,
            trades: Table::create(folder, "trades.csv", &TRADES)?,
            ledger: Table::create(folder, "ledger.csv", &LEDGER)?,
            equity: Table::create(folder, "equity.csv", &EQUITY)?,
            living: Vec::new(),
            names: names.collect(),
            entries: 0,
            transactions: 0,
            last: (usize::MAX, 0),
            fill_count: 0,
            fill_shift: 0,
        })
    }

    /// An order was sent.
    pub(super) fn sent(&mut self, order: &OwnOrder, hands: &Hands) {
        let first = |venue: &super::hands::Venue| venue.markets.contains(&order.ask.market.0);
        let Some(venue) = hands.venues.iter().position(first) else { return };
        self.living.push(Living {
            number: order.key.0,
            venue,
            client_id: order.client_id.clone(),
            kind: order.ask.kind,
            created: order.created,
            id: None,
            ahead: None,
            over: false,
        });
    }

    /// What a connector's exchange has said.
    pub(super) fn see(
        &mut self,
        venue: usize,
        sim: &SimulatedExchange,
        updates: &[Update],
    ) -> io::Result<()> {
        let mut first_fill = None;
        for update in updates {
            match &update.body {
                UpdateBody::Order(order) => self.learn(venue, order),
                UpdateBody::Fill(fill) => _ = first_fill.get_or_insert(fill.id.0),
                _ => {}
            }
        }
        if let Some(first) = first_fill {
            // Over several connectors the run's numbers run on, never behind those of one exchange.
            self.fill_shift = (self.fill_count + 1).saturating_sub(first);
        }
        for update in updates {
            match &update.body {
                UpdateBody::Order(order) => self.order(venue, sim, update.at, order)?,
                UpdateBody::Fill(fill) => self.fill(venue, sim, update.at, fill)?,
                UpdateBody::Ledger(entry) => self.entry(venue, sim, update.at, entry)?,
                UpdateBody::PublicTrade(_)
                | UpdateBody::Position(_)
                | UpdateBody::Funding(_)
                | UpdateBody::Liquidation(_) => {}
            }
        }
        self.living.retain(|living| !living.over);
        Ok(())
    }

    fn learn(&mut self, venue: usize, update: &OrderUpdate) {
        let Some(state) = update.order.as_ref().filter(|_| update.event == OrderEvent::Accepted) else {
            return;
        };
        let found = self
            .living
            .iter_mut()
            .find(|living| living.venue == venue && Some(&living.client_id) == state.client_id.as_ref());
        if let Some(living) = found {
            (living.id, living.ahead) = (Some(state.id), state.ahead);
        }
    }

    fn living(&self, venue: usize, id: OrderId) -> Option<&Living> {
        self.living.iter().find(|living| living.venue == venue && living.id == Some(id))
    }

    fn order(
        &mut self,
        venue: usize,
        sim: &SimulatedExchange,
        at: Timestamp,
        update: &OrderUpdate,
    ) -> io::Result<()> {
        let Some(state) = &update.order else { return Ok(()) };
        let (word, reason) = match update.event {
            OrderEvent::Rejected(reason) => ("rejected", reason.text()),
            OrderEvent::Cancelled(reason) => ("cancelled", reason.name()),
            OrderEvent::Filled if state.status.is_done() => ("filled", ""),
            _ => return Ok(()),
        };
        let is_it = |living: &Living| {
            living.venue == venue
                && match living.id {
                    Some(id) => id == state.id,
                    None => Some(&living.client_id) == state.client_id.as_ref(),
                }
        };
        let Some(living) = self.living.iter_mut().find(|living| is_it(living)) else { return Ok(()) };
        living.over = true;
        write_order(&mut self.orders, &self.names, living, sim, state, word, reason, Some(at))
    }

    /// Orders that are still open at the end, with the state that they are in.
    pub(super) fn rest(&mut self, venue: usize, sim: &SimulatedExchange) -> io::Result<()> {
        for living in self.living.iter().filter(|living| living.venue == venue) {
            if let Some(state) = living.id.and_then(|id| sim.order(id)) {
                let word = state.status.name();
                write_order(&mut self.orders, &self.names, living, sim, &state, word, "", None)?;
            }
        }
        self.living.retain(|living| living.venue != venue);
        Ok(())
    }

    fn fill(&mut self, venue: usize, sim: &SimulatedExchange, at: Timestamp, fill: &Fill) -> io::Result<()> {
        self.fill_count += 1;
        let Some(instrument) = sim.market(fill.instrument).map(|market| &market.instrument) else {
            return Ok(());
        };
        let order = self.living(venue, fill.order).map(|living| (living.number, living.kind, living.created));
        let Some((connector, display, account)) = self.names.get(venue) else { return Ok(()) };
        let (price, qty) = (instrument.show_price(fill.price), instrument.show_qty(fill.qty));
        self.fills
            .put(self.fill_count)
            .option(order.map(|(number, ..)| number))
            .text(connector)
            .put(Shown(&instrument.pair))
            .text(account)
            .put(at.nanos())
            .text(fill.side.name())
            .put(price)
            .put(qty)
            .text(fill.liquidity.name())
            .put(money(sim, fill.fee_asset, fill.fee))
            .text(asset_name(sim, fill.fee_asset))
            .text(fill.rule.name())
            .text(fill.evidence.name())
            .put(fill.event_time.nanos())
            .option(fill.ahead_before.map(|ahead| instrument.show_qty(ahead)))
            .text(action_of(fill))
            .end()?;
        let (kind, created) = order.map_or(("", at), |(_, kind, created)| (kind_word(kind), created));
        self.trades
            .put(self.fill_count)
            .text(&time::stamp(at))
            .text(display)
            .put(Shown(&instrument.pair))
            .text(kind)
            .text(fill.side.name())
            .put(price)
            .put(qty)
            .text(&leverage_of(sim, fill))
            .text(&action_of(fill).to_ascii_uppercase())
            .text(&time::age(at.nanos_since(created)))
            .end()
    }

    fn entry(
        &mut self,
        venue: usize,
        sim: &SimulatedExchange,
        at: Timestamp,
        entry: &LedgerEntry,
    ) -> io::Result<()> {
        self.entries += 1;
        if self.last != (venue, entry.transaction) {
            self.last = (venue, entry.transaction);
            self.transactions += 1;
        }
        let Some((_, _, account)) = self.names.get(venue) else { return Ok(()) };
        let order = self.living(venue, entry.order).map(|living| living.number);
        let fill = (entry.fill.0 > 0).then_some(entry.fill.0 + self.fill_shift);
        let pair = entry.instrument.and_then(|id| sim.market(id)).map(|market| &market.instrument.pair);
        let amount = |amount| money(sim, entry.asset, amount);
        self.ledger
            .put(self.entries)
            .put(self.transactions)
            .text("1")
            .put(at.nanos())
            .text(owner_name(entry.owner, account))
            .text(asset_name(sim, entry.asset))
            .put(amount(entry.amount))
            .put(amount(entry.balance_after))
            .put(amount(entry.hold_amount))
            .put(amount(entry.hold_after))
            .text(entry.cause.name())
            .option(order)
            .option(fill)
            .option(pair.map(Shown))
            .end()
    }

    /// A sample of equity.
    pub(super) fn sample(&mut self, sample: &super::Sample) -> io::Result<()> {
        self.equity
            .put(sample.at.nanos())
            .put(Shown(sample.equity))
            .put(Shown(&sample.quote))
            .put(Shown(sample.position))
            .option(sample.mid.map(Shown))
            .option(sample.mark.map(Shown))
            .put(Shown(sample.drawdown))
            .end()
    }

    /// Writes what is left.
    pub(super) fn finish(self) -> io::Result<()> {
        [self.orders, self.fills, self.trades, self.ledger, self.equity]
            .into_iter()
            .try_for_each(Table::finish)
    }
}

#[allow(clippy::too_many_arguments, reason = "one row, written at two places")]
fn write_order(
    table: &mut Table,
    names: &[(SmolStr, String, String)],
    living: &Living,
    sim: &SimulatedExchange,
    state: &OrderState,
    word: &str,
    reason: &str,
    done: Option<Timestamp>,
) -> io::Result<()> {
    let Some(instrument) = sim.market(state.instrument).map(|market| &market.instrument) else {
        return Ok(());
    };
    let Some((connector, _, account)) = names.get(living.venue) else { return Ok(()) };
    let tif = tif_words(state.tif);
    table
        .put(living.number)
        .text(&living.client_id)
        .option(living.id.map(|id| id.0))
        .text(connector)
        .put(Shown(&instrument.pair))
        .text(account)
        .text(state.side.name())
        .text(kind_word(living.kind))
        .text(&tif)
        .option(state.price.map(|price| instrument.show_price(price)))
        .put(instrument.show_qty(state.qty))
        .put(instrument.show_qty(state.filled))
        .option(average(sim, instrument, state).map(Shown))
        .text(word)
        .text(reason)
        .put(living.created.nanos())
        .put(state.arrived.nanos())
        .option(done.map(Timestamp::nanos))
        .option(living.ahead.map(|ahead| instrument.show_qty(ahead)))
        .end()
}

/// The average price of an order's fills, at most 28 digits; `None` without one.
fn average(
    sim: &SimulatedExchange,
    instrument: &Instrument,
    state: &OrderState,
) -> Option<rust_decimal::Decimal> {
    let quote = sim.asset_index(&instrument.pair.quote)?;
    let cost = decimal_of(state.filled_quote.0, sim.asset_scale(quote))?;
    Some(cost.checked_div(instrument.qty_decimal(state.filled))?.normalize())
}

fn money(sim: &SimulatedExchange, asset: u16, amount: Money) -> Plain {
    Plain::new(amount.0, sim.asset_scale(asset))
}

fn kind_word(kind: OrderKind) -> &'static str {
    match kind {
        OrderKind::Limit => "limit",
        OrderKind::LimitMaker => "limit_maker",
        OrderKind::Market => "market",
    }
}

/// How Hummingbot shows a connector: `Bitmart_PaperTrade`.
fn shown(connector: &str) -> String {
    crate::connector::display_name(connector)
}

/// Writes down which orders a strategy has sent since it was asked last, and says how many.
pub(super) fn note_sent(files: Option<&mut Files>, hands: &mut Hands) -> u64 {
    let sent = std::mem::take(&mut hands.sent);
    if let Some(files) = files {
        let orders = hands.orders();
        orders[orders.len().saturating_sub(sent)..].iter().for_each(|order| files.sent(order, hands));
    }
    sent as u64
}
