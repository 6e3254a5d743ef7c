//! One side of a book: a map from price to a non-zero integer that knows its best price at once.
//!
//! Nearly all updates are near the touch, so the ticks there lie in a flat *window*: a value a tick, a bit a tick, a
//! bit a page of 64 ticks. The best price is two counts of trailing zeros; ticks are never walked. What is not in the
//! window (far levels, prices off the grid, all of a small side) lies in [`Blocks`], sorted blocks under a sorted index.
//! No order holds between the two: either may have the best price, and whoever reads compares.
//!
//! Prices are kept as *keys*, mirrored for bids, so that the lower key is the better price on both sides and each
//! rule is written once. Any `i64` is a valid price.
//!
//! Start at [`Ladder::set`]; [`Grid::index`] says how a price finds its tick without a division or a range check.

use std::fmt;

use super::{Price, Side};

/// One side of a book: prices to non-zero integers, best price first.
///
/// ```
/// use papertape::market::{Ladder, Price, Side};
/// let mut bids = Ladder::new(Side::Buy, Price::from_units(5));
/// assert_eq!(bids.set(Price::from_units(845_430), 100), 0);
/// assert_eq!(bids.set(Price::from_units(845_425), 300), 0);
/// assert_eq!(bids.best(), Some((Price::from_units(845_430), 100)));
/// assert_eq!(bids.set(Price::from_units(845_430), 0), 100); // gone
/// assert_eq!(bids.best(), Some((Price::from_units(845_425), 300)));
/// ```
#[derive(Clone)]
pub struct Ladder {
    /// A price is its key XOR this: 0 for asks, -1 (all bits turned round) for bids.
    mirror: i64,
    grid: Grid,
    /// The window. Empty while the side is small.
    pages: Vec<Page>,
    /// Bit n: page n has a level.
    summary: u64,
    /// Levels in the window.
    near: usize,
    /// The levels outside the window.
    far: Blocks,
    /// The lowest key of `far`; `i64::MAX` where there is none.
    far_best: i64,
    tick: i64,
    /// Updates outside the window that a better placed one would have taken, since it was placed.
    misses: usize,
    /// So many are borne: a share of the levels that the last placing moved, so that a restless market pays for placing
    /// no more than a fixed price an update.
    patience: usize,
}

/// Ticks of a page: one word of bits.
const PAGE: usize = 64;
/// The widest window: one bit of the summary a page.
const PAGES_MAX: usize = 64;
/// The window of a side of few levels.
const PAGES_MIN: usize = 8;
/// From so many levels on a side gets the widest window.
const WIDE_FROM: usize = 48;
/// Up to so many levels need no window.
const SMALL: usize = 24;
/// The least patience.
const PATIENCE: usize = 64;
/// Beyond this a tick is taken for one unit: the widest window must stay far below the range of `i64`.
const TICK_MAX: i64 = 1 << 40;

/// 64 ticks of the window. A free tick has the value 0.
#[derive(Clone)]
struct Page {
    occupied: u64,
    values: [i64; PAGE],
}

impl Page {
    const EMPTY: Self = Self { occupied: 0, values: [0; PAGE] };
}

impl Ladder {
    /// An empty side. `step` is the tick; prices off that grid are fine, only slower.
    pub fn new(side: Side, step: Price) -> Self {
        let tick = if (1..=TICK_MAX).contains(&step.units()) { step.units() } else { 1 };
        Self {
            mirror: match side {
                Side::Buy => -1,
                Side::Sell => 0,
            },
            grid: Grid::new(0, tick),
            pages: Vec::new(),
            summary: 0,
            near: 0,
            far: Blocks::default(),
            far_best: i64::MAX,
            tick,
            misses: 0,
            patience: PATIENCE,
        }
    }

    /// Puts `value` at `price` (zero takes the level away) and returns what stood there (zero: nothing).
    #[inline]
    pub fn set(&mut self, price: Price, value: i64) -> i64 {
        let key = price.units() ^ self.mirror;
        let index = self.grid.index(key);
        // This one check asks three things: is there a window, is the price in it, is it on the grid.
        let number = page_of(index);
        let Some(page) = self.pages.get_mut(number) else {
            return self.set_far(key, value);
        };
        // No branch from here on: whether a level comes, changes or goes cannot be predicted.
        let slot = index as usize % PAGE;
        let before = std::mem::replace(&mut page.values[slot], value);
        page.occupied = page.occupied & !(1 << slot) | u64::from(value != 0) << slot;
        self.summary = self.summary & !(1 << number) | u64::from(page.occupied != 0) << number;
        self.near = self.near + usize::from(value != 0) - usize::from(before != 0);
        before
    }

