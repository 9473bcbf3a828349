//! Changes of messages and chats by the device: checked by the network's rules and recorded in the ledger.
//!
//! The network stores no messages; whether a change suits its message is the daemon's concern.

use super::content::{MAX_BODY, MAX_EMOJI};
use super::network_view::{LedgerEntry, SimulatedChange};
use super::session::{SimulatorSession, refused};
use crate::domain::ids::MessageId;
use crate::domain::jid::Jid;
use crate::engine::{ChatChange, MessageChange, SessionError};

impl SimulatorSession {
    /// See [`crate::engine::Session::change_message`].
    pub(super) async fn record_message_change(&self, change: MessageChange) -> Result<(), SessionError> {
        let now = self.clock.now();
        let (change, at) = match change {
            MessageChange::Edit { id, body, at, .. } => {
                ensure_editable(&id, &body)?;
                (SimulatedChange::Edit { message_id: id, body }, at)
            }
            MessageChange::React { id, emoji, at } => {
                if emoji.len() > MAX_EMOJI {
                    return Err(refused("a reaction is one emoji"));
                }
                (SimulatedChange::React { message_id: id, emoji }, at)
            }
            MessageChange::Revoke { id } => {
                if !id.from_me && !id.chat.is_group() {
                    return Err(refused("only the sender can revoke this message"));
                }
                (SimulatedChange::Revoke { message_id: id }, now)
            }
            MessageChange::DeleteForMe { id } => (SimulatedChange::DeleteForMe { message_id: id }, now),
            MessageChange::Star { id, on } => (SimulatedChange::Star { message_id: id, on }, now),
            MessageChange::Vote { id, options, at } => {
                (SimulatedChange::Vote { message_id: id, options }, at)
            }
        };
        self.record(LedgerEntry::Change { change: &change, at }).await
    }

    /// See [`crate::engine::Session::change_chat`].
    pub(super) async fn record_chat_change(
        &self,
        chat: &Jid,
        change: ChatChange,
    ) -> Result<(), SessionError> {
        let chat = chat.clone();
        let change = match change {
            ChatChange::Archive(on) => SimulatedChange::Archive { chat, on },
            ChatChange::Pin(on) => SimulatedChange::Pin { chat, on },
            ChatChange::Mute(mute) => {
                SimulatedChange::Mute { chat, on: mute.is_some(), until: mute.flatten() }
            }
            ChatChange::Clear => SimulatedChange::Clear { chat },
            ChatChange::Delete => SimulatedChange::Delete { chat },
        };
        self.record(LedgerEntry::Change { change: &change, at: self.clock.now() }).await
    }
}

fn ensure_editable(id: &MessageId, body: &str) -> Result<(), SessionError> {
    if !id.from_me {
        return Err(refused("only messages of this account can be edited"));
    }
    if body.is_empty() || body.len() > MAX_BODY {
        return Err(refused("a text has 1 to 65536 bytes"));
    }
    Ok(())
}
