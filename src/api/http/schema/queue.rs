//! Shapes of queues and their pace.

use std::collections::BTreeMap;

use utoipa::ToSchema;

/// Why the next message of a queue does not leave yet.
#[derive(ToSchema)]
#[schema(as = HeldBy)]
pub struct HeldObject {
    /// `schedule`, `retry`, `delay`, `burst_limit`, `messages_per_minute`, `messages_per_day`,
    /// `new_chats_per_day`, `quiet_hours` or `not_ready`.
    #[schema(example = "messages_per_minute")]
    pub reason: String,
    /// Until when, where that is known.
    pub until: Option<i64>,
}

/// What waits, in numbers.
#[derive(ToSchema)]
#[schema(as = QueueTotals, rename_all = "camelCase")]
pub struct QueueTotalsObject {
    /// All that waits, what is under way included.
    pub queued_messages: i64,
    /// Not due yet.
    pub scheduled: i64,
    /// Tried before, to be tried again.
    pub retrying: i64,
    /// Handed to the network, which has not answered yet.
    pub under_way: i64,
    /// Handed to the network in the last minute, each try for itself.
    pub messages_in_last60s: i64,
}

/// A device's queue among others.
#[derive(ToSchema)]
#[schema(as = DeviceQueue, rename_all = "camelCase")]
pub struct DeviceQueueObject {
    /// The device.
    pub device_id: String,
    /// What people call it.
    pub name: String,
    /// Where it is in its life.
    pub state: String,
    /// All that waits, what is under way included.
    pub queued_messages: i64,
    /// Not due yet.
    pub scheduled: i64,
    /// Tried before, to be tried again.
    pub retrying: i64,
    /// Handed to the network, which has not answered yet.
    pub under_way: i64,
    /// Handed to the network in the last minute, each try for itself.
    pub messages_in_last60s: i64,
    /// When the oldest message that is due was accepted.
    pub oldest: Option<i64>,
    /// Why the next message does not leave yet.
    pub held_by: Option<HeldObject>,
    /// The settings that count.
    pub config: QueueConfigObject,
    /// Where the device is in its warm-up, such as `day 3 of 14`.
    pub warmup_phase: Option<String>,
}

/// How fast a device sends. Times in milliseconds; limits of 0 are none.
#[derive(ToSchema)]
#[schema(as = QueueConfig, rename_all = "camelCase")]
pub struct QueueConfigObject {
    /// The shortest pause between two messages.
    #[schema(minimum = 0, maximum = 3_600_000)]
    pub min_delay: i64,
    /// The longest; each pause is drawn at random between the two.
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
    /// Most chats in any 24 hours that have no earlier message in either direction.
    #[schema(minimum = 0, maximum = 10_000)]
    pub new_chats_per_day: i64,
    /// How long typing is shown before a message.
    #[schema(minimum = 0, maximum = 60_000)]
    pub typing_delay: i64,
    /// Tries before a message is failed.
    #[schema(minimum = 1, maximum = 100)]
    pub max_attempts: i64,
    /// The delay before the second try; it doubles with each.
    #[schema(minimum = 0, maximum = 3_600_000)]
    pub retry_delay: i64,
    /// Hours in which nothing leaves.
    pub quiet_hours: Option<QuietHoursObject>,
    /// How the limits rise at first.
    pub warmup: Option<WarmupObject>,
}

/// Hours in which nothing leaves, whatever its priority.
#[derive(ToSchema)]
#[schema(as = QuietHours, rename_all = "camelCase")]
pub struct QuietHoursObject {
    /// Their beginning.
    #[schema(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$", example = "22:00")]
    pub from: String,
    /// Their end; over midnight where it is the earlier.
    #[schema(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$", example = "07:00")]
    pub to: String,
    /// An IANA name.
    #[schema(example = "Europe/Berlin")]
    pub time_zone: String,
}

/// Limits on messages and new chats that rise from a share of themselves to all of it.
#[derive(ToSchema)]
#[schema(as = Warmup, rename_all = "camelCase")]
pub struct WarmupObject {
    /// When the first day began.
    pub started_at: i64,
    /// For so many days the limits are lower.
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
    /// All of them together.
    pub totals: QueueTotalsObject,
    /// Each.
    pub devices: Vec<DeviceQueueObject>,
}

/// What was cancelled.
#[derive(ToSchema)]
#[schema(as = ClearedQueue)]
pub struct ClearedObject {
    /// How many messages.
    #[schema(minimum = 0)]
    pub cancelled: i64,
    /// By device, where there were any.
    pub devices: BTreeMap<String, i64>,
}