    /// What stands at `price`; zero: nothing.
    #[inline]
    pub fn get(&self, price: Price) -> i64 {
        let key = price.units() ^ self.mirror;
        let index = self.grid.index(key);
        match self.pages.get(page_of(index)) {
            Some(page) => page.values[index as usize % PAGE],
            None => self.far.get(key),
        }
    }

    /// The best price and what stands there.
    #[inline]
    pub fn best(&self) -> Option<(Price, i64)> {
        let number = self.summary.trailing_zeros() as usize;
        if let Some(page) = self.pages.get(number) {
            let slot = page.occupied.trailing_zeros() as usize % PAGE;
            let key = self.grid.key(number * PAGE + slot);
            if key <= self.far_best {
                return Some((self.price(key), page.values[slot]));
            }
        }
        self.best_far()
    }

    /// The best price: cheaper than [`best`](Self::best), as the value is not read.
    #[inline]
    pub fn best_price(&self) -> Option<Price> {
        self.best().map(|(price, _)| price)
    }

    /// The worst price and what stands there.
    pub fn worst(&self) -> Option<(Price, i64)> {
        let number = (u64::BITS - 1).checked_sub(self.summary.leading_zeros());
        let near = number.map(|number| {
            let slot = u64::BITS - 1 - self.pages[number as usize].occupied.leading_zeros();
            self.level(number as usize * PAGE + slot as usize)
        });
        near.max(self.far.last()).map(|level| self.priced(level))
    }

    /// The next occupied price that is worse than `price`, and what stands there.
    #[inline]
    pub fn after(&self, price: Price) -> Option<(Price, i64)> {
        let key = price.units() ^ self.mirror;
        let near = self.near_after(key);
        let far = match near {
            Some((near, _)) if near <= self.far_best => None,
            _ => self.far.after(key),
        };
        lower(near, far).map(|level| self.priced(level))
    }

