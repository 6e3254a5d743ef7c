//! The public tape of each instrument as bots see it: the last trades, candles of a minute, the last day.
//!
//! All of it is made from the same prints: those of the tape, and those that paper orders made (unless the public is
//! shown the raw tape). Every venue's tickers, candles and trade lists are read from here.

use std::collections::VecDeque;
use std::time::Duration;

use crate::market::{Group, Instrument, InstrumentId, MarketEvent, Price, Product, Qty, Side, Timestamp};
use crate::sim::PublicTrade;

/// A public trade as the screen shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicPrint {
    /// 1, 2, 3 … of its instrument since the start.
    pub number: u64,
    /// When, by the tape's clock.
    pub at: Timestamp,
    /// The taker's side, where it is known.
    pub aggressor: Option<Side>,
    /// At what price.
    pub price: Price,
    /// How much.
    pub qty: Qty,
    /// Whether paper orders made it.
    pub paper: bool,
}

/// Decimals of [`Candle::per_price`].
pub const PER_PRICE: u32 = 18;

/// What traded in a span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candle {
    /// When the span begins.
    pub at: Timestamp,
    /// The first price; that of the trade before where nothing traded.
    pub open: Price,
    /// The highest price.
    pub high: Price,
    /// The lowest price.
    pub low: Price,
    /// The last price.
    pub close: Price,
    /// How much, in the instrument's quantity unit.
    pub qty: Qty,
    /// The sum of price × quantity, in units of the instrument's price scale times its quantity scale.
    pub turnover: i128,
    /// The sum of quantity / price in [`PER_PRICE`] of a unit of the quantity scale by one of the price scale, each trade
    /// down to that: what inverse contracts came to in base. Of other instruments zero.
    pub per_price: i128,
    /// How many trades.
    pub trades: u64,
}

impl Candle {
    /// Nothing traded, and this was the last price.
    const fn flat(at: Timestamp, price: Price) -> Self {
        let (open, high, low, close) = (price, price, price, price);
        Self { at, open, high, low, close, qty: Qty::ZERO, turnover: 0, per_price: 0, trades: 0 }
    }

    fn add(&mut self, price: Price, qty: Qty, inverse: bool) {
        if self.trades == 0 {
            (self.open, self.high, self.low) = (price, price, price);
        }
        (self.high, self.low, self.close) = (self.high.max(price), self.low.min(price), price);
        self.qty += qty;
        self.turnover += i128::from(price.units()) * i128::from(qty.units());
        if inverse && price.units() > 0 {
            self.per_price += i128::from(qty.units()) * 10_i128.pow(PER_PRICE) / i128::from(price.units());
        }
        self.trades += 1;
    }

    /// Adds what traded later in the same span.
    fn join(&mut self, later: &Self) {
        if later.trades == 0 {
            return;
        }
        if self.trades == 0 {
            (self.open, self.high, self.low) = (later.open, later.high, later.low);
        }
        (self.high, self.low, self.close) = (self.high.max(later.high), self.low.min(later.low), later.close);
        self.qty += later.qty;
        self.turnover += later.turnover;
        self.per_price += later.per_price;
        self.trades += later.trades;
    }
}

/// How many public trades are remembered for each instrument.
const REMEMBERED: usize = 1_000;
/// How many minutes are remembered for each instrument: a week.
const MINUTES: usize = 7 * 24 * 60;
const MINUTE: i64 = 60_000_000_000;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Debug, Default)]
struct Tape {
    last: VecDeque<PublicPrint>,
    count: u64,
    /// Minutes in which something traded, oldest first.
    minutes: VecDeque<Candle>,
}

impl Tape {
    fn push(&mut self, print: PublicPrint, inverse: bool) {
        self.count += 1;
        if self.last.len() == REMEMBERED {
            self.last.pop_front();
        }
        self.last.push_back(PublicPrint { number: self.count, ..print });
        let minute = floor(print.at, MINUTE, 0);
        match self.minutes.back_mut() {
            Some(last) if last.at >= minute => last.add(print.price, print.qty, inverse),
            _ => {
                if self.minutes.len() == MINUTES {
                    self.minutes.pop_front();
                }
                let mut candle = Candle::flat(minute, print.price);
                candle.add(print.price, print.qty, inverse);
                self.minutes.push_back(candle);
            }
        }
    }
}

/// The start of the span of `step` nanoseconds that `time` is in; spans are counted from the epoch plus `anchor`.
fn floor(time: Timestamp, step: i64, anchor: i64) -> Timestamp {
    let since = time.nanos().saturating_sub(anchor);
    Timestamp::from_nanos(since.saturating_sub(since.rem_euclid(step)).saturating_add(anchor))
}

