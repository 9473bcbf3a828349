//! Linking with a passkey: its steps, and the checks of a browser's response before it leaves the daemon.
//! Source of the shapes: WebAuthn Level 3, `PublicKeyCredentialRequestOptionsJSON` and `AuthenticationResponseJSON`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use thiserror::Error;
use url::Url;

/// The page on which a browser signs. A browser refuses a passkey on a page whose origin is not under the
/// `rpId` of the options, which belongs to the network.
pub const OPEN_URL: &str = "https://web.whatsapp.com/";
/// The largest response, in bytes of JSON.
pub const MAX_RESPONSE_BYTES: usize = 16 * 1024;
/// The most responses of one attempt.
pub const MAX_RESPONSES: u32 = 10;
/// The longest validity of a ticket, in milliseconds.
pub const TICKET_VALID_MS: i64 = 600_000;
/// The bounds of a step, in milliseconds.
const SHORTEST_MS: i64 = 30_000;
const LONGEST_MS: i64 = 600_000;

/// A step that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum PasskeyStep {
    /// A browser signs the challenge of the network.
    Signature {
        /// The `PublicKeyCredentialRequestOptions` of the network, unchanged.
        options: Map<String, Value>,
    },
    /// A person compares the code with that of the phone.
    Confirmation {
        /// The code.
        code: String,
    },
}

impl PasskeyStep {
    /// The name of the step on the wire.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Signature { .. } => "signature",
            Self::Confirmation { .. } => "confirmation",
        }
    }
}

/// A checked response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeyAssertion {
    /// The response as JSON, with the fields that the network reads.
    pub json: String,
    /// The id of the credential.
    pub credential_id: Vec<u8>,
}

/// A response that was refused before it left.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field}: {message}")]
pub struct InvalidAssertion {
    /// The path of the field.
    pub field: &'static str,
    /// The mistake and the valid values.
    pub message: &'static str,
}

/// How long the network waits for the signature, in milliseconds: the `timeout` of its options within bounds,
/// 10 minutes if it has none.
#[must_use]
pub fn valid_ms(options: &Map<String, Value>) -> i64 {
    let timeout = options.get("timeout").and_then(Value::as_i64).unwrap_or(LONGEST_MS);
    timeout.clamp(SHORTEST_MS, LONGEST_MS)
}

/// Checks a browser's response against the options that it answers.
///
/// # Errors
/// The first field that is missing, malformed, or of another challenge, page or credential.
pub fn check_assertion(
    options: &Map<String, Value>,
    response: &Map<String, Value>,
) -> Result<PasskeyAssertion, InvalidAssertion> {
    if response.get("type").is_some_and(|kind| kind != "public-key") {
        return Err(invalid("type", "must be public-key"));
    }
    let id = text(response, "id", "id")?;
    let raw_id = text(response, "rawId", "rawId")?;
    if id != raw_id {
        return Err(invalid("rawId", "must equal id"));
    }
    let credential_id = bytes("id", id)?;
    check_allowed(options, &credential_id)?;
    let inner = response.get("response").and_then(Value::as_object);
    let inner = inner.ok_or(invalid("response", "must be an object"))?;
    let client_data = text(inner, "clientDataJSON", "response.clientDataJSON")?;
    check_client_data(options, &bytes("response.clientDataJSON", client_data)?)?;
    let authenticator_data = text(inner, "authenticatorData", "response.authenticatorData")?;
    bytes("response.authenticatorData", authenticator_data)?;
    let signature = text(inner, "signature", "response.signature")?;
    bytes("response.signature", signature)?;
    let user_handle = match inner.get("userHandle") {
        None | Some(Value::Null) => None,
        Some(_) => Some(text(inner, "userHandle", "response.userHandle")?),
    };
    if let Some(handle) = user_handle.filter(|handle| !handle.is_empty()) {
        bytes("response.userHandle", handle)?;
    }
    let assertion = json!({
        "id": id,
        "rawId": raw_id,
        "type": "public-key",
        "response": {
            "clientDataJSON": client_data,
            "authenticatorData": authenticator_data,
            "signature": signature,
            "userHandle": user_handle,
        },
    });
    Ok(PasskeyAssertion { json: assertion.to_string(), credential_id })
}

fn check_allowed(options: &Map<String, Value>, credential: &[u8]) -> Result<(), InvalidAssertion> {
    let allowed = options.get("allowCredentials").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let is_it = |entry: &Value| {
        let id = entry.get("id").and_then(Value::as_str);
        id.and_then(decoded).is_some_and(|id| id == credential)
    };
    if allowed.is_empty() || allowed.iter().any(is_it) {
        return Ok(());
    }
    Err(invalid("id", "is not a passkey that the network accepts; sign with a passkey of the account"))
}

fn check_client_data(options: &Map<String, Value>, client_data: &[u8]) -> Result<(), InvalidAssertion> {
    let field = "response.clientDataJSON";
    let data: Value =
        serde_json::from_slice(client_data).map_err(|_| invalid(field, "must be JSON in base64url"))?;
    let of = |name: &str| data.get(name).and_then(Value::as_str);
    if of("type") != Some("webauthn.get") {
        return Err(invalid("response.clientDataJSON.type", "must be webauthn.get"));
    }
    let pending = options.get("challenge").and_then(Value::as_str).and_then(decoded);
    if pending.is_none() || of("challenge").and_then(decoded) != pending {
        return Err(invalid(
            "response.clientDataJSON.challenge",
            "is not the challenge of this attempt; sign the current options",
        ));
    }
    let rp_id = options.get("rpId").and_then(Value::as_str);
    let is_right = |text: &str| {
        Url::parse(text).is_ok_and(|origin| {
            // An origin has no user, path or query.
            origin.origin().ascii_serialization() == text && is_under(&origin, rp_id)
        })
    };
    if !of("origin").is_some_and(is_right) {
        return Err(invalid(
            "response.clientDataJSON.origin",
            "must be an https page under the rpId of the options",
        ));
    }
    Ok(())
}

