//! Removes a chat's messages in batches, so that writes of other devices are not delayed for long.
//!
//! Invariants: the first write emits the event and stores the remaining work, which resumes after a restart.
//! Messages that arrive in the meantime stay.

use crate::domain::clock::Millis;
use crate::domain::event::{ChatRemovedEvent, Event};
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::domain::media::MediaHash;
use crate::service::Messaging;
use crate::store::pending_clears::PendingClear;
use crate::store::{StoreError, Tx};

/// Messages removed in one write.
const CHUNK: usize = 200;

/// How a chat is cleared.
#[derive(Debug, Clone, Copy)]
pub(in crate::service) enum ClearChatJob {
    /// The chat stays, without its messages.
    Clear {
        /// Starred messages stay as well.
        keep_starred: bool,
    },
    /// The chat is removed as well.
    Delete,
}

/// The result of one write.
struct ClearChatResult {
    removed: u64,
    files: Vec<MediaHash>,
    /// The remaining work, if any.
    remaining: Option<PendingClear>,
}

impl Messaging {
    /// Resumes clearings that an earlier run of the daemon did not finish.
    pub(in crate::service) async fn resume_clearings(&self) -> Result<(), StoreError> {
        let begun = self.store.read(|store| store.clearings()).await?;
        if begun.is_empty() {
            return Ok(());
        }
        let messaging = self.clone();
        self.tasks.spawn("clearings", async move {
            for clearing in begun {
                let device = clearing.device.clone();
                if let Err(error) = messaging.resume_clear(clearing).await {
                    tracing::warn!(%device, %error, "clearing a chat failed; it resumes at the next start");
                }
            }
        });
        Ok(())
    }

    /// Removes the messages that are there now. Returns their number.
    pub(in crate::service) async fn remove_messages(
        &self,
        device: &DeviceId,
        chat: &Jid,
        how: ClearChatJob,
    ) -> Result<u64, StoreError> {
        let (id, of, now) = (device.clone(), chat.clone(), self.clock.now());
        let begin = move |tx: &Tx<'_>| begin_clear(tx, &id, &of, how, now);
        let cleared = self.store.write_patiently(begin).await?;
        cleared.files.into_iter().for_each(|hash| self.media.media_released(hash));
        let more = match cleared.remaining {
            Some(remaining) => self.resume_clear(remaining).await?,
            None => 0,
        };
        self.chat_changed(device, chat);
        Ok(cleared.removed + more)
    }

    async fn resume_clear(&self, clearing: PendingClear) -> Result<u64, StoreError> {
        let (device, chat) = (clearing.device.clone(), clearing.chat.clone());
        let (mut remaining, mut removed) = (Some(clearing), 0);
        while let Some(clearing) = remaining {
            let cleared = self.store.write_patiently(move |tx| clear_some(tx, clearing.clone())).await?;
            cleared.files.into_iter().for_each(|hash| self.media.media_released(hash));
            removed += cleared.removed;
            remaining = cleared.remaining;
        }
        self.chat_changed(&device, &chat);
        Ok(removed)
    }
}

fn begin_clear(
    tx: &Tx<'_>,
    device: &DeviceId,
    chat: &Jid,
    how: ClearChatJob,
    now: Millis,
) -> Result<ClearChatResult, StoreError> {
    let deletes = matches!(how, ClearChatJob::Delete);
    let keep_starred = matches!(how, ClearChatJob::Clear { keep_starred: true });
    let up_to = tx.newest_pk()?;
    let existed = deletes && tx.chat(device, chat)?.is_some();
    let clearing =
        PendingClear { id: None, device: device.clone(), chat: chat.clone(), up_to, keep_starred, deletes };
    let cleared = clear_some(tx, clearing)?;
    if existed || cleared.removed > 0 {
        let gone = ChatRemovedEvent { chat_id: chat.clone() };
        let event = if deletes { Event::ChatDeleted(gone) } else { Event::ChatCleared(gone) };
        tx.append(device, &event, now)?;
    }
    Ok(cleared)
}

fn clear_some(tx: &Tx<'_>, mut clearing: PendingClear) -> Result<ClearChatResult, StoreError> {
    let PendingClear { device, chat, .. } = &clearing;
    let found = tx.clearable(device, chat, clearing.up_to, clearing.keep_starred, CHUNK)?;
    let mut files = Vec::new();
    for pk in &found {
        files.extend(tx.hide_message(*pk)?);
    }
    tx.refresh_chat(device, chat)?;
    let removed = found.len() as u64;
    if found.len() == CHUNK {
        if clearing.id.is_none() {
            clearing.id = Some(tx.begin_clearing(&clearing)?);
        }
        return Ok(ClearChatResult { removed, files, remaining: Some(clearing) });
    }
    if clearing.deletes {
        tx.remove_chat(device, chat)?;
    }
    if let Some(id) = clearing.id {
        tx.end_clearing(id)?;
    }
    Ok(ClearChatResult { removed, files, remaining: None })
}
