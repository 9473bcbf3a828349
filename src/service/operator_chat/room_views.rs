//! Rooms and their messages as members see them. The cost does not depend on the number of members beyond a small room.

use std::collections::HashMap;
use std::sync::Arc;

use super::attachment_url::add_file_url;
use crate::domain::clock::Millis;
use crate::domain::operator_chat::conversation::ConversationView;
use crate::domain::operator_chat::ids::{ChatMessageId, ConversationId, UserPk};
use crate::domain::operator_chat::message::{ChatMessage, MessageView, RoomMessage};
use crate::domain::operator_chat::receipts::{ReceiptLevel, ReceiptRanges};
use crate::domain::operator_chat::room::{Room, RoomMember, SMALL_ROOM_MEMBERS};
use crate::domain::operator_chat::user::ChatUser;
use crate::service::media::links::LinkBase;
use crate::store::chat_receipt_ranges::ReceiptOwner;
use crate::store::rooms::ListedRoom;
use crate::store::{Reader, StoreError};

/// The receipts of one member of a small room.
struct MemberReceipts {
    user: ChatUser,
    delivered: ReceiptRanges,
    read: ReceiptRanges,
    /// The member has no receipts for earlier messages: it read them, or was no member then.
    after: ChatMessageId,
}

/// The rooms of a user, those with the newest messages first.
pub(super) fn room_views(
    store: &Reader<'_>,
    me: &ChatUser,
    limit: usize,
    links: &LinkBase,
) -> Result<Vec<ConversationView>, StoreError> {
    let rooms = store.rooms_of(me.pk, limit)?;
    rooms.into_iter().map(|room| room_view(store, room, me.pk, links)).collect()
}

/// A room as one of its members sees it. The newest message has no receipts.
pub(super) fn room_view(
    store: &Reader<'_>,
    room: ListedRoom,
    me: UserPk,
    links: &LinkBase,
) -> Result<ConversationView, StoreError> {
    let members = store.named_room_members(room.id, UserPk(0), SMALL_ROOM_MEMBERS)?;
    let newest: Vec<_> = store.newest_chat_message(room.id)?.into_iter().collect();
    let last_message = authored_views(store, &Arc::from([]), newest, links)?.pop();
    Ok(ConversationView {
        name: room.id.to_string(),
        title: room.title,
        participants: members.into_iter().map(|member| member.user).filter(|user| user.pk != me).collect(),
        last_message,
        unread: store.unread_in_room(room.id, me)?,
        created_at: Some(room.created_at),
    })
}

/// Messages of a room with their authors, and in a small room with the receipts of its members.
pub(super) fn room_message_views(
    store: &Reader<'_>,
    id: ConversationId,
    room: &Room,
    messages: Vec<ChatMessage>,
    links: &LinkBase,
) -> Result<Vec<MessageView>, StoreError> {
    let members = room.members();
    let ids = || messages.iter().map(|message| message.id.0);
    let (Some(first), Some(last)) = (ids().min(), ids().max()) else { return Ok(Vec::new()) };
    let receipts = match room.is_small() {
        true => member_receipts(store, id, members, first, last)?,
        false => Vec::new(),
    };
    let mut views = authored_views(store, members, messages, links)?;
    for view in views.iter_mut().filter(|_| room.is_small()) {
        add_receipts(view, &receipts);
    }
    Ok(views)
}

fn authored_views(
    store: &Reader<'_>,
    members: &Arc<[RoomMember]>,
    messages: Vec<ChatMessage>,
    links: &LinkBase,
) -> Result<Vec<MessageView>, StoreError> {
    let mut authors: HashMap<UserPk, ChatUser> = HashMap::new();
    let mut views = Vec::with_capacity(messages.len());
    for mut message in messages {
        add_file_url(store, links, &mut message)?;
        let sender = match authors.get(&message.sender) {
            Some(known) => known.clone(),
            None => {
                let found = store.chat_user_by_pk(message.sender)?;
                let found = found.ok_or(StoreError::Unreadable("author of a message"))?;
                authors.entry(message.sender).or_insert(found).clone()
            }
        };
        views.push(MessageView {
            message,
            sender,
            recipient: None,
            delivered_at: None,
            read_at: None,
            inbox: None,
            room: Some(Box::new(RoomMessage { members: members.clone(), readers: Vec::new() })),
        });
    }
    Ok(views)
}

fn member_receipts(
    store: &Reader<'_>,
    conversation: ConversationId,
    members: &[RoomMember],
    first: i64,
    last: i64,
) -> Result<Vec<MemberReceipts>, StoreError> {
    let mut receipts = Vec::with_capacity(members.len());
    for user in members.iter().map(|member| member.user) {
        let owner = |level| ReceiptOwner { conversation, user, level };
        let about = store.chat_user_by_pk(user)?.ok_or(StoreError::Unreadable("member of a room"))?;
        receipts.push(MemberReceipts {
            user: about,
            delivered: store.receipt_ranges(&owner(ReceiptLevel::Delivered), first, last)?,
            read: store.receipt_ranges(&owner(ReceiptLevel::Read), first, last)?,
            after: ChatMessageId(store.receipts_through(&owner(ReceiptLevel::Read))?),
        });
    }
    Ok(receipts)
}

/// A message is read when every member has read it who was a member when it was sent.
fn add_receipts(view: &mut MessageView, receipts: &[MemberReceipts]) {
    let (id, sender) = (view.message.id, view.message.sender);
    let (mut readers, mut delivered, mut read) = (Vec::new(), Vec::new(), Vec::new());
    for member in receipts.iter().filter(|member| member.user.pk != sender) {
        let read_at = member.read.at(id);
        readers.extend(read_at.map(|at| (member.user.clone(), at)));
        if read_at.is_some() || member.after < id {
            read.push(read_at);
            delivered.push(member.delivered.at(id));
        }
    }
    let latest = |times: Vec<Option<Millis>>| {
        times.into_iter().collect::<Option<Vec<Millis>>>().and_then(|times| times.into_iter().max())
    };
    readers.sort_by_key(|(_, at)| *at);
    (view.delivered_at, view.read_at) = (latest(delivered), latest(read));
    if let Some(room) = &mut view.room {
        room.readers = readers;
    }
}
