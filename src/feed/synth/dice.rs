//! Random draws that are the same on every platform: ChaCha8, and the logarithm and cosine of the libm crate.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A seeded source of draws.
#[derive(Clone, Debug)]
pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    /// The draws of one symbol under a seed: adding another symbol to a market changes nothing here.
    pub(super) fn new(seed: u64, symbol: &str) -> Self {
        let of_symbol = xxhash_rust::xxh3::xxh3_64(symbol.as_bytes());
        Self(ChaCha8Rng::seed_from_u64(seed ^ of_symbol))
    }

    /// Evenly from 0 (included) to 1 (not included).
    pub(super) fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Whether something of this probability happens.
    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Evenly from `from` to `to`.
    pub(super) fn between(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * self.unit()
    }

    /// Exponential with this mean.
    pub(super) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * libm::log(1.0 - self.unit())
    }

    /// Standard normal (Box and Muller 1958).
    pub(super) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * libm::log(1.0 - self.unit())).sqrt();
        radius * libm::cos(std::f64::consts::TAU * self.unit())
    }

    /// Log-normal around this median.
    pub(super) fn log_normal(&mut self, median: f64, sigma: f64) -> f64 {
        median * libm::exp(sigma * self.normal())
    }

    /// How often in a row something of this probability happens: 0, 1, 2 …
    pub(super) fn run(&mut self, probability: f64) -> i64 {
        (libm::log(1.0 - self.unit()) / libm::log(probability)) as i64
    }
}
