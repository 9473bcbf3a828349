//! People: who is on the network, their pictures, who is online, and who reads what.

use super::boxed::erased;
use std::collections::HashMap;

use whatsapp_rust::types::events::Event;
use whatsapp_rust::{ChatStateType, ContactError, IqError};

use super::connection_context::Connected;
use super::convert::chat_in;
use super::convert::jid::to_network;
use super::{inbound, on_network};
use crate::domain::event::TypingKind;
use crate::domain::ids::MessageId;
use crate::domain::jid::Jid;
use crate::engine::{Answer, EngineEvent, InboundError, Query, SessionError};

/// Messages that one receipt names.
const RECEIPT: usize = 100;

/// See [`crate::engine::Session::query`].
pub(super) async fn query(connected: &Connected, query: Query) -> Result<Answer, SessionError> {
    match query {
        Query::Exists(person) => on_network::is_on_network(connected, &person).await.map(Answer::Exists),
        Query::ProfilePicture(person) => picture(connected, &person).await.map(Answer::ProfilePicture),
    }
}

async fn picture(connected: &Connected, person: &Jid) -> Result<Option<String>, SessionError> {
    match erased(connected.client.contacts().get_profile_picture(&to_network(person), false)).await {
        Ok(picture) => Ok(picture.map(|picture| picture.url).filter(|url| !url.is_empty())),
        // There is none, or it is not for this account.
        Err(ContactError::Iq(IqError::ServerError { code: 401 | 403 | 404, .. })) => Ok(None),
        Err(_) => Err(refused_or_offline(connected, "it did not say where the picture is")),
    }
}

/// See [`crate::engine::Session::mark_read`].
pub(super) async fn mark_read(
    connected: &Connected,
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
            let told = erased(connected.client.mark_as_read(&to, writer.as_ref(), ids)).await;
            told.map_err(|_| refused_or_offline(connected, "the receipt could not be handed to it"))?;
        }
    }
    Ok(())
}

/// See [`crate::engine::Session::typing`].
pub(super) async fn typing(
    connected: &Connected,
    chat: &Jid,
    kind: TypingKind,
    on: bool,
) -> Result<(), SessionError> {
    let state = match (on, kind) {
        (false, _) => ChatStateType::Paused,
        (true, TypingKind::Text) => ChatStateType::Composing,
        (true, TypingKind::Audio) => ChatStateType::Recording,
    };
    let told = erased(connected.client.chatstate().send(&to_network(chat), state)).await;
    told.map_err(|_| refused_or_offline(connected, "it could not be told who types"))
}

/// See [`crate::engine::Session::subscribe_presence`].
pub(super) async fn subscribe_presence(connected: &Connected, contact: &Jid) -> Result<(), SessionError> {
    let asked = erased(connected.client.presence().subscribe(to_network(contact))).await;
    asked.map_err(|_| refused_or_offline(connected, "it could not be asked who is online"))
}

/// Tells of an event about people (names, numbers) or chats (archived, muted, …); others are none of its business.
///
/// # Errors
/// When the daemon did not take it.
pub(super) async fn heard(connected: &Connected, event: &Event) -> Result<(), InboundError> {
    let subject = match event {
        Event::ArchiveUpdate(told) => Some(&told.jid),
        Event::PinUpdate(told) => Some(&told.jid),
        Event::MuteUpdate(told) => Some(&told.jid),
        Event::ClearChatUpdate(told) => Some(&told.jid),
        Event::DeleteChatUpdate(told) => Some(&told.jid),
        Event::MarkChatAsReadUpdate(told) => Some(&told.jid),
        Event::StarUpdate(told) => told.participant_jid.as_ref().or(Some(&told.chat_jid)),
        Event::DeleteMessageForMeUpdate(told) => told.participant_jid.as_ref().or(Some(&told.chat_jid)),
        Event::PushNameUpdate(told) => Some(&told.jid),
        Event::ContactNumberChanged(told) => {
            let pair =
                told.new_lid.as_ref().and_then(|lid| connected.identities.learn_pair(&told.new_jid, lid));
            return match pair {
                Some(news) => connected.tell(EngineEvent::Contacts(vec![news])).await,
                None => Ok(()),
            };
        }
        _ => None,
    };
    if let Some(subject) = subject {
        inbound::learn(connected, subject).await?;
    }
    match chat_in::event_of(event, &connected.identities) {
        Some(event) => connected.tell(event).await,
        None => Ok(()),
    }
}

/// Why something was not done: the link is gone, or this.
pub(super) fn refused_or_offline(connected: &Connected, why: &str) -> SessionError {
    if connected.client.is_connected() {
        SessionError::Refused(why.to_owned())
    } else {
        SessionError::Offline
    }
}
