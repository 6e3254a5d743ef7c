//! An engine that is too simple to be wrong beside the fast one: same inputs, same updates, same state.
//!
//! `PAPERTAPE_CASES=10000 cargo test --test oracle` plays so many random scenarios (300 where it is not set);
//! `PAPERTAPE_SEED=8812 cargo test --test oracle` plays one again. A failure drops steps as long as the engines still
//! disagree, and prints what is left.
#![allow(unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

#[path = "../common/mod.rs"]
mod common;
mod naive;
mod scenario;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

use papertape::market::Timestamp;
use papertape::sim::{SimConfig, SimulatedExchange, Update, UpdateBody};

use naive::NaiveExchange;
use scenario::{Scenario, Step};

/// Where the engines part, and how.
struct Disagreement {
    step: usize,
    text: String,
}

/// Plays both engines side by side.
fn play(scenario: &Scenario) -> Result<(), Disagreement> {
    let mut fast = SimulatedExchange::new(scenario.config.clone()).expect("sound configurations only");
    let mut slow = NaiveExchange::new(scenario.config.clone());
    let mut now = Timestamp::from_nanos(0);
    let (mut of_fast, mut of_slow) = (Vec::new(), Vec::new());
    for (index, step) in scenario.steps.iter().enumerate() {
        now = Timestamp::from_nanos(now.nanos() + step.after_ns);
        of_fast.clear();
        of_slow.clear();
        let parted = |text: String| Disagreement { step: index, text };
        let guarded = |engine: &str, run: &mut dyn FnMut()| {
            catch_unwind(AssertUnwindSafe(run)).map_err(|cause| {
                let why = cause.downcast_ref::<String>().cloned();
                let why = why.or_else(|| cause.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                parted(format!("{engine} panics: {}", why.unwrap_or_default()))
            })
        };
        guarded("engine", &mut || fast.apply(now, step.input(now), &mut of_fast))?;
        guarded("naive", &mut || slow.apply(now, step.input(now), &mut of_slow))?;
        compare(&of_fast, &of_slow).map_err(parted)?;
        let last = index + 1 == scenario.steps.len();
        if (index % 4 == 0 || last) && fast.state_hash() != slow.state_hash() {
            let mut text = "the states differ".to_owned();
            for account in (1..=3).map(papertape::order::AccountId) {
                let _ = write!(text, "\n  engine {:?}", fast.open_orders(account));
                let _ = write!(text, "\n  naive  {:?}", slow.open_orders(account));
            }
            let _ = write!(text, "\n  naive  {}", slow.dump());
            return Err(parted(text));
        }
    }
    Ok(())
}

fn compare(fast: &[Update], slow: &[Update]) -> Result<(), String> {
    if fast == slow {
        return Ok(());
    }
    let at = fast.iter().zip(slow).take_while(|(a, b)| a == b).count();
    let show =
        |updates: &[Update]| updates.get(at).map_or("nothing".to_owned(), |update| format!("{update:?}"));
    Err(format!("update {at}\n  engine says {}\n  naive says  {}", show(fast), show(slow)))
}

/// Drops steps as long as the engines still disagree.
fn shrink(scenario: &Scenario, mut found: Disagreement) -> (Scenario, Disagreement) {
    let mut smallest = scenario.clone();
    smallest.steps.truncate(found.step + 1);
    let mut chunk = smallest.steps.len() / 2;
    while chunk > 0 {
        let mut from = 0;
        let mut dropped = false;
        while from < smallest.steps.len() {
            let mut smaller = smallest.clone();
            let upto = (from + chunk).min(smaller.steps.len());
            let gone: Vec<Step> = smaller.steps.drain(from..upto).collect();
            if let Some(next) = smaller.steps.get_mut(from) {
                next.after_ns += gone.iter().map(|step| step.after_ns).sum::<i64>();
            }
            match play(&smaller) {
                Err(still) => {
                    smaller.steps.truncate(still.step + 1);
                    (smallest, found, dropped) = (smaller, still, true);
                }
                Ok(()) => from += chunk,
            }
        }
        if !dropped || chunk > 1 {
            chunk /= 2;
        }
    }
    (smallest, found)
}

fn dump(seed: u64, scenario: &Scenario, found: &Disagreement) -> String {
    let mut text =
        format!("replay: PAPERTAPE_SEED={seed} cargo test --test oracle\n\n{}\n", summary(&scenario.config));
    let mut now = Timestamp::from_nanos(0);
    for (index, step) in scenario.steps.iter().enumerate() {
        now = Timestamp::from_nanos(now.nanos() + step.after_ns);
        let _ = writeln!(text, "{}{}", if index == found.step { ">" } else { " " }, step.show(now));
    }
    let _ = writeln!(text, "\n{}", found.text);
    text
}

/// What of a configuration matters in a failure.
fn summary(config: &SimConfig) -> String {
    let mut text = String::new();
    for market in &config.markets {
        let (rule, fees) = (&market.instrument.rule, &market.fees);
        let _ = writeln!(
            text,
            "{}: tick {} lot {} decimals {} {:?}, fees {} {} {:?} {:?} to {}",
            market.instrument.symbol,
            rule.tick.units(),
            rule.lot.units(),
            market.instrument.qty_scale,
            market.depth,
            fees.maker.0,
            fees.taker.0,
            fees.buy_fee,
            fees.rounding,
            fees.decimals,
        );
    }
    let (queue, refill, latency) = (config.queue, config.refill, &config.latency);
    let _ = writeln!(
        text,
        "{queue:?}, refill {refill:?}, latency {latency:?}, {:?}, pairing {:?}, late prints {:?}",
        config.crossed, config.pairing, config.late_prints
    );
    let _ = writeln!(text, "{:?}", config.venue);
    text
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// Everything an update may say, counted: a generator that stops reaching something is noticed.
fn count(updates: &[Update], counts: &mut BTreeMap<String, u64>) {
    for update in updates {
        let name = match &update.body {
            UpdateBody::Fill(fill) => format!("fill {:?} {:?}", fill.rule, fill.evidence),
            UpdateBody::Order(order) => {
                let text = format!("{:?}", order.event);
                text.split(" {").next().unwrap_or_default().to_owned()
            }
            UpdateBody::Ledger(row) => format!("row {:?}", row.cause),
            UpdateBody::PublicTrade(_) => "public trade".to_owned(),
            other => panic!("the oracle has spot only: {other:?}"),
        };
        *counts.entry(name).or_default() += 1;
    }
}

#[test]
fn scenarios_reach_everything() {
    let mut counts = BTreeMap::new();
    for seed in 0..1_000 {
        let scenario = Scenario::of(seed);
        let mut engine = SimulatedExchange::new(scenario.config.clone()).expect("sound configurations only");
        let (mut now, mut updates) = (Timestamp::from_nanos(0), Vec::new());
        for step in &scenario.steps {
            now = Timestamp::from_nanos(now.nanos() + step.after_ns);
            engine.apply(now, step.input(now), &mut updates);
        }
        count(&updates, &mut counts);
    }
    for name in [
        "fill PrintThrough Print",
        "fill PrintAtPrice Print",
        "fill CrossingBook Cross",
        "fill Taking Book",
        "fill Taking Paper",
        "fill PaperTaker Paper",
        "Accepted",
        "Triggered",
        "AtTheDoor",
        "Amended",
        "Done",
        "Cancelled(Requested)",
        "Cancelled(Expired)",
        "Cancelled(BookExhausted)",
        "Cancelled(CannotFillWhole)",
        "Cancelled(WouldMatch)",
        "Cancelled(SelfTrade)",
        "Cancelled(AmendedAway)",
        "Cancelled(FundsSpent)",
        "Cancelled(SessionEnded)",
        "Rejected(InsufficientBalance",
        "Rejected(Halted)",
        "Rejected(UnknownOrder)",
        "Rejected(AlreadyFilled)",
        "Rejected(AlreadyCancelled)",
        "Rejected(DuplicateClientId)",
        "Rejected(TooManyOrders",
        "Rejected(NothingToAmend)",
        "Rejected(AmendBelowFilled)",
        "Rejected(NotionalTooSmall",
        "Rejected(WouldMatch)",
        "row Fee",
    ] {
        assert!(counts.get(name).is_some_and(|count| *count >= 3), "{name}: too rare in {counts:#?}");
    }
}

#[test]
fn thin_scenarios_reach_everything() {
    let mut counts = BTreeMap::new();
    for seed in 0..300 {
        let scenario = Scenario::thin(seed);
        let mut engine = SimulatedExchange::new(scenario.config.clone()).expect("sound configurations only");
        let (mut now, mut updates) = (Timestamp::from_nanos(0), Vec::new());
        for step in &scenario.steps {
            now = Timestamp::from_nanos(now.nanos() + step.after_ns);
            engine.apply(now, step.input(now), &mut updates);
        }
        count(&updates, &mut counts);
    }
    for name in [
        "fill PrintThrough Thin",
        "fill Taking Thin",
        "fill Taking Paper",
        "Cancelled(BookExhausted)",
        "Cancelled(FundsSpent)",
        "Cancelled(CannotFillWhole)",
        "Cancelled(Requested)",
        "Triggered",
    ] {
        assert!(counts.get(name).is_some_and(|count| *count >= 3), "{name}: too rare in {counts:#?}");
    }
    assert!(!counts.keys().any(|name| name.contains("Print") && !name.contains("Thin")), "{counts:#?}");
}

#[test]
fn both_engines_agree() {
    agree(Scenario::of);
}

#[test]
fn both_engines_agree_without_a_book() {
    agree(Scenario::thin);
}

fn agree(of: fn(u64) -> Scenario) {
    let seeds = match number("PAPERTAPE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("PAPERTAPE_CASES").unwrap_or(300),
    };
    let mut failed = 0;
    let mut first = None;
    for seed in seeds {
        let scenario = of(seed);
        if let Err(found) = play(&scenario) {
            failed += 1;
            if first.is_none() {
                let (scenario, found) = shrink(&scenario, found);
                first = Some(dump(seed, &scenario, &found));
            }
        }
    }
    if let Some(text) = first {
        panic!("{failed} scenarios differ; the first:\n{text}");
    }
}
