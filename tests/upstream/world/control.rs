//! The control calls `/api/v1/simulator/{id}/{call}` in place of the daemon's, with the same bodies
//! and answers.
//!
//! A server implements [`NetworkControl`] to map devices to accounts, to convert ids in bodies and answers,
//! and to serve calls itself.

use std::sync::Arc;

use async_trait::async_trait;
use axum::extract::{Path, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use axum::{Json, Router};
use serde_json::{Value, json};
use wharf::engine::{ControlError, ControlVerb};

use super::World;

/// A server's part in control calls. `device` is the daemon's id of the device, `call` such as `incoming`.
#[allow(
    clippy::wrong_self_convention,
    reason = "what goes into the world and comes from it, not what becomes of a server"
)]
#[async_trait]
pub trait NetworkControl: Send + Sync + 'static {
    /// The account of a device; by default the one with the same name.
    fn account(&self, device: &str) -> Option<String> {
        Some(device.to_owned())
    }

    /// Serves a call without the network; with `None` the network serves it.
    async fn serve(
        &self,
        _device: &str,
        _method: &Method,
        _call: &str,
        _body: &Value,
    ) -> Option<Result<Value, ControlError>> {
        None
    }

    /// The body with the network's ids.
    async fn into_world(&self, _device: &str, _call: &str, body: Value) -> Result<Value, ControlError> {
        Ok(body)
    }

    /// The answer with the daemon's ids.
    async fn from_world(&self, _device: &str, _call: &str, answer: Value) -> Value {
        answer
    }
}

type Shared = (Arc<World>, Arc<dyn NetworkControl>);

/// The routes of the control calls.
pub fn router(world: Arc<World>, steering: Arc<dyn NetworkControl>) -> Router {
    Router::new().route("/api/v1/simulator/{id}/{call}", any(steer)).with_state((world, steering))
}

async fn steer(
    State((world, steering)): State<Shared>,
    Path((device, call)): Path<(String, String)>,
    method: Method,
    body: axum::body::Bytes,
) -> Response {
    let body = if body.is_empty() { json!({}) } else { serde_json::from_slice(&body).unwrap_or(Value::Null) };
    match answer(&world, &*steering, &device, &method, &call, body).await {
        Ok(data) => Json(json!({ "success": true, "data": data })).into_response(),
        Err(error) => refused(&error),
    }
}

async fn answer(
    world: &World,
    steering: &dyn NetworkControl,
    device: &str,
    method: &Method,
    call: &str,
    body: Value,
) -> Result<Value, ControlError> {
    if let Some(answer) = steering.serve(device, method, call, &body).await {
        return answer;
    }
    let account = steering.account(device).ok_or(ControlError::NotFound)?;
    let body = steering.into_world(device, call, body).await?;
    let verb = match *method {
        Method::GET => ControlVerb::Get(call),
        Method::DELETE => ControlVerb::Delete(call),
        _ => ControlVerb::Post(call),
    };
    let answer = world.control(&account, verb, body).await?;
    Ok(steering.from_world(device, call, answer).await)
}

/// The form of the daemon's answers.
fn refused(error: &ControlError) -> Response {
    let (status, code) = match error {
        ControlError::NotFound => (StatusCode::NOT_FOUND, "not_found"),
        ControlError::Invalid { .. } => (StatusCode::BAD_REQUEST, "invalid_field"),
        ControlError::Impossible { code, .. } => (StatusCode::UNPROCESSABLE_ENTITY, *code),
        ControlError::NotBuilt(_) => (StatusCode::NOT_IMPLEMENTED, "not_implemented"),
        ControlError::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized"),
        ControlError::Storage => (StatusCode::INTERNAL_SERVER_ERROR, "internal_error"),
    };
    let mut body = json!({ "success": false, "error": error.to_string(), "code": code });
    if let ControlError::Invalid { field, message } = error {
        body["details"] = json!([{ "field": field, "message": message }]);
    }
    (status, Json(body)).into_response()
}
