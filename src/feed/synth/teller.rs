//! What is told of a contract beside its market: mark and index each second, the coming funding each minute, and now
//! and then a liquidation, most of them where prices run.
//!
//! The draws are its own: a contract's market is the same with it and without it.

use super::dice::Dice;
use crate::market::{
    EventLog, FinePrice, FundingRate, GroupKind, Instrument, InstrumentId, MarketEvent, News, Price, Qty,
    Side, Timestamp,
};
use crate::sim::FundingTimes;

/// Microseconds between marks, between funding rates.
const MARK_EVERY: i64 = 1_000_000;
const FUNDING_EVERY: i64 = 60_000_000;
/// The mark follows the mid with this time constant, in seconds.
const SMOOTH_TIME: f64 = 10.0;
/// How far the contract stays from its index, as a share, and for how long, in seconds.
const PREMIUM: f64 = 1e-3;
const PREMIUM_TIME: f64 = 3_600.0;
/// The rate is premium + clamp(interest − premium) as the exchanges' pages have it: interest and the clamp of 8 hours,
/// and the largest rate (that of Bitget's BTCUSDT, the tightest of them).
const INTEREST: f64 = 1e-4;
const DAMPER: f64 = 5e-4;
const LARGEST_RATE: f64 = 3e-3;
/// Rates have so many decimals.
const RATE_DECIMALS: u32 = 6;
/// Liquidations a second in a calm market, and how many more for each share of the price that the mid is ahead of
/// the mark.
const LIQUIDATIONS: f64 = 0.01;
const STRESS: f64 = 100.0;

/// What tells it.
pub(super) struct Teller {
    id: InstrumentId,
    dice: Dice,
    tick: i64,
    lot: i64,
    /// Units of a fine price in one of the instrument's price units; 0 where they do not fit.
    fine: i64,
    funding: FundingTimes,
    /// Whether each is told once it is done, too.
    aloud: bool,
    start: Timestamp,
    /// When the next of each is due: microseconds since the start.
    next_mark: i64,
    next_funding: i64,
    /// When funding is settled next.
    due: Timestamp,
    /// The last message, so that no two share a time.
    last: i64,
    /// The mid as it is smoothed, in price units.
    smooth: Option<f64>,
    premium: f64,
    /// The sum of the premium since the last settlement, and how many were summed.
    premiums: (f64, f64),
    /// The usual size of a liquidation, in lots.
    size: f64,
    /// A liquidation that was decided and not told yet.
    pending: Option<(Side, Price, Qty)>,
}

impl Teller {
    /// A teller of a contract; `size` is what usually stands on a level, in lots.
    pub(super) fn new(
        id: InstrumentId,
        instrument: &Instrument,
        (seed, start): (u64, Timestamp),
        (funding, aloud): (FundingTimes, bool),
        size: f64,
    ) -> Self {
        let mut dice = Dice::new(seed, &format!("news of {}", instrument.symbol));
        let places = u32::from(FinePrice::SCALE).checked_sub(u32::from(instrument.price_scale));
        let first = dice.between(100_000.0, 900_000.0) as i64;
        let premium = PREMIUM * dice.normal();
        Self {
            id,
            dice,
            tick: instrument.rule.tick.units(),
            lot: instrument.rule.lot.units(),
            fine: places.map_or(0, |places| 10_i64.pow(places)),
            funding,
            aloud,
            start,
            next_mark: first,
            next_funding: first + 1_000,
            due: funding.next(start),
            last: 0,
            smooth: None,
            premium,
            premiums: (0.0, 0.0),
            size,
            pending: None,
        }
    }

    /// Tells what is due between two messages of the market (microseconds since the start, both not included) at which
    /// the mid was so many ticks.
    pub(super) fn tell(&mut self, (from, to): (i64, i64), mid: f64, out: &mut EventLog) {
        self.last = self.last.max(from);
        loop {
            let settled = self.time_of_due().saturating_add(1_000);
            let liquidation = self.pending.map_or(i64::MAX, |_| self.next_mark - MARK_EVERY / 2);
            let first = self.next_mark.min(self.next_funding).min(liquidation).min(settled);
            let at = first.max(self.last + 1);
            if at >= to {
                return;
            }
            self.last = at;
            if first == settled {
                self.settle(at, out);
            } else if first == self.next_mark {
                self.next_mark += MARK_EVERY;
                self.mark(at, mid * self.tick as f64, out);
            } else if first == self.next_funding {
                self.next_funding += FUNDING_EVERY;
                out.push(MarketEvent::News(News::Funding { rate: self.rate(), due: self.due }));
                self.close(at, None, out);
            } else if let Some((side, price, qty)) = self.pending.take() {
                out.push(MarketEvent::News(News::Liquidation { side, price, qty }));
                self.close(at, None, out);
            }
        }
    }

