//! Conversations: join, list, and pages of messages.

use std::cmp::Reverse;

use super::OperatorChat;
use super::attachment_url::add_file_url;
use super::authentication::SignedIn;
use super::error::ChatError;
use super::inbox_views::inbox_conversations;
use super::room_views::{room_view, room_views};
use super::views::{accessible_user, conversation_of, message_views};
use super::welcome::store_welcome;
use crate::domain::clock::Millis;
use crate::domain::operator_chat::conversation::{
    Conversation, ConversationTarget, ConversationView, UserPair,
};
use crate::domain::operator_chat::ids::ConversationId;
use crate::domain::operator_chat::message::{MessageAuthor, MessageView};
use crate::domain::operator_chat::receipts::ReceiptLevel;
use crate::domain::operator_chat::user::{CONTACTS, ChatUser};
use crate::domain::operator_chat::visibility::{DirectoryRules, UserAccess};
use crate::service::media::links::LinkBase;
use crate::store::chat_messages::AuthoredMessages;
use crate::store::chat_receipt_ranges::ReceiptOwner;
use crate::store::conversations::ListedConversation;
use crate::store::rooms::ListedRoom;
use crate::store::{Reader, StoreError, Tx};

/// The most messages that a join repeats.
const MAX_REPLAYED: usize = 200;
/// The most conversations of a list.
const MAX_LISTED: usize = 500;

/// A conversation that a socket joined.
#[derive(Debug, Clone)]
pub struct JoinedConversation {
    /// The conversation.
    pub conversation: Conversation,
    /// The other user.
    pub peer: Option<ChatUser>,
}

/// A page of messages, as requested.
#[derive(Debug, Clone)]
pub struct MessageListRequest {
    /// The conversation.
    pub target: ConversationTarget,
    /// The most messages.
    pub limit: usize,
    /// Skipped messages, from the newest one.
    pub offset: usize,
    /// Only messages before this id.
    pub before: Option<i64>,
}

/// A page of messages in the order of time, with its conversation.
#[derive(Debug, Clone)]
pub struct MessageListPage {
    /// The messages.
    pub messages: Vec<MessageView>,
    /// The conversation.
    pub conversation: ConversationView,
    /// Whether there are older messages.
    pub has_more: bool,
}

impl OperatorChat {
    /// Joins the direct conversation with a user, which is created if there is none.
    ///
    /// # Errors
    /// When the caller may not write to this user, or the store fails.
    pub async fn join_peer(&self, me: &SignedIn, peer: &str) -> Result<JoinedConversation, ChatError> {
        let (me, staff, peer) = (me.user.clone(), self.directory_rules(), peer.to_owned());
        let known = {
            let (me, staff, target) = (me.clone(), staff.clone(), ConversationTarget::Peer(peer.clone()));
            self.store.read(move |store| conversation_of(store, &staff, &me, &target)).await
        };
        match known {
            Ok(conversation) => return self.with_peer(&me, conversation).await,
            Err(ChatError::ConversationNotFound) => {}
            Err(error) => return Err(error),
        }
        let (now, limit) = (self.now(), self.limits.max_conversations);
        self.store
            .write(move |tx| {
                let (conversation, peer) = join_or_create(tx, &staff, &me, &peer, limit, now)?;
                Ok(JoinedConversation { conversation, peer: Some(peer) })
            })
            .await
    }

    /// The direct conversation with a user, and whether it was created by this call.
    ///
    /// # Errors
    /// When the caller may not write to this user, or the store fails.
    pub async fn open_conversation(
        &self,
        me: &SignedIn,
        peer: &str,
    ) -> Result<(ConversationView, bool), ChatError> {
        self.open(me, peer, String::new()).await
    }

    /// As [`OperatorChat::open_conversation`]; a new conversation gets the message of `chat.welcome`.
    ///
    /// # Errors
    /// When the caller may not write to this user, or the store fails.
    pub async fn open_with_welcome(
        &self,
        me: &SignedIn,
        peer: &str,
    ) -> Result<(ConversationView, bool), ChatError> {
        self.open(me, peer, self.welcome.replace("{name}", me.user.display_name())).await
    }

