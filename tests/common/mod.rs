//! What the tests of the engine share: one trait over both engines, and scenes as pictures.
#![allow(dead_code, unreachable_pub, clippy::expect_used, clippy::unwrap_used)]

pub mod scene;

use papertape::market::{Instrument, Price, Qty, Timestamp};
use papertape::order::AccountId;
use papertape::sim::{
    Balance, FeeSchedule, Input, LatencyModel, MarketConfig, OrderState, Rate, SimConfig, SimulatedExchange,
    Update,
};
use rust_decimal::Decimal;

/// What a test needs of an engine.
pub trait Exchange {
    /// How it is called in a failure.
    const NAME: &'static str;
    /// Starts with nothing.
    fn start(config: SimConfig) -> Self;
    /// Moves to `now`, then applies one input.
    fn apply(&mut self, now: Timestamp, input: Input<'_>, updates: &mut Vec<Update>);
    /// The hash of the whole state.
    fn state_hash(&self) -> u64;
    /// What an account has of an asset.
    fn balance(&self, account: AccountId, asset: u16) -> Balance;
    /// An account's live and waiting orders, oldest first.
    fn open_orders(&self, account: AccountId) -> Vec<OrderState>;
}

impl Exchange for SimulatedExchange {
    const NAME: &'static str = "engine";
    fn start(config: SimConfig) -> Self {
        Self::new(config).expect("a sound configuration")
    }
    fn apply(&mut self, now: Timestamp, input: Input<'_>, updates: &mut Vec<Update>) {
        Self::apply(self, now, input, updates);
    }
    fn state_hash(&self) -> u64 {
        Self::state_hash(self)
    }
    fn balance(&self, account: AccountId, asset: u16) -> Balance {
        Self::balance(self, account, asset)
    }
    fn open_orders(&self, account: AccountId) -> Vec<OrderState> {
        Self::open_orders(self, account)
    }
}

/// `BTC-USDT` with prices of one decimal and quantities of `qty_scale` decimals; tick and lot in units.
pub fn instrument(pair: &str, qty_scale: u8, tick: i64, lot: i64) -> Instrument {
    let mut instrument = Instrument::spot(pair, pair.parse().expect("a pair"), 1, qty_scale).expect("sound");
    instrument.rule.tick = Price::from_units(tick);
    instrument.rule.lot = Qty::from_units(lot);
    instrument.rule.min_qty = Qty::from_units(lot);
    instrument.rule.min_notional = Decimal::ZERO;
    instrument
}

/// A market without fees and with the whole book.
pub fn market(instrument: Instrument) -> MarketConfig {
    MarketConfig::spot(instrument, FeeSchedule::flat_rates(Rate(0), Rate(0), "test"))
}

/// The `realistic` profile over one market, without latency.
pub fn config(market: MarketConfig) -> SimConfig {
    SimConfig { latency: LatencyModel::None, ..SimConfig::realistic(vec![market], 1) }
}
