//! papertape: paper trading off the ticker tape.

use std::io::{self, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut out = io::BufWriter::new(io::stdout());
    let code = papertape::cli::run(std::env::args_os(), &mut out);
    // What could not be flushed has been reported, or its reader is gone.
    let _ = out.flush();
    ExitCode::from(code)
}
