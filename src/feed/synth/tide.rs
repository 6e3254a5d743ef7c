//! What moves a price by more than ticks: a tide of hours that comes and goes smoothly, so that a day has highs and lows as
//! a real one has, and squalls that take the price somewhere else within seconds.
//!
//! Never here: how the price wanders from one second to the next (`model`).

use super::Walk;
use super::dice::Dice;

/// The market opens at rest: tide and squalls set in after so many microseconds.
const OPENING: i64 = 1_200 * 1_000_000;
/// The usual height, as a share of the price: the day of a large coin goes one or two percent to either side.
const HEIGHT: f64 = 0.008;
/// The seconds in which it turns.
const TURN: f64 = 3_600.0;
/// The seconds from one squall to the next, how far one goes as a share of the price, and in how many seconds most of it is
/// over: quotes a thousandth away from the price are reached a few times an hour.
const SQUALL_EVERY: f64 = 400.0;
const SQUALL: f64 = 0.0012;
const SQUALL_TIME: f64 = 8.0;

/// A height that noise pushes and that swings back, critically damped: x″ = −2x′/τ − x/τ² + q·noise, whose usual height is
/// √(q²τ³/4). Without anything that draws it back only its speed dies away.
pub(super) struct Tide {
    dice: Dice,
    draws_back: bool,
    /// The price that the market opened at, in ticks.
    price: f64,
    /// Ticks above that price.
    height: f64,
    /// What squalls have still to go, in ticks.
    squall: f64,
    /// Ticks a second.
    speed: f64,
}

impl Tide {
    /// At rest. `price` is in ticks.
    pub(super) fn new((seed, symbol): (u64, &str), price: f64, walk: Walk) -> Self {
        let dice = Dice::new(seed, &format!("tide of {symbol}"));
        let draws_back = walk == Walk::MeanReverting;
        Self { dice, draws_back, price, height: 0.0, squall: 0.0, speed: 0.0 }
    }

    /// After `wait` seconds, at `now` (microseconds since the market opened): how many ticks above the opening price.
    pub(super) fn pass(&mut self, wait: f64, now: i64) -> f64 {
        if now >= OPENING {
            if self.dice.chance(wait / SQUALL_EVERY) {
                self.squall += SQUALL * self.price * self.dice.normal();
            }
            let gone = self.squall * (wait / SQUALL_TIME).min(1.0);
            self.squall -= gone;
            let noise = 2.0 * HEIGHT * self.price / (TURN * TURN.sqrt());
            let back = if self.draws_back { self.height / (TURN * TURN) } else { 0.0 };
            self.speed -= (2.0 * self.speed / TURN + back) * wait;
            self.speed += noise * wait.sqrt() * self.dice.normal();
            self.height += self.speed * wait + gone;
        }
        self.height
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The heights of a week, half a minute by half a minute, as shares of the price.
    fn week(seed: u64, walk: Walk) -> Vec<f64> {
        let mut tide = Tide::new((seed, "BTC_USDT"), 1e6, walk);
        (0..7 * 24 * 120).map(|half| tide.pass(30.0, half * 30_000_000) / 1e6).collect()
    }

    #[test]
    fn it_is_as_high_as_it_says() {
        let (mut squares, mut count) = (0.0, 0.0);
        for seed in 0..20 {
            let heights = week(seed, Walk::MeanReverting);
            assert!(heights[..40].iter().all(|height| *height == 0.0), "it opens at rest");
            let steps: Vec<f64> = heights.windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect();
            let reach = steps.iter().filter(|step| **step > 0.001).count() as f64 / (7.0 * 24.0);
            assert!((2.0..6.0).contains(&reach), "seed {seed}: quotes are reached {reach} times an hour");
            assert!(steps.iter().all(|step| *step < 0.01), "seed {seed}: {steps:?}");
            squares += heights.iter().map(|height| height * height).sum::<f64>();
            count += heights.len() as f64;
        }
        let usual = (squares / count).sqrt();
        assert!((0.007..0.012).contains(&usual), "{usual}");
    }

    #[test]
    fn without_a_pull_it_wanders_off() {
        let farthest = |walk| {
            (0..20)
                .map(|seed| week(seed, walk).into_iter().map(f64::abs).fold(0.0, f64::max))
                .fold(0.0, f64::max)
        };
        assert!(farthest(Walk::MeanReverting) < 0.05);
        assert!(farthest(Walk::Random) > 0.10);
    }
}
