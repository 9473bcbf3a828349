//! Messages of conversations.

use rusqlite::{Row, params};

use super::column_codec::parsed;
use super::error::StoreError;
use super::tx::{Reader, Tx};
use crate::domain::clock::Millis;
use crate::domain::operator_chat::file::ChatFile;
use crate::domain::operator_chat::ids::{ChatFileId, ChatMessageId, ConversationId, UserPk};
use crate::domain::operator_chat::message::{ChatMessage, MessageAuthor, MessageDraft};

/// The columns that [`chat_message`] reads, of the table `m`.
pub(super) const MESSAGE_COLUMNS: &str = "m.id AS message_id, m.conversation_id AS conversation_id, m.sender AS sender, m.type AS message_type, \
     m.content AS content, m.attachment_url AS attachment_url, \
     m.attachment_name AS attachment_name, m.temp_id AS temp_id, m.created_at AS created_at, \
     m.file_id AS file_id, m.file_type AS file_type, m.file_size AS file_size";

/// Messages by author whose ids are within a range, both ends included.
#[derive(Debug, Clone, Copy)]
pub struct AuthoredMessages {
    /// The conversation.
    pub conversation: ConversationId,
    /// The author.
    pub author: MessageAuthor,
    /// The first id.
    pub first: i64,
    /// The last id.
    pub last: i64,
}

impl AuthoredMessages {
    /// The condition for [`AuthoredMessages::params`].
    fn condition(&self) -> &'static str {
        match self.author {
            MessageAuthor::Is(_) => "m.conversation_id = ?1 AND m.sender = ?2 AND m.id BETWEEN ?3 AND ?4",
            MessageAuthor::Not(_) => "m.conversation_id = ?1 AND m.sender <> ?2 AND m.id BETWEEN ?3 AND ?4",
        }
    }

    fn params(&self) -> [i64; 4] {
        let (MessageAuthor::Is(user) | MessageAuthor::Not(user)) = self.author;
        [self.conversation.0, user.0, self.first, self.last]
    }
}

impl Reader<'_> {
    /// A message.
    ///
    /// # Errors
    /// When the store fails.
    pub fn chat_message(&self, id: ChatMessageId) -> Result<Option<ChatMessage>, StoreError> {
        let sql = format!("SELECT {MESSAGE_COLUMNS} FROM chat_messages m WHERE m.id = ?1");
        self.one(&sql, [id.0], chat_message)
    }

    /// Messages before an id, newest first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn chat_messages_before(
        &self,
        conversation: ConversationId,
        before: i64,
        limit: usize,
        offset: usize,
    ) -> Result<Vec<ChatMessage>, StoreError> {
        self.all(
            &format!(
                "SELECT {MESSAGE_COLUMNS} FROM chat_messages m WHERE m.conversation_id = ?1 AND m.id < ?2
                 ORDER BY m.id DESC LIMIT ?3 OFFSET ?4"
            ),
            params![conversation.0, before, sql_number(limit), sql_number(offset)],
            chat_message,
        )
    }

    /// The number of messages before an id, of at most `most` messages.
    ///
    /// # Errors
    /// When the store fails.
    pub fn count_chat_messages_before(
        &self,
        conversation: ConversationId,
        before: i64,
        most: usize,
    ) -> Result<usize, StoreError> {
        let sql = "SELECT count(*) FROM (
                       SELECT 1 FROM chat_messages WHERE conversation_id = ?1 AND id < ?2 LIMIT ?3
                   ) AS counted";
        let count = self
            .one(sql, params![conversation.0, before, sql_number(most)], |row| Ok(row.get::<_, i64>(0)?))?;
        Ok(usize::try_from(count.unwrap_or(0)).unwrap_or(usize::MAX))
    }

    /// Messages by author, newest first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn chat_messages_from(
        &self,
        authored: &AuthoredMessages,
        limit: usize,
    ) -> Result<Vec<ChatMessage>, StoreError> {
        let [conversation, user, first, last] = authored.params();
        self.all(
            &format!(
                "SELECT {MESSAGE_COLUMNS} FROM chat_messages m WHERE {} ORDER BY m.id DESC LIMIT ?5",
                authored.condition()
            ),
            [conversation, user, first, last, sql_number(limit)],
            chat_message,
        )
    }

    /// The ids of messages by author, newest first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn chat_message_ids_from(
        &self,
        authored: &AuthoredMessages,
        limit: usize,
    ) -> Result<Vec<ChatMessageId>, StoreError> {
        let [conversation, user, first, last] = authored.params();
        self.all(
            &format!(
                "SELECT m.id FROM chat_messages m WHERE {} ORDER BY m.id DESC LIMIT ?5",
                authored.condition()
            ),
            [conversation, user, first, last, sql_number(limit)],
            |row| Ok(ChatMessageId(row.get(0)?)),
        )
    }

    /// The authors of messages by author, with the ids of each, newest first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn chat_message_authors(
        &self,
        authored: &AuthoredMessages,
        limit: usize,
    ) -> Result<Vec<(UserPk, ChatMessageId)>, StoreError> {
        let [conversation, user, first, last] = authored.params();
        self.all(
            &format!(
                "SELECT m.sender, m.id FROM chat_messages m WHERE {} ORDER BY m.id DESC LIMIT ?5",
                authored.condition()
            ),
            [conversation, user, first, last, sql_number(limit)],
            |row| Ok((UserPk(row.get(0)?), ChatMessageId(row.get(1)?))),
        )
    }

    /// The number of messages by author.
    ///
    /// # Errors
    /// When the store fails.
    pub fn count_chat_messages_from(&self, authored: &AuthoredMessages) -> Result<i64, StoreError> {
        let sql = format!("SELECT count(*) FROM chat_messages m WHERE {}", authored.condition());
        self.number(&sql, authored.params())
    }
}