    /// All levels, best first.
    pub fn iter(&self) -> impl Iterator<Item = (Price, i64)> + '_ {
        let mut near = self.near_levels().peekable();
        let mut far = self.far.iter().peekable();
        std::iter::from_fn(move || match (near.peek(), far.peek()) {
            (Some((a, _)), Some((b, _))) if a > b => far.next(),
            (Some(_), _) => near.next(),
            (None, _) => far.next(),
        })
        .map(|level| self.priced(level))
    }

    /// All levels, worst first.
    pub fn iter_back(&self) -> impl Iterator<Item = (Price, i64)> + '_ {
        let page = move |number: usize| {
            ones_back(self.pages[number].occupied).map(move |slot| self.level(number * PAGE + slot))
        };
        let mut near = ones_back(self.summary).flat_map(page).peekable();
        let mut far = self.far.blocks.iter().rev().flat_map(|block| block.iter().rev().copied()).peekable();
        std::iter::from_fn(move || match (near.peek(), far.peek()) {
            (Some((a, _)), Some((b, _))) if a < b => far.next(),
            (Some(_), _) => near.next(),
            (None, _) => far.next(),
        })
        .map(|level| self.priced(level))
    }

    /// Shows the best `most` levels, best first: what [`iter`](Self::iter) yields, in one run through the window.
    pub fn visit(&self, most: usize, mut each: impl FnMut(Price, i64)) {
        let mut left = most;
        let mut far = self.far.iter();
        let mut next = far.next();
        for number in ones(self.summary) {
            for slot in ones(self.pages[number].occupied) {
                let (key, value) = self.level(number * PAGE + slot);
                while let Some((better, there)) = next.filter(|(better, _)| *better < key && left > 0) {
                    each(self.price(better), there);
                    (left, next) = (left - 1, far.next());
                }
                if left == 0 {
                    return;
                }
                each(self.price(key), value);
                left -= 1;
            }
        }
        next.into_iter().chain(far).take(left).for_each(|(key, value)| each(self.price(key), value));
    }

    /// How many levels.
    #[inline]
    pub fn len(&self) -> usize {
        self.near + self.far.len
    }

    /// Whether no level is there.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes all levels away; keeps the room.
    pub fn clear(&mut self) {
        for number in ones(self.summary) {
            self.pages[number] = Page::EMPTY;
        }
        (self.summary, self.near, self.misses) = (0, 0, 0);
        self.far.clear();
        self.far_best = i64::MAX;
    }

    /// The bytes that it holds outside of itself, free room included.
    pub fn heap_bytes(&self) -> usize {
        self.pages.capacity() * size_of::<Page>() + self.far.heap_bytes()
    }

    fn price(&self, key: i64) -> Price {
        Price::from_units(key ^ self.mirror)
    }

    fn priced(&self, (key, value): (i64, i64)) -> (Price, i64) {
        (self.price(key), value)
    }

    /// The level at a tick of the window.
    fn level(&self, index: usize) -> (i64, i64) {
        (self.grid.key(index), self.pages[index / PAGE].values[index % PAGE])
    }

    fn near_levels(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        let page = move |number: usize| {
            ones(self.pages[number].occupied).map(move |slot| self.level(number * PAGE + slot))
        };
        ones(self.summary).flat_map(page)
    }

    /// The first level of the window with a key above this.
    #[inline]
    fn near_after(&self, key: i64) -> Option<(i64, i64)> {
        let mut from = self.grid.index(key);
        if page_of(from) >= self.pages.len() {
            from = if key < self.grid.base { return self.near_levels().next() } else { self.grid.floor(key) };
        }
        let number = page_of(from);
        // Shifted twice, as a shift by 64 is none.
        let rest = self.pages.get(number)?.occupied & (!0 << (from % PAGE as u64) << 1);
        if rest != 0 {
            return Some(self.level(number * PAGE + rest.trailing_zeros() as usize));
        }
        let number = (self.summary & (!0 << number << 1)).trailing_zeros() as usize;
        let slot = self.pages.get(number)?.occupied.trailing_zeros() as usize;
        Some(self.level(number * PAGE + slot))
    }

    /// The best where the window is empty or has not the best.
    fn best_far(&self) -> Option<(Price, i64)> {
        self.far.first().map(|level| self.priced(level))
    }

    #[inline(never)]
    fn set_far(&mut self, key: i64, value: i64) -> i64 {
        let before = self.far.set(key, value);
        self.far_best = self.far.first_key();
        if self.far.len > SMALL {
            self.reconsider(key);
        }
        before
    }

    /// Counts an update outside the window, and moves the window where that has happened too often.
    fn reconsider(&mut self, key: i64) {
        let Some(best) = self.best_price().map(|price| price.units() ^ self.mirror) else { return };
        // What stands this near the touch is in the window whenever it has just been placed.
        let reach = self.grid.step.unsigned_abs() * ticks_ahead(self.wanted_pages()) as u64;
        self.misses += usize::from(key.abs_diff(best) < reach);
        if self.misses > self.patience || self.pages.is_empty() {
            self.place_window(best);
        }
    }

    /// A window once widened stays wide: growing and shrinking by turns would cost more than the room.
    fn wanted_pages(&self) -> usize {
        if self.len() >= WIDE_FROM { PAGES_MAX } else { PAGES_MIN.max(self.pages.len()) }
    }

    /// Places the window around the touch: a quarter of it ahead of the best price, the rest behind.
    #[cold]
    fn place_window(&mut self, best: i64) {
        self.misses = 0;
        let pages = self.wanted_pages();
        let step = self.step_near(best, pages);
        let grid = Grid::around(best, step, pages, self.mirror);
        let drift = self.grid.base.abs_diff(grid.base) / step.unsigned_abs();
        if pages == self.pages.len() && step == self.grid.step && drift < ticks_ahead(pages) as u64 / 2 {
            return; // it is where it should be
        }
        let mut moved = self.near;
        for number in ones(std::mem::take(&mut self.summary)) {
            let page = std::mem::replace(&mut self.pages[number], Page::EMPTY);
            for slot in ones(page.occupied) {
                self.far.set(self.grid.key(number * PAGE + slot), page.values[slot]);
            }
        }
        self.grid = grid;
        self.pages.reserve_exact(pages - self.pages.len());
        self.pages.resize(pages, Page::EMPTY);
        let (first, last) = (grid.base, grid.key(pages * PAGE - 1));
        self.near = self.far.take_some(first, last, |key, value| {
            let index = grid.index(key);
            let page = self.pages.get_mut(page_of(index));
            page.map(|page| {
                page.values[index as usize % PAGE] = value;
                page.occupied |= 1 << (index % PAGE as u64);
                self.summary |= 1 << page_of(index);
            })
            .is_some()
        });
        self.far_best = self.far.first_key();
        moved += self.near;
        self.patience = (moved / 4).max(PATIENCE);
    }

    /// The tick, or what divides all prices near the touch where more than a few are off its grid. A few stray prices
    /// are no reason: they are served outside the window, and a finer grid would make the window narrow.
    fn step_near(&self, best: i64, pages: usize) -> i64 {
        let end = best.saturating_add(self.tick * (pages * PAGE) as i64);
        let (mut levels, mut strays, mut divisor) = (0_usize, 0_usize, self.tick.unsigned_abs());
        for price in
            self.iter().map(|(price, _)| price.units()).take_while(|price| price ^ self.mirror <= end)
        {
            let stray = price % self.tick != 0;
            levels += 1;
            strays += usize::from(stray);
            divisor = if stray { gcd(divisor, price.unsigned_abs()) } else { divisor };
        }
        if strays * 8 > levels { divisor as i64 } else { self.tick }
    }
}

