//! What a run is measured by: returns, drawdown, Sharpe and Sortino ratio of its equity, and the wins of its trades.
//!
//! Equity is exact; what is made of its returns is statistics and counted in floats, with operations that give the same
//! bits everywhere.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

/// Equity over time, sample by sample. It does not keep the samples.
#[derive(Clone, Debug, Default)]
pub(super) struct Equity {
    /// How many samples.
    pub(super) samples: u64,
    pub(super) first: Option<Decimal>,
    pub(super) last: Decimal,
    peak: Decimal,
    /// The largest fall from a peak, in percent of it.
    worst: Decimal,
    /// Of the returns between samples: how many, their sum, the sum of squares about the mean (Welford 1962), the sum
    /// of squares of the negative ones.
    returns: u64,
    mean: f64,
    squares: f64,
    downside: f64,
}

impl Equity {
    /// A sample; returns how far it is below the peak so far.
    pub(super) fn add(&mut self, equity: Decimal) -> Decimal {
        if self.first.is_some() {
            self.add_return(equity);
        }
        self.samples += 1;
        self.first.get_or_insert(equity);
        self.peak = if self.samples == 1 { equity } else { self.peak.max(equity) };
        self.last = equity;
        let fall = self.peak - equity;
        if let Some(share) = fall.checked_div(self.peak)
            && self.peak > Decimal::ZERO
        {
            self.worst = self.worst.max(share.saturating_mul(Decimal::ONE_HUNDRED));
        }
        fall.normalize()
    }

    fn add_return(&mut self, equity: Decimal) {
        let change = (equity - self.last).checked_div(self.last).and_then(|change| change.to_f64());
        let Some(change) = change else { return };
        self.returns += 1;
        let off = change - self.mean;
        self.mean += off / self.returns as f64;
        self.squares += off * (change - self.mean);
        let loss = change.min(0.0);
        self.downside += loss * loss;
    }

    /// The largest fall from a peak, in percent of the peak; `None` without a sample.
    pub(super) fn max_drawdown_pct(&self) -> Option<Decimal> {
        (self.samples > 0).then(|| self.worst.round_dp(12).normalize())
    }

    /// (end − start) / start, in percent; `None` where it starts with nothing.
    pub(super) fn return_pct(&self) -> Option<Decimal> {
        let first = self.first?;
        let share = (self.last - first).checked_div(first)?.checked_mul(Decimal::ONE_HUNDRED)?;
        Some(share.round_dp(12).normalize())
    }

    /// Mean return over the sample deviation of returns, times √(intervals in 365 days).
    pub(super) fn sharpe(&self, intervals: f64) -> Option<f64> {
        let freedom = self.returns.checked_sub(1).filter(|freedom| *freedom > 0)?;
        let deviation = libm::sqrt(self.squares / freedom as f64);
        ratio(self.mean, deviation, intervals)
    }

    /// The same over the downside deviation with target 0: √(Σ min(return, 0)² / (n − 1)).
    pub(super) fn sortino(&self, intervals: f64) -> Option<f64> {
        let freedom = self.returns.checked_sub(1).filter(|freedom| *freedom > 0)?;
        let deviation = libm::sqrt(self.downside / freedom as f64);
        ratio(self.mean, deviation, intervals)
    }
}

fn ratio(mean: f64, deviation: f64, intervals: f64) -> Option<f64> {
    let ratio = mean / deviation * libm::sqrt(intervals);
    (deviation > 0.0 && ratio.is_finite()).then_some(ratio)
}

/// What closed quantities earned.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Closed {
    count: u64,
    wins: u64,
    won: i128,
    lost: i128,
}

impl Closed {
    pub(super) fn add(&mut self, gain: i128) {
        self.count += 1;
        if gain > 0 {
            self.wins += 1;
            self.won += gain;
        } else {
            self.lost -= gain;
        }
    }

    /// The share of closed quantities that earned something.
    pub(super) fn win_rate(&self) -> Option<Decimal> {
        let share = Decimal::from(self.wins).checked_div(Decimal::from(self.count))?;
        Some(share.round_dp(12).normalize())
    }

    /// What the winning ones earned over what the others lost; `None` without a loss.
    pub(super) fn profit_factor(&self) -> Option<Decimal> {
        let money = |money: i128| Decimal::try_from_i128_with_scale(money, 0).ok();
        let factor = money(self.won)?.checked_div(money(self.lost)?)?;
        Some(factor.round_dp(12).normalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn equity(samples: &[&str]) -> Equity {
        let mut equity = Equity::default();
        samples.iter().for_each(|sample| _ = equity.add(sample.parse().unwrap()));
        equity
    }

    /// Samples, then return %, worst drawdown %, Sharpe and Sortino ratio for one interval a year.
    #[test]
    fn worked_examples() {
        for (samples, return_pct, drawdown, sharpe, sortino) in [
            // Returns 0.1, −0.1, 0.1: mean 1/30, deviation √(0.04/3) = 0.11547; downside √(0.01/2) = 0.0707107.
            (&["100", "110", "99", "108.9"][..], Some("8.9"), "10", Some(0.288_675_134), Some(0.471_404_520)),
            // Never a loss: no downside.
            (&["100", "101", "103.02"], Some("3.02"), "0", Some(2.121_320_343), None),
            // Flat: no deviation.
            (&["100", "100", "100"], Some("0"), "0", None, None),
            // One return has no deviation.
            (&["200", "100"], Some("-50"), "50", None, None),
            (&["0", "100"], None, "0", None, None),
            (&["50"], Some("0"), "0", None, None),
        ] {
            let equity = equity(samples);
            let decimal = |text: &str| text.parse::<Decimal>().unwrap();
            assert_eq!(equity.return_pct(), return_pct.map(decimal), "{samples:?}");
            assert_eq!(equity.max_drawdown_pct(), Some(decimal(drawdown)), "{samples:?}");
            let near = |got: Option<f64>, want: Option<f64>| match (got, want) {
                (Some(got), Some(want)) => (got - want).abs() < 1e-8,
                (got, want) => got.is_none() && want.is_none(),
            };
            assert!(near(equity.sharpe(1.0), sharpe), "{samples:?}: {:?}", equity.sharpe(1.0));
            assert!(near(equity.sortino(1.0), sortino), "{samples:?}: {:?}", equity.sortino(1.0));
        }
    }

    #[test]
    fn four_times_the_intervals_double_the_ratio() {
        let equity = equity(&["100", "110", "99", "108.9"]);
        let (one, four) = (equity.sharpe(1.0).unwrap(), equity.sharpe(4.0).unwrap());
        assert!((four - 2.0 * one).abs() < 1e-12);
    }

    #[test]
    fn wins_and_losses() {
        let closed = |gains: &[i128]| {
            let mut closed = Closed::default();
            gains.iter().for_each(|gain| closed.add(*gain));
            let text = |value: Option<Decimal>| value.map(|value| value.to_string());
            (text(closed.win_rate()), text(closed.profit_factor()))
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(closed(&[]), (None, None));
        assert_eq!(closed(&[30, -10, -5, 0]), (some("0.25"), some("2")));
        assert_eq!(closed(&[30]), (some("1"), None));
        assert_eq!(closed(&[-3]), (some("0"), some("0")));
    }
}
