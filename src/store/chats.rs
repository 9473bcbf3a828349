//! Chats: one row per conversation with its last message and unread count.

use rusqlite::{Row, params};

use super::column_codec::{from_word, parsed, parsed_if_any, text, time_if_any};
use super::error::StoreError;
use super::messages::Pk;
use super::tx::{Reader, Tx};
use crate::domain::chat::{Chat, ChatFilter, LastMessage};
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::domain::queries::ChatQuery;

/// [`chat`] reads the columns by position: finding one by its name costs more than reading it.
const SELECT: &str = "SELECT c.id, coalesce(c.name, g.subject, p.address_book_name, p.pushname) AS name, c.unread, \
     c.pinned, c.archived, c.muted, c.muted_until, c.at, m.id, m.body, m.at, m.from_me, m.author, m.type \
     FROM chats c \
     LEFT JOIN contacts p ON p.device_id = c.device_id AND p.id = c.id \
     LEFT JOIN groups g ON g.device_id = c.device_id AND g.id = c.id \
     LEFT JOIN messages m ON m.pk = c.last_message_pk";
const NAMES: &str = "LEFT JOIN contacts p ON p.device_id = c.device_id AND p.id = c.id \
     LEFT JOIN groups g ON g.device_id = c.device_id AND g.id = c.id";

impl Reader<'_> {
    /// One chat.
    ///
    /// # Errors
    /// When the store fails.
    pub fn chat(&self, device: &DeviceId, id: &Jid) -> Result<Option<Chat>, StoreError> {
        self.one(
            &format!("{SELECT} WHERE c.device_id = ?1 AND c.id = ?2"),
            params![device.as_str(), id.to_string()],
            chat,
        )
    }

    /// Whether there is a chat with this id.
    ///
    /// # Errors
    /// When the store fails.
    pub fn has_chat(&self, device: &DeviceId, id: &Jid) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM chats WHERE device_id = ?1 AND id = ?2";
        Ok(self.number(sql, params![device.as_str(), id.to_string()])? == 1)
    }

    /// Chats, pinned ones first, then the newest.
    ///
    /// # Errors
    /// When the store fails.
    pub fn chats(&self, device: &DeviceId, query: &ChatQuery) -> Result<Vec<Chat>, StoreError> {
        let matches = matches(query);
        let sql = format!(
            "{SELECT} WHERE c.device_id = ?1 AND {} AND {matches}
             ORDER BY c.pinned DESC, c.at DESC, c.id LIMIT ?3 OFFSET ?4",
            condition(query.filter)
        );
        let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
        let offset = i64::try_from(query.offset).unwrap_or(i64::MAX);
        self.all(&sql, params![device.as_str(), query.search, limit, offset], chat)
    }

    /// How many chats a query finds without its limit.
    ///
    /// # Errors
    /// When the store fails.
    pub fn chat_count(&self, device: &DeviceId, query: &ChatQuery) -> Result<i64, StoreError> {
        let names = if query.search.is_some() { NAMES } else { "" };
        let sql = format!(
            "SELECT count(*) FROM chats c {names} WHERE c.device_id = ?1 AND {} AND {}",
            condition(query.filter),
            matches(query)
        );
        self.number(&sql, params![device.as_str(), query.search])
    }
}

/// The condition of the query's text. Without a text it keeps the parameter, so that both forms take the same ones.
fn matches(query: &ChatQuery) -> &'static str {
    match query.search {
        Some(_) => {
            "instr(lower(coalesce(c.name, g.subject, p.address_book_name, p.pushname, '') || ' ' || c.id), lower(?2)) > 0"
        }
        None => "?2 IS NULL",
    }
}

fn condition(filter: ChatFilter) -> &'static str {
    match filter {
        ChatFilter::All => "1",
        ChatFilter::Unread => "c.unread > 0",
        ChatFilter::Groups => "c.id LIKE '%@g.us'",
        ChatFilter::Private => "c.id NOT LIKE '%@g.us'",
        ChatFilter::Archived => "c.archived = 1",
    }
}

impl Tx<'_> {
    /// Puts a new message on a chat's line (if it is its newest) and counts it when unread. The chat's own
    /// time says nothing about that: other things than messages move it as well.
    ///
    /// # Errors
    /// When the store fails.
    pub fn touch_chat(
        &self,
        device: &DeviceId,
        id: &Jid,
        pk: Pk,
        at: Millis,
        unread: bool,
    ) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO chats (device_id, id, unread, last_message_pk, at) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (device_id, id) DO UPDATE SET
                 unread = unread + excluded.unread,
                 last_message_pk = CASE WHEN coalesce(
                         (excluded.at, excluded.last_message_pk)
                             > (SELECT m.at, m.pk FROM messages m WHERE m.pk = chats.last_message_pk), 1)
                     THEN excluded.last_message_pk ELSE last_message_pk END,
                 at = max(at, excluded.at)",
            params![device.as_str(), id.to_string(), i64::from(unread), pk, at.0],
        )?;
        Ok(())
    }

    /// Names a chat. `false` when it had that name.
    ///
    /// # Errors
    /// When the store fails.
    pub fn name_chat(
        &self,
        device: &DeviceId,
        id: &Jid,
        name: &str,
        now: Millis,
    ) -> Result<bool, StoreError> {
        let changed = self.run(
            "INSERT INTO chats (device_id, id, name, at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (device_id, id) DO UPDATE SET name = excluded.name WHERE name IS NOT excluded.name",
            params![device.as_str(), id.to_string(), name, now.0],
        )?;
        Ok(changed > 0)
    }

    /// Makes a chat's unread count that of its unread messages. `false` when it was.
    ///
    /// # Errors
    /// When the store fails.
    pub fn recount_unread(&self, device: &DeviceId, id: &Jid) -> Result<bool, StoreError> {
        let key = params![device.as_str(), id.to_string()];
        let unread = self.number(
            "SELECT count(*) FROM messages WHERE device_id = ?1 AND chat_id = ?2 AND unread = 1",
            key,
        )?;
        let changed = self.run(
            "UPDATE chats SET unread = ?3 WHERE device_id = ?1 AND id = ?2 AND unread <> ?3",
            params![device.as_str(), id.to_string(), unread],
        )?;
        Ok(changed > 0)
    }
}

fn chat(row: &Row<'_>) -> Result<Chat, StoreError> {
    let id: Jid = parsed(row, 0, "chat id")?;
    let name: Option<String> = row.get(1)?;
    Ok(Chat {
        name: name.unwrap_or_else(|| id.as_name()),
        is_group: id.is_group(),
        participants: None,
        chat_id: id.clone(),
        id,
        last_message: last_message(row)?,
        unread_count: row.get(2)?,
        pinned: row.get(3)?,
        archived: row.get(4)?,
        muted: row.get(5)?,
        muted_until: time_if_any(row, 6)?,
        profile_pic_url: None,
        timestamp: Millis(row.get(7)?),
    })
}

fn last_message(row: &Row<'_>) -> Result<Option<LastMessage>, StoreError> {
    let Some(id) = parsed_if_any(row, 8, "message id")? else { return Ok(None) };
    Ok(Some(LastMessage {
        id,
        body: row.get(9)?,
        timestamp: Millis(row.get(10)?),
        from_me: row.get(11)?,
        author: parsed_if_any(row, 12, "author")?,
        kind: from_word(text(row, 13)?, "message type")?,
    }))
}
