//! Bytes that are read, and inflated, on a thread of their own while those before them are looked at.
//!
//! A bounded number of buffers goes round between the two threads.

use std::io::{self, ErrorKind, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::lines::Input;

/// Bytes of a buffer.
const CHUNK: usize = 128 << 10;
/// Buffers that there are.
const CHUNKS: usize = 4;

/// A buffer, how many of its bytes are filled, and what stopped the input there.
type Filled = (Vec<u8>, usize, Option<io::Error>);

/// Reads an input ahead on another thread. Dropping it ends the thread.
pub(super) struct Pump {
    chunk: Vec<u8>,
    at: usize,
    len: usize,
    /// What comes behind the buffer.
    failure: Option<io::Error>,
    worker: Option<Worker>,
}

struct Worker {
    full: Receiver<Filled>,
    empty: SyncSender<Vec<u8>>,
    thread: JoinHandle<()>,
}

impl Pump {
    /// Starts to read `input`.
    pub(super) fn start(mut input: Input) -> io::Result<Self> {
        let (send_full, full) = sync_channel::<Filled>(CHUNKS);
        let (empty, take_empty) = sync_channel::<Vec<u8>>(CHUNKS);
        for _ in 1..CHUNKS {
            // There is room for all of them; one more is the one that is looked at.
            let _ = empty.try_send(vec![0; CHUNK]);
        }
        let thread = std::thread::Builder::new().name("inflater".to_owned()).spawn(move || {
            while let Ok(mut chunk) = take_empty.recv() {
                let (len, failure) = fill(&mut input, &mut chunk);
                // Only the end and a failure leave a buffer that is not full.
                if send_full.send((chunk, len, failure)).is_err() || len < CHUNK {
                    return;
                }
            }
        })?;
        let worker = Some(Worker { full, empty, thread });
        Ok(Self { chunk: vec![0; CHUNK], at: 0, len: 0, failure: None, worker })
    }

    /// The next buffer.
    #[cold]
    fn next_chunk(&mut self) -> io::Result<()> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        let Some(worker) = &self.worker else { return Ok(()) };
        // Where the thread has ended, nobody wants it any more.
        let _ = worker.empty.send(std::mem::take(&mut self.chunk));
        (self.at, self.len) = (0, 0);
        match worker.full.recv() {
            Ok(filled) => (self.chunk, self.len, self.failure) = filled,
            Err(_) => self.hang_up(),
        }
        if self.len == 0 { self.failure.take().map_or(Ok(()), Err) } else { Ok(()) }
    }

    /// Ends the thread. What made it panic goes on here.
    fn hang_up(&mut self) {
        let Some(Worker { full, empty, thread }) = self.worker.take() else { return };
        drop((full, empty));
        if let Err(panic) = thread.join()
            && !std::thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

/// Fills a buffer as far as the input goes.
fn fill(input: &mut Input, chunk: &mut [u8]) -> (usize, Option<io::Error>) {
    let mut len = 0;
    while len < chunk.len() {
        match input.read(&mut chunk[len..]) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return (len, Some(error)),
        }
    }
    (len, None)
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.hang_up();
    }
}

impl Read for Pump {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.len {
            self.next_chunk()?;
        }
        let ready = self.chunk.get(self.at..self.len).unwrap_or_default();
        let len = ready.len().min(buffer.len());
        buffer[..len].copy_from_slice(&ready[..len]);
        self.at += len;
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many bytes, a few at a time, then an end or a failure.
    struct Odd {
        left: usize,
        fails: bool,
    }

    impl Read for Odd {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.left == 0 && self.fails {
                return Err(io::Error::from(ErrorKind::UnexpectedEof));
            }
            let len = buffer.len().min(self.left).min(1_000);
            for byte in &mut buffer[..len] {
                self.left -= 1;
                *byte = (self.left % 251) as u8;
            }
            Ok(len)
        }
    }

    #[test]
    fn every_byte_comes_before_the_end_or_the_failure() {
        for left in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 9 * CHUNK + 17] {
            for fails in [false, true] {
                let mut want = Vec::new();
                Odd { left, fails: false }.read_to_end(&mut want).unwrap();
                let mut pump = Pump::start(Box::new(Odd { left, fails })).unwrap();
                let mut have = Vec::new();
                let end = pump.read_to_end(&mut have).map_err(|error| error.kind());
                assert!(have == want, "{left} bytes");
                assert_eq!(end, if fails { Err(ErrorKind::UnexpectedEof) } else { Ok(left) });
                assert_eq!(pump.read(&mut [0; 8]).unwrap(), 0);
            }
        }
    }

    #[test]
    fn dropping_it_ends_the_thread() {
        let mut pump = Pump::start(Box::new(Odd { left: usize::MAX, fails: false })).unwrap();
        assert_eq!(pump.read(&mut [0; 8]).unwrap(), 8);
        drop(pump);
    }
}
