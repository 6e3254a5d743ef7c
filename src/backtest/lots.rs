//! First in, first out: which quantities were closed by a fill, and what each earned after fees.
//!
//! Money is in what the market settles in: quote for spot, the settlement currency for contracts, in its smallest unit.

use std::collections::VecDeque;

use crate::market::Side;

/// A quantity that is open: what it is in the instrument's units, what it was worth when it filled, and its fee.
#[derive(Clone, Copy, Debug)]
struct Lot {
    side: Side,
    qty: i64,
    value: i128,
    fee: i128,
}

/// The open quantities of one instrument, or of one of two positions in it, and what closed ones earned.
#[derive(Clone, Debug)]
pub(super) struct Lots {
    open: VecDeque<Lot>,
    /// Whether what is bought gains where its value falls, as inverse contracts do.
    inverse: bool,
}

impl Lots {
    pub(super) fn new(inverse: bool) -> Self {
        Self { open: VecDeque::new(), inverse }
    }

    /// A fill of a quantity that is worth `value`; `closed` is told what each quantity that it closes earned after both
    /// fees.
    pub(super) fn fill(
        &mut self,
        side: Side,
        qty: i64,
        value: i128,
        fee: i128,
        mut closed: impl FnMut(i128),
    ) {
        let (mut left, mut value_left, mut fee_left) = (qty, value, fee);
        while let Some(lot) = self.open.front_mut().filter(|lot| lot.side != side && left > 0) {
            let part = left.min(lot.qty);
            // The last part of a fee or a value takes what rounding left.
            let (entry_fee, exit_fee) = (share(lot.fee, part, lot.qty), share(fee_left, part, left));
            let (entry, exit) = (share(lot.value, part, lot.qty), share(value_left, part, left));
            let rises = (side == Side::Sell) != self.inverse;
            let gain = if rises { exit - entry } else { entry - exit };
            closed(gain - entry_fee - exit_fee);
            (left, value_left, fee_left) = (left - part, value_left - exit, fee_left - exit_fee);
            lot.take(part, entry, entry_fee);
            if lot.qty == 0 {
                self.open.pop_front();
            }
        }
        if left > 0 {
            self.open.push_back(Lot { side, qty: left, value: value_left, fee: fee_left });
        }
    }

    /// A quantity is taken away, and `amount` is what that earned: a liquidation.
    pub(super) fn taken(&mut self, side: Side, qty: i64, amount: i128, mut closed: impl FnMut(i128)) {
        let (mut left, mut amount_left) = (qty, amount);
        while let Some(lot) = self.open.front_mut().filter(|lot| lot.side == side && left > 0) {
            let part = left.min(lot.qty);
            let (entry, fee) = (share(lot.value, part, lot.qty), share(lot.fee, part, lot.qty));
            let earned = share(amount_left, part, left);
            closed(earned - fee);
            (left, amount_left) = (left - part, amount_left - earned);
            lot.take(part, entry, fee);
            if lot.qty == 0 {
                self.open.pop_front();
            }
        }
    }
}

impl Lot {
    fn take(&mut self, part: i64, value: i128, fee: i128) {
        self.qty -= part;
        self.value -= value;
        self.fee -= fee;
    }
}

fn share(amount: i128, part: i64, whole: i64) -> i128 {
    amount * i128::from(part) / i128::from(whole.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_first_is_closed_first() {
        // side, price, quantity, fee, then what the quantities that it closes earn. Ten smallest units a notional unit.
        let mut lots = Lots::new(false);
        for (side, price, qty, fee, want) in [
            (Side::Buy, 100, 4, 8, &[][..]),
            (Side::Buy, 110, 2, 4, &[]),
            // 3 × (120 − 100) × 10 − 6 − 3
            (Side::Sell, 120, 3, 3, &[591]),
            // 1 × (105 − 100) × 10 − 2 − 1, then 2 × (105 − 110) × 10 − 4 − 2; one is sold short.
            (Side::Sell, 105, 4, 4, &[47, -106]),
            // The short one: (105 − 101) × 10 − 1 − 0.
            (Side::Buy, 101, 1, 0, &[39]),
            (Side::Sell, 90, 1, 0, &[]),
        ] {
            let mut closed = Vec::new();
            lots.fill(side, qty, i128::from(price * qty * 10), fee, |gain| closed.push(gain));
            assert_eq!(closed, want, "{side} {qty} at {price}");
        }
        assert_eq!(lots.open.len(), 1);
    }

    /// Values of XBTUSD in satoshi: 1,000 contracts at 1,000 are 1 XBT, at 1,250 they are 0.8.
    #[test]
    fn inverse_contracts_gain_what_they_are_worth_less() {
        let mut lots = Lots::new(true);
        for (side, qty, value, fee, want) in [
            (Side::Buy, 1_000, 100_000_000, 50_000, &[][..]),
            // BitMEX: 1,000 × (1/1,000 − 1/1,250) = 0.2 XBT, less both fees.
            (Side::Sell, 1_000, 80_000_000, 40_000, &[19_910_000]),
            (Side::Sell, 1_000, 100_000_000, 0, &[]),
            // The short loses as much.
            (Side::Buy, 500, 40_000_000, 0, &[-10_000_000]),
        ] {
            let mut closed = Vec::new();
            lots.fill(side, qty, value, fee, |gain| closed.push(gain));
            assert_eq!(closed, want, "{side} {qty} worth {value}");
        }
        let mut closed = Vec::new();
        lots.taken(Side::Sell, 500, -700_000, |gain| closed.push(gain));
        assert_eq!(closed, [-700_000], "what was liquidated lost what its account lost");
        assert!(lots.open.is_empty());
    }
}
