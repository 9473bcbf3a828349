//! A proxy in front of the upstream that records requests, and answers those that a test selects.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

/// The answer to requests with this method and end of the path.
struct Rule {
    method: &'static str,
    path_end: String,
    status: u16,
    body: String,
    times: usize,
}

#[derive(Default)]
struct Inner {
    to: String,
    rules: Mutex<Vec<Rule>>,
    is_silent: AtomicBool,
    refuses_ephemeral: AtomicBool,
    asked: Mutex<Vec<String>>,
}

pub struct Proxy {
    inner: Arc<Inner>,
    base: String,
}

impl Proxy {
    /// Forwards all requests to `to`.
    pub async fn to(to: &str) -> Self {
        let inner = Arc::new(Inner { to: to.to_owned(), ..Inner::default() });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(pass).with_state(Arc::clone(&inner));
        #[expect(clippy::disallowed_methods, reason = "a test's own server, which ends with it")]
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { inner, base }
    }

    /// Answers as the API itself, this many times.
    pub fn refuse(&self, method: &'static str, path_end: &str, status: u16, code: &str, times: usize) {
        let body = json!({ "success": false, "error": "no", "code": code }).to_string();
        self.answer(method, path_end, status, &body, times);
    }

    /// Answers as a proxy, this many times.
    pub fn answer(&self, method: &'static str, path_end: &str, status: u16, body: &str, times: usize) {
        let (path_end, body) = (path_end.to_owned(), body.to_owned());
        self.inner.rules.lock().unwrap().push(Rule { method, path_end, status, body, times });
    }

    /// From now on streams stay silent.
    pub fn silence(&self) {
        self.inner.is_silent.store(true, Ordering::Relaxed);
    }

    /// From now on streams of ephemeral events are refused.
    pub fn refuse_ephemeral(&self) {
        self.inner.refuses_ephemeral.store(true, Ordering::Relaxed);
    }

    /// Removes all rules.
    pub fn open(&self) {
        self.inner.rules.lock().unwrap().clear();
    }

    /// The number of such requests.
    pub fn asked(&self, method: &str, path_end: &str) -> usize {
        let asked = self.inner.asked.lock().unwrap();
        asked.iter().filter(|one| one.starts_with(method) && one.ends_with(path_end)).count()
    }

    /// The same settings, through this proxy.
    pub fn settings(&self, mut settings: Value) -> Value {
        settings["remote"]["baseUrl"] = json!(self.base);
        settings
    }
}

fn ruled(inner: &Inner, method: &str, path: &str) -> Option<(u16, String)> {
    let mut rules = inner.rules.lock().unwrap();
    let rule = rules
        .iter_mut()
        .find(|rule| rule.times > 0 && rule.method == method && path.ends_with(&rule.path_end))?;
    rule.times -= 1;
    Some((rule.status, rule.body.clone()))
}

async fn pass(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let (method, path) = (parts.method.as_str().to_owned(), parts.uri.path().to_owned());
    let is_ephemeral = parts.uri.query().is_some_and(|query| query.contains("ephemeral=true"));
    let mark = if is_ephemeral { "?ephemeral" } else { "" };
    inner.asked.lock().unwrap().push(format!("{method} {path}{mark}"));
    let ruled = if is_ephemeral && inner.refuses_ephemeral.load(Ordering::Relaxed) {
        Some((503, String::new()))
    } else {
        ruled(&inner, &method, &path)
    };
    if let Some((status, body)) = ruled {
        let status = StatusCode::from_u16(status).unwrap();
        return Response::builder().status(status).body(Body::from(body)).unwrap();
    }
    let is_stream = parts.headers.get("accept").is_some_and(|accepted| accepted == "text/event-stream");
    if is_stream && inner.is_silent.load(Ordering::Relaxed) {
        let silence = futures_util::stream::pending::<Result<axum::body::Bytes, std::io::Error>>();
        return Response::builder().body(Body::from_stream(silence)).unwrap();
    }
    let query = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let mut onward = http.request(parts.method, format!("{}{query}", inner.to));
    for (name, value) in parts.headers.iter().filter(|(name, _)| *name != "host") {
        onward = onward.header(name, value);
    }
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let Ok(answer) = onward.body(body).send().await else {
        return Response::builder().status(502).body(Body::empty()).unwrap();
    };
    let mut response = Response::builder().status(answer.status());
    for (name, value) in answer.headers().iter().filter(|(name, _)| *name != "transfer-encoding") {
        response = response.header(name, value);
    }
    response.body(Body::from_stream(answer.bytes_stream())).unwrap()
}
