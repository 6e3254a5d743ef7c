//! Places in a queue: how much market volume is ahead of a resting order, and how that moves.
//!
//! A place is kept in 1/1024 lot, rounded **up** to that. Rule 5 of `docs/fills.md` has the formulas; they come from
//! Rigtorp 2013, "Estimating order queue position", and hftbacktest's order-fill notes.

use serde::{Deserialize, Serialize};

use crate::market::Qty;
use crate::sim::{Law, QueueModel};

/// Parts of a lot in which places are counted.
const PARTS: i128 = 1_024;

/// Market volume ahead of an order at its price, in 1/1024 lot; or unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Place(i64);

impl Place {
    /// Nobody is ahead.
    pub(crate) const FRONT: Self = Self(0);
    /// Nobody knows: the price is outside the feed's window. Later than every known place.
    pub(crate) const UNKNOWN: Self = Self(i64::MAX);

    /// Whether it is known.
    pub(crate) fn is_known(self) -> bool {
        self != Self::UNKNOWN
    }

    /// In 1/1024 lot; `None`: unknown.
    pub(crate) fn parts(self) -> Option<i64> {
        self.is_known().then_some(self.0)
    }

    fn from_parts(parts: i128) -> Self {
        Self(i64::try_from(parts.max(0)).unwrap_or(i64::MAX).min(i64::MAX - 1))
    }

    /// Behind `qty` of market volume.
    pub(crate) fn behind(qty: Qty, lot: Qty) -> Self {
        if qty.is_zero() {
            return Self::FRONT;
        }
        Self::from_parts(ceil_div(i128::from(qty.units()) * PARTS, i128::from(lot.units())))
    }

    /// As it is shown: rounded up to the lot.
    #[inline]
    pub(crate) fn shown(self, lot: Qty) -> Option<Qty> {
        if self == Self::FRONT {
            return Some(Qty::ZERO);
        }
        let lots = ceil_div(i128::from(self.parts()?), PARTS);
        Some(Qty::from_units(i64::try_from(lots * i128::from(lot.units())).unwrap_or(i64::MAX)))
    }

    /// How much of `budget` is left for the order once what is ahead has been paid, floored to the lot; and the
    /// place after.
    pub(crate) fn pay(self, budget: Qty, lot: Qty) -> (Self, Qty) {
        if !self.is_known() {
            return (self, Qty::ZERO);
        }
        if self == Self::FRONT {
            return (self, budget.floor_to(lot));
        }
        let fine = i128::from(budget.units()) * PARTS;
        let ahead = i128::from(self.0) * i128::from(lot.units());
        if fine <= ahead {
            return (Self::from_parts(ceil_div(ahead - fine, i128::from(lot.units()))), Qty::ZERO);
        }
        let left = i64::try_from((fine - ahead) / PARTS).unwrap_or(i64::MAX);
        (Self::FRONT, Qty::from_units(left).floor_to(lot))
    }

    /// The lots of market volume that are served before the order, at most `free`: a part of a lot ahead goes first
    /// too, for a fill is floored to the lot.
    pub(crate) fn lots_before(self, free: Qty, lot: Qty) -> Qty {
        self.shown(lot).map_or(free, |ahead| free.min(ahead))
    }

    /// What is ahead, as a volume.
    pub(crate) fn volume(self, lot: Qty) -> Volume {
        Volume(i128::from(self.0) * i128::from(lot.units()))
    }

    /// The place once so much of what was ahead is gone.
    pub(crate) fn nearer(self, by: Volume, lot: Qty) -> Self {
        if !self.is_known() {
            return self;
        }
        Self::from_parts(ceil_div(self.volume(lot).0 - by.0, i128::from(lot.units())))
    }

    /// Never more than what stands there.
    pub(crate) fn clamp(self, free: Qty, lot: Qty) -> Self {
        if self.is_known() { self.min(Self::behind(free, lot)) } else { self }
    }
}

/// A quantity in 1/1024 of an instrument's quantity unit: exact where places and whole units meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Volume(i128);

impl Volume {
    /// So many whole units.
    pub(crate) fn of(qty: Qty) -> Self {
        Self(i128::from(qty.units()) * PARTS)
    }

    /// So many whole units less, but never less than nothing.
    pub(crate) fn less(self, qty: Qty) -> Self {
        Self((self.0 - Self::of(qty).0).max(0))
    }
}

/// A level shrank: what stood free before and after, and how the difference is explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shrink {
    /// Free quantity before.
    pub(crate) before: Qty,
    /// The part that prints explain.
    pub(crate) explained: Qty,
    /// The rest: cancellation.
    pub(crate) cancelled: Qty,
    /// Free quantity after.
    pub(crate) after: Qty,
}

