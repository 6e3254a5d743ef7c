//! The built-in strategies by name, and their parameters: what there is, what it defaults to, what may be typed.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use rust_decimal::Decimal;

use super::{GridQuoter, PerpetualMarketMaking, PureMarketMaking, Strategy, StrategyError, Twap};
use crate::market::decimal::parse_units;

/// One parameter of a strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub key: &'static str,
    /// What it is where nobody sets it.
    pub default: &'static str,
    /// What it means, with its unit.
    pub what: &'static str,
}

/// Makes a strategy from its values.
pub type Build = fn(&Values) -> Result<Box<dyn Strategy>, StrategyError>;

/// A built-in strategy.
#[derive(Clone, Copy, Debug)]
pub struct StrategyKind {
    /// Its name.
    pub name: &'static str,
    /// What it does, in one line.
    pub what: &'static str,
    /// Its parameters.
    pub parameters: &'static [Parameter],
    /// Makes it from its values.
    pub build: Build,
}

const fn parameter(key: &'static str, default: &'static str, what: &'static str) -> Parameter {
    Parameter { key, default, what }
}

/// What stands for an amount that is left to the market's rules.
const SMALLEST: &str = "smallest legal x 10";

/// Every built-in strategy.
pub const STRATEGIES: &[StrategyKind] = &[
    StrategyKind {
        name: "pure_market_making",
        what: "bids and asks around the mid, placed anew again and again (Hummingbot's)",
        parameters: &[
            parameter("bid_spread", "0.1", "distance of the first bid from the price, percent"),
            parameter("ask_spread", "0.1", "distance of the first ask from the price, percent"),
            parameter("order_amount", SMALLEST, "amount of the first level, in the quantity unit"),
            parameter(
                "order_refresh_time",
                "30",
                "after so many seconds orders are cancelled and placed anew",
            ),
            parameter(
                "order_refresh_tolerance_pct",
                "-1",
                "orders whose prices would move by no more than so many percent stay; below 0: none",
            ),
            parameter("order_levels", "1", "orders on each side"),
            parameter("order_level_spread", "1", "further distance of each further level, percent"),
            parameter("order_level_amount", "0", "what each further level is larger by"),
            parameter(
                "filled_order_delay",
                "60",
                "seconds after a complete fill before orders are placed again",
            ),
            parameter(
                "minimum_spread",
                "-100",
                "orders nearer to the price than so many percent are cancelled",
            ),
            parameter(
                "price_type",
                "mid_price",
                "mid_price, best_bid, best_ask, last_price or last_own_trade_price",
            ),
            parameter("inventory_skew_enabled", "false", "whether amounts lean towards the wanted inventory"),
            parameter(
                "inventory_target_base_pct",
                "50",
                "wanted share of base in the account's value, percent",
            ),
            parameter(
                "inventory_range_multiplier",
                "1",
                "how far off the target amounts lean all the way, in total order amounts",
            ),
        ],
        build: |values| Ok(Box::new(PureMarketMaking::new(values)?)),
    },
    StrategyKind {
        name: "perpetual_market_making",
        what: "bids and asks around the mid of a contract; a position is closed at a profit or a loss (Hummingbot's)",
        parameters: &[
            parameter("leverage", "10", "how many times its margin a position may be worth"),
            parameter("position_mode", "One-way", "One-way or Hedge"),
            parameter("bid_spread", "0.1", "distance of the first bid from the price, percent"),
            parameter("ask_spread", "0.1", "distance of the first ask from the price, percent"),
            parameter(
                "minimum_spread",
                "-100",
                "orders nearer to the price than so many percent are cancelled",
            ),
            parameter(
                "order_refresh_time",
                "30",
                "after so many seconds orders are cancelled and placed anew",
            ),
            parameter(
                "order_refresh_tolerance_pct",
                "0",
                "orders whose prices would move by no more than so many percent stay; below 0: none",
            ),
            parameter("order_amount", SMALLEST, "amount of the first level, in the quantity unit"),
            parameter(
                "long_profit_taking_spread",
                "0.5",
                "a long position is closed so many percent above its entry price",
            ),
            parameter(
                "short_profit_taking_spread",
                "0.5",
                "a short position is closed so many percent below its entry price",
            ),
            parameter(
                "stop_loss_spread",
                "2",
                "a position is closed at a loss of so many percent of its entry price",
            ),
            parameter(
                "time_between_stop_loss_orders",
                "60",
                "seconds before an order that closes at a loss is placed anew",
            ),
            parameter(
                "stop_loss_slippage_buffer",
                "0.5",
                "an order that closes at a loss is so many percent worse than its price",
            ),
            parameter("price_ceiling", "-1", "no bids at or above this price; -1: any"),
            parameter("price_floor", "-1", "no asks at or below this price; -1: any"),
            parameter("order_levels", "1", "orders on each side"),
            parameter("order_level_amount", "0", "what each further level is larger by"),
            parameter("order_level_spread", "1", "further distance of each further level, percent"),
            parameter(
                "filled_order_delay",
                "60",
                "seconds after a complete fill before orders are placed again, and between two orders that close",
            ),
            parameter(
                "price_type",
                "mid_price",
                "mid_price, best_bid, best_ask, last_price or last_own_trade_price",
            ),
        ],
        build: |values| Ok(Box::new(PerpetualMarketMaking::new(values)?)),
    },
    StrategyKind {
        name: "twap",
        what: "trades an amount in equal slices at equal intervals",
        parameters: &[
            parameter("side", "buy", "buy or sell"),
            parameter("total_amount", SMALLEST, "all that is traded, in the quantity unit"),
            parameter("slices", "10", "in so many orders"),
            parameter("interval", "60", "seconds between two slices"),
            parameter("order_type", "limit", "limit, limit_maker or market"),
            parameter(
                "price_offset_ticks",
                "0",
                "limit: so many ticks from the own side's best towards the market; negative: away from it",
            ),
        ],
        build: |values| Ok(Box::new(Twap::new(values)?)),
    },
    StrategyKind {
        name: "grid_quoter",
        what: "one post-only bid and ask a few ticks around the mid (the rule of the benchmark)",
        parameters: &[
            parameter("k", "2", "ticks from the mid"),
            parameter("requote_ms", "100", "milliseconds between two looks"),
            parameter("qty", "100", "amount of each order, in the quantity unit"),
            parameter("max_pos", "5000", "no more is bought at this position, nor sold at minus this"),
        ],
        build: |values| Ok(Box::new(GridQuoter::new(values)?)),
    },
];

