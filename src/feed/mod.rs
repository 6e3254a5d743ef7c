//! The sources: what turns recordings, files and seeds into groups of market events.
//!
//! [`tape`] reads and writes recorded frames, [`csv`] Tardis datasets; [`recording`] is a file of either kind.
//! [`merge`] plays several sources as one, [`borrow`] puts another venue's market under this venue's rules, [`clock`]
//! plays by the exchange's time, [`moved`] moves a market in time, [`beside`] plays those of several connectors,
//! [`synth`] makes a market of a seed, [`open`] finds all of it for a connector, [`infer`] guesses the rules of an
//! instrument that nobody describes, [`gauge`] watches files as they are read, [`ahead`] reads a source on another
//! thread, [`batched`] looks at one group by group, [`live`] reads an exchange's public sockets and records them.
//!
//! Never here: account state, orders, a venue's spelling of anything.
//! Start at [`recording::Recording`] and [`merge::Merge`].

pub mod ahead;
pub mod batched;
pub mod beside;
pub mod borrow;
pub mod clock;
pub mod convert;
pub mod csv;
pub mod gauge;
pub mod infer;
pub mod inspect;
pub mod lines;
pub mod live;
pub mod merge;
pub mod moved;
pub mod open;
pub mod outfile;
mod pump;
pub mod recording;
pub mod synth;
pub mod tape;
pub mod warnings;
