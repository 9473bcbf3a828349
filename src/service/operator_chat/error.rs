//! Errors of operator chat. A resource that the caller may not see has the error of one that does not exist.

use thiserror::Error;

use crate::domain::operator_chat::app_event::InvalidAppEvent;
use crate::domain::operator_chat::send_rate::SendRateError;
use crate::domain::operator_chat::slash_commands::UnknownCommand;
use crate::service::error::{ErrorKind, ServiceError};
use crate::store::StoreError;

/// A failed use case.
#[derive(Debug, Error)]
pub enum ChatError {
    /// No such conversation, or not the caller's.
    #[error("Conversation not found")]
    ConversationNotFound,
    /// No such user, or none that the caller may access.
    #[error("User not found")]
    UserNotFound,
    /// No such user for a new conversation, or none that the caller may write to.
    #[error("Participant user not found")]
    ParticipantNotFound,
    /// No such message, or none that the caller may change.
    #[error("Message not found")]
    MessageNotFound,
    /// No such notification of the caller.
    #[error("Notification not found")]
    NotificationNotFound,
    /// An invalid field.
    #[error("{field} {message}")]
    Invalid {
        /// Its name.
        field: &'static str,
        /// The valid values.
        message: String,
    },
    /// The conversation is that of a device's chat.
    #[error("a conversation of a device stays in the list")]
    DeviceConversation,
    /// The grant of the inbox allows no sending.
    #[error("your access to this inbox is read only; this needs the rights `reply`")]
    ReadOnly,
    /// The device of a conversation failed.
    #[error("the device failed and sends no messages; start it again")]
    DeviceFailed,
    /// The request is for conversations of devices.
    #[error("only a conversation of a device has a state, an assignee and notes")]
    NotInbox,
    /// The device has no conversation of such a chat.
    #[error("the device has no conversations of such chats; set settings.chat.bridge to people or all")]
    NotBridged,
    /// The request is for rooms.
    #[error("only a room has a title and members that can be changed")]
    NotRoom,
    /// The caller is no owner of the room.
    #[error("only an owner of the room can change it and its members")]
    NotOwner,
    /// The room would have no owner.
    #[error("a room needs an owner; make another member the owner first")]
    LastOwner,
    /// Too many members of a room.
    #[error("a room can have at most {0} members")]
    TooManyMembers(usize),
    /// The grant of the inbox does not allow to change the assignment of others.
    #[error("changing the assignment of others needs the rights `manage` in this inbox")]
    NotManager,
    /// The conversation has another assignee than the caller expects.
    #[error("{}", assigned_sentence(.assignee.as_deref()))]
    Assigned {
        /// The id of the assignee, if there is one.
        assignee: Option<String>,
    },
    /// An uploaded file is too large.
    #[error("the file is larger than {max_bytes} bytes")]
    FileTooLarge {
        /// The largest size.
        max_bytes: u64,
    },
    /// An uploaded file has another type than those that are accepted.
    #[error(
        "the file must be an image (JPEG, PNG, GIF, WebP, SVG), a PDF or a Word document; by its content it is {0}"
    )]
    FileType(String),
    /// A text that is a command.
    #[error(transparent)]
    UnknownCommand(#[from] UnknownCommand),
    /// Too many messages.
    #[error(transparent)]
    SendRate(#[from] SendRateError),
    /// Too many conversations.
    #[error("a user can have at most {0} conversations")]
    TooManyConversations(usize),
    /// Too many users of a tenant.
    #[error("an identity can have at most {0} users")]
    TooManyUsers(usize),
    /// Too many events that wait to be emitted.
    #[error("{0} events wait to be emitted; try again in a second")]
    TooManyEvents(usize),
    /// An event of an application that is not emitted.
    #[error(transparent)]
    Event(#[from] InvalidAppEvent),
    /// The key is for some devices only.
    #[error("this needs an API key for all devices")]
    DeviceKey,
    /// Too many joined conversations.
    #[error("a socket can join at most {0} conversations; leave one first")]
    TooManyRooms(usize),
    /// Another service or the store failed.
    #[error(transparent)]
    Service(#[from] ServiceError),
}

impl From<StoreError> for ChatError {
    fn from(error: StoreError) -> Self {
        Self::Service(error.into())
    }
}

impl ChatError {
    /// An invalid field.
    pub fn invalid(field: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid { field, message: message.into() }
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::ConversationNotFound
            | Self::UserNotFound
            | Self::ParticipantNotFound
            | Self::MessageNotFound
            | Self::NotificationNotFound => "not_found",
            Self::Invalid { .. } => "invalid_field",
            Self::DeviceConversation => "device_conversation",
            Self::DeviceFailed => "device_failed",
            Self::NotInbox => "not_inbox",
            Self::ReadOnly => "read_only",
            Self::NotManager => "not_manager",
            Self::NotRoom => "not_room",
            Self::NotBridged => "not_bridged",
            Self::NotOwner => "not_owner",
            Self::LastOwner => "last_owner",
            Self::TooManyMembers(_) => "too_many_members",
            Self::Assigned { .. } => "assigned",
            Self::FileTooLarge { .. } => "file_too_large",
            Self::FileType(_) => "unsupported_file_type",
            Self::UnknownCommand(_) => "unknown_command",
            Self::SendRate(_) => "rate_limited",
            Self::TooManyConversations(_) => "too_many_conversations",
            Self::TooManyRooms(_) => "too_many_rooms",
            Self::TooManyUsers(_) => "too_many_users",
            Self::TooManyEvents(_) => "rate_limited",
            Self::Event(InvalidAppEvent::Reserved { .. }) => "reserved_event",
            Self::Event(_) => "invalid_field",
            Self::DeviceKey => "device_not_allowed",
            Self::Service(error) => error.code(),
        }
    }

    /// The kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::ConversationNotFound
            | Self::UserNotFound
            | Self::ParticipantNotFound
            | Self::MessageNotFound
            | Self::NotificationNotFound => ErrorKind::NotFound,
            Self::Invalid { .. } | Self::UnknownCommand(_) | Self::Event(_) => ErrorKind::Invalid,
            Self::ReadOnly | Self::NotManager | Self::NotOwner | Self::DeviceKey => ErrorKind::Forbidden,
            Self::SendRate(_) | Self::TooManyEvents(_) => ErrorKind::TooMany,
            Self::FileTooLarge { .. } => ErrorKind::TooLarge,
            Self::FileType(_) => ErrorKind::UnsupportedType,
            Self::DeviceConversation
            | Self::DeviceFailed
            | Self::NotInbox
            | Self::NotRoom
            | Self::NotBridged
            | Self::LastOwner
            | Self::TooManyMembers(_)
            | Self::Assigned { .. }
            | Self::TooManyConversations(_)
            | Self::TooManyUsers(_)
            | Self::TooManyRooms(_) => ErrorKind::Conflict,
            Self::Service(error) => error.kind(),
        }
    }

    /// Seconds after which the request may succeed.
    #[must_use]
    pub fn retry_after_seconds(&self) -> Option<u64> {
        match self {
            Self::SendRate(SendRateError::Burst { retry_after_seconds, .. }) => Some(*retry_after_seconds),
            Self::TooManyEvents(_) => Some(1),
            Self::Service(error) => error.retry_after_seconds(),
            _ => None,
        }
    }
}

fn assigned_sentence(assignee: Option<&str>) -> String {
    match assignee {
        Some(assignee) => format!("the conversation is assigned to {assignee}"),
        None => "the conversation has no assignee".to_owned(),
    }
}