/// Where an order at `ahead` stands after its level shrank.
///
/// Worked example (the page's): shown 10 → 7 with no print, ahead 4, power 2: P(behind) = 36/52, so
/// 4 − 16/52 × 3 = 3.0769, kept as 3151/1024.
pub(crate) fn shrink(model: QueueModel, ahead: Place, by: Shrink, lot: Qty, unit: f64) -> Place {
    if !ahead.is_known() {
        return ahead;
    }
    let lot_units = i128::from(lot.units());
    let fine = |qty: Qty| i128::from(qty.units()) * PARTS;
    let moved = match model {
        QueueModel::Front => return Place::FRONT,
        QueueModel::Conservative | QueueModel::Exact => return ahead.clamp(by.after, lot),
        QueueModel::Probabilistic(law) => {
            let front = i128::from(ahead.0) * lot_units;
            let back = (fine(by.before) - fine(by.explained) - front).max(0);
            match law {
                Law::Power(n) => power(u32::from(n.max(1)), front, back, fine(by.cancelled), lot_units),
                Law::Log => log(front, back, fine(by.cancelled), lot_units, unit),
            }
        }
    };
    Place::from_parts(moved).clamp(by.after, lot)
}

/// f(x) = xⁿ, in integers: exact while the operands have few enough bits, else both are cut alike.
fn power(n: u32, front: i128, back: i128, cancelled: i128, lot: i128) -> i128 {
    let bits = 128 - front.max(back).leading_zeros();
    let room = 125_u32.saturating_sub(bits.max(128 - lot.leading_zeros())) / n;
    let cut = bits.saturating_sub(room);
    let (f, b) = ((front >> cut).pow(n), (back >> cut).pow(n));
    let sum = f + b;
    if sum == 0 || back * sum < cancelled * b {
        // What does not fit behind goes ahead.
        return ceil_div(front + back - cancelled, lot);
    }
    ceil_div(front * sum - cancelled * f, sum * lot)
}

/// f(x) = ln(1 + x), x in whole quantity units (`unit` of them a fine unit).
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a probability, so floats are right"
)]
fn log(front: i128, back: i128, cancelled: i128, lot: i128, unit: f64) -> i128 {
    let f = |x: i128| libm::log1p(x as f64 * unit);
    let sum = f(back) + f(front);
    let behind = if sum > 0.0 { f(back) / sum } else { 1.0 };
    let (c, fits) = (cancelled as f64, (back as f64 - behind * cancelled as f64).min(0.0));
    libm::ceil((front as f64 - (1.0 - behind) * c + fits) / lot as f64) as i128
}

