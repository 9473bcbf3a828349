//! The credentials of a socket's handshake, and the identity behind them.
//!
//! Invariants: no key, token or cookie is logged, or stored outside the request that the library keeps; a cookie
//! counts only where the handshake comes from a page of the daemon's own origin.

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::{ConnectInfo, Request};
use axum::http::request::Parts;
use serde_json::{Map, Value as Json};
use socketioxide::handler::Value;
use socketioxide::socket::Sid;

use super::Shared;
use super::anonymous_sessions::{count_refusal, mark_joined};
use crate::api::auth::{Failed, client_address, presented_key};
use crate::api::connections::mark_authenticated;
use crate::api::session_cookie::CookieRequest;
use crate::api::{StreamPermit, TooManyStreams};
use crate::domain::access::Scope;
use crate::domain::dashboard_session::SessionHash;
use crate::domain::ids::DeviceId;
use crate::service::{AccessTokenError, BEYOND_EVERY_LOG, Operator, Principal};

/// The delay of each answer to an address that failed too often.
const TOO_MANY_TRIES_WAIT: Duration = Duration::from_secs(1);

/// A refused connection; clients compare these messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("Invalid namespace")]
    NoDevice,
    #[error("API key is required")]
    NoKey,
    #[error("Invalid API key")]
    BadKey,
    #[error("API key not allowed for this device")]
    NotAllowed,
    #[error("Invalid access token")]
    BadToken,
    #[error("Server configuration error")]
    Misconfigured,
    #[error("Too many connections for this API key")]
    TooManyStreams,
}

/// The dashboard session of a handshake's cookie, which the request carries in place of the cookie.
#[derive(Clone, Copy)]
pub(super) struct CookieSession(pub(super) SessionHash);

/// The credentials and the log position of a handshake.
#[derive(Default, PartialEq, Eq)]
pub(super) struct SocketCredentials {
    key: Option<String>,
    session: Option<SessionHash>,
    token: Option<String>,
    pub(super) since: Option<i64>,
    /// The log of the position.
    pub(super) log_id: Option<String>,
}

impl SocketCredentials {
    pub(super) fn read(request: &Parts, auth: Option<&Value>) -> Self {
        let auth = auth.and_then(auth_fields).unwrap_or_default();
        let mut query = Self::default();
        for (name, value) in url::form_urlencoded::parse(request.uri.query().unwrap_or_default().as_bytes()) {
            match &*name {
                "access-token" => query.token = query.token.or_else(|| non_empty(&value)),
                "since" if !value.trim().is_empty() => {
                    query.since = query.since.or_else(|| Some(position(&value)));
                }
                "logId" => query.log_id = query.log_id.or_else(|| non_empty(&value)),
                _ => {}
            }
        }
        let key = presented_key(&request.headers, request.uri.query());
        let key = key.or_else(|| auth.get("apiKey").and_then(Json::as_str).and_then(non_empty));
        let session = request.extensions.get::<CookieSession>().map(|cookie| cookie.0);
        let since = since_in(&auth).or(query.since);
        let log_id = auth.get("logId").and_then(Json::as_str).and_then(non_empty).or(query.log_id);
        Self { key, session, token: query.token, since, log_id }
    }
}

impl Shared {
    /// The dashboard session of a handshake. Only a handshake creates the request that the library keeps.
    pub(super) fn cookie_session(&self, request: &Request) -> Option<CookieSession> {
        let query = request.uri().query().unwrap_or_default();
        if query.split('&').any(|pair| pair.starts_with("sid=")) {
            return None;
        }
        let cookie = CookieRequest { headers: request.headers(), extensions: request.extensions() };
        cookie.of_own_page(&self.services.access, &self.own_origin).map(CookieSession)
    }

