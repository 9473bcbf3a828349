//! Queues: looked at, cleared, and given their pace.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::envelope::Success;
use super::error::ApiError;
use super::guard::{Caller, guarded};
use super::input::{Body, Device, Fields, FromFields, Message};
use super::schema::{self, ClearedObject, FleetQueueObject, QueueStatusObject};
use crate::domain::access::Scope;
use crate::domain::ids::{DeviceId, MessageId};
use crate::domain::jid::Jid;
use crate::service::{ClearQueue, Cleared, FleetQueue, QueueStatus, Services, WaitingKind};

mod pacing;

const MAX_DEVICE_IDS: usize = 1_000;

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(guarded(Scope::DevicesRead, &[], routes!(status)))
        .routes(guarded(Scope::DevicesRead, &[], routes!(fleet)))
        .routes(guarded(Scope::DevicesWrite, &[404], routes!(clear)))
        .routes(guarded(Scope::MessagesSend, &[409], routes!(cancel)))
        .merge(pacing::routes())
}

/// The devices that a request names; none at all would hardly be meant.
fn named_devices(fields: &mut Fields) -> Option<Vec<DeviceId>> {
    let named = fields.list("deviceIds", MAX_DEVICE_IDS);
    if named.as_ref().is_some_and(Vec::is_empty) {
        fields.wrong("deviceIds", "must name at least one device, or be left out for all of the key");
    }
    named
}

/// The devices that a request names, or all of the key's.
fn devices_of(
    services: &Services,
    caller: &Caller,
    named: Option<Vec<DeviceId>>,
) -> Result<Vec<DeviceId>, ApiError> {
    let mut devices = match named {
        Some(named) => {
            named.iter().try_for_each(|id| caller.reach(id))?;
            named
        }
        None => services.registry.device_ids().into_iter().filter(|id| caller.reach(id).is_ok()).collect(),
    };
    devices.sort_unstable();
    devices.dedup();
    Ok(devices)
}

/// Show a device's queue
#[utoipa::path(get, path = "/devices/{id}/queue-status", operation_id = "getQueueStatus", tag = "health",
    responses((status = 200, description = "The queue", body = Success<QueueStatusObject>)))]
async fn status(
    State(services): State<Services>,
    Device(id): Device,
) -> Result<Success<QueueStatus>, ApiError> {
    Ok(Success::new(services.fleet.queue_status(&id).await?))
}

/// Show the queues of all devices of the key
///
/// What waits, why it does not leave yet, and the pace that each keeps to.
#[utoipa::path(get, path = "/queue/status", operation_id = "getQueues", tag = "queue",
    responses((status = 200, description = "The queues", body = Success<FleetQueueObject>)))]
async fn fleet(caller: Caller, State(services): State<Services>) -> Result<Success<FleetQueue>, ApiError> {
    Ok(Success::new(services.messaging.fleet_queue(caller.devices()).await?))
}

/// What to cancel.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase", example = json!({ "deviceIds": ["shop"] }))]
struct ClearRequest {
    /// Only of these devices; of all devices of the key, when left out.
    #[schema(schema_with = schema::queue_device_ids, required = false)]
    device_ids: Option<Vec<DeviceId>>,
    /// Only to this chat.
    #[schema(schema_with = schema::chat_id, required = false)]
    chat_id: Option<Jid>,
    /// Only those that are due and were never tried (`queued`), that are not due yet (`scheduled`), or that
    /// wait to be tried again (`retrying`).
    #[schema(value_type = Option<KindWord>)]
    status: Option<WaitingKind>,
}

#[derive(ToSchema)]
#[schema(as = WaitingKind, rename_all = "lowercase")]
#[expect(dead_code, reason = "for the document")]
enum KindWord {
    Queued,
    Scheduled,
    Retrying,
}

const KINDS: [(&str, WaitingKind); 3] = [
    ("queued", WaitingKind::Queued),
    ("scheduled", WaitingKind::Scheduled),
    ("retrying", WaitingKind::Retrying),
];

impl FromFields for ClearRequest {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self {
            device_ids: named_devices(fields),
            chat_id: fields.parsed("chatId"),
            status: fields.word("status", &KINDS),
        })
    }
}

/// Cancel what waits
///
/// Each cancelled message is failed with the code `cancelled`. What is under way, or may have arrived, is
/// left alone.
#[utoipa::path(post, path = "/queue/clear", operation_id = "clearQueues", tag = "queue",
    request_body = Option<ClearRequest>,
    responses((status = 200, description = "How many were cancelled", body = Success<ClearedObject>)))]
async fn clear(
    caller: Caller,
    State(services): State<Services>,
    Body(ClearRequest { device_ids, chat_id, status }): Body<ClearRequest>,
) -> Result<Success<Cleared>, ApiError> {
    let devices = devices_of(&services, &caller, device_ids)?;
    let what = ClearQueue { chat: chat_id, kind: status };
    Ok(Success::new(services.messaging.clear_queues(&devices, &what).await?))
}

/// A message that was cancelled.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct CancelledMessage {
    /// Its id.
    #[schema(value_type = String)]
    message_id: MessageId,
    /// `true`.
    cancelled: bool,
}

/// Cancel a message that waits
///
/// It is failed with the code `cancelled`. One that has left, or is under way, is refused with `not_queued`.
#[utoipa::path(post, path = "/devices/{id}/messages/{mid}/cancel", operation_id = "cancelMessage", tag = "queue",
    responses((status = 200, description = "It will not be sent", body = Success<CancelledMessage>)))]
async fn cancel(
    State(services): State<Services>,
    Device(device): Device,
    Message(id): Message,
) -> Result<Success<CancelledMessage>, ApiError> {
    services.messaging.cancel_message(&device, &id).await?;
    Ok(Success::new(CancelledMessage { message_id: id, cancelled: true }))
}
