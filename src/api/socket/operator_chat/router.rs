//! The one task that emits: it follows the chat log, the changes of presence and typing, and the answers to commands.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::ChatState;
use super::confirmation::{confirm, is_confirmed, notify};
use super::packets::Packets;
use super::rooms::ConnectedSocket;
use super::session::Emission;
use super::typing::{emit_typing, emit_typing_stops};
use super::{inbox_router, underscore};
use crate::domain::operator_chat::conversation::Conversation;
use crate::domain::operator_chat::dialect::Dialect;
use crate::domain::operator_chat::event::ChatEvent;
use crate::domain::operator_chat::ids::UserPk;
use crate::domain::operator_chat::message::MessageView;
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
    if let ChatEvent::Uploaded(view) = event {
        state.chat.hold_upload(view);
    }
    match event {
        ChatEvent::Message { view, origin } if view.inbox.is_some() => {
            return inbox_router::route_message(state, view, *origin);
        }
        ChatEvent::Uploaded(view) if view.inbox.is_some() => {
            return inbox_router::route_message(state, view, None);
        }
        ChatEvent::Updated(view) => return inbox_router::route_update(state, view),
        ChatEvent::InboxAccess(conversations) => return inbox_router::remove_users(state, conversations),
        _ => {}
    }
    let packets = Packets::of_event(event);
    match event {
        ChatEvent::Updated(_) | ChatEvent::InboxAccess(_) => {}
        ChatEvent::Message { view, origin } => route_message(state, view, *origin, &packets),
        ChatEvent::Uploaded(view) => route_message(state, view, None, &packets),
        ChatEvent::Receipts { conversation, by, .. } => route_receipts(state, conversation, by.pk, &packets),
        ChatEvent::Deleted { conversation, message } => {
            state.chat.drop_upload(*message);
            for joined in state.rooms.joined(*conversation) {
                for packet in packets.of(joined.session.dialect) {
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

/// The sending socket is confirmed before any other socket has the message.
fn route_message(state: &ChatState, view: &MessageView, origin: Option<u64>, packets: &Packets) {
    let (conversation, message) = (view.message.conversation, view.message.id);
    confirm(state, view, origin, packets.of(Dialect::Namespace));
    let holder = state.chat.upload_holder(view);
    for joined in state.rooms.joined(conversation) {
        if is_confirmed(&joined, origin) || underscore::is_held(&joined, holder) {
            continue;
        }
        let recipient = joined.user().pk;
        for packet in packets.of(joined.session.dialect) {
            let emission = joined.emit(packet, conversation, Some(message));
            if emission == Emission::Emitted && recipient != view.message.sender {
                state.chat.delivered(Delivery { conversation, message, recipient });
            }
        }
    }
    let members = [Some(view.sender.pk), view.recipient.as_ref().map(|user| user.pk)];
    let outside = members.into_iter().flatten().flat_map(|user| state.rooms.outside(user, conversation));
    notify(view, origin, outside);
    underscore::notify_receiver(state, view);
}

/// Clients of the `underscore` dialect get no receipts of their own user.
fn route_receipts(state: &ChatState, conversation: &Conversation, by: UserPk, packets: &Packets) {
    let joined = state.rooms.joined(conversation.id);
    let is_own =
        |socket: &ConnectedSocket| socket.session.dialect == Dialect::Underscore && socket.user().pk == by;
    let seeing = joined.iter().filter(|joined| sees_conversation(joined.user(), conversation));
    for joined in seeing.filter(|joined| !is_own(joined)) {
        for packet in packets.of(joined.session.dialect) {
            joined.emit(packet, conversation.id, None);
        }
    }
}

fn route_to_user(state: &ChatState, user: UserPk, origin: Option<u64>, packets: &Packets) {
    let sockets = state.rooms.of_user(user);
    for socket in sockets.iter().filter(|socket| Some(socket.session.number) != origin) {
        for packet in packets.of(socket.session.dialect) {
            socket.emit_now(packet);
        }
    }
}

async fn route_due(state: &ChatState) {
    state.chat.due_uploads().iter().for_each(|view| underscore::emit_upload(state, view));
    state.chat.due_answers().iter().for_each(|answer| inbox_router::route_answer(state, answer));
    for (conversation, user) in state.chat.expired_typing() {
        let typist = state.rooms.of_user(user).first().map(|socket| socket.user().clone());
        if let Some(typist) = typist {
            emit_typing_stops(state, &typist, &[(conversation, user)]);
        }
    }
    for ((conversation, user), on) in state.chat.due_typing() {
        let typist = state.rooms.of_user(user).first().map(|socket| socket.user().clone());
        if let Some(typist) = typist {
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
