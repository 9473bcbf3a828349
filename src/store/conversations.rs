//! Conversations of operator chat.

use rusqlite::{Row, params};

use super::chat_messages::{MESSAGE_COLUMNS, chat_message};
use super::column_codec::{parsed, time_if_any};
use super::error::StoreError;
use super::tx::{Reader, Tx};
use super::users::{USER_COLUMNS, chat_user};
use crate::domain::clock::Millis;
use crate::domain::operator_chat::conversation::{Conversation, ConversationKind, UserPair};
use crate::domain::operator_chat::ids::{ChatMessageId, ConversationId, UserPk};
use crate::domain::operator_chat::inbox::DeviceChat;
use crate::domain::operator_chat::message::ChatMessage;
use crate::domain::operator_chat::room::Room;
use crate::domain::operator_chat::user::ChatUser;

const DIRECT: &str = "direct";
const DEVICE: &str = "device";
const ROOM: &str = "room";

/// The columns that [`conversation`] reads.
const COLUMNS: &str = "id, tenant, kind, low_user, high_user, device_id, chat_id, contact_user, title, members_version, \
     created_at";

/// A conversation in the list of one of its members.
#[derive(Debug, Clone)]
pub struct ListedConversation {
    /// The id.
    pub id: ConversationId,
    /// The other user.
    pub peer: ChatUser,
    /// Messages that the member has not read.
    pub unread: i64,
    /// The newest message.
    pub last: Option<ChatMessage>,
    /// When the newest message was delivered to its recipient.
    pub delivered_at: Option<Millis>,
    /// When its recipient read it.
    pub read_at: Option<Millis>,
    /// When the conversation was created.
    pub created_at: Millis,
}

impl Reader<'_> {
    /// A conversation.
    ///
    /// # Errors
    /// When the store fails.
    pub fn conversation(&self, id: ConversationId) -> Result<Option<Conversation>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM conversations WHERE id = ?1 AND deleted_at IS NULL");
        let read = |row: &Row<'_>| Ok((conversation(row)?, row.get("members_version")?));
        let Some((mut found, members_version)) = self.one(&sql, [id.0], read)? else { return Ok(None) };
        match &mut found.kind {
            ConversationKind::Direct(_) => {}
            ConversationKind::Room(room) => {
                **room = Room::of_sorted(room.title.take(), self.room_members(id, members_version)?);
            }
            ConversationKind::Device(chat) => chat.grants = self.inbox_grants(&chat.device)?,
        }
        Ok(Some(found))
    }

    /// The direct conversation of two users.
    ///
    /// # Errors
    /// When the store fails.
    pub fn direct_conversation(&self, pair: UserPair) -> Result<Option<Conversation>, StoreError> {
        let [low, high] = pair.users();
        let sql = format!("SELECT {COLUMNS} FROM conversations WHERE low_user = ?1 AND high_user = ?2");
        self.one(&sql, [low.0, high.0], conversation)
    }

    /// The newest message of a conversation.
    ///
    /// # Errors
    /// When the store fails.
    pub fn newest_chat_message(&self, id: ConversationId) -> Result<Option<ChatMessage>, StoreError> {
        self.one(
            &format!(
                "SELECT {MESSAGE_COLUMNS} FROM chat_messages m WHERE m.conversation_id = ?1
                 ORDER BY m.id DESC LIMIT 1"
            ),
            [id.0],
            chat_message,
        )
    }

    /// Direct conversations of a user with messages, those with the newest messages first. The newest message is looked
    /// up among the ranges that end at or after it (`+` keeps the other index away), of which there are few.
    ///
    /// # Errors
    /// When the store fails.
    pub fn conversations_of(
        &self,
        user: UserPk,
        limit: usize,
    ) -> Result<Vec<ListedConversation>, StoreError> {
        self.all(
            &format!(
                "SELECT a.conversation_id AS listed_id, a.unread AS unread, c.created_at AS listed_since, {USER_COLUMNS}, {MESSAGE_COLUMNS},
                     d.at AS delivered_at, r.at AS read_at
                 FROM conversation_members a
                 JOIN conversations c ON c.id = a.conversation_id
                 JOIN users u ON u.pk = CASE WHEN c.low_user = ?1 THEN c.high_user ELSE c.low_user END
                 JOIN chat_messages m ON m.id = c.last_message_id
                 LEFT JOIN chat_receipt_ranges d ON d.conversation_id = c.id AND d.level = 'delivered'
                     AND d.user_pk = CASE WHEN m.sender = ?1 THEN u.pk ELSE ?1 END
                     AND +d.first_id <= m.id AND d.last_id >= m.id
                 LEFT JOIN chat_receipt_ranges r ON r.conversation_id = c.id AND r.level = 'read'
                     AND r.user_pk = CASE WHEN m.sender = ?1 THEN u.pk ELSE ?1 END
                     AND +r.first_id <= m.id AND r.last_id >= m.id
                 WHERE a.user_pk = ?1 AND a.activity > 0
                 ORDER BY a.activity DESC LIMIT ?2"
            ),
            params![user.0, i64::try_from(limit).unwrap_or(i64::MAX)],
            |row| {
                Ok(ListedConversation {
                    id: ConversationId(row.get("listed_id")?),
                    peer: chat_user(row)?,
                    unread: row.get("unread")?,
                    last: Some(chat_message(row)?),
                    delivered_at: time_if_any(row, "delivered_at")?,
                    read_at: time_if_any(row, "read_at")?,
                    created_at: Millis(row.get("listed_since")?),
                })
            },
        )
    }

    /// Direct conversations of a user without messages, the newest first. Those that the user removed from the list
    /// are missing.
    ///
    /// # Errors
    /// When the store fails.
    pub fn conversations_without_messages(
        &self,
        user: UserPk,
        limit: usize,
    ) -> Result<Vec<ListedConversation>, StoreError> {
        self.all(
            &format!(
                "SELECT c.id AS listed_id, c.created_at AS listed_since, {USER_COLUMNS}
                 FROM conversation_members a
                 JOIN conversations c ON c.id = a.conversation_id AND c.last_message_id IS NULL
                 JOIN users u ON u.pk = CASE WHEN c.low_user = ?1 THEN c.high_user ELSE c.low_user END
                 WHERE a.user_pk = ?1 AND a.activity = 0
                 ORDER BY a.conversation_id DESC LIMIT ?2"
            ),
            params![user.0, i64::try_from(limit).unwrap_or(i64::MAX)],
            |row| {
                Ok(ListedConversation {
                    id: ConversationId(row.get("listed_id")?),
                    peer: chat_user(row)?,
                    unread: 0,
                    last: None,
                    delivered_at: None,
                    read_at: None,
                    created_at: Millis(row.get("listed_since")?),
                })
            },
        )
    }
}

