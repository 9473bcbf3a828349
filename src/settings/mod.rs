//! The typed configuration and its sources.
//!
//! - `config/default.toml` documents every key and is compiled in as the lowest layer.
//! - `load` adds a file and the environment, and rejects unknown keys.
//! - `validate` rejects values that have the correct type but are invalid.
//! - [`declared`] reads declared devices (`devices/*.toml`), which are not settings of the daemon.
//!
//! Invariants: every existing `Settings` has passed all checks; neither `Debug` nor serialisation shows a
//! secret; this module does not read the process's environment, except for [`process_environment`].

mod chat;
pub mod declared;
mod describe;
mod effects;
mod error;
mod load;
mod notify;
mod secret;
mod secret_file;
mod tree;
mod validate;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use crate::domain::ip_block::{InvalidIpBlock, IpBlock};
pub use crate::domain::origin::{InvalidOriginPattern, OriginPattern};
pub use crate::domain::outbox::Zone;
pub use crate::domain::webhook::RetryDelay;
pub use chat::{
    AssignMode, ChatDialect, ChatSettings, DirectorySettings, EchoMode, IdentitySettings, ReadMode,
};
pub use declared::{DeclaredDevice, DeclaredError, DeclaredInboxGrant, DeclaredWebhook, load_declared};
pub use describe::DescribedSetting;
pub use effects::{CommandSettings, DesktopSettings, EffectSettings, PushSettings, SoundSettings};
pub use error::SettingsError;
pub use load::{DEFAULT_TOML, process_environment};
pub use notify::{NamedCommandSettings, NotifySettings};
pub use secret::Secret;
pub use secret_file::{SecretFileError, secret_variable};

use describe::SettingSources;

/// The whole configuration. Field names are the keys of `config/default.toml`, which documents them.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Address, HTTP limits and shutdown.
    pub server: ServerSettings,
    /// The web interface.
    pub dashboard: DashboardSettings,
    /// Access tokens and failed logins.
    pub auth: AuthSettings,
    /// The database.
    pub store: StoreSettings,
    /// Pruning of old data.
    pub retention: RetentionSettings,
    /// Media files.
    pub media: MediaSettings,
    /// Log lines.
    pub log: LogSettings,
    /// Limits and defaults of devices.
    pub devices: DeviceSettings,
    /// Start and reconnection of devices.
    pub supervisor: SupervisorSettings,
    /// Attempts, limits and pacing of sending.
    pub outbox: OutboxSettings,
    /// Limits of messages from clients.
    pub messages: MessageSettings,
    /// Imports of chats.
    pub import: ImportSettings,
    /// Socket.IO.
    pub socket: SocketSettings,
    /// Callbacks of upstreams.
    pub callbacks: CallbackSettings,
    /// The engines.
    pub engines: EngineSettings,
    /// Webhook deliveries.
    pub webhooks: WebhookSettings,
    /// The desktop, sounds, commands and Web Push.
    pub effects: EffectSettings,
    /// Outgoing requests.
    pub net: NetSettings,
    /// Notifications and their rules.
    pub notify: NotifySettings,
    /// Operator chat.
    pub chat: ChatSettings,
    #[serde(skip)]
    sources: SettingSources,
}

/// `[server]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ServerSettings {
    /// Address to listen on; port 0 selects any free port.
    pub listen: SocketAddr,
    /// Socket.IO path; begins with `/`, does not end with `/`.
    pub socket_path: String,
    /// Origins allowed by CORS and by Socket.IO's Origin check.
    pub allowed_origins: Vec<OriginPattern>,
    /// Peers whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: Vec<IpBlock>,
    /// External base URL, or empty.
    pub public_url: String,
    /// Milliseconds until a request is answered 503.
    pub request_timeout_ms: u64,
    /// Maximum bytes of a request body.
    pub body_limit_bytes: usize,
    /// Time limit of draining, in milliseconds.
    pub shutdown_timeout_ms: u64,
    /// Milliseconds of `TCP_USER_TIMEOUT` on accepted sockets; 0 leaves the system's default.
    pub tcp_user_timeout_ms: u64,
    /// Time limit for the head of a request, in milliseconds.
    pub header_timeout_ms: u64,
    /// Maximum idle milliseconds of a connection between two requests.
    pub keep_alive_ms: u64,
    /// Maximum client connections; 0 derives the limit from that of open files.
    pub max_connections: usize,
    /// Maximum connections per address without a valid key.
    pub max_unauthenticated_per_address: usize,
    /// Maximum event streams and Socket.IO sessions of one key.
    pub max_streams_per_key: usize,
}

