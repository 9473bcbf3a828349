//! The surfaces: REST under `/api/v1` with its probes and documentation ([`http`]), and Socket.IO
//! ([`socket`]). What both share: who may come in ([`auth`]) and how a message to be sent reads
//! ([`send_request`]).
//!
//! Invariant: a surface decides nothing; it checks who asks and what for, calls the service, and says what
//! came of it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;

use crate::domain::cidr::Cidr;
use crate::domain::origin::OriginPattern;
use crate::service::Services;

pub mod auth;
pub mod http;
pub mod send_request;
pub mod socket;

/// What the surfaces need to know; the composition root fills it from the settings.
#[derive(Debug, Clone)]
pub struct ApiConfig {
    /// URL path of the Socket.IO server.
    pub socket_path: String,
    /// Browser origins that may use REST (CORS) and open sockets.
    pub allowed_origins: Vec<OriginPattern>,
    /// Reverse proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Cidr>,
    /// A request that takes longer is answered 503. Event streams and sockets are exempt.
    pub request_timeout: Duration,
    /// Largest accepted request body, in bytes.
    pub body_limit: usize,
    /// Longest text of a message, in characters.
    pub text_max_chars: usize,
    /// Failed key tries of one address in a minute that are answered 401; further ones are answered 429.
    pub failed_tries_per_minute: u32,
    /// What sockets keep to.
    pub socket: SocketConfig,
    /// Whether the simulator's control API exists.
    pub simulator_enabled: bool,
    /// The URL under which clients reach the daemon, without a slash at its end; empty when not known.
    pub public_url: String,
}

/// What sockets keep to.
#[derive(Debug, Clone)]
pub struct SocketConfig {
    /// Between two heartbeats.
    pub ping_interval: Duration,
    /// A client that does not answer a heartbeat for so long is disconnected.
    pub ping_timeout: Duration,
    /// A connection that joins no namespace for so long is closed.
    pub connect_timeout: Duration,
    /// Packets that may wait for one client.
    pub buffer_packets: usize,
    /// Events of one socket that may wait to be handled.
    pub inbound_queue: usize,
    /// Largest packet accepted, in bytes.
    pub max_payload_bytes: usize,
    /// A client that takes none of its packets for so long is cut.
    pub stall_timeout: Duration,
}

/// Everything that listens. Needs the runtime: tasks of the socket server start here.
pub fn router(services: Services, config: ApiConfig) -> Router {
    let config = Arc::new(config);
    let tries = Arc::new(auth::FailedTries::new(config.failed_tries_per_minute));
    let rest = http::router(services.clone(), Arc::clone(&config), Arc::clone(&tries));
    socket::mount(rest, services, &config, tries)
}

/// The OpenAPI 3.1 document of the REST interface, as indented JSON that ends in a line end.
#[must_use]
pub fn openapi_json() -> String {
    http::openapi_json()
}
