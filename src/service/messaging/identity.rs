//! One person, one chat, by whichever id the network first spoke of them.
//!
//! Invariants: what a network tells is settled before anything is stored or told of it; while a number is
//! learnt nothing else of that device is taken in, so that nothing is stored by a hidden id after its number is
//! known. Learning is one transaction with its events; messages that were stored before are settled with it,
//! and, where they are many, in bounded writes that go on after a crash.

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
use crate::service::{Messaging, ServiceError};
use crate::store::rewrite_jids::RewrittenMessage;
use crate::store::{StoreError, Tx};

/// Messages settled in one write.
const CHUNK: usize = 200;
/// Updates of contacts in one write.
const TOLD: usize = 100;
/// The pause while a chat is being emptied, and how often it is made.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSES: usize = 100;

/// What follows from a write in which people became one.
#[derive(Debug, Default)]
struct After {
    /// Chats whose line changed.
    chats: Vec<Jid>,
    /// Files that nothing refers to any more, perhaps.
    released: Vec<MediaHash>,
    /// Who has messages left that are to be settled.
    left: Vec<IdentityPair>,
    /// Whether messages that wait to be sent are in another chat now.
    requeued: bool,
}

impl Messaging {
    /// What an engine says, with all that is known of the people in it.
    pub(in crate::service) async fn canonicalize<T: ReferencesPeople>(
        &self,
        device: &DeviceId,
        mut said: T,
    ) -> Result<T, StoreError> {
        let lids = hidden_ids(&mut said);
        if !lids.is_empty() {
            let id = device.clone();
            let known = self.store.read(move |store| store.known_people(&id, &lids)).await?;
            canonicalize(&mut said, &known);
        }
        Ok(said)
    }

    /// The id by which the API speaks of this chat or person, whichever of their ids a request names.
    pub(in crate::service) async fn aliases_of(
        &self,
        device: &DeviceId,
        id: &Jid,
    ) -> Result<Jid, ServiceError> {
        if id.kind() != JidKind::Lid {
            return Ok(id.clone());
        }
        let (device, id) = (device.clone(), id.clone());
        self.store.read(move |store| Ok(store.known_by(&device, &id)?)).await
    }

    /// The permanent id of a message, whichever spelling of it a request names.
    pub(in crate::service) async fn permanent(
        &self,
        device: &DeviceId,
        id: &MessageId,
    ) -> Result<MessageId, ServiceError> {
        let (device, id) = (device.clone(), id.clone());
        self.store
            .read(move |store| {
                store.device(&device)?.ok_or(ServiceError::DeviceNotFound)?;
                Ok(store.found_here(&device, &id)?.ok_or(ServiceError::MessageNotFound)?.id)
            })
            .await
    }

    /// What the network knows of people. Those who turn out to be one become one.
    pub(in crate::service) async fn ingest_contacts(
        &self,
        device: &DeviceId,
        told: Vec<ContactUpdate>,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        for some in told.chunks(TOLD) {
            let (id, some) = (device.clone(), some.to_vec());
            let after = self.store.write_patiently(move |tx| store_contacts(tx, &id, some, now)).await?;
            self.after_joining(device, after).await?;
        }
        Ok(())
    }

    async fn after_joining(&self, device: &DeviceId, after: After) -> Result<(), StoreError> {
        after.released.into_iter().for_each(|hash| self.media.media_released(hash));
        if after.requeued {
            self.forget_cancelled(device);
        }
        for same in after.left {
            self.go_on_settling(device, &same).await?;
        }
        after.chats.iter().for_each(|chat| self.chat_changed(device, chat));
        Ok(())
    }

