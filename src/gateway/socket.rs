//! Sockets: frames of clients to their exchange, and what it tells them back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::FromRequestParts;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use futures_util::SinkExt;

use super::Gateway;
use super::http::{respond, with_call};
use super::outlet::{Intake, pipe, size};
use crate::venue::Frame;
use crate::venue::api::{Out, SocketId};

/// The largest frame that a client may send: more than any venue takes.
const MOST_FRAME: usize = 256 << 10;
/// Room for what a client sends, where it is no more; it is made ready each time that a socket is looked at.
const READ: usize = 4 << 10;
/// A client that says nothing for so long is asked whether it is there.
const ASK: Duration = Duration::from_secs(30);
/// A client that does not take what is written to it for so long is gone.
const TAKE: Duration = Duration::from_secs(20);
/// So many bytes are written at once, where there are as many.
const WRITE: usize = 64 << 10;
/// So many sockets at once.
pub(super) const MOST_SOCKETS: usize = 1_000;

/// Opens a socket of an exchange.
pub(super) async fn open(
    gateway: &Arc<Gateway>,
    hall: usize,
    mut parts: Parts,
    prefix: usize,
    from: SocketAddr,
) -> Response {
    let upgrade = match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => upgrade.max_frame_size(MOST_FRAME).max_message_size(MOST_FRAME).read_buffer_size(READ),
        Err(refused) => return refused.into_response(),
    };
    if gateway.counts.open_sockets.load(Ordering::Relaxed) >= MOST_SOCKETS {
        return axum::http::StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let (outlet, intake) = pipe();
    let opened = with_call(&parts, prefix, &[], from, |call| gateway.halls[hall].open(call, outlet));
    let id = match opened {
        Ok(id) => id,
        Err(reply) => return respond(reply),
    };
    gateway.counts.sockets.fetch_add(1, Ordering::Relaxed);
    let guest = Guest { gateway: Arc::clone(gateway), hall, id };
    guest.gateway.counts.open_sockets.fetch_add(1, Ordering::Relaxed);
    upgrade.on_upgrade(move |socket| carry(socket, guest, intake))
}

/// A client's place in its exchange; it is given back when it is dropped, however the socket ends.
struct Guest {
    gateway: Arc<Gateway>,
    hall: usize,
    id: SocketId,
}

impl Guest {
    fn hear(&self, frame: Frame<'_>) {
        self.gateway.counts.frames_in.fetch_add(1, Ordering::Relaxed);
        self.gateway.halls[self.hall].hear(self.gateway.clock.elapsed(), self.id, frame);
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.gateway.counts.open_sockets.fetch_sub(1, Ordering::Relaxed);
        self.gateway.halls[self.hall].close(self.id);
    }
}

async fn carry(mut socket: WebSocket, guest: Guest, mut intake: Intake) {
    let mut asked = false;
    loop {
        tokio::select! {
            batch = intake.next() => {
                let Some(batch) = batch else { break };
                if !send_all(&mut socket, batch, &intake, &guest.gateway.counts.frames_out).await {
                    break;
                }
            }
            came = socket.recv() => {
                asked = false;
                match came {
                    Some(Ok(Message::Text(text))) => guest.hear(Frame::Text(&text)),
                    Some(Ok(Message::Binary(bytes))) => guest.hear(Frame::Binary(&bytes)),
                    // Pings are answered by the library.
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                }
            }
            () = tokio::time::sleep(ASK) => {
                let ask = Message::Ping(Bytes::new());
                if asked || !in_time(&mut socket, ask).await {
                    break;
                }
                asked = true;
            }
        }
    }
}

async fn in_time(socket: &mut WebSocket, message: Message) -> bool {
    matches!(tokio::time::timeout(TAKE, socket.send(message)).await, Ok(Ok(())))
}

/// Sends frames, many in one write; whether the socket goes on.
async fn send_all(socket: &mut WebSocket, batch: Vec<Out>, intake: &Intake, count: &AtomicU64) -> bool {
    let mut left = batch.into_iter().peekable();
    while left.peek().is_some() {
        let (mut bytes, mut frames, mut last) = (0, 0, false);
        let write = async {
            while bytes < WRITE
                && !last
                && let Some(out) = left.next()
            {
                (bytes, frames, last) = (bytes + size(&out), frames + 1, matches!(out, Out::Close(..)));
                socket.feed(message(out)).await?;
            }
            socket.flush().await
        };
        let sent = matches!(tokio::time::timeout(TAKE, write).await, Ok(Ok(())));
        intake.sent(bytes);
        if !sent || last {
            return false;
        }
        count.fetch_add(frames, Ordering::Relaxed);
    }
    true
}

/// A text that others have too.
struct Shared(Arc<str>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

fn message(out: Out) -> Message {
    match out {
        Out::Text(text) => Message::Text(text.into()),
        // Not copied: all sockets have the same bytes.
        Out::Shared(text) => match Utf8Bytes::try_from(Bytes::from_owner(Shared(text))) {
            Ok(text) => Message::Text(text),
            // It was a text before.
            Err(_) => Message::Text(Utf8Bytes::default()),
        },
        Out::Binary(bytes) => Message::Binary(bytes.into()),
        Out::Close(code, reason) => Message::Close(Some(CloseFrame { code, reason: reason.into() })),
    }
}
