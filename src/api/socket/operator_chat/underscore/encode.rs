//! Writes server events of the `underscore` dialect. Pure.

use serde_json::{Value as Json, json};

use crate::api::http::operator_chat::underscore_objects::UnderscoreMessage;
use crate::api::socket::operator_chat::packet::Packet;
use crate::api::socket::operator_chat::request_error::{ChatRequestError, bounded_name};
use crate::domain::operator_chat::event::ChatEvent;
use crate::domain::operator_chat::ids::ConversationId;
use crate::domain::operator_chat::message::MessageView;
use crate::domain::operator_chat::receipts::ReceiptLevel;
use crate::domain::operator_chat::user::ChatUser;

pub(in super::super) fn connected(user: &ChatUser) -> Packet {
    Packet::new("connected", &json!({ "userId": user.id.as_str() }))
}

pub(in super::super) fn token_ended(is_revoked: bool) -> Packet {
    let (message, code) = match is_revoked {
        true => ("Token revoked", "token_revoked"),
        false => ("Token expired", "token_expired"),
    };
    Packet::new("error", &json!({ "message": message, "code": code }))
}

/// The event of a failed request, and its payload for the callback.
pub(in super::super) fn failure(error: &ChatRequestError, event: &str) -> (Packet, Json) {
    let payload = json!({ "message": error.sentence, "code": error.code, "event": bounded_name(event) });
    (Packet::new("error", &payload), payload)
}

/// The error of a message that was accepted and failed later.
pub(in super::super) fn message_failed(view: &MessageView) -> Option<Packet> {
    let failure = view.inbox.as_ref()?.failure.as_ref()?;
    let payload = json!({
        "message": failure.message,
        "code": failure.code,
        "messageId": view.message.id.to_string(),
    });
    Some(Packet::new("error", &payload))
}

/// A new or changed message of a device conversation, as one user sees it.
pub(in super::super) fn inbox_message(view: &MessageView, viewer: &ChatUser, is_new: bool) -> Packet {
    let event = if is_new { "new_message" } else { "message_updated" };
    Packet::new(event, &UnderscoreMessage::seen_by(view, viewer))
}

/// Notifies the receiver of a message.
pub(in super::super) fn notification(view: &MessageView, receiver: &ChatUser) -> Packet {
    let has_file = view.message.attachment_url.is_some();
    let payload = json!({
        "type": if has_file { "file_uploaded" } else { "new_message" },
        "conversationId": view.message.conversation.to_string(),
        "message": UnderscoreMessage::seen_by(view, receiver),
    });
    Packet::new("notification", &payload)
}

pub(in super::super) fn typing(typist: &ChatUser, conversation: ConversationId, on: bool) -> Packet {
    let payload = json!({
        "conversationId": conversation.to_string(),
        "userId": typist.id.as_str(),
        "isTyping": on,
    });
    Packet::new("user_typing", &payload)
}

pub(in super::super) fn presence(user: &ChatUser, is_online: bool) -> Packet {
    let payload = json!({ "userId": user.id.as_str(), "isOnline": is_online });
    Packet::new("user_status_changed", &payload)
}

pub(in super::super) fn messages_read(conversation: ConversationId, reader: &ChatUser) -> Packet {
    let payload = json!({ "conversationId": conversation.to_string(), "userId": reader.id.as_str() });
    Packet::new("messages_read", &payload)
}

/// The events of a log entry, for sockets that joined. Clients mark all messages, so that one event is enough.
pub(in super::super) fn event(event: &ChatEvent) -> Vec<Packet> {
    match event {
        ChatEvent::Message { view, .. } | ChatEvent::Uploaded(view) => {
            vec![Packet::new("new_message", &UnderscoreMessage::new(view))]
        }
        ChatEvent::Updated(view) => vec![Packet::new("message_updated", &UnderscoreMessage::new(view))],
        ChatEvent::Receipts { level: ReceiptLevel::Read, conversation, by, .. } => {
            // In a device conversation an operator is no participant beside the viewer.
            let is_of_operator = conversation.device_chat().is_some_and(|chat| chat.contact != by.pk);
            if is_of_operator { Vec::new() } else { vec![messages_read(conversation.id, by)] }
        }
        ChatEvent::Deleted { conversation, message } => {
            let payload =
                json!({ "conversationId": conversation.to_string(), "messageId": message.to_string() });
            vec![Packet::new("message_deleted", &payload)]
        }
        ChatEvent::Receipts { level: ReceiptLevel::Delivered, .. }
        | ChatEvent::InboxAccess(_)
        | ChatEvent::RoomReceipts { .. }
        | ChatEvent::MembersRemoved { .. }
        | ChatEvent::Notification { .. }
        | ChatEvent::NotificationRead { .. }
        | ChatEvent::NotificationsRead { .. } => Vec::new(),
    }
}
