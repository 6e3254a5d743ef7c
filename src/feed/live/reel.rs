//! The recorder: raw frames of live sockets, both ways, as tapes.
//!
//! Lines are whole up to the last flush, once a second: what a kill leaves behind can be read. A file has its name from
//! the start, and never replaces another. Where a recording begins, or goes on in the next file, the sockets ask for
//! every book anew, so that each file stands for itself.
//! Never here: decoding. Start at [`Reel`].

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::feed::tape::{Direction, TapeHeader, TapeLines};
use crate::market::{Timestamp, parse_duration};
use crate::venue::Frame;

/// Lines are handed to the system so often.
const FLUSH: Duration = Duration::from_secs(1);

/// When a recording goes on in the next file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rotate {
    /// Never.
    #[default]
    Never,
    /// After so much time.
    Every(Duration),
    /// After so many bytes, as they were before compression.
    Bytes(u64),
}

impl std::str::FromStr for Rotate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let units = [("GB", 1_000_000_000), ("MB", 1_000_000), ("KB", 1_000)];
        if let Some((number, size)) =
            units.iter().find_map(|(unit, size)| Some((text.strip_suffix(unit)?, size)))
        {
            let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*size));
            return bytes.filter(|bytes| *bytes > 0).map(Self::Bytes).ok_or_else(|| bad(text));
        }
        parse_duration(text).filter(|time| !time.is_zero()).map(Self::Every).ok_or_else(|| bad(text))
    }
}

fn bad(text: &str) -> String {
    format!("neither a time nor a size: {text:?} (as in 1h or 100MB)")
}

/// What a recording has become.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// The files, in order.
    pub files: Vec<PathBuf>,
    /// The frames that came in.
    pub frames: u64,
}

/// A recording that is being made.
pub struct Recorder {
    header: TapeHeader,
    path: PathBuf,
    rotate: Rotate,
    sink: Sink,
    lines: TapeLines,
    begun: Timestamp,
    flushed: Timestamp,
    bytes: u64,
    connections: BTreeMap<u64, String>,
    done: Recorded,
    failed: Option<String>,
}

enum Sink {
    Plain(BufWriter<File>),
    Gzip(flate2::write::GzEncoder<BufWriter<File>>),
    Zstd(zstd::Encoder<'static, BufWriter<File>>),
    Closed,
}

impl Sink {
    fn create(path: &Path) -> io::Result<Self> {
        let file = BufWriter::new(OpenOptions::new().write(true).create_new(true).open(path)?);
        let name = path.to_string_lossy();
        Ok(if name.ends_with(".gz") {
            Self::Gzip(flate2::write::GzEncoder::new(file, flate2::Compression::default()))
        } else if name.ends_with(".zst") {
            Self::Zstd(zstd::Encoder::new(file, 3)?)
        } else {
            Self::Plain(file)
        })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(out) => out.write_all(bytes),
            Self::Gzip(out) => out.write_all(bytes),
            Self::Zstd(out) => out.write_all(bytes),
            Self::Closed => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(out) => out.flush(),
            Self::Gzip(out) => out.flush(),
            Self::Zstd(out) => out.flush(),
            Self::Closed => Ok(()),
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        let file = match std::mem::replace(self, Self::Closed) {
            Self::Plain(out) => out,
            Self::Gzip(out) => out.finish()?,
            Self::Zstd(out) => out.finish()?,
            Self::Closed => return Ok(()),
        };
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    }
}

impl Recorder {
    /// Starts a tape at `path` (compressed by its name), which must not be there yet.
    pub fn create(path: &Path, header: TapeHeader, rotate: Rotate, now: Timestamp) -> io::Result<Self> {
        let mut recorder = Self {
            header: TapeHeader { start: Some(now), ..header },
            path: path.to_owned(),
            rotate,
            sink: Sink::create(path)?,
            lines: TapeLines::default(),
            begun: now,
            flushed: now,
            bytes: 0,
            connections: BTreeMap::new(),
            done: Recorded { files: vec![path.to_owned()], frames: 0 },
            failed: None,
        };
        recorder.begin()?;
        Ok(recorder)
    }

