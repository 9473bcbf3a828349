//! The pace of queues: limits, quiet hours, warm-up.

use axum::extract::State;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{devices_of, named_devices};
use crate::api::http::ApiState;
use crate::api::http::envelope::Success;
use crate::api::http::error::ApiError;
use crate::api::http::guard::{Caller, guarded};
use crate::api::http::input::{Body, Device, Fields, FromFields};
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

/// Settings to be set. What is left out stays as it is. Times in milliseconds; limits of 0 are none.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase", example = json!({ "minDelay": 1000, "maxDelay": 3000, "messagesPerMinute": 20 }))]
#[expect(dead_code, reason = "for the document; the fields are read by name")]
struct ConfigRequest {
    /// Of these devices; of all devices of the key, when left out.
    #[schema(schema_with = schema::queue_device_ids, required = false)]
    device_ids: Option<Vec<DeviceId>>,
    /// The shortest pause between two messages.
    #[schema(minimum = 0, maximum = 3_600_000)]
    min_delay: Option<i64>,
    /// The longest; each pause is drawn at random between the two.
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
    /// Most chats in any 24 hours that have no earlier message in either direction.
    #[schema(minimum = 0, maximum = 10_000)]
    new_chats_per_day: Option<i64>,
    /// How long typing is shown before a message.
    #[schema(minimum = 0, maximum = 60_000)]
    typing_delay: Option<i64>,
    /// Tries before a message is failed.
    #[schema(minimum = 1, maximum = 100)]
    max_attempts: Option<i64>,
    /// The delay before the second try; it doubles with each.
    #[schema(minimum = 0, maximum = 3_600_000)]
    retry_delay: Option<i64>,
    /// Hours in which nothing leaves; `false` for none. Without `timeZone`, the daemon's `outbox.time_zone`.
    #[schema(value_type = Option<QuietHoursChoice>)]
    quiet_hours: Option<Value>,
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "for the document")]
enum QuietHoursChoice {
    /// These.
    Hours(QuietHoursRequest),
    /// None.
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

/// Hours in which nothing leaves, whatever its priority.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct QuietHoursRequest {
    /// Their beginning.
    #[schema(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$", example = "22:00")]
    from: String,
    /// Their end; over midnight where it is the earlier.
    #[schema(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$", example = "07:00")]
    to: String,
    /// An IANA name; the daemon's `outbox.time_zone`, when left out.
    #[schema(example = "Europe/Berlin")]
    time_zone: Option<String>,
}

const NUMBERS: [(&str, i64, i64); 9] = [
    ("minDelay", 0, 3_600_000),
    ("maxDelay", 0, 3_600_000),
    ("messagesPerMinute", 0, 100_000),
    ("burstLimit", 0, 100_000),
    ("messagesPerDay", 0, 100_000),
    ("newChatsPerDay", 0, 10_000),
    ("typingDelay", 0, 60_000),
    ("maxAttempts", 1, 100),
    ("retryDelay", 0, 3_600_000),
];

struct Config {
    device_ids: Option<Vec<DeviceId>>,
    settings: Map<String, Value>,
}

impl FromFields for Config {
    fn read(fields: &mut Fields) -> Option<Self> {
        let device_ids = named_devices(fields);
        let mut settings = Map::new();
        let mut given = false;
        for (name, least, most) in NUMBERS {
            given |= fields.is_given(name);
            if let Some(number) = fields.integer(name, &(least..=most)) {
                settings.insert(name.to_owned(), number.into());
            }
        }
        if let Some(hours) = fields.any("quietHours") {
            settings.insert("quietHours".to_owned(), hours);
        }
        if settings.is_empty() && !given {
            let names: Vec<&str> = NUMBERS.iter().map(|(name, ..)| *name).chain(["quietHours"]).collect();
            fields.wrong("request", format!("must set at least one of {}", names.join(", ")));
        }
        Some(Self { device_ids, settings })
    }
}

/// A wrong setting is named as the request names it.
fn by_its_name(error: ServiceError) -> ApiError {
    match error {
        ServiceError::Invalid { field, message } => {
            let name = field.strip_prefix("settings.outbox.").unwrap_or(&field);
            ApiError::field(name.strip_prefix("warmup.").unwrap_or(name), message)
        }
        other => other.into(),
    }
}

/// Set the pace of queues
///
/// Of all named devices, or of none: what the file of one of them sets is refused with `set_by_file`.
#[utoipa::path(put, path = "/queue/config", operation_id = "configureQueues", tag = "queue",
    request_body = ConfigRequest,
    responses((status = 200, description = "The queues as they now are", body = Success<FleetQueueObject>)))]
async fn configure(
    caller: Caller,
    State(services): State<Services>,
    Body(Config { device_ids, settings }): Body<Config>,
) -> Result<Success<FleetQueue>, ApiError> {
    let devices = devices_of(&services, &caller, device_ids)?;
    services.messaging.configure_queues(&devices, settings).await.map_err(by_its_name)?;
    Ok(Success::new(services.messaging.fleet_queue(Some(&devices)).await?))
}

/// How to warm up.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase", example = json!({ "enabled": true, "days": 14 }))]
struct WarmupRequest {
    /// `true` unless said; `false` ends it.
    enabled: Option<bool>,
    /// For so many days the limits are lower; 14 unless it runs already.
    #[schema(minimum = 1, maximum = 365)]
    days: Option<u32>,
    /// The share of the limits on the first day, in percent; 10 unless it runs already.
    #[schema(minimum = 1, maximum = 100)]
    start_percent: Option<u32>,
    /// When the first day begins or began; now, unless it runs already.
    #[schema(minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    started_at: Option<i64>,
}

/// The largest time that every JSON reader keeps exactly.
const MAX_TIME: i64 = (1 << 53) - 1;

impl FromFields for WarmupRequest {
    fn read(fields: &mut Fields) -> Option<Self> {
        let small = |number: Option<i64>| number.and_then(|number| u32::try_from(number).ok());
        Some(Self {
            enabled: fields.boolean("enabled"),
            days: small(fields.integer("days", &(1..=365))),
            start_percent: small(fields.integer("startPercent", &(1..=100))),
            started_at: fields.integer("startedAt", &(0..=MAX_TIME)),
        })
    }
}

/// Start or end a device's warm-up
///
/// Until it is over, the limits on messages and new chats rise from day to day. A limit that is not set counts
/// as 20 messages a minute, 1,000 messages and 100 new chats a day meanwhile.
#[utoipa::path(post, path = "/devices/{id}/warmup", operation_id = "warmUpDevice", tag = "queue",
    request_body = Option<WarmupRequest>,
    responses((status = 200, description = "The device's queue as it now is", body = Success<DeviceQueueObject>)))]
async fn warm_up(
    State(services): State<Services>,
    Device(device): Device,
    Body(WarmupRequest { enabled, days, start_percent, started_at }): Body<WarmupRequest>,
) -> Result<Success<DeviceQueue>, ApiError> {
    let enabled = enabled.unwrap_or(true);
    let change = WarmupChange { enabled, days, start_percent, started_at: started_at.map(Millis) };
    services.messaging.set_warmup(&device, change).await.map_err(by_its_name)?;
    let queues = services.messaging.fleet_queue(Some(std::slice::from_ref(&device))).await?.devices;
    queues.into_iter().next().map(Success::new).ok_or_else(|| ServiceError::DeviceNotFound.into())
}
