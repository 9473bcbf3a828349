//! Probes of monitoring systems: liveness, readiness and metrics. They need no key.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};
use utoipa_axum::routes;

use super::envelope::Success;
use super::error::ApiError;
use super::request_labels::LabelledRoute;
use super::{ApiState, openapi};
use crate::service::Services;
use crate::telemetry::METRICS_CONTENT_TYPE;

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(open(&[], routes!(alive)))
        .routes(open(&[503], routes!(ready)))
        .routes(open(&[], routes!(metrics)))
}

fn open(refusals: &[u16], routes: UtoipaMethodRouter<ApiState>) -> UtoipaMethodRouter<ApiState> {
    let (schemas, mut paths, router) = routes;
    openapi::describe_open(&mut paths, refusals);
    (schemas, paths, router)
}

/// The status of the daemon.
#[derive(Serialize, ToSchema)]
struct Alive {
    /// `alive` or `ready`.
    #[schema(example = "alive")]
    status: &'static str,
    /// The daemon's version.
    version: &'static str,
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Check whether the daemon is alive
#[utoipa::path(get, path = "/healthz", operation_id = "isAlive", tag = "probes",
    responses((status = 200, description = "The daemon is alive", body = Success<Alive>)))]
async fn alive(_: LabelledRoute) -> Success<Alive> {
    Success::new(Alive { status: "alive", version: VERSION })
}

/// Check whether the daemon is ready
///
/// The store reads and commits, its files are those of the start, and the daemon is not shutting down. Otherwise the code
/// names the cause, such as `disk_full`, `data_file_replaced`, `database_damaged` or `no_file_descriptor`.
#[utoipa::path(get, path = "/readyz", operation_id = "isReady", tag = "probes",
    responses((status = 200, description = "The daemon is ready", body = Success<Alive>)))]
async fn ready(_: LabelledRoute, State(services): State<Services>) -> Result<Success<Alive>, ApiError> {
    services.maintenance.readiness().await?;
    Ok(Success::new(Alive { status: "ready", version: VERSION }))
}

/// Read metrics
///
/// In the OpenMetrics text format.
#[utoipa::path(get, path = "/metrics", operation_id = "readMetrics", tag = "probes",
    responses((status = 200, description = "Metrics", body = String, content_type = "application/openmetrics-text", example = json!("wharf_messages_in_total 42"))))]
async fn metrics(_: LabelledRoute, State(services): State<Services>) -> Response {
    ([(CONTENT_TYPE, METRICS_CONTENT_TYPE)], services.metrics().encode()).into_response()
}