/// `[dashboard]`
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DashboardSettings {
    /// Whether `/` serves the dashboard.
    pub enabled: bool,
}

/// `[webhooks]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSettings {
    /// Maximum webhooks.
    pub max_endpoints: usize,
    /// Maximum webhooks per device.
    pub max_per_device: usize,
    /// Maximum concurrent tests.
    pub max_tests: usize,
    /// Maximum concurrent tests per device.
    pub max_tests_per_device: usize,
    /// Maximum tests in a minute per device.
    pub max_tests_per_minute: u64,
    /// Maximum recorded attempts per second and webhook.
    pub max_attempts_per_second: usize,
    /// Time limit of an attempt, in milliseconds.
    pub timeout_ms: u64,
    /// Delays between attempts.
    pub retry_delays: Vec<RetryDelay>,
    /// Maximum concurrent deliveries.
    pub max_in_flight: usize,
    /// Maximum concurrent deliveries per webhook.
    pub max_in_flight_per_endpoint: usize,
    /// Milliseconds of failure after which a webhook is disabled.
    pub disable_after_ms: u64,
    /// Maximum waiting deliveries per webhook.
    pub max_waiting: usize,
    /// Retention of dead letters in days; 0 keeps them for ever.
    pub dead_letters_days: u32,
    /// Retention of attempts in days; 0 keeps them for ever.
    pub attempts_days: u32,
}

/// `[auth]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AuthSettings {
    /// The meaning of a socket's access token.
    pub access_token: AccessTokenMode,
    /// HS256 key, or empty.
    pub jwt_secret: Secret,
    /// URL of a JWK set, or empty.
    pub jwks_url: String,
    /// Required `aud`, or empty.
    pub jwt_audience: String,
    /// Maximum failed logins per address and minute.
    pub failed_tries_per_minute: u32,
}

/// The meaning of a socket's `access-token`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AccessTokenMode {
    /// Any text; labels the operator and grants nothing.
    Label,
    /// A valid JSON Web Token.
    Jwt,
}

/// `[store]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct StoreSettings {
    /// Directory of all persistent data.
    pub data_dir: PathBuf,
    /// SQLite's `synchronous`.
    pub synchronous: Synchronous,
    /// Maximum writes in the queue of the writer thread.
    pub write_queue: usize,
    /// Number of reading connections.
    pub readers: usize,
    /// Milliseconds between two checks that the data files were not replaced.
    pub file_check_ms: u64,
    /// Bytes of the disk that are reserved for a start on a full disk.
    pub reserve_bytes: u64,
    /// Base64 of the 32-byte key that encrypts secrets, or empty.
    pub vault_key: Secret,
}

/// SQLite's `synchronous` pragma in WAL mode.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Synchronous {
    /// Commits survive a power cut.
    Full,
    /// Commits survive a crash of the process only.
    Normal,
}

/// `[retention]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionSettings {
    /// Retention of events in days; 0 keeps them for ever.
    pub events_days: u32,
    /// Retention of messages in days; 0 keeps them for ever.
    pub messages_days: u32,
    /// Retention of files in days after they last arrived; 0 keeps them for ever.
    pub media_days: u32,
    /// Milliseconds between two retention sweeps.
    pub sweep_interval_ms: u64,
}

/// `[media]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MediaSettings {
    /// Maximum bytes of a file.
    pub max_bytes: u64,
    /// Maximum bytes of all files; 0 is unlimited.
    pub max_total_bytes: u64,
    /// Maximum bytes of the files that clients stored for one device; 0 is unlimited.
    pub max_bytes_per_device: u64,
    /// Maximum bytes of files that the clients of one device send in a minute; 0 is unlimited.
    pub max_upload_bytes_per_minute: u64,
    /// Free bytes that uploads and imports require.
    pub min_free_bytes: u64,
    /// Free space in percent of the disk that uploads and imports require.
    pub min_free_percent: u64,
    /// Time limit for fetching a file, in milliseconds.
    pub fetch_timeout_ms: u64,
    /// Storage of files.
    pub backend: MediaBackend,
    /// Name of the bucket, with [`MediaBackend::S3`].
    pub s3_bucket: String,
    /// URL of the S3 server; empty for the server of the region.
    pub s3_endpoint: String,
    /// Region of the bucket.
    pub s3_region: String,
    /// Id of the access key.
    pub s3_access_key_id: String,
    /// Secret of the access key.
    pub s3_secret_access_key: Secret,
}

