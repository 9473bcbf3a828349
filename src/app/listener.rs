//! The listening socket, and serving on it until the daemon drains.

use std::convert::Infallible;
use std::future::{Future as _, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::header::CONNECTION;
use axum::http::{Request, Response, StatusCode};
use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::StartError;
use super::client_stream::{ClientStream, ConnectionProgress, ConnectionTimeouts};
use super::process_limits;
use crate::api::{ConnectionHandle, ConnectionLimits, Connections, Surfaces};
use crate::lifecycle::Tasks;
use crate::settings::{ServerSettings, Settings};

/// The pause after a failed accept: the cause, such as missing file descriptors, lasts for a moment.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Minimum time between two equal log messages.
const LOG_PAUSE: Duration = Duration::from_secs(60);
/// Time after which an idle connection is probed, and between two probes.
const TCP_PROBE: Duration = Duration::from_secs(30);
/// File descriptors that client connections leave to the store, engines and webhooks.
const RESERVED_FILES: usize = 256;
/// Bytes that a connection buffers. A larger request head is answered with 431.
const READ_BUFFER_BYTES: usize = 64 * 1_024;
/// Delay of Socket.IO's own timer behind its setting.
const WEBSOCKET_GRACE: Duration = Duration::from_secs(5);

pub(super) struct Bound {
    pub(super) address: SocketAddr,
    listener: TcpListener,
}

pub(super) async fn bind(address: SocketAddr) -> Result<Bound, StartError> {
    let failed = |source| StartError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok(Bound { address, listener })
}

impl Bound {
    pub(super) fn serve(self, surfaces: Surfaces, settings: &Settings, tasks: &Tasks) {
        let server = Server {
            surfaces,
            connections: Connections::new(limits(settings)),
            timeouts: ConnectionTimeouts {
                head: Duration::from_millis(settings.server.header_timeout_ms),
                keep_alive: Duration::from_millis(settings.server.keep_alive_ms),
            },
            user_timeout: Duration::from_millis(settings.server.tcp_user_timeout_ms),
            tasks: tasks.clone(),
        };
        let soft = tasks.soft().clone();
        tasks.spawn_essential("http", async move {
            soft.run_until_cancelled(server.accept(self.listener)).await;
        });
    }
}

fn limits(settings: &Settings) -> ConnectionLimits {
    let server = &settings.server;
    ConnectionLimits {
        max: max_connections(server),
        max_unauthenticated_per_address: server.max_unauthenticated_per_address,
        trusted_proxies: server.trusted_proxies.clone(),
        websocket_authenticated_after: Duration::from_millis(settings.socket.connect_timeout_ms)
            + WEBSOCKET_GRACE,
    }
}

fn max_connections(server: &ServerSettings) -> usize {
    match (server.max_connections, process_limits::open_files()) {
        (0, None) => usize::MAX,
        (0, Some(files)) => files.saturating_sub(RESERVED_FILES).max(files / 2),
        (max, _) => max,
    }
}

/// One key leaves a quarter of all connections to others.
pub(super) fn max_streams_per_key(server: &ServerSettings) -> usize {
    let connections = max_connections(server);
    server.max_streams_per_key.min(connections - connections / 4).max(1)
}

struct Server {
    surfaces: Surfaces,
    connections: Arc<Connections>,
    timeouts: ConnectionTimeouts,
    user_timeout: Duration,
    tasks: Tasks,
}

impl Server {
    async fn accept(self, listener: TcpListener) {
        let (mut failures, mut refusals) = (LogPause::default(), LogPause::default());
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => self.start(stream, peer, &mut refusals),
                // The client has gone before it was accepted.
                Err(error) if is_of_client(&error) => {}
                Err(error) => {
                    if let Some(suppressed) = failures.now() {
                        tracing::error!(%error, suppressed, "accepting connections failed");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn start(&self, stream: TcpStream, peer: SocketAddr, refusals: &mut LogPause) {
        let Some(permit) = self.connections.admit(peer) else {
            if let Some(suppressed) = refusals.now() {
                tracing::warn!(suppressed, "connection refused: server.max_connections is reached");
            }
            return;
        };
        set_options(&stream, self.user_timeout);
        let handle = permit.handle().clone();
        let progress = ConnectionProgress::new(self.timeouts);
        let stream = ClientStream::new(stream, progress.clone(), permit);
        let connection = Connection { surfaces: self.surfaces.clone(), peer, handle, progress };
        let soft = self.tasks.soft().clone();
        self.tasks.spawn("connection", connection.serve(stream, soft));
    }
}

fn set_options(stream: &TcpStream, user_timeout: Duration) {
    let socket = SockRef::from(stream);
    // A peer that reads nothing would hold its writer, and its buffers, for as long as it likes.
    if let Err(error) = socket.set_tcp_user_timeout(Some(user_timeout)) {
        tracing::debug!(%error, "TCP_USER_TIMEOUT is not available");
    }
    let keep_alive = TcpKeepalive::new().with_time(TCP_PROBE).with_interval(TCP_PROBE);
    if let Err(error) = socket.set_tcp_keepalive(&keep_alive) {
        tracing::debug!(%error, "SO_KEEPALIVE is not available");
    }
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY is not available");
    }
}

fn is_of_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Rate-limits one log message.
#[derive(Default)]
struct LogPause {
    last: Option<Instant>,
    suppressed: u64,
}

impl LogPause {
    /// The number of suppressed messages, if the message may be logged now.
    fn now(&mut self) -> Option<u64> {
        if self.last.is_some_and(|last| last.elapsed() < LOG_PAUSE) {
            self.suppressed = self.suppressed.saturating_add(1);
            return None;
        }
        self.last = Some(Instant::now());
        Some(std::mem::take(&mut self.suppressed))
    }
}

struct Connection {
    surfaces: Surfaces,
    peer: SocketAddr,
    handle: ConnectionHandle,
    progress: Arc<ConnectionProgress>,
}

impl Connection {
    async fn serve(self, stream: ClientStream, soft: CancellationToken) {
        let (close, progress) = (self.handle.close().clone(), self.progress.clone());
        let service = service_fn(move |request| self.answer(request));
        let serving = http1::Builder::new()
            .header_read_timeout(None)
            .max_buf_size(READ_BUFFER_BYTES)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let (mut serving, mut draining, mut closed) =
            (pin!(serving), pin!(soft.cancelled()), pin!(close.cancelled()));
        let mut timer = pin!(tokio::time::sleep(Duration::ZERO));
        let mut is_draining = false;
        poll_fn(|cx| {
            if !is_draining && draining.as_mut().poll(cx).is_ready() {
                is_draining = true;
                serving.as_mut().graceful_shutdown();
            }
            if closed.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            if let Poll::Ready(served) = serving.as_mut().poll(cx) {
                if let Err(error) = served {
                    tracing::trace!(%error, "connection ended");
                }
                return Poll::Ready(());
            }
            // All reads and the ends of answers happen in the poll above, so that the deadline is current.
            let Some(deadline) = progress.deadline() else { return Poll::Pending };
            if timer.deadline() != deadline {
                timer.as_mut().reset(deadline);
            }
            timer.as_mut().poll(cx)
        })
        .await;
    }

    fn answer(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<AnswerBody>, Infallible>> + Send + use<> {
        let (handle, progress) = (self.handle.clone(), self.progress.clone());
        progress.request_began();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(self.peer));
        request.extensions_mut().insert(handle.clone());
        let answer = self.surfaces.respond(request);
        async move {
            let response = answer.await;
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                handle.upgraded();
            }
            let closing = response.headers().get(CONNECTION).is_some_and(|value| value == "close");
            Ok(response.map(|body| AnswerBody { body, progress, closing }))
        }
    }
}

/// The body of an answer; the request has ended when it is dropped.
struct AnswerBody {
    body: Body,
    progress: Arc<ConnectionProgress>,
    closing: bool,
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        self.progress.answer_ended(self.closing);
    }
}

impl hyper::body::Body for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
