//! Adds internal notes to device conversations. A note is stored with its log entry in one transaction, and
//! nothing here reaches the outbox.

use super::OperatorChat;
use super::error::ChatError;
use super::inbox_caller::InboxCaller;
use super::views::message_views;
use crate::domain::clock::Millis;
use crate::domain::operator_chat::conversation::Conversation;
use crate::domain::operator_chat::event::ChatLogEntry;
use crate::domain::operator_chat::inbox::InboxRights;
use crate::domain::operator_chat::message::{ChatMessage, MessageView};
use crate::domain::operator_chat::note::InternalNote;
use crate::store::inbox_workflow::InboxAuthor;
use crate::store::{StoreError, Tx};

impl OperatorChat {
    /// Adds an internal note.
    ///
    /// # Errors
    /// When the text is invalid, the caller may not write in the inbox, or the store fails.
    pub async fn add_note(
        &self,
        caller: InboxCaller,
        id: String,
        content: String,
    ) -> Result<MessageView, ChatError> {
        let note = checked(content, self.limits.content_max_chars)?;
        let (staff, links, now) = (self.directory_rules(), self.links.clone(), self.now());
        if let Some(user) = caller.user() {
            self.count_send(user.pk, now)?;
        }
        self.store
            .write(move |tx| {
                let conversation = caller.device_conversation(tx, &staff, &id)?;
                let message = add_note(tx, &caller, &conversation, &note, (None, None), now)?;
                let view = message_views(tx, &conversation, vec![message], &links)?.pop();
                Ok(view.ok_or(StoreError::Unreadable("note"))?)
            })
            .await
    }
}

/// The note of a text.
pub(super) fn checked(text: String, max_chars: usize) -> Result<InternalNote, ChatError> {
    InternalNote::new(text, max_chars).map_err(|error| ChatError::invalid("content", error.to_string()))
}

/// Adds a note, and appends it to the log. `sent` is the client's own id and the sending socket.
pub(super) fn add_note(
    tx: &Tx<'_>,
    caller: &InboxCaller,
    conversation: &Conversation,
    note: &InternalNote,
    (temp_id, origin): (Option<&str>, Option<u64>),
    now: Millis,
) -> Result<ChatMessage, ChatError> {
    let chat = conversation.device_chat().ok_or(ChatError::NotInbox)?;
    if caller.rights(chat) < Some(InboxRights::Reply) {
        return Err(ChatError::ReadOnly);
    }
    let author = InboxAuthor { user: caller.author(tx, now)?, temp_id };
    let message = tx.add_note(conversation.id, author, note, now)?;
    let entry = ChatLogEntry::Message { conversation: conversation.id.0, message: message.id.0, origin };
    tx.append_chat_event(&entry, now)?;
    Ok(message)
}
