//! What watches the daemon asks: is it alive, can it serve, its metrics. No key is needed.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};
use utoipa_axum::routes;

use super::envelope::Success;
use super::error::ApiError;
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

/// A daemon that answers.
#[derive(Serialize, ToSchema)]
struct Alive {
    /// `alive` or `ready`.
    #[schema(example = "alive")]
    status: &'static str,
    /// The daemon's version.
    version: &'static str,
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Ask whether the daemon is alive
#[utoipa::path(get, path = "/healthz", operation_id = "isAlive", tag = "probes",
    responses((status = 200, description = "It is", body = Success<Alive>)))]
async fn alive() -> Success<Alive> {
    Success::new(Alive { status: "alive", version: VERSION })
}

/// Ask whether the daemon can serve
///
/// The store answers, and nothing is shutting down.
#[utoipa::path(get, path = "/readyz", operation_id = "isReady", tag = "probes",
    responses((status = 200, description = "It can", body = Success<Alive>)))]
async fn ready(State(services): State<Services>) -> Result<Success<Alive>, ApiError> {
    services.maintenance.readiness().await?;
    Ok(Success::new(Alive { status: "ready", version: VERSION }))
}

/// Read metrics
///
/// In the OpenMetrics text format, which Prometheus reads.
#[utoipa::path(get, path = "/metrics", operation_id = "readMetrics", tag = "probes",
    responses((status = 200, description = "Metrics", body = String, content_type = "application/openmetrics-text", example = json!("wharf_messages_in_total 42"))))]
async fn metrics(State(services): State<Services>) -> Response {
    ([(CONTENT_TYPE, METRICS_CONTENT_TYPE)], services.metrics().encode()).into_response()
}
