//! Outbound events of one socket: its task emits the snapshots and replays the log; then the device's group
//! ([`super::fan_out`]) writes live entries to it, until the socket cannot keep up.
//!
//! The order is `resync` if entries after the client's position were pruned, the `state` snapshot, the `qr`
//! snapshot, logged entries, live ones. The library drops packets when a client's buffer is full; here the
//! same item waits until there is room, or until the heartbeat cuts the client, which then resumes.
//!
//! Invariants: entries in a socket's buffer have consecutive `seq`, except for notifications that their
//! operator muted; a socket ends with its key, its access token, or its device.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use socketioxide::extract::SocketRef;
use socketioxide::socket::{DisconnectReason, Socket};
use tokio::time::sleep;

use super::Shared;
use super::fan_out::{Leave, Progress, entry_names, is_last};
use super::reply::{Undelivered, emit_with_backpressure};
use super::session::{LogStart, Session};
use crate::domain::clock::Millis;
use crate::domain::event::{DeviceStateEvent, Event, QrEvent, Stamped};
use crate::domain::state::State;
use crate::service::{Cursor, CursorEnded, Item, LogEntry, Resync, ServiceError, Services};
use crate::telemetry::Metrics;

/// Items after which the task yields, so that a replay does not fill the buffer at once.
const YIELD_AFTER: usize = 32;
/// The pause before the log is read again after an error.
const RETRY: Duration = Duration::from_millis(500);
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
    /// The device is deleted.
    DeviceGone,
    /// The key was revoked.
    Revoked,
    /// The key or the access token expired.
    Expired,
    /// The client sends faster than its requests can be refused.
    Flooding,
}

/// The log position at which a socket that left the live group continues.
enum LogPlace {
    Cursor(Box<Cursor>),
    Progress(Progress),
}

/// One socket's forwarder.
pub(super) struct Forwarder {
    shared: Arc<Shared>,
    socket: Arc<Socket>,
    session: Arc<Session>,
}

/// Counts a socket until it is dropped.
struct SocketCount(Metrics);

impl SocketCount {
    fn new(metrics: Metrics) -> Self {
        metrics.sockets.inc();
        Self(metrics)
    }
}

impl Drop for SocketCount {
    fn drop(&mut self) {
        self.0.sockets.dec();
    }
}

