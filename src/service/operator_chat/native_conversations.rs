//! Conversations of all kinds for the native REST API: list, show, and open a direct one.

use super::OperatorChat;
use super::conversations::join_or_create;
use super::error::ChatError;
use super::inbox_caller::InboxCaller;
use super::inbox_list::{InboxConversation, inbox_conversation, visible_devices};
use super::views::message_views;
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::domain::operator_chat::assignment::{ConversationState, InboxFilter};
use crate::domain::operator_chat::conversation::{Conversation, ConversationKind, UserPair};
use crate::domain::operator_chat::ids::{ConversationId, UserPk};
use crate::domain::operator_chat::message::MessageView;
use crate::domain::operator_chat::room::{RoomRole, SMALL_ROOM_MEMBERS};
use crate::domain::operator_chat::user::ChatUser;
use crate::service::media::links::LinkBase;
use crate::store::{Reader, StoreError};

/// Conversations that one search examines, so that its cost does not depend on how many there are.
const MAX_SEARCHED: usize = 500;

/// A conversation of any kind, as a caller of the native API sees it.
#[derive(Debug, Clone)]
pub enum NativeConversation {
    /// One chat of a device.
    Device(Box<InboxConversation>),
    /// A direct conversation or a room.
    OfUsers(Box<UserConversation>),
}

/// A direct conversation or a room.
#[derive(Debug, Clone)]
pub struct UserConversation {
    /// The id.
    pub id: ConversationId,
    /// The fields of a room.
    pub room: Option<RoomSummary>,
    /// The members without the calling user; of a room at most 50.
    pub participants: Vec<ChatUser>,
    /// Messages that the calling user has not read; none for an API key.
    pub unread: Option<i64>,
    /// The newest message.
    pub last_message: Option<MessageView>,
    /// When it was created.
    pub created_at: Millis,
}

/// The fields of a room.
#[derive(Debug, Clone)]
pub struct RoomSummary {
    /// The title.
    pub title: Option<String>,
    /// The number of members.
    pub members: usize,
    /// The role of the calling user; none for an API key.
    pub role: Option<RoomRole>,
}

/// A kind of conversations to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListedKind {
    /// Of two users.
    Direct,
    /// Of many users.
    Room,
    /// Chats of devices.
    Device,
}

/// The place of a conversation in a list: its newest message, or 0 without messages, and its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListPosition {
    /// The newest message.
    pub newest: i64,
    /// The conversation.
    pub id: i64,
}

/// A page of conversations, as requested.
#[derive(Debug, Clone)]
pub struct ConversationListRequest {
    /// Only those of this device.
    pub device: Option<DeviceId>,
    /// Only that of this chat of the device.
    pub chat: Option<Jid>,
    /// Only those in this state.
    pub state: Option<ConversationState>,
    /// Only those of this user, or without an assignee.
    pub assignee: Option<Option<String>>,
    /// Only those of this kind.
    pub kind: Option<ListedKind>,
    /// Only those with this text in their title or in the name of a participant, in any letter case.
    pub search: Option<String>,
    /// The most conversations.
    pub limit: usize,
    /// Only conversations after this one in the order of the list.
    pub before: Option<ListPosition>,
}

/// A page of conversations, those with the newest messages first.
#[derive(Debug, Clone)]
pub struct ConversationPage {
    /// The conversations.
    pub conversations: Vec<NativeConversation>,
    /// Where the next page begins; none at the end.
    pub next: Option<ListPosition>,
}

impl OperatorChat {
    /// A conversation that the caller may see.
    ///
    /// # Errors
    /// When the caller has no such conversation, or the store fails.
    pub async fn native_conversation(
        &self,
        caller: InboxCaller,
        id: String,
    ) -> Result<NativeConversation, ChatError> {
        let (staff, links) = (self.directory_rules(), self.links.clone());
        self.store
            .read(move |store| {
                let conversation = caller.conversation(store, &staff, &id)?;
                native_conversation(store, &caller, &conversation, &links)
            })
            .await
    }

