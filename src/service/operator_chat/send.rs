//! Sends a message: one transaction stores it with its log entries. A repeated `tempId` stores nothing.

use super::OperatorChat;
use super::attachment_url::{self, uploaded_file};
use super::conversations::join_or_create;
use super::error::ChatError;
use super::receipts::mark_all;
use super::send_dedup::sent_before;
use super::slash_commands::{RanCommand, run_command};
use super::views::{conversation_of, message_views};
use crate::domain::clock::Millis;
use crate::domain::operator_chat::conversation::{Conversation, ConversationTarget};
use crate::domain::operator_chat::event::ChatLogEntry;
use crate::domain::operator_chat::file::ChatFile;
use crate::domain::operator_chat::ids::UserPk;
use crate::domain::operator_chat::message::{
    ChatMessage, CommandAnswer, MessageDraft, SendSource, SentMessage,
};
use crate::domain::operator_chat::send_rate::DAY_MS;
use crate::domain::operator_chat::user::ChatUser;
use crate::service::media::links::LinkBase;
use crate::store::{StoreError, Tx};

/// Rates that are held in memory. Beyond it those of users without a recent message are removed.
const MAX_RATES: usize = 10_000;

/// The result of the transaction of a send.
enum Stored {
    /// The message is stored.
    Sent(Box<SentMessage>),
    /// The answer to a slash command, which only its writer gets.
    Answered(Box<SentMessage>),
    /// The conversation is a device's, which sends the message.
    OfDevice(Conversation),
}

impl OperatorChat {
    /// Sends a message to a conversation, or to a user; then the conversation is created if there is none.
    /// `origin` is the number of the sending socket.
    ///
    /// # Errors
    /// When a field is invalid, the caller has no such conversation, or sends too much.
    pub async fn send(
        &self,
        me: &ChatUser,
        target: ConversationTarget,
        draft: MessageDraft,
        origin: Option<u64>,
    ) -> Result<SentMessage, ChatError> {
        self.check_draft(&draft)?;
        self.count_send(me.pk, self.now())?;
        self.store_send(me, target, draft, origin.map_or(SendSource::Rest, SendSource::Socket)).await
    }

    pub(super) fn check_draft(&self, draft: &MessageDraft) -> Result<(), ChatError> {
        draft
            .check(self.limits.content_max_chars)
            .map_err(|(field, message)| ChatError::Invalid { field, message })?;
        if let Some(url) = &draft.attachment_url {
            attachment_url::check(url, &self.public_url)
                .map_err(|message| ChatError::invalid("attachmentUrl", message))?;
        }
        Ok(())
    }

    /// Stores a checked draft, or gives it to the device.
    pub(super) async fn store_send(
        &self,
        me: &ChatUser,
        target: ConversationTarget,
        draft: MessageDraft,
        source: SendSource,
    ) -> Result<SentMessage, ChatError> {
        let (now, origin) = (self.now(), source.socket());
        let (me, staff, limit) = (me.clone(), self.directory_rules(), self.limits.max_conversations);
        let max_chars = self.limits.content_max_chars;
        let (user, links, to_device) = (me.clone(), self.links.clone(), draft.clone());
        let stored = self
            .store
            .write(move |tx| {
                let conversation = match &target {
                    ConversationTarget::Peer(peer) => match conversation_of(tx, &staff, &me, &target) {
                        Err(ChatError::ConversationNotFound) => {
                            join_or_create(tx, &staff, &me, peer, limit, now)?.0
                        }
                        known => known?,
                    },
                    ConversationTarget::Named(_) => conversation_of(tx, &staff, &me, &target)?,
                };
                if conversation.device_chat().is_some() {
                    let ran =
                        run_command(tx, &me, &conversation, (&draft, max_chars), (origin, now), &links)?;
                    return Ok(match ran {
                        Some(RanCommand::Stored(sent)) => Stored::Sent(Box::new(sent)),
                        Some(RanCommand::Answered(sent)) => Stored::Answered(Box::new(sent)),
                        None => Stored::OfDevice(conversation),
                    });
                }
                let known = sent_before(tx, me.pk, &conversation, &draft, now)?;
                let is_new = known.is_none();
                let message = match known {
                    Some(message) => message,
                    None => {
                        let (file, draft) = with_file(tx, &links, &draft)?;
                        store_message(tx, (me.pk, source), &conversation, (&draft, file.as_ref()), now)?
                    }
                };
                let view = message_views(tx, &conversation, vec![message], &links)?.pop();
                let view = view.ok_or(StoreError::Unreadable("message"))?;
                Ok::<_, ChatError>(Stored::Sent(Box::new(SentMessage { view, is_new })))
            })
            .await?;
        match stored {
            Stored::Sent(sent) => Ok(*sent),
            Stored::Answered(sent) => {
                if sent.is_new {
                    self.queue_answer(CommandAnswer { view: sent.view.clone(), user: user.pk, origin });
                }
                Ok(*sent)
            }
            Stored::OfDevice(conversation) => {
                self.send_to_device(&user, conversation, to_device, source).await
            }
        }
    }

    pub(super) fn count_send(&self, user: UserPk, now: Millis) -> Result<(), ChatError> {
        let mut rates = self.rates.lock();
        if rates.len() >= MAX_RATES && !rates.contains_key(&user) {
            rates.retain(|_, rate| !rate.is_over(now));
        }
        Ok(rates.entry(user).or_default().count(self.limits.send, now)?)
    }
}

/// The uploaded file that a draft refers to by its address, and the draft with the name of the file.
fn with_file(
    tx: &Tx<'_>,
    links: &LinkBase,
    draft: &MessageDraft,
) -> Result<(Option<ChatFile>, MessageDraft), ChatError> {
    let mut draft = draft.clone();
    let Some(uploaded) = uploaded_file(tx, links, &draft)? else { return Ok((None, draft)) };
    draft.attachment_name.get_or_insert(uploaded.filename);
    let file =
        ChatFile { id: uploaded.id, mimetype: uploaded.file.mimetype, filesize: uploaded.file.filesize };
    Ok((Some(file), draft))
}

/// A reply also reads what was there before it.
fn store_message(
    tx: &Tx<'_>,
    (me, source): (UserPk, SendSource),
    conversation: &Conversation,
    (draft, file): (&MessageDraft, Option<&ChatFile>),
    now: Millis,
) -> Result<ChatMessage, StoreError> {
    mark_all(tx, conversation, me, now)?;
    let previous = tx.newest_chat_message(conversation.id)?;
    let created_at = previous.map_or(now, |previous| previous.created_at.max(now));
    let message = tx.add_chat_message(conversation.id, me, draft, file, created_at)?;
    tx.set_last_chat_message(conversation, message.id, me)?;
    if let Some(temp_id) = &draft.temp_id {
        tx.record_temp_id(me, conversation.id, temp_id, (message.id, now), now.plus(-DAY_MS))?;
    }
    let entry = ChatLogEntry::sent(conversation.id, message.id, source);
    tx.append_chat_event(&entry, now)?;
    Ok(message)
}
