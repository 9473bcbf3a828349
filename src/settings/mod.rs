//! The typed configuration and its sources.
//!
//! - `config/default.toml` documents every key and is compiled in as the lowest layer.
//! - [`load`] adds a file and the environment, and rejects unknown keys.
//! - [`check`] rejects values that have the right type and are invalid.
//! - [`declared`] reads declared devices (`devices/*.toml`), which are not settings of the daemon.
//!
//! Invariants: a `Settings` that exists has passed every check; neither `Debug` nor serialisation
//! ever shows a secret; this module does not read the process's environment.

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
pub use chat::{ChatDialect, ChatSettings, IdentitySettings};
pub use declared::{DeclaredDevice, DeclaredError, DeclaredWebhook, load_declared};
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
    /// Listening, HTTP limits, shutdown.
    pub server: ServerSettings,
    /// The web interface.
    pub dashboard: DashboardSettings,
    /// Access tokens and failed logins.
    pub auth: AuthSettings,
    /// The database.
    pub store: StoreSettings,
    /// Pruning of old data.
    pub retention: RetentionSettings,
    /// Files of messages.
    pub media: MediaSettings,
    /// Log lines.
    pub log: LogSettings,
    /// All devices.
    pub devices: DeviceSettings,
    /// Starting and retrying devices.
    pub supervisor: SupervisorSettings,
    /// Sending and its pace.
    pub outbox: OutboxSettings,
    /// Limits of messages from clients.
    pub messages: MessageSettings,
    /// Imports of chats.
    pub import: ImportSettings,
    /// Socket.IO.
    pub socket: SocketSettings,
    /// Callbacks of upstreams.
    pub callbacks: CallbackSettings,
    /// Each engine's own section.
    pub engines: EngineSettings,
    /// Delivery of events.
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
    /// Address to listen on; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Socket.IO path: begins with `/`, does not end with one.
    pub socket_path: String,
    /// Origins allowed by CORS and by Socket.IO's Origin check.
    pub allowed_origins: Vec<OriginPattern>,
    /// Peers with a trusted `X-Forwarded-For`.
    pub trusted_proxies: Vec<IpBlock>,
    /// External base URL, or empty.
    pub public_url: String,
    /// Milliseconds until a request is answered 503.
    pub request_timeout_ms: u64,
    /// Bytes of the largest accepted request body.
    pub body_limit_bytes: usize,
    /// Milliseconds that draining may take.
    pub shutdown_timeout_ms: u64,
    /// Milliseconds of `TCP_USER_TIMEOUT` on accepted sockets; 0 leaves the system's default.
    pub tcp_user_timeout_ms: u64,
    /// Milliseconds until the head of a request is complete.
    pub header_timeout_ms: u64,
    /// Milliseconds that a connection may be idle between two requests.
    pub keep_alive_ms: u64,
    /// Most client connections; 0 derives the limit from that of open files.
    pub max_connections: usize,
    /// Most connections of one address without a valid key.
    pub max_unauthenticated_per_address: usize,
    /// Most event streams and Socket.IO sessions of one key.
    pub max_streams_per_key: usize,
}

/// `[dashboard]`
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DashboardSettings {
    /// Whether `/` is the dashboard.
    pub enabled: bool,
}

/// `[webhooks]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSettings {
    /// Most webhooks.
    pub max_endpoints: usize,
    /// Webhooks of one device.
    pub max_per_device: usize,
    /// Most tests at once.
    pub max_tests: usize,
    /// Most tests of one device at once.
    pub max_tests_per_device: usize,
    /// Attempts of one webhook that are recorded in a second.
    pub max_attempts_per_second: usize,
    /// Time limit of an attempt, in milliseconds.
    pub timeout_ms: u64,
    /// Delays between attempts.
    pub retry_delays: Vec<RetryDelay>,
    /// Most concurrent deliveries.
    pub max_in_flight: usize,
    /// Most concurrent deliveries to one webhook.
    pub max_in_flight_per_endpoint: usize,
    /// Milliseconds of failure after which a webhook is disabled.
    pub disable_after_ms: u64,
    /// Deliveries that may wait for one webhook.
    pub max_waiting: usize,
    /// Days that dead letters are kept; 0 is for ever.
    pub dead_letters_days: u32,
    /// Days that attempts are kept; 0 is for ever.
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
    /// Failed logins of one address in a minute.
    pub failed_tries_per_minute: u32,
}

