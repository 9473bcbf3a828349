//! Device namespaces over Socket.IO, as specified by `device-socket.md`.
//!
//! A request passes [`origin`] (foreign browsers), CORS, and [`engine_io`] (answers that the library gets
//! wrong, and memory that it would keep) before the library. [`namespaces`] registers one namespace for each
//! device, and [`namespace_guard`] authorizes its connections by their [`credentials`]. `/devices` has the live
//! events of all devices of a key ([`fleet_namespace`], [`fleet_forward`]). Each admitted socket has a forwarder
//! ([`forward`]: snapshots and replay), shares the group of its device ([`fan_out`]: live events), and has a worker
//! ([`request_queue`]: requests in order), all bounded. [`operator_chat`] serves the sockets of chat on a path of its
//! own, while chat is enabled.
//!
//! Invariants: there is no namespace without a device; a session id, which is the library's id of a
//! socket, is never shown or logged; a slow client costs its bounded buffer and delays no other client.

mod anonymous_sessions;
mod chat_cookies;
mod client_events;
mod credentials;
mod engine_io;
mod fan_out;
mod fleet_forward;
mod fleet_namespace;
mod forward;
mod namespace_guard;
mod namespaces;
mod operator_chat;
mod origin;
mod payload;
mod reply;
mod request_error;
mod request_queue;
mod session;
mod unknown_namespace;

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::Method;
use axum::middleware::from_fn_with_state;
use axum::routing::future::RouteFuture;
use socketioxide::service::SocketIoService;
use socketioxide::{ParserConfig, SocketIo};
use tower::Service as _;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use crate::api::auth::FailedLogins;
use crate::api::{ApiConfig, KeyStreams, OwnOrigin, SocketConfig};
use crate::domain::ip_block::IpBlock;
use crate::domain::origin::OriginPattern;
use crate::service::Services;

pub use self::anonymous_sessions::AnonymousLimits;
use self::anonymous_sessions::AnonymousSessions;
use self::engine_io::EngineIo;
use self::fan_out::FanOut;
use self::namespaces::Namespaces;
use self::operator_chat::ChatPath;

/// Bytes of the buffer that each WebSocket reads into; larger messages grow it while they last.
const READ_BUFFER_BYTES: usize = 1024;
/// Binary attachments that one packet may announce. No event has any.
const MAX_ATTACHMENTS: usize = 16;

/// The state of all sockets.
struct Shared {
    services: Services,
    socket: SocketConfig,
    text_max_chars: usize,
    trusted_proxies: Vec<IpBlock>,
    own_origin: Arc<OwnOrigin>,
    allowed_origins: Arc<[OriginPattern]>,
    failed_tries: Arc<FailedLogins>,
    streams: Arc<KeyStreams>,
    fan_out: Arc<FanOut>,
}

/// The Socket.IO server. Time limits, compression and the like do not apply to it.
pub struct SocketServer {
    path: Arc<str>,
    /// Whether the paths of chat exist too. The library serves one path, so that the others are rewritten.
    has_chat: bool,
    routes: Router,
    /// Answers a request for [`ChatPath::ApiSocket`] that is none of Socket.IO.
    status: Router,
}

impl SocketServer {
    /// Needs the runtime: it spawns the task that follows the lifecycle of devices.
    pub fn open(
        services: Services,
        config: &ApiConfig,
        failed_tries: Arc<FailedLogins>,
        streams: Arc<KeyStreams>,
    ) -> Self {
        let (service, io) = server(config);
        let own_origin = Arc::new(config.own_origin.clone());
        let allowed: Arc<[_]> = config.allowed_origins.as_slice().into();
        let shared = Arc::new(Shared {
            services,
            socket: config.socket.clone(),
            text_max_chars: config.text_max_chars,
            trusted_proxies: config.trusted_proxies.clone(),
            own_origin: own_origin.clone(),
            allowed_origins: allowed.clone(),
            failed_tries,
            streams,
            fan_out: Arc::default(),
        });
        let chat = shared.services.chat.clone();
        let services = shared.services.clone();
        if let Some(chat) = &chat {
            operator_chat::open(&io, &shared, chat);
        }
        let sessions = AnonymousSessions::new(config.socket.anonymous);
        let namespaces = Namespaces::open(io, shared.clone());
        let protocol = EngineIo::new(shared, namespaces, sessions, config);
        let routes = Router::new()
            .fallback_service(service)
            .layer(from_fn_with_state(protocol, engine_io::keep))
            .layer(cors(&allowed))
            .layer(from_fn_with_state((allowed.clone(), own_origin), origin::refuse_foreign));
        let status = Router::new().fallback(operator_chat::status).layer(cors(&allowed)).with_state(services);
        Self { path: config.socket_path.as_str().into(), has_chat: chat.is_some(), routes, status }
    }

    /// Whether this is one of the server's paths.
    pub fn serves(&self, path: &str) -> bool {
        is_path(path, &self.path) || self.chat_path(path).is_some()
    }

    /// Answers a request for one of the server's paths.
    pub fn respond(&self, request: Request) -> RouteFuture<Infallible> {
        let Some(path) = self.chat_path(request.uri().path()) else {
            return self.routes.clone().call(request);
        };
        let is_status = path == ChatPath::ApiSocket
            && *request.method() == Method::GET
            && request.uri().query().is_none_or(str::is_empty);
        if is_status {
            return self.status.clone().call(request);
        }
        self.routes.clone().call(self.as_chat_request(request, path))
    }

    fn chat_path(&self, path: &str) -> Option<ChatPath> {
        ChatPath::ALL.into_iter().find(|known| self.has_chat && is_path(path, known.as_str()))
    }

    /// The request on the library's path, marked as one of chat.
    fn as_chat_request(&self, mut request: Request, path: ChatPath) -> Request {
        let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
        if let Ok(uri) = format!("{}/{query}", self.path).parse() {
            *request.uri_mut() = uri;
        }
        request.extensions_mut().insert(path);
        request
    }
}

fn is_path(path: &str, own: &str) -> bool {
    path.strip_prefix(own).is_some_and(|rest| matches!(rest, "" | "/"))
}

/// The library's server. Nothing is behind it: [`SocketServer::respond`] passes its own requests only.
fn server(config: &ApiConfig) -> (SocketIoService<Router>, SocketIo) {
    let socket = &config.socket;
    let largest = socket.max_payload_bytes;
    let parser =
        ParserConfig::common().max_incoming_binary_buf_size(largest).max_incoming_binaries(MAX_ATTACHMENTS);
    SocketIo::builder()
        .req_path(config.socket_path.clone())
        .ping_interval(socket.ping_interval)
        .ping_timeout(socket.ping_timeout)
        .connect_timeout(socket.connect_timeout)
        .max_buffer_size(socket.buffer_packets)
        .max_payload(u64::try_from(largest).unwrap_or(u64::MAX))
        // The one above covers polling only.
        .ws_max_message_size(largest)
        .ws_max_frame_size(largest)
        .ws_read_buffer_size(READ_BUFFER_BYTES)
        .with_parser(parser)
        .build_with_inner_svc(Router::new())
}

/// The library has no CORS of its own, and browsers poll across origins. The allowed origins are checked
/// by [`origin::refuse_foreign`].
fn cors(allowed: &Arc<[OriginPattern]>) -> CorsLayer {
    let allowed = allowed.clone();
    let origins = AllowOrigin::predicate(move |origin, _| origin::is_allowed(origin, &allowed));
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(AllowHeaders::mirror_request())
        .allow_credentials(true)
}
