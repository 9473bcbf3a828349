//! Limits and delays of the services, as the composition root reads them from the settings.
//! Durations are in milliseconds where a field's name ends in `_ms`.

use std::path::PathBuf;
use std::time::Duration;

use crate::domain::backoff::Backoff;
use crate::domain::outbox::{Rules, Zone};

/// Numbers that the services keep to. All durations in milliseconds.
#[derive(Debug, Clone)]
pub struct Limits {
    /// At most so many devices.
    pub max_devices: usize,
    /// The time between two checks that the data files are the same.
    pub file_check: Duration,
    /// The engine of a device that names none.
    pub default_engine: String,
    /// How devices come back.
    pub backoff: Backoff,
    /// Devices that may begin to connect in one second, at start-up and after a common loss.
    pub start_ramp_per_second: u32,
    /// Devices that may be connecting at once.
    pub max_connecting: usize,
    /// Consecutive panics after which a device is failed.
    pub panics_before_failed: u32,
    /// A connected device without traffic for this time is degraded. Zero: never.
    pub degraded_after_ms: i64,
    /// What an outbox keeps to where the device says nothing else.
    pub outbox: OutboxLimits,
    /// How long an idempotency key is remembered.
    pub idempotency_ttl_ms: i64,
    /// How much of the past is kept.
    pub retention: RetentionLimits,
    /// What files keep to.
    pub media: MediaLimits,
    /// Events read from a log at once.
    pub replay_page: usize,
    /// Imported chats.
    pub import: ImportLimits,
}

/// Numbers of the outbox.
#[derive(Debug, Clone)]
pub struct OutboxLimits {
    /// Messages that may wait for one device.
    pub max_queued: usize,
    /// Chats of one device with a message under way at once.
    pub in_flight: usize,
    /// Tries before a message is failed.
    pub max_attempts: u32,
    /// The delay before the second try.
    pub retry_delay_ms: u64,
    /// How long an unknown outcome stays unknown.
    pub unknown_after_ms: i64,
    /// The pace, warm-up and quiet hours.
    pub rules: Rules,
    /// Where quiet hours are that name no zone.
    pub time_zone: Zone,
    /// How long "typing" is shown before a message.
    pub typing_delay_ms: u64,
}

/// How much of the past is kept. Zero means for ever.
#[derive(Debug, Clone, Copy)]
pub struct RetentionLimits {
    /// Age of the oldest event.
    pub events_ms: i64,
    /// Age of the oldest message.
    pub messages_ms: i64,
    /// Between two sweeps.
    pub sweep_interval_ms: u64,
}

/// Numbers that files keep to.
#[derive(Debug, Clone, Copy)]
pub struct MediaLimits {
    /// Bytes of the largest file.
    pub max_bytes: u64,
    /// Bytes of all files; zero: no limit.
    pub max_total_bytes: u64,
    /// Bytes of the files that clients stored for one device; zero: no limit.
    pub max_bytes_per_device: u64,
    /// Bytes of files that the clients of one device may send in a minute; zero: no limit.
    pub max_upload_bytes_per_minute: u64,
    /// Free bytes of the disk that uploads and imports require; zero: not checked.
    pub min_free_bytes: u64,
    /// The same in percent of the disk; the smaller of both applies.
    pub min_free_percent: u64,
    /// How long a file is kept after it last came in; zero: for ever.
    pub keep_ms: i64,
    /// Time limit for fetching a file, in milliseconds.
    pub fetch_timeout_ms: u64,
}

/// What imports keep to.
#[derive(Debug, Clone)]
pub struct ImportLimits {
    /// Where exports are kept while they are read.
    pub dir: PathBuf,
    /// Bytes of the largest export, as it is sent.
    pub max_bytes: u64,
    /// Bytes that an archive may come to when unpacked.
    pub max_unpacked_bytes: u64,
    /// Maximum concurrent imports.
    pub max_running: usize,
    /// Maximum concurrent imports into one device.
    pub max_running_per_device: usize,
    /// Minimum average rate of a request body.
    pub min_bytes_per_second: u64,
    /// The wait for a client before the minimum rate applies.
    pub grace: Duration,
}
