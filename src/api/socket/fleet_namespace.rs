//! The namespace `/devices`: live events of all devices of a key.
//!
//! Invariants: a socket gets nothing of a device outside its key's list; a slow client costs the shared buffer and
//! delays no other client; requests are answered inline and are not queued.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use socketioxide::adapter::LocalAdapter;
use socketioxide::handler::{ConnectHandler, DisconnectHandler, MessageHandler, Value};
use socketioxide::socket::{DisconnectReason, Socket};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::Shared;
use super::credentials::SocketCredentials;
use super::fleet_forward::FleetForwarder;
use super::operator_chat::ChatPath;
use super::payload;
use super::reply::{Reply, Request as Asked, done};
use super::request_error::RequestError;
use crate::api::StreamPermit;
use crate::api::http::input::{Request, read_object};
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::notify::OperatorId;
use crate::service::{FleetCursor, Operator, Principal, operator_id};

/// Events that every socket of the namespace gets; others need `events:tail`.
const ALWAYS: [&str; 6] =
    ["state", "device:created", "device-deleted", "notification", "webhook:dead", "webhook:disabled"];

/// The guard of the namespace.
#[derive(Clone)]
pub(super) struct FleetGuard {
    shared: Arc<Shared>,
}

impl FleetGuard {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

impl ConnectHandler<LocalAdapter, FleetGuard> for FleetGuard {
    fn call(&self, socket: Arc<Socket>, _: Option<Value>) {
        let Some(session) = socket.extensions.get::<Arc<FleetSession>>() else { return };
        FleetForwarder::start(&self.shared, socket, session);
    }

    fn call_middleware<'a>(
        &'a self,
        socket: Arc<Socket>,
        auth: &'a Option<Value>,
    ) -> Pin<Box<dyn Future<Output = Result<(), Box<dyn Display + Send>>> + Send + 'a>> {
        Box::pin(async move {
            let credentials = SocketCredentials::read(socket.req_parts(), auth.as_ref());
            if socket.req_parts().extensions.get::<ChatPath>().is_some() {
                let refusal = self.shared.refuse_unknown(&credentials, socket.req_parts()).await;
                return Err(Box::new(refusal) as Box<dyn Display + Send>);
            }
            match self.shared.identify(&credentials, socket.req_parts(), None).await {
                Ok((principal, operator)) => {
                    let admitted = self.shared.admit_stream(&principal, socket.id);
                    let permit = admitted.map_err(|refusal| Box::new(refusal) as Box<dyn Display + Send>)?;
                    // Before the client is connected, so that it gets every later event.
                    let cursor = self.shared.services.logs.follow_all().await;
                    let session = Arc::new(FleetSession::new(principal, operator, cursor, permit));
                    socket.on_disconnect(OnFleetDisconnect(session.clone()));
                    socket
                        .on_fallback(FleetRequests { shared: self.shared.clone(), session: session.clone() });
                    socket.extensions.insert(session);
                    Ok(())
                }
                Err(refusal) => Err(Box::new(refusal) as Box<dyn Display + Send>),
            }
        })
    }
}

/// One socket of the namespace.
pub(super) struct FleetSession {
    /// The key or dashboard session of its handshake.
    pub(super) principal: Principal,
    operator: Option<Operator>,
    tail: Mutex<Option<EventTail>>,
    cursor: Mutex<Option<FleetCursor>>,
    /// Released at the disconnection: the library may keep the socket for longer.
    permit: Mutex<Option<StreamPermit>>,
    closed: CancellationToken,
    reason: OnceLock<DisconnectReason>,
}

impl FleetSession {
    fn new(
        principal: Principal,
        operator: Option<Operator>,
        cursor: FleetCursor,
        permit: StreamPermit,
    ) -> Self {
        let (tail, cursor, permit) = (Mutex::new(None), Mutex::new(Some(cursor)), Mutex::new(Some(permit)));
        let (closed, reason) = (CancellationToken::new(), OnceLock::new());
        Self { principal, operator, tail, cursor, permit, closed, reason }
    }

