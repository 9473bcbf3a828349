//! Reads missed messages over REST, because neither webhooks nor the WebSocket resume.
//!
//! A new session reads each chat with recent messages from the stored position on, with an overlap; the
//! daemon drops duplicates. A chat that cannot be read is deferred and does not block the others. After
//! linking, all messages of the server are read once, as history. Each read is bounded; older messages stay
//! at the server.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::client::refusal;
use super::convert::event_in::receipt_event;
use super::convert::ids;
use super::convert::message_in::{self, Message, time};
use super::inbound::IngestError;
use super::linking;
use super::session::{PendingMedia, WahaSession};
use crate::domain::event::HistoryPhase;
use crate::domain::ids::MessageId;
use crate::domain::jid::Jid;
use crate::engine::relay::client::UpstreamFailure;
use crate::engine::relay::lenient::non_empty;
use crate::engine::{EngineEvent, Incoming, IncomingChange, SessionEnd, VaultError};

/// The vault space of the position.
pub(super) const SPACE: &str = "waha.taken";
const POSITION: &str = "newest";
/// In the same space: when the first session began, in milliseconds of our clock. What came before is history.
const LINKED_AT: &str = "linked";
/// The vault space of deferred chats, with the time to read each from.
pub(super) const DEFERRED_SPACE: &str = "waha.left";
/// A deferred chat is given up after this time.
const DEFERRED_EXPIRES_MS: i64 = 30 * 86_400_000;
const FIRST_RETRY: Duration = Duration::from_secs(60);
const LONGEST_RETRY: Duration = Duration::from_secs(3_600);
/// The overlap before the position that is read again: clocks differ, webhooks arrive late, and receipts
/// follow their messages.
const OVERLAP_MS: i64 = 30 * 60_000;
/// After this many failures in a row the remaining chats are deferred unread.
const MAX_FAILURES_IN_A_ROW: usize = 5;
const MAX_CHATS: usize = 10_000;
const MAX_MESSAGES_PER_CHAT: usize = 2_000;
const MAX_HISTORY_MESSAGES: usize = 20_000;
/// Messages of the history in one event.
const HISTORY_BATCH: usize = 100;
/// The requested size of a page; the server may return less.
const PAGE_SIZE: &str = "100";

/// Reads missed messages; returns whether it read the whole history, as after linking. The session has a
/// position only after a complete read.
pub(super) async fn begin(session: &WahaSession) -> Result<bool, SessionEnd> {
    let stored = stored_position(session).await?;
    session.position.observe(stored.map_or(0, |stored| stored.min(session.context.now().0)));
    match stored {
        Some(stored) => {
            let deferred = deferred_chats(session).await?;
            read_missed(session, stored.min(session.context.now().0) - OVERLAP_MS).await?;
            retry_deferred(session, deferred).await?;
        }
        None => read_history(session, linked_at(session).await?, true).await?,
    }
    // A session that stopped meanwhile rejects the reads; without this check the position would skip
    // their messages.
    linking::ensure_working(session).await?;
    session.position.mark_complete();
    if let Some(position) = session.position.commit() {
        session.context.stored(put_position(session, position).await)?;
    }
    Ok(stored.is_none())
}

/// Reads the history once more, without progress events.
pub(super) async fn read_history_again(session: &WahaSession) -> Result<(), SessionEnd> {
    read_history(session, linked_at(session).await?, false).await
}

/// Stores the position. A session without a position does not change the stored one.
pub(super) async fn store_position(session: &WahaSession) {
    let Some(position) = session.position.commit() else { return };
    if let Err(error) = put_position(session, position).await {
        tracing::warn!(device = %session.context.device, %error, "the position could not be stored");
    }
}

async fn put_position(session: &WahaSession, position: i64) -> Result<(), VaultError> {
    session.context.vault.put(SPACE, POSITION, Some(position.to_string().into_bytes())).await
}

async fn stored_position(session: &WahaSession) -> Result<Option<i64>, SessionEnd> {
    let stored = session.context.vault.get(SPACE, POSITION).await;
    Ok(session.context.stored(stored)?.and_then(parsed))
}

fn parsed(bytes: Vec<u8>) -> Option<i64> {
    String::from_utf8(bytes).ok()?.parse().ok()
}

/// How reading a chat ended.
enum ChatBackfill {
    Complete,
    /// There may be older messages than were read.
    Cut,
    Failed(UpstreamFailure),
}

