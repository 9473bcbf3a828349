//! A device's queue.

use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::envelope::Success;
use super::error::ApiError;
use super::guard::guarded;
use super::input::Device;
use super::schema::QueueStatusObject;
use crate::domain::access::Scope;
use crate::service::{Core, QueueStatus};

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(guarded(Scope::DevicesRead, &[], routes!(status)))
}

/// Show a device's queue
#[utoipa::path(get, path = "/devices/{id}/queue-status", operation_id = "getQueueStatus", tag = "health",
    responses((status = 200, description = "The queue", body = Success<QueueStatusObject>)))]
async fn status(State(core): State<Core>, Device(id): Device) -> Result<Success<QueueStatus>, ApiError> {
    Ok(Success::new(core.queue_status(&id).await?))
}
