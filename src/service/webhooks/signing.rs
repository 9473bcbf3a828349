//! Signs deliveries. Pure.
//!
//! Source: Standard Webhooks 1.0 ([`standard_webhooks`]), and the signature headers of WAHA and Meta in the
//! upstream contract.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256, Sha512};
use ulid::Ulid;

use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::webhook::{EndpointId, Format};
use crate::net::standard_webhooks;

/// Returns the `webhook-id` of an event: `evt_` and a ULID of the event's time. Endpoint, device, position
/// and name replace the ULID's random part, so that all attempts and replays have the same id.
pub(super) fn message_id(
    endpoint: &EndpointId,
    device: &DeviceId,
    seq: i64,
    name: &str,
    at: Millis,
) -> String {
    let digest = Sha256::digest(format!("{endpoint}/{device}/{seq}/{name}").as_bytes());
    let mut bits = u128::from(u64::try_from(at.0).unwrap_or(0) & 0xffff_ffff_ffff) << 80;
    for (index, byte) in digest.iter().take(10).enumerate() {
        bits |= u128::from(*byte) << (8 * (9 - index));
    }
    format!("evt_{}", Ulid(bits))
}

/// Builds the identification and signature headers. `secrets` begins with the newest.
pub(super) fn headers(
    format: Format,
    id: &str,
    now: Millis,
    body: &[u8],
    secrets: &[&str],
) -> Vec<(String, String)> {
    let seconds = now.0.div_euclid(1_000).to_string();
    let signatures: Vec<String> =
        secrets.iter().map(|secret| standard_webhooks::signature(secret, id, &seconds, body)).collect();
    let mut headers = vec![
        ("webhook-id".to_owned(), id.to_owned()),
        ("webhook-timestamp".to_owned(), seconds),
        ("webhook-signature".to_owned(), signatures.join(" ")),
    ];
    // These formats allow one signature only.
    let newest = secrets.first().copied().unwrap_or_default().as_bytes();
    match format {
        Format::Wharf => {}
        Format::Waha => headers.extend([
            ("X-Webhook-Hmac".to_owned(), hex::encode(mac::<Hmac<Sha512>>(newest, &[body]))),
            ("X-Webhook-Hmac-Algorithm".to_owned(), "sha512".to_owned()),
            ("X-Webhook-Request-Id".to_owned(), id.to_owned()),
            ("X-Webhook-Timestamp".to_owned(), now.0.to_string()),
        ]),
        Format::Wwebjs => {
            let signature = format!("sha256={}", hex::encode(mac::<Hmac<Sha256>>(newest, &[body])));
            headers.push(("X-Hub-Signature-256".to_owned(), signature));
        }
    }
    headers
}

fn mac<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else {
        // Unreachable: a MAC accepts keys of any length.
        return Vec::new();
    };
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(headers: &[(String, String)], name: &str) -> String {
        headers.iter().find(|(found, _)| found == name).unwrap().1.clone()
    }

    #[test]
    fn standard_webhooks_vector_matches() {
        let body = br#"{"test": 2432232314}"#;
        let (id, at) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", Millis(1_614_265_330_999));
        let all = headers(Format::Wharf, id, at, body, &["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]);
        assert_eq!(header(&all, "webhook-signature"), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(header(&all, "webhook-timestamp"), "1614265330");
        assert_eq!(header(&all, "webhook-id"), id);
    }

    #[test]
    fn waha_vector_matches() {
        let body = br#"{"event":"message","session":"default","engine":"WEBJS"}"#;
        let all = headers(Format::Waha, "evt_1", Millis(5), body, &["my-secret-key"]);
        assert_eq!(
            header(&all, "X-Webhook-Hmac"),
            "208f8a55dde9e05519e898b10b89bf0d0b3b0fdf11fdbf09b6b90476301b98d8097c462b2b17a6ce93b6b47a136cf2e78a33a63f6752c2c1631777076153fa89"
        );
        assert_eq!(header(&all, "X-Webhook-Hmac-Algorithm"), "sha512");
        assert_eq!(header(&all, "X-Webhook-Timestamp"), "5");
    }

    #[test]
    fn meta_signature_covers_body_only() {
        let all = headers(Format::Wwebjs, "evt_1", Millis(5), b"{}", &["key"]);
        // printf '{}' | openssl dgst -sha256 -hmac key
        assert_eq!(
            header(&all, "X-Hub-Signature-256"),
            "sha256=a777724d943eb48dc69bca8a4a6d57a04db3f9ec7e1de4e581e860265bdf3032"
        );
    }

    #[test]
    fn both_secrets_sign_during_rotation() {
        let all = headers(Format::Wharf, "evt_1", Millis(5_000), b"{}", &["new", "old"]);
        let both = header(&all, "webhook-signature");
        let alone = |secret| {
            header(&headers(Format::Wharf, "evt_1", Millis(5_000), b"{}", &[secret]), "webhook-signature")
        };
        assert_eq!(both, format!("{} {}", alone("new"), alone("old")));
    }

    #[test]
    fn webhook_id_is_ulid_unique_to_event() {
        let id = |seq, name| {
            message_id(
                &"wh_1".parse().unwrap(),
                &"shop".parse().unwrap(),
                seq,
                name,
                Millis(1_767_225_600_000),
            )
        };
        assert_eq!(id(1, "message"), id(1, "message"));
        assert_ne!(id(1, "message"), id(2, "message"));
        assert_ne!(id(1, "message"), id(1, "message.any"));
        // The first ten digits of a ULID are its time.
        assert!(id(1, "message").starts_with("evt_01KDVDNA00"), "{}", id(1, "message"));
        assert_eq!(id(1, "message").len(), 30);
        assert!(!id(1, "message").contains('.'));
    }
}