/// Ingests all messages since this time, the oldest message of each chat first.
async fn read_missed(session: &WahaSession, since: i64) -> Result<(), SessionEnd> {
    let (mut cut, mut deferred, mut failures) = (0_usize, 0_usize, 0_usize);
    for chat in recent_chats(session, Some(since)).await? {
        if failures < MAX_FAILURES_IN_A_ROW {
            match read_chat(session, &chat, since).await? {
                ChatBackfill::Complete => {
                    failures = 0;
                    continue;
                }
                ChatBackfill::Cut => {
                    (cut, failures) = (cut + 1, 0);
                    continue;
                }
                ChatBackfill::Failed(error) if deferred == 0 => {
                    tracing::warn!(device = %session.context.device, %error, "a chat could not be read: its backfill is deferred");
                }
                ChatBackfill::Failed(_) => {}
            }
        }
        defer_chat(session, &chat, since).await?;
        (deferred, failures) = (deferred + 1, failures + 1);
    }
    if deferred > 1 {
        tracing::warn!(device = %session.context.device, chats = deferred, "the backfill of chats is deferred");
    }
    if cut > 0 {
        let max = MAX_MESSAGES_PER_CHAT;
        tracing::warn!(device = %session.context.device, chats = cut, max, "too many missed messages: older ones stay at the WAHA server");
    }
    Ok(())
}

async fn read_chat(session: &WahaSession, chat: &Jid, since: i64) -> Result<ChatBackfill, SessionEnd> {
    let page = match messages(session, chat, Some(since), MAX_MESSAGES_PER_CHAT).await {
        Ok(page) => page,
        // The chat was deleted.
        Err(failure) if failure.is_not_found() => return Ok(ChatBackfill::Complete),
        Err(failure) if failure.is_unauthorized() || failure.is_unreachable() => {
            return session.context.answered(Err(failure));
        }
        Err(failure) => return Ok(ChatBackfill::Failed(failure)),
    };
    for message in page.messages {
        ingest_missed(session, message).await.map_err(|error| error.session_end(session))?;
    }
    Ok(if page.is_cut { ChatBackfill::Cut } else { ChatBackfill::Complete })
}

