//! A tape of one pair as BitMart's own socket sends it: a whole book, then what changed, once in 100 ms.

use std::path::Path;
use std::time::Duration;

use papertape::feed::synth::{DEMO_SEED, START, SynthConfig};
use papertape::feed::tape::{Direction, TapeHeader, TapeWriter, VERSION};
use papertape::market::{Group, MarketEvent, Source};
use papertape::venue::Frame;
use papertape::venue::connectors::usable_connector;

const CONNECTOR: &str = "bitmart_paper_trade";
/// BitMart tells the changes of a book ten times a second.
const EVERY: Duration = Duration::from_millis(100);
/// How long a frame travels.
const TRAVEL: Duration = Duration::from_millis(5);

/// Writes a tape of so many frames: the books of a synthetic market, each change at its turn. There are no trades on it.
pub(crate) fn write(file: &Path, frames: usize) {
    let connector = usable_connector(CONNECTOR).expect("it is ready");
    let config = SynthConfig::new(connector, &[], &[], DEMO_SEED).expect("the catalogue reads");
    let header = TapeHeader {
        venue: config.venue.name().to_owned(),
        connector: CONNECTOR.to_owned(),
        pairs: vec![config.instruments[0].pair.clone()],
        start: Some(START),
        version: VERSION,
        instruments: Vec::new(),
    };
    let mut tape = TapeWriter::create(file, &header).expect("a file");
    let (mut market, mut encoder, mut texts) = (config.market(), config.venue.encoder(), Vec::new());
    let mut time = START.plus(EVERY / 2);
    let mut written = 0;
    while written < frames {
        market.advance().expect("a market that is made");
        let group = market.group();
        if group.events.iter().any(|event| matches!(event, MarketEvent::Trade(_))) {
            continue;
        }
        let group = Group { exchange_time: time.minus(TRAVEL), receive_time: time, ..group };
        encoder.encode(&config.instruments[0], &group, &mut texts);
        for text in texts.drain(..) {
            tape.frame(time, 0, Direction::In, Frame::Text(&text)).expect("room");
            written += 1;
        }
        time = time.plus(EVERY);
    }
    tape.finish().expect("room");
}
