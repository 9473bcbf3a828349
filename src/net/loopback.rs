//! A client for the testbed's control API. It reaches loopback addresses only.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;
use url::{Host, Url};

use super::client::{NetError, failed, install_crypto, read_body};
use super::guard::Refused;

/// Time limit of a call.
const PATIENCE: Duration = Duration::from_secs(30);
/// Size limit of an answer, in bytes.
const LARGEST: usize = 64 << 20;

/// The HTTP method of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `GET`
    Get,
    /// `POST`
    Post,
    /// `DELETE`
    Delete,
}

/// An answer with any status.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body; null if it is not JSON.
    pub body: Value,
}

/// A client for loopback addresses.
pub struct LoopbackClient(());

impl LoopbackClient {
    /// Creates a client without a connection.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it is never a default value")]
    pub fn new() -> Self {
        Self(())
    }

    /// Sends a request; a null body is not sent.
    ///
    /// # Errors
    /// [`NetError::Refused`] if the host is not a loopback IP address; other errors if there is no answer.
    pub async fn call(&self, method: Method, url: &Url, body: &Value) -> Result<Answer, NetError> {
        let loopback = match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(_)) | None => false,
        };
        if !loopback {
            return Err(NetError::Refused(Refused));
        }
        install_crypto();
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .tls_certs_only(std::iter::empty())
            .timeout(PATIENCE)
            .build()
            .map_err(|_| NetError::SetUp)?;
        let request = match method {
            Method::Get => client.get(url.clone()),
            Method::Post => client.post(url.clone()),
            Method::Delete => client.delete(url.clone()),
        };
        let request = if body.is_null() { request } else { request.json(body) };
        let response = request.send().await.map_err(failed)?;
        let status: StatusCode = response.status();
        let bytes = read_body(response, LARGEST).await?;
        Ok(Answer { status: status.as_u16(), body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) })
    }
}
