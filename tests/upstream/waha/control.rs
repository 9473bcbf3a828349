//! Steering calls: the network's, for the account of the device's session.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use serde_json::Value;
use wharf::engine::ControlError;

use super::{Server, Session};
use crate::upstream::world::control::NetworkControl;

/// Ids are the network's and the daemon's own: the server translates at its face.
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
        server.world.known(device).map(|account| account.name().to_owned())
    }

    /// `unheard`, for groups: the network does it, and the server tells nobody.
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
