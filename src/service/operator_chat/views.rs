//! Reads users, conversations and messages as their members see them. Access is checked here.

use super::attachment_url::add_file_url;
use super::error::ChatError;
use super::inbox_views::inbox_views;
use super::room_views::room_message_views;
use crate::domain::operator_chat::conversation::{Conversation, ConversationTarget, UserPair, peer_in_name};
use crate::domain::operator_chat::ids::UserPk;
use crate::domain::operator_chat::inbox::rights_of;
use crate::domain::operator_chat::message::{ChatMessage, MessageView};
use crate::domain::operator_chat::receipts::{ReceiptLevel, ReceiptRanges};
use crate::domain::operator_chat::user::{CONTACTS, ChatUser};
use crate::domain::operator_chat::visibility::{DirectoryRules, UserAccess, sees_conversation};
use crate::service::media::links::LinkBase;
use crate::store::chat_receipt_ranges::ReceiptOwner;
use crate::store::{Reader, StoreError};

/// The user of the caller's tenant with this id, if the caller may access it.
pub(super) fn accessible_user(
    store: &Reader<'_>,
    staff: &DirectoryRules,
    me: &ChatUser,
    id: &str,
    access: UserAccess,
) -> Result<ChatUser, ChatError> {
    let id = id.parse().map_err(|_| ChatError::UserNotFound)?;
    if let Some(user) = store.chat_user(&me.tenant, &id)? {
        // A user who wrote to the caller is answered, whatever the directory says.
        let is_allowed = staff.allows(me, &user, access)
            || (access != UserAccess::List && direct(store, me.pk, user.pk)?.is_some());
        return is_allowed.then_some(user).ok_or(ChatError::UserNotFound);
    }
    let contact = store.chat_user(CONTACTS, &id)?.ok_or(ChatError::UserNotFound)?;
    // A member of a group may have no conversation of its own.
    let device = store.device_of_contact(contact.pk)?;
    let grants = device.map_or(Ok(Vec::new()), |device| store.inbox_grants(&device))?;
    rights_of(&grants, me).is_some().then_some(contact).ok_or(ChatError::UserNotFound)
}

fn contact_conversation(store: &Reader<'_>, contact: &ChatUser) -> Result<Option<Conversation>, StoreError> {
    store.conversation_with_contact(contact.pk)?.map_or(Ok(None), |id| store.conversation(id))
}

/// A conversation of the caller. The other user of a target by peer is looked up first.
pub(super) fn conversation_of(
    store: &Reader<'_>,
    staff: &DirectoryRules,
    me: &ChatUser,
    target: &ConversationTarget,
) -> Result<Conversation, ChatError> {
    let found = match target {
        ConversationTarget::Peer(peer) => {
            let peer = accessible_user(store, staff, me, peer, UserAccess::Write)?;
            match peer.tenant.as_str() {
                CONTACTS => contact_conversation(store, &peer)?,
                _ => direct(store, me.pk, peer.pk)?,
            }
        }
        ConversationTarget::Named(name) => match (name.parse(), peer_in_name(name, &me.id)) {
            (Ok(id), _) => store.conversation(id)?,
            (Err(_), Some(peer)) => match store.chat_user(&me.tenant, &peer)? {
                Some(peer) => direct(store, me.pk, peer.pk)?,
                None => match store.chat_user(CONTACTS, &peer)? {
                    Some(contact) => contact_conversation(store, &contact)?,
                    None => None,
                },
            },
            (Err(_), None) => None,
        },
    };
    found.filter(|found| sees_conversation(me, found)).ok_or(ChatError::ConversationNotFound)
}

fn direct(store: &Reader<'_>, me: UserPk, peer: UserPk) -> Result<Option<Conversation>, StoreError> {
    UserPair::new(me, peer).map_or(Ok(None), |pair| store.direct_conversation(pair))
}

/// Messages of one conversation with their authors and receipts.
pub(super) fn message_views(
    store: &Reader<'_>,
    conversation: &Conversation,
    messages: Vec<ChatMessage>,
    links: &LinkBase,
) -> Result<Vec<MessageView>, StoreError> {
    if let Some(chat) = conversation.device_chat() {
        return inbox_views(store, conversation.id, chat, messages, links);
    }
    if let Some(room) = conversation.room() {
        return room_message_views(store, conversation.id, room, messages, links);
    }
    let ids = || messages.iter().map(|message| message.id.0);
    let (Some(first), Some(last)) = (ids().min(), ids().max()) else { return Ok(Vec::new()) };
    let mut members = Vec::new();
    for user in conversation.members() {
        let ranges = |level| {
            let owner = ReceiptOwner { conversation: conversation.id, user, level };
            store.receipt_ranges(&owner, first, last)
        };
        let about = store.chat_user_by_pk(user)?.ok_or(StoreError::Unreadable("user of a conversation"))?;
        members.push(Member {
            delivered: ranges(ReceiptLevel::Delivered)?,
            read: ranges(ReceiptLevel::Read)?,
            user: about,
        });
    }
    let unreadable = StoreError::Unreadable("author of a message");
    let mut views = Vec::with_capacity(messages.len());
    for mut message in messages {
        add_file_url(store, links, &mut message)?;
        views.push(view(&members, message).ok_or_else(|| unreadable.clone())?);
    }
    Ok(views)
}

struct Member {
    user: ChatUser,
    delivered: ReceiptRanges,
    read: ReceiptRanges,
}

fn view(members: &[Member], message: ChatMessage) -> Option<MessageView> {
    let sender = members.iter().find(|member| member.user.pk == message.sender)?.user.clone();
    let recipient = members.iter().find(|member| member.user.pk != message.sender);
    Some(MessageView {
        sender,
        delivered_at: recipient.and_then(|member| member.delivered.at(message.id)),
        read_at: recipient.and_then(|member| member.read.at(message.id)),
        recipient: recipient.map(|member| member.user.clone()),
        message,
        inbox: None,
        room: None,
    })
}
