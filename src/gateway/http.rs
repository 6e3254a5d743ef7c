//! Finds the exchange that a request is for, and carries the request there and the answer back.
//!
//! A request is for the exchange whose real host it names, else for that of its port, else for that of the first part
//! of its path. `/papertape/` is the gateway's own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;

use super::hall::Hall;
use super::{Gateway, control, socket};
use crate::venue::api::{Call, Called, Fault, Reply};

/// The largest body that is read.
pub(super) const MOST_BODY: usize = 1 << 20;
/// How long a request waits before it looks again whether time stands still.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// One port.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) gateway: Arc<Gateway>,
    /// The exchange of this port, where it has one.
    pub(super) mount: Option<usize>,
    /// Whether the port has prefixes and the gateway's own paths.
    pub(super) main: bool,
}

/// Who is asked.
enum Goal<'a> {
    Hall(&'a Hall, &'a str),
    Control,
    Nobody,
}

impl Door {
    fn goal<'a>(&'a self, host: &str, path: &'a str) -> Goal<'a> {
        let halls = &self.gateway.halls;
        let host = host.split(':').next().unwrap_or_default();
        if let Some(hall) = halls.iter().find(|hall| hall.hosts.contains(&host)) {
            return Goal::Hall(hall, "");
        }
        let first = path.strip_prefix('/').and_then(|path| path.split('/').next()).unwrap_or_default();
        if self.main && first == "papertape" {
            return Goal::Control;
        }
        let named = halls.iter().find(|hall| hall.name == first);
        match (self.mount.and_then(|at| halls.get(at)), named) {
            (Some(own), Some(named)) if own.name == named.name => Goal::Hall(named, &path[..=first.len()]),
            (None, Some(named)) => Goal::Hall(named, &path[..=first.len()]),
            (Some(own), _) => Goal::Hall(own, ""),
            (None, None) => Goal::Nobody,
        }
    }
}

/// Answers any request.
pub(super) async fn answer(
    State(door): State<Door>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let gateway = Arc::clone(&door.gateway);
    gateway.counts.requests.fetch_add(1, Ordering::Relaxed);
    let response = route(&door, from, request).await;
    if response.status().as_u16() >= 400 {
        gateway.counts.refusals.fetch_add(1, Ordering::Relaxed);
    }
    response
}

async fn route(door: &Door, from: SocketAddr, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let host = host_of(&parts);
    match door.goal(&host, parts.uri.path()) {
        Goal::Control => control::answer(&door.gateway, &parts, body, &host).await,
        Goal::Hall(hall, prefix) if is_upgrade(&parts) => {
            let prefix = prefix.len();
            let at = door.gateway.halls.iter().position(|one| one.name == hall.name);
            socket::open(&door.gateway, at.unwrap_or_default(), parts.clone(), prefix, from).await
        }
        Goal::Hall(hall, prefix) => {
            let body = match to_bytes(body, MOST_BODY).await {
                Ok(body) => body,
                Err(error) => {
                    let fault = if is_too_large(&error) { Fault::TooLarge } else { Fault::Broken };
                    return respond(hall.fault(fault));
                }
            };
            let reply = with_call(&parts, prefix.len(), &body, from, |call| {
                hall.call(door.gateway.clock.elapsed(), call)
            });
            respond(settled(&door.gateway, hall, reply).await)
        }
        Goal::Nobody => {
            let names: Vec<String> =
                door.gateway.halls.iter().map(|hall| format!("/{}/", hall.name)).collect();
            let text = format!("nothing is here; try {}, /papertape/", names.join(", "));
            respond(Reply::new(404, serde_json::json!({ "error": text }).to_string()))
        }
    }
}

/// Waits until the exchange has answered.
async fn settled(gateway: &Gateway, hall: &Hall, mut called: Called) -> Reply {
    let mut awaits = None;
    loop {
        let waiting = match called {
            Called::Done(reply) => return reply,
            Called::Waiting(waiting) => waiting,
        };
        awaits.get_or_insert_with(|| hall.awaits());
        // Listening begins before the look, so that nothing happens between the two unseen.
        let moved = hall.moved.notified();
        called = hall.finish(waiting, gateway.clock.is_still());
        if let Called::Waiting(_) = &called {
            // Whether time stands still is looked at again after a while.
            let _ = tokio::time::timeout(LOOK_AGAIN, moved).await;
        }
    }
}

fn is_too_large(error: &axum::Error) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if error.to_string().contains("length limit exceeded") {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The name of the host that was asked for.
pub(super) fn host_of(parts: &Parts) -> String {
    let header = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    header.or(parts.uri.authority().map(|name| name.as_str())).unwrap_or_default().to_ascii_lowercase()
}

fn is_upgrade(parts: &Parts) -> bool {
    let upgrade = parts.headers.get(header::UPGRADE).and_then(|value| value.to_str().ok());
    upgrade.is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
}

/// The request as venues see it.
pub(super) fn with_call<T>(
    parts: &Parts,
    prefix: usize,
    body: &[u8],
    from: SocketAddr,
    then: impl FnOnce(&Call<'_>) -> T,
) -> T {
    let headers: Vec<(&str, &str)> = parts
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .collect();
    let path = parts.uri.path();
    then(&Call {
        method: parts.method.as_str(),
        path: path.get(prefix..).filter(|rest| !rest.is_empty()).unwrap_or("/"),
        prefix: path.get(..prefix).unwrap_or_default(),
        query: parts.uri.query().unwrap_or_default(),
        headers: &headers,
        body,
        from: from.ip(),
    })
}

/// A venue's reply as HTTP.
pub(super) fn respond(reply: Reply) -> Response {
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let json = HeaderValue::from_static("application/json");
    // Room for these, and for what the library adds.
    response.headers_mut().reserve(reply.headers.len() + 3);
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    for (name, value) in reply.headers {
        if let (Some(name), Ok(value)) = (header_name(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// The name of a header. One in lower case is taken as it is, without a copy.
fn header_name(name: &'static str) -> Option<HeaderName> {
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    match !name.is_empty() && name.bytes().all(plain) {
        true => Some(HeaderName::from_static(name)),
        false => HeaderName::from_bytes(name.as_bytes()).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_may_be_spelled_in_any_case() {
        for (name, want) in [
            ("retry-after", Some("retry-after")),
            ("x-ratelimit-remaining-1s", Some("x-ratelimit-remaining-1s")),
            ("X-BM-RateLimit-Mode", Some("x-bm-ratelimit-mode")),
            ("", None),
            ("a b", None),
        ] {
            assert_eq!(header_name(name).as_ref().map(HeaderName::as_str), want);
        }
    }
}