/// The built-in strategy of that name.
pub fn find(name: &str) -> Result<&'static StrategyKind, StrategyError> {
    let found = STRATEGIES.iter().find(|kind| kind.name == name);
    found.ok_or_else(|| StrategyError::Unknown {
        name: name.to_owned(),
        known: STRATEGIES.iter().map(|kind| kind.name).collect::<Vec<_>>().join(", "),
    })
}

/// Parameters as they were typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// Sets one; the last word counts.
    pub fn set(&mut self, key: &str, value: &str) {
        self.0.insert(key.to_owned(), value.to_owned());
    }

    /// Sets one that was typed as `KEY=VALUE`.
    pub fn set_pair(&mut self, text: &str) -> Result<(), StrategyError> {
        match text.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => {
                self.set(key.trim(), value.trim());
                Ok(())
            }
            _ => Err(StrategyError::NotAPair(text.to_owned())),
        }
    }
}

impl StrategyKind {
    /// All parameters with their values; an unknown one is refused with the list of those that there are.
    pub fn values(&self, typed: &Parameters) -> Result<Values, StrategyError> {
        if let Some(key) = typed.0.keys().find(|key| !self.parameters.iter().any(|known| known.key == **key))
        {
            let known: Vec<&str> = self.parameters.iter().map(|known| known.key).collect();
            let (strategy, known) = (self.name, known.join(", "));
            return Err(StrategyError::UnknownKey { strategy, key: key.clone(), known });
        }
        let value = |known: &Parameter| {
            let typed = typed.0.get(known.key).cloned();
            (known.key, typed.unwrap_or_else(|| known.default.to_owned()))
        };
        Ok(Values(self.parameters.iter().map(value).collect()))
    }

    /// The strategy with these values.
    pub fn build(&self, values: &Values) -> Result<Box<dyn Strategy>, StrategyError> {
        (self.build)(values)
    }
}

/// The values of all parameters of a strategy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Values(Vec<(&'static str, String)>);