    /// The header, and the connections that are open.
    fn begin(&mut self) -> io::Result<()> {
        let header = self.lines.header(&self.header);
        self.sink.write(header)?;
        for (connection, url) in &self.connections {
            self.sink.write(self.lines.open(self.begun, *connection, url))?;
        }
        self.sink.flush()
    }

    /// Goes on in the next file: `tape.jsonl.zst`, `tape.2.jsonl.zst`, …
    fn next_file(&mut self, now: Timestamp) -> io::Result<()> {
        self.sink.finish()?;
        let next = numbered(&self.path, self.done.files.len() + 1);
        self.sink = Sink::create(&next)?;
        self.done.files.push(next);
        (self.begun, self.flushed, self.bytes) = (now, now, 0);
        self.header.start = Some(now);
        self.begin()
    }

    fn is_full(&self, now: Timestamp) -> bool {
        match self.rotate {
            Rotate::Never => false,
            Rotate::Every(time) => now >= self.begun.plus(time),
            Rotate::Bytes(bytes) => self.bytes >= bytes,
        }
    }

    /// Writes; the first failure ends the recording and is kept.
    fn attempt(&mut self, write: impl FnOnce(&mut Self) -> io::Result<()>) {
        if self.failed.is_none()
            && let Err(error) = write(self)
        {
            let file = self.done.files.last().unwrap_or(&self.path);
            self.failed = Some(format!("{}: {error}", file.display()));
        }
    }

    fn frame(&mut self, now: Timestamp, connection: u64, way: Direction, frame: Frame<'_>) {
        self.done.frames += u64::from(way == Direction::In);
        self.attempt(|own| {
            let line = own.lines.frame(now, connection, way, frame)?;
            own.bytes += line.len() as u64;
            own.sink.write(line)
        });
    }
}

/// `tape.jsonl.zst` as `tape.2.jsonl.zst`.
fn numbered(path: &Path, number: usize) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let at = name.find('.').filter(|at| *at > 0).unwrap_or(name.len());
    path.with_file_name(format!("{}.{number}{}", &name[..at], &name[at..]))
}

/// Where the sockets of a feed record to, if anything is recorded. Clones share it.
#[derive(Clone, Default)]
pub struct Reel {
    recorder: Arc<Mutex<Option<Recorder>>>,
    /// Whether there is a recorder: most of the time there is none, and nothing is locked.
    active: Arc<AtomicBool>,
    generation: Arc<AtomicU64>,
    /// The sockets that are open.
    connections: Arc<Mutex<BTreeMap<u64, String>>>,
}

