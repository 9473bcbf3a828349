//! Refuses connections to namespaces without a device. The library would refuse them itself, without counting them.
//!
//! Invariant: a namespace that the library creates for such a name is deleted before its client is answered.

use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};

use socketioxide::SocketIo;
use socketioxide::adapter::LocalAdapter;
use socketioxide::handler::{ConnectHandler, Value};
use socketioxide::socket::Socket;

use super::Shared;
use super::credentials::SocketCredentials;
use super::namespaces::Namespaces;

/// Every name but those of registered namespaces.
const PATTERNS: [&str; 2] = ["/", "/{*path}"];

/// The handler of all namespaces without a device.
#[derive(Clone)]
pub(super) struct UnknownNamespace {
    shared: Arc<Shared>,
    namespaces: Weak<Namespaces>,
}

impl UnknownNamespace {
    pub(super) fn register(io: &SocketIo, shared: &Arc<Shared>, namespaces: &Weak<Namespaces>) {
        for pattern in PATTERNS {
            let handler = Self { shared: shared.clone(), namespaces: namespaces.clone() };
            if let Err(error) = io.dyn_ns(pattern, handler) {
                tracing::error!(pattern, %error, "pattern of namespaces invalid");
            }
        }
    }
}

impl ConnectHandler<LocalAdapter, UnknownNamespace> for UnknownNamespace {
    /// Never called: each connection is refused.
    fn call(&self, _: Arc<Socket>, _: Option<Value>) {}

    fn call_middleware<'a>(
        &'a self,
        socket: Arc<Socket>,
        auth: &'a Option<Value>,
    ) -> Pin<Box<dyn Future<Output = Result<(), Box<dyn Display + Send>>> + Send + 'a>> {
        if let Some(namespaces) = self.namespaces.upgrade() {
            namespaces.delete_unknown(socket.ns());
        }
        Box::pin(async move {
            let request = socket.req_parts();
            let credentials = SocketCredentials::read(request, auth.as_ref());
            let refusal = self.shared.refuse_unknown(&credentials, request).await;
            Err(Box::new(refusal) as Box<dyn Display + Send>)
        })
    }
}
