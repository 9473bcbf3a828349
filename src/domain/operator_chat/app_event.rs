//! Events of an application, which the daemon emits to chat sockets and does not store.

use serde_json::Value as Json;
use thiserror::Error;

use super::ids::{ConversationId, UserPk};

/// Longest name of an event, in characters.
const NAME_MAX_CHARS: usize = 128;
/// Longest data, as JSON in bytes.
const DATA_MAX_BYTES: usize = 65_536;

/// An event of an application.
#[derive(Debug, Clone, PartialEq)]
pub struct AppEvent {
    /// The sockets that get it.
    pub target: AppEventTarget,
    /// The name, which no event of a dialect has.
    pub name: String,
    /// The argument.
    pub data: Json,
}

/// The sockets that get an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppEventTarget {
    /// Those of a user.
    User(UserPk),
    /// Those that joined a conversation.
    Conversation(ConversationId),
    /// All chat sockets.
    All,
}

/// An event that is not emitted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidAppEvent {
    /// The daemon or the library emits it.
    #[error("the event {name} is reserved; {advice}")]
    Reserved {
        /// The event.
        name: String,
        /// The call to use.
        advice: &'static str,
    },
    /// The name has a wrong length.
    #[error("must have 1 to {NAME_MAX_CHARS} characters, none of them U+0000")]
    Name,
    /// The data are too large.
    #[error("must have at most {DATA_MAX_BYTES} bytes as JSON")]
    Data,
}

const OF_DAEMON: &str = "only the daemon emits it";
const OF_LIBRARY: &str = "it belongs to Socket.IO";
const SEND: &str = "send a message with POST /api/v1/conversations/{conversationId}/messages";
const READ: &str = "mark messages read with POST /api/v1/conversations/{conversationId}/read";
const DELETE: &str =
    "delete a message with DELETE /api/v1/conversations/{conversationId}/messages/{chatMessageId}";
const NOTIFY: &str = "notify a user with POST /api/v1/operators/{operatorId}/notifications";
const PRESENCE: &str = "the daemon derives it from the sockets of the user";

/// The events of Socket.IO and of the dialects, in both directions, with the call to use instead.
const RESERVED: &[(&str, &[&str])] = &[
    (
        OF_LIBRARY,
        &["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"],
    ),
    (SEND, &["message:new", "message:send", "message:sent", "new_message", "send_message", "file_uploaded"]),
    (
        READ,
        &[
            "message:read",
            "messages:read",
            "message:mark_read",
            "message:read:success",
            "messages_read",
            "message:delivered",
        ],
    ),
    (DELETE, &["message:delete", "message:deleted", "message_deleted"]),
    (
        NOTIFY,
        &[
            "notification:new",
            "notification:read",
            "notifications:read-all",
            "notification",
            "message:notification",
        ],
    ),
    (
        PRESENCE,
        &[
            "user:online",
            "user:offline",
            "user:status-changed",
            "user_status_changed",
            "user_online",
            "user_offline",
            "presence:update",
            "user:get-status",
            "users:get-status",
            "user:check:online",
            "user:online:status",
            "conversation:get-online-users",
            "typing",
            "typing:start",
            "typing:stop",
            "user_typing",
        ],
    ),
    (
        OF_DAEMON,
        &[
            "auth:success",
            "auth:error",
            "connection:success",
            "connected",
            "error",
            "message:error",
            "message:updated",
            "message_updated",
            "conversation:join",
            "conversation:joined",
            "conversation:leave",
            "conversation:left",
            "join:conversation",
            "leave:conversation",
            "join_conversation",
            "leave_conversation",
            "ping",
            "pong",
            "heartbeat:response",
            "resync",
        ],
    ),
];

impl AppEvent {
    /// An event with a name that is not reserved.
    ///
    /// # Errors
    /// When the name is reserved or too long, or the data are too large.
    pub fn new(target: AppEventTarget, name: String, data: Json) -> Result<Self, InvalidAppEvent> {
        let reserved = RESERVED.iter().find(|(_, names)| names.contains(&name.as_str()));
        if let Some((advice, _)) = reserved {
            return Err(InvalidAppEvent::Reserved { name, advice });
        }
        let length = name.chars().take(NAME_MAX_CHARS + 1).count();
        if !(1..=NAME_MAX_CHARS).contains(&length) || name.contains('\0') {
            return Err(InvalidAppEvent::Name);
        }
        if data.to_string().len() > DATA_MAX_BYTES {
            return Err(InvalidAppEvent::Data);
        }
        Ok(Self { target, name, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, data: Json) -> Result<AppEvent, InvalidAppEvent> {
        AppEvent::new(AppEventTarget::All, name.to_owned(), data)
    }

    #[test]
    fn reserved_events_name_the_call_to_use() {
        for name in ["message:new", "new_message", "user:online", "connect", "error", "notification:new"] {
            assert!(matches!(event(name, Json::Null), Err(InvalidAppEvent::Reserved { .. })), "{name}");
        }
        let sentence = event("notification:new", Json::Null).unwrap_err().to_string();
        assert!(sentence.contains("POST /api/v1/operators/"), "{sentence}");
        assert!(event("order:updated", serde_json::json!({ "orderId": "12" })).is_ok());
    }

    #[test]
    fn names_and_data_are_bounded() {
        for name in ["", "a\0b", &"x".repeat(NAME_MAX_CHARS + 1)] {
            assert_eq!(event(name, Json::Null), Err(InvalidAppEvent::Name));
        }
        assert!(event(&"ä".repeat(NAME_MAX_CHARS), Json::Null).is_ok());
        assert_eq!(event("a", Json::String("x".repeat(DATA_MAX_BYTES))), Err(InvalidAppEvent::Data));
    }
}
