//! A layer in front of the Socket.IO library: it corrects answers to those of engine.io servers, and
//! reduces the memory of requests.
//!
//! Source of the codes: the engine.io protocol (0 unknown transport, 1 unknown session, 2 bad handshake
//! method, 3 bad request, 4 forbidden, 5 unsupported version). The library writes them as strings,
//! answers some refusals with no body, and a failed upgrade with 500.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, MatchedPath, OriginalUri, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Shared;
use super::anonymous_sessions::AnonymousSessions;
use super::credentials::CookieSession;
use super::namespaces::Namespaces;
use crate::api::auth::client_address;
use crate::api::{ApiConfig, ConnectionHandle};
use crate::domain::ip_block::IpBlock;

/// Largest body of the library's own refusals.
const REFUSAL_MAX_BYTES: usize = 4096;
/// Largest answer to a handshake by polling.
const HANDSHAKE_MAX_BYTES: usize = 4096;

/// The headers that are read after the handshake or by the library.
const KEPT_HEADERS: [HeaderName; 6] = [
    header::AUTHORIZATION,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("apikey"),
    HeaderName::from_static("x-forwarded-for"),
    header::CONTENT_TYPE,
    header::SEC_WEBSOCKET_KEY,
];

/// The state of the layer.
#[derive(Clone)]
pub(super) struct EngineIo {
    shared: Arc<Shared>,
    namespaces: Arc<Namespaces>,
    sessions: Arc<AnonymousSessions>,
    trusted_proxies: Arc<[IpBlock]>,
    /// The time limit for the body of a POST.
    post_timeout: Duration,
}

impl EngineIo {
    pub(super) fn new(
        shared: Arc<Shared>,
        namespaces: Arc<Namespaces>,
        sessions: Arc<AnonymousSessions>,
        config: &ApiConfig,
    ) -> Self {
        let trusted_proxies = config.trusted_proxies.as_slice().into();
        Self { shared, namespaces, sessions, trusted_proxies, post_timeout: config.request_timeout }
    }

    /// The client's address; `None` if it is a trusted proxy's own.
    fn limited_address(&self, request: &Request) -> Option<IpAddr> {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| *peer);
        let address = client_address(peer, request.headers(), &self.trusted_proxies);
        (!self.trusted_proxies.iter().any(|block| block.contains(address))).then_some(address)
    }
}

/// An engine.io refusal: its code and message.
type Refusal = (u8, &'static str);
const UNKNOWN_TRANSPORT: Refusal = (0, "Transport unknown");
const UNKNOWN_SESSION: Refusal = (1, "Session ID unknown");
const BAD_REQUEST: Refusal = (3, "Bad request");

/// Middleware: refuses requests that the library would answer wrongly, and corrects its answers.
pub(super) async fn keep(State(protocol): State<EngineIo>, request: Request, next: Next) -> Response {
    // Clients retry a refused connection, but not a missing namespace.
    if protocol.shared.services.tasks().soft().is_cancelled() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    if let Some(refusal) = refusal(&request) {
        return refused(refusal);
    }
    // A device that was answered 201 has its namespace, even if the lifecycle task has not run yet.
    protocol.namespaces.sync_namespaces();
    let Some(sid) = session_id(&request).map(str::to_owned) else {
        return handshake(&protocol, request, next).await;
    };
    if protocol.sessions.take_refused(&sid) {
        close_polling(&sid, request.uri().path(), next).await;
        return refused(UNKNOWN_SESSION);
    }
    let upgrades = has_pair(&request, "transport=websocket");
    if protocol.shared.confirms_origin(&request, upgrades) {
        protocol.sessions.confirm_origin(&sid);
    }
    if let Some(question) = session_question(&request) {
        let answer = next.clone().run(question).await;
        if !answer.status().is_success() {
            return correct(answer).await;
        }
        if let Some(connection) = request.extensions().get::<ConnectionHandle>() {
            protocol.sessions.upgraded(&sid, connection.close().clone());
        }
    }
    let is_post = request.method() == Method::POST;
    // Only a handshake creates the request that the library stores, so that a cookie counts there alone.
    let answer = next.run(slim(request, None));
    if !is_post {
        return correct(answer.await).await;
    }
    match tokio::time::timeout(protocol.post_timeout, answer).await {
        Ok(answer) => correct(answer).await,
        Err(_) => StatusCode::REQUEST_TIMEOUT.into_response(),
    }
}

/// Begins a session, which counts as anonymous until it joins a namespace.
async fn handshake(protocol: &EngineIo, mut request: Request, next: Next) -> Response {
    let is_polling = !has_pair(&request, "transport=websocket");
    let connection = request.extensions().get::<ConnectionHandle>().map(|handle| handle.close().clone());
    let address = protocol.limited_address(&request);
    let Ok((session, ended)) = protocol.sessions.admit(address, connection.filter(|_| !is_polling)) else {
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "5")]).into_response();
    };
    let path = request.uri().path().to_owned();
    for sid in ended {
        close_polling(&sid, &path, next.clone()).await;
    }
    request.extensions_mut().insert(session.clone());
    if let Some(cookies) = protocol.shared.handshake_cookies(&request, is_polling, &session) {
        request.extensions_mut().insert(cookies);
    }
    let cookie = protocol.shared.cookie_session(&request);
    let answer = next.clone().run(slim(request, cookie)).await;
    if !is_polling || !answer.status().is_success() {
        return correct(answer).await;
    }
    let (parts, body) = answer.into_parts();
    let body = axum::body::to_bytes(body, HANDSHAKE_MAX_BYTES).await.unwrap_or_default();
    if let Some(sid) = opened_session(&body)
        && !session.polls_as(&sid)
    {
        close_polling(&sid, &path, next).await;
        return refused(UNKNOWN_SESSION);
    }
    Response::from_parts(parts, Body::from(body))
}

