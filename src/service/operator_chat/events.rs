//! Reads the chat log: entries with their subjects, ready to be encoded by a dialect.

use std::collections::HashMap;

use tokio::sync::watch;

use super::OperatorChat;
use super::error::ChatError;
use super::views::message_views;
use crate::domain::clock::Millis;
use crate::domain::operator_chat::event::{ChatEvent, ChatLogEntry, LoggedReceipts};
use crate::domain::operator_chat::ids::{ChatMessageId, ChatNotificationId, ConversationId, UserPk};
use crate::domain::operator_chat::message::MessageView;
use crate::domain::operator_chat::receipts::ReceiptLevel;
use crate::service::media::links::LinkBase;
use crate::store::chat_messages::AuthoredMessages;
use crate::store::{Reader, StoreError};

/// Entries that are read at once.
const PAGE: usize = 256;
/// The most messages that one event of receipts names; those are the newest.
const MAX_NAMED: usize = 1_000;

impl OperatorChat {
    /// Changes after each commit that appends to the log. A hint: the log is the truth.
    #[must_use]
    pub fn follow_events(&self) -> watch::Receiver<i64> {
        self.store.follow_chat()
    }

    /// The position of the newest entry.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn newest_event(&self) -> Result<i64, ChatError> {
        Ok(self.store.read::<_, StoreError, _>(|store| store.newest_chat_event()).await?)
    }

    /// A page of events after a position, each with its position, and the position of the last entry. Entries whose
    /// subject was deleted meanwhile, and those that `is_needed` refuses, have no event.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn events_after(
        &self,
        seq: i64,
        is_needed: impl Fn(&ChatLogEntry) -> bool + Send + 'static,
    ) -> Result<(Vec<(i64, ChatEvent)>, i64), ChatError> {
        let links = self.links.clone();
        let read = self.store.read::<_, StoreError, _>(move |store| {
            let entries = store.chat_events_after(seq, PAGE)?;
            let last = entries.last().map_or(seq, |(seq, ..)| *seq);
            let mut events = Vec::with_capacity(entries.len());
            for (seq, entry, at) in entries.into_iter().filter(|(_, entry, _)| is_needed(entry)) {
                events.extend(event_of(store, entry, at, &links)?.map(|event| (seq, event)));
            }
            Ok((events, last))
        });
        Ok(read.await?)
    }
}

pub(super) fn event_of(
    store: &Reader<'_>,
    entry: ChatLogEntry,
    at: Millis,
    links: &LinkBase,
) -> Result<Option<ChatEvent>, StoreError> {
    // The message has its conversation, which changes when two chats are merged.
    let view = |message| -> Result<Option<Box<MessageView>>, StoreError> {
        let Some(message) = store.chat_message(ChatMessageId(message))? else { return Ok(None) };
        let Some(conversation) = store.conversation(message.conversation)? else { return Ok(None) };
        Ok(message_views(store, &conversation, vec![message], links)?.pop().map(Box::new))
    };
    Ok(match entry {
        ChatLogEntry::Message { message, origin, .. } => {
            view(message)?.map(|view| ChatEvent::Message { view, origin })
        }
        ChatLogEntry::Uploaded { message, .. } => view(message)?.map(ChatEvent::Uploaded),
        ChatLogEntry::Updated { message, .. } => view(message)?.map(ChatEvent::Updated),
        ChatLogEntry::InboxAccess { device } => {
            let Ok(device) = device.parse() else { return Ok(None) };
            let ids = store.device_conversations(&device, usize::MAX)?;
            let found = ids.into_iter().filter_map(|id| store.conversation(id).transpose());
            Some(ChatEvent::InboxAccess(found.collect::<Result<_, _>>()?))
        }
        ChatLogEntry::Members { conversation, removed, .. } => Some(ChatEvent::MembersRemoved {
            conversation: ConversationId(conversation),
            users: removed.into_iter().map(UserPk).collect(),
        }),
        ChatLogEntry::RoomDeleted { conversation, members, .. } => Some(ChatEvent::MembersRemoved {
            conversation: ConversationId(conversation),
            users: members.into_iter().map(UserPk).collect(),
        }),
        // Sockets get the system message of a change of an inbox; no dialect has an event for the title of a room.
        ChatLogEntry::Created { .. }
        | ChatLogEntry::RoomUpdated { .. }
        | ChatLogEntry::FirstResponse { .. }
        | ChatLogEntry::Assigned { .. }
        | ChatLogEntry::Closed { .. }
        | ChatLogEntry::Opened { .. } => None,
        ChatLogEntry::Delivered(logged) => receipts(store, &logged, ReceiptLevel::Delivered, at)?,
        ChatLogEntry::Read(logged) => receipts(store, &logged, ReceiptLevel::Read, at)?,
        ChatLogEntry::Deleted { conversation, message } => Some(ChatEvent::Deleted {
            conversation: ConversationId(conversation),
            message: ChatMessageId(message),
        }),
        ChatLogEntry::Notification { user, notification } => {
            let user = UserPk(user);
            let found = store.chat_notification(user, ChatNotificationId(notification))?;
            found.map(|found| ChatEvent::Notification { user, notification: Box::new(found) })
        }
        ChatLogEntry::NotificationRead { user, notification, origin } => {
            let id = ChatNotificationId(notification);
            Some(ChatEvent::NotificationRead { user: UserPk(user), id, origin })
        }
        ChatLogEntry::NotificationsRead { user, origin } => {
            Some(ChatEvent::NotificationsRead { user: UserPk(user), origin })
        }
    })
}

