//! The table of requests: method, path, what it must prove, how often it may come, and who answers it. The limits are
//! those of the API documentation's "Rate Limit" tables. Those of contracts are in `contract`.

use std::time::Duration;

use serde_json::Value;
use smol_str::SmolStr;

use super::auth::{self, Proof};
use super::contract::{self, Memory};
use super::fields::Fields;
use super::reply::{self, Word, error};
use super::{account, orders, public, query};
use crate::order::SessionId;
use crate::paper::PaperError;
use crate::sim::OrderEvent;
use crate::venue::NativeError;
use crate::venue::api::{Account, Call, Called, Reply, Room, Waiting};
use crate::venue::limits::Limits;

/// What an answer is made from.
pub(super) struct Asked<'a, 'r> {
    pub(super) room: &'a mut Room<'r>,
    pub(super) fields: &'a Fields<'a>,
    /// What the interface itself remembers of contracts.
    pub(super) memory: &'a mut Memory,
    /// Whose; `None` where the request need not say.
    account: Option<Account>,
}

impl Asked<'_, '_> {
    /// Whose request it is.
    pub(super) fn account(&self) -> Result<&Account, NativeError> {
        self.account.as_ref().ok_or_else(|| error(401, 30_001, "Header X-BM-KEY is empty"))
    }
}

/// Makes the data of a reply once the exchange has answered.
pub(super) type Finish =
    Box<dyn FnOnce(&mut Room<'_>, &[Option<OrderEvent>]) -> Result<Value, NativeError> + Send>;

/// What a request comes to.
pub(super) enum Outcome {
    /// The reply's data.
    Data(Value),
    /// The exchange was asked.
    Sent { session: SessionId, tags: Vec<u64>, finish: Finish },
}

/// Why there is no reply of data.
pub(super) enum Refusal {
    /// The venue says no.
    Native(NativeError),
    /// The exchange cannot go on.
    Paper(PaperError),
}

impl From<NativeError> for Refusal {
    fn from(error: NativeError) -> Self {
        Self::Native(error)
    }
}

impl From<PaperError> for Refusal {
    fn from(error: PaperError) -> Self {
        Self::Paper(error)
    }
}

pub(super) type Answer = Result<Outcome, Refusal>;

/// Who is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Per {
    Ip,
    Key,
    Uid,
}

impl Per {
    const fn name(self) -> &'static str {
        match self {
            Self::Ip => "IP",
            Self::Key => "KEY",
            Self::Uid => "UID",
        }
    }
}

/// One request: what it must prove, how often it may come, who answers.
pub(super) struct Route {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    proof: Proof,
    word: Word,
    /// So many requests …
    most: u32,
    /// … in so many seconds.
    seconds: u64,
    per: Per,
    answer: fn(&mut Asked<'_, '_>) -> Answer,
}

const fn get(path: &'static str, most: u32, seconds: u64, answer: fn(&mut Asked<'_, '_>) -> Answer) -> Route {
    Route { method: "GET", path, proof: Proof::None, word: Word::Ok, most, seconds, per: Per::Ip, answer }
}

const fn quotation(path: &'static str, most: u32, answer: fn(&mut Asked<'_, '_>) -> Answer) -> Route {
    Route { word: Word::Success, ..get(path, most, 2, answer) }
}

const fn keyed(path: &'static str, most: u32, answer: fn(&mut Asked<'_, '_>) -> Answer) -> Route {
    Route { proof: Proof::Keyed, per: Per::Key, ..get(path, most, 2, answer) }
}

const fn post(
    path: &'static str,
    most: u32,
    seconds: u64,
    per: Per,
    answer: fn(&mut Asked<'_, '_>) -> Answer,
) -> Route {
    Route { method: "POST", proof: Proof::Signed, per, ..get(path, most, seconds, answer) }
}

const fn v4(path: &'static str, most: u32, answer: fn(&mut Asked<'_, '_>) -> Answer) -> Route {
    let post = post(path, most, 2, Per::Key, answer);
    Route { proof: Proof::SignedWithWindow, word: Word::Success, ..post }
}

/// Public data of the futures host.
pub(super) const fn futures(
    path: &'static str,
    most: u32,
    answer: fn(&mut Asked<'_, '_>) -> Answer,
) -> Route {
    Route { word: Word::Fine, ..get(path, most, 2, answer) }
}

