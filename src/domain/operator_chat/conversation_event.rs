//! Events of conversations for programs: what the native log and webhooks report.

use super::conversation::Conversation;
use super::ids::ChatMessageId;
use super::message::MessageView;
use super::receipts::ReceiptLevel;
use super::user::ChatUser;
use crate::domain::clock::Millis;

/// An entry of the chat log about a conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct ConversationEvent {
    /// The position in the chat log.
    pub seq: i64,
    /// When it was stored.
    pub at: Millis,
    /// The conversation.
    pub conversation: Conversation,
    /// The change.
    pub change: ConversationChange,
}

/// A change of a conversation.
#[derive(Debug, Clone, PartialEq)]
pub enum ConversationChange {
    /// It began.
    Created,
    /// The title of a room changed, by a user or an API key.
    Updated(Option<ChatUser>),
    /// Members of a room were added or removed.
    Members {
        /// The new members.
        added: Vec<ChatUser>,
        /// The users who are no members any more.
        removed: Vec<ChatUser>,
        /// The user who changed it; none for an API key.
        by: Option<ChatUser>,
    },
    /// A room was deleted, by a user or an API key.
    Deleted(Option<ChatUser>),
    /// The assignee changed.
    Assigned {
        /// The new assignee.
        assignee: Option<ChatUser>,
        /// The user who changed it; none for an API key and for an automatic assignment.
        by: Option<ChatUser>,
    },
    /// It was closed, by a user or an API key.
    Closed(Option<ChatUser>),
    /// It was opened, by a user, an API key, or a message of the contact.
    Opened(Option<ChatUser>),
    /// The operator side answered for the first time since it was opened.
    FirstResponse(Option<ChatUser>),
    /// A new message, also a system message.
    Message(Box<MessageView>),
    /// An internal note.
    Note(Box<MessageView>),
    /// A message changed.
    MessageUpdated(Box<MessageView>),
    /// A message was deleted.
    MessageDeleted(ChatMessageId),
    /// Receipts of one user.
    Receipts {
        /// The kind.
        level: ReceiptLevel,
        /// The user.
        user: ChatUser,
        /// The messages, oldest first.
        messages: Vec<ChatMessageId>,
    },
}

impl ConversationChange {
    /// The name of the event.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Created => "conversation:created",
            Self::Updated(_) => "conversation:updated",
            Self::Members { .. } => "conversation:members",
            Self::Deleted(_) => "conversation:deleted",
            Self::Assigned { .. } => "conversation:assigned",
            Self::Closed(_) => "conversation:closed",
            Self::Opened(_) => "conversation:opened",
            Self::FirstResponse(_) => "conversation:first_response",
            Self::Message(_) => "chat:message",
            Self::Note(_) => "conversation:note",
            Self::MessageUpdated(_) => "chat:message_updated",
            Self::MessageDeleted(_) => "chat:message_deleted",
            Self::Receipts { level: ReceiptLevel::Delivered, .. } => "chat:delivered",
            Self::Receipts { level: ReceiptLevel::Read, .. } => "chat:read",
        }
    }
}
