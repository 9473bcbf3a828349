//! The one task that emits: it follows the chat log, the changes of presence and typing, and the answers to commands.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::command_answer::emit_answer;
use super::event_packets::EventPackets;
use super::outgoing::{Emission, LoggedPacket};
use super::packet::Packet;
use super::packets::Packets;
use super::rooms::ConnectedSocket;
use super::typing::{emit_typing, emit_typing_stops};
use super::{ChatState, membership, underscore};
use crate::domain::operator_chat::app_event::{AppEvent, AppEventTarget};
use crate::domain::operator_chat::conversation::Conversation;
use crate::domain::operator_chat::event::{ChatEvent, ChatLogEntry};
use crate::domain::operator_chat::ids::{ConversationId, UserPk};
use crate::domain::operator_chat::user::ChatUser;
use crate::domain::operator_chat::visibility::sees_conversation;
use crate::service::operator_chat::deliveries::Delivery;

/// The pause before the log is read again after an error.
const RETRY: Duration = Duration::from_millis(500);
/// The longest sleep until a change is due: the wall clock may be changed meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_millis(500);

/// Emits until the daemon drains.
pub(super) async fn run(state: Arc<ChatState>) {
    let soft = state.shared.services.tasks().soft().clone();
    let mut log = state.chat.follow_events();
    let Some(mut position) = soft.run_until_cancelled(newest(&state)).await else { return };
    state.rooms.pass(position);
    state.is_routing.send_replace(true);
    loop {
        let changed = tokio::select! {
            () = soft.cancelled() => return,
            changed = log.changed() => changed.is_ok(),
            () = state.chat.presence_changed() => false,
            () = until_due(&state) => false,
        };
        if changed {
            let Some(read) = soft.run_until_cancelled(route_log(&state, position)).await else { return };
            position = read;
        }
        route_due(&state).await;
    }
}

async fn newest(state: &ChatState) -> i64 {
    loop {
        match state.chat.newest_event().await {
            Ok(newest) => return newest,
            Err(error) => tracing::warn!(%error, "chat log unreadable, retrying"),
        }
        sleep(RETRY).await;
    }
}

/// Waits until presence or typing may change by itself; for ever if nothing is pending.
async fn until_due(state: &ChatState) {
    let Some(due) = state.chat.next_presence_change() else { return std::future::pending().await };
    let left = u64::try_from(due.since(state.shared.services.now())).unwrap_or(0);
    sleep(Duration::from_millis(left.max(1)).min(LONGEST_SLEEP)).await;
}

/// Emits all entries after a position, and returns the position of the last one. Without a socket only entries about
/// uploads are read.
async fn route_log(state: &ChatState, mut position: i64) -> i64 {
    loop {
        let has_sockets = state.rooms.has_sockets();
        let is_needed = move |entry: &ChatLogEntry| {
            has_sockets || matches!(entry, ChatLogEntry::Uploaded { .. } | ChatLogEntry::Deleted { .. })
        };
        let (events, last) = match state.chat.events_after(position, is_needed).await {
            Ok(page) => page,
            Err(error) => {
                tracing::warn!(%error, "chat log unreadable, retrying");
                sleep(RETRY).await;
                continue;
            }
        };
        if has_sockets {
            events.iter().for_each(|(seq, event)| route(state, *seq, event));
            state.rooms.pass(last);
        } else if state.rooms.pass_without_sockets(last) {
            events.iter().for_each(|(_, event)| follow_upload(state, event));
        } else {
            // A socket has connected meanwhile, and gets the entries after its position.
            continue;
        }
        if last == position {
            return position;
        }
        position = last;
    }
}

/// An uploaded message is held until its uploader announces it.
fn follow_upload(state: &ChatState, event: &ChatEvent) {
    match event {
        ChatEvent::Uploaded(view) => state.chat.hold_upload(view),
        ChatEvent::Deleted { message, .. } => state.chat.drop_upload(*message),
        _ => {}
    }
}

/// The sending socket is confirmed before any other socket has the event.
fn route(state: &ChatState, seq: i64, event: &ChatEvent) {
    match event {
        ChatEvent::InboxAccess(conversations) => remove_users(state, conversations),
        ChatEvent::MembersRemoved { conversation, users } => remove_members(state, *conversation, users),
        _ => follow_upload(state, event),
    }
    let mut packets = EventPackets::new(seq, event, state.chat.has_namespace_echo());
    let mut sockets = state.rooms.route(seq, packets.conversation(), packets.audience());
    let origin = packets.origin();
    if origin.is_some() {
        sockets.sort_by_key(|(socket, _)| Some(socket.session.number) != origin);
    }
    let holder = upload_holder(state, event);
    // In a large room the first delivery counts for all.
    let mut is_delivered = false;
    for (socket, is_joined) in &sockets {
        if underscore::is_held(&socket.session, holder) {
            socket.session.skip(seq);
            continue;
        }
        for logged in packets.of(&socket.session, *is_joined).iter() {
            let emission = socket.session.emit_logged(&socket.socket, logged);
            if emission == Emission::Emitted && !is_delivered {
                is_delivered = record_delivery(state, event, socket, logged) && is_to_large_room(event);
            }
        }
    }
}

