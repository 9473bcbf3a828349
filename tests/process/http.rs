//! A small REST client of the daemon: JSON requests and answers, and event streams. Requests time out after
//! 20 s.

use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;

const TIMEOUT: Duration = Duration::from_secs(20);

/// A daemon that is busy or whose disk is full refuses requests with these.
const UNAVAILABLE: [u16; 2] = [503, 507];

static SERVER_ERRORS: AtomicU64 = AtomicU64::new(0);

/// Number of answers with a status from 500 that does not mean "unavailable", to all clients of this process.
pub fn server_errors() -> u64 {
    SERVER_ERRORS.load(Ordering::Relaxed)
}

/// An answer of the daemon.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body; `null` if it is not JSON.
    pub body: Value,
}

impl Answer {
    /// The envelope's data.
    pub fn data(&self) -> &Value {
        self.body.get("data").unwrap_or(&Value::Null)
    }

    /// A text field of the data.
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.data().pointer(pointer)?.as_str()
    }

    /// The error's code.
    pub fn code(&self) -> &str {
        self.body.get("code").and_then(Value::as_str).unwrap_or("")
    }

    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The data of an answer; panics if it is an error.
    #[track_caller]
    pub fn expect(self, what: &str) -> Value {
        assert!(self.is_success(), "{what}: {} {}", self.status, self.body);
        self.data().clone()
    }
}

/// A client of one daemon. Clones share their connections.
#[derive(Clone)]
pub struct Http {
    client: reqwest::Client,
    base: String,
    key: String,
}

impl Http {
    pub(super) fn new(base: &str, key: &str) -> Self {
        static CRYPTO: Once = Once::new();
        CRYPTO.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        Self { client, base: base.to_owned(), key: key.to_owned() }
    }

    /// The base URL, such as `http://127.0.0.1:3000`.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The key that requests carry.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The same daemon with another key.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Self {
        Self { key: key.to_owned(), ..self.clone() }
    }

    /// Whether `/healthz` answers 200.
    pub async fn is_healthy(&self) -> bool {
        let request = self.client.get(format!("{}/healthz", self.base)).timeout(Duration::from_secs(5));
        request.send().await.is_ok_and(|answer| answer.status() == 200)
    }

    /// The text of `/metrics`.
    pub async fn metrics(&self) -> String {
        let request = self.client.get(format!("{}/metrics", self.base)).header("X-API-KEY", &self.key);
        request.timeout(TIMEOUT).send().await.unwrap().text().await.unwrap()
    }

    /// `GET /api/v1/<path>`.
    pub async fn get(&self, path: &str) -> Result<Answer, reqwest::Error> {
        answer(self.request(Method::GET, path)).await
    }

    /// `POST /api/v1/<path>`.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer, reqwest::Error> {
        answer(self.request(Method::POST, path).json(body)).await
    }

    /// `PUT /api/v1/<path>`.
    pub async fn put(&self, path: &str, body: &Value) -> Result<Answer, reqwest::Error> {
        answer(self.request(Method::PUT, path).json(body)).await
    }

    /// `PATCH /api/v1/<path>`.
    pub async fn patch(&self, path: &str, body: &Value) -> Result<Answer, reqwest::Error> {
        answer(self.request(Method::PATCH, path).json(body)).await
    }

    /// `POST /api/v1/<path>` with an `Idempotency-Key`.
    pub async fn post_once(&self, path: &str, body: &Value, key: &str) -> Result<Answer, reqwest::Error> {
        answer(self.request(Method::POST, path).header("Idempotency-Key", key).json(body)).await
    }

    /// The stream of a device's events after `after`; ends only with the connection.
    pub async fn stream(
        &self,
        device: &str,
        after: Option<i64>,
        query: &str,
    ) -> Result<Response, reqwest::Error> {
        let url = format!("{}/api/v1/devices/{device}/events{query}", self.base);
        let mut request =
            self.client.get(url).header("X-API-KEY", &self.key).header("Accept", "text/event-stream");
        if let Some(after) = after {
            request = request.header("Last-Event-ID", after.to_string());
        }
        request.send().await?.error_for_status()
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}/api/v1/{path}", self.base);
        self.client.request(method, url).header("X-API-KEY", &self.key).timeout(TIMEOUT)
    }
}

async fn answer(request: RequestBuilder) -> Result<Answer, reqwest::Error> {
    let response = request.send().await?;
    let status = response.status().as_u16();
    if status >= 500 && !UNAVAILABLE.contains(&status) {
        SERVER_ERRORS.fetch_add(1, Ordering::Relaxed);
    }
    let bytes = response.bytes().await?;
    Ok(Answer { status, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) })
}
