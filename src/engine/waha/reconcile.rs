//! What was missed, asked for over REST: neither webhooks nor the WebSocket resume.
//!
//! When a session begins, every chat whose newest message is not older than what was taken in last is read from there
//! on, with an overlap; the daemon drops what it has. A chat that cannot be read is left for later. After the link, everything that the server has is read once, as
//! history. What is asked for is bounded; what is beyond stays at the server.

use super::client::Failure;
use super::connected;
use super::convert::event_in::level;
use super::convert::ids;
use super::convert::message_in::{Message, text, time};
use super::later::{self, Told};
use super::session::{WahaSession, ended};
use super::taking::NotTaken;
use super::{left, listing};
use crate::domain::clock::Millis;
use crate::domain::event::HistoryPhase;
use crate::domain::ids::MessageId;
use crate::domain::jid::Jid;
use crate::domain::reason::Reason;
use crate::engine::{EngineEvent, Incoming, SessionEnd, VaultError};

/// Where the vault says how far messages were taken in.
pub(super) const SPACE: &str = "waha.taken";
const NEWEST: &str = "newest";
/// So much before that is asked for again: clocks differ, webhooks come late, and acks follow their messages.
const OVERLAP_MS: i64 = 30 * 60_000;
/// So many chats that cannot be read, one after the other, are taken for all.
pub(super) const MOST_IN_A_ROW: usize = 5;
/// Chats, messages of one chat, and messages in all that are asked for at once.
const MAX_CHATS: usize = 10_000;
const MAX_OF_CHAT: usize = 2_000;
const MAX_MESSAGES: usize = 20_000;
/// Messages of the history in one event.
const BATCH: usize = 100;

