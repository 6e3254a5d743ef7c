//! Who asks: keys and signatures, checked as BitMart checks them, and what it does not check.
//!
//! `X-BM-SIGN` is the lower-case hex of HMAC-SHA256 of `timestamp # memo # body`, over the bytes of the body as they
//! came. Requests that only read are `KEYED`: their signature is not looked at, and clients sign them in five ways.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::fields::Fields;
use super::reply::error;
use crate::market::Timestamp;
use crate::venue::NativeError;
use crate::venue::api::{Account, Call, Key, Room, Window};

/// What a request must prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// Nothing.
    None,
    /// That it knows a key.
    Keyed,
    /// That it knows a key's secret, and when it was sent: v1 to v3.
    Signed,
    /// The same, with `recvWindow`: v4.
    SignedWithWindow,
}

/// BitMart's signature, as a client makes it.
#[cfg(test)]
pub(super) fn signature(key: &Key, timestamp: &str, payload: &[u8]) -> Option<[u8; 32]> {
    Some(mac(key, timestamp, payload)?.finalize().into_bytes().into())
}

fn mac(key: &Key, timestamp: &str, payload: &[u8]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.secret.as_bytes()).ok()?;
    for part in [timestamp.as_bytes(), b"#", key.passphrase.as_bytes(), b"#", payload] {
        mac.update(part);
    }
    Some(mac)
}

/// Whether a signature is that of the message; the comparison takes the same time wherever they differ.
pub(super) fn is_signed(key: &Key, timestamp: &str, payload: &[u8], claimed: &str) -> bool {
    // The venue's hex is lower case, and so must the client's be.
    let lower = !claimed.bytes().any(|byte| byte.is_ascii_uppercase());
    let claimed = hex::decode(claimed).unwrap_or_default();
    lower && mac(key, timestamp, payload).is_some_and(|mac| mac.verify_slice(&claimed).is_ok())
}

/// Whose request it is; `None` where it need not say.
pub(super) fn check(
    proof: Proof,
    room: &Room<'_>,
    call: &Call<'_>,
    fields: &Fields<'_>,
) -> Result<Option<Account>, NativeError> {
    if proof == Proof::None {
        return Ok(None);
    }
    let name = call.header("x-bm-key").unwrap_or_default();
    if name.is_empty() && !room.access.open {
        return Err(error(401, 30_001, "Header X-BM-KEY is empty"));
    }
    let account = room.access.account_of(name).cloned();
    let account = account.ok_or_else(|| error(401, 30_002, "Header X-BM-KEY not found"))?;
    let key = room.access.key(name).filter(|_| proof != Proof::Keyed && !room.access.open);
    if let Some(key) = key {
        let timestamp = call.header("x-bm-timestamp").unwrap_or_default();
        if timestamp.is_empty() {
            return Err(error(401, 30_006, "Header X-BM-TIMESTAMP is empty"));
        }
        let window = match proof {
            Proof::SignedWithWindow => Some(fields.integer("recvWindow")?.unwrap_or(DEFAULT_WINDOW)),
            _ => None,
        };
        in_time(timestamp, window, room.access.window, room.wall())?;
        let claimed = call.header("x-bm-sign").unwrap_or_default();
        if claimed.is_empty() {
            return Err(error(401, 30_004, "Header X-BM-SIGN is empty"));
        }
        if !is_signed(key, timestamp, call.body, claimed) {
            return Err(error(401, 30_005, "Header X-BM-SIGN is wrong"));
        }
    }
    Ok(Some(account))
}

/// `recvWindow` where it is not given, in milliseconds.
const DEFAULT_WINDOW: i64 = 5_000;

fn in_time(timestamp: &str, window: Option<i64>, rule: Window, wall: Timestamp) -> Result<(), NativeError> {
    let bad = || error(401, 30_008, "Header X-BM-TIMESTAMP invalid format");
    let sent: i64 = timestamp.parse().map_err(|_| bad())?;
    let age = wall.millis().checked_sub(sent).ok_or_else(bad)?;
    let minute = || error(401, 30_007, "Header X-BM-TIMESTAMP range. Within a minute");
    match (rule, window) {
        (Window::Off, _) => Ok(()),
        (Window::Within(most), _) => {
            let most = i64::try_from(most.as_millis()).unwrap_or(i64::MAX);
            if age.unsigned_abs() <= most.unsigned_abs() { Ok(()) } else { Err(minute()) }
        }
        (Window::Venue, None) if age.unsigned_abs() <= 60_000 => Ok(()),
        (Window::Venue, None) => Err(minute()),
        (Window::Venue, Some(window)) if !(1..=60_000).contains(&window) => {
            Err(super::reply::invalid("recvWindow"))
        }
        (Window::Venue, Some(window)) if age > -1_000 && age <= window => Ok(()),
        (Window::Venue, Some(_)) => Err(error(
            401,
            30_007,
            "Header X-BM-TIMESTAMP range. Timestamp for this request is outside of the recvWindow.",
        )),
    }
}

