//! The `underscore` dialect: namespace `/` of `/api/socket`. [`decode`] reads client events, [`encode`] writes
//! server events, and this file calls the use cases. Clients use no callbacks; a callback gets `{ success: true }`.

mod decode;
pub(super) mod encode;

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::request_error::ChatRequestError;
use super::rooms::ConnectedSocket;
use super::session::ChatSession;
use super::{ChatState, membership};
use crate::domain::operator_chat::conversation::{Conversation, ConversationTarget};
use crate::domain::operator_chat::dialect::Dialect;
use crate::domain::operator_chat::ids::UserPk;
use crate::domain::operator_chat::message::{MessageDraft, MessageView};
use crate::domain::operator_chat::send_dedup::SendChannel;

use self::decode::UnderscoreCall;

type Answer = Result<Json, ChatRequestError>;

/// Serves one request, and returns the payload for the callback.
pub(super) async fn serve(
    state: &Arc<ChatState>,
    connected: &ConnectedSocket,
    event: &str,
    arguments: Vec<Json>,
) -> Answer {
    let request = UnderscoreRequest { state, connected };
    match decode::call(connected.user(), event, arguments)? {
        UnderscoreCall::Join(id) => request.join(id).await,
        UnderscoreCall::Leave(id) => request.leave(id).await,
        UnderscoreCall::Send { conversation, draft } => request.send(conversation, draft).await,
        UnderscoreCall::Uploaded { conversation, message } => request.uploaded(conversation, message).await,
        UnderscoreCall::Typing { conversation, on } => request.typing(conversation, on).await,
        UnderscoreCall::Away(is_away) => {
            membership::set_away(state, connected, is_away);
            Ok(done())
        }
    }
}

fn done() -> Json {
    json!({ "success": true })
}

struct UnderscoreRequest<'a> {
    state: &'a Arc<ChatState>,
    connected: &'a ConnectedSocket,
}

impl UnderscoreRequest<'_> {
    fn me(&self) -> &crate::service::operator_chat::SignedIn {
        &self.connected.session.signed_in
    }

    async fn conversation(&self, id: String) -> Result<Conversation, ChatRequestError> {
        let target = ConversationTarget::Named(id);
        Ok(self.state.chat.conversation(self.me(), target).await?.conversation)
    }

    /// Joins, and marks the unread messages read. The log has no entry if there were none; the other
    /// participants get the event all the same, because clients wait for it.
    async fn join(&self, id: String) -> Answer {
        let joined = self.conversation(id).await?;
        membership::enter(self.state, self.connected, &joined, false).await?;
        let target = ConversationTarget::Named(joined.id.to_string());
        let count = self.state.chat.mark_read(&self.me().user, target, None).await?;
        if count == 0 && joined.device_chat().is_none() {
            self.emit_read(&joined);
        }
        Ok(done())
    }

    fn emit_read(&self, conversation: &Conversation) {
        let reader = self.connected.user();
        let packet = Arc::new(encode::messages_read(conversation.id, reader));
        for joined in self.state.rooms.joined(conversation.id) {
            if joined.session.dialect == Dialect::Underscore && joined.user().pk != reader.pk {
                joined.emit_unlogged(&packet);
            }
        }
    }

    async fn leave(&self, id: String) -> Answer {
        let left = self.conversation(id).await?;
        membership::leave(self.state, self.connected, left.id).await;
        Ok(done())
    }

    async fn send(&self, conversation: String, draft: MessageDraft) -> Answer {
        let origin = Some(self.connected.session.number);
        let (chat, channel) = (&self.state.chat, SendChannel::Socket);
        chat.send_on_channel(self.me(), conversation, draft, channel, origin).await?;
        Ok(done())
    }

    async fn uploaded(&self, conversation: String, message: String) -> Answer {
        self.state.chat.announce_upload(self.me(), conversation, &message).await?;
        Ok(done())
    }

    async fn typing(&self, conversation: String, on: bool) -> Answer {
        let conversation = self.conversation(conversation).await?;
        membership::type_throttled(self.state, self.connected, &conversation, on);
        Ok(done())
    }
}

/// Whether a user's sockets of this dialect do not get an uploaded message yet: the client shows the answer of the upload
/// first.
pub(super) fn is_held(session: &ChatSession, holder: Option<UserPk>) -> bool {
    session.dialect == Dialect::Underscore && Some(session.signed_in.user.pk) == holder
}

/// Emits an uploaded message to the uploader's own sockets that joined.
pub(super) fn emit_upload(state: &ChatState, view: &MessageView) {
    for joined in state.rooms.joined(view.message.conversation) {
        if is_held(&joined.session, Some(view.message.sender)) {
            let packet = encode::inbox_message(view, joined.user(), true);
            joined.session.emit_late(&joined.socket, packet, view.message.id);
        }
    }
}
