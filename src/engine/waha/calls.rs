//! The calls of the daemon to a session.

use std::sync::Arc;

use async_trait::async_trait;

use super::message_ids::IdState;
use super::session::WahaSession;
use super::{backfill, changes, groups, linking, online, outbound, people};
use crate::domain::event::TypingKind;
use crate::domain::ids::{MessageId, NetworkId};
use crate::domain::jid::Jid;
use crate::engine::{
    Answer, ChatChange, GroupAnswer, GroupRequest, MessageChange, Outgoing, PairingCode, Query, SendOutcome,
    Session, SessionEnd, SessionError,
};

#[async_trait]
impl Session for WahaSession {
    async fn run(self: Arc<Self>) -> SessionEnd {
        let ended = self.base.run(Box::pin(online::live(&self))).await;
        linking::end_codes(&self);
        backfill::store_position(&self).await;
        ended
    }

    async fn send(&self, message: Outgoing) -> SendOutcome {
        if self.base.is_online() { outbound::send(self, &message).await } else { outbound::offline() }
    }

    async fn may_resend(&self, message: &NetworkId) -> bool {
        matches!(self.ids.state(message).await, Ok(state) if state != IdState::Pending)
    }

    async fn mark_read(&self, chat: &Jid, messages: &[MessageId]) -> Result<(), SessionError> {
        self.base.ensure_online()?;
        people::mark_read(self, chat, messages).await
    }

    async fn typing(&self, chat: &Jid, kind: TypingKind, on: bool) -> Result<(), SessionError> {
        self.base.ensure_online()?;
        people::typing(self, chat, kind, on).await
    }

    async fn subscribe_presence(&self, contact: &Jid) -> Result<(), SessionError> {
        self.base.ensure_online()?;
        people::subscribe_presence(self, contact).await
    }

    async fn query(&self, query: Query) -> Result<Answer, SessionError> {
        self.base.ensure_online()?;
        people::query(self, query).await
    }

    async fn pairing_code(&self, phone_number: &str) -> Result<PairingCode, SessionError> {
        linking::pairing_code(self, phone_number).await
    }

    async fn change_message(&self, change: MessageChange) -> Result<(), SessionError> {
        self.base.ensure_online()?;
        changes::change_message(self, change).await
    }

    async fn change_chat(&self, chat: &Jid, change: ChatChange) -> Result<(), SessionError> {
        self.base.ensure_online()?;
        changes::change_chat(self, chat, change).await
    }

    async fn group(&self, request: GroupRequest) -> Result<GroupAnswer, SessionError> {
        self.base.ensure_online()?;
        groups::request(self, request).await
    }

    async fn log_out(&self) -> Result<(), SessionError> {
        self.base.log_out();
        let result = linking::log_out(self).await;
        linking::forget_link(self).await;
        result
    }
}
