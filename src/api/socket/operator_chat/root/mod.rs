//! The `root` dialect: namespace `/` of `/socket.io/`. [`decode`] reads client events, [`encode`] writes
//! server events, and this file calls the use cases.

pub(super) mod decode;
pub(super) mod encode;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::outgoing::Emission;
use super::request_error::ChatRequestError;
use super::rooms::ConnectedSocket;
use super::{ChatState, membership};
use crate::api::http::operator_chat::objects::MessageObject;
use crate::domain::operator_chat::conversation::{Conversation, ConversationTarget};
use crate::domain::operator_chat::message::{MessageDraft, MessageView};
use crate::domain::operator_chat::user::ChatUser;
use crate::service::operator_chat::ChatError;
use crate::service::operator_chat::deliveries::Delivery;
use crate::service::operator_chat::presence::UserStatus;

use self::decode::RootCall;

type Answer = Result<Json, ChatRequestError>;

/// Whether the callback of an event expects an array.
pub(super) fn answers_array(event: &str) -> bool {
    matches!(event, "conversation:get-online-users" | "users:get-status")
}

/// Serves one request.
pub(super) async fn serve(
    state: &Arc<ChatState>,
    connected: &ConnectedSocket,
    event: &str,
    arguments: Vec<Json>,
) -> Answer {
    let request = RootRequest { state, connected };
    match decode::call(event, arguments)? {
        RootCall::JoinPeer(peer) => request.join_peer(&peer).await,
        RootCall::Join(id) => request.join(id).await,
        RootCall::Leave(target) => request.leave(target).await,
        RootCall::Send { target, draft } => request.send(target, draft).await,
        RootCall::MarkRead(message) => request.mark_one(&message).await,
        RootCall::Read { conversation, messages } => request.mark(conversation, messages).await,
        RootCall::Delete { conversation, message } => request.delete(&conversation, &message).await,
        RootCall::Typing { target, on } => request.typing(target, on).await,
        RootCall::SeenNow => Ok(request.seen()),
        RootCall::OnlineUsers(conversation) => request.online_users(conversation).await,
        RootCall::Status(user) => request.status(user).await,
        RootCall::Statuses(users) => request.statuses(users).await,
        RootCall::ReadNotification(id) => request.read_notification(&id).await,
        RootCall::ReadAllNotifications => request.read_all_notifications().await,
    }
}

/// Joins a direct conversation, then emits that the peer is online and the messages that the client may lack. Later
/// events of the socket stay behind them.
pub(super) async fn join_with_replay(
    state: &ChatState,
    connected: &ConnectedSocket,
    conversation: &Conversation,
    peer: Option<&ChatUser>,
) -> Result<(), ChatRequestError> {
    let (session, me) = (&connected.session, connected.user().pk);
    session.begin_replay();
    let replayed = replay(state, connected, conversation, peer).await;
    let repeated = replayed.iter().flatten().map(|view| view.message.id).collect();
    let live = session.end_replay(&connected.socket, repeated);
    let of_others = replayed.iter().flatten().filter(|view| view.message.sender != me);
    // Held messages may be the user's own; those get no receipt when the delivery is recorded.
    for message in of_others.map(|view| view.message.id).chain(live) {
        state.chat.delivered(Delivery { conversation: conversation.id, message, recipient: me });
    }
    replayed.map(|_| ())
}

async fn replay(
    state: &ChatState,
    connected: &ConnectedSocket,
    conversation: &Conversation,
    peer: Option<&ChatUser>,
) -> Result<Vec<MessageView>, ChatRequestError> {
    membership::enter(state, connected, conversation, true).await?;
    if let Some(peer) = peer.filter(|peer| state.chat.is_online(peer.pk)) {
        let status = state.chat.status(peer);
        if let Some(packet) = encode::presence(peer, true, status.last_seen).first() {
            connected.emit_now(packet);
        }
    }
    let messages = state.chat.replay(&connected.session.signed_in, conversation).await?;
    let emitted = messages.into_iter().filter(|view| {
        let packet = match view.inbox {
            Some(_) => encode::inbox_message(view, connected.user(), true),
            None => encode::message_new(view),
        };
        connected.emit_now(&packet) == Emission::Emitted
    });
    Ok(emitted.collect())
}

struct RootRequest<'a> {
    state: &'a Arc<ChatState>,
    connected: &'a ConnectedSocket,
}

