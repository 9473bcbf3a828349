//! Requests to the upstream's REST API, about one of its devices.
//!
//! Invariants: the key goes to the configured host and nowhere else, redirects are not followed; no text of an
//! error holds an address, a key, or what the upstream wrote.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;
use url::Url;

use crate::domain::reason::Reason;
use crate::engine::{SessionEnd, SessionError};
use crate::net::{Exchange, ExchangeAnswer, ExchangeBody, GuardedClient, Method, NetError};

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The largest answer that is held in memory, in bytes.
const MAX_ANSWER: u64 = 16 << 20;

/// The upstream, for one device.
#[derive(Clone)]
pub(super) struct Client {
    http: GuardedClient,
    base: Url,
    key: String,
    device: String,
}

/// Why a request has no answer to use.
#[derive(Debug, Error)]
pub(super) enum Trouble {
    /// No answer, or not a whole one.
    #[error("the upstream could not be reached")]
    Away(#[source] NetError),
    /// The connection broke in the middle of an answer.
    #[error("the upstream's answer broke off")]
    BrokenOff,
    /// The key is wrong, revoked, or not for this.
    #[error("the upstream refused the key")]
    Unauthorized,
    /// Any other status than a success.
    #[error("the upstream answered {status} ({code})")]
    Refused {
        /// The status.
        status: u16,
        /// Whether that is the API's own answer. Else it is of something in between, and says nothing of the device.
        own: bool,
        /// Its stable word; empty where there is none.
        code: String,
        /// Its sentence, for people; not for logs.
        sentence: String,
    },
    /// A success that is not what the contract says.
    #[error("the upstream's answer is not what its contract says")]
    Garbled,
}

/// What a request asks.
pub(super) struct Ask<'a> {
    method: Method,
    path: &'a [&'a str],
    query: Vec<(&'a str, String)>,
    headers: Vec<(String, String)>,
    body: Option<Value>,
}

impl<'a> Ask<'a> {
    pub(super) fn get(path: &'a [&'a str]) -> Self {
        Self { method: Method::GET, path, query: Vec::new(), headers: Vec::new(), body: None }
    }

    pub(super) fn post(path: &'a [&'a str], body: Value) -> Self {
        Self { method: Method::POST, body: Some(body), ..Self::get(path) }
    }

    pub(super) fn put(path: &'a [&'a str], body: Value) -> Self {
        Self { method: Method::PUT, body: Some(body), ..Self::get(path) }
    }

    pub(super) fn delete(path: &'a [&'a str]) -> Self {
        Self { method: Method::DELETE, ..Self::get(path) }
    }

    pub(super) fn query(mut self, name: &'a str, value: &impl ToString) -> Self {
        self.query.push((name, value.to_string()));
        self
    }

    pub(super) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

impl Client {
    pub(super) fn new(http: GuardedClient, base: Url, key: String, device: String) -> Self {
        Self { http, base, key, device }
    }

    /// The device's id there.
    pub(super) fn device(&self) -> &str {
        &self.device
    }

