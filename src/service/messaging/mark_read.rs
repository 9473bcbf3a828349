//! Marks messages as read: here, on another device of the account, and at the network.
//!
//! Invariants: a message emits `message:read` once, even if two clients read it at the same time. Messages
//! that arrive in the meantime stay unread. After each write a chat's counter equals its unread messages.
//! One write and one event hold at most [`CHUNK`] messages.

use super::pending_sync;
use crate::domain::clock::Millis;
use crate::domain::event::{Event, MessagesReadEvent};
use crate::domain::ids::{DeviceId, MessageId, NetworkId};
use crate::domain::jid::Jid;
use crate::service::error::require_device;
use crate::service::{Messaging, ServiceError};
use crate::store::messages::Pk;
use crate::store::pending_sync::PendingSync;
use crate::store::{StoreError, Tx};

/// Messages marked read in one write.
const CHUNK: usize = 500;

/// Selects messages of a chat.
#[derive(Clone)]
enum Which {
    /// All up to and including this message.
    UpTo(Pk),
    /// Messages with these permanent ids.
    These(Vec<MessageId>),
    /// Messages with these network ids.
    Named(Vec<NetworkId>),
}

/// The device on which the messages were read.
#[derive(Clone, Copy)]
enum By {
    /// This device: a client of ours requested it.
    Us {
        /// Whether this is the first write of a request.
        first: bool,
    },
    /// Another device of the account.
    Another,
}

impl Messaging {
    /// Marks all messages of a chat as read, or only the given ones: here at once, and at the network when
    /// the device is connected. Returns the messages that were unread.
    ///
    /// # Errors
    /// When there is no such device or chat, or the store fails.
    pub async fn mark_read(
        &self,
        device: &DeviceId,
        chat: &Jid,
        only: Option<Vec<MessageId>>,
    ) -> Result<Vec<MessageId>, ServiceError> {
        let chat = &self.canonical_chat(device, chat).await?;
        let (id, of) = (device.clone(), chat.clone());
        let newest = self
            .store
            .read::<_, ServiceError, _>(move |store| {
                require_device(store, &id)?;
                store.chat(&id, &of)?.ok_or(ServiceError::ChatNotFound)?;
                Ok(store.newest_pk()?)
            })
            .await?;
        let mut all = Vec::new();
        for which in parts(only, newest) {
            loop {
                let read = self.read_some(device, chat, &which, By::Us { first: all.is_empty() }).await?;
                self.flush_pending_sync(device).await;
                let more = read.len() == CHUNK && matches!(which, Which::UpTo(_));
                all.extend(read);
                if !more {
                    break;
                }
            }
        }
        Ok(all)
    }

    /// Ingests that the account read messages on another device; without ids, all messages up to now.
    pub(in crate::service) async fn ingest_read_elsewhere(
        &self,
        device: &DeviceId,
        chat: Jid,
        names: Vec<NetworkId>,
    ) -> Result<(), StoreError> {
        if !names.is_empty() {
            for names in names.chunks(CHUNK) {
                self.read_some(device, &chat, &Which::Named(names.to_vec()), By::Another).await?;
            }
            return Ok(());
        }
        let which = Which::UpTo(self.store.read(|store| store.newest_pk()).await?);
        while self.read_some(device, &chat, &which, By::Another).await?.len() == CHUNK {}
        Ok(())
    }

    /// One write. The first write of a request is refused when the write queue is full.
    async fn read_some(
        &self,
        device: &DeviceId,
        chat: &Jid,
        which: &Which,
        by: By,
    ) -> Result<Vec<MessageId>, StoreError> {
        let (id, of, which, now) = (device.clone(), chat.clone(), which.clone(), self.clock.now());
        let write = move |tx: &Tx<'_>| {
            let (read, changed) = store_read(tx, &id, &of, &which, now)?;
            if matches!(by, By::Us { .. }) && !read.is_empty() {
                pending_sync::note(tx, &id, &of, &PendingSync::Read { messages: read.clone() }, now)?;
            }
            Ok::<_, StoreError>((read, changed))
        };
        let store = &self.store;
        let (read, changed) = match by {
            By::Us { first: true } => store.write(write).await?,
            By::Us { first: false } | By::Another => store.write_patiently(write).await?,
        };
        if changed {
            self.chat_changed(device, chat);
        }
        Ok(read)
    }
}

fn parts(only: Option<Vec<MessageId>>, newest: Pk) -> Vec<Which> {
    match only {
        Some(only) => only.chunks(CHUNK).map(|ids| Which::These(ids.to_vec())).collect(),
        None => vec![Which::UpTo(newest)],
    }
}

/// Marks incoming messages as read and appends `message:read`. Returns the messages, and whether the
/// chat's counter changed.
fn store_read(
    tx: &Tx<'_>,
    device: &DeviceId,
    chat: &Jid,
    which: &Which,
    now: Millis,
) -> Result<(Vec<MessageId>, bool), StoreError> {
    let read = match which {
        Which::UpTo(newest) => tx.mark_read(device, chat, *newest, CHUNK)?,
        Which::These(ids) => tx.mark_these_read(device, chat, ids)?,
        Which::Named(names) => {
            tx.mark_these_read(device, chat, &tx.incoming_by_network_id(device, chat, names)?)?
        }
    };
    // Recount even if nothing was unread: counted messages may have been removed.
    let changed = tx.recount_unread(device, chat)?;
    if !read.is_empty() {
        let event = MessagesReadEvent { chat_id: chat.clone(), message_ids: read.clone(), read_by: None };
        tx.append(device, &Event::MessageRead(event), now)?;
    }
    Ok((read, changed))
}
