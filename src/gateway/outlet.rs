//! The way of frames from an exchange to a client's socket: put in one by one, handed over many at a time.
//!
//! A socket that is woken for each frame costs a switch between two threads and a write for each. What is not handed over
//! is kept here, in order; how much waits for a client is counted in bytes.
//!
//! Never here: when to hand over (the hall knows when all that follows from something has happened), the socket itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::venue::api::Out;

/// So many bytes may wait for a client before it is given up.
const MOST_QUEUED: usize = 64 << 20;
/// From so many waiting bytes on a market at full speed waits for the client.
const MUCH_QUEUED: usize = 4 << 20;

/// The end at which frames are put in.
pub(super) struct Outlet {
    sender: UnboundedSender<Vec<Out>>,
    /// Bytes that were handed over and not yet sent.
    queued: Arc<AtomicUsize>,
    /// What is not handed over yet, and its bytes.
    ready: Vec<Out>,
    bytes: usize,
}

/// The end at which they come out.
pub(super) struct Intake {
    receiver: UnboundedReceiver<Vec<Out>>,
    queued: Arc<AtomicUsize>,
}

/// What became of frames that were handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handed {
    /// They are on their way.
    Sent,
    /// Too much waits already: the client is told so and given up.
    TooSlow,
    /// The client is gone.
    Gone,
}

/// How many bytes a frame has.
pub(super) fn size(out: &Out) -> usize {
    match out {
        Out::Text(text) => text.len(),
        Out::Shared(text) => text.len(),
        Out::Binary(bytes) => bytes.len(),
        Out::Close(..) => 0,
    }
}

/// A way without anything on it.
pub(super) fn pipe() -> (Outlet, Intake) {
    let (sender, receiver) = unbounded_channel();
    let queued = Arc::new(AtomicUsize::new(0));
    let outlet = Outlet { sender, queued: Arc::clone(&queued), ready: Vec::new(), bytes: 0 };
    (outlet, Intake { receiver, queued })
}

impl Outlet {
    /// Puts a frame in. Whether it is the first that is not handed over.
    pub(super) fn put(&mut self, out: Out) -> bool {
        self.bytes += size(&out);
        self.ready.push(out);
        self.ready.len() == 1
    }

    /// Hands over what was put in.
    pub(super) fn hand_over(&mut self) -> Handed {
        let bytes = std::mem::take(&mut self.bytes);
        let waiting = self.queued.fetch_add(bytes, Ordering::Relaxed);
        let fits = waiting <= MOST_QUEUED;
        let batch = match std::mem::take(&mut self.ready) {
            batch if fits => batch,
            _ => vec![Out::Close(1008, "too slow")],
        };
        match self.sender.send(batch) {
            Err(_) => Handed::Gone,
            Ok(()) if fits => Handed::Sent,
            Ok(()) => Handed::TooSlow,
        }
    }

    /// Tells the client that it is over. Who is gone needs no farewell.
    pub(super) fn close(&mut self, code: u16, reason: &'static str) {
        self.put(Out::Close(code, reason));
        let _ = self.hand_over();
    }

    /// Whether so much waits for the client that a market without a pace of its own should wait too.
    pub(super) fn is_full(&self) -> bool {
        self.queued.load(Ordering::Relaxed) > MUCH_QUEUED
    }
}

impl Intake {
    /// Waits for frames; `None` when there will be no more.
    pub(super) async fn next(&mut self) -> Option<Vec<Out>> {
        self.receiver.recv().await
    }

    /// So many bytes were sent, or never will be.
    pub(super) fn sent(&self, bytes: usize) {
        self.queued.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Out {
        Out::Text(text.to_owned())
    }

    #[test]
    fn frames_come_out_in_order_and_together() {
        let (mut outlet, mut intake) = pipe();
        assert!(outlet.put(text("a")) && !outlet.put(text("bc")));
        assert_eq!(intake.receiver.try_recv().ok(), None, "nothing before it is handed over");
        assert_eq!(outlet.hand_over(), Handed::Sent);
        assert!(outlet.put(text("d")), "the first after it was handed over");
        assert_eq!(outlet.hand_over(), Handed::Sent);
        assert_eq!(intake.queued.load(Ordering::Relaxed), 4);
        assert_eq!(intake.receiver.try_recv().ok(), Some(vec![text("a"), text("bc")]));
        assert_eq!(intake.receiver.try_recv().ok(), Some(vec![text("d")]));
        intake.sent(4);
        assert_eq!(intake.queued.load(Ordering::Relaxed), 0);
        drop(intake);
        outlet.put(text("e"));
        assert_eq!(outlet.hand_over(), Handed::Gone);
    }

    #[test]
    fn who_does_not_keep_up_is_waited_for_and_then_given_up() {
        let (mut outlet, mut intake) = pipe();
        let long = "x".repeat(MUCH_QUEUED);
        outlet.put(text(&long));
        assert_eq!((outlet.hand_over(), outlet.is_full()), (Handed::Sent, false));
        outlet.put(text("y"));
        assert_eq!((outlet.hand_over(), outlet.is_full()), (Handed::Sent, true));
        let mut told = 2;
        while outlet.queued.load(Ordering::Relaxed) <= MOST_QUEUED {
            outlet.put(text(&long));
            assert_eq!(outlet.hand_over(), Handed::Sent);
            told += 1;
        }
        outlet.put(text("z"));
        assert_eq!(outlet.hand_over(), Handed::TooSlow);
        let mut last = None;
        for _ in 0..=told {
            last = intake.receiver.try_recv().ok();
        }
        assert_eq!(last, Some(vec![Out::Close(1008, "too slow")]));
    }
}
