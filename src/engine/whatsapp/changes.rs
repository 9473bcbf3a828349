//! What happens to messages and chats afterwards, as asked here.

use whatsapp_rust::{AppStateError, RevokeType, SendError};

use super::boxed::erased;
use super::connection_context::Connected;
use super::convert::content_out::bare_text;
use super::convert::jid::to_network;
use super::convert::message_key::to_network_key;
use super::people::refused_or_offline;
use super::polls;
use crate::domain::ids::MessageId;
use crate::domain::jid::Jid;
use crate::engine::{ChatChange, MessageChange, SessionError};

/// See [`crate::engine::Session::change_message`].
pub(super) async fn message(connected: &Connected, change: MessageChange) -> Result<(), SessionError> {
    match change {
        MessageChange::Edit { id, body, .. } => {
            let (chat, of) = (to_network(&id.chat), id.network.as_str());
            let edited = erased(connected.client.edit_message(chat, of, bare_text(&body))).await;
            edited.map(|_| ()).map_err(|error| not_sent(connected, &error))
        }
        MessageChange::React { id, emoji, .. } => {
            let key = key_of(connected, &id);
            let reacted = erased(connected.client.send_reaction(to_network(&id.chat), key, &emoji)).await;
            reacted.map(|_| ()).map_err(|error| not_sent(connected, &error))
        }
        MessageChange::Revoke { id } => {
            let by = match &id.participant {
                Some(writer) if !id.from_me => RevokeType::Admin { original_sender: to_network(writer) },
                _ if id.from_me => RevokeType::Sender,
                _ => return Err(refused("only the sender can take this message back")),
            };
            let of = id.network.as_str();
            let revoked = erased(connected.client.revoke_message(to_network(&id.chat), of, by)).await;
            revoked.map_err(|error| not_sent(connected, &error))
        }
        MessageChange::DeleteForMe { id } => {
            let (chat, writer) = (to_network(&id.chat), writer_of(&id));
            let (of, actions) = (id.network.as_str(), connected.client.chat_actions());
            let gone = actions.delete_message_for_me(&chat, writer.as_ref(), of, id.from_me, false, None);
            erased(gone).await.map_err(|error| not_told(connected, &error))
        }
        MessageChange::Star { id, on } => {
            let (chat, writer) = (to_network(&id.chat), writer_of(&id));
            let (of, actions) = (id.network.as_str(), connected.client.chat_actions());
            let starred = if on {
                erased(actions.star_message(&chat, writer.as_ref(), of, id.from_me)).await
            } else {
                erased(actions.unstar_message(&chat, writer.as_ref(), of, id.from_me)).await
            };
            starred.map_err(|error| not_told(connected, &error))
        }
        MessageChange::Vote { id, options, .. } => polls::vote(connected, &id, &options).await,
    }
}

/// See [`crate::engine::Session::change_chat`].
pub(super) async fn chat(connected: &Connected, chat: &Jid, change: ChatChange) -> Result<(), SessionError> {
    let (actions, chat) = (connected.client.chat_actions(), to_network(chat));
    let now = connected.clock.now();
    let told = match change {
        ChatChange::Archive(true) => erased(actions.archive_chat(&chat, None)).await,
        ChatChange::Archive(false) => erased(actions.unarchive_chat(&chat, None)).await,
        ChatChange::Pin(true) => erased(actions.pin_chat(&chat)).await,
        ChatChange::Pin(false) => erased(actions.unpin_chat(&chat)).await,
        ChatChange::Mute(Some(None)) => erased(actions.mute_chat(&chat)).await,
        ChatChange::Mute(Some(Some(until))) if until > now => {
            erased(actions.mute_chat_until(&chat, until.0)).await
        }
        ChatChange::Mute(_) => erased(actions.unmute_chat(&chat)).await,
        ChatChange::Clear => erased(actions.clear_chat(&chat, true, false, None)).await,
        ChatChange::Delete => erased(actions.delete_chat(&chat, false, None)).await,
    };
    told.map_err(|error| not_told(connected, &error))
}

/// The network's key; in a group it names who wrote the message, us too.
fn key_of(connected: &Connected, id: &MessageId) -> whatsapp_rust::waproto::whatsapp::MessageKey {
    let mut key = to_network_key(id);
    if id.chat.is_group() && id.from_me {
        key.participant = connected.identities.me().map(|me| to_network(me).to_string());
    }
    key
}

fn writer_of(id: &MessageId) -> Option<whatsapp_rust::Jid> {
    id.participant.as_ref().map(to_network)
}

fn not_sent(connected: &Connected, error: &SendError) -> SessionError {
    match error {
        SendError::NotLoggedIn => SessionError::Offline,
        SendError::InvalidRequest(_) => refused("it does not take such a change"),
        _ => refused_or_offline(connected, "the change could not be handed to it"),
    }
}

fn not_told(connected: &Connected, error: &AppStateError) -> SessionError {
    match error {
        AppStateError::InvalidRequest(_) => refused("it does not take such a change"),
        _ => refused_or_offline(connected, "the account's other devices could not be told"),
    }
}

fn refused(why: &str) -> SessionError {
    SessionError::Refused(why.to_owned())
}