    /// An empty welcome is not sent.
    async fn open(
        &self,
        me: &SignedIn,
        peer: &str,
        welcome: String,
    ) -> Result<(ConversationView, bool), ChatError> {
        let (me, staff, links) = (me.user.clone(), self.directory_rules(), self.links.clone());
        let (peer, now, limit) = (peer.to_owned(), self.now(), self.limits.max_conversations);
        self.store
            .write(move |tx| {
                let target = ConversationTarget::Peer(peer.clone());
                let (conversation, is_new) = match conversation_of(tx, &staff, &me, &target) {
                    Ok(known) => (known, false),
                    Err(ChatError::ConversationNotFound) => {
                        let (created, other) = join_or_create(tx, &staff, &me, &peer, limit, now)?;
                        if !welcome.trim().is_empty() {
                            store_welcome(tx, &created, other.pk, &welcome, now)?;
                        }
                        (created, true)
                    }
                    Err(error) => return Err(error),
                };
                Ok((conversation_view(tx, &conversation, &me, &links)?, is_new))
            })
            .await
    }

    /// Removes a conversation from the caller's list until its next message.
    ///
    /// # Errors
    /// When the caller has no such conversation, it is one of a device, or the store fails.
    pub async fn remove_from_list(&self, me: &SignedIn, id: &str) -> Result<(), ChatError> {
        let (me, staff) = (me.user.clone(), self.directory_rules());
        let target = ConversationTarget::Named(id.to_owned());
        self.store
            .write(move |tx| {
                let conversation = conversation_of(tx, &staff, &me, &target)?;
                if conversation.device_chat().is_some() {
                    return Err(ChatError::DeviceConversation);
                }
                Ok(tx.remove_from_list(conversation.id, me.pk)?)
            })
            .await
    }

