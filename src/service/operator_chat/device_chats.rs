//! Opens the conversation of a chat of a device, also before its first message: an operator can write first.

use super::OperatorChat;
use super::error::ChatError;
use super::inbox_caller::InboxCaller;
use super::inbox_list::{InboxConversation, inbox_conversation};
use crate::domain::ids::DeviceId;
use crate::domain::jid::{Jid, JidKind};
use crate::domain::operator_chat::inbox::{InboxRights, rights_of};
use crate::service::error::require_device;
use crate::service::log::bridge_inbound::create_conversation;
use crate::store::StoreError;
use crate::store::messages::Pk;

impl OperatorChat {
    /// The conversation of a chat of a device, and whether it was created by this call.
    ///
    /// # Errors
    /// When the caller may not write in the inbox, the device does not bridge such chats, or the store fails.
    pub async fn open_device_chat(
        &self,
        caller: InboxCaller,
        device: DeviceId,
        chat: Jid,
    ) -> Result<(InboxConversation, bool), ChatError> {
        if matches!(chat.kind(), JidKind::Status | JidKind::Newsletter) {
            return Err(ChatError::invalid("chatId", "must be a person or a group"));
        }
        let chat = self.messaging.canonical_chat(&device, &chat).await?;
        let (links, now) = (self.links.clone(), self.now());
        self.store
            .write(move |tx| {
                if let Some(user) = caller.user() {
                    match rights_of(&tx.inbox_grants(&device)?, user) {
                        None => return Err(ChatError::ConversationNotFound),
                        Some(InboxRights::Read) => return Err(ChatError::ReadOnly),
                        Some(InboxRights::Reply | InboxRights::Manage) => {}
                    }
                }
                require_device(tx, &device)?;
                if !tx.bridge_mode(&device)?.includes(&chat) {
                    return Err(ChatError::NotBridged);
                }
                let known = tx.device_conversation(&device, &chat)?;
                let is_new = known.is_none();
                let found = match known {
                    Some(known) => known,
                    None => create_conversation(tx, &device, &chat, Pk::MAX, now)?,
                };
                let conversation = tx.conversation(found.id)?;
                let conversation = conversation.ok_or(StoreError::Unreadable("conversation of a chat"))?;
                Ok((inbox_conversation(tx, &conversation, &links)?, is_new))
            })
            .await
    }
}
