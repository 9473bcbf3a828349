//! Merges the records of one person who appears under a phone number and a hidden id.
//!
//! Invariants: ids from the network are canonicalized before anything is stored or emitted. Nothing else of
//! a device is ingested during an identity merge, so that nothing is stored by a hidden id after its number
//! is stored. A merge and its events are one transaction. Stored messages are rewritten in that transaction
//! or, where they are many, in further bounded writes that resume after a crash.

use std::time::Duration;

use super::ingest::{AckUpdate, raise_ack};
use crate::domain::ack::Ack;
use crate::domain::clock::Millis;
use crate::domain::contact::ContactUpdate;
use crate::domain::event::{ChatMergedEvent, ContactUpdateEvent, Event};
use crate::domain::identity::{IdentityPair, ReferencesPeople, canonicalize, hidden_ids};
use crate::domain::ids::{DeviceId, MessageId};
use crate::domain::jid::{Jid, JidKind};
use crate::domain::media::MediaHash;
use crate::service::error::require_device;
use crate::service::{Messaging, ServiceError};
use crate::store::rewrite_jids::RewrittenMessage;
use crate::store::{StoreError, Tx};

/// Messages rewritten in one write.
const CHUNK: usize = 200;
/// Contact updates stored in one write.
const CONTACTS: usize = 100;
/// The pause while a chat is being cleared.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSES: usize = 100;

/// Follow-up work of a write that merged identities.
#[derive(Debug, Default)]
struct After {
    /// Chats to publish as changed.
    chats: Vec<Jid>,
    /// Files that may have lost their last reference.
    released: Vec<MediaHash>,
    /// Identities with messages that are still to be rewritten.
    pending: Vec<IdentityPair>,
    /// Whether messages in the outbox moved to another chat.
    requeued: bool,
}

impl Messaging {
    /// Replaces hidden ids in engine data by the phone numbers that the store has for them.
    pub(in crate::service) async fn canonicalize<T: ReferencesPeople>(
        &self,
        device: &DeviceId,
        mut data: T,
    ) -> Result<T, StoreError> {
        let lids = hidden_ids(&mut data);
        if !lids.is_empty() {
            let id = device.clone();
            let pairs = self.store.read(move |store| store.identity_pairs(&id, &lids)).await?;
            canonicalize(&mut data, &pairs);
        }
        Ok(data)
    }

    /// The canonical id of a chat or person, for any of their ids.
    pub(in crate::service) async fn canonical_chat(
        &self,
        device: &DeviceId,
        id: &Jid,
    ) -> Result<Jid, ServiceError> {
        if id.kind() != JidKind::Lid {
            return Ok(id.clone());
        }
        let (device, id) = (device.clone(), id.clone());
        self.store.read(move |store| Ok(store.canonical_id(&device, &id)?)).await
    }

    /// The permanent id of a message, for any spelling of it.
    pub(in crate::service) async fn permanent(
        &self,
        device: &DeviceId,
        id: &MessageId,
    ) -> Result<MessageId, ServiceError> {
        let (device, id) = (device.clone(), id.clone());
        self.store
            .read(move |store| {
                require_device(store, &device)?;
                Ok(store.found_here(&device, &id)?.ok_or(ServiceError::MessageNotFound)?.id)
            })
            .await
    }

    /// Ingests contact data from the network and merges identities that belong to one person.
    pub(in crate::service) async fn ingest_contacts(
        &self,
        device: &DeviceId,
        updates: Vec<ContactUpdate>,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        for batch in updates.chunks(CONTACTS) {
            let (id, batch) = (device.clone(), batch.to_vec());
            let after =
                self.store.write_patiently(move |tx| store_contacts(tx, &id, batch.clone(), now)).await?;
            self.after_joining(device, after).await?;
        }
        Ok(())
    }

    async fn after_joining(&self, device: &DeviceId, after: After) -> Result<(), StoreError> {
        after.released.into_iter().for_each(|hash| self.media.media_released(hash));
        if after.requeued {
            self.recheck_queue(device);
        }
        for same in after.pending {
            self.rewrite_messages(device, &same).await?;
        }
        after.chats.iter().for_each(|chat| self.chat_changed(device, chat));
        Ok(())
    }

    /// Resumes merges that an earlier run of the daemon did not finish.
    pub(in crate::service) async fn resume_identity_merges(&self) -> Result<(), StoreError> {
        let unfinished = self.store.read(|store| store.unresolved_people()).await?;
        if unfinished.is_empty() {
            return Ok(());
        }
        let messaging = self.clone();
        self.tasks.spawn("identities", async move {
            for (device, same) in unfinished {
                if let Err(error) = messaging.rewrite_messages(&device, &same).await {
                    tracing::warn!(%device, %error, "an identity merge failed; it resumes at the next start");
                }
                messaging.chat_changed(&device, &same.number);
            }
        });
        Ok(())
    }

