//! Changes to messages and chats, and read marks.
//!
//! The event of an own change is suppressed; the removal of a missing message or chat is a success.

use serde::Deserialize as _;
use serde_json::{Value, json};

use super::client::RemoteFailure;
use super::convert::chat_in::{self, ChatFlags};
use super::convert::event_in::RemoteUpdate;
use super::convert::wire::WireChat;
use super::pending_sends::OwnChange;
use super::session::RemoteSession;
use crate::domain::ids::MessageId;
use crate::domain::jid::Jid;
use crate::engine::{ChatChange, EngineEvent, MessageChange, SessionEnd, SessionError};

/// Messages that one request marks as read.
const MAX_READ_IDS: usize = 500;

impl RemoteSession {
    /// See [`crate::engine::Session::change_message`].
    pub(super) async fn request_message_change(&self, change: MessageChange) -> Result<(), SessionError> {
        let me = self.base.me();
        let (id, verb, body, update) = match change {
            MessageChange::Revoke { id } => {
                return self.delete_message(&id, true).await.map_err(|failure| error(&failure));
            }
            MessageChange::DeleteForMe { id } => return done(self.delete_message(&id, false).await),
            MessageChange::Edit { id, body, .. } => {
                let id = self.upstream_id(&id).await?;
                let request = json!({ "messageId": id, "newText": body });
                let own = OwnChange::Message(id.network, RemoteUpdate::Edited { body });
                let edited = self.request(Some(own), &["messages", "edit"], &request).await;
                return edited.map_err(|failure| error(&failure));
            }
            MessageChange::React { id, emoji, .. } => {
                let update = me.map(|from| RemoteUpdate::Reaction { from, emoji: emoji.clone() });
                (id, "react", json!({ "emoji": emoji }), update)
            }
            MessageChange::Vote { id, options, .. } => {
                let update = me.map(|voter| RemoteUpdate::Vote { voter, options: options.clone() });
                (id, "vote", json!({ "options": options }), update)
            }
            MessageChange::Star { id, on } => {
                (id, "star", json!({ "star": on }), Some(RemoteUpdate::Starred(on)))
            }
        };
        let id = self.upstream_id(&id).await?;
        let own = update.map(|update| OwnChange::Message(id.network.clone(), update));
        let result = self.request(own, &["messages", &id.to_string(), verb], &body).await;
        if verb == "star" { done(result) } else { result.map_err(|failure| error(&failure)) }
    }

    async fn delete_message(&self, id: &MessageId, for_everyone: bool) -> Result<(), RemoteFailure> {
        let id = self.upstream_id(id).await.map_err(|_| RemoteFailure::malformed())?;
        let body = json!({ "messageId": id, "forEveryone": for_everyone });
        self.request(None, &["messages", "delete"], &body).await
    }

    /// Requests a change whose own event is suppressed.
    async fn request(
        &self,
        own: Option<OwnChange>,
        path: &[&str],
        body: &Value,
    ) -> Result<(), RemoteFailure> {
        self.tracked(own, self.client.post(path, body)).await
    }

    async fn tracked(
        &self,
        own: Option<OwnChange>,
        request: impl Future<Output = Result<Value, RemoteFailure>>,
    ) -> Result<(), RemoteFailure> {
        if let Some(own) = &own {
            self.own_changes.expect(own.clone(), self.relay.now());
        }
        let answer = request.await;
        if let (Err(_), Some(own)) = (&answer, &own) {
            self.own_changes.take(own, self.relay.now());
        }
        answer.map(drop)
    }

    /// See [`crate::engine::Session::change_chat`].
    pub(super) async fn request_chat_change(
        &self,
        chat: &Jid,
        change: ChatChange,
    ) -> Result<(), SessionError> {
        let id = chat.to_string();
        let (verb, body) = match &change {
            ChatChange::Archive(true) => ("archive", json!({})),
            ChatChange::Archive(false) => ("unarchive", json!({})),
            ChatChange::Pin(on) => ("pin", json!({ "pin": on })),
            ChatChange::Mute(None) => ("mute", json!({ "mute": false })),
            ChatChange::Mute(Some(until)) => ("mute", json!({ "mute": true, "until": until })),
            ChatChange::Clear => {
                let own = OwnChange::Chat(chat.clone(), change);
                return done(self.request(Some(own), &["chats", &id, "clear"], &json!({})).await);
            }
            ChatChange::Delete => {
                let own = OwnChange::Chat(chat.clone(), change);
                return done(self.tracked(Some(own), self.client.delete(&["chats", &id])).await);
            }
        };
        let chat = match self.client.post(&["chats", &id, verb], &body).await {
            // At the upstream a chat begins with its first message.
            Err(failure) if failure.is_absent() => return Ok(()),
            Err(failure) => return Err(error(&failure)),
            Ok(chat) => WireChat::deserialize(chat).ok(),
        };
        let Some(chat) = chat else { return Ok(()) };
        let stored = self.relay.stored(self.state.set_chat(&chat.id, ChatFlags::from(&chat)).await);
        stored.map_err(|_| SessionError::Offline)
    }

    /// Ingests a chat in its present form: the differences from its last flags are changes.
    pub(super) async fn ingest_chat(&self, chat: &WireChat) -> Result<(), SessionEnd> {
        let before = self.relay.stored(self.state.chat(&chat.id).await)?;
        let flags = ChatFlags::from(chat);
        if before == flags {
            return Ok(());
        }
        for change in chat_in::changes(before, flags) {
            self.relay.deliver(EngineEvent::Chat { chat: chat.id.clone(), change }).await?;
        }
        self.relay.stored(self.state.set_chat(&chat.id, flags).await)
    }

    /// See [`crate::engine::Session::mark_read`].
    pub(super) async fn send_read_marks(
        &self,
        chat: &Jid,
        messages: &[MessageId],
    ) -> Result<(), SessionError> {
        let chat = chat.to_string();
        for ids in messages.chunks(MAX_READ_IDS) {
            match self.client.post(&["chats", &chat, "read"], &json!({ "messageIds": ids })).await {
                Err(failure) if !failure.is_absent() => return Err(error(&failure)),
                _ => {}
            }
        }
        Ok(())
    }
}

fn is_message_missing(failure: &RemoteFailure) -> bool {
    failure.is_absent() && failure.code() == "message_not_found"
}

fn error(failure: &RemoteFailure) -> SessionError {
    if is_message_missing(failure) {
        return SessionError::Refused("the upstream does not have the message".to_owned());
    }
    failure.session_error()
}

/// A missing message needs no removal.
fn done(result: Result<(), RemoteFailure>) -> Result<(), SessionError> {
    match result {
        Err(failure) if !is_message_missing(&failure) => Err(error(&failure)),
        _ => Ok(()),
    }
}
