//! Watches the bytes of files as they are read: how many of how many, and the hash of their contents.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use xxhash_rust::xxh3::Xxh3;

use super::lines::Input;

/// Watches all files that are opened with it. Clones share it.
#[derive(Clone, Default)]
pub struct Gauge(Arc<Mutex<Vec<Arc<Watched>>>>);

struct Watched {
    file: PathBuf,
    /// The file's size; `None` for standard input.
    size: Option<u64>,
    read: AtomicU64,
    hash: Mutex<Xxh3>,
}

/// What a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Its name without folders.
    pub name: String,
    /// XXH3 (64 bit) of its bytes as they lie on the disk; `None` for standard input.
    pub hash: Option<u64>,
}

impl Gauge {
    /// The input, watched.
    pub fn watch(&self, file: &Path, input: Input) -> Input {
        let size = std::fs::metadata(file).ok().filter(std::fs::Metadata::is_file).map(|file| file.len());
        let (read, hash) = (AtomicU64::new(0), Mutex::new(Xxh3::new()));
        let watched = Arc::new(Watched { file: file.to_owned(), size, read, hash });
        lock(&self.0).push(Arc::clone(&watched));
        Box::new(Tapped { input, watched })
    }

    /// How many bytes have been read.
    pub fn read(&self) -> u64 {
        lock(&self.0).iter().map(|watched| watched.read.load(Ordering::Relaxed)).sum()
    }

    /// How many bytes there are; `None` where that is not known.
    pub fn size(&self) -> Option<u64> {
        lock(&self.0).iter().map(|watched| watched.size).sum()
    }

    /// What the files hold, in the order of opening. What was not read to its end is read now.
    pub fn contents(&self) -> io::Result<Vec<Content>> {
        lock(&self.0).iter().map(|watched| watched.content()).collect()
    }
}

impl std::fmt::Debug for Gauge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gauge({} bytes read)", self.read())
    }
}

impl Watched {
    fn content(&self) -> io::Result<Content> {
        let name = self.file.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_else(|| self.file.display().to_string());
        let Some(size) = self.size else { return Ok(Content { name, hash: None }) };
        if self.read.load(Ordering::Relaxed) == size {
            return Ok(Content { name, hash: Some(lock(&self.hash).digest()) });
        }
        let (mut file, mut hash) = (File::open(&self.file)?, Xxh3::new());
        let mut buffer = vec![0; 1 << 18];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(Content { name, hash: Some(hash.digest()) }),
                read => hash.update(buffer.get(..read).unwrap_or_default()),
            }
        }
    }
}

struct Tapped {
    input: Input,
    watched: Arc<Watched>,
}

impl Read for Tapped {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        lock(&self.watched.hash).update(buffer.get(..read).unwrap_or_default());
        self.watched.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_one_hash_however_much_of_it_was_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rows.csv");
        let text = b"one,two\n1,2\n".repeat(100_000);
        std::fs::write(&file, &text).unwrap();
        let hashes = [0, 10, usize::MAX].map(|most| {
            let gauge = Gauge::default();
            let input = gauge.watch(&file, crate::feed::lines::raw(&file).unwrap());
            let read = io::copy(&mut input.take(most as u64), &mut io::sink()).unwrap();
            assert_eq!((gauge.read(), gauge.size()), (read, Some(text.len() as u64)));
            gauge.contents().unwrap()
        });
        let want = Content { name: "rows.csv".into(), hash: Some(xxhash_rust::xxh3::xxh3_64(&text)) };
        assert!(hashes.iter().all(|contents| contents == std::slice::from_ref(&want)));
    }
}
