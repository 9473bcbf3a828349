//! Sends of clients that send each message as an event and as a REST call; both are one message.
//!
//! The number that both share is stored first and takes the place of the client's own id, so that the message is
//! stored once, whichever of both is first and even if the first one fails.

use sha2::{Digest as _, Sha256};

use super::OperatorChat;
use super::authentication::SignedIn;
use super::error::ChatError;
use super::views::conversation_of;
use crate::domain::clock::Millis;
use crate::domain::operator_chat::conversation::{Conversation, ConversationTarget};
use crate::domain::operator_chat::ids::UserPk;
use crate::domain::operator_chat::message::{ChatMessage, MessageDraft, SendSource, SentMessage};
use crate::domain::operator_chat::send_dedup::SendChannel;
use crate::domain::operator_chat::send_rate::DAY_MS;
use crate::store::chat_send_dedup::ChannelSend;
use crate::store::{StoreError, Tx};

impl OperatorChat {
    /// Sends a message to a conversation. A send that matches one of the other channel returns its message.
    ///
    /// # Errors
    /// When a field is invalid, the caller has no such conversation, or sends too much.
    pub async fn send_on_channel(
        &self,
        me: &SignedIn,
        conversation: String,
        draft: MessageDraft,
        channel: SendChannel,
        origin: Option<u64>,
    ) -> Result<SentMessage, ChatError> {
        self.check_draft(&draft)?;
        let target = ConversationTarget::Named(conversation);
        let digest = Sha256::digest(draft.content.as_bytes());
        let (user, staff, named) = (me.user.clone(), self.directory_rules(), target.clone());
        let (now, window) = (self.now(), self.limits.send_dedup_window_ms);
        let (shared_id, is_stored) = self
            .store
            .write(move |tx| {
                let conversation = conversation_of(tx, &staff, &user, &named)?.id;
                let send = ChannelSend { user: user.pk, conversation, channel, digest: &digest, at: now };
                let number = tx.match_channel_send(&send, now.plus(-window))?;
                // Not JSON, so that it equals no id of a client and is never shown.
                let shared_id = format!("send {number}");
                let known = tx.sent_with_temp_id(user.pk, conversation, &shared_id, now.plus(-DAY_MS))?;
                Ok::<_, ChatError>((shared_id, known.is_some()))
            })
            .await?;
        if !is_stored {
            self.count_send(me.user.pk, now)?;
        }
        let draft = MessageDraft { temp_id: Some(shared_id), ..draft };
        self.store_send(&me.user, target, draft, origin.map_or(SendSource::Rest, SendSource::Socket)).await
    }
}

/// The message that an earlier send with the same temp id stored.
pub(super) fn sent_before(
    tx: &Tx<'_>,
    me: UserPk,
    conversation: &Conversation,
    draft: &MessageDraft,
    now: Millis,
) -> Result<Option<ChatMessage>, StoreError> {
    let Some(temp_id) = &draft.temp_id else { return Ok(None) };
    let known = tx.sent_with_temp_id(me, conversation.id, temp_id, now.plus(-DAY_MS))?;
    known.map_or(Ok(None), |id| tx.chat_message(id))
}
