//! What a server of the same library costs at least.

use std::path::Path;

use axum::Router;
use axum::body::Bytes;
use axum::extract::WebSocketUpgrade;
use axum::extract::ws::{Message, WebSocket};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;

/// What requests are signed with.
pub(crate) const SECRET: &[u8] = b"paper-secret";

/// Serves on a free port, says where, and goes on until it is killed. `file` is an answer to an order, or frames by line.
pub(crate) fn serve(which: &str, file: &Path) {
    let text = std::fs::read_to_string(file).expect("what to send");
    let router = match which {
        "orders" => {
            let answer: Value = serde_json::from_str(&text).expect("an answer");
            let order = move |headers: HeaderMap, body: Bytes| {
                let reply = order(&answer, &headers, &body);
                std::future::ready(reply)
            };
            Router::new().route("/api/v1/order", post(order))
        }
        _ => {
            let frames: &'static [String] = text.lines().map(str::to_owned).collect::<Vec<_>>().leak();
            let open = move |upgrade: WebSocketUpgrade| {
                std::future::ready(upgrade.on_upgrade(move |socket| send(socket, frames)))
            };
            Router::new().route("/", any(open))
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async move {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("{{\"listen\":\"{}\"}}", listener.local_addr().expect("an address"));
        axum::serve(listener, router).await.expect("it serves");
    });
}

/// Checks the signature, reads the body, and writes an answer of the usual size.
fn order(answer: &Value, headers: &HeaderMap, body: &[u8]) -> Response {
    let of = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET).expect("any key will do");
    mac.update(b"POST/api/v1/order");
    mac.update(of("api-expires").as_bytes());
    mac.update(body);
    let Ok(sign) = hex::decode(of("api-signature")) else { return StatusCode::UNAUTHORIZED.into_response() };
    if mac.verify_slice(&sign).is_err() {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    match serde_json::from_slice::<Value>(body) {
        Ok(order) if order["symbol"].is_string() => {
            ([(header::CONTENT_TYPE, "application/json")], answer.to_string()).into_response()
        }
        _ => StatusCode::BAD_REQUEST.into_response(),
    }
}

/// Waits for the subscription, then sends everything.
async fn send(mut socket: WebSocket, frames: &'static [String]) {
    let _ = socket.recv().await;
    for frame in frames {
        if socket.send(Message::text(frame.as_str())).await.is_err() {
            return;
        }
    }
    // The client goes when it has read enough.
    let _ = socket.recv().await;
}
