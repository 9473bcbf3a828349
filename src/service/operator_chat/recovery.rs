//! Connection state recovery: stored sessions, which a client continues with its private id and its position in
//! the chat log.
//!
//! A session and its rooms are stored before the client has the private id, or the confirmation of its join, so that
//! it continues after a crash of the daemon.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;

use super::{OperatorChat, SignedIn};
use crate::domain::clock::Millis;
use crate::domain::operator_chat::chat_session::{SessionRoom, StoredChatSession};
use crate::domain::operator_chat::conversation::Conversation;
use crate::domain::operator_chat::dialect::Dialect;
use crate::domain::operator_chat::ids::{ConversationId, UserPk};
use crate::domain::operator_chat::log_offset::LogOffset;
use crate::domain::operator_chat::user::ChatUser;
use crate::domain::operator_chat::visibility::sees_conversation;
use crate::store::{Reader, StoreError};

/// The random bytes of a private id.
const PID_BYTES: usize = 16;
/// Longest text that is looked up as a private id.
const PID_MAX_CHARS: usize = 64;
/// How often ended sessions are deleted.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// Sessions that one transaction ends or deletes.
const BATCH: usize = 500;

/// What a client gives to continue a session.
#[derive(Debug, Clone, Default)]
pub struct RecoveryRequest {
    /// The private id.
    pub pid: Option<String>,
    /// The position in the chat log that the client has reached; none before its first event.
    pub offset: Option<LogOffset>,
    /// The position after which a client that is written for Wharf gets everything that its user may see.
    pub since: Option<i64>,
}

/// A session of a connected socket.
#[derive(Debug)]
pub struct OpenedSession {
    /// Ends the session when the socket is closed.
    pub lease: SessionLease,
    /// The private id; none if the session cannot be recovered because the store failed.
    pub pid: Option<String>,
    /// The state of a session that is continued.
    pub recovered: Option<RecoveredSession>,
    /// The replay that a new session asked for.
    pub replay: Option<LogReplay>,
}

/// A replay of everything in the log that a user may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogReplay {
    /// The position after which it begins.
    pub after: LogOffset,
    /// The oldest and the newest entry, if the log has no entries after the position that was asked for.
    pub resync: Option<(i64, i64)>,
}

/// The state of a session that is continued.
#[derive(Debug, Clone)]
pub struct RecoveredSession {
    /// The position that the client has reached.
    pub reached: LogOffset,
    /// Its conversations, as far as the user may still see them.
    pub rooms: Vec<RecoveredRoom>,
}

/// A conversation of a recovered session.
#[derive(Debug, Clone)]
pub struct RecoveredRoom {
    /// The conversation.
    pub conversation: Conversation,
    /// How it was joined.
    pub room: SessionRoom,
}

/// The session of one connected socket. It ends when its last lease ends, at the latest when that is dropped.
pub struct SessionLease {
    number: u64,
    /// None if the session is not stored.
    stored: Option<(i64, Weak<SessionBook>)>,
    chat: Weak<OperatorChat>,
    is_ended: AtomicBool,
}

/// The open sessions of this process, and those whose end is not stored yet.
#[derive(Debug, Default)]
pub(super) struct SessionBook {
    /// The number of leases of each session.
    open: Mutex<HashMap<i64, usize>>,
    /// The ends that are not stored yet.
    ended: Mutex<BTreeMap<i64, Millis>>,
    has_ended: Notify,
    unstored: AtomicU64,
}

impl SessionBook {
    fn open(&self, session: i64) {
        let mut open = self.open.lock();
        *open.entry(session).or_default() += 1;
        self.ended.lock().remove(&session);
    }

    fn is_open(&self, session: i64) -> bool {
        self.open.lock().contains_key(&session)
    }

    /// The end of a session: now while it is open, else the end that is not stored yet.
    fn end_of(&self, session: i64, now: Millis) -> Option<Millis> {
        let open = self.open.lock();
        if open.contains_key(&session) { Some(now) } else { self.ended.lock().get(&session).copied() }
    }

    fn end(&self, session: i64, at: Millis) {
        let mut open = self.open.lock();
        if let Some(leases) = open.get_mut(&session) {
            *leases -= 1;
            if *leases == 0 {
                open.remove(&session);
                self.ended.lock().insert(session, at);
                self.has_ended.notify_one();
            }
        }
    }
}

impl SessionLease {
    /// The session's number, which a recovered session keeps. It is never shown.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Ends the session, which its client may continue for some time.
    pub fn end(&self) {
        if self.is_ended.swap(true, Ordering::Relaxed) {
            return;
        }
        if let (Some((session, book)), Some(chat)) = (&self.stored, self.chat.upgrade())
            && let Some(book) = book.upgrade()
        {
            book.end(*session, chat.now());
        }
    }

    fn session(&self) -> Option<i64> {
        self.stored.as_ref().map(|(session, _)| *session)
    }
}

impl Drop for SessionLease {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for SessionLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLease").field("number", &self.number).finish_non_exhaustive()
    }
}