    /// The identity of a handshake with rights to the events of this device, or of any device. Logs a refusal;
    /// one without a valid key counts as a failed login.
    pub(super) async fn identify(
        &self,
        credentials: &SocketCredentials,
        request: &Parts,
        device: Option<&DeviceId>,
    ) -> Result<(Principal, Option<Operator>), Refusal> {
        match self.verify(credentials, device).await {
            Ok(identified) => {
                mark_authenticated(&request.extensions);
                mark_joined(&request.extensions);
                Ok(identified)
            }
            Err(refusal) => Err(self.refuse(refusal, request, device).await),
        }
    }

    /// Counts a namespace of this session against the limit of its key.
    pub(super) fn admit_stream(&self, principal: &Principal, session: Sid) -> Result<StreamPermit, Refusal> {
        self.streams.admit(&principal.key_id, Some(session.to_string())).map_err(|TooManyStreams(limit)| {
            tracing::debug!(limit, "socket refused: server.max_streams_per_key is reached");
            Refusal::TooManyStreams
        })
    }

    /// The answer to a connection to a namespace without a device. Without a valid key it is a failed login too,
    /// since it reveals which devices exist.
    pub(super) async fn refuse_unknown(&self, credentials: &SocketCredentials, request: &Parts) -> Refusal {
        if self.principal(credentials).is_ok() {
            return Refusal::NoDevice;
        }
        self.record_anonymous_refusal(Refusal::NoDevice, request).await
    }

    async fn verify(
        &self,
        credentials: &SocketCredentials,
        device: Option<&DeviceId>,
    ) -> Result<(Principal, Option<Operator>), Refusal> {
        let access = &self.services.access;
        let principal = self.principal(credentials)?;
        let reaches = device.is_none_or(|device| principal.grant.reaches(device));
        if !reaches || !principal.grant.allows(Scope::EventsRead) {
            return Err(Refusal::NotAllowed);
        }
        let operator = access.operator(credentials.token.as_deref()).await.map_err(|error| match error {
            AccessTokenError::Invalid => Refusal::BadToken,
            AccessTokenError::Misconfigured | AccessTokenError::KeysUnavailable(_) => Refusal::Misconfigured,
        })?;
        Ok((principal, operator))
    }

    fn principal(&self, credentials: &SocketCredentials) -> Result<Principal, Refusal> {
        let access = &self.services.access;
        match (&credentials.key, credentials.session) {
            (Some(key), _) => access.authenticate(key).map_err(|_| Refusal::BadKey),
            (None, Some(session)) => access.authenticate_session(session).ok_or(Refusal::NoKey),
            (None, None) => Err(Refusal::NoKey),
        }
    }

    /// The answer to a refused connection.
    async fn refuse(&self, refusal: Refusal, request: &Parts, device: Option<&DeviceId>) -> Refusal {
        tracing::debug!(device = device.map(tracing::field::display), %refusal, "socket refused");
        match refusal {
            Refusal::NoKey | Refusal::BadKey => self.record_anonymous_refusal(refusal, request).await,
            Refusal::BadToken => {
                self.record_failed_login(request).await;
                refusal
            }
            Refusal::NoDevice | Refusal::NotAllowed | Refusal::Misconfigured | Refusal::TooManyStreams => {
                refusal
            }
        }
    }

    /// A session with too many refusals ends, and its last answers are the same for each namespace.
    async fn record_anonymous_refusal(&self, refusal: Refusal, request: &Parts) -> Refusal {
        let ends = count_refusal(&request.extensions);
        if ends {
            return Refusal::NoKey;
        }
        self.record_failed_login(request).await;
        refusal
    }

    /// Counts a failed login, and delays the answer to an address that fails too often. The messages are
    /// fixed and valid keys must pass, so that a delay is the only way to slow guessing down.
    async fn record_failed_login(&self, request: &Parts) {
        self.services.metrics().auth_failures.inc();
        let peer = request.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| *peer);
        let address = client_address(peer, &request.headers, &self.trusted_proxies);
        if let Failed::TooMany { .. } = self.failed_tries.count(address, self.services.now()) {
            tokio::time::sleep(TOO_MANY_TRIES_WAIT).await;
        }
    }
}

