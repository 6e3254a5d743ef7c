//! Instruments that no file, header or catalogue describes, guessed from the first rows.
//!
//! The guess itself lives in the venue room, because decoders meet unknown symbols too.

pub use crate::venue::infer::{Inference, ROWS};
