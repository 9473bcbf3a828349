//! Pages of a conversation's messages by number, as the REST of the `namespace` dialect has them.
//!
//! Counting and searching end at a fixed number of messages, so that no request reads a whole conversation.

use super::OperatorChat;
use super::authentication::SignedIn;
use super::error::ChatError;
use super::views::{conversation_of, message_views};
use crate::domain::operator_chat::conversation::{Conversation, ConversationTarget};
use crate::domain::operator_chat::message::MessageView;
use crate::service::media::links::LinkBase;
use crate::store::{Reader, StoreError};

/// Messages beyond this number are not counted, and reached by `before` only.
const MAX_COUNTED: usize = 10_000;
/// The newest messages that a search reads.
const MAX_SEARCHED: usize = 2_000;
/// Messages that a search reads at once.
const SEARCH_STEP: usize = 200;

/// A page of messages, as requested.
#[derive(Debug, Clone)]
pub struct NumberedPageRequest {
    /// The conversation.
    pub conversation: String,
    /// The page; 1 is the newest.
    pub page: usize,
    /// The most messages.
    pub limit: usize,
    /// Only messages before this id.
    pub before: Option<i64>,
    /// Only messages that contain this text, in any letter case.
    pub search: Option<String>,
}

/// A page of messages in the order of time.
#[derive(Debug, Clone)]
pub struct NumberedPage {
    /// The messages.
    pub messages: Vec<MessageView>,
    /// The messages of all pages, at most 10,000.
    pub total: usize,
}

impl OperatorChat {
    /// A page of messages by its number. The fetch counts as delivery.
    ///
    /// # Errors
    /// When the caller may not see the conversation, the page is too far back, or the store fails.
    pub async fn numbered_page(
        &self,
        me: &SignedIn,
        request: NumberedPageRequest,
    ) -> Result<NumberedPage, ChatError> {
        if request.page.saturating_mul(request.limit) > MAX_COUNTED {
            let reason = format!("and limit reach at most {MAX_COUNTED} messages; use before");
            return Err(ChatError::invalid("page", reason));
        }
        let (user, staff, links) = (me.user.clone(), self.directory_rules(), self.links.clone());
        let page = self
            .store
            .read(move |store| {
                let target = ConversationTarget::Named(request.conversation.clone());
                let conversation = conversation_of(store, &staff, &user, &target)?;
                Ok::<_, ChatError>(read_page(store, &conversation, &request, &links)?)
            })
            .await?;
        self.fetched(me.user.pk, &page.messages);
        Ok(page)
    }
}

fn read_page(
    store: &Reader<'_>,
    conversation: &Conversation,
    request: &NumberedPageRequest,
    links: &LinkBase,
) -> Result<NumberedPage, StoreError> {
    let (skipped, before) = ((request.page - 1) * request.limit, request.before.unwrap_or(i64::MAX));
    let (mut messages, total) = match &request.search {
        Some(text) => {
            let found = search(store, conversation, &text.to_lowercase(), before, links)?;
            let total = found.len();
            (found.into_iter().skip(skipped).take(request.limit).collect(), total)
        }
        None => {
            let total = store.count_chat_messages_before(conversation.id, before, MAX_COUNTED)?;
            let page = store.chat_messages_before(conversation.id, before, request.limit, skipped)?;
            (message_views(store, conversation, page, links)?, total)
        }
    };
    messages.reverse();
    Ok(NumberedPage { messages, total })
}

/// The messages that contain a text in small letters, newest first.
fn search(
    store: &Reader<'_>,
    conversation: &Conversation,
    text: &str,
    mut before: i64,
    links: &LinkBase,
) -> Result<Vec<MessageView>, StoreError> {
    let mut found = Vec::new();
    for _ in 0..MAX_SEARCHED / SEARCH_STEP {
        let step = store.chat_messages_before(conversation.id, before, SEARCH_STEP, 0)?;
        let Some(oldest) = step.last() else { break };
        before = oldest.id.0;
        let views = message_views(store, conversation, step, links)?;
        found.extend(views.into_iter().filter(|view| view.message.content.to_lowercase().contains(text)));
    }
    Ok(found)
}
