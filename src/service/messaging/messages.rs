//! Reads messages: one message, a page of a chat, and search results.
//!
//! A page is in time order and has cursors for its neighbours.

use crate::domain::ids::{DeviceId, MessageId};
use crate::domain::jid::Jid;
use crate::domain::message::{Message, TrackedMessage};
use crate::domain::queries::SearchResult;
use crate::service::error::require_device;
use crate::service::{Messaging, SearchQuery, ServiceError};
use crate::store::Reader;
use crate::store::messages::PageFrom;

/// A requested page of a chat. Without a reference: the newest page.
#[derive(Debug, Clone)]
pub struct PageRequest {
    /// Maximum number of messages.
    pub limit: usize,
    /// The page ends before this message.
    pub before: Option<MessageId>,
    /// The page begins after this message.
    pub after: Option<MessageId>,
}

/// A page of a chat.
#[derive(Debug, Clone)]
pub struct MessagePage {
    /// Messages in time order.
    pub messages: Vec<Message>,
    /// Number of messages in the chat.
    pub total: i64,
    /// Whether there are more messages in the requested direction.
    pub has_more: bool,
    /// Whether the reference is a message of this chat; if not, the page is the newest.
    pub reference_found: bool,
    /// The reference for a page of newer messages, if there are any.
    pub newer: Option<MessageId>,
    /// The reference for a page of older messages, if there are any.
    pub older: Option<MessageId>,
}

impl Messaging {
    /// One message, with its receipts.
    ///
    /// # Errors
    /// When there is no such device or message, or the store fails.
    pub async fn message(&self, device: &DeviceId, id: &MessageId) -> Result<TrackedMessage, ServiceError> {
        let (of, id, links) = (device.clone(), id.clone(), self.media.link_base());
        self.store
            .read_of(device, move |store| {
                require_device(store, &of)?;
                let mut found = store.message(&of, &id)?.ok_or(ServiceError::MessageNotFound)?;
                links.attach_all(store, &of, [&mut found.message])?;
                Ok(found)
            })
            .await
    }

    /// A page of a chat.
    ///
    /// # Errors
    /// When there is no such device or chat, or the store fails.
    pub async fn chat_messages(
        &self,
        device: &DeviceId,
        chat: &Jid,
        page: PageRequest,
    ) -> Result<MessagePage, ServiceError> {
        let (of, chat, links) = (device.clone(), chat.clone(), self.media.link_base());
        self.store
            .read_of(device, move |store| {
                require_device(store, &of)?;
                let chat = store.canonical_id(&of, &chat)?;
                if !store.has_chat(&of, &chat)? {
                    return Err(ServiceError::ChatNotFound);
                }
                let mut page = read_page(store, &of, &chat, &page)?;
                links.attach_all(store, &of, page.messages.iter_mut())?;
                Ok(page)
            })
            .await
    }

    /// Messages that contain all the words, newest first, and the total number without the limit. Searches of one
    /// device run one after another.
    ///
    /// # Errors
    /// When there is no such device, or the store fails.
    pub async fn search(
        &self,
        device: &DeviceId,
        mut query: SearchQuery,
    ) -> Result<SearchResult, ServiceError> {
        let (of, links) = (device.clone(), self.media.link_base());
        let live = self.registry.live(device)?;
        let _searching = live.searching.lock().await;
        self.store
            .read_of(device, move |store| {
                require_device(store, &of)?;
                store.canonicalize_ids(&of, &mut query.chat)?;
                let mut found = store.search(&of, &query)?;
                links.attach_all(store, &of, found.messages.iter_mut())?;
                Ok(found)
            })
            .await
    }
}

fn read_page(
    store: &Reader<'_>,
    device: &DeviceId,
    chat: &Jid,
    page: &PageRequest,
) -> Result<MessagePage, ServiceError> {
    let reference = page.before.as_ref().or(page.after.as_ref());
    let position = match reference {
        Some(id) => store.page_position(device, chat, id)?,
        None => None,
    };
    let from = match (position, page.before.is_some()) {
        (Some(position), true) => PageFrom::Before(position),
        (Some(position), false) => PageFrom::After(position),
        (None, _) => PageFrom::Newest,
    };
    // Read one more than the limit to find out whether there are more.
    let mut found = store.page(device, chat, from, page.limit + 1)?;
    let has_more = found.len() > page.limit;
    if has_more && matches!(from, PageFrom::After(_)) {
        found.pop();
    } else if has_more {
        found.remove(0);
    }
    // The reference is a message of the chat, and so lies beyond the other end of the page.
    let (is_before, is_after) = match from {
        PageFrom::Newest => (has_more, false),
        PageFrom::Before(_) => (has_more, true),
        PageFrom::After(_) => (true, has_more),
    };
    let older = found.first().filter(|_| is_before).map(|(_, message)| message.id.clone());
    let newer = found.last().filter(|_| is_after).map(|(_, message)| message.id.clone());
    Ok(MessagePage {
        total: store.message_count(device, chat)?,
        has_more,
        reference_found: position.is_some(),
        newer,
        older,
        messages: found.into_iter().map(|(_, message)| message).collect(),
    })
}
