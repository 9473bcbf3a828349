//! What was missed, asked for over REST: neither webhooks nor the WebSocket resume.
//!
//! When a session begins, every chat whose newest message is not older than what was taken in last is read from there
//! on, with an overlap; the daemon drops what it has. After the link, everything that the server has is read once, as
//! history. What is asked for is bounded; what is beyond stays at the server.

use serde_json::Value;

use super::client::Failure;
use super::connected;
use super::convert::event_in::level;
use super::convert::message_in::{self, Message, time};
use super::convert::{ids, message_in::text};
use super::later::{self, Told};
use super::session::{WahaSession, ended};
use super::taking::NotTaken;
use crate::domain::clock::Millis;
use crate::domain::event::HistoryPhase;
use crate::domain::ids::MessageId;
use crate::domain::jid::Jid;
use crate::domain::reason::Reason;
use crate::engine::{Ended, EngineEvent, Incoming, VaultError};

/// Where the vault says how far messages were taken in.
const SPACE: &str = "waha.taken";
const NEWEST: &str = "newest";
/// So much before that is asked for again: clocks differ, webhooks come late, and acks follow their messages.
const OVERLAP_MS: i64 = 30 * 60_000;
/// Things in one answer.
const PAGE: usize = 100;
/// Chats, messages of one chat, and messages in all that are asked for at once.
const MAX_CHATS: usize = 10_000;
const MAX_OF_CHAT: usize = 2_000;
const MAX_MESSAGES: usize = 20_000;
/// Messages of the history in one event.
const BATCH: usize = 100;

/// Asks for what was missed; says whether that was the whole history, after the link. Only when all of it was read is
/// there a position of this session.
pub(super) async fn begin(session: &WahaSession) -> Result<bool, Ended> {
    let noted = noted(session).await.map_err(|error| vault_failed(session, &error))?;
    match noted.map(|noted| Millis(noted).min(session.now())) {
        Some(noted) => {
            session.position.saw(noted, session.now());
            gap(session, noted.plus(-OVERLAP_MS).0).await?;
        }
        None => history(session, true).await?,
    }
    // A session that stopped meanwhile refuses, which reads as if nothing had been missed.
    connected::check(session).await?;
    session.position.is_whole();
    if let Some(reached) = session.position.reached() {
        note(session, reached).await.map_err(|error| vault_failed(session, &error))?;
    }
    Ok(noted.is_none())
}

/// Asks for the history once more, in silence.
pub(super) async fn history_again(session: &WahaSession) -> Result<(), Ended> {
    history(session, false).await
}

/// Notes how far messages were taken in.
pub(super) async fn note(session: &WahaSession, reached: i64) -> Result<(), VaultError> {
    // Before the history is in, nothing is: what was not noted is history.
    if !session.is_online() && noted(session).await?.is_none() {
        return Ok(());
    }
    session.vault.put(SPACE, NEWEST, Some(reached.to_string().into_bytes())).await
}

async fn noted(session: &WahaSession) -> Result<Option<i64>, VaultError> {
    let value = session.vault.get(SPACE, NEWEST).await?;
    Ok(value.and_then(|bytes| String::from_utf8(bytes).ok()?.parse().ok()))
}

fn vault_failed(session: &WahaSession, error: &VaultError) -> Ended {
    tracing::warn!(device = %session.device, %error, "how far messages were taken in could not be read");
    Ended::LinkLost(Reason::EngineError)
}

/// Everything since this moment, oldest first, as if it had been told then.
async fn gap(session: &WahaSession, since: i64) -> Result<(), Ended> {
    for chat in chats(session, Some(since)).await? {
        for message in messages(session, &chat, Some(since), MAX_OF_CHAT).await? {
            take(session, message).await.map_err(|error| error.ends(session))?;
        }
    }
    Ok(())
}

/// A message that was missed, or of which something was.
async fn take(session: &WahaSession, message: Message) -> Result<(), NotTaken> {
    let id = id_of(&message.incoming);
    if message.revoked {
        return session.take_event(EngineEvent::Revoked { id }).await;
    }
    let (ack, edited, body) = (message.ack, message.edited, message.incoming.body.clone());
    let at = message.incoming.timestamp;
    let edit = edited.map(|at| EngineEvent::Edited { id: id.clone(), body, at });
    let receipt = ack.and_then(|ack| level(ack, at, id.chat.clone(), id.network.clone(), None));
    let since = edit.into_iter().chain(receipt).collect();
    later::take(session, Told { message, since }, true).await
}

