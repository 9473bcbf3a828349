//! How pushed requests are signed and checked: Standard Webhooks 1.0 (`webhook-id`, `webhook-timestamp`,
//! `webhook-signature`). Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

/// The prefix of a secret; the rest is base64.
pub const SECRET_PREFIX: &str = "whsec_";
/// Signatures that one request may carry.
const MOST_SIGNATURES: usize = 16;

/// The bytes that sign: what follows `whsec_` is base64; another text signs as it stands.
#[must_use]
pub fn key_bytes(secret: &str) -> Vec<u8> {
    let encoded = secret.strip_prefix(SECRET_PREFIX);
    encoded.and_then(|text| STANDARD.decode(text).ok()).unwrap_or_else(|| secret.as_bytes().to_vec())
}

/// One signature, as it stands in `webhook-signature`. `at`: seconds, as they stand in `webhook-timestamp`.
#[must_use]
pub fn signature(secret: &str, id: &str, at: &str, body: &[u8]) -> String {
    let Ok(mut mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(&key_bytes(secret)) else {
        // Not reached: a MAC takes keys of any length.
        return String::new();
    };
    for part in [id.as_bytes(), b".", at.as_bytes(), b".", body] {
        mac.update(part);
    }
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// Whether any of these signatures, as they stand in `webhook-signature`, is that of this secret. In constant time.
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