fn is_under(origin: &Url, rp_id: Option<&str>) -> bool {
    let (Some(host), "https") = (origin.host_str(), origin.scheme()) else { return false };
    let Some(rp_id) = rp_id else { return true };
    host == rp_id || host.strip_suffix(rp_id).is_some_and(|subdomain| subdomain.ends_with('.'))
}

fn text<'a>(
    object: &'a Map<String, Value>,
    name: &str,
    field: &'static str,
) -> Result<&'a str, InvalidAssertion> {
    object.get(name).and_then(Value::as_str).ok_or(invalid(field, "must be a text in base64url"))
}

fn bytes(field: &'static str, text: &str) -> Result<Vec<u8>, InvalidAssertion> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok().filter(|bytes| !bytes.is_empty());
    bytes.ok_or(invalid(field, "must be base64url of at least one byte, without padding"))
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()
}

const fn invalid(field: &'static str, message: &'static str) -> InvalidAssertion {
    InvalidAssertion { field, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHALLENGE: &str = "Y2hhbGxlbmdlIG9mIHRoZSBuZXR3b3Jr";

    fn options() -> Map<String, Value> {
        let options = json!({
            "challenge": CHALLENGE, "rpId": "whatsapp.com", "timeout": 120_000,
            "allowCredentials": [{ "type": "public-key", "id": "a2V5LTE" }],
        });
        options.as_object().unwrap().clone()
    }

    fn client_data(kind: &str, challenge: &str, origin: &str) -> String {
        let data = json!({ "type": kind, "challenge": challenge, "origin": origin });
        URL_SAFE_NO_PAD.encode(data.to_string())
    }

    fn response() -> Value {
        json!({
            "id": "a2V5LTE", "rawId": "a2V5LTE", "type": "public-key",
            "clientExtensionResults": {}, "authenticatorAttachment": "platform",
            "response": {
                "clientDataJSON": client_data("webauthn.get", CHALLENGE, "https://web.whatsapp.com"),
                "authenticatorData": "YXV0aGVudGljYXRvcg", "signature": "c2lnbmF0dXJl", "userHandle": null,
            },
        })
    }

    fn checked(response: &Value) -> Result<PasskeyAssertion, InvalidAssertion> {
        check_assertion(&options(), response.as_object().unwrap())
    }

    #[test]
    fn right_response_keeps_the_fields_of_the_network() {
        let assertion = checked(&response()).unwrap();
        assert_eq!(assertion.credential_id, b"key-1");
        let json: Value = serde_json::from_str(&assertion.json).unwrap();
        let names: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["id", "rawId", "response", "type"]);
        assert_eq!(json["response"]["signature"], "c2lnbmF0dXJl");
    }

    #[test]
    fn wrong_response_names_its_field() {
        let data = |kind, challenge, origin| Value::from(client_data(kind, challenge, origin));
        let page = "https://web.whatsapp.com";
        for (path, value, field) in [
            ("/type", json!("password"), "type"),
            ("/id", Value::Null, "id"),
            ("/rawId", json!("b3RoZXI"), "rawId"),
            ("/response", json!("text"), "response"),
            ("/response/signature", json!("not base64!"), "response.signature"),
            ("/response/signature", json!(""), "response.signature"),
            ("/response/authenticatorData", json!(5), "response.authenticatorData"),
            ("/response/userHandle", json!("?"), "response.userHandle"),
            ("/response/clientDataJSON", json!("YQ"), "response.clientDataJSON"),
            (
                "/response/clientDataJSON",
                data("webauthn.create", CHALLENGE, page),
                "response.clientDataJSON.type",
            ),
            (
                "/response/clientDataJSON",
                data("webauthn.get", "b3RoZXI", page),
                "response.clientDataJSON.challenge",
            ),
            (
                "/response/clientDataJSON",
                data("webauthn.get", CHALLENGE, "http://web.whatsapp.com"),
                "response.clientDataJSON.origin",
            ),
            ("/response/signature", json!("YQ=="), "response.signature"),
            (
                "/response/clientDataJSON",
                data("webauthn.get", CHALLENGE, "https://web.whatsapp.com/path"),
                "response.clientDataJSON.origin",
            ),
            (
                "/response/clientDataJSON",
                data("webauthn.get", CHALLENGE, "https://notwhatsapp.com"),
                "response.clientDataJSON.origin",
            ),
        ] {
            let mut wrong = response();
            *wrong.pointer_mut(path).unwrap() = value;
            assert_eq!(checked(&wrong).unwrap_err().field, field, "{path}");
        }
    }

    #[test]
    fn credential_must_be_allowed_unless_the_list_is_empty() {
        let mut other = response();
        other["id"] = json!("a2V5LTI");
        other["rawId"] = json!("a2V5LTI");
        assert_eq!(checked(&other).unwrap_err().field, "id");
        let mut any = options();
        any.insert("allowCredentials".to_owned(), json!([]));
        assert!(check_assertion(&any, other.as_object().unwrap()).is_ok());
    }

    #[test]
    fn validity_is_the_timeout_within_bounds() {
        let with = |timeout: Value| {
            let mut options = options();
            options.insert("timeout".to_owned(), timeout);
            valid_ms(&options)
        };
        assert_eq!(
            [with(json!(120_000)), with(json!(5)), with(json!(9_000_000)), with(json!("x"))],
            [120_000, 30_000, 600_000, 600_000]
        );
    }
}
