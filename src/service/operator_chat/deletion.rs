//! Deletes a user's own message.

use super::OperatorChat;
use super::authentication::SignedIn;
use super::error::ChatError;
use crate::domain::operator_chat::event::ChatLogEntry;
use crate::domain::operator_chat::ids::ChatMessageId;
use crate::domain::operator_chat::receipts::ReceiptLevel;
use crate::domain::operator_chat::visibility::sees_conversation;
use crate::store::chat_receipt_ranges::ReceiptOwner;

impl OperatorChat {
    /// Deletes a message of the caller; with `conversation`, only if it is in that one.
    ///
    /// # Errors
    /// When the caller has no such message, or the store fails.
    pub async fn delete_message(
        &self,
        me: &SignedIn,
        conversation: Option<&str>,
        message: &str,
    ) -> Result<(), ChatError> {
        let id: ChatMessageId = message.parse().map_err(|_| ChatError::MessageNotFound)?;
        let named = conversation.map(str::to_owned);
        let (me, now) = (me.user.clone(), self.now());
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
                for user in conversation.members().into_iter().filter(|member| *member != me.pk) {
                    let owner =
                        ReceiptOwner { conversation: conversation.id, user, level: ReceiptLevel::Read };
                    if tx.receipt_ranges(&owner, id.0, id.0)?.at(id).is_none() {
                        tx.change_unread(conversation.id, user, -1)?;
                    }
                }
                tx.delete_chat_message(id)?;
                let released = message.file.map_or(Ok(None), |file| tx.release_chat_file(file.id))?;
                let newest = tx.newest_chat_message(conversation.id)?.map(|newest| newest.id);
                tx.lower_last_chat_message(conversation.id, newest)?;
                let entry = ChatLogEntry::Deleted { conversation: conversation.id.0, message: id.0 };
                tx.append_chat_event(&entry, now)?;
                Ok::<_, ChatError>(released)
            })
            .await?;
        if let Some(hash) = released {
            self.media.media_released(hash);
        }
        Ok(())
    }
}
