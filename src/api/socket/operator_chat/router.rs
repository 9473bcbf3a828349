//! The one task that emits: it follows the chat log, and the changes of presence and typing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::packet::Packet;
use super::rooms::ConnectedSocket;
use super::session::Emission;
use super::{ChatState, root};
use crate::domain::operator_chat::conversation::Conversation;
use crate::domain::operator_chat::event::ChatEvent;
use crate::domain::operator_chat::ids::{ConversationId, UserPk};
use crate::domain::operator_chat::message::MessageView;
use crate::domain::operator_chat::typing::Typist;
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

/// Emits all entries after a position, and returns the position of the last one.
async fn route_log(state: &ChatState, mut position: i64) -> i64 {
    loop {
        match state.chat.events_after(position).await {
            Ok((events, last)) => {
                events.iter().for_each(|event| route(state, event));
                if last == position {
                    return position;
                }
                position = last;
            }
            Err(error) => {
                tracing::warn!(%error, "chat log unreadable, retrying");
                sleep(RETRY).await;
            }
        }
    }
}

fn route(state: &ChatState, event: &ChatEvent) {
    match event {
        ChatEvent::Message(view) if view.inbox.is_some() => return route_inbox_message(state, view, true),
        ChatEvent::Updated(view) => return route_inbox_message(state, view, false),
        ChatEvent::InboxAccess(conversations) => return remove_from_inbox(state, conversations),
        _ => {}
    }
    let packets: Vec<Arc<Packet>> = root::encode::event(event).into_iter().map(Arc::new).collect();
    match event {
        ChatEvent::Updated(_) | ChatEvent::InboxAccess(_) => {}
        ChatEvent::Message(view) => route_message(state, view, &packets),
        ChatEvent::Receipts { conversation, .. } => route_to_joined(state, conversation, &packets),
        ChatEvent::Deleted { conversation, .. } => {
            for joined in state.rooms.joined(*conversation) {
                for packet in &packets {
                    joined.emit(packet, *conversation, None);
                }
            }
        }
        ChatEvent::Notification { user, .. } => route_to_user(state, *user, None, &packets),
        ChatEvent::NotificationRead { user, origin, .. } | ChatEvent::NotificationsRead { user, origin } => {
            route_to_user(state, *user, *origin, &packets);
        }
    }
}

fn route_message(state: &ChatState, view: &MessageView, packets: &[Arc<Packet>]) {
    let (conversation, message) = (view.message.conversation, view.message.id);
    for joined in state.rooms.joined(conversation) {
        let recipient = joined.user().pk;
        for packet in packets {
            let emission = joined.emit(packet, conversation, Some(message));
            if emission == Emission::Emitted && recipient != view.message.sender {
                state.chat.delivered(Delivery { conversation, message, recipient });
            }
        }
    }
}

fn route_to_joined(state: &ChatState, conversation: &Conversation, packets: &[Arc<Packet>]) {
    let joined = state.rooms.joined(conversation.id);
    for joined in joined.iter().filter(|joined| sees_conversation(joined.user(), conversation)) {
        for packet in packets {
            joined.emit(packet, conversation.id, None);
        }
    }
}

/// Each user gets an encoding of its own; users without access to the inbox get none.
fn route_inbox_message(state: &ChatState, view: &MessageView, is_new: bool) {
    let Some(inbox) = &view.inbox else { return };
    let (conversation, message) = (view.message.conversation, view.message.id);
    let mut packets: HashMap<UserPk, Arc<Packet>> = HashMap::new();
    for joined in state.rooms.joined(conversation) {
        let user = joined.user();
        if inbox.chat.rights_of(user).is_some() {
            let encode = || Arc::new(root::encode::inbox_message(view, user, is_new));
            let packet = packets.entry(user.pk).or_insert_with(encode);
            joined.emit(packet, conversation, is_new.then_some(message));
        }
    }
}

/// Sockets of users without access leave the conversations.
fn remove_from_inbox(state: &ChatState, conversations: &[Conversation]) {
    for conversation in conversations {
        for joined in state.rooms.joined(conversation.id) {
            if !sees_conversation(joined.user(), conversation) {
                state.rooms.leave(joined.session.number, conversation.id);
            }
        }
    }
}

fn route_to_user(state: &ChatState, user: UserPk, origin: Option<u64>, packets: &[Arc<Packet>]) {
    let sockets = state.rooms.of_user(user);
    for socket in sockets.iter().filter(|socket| Some(socket.session.number) != origin) {
        for packet in packets {
            socket.emit_now(packet);
        }
    }
}

async fn route_due(state: &ChatState) {
    for (conversation, user) in state.chat.expired_typing() {
        let typist = state.rooms.of_user(user).first().map(|socket| socket.user().clone());
        if let Some(typist) = typist {
            emit_typing_stops(state, &typist, &[(conversation, user)]);
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
        let packets = root::encode::presence(&change.user, change.is_online, Some(change.last_seen));
        for sockets in by_user.values() {
            let is_in_audience =
                sockets.first().is_some_and(|socket| state.chat.is_in_audience(socket.user(), change));
            for socket in sockets.iter().filter(|_| is_in_audience) {
                for packet in &packets {
                    socket.emit_now(packet);
                }
            }
        }
    }
}

/// Emits that a user stopped typing, to the other users who joined.
pub(super) fn emit_typing_stops(state: &ChatState, typist: &ChatUser, ended: &[Typist]) {
    for (conversation, _) in ended {
        emit_typing(state, typist, *conversation, false);
    }
}

/// Emits a typing state to the other users who joined.
pub(super) fn emit_typing(state: &ChatState, typist: &ChatUser, conversation: ConversationId, on: bool) {
    let packet = Arc::new(root::encode::typing(typist, conversation, on));
    for joined in state.rooms.joined(conversation) {
        if joined.user().pk != typist.pk {
            joined.emit(&packet, conversation, None);
        }
    }
}
