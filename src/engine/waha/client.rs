//! Requests to a WAHA server. The key goes to that server and to nobody else; what is asked and answered is in no log.

use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use serde_json::Value;
use url::Url;

use super::settings::Settings;
use crate::engine::{ByteStream, SessionError};
use crate::net::{Exchange, ExchangeBody, GuardedClient, Method, NetError};

/// How long a question may take.
const QUESTION: Duration = Duration::from_secs(20);
/// The code of what it refuses.
pub(super) const REFUSED: &str = "refused_by_network";
/// Bytes of the largest answer.
const LARGEST: u64 = 16 << 20;

/// A client for one session of one server.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) http: GuardedClient,
    pub(super) base: Url,
    pub(super) session: String,
    key: Option<String>,
}

/// Why there is no answer to use.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// It was not reached: nothing that was asked can have happened.
    #[error("the WAHA server cannot be reached")]
    Unreachable(#[source] NetError),
    /// It was asked, and the answer did not come: it may have happened.
    #[error("the WAHA server did not answer")]
    Unknown(#[source] NetError),
    /// 401 or 403.
    #[error("the WAHA server refused the key")]
    Unauthorized,
    /// 404: no such session, chat or call.
    #[error("the WAHA server knows no such thing")]
    Unknowing,
    /// 422 and other 4xx.
    #[error("the WAHA server refused with {status}")]
    Refused {
        /// Which.
        status: u16,
        /// Its words, cut and cleaned: for whoever asked, and for no log.
        words: String,
    },
    /// 5xx and 429.
    #[error("the WAHA server answered {0}")]
    Unwell(u16),
    /// 200, and not what its contract says.
    #[error("the WAHA server's answer is not what its contract says")]
    Garbled,
}

impl From<Failure> for SessionError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unreachable(_) => Self::Offline,
            Failure::Refused { words, .. } if !words.is_empty() => Self::Refused(words),
            other => Self::Refused(other.to_string()),
        }
    }
}

/// What is sent.
pub(super) enum Body {
    /// Nothing.
    Empty,
    /// JSON.
    Json(Value),
    /// JSON that is made while it is sent, of so many bytes.
    Stream(u64, ByteStream),
}

impl Client {
    pub(super) fn new(http: GuardedClient, settings: &Settings) -> Self {
        let (base, session, key) =
            (settings.base.clone(), settings.session.clone(), settings.api_key.clone());
        Self { http, base, session, key }
    }

    /// Asks for what stands at `path`, below `/api/`.
    pub(super) async fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Value, Failure> {
        self.ask(Method::GET, path, query, Body::Empty, QUESTION, None).await
    }

    /// Has something done.
    pub(super) async fn call(&self, method: Method, path: &[&str], body: Value) -> Result<Value, Failure> {
        let body = if body.is_null() { Body::Empty } else { Body::Json(body) };
        self.ask(method, path, &[], body, QUESTION, None).await
    }

    /// Asks for something of this session: `/api/{session}/…`.
    pub(super) async fn of_session(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Value, Failure> {
        let path: Vec<&str> = std::iter::once(self.session.as_str()).chain(path.iter().copied()).collect();
        self.get(&path, query).await
    }

    /// Has something done to this session: `/api/{session}/…`.
    pub(super) async fn to_session(
        &self,
        method: Method,
        path: &[&str],
        body: Value,
    ) -> Result<Value, Failure> {
        let path: Vec<&str> = std::iter::once(self.session.as_str()).chain(path.iter().copied()).collect();
        self.call(method, &path, body).await
    }

    /// Asks, and reads the answer whole. `once` names what is asked, so that whoever keeps such names does it once.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Body,
        timeout: Duration,
        once: Option<&str>,
    ) -> Result<Value, Failure> {
        let mut url = self.url(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut headers = self.key_header();
        headers.push(("accept".to_owned(), "application/json".to_owned()));
        headers.extend(once.map(|once| ("idempotency-key".to_owned(), once.to_owned())));
        let body = match body {
            Body::Empty => ExchangeBody::Empty,
            Body::Json(value) => {
                headers.push(("content-type".to_owned(), "application/json".to_owned()));
                ExchangeBody::Bytes(Bytes::from(value.to_string()))
            }
            Body::Stream(length, bytes) => {
                headers.push(("content-type".to_owned(), "application/json".to_owned()));
                ExchangeBody::Stream { length, bytes }
            }
        };
        let exchange = Exchange { url, method, headers, body, timeout, limit: LARGEST };
        let answer = self.http.exchange(exchange).await.map_err(not_answered)?;
        let status = answer.status;
        let bytes = read(answer.body).await;
        let judged = judged(status, bytes);
        if let Err(Failure::Refused { status, .. }) = &judged {
            tracing::info!(session = self.session, status, code = REFUSED, "the WAHA server refused a call");
        }
        judged
    }

    /// The header that the server asks for, where a key is set.
    pub(super) fn key_header(&self) -> Vec<(String, String)> {
        self.key.iter().map(|key| ("x-api-key".to_owned(), key.clone())).collect()
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("api").extend(path);
        }
        url
    }

