//! Uploads: a file of a user is stored by its content, and is a message or an address for one. The other members get an
//! uploaded message at once, and the uploader's own sockets after its announcement.

use super::OperatorChat;
use super::authentication::SignedIn;
use super::error::ChatError;
use super::views::{conversation_of, message_views};
use crate::domain::operator_chat::conversation::{Conversation, ConversationTarget};
use crate::domain::operator_chat::file::kind_of_upload;
use crate::domain::operator_chat::ids::{ChatMessageId, UserPk};
use crate::domain::operator_chat::inbox::InboxRights;
use crate::domain::operator_chat::message::{
    ChatMessageKind, MessageDraft, MessageView, SendSource, SentMessage,
};
use crate::media::{ByteStream, MediaError};
use crate::service::ServiceError;
use crate::service::media::chat_files::ChatUpload;
use crate::store::StoreError;
use crate::store::chat_files::UploadedChatFile;

/// An uploaded file that a client sends as a message afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadedAttachment {
    /// Its signed address.
    pub url: String,
    /// Its name.
    pub name: String,
    /// The kind of a message with it.
    pub kind: ChatMessageKind,
}

impl OperatorChat {
    /// Stores a file of the caller.
    ///
    /// # Errors
    /// When the file is too large, empty or of another type, the caller stored too much, or the disk is full.
    pub async fn upload(
        &self,
        me: &SignedIn,
        filename: &str,
        bytes: ByteStream,
    ) -> Result<UploadedAttachment, ChatError> {
        let max_bytes = self.limits.upload_max_bytes.min(self.media.max_media_bytes());
        let uploaded = self.media.upload_chat_file(me.user.pk, filename, max_bytes, bytes).await;
        let uploaded = uploaded.map_err(|error| match error {
            ServiceError::Media(MediaError::TooLarge(max_bytes)) => ChatError::FileTooLarge { max_bytes },
            error => error.into(),
        })?;
        let file = match uploaded {
            ChatUpload::Stored(file) => file,
            ChatUpload::TypeRefused(mimetype) => return Err(ChatError::FileType(mimetype)),
        };
        let UploadedChatFile { id, filename, file, secret } = file;
        let kind = kind_of_upload(&file.mimetype).ok_or(ChatError::FileType(file.mimetype))?;
        let url = self.links.of_chat_file(id, &secret).ok_or(StoreError::Unreadable("secret of a file"))?;
        Ok(UploadedAttachment { url, name: filename, kind })
    }

    /// Checks that the caller may send to a conversation, before its file is read. The upload counts as a message.
    ///
    /// # Errors
    /// When the caller has no such conversation, may only read it, or sends too much.
    pub async fn prepare_upload(
        &self,
        me: &SignedIn,
        conversation: String,
    ) -> Result<ConversationTarget, ChatError> {
        let found = self.named_conversation(me, ConversationTarget::Named(conversation)).await?;
        let rights = found.device_chat().map(|chat| chat.rights_of(&me.user));
        if rights.is_some_and(|rights| rights < Some(InboxRights::Reply)) {
            return Err(ChatError::ReadOnly);
        }
        self.count_send(me.user.pk, self.now())?;
        Ok(ConversationTarget::Named(found.id.to_string()))
    }

    /// Stores a file of the caller and sends it to the conversation of [`OperatorChat::prepare_upload`].
    ///
    /// # Errors
    /// As [`OperatorChat::upload`]; when the caller has no such conversation any more, or the device refuses.
    pub async fn upload_to(
        &self,
        me: &SignedIn,
        target: ConversationTarget,
        filename: &str,
        bytes: ByteStream,
    ) -> Result<SentMessage, ChatError> {
        let UploadedAttachment { url, name, kind } = self.upload(me, filename, bytes).await?;
        let draft = MessageDraft {
            kind,
            content: String::new(),
            attachment_url: Some(url),
            attachment_name: Some(name),
            temp_id: None,
        };
        let sent = self.store_send(&me.user, target, draft, SendSource::Upload).await?;
        self.uploads.lock().answered(sent.view.message.id, self.now());
        Ok(sent)
    }

    /// Announces the message of the caller's upload, so that the caller's own sockets get it. A second announcement
    /// changes nothing.
    ///
    /// # Errors
    /// When the caller has no such conversation or message, or the message has no file.
    pub async fn announce_upload(
        &self,
        me: &SignedIn,
        conversation: String,
        message: &str,
    ) -> Result<(), ChatError> {
        let id: ChatMessageId = message.parse().map_err(|_| ChatError::MessageNotFound)?;
        let conversation = self.named_conversation(me, ConversationTarget::Named(conversation)).await?;
        let (me, links) = (me.user.pk, self.links.clone());
        let view = self
            .store
            .read::<_, StoreError, _>(move |store| {
                let found = store.chat_message(id)?;
                let found = found.filter(|found| found.conversation == conversation.id && found.sender == me);
                message_views(store, &conversation, found.into_iter().collect(), &links)
            })
            .await?
            .pop();
        let view = view.ok_or(ChatError::MessageNotFound)?;
        if view.message.attachment_url.is_none() {
            return Err(ChatError::invalid("message.id", "must be the message of an upload"));
        }
        self.uploads.lock().announce(id, self.now());
        self.changed.notify_one();
        Ok(())
    }

    async fn named_conversation(
        &self,
        me: &SignedIn,
        target: ConversationTarget,
    ) -> Result<Conversation, ChatError> {
        let (user, staff) = (me.user.clone(), self.directory_rules());
        self.store.read(move |store| conversation_of(store, &staff, &user, &target)).await
    }

    /// Holds an uploaded message back from the uploader's own sockets, unless it was announced.
    pub fn hold_upload(&self, view: &MessageView) {
        if self.uploads.lock().hold(view, self.now()) {
            self.changed.notify_one();
        }
    }

    /// The uploader whose own sockets do not get this message yet.
    #[must_use]
    pub fn upload_holder(&self, view: &MessageView) -> Option<UserPk> {
        view.message.attachment_url.as_ref()?;
        self.uploads.lock().holder(view.message.id)
    }

    /// The uploaded messages that the uploaders' own sockets get now.
    #[must_use]
    pub fn due_uploads(&self) -> Vec<MessageView> {
        self.uploads.lock().take_due(self.now())
    }

    /// Removes a deleted message from the pending uploads.
    pub fn drop_upload(&self, message: ChatMessageId) {
        self.uploads.lock().remove(message);
    }
}