impl OperatorChat {
    /// Continues the session of a private id, or begins a new one after `position` of the chat log. A private id
    /// that is unknown, too old or another user's begins a new session, without an error.
    pub async fn open_session(
        self: &Arc<Self>,
        me: &SignedIn,
        dialect: Dialect,
        request: RecoveryRequest,
        position: i64,
    ) -> OpenedSession {
        if let Some(pid) = request.pid.filter(|pid| pid.len() <= PID_MAX_CHARS) {
            match self.resume_session(me, dialect, &pid, request.offset).await {
                Ok(Some((lease, recovered))) => {
                    return OpenedSession { lease, pid: Some(pid), recovered: Some(recovered), replay: None };
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "chat session not recovered"),
            }
        }
        let replay = match request.since {
            Some(since) => Some(self.replay_since(since, position).await),
            None => None,
        };
        let start = replay.map_or(position, |replay| replay.after.whole_entry());
        match self.begin_session(me.user.pk, dialect, start).await {
            Ok((lease, pid)) => OpenedSession { lease, pid: Some(pid), recovered: None, replay },
            Err(error) => {
                tracing::warn!(%error, "chat session not stored: its client cannot recover it");
                OpenedSession { lease: self.unstored_lease(), pid: None, recovered: None, replay }
            }
        }
    }

    /// If the log cannot be read, the client reloads as if the log did not reach back that far.
    async fn replay_since(&self, since: i64, position: i64) -> LogReplay {
        let kept = self
            .store
            .read::<_, StoreError, _>(|store| Ok((store.oldest_chat_event()?, store.newest_chat_event()?)));
        match kept.await {
            Ok((oldest, newest)) if since <= newest && since + 1 >= oldest => {
                LogReplay { after: LogOffset::after(since), resync: None }
            }
            Ok((oldest, newest)) => {
                LogReplay { after: LogOffset::after(position), resync: Some((oldest, newest)) }
            }
            Err(error) => {
                tracing::warn!(%error, "chat log unreadable");
                LogReplay { after: LogOffset::after(position), resync: Some((position, position)) }
            }
        }
    }