    /// When funding is due, in microseconds since the start.
    fn time_of_due(&self) -> i64 {
        self.due.nanos_since(self.start) / 1_000
    }

    /// Funding is done: the exchanges that say so say it, and the next one is the coming one.
    fn settle(&mut self, at: i64, out: &mut EventLog) {
        let (rate, due) = (self.rate(), self.due);
        if self.aloud {
            out.push(MarketEvent::News(News::Funding { rate, due }));
            self.close(at, Some(due), out);
        }
        self.due = self.funding.next(due);
        self.premiums = (0.0, 0.0);
        self.next_funding = self.next_funding.min(at + 1_000);
    }

    /// A second has passed: mark and index, and perhaps somebody's end.
    fn mark(&mut self, at: i64, mid: f64, out: &mut EventLog) {
        let seconds = MARK_EVERY as f64 / 1e6;
        let smooth = self.smooth.unwrap_or(mid);
        let smooth = smooth + (mid - smooth) * (seconds / SMOOTH_TIME);
        self.smooth = Some(smooth);
        let spread = PREMIUM * (2.0 * seconds / PREMIUM_TIME).sqrt();
        self.premium += spread * self.dice.normal() - self.premium * seconds / PREMIUM_TIME;
        self.premiums = (self.premiums.0 + self.premium, self.premiums.1 + 1.0);
        let fine = |units: f64| (units.round() as i64).checked_mul(self.fine).filter(|units| *units > 0);
        if let (Some(mark), Some(index)) = (fine(smooth), fine(smooth / (1.0 + self.premium))) {
            out.push(MarketEvent::News(News::Mark(FinePrice::from_units(mark))));
            out.push(MarketEvent::News(News::Index(FinePrice::from_units(index))));
            self.close(at, None, out);
        }
        let ahead = mid / smooth - 1.0;
        if self.dice.chance((LIQUIDATIONS + STRESS * ahead.abs()).min(0.9)) {
            self.pending = Some(self.liquidation(mid, ahead));
        }
    }

    /// Those who were long are sold where prices fall, those who were short are bought where they rise, at the price at
    /// which nothing was left to them.
    fn liquidation(&mut self, mid: f64, ahead: f64) -> (Side, Price, Qty) {
        let side = if ahead < 0.0 { Side::Sell } else { Side::Buy };
        let beyond = self.dice.between(0.000_5, 0.004);
        let price = if side == Side::Sell { mid * (1.0 - beyond) } else { mid * (1.0 + beyond) };
        let ticks = ((price / self.tick as f64) as i64).max(1);
        let lots = (self.dice.log_normal(self.size, 1.0) as i64).max(1);
        (side, Price::from_units(ticks * self.tick), Qty::from_units(lots * self.lot))
    }

    /// The rate of the coming funding: the mean premium so far, drawn towards the interest.
    fn rate(&self) -> FundingRate {
        let premium = if self.premiums.1 > 0.0 { self.premiums.0 / self.premiums.1 } else { self.premium };
        let rate = premium + (INTEREST - premium).clamp(-DAMPER, DAMPER);
        let decimals = 10_i64.pow(RATE_DECIMALS);
        let units = (rate.clamp(-LARGEST_RATE, LARGEST_RATE) * decimals as f64).round() as i64;
        FundingRate::from_units(units * 10_i64.pow(u32::from(FundingRate::SCALE) - RATE_DECIMALS))
    }

    /// Ends a message. Where no time is named, the exchange's is some milliseconds before the receiver's.
    fn close(&mut self, at: i64, time: Option<Timestamp>, out: &mut EventLog) {
        let received = Timestamp::from_nanos(self.start.nanos() + at * 1_000);
        let travel = 4_000_000 + self.dice.exponential(2_000_000.0) as i64;
        let time = time.unwrap_or_else(|| Timestamp::from_millis((received.nanos() - travel) / 1_000_000));
        out.close(self.id, GroupKind::Update, time, received);
    }
}