/// Whether the login of a socket is in time: within a minute.
pub(super) fn login_in_time(timestamp: &str, room: &Room<'_>) -> Result<(), (&'static str, &'static str)> {
    let sent: i64 = timestamp.parse().map_err(|_| ("91023", "Param timestamp invalid format"))?;
    let most = match room.access.window {
        Window::Off => return Ok(()),
        Window::Venue => Duration::from_secs(60),
        Window::Within(most) => most,
    };
    let age = room.wall().millis().checked_sub(sent).map_or(u64::MAX, i64::unsigned_abs);
    let late = u128::from(age) > most.as_millis();
    if late { Err(("91022", "Param timestamp range. Within a minute")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(secret: &str, memo: &str) -> Key {
        Key { key: "k".into(), secret: secret.into(), passphrase: memo.into(), account: 0 }
    }

    /// The first two are printed in BitMart's documentation; the others are made with Python's `hmac`.
    #[test]
    fn signatures_of_the_page() {
        let documented = "6c6c98544461bbe71db2bca4c6d7fd0021e0ba9efc215f9c6ad41852df9d9df9";
        let ours = "papertape-secret-0001";
        for (secret, memo, timestamp, payload, want) in [
            (
                documented,
                "test001",
                "1589793796145",
                r#"{"symbol":"BTC_USDT","price":"8600","count":"100"}"#,
                "c31dc326bf87f38bfb49a3f8494961abfa291bd549d0d98d9578e87516cee46d",
            ),
            (
                documented,
                "test001",
                "1589267764859",
                "bitmart.WebSocket",
                "3ceeb7e1b8cb165a975e28a2e2dfaca4d30b358873c0351c1a071d8c83314556",
            ),
            (
                ours,
                "papertape",
                "1700000000000",
                r#"{"symbol":"BTC_USDT","side":"buy","type":"limit","size":"0.01","price":"60000.00","client_order_id":"pt0001"}"#,
                "6615c3f0c03141e14919ae2d5a92e2df92b2bc5b42961ca361328bb837d272db",
            ),
            (
                ours,
                "papertape",
                "1700000000000",
                "",
                "eb0c963e874acc90a34ccf9b298e16433137c4876983e2e87ed90561cfb2eb18",
            ),
            (
                ours,
                "papertape",
                "1700000000000",
                "symbol=BTCUSDT&order_id=3000000000000001",
                "3c689e7e383ea343ccdf3261b942e49de78bfd5fd5e4814eac37b35c121e6818",
            ),
            (
                ours,
                "papertape",
                "1700000000000",
                "{}",
                "f68b2435186b97993d2b6c9923486724d490c36d93fe2a0219bbaf7a7e6de55f",
            ),
            (
                ours,
                "papertape",
                "1700000000000",
                "bitmart.WebSocket",
                "b6565ce2f8f7d4cb9f34a0c262027c2ecdb062f431b5176af53a43aa10394a7b",
            ),
            (
                ours,
                "papertape",
                "1700000000000",
                r#"{"symbol": "BTCUSDT", "client_order_id": "pt0002", "type": "market", "side": 1, "mode": null, "size": 5}"#,
                "698327513034d6dbc0ce050593c5b79d47ae71e09c152334f6747771450aefc8",
            ),
        ] {
            let key = key(secret, memo);
            let made = signature(&key, timestamp, payload.as_bytes()).map(hex::encode);
            assert_eq!(made.as_deref(), Some(want), "{payload}");
            assert!(is_signed(&key, timestamp, payload.as_bytes(), want));
            assert!(!is_signed(&key, timestamp, payload.as_bytes(), &want.to_uppercase()));
            assert!(!is_signed(&key, timestamp, b"other", want));
        }
    }

    #[test]
    fn a_timestamp_is_in_time_or_not() {
        let wall = Timestamp::from_millis(1_700_000_000_000);
        let at = |offset: i64| (1_700_000_000_000 + offset).to_string();
        let code = |text: &str, window, rule| in_time(text, window, rule, wall).err().map(|error| error.code);
        for (text, window, rule, want) in [
            (at(-60_000), None, Window::Venue, None),
            (at(60_000), None, Window::Venue, None),
            (at(-60_001), None, Window::Venue, Some(30_007)),
            (at(-5_000), Some(5_000), Window::Venue, None),
            (at(-5_001), Some(5_000), Window::Venue, Some(30_007)),
            (at(999), Some(5_000), Window::Venue, None),
            (at(1_000), Some(5_000), Window::Venue, Some(30_007)),
            (at(0), Some(0), Window::Venue, Some(50_021)),
            (at(0), Some(60_001), Window::Venue, Some(50_021)),
            (at(-3_000), None, Window::Within(Duration::from_secs(2)), Some(30_007)),
            (at(-3_000), None, Window::Within(Duration::from_secs(4)), None),
            ("0".into(), None, Window::Off, None),
            ("now".into(), None, Window::Venue, Some(30_008)),
            (i64::MIN.to_string(), None, Window::Venue, Some(30_008)),
        ] {
            assert_eq!(code(&text, window, rule), want, "{text} {window:?} {rule:?}");
        }
    }
}