/// The id in the answer to a handshake by polling: `0{"sid":"…"}`.
fn opened_session(body: &[u8]) -> Option<String> {
    let packet: serde_json::Value = serde_json::from_slice(body.strip_prefix(b"0")?).ok()?;
    packet.get("sid")?.as_str().map(str::to_owned)
}

/// Ends a polling session with the packet that a client would send.
async fn close_polling(sid: &str, path: &str, next: Next) {
    const CLOSE: &str = "1";
    let request = Request::post(format!("{path}?EIO=4&transport=polling&sid={sid}")).body(Body::from(CLOSE));
    if let Ok(request) = request {
        next.run(request).await;
    }
}

fn session_id(request: &Request) -> Option<&str> {
    request.uri().query()?.split('&').find_map(|pair| pair.strip_prefix("sid="))
}

fn has_pair(request: &Request, expected: &str) -> bool {
    request.uri().query().unwrap_or_default().split('&').any(|pair| pair == expected)
}

fn refusal(request: &Request) -> Option<Refusal> {
    let query = request.uri().query().unwrap_or_default();
    let transport = query.split('&').find_map(|pair| pair.strip_prefix("transport="));
    match transport {
        Some("polling") => None,
        Some("websocket") if request.method() != Method::GET || is_upgrade(request) => None,
        Some("websocket") => Some(BAD_REQUEST),
        _ => Some(UNKNOWN_TRANSPORT),
    }
}

/// The library answers 101 to an upgrade before it looks up the session. So a polling request checks the
/// session first, with a heartbeat, which has no side effect.
fn session_question(request: &Request) -> Option<Request> {
    const HEARTBEAT: &str = "3";
    let query = request.uri().query()?;
    let asks = |pair: &str| pair.starts_with("sid=");
    if !query.contains("transport=websocket") || !query.split('&').any(asks) {
        return None;
    }
    let polling = query.replace("transport=websocket", "transport=polling");
    let uri = format!("{}?{polling}", request.uri().path());
    Request::post(uri).body(Body::from(HEARTBEAT)).ok()
}

/// Whether the request is a WebSocket handshake (RFC 6455, 4.2.1).
fn is_upgrade(request: &Request) -> bool {
    let headers = request.headers();
    let names = |name: HeaderName, word: &str| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case(word))
    };
    request.version() == Version::HTTP_11
        && names(header::UPGRADE, "websocket")
        && names(header::CONNECTION, "upgrade")
        && names(header::SEC_WEBSOCKET_VERSION, "13")
        && headers.contains_key(header::SEC_WEBSOCKET_KEY)
}

/// The library stores a session's first request until the session ends, and headers share the
/// connection's read buffer: only the needed headers are kept, as copies.
fn slim(request: Request, session: Option<CookieSession>) -> Request {
    let (mut parts, body) = request.into_parts();
    parts.headers = kept(&parts.headers);
    if let Ok(copy) = parts.uri.to_string().parse() {
        parts.uri = copy;
    }
    parts.extensions.remove::<OriginalUri>();
    parts.extensions.remove::<MatchedPath>();
    if let Some(session) = session {
        parts.extensions.insert(session);
    }
    Request::from_parts(parts, body)
}

