//! The configuration of queues: limits, quiet hours, warm-up.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{check_devices, devices_of};
use crate::api::http::ApiState;
use crate::api::http::envelope::Success;
use crate::api::http::error::ApiError;
use crate::api::http::guard::{Caller, guarded};
use crate::api::http::input::{Body, Device, Report, Request};
use crate::api::http::schema::{self, DeviceQueueObject, FleetQueueObject};
use crate::domain::access::Scope;
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::service::{DeviceQueue, FleetQueue, ServiceError, Services, WarmupChange};

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(guarded(Scope::DevicesWrite, &[404, 409], routes!(configure)))
        .routes(guarded(Scope::DevicesWrite, &[409], routes!(warm_up)))
}

/// The settings to change; absent ones stay as they are. Times are in milliseconds; a limit of 0 means no limit.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({ "minDelay": 1000, "maxDelay": 3000, "messagesPerMinute": 20 }))]
struct ConfigRequest {
    /// Only these devices; all devices of the key when absent.
    #[schema(schema_with = schema::queue_device_ids, required = false)]
    device_ids: Option<Vec<DeviceId>>,
    /// The shortest pause between two messages.
    #[schema(minimum = 0, maximum = 3_600_000)]
    min_delay: Option<i64>,
    /// The longest pause; each pause is random between the two.
    #[schema(minimum = 0, maximum = 3_600_000)]
    max_delay: Option<i64>,
    /// Most messages in any 60 seconds.
    #[schema(minimum = 0, maximum = 100_000)]
    messages_per_minute: Option<i64>,
    /// Most messages in any 10 seconds.
    #[schema(minimum = 0, maximum = 100_000)]
    burst_limit: Option<i64>,
    /// Most messages in any 24 hours.
    #[schema(minimum = 0, maximum = 100_000)]
    messages_per_day: Option<i64>,
    /// Most chats in any 24 hours without an earlier message in either direction.
    #[schema(minimum = 0, maximum = 10_000)]
    new_chats_per_day: Option<i64>,
    /// The duration of typing before a message.
    #[schema(minimum = 0, maximum = 60_000)]
    typing_delay: Option<i64>,
    /// Attempts before a message fails.
    #[schema(minimum = 1, maximum = 100)]
    max_attempts: Option<i64>,
    /// The delay before the second attempt; it doubles with each attempt.
    #[schema(minimum = 0, maximum = 3_600_000)]
    retry_delay: Option<i64>,
    /// Hours in which nothing is sent; `false` for none. The default of `timeZone` is the daemon's `outbox.time_zone`.
    #[schema(value_type = Option<QuietHoursChoice>)]
    quiet_hours: Option<Value>,
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only in the OpenAPI document")]
enum QuietHoursChoice {
    /// Quiet hours.
    Hours(QuietHoursRequest),
    /// No quiet hours.
    None(Never),
}

/// `false`.
#[derive(Serialize)]
struct Never;

impl PartialSchema for Never {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Boolean).enum_values(Some([false])).build().into()
    }
}

impl ToSchema for Never {}

/// Hours in which nothing is sent, whatever its priority.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct QuietHoursRequest {
    /// The beginning.
    #[schema(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$", example = "22:00")]
    from: String,
    /// The end; on the next day if it is the earlier time.
    #[schema(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$", example = "07:00")]
    to: String,
    /// An IANA name; the daemon's `outbox.time_zone` when absent.
    #[schema(example = "Europe/Berlin")]
    time_zone: Option<String>,
}

impl Request for ConfigRequest {
    fn check(&self, report: &mut Report) {
        check_devices(self.device_ids.as_deref(), report);
    }
}

/// Names an invalid setting as the request does.
fn with_request_names(error: ServiceError) -> ApiError {
    match error {
        ServiceError::Invalid { field, message } => {
            let name = field.strip_prefix("settings.outbox.").unwrap_or(&field);
            ApiError::field(name.strip_prefix("warmup.").unwrap_or(name), message)
        }
        other => other.into(),
    }
}

/// Configure queues
///
/// Changes all named devices, or none: a setting of a device's file is refused with `set_by_file`.
#[utoipa::path(put, path = "/queue/config", operation_id = "configureQueues", tag = "queue",
    request_body = ConfigRequest,
    responses((status = 200, description = "The changed queues", body = Success<FleetQueueObject>)))]
async fn configure(
    caller: Caller,
    State(services): State<Services>,
    Body(body): Body<ConfigRequest>,
) -> Result<Success<FleetQueue>, ApiError> {
    let Value::Object(mut settings) = serde_json::to_value(&body).unwrap_or_default() else {
        return Err(ApiError::Internal);
    };
    settings.remove("deviceIds");
    let names = settings.keys().cloned().collect::<Vec<_>>().join(", ");
    settings.retain(|_, value| !value.is_null());
    if settings.is_empty() {
        return Err(ApiError::field("request", format!("must set at least one of {names}")));
    }
    let devices = devices_of(&services, &caller, body.device_ids)?;
    services.messaging.configure_queues(&devices, settings).await.map_err(with_request_names)?;
    Ok(Success::new(services.messaging.fleet_queue(Some(&devices)).await?))
}

/// How to warm up.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({ "enabled": true, "days": 14 }))]
struct WarmupRequest {
    /// `false` ends the warm-up; `true` by default.
    enabled: Option<bool>,
    /// The days with lower limits; 14 by default, unless the warm-up runs already.
    #[schema(minimum = 1, maximum = 365)]
    days: Option<u32>,
    /// The share of the limits on the first day, in percent; 10 by default, unless the warm-up runs already.
    #[schema(minimum = 1, maximum = 100)]
    start_percent: Option<u32>,
    /// The beginning of the first day; now by default, unless the warm-up runs already.
    #[schema(minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    started_at: Option<i64>,
}

impl Request for WarmupRequest {}

/// Start or end a device's warm-up
///
/// During a warm-up the limits on messages and new chats rise from day to day. Limits that are not set are then
/// 20 messages a minute, 1,000 messages a day and 100 new chats a day.
#[utoipa::path(post, path = "/devices/{id}/warmup", operation_id = "warmUpDevice", tag = "queue",
    request_body = Option<WarmupRequest>,
    responses((status = 200, description = "The device's changed queue", body = Success<DeviceQueueObject>)))]
async fn warm_up(
    State(services): State<Services>,
    Device(device): Device,
    Body(WarmupRequest { enabled, days, start_percent, started_at }): Body<WarmupRequest>,
) -> Result<Success<DeviceQueue>, ApiError> {
    let enabled = enabled.unwrap_or(true);
    let change = WarmupChange { enabled, days, start_percent, started_at: started_at.map(Millis) };
    services.messaging.set_warmup(&device, change).await.map_err(with_request_names)?;
    let queues = services.messaging.fleet_queue(Some(std::slice::from_ref(&device))).await?.devices;
    queues.into_iter().next().map(Success::new).ok_or_else(|| ServiceError::DeviceNotFound.into())
}
