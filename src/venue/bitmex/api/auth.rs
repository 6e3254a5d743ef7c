//! Who asks: `api-key`, `api-expires` and `api-signature`, checked as BitMEX checks them.
//!
//! The signature is the lower-case hex of HMAC-SHA256 of `VERB path?query expires body`, over the bytes as they came.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::routes::Refusal;
use crate::venue::api::{Account, Call, Key, Room, Window};

fn mac(key: &Key, parts: &[&[u8]]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.secret.as_bytes()).ok()?;
    parts.iter().for_each(|part| mac.update(part));
    Some(mac)
}

/// BitMEX' signature, as a client makes it.
#[cfg(test)]
pub(super) fn signature(key: &Key, text: &str) -> Option<String> {
    Some(hex::encode(mac(key, &[text.as_bytes()])?.finalize().into_bytes()))
}

fn is_signed(key: &Key, parts: &[&[u8]], claimed: &str) -> bool {
    let mut signature = [0; 32];
    hex::decode_to_slice(claimed, &mut signature).is_ok()
        && mac(key, parts).is_some_and(|mac| mac.verify_slice(&signature).is_ok())
}

/// Whose request it is; `None` where it does not say. Who says so must prove it, on public paths too.
pub(super) fn check(room: &Room<'_>, call: &Call<'_>) -> Result<Option<Account>, Refusal> {
    let Some(name) = call.header("api-key") else {
        let open = room.access.open.then(|| room.access.accounts.first().cloned()).flatten();
        return Ok(open);
    };
    let expires = call.header("api-expires").unwrap_or_default();
    let claimed = call.header("api-signature").unwrap_or_default();
    let mark = if call.query.is_empty() { "" } else { "?" };
    let signed = |prefix: &str, key: &Key| {
        let [method, prefix, path, mark, query, expires] =
            [call.method, prefix, call.path, mark, call.query, expires].map(str::as_bytes);
        is_signed(key, &[method, prefix, path, mark, query, expires, call.body], claimed)
    };
    proven(room, name, expires, |key| signed("", key) || signed(call.prefix, key)).map(Some)
}

/// The account of a socket that signs `GET/realtime` and the expiry.
pub(super) fn check_socket(
    room: &Room<'_>,
    call: Option<&Call<'_>>,
    (name, expires, claimed): (&str, &str, &str),
) -> Result<Account, Refusal> {
    let prefix = call.map(|call| call.prefix).unwrap_or_default();
    let signed = |prefix: &str, key: &Key| {
        is_signed(key, &["GET", prefix, "/realtime", expires].map(str::as_bytes), claimed)
    };
    proven(room, name, expires, |key| signed("", key) || signed(prefix, key))
}

fn proven(
    room: &Room<'_>,
    name: &str,
    expires: &str,
    is_signed: impl FnOnce(&Key) -> bool,
) -> Result<Account, Refusal> {
    let unknown = || Refusal::new(401, "Invalid API Key.");
    let account = room.access.account_of(name).cloned().ok_or_else(unknown)?;
    let Some(key) = room.access.key(name).filter(|_| !room.access.open) else { return Ok(account) };
    let until: i64 = expires.parse().map_err(|_| Refusal::new(401, "Signature not valid."))?;
    let now = room.wall().millis().div_euclid(1_000);
    if room.access.window != Window::Off && until < now {
        return Err(Refusal::new(
            400,
            &format!("This request has expired - `expires` is in the past. Current time: {now}"),
        ));
    }
    match is_signed(key) {
        true => Ok(account),
        false => Err(Refusal::new(401, "Signature not valid.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first four are printed in BitMEX' documentation; the others are made with another library.
    #[test]
    fn signatures_of_the_page() {
        let documented = "chNOOS4KvNXR_Xq4k4c9qsfoKWvnDecLATCRlcBwyKDYnWgO";
        let ours = "papertape-demo-secret-0001";
        for (secret, text, want) in [
            (
                documented,
                "GET/api/v1/instrument1518064236",
                "c7682d435d0cfe87c16098df34ef2eb5a549d4c5a3c2b1f0f77b8af73423bf00",
            ),
            (
                documented,
                "GET/api/v1/instrument?filter=%7B%22symbol%22%3A+%22XBTM15%22%7D1518064237",
                "e2f422547eecb5b3cb29ade2127e21b858b235b386bfa45e1c1756eb3383919f",
            ),
            (
                documented,
                r#"POST/api/v1/order1518064238{"symbol":"XBTM15","price":219.0,"clOrdID":"mm_bitmex_1a/oemUeQ4CAJZgP3fjHsA","orderQty":98}"#,
                "1749cd2ccae4aa49048ae09f0b95110cee706e0944e6a14ad0b3a8cb45bd336b",
            ),
            (
                documented,
                "GET/realtime1518064236",
                "6d459dc02866d35a2b965edeecc68063d488e296b77982235fc6eca24b934945",
            ),
            (
                ours,
                r#"POST/api/v1/order1767225600{"symbol":"XBTUSD","side":"Buy","orderQty":100,"price":60000,"ordType":"Limit","clOrdID":"demo-1"}"#,
                "57ee3c418a3cbb39d240b0d20d6ba7a731aca2daa4659eb1f16e77af515ebd43",
            ),
            (
                ours,
                "POST/api/v1/order1767225600symbol=XBTUSD&side=Buy&orderQty=100&price=60000&ordType=Limit",
                "0e2848679583a1dfaf71985e447836624da12d5a73d93ba0b355bac0c09b38f2",
            ),
            (
                ours,
                "POST/api/v1/order?symbol=XBTUSD&side=Buy&orderQty=100.0&clOrdID=demo-1&ordType=Limit&price=60000.01767225600",
                "332f37ba52cbb808b17e5d24a868978817e6ede35e7e0ffc50fd1e1c1fc55b68",
            ),
            (
                ours,
                "DELETE/api/v1/order?clOrdID=demo-11767225600",
                "9acf5b9bc228c93f1dc4919aefd2e1bfbee1f1b3d64cab59f35e645f7eb867d6",
            ),
            (
                ours,
                "GET/realtime1767225600",
                "335db2a0f36249485656827cde0a3525287232f1883ab3e6b63a144bb12ca64c",
            ),
        ] {
            let key = Key { key: "k".into(), secret: secret.into(), passphrase: String::new(), account: 0 };
            assert_eq!(signature(&key, text).as_deref(), Some(want), "{text}");
            assert!(is_signed(&key, &[text.as_bytes()], want) && !is_signed(&key, &[b"x"], want));
        }
    }
}
