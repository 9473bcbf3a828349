//! Emits `chat:update`, the current entry of a chat, at most once in 100 ms for each chat.
//!
//! Nothing is read or emitted while no client follows the device.

use std::collections::HashSet;
use std::time::Duration;

use parking_lot::Mutex;

use crate::domain::event::EphemeralEvent;
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::service::{Messaging, ServiceError};

const PAUSE: Duration = Duration::from_millis(100);

/// Chats with a scheduled update.
#[derive(Default)]
pub(in crate::service) struct ChatUpdates {
    waiting: Mutex<HashSet<(DeviceId, Jid)>>,
}

impl ChatUpdates {
    fn begin(&self, key: &(DeviceId, Jid)) -> bool {
        self.waiting.lock().insert(key.clone())
    }

    fn end(&self, key: &(DeviceId, Jid)) {
        self.waiting.lock().remove(key);
    }
}

impl Messaging {
    /// Emits a chat's state to its followers after [`PAUSE`]. Costs nothing without followers; scheduled
    /// updates are bounded by the number of chats that change within the pause.
    pub(in crate::service) fn chat_changed(&self, device: &DeviceId, chat: &Jid) {
        if !self.logs.is_followed(device) {
            return;
        }
        let key = (device.clone(), chat.clone());
        if !self.chat_updates.begin(&key) {
            return;
        }
        let messaging = self.clone();
        self.tasks.spawn("chat-update", async move {
            tokio::time::sleep(PAUSE).await;
            messaging.chat_updates.end(&key);
            let (device, chat) = key;
            let id = device.clone();
            match messaging.store.read::<_, ServiceError, _>(move |store| Ok(store.chat(&id, &chat)?)).await {
                Ok(Some(chat)) => {
                    messaging.logs.emit(
                        &device,
                        &EphemeralEvent::ChatUpdate { chat: Box::new(chat.as_of(messaging.clock.now())) },
                    );
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(%device, %error, "a changed chat could not be read"),
            }
        });
    }
}
