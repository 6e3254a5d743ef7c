//! `papertape convert`: recordings into another form.

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;

use crate::feed::convert::{ConvertOptions, Converted, convert};
use crate::feed::recording::RecordingOptions;
use crate::feed::warnings::Warnings;
use crate::market::Pair;
use crate::venue::connectors::usable_connector;

/// Between tape and Tardis CSV. OUT is a folder for CSV, or a tape (.jsonl, .jsonl.gz, .jsonl.zst).
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The inputs, and OUT last; `-` is standard input or output.
    #[arg(required = true, num_args = 2.., value_names = ["IN", "OUT"])]
    files: Vec<PathBuf>,
    /// In whose wire format a tape is written; by default that of the inputs' venue.
    #[arg(long, value_name = "NAME")]
    connector: Option<String>,
    /// Only this pair; may be repeated.
    #[arg(long, value_name = "PAIR")]
    pair: Vec<Pair>,
    /// Only this connection of a capture that holds several.
    #[arg(long, value_name = "C")]
    connection: Option<u64>,
    /// Stop at the first bad row or frame.
    #[arg(long)]
    strict: bool,
}

/// Converts and says what was written.
pub fn run(args: &Args, out: &mut dyn Write, json: bool) -> Result<(), Box<dyn Error>> {
    let Some((to, inputs)) = args.files.split_last() else { return Ok(()) };
    let warnings = Warnings::default();
    let options = ConvertOptions {
        connector: args.connector.as_deref().map(usable_connector).transpose()?,
        pairs: args.pair.clone(),
        reading: RecordingOptions {
            strict: args.strict,
            connection: args.connection,
            warnings: warnings.clone(),
            ..RecordingOptions::default()
        },
    };
    // It draws on standard error, and only where that is a terminal.
    let bar = ProgressBar::new_spinner().with_message("messages");
    let converted = convert(inputs, to, &options, &mut |messages| bar.set_position(messages));
    bar.finish_and_clear();
    let converted = converted?;
    warnings.tell();
    if to == Path::new("-") {
        // The tape itself is on standard output.
        return Ok(());
    }
    if json {
        serde_json::to_writer(&mut *out, &converted)?;
        writeln!(out)?;
    } else {
        print(&converted, out)?;
    }
    Ok(())
}

fn print(converted: &Converted, out: &mut dyn Write) -> std::io::Result<()> {
    let Converted { messages, events, left_out, read, .. } = converted;
    writeln!(out, "{messages} messages, {events} events; {} bad rows or frames left out", read.errors)?;
    if *left_out > 0 {
        writeln!(out, "{left_out} events that CSV has no row for (gaps, halts) left out")?;
    }
    for file in &converted.files {
        writeln!(out, "wrote {}", file.display())?;
    }
    Ok(())
}
