//! A file in one reused buffer: rows to be parsed in place, and records of the csv parser for the odd ones.

use std::io::{self, ErrorKind, Read};

use csv_core::ReadRecordResult;

/// Bytes that the buffer holds. Between 64 KB and 1 MB the size does not matter.
const CAPACITY: usize = 256 * 1024;
/// The longest row; what is longer is no row.
const MAX_ROW: usize = 64 * 1024;
/// The most columns.
const MAX_COLUMNS: usize = 256;
/// Bytes that a row parsed in place may take at most.
pub(super) const WINDOW: usize = 256;

/// The rows of a file.
pub(super) struct Lines {
    input: Box<dyn Read + Send>,
    /// [`CAPACITY`] bytes of file, and a window's worth of room behind them so that a window is always whole.
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    done: bool,
    failure: Option<io::Error>,
    /// The line that the next byte is on, from 1.
    line: u64,
    core: csv_core::Reader,
    record: Record,
}

/// The fields of a record, unquoted.
pub(super) struct Record {
    text: Box<[u8]>,
    ends: Box<[usize]>,
    len: usize,
}

/// What the csv parser found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A record that begins on this line; its fields are in [`Lines::fields`].
    Record(u64),
    /// A row on this line that is too long, or has too many columns. It was skipped to the end of its line.
    TooLong(u64),
    /// The end of the file.
    End,
}

impl Lines {
    pub(super) fn new(input: Box<dyn Read + Send>) -> Self {
        Self {
            input,
            buffer: vec![0; CAPACITY + WINDOW].into(),
            start: 0,
            end: 0,
            done: false,
            failure: None,
            line: 1,
            core: csv_core::Reader::new(),
            record: Record::new(),
        }
    }

    /// The next bytes of the file and then whatever the buffer holds, and how many of them count: all, or fewer at the
    /// end of the file.
    #[inline]
    pub(super) fn window(&mut self) -> Option<(&[u8; WINDOW], usize)> {
        if self.end - self.start < WINDOW && !self.done {
            self.fill(WINDOW);
        }
        Some((self.buffer.get(self.start..)?.first_chunk()?, self.end - self.start))
    }

    /// Leaves a row of `len` bytes behind, whose last byte is its only line feed, and says on which line it was.
    #[inline]
    pub(super) fn consume_line(&mut self, len: usize) -> u64 {
        self.start += len;
        self.line += 1;
        self.line - 1
    }

    /// The fields of the record found last.
    pub(super) fn fields(&self) -> &Record {
        &self.record
    }

    /// What stopped the file before its end.
    pub(super) fn take_failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }

    /// Reads the next record with the csv parser.
    pub(super) fn record(&mut self) -> Found {
        let mut used = 0;
        let (mut text, mut ends) = (0, 0);
        loop {
            if self.start + used == self.end && !self.done {
                self.fill(used + 1);
            }
            let (result, read, written, ended) = self.core.read_record(
                &self.buffer[self.start + used..self.end],
                &mut self.record.text[text..],
                &mut self.record.ends[ends..],
            );
            used += read;
            text += written;
            ends += ended;
            match result {
                ReadRecordResult::InputEmpty if used <= MAX_ROW => {}
                ReadRecordResult::Record => {
                    self.record.len = ends;
                    return Found::Record(self.leave(used));
                }
                ReadRecordResult::End => {
                    self.leave(used);
                    return Found::End;
                }
                _ => return self.skip_line(),
            }
        }
    }

    /// Calls `visit` with up to `rows` records ahead, which stay to be read. Only what fits the buffer is seen.
    pub(super) fn peek(&mut self, rows: u64, mut visit: impl FnMut(&Record)) {
        self.fill(CAPACITY);
        let mut core = csv_core::Reader::new();
        let mut record = Record::new();
        let mut at = self.start;
        for _ in 0..rows {
            let ahead = &self.buffer[at..self.end];
            let (mut found, read, text, mut ends) =
                core.read_record(ahead, &mut record.text, &mut record.ends);
            at += read;
            if matches!(found, ReadRecordResult::InputEmpty) && self.done {
                // The last row may lack its line feed: say that the file ends here.
                let rest = core.read_record(&[], &mut record.text[text..], &mut record.ends[ends..]);
                found = rest.0;
                ends += rest.3;
            }
            if !matches!(found, ReadRecordResult::Record) {
                break;
            }
            record.len = ends;
            visit(&record);
        }
    }

    /// Brings `want` bytes into the buffer, as far as the file and the buffer have them.
    #[cold]
    fn fill(&mut self, want: usize) {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        while self.end < want.min(CAPACITY) && !self.done {
            match self.input.read(&mut self.buffer[self.end..CAPACITY]) {
                Ok(0) => self.done = true,
                Ok(read) => self.end += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => (self.done, self.failure) = (true, Some(error)),
            }
        }
    }

    /// Moves behind `used` bytes and says on which line the record in them began.
    fn leave(&mut self, used: usize) -> u64 {
        let bytes = &self.buffer[self.start..self.start + used];
        let blank = bytes
            .iter()
            .take_while(|byte| matches!(byte, b'\n' | b'\r'))
            .filter(|byte| **byte == b'\n')
            .count();
        let began = self.line + blank as u64;
        self.line += memchr::memchr_iter(b'\n', bytes).count() as u64;
        self.start += used;
        began
    }

    /// Gives a row up: goes behind the next line feed.
    fn skip_line(&mut self) -> Found {
        self.core.reset();
        let blank =
            self.buffer[self.start..self.end].iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
        let began = self.leave(blank);
        loop {
            if let Some(at) = memchr::memchr(b'\n', &self.buffer[self.start..self.end]) {
                self.consume_line(at + 1);
                return Found::TooLong(began);
            }
            self.start = self.end;
            if self.done {
                return Found::TooLong(began);
            }
            self.fill(1);
        }
    }
}