/// What the futures host tells an account.
pub(super) const fn futures_keyed(
    path: &'static str,
    most: u32,
    answer: fn(&mut Asked<'_, '_>) -> Answer,
) -> Route {
    Route { word: Word::Fine, ..keyed(path, most, answer) }
}

/// What an account asks the futures host to do.
pub(super) const fn futures_post(
    path: &'static str,
    most: u32,
    per: Per,
    answer: fn(&mut Asked<'_, '_>) -> Answer,
) -> Route {
    Route { word: Word::Fine, ..post(path, most, 2, per, answer) }
}

const ROUTES: &[Route] = &[
    get("/system/time", 10, 1, public::time),
    get("/system/service", 10, 1, public::service),
    get("/spot/v1/currencies", 8, 2, public::currencies),
    get("/account/v1/currencies", 2, 2, public::account_currencies),
    get("/spot/v1/symbols", 8, 2, public::symbols),
    get("/spot/v1/symbols/details", 12, 2, public::details),
    quotation("/spot/quotation/v3/tickers", 10, public::tickers),
    quotation("/spot/quotation/v3/ticker", 15, public::ticker),
    quotation("/spot/quotation/v3/books", 15, public::books),
    quotation("/spot/quotation/v3/trades", 15, public::trades),
    quotation("/spot/quotation/v3/klines", 10, public::klines),
    quotation("/spot/quotation/v3/lite-klines", 15, public::klines),
    keyed("/spot/v1/wallet", 12, account::wallet),
    keyed("/account/v1/wallet", 12, account::account_wallet),
    keyed("/spot/v1/trade_fee", 2, account::trade_fee),
    keyed("/spot/v1/user_fee", 2, account::user_fee),
    keyed("/spot/v3/orders", 12, query::legacy_orders),
    post("/spot/v2/submit_order", 40, 2, Per::Uid, orders::submit),
    post("/spot/v1/submit_order", 40, 2, Per::Uid, orders::submit),
    post("/spot/v3/cancel_order", 40, 2, Per::Uid, orders::cancel),
    post("/spot/v2/cancel_order", 40, 2, Per::Uid, orders::cancel),
    Route { per: Per::Uid, word: Word::Ok, ..v4("/spot/v4/batch_orders", 40, orders::batch) },
    Route { per: Per::Uid, word: Word::Ok, ..v4("/spot/v4/cancel_orders", 40, orders::cancel_several) },
    Route { per: Per::Uid, seconds: 3, word: Word::Ok, ..v4("/spot/v4/cancel_all", 1, orders::cancel_all) },
    v4("/spot/v4/query/order", 50, query::by_order_id),
    v4("/spot/v4/query/client-order", 50, query::by_client_id),
    v4("/spot/v4/query/open-orders", 12, query::open),
    v4("/spot/v4/query/history-orders", 12, query::history),
    v4("/spot/v4/query/trades", 12, query::trades),
    v4("/spot/v4/query/order-trades", 12, query::order_trades),
    post("/spot/v1/margin/submit_order", 20, 1, Per::Uid, account::no_permission),
    post("/spot/v1/margin/isolated/borrow", 2, 2, Per::Key, account::no_permission),
    post("/spot/v1/margin/isolated/repay", 2, 2, Per::Key, account::no_permission),
    post("/spot/v1/margin/isolated/transfer", 2, 2, Per::Key, account::no_permission),
    keyed("/spot/v1/margin/isolated/account", 12, account::no_permission),
    keyed("/spot/v1/margin/isolated/pairs", 2, account::no_permission),
    keyed("/spot/v1/margin/isolated/borrow_record", 150, account::no_permission),
    keyed("/spot/v1/margin/isolated/repay_record", 150, account::no_permission),
    keyed("/account/v1/deposit/address", 2, account::no_permission),
    keyed("/account/v1/withdraw/charge", 2, account::no_permission),
    keyed("/account/v2/deposit-withdraw/history", 8, account::no_permission),
    keyed("/account/v1/deposit-withdraw/detail", 8, account::no_permission),
    post("/account/v1/withdraw/apply", 8, 2, Per::Key, account::no_permission),
    post("/account/v1/transfer-contract", 1, 2, Per::Key, account::no_permission),
    post("/account/v1/transfer-contract-list", 1, 2, Per::Key, account::no_permission),
];

