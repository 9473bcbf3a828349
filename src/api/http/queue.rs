//! Queues: status, clearing, cancelling. Their configuration has a file of its own.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::envelope::Success;
use super::error::ApiError;
use super::guard::{Caller, guarded};
use super::input::{Body, Device, Message, Report, Request};
use super::schema::{self, ClearedObject, FleetQueueObject, QueueStatusObject};
use crate::domain::access::Scope;
use crate::domain::ids::{DeviceId, MessageId};
use crate::domain::jid::Jid;
use crate::service::{ClearQueue, Cleared, FleetQueue, QueueStatus, Services, WaitingKind};

mod config;

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(guarded(Scope::DevicesRead, &[], routes!(status)))
        .routes(guarded(Scope::DevicesRead, &[], routes!(fleet)))
        .routes(guarded(Scope::DevicesWrite, &[404], routes!(clear)))
        .routes(guarded(Scope::MessagesSend, &[409], routes!(cancel)))
        .merge(config::routes())
}

/// An empty list of devices is probably a mistake.
fn check_devices(named: Option<&[DeviceId]>, report: &mut Report) {
    if named.is_some_and(<[DeviceId]>::is_empty) {
        report.error("deviceIds", "must name at least one device, or be absent for all devices of the key");
    }
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
/// Queued messages, why the next one is held, and the configuration of each queue.
#[utoipa::path(get, path = "/queue/status", operation_id = "getQueues", tag = "queue",
    responses((status = 200, description = "The queues", body = Success<FleetQueueObject>)))]
async fn fleet(caller: Caller, State(services): State<Services>) -> Result<Success<FleetQueue>, ApiError> {
    Ok(Success::new(services.messaging.fleet_queue(caller.devices()).await?))
}

/// The messages to cancel.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({ "deviceIds": ["shop"] }))]
struct ClearRequest {
    /// Only messages of these devices; of all devices of the key when absent.
    #[schema(schema_with = schema::queue_device_ids, required = false)]
    device_ids: Option<Vec<DeviceId>>,
    /// Only messages to this chat.
    #[schema(schema_with = schema::chat_id, required = false)]
    chat_id: Option<Jid>,
    /// Only messages that are due and never attempted (`queued`), not due yet (`scheduled`), or that wait for another
    /// attempt (`retrying`).
    #[schema(value_type = Option<WaitingKindWord>)]
    status: Option<WaitingKind>,
}

#[derive(ToSchema)]
#[schema(as = WaitingKind, rename_all = "lowercase")]
#[expect(dead_code, reason = "only in the OpenAPI document")]
enum WaitingKindWord {
    Queued,
    Scheduled,
    Retrying,
}

impl Request for ClearRequest {
    fn check(&self, report: &mut Report) {
        check_devices(self.device_ids.as_deref(), report);
    }
}

/// Cancel queued messages
///
/// Each cancelled message fails with the code `cancelled`. Messages in flight, or with an unknown outcome, are not
/// cancelled.
#[utoipa::path(post, path = "/queue/clear", operation_id = "clearQueues", tag = "queue",
    request_body = Option<ClearRequest>,
    responses((status = 200, description = "The number of cancelled messages", body = Success<ClearedObject>)))]
async fn clear(
    caller: Caller,
    State(services): State<Services>,
    Body(ClearRequest { device_ids, chat_id, status }): Body<ClearRequest>,
) -> Result<Success<Cleared>, ApiError> {
    let devices = devices_of(&services, &caller, device_ids)?;
    let filter = ClearQueue { chat: chat_id, kind: status };
    Ok(Success::new(services.messaging.clear_queues(&devices, &filter).await?))
}

/// A cancelled message.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct CancelledMessage {
    /// Its id.
    #[schema(value_type = String)]
    message_id: MessageId,
    /// `true`.
    cancelled: bool,
}

/// Cancel a queued message
///
/// It fails with the code `cancelled`. A message that was sent, or is in flight, is refused with `not_queued`.
#[utoipa::path(post, path = "/devices/{id}/messages/{mid}/cancel", operation_id = "cancelMessage", tag = "queue",
    responses((status = 200, description = "The message will not be sent", body = Success<CancelledMessage>)))]
async fn cancel(
    State(services): State<Services>,
    Device(device): Device,
    Message(id): Message,
) -> Result<Success<CancelledMessage>, ApiError> {
    services.messaging.cancel_message(&device, &id).await?;
    Ok(Success::new(CancelledMessage { message_id: id, cancelled: true }))
}
