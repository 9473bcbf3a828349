//! What is changed about messages and chats, and what is read.

use serde::Deserialize as _;
use serde_json::json;

use super::client::{Ask, Trouble};
use super::convert::chat_in::{self, Flags};
use super::convert::wire::WireChat;
use super::entries::echo_of_chat;
use super::session::WwebjsSession;
use super::waiting::echo;
use crate::domain::ids::MessageId;
use crate::domain::jid::Jid;
use crate::engine::{ChatChange, EngineEvent, MessageChange, SessionEnd, SessionError, VaultError};

/// Messages that are marked read in one request.
const READ_AT_ONCE: usize = 500;

impl WwebjsSession {
    /// See [`crate::engine::Session::change_message`].
    pub(super) async fn message_changes(&self, change: MessageChange) -> Result<(), SessionError> {
        match change {
            MessageChange::Edit { id, body, .. } => {
                let id = self.there(&id).await?;
                let ask = json!({ "messageId": id, "newText": body });
                self.change(Some(echo("edit", &id, &body)), Ask::post(&["messages", "edit"], ask)).await
            }
            MessageChange::React { id, emoji, .. } => {
                let id = self.there(&id).await?;
                let path = ["messages", &id.to_string(), "react"];
                self.change(Some(echo("react", &id, &emoji)), Ask::post(&path, json!({ "emoji": emoji })))
                    .await
            }
            MessageChange::Vote { id, options, .. } => {
                let id = self.there(&id).await?;
                let path = ["messages", &id.to_string(), "vote"];
                let echo = echo("vote", &id, &options.join("\n"));
                self.change(Some(echo), Ask::post(&path, json!({ "options": options }))).await
            }
            MessageChange::Star { id, on } => {
                let id = self.there(&id).await?;
                let path = ["messages", &id.to_string(), "star"];
                let asked = Ask::post(&path, json!({ "star": on }));
                done_if_absent(self.change(Some(echo("star", &id, &on.to_string())), asked).await)
            }
            MessageChange::Revoke { id } => self.delete(&id, true).await,
            MessageChange::DeleteForMe { id } => done_if_absent(self.delete(&id, false).await),
        }
    }

    async fn delete(&self, id: &MessageId, for_everyone: bool) -> Result<(), SessionError> {
        let ask = json!({ "messageId": self.there(id).await?, "forEveryone": for_everyone });
        self.change(None, Ask::post(&["messages", "delete"], ask)).await
    }

    async fn there(&self, id: &MessageId) -> Result<MessageId, SessionError> {
        self.keeping.theirs(id).await.map_err(|error| self.not_kept(&error))
    }

    fn not_kept(&self, error: &VaultError) -> SessionError {
        tracing::warn!(device = %self.device, %error, "what an upstream told could not be read");
        SessionError::Offline
    }

    /// Asks for a change whose echo is no news.
    async fn change(&self, echo: Option<String>, ask: Ask<'_>) -> Result<(), SessionError> {
        if let Some(echo) = &echo {
            self.echoes.expect(echo.clone(), self.clock.now());
        }
        match self.client.ask(ask).await {
            Ok(_) => Ok(()),
            Err(trouble) => {
                if let Some(echo) = &echo {
                    self.echoes.take(echo, self.clock.now());
                }
                Err(in_session(trouble))
            }
        }
    }

    /// See [`crate::engine::Session::change_chat`].
    pub(super) async fn chat_changes(&self, chat: &Jid, change: ChatChange) -> Result<(), SessionError> {
        let id = chat.to_string();
        let of = |what: &'static str| ["chats".to_owned(), id.clone(), what.to_owned()];
        let (path, body) = match &change {
            ChatChange::Archive(on) => (of(if *on { "archive" } else { "unarchive" }), json!({})),
            ChatChange::Pin(on) => (of("pin"), json!({ "pin": on })),
            ChatChange::Mute(None) => (of("mute"), json!({ "mute": false })),
            ChatChange::Mute(Some(until)) => (of("mute"), json!({ "mute": true, "until": until })),
            ChatChange::Clear => {
                let path = of("clear");
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                return done_if_absent(
                    self.change(Some(echo_of_chat(chat, &change)), Ask::post(&path, json!({}))).await,
                );
            }
            ChatChange::Delete => {
                let asked =
                    self.change(Some(echo_of_chat(chat, &change)), Ask::delete(&["chats", &id])).await;
                return done_if_absent(asked);
            }
        };
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        match self.client.data(Ask::post(&path, body)).await {
            // There, a chat begins with its first message.
            Err(trouble) if trouble.is_absence() => Ok(()),
            Err(trouble) => Err(in_session(trouble)),
            Ok(chat) => self.note_chat(WireChat::deserialize(chat).ok()).await,
        }
    }

    async fn note_chat(&self, chat: Option<WireChat>) -> Result<(), SessionError> {
        let Some(chat) = chat else { return Ok(()) };
        let kept = self.keeping.set_chat(&chat.id, Flags::from(&chat)).await;
        kept.map_err(|error| self.not_kept(&error))
    }

    /// The upstream tells how a chat is: what was done to it is what is different from the last time.
    pub(super) async fn chat_is(&self, chat: &WireChat) -> Result<(), SessionEnd> {
        let (before, now) = (self.kept(self.keeping.chat(&chat.id).await)?, Flags::from(chat));
        let changes = chat_in::changes(before, now);
        if changes.is_empty() {
            return Ok(());
        }
        for change in changes {
            self.tell(EngineEvent::Chat { chat: chat.id.clone(), change }).await?;
        }
        self.kept(self.keeping.set_chat(&chat.id, now).await)
    }

    /// See [`crate::engine::Session::mark_read`].
    pub(super) async fn reads(&self, chat: &Jid, messages: &[MessageId]) -> Result<(), SessionError> {
        let id = chat.to_string();
        for some in messages.chunks(READ_AT_ONCE) {
            match self.client.ask(Ask::post(&["chats", &id, "read"], json!({ "messageIds": some }))).await {
                Err(trouble) if !trouble.is_absence() => return Err(in_session(trouble)),
                _ => {}
            }
        }
        Ok(())
    }
}

fn in_session(trouble: Trouble) -> SessionError {
    if trouble.is_absence() && trouble.code() == "message_not_found" {
        return SessionError::Refused("the upstream has no such message".to_owned());
    }
    trouble.into_session_error()
}

/// What is not there need not be removed.
fn done_if_absent(done: Result<(), SessionError>) -> Result<(), SessionError> {
    match done {
        Err(SessionError::Refused(why)) if why == "the upstream has no such message" => Ok(()),
        other => other,
    }
}
