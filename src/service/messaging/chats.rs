//! Reads chats: lists, and one chat.
//!
//! A mute that has ended counts as none.

use crate::domain::chat::Chat;
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::service::error::require_device;
use crate::service::{ChatQuery, Messaging, ServiceError};

impl Messaging {
    /// Chats, pinned ones first, then the newest, and the total number without the limit.
    ///
    /// # Errors
    /// When there is no such device, or the store fails.
    pub async fn chats(&self, device: &DeviceId, query: ChatQuery) -> Result<(Vec<Chat>, i64), ServiceError> {
        let (of, now) = (device.clone(), self.clock.now());
        self.store
            .read_of(device, move |store| {
                require_device(store, &of)?;
                let found = store.chats(&of, &query)?.into_iter().map(|chat| chat.as_of(now)).collect();
                Ok((found, store.chat_count(&of, &query)?))
            })
            .await
    }

    /// One chat; a group has its participants.
    ///
    /// # Errors
    /// When there is no such device or chat, or the store fails.
    pub async fn chat(&self, device: &DeviceId, id: &Jid) -> Result<Chat, ServiceError> {
        let (of, id, now) = (device.clone(), id.clone(), self.clock.now());
        self.store
            .read_of(device, move |store| {
                require_device(store, &of)?;
                let id = store.canonical_id(&of, &id)?;
                let mut chat = store.chat(&of, &id)?.ok_or(ServiceError::ChatNotFound)?.as_of(now);
                chat.participants = store.group(&of, &id)?.map(|group| group.participants);
                Ok(chat)
            })
            .await
    }
}
