//! Receipts: a user marks messages of others as read. A read message is also delivered.

use super::OperatorChat;
use super::authentication::SignedIn;
use super::bridge_outbound::{ReadOnDevice, device_messages};
use super::error::ChatError;
use super::views::conversation_of;
use crate::domain::clock::Millis;
use crate::domain::operator_chat::conversation::{Conversation, ConversationTarget};
use crate::domain::operator_chat::event::{ChatLogEntry, LoggedReceipts};
use crate::domain::operator_chat::ids::{ChatMessageId, ConversationId, UserPk};
use crate::domain::operator_chat::message::MessageAuthor;
use crate::domain::operator_chat::receipts::ReceiptLevel;
use crate::domain::operator_chat::user::ChatUser;
use crate::domain::operator_chat::visibility::sees_conversation;
use crate::store::chat_messages::AuthoredMessages;
use crate::store::chat_receipt_ranges::ReceiptOwner;
use crate::store::{StoreError, Tx};

/// The most messages that one request may name.
const MAX_NAMED: usize = 1_000;

/// The messages that a request marked read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadMark {
    /// The conversation.
    pub conversation: ConversationId,
    /// The message up to which all are read; none in an empty conversation.
    pub message: Option<ChatMessageId>,
    /// How many were unread.
    pub count: i64,
}

impl OperatorChat {
    /// Marks one message read. Only its recipient may do this.
    ///
    /// # Errors
    /// When there is no such message for the caller, or the store fails.
    pub async fn mark_message_read(&self, me: &SignedIn, message: &str) -> Result<i64, ChatError> {
        let id: ChatMessageId = message.parse().map_err(|_| ChatError::MessageNotFound)?;
        let (me, now) = (me.user.clone(), self.now());
        let (count, on_device) = self
            .store
            .write(move |tx| {
                let message = tx.chat_message(id)?.ok_or(ChatError::MessageNotFound)?;
                let conversation = tx.conversation(message.conversation)?;
                let conversation = conversation.filter(|found| sees_conversation(&me, found));
                let conversation = conversation.ok_or(ChatError::MessageNotFound)?;
                if message.sender == me.pk {
                    return Err(ChatError::MessageNotFound);
                }
                let on_device = device_messages(tx, &conversation, me.pk, Some(&[id]))?;
                let count = mark_one(tx, &conversation, me.pk, ReceiptLevel::Read, id, now)?;
                Ok::<_, ChatError>((count, on_device))
            })
            .await?;
        self.read_on_device(on_device).await?;
        Ok(count)
    }

    /// Marks these messages of a conversation read, or all of them. Returns how many were unread.
    ///
    /// # Errors
    /// When the caller has no such conversation, a message is not in it, or the store fails.
    pub async fn mark_read(
        &self,
        me: &ChatUser,
        target: ConversationTarget,
        messages: Option<Vec<String>>,
    ) -> Result<i64, ChatError> {
        if messages.as_ref().is_some_and(|ids| ids.len() > MAX_NAMED) {
            return Err(ChatError::invalid("messageIds", format!("must have at most {MAX_NAMED} ids")));
        }
        let (me, now, staff) = (me.clone(), self.now(), self.directory_rules());
        let (count, on_device) = self
            .store
            .write(move |tx| {
                let conversation = conversation_of(tx, &staff, &me, &target)?;
                let Some(messages) = &messages else {
                    let count = mark_all(tx, &conversation, me.pk, now)?;
                    return Ok((count, device_messages(tx, &conversation, me.pk, None)?));
                };
                let (mut count, mut ids) = (0, Vec::with_capacity(messages.len()));
                for id in messages {
                    let id: ChatMessageId = id.parse().map_err(|_| ChatError::MessageNotFound)?;
                    let message = tx.chat_message(id)?.filter(|found| found.conversation == conversation.id);
                    let message = message.ok_or(ChatError::MessageNotFound)?;
                    ids.push(id);
                    if message.sender != me.pk {
                        count += mark_one(tx, &conversation, me.pk, ReceiptLevel::Read, id, now)?;
                    }
                }
                Ok::<_, ChatError>((count, device_messages(tx, &conversation, me.pk, Some(&ids))?))
            })
            .await?;
        self.read_on_device(on_device).await?;
        Ok(count)
    }

