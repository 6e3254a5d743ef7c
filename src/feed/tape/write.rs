//! Writing tapes of our own form.

use std::io::{self, Write};
use std::path::Path;

use base64::Engine;
use serde_json::json;

use super::{Direction, TapeHeader};
use crate::feed::outfile::OutFile;
use crate::market::Timestamp;
use crate::venue::Frame;
use crate::venue::catalogue::Entry;

/// Writes a tape. The file is there when [`finish`](Self::finish) has returned, and not before.
pub struct TapeWriter {
    out: OutFile,
    line: Vec<u8>,
    binary: String,
}

impl TapeWriter {
    /// Starts a tape at `path` (compressed by its name; `-` is standard output).
    pub fn create(path: &Path, header: &TapeHeader) -> io::Result<Self> {
        let mut tape = Self { out: OutFile::create(path)?, line: Vec::new(), binary: String::new() };
        tape.line = header.to_line().into_bytes();
        tape.end_line()?;
        Ok(tape)
    }

    /// Adds a frame that went over `connection` at `time`.
    pub fn frame(
        &mut self,
        time: Timestamp,
        connection: u64,
        direction: Direction,
        frame: Frame<'_>,
    ) -> io::Result<()> {
        let way = match direction {
            Direction::In => "in",
            Direction::Out => "out",
        };
        write!(self.line, r#"{{"t":{},"c":{connection},"d":"{way}","#, time.nanos())?;
        match frame {
            Frame::Text(text) => {
                self.line.extend_from_slice(b"\"x\":");
                serde_json::to_writer(&mut self.line, text)?;
            }
            Frame::Binary(bytes) => {
                self.binary.clear();
                base64::engine::general_purpose::STANDARD.encode_string(bytes, &mut self.binary);
                write!(self.line, r#""b":"{}""#, self.binary)?;
            }
        }
        self.line.push(b'}');
        self.end_line()
    }

    fn end_line(&mut self) -> io::Result<()> {
        self.line.push(b'\n');
        self.out.write_all(&self.line)?;
        self.line.clear();
        Ok(())
    }

    /// Writes what is left and gives the file its name.
    pub fn finish(self) -> io::Result<()> {
        self.out.finish()
    }
}

impl TapeHeader {
    /// The header as the first line of a tape.
    fn to_line(&self) -> String {
        let quoted = |value: serde_json::Value| value.to_string();
        // By hand, so that the fields stand in the order that people expect.
        let mut line = format!(
            r#"{{"venue":{},"connector":{},"pairs":{}"#,
            quoted(json!(self.venue)),
            quoted(json!(self.connector)),
            quoted(json!(self.pairs)),
        );
        if let Some(start) = self.start {
            line += &format!(r#","start":{}"#, quoted(json!(start.to_string())));
        }
        line += &format!(r#","version":{}"#, self.version);
        if !self.instruments.is_empty() {
            let entries =
                self.instruments.iter().map(|instrument| Entry::plain(instrument.clone()).to_json());
            line += &format!(r#","instruments":{}"#, quoted(entries.collect()));
        }
        line.push('}');
        line
    }
}
