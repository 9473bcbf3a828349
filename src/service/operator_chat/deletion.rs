//! Deletes messages: an own one in every dialect, and any by an API key.

use super::OperatorChat;
use super::error::ChatError;
use super::inbox_caller::InboxCaller;
use crate::domain::clock::Millis;
use crate::domain::ids::{DeviceId, MessageId};
use crate::domain::media::MediaHash;
use crate::domain::operator_chat::conversation::Conversation;
use crate::domain::operator_chat::event::ChatLogEntry;
use crate::domain::operator_chat::ids::ChatMessageId;
use crate::domain::operator_chat::inbox::InboxRights;
use crate::domain::operator_chat::message::ChatMessage;
use crate::domain::operator_chat::user::ChatUser;
use crate::domain::operator_chat::visibility::sees_conversation;
use crate::store::{StoreError, Tx};

/// The result of the transaction of a deletion.
enum Deletion {
    /// The message is deleted; a file that no message refers to any more.
    Done(Option<MediaHash>),
    /// The device revokes its message.
    OfDevice(DeviceId, MessageId),
}

impl OperatorChat {
    /// Deletes a message of the caller; with `conversation`, only if it is in that one.
    ///
    /// # Errors
    /// When the caller has no such message, or the store fails.
    pub async fn delete_message(
        &self,
        me: &ChatUser,
        conversation: Option<&str>,
        message: &str,
    ) -> Result<(), ChatError> {
        let id: ChatMessageId = message.parse().map_err(|_| ChatError::MessageNotFound)?;
        let named = conversation.map(str::to_owned);
        let (me, now) = (me.clone(), self.now());
        let released = self
            .store
            .write(move |tx| {
                let message = tx.chat_message(id)?.filter(|message| message.sender == me.pk);
                let message = message.ok_or(ChatError::MessageNotFound)?;
                let conversation = tx.conversation(message.conversation)?;
                let conversation = conversation
                    .filter(|found| found.device_chat().is_none() && sees_conversation(&me, found));
                let conversation = conversation.ok_or(ChatError::MessageNotFound)?;
                if named.as_ref().is_some_and(|named| *named != conversation.id.to_string()) {
                    return Err(ChatError::MessageNotFound);
                }
                Ok(delete(tx, &conversation, &message, now)?)
            })
            .await?;
        self.released(released);
        Ok(())
    }

    /// Deletes a message: an own one of a user, any by an API key. That of a device is revoked for everyone.
    ///
    /// # Errors
    /// When the caller may not delete such a message, the device cannot revoke it, or the store fails.
    pub async fn delete_for(
        &self,
        caller: InboxCaller,
        conversation: String,
        message: &str,
    ) -> Result<(), ChatError> {
        let id: ChatMessageId = message.parse().map_err(|_| ChatError::MessageNotFound)?;
        let (staff, now) = (self.directory_rules(), self.now());
        let deletion = self
            .store
            .write(move |tx| {
                let conversation = caller.conversation(tx, &staff, &conversation)?;
                let message = tx.chat_message(id)?.filter(|found| found.conversation == conversation.id);
                let message = message.ok_or(ChatError::MessageNotFound)?;
                if caller.user_pk().is_some_and(|user| user != message.sender) {
                    return Err(ChatError::MessageNotFound);
                }
                if let Some(chat) = conversation.device_chat() {
                    if caller.rights(chat) < Some(InboxRights::Reply) {
                        return Err(ChatError::ReadOnly);
                    }
                    if let Some(linked) = tx.linked_message(id)? {
                        return Ok(Deletion::OfDevice(chat.device.clone(), linked.message.id));
                    }
                }
                Ok(Deletion::Done(delete(tx, &conversation, &message, now)?))
            })
            .await?;
        match deletion {
            Deletion::Done(released) => self.released(released),
            Deletion::OfDevice(device, message) => self.messaging.revoke(&device, &message).await?,
        }
        Ok(())
    }

    fn released(&self, released: Option<MediaHash>) {
        if let Some(hash) = released {
            self.media.media_released(hash);
        }
    }
}

/// Deletes a message with its log entry. Returns a file that no message refers to any more.
fn delete(
    tx: &Tx<'_>,
    conversation: &Conversation,
    message: &ChatMessage,
    now: Millis,
) -> Result<Option<MediaHash>, StoreError> {
    if conversation.device_chat().is_none() {
        tx.count_deleted_message(conversation.id, message.id, message.sender)?;
    }
    tx.delete_chat_message(message.id)?;
    let released = message.file.as_ref().map_or(Ok(None), |file| tx.release_chat_file(file.id))?;
    let newest = tx.newest_chat_message(conversation.id)?.map(|newest| newest.id);
    tx.lower_last_chat_message(conversation.id, newest)?;
    let entry = ChatLogEntry::Deleted { conversation: conversation.id.0, message: message.id.0 };
    tx.append_chat_event(&entry, now)?;
    Ok(released)
}