    pub(super) fn http(&self) -> &GuardedClient {
        &self.http
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// An address below the upstream's own.
    pub(super) fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    fn address(&self, ask: &Ask<'_>) -> Url {
        let mut segments = vec!["api", "v1", "devices"];
        segments.extend(ask.path);
        let mut url = self.url(&segments);
        if !ask.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&ask.query);
        }
        url
    }

    /// The whole answer to a request about this device: `path` is below `/devices/{id}`.
    pub(super) async fn ask(&self, ask: Ask<'_>) -> Result<Value, Trouble> {
        let mut path = vec![self.device.as_str()];
        path.extend(ask.path);
        self.ask_of_all(Ask { path: &path, ..ask }).await
    }

    /// `data` of the answer to a request about this device.
    pub(super) async fn data(&self, ask: Ask<'_>) -> Result<Value, Trouble> {
        match self.ask(ask).await? {
            Value::Object(mut envelope) => envelope.remove("data").ok_or(Trouble::Garbled),
            _ => Err(Trouble::Garbled),
        }
    }

    /// The whole answer to a request below `/devices`.
    pub(super) async fn ask_of_all(&self, mut ask: Ask<'_>) -> Result<Value, Trouble> {
        let url = self.address(&ask);
        let body = match ask.body.take() {
            None => ExchangeBody::Empty,
            Some(body) => {
                ask.headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
                ExchangeBody::Bytes(Bytes::from(body.to_string()))
            }
        };
        let wanted = Wanted {
            url,
            method: ask.method,
            headers: ask.headers,
            body,
            timeout: TIMEOUT,
            limit: MAX_ANSWER,
        };
        json(self.exchange(wanted).await?).await
    }

    /// An answer whose body is read by whoever asked; it is a success.
    pub(super) async fn stream(
        &self,
        path: &[&str],
        query: Vec<(&str, String)>,
        headers: Vec<(String, String)>,
        (timeout, limit): (Duration, u64),
    ) -> Result<ExchangeAnswer, Trouble> {
        let mut of_device = vec![self.device.as_str()];
        of_device.extend(path);
        let ask = Ask { query, ..Ask::get(&of_device) };
        let (url, body) = (self.address(&ask), ExchangeBody::Empty);
        let answer =
            self.exchange(Wanted { url, method: Method::GET, headers, body, timeout, limit }).await?;
        if (200..300).contains(&answer.status) { Ok(answer) } else { Err(refusal(answer).await) }
    }

    /// Hands a file over, as it comes.
    pub(super) async fn upload(
        &self,
        path: &[&str],
        mimetype: &str,
        body: ExchangeBody,
        timeout: Duration,
    ) -> Result<Value, Trouble> {
        let mut of_device = vec![self.device.as_str()];
        of_device.extend(path);
        let url = self.address(&Ask::get(&of_device));
        let headers = vec![("Content-Type".to_owned(), mimetype.to_owned())];
        let wanted = Wanted { url, method: Method::POST, headers, body, timeout, limit: MAX_ANSWER };
        json(self.exchange(wanted).await?).await
    }

    async fn exchange(&self, wanted: Wanted) -> Result<ExchangeAnswer, Trouble> {
        let Wanted { url, method, mut headers, body, timeout, limit } = wanted;
        headers.push(("X-API-KEY".to_owned(), self.key.clone()));
        let exchange = Exchange { url, method, headers, body, timeout, limit };
        self.http.exchange(exchange).await.map_err(Trouble::Away)
    }
}

struct Wanted {
    url: Url,
    method: Method,
    headers: Vec<(String, String)>,
    body: ExchangeBody,
    timeout: Duration,
    limit: u64,
}

async fn json(answer: ExchangeAnswer) -> Result<Value, Trouble> {
    if !(200..300).contains(&answer.status) {
        return Err(refusal(answer).await);
    }
    let bytes = held(answer).await?;
    serde_json::from_slice(&bytes).map_err(|_| Trouble::Garbled)
}

async fn held(mut answer: ExchangeAnswer) -> Result<Vec<u8>, Trouble> {
    let mut bytes = Vec::new();
    while let Some(piece) = answer.body.next().await {
        bytes.extend_from_slice(&piece.map_err(|_| Trouble::BrokenOff)?);
    }
    Ok(bytes)
}

/// The API's own failures say `"success": false`, and nearly always a code.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Failure {
    success: Option<bool>,
    error: String,
    code: String,
}

async fn refusal(answer: ExchangeAnswer) -> Trouble {
    let status = answer.status;
    if matches!(status, 401 | 403) {
        return Trouble::Unauthorized;
    }
    let bytes = held(answer).await.unwrap_or_default();
    refused(status, &bytes)
}

fn refused(status: u16, bytes: &[u8]) -> Trouble {
    let Failure { success, error, code } = serde_json::from_slice(bytes).unwrap_or_default();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let code = if code.len() <= 64 && code.chars().all(plain) { code } else { String::new() };
    Trouble::Refused { status, own: success == Some(false), code, sentence: error }
}

impl Trouble {
    /// Whether the upstream has no such device.
    pub(super) fn is_without_device(&self) -> bool {
        matches!(self, Self::Refused { status: 404, own: true, code, .. } if code == "device_not_found")
    }

    /// Whether the upstream says that the device is there, and what was asked for is not.
    pub(super) fn is_absence(&self) -> bool {
        matches!(self, Self::Refused { status: 404, own: true, .. }) && !self.is_without_device()
    }

