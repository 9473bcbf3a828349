//! Mutes of notifications, of one operator or of all.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::http::ApiState;
use crate::api::http::envelope::Success;
use crate::api::http::error::ApiError;
use crate::api::http::guard::{Caller, guarded};
use crate::api::http::input::{Body, Device, Report, Request};
use crate::api::http::operator::Operator;
use crate::api::http::schema;
use crate::domain::access::Scope;
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::domain::notify::OperatorId;
use crate::service::{MuteChange, Services};

/// The operations of this file.
pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(guarded(Scope::EventsRead, &[409], routes!(mute))).routes(guarded(
        Scope::EventsRead,
        &[],
        routes!(unmute),
    ))
}

/// The notifications to mute or unmute.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({ "until": 4_102_444_800_000_i64 }))]
struct MuteNotifications {
    /// The end of the mute, in milliseconds since the epoch; none when absent.
    #[schema(value_type = Option<i64>, minimum = 1)]
    until: Option<Millis>,
    /// Only notifications of this chat.
    #[schema(schema_with = schema::chat_id, required = false)]
    chat_id: Option<Jid>,
    /// Mutes for all operators: no notification is created. Needs the scope `devices:write` too.
    #[serde(default)]
    #[schema(value_type = Option<bool>)]
    everybody: bool,
}

impl Request for MuteNotifications {
    const REJECT_UNKNOWN: Option<&'static [&'static str]> = Some(&[]);

    fn check(&self, report: &mut Report) {
        if self.until.is_some_and(|until| until > Millis::LAST_EXACT) {
            report.error("until", "must be in milliseconds since the epoch");
        }
    }
}

/// A mute of a device.
#[derive(Serialize, ToSchema)]
#[schema(as = NotificationMute)]
#[serde(rename_all = "camelCase")]
struct MuteObject {
    /// Whether the mute is for all operators.
    #[schema(example = false)]
    everybody: bool,
    /// The muted chat; all chats when `null`.
    chat_id: Option<String>,
    /// The end of the mute; none when `null`.
    #[schema(value_type = Option<i64>, example = 4_102_444_800_000_i64)]
    until: Option<Millis>,
}

/// The mutes of a device.
#[derive(Serialize, ToSchema)]
struct MutedNow {
    /// Mutes for all operators and for this operator: the newest 100 of each.
    mutes: Vec<MuteObject>,
}

fn muted(services: &Services, operator: &OperatorId, device: &DeviceId) -> Success<MutedNow> {
    let mutes = services.notify.mutes(operator, device).into_iter().map(|mute| MuteObject {
        everybody: mute.everybody,
        chat_id: mute.chat.map(|chat| chat.to_string()),
        until: mute.until,
    });
    Success::new(MutedNow { mutes: mutes.collect() })
}

fn change_of(
    caller: &Caller,
    operator: &OperatorId,
    device: &DeviceId,
    body: MuteNotifications,
) -> Result<MuteChange, ApiError> {
    if body.everybody && !caller.0.grant.allows(Scope::DevicesWrite) {
        return Err(ApiError::MissingScope(Scope::DevicesWrite));
    }
    let operator = (!body.everybody).then(|| operator.clone());
    Ok(MuteChange { operator, device: Some(device.clone()), chat: body.chat_id, until: body.until })
}

/// Mute a device's notifications
///
/// For this operator: its sockets, streams and browsers receive none. With `everybody` no notification is created.
#[utoipa::path(post, path = "/devices/{id}/notifications/mute", operation_id = "muteNotifications", tag = "notifications",
    request_body = Option<MuteNotifications>,
    responses((status = 200, description = "The mutes of the device", body = Success<MutedNow>)))]
async fn mute(
    caller: Caller,
    Operator(operator): Operator,
    State(services): State<Services>,
    Device(device): Device,
    Body(body): Body<MuteNotifications>,
) -> Result<Success<MutedNow>, ApiError> {
    services.notify.mute(change_of(&caller, &operator, &device, body)?).await?;
    Ok(muted(&services, &operator, &device))
}

/// Unmute a device's notifications
#[utoipa::path(post, path = "/devices/{id}/notifications/unmute", operation_id = "unmuteNotifications", tag = "notifications",
    request_body = Option<MuteNotifications>,
    responses((status = 200, description = "The mutes of the device", body = Success<MutedNow>)))]
async fn unmute(
    caller: Caller,
    Operator(operator): Operator,
    State(services): State<Services>,
    Device(device): Device,
    Body(body): Body<MuteNotifications>,
) -> Result<Success<MutedNow>, ApiError> {
    services.fleet.device(&device).await?;
    services.notify.unmute(change_of(&caller, &operator, &device, body)?).await?;
    Ok(muted(&services, &operator, &device))
}