/// The messages of members of a group. Those of colleagues have the receipts of the network only.
fn messages_of_contacts(
    store: &Reader<'_>,
    authored: &AuthoredMessages,
    limit: usize,
) -> Result<Vec<ChatMessageId>, StoreError> {
    let mut contacts: HashMap<UserPk, bool> = HashMap::new();
    let mut messages = Vec::new();
    for (author, message) in store.chat_message_authors(authored, limit)? {
        let is_contact = match contacts.get(&author) {
            Some(known) => *known,
            None => {
                let found = store.chat_user_by_pk(author)?;
                *contacts.entry(author).or_insert(found.is_some_and(|user| user.is_contact()))
            }
        };
        messages.extend(is_contact.then_some(message));
    }
    Ok(messages)
}

fn receipts(
    store: &Reader<'_>,
    logged: &LoggedReceipts,
    level: ReceiptLevel,
    at: Millis,
) -> Result<Option<ChatEvent>, StoreError> {
    let user = UserPk(logged.user);
    let conversation = store.conversation(ConversationId(logged.conversation))?;
    let (Some(conversation), Some(by)) = (conversation, store.chat_user_by_pk(user)?) else {
        return Ok(None);
    };
    if conversation.device_chat().is_some_and(|chat| chat.contact == user) {
        // The network's receipts name single messages.
        let messages = logged.ranges.iter().map(|(first, _)| ChatMessageId(*first)).collect();
        return Ok(Some(ChatEvent::Receipts { level, conversation, messages, by: Box::new(by), at }));
    }
    let Some(author) = conversation.received_by(user) else { return Ok(None) };
    let authored = |(first, last)| AuthoredMessages { conversation: conversation.id, author, first, last };
    if conversation.room().is_some_and(|room| !room.is_small()) {
        let mut messages = Vec::new();
        for range in logged.ranges.iter().rev() {
            let left = MAX_NAMED.saturating_sub(messages.len());
            messages.extend(store.chat_message_authors(&authored(*range), left)?);
        }
        let mut by_author: HashMap<UserPk, Vec<ChatMessageId>> = HashMap::new();
        for (author, message) in messages.into_iter().rev() {
            by_author.entry(author).or_default().push(message);
        }
        return Ok(Some(ChatEvent::RoomReceipts { level, conversation, by_author, by: Box::new(by), at }));
    }
    let is_group = conversation.device_chat().is_some_and(|chat| chat.chat.is_group());
    let mut messages = Vec::new();
    for range in logged.ranges.iter().rev() {
        let left = MAX_NAMED.saturating_sub(messages.len());
        let found = authored(*range);
        messages.extend(match is_group {
            true => messages_of_contacts(store, &found, left)?,
            false => store.chat_message_ids_from(&found, left)?,
        });
    }
    messages.sort();
    Ok(Some(ChatEvent::Receipts { level, conversation, messages, by: Box::new(by), at }))
}
