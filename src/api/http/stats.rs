//! The devices of a key in numbers.

use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::envelope::Success;
use super::error::ApiError;
use super::guard::{Caller, guarded};
use super::schema::StatsObject;
use crate::domain::access::Scope;
use crate::service::{Services, Stats};

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(guarded(Scope::DevicesRead, &[], routes!(show)))
}

/// Show numbers
///
/// Devices by state, messages today, queues, sockets.
#[utoipa::path(get, path = "/stats", operation_id = "getStats", tag = "health",
    responses((status = 200, description = "The devices of the key in numbers", body = Success<StatsObject>)))]
async fn show(caller: Caller, State(services): State<Services>) -> Result<Success<Stats>, ApiError> {
    Ok(Success::new(services.fleet.stats(caller.devices()).await?))
}
