//! Events out: one task for each socket, from the device's log to the client.
//!
//! First `resync` where the log no longer reaches back to what the client has, then the current `state`,
//! then every entry after its position, then what comes. The library drops packets when a client's buffer
//! is full; here the same item waits instead, until there is room or the heartbeat cuts the client, which
//! then resumes where it was.
//!
//! Invariants: the entries that get into a socket's buffer have consecutive `seq`, but for notifications that their
//! operator has muted; a socket ends with its
//! key, its access token, or its device.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;
use socketioxide::extract::SocketRef;
use socketioxide::socket::{DisconnectReason, Socket};
use tokio::time::sleep;

use super::Shared;
use super::reply::{Undelivered, patiently};
use super::session::Session;
use crate::domain::event::Stamped;
use crate::service::{Cursor, Item, Resync, ServiceError, Services};
use crate::telemetry::Metrics;

/// After how many items the task lets others run, so that a replay fills no buffer at a stroke.
const BREATH: usize = 32;
/// The wait before the log is tried again after it could not be read.
const RETRY: Duration = Duration::from_millis(500);
/// How often an ending that does not fit into a full buffer is tried again.
const ENDING_PAUSE: Duration = Duration::from_millis(100);
/// The longest sleep until an expiry: the wall clock may be set in the meantime.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// Why a socket ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The library let go of it.
    Closed,
    /// The daemon drains; all transports are closed together.
    Draining,
    /// The device is deleted.
    DeviceGone,
    /// The key was revoked.
    Revoked,
    /// The key or the access token ended by itself.
    Expired,
    /// The client sends more than can even be refused.
    Flooding,
}

/// One socket's forwarder.
pub(super) struct Forwarder {
    shared: Arc<Shared>,
    socket: Arc<Socket>,
    session: Arc<Session>,
}

/// Counts a socket while it lives.
struct Counted(Metrics);

impl Counted {
    fn new(metrics: Metrics) -> Self {
        metrics.sockets.inc();
        Self(metrics)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.sockets.dec();
    }
}

impl Forwarder {
    /// Starts the task of an admitted socket.
    pub(super) fn start(shared: &Arc<Shared>, socket: Arc<Socket>, session: Arc<Session>) {
        let counted = Counted::new(shared.services.metrics().clone());
        let forwarder = Self { shared: shared.clone(), socket, session };
        tracing::debug!(device = %forwarder.session.device, key = forwarder.session.principal.key_id, "socket connected");
        shared.services.tasks().spawn("socket-forwarder", async move {
            let end = forwarder.run().await;
            forwarder.finish(end).await;
            drop(counted);
        });
    }

    async fn run(&self) -> End {
        let soft = self.services().tasks().soft();
        tokio::select! {
            biased;
            () = self.session.closed() => End::Closed,
            () = soft.cancelled() => End::Draining,
            () = self.session.flooded() => End::Flooding,
            end = self.rights_end() => end,
            end = self.forward() => end,
        }
    }

