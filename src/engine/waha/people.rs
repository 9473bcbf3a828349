//! People: who they are, whether they are there, and what is shown to them.

use std::time::Duration;

use serde_json::{Value, json};

use super::changes::named;
use super::client::Failure;
use super::convert::ids;
use super::convert::message_in::text;
use super::session::{WahaSession, ended};
use super::taking::NotTaken;
use crate::domain::contact::ContactUpdate;
use crate::domain::event::TypingKind;
use crate::domain::ids::MessageId;
use crate::domain::jid::{Jid, JidKind};
use crate::engine::{Answer, EngineEvent, Query, SessionEnd, SessionError};
use crate::net::Method;

/// Contacts told at once, and messages read in one call.
const BATCH: usize = 500;
const READ_BATCH: usize = 100;
/// How long a message waits for whose a hidden id is.
const LEARN: Duration = Duration::from_secs(4);

/// Tells the address book, and which hidden ids are whose.
pub(super) async fn tell(session: &WahaSession) -> Result<(), SessionEnd> {
    let name = session.settings.session.as_str();
    let contacts = session.client.get(&["contacts", "all"], &[("session", name)]).await;
    let mut told: Vec<ContactUpdate> = known(session, contacts)?.iter().filter_map(contact).collect();
    let lids = session.client.of_session(&["lids"], &[]).await;
    told.extend(known(session, lids)?.iter().filter_map(pair));
    for person in told.iter().filter_map(|update| update.lid.as_ref()) {
        session.asked_lids.add(person);
    }
    for batch in told.chunks(BATCH) {
        session.tell(EngineEvent::Contacts(batch.to_vec())).await?;
    }
    Ok(())
}

/// The list that was answered; none where this server has no such call.
fn known(session: &WahaSession, answer: Result<Value, Failure>) -> Result<Vec<Value>, SessionEnd> {
    match answer {
        Ok(Value::Array(list)) => Ok(list),
        Ok(_) => Ok(Vec::new()),
        Err(failure @ (Failure::Unauthorized | Failure::Unreachable(_))) => {
            Err(ended(&session.device, &failure))
        }
        Err(failure) => {
            tracing::debug!(device = %session.device, error = %failure, "the WAHA server did not tell the account's contacts");
            Ok(Vec::new())
        }
    }
}

fn contact(told: &Value) -> Option<ContactUpdate> {
    let id = ids::jid(told.get("id")).filter(|id| matches!(id.kind(), JidKind::Person | JidKind::Lid))?;
    let in_book = told.get("isMyContact").and_then(Value::as_bool).unwrap_or(true);
    Some(ContactUpdate {
        address_book_name: text(told.get("name")).filter(|_| in_book),
        pushname: text(told.get("pushname")),
        lid: ids::jid(told.get("lid"))
            .filter(|lid| lid.kind() == JidKind::Lid && id.kind() == JidKind::Person),
        id,
    })
}

/// A hidden id and its number.
fn pair(told: &Value) -> Option<ContactUpdate> {
    let id = ids::jid(told.get("pn")).filter(|id| id.kind() == JidKind::Person)?;
    let lid = ids::jid(told.get("lid")).filter(|lid| lid.kind() == JidKind::Lid)?;
    Some(ContactUpdate { lid: Some(lid), ..ContactUpdate::seen(id) })
}

/// Asks once whose the hidden ids among these are.
pub(super) async fn learn(session: &WahaSession, people: [&Jid; 2]) -> Result<(), NotTaken> {
    for person in people {
        if person.kind() != JidKind::Lid || !session.asked_lids.add(person) {
            continue;
        }
        let lid = person.to_string();
        let told = tokio::time::timeout(LEARN, session.client.of_session(&["lids", &lid], &[])).await;
        if let Ok(Ok(told)) = told
            && let Some(update) = pair(&told)
        {
            session.take_event(EngineEvent::Contacts(vec![update])).await?;
        }
    }
    Ok(())
}

/// Whether a person is on the network; who is there is remembered.
pub(super) async fn is_on_network(session: &WahaSession, person: &Jid) -> Result<bool, SessionError> {
    if session.on_network.has(person) {
        return Ok(true);
    }
    let number = person.phone().ok_or(SessionError::NotSupported)?;
    let query = [("phone", number), ("session", session.settings.session.as_str())];
    let told = session.client.get(&["contacts", "check-exists"], &query).await?;
    let there = told.get("numberExists").and_then(Value::as_bool).ok_or(SessionError::NotSupported)?;
    if there {
        session.on_network.add(person);
    }
    Ok(there)
}

/// See [`crate::engine::Session::query`].
pub(super) async fn query(session: &WahaSession, query: Query) -> Result<Answer, SessionError> {
    match query {
        Query::Exists(person) => Ok(Answer::Exists(is_on_network(session, &person).await?)),
        Query::ProfilePicture(person) => {
            let (id, name) = (person.to_string(), session.settings.session.as_str());
            let query = [("contactId", id.as_str()), ("session", name)];
            let told = session.client.get(&["contacts", "profile-picture"], &query).await?;
            Ok(Answer::ProfilePicture(text(told.get("profilePictureURL"))))
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
    for batch in messages.chunks(READ_BATCH) {
        let mut names = Vec::with_capacity(batch.len());
        for id in batch {
            names.push(named(session, id).await?);
        }
        let mut body = json!({ "session": session.settings.session, "chatId": chat_id, "messageIds": names });
        // Some engines need to know whose they are, and take those of one member at a time.
        let mut authors = batch.iter().map(|id| id.participant.as_ref());
        if let Some(Some(author)) = authors.next()
            && authors.all(|other| other == Some(author))
        {
            body["participant"] = json!(author);
        }
        session.client.call(Method::POST, &["sendSeen"], body).await?;
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
    match kind {
        TypingKind::Text => {
            let call = if on { "startTyping" } else { "stopTyping" };
            let body = json!({ "session": session.settings.session, "chatId": chat });
            session.client.call(Method::POST, &[call], body).await?;
        }
        TypingKind::Audio => {
            let body = json!({ "chatId": chat, "presence": if on { "recording" } else { "paused" } });
            session.client.to_session(Method::POST, &["presence"], body).await?;
        }
    }
    Ok(())
}

/// See [`crate::engine::Session::subscribe_presence`].
pub(super) async fn subscribe_presence(session: &WahaSession, contact: &Jid) -> Result<(), SessionError> {
    let contact = ids::to_chat(contact);
    session.client.to_session(Method::POST, &["presence", &contact, "subscribe"], json!({})).await?;
    Ok(())
}