/// The public tape of each instrument.
#[derive(Debug, Default)]
pub(super) struct Prints {
    by_instrument: Vec<Tape>,
    /// Whose contracts are inverse.
    inverse: Vec<bool>,
    /// The public is shown the raw tape: what paper orders made is not in it.
    tape_only: bool,
}

impl Prints {
    /// Nothing yet of these instruments; `tape_only` where paper trades are not shown.
    pub(super) fn new<'a>(instruments: impl Iterator<Item = &'a Instrument>, tape_only: bool) -> Self {
        let inverse = instruments.map(|one| matches!(one.product, Product::Inverse { .. })).collect();
        Self { inverse, tape_only, ..Self::default() }
    }

    fn push(&mut self, instrument: InstrumentId, print: PublicPrint) {
        let index = instrument.index();
        if self.by_instrument.len() <= index {
            self.by_instrument.resize_with(index + 1, Tape::default);
        }
        let inverse = self.inverse.get(index).copied().unwrap_or_default();
        self.by_instrument[index].push(print, inverse);
    }

    /// Remembers the prints of a group.
    pub(super) fn see_group(&mut self, now: Timestamp, group: &Group<'_>) {
        for event in group.events {
            if let MarketEvent::Trade(print) = event
                && !print.qty.is_zero()
            {
                let (aggressor, price, qty) = (print.aggressor, print.price, print.qty);
                let print = PublicPrint { number: 0, at: now, aggressor, price, qty, paper: false };
                self.push(group.instrument, print);
            }
        }
    }

    /// Remembers a print that paper orders made.
    pub(super) fn see_paper(&mut self, at: Timestamp, trade: &PublicTrade) {
        if self.tape_only {
            return;
        }
        let PublicTrade { instrument, aggressor, price, qty } = *trade;
        let print = PublicPrint { number: 0, at, aggressor: Some(aggressor), price, qty, paper: true };
        self.push(instrument, print);
    }

    fn tape(&self, instrument: InstrumentId) -> Option<&Tape> {
        self.by_instrument.get(instrument.index())
    }

    /// The last trades of an instrument, newest first.
    pub(super) fn last(&self, instrument: InstrumentId) -> impl Iterator<Item = &PublicPrint> {
        self.tape(instrument).into_iter().flat_map(|tape| tape.last.iter().rev())
    }

    /// How many trades there were of an instrument.
    pub(super) fn count(&self, instrument: InstrumentId) -> u64 {
        self.tape(instrument).map_or(0, |tape| tape.count)
    }

    /// Candles of `step` whose start is in `from..=to`, oldest first, none left out between the first trade and `to`.
    pub(super) fn candles(
        &self,
        instrument: InstrumentId,
        step: Duration,
        anchor: Duration,
        (from, to): (Timestamp, Timestamp),
    ) -> Vec<Candle> {
        let nanos = |time: Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
        let (step, anchor) = (nanos(step).max(MINUTE), nanos(anchor));
        let Some(tape) = self.tape(instrument) else { return Vec::new() };
        let mut candles: Vec<Candle> = Vec::new();
        for minute in &tape.minutes {
            let at = floor(minute.at, step, anchor);
            if at > to {
                break;
            }
            fill(&mut candles, at, step);
            match candles.last_mut() {
                Some(last) if last.at == at => last.join(minute),
                _ => candles.push(Candle { at, ..*minute }),
            }
        }
        fill(&mut candles, Timestamp::from_nanos(floor(to, step, anchor).nanos().saturating_add(step)), step);
        candles.retain(|candle| candle.at >= from);
        candles
    }

    /// What traded in the 24 hours up to `now`; `None` where nothing ever did.
    pub(super) fn day(&self, instrument: InstrumentId, now: Timestamp) -> Option<Candle> {
        let tape = self.tape(instrument)?;
        let since = floor(now.minus(DAY), MINUTE, 0);
        let before = tape.minutes.iter().rev().find(|minute| minute.at <= since);
        let open = before.map(|minute| minute.close).or(tape.minutes.front().map(|minute| minute.open))?;
        let mut day = Candle::flat(since, open);
        tape.minutes.iter().filter(|minute| minute.at > since).for_each(|minute| day.join(minute));
        // What it cost 24 hours ago, though it traded again only later.
        Some(Candle { open, ..day })
    }
}

