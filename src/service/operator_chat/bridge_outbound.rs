//! Sends a message of an operator through the device: the device's message, its outbox row, the reference in
//! the conversation and all events are one transaction.

use super::OperatorChat;
use super::attachment_url::uploaded_file;
use super::error::ChatError;
use super::views::message_views;
use crate::domain::content::{Attachment, Content};
use crate::domain::file_name::safe_filename;
use crate::domain::ids::{DeviceId, MessageId};
use crate::domain::jid::Jid;
use crate::domain::media::MediaKind;
use crate::domain::operator_chat::conversation::Conversation;
use crate::domain::operator_chat::ids::{ChatMessageId, UserPk};
use crate::domain::operator_chat::inbox::InboxRights;
use crate::domain::operator_chat::message::{ChatMessageKind, MessageDraft, SendSource, SentMessage};
use crate::domain::operator_chat::slash_commands::outgoing_text;
use crate::domain::operator_chat::user::ChatUser;
use crate::domain::outbox::Priority;
use crate::domain::state::State;
use crate::service::SendMedia;
use crate::service::log::bridge_inbound::OperatorSend;
use crate::service::media::{MediaSource, SendAs};
use crate::service::messaging::send::{IdempotencyKey, SendContent, SendRequest};
use crate::store::{StoreError, Tx};

/// Messages of a device that an operator read.
pub(super) struct ReadOnDevice {
    pub(super) device: DeviceId,
    pub(super) chat: Jid,
    /// All messages of the chat if `None`.
    pub(super) messages: Option<Vec<MessageId>>,
}

impl OperatorChat {
    pub(super) async fn send_to_device(
        &self,
        me: &ChatUser,
        conversation: Conversation,
        draft: MessageDraft,
        source: SendSource,
    ) -> Result<SentMessage, ChatError> {
        let chat = conversation.device_chat().ok_or(ChatError::ConversationNotFound)?;
        if chat.rights_of(me) < Some(InboxRights::Reply) {
            return Err(ChatError::ReadOnly);
        }
        let text = match self.inboxes.has_commands {
            true => outgoing_text(&draft.content)?.to_owned(),
            false => draft.content.clone(),
        };
        let device = chat.device.clone();
        self.require_usable(&device).await?;
        let idempotency = draft.temp_id.as_ref().map(|temp_id| IdempotencyKey {
            key: format!("operator {} {} {temp_id}", me.pk, conversation.id),
            fingerprint: Vec::new(),
        });
        let request = SendRequest {
            to: chat.chat.clone(),
            text,
            content: self.content(&device, &draft).await?,
            quoted: None,
            mentions: Vec::new(),
            forwarded: false,
            temp_id: None,
            priority: Priority::default(),
            send_at: None,
            idempotency,
        };
        let author =
            OperatorSend { user: me.pk, conversation: conversation.id, temp_id: draft.temp_id, source };
        let accepted = self.messaging.send_as_operator(&device, request, author).await?;
        let links = self.links.clone();
        self.store
            .read(move |store| {
                let pk = store.message_pk(&device, &accepted.id)?.ok_or(ChatError::MessageNotFound)?;
                let message = store.chat_message_of(pk)?.ok_or(ChatError::MessageNotFound)?;
                let view = message_views(store, &conversation, vec![message], &links)?.pop();
                let view = view.ok_or(StoreError::Unreadable("message"))?;
                Ok(SentMessage { view, is_new: !accepted.replayed })
            })
            .await
    }

    /// Refuses a device that does not connect again by itself.
    async fn require_usable(&self, device: &DeviceId) -> Result<(), ChatError> {
        let id = device.clone();
        let found = self.store.read::<_, StoreError, _>(move |store| store.device(&id)).await?;
        match found.map(|device| device.state) {
            Some(State::Failed { .. }) => Err(ChatError::DeviceFailed),
            _ => Ok(()),
        }
    }

    /// The content of a draft for the device. An uploaded file is in the media store already.
    async fn content(&self, device: &DeviceId, draft: &MessageDraft) -> Result<SendContent, ChatError> {
        let Some(url) = draft.attachment_url.clone() else { return Ok(SendContent::Ready(Content::Text)) };
        let is_document = draft.kind == ChatMessageKind::File;
        let (links, named) = (self.links.clone(), draft.clone());
        let uploaded = self.store.read(move |store| uploaded_file(store, &links, &named)).await?;
        let Some(uploaded) = uploaded else {
            let as_what = if is_document { SendAs::Document } else { SendAs::Content };
            let source = MediaSource::Url(url);
            return Ok(SendContent::Media(SendMedia { source, filename: None, as_what }));
        };
        self.media.require_room_on_device(device, &uploaded).await?;
        let by_type = MediaKind::of_mimetype(&uploaded.file.mimetype);
        let kind = if is_document { MediaKind::Document } else { by_type };
        let filename = draft.attachment_name.as_deref().and_then(safe_filename);
        let filename = Some(filename.unwrap_or(uploaded.filename));
        Ok(SendContent::Ready(Content::Media(Attachment { kind, file: uploaded.file, filename })))
    }

    /// Marks messages read on the device, and so at the network.
    pub(super) async fn read_on_device(&self, read: Option<ReadOnDevice>) -> Result<(), ChatError> {
        if let Some(ReadOnDevice { device, chat, messages }) = read {
            self.messaging.mark_read(&device, &chat, messages).await?;
        }
        Ok(())
    }
}

/// The device's messages behind messages of a device conversation that a user read; all of its chat if `ids` is
/// `None`. None if the reading of this user does not count at the network.
pub(super) fn device_messages(
    tx: &Tx<'_>,
    conversation: &Conversation,
    reader: UserPk,
    ids: Option<&[ChatMessageId]>,
) -> Result<Option<ReadOnDevice>, StoreError> {
    let Some(chat) = conversation.device_chat() else { return Ok(None) };
    if !tx.network_read_marks().counts(reader, tx.inbox_status(conversation.id)?.assignee) {
        return Ok(None);
    }
    let messages = match ids {
        None => None,
        Some(ids) => {
            let linked = ids.iter().filter_map(|id| tx.linked_message(*id).transpose());
            Some(linked.map(|found| found.map(|linked| linked.message.id)).collect::<Result<_, _>>()?)
        }
    };
    Ok(Some(ReadOnDevice { device: chat.device.clone(), chat: chat.chat.clone(), messages }))
}