impl Record {
    fn new() -> Self {
        Self { text: vec![0; MAX_ROW].into(), ends: vec![0; MAX_COLUMNS].into(), len: 0 }
    }

    /// How many fields.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// A field; empty where there is none.
    pub(super) fn get(&self, index: usize) -> &[u8] {
        let end = self.ends[..self.len].get(index).copied().unwrap_or(0);
        let start = index.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.text.get(start..end).unwrap_or_default()
    }

    /// All fields.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len).map(|index| self.get(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8]) -> Lines {
        Lines::new(Box::new(io::Cursor::new(text.to_vec())))
    }

    fn all(mut lines: Lines) -> Vec<(Found, Vec<String>)> {
        let mut found = Vec::new();
        loop {
            let next = lines.record();
            if next == Found::End {
                return found;
            }
            let fields =
                lines.fields().iter().map(|field| String::from_utf8_lossy(field).into_owned()).collect();
            found.push((next, if matches!(next, Found::Record(_)) { fields } else { Vec::new() }));
        }
    }

    #[test]
    fn records_know_their_lines() {
        let found = all(lines(b"a,b\r\n\n1,\"x\ny\"\n3,4"));
        assert_eq!(found[0], (Found::Record(1), vec!["a".into(), "b".into()]));
        assert_eq!(found[1], (Found::Record(3), vec!["1".into(), "x\ny".into()]));
        assert_eq!(found[2], (Found::Record(5), vec!["3".into(), "4".into()]));
    }

    #[test]
    fn a_row_that_never_ends_is_skipped() {
        let text =
            [b"a,b\n".to_vec(), vec![b'x'; 3 * CAPACITY], b"\n1,2\n\"".to_vec(), vec![0; 2 * CAPACITY]]
                .concat();
        let found = all(lines(&text));
        let kinds: Vec<Found> = found.iter().map(|(found, _)| *found).collect();
        assert_eq!(kinds, [Found::Record(1), Found::TooLong(2), Found::Record(3), Found::TooLong(4)]);
        let wide = all(lines(",".repeat(1000).as_bytes()));
        assert_eq!(wide[0].0, Found::TooLong(1));
    }

    #[test]
    fn peeking_reads_nothing() {
        let mut lines = lines(b"1,2\n3,4");
        let mut seen = Vec::new();
        lines.peek(10, |record| seen.push(record.get(1).to_vec()));
        assert_eq!(seen, [b"2".to_vec(), b"4".to_vec()]);
        assert_eq!(lines.record(), Found::Record(1));
    }
}
