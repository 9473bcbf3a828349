//! How devices are.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::envelope::Success;
use super::error::ApiError;
use super::guard::{Caller, guarded};
use super::input::Device;
use super::schema::{HealthObject, StateWord};
use crate::domain::access::Scope;
use crate::domain::clock::Millis;
use crate::domain::health::Health;
use crate::service::{DeviceView, Services};

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(guarded(Scope::DevicesRead, &[], routes!(show)))
        .routes(guarded(Scope::DevicesRead, &[], routes!(fleet)))
        .routes(guarded(Scope::DevicesRead, &[], routes!(attention)))
}

/// A device's health.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct DeviceHealth {
    /// The device.
    device_id: String,
    /// Its health.
    #[serde(flatten)]
    #[schema(value_type = HealthObject)]
    health: Health,
    /// When it was judged.
    #[schema(value_type = i64)]
    last_updated: Millis,
}

/// Show a device's health
#[utoipa::path(get, path = "/devices/{id}/health", operation_id = "getHealth", tag = "health",
    responses((status = 200, description = "Its health", body = Success<DeviceHealth>)))]
async fn show(
    State(services): State<Services>,
    Device(id): Device,
) -> Result<Success<DeviceHealth>, ApiError> {
    let (health, last_updated) = services.fleet.health(&id).await?;
    Ok(Success::new(DeviceHealth { device_id: id.into(), health, last_updated }))
}

/// The health of a device among others.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct FleetHealth {
    /// The device.
    device_id: String,
    /// What people call it.
    #[schema(example = "Corner shop")]
    name: String,
    /// Where it is in its life.
    #[schema(value_type = StateWord)]
    state: &'static str,
    /// Its health.
    #[serde(flatten)]
    #[schema(value_type = HealthObject)]
    health: Health,
    /// When it was judged.
    #[schema(value_type = i64)]
    last_updated: Millis,
}

impl FleetHealth {
    fn new(view: DeviceView, health: Health, last_updated: Millis) -> Self {
        let state = view.device.state.name();
        Self { device_id: view.device.id.into(), name: view.device.name, state, health, last_updated }
    }
}

async fn judged(services: &Services, caller: &Caller) -> Result<Vec<FleetHealth>, ApiError> {
    let all = services.fleet.fleet_health(caller.devices()).await?;
    let now = services.now();
    Ok(all.into_iter().map(|(view, health)| FleetHealth::new(view, health, now)).collect())
}

/// Show the health of all devices of the key
#[utoipa::path(get, path = "/health/devices", operation_id = "listHealth", tag = "health",
    responses((status = 200, description = "Health by device", body = Success<Vec<FleetHealth>>)))]
async fn fleet(
    caller: Caller,
    State(services): State<Services>,
) -> Result<Success<Vec<FleetHealth>>, ApiError> {
    Ok(Success::new(judged(&services, &caller).await?))
}

/// Show the devices that need attention
///
/// Those of the key that are not healthy, the worst first.
#[utoipa::path(get, path = "/health/attention", operation_id = "listAttention", tag = "health",
    responses((status = 200, description = "Health by device", body = Success<Vec<FleetHealth>>)))]
async fn attention(
    caller: Caller,
    State(services): State<Services>,
) -> Result<Success<Vec<FleetHealth>>, ApiError> {
    let mut devices = judged(&services, &caller).await?;
    devices.retain(|device| device.health.status != "healthy");
    devices.sort_by_key(|device| device.health.score);
    Ok(Success::new(devices))
}
