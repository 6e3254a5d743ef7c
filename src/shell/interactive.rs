//! The shell at a terminal: a line editor, and a market that plays by itself.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Editor};

use super::complete::Words;
use super::script::print;
use super::{Interrupt, Reply, Shell, ShellError};
use crate::connector::Connector;
use crate::paper::{Pace, Pacer};

/// How often a `--live` screen is drawn anew.
const REDRAW: Duration = Duration::from_millis(500);

/// Runs the shell at a terminal until `exit` or the end of input. `pace` is how fast the market plays by itself.
pub fn interactive(
    shell: &mut Shell,
    pace: Pace,
    history: &Path,
    json: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    let interrupt = Interrupt::listen();
    shell.stop_at(Arc::clone(&interrupt.0));
    let config =
        Config::builder().auto_add_history(true).max_history_size(10_000).map(|builder| builder.build());
    let mut editor: Editor<Words, FileHistory> =
        config.and_then(Editor::with_config).map_err(|error| io::Error::other(error.to_string()))?;
    // No history yet is no error, and neither is one that cannot be read: it is a convenience.
    let _ = editor.load_history(history);
    loop {
        start_market(shell, pace)?;
        editor.set_helper(Some(shell.words()));
        match editor.readline(">>> ") {
            Ok(line) => {
                let live = line.split_whitespace().any(|word| word == "--live");
                let done = match live {
                    true => watch(shell, &line.replace("--live", ""), &interrupt, out),
                    false => answer(shell, &line, json, out),
                }?;
                if done {
                    break;
                }
            }
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(io::Error::other(error.to_string())),
        }
    }
    if let Some(folder) = history.parent() {
        std::fs::create_dir_all(folder)?;
    }
    editor.save_history(history).map_err(|error| io::Error::other(error.to_string()))
}

fn answer(shell: &mut Shell, line: &str, json: bool, out: &mut dyn Write) -> io::Result<bool> {
    match shell.execute(line) {
        Ok(reply) => {
            print(&reply, json, out)?;
            out.flush()?;
            Ok(reply.exit)
        }
        Err(ShellError(error)) => {
            writeln!(io::stderr(), "error: {error}")?;
            Ok(false)
        }
    }
}

/// Draws the answer of a command anew until Ctrl-C.
fn watch(shell: &mut Shell, line: &str, interrupt: &Interrupt, out: &mut dyn Write) -> io::Result<bool> {
    interrupt.clear();
    while !interrupt.came() {
        match shell.execute(line) {
            Ok(Reply { text, .. }) => {
                write!(out, "\x1b[2J\x1b[H{text}\nPress Ctrl-C to stop update.\n")?;
                out.flush()?;
            }
            Err(ShellError(error)) => {
                writeln!(io::stderr(), "error: {error}")?;
                return Ok(false);
            }
        }
        std::thread::sleep(REDRAW);
    }
    Ok(false)
}

/// Lets the market play once a connector is open.
fn start_market(shell: &mut Shell, pace: Pace) -> io::Result<()> {
    if shell.pacer.is_none()
        && let Some(opened) = &shell.opened
    {
        let pacer = Pacer::start(opened.connector.handle().clone(), pace, |_| {})?;
        shell.play_by_itself(pacer);
    }
    Ok(())
}

impl Shell {
    /// What can be completed now.
    fn words(&self) -> Words {
        let names = self.backstage.names();
        let names = names.iter().filter(|(_, ready)| *ready).map(|(name, _)| (*name).to_owned()).collect();
        let Some(opened) = &self.opened else { return Words { names, ..Words::default() } };
        let pairs = opened.connector.trading_pairs().iter().map(ToString::to_string).collect::<Vec<_>>();
        let pairs = pairs.into_iter().chain(self.beside.iter().flat_map(super::Beside::pairs)).collect();
        let paper = opened.connector.handle().lock();
        let orders = paper.trader(opened.connector.session()).into_iter().flat_map(|trader| trader.orders());
        let open =
            orders.filter(|known| known.done.is_none()).map(|known| known.number.to_string()).collect();
        Words { pairs, open, names }
    }
}
