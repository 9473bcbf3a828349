//! Validates a webhook before it is stored.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::Url;

use super::WebhookState;
use super::endpoint_types::WebhookChange;
use crate::domain::clock::Random;
use crate::domain::webhook::{Endpoint, EndpointSecrets, Format};
use crate::net::standard_webhooks::SECRET_PREFIX;
use crate::net::{NetError, check_certificates, is_header};
use crate::service::ServiceError;

/// Replaces secret values in answers.
pub(super) const MASK: &str = "********";

const MAX_URL: usize = 2_048;
const MAX_HEADERS: usize = 20;
const MAX_HEADER_BYTES: usize = 4_096;
const MAX_NAME: usize = 128;
const MAX_CA: usize = 65_536;
const MAX_SECRET: usize = 256;
/// Bytes of a generated secret, and of a given one in our format, as Standard Webhooks requires.
const SECRET_BYTES: usize = 32;
const SECRET_RANGE: std::ops::RangeInclusive<usize> = 24..=64;
const TIMEOUT_RANGE: std::ops::RangeInclusive<u32> = 1_000..=60_000;
/// Headers that the daemon or the protocol sets.
const RESERVED: [&str; 10] = [
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];
const RESERVED_STARTS: [&str; 4] = ["webhook-", "x-webhook-", "x-hub-signature", "proxy-"];

/// Generates a secret: `whsec_` and base64, the form of the published libraries.
pub(super) fn new_secret(random: &dyn Random) -> String {
    let mut bytes = [0_u8; SECRET_BYTES];
    random.fill(&mut bytes);
    format!("{SECRET_PREFIX}{}", STANDARD.encode(bytes))
}

impl WebhookState {
    /// Validates an endpoint and its secrets.
    pub(super) fn check(&self, endpoint: &Endpoint, secrets: &EndpointSecrets) -> Result<(), ServiceError> {
        if endpoint.name.chars().count() > MAX_NAME || endpoint.name.chars().any(char::is_control) {
            let right = format!("must have at most {MAX_NAME} characters and no control characters");
            return Err(ServiceError::invalid("name", right));
        }
        self.check_url(&secrets.url)?;
        endpoint.subscription.check(endpoint.format).map_err(|error| {
            let field = format!("{}[{}]", error.list, error.index);
            ServiceError::invalid(field, error.message)
        })?;
        check_headers(&secrets.headers)?;
        check_secret(&secrets.secret, endpoint.format)?;
        if endpoint.timeout_ms.is_some_and(|ms| !TIMEOUT_RANGE.contains(&ms)) {
            let (least, most) = (TIMEOUT_RANGE.start(), TIMEOUT_RANGE.end());
            return Err(ServiceError::invalid("timeoutMs", format!("must be from {least} to {most}")));
        }
        if let Some(pem) = &endpoint.custom_ca {
            if pem.len() > MAX_CA {
                return Err(ServiceError::invalid("customCa", format!("is longer than {MAX_CA} bytes")));
            }
            check_certificates(pem).map_err(|error| ServiceError::invalid("customCa", error.to_string()))?;
        }
        Ok(())
    }

