//! Messages, their delivery state, and pages of a chat.

use std::collections::HashMap;

use rusqlite::{Row, params};

use super::column_codec::{from_json, from_word, parsed, parsed_if_any, text, text_if_any, to_json, to_word};
use super::content_column::{StoredContent, extra_text};
use super::error::StoreError;
use super::message_responses::{chunk_params, chunks};
use super::tx::{Reader, Tx};
use crate::domain::ack::{Ack, Status};
use crate::domain::clock::Millis;
use crate::domain::identity::hidden_ids;
use crate::domain::ids::{DeviceId, MessageId, NetworkId};
use crate::domain::jid::Jid;
use crate::domain::message::{Message, Receipt, SendFailure, TrackedMessage};

/// Milliseconds of a second.
const SECOND: i64 = 1_000;

/// The columns of [`message`], which reads them by position.
pub(super) const COLUMNS: &str = "m.pk, m.id, m.chat_id, m.from_jid, m.to_jid, m.author, m.from_me, m.body, m.type, \
     m.at, m.ack, m.is_forwarded, m.is_starred, m.is_edited, m.notify_name, m.content, m.quoted, \
     m.media_hash IS NOT NULL";
/// The number of [`COLUMNS`].
const COLUMN_COUNT: usize = 18;

/// A message's place in the store; later ones have higher numbers.
pub type Pk = i64;

/// The start of a page of a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageFrom {
    /// The newest messages.
    Newest,
    /// The newest of those before this place.
    Before(PagePosition),
    /// The oldest of those after this place.
    After(PagePosition),
}

/// A message's place in its chat: by time, then by arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PagePosition {
    /// The network's time.
    pub at: Millis,
    /// The order of arrival.
    pub pk: Pk,
}

/// A message's acknowledgement as it stands, for merging a receipt into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AckRow {
    /// Its permanent id.
    pub id: MessageId,
    /// The chat it stands in.
    pub chat: Jid,
    /// Its place in the store.
    pub pk: Pk,
    /// How far it has come.
    pub ack: Ack,
    /// Its step.
    pub status: Status,
    /// The sender's own name for it.
    pub temp_id: Option<String>,
    /// When it was accepted here.
    pub stored_at: Millis,
}

/// A message as its id finds it, by either spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundMessage {
    /// Its place in the store.
    pub pk: Pk,
    /// Its permanent id.
    pub id: MessageId,
    /// The chat it stands in; its id may say where it once stood.
    pub chat: Jid,
    /// Whether it was removed here.
    pub hidden: bool,
}

