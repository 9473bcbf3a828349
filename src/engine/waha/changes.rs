//! Changes to messages and chats. What WAHA has no call for is refused as not supported.

use serde_json::{Value, json};

use super::convert::ids;
use super::session::WahaSession;
use crate::domain::ids::MessageId;
use crate::domain::jid::Jid;
use crate::engine::{ChatChange, MessageChange, SessionError};
use crate::net::Method;

/// See [`crate::engine::Session::change_message`].
pub(super) async fn message(session: &WahaSession, change: MessageChange) -> Result<(), SessionError> {
    let name = &session.settings.session;
    match change {
        MessageChange::Edit { id, body, .. } => {
            let (chat, id) = (ids::to_chat(&id.chat), named(session, &id).await?);
            let path = ["chats", chat.as_str(), "messages", id.as_str()];
            session.client.to_session(Method::PUT, &path, json!({ "text": body })).await?;
        }
        MessageChange::Revoke { id } => {
            let (chat, id) = (ids::to_chat(&id.chat), named(session, &id).await?);
            let path = ["chats", chat.as_str(), "messages", id.as_str()];
            session.client.to_session(Method::DELETE, &path, Value::Null).await?;
        }
        MessageChange::React { id, emoji, .. } => {
            let body = json!({ "session": name, "messageId": named(session, &id).await?, "reaction": emoji });
            session.client.call(Method::PUT, &["reaction"], body).await?;
        }
        MessageChange::Star { id, on } => {
            let chat = ids::to_chat(&id.chat);
            let body = json!({ "session": name, "messageId": named(session, &id).await?, "chatId": chat, "star": on });
            session.client.call(Method::PUT, &["star"], body).await?;
        }
        MessageChange::Vote { id, options, .. } => {
            let chat = ids::to_chat(&id.chat);
            let poll = named(session, &id).await?;
            let body = json!({ "session": name, "chatId": chat, "pollMessageId": poll, "votes": options });
            session.client.call(Method::POST, &["sendPollVote"], body).await?;
        }
        MessageChange::DeleteForMe { .. } => return Err(SessionError::NotSupported),
    }
    Ok(())
}

/// See [`crate::engine::Session::change_chat`].
pub(super) async fn chat(session: &WahaSession, chat: &Jid, change: ChatChange) -> Result<(), SessionError> {
    let chat = ids::to_chat(chat);
    let (method, path): (Method, &[&str]) = match change {
        ChatChange::Archive(true) => (Method::POST, &["chats", &chat, "archive"]),
        ChatChange::Archive(false) => (Method::POST, &["chats", &chat, "unarchive"]),
        ChatChange::Clear => (Method::DELETE, &["chats", &chat, "messages"]),
        ChatChange::Delete => (Method::DELETE, &["chats", &chat]),
        ChatChange::Pin(_) | ChatChange::Mute(_) => return Err(SessionError::NotSupported),
    };
    session.client.to_session(method, path, Value::Null).await?;
    Ok(())
}

/// A message's id as the server knows it.
pub(super) async fn named(session: &WahaSession, id: &MessageId) -> Result<String, SessionError> {
    let theirs = if id.from_me { session.names.theirs(&id.network).await } else { Ok(id.network.clone()) };
    let theirs = theirs.map_err(|error| SessionError::Refused(error.to_string()))?;
    Ok(ids::to_message(id, &theirs, session.me().as_ref()))
}