fn kept(headers: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for name in KEPT_HEADERS {
        for value in headers.get_all(&name) {
            if let Ok(copy) = HeaderValue::from_bytes(value.as_bytes()) {
                kept.append(name.clone(), copy);
            }
        }
    }
    kept
}

async fn correct(answer: Response) -> Response {
    match answer.status() {
        StatusCode::BAD_REQUEST => {}
        StatusCode::INTERNAL_SERVER_ERROR => return refused(BAD_REQUEST),
        _ => return answer,
    }
    let (mut parts, body) = answer.into_parts();
    let body = axum::body::to_bytes(body, REFUSAL_MAX_BYTES).await.unwrap_or_default();
    if body.is_empty() {
        return refused(BAD_REQUEST);
    }
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(with_number(&body)))
}

/// `"code":"0"` as `"code":0`.
fn with_number(body: &[u8]) -> Vec<u8> {
    const BEFORE: &str = "{\"code\":\"";
    let text = String::from_utf8_lossy(body);
    let corrected = text.strip_prefix(BEFORE).and_then(|rest| {
        let (code, rest) = rest.split_once('"')?;
        code.parse::<u8>().ok().map(|code| format!("{{\"code\":{code}{rest}"))
    });
    corrected.map_or_else(|| body.to_vec(), String::into_bytes)
}

fn refused((code, message): Refusal) -> Response {
    let body = format!("{{\"code\":{code},\"message\":\"{message}\"}}");
    (StatusCode::BAD_REQUEST, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(uri: &str) -> Request {
        Request::builder().uri(uri).body(Body::empty()).unwrap()
    }

    #[test]
    fn unknown_transport_is_refused() {
        for uri in ["/ws", "/ws/?", "/ws?EIO=4", "/ws?EIO=3&transport=flash", "/ws?transport="] {
            assert_eq!(refusal(&get(uri)), Some(UNKNOWN_TRANSPORT), "{uri}");
        }
        assert_eq!(refusal(&get("/ws?EIO=4&transport=polling")), None);
        assert_eq!(refusal(&get("/ws?EIO=4&transport=websocket")), Some(BAD_REQUEST));
    }

    #[test]
    fn upgrade_needs_all_of_its_headers() {
        let all = [
            ("upgrade", "WebSocket"),
            ("connection", "keep-alive, Upgrade"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        let with = |headers: &[(&str, &str)]| {
            let uri = "/ws?EIO=4&transport=websocket";
            let builder =
                headers.iter().fold(Request::builder().uri(uri), |b, (name, value)| b.header(*name, *value));
            refusal(&builder.body(Body::empty()).unwrap())
        };
        assert_eq!(with(&all), None);
        for missing in 0..all.len() {
            let some: Vec<_> =
                all.iter().enumerate().filter(|(i, _)| *i != missing).map(|(_, h)| *h).collect();
            assert_eq!(with(&some), Some(BAD_REQUEST), "{some:?}");
        }
    }

    #[tokio::test]
    async fn answers_of_the_library_are_corrected() {
        for (status, body, expected) in [
            (
                400,
                r#"{"code":"1","message":"Session ID unknown"}"#,
                r#"{"code":1,"message":"Session ID unknown"}"#,
            ),
            (400, "", r#"{"code":3,"message":"Bad request"}"#),
            (500, "", r#"{"code":3,"message":"Bad request"}"#),
            (400, "as it is", "as it is"),
        ] {
            let answer = Response::builder().status(status).body(Body::from(body)).unwrap();
            let corrected = correct(answer).await;
            assert_eq!(corrected.status(), StatusCode::BAD_REQUEST);
            let bytes = axum::body::to_bytes(corrected.into_body(), 1000).await.unwrap();
            assert_eq!(bytes, expected);
        }
        let fine = correct(Response::new(Body::from("ok"))).await;
        assert_eq!(fine.status(), StatusCode::OK);
    }

    #[test]
    fn kept_request_has_credentials_and_little_else() {
        let request = Request::builder()
            .uri("/ws?EIO=4&transport=polling&since=5")
            .header("X-API-KEY", "k")
            .header("user-agent", "x".repeat(500))
            .header("cookie", "c=1")
            .extension(OriginalUri("/ws".parse().unwrap()))
            .body(Body::empty())
            .unwrap();
        let slim = slim(request, None);
        assert_eq!(slim.headers().len(), 1);
        assert_eq!(slim.headers()["x-api-key"], "k");
        assert_eq!(slim.uri().query(), Some("EIO=4&transport=polling&since=5"));
        assert!(slim.extensions().get::<OriginalUri>().is_none());
    }
}