impl Reel {
    fn lock(&self) -> MutexGuard<'_, Option<Recorder>> {
        self.recorder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_now(&self) -> MutexGuard<'_, BTreeMap<u64, String>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to record.
    pub fn start(&self, mut recorder: Recorder) -> io::Result<()> {
        recorder.connections = self.open_now().clone();
        for (connection, url) in &recorder.connections {
            recorder.sink.write(recorder.lines.open(recorder.begun, *connection, url))?;
        }
        *self.lock() = Some(recorder);
        self.active.store(true, Ordering::Release);
        self.generation.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Ends the recording; `None` where there is none.
    pub fn stop(&self) -> Option<Result<Recorded, String>> {
        let mut recorder = self.lock().take()?;
        self.active.store(false, Ordering::Release);
        recorder.attempt(|own| own.sink.finish());
        let done = std::mem::take(&mut recorder.done);
        Some(recorder.failed.take().map_or(Ok(done), Err))
    }

    /// Whether something is recorded, and what went wrong with it.
    pub fn state(&self) -> Option<Result<Recorded, String>> {
        let recorder = self.lock();
        let recorder = recorder.as_ref()?;
        Some(recorder.failed.clone().map_or_else(|| Ok(recorder.done.clone()), Err))
    }

    /// Counts the files that were begun: with each, books are told from their start.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// A socket is open.
    pub(super) fn open(&self, now: Timestamp, connection: u64, url: &str) {
        self.open_now().insert(connection, url.to_owned());
        if let Some(recorder) = self.lock().as_mut() {
            recorder.connections.insert(connection, url.to_owned());
            recorder.attempt(|own| own.sink.write(own.lines.open(now, connection, url)));
        }
    }

    /// A frame goes over a socket.
    pub(super) fn frame(&self, now: Timestamp, connection: u64, way: Direction, frame: Frame<'_>) {
        if !self.active.load(Ordering::Acquire) {
            return;
        }
        if let Some(recorder) = self.lock().as_mut() {
            if recorder.is_full(now) {
                recorder.attempt(|own| own.next_file(now));
                self.generation.fetch_add(1, Ordering::Relaxed);
            }
            recorder.frame(now, connection, way, frame);
        }
    }

    /// A socket is gone: nothing may come for a while.
    pub(super) fn flush(&self) {
        if let Some(recorder) = self.lock().as_mut() {
            recorder.attempt(|own| own.sink.flush());
        }
    }

    /// Time has passed.
    pub(super) fn tick(&self, now: Timestamp) {
        if !self.active.load(Ordering::Acquire) {
            return;
        }
        if let Some(recorder) = self.lock().as_mut()
            && now >= recorder.flushed.plus(FLUSH)
        {
            recorder.flushed = now;
            recorder.attempt(|own| own.sink.flush());
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // Whoever wants to know of a failure has called `stop`.
        let _ = self.sink.finish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> TapeHeader {
        TapeHeader {
            venue: "hitbtc".to_owned(),
            connector: "hitbtc_paper_trade".to_owned(),
            pairs: Vec::new(),
            start: None,
            version: crate::feed::tape::VERSION,
            instruments: Vec::new(),
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    #[test]
    fn rotations_as_typed() {
        for (text, want) in [
            ("1h", Ok(Rotate::Every(Duration::from_secs(3_600)))),
            ("100MB", Ok(Rotate::Bytes(100_000_000))),
            ("2KB", Ok(Rotate::Bytes(2_000))),
            ("0MB", Err(bad("0MB"))),
            ("0s", Err(bad("0s"))),
            ("soon", Err(bad("soon"))),
        ] {
            assert_eq!(text.parse(), want, "{text}");
        }
        assert_eq!(numbered(Path::new("a/t.jsonl.zst"), 2), Path::new("a/t.2.jsonl.zst"));
        assert_eq!(numbered(Path::new("t"), 3), Path::new("t.3"));
    }

    #[test]
    fn files_follow_each_other_and_replace_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.jsonl");
        let reel = Reel::default();
        reel.open(at(0), 0, "ws://a");
        reel.frame(at(0), 0, Direction::In, Frame::Text("before"));
        let rotate = Rotate::Every(Duration::from_secs(10));
        reel.start(Recorder::create(&path, header(), rotate, at(1)).unwrap()).unwrap();
        reel.frame(at(2), 0, Direction::Out, Frame::Text("ping"));
        reel.frame(at(3), 0, Direction::In, Frame::Binary(&[0, 1, 2]));
        reel.tick(at(4));
        let text = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        // On the disk before it ends.
        assert_eq!(text("t.jsonl").lines().count(), 4);
        reel.frame(at(11), 0, Direction::In, Frame::Text("next"));
        assert_eq!(reel.generation(), 2);
        reel.open(at(12), 0, "ws://a");
        let done = reel.stop().unwrap().unwrap();
        assert_eq!((done.files.len(), done.frames), (2, 2));
        assert_eq!(
            text("t.jsonl").lines().skip(1).collect::<Vec<_>>(),
            [
                r#"{"t":1000000000,"c":0,"d":"open","x":"ws://a"}"#,
                r#"{"t":2000000000,"c":0,"d":"out","x":"ping"}"#,
                r#"{"t":3000000000,"c":0,"d":"in","b":"AAEC"}"#,
            ]
        );
        assert!(text("t.2.jsonl").starts_with(r#"{"venue":"hitbtc""#));
        assert_eq!(
            text("t.2.jsonl").lines().skip(1).collect::<Vec<_>>(),
            [
                r#"{"t":11000000000,"c":0,"d":"open","x":"ws://a"}"#,
                r#"{"t":11000000000,"c":0,"d":"in","x":"next"}"#,
                r#"{"t":12000000000,"c":0,"d":"open","x":"ws://a"}"#,
            ]
        );
        assert!(Recorder::create(&path, header(), Rotate::Never, at(1)).is_err());
        assert!(reel.stop().is_none());
    }
}
