//! Control calls of the network, for the account of the device's session.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use serde_json::Value;
use wharf::engine::ControlError;

use super::{Server, Session};
use crate::upstream::world::control::NetworkControl;

/// Network and daemon use the same ids: the server translates its own.
pub struct SessionControl(pub Weak<Server>);

impl SessionControl {
    fn session(&self, device: &str) -> Option<Arc<Session>> {
        self.0.upgrade()?.session(device)
    }
}

#[async_trait]
impl NetworkControl for SessionControl {
    fn account(&self, device: &str) -> Option<String> {
        let server = self.0.upgrade()?;
        server.world.existing_account(device).map(|account| account.name().to_owned())
    }

    /// `unheard`, for groups: the network makes the change, and the server sends no event.
    async fn into_world(&self, device: &str, call: &str, mut body: Value) -> Result<Value, ControlError> {
        if call == "group"
            && let Some(fields) = body.as_object_mut()
            && fields.remove("unheard") == Some(Value::Bool(true))
            && let Some(session) = self.session(device)
        {
            session.silent.store(true, Ordering::Relaxed);
        }
        Ok(body)
    }

    async fn from_world(&self, device: &str, _call: &str, answer: Value) -> Value {
        if let Some(session) = self.session(device) {
            session.silent.store(false, Ordering::Relaxed);
        }
        answer
    }
}
