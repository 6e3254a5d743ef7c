//! A connection is of spot or of futures; the first frame that only one of them sends says which.

use super::BitmartDecoder;
use super::futures::FuturesProtocol;
use crate::market::{EventLog, FeedDepth, FeedStats, Instrument, InstrumentId, Product, Timestamp};
use crate::venue::reading::Reading;
use crate::venue::{DecodeError, Decoder, Frame, Known};

/// Keys that frames of futures have, and those of spot do not.
const FUTURES: [&str; 2] = ["\"group\"", "\"success\""];

/// Whether a frame has one of them, however it is laid out.
fn is_of_futures(text: &str) -> bool {
    let is_key = |(at, key): (usize, &str)| text[at + key.len()..].trim_start().starts_with(':');
    FUTURES.iter().any(|key| text.match_indices(key).any(is_key))
}

/// Decodes a connection of either market.
pub(super) struct EitherDecoder {
    spot: BitmartDecoder,
    futures: Option<Reading<FuturesProtocol>>,
    /// What is known, until it is settled which market it is.
    known: Option<Known>,
    in_place: bool,
}

impl EitherDecoder {
    pub(super) fn new(known: Known) -> Self {
        let settled = known.declared.iter().any(|one| one.product != Product::Spot);
        Self {
            spot: BitmartDecoder::new(if settled { Known::default() } else { known.clone() }),
            futures: settled.then(|| Reading::new(known.clone())),
            known: (!settled).then_some(known),
            in_place: true,
        }
    }

    /// The same without reading frames in place: for comparing the two ways.
    #[must_use]
    pub(super) fn without_scanner(self) -> Self {
        let futures = self.futures.map(Reading::without_scanner);
        Self { spot: self.spot.without_scanner(), futures, in_place: false, ..self }
    }

    fn begin_futures(&self, known: Known) -> Reading<FuturesProtocol> {
        let futures = Reading::new(known);
        if self.in_place { futures } else { futures.without_scanner() }
    }

    fn inner(&self) -> &dyn Decoder {
        match &self.futures {
            Some(futures) => futures,
            None => &self.spot,
        }
    }
}

impl Decoder for EitherDecoder {
    fn instruments(&self) -> &[Instrument] {
        self.inner().instruments()
    }

    fn depth(&self, instrument: InstrumentId) -> FeedDepth {
        self.inner().depth(instrument)
    }

    fn decode(
        &mut self,
        received: Timestamp,
        frame: Frame<'_>,
        out: &mut EventLog,
    ) -> Result<(), DecodeError> {
        if let (Some(known), Frame::Text(text)) = (&self.known, frame) {
            if self.spot.stats().messages > 0 || !known.declared.is_empty() {
                self.known = None;
            } else if is_of_futures(text) {
                self.futures = self.known.take().map(|known| self.begin_futures(known));
            }
        }
        match &mut self.futures {
            Some(futures) => futures.decode(received, frame, out),
            None => self.spot.decode(received, frame, out),
        }
    }

    fn stats(&self) -> FeedStats {
        self.inner().stats()
    }

    fn read_in_place(&self) -> u64 {
        self.inner().read_in_place()
    }
}
