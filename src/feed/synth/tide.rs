//! The slow part of the fair price of hours: it comes and goes smoothly, so that a day has highs and lows as a real one
//! has, without a rougher path from second to second.
//!
//! Never here: what makes the price move within minutes (`model`).

use super::Walk;
use super::dice::Dice;

/// The market opens at rest: the tide sets in after so many microseconds.
const OPENING: i64 = 600 * 1_000_000;
/// The usual height, as a share of the price: the day of a large coin goes one or two percent to either side.
const HEIGHT: f64 = 0.008;
/// The seconds in which it turns.
const TURN: f64 = 3_600.0;

/// A height that noise pushes and that swings back, critically damped: x″ = −2x′/τ − x/τ² + q·noise, whose usual height is
/// √(q²τ³/4). Without anything that draws it back only its speed dies away.
pub(super) struct Tide {
    dice: Dice,
    draws_back: bool,
    /// Of the price, in ticks.
    usual: f64,
    /// Ticks above the price that the market opened at.
    height: f64,
    /// Ticks a second.
    speed: f64,
}

impl Tide {
    /// At rest. `price` is in ticks.
    pub(super) fn new((seed, symbol): (u64, &str), price: f64, walk: Walk) -> Self {
        let dice = Dice::new(seed, &format!("tide of {symbol}"));
        let draws_back = walk == Walk::MeanReverting;
        Self { dice, draws_back, usual: HEIGHT * price, height: 0.0, speed: 0.0 }
    }

    /// After `wait` seconds, at `now` (microseconds since the market opened): how many ticks above the opening price.
    pub(super) fn pass(&mut self, wait: f64, now: i64) -> f64 {
        if now >= OPENING {
            let noise = 2.0 * self.usual / (TURN * TURN.sqrt());
            let back = if self.draws_back { self.height / (TURN * TURN) } else { 0.0 };
            self.speed -= (2.0 * self.speed / TURN + back) * wait;
            self.speed += noise * wait.sqrt() * self.dice.normal();
            self.height += self.speed * wait;
        }
        self.height
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The heights of a week, minute by minute, as shares of the price.
    fn week(seed: u64, walk: Walk) -> Vec<f64> {
        let mut tide = Tide::new((seed, "BTC_USDT"), 1e6, walk);
        (0..7 * 24 * 60).map(|minute| tide.pass(60.0, minute * 60_000_000) / 1e6).collect()
    }

    #[test]
    fn it_is_as_high_as_it_says() {
        let (mut squares, mut count) = (0.0, 0.0);
        for seed in 0..20 {
            let heights = week(seed, Walk::MeanReverting);
            assert!(heights[..10].iter().all(|height| *height == 0.0), "it opens at rest");
            let step = heights.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f64::max);
            assert!(step < 0.001, "seed {seed}: {step} in a minute");
            squares += heights.iter().map(|height| height * height).sum::<f64>();
            count += heights.len() as f64;
        }
        let usual = (squares / count).sqrt();
        assert!((0.006..0.010).contains(&usual), "{usual}");
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