    /// Whether there is nothing at the address: what older back ends answer to a call that they do not have, and
    /// proxies for a while.
    pub(super) fn is_nothing_there(&self) -> bool {
        matches!(self, Self::Refused { status: 404 | 405 | 501, .. }) && !self.is_without_device()
    }

    /// Whether another try may go better: what was asked may have been done.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Away(_) | Self::BrokenOff | Self::Garbled => true,
            Self::Unauthorized => false,
            // The device may be starting (409); proxies answer for a server that is away as they please.
            Self::Refused { status, own, .. } => {
                !own || *status >= 500 || matches!(status, 408 | 409 | 425 | 429)
            }
        }
    }

    /// The upstream's stable word, where it refused with one.
    pub(super) fn code(&self) -> &str {
        if let Self::Refused { code, .. } = self { code } else { "" }
    }

    /// How a session ends that cannot go on without this answer.
    pub(super) fn ended(&self) -> SessionEnd {
        match self {
            Self::Unauthorized => SessionEnd::Fatal(Reason::UpstreamUnauthorized),
            // The same request would be refused again.
            Self::Refused { status: 400 | 422, own: true, .. } => SessionEnd::Fatal(Reason::UpstreamRefused),
            // A device that is gone is found to be when the next session begins.
            _ => SessionEnd::LinkLost(Reason::UpstreamUnavailable),
        }
    }

    /// What whoever asked a session is told.
    pub(super) fn into_session_error(self) -> SessionError {
        match self {
            Self::Refused { code, .. } if code == "not_supported_by_engine" => SessionError::NotSupported,
            Self::Refused { code, .. } if code == "group_not_found" => SessionError::NotInGroup,
            trouble if trouble.is_passing() || trouble.is_without_device() => SessionError::Offline,
            Self::Refused { sentence, .. } => SessionError::Refused(without_prefix(sentence)),
            Self::Unauthorized => SessionError::Refused("the upstream refused the key".to_owned()),
            _ => SessionError::Offline,
        }
    }
}

/// What a network refused two servers away is said once.
fn without_prefix(sentence: String) -> String {
    let bare = sentence.strip_prefix("the network refused: ").map(str::to_owned);
    bare.unwrap_or(sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(status: u16, code: &str) -> Trouble {
        let body = serde_json::json!({ "success": false, "error": "no", "code": code });
        refused(status, body.to_string().as_bytes())
    }

    #[test]
    fn only_the_api_itself_can_say_that_the_device_is_gone() {
        assert!(own(404, "device_not_found").is_without_device());
        assert!(!own(404, "device_not_found").is_absence() && !own(404, "device_not_found").is_passing());
        for other in [own(404, "not_found"), own(404, "message_not_found")] {
            assert!(other.is_absence() && !other.is_without_device() && !other.is_passing());
        }
        let lookalike = refused(404, br#"{"code":"device_not_found"}"#);
        for proxy in [refused(404, b"<html>404 page not found</html>"), refused(404, b""), lookalike] {
            assert!(!proxy.is_absence() && !proxy.is_without_device() && proxy.is_passing());
            assert_eq!(proxy.ended(), SessionEnd::LinkLost(Reason::UpstreamUnavailable));
        }
    }

    #[test]
    fn a_session_ends_for_good_only_where_the_api_itself_says_no() {
        for passing in [408, 409, 425, 429, 500, 502] {
            assert_eq!(
                own(passing, "").ended(),
                SessionEnd::LinkLost(Reason::UpstreamUnavailable),
                "{passing}"
            );
            assert!(own(passing, "").is_passing(), "{passing}");
        }
        for proxy in [400, 404, 405, 411, 413, 422] {
            assert_eq!(refused(proxy, b"<html>").ended(), SessionEnd::LinkLost(Reason::UpstreamUnavailable));
        }
        for last in [own(400, "invalid_field"), own(422, "refused")] {
            assert_eq!(last.ended(), SessionEnd::Fatal(Reason::UpstreamRefused));
        }
        assert_eq!(Trouble::Unauthorized.ended(), SessionEnd::Fatal(Reason::UpstreamUnauthorized));
    }
}
