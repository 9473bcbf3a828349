//! HTTP client of the command line: unwraps the JSON envelope and returns failures as typed errors.
//!
//! Invariants: the key is sent to the given URL only (redirects are not followed); answers are limited to
//! [`MAX_ANSWER`] bytes; requests are not retried, because a repeated request may act twice.

mod error;

use std::sync::Once;
use std::time::Duration;

use reqwest::header::{ACCEPT, DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, Response, redirect};
use serde_json::Value;
use url::Url;

use super::api_key::is_loopback;
use super::output::clean;

pub use error::ClientError;

/// Maximum bytes of an answer.
pub const MAX_ANSWER: usize = 32 * 1024 * 1024;
/// Maximum items of a list.
const MAX_ITEMS: usize = 100_000;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(35);

/// A connection to one daemon.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    key: Option<HeaderValue>,
}

/// An answer of the daemon outside the envelope, for `wharf doctor`.
#[derive(Debug)]
pub struct RawAnswer {
    /// HTTP status.
    pub status: u16,
    /// Response headers.
    pub headers: HeaderMap,
    /// The body, if it is JSON.
    pub body: Option<Value>,
}

impl RawAnswer {
    /// The `Date` header, in milliseconds since the epoch.
    #[must_use]
    pub fn date_ms(&self) -> Option<i64> {
        super::time_format::parse_http_date(self.headers.get(DATE)?.to_str().ok()?)
    }
}

impl Client {
    /// Creates a client for the daemon at `url`, which may have a path prefix (`https://example.org/wharf`).
    ///
    /// # Errors
    /// When the URL or the key is invalid.
    pub fn new(url: &str, key: Option<&str>) -> Result<Self, ClientError> {
        install_crypto();
        let bad_url = || ClientError::Url { url: clean(url) };
        let mut base = Url::parse(url).map_err(|_| bad_url())?;
        if !matches!(base.scheme(), "http" | "https") || base.host().is_none() {
            return Err(bad_url());
        }
        base.set_query(None);
        base.set_fragment(None);
        let key = key.map(secret_header).transpose()?;

        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("wharf/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(redirect::Policy::none());
        if base.scheme() == "http" {
            // Without TLS the system's certificates, which a bare machine may lack, are not needed.
            builder = builder.tls_certs_only([]);
        }
        if is_loopback(base.as_str()) {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(ClientError::Setup)?;
        Ok(Self { http, base, key })
    }

    /// Whether requests carry a key.
    #[must_use]
    pub fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// The URL without credentials, for output.
    #[must_use]
    pub fn shown_url(&self) -> String {
        let mut url = self.base.clone();
        // Fails only for URLs without a host; ours has one.
        let _ = url.set_username("").and_then(|()| url.set_password(None));
        url.as_str().trim_end_matches('/').to_owned()
    }

    /// `GET /api/v1/<path>`; the envelope's data.
    ///
    /// # Errors
    /// [`ClientError`] when the daemon cannot be reached or refuses.
    pub async fn get(&self, path: &[&str], query: &[(&str, String)]) -> Result<Value, ClientError> {
        self.call(self.request(Method::GET, path).query(query)).await
    }

    /// `GET /api/v1/<path>` of a list; reads all pages.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn get_list(&self, path: &[&str]) -> Result<Vec<Value>, ClientError> {
        let mut items: Vec<Value> = Vec::new();
        loop {
            let query = [("limit", "100".to_owned()), ("offset", items.len().to_string())];
            let mut page = self.envelope(self.request(Method::GET, path).query(&query)).await?;
            let Some(Value::Array(rows)) = page.get_mut("data").map(Value::take) else {
                return Err(self.not_wharf("it does not answer with a list"));
            };
            let more = page.pointer("/pagination/hasMore").and_then(Value::as_bool).unwrap_or(false);
            let last = rows.is_empty() || !more;
            items.extend(rows);
            if last || items.len() > MAX_ITEMS {
                return Ok(items);
            }
        }
    }

    /// `POST /api/v1/<path>`; the envelope's data.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn post(&self, path: &[&str], body: &Value) -> Result<Value, ClientError> {
        self.call(self.request(Method::POST, path).json(body)).await
    }