impl Forwarder {
    /// Starts the task of an admitted socket.
    pub(super) fn start(shared: &Arc<Shared>, socket: Arc<Socket>, session: Arc<Session>) {
        let counted = SocketCount::new(shared.services.metrics().clone());
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

    /// Waits until the rights of the socket end.
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
        match self.forward_log().await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    /// Replays the log until the socket has caught up; then its group writes to it, see [`super::fan_out`].
    ///
    /// The steps before the live one are boxed: a live socket, which waits, needs no memory for them.
    async fn forward_log(&self) -> Result<Infallible, End> {
        let mut cursor = Box::pin(self.begin()).await?;
        let mut emitted = 0;
        loop {
            if Box::pin(self.catch_up(&mut cursor, emitted)).await?.is_err() {
                sleep(RETRY).await;
                (cursor, _) = Box::pin(self.follow(Some(cursor.position()))).await?;
                emitted = 0;
                continue;
            }
            match self.stay_live(cursor).await? {
                LogPlace::Cursor(ahead) => (cursor, emitted) = (*ahead, 0),
                LogPlace::Progress(progress) => {
                    (cursor, _) = Box::pin(self.follow(Some(progress.seq))).await?;
                    emitted = progress.packets;
                }
            }
        }
    }

    async fn begin(&self) -> Result<Cursor, End> {
        let (cursor, resync) = self.follow(self.session.start.since()).await?;
        self.greet(resync).await?;
        Ok(cursor)
    }

    /// Waits while the group writes to the socket. Returns where to read on.
    async fn stay_live(&self, cursor: Cursor) -> Result<LogPlace, End> {
        let shared = &self.shared;
        let member = shared.fan_out.join(&shared.services, self.socket.clone(), self.session.clone(), cursor);
        match member.left().await {
            Leave::DeviceGone => Err(End::DeviceGone),
            Leave::Behind(cursor) => Ok(LogPlace::Cursor(cursor)),
            Leave::Full(progress) => Ok(LogPlace::Progress(progress)),
            Leave::Ended(progress) => {
                sleep(RETRY).await;
                Ok(LogPlace::Progress(progress))
            }
        }
    }

    async fn follow(&self, since: Option<i64>) -> Result<(Cursor, Option<Resync>), End> {
        loop {
            match self.services().logs.follow(&self.session.device, since).await {
                Ok(followed) => return Ok(followed),
                Err(ServiceError::DeviceNotFound) => return Err(End::DeviceGone),
                Err(error) => {
                    tracing::warn!(device = %self.session.device, %error, "log unreadable, retrying");
                }
            }
            sleep(RETRY).await;
        }
    }

    /// Emits the snapshots. The state is read after the log's head, so that no change is lost between
    /// the two.
    async fn greet(&self, resync: Option<Resync>) -> Result<(), End> {
        let now = self.services().now();
        if let Some(Resync { oldest_seq, newest_seq }) = resync {
            let body = Positions { oldest_seq, newest_seq };
            let payload = Stamped { device_id: &self.session.device, timestamp: now, seq: None, body: &body };
            self.emit("resync", &payload).await?;
        }
        match self.services().logs.state(&self.session.device).await {
            Ok(state) => {
                let log_id = self.services().logs.log_id(&self.session.device);
                let body = StateSnapshot { state: state.as_event(), log_id };
                let payload =
                    Stamped { device_id: &self.session.device, timestamp: now, seq: None, body: &body };
                self.emit("state", &payload).await?;
                self.greet_with_qr(&state, now).await
            }
            // Its last entries follow.
            Err(ServiceError::DeviceNotFound) => Ok(()),
            Err(error) => {
                tracing::warn!(device = %self.session.device, %error, "state unreadable");
                Ok(())
            }
        }
    }

    /// A client without a position gets the code or the passkey step that is shown now; one that resumes has it from the log.
    async fn greet_with_qr(&self, state: &State, now: Millis) -> Result<(), End> {
        if let (State::Passkey { step, expires_at, .. }, LogStart::Live(_)) = (state, self.session.start) {
            let event = Event::passkey(step, *expires_at);
            let payload =
                Stamped { device_id: &self.session.device, timestamp: now, seq: None, body: &event };
            return self.emit(event.name(), &payload).await;
        }
        let (State::Qr { code, attempt, expires_at, .. }, LogStart::Live(_)) = (state, self.session.start)
        else {
            return Ok(());
        };
        let body = QrEvent { qr: code.clone(), expires_at: *expires_at, attempt: *attempt };
        let payload = Stamped { device_id: &self.session.device, timestamp: now, seq: None, body: &body };
        self.emit("qr", &payload).await
    }

    /// Emits what the cursor has, without the first `emitted` packets, until it has caught up. The inner error:
    /// the log cannot be read now.
    async fn catch_up(
        &self,
        cursor: &mut Cursor,
        mut emitted: usize,
    ) -> Result<Result<(), CursorEnded>, End> {
        let mut since_yield = 0;
        loop {
            match cursor.next_until_caught_up().await {
                Ok(Some(Item::Logged(entry))) => {
                    self.emit_entry(&entry, std::mem::take(&mut emitted)).await?;
                }
                Ok(Some(Item::Live(entry))) => self.emit(entry.kind, &*entry.payload).await?,
                Ok(None) => return Ok(Ok(())),
                Err(_) if !self.services().registry.device_exists(&self.session.device) => {
                    return Err(End::DeviceGone);
                }
                Err(ended) => return Ok(Err(ended)),
            }
            since_yield += 1;
            if since_yield >= YIELD_AFTER {
                since_yield = 0;
                tokio::task::yield_now().await;
            }
        }
    }

    /// Emits an entry without the first `emitted` of its packets.
    async fn emit_entry(&self, entry: &LogEntry, emitted: usize) -> Result<(), End> {
        if !self.session.is_kept_from(self.services(), entry) {
            for name in entry_names(&entry.kind).skip(emitted) {
                self.emit(name, &*entry.payload).await?;
            }
        }
        if is_last(entry) { Err(End::DeviceGone) } else { Ok(()) }
    }

    /// Waits for room while the client is connected. A stalled client is cut by its next heartbeat, which
    /// needs room too: that closes the transport, and clients reconnect and resume. They would not reconnect
    /// after a disconnect of the namespace.
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
                    let (device, key) = (&self.session.device, &self.session.principal.key_id);
                    tracing::info!(%device, key, reason = "slow_client", "client stalled");
                    self.services().metrics().socket_cut("slow_client");
                }
            }
        }
    }

    /// Logs the reason, and disconnects the socket.
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

    /// The reason code of an end that the daemon causes.
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

    /// Disconnects as soon as there is room for the packet. A client without room is cut by its next
    /// heartbeat.
    async fn disconnect(&self) {
        while SocketRef::from(self.socket.clone()).disconnect().is_err() {
            sleep(ENDING_PAUSE).await;
        }
    }

    fn services(&self) -> &Services {
        &self.shared.services
    }
}

/// The body of the `state` that a client gets first.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StateSnapshot {
    #[serde(flatten)]
    state: DeviceStateEvent,
    log_id: String,
}

/// The body of `resync`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Positions {
    oldest_seq: i64,
    newest_seq: i64,
}
