//! A device's status, and its QR code as JSON, PNG, SVG and text.

use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::http::ApiState;
use crate::api::http::envelope::Success;
use crate::api::http::error::ApiError;
use crate::api::http::guard::guarded;
use crate::api::http::input::Device;
use crate::api::http::schema::{self, DashboardWord, StateWord};
use crate::domain::access::Scope;
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::state::State as DeviceState;
use crate::qr::{self, QrError};
use crate::service::fleet::devices::last_seen;
use crate::service::{ServiceError, Services};

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(guarded(Scope::DevicesRead, &[], routes!(status)))
        .routes(guarded(Scope::DevicesRead, &[409], routes!(show)))
        .routes(guarded(Scope::DevicesRead, &[409], routes!(png)))
        .routes(guarded(Scope::DevicesRead, &[409], routes!(svg)))
        .routes(guarded(Scope::DevicesRead, &[409], routes!(txt)))
}

/// The status of a device.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct DeviceStatus {
    /// One of `ready`, `qr`, `connecting`, `disconnected`, `error`.
    #[schema(value_type = DashboardWord)]
    status: &'static str,
    /// Its state.
    #[schema(value_type = StateWord)]
    state: &'static str,
    /// The reason of this state, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<&'static str>,
    /// The code for a phone to scan, while the device waits for a scan.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    qr: Option<String>,
    /// The same as an image, as a `data:` URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    qr_data_url: Option<String>,
    /// The last time it was online.
    #[schema(value_type = Option<i64>)]
    last_seen: Option<Millis>,
    /// The account's phone number in digits, once linked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    phone_number: Option<String>,
}

/// Show a device's status
#[utoipa::path(get, path = "/devices/{id}/status", operation_id = "getDeviceStatus", tag = "devices",
    responses((status = 200, description = "The status of the device", body = Success<DeviceStatus>)))]
async fn status(
    State(services): State<Services>,
    Device(id): Device,
) -> Result<Success<DeviceStatus>, ApiError> {
    let device = services.fleet.device_record(&id).await?;
    let qr = if let DeviceState::Qr { code, .. } = &device.state { Some(code.clone()) } else { None };
    Ok(Success::new(DeviceStatus {
        status: device.state.rest_status(),
        state: device.state.name(),
        reason: device.state.reason().map(crate::domain::reason::Reason::code),
        qr_data_url: qr.as_deref().map(qr::data_url).transpose().map_err(|error| not_drawn(&error))?,
        qr,
        last_seen: last_seen(&device, services.now()),
        phone_number: device.account.as_ref().map(|account| account.phone_number.clone()),
    }))
}

/// A code to scan.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct QrCode {
    /// The code for a phone to scan.
    qr: String,
    /// The same as an image, as a `data:` URL.
    qr_data_url: String,
    /// The end of its validity.
    #[schema(value_type = i64)]
    expires_at: Millis,
    /// The number of the code, from 1.
    #[schema(minimum = 1)]
    attempt: u32,
}

/// Show the code to scan
///
/// 404 `no_qr` when the device is not waiting for a scan.
#[utoipa::path(get, path = "/devices/{id}/qr", operation_id = "getQr", tag = "devices",
    responses((status = 200, description = "The code", body = Success<QrCode>)))]
async fn show(State(services): State<Services>, Device(id): Device) -> Result<Success<QrCode>, ApiError> {
    let (code, attempt, expires_at) = waiting(&services, &id).await?;
    let qr_data_url = qr::data_url(&code).map_err(|error| not_drawn(&error))?;
    Ok(Success::new(QrCode { qr: code, qr_data_url, expires_at, attempt }))
}

/// Show the code to scan as a PNG image
#[utoipa::path(get, path = "/devices/{id}/qr.png", operation_id = "getQrPng", tag = "devices",
    responses((status = 200, description = "The image", body = schema::Binary, content_type = "image/png")))]
async fn png(State(services): State<Services>, Device(id): Device) -> Result<Response, ApiError> {
    drawn(&services, &id, "image/png", qr::png).await
}

/// Show the code to scan as an SVG image
#[utoipa::path(get, path = "/devices/{id}/qr.svg", operation_id = "getQrSvg", tag = "devices",
    responses((status = 200, description = "The image", body = String, content_type = "image/svg+xml", example = json!("<svg xmlns=\"http://www.w3.org/2000/svg\"/>"))))]
async fn svg(State(services): State<Services>, Device(id): Device) -> Result<Response, ApiError> {
    drawn(&services, &id, "image/svg+xml", |code| qr::svg(code).map(String::into_bytes)).await
}

/// Show the code to scan in half blocks
///
/// Dark on light, without colours.
#[utoipa::path(get, path = "/devices/{id}/qr.txt", operation_id = "getQrText", tag = "devices",
    responses((status = 200, description = "The drawing", body = String, content_type = "text/plain", example = json!("█▀▀▀▀▀█ ▄▀ █▀▀▀▀▀█"))))]
async fn txt(State(services): State<Services>, Device(id): Device) -> Result<Response, ApiError> {
    let draw = |code: &str| qr::plain_half_blocks(code).map(String::into_bytes);
    drawn(&services, &id, "text/plain; charset=utf-8", draw).await
}

async fn waiting(services: &Services, id: &DeviceId) -> Result<(String, u32, Millis), ApiError> {
    match &services.fleet.device_record(id).await?.state {
        DeviceState::Qr { code, attempt, expires_at, .. } => Ok((code.clone(), *attempt, *expires_at)),
        DeviceState::Passkey { .. } => Err(ServiceError::PasskeyPending.into()),
        _ => Err(ApiError::NoQr),
    }
}

async fn drawn(
    services: &Services,
    id: &DeviceId,
    content_type: &'static str,
    draw: impl FnOnce(&str) -> Result<Vec<u8>, QrError>,
) -> Result<Response, ApiError> {
    let (code, _, _) = waiting(services, id).await?;
    let image = draw(&code).map_err(|error| not_drawn(&error))?;
    Ok(([(CONTENT_TYPE, HeaderValue::from_static(content_type))], image).into_response())
}

/// Only codes that are too long for a QR code cause this.
fn not_drawn(error: &QrError) -> ApiError {
    tracing::error!(error = error as &dyn std::error::Error, "QR code not drawn");
    ApiError::Internal
}
