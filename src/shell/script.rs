//! Scripted sessions: the same bytes each time.

use std::io::{self, Write};

use serde_json::json;

use super::{Reply, Shell, ShellError};

/// The commands of `-c`: separated by `;` and by lines.
pub fn commands_of(text: &str) -> Vec<String> {
    let parts = text.split([';', '\n']).map(str::trim);
    parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// Runs commands one after another. Answers go to `out`, each under its command; errors go to `err` and the session
/// goes on. Returns whether all commands were carried out.
pub fn scripted(
    shell: &mut Shell,
    lines: impl Iterator<Item = io::Result<String>>,
    json: bool,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<bool> {
    let mut fine = true;
    for line in lines {
        for command in commands_of(&line?) {
            if !json {
                writeln!(out, ">>> {command}")?;
            }
            match shell.execute(&command) {
                Ok(reply) => {
                    print(&reply, json, out)?;
                    if reply.exit {
                        return Ok(fine);
                    }
                }
                Err(ShellError(error)) => {
                    fine = false;
                    // In order where both are the same terminal or file.
                    if json {
                        writeln!(out, "{}", json!({"command": command, "error": error}))?;
                    }
                    out.flush()?;
                    writeln!(err, "error: {error}")?;
                }
            }
        }
    }
    out.flush()?;
    Ok(fine)
}

/// Prints an answer; programs get one object a line.
pub(super) fn print(reply: &Reply, json: bool, out: &mut dyn Write) -> io::Result<()> {
    if !json {
        return out.write_all(reply.text.as_bytes());
    }
    if reply.json.is_null() { Ok(()) } else { writeln!(out, "{}", reply.json) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_separated_by_semicolons_and_lines() {
        assert_eq!(commands_of("balance; order last ;;\n exit"), ["balance", "order last", "exit"]);
        assert!(commands_of(" ; ").is_empty());
    }
}
