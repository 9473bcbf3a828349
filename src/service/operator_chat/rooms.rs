//! Rooms: create, change and delete them, and add and remove members. A removed member gets nothing from the commit on.

use std::collections::HashSet;
use std::sync::Arc;

use super::OperatorChat;
use super::authentication::SignedIn;
use super::conversations::conversation_view;
use super::error::ChatError;
use super::inbox_caller::InboxCaller;
use super::native_conversations::{NativeConversation, native_conversation};
use super::views::accessible_user;
use crate::domain::clock::Millis;
use crate::domain::operator_chat::conversation::{Conversation, ConversationKind, ConversationView};
use crate::domain::operator_chat::event::ChatLogEntry;
use crate::domain::operator_chat::ids::{ConversationId, UserPk};
use crate::domain::operator_chat::room::{NamedMember, Room, RoomMember, RoomRole, RoomTitle};
use crate::domain::operator_chat::user::{CONTACTS, ChatUser};
use crate::domain::operator_chat::visibility::{DirectoryRules, UserAccess};
use crate::service::media::links::LinkBase;
use crate::store::{Reader, StoreError, Tx};

/// Rows of a deleted room that one transaction deletes.
const PURGE_BATCH: usize = 500;

/// A room to create.
#[derive(Debug, Clone)]
pub struct NewRoom {
    /// The members. A user who creates the room is its owner in addition; for an API key the first one is.
    pub participants: Vec<String>,
    /// The title.
    pub title: Option<RoomTitle>,
}

/// A page of the members of a room.
#[derive(Debug, Clone)]
pub struct RoomMemberPage {
    /// The members, in the order of their first sign-in.
    pub members: Vec<NamedMember>,
    /// The position after which the next page begins.
    pub next: Option<i64>,
}

/// What the transactions of rooms need besides the caller.
struct RoomRules {
    staff: DirectoryRules,
    tenants: Vec<String>,
    max_members: usize,
    max_conversations: usize,
}

impl OperatorChat {
    /// Creates a room.
    ///
    /// # Errors
    /// When a participant does not exist for the caller, there are too many, or the store fails.
    pub async fn create_room(
        &self,
        caller: InboxCaller,
        new: NewRoom,
    ) -> Result<NativeConversation, ChatError> {
        caller.require_all_devices()?;
        let (rules, links, now) = (self.room_rules(), self.links.clone(), self.now());
        self.store
            .write(move |tx| {
                let created = create(tx, &rules, &caller, &new, now)?;
                native_conversation(tx, &caller, &created, &links)
            })
            .await
    }

    /// As [`OperatorChat::create_room`], as the dialects see the room.
    ///
    /// # Errors
    /// When a participant does not exist for the caller, there are too many, or the store fails.
    pub async fn open_room(&self, me: &SignedIn, new: NewRoom) -> Result<ConversationView, ChatError> {
        let (rules, links, now) = (self.room_rules(), self.links.clone(), self.now());
        let me = me.user.clone();
        self.store
            .write(move |tx| {
                let caller = InboxCaller::User(Box::new(me.clone()));
                let created = create(tx, &rules, &caller, &new, now)?;
                Ok(conversation_view(tx, &created, &me, &links)?)
            })
            .await
    }

    /// Replaces the title of a room.
    ///
    /// # Errors
    /// When the caller may not change such a room, or the store fails.
    pub async fn rename_room(
        &self,
        caller: InboxCaller,
        id: String,
        title: Option<RoomTitle>,
    ) -> Result<NativeConversation, ChatError> {
        let (staff, links, now) = (self.directory_rules(), self.links.clone(), self.now());
        self.store
            .write(move |tx| {
                let conversation = caller.conversation(tx, &staff, &id)?;
                let room = managed_room(&caller, &conversation)?;
                let title = title.as_ref().map(RoomTitle::as_str);
                if room.title.as_deref() != title {
                    tx.set_room_title(conversation.id, title)?;
                    let by = caller.user_pk().map(|user| user.0);
                    let entry = ChatLogEntry::RoomUpdated { conversation: conversation.id.0, by };
                    tx.append_chat_event(&entry, now)?;
                }
                changed_room(tx, &caller, conversation.id, &links)
            })
            .await
    }

    /// Deletes a room for all its members.
    ///
    /// # Errors
    /// When the caller may not change such a room, or the store fails.
    pub async fn delete_room(&self, caller: InboxCaller, id: String) -> Result<(), ChatError> {
        let (staff, now) = (self.directory_rules(), self.now());
        self.store
            .write(move |tx| {
                let conversation = caller.conversation(tx, &staff, &id)?;
                let room = managed_room(&caller, &conversation)?;
                delete(tx, &caller, &conversation, room, now)
            })
            .await?;
        self.room_deleted.notify_one();
        Ok(())
    }

