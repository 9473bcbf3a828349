//! Test of a notification action.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ActionWord;
use crate::api::http::ApiState;
use crate::api::http::envelope::Success;
use crate::api::http::error::ApiError;
use crate::api::http::guard::{Caller, guarded};
use crate::api::http::input::loose::non_empty;
use crate::api::http::input::{Body, Request};
use crate::api::http::operator::Operator;
use crate::api::http::schema;
use crate::domain::access::Scope;
use crate::domain::ids::DeviceId;
use crate::domain::notify::Action;
use crate::service::{Services, TestAction};

/// The operation of this file.
pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(guarded(Scope::DevicesWrite, &[404, 422], routes!(test)))
}

/// The action to test.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({ "action": "sound", "sound": "call" }))]
struct TestNotification {
    /// The action, such as desktop or sound.
    #[schema(value_type = ActionWord)]
    action: Action,
    /// The name of the sound; `message` when absent.
    #[serde(default, deserialize_with = "non_empty")]
    #[schema(max_length = 64)]
    sound: Option<String>,
    /// The name of one of `notify.commands`; the only one when absent.
    #[serde(default, deserialize_with = "non_empty")]
    #[schema(max_length = 64)]
    command: Option<String>,
    /// The device whose log to use: required for `dashboard` and `webhook`.
    #[schema(schema_with = schema::device_id, required = false)]
    device_id: Option<DeviceId>,
}

impl Request for TestNotification {
    const REJECT_UNKNOWN: Option<&'static [&'static str]> = Some(&[]);
}

/// The result of a test.
#[derive(Serialize, ToSchema)]
#[schema(as = NotificationTest)]
struct TestObject {
    /// The action.
    #[schema(value_type = ActionWord)]
    action: &'static str,
    /// Whether the action was executed.
    #[schema(example = true)]
    done: bool,
    /// The result, as a sentence.
    #[schema(example = "The sound call was played: 900 ms.")]
    said: String,
}

/// Test a notification action
///
/// Shows, plays, runs or pushes one, regardless of rules and mutes. Actions on the daemon's own machine (desktop, sound
/// and command) need a key of all devices.
#[utoipa::path(post, path = "/notifications/test", operation_id = "testNotification", tag = "notifications",
    request_body = TestNotification,
    responses((status = 200, description = "The result", body = Success<TestObject>)))]
async fn test(
    caller: Caller,
    Operator(operator): Operator,
    State(services): State<Services>,
    Body(body): Body<TestNotification>,
) -> Result<Success<TestObject>, ApiError> {
    let TestNotification { action, sound, command, device_id: device } = body;
    match &device {
        Some(device) => caller.reach(device)?,
        None if caller.devices().is_some() => return Err(ApiError::DeviceNotAllowed),
        None => {}
    }
    if caller.devices().is_some() && action.runs_locally() {
        return Err(ApiError::DeviceNotAllowed);
    }
    let report = services.notify.try_action(TestAction { action, sound, command, device, operator }).await?;
    Ok(Success::new(TestObject { action: action.as_str(), done: report.done, said: report.said }))
}