    /// The cursor of the socket's forwarder, once.
    pub(super) fn take_cursor(&self) -> Option<FleetCursor> {
        self.cursor.lock().take()
    }

    /// The owner of the read and mute state.
    pub(super) fn operator_id(&self) -> OperatorId {
        operator_id(&self.principal, self.operator.as_ref())
    }

    /// Waits until the library drops the socket.
    pub(super) async fn closed(&self) {
        self.closed.cancelled().await;
    }

    /// The reason why the library dropped it.
    pub(super) fn close_reason(&self) -> Option<DisconnectReason> {
        self.reason.get().copied()
    }

    /// When its rights expire: with the key or session, or with the access token.
    pub(super) fn expires_at(&self) -> Option<Millis> {
        let token = self.operator.as_ref().and_then(|operator| operator.expires_at);
        [self.principal.expires_at, token].into_iter().flatten().min()
    }

    /// Whether the socket gets this event of this device.
    pub(super) fn selects(&self, device: &DeviceId, kind: &str) -> bool {
        self.principal.grant.reaches(device)
            && (ALWAYS.contains(&kind)
                || self.tail.lock().as_ref().is_some_and(|tail| tail.selects(device, kind)))
    }
}

/// The request of `events:tail`.
#[derive(Debug, Default, Deserialize, ToSchema)]
struct EventTail {
    /// Only events of these names; all, when absent.
    #[schema(value_type = Option<Vec<String>>, max_items = 50)]
    types: Option<BTreeSet<String>>,
    /// Only events of these devices; all of the key, when absent.
    #[schema(value_type = Option<Vec<String>>, max_items = 1000)]
    devices: Option<BTreeSet<DeviceId>>,
}

impl Request for EventTail {
    fn is_absent(_: &str, value: &Json) -> bool {
        value.is_null() || value == ""
    }
}

impl EventTail {
    fn selects(&self, device: &DeviceId, kind: &str) -> bool {
        self.types.as_ref().is_none_or(|types| types.contains(kind))
            && self.devices.as_ref().is_none_or(|devices| devices.contains(device))
    }
}

/// Answers the requests of a socket. None of them waits for anything.
struct FleetRequests {
    shared: Arc<Shared>,
    session: Arc<FleetSession>,
}

impl FleetRequests {
    fn serve(&self, event: &str, body: Map<String, Json>) -> Result<Json, RequestError> {
        if !self.shared.services.access.still_valid(&self.session.principal) {
            return Err(RequestError::new("unauthorized", "the API key of this socket is no longer valid"));
        }
        let tail = match event {
            "events:tail" => Some(read_object::<EventTail>(body)?),
            "events:untail" => None,
            _ => return Err(RequestError::unknown_event(event)),
        };
        let named = tail.iter().filter_map(|tail| tail.devices.as_ref()).flatten();
        if named.into_iter().any(|device| !self.session.principal.grant.reaches(device)) {
            return Err(RequestError::field("devices", "names a device that the API key is not allowed for"));
        }
        *self.session.tail.lock() = tail;
        Ok(done())
    }
}

impl MessageHandler<LocalAdapter, FleetRequests> for FleetRequests {
    fn call(&self, socket: Arc<Socket>, payload: Value, ack: Option<i64>) {
        let (event, body) = payload::read(&payload);
        let answer = body.and_then(|body| self.serve(&event, body));
        let asked = Asked { device: None, event: &event, at: self.shared.services.now() };
        Reply { socket, ack }.send_now(answer, &asked);
    }
}

/// Marks a session as closed, as [`super::session::OnDisconnect`] does for a device's namespace.
struct OnFleetDisconnect(Arc<FleetSession>);

impl DisconnectHandler<LocalAdapter, OnFleetDisconnect> for OnFleetDisconnect {
    fn call_with_defer(&self, socket: Arc<Socket>, reason: DisconnectReason, defer: fn(Arc<Socket>)) {
        let _ = self.0.reason.set(reason);
        self.0.closed.cancel();
        drop(self.0.permit.lock().take());
        defer(socket);
    }
}