/// The meaning of a socket's `access-token`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AccessTokenMode {
    /// Any text; names the operator and grants nothing.
    Label,
    /// A JSON Web Token that must be valid.
    Jwt,
}

/// `[store]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct StoreSettings {
    /// Directory of everything that must survive a restart.
    pub data_dir: PathBuf,
    /// SQLite's `synchronous`.
    pub synchronous: Synchronous,
    /// Writes that may wait for the writer.
    pub write_queue: usize,
    /// Reading connections.
    pub readers: usize,
    /// Milliseconds between two checks that the data files are the same.
    pub file_check_ms: u64,
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
    /// Days that events are kept; 0 is for ever.
    pub events_days: u32,
    /// Days that messages are kept; 0 is for ever.
    pub messages_days: u32,
    /// Days that files are kept after they last arrived; 0 is for ever.
    pub media_days: u32,
    /// Milliseconds between two prunings.
    pub sweep_interval_ms: u64,
}

/// `[media]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MediaSettings {
    /// Bytes of the largest file.
    pub max_bytes: u64,
    /// Bytes of all files; 0 is no limit.
    pub max_total_bytes: u64,
    /// Bytes of the files that clients stored for one device; 0 is no limit.
    pub max_bytes_per_device: u64,
    /// Bytes of files that the clients of one device may send in a minute; 0 is no limit.
    pub max_upload_bytes_per_minute: u64,
    /// Uploads and imports need this free space.
    pub min_free_bytes: u64,
    /// Or this part of the disk, in percent.
    pub min_free_percent: u64,
    /// Milliseconds that fetching a file may take.
    pub fetch_timeout_ms: u64,
    /// The location of files.
    pub backend: MediaBackend,
    /// Name of the bucket, with [`MediaBackend::S3`].
    pub s3_bucket: String,
    /// Address of the S3 server; empty for that of the region.
    pub s3_endpoint: String,
    /// Region of the bucket.
    pub s3_region: String,
    /// Name of the access key.
    pub s3_access_key_id: String,
    /// Secret of the access key.
    pub s3_secret_access_key: Secret,
}

/// The location of files.
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
    /// Shape of a line.
    pub format: LogFormat,
    /// The API requests that are logged at `info`.
    pub requests: RequestLog,
    /// Milliseconds after which a request is slow.
    pub slow_request_ms: u64,
}

/// The API requests that are logged at `info`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RequestLog {
    /// Failed and slow ones.
    Problems,
    /// All requests.
    All,
}

/// Shape of a log line.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object on each line.
    Json,
}

/// `[devices]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceSettings {
    /// Directory of declared devices.
    pub dir: PathBuf,
    /// Most devices that may exist.
    pub max: usize,
    /// Engine of a device that names none; see [`Settings::default_engine`] for the meaning of `auto`.
    pub default_engine: String,
}

/// `[supervisor]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SupervisorSettings {
    /// Milliseconds before the first retry.
    pub backoff_initial_ms: u64,
    /// Milliseconds of the longest wait.
    pub backoff_max_ms: u64,
    /// Devices that begin to connect in each second.
    pub start_ramp_per_second: u32,
    /// Devices that are connecting at once.
    pub max_connecting: usize,
    /// Panics in a row after which a device is failed.
    pub panics_before_failed: u32,
    /// Milliseconds of silence after which a connected device is degraded; 0 is never.
    pub degraded_after_ms: u64,
}

