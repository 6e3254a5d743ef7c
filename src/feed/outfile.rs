//! A file being written: compressed by its name, there under that name only when it is whole.

use std::fs::{self, File};
use std::io::{self, BufWriter, Stdout, Write};
use std::path::{Path, PathBuf};

/// Writes beside its target and takes its name at [`finish`](Self::finish); dropped before that, nothing is left.
///
/// `.zst` and `.gz` compress; `-` is standard output.
pub struct OutFile {
    sink: Sink,
    /// Where it is written and what it becomes; `None` for standard output.
    place: Option<(PathBuf, PathBuf)>,
}

enum Sink {
    Stdout(BufWriter<Stdout>),
    Plain(BufWriter<File>),
    Gzip(flate2::write::GzEncoder<BufWriter<File>>),
    Zstd(zstd::Encoder<'static, BufWriter<File>>),
    Closed,
}

impl OutFile {
    /// Starts a file that will be at `path`.
    pub fn create(path: &Path) -> io::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self { sink: Sink::Stdout(BufWriter::new(io::stdout())), place: None });
        }
        let name = path.file_name().ok_or_else(|| io::Error::other("names no file"))?.to_string_lossy();
        let part = path.with_file_name(format!(".{name}.{}.part", std::process::id()));
        let file = BufWriter::with_capacity(1 << 16, File::create(&part)?);
        // From here on, what goes wrong takes the part away.
        let mut out = Self { sink: Sink::Closed, place: Some((part, path.to_owned())) };
        out.sink = if name.ends_with(".gz") {
            Sink::Gzip(flate2::write::GzEncoder::new(file, flate2::Compression::default()))
        } else if name.ends_with(".zst") {
            Sink::Zstd(zstd::Encoder::new(file, 3)?)
        } else {
            Sink::Plain(file)
        };
        Ok(out)
    }

    /// Writes what is left and gives the file its name.
    pub fn finish(mut self) -> io::Result<()> {
        let file = match std::mem::replace(&mut self.sink, Sink::Closed) {
            Sink::Stdout(mut out) => return out.flush(),
            Sink::Plain(out) => out,
            Sink::Gzip(out) => out.finish()?,
            Sink::Zstd(out) => out.finish()?,
            Sink::Closed => return Ok(()),
        };
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        if let Some((part, path)) = &self.place {
            fs::rename(part, path)?;
        }
        self.place = None;
        Ok(())
    }
}

impl Write for OutFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.sink {
            Sink::Stdout(out) => out.write(bytes),
            Sink::Plain(out) => out.write(bytes),
            Sink::Gzip(out) => out.write(bytes),
            Sink::Zstd(out) => out.write(bytes),
            Sink::Closed => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.sink {
            Sink::Stdout(out) => out.flush(),
            Sink::Plain(out) => out.flush(),
            Sink::Gzip(out) => out.flush(),
            Sink::Zstd(out) => out.flush(),
            Sink::Closed => Ok(()),
        }
    }
}

impl Drop for OutFile {
    fn drop(&mut self) {
        self.sink = Sink::Closed;
        if let Some((part, _)) = &self.place {
            // Best effort: there is nobody left to tell.
            let _ = fs::remove_file(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_there_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.txt");
        let mut out = OutFile::create(&path).unwrap();
        out.write_all(b"half").unwrap();
        drop(out);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        let mut out = OutFile::create(&path).unwrap();
        out.write_all(b"whole").unwrap();
        assert!(!path.exists());
        out.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_impossible_place_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert!(OutFile::create(&dir.path().join("no/such/out")).is_err());
        assert!(OutFile::create(Path::new("/")).is_err());
    }
}
