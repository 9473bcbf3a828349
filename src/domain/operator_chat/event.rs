//! Entries of the log of operator chat, and the events that they become.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::conversation::Conversation;
use super::ids::{ChatMessageId, ChatNotificationId, ConversationId, UserPk};
use super::message::{MessageView, SendSource};
use super::notification::ChatNotification;
use super::receipts::ReceiptLevel;
use super::user::ChatUser;
use crate::domain::clock::Millis;

/// A stored entry: a reference to its subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ChatLogEntry {
    /// A message was sent.
    Message {
        /// The conversation.
        conversation: i64,
        /// The message.
        message: i64,
        /// The socket that sent it; none over REST.
        #[serde(default)]
        origin: Option<u64>,
    },
    /// A message was sent by an upload.
    Uploaded {
        /// The conversation.
        conversation: i64,
        /// The message.
        message: i64,
    },
    /// Messages of others were delivered to a user.
    Delivered(LoggedReceipts),
    /// A user read messages of others.
    Read(LoggedReceipts),
    /// A message was deleted.
    Deleted {
        /// The conversation.
        conversation: i64,
        /// The message.
        message: i64,
    },
    /// A message changed: it could not be sent.
    Updated {
        /// The conversation.
        conversation: i64,
        /// The message.
        message: i64,
    },
    /// The grants of a device's inbox changed.
    InboxAccess {
        /// The device.
        device: String,
    },
    /// Members of a room were added or removed.
    Members {
        /// The conversation.
        conversation: i64,
        /// The new members.
        added: Vec<i64>,
        /// The users who are no members any more.
        removed: Vec<i64>,
        /// The user who changed it; none for an API key.
        by: Option<i64>,
    },
    /// The title of a room changed.
    RoomUpdated {
        /// The conversation.
        conversation: i64,
        /// The user who changed it; none for an API key.
        by: Option<i64>,
    },
    /// A room was deleted. The entry has everything that its readers need.
    RoomDeleted {
        /// The conversation.
        conversation: i64,
        /// The name of the identity provider.
        tenant: String,
        /// The title.
        title: Option<String>,
        /// The members.
        members: Vec<i64>,
        /// The user who deleted it; none for an API key.
        by: Option<i64>,
    },
    /// A device conversation or a room began.
    Created {
        /// The conversation.
        conversation: i64,
    },
    /// The operator side answered for the first time since a device conversation was opened.
    FirstResponse {
        /// The conversation.
        conversation: i64,
        /// The author of the answer.
        by: i64,
    },
    /// The assignee of a device conversation changed.
    Assigned {
        /// The conversation.
        conversation: i64,
        /// The new assignee; none after a release.
        assignee: Option<i64>,
        /// The user who changed it; none for an API key.
        by: Option<i64>,
    },
    /// A device conversation was closed.
    Closed {
        /// The conversation.
        conversation: i64,
        /// The user who closed it; none for an API key.
        by: Option<i64>,
    },
    /// A device conversation was opened.
    Opened {
        /// The conversation.
        conversation: i64,
        /// The user who opened it, or the contact; none for an API key.
        by: Option<i64>,
    },
    /// A user got a notification.
    Notification {
        /// The user.
        user: i64,
        /// The notification.
        notification: i64,
    },
    /// A user read a notification.
    NotificationRead {
        /// The user.
        user: i64,
        /// The notification.
        notification: i64,
        /// The socket of the request, which gets no event.
        origin: Option<u64>,
    },
    /// A user read all notifications.
    NotificationsRead {
        /// The user.
        user: i64,
        /// The socket of the request, which gets no event.
        origin: Option<u64>,
    },
}

/// Receipts of one user in one conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedReceipts {
    /// The conversation.
    pub conversation: i64,
    /// The user whose receipts these are.
    pub user: i64,
    /// Ranges of message ids, both ends included.
    pub ranges: Vec<(i64, i64)>,
}

impl ChatLogEntry {
    /// A user sent a message.
    #[must_use]
    pub fn sent(conversation: ConversationId, message: ChatMessageId, source: SendSource) -> Self {
        let (conversation, message) = (conversation.0, message.0);
        match source {
            SendSource::Upload => Self::Uploaded { conversation, message },
            SendSource::Socket(_) | SendSource::Rest => {
                Self::Message { conversation, message, origin: source.socket() }
            }
        }
    }

