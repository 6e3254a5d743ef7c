//! CSV files of the session: trades in Hummingbot's columns, orders and ledger in ours.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use super::table::exact;
use super::{Reply, Shell, ShellError, time, usage};
use crate::connector::Connector;
use crate::desk::Opened;
use crate::desk::tables::{LEDGER, ORDERS, TRADES, action_of, leverage_of, tif_words};
use crate::paper::{Known, PaperExchange};
use crate::sim::Owner;

impl Shell {
    pub(super) fn export(&self, rest: &[&str]) -> Result<Reply, ShellError> {
        let [what, file] = rest else { return Err(usage("export")) };
        let opened = self.opened()?;
        let (header, rows): (&[&str], _) = match *what {
            "trades" => (&TRADES, trades(opened)),
            "orders" => (&ORDERS, orders(opened)),
            "ledger" => (&LEDGER, ledger(opened)),
            _ => return Err(usage("export")),
        };
        if rows.is_empty() {
            return Ok(Reply::new(format!("No past {what} to export.\n"), json!({"exported": 0})));
        }
        let name =
            if Path::new(file).extension().is_some() { (*file).to_owned() } else { format!("{file}.csv") };
        write(&name, header, &rows)?;
        let text = format!("Successfully exported {what} to {name}\n");
        Ok(Reply::new(text, json!({"exported": rows.len(), "file": name})))
    }
}

fn write(name: &str, header: &[&str], rows: &[Vec<String>]) -> Result<(), ShellError> {
    let fail = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            ShellError(format!("{name} file already exists, please enter a new name"))
        }
        _ => ShellError(format!("{name}: {error}")),
    };
    let file = std::fs::File::create_new(name).map_err(fail)?;
    let mut csv = csv::Writer::from_writer(file);
    let written =
        csv.write_record(header).and_then(|()| rows.iter().try_for_each(|row| csv.write_record(row)));
    written.map_err(|error| ShellError(format!("{name}: {error}")))?;
    csv.flush().map_err(fail)
}

fn trades(opened: &Opened) -> Vec<Vec<String>> {
    let paper = opened.connector.handle().lock();
    let Some(trader) = paper.trader(opened.connector.session()) else { return Vec::new() };
    let exchange = opened.connector.display_name();
    let row = |row: &crate::paper::FillRow| {
        let instrument = paper.names().instrument(row.fill.instrument)?;
        Some(vec![
            row.fill.id.to_string(),
            time::stamp(row.at),
            exchange.clone(),
            instrument.pair.to_string(),
            row.order_type.name().to_ascii_lowercase(),
            row.fill.side.name().to_owned(),
            exact(instrument.price_decimal(row.fill.price)),
            exact(instrument.qty_decimal(row.fill.qty)),
            leverage_of(paper.sim(), &row.fill),
            action_of(&row.fill).to_ascii_uppercase(),
            time::age(row.at.nanos_since(row.order_created)),
        ])
    };
    trader.fills().iter().filter_map(row).collect()
}

fn orders(opened: &Opened) -> Vec<Vec<String>> {
    let paper = opened.connector.handle().lock();
    let Some(trader) = paper.trader(opened.connector.session()) else { return Vec::new() };
    trader.orders().map(|known| order_row(&paper, opened, known)).collect()
}

fn order_row(paper: &PaperExchange, opened: &Opened, known: &Known) -> Vec<String> {
    let order = &known.order;
    let state = known.state.as_ref();
    let instrument = paper.names().instrument(known.instrument);
    let ahead = paper.life(known.tag).and_then(|life| life.ahead_at_join);
    let ahead = ahead.zip(instrument).map(|(ahead, instrument)| exact(instrument.qty_decimal(ahead)));
    let reason = known.cancelled.map(|reason| reason.name().to_owned());
    let refused = || order.reject.map(|reason| reason.text().to_owned());
    vec![
        known.number.to_string(),
        order.client_order_id.to_string(),
        order.exchange_order_id.clone().unwrap_or_default(),
        opened.connector.name().to_owned(),
        order.trading_pair.to_string(),
        opened.about.account.clone(),
        order.trade_type.name().to_ascii_lowercase(),
        order.order_type.name().to_ascii_lowercase(),
        tif_words(order.time_in_force),
        order.price.map(exact).unwrap_or_default(),
        exact(order.amount),
        exact(order.executed_amount_base),
        order.average_price().map(exact).unwrap_or_default(),
        order.current_state.name().to_ascii_lowercase(),
        reason.or_else(refused).unwrap_or_default(),
        order.creation_timestamp.nanos().to_string(),
        state.map(|state| state.arrived.nanos().to_string()).unwrap_or_default(),
        known.done.map(|time| time.nanos().to_string()).unwrap_or_default(),
        ahead.unwrap_or_default(),
    ]
}

fn ledger(opened: &Opened) -> Vec<Vec<String>> {
    let paper = opened.connector.handle().lock();
    let names = paper.names();
    let Some(trader) = paper.trader(opened.connector.session()) else { return Vec::new() };
    let mut accounts = BTreeMap::new();
    accounts.insert(Owner::Account(trader.account), opened.about.account.clone());
    let number = |id: u64| if id == 0 { String::new() } else { id.to_string() };
    let row = |(at, entry): &(crate::market::Timestamp, crate::sim::LedgerEntry)| {
        let amount = |money| exact(names.decimal(entry.asset, money));
        let instrument = entry.instrument.and_then(|id| names.instrument(id));
        vec![
            entry.entry.to_string(),
            entry.transaction.to_string(),
            opened.about.session.to_string(),
            at.nanos().to_string(),
            accounts.get(&entry.owner).cloned().unwrap_or_default(),
            names.asset(entry.asset).map(ToString::to_string).unwrap_or_default(),
            amount(entry.amount),
            amount(entry.balance_after),
            amount(entry.hold_amount),
            amount(entry.hold_after),
            entry.cause.name().to_owned(),
            number(entry.order.0),
            number(entry.fill.0),
            instrument.map(|instrument| instrument.pair.to_string()).unwrap_or_default(),
        ]
    };
    trader.ledger().iter().map(row).collect()
}