    /// Whether a user may see a conversation.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn may_see(&self, user: &ChatUser, conversation: ConversationId) -> Result<bool, StoreError> {
        let user = user.clone();
        self.store
            .read(move |store| {
                let found = store.conversation(conversation)?;
                Ok(found.is_some_and(|found| sees_conversation(&user, &found)))
            })
            .await
    }

    async fn begin_session(
        self: &Arc<Self>,
        user: UserPk,
        dialect: Dialect,
        position: i64,
    ) -> Result<(SessionLease, String), StoreError> {
        let mut bytes = [0; PID_BYTES];
        self.random.fill(&mut bytes);
        let pid = URL_SAFE_NO_PAD.encode(bytes);
        let hash = hash_of(&pid);
        let session = self
            .store
            .write::<_, StoreError, _>(move |tx| tx.insert_chat_session(&hash, user, dialect, position));
        let session = session.await?;
        self.sessions.open(session);
        Ok((self.lease(session), pid))
    }

    /// The session of a private id, if its client may continue it and the log has everything that it missed.
    async fn resume_session(
        self: &Arc<Self>,
        me: &SignedIn,
        dialect: Dialect,
        pid: &str,
        offset: Option<LogOffset>,
    ) -> Result<Option<(SessionLease, RecoveredSession)>, StoreError> {
        let (hash, user) = (hash_of(pid), me.user.clone());
        let (book, now, started_at) = (self.sessions.clone(), self.now(), self.started_at);
        let resume_ms = self.limits.resume_ms;
        let found = self.store.read::<_, StoreError, _>(move |store| {
            let Some(session) = store.chat_session(&hash)? else { return Ok(None) };
            let closed_at = book.end_of(session.pk, now).or(session.closed_at).unwrap_or(started_at);
            if !session.is_recoverable(user.pk, dialect, closed_at, now, resume_ms) {
                return Ok(None);
            }
            let reached = reached(store, &session, offset)?;
            if store.oldest_chat_event()? > reached.whole_entry() + 1 {
                return Ok(None);
            }
            let mut rooms = Vec::new();
            for room in store.chat_session_rooms(session.pk)? {
                let conversation = store.conversation(room.conversation)?;
                if let Some(conversation) = conversation.filter(|found| sees_conversation(&user, found)) {
                    rooms.push(RecoveredRoom { conversation, room });
                }
            }
            Ok(Some((session.pk, RecoveredSession { reached, rooms })))
        });
        let Some((session, recovered)) = found.await? else { return Ok(None) };
        // Before the write, so that no waiting end of the session is stored after it.
        self.sessions.open(session);
        let lease = self.lease(session);
        self.store.write::<_, StoreError, _>(move |tx| tx.set_chat_session_end(session, None)).await?;
        Ok(Some((lease, recovered)))
    }

    fn lease(self: &Arc<Self>, session: i64) -> SessionLease {
        SessionLease {
            number: session.unsigned_abs(),
            stored: Some((session, Arc::downgrade(&self.sessions))),
            chat: Arc::downgrade(self),
            is_ended: AtomicBool::new(false),
        }
    }

    /// Its number is above all numbers of stored sessions.
    fn unstored_lease(self: &Arc<Self>) -> SessionLease {
        let number = u64::MAX - self.sessions.unstored.fetch_add(1, Ordering::Relaxed);
        SessionLease { number, stored: None, chat: Arc::downgrade(self), is_ended: AtomicBool::new(true) }
    }

    /// Stores that a session joined a conversation. If the store fails, the client cannot recover the room.
    pub async fn remember_room(&self, lease: &SessionLease, room: SessionRoom) {
        let Some(session) = lease.session() else { return };
        let stored =
            self.store.write::<_, StoreError, _>(move |tx| tx.put_chat_session_room(session, &room)).await;
        if let Err(error) = stored {
            tracing::warn!(%error, "joined conversation of a chat session not stored");
        }
    }

    /// Stores that a session left a conversation.
    pub async fn forget_room(&self, lease: &SessionLease, conversation: ConversationId) {
        let Some(session) = lease.session() else { return };
        let stored = self
            .store
            .write::<_, StoreError, _>(move |tx| tx.delete_chat_session_room(session, conversation))
            .await;
        if let Err(error) = stored {
            tracing::warn!(%error, "left conversation of a chat session not stored");
        }
    }

    /// The direct conversations that the closed sessions of a user had joined by the id of the other user, as long
    /// as these sessions can be recovered.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn rooms_of_closed_sessions(
        &self,
        me: &SignedIn,
        dialect: Dialect,
    ) -> Result<Vec<Conversation>, StoreError> {
        let (user, since) = (me.user.clone(), self.now().plus(-self.limits.resume_ms));
        self.store
            .read(move |store| {
                let rooms = store.chat_rooms_of_closed_sessions(user.pk, dialect, since)?;
                let found = rooms.into_iter().filter_map(|room| store.conversation(room).transpose());
                let conversations = found.collect::<Result<Vec<_>, _>>()?;
                Ok(conversations.into_iter().filter(|found| sees_conversation(&user, found)).collect())
            })
            .await
    }

    /// Stores the ends of sessions, and deletes sessions that no client can recover any more.
    pub(super) async fn keep_sessions(self: Arc<Self>) {
        let soft = self.tasks.soft().clone();
        let mut sweep = tokio::time::interval(SWEEP_EVERY);
        loop {
            let result = tokio::select! {
                () = soft.cancelled() => return,
                () = self.sessions.has_ended.notified() => self.store_ends().await,
                _ = sweep.tick() => self.delete_old_sessions().await,
            };
            if let Err(error) = result {
                tracing::warn!(%error, "ends of chat sessions not stored, retrying");
            }
        }
    }

    /// Ends the sessions that were open when the daemon stopped. Their clients can continue them from now on.
    pub(super) async fn end_earlier_sessions(&self) {
        let at = self.started_at;
        let ended = self.store.write_patiently::<_, StoreError, _>(move |tx| tx.end_open_chat_sessions(at));
        if let Err(error) = ended.await {
            tracing::warn!(%error, "ends of earlier chat sessions not stored");
        }
    }

    async fn store_ends(&self) -> Result<(), StoreError> {
        loop {
            let batch: Vec<(i64, Millis)> =
                self.sessions.ended.lock().iter().take(BATCH).map(|(session, at)| (*session, *at)).collect();
            if batch.is_empty() {
                return Ok(());
            }
            let (book, ends) = (self.sessions.clone(), batch.clone());
            let stored = self.store.write_patiently::<_, StoreError, _>(move |tx| {
                // A client may have continued its session meanwhile.
                for (session, at) in ends.iter().filter(|(session, _)| !book.is_open(*session)) {
                    tx.set_chat_session_end(*session, Some(*at))?;
                }
                Ok(())
            });
            stored.await?;
            let mut ended = self.sessions.ended.lock();
            for (session, at) in batch {
                // A session that was continued and ended meanwhile has another end.
                if ended.get(&session) == Some(&at) {
                    ended.remove(&session);
                }
            }
        }
    }

    async fn delete_old_sessions(&self) -> Result<(), StoreError> {
        self.store_ends().await?;
        let before = self.now().plus(-self.limits.resume_ms);
        loop {
            let delete =
                move |tx: &crate::store::Tx<'_>| tx.delete_chat_sessions_closed_before(before, BATCH);
            if self.store.write_patiently::<_, StoreError, _>(delete).await? < BATCH {
                return Ok(());
            }
        }
    }
}

/// The position of a client, within the session and the log: an offset is a claim.
fn reached(
    store: &Reader<'_>,
    session: &StoredChatSession,
    offset: Option<LogOffset>,
) -> Result<LogOffset, StoreError> {
    let start = LogOffset::after(session.started_after);
    let newest = LogOffset::after(store.newest_chat_event()?);
    Ok(offset.unwrap_or(start).min(newest).max(start))
}

fn hash_of(pid: &str) -> [u8; 32] {
    Sha256::digest(pid.as_bytes()).into()
}