    /// The word in the store.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Message { .. } => "message",
            Self::Uploaded { .. } => "uploaded",
            Self::Delivered(_) => "delivered",
            Self::Read(_) => "read",
            Self::Deleted { .. } => "deleted",
            Self::Updated { .. } => "updated",
            Self::InboxAccess { .. } => "inbox_access",
            Self::Members { .. } => "members",
            Self::RoomUpdated { .. } => "room_updated",
            Self::RoomDeleted { .. } => "room_deleted",
            Self::Created { .. } => "created",
            Self::FirstResponse { .. } => "first_response",
            Self::Assigned { .. } => "assigned",
            Self::Closed { .. } => "closed",
            Self::Opened { .. } => "opened",
            Self::Notification { .. } => "notification",
            Self::NotificationRead { .. } => "notification_read",
            Self::NotificationsRead { .. } => "notifications_read",
        }
    }

    /// The conversation whose joined sockets get the event.
    #[must_use]
    pub fn conversation(&self) -> Option<ConversationId> {
        match self {
            Self::Message { conversation, .. }
            | Self::Uploaded { conversation, .. }
            | Self::Deleted { conversation, .. }
            | Self::Updated { conversation, .. }
            | Self::Members { conversation, .. }
            | Self::RoomUpdated { conversation, .. }
            | Self::RoomDeleted { conversation, .. }
            | Self::Created { conversation }
            | Self::FirstResponse { conversation, .. }
            | Self::Assigned { conversation, .. }
            | Self::Closed { conversation, .. }
            | Self::Opened { conversation, .. } => Some(ConversationId(*conversation)),
            Self::Delivered(receipts) | Self::Read(receipts) => Some(ConversationId(receipts.conversation)),
            _ => None,
        }
    }

    /// The user whose sockets get the event.
    #[must_use]
    pub fn user(&self) -> Option<UserPk> {
        match self {
            Self::Notification { user, .. }
            | Self::NotificationRead { user, .. }
            | Self::NotificationsRead { user, .. } => Some(UserPk(*user)),
            _ => None,
        }
    }
}

/// An event with everything that a dialect needs to encode it.
#[derive(Debug, Clone, PartialEq)]
pub enum ChatEvent {
    /// A new message.
    Message {
        /// The message.
        view: Box<MessageView>,
        /// The socket that sent it.
        origin: Option<u64>,
    },
    /// A new message of an upload, which the uploader's own sockets may get later.
    Uploaded(Box<MessageView>),
    /// A message changed.
    Updated(Box<MessageView>),
    /// The grants of a device's inbox changed; these are its conversations.
    InboxAccess(Vec<Conversation>),
    /// Receipts of one user.
    Receipts {
        /// The kind of receipt.
        level: ReceiptLevel,
        /// The conversation.
        conversation: Conversation,
        /// The messages, oldest first.
        messages: Vec<ChatMessageId>,
        /// The user.
        by: Box<ChatUser>,
        /// The time.
        at: Millis,
    },
    /// Receipts of one user in a large room, where each author gets those of its own messages.
    RoomReceipts {
        /// The kind of receipt.
        level: ReceiptLevel,
        /// The conversation.
        conversation: Conversation,
        /// The messages by author, oldest first.
        by_author: HashMap<UserPk, Vec<ChatMessageId>>,
        /// The user.
        by: Box<ChatUser>,
        /// The time.
        at: Millis,
    },
    /// Users are no members of a room any more.
    MembersRemoved {
        /// The conversation.
        conversation: ConversationId,
        /// The users.
        users: HashSet<UserPk>,
    },
    /// A message was deleted.
    Deleted {
        /// The conversation.
        conversation: ConversationId,
        /// The message.
        message: ChatMessageId,
    },
    /// A new notification.
    Notification {
        /// The user.
        user: UserPk,
        /// The notification.
        notification: Box<ChatNotification>,
    },
    /// A notification was read.
    NotificationRead {
        /// The user.
        user: UserPk,
        /// The notification.
        id: ChatNotificationId,
        /// The socket that gets no event.
        origin: Option<u64>,
    },
    /// All notifications were read.
    NotificationsRead {
        /// The user.
        user: UserPk,
        /// The socket that gets no event.
        origin: Option<u64>,
    },
}