impl Reader<'_> {
    /// One message, with its receipts.
    ///
    /// # Errors
    /// When the store fails.
    pub fn message(&self, device: &DeviceId, id: &MessageId) -> Result<Option<TrackedMessage>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS}, m.status, m.failure_code, m.failure_message
             FROM messages m WHERE pk = ?1 AND hidden = 0"
        );
        let Some(found) = self.found(device, id)? else { return Ok(None) };
        let Some(mut tracked) = self.one(&sql, [found.pk], tracked)? else { return Ok(None) };
        self.attach_responses(&mut [(found.pk, &mut tracked.message)])?;
        tracked.receipts = self.receipts(found.pk)?;
        Ok(Some(tracked))
    }

    /// The receipts of each recipient of a message.
    ///
    /// # Errors
    /// When the store fails.
    pub fn receipts(&self, pk: Pk) -> Result<Vec<Receipt>, StoreError> {
        self.all(
            "SELECT participant, ack, at FROM receipts WHERE message_pk = ?1 ORDER BY participant",
            [pk],
            |row| {
                Ok(Receipt {
                    participant: parsed(row, "participant", "receipt")?,
                    ack: ack(row.get("ack")?)?,
                    timestamp: Millis(row.get("at")?),
                })
            },
        )
    }

    pub(super) fn has_message(&self, device: &DeviceId, id: &MessageId) -> Result<bool, StoreError> {
        let sql = "SELECT count(*) FROM messages WHERE device_id = ?1 AND id = ?2";
        Ok(self.number(sql, params![device.as_str(), id.to_string()])? > 0)
    }

    /// A message's acknowledgement.
    ///
    /// # Errors
    /// When the store fails.
    pub fn ack_row(&self, device: &DeviceId, id: &MessageId) -> Result<Option<AckRow>, StoreError> {
        let Some(FoundMessage { pk, id, chat, .. }) = self.found(device, id)? else { return Ok(None) };
        self.one("SELECT ack, status, temp_id, stored_at FROM messages WHERE pk = ?1", [pk], |row| {
            Ok(AckRow {
                pk,
                id,
                chat,
                ack: ack(row.get("ack")?)?,
                status: from_word(text(row, "status")?, "message status")?,
                temp_id: row.get("temp_id")?,
                stored_at: Millis(row.get("stored_at")?),
            })
        })
    }

    /// The position of a message in its chat.
    ///
    /// # Errors
    /// When the store fails.
    pub fn page_position(
        &self,
        device: &DeviceId,
        chat: &Jid,
        id: &MessageId,
    ) -> Result<Option<PagePosition>, StoreError> {
        let Some(found) = self.found(device, id)?.filter(|found| found.chat == *chat) else {
            return Ok(None);
        };
        self.one("SELECT at, pk FROM messages WHERE pk = ?1 AND hidden = 0", [found.pk], |row| {
            Ok(PagePosition { at: Millis(row.get(0)?), pk: row.get(1)? })
        })
    }

    /// At most `limit` messages of a chat, oldest first, each with its place.
    ///
    /// # Errors
    /// When the store fails.
    pub fn page(
        &self,
        device: &DeviceId,
        chat: &Jid,
        from: PageFrom,
        limit: usize,
    ) -> Result<Vec<(PagePosition, Message)>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let newest = PagePosition { at: Millis(i64::MAX), pk: Pk::MAX };
        let (range, order, place) = match from {
            PageFrom::Newest => ("<=", "DESC", newest),
            PageFrom::Before(place) => ("<", "DESC", place),
            PageFrom::After(place) => (">", "ASC", place),
        };
        let sql = format!(
            "SELECT {COLUMNS} FROM messages m
             WHERE m.device_id = ?1 AND m.chat_id = ?2 AND m.hidden = 0 AND (m.at, m.pk) {range} (?3, ?4)
             ORDER BY m.at {order}, m.pk {order} LIMIT ?5"
        );
        let params = params![device.as_str(), chat.to_string(), place.at.0, place.pk, limit];
        let mut found = self.all(&sql, params, |row| {
            let message = message(row)?;
            Ok((PagePosition { at: message.timestamp, pk: row.get(0)? }, message))
        })?;
        let mut messages: Vec<_> = found.iter_mut().map(|(place, message)| (place.pk, message)).collect();
        self.attach_responses(&mut messages)?;
        if order == "DESC" {
            found.reverse();
        }
        Ok(found)
    }

    /// The number of messages of a chat.
    ///
    /// # Errors
    /// When the store fails.
    pub fn message_count(&self, device: &DeviceId, chat: &Jid) -> Result<i64, StoreError> {
        self.number(
            "SELECT messages FROM chat_sizes WHERE device_id = ?1 AND chat_id = ?2",
            params![device.as_str(), chat.to_string()],
        )
    }

    /// The visible messages at these places, in their order.
    pub(super) fn messages_at(&self, pks: &[Pk]) -> Result<Vec<Message>, StoreError> {
        let sql =
            format!("SELECT {COLUMNS} FROM messages m WHERE m.hidden = 0 AND m.pk IN ({})", chunk_params());
        let mut found: HashMap<Pk, Message> = HashMap::with_capacity(pks.len());
        for chunk in chunks(pks) {
            for (pk, message) in self.all(&sql, chunk, |row| Ok((row.get(0)?, message(row)?)))? {
                found.insert(pk, message);
            }
        }
        let mut ordered: Vec<(Pk, Message)> =
            pks.iter().filter_map(|pk| Some((*pk, found.remove(pk)?))).collect();
        self.attach_responses(
            &mut ordered.iter_mut().map(|(pk, message)| (*pk, message)).collect::<Vec<_>>(),
        )?;
        Ok(ordered.into_iter().map(|(_, message)| message).collect())
    }

    /// The incoming messages of a chat with these network ids; in a group, of any author.
    ///
    /// # Errors
    /// When the store fails.
    pub fn incoming_by_network_id(
        &self,
        device: &DeviceId,
        chat: &Jid,
        names: &[NetworkId],
    ) -> Result<Vec<MessageId>, StoreError> {
        let mut found = Vec::new();
        for name in names {
            let id =
                MessageId { from_me: false, chat: chat.clone(), network: name.clone(), participant: None };
            if !chat.is_group() {
                found.push(id);
                continue;
            }
            // The member's id follows after an underscore; the character after that in ASCII ends the range.
            let candidates: Vec<MessageId> = self.all(
                "SELECT id FROM messages WHERE device_id = ?1 AND id >= ?2 || '_' AND id < ?2 || '`'",
                params![device.as_str(), id.to_string()],
                |row| parsed(row, "id", "message id"),
            )?;
            found.extend(candidates.into_iter().filter(|candidate| candidate.network == *name));
        }
        Ok(found)
    }
}