    /// Goes on with what an earlier run of the daemon did not finish.
    pub(in crate::service) async fn resume_settling(&self) -> Result<(), StoreError> {
        let left = self.store.read(|store| store.unsettled_people()).await?;
        if left.is_empty() {
            return Ok(());
        }
        let messaging = self.clone();
        self.tasks.spawn("identities", async move {
            for (device, same) in left {
                if let Err(error) = messaging.go_on_settling(&device, &same).await {
                    tracing::warn!(%device, %error, "a person's chat is not one yet; it goes on with the next start");
                }
                messaging.chat_changed(&device, &same.number);
            }
        });
        Ok(())
    }

    /// Settles until nothing is left. Waits while one of the chats is being emptied: what is to go would be
    /// mixed up with what stays.
    async fn go_on_settling(&self, device: &DeviceId, same: &IdentityPair) -> Result<(), StoreError> {
        let mut pauses = 0;
        loop {
            let (id, who, now) = (device.clone(), same.clone(), self.clock.now());
            let some = self.store.write_patiently(move |tx| settle_some(tx, &id, &who, CHUNK, now)).await?;
            let Some(settled) = some else {
                pauses += 1;
                if pauses > PAUSES {
                    tracing::warn!(%device, "a chat is still being emptied; a person's chat becomes one with the next start");
                    return Ok(());
                }
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            settled.released.into_iter().for_each(|hash| self.media.media_released(hash));
            if settled.messages < CHUNK {
                return Ok(());
            }
        }
    }
}

fn store_contacts(
    tx: &Tx<'_>,
    device: &DeviceId,
    told: Vec<ContactUpdate>,
    now: Millis,
) -> Result<After, StoreError> {
    let mut after = After::default();
    let mut room = CHUNK;
    for mut update in told {
        tx.settle(device, &mut update)?;
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

/// `true` when it is news that these are one person.
fn join(
    tx: &Tx<'_>,
    device: &DeviceId,
    same: &IdentityPair,
    room: &mut usize,
    after: &mut After,
    now: Millis,
) -> Result<bool, StoreError> {
    let Some(learnt) = tx.merge_identities(device, same)? else { return Ok(false) };
    if let Some(contact) = learnt.taken_from.map(|id| tx.contact(device, &id)).transpose()?.flatten() {
        tx.append(device, &Event::ContactUpdate(ContactUpdateEvent { contact }), now)?;
    }
    match settle_some(tx, device, same, *room, now)? {
        Some(settled) if settled.messages < *room => {
            *room -= settled.messages;
            after.released.extend(settled.released);
        }
        Some(settled) => {
            *room = 0;
            after.released.extend(settled.released);
            after.left.push(same.clone());
        }
        None => after.left.push(same.clone()),
    }
    if learnt.chat {
        let merged = ChatMergedEvent { from: same.lid.clone(), to: same.number.clone() };
        tx.append(device, &Event::ChatMerged(merged), now)?;
        after.requeued = true;
    }
    Ok(true)
}

/// `None` while one of the chats is being emptied.
fn settle_some(
    tx: &Tx<'_>,
    device: &DeviceId,
    same: &IdentityPair,
    limit: usize,
    now: Millis,
) -> Result<Option<RewrittenMessage>, StoreError> {
    if tx.is_being_emptied(device, same)? {
        return Ok(None);
    }
    let settled = tx.settle_messages(device, same, limit)?;
    settled.regrade.iter().try_for_each(|id| regrade(tx, device, id, now))?;
    Ok(Some(settled))
}

/// Of a message to a group, two recipients were one: it may have come further than it seemed.
fn regrade(tx: &Tx<'_>, device: &DeviceId, id: &MessageId, now: Millis) -> Result<(), StoreError> {
    let Some(row) = tx.ack_row(device, id)? else { return Ok(()) };
    let level = Ack::of_group(tx.receipts(row.pk)?.into_iter().map(|receipt| receipt.ack));
    match level {
        // Until the network has answered, nobody knows who else it goes to.
        Some(level) if row.ack > Ack::Pending && level > Ack::Error => {
            raise_ack(tx, device, &row, &AckUpdate { level, failure: None, reader: None }, now)
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