/// Asks for what was missed; says whether that was the whole history, after the link. Only when all of it was read is
/// there a position of this session.
pub(super) async fn begin(session: &WahaSession) -> Result<bool, SessionEnd> {
    let noted = noted(session).await.map_err(|error| vault_failed(session, &error))?;
    match noted.map(|noted| Millis(noted).min(session.now())) {
        Some(noted) => {
            session.position.saw(noted, session.now());
            let before = left::all(session).await.map_err(|error| vault_failed(session, &error))?;
            gap(session, noted.plus(-OVERLAP_MS).0).await?;
            left::read(session, before).await?;
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
pub(super) async fn history_again(session: &WahaSession) -> Result<(), SessionEnd> {
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

pub(super) fn vault_failed(session: &WahaSession, error: &VaultError) -> SessionEnd {
    tracing::warn!(device = %session.device, %error, "how far messages were taken in could not be read");
    SessionEnd::LinkLost(Reason::EngineError)
}

/// Everything since this moment, oldest first, as if it had been told then. A chat that cannot be read holds up no other.
async fn gap(session: &WahaSession, since: i64) -> Result<(), SessionEnd> {
    let (mut cut, mut left, mut in_a_row) = (0_usize, 0_usize, 0);
    for chat in chats(session, Some(since)).await? {
        // What fails again and again fails for all of them: asking for each would take too long.
        let outcome = if in_a_row < MOST_IN_A_ROW { Some(read(session, &chat, since).await?) } else { None };
        match outcome {
            Some(Read::Whole) => in_a_row = 0,
            Some(Read::Cut) => (cut, in_a_row) = (cut + 1, 0),
            not @ (Some(Read::Not(_)) | None) => {
                if let (Some(Read::Not(error)), 0) = (not, left) {
                    tracing::warn!(device = %session.device, %error, "the WAHA server does not tell what was missed in a chat: it is read again later");
                }
                left::note(session, &chat, since).await.map_err(|error| vault_failed(session, &error))?;
                (left, in_a_row) = (left + 1, in_a_row + 1);
            }
        }
    }
    if left > 1 {
        tracing::warn!(device = %session.device, chats = left, "what was missed in chats is read again later");
    }
    if cut > 0 {
        tracing::warn!(
            device = %session.device, chats = cut, most = MAX_OF_CHAT,
            "more was missed in chats than is read: the oldest of it stays at the WAHA server"
        );
    }
    Ok(())
}

/// How a chat was read.
pub(super) enum Read {
    /// To its end.
    Whole,
    /// There may be more than is read.
    Cut,
    /// Not.
    Not(Failure),
}

/// Takes in what was missed in a chat since this moment.
pub(super) async fn read(session: &WahaSession, chat: &Jid, since: i64) -> Result<Read, SessionEnd> {
    let listed = match listing::messages(session, chat, Some(since), MAX_OF_CHAT).await {
        Ok(listed) => listed,
        // It is not there any more.
        Err(Failure::Unknowing) => return Ok(Read::Whole),
        Err(failure @ (Failure::Unauthorized | Failure::Unreachable(_))) => {
            return Err(ended(&session.device, &failure));
        }
        Err(failure) => return Ok(Read::Not(failure)),
    };
    for message in listed.messages {
        take(session, message).await.map_err(|error| error.ends(session))?;
    }
    Ok(if listed.is_cut { Read::Cut } else { Read::Whole })
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
async fn history(session: &WahaSession, tells: bool) -> Result<(), SessionEnd> {
    let mut all = Vec::new();
    let (mut left, mut in_a_row) = (0_usize, 0);
    for chat in chats(session, None).await? {
        let room = MAX_OF_CHAT.min(MAX_MESSAGES.saturating_sub(all.len()));
        match listing::messages(session, &chat, None, room).await {
            Ok(listed) => {
                in_a_row = 0;
                all.extend(listed.messages);
            }
            Err(failure @ (Failure::Unauthorized | Failure::Unreachable(_))) => {
                return Err(ended(&session.device, &failure));
            }
            Err(Failure::Refused { .. } | Failure::Unknowing) => left += 1,
            // It is the server that is unwell, not the chat.
            Err(failure) if in_a_row >= MOST_IN_A_ROW => return Err(ended(&session.device, &failure)),
            Err(_) => (left, in_a_row) = (left + 1, in_a_row + 1),
        }
    }
    if left > 0 {
        tracing::warn!(device = %session.device, chats = left, "the WAHA server does not tell the history of chats");
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

async fn progress(
    session: &WahaSession,
    done: u64,
    total: u64,
    phase: HistoryPhase,
) -> Result<(), SessionEnd> {
    session.tell(EngineEvent::HistoryProgress { done, total: Some(total), phase }).await
}

/// The chats in which something happened since.
async fn chats(session: &WahaSession, since: Option<i64>) -> Result<Vec<Jid>, SessionEnd> {
    let (mut found, mut names): (Vec<Jid>, Vec<(Jid, String)>) = (Vec::new(), Vec::new());
    let read = listing::all(session, &["chats", "overview"], &[], MAX_CHATS, |chat| {
        let Some(id) = ids::jid(chat.get("id")) else { return };
        if let Some(name) = text(chat.get("name")).filter(|_| id.is_group()) {
            names.push((id.clone(), name));
        }
        let newest = time(chat.pointer("/lastMessage/timestamp")).map_or(0, |at| at.0);
        if since.is_none_or(|since| newest >= since) {
            found.push(id);
        }
    })
    .await;
    match read {
        Ok(false) => {}
        Ok(true) => {
            tracing::warn!(device = %session.device, most = MAX_CHATS, "the account has more chats than are asked for what was missed");
        }
        // A server whose store is off has none to give.
        Err(failure @ (Failure::Refused { .. } | Failure::Unknowing | Failure::Unwell(501))) => {
            tracing::warn!(device = %session.device, error = %failure, "the WAHA server does not tell what was missed");
        }
        Err(failure) => return Err(ended(&session.device, &failure)),
    }
    for (chat, name) in names {
        session.tell(EngineEvent::ChatName { chat, name }).await?;
    }
    Ok(found)
}
