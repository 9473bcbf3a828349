//! Changes to stored messages: reactions, votes, edits, stars, revocation and removal.

use rusqlite::params;

use super::column_codec::{parsed, parsed_if_any, time_if_any, to_json, to_word};
use super::content_column::{StoredContent, extra_text};
use super::error::StoreError;
use super::messages::{FoundMessage, Pk};
use super::tx::{Reader, Tx};
use crate::domain::clock::Millis;
use crate::domain::content::{Attachment, Content};
use crate::domain::identity::hidden_ids;
use crate::domain::ids::{DeviceId, MessageId};
use crate::domain::jid::Jid;
use crate::domain::media::MediaHash;
use crate::domain::message::MessageType;

/// Author and time of a vote or reaction, by the network's clock: a person's latest one is kept.
#[derive(Debug, Clone, Copy)]
pub struct AuthoredChange<'a> {
    /// The author.
    pub by: &'a Jid,
    /// Whether the author is our account.
    pub from_me: bool,
    /// The time by the network's clock.
    pub at: Millis,
}

impl Reader<'_> {
    /// A message's location in the store, unless it was removed here.
    ///
    /// # Errors
    /// When the store fails.
    pub fn found_here(&self, device: &DeviceId, id: &MessageId) -> Result<Option<FoundMessage>, StoreError> {
        Ok(self.found(device, id)?.filter(|found| !found.hidden))
    }

    /// When a message was last edited, by the network's clock.
    ///
    /// # Errors
    /// When the store fails.
    pub fn edited_at(&self, device: &DeviceId, id: &MessageId) -> Result<Option<Millis>, StoreError> {
        let Some(found) = self.found_here(device, id)? else { return Ok(None) };
        let edited = self.one("SELECT edited_at FROM messages WHERE pk = ?1", [found.pk], |row| {
            time_if_any(row, "edited_at")
        })?;
        Ok(edited.flatten())
    }

    /// When this daemon last handed a message to the network; none if it did not.
    ///
    /// # Errors
    /// When the store fails.
    pub fn sent_at(&self, device: &DeviceId, id: &MessageId) -> Result<Option<Millis>, StoreError> {
        let Some(found) = self.found_here(device, id)? else { return Ok(None) };
        let sent = self.one("SELECT sent_at FROM messages WHERE pk = ?1", [found.pk], |row| {
            time_if_any(row, "sent_at")
        })?;
        Ok(sent.flatten())
    }

    /// The oldest messages of a chat that are neither removed nor queued for sending, at most `limit`.
    ///
    /// # Errors
    /// When the store fails.
    pub fn chat_message_pks(
        &self,
        device: &DeviceId,
        chat: &Jid,
        limit: usize,
    ) -> Result<Vec<(Pk, MessageId)>, StoreError> {
        self.all(
            "SELECT pk, id FROM messages m WHERE device_id = ?1 AND chat_id = ?2 AND hidden = 0
                 AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.message_pk = m.pk)
             ORDER BY at, pk LIMIT ?3",
            params![device.as_str(), chat.to_string(), i64::try_from(limit).unwrap_or(i64::MAX)],
            |row| Ok((row.get(0)?, parsed(row, "id", "message id")?)),
        )
    }
}

