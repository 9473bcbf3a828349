//! Outbound events of `/devices`: one task for each socket emits the events of all devices that it selects.
//!
//! Invariants: a socket ends with its key, its dashboard session or its access token; a client that fell behind
//! gets `resync` and reads the logs over REST.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use socketioxide::extract::SocketRef;
use socketioxide::socket::{DisconnectReason, Socket};
use tokio::time::sleep;

use super::Shared;
use super::fleet_namespace::FleetSession;
use super::reply::{Undelivered, emit_with_backpressure};
use crate::domain::clock::Millis;
use crate::service::{FleetCursor, FleetItem, Services};

/// Items after which the task yields, so that a burst does not fill the buffer at once.
const YIELD_AFTER: usize = 32;
/// The pause between attempts to disconnect a client with a full buffer.
const ENDING_PAUSE: Duration = Duration::from_millis(100);
/// The longest sleep until an expiry: the wall clock may be changed meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// The reason why a socket ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The library dropped it.
    Closed,
    /// The daemon drains; all transports are closed together.
    Draining,
    /// The key was revoked, or the session ended.
    Revoked,
    /// The key or the access token expired.
    Expired,
}

/// The body of `resync`.
#[derive(Serialize)]
struct FleetResync {
    timestamp: Millis,
}

/// One socket's forwarder.
pub(super) struct FleetForwarder {
    shared: Arc<Shared>,
    socket: Arc<Socket>,
    session: Arc<FleetSession>,
}

impl FleetForwarder {
    /// Starts the task of an admitted socket.
    pub(super) fn start(shared: &Arc<Shared>, socket: Arc<Socket>, session: Arc<FleetSession>) {
        let counted = FleetSocketCount::new(&shared.services);
        let forwarder = Self { shared: shared.clone(), socket, session };
        tracing::debug!(key = forwarder.session.principal.key_id, "socket of all devices connected");
        shared.services.tasks().spawn("fleet-forwarder", async move {
            let end = forwarder.run().await;
            forwarder.finish(end).await;
            drop(counted);
        });
    }

    async fn run(&self) -> End {
        tokio::select! {
            biased;
            () = self.session.closed() => End::Closed,
            () = self.services().tasks().soft().cancelled() => End::Draining,
            end = self.rights_end() => end,
            end = self.forward() => end,
        }
    }

    /// Waits until the rights of the socket end.
    async fn rights_end(&self) -> End {
        let mut changes = self.services().access.key_changes();
        loop {
            let expires_at = self.session.expires_at();
            if expires_at.is_some_and(|at| at <= self.services().now()) {
                return End::Expired;
            }
            if !self.services().access.still_valid(&self.session.principal) {
                return End::Revoked;
            }
            let left = expires_at.map(|at| u64::try_from(at.since(self.services().now())).unwrap_or(0));
            let pause = left.map_or(LONGEST_SLEEP, |left| Duration::from_millis(left).min(LONGEST_SLEEP));
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { std::future::pending::<()>().await; },
                () = sleep(pause) => {}
            }
        }
    }

    async fn forward(&self) -> End {
        let Some(mut cursor) = self.session.take_cursor() else { return End::Closed };
        match self.forward_from(&mut cursor).await {
            Ok(()) => End::Draining,
            Err(end) => end,
        }
    }

    async fn forward_from(&self, cursor: &mut FleetCursor) -> Result<(), End> {
        let operator = self.session.operator_id();
        let mut emitted = 0;
        while let Some(item) = cursor.next().await {
            match &item {
                FleetItem::Logged(device, entry) => {
                    let hidden = || {
                        self.services().notify.is_kept_from(
                            &operator,
                            device,
                            &entry.kind,
                            entry.payload.get(),
                        )
                    };
                    if !self.session.selects(device, &entry.kind) || hidden() {
                        continue;
                    }
                    self.emit(&entry.kind, &entry.payload).await?;
                }
                FleetItem::Created(device, entry) if self.session.selects(device, entry.kind) => {
                    self.emit(entry.kind, &entry.payload).await?;
                }
                FleetItem::Created(..) => continue,
                FleetItem::Gap => {
                    self.emit("resync", &FleetResync { timestamp: self.services().now() }).await?;
                }
            }
            emitted += 1;
            if emitted >= YIELD_AFTER {
                emitted = 0;
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    /// Waits for room while the client is connected. A stalled client is cut by its next heartbeat, which needs
    /// room too: that closes the transport, and clients reconnect.
    async fn emit<T: Serialize + ?Sized>(&self, event: &str, payload: &T) -> Result<(), End> {
        let patience = self.shared.socket.stall_timeout;
        let mut is_logged = false;
        loop {
            match emit_with_backpressure(patience, || self.socket.emit(event, payload)).await {
                Ok(()) => return Ok(()),
                Err(Undelivered::Closed) => return Err(End::Closed),
                Err(Undelivered::Stalled) if is_logged => {}
                Err(Undelivered::Stalled) => {
                    is_logged = true;
                    let key = &self.session.principal.key_id;
                    tracing::info!(key, reason = "slow_client", "client stalled");
                    self.services().metrics().socket_cut("slow_client");
                }
            }
        }
    }

    /// Logs the reason, and disconnects the socket.
    async fn finish(&self, end: End) {
        let reason = match end {
            End::Draining => None,
            End::Revoked => Some("key_revoked"),
            End::Expired => Some("expired"),
            End::Closed => match self.session.close_reason() {
                Some(DisconnectReason::HeartbeatTimeout) => Some("heartbeat_timeout"),
                _ => None,
            },
        };
        let key = &self.session.principal.key_id;
        if let Some(reason) = reason {
            tracing::info!(key, reason, "socket cut");
            self.services().metrics().socket_cut(reason);
        }
        if matches!(end, End::Closed | End::Draining) {
            return;
        }
        tokio::select! {
            () = self.session.closed() => {}
            () = self.services().tasks().soft().cancelled() => {}
            () = self.disconnect() => {}
        }
    }

    async fn disconnect(&self) {
        while SocketRef::from(self.socket.clone()).disconnect().is_err() {
            sleep(ENDING_PAUSE).await;
        }
    }

    fn services(&self) -> &Services {
        &self.shared.services
    }
}

/// Counts a socket until it is dropped.
struct FleetSocketCount(crate::telemetry::Metrics);

impl FleetSocketCount {
    fn new(services: &Services) -> Self {
        let metrics = services.metrics().clone();
        metrics.sockets.inc();
        Self(metrics)
    }
}

impl Drop for FleetSocketCount {
    fn drop(&mut self) {
        self.0.sockets.dec();
    }
}
