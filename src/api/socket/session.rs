//! What is known of one socket, and how it ends.

use std::sync::{Arc, OnceLock};

use socketioxide::adapter::LocalAdapter;
use socketioxide::handler::DisconnectHandler;
use socketioxide::socket::{DisconnectReason, Socket};
use tokio_util::sync::CancellationToken;

use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::notify::OperatorId;
use crate::service::{Operator, Principal, operator_id};

/// One admitted socket.
pub(super) struct Session {
    /// Whose namespace it is in.
    pub(super) device: DeviceId,
    /// The key it came with.
    pub(super) principal: Principal,
    /// Who is behind it, as far as it says.
    pub(super) operator: Option<Operator>,
    /// The last entry of the log that the client has.
    pub(super) since: Option<i64>,
    closed: CancellationToken,
    reason: OnceLock<DisconnectReason>,
    flooded: CancellationToken,
}

impl Session {
    pub(super) fn new(
        device: DeviceId,
        principal: Principal,
        operator: Option<Operator>,
        since: Option<i64>,
    ) -> Self {
        let (closed, flooded) = (CancellationToken::new(), CancellationToken::new());
        Self { device, principal, operator, since, closed, reason: OnceLock::new(), flooded }
    }

    /// Whose read and mute state counts here.
    pub(super) fn operator_id(&self) -> OperatorId {
        operator_id(&self.principal, self.operator.as_ref())
    }

    /// The client sends more than can even be refused.
    pub(super) fn flood(&self) {
        self.flooded.cancel();
    }

    /// Waits for [`Session::flood`].
    pub(super) async fn flooded(&self) {
        self.flooded.cancelled().await;
    }

    /// Waits until the library lets go of the socket.
    pub(super) async fn closed(&self) {
        self.closed.cancelled().await;
    }

    /// Why the library let go of it.
    pub(super) fn close_reason(&self) -> Option<DisconnectReason> {
        self.reason.get().copied()
    }

    /// When its rights end by themselves: with the key, or with the access token.
    pub(super) fn expires_at(&self) -> Option<Millis> {
        let token = self.operator.as_ref().and_then(|operator| operator.expires_at);
        [self.principal.expires_at, token].into_iter().flatten().min()
    }
}

/// Tells a session that its socket is gone. It is registered before the client is answered, so that no
/// end goes unseen.
pub(super) struct OnDisconnect(pub(super) Arc<Session>);

impl DisconnectHandler<LocalAdapter, OnDisconnect> for OnDisconnect {
    fn call_with_defer(&self, socket: Arc<Socket>, reason: DisconnectReason, defer: fn(Arc<Socket>)) {
        let _ = self.0.reason.set(reason);
        self.0.closed.cancel();
        defer(socket);
    }
}