/// Storage of media files.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MediaBackend {
    /// In the data directory.
    Files,
    /// In a bucket.
    S3,
}

/// `[log]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    /// `tracing` filter directives.
    pub level: String,
    /// Format of a line.
    pub format: LogFormat,
    /// API requests that are logged at `info`.
    pub requests: RequestLog,
    /// Milliseconds after which a request is slow.
    pub slow_request_ms: u64,
}

/// API requests that are logged at `info`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RequestLog {
    /// Failed and slow requests.
    Problems,
    /// All requests.
    All,
}

/// Format of log lines.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text for people.
    Text,
    /// One JSON object per line.
    Json,
}

/// `[devices]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceSettings {
    /// Directory of declared devices.
    pub dir: PathBuf,
    /// Maximum devices.
    pub max: usize,
    /// Engine of a device without one; see [`Settings::default_engine`] for `auto`.
    pub default_engine: String,
}

/// `[supervisor]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SupervisorSettings {
    /// Milliseconds before the first retry.
    pub backoff_initial_ms: u64,
    /// Maximum milliseconds between retries.
    pub backoff_max_ms: u64,
    /// Maximum devices that begin to connect per second.
    pub start_ramp_per_second: u32,
    /// Maximum devices that connect concurrently.
    pub max_connecting: usize,
    /// Consecutive panics after which a device is failed.
    pub panics_before_failed: u32,
    /// Milliseconds without data after which a connected device is degraded; 0 disables it.
    pub degraded_after_ms: u64,
}

/// `[outbox]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct OutboxSettings {
    /// Maximum queued messages per device.
    pub max_queued: usize,
    /// Maximum chats per device that are sent to concurrently.
    pub in_flight: usize,
    /// Maximum attempts per message.
    pub max_attempts: u32,
    /// Milliseconds between two attempts.
    pub retry_delay_ms: u64,
    /// Milliseconds until an unknown outcome counts as failed.
    pub unknown_after_ms: u64,
    /// Minimum milliseconds between messages.
    pub min_delay_ms: u64,
    /// Maximum milliseconds between messages; not below `min_delay_ms`.
    pub max_delay_ms: u64,
    /// Maximum messages in any 60 seconds; 0 is unlimited.
    pub messages_per_minute: u32,
    /// Maximum messages in any 10 seconds; 0 is unlimited.
    pub burst_limit: u32,
    /// Maximum messages in any 24 hours; 0 is unlimited.
    pub messages_per_day: u32,
    /// Maximum new chats in any 24 hours; 0 is unlimited.
    pub new_chats_per_day: u32,
    /// Start of the quiet hours, or empty.
    pub quiet_from: String,
    /// End of the quiet hours, or empty.
    pub quiet_to: String,
    /// Time zone of the quiet hours.
    pub time_zone: Zone,
    /// Milliseconds of typing before each message; 0 disables it.
    pub typing_delay_ms: u64,
}

/// `[messages]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MessageSettings {
    /// Maximum characters of a text.
    pub text_max_chars: usize,
    /// Milliseconds for which an `Idempotency-Key` is stored.
    pub idempotency_ttl_ms: u64,
}

/// `[import]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ImportSettings {
    /// Maximum bytes of an export as uploaded.
    pub max_bytes: u64,
    /// Maximum bytes of an unpacked archive.
    pub max_unpacked_bytes: u64,
    /// Maximum concurrent imports.
    pub max_running: usize,
    /// Maximum concurrent imports per device.
    pub max_running_per_device: usize,
    /// Minimum average rate of a request body.
    pub min_bytes_per_second: u64,
    /// Milliseconds of waiting for a client before the minimum rate applies.
    pub grace_ms: u64,
}

/// `[callbacks]`
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CallbackSettings {
    /// Time limit for the first byte of a body, in milliseconds.
    pub first_byte_timeout_ms: u64,
    /// Minimum rate of a body.
    pub min_bytes_per_second: u64,
    /// Maximum unfinished bodies per address.
    pub max_unfinished_per_address: usize,
}

