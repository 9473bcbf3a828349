//! Sockets that lack events: those that a lost connection missed, or a replay asked for, read from the log. Then the
//! state of what is not logged.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use super::event_packets::EventPackets;
use super::outgoing::{Emission, LoggedPacket};
use super::packet::Packet;
use super::packets::Packets;
use super::rooms::ConnectedSocket;
use super::router::{record_delivery, upload_holder};
use super::session::ChatSession;
use super::{ChatState, root, underscore};
use crate::domain::operator_chat::dialect::Dialect;
use crate::domain::operator_chat::event::{ChatEvent, ChatLogEntry};
use crate::domain::operator_chat::ids::ConversationId;
use crate::service::operator_chat::presence::PresenceChange;

/// How long the missed events wait for a client of peer-addressed events to join again: events that arrive before
/// its join are lost to it.
const JOIN_AGAIN_WAIT: Duration = Duration::from_secs(2);
/// The pause before a full buffer is tried again.
const FULL_PAUSE: Duration = Duration::from_millis(20);
/// How long a client may read nothing, before it is cut.
const STALLED: Duration = Duration::from_secs(30);
/// The pause before the log is read again after an error.
const RETRY: Duration = Duration::from_millis(500);

/// Emits the events that a recovered socket missed. Live events follow.
pub(super) async fn catch_up(state: Arc<ChatState>, connected: ConnectedSocket) {
    let session = &connected.session;
    let soft = state.shared.services.tasks().soft();
    tokio::select! {
        () = soft.cancelled() => {}
        () = session.closed.cancelled() => {}
        () = session.replaced.cancelled() => {}
        () = session.cut.cancelled() => {}
        () = emit_missed(&state, &connected) => {}
    }
}

async fn emit_missed(state: &ChatState, connected: &ConnectedSocket) {
    let session = &connected.session;
    if let Some((oldest, newest)) = session.replay.and_then(|replay| replay.resync) {
        connected.emit_now(&Packet::new("resync", &json!({ "oldestSeq": oldest, "newestSeq": newest })));
    }
    let rooms = session.recovered_rooms.as_deref().unwrap_or_default();
    if rooms.iter().any(|recovered| recovered.room.by_peer) {
        // Elapsed: the client may never join again.
        let _ = tokio::time::timeout(JOIN_AGAIN_WAIT, session.joined_again.notified()).await;
    }
    while !session.go_live(|| state.rooms.position()) {
        let after = session.reached().whole_entry();
        let rooms = state.rooms.conversations(session.number);
        let is_needed = concerns(session, rooms.clone());
        match state.chat.events_after(after, is_needed).await {
            Ok((events, last)) => {
                for (seq, event) in &events {
                    if !emit_event(state, connected, *seq, event, &rooms).await {
                        return session.cut.cancel();
                    }
                }
                session.pass(last);
            }
            Err(error) => {
                tracing::warn!(%error, "chat log unreadable, retrying");
                sleep(RETRY).await;
            }
        }
    }
    emit_current_state(state, connected).await;
}

/// Whether an entry may concern a socket, before its subject is read.
fn concerns(
    session: &ChatSession,
    rooms: HashMap<ConversationId, i64>,
) -> impl Fn(&ChatLogEntry) -> bool + Send + use<> {
    let (user, dialect, is_replay) = (session.signed_in.user.pk, session.dialect, session.replay.is_some());
    move |entry| {
        let is_joined = entry.conversation().is_some_and(|id| is_replay || rooms.contains_key(&id));
        // In these dialects sockets that did not join are notified of messages, and authors of failures.
        let is_notified = dialect != Dialect::Root
            && matches!(
                entry,
                ChatLogEntry::Message { .. } | ChatLogEntry::Uploaded { .. } | ChatLogEntry::Updated { .. }
            );
        is_joined || is_notified || entry.user() == Some(user)
    }
}

