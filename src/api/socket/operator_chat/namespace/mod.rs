//! The `namespace` dialect: namespace `/chat` of `/socket.io/`. [`decode`] reads client events, [`encode`] writes
//! server events, and this file calls the use cases. Confirmations are events; a callback gets the same payload.

mod decode;
pub(super) mod encode;

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::packet::Packet;
use super::request_error::ChatRequestError;
use super::rooms::ConnectedSocket;
use super::{ChatState, membership};
use crate::api::http::operator_chat::namespace_objects::UserIdObject;
use crate::domain::operator_chat::conversation::{Conversation, ConversationTarget};
use crate::domain::operator_chat::message::MessageDraft;

use self::decode::NamespaceCall;

type Answer = Result<Json, ChatRequestError>;

/// Serves one request: emits its confirmation, and returns the payload for the callback.
pub(super) async fn serve(
    state: &Arc<ChatState>,
    connected: &ConnectedSocket,
    event: &str,
    arguments: Vec<Json>,
) -> Answer {
    let request = NamespaceRequest { state, connected };
    match decode::call(event, arguments)? {
        NamespaceCall::Join(id) => request.join(id).await,
        NamespaceCall::Leave(id) => request.leave(id).await,
        NamespaceCall::Send { conversation, draft } => request.send(conversation, draft).await,
        NamespaceCall::Read { conversation, message } => request.read(conversation, message).await,
        NamespaceCall::Typing { conversation, on } => request.typing(conversation, on).await,
        NamespaceCall::CheckOnline { user, user_type } => request.check_online(user, user_type).await,
        NamespaceCall::Ping => {
            let payload = json!({ "timestamp": state.shared.services.now().0 });
            Ok(request.confirm("pong", payload))
        }
        NamespaceCall::Heartbeat => Ok(json!({ "success": true })),
    }
}

struct NamespaceRequest<'a> {
    state: &'a Arc<ChatState>,
    connected: &'a ConnectedSocket,
}

impl NamespaceRequest<'_> {
    fn me(&self) -> &crate::service::operator_chat::SignedIn {
        &self.connected.session.signed_in
    }

    fn confirm(&self, event: &'static str, payload: Json) -> Json {
        self.connected.emit_now(&Packet::new(event, &payload));
        payload
    }

    async fn conversation(&self, id: String) -> Result<Conversation, ChatRequestError> {
        let target = ConversationTarget::Named(id);
        Ok(self.state.chat.conversation(self.me(), target).await?.conversation)
    }

    async fn join(&self, id: String) -> Answer {
        let joined = self.conversation(id).await?;
        membership::enter(self.state, self.connected, &joined, false).await?;
        let room = format!("conversation_{}", joined.id);
        let payload = json!({ "conversationId": joined.id.0, "room": room });
        Ok(self.confirm("conversation:joined", payload))
    }

    async fn leave(&self, id: String) -> Answer {
        let left = self.conversation(id).await?;
        membership::leave(self.state, self.connected, left.id).await;
        Ok(self.confirm("conversation:left", json!({ "conversationId": left.id.0 })))
    }

    /// The router confirms a new message, before it emits the message to other sockets. A repeated `tempId`
    /// has no log entry and is confirmed here.
    async fn send(&self, conversation: String, draft: MessageDraft) -> Answer {
        let temp_id = draft.temp_id.as_deref().and_then(|json| serde_json::from_str(json).ok());
        let (target, origin) = (ConversationTarget::Named(conversation), self.connected.session.number);
        match self.state.chat.send(&self.me().user, target, draft, Some(origin)).await {
            Ok(sent) => {
                let payload = encode::sent(&sent.view);
                Ok(if sent.is_new { payload } else { self.confirm("message:sent", payload) })
            }
            Err(error) => Err(ChatRequestError { temp_id, ..error.into() }),
        }
    }

    async fn read(&self, conversation: String, message: Option<String>) -> Answer {
        let mark = self.state.chat.mark_read_up_to(self.me(), conversation, message).await?;
        let payload = json!({
            "conversationId": mark.conversation.0,
            "messageId": mark.message.map(|id| id.0),
            "count": mark.count,
        });
        Ok(self.confirm("message:read:success", payload))
    }

    async fn typing(&self, conversation: String, on: bool) -> Answer {
        let conversation = self.conversation(conversation).await?;
        membership::type_in(self.state, self.connected, &conversation, on);
        Ok(json!({ "success": true }))
    }

    /// A user whom the caller may not query is offline, like one that does not exist.
    async fn check_online(&self, user: String, user_type: Option<String>) -> Answer {
        let id = self.me().user.tenant_id(user_type.as_deref().unwrap_or_default(), &user);
        let found = self.state.chat.users(self.me(), vec![id]).await?.pop().flatten();
        let is_of_type = |known: &Option<String>| user_type.is_none() || *known == user_type;
        let found = found.filter(|found| is_of_type(&found.profile.user_type));
        let is_online = found.is_some_and(|found| self.state.chat.is_online(found.pk));
        let payload =
            json!({ "userId": UserIdObject::new(&user), "userType": user_type, "isOnline": is_online });
        Ok(self.confirm("user:online:status", payload))
    }
}
