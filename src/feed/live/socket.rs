//! One task a socket: connect, subscribe, read, and begin again when it is lost.
//!
//! Generic over the stream, so that tests play an exchange over memory. Never here: what frames mean (`link`).
//! Start at [`Dial`], then `Socket::run`.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::clock::Clock;
use super::link::{Link, Lost, Outgoing};
use super::reel::Reel;
use crate::feed::tape::Direction;
use crate::market::Timestamp;
use crate::venue::Frame;

/// What opens sockets.
pub trait Dial {
    /// The stream under the WebSocket.
    type Stream: AsyncRead + AsyncWrite + Unpin;

    /// Opens a socket.
    fn dial(&self, url: &str) -> impl Future<Output = Result<WebSocketStream<Self::Stream>, Error>>;
}

/// How long opening a socket, or sending a frame, may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// A socket that lived so long begins again without a pause.
const STEADY: Duration = Duration::from_secs(30);
/// The first pause before a socket is opened again, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));
/// Pauses between attempts: they double, and each is cut by a random part, so that many clients do not come at once.
pub(super) struct Backoff {
    dice: ChaCha8Rng,
    failures: u32,
}

impl Backoff {
    pub(super) fn new(seed: u64, place: usize) -> Self {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        dice.set_stream(place as u64);
        Self { dice, failures: 0 }
    }

    fn steady(&mut self) {
        self.failures = 0;
    }

    /// The next pause: from half of the doubled one to all of it.
    pub(super) fn next(&mut self) -> Duration {
        let whole = PAUSES.0.saturating_mul(1 << self.failures.min(10)).min(PAUSES.1);
        self.failures = self.failures.saturating_add(1);
        let half = whole / 2;
        let nanos = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX).max(1);
        half + Duration::from_nanos(self.dice.next_u64() % nanos)
    }
}

/// One socket.
pub(super) struct Socket {
    pub(super) link: Link,
    pub(super) reel: Reel,
    pub(super) clock: Clock,
    pub(super) backoff: Backoff,
}

/// How a socket ended.
enum End {
    Stopped,
    Lost(Lost),
}

impl From<Lost> for End {
    fn from(lost: Lost) -> Self {
        Self::Lost(lost)
    }
}

fn lost(words: impl Into<String>) -> End {
    End::Lost(Lost(words.into()))
}

impl Socket {
    /// Keeps the socket open until it is told to stop.
    pub(super) async fn run<D: Dial>(mut self, dial: &D, mut stop: watch::Receiver<bool>) {
        loop {
            let opened = self.clock.now();
            let end = self.once(dial, &mut stop).await;
            let now = self.clock.now();
            let words = match end {
                End::Stopped => "stopped".to_owned(),
                End::Lost(Lost(ref words)) => words.clone(),
            };
            self.link.lost(now, &words);
            self.reel.flush();
            if matches!(end, End::Stopped) {
                return;
            }
            if now >= opened.plus(STEADY) {
                self.backoff.steady();
            }
            tokio::select! {
                biased;
                () = stopped(&mut stop) => return,
                () = sleep(self.backoff.next()) => {}
            }
        }
    }

    /// One life of the socket.
    async fn once<D: Dial>(&mut self, dial: &D, stop: &mut watch::Receiver<bool>) -> End {
        let url = self.link.session.url().to_owned();
        let dialled = tokio::select! {
            biased;
            () = stopped(stop) => return End::Stopped,
            dialled = timeout(PATIENCE, dial.dial(&url)) => dialled,
        };
        let mut stream = match dialled {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return lost(error.to_string()),
            Err(_) => return lost(format!("no answer in {} s", PATIENCE.as_secs())),
        };
        let now = self.clock.now();
        self.reel.open(now, self.link.place as u64, &url);
        self.link.open(now);
        let end = self.talk(&mut stream, stop).await;
        if matches!(end, End::Stopped) {
            // Politely; a dead stream answers nothing, and nothing depends on it.
            let _ = timeout(Duration::from_millis(200), stream.close(None)).await;
        }
        end
    }

