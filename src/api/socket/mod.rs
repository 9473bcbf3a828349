//! Device namespaces over Socket.IO, as `device-socket.md` has them.
//!
//! A request passes [`origin`] (foreign browsers), CORS, and [`protocol`] (what the library answers wrongly
//! or would keep too much of) before the library sees it. [`namespaces`] registers one namespace for each
//! device that exists; [`connect`] is the door to each. Behind it, each socket has a forwarder
//! ([`forward`]: events out) and a worker ([`requests`]: requests in, in order), both bounded.
//!
//! Invariants: there is no namespace without a device; a session id, which is what the library calls a
//! socket's id, is never shown or logged; a slow client costs its bounded buffer and delays nobody.

mod calls;
mod connect;
mod forward;
mod namespaces;
mod origin;
mod payload;
mod problem;
mod protocol;
mod reply;
mod requests;
mod session;

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::Request;
use axum::http::Method;
use axum::middleware::from_fn_with_state;
use axum::routing::future::RouteFuture;
use socketioxide::service::SocketIoService;
use socketioxide::{ParserConfig, SocketIo};
use tower::Service;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use crate::api::auth::FailedTries;
use crate::api::{ApiConfig, SocketConfig};
use crate::domain::cidr::Cidr;
use crate::domain::origin::OriginPattern;
use crate::service::Services;

use self::namespaces::Namespaces;
use self::protocol::Protocol;

/// Bytes of the buffer that each WebSocket reads into; larger messages grow it while they last.
const READ_BUFFER_BYTES: usize = 1024;
/// Binary attachments that one packet may announce. No event takes any.
const MAX_ATTACHMENTS: usize = 16;

/// What all sockets share.
struct Shared {
    services: Services,
    socket: SocketConfig,
    text_max_chars: usize,
    trusted_proxies: Vec<Cidr>,
    failed_tries: Arc<FailedTries>,
}

/// Puts the Socket.IO server in front of `rest`, on the configured path. Call it last: time limits,
/// compression and the like must not apply to sockets.
///
/// Needs the runtime: the task that follows devices coming and going starts here.
pub fn mount(rest: Router, services: Services, config: &ApiConfig, failed_tries: Arc<FailedTries>) -> Router {
    let (service, io) = server(config);
    let draining = services.tasks().soft().clone();
    let shared = Shared {
        services,
        socket: config.socket.clone(),
        text_max_chars: config.text_max_chars,
        trusted_proxies: config.trusted_proxies.clone(),
        failed_tries,
    };
    let namespaces = Namespaces::open(io, Arc::new(shared));
    let protocol = Protocol::new(draining, namespaces, config.request_timeout);
    let allowed: Arc<[_]> = config.allowed_origins.as_slice().into();
    let sockets = Router::new()
        .fallback_service(service)
        .layer(from_fn_with_state(protocol, protocol::keep))
        .layer(cors(&allowed))
        .layer(from_fn_with_state(allowed, origin::refuse_foreign));
    let fork = Fork { path: config.socket_path.as_str().into(), sockets, rest };
    Router::new().fallback_service(fork)
}

/// The library's server. Nothing is behind it: [`Fork`] lets only its own requests through.
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

/// The library has no CORS of its own, and browsers poll across origins. Which origins may is decided
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

/// Sends requests for the Socket.IO path one way and all others the other. A route would panic at start
/// where the path is also one of the API's.
#[derive(Clone)]
struct Fork {
    path: Arc<str>,
    sockets: Router,
    rest: Router,
}

impl Fork {
    fn is_for_sockets(&self, path: &str) -> bool {
        path.strip_prefix(&*self.path).is_some_and(|rest| matches!(rest, "" | "/"))
    }
}

impl Service<Request> for Fork {
    type Response = axum::response::Response;
    type Error = Infallible;
    type Future = RouteFuture<Infallible>;

    /// Routers are always ready.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        match self.is_for_sockets(request.uri().path()) {
            true => self.sockets.call(request),
            false => self.rest.call(request),
        }
    }
}
