//! Changes to stored messages: reactions, votes, edits, stars, removals and revocations.
//!
//! Clients ([`commands`]), the network ([`Messaging::ingest_change`]) and early changes ([`orphans`]) share
//! one function that writes a change. A change that is already in effect changes nothing and emits no event,
//! so every change may be repeated.

use serde::{Deserialize, Serialize};

use super::IngestMode;
use crate::domain::clock::Millis;
use crate::domain::event::{
    Event, MessageChangedEvent, MessageDeletedEvent, MessageReactionEvent, MessageStarredEvent, PollVoteEvent,
};
use crate::domain::ids::{DeviceId, MessageId};
use crate::domain::jid::Jid;
use crate::domain::media::MediaHash;
use crate::service::Messaging;
use crate::service::log::bridge_inbound;
use crate::service::media::links::LinkBase;
use crate::store::message_changes::AuthoredChange;
use crate::store::messages::{FoundMessage, Pk};
use crate::store::pending_sync::PendingSync;
use crate::store::{StoreError, Tx};

mod commands;
mod forward;
mod message_locks;
mod orphans;

pub use forward::Forward;
pub(in crate::service) use message_locks::MessageLocks;
pub(in crate::service) use orphans::make_early_changes;

/// A change to one message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::service) enum MessageUpdate {
    /// A person reacted; an empty emoji removes the reaction.
    React { from: Jid, from_me: bool, emoji: String, at: Millis },
    /// A person voted; no options remove the vote.
    Vote { voter: Jid, from_me: bool, options: Vec<String>, at: Millis },
    /// The author changed the text or caption.
    Edit { body: String, at: Millis },
    /// The message was revoked for everyone.
    Revoke,
    /// The message was removed from this account only.
    Hide,
    /// The message was starred (`true`) or unstarred.
    Star(bool),
}

/// The result of a change.
#[derive(Debug, Default)]
pub(in crate::service) struct Applied {
    /// Whether the stored message differs now.
    pub(in crate::service) changed: bool,
    /// A file that the message no longer refers to.
    pub(in crate::service) released: Option<MediaHash>,
}

impl Messaging {
    /// Ingests a change from the network. A change to a message that is not in the store is kept for later.
    pub(in crate::service) async fn ingest_change(
        &self,
        device: &DeviceId,
        id: MessageId,
        change: MessageUpdate,
        mode: IngestMode,
    ) -> Result<(), StoreError> {
        let (of, links, now) = (device.clone(), self.media.link_base(), self.clock.now());
        let (chat, applied) = self
            .store
            .write_patiently(move |tx| {
                let Some(found) = tx.found_here(&of, &id)? else {
                    // A message that was removed here must not come back through a change.
                    if tx.found(&of, &id)?.is_none() {
                        orphans::keep(tx, &of, &id, &change, mode, now)?;
                    }
                    return Ok((id.chat.clone(), Applied::default()));
                };
                if let MessageUpdate::Star(on) = change {
                    tx.supersede_pending_sync(
                        &of,
                        &found.chat,
                        &PendingSync::Star { id: found.id.clone(), on },
                    )?;
                }
                let target = Target { device: &of, found: &found };
                let (applied, event) = write(tx, &target, &change, &links)?;
                if let (Some(event), IngestMode::Live) = (&event, mode) {
                    tx.append(&of, event, now)?;
                    report_to_conversation(tx, found.pk, &change, now)?;
                }
                Ok::<_, StoreError>((found.chat, applied))
            })
            .await?;
        self.after(device, &chat, applied);
        Ok(())
    }

    /// Updates followers and the media store after the change is committed.
    pub(in crate::service) fn after(&self, device: &DeviceId, chat: &Jid, applied: Applied) {
        if applied.changed {
            self.chat_changed(device, chat);
        }
        if let Some(hash) = applied.released {
            self.media.media_released(hash);
        }
    }
}

