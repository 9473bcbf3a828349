//! Trying out what notifications do.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ActionWord;
use crate::api::http::ApiState;
use crate::api::http::envelope::Success;
use crate::api::http::error::ApiError;
use crate::api::http::guard::{Caller, guarded};
use crate::api::http::input::{Body, Fields, FromFields};
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

/// What to try.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[schema(example = json!({ "action": "sound", "sound": "call" }))]
struct TestNotification {
    /// What is done.
    #[schema(value_type = ActionWord)]
    action: Action,
    /// Which sound; `message`, when left out.
    #[schema(max_length = 64)]
    sound: Option<String>,
    /// Which of `notify.commands`; the only one, when left out.
    #[schema(max_length = 64)]
    command: Option<String>,
    /// In whose log: needed for `dashboard` and `webhook`.
    #[schema(schema_with = schema::device_id, required = false)]
    device_id: Option<DeviceId>,
}

impl FromFields for TestNotification {
    fn read(fields: &mut Fields) -> Option<Self> {
        fields.only(&["action", "sound", "command", "deviceId"]);
        let action = fields.word("action", &Action::ALL);
        let action = fields.require("action", action, "what to try, such as desktop or sound");
        let sound = fields.text("sound", 64).filter(|name| !name.is_empty());
        let command = fields.text("command", 64).filter(|name| !name.is_empty());
        let device_id = fields.parsed("deviceId");
        Some(Self { action: action?, sound, command, device_id })
    }
}

/// What came of a test.
#[derive(Serialize, ToSchema)]
#[schema(as = NotificationTest)]
struct TestObject {
    /// What was to be done.
    #[schema(value_type = ActionWord)]
    action: &'static str,
    /// Whether it was done.
    #[schema(example = true)]
    done: bool,
    /// What happened, in a sentence.
    #[schema(example = "The sound call was played: 900 ms.")]
    said: String,
}

/// Try an action of notifications
///
/// Shows, plays, runs or pushes one, whatever rules and mutes say. On the daemon's own machine (desktop, sound and
/// command) only with a key of all devices.
#[utoipa::path(post, path = "/notifications/test", operation_id = "testNotification", tag = "notifications",
    request_body = TestNotification,
    responses((status = 200, description = "What happened", body = Success<TestObject>)))]
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
    if caller.devices().is_some() && action.is_of_the_machine() {
        return Err(ApiError::DeviceNotAllowed);
    }
    let report = services.notify.try_action(TestAction { action, sound, command, device, operator }).await?;
    Ok(Success::new(TestObject { action: action.as_str(), done: report.done, said: report.said }))
}
