//! The envelope of BitMart's replies: `{"code":1000,"message":"OK","trace":"…","data":{…}}`, without a space, since
//! clients look for `"code":50005` in the text.

use serde_json::Value;

use crate::venue::NativeError;
use crate::venue::api::Reply;

/// What `message` says of a reply that went well: `OK`, or `success` for spot quotation and v4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Ok,
    Success,
    /// Futures.
    Fine,
}

impl Word {
    const fn text(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Success => "success",
            Self::Fine => "Ok",
        }
    }
}

/// `32 hex . NN . 17 digits`, as live replies have it; each reply has another.
fn trace(number: u64) -> String {
    // Spread over the digits, so that two traces do not look alike.
    let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("{spread:016x}{:016x}.{:02}.{:017}", spread.rotate_left(32), number % 100, number)
}

/// All went well.
pub(super) fn success(word: Word, data: &Value, number: u64) -> Reply {
    let message = word.text();
    Reply::new(
        200,
        format!(r#"{{"code":1000,"message":"{message}","trace":"{}","data":{data}}}"#, trace(number)),
    )
}

/// It did not.
pub(super) fn failure(status: u16, code: u32, message: &str, number: u64) -> Reply {
    let message = Value::from(message);
    let trace = trace(number);
    Reply::new(status, format!(r#"{{"message":{message},"code":{code},"trace":"{trace}","data":{{}}}}"#))
}

/// The same of an error of the venue.
pub(super) fn refused(error: &NativeError, number: u64) -> Reply {
    failure(error.http, error.code, &error.message, number)
}

/// The same on the futures host, whose failures have no data.
pub(super) fn contract_refused(error: &NativeError, number: u64) -> Reply {
    let (code, message, trace) = (error.code, Value::from(error.message.as_str()), trace(number));
    Reply::new(error.http, format!(r#"{{"code":{code},"message":{message},"trace":"{trace}"}}"#))
}

/// Nothing is there on the futures host.
pub(super) fn contract_nothing(number: u64) -> Reply {
    let trace = trace(number);
    Reply::new(404, format!(r#"{{"trace":"{trace}","msg":"Not found","code":30000}}"#))
}

/// An error of the venue.
pub(super) fn error(http: u16, code: u32, message: impl Into<String>) -> NativeError {
    NativeError { code, http, message: message.into() }
}

/// A malformed request, and what is wrong with it.
pub(super) fn bad_request(detail: &str) -> NativeError {
    error(400, 50_000, format!("Bad Request [{detail}]"))
}

/// A parameter has a wrong value.
pub(super) fn invalid(name: &str) -> NativeError {
    error(400, 50_021, format!("Invalid {name}"))
}