/// A message that is in the store.
pub(in crate::service) struct Target<'a> {
    pub(in crate::service) device: &'a DeviceId,
    pub(in crate::service) found: &'a FoundMessage,
}

impl Target<'_> {
    fn named(&self) -> (MessageId, Jid) {
        (self.found.id.clone(), self.found.chat.clone())
    }
}

/// Writes a change and its event.
pub(in crate::service) fn apply(
    tx: &Tx<'_>,
    target: &Target<'_>,
    change: &MessageUpdate,
    links: &LinkBase,
    now: Millis,
) -> Result<Applied, StoreError> {
    let (applied, event) = write(tx, target, change, links)?;
    if let Some(event) = &event {
        tx.append(target.device, event, now)?;
        report_to_conversation(tx, target.found.pk, change, now)?;
    }
    Ok(applied)
}

/// Reports a change that operators see. A vote and a star are none.
fn report_to_conversation(
    tx: &Tx<'_>,
    message: Pk,
    change: &MessageUpdate,
    now: Millis,
) -> Result<(), StoreError> {
    match change {
        MessageUpdate::React { .. } | MessageUpdate::Edit { .. } => {
            bridge_inbound::record_change(tx, message, false, now)
        }
        MessageUpdate::Revoke | MessageUpdate::Hide => bridge_inbound::record_change(tx, message, true, now),
        MessageUpdate::Vote { .. } | MessageUpdate::Star(_) => Ok(()),
    }
}

/// Writes a change and returns its event, if the change had an effect.
fn write(
    tx: &Tx<'_>,
    target: &Target<'_>,
    change: &MessageUpdate,
    links: &LinkBase,
) -> Result<(Applied, Option<Event>), StoreError> {
    let (message_id, chat_id) = target.named();
    let mut released = None;
    let event = match change {
        MessageUpdate::React { from, from_me, emoji, at } => {
            let author = AuthoredChange { by: from, from_me: *from_me, at: *at };
            tx.react(target.found.pk, author, emoji)?.then(|| {
                let (from, emoji) = (from.clone(), emoji.clone());
                Event::MessageReaction(MessageReactionEvent { message_id, chat_id, from, emoji })
            })
        }
        MessageUpdate::Vote { voter, from_me, options, at } => {
            let author = AuthoredChange { by: voter, from_me: *from_me, at: *at };
            tx.vote(target.found.pk, author, options)?.then(|| {
                let (voter, options) = (voter.clone(), options.clone());
                Event::PollVote(PollVoteEvent { message_id, chat_id, voter, options })
            })
        }
        MessageUpdate::Edit { body, at } => {
            let changed = tx.edit_message(target.found.pk, body, *at)?;
            if changed { Some(Event::MessageEdited(to_event(tx, target, links)?)) } else { None }
        }
        MessageUpdate::Revoke => {
            let (changed, media) = tx.revoke_message(target.found.pk)?;
            released = media;
            if changed { Some(Event::MessageRevoked(to_event(tx, target, links)?)) } else { None }
        }
        MessageUpdate::Hide => {
            released = tx.hide_message(target.found.pk)?;
            tx.refresh_chat(target.device, &chat_id)?;
            Some(Event::MessageDeleted(MessageDeletedEvent { message_id, chat_id }))
        }
        MessageUpdate::Star(on) => {
            let starred = MessageStarredEvent { message_id, chat_id, is_starred: *on };
            tx.star_message(target.found.pk, *on)?.then_some(Event::MessageStarred(starred))
        }
    };
    Ok((Applied { changed: event.is_some(), released }, event))
}

fn to_event(tx: &Tx<'_>, target: &Target<'_>, links: &LinkBase) -> Result<MessageChangedEvent, StoreError> {
    let (message_id, chat_id) = target.named();
    let mut message = tx.message(target.device, &target.found.id)?.map(|found| found.message);
    if let Some(message) = &mut message {
        links.attach_all(tx, target.device, [message])?;
    }
    Ok(MessageChangedEvent { message_id, chat_id, message })
}