impl fmt::Debug for Ladder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let levels = self.iter().map(|(price, value)| (price.units(), value));
        f.debug_map().entries(levels).finish()
    }
}

/// Which keys the ticks of the window stand for: `base`, `base + step`, …
#[derive(Clone, Copy, Debug)]
struct Grid {
    base: i64,
    step: i64,
    /// The odd part of `step`, inverted modulo 2^64.
    inverse: u64,
    /// The even part of `step` is 2 to this.
    shift: u32,
}

impl Grid {
    fn new(base: i64, step: i64) -> Self {
        let shift = step.trailing_zeros();
        let odd = (step >> shift).unsigned_abs();
        // Newton's rule doubles the right bits: 5, 10, 20, 40, 80.
        let inverse = (0..4).fold(odd.wrapping_mul(3) ^ 2, |inverse, _| {
            inverse.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(inverse)))
        });
        Self { base, step, inverse, shift }
    }

    /// The grid of a window around a best key, inside of `i64`, with the multiples of `step` (as prices) on it.
    fn around(best: i64, step: i64, pages: usize, mirror: i64) -> Self {
        let (wide, first) = (i128::from(step), i128::from(i64::MIN));
        let aligned = |from: i128| from + (i128::from(mirror) - from).rem_euclid(wide);
        let base = aligned((i128::from(best) - wide * ticks_ahead(pages) as i128).max(first));
        let excess = base + wide * (pages * PAGE) as i128 - i128::from(i64::MAX);
        let base = if excess > 0 { base - (excess + wide - 1) / wide * wide } else { base };
        Self::new(base as i64, step) // in range: twice the widest window is far less than 2^64
    }

    /// Which tick of the window a key is. For a key below the base, off the grid or beyond the window it is a number
    /// beyond the window, so one comparison with the window's length answers all.
    ///
    /// An exact division is a multiplication by the inverse of the odd part and a rotation by the even part. That maps
    /// the 64-bit numbers one to one, and the multiples of `step` to their quotients, the numbers up to
    /// (2^64-1) / `step`; so all others land above those (Granlund and Montgomery 1994, section 9; Warren, *Hacker's
    /// Delight*, 10-17). `TICK_MAX` keeps that bound, and what a key below the base wraps to, above the widest window.
    #[inline]
    fn index(self, key: i64) -> u64 {
        (key.wrapping_sub(self.base) as u64).wrapping_mul(self.inverse).rotate_right(self.shift)
    }

    /// The last tick at or before a key that is not below the base.
    fn floor(self, key: i64) -> u64 {
        key.abs_diff(self.base) / self.step.unsigned_abs()
    }

    /// The key of a tick of the window.
    #[inline]
    fn key(self, index: usize) -> i64 {
        self.base.wrapping_add(self.step.wrapping_mul(index as i64)) // wraps only while there is no window
    }
}

/// Sorted blocks of keys and values under a sorted index of their first keys: a B+ tree of two floors.
///
/// Twenty thousand levels are some 450 blocks: the index is searched in the first-level cache and a block is two dozen
/// cache lines, of which a search touches five.
#[derive(Clone, Default)]
struct Blocks {
    /// The first key of each block.
    firsts: Vec<i64>,
    /// None is empty.
    blocks: Vec<Vec<(i64, i64)>>,
    /// Blocks out of use, kept for their room.
    spare: Vec<Vec<(i64, i64)>>,
    /// Levels in all blocks.
    len: usize,
}

/// The longest block.
const BLOCK: usize = 64;
/// A block shorter than this looks for a neighbour to join.
const BLOCK_SHORT: usize = 16;
/// Two blocks join where they come to no more than this.
const BLOCK_JOINED: usize = 40;

impl Blocks {
    /// The block that has the key, or would.
    #[inline]
    fn block_of(&self, key: i64) -> usize {
        // Levels that come in order, as a snapshot's do, go to the last.
        if self.firsts.last().is_some_and(|first| *first <= key) {
            return self.firsts.len() - 1;
        }
        self.firsts.partition_point(|first| *first <= key).saturating_sub(1)
    }

    fn get(&self, key: i64) -> i64 {
        let Some(block) = self.blocks.get(self.block_of(key)) else { return 0 };
        search(block, key).map_or(0, |at| block[at].1)
    }

    fn first(&self) -> Option<(i64, i64)> {
        self.blocks.first().map(|block| block[0])
    }

