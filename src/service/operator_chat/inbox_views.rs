//! Reads messages of device conversations: their content is the device's message.

use std::collections::HashMap;

use crate::domain::ack::Status;
use crate::domain::content::ContactCard;
use crate::domain::media::StoredMedia;
use crate::domain::message::{Message, MessageType, Reaction, TrackedMessage};
use crate::domain::operator_chat::conversation::ConversationView;
use crate::domain::operator_chat::ids::{ConversationId, UserPk};
use crate::domain::operator_chat::inbox::{DeviceChat, rights_of};
use crate::domain::operator_chat::message::{
    ChatMessage, ChatMessageKind, InboxMessage, InboxMessageChanges, InboxReaction, MessageView,
};
use crate::domain::operator_chat::receipts::ReceiptLevel;
use crate::domain::operator_chat::user::ChatUser;
use crate::service::media::links::LinkBase;
use crate::store::chat_receipt_ranges::ReceiptOwner;
use crate::store::{Reader, StoreError};

/// Messages of a device conversation. Those whose device message was removed have no content.
pub(super) fn inbox_views(
    store: &Reader<'_>,
    conversation: ConversationId,
    chat: &DeviceChat,
    messages: Vec<ChatMessage>,
    links: &LinkBase,
) -> Result<Vec<MessageView>, StoreError> {
    let ids = || messages.iter().map(|message| message.id.0);
    let (Some(first), Some(last)) = (ids().min(), ids().max()) else { return Ok(Vec::new()) };
    let ranges = |level| {
        let owner = ReceiptOwner { conversation, user: chat.contact, level };
        store.receipt_ranges(&owner, first, last)
    };
    let (delivered, read) = (ranges(ReceiptLevel::Delivered)?, ranges(ReceiptLevel::Read)?);
    let mut users: HashMap<UserPk, ChatUser> = HashMap::new();
    let mut user = |pk: UserPk| -> Result<ChatUser, StoreError> {
        if let Some(known) = users.get(&pk) {
            return Ok(known.clone());
        }
        let found = store.chat_user_by_pk(pk)?.ok_or(StoreError::Unreadable("user of a conversation"))?;
        users.insert(pk, found.clone());
        Ok(found)
    };
    let contact = user(chat.contact)?;
    let mut views = Vec::with_capacity(messages.len());
    for mut message in messages {
        let author = user(message.sender)?;
        let is_contact = author.is_contact();
        let mut linked = store.linked_message(message.id)?;
        if let Some(linked) = &mut linked {
            links.attach_all(store, &chat.device, [&mut linked.message])?;
            show(&mut message, &linked.message);
        }
        views.push(MessageView {
            sender: author.clone(),
            recipient: (!is_contact).then(|| contact.clone()),
            delivered_at: delivered.at(message.id),
            read_at: read.at(message.id),
            room: None,
            inbox: Some(Box::new(InboxMessage {
                chat: chat.clone(),
                author,
                status: (!is_contact).then(|| linked.as_ref().map_or("sent", status_word)),
                changes: changes(message.kind, linked.as_ref().map(|linked| &linked.message)),
                file: linked.as_mut().and_then(|linked| stored_file(&mut linked.message)),
                failure: linked.and_then(|linked| linked.failure),
            })),
            message,
        });
    }
    Ok(views)
}

/// Device conversations that a user may see, as a list shows them.
pub(super) fn inbox_conversations(
    store: &Reader<'_>,
    me: &ChatUser,
    limit: usize,
    links: &LinkBase,
) -> Result<Vec<ConversationView>, StoreError> {
    let mut views = Vec::new();
    for device in store.granted_devices()? {
        if rights_of(&store.inbox_grants(&device)?, me).is_none() {
            continue;
        }
        for id in store.device_conversations(&device, limit)? {
            let Some(conversation) = store.conversation(id)? else { continue };
            let Some(chat) = conversation.device_chat() else { continue };
            let newest: Vec<_> = store.newest_chat_message(id)?.into_iter().collect();
            views.push(ConversationView {
                name: id.to_string(),
                title: None,
                participants: store.chat_user_by_pk(chat.contact)?.into_iter().collect(),
                last_message: inbox_views(store, id, chat, newest, links)?.pop(),
                unread: store.unread_of_device_conversation(id)?,
                created_at: Some(conversation.created_at),
            });
        }
    }
    Ok(views)
}

fn stored_file(message: &mut Message) -> Option<StoredMedia> {
    message.media.take().filter(|media| media.available).map(|media| media.file)
}

fn status_word(linked: &TrackedMessage) -> &'static str {
    match linked.status {
        Status::Queued | Status::Sending => "queued",
        Status::Sent => "sent",
        Status::Delivered => "delivered",
        Status::Read | Status::Played => "read",
        Status::Failed => "failed",
    }
}

fn show(message: &mut ChatMessage, of_device: &Message) {
    message.kind = match of_device.kind {
        MessageType::Image | MessageType::Sticker => ChatMessageKind::Image,
        MessageType::Audio | MessageType::Ptt => ChatMessageKind::Audio,
        _ if of_device.has_media => ChatMessageKind::File,
        _ => ChatMessageKind::Text,
    };
    message.content = text(of_device);
    let links = of_device.media.as_ref().and_then(|media| media.links.as_ref());
    message.attachment_url = links.map(|links| links.download.clone());
    message.attachment_name = of_device.media.as_ref().and_then(|media| media.filename.clone());
}

/// The changes of a message. One without a device's message was removed there, unless it is a note or a system message.
fn changes(kind: ChatMessageKind, of_device: Option<&Message>) -> InboxMessageChanges {
    let Some(message) = of_device else {
        let is_deleted = kind != ChatMessageKind::System;
        return InboxMessageChanges { is_deleted, ..InboxMessageChanges::default() };
    };
    let reaction = |reaction: &Reaction| InboxReaction {
        emoji: reaction.emoji.clone(),
        is_of_contact: !reaction.from_me,
    };
    InboxMessageChanges {
        is_edited: message.is_edited,
        is_deleted: message.kind == MessageType::Revoked,
        reactions: message.reactions.iter().map(reaction).collect(),
    }
}

fn text(message: &Message) -> String {
    if !message.body.is_empty() {
        return message.body.clone();
    }
    if let Some(location) = &message.location {
        let place = location.description.clone();
        return format!(
            "📍 {}",
            place.unwrap_or_else(|| format!("{}, {}", location.latitude, location.longitude))
        );
    }
    if !message.contacts.is_empty() {
        let names = message.contacts.iter().map(|card: &ContactCard| card.display_name.as_str());
        return format!("👤 {}", names.collect::<Vec<_>>().join(", "));
    }
    message.poll.as_ref().map_or_else(String::new, |poll| poll.name.clone())
}