    /// Where the server's WebSocket is, with the events that are asked for.
    pub(super) fn socket_url(&self, events: &[&str]) -> Option<Url> {
        let mut url = self.base.clone();
        url.path_segments_mut().ok()?.pop_if_empty().push("ws");
        url.set_scheme(if self.base.scheme() == "https" { "wss" } else { "ws" }).ok()?;
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("session", &self.session);
            for event in events {
                query.append_pair("events", event);
            }
            if let Some(key) = &self.key {
                query.append_pair("x-api-key", key);
            }
        }
        Some(url)
    }
}

async fn read(body: ByteStream) -> Result<Vec<u8>, std::io::Error> {
    body.try_fold(Vec::new(), |mut all, piece| async move {
        all.extend_from_slice(&piece);
        Ok(all)
    })
    .await
}

fn not_answered(error: NetError) -> Failure {
    match &error {
        NetError::Http(cause) if cause.is_connect() => Failure::Unreachable(error),
        NetError::Http(_) | NetError::Timeout | NetError::TooLarge(_) => Failure::Unknown(error),
        _ => Failure::Unreachable(error),
    }
}

fn judged(status: u16, bytes: Result<Vec<u8>, std::io::Error>) -> Result<Value, Failure> {
    match status {
        401 | 403 => return Err(Failure::Unauthorized),
        404 => return Err(Failure::Unknowing),
        429 | 500..=599 => return Err(Failure::Unwell(status)),
        200..=299 => {}
        _ => {
            let words = bytes.ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
            return Err(Failure::Refused {
                status,
                words: words.map_or_else(String::new, |said| words_of(&said)),
            });
        }
    }
    // What was done is done, whatever becomes of the answer.
    let bytes = bytes.map_err(|_| Failure::Unknown(NetError::Timeout))?;
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&bytes).map_err(|_| Failure::Garbled)
}

/// What the server says of its refusal (Nest's shape: `message`, a text or a list of them).
fn words_of(said: &Value) -> String {
    const LONGEST: usize = 200;
    let message = match said.get("message") {
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("; "),
        Some(Value::String(text)) => text.clone(),
        _ => said.pointer("/exception/message").and_then(Value::as_str).unwrap_or_default().to_owned(),
    };
    message.chars().filter(|c| !c.is_control()).take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(base: &str) -> Client {
        let settings =
            json!({ "waha": { "baseUrl": base, "apiKey": "k y".replace(' ', "&"), "inbound": "websocket" } });
        let settings = Settings::parse(settings.as_object().unwrap()).unwrap();
        let http = GuardedClient::new(crate::net::Guard::default(), QUESTION);
        Client::new(http, &settings)
    }

    #[test]
    fn paths_stand_below_the_servers_and_are_escaped() {
        let client = of("https://example.org/waha");
        assert_eq!(
            client.url(&["s", "chats", "1@c.us", "a/b"]).as_str(),
            "https://example.org/waha/api/s/chats/1@c.us/a%2Fb"
        );
        let socket = client.socket_url(&["message.any", "session.status"]).unwrap();
        assert_eq!(
            socket.as_str(),
            "wss://example.org/waha/ws?session=default&events=message.any&events=session.status&x-api-key=k%26y"
        );
        assert_eq!(of("http://example.org").socket_url(&[]).unwrap().scheme(), "ws");
    }

    #[test]
    fn statuses_have_their_meaning() {
        assert!(matches!(judged(401, Ok(Vec::new())), Err(Failure::Unauthorized)));
        assert!(matches!(judged(404, Ok(Vec::new())), Err(Failure::Unknowing)));
        assert!(matches!(judged(503, Ok(Vec::new())), Err(Failure::Unwell(503))));
        assert!(matches!(judged(200, Ok(b"<html>".to_vec())), Err(Failure::Garbled)));
        assert_eq!(judged(201, Ok(Vec::new())).unwrap(), Value::Null);
        let refused = judged(422, Ok(json!({ "message": ["a\n", "b"] }).to_string().into_bytes()));
        assert!(matches!(refused, Err(Failure::Refused { status: 422, words }) if words == "a; b"));
    }
}
