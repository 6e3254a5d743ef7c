//! Sockets: frames of clients to their exchange, and what it tells them back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::Gateway;
use super::hall::Outlet;
use super::http::{respond, with_call};
use crate::venue::Frame;
use crate::venue::api::{Out, SocketId};

/// The largest frame that a client may send: more than any venue takes.
const MOST_FRAME: usize = 256 << 10;
/// A client that says nothing for so long is asked whether it is there.
const ASK: Duration = Duration::from_secs(30);
/// A client that does not take a frame for so long is gone.
const TAKE: Duration = Duration::from_secs(20);
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
        Ok(upgrade) => upgrade.max_frame_size(MOST_FRAME).max_message_size(MOST_FRAME),
        Err(refused) => return refused.into_response(),
    };
    if gateway.counts.open_sockets.load(Ordering::Relaxed) >= MOST_SOCKETS {
        return axum::http::StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let (sender, receiver) = unbounded_channel();
    let queued = Arc::new(AtomicUsize::new(0));
    let outlet = Outlet { sender, queued: Arc::clone(&queued) };
    let opened = with_call(&parts, prefix, &[], from, |call| gateway.halls[hall].open(call, outlet));
    let id = match opened {
        Ok(id) => id,
        Err(reply) => return respond(reply),
    };
    gateway.counts.sockets.fetch_add(1, Ordering::Relaxed);
    let guest = Guest { gateway: Arc::clone(gateway), hall, id };
    guest.gateway.counts.open_sockets.fetch_add(1, Ordering::Relaxed);
    upgrade.on_upgrade(move |socket| carry(socket, guest, receiver, queued))
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

async fn carry(
    mut socket: WebSocket,
    guest: Guest,
    mut receiver: UnboundedReceiver<Out>,
    queued: Arc<AtomicUsize>,
) {
    let mut asked = false;
    loop {
        tokio::select! {
            out = receiver.recv() => {
                let Some(out) = out else { break };
                let last = matches!(out, Out::Close(..));
                if !send(&mut socket, out, &queued).await || last {
                    break;
                }
                guest.gateway.counts.frames_out.fetch_add(1, Ordering::Relaxed);
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
                let ask = Message::Ping(axum::body::Bytes::new());
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

async fn send(socket: &mut WebSocket, out: Out, queued: &AtomicUsize) -> bool {
    let (bytes, message) = match out {
        Out::Text(text) => (text.len(), Message::Text(text.into())),
        Out::Binary(bytes) => (bytes.len(), Message::Binary(bytes.into())),
        Out::Close(code, reason) => (0, Message::Close(Some(CloseFrame { code, reason: reason.into() }))),
    };
    let sent = in_time(socket, message).await;
    queued.fetch_sub(bytes, Ordering::Relaxed);
    sent
}
