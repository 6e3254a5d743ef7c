//! The gateway's own interface under `/papertape/`: the clock, accounts, state, metrics. `control/openapi.json`
//! describes it and is served with it.
//!
//! Whoever has the token may do everything. Requests of web pages are refused: a foreign `Origin`, or a `Host` that is no
//! name of this machine (a page whose name was made to point here).

mod acts;
mod looks;

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use serde_json::{Value, json};

use super::Gateway;
use super::http::{MOST_BODY, respond};
use crate::venue::api::{Reply, parameters};

/// What a request comes to: an answer, or a status and what is wrong.
type Answer = Result<Value, (u16, String)>;

fn wrong(text: impl Into<String>) -> (u16, String) {
    (400, text.into())
}

/// What is asked of a control path.
struct Asked<'a> {
    gateway: &'a Arc<Gateway>,
    query: Vec<(String, String)>,
    body: Value,
}

impl Asked<'_> {
    fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Answers a request.
pub(super) async fn answer(gateway: &Arc<Gateway>, parts: &Parts, body: Body, host: &str) -> Response {
    let path = parts.uri.path().strip_prefix("/papertape").unwrap_or_default().trim_end_matches('/');
    if let Err((status, text)) = guard(gateway, parts, host, path) {
        return respond(Reply::new(status, json!({ "error": text }).to_string()));
    }
    if parts.method == "GET" {
        match path {
            "/metrics" => return plain(looks::metrics(gateway), "text/plain; version=0.0.4"),
            "/openapi.json" => {
                return plain(include_str!("control/openapi.json").to_owned(), "application/json");
            }
            _ => {}
        }
    }
    let Ok(body) = to_bytes(body, MOST_BODY).await else {
        return respond(Reply::new(413, json!({ "error": "the body is too large" }).to_string()));
    };
    let body = match body.is_empty() {
        true => Ok(Value::Null),
        false => serde_json::from_slice(&body),
    };
    let Ok(body) = body else {
        return respond(Reply::new(400, json!({ "error": "the body is no JSON" }).to_string()));
    };
    let query = parameters(parts.uri.query().unwrap_or_default());
    let asked = Asked { gateway, query, body };
    let reply = match route(parts.method.as_str(), path, &asked).await {
        Ok(value) => Reply::new(200, value.to_string()),
        Err((status, text)) => Reply::new(status, json!({ "error": text }).to_string()),
    };
    respond(reply)
}

async fn route(method: &str, path: &str, asked: &Asked<'_>) -> Answer {
    match (method, path) {
        ("GET", "" | "/health") => Ok(looks::health(asked.gateway)),
        ("GET", "/clock") => Ok(acts::clock_state(asked.gateway)),
        ("POST", "/clock") => acts::move_clock(asked).await,
        ("GET", "/accounts") => Ok(looks::accounts(asked.gateway)),
        ("POST", "/accounts") => acts::open_account(asked),
        ("POST", "/deposit") => acts::deposit(asked),
        ("POST", "/reset") => acts::reset(asked),
        ("GET", "/state") => looks::state(asked),
        ("GET", "/order") => looks::order(asked),
        ("GET", "/tape") => Ok(looks::tape(asked.gateway)),
        ("GET", "/hash") => Ok(json!({ "state_hash": looks::hash(asked.gateway) })),
        (
            _,
            "" | "/health" | "/clock" | "/accounts" | "/deposit" | "/reset" | "/state" | "/order" | "/tape"
            | "/hash" | "/metrics" | "/openapi.json",
        ) => Err((405, format!("{method} is not for {path}; see openapi.json"))),
        _ => Err((404, "no such path; see /papertape/openapi.json".to_owned())),
    }
}

/// Turns away web pages and whoever has no token. Health and the description are for everybody on this machine.
fn guard(gateway: &Gateway, parts: &Parts, host: &str, path: &str) -> Result<(), (u16, String)> {
    if !is_own(gateway, host) {
        return Err((403, format!("Host {host:?} is no name of this gateway")));
    }
    if let Some(origin) = parts.headers.get(header::ORIGIN) {
        let origin = origin.to_str().unwrap_or_default();
        let name = origin.split("://").nth(1).unwrap_or_default();
        if name != host {
            return Err((403, format!("Origin {origin:?} is foreign")));
        }
    }
    if parts.method == "GET" && matches!(path, "" | "/health" | "/openapi.json") {
        return Ok(());
    }
    let given = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    match same(given.as_bytes(), gateway.token.as_bytes()) {
        true => Ok(()),
        false => {
            Err((401, "this needs `Authorization: Bearer TOKEN`; the token is printed at start".to_owned()))
        }
    }
}

/// Compares in a time that does not tell where they differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

/// Whether a host is this machine: an address, `localhost`, or a name that the user gave.
fn is_own(gateway: &Gateway, host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost" || name.parse::<IpAddr>().is_ok() || gateway.hosts.iter().any(|own| own == name)
}

fn plain(text: String, kind: &'static str) -> Response {
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
