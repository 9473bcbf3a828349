//! Starting, stopping, unlinking a device.

use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::DeviceObject;
use crate::api::http::ApiState;
use crate::api::http::envelope::Success;
use crate::api::http::error::ApiError;
use crate::api::http::guard::guarded;
use crate::api::http::input::Device;
use crate::domain::access::Scope;
use crate::service::{DeviceView, Services};

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(guarded(Scope::DevicesWrite, &[409], routes!(start)))
        .routes(guarded(Scope::DevicesWrite, &[409], routes!(stop)))
        .routes(guarded(Scope::DevicesWrite, &[409], routes!(restart)))
        .routes(guarded(Scope::DevicesWrite, &[409], routes!(log_out)))
}

type Answer = Result<Success<DeviceObject>, ApiError>;

fn answer(services: &Services, view: DeviceView) -> Answer {
    Ok(Success::new(DeviceObject::new(view, services.now())))
}

/// Start a device
///
/// One that runs already stays as it is.
#[utoipa::path(post, path = "/devices/{id}/start", operation_id = "startDevice", tag = "devices",
    responses((status = 200, description = "The device as it now is", body = Success<DeviceObject>)))]
async fn start(State(services): State<Services>, Device(id): Device) -> Answer {
    let view = services.fleet.start_device(&id).await?;
    answer(&services, view)
}

/// Stop a device
///
/// Its link is kept.
#[utoipa::path(post, path = "/devices/{id}/stop", operation_id = "stopDevice", tag = "devices",
    responses((status = 200, description = "The device as it now is", body = Success<DeviceObject>)))]
async fn stop(State(services): State<Services>, Device(id): Device) -> Answer {
    let view = services.fleet.stop_device(&id).await?;
    answer(&services, view)
}

/// Restart a device
#[utoipa::path(post, path = "/devices/{id}/restart", operation_id = "restartDevice", tag = "devices",
    responses((status = 200, description = "The device as it now is", body = Success<DeviceObject>)))]
async fn restart(State(services): State<Services>, Device(id): Device) -> Answer {
    let view = services.fleet.restart_device(&id).await?;
    answer(&services, view)
}

/// Log a device out
///
/// It is unlinked at its network, and its credentials are forgotten.
#[utoipa::path(post, path = "/devices/{id}/logout", operation_id = "logOutDevice", tag = "devices",
    responses((status = 200, description = "The device as it now is", body = Success<DeviceObject>)))]
async fn log_out(State(services): State<Services>, Device(id): Device) -> Answer {
    let view = services.fleet.log_out_device(&id).await?;
    answer(&services, view)
}
