//! Signs and verifies requests by Standard Webhooks 1.0 (`webhook-id`, `webhook-timestamp`, `webhook-signature`).
//! Signatures are compared in constant time.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

/// The prefix of a secret; the rest is base64.
pub const SECRET_PREFIX: &str = "whsec_";
/// Maximum signatures of a request that are compared.
const MOST_SIGNATURES: usize = 16;

/// The key bytes of a secret: base64 after `whsec_`, or the bytes of any other text.
#[must_use]
pub fn key_bytes(secret: &str) -> Vec<u8> {
    let encoded = secret.strip_prefix(SECRET_PREFIX);
    encoded.and_then(|text| STANDARD.decode(text).ok()).unwrap_or_else(|| secret.as_bytes().to_vec())
}

/// A signature in the form of `webhook-signature`. `at`: the seconds of `webhook-timestamp`.
#[must_use]
pub fn signature(secret: &str, id: &str, at: &str, body: &[u8]) -> String {
    let Ok(mut mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(&key_bytes(secret)) else {
        // Not reached: HMAC accepts keys of any length.
        return String::new();
    };
    for part in [id.as_bytes(), b".", at.as_bytes(), b".", body] {
        mac.update(part);
    }
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// Whether one of the signatures of the header `webhook-signature` was made with this secret. In constant time.
#[must_use]
pub fn is_signed(secret: &str, id: &str, at: &str, body: &[u8], signatures: &str) -> bool {
    let ours = signature(secret, id, at, body);
    let known = signatures.split(' ').take(MOST_SIGNATURES);
    let same = |one: &str| u8::from(bool::from(one.as_bytes().ct_eq(ours.as_bytes())));
    !ours.is_empty() && known.fold(0, |matches, one| matches | same(one)) == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const RIGHT: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn is_taken(body: &[u8], signatures: &str) -> bool {
        is_signed(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body, signatures)
    }

    #[test]
    fn standard_webhooks_vector_alone_verifies() {
        assert_eq!(signature(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", BODY), RIGHT);
        assert!(is_taken(BODY, RIGHT) && is_taken(BODY, &format!("v1,AAAA {RIGHT}")));
        assert!(!is_taken(br#"{"test": 2432232315}"#, RIGHT));
        for wrong in ["", "v1,", "v1,AAAA", &RIGHT.replace("v1,", "v2,"), &RIGHT[3..]] {
            assert!(!is_taken(BODY, wrong), "{wrong}");
        }
        let late = format!("{}{RIGHT}", "v1,AAAA ".repeat(MOST_SIGNATURES));
        assert!(!is_taken(BODY, &late), "only so many are looked at");
    }
}