impl Tx<'_> {
    /// When a message comes in that its network dates by whole seconds: not before what came and left before it in the
    /// same second, so that an answer stands after its question.
    ///
    /// # Errors
    /// When the store fails.
    pub fn within_its_second(&self, device: &DeviceId, chat: &Jid, at: Millis) -> Result<Millis, StoreError> {
        if at.0 % SECOND != 0 {
            return Ok(at);
        }
        let newest: Option<i64> = self
            .prepare(
                "SELECT max(at) FROM messages WHERE device_id = ?1 AND chat_id = ?2 AND hidden IN (0, 1) AND at >= ?3 AND at < ?3 + ?4",
            )?
            .query_row(params![device.as_str(), chat.to_string(), at.0, SECOND], |row| row.get(0))?;
        Ok(newest.map_or(at, Millis))
    }

    /// Adds a message; `None` when the device has it already. A file that is not in the store any more is
    /// described and not there.
    ///
    /// # Errors
    /// When the store fails.
    pub fn insert_message(&self, device: &DeviceId, new: &NewMessage<'_>) -> Result<Option<Pk>, StoreError> {
        let m = new.message;
        if let Some(other) = self.other_spelling(device, &m.id)?
            && self.has_message(device, &other)?
        {
            return Ok(None);
        }
        let quoted = m.quoted_message.as_ref().map(|quoted| to_json(quoted, "quoted message")).transpose()?;
        let added = self
            .prepare(
                "INSERT INTO messages (device_id, id, chat_id, from_jid, to_jid, author, from_me, body, type, at,
                     stored_at, ack, status, unread, notify_name, temp_id, is_forwarded, is_starred, is_edited,
                     content, quoted, media_hash, extra_text)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19,
                     ?20, ?21, (SELECT hash FROM media WHERE hash = ?22), ?23)
                 ON CONFLICT (device_id, id) DO NOTHING",
            )?
            .execute(
                params![
                    device.as_str(),
                    m.id.to_string(),
                    m.chat_id.to_string(),
                    m.from.to_string(),
                    m.to.to_string(),
                    m.author.as_ref().map(ToString::to_string),
                    m.from_me,
                    m.body,
                    to_word(&m.kind, "message type")?,
                    m.timestamp.0,
                    new.stored_at.0,
                    m.ack.level(),
                    new.status.as_str(),
                    new.unread,
                    m.notify_name,
                    new.temp_id,
                    m.is_forwarded,
                    m.is_starred,
                    m.is_edited,
                    StoredContent::of(m)?,
                    quoted,
                    m.media.as_ref().map(|media| media.file.hash.as_str()),
                    extra_text(m),
                ],
            )?;
        if added == 0 {
            return Ok(None);
        }
        let pk = self.last_row();
        self.record_unresolved(pk, &hidden_ids(&mut m.clone()))?;
        Ok(Some(pk))
    }

    /// Writes how far a message has come.
    ///
    /// # Errors
    /// When the store fails.
    pub fn set_ack(
        &self,
        pk: Pk,
        ack: Ack,
        status: Status,
        failure: Option<&SendFailure>,
    ) -> Result<(), StoreError> {
        self.run(
            "UPDATE messages SET ack = ?2, status = ?3, failure_code = ?4, failure_message = ?5 WHERE pk = ?1",
            params![pk, ack.level(), status.as_str(), failure.map(|f| &f.code), failure.map(|f| &f.message)],
        )?;
        Ok(())
    }

    /// Merges one recipient's receipt. `false` when it changed nothing.
    ///
    /// # Errors
    /// When the store fails.
    pub fn merge_receipt(
        &self,
        pk: Pk,
        participant: &Jid,
        receipt: Ack,
        at: Millis,
    ) -> Result<bool, StoreError> {
        let known = self.one(
            "SELECT ack FROM receipts WHERE message_pk = ?1 AND participant = ?2",
            params![pk, participant.to_string()],
            |row| ack(row.get(0)?),
        )?;
        let Some(merged) = known.map_or(Some(receipt), |known| known.merge(receipt)) else {
            return Ok(false);
        };
        self.run(
            "INSERT INTO receipts (message_pk, participant, ack, at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET ack = excluded.ack, at = excluded.at",
            params![pk, participant.to_string(), merged.level(), at.0],
        )?;
        self.record_unresolved(pk, &hidden_ids(&mut participant.clone()))?;
        Ok(true)
    }

    /// Marks incoming messages of a chat read, the oldest first: those up to this one, at most `limit`. Says
    /// which they are; none any more when there are fewer than that.
    ///
    /// # Errors
    /// When the store fails.
    pub fn mark_read(
        &self,
        device: &DeviceId,
        chat: &Jid,
        up_to: Pk,
        limit: usize,
    ) -> Result<Vec<MessageId>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let unread = self.all(
            "SELECT pk, id FROM messages WHERE device_id = ?1 AND chat_id = ?2 AND unread = 1 AND pk <= ?3
             ORDER BY pk LIMIT ?4",
            params![device.as_str(), chat.to_string(), up_to, limit],
            |row| Ok((row.get::<_, Pk>("pk")?, parsed(row, "id", "message id")?)),
        )?;
        for (pk, _) in &unread {
            self.run("UPDATE messages SET unread = 0 WHERE pk = ?1", [pk])?;
        }
        Ok(unread.into_iter().map(|(_, id)| id).collect())
    }

    /// Marks these incoming messages of a chat read, and says which were unread.
    ///
    /// # Errors
    /// When the store fails.
    pub fn mark_these_read(
        &self,
        device: &DeviceId,
        chat: &Jid,
        only: &[MessageId],
    ) -> Result<Vec<MessageId>, StoreError> {
        let mut read = Vec::new();
        for id in only {
            let Some(found) = self.found(device, id)?.filter(|found| found.chat == *chat) else { continue };
            let changed =
                self.run("UPDATE messages SET unread = 0 WHERE pk = ?1 AND unread = 1", [found.pk])?;
            if changed > 0 {
                read.push(found.id);
            }
        }
        Ok(read)
    }
}

