//! People: queries, pictures, read receipts, typing and presence.

use super::boxed::boxed;
use std::collections::HashMap;

use whatsapp_rust::types::events::Event;
use whatsapp_rust::{ChatStateType, ContactError, IqError};

use super::connection_context::ConnectionContext;
use super::convert::chat_in;
use super::convert::jid::to_network;
use super::{inbound, on_network, presence_declaration};
use crate::domain::event::TypingKind;
use crate::domain::ids::MessageId;
use crate::domain::jid::Jid;
use crate::engine::{Answer, EngineEvent, InboundError, Query, SessionError};

/// Messages named in one receipt.
const RECEIPT: usize = 100;

/// See [`crate::engine::Session::query`].
pub(super) async fn query(context: &ConnectionContext, query: Query) -> Result<Answer, SessionError> {
    match query {
        Query::Exists(person) => on_network::is_on_network(context, &person).await.map(Answer::Exists),
        Query::ProfilePicture(person) => picture(context, &person).await.map(Answer::ProfilePicture),
    }
}

async fn picture(context: &ConnectionContext, person: &Jid) -> Result<Option<String>, SessionError> {
    match boxed(context.client.contacts().get_profile_picture(&to_network(person), false)).await {
        Ok(picture) => Ok(picture.map(|picture| picture.url).filter(|url| !url.is_empty())),
        // No picture, or not visible to this account.
        Err(ContactError::Iq(IqError::ServerError { code: 401 | 403 | 404, .. })) => Ok(None),
        Err(_) => Err(refused_or_offline(context, "it did not return the picture")),
    }
}

/// See [`crate::engine::Session::mark_read`].
pub(super) async fn mark_read(
    context: &ConnectionContext,
    chat: &Jid,
    messages: &[MessageId],
) -> Result<(), SessionError> {
    let mut by_writer: HashMap<Option<&Jid>, Vec<&str>> = HashMap::new();
    for message in messages.iter().filter(|message| !message.from_me) {
        by_writer.entry(message.participant.as_ref()).or_default().push(message.network.as_str());
    }
    let to = to_network(chat);
    for (writer, ids) in by_writer {
        let writer = writer.map(to_network);
        for ids in ids.chunks(RECEIPT) {
            let sent = boxed(context.client.mark_as_read(&to, writer.as_ref(), ids)).await;
            sent.map_err(|_| refused_or_offline(context, "the receipt could not be sent to it"))?;
        }
    }
    Ok(())
}

/// See [`crate::engine::Session::typing`].
pub(super) async fn typing(
    context: &ConnectionContext,
    chat: &Jid,
    kind: TypingKind,
    on: bool,
) -> Result<(), SessionError> {
    presence_declaration::require_available(context).await?;
    let state = match (on, kind) {
        (false, _) => ChatStateType::Paused,
        (true, TypingKind::Text) => ChatStateType::Composing,
        (true, TypingKind::Audio) => ChatStateType::Recording,
    };
    let sent = boxed(context.client.chatstate().send(&to_network(chat), state)).await;
    sent.map_err(|_| refused_or_offline(context, "the typing indicator could not be sent to it"))
}

/// See [`crate::engine::Session::subscribe_presence`].
pub(super) async fn subscribe_presence(
    context: &ConnectionContext,
    contact: &Jid,
) -> Result<(), SessionError> {
    presence_declaration::require_available(context).await?;
    let asked = boxed(context.client.presence().subscribe(to_network(contact))).await;
    asked.map_err(|_| refused_or_offline(context, "the presence subscription could not be sent to it"))
}

/// Delivers an event about contacts or chats; ignores other events.
///
/// # Errors
/// If the event could not be ingested.
pub(super) async fn on_event(context: &ConnectionContext, event: &Event) -> Result<(), InboundError> {
    let subject = match event {
        Event::ArchiveUpdate(update) => Some(&update.jid),
        Event::PinUpdate(update) => Some(&update.jid),
        Event::MuteUpdate(update) => Some(&update.jid),
        Event::ClearChatUpdate(update) => Some(&update.jid),
        Event::DeleteChatUpdate(update) => Some(&update.jid),
        Event::MarkChatAsReadUpdate(update) => Some(&update.jid),
        Event::StarUpdate(update) => update.participant_jid.as_ref().or(Some(&update.chat_jid)),
        Event::DeleteMessageForMeUpdate(update) => update.participant_jid.as_ref().or(Some(&update.chat_jid)),
        Event::PushNameUpdate(update) => Some(&update.jid),
        Event::ContactNumberChanged(update) => {
            let pair =
                update.new_lid.as_ref().and_then(|lid| context.identities.record_pair(&update.new_jid, lid));
            return match pair {
                Some(update) => context.deliver(EngineEvent::Contacts(vec![update])).await,
                None => Ok(()),
            };
        }
        _ => None,
    };
    if let Some(subject) = subject {
        inbound::resolve(context, subject).await?;
    }
    match chat_in::event_of(event, &context.identities, context.linked_at) {
        Some(event) => context.deliver(event).await,
        None => Ok(()),
    }
}

/// `Offline` without a connection, otherwise a refusal with this reason.
pub(super) fn refused_or_offline(context: &ConnectionContext, why: &str) -> SessionError {
    if context.client.is_connected() { SessionError::Refused(why.to_owned()) } else { SessionError::Offline }
}
