//! Callbacks of upstreams: passed through to the device's driver as they came, which checks their signature.

use std::time::Duration;

use axum::Json;
use axum::extract::{FromRequestParts as _, Query, RawPathParams, Request, State};
use axum::http::Method;
use axum::http::header::CONTENT_LENGTH;
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};
use utoipa_axum::routes;

use super::error::ApiError;
use super::input::read_body;
use super::{ApiState, openapi};
use crate::domain::ids::DeviceId;
use crate::service::{Callback, CallbackAnswer, CallbackMethod, ServiceError};

mod room;

pub use room::CallbackRoom;

/// The largest callback, in bytes: Meta's grow to 3 MB.
const LARGEST: usize = 8 * 1024 * 1024;

/// How long a callback may take to come in.
const READ_WITHIN: Duration = Duration::from_secs(10);

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
/// Some upstreams ask before they send. Authenticated by the upstream's signature, not by a key.
#[utoipa::path(get, path = "/hooks/{deviceId}", operation_id = "verifyCallback", tag = "callbacks",
    responses((status = 200, description = "The driver's answer", body = Value, example = json!("1158201444"))))]
async fn verify(State(state): State<ApiState>, request: Request) -> Result<Response, ApiError> {
    pass_on(&state, request).await
}

/// Receive a callback
///
/// Answers once what it tells is durable. Authenticated by the upstream's signature, not by a key.
#[utoipa::path(post, path = "/hooks/{deviceId}", operation_id = "receiveCallback", tag = "callbacks",
    responses((status = 200, description = "The driver's answer", body = Value, example = json!({}))))]
async fn receive(State(state): State<ApiState>, request: Request) -> Result<Response, ApiError> {
    pass_on(&state, request).await
}

async fn pass_on(state: &ApiState, request: Request) -> Result<Response, ApiError> {
    let (mut parts, body) = request.into_parts();
    // A stranger cannot tell a device that takes no callbacks from one that is not there.
    let params =
        RawPathParams::from_request_parts(&mut parts, state).await.map_err(|_| ApiError::NotFound)?;
    let id =
        params.iter().find(|(name, _)| *name == "deviceId").and_then(|(_, id)| id.parse::<DeviceId>().ok());
    let id = id.filter(|id| state.services.registry.device_exists(id)).ok_or(ApiError::NotFound)?;
    let signature = state.services.fleet.callback_signature(&id).ok_or(ApiError::NotFound)?;
    let taken = take_in(state, &id, signature, Request::from_parts(parts, body)).await;
    taken.map_err(|error| {
        warn_of(state, &id, &error);
        match error {
            ApiError::Service(ServiceError::DeviceNotFound | ServiceError::NoSuchCall) => ApiError::NotFound,
            error => error,
        }
    })
}

/// An operator sees that an upstream is turned away, and why: whoever calls may tell nobody.
fn warn_of(state: &ApiState, device: &DeviceId, error: &ApiError) {
    let code = error.code();
    let Some(left_out) = state.refused_callbacks.now((device.clone(), code), state.services.clock().now())
    else {
        return;
    };
    let why = match error {
        ApiError::Service(ServiceError::NoSuchCall) => "this device takes no callbacks".to_owned(),
        // Their sentences are ours alone.
        ApiError::Service(error) => error.to_string(),
        _ => String::new(),
    };
    tracing::warn!(%device, code, why, left_out, "a callback was refused");
}

async fn take_in(
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
    let announced = parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let bytes = announced.unwrap_or(LARGEST).min(LARGEST);
    let busy =
        || ServiceError::CallbackNotNow("too many callbacks are being read; try again soon".to_owned());
    let _room = state.callbacks.take(id, bytes).ok_or_else(busy)?;
    let reading = read_body(Request::from_parts(parts, body), LARGEST);
    let body = tokio::time::timeout(READ_WITHIN, reading).await.map_err(|_| ApiError::Timeout)??;
    let callback = Callback { method, query: &query, headers: &headers, body: &body };
    match state.services.fleet.callback(id, callback).await? {
        CallbackAnswer::Text(text) => Ok(text.into_response()),
        CallbackAnswer::Json(answer) => Ok(Json(answer).into_response()),
    }
}
