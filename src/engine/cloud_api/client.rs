//! Requests to the GraphClient API of one number.

use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::engine::relay::lenient;
use super::errors::GraphError;
use super::settings::DeviceSettings;
use crate::engine::ByteStream;
use crate::net::{Exchange, ExchangeAnswer, ExchangeBody, GuardedClient, Method, NetError};

/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a file may take to go up.
const UPLOAD: Duration = Duration::from_secs(300);
/// The largest answer that is no file, in bytes.
const LARGEST: u64 = 1 << 20;
/// The longest id of Meta's, in bytes.
const MAX_ID: usize = 256;

/// A number at Meta.
pub(super) struct GraphClient {
    http: GuardedClient,
    base: Url,
    version: String,
    phone_number_id: String,
    bearer: String,
    media_hosts: Vec<String>,
}

/// Why a request has no answer to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CallError {
    /// Nothing of it left.
    NotReached,
    /// It left, and nobody knows what became of it.
    Unclear,
    /// Meta refused.
    Refused(GraphError),
}

/// What Meta tells of a number.
#[derive(Debug, Deserialize)]
pub(super) struct PhoneNumber {
    #[serde(default)]
    pub(super) display_phone_number: String,
    #[serde(default)]
    pub(super) verified_name: String,
}

/// Where a file is.
#[derive(Debug, Deserialize)]
pub(super) struct MediaAddress {
    pub(super) url: String,
    /// In bytes, as a number or a text.
    file_size: Option<Value>,
    /// Meta's digest of it.
    sha256: Option<Value>,
}

impl MediaAddress {
    /// In bytes, where Meta says so.
    pub(super) fn size(&self) -> Option<u64> {
        u64::try_from(lenient::as_number(self.file_size.as_ref()?)?).ok()
    }

    /// Meta's digest of it, where it says so.
    pub(super) fn digest(&self) -> Option<&str> {
        self.sha256.as_ref()?.as_str()
    }
}

impl GraphClient {
    pub(super) fn new(http: GuardedClient, settings: &DeviceSettings) -> Self {
        Self {
            http,
            base: settings.base_url.clone(),
            version: settings.version.clone(),
            phone_number_id: settings.phone_number_id.clone(),
            bearer: format!("Bearer {}", settings.access_token),
            media_hosts: settings.media_hosts.clone(),
        }
    }

    /// The number itself: who may ask this may use it.
    pub(super) async fn number(&self) -> Result<PhoneNumber, CallError> {
        let path = format!("{}?fields=display_phone_number,verified_name", self.phone_number_id);
        parsed(self.ask(Method::GET, &path, Vec::new(), ExchangeBody::Empty, PATIENCE).await?)
    }

    /// `POST …/messages`.
    pub(super) async fn messages(&self, body: &Value) -> Result<Value, CallError> {
        let path = format!("{}/messages", self.phone_number_id);
        let bytes = Bytes::from(body.to_string());
        self.ask(Method::POST, &path, json_type(), ExchangeBody::Bytes(bytes), PATIENCE).await
    }

    /// `POST …/media`, with a form that was made before; answers the file's id.
    pub(super) async fn upload(&self, form: String, body: ExchangeBody) -> Result<String, CallError> {
        #[derive(Deserialize)]
        struct Uploaded {
            id: String,
        }
        let path = format!("{}/media", self.phone_number_id);
        let headers = vec![("content-type".to_owned(), form)];
        let answer = self.ask(Method::POST, &path, headers, body, UPLOAD).await?;
        parsed::<Uploaded>(answer).map(|uploaded| uploaded.id)
    }