    fn check_url(&self, text: &str) -> Result<(), ServiceError> {
        let wrong = |why: String| ServiceError::invalid("url", why);
        if text.len() > MAX_URL {
            return Err(wrong(format!("is longer than {MAX_URL} bytes")));
        }
        let url = Url::parse(text).map_err(|error| wrong(format!("is not a URL: {error}")))?;
        if url.query_pairs().any(|(_, value)| value == MASK) {
            return Err(wrong("has a masked value: write the whole of it".into()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("must not hold a user name or password; send them in headers".into()));
        }
        self.client.check_url(&url).map_err(|error| match error {
            NetError::Refused(_) => wrong(format!("cannot be reached from here: {error}")),
            other => wrong(other.to_string()),
        })
    }
}

/// Additional headers may contain credentials of their host: a change to another origin must give them again.
pub(super) fn check_move(
    endpoint: &Endpoint,
    secrets: &EndpointSecrets,
    change: &WebhookChange,
) -> Result<(), ServiceError> {
    let Some(url) = change.url.as_deref().filter(|url| *url != endpoint.url) else { return Ok(()) };
    let origin = |text: &str| Url::parse(text).ok().map(|url| url.origin());
    if secrets.headers.is_empty() || origin(&secrets.url) == origin(url) {
        return Ok(());
    }
    let given = change.headers.as_ref().is_some_and(|headers| headers.values().all(|value| value != MASK));
    if given {
        return Ok(());
    }
    let right = "must be given again, with their values or as {}: the URL is of another host than they were given for";
    Err(ServiceError::invalid("headers", right))
}

fn check_headers(headers: &BTreeMap<String, String>) -> Result<(), ServiceError> {
    if headers.len() > MAX_HEADERS {
        return Err(ServiceError::invalid("headers", format!("has more than {MAX_HEADERS} entries")));
    }
    for (name, value) in headers {
        let field = || format!("headers.{}", name.escape_debug());
        let lower = name.to_ascii_lowercase();
        if RESERVED.contains(&lower.as_str()) || RESERVED_STARTS.iter().any(|start| lower.starts_with(start))
        {
            return Err(ServiceError::invalid(field(), "is set by the daemon itself"));
        }
        if name.len() + value.len() > MAX_HEADER_BYTES || !is_header(name, value) || value == MASK {
            let right = format!("must be a header of at most {MAX_HEADER_BYTES} visible characters");
            return Err(ServiceError::invalid(field(), right));
        }
    }
    Ok(())
}

/// Receivers of our own format use the published libraries, which require `whsec_` and base64. The other
/// formats accept any text.
fn check_secret(secret: &str, format: Format) -> Result<(), ServiceError> {
    let wrong = |why: String| Err(ServiceError::invalid("secret", why));
    let decoded = secret.strip_prefix(SECRET_PREFIX).map(|text| STANDARD.decode(text));
    match decoded {
        Some(Ok(bytes)) if SECRET_RANGE.contains(&bytes.len()) => Ok(()),
        Some(_) => wrong(format!(
            "must have base64 of {} to {} bytes behind {SECRET_PREFIX}",
            SECRET_RANGE.start(),
            SECRET_RANGE.end()
        )),
        None if format == Format::Wharf => {
            wrong(format!("must begin with {SECRET_PREFIX}; leave it out to have one made"))
        }
        None if (1..=MAX_SECRET).contains(&secret.len()) && secret.chars().all(|c| !c.is_control()) => Ok(()),
        None => wrong(format!("must have 1 to {MAX_SECRET} bytes and no control characters")),
    }
}

/// A URL with masked query values, which may be secrets.
pub(super) fn shown_url(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else { return MASK.to_owned() };
    url.set_fragment(None);
    if url.query().is_none() {
        return url.to_string();
    }
    let names: Vec<String> = url.query_pairs().map(|(name, _)| name.into_owned()).collect();
    url.query_pairs_mut().clear().extend_pairs(names.iter().map(|name| (name.as_str(), MASK)));
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_url_masks_query_values() {
        assert_eq!(shown_url("https://a.example/in"), "https://a.example/in");
        assert_eq!(
            shown_url("https://a.example/in?token=abc&x=1#y"),
            "https://a.example/in?token=********&x=********"
        );
    }

    #[test]
    fn protocol_headers_cannot_be_set() {
        let one =
            |name: &str, value: &str| check_headers(&BTreeMap::from([(name.to_owned(), value.to_owned())]));
        assert!(one("Authorization", "Bearer x").is_ok());
        for name in ["Host", "content-length", "Webhook-Id", "X-Hub-Signature-256", "a b", "", "a:b"] {
            assert!(one(name, "x").is_err(), "{name}");
        }
        assert!(one("x-a", "a\r\nb: c").is_err());
        assert!(one("x-a", MASK).is_err());
    }

    #[test]
    fn secret_must_fit_format() {
        let made = format!("{SECRET_PREFIX}{}", STANDARD.encode([7; 32]));
        for format in Format::ALL {
            assert!(check_secret(&made, format.1).is_ok());
        }
        assert!(check_secret("my-secret-key", Format::Waha).is_ok());
        for wrong in ["my-secret-key", "whsec_", "whsec_AAAA", "whsec_***"] {
            assert!(check_secret(wrong, Format::Wharf).is_err(), "{wrong}");
        }
        assert!(check_secret("", Format::Waha).is_err());
    }
}
