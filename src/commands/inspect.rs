//! `papertape inspect`: what a file holds, and the book at a point.

use std::error::Error;
use std::io::Write;
use std::path::PathBuf;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};

use crate::feed::inspect::{BookView, Clocks, InspectOptions, Inspection, inspect};
use crate::feed::recording::RecordingOptions;
use crate::feed::warnings::Warnings;
use crate::market::Timestamp;

/// What a file holds, and its books at a point.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Tapes and CSV files, plain, .gz or .zst; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The books after the first N lines (data rows of CSV); default: the whole file.
    #[arg(long, value_name = "N", conflicts_with = "book_at")]
    book_after: Option<u64>,
    /// The books at a time: RFC 3339, or nanoseconds since the epoch.
    #[arg(long, value_name = "T")]
    book_at: Option<Timestamp>,
    /// Levels a side.
    #[arg(long, value_name = "D", default_value_t = 25)]
    depth: usize,
    /// Only this connection of a capture that holds several.
    #[arg(long, value_name = "C")]
    connection: Option<u64>,
    /// Also times, latencies and oddities.
    #[arg(long)]
    stats: bool,
    /// Stop at the first bad row or frame.
    #[arg(long)]
    strict: bool,
}

/// Looks at each file and prints what it holds: one JSON object a line, or tables.
pub fn run(args: &Args, out: &mut dyn Write, json: bool) -> Result<(), Box<dyn Error>> {
    for file in &args.files {
        let warnings = Warnings::default();
        let reading = RecordingOptions {
            strict: args.strict,
            lines: args.book_after,
            connection: args.connection,
            warnings: warnings.clone(),
            ..RecordingOptions::default()
        };
        let options = InspectOptions { reading, until: args.book_at, depth: args.depth, stats: args.stats };
        let inspection = inspect(file, &options)?;
        warnings.tell();
        if json {
            serde_json::to_writer(&mut *out, &inspection)?;
            writeln!(out)?;
        } else {
            print(&inspection, out)?;
        }
    }
    Ok(())
}

fn print(inspection: &Inspection, out: &mut dyn Write) -> std::io::Result<()> {
    let venue = inspection.venue.as_deref().unwrap_or("unknown venue");
    let connection = inspection.connection.map(|number| format!(", connection {number}")).unwrap_or_default();
    writeln!(out, "{} ({venue}{connection}), after line {}", inspection.file, inspection.after_line)?;
    writeln!(
        out,
        "messages {}, book updates {}, gaps {}, checksum failures {}, time went back {}, errors {}",
        inspection.messages,
        inspection.book_updates,
        inspection.gaps,
        inspection.checksum_failures,
        inspection.time_went_back,
        inspection.errors
    )?;
    if let Some(clocks) = &inspection.stats {
        print_clocks(clocks, out)?;
    }
    if !inspection.trades.is_empty() {
        let mut table = table(["symbol", "trades", "volume", "bought", "sold", "first price", "last price"]);
        for (symbol, trades) in &inspection.trades {
            table.add_row([
                symbol.as_str(),
                &trades.count.to_string(),
                &trades.volume,
                &trades.buy_volume,
                &trades.sell_volume,
                &trades.first_price,
                &trades.last_price,
            ]);
        }
        align(&mut table, 1..7);
        writeln!(out, "\n{table}")?;
    }
    for (symbol, book) in &inspection.books {
        let pair = book.pair.as_deref().unwrap_or("pair unknown");
        writeln!(out, "\n{symbol} ({pair}): {} bids, {} asks", book.bid_levels, book.ask_levels)?;
        writeln!(out, "{}", book_table(book))?;
    }
    Ok(())
}

fn print_clocks(clocks: &Clocks, out: &mut dyn Write) -> std::io::Result<()> {
    let time = |nanos: Option<i64>| {
        nanos.map_or_else(|| "-".to_owned(), |nanos| Timestamp::from_nanos(nanos).to_string())
    };
    let millis = |nanos: Option<i64>| {
        nanos.map_or_else(
            || "-".to_owned(),
            |nanos| format!("{} ms", crate::market::decimal::Plain::new(nanos, 6)),
        )
    };
    writeln!(out, "from {} to {}", time(clocks.first_ns), time(clocks.last_ns))?;
    writeln!(
        out,
        "receive less exchange time {} to {}; --clock exchange moves receive times by {}",
        millis(clocks.latency_min_ns),
        millis(clocks.latency_max_ns),
        millis(Some(clocks.clock_shift_ns))
    )?;
    writeln!(
        out,
        "events {}, merged snapshots {}, crossed books {}",
        clocks.events, clocks.merged_snapshots, clocks.crossed
    )
}

fn book_table(book: &BookView) -> Table {
    let mut table = table(["bid amount", "bid", "ask", "ask amount"]);
    for row in 0..book.bids.len().max(book.asks.len()) {
        let side = |levels: &[(String, String)]| levels.get(row).cloned().unwrap_or_default();
        let ((bid, bid_amount), (ask, ask_amount)) = (side(&book.bids), side(&book.asks));
        table.add_row([bid_amount, bid, ask, ask_amount]);
    }
    align(&mut table, 0..4);
    table
}

fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(header);
    table
}

/// Numbers stand on the right.
fn align(table: &mut Table, columns: std::ops::Range<usize>) {
    for column in columns {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}