/// Emits one entry; `false` if the client reads nothing, or the store failed.
async fn emit_event(
    state: &ChatState,
    connected: &ConnectedSocket,
    seq: i64,
    event: &ChatEvent,
    rooms: &HashMap<ConversationId, i64>,
) -> bool {
    if underscore::is_held(&connected.session, upload_holder(state, event)) {
        return true;
    }
    let mut packets = EventPackets::new(seq, event, state.chat.has_namespace_echo());
    let is_joined = match packets.conversation() {
        // A replay is for all conversations of the user, as if the socket had joined them.
        Some(id) if connected.session.replay.is_some() => {
            match state.chat.may_see(connected.user(), id).await {
                Ok(may_see) => may_see,
                Err(error) => {
                    tracing::warn!(%error, "conversation unreadable, a replay ends");
                    return false;
                }
            }
        }
        Some(id) => rooms.get(&id).is_some_and(|joined_after| *joined_after < seq),
        None => false,
    };
    for logged in packets.of(&connected.session, is_joined).iter() {
        match emit_waiting(connected, logged).await {
            Emission::Emitted => {
                record_delivery(state, event, connected, logged);
            }
            Emission::Full => return false,
            Emission::Held | Emission::Skipped | Emission::Lost => {}
        }
    }
    true
}

/// Emits an event when the socket's buffer has room.
async fn emit_waiting(connected: &ConnectedSocket, logged: &LoggedPacket) -> Emission {
    let mut waited = Duration::ZERO;
    loop {
        let emission = connected.session.emit_missed(&connected.socket, logged);
        if emission != Emission::Full || waited >= STALLED {
            return emission;
        }
        sleep(FULL_PAUSE).await;
        waited += FULL_PAUSE;
    }
}

/// Emits presence and typing of the other users of direct conversations: their changes are not logged.
async fn emit_current_state(state: &ChatState, connected: &ConnectedSocket) {
    let (session, me) = (&connected.session, connected.user());
    let rooms = session.recovered_rooms.iter().flatten();
    for recovered in rooms.filter(|recovered| recovered.conversation.device_chat().is_none()) {
        let conversation = recovered.conversation.clone();
        let id = conversation.id;
        let peer = match state.chat.with_peer(me, conversation).await {
            Ok(joined) => joined.peer,
            Err(error) => {
                tracing::warn!(%error, "state after a recovery not emitted");
                return;
            }
        };
        let Some(peer) = peer else { continue };
        let status = state.chat.status(&peer);
        let last_seen = status.last_seen.unwrap_or_else(|| state.shared.services.now());
        let change = PresenceChange::of(peer.clone(), status.is_online, last_seen);
        let typing = Packets::of_typing(&peer, id, state.chat.is_typing((id, peer.pk)));
        let presence = Packets::of_presence(&change);
        for packet in presence.of(session.dialect).iter().chain(typing.of(session.dialect)) {
            connected.emit_unlogged(packet);
        }
    }
}

/// Joins the direct conversations that the closed sessions of a user had joined by the other user's id, if no other
/// socket of the user is connected. A client of peer-addressed events may lose its join when several of its sockets
/// are closed at once.
pub(super) async fn inherit_rooms(state: &ChatState, connected: &ConnectedSocket) {
    let session = &connected.session;
    let is_inheriting = session.dialect == Dialect::Root
        && session.recovered_rooms.is_none()
        && !state.rooms.has_other(connected.user().pk, Dialect::Root, session.number);
    if !is_inheriting {
        return;
    }
    let rooms = match state.chat.rooms_of_closed_sessions(&session.signed_in, Dialect::Root).await {
        Ok(rooms) => rooms,
        Err(error) => return tracing::warn!(%error, "rooms of closed chat sessions not read"),
    };
    for conversation in rooms {
        let joined = match state.chat.with_peer(connected.user(), conversation).await {
            Ok(joined) => {
                root::join_with_replay(state, connected, &joined.conversation, joined.peer.as_ref()).await
            }
            Err(error) => Err(error.into()),
        };
        if let Err(error) = joined {
            tracing::warn!(code = error.code, "conversation of a closed chat session not joined");
        }
    }
}