impl Tx<'_> {
    /// Adds a message. With an uploaded file, the draft's own address of a file is not stored.
    ///
    /// # Errors
    /// When the store fails.
    pub fn add_chat_message(
        &self,
        conversation: ConversationId,
        sender: UserPk,
        draft: &MessageDraft,
        file: Option<&ChatFile>,
        created_at: Millis,
    ) -> Result<ChatMessage, StoreError> {
        let attachment_url = draft.attachment_url.clone().filter(|_| file.is_none());
        let id = ChatMessageId(self.number(
            "INSERT INTO chat_messages (conversation_id, sender, type, content, attachment_url, attachment_name, temp_id,
                 created_at, file_id, file_type, file_size)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) RETURNING id",
            params![
                conversation.0,
                sender.0,
                draft.kind.as_str(),
                draft.content,
                attachment_url,
                draft.attachment_name,
                draft.temp_id,
                created_at.0,
                file.map(|file| file.id.0),
                file.map(|file| &file.mimetype),
                file.map(|file| i64::try_from(file.filesize).unwrap_or(i64::MAX)),
            ],
        )?);
        Ok(ChatMessage {
            id,
            conversation,
            sender,
            kind: draft.kind,
            content: draft.content.clone(),
            attachment_url,
            attachment_name: draft.attachment_name.clone(),
            file: file.cloned(),
            temp_id: draft.temp_id.clone(),
            created_at,
        })
    }

    /// Deletes a message.
    ///
    /// # Errors
    /// When the store fails.
    pub fn delete_chat_message(&self, id: ChatMessageId) -> Result<(), StoreError> {
        self.run("DELETE FROM chat_messages WHERE id = ?1", [id.0])?;
        Ok(())
    }
}

fn sql_number(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

pub(super) fn chat_message(row: &Row<'_>) -> Result<ChatMessage, StoreError> {
    Ok(ChatMessage {
        id: ChatMessageId(row.get("message_id")?),
        conversation: ConversationId(row.get("conversation_id")?),
        sender: UserPk(row.get("sender")?),
        kind: parsed(row, "message_type", "message type")?,
        content: row.get("content")?,
        attachment_url: row.get("attachment_url")?,
        attachment_name: row.get("attachment_name")?,
        file: chat_file(row)?,
        temp_id: row.get("temp_id")?,
        created_at: Millis(row.get("created_at")?),
    })
}

fn chat_file(row: &Row<'_>) -> Result<Option<ChatFile>, StoreError> {
    let Some(id) = row.get::<_, Option<i64>>("file_id")? else { return Ok(None) };
    let filesize = row.get::<_, i64>("file_size")?;
    Ok(Some(ChatFile {
        id: ChatFileId(id),
        mimetype: row.get("file_type")?,
        filesize: filesize.try_into().map_err(|_| StoreError::Unreadable("file size"))?,
    }))
}
