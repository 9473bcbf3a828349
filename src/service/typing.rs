//! Typing and presence towards the network.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{Core, ServiceError};
use crate::domain::event::TypingKind;
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;

/// "Typing" that nobody renews stops by itself after this long, as on phones.
const STOPS_AFTER: Duration = Duration::from_secs(25);

/// Chats in which we are shown as typing, and until when. One task for each.
#[derive(Default)]
pub(super) struct Typing {
    until: Mutex<HashMap<(DeviceId, Jid), Instant>>,
}

impl Typing {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(DeviceId, Jid), Instant>> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Core {
    /// Shows or hides "typing" in a chat. What is shown stops by itself after 25 s.
    ///
    /// # Errors
    /// When there is no such device, it is not connected, or its engine cannot.
    pub async fn typing(
        &self,
        device: &DeviceId,
        chat: &Jid,
        kind: TypingKind,
        on: bool,
    ) -> Result<(), ServiceError> {
        self.session(device)?.typing(chat, kind, on).await?;
        let key = (device.clone(), chat.clone());
        if !on {
            self.inner.typing.lock().remove(&key);
            return Ok(());
        }
        let renewed = self.inner.typing.lock().insert(key.clone(), Instant::now() + STOPS_AFTER);
        if renewed.is_none() {
            let core = self.clone();
            self.tasks().spawn("typing", async move { core.stop_typing_in_time(key, kind).await });
        }
        Ok(())
    }

    async fn stop_typing_in_time(&self, key: (DeviceId, Jid), kind: TypingKind) {
        loop {
            let Some(until) = self.inner.typing.lock().get(&key).copied() else { return };
            if until <= Instant::now() {
                break;
            }
            tokio::select! {
                () = self.tasks().soft().cancelled() => break,
                () = tokio::time::sleep_until(until) => {}
            }
        }
        self.inner.typing.lock().remove(&key);
        if let Ok(session) = self.session(&key.0) {
            // A device that went offline meanwhile shows nothing any more.
            let _ = session.typing(&key.1, kind, false).await;
        }
    }

    /// Asks the network to report when this person is online.
    ///
    /// # Errors
    /// When there is no such device, it is not connected, or its engine cannot.
    pub async fn subscribe_presence(&self, device: &DeviceId, contact: &Jid) -> Result<(), ServiceError> {
        Ok(self.session(device)?.subscribe_presence(contact).await?)
    }
}
