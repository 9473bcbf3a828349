//! Statistics of the key's devices, now and by hour.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::envelope::Success;
use super::error::ApiError;
use super::guard::{Caller, guarded};
use super::input::{Query, Request};
use super::schema::StatsObject;
use crate::domain::access::Scope;
use crate::domain::clock::Millis;
use crate::service::{HourOfActivity, Services, Stats};

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(guarded(Scope::DevicesRead, &[], routes!(show))).routes(guarded(
        Scope::DevicesRead,
        &[],
        routes!(history),
    ))
}

/// Show statistics
///
/// Devices by state, messages today, queues, sockets.
#[utoipa::path(get, path = "/stats", operation_id = "getStats", tag = "health",
    responses((status = 200, description = "Statistics of the key's devices", body = Success<StatsObject>)))]
async fn show(caller: Caller, State(services): State<Services>) -> Result<Success<Stats>, ApiError> {
    Ok(Success::new(services.fleet.stats(caller.devices()).await?))
}

const fn one_day() -> u32 {
    24
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct HistoryQuery {
    /// The number of clock hours, including the current one.
    #[serde(default = "one_day")]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 720, default = 24)]
    hours: u32,
}

impl Request for HistoryQuery {}

/// The activity of one clock hour.
#[derive(Serialize, ToSchema)]
#[schema(as = HourOfActivity)]
#[serde(rename_all = "camelCase")]
struct HourObject {
    /// Its start.
    #[schema(value_type = i64)]
    hour: Millis,
    /// Received messages.
    received: i64,
    /// Sent messages.
    sent: i64,
    /// Messages that could not be sent.
    failed: i64,
    /// Lost connections.
    disconnections: i64,
    /// Milliseconds from acceptance to the network, on average; `null` without sent messages.
    average_response_ms: Option<i64>,
}

impl From<HourOfActivity> for HourObject {
    fn from(HourOfActivity { hour, counts }: HourOfActivity) -> Self {
        Self {
            hour,
            received: counts.received,
            sent: counts.sent,
            failed: counts.failed,
            disconnections: counts.disconnections,
            average_response_ms: counts.response_ms.checked_div(counts.sent),
        }
    }
}

/// Show statistics by hour
///
/// The last clock hours, oldest first, with those without activity. Counts are kept for 90 days.
#[utoipa::path(get, path = "/stats/history", operation_id = "getStatsHistory", tag = "health",
    params(HistoryQuery),
    responses((status = 200, description = "The hours of the key's devices", body = Success<Vec<HourObject>>)))]
async fn history(
    caller: Caller,
    State(services): State<Services>,
    Query(query): Query<HistoryQuery>,
) -> Result<Success<Vec<HourObject>>, ApiError> {
    let hours = services.fleet.history(caller.devices(), query.hours).await?;
    Ok(Success::new(hours.into_iter().map(HourObject::from).collect()))
}
