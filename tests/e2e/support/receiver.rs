//! Webhook receivers: real HTTP servers on loopback with scripted answers. They record every request.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// A scripted answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Status(u16),
    /// 429 with `Retry-After`, in seconds.
    Busy(u32),
    /// 200 after a delay.
    Slow(Duration),
    /// No answer at all.
    Nothing,
}

/// One recorded request.
#[derive(Debug, Clone)]
pub struct Received {
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
    pub answer: Answer,
}

impl Received {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap()
    }

    /// The event as stored in the log.
    pub fn data(&self) -> Value {
        self.json()["data"].clone()
    }

    pub fn seq(&self) -> i64 {
        self.data()["seq"].as_i64().unwrap_or_default()
    }
}

type Script = Arc<dyn Fn(usize) -> Answer + Send + Sync>;

/// A webhook receiver. Its first request has the number 0.
pub struct Receiver {
    pub url: String,
    received: Arc<Mutex<Vec<Received>>>,
    script: Arc<Mutex<Script>>,
}

type Shared = (Arc<Mutex<Vec<Received>>>, Arc<Mutex<Script>>);

impl Receiver {
    /// Answers 204 to every request.
    pub async fn start() -> Self {
        Self::answering(|_| Answer::Status(204)).await
    }

    pub async fn answering(script: impl Fn(usize) -> Answer + Send + Sync + 'static) -> Self {
        let received = Arc::new(Mutex::new(Vec::new()));
        let script: Arc<Mutex<Script>> = Arc::new(Mutex::new(Arc::new(script)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/in", listener.local_addr().unwrap());
        let router = Router::new().fallback(take).with_state((received.clone(), script.clone()));
        #[expect(clippy::disallowed_methods, reason = "the server ends with its test")]
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, received, script }
    }

    pub fn answer_with(&self, script: impl Fn(usize) -> Answer + Send + Sync + 'static) {
        *self.script.lock().unwrap() = Arc::new(script);
    }

    pub fn all(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// Requests that were answered with 2xx.
    pub fn accepted(&self) -> Vec<Received> {
        let mut all = self.all();
        all.retain(|received| matches!(received.answer, Answer::Status(200..=299) | Answer::Slow(_)));
        all
    }

    /// Accepted events of one type, in order.
    pub fn events(&self, kind: &str) -> Vec<Value> {
        self.accepted().iter().map(Received::json).filter(|body| body["type"] == kind).collect()
    }

    pub fn count(&self) -> usize {
        self.received.lock().unwrap().len()
    }
}

async fn take(State((received, script)): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let answer = {
        let mut received = received.lock().unwrap();
        let script = script.lock().unwrap().clone();
        let answer = script(received.len());
        received.push(Received { headers, bytes: body.to_vec(), answer });
        answer
    };
    match answer {
        Answer::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Answer::Busy(seconds) => {
            (StatusCode::TOO_MANY_REQUESTS, [("retry-after", seconds.to_string())]).into_response()
        }
        Answer::Slow(delay) => {
            tokio::time::sleep(delay).await;
            StatusCode::OK.into_response()
        }
        Answer::Nothing => std::future::pending().await,
    }
}

/// A receiver that writes these bytes to each connection and closes it; without bytes it resets the
/// connection. Returns its URL.
pub async fn raw_receiver(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/in", listener.local_addr().unwrap());
    #[expect(clippy::disallowed_methods, reason = "the server ends with its test")]
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 64]).await;
            // Closing with unread bytes resets the connection.
            let _ = stream.write_all(answer).await;
        }
    });
    url
}
