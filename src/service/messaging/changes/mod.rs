//! What happens to messages after they are stored: reactions, votes, edits, stars, being taken back.
//!
//! [`apply`] is the one place that writes a change and tells of it, whoever made it: a client here
//! ([`ask`](self::commands)) or the network ([`Messaging::ingest_change`]). A change that is there already changes
//! nothing and tells nothing, so that everything may be said twice.

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
use crate::service::media::links::{LinkBase, MediaLinks};
use crate::store::message_changes::AuthoredChange;
use crate::store::messages::FoundMessage;
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
    /// Somebody reacted; empty takes it back.
    React { from: Jid, from_me: bool, emoji: String, at: Millis },
    /// Somebody voted; none takes it back.
    Vote { voter: Jid, from_me: bool, options: Vec<String>, at: Millis },
    /// Its text changed.
    Edit { body: String, at: Millis },
    /// Taken back for everyone.
    Revoke,
    /// Removed from this account.
    Hide,
    /// Starred, or not any more.
    Star(bool),
}

/// What a change came to.
#[derive(Debug, Default)]
pub(in crate::service) struct Applied {
    /// Whether anything is different now.
    pub(in crate::service) changed: bool,
    /// A file that the message no longer refers to.
    pub(in crate::service) released: Option<MediaHash>,
}

impl Messaging {
    /// The network tells of a change. One to a message that is not here changes nothing.
    pub(in crate::service) async fn ingest_change(
        &self,
        device: &DeviceId,
        id: MessageId,
        change: MessageUpdate,
        telling: IngestMode,
    ) -> Result<(), StoreError> {
        let (of, links, now) = (device.clone(), self.media.link_base(), self.clock.now());
        let (chat, applied) = self
            .store
            .write_patiently(move |tx| {
                let Some(found) = tx.found_here(&of, &id)? else {
                    // Of what was removed here nothing is to be known any more.
                    if tx.found(&of, &id)?.is_none() {
                        orphans::keep(tx, &of, &id, &change, now)?;
                    }
                    return Ok((id.chat, Applied::default()));
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
                if let (Some(event), IngestMode::Live) = (&event, telling) {
                    tx.append(&of, event, now)?;
                }
                Ok::<_, StoreError>((found.chat, applied))
            })
            .await?;
        self.after(device, &chat, applied);
        Ok(())
    }

    /// What follows in memory from a change that is committed.
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

/// Writes a change and tells of it.
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
    }
    Ok(applied)
}

/// Writes a change; what is to be told of it is answered.
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
            let said = AuthoredChange { by: from, from_me: *from_me, at: *at };
            tx.react(target.found.pk, said, emoji)?.then(|| {
                let (from, emoji) = (from.clone(), emoji.clone());
                Event::MessageReaction(MessageReactionEvent { message_id, chat_id, from, emoji })
            })
        }
        MessageUpdate::Vote { voter, from_me, options, at } => {
            let said = AuthoredChange { by: voter, from_me: *from_me, at: *at };
            tx.vote(target.found.pk, said, options)?.then(|| {
                let (voter, options) = (voter.clone(), options.clone());
                Event::PollVote(PollVoteEvent { message_id, chat_id, voter, options })
            })
        }
        MessageUpdate::Edit { body, at } => {
            let changed = tx.edit_message(target.found.pk, body, *at)?;
            if changed { Some(Event::MessageEdited(as_it_is(tx, target, links)?)) } else { None }
        }
        MessageUpdate::Revoke => {
            let (changed, media) = tx.revoke_message(target.found.pk)?;
            released = media;
            if changed { Some(Event::MessageRevoked(as_it_is(tx, target, links)?)) } else { None }
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

fn as_it_is(tx: &Tx<'_>, target: &Target<'_>, links: &LinkBase) -> Result<MessageChangedEvent, StoreError> {
    let (message_id, chat_id) = target.named();
    let mut message = tx.message(target.device, &target.found.id)?.map(|found| found.message);
    if let Some(message) = &mut message {
        MediaLinks::of(tx, target.device, links)?.attach(message);
    }
    Ok(MessageChangedEvent { message_id, chat_id, message })
}