    /// Adds a user to a room, or changes the role of a member. Without a role, a member keeps its own.
    ///
    /// # Errors
    /// When the caller may not change such a room, there is no such user for it, the room is full, or the store fails.
    pub async fn put_room_member(
        &self,
        caller: InboxCaller,
        id: String,
        user: String,
        role: Option<RoomRole>,
    ) -> Result<NativeConversation, ChatError> {
        let (rules, links, now) = (self.room_rules(), self.links.clone(), self.now());
        self.store
            .write(move |tx| {
                let conversation = caller.conversation(tx, &rules.staff, &id)?;
                let room = managed_room(&caller, &conversation)?;
                let user = rules.member_or_writable(tx, &caller, room, &user)?;
                if user.tenant != conversation.tenant {
                    return Err(ChatError::ParticipantNotFound);
                }
                match (room.role_of(user.pk), role) {
                    (Some(known), Some(role)) if known != role => {
                        let is_last_owner = role == RoomRole::Member && room.successor_of(user.pk).is_some();
                        if is_last_owner || (role == RoomRole::Member && room.members().len() == 1) {
                            return Err(ChatError::LastOwner);
                        }
                        tx.set_room_role(conversation.id, user.pk, role)?;
                    }
                    (Some(_), _) => {}
                    (None, role) => {
                        rules.check_size(room.members().len() + 1)?;
                        rules.check_conversations(tx, user.pk)?;
                        let member = RoomMember { user: user.pk, role: role.unwrap_or(RoomRole::Member) };
                        tx.add_room_members(conversation.id, &[member])?;
                        members_changed(tx, &caller, conversation.id, (vec![user.pk.0], Vec::new()), now)?;
                    }
                }
                changed_room(tx, &caller, conversation.id, &links)
            })
            .await
    }

    /// Removes a member from a room. Every member may leave; a room without members is deleted.
    ///
    /// # Errors
    /// When the caller may not change such a room, there is no such member, or the store fails.
    pub async fn remove_room_member(
        &self,
        caller: InboxCaller,
        id: String,
        user: String,
    ) -> Result<(), ChatError> {
        let (rules, now) = (self.room_rules(), self.now());
        self.store
            .write(move |tx| {
                let conversation = caller.conversation(tx, &rules.staff, &id)?;
                let room = conversation.room().ok_or(ChatError::NotRoom)?;
                let user = rules.named(tx, &caller, &user)?;
                if caller.user_pk() != Some(user.pk) {
                    managed_room(&caller, &conversation)?;
                }
                room.role_of(user.pk).ok_or(ChatError::UserNotFound)?;
                if room.members().len() == 1 {
                    return delete(tx, &caller, &conversation, room, now);
                }
                if let Some(successor) = room.successor_of(user.pk) {
                    tx.set_room_role(conversation.id, successor, RoomRole::Owner)?;
                }
                tx.remove_room_member(conversation.id, user.pk)?;
                Ok(members_changed(tx, &caller, conversation.id, (Vec::new(), vec![user.pk.0]), now)?)
            })
            .await?;
        self.room_deleted.notify_one();
        Ok(())
    }

    /// A page of the members of a room after a position.
    ///
    /// # Errors
    /// When the caller has no such room, or the store fails.
    pub async fn room_members(
        &self,
        caller: InboxCaller,
        id: String,
        limit: usize,
        after: i64,
    ) -> Result<RoomMemberPage, ChatError> {
        let staff = self.directory_rules();
        self.store
            .read(move |store| {
                let conversation = caller.conversation(store, &staff, &id)?;
                conversation.room().ok_or(ChatError::NotRoom)?;
                let mut members = store.named_room_members(conversation.id, UserPk(after), limit + 1)?;
                let has_more = members.len() > limit;
                members.truncate(limit);
                let next = members.last().map(|last| last.user.pk.0).filter(|_| has_more);
                Ok(RoomMemberPage { members, next })
            })
            .await
    }

    /// Deletes the messages of deleted rooms in steps, also those of an earlier run.
    pub(super) async fn purge_deleted_rooms(self: Arc<Self>) {
        let soft = self.tasks.soft().clone();
        loop {
            loop {
                let purge = |tx: &Tx<'_>| tx.purge_deleted_room(PURGE_BATCH);
                match self.store.write_patiently::<_, StoreError, _>(purge).await {
                    Ok(Some(released)) => {
                        released.into_iter().for_each(|hash| self.media.media_released(hash));
                    }
                    Ok(None) => break,
                    Err(error) => {
                        tracing::warn!(%error, "messages of a deleted room not deleted; the next deletion or start tries again");
                        break;
                    }
                }
            }
            tokio::select! {
                () = soft.cancelled() => return,
                () = self.room_deleted.notified() => {}
            }
        }
    }

    fn room_rules(&self) -> RoomRules {
        RoomRules {
            staff: self.directory_rules(),
            tenants: self.tenants(),
            max_members: self.limits.max_room_members,
            max_conversations: self.limits.max_conversations,
        }
    }
}

impl RoomRules {
    /// The user with this id, whom a user must be allowed to write to.
    fn writable_user(
        &self,
        store: &Reader<'_>,
        caller: &InboxCaller,
        id: &str,
    ) -> Result<ChatUser, ChatError> {
        let found = match caller.user() {
            Some(me) if me.id.as_str() == id => Ok(me.clone()),
            Some(me) => accessible_user(store, &self.staff, me, id, UserAccess::Write),
            None => self.named(store, caller, id),
        };
        match found {
            Ok(user) if user.tenant != CONTACTS => Ok(user),
            Ok(_) | Err(ChatError::UserNotFound) => Err(ChatError::ParticipantNotFound),
            Err(error) => Err(error),
        }
    }

