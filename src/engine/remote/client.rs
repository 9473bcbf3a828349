//! Requests about one device of the upstream, and the meaning of their failures.
//!
//! Only an answer in the API's own envelope describes the device; any other answer comes
//! from a proxy.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use thiserror::Error;

use crate::domain::reason::Reason;
use crate::engine::relay::client::{Rejection, UpstreamClient, UpstreamFailure, UpstreamRequest};
use crate::engine::{SessionEnd, SessionError};
use crate::net::{ExchangeAnswer, Method};

/// The limit for one request.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The upstream, for one of its devices.
pub(super) struct RemoteClient {
    upstream: Arc<UpstreamClient>,
    device: String,
}

/// Why a request has no usable answer.
#[derive(Debug, Error)]
#[error(transparent)]
pub(super) struct RemoteFailure(#[from] UpstreamFailure);

impl RemoteClient {
    pub(super) fn new(upstream: Arc<UpstreamClient>, device: String) -> Self {
        Self { upstream, device }
    }

    /// The device's id at the upstream.
    pub(super) fn device(&self) -> &str {
        &self.device
    }

    /// A request about the device: `path` is below `/devices/{id}`.
    pub(super) fn request<'a>(&'a self, method: Method, path: &[&'a str]) -> UpstreamRequest<'a> {
        let mut whole = vec!["api", "v1", "devices", &self.device];
        whole.extend(path);
        UpstreamRequest::new(method, &whole).timeout(TIMEOUT)
    }

    pub(super) async fn get(&self, path: &[&str]) -> Result<Value, RemoteFailure> {
        self.data(self.request(Method::GET, path)).await
    }

    pub(super) async fn post(&self, path: &[&str], body: &Value) -> Result<Value, RemoteFailure> {
        self.data(self.request(Method::POST, path).json(body)).await
    }

    pub(super) async fn put(&self, path: &[&str], body: &Value) -> Result<Value, RemoteFailure> {
        self.data(self.request(Method::PUT, path).json(body)).await
    }

    pub(super) async fn delete(&self, path: &[&str]) -> Result<Value, RemoteFailure> {
        self.data(self.request(Method::DELETE, path)).await
    }

    /// Creates the device at the upstream.
    pub(super) async fn create_device(&self, body: &Value) -> Result<Value, RemoteFailure> {
        let request = UpstreamRequest::new(Method::POST, &["api", "v1", "devices"]);
        self.data(request.json(body)).await
    }

    /// `data` of an answer.
    pub(super) async fn data(&self, request: UpstreamRequest<'_>) -> Result<Value, RemoteFailure> {
        match self.whole(request).await? {
            Value::Object(mut envelope) => Ok(envelope.remove("data").unwrap_or_default()),
            _ => Err(RemoteFailure::malformed()),
        }
    }

    /// A whole answer.
    pub(super) async fn whole(&self, request: UpstreamRequest<'_>) -> Result<Value, RemoteFailure> {
        Ok(self.upstream.json(request).await?)
    }

    /// An answer whose body is not read yet.
    pub(super) async fn stream(
        &self,
        request: UpstreamRequest<'_>,
        limit: u64,
    ) -> Result<ExchangeAnswer, RemoteFailure> {
        Ok(self.upstream.stream(request, limit).await?)
    }
}

impl RemoteFailure {
    pub(super) fn malformed() -> Self {
        Self(UpstreamFailure::Malformed)
    }

    /// The failure of a request that this engine cannot make.
    pub(super) fn not_supported() -> Self {
        let error = "messages of this type cannot be sent";
        Self::rejected(422, json!({ "success": false, "error": error, "code": "not_supported_by_engine" }))
    }

    pub(super) fn rejected(status: u16, body: Value) -> Self {
        let rejection = Rejection { status, retry_after: None, body };
        Self(UpstreamFailure::Rejected(Box::new(rejection)))
    }

    fn rejection(&self) -> Option<&Rejection> {
        if let UpstreamFailure::Rejected(rejection) = &self.0 { Some(rejection) } else { None }
    }

    /// The status of a rejection in the API's own envelope.
    pub(super) fn own_status(&self) -> Option<u16> {
        self.rejection()
            .filter(|rejection| rejection.body["success"] == false)
            .map(|rejection| rejection.status)
    }

    /// The status of a rejection, of the API or of a proxy.
    pub(super) fn status(&self) -> Option<u16> {
        self.0.status()
    }

    /// The API's error code; empty if there is none.
    pub(super) fn code(&self) -> &str {
        self.rejection().and_then(|rejection| rejection.body["code"].as_str()).unwrap_or_default()
    }

    /// The API's sentence for people. It may name people, so it is never logged.
    pub(super) fn sentence(&self) -> &str {
        let sentence = self.rejection().and_then(|rejection| rejection.body["error"].as_str());
        let sentence = sentence.unwrap_or_default();
        // A refusal that passed through several servers has the prefix once.
        sentence.strip_prefix("the network refused: ").unwrap_or(sentence)
    }

    pub(super) fn is_unauthorized(&self) -> bool {
        self.0.is_unauthorized()
    }

    /// Whether the upstream has no such device.
    pub(super) fn is_device_missing(&self) -> bool {
        self.own_status() == Some(404) && self.code() == "device_not_found"
    }

    /// Whether the device exists and the requested resource does not.
    pub(super) fn is_absent(&self) -> bool {
        self.own_status() == Some(404) && !self.is_device_missing()
    }

    /// Whether nothing is served at this path: an older back end, or a proxy for a while.
    pub(super) fn is_unserved(&self) -> bool {
        matches!(self.status(), Some(404 | 405 | 501)) && !self.is_device_missing()
    }

    /// Whether the same request may succeed later. It may have been carried out.
    pub(super) fn is_temporary(&self) -> bool {
        match (self.status(), self.own_status()) {
            _ if self.is_unauthorized() => false,
            // 409: the device is starting.
            (_, Some(status)) => status >= 500 || matches!(status, 408 | 409 | 425 | 429),
            _ => true,
        }
    }

    /// How a session ends that cannot continue without this answer.
    pub(super) fn session_end(&self) -> SessionEnd {
        match self.own_status() {
            _ if self.is_unauthorized() => SessionEnd::Fatal(Reason::UpstreamUnauthorized),
            // The same request would be rejected again.
            Some(400 | 422) => SessionEnd::Fatal(Reason::UpstreamRefused),
            // The next session finds out whether the device is missing.
            _ => SessionEnd::LinkLost(Reason::UpstreamUnavailable),
        }
    }

    /// The failure, for the caller of a session.
    pub(super) fn session_error(&self) -> SessionError {
        match self.code() {
            "not_supported_by_engine" => SessionError::NotSupported,
            "group_not_found" => SessionError::NotInGroup,
            _ if self.is_unauthorized() => SessionError::Refused("the upstream refused the key".to_owned()),
            _ if self.is_temporary() || self.is_device_missing() => SessionError::Offline,
            _ => SessionError::Refused(self.sentence().to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejected(status: u16, body: Value) -> RemoteFailure {
        RemoteFailure::rejected(status, body)
    }

    fn own(status: u16, code: &str) -> RemoteFailure {
        rejected(status, json!({ "success": false, "error": "no", "code": code }))
    }

    #[test]
    fn device_is_missing_only_in_the_api_s_own_words() {
        let missing = own(404, "device_not_found");
        assert!(missing.is_device_missing() && !missing.is_absent() && !missing.is_temporary());
        for other in [own(404, "not_found"), own(404, "message_not_found")] {
            assert!(other.is_absent() && !other.is_device_missing() && !other.is_temporary());
        }
        for proxy in [rejected(404, Value::Null), rejected(404, json!({ "code": "device_not_found" }))] {
            assert!(!proxy.is_absent() && !proxy.is_device_missing() && proxy.is_temporary());
            assert_eq!(proxy.session_end(), SessionEnd::LinkLost(Reason::UpstreamUnavailable));
        }
    }

    #[test]
    fn session_ends_for_good_only_on_the_api_s_own_refusal() {
        for passing in [408, 409, 425, 429, 500, 502] {
            assert_eq!(own(passing, "").session_end(), SessionEnd::LinkLost(Reason::UpstreamUnavailable));
            assert!(own(passing, "").is_temporary(), "{passing}");
        }
        for proxy in [400, 404, 405, 411, 413, 422] {
            let end = rejected(proxy, Value::Null).session_end();
            assert_eq!(end, SessionEnd::LinkLost(Reason::UpstreamUnavailable), "{proxy}");
        }
        for last in [own(400, "invalid_field"), own(422, "refused")] {
            assert_eq!(last.session_end(), SessionEnd::Fatal(Reason::UpstreamRefused));
        }
        let key = rejected(401, Value::Null);
        assert_eq!(key.session_end(), SessionEnd::Fatal(Reason::UpstreamUnauthorized));
    }
}