    /// `PUT /api/v1/<path>`; the envelope's data.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn put(&self, path: &[&str], body: &Value) -> Result<Value, ClientError> {
        self.call(self.request(Method::PUT, path).json(body)).await
    }

    /// `PATCH /api/v1/<path>`.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn patch(&self, path: &[&str], body: &Value) -> Result<Value, ClientError> {
        self.call(self.request(Method::PATCH, path).json(body)).await
    }

    /// `POST` with an additional header.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn post_with(
        &self,
        path: &[&str],
        body: &Value,
        header: (&'static str, &str),
    ) -> Result<Value, ClientError> {
        self.call(self.request(Method::POST, path).header(header.0, header.1).json(body)).await
    }

    /// `DELETE /api/v1/<path>`; the envelope's data.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn delete(&self, path: &[&str], query: &[(&str, String)]) -> Result<Value, ClientError> {
        self.call(self.request(Method::DELETE, path).query(query)).await
    }

    /// Opens a server-sent event stream, after `last_event_id` if given.
    ///
    /// # Errors
    /// As [`Client::get`], also when the answer is not an event stream.
    pub async fn stream(
        &self,
        path: &[&str],
        query: &[(&str, String)],
        last_event_id: Option<&str>,
    ) -> Result<Response, ClientError> {
        let mut request = self.request(Method::GET, path).query(query).header(ACCEPT, "text/event-stream");
        if let Some(id) = last_event_id {
            request = request.header("Last-Event-ID", id);
        }
        let sent = tokio::time::timeout(TIMEOUT, request.send()).await;
        let answer = match sent {
            Ok(answer) => answer.map_err(|source| self.unreachable(source))?,
            Err(_) => return Err(self.not_wharf("no answer to a request for the event stream")),
        };
        if !answer.status().is_success() {
            return Err(self.refusal(answer).await);
        }
        let kind = answer.headers().get(reqwest::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if !kind.is_some_and(|kind| kind.starts_with("text/event-stream")) {
            return Err(self.not_wharf("it does not send an event stream"));
        }
        Ok(answer)
    }

    /// `GET` of a path outside `/api/v1`, without the key; any status is an answer.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`] when there is no answer.
    pub async fn probe(&self, path: &str) -> Result<RawAnswer, ClientError> {
        let request = self.http.get(self.url(&[path])).timeout(Duration::from_secs(5));
        let answer = request.send().await.map_err(|source| self.unreachable(source))?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = self.bytes(answer).await?;
        Ok(RawAnswer { status, headers, body: serde_json::from_slice(&body).ok() })
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let request = self.http.request(method, self.url(&[&["api", "v1"], path].concat()));
        match &self.key {
            Some(key) => request.header("x-api-key", key.clone()),
            None => request,
        }
    }

    async fn call(&self, request: RequestBuilder) -> Result<Value, ClientError> {
        let mut body = self.envelope(request).await?;
        let data = body.get_mut("data").map(Value::take);
        Ok(data.unwrap_or(body))
    }

    async fn envelope(&self, request: RequestBuilder) -> Result<Value, ClientError> {
        let answer = request.timeout(TIMEOUT).send().await.map_err(|source| self.unreachable(source))?;
        if !answer.status().is_success() {
            return Err(self.refusal(answer).await);
        }
        let bytes = self.bytes(answer).await?;
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes)
            .map_err(|error| self.not_wharf(&format!("its answer is not JSON ({error})")))
    }

    async fn refusal(&self, answer: Response) -> ClientError {
        let status = answer.status().as_u16();
        let retry_after = answer.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok()?.parse().ok());
        let body = match self.bytes(answer).await {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            Err(error) => return error,
        };
        let word = |field: &str| body.get(field).and_then(Value::as_str).map(str::to_owned);
        let (Some(message), Some(code)) = (word("error"), word("code")) else {
            return self.not_wharf(&format!("it answers with HTTP status {status}"));
        };
        let details = body.get("details").filter(|details| !details.is_null()).cloned();
        ClientError::Refused { status, message, code, details, retry_after, with_key: self.has_key() }
    }

    async fn bytes(&self, mut answer: Response) -> Result<Vec<u8>, ClientError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|source| self.unreachable(source))? {
            if bytes.len() + chunk.len() > MAX_ANSWER {
                return Err(self.not_wharf("its answer is too long"));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// Creates the error of a failed connection, with the URL of the request.
    #[must_use]
    pub fn unreachable(&self, source: reqwest::Error) -> ClientError {
        ClientError::Unreachable { url: self.shown_url(), source: source.without_url() }
    }

    fn not_wharf(&self, problem: &str) -> ClientError {
        ClientError::NotWharf { url: self.shown_url(), problem: problem.to_owned() }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("url", &self.shown_url()).field("has_key", &self.has_key()).finish()
    }
}

fn secret_header(key: &str) -> Result<HeaderValue, ClientError> {
    let mut value = HeaderValue::from_str(key).map_err(|_| ClientError::Key)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Selects ring as cryptography for the HTTP client, once per process.
pub(super) fn install_crypto() {
    static ONCE: Once = Once::new();
    // An error means that the process already has a provider.
    ONCE.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
}

#[cfg(test)]
mod tests;