impl RootRequest<'_> {
    fn me(&self) -> &crate::service::operator_chat::SignedIn {
        &self.connected.session.signed_in
    }

    async fn join_peer(&self, peer: &str) -> Answer {
        let joined = self.state.chat.join_peer(self.me(), peer).await?;
        join_with_replay(self.state, self.connected, &joined.conversation, joined.peer.as_ref()).await?;
        Ok(done())
    }

    async fn join(&self, id: String) -> Answer {
        let joined = self.conversation(ConversationTarget::Named(id)).await?;
        membership::enter(self.state, self.connected, &joined, false).await?;
        Ok(done())
    }

    async fn leave(&self, target: ConversationTarget) -> Answer {
        let left = self.conversation(target).await?;
        membership::leave(self.state, self.connected, left.id).await;
        Ok(done())
    }

    async fn conversation(&self, target: ConversationTarget) -> Result<Conversation, ChatRequestError> {
        Ok(self.state.chat.conversation(self.me(), target).await?.conversation)
    }

    async fn send(&self, target: ConversationTarget, draft: MessageDraft) -> Answer {
        let temp_id = draft.temp_id.as_deref().and_then(|json| serde_json::from_str(json).ok());
        match self.state.chat.send(&self.me().user, target, draft, Some(self.connected.session.number)).await
        {
            Ok(sent) => {
                let message = MessageObject::seen_by(&sent.view, self.connected.user());
                Ok(json!({ "success": true, "message": message }))
            }
            Err(error) => Err(ChatRequestError { temp_id, ..error.into() }),
        }
    }

    async fn mark_one(&self, message: &str) -> Answer {
        self.state.chat.mark_message_read(self.me(), message).await?;
        Ok(done())
    }

    async fn mark(&self, conversation: String, messages: Option<Vec<String>>) -> Answer {
        let target = ConversationTarget::Named(conversation);
        let count = self.state.chat.mark_read(&self.me().user, target, messages).await?;
        Ok(json!({ "success": true, "count": count }))
    }

    async fn delete(&self, conversation: &str, message: &str) -> Answer {
        self.state.chat.delete_message(&self.me().user, Some(conversation), message).await?;
        Ok(done())
    }

    async fn typing(&self, target: ConversationTarget, on: bool) -> Answer {
        let conversation = self.conversation(target).await?;
        membership::type_in(self.state, self.connected, &conversation, on);
        Ok(done())
    }

    fn seen(&self) -> Json {
        self.state.chat.seen(self.me().user.pk);
        done()
    }

    /// The online members without the caller; none if access is refused.
    async fn online_users(&self, conversation: String) -> Answer {
        let target = ConversationTarget::Named(conversation);
        match self.state.chat.conversation(self.me(), target).await {
            Ok(found) => {
                let peer = found.peer.filter(|peer| self.state.chat.is_online(peer.pk));
                let peer = peer.map(|peer| peer.id.to_string());
                let colleagues = self.online_colleagues(&found.conversation);
                let members = self.online_members(&found.conversation);
                Ok(peer.into_iter().chain(colleagues).chain(members).collect())
            }
            Err(ChatError::ConversationNotFound) => Ok(Json::Array(Vec::new())),
            Err(error) => Err(error.into()),
        }
    }

    /// The other users of the inbox of a device conversation who are online.
    fn online_colleagues(&self, conversation: &Conversation) -> BTreeSet<String> {
        let Some(chat) = conversation.device_chat() else { return BTreeSet::new() };
        let sockets = self.state.rooms.all();
        let colleagues = sockets.iter().map(ConnectedSocket::user).filter(|user| {
            user.pk != self.me().user.pk
                && chat.rights_of(user).is_some()
                && self.state.chat.is_online(user.pk)
        });
        colleagues.map(|user| user.id.to_string()).collect()
    }

    /// The other members of a room who are online.
    fn online_members(&self, conversation: &Conversation) -> BTreeSet<String> {
        let Some(room) = conversation.room() else { return BTreeSet::new() };
        let others =
            room.members().iter().map(|member| member.user).filter(|user| *user != self.me().user.pk);
        let online = others.filter(|user| self.state.chat.is_online(*user));
        let sockets = online.filter_map(|user| self.state.rooms.of_user(user).into_iter().next());
        sockets.map(|socket| socket.user().id.to_string()).collect()
    }

    async fn status(&self, user: String) -> Answer {
        let mut statuses = self.status_objects(vec![user]).await?;
        Ok(statuses.pop().unwrap_or_default())
    }

    async fn statuses(&self, users: Vec<String>) -> Answer {
        Ok(Json::Array(self.status_objects(users).await?))
    }

    async fn status_objects(&self, ids: Vec<String>) -> Result<Vec<Json>, ChatRequestError> {
        let users = self.state.chat.users(self.me(), ids.clone()).await?;
        let status = |user: &ChatUser| self.state.chat.status(user);
        let unknown = UserStatus { is_online: false, last_seen: None };
        let all = ids.iter().zip(&users);
        Ok(all.map(|(id, user)| encode::status(id, user.as_ref().map_or(unknown, status))).collect())
    }

    async fn read_notification(&self, id: &str) -> Answer {
        let origin = Some(self.connected.session.number);
        self.state.chat.read_notification(self.me(), id, origin).await?;
        Ok(done())
    }

    async fn read_all_notifications(&self) -> Answer {
        let origin = Some(self.connected.session.number);
        self.state.chat.read_all_notifications(self.me(), origin).await?;
        Ok(done())
    }
}

fn done() -> Json {
    json!({ "success": true })
}