    /// The direct conversations with unread messages, and their number.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn unread_conversations(&self, me: &SignedIn) -> Result<Vec<(ConversationId, i64)>, ChatError> {
        let me = me.user.pk;
        Ok(self.store.read::<_, StoreError, _>(move |store| store.unread_by_conversation(me)).await?)
    }

    /// A conversation of the caller.
    ///
    /// # Errors
    /// When the caller has no such conversation, or the store fails.
    pub async fn conversation(
        &self,
        me: &SignedIn,
        target: ConversationTarget,
    ) -> Result<JoinedConversation, ChatError> {
        let (user, staff) = (me.user.clone(), self.directory_rules());
        let found = self.store.read(move |store| conversation_of(store, &staff, &user, &target)).await?;
        self.with_peer(&me.user, found).await
    }

    /// A conversation with its other user, as a user sees it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn with_peer(
        &self,
        me: &ChatUser,
        conversation: Conversation,
    ) -> Result<JoinedConversation, ChatError> {
        let Some(peer) = conversation.peer_of(me.pk) else {
            return Ok(JoinedConversation { conversation, peer: None });
        };
        let peer = self.store.read::<_, StoreError, _>(move |store| store.chat_user_by_pk(peer)).await?;
        Ok(JoinedConversation { conversation, peer })
    }

    /// The messages that a join repeats, in order: those that the user has not read, and the user's own of
    /// the last `chat.resume_ms`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn replay(
        &self,
        me: &SignedIn,
        conversation: &Conversation,
    ) -> Result<Vec<MessageView>, ChatError> {
        let (me, conversation) = (me.user.pk, conversation.clone());
        let own_since = self.now().plus(-self.limits.resume_ms);
        let links = self.links.clone();
        self.store
            .read(move |store| {
                let Some(newest) = store.newest_chat_message(conversation.id)? else {
                    return Ok(Vec::new());
                };
                let id = conversation.id;
                let authored =
                    |author, first, last| AuthoredMessages { conversation: id, author, first, last };
                let own = authored(MessageAuthor::Is(me), 1, newest.id.0);
                let own = store.chat_messages_from(&own, MAX_REPLAYED)?;
                let mut messages: Vec<_> =
                    own.into_iter().take_while(|message| message.created_at >= own_since).collect();
                if let Some(others) = conversation.received_by(me) {
                    let owner = ReceiptOwner { conversation: id, user: me, level: ReceiptLevel::Read };
                    let after = store.receipts_through(&owner)? + 1;
                    let read = store.receipt_ranges(&owner, after, newest.id.0)?;
                    let mut unread = Vec::new();
                    for (first, last) in read.missing(after, newest.id.0).into_iter().rev() {
                        let left = MAX_REPLAYED.saturating_sub(unread.len());
                        if left == 0 {
                            break;
                        }
                        unread.extend(store.chat_messages_from(&authored(others, first, last), left)?);
                    }
                    messages.extend(unread);
                }
                messages.sort_by_key(|message| message.id);
                let newest = messages.split_off(messages.len().saturating_sub(MAX_REPLAYED));
                Ok(message_views(store, &conversation, newest, &links)?)
            })
            .await
    }

    /// The conversations of a user with messages, newest first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn conversations(&self, me: &SignedIn) -> Result<Vec<ConversationView>, ChatError> {
        let (me, links) = (me.user.clone(), self.links.clone());
        self.store
            .read(move |store| {
                let listed = store.conversations_of(me.pk, MAX_LISTED)?;
                let mut views = Vec::with_capacity(listed.len());
                for mut listed in listed {
                    if let Some(last) = &mut listed.last {
                        add_file_url(store, &links, last)?;
                    }
                    views.push(listed_view(&me, listed));
                }
                views.extend(room_views(store, &me, MAX_LISTED, &links)?);
                views.extend(inbox_conversations(store, &me, MAX_LISTED, &links)?);
                views.sort_by_key(|view| Reverse(view.last_message.as_ref().map(|last| last.message.id)));
                views.truncate(MAX_LISTED);
                Ok(views)
            })
            .await
    }

    /// As [`OperatorChat::conversations`], followed by the direct ones without messages.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn all_conversations(&self, me: &SignedIn) -> Result<Vec<ConversationView>, ChatError> {
        let mut views = self.conversations(me).await?;
        let (user, room) = (me.user.clone(), MAX_LISTED.saturating_sub(views.len()));
        let empty = self
            .store
            .read::<_, StoreError, _>(move |store| {
                let listed = store.conversations_without_messages(user.pk, room)?;
                Ok(listed.into_iter().map(|listed| listed_view(&user, listed)).collect::<Vec<_>>())
            })
            .await?;
        views.extend(empty);
        Ok(views)
    }

    /// The unread messages of a user in all conversations.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn unread_count(&self, me: &SignedIn) -> Result<i64, ChatError> {
        let me = me.user.pk;
        Ok(self.store.read::<_, StoreError, _>(move |store| store.unread_of_user(me)).await?)
    }

    /// A page of messages. The fetch counts as delivery.
    ///
    /// # Errors
    /// When the caller may not see the conversation, or the store fails.
    pub async fn messages(
        &self,
        me: &SignedIn,
        request: MessageListRequest,
    ) -> Result<MessageListPage, ChatError> {
        let (user, staff, links) = (me.user.clone(), self.directory_rules(), self.links.clone());
        let page = self.store.read(move |store| message_page(store, &staff, &user, &request, &links)).await?;
        self.fetched(me.user.pk, &page.messages);
        Ok(page)
    }
}

