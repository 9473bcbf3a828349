//! Contacts, presence, typing and read receipts.

use std::time::Duration;

use serde_json::{Value, json};

use super::client::session_error;
use super::convert::ids;
use super::session::WahaSession;
use crate::domain::contact::ContactUpdate;
use crate::domain::event::TypingKind;
use crate::domain::ids::MessageId;
use crate::domain::jid::{Jid, JidKind};
use crate::engine::relay::client::UpstreamFailure;
use crate::engine::relay::lenient::non_empty;
use crate::engine::{Answer, EngineEvent, Query, SessionEnd, SessionError};
use crate::net::Method;

/// Contacts in one event.
const CONTACTS_PER_EVENT: usize = 500;
/// Messages in one read receipt.
const RECEIPT_MESSAGES: usize = 100;
/// How long a message waits until a hidden id is resolved.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(4);

/// Delivers the address book, and the numbers of hidden ids.
pub(super) async fn deliver_contacts(session: &WahaSession) -> Result<(), SessionEnd> {
    let name = session.settings.session.as_str();
    let contacts = session.client.get(&["contacts", "all"], &[("session", name)]).await;
    let mut updates: Vec<ContactUpdate> = list(session, contacts)?.iter().filter_map(contact).collect();
    let lids = session.client.of_session(&["lids"], &[]).await;
    updates.extend(list(session, lids)?.iter().filter_map(lid_pair));
    for lid in updates.iter().filter_map(|update| update.lid.as_ref()) {
        session.resolved_lids.insert(lid);
    }
    for batch in updates.chunks(CONTACTS_PER_EVENT) {
        session.context.deliver(EngineEvent::Contacts(batch.to_vec())).await?;
    }
    Ok(())
}

/// The answered list; an empty one where the server has no such call.
fn list(session: &WahaSession, answer: Result<Value, UpstreamFailure>) -> Result<Vec<Value>, SessionEnd> {
    match answer {
        Ok(Value::Array(list)) => Ok(list),
        Ok(_) => Ok(Vec::new()),
        Err(failure) if failure.is_unauthorized() || failure.is_unreachable() => {
            session.context.answered(Err(failure))
        }
        Err(failure) => {
            tracing::debug!(device = %session.context.device, error = %failure, "the WAHA server has no list of contacts");
            Ok(Vec::new())
        }
    }
}

fn contact(entry: &Value) -> Option<ContactUpdate> {
    let id = ids::jid(entry.get("id")).filter(|id| matches!(id.kind(), JidKind::Person | JidKind::Lid))?;
    let in_book = entry.get("isMyContact").and_then(Value::as_bool).unwrap_or(true);
    Some(ContactUpdate {
        address_book_name: non_empty(entry.get("name")).filter(|_| in_book),
        pushname: non_empty(entry.get("pushname")),
        lid: ids::jid(entry.get("lid"))
            .filter(|lid| lid.kind() == JidKind::Lid && id.kind() == JidKind::Person),
        id,
    })
}

/// A hidden id and its number.
fn lid_pair(entry: &Value) -> Option<ContactUpdate> {
    let id = ids::jid(entry.get("pn")).filter(|id| id.kind() == JidKind::Person)?;
    let lid = ids::jid(entry.get("lid")).filter(|lid| lid.kind() == JidKind::Lid)?;
    Some(ContactUpdate { lid: Some(lid), ..ContactUpdate::seen(id) })
}

/// Asks the server once for the number of each hidden id.
pub(super) async fn resolve_lids(session: &WahaSession, people: [&Jid; 2]) -> Vec<ContactUpdate> {
    let mut resolved = Vec::new();
    for person in people {
        if person.kind() != JidKind::Lid || !session.resolved_lids.insert(person) {
            continue;
        }
        let lid = person.to_string();
        let path = ["lids", lid.as_str()];
        let answer = tokio::time::timeout(RESOLVE_TIMEOUT, session.client.of_session(&path, &[])).await;
        resolved.extend(answer.ok().and_then(Result::ok).as_ref().and_then(lid_pair));
    }
    resolved
}

/// Whether a person is on the network; a positive answer is cached.
pub(super) async fn is_on_network(session: &WahaSession, person: &Jid) -> Result<bool, SessionError> {
    if session.on_network.contains(person) {
        return Ok(true);
    }
    let number = person.phone().ok_or(SessionError::NotSupported)?;
    let query = [("phone", number), ("session", session.settings.session.as_str())];
    let answer = session.client.get(&["contacts", "check-exists"], &query).await.map_err(session_error)?;
    let exists = answer.get("numberExists").and_then(Value::as_bool).ok_or(SessionError::NotSupported)?;
    if exists {
        session.on_network.insert(person);
    }
    Ok(exists)
}

/// See [`crate::engine::Session::query`].
pub(super) async fn query(session: &WahaSession, query: Query) -> Result<Answer, SessionError> {
    match query {
        Query::Exists(person) => Ok(Answer::Exists(is_on_network(session, &person).await?)),
        Query::ProfilePicture(person) => {
            let (id, name) = (person.to_string(), session.settings.session.as_str());
            let query = [("contactId", id.as_str()), ("session", name)];
            let answer = session.client.get(&["contacts", "profile-picture"], &query).await;
            let url = non_empty(answer.map_err(session_error)?.get("profilePictureURL"));
            Ok(Answer::ProfilePicture(url))
        }
    }
}

/// See [`crate::engine::Session::mark_read`].
pub(super) async fn mark_read(
    session: &WahaSession,
    chat: &Jid,
    messages: &[MessageId],
) -> Result<(), SessionError> {
    let chat_id = ids::to_chat(chat);
    for batch in messages.chunks(RECEIPT_MESSAGES) {
        let mut message_ids = Vec::with_capacity(batch.len());
        for id in batch {
            message_ids.push(session.upstream_message_id(id).await?);
        }
        let mut body =
            json!({ "session": session.settings.session, "chatId": chat_id, "messageIds": message_ids });
        // Some engines require the author, and accept the messages of one member at a time.
        let mut authors = batch.iter().map(|id| id.participant.as_ref());
        if let Some(Some(author)) = authors.next()
            && authors.all(|other| other == Some(author))
        {
            body["participant"] = json!(author);
        }
        session.client.call(Method::POST, &["sendSeen"], body).await.map_err(session_error)?;
    }
    Ok(())
}

/// See [`crate::engine::Session::typing`].
pub(super) async fn typing(
    session: &WahaSession,
    chat: &Jid,
    kind: TypingKind,
    on: bool,
) -> Result<(), SessionError> {
    let chat = ids::to_chat(chat);
    let answer = match kind {
        TypingKind::Text => {
            let call = if on { "startTyping" } else { "stopTyping" };
            let body = json!({ "session": session.settings.session, "chatId": chat });
            session.client.call(Method::POST, &[call], body).await
        }
        TypingKind::Audio => {
            let body = json!({ "chatId": chat, "presence": if on { "recording" } else { "paused" } });
            session.client.to_session(Method::POST, &["presence"], body).await
        }
    };
    answer.map(drop).map_err(session_error)
}

/// See [`crate::engine::Session::subscribe_presence`].
pub(super) async fn subscribe_presence(session: &WahaSession, contact: &Jid) -> Result<(), SessionError> {
    let contact = ids::to_chat(contact);
    let path = ["presence", contact.as_str(), "subscribe"];
    session.client.to_session(Method::POST, &path, json!({})).await.map(drop).map_err(session_error)
}
