//! The guard of a device's namespace.
//!
//! All handlers of a socket are attached before the client is answered, so that its first events are not
//! lost.

use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use socketioxide::adapter::LocalAdapter;
use socketioxide::handler::{ConnectHandler, Value};
use socketioxide::socket::Socket;

use super::Shared;
use super::credentials::{Refusal, SocketCredentials};
use super::forward::Forwarder;
use super::operator_chat::ChatPath;
use super::request_queue::RequestQueue;
use super::session::{LogStart, OnDisconnect, Session};
use crate::domain::ids::DeviceId;

/// The guard of one device's namespace.
#[derive(Clone)]
pub(super) struct NamespaceGuard {
    shared: Arc<Shared>,
    device: DeviceId,
}

impl ConnectHandler<LocalAdapter, NamespaceGuard> for NamespaceGuard {
    fn call(&self, socket: Arc<Socket>, _: Option<Value>) {
        let Some(session) = socket.extensions.get::<Arc<Session>>() else { return };
        Forwarder::start(&self.shared, socket, session);
    }

    fn call_middleware<'a>(
        &'a self,
        socket: Arc<Socket>,
        auth: &'a Option<Value>,
    ) -> Pin<Box<dyn Future<Output = Result<(), Box<dyn Display + Send>>> + Send + 'a>> {
        Box::pin(async move {
            let credentials = SocketCredentials::read(socket.req_parts(), auth.as_ref());
            match self.admit(credentials, &socket).await {
                Ok(session) => {
                    self.attach_handlers(&socket, session);
                    Ok(())
                }
                Err(refusal) => Err(Box::new(refusal) as Box<dyn Display + Send>),
            }
        })
    }
}

impl NamespaceGuard {
    pub(super) fn new(shared: Arc<Shared>, device: DeviceId) -> Self {
        Self { shared, device }
    }

    async fn admit(&self, credentials: SocketCredentials, socket: &Socket) -> Result<Session, Refusal> {
        let request = socket.req_parts();
        // Devices are not on the path of chat. Or the device was just deleted, and the namespace will be.
        let is_chat_path = request.extensions.get::<ChatPath>().is_some();
        if is_chat_path || !self.shared.services.registry.device_exists(&self.device) {
            return Err(self.shared.refuse_unknown(&credentials, request).await);
        }
        let identified = self.shared.identify(&credentials, request, Some(&self.device)).await;
        let (principal, operator) = identified?;
        let stream = self.shared.admit_stream(&principal, socket.id)?;
        let logs = &self.shared.services.logs;
        let log_id = credentials.log_id.as_deref();
        let start = match logs.client_position(&self.device, credentials.since, log_id) {
            Some(since) => LogStart::Resume(since),
            None => LogStart::Live(self.end_of_log().await),
        };
        let counted = (self.shared.services.registry.sockets.add(&self.device), stream);
        Ok(Session::new(self.device.clone(), principal, operator, start, counted))
    }

    /// The log position of a client without one. It is read before the client is connected, so that the
    /// client gets every later event.
    async fn end_of_log(&self) -> Option<i64> {
        match self.shared.services.logs.newest_seq(&self.device).await {
            Ok(newest) => Some(newest),
            Err(error) => {
                tracing::warn!(device = %self.device, %error, "log head unreadable");
                None
            }
        }
    }

    fn attach_handlers(&self, socket: &Arc<Socket>, session: Session) {
        let session = Arc::new(session);
        socket.on_disconnect(OnDisconnect(session.clone()));
        socket.on_fallback(RequestQueue::new(&self.shared, session.clone()));
        socket.extensions.insert(session);
    }
}
