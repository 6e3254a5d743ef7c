//! What a source has to say besides its events, kept short: the first few warnings, and how many there were.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A bounded list of warnings that several sources write to. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Warnings(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    first: Vec<String>,
    count: u64,
}

impl Warnings {
    /// How many are kept in words.
    pub const KEPT: usize = 20;

    /// Adds one. It is put into words only where there is still room.
    pub fn add(&self, words: impl FnOnce() -> String) {
        let mut inner = self.lock();
        inner.count += 1;
        if inner.first.len() < Self::KEPT {
            inner.first.push(words());
        }
    }

    /// Counts some that nobody has put into words.
    pub fn more(&self, count: u64) {
        self.lock().count += count;
    }

    /// The first ones.
    pub fn first(&self) -> Vec<String> {
        self.lock().first.clone()
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.lock().count
    }

    /// Tells standard error the first ones, and how many more there were.
    pub fn tell(&self) {
        let inner = self.lock();
        inner.first.iter().for_each(|words| eprintln!("warning: {words}"));
        let more = inner.count.saturating_sub(inner.first.len() as u64);
        if more > 0 {
            eprintln!("warning: {more} more like these");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_are_kept_and_all_are_counted() {
        let warnings = Warnings::default();
        for index in 0..100 {
            warnings.clone().add(|| index.to_string());
        }
        assert_eq!((warnings.count(), warnings.first().len()), (100, Warnings::KEPT));
        assert_eq!(warnings.first()[0], "0");
    }
}
