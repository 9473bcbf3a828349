//! Requests to a WAHA server, for one of its sessions. The key is sent to that server only.

use std::sync::Arc;

use serde_json::Value;
use url::Url;

use super::settings::Settings;
use crate::engine::SessionError;
use crate::engine::relay::client::{Rejection, UpstreamClient, UpstreamFailure, UpstreamRequest};
use crate::net::{GuardedClient, Method};

/// The code of a rejected call in logs.
const REJECTED: &str = "refused_by_network";
const KEY_HEADER: &str = "x-api-key";

/// A client for one session of one server.
pub(super) struct WahaClient {
    pub(super) upstream: Arc<UpstreamClient>,
    /// The name of the session.
    session: String,
    key: Option<String>,
}

/// The client for a device's settings.
pub(super) fn upstream_client(http: GuardedClient, settings: &Settings) -> UpstreamClient {
    let key = settings.api_key.clone().map(|key| (KEY_HEADER, key));
    UpstreamClient::new(http, settings.base.clone(), key)
}

impl WahaClient {
    pub(super) fn new(upstream: Arc<UpstreamClient>, settings: &Settings) -> Self {
        Self { upstream, session: settings.session.clone(), key: settings.api_key.clone() }
    }

    /// `GET /api/…`.
    pub(super) async fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Value, UpstreamFailure> {
        let path = below("api", path);
        let request = UpstreamRequest::get(&path);
        self.send(query.iter().fold(request, |request, (name, value)| request.query(name, value))).await
    }

    /// A call to `/api/…`; a `null` body is none.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &[&str],
        body: Value,
    ) -> Result<Value, UpstreamFailure> {
        let path = below("api", path);
        let request = UpstreamRequest::new(method, &path);
        let request = match body {
            Value::Null => request,
            body => request.json(&body),
        };
        self.send(request).await
    }

    /// `GET /api/{session}/…`.
    pub(super) async fn of_session(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Value, UpstreamFailure> {
        self.get(&below(&self.session, path), query).await
    }

    /// A call to `/api/{session}/…`.
    pub(super) async fn to_session(
        &self,
        method: Method,
        path: &[&str],
        body: Value,
    ) -> Result<Value, UpstreamFailure> {
        self.call(method, &below(&self.session, path), body).await
    }

    /// Sends a request whose path begins with `api`.
    pub(super) async fn send(&self, request: UpstreamRequest<'_>) -> Result<Value, UpstreamFailure> {
        let answer = self.upstream.json(request).await;
        if let Some(rejection) = answer.as_ref().err().and_then(refusal) {
            tracing::info!(
                session = self.session,
                status = rejection.status,
                code = REJECTED,
                "the WAHA server rejected a call"
            );
        }
        answer
    }

    /// The address of the server's WebSocket for these events.
    pub(super) fn websocket_url(&self, events: &[&str]) -> Option<Url> {
        let mut url = self.upstream.url(&["ws"]);
        let scheme = if url.scheme() == "https" { "wss" } else { "ws" };
        url.set_scheme(scheme).ok()?;
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("session", &self.session);
            for event in events {
                query.append_pair("events", event);
            }
            if let Some(key) = &self.key {
                query.append_pair(KEY_HEADER, key);
            }
        }
        Some(url)
    }
}

fn below<'a>(first: &'a str, path: &[&'a str]) -> Vec<&'a str> {
    std::iter::once(first).chain(path.iter().copied()).collect()
}

/// The rejection of a request that the server understood and does not carry out.
pub(super) fn refusal(failure: &UpstreamFailure) -> Option<&Rejection> {
    match failure {
        UpstreamFailure::Rejected(rejection)
            if !matches!(rejection.status, 401 | 403 | 404 | 429 | 500..=599) =>
        {
            Some(rejection)
        }
        _ => None,
    }
}

/// The server's message in a rejection (`message`, a text or a list of them). It may name people, so it is
/// not logged.
pub(super) fn message(rejection: &Rejection) -> String {
    const MAX_CHARS: usize = 200;
    let message = match rejection.body.get("message") {
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("; "),
        Some(Value::String(text)) => text.clone(),
        _ => {
            let exception = rejection.body.pointer("/exception/message").and_then(Value::as_str);
            exception.unwrap_or_default().to_owned()
        }
    };
    message.chars().filter(|c| !c.is_control()).take(MAX_CHARS).collect()
}

/// The error of a request to a session.
pub(super) fn session_error(failure: UpstreamFailure) -> SessionError {
    let message = refusal(&failure).map(message).filter(|message| !message.is_empty());
    match (failure, message) {
        (UpstreamFailure::Unreachable(_), _) => SessionError::Offline,
        (_, Some(message)) => SessionError::Refused(message),
        (failure, None) => SessionError::Refused(failure.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::time::Duration;

    fn client(base: &str) -> WahaClient {
        let settings = json!({ "waha": { "baseUrl": base, "apiKey": "k&y", "inbound": "websocket" } });
        let settings = Settings::parse(settings.as_object().unwrap()).unwrap();
        let http = GuardedClient::new(crate::net::Guard::default(), Duration::from_secs(1));
        WahaClient::new(Arc::new(upstream_client(http, &settings)), &settings)
    }

    #[test]
    fn websocket_address_carries_session_events_and_key() {
        let url =
            client("https://example.org/waha").websocket_url(&["message.any", "session.status"]).unwrap();
        assert_eq!(
            url.as_str(),
            "wss://example.org/waha/ws?session=default&events=message.any&events=session.status&x-api-key=k%26y"
        );
        assert_eq!(client("http://example.org").websocket_url(&[]).unwrap().scheme(), "ws");
    }

    #[test]
    fn rejection_carries_the_message_of_the_server() {
        let rejected =
            |status, body| UpstreamFailure::Rejected(Box::new(Rejection { status, retry_after: None, body }));
        let failure = rejected(422, json!({ "message": ["a\n", "b"] }));
        assert_eq!(session_error(failure), SessionError::Refused("a; b".to_owned()));
        for status in [401, 404, 503] {
            assert!(refusal(&rejected(status, Value::Null)).is_none(), "{status}");
        }
    }
}
