//! The chat log for programs: pages of the entries that a caller may see, and deliveries to webhooks.

use serde_json::value::RawValue;

use super::OperatorChat;
use super::error::ChatError;
use super::events::event_of;
use super::inbox_caller::InboxCaller;
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::operator_chat::conversation::{Conversation, ConversationKind};
use crate::domain::operator_chat::conversation_event::{ConversationChange, ConversationEvent};
use crate::domain::operator_chat::event::{ChatEvent, ChatLogEntry};
use crate::domain::operator_chat::ids::{ConversationId, UserPk};
use crate::domain::operator_chat::message::{ChatMessageKind, MessageView};
use crate::domain::operator_chat::room::{Room, RoomMember, RoomRole};
use crate::domain::operator_chat::user::{CONTACTS, ChatUser, DAEMON};
use crate::service::media::links::LinkBase;
use crate::store::{Reader, StoreError};

/// Entries that one request examines, so that its cost does not depend on the entries of others.
const MAX_EXAMINED: usize = 1_000;

/// The most users that one event of members names.
const MAX_NAMED_MEMBERS: usize = 100;

/// A page of the chat log.
#[derive(Debug, Clone)]
pub struct ConversationEventPage {
    /// The events that the caller may see, in order.
    pub events: Vec<ConversationEvent>,
    /// The last examined entry.
    pub next_after: i64,
    /// The oldest entry that is kept; 0 if there is none.
    pub oldest: i64,
    /// The newest entry; 0 if there is none.
    pub newest: i64,
}

impl ConversationEventPage {
    /// Whether entries after a position are no longer kept, or the position is beyond the end.
    #[must_use]
    pub fn needs_resync(&self, after: i64) -> bool {
        after > self.newest || (self.newest > 0 && after < self.oldest - 1)
    }
}

/// An event of a device's conversation for webhooks.
pub struct ConversationWebhookEvent {
    /// The position in the chat log.
    pub seq: i64,
    /// When it was stored.
    pub at: Millis,
    /// The device.
    pub device: DeviceId,
    /// The name.
    pub name: &'static str,
    /// The object.
    pub payload: Box<RawValue>,
}

impl OperatorChat {
    /// A page of the entries after a position that the caller may see; for `None` those of all conversations.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn conversation_events(
        &self,
        caller: Option<InboxCaller>,
        after: i64,
        limit: usize,
    ) -> Result<ConversationEventPage, ChatError> {
        let links = self.links.clone();
        let read = self.store.read::<_, StoreError, _>(move |store| {
            let (oldest, newest) = (store.oldest_chat_event()?, store.newest_chat_event()?);
            let (mut events, mut next_after) = (Vec::new(), after);
            for (seq, entry, at) in store.chat_events_after(after, MAX_EXAMINED)? {
                if events.len() == limit {
                    break;
                }
                next_after = seq;
                let Some(id) = entry.conversation() else { continue };
                let conversation = match deleted_room(&entry, at) {
                    Some(deleted) => Some(deleted),
                    None => store.conversation(id)?,
                };
                let Some(conversation) = conversation else { continue };
                if caller.as_ref().is_some_and(|caller| !caller.sees(&conversation)) {
                    continue;
                }
                let change = change_of(store, entry, at, &links)?;
                events.extend(change.map(|change| ConversationEvent { seq, at, conversation, change }));
            }
            Ok(ConversationEventPage { events, next_after, oldest, newest })
        });
        Ok(read.await?)
    }

    /// Whether an endpoint subscribes to events of operator chat.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn has_webhooks(&self) -> Result<bool, ChatError> {
        Ok(self.store.read::<_, StoreError, _>(|store| store.has_conversation_webhooks()).await?)
    }

    /// The entry of the chat log up to which webhooks got their deliveries.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn webhook_position(&self) -> Result<i64, ChatError> {
        Ok(self.store.read::<_, StoreError, _>(|store| store.conversation_webhook_position()).await?)
    }

    /// Queues events for the webhooks that subscribe to them, and records the position, in one transaction.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn queue_for_webhooks(
        &self,
        events: Vec<ConversationWebhookEvent>,
        position: i64,
    ) -> Result<(), ChatError> {
        let now = self.now();
        let write = self.store.write_patiently::<_, StoreError, _>(move |tx| {
            for ConversationWebhookEvent { seq, at, device, name, payload } in &events {
                tx.enqueue_conversation_deliveries((device, *seq), name, payload.get(), *at, now)?;
            }
            tx.set_conversation_webhook_position(position)
        });
        Ok(write.await?)
    }
}