impl Tx<'_> {
    /// Stores one person's reaction; an empty one removes it. Returns `false` when nothing changed.
    ///
    /// # Errors
    /// When the store fails.
    pub fn react(&self, pk: Pk, change: AuthoredChange<'_>, emoji: &str) -> Result<bool, StoreError> {
        let is_change = self.is_change(("reactions", "sender", "emoji"), pk, change, (emoji, ""))?;
        // A removal without an earlier reaction is stored too, and a repeated reaction gets the later time:
        // another author's row may turn out to belong to the same person.
        self.run(
            "INSERT INTO reactions (message_pk, sender, emoji, from_me, at)
             SELECT ?1, ?2, ?3, ?4, ?5
                 WHERE ?3 <> '' OR EXISTS (SELECT 1 FROM reactions WHERE message_pk = ?1)
             ON CONFLICT DO UPDATE SET emoji = excluded.emoji, at = excluded.at WHERE excluded.at >= at",
            params![pk, change.by.to_string(), emoji, change.from_me, change.at.0],
        )?;
        self.record_unresolved(pk, &hidden_ids(&mut change.by.clone()))?;
        Ok(is_change)
    }

    /// Whether this changes the person's stored value; `(value, empty)` are the new value and the empty one.
    fn is_change(
        &self,
        (table, who, what): (&str, &str, &str),
        pk: Pk,
        change: AuthoredChange<'_>,
        (value, empty): (&str, &str),
    ) -> Result<bool, StoreError> {
        let before = self.one(
            &format!("SELECT {what}, at FROM {table} WHERE message_pk = ?1 AND {who} = ?2"),
            params![pk, change.by.to_string()],
            |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)),
        )?;
        Ok(match before {
            None => value != empty,
            Some((before, at)) => change.at.0 >= at && before != value,
        })
    }

    /// Stores one person's choice in a poll; an empty one removes it. Returns `false` when nothing changed.
    ///
    /// # Errors
    /// When the store fails.
    pub fn vote(&self, pk: Pk, change: AuthoredChange<'_>, options: &[String]) -> Result<bool, StoreError> {
        let options = to_json(&options, "poll vote")?;
        let is_change = self.is_change(("poll_votes", "voter", "options"), pk, change, (&options, "[]"))?;
        self.run(
            "INSERT INTO poll_votes (message_pk, voter, options, at)
             SELECT ?1, ?2, ?3, ?4
                 WHERE ?3 <> '[]' OR EXISTS (SELECT 1 FROM poll_votes WHERE message_pk = ?1)
             ON CONFLICT DO UPDATE SET options = excluded.options, at = excluded.at WHERE excluded.at >= at",
            params![pk, change.by.to_string(), options, change.at.0],
        )?;
        self.record_unresolved(pk, &hidden_ids(&mut change.by.clone()))?;
        Ok(is_change)
    }

    /// Changes a message's text. Returns `false` when a later edit is stored or nothing changes.
    ///
    /// # Errors
    /// When the store fails.
    pub fn edit_message(&self, pk: Pk, body: &str, at: Millis) -> Result<bool, StoreError> {
        let changed = self.run(
            "UPDATE messages SET body = ?2, is_edited = 1, edited_at = ?3
             WHERE pk = ?1 AND coalesce(edited_at, 0) <= ?3 AND type <> 'revoked' AND body <> ?2",
            params![pk, body, at.0],
        )?;
        Ok(changed > 0)
    }

    /// Adds a file to a message that was stored without it. `false` when the message has a file already, or was
    /// revoked.
    ///
    /// # Errors
    /// When the store fails.
    pub fn attach_file(
        &self,
        device: &DeviceId,
        id: &MessageId,
        file: Attachment,
    ) -> Result<bool, StoreError> {
        let Some(found) = self.found_here(device, id)? else { return Ok(false) };
        let Some(tracked) = self.message(device, &found.id)? else { return Ok(false) };
        let has_file = tracked.message.media.as_ref().is_some_and(|media| media.available);
        if has_file || tracked.message.kind == MessageType::Revoked {
            return Ok(false);
        }
        let message = tracked.message.with_content(Content::Media(file));
        self.run(
            "UPDATE messages SET content = ?2, type = ?3, extra_text = ?4,
                 media_hash = (SELECT hash FROM media WHERE hash = ?5)
             WHERE pk = ?1",
            params![
                found.pk,
                StoredContent::of(&message)?,
                to_word(&message.kind, "message type")?,
                extra_text(&message),
                message.media.as_ref().map(|media| media.file.hash.as_str()),
            ],
        )?;
        Ok(true)
    }

    /// Removes a revoked message's content; only the fact that it existed remains. Returns whether anything
    /// changed, and the file that it had.
    ///
    /// # Errors
    /// When the store fails.
    pub fn revoke_message(&self, pk: Pk) -> Result<(bool, Option<MediaHash>), StoreError> {
        let media = self.media_of(pk)?;
        if let Some(hash) = &media {
            self.forget_uploads_of(pk, hash)?;
        }
        let changed = self.run(
            "UPDATE messages SET body = '', type = 'revoked', content = NULL, quoted = NULL, media_hash = NULL,
                 extra_text = NULL, is_edited = 0, is_starred = 0
             WHERE pk = ?1 AND type <> 'revoked'",
            [pk],
        )?;
        self.forget_sayings(pk)?;
        Ok((changed > 0, media))
    }

    /// Removes a message from this account but keeps its id, so that a second copy does not restore it.
    /// Returns the file that it had.
    ///
    /// # Errors
    /// When the store fails.
    pub fn hide_message(&self, pk: Pk) -> Result<Option<MediaHash>, StoreError> {
        let media = self.media_of(pk)?;
        self.run(
            "UPDATE messages SET hidden = 1, unread = 0, is_starred = 0, body = '', content = NULL, quoted = NULL,
                 media_hash = NULL, extra_text = NULL WHERE pk = ?1",
            [pk],
        )?;
        self.forget_sayings(pk)?;
        Ok(media)
    }

    /// Stars or unstars a message. Returns `false` when nothing changed.
    ///
    /// # Errors
    /// When the store fails.
    pub fn star_message(&self, pk: Pk, on: bool) -> Result<bool, StoreError> {
        Ok(self
            .run("UPDATE messages SET is_starred = ?2 WHERE pk = ?1 AND is_starred <> ?2", params![pk, on])?
            > 0)
    }

    /// Sets a chat's last message after messages were removed, and recounts its unread messages.
    ///
    /// # Errors
    /// When the store fails.
    pub fn refresh_chat(&self, device: &DeviceId, chat: &Jid) -> Result<(), StoreError> {
        self.run(
            "UPDATE chats SET last_message_pk = (SELECT pk FROM messages m
                 WHERE m.device_id = ?1 AND m.chat_id = ?2 AND m.hidden = 0 ORDER BY m.at DESC, m.pk DESC LIMIT 1)
             WHERE device_id = ?1 AND id = ?2",
            params![device.as_str(), chat.to_string()],
        )?;
        self.recount_unread(device, chat)?;
        Ok(())
    }

    fn media_of(&self, pk: Pk) -> Result<Option<MediaHash>, StoreError> {
        let hash = self.one("SELECT media_hash FROM messages WHERE pk = ?1", [pk], |row| {
            parsed_if_any(row, "media_hash", "media hash")
        })?;
        Ok(hash.flatten())
    }

    fn forget_sayings(&self, pk: Pk) -> Result<(), StoreError> {
        self.run("DELETE FROM reactions WHERE message_pk = ?1", [pk])?;
        self.run("DELETE FROM poll_votes WHERE message_pk = ?1", [pk])?;
        Ok(())
    }
}
