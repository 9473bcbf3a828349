//! Steering the simulator: requests pass through to the driver as they are.

use axum::extract::State;
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::envelope::Success;
use super::error::ApiError;
use super::guard::guarded;
use super::input::{AnyJson, Call, Device};
use crate::domain::access::Scope;
use crate::domain::ids::DeviceId;
use crate::service::ControlVerb;

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(guarded(Scope::Admin, &[422], routes!(look)))
        .routes(guarded(Scope::Admin, &[409, 422, 501], routes!(act)))
        .routes(guarded(Scope::Admin, &[422], routes!(forget)))
}

/// Look at what the simulated network saw
///
/// `network`. 404 when the simulator is disabled or the device has another engine.
#[utoipa::path(get, path = "/simulator/{id}/{call}", operation_id = "lookAtSimulator", tag = "simulator",
    responses((status = 200, description = "The driver's answer", body = Success<Value>)))]
async fn look(
    state: State<ApiState>,
    Device(id): Device,
    Call(call): Call,
) -> Result<Success<Value>, ApiError> {
    control(&state, &id, ControlVerb::Get(&call), Value::Null).await
}

/// Make something happen in the simulated network
///
/// `scan`, `pair`, `incoming`, `receipt`, `read`, `reaction`, `vote`, `edit`, `revoke`, `star`, `delete`, `typing`, `presence`, `call`, `chat`, `contact`, `group`
/// or `fault`; each takes fields of its own, and names those that it does not know.
#[utoipa::path(post, path = "/simulator/{id}/{call}", operation_id = "steerSimulator", tag = "simulator",
    request_body(content = Option<Value>, content_type = "application/json",
        example = json!({ "from": "15550100001", "body": "hello" })),
    responses((status = 200, description = "The driver's answer", body = Success<Value>)))]
async fn act(
    state: State<ApiState>,
    Device(id): Device,
    Call(call): Call,
    AnyJson(body): AnyJson,
) -> Result<Success<Value>, ApiError> {
    let body = if body.is_null() { Value::Object(serde_json::Map::new()) } else { body };
    control(&state, &id, ControlVerb::Post(&call), body).await
}

/// Make the simulated network forget
///
/// `network`.
#[utoipa::path(delete, path = "/simulator/{id}/{call}", operation_id = "resetSimulator", tag = "simulator",
    responses((status = 200, description = "The driver's answer", body = Success<Value>)))]
async fn forget(
    state: State<ApiState>,
    Device(id): Device,
    Call(call): Call,
) -> Result<Success<Value>, ApiError> {
    control(&state, &id, ControlVerb::Delete(&call), Value::Null).await
}

async fn control(
    state: &ApiState,
    id: &DeviceId,
    verb: ControlVerb<'_>,
    body: Value,
) -> Result<Success<Value>, ApiError> {
    if !state.config.simulator_enabled {
        return Err(ApiError::NotFound);
    }
    Ok(Success::new(state.services.fleet.control(id, verb, body).await?))
}
