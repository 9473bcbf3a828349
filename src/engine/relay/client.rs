//! HTTP requests to one upstream: its address, its key, and the meaning of failures.
//!
//! The key is sent to the upstream's own address only. Requests and answers are never logged.

use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use serde_json::Value;
use thiserror::Error;
use url::Url;

use crate::domain::reason::Reason;
use crate::engine::{ByteStream, SessionEnd};
use crate::net::{Exchange, ExchangeAnswer, ExchangeBody, GuardedClient, Method, NetError};

/// The default time limit of a request.
const TIMEOUT: Duration = Duration::from_secs(20);
/// The largest JSON answer.
const MAX_ANSWER_BYTES: u64 = 16 << 20;

/// A client for one upstream.
pub(crate) struct UpstreamClient {
    http: GuardedClient,
    base: Url,
    /// The header that carries the key.
    key: Option<(String, String)>,
}

/// A request: a path below the base address, and its parts.
pub(crate) struct UpstreamRequest<'a> {
    method: Method,
    path: Vec<&'a str>,
    query: Vec<(&'a str, String)>,
    headers: Vec<(String, String)>,
    body: ExchangeBody,
    timeout: Duration,
}

impl<'a> UpstreamRequest<'a> {
    /// A request without a body.
    pub(crate) fn new(method: Method, path: &[&'a str]) -> Self {
        let (path, body) = (path.to_vec(), ExchangeBody::Empty);
        Self { method, path, query: Vec::new(), headers: Vec::new(), body, timeout: TIMEOUT }
    }

    /// A `GET` request.
    pub(crate) fn get(path: &[&'a str]) -> Self {
        Self::new(Method::GET, path)
    }

    /// Adds a query parameter.
    pub(crate) fn query(mut self, name: &'a str, value: &(impl ToString + ?Sized)) -> Self {
        self.query.push((name, value.to_string()));
        self
    }

    /// Adds a header.
    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Sends JSON.
    pub(crate) fn json(mut self, body: &Value) -> Self {
        self.body = ExchangeBody::Bytes(Bytes::from(body.to_string()));
        self.header("content-type", "application/json")
    }

    /// Sends a stream of `length` bytes.
    pub(crate) fn stream(mut self, content_type: &str, length: u64, bytes: ByteStream) -> Self {
        self.body = ExchangeBody::Stream { length, bytes };
        self.header("content-type", content_type)
    }

    /// Limits the time for the whole exchange.
    pub(crate) fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

/// Why a request has no usable answer.
#[derive(Debug, Error)]
pub(crate) enum UpstreamFailure {
    /// No connection: no part of the request was sent.
    #[error("the upstream cannot be reached")]
    Unreachable(#[source] NetError),
    /// The request was sent and its answer is missing or incomplete: it may have been carried out.
    #[error("the upstream did not answer")]
    NoAnswer(#[source] NetError),
    /// A status other than 2xx.
    #[error("the upstream answered {}", .0.status)]
    Rejected(Box<Rejection>),
    /// A success that does not match the upstream's contract.
    #[error("the upstream's answer does not match its contract")]
    Malformed,
}

/// An answer with a status other than 2xx.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rejection {
    pub(crate) status: u16,
    /// `Retry-After`, where it is a number of seconds.
    pub(crate) retry_after: Option<Duration>,
    /// The body; `null` where it is not JSON. It may name people, so it is never logged.
    pub(crate) body: Value,
}

impl UpstreamFailure {
    /// A rejection without a body.
    pub(crate) fn status_only(status: u16) -> Self {
        Self::Rejected(Box::new(Rejection { status, retry_after: None, body: Value::Null }))
    }

    /// The status of a rejection.
    pub(crate) fn status(&self) -> Option<u16> {
        if let Self::Rejected(rejection) = self { Some(rejection.status) } else { None }
    }

    /// Whether the key was rejected.
    pub(crate) fn is_unauthorized(&self) -> bool {
        matches!(self.status(), Some(401 | 403))
    }

    /// Whether the upstream has no such resource.
    pub(crate) fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }

    /// Whether no part of the request was sent.
    pub(crate) fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }

    /// Whether the same request may succeed later.
    pub(crate) fn is_temporary(&self) -> bool {
        match self {
            Self::Unreachable(
                NetError::Timeout | NetError::NotReached | NetError::NoAddress | NetError::Http(_),
            ) => true,
            Self::Unreachable(_) | Self::NoAnswer(NetError::TooLarge(_)) | Self::Malformed => false,
            Self::NoAnswer(_) => true,
            Self::Rejected(rejection) => {
                matches!(rejection.status, 408 | 425 | 429 | 500 | 502..=599)
            }
        }
    }

    /// How a session ends that cannot continue without this answer.
    pub(crate) fn session_end(&self) -> SessionEnd {
        match self {
            _ if self.is_unauthorized() => SessionEnd::Fatal(Reason::UpstreamUnauthorized),
            // The operator must allow the address first; a retry changes nothing.
            Self::Unreachable(NetError::Refused(_) | NetError::Url) => SessionEnd::Fatal(Reason::EngineError),
            _ => SessionEnd::LinkLost(Reason::UpstreamUnavailable),
        }
    }
}

impl From<NetError> for UpstreamFailure {
    fn from(error: NetError) -> Self {
        match &error {
            NetError::Status(status) => Self::status_only(*status),
            NetError::Http(cause) if !cause.is_connect() => Self::NoAnswer(error),
            NetError::Timeout | NetError::TooLarge(_) | NetError::TooManyRedirects(_) => {
                Self::NoAnswer(error)
            }
            _ => Self::Unreachable(error),
        }
    }
}

impl UpstreamClient {
    /// Sends nothing yet. `key` is the header that authenticates each request.
    pub(crate) fn new(http: GuardedClient, base: Url, key: Option<(&str, String)>) -> Self {
        Self { http, base, key: key.map(|(name, value)| (name.to_owned(), value)) }
    }

    /// The guarded client, for addresses that are not the upstream's.
    pub(crate) fn http(&self) -> &GuardedClient {
        &self.http
    }

    /// The upstream's address.
    pub(crate) fn base(&self) -> &Url {
        &self.base
    }

    /// An address below the base; the segments are escaped.
    pub(crate) fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    /// Sends a request and reads its JSON answer; an empty answer is `null`.
    ///
    /// # Errors
    /// When there is no answer, it is not a success, or it is not JSON.
    pub(crate) async fn json(&self, request: UpstreamRequest<'_>) -> Result<Value, UpstreamFailure> {
        let answer = self.stream(request.header("accept", "application/json"), MAX_ANSWER_BYTES).await?;
        let bytes = read(answer.body).await.map_err(|_| UpstreamFailure::NoAnswer(NetError::Timeout))?;
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).map_err(|_| UpstreamFailure::Malformed)
    }

    /// Sends a request and returns its answer unread.
    ///
    /// # Errors
    /// When there is no answer, or it is not a success.
    pub(crate) async fn stream(
        &self,
        request: UpstreamRequest<'_>,
        limit: u64,
    ) -> Result<ExchangeAnswer, UpstreamFailure> {
        let mut url = self.url(&request.path);
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        let headers = self.key.iter().cloned().chain(request.headers).collect();
        let (method, body, timeout) = (request.method, request.body, request.timeout);
        self.exchange(Exchange { url, method, headers, body, timeout, limit }).await
    }

    /// Downloads a file from a complete address; `with_key` only for hosts that may have the key.
    ///
    /// # Errors
    /// When there is no answer, or it is not a success.
    pub(crate) async fn download(
        &self,
        url: Url,
        with_key: bool,
        limit: u64,
        timeout: Duration,
    ) -> Result<ByteStream, UpstreamFailure> {
        let headers = self.key.iter().filter(|_| with_key).cloned().collect();
        let (method, body) = (Method::GET, ExchangeBody::Empty);
        Ok(self.exchange(Exchange { url, method, headers, body, timeout, limit }).await?.body)
    }

    async fn exchange(&self, exchange: Exchange) -> Result<ExchangeAnswer, UpstreamFailure> {
        let answer = self.http.exchange(exchange).await?;
        if (200..300).contains(&answer.status) {
            return Ok(answer);
        }
        let (status, retry_after) = (answer.status, answer.header("retry-after").and_then(seconds));
        let bytes = read(answer.body).await.unwrap_or_default();
        let body = serde_json::from_slice(&bytes).unwrap_or_default();
        Err(UpstreamFailure::Rejected(Box::new(Rejection { status, retry_after, body })))
    }
}

async fn read(body: ByteStream) -> std::io::Result<Vec<u8>> {
    body.try_fold(Vec::new(), async |mut all, piece| {
        all.extend_from_slice(&piece);
        Ok(all)
    })
    .await
}

/// `Retry-After` as a number of seconds of any size; the form with a date is ignored.
fn seconds(header: &str) -> Option<Duration> {
    let digits = header.trim();
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| Duration::from_secs(digits.parse().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Guard;

    #[test]
    fn path_segments_are_escaped_below_the_base() {
        let http = GuardedClient::new(Guard::default(), TIMEOUT);
        for base in ["https://example.org/waha", "https://example.org/waha/"] {
            let client = UpstreamClient::new(http.clone(), base.parse().unwrap(), None);
            let url = client.url(&["api", "1@c.us", "a/b"]);
            assert_eq!(url.as_str(), "https://example.org/waha/api/1@c.us/a%2Fb");
        }
    }

    #[test]
    fn statuses_are_classified() {
        for (status, temporary, end) in [
            (401, false, SessionEnd::Fatal(Reason::UpstreamUnauthorized)),
            (404, false, SessionEnd::LinkLost(Reason::UpstreamUnavailable)),
            (429, true, SessionEnd::LinkLost(Reason::UpstreamUnavailable)),
            (501, false, SessionEnd::LinkLost(Reason::UpstreamUnavailable)),
            (503, true, SessionEnd::LinkLost(Reason::UpstreamUnavailable)),
        ] {
            let failure = UpstreamFailure::status_only(status);
            assert_eq!((failure.is_temporary(), failure.session_end()), (temporary, end), "{status}");
        }
        assert!(UpstreamFailure::from(NetError::NoAddress).is_unreachable());
        assert!(!UpstreamFailure::from(NetError::Timeout).is_unreachable());
    }

    #[test]
    fn retry_after_is_read_as_seconds_only() {
        assert_eq!(seconds(" 7 "), Some(Duration::from_secs(7)));
        assert_eq!(seconds("99999999999999999999999"), Some(Duration::from_secs(u64::MAX)));
        assert_eq!((seconds("soon"), seconds("")), (None, None));
    }
}