    /// Marks the messages of a conversation read, up to and including one, or all of them.
    ///
    /// # Errors
    /// When the caller has no such conversation, the message is not in it, or the store fails.
    pub async fn mark_read_up_to(
        &self,
        me: &SignedIn,
        conversation: String,
        message: Option<String>,
    ) -> Result<ReadMark, ChatError> {
        let (me, now, staff) = (me.user.clone(), self.now(), self.directory_rules());
        let target = ConversationTarget::Named(conversation);
        let (mark, on_device) = self
            .store
            .write(move |tx| {
                let found = conversation_of(tx, &staff, &me, &target)?;
                let last = match &message {
                    None => tx.newest_chat_message(found.id)?.map(|newest| newest.id),
                    Some(id) => {
                        let id: ChatMessageId = id.parse().map_err(|_| ChatError::MessageNotFound)?;
                        let named = tx.chat_message(id)?.filter(|known| known.conversation == found.id);
                        Some(named.ok_or(ChatError::MessageNotFound)?.id)
                    }
                };
                let count = match last {
                    Some(last) => mark(tx, &found, me.pk, ReceiptLevel::Read, (1, last.0), now)?,
                    None => 0,
                };
                let mark = ReadMark { conversation: found.id, message: last, count };
                let up_to = message.as_ref().and(last);
                Ok::<_, ChatError>((mark, device_messages_up_to(tx, &found, me.pk, up_to)?))
            })
            .await?;
        self.read_on_device(on_device).await?;
        Ok(mark)
    }
}

/// The device's messages of the contact up to one, or all of its chat.
fn device_messages_up_to(
    tx: &Tx<'_>,
    conversation: &Conversation,
    reader: UserPk,
    up_to: Option<ChatMessageId>,
) -> Result<Option<ReadOnDevice>, StoreError> {
    let (Some(chat), Some(last)) = (conversation.device_chat(), up_to) else {
        return device_messages(tx, conversation, reader, None);
    };
    let author = match chat.chat.is_group() {
        true => MessageAuthor::Not(reader),
        false => MessageAuthor::Is(chat.contact),
    };
    let of_contact = AuthoredMessages { conversation: conversation.id, author, first: 1, last: last.0 };
    let ids = tx.chat_message_ids_from(&of_contact, MAX_NAMED)?;
    device_messages(tx, conversation, reader, Some(&ids))
}

/// Marks all messages of others in a conversation read. Returns how many were unread.
pub(super) fn mark_all(
    tx: &Tx<'_>,
    conversation: &Conversation,
    reader: UserPk,
    now: Millis,
) -> Result<i64, StoreError> {
    let Some(newest) = tx.newest_chat_message(conversation.id)? else { return Ok(0) };
    mark(tx, conversation, reader, ReceiptLevel::Read, (1, newest.id.0), now)
}

/// Adds a receipt for one message of another user. The range begins after the previous message of others, so that the
/// ranges of consecutive messages are adjacent.
pub(super) fn mark_one(
    tx: &Tx<'_>,
    conversation: &Conversation,
    recipient: UserPk,
    level: ReceiptLevel,
    message: ChatMessageId,
    now: Millis,
) -> Result<i64, StoreError> {
    let Some(author) = conversation.received_by(recipient) else { return Ok(0) };
    let before = AuthoredMessages { conversation: conversation.id, author, first: 1, last: message.0 - 1 };
    let previous = tx.chat_message_ids_from(&before, 1)?.first().map_or(0, |id| id.0);
    mark(tx, conversation, recipient, level, (previous + 1, message.0), now)
}

fn mark(
    tx: &Tx<'_>,
    conversation: &Conversation,
    user: UserPk,
    level: ReceiptLevel,
    (first, last): (i64, i64),
    now: Millis,
) -> Result<i64, StoreError> {
    if level == ReceiptLevel::Read {
        mark(tx, conversation, user, ReceiptLevel::Delivered, (first, last), now)?;
    }
    let Some(author) = conversation.received_by(user) else { return Ok(0) };
    let owner = ReceiptOwner { conversation: conversation.id, user, level };
    let (mut ranges, mut count) = (Vec::new(), 0);
    for (first, last) in tx.add_receipts(&owner, first, last, now)? {
        let authored = AuthoredMessages { conversation: conversation.id, author, first, last };
        let messages = tx.count_chat_messages_from(&authored)?;
        if messages > 0 {
            count += messages;
            ranges.push((first, last));
        }
    }
    if count == 0 {
        return Ok(0);
    }
    let receipts = LoggedReceipts { conversation: conversation.id.0, user: user.0, ranges };
    let entry = match level {
        ReceiptLevel::Delivered => ChatLogEntry::Delivered(receipts),
        ReceiptLevel::Read => {
            tx.change_unread(conversation.id, user, -count)?;
            ChatLogEntry::Read(receipts)
        }
    };
    tx.append_chat_event(&entry, now)?;
    Ok(count)
}
