//! The schemas of queues and their configuration.

use std::collections::BTreeMap;

use utoipa::ToSchema;

/// The reason why the next message of a queue is held.
#[derive(ToSchema)]
#[schema(as = HeldBy)]
pub struct HeldObject {
    /// `schedule`, `retry`, `delay`, `burst_limit`, `messages_per_minute`, `messages_per_day`,
    /// `new_chats_per_day`, `quiet_hours` or `not_ready`.
    #[schema(example = "messages_per_minute")]
    pub reason: String,
    /// The end of the hold, if it is predictable.
    pub until: Option<i64>,
}

/// The numbers of a queue.
#[derive(ToSchema)]
#[schema(as = QueueTotals, rename_all = "camelCase")]
pub struct QueueTotalsObject {
    /// All queued messages, those in flight included.
    pub queued_messages: i64,
    /// Messages that are not due yet.
    pub scheduled: i64,
    /// Messages that wait for another attempt.
    pub retrying: i64,
    /// Messages in flight.
    pub under_way: i64,
    /// Attempts in the last minute.
    pub messages_in_last60s: i64,
}

/// A device's queue among others.
#[derive(ToSchema)]
#[schema(as = DeviceQueue, rename_all = "camelCase")]
pub struct DeviceQueueObject {
    /// The device.
    pub device_id: String,
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: String,
    /// All queued messages, those in flight included.
    pub queued_messages: i64,
    /// Messages that are not due yet.
    pub scheduled: i64,
    /// Messages that wait for another attempt.
    pub retrying: i64,
    /// Messages in flight.
    pub under_way: i64,
    /// Attempts in the last minute.
    pub messages_in_last60s: i64,
    /// The time of acceptance of the oldest due message.
    pub oldest: Option<i64>,
    /// The reason why the next message is held.
    pub held_by: Option<HeldObject>,
    /// The effective configuration.
    pub config: QueueConfigObject,
    /// The phase of the device's warm-up, such as `day 3 of 14`.
    pub warmup_phase: Option<String>,
}

/// The sending limits of a device. Times are in milliseconds; a limit of 0 means no limit.
#[derive(ToSchema)]
#[schema(as = QueueConfig, rename_all = "camelCase")]
pub struct QueueConfigObject {
    /// The shortest pause between two messages.
    #[schema(minimum = 0, maximum = 3_600_000)]
    pub min_delay: i64,
    /// The longest pause; each pause is random between the two.
    #[schema(minimum = 0, maximum = 3_600_000)]
    pub max_delay: i64,
    /// Most messages in any 60 seconds.
    #[schema(minimum = 0, maximum = 100_000)]
    pub messages_per_minute: i64,
    /// Most messages in any 10 seconds.
    #[schema(minimum = 0, maximum = 100_000)]
    pub burst_limit: i64,
    /// Most messages in any 24 hours.
    #[schema(minimum = 0, maximum = 100_000)]
    pub messages_per_day: i64,
    /// Most chats in any 24 hours without an earlier message in either direction.
    #[schema(minimum = 0, maximum = 10_000)]
    pub new_chats_per_day: i64,
    /// The duration of typing before a message.
    #[schema(minimum = 0, maximum = 60_000)]
    pub typing_delay: i64,
    /// Attempts before a message fails.
    #[schema(minimum = 1, maximum = 100)]
    pub max_attempts: i64,
    /// The delay before the second attempt; it doubles with each attempt.
    #[schema(minimum = 0, maximum = 3_600_000)]
    pub retry_delay: i64,
    /// Hours in which nothing is sent.
    pub quiet_hours: Option<QuietHoursObject>,
    /// The warm-up of the limits.
    pub warmup: Option<WarmupObject>,
}

/// Hours in which nothing is sent, whatever its priority.
#[derive(ToSchema)]
#[schema(as = QuietHours, rename_all = "camelCase")]
pub struct QuietHoursObject {
    /// The beginning.
    #[schema(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$", example = "22:00")]
    pub from: String,
    /// The end; on the next day if it is the earlier time.
    #[schema(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$", example = "07:00")]
    pub to: String,
    /// An IANA name.
    #[schema(example = "Europe/Berlin")]
    pub time_zone: String,
}

/// Lower limits on messages and new chats, which rise to the configured ones.
#[derive(ToSchema)]
#[schema(as = Warmup, rename_all = "camelCase")]
pub struct WarmupObject {
    /// The beginning of the first day.
    pub started_at: i64,
    /// The days with lower limits.
    #[schema(minimum = 1, maximum = 365)]
    pub days: i64,
    /// The share of the limits on the first day, in percent.
    #[schema(minimum = 1, maximum = 100)]
    pub start_percent: i64,
}

/// The queues of the key's devices.
#[derive(ToSchema)]
#[schema(as = FleetQueue)]
pub struct FleetQueueObject {
    /// The totals of all devices.
    pub totals: QueueTotalsObject,
    /// The queue of each device.
    pub devices: Vec<DeviceQueueObject>,
}

/// The cancelled messages.
#[derive(ToSchema)]
#[schema(as = ClearedQueue)]
pub struct ClearedObject {
    /// The number of messages.
    #[schema(minimum = 0)]
    pub cancelled: i64,
    /// The number by device, without devices that had none.
    pub devices: BTreeMap<String, i64>,
}
