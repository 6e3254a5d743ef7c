//! Who reads a live market: the books as a reader has them, and whether it may believe them.

use papertape::feed::live::LiveSource;
use papertape::market::{GroupKind, MarketEvent, Source};

use crate::exchange::{Levels, hash, key};

/// The books of a reader.
#[derive(Default)]
pub struct Watcher {
    pub books: Vec<Levels>,
    pub trusted: Vec<bool>,
    pub prints: usize,
    pub halts: usize,
}

impl Watcher {
    /// Takes what there is.
    pub fn drain(&mut self, source: &mut LiveSource) {
        while source.advance().unwrap().is_some() {
            let group = source.group();
            let at = group.instrument.index();
            if self.books.len() <= at {
                self.books.resize_with(at + 1, Levels::new);
                self.trusted.resize(at + 1, false);
            }
            let book = &mut self.books[at];
            if group.kind == GroupKind::Snapshot {
                book.clear();
                self.trusted[at] = true;
            }
            for event in group.events {
                match *event {
                    MarketEvent::Level { side, price, qty } if qty.is_zero() => {
                        book.remove(&key(side, price));
                    }
                    MarketEvent::Level { side, price, qty } => {
                        book.insert(key(side, price), qty);
                    }
                    MarketEvent::Distrust => self.trusted[at] = false,
                    MarketEvent::Trade(_) => self.prints += 1,
                    MarketEvent::Trading(false) => self.halts += 1,
                    _ => {}
                }
            }
        }
    }

    /// The state of a book that may be believed.
    pub fn state(&self, at: usize) -> Option<u64> {
        self.trusted.get(at).copied().unwrap_or(false).then(|| hash(&self.books[at]))
    }
}