    fn member_or_writable(
        &self,
        store: &Reader<'_>,
        caller: &InboxCaller,
        room: &Room,
        id: &str,
    ) -> Result<ChatUser, ChatError> {
        match self.named(store, caller, id) {
            Ok(user) if room.role_of(user.pk).is_some() => Ok(user),
            _ => self.writable_user(store, caller, id),
        }
    }

    fn named(&self, store: &Reader<'_>, caller: &InboxCaller, id: &str) -> Result<ChatUser, ChatError> {
        let tenants: Vec<&str> = self.tenants.iter().map(String::as_str).collect();
        caller.named_user(store, &tenants, id)
    }

    fn check_size(&self, members: usize) -> Result<(), ChatError> {
        if members > self.max_members { Err(ChatError::TooManyMembers(self.max_members)) } else { Ok(()) }
    }

    fn check_conversations(&self, store: &Reader<'_>, user: UserPk) -> Result<(), ChatError> {
        let most = i64::try_from(self.max_conversations).unwrap_or(i64::MAX);
        match store.conversation_count(user)? >= most {
            true => Err(ChatError::TooManyConversations(self.max_conversations)),
            false => Ok(()),
        }
    }
}

fn create(
    tx: &Tx<'_>,
    rules: &RoomRules,
    caller: &InboxCaller,
    new: &NewRoom,
    now: Millis,
) -> Result<Conversation, ChatError> {
    let mut users: Vec<ChatUser> = caller.user().cloned().into_iter().collect();
    let mut known: HashSet<UserPk> = users.iter().map(|user| user.pk).collect();
    for id in &new.participants {
        let user = rules.writable_user(tx, caller, id)?;
        if known.insert(user.pk) {
            users.push(user);
        }
    }
    let Some(owner) = users.first() else {
        return Err(ChatError::invalid(
            "participants",
            "must name the owner first when an API key creates a room",
        ));
    };
    if users.iter().any(|user| user.tenant != owner.tenant) {
        return Err(ChatError::invalid("participants", "must be users of one identity"));
    }
    rules.check_size(users.len())?;
    for user in &users {
        rules.check_conversations(tx, user.pk)?;
    }
    let (owner, tenant) = (owner.pk, owner.tenant.clone());
    let id = tx.create_room(&tenant, new.title.as_ref().map(RoomTitle::as_str), now)?;
    let role = |user: UserPk| if user == owner { RoomRole::Owner } else { RoomRole::Member };
    let members: Vec<_> =
        users.iter().map(|user| RoomMember { user: user.pk, role: role(user.pk) }).collect();
    tx.add_room_members(id, &members)?;
    tx.append_chat_event(&ChatLogEntry::Created { conversation: id.0 }, now)?;
    let title = new.title.as_ref().map(|title| title.as_str().to_owned());
    let kind = ConversationKind::Room(Box::new(Room::new(title, members)));
    Ok(Conversation { id, tenant, kind, created_at: now })
}

/// The room of a conversation, if the caller may change it.
fn managed_room<'a>(caller: &InboxCaller, conversation: &'a Conversation) -> Result<&'a Room, ChatError> {
    let room = conversation.room().ok_or(ChatError::NotRoom)?;
    match caller.user_pk() {
        Some(user) if room.role_of(user) != Some(RoomRole::Owner) => Err(ChatError::NotOwner),
        _ => Ok(room),
    }
}

fn delete(
    tx: &Tx<'_>,
    caller: &InboxCaller,
    conversation: &Conversation,
    room: &Room,
    now: Millis,
) -> Result<(), ChatError> {
    tx.delete_room(conversation.id, now)?;
    let entry = ChatLogEntry::RoomDeleted {
        conversation: conversation.id.0,
        tenant: conversation.tenant.clone(),
        title: room.title.clone(),
        members: room.members().iter().map(|member| member.user.0).collect(),
        by: caller.user_pk().map(|user| user.0),
    };
    Ok(tx.append_chat_event(&entry, now)?)
}

fn members_changed(
    tx: &Tx<'_>,
    caller: &InboxCaller,
    conversation: ConversationId,
    (added, removed): (Vec<i64>, Vec<i64>),
    now: Millis,
) -> Result<(), StoreError> {
    let by = caller.user_pk().map(|user| user.0);
    tx.append_chat_event(&ChatLogEntry::Members { conversation: conversation.0, added, removed, by }, now)
}

/// The room after a change.
fn changed_room(
    tx: &Tx<'_>,
    caller: &InboxCaller,
    id: ConversationId,
    links: &LinkBase,
) -> Result<NativeConversation, ChatError> {
    let conversation = tx.conversation(id)?.ok_or(ChatError::ConversationNotFound)?;
    native_conversation(tx, caller, &conversation, links)
}
