//! First in, first out: which quantities were closed by a fill, and what each earned after fees.

use std::collections::VecDeque;

use crate::market::Side;

/// A quantity that is open: price and quantity in the instrument's units, the fee in quote's smallest unit.
#[derive(Clone, Copy, Debug)]
struct Lot {
    side: Side,
    price: i64,
    qty: i64,
    fee: i128,
}

/// The open quantities of one instrument, and what closed ones earned.
#[derive(Clone, Debug)]
pub(super) struct Lots {
    open: VecDeque<Lot>,
    /// Smallest units of quote in one price unit × quantity unit.
    notional: i128,
}

impl Lots {
    pub(super) fn new(notional: i128) -> Self {
        Self { open: VecDeque::new(), notional }
    }

    /// A fill; `closed` is told what each quantity that it closes earned after both fees, in quote's smallest unit.
    pub(super) fn fill(&mut self, side: Side, price: i64, qty: i64, fee: i128, mut closed: impl FnMut(i128)) {
        let (mut left, mut fee_left) = (qty, fee);
        while let Some(lot) = self.open.front_mut().filter(|lot| lot.side != side && left > 0) {
            let part = left.min(lot.qty);
            // The last part of a fee takes what rounding left.
            let entry_fee = share(lot.fee, part, lot.qty);
            let exit_fee = share(fee_left, part, left);
            let gain = if side == Side::Sell { price - lot.price } else { lot.price - price };
            closed(i128::from(gain) * i128::from(part) * self.notional - entry_fee - exit_fee);
            left -= part;
            fee_left -= exit_fee;
            lot.qty -= part;
            lot.fee -= entry_fee;
            if lot.qty == 0 {
                self.open.pop_front();
            }
        }
        if left > 0 {
            self.open.push_back(Lot { side, price, qty: left, fee: fee_left });
        }
    }
}

fn share(fee: i128, part: i64, whole: i64) -> i128 {
    fee * i128::from(part) / i128::from(whole.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_first_is_closed_first() {
        // side, price, quantity, fee, then what the quantities that it closes earn. Ten smallest units a notional unit.
        let mut lots = Lots::new(10);
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
            lots.fill(side, price, qty, fee, |gain| closed.push(gain));
            assert_eq!(closed, want, "{side} {qty} at {price}");
        }
        assert_eq!(lots.open.len(), 1);
    }
}
