//! Authentication and authorization of a connection to a device's namespace.
//!
//! All handlers of a socket are attached before the client is answered, so that its first events are not
//! lost. No key or token is logged, or stored outside the request that the library keeps.

use std::fmt::Display;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use serde_json::{Map, Value as Json};
use socketioxide::adapter::LocalAdapter;
use socketioxide::handler::{ConnectHandler, Value};
use socketioxide::socket::Socket;

use super::Shared;
use super::anonymous_sessions::{count_refusal, mark_joined};
use super::forward::Forwarder;
use super::operator_chat::ChatPath;
use super::request_queue::RequestQueue;
use super::session::{LogStart, OnDisconnect, Session};
use crate::api::auth::{Failed, client_address, presented_key};
use crate::api::connections::mark_authenticated;
use crate::domain::access::Scope;
use crate::domain::ids::DeviceId;
use crate::service::{AccessTokenError, Operator, Principal};

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
}

/// The guard of one device's namespace.
#[derive(Clone)]
pub(super) struct NamespaceGuard {
    shared: Arc<Shared>,
    device: DeviceId,
}

impl ConnectHandler<LocalAdapter, NamespaceGuard> for NamespaceGuard {
    fn call(&self, socket: Arc<Socket>, _: Option<Value>) {
        let Some(session) = socket.extensions.get::<Arc<Session>>() else { return };
        Forwarder::start(&self.shared, socket, session);
    }

    fn call_middleware<'a>(
        &'a self,
        socket: Arc<Socket>,
        auth: &'a Option<Value>,
    ) -> Pin<Box<dyn Future<Output = Result<(), Box<dyn Display + Send>>> + Send + 'a>> {
        Box::pin(async move {
            let credentials = SocketCredentials::read(socket.req_parts(), auth.as_ref());
            match self.admit(credentials, socket.req_parts()).await {
                Ok(session) => {
                    self.attach_handlers(&socket, session);
                    Ok(())
                }
                Err(refusal) => Err(Box::new(refusal) as Box<dyn Display + Send>),
            }
        })
    }
}

impl NamespaceGuard {
    pub(super) fn new(shared: Arc<Shared>, device: DeviceId) -> Self {
        Self { shared, device }
    }

    async fn admit(&self, credentials: SocketCredentials, request: &Parts) -> Result<Session, Refusal> {
        // Devices are not on the path of chat. Or the device was just deleted, and the namespace will be.
        let is_chat_path = request.extensions.get::<ChatPath>().is_some();
        if is_chat_path || !self.shared.services.registry.device_exists(&self.device) {
            return Err(refuse_unknown(&self.shared, credentials.key.as_deref(), request).await);
        }
        let (principal, operator) = match self.identify(&credentials).await {
            Ok(identified) => identified,
            Err(refusal) => return Err(refuse(&self.shared, refusal, request).await),
        };
        mark_authenticated(&request.extensions);
        mark_joined(&request.extensions);
        let start = match credentials.since {
            Some(since) => LogStart::Resume(since),
            None => LogStart::Live(self.end_of_log().await),
        };
        Ok(Session::new(self.device.clone(), principal, operator, start))
    }

    /// The log position of a client without one. It is read before the client is connected, so that the
    /// client gets every later event.
    async fn end_of_log(&self) -> Option<i64> {
        match self.shared.services.logs.newest_seq(&self.device).await {
            Ok(newest) => Some(newest),
            Err(error) => {
                tracing::warn!(device = %self.device, %error, "log head unreadable");
                None
            }
        }
    }

    async fn identify(
        &self,
        credentials: &SocketCredentials,
    ) -> Result<(Principal, Option<Operator>), Refusal> {
        let services = &self.shared.services;
        let key = credentials.key.as_deref().ok_or(Refusal::NoKey)?;
        let principal = services.access.authenticate(key).map_err(|_| Refusal::BadKey)?;
        if !principal.grant.reaches(&self.device) || !principal.grant.allows(Scope::EventsRead) {
            return Err(Refusal::NotAllowed);
        }
        let operator =
            services.access.operator(credentials.token.as_deref()).await.map_err(|error| match error {
                AccessTokenError::Invalid => Refusal::BadToken,
                AccessTokenError::Misconfigured | AccessTokenError::KeysUnavailable(_) => {
                    Refusal::Misconfigured
                }
            })?;
        Ok((principal, operator))
    }