fn change_of(
    store: &Reader<'_>,
    entry: ChatLogEntry,
    at: Millis,
    links: &LinkBase,
) -> Result<Option<ConversationChange>, StoreError> {
    let user = |pk: Option<i64>| -> Result<Option<ChatUser>, StoreError> {
        pk.map_or(Ok(None), |pk| store.chat_user_by_pk(UserPk(pk)))
    };
    match &entry {
        ChatLogEntry::Created { .. } => return Ok(Some(ConversationChange::Created)),
        ChatLogEntry::RoomUpdated { by, .. } => {
            return Ok(Some(ConversationChange::Updated(user(*by)?)));
        }
        ChatLogEntry::RoomDeleted { by, .. } => {
            return Ok(Some(ConversationChange::Deleted(user(*by)?)));
        }
        ChatLogEntry::Members { added, removed, by, .. } => {
            let users = |pks: &[i64]| -> Result<Vec<ChatUser>, StoreError> {
                let found = pks.iter().take(MAX_NAMED_MEMBERS).filter_map(|pk| user(Some(*pk)).transpose());
                found.collect()
            };
            let (added, removed) = (users(added)?, users(removed)?);
            return Ok(Some(ConversationChange::Members { added, removed, by: user(*by)? }));
        }
        ChatLogEntry::Assigned { assignee, by, .. } => {
            let (assignee, by) = (user(*assignee)?, user(*by)?);
            return Ok(Some(ConversationChange::Assigned { assignee, by }));
        }
        ChatLogEntry::Closed { by, .. } => return Ok(Some(ConversationChange::Closed(user(*by)?))),
        ChatLogEntry::Opened { by, .. } => return Ok(Some(ConversationChange::Opened(user(*by)?))),
        ChatLogEntry::FirstResponse { by, .. } => {
            return Ok(Some(ConversationChange::FirstResponse(user(Some(*by))?)));
        }
        _ => {}
    }
    Ok(event_of(store, entry, at, links)?.and_then(|event| match event {
        ChatEvent::Message { view, .. } | ChatEvent::Uploaded(view) => Some(match is_note(&view) {
            true => ConversationChange::Note(view),
            false => ConversationChange::Message(view),
        }),
        ChatEvent::Updated(view) => Some(ConversationChange::MessageUpdated(view)),
        ChatEvent::Deleted { message, .. } => Some(ConversationChange::MessageDeleted(message)),
        ChatEvent::Receipts { level, messages, by, .. } => {
            Some(ConversationChange::Receipts { level, user: *by, messages })
        }
        ChatEvent::RoomReceipts { level, by_author, by, .. } => {
            let mut messages: Vec<_> = by_author.into_values().flatten().collect();
            messages.sort();
            Some(ConversationChange::Receipts { level, user: *by, messages })
        }
        ChatEvent::InboxAccess(_)
        | ChatEvent::MembersRemoved { .. }
        | ChatEvent::Notification { .. }
        | ChatEvent::NotificationRead { .. }
        | ChatEvent::NotificationsRead { .. } => None,
    }))
}

/// The room of an entry that reports its deletion, as it was.
fn deleted_room(entry: &ChatLogEntry, at: Millis) -> Option<Conversation> {
    let ChatLogEntry::RoomDeleted { conversation, tenant, title, members, .. } = entry else { return None };
    let member = |user: &i64| RoomMember { user: UserPk(*user), role: RoomRole::Member };
    let room = Room::new(title.clone(), members.iter().map(member).collect());
    let kind = ConversationKind::Room(Box::new(room));
    Some(Conversation { id: ConversationId(*conversation), tenant: tenant.clone(), kind, created_at: at })
}

/// Whether a message is a note. System messages have the daemon as their author.
fn is_note(view: &MessageView) -> bool {
    let author = &view.sender;
    let is_of_daemon = author.tenant == CONTACTS && author.id.as_str() == DAEMON;
    view.inbox.is_some() && view.message.kind == ChatMessageKind::System && !is_of_daemon
}
