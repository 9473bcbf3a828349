//! The calls of the daemon to a session. Meta has no groups, presence or chat changes for this API.

use std::sync::Arc;

use async_trait::async_trait;

use super::outbound;
use super::session::CloudSession;
use crate::domain::event::TypingKind;
use crate::domain::ids::MessageId;
use crate::domain::jid::Jid;
use crate::engine::{
    Answer, ChatChange, GroupAnswer, GroupRequest, MessageChange, Outgoing, PairingCode, Query, SendOutcome,
    Session, SessionEnd, SessionError,
};

#[async_trait]
impl Session for CloudSession {
    async fn run(self: Arc<Self>) -> SessionEnd {
        self.base.run(self.live()).await
    }

    async fn send(&self, message: Outgoing) -> SendOutcome {
        outbound::send(self, &message).await
    }

    async fn mark_read(&self, _chat: &Jid, messages: &[MessageId]) -> Result<(), SessionError> {
        outbound::mark_read(self, messages).await
    }

    async fn typing(&self, chat: &Jid, _kind: TypingKind, on: bool) -> Result<(), SessionError> {
        outbound::typing(self, chat, on).await
    }

    async fn subscribe_presence(&self, _contact: &Jid) -> Result<(), SessionError> {
        Err(SessionError::NotSupported)
    }

    async fn query(&self, _query: Query) -> Result<Answer, SessionError> {
        Err(SessionError::NotSupported)
    }

    async fn pairing_code(&self, _phone_number: &str) -> Result<PairingCode, SessionError> {
        Err(SessionError::NotSupported)
    }

    async fn change_message(&self, change: MessageChange) -> Result<(), SessionError> {
        match change {
            MessageChange::React { id, emoji, .. } => outbound::react(self, &id, &emoji).await,
            _ => Err(SessionError::NotSupported),
        }
    }

    async fn change_chat(&self, _chat: &Jid, _change: ChatChange) -> Result<(), SessionError> {
        Err(SessionError::NotSupported)
    }

    async fn group(&self, _request: GroupRequest) -> Result<GroupAnswer, SessionError> {
        Err(SessionError::NotSupported)
    }

    /// Meta has no log-out: only the stored ids are removed.
    async fn log_out(&self) -> Result<(), SessionError> {
        self.base.log_out();
        let removed = self.ids.clear().await;
        removed.map_err(|_| {
            SessionError::Refused("the stored ids of this number could not be removed".to_owned())
        })
    }
}
