//! The lines of a file: plain, gzip or zstd, told apart by their first bytes; `-` is standard input.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use super::pump::Pump;

/// A longer line is no line of any of our formats.
const LONGEST: usize = 64 << 20;
/// How much is read at once.
const CHUNK: usize = 256 << 10;

/// Any readable bytes.
pub type Input = Box<dyn Read + Send>;

/// Opens a file for reading, inflated where it is compressed.
pub fn open(path: &Path) -> io::Result<Input> {
    inflated(raw(path)?)
}

/// Opens a file for reading, as it is.
pub fn raw(path: &Path) -> io::Result<Input> {
    if path == Path::new("-") { Ok(Box::new(io::stdin())) } else { Ok(Box::new(File::open(path)?)) }
}

/// The bytes, inflated where they are compressed.
pub fn inflated(input: Input) -> io::Result<Input> {
    Ok(unpacked(input)?.0)
}

/// The same; what is compressed is inflated on a thread of its own.
pub fn inflated_ahead(input: Input) -> io::Result<Input> {
    match unpacked(input)? {
        (input, true) => Ok(Box::new(Pump::start(input)?)),
        (input, false) => Ok(input),
    }
}

/// The bytes, inflated, and whether they are compressed.
fn unpacked(input: Input) -> io::Result<(Input, bool)> {
    let mut input = BufReader::with_capacity(64 << 10, input);
    let magic = input.fill_buf()?;
    if magic.starts_with(&[0x1f, 0x8b]) {
        Ok((Box::new(flate2::bufread::MultiGzDecoder::new(input)), true))
    } else if magic.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        Ok((Box::new(zstd::Decoder::with_buffer(input)?), true))
    } else {
        Ok((Box::new(input), false))
    }
}

/// One line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Its bytes, without the line end.
    pub text: &'a [u8],
    /// Its number, from 1.
    pub number: u64,
    /// Whether a line end followed; the last line of a file that was cut off has none.
    pub ended: bool,
}

/// Reads lines into one buffer that is used again and again.
pub struct Lines {
    input: Input,
    /// Room, of which so many bytes are filled.
    buffer: Vec<u8>,
    filled: usize,
    /// The first byte that was not handed out.
    start: usize,
    /// The first byte that was not searched for a line end.
    searched: usize,
    number: u64,
    ended: bool,
    failure: Option<io::Error>,
    held: bool,
}

impl Lines {
    /// The lines of `input`.
    pub fn new(input: Input) -> Self {
        Self {
            input,
            buffer: Vec::new(),
            filled: 0,
            start: 0,
            searched: 0,
            number: 0,
            ended: false,
            failure: None,
            held: false,
        }
    }

    /// From now on, and only before the first line was read, [`rewind`](Self::rewind) is possible: nothing that was
    /// read is forgotten.
    pub fn hold(&mut self) {
        self.held = self.number == 0;
    }

    /// How many bytes are held in memory.
    pub fn held_bytes(&self) -> usize {
        self.filled
    }

    /// Back to the first line. Ends the hold if `release`.
    pub fn rewind(&mut self, release: bool) {
        if self.held {
            (self.start, self.searched, self.number) = (0, 0, 0);
            self.held = !release;
        }
    }

    /// The next line; `None` at the end. What the system could not read comes as an error after all whole lines
    /// before it.
    pub fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        loop {
            if let Some(len) = memchr::memchr(b'\n', &self.buffer[self.searched..self.filled]) {
                let (from, to) = (self.start, self.searched + len);
                (self.start, self.searched) = (to + 1, to + 1);
                return Ok(Some(self.line(from, to, true)));
            }
            self.searched = self.filled;
            if self.filled - self.start > LONGEST {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a line of more than 64 MiB"));
            }
            if !self.ended {
                self.fill();
            } else if let Some(failure) = self.failure.take() {
                self.start = self.filled;
                return Err(failure);
            } else if self.start < self.filled {
                let (from, to) = (self.start, self.filled);
                self.start = to;
                return Ok(Some(self.line(from, to, false)));
            } else {
                return Ok(None);
            }
        }
    }

    fn line(&mut self, from: usize, to: usize, ended: bool) -> Line<'_> {
        self.number += 1;
        let text = &self.buffer[from..to];
        Line { text: text.strip_suffix(b"\r").unwrap_or(text), number: self.number, ended }
    }

    fn fill(&mut self) {
        if !self.held && self.start > 0 {
            self.buffer.copy_within(self.start..self.filled, 0);
            self.searched -= self.start;
            self.filled -= self.start;
            self.start = 0;
        }
        // Room that was made once is not made again.
        if self.buffer.len() < self.filled + CHUNK {
            self.buffer.resize(self.filled + CHUNK, 0);
        }
        let room = self.filled..self.filled + CHUNK;
        let read = loop {
            match self.input.read(&mut self.buffer[room.clone()]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => break done,
            }
        };
        self.filled += read.as_ref().map_or(0, |read| *read);
        match read {
            Ok(0) => self.ended = true,
            Ok(_) => {}
            Err(error) => (self.ended, self.failure) = (true, Some(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(lines: &mut Lines) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            match lines.next_line() {
                Ok(Some(line)) => all.push(format!(
                    "{}{} {}",
                    line.number,
                    if line.ended { "" } else { "?" },
                    String::from_utf8_lossy(line.text)
                )),
                Ok(None) => return all,
                Err(error) => {
                    all.push(format!("error {:?}", error.kind()));
                    return all;
                }
            }
        }
    }

    #[test]
    fn lines_with_any_end() {
        let mut lines = Lines::new(Box::new(&b"a\r\n\nb\nlast"[..]));
        assert_eq!(texts(&mut lines), ["1 a", "2 ", "3 b", "4? last"]);
        assert_eq!(texts(&mut Lines::new(Box::new(io::empty()))), [""; 0]);
    }

    #[test]
    fn held_lines_can_be_read_again() {
        let mut lines = Lines::new(Box::new(&b"a\nb\n"[..]));
        lines.hold();
        assert_eq!(texts(&mut lines), ["1 a", "2 b"]);
        lines.rewind(false);
        assert_eq!(lines.next_line().unwrap().unwrap().number, 1);
        lines.rewind(true);
        assert_eq!(texts(&mut lines), ["1 a", "2 b"]);
    }

    #[test]
    fn a_long_file_keeps_little_in_memory() {
        let text = "0123456789\n".repeat(200_000);
        let len = text.len();
        let mut lines = Lines::new(Box::new(io::Cursor::new(text.into_bytes())));
        assert_eq!(texts(&mut lines).len(), len / 11);
        assert!(lines.buffer.capacity() < 4 * CHUNK);
    }

    #[test]
    fn compressed_input_is_inflated_and_its_damage_comes_after_the_whole_lines() {
        let text = (0..50_000).map(|at| format!("line {at}\n")).collect::<String>();
        let zst = zstd::encode_all(text.as_bytes(), 1).unwrap();
        let whole = texts(&mut Lines::new(inflated(Box::new(io::Cursor::new(zst.clone()))).unwrap()));
        assert_eq!(whole.len(), 50_000);
        let cut = zst[..zst.len() / 2].to_vec();
        let cut = texts(&mut Lines::new(inflated(Box::new(io::Cursor::new(cut))).unwrap()));
        assert_eq!(cut.last().unwrap(), "error UnexpectedEof");
        assert_eq!(cut[..cut.len() - 1], whole[..cut.len() - 1]);
    }
}
