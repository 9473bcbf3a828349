//! The state of one admitted socket: its rights, its log position, and its end.

use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use socketioxide::adapter::LocalAdapter;
use socketioxide::handler::DisconnectHandler;
use socketioxide::socket::{DisconnectReason, Socket};
use tokio_util::sync::CancellationToken;

use crate::api::StreamPermit;
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::notify::OperatorId;
use crate::service::{LogEntry, Operator, Principal, Services, SocketPermit, operator_id};

/// The log position at which a socket starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LogStart {
    /// After the last entry that the client has.
    Resume(i64),
    /// After the entry that was the newest at the connection, if it could be read.
    Live(Option<i64>),
}

impl LogStart {
    /// The last entry before the first that the client gets.
    pub(super) fn since(self) -> Option<i64> {
        match self {
            Self::Resume(since) => Some(since),
            Self::Live(newest) => newest,
        }
    }
}

/// One admitted socket.
pub(super) struct Session {
    /// The device of its namespace.
    pub(super) device: DeviceId,
    /// The key of its handshake.
    pub(super) principal: Principal,
    /// The operator of its access token.
    pub(super) operator: Option<Operator>,
    pub(super) start: LogStart,
    /// Released at the disconnection: the library may keep the socket for longer.
    counted: Mutex<Option<(SocketPermit, StreamPermit)>>,
    closed: CancellationToken,
    reason: OnceLock<DisconnectReason>,
    flooded: CancellationToken,
}

impl Session {
    pub(super) fn new(
        device: DeviceId,
        principal: Principal,
        operator: Option<Operator>,
        start: LogStart,
        counted: (SocketPermit, StreamPermit),
    ) -> Self {
        let (closed, flooded) = (CancellationToken::new(), CancellationToken::new());
        let reason = OnceLock::new();
        Self {
            device,
            principal,
            operator,
            start,
            counted: Mutex::new(Some(counted)),
            closed,
            reason,
            flooded,
        }
    }

    /// The owner of the read and mute state.
    pub(super) fn operator_id(&self) -> OperatorId {
        operator_id(&self.principal, self.operator.as_ref())
    }

    /// Whether the operator of this socket muted the notification of this entry.
    pub(super) fn is_kept_from(&self, services: &Services, entry: &LogEntry) -> bool {
        // Only notifications are muted; other entries need no operator.
        entry.kind == "notification"
            && services.notify.is_kept_from(
                &self.operator_id(),
                &self.device,
                &entry.kind,
                entry.payload.get(),
            )
    }

    /// Marks the client as flooding: it sends faster than its requests can be refused.
    pub(super) fn flood(&self) {
        self.flooded.cancel();
    }

    /// Waits for [`Session::flood`].
    pub(super) async fn flooded(&self) {
        self.flooded.cancelled().await;
    }

    /// Waits until the library drops the socket.
    pub(super) async fn closed(&self) {
        self.closed.cancelled().await;
    }

    /// The reason why the library dropped it.
    pub(super) fn close_reason(&self) -> Option<DisconnectReason> {
        self.reason.get().copied()
    }

    /// When its rights expire: with the key, or with the access token.
    pub(super) fn expires_at(&self) -> Option<Millis> {
        let token = self.operator.as_ref().and_then(|operator| operator.expires_at);
        [self.principal.expires_at, token].into_iter().flatten().min()
    }
}

/// Marks a session as closed. It is attached before the client is answered, so that no disconnection
/// is missed.
pub(super) struct OnDisconnect(pub(super) Arc<Session>);

impl DisconnectHandler<LocalAdapter, OnDisconnect> for OnDisconnect {
    fn call_with_defer(&self, socket: Arc<Socket>, reason: DisconnectReason, defer: fn(Arc<Socket>)) {
        let _ = self.0.reason.set(reason);
        self.0.closed.cancel();
        drop(self.0.counted.lock().take());
        defer(socket);
    }
}
