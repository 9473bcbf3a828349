//! Changes to a chat as a whole: stored here first, then synchronized to the account's other devices.
//!
//! A change that the network cannot receive stays in effect here and is synchronized later
//! ([`pending_sync`]). A change made on another device arrives as [`ChatChange`] and is not sent back.

use super::clear_chat::ClearChatJob;
use super::{IngestMode, pending_sync};
use crate::domain::chat::Chat;
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::engine::ChatChange;
use crate::service::{Messaging, ServiceError};
use crate::store::{StoreError, Tx};

impl Messaging {
    /// Archives a chat, or brings it back.
    ///
    /// # Errors
    /// When there is no such device or chat, or the store fails.
    pub async fn archive_chat(&self, device: &DeviceId, id: &Jid, on: bool) -> Result<Chat, ServiceError> {
        self.mark_chat(device, id, ChatChange::Archive(on)).await
    }

    /// Pins a chat to the top, or unpins it.
    ///
    /// # Errors
    /// When there is no such device or chat, or the store fails.
    pub async fn pin_chat(&self, device: &DeviceId, id: &Jid, on: bool) -> Result<Chat, ServiceError> {
        self.mark_chat(device, id, ChatChange::Pin(on)).await
    }

    /// Mutes a chat until a moment (`Some(None)`: for ever), or unmutes it (`None`).
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

    /// Removes a chat's messages, except those in the outbox and, with `keep_starred`, starred ones.
    /// Returns the number of removed messages.
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
        self.send_chat_change(device, id, ChatChange::Clear).await;
        Ok(removed)
    }

    /// Removes a chat with its messages; the next message creates it again. Returns the number of messages.
    ///
    /// # Errors
    /// When there is no such device or chat, or the store fails.
    pub async fn delete_chat(&self, device: &DeviceId, id: &Jid) -> Result<u64, ServiceError> {
        let id = &self.chat(device, id).await?.id;
        let removed = self.remove_messages(device, id, ClearChatJob::Delete).await?;
        self.send_chat_change(device, id, ChatChange::Delete).await;
        Ok(removed)
    }

    /// Ingests a change that the account made to a chat on another device. Only a live one emits an update of
    /// the chat.
    pub(in crate::service) async fn ingest_chat_change(
        &self,
        device: &DeviceId,
        chat: Jid,
        change: ChatChange,
        mode: IngestMode,
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
                if self.store.write_patiently(write).await? && mode == IngestMode::Live {
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
        let chat = &self.canonical_chat(device, chat).await?;
        let (id, of, now) = (device.clone(), chat.clone(), self.clock.now());
        let (changed, marked) = self
            .store
            .write(move |tx| {
                tx.device(&id)?.ok_or(ServiceError::DeviceNotFound)?;
                let changed = mark(tx, &id, &of, &change)?;
                let chat = tx.chat(&id, &of)?.ok_or(ServiceError::ChatNotFound)?;
                // Recorded even if nothing changed here: other devices may differ.
                if let Some(entry) = pending_sync::of_chat(&change) {
                    pending_sync::note(tx, &id, &of, &entry, now)?;
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

    async fn send_chat_change(&self, device: &DeviceId, chat: &Jid, change: ChatChange) {
        if let Ok(session) = self.registry.session(device)
            && let Err(error) = session.change_chat(chat, change).await
        {
            tracing::info!(%device, %error, "a chat change could not be sent to the network");
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
