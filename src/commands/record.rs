//! `record`: an exchange's public sockets as a tape.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use super::Done;
use crate::cli::Global;
use crate::desk::DeskError;
use crate::feed::live::{LiveHandle, LiveSource, Rotate};
use crate::feed::open::live::{HostArgs, LivePlan, LiveWish};
use crate::feed::warnings::Warnings;
use crate::market::{Source, parse_duration};
use crate::venue::connectors::{self, ConnectorError};

/// Record an exchange's live market as a tape
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The connector, as in hitbtc_paper_trade
    name: String,
    /// This pair, as in BTC-USDT (repeatable) [default: those of the built-in catalogue]
    #[arg(long, value_name = "BASE-QUOTE")]
    pair: Vec<String>,
    /// Write here: .jsonl, .jsonl.gz or .jsonl.zst; it must not be there yet
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Stop after so much time, as in 10m [default: when it is interrupted]
    #[arg(long = "for", value_name = "D", value_parser = duration)]
    length: Option<Duration>,
    /// Go on in a new file after so much time or so many bytes before compression, as in 1h or 100MB
    #[arg(long, value_name = "D|SIZE", default_value = "never", value_parser = rotate, hide_default_value = true)]
    rotate: Rotate,
    /// Rules of instruments, in the format of fixtures/catalogue
    #[arg(long, value_name = "FILE")]
    instruments: Option<PathBuf>,
    #[command(flatten)]
    hosts: HostArgs,
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| format!("not a length of time: {text:?} (as in 30s, 10m)"))
}

fn rotate(text: &str) -> Result<Rotate, String> {
    if text == "never" { Ok(Rotate::Never) } else { text.parse() }
}

/// How often it is looked whether it is over.
const LOOK: Duration = Duration::from_millis(100);

/// Records until the time is over or somebody interrupts.
pub fn run(args: &Args, global: &Global, out: &mut dyn Write) -> Done {
    let connector = connectors::usable_connector(&args.name).map_err(|error| match error {
        ConnectorError::Unknown { .. } => DeskError::usage(error.to_string()),
        _ => DeskError::failed(error.to_string()),
    })?;
    if args.out.try_exists()? {
        let why = "is there already; a recording replaces no file";
        return Err(DeskError::failed(format!("--out {}: {why}", args.out.display())).into());
    }
    let lists = global.data().ok().map(|data| data.join("instruments"));
    let plan = LivePlan::new(&LiveWish {
        connector,
        from: None,
        pairs: args
            .pair
            .iter()
            .map(|pair| pair.parse())
            .collect::<Result<_, _>>()
            .map_err(|error| pair_fault(&error))?,
        instruments: args.instruments.as_deref(),
        hosts: &args.hosts,
        lists: lists.as_deref(),
        lenient: true,
    })?;
    plan.notes().iter().for_each(|note| global.say(note));
    let warnings = Warnings::default();
    let over = interrupted()?;
    let (source, handle) = plan.start_recorded(warnings.clone(), &args.out, args.rotate)?;
    global.say(&format!("recording into {}", args.out.display()));
    wait(args.length, &over, source, &handle)?;
    handle.stop();
    let done = handle.stop_recording().unwrap_or_else(|| Err("nothing was recorded".to_owned()));
    let done = done.map_err(DeskError::failed)?;
    warnings.first().iter().for_each(|words| global.say(&format!("warning: {words}")));
    let health = handle.health();
    let (losses, renewed) =
        health.iter().fold((0, 0), |(losses, renewed), own| (losses + own.losses, renewed + own.renewed));
    let files: Vec<String> = done.files.iter().map(|file| file.display().to_string()).collect();
    if global.json {
        let answer = json!({"files": files, "frames": done.frames, "sockets": health.len(), "books_asked_anew": renewed});
        writeln!(out, "{answer}")?;
    } else {
        // The last loss of each socket is ours.
        let losses = losses.saturating_sub(health.len() as u64);
        writeln!(out, "recorded {} frames into {}", done.frames, files.join(", "))?;
        writeln!(out, "sockets {}, lost {losses} times, books asked for anew {renewed}", health.len())?;
    }
    Ok(())
}

fn pair_fault(error: &crate::market::PairError) -> DeskError {
    DeskError::usage(format!("--pair: {error}"))
}

/// Waits until it is over; an error is that the tape cannot be written any more.
fn wait(
    length: Option<Duration>,
    over: &AtomicBool,
    mut source: LiveSource,
    handle: &LiveHandle,
) -> Result<(), DeskError> {
    let end = length.map(|length| handle.now().plus(length));
    while !over.load(Ordering::Relaxed) && end.is_none_or(|end| handle.now() < end) {
        // Nobody plays the market; what waits is taken so that nothing seems to be lost.
        while source.advance().map_err(|error| DeskError::failed(error.to_string()))?.is_some() {}
        if let Some(Err(error)) = handle.recording() {
            return Err(DeskError::failed(error));
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}

/// A flag that becomes true when the program is to end.
fn interrupted() -> std::io::Result<Arc<AtomicBool>> {
    let over = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&over);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let (listening, ready) = std::sync::mpsc::channel::<()>();
    let listen = move || {
        runtime.block_on(async {
            let end = ended();
            tokio::pin!(end);
            // The handlers are there once the future was polled.
            tokio::select! {
                biased;
                () = &mut end => {}
                () = async { drop(listening) } => end.await,
            }
            flag.store(true, Ordering::Relaxed);
        });
    };
    std::thread::Builder::new().name("signals".into()).spawn(listen)?;
    // An error is that it listens.
    let _ = ready.recv();
    Ok(over)
}

#[cfg(unix)]
async fn ended() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        // Without the one there is the other.
        let _ = tokio::signal::ctrl_c().await;
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

#[cfg(not(unix))]
async fn ended() {
    // An error is that nothing can be heard: then only --for ends it.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