    async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: &mut WebSocketStream<S>,
        stop: &mut watch::Receiver<bool>,
    ) -> End {
        let mut free = Instant::now();
        loop {
            let now = self.clock.now();
            match self.link.tick(now) {
                Ok(false) => {}
                // A flood of frames must not keep it from being told to stop.
                Ok(true) if *stop.borrow() => return End::Stopped,
                Ok(true) => self.reel.tick(now),
                Err(gone) => return gone.into(),
            }
            if !self.link.outgoing.is_empty() && Instant::now() >= free {
                if let Err(gone) = self.send(stream).await {
                    return gone;
                }
                free = Instant::now() + self.link.manners.pace;
                continue;
            }
            let mut wake = self.clock.instant(self.link.look());
            if !self.link.outgoing.is_empty() {
                wake = wake.min(free);
            }
            let came = tokio::select! {
                biased;
                came = stream.next() => came,
                () = stopped(stop) => return End::Stopped,
                () = sleep_until(wake) => continue,
            };
            match self.came(came) {
                Ok(()) => {}
                Err(gone) => return gone,
            }
        }
    }

    /// What the socket brought.
    fn came(&mut self, came: Option<Result<Message, Error>>) -> Result<(), End> {
        let now = self.clock.now();
        let message = match came {
            Some(Ok(message)) => message,
            Some(Err(error)) => return Err(lost(error.to_string())),
            None => return Err(lost("the connection ended")),
        };
        match &message {
            Message::Text(text) => self.frame(now, Frame::Text(text.as_str())),
            Message::Binary(bytes) => self.frame(now, Frame::Binary(bytes)),
            Message::Close(reason) => {
                let reason = reason.as_ref().map(ToString::to_string).unwrap_or_default();
                return Err(lost(format!("the exchange closed the connection {reason}").trim_end()));
            }
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => self.link.alive(now),
        }
        Ok(())
    }

    fn frame(&mut self, now: Timestamp, frame: Frame<'_>) {
        self.reel.frame(now, self.link.place as u64, Direction::In, frame);
        self.link.frame(now, frame);
    }

    async fn send<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: &mut WebSocketStream<S>,
    ) -> Result<(), End> {
        let Some(next) = self.link.outgoing.pop_front() else { return Ok(()) };
        let message = match next {
            Outgoing::Ping => Message::Ping(Vec::new().into()),
            Outgoing::Text(text) => {
                let (now, place) = (self.clock.now(), self.link.place as u64);
                self.reel.frame(now, place, Direction::Out, Frame::Text(&text));
                Message::Text(text.into())
            }
        };
        match timeout(PATIENCE, stream.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(lost(error.to_string())),
            Err(_) => Err(lost("the exchange takes nothing")),
        }
    }
}

/// Ends when it is to stop, or when nobody is left who could say so.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error is that the sender is gone.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Opens sockets on the internet, with TLS where the address wants it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Internet;

impl Dial for Internet {
    type Stream = tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>;

    async fn dial(&self, url: &str) -> Result<WebSocketStream<Self::Stream>, Error> {
        install_tls();
        tokio_tungstenite::connect_async_with_config(url, None, true).await.map(|(stream, _)| stream)
    }
}

/// Says which cryptography TLS stands on.
pub(super) fn install_tls() {
    // An error is that it is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_are_the_same_for_one_seed() {
        let pauses = |seed| {
            let mut backoff = Backoff::new(seed, 0);
            (0..12).map(|_| backoff.next()).collect::<Vec<_>>()
        };
        let (one, again, other) = (pauses(1), pauses(1), pauses(2));
        assert_eq!(one, again);
        assert_ne!(one, other);
        for (step, pause) in one.iter().enumerate() {
            let whole = (PAUSES.0 * (1 << step.min(10))).min(PAUSES.1);
            assert!(*pause >= whole / 2 && *pause <= whole, "{step}: {pause:?} of {whole:?}");
        }
    }
}
