//! Verifies Meta's callbacks. Nothing of a callback is read before its signature matches.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use super::convert::wire::{CallbackValues, Envelope};
use super::settings::DeviceSettings;
use crate::engine::{Callback, CallbackAnswer, CallbackError};

/// Answers the challenge with which Meta verifies the address, if the token is ours.
pub(super) fn answer_challenge(
    settings: &DeviceSettings,
    callback: &Callback<'_>,
) -> Result<CallbackAnswer, CallbackError> {
    if callback.parameter("hub.mode") != Some("subscribe") {
        return Err(CallbackError::Invalid("hub.mode must be subscribe".to_owned()));
    }
    let token = callback.parameter("hub.verify_token").unwrap_or_default();
    if !bool::from(token.as_bytes().ct_eq(settings.verify_token.as_bytes())) {
        return Err(CallbackError::Forbidden);
    }
    let challenge = callback.parameter("hub.challenge");
    let challenge =
        challenge.ok_or_else(|| CallbackError::Invalid("hub.challenge is required".to_owned()))?;
    Ok(CallbackAnswer::Text(challenge.to_owned()))
}

/// The values of a signed callback for this number, in their order. Values of other numbers of the same app
/// are skipped.
pub(super) fn verified_values(
    settings: &DeviceSettings,
    callback: &Callback<'_>,
) -> Result<Vec<CallbackValues>, CallbackError> {
    verify_signature(settings, callback)?;
    let body = serde_json::from_slice(callback.body)
        .map_err(|_| CallbackError::Invalid("the body is not JSON".to_owned()))?;
    let envelope = Envelope::of(body)
        .ok_or_else(|| CallbackError::Invalid("object must be whatsapp_business_account".to_owned()))?;
    Ok(envelope.values_of(&settings.phone_number_id))
}

fn verify_signature(settings: &DeviceSettings, callback: &Callback<'_>) -> Result<(), CallbackError> {
    let header = callback.header("x-hub-signature-256").and_then(|text| text.strip_prefix("sha256="));
    let given = header.and_then(|text| hex::decode(text).ok()).ok_or(CallbackError::Unauthorized)?;
    let key = settings.app_secret.as_bytes();
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|_| CallbackError::Unauthorized)?;
    mac.update(callback.body);
    // Compares in constant time.
    mac.verify_slice(&given).map_err(|_| CallbackError::Unauthorized)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::CallbackMethod;
    use serde_json::json;

    const BODY: &[u8] = br#"{"object":"whatsapp_business_account","entry":[]}"#;

    fn signature(key: &[u8], body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(body);
        format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
    }

    fn settings() -> DeviceSettings {
        let settings = json!({ "cloud-api": {
            "phoneNumberId": "1065", "accessToken": "EAAJ", "appSecret": "app-secret", "verifyToken": "shop-verify",
        } });
        DeviceSettings::parse(settings.as_object().unwrap()).ok().unwrap()
    }

    fn post(headers: &[(String, String)], body: &[u8]) -> Result<Vec<CallbackValues>, CallbackError> {
        let callback = Callback { method: CallbackMethod::Post, query: &[], headers, body };
        verified_values(&settings(), &callback)
    }

    #[test]
    fn unsigned_callback_is_rejected() {
        let header = |value: String| [("x-hub-signature-256".to_owned(), value)];
        assert!(post(&header(signature(b"app-secret", BODY)), BODY).is_ok());
        let changed = [BODY, b" "].concat();
        for (headers, body) in [
            (header(signature(b"another", BODY)).to_vec(), BODY),
            (header(signature(b"app-secret", BODY)).to_vec(), &changed[..]),
            (header("sha256=".to_owned()).to_vec(), BODY),
            (header(signature(b"app-secret", BODY)[7..].to_owned()).to_vec(), BODY),
            (Vec::new(), BODY),
        ] {
            assert_eq!(post(&headers, body).err(), Some(CallbackError::Unauthorized));
        }
        let odd = b"[]";
        assert!(matches!(post(&header(signature(b"app-secret", odd)), odd), Err(CallbackError::Invalid(_))));
    }

    #[test]
    fn challenge_needs_the_right_token() {
        let ask = |mode: &str, token: &str| {
            let pairs = [("hub.mode", mode), ("hub.challenge", "1158201444"), ("hub.verify_token", token)];
            let query = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
            let callback = Callback { method: CallbackMethod::Get, query: &query, headers: &[], body: &[] };
            answer_challenge(&settings(), &callback)
        };
        assert_eq!(ask("subscribe", "shop-verify"), Ok(CallbackAnswer::Text("1158201444".into())));
        assert_eq!(ask("subscribe", "shop-verif"), Err(CallbackError::Forbidden));
        assert!(matches!(ask("unsubscribe", "shop-verify"), Err(CallbackError::Invalid(_))));
    }
}