/// Ingests a message, and the changes of it that its current state shows.
async fn ingest_missed(session: &WahaSession, message: Message) -> Result<(), IngestError> {
    let id = id_of(&message.incoming);
    if message.revoked {
        return session.ingest_event(EngineEvent::MessageChange(IncomingChange::Revoked { id })).await;
    }
    let (ack, body) = (message.ack, message.incoming.body.clone());
    let at = message.incoming.timestamp;
    let edit = message
        .edited
        .map(|at| EngineEvent::MessageChange(IncomingChange::Edited { id: id.clone(), body, at }));
    let receipt = ack.and_then(|ack| receipt_event(ack, at, id.chat.clone(), id.network.clone(), None));
    let changes = edit.into_iter().chain(receipt).collect();
    session.ingest_or_queue(PendingMedia { message, changes }, true).await
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

/// The pause before deferred chats are retried; it grows with each failure.
pub(super) struct DeferredBackfill {
    due: Instant,
    delay: Duration,
}

impl DeferredBackfill {
    pub(super) fn new() -> Self {
        Self { due: Instant::now() + FIRST_RETRY, delay: FIRST_RETRY }
    }

    pub(super) fn due(&self) -> Instant {
        self.due
    }

    pub(super) async fn retry(&mut self, session: &WahaSession) -> Result<(), SessionEnd> {
        let deferred = deferred_chats(session).await?;
        let any_left = retry_deferred(session, deferred).await?;
        self.delay = if any_left { (self.delay * 2).min(LONGEST_RETRY) } else { LONGEST_RETRY };
        self.due = Instant::now() + self.delay;
        Ok(())
    }
}

/// Stores the time to read the chat from; an earlier stored time stays.
async fn defer_chat(session: &WahaSession, chat: &Jid, since: i64) -> Result<(), SessionEnd> {
    let key = chat.to_string();
    let vault = &session.context.vault;
    let stored = session.context.stored(vault.get(DEFERRED_SPACE, &key).await)?.and_then(parsed);
    let since = stored.map_or(since, |stored| stored.min(since));
    session.context.stored(vault.put(DEFERRED_SPACE, &key, Some(since.to_string().into_bytes())).await)
}

async fn deferred_chats(session: &WahaSession) -> Result<Vec<(Jid, i64)>, SessionEnd> {
    let all = session.context.stored(session.context.vault.list(DEFERRED_SPACE, "").await)?.into_iter();
    Ok(all.filter_map(|(chat, since)| Some((chat.parse().ok()?, parsed(since)?))).collect())
}

/// Reads deferred chats; returns whether any stay deferred.
async fn retry_deferred(session: &WahaSession, chats: Vec<(Jid, i64)>) -> Result<bool, SessionEnd> {
    let (mut any_left, mut failures) = (false, 0_usize);
    for (chat, since) in chats {
        if failures >= MAX_FAILURES_IN_A_ROW {
            any_left = true;
            continue;
        }
        let is_expired = session.context.now().0.saturating_sub(since) > DEFERRED_EXPIRES_MS;
        match read_chat(session, &chat, since).await? {
            ChatBackfill::Failed(_) if !is_expired => {
                any_left = true;
                failures += 1;
                continue;
            }
            ChatBackfill::Failed(error) => {
                tracing::warn!(device = %session.context.device, %error, "the backfill of a chat is given up after a month of failures");
            }
            ChatBackfill::Complete | ChatBackfill::Cut => failures = 0,
        }
        session.context.stored(session.context.vault.put(DEFERRED_SPACE, &chat.to_string(), None).await)?;
    }
    Ok(any_left)
}

/// When the device was linked, to the second: times of the server have no fraction. A session that ended before its
/// backfill was complete leaves this time to the next one, so that no message in between is taken for history.
async fn linked_at(session: &WahaSession) -> Result<i64, SessionEnd> {
    let stored = session.context.vault.get(SPACE, LINKED_AT).await;
    if let Some(at) = session.context.stored(stored)?.and_then(parsed) {
        return Ok(at);
    }
    let now = session.context.now().0;
    let at = now - now.rem_euclid(1_000);
    let put = session.context.vault.put(SPACE, LINKED_AT, Some(at.to_string().into_bytes())).await;
    session.context.stored(put)?;
    Ok(at)
}

/// Delivers everything before `linked_at` as history, whose media stays at the server. Later messages are live: they are
/// ingested with their media and their events, unless that has begun already.
async fn read_history(session: &WahaSession, linked_at: i64, with_progress: bool) -> Result<(), SessionEnd> {
    let mut all = Vec::new();
    let (mut skipped, mut failures) = (0_usize, 0_usize);
    for chat in recent_chats(session, None).await? {
        let room = MAX_MESSAGES_PER_CHAT.min(MAX_HISTORY_MESSAGES.saturating_sub(all.len()));
        match messages(session, &chat, None, room).await {
            Ok(page) => {
                failures = 0;
                all.extend(page.messages);
            }
            Err(failure) if failure.is_not_found() || refusal(&failure).is_some() => skipped += 1,
            Err(failure)
                if failure.is_unauthorized()
                    || failure.is_unreachable()
                    || failures >= MAX_FAILURES_IN_A_ROW =>
            {
                return session.context.answered(Err(failure));
            }
            Err(_) => (skipped, failures) = (skipped + 1, failures + 1),
        }
    }
    if skipped > 0 {
        tracing::warn!(device = %session.context.device, chats = skipped, "the history of chats could not be read");
    }
    let live: Vec<Message> =
        all.extract_if(.., |message| message.incoming.timestamp.0 >= linked_at).collect();
    let total = all.len() as u64;
    let mut done = 0;
    while !all.is_empty() {
        let rest = all.split_off(all.len().min(HISTORY_BATCH));
        let mut batch = Vec::with_capacity(all.len());
        for message in std::mem::replace(&mut all, rest) {
            session.position.observe(message.incoming.timestamp.min(session.context.now()).0);
            let incoming = session.with_our_ids(message.incoming).await;
            batch.push(incoming.map_err(|error| error.session_end(session))?);
        }
        done += batch.len() as u64;
        session.context.deliver(EngineEvent::History(batch)).await?;
        if with_progress {
            deliver_progress(session, done, total, HistoryPhase::Messages).await?;
        }
    }
    if with_progress && total > 0 {
        deliver_progress(session, total, total, HistoryPhase::Complete).await?;
    }
    for message in live {
        if !session.is_in_progress(&message.incoming) {
            ingest_missed(session, message).await.map_err(|error| error.session_end(session))?;
        }
    }
    Ok(())
}

async fn deliver_progress(
    session: &WahaSession,
    done: u64,
    total: u64,
    phase: HistoryPhase,
) -> Result<(), SessionEnd> {
    session.context.deliver(EngineEvent::HistoryProgress { done, total: Some(total), phase }).await
}

/// The chats with messages since this time. Also delivers the names of groups.
async fn recent_chats(session: &WahaSession, since: Option<i64>) -> Result<Vec<Jid>, SessionEnd> {
    let (mut found, mut names): (Vec<Jid>, Vec<(Jid, String)>) = (Vec::new(), Vec::new());
    let read = read_pages(session, &["chats", "overview"], &[], MAX_CHATS, |chat| {
        let Some(id) = ids::jid(chat.get("id")) else { return };
        if let Some(name) = non_empty(chat.get("name")).filter(|_| id.is_group()) {
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
            tracing::warn!(device = %session.context.device, max = MAX_CHATS, "the account has more chats than are read");
        }
        // A server without a message store.
        Err(failure)
            if failure.is_not_found() || failure.status() == Some(501) || refusal(&failure).is_some() =>
        {
            tracing::warn!(device = %session.context.device, error = %failure, "the WAHA server has no list of chats");
        }
        Err(failure) => return session.context.answered(Err(failure)),
    }
    for (chat, name) in names {
        session.context.deliver(EngineEvent::ChatName { chat, name }).await?;
    }
    Ok(found)
}

struct MessagePage {
    /// The oldest first.
    messages: Vec<Message>,
    /// Whether there may be older ones.
    is_cut: bool,
}

/// The newest messages of a chat since this time, without media.
async fn messages(
    session: &WahaSession,
    chat: &Jid,
    since: Option<i64>,
    max: usize,
) -> Result<MessagePage, UpstreamFailure> {
    let (chat, me) = (ids::to_chat(chat), session.base.me());
    let since = since.map(|since| since.div_euclid(1_000).max(0).to_string());
    let mut query = vec![("downloadMedia", "false")];
    query.extend(since.as_deref().map(|since| ("filter.timestamp.gte", since)));
    let mut messages: Vec<Message> = Vec::new();
    let is_cut = read_pages(session, &["chats", &chat, "messages"], &query, max, |entry| {
        match message_in::message(entry, me.as_ref(), session.context.now()) {
            Some(message) => messages.push(message),
            None if message_in::is_no_message(entry) => {}
            None => session.base.log_read_error("a message of a chat"),
        }
    })
    .await?;
    messages.sort_by_key(|message| message.incoming.timestamp);
    Ok(MessagePage { messages, is_cut })
}

/// Reads a list page by page until nothing new comes or `max` is reached; returns whether `max` ended it. An
/// entry that appears twice, because the list moved meanwhile, counts once.
async fn read_pages(
    session: &WahaSession,
    path: &[&str],
    query: &[(&str, &str)],
    max: usize,
    mut each: impl FnMut(&Value) + Send,
) -> Result<bool, UpstreamFailure> {
    let mut seen: HashSet<String> = HashSet::new();
    let mut offset = 0;
    while seen.len() < max {
        let at = offset.to_string();
        let mut query = query.to_vec();
        query.extend([("limit", PAGE_SIZE), ("offset", at.as_str())]);
        let answer = session.client.of_session(path, &query).await?;
        let list = answer.as_array().map(Vec::as_slice).unwrap_or_default();
        let before = seen.len();
        for entry in list {
            if seen.insert(entry.get("id").unwrap_or(entry).to_string()) {
                each(entry);
            }
        }
        if seen.len() == before {
            return Ok(false);
        }
        offset += list.len();
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::waha::session::tests::session;

    #[tokio::test]
    async fn time_of_the_link_survives_an_unfinished_backfill() {
        let first = session();
        let linked = linked_at(&first).await.unwrap();
        assert_eq!(linked, first.context.now().0 / 1_000 * 1_000);
        let vault = &first.context.vault;
        vault.put(SPACE, LINKED_AT, Some((linked - 60_000).to_string().into_bytes())).await.unwrap();
        assert_eq!(linked_at(&first).await, Ok(linked - 60_000));
    }

    #[tokio::test]
    async fn state_of_the_version_before_is_read() {
        let session = session();
        for (space, key, value) in
            [("waha.taken", "newest", "1767225600000"), ("waha.left", "15550100001@c.us", "1767225000000")]
        {
            session.context.vault.put(space, key, Some(value.as_bytes().to_vec())).await.unwrap();
        }
        assert_eq!(stored_position(&session).await, Ok(Some(1_767_225_600_000)));
        let chat: Jid = "15550100001@c.us".parse().unwrap();
        assert_eq!(deferred_chats(&session).await, Ok(vec![(chat.clone(), 1_767_225_000_000)]));
        defer_chat(&session, &chat, 1_767_225_500_000).await.unwrap();
        assert_eq!(
            deferred_chats(&session).await,
            Ok(vec![(chat, 1_767_225_000_000)]),
            "the earlier time stays"
        );
    }
}
