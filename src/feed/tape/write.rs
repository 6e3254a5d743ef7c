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

/// The lines of a tape, one at a time; the room for them is used again.
#[derive(Default)]
pub struct TapeLines {
    line: Vec<u8>,
    binary: String,
}

impl TapeLines {
    /// The first line.
    pub fn header(&mut self, header: &TapeHeader) -> &[u8] {
        self.line = header.to_line().into_bytes();
        self.ended()
    }

    /// A connection was established.
    pub fn open(&mut self, time: Timestamp, connection: u64, url: &str) -> &[u8] {
        self.line.clear();
        let (time, url) = (time.nanos(), json!(url));
        self.line
            .extend_from_slice(format!(r#"{{"t":{time},"c":{connection},"d":"open","x":{url}}}"#).as_bytes());
        self.ended()
    }

    /// A frame that went over `connection` at `time`.
    pub fn frame(
        &mut self,
        time: Timestamp,
        connection: u64,
        direction: Direction,
        frame: Frame<'_>,
    ) -> io::Result<&[u8]> {
        let way = match direction {
            Direction::In => "in",
            Direction::Out => "out",
        };
        self.line.clear();
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
        Ok(self.ended())
    }

    fn ended(&mut self) -> &[u8] {
        self.line.push(b'\n');
        &self.line
    }
}

/// Writes a tape. The file is there when [`finish`](Self::finish) has returned, and not before.
pub struct TapeWriter {
    out: OutFile,
    lines: TapeLines,
}

impl TapeWriter {
    /// Starts a tape at `path` (compressed by its name; `-` is standard output).
    pub fn create(path: &Path, header: &TapeHeader) -> io::Result<Self> {
        let mut tape = Self { out: OutFile::create(path)?, lines: TapeLines::default() };
        tape.out.write_all(tape.lines.header(header))?;
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
        self.out.write_all(self.lines.frame(time, connection, direction, frame)?)
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