    /// Waits until the socket may no longer be served.
    async fn rights_end(&self) -> End {
        let mut changes = self.services().access.key_changes();
        loop {
            if self.has_expired() {
                return End::Expired;
            }
            if !self.services().access.still_valid(&self.session.principal) {
                return End::Revoked;
            }
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { std::future::pending::<()>().await; },
                () = self.expiry() => {}
            }
        }
    }

    fn has_expired(&self) -> bool {
        self.session.expires_at().is_some_and(|at| at <= self.services().now())
    }

    async fn expiry(&self) {
        let Some(at) = self.session.expires_at() else { return std::future::pending().await };
        let left = u64::try_from(at.since(self.services().now())).unwrap_or(0);
        sleep(Duration::from_millis(left).min(LONGEST_SLEEP)).await;
    }

    async fn forward(&self) -> End {
        let (mut cursor, resync) = match self.follow(self.session.since).await {
            Ok(followed) => followed,
            Err(end) => return end,
        };
        if let Err(end) = self.greet(resync).await {
            return end;
        }
        loop {
            match self.forward_from(&mut cursor).await {
                Ok(()) => {}
                Err(end) => return end,
            }
            // The log could not be read for a moment: go on behind what the client has.
            sleep(RETRY).await;
            match self.follow(Some(cursor.position())).await {
                Ok((next, _)) => cursor = next,
                Err(end) => return end,
            }
        }
    }

    async fn follow(&self, since: Option<i64>) -> Result<(Cursor, Option<Resync>), End> {
        loop {
            match self.services().logs.follow(&self.session.device, since).await {
                Ok(followed) => return Ok(followed),
                Err(ServiceError::DeviceNotFound) => return Err(End::DeviceGone),
                Err(error) => {
                    tracing::warn!(device = %self.session.device, %error, "the log could not be read; trying again");
                }
            }
            sleep(RETRY).await;
        }
    }

    /// What every connection begins with. The state is read after the log's head, so that no change falls
    /// between the two.
    async fn greet(&self, resync: Option<Resync>) -> Result<(), End> {
        let now = self.services().now();
        if let Some(Resync { oldest_seq, newest_seq }) = resync {
            let body = Positions { oldest_seq, newest_seq };
            let payload = Stamped { device_id: &self.session.device, timestamp: now, seq: None, body: &body };
            self.emit("resync", &payload).await?;
        }
        match self.services().fleet.device(&self.session.device).await {
            Ok(view) => {
                let body = view.device.state.as_event();
                let payload =
                    Stamped { device_id: &self.session.device, timestamp: now, seq: None, body: &body };
                self.emit("state", &payload).await
            }
            // Its last entries are still to come.
            Err(ServiceError::DeviceNotFound) => Ok(()),
            Err(error) => {
                tracing::warn!(device = %self.session.device, %error, "the state could not be read");
                Ok(())
            }
        }
    }

    /// Forwards until the cursor ends. `Ok` when it ended although its device exists.
    async fn forward_from(&self, cursor: &mut Cursor) -> Result<(), End> {
        let mut since_breath = 0;
        let (operator, device) = (self.session.operator_id(), &self.session.device);
        while let Some(item) = cursor.next().await {
            match &item {
                Item::Logged(entry)
                    if self.services().notify.is_kept_from(
                        &operator,
                        device,
                        &entry.kind,
                        entry.payload.get(),
                    ) => {}
                Item::Logged(entry) => self.emit_entry(&entry.kind, &entry.payload).await?,
                Item::Live(entry) => self.emit(entry.kind, &*entry.payload).await?,
            }
            since_breath += 1;
            if since_breath >= BREATH {
                since_breath = 0;
                tokio::task::yield_now().await;
            }
        }
        if self.services().registry.device_exists(&self.session.device) {
            Ok(())
        } else {
            Err(End::DeviceGone)
        }
    }

    async fn emit_entry(&self, kind: &str, payload: &RawValue) -> Result<(), End> {
        self.emit(kind, payload).await?;
        match kind {
            // Older clients listen to this name.
            "message:ack" => self.emit("message-ack", payload).await,
            "device-deleted" => Err(End::DeviceGone),
            _ => Ok(()),
        }
    }

    /// Waits for room as long as the client lives. One that takes nothing is cut by its next heartbeat, which
    /// needs room too: that closes the transport, from which clients come back by themselves and resume. Letting
    /// go of the namespace instead would be for good.
    async fn emit<T: Serialize + ?Sized>(&self, event: &str, payload: &T) -> Result<(), End> {
        let patience = self.shared.socket.stall_timeout;
        let mut told = false;
        loop {
            match patiently(patience, || self.socket.emit(event, payload)).await {
                Ok(()) => return Ok(()),
                Err(Undelivered::Closed) => return Err(End::Closed),
                Err(Undelivered::Stalled) if told => {}
                Err(Undelivered::Stalled) => {
                    told = true;
                    let (device, key) = (&self.session.device, &self.session.principal.key_id);
                    tracing::info!(%device, key, reason = "slow_client", "a client takes nothing; its heartbeat decides");
                    self.services().metrics().socket_cut("slow_client");
                }
            }
        }
    }

    /// Tells why, and lets go of the socket.
    async fn finish(&self, end: End) {
        let reason = self.reason(end);
        let (device, key) = (&self.session.device, &self.session.principal.key_id);
        match reason {
            Some(reason) => {
                tracing::info!(%device, key, reason, "socket cut");
                self.services().metrics().socket_cut(reason);
            }
            None => tracing::debug!(%device, key, ?end, "socket closed"),
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

    /// The reason code of an end that is the daemon's doing.
    fn reason(&self, end: End) -> Option<&'static str> {
        match end {
            End::Draining => None,
            End::DeviceGone => Some("device_deleted"),
            End::Revoked => Some("key_revoked"),
            End::Expired => Some("expired"),
            End::Flooding => Some("flooding_client"),
            End::Closed => match self.session.close_reason() {
                Some(DisconnectReason::HeartbeatTimeout) => Some("heartbeat_timeout"),
                _ => None,
            },
        }
    }

    /// Says goodbye, as soon as there is room for it. A client that never makes room is closed by its
    /// next heartbeat, which needs room too.
    async fn disconnect(&self) {
        while SocketRef::from(self.socket.clone()).disconnect().is_err() {
            sleep(ENDING_PAUSE).await;
        }
    }

    fn services(&self) -> &Services {
        &self.shared.services
    }
}

/// The body of `resync`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Positions {
    oldest_seq: i64,
    newest_seq: i64,
}