    /// Rewrites messages until none is left. Waits while one of the two chats is being cleared, because the
    /// messages to be removed would mix with those that stay.
    async fn rewrite_messages(&self, device: &DeviceId, same: &IdentityPair) -> Result<(), StoreError> {
        let mut pauses = 0;
        loop {
            let (id, who, now) = (device.clone(), same.clone(), self.clock.now());
            let rewritten =
                self.store.write_patiently(move |tx| rewrite_some(tx, &id, &who, CHUNK, now)).await?;
            let Some(rewritten) = rewritten else {
                pauses += 1;
                if pauses > PAUSES {
                    tracing::warn!(%device, "a chat is still being cleared; the merge resumes at restart");
                    return Ok(());
                }
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            rewritten.released.into_iter().for_each(|hash| self.media.media_released(hash));
            if rewritten.messages < CHUNK {
                return Ok(());
            }
        }
    }
}

fn store_contacts(
    tx: &Tx<'_>,
    device: &DeviceId,
    updates: Vec<ContactUpdate>,
    now: Millis,
) -> Result<After, StoreError> {
    let mut after = After::default();
    let mut room = CHUNK;
    for mut update in updates {
        tx.canonicalize_ids(device, &mut update)?;
        let joined = match IdentityPair::pair_of(&update) {
            Some(same) => join(tx, device, &same, &mut room, &mut after, now)?,
            None => {
                update.lid = None;
                false
            }
        };
        let contact = match tx.merge_contact(device, &update)? {
            None if joined => tx.contact(device, &update.id)?,
            merged => merged,
        };
        let Some(contact) = contact else { continue };
        tx.append(device, &Event::ContactUpdate(ContactUpdateEvent { contact }), now)?;
        if tx.chat(device, &update.id)?.is_some() {
            after.chats.push(update.id);
        }
    }
    Ok(after)
}

/// Merges two identities; `true` when the store had them as two persons.
fn join(
    tx: &Tx<'_>,
    device: &DeviceId,
    same: &IdentityPair,
    room: &mut usize,
    after: &mut After,
    now: Millis,
) -> Result<bool, StoreError> {
    let Some(merge) = tx.merge_identities(device, same)? else { return Ok(false) };
    if let Some(contact) = merge.taken_from.map(|id| tx.contact(device, &id)).transpose()?.flatten() {
        tx.append(device, &Event::ContactUpdate(ContactUpdateEvent { contact }), now)?;
    }
    match rewrite_some(tx, device, same, *room, now)? {
        Some(rewritten) if rewritten.messages < *room => {
            *room -= rewritten.messages;
            after.released.extend(rewritten.released);
        }
        Some(rewritten) => {
            *room = 0;
            after.released.extend(rewritten.released);
            after.pending.push(same.clone());
        }
        None => after.pending.push(same.clone()),
    }
    if merge.chat {
        let merged = ChatMergedEvent { from: same.lid.clone(), to: same.number.clone() };
        tx.append(device, &Event::ChatMerged(merged), now)?;
        after.requeued = true;
    }
    Ok(true)
}

/// Rewrites at most `limit` messages. `None` while one of the chats is being cleared.
fn rewrite_some(
    tx: &Tx<'_>,
    device: &DeviceId,
    same: &IdentityPair,
    limit: usize,
    now: Millis,
) -> Result<Option<RewrittenMessage>, StoreError> {
    if tx.is_being_cleared(device, same)? {
        return Ok(None);
    }
    let rewritten = tx.canonicalize_messages(device, same, limit)?;
    rewritten.recompute_acks.iter().try_for_each(|id| recompute_ack(tx, device, id, now))?;
    Ok(Some(rewritten))
}

/// Recomputes the level of a group message after two of its recipients became one: it may be higher now.
fn recompute_ack(tx: &Tx<'_>, device: &DeviceId, id: &MessageId, now: Millis) -> Result<(), StoreError> {
    let Some(row) = tx.ack_row(device, id)? else { return Ok(()) };
    let level = Ack::of_group(tx.receipts(row.pk)?.into_iter().map(|receipt| receipt.ack));
    match level {
        // Before the network answers, the list of recipients is incomplete.
        Some(level) if row.ack > Ack::Pending && level > Ack::Error => {
            raise_ack(tx, device, &row, &AckUpdate { level, failure: None, reader: None }, now)
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
