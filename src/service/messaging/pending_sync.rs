//! Synchronizes changes made here to the network: at once if the device is connected, else when it is ready.
//!
//! Invariants: an entry is stored in the transaction of its change and removed after the network accepted or
//! refused it. Entries of a device are sent one at a time, in order. Sending one twice has no further effect.

use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::engine::{ChatChange, MessageChange, Session, SessionError};
use crate::service::Messaging;
use crate::store::pending_sync::{PendingSync, PendingSyncRow};
use crate::store::{StoreError, Tx};

/// Entries read in one step.
const PAGE: usize = 20;

/// Stores an entry; the caller flushes it with [`Messaging::flush_pending_sync`] after the commit.
pub(in crate::service) fn note(
    tx: &Tx<'_>,
    device: &DeviceId,
    chat: &Jid,
    entry: &PendingSync,
    now: Millis,
) -> Result<(), StoreError> {
    let dropped = tx.record_pending_sync(device, chat, entry, now)?;
    if dropped > 0 {
        tracing::warn!(%device, dropped, "too many changes wait for the network; the oldest is dropped");
    }
    Ok(())
}

/// The entry for a change to a chat. Clearing has none: sent late, it would remove newer messages on other
/// devices.
pub(in crate::service) fn of_chat(change: &ChatChange) -> Option<PendingSync> {
    match *change {
        ChatChange::Archive(on) => Some(PendingSync::Archive { on }),
        ChatChange::Pin(on) => Some(PendingSync::Pin { on }),
        ChatChange::Mute(mute) => Some(PendingSync::Mute { on: mute.is_some(), until: mute.flatten() }),
        ChatChange::Clear | ChatChange::Delete => None,
    }
}

impl Messaging {
    /// Sends the pending entries, if the device is connected.
    pub(in crate::service) async fn flush_pending_sync(&self, device: &DeviceId) {
        let Ok(live) = self.registry.live(device) else { return };
        let _turn = live.pending_sync.lock().await;
        // The loop ends, because each round removes the entries that it read.
        loop {
            match self.send_page(device).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    return tracing::warn!(%device, %error, "pending changes could not be sent");
                }
            }
        }
    }

    /// Sends one page of entries; `true` when there may be more.
    async fn send_page(&self, device: &DeviceId) -> Result<bool, StoreError> {
        let Ok(session) = self.registry.session(device) else { return Ok(false) };
        let id = device.clone();
        let entries = self.store.read(move |store| store.untold(&id, PAGE)).await?;
        let more = entries.len() == PAGE;
        for entry in entries {
            let row = entry.id;
            match send_to_network(&*session, entry).await {
                Ok(()) => {}
                Err(SessionError::Offline) => return Ok(false),
                Err(error) => {
                    tracing::info!(%device, %error, "the network refused a change");
                }
            }
            self.store.write_patiently(move |tx| tx.remove_pending_sync_entry(row)).await?;
        }
        Ok(more)
    }
}

async fn send_to_network(session: &dyn Session, entry: PendingSyncRow) -> Result<(), SessionError> {
    let chat = &entry.chat;
    match entry.untold {
        PendingSync::Read { messages } => session.mark_read(chat, &messages).await,
        PendingSync::Archive { on } => session.change_chat(chat, ChatChange::Archive(on)).await,
        PendingSync::Pin { on } => session.change_chat(chat, ChatChange::Pin(on)).await,
        PendingSync::Mute { on, until } => {
            session.change_chat(chat, ChatChange::Mute(on.then_some(until))).await
        }
        PendingSync::Star { id, on } => session.change_message(MessageChange::Star { id, on }).await,
    }
}