impl Tx<'_> {
    /// Creates the direct conversation of two users of a tenant.
    ///
    /// # Errors
    /// When the store fails.
    pub fn create_direct_conversation(
        &self,
        tenant: &str,
        pair: UserPair,
        now: Millis,
    ) -> Result<Conversation, StoreError> {
        let [low, high] = pair.users();
        let id = ConversationId(self.number(
            "INSERT INTO conversations (tenant, kind, low_user, high_user, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5) RETURNING id",
            params![tenant, DIRECT, low.0, high.0, now.0],
        )?);
        for member in pair.users() {
            self.add_conversation_member(id, member)?;
        }
        let kind = ConversationKind::Direct(pair);
        Ok(Conversation { id, tenant: tenant.to_owned(), kind, created_at: now })
    }

    /// Creates a room without members.
    ///
    /// # Errors
    /// When the store fails.
    pub fn create_room(
        &self,
        tenant: &str,
        title: Option<&str>,
        now: Millis,
    ) -> Result<ConversationId, StoreError> {
        Ok(ConversationId(self.number(
            "INSERT INTO conversations (tenant, kind, title, created_at) VALUES (?1, ?2, ?3, ?4) RETURNING id",
            params![tenant, ROOM, title, now.0],
        )?))
    }

    /// Records a new message, which is then the newest of its conversation; in a direct one it is unread by the other
    /// user.
    ///
    /// # Errors
    /// When the store fails.
    pub fn set_last_chat_message(
        &self,
        conversation: &Conversation,
        message: ChatMessageId,
        sender: UserPk,
    ) -> Result<(), StoreError> {
        self.set_last_of_conversation(conversation.id, Some(message))?;
        match conversation.kind {
            ConversationKind::Direct(_) => self.count_new_message(conversation.id, message, sender),
            ConversationKind::Room(_) | ConversationKind::Device(_) => Ok(()),
        }
    }

    /// Records the newest message that is left after a deletion.
    ///
    /// # Errors
    /// When the store fails.
    pub fn lower_last_chat_message(
        &self,
        id: ConversationId,
        message: Option<ChatMessageId>,
    ) -> Result<(), StoreError> {
        self.set_last_of_conversation(id, message)?;
        self.lower_conversation_activity(id, message)
    }

    pub(super) fn set_last_of_conversation(
        &self,
        id: ConversationId,
        message: Option<ChatMessageId>,
    ) -> Result<(), StoreError> {
        self.run(
            "UPDATE conversations SET last_message_id = ?2 WHERE id = ?1",
            params![id.0, message.map(|message| message.0)],
        )?;
        Ok(())
    }
}

/// Reads a conversation; the grants of an inbox and the members of a room are read apart.
fn conversation(row: &Row<'_>) -> Result<Conversation, StoreError> {
    let unreadable = || StoreError::Unreadable("conversation");
    let kind = match row.get::<_, String>("kind")?.as_str() {
        DIRECT => {
            let pair = UserPair::new(UserPk(row.get("low_user")?), UserPk(row.get("high_user")?));
            ConversationKind::Direct(pair.ok_or_else(unreadable)?)
        }
        ROOM => ConversationKind::Room(Box::new(Room::new(row.get("title")?, Vec::new()))),
        DEVICE => ConversationKind::Device(Box::new(DeviceChat {
            device: parsed(row, "device_id", "device id")?,
            chat: parsed(row, "chat_id", "chat id")?,
            contact: UserPk(row.get("contact_user")?),
            grants: Vec::new(),
        })),
        _ => return Err(unreadable()),
    };
    Ok(Conversation {
        id: ConversationId(row.get("id")?),
        tenant: row.get("tenant")?,
        kind,
        created_at: Millis(row.get("created_at")?),
    })
}