impl Values {
    /// Each with its value as text, in the strategy's order.
    pub fn all(&self) -> &[(&'static str, String)] {
        &self.0
    }

    /// The text of one.
    pub(super) fn text(&self, key: &str) -> &str {
        self.0.iter().find(|(known, _)| *known == key).map_or("", |(_, value)| value)
    }

    fn wrong(&self, key: &'static str, must: impl Into<String>) -> StrategyError {
        StrategyError::Value { key, value: self.text(key).to_owned(), must: must.into() }
    }

    pub(super) fn decimal(&self, key: &'static str) -> Result<Decimal, StrategyError> {
        let number = Decimal::from_str_exact(self.text(key)).ok();
        number.map(|number| number.normalize()).ok_or_else(|| self.wrong(key, "must be a number"))
    }

    pub(super) fn positive(&self, key: &'static str) -> Result<Decimal, StrategyError> {
        self.decimal(key)
            .ok()
            .filter(|number| *number > Decimal::ZERO)
            .ok_or_else(|| self.wrong(key, "must be a number more than zero"))
    }

    /// A price that may be switched off with -1: then `None`.
    pub(super) fn bound(&self, key: &'static str) -> Result<Option<Decimal>, StrategyError> {
        match self.decimal(key) {
            Ok(number) if number == Decimal::NEGATIVE_ONE => Ok(None),
            Ok(number) if number > Decimal::ZERO => Ok(Some(number)),
            _ => Err(self.wrong(key, "must be a price more than zero, or -1 for none")),
        }
    }

    /// A fraction of what is typed in percent, more than nothing.
    pub(super) fn some_percent(&self, key: &'static str, most: i64) -> Result<Decimal, StrategyError> {
        let fraction = self.percent(key, 0..=most).ok().filter(|fraction| !fraction.is_zero());
        fraction.ok_or_else(|| self.wrong(key, format!("must be a percentage more than 0, up to {most}")))
    }

    /// An amount; `None` where it is left to the market's rules.
    pub(super) fn amount(&self, key: &'static str) -> Result<Option<Decimal>, StrategyError> {
        if self.text(key) == SMALLEST { Ok(None) } else { self.positive(key).map(Some) }
    }

    /// A fraction of what is typed in percent, within a range of percents.
    pub(super) fn percent(
        &self,
        key: &'static str,
        range: RangeInclusive<i64>,
    ) -> Result<Decimal, StrategyError> {
        let (least, most) = (Decimal::from(*range.start()), Decimal::from(*range.end()));
        let number = self.decimal(key).ok().filter(|number| (least..=most).contains(number));
        let fraction = number.map(|number| (number / Decimal::ONE_HUNDRED).normalize());
        fraction.ok_or_else(|| self.wrong(key, format!("must be a percentage from {least} to {most}")))
    }

    pub(super) fn whole(&self, key: &'static str, range: RangeInclusive<i64>) -> Result<i64, StrategyError> {
        let number = self.text(key).parse().ok().filter(|number| range.contains(number));
        let must = || format!("must be a whole number from {} to {}", range.start(), range.end());
        number.ok_or_else(|| self.wrong(key, must()))
    }

    fn time(&self, key: &'static str, decimals: u8, unit: &str) -> Result<Duration, StrategyError> {
        let nanos = parse_units(self.text(key).as_bytes(), decimals).ok();
        let time = nanos.and_then(|nanos| u64::try_from(nanos).ok()).map(Duration::from_nanos);
        time.ok_or_else(|| self.wrong(key, format!("must be a number of {unit}")))
    }

    pub(super) fn seconds(&self, key: &'static str) -> Result<Duration, StrategyError> {
        self.time(key, 9, "seconds")
    }

    /// A time that is not nothing.
    pub(super) fn millis(&self, key: &'static str) -> Result<Duration, StrategyError> {
        let time = self.time(key, 6, "milliseconds").ok().filter(|time| !time.is_zero());
        time.ok_or_else(|| self.wrong(key, "must be a number of milliseconds more than zero"))
    }

    pub(super) fn flag(&self, key: &'static str) -> Result<bool, StrategyError> {
        match self.text(key).to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Ok(true),
            "false" | "no" | "off" | "0" => Ok(false),
            _ => Err(self.wrong(key, "must be true or false")),
        }
    }

    pub(super) fn one_of<T: Copy>(
        &self,
        key: &'static str,
        choices: &[(&str, T)],
    ) -> Result<T, StrategyError> {
        let text = self.text(key).to_ascii_lowercase();
        let found = choices.iter().find(|(name, _)| *name == text).map(|(_, choice)| *choice);
        let names = || choices.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        found.ok_or_else(|| self.wrong(key, format!("must be one of {}", names())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_strategy_can_be_built_with_its_defaults() {
        for kind in STRATEGIES {
            let values = kind.values(&Parameters::default()).unwrap();
            assert_eq!(values.all().len(), kind.parameters.len());
            kind.build(&values).unwrap_or_else(|error| panic!("{}: {error}", kind.name));
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_would() {
        let fault = |name: &str, pair: &str| {
            let mut typed = Parameters::default();
            let built = find(name).and_then(|kind| {
                typed.set_pair(pair)?;
                kind.build(&kind.values(&typed)?).map(drop)
            });
            let error = built.unwrap_err();
            assert!(error.is_usage());
            error.to_string()
        };
        for (name, pair, want) in [
            (
                "market_making",
                "k=1",
                "there are: pure_market_making, perpetual_market_making, twap, grid_quoter",
            ),
            (
                "grid_quoter",
                "kk=1",
                "grid_quoter has no parameter \"kk\" (it has: k, requote_ms, qty, max_pos)",
            ),
            ("grid_quoter", "k", "KEY=VALUE"),
            ("grid_quoter", "k=-1", "must be a whole number from 0"),
            ("grid_quoter", "requote_ms=0", "more than zero"),
            ("grid_quoter", "qty=0", "more than zero"),
            ("pure_market_making", "bid_spread=x", "must be a percentage from 0 to 100"),
            ("pure_market_making", "order_levels=0", "from 1 to"),
            ("pure_market_making", "price_type=fair", "one of mid_price, best_bid"),
            ("pure_market_making", "inventory_skew_enabled=maybe", "true or false"),
            ("perpetual_market_making", "leverage=0", "from 1 to"),
            ("perpetual_market_making", "position_mode=both", "one of one-way, one_way, hedge"),
            ("perpetual_market_making", "stop_loss_spread=0", "more than 0"),
            ("perpetual_market_making", "price_ceiling=0", "more than zero, or -1"),
            ("twap", "side=hold", "one of buy, sell"),
            ("twap", "interval=-3", "must be a number of seconds"),
        ] {
            let error = fault(name, pair);
            assert!(error.contains(want), "{name} {pair}: {error}");
        }
    }
}
