//! The table of requests: method, path, whether it needs a key, and who answers it. All are under `/api/v1`.

use std::time::Duration;

use smol_str::SmolStr;

use super::fields::Fields;
use super::log::Log;
use super::row::{Row, array};
use super::{Switches, account, auth, orders, positions, public};
use crate::order::SessionId;
use crate::paper::PaperError;
use crate::sim::OrderEvent;
use crate::venue::api::{Account, Call, Called, Reply, Room, Waiting};
use crate::venue::limits::Limits;

/// Why there is no answer: the status, what is wrong, and the kind of error that it is.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) message: String,
    name: &'static str,
    failed: Option<Box<PaperError>>,
}

impl Refusal {
    pub(super) fn new(status: u16, message: &str) -> Self {
        Self { status, message: message.to_owned(), name: "HTTPError", failed: None }
    }

    /// The same with something before what it says.
    pub(super) fn prefixed(mut self, prefix: &str) -> Self {
        self.message.insert_str(0, prefix);
        self
    }

    /// A refusal whose values are at fault.
    pub(super) fn validation(message: &str) -> Self {
        Self { name: "ValidationError", ..Self::new(400, message) }
    }
}

impl From<PaperError> for Refusal {
    fn from(error: PaperError) -> Self {
        Self { failed: Some(Box::new(error)), ..Self::new(503, "") }
    }
}

/// A parameter is at fault.
pub(super) fn bad(message: &str) -> Refusal {
    Refusal::new(400, message)
}