fn auth_fields(auth: &Value) -> Option<Map<String, Json>> {
    serde_json::from_str(auth.as_str()?).ok()
}

pub(super) fn since_in(auth: &Map<String, Json>) -> Option<i64> {
    match auth.get("since")? {
        Json::Null => None,
        Json::String(text) if text.trim().is_empty() => None,
        Json::String(text) => Some(position(text)),
        number => Some(number.as_i64().filter(|n| *n >= 0).unwrap_or(BEYOND_EVERY_LOG)),
    }
}

fn position(text: &str) -> i64 {
    text.trim().parse().ok().filter(|n| *n >= 0).unwrap_or(BEYOND_EVERY_LOG)
}

fn non_empty(text: &str) -> Option<String> {
    Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    fn read(uri: &str, headers: &[(&str, &str)]) -> SocketCredentials {
        let builder =
            headers.iter().fold(Request::builder().uri(uri), |b, (name, value)| b.header(*name, *value));
        SocketCredentials::read(&builder.body(()).unwrap().into_parts().0, None)
    }

    #[test]
    fn key_is_read_from_every_accepted_place() {
        let auth = |json: &str| Value::Str(json.to_owned().into(), None);
        let key = |uri: &str, name: &'static str, value: &str, json: &str| {
            let request = Request::builder().uri(uri).header(name, value).body(()).unwrap();
            SocketCredentials::read(&request.into_parts().0, Some(&auth(json))).key
        };
        assert_eq!(key("/ws?apiKey=whf_q", "x-none", "", "{}").as_deref(), Some("whf_q"));
        assert_eq!(key("/ws", "X-API-KEY", "whf_h", r#"{"apiKey":"whf_a"}"#).as_deref(), Some("whf_h"));
        assert_eq!(key("/ws", "Authorization", "Bearer whf_b", "{}").as_deref(), Some("whf_b"));
        assert_eq!(key("/ws?apiKey=", "x-none", "", r#"{"apiKey":"whf_a"}"#).as_deref(), Some("whf_a"));
        for nothing in ["{}", r#"{"apiKey":5}"#, r#"{"apiKey":" "}"#, "[]", "1"] {
            assert_eq!(key("/ws", "x-none", "", nothing), None);
        }
    }

    #[test]
    fn token_and_position_are_read_from_the_query() {
        let credentials = read("/ws?access-token=user%2017&since=12", &[]);
        assert_eq!((credentials.token.as_deref(), credentials.since), (Some("user 17"), Some(12)));
        assert_eq!(read("/ws?since=", &[]).since, None);
        for broken in ["-1", "x", "1.5", "99999999999999999999"] {
            assert_eq!(read(&format!("/ws?since={broken}"), &[]).since, Some(BEYOND_EVERY_LOG), "{broken}");
        }
    }

    #[test]
    fn position_in_auth_is_a_number_or_text() {
        let since = |value: Json| since_in(&Map::from_iter([("since".to_owned(), value)]));
        assert_eq!(since(Json::from(7)), Some(7));
        assert_eq!(since(Json::from("7")), Some(7));
        assert_eq!(since(Json::Null), None);
        assert_eq!(since(Json::from("")), None);
        for broken in
            [Json::from(-1), Json::from(1.5), Json::from("x"), Json::from(true), Json::Array(vec![])]
        {
            assert_eq!(since(broken), Some(BEYOND_EVERY_LOG));
        }
        assert_eq!(since_in(&Map::new()), None);
    }

    #[test]
    fn refusals_have_the_messages_of_the_contract() {
        let words =
            [Refusal::NoKey, Refusal::BadKey, Refusal::NotAllowed, Refusal::BadToken, Refusal::Misconfigured]
                .map(|refusal| refusal.to_string());
        assert_eq!(
            words,
            [
                "API key is required",
                "Invalid API key",
                "API key not allowed for this device",
                "Invalid access token",
                "Server configuration error"
            ]
        );
    }
}
