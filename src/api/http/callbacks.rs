//! Callbacks of upstreams: passed through to the device's driver as they came, which checks their signature.

use axum::Json;
use axum::extract::{FromRequestParts as _, RawPathParams, Request, State};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};
use utoipa_axum::routes;

use super::error::ApiError;
use super::input::read_body;
use super::{ApiState, openapi};
use crate::domain::ids::DeviceId;
use crate::service::ServiceError;

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(open(routes!(verify, receive)))
}

fn open((schemas, mut paths, router): UtoipaMethodRouter<ApiState>) -> UtoipaMethodRouter<ApiState> {
    openapi::describe_open(&mut paths, &[400, 401, 404, 413, 422, 503]);
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
    let id = id.filter(|id| state.core.device_exists(id)).ok_or(ApiError::NotFound)?;
    let text = |value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers: Vec<(String, String)> =
        parts.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    let body = read_body(Request::from_parts(parts, body), state.config.body_limit).await?;
    match state.core.callback(&id, &headers, &body).await {
        // What an upstream wants to read back as it is, such as a challenge.
        Ok(Value::String(text)) => Ok(text.into_response()),
        Ok(answer) => Ok(Json(answer).into_response()),
        Err(ServiceError::DeviceNotFound | ServiceError::NoSuchCall) => Err(ApiError::NotFound),
        Err(error) => Err(error.into()),
    }
}