/// `[socket]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SocketSettings {
    /// Milliseconds between heartbeats.
    pub ping_interval_ms: u64,
    /// Time limit of a heartbeat's answer, in milliseconds.
    pub ping_timeout_ms: u64,
    /// Time limit for joining a namespace, in milliseconds.
    pub connect_timeout_ms: u64,
    /// Maximum sessions per address without a namespace.
    pub max_anonymous_per_address: usize,
    /// Maximum sessions without a namespace.
    pub max_anonymous: usize,
    /// Refused namespaces without a valid key after which a session ends.
    pub max_refusals: u32,
    /// Maximum buffered packets per client.
    pub buffer_packets: usize,
    /// Maximum queued client events per socket.
    pub inbound_queue: usize,
    /// Maximum bytes of a packet from a client.
    pub max_payload_bytes: usize,
    /// Milliseconds after which a client that reads nothing is disconnected.
    pub stall_timeout_ms: u64,
    /// Events read from the log at a time during replay.
    pub replay_page: usize,
}

/// `[engines]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct EngineSettings {
    /// The simulator.
    pub simulator: SimulatorSettings,
    /// The native engine.
    pub whatsapp: WhatsAppSettings,
    /// Meta's WhatsApp Cloud API.
    pub cloud_api: UpstreamSettings,
    /// Sessions of WAHA servers.
    pub waha: UpstreamSettings,
    /// Devices of other Wharf daemons and compatible back ends. `wwebjs` is its former name.
    pub remote: UpstreamSettings,
}

/// `[engines.cloud_api]`, `[engines.waha]`, `[engines.remote]`
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct UpstreamSettings {
    /// Whether devices may use the engine.
    pub enabled: bool,
}

/// `[engines.whatsapp]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct WhatsAppSettings {
    /// Whether devices may use the engine.
    pub enabled: bool,
    /// URL of the testbed that replaces the network, or empty.
    pub testbed_url: String,
}

/// `[engines.simulator]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SimulatorSettings {
    /// Whether devices may use the engine; see [`Settings::simulator_enabled`] for `auto`.
    pub enabled: Switch,
    /// Maximum bytes of each of the two files of a simulated network's ledger; when one is full, it replaces
    /// the older.
    pub journal_max_bytes: u64,
}

/// On, off, or decided by the environment. Serialised as `true`, `false` or `"auto"`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Switch {
    /// Decided by the environment.
    Auto,
    /// Always on.
    On,
    /// Always off.
    Off,
}

impl Serialize for Switch {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::On => serializer.serialize_bool(true),
            Self::Off => serializer.serialize_bool(false),
        }
    }
}

impl<'de> Deserialize<'de> for Switch {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Raw {
            Bool(bool),
            Word(String),
        }
        match Raw::deserialize(deserializer)? {
            Raw::Bool(true) => Ok(Self::On),
            Raw::Bool(false) => Ok(Self::Off),
            Raw::Word(word) if word == "auto" => Ok(Self::Auto),
            Raw::Word(_) => Err(serde::de::Error::custom("must be true, false or \"auto\"")),
        }
    }
}

/// `[net]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NetSettings {
    /// Private networks that outgoing requests may reach.
    pub allow_private: Vec<IpBlock>,
    /// Time limit of an outgoing request, in milliseconds.
    pub timeout_ms: u64,
    /// HTTP proxy for webhooks, or empty.
    pub proxy: String,
}

impl Settings {
    /// Whether devices may use the simulator; `auto` permits it only while listening on loopback.
    pub fn simulator_enabled(&self) -> bool {
        match self.engines.simulator.enabled {
            Switch::On => true,
            Switch::Off => false,
            Switch::Auto => self.server.listen.ip().to_canonical().is_loopback(),
        }
    }

    /// The engine of a device without one; `auto` selects the simulator if enabled, otherwise the native
    /// engine.
    pub fn default_engine(&self) -> &str {
        match self.devices.default_engine.as_str() {
            "auto" if self.simulator_enabled() => "simulator",
            "auto" => "whatsapp",
            engine => engine,
        }
    }

    /// Returns the effective configuration as TOML with masked secrets.
    ///
    /// # Errors
    /// [`SettingsError::Render`] if a value has no TOML form; every validated value has one.
    pub fn effective_toml_masked(&self) -> Result<String, SettingsError> {
        toml::to_string(self).map_err(|source| SettingsError::Render { source })
    }
}
