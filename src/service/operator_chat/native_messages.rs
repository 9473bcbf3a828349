//! Messages for the native REST API: pages, and sending and reading on behalf of a user by an API key.

use super::OperatorChat;
use super::error::ChatError;
use super::inbox_caller::InboxCaller;
use super::views::message_views;
use crate::domain::operator_chat::conversation::ConversationTarget;
use crate::domain::operator_chat::message::{MessageDraft, MessageView, SentMessage};
use crate::domain::operator_chat::user::ChatUser;
use crate::domain::operator_chat::visibility::sees_conversation;

/// A page of messages, newest first.
#[derive(Debug, Clone)]
pub struct NativeMessagePage {
    /// The messages.
    pub messages: Vec<MessageView>,
    /// The `before` of the next page; none at the end.
    pub next: Option<i64>,
}

impl OperatorChat {
    /// A page of the messages of a conversation. The fetch of a user counts as delivery.
    ///
    /// # Errors
    /// When the caller may not see the conversation, or the store fails.
    pub async fn message_page(
        &self,
        caller: &InboxCaller,
        conversation: String,
        limit: usize,
        before: i64,
    ) -> Result<NativeMessagePage, ChatError> {
        let (reader, staff, links) = (caller.clone(), self.directory_rules(), self.links.clone());
        let page = self
            .store
            .read(move |store| {
                let found = reader.conversation(store, &staff, &conversation)?;
                let mut messages = store.chat_messages_before(found.id, before, limit + 1, 0)?;
                let has_more = messages.len() > limit;
                messages.truncate(limit);
                let next = messages.last().map(|last| last.id.0).filter(|_| has_more);
                let messages = message_views(store, &found, messages, &links)?;
                Ok::<_, ChatError>(NativeMessagePage { messages, next })
            })
            .await?;
        if let Some(user) = caller.user_pk() {
            self.fetched(user, &page.messages);
        }
        Ok(page)
    }

    /// Sends a message as the user of the token, or for an API key as the user that it names.
    ///
    /// # Errors
    /// When the key names no user of the conversation, a field is invalid, or the user sends too much.
    pub async fn send_for(
        &self,
        caller: InboxCaller,
        conversation: String,
        sender: Option<String>,
        draft: MessageDraft,
    ) -> Result<SentMessage, ChatError> {
        let user = self.acting_user(caller, &conversation, sender, "senderId").await?;
        self.send(&user, ConversationTarget::Named(conversation), draft, None).await
    }

    /// Marks these messages read, or all, as the user of the token, or for an API key as the user that it names.
    /// Returns how many were unread.
    ///
    /// # Errors
    /// When the key names no user of the conversation, a message is not in it, or the store fails.
    pub async fn mark_read_for(
        &self,
        caller: InboxCaller,
        conversation: String,
        reader: Option<String>,
        messages: Option<Vec<String>>,
    ) -> Result<i64, ChatError> {
        let user = self.acting_user(caller, &conversation, reader, "userId").await?;
        self.mark_read(&user, ConversationTarget::Named(conversation), messages).await
    }

    /// The user of the token; for an API key the user that it names, who must see the conversation.
    async fn acting_user(
        &self,
        caller: InboxCaller,
        conversation: &str,
        named: Option<String>,
        field: &'static str,
    ) -> Result<ChatUser, ChatError> {
        let named = match (caller.user(), named) {
            (Some(user), None) => return Ok(user.clone()),
            (Some(_), Some(_)) => {
                return Err(ChatError::invalid(field, "is for API keys; a token acts as its own user"));
            }
            (None, None) => {
                return Err(ChatError::invalid(field, "is required with an API key: `<identity>:<user id>`"));
            }
            (None, Some(named)) => named,
        };
        let (staff, tenants, conversation) =
            (self.directory_rules(), self.tenants(), conversation.to_owned());
        self.store
            .read(move |store| {
                let tenants: Vec<&str> = tenants.iter().map(String::as_str).collect();
                let found = caller.conversation(store, &staff, &conversation)?;
                let user = caller.named_user(store, &tenants, &named)?;
                sees_conversation(&user, &found).then_some(user).ok_or(ChatError::UserNotFound)
            })
            .await
    }
}