/// A message to be stored, with what the wire does not show.
#[derive(Debug)]
pub struct NewMessage<'a> {
    /// The message.
    pub message: &'a Message,
    /// Its step.
    pub status: Status,
    /// Our clock.
    pub stored_at: Millis,
    /// Whether it counts as unread.
    pub unread: bool,
    /// The sender's own name for it.
    pub temp_id: Option<&'a str>,
}

/// Reads [`COLUMNS`] without reactions and votes; see [`Reader::attach_responses`].
fn message(row: &Row<'_>) -> Result<Message, StoreError> {
    let quoted = text_if_any(row, 16)?;
    let mut message = Message {
        id: parsed(row, 1, "message id")?,
        chat_id: parsed(row, 2, "chat id")?,
        from: parsed(row, 3, "sender")?,
        to: parsed(row, 4, "recipient")?,
        author: parsed_if_any(row, 5, "author")?,
        from_me: row.get(6)?,
        body: row.get(7)?,
        kind: from_word(text(row, 8)?, "message type")?,
        timestamp: Millis(row.get(9)?),
        ack: ack(row.get(10)?)?,
        has_media: false,
        media: None,
        location: None,
        contacts: Vec::new(),
        poll: None,
        template: None,
        quoted_message: quoted.map(|text| from_json(text, "quoted message")).transpose()?,
        is_forwarded: row.get(11)?,
        is_starred: row.get(12)?,
        is_edited: row.get(13)?,
        notify_name: text_if_any(row, 14)?.unwrap_or_default().to_owned(),
        mentioned_ids: Vec::new(),
        reactions: Vec::new(),
        sent_by: None,
    };
    if let Some(content) = text_if_any(row, 15)? {
        StoredContent::read(Some(content))?.into_message(&mut message, row.get(17)?);
    }
    Ok(message)
}

pub(super) fn tracked(row: &Row<'_>) -> Result<TrackedMessage, StoreError> {
    let code: Option<String> = row.get(COLUMN_COUNT + 1)?;
    let reason: Option<String> = row.get(COLUMN_COUNT + 2)?;
    Ok(TrackedMessage {
        message: message(row)?,
        status: from_word(text(row, COLUMN_COUNT)?, "message status")?,
        failure: code.map(|code| SendFailure { code, message: reason.unwrap_or_default() }),
        receipts: Vec::new(),
    })
}

fn ack(level: i64) -> Result<Ack, StoreError> {
    Ack::try_from(level).map_err(|_| StoreError::Unreadable("ack"))
}
