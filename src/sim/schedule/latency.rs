//! How long a request and its answer travel.

use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use crate::market::Timestamp;
use crate::sim::{LatencyModel, LatencySample};

/// A latency model with its generator (ChaCha8, seeded; the same draws on every machine).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Latency {
    model: LatencyModel,
    generator: ChaCha8Rng,
}

impl Latency {
    pub(crate) fn new(model: LatencyModel, seed: u64) -> Self {
        Self { model, generator: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// How far the generator has gone.
    pub(crate) fn drawn(&self) -> u128 {
        self.generator.get_word_pos()
    }

    /// When what is sent at `now` reaches the exchange.
    #[inline(always)]
    pub(crate) fn reached(&mut self, now: Timestamp) -> Timestamp {
        if matches!(self.model, LatencyModel::None) { now } else { now.plus(self.entry(now)) }
    }

    /// When what the exchange says at `at` is back.
    #[inline(always)]
    pub(crate) fn back(&mut self, at: Timestamp) -> Timestamp {
        if matches!(self.model, LatencyModel::None) { at } else { at.plus(self.response(at)) }
    }

    #[inline(never)]
    fn entry(&mut self, now: Timestamp) -> Duration {
        self.sample(now, |sample| sample.entry, |entry, _| entry)
    }

    #[inline(never)]
    fn response(&mut self, now: Timestamp) -> Duration {
        self.sample(now, |sample| sample.response, |_, response| response)
    }

    fn sample(
        &mut self,
        now: Timestamp,
        observed: impl Fn(&LatencySample) -> Duration,
        constant: impl Fn(Duration, Duration) -> Duration,
    ) -> Duration {
        match &self.model {
            LatencyModel::None => Duration::ZERO,
            LatencyModel::Constant { entry, response } => constant(*entry, *response),
            LatencyModel::LogNormal { median, sigma } => {
                let factor = libm::exp(sigma.0 * normal(&mut self.generator));
                scale(*median, factor)
            }
            LatencyModel::Measured(samples) => interpolate(samples, now, observed),
        }
    }
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a drawn latency is no money"
)]
fn scale(median: Duration, factor: f64) -> Duration {
    Duration::from_nanos(libm::round(median.as_nanos() as f64 * factor) as u64)
}

/// A standard normal draw (Box and Muller), from 53-bit uniforms.
#[allow(clippy::cast_precision_loss, reason = "53 bits are what a float holds")]
fn normal(generator: &mut ChaCha8Rng) -> f64 {
    let mut uniform = || ((generator.next_u64() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    let (radius, angle) = (uniform(), uniform());
    libm::sqrt(-2.0 * libm::log(radius)) * libm::cos(std::f64::consts::TAU * angle)
}

/// Between the observations before and after `now`, in proportion; outside them, the nearest.
fn interpolate(
    samples: &[LatencySample],
    now: Timestamp,
    of: impl Fn(&LatencySample) -> Duration,
) -> Duration {
    let after = samples.partition_point(|sample| sample.sent <= now);
    let before = after.checked_sub(1).and_then(|at| samples.get(at));
    match (before, samples.get(after)) {
        (Some(a), Some(b)) => {
            let (from, to) = (of(a).as_nanos(), of(b).as_nanos());
            let span = now_nanos(a.sent, b.sent).max(1);
            let done = now_nanos(a.sent, now);
            let mixed = (from * (span - done) + to * done) / span;
            Duration::from_nanos(u64::try_from(mixed).unwrap_or(u64::MAX))
        }
        (Some(sample), None) | (None, Some(sample)) => of(sample),
        (None, None) => Duration::ZERO,
    }
}

fn now_nanos(from: Timestamp, to: Timestamp) -> u128 {
    u128::try_from(to.nanos_since(from)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measured_latency_is_interpolated() {
        let sample = |sent, entry, response| LatencySample {
            sent: Timestamp::from_millis(sent),
            entry: Duration::from_millis(entry),
            response: Duration::from_millis(response),
        };
        let model = LatencyModel::Measured(vec![sample(0, 10, 4), sample(100, 20, 8)]);
        let mut latency = Latency::new(model, 1);
        for (now, entry, response) in [(-5, 10, 4), (0, 10, 4), (50, 15, 6), (100, 20, 8), (500, 20, 8)] {
            let now = Timestamp::from_millis(now);
            let got = (latency.entry(now), latency.response(now));
            assert_eq!(got, (Duration::from_millis(entry), Duration::from_millis(response)), "{now}");
        }
    }

    #[test]
    fn log_normal_latency_has_its_median_and_repeats() {
        let model = LatencyModel::LogNormal { median: Duration::from_millis(10), sigma: 0.5.into() };
        let draw = |seed| {
            let mut latency = Latency::new(model.clone(), seed);
            let mut all: Vec<_> = (0..2_001).map(|_| latency.entry(Timestamp::MIN)).collect();
            let first = all[0];
            all.sort();
            (first, all[1_000])
        };
        let (first, median) = draw(7);
        assert_eq!(draw(7), (first, median));
        assert_ne!(draw(8).0, first);
        assert!((9_300..10_700).contains(&median.as_micros()), "{median:?}");
    }
}
