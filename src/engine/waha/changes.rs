//! Changes of messages and chats. A change without a call at WAHA is not supported.

use serde_json::{Value, json};

use super::client::session_error;
use super::convert::ids;
use super::session::WahaSession;
use crate::domain::ids::MessageId;
use crate::domain::jid::Jid;
use crate::engine::{ChatChange, MessageChange, SessionError};
use crate::net::Method;

/// See [`crate::engine::Session::change_message`].
pub(super) async fn change_message(session: &WahaSession, change: MessageChange) -> Result<(), SessionError> {
    let name = &session.settings.session;
    let (id, method, call, body) = match change {
        MessageChange::Edit { id, body, .. } => {
            return message_call(session, &id, Method::PUT, json!({ "text": body })).await;
        }
        MessageChange::Revoke { id } => return message_call(session, &id, Method::DELETE, Value::Null).await,
        MessageChange::React { id, emoji, .. } => {
            (id, Method::PUT, "reaction", json!({ "session": name, "reaction": emoji }))
        }
        MessageChange::Star { id, on } => {
            let body = json!({ "session": name, "chatId": ids::to_chat(&id.chat), "star": on });
            (id, Method::PUT, "star", body)
        }
        MessageChange::Vote { id, options, .. } => {
            let body = json!({ "session": name, "chatId": ids::to_chat(&id.chat), "votes": options });
            (id, Method::POST, "sendPollVote", body)
        }
        MessageChange::DeleteForMe { .. } => return Err(SessionError::NotSupported),
    };
    let mut body = body;
    let field = if call == "sendPollVote" { "pollMessageId" } else { "messageId" };
    body[field] = session.upstream_message_id(&id).await?.into();
    session.client.call(method, &[call], body).await.map(drop).map_err(session_error)
}

async fn message_call(
    session: &WahaSession,
    id: &MessageId,
    method: Method,
    body: Value,
) -> Result<(), SessionError> {
    let (chat, id) = (ids::to_chat(&id.chat), session.upstream_message_id(id).await?);
    let path = ["chats", chat.as_str(), "messages", id.as_str()];
    session.client.to_session(method, &path, body).await.map(drop).map_err(session_error)
}

/// See [`crate::engine::Session::change_chat`].
pub(super) async fn change_chat(
    session: &WahaSession,
    chat: &Jid,
    change: ChatChange,
) -> Result<(), SessionError> {
    let chat = ids::to_chat(chat);
    let (method, path): (Method, &[&str]) = match change {
        ChatChange::Archive(true) => (Method::POST, &["chats", &chat, "archive"]),
        ChatChange::Archive(false) => (Method::POST, &["chats", &chat, "unarchive"]),
        ChatChange::Clear => (Method::DELETE, &["chats", &chat, "messages"]),
        ChatChange::Delete => (Method::DELETE, &["chats", &chat]),
        ChatChange::Pin(_) | ChatChange::Mute(_) => return Err(SessionError::NotSupported),
    };
    session.client.to_session(method, path, Value::Null).await.map(drop).map_err(session_error)
}
