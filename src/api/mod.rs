//! The surfaces: REST under `/api/v1` with its probes and documentation ([`http`]), and Socket.IO
//! ([`socket`]). Both authenticate by [`auth`], read typed requests and call services; they contain no rules
//! of their own.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;

use crate::domain::ip_block::IpBlock;
use crate::domain::origin::OriginPattern;
use crate::service::Services;

pub mod auth;
mod connections;
mod host_rule;
pub mod http;
mod own_origin;
mod session_cookie;
pub mod socket;

pub use connections::{ConnectionHandle, ConnectionLimits, ConnectionPermit, Connections};
pub use own_origin::OwnOrigin;

/// The configuration of the surfaces; the composition root fills it from the settings.
#[derive(Debug, Clone)]
pub struct ApiConfig {
    /// URL path of the Socket.IO server.
    pub socket_path: String,
    /// Browser origins that may use REST (CORS) and open sockets.
    pub allowed_origins: Vec<OriginPattern>,
    /// Reverse proxies whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: Vec<IpBlock>,
    /// Whether the daemon listens on a loopback address.
    pub listens_on_loopback: bool,
    /// A request that takes longer is answered 503. Event streams and sockets are exempt.
    pub request_timeout: Duration,
    /// Whether all requests are logged at `info`, instead of failed and slow ones.
    pub logs_all_requests: bool,
    /// A request that takes longer is slow.
    pub slow_request: Duration,
    /// Largest accepted request body, in bytes.
    pub body_limit: usize,
    /// Longest text of a message, in characters.
    pub text_max_chars: usize,
    /// Failed logins of one address in a minute that are answered 401; further ones are answered 429.
    pub failed_tries_per_minute: u32,
    /// The limits of callbacks that are being read.
    pub callbacks: http::CallbackLimits,
    /// The limits of sockets.
    pub socket: SocketConfig,
    /// Whether the simulator's control API exists.
    pub simulator_enabled: bool,
    /// Whether the dashboard is served.
    pub dashboard_enabled: bool,
    /// The settings in effect, without secrets.
    pub settings: Arc<[EffectiveSetting]>,
    /// The origin of the dashboard's pages.
    pub own_origin: OwnOrigin,
    /// The engine of a device that names none.
    pub default_engine: String,
    /// Devices that may exist.
    pub max_devices: usize,
    /// Bytes of the largest file of a message.
    pub media_max_bytes: u64,
    /// The URL under which clients reach the daemon, without a slash at its end; empty if not configured.
    pub public_url: String,
}

/// A setting in effect.
#[derive(Debug, Clone)]
pub struct EffectiveSetting {
    /// Its key.
    pub key: String,
    /// Its value; secrets are masked.
    pub value: serde_json::Value,
    /// Its source.
    pub source: String,
}

/// The limits of sockets.
#[derive(Debug, Clone)]
pub struct SocketConfig {
    /// The interval of heartbeats.
    pub ping_interval: Duration,
    /// The time after which a client without an answer to a heartbeat is disconnected.
    pub ping_timeout: Duration,
    /// The time after which a connection without a namespace is closed.
    pub connect_timeout: Duration,
    /// The limits of sessions without a namespace.
    pub anonymous: socket::AnonymousLimits,
    /// The most queued packets of one client.
    pub buffer_packets: usize,
    /// The most queued events of one socket.
    pub inbound_queue: usize,
    /// Largest packet accepted, in bytes.
    pub max_payload_bytes: usize,
    /// The time after which a client that receives nothing is cut.
    pub stall_timeout: Duration,
}

/// The router of all surfaces. Needs the runtime: it spawns the tasks of the socket server.
pub fn router(services: Services, config: ApiConfig) -> Router {
    let config = Arc::new(config);
    let tries = Arc::new(auth::FailedLogins::new(config.failed_tries_per_minute));
    let rest = http::router(services.clone(), Arc::clone(&config), Arc::clone(&tries));
    let host_rule = Arc::new(host_rule::HostRule::new(&config));
    socket::mount(rest, services, &config, tries).layer(from_fn_with_state(host_rule, host_rule::check))
}

/// The OpenAPI 3.1 document of the REST interface, as indented JSON that ends in a line end.
#[must_use]
pub fn openapi_json() -> String {
    http::openapi_json()
}
