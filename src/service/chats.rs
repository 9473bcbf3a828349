//! Chats: lists, one, and marking read.

use super::ingest::store_read;
use super::{ChatQuery, Core, ServiceError};
use crate::domain::chat::Chat;
use crate::domain::ids::{DeviceId, MessageId};
use crate::domain::jid::Jid;

impl Core {
    /// Chats, pinned ones first, then the newest; and how many there are without the limit.
    ///
    /// # Errors
    /// When there is no such device, or the store fails.
    pub async fn chats(&self, device: &DeviceId, query: ChatQuery) -> Result<(Vec<Chat>, i64), ServiceError> {
        let device = device.clone();
        self.read(move |store| {
            store.device(&device)?.ok_or(ServiceError::DeviceNotFound)?;
            Ok((store.chats(&device, &query)?, store.chat_count(&device, &query)?))
        })
        .await
    }

    /// One chat.
    ///
    /// # Errors
    /// When there is no such device or chat, or the store fails.
    pub async fn chat(&self, device: &DeviceId, id: &Jid) -> Result<Chat, ServiceError> {
        let (device, id) = (device.clone(), id.clone());
        self.read(move |store| {
            store.device(&device)?.ok_or(ServiceError::DeviceNotFound)?;
            store.chat(&device, &id)?.ok_or(ServiceError::ChatNotFound)
        })
        .await
    }

    /// Marks messages of a chat read, all of them or these: here at once, and at the network when the
    /// device is connected. Answers which were unread.
    ///
    /// # Errors
    /// When there is no such device or chat, or the store fails.
    pub async fn mark_read(
        &self,
        device: &DeviceId,
        chat: &Jid,
        only: Option<Vec<MessageId>>,
    ) -> Result<Vec<MessageId>, ServiceError> {
        let (id, of, now) = (device.clone(), chat.clone(), self.now());
        let read = self
            .store()
            .write(move |tx| {
                tx.device(&id)?.ok_or(ServiceError::DeviceNotFound)?;
                tx.chat(&id, &of)?.ok_or(ServiceError::ChatNotFound)?;
                Ok::<_, ServiceError>(store_read(tx, &id, &of, only.as_deref(), now)?)
            })
            .await?;
        if read.is_empty() {
            return Ok(read);
        }
        self.chat_changed(device, chat);
        if let Ok(session) = self.session(device)
            && let Err(error) = session.mark_read(chat, &read).await
        {
            tracing::info!(%device, %error, "the network was not told that messages were read");
        }
        Ok(read)
    }
}
