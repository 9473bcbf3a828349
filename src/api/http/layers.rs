//! All that concerns every request of REST: CORS, compression, the request id, the log and the metrics, the time limit,
//! and the handling of panics.
//!
//! Invariants: the log and the metrics contain routes, never paths or queries, since those name chats and
//! keys; every answer has a request id, and is JSON unless its operation documents another type.

use std::any::Any;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CACHE_CONTROL, CONNECTION, CONTENT_DISPOSITION, CONTENT_RANGE, ETAG,
    ORIGIN, RETRY_AFTER, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use hyper::body::Body as HttpBody;
use tokio::time::Instant;
use tower::{Layer as _, Service, ServiceExt as _};
use tower_http::CompressionLevel;
use tower_http::compression::predicate::{And, DefaultPredicate, Predicate, SizeAbove};
use tower_http::compression::{Compression, CompressionLayer};
use tower_http::cors::{AllowHeaders, AllowOrigin, Cors, CorsLayer};

use super::ApiState;
use super::error::ApiError;
use super::media::NotCompressed;
use super::request_labels::{LabelledRoute, NO_ROUTE, RequestLabels};
use crate::domain::origin::OriginPattern;

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
static REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// Headers that players and downloads in a page read.
const OF_FILES: [HeaderName; 4] = [ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_RANGE, ETAG];
const REQUEST_ID_MAX: usize = 128;
/// Operations of a device with large bodies, which limit the time between two chunks themselves.
const WITHOUT_TIME_LIMIT: [&str; 2] = ["chats/import", "media"];
const PREFLIGHT_MAX_AGE: std::time::Duration = std::time::Duration::from_secs(600);
/// Bodies that fit in one packet are not compressed.
const COMPRESSED_FROM_BYTES: u16 = 1024;

/// REST, the probes and the documentation. Clones share their state.
///
/// The parts around the routes are not layers of the router: each of those costs allocations in every request.
#[derive(Clone)]
pub struct Rest {
    plain: Handler,
    compressing: Compression<Handler, Compressible>,
    cross_origin: Cors<Compression<Handler, Compressible>>,
}

impl Rest {
    pub(super) fn new(routes: Router<ApiState>, state: ApiState) -> Self {
        let cors = cors(&state.config.allowed_origins);
        let routes = routes
            .fallback(|| async { ApiError::NotFound })
            .method_not_allowed_fallback(|_: LabelledRoute| async { ApiError::MethodNotAllowed })
            .with_state(state.clone());
        let plain = Handler { routes, state, ids: Arc::new(RequestIds::new()) };
        let compressing = CompressionLayer::new()
            .quality(CompressionLevel::Fastest)
            .compress_when(Compressible::default())
            .layer(plain.clone());
        Self { plain, cross_origin: cors.layer(compressing.clone()), compressing }
    }

    /// Answers a request.
    pub async fn respond(&self, request: Request) -> Response {
        let headers = request.headers();
        if request.method() == Method::OPTIONS || headers.contains_key(ORIGIN) {
            let Ok(response) = self.cross_origin.clone().oneshot(request).await;
            return response.map(Body::new);
        }
        if headers.contains_key(ACCEPT_ENCODING) {
            let Ok(response) = self.compressing.clone().oneshot(request).await;
            return response.map(Body::new);
        }
        let Ok(response) = self.plain.clone().oneshot(request).await;
        response
    }
}

fn cors(allowed: &[OriginPattern]) -> CorsLayer {
    let any = allowed.iter().any(OriginPattern::is_any);
    let allowed = allowed.to_vec();
    let is_allowed = move |origin: &HeaderValue, _: &axum::http::request::Parts| {
        origin.to_str().is_ok_and(|origin| allowed.iter().any(|pattern| pattern.matches(origin)))
    };
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(is_allowed))
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(
            [REQUEST_ID.clone(), RETRY_AFTER, REPLAYED.clone()]
                .into_iter()
                .chain(OF_FILES)
                .collect::<Vec<_>>(),
        )
        // Keys are in headers; credentials are for proxies with a cookie of their own.
        .allow_credentials(!any)
        .max_age(PREFLIGHT_MAX_AGE)
}

/// Chooses the answers that are compressed. Files are not: a range refers to the file itself.
#[derive(Clone)]
struct Compressible(And<DefaultPredicate, SizeAbove>);

impl Default for Compressible {
    fn default() -> Self {
        Self(DefaultPredicate::new().and(SizeAbove::new(COMPRESSED_FROM_BYTES)))
    }
}

impl Predicate for Compressible {
    fn should_compress<B: HttpBody>(&self, response: &axum::http::Response<B>) -> bool {
        response.extensions().get::<NotCompressed>().is_none() && self.0.should_compress(response)
    }
}

/// Handles a request between its compression and its route.
#[derive(Clone)]
struct Handler {
    routes: Router,
    state: ApiState,
    ids: Arc<RequestIds>,
}

impl Service<Request> for Handler {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    /// Routers are always ready.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        Box::pin(self.clone().handle(request).map(Ok))
    }
}