/// `[outbox]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct OutboxSettings {
    /// Messages that may wait, for each device.
    pub max_queued: usize,
    /// Chats of one device sent to at the same time.
    pub in_flight: usize,
    /// Attempts for one message.
    pub max_attempts: u32,
    /// Milliseconds between two attempts.
    pub retry_delay_ms: u64,
    /// Milliseconds until an unknown outcome counts as failed.
    pub unknown_after_ms: u64,
    /// Milliseconds of the shortest pause between messages.
    pub min_delay_ms: u64,
    /// Milliseconds of the longest pause; never below `min_delay_ms`.
    pub max_delay_ms: u64,
    /// Messages in any 60 seconds; 0 is no limit.
    pub messages_per_minute: u32,
    /// Messages in any 10 seconds; 0 is no limit.
    pub burst_limit: u32,
    /// Messages in any 24 hours; 0 is no limit.
    pub messages_per_day: u32,
    /// New chats in any 24 hours; 0 is no limit.
    pub new_chats_per_day: u32,
    /// Start of the quiet hours, or empty.
    pub quiet_from: String,
    /// Their end, or empty.
    pub quiet_to: String,
    /// The time zone of the quiet hours.
    pub time_zone: Zone,
    /// Milliseconds of typing before each message; 0 is none.
    pub typing_delay_ms: u64,
}

/// `[messages]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MessageSettings {
    /// Characters of the longest text.
    pub text_max_chars: usize,
    /// Milliseconds that an `Idempotency-Key` is stored.
    pub idempotency_ttl_ms: u64,
}

/// `[import]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ImportSettings {
    /// Bytes of the largest export, as it is sent.
    pub max_bytes: u64,
    /// Most bytes of an unpacked archive.
    pub max_unpacked_bytes: u64,
    /// Most concurrent imports.
    pub max_running: usize,
    /// Most concurrent imports into one device.
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
    /// Milliseconds until the first byte of a body.
    pub first_byte_timeout_ms: u64,
    /// The least rate of a body.
    pub min_bytes_per_second: u64,
    /// Unfinished bodies of one address.
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
    /// Milliseconds until a connection must have joined a namespace.
    pub connect_timeout_ms: u64,
    /// Sessions of one address without a namespace.
    pub max_anonymous_per_address: usize,
    /// Sessions without a namespace.
    pub max_anonymous: usize,
    /// Refused namespaces without a valid key after which a session ends.
    pub max_refusals: u32,
    /// Packets that may wait for one client.
    pub buffer_packets: usize,
    /// Client events of one socket that may wait.
    pub inbound_queue: usize,
    /// Bytes of the largest packet from a client.
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
    /// Whether it may be used.
    pub enabled: bool,
}

/// `[engines.whatsapp]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct WhatsAppSettings {
    /// Whether it may be used.
    pub enabled: bool,
    /// URL of the testbed that replaces the network, or empty.
    pub testbed_url: String,
}

/// `[engines.simulator]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SimulatorSettings {
    /// Whether it may be used; see [`Settings::simulator_enabled`] for the meaning of `auto`.
    pub enabled: Switch,
    /// Largest size in bytes of each of the two files of a simulated network's ledger; a full one replaces the older.
    pub journal_max_bytes: u64,
}

/// On, off, or decided by the environment. Written `true`, `false` or `"auto"`.
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
    /// An HTTP proxy for webhooks, or empty.
    pub proxy: String,
}

impl Settings {
    /// Whether devices may use the simulator: `auto` is yes exactly while listening on loopback.
    pub fn simulator_enabled(&self) -> bool {
        match self.engines.simulator.enabled {
            Switch::On => true,
            Switch::Off => false,
            Switch::Auto => self.server.listen.ip().to_canonical().is_loopback(),
        }
    }

    /// The engine of a device that names none: `auto` is the simulator where it is enabled, else the native engine.
    pub fn default_engine(&self) -> &str {
        match self.devices.default_engine.as_str() {
            "auto" if self.simulator_enabled() => "simulator",
            "auto" => "whatsapp",
            engine => engine,
        }
    }

    /// The effective configuration as TOML, secrets masked.
    ///
    /// # Errors
    /// [`SettingsError::Render`] if a value has no TOML form; every validated value has one.
    pub fn effective_toml_masked(&self) -> Result<String, SettingsError> {
        toml::to_string(self).map_err(|source| SettingsError::Render { source })
    }
}
