//! Verifies and ingests webhooks. The signature is compared in constant time before anything is read.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Map, Value, json};
use sha2::Sha512;

use super::inbound::IngestError;
use super::session::WahaSession;
use super::settings::{InboundTransport, Settings};
use crate::engine::{Callback, CallbackAnswer, CallbackError, CallbackMethod};

const SIGNATURE: &str = "x-webhook-hmac";
const ALGORITHM: &str = "x-webhook-hmac-algorithm";

/// The envelope of a webhook with a valid signature, for this session.
pub(super) fn verified_envelope(
    settings: &Map<String, Value>,
    callback: Callback<'_>,
) -> Result<Value, CallbackError> {
    let settings = Settings::parse(settings).map_err(|_| CallbackError::NotTaken)?;
    let secret = settings.webhook_secret.filter(|_| settings.inbound == InboundTransport::Webhook);
    let secret = secret.ok_or(CallbackError::NotTaken)?;
    if callback.method != CallbackMethod::Post {
        return Err(CallbackError::NotTaken);
    }
    let is_sha512 =
        callback.header(ALGORITHM).is_none_or(|algorithm| algorithm.eq_ignore_ascii_case("sha512"));
    let signature = callback.header(SIGNATURE).filter(|_| is_sha512).ok_or(CallbackError::Unauthorized)?;
    if !is_signed(secret.as_bytes(), callback.body, signature) {
        return Err(CallbackError::Unauthorized);
    }
    let envelope: Value = serde_json::from_slice(callback.body)
        .map_err(|_| CallbackError::Invalid("the body is not JSON".to_owned()))?;
    if envelope.get("session").and_then(Value::as_str) != Some(&settings.session) {
        return Err(CallbackError::Invalid("the webhook is for another session".to_owned()));
    }
    Ok(envelope)
}

/// Ingests a webhook; durable when this returns.
pub(super) async fn ingest(session: &WahaSession, envelope: &Value) -> Result<CallbackAnswer, CallbackError> {
    match session.ingest(envelope).await {
        Ok(()) => Ok(CallbackAnswer::Json(json!({}))),
        Err(IngestError::Gone) => Err(CallbackError::NotNow("the device is not running".to_owned())),
        Err(IngestError::Media) => {
            Err(CallbackError::NotNow("the media cannot be downloaded now".to_owned()))
        }
        Err(IngestError::Store(error)) => {
            tracing::warn!(device = %session.context.device, %error, "a webhook of the WAHA server could not be stored");
            Err(CallbackError::NotNow("it could not be stored".to_owned()))
        }
    }
}

fn is_signed(secret: &[u8], body: &[u8], signature: &str) -> bool {
    let (Ok(signature), Ok(mut mac)) = (hex::decode(signature), Hmac::<Sha512>::new_from_slice(secret))
    else {
        return false;
    };
    mac.update(body);
    mac.verify_slice(&signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"event":"message","session":"default","engine":"WEBJS"}"#;
    /// The example of the upstream contract.
    const VECTOR: &str = "208f8a55dde9e05519e898b10b89bf0d0b3b0fdf11fdbf09b6b90476301b98d8097c462b2b17a6ce93b6b47a136cf2e78a33a63f6752c2c1631777076153fa89";

    fn verify(headers: &[(&str, &str)], body: &[u8], method: CallbackMethod) -> Result<Value, CallbackError> {
        let settings = json!({ "waha": { "baseUrl": "https://h", "webhookSecret": "my-secret-key" } });
        let headers: Vec<_> = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        verified_envelope(
            settings.as_object().unwrap(),
            Callback { method, query: &[], headers: &headers, body },
        )
    }

    #[test]
    fn vector_of_the_contract_is_accepted() {
        let headers = [(SIGNATURE, VECTOR), (ALGORITHM, "sha512")];
        assert_eq!(verify(&headers, BODY, CallbackMethod::Post).unwrap()["event"], "message");
        assert!(verify(&[(SIGNATURE, &VECTOR.to_uppercase())], BODY, CallbackMethod::Post).is_ok());
    }

    #[test]
    fn wrong_signature_is_rejected() {
        let mut changed = BODY.to_vec();
        changed[10] ^= 1;
        let wrong = VECTOR.replace('2', "3");
        for (headers, body) in [
            (vec![], BODY),
            (vec![(SIGNATURE, "")], BODY),
            (vec![(SIGNATURE, "zz")], BODY),
            (vec![(SIGNATURE, wrong.as_str())], BODY),
            (vec![(SIGNATURE, VECTOR)], changed.as_slice()),
            (vec![(SIGNATURE, VECTOR), (ALGORITHM, "sha1")], BODY),
        ] {
            assert_eq!(
                verify(&headers, body, CallbackMethod::Post),
                Err(CallbackError::Unauthorized),
                "{headers:?}"
            );
        }
        assert_eq!(verify(&[(SIGNATURE, VECTOR)], BODY, CallbackMethod::Get), Err(CallbackError::NotTaken));
    }
}
