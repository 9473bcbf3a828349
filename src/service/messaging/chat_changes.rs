//! What is done to a chat as a whole: here first and durable, then told to the account's other devices.
//!
//! A network that cannot be told does not undo what was done here, and is told later ([`untold`]). What was done on another device arrives
//! as [`ChatChange`] too and is not told back.

use super::clear_chat::ClearChatJob;
use super::pending_sync;
use crate::domain::chat::Chat;
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::engine::ChatChange;
use crate::service::{Messaging, ServiceError};
use crate::store::{StoreError, Tx};

impl Messaging {
    /// Puts a chat away, or brings it back.
    ///
    /// # Errors
    /// When there is no such device or chat, or the store fails.
    pub async fn archive_chat(&self, device: &DeviceId, id: &Jid, on: bool) -> Result<Chat, ServiceError> {
        self.mark_chat(device, id, ChatChange::Archive(on)).await
    }

    /// Pins a chat to the top, or not any more.
    ///
    /// # Errors
    /// When there is no such device or chat, or the store fails.
    pub async fn pin_chat(&self, device: &DeviceId, id: &Jid, on: bool) -> Result<Chat, ServiceError> {
        self.mark_chat(device, id, ChatChange::Pin(on)).await
    }

    /// Silences a chat until then (`Some(None)`: for ever), or not any more (`None`).
    ///
    /// # Errors
    /// When there is no such device or chat, or the store fails.
    pub async fn mute_chat(
        &self,
        device: &DeviceId,
        id: &Jid,
        mute: Option<Option<Millis>>,
    ) -> Result<Chat, ServiceError> {
        self.mark_chat(device, id, ChatChange::Mute(mute)).await
    }

    /// Removes a chat's messages, but not those that wait to be sent, nor starred ones with `keep_starred`.
    /// Answers how many there were.
    ///
    /// # Errors
    /// When there is no such device or chat, or the store fails.
    pub async fn clear_chat(
        &self,
        device: &DeviceId,
        id: &Jid,
        keep_starred: bool,
    ) -> Result<u64, ServiceError> {
        let id = &self.chat(device, id).await?.id;
        let removed = self.remove_messages(device, id, ClearChatJob::Clear { keep_starred }).await?;
        self.tell_chat_change(device, id, ChatChange::Clear).await;
        Ok(removed)
    }

    /// Removes a chat with its messages; the next message brings it back. Answers how many messages it had.
    ///
    /// # Errors
    /// When there is no such device or chat, or the store fails.
    pub async fn delete_chat(&self, device: &DeviceId, id: &Jid) -> Result<u64, ServiceError> {
        let id = &self.chat(device, id).await?.id;
        let removed = self.remove_messages(device, id, ClearChatJob::Delete).await?;
        self.tell_chat_change(device, id, ChatChange::Delete).await;
        Ok(removed)
    }

    /// Something was done to a chat on another device of this account.
    pub(in crate::service) async fn ingest_chat_change(
        &self,
        device: &DeviceId,
        chat: Jid,
        change: ChatChange,
    ) -> Result<(), StoreError> {
        match change {
            ChatChange::Clear => self
                .remove_messages(device, &chat, ClearChatJob::Clear { keep_starred: false })
                .await
                .map(|_| ()),
            ChatChange::Delete => self.remove_messages(device, &chat, ClearChatJob::Delete).await.map(|_| ()),
            ChatChange::Archive(_) | ChatChange::Pin(_) | ChatChange::Mute(_) => {
                let (id, of) = (device.clone(), chat.clone());
                let write = move |tx: &Tx<'_>| {
                    if let Some(newer) = pending_sync::of_chat(&change) {
                        tx.supersede_pending_sync(&id, &of, &newer)?;
                    }
                    mark(tx, &id, &of, &change)
                };
                if self.store.write_patiently(write).await? {
                    self.chat_changed(device, &chat);
                }
                Ok(())
            }
        }
    }

    async fn mark_chat(
        &self,
        device: &DeviceId,
        chat: &Jid,
        change: ChatChange,
    ) -> Result<Chat, ServiceError> {
        let chat = &self.aliases_of(device, chat).await?;
        let (id, of, now) = (device.clone(), chat.clone(), self.clock.now());
        let (changed, marked) = self
            .store
            .write(move |tx| {
                tx.device(&id)?.ok_or(ServiceError::DeviceNotFound)?;
                let changed = mark(tx, &id, &of, &change)?;
                let chat = tx.chat(&id, &of)?.ok_or(ServiceError::ChatNotFound)?;
                // Also when nothing changed here: other devices may have it otherwise.
                if let Some(untold) = pending_sync::of_chat(&change) {
                    pending_sync::note(tx, &id, &of, &untold, now)?;
                }
                Ok::<_, ServiceError>((changed, chat.as_of(now)))
            })
            .await?;
        if changed {
            self.chat_changed(device, chat);
        }
        self.flush_pending_sync(device).await;
        Ok(marked)
    }

    async fn tell_chat_change(&self, device: &DeviceId, chat: &Jid, change: ChatChange) {
        if let Ok(session) = self.registry.session(device)
            && let Err(error) = session.change_chat(chat, change).await
        {
            tracing::info!(%device, %error, "the network was not told what was done to a chat");
        }
    }
}

fn mark(tx: &Tx<'_>, device: &DeviceId, chat: &Jid, change: &ChatChange) -> Result<bool, StoreError> {
    match *change {
        ChatChange::Archive(on) => tx.archive_chat(device, chat, on),
        ChatChange::Pin(on) => tx.pin_chat(device, chat, on),
        ChatChange::Mute(mute) => tx.mute_chat(device, chat, mute),
        ChatChange::Clear | ChatChange::Delete => Ok(false),
    }
}