/// Flat candles up to the one before `at`, where there is one to be flat after. A hole of more than a week is not
/// filled: what is before it is forgotten.
fn fill(candles: &mut Vec<Candle>, at: Timestamp, step: i64) {
    let Some(last) = candles.last().copied() else { return };
    let missing = at.nanos_since(last.at) / step - 1;
    if missing > MINUTES as i64 {
        candles.clear();
        return;
    }
    let later = |by: i64| Timestamp::from_nanos(last.at.nanos().saturating_add(step.saturating_mul(by)));
    candles.extend((1..=missing).map(|by| Candle::flat(later(by), last.close)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(prints: &[(i64, i64, i64)]) -> Prints {
        let mut seen = Prints::default();
        for (seconds, price, qty) in prints {
            let trade = PublicTrade {
                instrument: InstrumentId(0),
                aggressor: Side::Buy,
                price: Price::from_units(*price),
                qty: Qty::from_units(*qty),
            };
            seen.see_paper(at(*seconds), &trade);
        }
        seen
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000)
    }

    fn shown(candles: &[Candle]) -> Vec<String> {
        let one = |c: &Candle| {
            let prices = [c.open, c.high, c.low, c.close].map(|price| price.units().to_string()).join(" ");
            format!(
                "{}s {prices} qty {} turnover {}",
                c.at.nanos() / 1_000_000_000,
                c.qty.units(),
                c.turnover
            )
        };
        candles.iter().map(one).collect()
    }

    #[test]
    fn candles_have_no_holes_and_join_to_longer_ones() {
        let seen = seen(&[(61, 100, 2), (70, 105, 1), (119, 99, 1), (245, 101, 3)]);
        let of = |step: u64, from: i64, to: i64| {
            let (step, span) = (Duration::from_secs(step), (at(from), at(to)));
            shown(&seen.candles(InstrumentId(0), step, Duration::ZERO, span))
        };
        let minutes = [
            "60s 100 105 99 99 qty 4 turnover 404",
            "120s 99 99 99 99 qty 0 turnover 0",
            "180s 99 99 99 99 qty 0 turnover 0",
            "240s 101 101 101 101 qty 3 turnover 303",
            "300s 101 101 101 101 qty 0 turnover 0",
        ];
        assert_eq!(of(60, 0, 300), minutes);
        assert_eq!(of(60, 120, 299), minutes[1..4]);
        assert_eq!(of(300, 0, 299), ["0s 100 105 99 101 qty 7 turnover 707"]);
        assert!(of(60, 600, 500).is_empty());
        let weeks = seen.candles(
            InstrumentId(0),
            Duration::from_secs(7 * 86_400),
            Duration::from_secs(4 * 86_400),
            (Timestamp::MIN, at(300)),
        );
        assert_eq!(weeks[0].at, at(-3 * 86_400), "a week begins on Monday");
        assert!(seen.candles(InstrumentId(9), DAY, Duration::ZERO, (at(0), at(300))).is_empty());
    }

    #[test]
    fn a_day_is_the_last_24_hours() {
        let day = 86_400;
        let of = |seen: &Prints, now: i64| {
            seen.day(InstrumentId(0), at(now)).map(|day| shown(&[day])[0].clone()).unwrap_or_default()
        };
        let young = seen(&[(30, 90, 1)]);
        assert_eq!(of(&young, 30), "-86400s 90 90 90 90 qty 1 turnover 90", "the first price is the open");
        let seen = seen(&[(30, 90, 1), (day, 100, 2), (day + 90, 110, 1)]);
        assert_eq!(of(&seen, day + 90), "60s 90 110 100 110 qty 3 turnover 310");
        assert_eq!(seen.day(InstrumentId(1), at(0)), None);
        assert_eq!(seen.count(InstrumentId(0)), 3);
        assert_eq!(seen.last(InstrumentId(0)).next().map(|print| print.number), Some(3));
    }

    #[test]
    fn inverse_contracts_are_summed_in_base() {
        let mut seen = Prints { inverse: vec![true], ..Prints::default() };
        for (price, qty) in [(60_000, 100), (50_000, 200)] {
            let (price, qty) = (Price::from_units(price), Qty::from_units(qty));
            let instrument = InstrumentId(0);
            seen.see_paper(at(1), &PublicTrade { instrument, aggressor: Side::Buy, price, qty });
            seen.see_paper(
                at(1),
                &PublicTrade { instrument: InstrumentId(1), aggressor: Side::Buy, price, qty },
            );
        }
        // 100 / 60,000 + 200 / 50,000.
        let sums = [0, 1].map(|id| seen.day(InstrumentId(id), at(1)).map(|day| day.per_price));
        assert_eq!(sums, [Some(1_666_666_666_666_666 + 4_000_000_000_000_000), Some(0)]);
    }

    #[test]
    fn the_raw_tape_has_no_paper_trades() {
        let mut seen = Prints::new(std::iter::empty(), true);
        let (price, qty) = (Price::from_units(1), Qty::from_units(1));
        seen.see_paper(at(1), &PublicTrade { instrument: InstrumentId(0), aggressor: Side::Buy, price, qty });
        assert_eq!(seen.count(InstrumentId(0)), 0);
    }
}