impl Handler {
    async fn handle(self, mut request: Request) -> Response {
        let began = Instant::now();
        let id = self.ids.of(request.headers());
        let method = request.method().clone();
        let is_api = request.uri().path().starts_with("/api/");
        let has_time_limit = !has_large_body(request.uri().path());
        let labels = RequestLabels::default();
        request.extensions_mut().insert(labels.clone());
        request.extensions_mut().insert(self.state.clone());
        let mut response = match has_time_limit {
            true => limit_time(&self.state, run(&self.state, self.routes, request)).await,
            false => run(&self.state, self.routes, request).await,
        };
        let (status, took) = (response.status().as_u16(), began.elapsed());
        let route = labels.route().unwrap_or(NO_ROUTE);
        self.state.services.metrics().http_request(method.as_str(), route, status, took);
        let key = labels.key_id().unwrap_or("-");
        let (took_ms, request_id) = (took.as_millis(), id.to_str().unwrap_or_default());
        let config = &self.state.config;
        let is_problem = status >= 400 || took > config.slow_request;
        // Probes and scrapes come every few seconds.
        if is_api && (is_problem || config.logs_all_requests) {
            tracing::info!(%method, route, status, took_ms, key, request_id, "request");
        } else {
            tracing::debug!(%method, route, status, took_ms, key, request_id, "request");
        }
        add_headers(response.headers_mut(), id, is_api);
        response
    }
}

/// Runs a request that changes state to completion, even if its client disconnects or the time limit passes:
/// the updates in memory after a commit must not be cut off.
async fn run(state: &ApiState, mut routes: Router, request: Request) -> Response {
    let is_safe = request.method().is_safe();
    let answer = AssertUnwindSafe(routes.call(request)).catch_unwind();
    let answer = match is_safe {
        true => answer.await,
        false => state.services.tasks().run_to_completion("request", answer).await,
    };
    answer.map_or_else(caught, |Ok(response)| response)
}

/// The panic's text may be confidential; the panic hook has logged its place.
fn caught(_: Box<dyn Any + Send>) -> Response {
    tracing::error!("request handler panicked");
    ApiError::Internal.into_response()
}

/// Limits the time until an answer begins; streams and large uploads are exempt.
async fn limit_time(state: &ApiState, answer: impl Future<Output = Response>) -> Response {
    match tokio::time::timeout(state.config.request_timeout, answer).await {
        Ok(response) => response,
        Err(_) => {
            let mut response = ApiError::Timeout.into_response();
            // The client may never send the rest of its body.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            response
        }
    }
}

fn has_large_body(path: &str) -> bool {
    let of_chat = path.strip_prefix("/api/chat/");
    if of_chat.is_some_and(|below| below == "upload" || below.ends_with("/upload")) {
        return true;
    }
    path.strip_prefix("/api/v1/devices/")
        .and_then(|below| below.split_once('/'))
        .is_some_and(|(_, operation)| WITHOUT_TIME_LIMIT.contains(&operation))
}

fn add_headers(headers: &mut HeaderMap, id: HeaderValue, is_api: bool) {
    headers.insert(&REQUEST_ID, id);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if !is_api {
        headers.insert(VARY, HeaderValue::from_static("accept-encoding, origin"));
    } else if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

/// The ids of requests that bring none: distinct within a process, and different after a restart.
struct RequestIds {
    next: AtomicU64,
}

impl RequestIds {
    fn new() -> Self {
        let mut bytes = [0_u8; 8];
        // Without randomness the ids begin anew: nothing depends on them.
        let _ = getrandom::fill(&mut bytes);
        Self { next: AtomicU64::new(u64::from_be_bytes(bytes)) }
    }

    /// The client's own id if it is short and visible ASCII, else a new one.
    fn of(&self, headers: &HeaderMap) -> HeaderValue {
        let sane = |value: &&HeaderValue| {
            (1..=REQUEST_ID_MAX).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic)
        };
        headers.get(&REQUEST_ID).filter(sane).cloned().unwrap_or_else(|| self.next())
    }

    fn next(&self) -> HeaderValue {
        let mut text = [0_u8; 16];
        let number = mixed(self.next.fetch_add(1, Ordering::Relaxed));
        // The text has room for all digits.
        let _ = hex::encode_to_slice(number.to_be_bytes(), &mut text);
        HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static("-"))
    }
}

/// A distinct number for each number, with all bits changed. Source: the output function of SplitMix64.
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_for(value: &[u8]) -> HeaderValue {
        let mut headers = HeaderMap::new();
        headers.insert(&REQUEST_ID, HeaderValue::from_bytes(value).unwrap());
        RequestIds::new().of(&headers)
    }

    #[test]
    fn sane_request_ids_are_kept() {
        assert_eq!(id_for(b"order-17/3"), "order-17/3");
        for strange in [&b""[..], b"a b", b"\xff", &[b'x'; 129]] {
            let id = id_for(strange);
            assert_ne!(id.as_bytes(), strange);
            assert_eq!(id.len(), 16);
        }
        let ids = RequestIds::new();
        assert_ne!(ids.of(&HeaderMap::new()), ids.of(&HeaderMap::new()));
    }

    #[test]
    fn large_bodies_have_no_time_limit() {
        for (path, expected) in [
            ("/api/v1/devices/shop/media", true),
            ("/api/v1/devices/shop/chats/import", true),
            ("/api/chat/upload", true),
            ("/api/chat/conversations/17/upload", true),
            ("/api/chat/conversations/17/messages", false),
            ("/api/v1/devices/shop/messages", false),
            ("/api/v1/devices/media", false),
            ("/healthz", false),
        ] {
            assert_eq!(has_large_body(path), expected, "{path}");
        }
    }
}