    /// The conversations that the caller may see. A search ends after the newest 500; its page may be shorter then, and
    /// the next one continues.
    ///
    /// # Errors
    /// When there is no such assignee, or the store fails.
    pub async fn conversation_page(
        &self,
        caller: InboxCaller,
        request: ConversationListRequest,
    ) -> Result<ConversationPage, ChatError> {
        let (links, tenants) = (self.links.clone(), self.tenants());
        self.store
            .read(move |store| {
                let examined = if request.search.is_some() { MAX_SEARCHED } else { request.limit };
                let mut positions = positions(store, &caller, &request, &tenants, examined + 1)?;
                let mut has_more = positions.len() > examined;
                positions.truncate(examined);
                let (mut conversations, mut next) = (Vec::new(), None);
                for position in positions {
                    if conversations.len() == request.limit {
                        has_more = true;
                        break;
                    }
                    next = Some(position);
                    let Some(found) = store.conversation(ConversationId(position.id))? else { continue };
                    if request.is_match(store, &found)? {
                        conversations.push(native_conversation(store, &caller, &found, &links)?);
                    }
                }
                Ok(ConversationPage { conversations, next: next.filter(|_| has_more) })
            })
            .await
    }

    /// The direct conversation of the calling user with another one, or of two users for an API key, and whether it was
    /// created by this call.
    ///
    /// # Errors
    /// When a participant does not exist for the caller, or the store fails.
    pub async fn open_direct(
        &self,
        caller: InboxCaller,
        participants: Vec<String>,
    ) -> Result<(NativeConversation, bool), ChatError> {
        caller.require_all_devices()?;
        let (staff, links, tenants) = (self.directory_rules(), self.links.clone(), self.tenants());
        let (now, limit) = (self.now(), self.limits.max_conversations);
        self.store
            .write(move |tx| {
                let (me, peer) = match (&caller, participants.as_slice()) {
                    (InboxCaller::User(me), [peer]) => ((**me).clone(), peer.clone()),
                    (InboxCaller::User(_), _) => {
                        return Err(ChatError::invalid(
                            "participants",
                            "must name the other user of a direct conversation",
                        ));
                    }
                    (InboxCaller::Key(_), [first, second]) => {
                        let names: Vec<&str> = tenants.iter().map(String::as_str).collect();
                        let named = |id: &str| match caller.named_user(tx, &names, id) {
                            Err(ChatError::UserNotFound) => Err(ChatError::ParticipantNotFound),
                            found => found,
                        };
                        let (first, second) = (named(first)?, named(second)?);
                        if first.tenant != second.tenant {
                            return Err(ChatError::invalid("participants", "must be users of one identity"));
                        }
                        (first, second.id.to_string())
                    }
                    (InboxCaller::Key(_), _) => {
                        return Err(ChatError::invalid(
                            "participants",
                            "must name both users of a direct conversation",
                        ));
                    }
                };
                let known = direct_conversation_with(tx, &me, &peer)?;
                let is_new = known.is_none();
                let opened = match known {
                    Some(known) => known,
                    None => match join_or_create(tx, &staff, &me, &peer, limit, now) {
                        Err(ChatError::UserNotFound) => return Err(ChatError::ParticipantNotFound),
                        created => created?.0,
                    },
                };
                Ok((native_conversation(tx, &caller, &opened, &links)?, is_new))
            })
            .await
    }
}

impl ConversationListRequest {
    /// Whether a filter is for conversations of devices only.
    fn is_of_devices(&self) -> bool {
        self.device.is_some() || self.chat.is_some() || self.state.is_some() || self.assignee.is_some()
    }

    fn lists(&self, kind: ListedKind) -> bool {
        let is_possible = kind == ListedKind::Device || !self.is_of_devices();
        is_possible && self.kind.is_none_or(|only| only == kind)
    }