/// The uploader whose sockets do not get an uploaded message yet.
pub(super) fn upload_holder(state: &ChatState, event: &ChatEvent) -> Option<UserPk> {
    match event {
        ChatEvent::Uploaded(view) => state.chat.upload_holder(view),
        _ => None,
    }
}

/// Whether an event is a message to a large room.
fn is_to_large_room(event: &ChatEvent) -> bool {
    match event {
        ChatEvent::Message { view, .. } | ChatEvent::Uploaded(view) => {
            view.room.as_ref().is_some_and(|room| room.is_large())
        }
        _ => false,
    }
}

/// Records that a message left the buffer of a recipient's socket; `false` for anything else.
pub(super) fn record_delivery(
    state: &ChatState,
    event: &ChatEvent,
    socket: &ConnectedSocket,
    logged: &LoggedPacket,
) -> bool {
    let (ChatEvent::Message { view, .. } | ChatEvent::Uploaded(view), Some(message)) =
        (event, logged.message)
    else {
        return false;
    };
    let (conversation, recipient) = (view.message.conversation, socket.user().pk);
    let is_received = view.inbox.is_none() && recipient != view.message.sender;
    if is_received {
        state.chat.delivered(Delivery { conversation, message, recipient });
    }
    is_received
}

/// Sockets of users without access leave the conversations.
fn remove_users(state: &ChatState, conversations: &[Conversation]) {
    for conversation in conversations {
        for joined in state.rooms.joined(conversation.id) {
            if !sees_conversation(joined.user(), conversation) {
                membership::drop_access(state, &joined, conversation.id);
            }
        }
    }
}

/// Sockets of users who are no members of a room any more leave it.
fn remove_members(state: &ChatState, conversation: ConversationId, users: &HashSet<UserPk>) {
    if users.is_empty() {
        return;
    }
    for joined in state.rooms.joined(conversation) {
        if users.contains(&joined.user().pk) {
            membership::drop_access(state, &joined, conversation);
        }
    }
}

/// Emits an event of an application.
fn emit_app_event(state: &ChatState, event: &AppEvent) {
    let packet = Packet::new(event.name.clone(), &event.data);
    let sockets = match event.target {
        AppEventTarget::User(user) => state.rooms.of_user(user),
        AppEventTarget::Conversation(conversation) => state.rooms.joined(conversation),
        AppEventTarget::All => state.rooms.all(),
    };
    for socket in sockets {
        socket.emit_now(&packet);
    }
}

/// A user with a socket, or a contact that types.
fn typist(state: &ChatState, user: UserPk) -> Option<ChatUser> {
    let of_socket = state.rooms.of_user(user).first().map(|socket| socket.user().clone());
    of_socket.or_else(|| state.chat.typing_contact(user))
}

async fn route_due(state: &ChatState) {
    state.chat.due_uploads().iter().for_each(|view| underscore::emit_upload(state, view));
    for user in state.chat.due_revocations() {
        state.rooms.of_user(user).iter().for_each(|socket| socket.session.revoked.cancel());
    }
    let ended = state.chat.due_ended_tenants();
    if !ended.is_empty() {
        let sockets = state.rooms.all().into_iter().filter(|socket| ended.contains(&socket.user().tenant));
        sockets.for_each(|socket| socket.session.revoked.cancel());
    }
    state.chat.due_app_events().iter().for_each(|event| emit_app_event(state, event));
    state.chat.due_answers().iter().for_each(|answer| emit_answer(state, answer));
    for (conversation, user) in state.chat.expired_typing() {
        if let Some(typist) = typist(state, user) {
            emit_typing_stops(state, &typist, &[(conversation, user)]);
        }
    }
    for ((conversation, user), on) in state.chat.due_contact_typing() {
        if let Some(typist) = typist(state, user) {
            emit_typing(state, &typist, conversation, on);
        }
    }
    state.chat.forget_typing_contacts();
    for ((conversation, user), on) in state.chat.due_typing() {
        if let Some(typist) = typist(state, user) {
            emit_typing(state, &typist, conversation, on);
        }
    }
    let changes = match state.chat.due_presence().await {
        Ok(changes) => changes,
        Err(error) => return tracing::warn!(%error, "changes of presence lost"),
    };
    if changes.is_empty() {
        return;
    }
    let mut by_user: HashMap<UserPk, Vec<ConnectedSocket>> = HashMap::new();
    for socket in state.rooms.all() {
        by_user.entry(socket.user().pk).or_default().push(socket);
    }
    for change in &changes {
        let packets = Packets::of_presence(change);
        for sockets in by_user.values() {
            let is_in_audience =
                sockets.first().is_some_and(|socket| state.chat.is_in_audience(socket.user(), change));
            for socket in sockets.iter().filter(|_| is_in_audience) {
                for packet in packets.of(socket.session.dialect) {
                    socket.emit_now(packet);
                }
            }
        }
    }
}
