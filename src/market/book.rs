//! The order book of one instrument: what the tape shows.
//!
//! [`OrderBook`] is two [`Ladder`]s, one a side, in the words of the market: sizes in, sizes and levels out. How a side
//! finds its prices is the ladder's affair. Never here: orders, and any judgement about what the tape says.

use super::{Ladder, Price, Qty, Side};

/// One price level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Its price.
    pub price: Price,
    /// What stands there.
    pub qty: Qty,
}

/// The book of one instrument. Sizes are absolute; applying a message is setting its levels.
#[derive(Clone, Debug)]
pub struct OrderBook {
    sides: [Ladder; 2],
    /// How many times a level was set or all were taken away.
    edits: u64,
}

impl OrderBook {
    /// An empty book of an instrument with this tick.
    pub fn new(tick: Price) -> Self {
        Self { sides: Side::BOTH.map(|side| Ladder::new(side, tick)), edits: 0 }
    }

    /// One side.
    #[inline]
    pub fn side(&self, side: Side) -> &Ladder {
        &self.sides[side.index()]
    }

    /// Sets the size of a level (zero takes it away) and returns the size before.
    #[inline]
    pub fn set(&mut self, side: Side, price: Price, qty: Qty) -> Qty {
        self.edits += 1;
        Qty::from_units(self.sides[side.index()].set(price, qty.units()))
    }

    /// The size at a price; zero where no level is.
    #[inline]
    pub fn qty(&self, side: Side, price: Price) -> Qty {
        Qty::from_units(self.side(side).get(price))
    }

    /// The best price of a side.
    #[inline]
    pub fn best_price(&self, side: Side) -> Option<Price> {
        self.side(side).best_price()
    }

    /// The best level of a side.
    #[inline]
    pub fn best(&self, side: Side) -> Option<Level> {
        self.side(side).best().map(|(price, qty)| Level { price, qty: Qty::from_units(qty) })
    }

    /// The levels of a side, best first.
    pub fn levels(&self, side: Side) -> impl Iterator<Item = Level> + '_ {
        self.side(side).iter().map(|(price, qty)| Level { price, qty: Qty::from_units(qty) })
    }

    /// Adds the best `most` levels of a side to a list, best first.
    pub fn best_levels(&self, side: Side, most: usize, into: &mut Vec<Level>) {
        self.side(side).visit(most, |price, qty| into.push(Level { price, qty: Qty::from_units(qty) }));
    }

    /// Whether best bid ≥ best ask. Locked counts as crossed.
    #[inline]
    pub fn is_crossed(&self) -> bool {
        match (self.best_price(Side::Buy), self.best_price(Side::Sell)) {
            (Some(bid), Some(ask)) => bid >= ask,
            _ => false,
        }
    }

    /// How many times a level was set, to whatever size, or all were taken away.
    #[inline]
    pub fn edits(&self) -> u64 {
        self.edits
    }

    /// Empties both sides; keeps the room.
    pub fn clear(&mut self) {
        self.edits += 1;
        self.sides.iter_mut().for_each(Ladder::clear);
    }

    /// The bytes that both sides hold outside of themselves, free room included.
    pub fn heap_bytes(&self) -> usize {
        self.sides.iter().map(Ladder::heap_bytes).sum()
    }
}
