//! What is traded and what the tape says about it.
//!
//! Here live the numbers ([`Price`], [`Qty`], [`Timestamp`]), the thing that is traded ([`Instrument`] with its
//! [`TradingRule`]), what a source says ([`MarketEvent`] in [`Group`]s), the [`OrderBook`] that those groups build,
//! and [`Source`], the trait of anything that yields groups in time order.
//!
//! Never here: orders, accounts, a venue's name or its spelling of anything, floating-point prices.
//! Start at [`MarketEvent`] and [`OrderBook`].

mod batch;
mod book;
pub mod decimal;
mod depth;
mod event;
mod instrument;
mod ladder;
mod source;
pub(crate) mod swar;
mod time;
mod units;

pub use batch::{Batch, Reach, Then};
pub use book::{Level, OrderBook};
pub use depth::{DepthQuery, price_for_quote_volume, price_for_volume, volume_for_price, vwap_for_volume};
pub use event::{EventLog, Group, GroupHead, GroupKind, IdSpan, MarketEvent, News, Print};
pub use instrument::{
    Asset, Instrument, InstrumentError, InstrumentId, Overflow, Pair, PairError, Product, RuleOrigin,
    TradingRule,
};
pub use ladder::Ladder;
pub use source::{EMPTY, FeedDepth, FeedStats, MemorySource, Source, SourceError};
pub use time::{Timestamp, TimestampError, parse_duration};
pub use units::{FinePrice, FundingRate, Price, Qty, Side};
