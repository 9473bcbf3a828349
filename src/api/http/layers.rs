//! The layers of every request, from the outside in: CORS, log and metrics with the request id, compression,
//! the time limit, and the handling of panics.
//!
//! Invariants: the log and the metrics contain routes, never paths or queries, since those name chats and
//! keys; every answer has a request id, and is JSON unless its operation documents another type.

use std::any::Any;

use axum::Router;
use axum::extract::{Extension, MatchedPath, Request};
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONNECTION, CONTENT_DISPOSITION, CONTENT_RANGE, ETAG, RETRY_AFTER,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use tokio::time::Instant;
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, Predicate};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use super::ApiState;
use super::error::ApiError;
use super::guard::Asked;
use super::media::NotCompressed;
use crate::domain::origin::OriginPattern;

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
static REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// Headers that players and downloads in a page read.
const OF_FILES: [HeaderName; 4] = [ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_RANGE, ETAG];
const REQUEST_ID_MAX: usize = 128;
/// Routes with large bodies, which limit the time between two chunks themselves.
const WITHOUT_TIME_LIMIT: [&str; 2] = ["/api/v1/devices/{id}/chats/import", "/api/v1/devices/{id}/media"];
/// The route of requests that match none.
const NO_ROUTE: &str = "none";
const PREFLIGHT_MAX_AGE: std::time::Duration = std::time::Duration::from_secs(600);

/// Puts all layers around the routes.
pub fn wrap(routes: Router<ApiState>, state: ApiState) -> Router {
    let cors = cors(&state.config.allowed_origins);
    routes
        .fallback(|| async { ApiError::NotFound })
        .method_not_allowed_fallback(|| async { ApiError::MethodNotAllowed })
        .layer(CatchPanicLayer::custom(caught))
        .layer(from_fn(handle))
        .layer(CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(compressible()))
        .layer(Extension(state.clone()))
        .layer(cors)
        .with_state(state)
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

/// Files are not compressed: a range refers to the file itself.
fn compressible() -> impl Predicate {
    let no_file = |_: StatusCode, _: Version, _: &HeaderMap, extensions: &Extensions| {
        extensions.get::<NotCompressed>().is_none()
    };
    DefaultPredicate::new().and(no_file)
}

/// The panic's text may be confidential; the panic hook has logged its place.
fn caught(_: Box<dyn Any + Send>) -> Response {
    tracing::error!("request handler panicked");
    ApiError::Internal.into_response()
}

/// Handles a request: all that concerns every request, in one layer, because each layer costs allocations.
async fn handle(Extension(state): Extension<ApiState>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = request_id(request.headers());
    let method = request.method().clone();
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    let is_api = request.uri().path().starts_with("/api/");
    let mut response = limit_time(&state, route, run_to_completion(&state, request, next)).await;
    let (status, took) = (response.status().as_u16(), began.elapsed());
    state.services.metrics().http_request(method.as_str(), route, status, took);
    let key = response.extensions().get::<Asked>().map_or("-", |asked| asked.key_id.as_str());
    let (took_ms, request_id) = (took.as_millis(), id.to_str().unwrap_or_default());
    let config = &state.config;
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

/// Runs a request that changes state to completion, even if its client disconnects or the time limit passes:
/// the updates in memory after a commit must not be cut off.
async fn run_to_completion(state: &ApiState, request: Request, next: Next) -> Response {
    if request.method().is_safe() {
        return next.run(request).await;
    }
    let (answer, answered) = tokio::sync::oneshot::channel();
    state.services.tasks().spawn("request", async move {
        let _ = answer.send(next.run(request).await);
    });
    answered.await.unwrap_or_else(|_| ApiError::Internal.into_response())
}

/// Limits the time until an answer begins; streams and large uploads are exempt.
async fn limit_time(state: &ApiState, route: &str, answer: impl Future<Output = Response>) -> Response {
    if WITHOUT_TIME_LIMIT.contains(&route) {
        return answer.await;
    }
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

fn add_headers(headers: &mut HeaderMap, id: HeaderValue, is_api: bool) {
    headers.insert(&REQUEST_ID, id);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if is_api && !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

/// The client's own id if it is short and visible ASCII, else a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let sane = |value: &&HeaderValue| {
        (1..=REQUEST_ID_MAX).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic)
    };
    headers.get(&REQUEST_ID).filter(sane).cloned().unwrap_or_else(new_request_id)
}

fn new_request_id() -> HeaderValue {
    let mut bytes = [0_u8; 8];
    // Without randomness the id is zeros: nothing depends on it.
    let _ = getrandom::fill(&mut bytes);
    let text = format!("{:016x}", u64::from_be_bytes(bytes));
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_for(value: &[u8]) -> HeaderValue {
        let mut headers = HeaderMap::new();
        headers.insert(&REQUEST_ID, HeaderValue::from_bytes(value).unwrap());
        request_id(&headers)
    }

    #[test]
    fn sane_request_ids_are_kept() {
        assert_eq!(id_for(b"order-17/3"), "order-17/3");
        for strange in [&b""[..], b"a b", b"\xff", &[b'x'; 129]] {
            let id = id_for(strange);
            assert_ne!(id.as_bytes(), strange);
            assert_eq!(id.len(), 16);
        }
        assert_ne!(request_id(&HeaderMap::new()), request_id(&HeaderMap::new()));
    }
}