fn id_of(message: &Incoming) -> MessageId {
    let member = (message.chat.is_group() && !message.from_me).then(|| message.from.clone());
    MessageId {
        from_me: message.from_me,
        chat: message.chat.clone(),
        network: message.network_id.clone(),
        participant: member,
    }
}

/// All that the server has, as history; its files stay there.
async fn history(session: &WahaSession, tells: bool) -> Result<(), Ended> {
    let mut all = Vec::new();
    for chat in chats(session, None).await? {
        let room = MAX_OF_CHAT.min(MAX_MESSAGES.saturating_sub(all.len()));
        all.extend(messages(session, &chat, None, room).await?);
    }
    let total = all.len() as u64;
    let mut done = 0;
    while !all.is_empty() {
        let rest = all.split_off(all.len().min(BATCH));
        let mut batch = Vec::with_capacity(all.len());
        for message in std::mem::replace(&mut all, rest) {
            session.position.saw(message.incoming.timestamp, session.now());
            let renamed = session.with_our_ids(message.incoming).await;
            batch.push(renamed.map_err(|error| error.ends(session))?);
        }
        done += batch.len() as u64;
        session.tell(EngineEvent::History(batch)).await?;
        if tells {
            progress(session, done, total, HistoryPhase::Messages).await?;
        }
    }
    if tells && total > 0 {
        progress(session, total, total, HistoryPhase::Complete).await?;
    }
    Ok(())
}

async fn progress(session: &WahaSession, done: u64, total: u64, phase: HistoryPhase) -> Result<(), Ended> {
    session.tell(EngineEvent::HistoryProgress { done, total: Some(total), phase }).await
}

/// The chats in which something happened since.
async fn chats(session: &WahaSession, since: Option<i64>) -> Result<Vec<Jid>, Ended> {
    let mut found: Vec<Jid> = Vec::new();
    for page in 0..MAX_CHATS / PAGE {
        let (limit, offset) = (PAGE.to_string(), (page * PAGE).to_string());
        let query = [("limit", limit.as_str()), ("offset", offset.as_str())];
        let list = page_of(session, session.client.of_session(&["chats", "overview"], &query).await)?;
        let full = list.len() >= PAGE;
        for chat in &list {
            let Some(id) = ids::jid(chat.get("id")) else { continue };
            if id.is_group()
                && let Some(name) = text(chat.get("name"))
            {
                session.tell(EngineEvent::ChatName { chat: id.clone(), name }).await?;
            }
            let newest = time(chat.pointer("/lastMessage/timestamp")).map_or(0, |at| at.0);
            if since.is_none_or(|since| newest >= since) && !found.contains(&id) {
                found.push(id);
            }
        }
        if !full {
            break;
        }
    }
    Ok(found)
}

/// A chat's messages since, oldest first, and no more than `most` of the newest.
async fn messages(
    session: &WahaSession,
    chat: &Jid,
    since: Option<i64>,
    most: usize,
) -> Result<Vec<Message>, Ended> {
    let (chat, me) = (ids::to_chat(chat), session.me());
    let since = since.map(|since| since.div_euclid(1_000).max(0).to_string());
    let mut found: Vec<Message> = Vec::new();
    while found.len() < most {
        let (limit, offset) = (PAGE.to_string(), found.len().to_string());
        let downloads = if since.is_some() { "true" } else { "false" };
        let mut query =
            vec![("limit", limit.as_str()), ("offset", offset.as_str()), ("downloadMedia", downloads)];
        query.extend(since.as_deref().map(|since| ("filter.timestamp.gte", since)));
        let path = ["chats", chat.as_str(), "messages"];
        let list = page_of(session, session.client.of_session(&path, &query).await)?;
        let before = found.len();
        found.extend(list.iter().filter_map(|told| message_in::message(told, me.as_ref(), session.now())));
        if list.len() < PAGE || found.len() == before {
            break;
        }
    }
    found.sort_by_key(|message| message.incoming.timestamp);
    Ok(found)
}

/// A page of an answer. A server whose store is off has none to give.
fn page_of(session: &WahaSession, answer: Result<Value, Failure>) -> Result<Vec<Value>, Ended> {
    match answer {
        Ok(Value::Array(list)) => Ok(list),
        Ok(_) => Ok(Vec::new()),
        Err(failure @ (Failure::Refused { .. } | Failure::Unknowing | Failure::Unwell(501))) => {
            tracing::warn!(device = %session.device, error = %failure, "the WAHA server does not tell what was missed");
            Ok(Vec::new())
        }
        Err(failure) => Err(ended(&session.device, &failure)),
    }
}