    fn attach_handlers(&self, socket: &Arc<Socket>, session: Session) {
        let session = Arc::new(session);
        socket.on_disconnect(OnDisconnect(session.clone()));
        socket.on_fallback(RequestQueue::new(&self.shared, session.clone()));
        socket.extensions.insert(session);
    }
}

/// The answer to a refused connection. A refusal without a valid key counts as a failed login.
async fn refuse(shared: &Shared, refusal: Refusal, request: &Parts) -> Refusal {
    tracing::debug!(%refusal, "socket refused");
    match refusal {
        Refusal::NoKey | Refusal::BadKey => record_anonymous_refusal(shared, refusal, request).await,
        Refusal::BadToken => {
            record_failed_login(shared, request).await;
            refusal
        }
        Refusal::NoDevice | Refusal::NotAllowed | Refusal::Misconfigured => refusal,
    }
}

/// The answer to a connection to a namespace without a device. Without a valid key it is a failed login too, since it
/// reveals which devices exist.
pub(super) async fn refuse_unknown(shared: &Shared, key: Option<&str>, request: &Parts) -> Refusal {
    if key.is_some_and(|key| shared.services.access.authenticate(key).is_ok()) {
        return Refusal::NoDevice;
    }
    record_anonymous_refusal(shared, Refusal::NoDevice, request).await
}

/// A session with too many refusals ends, and its last answers are the same for each namespace.
async fn record_anonymous_refusal(shared: &Shared, refusal: Refusal, request: &Parts) -> Refusal {
    let ends = count_refusal(&request.extensions);
    if ends {
        return Refusal::NoKey;
    }
    record_failed_login(shared, request).await;
    refusal
}

/// Counts a failed login, and delays the answer to an address that fails too often. The messages are
/// fixed and valid keys must pass, so that a delay is the only way to slow guessing down.
async fn record_failed_login(shared: &Shared, request: &Parts) {
    shared.services.metrics().auth_failures.inc();
    let peer = request.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| *peer);
    let address = client_address(peer, &request.headers, &shared.trusted_proxies);
    if let Failed::TooMany { .. } = shared.failed_tries.count(address, shared.services.now()) {
        tokio::time::sleep(TOO_MANY_TRIES_WAIT).await;
    }
}

/// The credentials and the log position of a handshake.
#[derive(Default, PartialEq, Eq)]
pub(super) struct SocketCredentials {
    pub(super) key: Option<String>,
    token: Option<String>,
    since: Option<i64>,
}

/// A position beyond every log: the client gets `resync`.
const NOWHERE: i64 = i64::MAX;

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
                _ => {}
            }
        }
        let key = presented_key(&request.headers, request.uri.query());
        let key = key.or_else(|| auth.get("apiKey").and_then(Json::as_str).and_then(non_empty));
        let since = since_in(&auth).or(query.since);
        Self { key, token: query.token, since }
    }
}

fn auth_fields(auth: &Value) -> Option<Map<String, Json>> {
    serde_json::from_str(auth.as_str()?).ok()
}

fn since_in(auth: &Map<String, Json>) -> Option<i64> {
    match auth.get("since")? {
        Json::Null => None,
        Json::String(text) if text.trim().is_empty() => None,
        Json::String(text) => Some(position(text)),
        number => Some(number.as_i64().filter(|n| *n >= 0).unwrap_or(NOWHERE)),
    }
}

fn position(text: &str) -> i64 {
    text.trim().parse().ok().filter(|n| *n >= 0).unwrap_or(NOWHERE)
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
            assert_eq!(read(&format!("/ws?since={broken}"), &[]).since, Some(NOWHERE), "{broken}");
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
            assert_eq!(since(broken), Some(NOWHERE));
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