    /// The lowest key; `i64::MAX` where there is none.
    fn first_key(&self) -> i64 {
        self.firsts.first().copied().unwrap_or(i64::MAX)
    }

    fn last(&self) -> Option<(i64, i64)> {
        self.blocks.last().and_then(|block| block.last()).copied()
    }

    /// The first level with a key above this.
    fn after(&self, key: i64) -> Option<(i64, i64)> {
        let number = self.block_of(key);
        let block = self.blocks.get(number)?;
        let at = block.partition_point(|level| level.0 <= key);
        block.get(at).or_else(|| self.blocks.get(number + 1)?.first()).copied()
    }

    fn iter(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        self.blocks.iter().flatten().copied()
    }

    /// Puts a value at a key (zero takes it away) and returns the value before.
    fn set(&mut self, key: i64, value: i64) -> i64 {
        let number = self.block_of(key);
        let Some(block) = self.blocks.get_mut(number) else {
            if value != 0 {
                self.add_block(0, key, value);
            }
            return 0;
        };
        // Asked first, as it is known before the search has ended: a wrong guess costs less.
        if value == 0 {
            let Ok(at) = search(block, key) else { return 0 };
            let (_, before) = block.remove(at);
            self.len -= 1;
            self.after_removal(number);
            return before;
        }
        match search(block, key) {
            Ok(at) => std::mem::replace(&mut block[at].1, value),
            Err(at) => {
                self.insert(number, at, key, value);
                0
            }
        }
    }

    fn insert(&mut self, number: usize, at: usize, key: i64, value: i64) {
        let length = self.blocks[number].len();
        if length == BLOCK {
            match (at, number) {
                // Levels that come in order fill their blocks.
                (BLOCK, _) => self.add_block(number + 1, key, value),
                (0, 0) => self.add_block(0, key, value),
                _ => {
                    self.split(number);
                    let half = BLOCK / 2;
                    // At the seam either half would do.
                    let (number, at) = if at > half { (number + 1, at - half) } else { (number, at) };
                    self.insert(number, at, key, value);
                }
            }
            return;
        }
        let block = &mut self.blocks[number];
        if length == block.capacity() {
            block.reserve_exact(length.max(4).min(BLOCK - length));
        }
        block.insert(at, (key, value));
        self.firsts[number] = block[0].0;
        self.len += 1;
    }

    /// A new block with one level.
    fn add_block(&mut self, number: usize, key: i64, value: i64) {
        // The first block of all grows with need.
        let room = if self.blocks.is_empty() { 4 } else { BLOCK };
        let mut block = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(room));
        block.push((key, value));
        self.blocks.insert(number, block);
        self.firsts.insert(number, key);
        self.len += 1;
    }

    fn split(&mut self, number: usize) {
        let mut upper = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(BLOCK));
        upper.extend(self.blocks[number].drain(BLOCK / 2..));
        self.firsts.insert(number + 1, upper[0].0);
        self.blocks.insert(number + 1, upper);
    }

    fn after_removal(&mut self, number: usize) {
        let block = &self.blocks[number];
        if block.is_empty() {
            self.drop_block(number);
            return;
        }
        self.firsts[number] = block[0].0;
        if block.len() < BLOCK_SHORT {
            let length_at = |number: usize| self.blocks.get(number).map_or(BLOCK, Vec::len);
            let (length, upper, lower) =
                (block.len(), length_at(number + 1), length_at(number.wrapping_sub(1)));
            if length + upper <= BLOCK_JOINED {
                self.join(number);
            } else if length + lower <= BLOCK_JOINED {
                self.join(number - 1);
            }
        }
    }

    /// Joins a block with the one after it.
    fn join(&mut self, number: usize) {
        let mut upper = std::mem::take(&mut self.blocks[number + 1]);
        self.blocks[number].append(&mut upper);
        self.blocks[number + 1] = upper;
        self.drop_block(number + 1);
    }

    /// Keeps the room of an emptied block.
    fn drop_block(&mut self, number: usize) {
        self.firsts.remove(number);
        let block = self.blocks.remove(number);
        self.spare.push(block);
    }

    /// Offers each level from `first` to `last`; those that `takes` wants are gone from here. Returns how many.
    fn take_some(&mut self, first: i64, last: i64, mut takes: impl FnMut(i64, i64) -> bool) -> usize {
        let before = self.len;
        let from = self.block_of(first);
        let to = self.firsts.partition_point(|first| *first <= last);
        let mut kept = from;
        for number in from..to {
            let mut block = std::mem::take(&mut self.blocks[number]);
            let length = block.len();
            block.retain(|(key, value)| !(first..=last).contains(key) || !takes(*key, *value));
            self.len -= length - block.len();
            let neighbour = kept.checked_sub(1).map(|number| &mut self.blocks[number]);
            match (block.first(), neighbour) {
                (None, _) => self.spare.push(block),
                (_, Some(neighbour)) if neighbour.len() + block.len() <= BLOCK_JOINED => {
                    neighbour.append(&mut block);
                    self.spare.push(block);
                }
                (Some((key, _)), _) => {
                    self.firsts[kept] = *key;
                    self.blocks[kept] = block;
                    kept += 1;
                }
            }
        }
        if from < to {
            self.firsts.drain(kept..to);
            self.blocks.drain(kept..to);
        }
        before - self.len
    }

    fn clear(&mut self) {
        self.firsts.clear();
        self.len = 0;
        for mut block in self.blocks.drain(..) {
            block.clear();
            self.spare.push(block);
        }
    }

    fn heap_bytes(&self) -> usize {
        let rooms =
            self.blocks.iter().chain(&self.spare).map(|block| block.capacity() * size_of::<(i64, i64)>());
        let indices = self.firsts.capacity() * size_of::<i64>()
            + (self.blocks.capacity() + self.spare.capacity()) * size_of::<Vec<(i64, i64)>>();
        rooms.sum::<usize>() + indices
    }
}

