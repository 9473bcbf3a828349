//! Telling the network what was done here: at once when it can be told, else when the device is ready again.
//!
//! Invariants: what is to be told is stored in the transaction of the change itself, and removed once it was
//! told or refused; one after the other, in order, for each device. To tell something twice is the same as
//! once.

use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::engine::{ChatChange, MessageChange, Session, SessionError};
use crate::service::Messaging;
use crate::store::pending_sync::{PendingSync, PendingSyncRow};
use crate::store::{StoreError, Tx};

/// Entries read at once.
const PAGE: usize = 20;

/// Stores what the network is to be told; [`Messaging::tell_untold`] after the commit tells it.
pub(in crate::service) fn note(
    tx: &Tx<'_>,
    device: &DeviceId,
    chat: &Jid,
    untold: &PendingSync,
    now: Millis,
) -> Result<(), StoreError> {
    let dropped = tx.record_pending_sync(device, chat, untold, now)?;
    if dropped > 0 {
        tracing::warn!(%device, dropped, "too much waits to be told to the network; the oldest is dropped");
    }
    Ok(())
}

/// What is to be told of a change to a chat. Emptying is not told late: that would take on other devices what
/// came in between.
pub(in crate::service) fn of_chat(change: &ChatChange) -> Option<PendingSync> {
    match *change {
        ChatChange::Archive(on) => Some(PendingSync::Archive { on }),
        ChatChange::Pin(on) => Some(PendingSync::Pin { on }),
        ChatChange::Mute(mute) => Some(PendingSync::Mute { on: mute.is_some(), until: mute.flatten() }),
        ChatChange::Clear | ChatChange::Delete => None,
    }
}

impl Messaging {
    /// Tells what waits, if the network can be told now.
    pub(in crate::service) async fn flush_pending_sync(&self, device: &DeviceId) {
        let Ok(live) = self.registry.live(device) else { return };
        let _turn = live.pending_sync.lock().await;
        // Ends: each round removes what it found.
        loop {
            match self.tell_some(device).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    return tracing::warn!(%device, %error, "what the network is to be told waits");
                }
            }
        }
    }

    /// `true` when there may be more.
    async fn tell_some(&self, device: &DeviceId) -> Result<bool, StoreError> {
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
                    tracing::info!(%device, %error, "the network does not want to hear what was done");
                }
            }
            self.store.write_patiently(move |tx| tx.remove_untold(row)).await?;
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