fn error_body(message: &str, name: &str) -> String {
    format!(r#"{{"error":{{"message":{},"name":"{name}"}}}}"#, serde_json::Value::from(message))
}

/// An error as BitMEX words it.
pub(super) fn failure(status: u16, message: &str) -> Reply {
    Reply::new(status, error_body(message, "HTTPError"))
}

/// What an answer is made from.
pub(super) struct Asked<'a, 'r> {
    pub(super) room: &'a mut Room<'r>,
    pub(super) fields: &'a Fields<'a>,
    pub(super) switches: &'a mut Switches,
    pub(super) log: &'a Log,
    account: Option<Account>,
}

impl Asked<'_, '_> {
    pub(super) fn account(&self) -> Result<&Account, Refusal> {
        self.account.as_ref().ok_or_else(|| Refusal::new(401, "Missing API key."))
    }
}

pub(super) type Finish =
    Box<dyn FnOnce(&mut Room<'_>, &[Option<OrderEvent>]) -> Result<String, Refusal> + Send>;

/// What a request comes to.
pub(super) enum Outcome {
    /// The body.
    Body(String),
    /// The exchange was asked.
    Sent { session: SessionId, tags: Vec<u64>, finish: Finish },
}

impl From<Row> for Outcome {
    fn from(row: Row) -> Self {
        Self::Body(row.into_json())
    }
}

impl From<Vec<Row>> for Outcome {
    fn from(rows: Vec<Row>) -> Self {
        Self::Body(array(&rows))
    }
}

pub(super) type Answer = Result<Outcome, Refusal>;

/// Method, path, whether it needs a key, who answers.
type Route = (&'static str, &'static str, bool, fn(&mut Asked<'_, '_>) -> Answer);

const ROUTES: &[Route] = &[
    ("GET", "", false, public::about),
    ("GET", "/instrument", false, public::instruments),
    ("GET", "/instrument/active", false, public::active),
    ("GET", "/instrument/activeIntervals", false, public::intervals),
    ("GET", "/instrument/indices", false, public::indices),
    ("GET", "/instrument/activeAndIndices", false, public::active_and_indices),
    ("GET", "/orderBook/L2", false, public::book),
    ("GET", "/trade", false, public::trades),
    ("GET", "/trade/bucketed", false, public::bins),
    ("GET", "/quote", false, public::quotes),
    ("GET", "/funding", false, public::fundings),
    ("GET", "/liquidation", false, public::nothing),
    ("GET", "/settlement", false, public::nothing),
    ("GET", "/insurance", false, public::nothing),
    ("GET", "/announcement", false, public::nothing),
    ("GET", "/schema/websocketHelp", false, public::help),
    ("GET", "/wallet/assets", false, public::assets),
    ("GET", "/wallet/networks", false, public::nothing),
    ("GET", "/order", true, orders::list),
    ("POST", "/order", true, orders::place),
    ("PUT", "/order", true, orders::amend),
    ("DELETE", "/order", true, orders::cancel),
    ("POST", "/order/bulk", true, orders::place_many),
    ("PUT", "/order/bulk", true, orders::amend_many),
    ("POST", "/order/closePosition", true, orders::close_position),
    ("DELETE", "/order/all", true, orders::cancel_all),
    ("POST", "/order/cancelAllAfter", true, orders::cancel_all_after),
    ("GET", "/execution", true, account::executions),
    ("GET", "/execution/tradeHistory", true, account::trades),
    ("GET", "/position", true, positions::list),
    ("POST", "/position/leverage", true, positions::leverage),
    ("POST", "/position/isolate", true, positions::isolate),
    ("POST", "/position/riskLimit", true, positions::risk_limit),
    ("POST", "/position/transferMargin", true, positions::transfer),
    ("GET", "/user", true, account::user),
    ("GET", "/user/margin", true, account::margin),
    ("GET", "/user/wallet", true, account::wallet),
    ("GET", "/user/walletHistory", true, account::history),
    ("GET", "/user/walletSummary", true, account::summary),
    ("GET", "/user/commission", true, account::commission),
    ("GET", "/user/tradingVolume", true, account::volume),
    ("GET", "/user/depositAddress", true, account::forbidden),
    ("POST", "/user/requestWithdrawal", true, account::forbidden),
    ("POST", "/user/walletTransfer", true, account::forbidden),
];

/// Requests in a minute: of a key, of an address.
const MOST_OF_KEY: u32 = 120;
const MOST_OF_ADDRESS: u32 = 30;
/// Changes of orders in a second.
const MOST_ORDERS: u32 = 10;

/// Answers a request.
pub(super) fn answer(
    limits: &mut Limits,
    (switches, log): (&mut Switches, &Log),
    room: &mut Room<'_>,
    call: &Call<'_>,
) -> Result<Called, PaperError> {
    let path = call.path.strip_prefix("/api/v1").map(|path| if path == "/" { "" } else { path });
    let route = ROUTES.iter().find(|(method, known, ..)| *method == call.method && Some(*known) == path);
    let headers = match allow(limits, room, call) {
        Ok(headers) => headers,
        Err(refused) => return Ok(refused.into()),
    };
    let with_headers = move |reply: Reply| Reply { headers, ..reply };
    let refused = |refusal: Refusal| match refusal.failed {
        Some(error) => Err(*error),
        None => Ok(Reply::new(refusal.status, error_body(&refusal.message, refusal.name))),
    };
    let Some((_, _, private, answer)) = route else {
        return Ok(with_headers(failure(404, "Not Found")).into());
    };
    let asked = auth::check(room, call).and_then(|account| {
        if *private && account.is_none() {
            return Err(Refusal::new(401, "Missing API key."));
        }
        let fields = Fields::read(call)?;
        answer(&mut Asked { room, fields: &fields, switches, log, account })
    });
    match asked {
        Ok(Outcome::Body(body)) => Ok(with_headers(Reply::new(200, body)).into()),
        Ok(Outcome::Sent { session, tags, finish }) => {
            let finish = Box::new(move |room: &mut Room<'_>, answers: &[Option<OrderEvent>]| {
                with_headers(match finish(room, answers) {
                    Ok(body) => Reply::new(200, body),
                    Err(refusal) => Reply::new(refusal.status, error_body(&refusal.message, refusal.name)),
                })
            });
            Ok(Called::Waiting(Waiting { session, tags, finish }))
        }
        Err(refusal) => Ok(with_headers(refused(refusal)?).into()),
    }
}

/// The headers of the rate limit, which are always there, or the answer where it is exceeded.
fn allow(
    limits: &mut Limits,
    room: &Room<'_>,
    call: &Call<'_>,
) -> Result<Vec<(&'static str, String)>, Reply> {
    let key = call.header("api-key");
    let (most, what) = if key.is_some() {
        (MOST_OF_KEY, "minute of a key")
    } else {
        (MOST_OF_ADDRESS, "minute of an address")
    };
    let (who, now) = (key.map_or_else(|| call.address(), SmolStr::from), room.wall());
    let used = limits.count(what, &who, Duration::from_secs(60), now);
    let reset = now.millis().div_euclid(1_000) + 60;
    let mut headers = vec![
        ("x-ratelimit-limit", most.to_string()),
        ("x-ratelimit-remaining", most.saturating_sub(used).to_string()),
        ("x-ratelimit-reset", reset.to_string()),
    ];
    let mut over = used > most;
    let counted = ["/api/v1/order", "/api/v1/position"].iter().any(|path| call.path.starts_with(path));
    if call.method != "GET" && counted {
        let used = limits.count("second of orders", &who, Duration::from_secs(1), now);
        headers.push(("x-ratelimit-remaining-1s", MOST_ORDERS.saturating_sub(used).to_string()));
        over |= used > MOST_ORDERS;
    }
    if !over || !room.access.limits {
        return Ok(headers);
    }
    headers.push(("retry-after", "1".to_owned()));
    let body = error_body("Rate limit exceeded, retry in 1 seconds.", "RateLimitError");
    Err(Reply { headers, ..Reply::new(429, body) })
}