/// The direct conversation with a user, and the user. It is created if there is none.
pub(super) fn join_or_create(
    tx: &Tx<'_>,
    staff: &DirectoryRules,
    me: &ChatUser,
    peer: &str,
    limit: usize,
    now: Millis,
) -> Result<(Conversation, ChatUser), ChatError> {
    let peer = accessible_user(tx, staff, me, peer, UserAccess::Write)?;
    if peer.tenant == CONTACTS {
        return Err(ChatError::UserNotFound);
    }
    let pair = UserPair::new(me.pk, peer.pk).ok_or(ChatError::UserNotFound)?;
    if let Some(known) = tx.direct_conversation(pair)? {
        return Ok((known, peer));
    }
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    if tx.conversation_count(me.pk)? >= most || tx.conversation_count(peer.pk)? >= most {
        return Err(ChatError::TooManyConversations(limit));
    }
    Ok((tx.create_direct_conversation(&me.tenant, pair, now)?, peer))
}

fn listed_view(me: &ChatUser, listed: ListedConversation) -> ConversationView {
    let ListedConversation { id, peer, unread, last, delivered_at, read_at, created_at } = listed;
    let last_message = last.map(|message| {
        let is_mine = message.sender == me.pk;
        let (sender, recipient) =
            if is_mine { (me.clone(), peer.clone()) } else { (peer.clone(), me.clone()) };
        MessageView {
            message,
            sender,
            recipient: Some(recipient),
            delivered_at,
            read_at,
            inbox: None,
            room: None,
        }
    });
    ConversationView {
        name: id.to_string(),
        title: None,
        participants: vec![peer],
        last_message,
        unread,
        created_at: Some(created_at),
    }
}

fn message_page(
    store: &Reader<'_>,
    staff: &DirectoryRules,
    me: &ChatUser,
    request: &MessageListRequest,
    links: &LinkBase,
) -> Result<MessageListPage, ChatError> {
    let conversation = match (conversation_of(store, staff, me, &request.target), &request.target) {
        (Ok(conversation), _) => conversation,
        // Both users exist and have not written to each other.
        (Err(ChatError::ConversationNotFound), ConversationTarget::Peer(peer)) => {
            let peer = accessible_user(store, staff, me, peer, UserAccess::Write)?;
            return Ok(empty_page(me, peer));
        }
        (Err(error), _) => return Err(error),
    };
    let before = request.before.unwrap_or(i64::MAX);
    let mut messages =
        store.chat_messages_before(conversation.id, before, request.limit + 1, request.offset)?;
    let has_more = messages.len() > request.limit;
    messages.truncate(request.limit);
    messages.reverse();
    let view = conversation_view(store, &conversation, me, links)?;
    let messages = message_views(store, &conversation, messages, links)?;
    Ok(MessageListPage { messages, conversation: view, has_more })
}

/// A conversation as a user sees it.
pub(super) fn conversation_view(
    store: &Reader<'_>,
    conversation: &Conversation,
    me: &ChatUser,
    links: &LinkBase,
) -> Result<ConversationView, StoreError> {
    if let Some(room) = conversation.room() {
        let (id, created_at) = (conversation.id, conversation.created_at);
        let listed = ListedRoom { id, title: room.title.clone(), created_at };
        return room_view(store, listed, me.pk, links);
    }
    let newest: Vec<_> = store.newest_chat_message(conversation.id)?.into_iter().collect();
    let peer = conversation.peer_of(me.pk);
    let peer = peer.map_or(Ok(None), |peer| store.chat_user_by_pk(peer))?;
    Ok(ConversationView {
        name: conversation.id.to_string(),
        title: None,
        participants: peer.into_iter().collect(),
        last_message: message_views(store, conversation, newest, links)?.pop(),
        unread: match conversation.device_chat() {
            Some(_) => store.unread_of_device_conversation(conversation.id)?,
            None => store.unread_in_conversation(conversation.id, me.pk)?,
        },
        created_at: Some(conversation.created_at),
    })
}

fn empty_page(me: &ChatUser, peer: ChatUser) -> MessageListPage {
    let name = format!("{}_{}", me.id, peer.id);
    let conversation = ConversationView {
        name,
        title: None,
        participants: vec![peer],
        last_message: None,
        unread: 0,
        created_at: None,
    };
    MessageListPage { messages: Vec::new(), conversation, has_more: false }
}
