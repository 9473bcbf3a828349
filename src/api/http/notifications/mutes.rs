//! What an operator does not want to be told of, and what nobody is told of.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::http::ApiState;
use crate::api::http::envelope::Success;
use crate::api::http::error::ApiError;
use crate::api::http::guard::{Caller, guarded};
use crate::api::http::input::{Body, Device, Fields, FromFields};
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

/// What is to be muted.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[schema(example = json!({ "until": 4_102_444_800_000_i64 }))]
struct MuteNotifications {
    /// Until this moment; until it is unmuted, when left out.
    #[schema(value_type = Option<i64>, minimum = 1)]
    until: Option<Millis>,
    /// Of this chat alone.
    #[schema(schema_with = schema::chat_id, required = false)]
    chat_id: Option<Jid>,
    /// For everybody and everything, `false` unless said: nothing is told at all. Needs the scope `devices:write` too.
    #[schema(value_type = Option<bool>)]
    everybody: bool,
}

impl FromFields for MuteNotifications {
    fn read(fields: &mut Fields) -> Option<Self> {
        fields.only(&["until", "chatId", "everybody"]);
        Some(Self {
            until: fields.integer("until", &(1..=Millis::LAST_EXACT.0)).map(Millis),
            chat_id: fields.parsed("chatId"),
            everybody: fields.boolean("everybody").unwrap_or(false),
        })
    }
}

/// What is muted of a device.
#[derive(Serialize, ToSchema)]
#[schema(as = NotificationMute)]
#[serde(rename_all = "camelCase")]
struct MuteObject {
    /// Whether that counts for everybody.
    #[schema(example = false)]
    everybody: bool,
    /// Of which chat; of all, when `null`.
    chat_id: Option<String>,
    /// Until when; for ever, when `null`.
    #[schema(value_type = Option<i64>, example = 4_102_444_800_000_i64)]
    until: Option<Millis>,
}

/// What is muted of a device now.
#[derive(Serialize, ToSchema)]
struct MutedNow {
    /// For everybody, and for this operator: the newest 100 of each.
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
/// For this operator: its sockets, streams and browsers get none. Or, with `everybody`, for all: none is made.
#[utoipa::path(post, path = "/devices/{id}/notifications/mute", operation_id = "muteNotifications", tag = "notifications",
    request_body = Option<MuteNotifications>,
    responses((status = 200, description = "What is muted now", body = Success<MutedNow>)))]
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
    responses((status = 200, description = "What is muted now", body = Success<MutedNow>)))]
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