    /// Where a file is, for some minutes.
    pub(super) async fn media(&self, id: &str) -> Result<MediaAddress, CallError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if id.is_empty() || id.len() > MAX_ID || !id.bytes().all(plain) {
            // There is no such file, and never will be.
            return Err(CallError::Refused(GraphError { status: 404, code: -1, retry_after: None }));
        }
        let path = format!("{id}?phone_number_id={}", self.phone_number_id);
        parsed(self.ask(Method::GET, &path, Vec::new(), ExchangeBody::Empty, PATIENCE).await?)
    }

    /// A file, as it comes. The token goes along only to hosts that may have it.
    pub(super) async fn download(
        &self,
        url: &str,
        limit: u64,
        timeout: Duration,
    ) -> Result<ByteStream, CallError> {
        let url: Url = url.parse().map_err(|_| CallError::NotReached)?;
        let headers = if self.may_have_token(&url) { self.authorization() } else { Vec::new() };
        let exchange =
            Exchange { url, method: Method::GET, headers, body: ExchangeBody::Empty, timeout, limit };
        let answer = self.http.exchange(exchange).await.map_err(|error| match error {
            NetError::TooLarge(_) => {
                CallError::Refused(GraphError { status: 413, code: -1, retry_after: None })
            }
            error => call_error(&error),
        })?;
        if answer.status == 200 { Ok(answer.body) } else { Err(refused(answer).await) }
    }

    fn may_have_token(&self, url: &Url) -> bool {
        let own = (url.scheme(), url.host_str(), url.port_or_known_default());
        let base = (self.base.scheme(), self.base.host_str(), self.base.port_or_known_default());
        let listed = || url.host_str().is_some_and(|host| self.media_hosts.iter().any(|known| known == host));
        own == base || (url.scheme() == "https" && listed())
    }

    fn authorization(&self) -> Vec<(String, String)> {
        vec![("authorization".to_owned(), self.bearer.clone())]
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: Vec<(String, String)>,
        body: ExchangeBody,
        timeout: Duration,
    ) -> Result<Value, CallError> {
        let base = self.base.as_str().trim_end_matches('/');
        let url = format!("{base}/{}/{path}", self.version).parse().map_err(|_| CallError::NotReached)?;
        let headers = [self.authorization(), headers].concat();
        let exchange = Exchange { url, method, headers, body, timeout, limit: LARGEST };
        let answer = self.http.exchange(exchange).await.map_err(|error| call_error(&error))?;
        if !(200..300).contains(&answer.status) {
            return Err(refused(answer).await);
        }
        let bytes = read(answer.body).await.ok_or(CallError::Unclear)?;
        serde_json::from_slice(&bytes).map_err(|_| CallError::Unclear)
    }
}

fn json_type() -> Vec<(String, String)> {
    vec![("content-type".to_owned(), "application/json".to_owned())]
}

fn parsed<T: serde::de::DeserializeOwned>(answer: Value) -> Result<T, CallError> {
    serde_json::from_value(answer).map_err(|_| CallError::Unclear)
}

async fn read(body: ByteStream) -> Option<Vec<u8>> {
    let collect = |mut all: Vec<u8>, piece: Bytes| async move {
        all.extend_from_slice(&piece);
        Ok(all)
    };
    body.try_fold(Vec::new(), collect).await.ok()
}

async fn refused(answer: ExchangeAnswer) -> CallError {
    let (status, wait) = (answer.status, answer.header("retry-after").map(str::to_owned));
    let bytes = read(answer.body).await.unwrap_or_default();
    let told = GraphError::read(status, wait.as_deref(), &bytes);
    told.or_else(|| GraphError::bare(status, wait.as_deref())).map_or(CallError::Unclear, CallError::Refused)
}

fn call_error(error: &NetError) -> CallError {
    match error {
        NetError::Url
        | NetError::Refused(_)
        | NetError::Header
        | NetError::NoAddress
        | NetError::NotReached
        | NetError::SetUp
        | NetError::Certificate => CallError::NotReached,
        NetError::Http(error) if error.is_connect() => CallError::NotReached,
        NetError::Timeout
        | NetError::Status(_)
        | NetError::TooManyRedirects(_)
        | NetError::TooLarge(_)
        | NetError::Http(_) => CallError::Unclear,
    }
}
