//! The surfaces: REST under `/api/v1` with its probes and documentation ([`http`]), and Socket.IO ([`socket`]).
//! Both authenticate by [`auth`], read typed requests and call services; they contain no rules of their own.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};

use self::host_rule::HostRule;
use self::socket::SocketServer;
use crate::domain::ip_block::IpBlock;
use crate::domain::origin::OriginPattern;
use crate::service::Services;

pub mod auth;
mod chat_cookies;
mod chat_webhooks;
mod connections;
mod host_rule;
pub mod http;
mod key_streams;
mod own_origin;
mod session_cookie;
pub mod socket;

pub use connections::{ConnectionHandle, ConnectionLimits, ConnectionPermit, Connections};
pub use key_streams::{KeyStreams, StreamPermit, TooManyStreams};
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
    /// Maximum event streams and Socket.IO sessions of one key.
    pub max_streams_per_key: usize,
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

/// All surfaces. Clones share their state.
#[derive(Clone)]
pub struct Surfaces(Arc<SurfaceParts>);

struct SurfaceParts {
    host_rule: HostRule,
    sockets: SocketServer,
    rest: http::Rest,
}

impl Surfaces {
    /// Needs the runtime: the socket server spawns tasks.
    #[must_use]
    pub fn open(services: Services, config: ApiConfig) -> Self {
        if let Some(chat) = &services.chat {
            chat_webhooks::start(&services, chat);
        }
        let config = Arc::new(config);
        let tries = Arc::new(auth::FailedLogins::new(config.failed_tries_per_minute));
        let streams = KeyStreams::new(config.max_streams_per_key);
        let rest =
            http::rest(services.clone(), Arc::clone(&config), Arc::clone(&tries), Arc::clone(&streams));
        let host_rule = HostRule::new(&config);
        let sockets = SocketServer::open(services, &config, tries, streams);
        Self(Arc::new(SurfaceParts { host_rule, sockets, rest }))
    }

    /// Answers a request, which has its peer's [`axum::extract::ConnectInfo`] and its [`ConnectionHandle`] as extensions.
    pub fn respond(&self, request: Request) -> impl Future<Output = Response> + Send + use<> {
        let parts = Arc::clone(&self.0);
        async move {
            if let Err(error) = parts.host_rule.check(&request) {
                return error.into_response();
            }
            if parts.sockets.serves(request.uri().path()) {
                return parts.sockets.respond(request).await.unwrap_or_else(|never| match never {});
            }
            parts.rest.respond(request).await
        }
    }
}

/// The OpenAPI 3.1 document of the REST interface, as indented JSON that ends in a line end.
#[must_use]
pub fn openapi_json() -> String {
    http::openapi_json()
}
