//! Requests to the Graph API of one number.
//!
//! The token is sent to the Graph API and to the hosts of `mediaHosts` only.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use super::errors::GraphError;
use super::settings::DeviceSettings;
use crate::engine::ByteStream;
use crate::engine::relay::client::{UpstreamClient, UpstreamFailure, UpstreamRequest};
use crate::engine::relay::lenient;
use crate::net::{GuardedClient, Method, NetError};

/// How long an upload may take.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(300);
/// The longest id of Meta, in bytes.
const MAX_ID_BYTES: usize = 256;

/// The Graph API, for one phone number.
pub(super) struct GraphClient {
    client: Arc<UpstreamClient>,
    version: String,
    phone_number_id: String,
    media_hosts: Vec<String>,
}

/// Why a request has no usable answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum GraphFailure {
    /// No part of the request was sent.
    Unreachable,
    /// The request was sent, and its result is unknown.
    NoAnswer,
    /// Meta rejected the request.
    Rejected(GraphError),
}

impl From<UpstreamFailure> for GraphFailure {
    fn from(failure: UpstreamFailure) -> Self {
        match failure {
            UpstreamFailure::Unreachable(_) => Self::Unreachable,
            UpstreamFailure::NoAnswer(_) | UpstreamFailure::Malformed => Self::NoAnswer,
            UpstreamFailure::Rejected(rejection) => {
                GraphError::of(&rejection).map_or(Self::NoAnswer, Self::Rejected)
            }
        }
    }
}

/// Meta's description of a number.
#[derive(Debug, Deserialize)]
pub(super) struct PhoneNumber {
    #[serde(default)]
    pub(super) display_phone_number: String,
    #[serde(default)]
    pub(super) verified_name: String,
}

/// The URL of a file, which is valid for some minutes.
#[derive(Debug, Deserialize)]
pub(super) struct MediaAddress {
    pub(super) url: String,
    /// A number, or a text of one.
    file_size: Option<Value>,
    sha256: Option<Value>,
}

impl MediaAddress {
    /// The size in bytes.
    pub(super) fn size(&self) -> Option<u64> {
        u64::try_from(lenient::as_number(self.file_size.as_ref()?)?).ok()
    }

    pub(super) fn digest(&self) -> Option<&str> {
        self.sha256.as_ref()?.as_str()
    }
}

/// The client for a device's settings.
pub(super) fn upstream_client(http: GuardedClient, settings: &DeviceSettings) -> UpstreamClient {
    let key = ("authorization", format!("Bearer {}", settings.access_token));
    UpstreamClient::new(http, settings.base_url.clone(), Some(key))
}

impl GraphClient {
    pub(super) fn new(client: Arc<UpstreamClient>, settings: &DeviceSettings) -> Self {
        Self {
            client,
            version: settings.version.clone(),
            phone_number_id: settings.phone_number_id.clone(),
            media_hosts: settings.media_hosts.clone(),
        }
    }

    /// Reads the number: a token that may read it may use it.
    pub(super) async fn number(&self) -> Result<PhoneNumber, GraphFailure> {
        let request = UpstreamRequest::get(&[&self.version, &self.phone_number_id]);
        self.parsed(request.query("fields", "display_phone_number,verified_name")).await
    }

    /// `POST …/messages`.
    pub(super) async fn messages(&self, body: &Value) -> Result<Value, GraphFailure> {
        Ok(self.client.json(self.post("messages").json(body)).await?)
    }

    /// `POST …/media` with a form; returns the id of the file.
    pub(super) async fn upload(
        &self,
        content_type: &str,
        length: u64,
        form: ByteStream,
    ) -> Result<String, GraphFailure> {
        #[derive(Deserialize)]
        struct Uploaded {
            id: String,
        }
        let request = self.post("media").stream(content_type, length, form).timeout(UPLOAD_TIMEOUT);
        self.parsed::<Uploaded>(request).await.map(|uploaded| uploaded.id)
    }

    /// The URL of a file.
    pub(super) async fn media(&self, id: &str) -> Result<MediaAddress, GraphFailure> {
        let is_slug = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if id.is_empty() || id.len() > MAX_ID_BYTES || !is_slug {
            return Err(GraphFailure::Rejected(GraphError::of_status(404)));
        }
        let request = UpstreamRequest::get(&[&self.version, id]);
        self.parsed(request.query("phone_number_id", &self.phone_number_id)).await
    }

    /// Downloads a file.
    pub(super) async fn download(
        &self,
        url: &str,
        limit: u64,
        timeout: Duration,
    ) -> Result<ByteStream, GraphFailure> {
        let url: Url = url.parse().map_err(|_| GraphFailure::Unreachable)?;
        let with_token = self.may_have_token(&url);
        self.client.download(url, with_token, limit, timeout).await.map_err(|failure| match failure {
            UpstreamFailure::NoAnswer(NetError::TooLarge(_)) => {
                GraphFailure::Rejected(GraphError::of_status(413))
            }
            failure => failure.into(),
        })
    }

    fn may_have_token(&self, url: &Url) -> bool {
        let is_listed =
            || url.host_str().is_some_and(|host| self.media_hosts.iter().any(|allowed| allowed == host));
        url.origin() == self.client.base().origin() || (url.scheme() == "https" && is_listed())
    }

    fn post<'a>(&'a self, resource: &'a str) -> UpstreamRequest<'a> {
        UpstreamRequest::new(Method::POST, &[&self.version, &self.phone_number_id, resource])
    }

    async fn parsed<T: DeserializeOwned>(&self, request: UpstreamRequest<'_>) -> Result<T, GraphFailure> {
        let answer = self.client.json(request).await?;
        serde_json::from_value(answer).map_err(|_| GraphFailure::NoAnswer)
    }
}