/// Where in a block a key is, or would be.
#[inline]
fn search(block: &[(i64, i64)], key: i64) -> Result<usize, usize> {
    // Behind all of them, where levels come in order.
    if block.last().is_none_or(|level| level.0 < key) {
        return Err(block.len());
    }
    block.binary_search_by_key(&key, |level| level.0)
}

/// How far ahead of the best price a window begins.
const fn ticks_ahead(pages: usize) -> usize {
    pages * PAGE / 4
}

/// The page of a tick; beyond all pages where the tick is beyond `usize`.
#[inline]
fn page_of(index: u64) -> usize {
    usize::try_from(index / PAGE as u64).unwrap_or(usize::MAX)
}

/// The places of the ones of a word, lowest first.
fn ones(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = word.trailing_zeros() as usize;
        let some = word != 0;
        word &= word.wrapping_sub(1);
        some.then_some(place)
    })
}

/// The same, highest first.
fn ones_back(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = word.checked_ilog2()?;
        word ^= 1 << bit;
        Some(bit as usize)
    })
}

/// The level with the lower key.
fn lower(a: Option<(i64, i64)>, b: Option<(i64, i64)>) -> Option<(i64, i64)> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// A side too simple to be wrong.
    struct Model {
        side: Side,
        levels: BTreeMap<i64, i64>,
    }

    impl Model {
        fn set(&mut self, price: i64, value: i64) -> i64 {
            let before =
                if value == 0 { self.levels.remove(&price) } else { self.levels.insert(price, value) };
            before.unwrap_or(0)
        }

        fn best_first(&self) -> Vec<(i64, i64)> {
            let levels = self.levels.iter().map(|(price, value)| (*price, *value));
            if self.side == Side::Buy { levels.rev().collect() } else { levels.collect() }
        }

        fn best(&self) -> Option<(i64, i64)> {
            let level = match self.side {
                Side::Buy => self.levels.last_key_value(),
                Side::Sell => self.levels.first_key_value(),
            };
            level.map(|(price, value)| (*price, *value))
        }

        fn after(&self, price: i64) -> Option<(i64, i64)> {
            use std::ops::Bound::{Excluded, Unbounded};
            let level = match self.side {
                Side::Buy => self.levels.range(..price).next_back(),
                Side::Sell => self.levels.range((Excluded(price), Unbounded)).next(),
            };
            level.map(|(price, value)| (*price, *value))
        }
    }

    /// Both sides by side.
    struct Pair {
        fast: Ladder,
        model: Model,
    }

    fn raw(level: Option<(Price, i64)>) -> Option<(i64, i64)> {
        level.map(|(price, value)| (price.units(), value))
    }

    impl Pair {
        fn new(side: Side, step: i64) -> Self {
            Self {
                fast: Ladder::new(side, Price::from_units(step)),
                model: Model { side, levels: BTreeMap::new() },
            }
        }

        fn set(&mut self, price: i64, value: i64) {
            let before = self.fast.set(Price::from_units(price), value);
            assert_eq!(before, self.model.set(price, value), "set {price} to {value}");
            assert_eq!(raw(self.fast.best()), self.model.best(), "after {price} was set to {value}");
            assert_eq!(self.fast.len(), self.model.levels.len());
        }

        fn clear(&mut self) {
            self.fast.clear();
            self.model.levels.clear();
            self.check(&[]);
        }

        /// Everything that can be asked, at all levels and at these prices and their neighbours.
        fn check(&self, prices: &[i64]) {
            let levels = self.model.best_first();
            let seen: Vec<_> = self.fast.iter().map(|(price, value)| (price.units(), value)).collect();
            assert_eq!(seen, levels);
            let back: Vec<_> = self.fast.iter_back().map(|(price, value)| (price.units(), value)).collect();
            assert_eq!(back, levels.iter().rev().copied().collect::<Vec<_>>());
            for most in [0, 1, 3, levels.len(), usize::MAX] {
                let mut visited = Vec::new();
                self.fast.visit(most, |price, value| visited.push((price.units(), value)));
                assert_eq!(visited, levels[..most.min(levels.len())], "the best {most}");
            }
            assert_eq!(raw(self.fast.worst()), levels.last().copied());
            assert_eq!(raw(self.fast.best()), levels.first().copied());
            assert_eq!(self.fast.best_price().map(Price::units), levels.first().map(|level| level.0));
            assert_eq!(self.fast.is_empty(), levels.is_empty());
            let ends = [i64::MIN, 0, i64::MAX];
            for price in levels.iter().map(|level| level.0).chain(prices.iter().copied()).chain(ends) {
                for price in [price.wrapping_sub(1), price, price.wrapping_add(1)] {
                    let got = self.fast.get(Price::from_units(price));
                    assert_eq!(got, self.model.levels.get(&price).copied().unwrap_or(0), "at {price}");
                    assert_eq!(
                        raw(self.fast.after(Price::from_units(price))),
                        self.model.after(price),
                        "after {price}"
                    );
                }
            }
        }
    }

    /// Where the prices of one stretch of a run lie.
    fn prices() -> impl Strategy<Value = Vec<i64>> {
        let many = |price: BoxedStrategy<i64>| proptest::collection::vec(price, 0..400);
        prop_oneof![
            // Near the touch, on a grid of 5.
            many((-150_i64..150).prop_map(|tick| 845_000 + 5 * tick).boxed()),
            // Far and few, on the grid.
            many((-100_000_i64..100_000).prop_map(|tick| 845_000 + 5 * tick).boxed()),
            // Off the grid.
            many((844_000_i64..846_000).boxed()),
            // The ends of the numbers.
            many(prop_oneof![i64::MIN..=i64::MIN + 200, i64::MAX - 200..=i64::MAX, -100_i64..100].boxed()),
            // One end.
            many((0_i64..10_000).prop_map(|down| i64::MAX - 5 * down).boxed()),
            many((0_i64..10_000).prop_map(|up| i64::MIN + 5 * up).boxed()),
            // Anything.
            many(any::<i64>().boxed()),
            // A touch that walks.
            (many((-60_i64..60).boxed()), -900_000_i64..900_000, -60_i64..60).prop_map(
                |(noise, from, pace)| {
                    (0..).zip(noise).map(|(n, noise)| from + 5 * (n * pace + noise)).collect()
                }
            ),
        ]
    }

    fn value() -> impl Strategy<Value = i64> {
        prop_oneof![2 => Just(0_i64), 3 => 1_i64..1000, 1 => any::<i64>()]
    }

    proptest! {
        #[test]
        fn it_answers_as_a_map_does(
            side in prop_oneof![Just(Side::Buy), Just(Side::Sell)],
            step in prop_oneof![Just(5_i64), Just(1), Just(10), Just(64), Just(0), Just(-5), Just(1 << 40), any::<i64>()],
            runs in proptest::collection::vec((prices(), any::<u64>(), 0_u8..8), 1..6),
            values in proptest::collection::vec(value(), 50),
        ) {
            let mut pair = Pair::new(side, step);
            for (prices, shift, end) in &runs {
                for (n, price) in prices.iter().enumerate() {
                    pair.set(*price, values[(n + *shift as usize % 50) % 50]);
                }
                pair.check(&prices[..prices.len().min(20)]);
                match end {
                    0 => pair.clear(),
                    // Drain from the best.
                    1 => while let Some((price, _)) = pair.model.best() {
                        pair.set(price, 0);
                    },
                    // Thin out.
                    2 | 3 => {
                        for (price, _) in pair.model.best_first().into_iter().skip(1).step_by(3) {
                            pair.set(price, 0);
                        }
                        pair.check(&[]);
                    }
                    4 => {
                        let copy = pair.fast.clone();
                        prop_assert!(copy.iter().eq(pair.fast.iter()));
                    }
                    _ => {}
                }
            }
        }

        #[test]
        fn the_index_is_a_checked_division(step in 1..=TICK_MAX, base in any::<i64>(), off in any::<u64>(), n in 0..5000_u64) {
            let last = i64::MAX - step * (PAGE * PAGES_MAX) as i64;
            let grid = Grid::new(base.min(last), step);
            let ticks = (PAGE * PAGES_MAX) as u64;
            for off in [off, off % (step as u64 * 2 * ticks), n * step as u64, n * step as u64 + 1] {
                let key = grid.base.wrapping_add(off as i64);
                let exact = key >= grid.base && off % step as u64 == 0 && off / (step as u64) < ticks;
                prop_assert_eq!(grid.index(key) < ticks, exact);
                if exact {
                    prop_assert_eq!(grid.index(key), off / step as u64);
                    prop_assert_eq!(grid.key(grid.index(key) as usize), key);
                }
            }
        }
    }

    /// A seeded walk (xorshift64).
    fn next(state: &mut u64) -> i64 {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        (*state >> 8) as i64
    }

    #[test]
    fn the_window_follows_the_touch() {
        for side in Side::BOTH {
            let (mut pair, mut state) = (Pair::new(side, 5), 99);
            let mut outside = 0;
            for n in 0..60_000_i64 {
                let touch = 100_000 + if n < 30_000 { n / 3 } else { 20_000 - n / 3 };
                // What the touch has crossed goes, the rest comes and goes.
                while let Some((price, _)) = pair.model.best() {
                    if !side.better(Price::from_units(price), Price::from_units(touch * 5)) {
                        break;
                    }
                    pair.set(price, 0);
                }
                let price = side.worsen(Price::from_units(touch * 5), next(&mut state) % 300 * 5).units();
                pair.set(price, next(&mut state) % 3);
                outside += usize::from(pair.fast.get(Price::from_units(price)) != 0)
                    * usize::from(pair.fast.far.get(price ^ pair.fast.mirror) != 0);
            }
            pair.check(&[]);
            assert!(pair.fast.near > 100, "{} levels in the window", pair.fast.near);
            assert!(outside < 6_000, "{outside} updates outside the window");
        }
    }

    #[test]
    fn a_finer_grid_is_learnt_and_a_stray_price_is_not() {
        let mut pair = Pair::new(Side::Sell, 10);
        for n in 0..500 {
            pair.set(100_000 + 10 * n, 1);
        }
        for n in 0..500 {
            pair.set(100_003, n % 7);
        }
        assert_eq!(pair.fast.grid.step, 10);
        for n in 0..2_000 {
            pair.set(100_000 + 4 * n, 1);
        }
        assert_eq!(pair.fast.grid.step, 1, "of 10, 4 and 100,003");
        pair.set(100_003, 0);
        pair.check(&[]);
    }

    #[test]
    fn memory_is_bounded() {
        let built = |levels: i64, gap: i64, side: Side| {
            let mut ladder = Ladder::new(side, Price::from_units(5));
            let mut state = 7;
            for n in 0..levels {
                ladder.set(side.worsen(Price::from_units(1 << 50), n * gap * 5), 1);
            }
            // Levels move about at random, their number stays.
            for _ in 0..levels {
                let at = side.worsen(Price::from_units(1 << 50), next(&mut state) % (2 * levels * gap) * 5);
                if ladder.set(at, 1) == 0 {
                    let gone = ladder.after(at).or(ladder.best()).map(|level| level.0);
                    gone.into_iter().for_each(|price| _ = ladder.set(price, 0));
                }
            }
            ladder
        };
        for side in Side::BOTH {
            for gap in [1, 40, 10_000] {
                let bytes = built(10_000, gap, side).heap_bytes();
                assert!(bytes <= 512 << 10, "10,000 levels a side, {gap} ticks apart: {bytes} bytes a side");
            }
            assert!(built(50, 1, side).heap_bytes() <= 6 << 10);
            assert!(built(3, 1, side).heap_bytes() <= 512);
            assert_eq!(Ladder::new(side, Price::from_units(1)).heap_bytes(), 0);
        }
        assert!(size_of::<Ladder>() <= 256, "{}", size_of::<Ladder>());
    }

    #[test]
    fn clear_keeps_the_room() {
        let mut ladder = Ladder::new(Side::Buy, Price::from_units(1));
        let fill = |ladder: &mut Ladder| (0..3_000).for_each(|n| _ = ladder.set(Price::from_units(n * 7), 1));
        fill(&mut ladder);
        ladder.clear();
        assert!(ladder.is_empty() && ladder.best().is_none() && ladder.iter().next().is_none());
        let room = ladder.heap_bytes();
        fill(&mut ladder);
        ladder.clear();
        fill(&mut ladder);
        assert!(ladder.heap_bytes() <= room * 5 / 4, "{} after {room}", ladder.heap_bytes());
    }
}
