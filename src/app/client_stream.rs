//! A client's TCP stream with its place among the connections, and the time until which it may wait.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::api::ConnectionPermit;

/// The time between an answer with `Connection: close` and the end of its connection.
const LINGER: Duration = Duration::from_secs(1);

/// Time limits of a connection. Hyper's own limit for a head also counts the idle time before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConnectionTimeouts {
    pub(super) head: Duration,
    pub(super) keep_alive: Duration,
}

/// The progress of a connection, which decides how long it may wait.
#[derive(Debug)]
pub(super) struct ConnectionProgress {
    timeouts: ConnectionTimeouts,
    phase: Mutex<Phase>,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Between two requests.
    Idle { until: Instant },
    /// The head of a request has begun, or the connection is new.
    Head { until: Instant },
    /// From a complete head to the end of its answer. The layers and handlers limit this time.
    Request,
    /// The answer announced the end of the connection.
    Closing { until: Instant },
}

impl ConnectionProgress {
    pub(super) fn new(timeouts: ConnectionTimeouts) -> Arc<Self> {
        let until = Instant::now() + timeouts.head;
        Arc::new(Self { timeouts, phase: Mutex::new(Phase::Head { until }) })
    }

    /// The end of the current wait; `None` during a request.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match *self.phase.lock() {
            Phase::Idle { until } | Phase::Head { until } | Phase::Closing { until } => Some(until),
            Phase::Request => None,
        }
    }

    pub(super) fn request_began(&self) {
        *self.phase.lock() = Phase::Request;
    }

    pub(super) fn answer_ended(&self, closing: bool) {
        let now = Instant::now();
        *self.phase.lock() = if closing {
            Phase::Closing { until: now + LINGER }
        } else {
            Phase::Idle { until: now + self.timeouts.keep_alive }
        };
    }

    fn bytes_arrived(&self) {
        let mut phase = self.phase.lock();
        if let Phase::Idle { .. } = *phase {
            *phase = Phase::Head { until: Instant::now() + self.timeouts.head };
        }
    }
}

/// The stream. It fails when its connection must close, also after an upgrade.
pub(super) struct ClientStream {
    stream: TcpStream,
    progress: Arc<ConnectionProgress>,
    permit: ConnectionPermit,
    closed: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl ClientStream {
    pub(super) fn new(
        stream: TcpStream,
        progress: Arc<ConnectionProgress>,
        permit: ConnectionPermit,
    ) -> Self {
        let closed = Box::pin(permit.handle().close().clone().cancelled_owned());
        Self { stream, progress, permit, closed }
    }

    fn check_open(&self) -> io::Result<()> {
        if self.permit.handle().close().is_cancelled() { Err(closed()) } else { Ok(()) }
    }
}

fn closed() -> io::Error {
    io::Error::from(io::ErrorKind::ConnectionAborted)
}

impl AsyncRead for ClientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.closed.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(closed()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.progress.bytes_arrived();
        }
        read
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check_open()?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check_open()?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