/// Answers a request.
pub(super) fn answer(
    limits: &mut Limits,
    memory: &mut Memory,
    number: u64,
    room: &mut Room<'_>,
    call: &Call<'_>,
) -> Result<Called, PaperError> {
    let there = || ROUTES.iter().chain(contract::ROUTES).filter(|route| route.path == call.path);
    let Some(route) = there().find(|route| route.method == call.method) else {
        let nothing = || reply::failure(404, 30_000, "Not found", number);
        return Ok(match there().next() {
            Some(_) => reply::failure(405, 57_001, "Method Not Allowed", number),
            None => contract::nothing(call.path, number).unwrap_or_else(nothing),
        }
        .into());
    };
    let headers = match route.allow(limits, room, call, number) {
        Ok(headers) => headers,
        Err(refused) => return Ok(refused.into()),
    };
    let with_headers = move |reply: Reply| Reply { headers, ..reply };
    let refused = match route.word {
        Word::Fine => |error, number| reply::contract_refused(&contract::worded(error), number),
        Word::Ok | Word::Success => |error, number| reply::refused(&error, number),
    };
    match route.ask(memory, room, call) {
        Ok(Outcome::Data(data)) => Ok(with_headers(reply::success(route.word, &data, number)).into()),
        Ok(Outcome::Sent { session, tags, finish }) => {
            let word = route.word;
            let finish = Box::new(move |room: &mut Room<'_>, answers: &[Option<OrderEvent>]| {
                with_headers(match finish(room, answers) {
                    Ok(data) => reply::success(word, &data, number),
                    Err(error) => refused(error, number),
                })
            });
            Ok(Called::Waiting(Waiting { session, tags, finish }))
        }
        Err(Refusal::Native(error)) => Ok(with_headers(refused(error, number)).into()),
        Err(Refusal::Paper(error)) => Err(error),
    }
}

impl Route {
    /// The headers of the rate limit, or the answer where it is exceeded. `Remaining` counts what was used.
    fn allow(
        &self,
        limits: &mut Limits,
        room: &Room<'_>,
        call: &Call<'_>,
        number: u64,
    ) -> Result<Vec<(&'static str, String)>, Reply> {
        if !room.access.limits {
            return Ok(Vec::new());
        }
        let key = call.header("x-bm-key");
        let who = match self.per {
            Per::Ip => None,
            Per::Key => key,
            Per::Uid => room.access.account_of(key.unwrap_or_default()).map(|account| account.name.as_str()),
        };
        let who = who.map_or_else(|| call.address(), SmolStr::from);
        let used = limits.count(self.path, &who, Duration::from_secs(self.seconds), room.wall());
        let headers = vec![
            ("X-BM-RateLimit-Limit", self.most.to_string()),
            ("X-BM-RateLimit-Remaining", used.to_string()),
            ("X-BM-RateLimit-Reset", self.seconds.to_string()),
            ("X-BM-RateLimit-Mode", self.per.name().to_owned()),
        ];
        // Who goes on after many refusals is told so in other words.
        let refused = match used.saturating_sub(self.most) {
            0 => return Ok(headers),
            over if over <= 2 * self.most => reply::failure(429, 30_013, "Request too many requests", number),
            _ => reply::failure(
                418,
                30_017,
                "Your account request is temporarily rejected due to violation of current limiting rules, please \
                 contact customer service",
                number,
            ),
        };
        Err(Reply { headers, ..refused })
    }

    fn ask(&self, memory: &mut Memory, room: &mut Room<'_>, call: &Call<'_>) -> Answer {
        let fields = match self.method {
            "GET" => Ok(Fields::of_query(call.parameters())),
            _ => Fields::of_body(call.body),
        };
        // Who asks is looked at before what is asked.
        let nothing = Fields::default();
        let account = auth::check(self.proof, room, call, fields.as_ref().unwrap_or(&nothing))?;
        let fields = fields?;
        (self.answer)(&mut Asked { room, fields: &fields, memory, account })
    }
}
