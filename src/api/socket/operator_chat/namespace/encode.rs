//! Writes server events of the `namespace` dialect. Pure.

use serde_json::{Value as Json, json};

use crate::api::http::operator_chat::namespace_objects::{self as objects, NamespaceMessage};
use crate::api::socket::operator_chat::packet::Packet;
use crate::api::socket::operator_chat::request_error::{ChatRequestError, bounded_name};
use crate::domain::clock::Millis;
use crate::domain::operator_chat::event::ChatEvent;
use crate::domain::operator_chat::ids::ConversationId;
use crate::domain::operator_chat::message::MessageView;
use crate::domain::operator_chat::receipts::ReceiptLevel;
use crate::domain::operator_chat::user::ChatUser;

/// The first event. The `socketId` is made for it, and is never the session id.
pub(in super::super) fn connection_success(user: &ChatUser, number: u64, now: Millis) -> Packet {
    let mut payload = objects::user(user);
    payload["socketId"] = format!("s_{number:x}").into();
    payload["serverTime"] = now.0.into();
    Packet::new("connection:success", &payload)
}

pub(in super::super) fn token_ended(is_revoked: bool) -> Packet {
    let (message, code) = match is_revoked {
        true => ("Token revoked", "token_revoked"),
        false => ("Token expired", "token_expired"),
    };
    Packet::new("error", &json!({ "message": message, "code": code, "event": null }))
}

/// The event of a failed request, and its payload for the callback.
pub(in super::super) fn failure(error: &ChatRequestError, event: &str) -> (Packet, Json) {
    let (name, payload) = match event {
        "message:send" => (
            "message:error",
            json!({ "error": error.sentence, "code": error.code, "tempId": error.temp_id, "messageId": null }),
        ),
        _ => {
            ("error", json!({ "message": error.sentence, "code": error.code, "event": bounded_name(event) }))
        }
    };
    (Packet::new(name, &payload), payload)
}

/// The payload of `message:sent`.
pub(in super::super) fn sent(view: &MessageView) -> Json {
    json!({ "tempId": objects::temp_id(view), "message": NamespaceMessage::new(view) })
}

pub(in super::super) fn message_sent(view: &MessageView) -> Packet {
    Packet::new("message:sent", &sent(view))
}

pub(in super::super) fn message_notification(view: &MessageView) -> Packet {
    let payload =
        json!({ "conversationId": view.message.conversation.0, "message": NamespaceMessage::new(view) });
    Packet::new("message:notification", &payload)
}

/// A new or changed message of a device conversation; it shows the real author.
pub(in super::super) fn inbox_message(view: &MessageView, is_new: bool) -> Packet {
    Packet::new(if is_new { "message:new" } else { "message:updated" }, &NamespaceMessage::new(view))
}

/// The error of a message that was accepted and failed later.
pub(in super::super) fn message_failed(view: &MessageView) -> Option<Packet> {
    let failure = view.inbox.as_ref()?.failure.as_ref()?;
    let payload = json!({
        "error": failure.message,
        "code": failure.code,
        "tempId": objects::temp_id(view),
        "messageId": view.message.id.0,
    });
    Some(Packet::new("message:error", &payload))
}

pub(in super::super) fn typing(typist: &ChatUser, conversation: ConversationId, on: bool) -> Packet {
    let event = if on { "typing:start" } else { "typing:stop" };
    Packet::new(event, &json!({ "conversationId": conversation.0, "user": objects::user(typist) }))
}

pub(in super::super) fn presence(user: &ChatUser, is_online: bool) -> Packet {
    Packet::new(if is_online { "user:online" } else { "user:offline" }, &objects::user(user))
}

/// The event of a log entry, for sockets that joined. Clients mark all messages up to the id of a receipt, so
/// that one event is enough.
pub(in super::super) fn event(event: &ChatEvent) -> Vec<Packet> {
    match event {
        ChatEvent::Message { view, .. } | ChatEvent::Uploaded(view) => {
            vec![Packet::new("message:new", &NamespaceMessage::new(view))]
        }
        ChatEvent::Updated(view) => vec![inbox_message(view, false)],
        ChatEvent::Receipts { level: ReceiptLevel::Read, conversation, messages, by, .. } => {
            let Some(newest) = messages.last() else { return Vec::new() };
            let payload = json!({
                "conversationId": conversation.id.0,
                "messageId": newest.0,
                "readBy": objects::user(by),
            });
            vec![Packet::new("message:read", &payload)]
        }
        ChatEvent::Deleted { conversation, message } => {
            let payload = json!({ "conversationId": conversation.0, "messageId": message.0 });
            vec![Packet::new("message:deleted", &payload)]
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
