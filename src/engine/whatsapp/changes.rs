//! Sends changes to messages and chats that a client requested.

use whatsapp_rust::{AppStateError, RevokeType, SendError};

use super::boxed::boxed;
use super::connection_context::ConnectionContext;
use super::convert::content_out;
use super::convert::jid::to_network;
use super::convert::message_key::to_network_key;
use super::people::refused_or_offline;
use super::polls;
use crate::domain::ids::MessageId;
use crate::domain::jid::Jid;
use crate::engine::{ChatChange, MessageChange, SessionError};

/// See [`crate::engine::Session::change_message`].
pub(super) async fn message(context: &ConnectionContext, change: MessageChange) -> Result<(), SessionError> {
    match change {
        MessageChange::Edit { id, body, context: kept, .. } => {
            let me = context.identities.me().ok_or(SessionError::Offline)?;
            let (chat, of) = (to_network(&id.chat), id.network.as_str());
            let content = content_out::edited(&body, &kept, &id.chat, me);
            let edited = boxed(context.client.edit_message(chat, of, content)).await;
            edited.map(|_| ()).map_err(|error| send_error(context, &error))
        }
        MessageChange::React { id, emoji, .. } => {
            let key = key_of(context, &id);
            let reacted = boxed(context.client.send_reaction(to_network(&id.chat), key, &emoji)).await;
            reacted.map(|_| ()).map_err(|error| send_error(context, &error))
        }
        MessageChange::Revoke { id } => {
            let by = match &id.participant {
                Some(writer) if !id.from_me => RevokeType::Admin { original_sender: to_network(writer) },
                _ if id.from_me => RevokeType::Sender,
                _ => return Err(rejected("only the sender can revoke this message")),
            };
            let of = id.network.as_str();
            let revoked = boxed(context.client.revoke_message(to_network(&id.chat), of, by)).await;
            revoked.map_err(|error| send_error(context, &error))
        }
        MessageChange::DeleteForMe { id } => {
            let (chat, writer) = (to_network(&id.chat), writer_of(&id));
            let (of, actions) = (id.network.as_str(), context.client.chat_actions());
            let gone = actions.delete_message_for_me(&chat, writer.as_ref(), of, id.from_me, false, None);
            boxed(gone).await.map_err(|error| sync_error(context, &error))
        }
        MessageChange::Star { id, on } => {
            let (chat, writer) = (to_network(&id.chat), writer_of(&id));
            let (of, actions) = (id.network.as_str(), context.client.chat_actions());
            let starred = if on {
                boxed(actions.star_message(&chat, writer.as_ref(), of, id.from_me)).await
            } else {
                boxed(actions.unstar_message(&chat, writer.as_ref(), of, id.from_me)).await
            };
            starred.map_err(|error| sync_error(context, &error))
        }
        MessageChange::Vote { id, options, .. } => polls::vote(context, &id, &options).await,
    }
}

/// See [`crate::engine::Session::change_chat`].
pub(super) async fn chat(
    context: &ConnectionContext,
    chat: &Jid,
    change: ChatChange,
) -> Result<(), SessionError> {
    let (actions, chat) = (context.client.chat_actions(), to_network(chat));
    let now = context.clock.now();
    let result = match change {
        ChatChange::Archive(true) => boxed(actions.archive_chat(&chat, None)).await,
        ChatChange::Archive(false) => boxed(actions.unarchive_chat(&chat, None)).await,
        ChatChange::Pin(true) => boxed(actions.pin_chat(&chat)).await,
        ChatChange::Pin(false) => boxed(actions.unpin_chat(&chat)).await,
        ChatChange::Mute(Some(None)) => boxed(actions.mute_chat(&chat)).await,
        ChatChange::Mute(Some(Some(until))) if until > now => {
            boxed(actions.mute_chat_until(&chat, until.0)).await
        }
        ChatChange::Mute(_) => boxed(actions.unmute_chat(&chat)).await,
        ChatChange::Clear => boxed(actions.clear_chat(&chat, true, false, None)).await,
        ChatChange::Delete => boxed(actions.delete_chat(&chat, false, None)).await,
    };
    result.map_err(|error| sync_error(context, &error))
}

/// The network's key of a message. In a group it names the author, our own account too.
fn key_of(context: &ConnectionContext, id: &MessageId) -> whatsapp_rust::waproto::whatsapp::MessageKey {
    let mut key = to_network_key(id);
    if id.chat.is_group() && id.from_me {
        key.participant = context.identities.me().map(|me| to_network(me).to_string());
    }
    key
}

fn writer_of(id: &MessageId) -> Option<whatsapp_rust::Jid> {
    id.participant.as_ref().map(to_network)
}

fn send_error(context: &ConnectionContext, error: &SendError) -> SessionError {
    match error {
        SendError::NotLoggedIn => SessionError::Offline,
        SendError::InvalidRequest(_) => rejected("it does not accept this change"),
        _ => refused_or_offline(context, "the change could not be sent to it"),
    }
}

fn sync_error(context: &ConnectionContext, error: &AppStateError) -> SessionError {
    match error {
        AppStateError::InvalidRequest(_) => rejected("it does not accept this change"),
        _ => refused_or_offline(context, "the account's other devices could not be updated"),
    }
}

fn rejected(why: &str) -> SessionError {
    SessionError::Refused(why.to_owned())
}
