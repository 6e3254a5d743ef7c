//! `completions`: what the user's shell needs to complete this program's command lines.

use std::io::Write;

use super::Done;

/// Print what a shell needs to complete this program's command lines
#[derive(Debug, clap::Args)]
pub struct Args {
    /// For which shell
    pub shell: clap_complete::Shell,
}

/// Prints them.
pub fn run(args: &Args, out: &mut dyn Write) -> Done {
    // Into memory first: clap_complete panics where a write fails, and a closed pipe is no error.
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut crate::cli::command(), "papertape", &mut text);
    Ok(out.write_all(&text)?)
}
