//! The message of `chat.welcome`: a conversation that an `underscore` client opens begins with it.

use crate::domain::clock::Millis;
use crate::domain::operator_chat::conversation::Conversation;
use crate::domain::operator_chat::event::ChatLogEntry;
use crate::domain::operator_chat::ids::UserPk;
use crate::domain::operator_chat::message::{ChatMessageKind, MessageDraft};
use crate::store::{StoreError, Tx};

/// Stores the message of the daemon that begins a conversation, in the name of the other user.
pub(super) fn store_welcome(
    tx: &Tx<'_>,
    conversation: &Conversation,
    sender: UserPk,
    text: &str,
    now: Millis,
) -> Result<(), StoreError> {
    let welcome = MessageDraft {
        kind: ChatMessageKind::System,
        content: text.to_owned(),
        attachment_url: None,
        attachment_name: None,
        temp_id: None,
    };
    let message = tx.add_chat_message(conversation.id, sender, &welcome, None, now)?.id;
    tx.set_last_chat_message(conversation, message, sender)?;
    let entry = ChatLogEntry::Message { conversation: conversation.id.0, message: message.0, origin: None };
    tx.append_chat_event(&entry, now)?;
    Ok(())
}
