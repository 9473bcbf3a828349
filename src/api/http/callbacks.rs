//! Callbacks of upstreams, passed unchanged to the device's driver. The driver verifies their signature.

use std::net::{IpAddr, SocketAddr};

use axum::Json;
use axum::extract::{ConnectInfo, FromRequestParts as _, Query, RawPathParams, Request, State};
use axum::http::Method;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};
use utoipa_axum::routes;

use super::error::ApiError;
use super::request_labels::LabelledRoute;
use super::{ApiState, openapi};
use crate::api::auth::client_address;
use crate::domain::ids::DeviceId;
use crate::service::{Callback, CallbackAnswer, CallbackMethod, ServiceError};

mod reads;

pub use reads::{CallbackLimits, CallbackReads};

/// The largest callback, in bytes: Meta's grow to 3 MB.
const LARGEST: usize = 8 * 1024 * 1024;

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(open(routes!(verify, receive)))
}

fn open((schemas, mut paths, router): UtoipaMethodRouter<ApiState>) -> UtoipaMethodRouter<ApiState> {
    openapi::describe_open(&mut paths, &[400, 401, 403, 404, 413, 503]);
    (schemas, paths, router)
}

/// Verify a callback
///
/// Some upstreams verify the address first. Authenticated by the upstream's signature, not by a key.
#[utoipa::path(get, path = "/hooks/{deviceId}", operation_id = "verifyCallback", tag = "callbacks",
    responses((status = 200, description = "The driver's answer", body = Value, example = json!("1158201444"))))]
async fn verify(
    _: LabelledRoute,
    State(state): State<ApiState>,
    request: Request,
) -> Result<Response, ApiError> {
    pass_to_driver(&state, request).await
}

/// Receive a callback
///
/// Answers once its events are durable. Authenticated by the upstream's signature, not by a key.
#[utoipa::path(post, path = "/hooks/{deviceId}", operation_id = "receiveCallback", tag = "callbacks",
    responses((status = 200, description = "The driver's answer", body = Value, example = json!({}))))]
async fn receive(
    _: LabelledRoute,
    State(state): State<ApiState>,
    request: Request,
) -> Result<Response, ApiError> {
    pass_to_driver(&state, request).await
}

async fn pass_to_driver(state: &ApiState, request: Request) -> Result<Response, ApiError> {
    let (mut parts, body) = request.into_parts();
    // The answer is the same for a device without callbacks and for one that does not exist.
    let params =
        RawPathParams::from_request_parts(&mut parts, state).await.map_err(|_| ApiError::NotFound)?;
    let id =
        params.iter().find(|(name, _)| *name == "deviceId").and_then(|(_, id)| id.parse::<DeviceId>().ok());
    let id = id.filter(|id| state.services.registry.device_exists(id)).ok_or(ApiError::NotFound)?;
    let signature = state.services.fleet.callback_signature(&id).ok_or(ApiError::NotFound)?;
    let delivered = deliver(state, &id, signature, Request::from_parts(parts, body)).await;
    delivered.map_err(|error| {
        log_refusal(state, &id, &error);
        match error {
            ApiError::Service(ServiceError::DeviceNotFound | ServiceError::NoSuchCall) => ApiError::NotFound,
            error => error,
        }
    })
}

/// Logs the reason of a refusal: the caller may not report it to an operator.
fn log_refusal(state: &ApiState, device: &DeviceId, error: &ApiError) {
    let code = error.code();
    let Some(suppressed) = state.refused_callbacks.now((device.clone(), code), state.services.clock().now())
    else {
        return;
    };
    let why = match error {
        ApiError::Service(ServiceError::NoSuchCall) => "this device has no callbacks".to_owned(),
        // These sentences have no text of the caller.
        ApiError::Service(error) => error.to_string(),
        _ => String::new(),
    };
    tracing::warn!(%device, code, why, suppressed, "callback rejected");
}

async fn deliver(
    state: &ApiState,
    id: &DeviceId,
    signature: &str,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let method = if parts.method == Method::GET { CallbackMethod::Get } else { CallbackMethod::Post };
    if method == CallbackMethod::Post && !parts.headers.contains_key(signature) {
        return Err(ServiceError::BadSignature.into());
    }
    let text = |value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers: Vec<(String, String)> =
        parts.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    let query = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri).map(|Query(pairs)| pairs);
    let query = query.map_err(|error| ApiError::field("query", error.to_string()))?;
    // Its memory is released after ingestion.
    let read =
        (method == CallbackMethod::Post).then(|| state.callbacks.begin(id, limited_address(state, &parts)));
    let body = match &read {
        Some(read) => read.body(Request::from_parts(parts, body), LARGEST).await?,
        None => Vec::new(),
    };
    let callback = Callback { method, query: &query, headers: &headers, body: &body };
    match state.services.fleet.callback(id, callback).await? {
        CallbackAnswer::Text(text) => Ok(text.into_response()),
        CallbackAnswer::Json(answer) => Ok(Json(answer).into_response()),
    }
}

/// The address that the limit of unfinished reads applies to; `None` for a trusted proxy's own.
fn limited_address(state: &ApiState, parts: &Parts) -> Option<IpAddr> {
    let trusted = &state.config.trusted_proxies;
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
    let address = client_address(peer, &parts.headers, trusted);
    (!trusted.iter().any(|block| block.contains(address))).then_some(address)
}
