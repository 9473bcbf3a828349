//! Limits and delays of the services. The composition root fills them from the settings, which document each one.

use std::path::PathBuf;
use std::time::Duration;

use crate::domain::backoff::Backoff;
use crate::domain::outbox::{Rules, Zone};
use crate::store::DiskReserve;

/// Limits and delays of all services. A field that ends in `_ms` is in milliseconds.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Maximum devices.
    pub max_devices: usize,
    /// Interval of the check that the data files were not replaced.
    pub file_check: Duration,
    /// Space for a start on a full disk.
    pub disk_reserve: DiskReserve,
    /// The engine of a device without `engine`.
    pub default_engine: String,
    /// Delays between reconnects.
    pub backoff: Backoff,
    /// Maximum devices that start to connect per second, at start-up and after an outage.
    pub start_ramp_per_second: u32,
    /// Maximum devices that connect at the same time.
    pub max_connecting: usize,
    /// Consecutive panics after which a device fails.
    pub panics_before_failed: u32,
    /// Time without traffic after which a connected device is degraded. Zero: never.
    pub degraded_after_ms: i64,
    /// Limits of an outbox that the device does not override.
    pub outbox: OutboxLimits,
    /// Lifetime of an idempotency key.
    pub idempotency_ttl_ms: i64,
    /// Retention of events and messages.
    pub retention: RetentionLimits,
    /// Limits of files.
    pub media: MediaLimits,
    /// Events of one page of a replay.
    pub replay_page: usize,
    /// Limits of imports.
    pub import: ImportLimits,
}

/// Limits of an outbox.
#[derive(Debug, Clone)]
pub struct OutboxLimits {
    /// Maximum queued messages of a device.
    pub max_queued: usize,
    /// Maximum chats of a device with a message in flight.
    pub in_flight: usize,
    /// Attempts after which a message fails.
    pub max_attempts: u32,
    /// Delay before the second attempt.
    pub retry_delay_ms: u64,
    /// Time after which a message with an unknown outcome fails.
    pub unknown_after_ms: i64,
    /// Pacing, warm-up and quiet hours.
    pub rules: Rules,
    /// Time zone of quiet hours without one.
    pub time_zone: Zone,
    /// Duration of "typing" before a message.
    pub typing_delay_ms: u64,
}

/// Maximum ages. Zero: unlimited.
#[derive(Debug, Clone, Copy)]
pub struct RetentionLimits {
    /// Maximum age of an event.
    pub events_ms: i64,
    /// Maximum age of a message.
    pub messages_ms: i64,
    /// Interval of sweeps.
    pub sweep_interval_ms: u64,
}

/// Limits of files.
#[derive(Debug, Clone, Copy)]
pub struct MediaLimits {
    /// Maximum bytes of a file.
    pub max_bytes: u64,
    /// Maximum bytes of all files; zero: unlimited.
    pub max_total_bytes: u64,
    /// Bytes of the files that clients stored for one device; zero: no limit.
    pub max_bytes_per_device: u64,
    /// Bytes of files that the clients of one device may send in a minute; zero: no limit.
    pub max_upload_bytes_per_minute: u64,
    /// Free bytes of the disk that uploads and imports require; zero: not checked.
    pub min_free_bytes: u64,
    /// The same in percent of the disk; the smaller of both applies.
    pub min_free_percent: u64,
    /// Lifetime of a file after it was last stored; zero: unlimited.
    pub keep_ms: i64,
    /// Time limit for fetching a file, in milliseconds.
    pub fetch_timeout_ms: u64,
}

/// Limits of imports.
#[derive(Debug, Clone)]
pub struct ImportLimits {
    /// Directory of exports while they are imported.
    pub dir: PathBuf,
    /// Maximum bytes of an upload.
    pub max_bytes: u64,
    /// Maximum bytes of an unpacked archive.
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