/// The quotient rounded towards plus infinity; `by` is positive.
fn ceil_div(value: i128, by: i128) -> i128 {
    if let (Ok(value), Ok(by)) = (i64::try_from(value), i64::try_from(by)) {
        return i128::from(-((-value).div_euclid(by)));
    }
    -((-value).div_euclid(by))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOT: Qty = Qty::from_units(1);

    fn q(units: i64) -> Qty {
        Qty::from_units(units)
    }

    fn by(before: i64, explained: i64, cancelled: i64, after: i64) -> Shrink {
        Shrink { before: q(before), explained: q(explained), cancelled: q(cancelled), after: q(after) }
    }

    #[test]
    fn the_pages_examples() {
        let power2 = QueueModel::Probabilistic(Law::Power(2));
        // Lot 0.01: 10 is 1000 units.
        let moved = shrink(power2, Place::behind(q(400), LOT), by(1_000, 0, 300, 700), LOT, 1.0);
        assert_eq!(moved.parts(), Some((400 * 1_024 * 52 - 300 * 1_024 * 16_i64 + 51).div_euclid(52)));
        assert_eq!(moved.shown(LOT), Some(q(308)));
        // Rule 6: shown 10, ahead 8, print 6 and cancel 2 in one frame.
        let (after_print, fill) = Place::behind(q(8), LOT).pay(q(6), LOT);
        assert_eq!((after_print.shown(LOT), fill), (Some(q(2)), q(0)));
        let moved = shrink(power2, after_print, by(10, 6, 2, 2), LOT, 1.0);
        assert_eq!(moved.parts(), Some(1_024));
    }

    #[test]
    fn models_move_as_named() {
        let ahead = Place::behind(q(4), LOT);
        for (model, want) in [
            (QueueModel::Front, 0),
            (QueueModel::Conservative, 4 * 1_024),
            (QueueModel::Probabilistic(Law::Power(1)), 4 * 1_024 - 3 * 1_024 * 4 / 10),
            (QueueModel::Probabilistic(Law::Log), 2_706),
        ] {
            assert_eq!(
                shrink(model, ahead, by(10, 0, 3, 7), LOT, 1.0 / 1_024.0).parts(),
                Some(want),
                "{model:?}"
            );
        }
        // More was cancelled than stands behind: the rest came from ahead.
        let power2 = QueueModel::Probabilistic(Law::Power(2));
        assert_eq!(shrink(power2, Place::behind(q(1), LOT), by(10, 0, 10, 0), LOT, 1.0), Place::FRONT);
        assert_eq!(shrink(power2, Place::UNKNOWN, by(10, 0, 3, 7), LOT, 1.0), Place::UNKNOWN);
    }

    #[test]
    fn huge_quantities_do_not_overflow() {
        let lot = q(1);
        let huge = q(9_000_000_000_000_000);
        for n in 1..=8 {
            let place = shrink(
                QueueModel::Probabilistic(Law::Power(n)),
                Place::behind(q(4_000_000_000_000_000), lot),
                Shrink { before: huge, explained: q(0), cancelled: q(1_000_000_000_000), after: huge },
                lot,
                1.0,
            );
            assert!(place.is_known() && place < Place::behind(q(4_000_000_000_000_000), lot));
        }
    }

    #[test]
    fn what_does_not_fit_behind_goes_ahead() {
        let lot = q(10);
        // Power 2: 9/13 of 450 is more than the 300 behind. Log: 0.3 of 450 is more than the 100 behind.
        for (law, ahead, unit) in [(Law::Power(2), 200, 1.0), (Law::Log, 400, 1.0 / 102_400.0)] {
            let model = QueueModel::Probabilistic(law);
            // More may stand free afterwards than is left of what stood there: what own orders had taken came back.
            for after in [50, 300] {
                let moved = shrink(model, Place::behind(q(ahead), lot), by(500, 0, 450, after), lot, unit);
                // Five lots; the floats of the logarithm may round up by the smallest part.
                assert!(matches!(moved.parts(), Some(5_120..=5_121)), "{law:?} {after}: {moved:?}");
            }
        }
    }

    #[test]
    fn less_than_a_lot_behind_fits_however_large_a_lot_is() {
        for n in 1..=8 {
            assert_eq!(power(n, 0, 1 << 14, 1, 1 << 60), 0, "power {n}");
        }
    }

    #[test]
    fn a_lot_of_any_size_moves_as_a_lot_of_one() {
        let lot = q(1 << 60);
        for n in 1..=8 {
            let model = QueueModel::Probabilistic(Law::Power(n));
            let [one, huge] = [1, 1 << 60].map(|unit: i64| {
                let lots = by(7 * unit, 0, 3 * unit, 4 * unit);
                shrink(model, Place::behind(q(4 * unit), q(unit)), lots, q(unit), 1.0).parts()
            });
            assert_eq!(one, huge, "power {n}");
        }
        assert_eq!(Place::behind(q(4 << 60), lot).shown(lot), Some(q(4 << 60)));
    }

    #[test]
    fn a_place_is_known_however_far_it_is() {
        let most = i128::from(i64::MAX);
        for (parts, want) in [
            (-1, 0),
            (most - 2, i64::MAX - 2),
            (most - 1, i64::MAX - 1),
            (most, i64::MAX - 1),
            (most + 1, i64::MAX - 1),
            (i128::MAX, i64::MAX - 1),
        ] {
            assert_eq!(Place::from_parts(parts).parts(), Some(want), "{parts}");
        }
        assert_eq!(Place::UNKNOWN.parts(), None);
    }

    #[test]
    fn budgets_pay_what_is_ahead_first() {
        let lot = q(10);
        let ahead = Place::behind(q(25), lot);
        assert_eq!(ahead.parts(), Some(2_560));
        assert_eq!(ahead.pay(q(20), lot), (Place::from_parts(512), Qty::ZERO));
        assert_eq!(ahead.pay(q(38), lot), (Place::FRONT, q(10)));
        assert_eq!(Place::UNKNOWN.pay(q(1_000), lot), (Place::UNKNOWN, Qty::ZERO));
        assert_eq!((ahead.lots_before(q(100), lot), ahead.lots_before(q(20), lot)), (q(30), q(20)));
        assert_eq!(ahead.nearer(Volume::of(q(12)).less(q(2)), lot).parts(), Some(1_536));
    }
}
