//! A simulated exchange that is *running*: the clock, a [`Source`](crate::market::Source), paper accounts, what came
//! back to each trader, and a journal; the paper connector over it.
//!
//! [`PaperExchange`] is synchronous and moves only when it is told to: by messages, by time, or until an answer is
//! back. Over a live market it follows a [`Wall`] clock that it is given. [`PaperHandle`] shares it between a connector and whoever lets its time pass ([`Pacer`] on the wall clock).
//!
//! Never here: venue JSON, where events come from, when an order fills (that is `sim`).
//! Start at [`PaperExchange`], then [`PaperConnector`].

mod agent;
mod connector;
mod dictionary;
#[cfg(test)]
pub(crate) mod drawn;
mod edits;
mod exchange;
mod history;
mod journal;
mod life;
mod outbox;
mod pacer;
mod prints;
pub mod snapshot;
mod special;
#[cfg(test)]
mod tests;
mod view;

pub use agent::{Agent, AgentError};
pub use connector::{PaperConnector, PaperHandle, share};
pub use dictionary::Dictionary;
pub use exchange::{LIVE_PATIENCE, PaperError, PaperExchange, PaperOptions, Stop, Wall};
pub use history::Keep;
pub use journal::{Journal, JournalError, Journals, NoJournal};
pub use life::{Life, LifeEntry, LifeEvent};
pub use pacer::{Pace, Pacer};
pub use prints::{Candle, PER_PRICE, PublicPrint};
pub use special::special_of;
pub use view::{FillRow, Known, TraderView};