    fn is_match(&self, store: &Reader<'_>, conversation: &Conversation) -> Result<bool, StoreError> {
        let kind = match conversation.kind {
            ConversationKind::Direct(_) => ListedKind::Direct,
            ConversationKind::Room(_) => ListedKind::Room,
            ConversationKind::Device(_) => ListedKind::Device,
        };
        if !self.lists(kind) {
            return Ok(false);
        }
        let Some(search) = &self.search else { return Ok(true) };
        let search = search.to_lowercase();
        let contains = |text: &str| text.to_lowercase().contains(&search);
        if conversation.room().and_then(|room| room.title.as_deref()).is_some_and(contains) {
            return Ok(true);
        }
        for user in conversation.members().into_iter().take(SMALL_ROOM_MEMBERS) {
            let user = store.chat_user_by_pk(user)?;
            if user.is_some_and(|user| contains(user.display_name()) || contains(user.bare_id())) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The direct conversation with a user of the tenant, if there is one.
fn direct_conversation_with(
    store: &Reader<'_>,
    me: &ChatUser,
    peer: &str,
) -> Result<Option<Conversation>, StoreError> {
    let Ok(id) = peer.parse() else { return Ok(None) };
    let Some(peer) = store.chat_user(&me.tenant, &id)? else { return Ok(None) };
    UserPair::new(me.pk, peer.pk).map_or(Ok(None), |pair| store.direct_conversation(pair))
}

/// The first conversations of the kinds that a request lists, after the page before.
fn positions(
    store: &Reader<'_>,
    caller: &InboxCaller,
    request: &ConversationListRequest,
    tenants: &[String],
    count: usize,
) -> Result<Vec<ListPosition>, ChatError> {
    let before = request.before.map_or((i64::MAX, i64::MAX), |last| (last.newest, last.id));
    let mut found = Vec::new();
    if request.lists(ListedKind::Device) {
        let tenants: Vec<&str> = tenants.iter().map(String::as_str).collect();
        let assignee = match &request.assignee {
            None => None,
            Some(None) => Some(None),
            Some(Some(user)) => Some(Some(caller.named_user(store, &tenants, user)?.pk)),
        };
        let filter = InboxFilter { state: request.state, assignee };
        for device in visible_devices(store, caller, request.device.as_ref())? {
            let Some(chat) = &request.chat else {
                found.extend(store.inbox_page(&device, filter, before, count)?);
                continue;
            };
            let chat = store.canonical_id(&device, chat)?;
            let bound = store.device_conversation(&device, &chat)?.map(|bound| bound.id);
            if let Some(id) = bound.filter(|id| before.1 > id.0) {
                found.push((0, id));
            }
        }
    }
    if request.lists(ListedKind::Direct) || request.lists(ListedKind::Room) {
        match caller {
            InboxCaller::User(me) => found.extend(store.conversation_positions_of(me.pk, before, count)?),
            InboxCaller::Key(None) => found.extend(store.positions_of_users(before, count)?),
            InboxCaller::Key(Some(_)) => {}
        }
    }
    let mut found: Vec<_> = found.into_iter().map(|(newest, id)| ListPosition { newest, id: id.0 }).collect();
    found.sort_by_key(|position| std::cmp::Reverse(*position));
    found.truncate(count);
    Ok(found)
}

/// A conversation as the caller sees it.
pub(super) fn native_conversation(
    store: &Reader<'_>,
    caller: &InboxCaller,
    conversation: &Conversation,
    links: &LinkBase,
) -> Result<NativeConversation, ChatError> {
    let me = caller.user_pk();
    let room = match &conversation.kind {
        ConversationKind::Device(_) => {
            let found = inbox_conversation(store, conversation, links)?;
            return Ok(NativeConversation::Device(Box::new(found)));
        }
        ConversationKind::Direct(_) => None,
        ConversationKind::Room(room) => Some(RoomSummary {
            title: room.title.clone(),
            members: room.members().len(),
            role: me.and_then(|me| room.role_of(me)),
        }),
    };
    let mut participants = Vec::new();
    for user in conversation.members().into_iter().take(SMALL_ROOM_MEMBERS) {
        participants.extend(store.chat_user_by_pk(user)?.filter(|user| Some(user.pk) != me));
    }
    let newest: Vec<_> = store.newest_chat_message(conversation.id)?.into_iter().collect();
    let unread = |me: UserPk| match room.is_some() {
        true => store.unread_in_room(conversation.id, me),
        false => store.unread_in_conversation(conversation.id, me),
    };
    let unread = me.map_or(Ok(None), |me| unread(me).map(Some))?;
    Ok(NativeConversation::OfUsers(Box::new(UserConversation {
        id: conversation.id,
        room,
        participants,
        unread,
        last_message: message_views(store, conversation, newest, links)?.pop(),
        created_at: conversation.created_at,
    })))
}
